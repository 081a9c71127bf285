//! Facts about conversions: holds, releases, reversals, invalid touches.

use std::collections::BTreeMap;

use hansa_proto::v1;
use hansa_settlement::{
    Change, CommissionChange, Context, Effect, Instant, Member, MemberId, Pos, Recorded,
    append_effects, apply_global, decide_commission_fact, due_mut,
};

use hansa_store::PartyRow;

use super::{Answer, Deciding};
use crate::{
    commissions,
    error::{HubError, Reason},
    sequencer::{ConversionsView, Reply},
};

/// The participants that a conversion newly concerns.
fn parties_of(account: u64, effects: &[Effect]) -> impl Iterator<Item = PartyRow> {
    let pos = MemberId(account).conversion();
    let concerned = effects.iter().filter_map(|effect| {
        let Change::Commission(change) = &effect.change else {
            return None;
        };
        let attributes = matches!(
            change,
            CommissionChange::Accrued(_) | CommissionChange::Reattributed { .. }
        );
        change.parties().filter(|_| attributes)
    });
    let both = concerned.flat_map(|(affiliate, merchant)| [affiliate.0, merchant.0]);
    both.filter_map(move |participant| {
        pos.map(|pos| PartyRow {
            participant,
            pos: pos.0,
        })
    })
}

impl Deciding<'_> {
    /// Keeps whose conversion an account is.
    pub(super) fn note_parties(&mut self, account: Option<u64>, effects: &[Effect]) {
        if let Some(account) = account {
            self.group.parties.extend(parties_of(account, effects));
        }
    }

    pub(super) fn read_conversions(
        &mut self,
        accounts: &[u64],
        reply: Reply<ConversionsView>,
    ) -> Result<(), HubError> {
        let pos = Pos::new(self.state.next_seq, 0);
        let mut read = Vec::with_capacity(accounts.len());
        for &number in accounts {
            let mut account = self.state.member(number)?;
            let until = Instant(self.decided_at);
            due_mut(&self.state.global, &mut account, until, pos);
            read.push(account);
        }
        let view = ConversionsView {
            accounts: read,
            size: self.state.next_seq,
            now: self.decided_at,
        };
        self.answers.push(Answer::Conversions(reply, view));
        Ok(())
    }

    /// Decides about conversions. All stand or fall together.
    pub(super) fn commissions(
        &mut self,
        actor: String,
        before: Vec<v1::Fact>,
        decided: v1::CommissionsDecided,
        reply: Reply<Option<u64>>,
    ) -> Result<(), HubError> {
        let decisions = match commissions::read(&decided) {
            Ok(decisions) => decisions,
            Err(refusal) => {
                self.refuse(reply, refusal);
                return Ok(());
            }
        };
        let fact = v1::Fact {
            fact: Some(v1::fact::Fact::CommissionsDecided(decided)),
        };
        let mut written = before;
        written.push(fact);
        // Tried on copies, as facts are.
        let mut global = self.state.global.clone();
        let seq = self.state.next_seq;
        let mut accounts: BTreeMap<u64, Member> = BTreeMap::new();
        let mut effects = Vec::new();
        let mut parties = Vec::new();
        for (index, (account, fact)) in (0..).zip(decisions) {
            let context = Context {
                decided_at: Instant(self.decided_at),
                pos: Pos::new(seq, index),
            };
            let mut member = match accounts.remove(&account.0) {
                Some(member) => member,
                None => self.state.member(account.0)?,
            };
            let made = match decide_commission_fact(&global, &mut member, &context, &fact) {
                Ok(made) => made,
                Err(refusal) => {
                    let text = format!("{}: decisions[{index}]: {refusal}", refusal.code());
                    self.refuse(reply, HubError::new(Reason::FailedPrecondition, text));
                    return Ok(());
                }
            };
            accounts.insert(account.0, member);
            parties.extend(parties_of(account.0, &made));
            for effect in &made {
                apply_global(&mut global, effect, context.pos);
            }
            let record = Recorded {
                index,
                member: account,
                effects: made,
            };
            append_effects(&record, &mut effects);
        }
        let tried = match self.tried(global, &written, &actor) {
            Ok(tried) => tried,
            Err(refusal) => {
                self.refuse(reply, refusal);
                return Ok(());
            }
        };
        self.adopt(tried);
        for (number, member) in &accounts {
            self.state.put(*number, seq, member, &mut self.scratch)?;
        }
        self.group.parties.extend(parties);
        let leaf = self.write_facts(written, actor, effects);
        self.answers.push(Answer::Facts(reply, Some(leaf)));
        Ok(())
    }
}
