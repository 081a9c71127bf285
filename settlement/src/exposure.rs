//! Exposure: what an alliance would lose if a merchant stopped paying. Only an accrual that it sends or funds can be refused for it.

use crate::effect::PartPoints;
use crate::global::Global;
use crate::ids::{Instant, MerchantIx};
use crate::money::{BPS, share_floor};
use crate::terms::{ContractTerms, FundingMode};

impl Global {
    /// Exposure of a merchant in micro-units: debit balance of 1100.m over all payments not yet SETTLED + pending accruals + the value of its
    /// open BURN points, in full or times the redemption rate that its contract publishes.
    #[must_use]
    pub fn exposure(&self, merchant: MerchantIx, at: Instant) -> i128 {
        self.exposure_with(merchant, at, 0, 0)
    }

    pub(crate) fn exposure_with(
        &self,
        merchant: MerchantIx,
        at: Instant,
        debit: i128,
        other: i128,
    ) -> i128 {
        let Some(standing) = self.standings.get(merchant.0 as usize) else {
            return 0;
        };
        (standing.clearing_micros + debit).max(0)
            + standing.pending_micros
            + self.counted_burn(merchant, at)
            + other
    }

    /// Whether posting (or pending) these parts keeps every funder within its cap plus collateral. New BURN points count in full, because
    /// they may repay a debt at once.
    #[must_use]
    pub(crate) fn within_caps(&self, parts: &[PartPoints], pending: bool, at: Instant) -> bool {
        let mut funders: Vec<MerchantIx> = parts
            .iter()
            .filter(|part| part.points > 0)
            .map(|part| self.book.get(part.price).funder)
            .collect();
        funders.sort_unstable();
        funders.dedup();
        funders.into_iter().all(|funder| {
            let Some((_, terms)) = self.contract(funder, at) else {
                return true;
            };
            let Some(cap) = terms.net_debit_cap_micros else {
                return true;
            };
            let (mut debit, mut other) = (0, 0);
            for part in parts {
                let price = self.book.get(part.price);
                if price.funder == funder {
                    let (value, fee) = (price.value(part.points), price.fee(part.points));
                    match (pending, price.mode) {
                        (true, FundingMode::Issue | FundingMode::Burn) => other += value + fee,
                        (false, FundingMode::Issue) => debit += value + fee,
                        (false, FundingMode::Burn) => {
                            debit += fee;
                            other += value;
                        }
                    }
                }
            }
            self.exposure_with(funder, at, debit, other)
                <= i128::from(cap) + self.collateral(funder, terms)
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
        let bps = self
            .contract(merchant, at)
            .map_or(BPS, |(_, terms)| terms.exposure_redemption_bps);
        let burn = self.open_burn(merchant);
        share_floor(
            burn.iter()
                .map(|(price, points)| price.value(*points))
                .sum(),
            bps,
        )
    }
}
