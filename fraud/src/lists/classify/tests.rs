use super::*;

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const INSTAGRAM: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 334.0.4.32.98 (iPhone14,5; iOS 17_5; de_DE; de; scale=3.00; 1170x2532; 604247854)";

fn lists() -> Lists {
    Lists::vendored().expect("the vendored lists are well formed")
}

fn classify(lists: &Lists, request: Request<'_>) -> Classified {
    let agent = lists.agent(request.user_agent());
    lists.classify(&request, agent, &Placement::default())
}

#[test]
fn previews_prefetches_and_programs_never_count_and_people_in_apps_do() {
    let lists = lists();
    let get = |agent| Request::new("GET", None, "").header("User-Agent", agent);
    let cases = [
        (get(CHROME), None),
        (get(INSTAGRAM), None),
        (get(CHROME).header("sec-purpose", ""), None),
        (
            Request::new("HEAD", None, "").header("user-agent", CHROME),
            Some(Reason::Method),
        ),
        (
            get(CHROME).header("Purpose", "prefetch"),
            Some(Reason::Prefetch),
        ),
        (
            get(CHROME).header("Sec-Purpose", "prefetch;prerender"),
            Some(Reason::Prefetch),
        ),
        (
            get(CHROME).header("Sec-Purpose", "prefetch;anonymous-client-ip"),
            Some(Reason::Prefetch),
        ),
        (
            get(CHROME).header("X-Moz", "prefetch"),
            Some(Reason::Prefetch),
        ),
        (
            get(CHROME).header("X-Purpose", "preview"),
            Some(Reason::Preview),
        ),
        (get("WhatsApp/2.23.20.0"), Some(Reason::Preview)),
        (
            get("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
            Some(Reason::Preview),
        ),
        (
            get("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
            Some(Reason::Preview),
        ),
        (get("curl/8.5.0"), Some(Reason::DeclaredBot)),
        (Request::new("GET", None, ""), Some(Reason::DeclaredBot)),
    ];
    for (request, why) in cases {
        let found = classify(&lists, request);
        assert_eq!(found.why, why, "{request:?}");
        assert_eq!(found.counted(), why.is_none());
    }
    assert_eq!(Reason::Prefetch.code(), "PREFETCH");
}

#[test]
fn marks_say_where_a_touch_came_from() {
    let lists = lists();
    let hosted = Some("52.94.76.1".parse().expect("an address"));
    let home = Some("80.187.100.1".parse().expect("an address"));
    let get = |address, query| Request::new("GET", address, query).header("user-agent", CHROME);
    let has = |request, mark| {
        let marks = classify(&lists, request).marks;
        assert!(!marks.has(Mark::DeclaredBot) && !marks.has(Mark::CouponCode));
        marks.has(mark)
    };
    assert!(has(get(hosted, ""), Mark::DataCentre) && !has(get(home, ""), Mark::DataCentre));
    for paid in ["gclid=1", "a=b&MSCLKID=x", "utm_medium=cpc", "wbraid"] {
        assert!(has(get(home, paid), Mark::PaidClick), "{paid}");
    }
    for unpaid in ["", "fbclid=1", "xgclid=1", "utm_medium=email&q=gclid"] {
        assert!(!has(get(home, unpaid), Mark::PaidClick), "{unpaid}");
    }
    for (dest, stuffed) in [("document", false), ("iframe", true), ("image", true)] {
        let request = get(home, "").header("Sec-Fetch-Dest", dest);
        assert_eq!(has(request, Mark::NoNavigation), stuffed, "{dest}");
    }
    assert!(
        !has(get(home, ""), Mark::NoNavigation),
        "older browsers say nothing"
    );
}

#[test]
fn a_merchant_that_allows_paid_clicks_sees_none_and_one_that_bans_a_host_does() {
    let lists = lists();
    let banned = Hosts::parse("coupons.example\n").expect("a host");
    let placement = Placement {
        paid_clicks: true,
        banned: Some(&banned),
    };
    let marks = |referrer| {
        let request = Request::new("GET", None, "gclid=1").header("Referer", referrer);
        lists
            .classify(&request, AgentKind::Person, &placement)
            .marks
    };
    let on = marks("https://user@WWW.Coupons.example:8443/deal?x=https://fine.example/");
    assert!(on.has(Mark::BannedReferrer) && !on.has(Mark::PaidClick));
    for fine in [
        "https://fine.example/?u=coupons.example",
        "",
        "https://",
        "[::1]:80",
    ] {
        assert_eq!(marks(fine), Marks::default(), "{fine}");
    }
}

#[test]
fn a_disposable_mail_address_marks_the_purchase_and_keeps_the_marks_of_the_touch() {
    let lists = lists();
    let touch = Marks::default().with(Mark::PaidClick);
    let bought = lists.purchase(touch, "x@mailinator.com");
    assert!(bought.has(Mark::DisposableMail) && bought.has(Mark::PaidClick));
    assert_eq!(lists.purchase(touch, "x@example.org"), touch);
}

#[test]
fn a_host_is_found_in_any_spelling_of_a_referrer() {
    for (referrer, found) in [
        ("https://a.example/x", Some("a.example")),
        ("HTTP://WWW.A.Example.:80", Some("a.example")),
        ("a.example", Some("a.example")),
        ("https://[2001:db8::1]:8080/", Some("[2001:db8::1]")),
        ("android-app://com.example.app/", Some("com.example.app")),
        ("https://", None),
        ("", None),
    ] {
        let request = Request::new("GET", None, "").header("referer", referrer);
        assert_eq!(request.referrer_host().as_deref(), found, "{referrer}");
    }
}
