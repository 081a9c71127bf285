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
    let mut first_format = bytes.clone();
    first_format[0] = 1;
    assert_eq!(
        Member::decode(&first_format),
        Err(Corrupt("unknown version of a packed member"))
    );
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

#[test]
fn a_summary_that_says_something_else_than_its_member_is_corrupt() {
    let mut world = world(|_| {});
    world.ok("2026-02-10T10:00:00Z", A, U1, buy("10"));
    world.ok("2026-02-10T11:00:00Z", A, U1, buy("20"));
    let bytes = world.member(U1).encode();
    let summary = usize::from(*bytes.last().unwrap());
    for at in bytes.len() - 1 - summary..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            // The same number may be written in two ways.
            let same = |member| member == world.member(U1);
            assert!(
                Member::decode(&changed).is_err() || Member::decode(&changed).is_ok_and(same),
                "byte {at}, bit {bit}"
            );
        }
    }
}

#[test]
fn an_accrual_costs_no_more_on_a_member_with_thousands_of_them() {
    let world = world(|terms| terms.return_days = Some(20_000));
    let mut member = PackedMember::default();
    let (mut scratch, mut long_ways) = (Vec::new(), 0);
    for n in 0..20_000_i64 {
        let now = world.now.plus_seconds(n);
        let message = Message {
            sender: A,
            message_id: [0; 16],
            event_time: now,
            member: Some(U1),
            body: buy("10"),
            claim: None,
        };
        let ctx = Context {
            decided_at: now,
            pos: Pos::new(1_000 + n as u64, 0),
        };
        scratch.clear();
        let decision =
            decide_packed(&world.global, &mut member, &ctx, &message, &mut scratch).unwrap();
        assert_eq!(decision.outcome.available_after, 10 * (n + 1));
        // Only a member that is encoded whole comes by here with all it has.
        long_ways += i32::from(scratch.len() > 100);
    }
    assert_eq!(member.decode().unwrap().lots().len(), 20_000);
    // When their number has doubled, from 32 on, it is looked for old ones.
    assert_eq!(long_ways, 10);
}

#[test]
fn records_that_nothing_can_name_are_dropped_by_accruals_alone() {
    let mut world = world(|terms| {
        terms.return_days = Some(1);
        terms.max_late_micros = 0;
    });
    let mut now = world.now;
    for _ in 0..1_000 {
        now = now.plus_seconds(6 * 3_600);
        world.send(now, now, A, U1, buy("1"));
        assert!(world.member(U1).accruals().len() <= 64);
    }
}
