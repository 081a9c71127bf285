//! A member as bytes: the same in memory, in the store and over a restart, whichever way it came to be.
//!
//! In order: a version; what returns and redemptions may name and what stands apart from any accrual (debts, lots, redemptions);
//! then one record an accrual, in log order, each with what is left of its own lots; last a [`Summary`] and its length. Varints and
//! differences: an accrual with its lot costs about 18 bytes.
//!
//! The common accrual needs none of that decoded: the summary tells what a decision reads of a member without debt and without due
//! work, and a new record goes between the last one and the summary. So its cost does not depend on how much the member has. The bytes
//! are the ones that encoding the whole member gives: [`Member::encode_into`] is the only definition of the format.
//!
//! Decoding checks every bound, and the summary against what it sums up, and never panics.

mod read;
mod summary;
mod write;

use crate::accrual::{Accrual, Part};
use crate::commission::{Commission, PACKED};
use crate::effect::{Change, Corrupt, Effect, NewAccrual};
use crate::ids::{Instant, Pos};
use crate::lot::Lot;
use crate::member::Member;
use crate::member_apply::{apply_member, lots_of};
use read::Reader;
use smallvec::SmallVec;
pub(crate) use summary::Summary;
use write::Writer;

const VERSION: u8 = 2;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const CENT: i64 = 10_000;

// Flags of an accrual; the last three are those of the lot of its only part.
const CENTS: u8 = 1;
const RETURNED: u8 = 2;
const PENDING: u8 = 4;
const BASE_ONLY: u8 = 8;
const REDUCED: u8 = 16;
// Flags of a lot in its accrual's record: it is there, nothing of it was used, something of it is held.
const LOT: u8 = 32;
const WHOLE: u8 = 64;
const HELD: u8 = 128;
// Flag of an accrual that is not base only: it was lowered while it was pending, and what it was stands behind.
const LOWERED: u8 = WHOLE;
// Flags of a lot that stands apart.
const APART_HELD: u8 = 1;
const APART_CHILD: u8 = 2;

/// What stands before the first accrual of a member that has nothing else: the version, nothing pruned, three empty lists.
const NOTHING_BEFORE: [u8; 5] = [VERSION, 0, 0, 0, 0];

/// From here on a member has room to grow, so that adding to it does not copy it each time. Unit: bytes.
const LARGE: usize = 2_048;

/// What an accrual's record is written against: the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Its place.
    pub(crate) pos: Pos,
    /// Its event time.
    time: Instant,
    /// When the last lot before expires, of those that expire at all.
    expiry: Instant,
}

impl Member {
    /// Appends the packed form: no bytes at all for a member of whom nothing is known.
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        if let Some(commission) = &self.commission {
            return commission.encode_into(bytes);
        }
        let by_key = by_key(&self.lots);
        let mut w = Writer(bytes);
        w.byte(VERSION);
        w.unsigned(self.pruned_to.0);
        w.debts(&self.debts);
        w.apart(&apart(&by_key, &self.accruals));
        w.redemptions(&self.redemptions);
        let mut chain = Chain::default();
        let mut lots = by_key.as_slice();
        for accrual in &self.accruals {
            let own = take_own(&mut lots, accrual.pos);
            let described = own.iter().filter(|lot| part_of(lot, accrual).is_some());
            w.accrual(accrual, described.copied(), &mut chain);
        }
        Summary::of(self, chain).write(bytes);
    }

    /// The packed form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + 24 * self.accruals.len());
        self.encode_into(&mut bytes);
        bytes
    }

    /// Reads the packed form. No bytes at all are a member of whom nothing is known yet.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        if let Some(commission) = Commission::decode(bytes)? {
            return Ok(Self {
                commission: Some(commission),
                ..Self::default()
            });
        }
        let Some((body, summary)) = Summary::split(bytes)? else {
            return Ok(Self::default());
        };
        let mut r = Reader::new(body);
        if r.byte()? != VERSION {
            return Err(Corrupt("unknown version of a packed member"));
        }
        let mut member = Self {
            pruned_to: Pos(r.unsigned()?),
            debts: r.debts()?,
            lots: r.apart()?,
            redemptions: r.redemptions()?,
            last_activity: summary.last_activity,
            // One more than needed: most members are decoded to get one more.
            accruals: Vec::with_capacity(summary.room(body)),
            commission: None,
        };
        let apart = member.lots.len();
        member.lots.reserve(summary.room(body));
        let mut chain = Chain::default();
        while !r.is_empty() {
            let accrual = r.accrual(&mut chain, &mut member.lots)?;
            member.accruals.push(accrual);
        }
        stand_apart(&member.lots, apart, &member.accruals)?;
        if !member.lots.is_sorted_by_key(Lot::burn_order) {
            member.lots.sort_by_key(Lot::burn_order);
        }
        if Summary::of(&member, chain) == summary {
            Ok(member)
        } else {
            Err(Corrupt("the summary of a packed member contradicts it"))
        }
    }
}

/// Lots in order of their ids, which is mostly the burn order, too.
fn by_key(lots: &[Lot]) -> SmallVec<[&Lot; 16]> {
    let mut by_key: SmallVec<[&Lot; 16]> = lots.iter().collect();
    if !by_key.is_sorted_by_key(|lot| lot.key) {
        by_key.sort_by_key(|lot| lot.key);
    }
    by_key
}

/// Takes the lots of an accrual from the front, and passes over those of places before it.
fn take_own<'a, 'b>(lots: &mut &'a [&'b Lot], pos: Pos) -> &'a [&'b Lot] {
    let before = lots.iter().take_while(|lot| lot.key.pos < pos).count();
    let own = lots[before..]
        .iter()
        .take_while(|lot| lot.key.pos == pos)
        .count();
    let (taken, rest) = lots[before..].split_at(own);
    *lots = rest;
    taken
}

/// The accrual's part that says everything about a lot but what is left of it and when it expires.
fn part_of<'a>(lot: &Lot, accrual: &'a Accrual) -> Option<&'a Part> {
    let part = accrual.parts.get(usize::from(lot.key.part))?;
    let same = lot.key.pos == accrual.pos
        && lot.origin == lot.key
        && part.price == lot.price
        && accrual.event_time == lot.posted_at;
    same.then_some(part)
}

/// The lots that no accrual's record describes.
fn apart<'a>(by_key: &[&'a Lot], accruals: &[Accrual]) -> SmallVec<[&'a Lot; 4]> {
    let mut accruals = accruals.iter().peekable();
    let mut apart = SmallVec::new();
    for lot in by_key {
        while accruals.next_if(|a| a.pos < lot.key.pos).is_some() {}
        if accruals.peek().is_none_or(|a| part_of(lot, a).is_none()) {
            apart.push(*lot);
        }
    }
    apart
}

/// Checks that the first `count` lots are none that their accrual's record describes or has, and that no two have one id.
fn stand_apart(lots: &[Lot], count: usize, accruals: &[Accrual]) -> Result<(), Corrupt> {
    let (apart, own) = lots.split_at(count);
    if !apart.is_sorted_by(|a, b| a.key < b.key) {
        return Err(Corrupt("lots apart are out of order"));
    }
    for lot in apart {
        let described = accruals
            .binary_search_by_key(&lot.key.pos, |a| a.pos)
            .is_ok_and(|i| part_of(lot, &accruals[i]).is_some());
        if described || own.binary_search_by_key(&lot.key, |own| own.key).is_ok() {
            return Err(Corrupt("a lot stands apart from its accrual"));
        }
    }
    Ok(())
}

/// A packed member that changes in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedMember(Vec<u8>);

impl PackedMember {
    /// Takes bytes over as they are; whether they are a member shows when they are read.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The member.
    ///
    /// # Errors
    /// Where the bytes are not one.
    pub fn decode(&self) -> Result<Member, Corrupt> {
        Member::decode(&self.0)
    }

    /// When something next happens by time alone. Does not depend on the size of the member; a conversion's account is small and decoded.
    ///
    /// # Errors
    /// Where the bytes are not a member.
    pub fn next_due(&self) -> Result<Option<Instant>, Corrupt> {
        if self.0.first() == Some(&PACKED) {
            return Ok(self.decode()?.next_due());
        }
        Ok(self.summary()?.next_due())
    }

    /// Replaces the member, see [`Member::encode_into`]. `scratch` is overwritten.
    pub fn replace(&mut self, member: &Member, scratch: &mut Vec<u8>) {
        scratch.clear();
        member.encode_into(scratch);
        self.0.clear();
        if self.0.capacity() > 2 * scratch.len() {
            self.0 = Vec::new();
        }
        self.0.reserve_exact(scratch.len());
        self.0.extend_from_slice(scratch);
    }

    pub(crate) fn summary(&self) -> Result<Summary, Corrupt> {
        Ok(Summary::split(&self.0)?.map_or_else(Summary::default, |(_, summary)| summary))
    }

    /// Adds a new accrual: pending until `posts_at`, or posted with lots until `expires_at`. Its place must lie behind those of
    /// all others. `scratch` is overwritten.
    pub(crate) fn accrue(
        &mut self,
        new: &NewAccrual,
        pos: Pos,
        (posts_at, expires_at): (Option<Instant>, Instant),
        scratch: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        scratch.clear();
        let (body, mut summary) = match Summary::split(&self.0)? {
            Some((body, summary)) => (body.len(), summary),
            None => {
                scratch.extend_from_slice(&NOTHING_BEFORE);
                (0, Summary::default())
            }
        };
        let record = new.record(pos, posts_at);
        let lots: SmallVec<[Lot; 1]> = match posts_at {
            Some(_) => SmallVec::new(),
            None => lots_of(pos, new.event_time, expires_at, &new.parts).collect(),
        };
        Writer(scratch).accrual(&record, lots.iter(), &mut summary.chain);
        summary.add(&record, &lots);
        summary.write(scratch);
        self.0.truncate(body);
        if self.0.capacity() - body < scratch.len() {
            // Not a byte too many where there are many members; room to grow where one of them is large.
            let room = if body < LARGE { 0 } else { body / 8 };
            self.0.reserve_exact(scratch.len() + room);
        }
        self.0.extend_from_slice(scratch);
        Ok(())
    }
}

/// Applies the effects of one message or fact to a packed member, as [`apply_member`] does to a member: the bytes are the same.
/// A lone accrual is added in place. `scratch` is overwritten.
///
/// # Errors
/// Where the bytes are not a member.
pub fn apply_packed(
    packed: &mut PackedMember,
    effects: &[Effect],
    pos: Pos,
    scratch: &mut Vec<u8>,
) -> Result<(), Corrupt> {
    if let Some((accrual, when)) = lone_accrual(effects)
        && packed.summary()?.chain.pos < pos
    {
        return packed.accrue(accrual, pos, when, scratch);
    }
    let mut member = packed.decode()?;
    for effect in effects {
        apply_member(&mut member, effect, pos);
    }
    packed.replace(&member, scratch);
    Ok(())
}

/// The accrual, where it is all that changes the member: pending until an instant, or with lots until one.
fn lone_accrual(effects: &[Effect]) -> Option<(&NewAccrual, (Option<Instant>, Instant))> {
    let (first, rest) = effects.split_first()?;
    if !rest
        .iter()
        .all(|effect| matches!(effect.change, Change::Calendar { .. }))
    {
        return None;
    }
    if let Change::Accrued {
        accrual,
        expires_at,
    } = &first.change
    {
        Some((accrual, (None, *expires_at)))
    } else if let Change::Pended { accrual, posts_at } = &first.change {
        Some((accrual, (Some(*posts_at), Instant::NEVER)))
    } else {
        None
    }
}
