//! What a query says of the log is compared with it: whose conversion or refused message it is over, since when, and what was sent.

use std::sync::Arc;

use hansa_client::{
    batch::BatchBuilder,
    hub::Hub,
    keys::SigningKey,
    time::timestamp,
    touch_id::{TouchFlags, TouchId, TouchKind, time_ordered_id},
};
use hansa_proto::v1::{self, QueryKind, fact::Fact as F, message::Body};

use super::{
    copy::{Original, expect},
    hub::TestHub,
    story::{alliance, merchant, register},
};

/// The grocer pays two affiliates: indices 2 and 3 in the order of joining.
fn desired(now: i64) -> v1::Alliance {
    let contract = v1::Contract {
        funding_mode: v1::FundingMode::Issue.into(),
        earn_rate: "1".into(),
        dispute_days: 14,
        ..v1::Contract::default()
    };
    let grocer = v1::Merchant {
        roles: vec![
            v1::MerchantRole::Earn.into(),
            v1::MerchantRole::Affiliate.into(),
        ],
        commission_terms: Some(v1::CommissionTerms {
            click_window_seconds: 30 * 86_400,
            locking_method: v1::LockingMethod::OpenEnded.into(),
            rates: vec![v1::CommissionRate {
                first_sale: Some(v1::CommissionPay {
                    share_bps: 500,
                    ..v1::CommissionPay::default()
                }),
                ..v1::CommissionRate::default()
            }],
            ..v1::CommissionTerms::default()
        }),
        ..merchant("grocer", contract.clone())
    };
    let affiliate = |slug: &str| v1::Merchant {
        affiliate: Some(v1::AffiliateProfile {
            sites: vec![v1::AffiliateSite {
                site_number: 1,
                name: slug.into(),
                url: "https://blog.example".into(),
                vertical: "CONTENT".into(),
            }],
            ..v1::AffiliateProfile::default()
        }),
        ..merchant(slug, contract.clone())
    };
    let all = alliance(now);
    let toys = all.merchants.into_iter().nth(1);
    v1::Alliance {
        merchants: vec![grocer, toys.unwrap(), affiliate("blog"), affiliate("deals")],
        ..all
    }
}

fn conversion(hub: &TestHub, n: u8, order: &str, affiliate: u32, key: &SigningKey) -> v1::Message {
    let touch = TouchId {
        kind: TouchKind::Click,
        flags: TouchFlags::NONE,
        merchant: 0,
        affiliate,
        site: 1,
        id: time_ordered_id(u64::try_from(hub.now() / 1_000).unwrap() - 1_000, [n; 10]),
    };
    v1::Message {
        message_id: vec![n; 16],
        event_time: Some(timestamp(hub.now())),
        body: Some(Body::Conversion(v1::Conversion {
            amount: Some(v1::Money {
                currency_code: "EUR".into(),
                micros: 80_000_000,
            }),
            order_reference: order.into(),
            click_ids: vec![touch.sign(key).encode()],
            ..v1::Conversion::default()
        })),
        ..v1::Message::default()
    }
}

async fn raise(blog: &Hub, subject: v1::QuerySubject) -> u64 {
    let request = v1::RaiseQueryRequest {
        merchant_id: "grocer".into(),
        subject: Some(subject),
        claimed_micros: 1,
        text: "why".into(),
        ..v1::RaiseQueryRequest::default()
    };
    let raised = blog.affiliates().raise_query(request).await.unwrap();
    raised.into_inner().query.unwrap().query_number
}

/// One conversion of each affiliate, and one message with blog's click that was refused; blog queries its conversion, the refused message
/// and an order of which the grocer says that it was the conversion.
async fn live(hub: &TestHub, key: SigningKey) -> u64 {
    let operator = hub.operator().await;
    let request = v1::ApplyAllianceRequest {
        desired: Some(desired(hub.now())),
        validate_only: false,
    };
    operator.alliance().apply_alliance(request).await.unwrap();
    let grocer_key = register(&operator, "grocer", "grocer-1").await;
    let grocer = hub.connect("grocer", &grocer_key).await;
    let blog_key: Arc<SigningKey> = register(&operator, "blog", "blog-1").await;
    let blog = hub.connect("blog", &blog_key).await;
    let mut batch = BatchBuilder::new();
    for (n, order, affiliate) in [(1, "o-1", 2), (2, "o-2", 3), (3, "o-1", 2)] {
        let message = conversion(hub, n, order, affiliate, &key);
        batch.push(&message).unwrap();
    }
    let answer = grocer.submit(&batch.sign(&grocer_key).unwrap()).await;
    let leaf = answer.unwrap().receipt.unwrap().leaf_index;
    let over = |kind: QueryKind, entry_position| v1::QuerySubject {
        kind: kind.into(),
        leaf_index: Some(leaf),
        entry_position,
        ..v1::QuerySubject::default()
    };
    raise(&blog, over(QueryKind::Incorrect, 0)).await;
    raise(&blog, over(QueryKind::Declined, 2)).await;
    let Some(Body::Conversion(said)) = conversion(hub, 4, "o-4", 2, &key).body else {
        panic!("a conversion")
    };
    let order = v1::QuerySubject {
        kind: QueryKind::Untracked.into(),
        order_reference: "o-4".into(),
        order_time: Some(timestamp(hub.now())),
        click_id: said.click_ids[0].clone(),
        ..v1::QuerySubject::default()
    };
    let query_number = raise(&blog, order).await;
    let request = v1::AnswerQueryRequest {
        query_number,
        remedy: Some(v1::QueryRemedy {
            amount_micros: 0,
            leaf_index: Some(leaf),
            entry_position: 0,
        }),
        answer: "it was this one".into(),
    };
    grocer.affiliates().answer_query(request).await.unwrap();
    leaf
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_query_says_of_the_log_is_compared() {
    let mut original = Original::of(async |hub: &TestHub| {
        let key = SigningKey::load(hub.folder().join("hub.key.pem")).unwrap();
        live(hub, key).await
    })
    .await;
    let facts = original.copy().await.facts().await;
    let raised = |change: &dyn Fn(&mut v1::QueryRaised), number: u64| {
        let found = facts.iter().find_map(|(entry, written)| {
            match written.facts.first()?.fact.as_ref()? {
                F::QueryRaised(raised) if raised.query_number == number => {
                    let mut raised = raised.clone();
                    change(&mut raised);
                    Some((entry.seq, written.clone(), F::QueryRaised(raised)))
                }
                _ => None,
            }
        });
        found.unwrap()
    };
    let earlier = |raised: &mut v1::QueryRaised| {
        raised.subject_time.as_mut().unwrap().seconds -= 1;
    };
    let at = |position: u32| {
        move |raised: &mut v1::QueryRaised| {
            raised.subject.as_mut().unwrap().entry_position = position;
        }
    };
    let other_kind = |raised: &mut v1::QueryRaised| {
        let subject = raised.subject.as_mut().unwrap();
        subject.kind = QueryKind::Declined.into();
    };
    let answered =
        facts.iter().find_map(
            |(entry, written)| match written.facts.first()?.fact.as_ref()? {
                F::QueryAnswered(answered) => {
                    let mut answered = answered.clone();
                    answered.remedy.as_mut().unwrap().entry_position = 1;
                    Some((entry.seq, written.clone(), F::QueryAnswered(answered)))
                }
                _ => None,
            },
        );
    let over = "what a query is over";
    for (what, (seq, mut written, fact)) in [
        (over, raised(&earlier, 1)),
        (over, raised(&earlier, 2)),
        (over, raised(&at(1), 1)),
        (over, raised(&at(2), 1)),
        (over, raised(&at(1), 2)),
        (over, raised(&at(3), 2)),
        (over, raised(&other_kind, 1)),
        ("the conversion of a query", answered.unwrap()),
    ] {
        written.facts[0].fact = Some(fact);
        let mut copy = original.copy().await;
        copy.rewrite(original.hub_key(), seq, &written).await;
        expect(&copy.found().await, Some(seq), None, what);
    }
}
