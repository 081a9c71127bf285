//! Rules and the learned scorer in the engine, through its public interface.

use std::num::NonZeroU64;

use hansa_fraud::{
    Affiliate, Conversion, Effect, Engine, Enrolment, Event, Marks, Merchant, Touch, TouchKind,
    Typology,
    act::{FlagKey, Mode, Outcome, Rules},
    features::{Limits, Pair},
    learn::Learning,
    points::{Action, PointsEvent},
    rules::{Covers, Draft, RuleState},
    verdict::Named,
};

const DAY_MS: i64 = 86_400_000;
const AFFILIATES: u32 = 40;
const WATCHED_SITE: u8 = 9;
const LIMITS: Limits = Limits {
    pairs: 200,
    prefixes: 200,
    devices: 200,
    recent: 1 << 10,
};

/// Only what rules and scorer say is flagged: the statistics are silent.
fn engine() -> Engine {
    let modes = Typology::ALL
        .into_iter()
        .filter(|typology| *typology != Typology::CouponHijack);
    let mut engine = Engine::new(
        LIMITS,
        Rules {
            alert_budget_bps: 10_000,
            modes: modes.map(|typology| (typology, Mode::Shadow)).collect(),
            ..Rules::default()
        },
    );
    engine.keep_history(1_000);
    engine
}

fn enrol(engine: &mut Engine, affiliate: u32, vertical: u8) {
    engine.apply(&Event::Enrolment(Enrolment {
        at_ms: 0,
        affiliate: Affiliate(affiliate),
        vertical,
        payout: None,
        identity: None,
        mail: None,
        devices: Vec::new(),
        group: None,
    }));
}

fn id(day: i64, affiliate: u32) -> u64 {
    day as u64 * 1_000 + u64::from(affiliate)
}

/// A day's traffic of everybody: 20 clicks and one purchase, two hours after its click or, of whom it is asked, two seconds.
fn day(engine: &mut Engine, day: i64, is_fast: impl Fn(u32) -> bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    for affiliate in 1..=AFFILIATES {
        let token = |of: u64| NonZeroU64::new(id(day, affiliate) * 100 + of + 1);
        for click in 0..20_u64 {
            engine.apply(&Event::Touch(Touch {
                at_ms: day * DAY_MS + click as i64 * 3_600_000,
                affiliate: Affiliate(affiliate),
                merchant: Merchant(1),
                kind: TouchKind::Click,
                local_hour: click as u8,
                address: token(click),
                prefix: NonZeroU64::new(click + 1),
                device: token(click),
                agent: NonZeroU64::new(click % 5 + 1),
                referrer: None,
                marks: Marks::default(),
            }));
        }
        let touched_ms = day * DAY_MS + 72_000_000;
        let after_ms = if is_fast(affiliate) { 2_000 } else { 7_200_000 };
        effects.extend(engine.apply(&Event::Conversion(Conversion {
            at_ms: touched_ms + after_ms,
            id: id(day, affiliate),
            affiliate: Affiliate(affiliate),
            merchant: Merchant(1),
            touched_ms,
            checkout_ms: Some(0),
            other_before: false,
            device: token(30),
            prefix: None,
            customer: token(31),
            payment: None,
            amount_micros: 50_000_000,
            commission_micros: 5_000_000,
            locks_ms: (day + 30) * DAY_MS,
            marks: Marks::default(),
        })));
    }
    effects.extend(engine.assess((day + 1) * DAY_MS - 1).1);
    effects
}

fn draft() -> Draft {
    Draft {
        name: "watched-sites".to_owned(),
        typology: Typology::CouponHijack,
        mode: Mode::Hold,
        when: format!("site_kind == {WATCHED_SITE} && conversions > 3.0"),
        reason: "the kind of site that the alliance looks at".to_owned(),
        bands: Vec::new(),
        covers: Covers::All,
        author: "fraud desk".to_owned(),
    }
}

/// 30 days behind it, and a rule that finds affiliates 1 and 2 and was switched on at the end.
fn with_rule() -> (Engine, i64) {
    let mut engine = engine();
    for affiliate in 1..=AFFILIATES {
        let vertical = if affiliate <= 2 { WATCHED_SITE } else { 1 };
        enrol(&mut engine, affiliate, vertical);
    }
    for number in 0..30 {
        assert_eq!(day(&mut engine, number, |_| false), []);
    }
    let now_ms = 30 * DAY_MS - 1;
    let version = engine.save_rule(draft()).expect("a rule");
    let preview = engine.preview_rule("watched-sites", now_ms).expect("saved");
    assert_eq!(
        (preview.days, preview.affiliates, preview.unknown),
        (30, 2, 2)
    );
    assert_eq!(preview.would_hold_micros, 2 * 30 * 5_000_000);
    engine
        .switch_rule_on("watched-sites", version, now_ms)
        .expect("a fresh preview");
    (engine, 30)
}

const fn key(affiliate: u32) -> FlagKey {
    FlagKey {
        pair: Pair {
            affiliate: Affiliate(affiliate),
            merchant: Merchant(1),
        },
        typology: Typology::CouponHijack,
    }
}

fn waits(engine: &Engine, day: i64, affiliate: u32) -> bool {
    engine
        .kept(id(day, affiliate))
        .is_some_and(|kept| kept.held)
}

#[test]
fn a_rule_raises_flags_with_its_name_and_reason_and_holds_after_two_assessments() {
    let (mut engine, start) = with_rule();
    assert_eq!(
        day(&mut engine, start, |_| false),
        [],
        "flagged, not sure yet"
    );
    let flag = &engine.flags()[&key(1)];
    let [Named::Rule(hit)] = &flag.verdict.named[..] else {
        panic!("the rule is the evidence: {flag:?}");
    };
    assert_eq!(
        hit.to_string(),
        "rule watched-sites (version 1): the kind of site that the alliance looks at"
    );
    assert!(!flag.is_holding());
    let held = day(&mut engine, start + 1, |_| false);
    assert!(held.iter().all(|effect| matches!(effect, Effect::Held(_, because) if *because == key(1) || *because == key(2))));
    assert!(waits(&engine, start, 1) && waits(&engine, start + 1, 2));
    assert!(!waits(&engine, start, 3));
    assert_eq!(engine.flags().len(), 2);
    // What comes later waits at once, and the flag's outcome ends it.
    day(&mut engine, start + 2, |_| false);
    assert!(waits(&engine, start + 2, 1));
    engine.take_case(key(1)).expect("pending");
    let released = engine
        .close_case(key(1), Outcome::FalsePositive, (start + 3) * DAY_MS)
        .expect("taken");
    assert!(released.len() > 2 && !waits(&engine, start + 2, 1));
    assert!(waits(&engine, start + 2, 2));
}

#[test]
fn a_rule_that_explodes_holds_nothing_new_and_what_it_held_stays_until_a_person_decides() {
    let (mut engine, start) = with_rule();
    day(&mut engine, start, |_| false);
    day(&mut engine, start + 1, |_| false);
    assert!(waits(&engine, start + 1, 1));
    // Half of the alliance turns into sites of this kind.
    for affiliate in 1..=20 {
        enrol(&mut engine, affiliate, WATCHED_SITE);
    }
    let effects = day(&mut engine, start + 2, |_| false);
    let Some(RuleState::Off(why)) = engine.rulebook().state("watched-sites") else {
        panic!("it switched itself off");
    };
    assert!(
        why.by_itself && why.reason.contains("20 of 40"),
        "{}",
        why.reason
    );
    assert_eq!(engine.flags().len(), 2, "nobody else was flagged");
    // Conversions of that day came while the rule was still trusted.
    assert!(effects.len() == 2 && waits(&engine, start + 2, 1));
    let saved = engine.save();
    let mut engine = Engine::restore(&saved).expect("saved by this version");
    assert!(engine.save() == saved);
    assert_eq!(day(&mut engine, start + 3, |_| false), []);
    assert!(waits(&engine, start + 1, 1) && waits(&engine, start + 2, 1));
    assert!(!waits(&engine, start + 3, 1), "nothing new waits");
    engine.take_case(key(1)).expect("pending");
    let released = engine
        .close_case(key(1), Outcome::Valuable, (start + 4) * DAY_MS)
        .expect("taken");
    assert!(released.contains(&Effect::Released(id(start + 1, 1))));
    assert!(!waits(&engine, start + 1, 1) && waits(&engine, start + 1, 2));
}

#[test]
fn rules_previews_and_counters_survive_a_restart_and_go_on_alike() {
    let (mut through, start) = with_rule();
    let mut restarted = Engine::restore(&through.save()).expect("saved by this version");
    for number in start..start + 3 {
        assert_eq!(
            day(&mut through, number, |_| false),
            day(&mut restarted, number, |_| false)
        );
    }
    assert!(through.save() == restarted.save());
    let (rule, state, counters) = restarted.rulebook().iter().next().expect("one rule");
    assert_eq!(rule.version().number, 1);
    assert!(matches!(state, RuleState::On(_)));
    assert_eq!((counters.assessments, counters.hits), (3, 6));
    let off = restarted.switch_rule_off("watched-sites", start * DAY_MS, "enough".to_owned());
    assert_eq!(off, Ok(()));
    let holders = &restarted.flags()[&key(1)].holders;
    assert!(!holders.detectors && holders.rules["watched-sites"].frozen);
}

/// 30 days in which affiliates 1 to 8 buy within seconds, and a rule that finds 1 to 6 and 20.
fn with_labels(mode: Mode) -> Engine {
    let mut engine = engine();
    engine.set_learning(Some(Learning {
        mode,
        ..Learning::default()
    }));
    let is_fast = |affiliate| affiliate <= 8;
    for affiliate in 1..=AFFILIATES {
        let watched = affiliate <= 6 || affiliate == 20;
        enrol(
            &mut engine,
            affiliate,
            if watched { WATCHED_SITE } else { 1 },
        );
    }
    for number in 0..30 {
        day(&mut engine, number, is_fast);
    }
    let now_ms = 30 * DAY_MS - 1;
    let version = engine.save_rule(draft()).expect("a rule");
    engine.preview_rule("watched-sites", now_ms).expect("saved");
    engine
        .switch_rule_on("watched-sites", version, now_ms)
        .expect("a fresh preview");
    day(&mut engine, 30, is_fast);
    assert_eq!(engine.flags().len(), 7);
    engine
}

fn close(engine: &mut Engine, affiliate: u32, outcome: Outcome) {
    engine.take_case(key(affiliate)).expect("pending");
    engine
        .close_case(key(affiliate), outcome, 31 * DAY_MS)
        .expect("taken");
}

#[test]
fn the_scorer_learns_from_outcomes_once_five_were_confirmed_and_names_what_it_saw() {
    let mut engine = with_labels(Mode::Flag);
    let is_fast = |affiliate| affiliate <= 8;
    close(&mut engine, 20, Outcome::FalsePositive);
    for affiliate in 1..=4 {
        close(&mut engine, affiliate, Outcome::Confirmed);
    }
    day(&mut engine, 31, is_fast);
    assert!(engine.learner().trained().is_none(), "four are too few");
    close(&mut engine, 5, Outcome::Confirmed);
    let mut other = Engine::restore(&engine.save()).expect("saved by this version");
    day(&mut engine, 32, is_fast);
    day(&mut other, 32, is_fast);
    let trained = engine.learner().trained().expect("five were confirmed");
    assert_eq!((trained.confirmed, trained.cleared), (5, 1));
    assert!(
        engine.save() == other.save(),
        "the same labels give the same model"
    );
    // Those that no rule finds are flagged by what they have in common with the confirmed ones.
    for affiliate in [7, 8] {
        let flag = engine
            .flags()
            .get(&key(affiliate))
            .expect("like the others");
        let [Named::Score(scored)] = &flag.verdict.named[..] else {
            panic!("the score is the evidence: {flag:?}");
        };
        assert!(scored.score >= 0.5 && scored.model == trained.version);
        let strongest = &scored.strongest[0].0;
        assert!(
            strongest.starts_with("ctct") || strongest.contains("time"),
            "{scored:?}"
        );
        assert!(
            flag.verdict.named[0]
                .to_string()
                .contains("traffic like that of confirmed cases")
        );
        assert!(!flag.is_holding(), "it never holds by itself in mode FLAG");
    }
    assert!(
        (9..=AFFILIATES)
            .filter(|of| *of != 20)
            .all(|of| !engine.flags().contains_key(&key(of)))
    );
    let version = trained.version;
    day(&mut engine, 33, is_fast);
    let trained = engine.learner().trained().expect("it stays");
    assert_eq!(trained.version, version, "no new label, no new model");
    // An appeal takes the label away until it is decided again.
    engine.appeal(key(5), 32 * DAY_MS).expect("confirmed");
    day(&mut engine, 34, is_fast);
    assert!(engine.learner().trained().is_none());
}

#[test]
fn by_default_the_scorer_only_adds_to_what_others_found() {
    let mut engine = with_labels(Learning::default().mode);
    for affiliate in 1..=5 {
        close(&mut engine, affiliate, Outcome::Confirmed);
    }
    day(&mut engine, 31, |affiliate| affiliate <= 8);
    assert!(engine.learner().trained().is_some());
    assert!(!engine.flags().contains_key(&key(7)));
    let named = &engine.flags()[&key(6)].verdict.named;
    assert!(
        named.iter().any(|of| matches!(of, Named::Score(_))),
        "{named:?}"
    );
    assert!(
        named.iter().any(|of| matches!(of, Named::Rule(_))),
        "{named:?}"
    );
}

#[test]
fn points_are_scored_and_saved_with_the_rest() {
    let mut engine = engine();
    let accrual = |at_ms| PointsEvent::Accrual {
        at_ms,
        member: NonZeroU64::MIN,
        merchant: Merchant(1),
        lane: None,
        device: None,
        in_person: true,
        points: 1,
        limit: None,
    };
    for at in 0..5 {
        engine.points_mut().apply(&accrual(at));
    }
    let mut engine = Engine::restore(&engine.save()).expect("saved by this version");
    let verdict = engine.points_mut().apply(&accrual(6));
    assert_eq!(verdict.action, Action::Quarantine);
}
