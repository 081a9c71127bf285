//! What a pass over the log needs of the terms: prices, how fees are taxed, the zone of days. A copy, so that the pass holds
//! nobody up.

use chrono::NaiveDate;
use hansa_report::Tax;
use hansa_settlement::{ContractIx, Global, Instant, MerchantIx, PriceBook, Zone};

/// Place of a tax in [`Terms`].
pub type TaxIx = usize;

/// Prices, taxes, zone.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Prices of points.
    pub book: PriceBook,
    /// From when on which zone.
    zones: Vec<(Instant, Zone)>,
    /// In the order in which contracts first name them: the same for every reader of the same log.
    taxes: Vec<Tax>,
    /// Of each merchant, from when on which tax.
    contracts: Vec<Vec<(Instant, Option<TaxIx>)>>,
}

impl Terms {
    /// As the ledger has them.
    #[must_use]
    pub fn of(global: &Global) -> Self {
        let versions = global.programme_versions().iter();
        let mut terms = Self {
            book: global.book().clone(),
            zones: versions
                .map(|version| (version.effective_at, version.terms.zone))
                .collect(),
            taxes: Vec::new(),
            contracts: vec![Vec::new(); global.merchants().len()],
        };
        let versions = (0..).map_while(|ix| global.contract_version(ContractIx(ix)));
        for version in versions {
            let tax = tax_of(&version.terms).map(|tax| terms.place(tax));
            if let Some(list) = terms.contracts.get_mut(version.merchant.0 as usize) {
                list.push((version.effective_at, tax));
            }
        }
        terms
    }

    fn place(&mut self, tax: Tax) -> TaxIx {
        let known = self.taxes.iter().position(|other| *other == tax);
        known.unwrap_or_else(|| {
            self.taxes.push(tax);
            self.taxes.len() - 1
        })
    }

    /// How a merchant's fees are taxed that are posted at an instant.
    #[must_use]
    pub fn tax_at(&self, merchant: MerchantIx, at: Instant) -> Option<TaxIx> {
        let versions = self.contracts.get(merchant.0 as usize)?;
        let after = versions.partition_point(|(from, _)| *from <= at);
        versions.get(after.checked_sub(1)?)?.1
    }

    /// A tax by its place.
    #[must_use]
    pub fn tax(&self, ix: Option<TaxIx>) -> Option<&Tax> {
        self.taxes.get(ix?)
    }

    /// The business day of an instant.
    #[must_use]
    pub fn day(&self, at: Instant) -> NaiveDate {
        let after = self.zones.partition_point(|(from, _)| *from <= at);
        let version = self.zones.get(after.saturating_sub(1));
        version.map_or_else(NaiveDate::default, |(_, zone)| zone.date(at))
    }
}

/// The tax that a contract names.
pub(super) fn tax_of(terms: &hansa_settlement::ContractTerms) -> Option<Tax> {
    (!terms.tax_category.is_empty()).then(|| Tax {
        category: terms.tax_category.clone(),
        rate_percent: terms.tax_rate_percent.map(|rate| rate.to_decimal()),
    })
}
