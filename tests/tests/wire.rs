//! The wire beside the ledger: health, reflection, validation and pages.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::keys::SigningKey;
use hansa_proto::v1;
use hansa_tests::{
    alliance, body,
    check::{answered, refused},
    database::Database,
    for_each_database,
    hub::TestHub,
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const SERVICES: [&str; 10] = [
    "hansa.v1.AllianceService",
    "hansa.v1.CycleService",
    "hansa.v1.DisputeService",
    "hansa.v1.ExchangeService",
    "hansa.v1.FinanceService",
    "hansa.v1.LogService",
    "hansa.v1.MemberService",
    "hansa.v1.OfferService",
    "hansa.v1.StatementService",
    "hansa.v1.TouchService",
];
const CLOCK_SERVICE: &str = "hansa.v1.TestClockService";

async fn channel(hub: &TestHub) -> Channel {
    Channel::from_shared(hub.url())
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// Services that reflection lists.
async fn listed(hub: &TestHub) -> Vec<String> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel(hub).await);
    let stream = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = stream
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    list.service
        .into_iter()
        .map(|service| service.name)
        .collect()
}

async fn health_and_reflection(database: Database) {
    let hub = TestHub::on(&database).start().await;
    let mut health = HealthClient::new(channel(&hub).await);
    for service in ["", "hansa.v1.ExchangeService"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving);
    }
    let unknown = HealthCheckRequest {
        service: "nobody".into(),
    };
    assert_eq!(
        health.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    let services = listed(&hub).await;
    for service in SERVICES.iter().chain(&["grpc.health.v1.Health"]) {
        assert!(
            services.iter().any(|s| s == service),
            "{service} in {services:?}"
        );
    }
    assert!(!services.iter().any(|s| s == CLOCK_SERVICE), "{services:?}");
    // Reflection knows the messages, too: a client needs nothing but the address.
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "hansa.v1.ExchangeService".into(),
        )),
    };
    let mut client = ServerReflectionClient::new(channel(&hub).await);
    let stream = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = stream
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        answer.message_response,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

/// The clock's service exists in a hub that was started with a test clock, and nowhere else.
async fn the_test_clock_is_absent_without_the_option(database: Database) {
    let hub = TestHub::on(&database).start().await;
    let get = v1::GetClockRequest {};
    let status = hub
        .operator()
        .test_clock()
        .get_clock(get)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let set = v1::SetClockRequest {
        now: Some(hansa_client::time::timestamp(hub.clock().now())),
    };
    let status = hub
        .operator()
        .test_clock()
        .set_clock(set)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_clock_goes_forwards_only() {
    let start = "2026-03-02T09:00:00Z";
    let hub = TestHub::on(&Database::sqlite())
        .test_clock(start)
        .start()
        .await;
    assert!(listed(&hub).await.iter().any(|s| s == CLOCK_SERVICE));
    let clock = || hub.operator().test_clock();
    hub.set_clock("2026-03-02T10:00:00Z").await;
    let set = |now: &str| v1::SetClockRequest {
        now: Some(now.parse().unwrap()),
    };
    let back = clock().set_clock(set("2026-03-02T09:59:59.999999Z")).await;
    refused(back, Code::FailedPrecondition, "FAILED_PRECONDITION");
    let nothing = clock().set_clock(v1::SetClockRequest { now: None }).await;
    refused(nothing, Code::InvalidArgument, "FIELD_VIOLATIONS");
    // The same instant again is fine; without a token one may only look.
    hub.set_clock("2026-03-02T10:00:00Z").await;
    let mut nobody = hub.connection().test_clock();
    let now = answered(nobody.get_clock(v1::GetClockRequest {}).await)
        .now
        .unwrap();
    assert_eq!(now.to_string(), "2026-03-02T10:00:00Z");
    let set = nobody.set_clock(set("2026-03-02T11:00:00Z")).await;
    refused(set, Code::Unauthenticated, "TOKEN_MISSING");
}

async fn validation_takes_nothing(database: Database) {
    let hub = TestHub::on(&database)
        .test_clock("2026-03-02T09:00:00Z")
        .start()
        .await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    let operator = hub.operator();
    let before = (hub.status().await.tree_size, hub.liability().await);

    // A batch: what needs no state is checked, all the rest is not decided.
    let purchase = shop.message(&member, body::accrual("5.00"));
    shop.hub
        .validate(&shop.sign(std::slice::from_ref(&purchase)))
        .await
        .unwrap();
    let mut forged = shop.sign(std::slice::from_ref(&purchase));
    forged.signatures[0].sig[3] ^= 4;
    refused(
        shop.hub.validate(&forged).await,
        Code::Unauthenticated,
        "SIGNATURE_INVALID",
    );
    let broken = shop.message(&member, body::authorisation(0));
    refused(
        shop.hub.validate(&shop.sign(&[broken])).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    // Terms: the difference is told, and what cannot stand is refused.
    let apply = async |merchant: v1::Merchant| {
        let request = v1::ApplyAllianceRequest {
            desired: Some(v1::Alliance {
                merchants: vec![merchant],
                ..v1::Alliance::default()
            }),
            validate_only: true,
        };
        operator.alliance().apply_alliance(request).await
    };
    let dearer = v1::Contract {
        service_fee_per_point: "0.002".into(),
        ..alliance::contract()
    };
    let later = v1::Contract {
        effective_time: Some("2026-04-01T00:00:00Z".parse().unwrap()),
        ..dearer.clone()
    };
    let told = answered(apply(alliance::merchant("shop", v1::MerchantState::Active, later)).await);
    assert_eq!(told.leaf_index, None);
    assert!(
        told.changes
            .iter()
            .any(|line| line.contains("0.0015 -> 0.002")),
        "{:?}",
        told.changes
    );
    let wrong = v1::Contract {
        earn_rate: "many".into(),
        ..dearer
    };
    refused(
        apply(alliance::merchant("shop", v1::MerchantState::Active, wrong)).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    // Keys and cycles.
    let fresh = SigningKey::generate().unwrap();
    let register = |validate_only| v1::RegisterKeyRequest {
        key: Some(v1::Key {
            key_id: fresh.key_id().into(),
            public_key: fresh.verifying_key().as_bytes().to_vec(),
            merchant_id: "shop".into(),
            ..v1::Key::default()
        }),
        validate_only,
    };
    answered(operator.alliance().register_key(register(true)).await);
    let close = |cycle_number, validate_only| v1::CloseCycleRequest {
        cycle_number,
        validate_only,
    };
    answered(operator.cycles_client().close_cycle(close(1, true)).await);
    let not_open = operator.cycles_client().close_cycle(close(2, true)).await;
    refused(not_open, Code::FailedPrecondition, "FAILED_PRECONDITION");
    let unnamed = operator.cycles_client().close_cycle(close(0, false)).await;
    refused(unnamed, Code::InvalidArgument, "FIELD_VIOLATIONS");
    assert_eq!(
        (hub.status().await.tree_size, hub.liability().await),
        before
    );

    // All of it still goes, for the first time.
    let sent = shop.send(purchase).await.accepted();
    assert!(!sent.outcome.replayed);
    answered(operator.alliance().register_key(register(false)).await);
    answered(operator.cycles_client().close_cycle(close(1, false)).await);
}

async fn pages(database: Database) {
    let hub = TestHub::on(&database)
        .test_clock("2026-03-02T09:00:00Z")
        .start()
        .await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    for n in 1..=7 {
        shop.accrue(&member, &format!("{n}.00")).await.ok();
        hub.with_new_key("shop").await;
    }
    let lots = async |page_size, page_token: String| {
        let member_reference = member.to_vec();
        let request = v1::ListLotsRequest {
            member_reference,
            page_size,
            page_token,
        };
        shop.hub.members().list_lots(request).await
    };
    let keys = async |page_size, page_token: String| {
        let request = v1::ListKeysRequest {
            page_size,
            page_token,
            ..v1::ListKeysRequest::default()
        };
        shop.hub.alliance().list_keys(request).await
    };
    let (mut points, mut token, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = answered(lots(3, token).await);
        sizes.push(page.lots.len());
        points.extend(page.lots.iter().map(|lot| lot.remaining_points));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((sizes, points), (vec![3, 3, 1], (1..=7).collect()));
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let page = answered(keys(5, token).await);
        ids.extend(page.keys.into_iter().map(|key| key.key_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids.len(), 8);
    assert!(ids.is_sorted());

    let of_lots = answered(lots(3, String::new()).await).next_page_token;
    let of_keys = answered(keys(3, String::new()).await).next_page_token;
    assert!(!of_lots.is_empty() && !of_keys.is_empty());
    let invalid = "FIELD_VIOLATIONS";
    // A token is good for what it was given for.
    for (result, field) in [
        (lots(3, of_keys.clone()).await.map(|_| ()), "page_token"),
        (lots(3, "nonsense".into()).await.map(|_| ()), "page_token"),
        (lots(3, "%".into()).await.map(|_| ()), "page_token"),
        (lots(3, of_lots[1..].into()).await.map(|_| ()), "page_token"),
        (keys(3, of_lots).await.map(|_| ()), "page_token"),
        (lots(-1, String::new()).await.map(|_| ()), "page_size"),
        (lots(1_001, String::new()).await.map(|_| ()), "page_size"),
        (keys(1_001, String::new()).await.map(|_| ()), "page_size"),
    ] {
        let error = refused(result, Code::InvalidArgument, invalid);
        assert_eq!(error.violations[0].field, field);
    }
}

for_each_database!(
    health_and_reflection,
    the_test_clock_is_absent_without_the_option,
    validation_takes_nothing,
    pages,
);
