//! Steps that move money, as they are proposed. Data only: what they need and what they do stands with their nouns.

use crate::ids::{CycleNo, DisputeNo, ExceptionNo, MerchantIx, PaymentNo, QueryNo, ReportNo};
use crate::journal::LineKind;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The hub or a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Party {
    /// The alliance's hub.
    Hub,
    /// A merchant.
    Merchant(MerchantIx),
}

impl Party {
    /// The merchant, where it is one.
    #[must_use]
    pub const fn merchant(self) -> Option<MerchantIx> {
        match self {
            Self::Hub => None,
            Self::Merchant(merchant) => Some(merchant),
        }
    }
}

impl From<Option<MerchantIx>> for Party {
    fn from(merchant: Option<MerchantIx>) -> Self {
        merchant.map_or(Self::Hub, Self::Merchant)
    }
}

/// Who pays whom for the obligations of a cycle.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum NettingMethod {
    /// Each obligation by itself.
    Gross,
    /// The difference of each pair.
    Bilateral,
    /// One payment for each merchant, with the hub as counterparty.
    #[default]
    Multilateral,
    /// The maximum circulation is set off; no new relation, none larger; what is left is paid.
    CycleClearing,
    /// Few payments that give everybody its net; new relations appear.
    MinTransfers,
    /// The greatest clearing vector when somebody cannot pay in full: SUSPENDED merchants pay only out of what they are paid.
    ClearingVector,
}

impl NettingMethod {
    /// All methods, in the order in which they are compared.
    pub const ALL: [Self; 6] = [
        Self::Gross,
        Self::Bilateral,
        Self::Multilateral,
        Self::CycleClearing,
        Self::MinTransfers,
        Self::ClearingVector,
    ];

    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Gross => "GROSS",
            Self::Bilateral => "BILATERAL",
            Self::Multilateral => "MULTILATERAL",
            Self::CycleClearing => "CYCLE_CLEARING",
            Self::MinTransfers => "MIN_TRANSFERS",
            Self::ClearingVector => "CLEARING_VECTOR",
        }
    }

    /// The method of a stable name.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }
}

/// A step that moves money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Settle a closed cycle: becomes its payment instructions.
    SettleCycle(SettleCycle),
    /// Give up a settlement of which nothing was submitted; what it would have paid is brought forward.
    AbortSettlement {
        /// The cycle.
        cycle: CycleNo,
    },
    /// Correct what closed cycles got wrong, in the open cycle.
    Adjustment(Adjustment),
    /// Pay again what was rejected or returned, to the account that the contract names now.
    ReinstructPayment {
        /// The payment.
        payment: PaymentNo,
    },
    /// Bring what was rejected or returned, or was never paid by the merchant that was asked, forward into the next settlement.
    CarryForwardPayment {
        /// The payment.
        payment: PaymentNo,
    },
    /// Post what a bank report confirmed.
    PostReconciliation {
        /// The report.
        report: ReportNo,
    },
    /// Match an exception by hand.
    MatchException {
        /// The exception.
        exception: ExceptionNo,
        /// The payments that it confirms (or gives back, where its entry is a return).
        payments: Vec<PaymentNo>,
    },
    /// Give held-back money free: it is brought forward into the merchant's next settlement.
    ReleaseHoldback {
        /// The merchant.
        merchant: MerchantIx,
        /// At most what is held back, micro-units.
        amount_micros: i64,
    },
    /// Share what a merchant in default owes.
    DeclareDefault {
        /// The merchant; SUSPENDED.
        merchant: MerchantIx,
        /// What is shared, micro-units.
        amount_micros: i64,
    },
    /// A merchant pays for points ahead.
    PrepaidPack {
        /// The merchant.
        merchant: MerchantIx,
        /// What it paid, micro-units.
        amount_micros: i64,
        /// The bank's or the invoice's reference; once per merchant, for ever.
        reference: String,
    },
    /// A merchant that leaves pays its open BURN points into the reserve; its lots become ISSUE.
    PrefundPoints {
        /// The merchant; it takes no new accruals any more.
        merchant: MerchantIx,
    },
}

impl Action {
    /// The stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SettleCycle(_) => "SETTLE_CYCLE",
            Self::AbortSettlement { .. } => "ABORT_SETTLEMENT",
            Self::Adjustment(_) => "ADJUSTMENT",
            Self::ReinstructPayment { .. } => "REINSTRUCT_PAYMENT",
            Self::CarryForwardPayment { .. } => "CARRY_FORWARD_PAYMENT",
            Self::PostReconciliation { .. } => "POST_RECONCILIATION",
            Self::MatchException { .. } => "MATCH_EXCEPTION",
            Self::ReleaseHoldback { .. } => "RELEASE_HOLDBACK",
            Self::DeclareDefault { .. } => "DECLARE_DEFAULT",
            Self::PrepaidPack { .. } => "PREPAID_PACK",
            Self::PrefundPoints { .. } => "PREFUND_POINTS",
        }
    }

    /// Whether two of them, waiting at the same time, would act on the same thing, so that the second is refused.
    pub(crate) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SettleCycle(a), Self::SettleCycle(b)) => a.cycle == b.cycle,
            (Self::AbortSettlement { cycle: a }, Self::AbortSettlement { cycle: b }) => a == b,
            (Self::PostReconciliation { report: a }, Self::PostReconciliation { report: b }) => {
                a == b
            }
            (
                Self::DeclareDefault { merchant: a, .. },
                Self::DeclareDefault { merchant: b, .. },
            ) => a == b,
            (Self::PrefundPoints { merchant: a }, Self::PrefundPoints { merchant: b }) => a == b,
            (
                Self::PrepaidPack {
                    merchant,
                    reference,
                    ..
                },
                Self::PrepaidPack {
                    merchant: m,
                    reference: r,
                    ..
                },
            ) => merchant == m && reference == r,
            (Self::Adjustment(a), Self::Adjustment(b)) => {
                (a.dispute.is_some() && a.dispute == b.dispute)
                    || (a.query.is_some() && a.query == b.query)
                    || (a.exception.is_some() && a.exception == b.exception)
            }
            (Self::Adjustment(a), Self::MatchException { exception, .. })
            | (Self::MatchException { exception, .. }, Self::Adjustment(a)) => {
                a.exception == Some(*exception)
            }
            _ => {
                self.payments().iter().any(|p| other.payments().contains(p))
                    || matches!(
                        (self, other),
                        (Self::MatchException { exception: a, .. }, Self::MatchException { exception: b, .. })
                            if a == b
                    )
            }
        }
    }

    /// Payments that it names.
    #[must_use]
    pub fn payments(&self) -> &[PaymentNo] {
        match self {
            Self::ReinstructPayment { payment } | Self::CarryForwardPayment { payment } => {
                std::slice::from_ref(payment)
            }
            Self::MatchException { payments, .. } => payments,
            Self::SettleCycle(_)
            | Self::AbortSettlement { .. }
            | Self::Adjustment(_)
            | Self::PostReconciliation { .. }
            | Self::ReleaseHoldback { .. }
            | Self::DeclareDefault { .. }
            | Self::PrepaidPack { .. }
            | Self::PrefundPoints { .. } => &[],
        }
    }

    /// The cycle that it settles or gives up.
    #[must_use]
    pub const fn cycle(&self) -> Option<CycleNo> {
        match self {
            Self::SettleCycle(settle) => Some(settle.cycle),
            Self::AbortSettlement { cycle } => Some(*cycle),
            Self::Adjustment(_)
            | Self::ReinstructPayment { .. }
            | Self::CarryForwardPayment { .. }
            | Self::PostReconciliation { .. }
            | Self::MatchException { .. }
            | Self::ReleaseHoldback { .. }
            | Self::DeclareDefault { .. }
            | Self::PrepaidPack { .. }
            | Self::PrefundPoints { .. } => None,
        }
    }
}

/// Settle one closed cycle. Cycles are settled in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleCycle {
    /// The cycle.
    pub cycle: CycleNo,
    /// How.
    pub method: NettingMethod,
    /// CYCLE_CLEARING: set pairs off before longer cycles.
    pub bilateral_first: bool,
    /// Merchants that this settlement leaves out; their nets are brought forward, and the hub stands in for them towards others.
    pub without: Vec<MerchantIx>,
    /// Money that merchants do not get yet.
    pub holdbacks: Vec<Holdback>,
    /// When banks shall execute, a date in the programme's zone; `None` = the day of approval.
    pub execution_date: Option<NaiveDate>,
    /// Settle although a cap is exceeded afterwards.
    pub accept_cap_breach: bool,
}

impl SettleCycle {
    /// A plain settlement of a cycle.
    #[must_use]
    pub const fn new(cycle: CycleNo, method: NettingMethod) -> Self {
        Self {
            cycle,
            method,
            bilateral_first: false,
            without: Vec::new(),
            holdbacks: Vec::new(),
            execution_date: None,
            accept_cap_breach: false,
        }
    }
}

/// Money that a merchant does not get yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdback {
    /// The merchant.
    pub merchant: MerchantIx,
    /// At most what the settlement pays it; micro-units, whole minor units.
    pub amount_micros: i64,
    /// Why.
    pub reason: String,
}

/// Why an adjustment is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AdjustmentReason {
    /// A message came later than the contract's `max_late`.
    LateMessage,
    /// A message was wrong.
    ErroneousMessage,
    /// A message was missing.
    MissingMessage,
    /// A price, rate or fee was not the contract's.
    WrongTerms,
    /// A dispute was accepted or ruled for the merchant.
    Dispute,
    /// What a bank statement showed.
    Reconciliation,
    /// Messages signed by a key that was compromised.
    CompromisedKey,
    /// Goodwill.
    Goodwill,
    /// A merchant's default is shared. Only by DECLARE_DEFAULT.
    DefaultLoss,
    /// A query over a commission was accepted or ruled for the affiliate.
    CommissionQuery,
}

impl AdjustmentReason {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::LateMessage => "LATE_MESSAGE",
            Self::ErroneousMessage => "ERRONEOUS_MESSAGE",
            Self::MissingMessage => "MISSING_MESSAGE",
            Self::WrongTerms => "WRONG_TERMS",
            Self::Dispute => "DISPUTE",
            Self::Reconciliation => "RECONCILIATION",
            Self::CompromisedKey => "COMPROMISED_KEY",
            Self::Goodwill => "GOODWILL",
            Self::DefaultLoss => "DEFAULT_LOSS",
            Self::CommissionQuery => "COMMISSION_QUERY",
        }
    }
}

/// A place in the log that an adjustment or a dispute is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalReference {
    /// The cycle.
    pub cycle: Option<CycleNo>,
    /// The entry; `None` = the line as a whole.
    pub leaf: Option<u64>,
    /// Position in the entry.
    pub entry_position: u32,
    /// Kind of the statement's line.
    pub line: Option<LineKind>,
}

/// A correction, posted to the open cycle when it is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Whose net changes.
    pub merchant: MerchantIx,
    /// Who bears it; the hub by its account 4900.
    pub counterparty: Party,
    /// What `merchant` owes more (+) or less (-), micro-units; the counterparty gets the opposite.
    pub amount_micros: i64,
    /// Why.
    pub reason: AdjustmentReason,
    /// What it corrects.
    pub original: OriginalReference,
    /// The dispute behind it.
    pub dispute: Option<DisputeNo>,
    /// The exception behind it.
    pub exception: Option<ExceptionNo>,
    /// The query behind it.
    pub query: Option<QueryNo>,
}
