//! States: of a cycle from CLOSED to its end, of proposals, of payments. Every transition, and every step that a state refuses.

use crate::common::*;
use hansa_settlement::finance::{
    Action, Actor, CarryCause, FinanceFact, FinanceRefusal, NettingMethod, PaymentState,
    ProposalState, SettleCycle, TrailFilter,
};
use hansa_settlement::*;

fn plain(cycle: u32) -> SettleCycle {
    SettleCycle::new(CycleNo(cycle), NettingMethod::Multilateral)
}

fn decide(world: &mut World, proposal: ProposalNo, approved: bool, holder: &str) {
    world.finance(FinanceFact::ProposalDecided {
        proposal,
        approved,
        reason: "because".into(),
        actor: Actor::new(holder),
    });
}

#[test]
fn a_cycle_goes_from_open_to_settled_and_leaves_a_trail() {
    let mut world = World::by_hand(|_| {});
    assert_eq!(world.state(0), CycleState::Open);
    world.owe(A, -3_440_000);
    world.now = world.now.plus_seconds(60);
    world.fact(Fact::CycleCut {
        closes_at: world.now,
    });
    assert_eq!(world.state(0), CycleState::Closing);
    let digest = world.digest(CycleNo(0));
    world.fact(Fact::CycleClosed {
        cycle: CycleNo(0),
        digest,
    });
    assert_eq!(world.state(0), CycleState::Closed);
    let settle = Action::SettleCycle(plain(0));
    let states = |world: &World| {
        let proposals = world.global.finance().proposals().iter();
        proposals.skip(1).map(|p| p.state).collect::<Vec<_>>()
    };

    let refused = world.propose(settle.clone());
    assert_eq!(world.state(0), CycleState::PendingApproval);
    decide(&mut world, refused, false, CHECKER);
    assert_eq!(world.state(0), CycleState::Closed);
    let withdrawn = world.propose(settle.clone());
    decide(&mut world, withdrawn, false, MAKER);
    assert_eq!(world.state(0), CycleState::Closed);
    world.audit(0);
    let approved = world.propose(settle);
    decide(&mut world, approved, true, CHECKER);
    assert_eq!(
        states(&world),
        [
            ProposalState::Rejected,
            ProposalState::Withdrawn,
            ProposalState::Approved
        ]
    );
    assert_eq!(world.state(0), CycleState::Approved);
    let submitted = world.submit(0);
    assert_eq!(world.state(0), CycleState::Settling);
    world.confirm(&submitted);
    assert_eq!(world.state(0), CycleState::Settled);
    assert_eq!(world.digest(CycleNo(0)), digest, "totals never change");

    let finance = world.global.finance();
    let codes = |filter: TrailFilter| {
        let trail = finance.trail().iter();
        trail
            .filter(|entry| finance.concerns(&entry.step, &filter))
            .map(|entry| (entry.step.code(), entry.actor.as_str()))
            .collect::<Vec<_>>()
    };
    let of_cycle = [
        ("CYCLE_CLOSED", "hub"),
        ("PROPOSED", MAKER),
        ("REJECTED", CHECKER),
        ("PROPOSED", MAKER),
        ("WITHDRAWN", MAKER),
        ("CYCLE_AUDITED", "hub"),
        ("PROPOSED", MAKER),
        ("APPROVED", CHECKER),
        ("PAYMENTS_SUBMITTED", MAKER),
        ("REPORT_IMPORTED", MAKER),
        ("PROPOSED", MAKER),
        ("APPROVED", CHECKER),
    ];
    let cycle = Some(CycleNo(0));
    assert_eq!(
        codes(TrailFilter {
            cycle,
            ..TrailFilter::default()
        }),
        of_cycle
    );
    let payment = Some(PaymentNo(1));
    let of_payment = codes(TrailFilter {
        payment,
        ..TrailFilter::default()
    });
    assert_eq!(of_payment.len(), 10, "all but CLOSED and AUDITED");
    let proposal = Some(approved);
    assert_eq!(
        codes(TrailFilter {
            proposal,
            ..TrailFilter::default()
        }),
        [("PROPOSED", MAKER), ("APPROVED", CHECKER)]
    );
    let words: Vec<_> = finance
        .trail()
        .iter()
        .map(|entry| finance.describe(&entry.step))
        .collect();
    assert!(words.contains(&format!("proposal {approved}, SETTLE_CYCLE: month end")));
    assert!(words.contains(&"1 payments handed to the bank".to_owned()));
}

#[test]
fn an_empty_cycle_ends_when_it_is_approved() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[]);
    world.approved(plain(cycle));
    assert_eq!(world.state(cycle), CycleState::Settled);
    assert!(world.global.finance().payments().is_empty());
    // So does one of which nothing reaches a minor unit; the rest goes on.
    let cycle = world.cycle_of(&[(A, 4_999), (F, -5_000)]);
    world.approved(plain(cycle));
    assert_eq!(world.state(cycle), CycleState::Settled);
    assert_eq!((world.carried(A), world.carried(F)), (4_999, -5_000));
}

#[test]
fn cycles_are_settled_in_their_order() {
    let mut world = World::by_hand(|_| {});
    let first = world.cycle_of(&[(A, 1_000_000)]);
    let second = world.cycle_of(&[(A, 2_000_000)]);
    let early = world.try_propose(Action::SettleCycle(plain(second)));
    assert_eq!(early, Err(FinanceRefusal::CycleNotNext(CycleNo(first))));
    let proposal = world.propose(Action::SettleCycle(plain(first)));
    let early = world.try_propose(Action::SettleCycle(plain(second)));
    assert_eq!(early, Err(FinanceRefusal::CycleNotNext(CycleNo(first))));
    decide(&mut world, proposal, true, CHECKER);
    world.approved(plain(second));
    assert_eq!(world.state(first), CycleState::Approved);
    assert_eq!(world.state(second), CycleState::Approved);
    // A settled cycle is not settled again.
    let payments = world.submit(first);
    world.confirm(&payments);
    let again = world.try_propose(Action::SettleCycle(plain(first)));
    assert_eq!(
        again.unwrap_err().to_string(),
        "cycle 1 is SETTLED: this needs CLOSED"
    );
}

#[test]
fn a_returned_payment_is_paid_again_without_touching_the_cycle() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 7_000_000)]);
    let digest = world.digest(CycleNo(cycle));
    world.approved(plain(cycle));
    let payments = world.submit(cycle);
    world.confirm(&payments);
    assert_eq!(world.state(cycle), CycleState::Settled);
    assert_eq!(world.global.clearing(A), 0);

    let returned = world.returning(&payments[..1]);
    let report = world.import(returned);
    assert_eq!(world.global.clearing(A), 0, "import moves nothing");
    world.carry_out(Action::PostReconciliation { report });
    assert_eq!(world.payment(1).state, PaymentState::Returned);
    assert_eq!(world.payment(1).bank_reason, "AC04");
    assert_eq!(world.global.clearing(A), -5_000_000);
    assert_eq!(world.state(cycle), CycleState::Settling);

    // The merchant names another account; the new instruction goes there, the old one still says where it went.
    let (_, terms) = world.global.contract(A, world.now).unwrap();
    let mut terms = terms.clone();
    terms.settlement_account = "DE75512108001245126199".into();
    world.fact(Fact::Contract {
        merchant: A,
        effective_at: world.now,
        terms,
    });
    world.carry_out(Action::ReinstructPayment {
        payment: PaymentNo(1),
    });
    assert_eq!(world.payment(1).state, PaymentState::Reinstructed);
    let new = world.payment(3);
    assert_eq!(
        (new.state, new.cycle, new.amount_micros, new.replaces),
        (
            PaymentState::Pending,
            CycleNo(cycle),
            5_000_000,
            Some(PaymentNo(1))
        )
    );
    let account = |n| {
        let payment = world.payment(n);
        world.global.account_name(payment.payee_account)
    };
    assert_eq!(account(1), "DE89370400440532013000");
    assert_eq!(account(3), "DE75512108001245126199");
    assert_ne!(new.end_to_end_id(), world.payment(1).end_to_end_id());
    let again = world.submit(cycle);
    world.confirm(&again);
    assert_eq!(world.state(cycle), CycleState::Settled);
    assert_eq!(world.global.clearing(A), 0);
    assert_eq!(world.digest(CycleNo(cycle)), digest);
}

#[test]
fn a_rejected_payment_is_brought_forward_into_the_next_settlement() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 7_000_000)]);
    world.approved(plain(cycle));
    let payments = world.submit(cycle);
    world.confirm(&payments[1..]);
    world.import(world.status(payments[0], PaymentState::Rejected));
    assert_eq!(world.payment(1).bank_reason, "RJCT/AC04");
    assert_eq!(world.state(cycle), CycleState::Settling);
    world.carry_out(Action::CarryForwardPayment {
        payment: payments[0],
    });
    assert_eq!(world.state(cycle), CycleState::PartiallySettled);
    let moves = world.global.finance().carry_moves(A);
    assert_eq!(
        moves
            .iter()
            .map(|m| (m.cause, m.micros))
            .collect::<Vec<_>>(),
        [(CarryCause::Payment(payments[0]), -5_000_000)]
    );
    let next = world.cycle_of(&[(A, 1_500_000)]);
    world.approved(plain(next));
    assert_eq!(world.position(next, A).brought_forward_micros, -5_000_000);
    assert_eq!(world.position(next, A).instruction_micros, -3_500_000);
    assert_eq!(world.carried(A), 0);
}

#[test]
fn a_merchant_that_was_asked_and_does_not_pay_is_asked_again_with_the_next_cycle() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(F, 7_000_000)]);
    world.approved(plain(cycle));
    world.finance(FinanceFact::PaymentsSubmitted {
        payments: vec![PaymentNo(1)],
        file_sha256: None,
        actor: Actor::new(MAKER),
    });
    world.carry_out(Action::CarryForwardPayment {
        payment: PaymentNo(1),
    });
    assert_eq!(world.state(cycle), CycleState::PartiallySettled);
    let next = world.cycle_of(&[(F, 1_000_000)]);
    world.approved(plain(next));
    assert_eq!(world.payment(2).amount_micros, 8_000_000);
}

#[test]
fn a_settlement_is_given_up_before_anything_is_submitted_and_all_of_it_is_brought_forward() {
    let mut world = World::by_hand(|terms| terms.holdback_bps = 1_000);
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 7_004_000)]);
    let digest = world.digest(CycleNo(cycle));
    world.approved(plain(cycle));
    assert_eq!(world.global.finance().held_back(A), 500_000);
    world.carry_out(Action::AbortSettlement {
        cycle: CycleNo(cycle),
    });
    assert_eq!(world.state(cycle), CycleState::Aborted);
    assert_eq!(world.global.finance().held_back(A), 0);
    assert_eq!(
        (world.carried(A), world.carried(F)),
        (-5_000_000, 7_004_000)
    );
    assert_eq!(world.position(cycle, A).carried_forward_micros, -5_000_000);
    assert_eq!(world.position(cycle, F).instruction_micros, 0);
    assert_eq!(world.digest(CycleNo(cycle)), digest);
    let next = world.cycle_of(&[]);
    world.approved(plain(next));
    assert_eq!(world.position(next, A).instruction_micros, -4_500_000);
    assert_eq!(world.position(next, F).instruction_micros, 7_000_000);
    world.submit(next);
    let late = world.try_propose(Action::AbortSettlement {
        cycle: CycleNo(next),
    });
    assert_eq!(late, Err(FinanceRefusal::SettlementUnderWay(CycleNo(next))));
}

/// A cycle whose first payment, to A, is in a state.
fn with_payment(state: PaymentState) -> World {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (T, -1_000_000)]);
    world.approved(plain(cycle));
    if state == PaymentState::Pending {
        return world;
    }
    let payments = world.submit(cycle);
    let first = payments[0];
    match state {
        PaymentState::Pending | PaymentState::Submitted => {}
        PaymentState::Accepted | PaymentState::Rejected => {
            world.import(world.status(first, state));
        }
        PaymentState::Settled => world.confirm(&[first]),
        PaymentState::Returned => {
            let report = world.import(world.returning(&[first]));
            world.carry_out(Action::PostReconciliation { report });
        }
        PaymentState::CarriedForward | PaymentState::Reinstructed => {
            world.import(world.status(first, PaymentState::Rejected));
            world.carry_out(if state == PaymentState::Reinstructed {
                Action::ReinstructPayment { payment: first }
            } else {
                Action::CarryForwardPayment { payment: first }
            });
        }
    }
    assert_eq!(world.payment(1).state, state);
    world
}

#[derive(Clone, Copy, Debug)]
enum Try {
    Submit,
    Accepted,
    Rejected,
    /// A bank confirms it under the reference of `World::confirming`.
    Confirm,
    /// A bank confirms it under another reference.
    ConfirmAnew,
    Return,
    Reinstruct,
    CarryForward,
}

fn attempt(world: &mut World, step: Try) -> Result<(), FinanceRefusal> {
    let payment = PaymentNo(1);
    let post = |world: &mut World, report| {
        let report = world.try_import(report)?;
        world
            .try_carry_out(Action::PostReconciliation { report })
            .map(drop)
    };
    match step {
        Try::Submit => world.try_finance(FinanceFact::PaymentsSubmitted {
            payments: vec![payment],
            file_sha256: None,
            actor: Actor::new(MAKER),
        }),
        Try::Accepted => world
            .try_import(world.status(payment, PaymentState::Accepted))
            .map(drop),
        Try::Rejected => world
            .try_import(world.status(payment, PaymentState::Rejected))
            .map(drop),
        Try::Confirm => post(world, world.confirming(&[payment])),
        Try::ConfirmAnew => {
            let mut report = world.confirming(&[payment]);
            report.entries[0].bank_reference = "ANOTHER".into();
            post(world, report)
        }
        Try::Return => post(world, world.returning(&[payment])),
        Try::Reinstruct => world
            .try_carry_out(Action::ReinstructPayment { payment })
            .map(drop),
        Try::CarryForward => world
            .try_carry_out(Action::CarryForwardPayment { payment })
            .map(drop),
    }
}

#[test]
fn payments_go_from_state_to_state_as_the_table_says() {
    use PaymentState::{
        Accepted, CarriedForward, Pending, Reinstructed, Rejected, Returned, Settled, Submitted,
    };
    const STEPS: [Try; 8] = [
        Try::Submit,
        Try::Accepted,
        Try::Rejected,
        Try::Confirm,
        Try::ConfirmAnew,
        Try::Return,
        Try::Reinstruct,
        Try::CarryForward,
    ];
    const STATE: &str = "PAYMENT_STATE";
    const UNFIT: &str = "REPORT_UNFIT";
    let ok = Ok::<PaymentState, &str>;
    // Submit, ACCEPTED, REJECTED, confirmed, confirmed under another reference, returned, reinstruct, carry forward.
    #[rustfmt::skip]
    let table = [
        (Pending, [ok(Submitted), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(STATE), Err(STATE)]),
        (Submitted, [Err(STATE), ok(Accepted), ok(Rejected), ok(Settled), ok(Settled), ok(Returned), Err(STATE), Err(STATE)]),
        (Accepted, [Err(STATE), ok(Accepted), ok(Rejected), ok(Settled), ok(Settled), ok(Returned), Err(STATE), Err(STATE)]),
        (Settled, [Err(STATE), ok(Settled), Err(UNFIT), ok(Settled), Err(UNFIT), ok(Returned), Err(STATE), Err(STATE)]),
        (Rejected, [Err(STATE), Err(UNFIT), ok(Rejected), Err(UNFIT), Err(UNFIT), Err(UNFIT), ok(Reinstructed), ok(CarriedForward)]),
        (Returned, [Err(STATE), ok(Returned), Err(UNFIT), Err(UNFIT), Err(UNFIT), ok(Returned), ok(Reinstructed), ok(CarriedForward)]),
        (CarriedForward, [Err(STATE), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(STATE), Err(STATE)]),
        (Reinstructed, [Err(STATE), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(UNFIT), Err(STATE), Err(STATE)]),
    ];
    for (state, row) in table {
        for (step, expected) in STEPS.into_iter().zip(row) {
            let mut world = with_payment(state);
            let clearing = world.global.clearing(A);
            let found = attempt(&mut world, step);
            let after = world.payment(1).state;
            match expected {
                Ok(expected) => {
                    assert_eq!(found, Ok(()), "{state:?} {step:?}");
                    assert_eq!(after, expected, "{state:?} {step:?}");
                }
                Err(code) => {
                    assert_eq!(found.unwrap_err().code(), code, "{state:?} {step:?}");
                    assert_eq!(after, state, "{state:?} {step:?}");
                }
            }
            let booked = |state| i128::from(u8::from(state == Settled)) * 5_000_000;
            assert_eq!(
                world.global.clearing(A) - clearing,
                booked(after) - booked(state),
                "money moves when a payment settles or comes back: {state:?} {step:?}"
            );
        }
    }
}
