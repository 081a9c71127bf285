//! Which cycle each message is in, counted by the cuts alone: nothing that the ledger says of a message takes part. Each is
//! in exactly one cycle, or the count of one cycle differs from the ledger's.

use hansa_proto::v1;
use hansa_settlement::CycleTotals;

use super::report::{Mismatch, same};
use crate::convert::cycle_number;

/// Messages between two cuts: those that took effect, and those that were refused.
type Between = (u64, u64);

/// Messages of the log so far, by the cuts that enclose them. Costs 16 bytes a cycle.
#[derive(Debug)]
pub(super) struct Placed {
    /// By number, from 0; the last one is open.
    cycles: Vec<Between>,
}

impl Default for Placed {
    fn default() -> Self {
        Self {
            cycles: vec![(0, 0)],
        }
    }
}

impl Placed {
    /// A message was decided for the first time.
    pub(super) fn message(&mut self, outcome: &v1::Outcome) {
        if let Some((accepted, refused)) = self.cycles.last_mut() {
            match outcome.code() {
                v1::ResultCode::Accepted => *accepted += 1,
                _ => *refused += 1,
            }
        }
    }

    /// What follows belongs to the next cycle.
    pub(super) fn cut(&mut self) {
        self.cycles.push((0, 0));
    }

    /// Messages of the log, each counted once.
    pub(super) fn messages(&self) -> u64 {
        self.cycles.iter().map(|(a, r)| a + r).sum()
    }

    /// The ledger counts in a cycle what its cuts enclose, no more and no less.
    pub(super) fn check(&self, cycle: &CycleTotals) -> Result<(), Mismatch> {
        let number = cycle_number(cycle.no);
        let between = self.cycles.get(cycle.no.0 as usize);
        let counts = &cycle.counts;
        let counted: Between = (
            counts.accepted.values().sum(),
            counts.refused.values().sum(),
        );
        let what = format!("messages of cycle {number}, accepted and refused, by its cuts");
        same(&what, &counted, &between.copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use hansa_settlement::{CycleNo, MessageKind};

    use super::*;
    use crate::facts;

    fn outcome(code: v1::ResultCode) -> v1::Outcome {
        v1::Outcome {
            code: code.into(),
            ..v1::Outcome::default()
        }
    }

    #[test]
    fn a_message_that_a_cycle_counts_and_its_cuts_do_not_enclose_is_found() {
        let global = facts::blank();
        let mut first = global.cycle(CycleNo(0)).unwrap().clone();
        first.counts.accepted.insert(MessageKind::Accrual, 2);
        let mut placed = Placed::default();
        placed.message(&outcome(v1::ResultCode::Accepted));
        placed.message(&outcome(v1::ResultCode::Accepted));
        placed.cut();
        assert_eq!(placed.check(&first), Ok(()));
        // One behind the cut, which the first cycle claims all the same.
        placed.message(&outcome(v1::ResultCode::Accepted));
        first.counts.accepted.insert(MessageKind::Accrual, 3);
        let found = placed.check(&first).unwrap_err();
        assert_eq!(
            (found.recorded, found.recomputed),
            ("(3, 0)".into(), "(2, 0)".into())
        );
        assert_eq!(placed.messages(), 3);
    }

    #[test]
    fn refused_messages_are_in_a_cycle_too() {
        let global = facts::blank();
        let empty = global.cycle(CycleNo(0)).unwrap();
        let mut placed = Placed::default();
        placed.message(&outcome(v1::ResultCode::InsufficientPoints));
        assert!(placed.check(empty).is_err());
    }
}
