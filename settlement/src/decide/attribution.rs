//! Attribution: which touch or code of a conversion counts, and what it earns by the merchant's terms.

use super::MAX_AHEAD_MICROS;
use crate::commission::{
    Affiliates, Attribution, Claim, ClaimedTouch, CommissionTerms, Conversion, TouchKind,
};
use crate::global::Global;
use crate::ids::{MerchantIx, Pos};
use crate::outcome::OutcomeCode;
use crate::terms::MerchantState;

/// What an attribution needs to know of a conversion.
pub(super) struct Candidates<'a> {
    pub(super) affiliates: &'a Affiliates,
    pub(super) terms: &'a CommissionTerms,
    pub(super) conversion: &'a Conversion,
    /// Places of touches that were declared invalid.
    pub(super) invalid: &'a [u8],
}

/// A touch or a code that counts.
#[derive(Clone, Copy)]
pub(super) struct Winner {
    affiliate: MerchantIx,
    site: u32,
    touch: Option<u8>,
}

impl Candidates<'_> {
    /// The last touch that counts, or why none does: what is said is about the last one.
    pub(super) fn winner(&self, global: &Global) -> Result<Winner, OutcomeCode> {
        let code = || {
            let (affiliate, site) = self.conversion.code?;
            is_active(global, affiliate).then_some(Winner {
                affiliate,
                site,
                touch: None,
            })
        };
        if self.terms.codes_win
            && let Some(winner) = code()
        {
            return Ok(winner);
        }
        let mut why = None;
        for kind in [TouchKind::Click, TouchKind::View] {
            match self.last(global, kind) {
                Ok(winner) => return Ok(winner),
                // A view is only looked at where no click counts: the click's reason is what the merchant wants to know.
                Err(code) => why = why.or(code),
            }
        }
        code().ok_or(why.unwrap_or(match self.conversion.code {
            Some(_) => OutcomeCode::AffiliateNotActive,
            None => OutcomeCode::NotAttributed,
        }))
    }

    fn last(&self, global: &Global, kind: TouchKind) -> Result<Winner, Option<OutcomeCode>> {
        // By the touch's own id: a merchant may name one touch twice.
        let is_invalid = |id: [u8; 16]| {
            let invalid = self.invalid.iter();
            invalid
                .filter_map(|place| self.conversion.touches.get(usize::from(*place)))
                .any(|touch| touch.id == id)
        };
        let of_kind =
            |(_, touch): &(usize, &ClaimedTouch)| touch.kind == kind && !is_invalid(touch.id);
        let mut touches: Vec<_> = self
            .conversion
            .touches
            .iter()
            .enumerate()
            .filter(of_kind)
            .collect();
        touches.sort_by_key(|(place, touch)| std::cmp::Reverse((touch.at, *place)));
        let mut why = None;
        for (place, touch) in touches {
            match self.counts(global, touch) {
                Ok(()) => {
                    return Ok(Winner {
                        affiliate: touch.affiliate,
                        site: touch.site,
                        touch: Some(place as u8),
                    });
                }
                Err(code) => why = why.or(Some(code)),
            }
        }
        Err(why)
    }

    fn counts(&self, global: &Global, touch: &ClaimedTouch) -> Result<(), OutcomeCode> {
        let event = self.conversion.event_time;
        let window = match (self.conversion.recurring, touch.kind) {
            (true, _) => self.terms.recurring_micros,
            (false, TouchKind::Click) => self.terms.click_window_micros,
            (false, TouchKind::View) => self.terms.view_window_micros,
        };
        // Clocks differ a little: a touch may seem to lie as far ahead of its conversion as an event may of the hub's clock.
        let ahead = event.plus_micros(MAX_AHEAD_MICROS);
        if window == 0 || touch.at > ahead || touch.at < event.plus_micros(-window) {
            return Err(OutcomeCode::OutsideAttributionWindow);
        }
        if touch.flags & self.terms.placement.refused_flags != 0 {
            return Err(OutcomeCode::PlacementRefused);
        }
        if is_active(global, touch.affiliate) {
            Ok(())
        } else {
            Err(OutcomeCode::AffiliateNotActive)
        }
    }

    /// What the winner earns by the terms.
    pub(super) fn attribution(&self, winner: Winner) -> Result<Attribution, OutcomeCode> {
        let tier = self
            .affiliates
            .profile(winner.affiliate)
            .map_or("", |profile| &profile.tier);
        let conversion = self.conversion;
        let (row, rate) = self
            .terms
            .rate(&conversion.country, &conversion.category, tier)
            .ok_or(OutcomeCode::CommissionTermsNotFound)?;
        let pay = if conversion.recurring {
            rate.recurring
        } else {
            rate.first_sale
        };
        Ok(Attribution {
            affiliate: winner.affiliate,
            site: winner.site,
            touch: winner.touch,
            pay,
            row,
        })
    }
}

/// An affiliate earns only while it is ACTIVE and has a profile.
fn is_active(global: &Global, affiliate: MerchantIx) -> bool {
    global.affiliates().profile(affiliate).is_some()
        && global
            .merchant(affiliate)
            .is_some_and(|participant| participant.state == MerchantState::Active)
}

/// Whether the touch that won is free, or was used by the very conversion that this one recurs of.
pub(super) fn may_use(claim: &Claim, winner: Winner, first: Option<Pos>) -> bool {
    let Some(place) = winner.touch else {
        return true;
    };
    let used = claim
        .touches
        .get(usize::from(place))
        .and_then(|(_, used)| *used);
    match (used, first) {
        (None, None) => true,
        (Some(used), Some(first)) => used == first,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
