//! Traffic, in the one order that everybody who has the log and the touches comes to: by the time at which the hub took it,
//! touches before messages of the same millisecond, each kind in its own order.
//!
//! Read in slices of an hour and pages of touches: memory does not grow with the traffic.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU64,
};

use hansa_client::touch_id::SignedTouchId;
use hansa_fraud::{
    Affiliate, Conversion, Enrolment, Event, Mark, Marks, Merchant, Refusal, RefusalKind, Return,
    Token, TokenKey, TokenKind, Touch, TouchKind,
};
use hansa_proto::v1::{self, TouchRefusal, fact::Fact as F, message::Body};
use hansa_settlement::{
    Change, CommissionChange, MerchantIx, Pos,
    commission::{Accrued, ClaimedTouch},
    decode_effect_stream,
};
use hansa_store::{EntryRow, Store, StoredTouch, TouchRow, TouchesOf, first_touch_id};
use prost::Message as _;
use ring::digest::{Context, SHA256};

use super::points::{self, Seen};
use crate::{
    convert::micros,
    error::HubError,
    registry::Registry,
    sequencer::group::{first_entry, kind},
};

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// How late a touch may be told: an hour, and a minute for clocks that differ. One that came later is left out for ever, so that what was
/// judged without it is judged without it again.
const TOLD_WITHIN_MS: u64 = 61 * 60_000;

/// Touches of a page.
const TOUCHES: u32 = 10_000;

/// Entries and bytes of a page of the log.
const ENTRIES: u32 = 256;
const ENTRY_BYTES: usize = 8 << 20;

/// From where traffic is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Touches from this instant on, in milliseconds since 1970 UTC.
    pub ms: i64,
    /// Entries from this one on.
    pub seq: u64,
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Where it ended.
    pub end: Cursor,
    /// Touches, conversions and the like.
    pub events: u64,
    /// Messages of points.
    pub points: u64,
    /// Touches.
    pub touches: u64,
    /// SHA-256 over what was taken of each touch.
    pub touches_sha256: [u8; 32],
}

/// Where traffic is read.
#[derive(Debug, Clone, Copy)]
pub struct Traffic<'a> {
    /// The log.
    pub log: &'a Store,
    /// The touches.
    pub touches: &'a Store,
    /// Hashes accounts of affiliates, and tills.
    pub tokens: &'a TokenKey,
    /// Whether messages of points are taken, too.
    pub points: bool,
}

impl Traffic<'_> {
    /// Hands over everything before an instant, in order. The instant must be so long ago that nothing more comes before it.
    pub async fn each(
        &self,
        from: Cursor,
        until_ms: i64,
        registry: &Registry,
        take: &mut (dyn FnMut(&[Event], &[Seen]) + Send),
    ) -> Result<Taken, HubError> {
        let mut log = Log {
            reader: *self,
            registry,
            ahead: VecDeque::new(),
            next: from.seq,
            points: Vec::new(),
        };
        let mut digest = Context::new(&SHA256);
        let (mut events, mut touches, mut points) = (0, 0, 0);
        let mut start = from.ms;
        while start < until_ms {
            let end = (start.div_euclid(HOUR_MS) + 1)
                .saturating_mul(HOUR_MS)
                .min(until_ms);
            let mut after = first_touch_id(unsigned(start));
            loop {
                let page = self
                    .touches
                    .touches(
                        TouchesOf::All,
                        after,
                        first_touch_id(unsigned(end)),
                        TOUCHES,
                    )
                    .await?;
                let last = page.last().map(|touch| (touch.row.id, touch.row.at_ms));
                let more = last.filter(|_| page.len() == TOUCHES as usize);
                let horizon = more.map_or(end, |(_, at_ms)| signed(at_ms));
                let mut found: Vec<(i64, Event)> = Vec::with_capacity(page.len());
                let told = page.iter().filter(|StoredTouch { row, .. }| {
                    row.recorded_ms.saturating_sub(row.at_ms) <= TOLD_WITHIN_MS
                });
                for StoredTouch { row, .. } in told {
                    update(&mut digest, row);
                    touches += 1;
                    found.extend(touch(row).map(|touch| (signed(row.at_ms), Event::Touch(touch))));
                }
                found.extend(log.before(horizon).await?);
                // Stable: touches stand before messages of the same millisecond.
                found.sort_by_key(|(ms, _)| *ms);
                let found: Vec<Event> = found.into_iter().map(|(_, event)| event).collect();
                events += found.len() as u64;
                points += log.points.len() as u64;
                take(&found, &log.points);
                log.points.clear();
                match more {
                    Some((id, _)) => after = id,
                    None => break,
                }
            }
            start = end;
        }
        let mut touches_sha256 = [0; 32];
        touches_sha256.copy_from_slice(digest.finish().as_ref());
        Ok(Taken {
            end: Cursor {
                ms: until_ms,
                seq: log.at(),
            },
            events,
            points,
            touches,
            touches_sha256,
        })
    }
}

fn unsigned(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// What a run vouches for of a touch: everything that detectors take, big-endian.
fn update(digest: &mut Context, row: &TouchRow) {
    digest.update(&row.id);
    digest.update(&[row.kind, row.refused]);
    digest.update(&row.marks.to_be_bytes());
    for number in [row.affiliate, row.merchant] {
        digest.update(&number.to_be_bytes());
    }
    for number in [row.at_ms, row.agent, row.address, row.network, row.device] {
        digest.update(&number.to_be_bytes());
    }
}

fn token(number: u64) -> Token {
    NonZeroU64::new(number)
}

/// A touch as detectors take it; none of link previews and the like. Declared programs are among them: too many of them are a scheme.
fn touch(row: &TouchRow) -> Option<Touch> {
    let refusal = TouchRefusal::try_from(i32::from(row.refused)).ok()?;
    if !matches!(
        refusal,
        TouchRefusal::Unspecified | TouchRefusal::DeclaredBot
    ) {
        return None;
    }
    let kind = match v1::TouchKind::try_from(i32::from(row.kind)).ok()? {
        v1::TouchKind::Click => TouchKind::Click,
        v1::TouchKind::View => TouchKind::View,
        v1::TouchKind::Code => TouchKind::Code,
        v1::TouchKind::Unspecified => return None,
    };
    let at_ms = signed(row.at_ms);
    Some(Touch {
        at_ms,
        affiliate: Affiliate(row.affiliate),
        merchant: Merchant(row.merchant),
        kind,
        // Where the visitor is, nobody kept.
        local_hour: u8::try_from(at_ms.rem_euclid(24 * HOUR_MS) / HOUR_MS).unwrap_or(0),
        address: token(row.address),
        prefix: token(row.network),
        device: token(row.device),
        agent: token(row.agent),
        referrer: None,
        marks: Marks::from_bits(row.marks),
    })
}

/// The log behind a place, as events.
struct Log<'a> {
    reader: Traffic<'a>,
    registry: &'a Registry,
    ahead: VecDeque<EntryRow>,
    next: u64,
    /// Messages of points since they were handed over.
    points: Vec<Seen>,
}

impl Log<'_> {
    /// The first entry that was not handed over.
    fn at(&self) -> u64 {
        self.ahead.front().map_or(self.next, |row| row.seq)
    }

    /// What entries that were decided before an instant are made of.
    async fn before(&mut self, until_ms: i64) -> Result<Vec<(i64, Event)>, HubError> {
        let mut found = Vec::new();
        loop {
            if self.ahead.is_empty() {
                let rows = self.reader.log.entries(self.next, ENTRIES, ENTRY_BYTES);
                self.ahead.extend(rows.await?);
                let Some(last) = self.ahead.back() else {
                    return Ok(found);
                };
                self.next = last.seq + 1;
            }
            let mut made: Vec<Made> = Vec::new();
            let before = |row: &EntryRow| row.decided_at.div_euclid(1_000) < until_ms;
            while self.ahead.front().is_some_and(before)
                && let Some(row) = self.ahead.pop_front()
            {
                self.entry(&row, &mut made)?;
            }
            self.finish(made, &mut found).await?;
            if !self.ahead.is_empty() {
                return Ok(found);
            }
        }
    }

    fn entry(&mut self, row: &EntryRow, made: &mut Vec<Made>) -> Result<(), HubError> {
        let at_ms = row.decided_at.div_euclid(1_000);
        if row.kind == kind::FACTS {
            let envelope =
                v1::Envelope::decode(row.envelope.clone()).map_err(HubError::internal)?;
            let facts = v1::Facts::decode(envelope.payload).map_err(HubError::internal)?;
            let enrolled = facts.facts.iter().filter_map(|fact| match &fact.fact {
                Some(F::Merchant(merchant)) => self.enrolment(merchant, at_ms),
                _ => None,
            });
            made.extend(enrolled.map(|enrolment| Made::Whole(at_ms, Event::Enrolment(enrolment))));
            if self.reader.points {
                for fact in &facts.facts {
                    if let Some(F::MembersEnrolled(enrolled)) = &fact.fact {
                        self.points.extend(points::linked(at_ms, enrolled));
                    }
                }
            }
            return Ok(());
        }
        let outcomes = v1::Outcomes::decode(row.outcomes.clone()).map_err(HubError::internal)?;
        let refused = |outcome: &v1::Outcome| !outcome.replayed && refusal(outcome).is_some();
        let records = decode_effect_stream(&row.effects).map_err(HubError::internal)?;
        let mut messages = None;
        let mut message = |index: usize| -> Result<v1::Message, HubError> {
            let entry = match &messages {
                Some(known) => known,
                None => messages.insert(first_entry(row)?),
            };
            let missing = || HubError::internal(format!("no message {index} in {}", row.seq));
            let bytes = entry.elements.get(index).ok_or_else(missing)?;
            v1::Message::decode(bytes.clone()).map_err(HubError::internal)
        };
        let mut in_order: Vec<(u32, Made)> = Vec::new();
        for (index, outcome) in (0..).zip(&outcomes.outcomes) {
            if refused(outcome)
                && let Some(Body::Conversion(conversion)) = message(index as usize)?.body
                && let (Some(kind), Some(claimed)) = (refusal(outcome), whose(&conversion))
            {
                let refusal = Refusal {
                    at_ms,
                    affiliate: claimed.0,
                    merchant: Merchant(row.merchant.unwrap_or(claimed.1)),
                    kind,
                };
                in_order.push((index, Made::Whole(at_ms, Event::Refusal(refusal))));
            }
        }
        for record in &records {
            if self.reader.points
                && let Some(outcome) = outcomes.outcomes.get(record.index as usize)
            {
                let place = (Pos::new(row.seq, record.index), at_ms);
                let lane = message(record.index as usize)?.lane;
                let seen = points::seen(place, record, outcome, &lane, self.reader.tokens);
                self.points.extend(seen);
            }
            for effect in &record.effects {
                let Change::Commission(change) = &effect.change else {
                    continue;
                };
                let made = match change {
                    CommissionChange::Accrued(accrued) => {
                        let message = message(record.index as usize)?;
                        let pos = Pos::new(row.seq, record.index);
                        Some(Made::Conversion(
                            at_ms,
                            accepted(pos, accrued, &message),
                            attributed(accrued).map(|touch| touch.id),
                        ))
                    }
                    CommissionChange::Reduced {
                        merchant,
                        affiliate,
                        returned: true,
                        ends,
                        ..
                    } => record.member.conversion().map(|pos| {
                        Made::Whole(
                            at_ms,
                            Event::Return(Return {
                                at_ms,
                                conversion: pos.0,
                                affiliate: Affiliate(affiliate.0),
                                merchant: Merchant(merchant.0),
                                whole: *ends,
                            }),
                        )
                    }),
                    _ => None,
                };
                in_order.extend(made.map(|made| (record.index, made)));
            }
        }
        in_order.sort_by_key(|(index, _)| *index);
        made.extend(in_order.into_iter().map(|(_, made)| made));
        Ok(())
    }

    /// Puts to conversions what only their touches know.
    async fn finish(&self, made: Vec<Made>, found: &mut Vec<(i64, Event)>) -> Result<(), HubError> {
        let ids = made.iter().filter_map(|made| match made {
            Made::Conversion(_, _, id) => *id,
            Made::Whole(..) => None,
        });
        let ids: Vec<[u8; 16]> = ids.collect();
        let known = self.reader.touches.touches_by_id(&ids).await?;
        let known: HashMap<[u8; 16], TouchRow> = known
            .into_iter()
            .map(|touch| (touch.row.id, touch.row))
            .collect();
        for made in made {
            found.push(match made {
                Made::Whole(at_ms, event) => (at_ms, event),
                Made::Conversion(at_ms, mut conversion, id) => {
                    if let Some(row) = id.and_then(|id| known.get(&id)) {
                        conversion.device = token(row.device).or(conversion.device);
                        conversion.prefix = token(row.network);
                        conversion.marks = conversion.marks.and(Marks::from_bits(row.marks));
                    }
                    (at_ms, Event::Conversion(conversion))
                }
            });
        }
        Ok(())
    }

    fn enrolment(&self, merchant: &v1::Merchant, at_ms: i64) -> Option<Enrolment> {
        let profile = merchant.affiliate.as_ref()?;
        let number = self.registry.merchant(&merchant.merchant_id)?;
        let contract = merchant.contract.as_ref();
        let details = contract.and_then(|contract| contract.bank_details.as_ref());
        let account = match details {
            Some(details) => details.iban.as_str(),
            None => contract.map_or("", |contract| contract.settlement_account.as_str()),
        };
        let account: String = account.split_whitespace().collect();
        let vertical = profile.sites.first().map_or("", |site| &site.vertical);
        Some(Enrolment {
            at_ms,
            affiliate: Affiliate(number),
            vertical: kind_of_site(vertical),
            payout: (!account.is_empty())
                .then(|| self.reader.tokens.of(TokenKind::Payout, &account)),
            identity: None,
            mail: None,
            devices: Vec::new(),
            group: None,
        })
    }
}

/// An event, or a conversion whose touch is still to be looked up.
enum Made {
    Whole(i64, Event),
    Conversion(i64, Conversion, Option<[u8; 16]>),
}

/// Affiliates are compared with those of the same kind of site.
fn kind_of_site(vertical: &str) -> u8 {
    const KINDS: [&str; 8] = [
        "CONTENT",
        "COUPON",
        "CASHBACK",
        "COMPARISON",
        "SOCIAL",
        "EMAIL",
        "APP",
        "SEARCH",
    ];
    let known = KINDS
        .iter()
        .position(|kind| kind.eq_ignore_ascii_case(vertical));
    known.map_or(0, |at| u8::try_from(at + 1).unwrap_or(0))
}

/// Why a conversion was refused, as far as it says something of an affiliate.
fn refusal(outcome: &v1::Outcome) -> Option<RefusalKind> {
    match outcome.code() {
        v1::ResultCode::ClickForged => Some(RefusalKind::ForgedClick),
        v1::ResultCode::ClickUsed => Some(RefusalKind::ReusedClick),
        v1::ResultCode::OutsideAttributionWindow => Some(RefusalKind::OutsideWindow),
        _ => None,
    }
}

/// Whom a conversion would have paid by its last click id, and at which merchant. Whether the hub made the id is not asked: that it did not is
/// what it is about.
fn whose(conversion: &v1::Conversion) -> Option<(Affiliate, u32)> {
    let claimed = conversion.click_ids.iter().rev();
    let mut read = claimed.filter_map(|text| SignedTouchId::decode(text).ok());
    read.next().map(|signed| {
        let id = signed.unverified();
        (Affiliate(id.affiliate), id.merchant)
    })
}

fn attributed(accrued: &Accrued) -> Option<&ClaimedTouch> {
    let place = accrued.attribution.touch?;
    accrued.conversion.touches.get(usize::from(place))
}

/// The first eight bytes of a hash under a merchant's own key, told apart from other merchants'.
fn of_merchant(merchant: MerchantIx, hash: &[u8]) -> Token {
    let bytes: [u8; 8] = hash.get(..8)?.try_into().ok()?;
    token(u64::from_be_bytes(bytes) ^ (u64::from(merchant.0) << 32))
}

fn accepted(pos: Pos, accrued: &Accrued, message: &v1::Message) -> Conversion {
    let conversion = &accrued.conversion;
    let affiliate = accrued.attribution.affiliate;
    let last = attributed(accrued);
    let at_ms = conversion.event_time.0.div_euclid(1_000);
    let touched = last.map_or(conversion.event_time, |touch| touch.at);
    let mut marks = Marks::default();
    let nothing = v1::Conversion::default();
    let said = match &message.body {
        Some(Body::Conversion(said)) => said,
        _ => &nothing,
    };
    if !said.code.is_empty() {
        marks = marks.with(Mark::CouponCode);
    }
    if said.new_customer {
        marks = marks.with(Mark::NewCustomer);
    }
    Conversion {
        at_ms,
        id: pos.0,
        affiliate: Affiliate(affiliate.0),
        merchant: Merchant(conversion.merchant.0),
        touched_ms: touched.0.div_euclid(1_000),
        checkout_ms: said
            .checkout_time
            .as_ref()
            .map(|time| micros(time).div_euclid(1_000)),
        other_before: conversion
            .touches
            .iter()
            .any(|touch| touch.affiliate != affiliate && touch.at < touched),
        device: of_merchant(conversion.merchant, &said.device_hash),
        prefix: None,
        customer: of_merchant(conversion.merchant, &said.customer_hash),
        payment: of_merchant(conversion.merchant, &said.payment_hash),
        amount_micros: conversion.amount_micros,
        commission_micros: accrued.micros,
        locks_ms: conversion.locks_at.0.div_euclid(1_000),
        marks,
    }
}
