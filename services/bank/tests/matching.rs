//! What a bank reports is matched with what is expected, or stays open with a reason; never a guess.

use hansa_bank::{
    Account, BankReport, Direction, Expected, Limits, MatchKind, MatchedBy, Matching, Open,
    Outcome, match_report, read,
};
use hansa_money::Currency;
use proptest::prelude::*;

const A: &str = "NL91ABNA0417164300";
const T: &str = "FR1420041010050500013M02606";
const F: &str = "BE68539007547034";

fn sample(name: &str) -> BankReport {
    let path = format!("{}/tests/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect(name);
    read(&bytes, &Limits::default()).expect(name).remove(0)
}

fn pay(merchant: &str, amount_minor: i64, account: &str) -> Expected {
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

fn owed(merchant: &str, amount_minor: i64, account: &str) -> Expected {
    Expected {
        direction: Direction::In,
        message_id: None,
        ..pay(merchant, amount_minor, account)
    }
}

fn settled(expected: Expected) -> Expected {
    Expected {
        settled: true,
        ..expected
    }
}

/// The golden cycle: the hub pays A 3.44 and T 1.62, F pays 4.08.
fn golden() -> Vec<Expected> {
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
fn statement(entries: &[(&str, &str, &str, &str, &str)]) -> BankReport {
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
fn lines(matching: &Matching) -> Vec<String> {
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

fn check(expected: &[Expected], report: &BankReport, wanted: &[&str]) -> Matching {
    let matching = match_report(expected, report);
    let found = lines(&matching);
    assert_eq!(
        found.iter().map(|l| l.trim_end()).collect::<Vec<_>>(),
        wanted
    );
    matching
}

#[test]
fn the_golden_statement_settles_the_golden_cycle() {
    let matching = check(
        &golden(),
        &sample("camt053-02.xml"),
        &[
            "OneToOne Id 2026-03-A = -3.44",
            "OneToOne Id 2026-03-T = -1.62",
            "OneToOne Text 2026-03-F = 4.08",
        ],
    );
    assert!(matching.matches.iter().all(|m| m.differences.is_empty()));
    assert_eq!(matching.matches[0].kind, MatchKind::OneToOne);
}

#[test]
fn an_itemised_batch_is_its_payments_and_a_return_belongs_to_its_instruction() {
    let matching = check(
        &golden(),
        &sample("camt053-08-prefixed.xml"),
        &[
            "OneToOne Id 2026-03-A = -3.44",
            "OneToOne Id 2026-03-T = -1.62",
            "OneToOne Id 2026-03-A = 3.44 returned AC04",
            "open -7.00: NotBooked",
            "missing 2026-03-F: NotBooked",
        ],
    );
    assert_eq!(
        (matching.items[0].part, matching.items[1].part),
        (Some(0), Some(1))
    );
}

#[test]
fn a_return_is_found_after_its_instruction_was_settled() {
    let after: Vec<_> = golden().into_iter().map(settled).collect();
    check(
        &after,
        &sample("camt054-08-return.xml"),
        &["OneToOne Id 2026-03-T = 1.62 returned customer moved"],
    );
    // By account and amount, where the bank names no id.
    let nameless = statement(&[("1.62", "", T, "", "AC04")]);
    check(
        &after,
        &nameless,
        &["OneToOne AccountAndAmount 2026-03-T = 1.62 returned AC04"],
    );
    // Less than the whole did not come back; another's payment is not ours; twice is once too often.
    check(
        &after,
        &statement(&[("1.60", "HANSA-2026-03-T", "", "", "AC04")]),
        &["open 1.60: Differs 2026-03-T Amount 1.62 / 1.60"],
    );
    check(
        &after,
        &statement(&[("1.62", "OTHER", T, "", "AC04")]),
        &["open 1.62: Unknown"],
    );
    check(
        &after,
        &statement(&[
            ("1.62", "HANSA-2026-03-T", "", "", "AC04"),
            ("1.62", "HANSA-2026-03-T", "", "", "AC04"),
        ]),
        &[
            "open 1.62: Ambiguous 2026-03-T",
            "open 1.62: Ambiguous 2026-03-T",
        ],
    );
}

#[test]
fn a_batch_without_its_payments_matches_all_instructions_of_its_message() {
    let batch = sample("camt054-04-batch.xml");
    check(
        &golden(),
        &batch,
        &[
            "NToOne Batch 2026-03-A + 2026-03-T = -5.06",
            "missing 2026-03-F: NotBooked",
        ],
    );
    // One of them is not open any more: neither sum nor number fit.
    let mut fewer = golden();
    fewer.remove(0);
    check(
        &fewer,
        &batch,
        &[
            "open -5.06: Differs 2026-03-T Amount 1.62 / 5.06 Count 1 / 2",
            "missing 2026-03-F: NotBooked",
            "missing 2026-03-T: Differs",
        ],
    );
    let all: Vec<_> = golden().into_iter().map(settled).collect();
    check(
        &all,
        &batch,
        &["open -5.06: SettledBefore 2026-03-A 2026-03-T"],
    );
}

#[test]
fn what_is_known_by_its_id_but_differs_stays_open() {
    for (entry, difference) in [
        (
            ("-3.43", "HANSA-2026-03-A", A, "", ""),
            "open -3.43: Differs 2026-03-A Amount 3.44 / 3.43",
        ),
        (
            ("3.44", "HANSA-2026-03-A", A, "", ""),
            "open 3.44: Differs 2026-03-A Direction out / in",
        ),
        (
            ("-3.44", "HANSA-2026-03-A", F, "", ""),
            "open -3.44: Differs 2026-03-A Account NL91ABNA0417164300 / BE68539007547034",
        ),
    ] {
        check(
            &[pay("A", 344, A)],
            &statement(&[entry]),
            &[difference, "missing 2026-03-A: Differs"],
        );
    }
    // Of another currency, with the same digits.
    let mut dollars = pay("A", 344, A);
    dollars.currency = Currency::new("USD").unwrap();
    check(
        &[dollars],
        &statement(&[("-3.44", "HANSA-2026-03-A", A, "", "")]),
        &[
            "open -3.44: Differs 2026-03-A Currency USD / EUR",
            "missing 2026-03-A: Differs",
        ],
    );
}

#[test]
fn a_name_that_differs_is_told_with_the_match() {
    let mut expected = golden();
    expected[0].counterparty_name = Some("Elbe Apotheke".to_owned());
    let matching = match_report(&expected, &sample("camt053-02.xml"));
    let [difference] = matching.matches[0].differences.as_slice() else {
        panic!("one difference: {:?}", matching.matches[0]);
    };
    assert_eq!(
        (
            difference.expected.as_str(),
            difference.found.as_str(),
            difference.field.matters()
        ),
        ("Elbe Apotheke", "Alster Apotheke", false)
    );
}

#[test]
fn several_bookings_of_one_instruction_must_add_up_to_it() {
    let a = [pay("A", 344, A)];
    let id = "HANSA-2026-03-A";
    check(
        &a,
        &statement(&[("-3.00", id, A, "", ""), ("-0.44", id, A, "", "")]),
        &["OneToN Id 2026-03-A = -3.00 -0.44"],
    );
    check(
        &a,
        &statement(&[("-3.44", id, A, "", ""), ("-3.44", id, A, "", "")]),
        &[
            "open -3.44: Ambiguous 2026-03-A",
            "open -3.44: Ambiguous 2026-03-A",
            "missing 2026-03-A: Ambiguous",
        ],
    );
    check(
        &[settled(a[0].clone())],
        &statement(&[("-3.44", id, A, "", "")]),
        &["open -3.44: SettledBefore 2026-03-A"],
    );
    check(
        &[settled(a[0].clone())],
        &statement(&[("-3.43", id, A, "", "")]),
        &["open -3.43: Differs 2026-03-A Amount 3.44 / 3.43"],
    );
}

#[test]
fn money_in_is_found_by_our_id_in_its_text() {
    let expected = [owed("F", 408, F), owed("G", 100, A)];
    check(
        &expected,
        &statement(&[("4.08", "THEIRS", F, "cycle (HANSA-2026-03-F)", "")]),
        &[
            "OneToOne Text 2026-03-F = 4.08",
            "missing 2026-03-G: NotBooked",
        ],
    );
    check(
        &expected,
        &statement(&[("5.08", "", "", "HANSA-2026-03-F 2026-03-G", "")]),
        &["NToOne Text 2026-03-F + 2026-03-G = 5.08"],
    );
    check(
        &expected[..1],
        &statement(&[
            ("4.00", "", F, "HANSA-2026-03-F", ""),
            ("0.08", "", F, "rest of HANSA-2026-03-F.", ""),
        ]),
        &["OneToN Text 2026-03-F = 4.00 0.08"],
    );
    check(
        &expected[..1],
        &statement(&[("4.00", "", F, "HANSA-2026-03-F", "")]),
        &[
            "open 4.00: Differs 2026-03-F Amount 4.08 / 4.00",
            "missing 2026-03-F: Differs",
        ],
    );
    // A part of a longer word is no mention.
    check(
        &expected[..1],
        &statement(&[("4.08", "", "", "HANSA-2026-03-FF", "")]),
        &["open 4.08: Unknown", "missing 2026-03-F: NotBooked"],
    );
}

#[test]
fn account_and_amount_match_only_one_to_one() {
    let expected = [owed("F", 408, F)];
    check(
        &expected,
        &statement(&[("4.08", "THEIRS", F, "", "")]),
        &["OneToOne AccountAndAmount 2026-03-F = 4.08"],
    );
    // The national number of the same account.
    check(
        &expected,
        &statement(&[("4.08", "", &F[4..], "", "")]),
        &["OneToOne AccountAndAmount 2026-03-F = 4.08"],
    );
    check(
        &expected,
        &statement(&[("4.08", "", F, "", ""), ("4.08", "", F, "", "")]),
        &[
            "open 4.08: Ambiguous 2026-03-F",
            "open 4.08: Ambiguous 2026-03-F",
            "missing 2026-03-F: Ambiguous",
        ],
    );
    let second = owed("F2", 408, F);
    check(
        &[expected[0].clone(), second],
        &statement(&[("4.08", "", F, "", "")]),
        &[
            "open 4.08: Ambiguous 2026-03-F 2026-03-F2",
            "missing 2026-03-F: Ambiguous",
            "missing 2026-03-F2: Ambiguous",
        ],
    );
    // Money out carries our id; with another one it is another payment.
    check(
        &[pay("A", 344, A)],
        &statement(&[("-3.44", "SOMETHING ELSE", A, "", "")]),
        &["open -3.44: Unknown", "missing 2026-03-A: NotBooked"],
    );
    check(
        &[pay("A", 344, A)],
        &statement(&[("-3.44", "", A, "", "")]),
        &["OneToOne AccountAndAmount 2026-03-A = -3.44"],
    );
    // Without an account nothing is known.
    check(
        &[pay("A", 344, A)],
        &statement(&[("-3.44", "", "", "", "")]),
        &["open -3.44: Unknown", "missing 2026-03-A: NotBooked"],
    );
}

#[test]
fn sums_of_one_account_match_where_only_one_fits() {
    let three = [owed("F1", 100, F), owed("F2", 250, F), owed("F3", 999, F)];
    check(
        &three,
        &statement(&[("3.50", "", F, "", "")]),
        &[
            "NToOne Sum 2026-03-F1 + 2026-03-F2 = 3.50",
            "missing 2026-03-F3: NotBooked",
        ],
    );
    check(
        &three[1..2],
        &statement(&[("1.50", "", F, "", ""), ("1.00", "", F, "", "")]),
        &["OneToN Sum 2026-03-F2 = 1.50 1.00"],
    );
    // 1.00 + 2.50 and 3.00 + 0.50 both make it.
    let four = [
        owed("F1", 100, F),
        owed("F2", 250, F),
        owed("F3", 300, F),
        owed("F4", 50, F),
    ];
    check(
        &four,
        &statement(&[("3.50", "", F, "", "")]),
        &[
            "open 3.50: Ambiguous 2026-03-F1 2026-03-F2 2026-03-F3 2026-03-F4",
            "missing 2026-03-F1: Ambiguous",
            "missing 2026-03-F2: Ambiguous",
            "missing 2026-03-F3: Ambiguous",
            "missing 2026-03-F4: Ambiguous",
        ],
    );
    // Two items want the same instruction.
    check(
        &[owed("F1", 100, F), owed("F2", 250, F), owed("F3", 400, F)],
        &statement(&[("3.50", "", F, "", ""), ("6.50", "", F, "", "")]),
        &[
            "open 3.50: Ambiguous 2026-03-F1 2026-03-F2",
            "open 6.50: Ambiguous 2026-03-F2 2026-03-F3",
            "missing 2026-03-F1: Ambiguous",
            "missing 2026-03-F2: Ambiguous",
            "missing 2026-03-F3: Ambiguous",
        ],
    );
    // Of another account it is no sum.
    check(
        &three[..2],
        &statement(&[("3.50", "", A, "", "")]),
        &[
            "open 3.50: Unknown",
            "missing 2026-03-F1: NotBooked",
            "missing 2026-03-F2: NotBooked",
        ],
    );
}

#[test]
fn too_many_candidates_for_a_sum_are_not_tried() {
    let many: Vec<_> = (10..30).map(|n| owed(&format!("F{n}"), n, F)).collect();
    let matching = match_report(&many, &statement(&[("1.50", "", F, "", "")]));
    assert!(matching.matches.is_empty());
    assert_eq!(matching.unmatched_items[0].reason, Open::TooMany);
}

#[test]
fn two_instructions_with_one_id_are_matched_with_nothing() {
    let twice = [pay("A", 344, A), pay("A", 344, A)];
    let matching = match_report(
        &twice,
        &statement(&[("-3.44", "HANSA-2026-03-A", A, "", "")]),
    );
    assert!(matching.matches.is_empty());
    assert_eq!(matching.unmatched_items[0].reason, Open::Ambiguous);
}

/// Statuses in lines.
fn statuses(expected: &[Expected], name: &str) -> Vec<String> {
    let report = sample(name);
    let matching = match_report(expected, &report);
    assert!(
        matching.unmatched_expected.is_empty(),
        "a status report books nothing"
    );
    let matched = matching.statuses.iter().map(|found| {
        let status = &report.statuses[found.status];
        format!(
            "{:?} {} {:?}: {}",
            status.level,
            status.code,
            found.outcome,
            found.instructions.join(" ")
        )
    });
    let open = matching.unmatched_statuses.iter().map(|open| {
        let status = &report.statuses[open.status];
        let differences: Vec<_> = open
            .differences
            .iter()
            .map(|d| format!("{} / {}", d.expected, d.found))
            .collect();
        format!(
            "open {:?} {}: {:?} {}",
            status.level,
            status.code,
            open.reason,
            differences.join(" ")
        )
    });
    matched.chain(open).collect()
}

#[test]
fn the_nearest_status_of_an_instruction_counts() {
    assert_eq!(
        statuses(&golden(), "pain002-03.xml"),
        [
            "Group PART Partial: ",
            "Transaction ACSP Accepted: 2026-03-A",
            "Transaction RJCT Rejected: 2026-03-T",
        ]
    );
    assert_eq!(
        statuses(&golden(), "pain002-12-group.xml"),
        ["Group RJCT Rejected: 2026-03-A 2026-03-T"]
    );
    let mut three = golden();
    three.push(pay("B", 100, F));
    assert_eq!(
        statuses(&three, "pain002-14-payment.xml"),
        [
            "Payment PDNG Pending: 2026-03-B",
            "Transaction PDNG Pending: 2026-03-A",
            "Transaction BLCK Unknown: 2026-03-T",
        ]
    );
    assert_eq!(
        Outcome::Unknown,
        hansa_bank::StatusCode::Other("BLCK".to_owned()).outcome()
    );
}

#[test]
fn statuses_of_other_messages_or_amounts_stay_open() {
    let mut other = golden();
    for expected in &mut other {
        expected.message_id = Some("HANSA-2026-04".to_owned());
    }
    assert_eq!(
        statuses(&other, "pain002-03.xml"),
        [
            "open Group PART: Unknown ",
            "open Transaction ACSP: Unknown ",
            "open Transaction RJCT: Unknown ",
        ]
    );
    let mut less = golden();
    less[1].amount_minor = 161;
    assert_eq!(
        statuses(&less, "pain002-03.xml"),
        [
            "Group PART Partial: ",
            "Transaction ACSP Accepted: 2026-03-A",
            "open Transaction RJCT: Differs 1.61 / 1.62",
        ]
    );
}

fn any_expected() -> impl Strategy<Value = Vec<Expected>> {
    let accounts = prop::sample::select(vec![A, T, F]);
    prop::collection::vec((accounts, 1_i64..6, any::<bool>(), any::<bool>()), 0..8).prop_map(
        |all| {
            let numbered = all.into_iter().enumerate();
            numbered
                .map(|(number, (account, amount, out, before))| Expected {
                    settled: before,
                    ..if out {
                        pay(&number.to_string(), amount, account)
                    } else {
                        owed(&number.to_string(), amount, account)
                    }
                })
                .collect()
        },
    )
}

type Entry = (i64, Option<usize>, &'static str, bool);

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let accounts = prop::sample::select(vec![A, T, F, ""]);
    let amounts = (1_i64..9, any::<bool>()).prop_map(|(n, out)| if out { -n } else { n });
    prop::collection::vec(
        (
            amounts,
            prop::option::of(0_usize..8),
            accounts,
            any::<bool>(),
        ),
        0..8,
    )
}

proptest! {
    /// Whatever is expected and reported: nothing is used twice, every match adds up exactly, nothing is lost, and the order
    /// of the expectations does not matter.
    #[test]
    fn matches_add_up_and_use_everything_once(
        expected in any_expected(),
        entries in any_entries(),
        turn in any::<prop::sample::Index>(),
    ) {
        let rows: Vec<_> = entries
            .iter()
            .map(|(amount, id, account, returned)| {
                let id = id.map(|n| format!("HANSA-2026-03-{n}")).unwrap_or_default();
                (hansa_bank::decimal(*amount, Currency::EUR), id, *account, if *returned { "AC04" } else { "" })
            })
            .collect();
        let rows: Vec<_> = rows
            .iter()
            .map(|(amount, id, account, reason)| (amount.as_str(), id.as_str(), *account, "", *reason))
            .collect();
        let report = statement(&rows);
        let matching = match_report(&expected, &report);

        let mut used = vec![0; matching.items.len()];
        let mut paid = std::collections::BTreeMap::new();
        for found in &matching.matches {
            let of = |id: &String| expected.iter().find(|e| e.instruction_id == *id).unwrap();
            let wanted: i64 = found.instructions.iter().map(|id| of(id).amount_minor).sum();
            let items: i64 = found.items.iter().map(|at| matching.items[*at].amount_minor).sum();
            prop_assert_eq!(wanted, items.abs());
            for id in &found.instructions {
                let goes_out = of(id).direction == Direction::Out;
                prop_assert_eq!(goes_out, (items < 0) != found.returned.is_some());
                prop_assert!(found.returned.is_some() || !of(id).settled);
                *paid.entry((id.clone(), found.returned.is_some())).or_insert(0) += 1;
            }
            if found.by == MatchedBy::Sum {
                prop_assert!(found.kind != MatchKind::OneToOne);
            }
            for at in &found.items {
                used[*at] += 1;
            }
        }
        for open in &matching.unmatched_items {
            used[open.item] += 1;
        }
        prop_assert!(used.iter().all(|times| *times == 1), "{:?}", used);
        prop_assert!(paid.values().all(|times| *times == 1), "{:?}", paid);
        for wanted in expected.iter().filter(|e| !e.settled) {
            let is_open = matching.unmatched_expected.iter().any(|o| o.instruction_id == wanted.instruction_id);
            prop_assert_eq!(is_open, !paid.contains_key(&(wanted.instruction_id.clone(), false)));
        }

        let mut turned = expected.clone();
        if !turned.is_empty() {
            let middle = turn.index(turned.len());
            turned.rotate_left(middle);
        }
        prop_assert_eq!(match_report(&turned, &report), matching);
    }
}
