//! Touches: what affiliates' links bring. Beside the log, in tables of their own; they move no money by themselves.
//!
//! A click, step by step, and what each step costs ([`Touches::click`]):
//!
//! 1. the link, from memory (below 1 µs; one statement every five seconds): [`links`]
//! 2. another page of the same shop, where one is asked for (1 µs): [`destination`]
//! 3. does it count, what is known of it (5 µs; 25 µs for a user agent that was not seen lately): [`judge`]
//! 4. may the affiliate and the merchant (below 1 µs): [`parties`]
//! 5. an id, and into the queue for the disk (2 µs): [`writer`]
//! 6. the signature, while the disk is waited for (25 µs): `hansa_client::touch_id`
//! 7. the commit that has it: one wait for the disk, shared by all that came meanwhile
//!
//! The shopper is never held up by what is wrong with the affiliate: an ended link or an affiliate that is not active leads
//! on without an id, and so does a touch that the disk does not take. Only an unknown link leads nowhere.

mod bounded;
pub mod destination;
pub mod judge;
pub mod links;
pub mod parties;
pub mod placement;
mod writer;

use std::{sync::Arc, time::Duration};

use hansa_client::touch_id::{SignedTouchId, TouchId, TouchKind, time_ordered_id};
use hansa_fraud::{TokenKey, lists::ListError};
use hansa_proto::v1::{self, TouchRefusal};
use hansa_store::{Store, TouchRow};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::{clock::Clock, error::HubError, signer::Signer};
use destination::{Destination, DestinationError};
use judge::{Judge, Judged, Sight};
use links::{Found, Link, Links};
use parties::Parties;
use placement::{Placed, PlacementLookup};
use writer::Writer;

/// Longest mark of an affiliate's own. Unit: bytes.
pub const MAX_SUB_ID: usize = 128;

/// How long a shopper waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where touches are kept, where nothing else is said: in the same PostgreSQL database; beside an SQLite file, in one of their own.
#[must_use]
pub fn default_database(database: &str, data_dir: &std::path::Path) -> String {
    if database.starts_with("sqlite:") {
        format!("sqlite:{}", data_dir.join("touches.db").display())
    } else {
        database.to_owned()
    }
}

/// Whether a text can be an affiliate's own mark.
#[must_use]
pub fn is_sub_id(text: &str) -> bool {
    text.len() <= MAX_SUB_ID && !text.chars().any(char::is_control)
}

/// Why a link leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLed {
    /// No such link.
    Unknown,
    /// Too much to do now.
    Busy,
    /// `to` leads elsewhere.
    To(DestinationError),
    /// `sub_id` is none.
    SubId,
}

/// What a link was followed with.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The link's name.
    pub link: &'a str,
    /// The affiliate's own mark.
    pub sub_id: &'a str,
    /// Another page than the link's own.
    pub to: Option<&'a str>,
    /// The request.
    pub sight: Sight<'a>,
}

/// A touch that was seen elsewhere.
#[derive(Debug, Clone)]
pub struct Reported {
    /// What it was.
    pub kind: v1::TouchKind,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whose, to whom, on which site.
    pub placed: Placed,
    /// The link, and whether it has ended.
    pub link: Option<Arc<Link>>,
    /// The affiliate's own mark.
    pub sub_id: String,
    /// The code.
    pub code: String,
    /// What is known of it; nothing of a code.
    pub judged: Option<Judged>,
}

/// A touch that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// As it was written.
    pub row: TouchRow,
    /// The signed id, where it counts and has one.
    pub click_id: Option<SignedTouchId>,
}

/// All about touches. Shared by the redirect and the gRPC service.
#[derive(Debug)]
pub struct Touches {
    store: Store,
    links: Links,
    writer: Writer,
    judge: Judge,
    parties: Arc<Parties>,
    placement: PlacementLookup,
    signer: Arc<Signer>,
    clock: Clock,
    random: SystemRandom,
}

impl Touches {
    /// Over a store of its own, which nothing else writes to.
    ///
    /// # Errors
    /// Never, as a test of the lists shows.
    pub fn new(
        store: Store,
        signer: Arc<Signer>,
        clock: Clock,
        parties: Arc<Parties>,
        tokens: TokenKey,
        placement: PlacementLookup,
    ) -> Result<Self, ListError> {
        Ok(Self {
            links: Links::new(store.clone()),
            writer: Writer::start(store.clone()),
            judge: Judge::new(tokens)?,
            parties,
            placement,
            signer,
            clock,
            random: SystemRandom::new(),
            store,
        })
    }

    /// For reads, and for what is no touch.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Upkeep of the store beside everything else, where it needs some: for whoever writes past the queue of touches.
    pub fn tidy(&self) {
        if self.store.needs_tidying() {
            let store = self.store.clone();
            tokio::spawn(async move {
                if let Err(error) = store.tidy().await {
                    tracing::warn!(%error, "the write-ahead log was not emptied");
                }
            });
        }
    }

    /// The links.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Who may.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// What a request says of itself, at this placement.
    pub fn look(&self, sight: &Sight<'_>, placed: Placed) -> Judged {
        self.judge.look(sight, &self.placement.rules(placed))
    }

    /// Follows a link: where it leads, with a click id where the click counts and is on disk.
    ///
    /// # Errors
    /// [`NotLed`]; then nothing was written.
    pub async fn click(&self, visit: &Visit<'_>) -> Result<String, NotLed> {
        let link = self.find(visit).await?;
        let page = match visit.to {
            Some(to) => Some(link.destination.page(to).map_err(NotLed::To)?),
            None => None,
        };
        let destination = page.as_ref().unwrap_or(&link.destination);
        let click_id = self.touch(TouchKind::Click, &link, visit).await;
        Ok(led(destination, click_id.as_ref()))
    }

    /// Notes that an advertisement was seen.
    ///
    /// # Errors
    /// [`NotLed`]; then nothing was written.
    pub async fn view(&self, visit: &Visit<'_>) -> Result<(), NotLed> {
        let link = self.find(visit).await?;
        self.touch(TouchKind::View, &link, visit).await;
        Ok(())
    }

    async fn find(&self, visit: &Visit<'_>) -> Result<Arc<Link>, NotLed> {
        if !is_sub_id(visit.sub_id) {
            return Err(NotLed::SubId);
        }
        match self.links.find(visit.link).await {
            Found::Link(link) => Ok(link),
            Found::Unknown => Err(NotLed::Unknown),
            Found::Busy => Err(NotLed::Busy),
        }
    }

    /// Writes a touch; its id where it counts and is on disk.
    async fn touch(
        &self,
        kind: TouchKind,
        link: &Arc<Link>,
        visit: &Visit<'_>,
    ) -> Option<SignedTouchId> {
        let placed = placed(link);
        let kind = match kind {
            TouchKind::Click => v1::TouchKind::Click,
            TouchKind::View => v1::TouchKind::View,
        };
        let reported = Reported {
            kind,
            at_ms: self.now_ms(),
            placed,
            link: Some(Arc::clone(link)),
            sub_id: visit.sub_id.to_owned(),
            code: String::new(),
            judged: Some(self.look(&visit.sight, placed)),
        };
        let (row, id) = self.row(reported).ok()?;
        let pending = self.writer.queue(vec![row]).ok()?;
        let signed = id.map(|id| self.signer.touch(&id));
        match tokio::time::timeout(PATIENCE, pending.written()).await {
            Ok(Ok(())) => signed,
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Takes touches that were seen elsewhere, all of them or none; they are on disk when it returns.
    ///
    /// # Errors
    /// The store does not answer: send them again.
    pub async fn record(&self, reported: Vec<Reported>) -> Result<Vec<Taken>, HubError> {
        let made = reported.into_iter().map(|one| self.row(one));
        let (rows, ids): (Vec<TouchRow>, Vec<Option<TouchId>>) =
            made.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let pending = self.writer.queue(rows.clone())?;
        let signer = Arc::clone(&self.signer);
        // Up to a thousand signatures are some tens of milliseconds: not on a thread that answers clicks.
        let sign = move || -> Vec<Option<SignedTouchId>> {
            let sign = |id: Option<TouchId>| id.map(|id| signer.touch(&id));
            ids.into_iter().map(sign).collect()
        };
        let signed = tokio::task::spawn_blocking(sign)
            .await
            .map_err(HubError::internal)?;
        pending.written().await?;
        let taken = rows.into_iter().zip(signed);
        Ok(taken
            .map(|(row, click_id)| Taken { row, click_id })
            .collect())
    }

    /// The row of a touch, and what its click id says, where it counts and has one.
    fn row(&self, reported: Reported) -> Result<(TouchRow, Option<TouchId>), HubError> {
        let Reported {
            kind,
            at_ms,
            placed,
            link,
            sub_id,
            code,
            judged,
        } = reported;
        let mut random = [0; 10];
        self.random
            .fill(&mut random)
            .map_err(|_| HubError::internal("the system gives no random bytes"))?;
        let id = time_ordered_id(at_ms, random);
        let refusal = self.refusal(placed, link.as_deref(), judged.as_ref());
        let mut row = TouchRow {
            id,
            kind: number(kind.into()),
            at_ms,
            recorded_ms: self.now_ms(),
            merchant: placed.merchant,
            affiliate: placed.affiliate,
            site: placed.site,
            link: link.map_or_else(String::new, |link| link.row.link.clone()),
            code,
            sub_id,
            refused: number(refusal.into()),
            ..TouchRow::default()
        };
        let mut flags = hansa_client::touch_id::TouchFlags::NONE;
        if let Some(judged) = judged {
            flags = judged.flags;
            row.flags = flags.bits();
            row.marks = judged.marks;
            row.agent = judged.agent;
            row.address = judged.address;
            row.network = judged.network;
            row.device = judged.device;
            row.referrer_host = judged.referrer_host;
        }
        let kind = match kind {
            v1::TouchKind::Click => Some(TouchKind::Click),
            v1::TouchKind::View => Some(TouchKind::View),
            v1::TouchKind::Code | v1::TouchKind::Unspecified => None,
        };
        let counts = refusal == TouchRefusal::Unspecified;
        let id = kind.filter(|_| counts).map(|kind| TouchId {
            kind,
            flags,
            merchant: placed.merchant,
            affiliate: placed.affiliate,
            site: placed.site,
            id,
        });
        Ok((row, id))
    }

    /// Why a touch does not count: what it is itself comes first, then the link, then who is concerned.
    fn refusal(
        &self,
        placed: Placed,
        link: Option<&Link>,
        judged: Option<&Judged>,
    ) -> TouchRefusal {
        let seen = judged.map_or(TouchRefusal::Unspecified, |judged| judged.refusal);
        if seen != TouchRefusal::Unspecified {
            seen
        } else if link.is_some_and(|link| link.row.ended_at.is_some()) {
            TouchRefusal::LinkEnded
        } else if !self.parties.brings(placed.affiliate) {
            TouchRefusal::AffiliateInactive
        } else if !self.parties.takes(placed.merchant) {
            TouchRefusal::MerchantInactive
        } else {
            TouchRefusal::Unspecified
        }
    }

    /// Milliseconds since 1970 by the hub's clock.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now_micros() / 1_000).unwrap_or(0)
    }
}

/// Whose link it is and where it leads.
#[must_use]
pub fn placed(link: &Link) -> Placed {
    Placed {
        merchant: link.row.merchant,
        affiliate: link.row.affiliate,
        site: link.row.site,
    }
}

fn led(destination: &Destination, click_id: Option<&SignedTouchId>) -> String {
    match click_id {
        Some(id) => destination.with_click(&id.encode()),
        None => destination.plain().to_owned(),
    }
}

/// A number of the wire as the store keeps it. The enums end far below 256.
fn number(wire: i32) -> u8 {
    u8::try_from(wire).unwrap_or(u8::MAX)
}
