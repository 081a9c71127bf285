//! The traffic of one merchant: 80 % accruals, 15 % authorisations and their captures, 5 % returns.

use std::sync::Arc;

use bytes::Bytes;
use hansa_client::{dsse, ids::MessageId, keys::SigningKey, time::system_now_micros};
use hansa_proto::{BATCH_PAYLOAD_TYPE, v1};

use super::{
    rng::SplitMix64,
    wire::{Body, push_message},
};

/// Purchases that returns and redemptions are drawn from: a sample of all so far, not the latest.
const PURCHASES: usize = 65_536;

/// Of 925 messages that are no captures: authorisations, and returns. With each authorisation's capture behind it
/// they are 7.5 %, 7.5 % and 5 % of all.
const AUTHORISATIONS: u64 = 75;
const RETURNS: u64 = 50;
const OTHERS: u64 = 925;

/// Least amount of a purchase: earns more points than an authorisation takes. Unit: micro-units.
const LEAST_AMOUNT: u64 = 10_000_000;
/// Amounts reach this far beyond it, in cents.
const AMOUNT_RANGE: u64 = 19_000;
/// Most points of an authorisation.
const MOST_POINTS: u64 = 5;

/// A merchant with its members.
#[derive(Debug)]
pub(super) struct Merchant {
    /// Identifier.
    pub(super) slug: String,
    /// Signs its batches.
    pub(super) key: Arc<SigningKey>,
    /// Its references, one for each of its members.
    pub(super) references: Vec<[u8; 16]>,
}

/// What kinds of messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mix {
    /// Accruals only.
    Accruals,
    /// 80 % accruals, 15 % authorisations and captures, 5 % returns.
    Shop,
}

#[derive(Debug, Clone, Copy)]
struct Purchase {
    id: MessageId,
    member: u32,
    /// What was not returned yet. Unit: micro-units.
    left: i64,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    id: MessageId,
    member: u32,
    points: i64,
}

/// A signed batch with what is needed to judge its answer.
#[derive(Debug)]
pub(super) struct Sent {
    /// What is sent.
    pub(super) envelope: v1::Envelope,
    /// Member of each message, by its index among the merchant's.
    pub(super) members: Vec<u32>,
    /// One message of it, by its index, with its id: its outcome is kept.
    pub(super) probe: (usize, MessageId),
}

/// Makes batches.
#[derive(Debug)]
pub(super) struct Traffic {
    merchant: Arc<Merchant>,
    rng: SplitMix64,
    purchases: Vec<Purchase>,
    purchases_seen: u64,
    /// To be captured in the next batch.
    holds: Vec<Hold>,
    buffer: Vec<u8>,
}

impl Traffic {
    pub(super) fn new(merchant: Arc<Merchant>, rng: SplitMix64) -> Self {
        Self {
            merchant,
            rng,
            purchases: Vec::new(),
            purchases_seen: 0,
            holds: Vec::new(),
            buffer: Vec::new(),
        }
    }

    pub(super) fn merchant(&self) -> &Arc<Merchant> {
        &self.merchant
    }

    /// The next batch, of `size` messages, signed.
    pub(super) fn batch(&mut self, size: usize, mix: Mix) -> Sent {
        let now = system_now_micros();
        self.buffer.clear();
        let mut members = Vec::with_capacity(size);
        let mut captures = std::mem::take(&mut self.holds);
        let probe_at = self.rng.index(size);
        let mut probe = [0; 16];
        for slot in 0..size {
            let id = self.id(now);
            let (member, body) = if self.rng.index(size - slot) < captures.len()
                && let Some(hold) = captures.pop()
            {
                let (original, points) = (hold.id, hold.points);
                (hold.member, Body::Capture { original, points })
            } else {
                self.message(id, mix)
            };
            if slot == probe_at {
                probe = id;
            }
            let reference = &self.merchant.references[member as usize];
            push_message(&mut self.buffer, &id, now, reference, &body);
            members.push(member);
        }
        // More than a short batch could take.
        self.holds.append(&mut captures);
        let payload = Bytes::copy_from_slice(&self.buffer);
        Sent {
            envelope: dsse::sign(BATCH_PAYLOAD_TYPE, payload, &self.merchant.key),
            members,
            probe: (probe_at, probe),
        }
    }

    /// The recommended layout; random bits stand where the recommendation has bits of a hash.
    fn id(&mut self, now: i64) -> MessageId {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&(now / 1_000).to_be_bytes()[2..]);
        id[6..8].copy_from_slice(&self.rng.next().to_be_bytes()[..2]);
        id[8..].copy_from_slice(&self.rng.next().to_be_bytes());
        id[6] = (id[6] & 0x0f) | 0x80;
        id[8] = (id[8] & 0x3f) | 0x80;
        id
    }

    fn message(&mut self, id: MessageId, mix: Mix) -> (u32, Body) {
        let draw = self.rng.below(OTHERS);
        let some = mix == Mix::Shop && !self.purchases.is_empty();
        if some && draw < AUTHORISATIONS {
            return self.authorisation(id);
        }
        if some && draw < AUTHORISATIONS + RETURNS {
            return self.reversal();
        }
        let member = self.rng.below(self.merchant.references.len() as u64) as u32;
        let cents = self.rng.below(AMOUNT_RANGE);
        let amount = (LEAST_AMOUNT + cents * 10_000).cast_signed();
        self.keep(Purchase {
            id,
            member,
            left: amount,
        });
        (member, Body::Accrual { amount })
    }

    fn authorisation(&mut self, id: MessageId) -> (u32, Body) {
        let at = self.rng.index(self.purchases.len());
        let member = self.purchases[at].member;
        let points = 1 + self.rng.below(MOST_POINTS).cast_signed();
        self.holds.push(Hold { id, member, points });
        (member, Body::Authorisation { points })
    }

    /// All of what is left of a purchase, or half of it.
    fn reversal(&mut self) -> (u32, Body) {
        let at = self.rng.index(self.purchases.len());
        let purchase = &mut self.purchases[at];
        let (original, member, left) = (purchase.id, purchase.member, purchase.left);
        let amount = if self.rng.below(2) == 0 && left >= 2 {
            purchase.left -= left / 2;
            left / 2
        } else {
            self.purchases.swap_remove(at);
            left
        };
        (member, Body::Reversal { original, amount })
    }

    /// Reservoir sampling (Vitter's algorithm R).
    fn keep(&mut self, purchase: Purchase) {
        self.purchases_seen += 1;
        if self.purchases.len() < PURCHASES {
            self.purchases.push(purchase);
            return;
        }
        let at = self.rng.below(self.purchases_seen);
        if let Some(place) = usize::try_from(at)
            .ok()
            .and_then(|at| self.purchases.get_mut(at))
        {
            *place = purchase;
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn traffic() -> Traffic {
        let merchant = Merchant {
            slug: "m".into(),
            key: Arc::new(SigningKey::generate().unwrap()),
            references: (0..1_000u32)
                .map(|n| [n.to_be_bytes(); 4].concat().try_into().unwrap())
                .collect(),
        };
        Traffic::new(Arc::new(merchant), SplitMix64::new(7, 0))
    }

    #[test]
    fn the_mix_is_the_promised_one_and_captures_follow_their_authorisation() {
        use v1::message::Body;
        let mut traffic = traffic();
        let (mut kinds, mut last_holds) = ([0u32; 4], Vec::new());
        for _ in 0..100 {
            let sent = traffic.batch(1_000, Mix::Shop);
            dsse::verify(
                &sent.envelope,
                BATCH_PAYLOAD_TYPE,
                &traffic.merchant.key.verifying_key(),
            )
            .unwrap();
            let messages = v1::Batch::decode(sent.envelope.payload).unwrap().messages;
            assert_eq!((messages.len(), sent.members.len()), (1_000, 1_000));
            let (mut captured, mut holds) = (Vec::new(), Vec::new());
            for (index, bytes) in messages.into_iter().enumerate() {
                let message = v1::Message::decode(bytes).unwrap();
                assert_eq!(hansa_client::message::validate(&message), vec![]);
                let member = sent.members[index] as usize;
                assert_eq!(
                    message.member_reference,
                    traffic.merchant.references[member]
                );
                if index == sent.probe.0 {
                    assert_eq!(message.message_id, sent.probe.1);
                }
                let kind = match message.body.unwrap() {
                    Body::Accrual(_) => 0,
                    Body::RedemptionAuthorisation(_) => {
                        holds.push(message.message_id);
                        1
                    }
                    Body::RedemptionCapture(capture) => {
                        captured.push(capture.authorisation_message_id);
                        2
                    }
                    Body::AccrualReversal(_) => 3,
                    other => panic!("{other:?}"),
                };
                kinds[kind] += 1;
            }
            captured.sort();
            last_holds.sort();
            assert_eq!(captured, last_holds, "every hold of the batch before");
            last_holds = holds;
        }
        let [accruals, authorisations, captures, returns] = kinds;
        assert!((79_000..81_000).contains(&accruals), "{kinds:?}");
        assert!((7_000..8_000).contains(&authorisations), "{kinds:?}");
        assert!((7_000..8_000).contains(&captures), "{kinds:?}");
        assert!((4_500..5_500).contains(&returns), "{kinds:?}");
    }

    #[test]
    fn a_preload_has_accruals_only() {
        let sent = traffic().batch(500, Mix::Accruals);
        for bytes in v1::Batch::decode(sent.envelope.payload).unwrap().messages {
            let message = v1::Message::decode(bytes).unwrap();
            assert!(matches!(message.body, Some(v1::message::Body::Accrual(_))));
        }
    }
}
