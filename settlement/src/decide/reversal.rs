//! Returns: rules 2, 3 and 6. Cumulative, so that partial returns add up to the full one.

use super::{Accepted, Fold, Verdict};
use crate::accrual::Accrual;
use crate::effect::{Change, PartPoints, Parts};
use crate::global::Global;
use crate::ids::{LotKey, Pos, PriceId, PromotionIx};
use crate::lot::Lot;
use crate::message::Message;
use crate::money::{Currency, MAX_AMOUNT_MICROS, largest_remainder};
use crate::outcome::{MessageState, OutcomeCode};
use crate::terms::{NegativeBalance, PointsComputedBy};
use smallvec::SmallVec;

impl Fold<'_> {
    pub(super) fn reversal(
        &mut self,
        message: &Message,
        original: Option<Pos>,
        currency: Currency,
        amount_micros: i64,
    ) -> Verdict {
        if currency != self.global.currency() {
            return Err(OutcomeCode::CurrencyMismatch);
        }
        if !(0..=MAX_AMOUNT_MICROS).contains(&amount_micros) {
            return Err(OutcomeCode::AmountOutOfRange);
        }
        let original = original.ok_or(OutcomeCode::OriginalNotFound)?;
        let accrual = self
            .member
            .accrual(original)
            .cloned()
            .ok_or_else(|| self.gone(original))?;
        let version = self
            .global
            .contract_version(accrual.contract)
            .ok_or(OutcomeCode::OriginalNotFound)?;
        if version.merchant != message.sender {
            return Err(OutcomeCode::OriginalNotFound);
        }
        let zone = self.global.programme(accrual.event_time).zone;
        if message.event_time >= version.terms.window_end(accrual.event_time, zone) {
            return Err(OutcomeCode::ReturnWindowClosed);
        }
        let left = accrual.amount_micros - accrual.returned_micros - amount_micros;
        if left < 0 {
            return Err(OutcomeCode::ReturnExceedsPurchase);
        }
        if accrual.posts_at.is_some() {
            return self.lower(message, &accrual, left);
        }
        let claimed = claims(self.global, &accrual, left)?;
        self.take_back(message, &accrual, amount_micros, claimed)
    }

    /// Why a record is not there: dropped, or never made.
    pub(super) fn gone(&self, pos: Pos) -> OutcomeCode {
        if self.member.was_pruned(pos) {
            OutcomeCode::ReturnWindowClosed
        } else {
            OutcomeCode::OriginalNotFound
        }
    }

    /// A return while pending lowers the amount; the points are those of the amount left.
    fn lower(&mut self, message: &Message, accrual: &Accrual, left_micros: i64) -> Verdict {
        let before: Parts = accrual
            .parts
            .iter()
            .map(|p| PartPoints {
                price: p.price,
                promotion: p.promotion,
                points: p.points,
            })
            .collect();
        let after = if left_micros == 0 {
            Parts::new()
        } else {
            lowered(self.global, accrual, left_micros)?
        };
        let points = |parts: &Parts| parts.iter().map(|part| part.points).sum::<i64>();
        // A bonus may be larger on a smaller amount: the difference of two floors.
        let lowered_by = (points(&before) - points(&after)).max(0);
        let state = if after.is_empty() {
            MessageState::Reversed
        } else {
            MessageState::Pending
        };
        self.push(Change::PendingLowered {
            original: accrual.pos,
            merchant: message.sender,
            left_micros,
            before,
            after,
        });
        let accepted = Accepted::new(state, lowered_by);
        Ok(match accrual.posts_at {
            Some(at) if state == MessageState::Pending => accepted.due_at(at),
            Some(_) | None => accepted,
        })
    }

    fn take_back(
        &mut self,
        message: &Message,
        accrual: &Accrual,
        amount_micros: i64,
        claimed: SmallVec<[(PriceId, i64); 1]>,
    ) -> Verdict {
        let policy = self.global.programme(message.event_time).negative_balance;
        let total: i64 = claimed.iter().map(|(_, points)| points).sum();
        let unheld: i64 = self.member.lots().iter().map(Lot::unheld).sum();
        if policy == NegativeBalance::Reject && total > unheld {
            return Err(OutcomeCode::InsufficientPoints);
        }
        self.push(Change::Returned {
            original: accrual.pos,
            merchant: message.sender,
            amount_micros,
            claimed: claimed.clone(),
        });
        // Every part first takes what is left of its own points, so that no part uses up another one's.
        let mut missing: Vec<(PriceId, i64)> = Vec::with_capacity(claimed.len());
        for (part, (price, points)) in claimed.iter().enumerate() {
            let own = LotKey {
                pos: accrual.pos,
                part: part as u16,
            };
            missing.push((*price, self.take(*price, *points, |lot| lot.origin == own)));
        }
        for (price, points) in &mut missing {
            *points = self.take(*price, *points, |lot| lot.origin.pos == accrual.pos);
        }
        let (mut owed, mut forgiven) = (0, 0);
        for (price, points) in missing {
            let short = self.take(price, points, |_| true);
            if short == 0 {
                continue;
            }
            match policy {
                NegativeBalance::Debt | NegativeBalance::Reject => {
                    owed += short;
                    self.push(Change::Owed {
                        creditor: price,
                        points: short,
                    });
                }
                NegativeBalance::Floor => {
                    forgiven += short;
                    self.push(Change::Forgiven {
                        reversed: price,
                        points: short,
                    });
                }
            }
        }
        let state = self
            .member
            .accrual(accrual.pos)
            .map_or(MessageState::Reversed, Accrual::state);
        Ok(Accepted {
            owed_points: owed,
            forgiven_points: forgiven,
            ..Accepted::new(state, total)
        })
    }

    /// Takes unheld points in burn order for a reversed part; answers what is missing.
    fn take(&mut self, reversed: PriceId, points: i64, from: impl Fn(&Lot) -> bool) -> i64 {
        let mut left = points;
        if left <= 0 {
            return 0;
        }
        let lots: Vec<Lot> = self
            .member
            .lots()
            .iter()
            .filter(|lot| lot.unheld() > 0 && from(lot))
            .copied()
            .collect();
        for lot in lots {
            let points = lot.unheld().min(left);
            if points == 0 {
                break;
            }
            left -= points;
            self.push(Change::Taken {
                lot: lot.key,
                price: lot.price,
                reversed,
                points,
            });
        }
        left
    }
}

/// Base and bonus points on an amount left, by the terms of the event time; the base is part 0 of the record.
struct Recomputed {
    base: i64,
    by_promotion: Vec<(PromotionIx, i64)>,
}

fn recompute(
    global: &Global,
    accrual: &Accrual,
    left_micros: i64,
) -> Result<Recomputed, OutcomeCode> {
    let terms = &global
        .contract_version(accrual.contract)
        .ok_or(OutcomeCode::OriginalNotFound)?
        .terms;
    let by_merchant = terms.computed_by == PointsComputedBy::Merchant;
    let base = if by_merchant {
        let whole = accrual.whole();
        match i128::from(whole.amount_micros) {
            0 => 0,
            amount => {
                (i128::from(whole.points) * i128::from(left_micros)).div_euclid(amount) as i64
            }
        }
    } else {
        terms
            .earn_rate
            .points(left_micros)
            .ok_or(OutcomeCode::AmountOutOfRange)?
    };
    let mut by_promotion: Vec<(PromotionIx, i64)> = Vec::new();
    for ix in accrual.parts.iter().filter_map(|part| part.promotion) {
        if by_promotion.last().is_some_and(|(last, _)| *last == ix) {
            continue;
        }
        let promotion = global.promotion(ix).ok_or(OutcomeCode::OriginalNotFound)?;
        by_promotion.push((
            ix,
            promotion
                .points(left_micros, terms.earn_rate, base, by_merchant)
                .ok_or(OutcomeCode::AmountOutOfRange)?,
        ));
    }
    Ok(Recomputed { base, by_promotion })
}

/// What a return claims now from each part: `min(posted - recomputed, posted - expired) - already reversed`, at least 0, for the base and for
/// each promotion; a promotion's claim is split by largest remainder over its parts' points not yet reversed.
fn claims(
    global: &Global,
    accrual: &Accrual,
    left_micros: i64,
) -> Result<SmallVec<[(PriceId, i64); 1]>, OutcomeCode> {
    let on_left = recompute(global, accrual, left_micros)?;
    let mut claims: SmallVec<[(PriceId, i64); 1]> =
        accrual.parts.iter().map(|part| (part.price, 0)).collect();
    let groups = std::iter::once((None, on_left.base)).chain(
        on_left
            .by_promotion
            .into_iter()
            .map(|(ix, points)| (Some(ix), points)),
    );
    for (promotion, on_left) in groups {
        let group: Vec<usize> = (0..accrual.parts.len())
            .filter(|i| accrual.parts[*i].promotion == promotion)
            .collect();
        let parts = || group.iter().map(|i| &accrual.parts[*i]);
        let posted: i64 = parts().map(|part| part.points).sum();
        let expired: i64 = parts().map(|part| part.expired).sum();
        let reversed: i64 = parts().map(|part| part.reversed).sum();
        let claim = ((posted - on_left).min(posted - expired) - reversed).max(0);
        let weights: Vec<i64> = parts().map(|part| part.points - part.reversed).collect();
        for (i, points) in group.iter().zip(largest_remainder(claim, &weights)) {
            claims[*i].1 = points;
        }
    }
    Ok(claims)
}

/// The parts of a pending accrual on a lower amount: as many parts as before, each with its funder's share.
fn lowered(global: &Global, accrual: &Accrual, left_micros: i64) -> Result<Parts, OutcomeCode> {
    let on_left = recompute(global, accrual, left_micros)?;
    let mut parts: Parts = accrual
        .parts
        .iter()
        .map(|p| PartPoints {
            price: p.price,
            promotion: p.promotion,
            points: 0,
        })
        .collect();
    if let Some(base) = parts.first_mut() {
        base.points = on_left.base;
    }
    for (ix, points) in on_left.by_promotion {
        let Some(promotion) = global.promotion(ix) else {
            continue;
        };
        for ((funder, _), points) in promotion.shares.iter().zip(promotion.split(points)) {
            let own = |part: &&mut PartPoints| {
                part.promotion == Some(ix) && global.book().get(part.price).funder == *funder
            };
            if let Some(part) = parts.iter_mut().find(own) {
                part.points = points;
            }
        }
    }
    Ok(parts)
}
