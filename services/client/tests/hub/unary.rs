//! Single calls: what is tried again, what is not, and how a refusal reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use hansa_client::hub::{CallError, FieldViolation, Hub};
use hansa_client::token::TokenSource;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::fake::{AUDIENCE, FakeHub, Fault, MERCHANT, NOW, quick, refusal};

fn connected(fake: &FakeHub) -> Hub {
    Hub::new(&fake.options(), fake.tokens()).unwrap()
}

#[tokio::test]
async fn the_same_bytes_are_sent_until_the_hub_answers() {
    let fake = FakeHub::start();
    fake.will([
        Fault::Status(Status::unavailable("not now")),
        Fault::Status(Status::unavailable("not yet")),
    ]);
    let batch = fake.batch(1, 3);
    let answer = connected(&fake).submit(&batch).await.unwrap();
    let points: Vec<_> = answer.outcomes.iter().map(|o| o.points).collect();
    assert_eq!(points, [0, 1, 2]);
    let payload = &batch.envelope().payload;
    assert_eq!(fake.received(), [payload, payload, payload]);
}

#[tokio::test]
async fn a_refusal_is_typed_and_not_tried_again() {
    let fake = FakeHub::start();
    fake.will([Fault::Status(refusal("FIELD_VIOLATIONS"))]);
    let error = connected(&fake)
        .submit(&fake.batch(1, 1))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
    assert_eq!(error.reason.as_deref(), Some("FIELD_VIOLATIONS"));
    assert_eq!(
        error.violations,
        [FieldViolation {
            field: "messages[3].lane".into(),
            description: "at most 64 bytes".into()
        }]
    );
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        "FIELD_VIOLATIONS: two fields\n  messages[3].lane: at most 64 bytes"
    );
    assert_eq!(fake.received().len(), 1);
}

#[tokio::test]
async fn a_limit_is_waited_for_as_long_as_the_hub_asks() {
    let fake = FakeHub::start();
    let mut details = ErrorDetails::with_error_info("LIMIT_EXCEEDED", "hansa.v1", []);
    details.set_retry_info(Some(Duration::from_millis(300)));
    let limited = Status::with_error_details(Code::ResourceExhausted, "slower", details);
    fake.will([Fault::Status(limited)]);
    let began = Instant::now();
    connected(&fake).submit(&fake.batch(1, 1)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(fake.received().len(), 2);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_asked_for_again_then_given_up() {
    let fake = FakeHub::start();
    fake.will((0..100).map(|_| Fault::Hang));
    let mut policy = quick();
    policy.attempt_timeout = Duration::from_millis(100);
    policy.give_up_after = Duration::from_millis(500);
    let hub = connected(&fake).with_retry(policy);
    let began = Instant::now();
    let error = hub.submit(&fake.batch(1, 1)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let received = fake.received();
    assert!((2..=6).contains(&received.len()), "{}", received.len());
    assert!(received.iter().all(|payload| *payload == received[0]));
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_waited_for() {
    let mut fake = FakeHub::start();
    let batch = fake.batch(1, 1);
    let options = fake.options();
    let tokens = fake.tokens();
    fake.kill();
    let hub = Hub::new(&options, tokens.clone()).unwrap();
    let connecting = tokio::spawn(async move { Hub::connect(&options, tokens).await.map(|_| ()) });
    let submitting = tokio::spawn(async move { hub.submit(&batch).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!submitting.is_finished());
    fake.serve(None);
    submitting.await.unwrap().unwrap();
    connecting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hub_that_stays_away_is_a_transient_error() {
    let mut fake = FakeHub::start();
    let mut policy = quick();
    policy.give_up_after = Duration::from_millis(200);
    let hub = connected(&fake).with_retry(policy);
    fake.kill();
    let error = hub.submit(&fake.batch(1, 1)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let mut options = fake.options();
    options.retry = policy;
    let error = Hub::connect(&options, None).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
}

#[tokio::test]
async fn a_token_that_the_hub_calls_expired_is_made_anew_once() {
    let expired = || {
        let details = ErrorDetails::with_error_info("TOKEN_EXPIRED", "hansa.v1", []);
        Fault::Status(Status::with_error_details(
            Code::Unauthenticated,
            "old",
            details,
        ))
    };
    let fake = FakeHub::start();
    // A clock that moves between calls, so that a new token differs.
    let clock = AtomicI64::new(NOW);
    let source = TokenSource::new(
        fake.key.clone(),
        MERCHANT,
        AUDIENCE,
        Arc::new(move || clock.fetch_add(1_000_000, Ordering::Relaxed)),
    );
    let hub = Hub::new(&fake.options(), Some(Arc::new(source))).unwrap();
    fake.will([expired()]);
    hub.submit(&fake.batch(1, 1)).await.unwrap();
    let tokens = fake.state.lock().unwrap().tokens.clone();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);

    fake.will([expired(), expired()]);
    let error = hub.submit(&fake.batch(2, 1)).await.unwrap_err();
    assert_eq!(error.reason.as_deref(), Some("TOKEN_EXPIRED"));
}

#[tokio::test]
async fn a_call_without_a_token_is_unauthenticated() {
    let fake = FakeHub::start();
    let hub = connected(&fake).with_tokens(None);
    let error = hub.submit(&fake.batch(1, 1)).await.unwrap_err();
    assert_eq!(error.code, Code::Unauthenticated);
    assert!(fake.received().is_empty());
}

#[tokio::test]
async fn an_answer_of_another_length_is_no_answer() {
    let fake = FakeHub::start();
    fake.will([Fault::TooFew]);
    let error = connected(&fake)
        .submit(&fake.batch(1, 2))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::Internal);
    assert_eq!(error.message, "1 outcomes for 2 messages");
}

#[tokio::test]
async fn enrolments_are_split_into_calls_of_4000() {
    let fake = FakeHub::start();
    let keys: Vec<Vec<u8>> = (0..4_001_u32).map(|n| n.to_be_bytes().repeat(8)).collect();
    let references = connected(&fake).enrol(&keys).await.unwrap();
    assert_eq!(fake.state.lock().unwrap().enrolled, [4_000, 1]);
    assert_eq!(references.len(), keys.len());
    assert!(references.iter().zip(&keys).all(|(r, k)| r[..] == k[..16]));
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_named() {
    let fake = FakeHub::start();
    let check = |url: &str, ca: Option<&[u8]>| {
        let mut options = fake.options();
        options.url = url.into();
        options.ca_certificate_pem = ca.map(<[u8]>::to_vec);
        Hub::new(&options, None).map(|_| ())
    };
    let refused = |result: Result<(), CallError>| result.unwrap_err().code;
    assert_eq!(refused(check("no url", None)), Code::InvalidArgument);
    assert_eq!(refused(check("ftp://x", None)), Code::InvalidArgument);
    assert_eq!(
        refused(check("http://x:1", Some(b"certificate"))),
        Code::InvalidArgument
    );
    assert!(check("http://x:1", None).is_ok());
}
