//! Bank reports: importing moves nothing, wrong files change nothing, matches are posted by two people, exceptions are closed.

use crate::common::*;
use hansa_settlement::finance::{
    Action, Actor, BankEntry, BankMatch, CarryCause, ExceptionState, FieldDifference, FinanceFact,
    FinanceRefusal, NettingMethod, NewException, Party, PaymentState, ReportFact, ReportFault,
    SettleCycle,
};
use hansa_settlement::*;

/// A cycle with payments 1 (hub to A, 5.00), 2 (hub to T, 1.00) and 3 (F to the hub, 7.00), all SUBMITTED.
fn submitted() -> World {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 7_000_000), (T, -1_000_000)]);
    world.approved(SettleCycle::new(
        CycleNo(cycle),
        NettingMethod::Multilateral,
    ));
    world.submit(cycle);
    world
}

fn entry(number: u32, amount_micros: i64) -> BankEntry {
    BankEntry {
        number,
        amount_micros,
        bank_reference: format!("E{number}"),
        is_return: false,
        reason: String::new(),
    }
}

fn matched(payments: &[u32], entries: &[u32]) -> BankMatch {
    BankMatch {
        payments: payments.iter().copied().map(PaymentNo).collect(),
        entries: entries.to_vec(),
        is_return: false,
    }
}

fn raised(world: &World, entry: Option<u32>, payment: Option<u32>) -> NewException {
    NewException {
        number: world.global.finance().next_exception(),
        entry,
        payment: payment.map(PaymentNo),
        description: "the amount differs".into(),
        differences: vec![FieldDifference {
            field: "amount".into(),
            expected: "7.00".into(),
            found: "6.50".into(),
        }],
    }
}

#[test]
fn entries_and_payments_match_one_to_one_one_to_many_and_many_to_one() {
    let mut world = submitted();
    let before = (world.global.hub_balances(), world.global.clearing(F));
    let mut report = world.report();
    report.entries = vec![
        entry(1, -6_000_000),
        entry(2, 3_000_000),
        entry(3, 4_000_000),
    ];
    report.matches = vec![matched(&[1, 2], &[1]), matched(&[3], &[2, 3])];
    let number = world.import(report);
    assert_eq!(
        (world.global.hub_balances(), world.global.clearing(F)),
        before,
        "import moves no money"
    );
    let stored = world.global.finance().report(number).unwrap();
    assert_eq!((stored.entry_count, stored.waiting_matches()), (3, 2));
    assert_eq!(stored.payments, [1, 2, 3].map(PaymentNo));
    assert_eq!(stored.owner, Party::Hub);
    // Until it is posted nobody decides otherwise about these payments.
    let early = world.try_propose(Action::CarryForwardPayment {
        payment: PaymentNo(3),
    });
    assert_eq!(early.unwrap_err().code(), "REPORT_OPEN");
    world.carry_out(Action::PostReconciliation { report: number });
    assert_eq!(world.state(0), CycleState::Settled);
    assert_eq!(world.global.hub_balances().bank_micros, 1_000_000);
    assert_eq!(world.payment(3).bank_reference, "E2");
    let again = world.try_propose(Action::PostReconciliation { report: number });
    assert_eq!(again, Err(FinanceRefusal::ReportAlreadyPosted(number)));
}

#[test]
fn reports_that_do_not_fit_are_refused_whole() {
    use ReportFault::{
        Amount, EntryOrder, EntryTwice, EntryUnaccounted, EntryUnknown, OtherAccount, PaymentTwice,
        PaymentUnknown, Status,
    };
    type Change = fn(&World, &mut ReportFact);
    let table: [(ReportFault, Change); 15] = [
        (EntryOrder(2), |_, r| {
            r.entries = vec![entry(2, -5_000_000)];
        }),
        (EntryUnknown(2), |_, r| {
            r.entries = vec![entry(1, -5_000_000)];
            r.matches = vec![matched(&[1], &[2])];
        }),
        (EntryUnknown(0), |_, r| {
            r.matches = vec![matched(&[1], &[0])];
        }),
        (EntryTwice(1), |w, r| {
            r.entries = vec![entry(1, -5_000_000)];
            r.matches = vec![matched(&[1], &[1])];
            r.exceptions = vec![raised(w, Some(1), None)];
        }),
        (EntryUnaccounted(2), |_, r| {
            r.entries = vec![entry(1, -5_000_000), entry(2, 1)];
            r.matches = vec![matched(&[1], &[1])];
        }),
        (PaymentUnknown(PaymentNo(9)), |_, r| {
            r.entries = vec![entry(1, -5_000_000)];
            r.matches = vec![matched(&[9], &[1])];
        }),
        (PaymentUnknown(PaymentNo(0)), |w, r| {
            r.entries = vec![entry(1, -5_000_000)];
            r.exceptions = vec![raised(w, Some(1), Some(0))];
        }),
        (PaymentTwice(PaymentNo(1)), |_, r| {
            r.entries = vec![entry(1, -5_000_000), entry(2, -5_000_000)];
            r.matches = vec![matched(&[1], &[1]), matched(&[1], &[2])];
        }),
        // Another amount.
        (
            Amount {
                payments_micros: -5_000_000,
                entries_micros: -4_999_999,
            },
            |_, r| {
                r.entries = vec![entry(1, -4_999_999)];
                r.matches = vec![matched(&[1], &[1])];
            },
        ),
        // Another direction.
        (
            Amount {
                payments_micros: -5_000_000,
                entries_micros: 5_000_000,
            },
            |_, r| {
                r.entries = vec![entry(1, 5_000_000)];
                r.matches = vec![matched(&[1], &[1])];
            },
        ),
        // A return of what never left.
        (
            Amount {
                payments_micros: 5_000_000,
                entries_micros: -5_000_000,
            },
            |_, r| {
                r.entries = vec![entry(1, -5_000_000)];
                r.matches = vec![BankMatch {
                    is_return: true,
                    ..matched(&[1], &[1])
                }];
            },
        ),
        // Matches with nothing on one side.
        (
            Amount {
                payments_micros: 0,
                entries_micros: 0,
            },
            |_, r| r.matches = vec![matched(&[], &[])],
        ),
        // Its payer's account does not see what the hub pays another merchant.
        (OtherAccount(PaymentNo(1)), |w, r| {
            let account = |merchant| w.global.contract(merchant, w.now).unwrap().1.account();
            r.account = account(F).to_owned();
            r.entries = vec![entry(1, -5_000_000)];
            r.matches = vec![matched(&[1], &[1])];
        }),
        (Status, |w, r| {
            *r = w.status(PaymentNo(1), PaymentState::Settled);
        }),
        (PaymentUnknown(PaymentNo(77)), |w, r| {
            *r = w.status(PaymentNo(77), PaymentState::Accepted);
        }),
    ];
    let mut world = submitted();
    with_own_accounts(&mut world);
    for (fault, change) in table {
        let mut report = world.report();
        change(&world, &mut report);
        let refused = world.try_import(report);
        assert_eq!(refused, Err(FinanceRefusal::ReportUnfit(fault)));
    }
    assert!(world.global.finance().reports().is_empty());
}

/// A, F and T get accounts of their own.
fn with_own_accounts(world: &mut World) {
    for (merchant, iban) in [
        (A, "DE75512108001245126199"),
        (F, "FR1420041010050500013M02606"),
        (T, "NL91ABNA0417164300"),
    ] {
        let (_, terms) = world.global.contract(merchant, world.now).unwrap();
        let mut terms = terms.clone();
        terms.bank_details = Some(Box::new(bank("Holder", iban)));
        world.fact(Fact::Contract {
            merchant,
            effective_at: world.now,
            terms,
        });
    }
}

#[test]
fn a_foreign_file_and_the_same_file_change_nothing() {
    let mut world = submitted();
    let mut foreign = world.confirming(&[PaymentNo(1)]);
    foreign.account = "GB29NWBK60161331926819".into();
    let refused = world.try_import(foreign).unwrap_err();
    assert_eq!(
        refused,
        FinanceRefusal::ForeignAccount("GB29NWBK60161331926819".into())
    );
    let report = world.confirming(&[PaymentNo(1)]);
    let first = world.import(report.clone());
    assert_eq!(
        world.try_import(report.clone()),
        Err(FinanceRefusal::ReportAlreadyImported(first))
    );
    world.carry_out(Action::PostReconciliation { report: first });
    assert_eq!(
        world.try_import(report),
        Err(FinanceRefusal::ReportAlreadyImported(first))
    );
}

#[test]
fn the_same_booking_in_two_reports_is_posted_once() {
    let mut world = submitted();
    let notice = world.import(world.confirming(&[PaymentNo(1)]));
    let statement = world.import(world.confirming(&[PaymentNo(1), PaymentNo(2)]));
    world.carry_out(Action::PostReconciliation { report: notice });
    let bank = world.global.hub_balances().bank_micros;
    assert_eq!(bank, -5_000_000);
    world.carry_out(Action::PostReconciliation { report: statement });
    assert_eq!(world.global.hub_balances().bank_micros, -6_000_000);
    assert!(world.global.finance().exceptions().is_empty());
}

#[test]
fn what_no_longer_fits_when_a_report_is_posted_becomes_an_exception() {
    let mut world = submitted();
    let first = world.import(world.confirming(&[PaymentNo(1)]));
    let mut twice = world.confirming(&[PaymentNo(1), PaymentNo(2)]);
    twice.entries[0].bank_reference = "SECOND".into();
    let second = world.import(twice);
    world.carry_out(Action::PostReconciliation { report: first });
    world.carry_out(Action::PostReconciliation { report: second });
    assert_eq!(world.global.hub_balances().bank_micros, -6_000_000);
    let [exception] = world.global.finance().exceptions() else {
        panic!("one exception")
    };
    assert_eq!(exception.state, ExceptionState::Open);
    assert_eq!(exception.amount_micros, Some(-5_000_000));
    assert_eq!(exception.payment, Some(PaymentNo(1)));
    assert_eq!((exception.report, exception.entry), (second, Some(1)));
}

#[test]
fn a_short_payment_is_matched_by_hand_and_the_rest_is_brought_forward() {
    let mut world = submitted();
    let mut report = world.report();
    report.entries = vec![entry(1, 6_500_000)];
    report.exceptions = vec![raised(&world, Some(1), Some(3))];
    let exception = report.exceptions[0].number;
    world.import(report);
    assert_eq!(world.payment(3).state, PaymentState::Submitted);
    let by_hand = |payments: &[u32]| Action::MatchException {
        exception,
        payments: payments.iter().copied().map(PaymentNo).collect(),
    };
    for (payments, code) in [
        (&[][..], "NOTHING_LISTED"),
        (&[3, 3], "LISTED_TWICE"),
        (&[99], "PAYMENT_NOT_FOUND"),
        (&[1], "MATCH_UNFIT"),
        (&[3, 1], "MATCH_UNFIT"),
    ] {
        let refused = world.try_propose(by_hand(payments));
        assert_eq!(refused.unwrap_err().code(), code, "{payments:?}");
    }
    world.carry_out(by_hand(&[3]));
    assert_eq!(world.payment(3).state, PaymentState::Settled);
    assert_eq!(world.global.hub_balances().bank_micros, 6_500_000);
    assert_eq!(world.global.clearing(F), 500_000);
    let moves = world.global.finance().carry_moves(F);
    assert_eq!(
        (moves[0].cause, moves[0].micros),
        (CarryCause::Difference(exception), 500_000)
    );
    let closed = world.global.finance().exception(exception).unwrap();
    assert_eq!(
        (
            closed.state,
            closed.resolution.as_str(),
            closed.resolved_by.as_str()
        ),
        (ExceptionState::Matched, "checked", CHECKER)
    );
    assert_eq!(
        world.try_propose(by_hand(&[3])),
        Err(FinanceRefusal::ExceptionClosed(exception))
    );
}

#[test]
fn a_return_is_matched_by_hand_with_what_was_settled() {
    let mut world = submitted();
    world.confirm(&[PaymentNo(1)]);
    let mut report = world.report();
    report.entries = vec![BankEntry {
        is_return: true,
        ..entry(1, 5_000_000)
    }];
    report.exceptions = vec![raised(&world, Some(1), None)];
    let exception = report.exceptions[0].number;
    world.import(report);
    for payment in [2, 3] {
        let refused = world.try_propose(Action::MatchException {
            exception,
            payments: vec![PaymentNo(payment)],
        });
        assert_eq!(
            refused,
            Err(FinanceRefusal::MatchUnfit {
                exception,
                fault: ReportFault::PaymentState(PaymentNo(payment))
            })
        );
    }
    world.carry_out(Action::MatchException {
        exception,
        payments: vec![PaymentNo(1)],
    });
    assert_eq!(world.payment(1).state, PaymentState::Returned);
    assert_eq!(world.global.hub_balances().bank_micros, 0);
}

#[test]
fn an_exception_without_an_entry_confirms_only_its_own_payment() {
    let mut world = submitted();
    let mut report = world.report();
    report.exceptions = vec![raised(&world, None, Some(3))];
    let exception = report.exceptions[0].number;
    world.import(report);
    let other = world.try_propose(Action::MatchException {
        exception,
        payments: vec![PaymentNo(1)],
    });
    assert_eq!(
        other,
        Err(FinanceRefusal::MatchUnfit {
            exception,
            fault: ReportFault::NotNamed(PaymentNo(1))
        })
    );
    world.carry_out(Action::MatchException {
        exception,
        payments: vec![PaymentNo(3)],
    });
    assert_eq!(world.global.clearing(F), 0);
}

#[test]
fn exceptions_are_explained_or_adjusted() {
    let mut world = submitted();
    let mut report = world.report();
    report.entries = vec![entry(1, -2_000_000), entry(2, 30_000)];
    report.exceptions = vec![raised(&world, Some(1), None), raised(&world, Some(2), None)];
    report.exceptions[1].number = ExceptionNo(2);
    let number = world.import(report);
    assert_eq!(
        world.try_propose(Action::PostReconciliation { report: number }),
        Err(FinanceRefusal::NothingToPost(number))
    );
    let explain = |explanation: &str, holder: &str| FinanceFact::ExceptionExplained {
        exception: ExceptionNo(1),
        explanation: explanation.into(),
        actor: Actor::new(holder),
    };
    let refused = world.try_finance(explain(" ", MAKER));
    assert_eq!(refused, Err(FinanceRefusal::ReasonMissing));
    world.finance(explain(
        "the bank's fee, booked in the general ledger",
        MAKER,
    ));
    let again = world.try_finance(explain("again", MAKER));
    assert_eq!(again, Err(FinanceRefusal::ExceptionClosed(ExceptionNo(1))));
    let adjust = |exception| {
        Action::Adjustment(finance::Adjustment {
            reason: finance::AdjustmentReason::Reconciliation,
            exception: Some(ExceptionNo(exception)),
            ..World::adjustment(A, -30_000)
        })
    };
    let closed = world.try_propose(adjust(1));
    assert_eq!(closed, Err(FinanceRefusal::ExceptionClosed(ExceptionNo(1))));
    world.carry_out(adjust(2));
    let states: Vec<_> = world
        .global
        .finance()
        .exceptions()
        .iter()
        .map(|e| e.state)
        .collect();
    assert_eq!(
        states,
        [ExceptionState::Explained, ExceptionState::Adjusted]
    );
}

#[test]
fn payments_between_merchants_are_confirmed_from_either_account() {
    for (owner, sign) in [(F, -1), (A, 1)] {
        let mut world = World::by_hand(|terms| terms.service_fee_micros = 0);
        with_own_accounts(&mut world);
        let now = world.now;
        world.send(now, now, F, U1, buy("1000"));
        let (held, _) = world.send(now, now, A, U1, authorise(1_000));
        world.send(now, now, A, U1, capture(held, 1_000));
        let cycle = world.close_cycle();
        world.settle(SettleCycle::new(CycleNo(cycle), NettingMethod::Bilateral));
        let payments = world.submit(cycle);
        let between = world.payment(2);
        assert_eq!(
            (between.payer, between.payee, between.amount_micros),
            (Party::Merchant(F), Party::Merchant(A), 8_000_000)
        );
        let bank = world.global.hub_balances().bank_micros;
        let mut report = world.report();
        report.account = world
            .global
            .contract(owner, world.now)
            .unwrap()
            .1
            .account()
            .to_owned();
        report.entries = vec![entry(1, sign * 8_000_000)];
        report.matches = vec![matched(&[2], &[1])];
        let report = world.import(report);
        world.carry_out(Action::PostReconciliation { report });
        assert_eq!(world.global.hub_balances().bank_micros, bank);
        assert_eq!(world.global.clearing(F), 0);
        world.confirm(&payments[..1]);
        assert_eq!(world.global.clearing(A), 0);
        assert_eq!(world.state(cycle), CycleState::Settled);
    }
}
