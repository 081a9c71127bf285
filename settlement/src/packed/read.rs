//! Reading what [`super::write`] writes, of bytes that may be anything.

use super::{
    APART_CHILD, APART_HELD, BASE_ONLY, CENT, CENTS, Chain, HELD, LOT, LOWERED, MINUTE, PENDING,
    REDUCED, RETURNED, SECOND, WHOLE,
};
use crate::accrual::{Accrual, Part, Whole};
use crate::debt::Debt;
use crate::effect::Corrupt;
use crate::ids::{ContractIx, Instant, LotKey, Pos, PriceId, PromotionIx};
use crate::lot::Lot;
use crate::redemption::{Redemption, Status, Use, Uses};
use smallvec::SmallVec;

/// Takes packed bytes from the front.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self
            .0
            .split_first()
            .ok_or(Corrupt("packed member is cut off"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("varint is too long"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Corrupt> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn u32(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.unsigned()?).map_err(|_| Corrupt("number is too large"))
    }

    pub(super) fn instant(&mut self, base: Instant) -> Result<Instant, Corrupt> {
        let value = self.unsigned()?;
        let unit = match value & 3 {
            0 => 1,
            1 => SECOND,
            2 => MINUTE,
            _ => return Ok(Instant::NEVER),
        };
        let zigzag = value >> 2;
        let units = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Ok(Instant(base.0.wrapping_add(units.wrapping_mul(unit))))
    }

    /// Every item takes at least one byte, so a count beyond the rest is a lie.
    fn count(&mut self) -> Result<usize, Corrupt> {
        usize::try_from(self.unsigned()?)
            .ok()
            .filter(|count| *count <= self.0.len())
            .ok_or(Corrupt("count beyond the bytes"))
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Corrupt>,
    ) -> Result<Vec<T>, Corrupt> {
        let count = self.count()?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn part_number(&mut self) -> Result<u16, Corrupt> {
        u16::try_from(self.unsigned()?).map_err(|_| Corrupt("part is too large"))
    }

    fn key(&mut self) -> Result<LotKey, Corrupt> {
        Ok(LotKey {
            pos: Pos(self.unsigned()?),
            part: self.part_number()?,
        })
    }

    pub(super) fn debts(&mut self) -> Result<Vec<Debt>, Corrupt> {
        self.list(|r| {
            Ok(Debt {
                creditor: PriceId(r.u32()?),
                points: r.signed()?,
            })
        })
    }

    /// Lots that no accrual's record describes.
    pub(super) fn apart(&mut self) -> Result<Vec<Lot>, Corrupt> {
        self.list(|r| {
            let flags = r.byte()?;
            let has = |bit| flags & bit != 0;
            let key = r.key()?;
            sound(Lot {
                key,
                origin: if has(APART_CHILD) { r.key()? } else { key },
                price: PriceId(r.u32()?),
                remaining: r.signed()?,
                held: if has(APART_HELD) { r.signed()? } else { 0 },
                posted_at: r.instant(Instant(0))?,
                expires_at: r.instant(Instant(0))?,
            })
        })
    }

    /// An accrual; its own lots are pushed to `lots`.
    pub(super) fn accrual(
        &mut self,
        chain: &mut Chain,
        lots: &mut Vec<Lot>,
    ) -> Result<Accrual, Corrupt> {
        let flags = self.byte()?;
        let has = |bit| flags & bit != 0;
        let pos = chain.pos.0.checked_add(self.unsigned()?).map(Pos);
        let pos = pos
            .filter(|pos| *pos > chain.pos)
            .ok_or(Corrupt("accruals are out of order"))?;
        let contract = ContractIx(self.u32()?);
        let event_time = self.instant(chain.time)?;
        (chain.pos, chain.time) = (pos, event_time);
        let amount = self.signed()?;
        let amount_micros = if has(CENTS) {
            amount.wrapping_mul(CENT)
        } else {
            amount
        };
        let returned_micros = if has(RETURNED) { self.signed()? } else { 0 };
        let posts_at = if has(PENDING) {
            Some(self.instant(event_time)?)
        } else {
            None
        };
        let whole = if !has(BASE_ONLY) && has(LOWERED) {
            Some(Whole {
                amount_micros: self.signed()?,
                points: self.signed()?,
            })
        } else {
            None
        };
        let count = if has(BASE_ONLY) { 1 } else { self.count()? };
        let mut accrual = Accrual {
            pos,
            contract,
            event_time,
            amount_micros,
            returned_micros,
            posts_at,
            whole,
            parts: SmallVec::new(),
        };
        for i in 0..count {
            let price = PriceId(self.u32()?);
            let promotion = if has(BASE_ONLY) {
                None
            } else {
                self.u32()?.checked_sub(1).map(PromotionIx)
            };
            let points = self.signed()?;
            let (reversed, expired) = if has(REDUCED) {
                (self.signed()?, self.signed()?)
            } else {
                (0, 0)
            };
            let part = Part {
                price,
                promotion,
                points,
                reversed,
                expired,
            };
            let of_lot = if has(BASE_ONLY) { flags } else { self.byte()? };
            if of_lot & LOT != 0 {
                let part_number = u16::try_from(i).map_err(|_| Corrupt("part is too large"))?;
                lots.push(self.own_lot(&accrual, (part_number, &part), of_lot, chain)?);
            }
            accrual.parts.push(part);
        }
        Ok(accrual)
    }

    fn own_lot(
        &mut self,
        accrual: &Accrual,
        (number, part): (u16, &Part),
        flags: u8,
        chain: &mut Chain,
    ) -> Result<Lot, Corrupt> {
        let key = LotKey {
            pos: accrual.pos,
            part: number,
        };
        let remaining = if flags & WHOLE != 0 {
            part.points
        } else {
            self.signed()?
        };
        let held = if flags & HELD != 0 { self.signed()? } else { 0 };
        let expires_at = self.instant(chain.expiry)?;
        if expires_at != Instant::NEVER {
            chain.expiry = expires_at;
        }
        sound(Lot {
            key,
            origin: key,
            price: part.price,
            remaining,
            held,
            posted_at: accrual.event_time,
            expires_at,
        })
    }

    pub(super) fn redemptions(&mut self) -> Result<Vec<Redemption>, Corrupt> {
        self.list(Self::redemption)
    }

    fn redemption(&mut self) -> Result<Redemption, Corrupt> {
        let authorisation = Pos(self.unsigned()?);
        let contract = ContractIx(self.u32()?);
        let event_time = self.instant(Instant(0))?;
        let status = match self.byte()? {
            0 => Status::Held {
                ends_at: self.instant(event_time)?,
                uses: self.uses(event_time)?,
            },
            1 => Status::Captured {
                capture: Pos(authorisation.0.wrapping_add(self.unsigned()?)),
                fee_bps: self.u32()?,
                refunded: self.signed()?,
                uses: self.uses(event_time)?,
            },
            2 => Status::Voided,
            3 => Status::Expired,
            _ => return Err(Corrupt("unknown state of a redemption")),
        };
        Ok(Redemption {
            authorisation,
            contract,
            event_time,
            status,
        })
    }

    fn uses(&mut self, time: Instant) -> Result<Uses, Corrupt> {
        let count = self.count()?;
        let mut uses = Uses::with_capacity(count);
        for _ in 0..count {
            let lot = self.key()?;
            let price = self.unsigned()?;
            let origin = if price & 1 == 1 { self.key()? } else { lot };
            let price =
                PriceId(u32::try_from(price >> 1).map_err(|_| Corrupt("number is too large"))?);
            uses.push(Use {
                lot,
                origin,
                price,
                points: self.signed()?,
                posted_at: self.instant(time)?,
                expires_at: self.instant(time)?,
            });
        }
        Ok(uses)
    }
}

/// A lot that can be: what is held is part of what remains.
fn sound(lot: Lot) -> Result<Lot, Corrupt> {
    if (0..=lot.remaining).contains(&lot.held) {
        Ok(lot)
    } else {
        Err(Corrupt("more is held of a lot than remains"))
    }
}
