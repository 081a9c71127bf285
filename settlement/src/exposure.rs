//! Exposure: what an alliance would lose if a merchant stopped paying. Only an accrual that it sends or funds can be refused for it.

use std::collections::BTreeMap;

use crate::debt::Debt;
use crate::effect::PartPoints;
use crate::global::Global;
use crate::ids::{Instant, MerchantIx};
use crate::money::{BPS, share_floor};
use crate::terms::{ContractTerms, FundingMode};
use smallvec::SmallVec;

impl Global {
    /// Exposure of a merchant in micro-units: debit balance of 1100.m over all payments not yet SETTLED + pending accruals + the value of its
    /// open BURN points, in full or times the redemption rate that its contract publishes.
    #[must_use]
    pub fn exposure(&self, merchant: MerchantIx, at: Instant) -> i128 {
        self.exposure_after(merchant, at, &Added::default())
    }

    /// The same with so much more owed.
    pub(crate) fn exposure_with(
        &self,
        merchant: MerchantIx,
        at: Instant,
        debit: i128,
        other: i128,
    ) -> i128 {
        let added = Added {
            debit,
            pending: other,
            ..Added::default()
        };
        self.exposure_after(merchant, at, &added)
    }

    fn exposure_after(&self, merchant: MerchantIx, at: Instant, added: &Added) -> i128 {
        let Some(standing) = self.standings.get(merchant.0 as usize) else {
            return 0;
        };
        (standing.clearing_micros + added.debit).max(0)
            + standing.pending_micros
            + added.pending
            + self.counted_burn_with(merchant, at, added.burn)
    }

    /// Whether posting (or pending) these parts keeps every funder of them within its cap plus collateral. New BURN points count like open
    /// ones, at the rate that the contract publishes, but for those that repay a debt at once: they are paid for in full.
    #[must_use]
    pub(crate) fn within_caps(
        &self,
        parts: &[PartPoints],
        pending: bool,
        debts: &[Debt],
        at: Instant,
    ) -> bool {
        let mut added: BTreeMap<MerchantIx, Added> = BTreeMap::new();
        let mut debts: SmallVec<[Debt; 4]> = debts.into();
        for part in parts.iter().filter(|part| part.points > 0) {
            let price = self.book.get(part.price);
            let (value, fee) = (price.value(part.points), price.fee(part.points));
            let own = added.entry(price.funder).or_default();
            own.funds = true;
            if pending {
                own.pending += value + fee;
                continue;
            }
            own.debit += fee;
            let mut left = part.points;
            for debt in &mut debts {
                let repaid = debt.points.min(left);
                let creditor = self.book.get(debt.creditor);
                debt.points -= repaid;
                left -= repaid;
                added.entry(price.funder).or_default().debit += price.value(repaid);
                added.entry(creditor.funder).or_default().debit -=
                    price.value(repaid) + creditor.fee_back(repaid);
            }
            let own = added.entry(price.funder).or_default();
            match price.mode {
                FundingMode::Issue => own.debit += price.value(left),
                FundingMode::Burn => own.burn += price.value(left),
            }
        }
        added
            .iter()
            .filter(|(_, added)| added.funds)
            .all(|(funder, added)| {
                let Some((_, terms)) = self.contract(*funder, at) else {
                    return true;
                };
                let Some(cap) = terms.net_debit_cap_micros else {
                    return true;
                };
                self.exposure_after(*funder, at, added)
                    <= i128::from(cap) + self.collateral(*funder, terms)
            })
    }

    /// Collateral that a merchant's contract names, less what a default used up, micro-units.
    pub(crate) fn collateral(&self, merchant: MerchantIx, terms: &ContractTerms) -> i128 {
        let used = self
            .standings
            .get(merchant.0 as usize)
            .map_or(0, |standing| standing.collateral_used_micros);
        i128::from((terms.collateral_micros - used).max(0))
    }

    /// Cap plus collateral of a merchant in micro-units; `None` without a cap.
    #[must_use]
    pub fn exposure_limit(&self, merchant: MerchantIx, at: Instant) -> Option<i128> {
        let (_, terms) = self.contract(merchant, at)?;
        let cap = terms.net_debit_cap_micros?;
        Some(i128::from(cap) + self.collateral(merchant, terms))
    }

    /// Value of a merchant's open BURN points as its contract counts them, micro-units.
    pub(crate) fn counted_burn(&self, merchant: MerchantIx, at: Instant) -> i128 {
        self.counted_burn_with(merchant, at, 0)
    }

    fn counted_burn_with(&self, merchant: MerchantIx, at: Instant, more: i128) -> i128 {
        let bps = self
            .contract(merchant, at)
            .map_or(BPS, |(_, terms)| terms.exposure_redemption_bps);
        let burn: i128 = self
            .open_burn_entries(merchant)
            .map(|(price, points)| price.value(points))
            .sum();
        share_floor(burn + more, bps)
    }
}

/// What an accrual adds to a merchant's exposure, micro-units.
#[derive(Default)]
struct Added {
    /// It funds a part.
    funds: bool,
    debit: i128,
    pending: i128,
    burn: i128,
}
