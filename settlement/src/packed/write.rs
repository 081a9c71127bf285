//! Writing: varints, differences, flags.

use super::{
    APART_CHILD, APART_HELD, BASE_ONLY, CENT, CENTS, Chain, HELD, LOT, LOWERED, MINUTE, PENDING,
    REDUCED, RETURNED, SECOND, WHOLE,
};
use crate::accrual::{Accrual, Part};
use crate::debt::Debt;
use crate::ids::{Instant, LotKey};
use crate::lot::Lot;
use crate::redemption::{Redemption, Status, Use};

/// Appends to packed bytes.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    /// The difference from `base` in the coarsest of three units, named by the two lowest bits; 3 = never.
    pub(super) fn instant(&mut self, at: Instant, base: Instant) {
        if at == Instant::NEVER {
            return self.unsigned(3);
        }
        let difference = at.0.wrapping_sub(base.0);
        let (unit, code) = if difference % MINUTE == 0 {
            (MINUTE, 2)
        } else if difference % SECOND == 0 {
            (SECOND, 1)
        } else {
            (1, 0)
        };
        let units = difference / unit;
        self.unsigned((((units << 1) ^ (units >> 63)) as u64) << 2 | code);
    }

    fn key(&mut self, key: LotKey) {
        self.unsigned(key.pos.0);
        self.unsigned(u64::from(key.part));
    }

    pub(super) fn debts(&mut self, debts: &[Debt]) {
        self.unsigned(debts.len() as u64);
        for debt in debts {
            self.unsigned(u64::from(debt.creditor.0));
            self.signed(debt.points);
        }
    }

    /// Lots that no accrual's record describes.
    pub(super) fn apart(&mut self, lots: &[&Lot]) {
        self.unsigned(lots.len() as u64);
        for lot in lots {
            let child = lot.origin != lot.key;
            self.byte(flags([(lot.held != 0, APART_HELD), (child, APART_CHILD)]));
            self.key(lot.key);
            if child {
                self.key(lot.origin);
            }
            self.unsigned(u64::from(lot.price.0));
            self.signed(lot.remaining);
            if lot.held != 0 {
                self.signed(lot.held);
            }
            self.instant(lot.posted_at, Instant(0));
            self.instant(lot.expires_at, Instant(0));
        }
    }

    /// An accrual with its own lots, in order of their parts.
    pub(super) fn accrual<'a>(
        &mut self,
        a: &Accrual,
        lots: impl Iterator<Item = &'a Lot>,
        chain: &mut Chain,
    ) {
        let mut lots = lots.peekable();
        let base_only =
            a.whole.is_none() && matches!(a.parts.as_slice(), [part] if part.promotion.is_none());
        let reduced = a.parts.iter().any(|p| p.reversed != 0 || p.expired != 0);
        let cents = a.amount_micros % CENT == 0;
        let own = flags([
            (cents, CENTS),
            (a.returned_micros != 0, RETURNED),
            (a.posts_at.is_some(), PENDING),
            (base_only, BASE_ONLY),
            (reduced, REDUCED),
            (a.whole.is_some(), LOWERED),
        ]);
        let of_lot = match (lots.peek(), a.parts.first()) {
            (Some(lot), Some(part)) if base_only => lot_flags(lot, part),
            _ => 0,
        };
        self.byte(own | of_lot);
        self.unsigned(a.pos.0.wrapping_sub(chain.pos.0));
        self.unsigned(u64::from(a.contract.0));
        self.instant(a.event_time, chain.time);
        self.signed(if cents {
            a.amount_micros / CENT
        } else {
            a.amount_micros
        });
        if a.returned_micros != 0 {
            self.signed(a.returned_micros);
        }
        if let Some(at) = a.posts_at {
            self.instant(at, a.event_time);
        }
        if let Some(whole) = a.whole {
            self.signed(whole.amount_micros);
            self.signed(whole.points);
        }
        (chain.pos, chain.time) = (a.pos, a.event_time);
        if !base_only {
            self.unsigned(a.parts.len() as u64);
        }
        for (i, part) in a.parts.iter().enumerate() {
            let lot = lots.next_if(|lot| usize::from(lot.key.part) == i);
            self.part(part, reduced, lot, chain, base_only);
        }
    }

    fn part(
        &mut self,
        part: &Part,
        reduced: bool,
        lot: Option<&Lot>,
        chain: &mut Chain,
        base_only: bool,
    ) {
        self.unsigned(u64::from(part.price.0));
        if !base_only {
            self.unsigned(part.promotion.map_or(0, |p| u64::from(p.0) + 1));
        }
        self.signed(part.points);
        if reduced {
            self.signed(part.reversed);
            self.signed(part.expired);
        }
        if !base_only {
            self.byte(lot.map_or(0, |lot| lot_flags(lot, part)));
        }
        let Some(lot) = lot else { return };
        if lot.remaining != part.points {
            self.signed(lot.remaining);
        }
        if lot.held != 0 {
            self.signed(lot.held);
        }
        self.instant(lot.expires_at, chain.expiry);
        if lot.expires_at != Instant::NEVER {
            chain.expiry = lot.expires_at;
        }
    }

    pub(super) fn redemptions(&mut self, redemptions: &[Redemption]) {
        self.unsigned(redemptions.len() as u64);
        for redemption in redemptions {
            self.redemption(redemption);
        }
    }

    fn redemption(&mut self, r: &Redemption) {
        self.unsigned(r.authorisation.0);
        self.unsigned(u64::from(r.contract.0));
        self.instant(r.event_time, Instant(0));
        match &r.status {
            Status::Held { ends_at, uses } => {
                self.byte(0);
                self.instant(*ends_at, r.event_time);
                self.uses(uses, r.event_time);
            }
            Status::Captured {
                capture,
                fee_bps,
                refunded,
                uses,
            } => {
                self.byte(1);
                self.unsigned(capture.0.wrapping_sub(r.authorisation.0));
                self.unsigned(u64::from(*fee_bps));
                self.signed(*refunded);
                self.uses(uses, r.event_time);
            }
            Status::Voided => self.byte(2),
            Status::Expired => self.byte(3),
        }
    }

    fn uses(&mut self, uses: &[Use], time: Instant) {
        self.unsigned(uses.len() as u64);
        for u in uses {
            self.key(u.lot);
            let child = u.origin != u.lot;
            self.unsigned(u64::from(u.price.0) << 1 | u64::from(child));
            if child {
                self.key(u.origin);
            }
            self.signed(u.points);
            self.instant(u.posted_at, time);
            self.instant(u.expires_at, time);
        }
    }
}

fn lot_flags(lot: &Lot, part: &Part) -> u8 {
    LOT | flags([(lot.remaining == part.points, WHOLE), (lot.held != 0, HELD)])
}

fn flags<const N: usize>(bits: [(bool, u8); N]) -> u8 {
    bits.iter()
        .filter(|(on, _)| *on)
        .fold(0, |flags, (_, bit)| flags | bit)
}
