//! Alliance-wide bans through the engine: made, told, evaded, lifted.

use std::num::NonZeroU64;

use hansa_fraud::{
    Affiliate, Conversion, Effect, Engine, Enrolment, Event, Marks, Merchant, Touch, TouchKind,
    Typology,
    act::{BanError, FlagKey, Outcome, Rules, Severity},
    features::{Limits, Pair},
};

const DAY_MS: i64 = 86_400_000;

fn engine() -> Engine {
    let limits = Limits {
        pairs: 50,
        prefixes: 50,
        devices: 50,
        recent: 64,
    };
    let rules = Rules {
        alert_budget_bps: 10_000,
        ..Rules::default()
    };
    Engine::new(limits, rules)
}

fn enrolment(affiliate: u32, identity: u64, payout: u64) -> Enrolment {
    Enrolment {
        at_ms: 0,
        affiliate: Affiliate(affiliate),
        vertical: 1,
        payout: NonZeroU64::new(payout),
        identity: NonZeroU64::new(identity),
        mail: None,
        devices: Vec::new(),
        group: None,
    }
}

/// Enrols, clicks once and sells once at a merchant.
fn join(engine: &mut Engine, enrolment: &Enrolment, merchant: u32) {
    engine.apply(&Event::Enrolment(enrolment.clone()));
    let affiliate = enrolment.affiliate;
    engine.apply(&Event::Touch(Touch {
        at_ms: 1,
        affiliate,
        merchant: Merchant(merchant),
        kind: TouchKind::Click,
        local_hour: 1,
        address: None,
        prefix: None,
        device: None,
        agent: None,
        referrer: None,
        marks: Marks::default(),
    }));
    engine.apply(&Event::Conversion(Conversion {
        at_ms: 60_000,
        id: u64::from(affiliate.0),
        affiliate,
        merchant: Merchant(merchant),
        touched_ms: 1,
        checkout_ms: None,
        other_before: false,
        device: None,
        prefix: None,
        customer: None,
        payment: None,
        amount_micros: 9,
        commission_micros: 1,
        locks_ms: 60 * DAY_MS,
        marks: Marks::default(),
    }));
}

fn key(affiliate: u32, merchant: u32) -> FlagKey {
    FlagKey {
        pair: Pair {
            affiliate: Affiliate(affiliate),
            merchant: Merchant(merchant),
        },
        typology: Typology::DuplicateIdentity,
    }
}

fn close(engine: &mut Engine, key: FlagKey, outcome: Outcome) {
    engine.take_case(key).expect("pending");
    engine.close_case(key, outcome, 2 * DAY_MS).expect("taken");
}

/// Affiliates 1 and 2 are one person; the case of 2 at merchant 7 was confirmed.
fn with_confirmed() -> Engine {
    let mut engine = engine();
    join(&mut engine, &enrolment(1, 100, 500), 7);
    join(&mut engine, &enrolment(2, 100, 500), 7);
    let (_, effects) = engine.assess(DAY_MS);
    assert_eq!(effects, [Effect::Held(2, key(2, 7))]);
    engine
}

#[test]
fn only_a_confirmed_case_bans_and_others_are_told_scheme_gravity_and_date() {
    let mut engine = with_confirmed();
    let because = key(2, 7);
    let ban = |engine: &mut Engine| engine.ban(because, Severity::High, 3 * DAY_MS);
    assert_eq!(ban(&mut engine), Err(BanError::NotConfirmed));
    close(&mut engine, because, Outcome::Confirmed);
    let notice = ban(&mut engine).expect("confirmed");
    assert_eq!(ban(&mut engine), Err(BanError::BannedAlready));
    let told = serde_json::to_string(&notice).expect("it is JSON");
    assert_eq!(
        told,
        r#"{"reason":"DUPLICATE_IDENTITY","severity":"HIGH","since_ms":259200000}"#
    );
    let own = engine.bans().get(Affiliate(2)).expect("it is banned");
    assert_eq!(own.because(), Some(because));
    // Somebody with the same account asks another merchant.
    assert_eq!(engine.bans().notices(&enrolment(3, 300, 500)), [notice]);
    assert_eq!(engine.bans().notices(&enrolment(3, 300, 501)), []);
}

#[test]
fn who_comes_back_under_another_name_is_held_at_once_at_every_merchant() {
    let mut engine = with_confirmed();
    close(&mut engine, key(2, 7), Outcome::Confirmed);
    engine
        .ban(key(2, 7), Severity::Medium, 2 * DAY_MS)
        .expect("confirmed");
    join(&mut engine, &enrolment(3, 300, 500), 8);
    join(&mut engine, &enrolment(4, 400, 600), 8);
    // The banned one changes its account, and that one is known then, too; also behind a restart.
    engine.apply(&Event::Enrolment(enrolment(2, 100, 777)));
    let mut engine = Engine::restore(&engine.save()).expect("saved by this version");
    assert_eq!(engine.bans().notices(&enrolment(9, 900, 777)).len(), 1);
    let (_, effects) = engine.assess(3 * DAY_MS);
    assert!(effects.contains(&Effect::Held(3, key(3, 8))), "{effects:?}");
    assert!(!engine.flags().contains_key(&key(4, 8)));
}

#[test]
fn a_lifted_ban_is_told_to_nobody_and_marks_nobody_new() {
    let mut engine = with_confirmed();
    close(&mut engine, key(2, 7), Outcome::Confirmed);
    engine
        .ban(key(2, 7), Severity::Low, 2 * DAY_MS)
        .expect("confirmed");
    join(&mut engine, &enrolment(3, 300, 500), 8);
    assert_eq!(engine.lift_ban(Affiliate(2)), Ok(()));
    assert_eq!(engine.lift_ban(Affiliate(2)), Err(BanError::NotBanned));
    assert_eq!(engine.bans().notices(&enrolment(9, 900, 500)), []);
    let (assessment, effects) = engine.assess(3 * DAY_MS);
    assert!(!effects.contains(&Effect::Held(3, key(3, 8))));
    let evidence = assessment
        .verdicts
        .iter()
        .find(|verdict| verdict.pair == key(3, 8).pair)
        .map(|verdict| verdict.evidence[0].counted);
    assert_eq!(
        evidence,
        Some(0.0),
        "an account in common, with nobody banned"
    );
    // A ban of the alliance itself has no case behind it.
    engine.apply(&Event::Ban(Affiliate(4), 9));
    engine.apply(&Event::Ban(Affiliate(4), 10));
    let notice = engine.bans().get(Affiliate(4)).map(|ban| ban.notice());
    assert!(notice.is_some_and(|notice| notice.reason.is_none() && notice.since_ms == 9));
}
