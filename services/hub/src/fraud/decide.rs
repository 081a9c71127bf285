//! Steps of people: cases, appeals, bans, rules and modes. Each is checked where it takes its place, live and when the log is followed
//! again, by the same code.

use hansa_fraud::{
    Affiliate,
    act::{CaseStatus, FlagKey, Outcome},
    learn::Learning,
    rules::Draft,
};
use hansa_proto::v1::{self, commission_decision, fraud_decision::Decision};

use super::{
    desk::{Desk, Steps},
    wire,
};
use crate::{
    convert::micros,
    error::{HubError, Reason},
    registry::Registry,
};

/// What a step came to.
#[derive(Debug, Default)]
pub struct Decided {
    /// For the ledger.
    pub steps: Steps,
    /// The version of a rule that was saved.
    pub rule_version: String,
}

fn refused(why: impl std::fmt::Display) -> HubError {
    HubError::new(Reason::FailedPrecondition, why.to_string())
}

fn required(field: &str, why: &str) -> HubError {
    HubError::field(field, "REQUIRED", why)
}

impl Desk {
    fn key(&self, number: u64) -> Result<FlagKey, HubError> {
        let found = self.flag(number);
        found.map(|(numbered, _)| numbered.key).ok_or_else(|| {
            HubError::not_found(format!(
                "flag {number}; list the flags and name one of them"
            ))
        })
    }

    /// Carries a decision of the log out. A refused one changes nothing.
    pub fn decide(
        &mut self,
        registry: &Registry,
        decided: &v1::FraudDecided,
        actor: &str,
    ) -> Result<Decided, HubError> {
        let at_ms = decided.time.as_ref().map_or(0, micros).div_euclid(1_000);
        if decided.appeal_flag_number != 0 {
            self.appeal(registry, decided, actor, at_ms)?;
            return Ok(Decided::default());
        }
        let decision = decided
            .decision
            .as_ref()
            .and_then(|decision| decision.decision.as_ref())
            .ok_or_else(|| required("decision", "say what is decided"))?;
        let mut made = Decided::default();
        match decision {
            Decision::TakeCase(take) => {
                let key = self.key(take.flag_number)?;
                self.engine.take_case(key).map_err(refused)?;
            }
            Decision::CloseCase(close) => made.steps = self.close(close, decided, at_ms)?,
            Decision::Snooze(snooze) => {
                let key = self.key(snooze.flag_number)?;
                let until = snooze.until.as_ref().map(micros);
                let until = until.ok_or_else(|| required("decision.snooze.until", "until when"))?;
                let until_ms = until.div_euclid(1_000);
                self.engine.snooze(key, until_ms).map_err(refused)?;
            }
            Decision::Ban(ban) => {
                let key = self.key(ban.flag_number)?;
                let severity = wire::read_severity(ban.severity())
                    .ok_or_else(|| required("decision.ban.severity", "LOW, MEDIUM or HIGH"))?;
                self.engine.ban(key, severity, at_ms).map_err(refused)?;
            }
            Decision::LiftBan(lift) => {
                let number = registry.merchant(&lift.affiliate_id);
                let number = number.ok_or_else(|| {
                    HubError::not_found(format!("affiliate \"{}\"", lift.affiliate_id))
                })?;
                self.engine.lift_ban(Affiliate(number)).map_err(refused)?;
            }
            Decision::SetMode(set) => self.set_mode(*set)?,
            Decision::SaveRule(save) => {
                let draft = read_rule(&save.toml)?;
                let version = self.engine.save_rule(draft).map_err(|error| {
                    HubError::field("decision.save_rule.toml", "RULE", error.to_string())
                })?;
                made.rule_version = version.to_string();
            }
            Decision::SwitchRuleOn(switch) => self
                .engine
                .measure_and_switch_on(&switch.name, &switch.version, at_ms)
                .map_err(refused)?,
            Decision::SwitchRuleOff(switch) => {
                let reason = format!("{}: {}", decided.holder, decided.note);
                self.engine
                    .switch_rule_off(&switch.name, at_ms, reason)
                    .map_err(refused)?;
            }
            Decision::SetScorer(set) => {
                let mode = v1::FraudMode::try_from(set.mode)
                    .map_err(|_| required("decision.set_scorer.mode", "SHADOW, FLAG, HOLD or 0"))?;
                let settings = wire::read_mode(mode).map(|mode| Learning {
                    mode,
                    ..Learning::default()
                });
                self.engine.set_learning(settings);
            }
        }
        Ok(made)
    }

    fn appeal(
        &mut self,
        registry: &Registry,
        decided: &v1::FraudDecided,
        actor: &str,
        at_ms: i64,
    ) -> Result<(), HubError> {
        let number = decided.appeal_flag_number;
        let key = self.key(number)?;
        let who = crate::authority::merchant_of(actor).and_then(|slug| registry.merchant(slug));
        if who != Some(key.pair.affiliate.0) {
            return Err(HubError::not_found(format!("flag {number} on you")));
        }
        self.engine.appeal(key, at_ms).map_err(refused)?;
        self.flags[number as usize - 1]
            .appeal
            .clone_from(&decided.note);
        Ok(())
    }

    fn close(
        &mut self,
        close: &v1::fraud_decision::CloseCase,
        decided: &v1::FraudDecided,
        at_ms: i64,
    ) -> Result<Steps, HubError> {
        let number = close.flag_number;
        let key = self.key(number)?;
        let outcome = wire::read_outcome(close.outcome()).ok_or_else(|| {
            let outcomes = "CONFIRMED, VALUABLE, FALSE_POSITIVE or INSUFFICIENT_EVIDENCE";
            required("decision.close_case.outcome", outcomes)
        })?;
        let appealed = self.flag(number).is_some_and(|(numbered, flag)| {
            flag.case.appealed_ms().is_some()
                && flag.case.status() == CaseStatus::Investigating
                && numbered.closed_by == decided.holder
        });
        if appealed {
            return Err(refused(format!(
                "{} closed the case before the appeal; somebody else rules on the appeal",
                decided.holder
            )));
        }
        self.engine
            .close_case(key, outcome, at_ms)
            .map_err(refused)?;
        let numbered = &mut self.flags[number as usize - 1];
        numbered.closed_by.clone_from(&decided.holder);
        numbered.note.clone_from(&decided.note);
        if outcome == Outcome::Confirmed {
            return Ok(Steps::new());
        }
        let mut steps = Steps::new();
        let waiting: Vec<u64> = self.held_for(number).map(|(pos, _)| pos.0).collect();
        for conversion in waiting {
            // Another flag may have the same conversion: it goes on waiting, for that one.
            let other = self.engine.waits_for(conversion);
            let other = other.and_then(|key| self.numbers.get(&key).copied());
            let other = other.filter(|other| *other != number);
            if let Some(other) = other {
                let hold = commission_decision::Decision::HoldForFlag(other);
                steps.push(self.step(conversion, other, hold));
                if let Some(held) = self.held.get_mut(&conversion) {
                    held.flag = other;
                    // It waits for that one since now: its affiliate has all of the time to appeal.
                    held.since_ms = at_ms;
                }
            } else {
                self.held.remove(&conversion);
            }
            let release = commission_decision::Decision::ReleaseFromFlag(number);
            steps.push(self.step(conversion, number, release));
        }
        Ok(steps)
    }

    fn set_mode(&mut self, set: v1::fraud_decision::SetMode) -> Result<(), HubError> {
        let scheme = wire::typology(set.scheme())
            .ok_or_else(|| required("decision.set_mode.scheme", "name a scheme"))?;
        let mode = wire::read_mode(set.mode())
            .ok_or_else(|| required("decision.set_mode.mode", "SHADOW, FLAG or HOLD"))?;
        let mut rules = self.engine.rules().clone();
        rules.modes.insert(scheme, mode);
        rules.version += 1;
        self.engine.set_rules(rules);
        Ok(())
    }
}

/// A rule as its author wrote it.
fn read_rule(toml: &str) -> Result<Draft, HubError> {
    toml::from_str(toml)
        .map_err(|error| HubError::field("decision.save_rule.toml", "TOML", error.to_string()))
}
