//! What a conversion names, and what was used up before: click ids, order references, and conversions by the ids of their messages.
//! All of that is kept as references are, each under a number of its own for each merchant, so that memory stays bounded.

use std::collections::BTreeSet;

use hansa_proto::v1::{self, message::Body};
use serde::{Deserialize, Serialize};

use crate::{
    attribution::Attribution,
    auditor::Auditor,
    finding::{Mismatch, What},
    memory::Memory,
    seal::sha256,
    source::{MerchantNo, ReferenceKey},
    touch::{self, Touch},
};

/// A conversion as it was accepted: all touches are kept, counted or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) merchant: MerchantNo,
    /// Place of the merchant's terms among its versions.
    pub(crate) version: usize,
    pub(crate) event_time: i64,
    pub(crate) amount: i64,
    pub(crate) recurring: bool,
    pub(crate) country: String,
    pub(crate) category: String,
    /// In the merchant's order.
    pub(crate) touches: Vec<Touch>,
    /// Ids of those that were declared invalid.
    pub(crate) invalid: BTreeSet<[u8; 16]>,
    /// Who held the code that it names.
    pub(crate) code: Option<MerchantNo>,
    /// When it locks.
    pub(crate) locks: i64,
}

/// What was found for a new conversion.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Touches that the hub signed, each with the conversion that used it.
    pub(crate) touches: Vec<(Touch, Option<u64>)>,
    /// It names a click id that the hub did not sign for this merchant.
    pub(crate) forged: bool,
    pub(crate) order_known: bool,
    /// It says to recur.
    pub(crate) recurs: bool,
    /// Of this conversion.
    pub(crate) first: Option<u64>,
}

/// A message about a conversion.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    New(&'a v1::Conversion, Asked),
    Return(&'a v1::ConversionReturn),
    Approval,
}

/// What stands for a merchant's own name of an order or a return: the first 16 bytes of its SHA-256.
pub(crate) fn name(text: &str) -> [u8; 16] {
    let hash = sha256(&[text.as_bytes()]);
    let mut name = [0; 16];
    name.copy_from_slice(&hash[..16]);
    name
}

// Numbers beyond those of merchants, and within what databases have for them.

fn conversion(merchant: MerchantNo, id: [u8; 16]) -> ReferenceKey {
    (1 << 28 | merchant, id)
}

fn click(merchant: MerchantNo, id: [u8; 16]) -> ReferenceKey {
    (1 << 29 | merchant, id)
}

fn order(merchant: MerchantNo, reference: &str) -> ReferenceKey {
    (1 << 30 | merchant, name(reference))
}

/// The conversion that a message names by the id of its message.
fn named(merchant: MerchantNo, id: &[u8]) -> Option<ReferenceKey> {
    Some(conversion(merchant, id.try_into().ok()?))
}

/// The touches behind a conversion's click ids, those that the hub did not sign for this merchant as none. Costs one verification each.
pub(crate) fn touches(
    body: Option<&Body>,
    merchant: MerchantNo,
    hub: Option<&[u8; 32]>,
) -> Vec<Option<Touch>> {
    let (Some(Body::Conversion(conversion)), Some(hub)) = (body, hub) else {
        return Vec::new();
    };
    let ids = conversion.click_ids.iter();
    ids.map(|id| touch::read(id, merchant, hub)).collect()
}

/// The references that a message about a conversion needs.
pub(crate) fn wanted(
    merchant: MerchantNo,
    body: Option<&Body>,
    touches: &[Option<Touch>],
) -> Vec<ReferenceKey> {
    match body {
        Some(Body::Conversion(said)) => {
            let clicks = touches.iter().flatten();
            let clicks = clicks.map(|touch| click(merchant, touch.id));
            let first = named(merchant, &said.recurring_of);
            let order = order(merchant, &said.order_reference);
            clicks.chain(first).chain([order]).collect()
        }
        Some(Body::ConversionReturn(said)) => {
            Vec::from_iter(named(merchant, &said.conversion_message_id))
        }
        Some(Body::ConversionApproval(said)) => {
            Vec::from_iter(named(merchant, &said.conversion_message_id))
        }
        Some(_) | None => Vec::new(),
    }
}

/// The conversion that a return or an approval names, if it was accepted.
pub(crate) fn target(memory: &Memory, merchant: MerchantNo, body: Option<&Body>) -> Option<u64> {
    let id = match body? {
        Body::ConversionReturn(said) => &said.conversion_message_id,
        Body::ConversionApproval(said) => &said.conversion_message_id,
        _ => return None,
    };
    memory.reference(&named(merchant, id)?)
}

/// A message as one about a conversion; none: it concerns a member.
pub(crate) fn request<'a>(
    memory: &Memory,
    merchant: MerchantNo,
    body: &'a Body,
    touches: &[Option<Touch>],
) -> Option<Request<'a>> {
    let said = match body {
        Body::Conversion(said) => said,
        Body::ConversionReturn(said) => return Some(Request::Return(said)),
        Body::ConversionApproval(_) => return Some(Request::Approval),
        _ => return None,
    };
    let known = |key: &ReferenceKey| memory.reference(key);
    let signed = touches.iter().flatten();
    let asked = Asked {
        touches: signed
            .map(|touch| (*touch, known(&click(merchant, touch.id))))
            .collect(),
        forged: touches.iter().any(Option::is_none),
        order_known: known(&order(merchant, &said.order_reference)).is_some(),
        recurs: !said.recurring_of.is_empty(),
        first: named(merchant, &said.recurring_of).and_then(|first| known(&first)),
    };
    Some(Request::New(said, asked))
}

impl Auditor {
    /// Notes what an accepted conversion used up: the id of its message, its order, and its click, unless the one that it recurs of has
    /// that already.
    pub(crate) fn use_up(
        &mut self,
        (merchant, id): (MerchantNo, [u8; 16]),
        number: u64,
        (said, asked): (&v1::Conversion, &Asked),
        attribution: &Attribution,
    ) -> Result<(), Mismatch> {
        let place = attribution.touch.and_then(|place| asked.touches.get(place));
        let free = place.filter(|(_, used)| used.is_none());
        let clicked = free.map(|(touch, _)| click(merchant, touch.id));
        let order = order(merchant, &said.order_reference);
        for key in [conversion(merchant, id), order].into_iter().chain(clicked) {
            if !self.memory.enrol(key, number) {
                let expected = "the first conversion of this id";
                let found = "it is accepted again";
                return Err(Mismatch::new(What::Repetition, expected, found));
            }
        }
        Ok(())
    }
}
