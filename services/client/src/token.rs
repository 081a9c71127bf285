//! Tokens of calls: short-lived JWTs (RFC 7519) that a merchant signs with its own key, EdDSA (RFC 8037).
//!
//! No function reads a clock: `now` comes in, so that hub and replay live by a test clock as well.

use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::jwt_provider;
use crate::keys::{SigningKey, VerifyingKey, is_key_id};
use crate::time::MICROS_PER_SECOND;

/// Longest token that is looked at. Unit: bytes.
pub const MAX_TOKEN_LEN: usize = 4_096;

/// What a token says. Times in seconds since 1970 (NumericDate, whole seconds).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: the merchant's id.
    pub iss: String,
    /// Whom it is for: the hub's audience. One string or a list on the wire.
    #[serde(with = "one_or_many")]
    pub aud: Vec<String>,
    /// First second at which it does not hold any more.
    pub exp: i64,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// First second at which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Whom it speaks of, where that is not the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
}

impl Claims {
    /// Claims of a token made at `now_micros` that holds for `lifetime_seconds`.
    #[must_use]
    pub fn new(iss: &str, aud: &str, now_micros: i64, lifetime_seconds: i64) -> Self {
        let now = now_micros.div_euclid(MICROS_PER_SECOND);
        Self {
            iss: iss.to_owned(),
            aud: vec![aud.to_owned()],
            exp: now.saturating_add(lifetime_seconds),
            iat: Some(now),
            nbf: None,
            sub: None,
        }
    }
}

mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(aud: &Vec<String>, to: S) -> Result<S::Ok, S::Error> {
        match aud.as_slice() {
            [one] => one.serialize(to),
            many => many.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(from)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }
}

/// Why a token is refused, in the order in which it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT, not EdDSA, no `kid`, or claims that are missing or of the wrong type.
    #[error("malformed token")]
    Malformed,
    /// No key with this `kid` is registered.
    #[error("unknown key id \"{0}\"")]
    UnknownKid(String),
    /// The signature is not that key's.
    #[error("bad token signature")]
    BadSignature,
    /// `aud` does not name this hub.
    #[error("token is for another audience")]
    WrongAudience,
    /// `iss` is not the owner of the key.
    #[error("token's issuer is not the owner of its key")]
    WrongIssuer,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("token is not valid yet")]
    NotYetValid,
    /// It holds for longer than is allowed.
    #[error("token holds for longer than {0} seconds")]
    LifetimeTooLong(i64),
    /// The key cannot sign.
    #[error("token could not be signed")]
    Signing,
}

/// Signs a token with `kid` in its header.
///
/// # Errors
/// [`TokenError::Signing`].
pub fn issue(claims: &Claims, kid: &str, key: &SigningKey) -> Result<String, TokenError> {
    jwt_provider::install();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(key.pkcs8()))
        .map_err(|_| TokenError::Signing)
}

/// What a verifier demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The hub's audience.
    pub audience: String,
    /// How far clocks may differ. Unit: seconds.
    pub leeway_seconds: i64,
    /// How far ahead `exp` may lie, leeway aside. Unit: seconds; `None` = no bound.
    pub max_lifetime_seconds: Option<i64>,
}

impl Validation {
    /// 60 seconds of leeway, no bound on the lifetime.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self {
            audience: audience.into(),
            leeway_seconds: 60,
            max_lifetime_seconds: None,
        }
    }
}

/// A registered key and who may issue tokens with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOwner {
    /// The key.
    pub key: VerifyingKey,
    /// Its owner: what `iss` must say.
    pub issuer: String,
}

/// A token that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed it.
    pub kid: String,
    /// What it says.
    pub claims: Claims,
}

impl Verified {
    /// Whether the token still holds at `now_micros`: for those who remember verified tokens.
    ///
    /// # Errors
    /// [`TokenError::Expired`], [`TokenError::NotYetValid`], [`TokenError::LifetimeTooLong`].
    pub fn check_time(&self, now_micros: i64, validation: &Validation) -> Result<(), TokenError> {
        check_time(&self.claims, now_micros, validation)
    }
}

/// Verifies a token. `lookup` finds the key of a `kid` and its owner; whether the key itself is expired or revoked
/// is the caller's to say.
///
/// # Errors
/// All of [`TokenError`] but `Signing`.
pub fn verify(
    token: &str,
    now_micros: i64,
    validation: &Validation,
    lookup: impl FnOnce(&str) -> Option<KeyOwner>,
) -> Result<Verified, TokenError> {
    jwt_provider::install();
    if token.len() > MAX_TOKEN_LEN {
        return Err(TokenError::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    let kid = header.kid.ok_or(TokenError::Malformed)?;
    if header.alg != Algorithm::EdDSA || !is_key_id(&kid) {
        return Err(TokenError::Malformed);
    }
    let Some(owner) = lookup(&kid) else {
        return Err(TokenError::UnknownKid(kid));
    };
    let claims = verified_claims(token, &owner.key)?;
    if !claims.aud.contains(&validation.audience) {
        return Err(TokenError::WrongAudience);
    }
    if claims.iss != owner.issuer {
        return Err(TokenError::WrongIssuer);
    }
    check_time(&claims, now_micros, validation)?;
    Ok(Verified { kid, claims })
}

fn verified_claims(token: &str, key: &VerifyingKey) -> Result<Claims, TokenError> {
    // jsonwebtoken checks times by the system's clock; ours is an argument, so all of its own checks of claims are off.
    let mut only_signature = jsonwebtoken::Validation::new(Algorithm::EdDSA);
    only_signature.validate_exp = false;
    only_signature.validate_nbf = false;
    only_signature.validate_aud = false;
    only_signature.required_spec_claims.clear();
    let key = DecodingKey::from_ed_der(key.as_bytes());
    match jsonwebtoken::decode::<Claims>(token, &key, &only_signature) {
        Ok(data) => Ok(data.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
            Err(TokenError::BadSignature)
        }
        Err(_) => Err(TokenError::Malformed),
    }
}

fn check_time(claims: &Claims, now_micros: i64, validation: &Validation) -> Result<(), TokenError> {
    let now = now_micros.div_euclid(MICROS_PER_SECOND);
    let leeway = validation.leeway_seconds;
    if now >= claims.exp.saturating_add(leeway) {
        return Err(TokenError::Expired);
    }
    let ahead = |at: Option<i64>| at.is_some_and(|at| at > now.saturating_add(leeway));
    if ahead(claims.nbf) || ahead(claims.iat) {
        return Err(TokenError::NotYetValid);
    }
    match validation.max_lifetime_seconds {
        Some(max) if claims.exp > now.saturating_add(max).saturating_add(leeway) => {
            Err(TokenError::LifetimeTooLong(max))
        }
        _ => Ok(()),
    }
}

/// Makes tokens of one issuer and audience, and keeps each until half of its life is over. Share it: `&self` only.
pub struct TokenSource {
    key: Arc<SigningKey>,
    issuer: String,
    audience: String,
    lifetime_seconds: i64,
    clock: Clock,
    cached: Mutex<Option<Cached>>,
}

/// A clock: microseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

struct Cached {
    token: Arc<str>,
    made_at_micros: i64,
    renew_at_micros: i64,
}

impl TokenSource {
    /// A source of tokens that hold for 300 seconds each, by the given clock.
    #[must_use]
    pub fn new(
        key: Arc<SigningKey>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: Clock,
    ) -> Self {
        Self {
            key,
            issuer: issuer.into(),
            audience: audience.into(),
            lifetime_seconds: 300,
            clock,
            cached: Mutex::new(None),
        }
    }

    /// The same source with another lifetime of each token. Unit: seconds; at least 2.
    #[must_use]
    pub fn with_lifetime_seconds(mut self, seconds: i64) -> Self {
        self.lifetime_seconds = seconds.max(2);
        self
    }

    /// Whose tokens it makes.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token that holds now: the last one, or a new one once half of its life is over or the clock went back.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn token(&self) -> Result<Arc<str>, TokenError> {
        let now = (self.clock)();
        // A poisoned lock only means that a signer panicked; what is cached is whole.
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(c) = cached.as_ref()
            && (c.made_at_micros..c.renew_at_micros).contains(&now)
        {
            return Ok(c.token.clone());
        }
        let claims = Claims::new(&self.issuer, &self.audience, now, self.lifetime_seconds);
        let token: Arc<str> = issue(&claims, self.key.key_id(), &self.key)?.into();
        *cached = Some(Cached {
            token: token.clone(),
            made_at_micros: now,
            renew_at_micros: now.saturating_add(self.lifetime_seconds * MICROS_PER_SECOND / 2),
        });
        Ok(token)
    }

    /// Forgets the cached token, e.g. after the hub refused it.
    pub fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("key_id", &self.key.key_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
