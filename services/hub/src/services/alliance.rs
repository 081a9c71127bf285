//! `AllianceService`: programme, merchants, contracts, promotions and keys, declaratively.

use std::sync::{Arc, Mutex, PoisonError};

use hansa_client::keys::{VerifyingKey, is_key_id};
use hansa_proto::v1::{
    self, OperatorRole, alliance_service_server::AllianceService, fact::Fact as F,
};
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{
    auth::Caller,
    convert::{micros, timestamp},
    diff,
    error::{HubError, Reason},
    facts,
    registry::{KeyRecord, Owner, Registry},
    sequencer::View,
};

/// What a validation makes of the facts that it does not append.
type Changes = Arc<Mutex<Vec<String>>>;

fn fact(fact: F) -> v1::Fact {
    v1::Fact { fact: Some(fact) }
}

/// Tries facts on a copy of the state, so that a validation refuses what the append would refuse.
pub(super) fn check(view: &View<'_>, facts: &[v1::Fact], actor: &str) -> Result<(), HubError> {
    let (mut global, mut registry) = (view.global.clone(), view.registry.clone());
    let place = facts::Place {
        seq: view.size,
        decided_at: view.now,
        actor,
    };
    for fact in facts {
        facts::apply(&mut global, &mut registry, fact, &place)?;
    }
    Ok(())
}

#[tonic::async_trait]
impl AllianceService for Api {
    async fn apply_alliance(
        &self,
        request: Request<v1::ApplyAllianceRequest>,
    ) -> Answer<v1::ApplyAllianceResponse> {
        let caller = self.caller(&request)?;
        caller.administrator()?;
        let request = request.into_inner();
        let Some(desired) = request.desired else {
            return Err(
                HubError::field("desired", "REQUIRED", "say what the alliance shall be").into(),
            );
        };
        let validate_only = request.validate_only;
        let changes = Changes::default();
        let told = Arc::clone(&changes);
        let actor = caller.actor();
        let leaf_index = self
            .0
            .sequencer
            .facts(caller.actor(), move |view| {
                let (facts, changes) = diff::plan(view.registry, &desired)?;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = changes;
                if validate_only {
                    check(view, &facts, &actor)?;
                    return Ok(Vec::new());
                }
                Ok(facts)
            })
            .await?;
        let changes = std::mem::take(&mut *changes.lock().unwrap_or_else(PoisonError::into_inner));
        ok(v1::ApplyAllianceResponse {
            changes,
            leaf_index,
        })
    }

    async fn get_alliance(
        &self,
        request: Request<v1::GetAllianceRequest>,
    ) -> Answer<v1::GetAllianceResponse> {
        let caller = self.caller(&request)?;
        let registry = self.0.registry.get();
        let mut alliance = registry.alliance();
        if let Caller::Merchant { slug, .. } = &caller {
            alliance.merchants.retain(|m| m.merchant_id == *slug);
            alliance.promotions.retain(|p| {
                p.merchant_ids
                    .iter()
                    .chain(p.shares.iter().map(|s| &s.merchant_id))
                    .any(|m| m == slug)
            });
        }
        ok(v1::GetAllianceResponse {
            alliance: Some(alliance),
        })
    }

    async fn register_key(
        &self,
        request: Request<v1::RegisterKeyRequest>,
    ) -> Answer<v1::RegisterKeyResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let Some(mut key) = request.key else {
            return Err(HubError::field("key", "REQUIRED", "send the public key").into());
        };
        if let Caller::Merchant { slug, .. } = &caller {
            if key.merchant_id.is_empty() {
                key.merchant_id.clone_from(slug);
            } else if key.merchant_id != *slug {
                let message = "a merchant registers keys of its own only";
                return Err(HubError::new(Reason::PermissionDenied, message).into());
            }
        }
        check_key(&key)?;
        let key_id = key.key_id.clone();
        let validate_only = request.validate_only;
        let actor = caller.actor();
        self.0
            .sequencer
            .facts(caller.actor(), move |view| {
                let facts = register(view.registry, key, view.now)?;
                if validate_only {
                    check(view, &facts, &actor)?;
                    return Ok(Vec::new());
                }
                Ok(facts)
            })
            .await?;
        ok(v1::RegisterKeyResponse {
            key: self.0.registry.get().key(&key_id),
        })
    }

    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Answer<v1::RevokeKeyResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let key_id = request.key_id.clone();
        let actor = caller.actor();
        self.0
            .sequencer
            .facts(actor, move |view| {
                let missing = || HubError::not_found(format!("key \"{}\"", request.key_id));
                let key = view
                    .registry
                    .keys
                    .get(&request.key_id)
                    .ok_or_else(missing)?;
                let may = match (&caller, &key.owner) {
                    (_, Owner::Hub) => false,
                    // Which of them, the log says.
                    (Caller::Operator { .. }, _) => true,
                    (Caller::Merchant { slug, .. }, owner) => {
                        *owner == Owner::Merchant(slug.clone())
                    }
                };
                if !may {
                    return Err(missing());
                }
                if let (Caller::Operator { key_id, .. }, true) = (
                    &caller,
                    last_operator_key(view.registry, &request.key_id, view.now),
                ) {
                    let message =
                        format!("{key_id} is the last operator key; register another one first");
                    return Err(HubError::new(Reason::FailedPrecondition, message));
                }
                if key.revoked_at.is_some() {
                    return Ok(Vec::new());
                }
                Ok(vec![fact(F::KeyRevoked(v1::KeyRevoked {
                    key_id: request.key_id,
                    reason: request.reason,
                    compromised_since: request.compromised_since,
                }))])
            })
            .await?;
        ok(v1::RevokeKeyResponse {
            key: self.0.registry.get().key(&key_id),
        })
    }

    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Answer<v1::ListKeysResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let owner = match (&caller, request.merchant_id.as_str()) {
            (Caller::Merchant { slug, .. }, "") => Owner::Merchant(slug.clone()),
            (Caller::Merchant { slug, .. }, asked) if slug == asked => {
                Owner::Merchant(slug.clone())
            }
            (Caller::Merchant { .. }, asked) => {
                return Err(HubError::not_found(format!("merchant \"{asked}\"")).into());
            }
            (Caller::Operator { .. }, "") => Owner::Operator,
            (Caller::Operator { .. }, asked) => Owner::Merchant(asked.to_owned()),
        };
        let size = page::size(request.page_size, 100)?;
        let start =
            usize::try_from(page::start(&request.page_token, "keys")?).unwrap_or(usize::MAX);
        let registry = self.0.registry.get();
        let ids: Vec<&String> = registry
            .keys
            .iter()
            .filter(|(_, k)| k.owner == owner)
            .map(|(id, _)| id)
            .collect();
        let keys: Vec<v1::Key> = ids
            .iter()
            .skip(start)
            .take(size)
            .filter_map(|id| registry.key(id))
            .collect();
        let end = start.saturating_add(keys.len());
        let next_page_token = if end < ids.len() {
            page::token("keys", end as u64)
        } else {
            String::new()
        };
        ok(v1::ListKeysResponse {
            keys,
            next_page_token,
        })
    }
}

fn check_key(key: &v1::Key) -> Result<(), HubError> {
    if !is_key_id(&key.key_id) {
        return Err(HubError::field(
            "key.key_id",
            "KEY_ID",
            "1 to 64 of a-z, A-Z, 0-9, '.', '_', '-'",
        ));
    }
    if VerifyingKey::from_bytes(&key.public_key).is_err() {
        return Err(HubError::field(
            "key.public_key",
            "LENGTH",
            "an Ed25519 public key has 32 bytes",
        ));
    }
    if key.revoked_at.is_some() {
        return Err(HubError::field(
            "key.revoked_at",
            "MUST_BE_ABSENT",
            "revoke it with RevokeKey",
        ));
    }
    check_person(key)?;
    if let (Some(from), Some(until)) = (&key.valid_from, &key.valid_until)
        && micros(until) <= micros(from)
    {
        return Err(HubError::field(
            "key.valid_until",
            "OUT_OF_RANGE",
            "behind valid_from, or absent for no end",
        ));
    }
    Ok(())
}

/// Who holds an operator's key, and what it may do.
fn check_person(key: &v1::Key) -> Result<(), HubError> {
    let broken = |field: &str, reason, text: &str| Err(HubError::field(field, reason, text));
    if !key.merchant_id.is_empty() {
        if key.holder.is_empty() && key.operator_roles.is_empty() {
            return Ok(());
        }
        let text = "holder and roles are for operators' keys";
        return broken("key.holder", "MUST_BE_ABSENT", text);
    }
    let holder = key.holder.as_str();
    if holder.len() > 128 || holder.trim() != holder || holder.chars().any(char::is_control) {
        let text = "a name of at most 128 bytes without control characters and spaces around it";
        return broken("key.holder", "NAME", text);
    }
    let mut roles = key.operator_roles.clone();
    roles.sort_unstable();
    roles.dedup();
    let known = |role: &i32| {
        OperatorRole::try_from(*role).is_ok_and(|role| role != OperatorRole::Unspecified)
    };
    let auditor = roles.contains(&OperatorRole::Auditor.into());
    let several = roles.len() > 1;
    if roles.len() != key.operator_roles.len() || !roles.iter().all(known) || (auditor && several) {
        let text = "each role once; an AUDITOR has no other role";
        return broken("key.operator_roles", "ROLES", text);
    }
    Ok(())
}

/// The fact of a new key; when the very key is registered already, of its earlier end, or nothing.
fn register(registry: &Registry, mut key: v1::Key, now: i64) -> Result<Vec<v1::Fact>, HubError> {
    if !key.merchant_id.is_empty() && registry.merchant(&key.merchant_id).is_none() {
        return Err(HubError::not_found(format!(
            "merchant \"{}\"",
            key.merchant_id
        )));
    }
    let owner = if key.merchant_id.is_empty() {
        Owner::Operator
    } else {
        Owner::Merchant(key.merchant_id.clone())
    };
    if let Some(known) = registry.keys.get(&key.key_id) {
        let same = known.owner == owner
            && known.public_key.as_slice() == key.public_key
            && same_person(known, &key);
        if same && known.revoked_at.is_none() {
            let shorter = shorten(known, key, now);
            if let (Some((key_id, _)), true) = (&shorter, owner == Owner::Operator)
                && last_operator_key(registry, key_id, now)
            {
                let message =
                    format!("{key_id} is the last operator key; register another one first");
                return Err(HubError::new(Reason::FailedPrecondition, message));
            }
            return Ok(shorter.into_iter().map(|(_, fact)| fact).collect());
        }
        let message = format!("key id \"{}\" is taken; choose another", key.key_id);
        return Err(HubError::new(Reason::FailedPrecondition, message));
    }
    key.valid_from.get_or_insert_with(|| timestamp(now));
    Ok(vec![fact(F::KeyRegistered(key))])
}

/// A key stays whose it is, and may what it might; to name neither again is no change.
fn same_person(known: &KeyRecord, key: &v1::Key) -> bool {
    let silent = key.holder.is_empty() && key.operator_roles.is_empty();
    silent || (known.holder == key.holder && known.operator_roles == key.operator_roles)
}

/// A key that ends earlier than was registered: its id and the fact; nothing where it does not. Never longer, because
/// who holds a key must not prolong it by itself; never before now, because nothing changes backwards.
fn shorten(known: &KeyRecord, mut key: v1::Key, now: i64) -> Option<(String, v1::Fact)> {
    let until = micros(key.valid_until.as_ref()?).max(now);
    if known.valid_until.is_some_and(|end| end <= until) {
        return None;
    }
    key.valid_from = (known.valid_from != i64::MIN).then(|| timestamp(known.valid_from));
    key.valid_until = Some(timestamp(until));
    key.holder.clone_from(&known.holder);
    key.operator_roles.clone_from(&known.operator_roles);
    Some((key.key_id.clone(), fact(F::KeyRegistered(key))))
}

fn last_operator_key(registry: &Registry, key_id: &str, now: i64) -> bool {
    let valid = |(id, k): (&String, &KeyRecord)| {
        (k.owner == Owner::Operator && k.check(id, now).is_ok()).then(|| id.clone())
    };
    let operators: Vec<String> = registry.keys.iter().filter_map(valid).collect();
    operators == [key_id]
}
