//! What a liability report is made of.

use super::revenue::RevenueUnit;
use crate::amount::Amount;
use crate::party::{Counterparty, Issuer};
use crate::wire;
use chrono::{DateTime, Utc};
use hansa_money::{BPS, Currency};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Outstanding points as of an instant. [`LiabilityReport::new`](crate::LiabilityReport::new) checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiabilityParts {
    /// Who issues it.
    pub issuer: Issuer,
    /// As of when.
    #[serde(with = "wire::instant")]
    pub as_of: DateTime<Utc>,
    /// Currency of all amounts.
    #[serde(with = "wire::currency")]
    pub currency: Currency,
    /// Bands of age.
    pub ages: AgeBands,
    /// Credit balance of the points reserve (2100): the value of the prepaid points.
    pub reserve: Amount,
    /// Open points by funder, mode and age.
    pub outstanding: Vec<OutstandingPoints>,
    /// Each funder's points since it began.
    pub funders: Vec<FunderPoints>,
    /// What revenue is rounded to.
    pub revenue_unit: RevenueUnit,
}

/// When the funder pays for a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FundingMode {
    /// When it is issued: its value lies in the reserve.
    Issue,
    /// When it is spent: its value is owed by the funder.
    Burn,
}

impl FundingMode {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Issue => "ISSUE",
            Self::Burn => "BURN",
        }
    }
}

/// Open points of one funder, mode and age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutstandingPoints {
    /// Who pays for them.
    pub funder: Counterparty,
    /// Whether they are paid for.
    pub mode: FundingMode,
    /// The band of age, from 0: [`AgeBands::band_of`].
    pub band: usize,
    /// Whole points.
    pub points: i64,
    /// At their own frozen reserve prices.
    pub value: Amount,
}

/// A funder's points since it began. Returned points count as never issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunderPoints {
    /// The funder.
    pub funder: Counterparty,
    /// Issued, net of returns.
    pub issued: i64,
    /// Redeemed, net of refunds.
    pub redeemed: i64,
    /// Expired or forfeited, net of reinstatements.
    pub lost: i64,
    /// Points that will have been redeemed in the end, those so far included: [`expected_points`].
    pub expected: i64,
    /// What was allocated to them, where the funder's revenue is to be deferred.
    pub price: Option<AllocatedPrice>,
}

/// The price of points, after IFRS 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllocatedPrice {
    /// Part of the transaction prices that was allocated to the points.
    pub allocated: Amount,
    /// Revenue that earlier periods recognised.
    pub recognised_before: Amount,
}

/// Points that will have been redeemed in the end by a redemption rate in basis points of those issued, rounded down; not
/// fewer than are redeemed already, and not more than can be.
#[must_use]
pub fn expected_points(issued: i64, redeemed: i64, lost: i64, rate_bps: u32) -> i64 {
    let by_rate = i128::from(issued) * i128::from(rate_bps) / i128::from(BPS);
    let most = i128::from(issued) - i128::from(lost);
    let expected = by_rate.min(most).max(i128::from(redeemed));
    i64::try_from(expected).unwrap_or(i64::MAX)
}

/// Bands of age, in days since the points were posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeBands(Vec<u32>);

impl AgeBands {
    /// Bands that end with these days, each longer than the one before; what is older is the last band.
    #[must_use]
    pub fn new(ends: &[u32]) -> Option<Self> {
        let rises = ends.windows(2).all(|pair| pair[0] < pair[1]);
        (rises && !ends.is_empty()).then(|| Self(ends.to_vec()))
    }

    /// A month, a quarter, half a year, one year, two years, older.
    #[must_use]
    pub fn usual() -> Self {
        Self(vec![30, 90, 180, 365, 730])
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len() + 1
    }

    /// The band of an age.
    #[must_use]
    pub fn band_of(&self, days: u32) -> usize {
        self.0.partition_point(|end| *end < days)
    }

    /// `0-30`, `31-90`, ..., `over 730`.
    #[must_use]
    pub fn label(&self, band: usize) -> String {
        let from = match band.checked_sub(1).and_then(|before| self.0.get(before)) {
            Some(end) => end.saturating_add(1),
            None => 0,
        };
        match self.0.get(band) {
            Some(end) => format!("{from}-{end}"),
            None => format!("over {}", from.saturating_sub(1)),
        }
    }
}

impl Serialize for AgeBands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.count()).map(|band| self.label(band)))
    }
}

impl<'de> Deserialize<'de> for AgeBands {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let labels = Vec::<String>::deserialize(from)?;
        let ends = labels.iter().filter_map(|label| label.split_once('-'));
        let ends: Result<Vec<u32>, _> = ends.map(|(_, end)| end.parse()).collect();
        let bands = ends.ok().and_then(|ends| Self::new(&ends));
        let same = |bands: &Self| {
            (0..bands.count())
                .map(|b| bands.label(b))
                .eq(labels.iter().cloned())
        };
        bands.filter(same).ok_or_else(|| {
            D::Error::custom("bands of age are \"0-30\", \"31-90\", ..., \"over 90\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_hold_every_age_once() {
        let bands = AgeBands::usual();
        for (days, band, label) in [
            (0, 0, "0-30"),
            (30, 0, "0-30"),
            (31, 1, "31-90"),
            (365, 3, "181-365"),
            (730, 4, "366-730"),
            (731, 5, "over 730"),
            (u32::MAX, 5, "over 730"),
        ] {
            assert_eq!(
                (bands.band_of(days), bands.label(band).as_str()),
                (band, label)
            );
        }
        assert_eq!(bands.count(), 6);
        assert_eq!(AgeBands::new(&[30, 30]), None);
        assert_eq!(AgeBands::new(&[]), None);
    }

    #[test]
    fn an_expected_number_stays_possible() {
        assert_eq!(expected_points(10_000, 4_500, 0, 9_700), 9_700);
        assert_eq!(expected_points(10_000, 9_800, 0, 9_700), 9_800);
        assert_eq!(expected_points(10_000, 4_500, 1_000, 9_700), 9_000);
        assert_eq!(expected_points(3, 0, 0, 5_000), 1);
        assert_eq!(expected_points(0, 0, 0, 9_700), 0);
    }
}
