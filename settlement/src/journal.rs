//! Journals: the legs of each effect, derived from the effect and the price book alone. They sum to 0, and the aggregates use these very legs.

use crate::effect::{Change, NewAccrual, PartPoints};
use crate::ids::{MerchantIx, Pos, PriceId};
use crate::price::{Price, PriceBook};
use crate::redemption::{Use, value};
use crate::terms::FundingMode;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// An account of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Account {
    /// 1100.m: clearing of a merchant. A debit balance is what it owes.
    Clearing(MerchantIx),
    /// 1200: bank.
    Bank,
    /// 2100: points reserve.
    Reserve,
    /// 4100: service fees.
    ServiceFee,
    /// 4200: redemption fees.
    RedemptionFee,
    /// 4300: breakage.
    Breakage,
    /// 4900: adjustments that the hub bears.
    Adjustments,
    /// 2200.m: commission reserve of a merchant. Its credit balance is what affiliates may still get.
    CommissionReserve(MerchantIx),
}

/// The statement line that a leg on a merchant's clearing account belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LineKind {
    /// Base points of own accruals, ISSUE: price and fee.
    BaseAccrual,
    /// Own share of promotions, ISSUE: price and fee.
    PromotionShare,
    /// Base points of own accruals, BURN: fee.
    BaseFee,
    /// Own share of promotions, BURN: fee.
    PromotionFee,
    /// Own BURN points used at the counterparty.
    PointsConsumed,
    /// Of those, points that came back by refunds.
    PointsConsumedRefunded,
    /// Own BURN points taken for the counterparty's reversal.
    PointsTaken,
    /// Own BURN points that repaid the counterparty's debt.
    DebtRepaid,
    /// Redemptions here: value less fee.
    Redemption,
    /// Refunds of redemptions here.
    RedemptionRefund,
    /// Own points recovered by returns or by repaid debts, from whomever they came.
    ReversalRecovered,
    /// Service fee that came back with recovered points.
    ServiceFeeRefund,
    /// Own share of expired points.
    BreakageShare,
    /// Breakage share taken back because points were reinstated.
    BreakageShareReversed,
    /// Own open BURN points paid into the reserve.
    Prefunding,
    /// A correction by finance, against the counterparty or the hub.
    Adjustment,
    /// Commissions of the counterparty, an affiliate, that accrued here.
    CommissionFunded,
    /// Of those, what was taken back.
    CommissionReversed,
    /// Own commissions that became payable, from the counterparty.
    Commission,
    /// Of those, what was taken back.
    CommissionClawback,
    /// For information: points claimed back by returns.
    ReversalClaimed,
    /// For information: of those, points that members came to owe.
    DebtOpened,
    /// For information: owed points that were repaid.
    DebtSettled,
    /// For information: claimed points that were forgiven.
    Forgiven,
    /// For information: BURN points that expired without a journal.
    BurnExpired,
}

impl LineKind {
    /// All kinds, in the order of a statement.
    pub const ALL: [Self; 25] = [
        Self::BaseAccrual,
        Self::PromotionShare,
        Self::BaseFee,
        Self::PromotionFee,
        Self::PointsConsumed,
        Self::PointsConsumedRefunded,
        Self::PointsTaken,
        Self::DebtRepaid,
        Self::Redemption,
        Self::RedemptionRefund,
        Self::ReversalRecovered,
        Self::ServiceFeeRefund,
        Self::BreakageShare,
        Self::BreakageShareReversed,
        Self::Prefunding,
        Self::Adjustment,
        Self::CommissionFunded,
        Self::CommissionReversed,
        Self::Commission,
        Self::CommissionClawback,
        Self::ReversalClaimed,
        Self::DebtOpened,
        Self::DebtSettled,
        Self::Forgiven,
        Self::BurnExpired,
    ];

    /// The kind of a stable name.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The stable name.
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
            Self::BreakageShareReversed => "BREAKAGE_SHARE_REVERSED",
            Self::Prefunding => "PREFUNDING",
            Self::Adjustment => "ADJUSTMENT",
            Self::CommissionFunded => "COMMISSION_FUNDED",
            Self::CommissionReversed => "COMMISSION_REVERSED",
            Self::Commission => "COMMISSION",
            Self::CommissionClawback => "COMMISSION_CLAWBACK",
            Self::ReversalClaimed => "REVERSAL_CLAIMED",
            Self::DebtOpened => "DEBT_OPENED",
            Self::DebtSettled => "DEBT_SETTLED",
            Self::Forgiven => "FORGIVEN",
            Self::BurnExpired => "BURN_EXPIRED",
        }
    }

    /// Whether the line carries points only, never money.
    #[must_use]
    pub const fn is_information(self) -> bool {
        match self {
            Self::ReversalClaimed
            | Self::DebtOpened
            | Self::DebtSettled
            | Self::Forgiven
            | Self::BurnExpired => true,
            Self::BaseAccrual
            | Self::PromotionShare
            | Self::BaseFee
            | Self::PromotionFee
            | Self::PointsConsumed
            | Self::PointsConsumedRefunded
            | Self::PointsTaken
            | Self::DebtRepaid
            | Self::Redemption
            | Self::RedemptionRefund
            | Self::ReversalRecovered
            | Self::ServiceFeeRefund
            | Self::BreakageShare
            | Self::BreakageShareReversed
            | Self::Prefunding
            | Self::Adjustment
            | Self::CommissionFunded
            | Self::CommissionReversed
            | Self::Commission
            | Self::CommissionClawback => false,
        }
    }
}

/// One leg of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The account.
    pub account: Account,
    /// Micro-units; a debit is positive, a credit negative.
    pub micros: i128,
    /// The points that the leg is about; 0 where another leg of the line already counts them.
    pub points: i64,
    /// The line on the statement of the account's merchant; `None` on the hub's accounts.
    pub line: Option<(LineKind, Option<MerchantIx>)>,
}

/// Legs of one effect.
pub type Legs = SmallVec<[Leg; 4]>;

/// A move of points from a funder to the merchant that is credited for them: the pair view. Refunds are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairMove {
    /// Whose points.
    pub funder: MerchantIx,
    /// Who is credited.
    pub merchant: MerchantIx,
    /// Points.
    pub points: i64,
    /// Reserve value, micro-units.
    pub micros: i128,
    /// Whether the funder owes the value (BURN); otherwise the pair is information.
    pub owed: bool,
}

/// The journal of an effect applied at a place in the log. Empty where the effect moves no value; sums to 0.
#[must_use]
pub fn journal(change: &Change, book: &PriceBook, pos: Pos) -> Legs {
    let mut j = Journal {
        book,
        pos,
        legs: Legs::new(),
    };
    match change {
        Change::Accrued { accrual, .. } => j.accrual(&accrual.parts),
        Change::PendingPosted { parts, .. } => j.accrual(parts),
        Change::Returned { claimed, .. } => {
            for (price, points) in claimed.iter().filter(|(_, points)| *points > 0) {
                j.note(book.get(*price).funder, LineKind::ReversalClaimed, *points);
            }
        }
        Change::Taken {
            price,
            reversed,
            points,
            ..
        } => j.recover(*price, *reversed, *points, LineKind::PointsTaken),
        Change::Repaid {
            creditor,
            price,
            points,
            ..
        } => {
            j.recover(*price, *creditor, *points, LineKind::DebtRepaid);
            j.note(book.get(*creditor).funder, LineKind::DebtSettled, *points);
        }
        Change::Owed { creditor, points } => {
            j.note(book.get(*creditor).funder, LineKind::DebtOpened, *points)
        }
        Change::Forgiven { reversed, points } => {
            j.note(book.get(*reversed).funder, LineKind::Forgiven, *points)
        }
        Change::Captured {
            merchant,
            fee_micros,
            uses,
            ..
        } => j.redemption(*merchant, i128::from(*fee_micros), uses, 1),
        Change::Refunded {
            merchant,
            fee_micros,
            uses,
            ..
        } => j.redemption(*merchant, i128::from(*fee_micros), uses, -1),
        Change::Expired {
            price,
            points,
            share_micros,
            ..
        } => j.expiry(*price, *points, i128::from(*share_micros), 1),
        Change::Reinstated {
            lot,
            points,
            share_micros,
        } => j.expiry(lot.price, *points, i128::from(*share_micros), -1),
        Change::Opened { lot } => {
            let price = book.get(lot.price);
            if price.mode_at(pos) == FundingMode::Issue {
                j.hub(Account::Bank, price.value(lot.remaining));
                j.hub(Account::Reserve, -price.value(lot.remaining));
            }
        }
        Change::Commission(change) => return change.journal(),
        Change::Refused { .. }
        | Change::Pended { .. }
        | Change::PendingLowered { .. }
        | Change::Held { .. }
        | Change::Released { .. }
        | Change::ExpiryMoved { .. }
        | Change::Pruned { .. }
        | Change::Calendar { .. }
        | Change::MergedOut { .. }
        | Change::MergedIn(_) => {}
    }
    j.legs
}

/// The journal of paying a funder's open BURN points into the reserve, per price entry and its open points.
#[must_use]
pub fn prefunding_journal(funder: MerchantIx, open: &[(Price, i64)]) -> Legs {
    let mut legs = Legs::new();
    for (price, points) in open.iter().filter(|(_, points)| *points > 0) {
        let value = price.value(*points);
        legs.push(Leg {
            account: Account::Clearing(funder),
            micros: value,
            points: *points,
            line: Some((LineKind::Prefunding, None)),
        });
        legs.push(Leg {
            account: Account::Reserve,
            micros: -value,
            points: 0,
            line: None,
        });
    }
    legs
}

/// The moves of the pair view of an effect.
#[must_use]
pub fn pair_moves(change: &Change, book: &PriceBook, pos: Pos) -> SmallVec<[PairMove; 2]> {
    let to = |merchant, price: PriceId, points: i64| {
        let price = book.get(price);
        PairMove {
            funder: price.funder,
            merchant,
            points,
            micros: price.value(points),
            owed: price.mode_at(pos) == FundingMode::Burn,
        }
    };
    match change {
        Change::Captured { merchant, uses, .. } => uses
            .iter()
            .map(|u| to(*merchant, u.price, u.points))
            .collect(),
        Change::Refunded { merchant, uses, .. } => uses
            .iter()
            .map(|u| to(*merchant, u.price, -u.points))
            .collect(),
        Change::Taken {
            price,
            reversed,
            points,
            ..
        } => [to(book.get(*reversed).funder, *price, *points)]
            .into_iter()
            .collect(),
        Change::Repaid {
            creditor,
            price,
            points,
            ..
        } => [to(book.get(*creditor).funder, *price, *points)]
            .into_iter()
            .collect(),
        Change::Refused { .. }
        | Change::Accrued { .. }
        | Change::Pended { .. }
        | Change::PendingPosted { .. }
        | Change::PendingLowered { .. }
        | Change::Returned { .. }
        | Change::Owed { .. }
        | Change::Forgiven { .. }
        | Change::Held { .. }
        | Change::Released { .. }
        | Change::Expired { .. }
        | Change::ExpiryMoved { .. }
        | Change::Pruned { .. }
        | Change::Calendar { .. }
        | Change::Opened { .. }
        | Change::MergedOut { .. }
        | Change::MergedIn(_)
        | Change::Commission(_)
        | Change::Reinstated { .. } => SmallVec::new(),
    }
}

/// Points that an accrual would debit its funders for: the exposure that a pending one adds, micro-units per part.
#[must_use]
pub(crate) fn pending_value(part: &PartPoints, book: &PriceBook) -> (MerchantIx, i128) {
    let price = book.get(part.price);
    (
        price.funder,
        price.value(part.points) + price.fee(part.points),
    )
}

/// The pending value of all parts of an accrual, by funder.
pub(crate) fn pending_values<'a>(
    accrual: &'a NewAccrual,
    book: &'a PriceBook,
) -> impl Iterator<Item = (MerchantIx, i128)> + 'a {
    accrual.parts.iter().map(|part| pending_value(part, book))
}

struct Journal<'a> {
    book: &'a PriceBook,
    pos: Pos,
    legs: Legs,
}

impl Journal<'_> {
    fn hub(&mut self, account: Account, micros: i128) {
        if micros != 0 {
            self.legs.push(Leg {
                account,
                micros,
                points: 0,
                line: None,
            });
        }
    }

    fn merchant(
        &mut self,
        merchant: MerchantIx,
        line: LineKind,
        counterparty: Option<MerchantIx>,
        points: i64,
        micros: i128,
    ) {
        self.legs.push(Leg {
            account: Account::Clearing(merchant),
            micros,
            points,
            line: Some((line, counterparty)),
        });
    }

    fn note(&mut self, merchant: MerchantIx, line: LineKind, points: i64) {
        self.merchant(merchant, line, None, points, 0);
    }

    fn accrual(&mut self, parts: &[PartPoints]) {
        for part in parts.iter().filter(|part| part.points > 0) {
            let price = self.book.get(part.price);
            let (value, fee) = (price.value(part.points), price.fee(part.points));
            let bonus = part.promotion.is_some();
            match price.mode_at(self.pos) {
                FundingMode::Issue => {
                    let line = if bonus {
                        LineKind::PromotionShare
                    } else {
                        LineKind::BaseAccrual
                    };
                    self.merchant(price.funder, line, None, part.points, value + fee);
                    self.hub(Account::Reserve, -value);
                }
                FundingMode::Burn => {
                    let line = if bonus {
                        LineKind::PromotionFee
                    } else {
                        LineKind::BaseFee
                    };
                    self.merchant(price.funder, line, None, part.points, fee);
                }
            }
            self.hub(Account::ServiceFee, -fee);
        }
    }

    /// Points of a lot go to the funder of a reversed part, at the lot's own price.
    fn recover(&mut self, lot: PriceId, reversed: PriceId, points: i64, line: LineKind) {
        let (lot, reversed) = (self.book.get(lot), self.book.get(reversed));
        let value = lot.value(points);
        match lot.mode_at(self.pos) {
            FundingMode::Issue => self.hub(Account::Reserve, value),
            FundingMode::Burn => {
                self.merchant(lot.funder, line, Some(reversed.funder), points, value)
            }
        }
        self.merchant(
            reversed.funder,
            LineKind::ReversalRecovered,
            None,
            points,
            -value,
        );
        let fee = reversed.fee_back(points);
        if fee != 0 {
            self.hub(Account::ServiceFee, fee);
            self.merchant(
                reversed.funder,
                LineKind::ServiceFeeRefund,
                None,
                points,
                -fee,
            );
        }
    }

    /// A capture (`sign` 1) or its refund (-1) at a merchant.
    fn redemption(&mut self, merchant: MerchantIx, fee: i128, uses: &[Use], sign: i128) {
        for u in uses {
            let price = self.book.get(u.price);
            let micros = price.value(u.points) * sign;
            match price.mode_at(self.pos) {
                FundingMode::Issue => self.hub(Account::Reserve, micros),
                FundingMode::Burn => {
                    let line = if sign > 0 {
                        LineKind::PointsConsumed
                    } else {
                        LineKind::PointsConsumedRefunded
                    };
                    self.merchant(price.funder, line, Some(merchant), u.points, micros);
                }
            }
        }
        let line = if sign > 0 {
            LineKind::Redemption
        } else {
            LineKind::RedemptionRefund
        };
        let points = crate::redemption::points(uses);
        self.merchant(
            merchant,
            line,
            None,
            points,
            (fee - value(uses, self.book)) * sign,
        );
        self.hub(Account::RedemptionFee, -fee * sign);
    }

    /// An expiry (`sign` 1) or its reversal (-1).
    fn expiry(&mut self, price: PriceId, points: i64, share: i128, sign: i128) {
        let price = self.book.get(price);
        match price.mode_at(self.pos) {
            FundingMode::Issue => {
                let value = price.value(points);
                let line = if sign > 0 {
                    LineKind::BreakageShare
                } else {
                    LineKind::BreakageShareReversed
                };
                self.hub(Account::Reserve, value * sign);
                self.merchant(price.funder, line, None, points, -share * sign);
                self.hub(Account::Breakage, (share - value) * sign);
            }
            FundingMode::Burn => {
                if sign > 0 {
                    self.note(price.funder, LineKind::BurnExpired, points);
                }
            }
        }
    }
}
