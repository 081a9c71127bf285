//! Stored bytes: small, and never a panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::*;
use proptest::prelude::Strategy as _;

fn world(change: impl Fn(&mut ContractTerms)) -> World {
    World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(1),
        NegativeBalance::Debt,
        change,
    )
}

#[test]
fn stored_bytes_that_are_cut_off_are_corrupt() {
    let mut world = world(|_| {});
    world.ok("2026-02-10T10:00:00Z", A, U1, buy("10"));
    world.ok("2026-02-10T10:00:00Z", A, U1, authorise(5));
    let bytes = world.member(U1).encode();
    for n in 1..bytes.len() {
        assert!(Member::decode(&bytes[..n]).is_err(), "{n}");
    }
    assert!(Member::decode(&[9]).is_err());
    assert!(Member::decode(&[]).unwrap().is_empty());
    let snapshot = world.global.snapshot();
    assert!(Global::restore(&snapshot[..snapshot.len() - 1]).is_err());
    assert!(Global::restore(&[]).is_err());
    let Some(Step::Effects(recorded, _)) = world.log.last() else {
        panic!("no effects")
    };
    let mut stream = Vec::new();
    append_effects(recorded, &mut stream);
    append_effects(recorded, &mut stream);
    assert_eq!(
        decode_effect_stream(&stream).unwrap(),
        [recorded.clone(), recorded.clone()]
    );
    assert!(decode_effect_stream(&stream[..stream.len() - 1]).is_err());
    assert!(decode_effects(&stream).is_err());
}

#[test]
fn eight_accruals_of_a_member_are_small() {
    let mut world = World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(12),
        NegativeBalance::Debt,
        |_| {},
    );
    world.seq = 100_000;
    for day in 1..=8 {
        world.seq += 5_000;
        let time = format!("2026-02-0{day}T10:11:12.345Z");
        world.ok(&time, A, U1, buy(&format!("4{day}.7{day}")));
    }
    let bytes = world.member(U1).encode().len();
    assert!(bytes <= 8 * 30, "{bytes}");
}

#[test]
fn random_bytes_never_make_a_member_panic() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..200).prop_map(|mut bytes| {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        bytes
    });
    runner
        .run(&bytes, |bytes| {
            if let Ok(member) = Member::decode(&bytes) {
                proptest::prop_assert_eq!(Member::decode(&member.encode()).unwrap(), member);
            }
            Ok(())
        })
        .unwrap();
}
