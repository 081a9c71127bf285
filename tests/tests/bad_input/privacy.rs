//! Nobody sees another merchant's data, and nobody but operators changes the alliance.

use hansa_client::keys::SigningKey;
use hansa_proto::v1;
use hansa_tests::{
    alliance, body,
    check::{answered, refused},
    database::Database,
    for_each_database,
    merchant::id_of,
};
use tonic::Code;

use crate::world::World;

async fn entries_receipts_and_outcomes(database: Database) {
    let world = World::new(&database).await;
    let (shop, other) = (&world.shop, &world.other);
    let secret = other.accrue(&world.there, "50.00").await.accepted();
    let leaf = secret.receipt.unwrap().leaf_index;

    refused(shop.hub.receipt(leaf).await, Code::NotFound, "NOT_FOUND");
    assert_eq!(shop.hub.outcomes(&[secret.id]).await.unwrap(), []);
    assert_eq!(other.hub.outcomes(&[secret.id]).await.unwrap().len(), 1);
    // The same refusal as for what does not exist at all.
    let none = refused(
        shop.hub.receipt(1_000_000).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let theirs = refused(shop.hub.receipt(leaf).await, Code::NotFound, "NOT_FOUND");
    assert_eq!(
        none.message.replace("1000000", "N"),
        theirs.message.replace(&leaf.to_string(), "N")
    );
    // Nor the hub's own entries.
    refused(shop.hub.receipt(0).await, Code::NotFound, "NOT_FOUND");

    let list = v1::ListEntriesRequest::default;
    let mine = answered(shop.hub.log().list_entries(list()).await).entries;
    let all = answered(world.hub.operator().log().list_entries(list()).await).entries;
    assert_eq!(mine.len(), all.len());
    assert!(all.iter().all(|e| e.envelope.is_some()));
    for (mine, all) in mine.iter().zip(&all) {
        assert_eq!(mine.leaf_data, all.leaf_data, "everyone gets every digest");
        let signer = all
            .envelope
            .as_ref()
            .map(|e| e.signatures[0].keyid.as_str());
        let own = signer == Some(shop.key.key_id());
        assert_eq!(mine.envelope.is_some(), own, "entry {}", all.leaf_index);
        assert_eq!(!mine.outcomes.is_empty(), own, "entry {}", all.leaf_index);
    }
    assert_eq!(mine.iter().filter(|e| e.envelope.is_some()).count(), 1);
}

async fn balances_and_lots(database: Database) {
    let world = World::new(&database).await;
    let (shop, other) = (&world.shop, &world.other);
    other.accrue(&world.there, "50.00").await.ok();
    // A reference is worth something only in the hands of the merchant that it was made for.
    refused(
        shop.hub.balance(&world.there).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    refused(
        other.hub.balance(&world.member).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let request = v1::ListLotsRequest {
        member_reference: world.there.to_vec(),
        ..v1::ListLotsRequest::default()
    };
    refused(
        shop.hub.members().list_lots(request).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    assert_ne!(world.member, world.there, "one member, two references");
    // Both see the one balance; who pays for which points only the payer sees.
    assert_eq!(shop.balance(&world.member).await.available_points, 1_050);
    let funders = |lots: Vec<v1::Lot>| -> Vec<(i64, String)> {
        lots.into_iter()
            .map(|l| (l.remaining_points, l.funder_merchant_id))
            .collect()
    };
    assert_eq!(
        funders(shop.lots(&world.member).await),
        [(1_000, "shop".into()), (50, String::new())]
    );
    assert_eq!(
        funders(other.lots(&world.there).await),
        [(1_000, String::new()), (50, "other".into())]
    );
    // Operators have no references at all.
    let operator = world.hub.operator().balance(&world.member).await;
    refused(operator, Code::PermissionDenied, "PERMISSION_DENIED");
}

async fn statements_and_cycles(database: Database) {
    let world = World::new(&database).await;
    let (shop, other) = (&world.shop, &world.other);
    let third = world.hub.onboard("third", alliance::contract()).await;
    let held = other.authorise(&world.there, 100).await.accepted();
    other.capture(&world.there, held.id, 100).await.ok();

    refused(
        shop.hub.statement(0, Some("other")).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    refused(
        shop.hub.statement(0, Some("nobody")).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let operator = world.hub.operator();
    refused(
        operator.statement(0, Some("nobody")).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    refused(
        operator.statement(99, Some("shop")).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let own = shop.hub.statement(0, None).await.unwrap();
    assert_eq!(own, shop.hub.statement(0, Some("shop")).await.unwrap());
    assert_eq!(own.merchant_id, "shop");

    let all = operator.cycle(0).await.unwrap();
    assert_eq!((all.net_positions.len(), all.pair_positions.len()), (2, 1));
    assert!(all.hub.is_some());
    let mine = shop.hub.cycle(0).await.unwrap();
    let nets: Vec<&str> = mine
        .net_positions
        .iter()
        .map(|p| p.merchant_id.as_str())
        .collect();
    assert_eq!(
        (nets, mine.pair_positions.len(), mine.hub),
        (vec!["shop"], 1, None)
    );
    let outside = third.hub.cycle(0).await.unwrap();
    assert_eq!(
        (
            outside.net_positions.len(),
            outside.pair_positions.len(),
            outside.hub
        ),
        (0, 0, None)
    );

    let request = v1::GetLiabilityRequest {};
    let mine = answered(shop.hub.statements().get_liability(request).await);
    let lines: Vec<&str> = mine.lines.iter().map(|l| l.merchant_id.as_str()).collect();
    assert_eq!(
        (lines, mine.reserve_micros, mine.counts),
        (vec!["shop"], 0, None)
    );
}

async fn keys_and_terms(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let list = async |merchant: &str| {
        let request = v1::ListKeysRequest {
            merchant_id: merchant.into(),
            ..v1::ListKeysRequest::default()
        };
        shop.hub.alliance().list_keys(request).await
    };
    refused(list("other").await, Code::NotFound, "NOT_FOUND");
    for own in ["", "shop"] {
        let keys = answered(list(own).await).keys;
        let ids: Vec<&str> = keys.iter().map(|k| k.key_id.as_str()).collect();
        assert_eq!(ids, [shop.key.key_id()]);
    }
    let request = v1::GetAllianceRequest {};
    let seen = answered(shop.hub.alliance().get_alliance(request).await)
        .alliance
        .unwrap();
    let merchants: Vec<&str> = seen
        .merchants
        .iter()
        .map(|m| m.merchant_id.as_str())
        .collect();
    assert_eq!(merchants, ["shop"]);
    assert!(seen.programme.is_some());

    let before = world.snapshot().await;
    let fresh = SigningKey::generate().unwrap();
    let register = v1::RegisterKeyRequest {
        key: Some(v1::Key {
            key_id: fresh.key_id().into(),
            public_key: fresh.verifying_key().as_bytes().to_vec(),
            merchant_id: "other".into(),
            ..v1::Key::default()
        }),
        validate_only: false,
    };
    let answer = shop.hub.alliance().register_key(register).await;
    refused(answer, Code::PermissionDenied, "PERMISSION_DENIED");
    for key in [
        world.other.key.key_id(),
        world.hub.operator_key().key_id(),
        "no-such-key",
    ] {
        let request = v1::RevokeKeyRequest {
            key_id: key.into(),
            ..v1::RevokeKeyRequest::default()
        };
        refused(
            shop.hub.alliance().revoke_key(request).await,
            Code::NotFound,
            "NOT_FOUND",
        );
    }
    assert_eq!(world.snapshot().await, before);
    world.other.accrue(&world.there, "1.00").await.ok();
}

async fn what_only_operators_do(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let before = world.snapshot().await;
    let desired = v1::Alliance {
        merchants: vec![v1::Merchant {
            merchant_id: "shop".into(),
            contract: Some(v1::Contract {
                service_fee_per_point: "0".into(),
                ..alliance::contract()
            }),
            ..v1::Merchant::default()
        }],
        ..v1::Alliance::default()
    };
    for validate_only in [false, true] {
        let request = v1::ApplyAllianceRequest {
            desired: Some(desired.clone()),
            validate_only,
        };
        let answer = shop.hub.alliance().apply_alliance(request).await;
        refused(answer, Code::PermissionDenied, "PERMISSION_DENIED");
        let request = v1::CloseCycleRequest {
            cycle_number: 1,
            validate_only,
        };
        let answer = shop.hub.cycles_client().close_cycle(request).await;
        refused(answer, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    let request = v1::SetClockRequest {
        now: Some(hansa_client::time::timestamp(shop.clock.now() + 1)),
    };
    let answer = shop.hub.test_clock().set_clock(request).await;
    refused(answer, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(world.snapshot().await, before);

    // And only with a token: every service asks for one.
    let nobody = world.hub.connection();
    let missing = "TOKEN_MISSING";
    let refusal = Code::Unauthenticated;
    refused(nobody.balance(&world.member).await, refusal, missing);
    refused(nobody.cycles().await, refusal, missing);
    refused(nobody.cycle(0).await, refusal, missing);
    refused(nobody.statement(0, Some("shop")).await, refusal, missing);
    refused(nobody.receipt(1).await, refusal, missing);
    refused(nobody.checkpoint().await, refusal, missing);
    refused(nobody.enrol(&[vec![1; 16]]).await, refusal, missing);
    refused(nobody.outcomes(&[[1; 16]]).await, refusal, missing);
    refused(
        nobody.log().get_status(v1::GetStatusRequest {}).await,
        refusal,
        missing,
    );
    refused(
        nobody
            .alliance()
            .get_alliance(v1::GetAllianceRequest {})
            .await,
        refusal,
        missing,
    );
    refused(
        nobody
            .statements()
            .get_liability(v1::GetLiabilityRequest {})
            .await,
        refusal,
        missing,
    );
}

/// The same enrolment key is one member everywhere; what comes back differs and tells nothing.
async fn enrolment(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let again = shop.enrol_many("p", 3).await;
    assert_eq!(shop.enrol_many("p", 3).await, again, "idempotent");
    let there = world.other.enrol_many("p", 3).await;
    assert!(again.iter().all(|r| !there.contains(r)));
    let before = world.snapshot().await;
    for keys in [
        Vec::new(),
        vec![vec![1; 15]],
        vec![vec![1; 65]],
        vec![vec![1; 16]; 4_001],
    ] {
        let request = v1::EnrolMembersRequest {
            enrolment_keys: keys,
        };
        let answer = shop.hub.members().enrol_members(request).await;
        refused(answer, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    let operator = world.hub.operator().enrol(&[vec![1; 16]]).await;
    refused(operator, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(world.snapshot().await, before);
    // Twice in one call is one member.
    let twice = shop.hub.enrol(&[vec![9; 16], vec![9; 16]]).await.unwrap();
    assert_eq!(twice[0], twice[1]);
    let sent = shop.accrue(&twice[0], "1.00").await.accepted();
    assert_eq!(id_of(&sent.message), sent.id);
    let elsewhere = world.other.hub.enrol(&[vec![9; 16]]).await.unwrap()[0];
    assert_eq!(world.other.balance(&elsewhere).await.available_points, 1);
    let _ = world
        .other
        .say(&elsewhere, body::authorisation(1))
        .await
        .accepted();
}

for_each_database!(
    entries_receipts_and_outcomes,
    balances_and_lots,
    statements_and_cycles,
    keys_and_terms,
    what_only_operators_do,
    enrolment,
);
