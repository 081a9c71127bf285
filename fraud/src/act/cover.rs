//! Which conversions a flag is about.

use serde::{Deserialize, Serialize};

use super::flag::{Flag, FlagKey, RuleHold};
use crate::{
    event::{Conversion, Mark, Marks},
    features::{Pair, is_late, time_bin},
    rules::Covers,
    typology::Typology,
    verdict::Signal,
};

/// What is kept of a conversion until its commission locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Whose, at which merchant.
    pub pair: Pair,
    /// When it was made, in milliseconds UTC.
    pub at_ms: i64,
    /// When its commission locks, in milliseconds UTC.
    pub locks_ms: i64,
    /// Its commission, in micro-units.
    pub commission_micros: i64,
    /// It waits.
    pub held: bool,
    /// It came back.
    pub(crate) returned: bool,
    pub(crate) payment: u64,
    pub(crate) own: bool,
    pub(crate) shared_payment: bool,
    late: bool,
    preceded: bool,
    time_bin: u8,
    marks: Marks,
}

/// Where so much of the traffic is the scheme's and its conversions cannot be told from others, all of them wait.
const ALL: f64 = 0.3;

impl Kept {
    pub(crate) fn new(conversion: &Conversion, own: bool, shared_payment: bool) -> Self {
        Self {
            pair: Pair {
                affiliate: conversion.affiliate,
                merchant: conversion.merchant,
            },
            at_ms: conversion.at_ms,
            locks_ms: conversion.locks_ms,
            commission_micros: conversion.commission_micros,
            held: false,
            returned: false,
            payment: conversion.payment.map_or(0, u64::from),
            own,
            shared_payment,
            late: is_late(conversion),
            preceded: conversion.other_before,
            time_bin: time_bin(conversion.at_ms - conversion.touched_ms) as u8,
            marks: conversion.marks,
        }
    }

    /// Whether it waits for a flag: of `new` ones, those that a rule which was switched off would add do not.
    pub(crate) fn waits_for(&self, key: &FlagKey, flag: &Flag, new: bool) -> bool {
        if !flag.is_holding() || key.pair != self.pair {
            return false;
        }
        let by_rule = |hold: &RuleHold| {
            let counts = !new || !hold.frozen;
            counts && (hold.covers == Covers::All || self.shows(key.typology))
        };
        (flag.holders.detectors && self.is_covered(key, flag))
            || flag.holders.rules.values().any(by_rule)
    }

    /// Whether the conversion alone shows that the scheme made it.
    pub(crate) fn shows(&self, typology: Typology) -> bool {
        match typology {
            Typology::DeclaredBot => {
                self.marks.has(Mark::DeclaredBot) || self.marks.has(Mark::DataCentre)
            }
            Typology::CookieStuffing => self.marks.has(Mark::NoNavigation),
            Typology::BannedSource => {
                self.marks.has(Mark::PaidClick) || self.marks.has(Mark::BannedReferrer)
            }
            Typology::ClickInjection | Typology::CouponHijack => self.late,
            Typology::SelfReferral => self.own || self.shared_payment,
            // A person who is not who they say earns nothing at all.
            Typology::DuplicateIdentity => true,
            Typology::FakeConversion => {
                self.returned
                    || self.marks.has(Mark::DisposableMail)
                    || self.marks.has(Mark::NewCustomer)
            }
            // Clicks alone are not paid, refused conversions neither; a flood is told by its times.
            Typology::ClickFlood
            | Typology::MasqueradingBot
            | Typology::ClickDuplicate
            | Typology::ForgedPostback
            | Typology::LowQuality => false,
        }
    }

    /// Whether the conversion is one of those that the flag's scheme makes.
    fn is_covered(&self, key: &FlagKey, flag: &Flag) -> bool {
        let says = |signal| {
            flag.verdict
                .evidence
                .iter()
                .any(|evidence| evidence.signal == signal)
        };
        let timed = flag.verdict.time_bins & 1 << self.time_bin.min(31) != 0;
        match key.typology {
            Typology::CookieStuffing | Typology::ClickFlood => timed || self.shows(key.typology),
            Typology::ClickInjection => {
                // Too many buy, at honest times: which ones is not to be told, so where they are many all of them wait.
                let bought = says(Signal::RateHigh) && says(Signal::Preceded);
                timed
                    || self.shows(key.typology)
                    || (bought && (self.preceded || flag.verdict.share >= ALL))
            }
            _ => self.shows(key.typology),
        }
    }
}
