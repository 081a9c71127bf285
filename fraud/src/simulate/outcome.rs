//! Compares what was flagged and held with what is true.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    day::{DAY_MS, Sink},
    report::{Missed, Report, SchemeReport, Totals, Wrong},
    world::{Fraud, Scheme, World},
};
use crate::{
    engine::{Effect, Engine},
    event::{Affiliate as AffiliateId, Merchant},
    features::{Pair, mix},
    typology::Typology,
};

/// What happened, for counting.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) events: u64,
    /// When each conversion began to wait.
    held: BTreeMap<u64, i64>,
}

impl Outcome {
    pub(super) fn note(&mut self, effect: Option<Effect>, at_ms: i64) {
        match effect {
            Some(Effect::Held(id, _)) => {
                self.held.entry(id).or_insert(at_ms);
            }
            Some(Effect::Released(id)) => {
                self.held.remove(&id);
            }
            None => {}
        }
    }

    pub(super) fn report(&self, world: &World, engine: &Engine, sink: &Sink) -> Report {
        let view = View {
            world,
            engine,
            flagged: flagged(engine),
        };
        let schemes: Vec<SchemeReport> = Scheme::all()
            .into_iter()
            .map(|scheme| SchemeReport {
                bad_commission_held_before_lock: self.commission(&view, sink, |s| s == scheme)[0],
                ..view.scheme(scheme)
            })
            .collect();
        let bad = view.flagged.keys().filter(|a| view.fraud(**a).is_some());
        let bad = bad.count();
        let honest = world.affiliates.iter().filter(|a| a.fraud.is_none());
        let honest = honest.count();
        let honest_held: BTreeSet<u32> = self
            .held
            .keys()
            .map(|id| sink.truth[*id as usize].affiliate)
            .filter(|affiliate| view.fraud(*affiliate).is_none())
            .collect();
        let [bad_held, honest_part_held] = self
            .commission(&view, sink, |_| true)
            .map(Option::unwrap_or_default);
        let recalls = || schemes.iter().map(|scheme| scheme.recall);
        Report {
            seed: world.seed,
            events: self.events,
            all: Totals {
                macro_recall: recalls().sum::<f64>() / schemes.len() as f64,
                precision: bad as f64 / view.flagged.len().max(1) as f64,
                honest_ever_held: honest_held.len() as f64 / honest.max(1) as f64,
                bad_commission_held_before_lock: bad_held,
                worst_scheme_recall: recalls().fold(1.0, f64::min),
                their_honest_commission_held: honest_part_held,
                honest_ever_flagged: view.flagged.len() - bad,
            },
            schemes,
            wrong: view.wrong(&honest_held),
            missed: view.missed(),
            digest: self.digest(engine),
        }
    }

    /// Of those who play some schemes, the part of the schemes' commission that waited before its lock date, and of their honest one.
    fn commission(
        &self,
        view: &View<'_>,
        sink: &Sink,
        is_of: impl Fn(Scheme) -> bool,
    ) -> [Option<f64>; 2] {
        let mut sums = [(0.0, 0.0); 2];
        for (id, truth) in sink.truth.iter().enumerate() {
            let Some(fraud) = view
                .fraud(truth.affiliate)
                .filter(|fraud| is_of(fraud.scheme))
            else {
                continue;
            };
            let alias = fraud.scheme == Scheme::Named(Typology::DuplicateIdentity);
            let sum = &mut sums[usize::from(!(truth.bad || alias))];
            let commission = truth.commission_micros as f64;
            sum.1 += commission;
            let held = self.held.get(&(id as u64));
            if held.is_some_and(|at_ms| *at_ms < truth.locks_ms) {
                sum.0 += commission;
            }
        }
        sums.map(|(some, all)| (all > 0.0).then(|| some / all))
    }

    /// A number that any difference of flags or holds changes.
    fn digest(&self, engine: &Engine) -> String {
        let flags = postcard::to_stdvec(engine.flags()).unwrap_or_default();
        let bytes = flags.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let holds = self
            .held
            .iter()
            .flat_map(|(id, at_ms)| [*id, *at_ms as u64]);
        let digest = bytes.chain(holds).fold(0, |sum, word| mix(sum ^ word));
        format!("{digest:016x}")
    }
}

/// When each affiliate was first flagged with each scheme, in milliseconds UTC.
fn flagged(engine: &Engine) -> BTreeMap<u32, BTreeMap<Typology, i64>> {
    let mut flagged: BTreeMap<u32, BTreeMap<Typology, i64>> = BTreeMap::new();
    for (key, flag) in engine.flags() {
        let first = flagged
            .entry(key.pair.affiliate.0)
            .or_default()
            .entry(key.typology)
            .or_insert(flag.raised_ms);
        *first = flag.raised_ms.min(*first);
    }
    flagged
}

/// The truth beside the flags.
struct View<'a> {
    world: &'a World,
    engine: &'a Engine,
    flagged: BTreeMap<u32, BTreeMap<Typology, i64>>,
}

impl View<'_> {
    fn fraud(&self, affiliate: u32) -> Option<&Fraud> {
        self.world
            .affiliates
            .get(affiliate as usize)?
            .fraud
            .as_ref()
    }

    fn players(&self) -> impl Iterator<Item = (u32, &Fraud)> {
        (0..self.world.affiliates.len() as u32)
            .filter_map(|affiliate| Some((affiliate, self.fraud(affiliate)?)))
    }

    /// When one who cheats was first flagged: with the scheme's own name, or any where the scheme adapts.
    fn found_ms(&self, affiliate: u32, scheme: Scheme) -> Option<i64> {
        let found = self.flagged.get(&affiliate)?;
        match scheme {
            Scheme::Named(typology) => found.get(&typology).copied(),
            Scheme::Throttled | Scheme::HonestTimes => found.values().min().copied(),
        }
    }

    fn scheme(&self, scheme: Scheme) -> SchemeReport {
        let players = || self.players().filter(|(_, fraud)| fraud.scheme == scheme);
        let days: Vec<f64> = players()
            .filter_map(|(affiliate, fraud)| {
                let at_ms = self.found_ms(affiliate, scheme)?;
                Some(at_ms as f64 / DAY_MS as f64 - f64::from(fraud.onset))
            })
            .collect();
        let named: Vec<u32> = match scheme {
            Scheme::Named(typology) => self
                .flagged
                .iter()
                .filter(|(_, found)| found.contains_key(&typology))
                .map(|(affiliate, _)| *affiliate)
                .collect(),
            Scheme::Throttled | Scheme::HonestTimes => Vec::new(),
        };
        let part = |is_right: &dyn Fn(&Fraud) -> bool| {
            let right = named
                .iter()
                .filter(|a| self.fraud(**a).is_some_and(is_right));
            (!named.is_empty()).then(|| right.count() as f64 / named.len() as f64)
        };
        SchemeReport {
            name: scheme.name(),
            recall: days.len() as f64 / players().count().max(1) as f64,
            precision: part(&|_| true),
            days_to_flag: (!days.is_empty()).then(|| days.iter().sum::<f64>() / days.len() as f64),
            rightly_named: part(&|fraud| fraud.scheme == scheme),
            bad_commission_held_before_lock: None,
            affiliates: players().count(),
        }
    }

    fn wrong(&self, held: &BTreeSet<u32>) -> Vec<Wrong> {
        let flags = self.engine.flags().iter();
        flags
            .filter(|(key, _)| self.fraud(key.pair.affiliate.0).is_none())
            .map(|(key, flag)| Wrong {
                affiliate: key.pair.affiliate.0,
                merchant: key.pair.merchant.0,
                scheme: key.typology,
                held: held.contains(&key.pair.affiliate.0),
                evidence: flag
                    .verdict
                    .evidence
                    .iter()
                    .map(|found| format!("{found} (p {:.0e})", found.p_value))
                    .collect(),
            })
            .collect()
    }

    /// What is odd about an affiliate on the last day.
    fn odd(&self, affiliate: u32) -> Vec<String> {
        let now_ms = i64::from(self.world.scale.days) * DAY_MS;
        let merchants = &self.world.affiliates[affiliate as usize].merchants;
        merchants
            .iter()
            .flat_map(|(merchant, _)| {
                let pair = Pair {
                    affiliate: AffiliateId(affiliate),
                    merchant: Merchant(*merchant),
                };
                self.engine.judge(pair, now_ms)
            })
            .filter(|found| found.p_value < 0.05)
            .map(|found| format!("{found} (p {:.0e})", found.p_value))
            .collect()
    }

    fn missed(&self) -> Vec<Missed> {
        self.players()
            .filter(|(affiliate, fraud)| self.found_ms(*affiliate, fraud.scheme).is_none())
            .map(|(affiliate, fraud)| Missed {
                affiliate,
                scheme: fraud.scheme.name(),
                onset_day: fraud.onset,
                contamination: fraud.contamination,
                evidence: self.odd(affiliate),
                flagged_as: self
                    .flagged
                    .get(&affiliate)
                    .map(|found| found.keys().copied().collect())
                    .unwrap_or_default(),
            })
            .collect()
    }
}
