//! Who calls: tokens, keys and their owners. A refused call leaves no trace and uses up no id.

use std::sync::Arc;

use hansa_client::{
    hub::CallError,
    keys::SigningKey,
    time::timestamp,
    token::{self, Claims},
};
use hansa_proto::v1;
use hansa_tests::{
    body,
    check::{answered, refused},
    clock::{DAY, MINUTE, SECOND},
    database::Database,
    for_each_database,
    hub::AUDIENCE,
    merchant::Merchant,
};
use tonic::{Code, Request};

use crate::world::World;

/// Sends a batch with a token of the test's own, or with none.
async fn submit_with(
    world: &World,
    token: Option<&str>,
    envelope: v1::Envelope,
) -> Result<v1::SubmitBatchResponse, CallError> {
    let mut request = Request::new(v1::SubmitBatchRequest {
        envelope: Some(envelope),
        validate_only: false,
    });
    if let Some(token) = token {
        let header = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", header);
    }
    let answer = world
        .hub
        .connection()
        .exchange()
        .submit_batch(request)
        .await?;
    Ok(answer.into_inner())
}

fn signed(claims: &Claims, by: &Merchant) -> String {
    token::issue(claims, by.key.key_id(), &by.key).unwrap()
}

async fn tokens_that_do_not_hold(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let now = shop.clock.now();
    let purchase = shop.message(&world.member, body::accrual("5.00"));
    let envelope = shop.sign(std::slice::from_ref(&purchase));
    let before = world.snapshot().await;

    let good = Claims::new("shop", AUDIENCE, now, 300);
    let stranger = SigningKey::generate().unwrap();
    let tampered = {
        let mut text = signed(&good, shop).into_bytes();
        let last = text.len() - 10;
        text[last] = if text[last] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    let of = |change: &dyn Fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        signed(&claims, shop)
    };
    let wrong = [
        ("TOKEN_MISSING", None),
        ("TOKEN_MALFORMED", Some("nonsense".to_owned())),
        ("TOKEN_MALFORMED", Some("a.b.c".to_owned())),
        ("TOKEN_MALFORMED", Some("x".repeat(5_000))),
        ("TOKEN_SIGNATURE_INVALID", Some(tampered)),
        (
            "TOKEN_SIGNATURE_INVALID",
            Some(token::issue(&good, shop.key.key_id(), &stranger).unwrap()),
        ),
        (
            "KEY_UNKNOWN",
            Some(token::issue(&good, stranger.key_id(), &stranger).unwrap()),
        ),
        (
            "AUDIENCE_MISMATCH",
            Some(of(&|c| c.aud = vec!["another-hub".into()])),
        ),
        ("AUDIENCE_MISMATCH", Some(of(&|c| c.aud.clear()))),
        ("ISSUER_MISMATCH", Some(of(&|c| c.iss = "other".into()))),
        ("ISSUER_MISMATCH", Some(of(&|c| c.iss = "nobody".into()))),
        ("ISSUER_MISMATCH", Some(of(&|c| c.iss = "operator".into()))),
        ("TOKEN_EXPIRED", Some(of(&|c| c.exp -= 300 + 60))),
        ("TOKEN_EXPIRED", Some(of(&|c| c.exp = 0))),
        // A token is short-lived: whoever finds one later cannot use it.
        ("TOKEN_MALFORMED", Some(of(&|c| c.exp += 86_400))),
        (
            "TOKEN_NOT_YET_VALID",
            Some(of(&|c| c.iat = c.iat.map(|at| at + 61))),
        ),
        (
            "TOKEN_NOT_YET_VALID",
            Some(of(&|c| c.nbf = c.iat.map(|at| at + 61))),
        ),
    ];
    for (reason, token) in wrong {
        let answer = submit_with(&world, token.as_deref(), envelope.clone()).await;
        refused(answer, Code::Unauthenticated, reason);
    }
    assert_eq!(world.snapshot().await, before);

    // Clocks may differ by a minute, and the id is still free.
    let early = of(&|c| c.iat = c.iat.map(|at| at + 60));
    let answer = submit_with(&world, Some(&early), envelope).await.unwrap();
    assert!(answer.receipt.is_some());
    let replay = shop.send(purchase).await.accepted();
    assert!(replay.outcome.replayed);
}

async fn a_token_ends_while_it_is_used(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let token = signed(&Claims::new("shop", AUDIENCE, shop.clock.now(), 300), shop);
    let send = async || {
        let envelope = shop.sign(&[shop.message(&world.member, body::accrual("1.00"))]);
        submit_with(&world, Some(&token), envelope).await
    };
    send().await.unwrap();
    world.hub.advance(300 * SECOND + 59 * SECOND).await;
    send().await.unwrap();
    world.hub.advance(SECOND).await;
    refused(send().await, Code::Unauthenticated, "TOKEN_EXPIRED");
    assert_eq!(shop.balance(&world.member).await.available_points, 1_002);
}

/// A token of one merchant does not carry what another one signed.
async fn a_foreign_signature(database: Database) {
    let world = World::new(&database).await;
    let before = world.snapshot().await;
    let purchase = world.shop.message(&world.member, body::accrual("5.00"));
    let messages = std::slice::from_ref(&purchase);
    // Signed by somebody else with a key of theirs, and with a key that nobody registered.
    let answer = world.shop.submit_once(world.other.sign(messages)).await;
    refused(answer, Code::PermissionDenied, "SIGNER_MISMATCH");
    let answer = world.other.submit_once(world.shop.sign(messages)).await;
    refused(answer, Code::PermissionDenied, "SIGNER_MISMATCH");
    let stranger = world
        .hub
        .merchant("shop", Arc::new(SigningKey::generate().unwrap()));
    let answer = world.shop.submit_once(stranger.sign(messages)).await;
    refused(answer, Code::Unauthenticated, "KEY_UNKNOWN");
    // Operators and the hub itself send no batches.
    let operator = world.hub.merchant("operator", world.hub.operator_key());
    let answer = operator.submit_once(operator.sign(messages)).await;
    refused(answer, Code::PermissionDenied, "PERMISSION_DENIED");
    let answer = world.shop.submit_once(operator.sign(messages)).await;
    refused(answer, Code::PermissionDenied, "SIGNER_MISMATCH");
    assert_eq!(world.snapshot().await, before);
    world.shop.send(purchase).await.ok();
}

async fn keys_outside_their_validity(database: Database) {
    let world = World::new(&database).await;
    let now = world.shop.clock.now();
    let key = Arc::new(SigningKey::generate().unwrap());
    let from = now + DAY;
    world
        .hub
        .register(v1::Key {
            key_id: key.key_id().into(),
            public_key: key.verifying_key().as_bytes().to_vec(),
            merchant_id: "shop".into(),
            valid_from: Some(timestamp(from)),
            valid_until: Some(timestamp(from + DAY)),
            ..v1::Key::default()
        })
        .await;
    let till = world.hub.merchant("shop", key);
    let purchase = till.message(&world.member, body::accrual("5.00"));
    let envelope = till.sign(std::slice::from_ref(&purchase));
    let before = world.snapshot().await;
    // As the token's key, and as the envelope's.
    refused(
        till.submit_once(envelope.clone()).await,
        Code::Unauthenticated,
        "KEY_EXPIRED",
    );
    refused(
        world.shop.submit_once(envelope.clone()).await,
        Code::Unauthenticated,
        "KEY_EXPIRED",
    );
    assert_eq!(world.snapshot().await, before);
    world.hub.advance(DAY).await;
    till.submit_once(envelope).await.unwrap();
    world.hub.advance(DAY - 1).await;
    till.accrue(&world.member, "1.00").await.ok();
    world.hub.advance(1).await;
    let late = till.sign(&[till.message(&world.member, body::accrual("5.00"))]);
    refused(
        till.submit_once(late.clone()).await,
        Code::Unauthenticated,
        "KEY_EXPIRED",
    );
    refused(
        world.shop.submit_once(late).await,
        Code::Unauthenticated,
        "KEY_EXPIRED",
    );
    assert_eq!(
        world.shop.balance(&world.member).await.available_points,
        1_006
    );
}

async fn a_revoked_key(database: Database) {
    let mut world = World::new(&database).await;
    let till = world.hub.with_new_key("shop").await;
    let sent = till.accrue(&world.member, "5.00").await.accepted();
    let request = v1::RevokeKeyRequest {
        key_id: till.key.key_id().into(),
        reason: "stolen".into(),
        compromised_since: None,
    };
    let revoked = answered(world.shop.hub.alliance().revoke_key(request).await);
    assert!(revoked.key.unwrap().revoked_at.is_some());

    let purchase = till.message(&world.member, body::accrual("7.00"));
    let envelope = till.sign(std::slice::from_ref(&purchase));
    let before = world.snapshot().await;
    for restart in [false, true] {
        if restart {
            world.hub.kill();
            world.hub.start().await;
        }
        refused(
            till.submit_once(envelope.clone()).await,
            Code::Unauthenticated,
            "KEY_REVOKED",
        );
        refused(
            world.shop.submit_once(envelope.clone()).await,
            Code::Unauthenticated,
            "KEY_REVOKED",
        );
        let read = till.hub.balance(&world.member).await;
        refused(read, Code::Unauthenticated, "KEY_REVOKED");
    }
    assert_eq!(world.snapshot().await, before);
    // What it signed before stands, and its message may come again under a key that holds.
    let replay = world.shop.send(sent.message).await;
    assert!(replay.outcome.replayed);
    world.shop.send(purchase).await.ok();
    assert_eq!(
        world.shop.balance(&world.member).await.available_points,
        1_012
    );
}

for_each_database!(
    tokens_that_do_not_hold,
    a_token_ends_while_it_is_used,
    a_foreign_signature,
    keys_outside_their_validity,
    a_revoked_key,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_registered() {
    let world = World::new(&Database::sqlite()).await;
    let operator = world.hub.operator();
    let fresh = SigningKey::generate().unwrap();
    let good = v1::Key {
        key_id: fresh.key_id().into(),
        public_key: fresh.verifying_key().as_bytes().to_vec(),
        merchant_id: "shop".into(),
        ..v1::Key::default()
    };
    let register = async |key: v1::Key| {
        let request = v1::RegisterKeyRequest {
            key: Some(key),
            validate_only: false,
        };
        operator.alliance().register_key(request).await
    };
    let before = world.snapshot().await;
    let broken = |change: &dyn Fn(&mut v1::Key)| {
        let mut key = good.clone();
        change(&mut key);
        key
    };
    for key in [
        broken(&|k| k.public_key = vec![1; 31]),
        broken(&|k| k.key_id = String::new()),
        broken(&|k| k.key_id = "x".repeat(65)),
        broken(&|k| k.key_id = "a b".into()),
        broken(&|k| k.revoked_at = Some(timestamp(0))),
        broken(&|k| {
            k.valid_from = Some(timestamp(MINUTE));
            k.valid_until = Some(timestamp(MINUTE));
        }),
    ] {
        refused(
            register(key).await,
            Code::InvalidArgument,
            "FIELD_VIOLATIONS",
        );
    }
    let nobody = register(broken(&|k| k.merchant_id = "nobody".into())).await;
    refused(nobody, Code::NotFound, "NOT_FOUND");
    // An id that another merchant's key has already.
    let taken = register(broken(&|k| k.key_id = world.other.key.key_id().into())).await;
    refused(taken, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert_eq!(world.snapshot().await, before);
    answered(register(good).await);
}
