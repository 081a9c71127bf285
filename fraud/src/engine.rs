//! The whole: events in, flags and holds out.
//!
//! A fold: state is a function of the events, the instants of assessment and the versions of the rules, and of nothing else.
//! An event costs about a microsecond, an assessment some microseconds per pair. Saved and read again it goes on byte for byte.

mod banned;
mod weigh;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    act::{Bans, CaseError, Flag, FlagKey, Kept, Mode, Outcome, Rules},
    event::{Affiliate, Conversion, Event},
    features::{AHEAD, Features, Limits, Link, LinkKind, Pair},
    learn::Learner,
    points::{Points, PointsLimits, PointsRules},
    rules::Rulebook,
    typology::Typology,
    verdict::{Assessment, Band, Context, Evidence, History, Signal, Verdict, assess},
};

/// Version of the saved state's form; another one is refused, and the events are replayed.
const FORMAT: u32 = 2;

/// What happens to a conversion's commission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Effect {
    /// It waits, because of this flag.
    Held(u64, FlagKey),
    /// It waits no longer.
    Released(u64),
}

/// Bytes that are no saved state of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "these bytes are no saved state of the fraud module of this version; replay the events instead"
)]
pub struct NotAState;

/// State of the fraud module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Engine {
    rules: Rules,
    features: Features,
    history: History,
    context: Context,
    flags: BTreeMap<FlagKey, Flag>,
    /// What the last assessment would have flagged, had it been surer.
    noticed: BTreeSet<FlagKey>,
    /// Conversions whose commission has not locked, and those that wait, by number: as many as merchants signed.
    book: BTreeMap<u64, Kept>,
    links: BTreeMap<Affiliate, BTreeSet<Link>>,
    /// When each enrolled.
    affiliates: BTreeMap<Affiliate, i64>,
    rulebook: Rulebook,
    learner: Learner,
    bans: Bans,
    points: Points,
}

impl Engine {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(limits: Limits, rules: Rules) -> Self {
        Self {
            rules,
            features: Features::new(limits),
            history: History::default(),
            context: Context::default(),
            flags: BTreeMap::new(),
            noticed: BTreeSet::new(),
            book: BTreeMap::new(),
            links: BTreeMap::new(),
            affiliates: BTreeMap::new(),
            rulebook: Rulebook::default(),
            learner: Learner::default(),
            bans: Bans::default(),
            points: Points::new(PointsLimits::default(), PointsRules::default()),
        }
    }

    /// Another version of the rules is in force from here on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes an event in; a conversion's commission may have to wait.
    pub fn apply(&mut self, event: &Event) -> Option<Effect> {
        match event {
            Event::Touch(touch) => self.features.touch(touch),
            Event::Conversion(conversion) => return self.conversion(conversion),
            Event::Refusal(refusal) => self.features.refusal(refusal),
            Event::Return(back) => {
                self.features.back(back);
                if let Some(kept) = self.book.get_mut(&back.conversion) {
                    kept.returned |= back.whole;
                }
            }
            Event::Enrolment(enrolment) => {
                self.affiliates
                    .entry(enrolment.affiliate)
                    .or_insert(enrolment.at_ms);
                self.bans.extend(enrolment);
                let links = self.features.enrolment(enrolment);
                self.link(links);
            }
            Event::Ban(affiliate, at_ms) => self.ban_by_alliance(*affiliate, *at_ms),
        }
        None
    }

    /// Takes events in, as [`Self::apply`] does one after the other, in less than half the time: it looks ahead.
    pub fn apply_all(&mut self, events: &[Event]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for block in events.chunks(AHEAD) {
            self.features.look_ahead(block);
            effects.extend(block.iter().filter_map(|event| self.apply(event)));
        }
        effects
    }

    fn conversion(&mut self, conversion: &Conversion) -> Option<Effect> {
        let (own, shared_payment) = self.features.conversion(conversion);
        let mut kept = Kept::new(conversion, own, shared_payment);
        let because = self
            .flags_of(kept.pair)
            .find(|(key, flag)| kept.waits_for(key, flag, true))
            .map(|(key, _)| *key);
        kept.held = because.is_some();
        self.book.insert(conversion.id, kept);
        because.map(|key| Effect::Held(conversion.id, key))
    }

    fn flags_of(&self, pair: Pair) -> impl Iterator<Item = (&FlagKey, &Flag)> {
        let key = |typology| FlagKey { pair, typology };
        self.flags
            .range(key(Typology::DeclaredBot)..=key(Typology::LowQuality))
    }

    fn link(&mut self, links: Vec<Link>) {
        for link in links.into_iter().filter(|link| !link.declared) {
            self.links.entry(link.affiliate).or_default().insert(link);
        }
    }

    /// Judges everybody at an instant; what waits from now on. Call it once a day.
    pub fn assess(&mut self, at_ms: i64) -> (Assessment, Vec<Effect>) {
        // What waits may come to wait for another flag when the first one was wrong, whatever its lock date.
        self.book
            .retain(|_, kept| kept.held || kept.locks_ms > at_ms);
        let flagged: BTreeSet<Affiliate> = self
            .flags
            .iter()
            .filter(|(_, flag)| flag.case.may_hold())
            .map(|(key, _)| key.pair.affiliate)
            .collect();
        let mut assessment = assess(
            &self.features,
            &mut self.history,
            at_ms,
            &self.rules.thresholds,
            &flagged,
        );
        let mut verdicts = self.identity_verdicts(at_ms);
        verdicts.append(&mut assessment.verdicts);
        let rows = self.weigh(&mut verdicts, &assessment.context, at_ms);
        self.raise(&verdicts, at_ms);
        self.remember(&rows, at_ms);
        assessment.verdicts = verdicts;
        self.context = assessment.context.clone();
        let effects = self.hold();
        (assessment, effects)
    }

    /// Affiliates that have too much in common with another one, at each of their merchants.
    fn identity_verdicts(&self, at_ms: i64) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if self.links.is_empty() {
            return verdicts;
        }
        let pairs = self.features.pairs(at_ms);
        for (affiliate, links) in &self.links {
            let band = identity_band(links);
            let kinds: BTreeSet<LinkKind> = links.iter().map(|link| link.kind).collect();
            let evidence = Evidence {
                signal: Signal::Linked,
                observed: kinds.len() as f64,
                expected: 0.0,
                counted: links.iter().filter(|link| link.banned).count() as f64,
                change: None,
                p_value: 0.0,
            };
            let start = pairs.partition_point(|(pair, _)| pair.affiliate < *affiliate);
            verdicts.extend(
                pairs[start..]
                    .iter()
                    .take_while(|(pair, _)| pair.affiliate == *affiliate)
                    .map(|(pair, _)| Verdict {
                        pair: *pair,
                        typology: Typology::DuplicateIdentity,
                        band,
                        p_value: 0.0,
                        share: 1.0,
                        time_bins: 0,
                        evidence: vec![evidence],
                        named: Vec::new(),
                    }),
            );
        }
        verdicts
    }

    /// Raises flags, no more new affiliates than the budget allows, the surest first.
    fn raise(&mut self, verdicts: &[Verdict], at_ms: i64) {
        let all = self.affiliates.len() as u64;
        let budget = (all * u64::from(self.rules.alert_budget_bps)).div_ceil(10_000) as usize;
        // One whose case ended well was flagged before: it takes nothing of the budget.
        let known: BTreeSet<Affiliate> = self.flags.keys().map(|key| key.pair.affiliate).collect();
        let mut new: BTreeSet<Affiliate> = BTreeSet::new();
        let mut sure: BTreeSet<FlagKey> = BTreeSet::new();
        let mut noticed: BTreeSet<FlagKey> = BTreeSet::new();
        for verdict in verdicts {
            let mode = self.rules.mode(verdict.typology);
            let band = verdict.overall();
            if band < Band::Flag || mode == Mode::Shadow {
                continue;
            }
            let key = FlagKey {
                pair: verdict.pair,
                typology: verdict.typology,
            };
            // What is less than sure must be found twice in a row: many honest affiliates have one odd day.
            if band < Band::Hold && verdict.band >= Band::Flag && !self.flags.contains_key(&key) {
                noticed.insert(key);
                if !self.noticed.contains(&key) {
                    continue;
                }
            }
            let affiliate = verdict.pair.affiliate;
            if !known.contains(&affiliate) && !new.contains(&affiliate) {
                if new.len() >= budget {
                    continue;
                }
                new.insert(affiliate);
            }
            let rules = self.rules.version;
            let flag = self.flags.entry(key).or_insert_with(|| Flag {
                raised_ms: at_ms,
                holding_since_ms: None,
                verdict: verdict.clone(),
                holders: Default::default(),
                sure: 0,
                rules,
                case: Default::default(),
            });
            if !flag.case.is_awake(at_ms) {
                continue;
            }
            flag.again(verdict.clone());
            if band == Band::Hold && mode == Mode::Hold {
                sure.insert(key);
                flag.sure = flag.sure.saturating_add(1);
                let exact = verdict.typology == Typology::DuplicateIdentity;
                if flag.holding_since_ms.is_none() && (exact || flag.sure >= self.rules.hold_after)
                {
                    flag.holding_since_ms = Some(at_ms);
                }
                if flag.holding_since_ms.is_some() {
                    flag.hold(verdict);
                }
            }
        }
        self.noticed = noticed;
        for (key, flag) in &mut self.flags {
            if !sure.contains(key) {
                flag.sure = 0;
            }
        }
    }

    /// Lets everything wait that a holding flag covers and that has not locked.
    fn hold(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let holding: BTreeSet<Pair> = self
            .flags
            .iter()
            .filter(|(_, flag)| flag.is_holding())
            .map(|(key, _)| key.pair)
            .collect();
        // The first of several purchases with one means of payment shows as shared only with the second.
        let shared: BTreeSet<(Pair, u64)> = self
            .book
            .values()
            .filter(|kept| kept.shared_payment && holding.contains(&kept.pair))
            .map(|kept| (kept.pair, kept.payment))
            .collect();
        for kept in self.book.values_mut() {
            kept.shared_payment |= shared.contains(&(kept.pair, kept.payment));
        }
        let found: Vec<(u64, FlagKey)> = self
            .book
            .iter()
            .filter(|(_, kept)| !kept.held && holding.contains(&kept.pair))
            .filter_map(|(id, kept)| {
                self.flags_of(kept.pair)
                    .find(|(key, flag)| kept.waits_for(key, flag, true))
                    .map(|(key, _)| (*id, *key))
            })
            .collect();
        for (id, key) in found {
            if let Some(kept) = self.book.get_mut(&id) {
                kept.held = true;
                effects.push(Effect::Held(id, key));
            }
        }
        effects
    }

    /// A person takes a flag's case.
    ///
    /// # Errors
    /// When there is no such flag, or the case does not allow it.
    pub fn take_case(&mut self, key: FlagKey) -> Result<(), CaseError> {
        self.flag_mut(key)?.case.take()
    }

    /// A person closes a flag's case; what waits no longer: that which no other flag holds.
    ///
    /// # Errors
    /// When there is no such flag, or the case does not allow it.
    pub fn close_case(
        &mut self,
        key: FlagKey,
        outcome: Outcome,
        at_ms: i64,
    ) -> Result<Vec<Effect>, CaseError> {
        self.flag_mut(key)?.case.close(outcome, at_ms)?;
        self.learner.decide(key.pair, key.typology, outcome, at_ms);
        let released: Vec<u64> = self
            .book
            .iter()
            .filter(|(_, kept)| kept.held && kept.pair == key.pair)
            .filter(|(_, kept)| {
                !self
                    .flags_of(kept.pair)
                    .any(|(key, flag)| kept.waits_for(key, flag, false))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in &released {
            if let Some(kept) = self.book.get_mut(id) {
                kept.held = false;
            }
        }
        Ok(released.into_iter().map(Effect::Released).collect())
    }

    /// The affiliate appeals against a confirmed case.
    ///
    /// # Errors
    /// When there is no such flag, or the case does not allow it.
    pub fn appeal(&mut self, key: FlagKey, at_ms: i64) -> Result<(), CaseError> {
        self.flag_mut(key)?.case.appeal(at_ms)?;
        if self.outcomes().get(&key.pair) != Some(&true) {
            self.learner.reopen(key.pair);
        }
        Ok(())
    }

    /// A flag is not raised again before an instant, in milliseconds UTC.
    ///
    /// # Errors
    /// When there is no such flag.
    pub fn snooze(&mut self, key: FlagKey, until_ms: i64) -> Result<(), CaseError> {
        self.flag_mut(key)?.case.snooze(until_ms);
        Ok(())
    }

    fn flag_mut(&mut self, key: FlagKey) -> Result<&mut Flag, CaseError> {
        self.flags.get_mut(&key).ok_or(CaseError::NoSuchFlag)
    }

    /// The version of the rules that is in force.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The flag for which a conversion waits, of those whose commission has not locked.
    #[must_use]
    pub fn waits_for(&self, conversion: u64) -> Option<FlagKey> {
        let kept = self.book.get(&conversion).filter(|kept| kept.held)?;
        self.flags_of(kept.pair)
            .find(|(key, flag)| kept.waits_for(key, flag, false))
            .map(|(key, _)| *key)
    }

    /// A conversion that waited is decided for good.
    pub fn forget(&mut self, conversion: u64) {
        self.book.remove(&conversion);
    }

    /// All flags.
    #[must_use]
    pub const fn flags(&self) -> &BTreeMap<FlagKey, Flag> {
        &self.flags
    }

    /// A conversion whose commission has not locked.
    #[must_use]
    pub fn kept(&self, conversion: u64) -> Option<&Kept> {
        self.book.get(&conversion)
    }

    /// All features.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// The scorer of points messages: apart from affiliates, and saved with the rest.
    pub const fn points_mut(&mut self) -> &mut Points {
        &mut self.points
    }

    /// What a pair shows now, against what was usual at the last assessment.
    #[must_use]
    pub fn judge(&self, pair: Pair, at_ms: i64) -> Vec<Evidence> {
        let vertical = self.features.identities().vertical(pair.affiliate);
        self.features
            .pair(pair, at_ms)
            .map(|profile| self.context.judge(pair, &profile, &self.history, vertical))
            .unwrap_or_default()
    }

    /// The state as bytes: the same state gives the same bytes. (Writing to memory does not fail; were it to, the empty bytes
    /// would be refused by [`Self::restore`].)
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(FORMAT, self)).unwrap_or_default()
    }

    /// The state from bytes.
    ///
    /// # Errors
    /// When the bytes are no saved state of this version.
    pub fn restore(bytes: &[u8]) -> Result<Self, NotAState> {
        let (format, bytes): (u32, _) = postcard::take_from_bytes(bytes).map_err(|_| NotAState)?;
        if format != FORMAT {
            return Err(NotAState);
        }
        let (mut engine, rest): (Self, _) =
            postcard::take_from_bytes(bytes).map_err(|_| NotAState)?;
        if !rest.is_empty() || !engine.features.reindex() {
            return Err(NotAState);
        }
        engine.context.rebuild();
        Ok(engine)
    }
}

/// How sure it is that an affiliate is somebody else too.
fn identity_band(links: &BTreeSet<Link>) -> Band {
    let mut with: BTreeMap<Affiliate, BTreeSet<LinkKind>> = BTreeMap::new();
    for link in links {
        with.entry(link.with).or_default().insert(link.kind);
    }
    // Two things in common are no coincidence, nor is the account or identity of somebody banned.
    let banned = |link: &Link| link.banned && link.kind != LinkKind::Device;
    if links.iter().any(banned) || with.values().any(|kinds| kinds.len() >= 2) {
        Band::Hold
    } else if links.iter().any(|link| link.banned)
        || with
            .values()
            .any(|kinds| kinds.contains(&LinkKind::Identity))
    {
        Band::Flag
    } else {
        Band::Watch
    }
}
