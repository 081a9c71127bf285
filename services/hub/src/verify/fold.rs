//! Decides the log again, entry by entry, from nothing but its own state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use hansa_client::{
    dsse,
    keys::{VerifyingKey, hex},
};
use hansa_proto::{BATCH_PAYLOAD_TYPE, FACTS_PAYLOAD_TYPE, MAX_BATCH_BYTES, v1};
use hansa_settlement::{
    Context, Effect, Global, Instant, Member, MemberId, Pos, Recorded, append_effects,
    apply_global, apply_member, decide_mut, decode_effect_stream,
};
use prost::Message as _;

use super::{
    derive::Derivation,
    members::Members,
    placed::Placed,
    report::{Counts, Mismatch, describe, micros_text},
    source::{Item, Stored},
};
use crate::{
    convert, facts,
    intake::{self, Prepared},
    registry::{Owner, Registry, hub_key_id},
    sequencer::{
        group::kind,
        ids::Id,
        references::Reference,
        resolve::{account, repeated, resolve, used_up},
        state::ReplayCache,
    },
};

/// State of the alliance after the entries so far: everything that a decision may read.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) global: Global,
    pub(super) registry: Registry,
    pub(super) members: Members,
    pub(super) counts: Counts,
    /// Digests of CLOSED cycles, by the wire's number.
    pub(super) digests: BTreeMap<u32, Vec<u8>>,
    /// Messages by the cuts that enclose them.
    pub(super) placed: Placed,
    /// The cycle whose documents are made again, where one is asked for.
    pub(super) derivation: Option<Derivation>,
    pub(super) references: HashMap<(u32, Reference), u64>,
    pub(super) aliases: HashSet<[u8; 16]>,
    ids: HashMap<(u32, Id), u64>,
}

/// An entry whose signature and shape are in order.
#[derive(Debug)]
pub(super) enum Opened {
    /// A merchant's batch.
    Batch {
        /// The sender's index.
        merchant: u32,
        /// Its messages.
        messages: Vec<Prepared>,
    },
    /// Facts of the hub.
    Facts(v1::Facts),
}

/// What the entry being decided adds up to.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) outcomes: v1::Outcomes,
    pub(super) effects: Vec<u8>,
}

impl Fold {
    pub(super) fn new(members: Members, derivation: Option<Derivation>) -> Self {
        Self {
            global: facts::blank(),
            registry: Registry::default(),
            members,
            counts: Counts::default(),
            digests: BTreeMap::new(),
            placed: Placed::default(),
            derivation,
            references: HashMap::new(),
            aliases: HashSet::new(),
            ids: HashMap::new(),
        }
    }

    // --- opening ---

    /// Verifies an entry's signature with the key that the log has registered by then, decodes it and checks its fields.
    pub(super) fn open(&self, item: &Item, envelope: &v1::Envelope) -> Result<Opened, Mismatch> {
        let opened = if envelope.payload_type == FACTS_PAYLOAD_TYPE {
            self.open_facts(item, envelope).map(Opened::Facts)
        } else {
            self.open_batch(item, envelope)
        };
        let opened = opened.map_err(|mismatch| mismatch.at(item.seq))?;
        let expected = match &opened {
            Opened::Batch { merchant, messages } => {
                (kind::BATCH, Some(*merchant), messages.len() as u64)
            }
            Opened::Facts(_) => (kind::FACTS, None, 0),
        };
        if let Some(Stored {
            kind,
            merchant,
            messages,
            ..
        }) = &item.stored
        {
            let found = (*kind, *merchant, u64::from(*messages));
            super::report::same("kind, merchant and number of messages", &found, &expected)
                .map_err(|mismatch| mismatch.at(item.seq))?;
        }
        Ok(opened)
    }

    fn open_batch(&self, item: &Item, envelope: &v1::Envelope) -> Result<Opened, Mismatch> {
        let signature = dsse::signature(envelope, BATCH_PAYLOAD_TYPE)
            .map_err(|error| Mismatch::new("the envelope", error, "a signed batch"))?;
        let id = &signature.keyid;
        let refused = |why: &dyn std::fmt::Display| {
            Mismatch::new("the signing key", format_args!("\"{id}\""), why)
        };
        let key = self.registry.keys.get(id);
        let key = key.ok_or_else(|| refused(&"not registered at this place of the log"))?;
        let Owner::Merchant(slug) = &key.owner else {
            return Err(refused(&"not a merchant's key"));
        };
        let merchant = self.registry.merchant(slug);
        let merchant = merchant.ok_or_else(|| refused(&"of a merchant that is not onboarded"))?;
        key.check(id, item.decided_at).map_err(|e| refused(&e))?;
        verify(envelope, BATCH_PAYLOAD_TYPE, &key.public_key)?;
        if envelope.payload.len() > MAX_BATCH_BYTES {
            let recorded = format!("{} bytes", envelope.payload.len());
            let most = format!("at most {MAX_BATCH_BYTES} bytes");
            return Err(Mismatch::new("the size of the batch", recorded, most));
        }
        let messages = intake::decode(&envelope.payload, merchant, &self.registry)
            .map_err(|error| Mismatch::new("the batch", error, "messages in order"))?;
        Ok(Opened::Batch { merchant, messages })
    }

    fn open_facts(&self, item: &Item, envelope: &v1::Envelope) -> Result<v1::Facts, Mismatch> {
        let signature = dsse::signature(envelope, FACTS_PAYLOAD_TYPE)
            .map_err(|error| Mismatch::new("the envelope", error, "signed facts"))?;
        let written = v1::Facts::decode(envelope.payload.clone())
            .map_err(|error| Mismatch::new("the facts", error, "hansa.v1.Facts"))?;
        let id = &signature.keyid;
        if let (0, Some(genesis)) = (item.seq, genesis(&written)) {
            // The log brings its own key; whether it is the right one is for the reader to compare.
            let expected = hub_key_id(&genesis.hub_public_key);
            super::report::same("the signing key", id, &expected)?;
            let mut key = [0; 32];
            if genesis.hub_public_key.len() != key.len() {
                let found = format!("{} bytes", genesis.hub_public_key.len());
                return Err(Mismatch::new("the hub's key", found, "32 bytes"));
            }
            key.copy_from_slice(&genesis.hub_public_key);
            verify(envelope, FACTS_PAYLOAD_TYPE, &key)?;
            return Ok(written);
        }
        let refused = |why: &dyn std::fmt::Display| {
            Mismatch::new("the signing key", format_args!("\"{id}\""), why)
        };
        let key = self.registry.keys.get(id);
        let key = key.ok_or_else(|| refused(&"not registered at this place of the log"))?;
        if key.owner != Owner::Hub {
            return Err(refused(&"not the hub's key"));
        }
        key.check(id, item.decided_at).map_err(|e| refused(&e))?;
        verify(envelope, FACTS_PAYLOAD_TYPE, &key.public_key)?;
        Ok(written)
    }

    // --- deciding ---

    /// Entries that hold the first outcome of messages which this one repeats.
    pub(super) fn repeats(&self, item: &Item, opened: &Opened) -> BTreeSet<u64> {
        let Opened::Batch { merchant, messages } = opened else {
            return BTreeSet::new();
        };
        messages
            .iter()
            .filter_map(|message| self.ids.get(&(*merchant, message.id)))
            .map(|pos| Pos(*pos).seq())
            .filter(|seq| *seq != item.seq)
            .collect()
    }

    /// Decides an entry and compares what comes of it with what was recorded.
    pub(super) fn decide(
        &mut self,
        item: &Item,
        opened: &Opened,
        firsts: &ReplayCache,
    ) -> Result<(), Mismatch> {
        let made = match opened {
            Opened::Batch { merchant, messages } => self.batch(item, *merchant, messages, firsts),
            Opened::Facts(written) => self.facts(item, written),
        };
        let at = |mismatch: Mismatch| mismatch.at(item.seq);
        let made = made.map_err(at)?;
        compare_outcomes(&item.outcomes, &made.outcomes).map_err(at)?;
        if let Some(stored) = &item.stored {
            compare_effects(&stored.effects, &made.effects).map_err(at)?;
        }
        if let Some(derivation) = &mut self.derivation {
            let entry = derivation.entry(item, opened, &made.effects, &self.global);
            entry.map_err(at)?;
        }
        Ok(())
    }

    /// The cut of a cycle stands before everything that is decided at or past its closing instant.
    pub(super) fn not_past_close(&self, item: &Item) -> Result<(), Mismatch> {
        match self.global.next_close() {
            Some(Instant(close)) if close <= item.decided_at => {
                let recorded = format!("decided at {}", micros_text(item.decided_at));
                let recomputed =
                    format!("the cycle closes at {}: cut it first", micros_text(close));
                Err(Mismatch::new("the place of the cut", recorded, recomputed))
            }
            _ => Ok(()),
        }
    }

    fn batch(
        &mut self,
        item: &Item,
        merchant: u32,
        messages: &[Prepared],
        firsts: &ReplayCache,
    ) -> Result<Made, Mismatch> {
        self.not_past_close(item)?;
        self.counts.batches += 1;
        let mut made = Made::default();
        let mut fresh = false;
        for (index, message) in (0..).zip(messages) {
            let pos = Pos::new(item.seq, index);
            let outcome = match self.ids.get(&(merchant, message.id)) {
                Some(first) => repetition(Pos(*first), message, messages, &made, item, firsts)?,
                None => {
                    fresh = true;
                    self.ids.insert((merchant, message.id), pos.0);
                    self.message(item, merchant, message, pos, &mut made.effects)
                        .map_err(|mismatch| mismatch.of_message(index))?
                }
            };
            self.counts.count(&outcome);
            made.outcomes.outcomes.push(outcome);
        }
        if fresh {
            return Ok(made);
        }
        let recorded = format!("{} messages", messages.len());
        Err(Mismatch::new(
            "a batch that was appended",
            recorded,
            "all of them were decided before",
        ))
    }

    fn message(
        &mut self,
        item: &Item,
        merchant: u32,
        message: &Prepared,
        pos: Pos,
        effects: &mut Vec<u8>,
    ) -> Result<v1::Outcome, Mismatch> {
        let used = |of, id: &Id| self.ids.get(&(of, *id)).map(|pos| Pos(*pos));
        let member = || self.references.get(&(merchant, message.reference)).copied();
        let number = account(merchant, message, pos, member, used);
        let resolved = resolve(merchant, message, number, used);
        let mut member = self.member(number)?;
        let context = Context {
            decided_at: Instant(item.decided_at),
            pos,
        };
        let decision = decide_mut(&self.global, &mut member, &context, &resolved);
        for effect in &decision.effects {
            apply_global(&mut self.global, effect, pos);
        }
        for (of, id) in used_up(merchant, message, &resolved, &decision.outcome) {
            self.ids.insert((of, id), pos.0);
        }
        if let Some(number) = number
            && !decision.effects.is_empty()
        {
            self.members.put(number, item.seq, &member)?;
        }
        record(effects, pos, number.unwrap_or(0), decision.effects);
        let outcome = convert::outcome(&decision.outcome);
        self.placed.message(&outcome);
        Ok(outcome)
    }

    /// A member's state; an empty one for an unknown reference.
    pub(super) fn member(&self, number: Option<u64>) -> Result<Member, Mismatch> {
        match number {
            None => Ok(Member::default()),
            Some(number) => self
                .members
                .get(number)
                .map_err(|error| Mismatch::new(format!("member {number}"), "named", error)),
        }
    }

    /// Keeps what a fact made of an account, and records it.
    pub(super) fn decided(
        &mut self,
        number: u64,
        member: &Member,
        pos: Pos,
        effects: Vec<Effect>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        for effect in &effects {
            apply_global(&mut self.global, effect, pos);
        }
        self.members.put(number, pos.seq(), member)?;
        record(bytes, pos, number, effects);
        Ok(())
    }

    /// Applies due work to a member and records it.
    pub(super) fn due_work(
        &mut self,
        number: u64,
        pos: Pos,
        effects: Vec<Effect>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        let mut member = self.member(Some(number))?;
        for effect in &effects {
            apply_global(&mut self.global, effect, pos);
            apply_member(&mut member, effect, pos);
        }
        self.members.put(number, pos.seq(), &member)?;
        record(bytes, pos, number, effects);
        Ok(())
    }
}

/// The log's first fact.
pub(super) fn genesis(written: &v1::Facts) -> Option<&v1::Genesis> {
    match written.facts.first().map(|fact| &fact.fact) {
        Some(Some(v1::fact::Fact::Genesis(genesis))) => Some(genesis),
        _ => None,
    }
}

/// The fact that gives the log another name.
pub(super) fn reopened(written: &v1::Facts) -> Option<&v1::LogReopened> {
    match written.facts.first().map(|fact| &fact.fact) {
        Some(Some(v1::fact::Fact::LogReopened(reopened))) => Some(reopened),
        _ => None,
    }
}

fn verify(
    envelope: &v1::Envelope,
    payload_type: &'static str,
    key: &[u8; 32],
) -> Result<(), Mismatch> {
    let broken = |error: &dyn std::fmt::Display| {
        let key = format!("a signature of the key {}", hex(key));
        Mismatch::new("the signature", error, key)
    };
    let verifying = VerifyingKey::from_bytes(key).map_err(|error| broken(&error))?;
    dsse::verify(envelope, payload_type, &verifying).map_err(|error| broken(&error))
}

fn record(bytes: &mut Vec<u8>, pos: Pos, member: u64, effects: Vec<Effect>) {
    let record = Recorded {
        index: pos.index(),
        member: MemberId(member),
        effects,
    };
    append_effects(&record, bytes);
}

/// The outcome of a message whose id was decided at `first`.
fn repetition(
    first: Pos,
    message: &Prepared,
    messages: &[Prepared],
    made: &Made,
    item: &Item,
    firsts: &ReplayCache,
) -> Result<v1::Outcome, Mismatch> {
    let index = first.index() as usize;
    let gone = || {
        let what = format!("message {index} of entry {}", first.seq());
        Mismatch::new(what, "gone", "the first of its id")
    };
    if first.seq() == item.seq {
        let (earlier, outcome) = messages
            .get(index)
            .zip(made.outcomes.outcomes.get(index))
            .ok_or_else(gone)?;
        return Ok(repeated(first, outcome, earlier.bytes == message.bytes));
    }
    let entry = firsts.get(first.seq()).ok_or_else(gone)?;
    let (bytes, outcome) = entry
        .elements
        .get(index)
        .zip(entry.outcomes.get(index))
        .ok_or_else(gone)?;
    Ok(repeated(first, outcome, *bytes == message.bytes))
}

/// Recorded outcomes must be the very bytes that deciding again gives.
fn compare_outcomes(recorded: &Bytes, made: &v1::Outcomes) -> Result<(), Mismatch> {
    let bytes = if made.outcomes.is_empty() {
        Vec::new()
    } else {
        made.encode_to_vec()
    };
    if *recorded == bytes {
        return Ok(());
    }
    let what = "the outcome";
    let Ok(found) = v1::Outcomes::decode(recorded.clone()) else {
        let recomputed = format!("{} outcomes", made.outcomes.len());
        return Err(Mismatch::new("outcomes", "do not decode", recomputed));
    };
    for (index, (found, made)) in (0..).zip(found.outcomes.iter().zip(&made.outcomes)) {
        if found != made {
            let mismatch = Mismatch::new(what, describe(found), describe(made));
            return Err(mismatch.of_message(index));
        }
    }
    let (found, made) = (found.outcomes.len(), made.outcomes.len());
    if found != made {
        return Err(Mismatch::new("the number of outcomes", found, made));
    }
    Err(Mismatch::new(
        "the bytes of the outcomes",
        hex(recorded),
        hex(&bytes),
    ))
}

/// Recorded effects must be the very bytes that deciding again gives: a restart applies them unseen.
fn compare_effects(recorded: &Bytes, made: &[u8]) -> Result<(), Mismatch> {
    if *recorded == made {
        return Ok(());
    }
    let what = "the recorded effects";
    let (Ok(found), Ok(expected)) = (decode_effect_stream(recorded), decode_effect_stream(made))
    else {
        let recomputed = format!("{} bytes", made.len());
        return Err(Mismatch::new(what, "do not decode", recomputed));
    };
    let tell = |record: Option<&Recorded>| match record {
        None => "nothing".to_owned(),
        Some(record) => format!("member {}: {:?}", record.member.0, record.effects),
    };
    for at in 0..found.len().max(expected.len()) {
        let (found, expected) = (found.get(at), expected.get(at));
        if found != expected {
            let index = expected.or(found).map_or(0, |record| record.index);
            return Err(Mismatch::new(what, tell(found), tell(expected)).of_message(index));
        }
    }
    Err(Mismatch::new(what, hex(recorded), hex(made)))
}
