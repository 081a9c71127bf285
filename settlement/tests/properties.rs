//! Properties: what must hold for any history. The harness checks the invariants after every single step.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::*;
use proptest::prelude::*;

/// Terms of a random alliance.
#[derive(Clone, Debug)]
struct Terms {
    expiry: ExpiryRule,
    policy: NegativeBalance,
    modes: [FundingMode; 3],
    refunds_fee: bool,
    pending: bool,
    return_days: Option<u32>,
    by_merchant: bool,
    fee_bps: u32,
}

/// One random step; numbers are taken modulo what exists.
#[derive(Clone, Debug)]
struct Op {
    wait_seconds: i64,
    late_seconds: i64,
    member: u64,
    merchant: u32,
    kind: u8,
    size: i64,
    target: usize,
}

fn terms() -> impl Strategy<Value = Terms> {
    let expiry = prop_oneof![
        (1_u32..4).prop_map(ExpiryRule::RollingMonths),
        (1_u32..4).prop_map(ExpiryRule::InactivityMonths),
        Just(ExpiryRule::FixedSweep(vec![(3, 31), (5, 15), (12, 31)])),
        Just(ExpiryRule::None),
    ];
    let policy = prop_oneof![
        Just(NegativeBalance::Debt),
        Just(NegativeBalance::Floor),
        Just(NegativeBalance::Reject)
    ];
    let mode = || prop_oneof![Just(FundingMode::Issue), Just(FundingMode::Burn)];
    let days = prop_oneof![Just(None), (1_u32..40).prop_map(Some)];
    (
        expiry,
        policy,
        [mode(), mode(), mode()],
        any::<bool>(),
        any::<bool>(),
        days,
        any::<bool>(),
        0_u32..2_000,
    )
        .prop_map(
            |(expiry, policy, modes, refunds_fee, pending, return_days, by_merchant, fee_bps)| {
                Terms {
                    expiry,
                    policy,
                    modes,
                    refunds_fee,
                    pending: pending && return_days.is_some(),
                    return_days,
                    by_merchant,
                    fee_bps,
                }
            },
        )
}

fn op() -> impl Strategy<Value = Op> {
    let wait = prop_oneof![4 => 0_i64..3_600, 2 => 0_i64..400_000, 1 => 0_i64..5_000_000];
    let late = prop_oneof![3 => Just(0_i64), 1 => -300_i64..2_000_000];
    let kind = prop_oneof![4 => Just(0_u8), 3 => Just(1), 3 => Just(2), 3 => Just(3), 1 => Just(4), 2 => Just(5)];
    (
        wait,
        late,
        1_u64..4,
        0_u32..3,
        kind,
        1_i64..400,
        any::<usize>(),
    )
        .prop_map(
            |(wait_seconds, late_seconds, member, merchant, kind, size, target)| Op {
                wait_seconds,
                late_seconds,
                member,
                merchant,
                kind,
                size,
                target,
            },
        )
}

/// Accepted messages that later ones may name.
#[derive(Default)]
struct Known {
    accruals: Vec<(Pos, MerchantIx, MemberId)>,
    holds: Vec<(Pos, MerchantIx, MemberId)>,
    captures: Vec<(Pos, MerchantIx, MemberId)>,
}

fn pick(
    from: &[(Pos, MerchantIx, MemberId)],
    member: MemberId,
    target: usize,
) -> Option<(Pos, MerchantIx)> {
    let own: Vec<_> = from.iter().filter(|(_, _, m)| *m == member).collect();
    (!own.is_empty())
        .then(|| own[target % own.len()])
        .map(|(pos, merchant, _)| (*pos, *merchant))
}

fn alliance(terms: &Terms) -> World {
    let mut world = World::new(
        programme(terms.expiry.clone(), terms.policy),
        "2026-01-31T23:00:00Z",
        CycleSchedule::Monthly,
    );
    for (i, (slug, fee)) in [("a", 1_525), ("f", 2_000), ("t", 1_735)]
        .into_iter()
        .enumerate()
    {
        world.merchant(
            slug,
            ContractTerms {
                refunds_service_fee: terms.refunds_fee,
                pending: terms.pending && i == 2,
                return_days: terms.return_days,
                max_late_micros: 40 * 86_400_000_000,
                redemption_fee_bps: terms.fee_bps,
                // Holds outlive lots and cycles now and then.
                authorisation_ttl_micros: 6 * 86_400_000_000,
                earn_rate: rate(["1", "1.5", "0.75"][i]),
                computed_by: if terms.by_merchant && i == 0 {
                    PointsComputedBy::Merchant
                } else {
                    PointsComputedBy::Hub
                },
                ..contract(terms.modes[i], fee)
            },
        );
    }
    world.fact(Fact::Promotion(Promotion {
        slug: "extra".into(),
        bonus: Bonus::Multiplier(rate("1.7")),
        shares: vec![(A, 3_333), (F, 3_333), (T, 3_334)],
        cap_points: Some(5_000),
        starts_at: at("2026-02-01T00:00:00Z"),
        ends_at: at("2026-06-01T00:00:00Z"),
        merchants: vec![F, T],
    }));
    world
}

fn body(op: &Op, known: &Known) -> Option<(MerchantIx, Body)> {
    let member = MemberId(op.member);
    let amount_micros = op.size * 330_000;
    Some(match op.kind {
        0 => {
            let merchant = MerchantIx(op.merchant);
            (
                merchant,
                Body::Accrual {
                    currency: Currency::EUR,
                    amount_micros,
                    points: None,
                },
            )
        }
        1 => {
            let (original, merchant) = pick(&known.accruals, member, op.target)?;
            (
                merchant,
                Body::AccrualReversal {
                    original: Some(original),
                    currency: Currency::EUR,
                    amount_micros: amount_micros / 3,
                },
            )
        }
        2 => (MerchantIx(op.merchant), authorise(op.size / 4 + 1)),
        3 => {
            let (held, merchant) = pick(&known.holds, member, op.target)?;
            (merchant, capture(held, op.size / 8 + 1))
        }
        4 => {
            let (held, merchant) = pick(&known.holds, member, op.target)?;
            (merchant, void(held))
        }
        _ => {
            let (captured, merchant) = pick(&known.captures, member, op.target)?;
            (merchant, refund(captured, op.size / 16 + 1))
        }
    })
}

/// Plays a history; `sweeping` sweeps every member before every message instead of only at the end.
fn play(terms: &Terms, ops: &[Op], sweeping: bool) -> World {
    let mut world = alliance(terms);
    let mut known = Known::default();
    for op in ops {
        let now = world.now.plus_seconds(op.wait_seconds);
        if sweeping {
            world.sweep(now);
        }
        let Some((sender, mut body)) = body(op, &known) else {
            world.now = now;
            continue;
        };
        if let Body::Accrual {
            amount_micros,
            points,
            ..
        } = &mut body
            && terms.by_merchant
            && sender == A
        {
            *points = Some(*amount_micros / 400_000);
        }
        let member = MemberId(op.member);
        let (pos, outcome) = world.send(
            now,
            now.plus_seconds(-op.late_seconds),
            sender,
            member,
            body,
        );
        if outcome.code != OutcomeCode::Accepted {
            continue;
        }
        match body.kind() {
            MessageKind::Accrual => known.accruals.push((pos, sender, member)),
            MessageKind::Authorisation => known.holds.push((pos, sender, member)),
            MessageKind::Capture => known.captures.push((pos, sender, member)),
            MessageKind::AccrualReversal
            | MessageKind::Void
            | MessageKind::Refund
            | MessageKind::Conversion
            | MessageKind::ConversionReturn
            | MessageKind::ConversionApproval => {}
        }
    }
    world.sweep(world.now.plus_seconds(200 * 86_400));
    world
}

/// One cycle as finance sees it: lines, the hub's side, payments.
type Books = (
    std::collections::BTreeMap<LineKey, LineTotal>,
    HubTotals,
    std::collections::BTreeMap<MerchantIx, Payment>,
);

/// What finance sees of every cycle.
fn books(world: &World) -> Vec<Books> {
    world
        .global
        .cycles()
        .iter()
        .map(|cycle| {
            (
                cycle.lines.clone(),
                cycle.hub,
                payments(&world.global, cycle.no),
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_invariants_and_any_restart_gives_the_same_state(
        terms in terms(), ops in prop::collection::vec(op(), 1..60), from in any::<usize>(), member_from in any::<[usize; 4]>()
    ) {
        let world = play(&terms, &ops, false);
        let steps = world.log.len();
        let (global, members) = world.replayed(from % steps, |id| member_from[id.0 as usize % 4] % steps);
        prop_assert_eq!(global.snapshot(), world.global.snapshot());
        for (id, member) in members {
            prop_assert_eq!(&member.encode(), &world.members[&id]);
        }
        for cycle in world.global.cycles() {
            prop_assert_eq!(cycle.nets().values().sum::<i128>(), cycle.hub.sum());
            for payment in payments(&world.global, cycle.no).values() {
                prop_assert_eq!(payment.instruction_micros + payment.carried_forward_micros, payment.payable_micros());
                prop_assert!(payment.carried_forward_micros.abs() <= 5_000);
            }
        }
        let messages: u64 = world.global.cycles().iter().map(|cycle| cycle.counts.messages()).sum();
        let sent = world.log.iter().filter(|step| match step {
            Step::Effects(recorded, _) => recorded.effects.iter().any(|effect| is_message(&effect.change)),
            Step::Fact(..) | Step::Finance(..) => false,
        });
        prop_assert_eq!(messages, sent.count() as u64, "every message is in exactly one cycle");
    }

    #[test]
    fn sweeps_decide_nothing(terms in terms(), ops in prop::collection::vec(op(), 1..50)) {
        let (lazy, eager) = (play(&terms, &ops, false), play(&terms, &ops, true));
        prop_assert_eq!(books(&lazy), books(&eager));
    }

    #[test]
    fn messages_of_unrelated_members_may_be_permuted(terms in terms(), ops in prop::collection::vec(op(), 1..50)) {
        // Everything happens at one instant, so that only the order differs; no cap binds.
        let at_once = |op: &Op| Op { wait_seconds: 0, size: op.size % 20 + 1, ..op.clone() };
        let ops: Vec<Op> = ops.iter().map(at_once).collect();
        let mut sorted = ops.clone();
        sorted.sort_by_key(|op| op.member);
        prop_assert_eq!(books(&play(&terms, &ops, false)), books(&play(&terms, &sorted, false)));
    }

    #[test]
    fn partial_returns_add_up_to_the_full_return(terms in terms(), amounts in prop::collection::vec(1_i64..90_000_000, 1..8), merchant in 0_u32..3) {
        let total: i64 = amounts.iter().sum();
        let net = |amounts: &[i64]| {
            let mut world = alliance(&Terms { return_days: None, pending: false, ..terms.clone() });
            let sender = MerchantIx(merchant);
            let points = (terms.by_merchant && sender == A).then_some(total / 700_000);
            let (original, _) = world.ok("2026-02-02T10:00:00Z", sender, U1, Body::Accrual { currency: Currency::EUR, amount_micros: total, points });
            for amount_micros in amounts {
                let body = Body::AccrualReversal { original: Some(original), currency: Currency::EUR, amount_micros: *amount_micros };
                world.ok("2026-02-03T10:00:00Z", sender, U1, body);
            }
            assert!(world.member(U1).lots().is_empty());
            assert_eq!(world.member(U1).accrual(original).unwrap().state(), MessageState::Reversed);
            (world.global.open_cycle().nets(), world.global.open_cycle().hub)
        };
        prop_assert_eq!(net(&amounts), net(&[total]));
    }

    #[test]
    fn partial_refunds_add_up_to_the_full_refund(terms in terms(), points in prop::collection::vec(1_i64..50, 1..8)) {
        let total: i64 = points.iter().sum();
        let books = |points: &[i64]| {
            let mut world = alliance(&Terms { return_days: None, pending: false, by_merchant: false, ..terms.clone() });
            for merchant in [A, F, T] {
                let amount_micros = total * 1_000_000;
                world.ok("2026-02-02T10:00:00Z", merchant, U1, Body::Accrual { currency: Currency::EUR, amount_micros, points: None });
            }
            let lots = world.member(U1).lots().to_vec();
            let (held, _) = world.ok("2026-02-02T10:00:00Z", T, U1, authorise(total));
            let (captured, _) = world.ok("2026-02-02T10:00:00Z", T, U1, capture(held, total));
            for points in points {
                world.ok("2026-02-03T10:00:00Z", T, U1, refund(captured, *points));
            }
            assert_eq!(world.member(U1).lots(), lots);
            (world.global.open_cycle().nets(), world.global.open_cycle().hub)
        };
        prop_assert_eq!(books(&points), books(&[total]));
    }
}

fn is_message(change: &Change) -> bool {
    matches!(
        change,
        Change::Refused { .. }
            | Change::Accrued { .. }
            | Change::Pended { .. }
            | Change::PendingLowered { .. }
            | Change::Returned { .. }
            | Change::Held { .. }
            | Change::Released {
                how: Release::Voided,
                ..
            }
            | Change::Captured { .. }
            | Change::Refunded { .. }
    )
}
