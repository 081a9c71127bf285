//! From received bytes to messages that can be decided: signature, decoding, field rules. Needs no state but the
//! registered keys, runs on the caller's task, and refuses an envelope whole: no id is used up.

use bytes::Bytes;
use hansa_client::{
    dsse::{self, DsseError},
    keys::VerifyingKey,
    message,
};
use hansa_proto::{BATCH_PAYLOAD_TYPE, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, v1};
use hansa_settlement::Currency;
use prost::Message as _;

use crate::{
    auth::Caller,
    convert::micros,
    error::{FieldError, HubError, Reason},
    limits::Permit,
    registry::{Owner, Registry},
    sequencer::{ids::Id, references::Reference},
};

/// What a message does, with the id of the message that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Accrual.
    Accrual {
        /// Currency of the amount.
        currency: Currency,
        /// Unit: micro-units.
        amount: i64,
        /// Claimed, or computed by the merchant.
        points: Option<i64>,
    },
    /// Accrual reversal.
    Reversal {
        /// Id of the accrual.
        original: Id,
        /// Currency of the amount.
        currency: Currency,
        /// Unit: micro-units.
        amount: i64,
    },
    /// Redemption authorisation.
    Authorisation {
        /// Points to hold.
        points: i64,
    },
    /// Redemption capture.
    Capture {
        /// Id of the authorisation.
        original: Id,
        /// Points to spend.
        points: i64,
    },
    /// Redemption void.
    Void {
        /// Id of the authorisation.
        original: Id,
    },
    /// Redemption refund.
    Refund {
        /// Id of the capture.
        original: Id,
        /// Points to give back.
        points: i64,
    },
}

impl Action {
    /// Id of the message that this one refers to.
    pub fn original(&self) -> Option<&Id> {
        match self {
            Self::Accrual { .. } | Self::Authorisation { .. } => None,
            Self::Reversal { original, .. }
            | Self::Capture { original, .. }
            | Self::Void { original }
            | Self::Refund { original, .. } => Some(original),
        }
    }
}

/// A message whose fields are in order.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its id.
    pub id: Id,
    /// The merchant's reference of the member.
    pub reference: Reference,
    /// Unit: microseconds since 1970.
    pub event_time: i64,
    /// What it does.
    pub action: Action,
    /// Its element of the batch, verbatim: the identity of its content.
    pub bytes: Bytes,
}

/// A batch whose signature and fields are in order.
#[derive(Debug)]
pub struct PreparedBatch {
    /// The sender's index in the ledger.
    pub merchant: u32,
    /// The key that signed it.
    pub key_id: String,
    /// As received.
    pub envelope: v1::Envelope,
    /// Its messages.
    pub messages: Vec<Prepared>,
    /// Of each message, the member that its reference means, as far as memory knew it when the batch was gathered.
    pub members: Vec<Option<u64>>,
    /// The merchant's place for a batch under way, held until the batch is decided.
    pub permit: Option<Permit>,
}

/// Verifies and decodes a caller's envelope. `now` in microseconds.
pub fn prepare(
    envelope: v1::Envelope,
    caller: &Caller,
    registry: &Registry,
    now: i64,
) -> Result<PreparedBatch, HubError> {
    let (slug, merchant) = caller.merchant()?;
    if envelope.payload.len() > MAX_BATCH_BYTES {
        return Err(too_large());
    }
    let signature = dsse::signature(&envelope, BATCH_PAYLOAD_TYPE)
        .map_err(|error| HubError::new(Reason::EnvelopeInvalid, error.to_string()))?;
    let key_id = signature.keyid.clone();
    let Some(key) = registry.keys.get(&key_id) else {
        let message =
            format!("no key \"{key_id}\" is registered; register it, or check the key id");
        return Err(HubError::new(Reason::KeyUnknown, message));
    };
    if key.owner != Owner::Merchant(slug.to_owned()) {
        let message = "the envelope is signed with a key that is not the caller's";
        return Err(HubError::new(Reason::SignerMismatch, message));
    }
    key.check(&key_id, now)?;
    let verifying = VerifyingKey::from_bytes(&key.public_key).map_err(HubError::internal)?;
    dsse::verify(&envelope, BATCH_PAYLOAD_TYPE, &verifying).map_err(|error| match error {
        DsseError::BadSignature => HubError::new(
            Reason::SignatureInvalid,
            "the signature does not fit payload and key; sign PAE(payload_type, payload) of the very bytes you send",
        ),
        other => HubError::new(Reason::EnvelopeInvalid, other.to_string()),
    })?;
    let messages = decode(&envelope.payload)?;
    Ok(PreparedBatch {
        merchant,
        key_id,
        envelope,
        messages,
        members: Vec::new(),
        permit: None,
    })
}

/// The refusal of a batch that has more than a batch may have.
pub fn too_large() -> HubError {
    let message = format!(
        "a batch has at most {MAX_BATCH_MESSAGES} messages and {MAX_BATCH_BYTES} bytes; split it, nothing was taken"
    );
    HubError::new(Reason::BatchTooLarge, message)
}

fn undecodable(at: Option<usize>) -> HubError {
    let what = at.map_or_else(
        || "the payload is not a hansa.v1.Batch".to_owned(),
        |i| format!("messages[{i}] is not a hansa.v1.Message"),
    );
    HubError::new(Reason::PayloadUndecodable, what)
}

/// The elements of a batch's payload.
pub fn elements(payload: &Bytes) -> Result<Vec<Bytes>, HubError> {
    Ok(v1::Batch::decode(payload.clone())
        .map_err(|_| undecodable(None))?
        .messages)
}

/// The messages of a batch's payload, all in order; or every violation of the field rules.
pub fn decode(payload: &Bytes) -> Result<Vec<Prepared>, HubError> {
    let elements = elements(payload)?;
    if elements.len() > MAX_BATCH_MESSAGES {
        return Err(too_large());
    }
    if elements.is_empty() {
        return Err(HubError::field(
            "messages",
            "REQUIRED",
            "a batch has at least one message",
        ));
    }
    let mut broken = Vec::new();
    let mut prepared = Vec::with_capacity(elements.len());
    for (index, bytes) in elements.into_iter().enumerate() {
        let wire = v1::Message::decode(bytes.clone()).map_err(|_| undecodable(Some(index)))?;
        let violations = message::validate(&wire);
        if violations.is_empty() {
            prepared.push(convert(wire, bytes).ok_or_else(|| undecodable(Some(index)))?);
            continue;
        }
        broken.extend(violations.into_iter().map(|v| FieldError {
            field: format!("messages[{index}].{}", v.field),
            reason: v.reason,
            description: v.description,
        }));
        if broken.len() >= MAX_VIOLATIONS {
            break;
        }
    }
    if broken.is_empty() {
        Ok(prepared)
    } else {
        Err(HubError::fields(broken))
    }
}

/// Violations that one refusal lists at most: details travel in headers, which peers bound.
const MAX_VIOLATIONS: usize = 50;

/// `None` only for what `message::validate` has refused.
fn convert(wire: v1::Message, bytes: Bytes) -> Option<Prepared> {
    use v1::message::Body;
    let id = |bytes: &[u8]| Id::try_from(bytes).ok();
    let money = |money: Option<&v1::Money>| {
        let money = money?;
        Some((Currency::new(&money.currency_code).ok()?, money.micros))
    };
    let action = match wire.body? {
        Body::Accrual(a) => {
            let (currency, amount) = money(a.eligible_amount.as_ref())?;
            Action::Accrual {
                currency,
                amount,
                points: a.points,
            }
        }
        Body::AccrualReversal(r) => {
            let (currency, amount) = money(r.returned_amount.as_ref())?;
            Action::Reversal {
                original: id(&r.accrual_message_id)?,
                currency,
                amount,
            }
        }
        Body::RedemptionAuthorisation(a) => Action::Authorisation { points: a.points },
        Body::RedemptionCapture(c) => Action::Capture {
            original: id(&c.authorisation_message_id)?,
            points: c.points,
        },
        Body::RedemptionVoid(v) => Action::Void {
            original: id(&v.authorisation_message_id)?,
        },
        Body::RedemptionRefund(r) => Action::Refund {
            original: id(&r.capture_message_id)?,
            points: r.points,
        },
    };
    Some(Prepared {
        id: id(&wire.message_id)?,
        reference: Reference::try_from(wire.member_reference.as_slice()).ok()?,
        event_time: micros(wire.event_time.as_ref()?),
        action,
        bytes,
    })
}
