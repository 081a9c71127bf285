//! What banks send: a file that is wrong, cut off, foreign or known changes nothing and says why; what does not fit is an
//! exception, never a match.

use hansa_proto::v1::{self, ExceptionState, PaymentState, action::Action};
use hansa_tests::{
    alliance::bank_details,
    bank::{Booking, notification, statement, status_report},
    check::refused,
    database::Database,
    for_each_database,
};
use tonic::Code;

use hansa_tests::shop::{DAY, Shop};

/// Field, expected, found.
type Difference<'a> = (&'a str, &'a str, &'a str);

async fn a_wrong_file_changes_nothing_and_says_why(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    let good = statement("STMT-1", DAY, &bookings);
    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let cut = &good[..good.len() / 2];
    let foreign = good.replace(&bank_details("").iban, "GB82WEST12345698765432");
    let other_currency = good.replace("\"EUR\"", "\"SEK\"").replace(">EUR<", ">SEK<");
    let unbalanced = good.replacen(">1000.00<", ">1001.00<", 1);
    let foreign_status = status_report("STS-9", DAY, "SOMEBODY-ELSE", &[("X-1", "ACSP", None)]);
    let intraday = good
        .replace("BkToCstmrStmt", "BkToCstmrAcctRpt")
        .replace("camt.053.001.08", "camt.052.001.08")
        .replace("<Stmt>", "<Rpt>")
        .replace("</Stmt>", "</Rpt>");
    for (what, content, code, reason, says) in [
        (
            "nothing",
            "",
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "EMPTY",
        ),
        (
            "cut off",
            cut,
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "TRUNCATED",
        ),
        (
            "no bank file",
            "Dear customer,\nyour statement is attached.\n",
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "FORMAT",
        ),
        (
            "another message",
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08\"><FIToFICstmrCdtTrf/></Document>",
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "Nothing was imported",
        ),
        (
            "an intraday report",
            &intraday,
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "camt.053",
        ),
        (
            "another account",
            &foreign,
            Code::FailedPrecondition,
            "FOREIGN_ACCOUNT",
            "GB82WEST12345698765432",
        ),
        (
            "another currency",
            &other_currency,
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "SEK",
        ),
        (
            "balances that do not add up",
            &unbalanced,
            Code::InvalidArgument,
            "BANK_FILE_UNREADABLE",
            "Nothing was imported",
        ),
        (
            "somebody else's status report",
            &foreign_status,
            Code::FailedPrecondition,
            "FOREIGN_REPORT",
            "SOMEBODY-ELSE",
        ),
    ] {
        let refusal = refused(shop.ana.import("file.xml", content).await, code, reason);
        assert!(refusal.message.contains(says), "{what}: {refusal}");
        shop.assert_unchanged(size, &before).await;
    }
    // Sent as something that it is not.
    let request = v1::ImportBankReportRequest {
        content: good.clone().into_bytes(),
        file_name: "file.xml".into(),
        format: v1::BankReportFormat::Pain002.into(),
        validate_only: false,
    };
    let refusal = shop.ana.hub.finance().import_bank_report(request).await;
    refused(refusal, Code::InvalidArgument, "BANK_FILE_UNREADABLE");
    // By somebody who may not.
    let root = shop.hub.reached_by(&shop.a);
    let request = v1::ImportBankReportRequest {
        content: good.clone().into_bytes(),
        ..v1::ImportBankReportRequest::default()
    };
    let refusal = root.hub.finance().import_bank_report(request).await;
    refused(refusal, Code::PermissionDenied, "PERMISSION_DENIED");
    shop.assert_unchanged(size, &before).await;
}

async fn a_file_is_imported_once_and_moves_no_money(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let risk = shop.everything().await.risk;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    let good = statement("STMT-1", DAY, &bookings);
    // Only looked at.
    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let request = v1::ImportBankReportRequest {
        content: good.clone().into_bytes(),
        file_name: "statement.xml".into(),
        format: v1::BankReportFormat::Unspecified.into(),
        validate_only: true,
    };
    let looked = shop
        .ana
        .hub
        .finance()
        .import_bank_report(request)
        .await
        .unwrap();
    let looked = looked.into_inner();
    assert_eq!(looked.report.unwrap().matches.len(), 3);
    shop.assert_unchanged(size, &before).await;

    let imported = shop
        .ana
        .import("statement.xml", good.clone())
        .await
        .unwrap();
    let report = imported.report.clone().unwrap();
    assert!(!imported.already_imported && !report.posted);
    assert_eq!((report.entries.len(), report.matches.len()), (3, 3));
    assert_eq!(
        (report.opening_micros, report.closing_micros),
        (Some(1_000_000_000), Some(1_000_170_000))
    );
    let state = |payments: Vec<v1::Payment>| -> Vec<PaymentState> {
        payments.iter().map(v1::Payment::state).collect()
    };
    assert_eq!(
        state(shop.ana.payments(1).await),
        [PaymentState::Submitted; 3]
    );
    assert_eq!(shop.everything().await.risk, risk, "import moves no money");

    // The same file again, and the same message in another file.
    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let again = shop.ben.import("copy.xml", good.clone()).await.unwrap();
    assert!(again.already_imported);
    assert_eq!(again.report, imported.report);
    let retouched = good.replace("><", ">\n<");
    let refusal = refused(
        shop.ana.import("retouched.xml", retouched).await,
        Code::FailedPrecondition,
        "REPORT_ALREADY_IMPORTED",
    );
    assert!(refusal.message.contains("bank report 1"), "{refusal}");
    shop.assert_unchanged(size, &before).await;

    // Money moves when two people say so, once.
    let post = || {
        Action::PostReconciliation(v1::PostReconciliation {
            report_number: report.report_number,
        })
    };
    shop.ana
        .carry_out(&shop.ben, post(), "as the bank says")
        .await;
    assert_eq!(
        state(shop.ana.payments(1).await),
        [PaymentState::Settled; 3]
    );
    let again = shop.ana.propose(post(), "twice").await;
    refused(again, Code::FailedPrecondition, "REPORT_ALREADY_POSTED");
    for line in shop.everything().await.risk.lines {
        assert_eq!(line.clearing_micros, 0, "{}", line.merchant_id);
    }
    // A statement repeats what a notification told; nothing is booked twice.
    let repeated = notification("NTF-1", DAY, &bookings);
    let report = shop.ana.import("notification.xml", repeated).await.unwrap();
    let report = report.report.unwrap();
    assert_eq!((report.matches.len(), report.exceptions.len()), (3, 0));
    let post = Action::PostReconciliation(v1::PostReconciliation {
        report_number: report.report_number,
    });
    shop.ana
        .carry_out(&shop.ben, post, "as the bank says")
        .await;
    for line in shop.everything().await.risk.lines {
        assert_eq!(line.clearing_micros, 0, "{}", line.merchant_id);
    }
}

async fn what_differs_is_an_exception_field_by_field(database: Database) {
    let shop = Shop::new(&database).await;
    let payments = shop.submitted(1).await;
    let to = |payee: &str| {
        let found = payments.iter().find(|p| p.payee_merchant_id == payee);
        found.unwrap().clone()
    };
    let (to_a, to_t) = (to("a"), to("t"));
    let one_cent_off = Booking {
        cents: -40,
        ..Booking::of(&to_a, DAY)
    };
    let wrong_way = Booking {
        cents: 39,
        ..Booking::of(&to_t, DAY)
    };
    let stranger = Booking {
        end_to_end_id: "RENT-4".into(),
        ..Booking::of_stranger(-1_250, "landlord", DAY)
    };
    let file = statement("STMT-1", DAY, &[one_cent_off, wrong_way, stranger]);
    let report = shop
        .ana
        .import("s.xml", file)
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!(report.matches, []);
    let told: Vec<(u64, Vec<Difference<'_>>)> = report
        .exceptions
        .iter()
        .map(|e| {
            let differences = e
                .differences
                .iter()
                .map(|d| (d.field.as_str(), d.expected.as_str(), d.found.as_str()));
            (e.payment_number, differences.collect())
        })
        .collect();
    assert_eq!(
        told,
        [
            (to_a.payment_number, vec![("amount", "0.39", "0.40")]),
            (to_t.payment_number, vec![("direction", "out", "in")]),
            (0, vec![]),
        ]
    );
    let post = v1::PostReconciliation {
        report_number: report.report_number,
    };
    let proposed = shop
        .ana
        .propose(Action::PostReconciliation(post), "all of it")
        .await;
    refused(proposed, Code::FailedPrecondition, "NOTHING_TO_POST");

    // No money hangs on the stranger: explained, once, with words.
    let [off, way, rent] = report.exceptions.as_slice() else {
        panic!("three exceptions");
    };
    let explain = async |number: u64, words: &str| {
        let request = v1::ExplainExceptionRequest {
            exception_number: number,
            explanation: words.into(),
        };
        let answer = shop.ana.hub.finance().explain_exception(request).await?;
        Ok::<_, tonic::Status>(answer.into_inner().exception.unwrap())
    };
    let silent = explain(rent.exception_number, "").await;
    refused(silent, Code::InvalidArgument, "REASON_MISSING");
    let closed = explain(rent.exception_number, "the rent").await.unwrap();
    assert_eq!(
        (closed.state(), closed.resolved_by.as_str()),
        (ExceptionState::Explained, "Ana")
    );
    assert_eq!(
        explain(rent.exception_number, "the rent").await.unwrap(),
        closed
    );
    let otherwise = explain(rent.exception_number, "the telephone").await;
    refused(otherwise, Code::FailedPrecondition, "EXCEPTION_CLOSED");
    // The bank paid a cent too much: matched by hand, by two people; the cent is brought forward.
    let by_hand = Action::MatchException(v1::MatchException {
        exception_number: off.exception_number,
        payment_numbers: vec![to_a.payment_number],
    });
    shop.ana
        .carry_out(&shop.ben, by_hand, "the bank owes an explanation")
        .await;
    let paid = shop.ana.payments(1).await;
    let paid = paid
        .iter()
        .find(|p| p.payment_number == to_a.payment_number);
    assert_eq!(paid.unwrap().state(), PaymentState::Settled);
    let risk = shop.everything().await.risk.lines;
    let a = risk.iter().find(|line| line.merchant_id == "a").unwrap();
    assert_eq!(
        (a.clearing_micros, a.brought_forward_micros),
        (10_000, 10_000)
    );
    // Money that came in is no payment to T.
    let by_hand = Action::MatchException(v1::MatchException {
        exception_number: way.exception_number,
        payment_numbers: vec![to_t.payment_number],
    });
    let proposed = shop.ana.propose(by_hand, "it is the same amount").await;
    refused(proposed, Code::FailedPrecondition, "MATCH_UNFIT");
}

/// What the hub did not hand in the bank cannot have from it.
async fn a_file_that_is_not_the_hubs_own_is_not_recorded(database: Database) {
    let shop = Shop::new(&database).await;
    shop.approved(1).await;
    let pain = shop
        .ana
        .file(1, "", v1::PaymentFileFormat::Pain001)
        .await
        .unwrap();
    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let numbers = pain.payment_numbers.clone();
    for (numbers, sha256) in [
        (numbers.clone(), vec![7; 32]),
        (numbers.clone(), Vec::new()),
        (vec![1, 2, 3], pain.sha256.clone()),
    ] {
        let recorded = shop.ana.submit(numbers, sha256).await;
        refused(recorded, Code::FailedPrecondition, "PAYMENT_FILE_MISMATCH");
    }
    let none = shop.ana.submit(Vec::new(), pain.sha256.clone()).await;
    refused(none, Code::InvalidArgument, "NOTHING_LISTED");
    let unknown = shop.ana.submit(vec![99], Vec::new()).await;
    refused(unknown, Code::NotFound, "PAYMENT_NOT_FOUND");
    shop.assert_unchanged(size, &before).await;
    let csv = shop
        .ana
        .file(1, "", v1::PaymentFileFormat::Csv)
        .await
        .unwrap();
    let recorded = shop
        .ana
        .submit(csv.payment_numbers, csv.sha256)
        .await
        .unwrap();
    assert!(
        recorded
            .iter()
            .all(|p| p.state() == PaymentState::Submitted)
    );
}

for_each_database!(
    a_wrong_file_changes_nothing_and_says_why,
    a_file_is_imported_once_and_moves_no_money,
    what_differs_is_an_exception_field_by_field,
    a_file_that_is_not_the_hubs_own_is_not_recorded,
);
