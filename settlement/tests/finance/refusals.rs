//! Every refusal of finance: each comes up here or in a table beside its noun, changes nothing, and stands in the documentation.

use crate::common::*;
use hansa_settlement::finance::{
    Action, Actor, Adjustment, AdjustmentReason, FinanceFact, FinanceRefusal, MAX_TEXT,
    NettingMethod, OriginalReference, Party, PaymentState, SettleCycle,
};
use hansa_settlement::*;
use std::collections::BTreeSet;

fn plain(cycle: u32) -> SettleCycle {
    SettleCycle::new(CycleNo(cycle), NettingMethod::Multilateral)
}

fn made(proposal: u32, action: Action, reason: &str, holder: &str) -> FinanceFact {
    FinanceFact::ProposalMade {
        proposal: ProposalNo(proposal),
        action,
        reason: reason.into(),
        actor: Actor::new(holder),
    }
}

fn decided(proposal: u32, approved: bool, reason: &str, holder: &str) -> FinanceFact {
    FinanceFact::ProposalDecided {
        proposal: ProposalNo(proposal),
        approved,
        reason: reason.into(),
        actor: Actor::new(holder),
    }
}

fn submitted(payments: &[u32]) -> FinanceFact {
    FinanceFact::PaymentsSubmitted {
        payments: payments.iter().copied().map(PaymentNo).collect(),
        file_sha256: None,
        actor: Actor::new(MAKER),
    }
}

fn adjustment(change: impl Fn(&mut Adjustment)) -> Action {
    let mut adjustment = World::adjustment(A, 1_000);
    change(&mut adjustment);
    Action::Adjustment(adjustment)
}

#[test]
fn people_reasons_and_numbers_are_checked_first() {
    let mut world = World::by_hand(|_| {});
    let action = || adjustment(|_| {});
    let long = "x".repeat(MAX_TEXT + 1);
    for (fact, code) in [
        (made(1, action(), "why", " "), "HOLDER_MISSING"),
        (made(1, action(), "\n", MAKER), "REASON_MISSING"),
        (made(1, action(), &long, MAKER), "TEXT_TOO_LONG"),
        (made(1, action(), "why", &long), "TEXT_TOO_LONG"),
        (made(0, action(), "why", MAKER), "NUMBER_OUT_OF_ORDER"),
        (made(2, action(), "why", MAKER), "NUMBER_OUT_OF_ORDER"),
        (decided(1, true, "why", CHECKER), "PROPOSAL_NOT_FOUND"),
        (decided(0, true, "why", CHECKER), "PROPOSAL_NOT_FOUND"),
        (decided(1, true, "", CHECKER), "REASON_MISSING"),
        (decided(1, true, "why", ""), "HOLDER_MISSING"),
        (submitted(&[]), "NOTHING_LISTED"),
        (submitted(&[1, 1]), "LISTED_TWICE"),
        (submitted(&[1]), "PAYMENT_NOT_FOUND"),
    ] {
        let refused = world.try_finance(fact.clone()).unwrap_err();
        assert_eq!(refused.code(), code, "{fact:?}");
    }
    world.finance(made(1, action(), "why", MAKER));
    for (fact, code) in [
        (decided(1, true, "why", MAKER), "SAME_PERSON"),
        (made(1, action(), "why", MAKER), "NUMBER_OUT_OF_ORDER"),
    ] {
        assert_eq!(world.try_finance(fact).unwrap_err().code(), code);
    }
    world.finance(decided(1, true, "why", CHECKER));
    for approved in [true, false] {
        let again = world.try_finance(decided(1, approved, "why", CHECKER));
        assert_eq!(again, Err(FinanceRefusal::ProposalDecided(ProposalNo(1))));
    }
}

#[test]
fn actions_are_refused_by_name() {
    let mut world = World::by_hand(|_| {});
    let nobody = MerchantIx(9);
    let settled = world.cycle_of(&[(A, -5_000_000)]);
    world.approved(plain(settled));
    let prepaid = |amount_micros, reference: &str, merchant| Action::PrepaidPack {
        merchant,
        amount_micros,
        reference: reference.into(),
    };
    let release = |merchant, amount_micros| Action::ReleaseHoldback {
        merchant,
        amount_micros,
    };
    let default = |merchant, amount_micros| Action::DeclareDefault {
        merchant,
        amount_micros,
    };
    let exception = ExceptionNo(1);
    for (action, code) in [
        (Action::SettleCycle(plain(0)), "CYCLE_STATE"),
        (Action::SettleCycle(plain(1)), "CYCLE_STATE"),
        (Action::SettleCycle(plain(2)), "CYCLE_NOT_FOUND"),
        (Action::AbortSettlement { cycle: CycleNo(1) }, "CYCLE_STATE"),
        (
            Action::AbortSettlement { cycle: CycleNo(2) },
            "CYCLE_NOT_FOUND",
        ),
        (adjustment(|a| a.amount_micros = 0), "AMOUNT_OUT_OF_RANGE"),
        (
            adjustment(|a| a.amount_micros = i64::MIN),
            "AMOUNT_OUT_OF_RANGE",
        ),
        (adjustment(|a| a.merchant = nobody), "MERCHANT_NOT_FOUND"),
        (
            adjustment(|a| a.counterparty = Party::Merchant(nobody)),
            "MERCHANT_NOT_FOUND",
        ),
        (
            adjustment(|a| a.counterparty = Party::Merchant(A)),
            "ADJUSTMENT_UNFIT",
        ),
        (
            adjustment(|a| a.reason = AdjustmentReason::DefaultLoss),
            "ADJUSTMENT_UNFIT",
        ),
        (
            adjustment(|a| a.reason = AdjustmentReason::Dispute),
            "ADJUSTMENT_UNFIT",
        ),
        (
            adjustment(|a| a.dispute = Some(DisputeNo(1))),
            "ADJUSTMENT_UNFIT",
        ),
        (
            adjustment(|a| {
                a.reason = AdjustmentReason::Dispute;
                a.dispute = Some(DisputeNo(1));
            }),
            "DISPUTE_NOT_FOUND",
        ),
        (
            adjustment(|a| a.exception = Some(ExceptionNo(0))),
            "EXCEPTION_NOT_FOUND",
        ),
        (
            adjustment(|a| a.original.leaf = Some(1)),
            "ORIGINAL_NOT_FOUND",
        ),
        (
            adjustment(|a| {
                a.original = OriginalReference {
                    cycle: Some(CycleNo(1)),
                    ..OriginalReference::default()
                };
            }),
            "CYCLE_STATE",
        ),
        (
            Action::ReinstructPayment {
                payment: PaymentNo(9),
            },
            "PAYMENT_NOT_FOUND",
        ),
        (
            Action::CarryForwardPayment {
                payment: PaymentNo(0),
            },
            "PAYMENT_NOT_FOUND",
        ),
        (
            Action::PostReconciliation {
                report: ReportNo(1),
            },
            "REPORT_NOT_FOUND",
        ),
        (
            Action::MatchException {
                exception,
                payments: vec![PaymentNo(1)],
            },
            "EXCEPTION_NOT_FOUND",
        ),
        (release(nobody, 1), "MERCHANT_NOT_FOUND"),
        (release(A, 1), "NOT_HELD_BACK"),
        (release(A, 0), "AMOUNT_OUT_OF_RANGE"),
        (default(nobody, 1), "MERCHANT_NOT_FOUND"),
        (default(A, 1), "MERCHANT_STATE"),
        (default(A, -1), "AMOUNT_OUT_OF_RANGE"),
        (prepaid(1, "", A), "REASON_MISSING"),
        (prepaid(0, "X", A), "AMOUNT_OUT_OF_RANGE"),
        (prepaid(i64::MAX, "X", A), "AMOUNT_OUT_OF_RANGE"),
        (prepaid(1, "X", nobody), "MERCHANT_NOT_FOUND"),
    ] {
        let refused = world.try_propose(action.clone()).unwrap_err();
        assert_eq!(refused.code(), code, "{action:?}");
        assert!(refused.to_string().len() > 10, "{refused:?}");
    }
    for fact in [
        FinanceFact::ExceptionExplained {
            exception,
            explanation: "nothing".into(),
            actor: Actor::new(MAKER),
        },
        FinanceFact::DisputeEscalated {
            dispute: DisputeNo(1),
            text: "please".into(),
            evidence: vec![],
        },
        FinanceFact::DisputeRuled {
            dispute: DisputeNo(1),
            adjustment: None,
            ruling: "no".into(),
            actor: Actor::new(MAKER),
        },
        FinanceFact::DisputeAnswered {
            dispute: DisputeNo(1),
            adjustment: None,
            answer: "no".into(),
            actor: Actor::new(MAKER),
        },
    ] {
        let code = world.try_finance(fact).unwrap_err().code();
        assert!(code.ends_with("_NOT_FOUND"), "{code}");
    }
}

#[test]
fn an_answer_names_its_own_dispute_and_merchant() {
    let mut world = World::by_hand(|_| {});
    world.cycle_of(&[(A, 5_000_000), (F, 1)]);
    let original = OriginalReference {
        cycle: Some(CycleNo(0)),
        line: Some(LineKind::Adjustment),
        ..OriginalReference::default()
    };
    world.finance(FinanceFact::DisputeRaised {
        dispute: DisputeNo(1),
        merchant: A,
        original,
        claimed_micros: -1,
        text: "why".into(),
        evidence: vec![],
    });
    let mut answered = |dispute: Option<u32>, merchant| {
        world
            .try_finance(FinanceFact::DisputeAnswered {
                dispute: DisputeNo(1),
                adjustment: Some(Adjustment {
                    reason: AdjustmentReason::Dispute,
                    dispute: dispute.map(DisputeNo),
                    ..World::adjustment(merchant, -1)
                }),
                answer: "yes".into(),
                actor: Actor::new(MAKER),
            })
            .map_err(|refusal| refusal.code())
    };
    assert_eq!(answered(None, A), Err("ADJUSTMENT_UNFIT"));
    assert_eq!(answered(Some(2), A), Err("ADJUSTMENT_UNFIT"));
    assert_eq!(answered(Some(1), F), Err("ADJUSTMENT_UNFIT"));
    assert_eq!(answered(Some(1), A), Ok(()));
}

#[test]
fn a_settlement_needs_the_auditor_and_the_plan_that_was_proposed() {
    let mut world = World::by_hand(|_| {});
    world.owe(A, -5_000_000);
    let audited = |world: &World, cycle| FinanceFact::CycleAudited {
        cycle: CycleNo(cycle),
        digest: world.digest(CycleNo(cycle)),
        audited_size: 1,
    };
    let open = world.try_finance(audited(&world, 0)).unwrap_err();
    assert_eq!(open.code(), "CYCLE_STATE");
    world.close_cycle();
    let nowhere = FinanceFact::CycleAudited {
        cycle: CycleNo(7),
        digest: [0; 32],
        audited_size: 1,
    };
    assert_eq!(
        world.try_finance(nowhere),
        Err(FinanceRefusal::CycleNotFound(CycleNo(7)))
    );
    let proposal = world.propose(Action::SettleCycle(plain(0)));
    assert_eq!(
        world.try_approve(proposal),
        Err(FinanceRefusal::NotAudited(CycleNo(0)))
    );
    let wrong = FinanceFact::CycleAudited {
        cycle: CycleNo(0),
        digest: [0; 32],
        audited_size: 1,
    };
    assert_eq!(
        world.try_finance(wrong),
        Err(FinanceRefusal::AuditDisagrees(CycleNo(0)))
    );
    world.audit(0);
    assert_eq!(
        world.try_finance(audited(&world, 0)),
        Err(FinanceRefusal::AlreadyAudited(CycleNo(0)))
    );
    let audit = world.global.finance().audit(CycleNo(0)).unwrap();
    assert!(audit.audited_size > 0 && audit.seq > audit.audited_size);
    // Money that comes in between changes what is paid.
    world.carry_out(Action::PrepaidPack {
        merchant: A,
        amount_micros: 1_000_000,
        reference: "INV-7".into(),
    });
    world.try_approve(proposal).unwrap_err();
    let changed = world.try_approve(proposal);
    assert_eq!(changed, Err(FinanceRefusal::PlanChanged(proposal)));
    world.finance(decided(proposal.0, false, "propose again", CHECKER));
    world.approved(plain(0));
}

#[test]
fn the_same_step_is_not_proposed_twice() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 5_000_000)]);
    world.approved(plain(cycle));
    let abort = Action::AbortSettlement {
        cycle: CycleNo(cycle),
    };
    let first = world.propose(abort.clone());
    assert_eq!(
        world.try_propose(abort),
        Err(FinanceRefusal::AlreadyProposed(first))
    );
    // Submitting is faster than giving up.
    let payments = world.submit(cycle);
    assert_eq!(
        world.try_approve(first),
        Err(FinanceRefusal::SettlementUnderWay(CycleNo(cycle)))
    );
    world.import(world.status(payments[0], PaymentState::Rejected));
    let payment = payments[0];
    let again = world.propose(Action::ReinstructPayment { payment });
    for other in [
        Action::ReinstructPayment { payment },
        Action::CarryForwardPayment { payment },
    ] {
        assert_eq!(
            world.try_propose(other),
            Err(FinanceRefusal::AlreadyProposed(again))
        );
    }
    let report = world.import(world.confirming(&payments[1..]));
    let posting = world.propose(Action::PostReconciliation { report });
    assert_eq!(
        world.try_propose(Action::PostReconciliation { report }),
        Err(FinanceRefusal::AlreadyProposed(posting))
    );
    let pack = Action::PrepaidPack {
        merchant: A,
        amount_micros: 1,
        reference: "X".into(),
    };
    let waiting = world.propose(pack.clone());
    assert_eq!(
        world.try_propose(pack),
        Err(FinanceRefusal::AlreadyProposed(waiting))
    );
}

#[test]
fn amounts_beyond_the_wire_are_refused_and_not_cut_off() {
    let mut world = World::by_hand(|_| {});
    for _ in 0..10 {
        world.owe(A, 1_000_000_000_000_000);
    }
    // Ten thousand million units are paid; what does not fit into 64 bits of micro-units is not.
    let cycle = world.close_cycle();
    let plan = world.global.plan(&plain(cycle), world.now).unwrap();
    assert_eq!(plan.payments()[0].amount_micros, 10_000_000_000_000_000);
}

/// Codes as the source lists them.
fn codes() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/finance/refusal.rs");
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \""))
        .filter_map(|(_, code)| code.strip_suffix("\","))
        .collect()
}

#[test]
fn every_refusal_is_documented() {
    let page = include_str!("../../../docs/errors.md");
    let section = page
        .split("\n## Refused steps of finance")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let documented: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect();
    // The page has the hub's own refusals, too.
    let missing: Vec<&str> = codes().difference(&documented).copied().collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(codes().len(), 48);
}
