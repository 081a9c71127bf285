//! Terms as the log's facts have them: programme, merchants with their contracts, promotions; which of them holds when.
//!
//! Owns no sum and no balance. Numbers are read here and nowhere else; a text that is no number is a finding, because a hub
//! that refused it would not have written it into the log.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use hansa_money::Currency;
use hansa_proto::v1;
use serde::{Deserialize, Serialize};

use crate::{
    affiliates::{Codes, Traffic},
    calendar::{CutOff, NEVER, Schedule, months_after, next_sweep},
    exact::{Exact, amount, per_point},
    finding::Mismatch,
    member::Window,
    source::MerchantNo,
};

pub(crate) use state::State;

const DEFAULT_LATE: u64 = 30 * 86_400;
const DEFAULT_TTL: u64 = 15 * 60;

/// When a funder pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Mode {
    Issue,
    Burn,
}

/// What becomes of points that a return does not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Missing {
    Owed,
    Forgiven,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expiry {
    Rolling(u32),
    Inactivity(u32),
    Sweeps(Vec<(u32, u32)>),
    Never,
}

/// One version of the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Programme {
    pub(crate) from: i64,
    pub(crate) currency: Currency,
    #[serde(with = "zone_name")]
    pub(crate) zone: Tz,
    pub(crate) price: i64,
    pub(crate) expiry: Expiry,
    pub(crate) missing: Missing,
    pub(crate) schedule: Schedule,
    pub(crate) cut_off: CutOff,
    /// The zone of `cut_off`.
    #[serde(with = "zone_name")]
    pub(crate) cut_off_zone: Tz,
}

impl Programme {
    pub(crate) fn read(p: &v1::Programme, from: i64) -> Result<Self, Mismatch> {
        use v1::{CycleSchedule as C, ExpiryRule as E, NegativeBalancePolicy as N};
        let currency = Currency::new(&p.currency_code).map_err(|error| {
            Mismatch::fact(
                format_args!("programme.currency_code: {error}"),
                &p.currency_code,
            )
        })?;
        let zone = read_zone("programme.time_zone", &p.time_zone)?;
        let (cut_off_zone, cut_off) = match &p.cut_off {
            None => (zone, CutOff::default()),
            Some(c) if c.time_zone.is_empty() => (zone, read_cut_off(c)?),
            Some(c) => (
                read_zone("programme.cut_off.time_zone", &c.time_zone)?,
                read_cut_off(c)?,
            ),
        };
        let expiry = match p.expiry_rule() {
            E::RollingMonths => Expiry::Rolling(p.expiry_months),
            E::Inactivity => Expiry::Inactivity(p.expiry_months),
            E::FixedSweep => Expiry::Sweeps(
                p.sweep_dates
                    .iter()
                    .map(|text| sweep(text))
                    .collect::<Result<_, _>>()?,
            ),
            E::None => Expiry::Never,
            E::Unspecified => return Err(Mismatch::fact("programme.expiry_rule", "none")),
        };
        Ok(Self {
            from,
            currency,
            zone,
            price: per_point("programme.reserve_per_point", &p.reserve_per_point)?,
            expiry,
            missing: match p.negative_balance() {
                N::Debt | N::Unspecified => Missing::Owed,
                N::Floor => Missing::Forgiven,
                N::Reject => Missing::Refused,
            },
            schedule: match p.cycle_schedule() {
                C::Monthly | C::Unspecified => Schedule::Monthly,
                C::Weekly => Schedule::Weekly,
                C::Daily => Schedule::Daily,
                C::Manual => Schedule::Manual,
            },
            cut_off,
            cut_off_zone,
        })
    }

    /// The first scheduled close behind an instant.
    pub(crate) fn close_after(&self, micros: i64) -> Option<i64> {
        self.schedule
            .close_after(self.cut_off_zone, &self.cut_off, micros)
    }

    /// When a lot posted at an instant expires. Under INACTIVITY the instant is that of the last activity.
    pub(crate) fn expires(&self, at: i64) -> i64 {
        match &self.expiry {
            Expiry::Rolling(months) | Expiry::Inactivity(months) => {
                months_after(self.zone, at, *months)
            }
            Expiry::Sweeps(days) => next_sweep(self.zone, at, days),
            Expiry::Never => NEVER,
        }
    }
}

mod zone_name {
    //! A zone by its name, which outlives releases of the zone tables.

    use chrono_tz::Tz;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|_| D::Error::custom("an unknown time zone"))
    }
}

fn read_zone(field: &str, text: &str) -> Result<Tz, Mismatch> {
    text.parse()
        .map_err(|_| Mismatch::fact(format_args!("{field}: an IANA zone"), text))
}

fn read_cut_off(c: &v1::CutOff) -> Result<CutOff, Mismatch> {
    let clock = if c.local_time.is_empty() {
        "00:00"
    } else {
        c.local_time.as_str()
    };
    let minutes = clock.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    });
    let holidays = c.holidays.iter().map(|text| {
        text.parse()
            .map_err(|_| Mismatch::fact("programme.cut_off.holidays: YYYY-MM-DD", text))
    });
    Ok(CutOff {
        minutes: minutes
            .ok_or_else(|| Mismatch::fact("programme.cut_off.local_time: HH:MM", clock))?,
        business_days_only: c.business_days_only,
        holidays: holidays.collect::<Result<_, _>>()?,
    })
}

fn sweep(text: &str) -> Result<(u32, u32), Mismatch> {
    let parsed = text
        .split_once('-')
        .and_then(|(month, day)| Some((month.parse().ok()?, day.parse().ok()?)));
    parsed.ok_or_else(|| Mismatch::fact("programme.sweep_dates: MM-DD", text))
}

/// One version of a merchant's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contract {
    pub(crate) from: i64,
    pub(crate) mode: Mode,
    pub(crate) rate: Exact,
    /// The merchant computes points.
    pub(crate) computes: bool,
    pub(crate) waits: bool,
    pub(crate) late: i64,
    pub(crate) fee: i64,
    pub(crate) returns_fee: bool,
    pub(crate) redemption_bps: u32,
    pub(crate) breakage_bps: u32,
    pub(crate) earn_cap: Option<i64>,
    /// Cap, and collateral; none: unlimited.
    pub(crate) limit: Option<(i128, i128)>,
    pub(crate) exposure_bps: u32,
    pub(crate) ttl: i64,
    pub(crate) return_days: Option<u32>,
    pub(crate) minimum_burn: i64,
}

impl Contract {
    fn read(c: &v1::Contract, from: i64) -> Result<Self, Mismatch> {
        let micros = |seconds: u64, default: u64| {
            let seconds = if seconds == 0 { default } else { seconds };
            i64::try_from(seconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000_000)
        };
        let cap = amount("contract.net_debit_cap", &c.net_debit_cap)?;
        let collateral = amount("contract.collateral", &c.collateral)?.unwrap_or(0);
        Ok(Self {
            from,
            mode: match c.funding_mode() {
                v1::FundingMode::Issue => Mode::Issue,
                v1::FundingMode::Burn => Mode::Burn,
                v1::FundingMode::Unspecified => {
                    return Err(Mismatch::fact("contract.funding_mode", "none"));
                }
            },
            rate: Exact::parse("contract.earn_rate", &c.earn_rate)?,
            computes: c.merchant_computes_points,
            waits: c.pending_until_return_window_ends,
            late: micros(c.max_late_seconds, DEFAULT_LATE),
            fee: per_point("contract.service_fee_per_point", &c.service_fee_per_point)?,
            returns_fee: c.refund_service_fee,
            redemption_bps: c.redemption_fee_bps,
            breakage_bps: c.breakage_share_bps,
            earn_cap: (c.earn_cap_points != 0).then_some(c.earn_cap_points),
            limit: cap.map(|cap| (cap.into(), collateral.into())),
            exposure_bps: c.exposure_redemption_bps.unwrap_or(hansa_money::BPS),
            ttl: micros(c.authorisation_ttl_seconds, DEFAULT_TTL),
            return_days: (c.return_days != 0).then_some(c.return_days),
            minimum_burn: c.minimum_burn_points,
        })
    }

    /// The window for returns of something that happened at `at`.
    pub(crate) fn window(&self, zone: Tz, at: i64) -> Window {
        let end = self.return_days.map_or(NEVER, |days| {
            crate::calendar::days_after(zone, at, u64::from(days) + 1)
        });
        Window {
            end,
            late: self.late,
        }
    }
}

/// A participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) slug: String,
    pub(crate) state: State,
    pub(crate) earns: bool,
    pub(crate) burns: bool,
    pub(crate) contracts: Vec<Contract>,
    pub(crate) traffic: Traffic,
    /// The contract as it was last written, to tell a change from a repetition.
    written: Option<Vec<u8>>,
}

impl Merchant {
    /// The contract in force.
    pub(crate) fn contract(&self, at: i64) -> Option<&Contract> {
        in_force(&self.contracts, at, |contract| contract.from)
    }

    /// Whether no event in a window can be told any more, or could not at some instant before `now`: then the longer `late` of its own
    /// terms and of those in force had passed. A later contract does not open it again.
    fn is_over(&self, window: Window, now: i64) -> bool {
        if now <= window.end.saturating_add(window.late) {
            return false;
        }
        let mut versions: Vec<&Contract> = self.contracts.iter().collect();
        versions.sort_by_key(|contract| contract.from);
        let mut spans = versions.iter().enumerate().map(|(at, contract)| {
            let next = versions.get(at + 1).map_or(NEVER, |next| next.from);
            (contract, next.min(now))
        });
        spans.any(|(contract, until)| {
            let late = contract.late.max(window.late);
            contract.from <= until && until > window.end.saturating_add(late)
        })
    }
}

/// Of versions in log order, the one with the latest beginning at or before an instant; of equal ones the later written.
fn in_force<T>(versions: &[T], at: i64, from: impl Fn(&T) -> i64) -> Option<&T> {
    let begun = versions.iter().filter(|version| from(version) <= at);
    begun.max_by_key(|version| from(version))
}

mod state {
    //! States of a merchant, and what each lets pass (rule 11).

    use hansa_proto::v1;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    pub(crate) enum State {
        Onboarding,
        Active,
        BurnOnly,
        WindingDown,
        Suspended,
        Closed,
    }

    impl State {
        pub(crate) fn read(state: v1::MerchantState) -> Self {
            match state {
                v1::MerchantState::Onboarding => Self::Onboarding,
                v1::MerchantState::Active | v1::MerchantState::Unspecified => Self::Active,
                v1::MerchantState::BurnOnly => Self::BurnOnly,
                v1::MerchantState::WindingDown => Self::WindingDown,
                v1::MerchantState::Suspended => Self::Suspended,
                v1::MerchantState::Closed => Self::Closed,
            }
        }

        /// Purchases, and those that affiliates brought.
        pub(crate) fn lets_earn(self) -> bool {
            matches!(self, Self::Active)
        }

        pub(crate) fn lets_authorise(self) -> bool {
            matches!(self, Self::Active | Self::BurnOnly)
        }

        pub(crate) fn lets_capture(self) -> bool {
            matches!(self, Self::Active | Self::BurnOnly | Self::WindingDown)
        }

        /// Voids, refunds, returns and approvals.
        pub(crate) fn lets_give_back(self) -> bool {
            !matches!(self, Self::Onboarding | Self::Closed)
        }
    }
}

/// How a promotion computes its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bonus {
    Multiplier(Exact),
    Rate(Exact),
}

/// A promotion as it was last written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promotion {
    pub(crate) bonus: Bonus,
    /// Empty: all.
    pub(crate) merchants: BTreeSet<MerchantNo>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// In order of the funders' ids.
    pub(crate) shares: Vec<(MerchantNo, u32)>,
    pub(crate) cap: Option<i64>,
}

/// All terms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) programmes: Vec<Programme>,
    pub(crate) merchants: Vec<Merchant>,
    pub(crate) by_slug: BTreeMap<String, MerchantNo>,
    /// In order of their ids.
    pub(crate) promotions: BTreeMap<String, Promotion>,
    /// Of affiliates.
    pub(crate) codes: Codes,
}

impl Terms {
    /// The programme's version of an instant; the first one also for what was before.
    pub(crate) fn programme(&self, at: i64) -> Result<&Programme, Mismatch> {
        in_force(&self.programmes, at, |programme| programme.from)
            .or(self.programmes.first())
            .ok_or_else(|| Mismatch::fact("a programme", "none yet"))
    }

    pub(crate) fn merchant(&self, number: MerchantNo) -> Result<&Merchant, Mismatch> {
        usize::try_from(number)
            .ok()
            .and_then(|at| self.merchants.get(at))
            .ok_or_else(|| Mismatch::fact("a merchant of the alliance", number))
    }

    /// See [`Merchant::is_over`].
    pub(crate) fn is_over(&self, merchant: MerchantNo, window: Window, now: i64) -> bool {
        self.merchant(merchant)
            .is_ok_and(|merchant| merchant.is_over(window, now))
    }

    /// A merchant's id.
    pub(crate) fn slug(&self, number: MerchantNo) -> &str {
        self.merchant(number)
            .map_or("?", |merchant| merchant.slug.as_str())
    }

    /// A merchant's number.
    pub(crate) fn number(&self, slug: &str) -> Result<MerchantNo, Mismatch> {
        self.by_slug
            .get(slug)
            .copied()
            .ok_or_else(|| Mismatch::fact("a merchant of the alliance", format_args!("\"{slug}\"")))
    }

    /// Takes the programme's terms in; true for the first.
    pub(crate) fn take_programme(
        &mut self,
        p: &v1::Programme,
        decided_at: i64,
    ) -> Result<bool, Mismatch> {
        let first = self.programmes.is_empty();
        // The first terms hold from the beginning of time: an event before them has no other.
        let from = if first {
            decided_at
        } else {
            effective(p.effective_time.as_ref(), decided_at)
        };
        let version = Programme::read(p, from)?;
        if let Some(before) = self.programmes.last() {
            if from < decided_at {
                return Err(Mismatch::fact(
                    "terms from now on",
                    "terms backwards in time",
                ));
            }
            if version.currency != before.currency {
                return Err(Mismatch::fact(
                    format_args!("the programme's currency, {}", before.currency),
                    version.currency,
                ));
            }
        }
        self.programmes.push(version);
        Ok(first)
    }

    /// Takes a merchant in; answers its number.
    pub(crate) fn take_merchant(
        &mut self,
        m: &v1::Merchant,
        decided_at: i64,
    ) -> Result<MerchantNo, Mismatch> {
        let next = MerchantNo::try_from(self.merchants.len()).unwrap_or(MerchantNo::MAX);
        let number = *self.by_slug.entry(m.merchant_id.clone()).or_insert(next);
        if number == next {
            self.merchants.push(Merchant {
                slug: m.merchant_id.clone(),
                state: State::Onboarding,
                earns: false,
                burns: false,
                contracts: Vec::new(),
                traffic: Traffic::default(),
                written: None,
            });
        }
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(merchant) = self.merchants.get_mut(at) else {
            return Err(Mismatch::fact("a merchant of the alliance", number));
        };
        // None given means that it earns and burns, and for an affiliate that it does not.
        let shop = m.affiliate.is_none() && merchant.traffic.profile.is_none();
        let has = |role: v1::MerchantRole| m.roles().any(|r| r == role);
        merchant.earns = has(v1::MerchantRole::Earn) || (shop && m.roles.is_empty());
        merchant.burns = has(v1::MerchantRole::Burn) || (shop && m.roles.is_empty());
        merchant.traffic.welcomes = has(v1::MerchantRole::Affiliate);
        if let Some(contract) = &m.contract {
            let written = prost::Message::encode_to_vec(contract);
            if merchant.written.as_ref() != Some(&written) {
                let from = effective(contract.effective_time.as_ref(), decided_at);
                if !merchant.contracts.is_empty() && from < decided_at {
                    return Err(Mismatch::fact(
                        "terms from now on",
                        "terms backwards in time",
                    ));
                }
                merchant.contracts.push(Contract::read(contract, from)?);
                merchant.written = Some(written);
            }
        }
        let before = std::mem::replace(&mut merchant.state, State::read(m.state()));
        self.take_traffic(number, m, before, decided_at)?;
        Ok(number)
    }

    /// Takes a promotion in. What it gave to a purchase is part of its returns, so it never changes.
    pub(crate) fn take_promotion(&mut self, p: &v1::Promotion) -> Result<(), Mismatch> {
        let merchants = p.merchant_ids.iter().map(|slug| self.number(slug));
        let merchants = merchants.collect::<Result<_, _>>()?;
        let mut by_slug: Vec<&v1::FundingShare> = p.shares.iter().collect();
        by_slug.sort_by(|a, b| a.merchant_id.cmp(&b.merchant_id));
        let shares = by_slug
            .into_iter()
            .map(|share| Ok((self.number(&share.merchant_id)?, share.share_bps)));
        let shares: Vec<(MerchantNo, u32)> = shares.collect::<Result<_, Mismatch>>()?;
        let all: u32 = shares.iter().map(|(_, bps)| *bps).sum();
        if all != hansa_money::BPS {
            return Err(Mismatch::fact("shares that add up to 10000", all));
        }
        let bonus = match &p.bonus {
            Some(v1::promotion::Bonus::Multiplier(k)) => {
                Bonus::Multiplier(Exact::parse("promotion.multiplier", k)?)
            }
            Some(v1::promotion::Bonus::Rate(rate)) => {
                Bonus::Rate(Exact::parse("promotion.rate", rate)?)
            }
            None => {
                return Err(Mismatch::fact(
                    "a promotion's multiplier or rate",
                    "neither",
                ));
            }
        };
        let (Some(start), Some(end)) = (&p.start_time, &p.end_time) else {
            return Err(Mismatch::fact("a promotion's start and end", "not both"));
        };
        let promotion = Promotion {
            bonus,
            merchants,
            start: micros(start),
            end: micros(end),
            shares,
            cap: (p.cap_points != 0).then_some(p.cap_points),
        };
        let before = self.promotions.insert(p.promotion_id.clone(), promotion);
        if before.is_some() {
            let found = format!("\"{}\" once more", p.promotion_id);
            return Err(Mismatch::fact("a promotion of a new id", found));
        }
        Ok(())
    }
}

/// Microseconds since 1970; parts of a microsecond are dropped.
pub(crate) fn micros(at: &prost_types::Timestamp) -> i64 {
    at.seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(at.nanos) / 1_000)
}

pub(crate) fn timestamp(micros: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        // Below 1e9.
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

fn effective(at: Option<&prost_types::Timestamp>, decided_at: i64) -> i64 {
    at.map_or(decided_at, micros)
}
