//! What the log says about identities: who may sign, and the alliance's terms in the form in which they were
//! applied. A fold over hub facts, like the ledger; the ledger itself needs none of it.
//!
//! Owns: keys with validity and revocation, merchants' slugs, the last applied form of programme, merchants and
//! promotions. May not: decide anything that moves points.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use hansa_proto::v1;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{
    convert::{micros, timestamp},
    error::{HubError, Reason},
};

/// Who holds a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// The hub itself.
    Hub,
    /// A person of the alliance's operator.
    Operator,
    /// A merchant, by slug.
    Merchant(String),
}

/// A registered key. Instants in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Holder.
    pub owner: Owner,
    /// Ed25519 public key.
    pub public_key: [u8; 32],
    /// First instant of validity.
    pub valid_from: i64,
    /// First instant behind the validity.
    pub valid_until: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// The person who holds an operator's key; empty: the key's id stands for the person.
    pub holder: String,
    /// What the holder of an operator's key may do, as on the wire; empty: everything.
    pub operator_roles: Vec<i32>,
}

impl KeyRecord {
    /// Who holds an operator's key: a name, or the key's id where it has none.
    pub fn person<'a>(&'a self, key_id: &'a str) -> &'a str {
        if self.holder.is_empty() {
            key_id
        } else {
            &self.holder
        }
    }

    /// Whether an operator's key has a role; one without roles has all that change something.
    pub fn grants(&self, role: v1::OperatorRole) -> bool {
        self.operator_roles.is_empty() || self.operator_roles.contains(&role.into())
    }

    /// Whether what it signs at `at` counts.
    pub fn check(&self, key_id: &str, at: i64) -> Result<(), HubError> {
        if self.revoked_at.is_some() {
            let message =
                format!("key {key_id} was revoked; sign with another key, or register one");
            return Err(HubError::new(Reason::KeyRevoked, message));
        }
        if at < self.valid_from || self.valid_until.is_some_and(|end| at >= end) {
            let message = format!("key {key_id} is outside its validity; register a new key");
            return Err(HubError::new(Reason::KeyExpired, message));
        }
        Ok(())
    }
}

/// The fold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Name of the log.
    pub origin: String,
    /// Version of the rules in force.
    pub rules_version: u32,
    /// The log runs on a test clock.
    pub test_clock: bool,
    /// Keys by id.
    pub keys: BTreeMap<String, KeyRecord>,
    /// Merchants' slugs in order of onboarding; the position is the ledger's index.
    pub slugs: Vec<String>,
    /// Index by slug.
    pub by_slug: BTreeMap<String, u32>,
    programme: Vec<u8>,
    merchants: BTreeMap<String, Vec<u8>>,
    promotions: BTreeMap<String, Vec<u8>>,
}

impl Registry {
    /// Takes a fact in. `decided_at` in microseconds.
    pub fn apply(&mut self, fact: &v1::Fact, decided_at: i64) {
        use v1::fact::Fact as F;
        match &fact.fact {
            Some(F::Genesis(g)) => {
                self.origin.clone_from(&g.origin);
                self.rules_version = g.rules_version;
                self.test_clock = g.test_clock;
                self.insert_key(
                    hub_key_id(&g.hub_public_key),
                    Owner::Hub,
                    &g.hub_public_key,
                    i64::MIN,
                    None,
                );
                for key in &g.operator_keys {
                    let from = key.valid_from.as_ref().map_or(i64::MIN, micros);
                    let until = key.valid_until.as_ref().map(micros);
                    self.insert_key(
                        key.key_id.clone(),
                        Owner::Operator,
                        &key.public_key,
                        from,
                        until,
                    );
                    self.describe_key(key);
                }
            }
            Some(F::LogReopened(reopened)) => self.origin.clone_from(&reopened.origin),
            Some(F::Programme(p)) => self.programme = p.encode_to_vec(),
            Some(F::Merchant(m)) => {
                if !self.by_slug.contains_key(&m.merchant_id) {
                    let at = u32::try_from(self.slugs.len()).unwrap_or(u32::MAX);
                    self.by_slug.insert(m.merchant_id.clone(), at);
                    self.slugs.push(m.merchant_id.clone());
                }
                self.merchants
                    .insert(m.merchant_id.clone(), m.encode_to_vec());
            }
            Some(F::Promotion(p)) => {
                self.promotions
                    .insert(p.promotion_id.clone(), p.encode_to_vec());
            }
            Some(F::KeyRegistered(key)) => {
                let owner = if key.merchant_id.is_empty() {
                    Owner::Operator
                } else {
                    Owner::Merchant(key.merchant_id.clone())
                };
                let from = key.valid_from.as_ref().map_or(decided_at, micros);
                let until = key.valid_until.as_ref().map(micros);
                self.insert_key(key.key_id.clone(), owner, &key.public_key, from, until);
                self.describe_key(key);
            }
            Some(F::KeyRevoked(revoked)) => {
                if let Some(key) = self.keys.get_mut(&revoked.key_id) {
                    key.revoked_at.get_or_insert(decided_at);
                }
            }
            // The ledger's own.
            Some(
                F::MembersEnrolled(_)
                | F::AdvanceTo(_)
                | F::CycleCut(_)
                | F::CycleClosed(_)
                | F::CycleAudited(_)
                | F::CommissionsDecided(_)
                | F::FraudRun(_)
                | F::FraudDecided(_)
                | F::ProposalMade(_)
                | F::ProposalDecided(_)
                | F::PaymentsSubmitted(_)
                | F::BankReportImported(_)
                | F::ExceptionExplained(_)
                | F::DisputeRaised(_)
                | F::DisputeAnswered(_)
                | F::DisputeEscalated(_)
                | F::DisputeRuled(_)
                | F::QueryRaised(_)
                | F::QueryAnswered(_)
                | F::QueryEscalated(_)
                | F::QueryRuled(_),
            )
            | None => {}
        }
    }

    fn insert_key(
        &mut self,
        id: String,
        owner: Owner,
        public_key: &[u8],
        from: i64,
        until: Option<i64>,
    ) {
        let Ok(public_key) = <[u8; 32]>::try_from(public_key) else {
            return;
        };
        let record = KeyRecord {
            owner,
            public_key,
            valid_from: from,
            valid_until: until,
            revoked_at: None,
            holder: String::new(),
            operator_roles: Vec::new(),
        };
        self.keys.insert(id, record);
    }

    fn describe_key(&mut self, key: &v1::Key) {
        if let Some(record) = self.keys.get_mut(&key.key_id) {
            record.holder.clone_from(&key.holder);
            record.operator_roles.clone_from(&key.operator_roles);
        }
    }

    /// A merchant's index in the ledger.
    pub fn merchant(&self, slug: &str) -> Option<u32> {
        self.by_slug.get(slug).copied()
    }

    /// A merchant's slug.
    pub fn slug(&self, index: u32) -> &str {
        self.slugs.get(index as usize).map_or("?", String::as_str)
    }

    /// The programme as applied.
    pub fn programme(&self) -> Option<v1::Programme> {
        (!self.programme.is_empty())
            .then(|| v1::Programme::decode(self.programme.as_slice()).unwrap_or_default())
    }

    /// A merchant as applied.
    pub fn merchant_terms(&self, slug: &str) -> Option<v1::Merchant> {
        self.merchants
            .get(slug)
            .and_then(|bytes| v1::Merchant::decode(bytes.as_slice()).ok())
    }

    /// A promotion as applied.
    pub fn promotion(&self, id: &str) -> Option<v1::Promotion> {
        self.promotions
            .get(id)
            .and_then(|bytes| v1::Promotion::decode(bytes.as_slice()).ok())
    }

    /// All as applied.
    pub fn alliance(&self) -> v1::Alliance {
        v1::Alliance {
            programme: self.programme(),
            merchants: self
                .merchants
                .keys()
                .filter_map(|slug| self.merchant_terms(slug))
                .collect(),
            promotions: self
                .promotions
                .keys()
                .filter_map(|id| self.promotion(id))
                .collect(),
        }
    }

    /// A key as the wire shows it.
    pub fn key(&self, id: &str) -> Option<v1::Key> {
        let record = self.keys.get(id)?;
        Some(v1::Key {
            key_id: id.to_owned(),
            public_key: record.public_key.to_vec(),
            valid_from: (record.valid_from != i64::MIN).then(|| timestamp(record.valid_from)),
            valid_until: record.valid_until.map(timestamp),
            revoked_at: record.revoked_at.map(timestamp),
            merchant_id: match &record.owner {
                Owner::Merchant(slug) => slug.clone(),
                Owner::Hub | Owner::Operator => String::new(),
            },
            holder: record.holder.clone(),
            operator_roles: record.operator_roles.clone(),
        })
    }
}

/// Who holds an operator's key that is to be registered.
pub fn person(key: &v1::Key) -> &str {
    if key.holder.is_empty() {
        &key.key_id
    } else {
        &key.holder
    }
}

/// Identifier of the hub's own key.
pub fn hub_key_id(public_key: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, public_key);
    digest.as_ref()[..8]
        .iter()
        .fold(String::from("hub-"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The registry as of the last commit, for tasks beside the sequencer: cheap to read, replaced whole.
#[derive(Debug, Clone, Default)]
pub struct SharedRegistry(Arc<RwLock<Arc<Registry>>>);

impl SharedRegistry {
    /// As of the last commit.
    pub fn get(&self) -> Arc<Registry> {
        Arc::clone(
            &self
                .0
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Replaces it.
    pub fn set(&self, registry: Registry) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(registry);
    }
}
