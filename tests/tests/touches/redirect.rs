//! The redirect endpoint.

use std::time::Duration;

use hansa_client::touch_id::{TouchFlags, TouchIdError, TouchKind};
use hansa_proto::v1;
use hansa_tests::{check::answered, database::Database, for_each_database, hub::TestHub};
use tokio::net::TcpStream;

use crate::{
    BLOG, BROWSER, SHOP, World, click_id,
    http::{click, click_kept, send},
};

const PLAIN: &str = "https://shop.example/shoes?size=42#reviews";

for_each_database!(a_click_leads_to_the_merchant_with_an_id_that_anybody_can_check);

async fn a_click_leads_to_the_merchant_with_an_id_that_anybody_can_check(database: Database) {
    let world = World::on(&database).await;
    let link = world.link().await;
    let before = hansa_client::time::system_now_micros() / 1_000;
    let path = format!("/c/{}?sub_id=post%207&gclid=x", link.link_id);
    let answer = click(&world.endpoint(), &path).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("referrer-policy").is_empty());
    let location = answer.location();
    let start = "https://shop.example/shoes?size=42&hansa_click=";
    assert!(
        location.starts_with(start) && location.ends_with("#reviews"),
        "{location}"
    );

    let id = click_id(location).unwrap();
    let touch = id.verify(&world.key()).unwrap();
    assert_eq!(
        (touch.merchant, touch.affiliate, touch.site),
        (SHOP, BLOG, 5)
    );
    assert_eq!(
        (touch.kind, touch.flags),
        (TouchKind::Click, TouchFlags::PAID_CLICK)
    );
    let after = hansa_client::time::system_now_micros() / 1_000;
    assert!((before..=after).contains(&i64::try_from(touch.at_ms()).unwrap()));
    let another = hansa_client::keys::SigningKey::generate().unwrap();
    let forged = touch.sign(&another).verify(&world.key());
    assert_eq!(forged, Err(TouchIdError::Signature));

    let [stored] = &world.touches().await[..] else {
        panic!("one click was made");
    };
    assert_eq!(stored.touch_id, touch.id);
    assert_eq!(stored.sub_id, "post 7");
    assert_eq!(stored.referrer_host, "blog.example");
    assert_eq!(stored.refusal(), v1::TouchRefusal::Unspecified);
    assert_eq!(stored.flags, [i32::from(v1::TouchFlag::PaidClick)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_prefetches_previews_and_heads_lead_on_and_never_count() {
    let world = World::on(&Database::sqlite()).await;
    let path = format!("/c/{}", world.link().await.link_id);
    let asked: [(&str, &str, (&str, &str), v1::TouchRefusal); 9] = [
        ("HEAD", BROWSER, ("Accept", "*/*"), v1::TouchRefusal::Method),
        (
            "GET",
            BROWSER,
            ("Purpose", "prefetch"),
            v1::TouchRefusal::Prefetch,
        ),
        (
            "GET",
            BROWSER,
            ("Sec-Purpose", "prefetch;prerender"),
            v1::TouchRefusal::Prefetch,
        ),
        (
            "GET",
            BROWSER,
            ("X-Moz", "prefetch"),
            v1::TouchRefusal::Prefetch,
        ),
        (
            "GET",
            BROWSER,
            ("X-Purpose", "preview"),
            v1::TouchRefusal::Preview,
        ),
        (
            "GET",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            ("Accept", "*/*"),
            v1::TouchRefusal::Preview,
        ),
        (
            "GET",
            "WhatsApp/2.23.20.0",
            ("Accept", "*/*"),
            v1::TouchRefusal::Preview,
        ),
        (
            "GET",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            ("Accept", "*/*"),
            v1::TouchRefusal::DeclaredBot,
        ),
        ("GET", "", ("Accept", "*/*"), v1::TouchRefusal::DeclaredBot),
    ];
    for (method, agent, header, _) in &asked {
        let headers = [("User-Agent", *agent), *header];
        let answer = send(&world.endpoint(), method, &path, &headers).await;
        assert_eq!(
            (answer.status, answer.location()),
            (302, PLAIN),
            "{agent} {header:?}"
        );
    }
    let stored = world.touches().await;
    let refusals: Vec<_> = stored.iter().map(v1::Touch::refusal).collect();
    let expected: Vec<_> = asked.iter().map(|(.., refusal)| *refusal).collect();
    assert_eq!(refusals, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_led_astray_and_nothing_is_kept_of_it() {
    let world = World::on(&Database::sqlite()).await;
    let link = world.link().await.link_id;
    let endpoint = world.endpoint();
    for to in [
        "https%3A%2F%2Fevil.example%2F",
        "%2F%2Fevil.example%2F",
        "%5C%5Cevil.example",
        "https%3A%2F%2Fshop.example.evil.example%2F",
        "https%3A%2F%2Fshop.example%40evil.example%2F",
        "http%3A%2F%2Fshop.example%2F",
        "javascript%3Aalert(1)",
    ] {
        let answer = click(&endpoint, &format!("/c/{link}?to={to}")).await;
        assert_eq!((answer.status, answer.location()), (400, ""), "{to}");
        assert!(
            answer.text().starts_with("The page in \"to\""),
            "{}",
            answer.text()
        );
    }
    let long = "x".repeat(129);
    let answer = click(&endpoint, &format!("/c/{link}?sub_id={long}")).await;
    assert_eq!(answer.status, 400);
    for path in [
        "/c/Abcdefghi0",
        "/v/Abcdefghi0",
        "/c/a",
        "/c/..%2F..%2Fetc",
        "/",
        "/c",
    ] {
        let answer = click(&endpoint, path).await;
        assert_eq!((answer.status, answer.location()), (404, ""), "{path}");
        assert!(!answer.text().is_empty());
    }
    let answer = send(&endpoint, "POST", &format!("/c/{link}"), &[]).await;
    assert_eq!(answer.status, 405);
    assert_eq!(world.touches().await, []);

    // Another page of the same shop is fine.
    let answer = click(
        &endpoint,
        &format!("/c/{link}?to=https%3A%2F%2Fm.shop.example%2Fhats"),
    )
    .await;
    let start = "https://m.shop.example/hats?hansa_click=";
    assert!(
        answer.location().starts_with(start),
        "{}",
        answer.location()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_link_and_a_suspended_affiliate_lead_on_without_an_id() {
    let world = World::on(&Database::sqlite()).await;
    let (ended, link) = (world.link().await.link_id, world.link().await.link_id);
    let endpoint = world.endpoint();
    assert!(click_id(click(&endpoint, &format!("/c/{ended}")).await.location()).is_some());
    let request = v1::EndLinkRequest {
        link_id: ended.clone(),
    };
    answered(world.blog.hub.touches().end_link(request).await);
    let answer = click(&endpoint, &format!("/c/{ended}")).await;
    assert_eq!((answer.status, answer.location()), (302, PLAIN));
    world.suspend("blog").await;
    let answer = click(&endpoint, &format!("/c/{link}")).await;
    assert_eq!((answer.status, answer.location()), (302, PLAIN));
    world.hub.set_state("blog", v1::MerchantState::Active).await;
    world.suspend("shop").await;
    let answer = click(&endpoint, &format!("/c/{link}")).await;
    assert_eq!((answer.status, answer.location()), (302, PLAIN));
    let stored = world.touches().await;
    let refusals: Vec<_> = stored.iter().map(v1::Touch::refusal).collect();
    let expected = [
        v1::TouchRefusal::Unspecified,
        v1::TouchRefusal::LinkEnded,
        v1::TouchRefusal::AffiliateInactive,
        v1::TouchRefusal::MerchantInactive,
    ];
    assert_eq!(refusals, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_a_picture_of_one_pixel() {
    let world = World::on(&Database::sqlite()).await;
    let link = world.link().await.link_id;
    let answer = click(&world.endpoint(), &format!("/v/{link}?sub_id=banner")).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "image/gif")
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&answer.body[..6], answer.body.len()), (&b"GIF89a"[..], 43));
    let [stored] = &world.touches().await[..] else {
        panic!("one view was made");
    };
    assert_eq!(
        (stored.kind(), stored.sub_id.as_str()),
        (v1::TouchKind::View, "banner")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_made_up_links_holds_up_nobody() {
    let world = World::on(&Database::sqlite()).await;
    let link = world.link().await.link_id;
    let endpoint = world.endpoint();
    let resident = world.hub.status().await.resident_bytes;
    let mut floods = Vec::new();
    for lane in 0..8 {
        let endpoint = endpoint.clone();
        floods.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(endpoint).await.unwrap();
            let mut statuses = Vec::new();
            for number in 0..250 {
                let path = format!("/c/{lane}{number:09}");
                statuses.push(click_kept(&mut stream, &path).await.unwrap().status);
            }
            statuses
        }));
    }
    for _ in 0..20 {
        let answer = click(&endpoint, &format!("/c/{link}")).await;
        assert!(click_id(answer.location()).is_some());
    }
    for flood in floods {
        let statuses = flood.await.unwrap();
        assert!(
            statuses.iter().all(|status| [404, 503].contains(status)),
            "{statuses:?}"
        );
    }
    assert_eq!(world.touches().await.len(), 20);
    let grown = world
        .hub
        .status()
        .await
        .resident_bytes
        .saturating_sub(resident);
    assert!(grown < 64 << 20, "{grown} bytes for 2,000 unknown links");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_end_leads_shoppers_too_and_hears_of_suspensions() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let world = World::on(&database).await;
    let link = world.link().await.link_id;
    // The same arguments: its ready file says its own address.
    let mut front_end: TestHub = world.hub.replica();
    front_end.start().await;
    let endpoint = world.endpoint();
    let led = click(&endpoint, &format!("/c/{link}")).await;
    let id = click_id(led.location())
        .unwrap()
        .verify(&world.key())
        .unwrap();
    assert_eq!(world.touches().await[0].touch_id, id.id);

    world.suspend("blog").await;
    let began = std::time::Instant::now();
    while click_id(click(&endpoint, &format!("/c/{link}")).await.location()).is_some() {
        assert!(
            began.elapsed() < Duration::from_secs(40),
            "never heard of it"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let last = world.touches().await.pop().unwrap();
    assert_eq!(last.refusal(), v1::TouchRefusal::AffiliateInactive);
}
