//! The drill-down: which messages and events stand behind a statement's lines.
//!
//! Nothing is kept for it. A page scans the cycle's interval of the log by the recorded effects, and posts them once more by
//! the ledger's own journals; what finance's facts posted stands at their entries: so the items of a line add up to the line. The interval reaches from behind the cut before to
//! the entry that closed the cycle, because due work of the cycle may stand behind its cut; what is not the cycle's there is
//! told apart by the effect's own cycle. A page reads a bounded part of the log, and may be empty although there is another.

use std::time::{Duration, Instant as Monotonic};

use hansa_proto::v1;
use hansa_settlement::{
    Account, CycleNo, MerchantIx, Pos, PriceBook, decode_effect_stream, journal,
};
use hansa_store::EntryRow;
use prost::Message as _;

use super::{
    super::{cycles, page},
    Api, merchant_of,
};
use crate::{
    auth::Caller,
    convert::{cycle_number, timestamp},
    documents::{
        event::{Event, event_of},
        facts::{self, Item},
    },
    error::HubError,
    registry::Registry,
    sequencer::group::first_entry,
};

/// What is read from the store at once.
const PAGE_ROWS: u32 = 200;
const PAGE_BYTES: usize = 4 << 20;

/// A call ends behind the read during which it has gone on for this long.
const CALL_TIME: Duration = Duration::from_millis(300);

/// What to look for, and where.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// Whose lines.
    pub(crate) merchant: MerchantIx,
    /// Of which cycle.
    pub(crate) cycle: CycleNo,
    /// First entry.
    pub(crate) first: u64,
    /// First entry behind.
    pub(crate) end: u64,
    /// Prices of points.
    pub(crate) book: PriceBook,
    /// What finance's facts posted, by entry: recorded effects do not have it.
    pub(crate) facts: Vec<Item>,
}

impl Scan {
    /// Items of one entry, in order.
    pub(crate) fn items(&self, row: &EntryRow) -> Result<Vec<Item>, HubError> {
        let mut items = Vec::new();
        for record in decode_effect_stream(&row.effects).map_err(HubError::internal)? {
            let pos = Pos::new(row.seq, record.index);
            let mut event = None;
            for effect in &record.effects {
                event = event_of(&effect.change, row.merchant, row.decided_at, pos).or(event);
                if effect.cycle != self.cycle {
                    continue;
                }
                let event = event.unwrap_or(Event::fact(row.decided_at));
                let legs = journal(&effect.change, &self.book, pos).into_iter();
                let own = legs.filter(|leg| {
                    leg.account == Account::Clearing(self.merchant) && leg.line.is_some()
                });
                items.extend(own.map(|leg| Item {
                    leaf: row.seq,
                    position: record.index,
                    leg,
                    late: effect.late,
                    event,
                }));
            }
        }
        let posted = self.facts.iter().filter(|item| item.leaf == row.seq);
        items.extend(posted.cloned());
        Ok(items)
    }
}

/// Messages of entries, looked up once for each run of items of one entry.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    entry: Option<(u64, Vec<v1::Message>)>,
}

impl Messages {
    /// Takes the messages of an entry that is at hand.
    fn take(&mut self, row: &EntryRow) -> Result<(), HubError> {
        let decode = |bytes| v1::Message::decode(bytes).map_err(HubError::internal);
        let elements = first_entry(row)?.elements.into_iter();
        let messages = elements.map(decode).collect::<Result<_, _>>()?;
        self.entry = Some((row.seq, messages));
        Ok(())
    }

    /// The message at a place; `row`: the entry that is being read.
    pub(crate) async fn at(
        &mut self,
        api: &Api,
        row: &EntryRow,
        pos: Pos,
    ) -> Result<&v1::Message, HubError> {
        let seq = pos.seq();
        if self.entry.as_ref().is_none_or(|(known, _)| *known != seq) {
            if seq == row.seq {
                self.take(row)?;
            } else {
                let stored = api.0.store.entry(seq).await?;
                let missing = || HubError::internal(format!("entry {seq} is missing"));
                self.take(&stored.ok_or_else(missing)?)?;
            }
        }
        let messages = self.entry.as_ref().map(|(_, messages)| messages);
        let message = messages.and_then(|messages| messages.get(pos.index() as usize));
        message.ok_or_else(|| HubError::internal(format!("no message at {pos:?}")))
    }
}

impl Api {
    /// The interval of a cycle; 0 = the open one.
    pub(super) async fn scan(&self, number: u32, merchant: MerchantIx) -> Result<Scan, HubError> {
        self.read(move |view| {
            let totals = cycles::find(view.global, number)?;
            let before = totals.no.0.checked_sub(1).map(CycleNo);
            let before = before.and_then(|no| view.global.cycle(no));
            Ok(Scan {
                merchant,
                cycle: totals.no,
                first: before.and_then(|c| c.cut_seq).map_or(0, |cut| cut + 1),
                end: totals.closed_seq.map_or(view.size, |closed| closed + 1),
                book: view.global.book().clone(),
                facts: facts::items(view.global, totals, merchant),
            })
        })
        .await
    }

    /// A part of the scan's interval, from an entry on.
    pub(crate) async fn scanned(&self, scan: &Scan, from: u64) -> Result<Vec<EntryRow>, HubError> {
        let mut rows = self.0.store.entries(from, PAGE_ROWS, PAGE_BYTES).await?;
        rows.retain(|row| row.seq < scan.end);
        Ok(rows)
    }

    pub(super) async fn statement_items(
        &self,
        caller: &Caller,
        request: v1::ListStatementItemsRequest,
    ) -> Result<v1::ListStatementItemsResponse, HubError> {
        let registry = self.0.registry.get();
        let merchant = merchant_of(caller, &registry, &request.merchant_id)?;
        let size = page::size(request.page_size, 100)?;
        let scan = self.scan(request.cycle_number, merchant).await?;
        let wanted = |item: &Item| {
            let Some((kind, counterparty)) = item.leg.line else {
                return false;
            };
            let name = counterparty.map(|m| registry.slug(m.0)).unwrap_or_default();
            (request.kind.is_empty() || request.kind == kind.code())
                && (request.counterparty_merchant_id.is_empty()
                    || request.counterparty_merchant_id == name)
        };
        let what = format!(
            "items of {} in {}: {:?}, {:?}",
            merchant.0,
            cycle_number(scan.cycle),
            request.kind,
            request.counterparty_merchant_id
        );
        let mut place = page::place(&request.page_token, &what)?;
        place.entry = place.entry.max(scan.first);
        let (began, mut items) = (Monotonic::now(), Vec::new());
        let mut messages = Messages::default();
        while place.entry < scan.end && items.len() < size {
            let rows = self.scanned(&scan, place.entry).await?;
            let Some(last) = rows.last().map(|row| row.seq) else {
                return Err(HubError::internal(format!(
                    "entry {} is missing",
                    place.entry
                )));
            };
            for row in &rows {
                let found = scan.items(row)?.into_iter().filter(wanted);
                for item in found.skip(usize::try_from(place.skip).unwrap_or(usize::MAX)) {
                    if items.len() == size {
                        return Ok(v1::ListStatementItemsResponse {
                            items,
                            next_page_token: page::place_token(&what, place),
                        });
                    }
                    items.push(self.told(&registry, &item, row, &mut messages).await?);
                    place.skip += 1;
                }
                place = page::Place {
                    entry: row.seq + 1,
                    skip: 0,
                };
            }
            debug_assert_eq!(place.entry, last + 1);
            if began.elapsed() >= CALL_TIME {
                break;
            }
        }
        let more = place.entry < scan.end;
        Ok(v1::ListStatementItemsResponse {
            items,
            next_page_token: if more {
                page::place_token(&what, place)
            } else {
                String::new()
            },
        })
    }

    /// An item as the wire has it.
    async fn told(
        &self,
        registry: &Registry,
        item: &Item,
        row: &EntryRow,
        messages: &mut Messages,
    ) -> Result<v1::StatementItem, HubError> {
        let slug = |merchant: u32| registry.slug(merchant).to_owned();
        let (kind, counterparty) = item
            .leg
            .line
            .ok_or_else(|| HubError::internal("an item without a line"))?;
        let mut told = v1::StatementItem {
            leaf_index: item.leaf,
            entry_position: item.position,
            kind: kind.code().to_owned(),
            counterparty_merchant_id: counterparty.map(|m| slug(m.0)).unwrap_or_default(),
            points: item.leg.points,
            amount_micros: cycles::wire(item.leg.micros)?,
            late: item.late,
            ..v1::StatementItem::default()
        };
        match item.event {
            Event::Due { at, .. } => told.event_time = Some(timestamp(at.0)),
            Event::Message { sender, at, .. } => {
                let message = messages.at(self, row, at).await?;
                told.message_id.clone_from(&message.message_id);
                told.event_time = message.event_time;
                told.sender_merchant_id = sender.map(slug).unwrap_or_default();
            }
        }
        Ok(told)
    }
}
