use std::{collections::BTreeMap, num::NonZeroU64};

use super::{history::DAY_MS, preview::preview, rule::TOLD_BY_NONE, *};
use crate::{
    act::Mode,
    event::{Affiliate, Conversion, Marks, Merchant},
    features::{Features, Limits, Pair, tests::click},
    typology::Typology,
    verdict::Band,
};

fn draft(when: &str) -> Draft {
    Draft {
        name: "fast-buyers".to_owned(),
        typology: Typology::ClickInjection,
        mode: Mode::Flag,
        when: when.to_owned(),
        reason: "most purchases come within ten seconds of the click".to_owned(),
        bands: Vec::new(),
        covers: Covers::Scheme,
        author: "the alliance's fraud desk".to_owned(),
    }
}

fn rule(when: &str) -> Rule {
    Rule::check(draft(when), 1).expect("a rule")
}

fn refused(when: &str) -> String {
    Rule::check(draft(when), 1).expect_err(when).to_string()
}

fn pair(affiliate: u32) -> Pair {
    Pair {
        affiliate: Affiliate(affiliate),
        merchant: Merchant(1),
    }
}

/// A pair with 40 clicks and 10 conversions, each so many milliseconds after its click.
fn row(affiliate: u32, after_ms: i64, open_micros: i64) -> Row {
    let mut features = Features::new(Limits {
        pairs: 8,
        prefixes: 8,
        devices: 8,
        recent: 64,
    });
    for at in 0..40 {
        features.touch(&click(at * 1_000, affiliate, at as u64 + 1));
    }
    for at in 0..10 {
        features.conversion(&Conversion {
            at_ms: 40_000 + after_ms,
            id: at,
            affiliate: Affiliate(affiliate),
            merchant: Merchant(1),
            touched_ms: 40_000,
            checkout_ms: Some(0),
            other_before: at % 2 == 0,
            device: None,
            prefix: None,
            customer: NonZeroU64::new(at + 1),
            payment: None,
            amount_micros: 1,
            commission_micros: 1,
            locks_ms: i64::MAX,
            marks: Marks::default(),
        });
    }
    let profile = features.pair(pair(affiliate), 50_000).expect("it is known");
    Row::read(&Subject {
        pair: pair(affiliate),
        at_ms: 50_000,
        profile: &profile,
        evidence: &[],
        site_kind: 3,
        age_ms: DAY_MS * 3 / 2,
        merchants: 2,
        linked: true,
        linked_banned: false,
        open_micros,
        open_by_scheme: &[(Typology::ClickInjection, open_micros / 2)],
        score: 0.25,
    })
}

#[test]
fn expressions_over_features_are_true_or_false_of_a_row() {
    let row = row(4_000_000_001, 3_000, 9_000_000);
    for (when, holds) in [
        ("ctct_under_10s_share > 0.5 && conversions >= 10", true),
        ("ctct_under_10s_share > 0.5 && conversions > 10", false),
        ("affiliate == 4000000001 && merchant in [1, 2]", true),
        ("site_kind in [1, 2] || linked_banned", false),
        ("linked ? preceded_share == 0.5 : false", true),
        ("!(affiliate_age_days < 1.0)", true),
        ("open_commission * 2.0 > 17.9 && -clicks < -39.0", true),
        ("conversions / double(merchants) == 5.0", true),
        ("merchants % 2 == 0 && int(clicks) - 30 == 10", true),
        ("learned_score == 0.25", true),
        ("distinct_devices > 30 && distinct_devices < 50", true),
        ("conversion_share_usual > 0.0", false),
        ("\"a\" < 'b'", true),
    ] {
        let hit = rule(when).evaluate(&row).expect(when);
        assert_eq!(hit.is_some(), holds, "{when}");
    }
}

#[test]
fn a_rule_with_a_wrong_type_or_name_is_refused_at_its_place() {
    for (when, said) in [
        (
            "conversions > 1 &&\n  retrun_share > 0.5",
            "line 2, column 3: there is no feature `retrun_share`; the nearest name is `return_share`",
        ),
        (
            "clicks > 'many'",
            "line 1, column 8: `>` does not take double and string",
        ),
        (
            "clicks * 2 > 10",
            "line 1, column 8: `*` does not take double and int; write whole numbers beside a double with a point (2.0), or double(...)",
        ),
        ("linked + linked", "`+` does not take bool and bool"),
        ("clicks && linked", "`&&` does not take double and bool"),
        (
            "linked ? 1.0 : true",
            "`? :` does not take bool and double and bool",
        ),
        ("clicks in [1.0, 2]", "a list of double has no int"),
        ("site_kind in []", "the list is empty"),
        ("'text'", "it is a text, not true, false or a number"),
        ("[1]", "it is a list, not true, false or a number"),
        (
            "size('x') > 1",
            "line 1, column 5: there is no function `size` of 1",
        ),
        ("'x'.matches('y')", "there is no function `matches` of 1"),
        ("[1, 2].exists(x, x > 1)", "no bound on their cost"),
        (
            "affiliate.name == 'x'",
            "features have no fields; there is no `.name`",
        ),
        (
            "{'a': 1}['a'] == 1",
            "line 1, column 9: there is no function `[]` of 2",
        ),
        ("clicks == null", "this kind of literal means nothing here"),
        ("clicks > 1u", "this kind of literal means nothing here"),
        ("clicks >", "line 1, column"),
        ("", "line 1, column"),
    ] {
        let found = refused(when);
        assert!(found.contains(said), "{when}: {found}");
    }
}

#[test]
fn what_a_rule_costs_is_bounded_before_it_runs() {
    let chain = |n: usize| vec!["linked"; n].join(" || ");
    let cost = rule(&chain(100)).cost();
    assert!(cost.nodes == 199 && cost.depth <= 10, "{cost:?}");
    assert_eq!(
        Rule::check(draft(&chain(101)), 1),
        Err(RuleError::TooCostly)
    );
    let long = " ".repeat(MOST_TEXT) + "linked";
    assert!(matches!(
        Rule::check(draft(&long), 1),
        Err(RuleError::TooLong { bytes: 2_006 })
    ));
    let deep = "-(".repeat(40) + "clicks" + &")".repeat(40) + " > 1.0";
    assert_eq!(Rule::check(draft(&deep), 1), Err(RuleError::TooCostly));
    // Deeper than the parser goes: refused, not a crash.
    let deepest = "(".repeat(990) + "linked" + &")".repeat(990);
    assert!(Rule::check(draft(&deepest), 1).is_err());
}

#[test]
fn a_number_falls_into_its_band_and_a_draft_that_says_too_little_is_refused() {
    let band = |from, band, reason: &str| Banded {
        from,
        band,
        reason: reason.to_owned(),
    };
    let mut banded = draft("ctct_under_10s_share * 100.0");
    banded.reason = String::new();
    banded.mode = Mode::Hold;
    banded.bands = vec![
        band(5.0, Band::Watch, "some are fast"),
        band(20.0, Band::Flag, "many are fast"),
        band(90.0, Band::Hold, "nearly all are fast"),
    ];
    let checked = Rule::check(banded.clone(), 1).expect("a rule");
    let hit = checked
        .evaluate(&row(1, 3_000, 0))
        .expect("a value")
        .expect("a band");
    assert_eq!(
        (hit.band, hit.reason.as_str()),
        (Band::Hold, "nearly all are fast")
    );
    assert_eq!(checked.evaluate(&row(1, 60_000, 0)), Ok(None));
    for wrong in [
        Draft {
            bands: Vec::new(),
            ..banded.clone()
        },
        Draft {
            reason: "why".to_owned(),
            ..banded.clone()
        },
        Draft {
            author: " ".to_owned(),
            ..banded.clone()
        },
        Draft {
            name: "Fast Buyers".to_owned(),
            ..banded.clone()
        },
        Draft {
            bands: banded.bands.iter().rev().cloned().collect(),
            ..banded.clone()
        },
        Draft {
            bands: vec![band(f64::NAN, Band::Flag, "x")],
            ..banded.clone()
        },
        Draft {
            bands: vec![band(1.0, Band::Clear, "x")],
            ..banded.clone()
        },
        Draft {
            when: "linked".to_owned(),
            ..banded.clone()
        },
        Draft {
            reason: String::new(),
            ..draft("linked")
        },
    ] {
        let refused = Rule::check(wrong.clone(), 1);
        assert!(matches!(refused, Err(RuleError::Draft(_))), "{wrong:?}");
    }
    for typology in TOLD_BY_NONE {
        let mut holds_nothing = draft("linked");
        holds_nothing.mode = Mode::Hold;
        holds_nothing.typology = typology;
        assert!(Rule::check(holds_nothing.clone(), 1).is_err());
        holds_nothing.covers = Covers::All;
        assert!(Rule::check(holds_nothing, 1).is_ok());
    }
}

#[test]
fn an_expression_without_a_value_says_so() {
    let row = row(1, 3_000, 0);
    for when in ["0.0 / 0.0 > 1.0", "merchants / (merchants - 2) > 1"] {
        assert!(rule(when).evaluate(&row).is_err(), "{when}");
    }
}

#[test]
fn each_change_is_a_version_and_the_same_text_is_the_same_version() {
    let mut book = Rulebook::default();
    let one = book.save(draft("linked")).expect("saved");
    assert_eq!(book.save(draft("linked")), Ok(one));
    let two = book.save(draft("linked_banned")).expect("saved");
    assert_eq!((one.number, two.number), (1, 2));
    let back = book.save(draft("linked")).expect("saved");
    assert!(back.number == 3 && back.digest == one.digest && two.digest != one.digest);
    assert!(back.to_string().starts_with("3-"));
    let saved = postcard::to_stdvec(&book).expect("it is written");
    let read: Rulebook = postcard::from_bytes(&saved).expect("it is read");
    assert_eq!(read, book);
}

/// A book with rows of 30 days: on each, affiliates 1 to 20, of which the first two buy within seconds.
fn book() -> Rulebook {
    let mut book = Rulebook::default();
    book.keep(100);
    for day in 0..30 {
        book.history.push(day * DAY_MS, &rows(2));
    }
    book
}

fn rows(fast: u32) -> Vec<Row> {
    (1..=20)
        .map(|affiliate| {
            let after_ms = if affiliate <= fast { 3_000 } else { 60_000 };
            row(affiliate, after_ms, 10_000_000)
        })
        .collect()
}

const FAST: &str = "ctct_under_10s_share > 0.5";
const NOW_MS: i64 = 29 * DAY_MS;

#[test]
fn a_preview_counts_hits_outcomes_and_the_money_that_would_wait() {
    let mut hold = draft(FAST);
    hold.mode = Mode::Hold;
    let hold = Rule::check(hold, 1).expect("a rule");
    let outcomes = BTreeMap::from([(pair(1), true), (pair(5), false)]);
    let book = book();
    let seen = preview(&hold, &book.history, &outcomes, NOW_MS);
    assert_eq!((seen.days, seen.rows, seen.left_out), (30, 600, 0));
    assert_eq!(
        (seen.hits, seen.affiliates, seen.affiliates_worst_day),
        (60, 2, 2)
    );
    assert_eq!(
        (seen.confirmed, seen.false_positives, seen.unknown),
        (1, 0, 1)
    );
    assert_eq!(seen.precision, Some(1.0));
    assert!(seen.precision_interval.low > 0.2 && seen.precision_interval.low < 0.21);
    // Half of the open commission is the scheme's, and it waits once, not each day anew.
    assert_eq!(seen.would_hold_micros, 10_000_000);
    assert!((seen.hits_per_day - 2.0).abs() < 1e-9 && seen.affiliates_upper >= 2.0);
    let later = preview(&hold, &book.history, &outcomes, NOW_MS + 10 * DAY_MS);
    assert_eq!(
        later.days, 20,
        "what is older than 30 days is not looked at"
    );
    let flag = rule(FAST);
    assert_eq!(
        preview(&flag, &book.history, &outcomes, NOW_MS).would_hold_micros,
        0
    );
}

#[test]
fn a_share_of_few_has_a_wide_interval_inside_0_and_1() {
    // Published values: 0 of 10 and 5 of 10 at 95 %.
    let (none, half) = (wilson(0, 10), wilson(5, 10));
    assert!(none.low == 0.0 && (none.high - 0.2775).abs() < 1e-4);
    assert!((half.low - 0.2366).abs() < 1e-4 && (half.high - 0.7634).abs() < 1e-4);
    assert_eq!(
        wilson(0, 0),
        Interval {
            low: 0.0,
            high: 1.0
        }
    );
}

#[test]
fn a_rule_is_switched_on_with_a_fresh_preview_of_its_very_version_only() {
    let mut book = book();
    let none = BTreeMap::new();
    let one = book.save(draft(FAST)).expect("saved");
    let on = |book: &mut Rulebook, version, at_ms| book.switch_on("fast-buyers", version, at_ms);
    assert_eq!(on(&mut book, one, NOW_MS), Err(SwitchError::NoPreview));
    assert_eq!(
        book.switch_on("other", one, 0),
        Err(SwitchError::NoSuchRule)
    );
    book.preview("fast-buyers", &none, NOW_MS).expect("known");
    assert_eq!(
        on(&mut book, one, NOW_MS + DAY_MS + 1),
        Err(SwitchError::OldPreview)
    );
    let two = book
        .save(draft("ctct_under_10s_share > 0.6"))
        .expect("saved");
    assert_eq!(on(&mut book, one, NOW_MS), Err(SwitchError::OtherVersion));
    assert_eq!(on(&mut book, two, NOW_MS), Err(SwitchError::NoPreview));
    book.preview("fast-buyers", &none, NOW_MS).expect("known");
    assert_eq!(on(&mut book, two, NOW_MS + DAY_MS), Ok(()));
    assert!(matches!(book.state("fast-buyers"), Some(RuleState::On(_))));
    // Switched off by a person, it needs a new one.
    let off_ms = NOW_MS + DAY_MS;
    let off = |book: &mut Rulebook| book.switch_off("fast-buyers", off_ms, "too many".to_owned());
    assert_eq!(off(&mut book), Ok(()));
    assert_eq!(off(&mut book), Err(SwitchError::NotOn));
    assert_eq!(on(&mut book, two, off_ms), Err(SwitchError::OldPreview));

    let failing = book
        .save(draft("0.0 / (clicks - 40.0) > 1.0"))
        .expect("saved");
    book.preview("fast-buyers", &none, NOW_MS).expect("known");
    assert_eq!(on(&mut book, failing, off_ms), Err(SwitchError::OldPreview));
    book.preview("fast-buyers", &none, off_ms).expect("known");
    assert_eq!(on(&mut book, failing, off_ms), Err(SwitchError::Fails(580)));
}

#[test]
fn with_few_days_a_rule_runs_in_shadow_only() {
    let mut book = Rulebook::default();
    book.keep(100);
    book.history.push(0, &rows(2));
    book.history.push(5, &rows(2));
    let version = book.save(draft(FAST)).expect("saved");
    book.preview("fast-buyers", &BTreeMap::new(), 10)
        .expect("known");
    let on = book.switch_on("fast-buyers", version, 10);
    assert_eq!(on, Err(SwitchError::ShortHistory(1)), "a day counts once");
    let mut shadow = draft(FAST);
    shadow.mode = Mode::Shadow;
    let version = book.save(shadow).expect("saved");
    book.preview("fast-buyers", &BTreeMap::new(), 10)
        .expect("known");
    assert_eq!(book.switch_on("fast-buyers", version, 10), Ok(()));
    let (found, off) = book.run(&rows(2), 20);
    assert!(found.is_empty() && off.is_empty());
    let (_, _, counters) = book.iter().next().expect("one rule");
    assert_eq!(
        (counters.hits, counters.affiliates_last),
        (2, 2),
        "it is counted"
    );
}

#[test]
fn a_rule_that_finds_far_more_than_its_preview_switches_itself_off_before_anything_comes_of_it() {
    let mut book = book();
    let version = book.save(draft(FAST)).expect("saved");
    book.preview("fast-buyers", &BTreeMap::new(), NOW_MS)
        .expect("known");
    book.switch_on("fast-buyers", version, NOW_MS)
        .expect("a fresh preview");
    let (found, off) = book.run(&rows(3), NOW_MS);
    assert_eq!((found.len(), off.len()), (3, 0), "one more is no explosion");
    let (found, off) = book.run(&rows(9), NOW_MS + DAY_MS);
    assert!(found.is_empty() && off == ["fast-buyers"]);
    let Some(RuleState::Off(why)) = book.state("fast-buyers") else {
        panic!("it is off");
    };
    assert!(why.by_itself && why.at_ms == NOW_MS + DAY_MS);
    assert!(
        why.reason.starts_with("it found 9 of 20 affiliates"),
        "{}",
        why.reason
    );
    // It goes on counting, and nothing comes of it.
    let (found, off) = book.run(&rows(2), NOW_MS + 2 * DAY_MS);
    assert!(found.is_empty() && off.is_empty());
    let on = book.switch_on("fast-buyers", version, NOW_MS + DAY_MS);
    assert_eq!(on, Err(SwitchError::OldPreview));
}

#[test]
fn a_history_keeps_the_most_active_rows_and_counts_the_rest() {
    let mut history = History::new(5);
    history.push(0, &rows(0));
    let rule = rule("clicks > 0.0");
    let seen = preview(&rule, &history, &BTreeMap::new(), 0);
    assert_eq!((seen.rows, seen.left_out, seen.affiliates), (5, 15, 5));
    let mut none = History::default();
    none.push(0, &rows(0));
    assert!(!none.is_on() && none.newest().is_empty());
}

#[test]
fn the_documentation_names_every_feature_with_its_type_and_meaning() {
    let page = include_str!("../../../docs/fraud.md");
    for feature in FEATURES {
        let line = format!(
            "| `{}` | {} | {} | {} |",
            feature.name,
            feature.kind.name(),
            feature.unit,
            feature.meaning
        );
        assert!(page.contains(&line), "{line}");
    }
}
