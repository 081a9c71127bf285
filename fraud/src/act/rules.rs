//! The version of the rules that is in force: thresholds, modes, the alert budget.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{typology::Typology, verdict::Thresholds};

/// What a verdict may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// It is counted, and nobody is told.
    Shadow,
    /// A person is asked.
    Flag,
    /// A person is asked and the money waits.
    Hold,
}

/// A version of the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Its number. The same events under the same version give the same flags.
    pub version: u32,
    /// Where the bands begin.
    pub thresholds: Thresholds,
    /// New affiliates that may be flagged at one assessment, in hundredths of a percent of all.
    pub alert_budget_bps: u32,
    /// Assessments in a row that must say HOLD before money waits; what matches exactly does not wait for it.
    pub hold_after: u16,
    /// Modes other than HOLD.
    pub modes: BTreeMap<Typology, Mode>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: 1,
            thresholds: Thresholds::default(),
            alert_budget_bps: 100,
            hold_after: 2,
            // Real customers, little wanted: a matter of the rate card, not of fraud.
            modes: BTreeMap::from([(Typology::LowQuality, Mode::Shadow)]),
        }
    }
}

impl Rules {
    /// The mode of a scheme.
    #[must_use]
    pub fn mode(&self, typology: Typology) -> Mode {
        self.modes.get(&typology).copied().unwrap_or(Mode::Hold)
    }
}
