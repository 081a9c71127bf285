//! Who calls: bearer tokens, verified once and remembered until they expire.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hansa_client::{
    keys::VerifyingKey,
    token::{self, KeyOwner, TokenError, Validation, Verified},
};
use hansa_proto::v1::OperatorRole;
use tonic::metadata::MetadataMap;

use crate::{
    authority::role_missing,
    clock::Clock,
    error::{HubError, Reason},
    registry::{KeyRecord, Owner, Registry, SharedRegistry},
};

/// Issuer that operators' tokens name.
pub const OPERATOR_ISSUER: &str = "operator";

/// Tokens that are remembered at most; beyond it all are forgotten and verified anew.
const REMEMBERED: usize = 10_000;

/// A token holds for an hour at most: it is worth as much as the key while it does.
const MAX_TOKEN_SECONDS: i64 = 3_600;

/// A caller whose token holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person of the alliance's operator.
    Operator {
        /// Key that signed the token.
        key_id: String,
        /// Who holds it.
        holder: String,
        /// May change terms, merchants and keys, and close cycles by hand.
        administrator: bool,
        /// May propose, approve, pay, reconcile, answer disputes and rule queries.
        finance: bool,
        /// May decide cases of fraud, bans and rules on traffic.
        analyst: bool,
        /// Sees the affiliates of its own book and nothing else.
        only_own_book: bool,
    },
    /// A merchant.
    Merchant {
        /// Id.
        slug: String,
        /// Index in the ledger.
        index: u32,
    },
}

impl Caller {
    /// Any person of the operator who may read everything: all but those who see their own book of affiliates only.
    pub fn operator(&self) -> Result<&str, HubError> {
        match self {
            Self::Operator {
                only_own_book: true,
                ..
            } => Err(HubError::permission_denied(
                "a manager of affiliates reads its own book only",
            )),
            Self::Operator { key_id, .. } => Ok(key_id),
            Self::Merchant { .. } => Err(operators_only()),
        }
    }

    /// The manager whose book of affiliates is all that the caller may see; `None` for everybody else.
    pub fn book(&self) -> Option<&str> {
        match self {
            Self::Operator {
                only_own_book: true,
                holder,
                ..
            } => Some(holder),
            Self::Operator { .. } | Self::Merchant { .. } => None,
        }
    }

    /// A person who may change terms, merchants and keys, and close cycles by hand.
    pub fn administrator(&self) -> Result<(), HubError> {
        match self {
            Self::Operator { administrator, .. } if *administrator => Ok(()),
            Self::Operator { .. } => Err(role_missing(OperatorRole::Administrator)),
            Self::Merchant { .. } => Err(operators_only()),
        }
    }

    /// The name of a person who may propose, approve, pay, reconcile and answer disputes.
    pub fn finance(&self) -> Result<&str, HubError> {
        match self {
            Self::Operator {
                finance, holder, ..
            } if *finance => Ok(holder),
            Self::Operator { .. } => Err(role_missing(OperatorRole::Finance)),
            Self::Merchant { .. } => Err(operators_only()),
        }
    }

    /// The name of a person who may decide cases of fraud, bans and rules on traffic.
    pub fn analyst(&self) -> Result<&str, HubError> {
        match self {
            Self::Operator {
                analyst, holder, ..
            } if *analyst => Ok(holder),
            Self::Operator { .. } => Err(role_missing(OperatorRole::FraudAnalyst)),
            Self::Merchant { .. } => Err(operators_only()),
        }
    }

    /// The merchant's slug and index, or a refusal.
    pub fn merchant(&self) -> Result<(&str, u32), HubError> {
        match self {
            Self::Merchant { slug, index } => Ok((slug, *index)),
            Self::Operator { .. } => Err(HubError::new(
                Reason::PermissionDenied,
                "only a merchant may do this",
            )),
        }
    }

    /// How the log names it.
    pub fn actor(&self) -> String {
        match self {
            Self::Operator { key_id, .. } => format!("operator:{key_id}"),
            Self::Merchant { slug, .. } => format!("merchant:{slug}"),
        }
    }
}

/// Verifies tokens.
#[derive(Debug)]
pub struct Authenticator {
    registry: SharedRegistry,
    validation: Validation,
    clock: Clock,
    remembered: Mutex<HashMap<String, Arc<Verified>>>,
}

impl Authenticator {
    /// Tokens must name `audience`; clocks may differ by 60 s.
    pub fn new(registry: SharedRegistry, clock: Clock, audience: &str) -> Self {
        let mut validation = Validation::new(audience);
        validation.max_lifetime_seconds = Some(MAX_TOKEN_SECONDS);
        Self {
            registry,
            validation,
            clock,
            remembered: Mutex::default(),
        }
    }

    /// The caller of a request.
    pub fn caller(&self, metadata: &MetadataMap) -> Result<Caller, HubError> {
        let header = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let Some(token) = header.and_then(|h| {
            h.strip_prefix("Bearer ")
                .or_else(|| h.strip_prefix("bearer "))
        }) else {
            let message = "send \"authorization: Bearer <JWT>\", signed with a registered key";
            return Err(HubError::new(Reason::TokenMissing, message));
        };
        let now = self.clock.now_micros();
        let registry = self.registry.get();
        let verified = self.verified(token, now, &registry)?;
        // The key is looked at on each call: a remembered token of a revoked key is worth nothing.
        let Some(key) = registry.keys.get(&verified.kid) else {
            return Err(unknown_key(&verified.kid));
        };
        key.check(&verified.kid, now)?;
        match &key.owner {
            Owner::Operator => Ok(Caller::Operator {
                key_id: verified.kid.clone(),
                holder: key.person(&verified.kid).to_owned(),
                administrator: key.grants(OperatorRole::Administrator),
                finance: key.grants(OperatorRole::Finance),
                analyst: key.grants(OperatorRole::FraudAnalyst),
                only_own_book: key.operator_roles == [i32::from(OperatorRole::AffiliateManager)],
            }),
            Owner::Merchant(slug) => {
                let index = registry
                    .merchant(slug)
                    .ok_or_else(|| HubError::not_found(format!("merchant {slug}")))?;
                Ok(Caller::Merchant {
                    slug: slug.clone(),
                    index,
                })
            }
            Owner::Hub => Err(unknown_key(&verified.kid)),
        }
    }

    fn verified(
        &self,
        token: &str,
        now: i64,
        registry: &Registry,
    ) -> Result<Arc<Verified>, HubError> {
        let known = self.lock().get(token).cloned();
        if let Some(verified) = known {
            verified
                .check_time(now, &self.validation)
                .map_err(|e| refused(&e, &self.validation))?;
            return Ok(verified);
        }
        let lookup = |kid: &str| registry.keys.get(kid).and_then(key_owner);
        let verified = token::verify(token, now, &self.validation, lookup)
            .map_err(|e| refused(&e, &self.validation))?;
        let verified = Arc::new(verified);
        let mut remembered = self.lock();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), Arc::clone(&verified));
        Ok(verified)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Verified>>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_owner(record: &KeyRecord) -> Option<KeyOwner> {
    let issuer = match &record.owner {
        Owner::Hub => return None,
        Owner::Operator => OPERATOR_ISSUER.to_owned(),
        Owner::Merchant(slug) => slug.clone(),
    };
    Some(KeyOwner {
        key: VerifyingKey::from_bytes(&record.public_key).ok()?,
        issuer,
    })
}

fn operators_only() -> HubError {
    HubError::new(
        Reason::PermissionDenied,
        "only an operator may do this; sign the token with an operator's key and iss \"operator\"",
    )
}

fn unknown_key(kid: &str) -> HubError {
    HubError::new(
        Reason::KeyUnknown,
        format!("no key \"{kid}\" is registered; register it, or check the key id"),
    )
}

fn refused(error: &TokenError, validation: &Validation) -> HubError {
    let (reason, message) = match error {
        TokenError::Malformed | TokenError::Signing => (
            Reason::TokenMalformed,
            "the token must be a JWT with alg EdDSA, kid, iss, aud and exp".to_owned(),
        ),
        TokenError::UnknownKid(kid) => return unknown_key(kid),
        TokenError::BadSignature => (
            Reason::TokenSignatureInvalid,
            "the token's signature is not that of the key in its kid".to_owned(),
        ),
        TokenError::WrongAudience => (
            Reason::AudienceMismatch,
            format!("the token's aud must be \"{}\"", validation.audience),
        ),
        TokenError::WrongIssuer => (
            Reason::IssuerMismatch,
            "the token's iss must be the merchant that owns the key".to_owned(),
        ),
        TokenError::Expired => (
            Reason::TokenExpired,
            "the token has expired; make a new one, and check your clock".to_owned(),
        ),
        TokenError::NotYetValid => (
            Reason::TokenNotYetValid,
            format!(
                "the token is from the future by more than {} s; check your clock",
                validation.leeway_seconds
            ),
        ),
        TokenError::LifetimeTooLong(max) => (
            Reason::TokenMalformed,
            format!("the token may hold for at most {max} s"),
        ),
    };
    HubError::new(reason, message)
}
