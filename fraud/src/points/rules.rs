//! Where the bands of points messages begin. A version of them is data, like that of the rules on traffic.

use serde::{Deserialize, Serialize};

use crate::verdict::Band;

/// From which counts on something is WATCH, FLAG and HOLD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// Odd.
    pub watch: u32,
    /// A person should look.
    pub flag: u32,
    /// So odd that the message waits.
    pub hold: u32,
}

impl Steps {
    pub(super) const fn band(&self, count: u32) -> Band {
        if count >= self.hold {
            Band::Hold
        } else if count >= self.flag {
            Band::Flag
        } else if count >= self.watch {
            Band::Watch
        } else {
            Band::Clear
        }
    }
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsLimits {
    /// Members: about 350 bytes each.
    pub members: u32,
    /// Tills.
    pub lanes: u32,
    /// Devices.
    pub devices: u32,
}

impl Default for PointsLimits {
    fn default() -> Self {
        Self {
            members: 200_000,
            lanes: 20_000,
            devices: 100_000,
        }
    }
}

/// A version of the rules on points messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsRules {
    /// Its number. The same messages under the same version give the same verdicts.
    pub version: u32,
    /// Accruals of a member within a minute.
    pub accruals_minute: Steps,
    /// Accruals of a member within an hour.
    pub accruals_hour: Steps,
    /// Different merchants at which a member stood within a short time.
    pub merchants: Steps,
    /// That time, in milliseconds.
    pub merchants_within_ms: i64,
    /// Accruals of a member at one till within a day.
    pub same_till: Steps,
    /// Members of one device within two weeks.
    pub device_members: Steps,
    /// A receipt of at least so many hundredths of the limit is just under it.
    pub near_percent: u8,
    /// A member or till with fewer receipts says nothing about the limit.
    pub least_receipts: u32,
    /// How improbable so many receipts just under the limit are where WATCH, FLAG and HOLD begin.
    pub near_p: [f64; 3],
    /// Percent of the balance that is burnt behind linking an account.
    pub burn_after_link: Steps,
    /// ... within this time, in milliseconds.
    pub linked_within_ms: i64,
    /// Returns soon after burning.
    pub return_after_burn: Steps,
    /// ... within this time, in milliseconds.
    pub return_within_ms: i64,
}

impl Default for PointsRules {
    fn default() -> Self {
        let steps = |watch, flag, hold| Steps { watch, flag, hold };
        Self {
            version: 1,
            // A family with one card, a receipt that is split for a friend: three are seen, six are not.
            accruals_minute: steps(3, 4, 6),
            accruals_hour: steps(8, 12, 16),
            merchants: steps(3, 4, 5),
            merchants_within_ms: 10 * 60_000,
            same_till: steps(5, 8, 12),
            device_members: steps(4, 6, 12),
            near_percent: 90,
            least_receipts: 6,
            near_p: [1e-4, 1e-6, 1e-9],
            burn_after_link: steps(50, 70, 90),
            linked_within_ms: 24 * 3_600_000,
            return_after_burn: steps(1, 2, 4),
            return_within_ms: 48 * 3_600_000,
        }
    }
}

impl PointsRules {
    /// Whether a receipt is just under the limit, or at it.
    pub(super) fn is_near(&self, points: i64, limit: i64) -> bool {
        let (points, limit) = (i128::from(points), i128::from(limit));
        points * 100 >= limit * i128::from(self.near_percent) && points <= limit
    }
}
