//! Tests of the token module.

use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const NOW: i64 = 1_772_000_000;
const AUD: &str = "hub.example";

fn micros(seconds: i64) -> i64 {
    seconds * MICROS_PER_SECOND
}

fn key() -> SigningKey {
    SigningKey::generate().unwrap().with_key_id("k1").unwrap()
}

fn check(token: &str, key: &SigningKey, now: i64) -> Result<Verified, TokenError> {
    verify(token, micros(now), &Validation::new(AUD), |kid| {
        (kid == "k1").then(|| KeyOwner {
            key: key.verifying_key(),
            issuer: "grocery".into(),
        })
    })
}

fn claims() -> Claims {
    Claims::new("grocery", AUD, micros(NOW), 300)
}

/// Signs any header and body, as a foreign implementation would.
fn raw(header: &str, body: &str, key: &SigningKey) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(body)
    );
    let sig = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    format!("{message}.{sig}")
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1"}"#;

#[test]
fn an_issued_token_verifies() {
    let key = key();
    let token = issue(&claims(), "k1", &key).unwrap();
    let verified = check(&token, &key, NOW).unwrap();
    assert_eq!(verified.kid, "k1");
    assert_eq!(verified.claims, claims());
}

#[test]
fn the_vector_of_rfc_8037_is_signed_the_same() {
    // Appendix A.1 and A.4: the signature of the text "Example of Ed25519 signing" under header {"alg":"EdDSA"}.
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend_from_slice(&seed);
    let key = SigningKey::from_pkcs8(&der).unwrap();
    let token = raw(r#"{"alg":"EdDSA"}"#, "Example of Ed25519 signing", &key);
    assert_eq!(
        token,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_token_of_another_implementation_verifies() {
    let key = key();
    let body = format!(
        r#"{{"iss":"grocery","aud":["x","{AUD}"],"exp":{},"extra":{{"a":1}}}}"#,
        NOW + 10
    );
    let verified = check(&raw(HEADER, &body, &key), &key, NOW).unwrap();
    assert_eq!(verified.claims.iat, None);
    assert_eq!(verified.claims.aud, ["x", AUD]);
}

#[test]
fn malformed_tokens_are_named_so() {
    let key = key();
    let good = issue(&claims(), "k1", &key).unwrap();
    let body = serde_json::to_string(&claims()).unwrap();
    let without_exp = format!(r#"{{"iss":"grocery","aud":"{AUD}"}}"#);
    let text_exp = format!(r#"{{"iss":"grocery","aud":"{AUD}","exp":"soon"}}"#);
    for token in [
        String::new(),
        "a.b.c".into(),
        good.replace('.', ""),
        format!("{good}.x"),
        raw(r#"{"alg":"EdDSA"}"#, &body, &key),
        raw(r#"{"alg":"none","kid":"k1"}"#, &body, &key),
        raw(r#"{"alg":"HS256","kid":"k1"}"#, &body, &key),
        raw(HEADER, "{}", &key),
        raw(HEADER, "not json", &key),
        raw(HEADER, &without_exp, &key),
        raw(HEADER, &text_exp, &key),
        "x".repeat(MAX_TOKEN_LEN + 1),
    ] {
        assert_eq!(
            check(&token, &key, NOW),
            Err(TokenError::Malformed),
            "{token}"
        );
    }
}

#[test]
fn an_unknown_kid_is_named() {
    let key = key();
    let token = issue(&claims(), "k2", &key).unwrap();
    assert_eq!(
        check(&token, &key, NOW),
        Err(TokenError::UnknownKid("k2".into()))
    );
}

#[test]
fn a_foreign_signature_fails() {
    let token = issue(&claims(), "k1", &key()).unwrap();
    assert_eq!(check(&token, &key(), NOW), Err(TokenError::BadSignature));
}

#[test]
fn changed_claims_fail() {
    let key = key();
    let token = issue(&claims(), "k1", &key).unwrap();
    let mut parts: Vec<&str> = token.split('.').collect();
    let mut longer = claims();
    longer.exp += 1;
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_string(&longer).unwrap());
    parts[1] = &body;
    assert_eq!(
        check(&parts.join("."), &key, NOW),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn time_is_judged_by_the_clock_that_comes_in_with_leeway() {
    let key = key();
    let token = issue(&claims(), "k1", &key).unwrap();
    assert!(check(&token, &key, NOW + 359).is_ok());
    assert_eq!(check(&token, &key, NOW + 360), Err(TokenError::Expired));
    assert!(check(&token, &key, NOW - 60).is_ok());
    assert_eq!(check(&token, &key, NOW - 61), Err(TokenError::NotYetValid));

    let mut later = claims();
    later.nbf = Some(NOW + 61);
    let token = issue(&later, "k1", &key).unwrap();
    assert_eq!(check(&token, &key, NOW), Err(TokenError::NotYetValid));
    assert!(check(&token, &key, NOW + 1).is_ok());
}

#[test]
fn extreme_times_do_not_overflow() {
    let key = key();
    for exp in [i64::MIN, i64::MAX] {
        let mut extreme = claims();
        extreme.exp = exp;
        let token = issue(&extreme, "k1", &key).unwrap();
        assert_eq!(check(&token, &key, NOW).is_ok(), exp > 0);
    }
}

#[test]
fn a_wrong_audience_or_issuer_is_named() {
    let key = key();
    let mut other = claims();
    other.aud = vec!["elsewhere".into()];
    let token = issue(&other, "k1", &key).unwrap();
    assert_eq!(check(&token, &key, NOW), Err(TokenError::WrongAudience));

    let mut other = claims();
    other.iss = "fashion".into();
    let token = issue(&other, "k1", &key).unwrap();
    assert_eq!(check(&token, &key, NOW), Err(TokenError::WrongIssuer));
}

#[test]
fn a_lifetime_beyond_the_bound_is_refused() {
    let key = key();
    let mut validation = Validation::new(AUD);
    validation.max_lifetime_seconds = Some(200);
    let lookup = |_: &str| {
        Some(KeyOwner {
            key: key.verifying_key(),
            issuer: "grocery".into(),
        })
    };
    let token = issue(&claims(), "k1", &key).unwrap();
    assert_eq!(
        verify(&token, micros(NOW), &validation, lookup),
        Err(TokenError::LifetimeTooLong(200))
    );
    assert!(verify(&token, micros(NOW + 40), &validation, lookup).is_ok());
}

#[test]
fn a_source_keeps_a_token_until_half_of_its_life_is_over() {
    let now = Arc::new(AtomicI64::new(micros(NOW)));
    let clock = now.clone();
    let key = Arc::new(key());
    let source = TokenSource::new(
        key.clone(),
        "grocery",
        AUD,
        Arc::new(move || clock.load(Ordering::Relaxed)),
    )
    .with_lifetime_seconds(100);
    let first = source.token().unwrap();
    now.store(micros(NOW + 49), Ordering::Relaxed);
    assert_eq!(source.token().unwrap(), first);
    now.store(micros(NOW + 50), Ordering::Relaxed);
    let second = source.token().unwrap();
    assert_ne!(second, first);
    assert!(check(&second, &key, NOW + 50).is_ok());
    // A clock that went back would make the cached token one of the future.
    now.store(micros(NOW), Ordering::Relaxed);
    assert_eq!(source.token().unwrap(), first);
}
