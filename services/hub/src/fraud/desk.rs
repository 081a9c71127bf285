//! The keeper of flags: the fraud module's state, flags by number, and what waits for which of them.
//!
//! A fold: what it is follows from the traffic, the runs and the decisions in the log, in their order, and from nothing else. It moves no
//! money itself; it says which conversions wait, go on or are forfeited, and the ledger decides that in the same entry.

use std::collections::BTreeMap;

use hansa_fraud::{
    Effect, Engine, Event,
    act::{APPEAL_MS, CaseStatus, Flag, FlagKey, Outcome, Rules},
    features::Limits,
    verdict::Verdict,
};
use hansa_proto::v1::{self, CommissionDecision, commission_decision::Decision};
use hansa_settlement::Pos;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{
    points::{PointsDesk, Seen},
    traffic::{Cursor, HOUR_MS, Taken},
    wire,
};
use crate::{error::HubError, registry::Registry};

/// Version of the saved form; another one is not read, and the log is followed from its beginning.
const FORMAT: u32 = 1;

/// Rows of features that are kept of a day, for previews of rules.
const ROWS_PER_DAY: u32 = 2_000;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// What is kept of a flag beside its verdict and case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Numbered {
    /// What it is about.
    pub key: FlagKey,
    /// Whether the log has that it holds.
    holds: bool,
    /// Who closed its case last.
    pub closed_by: String,
    /// Why.
    pub note: String,
    /// The affiliate's words.
    pub appeal: String,
}

/// A conversion that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// For which flag.
    pub flag: u64,
    /// Since when, in milliseconds UTC.
    pub since_ms: i64,
    /// Its commission when it was accepted, micro-units.
    pub micros: i64,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Runs so far.
    pub runs: u64,
    /// Traffic before this instant is in it, in milliseconds UTC.
    pub until_ms: i64,
    /// Leading entries of the log that are in it.
    pub tree_size: u64,
    /// Touches in all.
    pub touches: u64,
    /// When everybody was judged last.
    pub assessed_ms: Option<i64>,
    /// Events since then.
    unassessed: u64,
}

/// What a run or a decision comes to for one conversion.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// For the ledger.
    pub decision: CommissionDecision,
    /// The flag behind it.
    pub flag: u64,
    /// Whose flag it is.
    pub affiliate: u32,
}

/// All of them, in order.
pub type Steps = Vec<Step>;

/// The state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Desk {
    pub(super) engine: Engine,
    pub(super) flags: Vec<Numbered>,
    pub(super) numbers: BTreeMap<FlagKey, u64>,
    pub(super) held: BTreeMap<u64, Held>,
    points: PointsDesk,
    progress: Progress,
}

/// A hub's memory for traffic: as much as is needed, and not more than this.
fn limits() -> Limits {
    Limits::default()
}

/// The digest by which the log names a verdict.
pub fn evidence_sha256(verdict: &Verdict) -> Result<Vec<u8>, HubError> {
    let json = serde_json::to_vec(verdict).map_err(HubError::internal)?;
    Ok(digest(&SHA256, &json).as_ref().to_vec())
}

impl Desk {
    /// Before all traffic, which begins at this instant.
    pub fn new(begins_ms: i64) -> Self {
        let mut engine = Engine::new(limits(), Rules::default());
        engine.keep_history(ROWS_PER_DAY);
        Self {
            engine,
            flags: Vec::new(),
            numbers: BTreeMap::new(),
            held: BTreeMap::new(),
            points: PointsDesk::default(),
            progress: Progress {
                runs: 0,
                until_ms: begins_ms,
                tree_size: 0,
                touches: 0,
                assessed_ms: None,
                unassessed: 0,
            },
        }
    }

    /// How far it has come.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where the next run begins.
    pub const fn cursor(&self) -> Cursor {
        Cursor {
            ms: self.progress.until_ms,
            seq: self.progress.tree_size,
        }
    }

    /// The fraud module's state.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A flag by its number.
    pub fn flag(&self, number: u64) -> Option<(&Numbered, &Flag)> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        let numbered = self.flags.get(at)?;
        Some((numbered, self.engine.flags().get(&numbered.key)?))
    }

    /// All flags with their numbers, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (u64, &Numbered, &Flag)> {
        let count = self.flags.len() as u64;
        (1..=count).rev().filter_map(|number| {
            let (numbered, flag) = self.flag(number)?;
            Some((number, numbered, flag))
        })
    }

    /// What waits for a flag, oldest first.
    pub fn held_for(&self, number: u64) -> impl Iterator<Item = (Pos, &Held)> {
        self.held
            .iter()
            .filter(move |(_, held)| held.flag == number)
            .map(|(conversion, held)| (Pos(*conversion), held))
    }

    /// Everything that waits.
    pub const fn held(&self) -> &BTreeMap<u64, Held> {
        &self.held
    }

    /// Flags on messages of points.
    pub const fn points(&self) -> &PointsDesk {
        &self.points
    }

    /// Whether something may come to wait before everybody is judged again.
    pub fn is_holding(&self) -> bool {
        self.engine.flags().values().any(Flag::is_holding)
    }

    /// Whether everybody is to be judged at an instant: at midnight, where there is something new.
    pub const fn is_due(&self, until_ms: i64, taken: &Taken) -> bool {
        until_ms % DAY_MS == 0 && self.progress.unassessed + taken.events > 0
    }

    /// What is forfeited at an instant: confirmed, not to be appealed against any more, and waiting for as long as an appeal takes
    /// where it came behind the outcome.
    pub fn forfeited(&self, at_ms: i64) -> Vec<u64> {
        let is_over = |held: &Held| {
            let Some((_, flag)) = self.flag(held.flag) else {
                return false;
            };
            let CaseStatus::Closed(Outcome::Confirmed, closed_ms) = flag.case.status() else {
                return false;
            };
            flag.case.forfeits(at_ms)
                && (held.since_ms <= closed_ms || at_ms - held.since_ms >= APPEAL_MS)
        };
        self.held
            .iter()
            .filter(|(_, held)| is_over(held))
            .map(|(conversion, _)| *conversion)
            .collect()
    }

    /// Ends a run whose traffic the engine took, with what came of that.
    pub fn run(
        &mut self,
        registry: &Registry,
        taken: &Taken,
        mut effects: Vec<Effect>,
        (assess, scored): (bool, bool),
    ) -> Result<(v1::FraudRun, Steps), HubError> {
        let until_ms = taken.end.ms;
        if assess {
            let (_, more) = self.engine.assess(until_ms);
            effects.extend(more);
            self.progress.assessed_ms = Some(until_ms);
            self.progress.unassessed = 0;
        } else {
            self.progress.unassessed += taken.events;
        }
        self.points.forget(until_ms);
        self.progress.runs += 1;
        self.progress.until_ms = until_ms;
        self.progress.tree_size = taken.end.seq;
        self.progress.touches += taken.touches;
        let mut verdicts = Vec::new();
        let flags: Vec<(FlagKey, bool)> = self
            .engine
            .flags()
            .iter()
            .map(|(key, flag)| (*key, flag.is_holding()))
            .collect();
        for (key, holds) in flags {
            let next = self.flags.len() as u64 + 1;
            let number = *self.numbers.entry(key).or_insert(next);
            let is_new = number == next;
            if is_new {
                self.flags.push(Numbered {
                    key,
                    holds: false,
                    closed_by: String::new(),
                    note: String::new(),
                    appeal: String::new(),
                });
            }
            let known = &mut self.flags[number as usize - 1];
            let begins = holds && !known.holds;
            known.holds = holds;
            if is_new || begins {
                verdicts.push(self.said(registry, number)?);
            }
        }
        let mut steps = Steps::new();
        for effect in effects {
            self.take_effect(effect, until_ms, &mut steps);
        }
        for conversion in self.forfeited(until_ms) {
            if let Some(held) = self.held.remove(&conversion) {
                self.engine.forget(conversion);
                let reverse = Decision::Reverse(v1::CommissionReason::FraudConfirmed.into());
                steps.push(self.step(conversion, held.flag, reverse));
            }
        }
        let run = v1::FraudRun {
            run_number: self.progress.runs,
            until: Some(crate::convert::timestamp(until_ms.saturating_mul(1_000))),
            tree_size: taken.end.seq,
            touches: taken.touches,
            touches_sha256: taken.touches_sha256.to_vec(),
            assessed: assess,
            rules_version: self.engine.rules().version,
            verdicts,
            state_sha256: self.digest()?.to_vec(),
            points_scored: scored,
            points_messages: taken.points,
        };
        Ok((run, steps))
    }

    fn said(&self, registry: &Registry, number: u64) -> Result<v1::FraudVerdict, HubError> {
        let (numbered, flag) = self
            .flag(number)
            .ok_or_else(|| HubError::internal(format!("no flag {number}")))?;
        let pair = numbered.key.pair;
        Ok(v1::FraudVerdict {
            flag_number: number,
            affiliate_id: super::slug(registry, pair.affiliate.0),
            merchant_id: super::slug(registry, pair.merchant.0),
            scheme: wire::scheme(numbered.key.typology).into(),
            band: wire::band(flag.verdict.overall()).into(),
            holds: flag.is_holding(),
            evidence_sha256: evidence_sha256(&flag.verdict)?,
        })
    }

    fn take_effect(&mut self, effect: Effect, at_ms: i64, steps: &mut Steps) {
        match effect {
            Effect::Held(conversion, key) => {
                let Some(flag) = self.numbers.get(&key).copied() else {
                    return;
                };
                let micros = self
                    .engine
                    .kept(conversion)
                    .map_or(0, |kept| kept.commission_micros);
                let held = Held {
                    flag,
                    since_ms: at_ms,
                    micros,
                };
                let before = self.held.insert(conversion, held);
                steps.push(self.step(conversion, flag, Decision::HoldForFlag(flag)));
                // It waits for one flag at a time.
                if let Some(before) = before.filter(|before| before.flag != flag) {
                    let release = Decision::ReleaseFromFlag(before.flag);
                    steps.push(self.step(conversion, before.flag, release));
                }
            }
            Effect::Released(conversion) => {
                if let Some(held) = self.held.remove(&conversion) {
                    let release = Decision::ReleaseFromFlag(held.flag);
                    steps.push(self.step(conversion, held.flag, release));
                }
            }
        }
    }

    /// A step about a conversion, because of a flag.
    pub(super) fn step(&self, conversion: u64, flag: u64, decision: Decision) -> Step {
        let pos = Pos(conversion);
        let known = self.flag(flag);
        Step {
            decision: CommissionDecision {
                leaf_index: pos.seq(),
                entry_position: pos.index(),
                decision: Some(decision),
            },
            flag,
            affiliate: known.map_or(u32::MAX, |(numbered, _)| numbered.key.pair.affiliate.0),
        }
    }

    /// Takes traffic in; what comes of it.
    pub fn take(&mut self, events: &[Event], points: &[Seen]) -> Vec<Effect> {
        self.points.take(&mut self.engine, points);
        self.engine.apply_all(events)
    }

    /// SHA-256 of the state.
    pub fn digest(&self) -> Result<[u8; 32], HubError> {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &self.save()?).as_ref());
        Ok(sha256)
    }

    /// The state as bytes: the same state gives the same bytes.
    pub fn save(&self) -> Result<Vec<u8>, HubError> {
        let rest = (
            &self.flags,
            &self.numbers,
            &self.held,
            &self.points,
            &self.progress,
        );
        postcard::to_stdvec(&(FORMAT, self.engine.save(), rest)).map_err(HubError::internal)
    }

    /// The state from bytes; `None`: they are of another version.
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        let (format, bytes): (u32, _) = postcard::take_from_bytes(bytes).ok()?;
        if format != FORMAT {
            return None;
        }
        let (engine, (flags, numbers, held, points, progress)): (Vec<u8>, _) =
            postcard::from_bytes(bytes).ok()?;
        Some(Self {
            engine: Engine::restore(&engine).ok()?,
            flags,
            numbers,
            held,
            points,
            progress,
        })
    }
}
