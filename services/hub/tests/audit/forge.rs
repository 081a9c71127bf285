//! A log without a hub: facts and signed batches decided by the fold as the sequencer does it, entry by entry in memory; and the
//! auditor over it. Thousands of entries a second, so that histories can be drawn at random.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    sync::Arc,
};

use bytes::Bytes;
use hansa_auditor::{
    Auditor, Bounds, Certificate, Entry, Finding, ReferenceKey, Source, SourceError, Stop,
};
use hansa_client::{dsse, keys::SigningKey, leaf::leaf_data, time::timestamp, touch_id::TouchId};
use hansa_hub::{
    audit::fold,
    commissions, convert, facts, intake,
    registry::Registry,
    sequencer::resolve::{account, repeated, resolve, used_up},
    signer::Signer,
};
use hansa_proto::{BATCH_PAYLOAD_TYPE, v1};
use hansa_settlement::{
    Context, CycleState, Effect, Global, Instant, Member, MemberId, OutcomeCode, PackedMember, Pos,
    Recorded, append_effects, apply_global, decide_commission_fact, decide_packed, due_mut,
};
use prost::Message as _;
use ring::digest::{SHA256, digest};

/// The first decision of an id.
struct First {
    pos: Pos,
    bytes: Bytes,
    outcome: v1::Outcome,
}

/// The hub's key: the example of RFC 8410.
const HUB: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

/// A log that grows.
pub(crate) struct Forge {
    signer: Signer,
    /// The signer's, for touches.
    hub: SigningKey,
    keys: BTreeMap<String, Arc<SigningKey>>,
    pub(crate) global: Global,
    pub(crate) registry: Registry,
    members: BTreeMap<u64, PackedMember>,
    scratch: Vec<u8>,
    references: HashMap<ReferenceKey, u64>,
    ids: HashMap<(u32, [u8; 16]), First>,
    /// Ids that conversions used up, by namespace.
    used: HashMap<(u32, [u8; 16]), Pos>,
    pub(crate) entries: Vec<Entry>,
    /// What each entry records for a restart.
    pub(crate) effects: Vec<Vec<u8>>,
    /// Microseconds.
    pub(crate) now: i64,
}

impl Forge {
    pub(crate) fn new(now: i64) -> Self {
        let hub = || SigningKey::from_pem(HUB).unwrap();
        let signer = Signer::new(hub(), "forge.example/log").unwrap();
        let person = |id: &str| v1::Key {
            key_id: id.into(),
            public_key: SigningKey::generate()
                .unwrap()
                .verifying_key()
                .as_bytes()
                .to_vec(),
            ..v1::Key::default()
        };
        let genesis = v1::Genesis {
            origin: "forge.example/log".into(),
            rules_version: 1,
            hub_public_key: signer.public_key().to_vec(),
            operator_keys: vec![person("test"), person("checker")],
            test_clock: true,
        };
        let mut forge = Self {
            signer,
            hub: hub(),
            keys: BTreeMap::new(),
            global: facts::blank(),
            registry: Registry::default(),
            members: BTreeMap::new(),
            scratch: Vec::new(),
            references: HashMap::new(),
            ids: HashMap::new(),
            used: HashMap::new(),
            entries: Vec::new(),
            effects: Vec::new(),
            now,
        };
        forge
            .fact_of(v1::fact::Fact::Genesis(genesis), "hub")
            .unwrap();
        forge
    }

    fn seq(&self) -> u64 {
        self.entries.len() as u64
    }

    fn append(&mut self, envelope: v1::Envelope, outcomes: Bytes, effects: Vec<u8>) {
        self.effects.push(effects);
        self.entries.push(Entry {
            leaf: self.seq(),
            decided_at: self.now,
            leaf_data: leaf_data(&envelope, self.now, &outcomes).to_vec(),
            envelope,
            outcomes,
        });
    }

    fn write(&mut self, fact: v1::Fact, actor: &str, effects: Vec<u8>) {
        self.write_all(vec![fact], actor, effects);
    }

    /// Facts that nobody checked: what a hub that is wrong, or another one with its key, may write.
    pub(crate) fn write_unchecked(&mut self, facts: Vec<v1::fact::Fact>, actor: &str) {
        let facts = facts.into_iter().map(|fact| v1::Fact { fact: Some(fact) });
        self.write_all(facts.collect(), actor, Vec::new());
    }

    fn write_all(&mut self, facts: Vec<v1::Fact>, actor: &str, effects: Vec<u8>) {
        let written = v1::Facts {
            facts,
            actor: actor.into(),
        };
        let envelope = self.signer.facts(&written);
        self.append(envelope, Bytes::new(), effects);
    }

    /// A fact, refused or appended.
    pub(crate) fn fact(&mut self, fact: v1::fact::Fact) -> Result<(), String> {
        self.fact_of(fact, "operator:test")
    }

    /// The same for somebody else than the operator.
    pub(crate) fn fact_of(&mut self, fact: v1::fact::Fact, actor: &str) -> Result<(), String> {
        let fact = v1::Fact { fact: Some(fact) };
        // A refused fact may have been applied by half: the hub tries it on the side, too.
        let (mut global, mut registry) = (self.global.clone(), self.registry.clone());
        let place = facts::Place {
            seq: self.seq(),
            decided_at: self.now,
            actor,
        };
        facts::apply(&mut global, &mut registry, &fact, &place)
            .map_err(|refusal| format!("{refusal:?}"))?;
        (self.global, self.registry) = (global, registry);
        self.write(fact, actor, Vec::new());
        Ok(())
    }

    /// A merchant pays for its open points, by two people.
    pub(crate) fn prefund(&mut self, slug: &str) -> Result<(), String> {
        let proposal_number = self.global.finance().next_proposal().0.into();
        let prefund = v1::PrefundPoints {
            merchant_id: slug.into(),
        };
        self.fact(v1::fact::Fact::ProposalMade(v1::ProposalMade {
            proposal_number,
            action: Some(v1::Action {
                action: Some(v1::action::Action::PrefundPoints(prefund)),
            }),
            reason: "it leaves".into(),
            holder: "test".into(),
        }))?;
        let decided = v1::ProposalDecided {
            proposal_number,
            approved: true,
            reason: "checked".into(),
            holder: "checker".into(),
        };
        let decided = v1::fact::Fact::ProposalDecided(decided);
        self.fact_of(decided, "operator:checker")
    }

    /// A merchant, new or changed. A new one gets a key.
    pub(crate) fn merchant(&mut self, merchant: v1::Merchant) -> Result<(), String> {
        let slug = merchant.merchant_id.clone();
        self.fact(v1::fact::Fact::Merchant(merchant))?;
        if let btree_map::Entry::Vacant(vacant) = self.keys.entry(slug.clone()) {
            let key = SigningKey::generate().unwrap();
            let registered = v1::Key {
                key_id: key.key_id().into(),
                public_key: key.verifying_key().as_bytes().to_vec(),
                merchant_id: slug,
                ..v1::Key::default()
            };
            vacant.insert(Arc::new(key));
            self.fact(v1::fact::Fact::KeyRegistered(registered))?;
        }
        Ok(())
    }

    /// Enrols members at all merchants: the reference is made of both numbers.
    pub(crate) fn enrol(&mut self, slugs: &[&str], members: u64) {
        for (at, slug) in slugs.iter().enumerate() {
            let merchant = self.registry.merchant(slug).unwrap();
            let enrolments = (1..=members).map(|number| {
                self.references
                    .insert((merchant, reference(merchant, number)), number);
                v1::members_enrolled::Enrolment {
                    member_reference: reference(merchant, number).to_vec(),
                    member_number: number,
                    alias_hash: if at == 0 {
                        vec![number as u8; 16]
                    } else {
                        Vec::new()
                    },
                }
            });
            let enrolled = v1::MembersEnrolled {
                merchant_id: (*slug).into(),
                enrolments: enrolments.collect(),
            };
            let actor = format!("merchant:{slug}");
            self.fact_of(v1::fact::Fact::MembersEnrolled(enrolled), &actor)
                .unwrap();
        }
        for number in 1..=members {
            self.members.insert(number, PackedMember::new(Vec::new()));
        }
    }

    /// Moves the clock, and cuts every cycle that ends on the way.
    pub(crate) fn wait_until(&mut self, now: i64) {
        self.now = self.now.max(now);
        while let Some(Instant(close)) = self.global.next_close().filter(|at| at.0 <= self.now) {
            self.cut_at(close, "hub").unwrap();
        }
    }

    fn cut_at(&mut self, at: i64, actor: &str) -> Result<(), String> {
        let cut = v1::CycleCut {
            cycle_number: convert::cycle_number(self.global.open_cycle().no),
            closes_at: Some(timestamp(at)),
        };
        self.fact_of(v1::fact::Fact::CycleCut(cut), actor)
    }

    /// Cuts the open cycle by hand.
    pub(crate) fn cut(&mut self) -> Result<(), String> {
        self.cut_at(self.now, "operator:test")
    }

    /// Does what is due, of all members or of some, and closes what can be closed.
    pub(crate) fn sweep(&mut self, some: Option<u64>) {
        let (mut numbers, mut effects) = (Vec::new(), Vec::new());
        for (number, packed) in &mut self.members {
            let seq = self.entries.len() as u64;
            let pos = Pos::new(seq, numbers.len() as u32);
            if some.is_some_and(|some| number % 2 != some % 2) {
                continue;
            }
            let mut member = packed.decode().unwrap();
            let done = due_mut(&self.global, &mut member, Instant(self.now), pos);
            if done.is_empty() {
                continue;
            }
            packed.replace(&member, &mut self.scratch);
            for effect in &done {
                apply_global(&mut self.global, effect, pos);
            }
            numbers.push(*number);
            record(&mut effects, pos, *number, done);
        }
        if !numbers.is_empty() {
            let advance = v1::AdvanceTo {
                until: Some(timestamp(self.now)),
                member_numbers: numbers,
            };
            let fact = v1::fact::Fact::AdvanceTo(advance);
            self.write(v1::Fact { fact: Some(fact) }, "hub", effects);
        }
        while let Some(cycle) = self.global.closable_cycle() {
            self.global.check_invariants().unwrap();
            let totals = self.global.cycle(cycle).unwrap();
            let closed = v1::CycleClosed {
                cycle_number: convert::cycle_number(cycle),
                digest: digest(&SHA256, &totals.canonical_bytes()).as_ref().to_vec(),
            };
            self.fact_of(v1::fact::Fact::CycleClosed(closed), "hub")
                .unwrap();
        }
    }

    /// Signs and decides a batch; nothing is appended when all of it was decided before.
    pub(crate) fn batch(&mut self, slug: &str, messages: &[v1::Message]) -> Vec<v1::Outcome> {
        let merchant = self.registry.merchant(slug).unwrap();
        let batch = v1::Batch {
            messages: messages.iter().map(|m| m.encode_to_vec().into()).collect(),
        };
        let payload = Bytes::from(batch.encode_to_vec());
        let envelope = dsse::sign(BATCH_PAYLOAD_TYPE, payload.clone(), &self.keys[slug]);
        let prepared = intake::decode(&payload, merchant, &self.registry).unwrap();
        let (seq, before) = (self.seq(), self.ids.len());
        let (mut outcomes, mut effects) = (Vec::new(), Vec::new());
        for (index, message) in (0..).zip(&prepared) {
            let pos = Pos::new(seq, index);
            if let Some(first) = self.ids.get(&(merchant, message.id)) {
                let same = first.bytes == message.bytes;
                outcomes.push(repeated(first.pos, &first.outcome, same));
                continue;
            }
            let used = |of: u32, id: &[u8; 16]| {
                let key = (of, *id);
                let own = || self.ids.get(&key).map(|first| first.pos);
                self.used.get(&key).copied().or_else(own)
            };
            let member = || self.references.get(&(merchant, message.reference)).copied();
            let number = account(merchant, message, pos, member, used);
            let resolved = resolve(merchant, message, number, used);
            let known = number.and_then(|number| self.members.remove(&number));
            let is_known = known.is_some();
            let mut member = known.unwrap_or_default();
            let context = Context {
                decided_at: Instant(self.now),
                pos,
            };
            let (global, scratch) = (&self.global, &mut self.scratch);
            let decision =
                decide_packed(global, &mut member, &context, &resolved, scratch).unwrap();
            for effect in &decision.effects {
                apply_global(&mut self.global, effect, pos);
            }
            let opened = decision.outcome.code == OutcomeCode::Accepted;
            if let Some(number) = number.filter(|_| is_known || opened) {
                self.members.insert(number, member);
            }
            for key in used_up(merchant, message, &resolved, &decision.outcome) {
                assert_eq!(self.used.insert(key, pos), None, "used twice");
            }
            record(&mut effects, pos, number.unwrap_or(0), decision.effects);
            let outcome = convert::outcome(&decision.outcome);
            let first = First {
                pos,
                bytes: message.bytes.clone(),
                outcome,
            };
            self.ids.insert((merchant, message.id), first);
            outcomes.push(outcome);
        }
        if self.ids.len() > before {
            let recorded = v1::Outcomes {
                outcomes: outcomes.clone(),
            };
            self.append(envelope, recorded.encode_to_vec().into(), effects);
        }
        outcomes
    }

    /// A touch as a merchant gets it.
    pub(crate) fn click_id(&self, touch: &TouchId) -> String {
        touch.sign(&self.hub).encode()
    }

    /// Where a message was decided.
    pub(crate) fn place(&self, slug: &str, id: &[u8]) -> Option<Pos> {
        let key = (self.registry.merchant(slug)?, id.try_into().ok()?);
        self.ids.get(&key).map(|first| first.pos)
    }

    /// Whether a conversion was accepted at a place.
    pub(crate) fn is_conversion(&self, place: Pos) -> bool {
        self.members.contains_key(&MemberId::of_conversion(place).0)
    }

    /// Decides about conversions: refused or appended, all of it.
    pub(crate) fn review(&mut self, decisions: Vec<v1::CommissionDecision>) -> Result<(), String> {
        let decided = v1::CommissionsDecided {
            decisions,
            note: "reviewed".into(),
        };
        let facts = commissions::read(&decided).map_err(|refusal| format!("{refusal:?}"))?;
        let mut global = self.global.clone();
        let mut changed: BTreeMap<u64, Member> = BTreeMap::new();
        let mut effects = Vec::new();
        for (index, (conversion, fact)) in (0..).zip(facts) {
            let context = Context {
                decided_at: Instant(self.now),
                pos: Pos::new(self.seq(), index),
            };
            let stored = self.members.get(&conversion.0);
            let stored = || stored.map_or_else(Member::default, |packed| packed.decode().unwrap());
            let mut member = changed.remove(&conversion.0).unwrap_or_else(stored);
            let made = decide_commission_fact(&global, &mut member, &context, &fact);
            let made = made.map_err(|refusal| refusal.to_string())?;
            for effect in &made {
                apply_global(&mut global, effect, context.pos);
            }
            changed.insert(conversion.0, member);
            record(&mut effects, context.pos, conversion.0, made);
        }
        self.global = global;
        for (number, member) in changed {
            let packed = self.members.get_mut(&number).unwrap();
            packed.replace(&member, &mut self.scratch);
        }
        let fact = Some(v1::fact::Fact::CommissionsDecided(decided));
        self.write(v1::Fact { fact }, "operator:test", effects);
        Ok(())
    }

    /// What the fold says of a closed cycle.
    pub(crate) fn totals(&self, number: u32) -> hansa_auditor::CycleTotals {
        let cycle = self.global.cycle(convert::cycle_no(number)).unwrap();
        assert_ne!(cycle.state, CycleState::Open);
        fold::totals(cycle, &self.registry)
    }
}

fn record(bytes: &mut Vec<u8>, pos: Pos, member: u64, effects: Vec<Effect>) {
    let record = Recorded {
        index: pos.index(),
        member: MemberId(member),
        effects,
    };
    append_effects(&record, bytes);
}

/// A merchant's reference of a member.
pub(crate) fn reference(merchant: u32, member: u64) -> [u8; 16] {
    let mut reference = [7; 16];
    reference[..4].copy_from_slice(&merchant.to_be_bytes());
    reference[4..12].copy_from_slice(&member.to_be_bytes());
    reference
}

/// What was saved, and the log.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) members: HashMap<u64, Vec<u8>>,
    references: HashMap<ReferenceKey, u64>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) asked: usize,
    /// Earlier entries that were read.
    pub(crate) read: usize,
}

impl Source for Shelf {
    fn members(&mut self, numbers: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, SourceError> {
        self.asked += numbers.len();
        let found = numbers.iter().filter_map(|number| {
            let bytes = self.members.get(number)?;
            Some((*number, bytes.clone()))
        });
        Ok(found.collect())
    }

    fn references(
        &mut self,
        keys: &[ReferenceKey],
    ) -> Result<Vec<(ReferenceKey, u64)>, SourceError> {
        let found = keys
            .iter()
            .filter_map(|key| Some((*key, *self.references.get(key)?)));
        Ok(found.collect())
    }

    fn entry(&mut self, leaf: u64) -> Result<Option<Entry>, SourceError> {
        self.read += 1;
        Ok(self.entries.get(leaf as usize).cloned())
    }
}

impl Shelf {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        Self {
            entries: entries.to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn keep(&mut self, save: hansa_auditor::Save) -> Vec<u8> {
        self.members.extend(save.members);
        self.references.extend(save.references);
        save.state
    }
}

/// Audits a log; every `every` entries what changed is saved, and the auditor begins again from it.
pub(crate) fn audit(
    entries: &[Entry],
    every: usize,
) -> Result<(Auditor, Vec<Certificate>), Finding> {
    let mut shelf = Shelf::of(entries);
    let bounds = Bounds {
        members: 4,
        ids: 100,
    };
    let mut auditor = Auditor::new(bounds);
    let mut certificates = Vec::new();
    for entry in entries {
        match auditor.audit(entry, &mut shelf) {
            Ok(certificate) => certificates.extend(certificate),
            Err(Stop::Finding(finding)) => return Err(*finding),
            Err(other) => panic!("{other}"),
        }
        if auditor.size().is_multiple_of(every as u64) {
            let state = shelf.keep(auditor.save());
            auditor = Auditor::resume(&state, bounds).unwrap();
        }
    }
    Ok((auditor, certificates))
}
