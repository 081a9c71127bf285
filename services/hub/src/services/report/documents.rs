//! Statements, liability and general ledger as documents, signed by the hub.
//!
//! What a document explains beyond the ledger's totals is derived from the recorded effects: a pass over the cycle's interval,
//! beside the sequencer, which is asked only for totals. The sums of the last few cycles are kept, so that the statements of
//! all merchants cost one pass; how old open points are is a pass over the whole log that goes on from where it stopped.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use hansa_proto::{DOCUMENT_PAYLOAD_TYPE, v1};
use hansa_report::{Format, LineKind, MessageId, MessageRow, Proof, StatementDocument};
use hansa_settlement::{CycleNo, Instant, MerchantIx, Pos, decode_effect_stream, finance::Party};
use hansa_store::EntryRow;
use tokio::sync::Mutex;
use tonic::Code;

use super::{Api, closed, items::Messages, merchant_of};
use crate::{
    auth::Caller,
    convert::{cycle_no, micros},
    documents::{
        ages::AgeBook,
        breakdown::{Breakdown, Head},
        event::Event,
        file::{self, File},
        ledger,
        liability::{self, AsOf, Estimate, Names},
        parties,
        proof::Place,
        statement::{self, Source},
        terms::Terms,
    },
    error::{HubError, Reason},
    tlog,
};

/// Rows and bytes that are read from the store at once.
pub(super) const PAGE_ROWS: u32 = 500;
pub(super) const PAGE_BYTES: usize = 8 << 20;

/// Cycles whose sums are kept.
const KEPT: usize = 6;

/// Rows of a drill-down.
pub(super) const MAX_ITEMS: usize = 100_000;

/// Bytes of a document: what an answer may have, less its manifest.
const MAX_BYTES: usize = 30 << 20;

/// A closed cycle, added up.
#[derive(Debug)]
struct Sums {
    cycle: CycleNo,
    breakdown: Breakdown,
    terms: Terms,
}

/// What was derived from the log, kept while the process lives. A closed cycle never changes, and an entry neither.
#[derive(Debug, Default)]
pub struct Derived {
    cycles: Mutex<VecDeque<Arc<Sums>>>,
    ages: Mutex<AgeBook>,
}

fn head(row: &EntryRow) -> Head {
    Head {
        seq: row.seq,
        decided_at: row.decided_at,
        sender: row.merchant,
    }
}

impl Api {
    /// The statement of a merchant in a closed cycle.
    pub(super) async fn statement_document(
        &self,
        caller: &Caller,
        request: v1::GetStatementDocumentRequest,
    ) -> Result<v1::SignedDocument, HubError> {
        let registry = self.0.registry.get();
        let merchant = merchant_of(caller, &registry, &request.merchant_id)?;
        let format = file::format(request.format())?;
        let number = request.cycle_number;
        let sums = self.sums(number).await?;
        let proof = self.proof(number).await?;
        let rows = match request.with_items {
            true => Some(self.rows(number, merchant).await?),
            false => None,
        };
        let document = self
            .read(move |view| {
                let source = Source {
                    global: view.global,
                    registry: view.registry,
                    cycle: closed(view.global, number)?,
                    breakdown: &sums.breakdown,
                    terms: &sums.terms,
                };
                let mut parts = statement::parts(&source, merchant, proof)?;
                parts.drill_down = rows.map(|rows| {
                    let named = rows.into_iter().map(|(row, with)| MessageRow {
                        counterparty: with.map(|with| {
                            let party = Party::Merchant(with);
                            parties::counterparty(view.global, view.registry, party)
                        }),
                        ..row
                    });
                    named.collect()
                });
                Ok(parts)
            })
            .await?;
        let slug = registry.slug(merchant.0).to_owned();
        let file = render(move || File::statement(&StatementDocument::new(document)?, format));
        self.signed(file.await?, number, &slug)
    }

    /// A document of the whole alliance; for operators.
    pub(super) async fn finance_document(
        &self,
        caller: &Caller,
        request: v1::GetFinanceDocumentRequest,
    ) -> Result<v1::SignedDocument, HubError> {
        caller.operator()?;
        let format = file::format(request.format())?;
        let number = request.cycle_number;
        let file = match request.kind() {
            v1::FinanceDocumentKind::Unspecified => {
                let text = "say which: LIABILITY or GENERAL_LEDGER";
                return Err(HubError::field("kind", "REQUIRED", text));
            }
            v1::FinanceDocumentKind::Liability => self.liability_file(&request, format).await?,
            v1::FinanceDocumentKind::GeneralLedger => self.ledger_file(number, format).await?,
        };
        self.signed(file, number, "")
    }

    async fn ledger_file(&self, number: u32, format: Format) -> Result<File, HubError> {
        let sums = self.sums(number).await?;
        let export = self
            .read(move |view| {
                ledger::export(&Source {
                    global: view.global,
                    registry: view.registry,
                    cycle: closed(view.global, number)?,
                    breakdown: &sums.breakdown,
                    terms: &sums.terms,
                })
            })
            .await?;
        render(move || File::ledger(&export, number, format)).await
    }

    async fn liability_file(
        &self,
        request: &v1::GetFinanceDocumentRequest,
        format: Format,
    ) -> Result<File, HubError> {
        let estimate = self.estimate(request)?;
        let number = request.cycle_number;
        let wanted = (number != 0).then(|| cycle_no(number));
        let (names, terms, mut as_of, size, first_open) = self
            .read(move |view| {
                let global = view.global;
                let first_open = first_open(global);
                let (as_of, size) = match wanted {
                    Some(no) => {
                        let cycle = closed(global, number)?;
                        let upto = global.cycles().iter().take_while(|c| c.no <= no);
                        let end = cycle.closed_seq.unwrap_or(0);
                        let as_of = AsOf {
                            cycle: Some(no),
                            before: no.0.checked_sub(1).map(CycleNo),
                            at: cycle.closes_at.unwrap_or(Instant(0)),
                            last: cycle.closes_at.unwrap_or(Instant(0)).plus_micros(-1),
                            pos: Pos::new(end, 0),
                            reserve_micros: upto.map(|c| c.hub.reserve_micros).sum(),
                        };
                        (as_of, end + 1)
                    }
                    None => {
                        let as_of = AsOf {
                            cycle: None,
                            before: first_open.0.checked_sub(1).map(CycleNo),
                            at: Instant(view.now),
                            last: Instant(view.now),
                            pos: Pos::new(view.size, 0),
                            reserve_micros: -global.hub_balances().reserve_micros,
                        };
                        (as_of, view.size)
                    }
                };
                let names = Names::of(global, view.registry, as_of.last);
                let terms = Terms::of(global);
                Ok((names, terms, as_of, size, first_open))
            })
            .await?;
        let mut kept = self.0.derived.ages.lock().await;
        // The book that is kept goes forward only: an end that it has passed is read from the first entry again.
        let passed = match wanted {
            Some(no) => kept.complete() > CycleNo(no.0 + 1),
            None => kept.size() > size,
        };
        let mut fresh = AgeBook::default();
        let book = if passed { &mut fresh } else { &mut *kept };
        self.read_ages(book, size, &terms).await?;
        let upto = wanted.map_or(first_open, |no| CycleNo(no.0 + 1).min(first_open));
        book.settle(upto);
        if wanted.is_none() {
            as_of.at = book.decided_at();
            as_of.last = book.decided_at();
        }
        let report = liability::report(&names, book, &as_of, &estimate)?;
        drop(kept);
        render(move || File::liability(&report, number, format)).await
    }

    /// Reads effects into a book up to an entry. What was read stays read where the caller goes away meanwhile.
    async fn read_ages(
        &self,
        book: &mut AgeBook,
        size: u64,
        terms: &Terms,
    ) -> Result<(), HubError> {
        while book.size() < size {
            let from = book.size();
            let rows = self.0.store.entries(from, PAGE_ROWS, PAGE_BYTES).await?;
            if rows.is_empty() {
                return Err(HubError::internal(format!("entry {from} is missing")));
            }
            for row in rows.iter().filter(|row| row.seq < size) {
                let records = decode_effect_stream(&row.effects).map_err(HubError::internal)?;
                book.entry(row.seq, row.decided_at, &records, terms);
            }
        }
        Ok(())
    }

    fn estimate(&self, request: &v1::GetFinanceDocumentRequest) -> Result<Estimate, HubError> {
        let registry = self.0.registry.get();
        let redemption_bps = match request.expected_redemption_bps {
            0 => 10_000,
            bps @ 1..=10_000 => bps,
            _ => {
                let text = "1 to 10 000, or 0 for 10 000: every point";
                return Err(HubError::field(
                    "expected_redemption_bps",
                    "OUT_OF_RANGE",
                    text,
                ));
            }
        };
        let mut estimate = Estimate {
            redemption_bps,
            ..Estimate::default()
        };
        for price in &request.allocated_prices {
            let merchant = registry.merchant(&price.merchant_id).ok_or_else(|| {
                HubError::not_found(format!("merchant \"{}\"", price.merchant_id))
            })?;
            if price.allocated_micros < 0 {
                let text = "an allocated price is not negative";
                return Err(HubError::field("allocated_prices", "OUT_OF_RANGE", text));
            }
            let amounts = (price.allocated_micros, price.recognised_before_micros);
            if estimate
                .prices
                .insert(MerchantIx(merchant), amounts)
                .is_some()
            {
                let text = format!("merchant \"{}\" stands twice", price.merchant_id);
                return Err(HubError::field("allocated_prices", "DUPLICATE", text));
            }
        }
        Ok(estimate)
    }

    /// A closed cycle's effects, added up; once for all of its documents.
    async fn sums(&self, number: u32) -> Result<Arc<Sums>, HubError> {
        let no = cycle_no(number);
        let (first, end, terms) = self
            .read(move |view| {
                let totals = closed(view.global, number)?;
                let before = no.0.checked_sub(1).map(CycleNo);
                let before = before.and_then(|no| view.global.cycle(no));
                let first = before.and_then(|c| c.cut_seq).map_or(0, |cut| cut + 1);
                let end = totals.closed_seq.map_or(view.size, |closed| closed + 1);
                Ok((first, end, Terms::of(view.global)))
            })
            .await?;
        // Held while it is read: the statements of all merchants are asked for at the same time.
        let mut kept = self.0.derived.cycles.lock().await;
        if let Some(found) = kept.iter().find(|sums| sums.cycle == no) {
            return Ok(Arc::clone(found));
        }
        let mut breakdown = Breakdown::new(no);
        let mut from = first;
        while from < end {
            let rows = self.0.store.entries(from, PAGE_ROWS, PAGE_BYTES).await?;
            let last = rows.last().map(|row| row.seq);
            let last =
                last.ok_or_else(|| HubError::internal(format!("entry {from} is missing")))?;
            for row in rows.iter().filter(|row| row.seq < end) {
                let records = decode_effect_stream(&row.effects).map_err(HubError::internal)?;
                breakdown.entry(head(row), &records, &terms);
            }
            from = last + 1;
        }
        let sums = self
            .read(move |view| {
                let breakdown = breakdown.finish(view.global, &terms)?;
                Ok(Arc::new(Sums {
                    cycle: no,
                    breakdown,
                    terms,
                }))
            })
            .await?;
        kept.push_back(Arc::clone(&sums));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(sums)
    }

    /// The log's own proof of a closed cycle.
    pub(super) async fn proof(&self, number: u32) -> Result<Proof, HubError> {
        let place = self
            .read(move |view| {
                let cycle = closed(view.global, number)?;
                Place::of(view.global, view.registry, cycle)
                    .ok_or_else(|| HubError::internal("a closed cycle without its entries"))
            })
            .await?;
        let trees = place.trees();
        let mut notes = Vec::with_capacity(trees.len());
        for (_, size) in &trees {
            notes.push(self.checkpoint_at(size - 1).await?);
        }
        let mut extensions = Vec::with_capacity(trees.len());
        for pair in trees.windows(2) {
            let plan = tlog::consistency_plan(pair[0].1, pair[1].1).map_err(HubError::internal)?;
            let hashes = self.prove(&plan).await?;
            let hashes = hashes.into_iter().map(|hash| {
                <[u8; 32]>::try_from(hash).map_err(|_| HubError::internal("a hash of other length"))
            });
            extensions.push(hashes.collect::<Result<_, _>>()?);
        }
        place.proof(&notes, extensions)
    }

    /// The rows of a drill-down, with their counterparties.
    async fn rows(
        &self,
        number: u32,
        merchant: MerchantIx,
    ) -> Result<Vec<(MessageRow, Option<MerchantIx>)>, HubError> {
        let scan = self.scan(number, merchant).await?;
        let (mut found, mut messages) = (Vec::new(), Messages::default());
        let mut from = scan.first;
        while from < scan.end {
            let rows = self.scanned(&scan, from).await?;
            let last = rows.last().map(|row| row.seq);
            let last =
                last.ok_or_else(|| HubError::internal(format!("entry {from} is missing")))?;
            for row in &rows {
                for item in scan.items(row)? {
                    let Some((kind, with)) = item.leg.line else {
                        continue;
                    };
                    if found.len() == MAX_ITEMS {
                        return Err(too_many());
                    }
                    let (message, event_time) = match item.event {
                        Event::Due { at, .. } => (None, at),
                        Event::Message { at, .. } => {
                            let message = messages.at(self, row, at).await?;
                            let id = message.message_id.as_slice().try_into().ok();
                            let time = message.event_time.as_ref().map_or(0, micros);
                            (id.map(MessageId), Instant(time))
                        }
                    };
                    let row = MessageRow {
                        leaf: item.leaf,
                        position: item.position,
                        message,
                        kind: LineKind::new(item.event.kind()),
                        event_time: chrono::DateTime::from_timestamp_micros(event_time.0)
                            .unwrap_or_default(),
                        line: LineKind::new(kind.code()),
                        counterparty: None,
                        late: item.late,
                        points: item.leg.points,
                        amount: item.leg.micros.try_into().map_err(HubError::internal)?,
                    };
                    found.push((row, with));
                }
            }
            from = last + 1;
        }
        Ok(found)
    }

    /// The file with its manifest, signed.
    pub(super) fn signed(
        &self,
        file: File,
        cycle: u32,
        merchant: &str,
    ) -> Result<v1::SignedDocument, HubError> {
        if file.content.len() > MAX_BYTES {
            let text =
                "the document is larger than an answer may be: take CSV, or page through its items";
            return Err(HubError::new(Reason::CallTooLarge, text));
        }
        let signer = &self.0.signer;
        let manifest = file.manifest(signer.origin(), cycle, merchant);
        let payload = Bytes::from(manifest.payload().map_err(HubError::internal)?);
        Ok(v1::SignedDocument {
            file_name: file.name.clone(),
            media_type: file.format.media_type().to_owned(),
            sha256: file.sha256().0.to_vec(),
            content: file.content,
            envelope: Some(signer.sign(DOCUMENT_PAYLOAD_TYPE, payload)),
        })
    }
}

/// The first cycle to which something may still be posted.
fn first_open(global: &hansa_settlement::Global) -> CycleNo {
    let closing = global.closing_cycles().next();
    closing.unwrap_or_else(|| global.open_cycle()).no
}

/// Writes a document beside the tasks that answer calls.
pub(super) async fn render(
    write: impl FnOnce() -> Result<File, HubError> + Send + 'static,
) -> Result<File, HubError> {
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(HubError::internal)?
}

pub(super) fn too_many() -> HubError {
    let reason = Reason::Ledger {
        code: "TOO_MANY_ITEMS",
        status: Code::FailedPrecondition,
    };
    let text = "more than 100 000 items stand behind this statement: take it without, and page through ListStatementItems";
    HubError::new(reason, text)
}
