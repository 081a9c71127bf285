//! Streams: one answer for each batch, in order, whatever happens to the connection.

use std::time::Duration;

use hansa_client::batch::SignedBatch;
use hansa_client::hub::{BatchAnswers, BatchSender, Hub, RetryPolicy};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::fake::{FakeHub, Fault, quick, refusal};

fn stream(fake: &FakeHub, window: usize, retry: RetryPolicy) -> (BatchSender, BatchAnswers) {
    let hub = Hub::new(&fake.options(), fake.tokens()).unwrap();
    hub.with_retry(retry).stream(window)
}

/// Sends all batches and collects what comes back: for each whether it was answered.
async fn play(
    fake: &FakeHub,
    batches: &[SignedBatch],
    window: usize,
    retry: RetryPolicy,
) -> Vec<(SignedBatch, Result<usize, Code>)> {
    let (sender, mut answers) = stream(fake, window, retry);
    let to_send = batches.to_vec();
    let sending = tokio::spawn(async move {
        for batch in to_send {
            if sender.send(batch).await.is_err() {
                return;
            }
        }
    });
    let mut items = Vec::new();
    while let Some(item) = answers.next().await {
        let result = item.result.map(|a| a.outcomes.len()).map_err(|e| e.code);
        items.push((item.batch, result));
    }
    sending.await.unwrap();
    items
}

fn batches(fake: &FakeHub, count: u8) -> Vec<SignedBatch> {
    (0..count).map(|n| fake.batch(n, 1 + n % 3)).collect()
}

fn assert_all_answered(items: &[(SignedBatch, Result<usize, Code>)], batches: &[SignedBatch]) {
    assert_eq!(items.len(), batches.len());
    for ((batch, result), sent) in items.iter().zip(batches) {
        assert_eq!(batch, sent);
        assert_eq!(*result, Ok(sent.messages().len()));
    }
}

#[tokio::test]
async fn answers_come_in_order() {
    let fake = FakeHub::start();
    let batches = batches(&fake, 30);
    for window in [1, 4, 100] {
        let items = play(&fake, &batches, window, quick()).await;
        assert_all_answered(&items, &batches);
    }
    // Nothing was lost, so nothing was sent twice.
    assert_eq!(fake.received().len(), 90);
}

#[tokio::test]
async fn streams_that_end_are_taken_up_again() {
    let fake = FakeHub::start();
    let batches = batches(&fake, 30);
    let faults = (0..30).map(|n| match n % 7 {
        2 => Fault::End,
        5 => Fault::Status(Status::unavailable("owner lost")),
        _ => Fault::None,
    });
    fake.will(faults);
    let items = play(&fake, &batches, 5, quick()).await;
    assert_all_answered(&items, &batches);
    // The same bytes, nothing else.
    for payload in fake.received() {
        assert!(batches.iter().any(|b| b.envelope().payload == payload));
    }
}

#[tokio::test]
async fn a_killed_hub_is_waited_for_and_gets_what_it_did_not_answer() {
    let mut fake = FakeHub::start();
    let batches = batches(&fake, 40);
    let (sender, mut answers) = stream(&fake, 4, quick());
    let to_send = batches.clone();
    let sending = tokio::spawn(async move {
        for batch in to_send {
            sender.send(batch).await.unwrap();
        }
    });
    let mut items = Vec::new();
    while let Some(item) = answers.next().await {
        items.push((
            item.batch,
            item.result.map(|a| a.outcomes.len()).map_err(|e| e.code),
        ));
        if items.len() % 10 == 0 {
            fake.kill();
            tokio::time::sleep(Duration::from_millis(20)).await;
            fake.serve(None);
        }
    }
    sending.await.unwrap();
    assert_all_answered(&items, &batches);
}

#[tokio::test]
async fn a_refused_batch_does_not_end_the_stream() {
    let fake = FakeHub::start();
    let batches = batches(&fake, 5);
    fake.will([Fault::None, Fault::Refused(refusal("SIGNATURE_INVALID"))]);
    let items = play(&fake, &batches, 3, quick()).await;
    let results: Vec<_> = items.iter().map(|(_, result)| *result).collect();
    assert_eq!(
        results,
        [Ok(1), Err(Code::InvalidArgument), Ok(3), Ok(1), Ok(2)]
    );
    assert_eq!(fake.received().len(), 5);
}

#[tokio::test]
async fn a_refused_batch_that_may_be_sent_again_is_and_keeps_its_place() {
    let fake = FakeHub::start();
    let batches = batches(&fake, 6);
    let details = || ErrorDetails::with_error_info("LIMIT_EXCEEDED", "hansa.v1", []);
    let limited = || Status::with_error_details(Code::ResourceExhausted, "slower", details());
    let unavailable = Status::with_error_details(Code::Unavailable, "not owner", details());
    fake.will([
        Fault::None,
        Fault::Refused(limited()),
        Fault::None,
        Fault::Refused(unavailable),
    ]);
    let items = play(&fake, &batches, 2, quick()).await;
    assert_all_answered(&items, &batches);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_asked_for_again() {
    let fake = FakeHub::start();
    let batches = batches(&fake, 3);
    fake.will([Fault::None, Fault::Hang]);
    let mut retry = quick();
    retry.attempt_timeout = Duration::from_millis(300);
    let items = play(&fake, &batches, 1, retry).await;
    assert_all_answered(&items, &batches);
    assert_eq!(fake.received().len(), 4);
}

#[tokio::test]
async fn when_it_gives_up_every_batch_gets_its_error() {
    let mut fake = FakeHub::start();
    let batches = batches(&fake, 4);
    fake.kill();
    let mut retry = quick();
    retry.give_up_after = Duration::from_millis(300);
    let items = play(&fake, &batches, 10, retry).await;
    // What was sent after the end was handed back to the sender.
    assert!((1..=4).contains(&items.len()));
    for ((batch, result), sent) in items.iter().zip(&batches) {
        assert_eq!(batch, sent);
        assert_eq!(*result, Err(Code::Unavailable));
    }
    // For good: an unauthenticated stream is not tried again.
    fake.serve(None);
    let hub = Hub::new(&fake.options(), None).unwrap();
    let (sender, mut answers) = hub.stream(3);
    sender.send(batches[0].clone()).await.unwrap();
    let item = answers.next().await.unwrap();
    assert_eq!(item.result.unwrap_err().code, Code::Unauthenticated);
    assert!(answers.next().await.is_none());
    assert_eq!(
        sender.send(batches[1].clone()).await,
        Err(batches[1].clone())
    );
}

#[tokio::test]
async fn a_stream_without_batches_ends_when_the_sender_goes() {
    let fake = FakeHub::start();
    assert!(play(&fake, &[], 3, quick()).await.is_empty());
    assert!(fake.state.lock().unwrap().tokens.is_empty());
}
