//! Who brought a purchase: the last touch that counts, by the merchant's terms of the event time.

use hansa_proto::v1::ResultCode;
use serde::{Deserialize, Serialize};

use crate::{
    affiliates::{CommissionTerms, Pay, Sale},
    claim::Claim,
    decide::AHEAD,
    source::MerchantNo,
    terms::Terms,
    touch::{Kind, Touch},
};

/// To whom a conversion is attributed, and what that is paid by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attribution {
    pub(crate) affiliate: MerchantNo,
    /// Place of the touch among those that the merchant named; none: its code.
    pub(crate) touch: Option<usize>,
    pub(crate) pay: Pay,
}

/// Where a conversion's attribution ends: a touch by its place, or the code.
type Winner = (MerchantNo, Option<usize>);

/// The winner. Last click wins; views count where no click does, the code where no touch does, or first where the terms say so. The reason
/// of a refusal is that of the last click, or else of the last view.
pub(crate) fn winner(
    terms: &Terms,
    own: &CommissionTerms,
    claim: &Claim,
) -> Result<Winner, ResultCode> {
    let earns = |affiliate: &MerchantNo| terms.earns_commission(*affiliate);
    let by_code = claim.code.filter(earns).map(|holder| (holder, None));
    if let Some(winner) = by_code.filter(|_| own.codes_win) {
        return Ok(winner);
    }
    let mut refusal = None;
    for kind in [Kind::Click, Kind::View] {
        let of_kind = claim.touches.iter().enumerate();
        let mut latest: Vec<(usize, &Touch)> = of_kind
            .filter(|(_, touch)| touch.kind == kind && !claim.invalid.contains(&touch.id))
            .collect();
        latest.sort_by_key(|(place, touch)| (touch.at, *place));
        for (place, touch) in latest.into_iter().rev() {
            match refused(terms, own, claim, touch) {
                None => return Ok((touch.affiliate, Some(place))),
                Some(code) => refusal = refusal.or(Some(code)),
            }
        }
    }
    by_code.ok_or_else(|| {
        refusal.unwrap_or(if claim.code.is_some() {
            ResultCode::AffiliateNotActive
        } else {
            ResultCode::NotAttributed
        })
    })
}

/// Why a touch does not count.
fn refused(
    terms: &Terms,
    own: &CommissionTerms,
    claim: &Claim,
    touch: &Touch,
) -> Option<ResultCode> {
    let window = match touch.kind {
        _ if claim.recurring => own.recurring_window,
        Kind::Click => own.click_window,
        Kind::View => own.view_window,
    };
    let (event, at) = (claim.event_time, touch.at);
    let counted = event.saturating_sub(window)..=event.saturating_add(AHEAD);
    if window == 0 || !counted.contains(&at) {
        Some(ResultCode::OutsideAttributionWindow)
    } else if touch.flags & own.refused != 0 {
        Some(ResultCode::PlacementRefused)
    } else if !terms.earns_commission(touch.affiliate) {
        Some(ResultCode::AffiliateNotActive)
    } else {
        None
    }
}

/// What the rate card gives to the winner, in the tier that it has now.
pub(crate) fn rate(
    terms: &Terms,
    own: &CommissionTerms,
    claim: &Claim,
    (affiliate, touch): Winner,
) -> Result<Attribution, ResultCode> {
    let profile = terms.merchant(affiliate).ok();
    let profile = profile.and_then(|merchant| merchant.traffic.profile.as_ref());
    let sale = Sale {
        country: &claim.country,
        category: &claim.category,
        tier: profile.map_or("", |profile| &profile.tier),
        recurring: claim.recurring,
    };
    let pay = own.pay(sale).ok_or(ResultCode::CommissionTermsNotFound)?;
    Ok(Attribution {
        affiliate,
        touch,
        pay,
    })
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
