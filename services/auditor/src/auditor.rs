//! The state machine: entries in, in order; certificates of closed cycles out, or the first finding.

use hansa_proto::{BATCH_PAYLOAD_TYPE, FACTS_PAYLOAD_TYPE, v1};
use prost::Message as _;

use crate::{
    batch::{Element, elements},
    conversion,
    finding::{Finding, Mismatch, What},
    keys::Holder,
    memory::Memory,
    query, review,
    seal::{self, Hash},
    source::{Entry, MerchantNo, ReferenceKey, Source, SourceError},
    state::{Small, Unreadable, pack, unpack},
    totals::{CycleTotals, Leg},
};

/// How much is kept in memory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Members that are clean, about 1 KB each, and as many conversions, about half of that.
    pub members: usize,
    /// Message ids that were decided last: one of them that is decided again is found without asking. About 60 bytes each.
    pub ids: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            members: 50_000,
            ids: 500_000,
        }
    }
}

/// A closed cycle as the auditor derived it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its totals, with the leaves of its cut and of its close.
    pub totals: CycleTotals,
    /// What the log recorded as the digest of its totals; taken down, not compared.
    pub digest: Vec<u8>,
    /// Number of entries up to the close, which is the last of them.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Why an entry did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The log and the rules disagree. The auditor is of no further use.
    #[error("{0}")]
    Finding(Box<Finding>),
    /// The source cannot answer. Nothing changed: the same entry may be tried again.
    #[error("the auditor cannot read: {0}")]
    Source(SourceError),
    /// What was saved cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// What one message of an entry did: or due work of one member or conversion, or one decision about a conversion, or one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journals {
    /// Position of the message in its batch, of the member among those that are named, of the decision in its fact, or of the fact;
    /// from 0.
    pub position: u32,
    /// Whether the hub records effects of it: of messages, due work and decisions about conversions, not of other facts.
    pub recorded: bool,
    /// Legs that are not 0, in the order of the events; those of due work that the message met come first.
    pub legs: Vec<Leg>,
}

/// What is to be saved, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// Entries that are in it.
    pub size: u64,
    /// Everything but members, conversions and references.
    pub state: Vec<u8>,
    /// Members and conversions that changed, by number.
    pub members: Vec<(u64, Vec<u8>)>,
    /// References that were enrolled or used up, in order.
    pub references: Vec<(ReferenceKey, u64)>,
}

/// The auditor. See the crate's documentation.
#[derive(Debug)]
pub struct Auditor {
    pub(crate) small: Small,
    pub(crate) memory: Memory,
    journals: Vec<Journals>,
}

impl Auditor {
    /// At the beginning of a log.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self::with(Small::default(), bounds)
    }

    /// Where it was when the state was saved.
    ///
    /// # Errors
    /// When the bytes are those of another release.
    pub fn resume(state: &[u8], bounds: Bounds) -> Result<Self, Unreadable> {
        Ok(Self::with(unpack(state)?, bounds))
    }

    fn with(small: Small, bounds: Bounds) -> Self {
        Self {
            small,
            memory: Memory::new(bounds.members, bounds.ids),
            journals: Vec::new(),
        }
    }

    /// Entries that passed: the leaf that comes next.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.small.size
    }

    /// Root of the tree over the entries that passed.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.small.tree.root()
    }

    /// Name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.small.origin
    }

    /// The key by which the hub signs facts and checkpoints; none before the first entry.
    #[must_use]
    pub fn hub_key(&self) -> Option<&[u8; 32]> {
        self.small.keys.hub()
    }

    /// Members, conversions and references that changed and are not saved.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.memory.dirty()
    }

    /// Totals of the cycles that are not closed, oldest first.
    #[must_use]
    pub fn open_cycles(&self) -> Vec<CycleTotals> {
        let cycles = self.small.books.cycles.iter();
        cycles
            .map(|cycle| cycle.totals(&self.small.terms))
            .collect()
    }

    /// Value of the open points that stand in the reserve. Unit: micro-units.
    #[must_use]
    pub fn reserve_micros(&self) -> i128 {
        self.small.books.standing.reserve()
    }

    /// Journals of the entry that passed last, those without a leg left out.
    #[must_use]
    pub fn journals(&self) -> &[Journals] {
        &self.journals
    }

    /// A merchant's number in the log.
    #[must_use]
    pub fn merchant_id(&self, number: MerchantNo) -> &str {
        self.small.terms.slug(number)
    }

    /// Everything that changed since the last save. From now on it counts as saved: a caller that cannot save it drops the
    /// auditor and resumes.
    pub fn save(&mut self) -> Save {
        let (members, references) = self
            .memory
            .drain(&self.small.terms, self.small.last_decided_at);
        Save {
            size: self.small.size,
            state: pack(&self.small),
            members,
            references,
        }
    }

    /// Audits the next entry.
    ///
    /// # Errors
    /// [`Stop`]; only after [`Stop::Source`] may it be tried again.
    pub fn audit(
        &mut self,
        entry: &Entry,
        source: &mut dyn Source,
    ) -> Result<Option<Certificate>, Stop> {
        self.journals.clear();
        let mut place = Place::default();
        let certificate = match self.entry(entry, source, &mut place) {
            Ok(certificate) => certificate,
            Err(Trouble::Stop(stop)) => return Err(stop),
            Err(Trouble::Mismatch(mismatch)) => {
                return Err(Stop::Finding(Box::new(Finding {
                    leaf: entry.leaf,
                    position: place.position,
                    merchant: place.merchant,
                    message_id: place.message_id,
                    what: mismatch.what,
                    expected: mismatch.expected,
                    found: mismatch.found,
                })));
            }
        };
        self.memory.release();
        self.small.tree.push(&entry.leaf_data);
        self.small.size = entry.leaf + 1;
        self.small.last_decided_at = entry.decided_at;
        let root = self.small.tree.root();
        Ok(certificate.map(|certificate| Certificate {
            root,
            ..certificate
        }))
    }

    fn entry(
        &mut self,
        entry: &Entry,
        source: &mut dyn Source,
        place: &mut Place,
    ) -> Result<Option<Certificate>, Trouble> {
        let next = self.small.size;
        if entry.leaf != next {
            return Err(Mismatch::new(What::Sequence, next, entry.leaf).into());
        }
        if next > 0 && entry.decided_at < self.small.last_decided_at {
            let expected = format!("at or behind {}", self.small.last_decided_at);
            return Err(Mismatch::new(What::Time, expected, entry.decided_at).into());
        }
        let opened = self.open(entry, place)?;
        // A message that differs is a closer statement than that its leaf does.
        let result = match opened {
            Opened::Batch(merchant, elements) => self
                .batch(entry, merchant, &elements, source, place)
                .map(|()| None),
            Opened::Facts(facts) => self.facts(entry, &facts, source, place),
        };
        let certificate = result?;
        *place = Place::default();
        let leaf = seal::leaf_data(&entry.envelope, entry.decided_at, &entry.outcomes);
        if entry.leaf_data != leaf {
            let (expected, found) = (seal::hex(&leaf), seal::hex(&entry.leaf_data));
            return Err(Mismatch::new(What::Leaf, expected, found).into());
        }
        Ok(certificate)
    }

    /// Verifies the signature and decodes.
    fn open(&self, entry: &Entry, place: &mut Place) -> Result<Opened, Mismatch> {
        let envelope = &entry.envelope;
        let payload = |what: &str| Mismatch::new(What::Payload, what, "other bytes");
        match envelope.payload_type.as_str() {
            FACTS_PAYLOAD_TYPE => {
                let facts = v1::Facts::decode(envelope.payload.clone())
                    .map_err(|_| payload("hansa.v1.Facts"))?;
                let first = facts.facts.first().map(|fact| &fact.fact);
                if let (0, Some(Some(v1::fact::Fact::Genesis(genesis)))) = (entry.leaf, first) {
                    // The log brings its own key; whether it is the right one is for the reader to compare.
                    let mut keys = crate::keys::Keys::default();
                    keys.begin(genesis)?;
                    holder_is_hub(keys.verify(envelope, entry.decided_at)?)?;
                } else {
                    holder_is_hub(self.small.keys.verify(envelope, entry.decided_at)?)?;
                }
                if facts.facts.is_empty() || !entry.outcomes.is_empty() {
                    return Err(payload("at least one fact, and no outcome"));
                }
                Ok(Opened::Facts(facts))
            }
            BATCH_PAYLOAD_TYPE => {
                let holder = self.small.keys.verify(envelope, entry.decided_at)?;
                let Holder::Merchant(slug) = holder else {
                    return Err(Mismatch::new(
                        What::SigningKey,
                        "a merchant's key",
                        format_args!("{holder:?}"),
                    ));
                };
                place.merchant = Some(slug.clone());
                let merchant = self.small.terms.number(slug)?;
                Ok(Opened::Batch(merchant, elements(&envelope.payload)?))
            }
            other => Err(Mismatch::new(
                What::Payload,
                "a payload type that this release knows",
                other,
            )),
        }
    }

    // --- facts ---

    fn facts(
        &mut self,
        entry: &Entry,
        facts: &v1::Facts,
        source: &mut dyn Source,
        place: &mut Place,
    ) -> Result<Option<Certificate>, Trouble> {
        use v1::fact::Fact as F;
        let mut numbers = Vec::new();
        let mut references: Vec<ReferenceKey> = Vec::new();
        for fact in &facts.facts {
            match &fact.fact {
                Some(F::AdvanceTo(advance)) => numbers.extend(&advance.member_numbers),
                Some(F::CommissionsDecided(decided)) => numbers.extend(review::numbers(decided)),
                Some(F::MembersEnrolled(enrolled)) => {
                    let merchant = self.small.terms.number(&enrolled.merchant_id)?;
                    references.extend(enrolled.enrolments.iter().filter_map(|enrolment| {
                        let reference = enrolment.member_reference.as_slice().try_into().ok()?;
                        Some((merchant, reference))
                    }));
                }
                Some(other) => numbers.extend(query::number(other)),
                None => {}
            }
        }
        self.fetch_references(references.into_iter(), source)?;
        self.fetch_members(numbers.into_iter(), source)?;
        let mut certificate = None;
        let by = (facts.actor.as_str(), facts.facts.len() == 1);
        for (position, fact) in (0..).zip(&facts.facts) {
            place.position = Some(position);
            if let Some(F::QueryRaised(raised)) = &fact.fact {
                self.check_query(raised, entry.leaf, source)?;
            }
            let made = self.fact(entry, position, fact, by)?;
            certificate = certificate.or(made);
            self.keep_journal(position, false);
        }
        Ok(certificate)
    }

    /// Keeps the legs that were posted since the last time.
    pub(crate) fn keep_journal(&mut self, position: u32, recorded: bool) {
        let legs = self.small.books.take_posted();
        if !legs.is_empty() {
            self.journals.push(Journals {
                position,
                recorded,
                legs,
            });
        }
    }

    pub(crate) fn fetch_references(
        &mut self,
        wanted: impl Iterator<Item = ReferenceKey>,
        source: &mut dyn Source,
    ) -> Result<(), Stop> {
        let missing = self.memory.hold_references(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        for (key, number) in source.references(&missing).map_err(Stop::Source)? {
            self.memory.admit_reference(key, number);
        }
        Ok(())
    }

    pub(crate) fn fetch_members(
        &mut self,
        wanted: impl Iterator<Item = u64>,
        source: &mut dyn Source,
    ) -> Result<(), Stop> {
        let missing = self.memory.hold(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        for (number, bytes) in source.members(&missing).map_err(Stop::Source)? {
            if conversion::is_number(number) {
                self.memory.admit_conversion(number, unpack(&bytes)?);
            } else {
                self.memory.admit(number, unpack(&bytes)?);
            }
        }
        Ok(())
    }
}

/// Where in the entry the auditor is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) position: Option<u32>,
    pub(crate) merchant: Option<String>,
    pub(crate) message_id: Option<[u8; 16]>,
}

enum Opened {
    Batch(MerchantNo, Vec<Element>),
    Facts(v1::Facts),
}

pub(crate) enum Trouble {
    Mismatch(Mismatch),
    Stop(Stop),
}

impl From<Mismatch> for Trouble {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

fn holder_is_hub(holder: &Holder) -> Result<(), Mismatch> {
    if *holder == Holder::Hub {
        return Ok(());
    }
    let found = format!("{holder:?}");
    Err(Mismatch::new(What::SigningKey, "the hub's key", found))
}
