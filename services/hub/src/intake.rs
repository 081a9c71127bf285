//! From received bytes to messages that can be decided: signature, decoding, field rules. Needs no state but the
//! registered keys, runs on the caller's task, and refuses an envelope whole: no id is used up.

use std::cell::LazyCell;

use bytes::Bytes;
use hansa_client::{
    dsse::{self, DsseError},
    keys::VerifyingKey,
    message,
    touch_id::{self, SignedTouchId},
};
use hansa_proto::{BATCH_PAYLOAD_TYPE, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, v1};
use hansa_settlement::{
    CommissionReason, Currency, Instant, MerchantIx,
    commission::{ClaimedTouch, TouchKind},
};
use prost::Message as _;
use ring::digest::{SHA256, digest};

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
    /// Conversion; what it says stands in [`Prepared::claim`].
    Conversion,
    /// Return of a conversion.
    ConversionReturn {
        /// Id of the conversion.
        original: Id,
        /// Currency of the amount.
        currency: Currency,
        /// Unit: micro-units.
        amount: i64,
        /// Why.
        reason: CommissionReason,
        /// The merchant's reference of the return, hashed.
        reference: Option<[u8; 16]>,
    },
    /// Approval of a conversion.
    ConversionApproval {
        /// Id of the conversion.
        original: Id,
    },
}

impl Action {
    /// Id of the message that this one refers to.
    pub fn original(&self) -> Option<&Id> {
        match self {
            Self::Accrual { .. } | Self::Authorisation { .. } | Self::Conversion => None,
            Self::Reversal { original, .. }
            | Self::Capture { original, .. }
            | Self::Void { original }
            | Self::Refund { original, .. }
            | Self::ConversionReturn { original, .. }
            | Self::ConversionApproval { original } => Some(original),
        }
    }
}

/// What a conversion says, with its click ids checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Currency of the amount.
    pub currency: Currency,
    /// Unit: micro-units.
    pub amount: i64,
    /// The merchant's reference of the order, hashed.
    pub order: Id,
    /// Touches that the hub signed for this merchant.
    pub touches: Vec<ClaimedTouch>,
    /// Whether it names a click id that the hub did not sign for this merchant.
    pub forged: bool,
    /// Code, empty for none.
    pub code: String,
    /// Country, empty for none.
    pub country: String,
    /// Category, empty for none.
    pub category: String,
    /// Id of the first conversion, where this one recurs.
    pub recurs: Option<Id>,
}

/// The id that stands for a merchant's own name of an order or of a return: the first 16 bytes of its SHA-256.
pub fn name_hash(name: &str) -> Id {
    let mut id = [0; 16];
    let hash = digest(&SHA256, name.as_bytes());
    id.copy_from_slice(&hash.as_ref()[..16]);
    id
}

/// A message whose fields are in order.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its id.
    pub id: Id,
    /// The merchant's reference of the member; zeros in what concerns conversions.
    pub reference: Reference,
    /// Unit: microseconds since 1970.
    pub event_time: i64,
    /// What it does.
    pub action: Action,
    /// Of a conversion, what it says.
    pub claim: Option<Box<Claimed>>,
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
    let messages = decode(&envelope.payload, merchant, registry)?;
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

/// The messages of a batch's payload, all in order; or every violation of the field rules. Click ids are checked with the hub's keys,
/// which costs one verification of a signature each.
pub fn decode(
    payload: &Bytes,
    merchant: u32,
    registry: &Registry,
) -> Result<Vec<Prepared>, HubError> {
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
    let hub_keys = LazyCell::new(|| hub_keys(registry));
    let mut broken = Vec::new();
    let mut prepared = Vec::with_capacity(elements.len());
    for (index, bytes) in elements.into_iter().enumerate() {
        let wire = v1::Message::decode(bytes.clone()).map_err(|_| undecodable(Some(index)))?;
        let violations = message::validate(&wire);
        if violations.is_empty() {
            let message = convert(wire, bytes, merchant, &hub_keys);
            prepared.push(message.ok_or_else(|| undecodable(Some(index)))?);
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

/// An element of a batch that was taken in before; `None`: it is no message that a batch may have.
pub fn element(bytes: Bytes, merchant: u32, registry: &Registry) -> Option<Prepared> {
    let wire = v1::Message::decode(bytes.clone()).ok()?;
    convert(wire, bytes, merchant, &LazyCell::new(|| hub_keys(registry)))
}

/// The touch behind a click id that the hub made for a merchant. Costs one verification of a signature.
pub fn touch(click_id: &str, merchant: u32, registry: &Registry) -> Option<ClaimedTouch> {
    genuine(click_id, merchant, &hub_keys(registry))
}

/// Violations that one refusal lists at most: details travel in headers, which peers bound.
pub(crate) const MAX_VIOLATIONS: usize = 50;

/// The keys that click ids are checked with.
fn hub_keys(registry: &Registry) -> Vec<VerifyingKey> {
    let hub = registry.keys.values().filter(|key| key.owner == Owner::Hub);
    hub.filter_map(|key| VerifyingKey::from_bytes(&key.public_key).ok())
        .collect()
}

/// `None` only for what `message::validate` has refused. The hub's keys are looked up when the first click id needs them.
fn convert(
    wire: v1::Message,
    bytes: Bytes,
    merchant: u32,
    hub_keys: &LazyCell<Vec<VerifyingKey>, impl FnOnce() -> Vec<VerifyingKey>>,
) -> Option<Prepared> {
    use v1::message::Body;
    let id = |bytes: &[u8]| Id::try_from(bytes).ok();
    let money = |money: Option<&v1::Money>| {
        let money = money?;
        Some((Currency::new(&money.currency_code).ok()?, money.micros))
    };
    let mut claim = None;
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
        Body::Conversion(c) => {
            let (currency, amount) = money(c.amount.as_ref())?;
            let (touches, forged) = touches(&c.click_ids, merchant, hub_keys);
            let recurs = match c.recurring_of.as_slice() {
                [] => None,
                first => Some(id(first)?),
            };
            claim = Some(Box::new(Claimed {
                currency,
                amount,
                order: name_hash(&c.order_reference),
                touches,
                forged,
                code: c.code,
                country: c.country_code,
                category: c.category,
                recurs,
            }));
            Action::Conversion
        }
        Body::ConversionReturn(r) => {
            let (currency, amount) = money(r.returned_amount.as_ref())?;
            let reason = crate::convert::commission_reason(r.reason())?;
            let named = !r.return_reference.is_empty();
            Action::ConversionReturn {
                original: id(&r.conversion_message_id)?,
                currency,
                amount,
                reason,
                reference: named.then(|| name_hash(&r.return_reference)),
            }
        }
        Body::ConversionApproval(a) => Action::ConversionApproval {
            original: id(&a.conversion_message_id)?,
        },
    };
    let reference = match (&action, wire.member_reference.as_slice()) {
        (
            Action::Conversion
            | Action::ConversionReturn { .. }
            | Action::ConversionApproval { .. },
            [],
        ) => [0; 16],
        (_, reference) => Reference::try_from(reference).ok()?,
    };
    Some(Prepared {
        id: id(&wire.message_id)?,
        reference,
        event_time: micros(wire.event_time.as_ref()?),
        action,
        claim,
        bytes,
    })
}

/// The touches behind click ids that the hub made for a merchant, and whether one is none of those.
fn touches(
    click_ids: &[String],
    merchant: u32,
    hub_keys: &[VerifyingKey],
) -> (Vec<ClaimedTouch>, bool) {
    let read = |text: &String| genuine(text, merchant, hub_keys);
    let touches: Vec<ClaimedTouch> = click_ids.iter().filter_map(read).collect();
    let forged = touches.len() < click_ids.len();
    (touches, forged)
}

fn genuine(click_id: &str, merchant: u32, hub_keys: &[VerifyingKey]) -> Option<ClaimedTouch> {
    let signed = SignedTouchId::decode(click_id).ok()?;
    let touch = hub_keys.iter().find_map(|key| signed.verify(key).ok())?;
    Some(ClaimedTouch {
        id: touch.id,
        kind: match touch.kind {
            touch_id::TouchKind::Click => TouchKind::Click,
            touch_id::TouchKind::View => TouchKind::View,
        },
        flags: touch.flags.bits(),
        affiliate: MerchantIx(touch.affiliate),
        site: touch.site,
        at: Instant(i64::try_from(touch.at_ms()).ok()?.checked_mul(1_000)?),
    })
    .filter(|_| touch.merchant == merchant)
}
