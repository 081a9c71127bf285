//! Alliance-wide bans: who may not come back, and what the others are told of it.
//!
//! Owns the entries: keyed hashes of the person, the scheme, how grave it was, since when, and behind whose confirmed case. Others
//! see scheme, gravity and date ([`BanNotice`]); never a customer, the evidence, or which merchant it was.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::flag::FlagKey;
use crate::{
    event::{Affiliate, Enrolment},
    features::LinkKind,
    typology::Typology,
};

/// How grave what was confirmed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Look twice.
    Low,
    /// Work with them only on conditions.
    Medium,
    /// Do not work with them.
    High,
}

/// Why a ban is not made or lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BanError {
    /// No confirmed case.
    #[error(
        "only a confirmed case bans from the alliance; close the case of this flag as CONFIRMED first"
    )]
    NotConfirmed,
    /// It is banned already.
    #[error("the affiliate is banned already; lift the ban first to make another one")]
    BannedAlready,
    /// It is not banned.
    #[error("the affiliate is not banned")]
    NotBanned,
}

/// What others are told of a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BanNotice {
    /// The scheme that was confirmed; `None`: banned by the alliance itself.
    pub reason: Option<Typology>,
    /// How grave it was.
    pub severity: Severity,
    /// Since when, in milliseconds UTC.
    pub since_ms: i64,
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    tokens: BTreeSet<(LinkKind, u64)>,
    reason: Option<Typology>,
    severity: Severity,
    since_ms: i64,
    because: Option<FlagKey>,
}

impl Ban {
    /// What others are told.
    #[must_use]
    pub const fn notice(&self) -> BanNotice {
        BanNotice {
            reason: self.reason,
            severity: self.severity,
            since_ms: self.since_ms,
        }
    }

    /// The confirmed case, for those who may see it: the merchant of it and the alliance.
    #[must_use]
    pub const fn because(&self) -> Option<FlagKey> {
        self.because
    }
}

/// All bans that are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bans {
    bans: BTreeMap<Affiliate, Ban>,
}

impl Bans {
    /// The ban of an affiliate.
    #[must_use]
    pub fn get(&self, affiliate: Affiliate) -> Option<&Ban> {
        self.bans.get(&affiliate)
    }

    /// All of them, by affiliate.
    pub fn iter(&self) -> impl Iterator<Item = (Affiliate, &Ban)> {
        self.bans.iter().map(|(affiliate, ban)| (*affiliate, ban))
    }

    /// What is told to a merchant about whoever enrols: the bans of others with the same identity, account, mail or device, the
    /// gravest first.
    #[must_use]
    pub fn notices(&self, enrolment: &Enrolment) -> Vec<BanNotice> {
        let tokens: BTreeSet<(LinkKind, u64)> = LinkKind::tokens(enrolment).collect();
        let mut notices: Vec<BanNotice> = self
            .bans
            .iter()
            .filter(|(affiliate, ban)| {
                **affiliate == enrolment.affiliate || !ban.tokens.is_disjoint(&tokens)
            })
            .map(|(_, ban)| ban.notice())
            .collect();
        notices.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.cmp(b)));
        notices
    }

    pub(crate) fn add(
        &mut self,
        affiliate: Affiliate,
        tokens: BTreeSet<(LinkKind, u64)>,
        because: Option<FlagKey>,
        severity: Severity,
        since_ms: i64,
    ) -> Result<BanNotice, BanError> {
        if self.bans.contains_key(&affiliate) {
            return Err(BanError::BannedAlready);
        }
        let ban = Ban {
            tokens,
            reason: because.map(|key| key.typology),
            severity,
            since_ms,
            because,
        };
        let notice = ban.notice();
        self.bans.insert(affiliate, ban);
        Ok(notice)
    }

    /// What somebody banned enrols with later is banned too.
    pub(crate) fn extend(&mut self, enrolment: &Enrolment) {
        if let Some(ban) = self.bans.get_mut(&enrolment.affiliate) {
            ban.tokens.extend(LinkKind::tokens(enrolment));
        }
    }

    pub(crate) fn lift(&mut self, affiliate: Affiliate) -> Result<(), BanError> {
        self.bans
            .remove(&affiliate)
            .map(|_| ())
            .ok_or(BanError::NotBanned)
    }
}
