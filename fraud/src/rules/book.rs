//! The rules of a hub: which are saved, which run, and which switched themselves off.
//!
//! Owns versions, previews, counters and the switch. A rule that finds far more affiliates than its preview let expect goes to
//! SHADOW before anything comes of it: what waits for it stays until a person decides, nothing new waits.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    feature::Row,
    history::{DAY_MS, HISTORY_DAYS, History},
    preview::{Preview, preview},
    rule::{Draft, Hit, Rule, RuleError, RuleVersion},
};
use crate::{act::Mode, event::Affiliate, features::Pair, typology::Typology, verdict::Band};

/// Nothing explodes below so many affiliates.
const LEAST: f64 = 20.0;
/// So many times what the preview lets expect at most is an explosion.
const TIMES: f64 = 5.0;
/// A rule that finds more than this part of all affiliates, and more than its preview, finds no scheme.
const LARGEST_SHARE: f64 = 0.1;
/// Below so many affiliates, a share of all says nothing.
const LEAST_OF_ALL: f64 = 5.0;

/// Why a rule is not switched on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SwitchError {
    /// No rule of the name.
    #[error("there is no rule of this name; save it first")]
    NoSuchRule,
    /// Another version was saved since.
    #[error("this is not the version that was saved last; look at the newest one and its preview")]
    OtherVersion,
    /// It was not measured.
    #[error("this version has no preview; make one and look at it before switching the rule on")]
    NoPreview,
    /// It was measured too long ago.
    #[error(
        "the preview is older than a day, or than the last time the rule was switched off; make a new one"
    )]
    OldPreview,
    /// There are too few days to measure it on.
    #[error(
        "the preview covers {0} days of 30; until there are more, switch the rule on in SHADOW only"
    )]
    ShortHistory(u32),
    /// It fails on some rows.
    #[error(
        "the expression has no value for {0} rows of the preview; mend it, for example with a condition before a division"
    )]
    Fails(u64),
    /// It does not run.
    #[error("the rule is not switched on")]
    NotOn,
}

/// Why and when a rule was switched off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwitchedOff {
    /// When, in milliseconds UTC.
    pub at_ms: i64,
    /// In words: by whom, or what it found and what was expected.
    pub reason: String,
    /// It switched itself off.
    pub by_itself: bool,
}

/// Whether a rule runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum RuleState {
    /// It was never switched on.
    #[default]
    Saved,
    /// It runs in its mode, since an instant in milliseconds UTC.
    On(i64),
    /// It runs in SHADOW whatever its mode.
    Off(SwitchedOff),
}

/// What a rule found since it was switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Assessments that it took part in.
    pub assessments: u64,
    /// Pairs for which it said FLAG or HOLD, over all assessments.
    pub hits: u64,
    /// Affiliates that it found at the last assessment.
    pub affiliates_last: u32,
}

/// A rule with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// The version that was saved last.
    saved: Rule,
    preview: Option<Preview>,
    /// The version that runs, and the preview that it was switched on with.
    running: Option<(Rule, Preview)>,
    state: RuleState,
    counters: Counters,
}

/// What a running rule says of a pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) pair: Pair,
    pub(crate) typology: Typology,
    pub(crate) hit: Hit,
}

/// All rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rulebook {
    entries: BTreeMap<String, Entry>,
    pub(crate) history: History,
}

impl Rulebook {
    /// Keeps so many rows a day for previews; what was kept is forgotten.
    pub(crate) fn keep(&mut self, rows_per_day: u32) {
        self.history = History::new(rows_per_day);
    }

    /// Saves a draft: a new version of the rule of its name, or the same one where nothing changed. What runs goes on running.
    ///
    /// # Errors
    /// [`RuleError`]: what is wrong with it, and where.
    pub fn save(&mut self, draft: Draft) -> Result<RuleVersion, RuleError> {
        let last = self.entries.get(&draft.name);
        if let Some(entry) = last.filter(|entry| *entry.saved.draft() == draft) {
            return Ok(entry.saved.version());
        }
        let number = last.map_or(0, |entry| entry.saved.version().number) + 1;
        let rule = Rule::check(draft, number)?;
        let version = rule.version();
        match self.entries.get_mut(rule.name()) {
            Some(entry) => {
                entry.saved = rule;
                entry.preview = None;
            }
            None => {
                let entry = Entry {
                    saved: rule,
                    preview: None,
                    running: None,
                    state: RuleState::Saved,
                    counters: Counters::default(),
                };
                self.entries.insert(entry.saved.name().to_owned(), entry);
            }
        }
        Ok(version)
    }

    /// Measures the version that was saved last.
    pub(crate) fn preview(
        &mut self,
        name: &str,
        outcomes: &BTreeMap<Pair, bool>,
        at_ms: i64,
    ) -> Result<Preview, SwitchError> {
        let entry = self.entries.get_mut(name).ok_or(SwitchError::NoSuchRule)?;
        let made = preview(&entry.saved, &self.history, outcomes, at_ms);
        entry.preview = Some(made.clone());
        Ok(made)
    }

    /// Switches a version on in its mode.
    ///
    /// # Errors
    /// [`SwitchError`]: it is not the last version, or was not measured as it must be.
    pub fn switch_on(
        &mut self,
        name: &str,
        version: RuleVersion,
        at_ms: i64,
    ) -> Result<(), SwitchError> {
        let entry = self.entries.get_mut(name).ok_or(SwitchError::NoSuchRule)?;
        if entry.saved.version() != version {
            return Err(SwitchError::OtherVersion);
        }
        let preview = entry.preview.as_ref().ok_or(SwitchError::NoPreview)?;
        let off_ms = match &entry.state {
            RuleState::Off(off) => off.at_ms,
            RuleState::Saved | RuleState::On(_) => i64::MIN,
        };
        if at_ms - preview.at_ms > DAY_MS || preview.at_ms < off_ms {
            return Err(SwitchError::OldPreview);
        }
        if preview.failed > 0 {
            return Err(SwitchError::Fails(preview.failed));
        }
        if i64::from(preview.days) < HISTORY_DAYS && entry.saved.draft().mode != Mode::Shadow {
            return Err(SwitchError::ShortHistory(preview.days));
        }
        entry.running = Some((entry.saved.clone(), preview.clone()));
        entry.state = RuleState::On(at_ms);
        entry.counters = Counters::default();
        Ok(())
    }

    /// Switches a rule off: it goes on in SHADOW.
    ///
    /// # Errors
    /// [`SwitchError`]: there is no such rule, or it is not on.
    pub fn switch_off(
        &mut self,
        name: &str,
        at_ms: i64,
        reason: String,
    ) -> Result<(), SwitchError> {
        let entry = self.entries.get_mut(name).ok_or(SwitchError::NoSuchRule)?;
        match entry.state {
            RuleState::On(_) => {
                entry.state = RuleState::Off(SwitchedOff {
                    at_ms,
                    reason,
                    by_itself: false,
                });
                Ok(())
            }
            RuleState::Saved | RuleState::Off(_) => Err(SwitchError::NotOn),
        }
    }

    /// Runs the rules over the rows of an assessment: what those that are on in FLAG or HOLD say, and the names of those that
    /// switched themselves off.
    pub(crate) fn run(&mut self, rows: &[Row], at_ms: i64) -> (Vec<Found>, Vec<String>) {
        let mut found = Vec::new();
        let mut off = Vec::new();
        let all: BTreeSet<Affiliate> = rows.iter().map(|row| row.pair.affiliate).collect();
        for (name, entry) in &mut self.entries {
            let Some((rule, preview)) = &entry.running else {
                continue;
            };
            let mut said = Vec::new();
            let mut failed = 0_u64;
            for row in rows {
                match rule.evaluate(row) {
                    Ok(Some(hit)) if hit.band >= Band::Flag => said.push((row.pair, hit)),
                    Ok(_) => {}
                    Err(_) => failed += 1,
                }
            }
            let affiliates: BTreeSet<Affiliate> =
                said.iter().map(|(pair, _)| pair.affiliate).collect();
            entry.counters.assessments += 1;
            entry.counters.hits += said.len() as u64;
            entry.counters.affiliates_last = affiliates.len() as u32;
            if !matches!(entry.state, RuleState::On(_)) {
                continue;
            }
            if let Some(reason) = explosion(affiliates.len(), all.len(), failed, preview) {
                entry.state = RuleState::Off(SwitchedOff {
                    at_ms,
                    reason,
                    by_itself: true,
                });
                off.push(name.clone());
                continue;
            }
            let mode = rule.draft().mode;
            if mode == Mode::Shadow {
                continue;
            }
            found.extend(said.into_iter().map(|(pair, mut hit)| {
                if mode == Mode::Flag {
                    hit.band = Band::Flag;
                }
                Found {
                    pair,
                    typology: rule.draft().typology,
                    hit,
                }
            }));
        }
        (found, off)
    }

    /// Whether there is anything to do at an assessment.
    pub(crate) fn is_used(&self) -> bool {
        self.history.is_on() || self.entries.values().any(|entry| entry.running.is_some())
    }

    /// All rules, by name: the version that was saved last, and the state of the one that runs.
    pub fn iter(&self) -> impl Iterator<Item = (&Rule, &RuleState, Counters)> {
        self.entries
            .values()
            .map(|entry| (&entry.saved, &entry.state, entry.counters))
    }

    /// The state of a rule.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&RuleState> {
        self.entries.get(name).map(|entry| &entry.state)
    }

    /// The version that runs, if any, with the preview that it was switched on with.
    #[must_use]
    pub fn running(&self, name: &str) -> Option<(&Rule, &Preview)> {
        let (rule, preview) = self.entries.get(name)?.running.as_ref()?;
        Some((rule, preview))
    }
}

/// Why what a rule found is no scheme, if so.
fn explosion(affiliates: usize, all: usize, failed: u64, preview: &Preview) -> Option<String> {
    if failed > 0 {
        return Some(format!(
            "the expression has no value for {failed} pairs; it had one for every row of its preview"
        ));
    }
    let (found, upper) = (affiliates as f64, preview.affiliates_upper);
    let limit = LEAST.max(TIMES * upper);
    let part = LEAST_OF_ALL.max(LARGEST_SHARE * all as f64);
    let limit = if found > limit {
        limit
    } else if found > part && found > upper {
        part
    } else {
        return None;
    };
    Some(format!(
        "it found {affiliates} of {all} affiliates in one assessment; its preview found {upper:.0} a day at most, and more than {limit:.0} switch it off"
    ))
}
