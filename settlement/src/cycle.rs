//! Settlement cycles and what they add up to. Totals grow while a cycle is OPEN or CLOSING; those of a CLOSED cycle never change.

use crate::commission::CommissionChange;
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::journal::{Account, Legs, LineKind, PairMove};
use crate::message::MessageKind;
use crate::outcome::OutcomeCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a cycle stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CycleState {
    /// Messages post to it.
    Open,
    /// Cut; due work up to its close may still post to it.
    Closing,
    /// Complete; it never changes again.
    Closed,
    /// A settlement is proposed.
    PendingApproval,
    /// A settlement is approved; its payments are instructed.
    Approved,
    /// Payments are on their way.
    Settling,
    /// Every payment is confirmed.
    Settled,
    /// Every payment has ended, some were carried forward.
    PartiallySettled,
    /// The settlement was given up; what it would have paid is brought forward.
    Aborted,
}

impl CycleState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closing => "CLOSING",
            Self::Closed => "CLOSED",
            Self::PendingApproval => "PENDING_APPROVAL",
            Self::Approved => "APPROVED",
            Self::Settling => "SETTLING",
            Self::Settled => "SETTLED",
            Self::PartiallySettled => "PARTIALLY_SETTLED",
            Self::Aborted => "ABORTED",
        }
    }

    /// Whether the cycle is complete: CLOSED or later.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        !matches!(self, Self::Open | Self::Closing)
    }

    /// Whether a settlement of it was approved: its net is no longer waiting to be planned.
    #[must_use]
    pub const fn is_planned(self) -> bool {
        match self {
            Self::Open | Self::Closing | Self::Closed | Self::PendingApproval => false,
            Self::Approved
            | Self::Settling
            | Self::Settled
            | Self::PartiallySettled
            | Self::Aborted => true,
        }
    }

    /// Whether none of its payments is under way any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Settled | Self::PartiallySettled | Self::Aborted)
    }
}

/// What identifies a line of a merchant within a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineKey {
    /// Whose line.
    pub merchant: MerchantIx,
    /// What it is about.
    pub kind: LineKind,
    /// The other merchant, where the line names one.
    pub counterparty: Option<MerchantIx>,
    /// Whether the events lie before the cycle.
    pub late: bool,
}

/// What a line adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTotal {
    /// Journal legs on it.
    pub count: u64,
    /// Points.
    pub points: i64,
    /// Micro-units; positive = the merchant owes.
    pub micros: i128,
}

/// What a funder's points came to at a merchant, net of refunds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairTotal {
    /// Points, both modes.
    pub points: i64,
    /// Reserve value, micro-units, both modes.
    pub micros: i128,
    /// Of that, what the funder owes because the points were BURN.
    pub owed_micros: i128,
}

/// The hub's side, in the sign of the sum of nets: what merchants owe in total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubTotals {
    /// Change of 2100 that merchants paid for (an opening in cash is not in it), micro-units.
    pub reserve_micros: i128,
    /// 4100, micro-units.
    pub service_fee_micros: i128,
    /// 4200, micro-units.
    pub redemption_fee_micros: i128,
    /// 4300, micro-units.
    pub breakage_micros: i128,
    /// 4900, micro-units.
    pub adjustment_micros: i128,
    /// Change of 2200, micro-units.
    pub commission_micros: i128,
}

impl HubTotals {
    /// The sum, which equals the sum of the nets.
    #[must_use]
    pub fn sum(&self) -> i128 {
        self.reserve_micros
            + self.service_fee_micros
            + self.redemption_fee_micros
            + self.breakage_micros
            + self.adjustment_micros
            + self.commission_micros
    }
}

/// What commissions of an affiliate at a merchant did in a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionTotal {
    /// Conversions that accrued.
    pub conversions: u64,
    /// Accrued, micro-units.
    pub accrued_micros: i128,
    /// Taken back before it was payable, micro-units.
    pub reversed_micros: i128,
    /// Became payable, micro-units.
    pub payable_micros: i128,
    /// Taken back afterwards, micro-units.
    pub clawed_back_micros: i128,
    /// Came under a hold, or accrued under one, less what was released or taken back under one, micro-units.
    pub held_micros: i128,
}

impl CommissionTotal {
    fn change(&mut self, change: &CommissionChange) {
        match change {
            CommissionChange::Accrued(accrued) => {
                self.conversions += 1;
                self.accrued_micros += i128::from(accrued.micros);
            }
            CommissionChange::Reattributed { micros, held, .. } => {
                self.conversions += 1;
                self.accrued_micros += i128::from(*micros);
                if *held {
                    self.held_micros += i128::from(*micros);
                }
            }
            CommissionChange::Payable { micros, .. } => self.payable_micros += i128::from(*micros),
            CommissionChange::Reduced {
                micros,
                claws_back,
                held,
                ..
            } => {
                let side = if *claws_back {
                    &mut self.clawed_back_micros
                } else {
                    &mut self.reversed_micros
                };
                *side += i128::from(*micros);
                if *held {
                    self.held_micros -= i128::from(*micros);
                }
            }
            CommissionChange::Held { micros, .. } => self.held_micros += i128::from(*micros),
            CommissionChange::Released { micros, .. } => self.held_micros -= i128::from(*micros),
            CommissionChange::Locked { .. } | CommissionChange::Invalidated { .. } => {}
        }
    }
}

/// Messages and points, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accepted messages by kind.
    pub accepted: BTreeMap<MessageKind, u64>,
    /// Refused messages by kind and code.
    pub refused: BTreeMap<(MessageKind, OutcomeCode), u64>,
    /// Points posted, base and bonus.
    pub issued_points: i64,
    /// Points captured.
    pub redeemed_points: i64,
    /// Points refunded.
    pub refunded_points: i64,
    /// Points expired, less reinstated ones.
    pub expired_points: i64,
    /// Points taken by returns or by repaid debts.
    pub recovered_points: i64,
    /// Points brought in by opening facts.
    pub opened_points: i64,
}

impl Counts {
    /// Accepted messages of a kind.
    #[must_use]
    pub fn accepted(&self, kind: MessageKind) -> u64 {
        self.accepted.get(&kind).copied().unwrap_or(0)
    }

    /// Refused messages of a kind.
    #[must_use]
    pub fn refused(&self, kind: MessageKind) -> u64 {
        self.refused
            .iter()
            .filter(|((k, _), _)| *k == kind)
            .map(|(_, n)| n)
            .sum()
    }

    /// All messages, accepted or refused.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.accepted.values().sum::<u64>() + self.refused.values().sum::<u64>()
    }

    /// Points that are still in lots: what came in less what went out.
    #[must_use]
    pub fn outstanding_points(&self) -> i64 {
        self.opened_points + self.issued_points + self.refunded_points
            - self.redeemed_points
            - self.expired_points
            - self.recovered_points
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, n) in &other.accepted {
            *self.accepted.entry(*kind).or_default() += n;
        }
        for (key, n) in &other.refused {
            *self.refused.entry(*key).or_default() += n;
        }
        self.issued_points += other.issued_points;
        self.redeemed_points += other.redeemed_points;
        self.refunded_points += other.refunded_points;
        self.expired_points += other.expired_points;
        self.recovered_points += other.recovered_points;
        self.opened_points += other.opened_points;
    }
}

/// A cycle and its totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    /// Number.
    pub no: CycleNo,
    /// First instant.
    pub opens_at: Instant,
    /// Scheduled, then actual, closing instant; `None` while open under a manual schedule.
    pub closes_at: Option<Instant>,
    /// State.
    pub state: CycleState,
    /// Entry of the log that cut it.
    pub cut_seq: Option<u64>,
    /// Entry of the log that closed it.
    pub closed_seq: Option<u64>,
    /// Lines of all merchants.
    pub lines: BTreeMap<LineKey, LineTotal>,
    /// Pair view: (funder, credited merchant).
    pub pairs: BTreeMap<(MerchantIx, MerchantIx), PairTotal>,
    /// The hub's side.
    pub hub: HubTotals,
    /// Messages and points.
    pub counts: Counts,
    /// Base points that each merchant's accepted accruals earned, for its earn cap.
    pub earned: BTreeMap<MerchantIx, i64>,
    /// Commissions, by affiliate and merchant.
    pub commissions: BTreeMap<(MerchantIx, MerchantIx), CommissionTotal>,
    /// Hash of its canonical bytes, as its closing entry has it.
    pub digest: Option<[u8; 32]>,
}

impl CycleTotals {
    pub(crate) fn new(no: CycleNo, opens_at: Instant, closes_at: Option<Instant>) -> Self {
        Self {
            no,
            opens_at,
            closes_at,
            state: CycleState::Open,
            cut_seq: None,
            closed_seq: None,
            lines: BTreeMap::new(),
            pairs: BTreeMap::new(),
            hub: HubTotals::default(),
            counts: Counts::default(),
            earned: BTreeMap::new(),
            commissions: BTreeMap::new(),
            digest: None,
        }
    }

    /// What a merchant owes (positive) or is owed, micro-units.
    #[must_use]
    pub fn net(&self, merchant: MerchantIx) -> i128 {
        self.lines_of(merchant).map(|(_, total)| total.micros).sum()
    }

    /// Nets of all merchants with a line, micro-units.
    #[must_use]
    pub fn nets(&self) -> BTreeMap<MerchantIx, i128> {
        let mut nets = BTreeMap::new();
        for (key, total) in &self.lines {
            *nets.entry(key.merchant).or_default() += total.micros;
        }
        nets
    }

    /// Lines of a merchant, in order.
    pub fn lines_of(&self, merchant: MerchantIx) -> impl Iterator<Item = (&LineKey, &LineTotal)> {
        let first = LineKey {
            merchant,
            kind: LineKind::BaseAccrual,
            counterparty: None,
            late: false,
        };
        self.lines
            .range(first..)
            .take_while(move |(key, _)| key.merchant == merchant)
    }

    /// What each merchant owes each other by BURN points used, netted per ordered pair, and to the hub (`None`) for the rest. Obligations of
    /// a merchant, less what others owe it, are its net. Micro-units; negative = the other way round.
    #[must_use]
    pub fn obligations(&self) -> BTreeMap<(MerchantIx, Option<MerchantIx>), i128> {
        let mut owed: BTreeMap<(MerchantIx, Option<MerchantIx>), i128> = BTreeMap::new();
        let mut to_hub = self.nets();
        for ((funder, merchant), pair) in self
            .pairs
            .iter()
            .filter(|((f, m), p)| f != m && p.owed_micros != 0)
        {
            *to_hub.entry(*funder).or_default() -= pair.owed_micros;
            *to_hub.entry(*merchant).or_default() += pair.owed_micros;
            let (from, to, micros) = if funder < merchant {
                (*funder, *merchant, pair.owed_micros)
            } else {
                (*merchant, *funder, -pair.owed_micros)
            };
            *owed.entry((from, Some(to))).or_default() += micros;
        }
        owed.extend(
            to_hub
                .into_iter()
                .map(|(merchant, micros)| ((merchant, None), micros)),
        );
        owed.retain(|_, micros| *micros != 0);
        owed
    }

    /// The bytes whose hash is the cycle's digest: all that its events add up to, canonically encoded. The same from the
    /// moment its last event is in: state, the place of its closing entry and this hash are left out.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        // Serialising plain data into a growing vector has no way to fail.
        postcard::to_extend(
            &Self {
                state: CycleState::Closed,
                closed_seq: None,
                digest: None,
                ..self.clone()
            },
            Vec::new(),
        )
        .unwrap_or_default()
    }

    pub(crate) fn post(&mut self, legs: &Legs, pairs: &[PairMove], late: bool) {
        for leg in legs {
            match leg.account {
                Account::Clearing(merchant) => {
                    if let Some((kind, counterparty)) = leg.line {
                        let total = self
                            .lines
                            .entry(LineKey {
                                merchant,
                                kind,
                                counterparty,
                                late,
                            })
                            .or_default();
                        total.count += 1;
                        total.points += leg.points;
                        total.micros += leg.micros;
                    }
                }
                // Cash and its reserve come together and leave the nets alone.
                Account::Bank => self.hub.reserve_micros -= leg.micros,
                Account::Reserve => self.hub.reserve_micros -= leg.micros,
                Account::ServiceFee => self.hub.service_fee_micros -= leg.micros,
                Account::RedemptionFee => self.hub.redemption_fee_micros -= leg.micros,
                Account::Breakage => self.hub.breakage_micros -= leg.micros,
                Account::Adjustments => self.hub.adjustment_micros -= leg.micros,
                Account::CommissionReserve(_) => self.hub.commission_micros -= leg.micros,
            }
        }
        for pair in pairs {
            let total = self.pairs.entry((pair.funder, pair.merchant)).or_default();
            total.points += pair.points;
            total.micros += pair.micros;
            if pair.owed {
                total.owed_micros += pair.micros;
            }
        }
    }

    /// A conversion's account changed.
    pub(crate) fn commission(&mut self, change: &CommissionChange) {
        if let Some((affiliate, merchant)) = change.parties() {
            let total = self.commissions.entry((affiliate, merchant)).or_default();
            total.change(change);
        }
    }

    /// Nets sum to the hub's side, and lines for information carry no money.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.lines.values().map(|total| total.micros).sum::<i128>() == self.hub.sum()
            && self
                .lines
                .iter()
                .all(|(key, total)| !key.kind.is_information() || total.micros == 0)
    }
}
