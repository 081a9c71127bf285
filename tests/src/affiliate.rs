//! Affiliates: who they are, the click ids that a hub's redirect would make for them, and what merchants say of them.

use hansa_client::{
    keys::SigningKey,
    message::Money,
    time::timestamp,
    touch_id::{TouchFlags, TouchId, TouchKind, time_ordered_id},
};
use hansa_proto::v1::{self, CommissionReason, message::Body};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::{
    alliance, body,
    check::answered,
    hub::TestHub,
    merchant::{Merchant, Sent, next_id},
};

/// An affiliate with one site, whom `manager` looks after.
#[must_use]
pub fn profile(manager: &str) -> v1::AffiliateProfile {
    v1::AffiliateProfile {
        manager: manager.into(),
        sites: vec![v1::AffiliateSite {
            site_number: 1,
            name: "Blog".into(),
            url: "https://blog.example".into(),
            vertical: "CONTENT".into(),
        }],
        ..v1::AffiliateProfile::default()
    }
}

/// 5 % of everything, clicks of 30 days, locked after 14 days.
#[must_use]
pub fn terms() -> v1::CommissionTerms {
    v1::CommissionTerms {
        click_window_seconds: 30 * 86_400,
        locking_method: v1::LockingMethod::FixedDuration.into(),
        lock_seconds: 14 * 86_400,
        rates: vec![v1::CommissionRate {
            first_sale: Some(v1::CommissionPay {
                share_bps: 500,
                ..v1::CommissionPay::default()
            }),
            ..v1::CommissionRate::default()
        }],
        ..v1::CommissionTerms::default()
    }
}

/// A conversion of now.
#[must_use]
pub fn conversion(order: &str, amount: &str, click_ids: &[String]) -> v1::Conversion {
    v1::Conversion {
        amount: Some(body::euros(amount)),
        order_reference: order.into(),
        click_ids: click_ids.to_vec(),
        ..v1::Conversion::default()
    }
}

impl TestHub {
    /// Adds an affiliate with an account at a bank.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn affiliate(&self, id: &str, profile: v1::AffiliateProfile) -> Merchant {
        let contract = v1::Contract {
            bank_details: Some(alliance::bank_details(id)),
            ..alliance::contract()
        };
        self.apply_merchant(v1::Merchant {
            roles: Vec::new(),
            affiliate: Some(profile),
            ..alliance::merchant(id, v1::MerchantState::Active, contract)
        })
        .await;
        self.with_new_key(id).await
    }

    /// Gives a merchant terms for affiliates, and the role.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn pay_commissions(&self, id: &str, terms: v1::CommissionTerms) {
        let roles = [
            v1::MerchantRole::Earn,
            v1::MerchantRole::Burn,
            v1::MerchantRole::Affiliate,
        ];
        self.apply_merchant(v1::Merchant {
            merchant_id: id.into(),
            roles: roles.into_iter().map(i32::from).collect(),
            commission_terms: Some(terms),
            ..v1::Merchant::default()
        })
        .await;
    }

    /// The hub's own key, as a redirect signs with it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn key(&self) -> SigningKey {
        SigningKey::load(self.file("hub.key.pem")).unwrap()
    }

    /// A click of now or of another time, by the participants' indices: the order in which they joined.
    ///
    /// # Panics
    /// When the system gives no random bytes.
    #[must_use]
    pub fn touch(&self, merchant: u32, affiliate: u32, at: i64) -> TouchId {
        let mut random = [0; 10];
        SystemRandom::new().fill(&mut random).unwrap();
        TouchId {
            kind: TouchKind::Click,
            flags: TouchFlags::NONE,
            merchant,
            affiliate,
            site: 1,
            id: time_ordered_id(u64::try_from(at / 1_000).unwrap(), random),
        }
    }

    /// Decides about conversions as an operator.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn decide_commissions(&self, decisions: Vec<v1::CommissionDecision>) {
        let request = v1::DecideCommissionsRequest {
            decisions,
            note: "test".into(),
        };
        answered(
            self.operator()
                .affiliates()
                .decide_commissions(request)
                .await,
        );
    }
}

impl Merchant {
    /// Sends a conversion.
    pub async fn convert(&self, conversion: v1::Conversion) -> Sent {
        self.send(v1::Message {
            message_id: next_id().to_vec(),
            event_time: Some(timestamp(self.clock.now())),
            body: Some(Body::Conversion(conversion)),
            ..v1::Message::default()
        })
        .await
    }

    /// Sends a return of one.
    ///
    /// # Panics
    /// When the amount is none.
    pub async fn return_conversion(&self, of: &Sent, amount: &str, reference: &str) -> Sent {
        self.send(v1::Message {
            message_id: next_id().to_vec(),
            event_time: Some(timestamp(self.clock.now())),
            body: Some(Body::ConversionReturn(v1::ConversionReturn {
                conversion_message_id: of.id.to_vec(),
                returned_amount: Some(Money::parse(amount, "EUR").unwrap().into()),
                reason: CommissionReason::ItemReturned.into(),
                return_reference: reference.into(),
            })),
            ..v1::Message::default()
        })
        .await
    }

    /// Its conversions, newest first.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn conversions(&self) -> Vec<v1::ConversionRecord> {
        let request = v1::ListConversionsRequest::default();
        let listed = self.hub.affiliates().list_conversions(request).await;
        answered(listed).conversions
    }
}

/// Where a conversion was decided.
///
/// # Panics
/// When it has no receipt.
#[must_use]
pub fn place(sent: &Sent) -> (u64, u32) {
    (sent.receipt.as_ref().unwrap().leaf_index, 0)
}

/// A decision about a conversion.
#[must_use]
pub fn decision(
    sent: &Sent,
    decision: v1::commission_decision::Decision,
) -> v1::CommissionDecision {
    let (leaf_index, entry_position) = place(sent);
    v1::CommissionDecision {
        leaf_index,
        entry_position,
        decision: Some(decision),
    }
}
