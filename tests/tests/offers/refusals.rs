//! Bad input: a clear refusal, and nothing is put.

use hansa_client::hub::Hub;
use hansa_proto::v1;
use hansa_tests::{
    body::euros,
    check::{answered, refused},
    database::Database,
    for_each_database,
};
use tonic::{Code, Status};

use crate::{Reader, World, product, products, put, seen};

for_each_database!(nothing_is_put_where_anything_is_wrong);

async fn try_put(
    hub: &Hub,
    merchant: &str,
    offers: Vec<v1::Offer>,
) -> Result<v1::PutOffersResponse, Status> {
    let request = v1::PutOffersRequest {
        merchant_id: merchant.into(),
        offers,
        validate_only: false,
    };
    let put = hub.offers().put_offers(request).await?;
    Ok(put.into_inner())
}

async fn try_withdraw(
    hub: &Hub,
    merchant: &str,
    ids: &[&str],
) -> Result<v1::WithdrawOffersResponse, Status> {
    let request = v1::WithdrawOffersRequest {
        merchant_id: merchant.into(),
        offer_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let withdrawn = hub.offers().withdraw_offers(request).await?;
    Ok(withdrawn.into_inner())
}

async fn nothing_is_put_where_anything_is_wrong(database: Database) {
    let world = World::on(&database).await;
    let shop = &world.shop.hub;
    put(shop, products(&["a"])).await;

    // Every violation of every offer, with its place.
    let mut wrong = product("c");
    wrong.destination = "http://shop.example/".into();
    wrong.gtin = "1".into();
    wrong.sale_price = Some(euros("90.00"));
    let error = refused(
        try_put(shop, "", vec![product("b"), wrong, product("b")]).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    let fields: Vec<_> = error
        .violations
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "offers[1].sale_price",
            "offers[1].gtin",
            "offers[1].destination",
            "offers[2].offer_id",
        ]
    );
    // However many there are, the refusal arrives.
    let nothing = vec![v1::Offer::default(); 1_000];
    let error = refused(
        try_put(shop, "", nothing).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    assert!(error.violations.len() >= 50);
    for offers in [
        vec![],
        vec![product("b"); 1_001],
        products(&["a\0"]),
        products(&[&"x".repeat(129)]),
    ] {
        let refusal = try_put(shop, "", offers).await;
        refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    // Only checked, nothing is put.
    let request = v1::PutOffersRequest {
        offers: products(&["b"]),
        validate_only: true,
        ..v1::PutOffersRequest::default()
    };
    let checked = answered(shop.offers().put_offers(request).await);
    assert_eq!(checked, v1::PutOffersResponse::default());

    // Who may not.
    for hub in [&world.bakery.hub, &world.blog.hub] {
        let other = try_put(hub, "shop", products(&["b"])).await;
        refused(other, Code::PermissionDenied, "PERMISSION_DENIED");
        let other = try_withdraw(hub, "shop", &["a"]).await;
        refused(other, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    for hub in [&world.grocery.hub, &world.blog.hub] {
        let no_role = try_put(hub, "", products(&["b"])).await;
        refused(no_role, Code::FailedPrecondition, "FAILED_PRECONDITION");
    }
    let operator = world.hub.operator();
    for merchant in ["", "nobody"] {
        let nobodys = try_put(&operator, merchant, products(&["b"])).await;
        refused(nobodys, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    let stranger = try_put(&world.hub.connection(), "shop", products(&["b"])).await;
    refused(stranger, Code::Unauthenticated, "TOKEN_MISSING");

    // One unknown id, and none is withdrawn.
    let unknown = try_withdraw(shop, "", &["a", "b"]).await;
    refused(unknown, Code::NotFound, "NOT_FOUND");
    for ids in [vec![], vec!["a"; 1_001], vec!["a\0"], vec![""]] {
        let refusal = try_withdraw(shop, "", &ids).await;
        refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    assert_eq!(seen(shop).await, ["shop/a"]);

    // Filters, pages and cursors that are none.
    let list = |change: fn(&mut v1::ListOffersRequest)| {
        let mut request = v1::ListOffersRequest::default();
        change(&mut request);
        request
    };
    for request in [
        list(|request| request.category = "a\0".into()),
        list(|request| request.kind = 9),
        list(|request| request.page_size = 1_001),
        list(|request| request.page_token = "AA".into()),
        // "offers", and a key that has no id in it.
        list(|request| request.page_token = "b2ZmZXJzAP__".into()),
        list(|request| request.page_token = "b2ZmZXJzAP____8A".into()),
    ] {
        let refusal = shop.offers().list_offers(request).await;
        refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    let mut reader = Reader::with_pages_of(10);
    reader.read(&world.blog.hub).await;
    let changes = |cursor: &str| v1::ListOfferChangesRequest {
        cursor: cursor.into(),
        ..v1::ListOfferChangesRequest::default()
    };
    for (hub, cursor) in [
        (&world.vlog.hub, reader.cursor.as_str()),
        (&operator, &reader.cursor),
        (&world.blog.hub, "AA"),
        (&world.blog.hub, "%"),
    ] {
        let refusal = hub.offers().list_offer_changes(changes(cursor)).await;
        let error = refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
        assert_eq!(error.violations[0].field, "cursor");
    }
}
