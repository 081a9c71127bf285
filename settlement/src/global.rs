//! The alliance's side of the fold: terms, merchants, prices, cycles, accounts, the due calendar. Changes only by facts and by the global
//! side of effects; never holds a member. All maps are ordered, so that the same log gives the same bytes.

use crate::commission::Affiliates;
use crate::cycle::{Counts, CycleState, CycleTotals};
use crate::effect::Corrupt;
use crate::finance::Finance;
use crate::ids::{ContractIx, CycleNo, Instant, MerchantIx, Pos, PriceId, PromotionIx};
use crate::money::Currency;
use crate::price::{Price, PriceBook};
use crate::promotion::Promotion;
use crate::terms::{
    ContractTerms, ContractVersion, FundingMode, Merchant, ProgrammeTerms, ProgrammeVersion,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// The first facts of an alliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// Terms that govern every event time until the next version.
    pub terms: ProgrammeTerms,
    /// First instant of cycle 0.
    pub opens_at: Instant,
}

/// Balances of the hub's accounts, micro-units; debits positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubBalances {
    /// 1200.
    pub bank_micros: i128,
    /// 2100.
    pub reserve_micros: i128,
    /// 4100.
    pub service_fee_micros: i128,
    /// 4200.
    pub redemption_fee_micros: i128,
    /// 4300.
    pub breakage_micros: i128,
    /// 4900.
    pub adjustment_micros: i128,
    /// 2200, over all merchants.
    pub commission_micros: i128,
}

impl HubBalances {
    /// All of them together, micro-units.
    #[must_use]
    pub fn sum(&self) -> i128 {
        self.bank_micros
            + self.reserve_micros
            + self.service_fee_micros
            + self.redemption_fee_micros
            + self.breakage_micros
            + self.adjustment_micros
            + self.commission_micros
    }
}

/// A merchant's running figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Balance of 1100.m, micro-units; debits positive. Settled payments have left it.
    pub(crate) clearing_micros: i128,
    /// What its pending accruals would debit, micro-units.
    pub(crate) pending_micros: i128,
    /// Balance of 2200.m, micro-units; debits positive, so what affiliates may still get is negative.
    pub(crate) commission_micros: i128,
    /// Of its collateral, what a default used up, micro-units.
    pub(crate) collateral_used_micros: i64,
    /// Its contract versions in order of their effect.
    pub(crate) contracts: Vec<ContractIx>,
    /// Price entries of points that it funds.
    pub(crate) funds: Vec<PriceId>,
}

/// A broken invariant: a fault of the program or of the record. Nothing may be posted or closed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// The accounts do not sum to 0.
    #[error("accounts do not sum to 0")]
    AccountsUnbalanced,
    /// The nets of a cycle do not sum to the hub's side.
    #[error("nets of cycle {0} do not sum to the hub's side")]
    CycleUnbalanced(CycleNo),
    /// 2100 is not the value of the open ISSUE points.
    #[error("2100 is not the value of the open ISSUE points")]
    ReserveMismatch,
    /// More points went out than came in.
    #[error("open points of a price entry are below 0")]
    PointsBelowZero,
    /// Open points by price are not those of the counters.
    #[error("open points differ from the counters")]
    PointsMismatch,
    /// Obligations do not add up to the nets.
    #[error("obligations of cycle {0} do not add up to the nets")]
    ObligationsMismatch(CycleNo),
    /// A merchant's clearing account is not what its unsettled nets, its payments under way, what is brought forward and what is
    /// held back come to.
    #[error(
        "the clearing account of merchant {0} differs from its nets, payments and carried amounts"
    )]
    ClearingMismatch(MerchantIx),
    /// 2200 is not the sum of the merchants' commission reserves, or one of them is overdrawn.
    #[error("2200 is not the sum of the merchants' commission reserves, or one is overdrawn")]
    CommissionReserve,
    /// Instructions, held back and carried forward do not add up to the payable of a settlement.
    #[error("the settlement of cycle {0} does not add up to what was payable")]
    SettlementUnbalanced(CycleNo),
}

/// The alliance's side of the fold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    pub(crate) programmes: Vec<ProgrammeVersion>,
    pub(crate) merchants: Vec<Merchant>,
    pub(crate) standings: Vec<Standing>,
    pub(crate) contracts: Vec<ContractVersion>,
    /// The price entry of a contract version under a programme version.
    pub(crate) prices: BTreeMap<(ContractIx, u32), PriceId>,
    pub(crate) book: PriceBook,
    pub(crate) promotions: Vec<Promotion>,
    /// Points granted so far, per promotion.
    pub(crate) granted: Vec<i64>,
    /// Points in lots, by price entry.
    pub(crate) open_points: Vec<i64>,
    pub(crate) hub: HubBalances,
    pub(crate) cycles: Vec<CycleTotals>,
    pub(crate) calendar: BTreeMap<Instant, i64>,
    pub(crate) finance: Finance,
    pub(crate) affiliates: Affiliates,
}

const SNAPSHOT_VERSION: u8 = 4;

impl Global {
    /// An alliance without merchants.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let closes_at = genesis.terms.next_close(genesis.opens_at);
        Self {
            programmes: vec![ProgrammeVersion {
                effective_at: Instant::MIN,
                terms: genesis.terms.clone(),
            }],
            merchants: Vec::new(),
            standings: Vec::new(),
            contracts: Vec::new(),
            prices: BTreeMap::new(),
            book: PriceBook::default(),
            promotions: Vec::new(),
            granted: Vec::new(),
            open_points: Vec::new(),
            hub: HubBalances::default(),
            cycles: vec![CycleTotals::new(CycleNo(0), genesis.opens_at, closes_at)],
            calendar: BTreeMap::new(),
            finance: Finance::default(),
            affiliates: Affiliates::default(),
        }
    }

    /// The settlement currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.programmes[0].terms.currency
    }

    /// The programme's terms for an event time.
    #[must_use]
    pub fn programme(&self, at: Instant) -> &ProgrammeTerms {
        &self.programmes[self.programme_index(at)].terms
    }

    /// All versions of the programme's terms.
    #[must_use]
    pub fn programme_versions(&self) -> &[ProgrammeVersion] {
        &self.programmes
    }

    pub(crate) fn programme_index(&self, at: Instant) -> usize {
        self.programmes
            .partition_point(|version| version.effective_at <= at)
            .saturating_sub(1)
    }

    /// Merchants by index.
    #[must_use]
    pub fn merchants(&self) -> &[Merchant] {
        &self.merchants
    }

    /// A merchant.
    #[must_use]
    pub fn merchant(&self, merchant: MerchantIx) -> Option<&Merchant> {
        self.merchants.get(merchant.0 as usize)
    }

    /// The merchant of a slug.
    #[must_use]
    pub fn merchant_by_slug(&self, slug: &str) -> Option<MerchantIx> {
        self.merchants
            .iter()
            .position(|merchant| merchant.slug == slug)
            .map(|i| MerchantIx(i as u32))
    }

    /// The version of a merchant's contract for an event time.
    #[must_use]
    pub fn contract(
        &self,
        merchant: MerchantIx,
        at: Instant,
    ) -> Option<(ContractIx, &ContractTerms)> {
        let versions = &self.standings.get(merchant.0 as usize)?.contracts;
        let after = versions.partition_point(|ix| self.contracts[ix.0 as usize].effective_at <= at);
        let ix = *versions.get(after.checked_sub(1)?)?;
        Some((ix, &self.contracts[ix.0 as usize].terms))
    }

    /// A contract version by its index.
    #[must_use]
    pub fn contract_version(&self, ix: ContractIx) -> Option<&ContractVersion> {
        self.contracts.get(ix.0 as usize)
    }

    /// A merchant's contract versions in order of their effect.
    pub(crate) fn contract_versions(
        &self,
        merchant: MerchantIx,
    ) -> impl Iterator<Item = &ContractVersion> + Clone {
        let versions = self.standings.get(merchant.0 as usize);
        let versions = versions.map_or(&[][..], |standing| &standing.contracts);
        versions.iter().map(|ix| &self.contracts[ix.0 as usize])
    }

    /// The price entry of points that a contract version's merchant funds for an event time.
    #[must_use]
    pub fn price_of(&self, contract: ContractIx, at: Instant) -> Option<PriceId> {
        self.prices
            .get(&(contract, self.programme_index(at) as u32))
            .copied()
    }

    /// The price book.
    #[must_use]
    pub fn book(&self) -> &PriceBook {
        &self.book
    }

    /// Promotions by index.
    #[must_use]
    pub fn promotions(&self) -> &[Promotion] {
        &self.promotions
    }

    /// A promotion.
    #[must_use]
    pub fn promotion(&self, ix: PromotionIx) -> Option<&Promotion> {
        self.promotions.get(ix.0 as usize)
    }

    /// Points that a promotion has granted so far.
    #[must_use]
    pub fn granted(&self, ix: PromotionIx) -> i64 {
        self.granted.get(ix.0 as usize).copied().unwrap_or(0)
    }

    /// All cycles, oldest first; the last one is open.
    #[must_use]
    pub fn cycles(&self) -> &[CycleTotals] {
        &self.cycles
    }

    /// A cycle.
    #[must_use]
    pub fn cycle(&self, no: CycleNo) -> Option<&CycleTotals> {
        self.cycles.get(no.0 as usize)
    }

    /// The open cycle.
    #[must_use]
    pub fn open_cycle(&self) -> &CycleTotals {
        &self.cycles[self.cycles.len() - 1]
    }

    /// Cycles that are cut and not closed, oldest first.
    pub fn closing_cycles(&self) -> impl Iterator<Item = &CycleTotals> {
        let open = self
            .cycles
            .iter()
            .rposition(|c| c.state.is_closed())
            .map_or(0, |i| i + 1);
        self.cycles[open..]
            .iter()
            .filter(|c| c.state == CycleState::Closing)
    }

    /// When the open cycle closes by schedule: cut it before the first message decided at or after this.
    #[must_use]
    pub fn next_close(&self) -> Option<Instant> {
        self.open_cycle().closes_at
    }

    /// The cycle of due work with an instant: the CLOSING one that holds it, otherwise the open one.
    #[must_use]
    pub fn cycle_for_due(&self, at: Instant) -> CycleNo {
        self.closing_cycles()
            .find(|c| c.closes_at.is_some_and(|close| at <= close))
            .map_or(self.open_cycle().no, |c| c.no)
    }

    /// The oldest CLOSING cycle whose due work is all in, so that it can be closed.
    #[must_use]
    pub fn closable_cycle(&self) -> Option<CycleNo> {
        self.closing_cycles()
            .next()
            .filter(|c| !self.due_work_left(c))
            .map(|c| c.no)
    }

    pub(crate) fn due_work_left(&self, cycle: &CycleTotals) -> bool {
        cycle
            .closes_at
            .is_some_and(|close| self.next_due().is_some_and(|due| due <= close))
    }

    /// When something of any member is next due by time alone.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.calendar.keys().next().copied()
    }

    /// Number of items due at or before an instant, over all members.
    #[must_use]
    pub fn due_count(&self, until: Instant) -> i64 {
        self.calendar.range(..=until).map(|(_, n)| n).sum()
    }

    /// Balances of the hub's accounts.
    #[must_use]
    pub fn hub_balances(&self) -> HubBalances {
        self.hub
    }

    /// Balance of 1100.m, micro-units; positive = the merchant owes.
    #[must_use]
    pub fn clearing(&self, merchant: MerchantIx) -> i128 {
        self.standings
            .get(merchant.0 as usize)
            .map_or(0, |standing| standing.clearing_micros)
    }

    /// What a merchant's pending accruals would debit, micro-units.
    #[must_use]
    pub fn pending(&self, merchant: MerchantIx) -> i128 {
        self.standings
            .get(merchant.0 as usize)
            .map_or(0, |standing| standing.pending_micros)
    }

    /// What finance did: proposals, payments, reconciliation, disputes, and what is carried between settlements.
    #[must_use]
    pub fn finance(&self) -> &Finance {
        &self.finance
    }

    /// Affiliates, their codes, and merchants' terms for them.
    #[must_use]
    pub fn affiliates(&self) -> &Affiliates {
        &self.affiliates
    }

    /// What is in a merchant's commission reserve (2200.m), micro-units: commissions that are not payable yet.
    #[must_use]
    pub fn commission_reserve(&self, merchant: MerchantIx) -> i128 {
        self.standings
            .get(merchant.0 as usize)
            .map_or(0, |standing| -standing.commission_micros)
    }

    /// Messages and points over all cycles.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.cycles.iter().for_each(|cycle| sum.add(&cycle.counts));
        sum
    }

    /// Points in lots by funder and present mode, with their reserve value in micro-units.
    #[must_use]
    pub fn outstanding(&self) -> BTreeMap<(MerchantIx, FundingMode), (i64, i128)> {
        let mut sums: BTreeMap<_, (i64, i128)> = BTreeMap::new();
        for (price, points) in self.open_entries().filter(|(_, points)| *points != 0) {
            let sum = sums.entry((price.funder, present_mode(price))).or_default();
            sum.0 += points;
            sum.1 += price.value(points);
        }
        sums
    }

    pub(crate) fn open_entries(&self) -> impl Iterator<Item = (&Price, i64)> {
        self.book.iter().map(|(id, price)| {
            (
                price,
                self.open_points.get(id.0 as usize).copied().unwrap_or(0),
            )
        })
    }

    /// Open BURN points of a funder with their price entries.
    pub(crate) fn open_burn(&self, funder: MerchantIx) -> Vec<(Price, i64)> {
        self.open_burn_entries(funder).collect()
    }

    /// The same, one by one. Costs a look at the price entries that the merchant funds: accruals under a cap pay it.
    pub(crate) fn open_burn_entries(
        &self,
        funder: MerchantIx,
    ) -> impl Iterator<Item = (Price, i64)> {
        let standing = self.standings.get(funder.0 as usize);
        let funds = standing.map_or(&[][..], |standing| &standing.funds);
        funds.iter().filter_map(|id| {
            let price = self.book.get(*id);
            let points = self.open_points.get(id.0 as usize).copied().unwrap_or(0);
            let open = points != 0 && present_mode(&price) == FundingMode::Burn;
            open.then_some((price, points))
        })
    }

    /// The state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        // Serialising plain data into a growing vector has no way to fail.
        postcard::to_extend(self, vec![SNAPSHOT_VERSION]).unwrap_or_default()
    }

    /// Reads what [`Global::snapshot`] wrote.
    pub fn restore(bytes: &[u8]) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((&SNAPSHOT_VERSION, rest)) => match postcard::take_from_bytes::<Self>(rest) {
                Ok((global, [])) if !global.cycles.is_empty() && !global.programmes.is_empty() => {
                    Ok(global)
                }
                Ok(_) => Err(Corrupt("snapshot")),
                Err(_) => Err(Corrupt("snapshot")),
            },
            Some(_) => Err(Corrupt("unknown version of a snapshot")),
            None => Err(Corrupt("empty snapshot")),
        }
    }

    /// Checks what must hold between any two entries. Costs a pass over all lines of all cycles that are not settled.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        let clearing: i128 = self
            .standings
            .iter()
            .map(|standing| standing.clearing_micros)
            .sum();
        let hub = &self.hub;
        if clearing + hub.sum() != 0 {
            return Err(Violation::AccountsUnbalanced);
        }
        let reserves = self.standings.iter().map(|s| s.commission_micros);
        if reserves.clone().sum::<i128>() != hub.commission_micros
            || reserves.into_iter().any(|micros| micros > 0)
        {
            return Err(Violation::CommissionReserve);
        }
        let issue = |price: &Price| present_mode(price) == FundingMode::Issue;
        if self
            .open_entries()
            .filter(|(price, _)| issue(price))
            .map(|(price, points)| price.value(points))
            .sum::<i128>()
            != -hub.reserve_micros
        {
            return Err(Violation::ReserveMismatch);
        }
        if self.open_points.iter().any(|points| *points < 0) {
            return Err(Violation::PointsBelowZero);
        }
        if self.open_points.iter().sum::<i64>() != self.counts().outstanding_points() {
            return Err(Violation::PointsMismatch);
        }
        for cycle in self.cycles.iter().filter(|cycle| !cycle.state.has_ended()) {
            if !cycle.adds_up() {
                return Err(Violation::CycleUnbalanced(cycle.no));
            }
            let mut nets = cycle.nets();
            for ((from, to), micros) in cycle.obligations() {
                *nets.entry(from).or_default() -= micros;
                if let Some(to) = to {
                    *nets.entry(to).or_default() += micros;
                }
            }
            if nets.values().any(|micros| *micros != 0) {
                return Err(Violation::ObligationsMismatch(cycle.no));
            }
        }
        self.check_finance()
    }
}

/// The mode from now on.
pub(crate) fn present_mode(price: &Price) -> FundingMode {
    price.mode_at(Pos(u64::MAX))
}
