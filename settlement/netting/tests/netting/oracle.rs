//! Against other ways to the same answer: enumeration, cancelling of negative cycles, all partitions, all clearing vectors.

use std::collections::BTreeMap;

use crate::common::*;
use hansa_netting::{
    Endowment, Method, NettingError, Obligation, clearing_vector,
    oblgen::{Family, Oblgen},
};
use proptest::prelude::*;

/// The most that a circulation clears, by trying every amount of every pair.
fn by_enumeration(pairs: &[((u32, u32), i128)]) -> i128 {
    fn go(pairs: &[((u32, u32), i128)], nets: &mut BTreeMap<u32, i128>, cleared: i128) -> i128 {
        let Some((((debtor, creditor), amount), others)) = pairs.split_first() else {
            return if nets.values().all(|net| *net == 0) {
                cleared
            } else {
                -1
            };
        };
        let mut best = -1;
        for part in 0..=*amount {
            *nets.entry(*debtor).or_default() -= part;
            *nets.entry(*creditor).or_default() += part;
            best = best.max(go(others, nets, cleared + part));
            *nets.entry(*debtor).or_default() += part;
            *nets.entry(*creditor).or_default() -= part;
        }
        best
    }
    go(pairs, &mut BTreeMap::new(), 0)
}

/// The most that a circulation clears, by Klein's algorithm: as long as Bellman and Ford find a cycle in which clearing more of
/// some and less of others gains, use it up.
fn by_cancelling(pairs: &[((u32, u32), i128)], members: usize) -> i128 {
    // Tail, head, gain, what can still flow; the reverse of arc i is arc i ^ 1.
    let mut arcs: Vec<(usize, usize, i64, i128)> = vec![];
    for ((debtor, creditor), amount) in pairs {
        arcs.push((*debtor as usize, *creditor as usize, 1, *amount));
        arcs.push((*creditor as usize, *debtor as usize, -1, 0));
    }
    loop {
        let mut gain = vec![0_i64; members];
        let mut came_by = vec![usize::MAX; members];
        let mut last = None;
        for _ in 0..members {
            last = None;
            for (i, (tail, head, worth, room)) in arcs.iter().enumerate() {
                if *room > 0 && gain[*tail] + worth > gain[*head] {
                    gain[*head] = gain[*tail] + worth;
                    came_by[*head] = i;
                    last = Some(*head);
                }
            }
        }
        let Some(mut on_cycle) = last else {
            break;
        };
        for _ in 0..members {
            on_cycle = arcs[came_by[on_cycle]].0;
        }
        let mut cycle = vec![];
        let mut at = on_cycle;
        loop {
            cycle.push(came_by[at]);
            at = arcs[came_by[at]].0;
            if at == on_cycle {
                break;
            }
        }
        let amount = cycle.iter().map(|i| arcs[*i].3).min().unwrap();
        for i in cycle {
            arcs[i].3 -= amount;
            arcs[i ^ 1].3 += amount;
        }
    }
    arcs.iter().skip(1).step_by(2).map(|arc| arc.3).sum()
}

/// The most groups that sum to 0, by all partitions.
fn most_groups(nets: &[i128]) -> usize {
    fn go(left: &[i128], groups: &mut Vec<i128>) -> usize {
        let Some((net, others)) = left.split_first() else {
            return if groups.iter().all(|sum| *sum == 0) {
                groups.len()
            } else {
                0
            };
        };
        let mut best = 0;
        for i in 0..groups.len() {
            groups[i] += net;
            best = best.max(go(others, groups));
            groups[i] -= net;
        }
        groups.push(*net);
        best = best.max(go(others, groups));
        groups.pop();
        best
    }
    go(nets, &mut vec![])
}

proptest! {
    #[test]
    fn cycle_clearing_equals_enumeration(list in obligations(4, 9, 0_i64..4)) {
        let pairs: Vec<_> = relations(&list).into_iter().collect();
        prop_assume!(pairs.iter().map(|(_, amount)| (amount + 1) as u64).product::<u64>() < 300_000);
        prop_assert_eq!(run(&list, Method::CycleClearing).set_off(), by_enumeration(&pairs));
    }

    #[test]
    fn cycle_clearing_equals_cancelling_of_cycles(list in obligations(6, 40, amounts())) {
        let pairs: Vec<_> = relations(&list).into_iter().collect();
        prop_assert_eq!(run(&list, Method::CycleClearing).set_off(), by_cancelling(&pairs, 6));
    }

    #[test]
    fn cycle_clearing_equals_cancelling_where_ways_are_long(
        amounts in proptest::collection::vec(0_i64..30, 60),
        chords in proptest::collection::vec((0_u32..60, 1_u32..5, 0_i64..9), 0..40),
    ) {
        let ring = amounts.iter().enumerate().map(|(i, amount)| owes(i as u32, (i as u32 + 1) % 60, *amount));
        let chords = chords.into_iter().map(|(at, by, amount)| owes((at + by) % 60, at, amount));
        let list: Vec<_> = ring.chain(chords).collect();
        let pairs: Vec<_> = relations(&list).into_iter().collect();
        prop_assert_eq!(run(&list, Method::CycleClearing).set_off(), by_cancelling(&pairs, 60));
    }

    #[test]
    fn fewest_payments_equal_all_partitions(list in obligations(9, 20, 0_i64..12)) {
        let nets: Vec<i128> = nets(&list).into_values().collect();
        let netting = run(&list, Method::MinTransfers);
        prop_assert_eq!(netting.payments.len(), nets.len() - most_groups(&nets));
    }

    #[test]
    fn a_clearing_vector_is_the_greatest_of_all(
        list in obligations(3, 6, 0_i64..7),
        means in proptest::array::uniform3(0_i64..9),
    ) {
        let endowments: Vec<_> = (0..).zip(means).map(|(member, amount)| Endowment { member, amount }).collect();
        let found = clearing_vector(&list, &endowments).unwrap();
        let debts = relations(&list);
        let owes: Vec<i128> = (0..3)
            .map(|i| debts.iter().filter(|((d, c), _)| *d == i && *c != i).map(|(_, a)| *a).sum())
            .collect();
        let part = |i: usize, j: usize, able: i128| {
            let debt = debts.get(&(i as u32, j as u32)).copied().unwrap_or(0);
            if i == j || owes[i] == 0 { 0 } else { able * debt / owes[i] }
        };
        // Every vector of what each can pay that is its own consequence.
        let mut greatest = [0_i128; 3];
        for a in 0..=owes[0] {
            for b in 0..=owes[1] {
                for c in 0..=owes[2] {
                    let able = [a, b, c];
                    let consistent = (0..3).all(|i| {
                        let received: i128 = (0..3).map(|j| part(j, i, able[j])).sum();
                        able[i] == owes[i].min(i128::from(means[i]) + received)
                    });
                    if consistent {
                        for i in 0..3 {
                            greatest[i] = greatest[i].max(able[i]);
                        }
                    }
                }
            }
        }
        for clearing in &found.members {
            let i = clearing.member as usize;
            prop_assert_eq!(i128::from(clearing.owes), owes[i]);
            let pays: i128 = (0..3).map(|j| part(i, j, greatest[i])).sum();
            prop_assert_eq!(i128::from(clearing.pays), pays);
        }
    }

    #[test]
    fn a_clearing_vector_keeps_its_rules(
        list in obligations(8, 40, 0_i64..1_000),
        means in proptest::collection::vec(0_i64..2_000, 8),
        more in 0_usize..8,
    ) {
        let endow = |means: &[i64]| -> Vec<Endowment> {
            (0..).zip(means).map(|(member, amount)| Endowment { member, amount: *amount }).collect()
        };
        let found = clearing_vector(&list, &endow(&means)).unwrap();
        let debts = relations(&list);
        prop_assert_eq!(found.members.iter().map(|c| i128::from(c.pays)).sum::<i128>(),
            found.members.iter().map(|c| c.receives).sum::<i128>());
        for clearing in &found.members {
            let creditors = debts.keys().filter(|(d, c)| *d == clearing.member && *c != *d).count();
            prop_assert!(clearing.pays <= clearing.owes && clearing.keeps() >= 0);
            if clearing.defaults() {
                prop_assert!(clearing.keeps() < creditors as i128);
            }
            // Every creditor within one unit of its share of what the member has to pay with.
            let able = (i128::from(clearing.endowment) + clearing.receives).min(i128::from(clearing.owes));
            for payment in found.payments.iter().filter(|p| p.payer == hansa_netting::Party::Member(clearing.member)) {
                let hansa_netting::Party::Member(payee) = payment.payee else { panic!("no hub here") };
                let exact = able * debts[&(clearing.member, payee)];
                let off = exact - payment.amount * i128::from(clearing.owes);
                prop_assert!((0..i128::from(clearing.owes)).contains(&off));
            }
        }
        for (o, paid) in list.iter().zip(&found.paid) {
            prop_assert!((0..=o.amount).contains(paid));
        }
        // Nobody pays less when somebody has more.
        let mut richer = means.clone();
        richer[more] += 100;
        let better = clearing_vector(&list, &endow(&richer)).unwrap();
        for (before, after) in found.members.iter().zip(&better.members) {
            prop_assert_eq!(before.member, after.member);
            prop_assert!(before.pays <= after.pays);
        }
        // Who has enough pays all.
        let enough = clearing_vector(&list, &endow(&[40_000; 8])).unwrap();
        prop_assert!(enough.members.iter().all(|clearing| !clearing.defaults()));
    }
}

#[test]
fn the_textbook_default_is_shared_pro_rata() {
    // 1 owes 2 and 3, has 60 of 100; 2 owes 3 and is pulled down.
    let list = [owes(1, 2, 75), owes(1, 3, 25), owes(2, 3, 50)];
    let has = |member, amount| Endowment { member, amount };
    let found = clearing_vector(&list, &[has(1, 60), has(2, 0), has(9, 4)]).unwrap();
    assert_eq!(found.paid, [45, 15, 45]);
    let defaults: Vec<_> = found
        .members
        .iter()
        .map(|c| (c.member, c.defaults(), c.keeps()))
        .collect();
    assert_eq!(
        defaults,
        [(1, true, 0), (2, true, 0), (3, false, 60), (9, false, 4)]
    );
}

#[test]
fn a_loop_that_pays_itself_is_paid() {
    // Nobody has anything, yet all can pay: the greatest vector, not the least.
    let list = [owes(1, 2, 10), owes(2, 1, 10)];
    let found = clearing_vector(&list, &[]).unwrap();
    assert_eq!(found.paid, [10, 10]);
}

#[test]
fn means_that_make_no_sense_are_refused() {
    let list = [owes(1, 2, i64::MAX), owes(1, 3, 1)];
    let has = |member, amount| Endowment { member, amount };
    let refusal = |list: &[Obligation], has: &[Endowment]| clearing_vector(list, has).unwrap_err();
    assert_eq!(refusal(&list, &[]), NettingError::TooLarge { member: 1 });
    assert_eq!(
        refusal(&list[..1], &[has(2, -5)]),
        NettingError::NegativeEndowment {
            member: 2,
            amount: -5
        }
    );
    assert_eq!(
        refusal(&list[..1], &[has(2, 5), has(2, 5)]),
        NettingError::TwoEndowments { member: 2 }
    );
    let found = clearing_vector(&list[..1], &[has(1, i64::MAX - 1)]).unwrap();
    assert_eq!(found.paid, [i64::MAX - 1]);
}

#[test]
fn a_loop_that_leaks_one_unit_in_a_billion_is_refused_not_left_running() {
    let billion = 1_000_000_000;
    let list = [owes(1, 2, billion), owes(1, 3, 1), owes(2, 1, billion - 5)];
    let refused = clearing_vector(&list, &[]).unwrap_err();
    assert!(
        matches!(refused, NettingError::Unsettled { .. }),
        "{refused}"
    );
}

#[test]
fn defaults_of_a_network_settle() {
    let oblgen = Oblgen {
        family: Family::Sf,
        nodes: 1_000,
        obligations: 10_000,
        seed: 1,
    };
    let list: Vec<_> = oblgen.generate().collect();
    let endowments: Vec<_> = nets(&list)
        .into_iter()
        .filter(|(_, net)| *net < 0)
        .map(|(member, net)| Endowment {
            member,
            amount: i64::try_from(-net * 9 / 10).unwrap(),
        })
        .collect();
    let found = clearing_vector(&list, &endowments).unwrap();
    let defaults = found.members.iter().filter(|c| c.defaults()).count();
    assert!(defaults > 100, "{defaults}");
    // The same by looking at all members again and again, until nothing falls.
    let debts = relations(&list);
    let mut owes = [0_i128; 1_000];
    debts
        .iter()
        .for_each(|((d, c), amount)| owes[*d as usize] += if d == c { 0 } else { *amount });
    let mut has = [0_i128; 1_000];
    endowments
        .iter()
        .for_each(|e| has[e.member as usize] = i128::from(e.amount));
    let mut able = owes;
    loop {
        let mut means = has;
        for ((d, c), amount) in debts.iter().filter(|((d, c), _)| d != c) {
            means[*c as usize] += able[*d as usize] * amount / owes[*d as usize];
        }
        let next: Vec<i128> = means
            .iter()
            .zip(owes)
            .map(|(means, owes)| owes.min(*means))
            .collect();
        if next == able {
            break;
        }
        able.copy_from_slice(&next);
    }
    for payment in &found.payments {
        let (hansa_netting::Party::Member(d), hansa_netting::Party::Member(c)) =
            (payment.payer, payment.payee)
        else {
            panic!("no hub here");
        };
        assert_eq!(
            payment.amount,
            able[d as usize] * debts[&(d, c)] / owes[d as usize]
        );
    }
}
