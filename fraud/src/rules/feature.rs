//! The feature set of rules: one table, which is the documentation, the types of the checker and how each one is read.

use serde::{Deserialize, Serialize};

use crate::{
    features::{Pair, Profile, TIME_BINS, Tally, time_edges},
    stats::entropy,
    typology::Typology,
    verdict::{Evidence, Signal},
};

/// The type of a feature or of a part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number: ids and counts of few things.
    Int,
    /// A number.
    Double,
    /// A text; only literals are.
    String,
}

impl Kind {
    /// Its name in CEL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
        }
    }
}

/// One feature.
#[derive(Debug, Clone, Copy)]
pub struct Feature {
    /// Its name in expressions.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: &'static str,
    /// What it says.
    pub meaning: &'static str,
    read: fn(&Subject<'_>) -> f64,
}

/// What the features of a pair are read from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Whose traffic, to whom.
    pub pair: Pair,
    /// The instant, in milliseconds UTC.
    pub at_ms: i64,
    /// The pair's profile at it.
    pub profile: &'a Profile,
    /// What the statistics say of it.
    pub evidence: &'a [Evidence],
    /// Kind of site.
    pub site_kind: u8,
    /// Milliseconds since the affiliate enrolled.
    pub age_ms: i64,
    /// Merchants of the affiliate with traffic.
    pub merchants: u32,
    /// It has something in common with another affiliate and no common owner was declared.
    pub linked: bool,
    /// ... and the other one is banned.
    pub linked_banned: bool,
    /// Commission that has not locked, in micro-units.
    pub open_micros: i64,
    /// The part of it that each scheme's conversions make, where there is any.
    pub open_by_scheme: &'a [(Typology, i64)],
    /// What the learned scorer says; 0 where it is off.
    pub score: f64,
}

impl Subject<'_> {
    fn tally(&self, tally: Tally) -> f64 {
        f64::from(self.profile.tally(tally))
    }

    fn of_clicks(&self, part: Tally) -> f64 {
        share(self.tally(part), self.tally(Tally::Clicks))
    }

    fn of_conversions(&self, part: Tally) -> f64 {
        share(self.tally(part), self.tally(Tally::Conversions))
    }

    fn says(&self, signal: Signal, what: fn(&Evidence) -> f64) -> f64 {
        self.evidence
            .iter()
            .find(|evidence| evidence.signal == signal)
            .map_or(0.0, what)
    }

    /// Share of the purchases in the bins of time that begin from `from_ms` on and before `before_ms`.
    fn times(&self, from_ms: i64, before_ms: i64) -> f64 {
        let edges = time_edges();
        let times = self.profile.times();
        let all: f64 = times.iter().map(|count| f64::from(*count)).sum();
        let part: f64 = (0..TIME_BINS)
            .filter(|bin| (from_ms..before_ms).contains(&edges[*bin]))
            .map(|bin| f64::from(times[bin]))
            .sum();
        share(part, all)
    }

    /// Events per unit of time: a steady stream's fading sum is its rate by ln 2.
    fn rate(&self, which: usize) -> f64 {
        f64::from(self.profile.rate(which, self.at_ms)) * std::f64::consts::LN_2
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn bit(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

const fn feature_of(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    meaning: &'static str,
    read: fn(&Subject<'_>) -> f64,
) -> Feature {
    Feature {
        name,
        kind,
        unit,
        meaning,
        read,
    }
}

/// Places of the features that are read from the pair itself: they may be larger than a row's numbers are exact for.
const AFFILIATE: usize = 0;
const MERCHANT: usize = 1;
/// Place of the learned score, which is known last.
pub(super) const SCORE: usize = FEATURES.len() - 1;

/// All features of a pair of affiliate and merchant. Counts and shares fade: counts are halved every 14 days.
#[rustfmt::skip]
pub const FEATURES: [Feature; 45] = {
    use Kind::{Bool, Double, Int};
    [
        feature_of("affiliate", Int, "id", "the affiliate, by the hub's number", |s| f64::from(s.pair.affiliate.0)),
        feature_of("merchant", Int, "id", "the merchant, by the hub's number", |s| f64::from(s.pair.merchant.0)),
        feature_of("site_kind", Int, "number", "the alliance's number of the kind of site", |s| f64::from(s.site_kind)),
        feature_of("conversion_share_usual", Double, "of clicks", "what is usual at the merchant for the kind of site; 0: too little traffic", |s| s.says(Signal::RateHigh, |e| e.expected)),
        feature_of("affiliate_age_days", Double, "days", "since the affiliate enrolled", |s| s.age_ms as f64 / 86_400_000.0),
        feature_of("merchants", Int, "count", "merchants that the affiliate sends traffic to", |s| f64::from(s.merchants)),
        feature_of("clicks", Double, "count", "clicks and codes, halved every 14 days", |s| s.tally(Tally::Clicks)),
        feature_of("conversions", Double, "count", "accepted conversions, halved every 14 days", |s| s.tally(Tally::Conversions)),
        feature_of("clicks_minute", Double, "per minute", "touches a minute, the last minutes' weigh most", |s| s.rate(0)),
        feature_of("clicks_hour", Double, "per hour", "touches an hour, the last hours' weigh most", |s| s.rate(1)),
        feature_of("clicks_day", Double, "per day", "touches a day, the last days' weigh most", |s| s.rate(2)),
        feature_of("conversion_share", Double, "of clicks", "clicks that became conversions", |s| s.of_clicks(Tally::Conversions)),
        feature_of("declared_bot_share", Double, "of clicks", "by programs that say so, or from hosting networks", |s| s.of_clicks(Tally::Automated)),
        feature_of("no_navigation_share", Double, "of clicks", "nobody navigated to them", |s| s.of_clicks(Tally::NoNavigation)),
        feature_of("banned_source_share", Double, "of clicks", "from banned hosts or with a paid click's parameter", |s| s.of_clicks(Tally::Banned)),
        feature_of("duplicate_share", Double, "of clicks", "repeat one of the last minute", |s| s.of_clicks(Tally::Duplicate)),
        feature_of("burst_share", Double, "of clicks", "the third or later of such a row", |s| s.of_clicks(Tally::Burst)),
        feature_of("rare_agent_share", Double, "of clicks", "by browsers that hardly anybody has", |s| s.of_clicks(Tally::RareAgent)),
        feature_of("barren_prefix_share", Double, "of clicks", "from networks that click much and never buy", |s| s.of_clicks(Tally::Barren)),
        feature_of("crowded_device_share", Double, "of clicks", "on devices that many affiliates reached", |s| s.of_clicks(Tally::Crowded)),
        feature_of("distinct_devices", Double, "count", "devices seen, within 13 %", |s| s.profile.devices()),
        feature_of("distinct_prefixes", Double, "count", "networks seen (/24, /48), within 13 %", |s| s.profile.others()),
        feature_of("clicks_per_device", Double, "count", "clicks by distinct devices", |s| share(s.tally(Tally::Clicks), s.profile.devices())),
        feature_of("hour_entropy", Double, "bits", "of the visitors' hours of day; a flat day has 4.58", |s| entropy(s.profile.hours())),
        feature_of("gap_entropy", Double, "bits", "of the gaps between clicks; a machine's are few", |s| entropy(s.profile.gaps())),
        feature_of("flat_hours_share", Double, "of clicks", "spread evenly over day and night, estimated", |s| s.says(Signal::HoursFlat, |e| e.observed)),
        feature_of("ctct_under_10s_share", Double, "of conversions", "within 10 seconds of the click", |s| s.times(0, 10_000)),
        feature_of("ctct_under_1h_share", Double, "of conversions", "within 68 minutes of the click", |s| s.times(0, 4_000_000)),
        feature_of("ctct_over_1d_share", Double, "of conversions", "29 hours or more after the click", |s| s.times(86_400_000, i64::MAX)),
        feature_of("flood_time_share", Double, "of conversions", "at any time of the window, estimated against the merchant's own times", |s| s.says(Signal::TimesFlood, |e| e.observed)),
        feature_of("spike_time_share", Double, "of conversions", "within seconds, estimated against the merchant's own times", |s| s.says(Signal::TimesSpike, |e| e.observed)),
        feature_of("preceded_share", Double, "of conversions", "another affiliate had a touch before", |s| s.of_conversions(Tally::Preceded)),
        feature_of("late_share", Double, "of conversions", "touched after checkout began", |s| s.of_conversions(Tally::Late)),
        feature_of("overwritten_share", Double, "of conversions", "touched after checkout began, in another's place", |s| s.of_conversions(Tally::Overwritten)),
        feature_of("own_share", Double, "of conversions", "by affiliates themselves", |s| s.of_conversions(Tally::Own)),
        feature_of("shared_payment_share", Double, "of conversions", "several customers with one means of payment", |s| s.of_conversions(Tally::SharedPayment)),
        feature_of("disposable_mail_share", Double, "of conversions", "with disposable mail addresses", |s| s.of_conversions(Tally::Disposable)),
        feature_of("new_customer_share", Double, "of conversions", "of customers that the merchant saw first", |s| s.of_conversions(Tally::NewCustomers)),
        feature_of("return_share", Double, "of conversions", "came back", |s| s.of_conversions(Tally::Returned)),
        feature_of("part_return_share", Double, "of conversions", "came back in part", |s| s.of_conversions(Tally::PartReturned)),
        feature_of("refused_share", Double, "of attempts", "conversions refused as forged or sent before", |s| share(s.tally(Tally::Refused), s.tally(Tally::Conversions) + s.tally(Tally::Refused))),
        feature_of("open_commission", Double, "currency units", "commission that has not locked", |s| s.open_micros as f64 / 1e6),
        feature_of("linked", Bool, "", "something in common with another affiliate, undeclared", |s| bit(s.linked)),
        feature_of("linked_banned", Bool, "", "something in common with a banned affiliate", |s| bit(s.linked_banned)),
        feature_of("learned_score", Double, "0 to 1", "what the learned scorer says; 0: it is off", |s| s.score),
    ]
};

/// The place of a feature in the table, by its name.
#[must_use]
pub fn feature(name: &str) -> Option<usize> {
    FEATURES.iter().position(|feature| feature.name == name)
}

/// The features of a pair at an instant, and the money that a rule could hold of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Whose, to whom.
    pub pair: Pair,
    values: Vec<f32>,
    pub(crate) open_micros: i64,
    pub(crate) open_by_scheme: Vec<(Typology, i64)>,
}

impl Row {
    /// Reads all features.
    #[must_use]
    pub fn read(subject: &Subject<'_>) -> Self {
        Self {
            pair: subject.pair,
            values: FEATURES
                .iter()
                .map(|feature| (feature.read)(subject) as f32)
                .collect(),
            open_micros: subject.open_micros,
            open_by_scheme: subject.open_by_scheme.to_vec(),
        }
    }

    /// The feature at a place of the table.
    #[must_use]
    pub fn value(&self, at: usize) -> f64 {
        match at {
            AFFILIATE => f64::from(self.pair.affiliate.0),
            MERCHANT => f64::from(self.pair.merchant.0),
            _ => self.values.get(at).copied().map_or(0.0, f64::from),
        }
    }

    /// What a scorer learns from: all features but those that only tell one merchant or kind of site from another, and the
    /// score itself.
    #[must_use]
    pub fn measures(&self) -> &[f32] {
        self.values.get(Self::FIRST..SCORE).unwrap_or(&[])
    }

    /// The names of [`Self::measures`].
    #[must_use]
    pub fn measure_names() -> Vec<String> {
        FEATURES[Self::FIRST..SCORE]
            .iter()
            .map(|feature| feature.name.to_owned())
            .collect()
    }

    /// Place of the first feature that is about the traffic.
    const FIRST: usize = 4;

    pub(crate) fn set_score(&mut self, score: f64) {
        if let Some(cell) = self.values.get_mut(SCORE) {
            *cell = score as f32;
        }
    }

    /// How much goes on: what is kept when not all can be.
    pub(super) fn activity(&self) -> f64 {
        let of = |name| feature(name).map_or(0.0, |at| self.value(at));
        of("clicks") + 20.0 * of("conversions")
    }
}
