//! Between the wire's types and the ledger's: the only place that knows both.

use hansa_proto::v1;
use hansa_settlement as ledger;
use ledger::{
    Bonus, ContractTerms, Currency, ExpiryRule, FundingMode, Instant, MerchantState,
    NegativeBalance, Outcome, OutcomeCode, PointsComputedBy, ProgrammeTerms, Promotion, Rate,
    Roles, Zone,
};
use prost_types::Timestamp;
use rust_decimal::Decimal;

use crate::{
    cycle_calendar,
    error::{FieldError, HubError},
    intake::MAX_VIOLATIONS,
    settlement_terms,
};

const DEFAULT_MAX_LATE_SECONDS: i64 = 30 * 86_400;
const DEFAULT_TTL_SECONDS: i64 = 15 * 60;

/// Microseconds since 1970 of a timestamp; parts of a microsecond are dropped.
pub fn micros(timestamp: &Timestamp) -> i64 {
    timestamp
        .seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(timestamp.nanos) / 1_000)
}

pub use hansa_client::time::timestamp;

/// Collects broken field rules, so that all are told at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// Notes a broken rule.
    pub fn broken(&mut self, field: &str, reason: &'static str, description: impl Into<String>) {
        self.0.push(FieldError {
            field: field.to_owned(),
            reason,
            description: description.into(),
        });
    }

    /// Whether there are as many as a refusal lists; where things are many, looking further is of no use.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_VIOLATIONS
    }

    /// All of them, or nothing.
    pub fn finish<T>(self, value: T) -> Result<T, HubError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(HubError::fields(self.0))
        }
    }

    fn decimal(&mut self, field: &str, text: &str) -> Decimal {
        text.parse().unwrap_or_else(|_| {
            self.broken(
                field,
                "DECIMAL",
                format!("\"{text}\" is not an exact decimal number like 0.008"),
            );
            Decimal::ZERO
        })
    }

    pub(crate) fn zone(&mut self, field: &str, name: &str) -> Option<Zone> {
        let zone = Zone::new(name);
        if zone.is_none() {
            let text = format!("\"{name}\" is not an IANA time zone like Europe/Berlin");
            self.broken(field, "TIME_ZONE", text);
        }
        zone
    }

    fn per_point(&mut self, field: &str, text: &str) -> i64 {
        if text.is_empty() {
            return 0;
        }
        let value = self.decimal(field, text);
        ledger::money::micros_per_point(value).unwrap_or_else(|error| {
            self.broken(field, "PRICE_PER_POINT", format!("{text}: {error}"));
            0
        })
    }

    pub(crate) fn money(&mut self, field: &str, text: &str) -> Option<i64> {
        if text.is_empty() {
            return None;
        }
        let scaled = self
            .decimal(field, text)
            .checked_mul(Decimal::from(1_000_000))
            .map(|d| d.normalize());
        let micros = scaled
            .filter(|d| d.scale() == 0)
            .and_then(|d| i64::try_from(d.mantissa()).ok());
        if !micros.is_some_and(|m| (0..=i64::MAX / 4).contains(&m)) {
            self.broken(
                field,
                "AMOUNT",
                format!("{text}: a non-negative amount with at most 6 decimals"),
            );
            return None;
        }
        micros
    }

    pub(crate) fn rate(&mut self, field: &str, text: &str) -> Rate {
        let value = self.decimal(field, text);
        Rate::new(value).unwrap_or_else(|error| {
            self.broken(field, "RATE", format!("{text}: {error}"));
            Rate::ONE
        })
    }

    fn factor(&mut self, field: &str, text: &str) -> Rate {
        let value = self.decimal(field, text);
        Rate::factor(value).unwrap_or_else(|error| {
            self.broken(field, "MULTIPLIER", format!("{text}: {error}"));
            Rate::ONE
        })
    }
}

/// Terms of the programme. `merchant` tells a slug's index.
pub fn programme(
    fields: &mut Fields,
    p: &v1::Programme,
    merchant: impl Fn(&str) -> Option<ledger::MerchantIx>,
) -> Option<ProgrammeTerms> {
    use v1::{ExpiryRule as Expiry, NegativeBalancePolicy as Negative};
    let currency = Currency::new(&p.currency_code).map_err(|error| {
        fields.broken(
            "programme.currency_code",
            "CURRENCY",
            format!("\"{}\": {error}", p.currency_code),
        );
    });
    let zone = fields.zone("programme.time_zone", &p.time_zone);
    let expiry = match p.expiry_rule() {
        Expiry::RollingMonths => ExpiryRule::RollingMonths(p.expiry_months),
        Expiry::Inactivity => ExpiryRule::InactivityMonths(p.expiry_months),
        Expiry::FixedSweep => ExpiryRule::FixedSweep(sweep_dates(fields, &p.sweep_dates)),
        Expiry::None => ExpiryRule::None,
        Expiry::Unspecified => {
            fields.broken(
                "programme.expiry_rule",
                "REQUIRED",
                "say when points expire (NONE is a choice)",
            );
            ExpiryRule::None
        }
    };
    if !expiry.is_valid() {
        fields.broken(
            "programme.expiry_months",
            "EXPIRY",
            "1 to 1200 months, or at least one sweep date",
        );
    }
    let negative_balance = match p.negative_balance() {
        Negative::Debt | Negative::Unspecified => NegativeBalance::Debt,
        Negative::Floor => NegativeBalance::Floor,
        Negative::Reject => NegativeBalance::Reject,
    };
    let reserve_micros = fields.per_point("programme.reserve_per_point", &p.reserve_per_point);
    let cycles = cycle_calendar::read(fields, p);
    let settlement = settlement_terms::programme(fields, p, merchant);
    Some(ProgrammeTerms {
        currency: currency.ok()?,
        reserve_micros,
        zone: zone?,
        expiry,
        negative_balance,
        cycles,
        settlement,
    })
}

fn sweep_dates(fields: &mut Fields, dates: &[String]) -> Vec<(u8, u8)> {
    let parse = |text: &String| {
        let (month, day) = text.split_once('-')?;
        Some((month.parse().ok()?, day.parse().ok()?))
    };
    dates
        .iter()
        .filter_map(|text| {
            let date = parse(text);
            if date.is_none() {
                fields.broken(
                    "programme.sweep_dates",
                    "DATE",
                    format!("\"{text}\" is not MM-DD"),
                );
            }
            date
        })
        .collect()
}

/// Terms of a contract.
pub fn contract(fields: &mut Fields, at: &str, c: &v1::Contract) -> ContractTerms {
    let path = |name: &str| format!("{at}.contract.{name}");
    let funding = match c.funding_mode() {
        v1::FundingMode::Issue => FundingMode::Issue,
        v1::FundingMode::Burn => FundingMode::Burn,
        v1::FundingMode::Unspecified => {
            fields.broken(
                &path("funding_mode"),
                "REQUIRED",
                "say when the merchant pays: ISSUE or BURN",
            );
            FundingMode::Issue
        }
    };
    let seconds = |value: u64, default: i64| {
        if value == 0 {
            default
        } else {
            i64::try_from(value).unwrap_or(i64::MAX)
        }
    };
    let mut terms = ContractTerms {
        earn_rate: fields.rate(&path("earn_rate"), &c.earn_rate),
        computed_by: if c.merchant_computes_points {
            PointsComputedBy::Merchant
        } else {
            PointsComputedBy::Hub
        },
        pending: c.pending_until_return_window_ends,
        max_late_micros: seconds(c.max_late_seconds, DEFAULT_MAX_LATE_SECONDS)
            .saturating_mul(1_000_000),
        refunds_service_fee: c.refund_service_fee,
        service_fee_micros: fields
            .per_point(&path("service_fee_per_point"), &c.service_fee_per_point),
        redemption_fee_bps: c.redemption_fee_bps,
        breakage_share_bps: c.breakage_share_bps,
        earn_cap_points: (c.earn_cap_points != 0).then_some(c.earn_cap_points),
        net_debit_cap_micros: fields.money(&path("net_debit_cap"), &c.net_debit_cap),
        collateral_micros: fields
            .money(&path("collateral"), &c.collateral)
            .unwrap_or(0),
        exposure_redemption_bps: c.exposure_redemption_bps.unwrap_or(10_000),
        authorisation_ttl_micros: seconds(c.authorisation_ttl_seconds, DEFAULT_TTL_SECONDS)
            .saturating_mul(1_000_000),
        return_days: (c.return_days != 0).then_some(c.return_days),
        dispute_days: c.dispute_days,
        minimum_burn_points: c.minimum_burn_points,
        tax_category: c.tax_category.clone(),
        settlement_account: c.settlement_account.clone(),
        ..ContractTerms::plain(funding, Rate::ONE)
    };
    settlement_terms::contract(fields, at, c, &mut terms);
    if !terms.is_valid() {
        let text = "a number is out of range (bps 0-10000, days 0-36500, no negative amounts), or accruals stay \
                    pending without return_days";
        fields.broken(&format!("{at}.contract"), "OUT_OF_RANGE", text);
    }
    terms
}

/// A merchant's state.
pub fn merchant_state(state: v1::MerchantState) -> MerchantState {
    match state {
        v1::MerchantState::Unspecified | v1::MerchantState::Active => MerchantState::Active,
        v1::MerchantState::Onboarding => MerchantState::Onboarding,
        v1::MerchantState::BurnOnly => MerchantState::BurnOnly,
        v1::MerchantState::WindingDown => MerchantState::WindingDown,
        v1::MerchantState::Suspended => MerchantState::Suspended,
        v1::MerchantState::Closed => MerchantState::Closed,
    }
}

/// A merchant's roles; none given means that it earns and burns, and for an affiliate that it has none.
pub fn roles(m: &v1::Merchant) -> Roles {
    if m.affiliate.is_some() && m.roles.is_empty() {
        return Roles::default();
    }
    if m.roles.is_empty() {
        return Roles {
            earn: true,
            burn: true,
            affiliate: false,
        };
    }
    let has = |role: v1::MerchantRole| m.roles().any(|r| r == role);
    Roles {
        earn: has(v1::MerchantRole::Earn),
        burn: has(v1::MerchantRole::Burn),
        affiliate: has(v1::MerchantRole::Affiliate),
    }
}

/// A promotion; `merchant` tells a slug's index.
pub fn promotion(
    fields: &mut Fields,
    p: &v1::Promotion,
    merchant: impl Fn(&str) -> Option<ledger::MerchantIx>,
) -> Option<Promotion> {
    let at = format!("promotions[{}]", p.promotion_id);
    let mut known = |slug: &str| {
        let found = merchant(slug);
        if found.is_none() {
            fields.broken(
                &at,
                "MERCHANT",
                format!("merchant \"{slug}\" is not in the alliance"),
            );
        }
        found
    };
    let merchants: Vec<_> = p
        .merchant_ids
        .iter()
        .filter_map(|slug| known(slug))
        .collect();
    // Kept in order of slugs: ties of the largest remainder go to the smaller id.
    let mut by_slug: Vec<_> = p.shares.iter().collect();
    by_slug.sort_by(|a, b| a.merchant_id.cmp(&b.merchant_id));
    let shares: Vec<_> = by_slug
        .into_iter()
        .filter_map(|s| known(&s.merchant_id).map(|funder| (funder, s.share_bps)))
        .collect();
    let bonus = match &p.bonus {
        Some(v1::promotion::Bonus::Multiplier(k)) => {
            Bonus::Multiplier(fields.factor(&format!("{at}.multiplier"), k))
        }
        Some(v1::promotion::Bonus::Rate(rate)) => {
            Bonus::Rate(fields.rate(&format!("{at}.rate"), rate))
        }
        None => {
            fields.broken(&at, "REQUIRED", "give a multiplier or a rate");
            return None;
        }
    };
    let (Some(start), Some(end)) = (&p.start_time, &p.end_time) else {
        fields.broken(&at, "REQUIRED", "give start_time and end_time");
        return None;
    };
    Some(Promotion {
        slug: p.promotion_id.clone(),
        bonus,
        shares,
        cap_points: (p.cap_points != 0).then_some(p.cap_points),
        starts_at: Instant(micros(start)),
        ends_at: Instant(micros(end)),
        merchants,
    })
}

/// Name of a result code on the wire.
pub fn result_code(code: OutcomeCode) -> v1::ResultCode {
    use v1::ResultCode as R;
    match code {
        OutcomeCode::Accepted | OutcomeCode::Replayed => R::Accepted,
        OutcomeCode::ModifiedRequest => R::ModifiedRequest,
        OutcomeCode::EventTimeTooOld => R::EventTimeTooOld,
        OutcomeCode::EventTimeTooFarAhead => R::EventTimeTooFarAhead,
        OutcomeCode::MerchantStateRefuses => R::MerchantStateRefuses,
        OutcomeCode::ContractNotFound => R::ContractNotFound,
        OutcomeCode::RoleMissing => R::RoleMissing,
        OutcomeCode::MemberNotFound => R::MemberNotFound,
        OutcomeCode::CurrencyMismatch => R::CurrencyMismatch,
        OutcomeCode::AmountOutOfRange => R::AmountOutOfRange,
        OutcomeCode::PointsOutOfRange => R::PointsOutOfRange,
        OutcomeCode::OriginalNotFound => R::OriginalNotFound,
        OutcomeCode::ReturnWindowClosed => R::ReturnWindowClosed,
        OutcomeCode::HoldExpired => R::HoldExpired,
        OutcomeCode::AlreadyCaptured => R::AlreadyCaptured,
        OutcomeCode::AlreadyVoided => R::AlreadyVoided,
        OutcomeCode::PointsMismatch => R::PointsMismatch,
        OutcomeCode::BelowMinimumBurn => R::BelowMinimumBurn,
        OutcomeCode::CaptureExceedsAuthorisation => R::CaptureExceedsAuthorisation,
        OutcomeCode::RefundExceedsCapture => R::RefundExceedsCapture,
        OutcomeCode::ReturnExceedsPurchase => R::ReturnExceedsPurchase,
        OutcomeCode::LimitExceeded => R::LimitExceeded,
        OutcomeCode::InsufficientPoints => R::InsufficientPoints,
        OutcomeCode::CommissionTermsNotFound => R::CommissionTermsNotFound,
        OutcomeCode::ClickForged => R::ClickForged,
        OutcomeCode::DuplicateOrder => R::DuplicateOrder,
        OutcomeCode::ClickUsed => R::ClickUsed,
        OutcomeCode::OutsideAttributionWindow => R::OutsideAttributionWindow,
        OutcomeCode::PlacementRefused => R::PlacementRefused,
        OutcomeCode::AffiliateNotActive => R::AffiliateNotActive,
        OutcomeCode::NotAttributed => R::NotAttributed,
        OutcomeCode::DuplicateReturn => R::DuplicateReturn,
        OutcomeCode::AlreadyLocked => R::AlreadyLocked,
        OutcomeCode::CommissionReversed => R::CommissionReversed,
    }
}

/// Why a commission is less, of those reasons that a message may name.
pub fn commission_reason(reason: v1::CommissionReason) -> Option<ledger::CommissionReason> {
    use ledger::CommissionReason as L;
    use v1::CommissionReason as W;
    Some(match reason {
        W::Unspecified => return None,
        W::ItemReturned => L::ItemReturned,
        W::OrderCancelled => L::OrderCancelled,
        W::OrderUpdated => L::OrderUpdated,
        W::DuplicateOrder => L::DuplicateOrder,
        W::OutOfStock => L::OutOfStock,
        W::PaymentFailed => L::PaymentFailed,
        W::TermsViolation => L::TermsViolation,
        W::TrackingError => L::TrackingError,
        W::TouchInvalidated => L::TouchInvalidated,
        W::FraudConfirmed => L::FraudConfirmed,
    })
}

/// The wire's name of why a commission is less.
pub fn reason_of_commission(reason: ledger::CommissionReason) -> v1::CommissionReason {
    use ledger::CommissionReason as L;
    use v1::CommissionReason as W;
    match reason {
        L::ItemReturned => W::ItemReturned,
        L::OrderCancelled => W::OrderCancelled,
        L::OrderUpdated => W::OrderUpdated,
        L::DuplicateOrder => W::DuplicateOrder,
        L::OutOfStock => W::OutOfStock,
        L::PaymentFailed => W::PaymentFailed,
        L::TermsViolation => W::TermsViolation,
        L::TrackingError => W::TrackingError,
        L::TouchInvalidated => W::TouchInvalidated,
        L::FraudConfirmed => W::FraudConfirmed,
    }
}

fn message_state(state: ledger::MessageState) -> v1::MessageState {
    use ledger::MessageState as L;
    use v1::MessageState as W;
    match state {
        L::Rejected => W::Unspecified,
        L::Quarantined => W::Quarantined,
        L::Pending => W::Pending,
        L::Posted => W::Posted,
        L::PartiallyReversed => W::PartiallyReversed,
        L::Reversed => W::Reversed,
        L::Authorised => W::Authorised,
        L::Captured => W::Captured,
        L::Voided => W::Voided,
        L::Expired => W::Expired,
        L::PartiallyRefunded => W::PartiallyRefunded,
        L::Refunded => W::Refunded,
        L::Accrued => W::Accrued,
        L::Locked => W::Locked,
        L::Payable => W::Payable,
    }
}

/// An outcome as the wire and the log have it.
pub fn outcome(outcome: &Outcome) -> v1::Outcome {
    v1::Outcome {
        code: result_code(outcome.code).into(),
        replayed: false,
        state: message_state(outcome.state).into(),
        points: outcome.points,
        owed_points: outcome.owed_points,
        available_points: outcome.available_after,
        debt_points: outcome.debt_after,
        due_time: outcome.due_at.map(|at| timestamp(at.0)),
        leaf_index: None,
        entry_position: 0,
        bonus_points: outcome.bonus_points,
        forgiven_points: outcome.forgiven_points,
        cycle_number: cycle_number(outcome.cycle),
        late: outcome.late,
        commission_micros: outcome.commission_micros,
        attributed_click: outcome.touch.map(u32::from),
    }
}

/// The wire's number of a cycle, from 1; 0 means "the open one" where a cycle is asked for.
pub fn cycle_number(cycle: ledger::CycleNo) -> u32 {
    cycle.0 + 1
}

/// The ledger's cycle of a number on the wire.
pub fn cycle_no(number: u32) -> ledger::CycleNo {
    ledger::CycleNo(number.wrapping_sub(1))
}
