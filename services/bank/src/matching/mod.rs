//! What a bank reports beside what is expected: [`match_report`] has the rules. A file per group of steps.

mod compare;
mod ids;
mod statuses;
mod sums;

pub use compare::{Difference, Field};
pub use statuses::{StatusMatch, UnmatchedStatus};
pub use sums::MAX_SUMMANDS;

use hansa_money::Currency;
use serde::{Deserialize, Serialize};

use crate::{Account, BankItem, BankReport, EntryStatus, ReportKind, ReturnReason};

/// How many instructions are named beside an item that fits more than one.
const MAX_CANDIDATES: usize = 16;

/// What is expected on the account: an instruction that was handed to the bank, or a payment that somebody owes us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Our id of the instruction, unique among what is expected.
    pub instruction_id: String,
    /// The end-to-end id.
    pub end_to_end_id: String,
    /// The id of the message in which it went to the bank.
    pub message_id: Option<String>,
    /// Minor units, above 0.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// Whether money goes out or comes in.
    pub direction: Direction,
    /// The other side's account.
    pub counterparty_account: Option<Account>,
    /// The other side's name.
    pub counterparty_name: Option<String>,
    /// An earlier report confirmed it: only a return of it can still match.
    pub settled: bool,
}

/// Whether money leaves our account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// We pay.
    Out,
    /// We are paid.
    In,
}

/// What came of comparing a report with what is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// The bookings of the report; items are named by their place here.
    pub items: Vec<BankItem>,
    /// What belongs together.
    pub matches: Vec<Match>,
    /// Items that belong to nothing, with the reason.
    pub unmatched_items: Vec<UnmatchedItem>,
    /// What is expected, not settled before and in no match, with the reason. Empty for a `pain.002`, which books nothing.
    pub unmatched_expected: Vec<UnmatchedExpected>,
    /// Statuses of instructions (`pain.002`).
    pub statuses: Vec<StatusMatch>,
    /// Statuses that belong to no instruction, with the reason.
    pub unmatched_statuses: Vec<UnmatchedStatus>,
}

/// Instructions and items that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// How many of each.
    pub kind: MatchKind,
    /// What they were found by.
    pub by: MatchedBy,
    /// The instructions' ids, in ascending order.
    pub instructions: Vec<String>,
    /// The items, in the order of the report.
    pub items: Vec<usize>,
    /// The money came back instead of being paid.
    pub returned: Option<ReturnReason>,
    /// What differs all the same and does not matter for the money.
    pub differences: Vec<Difference>,
}

/// How many instructions and items a match has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MatchKind {
    /// One instruction, one item.
    OneToOne,
    /// One instruction, several items.
    OneToN,
    /// Several instructions, one item.
    NToOne,
}

impl MatchKind {
    /// The name that people and programs see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "ONE_TO_ONE",
            Self::OneToN => "ONE_TO_N",
            Self::NToOne => "N_TO_ONE",
        }
    }
}

/// What a match was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MatchedBy {
    /// The end-to-end id, or the instruction id.
    Id,
    /// The id of our message.
    Batch,
    /// An id in the remittance information.
    Text,
    /// The other side's account and the amount.
    AccountAndAmount,
    /// The other side's account and the sum.
    Sum,
}

/// An item that belongs to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmatchedItem {
    /// The item.
    pub item: usize,
    /// Why.
    pub reason: Open,
    /// The instructions that it looks like, in ascending order; at most 16.
    pub candidates: Vec<String>,
    /// What differs from them.
    pub differences: Vec<Difference>,
}

/// Something expected that was not found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmatchedExpected {
    /// The instruction.
    pub instruction_id: String,
    /// Why.
    pub reason: Open,
}

/// Why something stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Open {
    /// The bank has not booked it.
    NotBooked,
    /// Nothing like it is there.
    Unknown,
    /// Its id is known, but amount, currency, direction or account differs.
    Differs,
    /// It fits more than one way.
    Ambiguous,
    /// Its instruction was confirmed by an earlier report, and it fits: the same booking in another report, or a second
    /// payment. The bank's reference tells them apart.
    SettledBefore,
    /// More candidates for a sum than are tried.
    TooMany,
}

impl Open {
    /// What to say to people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NotBooked => "the bank has not booked it",
            Self::Unknown => "nothing like it is there",
            Self::Differs => "its id is known, but amount, currency, direction or account differs",
            Self::Ambiguous => "it fits more than one way",
            Self::SettledBefore => "its instruction was confirmed by an earlier report",
            Self::TooMany => "more candidates for a sum than are tried",
        }
    }
}

/// Compares a report with what is expected. It proposes; it posts nothing and changes nothing.
///
/// Only booked items are money. They are matched in this order, each step with what the steps before left open:
///
/// 1. **Returns** (an item that gives money back) with the instruction that they give back: by its ids, else by account and
///    amount where exactly one fits. The amount must be the instruction's.
/// 2. **End-to-end id**, else instruction id. Several items of one instruction match when they add up to it.
/// 3. **Batch**: an entry without its payments, by the id of our message, with all open instructions of that message.
/// 4. **Reference in the text**: an id of an instruction as a word of the remittance information or as creditor reference, for
///    money that others send us with ids of their own.
/// 5. **Account and amount**, where each is the other's only candidate.
/// 6. **Sums** of one account: several instructions in one item or several items for one instruction, where exactly one
///    combination of at most [`MAX_SUMMANDS`] candidates fits and touches no other such combination.
///
/// Never a guess: what fits two ways, and what is known by its id but differs in amount, currency, direction or account, stays
/// open with the reason, and no later step takes it. A name that differs, or an id that differs where another step matched, is
/// reported with the match. The same input gives the same answer, whatever the order of the expectations.
///
/// Costs: a few ordered maps; step 6 at most 2^[`MAX_SUMMANDS`] steps per item or instruction that is still open.
#[must_use]
pub fn match_report(expected: &[Expected], report: &BankReport) -> Matching {
    let items = report.items();
    // By id, so that the order of the expectations does not matter.
    let mut expected: Vec<&Expected> = expected.iter().collect();
    expected.sort_by(|a, b| {
        let key = |e: &&Expected| (e.instruction_id.clone(), e.end_to_end_id.clone());
        key(a).cmp(&key(b))
    });
    let mut matcher = Matcher::new(&expected, &items);
    matcher.returns();
    matcher.ids();
    matcher.batches();
    matcher.texts();
    matcher.accounts();
    matcher.sums();
    let (matches, unmatched_items, mut unmatched_expected) = matcher.finish();
    if report.kind == ReportKind::PaymentStatus {
        unmatched_expected.clear();
    }
    let (statuses, unmatched_statuses) = statuses::match_statuses(&expected, &report.statuses);
    Matching {
        items,
        matches,
        unmatched_items,
        unmatched_expected,
        statuses,
        unmatched_statuses,
    }
}

/// Why an item stays open, and what it looks like.
#[derive(Clone, Debug)]
struct Held {
    reason: Open,
    candidates: Vec<usize>,
    differences: Vec<Difference>,
}

struct Matcher<'a> {
    expected: &'a [&'a Expected],
    items: &'a [BankItem],
    matches: Vec<Match>,
    item_matched: Vec<bool>,
    item_held: Vec<Option<Held>>,
    expected_matched: Vec<bool>,
    expected_held: Vec<Option<Open>>,
    /// What accounts of both sides are compared by first.
    expected_accounts: Vec<Option<String>>,
    item_accounts: Vec<Option<String>>,
}

impl<'a> Matcher<'a> {
    fn new(expected: &'a [&'a Expected], items: &'a [BankItem]) -> Self {
        Self {
            expected,
            items,
            matches: Vec::new(),
            item_matched: vec![false; items.len()],
            item_held: vec![None; items.len()],
            expected_matched: vec![false; expected.len()],
            expected_held: vec![None; expected.len()],
            expected_accounts: expected
                .iter()
                .map(|e| e.counterparty_account.as_ref().map(Account::key))
                .collect(),
            item_accounts: items
                .iter()
                .map(|item| item.counterparty.account.as_ref().map(Account::key))
                .collect(),
        }
    }

    /// Booked items that nothing has taken or held yet.
    fn open_items(&self, returned: bool) -> Vec<usize> {
        let is_open = |at: &usize| {
            let item = &self.items[*at];
            item.status == EntryStatus::Booked
                && item.returned.is_some() == returned
                && item.amount_minor != 0
                && !self.item_matched[*at]
                && self.item_held[*at].is_none()
        };
        (0..self.items.len()).filter(is_open).collect()
    }

    /// Expectations that nothing has taken, held or settled yet.
    fn open_expected(&self) -> Vec<usize> {
        let is_open = |at: &usize| {
            let expected = self.expected[*at];
            !expected.settled
                && expected.amount_minor > 0
                && !self.expected_matched[*at]
                && self.expected_held[*at].is_none()
        };
        (0..self.expected.len()).filter(is_open).collect()
    }

    fn accept(&mut self, by: MatchedBy, expected: &[usize], items: &[usize]) {
        let kind = match (expected, items) {
            ([_], [_]) => MatchKind::OneToOne,
            ([_], _) => MatchKind::OneToN,
            _ => MatchKind::NToOne,
        };
        let mut differences = Vec::new();
        for item in items {
            for at in expected {
                let found = compare::compare(self.expected[*at], &self.items[*item]);
                differences.extend(found.into_iter().filter(|d| match d.field {
                    // Of a sum each part has an amount of its own.
                    Field::Amount => kind == MatchKind::OneToOne,
                    _ => true,
                }));
            }
        }
        let returned = items
            .first()
            .and_then(|at| self.items[*at].returned.clone());
        for at in items {
            self.item_matched[*at] = true;
        }
        if returned.is_none() {
            for at in expected {
                self.expected_matched[*at] = true;
            }
        }
        self.matches.push(Match {
            kind,
            by,
            instructions: self.names(expected),
            items: items.to_vec(),
            returned,
            differences,
        });
    }

    /// Leaves items open, and what they look like with them.
    fn hold(&mut self, reason: Open, expected: &[usize], items: &[usize]) {
        self.hold_items(reason, expected, items);
        self.hold_expected(reason, expected);
    }

    fn hold_expected(&mut self, reason: Open, expected: &[usize]) {
        for at in expected {
            self.expected_held[*at].get_or_insert(reason);
        }
    }

    fn hold_items(&mut self, reason: Open, expected: &[usize], items: &[usize]) {
        for item in items {
            let mut differences = Vec::new();
            if reason == Open::Differs {
                for at in expected.iter().take(MAX_CANDIDATES) {
                    differences.extend(compare::compare(self.expected[*at], &self.items[*item]));
                }
            }
            self.hold_with(reason, expected, *item, differences);
        }
    }

    fn hold_with(
        &mut self,
        reason: Open,
        expected: &[usize],
        item: usize,
        differences: Vec<Difference>,
    ) {
        self.item_held[item].get_or_insert_with(|| Held {
            reason,
            candidates: expected.iter().take(MAX_CANDIDATES).copied().collect(),
            differences,
        });
    }

    fn names(&self, expected: &[usize]) -> Vec<String> {
        let mut names: Vec<_> = expected
            .iter()
            .map(|at| self.expected[*at].instruction_id.clone())
            .collect();
        names.sort();
        names
    }

    fn finish(mut self) -> (Vec<Match>, Vec<UnmatchedItem>, Vec<UnmatchedExpected>) {
        let mut unmatched_items = Vec::new();
        for at in 0..self.items.len() {
            if self.item_matched[at] {
                continue;
            }
            let held = self.item_held[at].take().unwrap_or_else(|| Held {
                reason: match self.items[at].status {
                    EntryStatus::Booked => Open::Unknown,
                    EntryStatus::Pending | EntryStatus::Information | EntryStatus::Future => {
                        Open::NotBooked
                    }
                },
                candidates: Vec::new(),
                differences: Vec::new(),
            });
            unmatched_items.push(UnmatchedItem {
                item: at,
                reason: held.reason,
                candidates: self.names(&held.candidates),
                differences: held.differences,
            });
        }
        let unmatched_expected = (0..self.expected.len())
            .filter(|at| !self.expected[*at].settled && !self.expected_matched[*at])
            .map(|at| UnmatchedExpected {
                instruction_id: self.expected[at].instruction_id.clone(),
                reason: self.expected_held[at].unwrap_or(Open::NotBooked),
            })
            .collect();
        let mut matches = self.matches;
        matches.sort_by(|a, b| (&a.items, &a.instructions).cmp(&(&b.items, &b.instructions)));
        (matches, unmatched_items, unmatched_expected)
    }
}
