//! The smallest alliance: one shop and one member.

use hansa_client::time::timestamp;
use hansa_proto::v1::{self, ResultCode, message::Body as B};
use prost::Message as _;

use super::forge::{Forge, audit, reference};

pub(crate) const NOW: i64 = 1_770_000_000_000_000;
pub(crate) const DAY: i64 = 86_400_000_000;

/// One shop, one member; expiry never and cycles by hand, so that only the shop's own terms end something.
pub(crate) struct Shop {
    pub(crate) forge: Forge,
    next_id: u64,
}

impl Shop {
    pub(crate) fn new(contract: v1::Contract, policy: v1::NegativeBalancePolicy) -> Self {
        let mut forge = Forge::new(NOW);
        let programme = programme(policy);
        forge.fact(v1::fact::Fact::Programme(programme)).unwrap();
        let mut shop = Self { forge, next_id: 0 };
        shop.terms(contract);
        shop.forge.enrol(&["shop"], 1);
        shop
    }

    pub(crate) fn terms(&mut self, contract: v1::Contract) {
        let shop = v1::Merchant {
            merchant_id: "shop".into(),
            state: v1::MerchantState::Active.into(),
            contract: Some(v1::Contract {
                funding_mode: v1::FundingMode::Issue.into(),
                earn_rate: "1".into(),
                ..contract
            }),
            ..v1::Merchant::default()
        };
        self.forge.merchant(shop).unwrap();
    }

    pub(crate) fn say(&mut self, event_time: i64, body: B) -> (Vec<u8>, ResultCode) {
        self.next_id += 1;
        let mut id = vec![3; 16];
        id[..8].copy_from_slice(&self.next_id.to_be_bytes());
        let message = v1::Message {
            message_id: id.clone(),
            event_time: Some(timestamp(event_time)),
            member_reference: reference(0, 1).to_vec(),
            body: Some(body),
            ..v1::Message::default()
        };
        let code = self.forge.batch("shop", &[message]).remove(0).code();
        (id, code)
    }

    pub(crate) fn buy(&mut self, micros: i64) -> Vec<u8> {
        let body = B::Accrual(v1::Accrual {
            eligible_amount: Some(eur(micros)),
            points: None,
        });
        self.accepted(body)
    }

    pub(crate) fn accepted(&mut self, body: B) -> Vec<u8> {
        let (id, code) = self.say(self.forge.now, body);
        assert_eq!(code, ResultCode::Accepted);
        id
    }

    /// A part of a purchase is returned.
    pub(crate) fn returns(&mut self, bought: &[u8], micros: i64) {
        self.accepted(B::AccrualReversal(v1::AccrualReversal {
            accrual_message_id: bought.to_vec(),
            returned_amount: Some(eur(micros)),
        }));
    }

    /// Authorises and captures.
    pub(crate) fn spends(&mut self, points: i64) {
        let authorise = v1::RedemptionAuthorisation { points };
        let held = self.accepted(B::RedemptionAuthorisation(authorise));
        self.accepted(B::RedemptionCapture(v1::RedemptionCapture {
            authorisation_message_id: held,
            points,
        }));
    }

    pub(crate) fn wait(&mut self, days: i64) {
        self.forge.wait_until(self.forge.now + days * DAY);
    }

    /// Closes the open cycle; answers the digest in its closing entry.
    pub(crate) fn close(&mut self) -> Vec<u8> {
        self.forge.cut().unwrap();
        self.forge.sweep(None);
        let last = self.forge.entries.last().unwrap();
        let facts = v1::Facts::decode(last.envelope.payload.clone()).unwrap();
        match facts.facts.into_iter().next().and_then(|fact| fact.fact) {
            Some(v1::fact::Fact::CycleClosed(closed)) => closed.digest,
            other => panic!("no close: {other:?}"),
        }
    }

    /// The auditor says the same, whether it keeps everything in memory, saves now and then, or after every entry.
    pub(crate) fn is_certified(&self) {
        for every in [1, 3, 1_000] {
            let audited = audit(&self.forge.entries, every);
            let (auditor, _) = audited.unwrap_or_else(|finding| panic!("{every}: {finding}"));
            assert_eq!(auditor.size(), self.forge.entries.len() as u64);
        }
    }
}

pub(crate) fn programme(policy: v1::NegativeBalancePolicy) -> v1::Programme {
    v1::Programme {
        currency_code: "EUR".into(),
        time_zone: "UTC".into(),
        reserve_per_point: "0.01".into(),
        expiry_rule: v1::ExpiryRule::None.into(),
        cycle_schedule: v1::CycleSchedule::Manual.into(),
        negative_balance: policy.into(),
        ..v1::Programme::default()
    }
}

pub(crate) fn eur(micros: i64) -> v1::Money {
    v1::Money {
        currency_code: "EUR".into(),
        micros,
    }
}
