//! Earning: rules 1, 3, 6, 8, 11 and 12.

use super::due::{expires_at, lot_keys};
use super::{Accepted, Fold, Verdict};
use crate::debt::Debt;
use crate::effect::{Change, NewAccrual, PartPoints, Parts};
use crate::global::Global;
use crate::ids::{ContractIx, Instant, MerchantIx, PriceId, PromotionIx};
use crate::journal::pending_value;
use crate::message::{Context, Message};
use crate::money::{Currency, MAX_AMOUNT_MICROS, MAX_POINTS, MAX_VALUE_MICROS};
use crate::outcome::{MessageState, OutcomeCode};
use crate::terms::{ContractTerms, MerchantState, PointsComputedBy};

impl Fold<'_> {
    pub(super) fn accrual(
        &mut self,
        message: &Message,
        currency: Currency,
        amount_micros: i64,
        claimed: Option<i64>,
    ) -> Verdict {
        let purchase = (currency, amount_micros, claimed);
        let member = (self.member.last_activity, self.member.debts());
        let earned = earn(self.global, &self.ctx, message, purchase, member)?;
        let keys = match earned.posts_at {
            None => lot_keys(self.ctx.pos, &earned.accrual.parts),
            Some(_) => Vec::new(),
        };
        self.push(change(earned.accrual, earned.posts_at, earned.expires_at));
        self.activity(message.event_time);
        let (cycle, late) = (self.cycle, self.late);
        self.after_gain(&keys, self.ctx.decided_at, cycle, late);
        Ok(earned.accepted)
    }
}

/// What an accrual comes to.
pub(super) struct Earned {
    pub(super) accrual: NewAccrual,
    /// When it posts, where that is not now.
    pub(super) posts_at: Option<Instant>,
    /// Of its lots, where it posts now.
    pub(super) expires_at: Instant,
    pub(super) accepted: Accepted,
}

/// The accrual as a change.
pub(super) fn change(
    accrual: NewAccrual,
    posts_at: Option<Instant>,
    expires_at: Instant,
) -> Change {
    match posts_at {
        Some(posts_at) => Change::Pended { accrual, posts_at },
        None => Change::Accrued {
            accrual,
            expires_at,
        },
    }
}

/// Decides an accrual. Of its member it reads the last activity and the debts only; what its points do there is the caller's.
pub(super) fn earn(
    global: &Global,
    ctx: &Context,
    message: &Message,
    (currency, amount_micros, claimed): (Currency, i64, Option<i64>),
    (last_activity, debts): (Option<Instant>, &[Debt]),
) -> Result<Earned, OutcomeCode> {
    let (contract, terms) = global
        .contract(message.sender, message.event_time)
        .ok_or(OutcomeCode::ContractNotFound)?;
    if currency != global.currency() {
        return Err(OutcomeCode::CurrencyMismatch);
    }
    let posts_at = terms.pending.then(|| {
        terms.window_end(
            message.event_time,
            global.programme(message.event_time).zone,
        )
    });
    // A window that is over by the hub's clock has nothing left to wait for.
    let posts_at = posts_at.filter(|at| *at > ctx.decided_at);
    let purchase = (amount_micros, claimed, posts_at.is_some());
    let parts = new_parts(global, message, (contract, terms), purchase)?;
    let total: i64 = parts.iter().map(|part| part.points).sum();
    let base = parts.first().map_or(0, |part| part.points);
    if terms
        .earn_cap_points
        .is_some_and(|cap| base > 0 && base > cap - earned_so_far(global, message.sender))
    {
        return Err(OutcomeCode::LimitExceeded);
    }
    let expires_at = expires_at(global, last_activity, message.event_time);
    // Points that are born expired repay nothing.
    let debts = if expires_at > ctx.decided_at {
        debts
    } else {
        &[]
    };
    if !global.within_caps(&parts, posts_at.is_some(), debts, ctx.decided_at) {
        return Err(OutcomeCode::LimitExceeded);
    }
    let accrual = NewAccrual {
        merchant: message.sender,
        contract,
        event_time: message.event_time,
        amount_micros,
        parts,
    };
    let accepted = |state| Accepted {
        bonus_points: total - base,
        ..Accepted::new(state, total)
    };
    if let Some(posts_at) = posts_at {
        return Ok(Earned {
            accrual,
            posts_at: Some(posts_at),
            expires_at: Instant::NEVER,
            accepted: accepted(MessageState::Pending).due_at(posts_at),
        });
    }
    let due_at = if total > 0 {
        expires_at
    } else {
        Instant::NEVER
    };
    Ok(Earned {
        accrual,
        posts_at: None,
        expires_at,
        accepted: accepted(MessageState::Posted).due_at(due_at),
    })
}

fn earned_so_far(global: &Global, merchant: MerchantIx) -> i64 {
    global
        .open_cycle()
        .earned
        .get(&merchant)
        .copied()
        .unwrap_or(0)
}

/// The parts of a new accrual: the base, then the funders' shares of every promotion that applies. While it is pending those without
/// points are kept, too: a smaller bonus may give a point to a funder that had none of a larger one.
fn new_parts(
    global: &Global,
    message: &Message,
    (contract, terms): (ContractIx, &ContractTerms),
    (amount_micros, claimed, pending): (i64, Option<i64>, bool),
) -> Result<Parts, OutcomeCode> {
    if !(0..=MAX_AMOUNT_MICROS).contains(&amount_micros) {
        return Err(OutcomeCode::AmountOutOfRange);
    }
    if claimed.is_some_and(|points| !(0..=MAX_POINTS).contains(&points)) {
        return Err(OutcomeCode::PointsOutOfRange);
    }
    let base = match terms.computed_by {
        PointsComputedBy::Hub => {
            let points = terms
                .earn_rate
                .points(amount_micros)
                .ok_or(OutcomeCode::AmountOutOfRange)?;
            if claimed.is_some_and(|claimed| claimed != points) {
                return Err(OutcomeCode::PointsMismatch);
            }
            points
        }
        PointsComputedBy::Merchant => claimed.ok_or(OutcomeCode::PointsMismatch)?,
    };
    let at = message.event_time;
    let price = global
        .price_of(contract, at)
        .ok_or(OutcomeCode::ContractNotFound)?;
    let mut parts: Parts = [PartPoints {
        price,
        promotion: None,
        points: base,
    }]
    .into_iter()
    .collect();
    for ix in promotions(global, message.sender, at) {
        let Some(promotion) = global.promotion(ix) else {
            continue;
        };
        let by_merchant = terms.computed_by == PointsComputedBy::Merchant;
        let bonus = promotion
            .points(amount_micros, terms.earn_rate, base, by_merchant)
            .ok_or(OutcomeCode::AmountOutOfRange)?;
        let fits = promotion
            .cap_points
            .is_none_or(|cap| bonus <= cap - global.granted(ix));
        let Some(prices) =
            funder_prices(global, &promotion.shares, at).filter(|_| fits && bonus > 0)
        else {
            continue;
        };
        let shares = promotion.split(bonus).into_iter().zip(prices);
        parts.extend(
            shares
                .filter(|(points, _)| pending || *points > 0)
                .map(|(points, price)| PartPoints {
                    price,
                    promotion: Some(ix),
                    points,
                }),
        );
    }
    let worth = |part: &PartPoints| pending_value(part, global.book()).1;
    if parts.iter().any(|part| worth(part) > MAX_VALUE_MICROS) {
        return Err(OutcomeCode::AmountOutOfRange);
    }
    Ok(parts)
}

/// Promotions that apply to an event, in order of their slugs.
fn promotions(global: &Global, merchant: MerchantIx, at: Instant) -> Vec<PromotionIx> {
    let mut found: Vec<_> = global
        .promotions()
        .iter()
        .enumerate()
        .filter(|(_, p)| p.applies(merchant, at))
        .collect();
    found.sort_by_key(|(_, promotion)| promotion.slug.as_str());
    found
        .into_iter()
        .map(|(i, _)| PromotionIx(i as u32))
        .collect()
}

/// The price entries of all funders at an event time; `None` where one is not ACTIVE or had no contract: then the bonus is not applied.
fn funder_prices(
    global: &Global,
    shares: &[(MerchantIx, u32)],
    at: Instant,
) -> Option<Vec<PriceId>> {
    let price = |(funder, _): &(MerchantIx, u32)| {
        global
            .merchant(*funder)
            .filter(|merchant| merchant.state == MerchantState::Active)?;
        let (contract, _) = global.contract(*funder, at)?;
        global.price_of(contract, at)
    };
    shares.iter().map(price).collect()
}
