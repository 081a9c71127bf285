//! What the bank refuses or gives back is paid again or brought forward; the cycle's figures stay.

use hansa_proto::v1::{self, CycleState, NettingMethod, PaymentState, action::Action};
use hansa_tests::{
    alliance::{self, bank_details},
    bank::{Booking, notification, statement, status_report},
    check::refused,
    clerk::settlement,
    clock::MINUTE,
    database::Database,
    for_each_database,
};
use tonic::Code;

use hansa_tests::shop::{DAY, Shop, terms};

fn of(payments: &[v1::Payment], payee: &str) -> v1::Payment {
    let found = payments.iter().rev().find(|p| p.payee_merchant_id == payee);
    found.unwrap().clone()
}

fn reinstruct(payment: &v1::Payment) -> Action {
    Action::ReinstructPayment(v1::ReinstructPayment {
        payment_number: payment.payment_number,
    })
}

async fn a_rejected_payment_is_instructed_again_to_the_new_account(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let digest = shop.ana.cycle(1).await.digest;
    let first_file = shop
        .ana
        .file(1, "", v1::PaymentFileFormat::Pain001)
        .await
        .unwrap();
    let (to_a, to_t, by_f) = (of(&payments, "a"), of(&payments, "t"), of(&payments, ""));
    let early = shop.ana.propose(reinstruct(&to_a), "too early").await;
    refused(early, Code::FailedPrecondition, "PAYMENT_STATE");
    let statuses = [
        (to_a.end_to_end_id.as_str(), "RJCT", Some("AC04")),
        (to_t.end_to_end_id.as_str(), "ACSP", None),
    ];
    let report = status_report("STS-1", DAY, "HANSA-1-H", &statuses);
    let report = shop
        .ana
        .import("status.xml", report)
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!(report.statuses[0].reason, "RJCT/AC04");
    let rejected = of(&shop.ana.payments(1).await, "a");
    assert_eq!(
        (rejected.state(), rejected.bank_reason.as_str()),
        (PaymentState::Rejected, "RJCT/AC04")
    );

    // A has moved to another bank.
    shop.hub.advance(MINUTE).await;
    let moved = v1::Contract {
        bank_details: Some(v1::BankDetails {
            iban: "DE02120300000000202051".into(),
            ..bank_details("a")
        }),
        ..terms("a")
    };
    let merchant = alliance::merchant("a", v1::MerchantState::Active, moved);
    shop.hub.apply_merchant(merchant).await;
    shop.ana
        .carry_out(&shop.ben, reinstruct(&rejected), "new account")
        .await;
    let payments = shop.ana.payments(1).await;
    let old = payments
        .iter()
        .find(|p| p.payment_number == rejected.payment_number);
    assert_eq!(old.unwrap().state(), PaymentState::Reinstructed);
    let again = of(&payments, "a");
    assert_eq!(
        (again.replaces_payment_number, again.state()),
        (rejected.payment_number, PaymentState::Pending)
    );
    assert_eq!(again.payee_account, "DE02120300000000202051");
    assert_ne!(again.end_to_end_id, rejected.end_to_end_id);

    // It has a file of its own; the first one stays what it was.
    let unchanged = shop
        .ana
        .file(1, "", v1::PaymentFileFormat::Pain001)
        .await
        .unwrap();
    assert_eq!(unchanged, first_file);
    let number = again.payment_number;
    let form = v1::PaymentFileFormat::Pain001;
    let own = hansa_tests::clerk::file(&shop.ana.hub, 1, "", number, form)
        .await
        .unwrap();
    assert_eq!(own.payment_numbers, [number]);
    let text = String::from_utf8(own.content).unwrap();
    assert!(
        text.contains("<IBAN>DE02120300000000202051</IBAN>"),
        "{text}"
    );
    let other = hansa_tests::clerk::file(&shop.ana.hub, 1, "", to_t.payment_number, form).await;
    refused(other, Code::NotFound, "PAYMENT_NOT_FOUND");
    let wrong = shop.ana.submit(vec![number], first_file.sha256).await;
    refused(wrong, Code::FailedPrecondition, "PAYMENT_FILE_MISMATCH");
    shop.ana.submit(vec![number], own.sha256).await.unwrap();

    let mut bookings: Vec<Booking> = [&to_t, &by_f, &again].map(|p| Booking::of(p, DAY)).into();
    // The bank knows the new account by its number only.
    bookings[2].with = "unknown".into();
    let report = shop
        .ana
        .reconcile(&shop.ben, statement("STMT-1", DAY, &bookings))
        .await;
    assert_eq!((report.matches.len(), report.exceptions.len()), (3, 0));
    let settled = shop.ana.cycle(1).await;
    assert_eq!(
        (settled.state(), settled.digest),
        (CycleState::Settled, digest)
    );
}

async fn a_returned_payment_is_brought_forward(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.settled(1).await;
    let digest = shop.ana.cycle(1).await.digest;
    let to_t = of(&payments, "t");
    let back = Booking::return_of(&to_t, "2026-04-03", "AC04");
    let report = notification("NTF-1", "2026-04-03", &[back]);
    let report = shop.ana.reconcile(&shop.ben, report).await;
    assert!(report.matches[0].is_return);
    let returned = of(&shop.ana.payments(1).await, "t");
    assert_eq!(
        (returned.state(), returned.bank_reason.as_str()),
        (PaymentState::Returned, "AC04")
    );
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Settling);
    let risk = shop.everything().await.risk.lines;
    let t = risk.iter().find(|line| line.merchant_id == "t").unwrap();
    assert_eq!(t.clearing_micros, -390_000, "T is owed it again");

    let carry = Action::CarryForwardPayment(v1::CarryForwardPayment {
        payment_number: returned.payment_number,
    });
    shop.ana
        .carry_out(&shop.ben, carry, "T has no account now")
        .await;
    let ended = shop.ana.cycle(1).await;
    assert_eq!(
        (ended.state(), &ended.digest),
        (CycleState::PartiallySettled, &digest)
    );
    shop.close(2).await;
    let plain = settlement(2, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let next: Vec<(String, i64)> = shop
        .ana
        .payments(2)
        .await
        .into_iter()
        .map(|p| (p.payee_merchant_id, p.amount_micros))
        .collect();
    assert_eq!(next, [("t".to_owned(), 390_000)]);
    let position = shop
        .ana
        .hub
        .statement(2, Some("t"))
        .await
        .unwrap()
        .position
        .unwrap();
    assert_eq!(
        (position.net_micros, position.brought_forward_micros),
        (0, -390_000)
    );
}

/// Paid and given back within one statement: the confirmation is posted, the return is matched by hand.
async fn a_payment_that_comes_back_in_the_same_statement_is_no_silent_match(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let to_a = of(&payments, "a");
    let mut bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    bookings.push(Booking::return_of(&to_a, DAY, "AC06"));
    let report = shop
        .ana
        .reconcile(&shop.ben, statement("STMT-1", DAY, &bookings))
        .await;
    assert_eq!((report.matches.len(), report.exceptions.len()), (3, 1));
    let exception = &report.exceptions[0];
    assert_eq!(exception.payment_number, to_a.payment_number);
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Settled);
    let by_hand = Action::MatchException(v1::MatchException {
        exception_number: exception.exception_number,
        payment_numbers: vec![to_a.payment_number],
    });
    shop.ana
        .carry_out(&shop.ben, by_hand, "returned the same day")
        .await;
    let returned = of(&shop.ana.payments(1).await, "a");
    assert_eq!(returned.state(), PaymentState::Returned);
    shop.ana
        .carry_out(&shop.ben, reinstruct(&returned), "once more")
        .await;
    let again = of(&shop.ana.payments(1).await, "a");
    assert_eq!(again.replaces_payment_number, returned.payment_number);
}

for_each_database!(
    a_rejected_payment_is_instructed_again_to_the_new_account,
    a_returned_payment_is_brought_forward,
    a_payment_that_comes_back_in_the_same_statement_is_no_silent_match,
);
