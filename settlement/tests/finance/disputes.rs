//! Disputes and adjustments: stages, time limits, who may do what, and what comes of it.

use crate::common::*;
use hansa_settlement::finance::{
    Action, Actor, Adjustment, AdjustmentReason, DisputeState, Evidence, FinanceFact,
    FinanceRefusal, NettingMethod, OriginalReference, Party, ProposalState, SettleCycle,
    preview_settlement,
};
use hansa_settlement::*;

const DAY: i64 = 86_400;

/// A closed cycle in which A owes 5.00 on an ADJUSTMENT line.
fn closed() -> World {
    let mut world = World::by_hand(|_| {});
    world.cycle_of(&[(A, 5_000_000)]);
    world
}

fn line() -> OriginalReference {
    OriginalReference {
        cycle: Some(CycleNo(0)),
        line: Some(LineKind::Adjustment),
        ..OriginalReference::default()
    }
}

fn raise(dispute: u32) -> FinanceFact {
    FinanceFact::DisputeRaised {
        dispute: DisputeNo(dispute),
        merchant: A,
        original: line(),
        claimed_micros: -2_000_000,
        text: "we never agreed to this".into(),
        evidence: vec![evidence()],
    }
}

fn evidence() -> Evidence {
    Evidence {
        file_name: "mail.pdf".into(),
        media_type: "application/pdf".into(),
        sha256: [1; 32],
        size: 99,
    }
}

fn remedy(dispute: u32) -> Adjustment {
    Adjustment {
        reason: AdjustmentReason::Dispute,
        original: line(),
        dispute: Some(DisputeNo(dispute)),
        ..World::adjustment(A, -2_000_000)
    }
}

fn answer(dispute: u32, adjustment: Option<Adjustment>) -> FinanceFact {
    FinanceFact::DisputeAnswered {
        dispute: DisputeNo(dispute),
        adjustment,
        answer: "we looked".into(),
        actor: Actor::new(MAKER),
    }
}

fn escalate(dispute: u32) -> FinanceFact {
    FinanceFact::DisputeEscalated {
        dispute: DisputeNo(dispute),
        text: "look again".into(),
        evidence: vec![],
    }
}

fn rule(dispute: u32, adjustment: Option<Adjustment>, holder: &str) -> FinanceFact {
    FinanceFact::DisputeRuled {
        dispute: DisputeNo(dispute),
        adjustment,
        ruling: "so be it".into(),
        actor: Actor::new(holder),
    }
}

fn dispute(world: &World, number: u32) -> finance::Dispute {
    let dispute = world.global.finance().dispute(DisputeNo(number));
    dispute.unwrap().clone()
}

fn wait(world: &mut World, days: i64) {
    world.now = world.now.plus_seconds(days * DAY);
}

#[test]
fn an_accepted_dispute_becomes_an_adjustment_that_another_person_approves() {
    let mut world = closed();
    world.finance(raise(1));
    assert_eq!(dispute(&world, 1).state, DisputeState::Raised);
    let before = world.digest(CycleNo(0));
    world.finance(answer(1, Some(remedy(1))));
    let accepted = dispute(&world, 1);
    assert_eq!(accepted.state, DisputeState::Accepted);
    assert_eq!(
        (accepted.answered_by.as_str(), accepted.deadline),
        (MAKER, None)
    );
    let proposal = accepted.proposal.unwrap();
    assert_eq!(
        world.global.finance().proposal(proposal).unwrap().maker,
        MAKER
    );
    assert_eq!(world.global.open_cycle().net(A), 0, "not before approval");
    let own = world.try_finance(FinanceFact::ProposalDecided {
        proposal,
        approved: true,
        reason: "fine".into(),
        actor: Actor::new(MAKER),
    });
    assert_eq!(own, Err(FinanceRefusal::SamePerson(MAKER.into())));
    world.try_approve(proposal).unwrap();
    assert_eq!(world.global.open_cycle().net(A), -2_000_000);
    assert_eq!(world.global.open_cycle().hub.adjustment_micros, -2_000_000);
    assert_eq!(world.global.hub_balances().adjustment_micros, -3_000_000);
    assert_eq!(dispute(&world, 1).adjusted_by, Some(proposal));
    assert_eq!(world.digest(CycleNo(0)), before);
    let again = world.try_propose(Action::Adjustment(remedy(1)));
    assert_eq!(again.unwrap_err().code(), "DISPUTE_STATE");
}

#[test]
fn an_adjustment_that_was_refused_can_be_proposed_again() {
    let mut world = closed();
    world.finance(raise(1));
    let before = world.try_propose(Action::Adjustment(remedy(1)));
    assert_eq!(before.unwrap_err().code(), "DISPUTE_STATE");
    world.finance(answer(1, Some(remedy(1))));
    let proposal = dispute(&world, 1).proposal.unwrap();
    let waiting = world.try_propose(Action::Adjustment(remedy(1)));
    assert_eq!(waiting, Err(FinanceRefusal::AlreadyProposed(proposal)));
    world.finance(FinanceFact::ProposalDecided {
        proposal,
        approved: false,
        reason: "too much".into(),
        actor: Actor::new(CHECKER),
    });
    world.carry_out(Action::Adjustment(Adjustment {
        amount_micros: -1_000_000,
        counterparty: Party::Merchant(F),
        ..remedy(1)
    }));
    let open = world.global.open_cycle();
    assert_eq!((open.net(A), open.net(F)), (-1_000_000, 1_000_000));
    assert_eq!(open.hub.adjustment_micros, 0);
}

#[test]
fn a_rejection_is_escalated_and_ruled_by_somebody_else() {
    for upheld in [true, false] {
        let mut world = closed();
        world.finance(raise(1));
        world.finance(answer(1, None));
        assert_eq!(dispute(&world, 1).state, DisputeState::Rejected);
        wait(&mut world, 14);
        world.finance(escalate(1));
        let escalated = dispute(&world, 1);
        assert_eq!(escalated.state, DisputeState::Escalated);
        assert_eq!(escalated.text, "we never agreed to this\nlook again");
        let adjustment = upheld.then(|| remedy(1));
        let own = world.try_finance(rule(1, adjustment, MAKER));
        assert_eq!(own, Err(FinanceRefusal::SamePerson(MAKER.into())));
        world.finance(rule(1, adjustment, CHECKER));
        let ruled = dispute(&world, 1);
        assert_eq!((ruled.state, ruled.upheld), (DisputeState::Ruled, upheld));
        assert_eq!(ruled.ruled_by, CHECKER);
        assert_eq!(ruled.proposal.is_some(), upheld);
        if let Some(proposal) = ruled.proposal {
            let own = world.try_approve(proposal);
            assert_eq!(own, Err(FinanceRefusal::SamePerson(CHECKER.into())));
            world.finance(FinanceFact::ProposalDecided {
                proposal,
                approved: true,
                reason: "checked".into(),
                actor: Actor::new("Nour"),
            });
            assert_eq!(world.global.open_cycle().net(A), -2_000_000);
        } else {
            let refused = world.try_propose(Action::Adjustment(remedy(1)));
            assert_eq!(refused.unwrap_err().code(), "DISPUTE_STATE");
        }
    }
}

#[test]
fn time_limits_are_whole_days_of_the_programmes_zone() {
    // Closed on 1 February 23:00Z = 2 February 00:00 in Berlin; 14 days: until 17 February 00:00.
    let limit = at("2026-02-16T23:00:00Z");
    let mut world = closed();
    assert_eq!(
        world.global.cycle(CycleNo(0)).unwrap().closes_at,
        Some(at("2026-02-01T23:00:00Z"))
    );
    world.now = limit;
    assert_eq!(
        world.try_finance(raise(1)),
        Err(FinanceRefusal::DisputeTooLate {
            deadline_micros: limit.0
        })
    );
    world.now = limit.plus_micros(-1);
    world.finance(raise(1));
    // Raised on 16 February: finance has until 3 March 00:00.
    let silence = at("2026-03-02T23:00:00Z");
    assert_eq!(dispute(&world, 1).deadline, Some(silence));
    world.now = silence.plus_micros(-1);
    assert_eq!(dispute(&world, 1).state_at(world.now), DisputeState::Raised);
    let early = world.try_finance(escalate(1)).unwrap_err();
    assert_eq!(
        early.to_string(),
        "dispute 1 is RAISED: this needs REJECTED, or RAISED without an answer in time"
    );
    world.now = silence;
    assert_eq!(dispute(&world, 1).state_at(world.now), DisputeState::Lapsed);
    // Finance is late, but not too late while the merchant has not escalated.
    world.finance(answer(1, None));
    let lapse = at("2026-03-17T23:00:00Z");
    assert_eq!(dispute(&world, 1).deadline, Some(lapse));
    world.now = lapse;
    assert_eq!(dispute(&world, 1).state_at(world.now), DisputeState::Lapsed);
    assert_eq!(
        world.try_finance(escalate(1)),
        Err(FinanceRefusal::DisputeTooLate {
            deadline_micros: lapse.0
        })
    );
}

#[test]
fn a_dispute_that_nobody_answers_is_the_merchants_to_escalate() {
    let mut world = closed();
    world.finance(raise(1));
    wait(&mut world, 15);
    world.finance(escalate(1));
    assert_eq!(dispute(&world, 1).state, DisputeState::Escalated);
    let late = world.try_finance(answer(1, None)).unwrap_err();
    assert_eq!(late.code(), "DISPUTE_STATE");
    // Nobody had answered, so anybody may rule.
    world.finance(rule(1, None, MAKER));
    for fact in [answer(1, None), escalate(1), rule(1, None, CHECKER)] {
        let refused = world.try_finance(fact).unwrap_err();
        assert_eq!(refused.code(), "DISPUTE_STATE");
    }
}

#[test]
fn disputes_are_over_lines_and_entries_of_closed_cycles() {
    let mut world = closed();
    world.owe(A, 1);
    let (first, last) = {
        let cycle = world.global.cycle(CycleNo(0)).unwrap();
        (0, cycle.closed_seq.unwrap())
    };
    let with = |original: OriginalReference| match raise(1) {
        FinanceFact::DisputeRaised {
            dispute,
            merchant,
            claimed_micros,
            text,
            evidence,
            ..
        } => FinanceFact::DisputeRaised {
            dispute,
            merchant,
            original,
            claimed_micros,
            text,
            evidence,
        },
        other => other,
    };
    let nothing = OriginalReference::default();
    let cycle = Some(CycleNo(0));
    for (original, code) in [
        (nothing, "ORIGINAL_NOT_FOUND"),
        (OriginalReference { cycle, ..nothing }, "ORIGINAL_NOT_FOUND"),
        (
            OriginalReference {
                cycle: None,
                ..line()
            },
            "ORIGINAL_NOT_FOUND",
        ),
        (
            OriginalReference {
                line: Some(LineKind::Redemption),
                ..line()
            },
            "ORIGINAL_NOT_FOUND",
        ),
        (
            OriginalReference {
                cycle,
                leaf: Some(last + 1),
                ..nothing
            },
            "ORIGINAL_NOT_FOUND",
        ),
        (
            OriginalReference {
                cycle: Some(CycleNo(1)),
                ..line()
            },
            "CYCLE_STATE",
        ),
        (
            OriginalReference {
                cycle: Some(CycleNo(2)),
                ..line()
            },
            "CYCLE_NOT_FOUND",
        ),
    ] {
        let refused = world.try_finance(with(original)).unwrap_err();
        assert_eq!(refused.code(), code, "{original:?}");
    }
    for (number, leaf) in (1..).zip([first, last]) {
        let original = OriginalReference {
            cycle,
            leaf: Some(leaf),
            ..nothing
        };
        let FinanceFact::DisputeRaised {
            merchant,
            claimed_micros,
            text,
            evidence,
            ..
        } = raise(1)
        else {
            panic!("a dispute")
        };
        world.finance(FinanceFact::DisputeRaised {
            dispute: DisputeNo(number),
            merchant,
            original,
            claimed_micros,
            text,
            evidence,
        });
    }
}

#[test]
fn a_dispute_warns_and_does_not_hold_the_cycle_up() {
    let mut world = closed();
    let settle = SettleCycle::new(CycleNo(0), NettingMethod::Multilateral);
    let warnings = |world: &World| -> Vec<String> {
        let preview = preview_settlement(&world.global, &settle, world.now).unwrap();
        assert_eq!(preview.blockers, []);
        preview.warnings.iter().map(ToString::to_string).collect()
    };
    assert!(warnings(&world).is_empty());
    world.finance(raise(1));
    assert_eq!(
        warnings(&world),
        ["dispute 1 over this cycle is not decided"]
    );
    world.finance(answer(1, None));
    assert_eq!(warnings(&world).len(), 1, "it may still be escalated");
    wait(&mut world, 15);
    assert!(warnings(&world).is_empty(), "the rejection stands");
    world.approved(settle.clone());
    assert_eq!(world.state(0), CycleState::Approved);
    assert_eq!(
        world.global.finance().proposals().last().unwrap().state,
        ProposalState::Approved
    );
}

#[test]
fn evidence_and_contracts_bound_disputes() {
    let mut world = World::by_hand(|terms| terms.dispute_days = 0);
    world.cycle_of(&[(A, 5_000_000)]);
    assert_eq!(
        world.try_finance(raise(1)),
        Err(FinanceRefusal::DisputesExcluded("a".into()))
    );
    let mut world = closed();
    let FinanceFact::DisputeRaised {
        original, merchant, ..
    } = raise(1)
    else {
        panic!("a dispute")
    };
    let raise_with = |claimed_micros, pieces: usize, text: &str| FinanceFact::DisputeRaised {
        dispute: DisputeNo(1),
        merchant,
        original,
        claimed_micros,
        text: text.into(),
        evidence: vec![evidence(); pieces],
    };
    for (fact, code) in [
        (raise_with(0, 1, "why"), "AMOUNT_OUT_OF_RANGE"),
        (raise_with(i64::MIN, 1, "why"), "AMOUNT_OUT_OF_RANGE"),
        (raise_with(1, 9, "why"), "TOO_MUCH_EVIDENCE"),
        (raise_with(1, 1, "  "), "REASON_MISSING"),
        (raise_with(1, 1, &"x".repeat(4_001)), "TEXT_TOO_LONG"),
    ] {
        assert_eq!(world.try_finance(fact).unwrap_err().code(), code);
    }
    world.finance(raise_with(1, 8, "why"));
    world.finance(answer(1, None));
    let more = FinanceFact::DisputeEscalated {
        dispute: DisputeNo(1),
        text: "more".into(),
        evidence: vec![evidence()],
    };
    assert_eq!(
        world.try_finance(more),
        Err(FinanceRefusal::TooMuchEvidence)
    );
}
