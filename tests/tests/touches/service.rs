//! `TouchService`: who may do and see what, and what is refused.

use hansa_client::{hub::Hub, time::timestamp, touch_id::SignedTouchId};
use hansa_proto::v1;
use hansa_tests::{
    check::{answered, refused},
    database::Database,
    for_each_database,
};
use tonic::Code;

use crate::{BLOG, BROWSER, SHOP, World, http::click};

fn report(kind: v1::TouchKind) -> v1::TouchReport {
    v1::TouchReport {
        kind: kind.into(),
        participant_id: "shop".into(),
        user_agent: BROWSER.into(),
        client_address: "84.1.2.3".into(),
        referrer: "https://blog.example/".into(),
        ..v1::TouchReport::default()
    }
}

async fn record(
    hub: &Hub,
    touches: Vec<v1::TouchReport>,
) -> Result<Vec<v1::RecordedTouch>, tonic::Status> {
    let request = v1::RecordTouchesRequest { touches };
    let answer = hub.touches().record_touches(request).await?;
    Ok(answer.into_inner().touches)
}

async fn seen(hub: &Hub, inbound: bool) -> Vec<v1::Touch> {
    let request = v1::ListTouchesRequest {
        inbound,
        ..v1::ListTouchesRequest::default()
    };
    answered(hub.touches().list_touches(request).await).touches
}

for_each_database!(
    everybody_sees_what_is_theirs_and_no_more,
    reported_touches_are_answered_with_their_ids,
);

async fn everybody_sees_what_is_theirs_and_no_more(database: Database) {
    let world = World::on(&database).await;
    let link = world.link().await.link_id;
    click(&world.endpoint(), &format!("/c/{link}?sub_id=secret")).await;
    let own = seen(&world.blog.hub, false).await;
    assert_eq!((own[0].sub_id.as_str(), &own[0].link_id), ("secret", &link));
    let inbound = seen(&world.shop.hub, true).await;
    assert_eq!(inbound.len(), 1);
    assert_eq!(
        (inbound[0].sub_id.as_str(), inbound[0].link_id.as_str()),
        ("", "")
    );
    assert_eq!(inbound[0].touch_id, own[0].touch_id);
    for (hub, inbound) in [
        (&world.shop.hub, false),
        (&world.vlog.hub, false),
        (&world.blog.hub, true),
    ] {
        assert_eq!(seen(hub, inbound).await, []);
    }
    // Operators see all, or an affiliate's.
    let operator = world.hub.operator();
    assert_eq!(seen(&operator, false).await, own);
    let of = |affiliate: &str| v1::ListTouchesRequest {
        affiliate_id: affiliate.into(),
        ..v1::ListTouchesRequest::default()
    };
    let none = answered(operator.touches().list_touches(of("vlog")).await);
    assert_eq!(none.touches, []);
    let other = world.vlog.hub.touches().list_touches(of("blog")).await;
    refused(other, Code::PermissionDenied, "PERMISSION_DENIED");
    let nobody = operator.touches().list_touches(of("nobody")).await;
    refused(nobody, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let stranger = world.hub.connection();
    let unknown = stranger.touches().list_touches(of("")).await;
    refused(unknown, Code::Unauthenticated, "TOKEN_MISSING");

    // Links are their affiliate's; so are the numbers.
    let links = async |hub: &Hub| {
        let request = v1::ListLinksRequest::default();
        answered(hub.touches().list_links(request).await)
            .links
            .len()
    };
    assert_eq!(
        (
            links(&world.blog.hub).await,
            links(&world.shop.hub).await,
            links(&operator).await
        ),
        (1, 0, 1)
    );
    let count = async |hub: &Hub, inbound| {
        let request = v1::CountTouchesRequest {
            start_time: Some(timestamp(world.hub.clock().now() - 3_600_000_000)),
            inbound,
            ..v1::CountTouchesRequest::default()
        };
        let counts = answered(hub.touches().count_touches(request).await).counts;
        counts.iter().map(|count| count.touches).sum::<u64>()
    };
    assert_eq!(count(&world.blog.hub, false).await, 1);
    assert_eq!(count(&world.shop.hub, true).await, 1);
    assert_eq!(count(&world.vlog.hub, false).await, 0);
}

async fn reported_touches_are_answered_with_their_ids(database: Database) {
    let world = World::on(&database).await;
    let link = world.link().await;
    let by_link = v1::TouchReport {
        participant_id: String::new(),
        link_id: link.link_id.clone(),
        query: "msclkid=1".into(),
        ..report(v1::TouchKind::Click)
    };
    let bot = v1::TouchReport {
        user_agent: "curl/8.5.0".into(),
        ..report(v1::TouchKind::Click)
    };
    let code = v1::TouchReport {
        code: "SPRING".into(),
        user_agent: String::new(),
        ..report(v1::TouchKind::Code)
    };
    let touches = vec![report(v1::TouchKind::View), by_link, bot, code];
    let taken = record(&world.blog.hub, touches).await.unwrap();
    let ids: Vec<Option<_>> = taken
        .iter()
        .map(|touch| touch.click_id.parse::<SignedTouchId>().ok())
        .map(|id| id.map(|id| id.verify(&world.key()).unwrap()))
        .collect();
    let [Some(view), Some(click), None, None] = ids[..] else {
        panic!("{taken:?}");
    };
    assert_eq!((view.merchant, view.affiliate, view.site), (SHOP, BLOG, 0));
    assert_eq!(
        (click.merchant, click.affiliate, click.site),
        (SHOP, BLOG, 5)
    );
    assert_eq!(taken[1].flags, [i32::from(v1::TouchFlag::PaidClick)]);
    assert_eq!(taken[2].refusal(), v1::TouchRefusal::DeclaredBot);
    assert_eq!(taken[3].refusal(), v1::TouchRefusal::Unspecified);
    let kept = world.touches().await;
    assert_eq!(kept.len(), 4);
    for touch in &taken {
        assert!(kept.iter().any(|kept| kept.touch_id == touch.touch_id));
    }
    // The merchant's own till tells of a code: the affiliate is the other side.
    let code = v1::TouchReport {
        participant_id: "blog".into(),
        code: "SPRING".into(),
        ..report(v1::TouchKind::Code)
    };
    record(&world.shop.hub, vec![code]).await.unwrap();
    let last = world.touches().await.pop().unwrap();
    assert_eq!(
        (last.affiliate_id.as_str(), last.merchant_id.as_str()),
        ("blog", "shop")
    );

    // One wrong touch, and none is taken; every violation is told.
    let wrong = v1::TouchReport {
        sub_id: "x".repeat(129),
        code: "SPRING".into(),
        client_address: "84.1.2.3:80".into(),
        event_time: Some(timestamp(world.hub.clock().now() - 2 * 3_600_000_000)),
        ..report(v1::TouchKind::Click)
    };
    let mixed = vec![report(v1::TouchKind::View), wrong];
    let error = refused(
        record(&world.blog.hub, mixed).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    let fields: Vec<_> = error
        .violations
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    let at =
        ["event_time", "sub_id", "code", "client_address"].map(|name| format!("touches[1].{name}"));
    assert_eq!(fields, at);
    let with = |change: fn(&mut v1::TouchReport)| {
        let mut touch = report(v1::TouchKind::Click);
        change(&mut touch);
        vec![touch]
    };
    for touches in [
        vec![],
        vec![report(v1::TouchKind::Click); 1_001],
        with(|touch| touch.kind = 0),
        with(|touch| touch.kind = 9),
        with(|touch| touch.participant_id.clear()),
        with(|touch| touch.participant_id = "nobody".into()),
        with(|touch| touch.participant_id = "blog".into()),
        with(|touch| touch.participant_id = "vlog".into()),
        with(|touch| touch.link_id = "Abcdefghi0".into()),
        with(|touch| touch.link_id = "../../etc".into()),
        with(|touch| touch.site = u32::MAX),
        with(|touch| touch.sub_id = "a\nb".into()),
        with(|touch| touch.user_agent = "x".repeat(8_193)),
    ] {
        let said = format!("{:?}", touches.first());
        let refusal = record(&world.blog.hub, touches).await;
        assert!(refusal.is_err(), "{said}");
        refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    let foreign = v1::TouchReport {
        link_id: link.link_id,
        ..report(v1::TouchKind::Click)
    };
    let refusal = record(&world.vlog.hub, vec![foreign]).await;
    refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let operator = record(&world.hub.operator(), vec![report(v1::TouchKind::Click)]).await;
    refused(operator, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(world.touches().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_made_by_affiliates_and_lead_to_merchants_that_take_their_traffic() {
    let world = World::on(&Database::sqlite()).await;
    let request = |merchant: &str, destination: &str| v1::CreateLinkRequest {
        merchant_id: merchant.into(),
        destination: destination.into(),
        site: 0,
    };
    let good = "https://shop.example/";
    for (merchant, destination) in [
        ("nobody", good),
        ("blog", good),
        ("shop", ""),
        ("shop", "shop.example"),
        ("shop", "javascript:alert(1)"),
        ("shop", "https://user:secret@shop.example/"),
    ] {
        let made = world
            .blog
            .hub
            .touches()
            .create_link(request(merchant, destination))
            .await;
        let error = refused(made, Code::InvalidArgument, "FIELD_VIOLATIONS");
        assert!(!error.message.contains("secret"), "{error}");
    }
    let made = world
        .blog
        .hub
        .touches()
        .create_link(request("vlog", good))
        .await;
    refused(made, Code::FailedPrecondition, "FAILED_PRECONDITION");
    let made = world
        .hub
        .operator()
        .touches()
        .create_link(request("shop", good))
        .await;
    refused(made, Code::PermissionDenied, "PERMISSION_DENIED");

    let link = world.link().await;
    assert_eq!(
        (link.affiliate_id.as_str(), link.merchant_id.as_str()),
        ("blog", "shop")
    );
    let end = |link_id: &str| v1::EndLinkRequest {
        link_id: link_id.into(),
    };
    for stranger in [&world.vlog.hub, &world.shop.hub] {
        let ended = stranger.touches().end_link(end(&link.link_id)).await;
        refused(ended, Code::NotFound, "NOT_FOUND");
    }
    let unknown = world.blog.hub.touches().end_link(end("Abcdefghi0")).await;
    refused(unknown, Code::NotFound, "NOT_FOUND");
    let malformed = world.blog.hub.touches().end_link(end("a b")).await;
    refused(malformed, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let first = answered(
        world
            .hub
            .operator()
            .touches()
            .end_link(end(&link.link_id))
            .await,
    );
    let again = answered(world.blog.hub.touches().end_link(end(&link.link_id)).await);
    assert!(first.link.as_ref().unwrap().ended_time.is_some());
    assert_eq!(first, again);

    // Pages.
    for _ in 0..4 {
        world.link().await;
    }
    let mut all = Vec::new();
    let mut request = v1::ListLinksRequest {
        page_size: 2,
        ..v1::ListLinksRequest::default()
    };
    loop {
        let page = answered(world.blog.hub.touches().list_links(request.clone()).await);
        assert!(page.links.len() <= 2);
        all.extend(page.links);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((all.len(), &all[0].link_id), (5, &link.link_id));
    request.page_token = "nonsense".into();
    let page = world.blog.hub.touches().list_links(request).await;
    refused(page, Code::InvalidArgument, "FIELD_VIOLATIONS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_operators_invalidate_touches_and_the_affiliate_reads_why() {
    let world = World::on(&Database::sqlite()).await;
    let touches = vec![report(v1::TouchKind::Click), report(v1::TouchKind::Click)];
    let taken = record(&world.blog.hub, touches).await.unwrap();
    let request = |ids: Vec<Vec<u8>>, reason: &str| v1::InvalidateTouchesRequest {
        touch_ids: ids,
        reason: reason.into(),
    };
    let id = taken[0].touch_id.clone();
    let operator = world.hub.operator();
    for caller in [&world.blog.hub, &world.shop.hub] {
        let invalidated = caller
            .touches()
            .invalidate_touches(request(vec![id.clone()], "x"))
            .await;
        refused(invalidated, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    for (ids, reason) in [
        (vec![], "x"),
        (vec![id.clone()], ""),
        (vec![vec![1; 15]], "x"),
        (vec![id.clone(); 1_001], "x"),
    ] {
        let invalidated = operator
            .touches()
            .invalidate_touches(request(ids, reason))
            .await;
        refused(invalidated, Code::InvalidArgument, "FIELD_VIOLATIONS");
    }
    // One that is not there, and none is touched.
    let mixed = request(vec![id.clone(), vec![7; 16]], "x");
    let invalidated = operator.touches().invalidate_touches(mixed).await;
    refused(invalidated, Code::NotFound, "NOT_FOUND");

    let invalidate = async |reason: &str| {
        let request = request(vec![id.clone(), id.clone()], reason);
        answered(operator.touches().invalidate_touches(request).await).invalidated
    };
    assert_eq!(invalidate("cookie stuffing").await, 1);
    assert_eq!(invalidate("something else").await, 0);
    let own = seen(&world.blog.hub, false).await;
    let reasons = |id: &[u8]| {
        let touch = own.iter().find(|touch| touch.touch_id == id).unwrap();
        (touch.invalid_reason.clone(), touch.invalid_time.is_some())
    };
    assert_eq!(
        reasons(&taken[0].touch_id),
        ("cookie stuffing".to_owned(), true)
    );
    assert_eq!(reasons(&taken[1].touch_id), (String::new(), false));
}
