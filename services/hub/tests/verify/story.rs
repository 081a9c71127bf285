//! A short history of an alliance with something of everything: two merchants, both funding modes, accruals, pending
//! ones, redemptions, holds that end, returns, refusals, replays, changed requests, debts, expiry, keys that come and go, cuts by
//! schedule and by hand.

use std::sync::Arc;

use hansa_client::{
    batch::BatchBuilder,
    hub::{Answer, Hub},
    keys::SigningKey,
    message::{Draft, MemberReference, MessageId, Money},
};
use hansa_proto::v1;

use super::hub::{DAY, HOUR, TestHub};

/// What came of the history: what tests look for.
pub(crate) struct Story {
    pub(crate) operator: Hub,
    /// The answer to the first batch.
    pub(crate) first: Answer,
    /// The grocer's key that was revoked.
    pub(crate) revoked: Arc<SigningKey>,
}

struct Sender {
    hub: Hub,
    key: Arc<SigningKey>,
    members: Vec<MemberReference>,
}

fn id(n: u128) -> MessageId {
    n.to_be_bytes()
}

fn eur(text: &str) -> Money {
    Money::parse(text, "EUR").unwrap()
}

impl Sender {
    fn draft(&self, n: u128, at: i64, member: usize) -> Draft {
        Draft::with_id(id(n), at, self.members[member])
    }

    fn accrual(&self, n: u128, at: i64, member: usize, amount: &str) -> v1::Message {
        self.draft(n, at, member).accrual(eur(amount)).unwrap()
    }

    async fn send(&self, messages: &[v1::Message]) -> Answer {
        let mut batch = BatchBuilder::new();
        for message in messages {
            batch.push(message).unwrap();
        }
        let signed = batch.sign(&self.key).unwrap();
        self.hub.submit(&signed).await.unwrap()
    }
}

pub(crate) fn merchant(slug: &str, contract: v1::Contract) -> v1::Merchant {
    v1::Merchant {
        merchant_id: slug.into(),
        display_name: slug.to_uppercase(),
        state: v1::MerchantState::Active.into(),
        roles: Vec::new(),
        contract: Some(contract),
        ..v1::Merchant::default()
    }
}

pub(crate) fn alliance(now: i64) -> v1::Alliance {
    let programme = v1::Programme {
        name: "Test".into(),
        currency_code: "EUR".into(),
        time_zone: "Europe/Berlin".into(),
        reserve_per_point: "0.008".into(),
        expiry_rule: v1::ExpiryRule::RollingMonths.into(),
        expiry_months: 1,
        negative_balance: v1::NegativeBalancePolicy::Debt.into(),
        cycle_schedule: v1::CycleSchedule::Monthly.into(),
        ..v1::Programme::default()
    };
    let issue = v1::Contract {
        funding_mode: v1::FundingMode::Issue.into(),
        earn_rate: "1".into(),
        service_fee_per_point: "0.0015".into(),
        redemption_fee_bps: 250,
        breakage_share_bps: 3_333,
        ..v1::Contract::default()
    };
    let burn = v1::Contract {
        funding_mode: v1::FundingMode::Burn.into(),
        earn_rate: "2".into(),
        service_fee_per_point: "0.001".into(),
        pending_until_return_window_ends: true,
        return_days: 14,
        ..v1::Contract::default()
    };
    let share = |slug: &str, share_bps| v1::FundingShare {
        merchant_id: slug.into(),
        share_bps,
    };
    let promotion = v1::Promotion {
        promotion_id: "double".into(),
        merchant_ids: vec!["grocer".into()],
        start_time: Some(hansa_client::time::timestamp(now)),
        end_time: Some(hansa_client::time::timestamp(now + 2 * HOUR * 1_000_000)),
        bonus: Some(v1::promotion::Bonus::Multiplier("2".into())),
        shares: vec![share("grocer", 6_000), share("toys", 4_000)],
        cap_points: 500,
    };
    v1::Alliance {
        programme: Some(programme),
        merchants: vec![merchant("grocer", issue), merchant("toys", burn)],
        promotions: vec![promotion],
    }
}

pub(crate) async fn register(operator: &Hub, slug: &str, key_id: &str) -> Arc<SigningKey> {
    let key = SigningKey::generate().unwrap().with_key_id(key_id).unwrap();
    let request = v1::RegisterKeyRequest {
        key: Some(v1::Key {
            key_id: key_id.into(),
            public_key: key.verifying_key().as_bytes().to_vec(),
            merchant_id: slug.into(),
            ..v1::Key::default()
        }),
        validate_only: false,
    };
    operator.alliance().register_key(request).await.unwrap();
    Arc::new(key)
}

async fn sender(hub: &TestHub, operator: &Hub, slug: &str, members: u8) -> Sender {
    let key = register(operator, slug, &format!("{slug}-1")).await;
    let connection = hub.connect(slug, &key).await;
    let cards: Vec<_> = (0..members).map(|n| vec![n; 32]).collect();
    let members = connection.enrol(&cards).await.unwrap();
    Sender {
        hub: connection,
        key,
        members,
    }
}

/// Lives the history. The hub runs on.
pub(crate) async fn live(hub: &TestHub) -> Story {
    let operator = hub.operator().await;
    let request = v1::ApplyAllianceRequest {
        desired: Some(alliance(hub.now())),
        validate_only: false,
    };
    operator.alliance().apply_alliance(request).await.unwrap();
    let mut grocer = sender(hub, &operator, "grocer", 12).await;
    let toys = sender(hub, &operator, "toys", 8).await;

    let at = hub.now();
    let mut batch: Vec<_> = (0..10)
        .map(|n| grocer.accrual(n, at, usize::try_from(n).unwrap(), "100.00"))
        .collect();
    let stranger = Draft::with_id(id(20), at, [9; 16]);
    batch.push(stranger.accrual(eur("5.00")).unwrap());
    batch.push(batch[0].clone());
    batch.push(grocer.accrual(1, at, 1, "101.00"));
    let first = grocer.send(&batch).await;
    let pending: Vec<_> = (0..5_u8)
        .map(|n| toys.accrual(n.into(), at, n.into(), "50.00"))
        .collect();
    toys.send(&pending).await;

    hub.wait(&operator, HOUR).await;
    let at = hub.now();
    let authorise = |n, member, points| {
        let draft = grocer.draft(n, at, member);
        draft.redemption_authorisation(points).unwrap()
    };
    let capture = grocer.draft(104, at, 0).redemption_capture(id(100), 40);
    let refund = grocer.draft(105, at, 0).redemption_refund(id(104), 10);
    let void = grocer.draft(106, at, 1).redemption_void(id(101));
    let back = grocer
        .draft(107, at, 4)
        .accrual_reversal(id(4), eur("30.00"));
    let orphan = grocer.draft(108, at, 4).redemption_capture(id(999), 1);
    let burnt = grocer.draft(110, at, 5).redemption_capture(id(109), 100);
    let owing = grocer
        .draft(111, at, 5)
        .accrual_reversal(id(5), eur("90.00"));
    let second = [
        authorise(100, 0, 60),
        authorise(101, 1, 50),
        authorise(102, 2, 70),
        authorise(103, 3, 1_000_000),
        capture.unwrap(),
        refund.unwrap(),
        void.unwrap(),
        back.unwrap(),
        orphan.unwrap(),
        authorise(109, 5, 100),
        burnt.unwrap(),
        owing.unwrap(),
        batch[3].clone(),
        grocer.accrual(4, at, 4, "1.00"),
    ];
    grocer.send(&second).await;
    // Nothing new: not in the log.
    assert_eq!(grocer.send(&batch[..10]).await.receipt, None);
    let part = toys.draft(50, at, 0).accrual_reversal(id(0), eur("10.00"));
    toys.send(&[part.unwrap(), pending[1].clone()]).await;

    // The hold of member 2 ends; then what is pending posts, debts are repaid, a return comes too late.
    hub.wait(&operator, 2 * HOUR).await;
    hub.wait(&operator, 20 * DAY).await;
    let at = hub.now();
    let late = toys.draft(51, at, 1).accrual_reversal(id(1), eur("10.00"));
    toys.send(&[late.unwrap()]).await;
    grocer.send(&[grocer.accrual(200, at, 5, "250.00")]).await;

    // The first cycle closes, January's points expire.
    hub.wait(&operator, 12 * DAY).await;
    let at = hub.now();
    let key = register(&operator, "grocer", "grocer-2").await;
    let revoked = std::mem::replace(&mut grocer.key, Arc::clone(&key));
    grocer.hub = hub.connect("grocer", &key).await;
    let old = at - 8 * DAY * 1_000_000;
    let ancient = at - 60 * DAY * 1_000_000;
    grocer
        .send(&[
            grocer.accrual(300, at, 0, "12.34"),
            grocer.accrual(301, old, 11, "77.00"),
            grocer.accrual(302, ancient, 11, "77.00"),
        ])
        .await;
    let revoke = v1::RevokeKeyRequest {
        key_id: "grocer-1".into(),
        reason: "rotated".into(),
        compromised_since: None,
    };
    operator.alliance().revoke_key(revoke).await.unwrap();

    // The second cycle closes by schedule, the third one by hand.
    hub.wait(&operator, 25 * DAY).await;
    let at = hub.now();
    grocer.send(&[grocer.accrual(400, at, 7, "40.00")]).await;
    let close = v1::CloseCycleRequest {
        cycle_number: 3,
        validate_only: false,
    };
    operator.cycles_client().close_cycle(close).await.unwrap();
    grocer
        .send(&[
            grocer.accrual(401, at, 8, "41.00"),
            grocer.accrual(402, at, 9, "42.00"),
        ])
        .await;
    Story {
        operator,
        first,
        revoked,
    }
}
