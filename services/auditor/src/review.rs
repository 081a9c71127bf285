//! What is decided about accepted conversions: holds and their ends, reversals, touches that do not count. Everything that the rules
//! refuse cannot stand in the log.

use hansa_proto::v1::{self, CommissionReason, commission_decision::Decision};

use crate::{
    auditor::Auditor,
    books::Journal,
    conversion::{self, Conversion, State},
    finding::Mismatch,
    source::Entry,
    terms::Terms,
};

/// Each decision has a position of its own in the entry.
const MAX_DECISIONS: usize = 4_000;

/// The account that a decision is about.
fn number(decision: &v1::CommissionDecision) -> Option<u64> {
    conversion::number((decision.leaf_index, decision.entry_position))
}

/// The accounts that decisions are about.
pub(crate) fn numbers(decided: &v1::CommissionsDecided) -> impl Iterator<Item = u64> {
    decided.decisions.iter().filter_map(number)
}

impl Auditor {
    pub(crate) fn review(
        &mut self,
        entry: &Entry,
        decided: &v1::CommissionsDecided,
    ) -> Result<(), Mismatch> {
        let count = decided.decisions.len();
        if !(1..=MAX_DECISIONS).contains(&count) {
            let expected = format!("1 to {MAX_DECISIONS} decisions");
            return Err(Mismatch::fact(expected, count));
        }
        let now = entry.decided_at;
        for (position, decision) in (0..).zip(&decided.decisions) {
            let account = number(decision).and_then(|number| {
                let conversion = self.memory.take_conversion(number)?;
                Some((number, conversion))
            });
            let Some((number, mut conversion)) = account else {
                let (leaf, at) = (decision.leaf_index, decision.entry_position);
                let found = format!("entry {leaf}, position {at}");
                return Err(Mismatch::fact("an accepted conversion", found));
            };
            let small = &mut self.small;
            let before = conversion.next_due();
            conversion.run(&mut small.books, now)?;
            let mut journal = Journal::default();
            decide(&small.terms, &mut conversion, decision, now, &mut journal)?;
            let cycle = small.books.open_cycle()?.number;
            small.books.post(cycle, &journal)?;
            small.books.reschedule(before, conversion.next_due());
            self.memory.put_conversion(number, conversion);
            self.keep_journal(position, true);
        }
        Ok(())
    }
}

fn decide(
    terms: &Terms,
    conversion: &mut Conversion,
    decision: &v1::CommissionDecision,
    now: i64,
    journal: &mut Journal,
) -> Result<(), Mismatch> {
    let refused = |expected: &str, state: State| {
        let (leaf, position) = (decision.leaf_index, decision.entry_position);
        let found = format!("{state:?}, of the conversion at entry {leaf}, position {position}");
        Err(Mismatch::fact(expected, found))
    };
    let state = conversion.state;
    match &decision.decision {
        Some(Decision::HoldForFlag(flag)) => {
            let waits = matches!(state, State::Accrued | State::Locked);
            if !waits || !conversion.flags.insert(*flag) {
                return refused("a commission that waits, and another flag", state);
            }
        }
        Some(Decision::ReleaseFromFlag(flag)) => {
            if !conversion.flags.remove(flag) {
                return refused("a flag that holds it", state);
            }
            conversion.pay_if_free(journal);
        }
        Some(Decision::Reverse(reason)) => {
            let known = CommissionReason::try_from(*reason);
            let named = known.is_ok_and(|reason| reason != CommissionReason::Unspecified);
            if !named || state == State::Reversed {
                return refused("a reason, and something to take back", state);
            }
            conversion.reverse(now, journal);
        }
        Some(Decision::InvalidateTouch(touch)) => {
            let Ok(touch) = touch.as_slice().try_into() else {
                return refused("the id of a touch, 16 bytes", state);
            };
            conversion.invalidate(terms, touch, now, journal)?;
        }
        None => return refused("a decision", state),
    }
    Ok(())
}
