//! Batches: messages collected, signed once, sent as the same bytes for ever.

use bytes::{BufMut as _, Bytes, BytesMut};
use hansa_proto::v1::{self, Envelope};
use hansa_proto::{BATCH_PAYLOAD_TYPE, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::dsse;
use crate::keys::SigningKey;
use crate::message::{Violation, validate};

/// Tag of `Batch.messages` on the wire: field 1, length-delimited.
const MESSAGES_TAG: u8 = 0x0a;

/// Why a message does not go into a batch, or an envelope is no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The batch has no room; sign it and put the message into the next one.
    #[error("the batch is full")]
    Full,
    /// The message alone is larger than a batch may be.
    #[error("the message is larger than a batch may be")]
    MessageTooLarge,
    /// Fields break rules.
    #[error("the message breaks {} field rules", .0.len())]
    Invalid(Vec<Violation>),
    /// A batch has at least one message.
    #[error("the batch is empty")]
    Empty,
    /// The envelope's payload is not a batch.
    #[error("not a batch")]
    Undecodable,
}

/// Collects messages up to the limits of a batch: 4 000 messages and 1 MiB.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    payload: BytesMut,
    len: usize,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message that is in order.
    ///
    /// # Errors
    /// [`BatchError::Invalid`], [`BatchError::Full`], [`BatchError::MessageTooLarge`]; the batch stays as it was.
    pub fn push(&mut self, message: &v1::Message) -> Result<(), BatchError> {
        let violations = validate(message);
        if !violations.is_empty() {
            return Err(BatchError::Invalid(violations));
        }
        self.make_room(message.encoded_len())?;
        // The buffer grows as needed, so encoding cannot run out of room.
        message
            .encode(&mut self.payload)
            .map_err(|_| BatchError::Full)
    }

    /// Adds the exact bytes of a message that was encoded before, unchecked: the same id with the same bytes is
    /// answered with the first outcome.
    ///
    /// # Errors
    /// [`BatchError::Full`], [`BatchError::MessageTooLarge`]; the batch stays as it was.
    pub fn push_encoded(&mut self, message: &[u8]) -> Result<(), BatchError> {
        self.make_room(message.len())?;
        self.payload.extend_from_slice(message);
        Ok(())
    }

    /// Number of messages.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no message.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Size of the payload so far. Unit: bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// Signs the batch and begins a new one.
    ///
    /// # Errors
    /// [`BatchError::Empty`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<SignedBatch, BatchError> {
        if self.is_empty() {
            return Err(BatchError::Empty);
        }
        self.len = 0;
        let payload = self.payload.split().freeze();
        SignedBatch::from_envelope(dsse::sign(BATCH_PAYLOAD_TYPE, payload, key))
    }

    /// Writes the head of an element of `message_len` bytes, if the batch has room for it.
    fn make_room(&mut self, message_len: usize) -> Result<(), BatchError> {
        let framed = 1 + encoded_len_varint(message_len as u64) + message_len;
        if framed > MAX_BATCH_BYTES {
            return Err(BatchError::MessageTooLarge);
        }
        if self.len >= MAX_BATCH_MESSAGES || self.payload.len() + framed > MAX_BATCH_BYTES {
            return Err(BatchError::Full);
        }
        self.payload.reserve(framed);
        self.payload.put_u8(MESSAGES_TAG);
        encode_varint(message_len as u64, &mut self.payload);
        self.len += 1;
        Ok(())
    }
}

/// A signed batch: what is sent, and sent again, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedBatch {
    envelope: Envelope,
    messages: Vec<Bytes>,
}

impl SignedBatch {
    /// Takes an envelope that was signed before, e.g. one of an outbox. Does not verify it.
    ///
    /// # Errors
    /// [`BatchError::Undecodable`].
    pub fn from_envelope(envelope: Envelope) -> Result<Self, BatchError> {
        if envelope.payload_type != BATCH_PAYLOAD_TYPE {
            return Err(BatchError::Undecodable);
        }
        let batch =
            v1::Batch::decode(envelope.payload.clone()).map_err(|_| BatchError::Undecodable)?;
        Ok(Self {
            envelope,
            messages: batch.messages,
        })
    }

    /// What is sent.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The exact bytes of each message: slices of the payload, not copies.
    #[must_use]
    pub fn messages(&self) -> &[Bytes] {
        &self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Draft;

    fn message(n: u8) -> v1::Message {
        Draft::with_id([n; 16], 1_000_000, [2; 16])
            .lane("till-7")
            .redemption_authorisation(i64::from(n) + 1)
            .unwrap()
    }

    #[test]
    fn a_batch_keeps_the_bytes_of_each_message() {
        let key = SigningKey::generate().unwrap();
        let mut builder = BatchBuilder::new();
        let encoded: Vec<Vec<u8>> = (0..5).map(|n| message(n).encode_to_vec()).collect();
        builder.push(&message(0)).unwrap();
        for bytes in &encoded[1..] {
            builder.push_encoded(bytes).unwrap();
        }
        assert_eq!(builder.len(), 5);
        let signed = builder.sign(&key).unwrap();
        assert_eq!(signed.messages(), encoded.as_slice());
        // As any protobuf library writes it.
        let batch = v1::Batch {
            messages: encoded.iter().cloned().map(Bytes::from).collect(),
        };
        assert_eq!(signed.envelope().payload, batch.encode_to_vec());
        dsse::verify(signed.envelope(), BATCH_PAYLOAD_TYPE, &key.verifying_key()).unwrap();
        assert_eq!(
            SignedBatch::from_envelope(signed.envelope().clone()).unwrap(),
            signed
        );
        // The builder is ready for the next batch.
        assert!(builder.is_empty());
        assert_eq!(builder.sign(&key), Err(BatchError::Empty));
    }

    #[test]
    fn a_batch_ends_at_4000_messages() {
        let mut builder = BatchBuilder::new();
        for _ in 0..MAX_BATCH_MESSAGES {
            builder.push(&message(1)).unwrap();
        }
        let before = builder.payload_len();
        assert_eq!(builder.push(&message(1)), Err(BatchError::Full));
        assert_eq!(builder.len(), MAX_BATCH_MESSAGES);
        assert_eq!(builder.payload_len(), before);
    }

    #[test]
    fn a_batch_ends_at_1_mib() {
        let mut builder = BatchBuilder::new();
        // Tag, 3 bytes of length, then the message: exactly 1 MiB.
        let largest = vec![0; MAX_BATCH_BYTES - 4];
        builder.push_encoded(&largest).unwrap();
        assert_eq!(builder.payload_len(), MAX_BATCH_BYTES);
        assert_eq!(builder.push_encoded(b""), Err(BatchError::Full));
        let larger = vec![0; MAX_BATCH_BYTES - 3];
        assert_eq!(
            BatchBuilder::new().push_encoded(&larger),
            Err(BatchError::MessageTooLarge)
        );
    }

    #[test]
    fn an_invalid_message_stays_out() {
        let mut builder = BatchBuilder::new();
        let mut bad = message(1);
        bad.message_id.pop();
        assert!(matches!(builder.push(&bad), Err(BatchError::Invalid(v)) if v.len() == 1));
        assert!(builder.is_empty());
        assert_eq!(builder.payload_len(), 0);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let envelope = |payload_type: &str, payload: &'static [u8]| Envelope {
            payload: Bytes::from_static(payload),
            payload_type: payload_type.into(),
            signatures: vec![],
        };
        for bad in [
            envelope("text/plain", b""),
            envelope(BATCH_PAYLOAD_TYPE, b"\x0a\x05x"),
        ] {
            assert_eq!(
                SignedBatch::from_envelope(bad),
                Err(BatchError::Undecodable)
            );
        }
    }
}
