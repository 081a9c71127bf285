//! What banks send is read into one shape: versions, prefixes, encodings and CSV. The samples are valid against the published
//! schemas of their versions, which `tests/python/test_bank_files.py` checks.

use chrono::NaiveDate;
use hansa_bank::{
    Account, BankEntry, BankReport, EntryStatus, FileError, Limits, Outcome, ReportKind,
    StatusCode, StatusLevel, decimal, read,
};
use hansa_money::Currency;

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!(
        "{}/tests/samples/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .expect(name)
}

fn reports(name: &str) -> Vec<BankReport> {
    read(&sample(name), &Limits::default()).expect(name)
}

fn report(name: &str) -> BankReport {
    let mut all = reports(name);
    assert_eq!(all.len(), 1, "{name}");
    all.remove(0)
}

fn day(text: &str) -> Option<NaiveDate> {
    Some(text.parse().expect(text))
}

/// An entry in one line.
fn line(entry: &BankEntry) -> String {
    let part = entry.single().cloned().unwrap_or_default();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {:?} {} | {} | {} | {}",
        decimal(entry.amount_minor, entry.currency),
        entry.currency,
        entry.status,
        or_dash(entry.reference.clone()),
        or_dash(part.end_to_end_id),
        or_dash(part.counterparty.name),
        or_dash(part.counterparty.account.map(|a| a.to_string())),
    )
}

#[test]
fn a_statement_of_version_02_is_read_in_full() {
    let report = report("camt053-02.xml");
    assert_eq!(report.kind, ReportKind::Statement);
    assert_eq!(report.message.as_deref(), Some("camt.053.001.02"));
    assert_eq!(report.message_id, "STMT-20260403-1");
    assert_eq!(report.statement_id.as_deref(), Some("2026-067"));
    assert_eq!(
        (report.sequence, report.legal_sequence),
        (Some(67), Some(65))
    );
    assert_eq!(
        report.account,
        Some(Account::iban("DE89 3704 0044 0532 0130 00"))
    );
    assert_eq!(report.currency, Some(Currency::EUR));
    assert_eq!(report.created.unwrap().offset_seconds, Some(7_200));
    let opening = report.opening.unwrap();
    assert_eq!(
        (opening.amount_minor, Some(opening.date)),
        (10_000, day("2026-04-02"))
    );
    let closing = report.closing.unwrap();
    assert_eq!(
        (closing.amount_minor, Some(closing.date)),
        (9_902, day("2026-04-03"))
    );
    let lines: Vec<_> = report.entries.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "-3.44 EUR Booked B-1001 | HANSA-2026-03-A | Alster Apotheke | NL91ABNA0417164300",
            "-1.62 EUR Booked B-1002 | HANSA-2026-03-T | Tuchhaus Trave | FR1420041010050500013M02606",
            "4.08 EUR Booked B-1003 | - | Fischmarkt & Söhne | BE68539007547034",
        ]
    );
    let [first, second, third] = report.entries.as_slice() else {
        panic!("three entries");
    };
    assert_eq!(first.transaction_code.as_deref(), Some("PMNT/ICDT/ESCT"));
    assert_eq!(first.information.as_deref(), Some("SEPA credit transfer"));
    assert_eq!(first.line, 59);
    let part = first.single().unwrap();
    assert_eq!(part.instruction_id.as_deref(), Some("2026-03-A"));
    assert_eq!(
        part.payment_information_id.as_deref(),
        Some("HANSA-2026-03")
    );
    assert_eq!(part.counterparty.agent.as_deref(), Some("ABNANL2A"));
    assert_eq!(part.remittance, ["Settlement of cycle 2026-03"]);
    assert_eq!(second.transaction_code.as_deref(), Some("NTRF+116"));
    assert_eq!(second.booking_date, day("2026-04-03"));
    let part = third.single().unwrap();
    assert_eq!(part.remittance, ["cycle 2026-03,", "HANSA-2026-03-F"]);
    assert_eq!(part.creditor_references, ["RF18539007547034"]);
    assert!(report.entries.iter().all(|e| e.itemised && !e.is_return()));
}

#[test]
fn a_prefixed_statement_with_two_accounts_a_batch_and_a_return_is_read() {
    let all = reports("camt053-08-prefixed.xml");
    let [euro, yen] = all.as_slice() else {
        panic!("two statements");
    };
    assert_eq!(euro.message.as_deref(), Some("camt.053.001.08"));
    assert_eq!(euro.opening.unwrap().amount_minor, -200);
    assert_eq!(euro.closing.unwrap().amount_minor, -362);
    let [batch, returned, pending] = euro.entries.as_slice() else {
        panic!("three entries");
    };
    assert!(batch.itemised && batch.single().is_none() && !batch.is_return());
    assert_eq!(batch.batch.as_ref().unwrap().count, Some(2));
    let parts: Vec<_> = batch
        .parts
        .iter()
        .map(|part| (part.instruction_id.as_deref(), part.amount_minor))
        .collect();
    assert_eq!(
        parts,
        [
            (Some("2026-03-A"), Some(-344)),
            (Some("2026-03-T"), Some(-162))
        ]
    );

    assert!(returned.is_return() && returned.reversal);
    assert_eq!(returned.amount_minor, 344);
    let part = returned.single().unwrap();
    let reason = part.return_reason.as_ref().unwrap();
    assert_eq!(reason.code.as_deref(), Some("AC04"));
    assert_eq!(reason.information, ["account closed"]);
    // The payee of the original, not ourselves.
    assert_eq!(
        part.counterparty.account,
        Some(Account::iban("NL91ABNA0417164300"))
    );

    assert_eq!(pending.status, EntryStatus::Pending);
    assert_eq!(yen.currency, Some(Currency::new("JPY").unwrap()));
    assert_eq!(
        yen.account,
        Some(Account::other("0532013099", Some("BBAN")))
    );
    assert_eq!(yen.closing.unwrap().amount_minor, 500);
    assert_ne!(euro.key(), yen.key());
}

#[test]
fn a_page_in_the_middle_of_a_statement_has_interim_balances() {
    let report = report("camt053-10-pages.xml");
    assert_eq!(report.opening.unwrap().amount_minor, 1_000);
    assert_eq!(report.closing.unwrap().amount_minor, 650);
    assert_eq!(report.page.map(|p| (p.number, p.last)), Some((2, false)));
    assert_eq!(report.key().page, 2);
    assert!(report.duplicate);
    // ISO-8859-1, and a bank as the party.
    let lines: Vec<_> = report.entries.iter().map(line).collect();
    assert_eq!(lines, ["-3.50 EUR Booked F-1 | - | Bank für Gemüse | -"]);
}

#[test]
fn the_oldest_version_has_its_details_in_the_entry() {
    let report = report("camt053-01.xml");
    assert_eq!(
        report.account,
        Some(Account::other("370400440532013000", Some("BBAN")))
    );
    let lines: Vec<_> = report.entries.iter().map(line).collect();
    assert_eq!(
        lines,
        ["-3.44 EUR Booked B-1001 | HANSA-2026-03-A | Alster Apotheke | NL91ABNA0417164300"]
    );
    let batch = report.entries[0].batch.as_ref().unwrap();
    assert_eq!(
        batch.payment_information_id.as_deref(),
        Some("HANSA-2026-03")
    );
}

#[test]
fn an_intraday_report_needs_no_balances_that_add_up() {
    let report = report("camt052-08.xml");
    assert_eq!(report.kind, ReportKind::Intraday);
    assert_eq!(report.opening, None);
    assert_eq!(report.closing.unwrap().amount_minor, 9_656);
    assert_eq!(report.entries[0].status, EntryStatus::Pending);
}

#[test]
fn notifications_are_read_with_batches_returns_and_without_entries() {
    let batch = report("camt054-04-batch.xml");
    assert_eq!(batch.kind, ReportKind::Notification);
    let entry = &batch.entries[0];
    assert!(!entry.itemised && entry.parts.is_empty());
    let details = entry.batch.as_ref().unwrap();
    assert_eq!(
        details.payment_information_id.as_deref(),
        Some("HANSA-2026-03")
    );
    assert_eq!(details.count, Some(2));

    let returned = report("camt054-08-return.xml");
    let part = returned.entries[0].single().unwrap();
    assert_eq!(
        part.return_reason.as_ref().unwrap().code.as_deref(),
        Some("customer moved")
    );
    // This bank swaps the roles of what comes back.
    assert_eq!(part.counterparty.name.as_deref(), Some("Tuchhaus Trave"));

    let empty = report("camt054-10-empty.xml");
    assert!(empty.entries.is_empty() && empty.currency.is_none());
}

#[test]
fn a_status_report_has_statuses_at_each_level() {
    let report = report("pain002-03.xml");
    assert_eq!(report.kind, ReportKind::PaymentStatus);
    let [group, accepted, rejected] = report.statuses.as_slice() else {
        panic!("three statuses");
    };
    assert_eq!(
        (group.level, &group.code),
        (StatusLevel::Group, &StatusCode::Part)
    );
    assert_eq!(group.original_count, Some(2));
    assert_eq!(group.original_control_sum.as_deref(), Some("5.06"));
    assert_eq!(group.code.outcome(), Outcome::Partial);
    assert_eq!(accepted.level, StatusLevel::Transaction);
    assert_eq!(accepted.code.outcome(), Outcome::Accepted);
    assert_eq!(accepted.instruction_id.as_deref(), Some("2026-03-A"));
    assert_eq!(rejected.code.outcome(), Outcome::Rejected);
    assert_eq!(rejected.reasons[0].code.as_deref(), Some("AC01"));
    assert_eq!(
        rejected.reasons[0].information,
        ["account number is not valid", "ask the payee"]
    );
    assert_eq!(rejected.amount, Some((162, Currency::EUR)));
    assert_eq!(
        rejected.creditor_account,
        Some(Account::iban("FR1420041010050500013M02606"))
    );
}

#[test]
fn status_reports_of_other_versions_are_read_alike() {
    let group = report("pain002-12-group.xml");
    assert_eq!(group.statuses.len(), 1);
    assert_eq!(group.statuses[0].code, StatusCode::Rjct);
    assert_eq!(group.statuses[0].reasons[0].code.as_deref(), Some("DUPL"));

    // A payment without a status has that of its block; a code that is new to us decides nothing.
    let payment = report("pain002-14-payment.xml");
    let codes: Vec<_> = payment
        .statuses
        .iter()
        .map(|s| (s.level, s.code.as_str(), s.code.outcome()))
        .collect();
    assert_eq!(
        codes,
        [
            (StatusLevel::Payment, "PDNG", Outcome::Pending),
            (StatusLevel::Transaction, "PDNG", Outcome::Pending),
            (StatusLevel::Transaction, "BLCK", Outcome::Unknown),
        ]
    );
    assert_eq!(
        payment.statuses[1].creditor_name.as_deref(),
        Some("Alster Apotheke")
    );

    let old = report("pain002-02.xml");
    assert_eq!(old.statuses[0].reasons[0].code.as_deref(), Some("AC04"));
    assert_eq!(old.statuses[0].reasons[0].information, ["closed"]);
}

#[test]
fn a_statement_in_csv_is_read_like_one_in_camt() {
    let report = report("statement.csv");
    assert_eq!(report.kind, ReportKind::CsvStatement);
    assert_eq!(
        report.account,
        Some(Account::iban("DE89370400440532013000"))
    );
    assert_eq!(report.statement_id.as_deref(), Some("2026-067"));
    let lines: Vec<_> = report.entries.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "-3.44 EUR Booked B-1001 | HANSA-2026-03-A | Alster Apotheke | NL91ABNA0417164300",
            "-1.62 EUR Booked B-1002 | HANSA-2026-03-T | Tuchhaus Trave | 12345678",
            "1.62 EUR Booked B-1003 | HANSA-2026-03-T | - | -",
            "-50.00 EUR Pending B-1004 | - | - | -",
        ]
    );
    assert_eq!(
        report.entries[0].single().unwrap().remittance,
        ["Settlement, cycle 2026-03"]
    );
    let returned: Vec<_> = report.entries.iter().map(BankEntry::is_return).collect();
    assert_eq!(returned, [false, false, true, false]);
    assert_eq!(report.closing.unwrap().amount_minor, 9_656);
}

#[test]
fn namespaces_and_prefixes_make_no_difference() {
    let text = String::from_utf8(sample("camt053-02.xml")).unwrap();
    let expected = read(text.as_bytes(), &Limits::default()).unwrap();
    let namespace = " xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"";
    assert!(text.contains(namespace));
    let without = read(text.replace(namespace, "").as_bytes(), &Limits::default()).unwrap();
    assert_eq!(without[0].entries, expected[0].entries);
    assert_eq!(without[0].message, None);
    for version in ["03", "06", "09", "13", "14", "27"] {
        let other = text.replace("camt.053.001.02", &format!("camt.053.001.{version}"));
        let other = read(other.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(other[0].entries, expected[0].entries, "{version}");
        assert_eq!(other[0].message, Some(format!("camt.053.001.{version}")));
    }
    let swift = text.replace("urn:iso:std:iso:20022:tech:xsd:", "urn:swift:xsd:$");
    let swift = read(swift.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(swift, expected);
    let windows = text.replace('\n', "\r\n");
    let windows = read(format!("\u{feff}{windows}").as_bytes(), &Limits::default()).unwrap();
    assert_eq!(windows, expected);
}

#[test]
fn a_report_of_another_account_or_currency_is_foreign() {
    let report = report("camt053-02.xml");
    let ours = Account::iban("DE89370400440532013000");
    assert_eq!(report.check_account(&ours, Currency::EUR), Ok(()));
    // Its national number names the same account.
    let national = Account::other("370400440532013000", None);
    assert_eq!(report.check_account(&national, Currency::EUR), Ok(()));
    let other = Account::iban("NL91ABNA0417164300");
    let refused = report.check_account(&other, Currency::EUR).unwrap_err();
    assert_eq!(refused.problem.code(), "FOREIGN_ACCOUNT");
    assert_eq!(
        refused.to_string(),
        "the report is of account DE89370400440532013000, not of NL91ABNA0417164300"
    );
    let dollars = Currency::new("USD").unwrap();
    let refused = report.check_account(&ours, dollars).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the currency is EUR, the account's is USD"
    );
}

/// The sample with some changes.
fn changed(name: &str, changes: &[(&str, &str)]) -> Result<BankReport, FileError> {
    let mut text = String::from_utf8(sample(name)).expect("UTF-8");
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has {from}");
        text = text.replacen(from, to, 1);
    }
    Ok(read(text.as_bytes(), &Limits::default())?.remove(0))
}

#[test]
fn totals_of_all_pages_are_not_held_against_one_page() {
    let name = "camt053-08-prefixed.xml";
    let (last, total) = ("<ns2:LastPgInd>true<", "<ns2:NbOfNtries>2<");
    let more = (total, "<ns2:NbOfNtries>9<");
    assert!(changed(name, &[more]).is_err());
    assert!(changed(name, &[(last, "<ns2:LastPgInd>false<"), more]).is_ok());
}

#[test]
fn the_opening_balance_is_the_closing_one_of_the_statement_before() {
    let name = "camt053-02.xml";
    let balance = |amount: &str| {
        format!(
            "</Bal><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-04-03</Dt></Dt></Bal>"
        )
    };
    let both = changed(name, &[("</Bal>", &balance("100.00"))]).unwrap();
    assert_eq!(Some(both.opening.unwrap().date), day("2026-04-03"));
    assert_eq!(
        changed(name, &[("</Bal>", &balance("100.01")), ("99.02", "99.03")])
            .unwrap_err()
            .to_string(),
        "line 23, BkToCstmrStmt/Stmt/Bal: opening balances 100.01 and 100.00 contradict each other"
    );
}

#[test]
fn a_status_is_that_of_the_nearest_level_and_ids_that_are_none_are_none() {
    let report = changed(
        "pain002-14-payment.xml",
        &[
            ("</OrgnlMsgNmId>", "</OrgnlMsgNmId><GrpSts>ACCP</GrpSts>"),
            (
                "<OrgnlEndToEndId>HANSA-2026-03-A</OrgnlEndToEndId>",
                "<OrgnlInstrId>2026-03-A</OrgnlInstrId><OrgnlEndToEndId>NOTPROVIDED</OrgnlEndToEndId>",
            ),
        ],
    )
    .unwrap();
    let found: Vec<_> = report
        .statuses
        .iter()
        .map(|s| {
            (
                s.code.as_str(),
                s.instruction_id.as_deref(),
                s.end_to_end_id.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("ACCP", None, None),
            ("PDNG", None, None),
            ("PDNG", Some("2026-03-A"), None),
            ("BLCK", None, Some("HANSA-2026-03-T")),
        ]
    );
}

#[test]
fn namespaces_that_are_declared_again_and_again_are_not_too_many() {
    let name = "camt053-02.xml";
    let text = String::from_utf8(sample(name)).unwrap();
    let again = text.replace("<Amt Ccy", "<Amt xmlns:x='y' Ccy");
    let again = again.replace("<Cd>", "<Cd xmlns:a='b' xmlns:c='d' xmlns:e='f'>");
    let again = again.replace("<Dt>", "<Dt xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.02' xmlns:a='b' xmlns:c='d' xmlns:e='f'>");
    assert!(again.matches("xmlns").count() > 64);
    let found = read(again.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(found, reports(name));
}
