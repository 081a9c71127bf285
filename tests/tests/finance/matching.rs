//! What the bank books beside what was instructed: one for one, several for one, one for several; what fits nothing ends as an
//! adjustment, and a statement may be CSV.

use hansa_proto::v1::{self, AdjustmentReason, CycleState, ExceptionState, action::Action};
use hansa_tests::{
    bank::{Booking, csv_statement, statement},
    check::refused,
    database::Database,
    for_each_database,
};
use tonic::Code;

use hansa_tests::shop::{DAY, Shop};

/// Payments and entries of each match.
fn matched(report: &v1::BankReport) -> Vec<(&[u64], &[u32])> {
    let matches = report.matches.iter();
    matches
        .map(|m| (m.payment_numbers.as_slice(), m.entry_numbers.as_slice()))
        .collect()
}

async fn one_booking_confirms_a_batch_and_two_bookings_one_payment(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let (by_hub, by_f): (Vec<_>, Vec<_>) = payments
        .iter()
        .partition(|payment| payment.payer_merchant_id.is_empty());
    let [by_f] = by_f.as_slice() else {
        panic!("F pays once")
    };
    // The bank books the hub's file as one; F pays 0.95 in two parts.
    let batch = Booking::of_batch(&by_hub, "HANSA-1-H", DAY);
    assert_eq!(batch.cents, -78);
    let part = |cents: i64, reference: &str| Booking {
        cents,
        reference: reference.into(),
        ..Booking::of(by_f, DAY)
    };
    let bookings = [batch, part(50, "P-1"), part(45, "P-2")];
    let report = shop
        .ana
        .reconcile(&shop.ben, statement("STMT-1", DAY, &bookings))
        .await;
    assert_eq!(report.exceptions, []);
    let numbers = |payments: &[&v1::Payment]| -> Vec<u64> {
        payments.iter().map(|p| p.payment_number).collect()
    };
    let (hub, f) = (numbers(&by_hub), [by_f.payment_number]);
    let mut found = matched(&report);
    found.sort_by_key(|(_, entries)| entries[0]);
    assert_eq!(found, [(&hub[..], &[1][..]), (&f[..], &[2, 3][..])]);
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Settled);
    for line in shop.everything().await.risk.lines {
        assert_eq!(line.clearing_micros, 0, "{}", line.merchant_id);
    }
}

/// Two parts that come to less than the payment are no match: the difference is shown, and nothing is posted for it.
async fn parts_that_do_not_add_up_stay_open(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let by_f = payments
        .iter()
        .find(|p| p.payer_merchant_id == "f")
        .unwrap();
    let part = |cents: i64, reference: &str| Booking {
        cents,
        reference: reference.into(),
        ..Booking::of(by_f, DAY)
    };
    let bookings = [part(50, "P-1"), part(44, "P-2")];
    let report = shop
        .ana
        .import("s.xml", statement("STMT-1", DAY, &bookings))
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!(report.matches, []);
    assert_eq!(report.exceptions.len(), 2);
    for exception in &report.exceptions {
        assert_eq!(exception.payment_number, by_f.payment_number);
        let fields: Vec<&str> = exception
            .differences
            .iter()
            .map(|d| d.field.as_str())
            .collect();
        assert_eq!(fields, ["amount"], "{exception:?}");
    }
}

async fn a_statement_as_csv_settles_as_one_in_xml_does(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    let csv = csv_statement("STMT-1", DAY, &bookings);
    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let without_end = csv.rsplit_once("closing,").unwrap().0;
    let cut = shop.ana.import("s.csv", without_end).await;
    refused(cut, Code::InvalidArgument, "BANK_FILE_UNREADABLE");
    shop.assert_unchanged(size, &before).await;
    let report = shop.ana.reconcile(&shop.ben, csv).await;
    assert_eq!(report.format(), v1::BankReportFormat::Csv);
    assert_eq!((report.matches.len(), report.exceptions.len()), (3, 0));
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Settled);
}

/// OPEN -> ADJUSTED: the bank's charge is shared with the merchant whose payment caused it.
async fn an_exception_ends_as_an_adjustment_of_the_open_cycle(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let mut bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    bookings.push(Booking::of_stranger(-150, "the bank's charge", DAY));
    let report = shop
        .ana
        .reconcile(&shop.ben, statement("STMT-1", DAY, &bookings))
        .await;
    let [charge] = report.exceptions.as_slice() else {
        panic!("one exception")
    };
    assert_eq!(charge.state(), ExceptionState::Open);
    let digest = shop.ana.cycle(1).await.digest;
    let adjust = |exception_number| {
        Action::Adjustment(v1::Adjustment {
            merchant_id: "f".into(),
            counterparty_merchant_id: String::new(),
            amount_micros: 1_500_000,
            reason: AdjustmentReason::Reconciliation.into(),
            original: Some(v1::OriginalReference {
                cycle_number: 1,
                ..v1::OriginalReference::default()
            }),
            dispute_number: 0,
            exception_number,
            query_number: 0,
        })
    };
    let nothing = shop.ana.propose(adjust(9), "no such exception").await;
    refused(nothing, Code::NotFound, "EXCEPTION_NOT_FOUND");
    let number = charge.exception_number;
    let made = shop
        .ana
        .carry_out(&shop.ben, adjust(number), "charge of F's payment")
        .await;
    assert_eq!((made.maker.as_str(), made.checker.as_str()), ("Ana", "Ben"));
    let closed = shop.everything().await.exceptions.exceptions.remove(0);
    assert_eq!(
        (closed.state(), closed.resolved_by.as_str()),
        (ExceptionState::Adjusted, "Ben")
    );
    let statement = shop.f.hub.statement(2, None).await.unwrap();
    let lines: Vec<(&str, i64)> = statement
        .lines
        .iter()
        .map(|line| (line.kind.as_str(), line.amount_micros))
        .collect();
    assert_eq!(lines, [("ADJUSTMENT", 1_500_000)]);
    // The hub's side has the opposite, and the closed cycle nothing.
    let open = shop.ana.hub.cycle(2).await.unwrap();
    assert_eq!(open.hub.unwrap().adjustment_micros, 1_500_000);
    assert_eq!(shop.ana.cycle(1).await.digest, digest);
    let again = shop.ana.propose(adjust(number), "twice").await;
    refused(again, Code::FailedPrecondition, "EXCEPTION_CLOSED");
}

for_each_database!(
    one_booking_confirms_a_batch_and_two_bookings_one_payment,
    parts_that_do_not_add_up_stay_open,
    a_statement_as_csv_settles_as_one_in_xml_does,
    an_exception_ends_as_an_adjustment_of_the_open_cycle,
);
