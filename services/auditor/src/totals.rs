//! What a cycle adds up to: nets, the hub's side, pairs, lines and counts. Merchants by their ids, so that anybody can compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An account of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// 1100: clearing of a merchant, by its number in the log.
    Clearing(u32),
    /// 1200.
    Bank,
    /// 2100.
    Reserve,
    /// 4100.
    ServiceFee,
    /// 4200.
    RedemptionFee,
    /// 4300.
    Breakage,
    /// 4900: adjustments that the hub bears.
    Adjustments,
    /// 2200.m: commission reserve of a merchant.
    CommissionReserve(u32),
}

impl Account {
    /// Its number in the chart of accounts.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Clearing(_) => 1100,
            Self::Bank => 1200,
            Self::Reserve => 2100,
            Self::ServiceFee => 4100,
            Self::RedemptionFee => 4200,
            Self::Breakage => 4300,
            Self::Adjustments => 4900,
            Self::CommissionReserve(_) => 2200,
        }
    }
}

/// One leg of a journal. Unit: micro-units; debit is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leg {
    /// Number of the cycle that it belongs to, from 1.
    pub cycle: u32,
    /// The account.
    pub account: Account,
    /// Debit positive, credit negative.
    pub micros: i128,
}

/// A kind of statement line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is its own code, see `code`")]
pub enum Kind {
    BaseAccrual,
    PromotionShare,
    BaseFee,
    PromotionFee,
    PointsConsumed,
    PointsConsumedRefunded,
    PointsTaken,
    DebtRepaid,
    Redemption,
    RedemptionRefund,
    ReversalRecovered,
    ServiceFeeRefund,
    BreakageShare,
    ReversalClaimed,
    DebtOpened,
    DebtSettled,
    Forgiven,
    BurnExpired,
    Adjustment,
    Prefunding,
    CommissionFunded,
    CommissionReversed,
    Commission,
    CommissionClawback,
}

impl Kind {
    /// As statements name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BaseAccrual => "BASE_ACCRUAL",
            Self::PromotionShare => "PROMOTION_SHARE",
            Self::BaseFee => "BASE_FEE",
            Self::PromotionFee => "PROMOTION_FEE",
            Self::PointsConsumed => "POINTS_CONSUMED",
            Self::PointsConsumedRefunded => "POINTS_CONSUMED_REFUNDED",
            Self::PointsTaken => "POINTS_TAKEN",
            Self::DebtRepaid => "DEBT_REPAID",
            Self::Redemption => "REDEMPTION",
            Self::RedemptionRefund => "REDEMPTION_REFUND",
            Self::ReversalRecovered => "REVERSAL_RECOVERED",
            Self::ServiceFeeRefund => "SERVICE_FEE_REFUND",
            Self::BreakageShare => "BREAKAGE_SHARE",
            Self::ReversalClaimed => "REVERSAL_CLAIMED",
            Self::DebtOpened => "DEBT_OPENED",
            Self::DebtSettled => "DEBT_SETTLED",
            Self::Forgiven => "FORGIVEN",
            Self::BurnExpired => "BURN_EXPIRED",
            Self::Adjustment => "ADJUSTMENT",
            Self::Prefunding => "PREFUNDING",
            Self::CommissionFunded => "COMMISSION_FUNDED",
            Self::CommissionReversed => "COMMISSION_REVERSED",
            Self::Commission => "COMMISSION",
            Self::CommissionClawback => "COMMISSION_CLAWBACK",
        }
    }
}

/// Whose line, of what, with whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineKey {
    /// The merchant.
    pub merchant: String,
    /// The kind's code.
    pub kind: String,
    /// The other merchant, where there is one.
    pub counterparty: Option<String>,
    /// The events belong to an earlier cycle by their event time.
    pub late: bool,
}

/// A line's sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Unit: whole points.
    pub points: i64,
    /// What the merchant owes. Unit: micro-units.
    pub micros: i128,
}

/// A funder's points that were credited to a merchant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Net of refunds. Unit: whole points.
    pub points: i64,
    /// At the lots' own prices. Unit: micro-units.
    pub micros: i128,
}

/// The hub's side, in the sign of the nets' sum. Unit: micro-units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hub {
    /// Change of 2100.
    pub reserve: i128,
    /// 4100.
    pub service_fee: i128,
    /// 4200.
    pub redemption_fee: i128,
    /// 4300.
    pub breakage: i128,
    /// 4900.
    pub adjustments: i128,
    /// Change of 2200, over all merchants.
    pub commission: i128,
}

impl Hub {
    /// All of it.
    #[must_use]
    pub const fn sum(&self) -> i128 {
        self.reserve
            + self.service_fee
            + self.redemption_fee
            + self.breakage
            + self.adjustments
            + self.commission
    }
}

/// Messages and points of a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages that took effect, by the name of their kind.
    pub accepted: BTreeMap<String, u64>,
    /// Messages that were refused, by the name of their kind.
    pub refused: BTreeMap<String, u64>,
    /// Unit: whole points.
    pub issued_points: i64,
    /// Captured. Unit: whole points.
    pub redeemed_points: i64,
    /// Unit: whole points.
    pub refunded_points: i64,
    /// Unit: whole points.
    pub expired_points: i64,
    /// Taken by returns, and by debts that were repaid. Unit: whole points.
    pub recovered_points: i64,
}

/// A cycle's totals. Whatever is zero is left out of the maps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    /// Running number, from 1.
    pub number: u32,
    /// Leaf of the entry that cut it.
    pub cut_leaf: Option<u64>,
    /// Leaf of the entry that closed it.
    pub closed_leaf: Option<u64>,
    /// What each merchant owes: the change of 1100. Unit: micro-units.
    pub nets: BTreeMap<String, i128>,
    /// The hub's side.
    pub hub: Hub,
    /// Points by funder and credited merchant.
    pub pairs: BTreeMap<(String, String), Pair>,
    /// Statement lines.
    pub lines: BTreeMap<LineKey, Line>,
    /// Messages and points.
    pub counts: Counts,
    /// Defaults that were declared in it: the merchant, and what it owed of that, micro-units. What they share out is bounded by
    /// it, not derived.
    pub defaults: Vec<(String, i64)>,
}

/// The first difference between two sides: what it is of, expected, found.
pub type Difference = (String, String, String);

impl CycleTotals {
    /// Its bytes, with a version in front.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::state::pack(self)
    }

    /// From its bytes.
    ///
    /// # Errors
    /// When they are those of another release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, crate::Unreadable> {
        crate::state::unpack(bytes)
    }

    /// The first difference to what somebody else's ledger says of this cycle; `None` when they agree.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        match self.with_shared_losses(other) {
            Ok(shared) => shared.as_ref().unwrap_or(self).plain_difference(other),
            Err(difference) => Some(difference),
        }
    }

    /// These totals with what the other side shared out of declared defaults, where that lies within bounds: the merchant in
    /// default is credited at most what it owed, nobody else is, and the hub bears the rest.
    fn with_shared_losses(&self, other: &Self) -> Result<Option<Self>, Difference> {
        if self.defaults.is_empty() {
            return Ok(None);
        }
        let (mut shared, mut by_merchant) = (self.clone(), BTreeMap::<&str, i128>::new());
        let adjusts = |key: &LineKey| key.kind == Kind::Adjustment.code();
        for (key, line) in other.lines.iter().filter(|(key, _)| adjusts(key)) {
            let own = shared.lines.entry(key.clone()).or_default();
            *by_merchant.entry(&key.merchant).or_default() += line.micros - own.micros;
            *own = *line;
        }
        for (merchant, micros) in &by_merchant {
            let owed = self.defaults.iter().filter(|(m, _)| m == merchant);
            let owed: i128 = owed.map(|(_, micros)| i128::from(*micros)).sum();
            // One merchant's default may be another bearer's share.
            if *micros < -owed {
                let of = format!("shared losses of {merchant}");
                return Err((of, format!("at least -{owed}"), micros.to_string()));
            }
            *shared.nets.entry((*merchant).to_owned()).or_default() += micros;
        }
        shared.hub.adjustments += by_merchant.values().sum::<i128>();
        Ok(Some(shared.trimmed()))
    }

    fn plain_difference(&self, other: &Self) -> Option<Difference> {
        let place = |of: &str, ours: String, theirs: String| Some((of.to_owned(), ours, theirs));
        if self.number != other.number {
            return place("number", self.number.to_string(), other.number.to_string());
        }
        let leaves = |totals: &Self| (totals.cut_leaf, totals.closed_leaf);
        if leaves(self) != leaves(other) {
            return place(
                "the leaves of its cut and its close",
                format!("{:?}", leaves(self)),
                format!("{:?}", leaves(other)),
            );
        }
        let nets = first(&self.nets, &other.nets, |of| format!("net of {of}"));
        if nets.is_some() {
            return nets;
        }
        if self.hub != other.hub {
            return place(
                "the hub's side",
                format!("{:?}", self.hub),
                format!("{:?}", other.hub),
            );
        }
        let pairs = first(&self.pairs, &other.pairs, |(funder, merchant)| {
            format!("points of {funder} at {merchant}")
        });
        let lines = || {
            first(&self.lines, &other.lines, |key| {
                let with = key.counterparty.as_deref().unwrap_or("-");
                let late = if key.late { ", late" } else { "" };
                format!("line {} of {} with {with}{late}", key.kind, key.merchant)
            })
        };
        let counts = || {
            let (ours, theirs) = (&self.counts, &other.counts);
            (ours != theirs)
                .then(|| place("counts", format!("{ours:?}"), format!("{theirs:?}")))
                .flatten()
        };
        pairs.or_else(lines).or_else(counts)
    }

    /// Leaves out what is zero.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        self.nets.retain(|_, micros| *micros != 0);
        self.pairs.retain(|_, pair| *pair != Pair::default());
        self.lines.retain(|_, line| *line != Line::default());
        self
    }
}

fn first<K: Ord, V: PartialEq + std::fmt::Debug>(
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
    name: impl Fn(&K) -> String,
) -> Option<Difference> {
    let tell = |value: Option<&V>| value.map_or_else(|| "nothing".to_owned(), |v| format!("{v:?}"));
    let keys: std::collections::BTreeSet<&K> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter()
        .find(|key| ours.get(key) != theirs.get(key))
        .map(|key| (name(key), tell(ours.get(key)), tell(theirs.get(key))))
}
