//! Bookings and instructions.

use hansa_bank::{Open, match_report};
use hansa_money::Currency;

use super::{A, F, T, check, golden, owed, pay, sample, settled, statement};

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
    assert_eq!(matching.matches[0].kind.as_str(), "ONE_TO_ONE");
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
            difference.field.as_str(),
            difference.expected.as_str(),
            difference.found.as_str()
        ),
        ("counterparty_name", "Elbe Apotheke", "Alster Apotheke")
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
    // Part of it went to another account.
    check(
        &a,
        &statement(&[("-3.00", id, A, "", ""), ("-0.44", id, F, "", "")]),
        &[
            "open -3.00: Differs 2026-03-A Amount 3.44 / 3.00",
            "open -0.44: Differs 2026-03-A Amount 3.44 / 0.44 Account NL91ABNA0417164300 / BE68539007547034",
            "missing 2026-03-A: Differs",
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

#[test]
fn an_instruction_id_beside_a_foreign_end_to_end_id_is_a_contradiction() {
    let mut report = statement(&[("-3.44", "", A, "", "")]);
    let part = &mut report.entries[0].parts[0];
    part.instruction_id = Some("2026-03-A".to_owned());
    check(
        &[pay("A", 344, A)],
        &report,
        &["OneToOne Id 2026-03-A = -3.44"],
    );
    report.entries[0].parts[0].end_to_end_id = Some("OTHER".to_owned());
    check(
        &[pay("A", 344, A)],
        &report,
        &[
            "open -3.44: Differs 2026-03-A EndToEndId HANSA-2026-03-A / OTHER",
            "missing 2026-03-A: Differs",
        ],
    );
}

#[test]
fn a_batch_of_another_number_of_payments_stays_open() {
    let mut batch = sample("camt054-04-batch.xml");
    batch.entries[0].batch.as_mut().unwrap().count = Some(3);
    let two = &golden()[..2];
    check(
        two,
        &batch,
        &[
            "open -5.06: Differs 2026-03-A 2026-03-T Count 2 / 3",
            "missing 2026-03-A: Differs",
            "missing 2026-03-T: Differs",
        ],
    );
    batch.entries[0].batch.as_mut().unwrap().count = None;
    check(two, &batch, &["NToOne Batch 2026-03-A + 2026-03-T = -5.06"]);
    // The same batch in two bookings.
    batch.entries.push(batch.entries[0].clone());
    let matching = match_report(two, &batch);
    assert!(matching.matches.is_empty());
    assert!(
        matching
            .unmatched_items
            .iter()
            .all(|open| open.reason == Open::Ambiguous)
    );
}

#[test]
fn texts_that_contradict_each_other_stay_open() {
    let expected = [owed("F", 408, F), owed("G", 100, A)];
    check(
        &expected,
        &statement(&[
            ("4.08", "", "", "HANSA-2026-03-F", ""),
            ("5.08", "", "", "HANSA-2026-03-F HANSA-2026-03-G", ""),
        ]),
        &[
            "open 4.08: Ambiguous 2026-03-F",
            "open 5.08: Ambiguous 2026-03-F",
            "missing 2026-03-F: Ambiguous",
            "missing 2026-03-G: NotBooked",
        ],
    );
    // They would add up, but the second one is also for another.
    check(
        &expected,
        &statement(&[
            ("2.00", "", "", "HANSA-2026-03-F", ""),
            ("2.08", "", "", "HANSA-2026-03-F HANSA-2026-03-G", ""),
        ]),
        &[
            "open 2.00: Ambiguous 2026-03-F",
            "open 2.08: Ambiguous 2026-03-F",
            "missing 2026-03-F: Ambiguous",
            "missing 2026-03-G: NotBooked",
        ],
    );
    // Money out is not what somebody owes us, whatever it says.
    check(
        &expected[..1],
        &statement(&[("-4.08", "", F, "HANSA-2026-03-F", "")]),
        &["open -4.08: Unknown", "missing 2026-03-F: NotBooked"],
    );
}

#[test]
fn two_instructions_that_want_one_booking_get_neither() {
    check(
        &[owed("F1", 350, F), owed("F2", 500, F)],
        &statement(&[
            ("1.00", "", F, "", ""),
            ("2.50", "", F, "", ""),
            ("4.00", "", F, "", ""),
        ]),
        &[
            "open 1.00: Ambiguous 2026-03-F1",
            "open 2.50: Ambiguous 2026-03-F1",
            "open 4.00: Ambiguous 2026-03-F2",
            "missing 2026-03-F1: Ambiguous",
            "missing 2026-03-F2: Ambiguous",
        ],
    );
}
