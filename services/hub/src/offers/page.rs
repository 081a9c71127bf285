//! Offers as they stand, by merchant and id.

use hansa_client::time;
use hansa_proto::v1;
use hansa_store::{OfferFilter, Store};

use super::{
    Budget, Standing, limit,
    sight::{Scope, Sight},
};
use crate::{convert::micros, error::HubError};

/// Which offers, of those that the caller sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this category; empty: any.
    pub category: String,
    /// Of this kind, by its number; 0: any.
    pub kind: u8,
    /// With those that are not in force.
    pub all: bool,
}

/// A page, and the key behind which the next one begins.
pub type Page = (Vec<Standing>, Option<(u32, String)>);

/// Whether an offer is in force: its time has come and is not over, and its merchant runs a programme.
#[must_use]
pub fn is_in_force(sight: &Sight, standing: &Standing) -> bool {
    let at = |time: &Option<prost_types::Timestamp>, default| time.as_ref().map_or(default, micros);
    sight.runs(standing.merchant)
        && at(&standing.offer.start_time, time::MIN_MICROS) <= sight.now
        && sight.now < at(&standing.offer.end_time, time::END_MICROS)
}

/// Reads offers behind `after`, at most `size`. Costs at most some tens of statements of some hundred rows.
///
/// # Errors
/// Those of the store.
pub async fn page(
    store: &Store,
    sight: &Sight,
    wanted: &Wanted,
    after: Option<(u32, String)>,
    size: usize,
) -> Result<Page, HubError> {
    let filter = match (wanted.category.as_str(), wanted.kind) {
        ("", 0) => OfferFilter::All,
        ("", kind) => OfferFilter::Kind(kind),
        (category, _) => OfferFilter::Category(category),
    };
    let only = sight.only();
    let mut at = match (only, after) {
        // Nothing of anybody else is seen.
        (Some(only), after) => after
            .filter(|(merchant, _)| *merchant == only)
            .unwrap_or((only, String::new())),
        (None, after) => after.unwrap_or_default(),
    };
    let mut found = Vec::new();
    let mut budget = Budget::new(size);
    while !budget.is_spent() {
        // The next merchant that is seen at all.
        if let Scope::Affiliate { merchants, .. } = &sight.scope
            && !merchants.contains_key(&at.0)
        {
            match merchants.range(at.0..).next() {
                Some((merchant, _)) => at = (*merchant, String::new()),
                None => return Ok((found, None)),
            }
        }
        let rows = budget.statement();
        let page = store.offers(filter, (at.0, &at.1), only.is_some(), limit(rows));
        let page = page.await?;
        let full = page.len() == rows;
        if let Some(last) = page.last() {
            at = (last.merchant, last.offer.clone());
        }
        for mut row in page {
            let Some(content) = row.content.take().filter(|_| sight.sees(row.merchant)) else {
                continue;
            };
            let bytes = content.len();
            let standing = Standing::read(&row, content)?;
            if is_wanted(wanted, &standing.offer) && (wanted.all || is_in_force(sight, &standing)) {
                budget.told(bytes);
                found.push(standing);
            }
        }
        if !full {
            return Ok((found, None));
        }
    }
    Ok((found, Some(at)))
}

fn is_wanted(wanted: &Wanted, offer: &v1::Offer) -> bool {
    (wanted.category.is_empty() || wanted.category == offer.category)
        && (wanted.kind == 0 || i32::from(wanted.kind) == offer.kind)
}
