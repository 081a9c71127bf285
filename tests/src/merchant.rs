//! A merchant's till: signs what it is told to, and keeps what came of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use hansa_client::{
    batch::{BatchBuilder, SignedBatch},
    dsse,
    hub::{Answer, CallError, Hub},
    ids::MessageId,
    keys::SigningKey,
    message::MemberReference,
    time::timestamp,
};
use hansa_proto::{
    BATCH_PAYLOAD_TYPE,
    v1::{self, message::Body},
};
use prost::Message as _;
use ring::digest::{SHA256, digest};

use crate::{body, clock::Clock};

/// A merchant with a registered key.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: Arc<SigningKey>,
    /// Its connection; calls are tried again after transient failures.
    pub hub: Hub,
    /// The time that it lives by.
    pub clock: Clock,
}

/// A message with what came of it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its id.
    pub id: MessageId,
    /// As sent.
    pub message: v1::Message,
    /// What came of it.
    pub outcome: v1::Outcome,
    /// Of the entry that holds it; absent for a replay.
    pub receipt: Option<v1::Receipt>,
}

impl Sent {
    /// Asserts that it took effect.
    ///
    /// # Panics
    /// When it did not.
    #[must_use = "or say `ok`"]
    pub fn accepted(self) -> Self {
        self.assert_code(v1::ResultCode::Accepted);
        self
    }

    /// Asserts that it took effect, and drops it.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) {
        self.assert_code(v1::ResultCode::Accepted);
    }

    /// Asserts what was decided.
    ///
    /// # Panics
    /// When it was something else.
    #[track_caller]
    pub fn assert_code(&self, code: v1::ResultCode) {
        assert_eq!(self.outcome.code(), code, "{:?}", self.message);
    }
}

/// A message id that no test of this process used before; later ones are larger.
#[must_use]
pub fn next_id() -> MessageId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut id = [0x80; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// The id of a message.
///
/// # Panics
/// When it has not 16 bytes.
#[must_use]
pub fn id_of(message: &v1::Message) -> MessageId {
    message.message_id.as_slice().try_into().unwrap()
}

/// What identifies a person everywhere: a hash of a name.
#[must_use]
pub fn enrolment_key(name: &str) -> Vec<u8> {
    digest(&SHA256, name.as_bytes()).as_ref().to_vec()
}

impl Merchant {
    /// The reference of a person; equal names are one member for all merchants.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn enrol(&self, name: &str) -> MemberReference {
        self.hub.enrol(&[enrolment_key(name)]).await.unwrap()[0]
    }

    /// References of `count` persons, `prefix-0` and so on.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn enrol_many(&self, prefix: &str, count: usize) -> Vec<MemberReference> {
        let keys: Vec<Vec<u8>> = (0..count)
            .map(|n| enrolment_key(&format!("{prefix}-{n}")))
            .collect();
        self.hub.enrol(&keys).await.unwrap()
    }

    /// A message of now, with a new id.
    #[must_use]
    pub fn message(&self, member: &MemberReference, body: Body) -> v1::Message {
        v1::Message {
            message_id: next_id().to_vec(),
            event_time: Some(timestamp(self.clock.now())),
            member_reference: member.to_vec(),
            body: Some(body),
            ..v1::Message::default()
        }
    }

    /// Signs a payload that may be anything.
    #[must_use]
    pub fn sign_payload(&self, payload: impl Into<bytes::Bytes>) -> v1::Envelope {
        dsse::sign(BATCH_PAYLOAD_TYPE, payload.into(), &self.key)
    }

    /// Signs messages, in order or not.
    #[must_use]
    pub fn sign(&self, messages: &[v1::Message]) -> v1::Envelope {
        let batch = v1::Batch {
            messages: messages.iter().map(|m| m.encode_to_vec().into()).collect(),
        };
        self.sign_payload(batch.encode_to_vec())
    }

    /// A batch as the client makes it.
    ///
    /// # Panics
    /// When a message breaks a rule or there are too many.
    #[must_use]
    pub fn batch(&self, messages: &[v1::Message]) -> SignedBatch {
        let mut builder = BatchBuilder::new();
        for message in messages {
            builder.push(message).unwrap();
        }
        builder.sign(&self.key).unwrap()
    }

    /// Sends an envelope once, whatever is in it.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn submit_once(
        &self,
        envelope: v1::Envelope,
    ) -> Result<v1::SubmitBatchResponse, CallError> {
        let request = v1::SubmitBatchRequest {
            envelope: Some(envelope),
            validate_only: false,
        };
        let response = self.hub.exchange().submit_batch(request).await?;
        Ok(response.into_inner())
    }

    /// Sends messages in one batch, until there is an answer.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn try_send(&self, messages: &[v1::Message]) -> Result<Answer, CallError> {
        self.hub.submit(&self.batch(messages)).await
    }

    /// Sends messages in one batch.
    ///
    /// # Panics
    /// When the call is refused.
    pub async fn send_all(&self, messages: &[v1::Message]) -> Answer {
        self.try_send(messages).await.unwrap()
    }

    /// Sends a message.
    ///
    /// # Panics
    /// When the call is refused.
    pub async fn send(&self, message: v1::Message) -> Sent {
        let mut answer = self.send_all(std::slice::from_ref(&message)).await;
        Sent {
            id: id_of(&message),
            message,
            outcome: answer.outcomes.remove(0),
            receipt: answer.receipt,
        }
    }

    /// Sends a message of now.
    pub async fn say(&self, member: &MemberReference, body: Body) -> Sent {
        self.send(self.message(member, body)).await
    }

    /// A purchase, e.g. of `12.34` EUR.
    pub async fn accrue(&self, member: &MemberReference, amount: &str) -> Sent {
        self.say(member, body::accrual(amount)).await
    }

    /// A return.
    pub async fn reverse(
        &self,
        member: &MemberReference,
        accrual: MessageId,
        amount: &str,
    ) -> Sent {
        self.say(member, body::reversal(accrual, amount)).await
    }

    /// A hold.
    pub async fn authorise(&self, member: &MemberReference, points: i64) -> Sent {
        self.say(member, body::authorisation(points)).await
    }

    /// Held points spent.
    pub async fn capture(
        &self,
        member: &MemberReference,
        authorisation: MessageId,
        points: i64,
    ) -> Sent {
        self.say(member, body::capture(authorisation, points)).await
    }

    /// A hold given back.
    pub async fn void(&self, member: &MemberReference, authorisation: MessageId) -> Sent {
        self.say(member, body::void(authorisation)).await
    }

    /// Spent points given back.
    pub async fn refund(&self, member: &MemberReference, capture: MessageId, points: i64) -> Sent {
        self.say(member, body::refund(capture, points)).await
    }

    /// A balance.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn balance(&self, member: &MemberReference) -> v1::GetBalanceResponse {
        self.hub.balance(member).await.unwrap()
    }

    /// All lots of a member.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn lots(&self, member: &MemberReference) -> Vec<v1::Lot> {
        let request = v1::ListLotsRequest {
            member_reference: member.to_vec(),
            page_size: 1_000,
            ..v1::ListLotsRequest::default()
        };
        let response = self.hub.members().list_lots(request).await.unwrap();
        response.into_inner().lots
    }
}
