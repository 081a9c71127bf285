//! Statuses of a `pain.002` and the instructions that they are about. The status nearest to an instruction counts: its own,
//! else that of its block or message.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Difference, Direction, Expected, Field, Open, compare::is_same_name};
use crate::{Outcome, PaymentStatus, StatusLevel, amount::decimal};

/// What a bank says about one or more instructions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusMatch {
    /// The status, by its place in [`BankReport::statuses`](crate::BankReport::statuses).
    pub status: usize,
    /// What it means.
    pub outcome: Outcome,
    /// The instructions, in ascending order.
    pub instructions: Vec<String>,
    /// What differs all the same and does not matter for the money.
    pub differences: Vec<Difference>,
}

/// A status that belongs to no instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmatchedStatus {
    /// The status.
    pub status: usize,
    /// Why.
    pub reason: Open,
    /// What differs from the instruction that it names.
    pub differences: Vec<Difference>,
}

pub(super) fn match_statuses(
    expected: &[&Expected],
    statuses: &[PaymentStatus],
) -> (Vec<StatusMatch>, Vec<UnmatchedStatus>) {
    let of_level = |level| {
        let all = statuses.iter().enumerate();
        all.filter(move |(_, status)| status.level == level)
    };
    // Instructions that have a status at a nearer level, usable or not.
    let mut spoken_for = BTreeSet::new();
    let named: Vec<(usize, Vec<usize>)> = of_level(StatusLevel::Transaction)
        .map(|(place, status)| (place, named(expected, status)))
        .collect();
    let mut times = BTreeMap::<usize, usize>::new();
    for at in named.iter().flat_map(|(_, named)| named) {
        *times.entry(*at).or_default() += 1;
        spoken_for.insert(*at);
    }
    let mut matched = Vec::new();
    let mut unmatched = Vec::new();
    for (place, named) in named {
        let status = &statuses[place];
        let (reason, differences) = match named.as_slice() {
            [] => (Some(Open::Unknown), Vec::new()),
            // Of two statuses of a payment in one report, which one holds?
            [one] if times.get(one) == Some(&1) => {
                let differences = compare(expected[*one], status);
                let matters = differences.iter().any(|d| d.field.matters());
                (matters.then_some(Open::Differs), differences)
            }
            _ => (Some(Open::Ambiguous), Vec::new()),
        };
        match reason {
            Some(reason) => unmatched.push(UnmatchedStatus {
                status: place,
                reason,
                differences,
            }),
            None => matched.push(StatusMatch {
                status: place,
                outcome: status.code.outcome(),
                instructions: names(expected, &named),
                differences,
            }),
        }
    }
    for level in [StatusLevel::Payment, StatusLevel::Group] {
        for (place, status) in of_level(level) {
            // Only instructions that are known to be in the message.
            let in_it = |at: &usize| {
                let expected = expected[*at];
                expected.direction == Direction::Out
                    && expected.message_id.as_ref() == Some(&status.original_message_id)
            };
            let all: Vec<usize> = (0..expected.len()).filter(in_it).collect();
            if all.is_empty() {
                unmatched.push(UnmatchedStatus {
                    status: place,
                    reason: Open::Unknown,
                    differences: Vec::new(),
                });
                continue;
            }
            let reached: Vec<usize> = all
                .into_iter()
                .filter(|at| !spoken_for.contains(at))
                .collect();
            spoken_for.extend(&reached);
            matched.push(StatusMatch {
                status: place,
                outcome: status.code.outcome(),
                instructions: names(expected, &reached),
                differences: Vec::new(),
            });
        }
    }
    matched.sort_by_key(|found| found.status);
    unmatched.sort_by_key(|left| left.status);
    (matched, unmatched)
}

fn names(expected: &[&Expected], which: &[usize]) -> Vec<String> {
    which
        .iter()
        .map(|at| expected[*at].instruction_id.clone())
        .collect()
}

/// The instructions that a status of the transaction level names.
fn named(expected: &[&Expected], status: &PaymentStatus) -> Vec<usize> {
    let is_meant = |at: &usize| {
        let expected = expected[*at];
        expected.direction == Direction::Out
            && is_of_message(expected, status)
            && is_named(expected, status)
    };
    (0..expected.len()).filter(is_meant).collect()
}

/// Whether an instruction was in the message or block that a status is about.
fn is_of_message(expected: &Expected, status: &PaymentStatus) -> bool {
    expected
        .message_id
        .as_ref()
        .is_none_or(|id| *id == status.original_message_id)
}

fn is_named(expected: &Expected, status: &PaymentStatus) -> bool {
    match (&status.end_to_end_id, &status.instruction_id) {
        (Some(id), _) => *id == expected.end_to_end_id,
        (None, Some(id)) => *id == expected.instruction_id,
        (None, None) => false,
    }
}

fn compare(expected: &Expected, status: &PaymentStatus) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differs = |field, wanted: String, found: String| {
        differences.push(Difference {
            instruction_id: expected.instruction_id.clone(),
            field,
            expected: wanted,
            found,
        });
    };
    if let Some((minor, currency)) = status.amount {
        if currency != expected.currency {
            differs(
                Field::Currency,
                expected.currency.to_string(),
                currency.to_string(),
            );
        }
        if minor != expected.amount_minor {
            differs(
                Field::Amount,
                decimal(expected.amount_minor, expected.currency),
                decimal(minor, currency),
            );
        }
    }
    if let (Some(wanted), Some(found)) = (&expected.counterparty_account, &status.creditor_account)
        && !wanted.is_same(found)
    {
        differs(Field::Account, wanted.to_string(), found.to_string());
    }
    if let (Some(wanted), Some(found)) = (&expected.counterparty_name, &status.creditor_name)
        && !is_same_name(wanted, found)
    {
        differs(Field::Name, wanted.clone(), found.clone());
    }
    if let Some(found) = status
        .instruction_id
        .as_ref()
        .filter(|id| **id != expected.instruction_id)
    {
        differs(
            Field::InstructionId,
            expected.instruction_id.clone(),
            found.clone(),
        );
    }
    differences
}
