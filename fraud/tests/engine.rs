//! The engine over simulated traffic, through its public interface.

use std::collections::{BTreeMap, BTreeSet};

use hansa_fraud::{
    Effect, Engine, Event, NotAState, Typology,
    act::{CaseError, FlagKey, Mode, Outcome, Rules},
    features::Limits,
    simulate::{Scale, Traffic},
};

const SCALE: Scale = Scale {
    affiliates: 90,
    merchants: 4,
    days: 34,
    per_scheme: 1,
};
const DAY_MS: i64 = 86_400_000;

const LIMITS: Limits = Limits {
    pairs: 1_000,
    prefixes: 2_000,
    devices: 4_000,
    recent: 1 << 12,
};

/// Rules that may flag a tenth of these few affiliates a day.
fn rules() -> Rules {
    Rules {
        alert_budget_bps: 1_000,
        ..Rules::default()
    }
}

fn traffic() -> Vec<(i64, Vec<Event>)> {
    Traffic::new(1, SCALE).collect()
}

/// Plays a day; the effects in their order.
fn play(engine: &mut Engine, (end_ms, events): &(i64, Vec<Event>)) -> Vec<Effect> {
    let mut effects: Vec<Effect> = events
        .iter()
        .filter_map(|event| engine.apply(event))
        .collect();
    effects.extend(engine.assess(*end_ms).1);
    effects
}

#[test]
fn a_restart_in_the_middle_changes_no_flag_no_hold_and_no_byte() {
    let days = traffic();
    let mut through = Engine::new(LIMITS, rules());
    let mut restarted = Engine::new(LIMITS, rules());
    let mut held = 0;
    for (number, day) in days.iter().enumerate() {
        let effects = play(&mut through, day);
        assert_eq!(play(&mut restarted, day), effects, "day {number}");
        held += effects.len();
        if number % 11 == 10 {
            let saved = restarted.save();
            restarted = Engine::restore(&saved).expect("saved by this version");
            assert!(restarted.save() == saved, "day {number}");
        }
    }
    assert!(!through.flags().is_empty() && held > 0);
    assert_eq!(through.flags(), restarted.flags());
    assert!(through.save() == restarted.save());
    let (key, _) = through.flags().iter().next().expect("there are flags");
    let now_ms = i64::from(SCALE.days) * DAY_MS;
    assert_eq!(
        through.judge(key.pair, now_ms),
        restarted.judge(key.pair, now_ms)
    );
}

#[test]
fn batches_of_any_size_give_what_one_event_after_the_other_gives() {
    // Too small for the traffic: what is looked ahead at is given up before its turn comes.
    let limits = Limits {
        pairs: 120,
        prefixes: 150,
        devices: 200,
        recent: 1 << 8,
    };
    let mut single = Engine::new(limits, rules());
    let mut batched = Engine::new(limits, rules());
    let mut sizes = [1, 2, 63, 64, 65, 127, 128, 129, 1_000, 7]
        .into_iter()
        .cycle();
    for (number, (end_ms, events)) in traffic().iter().take(24).enumerate() {
        let mut effects: Vec<Effect> = vec![];
        let mut rest = &events[..];
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(1).min(rest.len());
            let (batch, behind) = rest.split_at(size);
            effects.extend(batched.apply_all(batch));
            rest = behind;
        }
        let one_by_one = events.iter().filter_map(|event| single.apply(event));
        assert_eq!(effects, one_by_one.collect::<Vec<_>>(), "day {number}");
        assert_eq!(batched.assess(*end_ms).1, single.assess(*end_ms).1);
        assert!(batched.save() == single.save(), "day {number}");
        if number % 5 == 4 {
            batched = Engine::restore(&batched.save()).expect("saved by this version");
        }
    }
    let given_up = single.features().tables().map(|(_, table)| table.evicted());
    assert!(given_up.iter().all(|evicted| *evicted > 0), "{given_up:?}");
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let mut saved = Engine::new(LIMITS, rules()).save();
    assert!(Engine::restore(&saved).is_ok());
    saved.push(0);
    assert_eq!(Engine::restore(&saved).err(), Some(NotAState));
    saved.truncate(saved.len() - 2);
    assert_eq!(Engine::restore(&saved).err(), Some(NotAState));
    assert_eq!(Engine::restore(b"").err(), Some(NotAState));
}

#[test]
fn holds_belong_to_holding_flags_and_end_with_the_outcome_unless_another_flag_holds() {
    let days = traffic();
    let mut engine = Engine::new(LIMITS, rules());
    let mut held: BTreeMap<u64, FlagKey> = BTreeMap::new();
    let mut known: BTreeSet<u32> = BTreeSet::new();
    for day in &days {
        for effect in play(&mut engine, day) {
            if let Effect::Held(id, key) = effect {
                assert!(engine.flags()[&key].is_holding());
                assert!(held.insert(id, key).is_none(), "held once");
            }
        }
        let now: BTreeSet<u32> = engine
            .flags()
            .keys()
            .map(|key| key.pair.affiliate.0)
            .collect();
        // A tenth of 90 affiliates and the names that one of them had before.
        assert!(now.difference(&known).count() <= 10, "the alert budget");
        known = now;
    }
    let waits = |engine: &Engine, id: u64| engine.kept(id).is_some_and(|kept| kept.held);
    let key = *held.values().next_back().expect("something waits");
    let of_flag: Vec<u64> = held
        .iter()
        .filter(|(id, because)| **because == key && waits(&engine, **id))
        .map(|(id, _)| *id)
        .collect();
    let now_ms = i64::from(SCALE.days) * DAY_MS;
    assert_eq!(
        engine.close_case(key, Outcome::FalsePositive, now_ms),
        Err(CaseError::NotInvestigating)
    );
    engine.take_case(key).expect("the case is pending");
    let released = engine
        .close_case(key, Outcome::FalsePositive, now_ms)
        .expect("the case is taken");
    for id in &of_flag {
        let other = waits(&engine, *id);
        assert_eq!(released.contains(&Effect::Released(*id)), !other);
    }
    assert!(!released.is_empty());
    // Found wrong, it holds nothing again.
    let (_, effects) = engine.assess(now_ms);
    let again = effects
        .iter()
        .any(|effect| matches!(effect, Effect::Held(_, because) if *because == key));
    assert!(!again);
    let nobody = FlagKey {
        typology: Typology::LowQuality,
        ..key
    };
    assert_eq!(engine.take_case(nobody), Err(CaseError::NoSuchFlag));
}

#[test]
fn in_shadow_nobody_is_flagged_and_nothing_waits() {
    let mut rules = rules();
    rules.modes = Typology::ALL
        .map(|typology| (typology, Mode::Shadow))
        .into();
    let mut engine = Engine::new(LIMITS, rules);
    let mut seen = 0;
    for (end_ms, events) in Traffic::new(3, SCALE) {
        assert!(events.iter().all(|event| engine.apply(event).is_none()));
        let (assessment, effects) = engine.assess(end_ms);
        seen += assessment.verdicts.len();
        assert_eq!(effects, []);
    }
    assert!(seen > 0, "verdicts are still counted");
    assert!(engine.flags().is_empty());
    let [_, (_, prefixes), (_, devices)] = engine.features().tables();
    assert_eq!((prefixes.len(), devices.len()), (2_000, 4_000));
    assert!(prefixes.evicted() > 0 && devices.evicted() > 0);
}
