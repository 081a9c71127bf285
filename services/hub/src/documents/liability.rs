//! The liability report: open points by funder and age, the reserve behind them, expected breakage, deferred revenue.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use hansa_report::{
    AgeBands, AllocatedPrice, Amount, Counterparty, FunderPoints, FundingMode as Shown,
    LiabilityParts, LiabilityReport, OutstandingPoints, RevenueBasis, RevenueUnit, expected_points,
};
use hansa_settlement::{
    CycleNo, FundingMode, Global, Instant, MerchantIx, Pos, PriceBook, finance::Party,
};

use super::{
    ages::{AgeBook, Histories, History, Open},
    amount, parties, utc,
};
use crate::{error::HubError, registry::Registry};

/// As of when: the end of a cycle, or the end of what is read.
#[derive(Debug, Clone, Copy)]
pub struct AsOf {
    /// Points move up to and with this cycle; `None`: all that is read.
    pub cycle: Option<CycleNo>,
    /// The cycle before, or the last complete one: what was recognised by its end was recognised before.
    pub before: Option<CycleNo>,
    /// The instant that the report bears.
    pub at: Instant,
    /// The last instant that belongs to it: ages are counted to its day.
    pub last: Instant,
    /// The place in the log that decides how points are funded.
    pub pos: Pos,
    /// Credit balance of the reserve there, micro-units.
    pub reserve_micros: i128,
}

/// What finance estimates and allocates.
#[derive(Debug, Clone, Default)]
pub struct Estimate {
    /// Points that will be redeemed in all, of those issued, basis points.
    pub redemption_bps: u32,
    /// Of funders whose price finance allocates itself: allocated, and recognised before; micro-units.
    pub prices: BTreeMap<MerchantIx, (i64, i64)>,
}

/// What of the ledger a report needs, copied in one read.
#[derive(Debug, Clone)]
pub struct Names {
    issuer: hansa_report::Issuer,
    funders: Vec<Counterparty>,
    book: PriceBook,
    currency: hansa_settlement::Currency,
    zone: hansa_settlement::Zone,
}

impl Names {
    /// As the ledger has them.
    #[must_use]
    pub fn of(global: &Global, registry: &Registry, at: Instant) -> Self {
        let merchants = 0..global.merchants().len();
        let name = |index: usize| {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            parties::counterparty(global, registry, Party::Merchant(MerchantIx(index)))
        };
        Self {
            issuer: parties::issuer(global, registry, at),
            funders: merchants.map(name).collect(),
            book: global.book().clone(),
            currency: global.currency(),
            zone: global.programme(at).zone,
        }
    }

    fn funder(&self, merchant: MerchantIx) -> Result<Counterparty, HubError> {
        let known = self.funders.get(merchant.0 as usize).cloned();
        known.ok_or_else(|| {
            HubError::internal(format!("points of merchant {merchant}, which is none"))
        })
    }
}

/// The report.
pub fn report(
    names: &Names,
    book: &AgeBook,
    as_of: &AsOf,
    estimate: &Estimate,
) -> Result<LiabilityReport, HubError> {
    let ages = AgeBands::usual();
    let today = names.zone.date(as_of.last);
    let open = book.open_points(as_of.cycle);
    let outstanding = outstanding(names, &open, as_of.pos, &ages, today)?;
    let funders = funders(names, book, as_of, estimate)?;
    Ok(LiabilityReport::new(LiabilityParts {
        issuer: names.issuer.clone(),
        as_of: utc(as_of.at),
        currency: names.currency,
        ages,
        reserve: amount(as_of.reserve_micros)?,
        outstanding,
        funders,
        revenue_unit: RevenueUnit::MinorUnit,
    })?)
}

fn outstanding(
    names: &Names,
    open: &Open,
    pos: Pos,
    ages: &AgeBands,
    today: NaiveDate,
) -> Result<Vec<OutstandingPoints>, HubError> {
    let mut sums: BTreeMap<(MerchantIx, Shown, usize), (i64, i128)> = BTreeMap::new();
    for ((id, day), points) in open {
        let price = names.book.get(*id);
        let mode = match price.mode_at(pos) {
            FundingMode::Issue => Shown::Issue,
            FundingMode::Burn => Shown::Burn,
        };
        let days = today.signed_duration_since(*day).num_days().max(0);
        let band = ages.band_of(u32::try_from(days).unwrap_or(u32::MAX));
        let sum = sums.entry((price.funder, mode, band)).or_default();
        sum.0 += points;
        sum.1 += price.value(*points);
    }
    sums.into_iter()
        .map(|((funder, mode, band), (points, micros))| {
            Ok(OutstandingPoints {
                funder: names.funder(funder)?,
                mode,
                band,
                points,
                value: amount(micros)?,
            })
        })
        .collect()
}

/// A funder's points, and their value at their own reserve prices.
#[derive(Debug, Default, Clone, Copy)]
struct Pool {
    points: History,
    value: i128,
}

fn pools(names: &Names, histories: &Histories) -> BTreeMap<MerchantIx, Pool> {
    let mut pools: BTreeMap<MerchantIx, Pool> = BTreeMap::new();
    for (id, history) in histories {
        let price = names.book.get(*id);
        let pool = pools.entry(price.funder).or_default();
        pool.points.issued += history.issued;
        pool.points.redeemed += history.redeemed;
        pool.points.lost += history.lost;
        pool.value += price.value(history.issued);
    }
    pools
}

fn expected(pool: &Pool, estimate: &Estimate) -> i64 {
    let History {
        issued,
        redeemed,
        lost,
    } = pool.points;
    expected_points(issued, redeemed, lost, estimate.redemption_bps)
}

fn funders(
    names: &Names,
    book: &AgeBook,
    as_of: &AsOf,
    estimate: &Estimate,
) -> Result<Vec<FunderPoints>, HubError> {
    let now = pools(names, &book.histories(as_of.cycle));
    let before = as_of
        .before
        .map(|cycle| pools(names, &book.histories(Some(cycle))));
    let before = before.unwrap_or_default();
    now.iter()
        .map(|(funder, pool)| {
            let price = match estimate.prices.get(funder) {
                Some((allocated, recognised)) => AllocatedPrice {
                    allocated: Amount::from_micros(*allocated),
                    recognised_before: Amount::from_micros(*recognised),
                },
                None => AllocatedPrice {
                    allocated: amount(pool.value)?,
                    recognised_before: recognised(names, before.get(funder), estimate)?,
                },
            };
            Ok(FunderPoints {
                funder: names.funder(*funder)?,
                issued: pool.points.issued,
                redeemed: pool.points.redeemed,
                lost: pool.points.lost,
                expected: expected(pool, estimate),
                price: Some(price),
            })
        })
        .collect()
}

/// What the same estimate had recognised of a funder's points at their reserve prices.
fn recognised(names: &Names, pool: Option<&Pool>, estimate: &Estimate) -> Result<Amount, HubError> {
    let Some(pool) = pool else {
        return Ok(Amount::ZERO);
    };
    let basis = RevenueBasis {
        allocated: amount(pool.value)?,
        redeemed: pool.points.redeemed,
        expected: expected(pool, estimate),
        recognised_before: Amount::ZERO,
    };
    let revenue = basis.revenue(RevenueUnit::MinorUnit, names.currency);
    Ok(revenue.map_err(HubError::internal)?.recognised)
}
