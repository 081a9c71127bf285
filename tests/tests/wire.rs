//! The wire beside the ledger: health, reflection, validation, pages, proofs and tiles.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::{
    keys::SigningKey,
    leaf::{Hash, LEAF_DATA_LEN, leaf_hash},
    note::{Checkpoint, LogVerifier},
    proof::{hashes, node_hash, verify_consistency, verify_inclusion},
};
use hansa_proto::v1;
use hansa_tests::{
    alliance, body,
    check::{answered, refused, verifier},
    database::Database,
    for_each_database,
    hub::TestHub,
    merchant::Merchant,
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const SERVICES: [&str; 6] = [
    "hansa.v1.AllianceService",
    "hansa.v1.CycleService",
    "hansa.v1.ExchangeService",
    "hansa.v1.LogService",
    "hansa.v1.MemberService",
    "hansa.v1.StatementService",
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

/// The log as this merchant sees it.
struct Log {
    shop: Merchant,
    verifier: LogVerifier,
    checkpoint: Checkpoint,
    /// Hash of each leaf.
    leaves: Vec<Hash>,
    /// Data of each leaf.
    data: Vec<Vec<u8>>,
}

impl Log {
    async fn read(shop: &Merchant) -> Self {
        let newest = shop.hub.checkpoint().await.unwrap();
        let verifier = verifier(&newest.verifier_key);
        let checkpoint = verifier.open(&newest.checkpoint).unwrap();
        let (mut data, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListEntriesRequest {
                page_token,
                page_size: 200,
                ..v1::ListEntriesRequest::default()
            };
            let page = answered(shop.hub.log().list_entries(request).await);
            for entry in page.entries {
                assert_eq!(entry.leaf_index, data.len() as u64, "no entry is left out");
                data.push(entry.leaf_data);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        data.truncate(usize::try_from(checkpoint.size).unwrap());
        Self {
            shop: shop.clone(),
            verifier,
            checkpoint,
            leaves: data.iter().map(|data| leaf_hash(data)).collect(),
            data,
        }
    }

    async fn tile(&self, level: i32, index: u64, width: u32) -> Result<Vec<u8>, tonic::Status> {
        let request = v1::GetTileRequest {
            level,
            index,
            width,
        };
        let answer = self.shop.hub.log().get_tile(request).await?;
        Ok(answer.into_inner().data)
    }

    async fn assert_tiles(&self) {
        let size = self.leaves.len();
        let rest = u32::try_from(size % 256).unwrap();
        assert!(size > 256 && rest > 0, "a full tile and a partial one");
        let (full, partial) = self.leaves.split_at(256);
        assert_eq!(self.tile(0, 0, 0).await.unwrap(), full.concat());
        assert_eq!(self.tile(0, 1, rest).await.unwrap(), partial.concat());
        assert_eq!(self.tile(0, 0, 17).await.unwrap(), full[..17].concat());
        assert_eq!(self.tile(1, 0, 1).await.unwrap(), root(full));
        let bundle = |data: &[Vec<u8>]| -> Vec<u8> {
            let len = u16::try_from(LEAF_DATA_LEN).unwrap().to_be_bytes();
            data.iter()
                .flat_map(|leaf| [&len[..], leaf].concat())
                .collect()
        };
        assert_eq!(
            self.tile(-1, 0, 0).await.unwrap(),
            bundle(&self.data[..256])
        );
        assert_eq!(
            self.tile(-1, 1, rest).await.unwrap(),
            bundle(&self.data[256..])
        );
        for (level, index, width) in [
            (0, 1, 0),
            (0, 2, 1),
            (1, 0, 2),
            (2, 0, 1),
            (-2, 0, 1),
            (64, 0, 1),
            (0, 0, 257),
            (0, u64::MAX, 1),
        ] {
            let tile = self.tile(level, index, width).await;
            refused(tile, Code::NotFound, "NOT_FOUND");
        }
    }

    async fn assert_proofs(&self) {
        let size = self.checkpoint.size;
        for index in [0, 1, 2, 100, 255, 256, 257, size - 1] {
            for tree_size in [index + 1, 256.max(index + 1), size, 0] {
                let request = v1::GetInclusionProofRequest {
                    leaf_index: index,
                    tree_size,
                };
                let proof = answered(self.shop.hub.log().get_inclusion_proof(request).await);
                let of = if tree_size == 0 {
                    proof.tree_size
                } else {
                    tree_size
                };
                let leaf = self.leaves[usize::try_from(index).unwrap()];
                assert_eq!(proof.leaf_hash, leaf);
                let root = root(&self.leaves[..usize::try_from(of).unwrap()]);
                verify_inclusion(&leaf, index, of, &hashes(&proof.hashes).unwrap(), &root).unwrap();
            }
        }
        for from in [1, 2, 7, 128, 255, 256, 257, size - 1, size] {
            for to in [from, 256.max(from), size] {
                let proof = self.shop.hub.consistency_proof(from, to).await.unwrap();
                let root_of = |n: u64| root(&self.leaves[..usize::try_from(n).unwrap()]);
                verify_consistency(
                    from,
                    &root_of(from),
                    to,
                    &root_of(to),
                    &hashes(&proof).unwrap(),
                )
                .unwrap();
            }
        }
        for (leaf_index, tree_size) in [(size, size), (0, size + 1), (5, 5), (u64::MAX, 0)] {
            let request = v1::GetInclusionProofRequest {
                leaf_index,
                tree_size,
            };
            let proof = self.shop.hub.log().get_inclusion_proof(request).await;
            refused(proof, Code::NotFound, "NOT_FOUND");
        }
        for (from, to) in [(3, 2), (1, size + 1)] {
            refused(
                self.shop.hub.consistency_proof(from, to).await,
                Code::NotFound,
                "NOT_FOUND",
            );
        }
    }
}

/// Root of a tree by the definition of RFC 6962: split at the largest power of two below the size.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hansa_client::proof::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

async fn the_log_in_public(database: Database) {
    let mut hub = TestHub::on(&database)
        .test_clock("2026-03-02T09:00:00Z")
        .start()
        .await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let other = hub.onboard("other", alliance::contract()).await;
    let members = shop.enrol_many("m", 10).await;
    let there = other.enrol_many("m", 10).await;
    let key = shop.hub.checkpoint().await.unwrap().verifier_key;
    let log = verifier(&key);
    let mut receipts = Vec::new();
    for n in 0..300 {
        let (till, member) = if n % 3 == 0 {
            (&other, there[n % 10])
        } else {
            (&shop, members[n % 10])
        };
        let batch = till.batch(&[till.message(&member, body::accrual("1.00"))]);
        let answer = till.hub.submit(&batch).await.unwrap();
        let checkpoint = answer.verify(&batch, &log).unwrap().unwrap();
        if let Some(receipt) = answer.receipt.filter(|_| n % 3 != 0) {
            receipts.push((receipt, checkpoint));
        }
    }
    let mut seen = Vec::new();
    for restart in [false, true] {
        if restart {
            hub.kill();
            hub.start().await;
        }
        let log = Log::read(&shop).await;
        assert_eq!(log.verifier.name(), hub.status().await.origin);
        assert_eq!(root(&log.leaves), log.checkpoint.root);
        log.assert_tiles().await;
        log.assert_proofs().await;
        // Every receipt that was given is of this very log, and is given again as it was.
        for (receipt, checkpoint) in receipts.iter().step_by(20) {
            assert_eq!(
                root(&log.leaves[..usize::try_from(checkpoint.size).unwrap()]),
                checkpoint.root
            );
            let again = shop
                .hub
                .receipt(receipt.leaf_index)
                .await
                .unwrap()
                .receipt
                .unwrap();
            assert_eq!(again, *receipt);
            let request = v1::GetCheckpointRequest {
                tree_size: checkpoint.size,
            };
            let note = answered(shop.hub.log().get_checkpoint(request).await);
            assert_eq!(
                (note.checkpoint, note.verifier_key),
                (receipt.checkpoint.clone(), key.clone())
            );
        }
        let beyond = v1::GetCheckpointRequest {
            tree_size: log.checkpoint.size + 1,
        };
        refused(
            shop.hub.log().get_checkpoint(beyond).await,
            Code::NotFound,
            "NOT_FOUND",
        );
        seen.push(log.leaves);
    }
    assert!(seen[1].starts_with(&seen[0]), "a restart changes nothing");
}

/// A receipt of something else proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_of_one_batch() {
    let hub = TestHub::on(&Database::sqlite()).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    let log = verifier(&shop.hub.checkpoint().await.unwrap().verifier_key);
    let batches =
        ["1.00", "2.00"].map(|amount| shop.batch(&[shop.message(&member, body::accrual(amount))]));
    let first = shop.hub.submit(&batches[0]).await.unwrap();
    let second = shop.hub.submit(&batches[1]).await.unwrap();
    first.verify(&batches[0], &log).unwrap().unwrap();
    assert!(first.verify(&batches[1], &log).is_err());
    let mut mixed = first.clone();
    mixed.outcomes_bytes = second.outcomes_bytes;
    assert!(mixed.verify(&batches[0], &log).is_err());
    let mut moved = first.clone();
    if let Some(receipt) = &mut moved.receipt {
        receipt.leaf_index += 1;
    }
    assert!(moved.verify(&batches[0], &log).is_err());
    let stranger = SigningKey::generate().unwrap().verifying_key();
    let stranger = LogVerifier::new(log.name(), stranger).unwrap();
    assert!(first.verify(&batches[0], &stranger).is_err());
}

for_each_database!(
    health_and_reflection,
    the_test_clock_is_absent_without_the_option,
    validation_takes_nothing,
    pages,
    the_log_in_public,
);
