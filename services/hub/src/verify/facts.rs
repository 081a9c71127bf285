//! Facts of the hub, validated again where they stand.

use hansa_proto::v1;
use hansa_settlement::{Context, CycleState, Instant, Pos, decide_commission_fact, due};
use ring::digest::{SHA256, digest};

use super::{
    fold::{Fold, Made},
    report::{Mismatch, describe_due, micros_text, same},
    source::Item,
};
use crate::{
    commissions,
    convert::{cycle_no, cycle_number, micros},
    facts,
    registry::Owner,
    server::RULES_VERSION,
};
use hansa_client::keys::{VerifyingKey, hex};

/// Who a fact of the hub's own is written for.
const HUB: &str = "hub";

/// Members of one `AdvanceTo` at most: a position has room for so many.
const MAX_ADVANCED: usize = 1 << 12;

impl Fold {
    /// Validates and applies the facts of an entry.
    pub(super) fn facts(&mut self, item: &Item, written: &v1::Facts) -> Result<Made, Mismatch> {
        use v1::fact::Fact as F;
        self.counts.facts += 1;
        let mut made = Made::default();
        if written.facts.is_empty() {
            return Err(Mismatch::new("facts", "none", "at least one"));
        }
        let place = facts::Place {
            seq: item.seq,
            decided_at: item.decided_at,
            actor: &written.actor,
        };
        for (index, fact) in written.facts.iter().enumerate() {
            let alone = written.facts.len() == 1;
            match &fact.fact {
                Some(F::Genesis(genesis)) => self.check_genesis(item, index, genesis)?,
                _ if item.seq == 0 => {
                    return Err(Mismatch::new(
                        "the first entry",
                        "another fact",
                        "genesis only",
                    ));
                }
                Some(F::CycleCut(cut)) => {
                    self.check_cut(item, cut, &written.actor)?;
                    self.placed.cut();
                }
                _ => self.not_past_close(item)?,
            }
            match &fact.fact {
                None => {
                    let release = "a fact that this release knows";
                    return Err(Mismatch::new("a fact", "unknown", release));
                }
                Some(F::KeyRegistered(key)) => self.check_key(key, item.decided_at)?,
                Some(F::KeyRevoked(revoked)) => {
                    if !self.registry.keys.contains_key(&revoked.key_id) {
                        let key = format!("\"{}\"", revoked.key_id);
                        return Err(Mismatch::new("a revoked key", key, "not registered"));
                    }
                }
                Some(F::MembersEnrolled(enrolled)) => self.enrol(enrolled)?,
                Some(F::CycleClosed(closed)) => self.check_closed(closed)?,
                Some(F::PaymentsSubmitted(submitted)) => self.check_payment_file(submitted)?,
                Some(F::AdvanceTo(advance)) if alone => self.advance(item, advance, &mut made)?,
                Some(F::CommissionsDecided(decided)) => {
                    self.commissions(item, decided, &mut made)?;
                }
                Some(F::AdvanceTo(_)) => {
                    return Err(Mismatch::new("due work", "beside other facts", "alone"));
                }
                Some(F::LogReopened(_)) if !alone => {
                    return Err(Mismatch::new("a new name", "beside other facts", "alone"));
                }
                Some(
                    F::Genesis(_)
                    | F::Programme(_)
                    | F::Merchant(_)
                    | F::Promotion(_)
                    | F::CycleCut(_)
                    | F::LogReopened(_)
                    | F::CycleAudited(_)
                    | F::FraudRun(_)
                    | F::FraudDecided(_)
                    | F::ProposalMade(_)
                    | F::ProposalDecided(_)
                    | F::BankReportImported(_)
                    | F::ExceptionExplained(_)
                    | F::DisputeRaised(_)
                    | F::DisputeAnswered(_)
                    | F::DisputeEscalated(_)
                    | F::DisputeRuled(_)
                    | F::QueryRaised(_)
                    | F::QueryAnswered(_)
                    | F::QueryEscalated(_)
                    | F::QueryRuled(_),
                ) => {}
            }
            let (global, registry) = (&mut self.global, &mut self.registry);
            facts::apply(global, registry, fact, &place)
                .map_err(|refusal| Mismatch::new("a fact", "in the log", refusal))?;
        }
        Ok(made)
    }

    fn check_genesis(
        &self,
        item: &Item,
        index: usize,
        genesis: &v1::Genesis,
    ) -> Result<(), Mismatch> {
        if (item.seq, index) != (0, 0) {
            return Err(Mismatch::new("genesis", "again", "only in the first entry"));
        }
        if genesis.rules_version != RULES_VERSION {
            return Err(Mismatch::new(
                "the version of the rules",
                genesis.rules_version,
                format_args!("this release knows version {RULES_VERSION} only"),
            ));
        }
        Ok(())
    }

    fn check_key(&self, key: &v1::Key, decided_at: i64) -> Result<(), Mismatch> {
        let id = format!("\"{}\"", key.key_id);
        if let Some(known) = self.registry.keys.get(&key.key_id) {
            // The one thing that may be registered again is an earlier end of the same key.
            let owner = if key.merchant_id.is_empty() {
                Owner::Operator
            } else {
                Owner::Merchant(key.merchant_id.clone())
            };
            let same = known.owner == owner
                && known.public_key.as_slice() == key.public_key
                && (&known.holder, &known.operator_roles) == (&key.holder, &key.operator_roles)
                && known.revoked_at.is_none();
            let end = key.valid_until.as_ref().map(micros);
            let earlier = end.is_some_and(|end| {
                end >= decided_at && known.valid_until.is_none_or(|before| end < before)
            });
            if !(same && earlier) {
                return Err(Mismatch::new("a registered key", id, "its id is taken"));
            }
        }
        if !key.merchant_id.is_empty() && self.registry.merchant(&key.merchant_id).is_none() {
            let text = format!("no merchant \"{}\"", key.merchant_id);
            return Err(Mismatch::new("a registered key", id, text));
        }
        if VerifyingKey::from_bytes(&key.public_key).is_err() {
            let text = "not an Ed25519 key of 32 bytes";
            return Err(Mismatch::new("a registered key", id, text));
        }
        Ok(())
    }

    /// References are new, members are numbered without gaps, an alias enrols one member.
    fn enrol(&mut self, enrolled: &v1::MembersEnrolled) -> Result<(), Mismatch> {
        let slug = &enrolled.merchant_id;
        let merchant = self.registry.merchant(slug).ok_or_else(|| {
            Mismatch::new(
                "an enrolment",
                format_args!("of \"{slug}\""),
                "no such merchant",
            )
        })?;
        for enrolment in &enrolled.enrolments {
            let number = enrolment.member_number;
            let broken = |why: String| {
                let reference = hex(&enrolment.member_reference);
                let recorded = format!("{reference} of \"{slug}\" for member {number}");
                Mismatch::new("an enrolment", recorded, why)
            };
            let reference = enrolment.member_reference.as_slice().try_into();
            let reference = reference.map_err(|_| broken("a reference has 16 bytes".into()))?;
            let next = self.members.len() + 1;
            if !enrolment.alias_hash.is_empty() {
                let alias = enrolment.alias_hash.as_slice().try_into();
                let alias = alias.map_err(|_| broken("an alias hash has 16 bytes".into()))?;
                if number != next {
                    return Err(broken(format!("the next new member is {next}")));
                }
                if !self.aliases.insert(alias) {
                    return Err(broken("its alias has a member already".into()));
                }
                self.members.add();
            } else if number == 0 || number >= next {
                return Err(broken(format!("{} members so far", next - 1)));
            }
            let known = self.references.insert((merchant, reference), number);
            if known.is_some() {
                return Err(broken("the reference is taken".into()));
            }
        }
        Ok(())
    }

    /// Recomputes the due work of each member that is named.
    fn advance(
        &mut self,
        item: &Item,
        advance: &v1::AdvanceTo,
        made: &mut Made,
    ) -> Result<(), Mismatch> {
        let until = advance.until.as_ref().map_or(i64::MIN, micros);
        if until > item.decided_at {
            let recorded = format!("until {}", micros_text(until));
            let recomputed = format!("decided at {}", micros_text(item.decided_at));
            return Err(Mismatch::new(
                "due work ahead of time",
                recorded,
                recomputed,
            ));
        }
        let numbers = &advance.member_numbers;
        if numbers.len() > MAX_ADVANCED || !numbers.is_sorted_by(|a, b| a < b) {
            let recorded = format!("{} members", numbers.len());
            let most = format!("at most {MAX_ADVANCED}, ascending");
            return Err(Mismatch::new("due work", recorded, most));
        }
        for (index, &number) in (0..).zip(numbers) {
            let pos = Pos::new(item.seq, index);
            let member = self.member(Some(number))?;
            let effects = due(&self.global, &member, Instant(until), pos);
            if effects.is_empty() {
                let recorded = format!("member {number} until {}", micros_text(until));
                let recomputed = describe_due(member.next_due());
                return Err(Mismatch::new("due work", recorded, recomputed).of_message(index));
            }
            self.due_work(number, pos, effects, &mut made.effects)?;
        }
        Ok(())
    }

    /// Decides again what was decided about conversions.
    fn commissions(
        &mut self,
        item: &Item,
        decided: &v1::CommissionsDecided,
        made: &mut Made,
    ) -> Result<(), Mismatch> {
        let broken = |why: &dyn std::fmt::Display| {
            Mismatch::new("decisions about conversions", "in the log", why)
        };
        let decisions = commissions::read(decided).map_err(|refusal| broken(&refusal))?;
        for (index, (account, fact)) in (0..).zip(decisions) {
            let context = Context {
                decided_at: Instant(item.decided_at),
                pos: Pos::new(item.seq, index),
            };
            let mut member = self.member(Some(account.0))?;
            let effects = decide_commission_fact(&self.global, &mut member, &context, &fact)
                .map_err(|refusal| broken(&refusal).of_message(index))?;
            self.decided(account.0, &member, context.pos, effects, &mut made.effects)?;
        }
        Ok(())
    }

    /// A cut ends the open cycle: at its scheduled instant, or earlier by somebody's hand.
    fn check_cut(&self, item: &Item, cut: &v1::CycleCut, actor: &str) -> Result<(), Mismatch> {
        let open = self.global.open_cycle();
        let number = cycle_number(open.no);
        same("the cycle that is cut", &cut.cycle_number, &number)?;
        let closes_at = cut.closes_at.as_ref().map(micros);
        let scheduled = open.closes_at.map(|at| at.0);
        if closes_at.is_some() && closes_at == scheduled {
            return Ok(());
        }
        if actor == HUB {
            let tell = |at: Option<i64>| at.map_or_else(|| "none".to_owned(), micros_text);
            let (recorded, recomputed) = (tell(closes_at), tell(scheduled));
            return Err(Mismatch::new("the scheduled cut", recorded, recomputed));
        }
        self.not_past_close(item)
    }

    /// A cycle is CLOSED with nothing of it left to do, all sums in order, and its totals' digest.
    fn check_closed(&mut self, closed: &v1::CycleClosed) -> Result<(), Mismatch> {
        let no = cycle_no(closed.cycle_number);
        let what = format!("the close of cycle {}", closed.cycle_number);
        let cycle = self.global.cycle(no);
        let cycle = cycle.filter(|cycle| cycle.state == CycleState::Closing);
        let Some(cycle) = cycle else {
            return Err(Mismatch::new(what, "in the log", "the cycle was not cut"));
        };
        let close = cycle.closes_at.map_or(i64::MIN, |at| at.0);
        if let Some((at, number)) = self.members.next_due().filter(|(at, _)| *at <= close) {
            let left = format!("member {number} has work due at {}", micros_text(at));
            return Err(Mismatch::new(what, "all due work is in", left));
        }
        self.global
            .check_invariants()
            .map_err(|violation| Mismatch::new(what, "in the log", violation))?;
        self.placed.check(cycle)?;
        let found = digest(&SHA256, &cycle.canonical_bytes());
        if closed.digest != found.as_ref() {
            let what = format!("the digest of cycle {}", closed.cycle_number);
            return Err(Mismatch::new(
                what,
                hex(&closed.digest),
                hex(found.as_ref()),
            ));
        }
        self.digests
            .insert(closed.cycle_number, closed.digest.clone());
        Ok(())
    }
}
