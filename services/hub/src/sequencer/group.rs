//! Deciding a group: jobs in, one transaction's worth of rows and the answers out. No I/O.
//!
//! An entry is a batch with at least one message that was not decided before, or facts. Within a batch, in this
//! order for each message: its id (REPLAYED, MODIFIED_REQUEST), its references, then the ledger's rules.

mod commissions;
mod members;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use hansa_client::leaf::{leaf_data, leaf_hash};
use hansa_proto::v1;
use hansa_settlement::{
    Context, Global, Instant, Member, MemberId, Pos, Recorded, append_effects, apply_global,
    decide, due_mut,
};
use hansa_store::{CheckpointRow, EntryRow, EvidenceRow, Group, IdRow};
use prost::Message as _;

use super::{
    BatchReply, ConversionsView, Job, MemberView, Reply, View,
    ids::{Id, Known},
    members::Packed,
    prefetch::Fetched,
    resolve::{account, repeated, resolve, used_up},
    state::{FirstEntry, State},
};
use crate::{
    convert::{self, timestamp},
    error::HubError,
    facts::{self, Place},
    intake::{Prepared, PreparedBatch},
    registry::Registry,
    signer::Signer,
    tlog::Extension,
};

/// Kinds of entries in the store.
pub mod kind {
    /// A merchant's batch.
    pub const BATCH: u8 = 0;
    /// Facts signed by the hub.
    pub const FACTS: u8 = 1;
}

/// What waits for the commit.
pub enum Answer {
    /// A batch; `leaf` is set when it was appended.
    Batch {
        /// Answer.
        reply: Reply<BatchReply>,
        /// Serialized outcomes.
        outcomes: Bytes,
        /// Entry and its leaf data.
        leaf: Option<(u64, [u8; 72])>,
    },
    /// A refusal, or an answer that is known already: nothing is said before the commit.
    Later(Box<dyn FnOnce() + Send>),
    /// Facts.
    Facts(Reply<Option<u64>>, Option<u64>),
    /// An enrolment.
    Enrol(Reply<Vec<[u8; 16]>>, Vec<[u8; 16]>),
    /// A report, to be read behind the commit.
    Read(Box<dyn FnOnce(&View<'_>) + Send>),
    /// A member.
    Member(Reply<Option<MemberView>>, Box<Option<MemberView>>),
    /// Conversions' accounts.
    Conversions(Reply<ConversionsView>, ConversionsView),
}

/// A decided group.
pub struct Decided {
    /// What the transaction writes.
    pub group: Group,
    /// The tree over it.
    pub extension: Extension,
    /// What is answered once it is committed.
    pub answers: Vec<Answer>,
    /// The group's instant, microseconds.
    pub decided_at: i64,
    /// Signed checkpoint over it; empty when it has no entry.
    pub checkpoint: String,
    /// Members and references that it enrolled, by alias and by merchant and member.
    pub enrolled: Enrolled,
}

/// Members by alias, references by merchant and member.
pub type Enrolled = (HashMap<[u8; 16], u64>, HashMap<(u32, u64), [u8; 16]>);

/// Decides one group.
pub struct Deciding<'a> {
    state: &'a mut State,
    fetched: &'a Fetched,
    signer: &'a Signer,
    decided_at: i64,
    first_seq: u64,
    group: Group,
    extension: Extension,
    answers: Vec<Answer>,
    scratch: Vec<u8>,
    /// What this group enrolled: neither memory nor the store has it yet.
    new_members: HashMap<[u8; 16], u64>,
    new_references: HashMap<(u32, u64), [u8; 16]>,
}

impl<'a> Deciding<'a> {
    /// Begins a group at `decided_at`.
    pub fn new(
        state: &'a mut State,
        fetched: &'a Fetched,
        signer: &'a Signer,
        decided_at: i64,
    ) -> Self {
        state.last_decided_at = decided_at;
        Self {
            decided_at,
            first_seq: state.next_seq,
            group: Group::default(),
            extension: Extension::new(state.frontier.clone()),
            answers: Vec::new(),
            scratch: Vec::new(),
            new_members: HashMap::new(),
            new_references: HashMap::new(),
            state,
            fetched,
            signer,
        }
    }

    /// Decides a job. A refusal of the job is its answer; an error is the hub's own and ends the group.
    pub fn job(&mut self, job: Job) -> Result<(), HubError> {
        match job {
            Job::Batch { batch, reply, .. } => self.batch(batch, reply),
            Job::Facts {
                actor,
                accounts,
                build,
                evidence,
                reply,
            } => self.facts_job(actor, &accounts, build, evidence, reply),
            Job::Commissions {
                actor,
                before,
                decided,
                reply,
            } => self.commissions(actor, before, decided, reply),
            Job::ReadConversions { accounts, reply } => self.read_conversions(&accounts, reply),
            Job::Enrol {
                merchant,
                slug,
                aliases,
                reply,
            } => self.enrol(merchant, slug, &aliases, reply),
            Job::Read(read) => {
                self.answers.push(Answer::Read(read));
                Ok(())
            }
            Job::ReadMember {
                merchant,
                reference,
                reply,
            } => self.read_member(merchant, &reference, reply),
            Job::SetClock { reply, .. } => {
                drop(reply.send(Err(HubError::internal("a clock job in a group"))));
                Ok(())
            }
            Job::CloseCycle { reply, .. } => {
                drop(reply.send(Err(HubError::internal("a closing job in a group"))));
                Ok(())
            }
        }
    }

    /// Ends the group: signs its checkpoint.
    pub fn finish(mut self) -> Result<Decided, HubError> {
        let mut checkpoint = String::new();
        if !self.group.entries.is_empty() {
            checkpoint = self.signer.checkpoint(self.extension.frontier());
            self.group.checkpoint = Some(CheckpointRow {
                tree_size: self.extension.frontier().size(),
                note: checkpoint.clone(),
            });
        }
        Ok(Decided {
            group: self.group,
            extension: self.extension,
            answers: self.answers,
            decided_at: self.decided_at,
            checkpoint,
            enrolled: (self.new_members, self.new_references),
        })
    }

    fn refuse<T: Send + 'static>(&mut self, reply: Reply<T>, refusal: HubError) {
        self.answers.push(Answer::Later(Box::new(move || {
            let _ = reply.send(Err(refusal));
        })));
    }

    fn append(
        &mut self,
        kind: u8,
        merchant: Option<u32>,
        messages: usize,
        envelope: &v1::Envelope,
        outcomes: Bytes,
        effects: Vec<u8>,
    ) -> [u8; 72] {
        let leaf = leaf_data(envelope, self.decided_at, &outcomes);
        let (seq, tree_hashes) = self.extension.append(leaf_hash(&leaf));
        debug_assert_eq!(seq, self.state.next_seq);
        self.group.entries.push(EntryRow {
            seq,
            decided_at: self.decided_at,
            merchant,
            kind,
            messages: u32::try_from(messages).unwrap_or(u32::MAX),
            leaf_data: leaf,
            tree_hashes: tree_hashes.into(),
            outcomes,
            effects: effects.into(),
            envelope: envelope.encode_to_vec().into(),
        });
        self.state.next_seq += 1;
        leaf
    }

    // --- batches ---

    fn batch(&mut self, batch: PreparedBatch, reply: Reply<BatchReply>) -> Result<(), HubError> {
        // Revocation acts from its place in the log, whatever the intake saw.
        let key = self.state.registry.keys.get(&batch.key_id);
        if let Some(Err(refusal)) = key.map(|k| k.check(&batch.key_id, self.decided_at)) {
            self.refuse(reply, refusal);
            return Ok(());
        }
        let seq = self.state.next_seq;
        let mut outcomes = v1::Outcomes {
            outcomes: Vec::with_capacity(batch.messages.len()),
        };
        let mut effects = Vec::with_capacity(batch.messages.len() * 40);
        let mut fresh = false;
        self.state
            .members
            .touch(batch.members.iter().copied().flatten());
        for (index, message) in batch.messages.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let pos = Pos::new(seq, index);
            let in_store = || self.fetched.ids.get(&(batch.merchant, message.id)).copied();
            let ids = &mut self.state.ids;
            let outcome = match ids.claim(batch.merchant, message.id, pos.0, in_store) {
                Some(first) => self.repeated(Pos(first), message, &batch, &outcomes.outcomes)?,
                None => {
                    fresh = true;
                    self.state.decided += 1;
                    self.group.ids.push(IdRow {
                        merchant: batch.merchant,
                        id: message.id,
                        pos: pos.0,
                    });
                    let known = batch.members.get(index as usize).copied().flatten();
                    self.message(batch.merchant, message, known, pos, &mut effects)?
                }
            };
            outcomes.outcomes.push(outcome);
        }
        self.state.messages += batch.messages.len() as u64;
        let bytes = Bytes::from(outcomes.encode_to_vec());
        let leaf = fresh.then(|| {
            let leaf = self.append(
                kind::BATCH,
                Some(batch.merchant),
                batch.messages.len(),
                &batch.envelope,
                bytes.clone(),
                effects,
            );
            (seq, leaf)
        });
        self.answers.push(Answer::Batch {
            reply,
            outcomes: bytes,
            leaf,
        });
        Ok(())
    }

    fn seen(&self, merchant: u32, id: &Id) -> Option<Pos> {
        match self.state.ids.look_up(merchant, id) {
            Known::Seen(pos) => Some(Pos(pos)),
            Known::New => None,
            Known::AskStore => self.fetched.ids.get(&(merchant, *id)).map(|pos| Pos(*pos)),
        }
    }

    /// The outcome of a message whose id was decided at `first`.
    fn repeated(
        &mut self,
        first: Pos,
        message: &Prepared,
        batch: &PreparedBatch,
        outcomes_so_far: &[v1::Outcome],
    ) -> Result<v1::Outcome, HubError> {
        let index = first.index() as usize;
        let same_batch = first.seq() == self.state.next_seq;
        if same_batch {
            let same_bytes = batch.messages[index].bytes == message.bytes;
            return Ok(repeated(first, &outcomes_so_far[index], same_bytes));
        }
        let entry = self.first_entry(first.seq())?;
        let (Some(bytes), Some(outcome)) = (entry.elements.get(index), entry.outcomes.get(index))
        else {
            return Err(HubError::internal(format!(
                "entry {} has no message {index}",
                first.seq()
            )));
        };
        Ok(repeated(first, outcome, *bytes == message.bytes))
    }

    fn first_entry(&self, seq: u64) -> Result<Arc<FirstEntry>, HubError> {
        if seq >= self.first_seq {
            let at = usize::try_from(seq - self.first_seq).unwrap_or(usize::MAX);
            let row = self.group.entries.get(at);
            let row =
                row.ok_or_else(|| HubError::internal(format!("entry {seq} is not in its group")))?;
            return first_entry(row).map(Arc::new);
        }
        let known = self.state.replays.get(seq);
        known.ok_or_else(|| HubError::internal(format!("entry {seq} was not fetched for a replay")))
    }

    fn message(
        &mut self,
        merchant: u32,
        message: &Prepared,
        known: Option<u64>,
        pos: Pos,
        effects: &mut Vec<u8>,
    ) -> Result<v1::Outcome, HubError> {
        let member = || {
            known
                // This group may have enrolled it a moment ago.
                .or_else(|| self.state.references.get(merchant, &message.reference))
                .or_else(|| {
                    // The cache may have dropped what this group fetched.
                    self.fetched
                        .references
                        .get(&(merchant, message.reference))
                        .copied()
                })
        };
        let number = account(merchant, message, pos, member, |of, id| self.seen(of, id));
        let resolved = resolve(merchant, message, number, |of, id| self.seen(of, id));
        if let Some(conversion) = number.filter(|_| message.claim.is_some()) {
            self.state.members.admit(Packed::unknown(conversion));
        }
        let context = Context {
            decided_at: Instant(self.decided_at),
            pos,
        };
        let decision = match number {
            Some(number) => self
                .state
                .decide(number, &context, &resolved, &mut self.scratch)?,
            None => decide(&self.state.global, &Member::default(), &context, &resolved),
        };
        for effect in &decision.effects {
            apply_global(&mut self.state.global, effect, pos);
        }
        self.note_parties(number, &decision.effects);
        for (of, id) in used_up(merchant, message, &resolved, &decision.outcome) {
            self.state.ids.claim(of, id, pos.0, || None);
            self.group.ids.push(IdRow {
                merchant: of,
                id,
                pos: pos.0,
            });
        }
        let record = Recorded {
            index: pos.index(),
            member: MemberId(number.unwrap_or(0)),
            effects: decision.effects,
        };
        append_effects(&record, effects);
        Ok(convert::outcome(&decision.outcome))
    }

    // --- facts ---

    fn facts_job(
        &mut self,
        actor: String,
        accounts: &[u64],
        build: super::BuildFacts,
        evidence: Vec<EvidenceRow>,
        reply: Reply<Option<u64>>,
    ) -> Result<(), HubError> {
        let accounts = accounts.iter().map(|number| self.state.member(*number));
        let accounts: Vec<Member> = accounts.collect::<Result<_, _>>()?;
        let view = View {
            global: &self.state.global,
            registry: &self.state.registry,
            size: self.state.next_seq,
            covered: self.state.covered(),
            now: self.decided_at,
            messages: self.state.messages,
            decided: self.state.decided,
            members_in_memory: self.state.members.len(),
            duplicate_key_restarts: 0,
            epoch: self.state.epoch,
        };
        let facts = match build(&view, &accounts) {
            Ok(facts) => facts,
            Err(refusal) => {
                self.refuse(reply, refusal);
                return Ok(());
            }
        };
        if facts.is_empty() {
            self.answers.push(Answer::Facts(reply, None));
            return Ok(());
        }
        let tried = match self.tried(self.state.global.clone(), &facts, &actor) {
            Ok(tried) => tried,
            Err(refusal) => {
                self.refuse(reply, refusal);
                return Ok(());
            }
        };
        self.adopt(tried);
        self.group.evidence.extend(evidence);
        let leaf = self.write_facts(facts, actor, Vec::new());
        self.answers.push(Answer::Facts(reply, Some(leaf)));
        Ok(())
    }

    /// The state with these facts, from `global` on and on copies: facts of one entry stand or fall together.
    fn tried(
        &self,
        mut global: Global,
        facts: &[v1::Fact],
        actor: &str,
    ) -> Result<(Global, Registry), HubError> {
        let mut registry = self.state.registry.clone();
        let place = Place {
            seq: self.state.next_seq,
            decided_at: self.decided_at,
            actor,
        };
        for fact in facts {
            facts::apply(&mut global, &mut registry, fact, &place)?;
        }
        Ok((global, registry))
    }

    /// Takes over a state that was tried.
    fn adopt(&mut self, (global, registry): (Global, Registry)) {
        self.state.global = global;
        self.state.registry = registry;
        self.state.registry_changed = true;
    }

    fn write_facts(&mut self, facts: Vec<v1::Fact>, actor: String, effects: Vec<u8>) -> u64 {
        let seq = self.state.next_seq;
        let envelope = self.signer.facts(&v1::Facts { facts, actor });
        self.append(kind::FACTS, None, 0, &envelope, Bytes::new(), effects);
        seq
    }

    /// Appends a fact of the hub's own.
    pub fn hub_fact(&mut self, fact: v1::fact::Fact) -> Result<(), HubError> {
        self.hub_fact_for(fact, "hub".into())
    }

    /// Appends a fact that `actor` asked the hub for. A refusal changes nothing.
    pub fn hub_fact_for(&mut self, fact: v1::fact::Fact, actor: String) -> Result<(), HubError> {
        let fact = v1::Fact { fact: Some(fact) };
        let place = Place {
            seq: self.state.next_seq,
            decided_at: self.decided_at,
            actor: &actor,
        };
        let (global, registry) = (&mut self.state.global, &mut self.state.registry);
        facts::apply(global, registry, &fact, &place)?;
        self.state.registry_changed = true;
        self.write_facts(vec![fact], actor, Vec::new());
        Ok(())
    }

    /// Appends the due work of some members up to `until`.
    pub fn advance(&mut self, until: i64, members: &[u64]) -> Result<(), HubError> {
        let seq = self.state.next_seq;
        let mut effects = Vec::new();
        let mut numbers = Vec::with_capacity(members.len());
        for &number in members {
            let pos = Pos::new(seq, u32::try_from(numbers.len()).unwrap_or(u32::MAX));
            let mut member = self.state.member(number)?;
            let done = due_mut(&self.state.global, &mut member, Instant(until), pos);
            if done.is_empty() {
                continue;
            }
            for effect in &done {
                apply_global(&mut self.state.global, effect, pos);
            }
            self.state.put(number, seq, &member, &mut self.scratch)?;
            append_effects(
                &Recorded {
                    index: pos.index(),
                    member: MemberId(number),
                    effects: done,
                },
                &mut effects,
            );
            numbers.push(number);
        }
        if numbers.is_empty() {
            return Ok(());
        }
        let advance = v1::AdvanceTo {
            until: Some(timestamp(until)),
            member_numbers: numbers,
        };
        let fact = v1::Fact {
            fact: Some(v1::fact::Fact::AdvanceTo(advance)),
        };
        self.write_facts(vec![fact], "hub".into(), effects);
        Ok(())
    }
}

/// A stored entry as replays are compared with it.
pub fn first_entry(row: &EntryRow) -> Result<FirstEntry, HubError> {
    let envelope = v1::Envelope::decode(row.envelope.clone()).map_err(HubError::internal)?;
    let outcomes = v1::Outcomes::decode(row.outcomes.clone()).map_err(HubError::internal)?;
    Ok(FirstEntry {
        elements: crate::intake::elements(&envelope.payload)?,
        outcomes: outcomes.outcomes,
    })
}
