//! Plays a world through the engine, one assessment a day.

use super::{
    day::{DAY_MS, Scene, Sink, owner_device, token},
    outcome::Outcome,
    report::Report,
    rng::Rng,
    world::{Scale, Scheme, World},
};
use crate::{
    act::Rules,
    engine::Engine,
    event::{Affiliate, Enrolment, Event},
    features::Limits,
    typology::Typology,
};

/// A world's events, day by day. It is the same for the same seed and scale.
pub struct Traffic {
    world: World,
    sink: Sink,
    day: u32,
}

impl Traffic {
    /// The world of a seed, before its first day.
    #[must_use]
    pub fn new(seed: u64, scale: Scale) -> Self {
        let world = World::new(seed, scale);
        let mut sink = Sink {
            days: vec![Vec::new(); scale.days as usize],
            truth: Vec::new(),
        };
        enrol(&world, &mut sink);
        Self {
            world,
            sink,
            day: 0,
        }
    }
}

impl Iterator for Traffic {
    /// The end of the day in milliseconds UTC, and its events in order of time.
    type Item = (i64, Vec<Event>);

    fn next(&mut self) -> Option<Self::Item> {
        let day = self.day;
        if day >= self.world.scale.days {
            return None;
        }
        for (number, affiliate) in self.world.affiliates.iter().enumerate() {
            for (merchant, part) in &affiliate.merchants {
                let scene = Scene::new(&self.world, number as u32, *merchant, day);
                scene.play(*part, &mut self.sink);
            }
        }
        self.day += 1;
        let mut events = std::mem::take(&mut self.sink.days[day as usize]);
        events.sort_by_key(Event::at_ms);
        Some((i64::from(self.day) * DAY_MS, events))
    }
}

/// Plays the world of a seed and reports.
#[must_use]
pub fn report(seed: u64, scale: Scale) -> Report {
    let mut traffic = Traffic::new(seed, scale);
    let mut engine = Engine::new(limits(), Rules::default());
    let mut outcome = Outcome::default();
    for (end_ms, events) in traffic.by_ref() {
        outcome.events += events.len() as u64;
        for event in &events {
            outcome.note(engine.apply(event), event.at_ms());
        }
        let (_, effects) = engine.assess(end_ms);
        for effect in effects {
            outcome.note(Some(effect), end_ms);
        }
    }
    outcome.report(&traffic.world, &engine, &traffic.sink)
}

/// Smaller than the traffic: what is forgotten must not matter.
const fn limits() -> Limits {
    Limits {
        pairs: 8_000,
        prefixes: 50_000,
        devices: 100_000,
        recent: 1 << 14,
    }
}

/// Everybody enrols, most of them before the first day.
fn enrol(world: &World, sink: &mut Sink) {
    let mut rng = Rng::new(world.seed, 2);
    let count = world.affiliates.len() as u64;
    for (number, affiliate) in world.affiliates.iter().enumerate() {
        let own = number as u64;
        let mut enrolment = Enrolment {
            at_ms: i64::from(affiliate.enrols) * DAY_MS,
            affiliate: Affiliate(number as u32),
            vertical: affiliate.vertical,
            payout: token(20, own),
            identity: token(21, own),
            mail: token(22, own),
            devices: owner_device(number as u32).into_iter().collect(),
            group: None,
        };
        match &affiliate.fraud {
            Some(fraud) if fraud.scheme == Scheme::Named(Typology::DuplicateIdentity) => {
                // Somebody who was banned yesterday, or is still here under the other name.
                let old = count + own;
                let banned = rng.chance(0.7);
                let mut before = enrolment.clone();
                before.at_ms = 0;
                before.affiliate = Affiliate(old as u32);
                before.payout = token(20, old);
                before.identity = token(21, old);
                before.mail = token(22, old);
                before.devices = owner_device(old as u32).into_iter().collect();
                let keep = 0.3 + 0.7 * fraud.contamination;
                let kept: Vec<bool> = (0..4).map(|_| rng.chance(keep)).collect();
                let first = rng.below(4) as usize;
                let keeps = |at: usize| kept[at] || at == first;
                if keeps(0) {
                    enrolment.payout = before.payout;
                }
                if keeps(1) {
                    enrolment.identity = before.identity;
                }
                if keeps(2) {
                    enrolment.mail = before.mail;
                }
                if keeps(3) {
                    enrolment.devices.clone_from(&before.devices);
                }
                let gone = before.affiliate;
                sink.put(Event::Enrolment(before));
                if banned {
                    sink.put(Event::Ban(gone, enrolment.at_ms - DAY_MS));
                }
            }
            // Sister sites: most declare their common owner, some only share the account, some share an office.
            _ if rng.chance(0.02) && number > 0 => {
                let sister = rng.below(own);
                enrolment.payout = token(20, sister);
            }
            _ if rng.chance(0.01) && number > 0 => {
                enrolment
                    .devices
                    .extend(owner_device(rng.below(own) as u32));
            }
            _ => {}
        }
        sink.put(Event::Enrolment(enrolment));
    }
}
