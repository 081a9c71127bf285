//! The PDF, read back.

use crate::march::{GOLDEN, Golden, long, quiet};
use hansa_report::{Counterparty, StatementDocument};
use lopdf::Document;
use proptest::prelude::*;

fn read(document: &StatementDocument) -> Document {
    Document::load_mem(&document.to_pdf().unwrap()).unwrap()
}

fn text(pdf: &Document, page: u32) -> String {
    pdf.extract_text(&[page]).unwrap()
}

fn whole_text(pdf: &Document) -> String {
    pdf.get_pages()
        .keys()
        .map(|page| text(pdf, *page))
        .collect()
}

#[test]
fn a_director_sees_net_payment_and_rest() {
    for (name, net, paid, direction, carried) in [
        (
            "issue-a",
            "\u{2212}3.442775",
            "3.44 EUR",
            "you are paid",
            "\u{2212}0.002775",
        ),
        (
            "issue-f",
            "+4.078793",
            "4.08 EUR",
            "you pay",
            "\u{2212}0.001207",
        ),
        (
            "issue-t",
            "\u{2212}1.622010",
            "1.62 EUR",
            "you are paid",
            "\u{2212}0.002010",
        ),
        (
            "burn-a",
            "\u{2212}3.442775",
            "3.44 EUR",
            "you are paid",
            "\u{2212}0.002775",
        ),
        ("burn-f", "+9.340000", "9.34 EUR", "you pay", "0.000000"),
        (
            "burn-t",
            "\u{2212}1.622010",
            "1.62 EUR",
            "you are paid",
            "\u{2212}0.002010",
        ),
    ] {
        let pdf = read(&Golden::of(name).document());
        let first = text(&pdf, 1);
        for expected in [
            net,
            paid,
            direction,
            carried,
            "1 March 2026 to 31 March 2026",
        ] {
            assert!(first.contains(expected), "{name}: {expected} in {first}");
        }
    }
}

#[test]
fn every_golden_line_is_on_paper() {
    for golden in &GOLDEN {
        let document = golden.document();
        let all = whole_text(&read(&document));
        for line in &document.parts().lines {
            assert!(
                all.contains(&line.kind.label()),
                "{}: {}",
                golden.name,
                line.kind.code()
            );
            if !line.information {
                assert!(
                    all.contains(&line.amount.signed()),
                    "{}: {}",
                    golden.name,
                    line.amount
                );
            }
        }
        let parts = document.parts();
        for net in &parts.bilateral {
            assert!(all.contains(&net.amount.signed()), "{}", golden.name);
        }
        let proof = parts.proof.as_ref().unwrap();
        for expected in [
            &proof.cycle_digest.to_hex(),
            &proof.checkpoints[1].root.to_hex(),
            &proof.hub_key_id,
            &parts.merchant.name,
        ] {
            assert!(all.contains(expected), "{}: {expected}", golden.name);
        }
    }
}

#[test]
fn a_long_statement_repeats_its_heads_and_counts_its_pages() {
    let document = StatementDocument::new(long()).unwrap();
    let pdf = read(&document);
    let pages = u32::try_from(pdf.get_pages().len()).unwrap();
    assert!(pages > 5);
    for page in 1..=pages {
        let text = text(&pdf, page);
        assert!(text.contains(&format!("Page {page} of {pages}")), "{text}");
        let rows = text.matches("Points consumed").count();
        assert!(
            rows < 3 || text.contains("Events"),
            "no head on page {page}"
        );
    }
    let all = whole_text(&pdf);
    for expected in [
        "Αρτοποιεία Βορείου Ελλάδος",
        "საცხობი",
        "Հացատուն",
        "adj-2026-0017",
        "ida.petersen",
        "\u{2212}10\u{a0}points",
        "30 June 2026",
        "+1\u{202f}075\u{202f}308.624192",
        "you pay in all, in 2 payments listed below",
    ] {
        assert!(all.contains(expected), "{expected}");
    }
}

#[test]
fn a_provisional_statement_says_so_and_is_not_signed() {
    let all = whole_text(&read(&StatementDocument::new(quiet()).unwrap()));
    assert!(all.contains("PROVISIONAL"));
    assert!(all.contains("nothing is paid"));
    assert!(!all.contains("Signatures"));
    let closed = whole_text(&read(&Golden::of("burn-f").document()));
    assert!(!closed.contains("PROVISIONAL") && closed.contains("Signatures"));
}

#[test]
fn the_statement_s_json_is_attached() {
    let document = Golden::of("issue-a").document();
    let pdf = read(&document);
    let json = document.to_json().unwrap();
    let attached = pdf.objects.values().any(|object| {
        object
            .as_stream()
            .and_then(lopdf::Stream::decompressed_content)
            .is_ok_and(|content| content == json)
    });
    assert!(attached);
}

#[test]
fn the_same_pages_give_the_same_bytes() {
    let document = StatementDocument::new(long()).unwrap();
    let first = document.to_pdf().unwrap();
    for _ in 0..3 {
        assert!(first == document.clone().to_pdf().unwrap());
    }
}

#[test]
fn a_character_that_no_font_has_does_not_stop_the_document() {
    let mut parts = Golden::of("issue-a").parts();
    parts.merchant.name = "面包店 🥨 GmbH".into();
    let all = whole_text(&read(&StatementDocument::new(parts).unwrap()));
    assert!(all.contains("GmbH"), "{all}");
}

#[test]
fn the_largest_amounts_stay_on_the_page() {
    let mut parts = quiet();
    parts.opening.clear();
    parts.brought_forward = hansa_report::Amount::from_micros(i64::MAX);
    parts.carried_forward = hansa_report::Amount::from_micros(i64::MAX);
    let all = whole_text(&read(&StatementDocument::new(parts).unwrap()));
    assert!(
        all.contains("+9\u{202f}223\u{202f}372\u{202f}036\u{202f}854.775807"),
        "{all}"
    );
}

/// What is seldom seen in a name, or cannot be: marks, joiners, private use, characters that are none.
const ODD: [char; 12] = [
    '\u{feff}', '\u{fffe}', '\u{fffd}', '\u{ad}', '\u{200d}', '\u{200b}', '\u{a0}', '\u{e000}',
    '\u{301}', '\u{fe0f}', '\u{fb01}', '\u{644}',
];

#[test]
fn odd_characters_alone_and_in_a_word_can_be_printed() {
    for odd in ODD {
        for name in [
            odd.to_string(),
            format!("A{odd}B"),
            format!("A {odd}{odd} B"),
        ] {
            let mut parts = quiet();
            parts.merchant.name = name.clone();
            if let Ok(document) = StatementDocument::new(parts) {
                let pdf = document.to_pdf();
                assert!(pdf.is_ok(), "{name:?}: {:?}", pdf.err());
            }
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        any::<char>().prop_filter("one line", |c| !c.is_control()),
        proptest::sample::select(ODD.to_vec()),
        proptest::char::range('\u{20}', '\u{590}'),
    ];
    proptest::collection::vec(c, 1..40).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever names consist of: a document that is accepted is also written.
    #[test]
    fn every_accepted_name_can_be_printed(names in proptest::collection::vec(name(), 40)) {
        let mut parts = Golden::of("issue-a").parts();
        for (at, name) in names.into_iter().enumerate() {
            let mut line = parts.lines[3].clone();
            line.counterparty = Some(Counterparty::Merchant {
                id: format!("m{at}"),
                name,
            });
            parts.lines.push(line);
            if StatementDocument::new(parts.clone()).is_err() {
                parts.lines.pop();
            }
        }
        prop_assert!(parts.lines.len() > 20);
        let document = StatementDocument::new(parts).unwrap();
        prop_assert!(document.to_pdf().is_ok(), "{:?}", document.to_pdf().err());
    }
}
