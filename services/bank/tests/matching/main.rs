//! What a bank reports is matched with what is expected, or stays open with a reason; never a guess.

mod payments;
mod properties;
mod statuses;

use hansa_bank::{Account, BankReport, Direction, Expected, Limits, Matching, match_report, read};
use hansa_money::Currency;

pub(crate) const A: &str = "NL91ABNA0417164300";
pub(crate) const T: &str = "FR1420041010050500013M02606";
pub(crate) const F: &str = "BE68539007547034";

pub(crate) fn sample(name: &str) -> BankReport {
    let path = format!("{}/tests/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect(name);
    read(&bytes, &Limits::default()).expect(name).remove(0)
}

pub(crate) fn pay(merchant: &str, amount_minor: i64, account: &str) -> Expected {
    Expected {
        instruction_id: format!("2026-03-{merchant}"),
        end_to_end_id: format!("HANSA-2026-03-{merchant}"),
        message_id: Some("HANSA-2026-03".to_owned()),
        amount_minor,
        currency: Currency::EUR,
        direction: Direction::Out,
        counterparty_account: Some(Account::iban(account)),
        counterparty_name: None,
        settled: false,
    }
}

pub(crate) fn owed(merchant: &str, amount_minor: i64, account: &str) -> Expected {
    Expected {
        direction: Direction::In,
        message_id: None,
        ..pay(merchant, amount_minor, account)
    }
}

pub(crate) fn settled(expected: Expected) -> Expected {
    Expected {
        settled: true,
        ..expected
    }
}

/// The golden cycle: the hub pays A 3.44 and T 1.62, F pays 4.08.
pub(crate) fn golden() -> Vec<Expected> {
    let mut expected = vec![pay("A", 344, A), pay("T", 162, T), owed("F", 408, F)];
    for (expected, name) in
        expected
            .iter_mut()
            .zip(["Alster Apotheke", "Tuchhaus Trave", "Fischmarkt & Söhne"])
    {
        expected.counterparty_name = Some(name.to_owned());
    }
    expected
}

/// A statement with these entries: amount, end-to-end id, account, text, reason of a return.
pub(crate) fn statement(entries: &[(&str, &str, &str, &str, &str)]) -> BankReport {
    let mut text = hansa_bank::STATEMENT_COLUMNS.join(",");
    text.push_str("\nopening,DE89370400440532013000,EUR,2026-04-03,,0.00,1,,,,,,,\n");
    let mut closing = 0;
    for (amount, id, account, words, reason) in entries {
        closing += hansa_bank::signed_minor_units(amount, Currency::EUR).expect("an amount");
        text.push_str(&format!(
            "entry,,,2026-04-03,,{amount},,{id},,,{account},{words},{reason},\n"
        ));
    }
    let closing = hansa_bank::decimal(closing, Currency::EUR);
    text.push_str(&format!("closing,,,2026-04-03,,{closing},1,,,,,,,\n"));
    read(text.as_bytes(), &Limits::default())
        .expect("a statement")
        .remove(0)
}

/// A matching in lines: what matched, then what stays open.
pub(crate) fn lines(matching: &Matching) -> Vec<String> {
    let item = |at: &usize| {
        let item = &matching.items[*at];
        hansa_bank::decimal(item.amount_minor, item.currency)
    };
    let mut lines = Vec::new();
    for found in &matching.matches {
        let items: Vec<_> = found.items.iter().map(item).collect();
        let returned = found.returned.as_ref().map(|reason| {
            format!(
                " returned {}",
                reason.code.as_deref().unwrap_or("without a reason")
            )
        });
        lines.push(format!(
            "{:?} {:?} {} = {}{}",
            found.kind,
            found.by,
            found.instructions.join(" + "),
            items.join(" "),
            returned.unwrap_or_default()
        ));
    }
    for open in &matching.unmatched_items {
        let like = open.candidates.join(" ");
        let differences: String = open
            .differences
            .iter()
            .map(|d| format!(" {:?} {} / {}", d.field, d.expected, d.found))
            .collect();
        lines.push(format!(
            "open {}: {:?} {like}{differences}",
            item(&open.item),
            open.reason
        ));
    }
    for open in &matching.unmatched_expected {
        lines.push(format!(
            "missing {}: {:?}",
            open.instruction_id, open.reason
        ));
    }
    lines
}

pub(crate) fn check(expected: &[Expected], report: &BankReport, wanted: &[&str]) -> Matching {
    let matching = match_report(expected, report);
    let found = lines(&matching);
    assert_eq!(
        found.iter().map(|l| l.trim_end()).collect::<Vec<_>>(),
        wanted
    );
    matching
}
