//! Versioned terms: the programme's, and one contract per merchant. Read by event time; never changed backwards.

use crate::calendar::{ExpiryRule, Zone};
use crate::finance::{NettingMethod, Party};
use crate::ids::{Instant, MerchantIx};
use crate::money::{BPS, Currency, MAX_MICROS_PER_POINT, Rate};
use crate::schedule::CycleCalendar;
use serde::{Deserialize, Serialize};

/// Who carries the value of open points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FundingMode {
    /// The funder pays the reserve price when points are issued.
    Issue,
    /// The funder pays when points are used.
    Burn,
}

/// What happens to returned points that the member no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NegativeBalance {
    /// The member owes them to the funder whose points they were.
    Debt,
    /// They are forgiven, and not credited.
    Floor,
    /// The return is refused with INSUFFICIENT_POINTS.
    Reject,
}

/// A bank account with its holder's address, as banks want it in a payment. Text is kept as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankDetails {
    /// Holder, as the bank knows it.
    pub holder_name: String,
    /// IBAN.
    pub iban: String,
    /// BIC; empty where the IBAN is enough.
    pub bic: String,
    /// Street.
    pub street_name: String,
    /// Number of the building.
    pub building_number: String,
    /// Post code.
    pub post_code: String,
    /// Town.
    pub town_name: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: String,
}

/// One step of the published order in which a loss is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossShare {
    /// Who bears it.
    pub bearer: Party,
    /// Of the loss that is left before this step, basis points.
    pub share_bps: u32,
    /// At most this, micro-units.
    pub limit_micros: Option<i64>,
}

/// How the alliance settles. By default MULTILATERAL, losses are the hub's, no warnings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettlementTerms {
    /// How a settlement nets where its proposal does not say otherwise.
    pub method: NettingMethod,
    /// Who bears what a merchant in default owes beyond its own money, in this order. The last step is the hub with everything;
    /// empty means only that step.
    pub loss_shares: Vec<LossShare>,
    /// Where the hub's own payments leave from and arrive.
    pub bank_details: Option<Box<BankDetails>>,
    /// Shares of cap plus collateral at which to warn, basis points, ascending.
    pub warning_thresholds_bps: Vec<u32>,
}

impl SettlementTerms {
    /// Whether numbers are in range, and the order of losses ends with the hub.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let rising = self.warning_thresholds_bps.windows(2).all(|w| w[0] < w[1]);
        let shares = self.loss_shares.iter().all(|share| {
            share.share_bps <= BPS
                && share
                    .limit_micros
                    .is_none_or(|limit| (0..=i64::MAX / 4).contains(&limit))
        });
        let ends_with_hub = self.loss_shares.last().is_none_or(|last| {
            last.bearer == Party::Hub && last.share_bps == BPS && last.limit_micros.is_none()
        });
        rising && self.warning_thresholds_bps.first() != Some(&0) && shares && ends_with_hub
    }
}

/// The alliance's own terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgrammeTerms {
    /// Settlement currency of every amount; never changes.
    pub currency: Currency,
    /// Reserve price, micro-units per point.
    pub reserve_micros: i64,
    /// Zone of business dates.
    pub zone: Zone,
    /// When points expire.
    pub expiry: ExpiryRule,
    /// What a return does beyond the balance.
    pub negative_balance: NegativeBalance,
    /// When cycles close.
    pub cycles: CycleCalendar,
    /// How the alliance settles.
    pub settlement: SettlementTerms,
}

impl ProgrammeTerms {
    /// Whether every number is in range.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        (0..=MAX_MICROS_PER_POINT).contains(&self.reserve_micros)
            && self.expiry.is_valid()
            && self.cycles.is_valid()
            && self.settlement.is_valid()
    }

    /// When a cycle closes that opens at an instant at which these terms hold; `None` = by hand only.
    #[must_use]
    pub fn next_close(&self, opens_at: Instant) -> Option<Instant> {
        self.cycles.next_close(opens_at, self.zone)
    }
}

/// A terms version of the programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgrammeVersion {
    /// First event time that the terms govern.
    pub effective_at: Instant,
    /// The terms.
    pub terms: ProgrammeTerms,
}

/// Who turns amounts into points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PointsComputedBy {
    /// The hub; a claimed number is only compared.
    Hub,
    /// The merchant; the number it sends counts.
    Merchant,
}

/// One merchant's terms. Limits of `None` mean "no limit".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractTerms {
    /// Who carries the value of open points.
    pub funding: FundingMode,
    /// Points per currency unit.
    pub earn_rate: Rate,
    /// Who turns amounts into points.
    pub computed_by: PointsComputedBy,
    /// Whether accruals stay PENDING until their return window ends (needs `return_days`).
    pub pending: bool,
    /// How old an event may be when it is decided, microseconds.
    pub max_late_micros: i64,
    /// Whether a return gives the service fee back.
    pub refunds_service_fee: bool,
    /// Service fee, micro-units per point.
    pub service_fee_micros: i64,
    /// Redemption fee, basis points of the redeemed value.
    pub redemption_fee_bps: u32,
    /// The funder's share of breakage, basis points of the expired value.
    pub breakage_share_bps: u32,
    /// Most base points that the merchant's accruals may earn in one cycle.
    pub earn_cap_points: Option<i64>,
    /// Net debit cap, micro-units.
    pub net_debit_cap_micros: Option<i64>,
    /// Collateral, micro-units; it raises the cap.
    pub collateral_micros: i64,
    /// Share of open BURN points that counts as exposure, basis points; the full value is 10,000.
    pub exposure_redemption_bps: u32,
    /// Authorisation time to live, microseconds.
    pub authorisation_ttl_micros: i64,
    /// Whole business days in which a return or a refund is accepted; the window ends at 00:00 of the event date + days + 1.
    pub return_days: Option<u32>,
    /// Days in which a statement may be disputed.
    pub dispute_days: u32,
    /// Fewest points of an authorisation.
    pub minimum_burn_points: i64,
    /// Tax category of the fees, as invoices name it.
    pub tax_category: String,
    /// Tax rate on the fees in percent. Data for invoices, takes no part in settlement.
    #[serde(default)]
    pub tax_rate_percent: Option<Rate>,
    /// Where payments go, as the bank names it. Kept for terms without `bank_details`.
    pub settlement_account: String,
    /// Account and address.
    #[serde(default)]
    pub bank_details: Option<Box<BankDetails>>,
    /// Smallest payment that the hub makes to the merchant; less is carried forward. Micro-units; 0 = none.
    #[serde(default)]
    pub minimum_payout_micros: i64,
    /// Share of every payment to the merchant that is held back, basis points.
    #[serde(default)]
    pub holdback_bps: u32,
}

impl ContractTerms {
    /// Plain terms: ISSUE, hub computes, posts at once, one day late, no caps, 30 minutes to capture, no return limit, no fees.
    #[must_use]
    pub fn plain(funding: FundingMode, earn_rate: Rate) -> Self {
        Self {
            funding,
            earn_rate,
            computed_by: PointsComputedBy::Hub,
            pending: false,
            max_late_micros: 86_400_000_000,
            refunds_service_fee: false,
            service_fee_micros: 0,
            redemption_fee_bps: 0,
            breakage_share_bps: 0,
            earn_cap_points: None,
            net_debit_cap_micros: None,
            collateral_micros: 0,
            exposure_redemption_bps: BPS,
            authorisation_ttl_micros: 1_800_000_000,
            return_days: None,
            dispute_days: 0,
            minimum_burn_points: 1,
            tax_category: String::new(),
            tax_rate_percent: None,
            settlement_account: String::new(),
            bank_details: None,
            minimum_payout_micros: 0,
            holdback_bps: 0,
        }
    }

    /// Whether every number is in range and `pending` has a window.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let positive = [
            self.max_late_micros,
            self.collateral_micros,
            self.minimum_burn_points,
            self.authorisation_ttl_micros,
            self.net_debit_cap_micros.unwrap_or(0),
            self.earn_cap_points.unwrap_or(0),
            self.minimum_payout_micros,
        ];
        (0..=MAX_MICROS_PER_POINT).contains(&self.service_fee_micros)
            && [
                self.redemption_fee_bps,
                self.breakage_share_bps,
                self.exposure_redemption_bps,
                self.holdback_bps,
            ]
            .iter()
            .all(|bps| *bps <= BPS)
            && positive.iter().all(|n| (0..=i64::MAX / 4).contains(n))
            && self.return_days.is_none_or(|days| days <= 36_500)
            && (!self.pending || self.return_days.is_some())
    }

    /// The account that payments go to, as the bank names it; empty where the terms name none.
    #[must_use]
    pub fn account(&self) -> &str {
        self.bank_details
            .as_ref()
            .map_or(&self.settlement_account, |bank| &bank.iban)
    }

    /// First instant at which a return of an event is too late.
    #[must_use]
    pub fn window_end(&self, event_time: Instant, zone: Zone) -> Instant {
        self.return_days.map_or(Instant::NEVER, |days| {
            zone.midnight_after_days(event_time, days + 1)
        })
    }
}

/// A terms version of one merchant's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractVersion {
    /// Whose contract.
    pub merchant: MerchantIx,
    /// First event time that the terms govern.
    pub effective_at: Instant,
    /// The terms.
    pub terms: ContractTerms,
}

/// What a participant may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// May send accruals.
    pub earn: bool,
    /// May send authorisations.
    pub burn: bool,
    /// May be paid for traffic.
    pub affiliate: bool,
}

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MerchantState {
    /// Not yet live: refuses every message.
    Onboarding,
    /// Live.
    Active,
    /// Refuses new accruals.
    BurnOnly,
    /// Refuses new accruals and new authorisations.
    WindingDown,
    /// Accepts only voids, refunds and returns.
    Suspended,
    /// Gone for good: refuses every message.
    Closed,
}

/// A participant of the alliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// The id that the outside uses.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// Roles.
    pub roles: Roles,
    /// State.
    pub state: MerchantState,
}
