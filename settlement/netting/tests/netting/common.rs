//! What several tests use: obligations from a strategy, and a few ways to look at a result.

use std::collections::{BTreeMap, BTreeSet};

use hansa_netting::{Method, Netting, Obligation, Party, Payment, Policy, net};
use proptest::prelude::*;

/// The methods that [`net`] runs.
pub(crate) const METHODS: [Method; 5] = [
    Method::Gross,
    Method::Bilateral,
    Method::CycleClearing,
    Method::Multilateral,
    Method::MinTransfers,
];

pub(crate) fn owes(debtor: u32, creditor: u32, amount: i64) -> Obligation {
    Obligation {
        debtor,
        creditor,
        amount,
    }
}

pub(crate) fn run(obligations: &[Obligation], method: Method) -> Netting {
    net(obligations, method, Policy::default()).unwrap()
}

/// Obligations among up to `members`, with debts to oneself, amounts of 0, parallel and reciprocal ones.
pub(crate) fn obligations(
    members: u32,
    count: usize,
    amount: impl Strategy<Value = i64>,
) -> impl Strategy<Value = Vec<Obligation>> {
    let one = (0..members, 0..members, amount);
    proptest::collection::vec(one.prop_map(|(d, c, a)| owes(d, c, a)), 0..=count)
}

/// Amounts of every size: 0, small, past 2^31, past 2^53 and near the largest.
pub(crate) fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0_i64..10,
        4 => 1_i64..1_000_000,
        1 => (1_i64 << 31)..(1 << 33),
        1 => (1_i64 << 53)..(1 << 55),
        1 => i64::MAX - 2..=i64::MAX,
    ]
}

/// Net positions, added up without the crate; members at 0 are left out.
pub(crate) fn nets(obligations: &[Obligation]) -> BTreeMap<u32, i128> {
    let mut nets = BTreeMap::new();
    for o in obligations {
        *nets.entry(o.debtor).or_default() -= i128::from(o.amount);
        *nets.entry(o.creditor).or_default() += i128::from(o.amount);
    }
    nets.retain(|_, net| *net != 0);
    nets
}

/// What payments bring each member; members at 0 and the hub, if it ends at 0, are left out.
pub(crate) fn brought(payments: &[Payment]) -> BTreeMap<Party, i128> {
    let mut nets = BTreeMap::new();
    for payment in payments {
        *nets.entry(payment.payer).or_default() -= payment.amount;
        *nets.entry(payment.payee).or_default() += payment.amount;
    }
    nets.retain(|_, net| *net != 0);
    nets
}

/// What each two owe in one direction.
pub(crate) fn relations(obligations: &[Obligation]) -> BTreeMap<(u32, u32), i128> {
    let mut relations = BTreeMap::new();
    for o in obligations.iter().filter(|o| o.amount > 0) {
        *relations.entry((o.debtor, o.creditor)).or_default() += i128::from(o.amount);
    }
    relations
}

/// Whether payments between members run in a circle.
pub(crate) fn has_cycle(payments: &[Payment]) -> bool {
    let mut left: BTreeSet<(Party, Party)> = payments
        .iter()
        .map(|payment| (payment.payer, payment.payee))
        .collect();
    loop {
        let payers: BTreeSet<Party> = left.iter().map(|(payer, _)| *payer).collect();
        let before = left.len();
        // Who pays nobody is at the end of no cycle.
        left.retain(|(_, payee)| payers.contains(payee));
        if left.len() == before {
            return before > 0;
        }
    }
}

/// The obligations that payments stand for.
pub(crate) fn as_obligations(payments: &[Payment]) -> Vec<Obligation> {
    payments
        .iter()
        .map(|payment| match (payment.payer, payment.payee) {
            (Party::Member(payer), Party::Member(payee)) => {
                owes(payer, payee, i64::try_from(payment.amount).unwrap())
            }
            _ => panic!("the hub has no obligations"),
        })
        .collect()
}
