//! All members in memory, packed, with what is due of each; and the comparison with the stored projection.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context as _;
use hansa_client::keys::hex;
use hansa_settlement::{Global, Instant, Member, MemberId};
use hansa_store::Store;
use ring::digest::{SHA256, digest};

use super::report::{Failure, Mismatch, ProjectionReport, micros_text, same};
use crate::{registry::Registry, sequencer::state::Snapshot};

/// Rows read at once.
const PAGE_ROWS: u32 = 10_000;

/// No entry has changed the member.
const NEVER: u64 = u64::MAX;

/// A member as the entries so far left it.
#[derive(Debug, Clone, Default)]
struct Slot {
    data: Box<[u8]>,
    /// The last entry that changed it, or [`NEVER`].
    changed: u64,
    /// When something of it is next due, microseconds; `i64::MAX`: never.
    next_due: i64,
}

impl Slot {
    fn unknown() -> Self {
        Self {
            data: Box::default(),
            changed: NEVER,
            next_due: i64::MAX,
        }
    }
}

fn is_conversion(number: u64) -> bool {
    MemberId(number).conversion().is_some()
}

/// All members. Costs about 60 bytes a member beside its packed bytes.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// By number, from 1.
    slots: Vec<Slot>,
    /// Conversions' accounts, by number.
    conversions: BTreeMap<u64, Slot>,
    due: BTreeSet<(i64, u64)>,
    stored: Option<Projection>,
    buffer: Vec<u8>,
}

/// What the store has of a member: kept as a digest.
#[derive(Debug)]
struct Row {
    applied_seq: u64,
    next_due: i64,
    digest: [u8; 32],
    compared: bool,
}

/// The stored projection as it stood before the size of the log was read: so nothing in it is newer than the log.
#[derive(Debug)]
pub struct Projection {
    rows: HashMap<u64, Row>,
    covered_size: u64,
    global: Option<(u64, Snapshot)>,
    global_compared: bool,
}

impl Projection {
    /// Reads it all; keeps 64 bytes a member.
    pub async fn read(store: &Store) -> Result<Self, Failure> {
        // What is covered first: rows only ever become newer.
        let covered_size = store.covered_size().await?;
        let global = match store.global().await? {
            None => None,
            Some((covered, bytes)) => {
                let snapshot = postcard::from_bytes::<Snapshot>(&bytes).map_err(|error| {
                    Mismatch::new("the stored state of the alliance", error, "a snapshot")
                })?;
                Some((covered, snapshot))
            }
        };
        let mut rows = HashMap::new();
        let mut after = 0;
        loop {
            let page = store.scan_members(after, PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = last.member;
            for row in page {
                let kept = Row {
                    applied_seq: row.applied_seq,
                    next_due: row.next_due.unwrap_or(i64::MAX),
                    digest: sha256(&row.data),
                    compared: false,
                };
                rows.insert(row.member, kept);
            }
        }
        Ok(Self {
            rows,
            covered_size,
            global,
            global_compared: false,
        })
    }

    /// Compares a member's row with its state, which entry `next` is about to change (or which is its last).
    fn member(&mut self, number: u64, slot: &Slot, next: u64) -> Result<(), Mismatch> {
        let covered = self.covered_size;
        let what = || format!("the stored row of member {number}");
        let Some(row) = self.rows.get_mut(&number) else {
            if slot.changed != NEVER && slot.changed < covered {
                let recomputed = format!("changed by entry {}, which is covered", slot.changed);
                return Err(Mismatch::new(what(), "missing", recomputed).at(slot.changed));
            }
            return Ok(());
        };
        if row.compared || row.applied_seq >= next {
            return Ok(());
        }
        row.compared = true;
        let tell = |seq: u64, next_due: i64, digest: &[u8; 32]| {
            let due = match next_due {
                i64::MAX => "nothing due".to_owned(),
                at => format!("next due {}", micros_text(at)),
            };
            let seq = if seq == NEVER {
                "before any entry".to_owned()
            } else {
                format!("as of entry {seq}")
            };
            format!("{seq}, {due}, SHA-256 {}", hex(digest))
        };
        let found = sha256(&slot.data);
        if (row.applied_seq, row.next_due, row.digest) != (slot.changed, slot.next_due, found) {
            let recorded = tell(row.applied_seq, row.next_due, &row.digest);
            let recomputed = tell(slot.changed, slot.next_due, &found);
            return Err(Mismatch::new(what(), recorded, recomputed).at(row.applied_seq));
        }
        if next < covered {
            let recorded = format!("as of entry {}", row.applied_seq);
            let recomputed = format!("entry {next} changes it and is covered");
            return Err(Mismatch::new(what(), recorded, recomputed).at(next));
        }
        Ok(())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

impl Members {
    /// No members yet; the projection is compared as they come and change.
    pub(super) fn new(stored: Option<Projection>) -> Self {
        Self {
            stored,
            ..Self::default()
        }
    }

    /// Number of members.
    pub(super) fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    /// The next number is given away.
    pub(super) fn add(&mut self) {
        self.slots.push(Slot::unknown());
    }

    fn index(number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(1)?).ok()
    }

    /// A member's state.
    pub(super) fn get(&self, number: u64) -> anyhow::Result<Member> {
        if is_conversion(number) {
            return match self.conversions.get(&number) {
                Some(slot) => Ok(Member::decode(&slot.data)?),
                None => Ok(Member::default()),
            };
        }
        let slot = Self::index(number).and_then(|at| self.slots.get(at));
        match slot {
            Some(slot) if slot.changed != NEVER => Ok(Member::decode(&slot.data)?),
            Some(_) => Ok(Member::default()),
            None => anyhow::bail!("member {number} was never enrolled"),
        }
    }

    /// Entry `seq` changed a member.
    pub(super) fn put(&mut self, number: u64, seq: u64, member: &Member) -> Result<(), Mismatch> {
        let slot = if is_conversion(number) {
            Some(self.conversions.entry(number).or_insert_with(Slot::unknown))
        } else {
            Self::index(number).and_then(|at| self.slots.get_mut(at))
        };
        let Some(slot) = slot else {
            return Ok(());
        };
        if slot.changed != seq
            && let Some(stored) = &mut self.stored
        {
            stored.member(number, slot, seq)?;
        }
        self.buffer.clear();
        member.encode_into(&mut self.buffer);
        if slot.data.len() == self.buffer.len() {
            slot.data.copy_from_slice(&self.buffer);
        } else {
            slot.data = self.buffer.as_slice().into();
        }
        let next_due = member.next_due().map_or(i64::MAX, |Instant(at)| at);
        if slot.next_due != next_due {
            self.due.remove(&(slot.next_due, number));
            if next_due != i64::MAX {
                self.due.insert((next_due, number));
            }
            slot.next_due = next_due;
        }
        slot.changed = seq;
        Ok(())
    }

    /// What is due first of all members: instant and member.
    pub(super) fn next_due(&self) -> Option<(i64, u64)> {
        self.due.first().copied()
    }

    /// Compares the stored state of the alliance, when it is the one before entry `next`.
    pub(super) fn compare_global(
        &mut self,
        next: u64,
        global: &Global,
        registry: &Registry,
        decided: u64,
        last_decided_at: i64,
    ) -> Result<(), Mismatch> {
        let next_member = self.len() + 1;
        let Some(stored) = &mut self.stored else {
            return Ok(());
        };
        let Some((covered, snapshot)) = &stored.global else {
            return Ok(());
        };
        if stored.global_compared || *covered != next {
            return Ok(());
        }
        let at = |mismatch: Mismatch| mismatch.at(next);
        let state = "the stored state of the alliance";
        let recomputed = global.snapshot();
        if snapshot.global != recomputed {
            let (found, expected) = (sha256(&snapshot.global), sha256(&recomputed));
            let (found, expected) = (hex(&found), hex(&expected));
            return Err(at(Mismatch::new(
                state,
                format_args!("SHA-256 {found}"),
                format_args!("SHA-256 {expected}"),
            )));
        }
        same("the stored keys and terms", &snapshot.registry, registry).map_err(at)?;
        same(
            "the stored next member",
            &snapshot.next_member,
            &next_member,
        )
        .map_err(at)?;
        same("the stored number of messages", &snapshot.decided, &decided).map_err(at)?;
        if snapshot.last_decided_at < last_decided_at {
            let recorded = micros_text(snapshot.last_decided_at);
            let recomputed = format!("{} or later", micros_text(last_decided_at));
            return Err(at(Mismatch::new("the stored clock", recorded, recomputed)));
        }
        stored.global_compared = true;
        Ok(())
    }

    /// Compares what is left of the projection with the state behind the last of `size` entries.
    pub(super) fn finish(&mut self, size: u64) -> Result<Option<ProjectionReport>, Failure> {
        let Some(stored) = &mut self.stored else {
            return Ok(None);
        };
        let conversions = self
            .conversions
            .iter()
            .map(|(number, slot)| (*number, slot));
        for (number, slot) in (1..).zip(&self.slots).chain(conversions) {
            stored.member(number, slot, size)?;
        }
        let left = stored.rows.iter().filter(|(_, row)| !row.compared);
        if let Some((number, row)) = left.min_by_key(|(number, _)| **number) {
            let recorded = format!("as of entry {}", row.applied_seq);
            let recomputed = format!("{} members, {size} entries", self.slots.len());
            let what = format!("the stored row of member {number}");
            return Err(Mismatch::new(what, recorded, recomputed).into());
        }
        if let (Some((covered, _)), false) = (&stored.global, stored.global_compared) {
            let recorded = format!("covers {covered} entries");
            let recomputed = format!("{size} entries");
            let what = "the stored state of the alliance";
            return Err(Mismatch::new(what, recorded, recomputed).into());
        }
        if stored.covered_size > size {
            let recomputed = format!("{size} entries");
            let recorded = stored.covered_size;
            return Err(Mismatch::new("the covered position", recorded, recomputed).into());
        }
        Ok(Some(ProjectionReport {
            members: stored.rows.len() as u64,
            global: stored.global.is_some(),
            covered_size: stored.covered_size,
        }))
    }

    /// Adds up every member's lots and due items, and compares them with the alliance's own sums.
    pub(super) fn add_up(&self, global: &Global) -> Result<(), Failure> {
        let mut lots = std::collections::BTreeMap::new();
        let mut dues: i64 = 0;
        for number in (1..=self.len()).chain(self.conversions.keys().copied()) {
            let member = self.get(number).context("a member's own state")?;
            dues += member.dues().count() as i64;
            for lot in member.lots() {
                let price = global.book().get(lot.price);
                let mode = price.mode_at(hansa_settlement::Pos(u64::MAX));
                let sum: &mut (i64, i128) = lots.entry((price.funder, mode)).or_default();
                sum.0 += lot.remaining;
                sum.1 += price.value(lot.remaining);
            }
        }
        lots.retain(|_, sum| sum.0 != 0);
        let counted = global.due_count(Instant(i64::MAX));
        same(
            "open points by funder and mode, and the members' lots",
            &global.outstanding(),
            &lots,
        )?;
        same(
            "the calendar of due work, and the members' due items",
            &counted,
            &dues,
        )?;
        Ok(())
    }
}
