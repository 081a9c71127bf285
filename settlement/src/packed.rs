//! A member as bytes: the same in memory, in the store and over a restart. Varints and differences, and a lot that its accrual record
//! already describes costs about five bytes. The format carries a version; decoding checks every bound and never panics.

use crate::accrual::{Accrual, Part};
use crate::debt::Debt;
use crate::effect::Corrupt;
use crate::ids::{ContractIx, Instant, LotKey, Pos, PriceId, PromotionIx};
use crate::lot::Lot;
use crate::member::Member;
use crate::redemption::{Redemption, Status, Use, Uses};

const VERSION: u8 = 1;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const CENT: i64 = 10_000;

// Flags of an accrual.
const CENTS: u8 = 1;
const RETURNED: u8 = 2;
const PENDING: u8 = 4;
const BASE_ONLY: u8 = 8;
const REDUCED: u8 = 16;
// Flags of a lot.
const LINKED: u8 = 1;
const WHOLE: u8 = 2;
const HELD: u8 = 4;
const CHILD: u8 = 8;

impl Member {
    /// Appends the packed form.
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        let mut w = Writer(bytes);
        w.byte(VERSION);
        w.instant(self.last_activity.unwrap_or(Instant::NEVER), Instant(0));
        w.unsigned(self.pruned_to.0);
        w.unsigned(self.accruals.len() as u64);
        let mut base = (Pos(0), self.last_activity.unwrap_or_default());
        for accrual in &self.accruals {
            w.accrual(accrual, base);
            base = (accrual.pos, accrual.event_time);
        }
        w.unsigned(self.lots.len() as u64);
        let mut before = base.1;
        for lot in &self.lots {
            w.lot(lot, &self.accruals, before);
            if lot.expires_at != Instant::NEVER {
                before = lot.expires_at;
            }
        }
        w.unsigned(self.debts.len() as u64);
        for debt in &self.debts {
            w.unsigned(u64::from(debt.creditor.0));
            w.signed(debt.points);
        }
        w.unsigned(self.redemptions.len() as u64);
        for redemption in &self.redemptions {
            w.redemption(redemption);
        }
    }

    /// The packed form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + 24 * self.accruals.len());
        self.encode_into(&mut bytes);
        bytes
    }

    /// Reads the packed form. No bytes at all are a member of whom nothing is known yet.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut r = Reader(bytes);
        if r.byte()? != VERSION {
            return Err(Corrupt("unknown version of a packed member"));
        }
        let last_activity = Some(r.instant(Instant(0))?).filter(|at| *at != Instant::NEVER);
        let pruned_to = Pos(r.unsigned()?);
        let mut member = Self {
            last_activity,
            pruned_to,
            ..Self::default()
        };
        let mut base = (Pos(0), last_activity.unwrap_or_default());
        member.accruals = r.list(|r| {
            let accrual = r.accrual(base)?;
            base = (accrual.pos, accrual.event_time);
            Ok(accrual)
        })?;
        let mut before = base.1;
        member.lots = r.list(|r| {
            let lot = r.lot(&member.accruals, before)?;
            if lot.expires_at != Instant::NEVER {
                before = lot.expires_at;
            }
            Ok(lot)
        })?;
        member.debts = r.list(|r| {
            Ok(Debt {
                creditor: PriceId(r.u32()?),
                points: r.signed()?,
            })
        })?;
        member.redemptions = r.list(Reader::redemption)?;
        if r.0.is_empty() {
            Ok(member)
        } else {
            Err(Corrupt("bytes behind a packed member"))
        }
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    /// The difference from `base` in the coarsest of three units, named by the two lowest bits; 3 = never.
    fn instant(&mut self, at: Instant, base: Instant) {
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

    fn accrual(&mut self, a: &Accrual, (pos, time): (Pos, Instant)) {
        let base_only = matches!(a.parts.as_slice(), [part] if part.promotion.is_none());
        let reduced = a.parts.iter().any(|p| p.reversed != 0 || p.expired != 0);
        let cents = a.amount_micros % CENT == 0;
        let flags = [
            (cents, CENTS),
            (a.returned_micros != 0, RETURNED),
            (a.posts_at.is_some(), PENDING),
            (base_only, BASE_ONLY),
            (reduced, REDUCED),
        ];
        self.byte(flags.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum());
        self.unsigned(a.pos.0.wrapping_sub(pos.0));
        self.unsigned(u64::from(a.contract.0));
        self.instant(a.event_time, time);
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
        if !base_only {
            self.unsigned(a.parts.len() as u64);
        }
        for part in &a.parts {
            self.unsigned(u64::from(part.price.0));
            if !base_only {
                self.unsigned(part.promotion.map_or(0, |p| u64::from(p.0) + 1));
            }
            self.signed(part.points);
            if reduced {
                self.signed(part.reversed);
                self.signed(part.expired);
            }
        }
    }

    fn lot(&mut self, lot: &Lot, accruals: &[Accrual], before: Instant) {
        let linked = described(lot, accruals);
        let whole = linked.is_some_and(|(_, part)| part.points == lot.remaining);
        let child = lot.origin != lot.key;
        let flags = [
            (linked.is_some(), LINKED),
            (whole, WHOLE),
            (lot.held != 0, HELD),
            (child, CHILD),
        ];
        self.byte(flags.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum());
        match linked {
            Some((i, _)) => {
                self.unsigned(i as u64);
                if accruals[i].parts.len() > 1 {
                    self.unsigned(u64::from(lot.key.part));
                }
            }
            None => {
                self.key(lot.key);
                self.unsigned(u64::from(lot.price.0));
                self.instant(lot.posted_at, before);
            }
        }
        if !whole {
            self.signed(lot.remaining);
        }
        if lot.held != 0 {
            self.signed(lot.held);
        }
        if child {
            self.key(lot.origin);
        }
        self.instant(lot.expires_at, before);
    }

    fn key(&mut self, key: LotKey) {
        self.unsigned(key.pos.0);
        self.unsigned(u64::from(key.part));
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

/// The accrual part that says everything about a lot but what is left of it and when it expires.
fn described<'a>(lot: &Lot, accruals: &'a [Accrual]) -> Option<(usize, &'a Part)> {
    let i = accruals
        .binary_search_by_key(&lot.key.pos, |a| a.pos)
        .ok()?;
    let part = accruals[i].parts.get(usize::from(lot.key.part))?;
    let same =
        lot.origin == lot.key && part.price == lot.price && accruals[i].event_time == lot.posted_at;
    same.then_some((i, part))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self
            .0
            .split_first()
            .ok_or(Corrupt("packed member is cut off"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn unsigned(&mut self) -> Result<u64, Corrupt> {
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

    fn signed(&mut self) -> Result<i64, Corrupt> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn u32(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.unsigned()?).map_err(|_| Corrupt("number is too large"))
    }

    fn instant(&mut self, base: Instant) -> Result<Instant, Corrupt> {
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

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Corrupt>,
    ) -> Result<Vec<T>, Corrupt> {
        let count = self.unsigned()?;
        // Every item takes at least one byte, so a count beyond the rest is a lie.
        if count > self.0.len() as u64 {
            return Err(Corrupt("count beyond the bytes"));
        }
        // One more than needed: most members are decoded to get one more.
        let mut items = Vec::with_capacity(count as usize + 1);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn accrual(&mut self, (pos, time): (Pos, Instant)) -> Result<Accrual, Corrupt> {
        let flags = self.byte()?;
        let has = |bit| flags & bit != 0;
        let pos = Pos(pos.0.wrapping_add(self.unsigned()?));
        let contract = ContractIx(self.u32()?);
        let event_time = self.instant(time)?;
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
        let count = if has(BASE_ONLY) { 1 } else { self.unsigned()? };
        if count > self.0.len() as u64 {
            return Err(Corrupt("count beyond the bytes"));
        }
        let mut accrual = Accrual {
            pos,
            contract,
            event_time,
            amount_micros,
            returned_micros,
            posts_at,
            parts: smallvec::SmallVec::new(),
        };
        for _ in 0..count {
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
            accrual.parts.push(Part {
                price,
                promotion,
                points,
                reversed,
                expired,
            });
        }
        Ok(accrual)
    }

    fn lot(&mut self, accruals: &[Accrual], before: Instant) -> Result<Lot, Corrupt> {
        let flags = self.byte()?;
        let has = |bit| flags & bit != 0;
        let mut whole = 0;
        let (key, price, posted_at) = if has(LINKED) {
            let i = usize::try_from(self.unsigned()?).map_err(|_| Corrupt("lot of no accrual"))?;
            let accrual = accruals.get(i).ok_or(Corrupt("lot of no accrual"))?;
            let part = if accrual.parts.len() > 1 {
                self.part()?
            } else {
                0
            };
            let of = accrual
                .parts
                .get(usize::from(part))
                .ok_or(Corrupt("lot of no part"))?;
            whole = of.points;
            (
                LotKey {
                    pos: accrual.pos,
                    part,
                },
                of.price,
                accrual.event_time,
            )
        } else {
            (self.key()?, PriceId(self.u32()?), self.instant(before)?)
        };
        let remaining = if has(WHOLE) { whole } else { self.signed()? };
        let held = if has(HELD) { self.signed()? } else { 0 };
        let origin = if has(CHILD) { self.key()? } else { key };
        Ok(Lot {
            key,
            origin,
            price,
            remaining,
            held,
            posted_at,
            expires_at: self.instant(before)?,
        })
    }

    fn part(&mut self) -> Result<u16, Corrupt> {
        u16::try_from(self.unsigned()?).map_err(|_| Corrupt("part is too large"))
    }

    fn key(&mut self) -> Result<LotKey, Corrupt> {
        Ok(LotKey {
            pos: Pos(self.unsigned()?),
            part: self.part()?,
        })
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
        let uses = self.list(|r| {
            let lot = r.key()?;
            let price = r.unsigned()?;
            let origin = if price & 1 == 1 { r.key()? } else { lot };
            let price =
                PriceId(u32::try_from(price >> 1).map_err(|_| Corrupt("number is too large"))?);
            Ok(Use {
                lot,
                origin,
                price,
                points: r.signed()?,
                posted_at: r.instant(time)?,
                expires_at: r.instant(time)?,
            })
        })?;
        Ok(uses.into_iter().collect())
    }
}
