//! Histories of finance, sensible and not: operations, how likely each is, and how it is played.

use crate::common::*;
use hansa_settlement::finance::{
    Action, Actor, Adjustment, AdjustmentReason, BankEntry, BankMatch, ExceptionState, FinanceFact,
    Holdback, NettingMethod, NewException, OriginalReference, Party, PaymentState, ProposalState,
    SettleCycle,
};
use hansa_settlement::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A cycle as it should be: nets, closed, audited, settled by a method, submitted.
    Routine([i64; 3], usize, bool),
    /// Somebody buys at one merchant and spends at another.
    Trade(u32, u32, i64),
    Adjust(u32, Option<u32>, i64),
    Close(bool),
    Settle(usize, Option<u32>, Option<(u32, i64)>, bool),
    Decide(bool, bool),
    Submit(u8),
    Status(u8, bool),
    /// Entries for payments; some of another amount, some given back.
    Report(u8, bool, i64),
    Post,
    Resolve(u8),
    Reinstruct(u8),
    CarryForward(u8),
    Abort,
    Release(u32, i64),
    Prepay(u32, i64),
    Default(u32, i64),
    State(u32, MerchantState),
    Dispute(u32, i64),
    Answer(bool),
    Wait(i64),
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let merchant = 0_u32..3;
    let micros = prop_oneof![-9_000_000_i64..9_000_000, -5..5_i64];
    let amount = prop_oneof![Just(i64::MAX), 1..9_000_000_i64];
    let state = prop_oneof![
        4 => Just(MerchantState::Active),
        1 => Just(MerchantState::WindingDown),
        1 => Just(MerchantState::Suspended),
        1 => Just(MerchantState::Closed)
    ];
    let held = proptest::option::of((merchant.clone(), (1_i64..500).prop_map(|c| c * 10_000)));
    prop_oneof![
        8 => ([micros.clone(), micros.clone(), micros.clone()], 0_usize..6, any::<bool>())
            .prop_map(|(n, m, s)| Op::Routine(n, m, s)),
        4 => (merchant.clone(), merchant.clone(), 1_i64..2_000).prop_map(|(f, m, p)| Op::Trade(f, m, p)),
        3 => (merchant.clone(), proptest::option::of(merchant.clone()), micros.clone())
            .prop_map(|(m, c, n)| Op::Adjust(m, c, n)),
        3 => prop::bool::weighted(0.95).prop_map(Op::Close),
        5 => (0_usize..6, proptest::option::weighted(0.2, merchant.clone()), held, any::<bool>())
            .prop_map(|(n, w, h, b)| Op::Settle(n, w, h, b)),
        12 => (prop::bool::weighted(0.9), prop::bool::weighted(0.05)).prop_map(|(a, s)| Op::Decide(a, s)),
        6 => any::<u8>().prop_map(Op::Submit),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(p, a)| Op::Status(p, a)),
        8 => (any::<u8>(), prop::bool::weighted(0.2), prop_oneof![4 => Just(0_i64), 1 => -9..9_i64])
            .prop_map(|(p, r, d)| Op::Report(p, r, d)),
        6 => Just(Op::Post),
        3 => any::<u8>().prop_map(Op::Resolve),
        2 => any::<u8>().prop_map(Op::Reinstruct),
        2 => any::<u8>().prop_map(Op::CarryForward),
        1 => Just(Op::Abort),
        2 => (merchant.clone(), amount.clone()).prop_map(|(m, n)| Op::Release(m, n)),
        1 => (merchant.clone(), 1..9_000_000_i64).prop_map(|(m, n)| Op::Prepay(m, n)),
        1 => (merchant.clone(), amount).prop_map(|(m, n)| Op::Default(m, n)),
        1 => (merchant.clone(), state).prop_map(|(m, s)| Op::State(m, s)),
        2 => (merchant, micros).prop_map(|(m, n)| Op::Dispute(m, n)),
        1 => any::<bool>().prop_map(Op::Answer),
        1 => (0_i64..20).prop_map(Op::Wait),
    ]
}

/// The contracts' own choices.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    burn: bool,
    holdback_bps: u32,
    minimum_payout_micros: i64,
    cap_micros: Option<i64>,
}

pub(super) fn choices() -> impl Strategy<Value = Choices> {
    (
        any::<bool>(),
        prop_oneof![Just(0_u32), Just(1_500)],
        prop_oneof![Just(0_i64), Just(2_000_000)],
        proptest::option::weighted(0.2, Just(50_000_000_i64)),
    )
        .prop_map(
            |(burn, holdback_bps, minimum_payout_micros, cap_micros)| Choices {
                burn,
                holdback_bps,
                minimum_payout_micros,
                cap_micros,
            },
        )
}

/// Counts what the model needs to know beside the state: differences that were matched by hand.
#[derive(Default)]
pub(super) struct Model {
    pub(super) by_hand: Vec<(MerchantIx, i128)>,
}

pub(super) fn play(choices: &Choices, ops: &[Op]) -> (World, Model) {
    let mut world = World::by_hand(|terms| {
        terms.funding = if choices.burn {
            FundingMode::Burn
        } else {
            FundingMode::Issue
        };
        terms.holdback_bps = choices.holdback_bps;
        terms.minimum_payout_micros = choices.minimum_payout_micros;
        terms.net_debit_cap_micros = choices.cap_micros;
        terms.collateral_micros = 1_000_000;
        terms.dispute_days = 30;
    });
    let mut terms = world.global.programme(world.now).clone();
    let share = |bearer, share_bps| LossShare {
        bearer,
        share_bps,
        limit_micros: None,
    };
    terms.settlement.loss_shares = vec![
        share(Party::Merchant(A), 3_333),
        share(Party::Merchant(T), 5_000),
        share(Party::Hub, 10_000),
    ];
    world.fact(Fact::Programme {
        effective_at: world.now,
        terms,
    });
    let mut model = Model::default();
    for op in ops {
        world.now = world.now.plus_seconds(60);
        step(&mut world, &mut model, op);
    }
    (world, model)
}

/// The n-th of what there is, if there is any.
fn pick<T: Copy>(list: &[T], n: u8) -> Option<T> {
    list.get(usize::from(n) % list.len().max(1)).copied()
}

/// Payments to try something on: mostly such that are in one of these states, sometimes any.
fn candidates(world: &World, n: u8, states: &[PaymentState]) -> Vec<PaymentNo> {
    let payments = world.global.finance().payments().iter();
    payments
        .filter(|p| n % 8 == 0 || states.contains(&p.state))
        .map(|p| p.number)
        .collect()
}

/// All of them, or one.
fn some(payments: &[PaymentNo], n: u8) -> Vec<PaymentNo> {
    if n % 2 == 1 {
        payments.to_vec()
    } else {
        pick(payments, n / 2).into_iter().collect()
    }
}

fn propose(world: &mut World, action: Action) {
    // A refusal is one of the outcomes; the harness checks that it changed nothing.
    let _ = world.try_propose(action);
}

fn step(world: &mut World, model: &mut Model, op: &Op) {
    match op {
        Op::Routine(nets, method, submitted) => routine(world, *nets, *method, *submitted),
        Op::Trade(funder, merchant, points) => trade(world, *funder, *merchant, *points),
        Op::Adjust(merchant, counterparty, micros) => {
            let adjustment = Adjustment {
                counterparty: Party::from(counterparty.map(MerchantIx)),
                ..World::adjustment(MerchantIx(*merchant), *micros)
            };
            let _ = world.try_carry_out(Action::Adjustment(adjustment));
        }
        Op::Close(audited) => {
            let cycle = world.close_cycle();
            if *audited {
                world.audit(cycle);
            }
        }
        Op::Settle(method, without, held, bilateral_first) => {
            let cycles = world.global.cycles();
            let next = cycles.iter().find(|c| !c.state.is_planned()).unwrap().no;
            propose(
                world,
                Action::SettleCycle(SettleCycle {
                    bilateral_first: *bilateral_first,
                    without: without.map(MerchantIx).into_iter().collect(),
                    holdbacks: held
                        .iter()
                        .map(|(merchant, amount_micros)| Holdback {
                            merchant: MerchantIx(*merchant),
                            amount_micros: *amount_micros,
                            reason: "careful".into(),
                        })
                        .collect(),
                    ..SettleCycle::new(next, NettingMethod::ALL[*method])
                }),
            );
        }
        Op::Decide(approved, same_person) => while decide(world, model, *approved, *same_person) {},
        Op::Submit(n) => {
            let payments = some(&candidates(world, *n, &[PaymentState::Pending]), *n);
            let _ = world.try_finance(FinanceFact::PaymentsSubmitted {
                payments,
                file_sha256: None,
                actor: Actor::new(MAKER),
            });
        }
        Op::Status(n, accepted) => {
            let payments = candidates(world, *n, &[PaymentState::Submitted]);
            if let Some(payment) = pick(&payments, *n) {
                let state = if *accepted {
                    PaymentState::Accepted
                } else {
                    PaymentState::Rejected
                };
                let _ = world.try_import(world.status(payment, state));
            }
        }
        Op::Report(n, is_return, difference) => report(world, *n, *is_return, *difference),
        Op::Post => {
            let reports = world.global.finance().reports().iter();
            let waiting = reports
                .filter(|r| r.waiting_matches() > 0)
                .map(|r| r.number);
            if let Some(report) = waiting.last() {
                propose(world, Action::PostReconciliation { report });
            }
        }
        Op::Resolve(n) => {
            let exceptions = world.global.finance().exceptions().iter();
            let open = exceptions.filter(|e| e.state == ExceptionState::Open);
            let numbers: Vec<_> = open.map(|e| (e.number, e.payment)).collect();
            if let Some((exception, Some(payment))) = pick(&numbers, *n) {
                let payments = vec![payment];
                propose(
                    world,
                    Action::MatchException {
                        exception,
                        payments,
                    },
                );
            }
        }
        Op::Reinstruct(n) => {
            let failed = [PaymentState::Rejected, PaymentState::Returned];
            if let Some(payment) = pick(&candidates(world, *n, &failed), *n) {
                propose(world, Action::ReinstructPayment { payment });
            }
        }
        Op::CarryForward(n) => {
            let unpaid = [
                PaymentState::Submitted,
                PaymentState::Rejected,
                PaymentState::Returned,
            ];
            if let Some(payment) = pick(&candidates(world, *n, &unpaid), *n) {
                propose(world, Action::CarryForwardPayment { payment });
            }
        }
        Op::Abort => {
            let cycles = world.global.cycles().iter();
            let planned = cycles.filter(|c| c.state.is_planned()).map(|c| c.no);
            if let Some(cycle) = planned.last() {
                propose(world, Action::AbortSettlement { cycle });
            }
        }
        Op::Release(merchant, most) => {
            let merchant = MerchantIx(*merchant);
            let held = i64::try_from(world.global.finance().held_back(merchant)).unwrap();
            propose(
                world,
                Action::ReleaseHoldback {
                    merchant,
                    amount_micros: held.min(*most),
                },
            );
        }
        Op::Prepay(merchant, amount_micros) => {
            let reference = world.seq.to_string();
            propose(
                world,
                Action::PrepaidPack {
                    merchant: MerchantIx(*merchant),
                    amount_micros: *amount_micros,
                    reference,
                },
            );
        }
        Op::Default(merchant, most) => {
            let merchant = MerchantIx(*merchant);
            let state = MerchantState::Suspended;
            let _ = world.try_fact(Fact::MerchantState { merchant, state });
            let owed = i64::try_from(world.global.owed_unpaid(merchant)).unwrap();
            propose(
                world,
                Action::DeclareDefault {
                    merchant,
                    amount_micros: owed.min(*most),
                },
            );
        }
        Op::State(merchant, state) => {
            let _ = world.try_fact(Fact::MerchantState {
                merchant: MerchantIx(*merchant),
                state: *state,
            });
        }
        Op::Dispute(merchant, claimed_micros) => {
            let dispute = world.global.finance().next_dispute();
            let _ = world.try_finance(FinanceFact::DisputeRaised {
                dispute,
                merchant: MerchantIx(*merchant),
                original: OriginalReference {
                    cycle: Some(CycleNo(0)),
                    line: Some(LineKind::Adjustment),
                    ..OriginalReference::default()
                },
                claimed_micros: *claimed_micros,
                text: "no".into(),
                evidence: vec![],
            });
        }
        Op::Answer(accepted) => answer(world, *accepted),
        Op::Wait(days) => world.now = world.now.plus_seconds(days * 86_400),
    }
}

fn routine(world: &mut World, nets: [i64; 3], method: usize, submitted: bool) {
    for (merchant, micros) in [A, F, T].into_iter().zip(nets) {
        let _ = world.try_carry_out(Action::Adjustment(World::adjustment(merchant, micros)));
    }
    let cycle = world.close_cycle();
    world.audit(cycle);
    let next = world.global.cycles().iter().find(|c| !c.state.is_planned());
    let settle = SettleCycle {
        accept_cap_breach: true,
        ..SettleCycle::new(next.unwrap().no, NettingMethod::ALL[method])
    };
    let _ = world.try_carry_out(Action::SettleCycle(settle));
    if submitted {
        let payments = candidates(world, 1, &[PaymentState::Pending]);
        let _ = world.try_finance(FinanceFact::PaymentsSubmitted {
            payments,
            file_sha256: None,
            actor: Actor::new(MAKER),
        });
    }
}

fn trade(world: &mut World, funder: u32, merchant: u32, points: i64) {
    let (now, member) = (world.now, MemberId(u64::from(funder) + 1));
    world.send(
        now,
        now,
        MerchantIx(funder),
        member,
        buy(&points.to_string()),
    );
    let (held, outcome) = world.send(
        now,
        now,
        MerchantIx(merchant),
        member,
        authorise(points / 2),
    );
    if outcome.code == OutcomeCode::Accepted {
        world.send(
            now,
            now,
            MerchantIx(merchant),
            member,
            capture(held, points / 2),
        );
    }
}

/// Decides the oldest proposal that waits, if there is one; sometimes its maker tries to.
fn decide(world: &mut World, model: &mut Model, approved: bool, same_person: bool) -> bool {
    let Some(proposal) = world.global.finance().pending().next().cloned() else {
        return false;
    };
    let holder = if same_person {
        &proposal.maker
    } else {
        CHECKER
    };
    let approve = |approved| FinanceFact::ProposalDecided {
        proposal: proposal.number,
        approved,
        reason: "so".into(),
        actor: Actor::new(holder),
    };
    let before = world.global.hub_balances().bank_micros;
    match world.try_finance(approve(approved)) {
        Ok(()) if approved => count_difference(world, model, &proposal.action, before),
        Ok(()) => {}
        // What cannot be approved is not left waiting for ever.
        Err(_) => world.finance(approve(false)),
    }
    true
}

/// A match by hand posts what the bank booked: the model takes down what that was less than the payment.
fn count_difference(world: &World, model: &mut Model, action: &Action, bank_before: i128) {
    let Action::MatchException { payments, .. } = action else {
        return;
    };
    let payment = world.global.finance().payment(payments[0]).unwrap();
    if payment.state != PaymentState::Settled {
        return;
    }
    let booked = world.global.hub_balances().bank_micros - bank_before;
    for (merchant, micros) in payment.merchants() {
        if payment.payer == Party::Hub || payment.payee == Party::Hub {
            model.by_hand.push((merchant, micros - booked));
        }
    }
}

/// A report of the hub's account about payments: matched where the amount is right, exceptions otherwise.
fn report(world: &mut World, n: u8, is_return: bool, difference: i64) {
    let states: &[PaymentState] = if is_return {
        &[PaymentState::Settled, PaymentState::Submitted]
    } else {
        &[PaymentState::Submitted, PaymentState::Accepted]
    };
    let mut report = world.report();
    for number in some(&candidates(world, n, states), n) {
        let payment = world.global.finance().payment(number).unwrap();
        let between = payment.payer != Party::Hub && payment.payee != Party::Hub;
        let entry = (!between).then_some(report.entries.len() as u32 + 1);
        let in_or_out = if payment.payer == Party::Hub { -1 } else { 1 };
        let sign = if is_return { -1 } else { 1 };
        report.entries.extend(entry.map(|entry| BankEntry {
            number: entry,
            amount_micros: payment.amount_micros * in_or_out * sign + difference,
            bank_reference: format!("{number}/{is_return}/{}", n % 3),
            is_return,
            reason: String::new(),
        }));
        match entry.filter(|_| difference == 0) {
            Some(entry) => report.matches.push(BankMatch {
                payments: vec![number],
                entries: vec![entry],
                is_return,
            }),
            None => {
                let next = world.global.finance().next_exception().0;
                report.exceptions.push(NewException {
                    number: ExceptionNo(next + report.exceptions.len() as u32),
                    entry,
                    payment: Some(number),
                    description: "look".into(),
                    differences: vec![],
                });
            }
        }
    }
    let _ = world.try_import(report);
}

fn answer(world: &mut World, accepted: bool) {
    let Some(dispute) = world.global.finance().disputes().last().cloned() else {
        return;
    };
    let adjustment = accepted.then(|| Adjustment {
        reason: AdjustmentReason::Dispute,
        dispute: Some(dispute.number),
        ..World::adjustment(dispute.merchant, dispute.claimed_micros)
    });
    let facts = [
        FinanceFact::DisputeAnswered {
            dispute: dispute.number,
            adjustment,
            answer: "so".into(),
            actor: Actor::new(MAKER),
        },
        FinanceFact::DisputeEscalated {
            dispute: dispute.number,
            text: "again".into(),
            evidence: vec![],
        },
        FinanceFact::DisputeRuled {
            dispute: dispute.number,
            adjustment,
            ruling: "so".into(),
            actor: Actor::new(CHECKER),
        },
    ];
    let done = facts
        .into_iter()
        .any(|fact| world.try_finance(fact).is_ok());
    assert!(done || dispute.state_at(world.now) != finance::DisputeState::Raised);
}
