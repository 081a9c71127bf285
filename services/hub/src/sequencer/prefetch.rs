//! What a group needs from the store, asked in a handful of queries, beside the commit of the group before.

use std::collections::{BTreeSet, HashMap, HashSet};

use hansa_settlement::{MemberId, PackedMember, Pos};
use hansa_store::{MemberRow, Store, StoreError};

use super::{
    Job,
    ids::{Id, Known, clicks_of, conversions_of, orders_of},
    members::Packed,
    references::Reference,
    state::State,
};
use crate::intake::{Action, Claimed, Prepared};

/// What the store answered.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Positions of ids that memory could not tell of; those not in here are new.
    pub ids: HashMap<(u32, Id), u64>,
    /// Members of references that memory did not have; those not in here are unknown.
    pub references: HashMap<(u32, Reference), u64>,
    /// Rows of members that were not in memory; an empty one for each that has none.
    pub rows: Vec<Packed>,
    /// Highest ids of merchants that had sent nothing since the start.
    pub windows: Vec<(u32, Vec<(Id, u64)>)>,
    /// Members of alias hashes.
    pub aliases: HashMap<[u8; 16], u64>,
    /// References that a merchant has of those members.
    pub enrolled: HashMap<(u32, u64), Reference>,
    /// Entries of earlier groups that hold the first outcome of a message that is sent again.
    pub replayed: BTreeSet<u64>,
}

impl Fetched {
    /// Moves rows, windows and references into memory.
    pub fn admit(&mut self, state: &mut State) {
        for row in self.rows.drain(..) {
            state.members.admit(row);
        }
        for (merchant, highest) in self.windows.drain(..) {
            if !state.ids.is_loaded(merchant) {
                state.ids.load(merchant, highest);
            }
        }
        for (&(merchant, reference), &member) in &self.references {
            state.references.insert(merchant, reference, member);
        }
    }
}

/// The keys of a job that memory cannot answer.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Ids of messages, and of those that they refer to.
    ids: Vec<(u32, Id)>,
    /// The former alone.
    own_ids: Vec<(u32, Id)>,
    /// Of the latter, those of conversions: their accounts are needed.
    conversions: Vec<(u32, Id)>,
    replayed: BTreeSet<u64>,
    references: Vec<(u32, Reference)>,
    members: BTreeSet<u64>,
    windows: BTreeSet<u32>,
    aliases: Vec<(u32, Vec<[u8; 16]>)>,
}

impl Wanted {
    /// Of `jobs`, what `state` does not have; they are told the members that it has.
    pub fn of(jobs: &mut [Job], state: &State) -> Self {
        let mut wanted = Self::default();
        let mut asked = HashSet::new();
        for job in jobs {
            match job {
                Job::Batch { batch, .. } => {
                    let merchant = batch.merchant;
                    if !state.ids.is_loaded(merchant) {
                        wanted.windows.insert(merchant);
                    }
                    for message in &batch.messages {
                        wanted.own_id(state, merchant, &message.id);
                        if let Some(id) = message.action.original() {
                            wanted.original(state, merchant, message, id);
                        }
                        if let Some(claimed) = &message.claim {
                            wanted.claim(state, merchant, claimed);
                        }
                    }
                    // Passes of their own: each look-up waits for memory, and only a short loop waits for several at once.
                    let references = batch.messages.iter().map(|message| message.reference);
                    let members = references
                        .clone()
                        .map(|r| state.references.get(merchant, &r));
                    batch.members.clear();
                    batch.members.extend(members);
                    for (member, reference) in batch.members.iter().zip(references) {
                        wanted.member(state, &mut asked, *member, (merchant, reference));
                    }
                }
                Job::ReadMember {
                    merchant,
                    reference,
                    ..
                } => {
                    let member = state.references.get(*merchant, reference);
                    wanted.member(state, &mut asked, member, (*merchant, *reference));
                }
                Job::Commissions { decided, .. } => {
                    for decision in &decided.decisions {
                        let pos = Pos::new(decision.leaf_index, decision.entry_position);
                        wanted.account(state, MemberId::of_conversion(pos).0);
                    }
                }
                Job::ReadConversions { accounts, .. } | Job::Facts { accounts, .. } => {
                    for &account in accounts.iter() {
                        wanted.account(state, account);
                    }
                }
                Job::Enrol {
                    merchant, aliases, ..
                } => wanted.aliases.push((*merchant, aliases.clone())),
                Job::Read(_) | Job::SetClock { .. } | Job::CloseCycle { .. } => {}
            }
        }
        wanted.ids.sort_unstable();
        wanted.ids.dedup();
        wanted
    }

    /// Where an earlier message was decided, and the account of a conversion that is returned or approved.
    fn original(&mut self, state: &State, merchant: u32, message: &Prepared, id: &Id) {
        let concerns_conversion = matches!(
            message.action,
            Action::ConversionReturn { .. } | Action::ConversionApproval { .. }
        );
        let of = if concerns_conversion {
            conversions_of(merchant)
        } else {
            merchant
        };
        match state.ids.look_up(of, id) {
            Known::Seen(pos) if concerns_conversion => {
                self.account(state, MemberId::of_conversion(Pos(pos)).0);
            }
            Known::Seen(_) | Known::New => {}
            Known::AskStore => {
                self.ids.push((of, *id));
                if concerns_conversion {
                    self.conversions.push((of, *id));
                }
            }
        }
    }

    fn account(&mut self, state: &State, account: u64) {
        if !state.members.contains(account) {
            self.members.insert(account);
        }
    }

    /// Whether a conversion's clicks and its order were used, and what it recurs of.
    fn claim(&mut self, state: &State, merchant: u32, claimed: &Claimed) {
        let clicks = claimed.touches.iter().map(|t| (clicks_of(merchant), t.id));
        let order = (orders_of(merchant), claimed.order);
        let first = claimed
            .recurs
            .map(|first| (conversions_of(merchant), first));
        for (of, id) in clicks.chain([order]).chain(first) {
            if state.ids.look_up(of, &id) == Known::AskStore {
                self.ids.push((of, id));
            }
        }
    }

    fn own_id(&mut self, state: &State, merchant: u32, id: &Id) {
        match state.ids.look_up(merchant, id) {
            Known::Seen(pos) => {
                self.replayed.insert(Pos(pos).seq());
            }
            Known::New => {}
            Known::AskStore => {
                self.ids.push((merchant, *id));
                self.own_ids.push((merchant, *id));
            }
        }
    }

    /// A member, or its reference where memory does not know what that means.
    fn member(
        &mut self,
        state: &State,
        asked: &mut HashSet<(u32, Reference)>,
        member: Option<u64>,
        reference: (u32, Reference),
    ) {
        match member {
            Some(member) if state.members.contains(member) => {}
            Some(member) => {
                self.members.insert(member);
            }
            None => {
                if asked.insert(reference) {
                    self.references.push(reference);
                }
            }
        }
    }
}

/// Asks the store for all that is wanted.
pub async fn fetch(
    store: &Store,
    state: &State,
    mut wanted: Wanted,
) -> Result<Fetched, StoreError> {
    let mut fetched = Fetched {
        replayed: wanted.replayed,
        ..Fetched::default()
    };
    for merchant in &wanted.windows {
        let highest = store.highest_ids(*merchant, state.ids.load_limit()).await?;
        fetched.windows.push((*merchant, highest));
    }
    if !wanted.ids.is_empty() {
        let known_by_window: HashSet<u32> = wanted.windows.iter().copied().collect();
        // A merchant's first batch since the start would ask for each of its ids; its window answers most of them.
        let mut windows = super::ids::Ids::new(state.ids.load_limit() as usize);
        for (merchant, highest) in &fetched.windows {
            windows.load(*merchant, highest.clone());
        }
        wanted.ids.retain(|(merchant, id)| {
            !known_by_window.contains(merchant) || windows.look_up(*merchant, id) == Known::AskStore
        });
        for (merchant, id) in &wanted.own_ids {
            if let Known::Seen(pos) = windows.look_up(*merchant, id) {
                fetched.replayed.insert(Pos(pos).seq());
            }
        }
    }
    if !wanted.ids.is_empty() {
        let found = store.find_ids(&wanted.ids).await?;
        let found = wanted
            .ids
            .iter()
            .zip(found)
            .filter_map(|(key, pos)| Some((*key, pos?)));
        fetched.ids.extend(found);
        let accounts = wanted.conversions.iter().filter_map(|key| {
            let pos = fetched.ids.get(key)?;
            Some(MemberId::of_conversion(Pos(*pos)).0)
        });
        let missing = accounts.filter(|account| !state.members.contains(*account));
        wanted.members.extend(missing);
        let first = |key| fetched.ids.get(key).map(|pos| Pos(*pos).seq());
        fetched
            .replayed
            .extend(wanted.own_ids.iter().filter_map(first));
    }
    if !wanted.references.is_empty() {
        wanted.references.sort_unstable();
        let found = store.resolve_references(&wanted.references).await?;
        for (key, member) in wanted.references.iter().zip(found) {
            let Some(member) = member else { continue };
            fetched.references.insert(*key, member);
            if !state.members.contains(member) {
                wanted.members.insert(member);
            }
        }
    }
    if !wanted.members.is_empty() {
        let members: Vec<u64> = wanted.members.iter().copied().collect();
        fetched.rows = load(store, &members).await?;
    }
    for (merchant, aliases) in &wanted.aliases {
        let mut members = Vec::new();
        for (hash, member) in aliases.iter().zip(store.resolve_aliases(aliases).await?) {
            let Some(member) = member else { continue };
            fetched.aliases.insert(*hash, member);
            members.push(member);
        }
        members.sort_unstable();
        members.dedup();
        if !members.is_empty() {
            for (member, reference) in store.references_of_members(*merchant, &members).await? {
                fetched.enrolled.insert((*merchant, member), reference);
            }
        }
    }
    Ok(fetched)
}

/// The rows of some members, with an empty one for each that has none: a member that is not in memory when it is decided
/// was forgotten, and must never pass for a new one.
pub async fn load(store: &Store, members: &[u64]) -> Result<Vec<Packed>, StoreError> {
    let mut rows: Vec<Packed> = store
        .load_members(members)
        .await?
        .into_iter()
        .map(packed)
        .collect();
    let found: HashSet<u64> = rows.iter().map(|row| row.member).collect();
    let none = |member: &u64| Packed::unknown(*member);
    rows.extend(
        members
            .iter()
            .filter(|member| !found.contains(member))
            .map(none),
    );
    Ok(rows)
}

/// A row of the store as the cache takes it.
pub fn packed(row: MemberRow) -> Packed {
    Packed {
        member: row.member,
        applied_seq: row.applied_seq,
        next_due: row.next_due,
        data: PackedMember::new(row.data.into()),
    }
}
