//! How much money the members must bring so that a list of payments can be made.

use std::collections::BTreeMap;

use crate::{
    book::accumulate,
    components::components,
    obligation::{Party, Payment},
};

/// The sum, over all parties, of what each pays beyond what it has received by then, in minor units.
///
/// A payment can use money that came before it. Where payments form no loop, an order exists in which every party receives
/// all before it pays; so the sum is the net internal debt. Inside of a loop nobody can wait for the others: what is received
/// from members of the same loop counts as too late.
#[must_use]
pub fn liquidity(payments: &[Payment]) -> i128 {
    let mut index: BTreeMap<Party, u32> = BTreeMap::new();
    for payment in payments {
        index.insert(payment.payer, 0);
        index.insert(payment.payee, 0);
    }
    for (at, place) in (0..).zip(index.values_mut()) {
        *place = at;
    }
    let ends: Vec<(u32, u32)> = payments
        .iter()
        .map(|payment| (index[&payment.payer], index[&payment.payee]))
        .collect();
    let mut from = vec![0_u32; index.len() + 1];
    for (payer, _) in &ends {
        from[*payer as usize + 1] += 1;
    }
    accumulate(&mut from);
    let mut next = from.clone();
    let mut payees = vec![0_u32; ends.len()];
    for (payer, payee) in &ends {
        let at = &mut next[*payer as usize];
        payees[*at as usize] = *payee;
        *at += 1;
    }
    let loops = components(&from, &payees, |_| true);

    let mut needs = vec![0_i128; index.len()];
    for ((payer, payee), payment) in ends.iter().zip(payments) {
        needs[*payer as usize] += payment.amount;
        if loops.of[*payer as usize] != loops.of[*payee as usize] {
            needs[*payee as usize] -= payment.amount;
        }
    }
    needs.into_iter().filter(|need| *need > 0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pay(payer: u32, payee: u32, amount: i128) -> Payment {
        Payment {
            payer: Party::Member(payer),
            payee: Party::Member(payee),
            amount,
        }
    }

    #[test]
    fn money_is_used_again_along_a_chain_but_not_around_a_loop() {
        assert_eq!(liquidity(&[]), 0);
        assert_eq!(liquidity(&[pay(1, 2, 5), pay(2, 3, 5)]), 5);
        assert_eq!(liquidity(&[pay(1, 2, 5), pay(2, 1, 5)]), 10);
        assert_eq!(liquidity(&[pay(1, 1, 5)]), 5);
        // 9 brings 4 to 1, which then needs 1 of its own.
        assert_eq!(liquidity(&[pay(1, 2, 5), pay(2, 1, 5), pay(9, 1, 4)]), 10);
    }
}
