//! What an affiliate would earn now for what an offer is for: the row of the merchant's rate card for the offer's category, its
//! countries and the affiliate's tier. The same choice as for a conversion, which decides.

use std::collections::{BTreeMap, BTreeSet};

use hansa_proto::v1;
use hansa_settlement::{Currency, commission::CommissionTerms};

use super::{
    Standing,
    sight::{Scope, Sight},
};
use crate::sequencer::View;

/// Terms of the merchants of a page, by merchant, each with the number of its version.
pub type Cards = BTreeMap<u32, (u32, CommissionTerms)>;

/// The terms that a page needs; none for whom nothing is earned. Copied, so that the sequencer goes on.
#[must_use]
pub fn cards(view: &View<'_>, sight: &Sight, merchants: &BTreeSet<u32>) -> Cards {
    let Scope::Affiliate {
        merchants: seen, ..
    } = &sight.scope
    else {
        return Cards::new();
    };
    let affiliates = view.global.affiliates();
    let card = |merchant: &u32| {
        let number = *seen.get(merchant)?;
        // A version never changes: it is the one that the page was looked up with.
        let version = affiliates.version(number)?;
        Some((*merchant, (number, version.terms.clone())))
    };
    merchants.iter().filter_map(card).collect()
}

/// What the offer earns in each of its countries; countries that have the same row stand together.
#[must_use]
pub fn earnings(sight: &Sight, cards: &Cards, standing: &Standing) -> Vec<v1::OfferEarning> {
    let (Scope::Affiliate { tier, .. }, Some((version, terms))) =
        (&sight.scope, cards.get(&standing.merchant))
    else {
        return Vec::new();
    };
    of_terms(terms, *version, tier, sight.currency, &standing.offer)
}

fn of_terms(
    terms: &CommissionTerms,
    version: u32,
    tier: &str,
    currency: Currency,
    offer: &v1::Offer,
) -> Vec<v1::OfferEarning> {
    let mut by_row: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut find = |country: &str| {
        if let Some((row, _)) = terms.rate(country, &offer.category, tier) {
            let countries = by_row.entry(row).or_default();
            countries.extend((!country.is_empty()).then(|| country.to_owned()));
        }
    };
    if offer.country_codes.is_empty() {
        find("");
    }
    offer.country_codes.iter().for_each(|country| find(country));
    let code = currency.as_str();
    let money = |micros| v1::Money {
        currency_code: code.to_owned(),
        micros,
    };
    let price = offer.sale_price.as_ref().or(offer.price.as_ref());
    let price = price.filter(|price| price.currency_code == code);
    let earning = |(row, country_codes): (u32, Vec<String>)| {
        let rate = terms.rates.get(row as usize)?;
        Some(v1::OfferEarning {
            country_codes,
            terms_version: version + 1,
            rate_row: row,
            share_bps: rate.first_sale.share_bps,
            fixed: Some(money(rate.first_sale.fixed_micros)),
            recurring_share_bps: rate.recurring.share_bps,
            recurring_fixed: Some(money(rate.recurring.fixed_micros)),
            commission: price.map(|price| money(rate.first_sale.on(price.micros))),
        })
    };
    by_row.into_iter().filter_map(earning).collect()
}

#[cfg(test)]
mod tests {
    use hansa_settlement::commission::{CommissionRate, Locking, Pay, Placement};

    use super::*;

    fn row(country: &str, category: &str, tier: &str, share_bps: u32) -> CommissionRate {
        CommissionRate {
            country: country.into(),
            category: category.into(),
            tier: tier.into(),
            first_sale: Pay {
                share_bps,
                fixed_micros: 1_000_000,
            },
            recurring: Pay::default(),
        }
    }

    fn earned(tier: &str, offer: &v1::Offer) -> Vec<(Vec<String>, u32, u32, Option<i64>)> {
        let terms = CommissionTerms {
            click_window_micros: 1,
            view_window_micros: 0,
            codes_win: false,
            locking: Locking::Immediate,
            recurring_micros: 0,
            placement: Placement::default(),
            rates: vec![
                row("DE", "wine", "gold", 800),
                row("", "wine", "", 500),
                row("AT", "", "", 100),
            ],
        };
        let euros = Currency::new("EUR").unwrap();
        let earnings = of_terms(&terms, 6, tier, euros, offer);
        assert!(earnings.iter().all(|earning| earning.terms_version == 7));
        let told = |earning: v1::OfferEarning| {
            let commission = earning.commission.map(|money| money.micros);
            (
                earning.country_codes,
                earning.rate_row,
                earning.share_bps,
                commission,
            )
        };
        earnings.into_iter().map(told).collect()
    }

    fn offer(category: &str, countries: &[&str]) -> v1::Offer {
        let euros = |micros| v1::Money {
            currency_code: "EUR".into(),
            micros,
        };
        v1::Offer {
            category: category.into(),
            country_codes: countries.iter().map(|code| (*code).to_owned()).collect(),
            price: Some(euros(100_000_000)),
            sale_price: Some(euros(50_000_000)),
            ..v1::Offer::default()
        }
    }

    #[test]
    fn countries_of_one_row_stand_together() {
        let codes = |codes: &[&str]| {
            codes
                .iter()
                .map(|code| (*code).to_owned())
                .collect::<Vec<_>>()
        };
        let wine = offer("wine", &["FR", "DE", "AT"]);
        assert_eq!(
            earned("gold", &wine),
            [
                (codes(&["DE"]), 0, 800, Some(5_000_000)),
                (codes(&["FR", "AT"]), 1, 500, Some(3_500_000)),
            ]
        );
        let all = codes(&["FR", "DE", "AT"]);
        assert_eq!(earned("", &wine), [(all, 1, 500, Some(3_500_000))]);
        let anywhere = offer("wine", &[]);
        assert_eq!(
            earned("gold", &anywhere),
            [(Vec::new(), 1, 500, Some(3_500_000))]
        );
        assert_eq!(earned("gold", &offer("hats", &["DE"])), []);
        let hats = offer("hats", &["AT", "DE"]);
        assert_eq!(
            earned("", &hats),
            [(codes(&["AT"]), 2, 100, Some(1_500_000))]
        );
    }

    #[test]
    fn without_a_price_in_the_programmes_currency_only_the_rate_is_told() {
        let mut dollars = offer("wine", &[]);
        for price in [&mut dollars.price, &mut dollars.sale_price] {
            price.as_mut().unwrap().currency_code = "USD".into();
        }
        assert_eq!(earned("", &dollars), [(Vec::new(), 1, 500, None)]);
        dollars.price = None;
        dollars.sale_price = None;
        assert_eq!(earned("", &dollars), [(Vec::new(), 1, 500, None)]);
    }
}
