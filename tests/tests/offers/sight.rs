//! Who sees which offers, when they are in force, and what they earn.

use hansa_client::time::timestamp;
use hansa_proto::v1;
use hansa_tests::{
    affiliate::{profile, terms},
    body::euros,
    check::refused,
    database::Database,
    for_each_database,
};
use tonic::Code;

use crate::{Reader, World, list, names, product, products, put, seen, withdraw};

for_each_database!(
    everybody_sees_what_is_theirs_and_no_more,
    what_an_affiliate_earns_is_told_with_the_offer,
    offers_are_in_force_in_their_time,
);

fn of(merchant: &str) -> v1::ListOffersRequest {
    v1::ListOffersRequest {
        merchant_id: merchant.into(),
        ..v1::ListOffersRequest::default()
    }
}

async fn everybody_sees_what_is_theirs_and_no_more(database: Database) {
    let world = World::on(&database).await;
    put(&world.shop.hub, products(&["a", "b"])).await;
    put(&world.bakery.hub, products(&["a"])).await;
    let all = ["shop/a", "shop/b", "bakery/a"];
    assert_eq!(seen(&world.blog.hub).await, all);
    assert_eq!(seen(&world.shop.hub).await, all[..2]);
    assert_eq!(seen(&world.grocery.hub).await, [""; 0]);
    let operator = world.hub.operator();
    assert_eq!(seen(&operator).await, all);
    for hub in [&operator, &world.blog.hub, &world.bakery.hub] {
        assert_eq!(names(&list(hub, of("bakery")).await), all[2..]);
    }
    let other = world.shop.hub.offers().list_offers(of("bakery")).await;
    refused(other, Code::PermissionDenied, "PERMISSION_DENIED");
    for hub in [&operator, &world.blog.hub] {
        let nobody = hub.offers().list_offers(of("nobody")).await;
        refused(nobody, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    // What anybody earns is told to affiliates alone.
    let listed = list(&operator, of("")).await;
    assert!(
        listed
            .iter()
            .all(|listed| listed.earnings.is_empty() && listed.in_force)
    );

    // Filters.
    let mut code = product("c");
    code.kind = v1::OfferKind::Code.into();
    code.code = "SPRING".into();
    code.category = "codes".into();
    put(&world.shop.hub, vec![code]).await;
    let of_kind = |kind: v1::OfferKind| v1::ListOffersRequest {
        kind: kind.into(),
        ..of("")
    };
    let codes = list(&world.blog.hub, of_kind(v1::OfferKind::Code)).await;
    assert_eq!(names(&codes), ["shop/c"]);
    let products = list(&world.blog.hub, of_kind(v1::OfferKind::Product)).await;
    assert_eq!(names(&products), all);
    let of_category = |category: &str, kind: v1::OfferKind| v1::ListOffersRequest {
        category: category.into(),
        ..of_kind(kind)
    };
    let any = v1::OfferKind::Unspecified;
    let codes = list(&world.blog.hub, of_category("codes", any)).await;
    assert_eq!(names(&codes), ["shop/c"]);
    let shoes = of_category("shoes", v1::OfferKind::Code);
    assert_eq!(names(&list(&world.blog.hub, shoes).await), [""; 0]);

    // A reader of one merchant's changes is told of nobody else's.
    let mut reader = Reader {
        merchant_id: "bakery".into(),
        page_size: 1,
        ..Reader::default()
    };
    assert_eq!(reader.read(&world.blog.hub).await, ["+bakery/a"]);
    withdraw(&world.shop.hub, &["a"]).await;
    withdraw(&world.bakery.hub, &["a"]).await;
    assert_eq!(reader.read(&world.blog.hub).await, ["-bakery/a"]);
    // The administrator may put and withdraw for a merchant.
    let request = v1::PutOffersRequest {
        merchant_id: "bakery".into(),
        offers: vec![product("z")],
        validate_only: false,
    };
    operator.offers().put_offers(request).await.unwrap();
    assert_eq!(reader.read(&world.blog.hub).await, ["+bakery/z"]);
}

async fn what_an_affiliate_earns_is_told_with_the_offer(database: Database) {
    let world = World::on(&database).await;
    let blog = &world.blog.hub;
    let mut shoe = product("a");
    shoe.sale_price = Some(euros("60.00"));
    shoe.country_codes = vec!["DE".into(), "FR".into()];
    put(&world.shop.hub, vec![shoe]).await;
    let mut reader = Reader::with_pages_of(10);
    reader.read(blog).await;
    let earnings = |reader: &Reader| {
        let earnings = &reader.offers["shop/a"].earnings;
        let told = |earning: &v1::OfferEarning| {
            let commission = earning.commission.as_ref().unwrap().micros;
            (
                earning.country_codes.join(" "),
                earning.share_bps,
                commission,
            )
        };
        earnings.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(earnings(&reader), [("DE FR".into(), 500, 3_000_000)]);

    // Other terms: the offer is told anew, though its merchant did not touch it.
    let row = |country: &str, tier: &str, share_bps| v1::CommissionRate {
        country_code: country.into(),
        category: "shoes".into(),
        tier: tier.into(),
        first_sale: Some(v1::CommissionPay {
            share_bps,
            ..v1::CommissionPay::default()
        }),
        ..v1::CommissionRate::default()
    };
    let rates = vec![
        row("DE", "gold", 1_000),
        row("DE", "", 800),
        row("", "", 200),
    ];
    let new = v1::CommissionTerms { rates, ..terms() };
    world.hub.pay_commissions("shop", new).await;
    assert_eq!(reader.read(blog).await, ["+shop/a"]);
    let by_country = [
        ("DE".to_owned(), 800, 4_800_000),
        ("FR".to_owned(), 200, 1_200_000),
    ];
    assert_eq!(earnings(&reader), by_country);
    assert_eq!(reader.read(blog).await, [""; 0]);
    // Another tier of the affiliate, too.
    let gold = v1::AffiliateProfile {
        tier: "gold".into(),
        ..profile("mia")
    };
    world.hub.affiliate("blog", gold).await;
    assert_eq!(reader.read(blog).await, ["+shop/a"]);
    assert_eq!(earnings(&reader)[0], ("DE".into(), 1_000, 6_000_000));
    reader.assert_up_to_date(blog).await;
    // No row fits: it stands, and earns nothing.
    let mut hat = product("hat");
    hat.category = "hats".into();
    put(&world.shop.hub, vec![hat]).await;
    reader.read(blog).await;
    assert_eq!(reader.offers["shop/hat"].earnings, []);
}

async fn offers_are_in_force_in_their_time(database: Database) {
    let world = World::on(&database).await;
    let blog = &world.blog.hub;
    let now = world.hub.clock().now();
    let hour = 3_600_000_000;
    let lasting = |id: &str, start: i64, end: i64| v1::Offer {
        start_time: Some(timestamp(now + start * hour)),
        end_time: Some(timestamp(now + end * hour)),
        ..product(id)
    };
    let offers = vec![
        lasting("early", 1, 2),
        lasting("late", -2, -1),
        lasting("now", -1, 1),
    ];
    put(&world.shop.hub, offers).await;
    assert_eq!(seen(blog).await, ["shop/now"]);
    assert_eq!(seen(&world.shop.hub).await, ["shop/now"]);
    let all = v1::ListOffersRequest {
        include_not_in_force: true,
        ..of("")
    };
    let own = list(&world.shop.hub, all.clone()).await;
    let in_force: Vec<_> = own.iter().map(|listed| listed.in_force).collect();
    assert_eq!(names(&own), ["shop/early", "shop/late", "shop/now"]);
    assert_eq!(in_force, [false, false, true]);
    assert_eq!(list(&world.hub.operator(), all.clone()).await.len(), 3);
    let refusal = blog.offers().list_offers(all).await;
    refused(refusal, Code::PermissionDenied, "PERMISSION_DENIED");
    // A reader of changes is told of all, with their times.
    let mut reader = Reader::with_pages_of(10);
    assert_eq!(reader.read(blog).await.len(), 3);
    assert!(!reader.offers["shop/early"].in_force && reader.offers["shop/now"].in_force);
}
