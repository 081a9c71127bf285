//! CLEARING_VECTOR: what each member pays when some cannot pay all (Eisenberg and Noe 2001): limited liability, debts before
//! the member's own wealth, pro rata among creditors. Run it on what another method leaves.
//!
//! In whole minor units, by this rule: a member that can pay `q` of the `p` that it owes pays each creditor
//! `floor(q x debt / p)`. What the floors leave, fewer units than it has creditors, it keeps. So each payment rises with `q`,
//! a greatest solution exists (Tarski), and the iteration from full payment downwards ends in it, in whatever order members
//! are looked at. Every other solution pays nobody more.
//!
//! Costs one look at a member's debts each time that it falls. A loop of defaulters that leaks little is gone round often;
//! after [`MOST_STEPS`] payments the run is refused.

use std::collections::VecDeque;

use crate::{
    book::{Book, Survey},
    obligation::{NettingError, Obligation, Party, Payment},
};

/// Payments that are recomputed at the most: seconds.
const MOST_STEPS: u64 = 100_000_000;

/// What a member has to pay with, beside what others pay it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endowment {
    /// The member.
    pub member: u32,
    /// Minor units, at least 0.
    pub amount: i64,
}

/// A member's part in a clearing vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clearing {
    /// The member.
    pub member: u32,
    /// What it owes others.
    pub owes: i64,
    /// What it pays them.
    pub pays: i64,
    /// What others pay it.
    pub receives: i128,
    /// What it has beside that.
    pub endowment: i64,
}

impl Clearing {
    /// Whether it cannot pay all.
    #[must_use]
    pub fn defaults(&self) -> bool {
        self.pays < self.owes
    }

    /// What it has left; for a member that defaults, fewer units than it has creditors.
    #[must_use]
    pub fn keeps(&self) -> i128 {
        i128::from(self.endowment) + self.receives - i128::from(self.pays)
    }
}

/// The greatest clearing vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearingVector {
    /// Everyone who owes, is owed or has something, by member.
    pub members: Vec<Clearing>,
    /// What is paid of each obligation; between the same two, older ones first. A debt to oneself counts as paid.
    pub paid: Vec<i64>,
    /// Who pays whom what, by payer and payee.
    pub payments: Vec<Payment>,
}

/// Computes the greatest clearing vector of obligations in one currency. A member without an endowment has 0.
///
/// # Errors
/// Negative amounts, a member with two endowments, a member that owes or has more than an `i64` holds, and defaults that go
/// around too long.
pub fn clearing_vector(
    obligations: &[Obligation],
    endowments: &[Endowment],
) -> Result<ClearingVector, NettingError> {
    let survey = Survey::of(obligations)?;
    let book = Book::<i128>::of(obligations, &survey);
    let endowments = checked(endowments)?;
    let debts = Debts::of(&book, &endowments)?;
    let able = debts.greatest()?;

    let mut paid = vec![0_i128; book.amount.len()];
    let mut payments = vec![];
    let mut pays = vec![0_i64; book.members.len()];
    let mut receives = vec![0_i128; book.members.len()];
    for (debtor, creditor, pair) in book.pairs() {
        if debtor == creditor {
            paid[pair] = book.amount[pair];
            continue;
        }
        let part = debts.part(debtor as usize, pair, able[debtor as usize]);
        paid[pair] = part.into();
        pays[debtor as usize] += part;
        receives[creditor as usize] += i128::from(part);
        if part > 0 {
            payments.push(Payment {
                payer: Party::Member(book.members[debtor as usize]),
                payee: Party::Member(book.members[creditor as usize]),
                amount: part.into(),
            });
        }
    }
    let mut members: Vec<Clearing> = book
        .members
        .iter()
        .enumerate()
        .map(|(i, member)| Clearing {
            member: *member,
            owes: debts.owes[i],
            pays: pays[i],
            receives: receives[i],
            endowment: debts.endowment[i],
        })
        .collect();
    let idle = endowments
        .iter()
        .filter(|endowment| book.members.binary_search(&endowment.member).is_err());
    members.extend(idle.map(|endowment| Clearing {
        member: endowment.member,
        owes: 0,
        pays: 0,
        receives: 0,
        endowment: endowment.amount,
    }));
    members.sort_unstable();
    Ok(ClearingVector {
        members,
        paid: book.split(&paid, obligations),
        payments,
    })
}

/// Endowments by member, each once and at least 0.
fn checked(endowments: &[Endowment]) -> Result<Vec<Endowment>, NettingError> {
    let mut sorted = endowments.to_vec();
    sorted.sort_unstable();
    for (i, endowment) in sorted.iter().enumerate() {
        let Endowment { member, amount } = *endowment;
        if i > 0 && sorted[i - 1].member == member {
            return Err(NettingError::TwoEndowments { member });
        }
        if amount < 0 {
            return Err(NettingError::NegativeEndowment { member, amount });
        }
    }
    Ok(sorted)
}

/// Who owes what with what means.
struct Debts<'a> {
    book: &'a Book<i128>,
    /// What each member owes others.
    owes: Vec<i64>,
    /// What each member has.
    endowment: Vec<i64>,
}

impl<'a> Debts<'a> {
    fn of(book: &'a Book<i128>, endowments: &[Endowment]) -> Result<Self, NettingError> {
        let mut owes = vec![0_i128; book.members.len()];
        for (debtor, creditor, pair) in book.pairs() {
            if debtor != creditor {
                owes[debtor as usize] += book.amount[pair];
            }
        }
        let narrow = |(member, owes): (&u32, i128)| {
            i64::try_from(owes).map_err(|_| NettingError::TooLarge { member: *member })
        };
        let owes = book
            .members
            .iter()
            .zip(owes)
            .map(narrow)
            .collect::<Result<_, _>>()?;
        let mut endowment = vec![0; book.members.len()];
        for Endowment { member, amount } in endowments {
            if let Ok(i) = book.members.binary_search(member) {
                endowment[i] = *amount;
            }
        }
        Ok(Self {
            book,
            owes,
            endowment,
        })
    }

    /// What a member that can pay so much pays of one of its pairs.
    fn part(&self, debtor: usize, pair: usize, able: i64) -> i64 {
        let (amount, owes) = (self.book.amount[pair], self.owes[debtor].max(1));
        // At most the pair's amount, which is at most what the member owes: an `i64`.
        match (u32::try_from(able), u32::try_from(amount)) {
            (Ok(able), Ok(amount)) => (u64::from(able) * u64::from(amount) / owes as u64) as i64,
            _ => (i128::from(able) * amount / i128::from(owes)) as i64,
        }
    }

    /// What each member can pay of what it owes, in the greatest solution.
    fn greatest(&self) -> Result<Vec<i64>, NettingError> {
        let mut able = self.owes.clone();
        // What each member has when all pay `able`.
        let mut means: Vec<i128> = self.endowment.iter().map(|e| i128::from(*e)).collect();
        for (debtor, creditor, pair) in self.book.pairs() {
            if debtor != creditor {
                means[creditor as usize] += self.book.amount[pair];
            }
        }
        let short = |means: &[i128], able: &[i64], i: usize| means[i] < i128::from(able[i]);
        let mut waiting = vec![false; able.len()];
        let mut queue: VecDeque<usize> = VecDeque::new();
        for (i, waiting) in waiting.iter_mut().enumerate() {
            if short(&means, &able, i) {
                *waiting = true;
                queue.push_back(i);
            }
        }
        let mut steps = 0;
        while let Some(debtor) = queue.pop_front() {
            waiting[debtor] = false;
            let before = able[debtor];
            // Below `before`, as it is short.
            able[debtor] = means[debtor] as i64;
            let pairs = self.book.pairs_of(debtor as u32);
            steps += pairs.len() as u64;
            if steps > MOST_STEPS {
                return Err(NettingError::Unsettled { steps });
            }
            for pair in pairs {
                let creditor = self.book.creditor[pair] as usize;
                if creditor == debtor {
                    continue;
                }
                let less = self.part(debtor, pair, before) - self.part(debtor, pair, able[debtor]);
                means[creditor] -= i128::from(less);
                if less > 0 && !waiting[creditor] && short(&means, &able, creditor) {
                    waiting[creditor] = true;
                    queue.push_back(creditor);
                }
            }
        }
        Ok(able)
    }
}
