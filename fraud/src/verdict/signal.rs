//! The statistics by name: what each one counts, and what it found in words that a person can judge.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::features::{Profile, TALLIES, Tally};

/// One statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Signal {
    /// Share of clicks by declared programs or from hosting networks.
    Automated,
    /// Share of clicks without anybody navigating.
    NoNavigation,
    /// Share of clicks from banned sources.
    Banned,
    /// Share of clicks that are the third or later within a minute each.
    Bursts,
    /// Share of clicks by user agents that hardly anybody has.
    RareAgents,
    /// Share of clicks from prefixes that click much and never buy.
    BarrenPrefixes,
    /// Share of clicks on devices that many affiliates reached.
    CrowdedDevices,
    /// Share of conversions before whose touch another affiliate had one.
    Preceded,
    /// Share of conversions touched only after checkout began.
    LateTouches,
    /// Share of conversions touched after checkout began, in place of another affiliate.
    Overwritten,
    /// Share of conversions by affiliates themselves.
    OwnPurchases,
    /// Share of conversions of different customers with one means of payment.
    SharedPayments,
    /// Share of conversions with disposable mail addresses.
    DisposableMail,
    /// Share of conversions that came back.
    Returned,
    /// Share of conversions that came back in part.
    PartReturned,
    /// Share of conversions that were refused as forged or sent before.
    Refused,
    /// More conversions per click than others.
    RateHigh,
    /// Fewer conversions per click than others.
    RateLow,
    /// Clicks like one within the same minute, among affiliates of the volume.
    Duplicates,
    /// Gaps between clicks that are more regular than those of affiliates of the volume.
    RegularGaps,
    /// Purchases spread evenly over the window behind the click.
    TimesFlood,
    /// Purchases within seconds of the click.
    TimesSpike,
    /// Clicks spread evenly over the day where the visitors are.
    HoursFlat,
    /// Identity, account, mail or devices in common with another affiliate.
    Linked,
}

/// Of what a share is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Whole {
    Clicks,
    Conversions,
    Attempts,
}

/// The signals that are shares.
pub(super) const SHARES: [(Signal, Tally, Whole); 18] = [
    (Signal::Automated, Tally::Automated, Whole::Clicks),
    (Signal::NoNavigation, Tally::NoNavigation, Whole::Clicks),
    (Signal::Banned, Tally::Banned, Whole::Clicks),
    (Signal::Bursts, Tally::Burst, Whole::Clicks),
    (Signal::RareAgents, Tally::RareAgent, Whole::Clicks),
    (Signal::BarrenPrefixes, Tally::Barren, Whole::Clicks),
    (Signal::CrowdedDevices, Tally::Crowded, Whole::Clicks),
    (Signal::Preceded, Tally::Preceded, Whole::Conversions),
    (Signal::LateTouches, Tally::Late, Whole::Conversions),
    (Signal::Overwritten, Tally::Overwritten, Whole::Conversions),
    (Signal::OwnPurchases, Tally::Own, Whole::Conversions),
    (
        Signal::SharedPayments,
        Tally::SharedPayment,
        Whole::Conversions,
    ),
    (
        Signal::DisposableMail,
        Tally::Disposable,
        Whole::Conversions,
    ),
    (Signal::Returned, Tally::Returned, Whole::Conversions),
    (
        Signal::PartReturned,
        Tally::PartReturned,
        Whole::Conversions,
    ),
    (Signal::Refused, Tally::Refused, Whole::Attempts),
    (Signal::RateHigh, Tally::Conversions, Whole::Clicks),
    (Signal::RateLow, Tally::Conversions, Whole::Clicks),
];

impl Signal {
    /// Whether a share of the last weeks can be set against those before: not what comes back, weeks after it was sold.
    pub(super) const fn has_past(self) -> bool {
        !matches!(self, Self::Returned | Self::PartReturned)
    }

    /// Whether honest affiliates differ so much in it that, where there is a past, it alone is the yardstick.
    pub(super) const fn is_rate(self) -> bool {
        matches!(self, Self::RateHigh | Self::RateLow)
    }
}

impl Whole {
    /// How many there are.
    pub(super) fn of(self, profile: &Profile) -> f64 {
        self.count(&profile.tallies())
    }

    /// How many there are in everything counted.
    pub(super) fn count(self, tallies: &[u32; TALLIES]) -> f64 {
        let tally = |tally: Tally| f64::from(tallies[tally as usize]);
        match self {
            Self::Clicks => tally(Tally::Clicks),
            Self::Conversions => tally(Tally::Conversions),
            Self::Attempts => tally(Tally::Conversions) + tally(Tally::Refused),
        }
    }

    /// Below so many, a share says nothing.
    pub(super) const fn least(self) -> f64 {
        match self {
            Self::Clicks => 60.0,
            Self::Conversions => 8.0,
            Self::Attempts => 4.0,
        }
    }
}

/// What a statistic found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which statistic.
    pub signal: Signal,
    /// What was observed: a share, or bits of entropy of [`Signal::RegularGaps`]; of the mixtures the share of the other
    /// histogram.
    pub observed: f64,
    /// What is usual.
    pub expected: f64,
    /// In so many clicks or conversions.
    pub counted: f64,
    /// How many times its own past the share is, beside how its merchants changed; none where there is no past to compare with.
    pub change: Option<f64>,
    /// How probable so much or more is with an honest affiliate.
    pub p_value: f64,
}

impl Evidence {
    /// How much more than usual, or than in its own past: the part of the traffic that an honest affiliate would not have.
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.beyond(self.base())
    }

    /// How many events more than usual, or than in its own past.
    #[must_use]
    pub fn events(&self) -> f64 {
        match self.signal {
            Signal::RateHigh => (self.observed - self.base()) * self.counted,
            _ => self.excess() * self.counted,
        }
    }

    /// What is usual, or was its own past where that is further away from what was observed.
    fn base(&self) -> f64 {
        let past = self
            .change
            .map_or(self.expected, |change| self.observed / change.max(0.01));
        if self.beyond(past) > self.beyond(self.expected) {
            past
        } else {
            self.expected
        }
    }

    fn beyond(&self, base: f64) -> f64 {
        match self.signal {
            Signal::RateLow => base - self.observed,
            // Of the conversions, not of the clicks.
            Signal::RateHigh => 1.0 - base / self.observed.max(1e-9),
            Signal::RegularGaps | Signal::Linked => 1.0,
            _ => (self.observed - base) / (1.0 - base).max(0.01),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (observed, expected) = (self.observed * 100.0, self.expected * 100.0);
        let n = self.counted;
        let what = match self.signal {
            Signal::Automated => "clicks by programs that say so, or from hosting networks",
            Signal::NoNavigation => "clicks that nobody navigated to",
            Signal::Banned => "clicks from banned sources or paid advertisements",
            Signal::Bursts => "clicks that are the third or later in a row within a minute each",
            Signal::RareAgents => "clicks by browsers that hardly anybody has",
            Signal::BarrenPrefixes => "clicks from networks that click much and never buy",
            Signal::CrowdedDevices => "clicks on devices that many affiliates reached",
            Signal::Preceded => "conversions that another affiliate had touched before",
            Signal::LateTouches => "conversions touched only after checkout began",
            Signal::Overwritten => "conversions taken over from another affiliate at checkout",
            Signal::OwnPurchases => "conversions by affiliates themselves",
            Signal::SharedPayments => "conversions of several customers with one means of payment",
            Signal::DisposableMail => "conversions with disposable mail addresses",
            Signal::Returned => "conversions that came back",
            Signal::PartReturned => "conversions that came back in part",
            Signal::Refused => "conversions refused as forged or sent before",
            Signal::RateHigh | Signal::RateLow => "clicks that became conversions",
            Signal::Duplicates => "clicks that repeat one of the last minute",
            Signal::RegularGaps => {
                return write!(
                    f,
                    "gaps between {n:.0} clicks are regular: {:.2} bits, usual at this volume are {:.2}",
                    self.observed, self.expected
                );
            }
            Signal::TimesFlood => {
                return write!(
                    f,
                    "about {observed:.0} % of {n:.0} purchases come at any time of the window after the click, as if the click had no part in them"
                );
            }
            Signal::TimesSpike => {
                return write!(
                    f,
                    "about {observed:.0} % of {n:.0} purchases come within ten seconds of the click, more than the merchant's own times allow"
                );
            }
            Signal::HoursFlat => {
                return write!(
                    f,
                    "about {observed:.0} % of {n:.0} clicks are spread evenly over day and night where the visitors are"
                );
            }
            Signal::Linked => {
                return write!(
                    f,
                    "has {:.0} of identity, account, mail and devices in common with other affiliates, in {n:.0} cases with a banned one; no common owner was declared",
                    self.observed
                );
            }
        };
        write!(
            f,
            "{what}: {observed:.1} % of {n:.0}; usual are {expected:.1} %"
        )?;
        match self.change {
            Some(change) => write!(f, "; {change:.1} times its own past"),
            None => Ok(()),
        }
    }
}
