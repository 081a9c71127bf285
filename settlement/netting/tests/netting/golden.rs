//! Totals of the generated networks, which other implementations must give too, and cases worked out by hand.

use crate::common::*;
use hansa_netting::{
    Method, NettingError, Party, Payment, Policy, net,
    oblgen::{Family, Oblgen},
};

fn generated(
    family: Family,
    nodes: u32,
    obligations: u32,
    seed: u64,
) -> Vec<hansa_netting::Obligation> {
    let oblgen = Oblgen {
        family,
        nodes,
        obligations,
        seed,
    };
    oblgen.generate().collect()
}

/// FNV-1a of what a run gives.
fn digest(netting: &hansa_netting::Netting) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |value: i128| {
        for byte in value.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let id = |party| match party {
        Party::Member(id) => i128::from(id),
        Party::Hub => -1,
    };
    for payment in &netting.payments {
        add(id(payment.payer));
        add(id(payment.payee));
        add(payment.amount);
    }
    netting
        .cleared
        .iter()
        .for_each(|cleared| add(i128::from(*cleared)));
    for potential in netting.certificate.iter().flat_map(|c| &c.potentials) {
        add(i128::from(potential.level));
    }
    hash
}

#[test]
fn cycle_clearing_reaches_the_known_optima() {
    use Family::{Sf, Tier};
    for (family, nodes, obligations, seed, optimum) in [
        (Sf, 1_000, 10_000, 1, 147_645_596),
        (Sf, 10_000, 100_000, 2, 1_484_737_127),
        (Tier, 1_000, 10_000, 1, 53_961_092),
        (Tier, 10_000, 100_000, 2, 454_504_696),
        (Sf, 2_000, 1_000_000, 4, 36_310_598_035),
    ] {
        let list = generated(family, nodes, obligations, seed);
        let netting = run(&list, Method::CycleClearing);
        assert_eq!(netting.set_off(), optimum, "{family} {nodes}");
        let cleared: i128 = netting
            .cleared
            .iter()
            .map(|cleared| i128::from(*cleared))
            .sum();
        assert_eq!(cleared, optimum);
        let proof = netting.certificate.unwrap();
        assert_eq!(proof.check(&list, &netting.cleared), Ok(()));
    }
}

/// Which of the largest circulations is given is promised too: a change here changes what is paid for the same facts.
#[test]
fn results_are_the_same_bytes_for_ever() {
    let of_sf = generated(Family::Sf, 1_000, 10_000, 1);
    let digests = METHODS.map(|method| digest(&run(&of_sf, method)));
    let known: [u64; 5] = [
        0x55ea_91d1_f69b_923b,
        0x5008_2a65_970d_e36a,
        0x702a_5526_f396_3f67,
        0x7f81_4d4c_7c3a_c368,
        0xa1dc_3191_f879_62af,
    ];
    assert_eq!(digests, known);
    let of_tier = generated(Family::Tier, 10_000, 100_000, 2);
    let digest = digest(&run(&of_tier, Method::CycleClearing));
    assert_eq!(digest, 0x401b_4b9e_bd8b_41e3);
}

#[test]
fn bilateral_first_is_not_optimal() {
    let list = [owes(1, 2, 1), owes(2, 1, 1), owes(2, 3, 1), owes(3, 1, 1)];
    assert_eq!(run(&list, Method::CycleClearing).set_off(), 3);
    let policy = Policy {
        bilateral_first: true,
    };
    let netting = net(&list, Method::CycleClearing, policy).unwrap();
    assert_eq!(netting.set_off(), 2);
    let proof = netting.certificate.unwrap();
    assert_eq!(proof.first, [1, 1, 0, 0]);
    assert_eq!(proof.check(&list, &netting.cleared), Ok(()));
}

#[test]
fn a_debt_to_oneself_is_a_cycle() {
    let list = [owes(7, 7, 10), owes(7, 8, 5)];
    for method in METHODS {
        let netting = run(&list, method);
        let pays_itself = method == Method::Gross;
        assert_eq!(
            netting.to_pay(),
            if pays_itself { 15 } else { 5 },
            "{method}"
        );
        assert_eq!(netting.cleared[0], if pays_itself { 0 } else { 10 });
    }
}

#[test]
fn nothing_and_amounts_of_nothing_are_settled() {
    for list in [vec![], vec![owes(1, 2, 0), owes(3, 3, 0)]] {
        for method in METHODS {
            let netting = run(&list, method);
            assert_eq!(netting.gross, 0);
            assert_eq!(netting.cleared, vec![0; list.len()]);
            assert!(netting.payments.is_empty() && netting.positions.is_empty());
        }
    }
}

#[test]
fn a_long_ring_is_cleared_around() {
    // The least amount goes around; the rest has to be shipped over up to all of the ring.
    let n = 5_000;
    let ring: Vec<_> = (0..n)
        .map(|i| owes(i, (i + 1) % n, 1_000 + i64::from(i * 7_919 % n)))
        .collect();
    let netting = run(&ring, Method::CycleClearing);
    assert_eq!(netting.set_off(), 1_000 * i128::from(n));
    assert_eq!(
        netting.certificate.unwrap().check(&ring, &netting.cleared),
        Ok(())
    );
}

#[test]
fn sums_past_64_bits_are_exact() {
    let max = i64::MAX;
    let list = [
        owes(1, 2, max),
        owes(1, 2, max),
        owes(2, 3, max),
        owes(3, 1, max),
        owes(4_000_000_000, 1, max),
    ];
    let netting = run(&list, Method::CycleClearing);
    assert_eq!(netting.gross, 5 * i128::from(max));
    assert_eq!(netting.cleared, [max, 0, max, max, 0]);
    let twice = |payer, payee| Payment {
        payer: Party::Member(payer),
        payee: Party::Member(payee),
        amount: i128::from(max),
    };
    assert_eq!(netting.payments, [twice(1, 2), twice(4_000_000_000, 1)]);
    assert_eq!(
        netting.certificate.unwrap().check(&list, &netting.cleared),
        Ok(())
    );
    let gross = run(&list, Method::Gross);
    assert_eq!(gross.payments[0].amount, 2 * i128::from(max));
}

/// Amounts past 2^31 and 2^53, where minimum-cost flow in 32-bit integers or doubles goes wrong.
#[test]
fn amounts_past_32_and_53_bits_lose_nothing() {
    for odd in [(1_i64 << 31) + 1, (1 << 53) + 1, (1 << 62) + 1] {
        let list = [
            owes(1, 2, odd),
            owes(2, 3, odd - 1),
            owes(3, 1, odd),
            owes(2, 1, 1),
        ];
        let netting = run(&list, Method::CycleClearing);
        assert_eq!(netting.cleared, [odd, odd - 1, odd - 1, 1]);
        assert_eq!(netting.to_pay(), 1);
    }
}

#[test]
fn a_clearing_vector_is_no_set_off() {
    let refused = net(&[owes(1, 2, 3)], Method::ClearingVector, Policy::default());
    assert_eq!(refused, Err(NettingError::NeedsEndowments));
}

#[test]
fn equal_and_opposite_members_pay_each_other() {
    let list = [
        owes(1, 9, 30),
        owes(2, 9, 20),
        owes(9, 3, 30),
        owes(9, 4, 20),
    ];
    let netting = run(&list, Method::MinTransfers);
    let ends: Vec<_> = netting
        .payments
        .iter()
        .map(|p| (p.payer, p.payee))
        .collect();
    let member = Party::Member;
    assert_eq!(ends, [(member(1), member(3)), (member(2), member(4))]);
    assert_eq!(netting.new_relations, 2);
}

/// Payments a member at a hundred thousand members, as the issue bounds it; the search must find most groups of three.
#[test]
fn many_members_need_two_payments_for_three() {
    let list = generated(Family::Sf, 10_000, 100_000, 2);
    let netting = run(&list, Method::MinTransfers);
    let members = nets(&list).len();
    assert!(
        netting.payments.len() * 100 < members * 72,
        "{} of {members}",
        netting.payments.len()
    );
    assert_eq!(netting.to_pay(), netting.net_internal_debt);
}
