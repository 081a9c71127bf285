//! What holds for all obligations.

use crate::common::*;
use hansa_netting::{
    Certificate, CertificateError, Method, NettingError, Obligation, Party, Policy, compare,
    liquidity, net, positions, without,
};
use proptest::prelude::*;

const BILATERAL_FIRST: Policy = Policy {
    bilateral_first: true,
};

fn certificate(obligations: &[Obligation], policy: Policy) -> (Certificate, Vec<i64>) {
    let netting = net(obligations, Method::CycleClearing, policy).unwrap();
    (netting.certificate.unwrap(), netting.cleared)
}

proptest! {
    #[test]
    fn every_method_keeps_positions_and_bounds(list in obligations(12, 60, amounts())) {
        let nets = nets(&list);
        let gross: i128 = list.iter().map(|o| i128::from(o.amount)).sum();
        let debt: i128 = nets.values().filter(|net| **net > 0).sum();
        for method in METHODS {
            let netting = run(&list, method);
            prop_assert_eq!(netting.gross, gross);
            prop_assert_eq!(netting.net_internal_debt, debt);
            let stated: Vec<_> = netting.positions.iter().filter(|p| p.net != 0).collect();
            prop_assert_eq!(stated.len(), nets.len());
            prop_assert!(stated.iter().all(|p| nets[&p.member] == p.net));
            let brought = brought(&netting.payments);
            prop_assert_eq!(brought.len(), nets.len());
            prop_assert!(nets.iter().all(|(member, net)| brought[&Party::Member(*member)] == *net));
            prop_assert_eq!(netting.cleared.len(), list.len());
            for (cleared, o) in netting.cleared.iter().zip(&list) {
                prop_assert!((0..=o.amount).contains(cleared));
            }
            prop_assert!(netting.payments.iter().all(|payment| payment.amount > 0));
            let ends = |i: usize| (netting.payments[i].payer, netting.payments[i].payee);
            prop_assert!((1..netting.payments.len()).all(|i| ends(i - 1) < ends(i)));
            prop_assert_eq!(netting.set_off() + netting.to_pay(), gross);
        }
        prop_assert_eq!(positions(&list).unwrap(), run(&list, Method::Gross).positions);
    }

    #[test]
    fn what_a_pair_clears_is_taken_from_its_oldest_obligations(list in obligations(4, 40, amounts())) {
        for method in [Method::Bilateral, Method::CycleClearing] {
            let netting = run(&list, method);
            let mut kept = relations(&list);
            let mut open: Vec<(u32, u32)> = vec![];
            for (o, cleared) in list.iter().zip(&netting.cleared) {
                if o.amount == 0 {
                    continue;
                }
                let pair = (o.debtor, o.creditor);
                prop_assert!(*cleared == 0 || !open.contains(&pair), "a younger one is cleared");
                if *cleared < o.amount {
                    open.push(pair);
                }
                *kept.get_mut(&pair).unwrap() -= i128::from(*cleared);
            }
            kept.retain(|_, amount| *amount > 0);
            let paid: Vec<_> = netting.payments.iter().map(|p| ((p.payer, p.payee), p.amount)).collect();
            let kept: Vec<_> = kept
                .into_iter()
                .map(|((d, c), amount)| ((Party::Member(d), Party::Member(c)), amount))
                .collect();
            prop_assert_eq!(paid, kept);
        }
    }

    #[test]
    fn methods_leave_ever_less_to_pay(list in obligations(12, 60, amounts())) {
        let to_pay = METHODS.map(|method| run(&list, method).to_pay());
        let [gross, bilateral, cycle, multilateral, fewest] = to_pay;
        prop_assert!(gross >= bilateral && bilateral >= cycle && cycle >= multilateral);
        prop_assert_eq!(multilateral, run(&list, Method::Gross).net_internal_debt);
        prop_assert_eq!(fewest, multilateral);
        let by_policy = net(&list, Method::CycleClearing, BILATERAL_FIRST).unwrap().to_pay();
        prop_assert!(bilateral >= by_policy && by_policy >= cycle);
    }

    #[test]
    fn bilateral_leaves_one_direction_of_each_pair(list in obligations(8, 60, amounts())) {
        let netting = run(&list, Method::Bilateral);
        let before = relations(&list);
        for payment in &netting.payments {
            let (Party::Member(payer), Party::Member(payee)) = (payment.payer, payment.payee) else {
                panic!("BILATERAL has no hub");
            };
            let back = before.get(&(payee, payer)).copied().unwrap_or(0);
            prop_assert!(payer != payee);
            prop_assert_eq!(payment.amount, before[&(payer, payee)] - back);
        }
        prop_assert_eq!(netting.new_relations, 0);
    }

    #[test]
    fn cycle_clearing_is_conservative_complete_and_proven(
        list in obligations(12, 60, amounts()),
        bilateral_first: bool,
    ) {
        let policy = Policy { bilateral_first };
        let netting = net(&list, Method::CycleClearing, policy).unwrap();
        let before = relations(&list);
        for payment in &netting.payments {
            let (Party::Member(payer), Party::Member(payee)) = (payment.payer, payment.payee) else {
                panic!("CYCLE_CLEARING has no hub");
            };
            prop_assert!(payment.amount <= before[&(payer, payee)]);
        }
        prop_assert_eq!(netting.new_relations, 0);
        prop_assert!(!has_cycle(&netting.payments));
        prop_assert_eq!(netting.certificate.as_ref().unwrap().check(&list, &netting.cleared), Ok(()));
        if netting.payments.iter().all(|payment| payment.amount <= i128::from(i64::MAX)) {
            let again = net(&as_obligations(&netting.payments), Method::CycleClearing, policy).unwrap();
            prop_assert_eq!(again.set_off(), 0);
            prop_assert_eq!(again.payments, netting.payments);
        }
    }

    #[test]
    fn the_order_of_the_list_is_nothing_but_age(
        list in obligations(9, 50, amounts()),
        swaps in proptest::collection::vec((0_usize..50, 0_usize..50), 50),
    ) {
        let mut shuffled = list.clone();
        for (a, b) in swaps {
            if a < list.len() && b < list.len() {
                shuffled.swap(a, b);
            }
        }
        for method in METHODS {
            for policy in [Policy::default(), BILATERAL_FIRST] {
                let one = net(&list, method, policy).unwrap();
                let other = net(&shuffled, method, policy).unwrap();
                prop_assert_eq!(&one.payments, &other.payments);
                prop_assert_eq!(&one.positions, &other.positions);
                let levels = |n: &hansa_netting::Netting| n.certificate.clone().map(|c| c.potentials);
                prop_assert_eq!(levels(&one), levels(&other));
                // The same obligations at the same age between the same two: the same is cleared of each.
                let per_pair = |list: &[Obligation], cleared: &[i64]| {
                    let mut rows: Vec<_> = list.iter().zip(cleared).map(|(o, c)| (o.debtor, o.creditor, *c)).collect();
                    rows.sort_by_key(|row| (row.0, row.1));
                    rows.iter().fold(std::collections::BTreeMap::new(), |mut sums, (d, c, cleared)| {
                        *sums.entry((*d, *c)).or_insert(0_i128) += i128::from(*cleared);
                        sums
                    })
                };
                prop_assert_eq!(per_pair(&list, &one.cleared), per_pair(&shuffled, &other.cleared));
            }
        }
    }

    #[test]
    fn a_list_sorted_by_pair_gives_the_same_result_in_its_order(list in obligations(9, 50, amounts())) {
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by_key(|i| (list[*i].creditor, list[*i].debtor));
        let sorted: Vec<Obligation> = order.iter().map(|i| list[*i]).collect();
        for method in METHODS {
            let (one, other) = (run(&list, method), run(&sorted, method));
            let moved: Vec<i64> = order.iter().map(|i| one.cleared[*i]).collect();
            prop_assert_eq!(moved, other.cleared);
        }
    }

    #[test]
    fn new_names_give_the_same_total(list in obligations(9, 50, amounts()), factor in 1_u32..=9, shift: u32) {
        let renamed: Vec<Obligation> = list
            .iter()
            .map(|o| owes(
                (o.debtor * factor % 10).wrapping_mul(429_496_729).wrapping_add(shift),
                (o.creditor * factor % 10).wrapping_mul(429_496_729).wrapping_add(shift),
                o.amount,
            ))
            .collect();
        // A factor that shares a divisor with 10 would make two members one.
        prop_assume!(factor % 2 == 1 && factor != 5);
        for method in METHODS {
            let (one, other) = (run(&list, method), run(&renamed, method));
            prop_assert_eq!(one.to_pay(), other.to_pay());
            // Among equally few payments, names decide which.
            if method != Method::MinTransfers {
                prop_assert_eq!(one.new_relations, other.new_relations);
            }
        }
    }

    #[test]
    fn totals_scale_and_add(list in obligations(8, 40, 0_i64..1_000), scale in 1_i64..1_000) {
        let cleared = |list: &[Obligation]| run(list, Method::CycleClearing).set_off();
        let scaled: Vec<_> = list.iter().map(|o| owes(o.debtor, o.creditor, o.amount * scale)).collect();
        prop_assert_eq!(cleared(&scaled), cleared(&list) * i128::from(scale));
        let apart = scaled.iter().map(|o| owes(o.debtor + 100, o.creditor + 100, o.amount));
        let union: Vec<_> = list.iter().copied().chain(apart).collect();
        prop_assert_eq!(cleared(&union), cleared(&list) + cleared(&scaled));
    }

    #[test]
    fn one_more_obligation_never_clears_less(list in obligations(8, 40, amounts()), more in (0_u32..8, 0_u32..8, amounts())) {
        let before = run(&list, Method::CycleClearing).set_off();
        let mut list = list;
        list.push(owes(more.0, more.1, more.2));
        prop_assert!(run(&list, Method::CycleClearing).set_off() >= before);
    }

    #[test]
    fn the_hub_ends_at_nothing(list in obligations(12, 60, amounts())) {
        let netting = run(&list, Method::Multilateral);
        let to_hub = |to: bool| -> i128 {
            let side = netting.payments.iter().filter(|p| (p.payee == Party::Hub) == to);
            side.map(|p| p.amount).sum()
        };
        prop_assert_eq!(to_hub(true), netting.net_internal_debt);
        prop_assert_eq!(to_hub(false), netting.net_internal_debt);
        prop_assert_eq!(netting.payments.len(), nets(&list).len());
        prop_assert_eq!(netting.new_relations, netting.payments.len());
    }

    #[test]
    fn fewest_payments_have_payers_and_payees_apart(list in obligations(60, 90, 0_i64..50)) {
        let netting = run(&list, Method::MinTransfers);
        let nets = nets(&list);
        let payers = nets.values().filter(|net| **net < 0).count();
        prop_assert!(netting.payments.len() >= payers.max(nets.len() - payers));
        prop_assert!(netting.payments.len() <= nets.len().saturating_sub(1));
        for payment in &netting.payments {
            let (Party::Member(payer), Party::Member(payee)) = (payment.payer, payment.payee) else {
                panic!("MIN_TRANSFERS has no hub");
            };
            prop_assert!(nets[&payer] < 0 && nets[&payee] > 0);
        }
    }

    #[test]
    fn a_comparison_is_what_each_method_gives(list in obligations(9, 50, amounts())) {
        let rows = compare(&list, Policy::default()).unwrap();
        prop_assert_eq!(rows.len(), METHODS.len());
        for row in rows {
            let netting = run(&list, row.method);
            prop_assert_eq!(row.to_pay, netting.to_pay());
            prop_assert_eq!(row.payments, netting.payments.len());
            prop_assert_eq!(row.new_relations, netting.new_relations);
            prop_assert_eq!(row.liquidity, liquidity(&netting.payments));
            prop_assert!(netting.net_internal_debt <= row.liquidity && row.liquidity <= row.to_pay);
            if !matches!(row.method, Method::Gross | Method::Bilateral) {
                prop_assert_eq!(row.liquidity, netting.net_internal_debt);
            }
        }
    }

    #[test]
    fn a_run_without_a_member_knows_nothing_of_it(list in obligations(7, 50, amounts()), member in 0_u32..8) {
        let others = without(&list, member);
        let of_member = list.iter().filter(|o| o.debtor == member || o.creditor == member).count();
        prop_assert_eq!(others.len() + of_member, list.len());
        for method in METHODS {
            let netting = run(&others, method);
            prop_assert!(netting.positions.iter().all(|p| p.member != member));
            prop_assert_eq!(nets(&others).len(), netting.positions.iter().filter(|p| p.net != 0).count());
            let involved = |p: &hansa_netting::Payment| {
                [p.payer, p.payee].contains(&Party::Member(member))
            };
            prop_assert!(!netting.payments.iter().any(involved));
        }
    }

    #[test]
    fn a_negative_amount_is_named(list in obligations(9, 20, 0_i64..9), at in 0_usize..20, amount in i64::MIN..0) {
        let mut list = list;
        let index = at.min(list.len());
        list.insert(index, owes(1, 2, amount));
        let error = NettingError::NegativeAmount { index, amount };
        prop_assert_eq!(positions(&list), Err(error));
        for method in METHODS {
            prop_assert_eq!(net(&list, method, Policy::default()).err(), Some(error));
        }
        prop_assert_eq!(compare(&list, Policy::default()), Err(error));
    }

    #[test]
    fn a_certificate_holds_for_nothing_else(
        list in obligations(6, 30, 1_i64..9),
        bilateral_first: bool,
        at in 0_usize..30,
        by in 1_i64..9,
        more: bool,
    ) {
        let (proof, cleared) = certificate(&list, Policy { bilateral_first });
        prop_assume!(at < list.len() && list[at].debtor != list[at].creditor);
        let mut wrong = cleared.clone();
        wrong[at] += if more { by } else { -by };
        // One amount alone never makes another circulation.
        prop_assert!(proof.check(&list, &wrong).is_err());
        let mut lifted = proof.clone();
        let member = lifted.potentials.iter_mut().find(|p| p.member == list[at].debtor).unwrap();
        member.level += 100;
        // Far above all others, nothing that the member owes is worth clearing, and everything owed to it is.
        let relieved = list.iter().zip(&cleared).any(|(o, cleared)| {
            *cleared > 0 && o.debtor == list[at].debtor && o.creditor != o.debtor && !bilateral_first
        });
        let refused = matches!(lifted.check(&list, &cleared), Err(CertificateError::NotOptimal { .. }));
        prop_assert!(refused || !relieved);
    }
}

#[test]
fn a_certificate_says_what_is_wrong() {
    let list = [owes(1, 2, 5), owes(2, 1, 3), owes(2, 3, 9)];
    let (proof, cleared) = certificate(&list, Policy::default());
    assert_eq!(cleared, [3, 3, 0]);
    assert_eq!(proof.check(&list, &cleared), Ok(()));
    let length = Err(CertificateError::Length {
        obligations: 3,
        amounts: 2,
    });
    assert_eq!(proof.check(&list, &cleared[..2]), length);
    assert!(matches!(
        proof.check(&list, &[6, 6, 0]),
        Err(CertificateError::Bounds { index: 0, .. })
    ));
    assert!(matches!(
        proof.check(&list, &[3, 3, 1]),
        Err(CertificateError::NotOptimal { .. } | CertificateError::Unbalanced { .. })
    ));
    // A circulation, but not the largest.
    assert!(matches!(
        proof.check(&list, &[2, 2, 0]),
        Err(CertificateError::NotOptimal { .. })
    ));
    let mut short = proof.clone();
    short.potentials.pop();
    assert_eq!(
        short.check(&list, &cleared),
        Err(CertificateError::NoLevel { member: 3 })
    );
    let mut twice = proof.clone();
    twice.potentials[1].member = 1;
    assert_eq!(
        twice.check(&list, &cleared),
        Err(CertificateError::Order { member: 1 })
    );
    let mut claimed = proof;
    claimed.first = vec![1, 0, 0];
    assert!(matches!(
        claimed.check(&list, &cleared),
        Err(CertificateError::Unbalanced { .. })
    ));
}
