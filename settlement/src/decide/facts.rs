//! Facts about members: opening balances, reinstatement (rule 10), merges (rule 9). Decided like messages, recorded as effects.

use super::Fold;
use super::redemption::GRACE_DAYS;
use crate::effect::{Change, Effect};
use crate::global::Global;
use crate::ids::{Instant, LotKey, MemberId, MerchantIx};
use crate::lot::Lot;
use crate::member::Member;
use crate::message::Context;
use crate::money::{BPS, MAX_POINTS, MAX_VALUE_MICROS, share_floor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A fact about one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberFact {
    /// Points from before the programme moved here. ISSUE points come with their reserve in cash (1200 to 2100).
    OpeningLot {
        /// Who funds them, at the terms of `posted_at`.
        funder: MerchantIx,
        /// Points, at least 1.
        points: i64,
        /// When they were posted.
        posted_at: Instant,
        /// First instant at which they cannot be used; later than now.
        expires_at: Instant,
    },
    /// Expired points of a lot come back, with the expiry's journal reversed, for a grace period of 30 days.
    Reinstatement {
        /// The accrual and part that the points were earned by. Its record must still be there.
        origin: LotKey,
        /// Points, at most those that expired.
        points: i64,
        /// When they expired: the breakage share of that time is taken back.
        expired_at: Instant,
    },
}

/// Why a fact about a member is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum MemberFactRefusal {
    /// Points below 1 or beyond the bounds.
    #[error("points are out of range")]
    PointsOutOfRange,
    /// The funder had no contract then.
    #[error("the funder had no contract at that time")]
    ContractNotFound,
    /// The points would be expired at once.
    #[error("the points have expired")]
    Expired,
    /// The lot's accrual is unknown, or fewer points expired.
    #[error("no such expired points")]
    NothingExpired,
    /// The fact names one member twice.
    #[error("a member cannot be merged into itself")]
    SameMember,
}

impl MemberFactRefusal {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::PointsOutOfRange => "POINTS_OUT_OF_RANGE",
            Self::ContractNotFound => "CONTRACT_NOT_FOUND",
            Self::Expired => "EXPIRED",
            Self::NothingExpired => "NOTHING_EXPIRED",
            Self::SameMember => "SAME_MEMBER",
        }
    }
}

/// Decides a fact about one member; the effects are already applied to the member. A refused fact changes nothing.
pub fn decide_member_fact(
    global: &Global,
    member: &mut Member,
    ctx: &Context,
    fact: &MemberFact,
) -> Result<Vec<Effect>, MemberFactRefusal> {
    let mut working = member.clone();
    let mut fold = Fold::new(global, &mut working, *ctx, global.open_cycle(), false);
    fold.due_work(ctx.decided_at);
    let key = match *fact {
        MemberFact::OpeningLot {
            funder,
            points,
            posted_at,
            expires_at,
        } => fold.opening(funder, points, posted_at, expires_at)?,
        MemberFact::Reinstatement {
            origin,
            points,
            expired_at,
        } => fold.reinstate(origin, points, expired_at)?,
    };
    let cycle = fold.cycle;
    fold.after_gain(&[key], ctx.decided_at, cycle, false);
    let effects = fold.finish();
    *member = working;
    Ok(effects)
}

/// Merges `from` into `into`: lots, debts and records move unchanged, then debts are repaid. Returns the effects of (`from`, `into`), to be
/// recorded and applied in this order; both members are already changed.
pub fn decide_merge(
    global: &Global,
    (from_id, from): (MemberId, &mut Member),
    (into_id, into): (MemberId, &mut Member),
    ctx: &Context,
) -> Result<(Vec<Effect>, Vec<Effect>), MemberFactRefusal> {
    if from_id == into_id {
        return Err(MemberFactRefusal::SameMember);
    }
    let mut out = Fold::new(global, from, *ctx, global.open_cycle(), false);
    out.due_work(ctx.decided_at);
    let holdings = out.member.holdings();
    out.push(Change::MergedOut { into: into_id });
    let out = out.finish();

    let mut fold = Fold::new(global, into, *ctx, global.open_cycle(), false);
    fold.due_work(ctx.decided_at);
    fold.push(Change::MergedIn(Box::new(holdings)));
    let keys: Vec<LotKey> = fold.member.lots().iter().map(|lot| lot.key).collect();
    let cycle = fold.cycle;
    fold.after_gain(&keys, ctx.decided_at, cycle, false);
    Ok((out, fold.finish()))
}

impl Fold<'_> {
    fn opening(
        &mut self,
        funder: MerchantIx,
        points: i64,
        posted_at: Instant,
        expires_at: Instant,
    ) -> Result<LotKey, MemberFactRefusal> {
        if !(1..=MAX_POINTS).contains(&points) {
            return Err(MemberFactRefusal::PointsOutOfRange);
        }
        // A contract that began later still names the price that the points are taken over at.
        let terms = self
            .global
            .contract(funder, posted_at)
            .or_else(|| self.global.contract(funder, self.ctx.decided_at));
        let (contract, _) = terms.ok_or(MemberFactRefusal::ContractNotFound)?;
        let price = self
            .global
            .price_of(contract, posted_at)
            .ok_or(MemberFactRefusal::ContractNotFound)?;
        if self.global.book().get(price).value(points) > MAX_VALUE_MICROS {
            return Err(MemberFactRefusal::PointsOutOfRange);
        }
        if expires_at <= self.ctx.decided_at {
            return Err(MemberFactRefusal::Expired);
        }
        let part = self
            .member
            .lots()
            .iter()
            .filter(|lot| lot.key.pos == self.ctx.pos)
            .count() as u16;
        let key = LotKey {
            pos: self.ctx.pos,
            part,
        };
        self.push(Change::Opened {
            lot: Lot {
                key,
                origin: key,
                price,
                remaining: points,
                held: 0,
                posted_at,
                expires_at,
            },
        });
        Ok(key)
    }

    fn reinstate(
        &mut self,
        origin: LotKey,
        points: i64,
        expired_at: Instant,
    ) -> Result<LotKey, MemberFactRefusal> {
        let part = self
            .member
            .accrual(origin.pos)
            .and_then(|a| a.parts.get(usize::from(origin.part)))
            .copied();
        let part = part
            .filter(|part| (1..=part.expired).contains(&points))
            .ok_or(MemberFactRefusal::NothingExpired)?;
        let price = self.global.book().get(part.price);
        let bps = self
            .global
            .contract(price.funder, expired_at)
            .map_or(0, |(_, terms)| terms.breakage_share_bps.min(BPS));
        let share_micros = i64::try_from(share_floor(price.value(points), bps))
            .map_err(|_| MemberFactRefusal::PointsOutOfRange)?;
        let zone = self.global.programme(self.ctx.decided_at).zone;
        let expires_at = zone.midnight_after_days(self.ctx.decided_at, GRACE_DAYS);
        let key = LotKey {
            pos: self.ctx.pos,
            part: 0,
        };
        let lot = Lot {
            key,
            origin,
            price: part.price,
            remaining: points,
            held: 0,
            posted_at: self.ctx.decided_at,
            expires_at,
        };
        self.push(Change::Reinstated {
            lot,
            points,
            share_micros,
        });
        Ok(key)
    }
}
