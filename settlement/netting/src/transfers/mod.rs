//! MIN_TRANSFERS: the fewest payments that bring every member to its net position.
//!
//! Members split into groups whose positions sum to 0; a group of `s` members needs `s - 1` payments. So the fewest payments
//! are members less the most groups, which is NP-hard to find. Two members that match exactly are always a group of their own
//! in some best solution. Of the others, up to [`exact::MOST_MEMBERS`] are solved exactly. More are searched for small groups,
//! [`triples`] first and [`quads`] among what these leave; the last few are solved exactly again, or are one last group.
//!
//! Depends on the positions alone. Nobody both pays and receives, and what is paid is the net internal debt.

mod exact;
mod quads;
mod triples;

use crate::{
    obligation::{Party, Payment},
    quantity::Quantity,
};

/// A member with a position that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Balance<T> {
    net: T,
    member: u32,
}

/// Payments that settle the positions, by payer and payee.
pub(crate) fn payments<T: Quantity>(members: &[u32], nets: &[T]) -> Vec<Payment> {
    let mut balances: Vec<Balance<T>> = members
        .iter()
        .zip(nets)
        .filter(|(_, net)| **net != T::ZERO)
        .map(|(member, net)| Balance {
            net: *net,
            member: *member,
        })
        .collect();
    balances.sort_unstable();
    let mut payments = Vec::with_capacity(balances.len());
    let mut settle = |group: &[Balance<T>]| settle_group(group, &mut payments);

    let mut rest = take_matches(balances, &mut settle);
    if rest.len() > exact::MOST_MEMBERS {
        rest = triples::groups(rest, &mut settle);
        rest = quads::groups(rest, &mut settle);
    }
    if rest.len() <= exact::MOST_MEMBERS {
        exact::groups(&rest, &mut settle);
    } else {
        settle(&rest);
    }
    payments.sort_unstable();
    payments
}

/// Hands out the pairs that sum to 0; gives the others, still in order. The balances are in ascending order.
fn take_matches<T: Quantity>(
    balances: Vec<Balance<T>>,
    settle: &mut impl FnMut(&[Balance<T>]),
) -> Vec<Balance<T>> {
    let mut matched = vec![false; balances.len()];
    let (mut low, mut high) = (0, balances.len().saturating_sub(1));
    while low < high {
        match (balances[low].net + balances[high].net).cmp(&T::ZERO) {
            std::cmp::Ordering::Less => low += 1,
            std::cmp::Ordering::Greater => high -= 1,
            std::cmp::Ordering::Equal => {
                matched[low] = true;
                matched[high] = true;
                settle(&[balances[low], balances[high]]);
                low += 1;
                high -= 1;
            }
        }
    }
    let mut matched = matched.into_iter();
    let mut balances = balances;
    balances.retain(|_| !matched.next().unwrap_or(false));
    balances
}

/// Settles a group whose nets sum to 0 with one payment fewer than it has members: the first who still owes pays the first who
/// is still owed.
fn settle_group<T: Quantity>(group: &[Balance<T>], payments: &mut Vec<Payment>) {
    let mut debtors = group.iter().filter(|b| b.net < T::ZERO).copied();
    let mut creditors = group.iter().filter(|b| b.net > T::ZERO).copied();
    let (mut debtor, mut creditor) = (debtors.next(), creditors.next());
    while let (Some(from), Some(to)) = (&mut debtor, &mut creditor) {
        let amount = to.net.min(-from.net);
        payments.push(Payment {
            payer: Party::Member(from.member),
            payee: Party::Member(to.member),
            amount: amount.into(),
        });
        from.net += amount;
        to.net -= amount;
        if from.net == T::ZERO {
            debtor = debtors.next();
        }
        if to.net == T::ZERO {
            creditor = creditors.next();
        }
    }
}
