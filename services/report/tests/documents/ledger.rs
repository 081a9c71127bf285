//! The export for the general ledger.

use crate::golden::is_golden;
use crate::march::{issuer, money};
use calamine::{Data, Reader, Xlsx};
use hansa_money::Currency;
use hansa_report::*;
use proptest::prelude::*;
use std::io::Cursor;

fn posting(account: &str, merchant: Option<&str>, micros: i64) -> Posting {
    Posting {
        account: account.into(),
        merchant: merchant.map(Into::into),
        amount: money(micros),
        tax: None,
    }
}

fn document(reference: &str, postings: Vec<Posting>) -> LedgerDocument {
    LedgerDocument {
        reference: reference.into(),
        date: "2026-03-31".parse().unwrap(),
        cycle: 1,
        text: "March 2026".into(),
        postings,
    }
}

/// The golden March, ISSUE: a document per merchant's cycle, and the payment of F.
pub(crate) fn march() -> Vec<LedgerDocument> {
    let fee = |merchant, micros| Posting {
        tax: Some(Tax {
            category: "S".into(),
            rate_percent: Some("19".parse().unwrap()),
        }),
        ..posting("4100", Some(merchant), micros)
    };
    let redemption = |merchant, micros| posting("4200", Some(merchant), micros);
    vec![
        document(
            "c1-A",
            vec![
                posting("1100", Some("A"), -3_442_775),
                posting("2100", None, 6_144_000),
                fee("A", -2_301_225),
                redemption("A", -400_000),
            ],
        ),
        document(
            "c1-F",
            vec![
                posting("1100", Some("F"), 4_078_793),
                posting("2100", None, -488_000),
                fee("F", -1_068_000),
                posting("4300", Some("F"), -2_522_793),
            ],
        ),
        document(
            "c1-T",
            vec![
                posting("1100", Some("T"), -1_622_010),
                posting("2100", None, 2_128_000),
                fee("T", -405_990),
                redemption("T", -100_000),
            ],
        ),
        document(
            "pay-c1-F",
            vec![
                posting("1200", None, 4_080_000),
                posting("1100", Some("F"), -4_080_000),
            ],
        ),
    ]
}

pub(crate) fn export(documents: Vec<LedgerDocument>) -> Result<LedgerExport, LedgerError> {
    LedgerExport::new(issuer(), Currency::EUR, documents, AccountMap::default())
}

#[test]
fn the_journal_of_march_as_a_file() {
    let export = export(march()).unwrap();
    is_golden("ledger.csv", &export.to_csv().unwrap());
    assert_eq!(
        *export.totals(),
        ControlTotals {
            documents: 4,
            lines: 14,
            debits: money(16_430_793)
        }
    );
}

#[test]
fn a_document_that_does_not_balance_is_refused() {
    let refused = |change: fn(&mut Vec<LedgerDocument>)| {
        let mut documents = march();
        change(&mut documents);
        export(documents).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|documents| documents[3].postings[0].amount = money(4_079_999)),
        "document \"pay-c1-F\" is out of balance by -0.000001 (debits less credits)"
    );
    assert_eq!(
        refused(|documents| documents[3].reference = "c1-A".into()),
        "document \"c1-A\" stands twice"
    );
    assert_eq!(
        refused(|documents| documents[0].postings[1].amount = Amount::ZERO),
        "document \"c1-A\" posts nothing on an account; leave the posting out"
    );
    assert_eq!(
        refused(|documents| documents[0].postings.clear()),
        "document \"c1-A\" has no postings; leave it out"
    );
    assert!(
        refused(|documents| documents[3].postings[0].account = "2300".into())
            .contains("posts on account 2300")
    );
}

#[test]
fn accounts_can_be_mapped_to_those_of_the_books() {
    let accounts = AccountMap::default()
        .with("1200", "1810", "House bank")
        .and_then(|map| map.with_merchant("F", "10017", "=F"))
        .unwrap();
    let export = LedgerExport::new(issuer(), Currency::EUR, march(), accounts).unwrap();
    let csv = String::from_utf8(export.to_csv().unwrap()).unwrap();
    let payment: Vec<&str> = csv
        .lines()
        .filter(|line| line.starts_with("pay-"))
        .collect();
    assert!(
        payment[0].contains(",1810,House bank,4.080000,,EUR,"),
        "{payment:?}"
    );
    assert!(
        payment[1].contains(",10017,'=F,,4.080000,EUR,F,"),
        "{payment:?}"
    );
    assert!(csv.contains("c1-A,1,2026-03-31,1100,Clearing with merchants,,3.442775,EUR,A,"));
    assert!(AccountMap::default().with("1200", "", "x").is_err());
}

#[test]
fn the_workbook_balances_by_account() {
    let bytes = export(march()).unwrap().to_xlsx().unwrap();
    assert!(bytes == export(march()).unwrap().to_xlsx().unwrap());
    let mut book = Xlsx::new(Cursor::new(bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["Journal", "Accounts", "Control"]);
    let accounts = book.worksheet_range("Accounts").unwrap();
    let balances: Vec<(String, String)> = accounts
        .rows()
        .skip(1)
        .map(|row| (row[0].to_string(), row[7].to_string()))
        .collect();
    let expected = [
        ("1100", "-5.065992"),
        ("1200", "4.080000"),
        ("2100", "7.784000"),
        ("4100", "-3.775215"),
        ("4200", "-0.500000"),
        ("4300", "-2.522793"),
    ];
    let expected = expected.map(|(account, balance)| (account.to_owned(), balance.to_owned()));
    assert_eq!(balances, expected);
    let control = book.worksheet_range("Control").unwrap();
    let row = control.rows().nth(1).unwrap();
    assert_eq!(row[1], Data::Float(14.0));
    assert_eq!(
        (&row[3], &row[5]),
        (&row[5], &Data::String("16.430793".into()))
    );
}

proptest! {
    /// Debits and credits of the file add up to the same, which is the control total.
    #[test]
    fn the_file_balances(amounts in proptest::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 1..20)) {
        let mut documents = Vec::new();
        for (at, micros) in amounts.into_iter().filter(|micros| *micros != 0).enumerate() {
            let postings = vec![posting("1100", Some("A"), micros), posting("2100", None, -micros)];
            documents.push(document(&format!("d{at}"), postings));
        }
        let csv = export(documents).unwrap().to_csv().unwrap();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let (control, lines) = records.split_last().unwrap();
        let micros = |text: &str| text.replace('.', "").parse::<i128>().unwrap_or(0);
        let sum = |column: usize| lines.iter().map(|line| micros(&line[column])).sum::<i128>();
        prop_assert_eq!(sum(5), sum(6));
        prop_assert_eq!(sum(5), micros(&control[5]));
        prop_assert_eq!(&control[0], "CONTROL_TOTAL");
    }
}
