//! What rules and the learned scorer add to the verdicts of an assessment.

use std::collections::BTreeMap;

use super::Engine;
use crate::{
    act::{CaseStatus, Outcome},
    event::Affiliate,
    features::Pair,
    learn::{Learner, Learning},
    rules::{Draft, Preview, Row, RuleError, RuleVersion, Rulebook, Subject, SwitchError},
    typology::Typology,
    verdict::{Band, Context, Named, Verdict},
};

impl Engine {
    /// Keeps the feature rows of the last 30 days, at most so many a day, for previews of rules; 0: none.
    pub fn keep_history(&mut self, rows_per_day: u32) {
        self.rulebook.keep(rows_per_day);
    }

    /// Saves a rule; see [`Rulebook::save`].
    ///
    /// # Errors
    /// [`RuleError`]: what is wrong with it, and where.
    pub fn save_rule(&mut self, draft: Draft) -> Result<RuleVersion, RuleError> {
        self.rulebook.save(draft)
    }

    /// Measures the last version of a rule on the rows of the last 30 days and the outcomes of their cases.
    ///
    /// # Errors
    /// [`SwitchError::NoSuchRule`].
    pub fn preview_rule(&mut self, name: &str, at_ms: i64) -> Result<Preview, SwitchError> {
        let outcomes = self.outcomes();
        self.rulebook.preview(name, &outcomes, at_ms)
    }

    /// The same for a look, which is not kept.
    ///
    /// # Errors
    /// [`SwitchError::NoSuchRule`].
    pub fn measure_rule(&self, name: &str, at_ms: i64) -> Result<Preview, SwitchError> {
        self.rulebook.clone().preview(name, &self.outcomes(), at_ms)
    }

    /// Switches a version of a rule on; see [`Rulebook::switch_on`].
    ///
    /// # Errors
    /// [`SwitchError`]: it is not the last version, or was not measured as it must be.
    pub fn switch_rule_on(
        &mut self,
        name: &str,
        version: RuleVersion,
        at_ms: i64,
    ) -> Result<(), SwitchError> {
        self.rulebook.switch_on(name, version, at_ms)
    }

    /// Measures the last version of a rule again and switches it on, where it is the one that somebody looked at; otherwise
    /// nothing changes.
    ///
    /// # Errors
    /// [`SwitchError`]: it is not the last version, or does not measure as it must.
    pub fn measure_and_switch_on(
        &mut self,
        name: &str,
        version: &str,
        at_ms: i64,
    ) -> Result<(), SwitchError> {
        let mut rulebook = self.rulebook.clone();
        let preview = rulebook.preview(name, &self.outcomes(), at_ms)?;
        if preview.version.to_string() != version {
            return Err(SwitchError::OtherVersion);
        }
        rulebook.switch_on(name, preview.version, at_ms)?;
        self.rulebook = rulebook;
        Ok(())
    }

    /// Switches a rule off: what waits for it stays until a person decides, nothing new waits.
    ///
    /// # Errors
    /// [`SwitchError`]: there is no such rule, or it is not on.
    pub fn switch_rule_off(
        &mut self,
        name: &str,
        at_ms: i64,
        reason: String,
    ) -> Result<(), SwitchError> {
        self.rulebook.switch_off(name, at_ms, reason)?;
        self.freeze(&[name.to_owned()]);
        Ok(())
    }

    /// All rules.
    #[must_use]
    pub const fn rulebook(&self) -> &Rulebook {
        &self.rulebook
    }

    /// How the learned scorer takes part; `None`: not at all.
    pub fn set_learning(&mut self, settings: Option<Learning>) {
        self.learner.set(settings);
    }

    /// The learned scorer.
    #[must_use]
    pub const fn learner(&self) -> &Learner {
        &self.learner
    }

    /// What reviews said of pairs: true where a case was confirmed, false where none was and one was closed as no fraud.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Pair, bool> {
        let mut outcomes = BTreeMap::new();
        for (key, flag) in &self.flags {
            match flag.case.status() {
                CaseStatus::Closed(Outcome::Confirmed, _) => {
                    outcomes.insert(key.pair, true);
                }
                CaseStatus::Closed(Outcome::Valuable | Outcome::FalsePositive, _) => {
                    outcomes.entry(key.pair).or_insert(false);
                }
                CaseStatus::Closed(Outcome::InsufficientEvidence, _)
                | CaseStatus::Pending
                | CaseStatus::Investigating => {}
            }
        }
        outcomes
    }

    /// Adds to the verdicts what rules and scorer say; the rows that they looked at. Without any of them it does nothing.
    pub(super) fn weigh(
        &mut self,
        verdicts: &mut Vec<Verdict>,
        context: &Context,
        at_ms: i64,
    ) -> Vec<Row> {
        if !self.rulebook.is_used() && self.learner.settings().is_none() {
            return Vec::new();
        }
        let mut rows = self.rows(context, at_ms);
        let scores = if self.learner.learn(at_ms) {
            self.learner.scores(&rows)
        } else {
            Vec::new()
        };
        for (row, score) in rows.iter_mut().zip(&scores) {
            row.set_score(*score);
        }
        self.rulebook.history.push(at_ms, &rows);
        let (found, off) = self.rulebook.run(&rows, at_ms);
        self.freeze(&off);
        let by_rules = found
            .into_iter()
            .map(|found| (found.pair, found.typology, Named::Rule(found.hit)))
            .collect();
        add(verdicts, by_rules);
        let mut by_score = Vec::new();
        for (row, score) in rows.iter().zip(scores) {
            if let Some((scored, typology)) = self.learner.say(row, score) {
                let own = verdicts
                    .iter()
                    .find(|verdict| verdict.pair == row.pair && verdict.overall() >= Band::Flag);
                // It is one more piece of evidence for what others found; else it names the scheme itself.
                let typology = own.map_or(typology, |verdict| verdict.typology);
                by_score.push((row.pair, typology, Named::Score(scored)));
            }
        }
        add(verdicts, by_score);
        rows
    }

    /// Remembers how pairs looked when they were flagged.
    pub(super) fn remember(&mut self, rows: &[Row], at_ms: i64) {
        if rows.is_empty() {
            return;
        }
        let pairs = self
            .flags
            .iter()
            .filter(|(_, flag)| flag.raised_ms == at_ms)
            .map(|(key, _)| key.pair)
            .collect();
        self.learner.flagged(&pairs, rows, at_ms);
    }

    /// Nothing new waits for these rules.
    fn freeze(&mut self, rules: &[String]) {
        for flag in self.flags.values_mut() {
            for name in rules {
                if let Some(hold) = flag.holders.rules.get_mut(name) {
                    hold.frozen = true;
                }
            }
        }
    }

    /// The features of all pairs, by pair.
    fn rows(&self, context: &Context, at_ms: i64) -> Vec<Row> {
        let mut open: BTreeMap<Pair, (i64, BTreeMap<Typology, i64>)> = BTreeMap::new();
        for kept in self.book.values().filter(|kept| kept.locks_ms > at_ms) {
            let (all, by_scheme) = open.entry(kept.pair).or_default();
            *all = all.saturating_add(kept.commission_micros);
            for typology in Typology::ALL {
                if kept.shows(typology) {
                    let sum = by_scheme.entry(typology).or_insert(0);
                    *sum = sum.saturating_add(kept.commission_micros);
                }
            }
        }
        let pairs = self.features.pairs(at_ms);
        let mut merchants: BTreeMap<Affiliate, u32> = BTreeMap::new();
        for (pair, _) in &pairs {
            *merchants.entry(pair.affiliate).or_insert(0) += 1;
        }
        let nothing = (0, BTreeMap::new());
        pairs
            .iter()
            .map(|(pair, profile)| {
                let site_kind = self.features.identities().vertical(pair.affiliate);
                let evidence = context.judge(*pair, profile, &self.history, site_kind);
                let (open_micros, by_scheme) = open.get(pair).unwrap_or(&nothing);
                let by_scheme: Vec<(Typology, i64)> = by_scheme
                    .iter()
                    .map(|(of, micros)| (*of, *micros))
                    .collect();
                let links = self.links.get(&pair.affiliate);
                let enrolled = self.affiliates.get(&pair.affiliate);
                Row::read(&Subject {
                    pair: *pair,
                    at_ms,
                    profile,
                    evidence: &evidence,
                    site_kind,
                    age_ms: enrolled.map_or(0, |enrolled_ms| at_ms - enrolled_ms),
                    merchants: merchants.get(&pair.affiliate).copied().unwrap_or(0),
                    linked: links.is_some_and(|links| !links.is_empty()),
                    linked_banned: links.is_some_and(|links| links.iter().any(|link| link.banned)),
                    open_micros: *open_micros,
                    open_by_scheme: &by_scheme,
                    score: 0.0,
                })
            })
            .collect()
    }
}

/// Puts named evidence to the verdict of its pair and scheme; where there is none, it is one of its own, behind those of the
/// statistics.
fn add(verdicts: &mut Vec<Verdict>, said: Vec<(Pair, Typology, Named)>) {
    let mut places: BTreeMap<(Pair, Typology), usize> = verdicts
        .iter()
        .enumerate()
        .map(|(at, verdict)| ((verdict.pair, verdict.typology), at))
        .collect();
    for (pair, typology, named) in said {
        match places.get(&(pair, typology)) {
            Some(at) => verdicts[*at].named.push(named),
            // What is no more than WATCH and stands alone is kept to itself.
            None if named.band() < Band::Flag => {}
            None => {
                places.insert((pair, typology), verdicts.len());
                verdicts.push(Verdict {
                    pair,
                    typology,
                    band: Band::Clear,
                    p_value: 1.0,
                    share: 0.0,
                    time_bins: 0,
                    evidence: Vec::new(),
                    named: vec![named],
                });
            }
        }
    }
}
