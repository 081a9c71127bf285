use super::*;

fn vendored() -> UserAgents {
    UserAgents::vendored().expect("the vendored list is well formed")
}

/// Texts as browsers and apps build them today, written for this test.
const PEOPLE: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 8.0.0; CUBOT_P20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0.3538.110 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    // In-app browsers: Instagram, Facebook, WhatsApp's, Google's app, Line, TikTok, Snapchat, Pinterest, LinkedIn, WeChat, X.
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 380.0.0.28.85 (iPhone15,3; iOS 18_5; de_DE; de; scale=3.00; 1290x2796; 732000001)",
    "Mozilla/5.0 (Linux; Android 15; SM-S921B Build/AP3A.240905.015; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.7339.51 Mobile Safari/537.36 Instagram 395.0.0.36.95 Android (35/15; 480dpi; 1080x2340; samsung; SM-S921B; e1s; s5e9945; en_GB; 780000002; IABMV/1)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/520.0.0.38.101;FBBV/757093731;FBDV/iPhone15,3;FBMD/iPhone;FBSN/iOS;FBSV/18.5;FBSS/3;FBCR/Vodafone.de;FBID/phone;FBLC/de_DE;FBOP/80]",
    "Mozilla/5.0 (Linux; Android 14; SM-A546B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/139.0.7258.94 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/524.0.0.44.60;IABMV/1;]",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A.240805.005; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/139.0.7258.94 Mobile Safari/537.36 [FB_IAB/Orca-Android;FBAV/520.0.0.0;]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/380.0.788317806 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari Line/15.12.0",
    "Mozilla/5.0 (Linux; Android 14; SM-G990B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/139.0.7258.94 Mobile Safari/537.36 trill_2023905030 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/musical_ly app_version/39.5.3 ByteLocale/en ByteFullLocale/en Region/DE BytedanceWebview/d8a21c6",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Snapchat/13.45.0.42 (like Safari/8621.1.15.10.7, panda)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]",
    "Mozilla/5.0 (Linux; Android 13; M2101K6G Build/TKQ1.221013.002; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/139.0.7258.94 Mobile Safari/537.36 [Pinterest/Android]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.31.2345",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.61(0x18003d2f) NetType/WIFI Language/en",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Twitter for iPhone/11.12.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36 (Ecosia android@139.0.7258.94)",
];

/// Previews and prefetches of the same apps, robots, tools.
const PROGRAMS: &[(&str, AgentRule)] = &[
    ("", AgentRule::Missing),
    ("-", AgentRule::Missing),
    (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        AgentRule::Word,
    ),
    (
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        AgentRule::Listed,
    ),
    ("facebookexternalhit/1.1", AgentRule::Listed),
    ("WhatsApp/2.23.20.0 A", AgentRule::Listed),
    ("Twitterbot/1.0", AgentRule::Word),
    (
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        AgentRule::Listed,
    ),
    ("TelegramBot (like TwitterBot)", AgentRule::Listed),
    (
        "Mozilla/5.0 (compatible; AcmeSomething/1.0; +https://acme.example/about)",
        AgentRule::Contact,
    ),
    ("acme-things (ops@acme.example)", AgentRule::Contact),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/139.0.0.0 Safari/537.36",
        AgentRule::Word,
    ),
    ("curl/8.5.0", AgentRule::Listed),
    ("OurShop-request-lib/3", AgentRule::Library),
    ("Mozilla/5.0", AgentRule::NoBrowser),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
        AgentRule::NoBrowser,
    ),
    ("SomeUnheardThing/0.1", AgentRule::NoBrowser),
];

#[test]
fn browsers_and_in_app_browsers_are_people() {
    let agents = vendored();
    for text in PEOPLE {
        assert_eq!(agents.classify(text), AgentClass::Person, "{text}");
    }
}

#[test]
fn previews_robots_and_tools_are_programs_and_the_reason_is_named() {
    let agents = vendored();
    for (text, rule) in PROGRAMS {
        match agents.classify(text) {
            AgentClass::DeclaredBot(evidence) => assert_eq!(evidence.rule, *rule, "{text}"),
            AgentClass::Person => assert_eq!(*text, "taken for a person"),
        }
    }
}

#[test]
fn the_list_is_replaced_by_a_text_and_says_where_it_is_from() {
    let text =
        "# source: our own\n# version: 7\n# date: 2026-11-01\n# licence: CC0\n^Quxy[0-9]+ Chrome\n";
    let agents = UserAgents::parse(text).expect("a list");
    assert_eq!(agents.provenance().version, "7");
    let strange = "Quxy12 Chrome Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)";
    assert!(matches!(
        agents.classify(strange),
        AgentClass::DeclaredBot(Evidence {
            rule: AgentRule::Listed,
            ..
        })
    ));
    assert_eq!(vendored().classify(strange), AgentClass::Person);
}

#[test]
fn a_list_that_cannot_be_used_is_refused_with_the_line() {
    assert_eq!(
        UserAgents::parse("# only a head\n").unwrap_err(),
        ListError::Empty
    );
    let error = UserAgents::parse("# head\ngood\nbad(\n").unwrap_err();
    assert!(matches!(error, ListError::Entry { line: 3, .. }), "{error}");
}

#[test]
fn a_text_of_any_length_or_kind_has_an_answer() {
    let agents = vendored();
    let long = "ä".repeat(100_000);
    assert!(matches!(agents.classify(&long), AgentClass::DeclaredBot(_)));
    let browser = format!("{} {}", PEOPLE[0], "Edg/141.0.0.0 ".repeat(10_000));
    assert_eq!(agents.classify(&browser), AgentClass::Person);
}

#[test]
fn every_pattern_of_the_vendored_list_finds_its_own_name_declared() {
    // A list that is broken on the way (blanks cut, lines lost) shows here: plain patterns must find themselves.
    let agents = vendored();
    let (_, entries) = parse(VENDORED);
    let plain = entries.iter().filter(|(_, p)| {
        p.len() > 5
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || "\\/ -_.".contains(c))
    });
    let mut seen = 0;
    for (line, pattern) in plain {
        let name = pattern.replace('\\', "");
        if agents.innocent.is_match(&format!("x {name}1.0")) {
            // An in-app browser that the list takes for a robot.
            continue;
        }
        assert!(
            matches!(
                agents.classify(&format!("x {name}1.0")),
                AgentClass::DeclaredBot(_)
            ),
            "line {line}: {pattern}"
        );
        seen += 1;
    }
    assert!(seen > 1_000, "{seen}");
}
