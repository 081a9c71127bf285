//! What a request says of itself: does it count, and what is known of it. Nothing of the visitor is kept but keyed hashes.
//!
//! Costs some microseconds where the user agent was seen lately, some twenty more where it was not.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use hansa_client::touch_id::TouchFlags;
use hansa_fraud::{
    Mark, Marks, TokenKey, TokenKind,
    lists::{AgentKind, Hosts, ListError, Lists, Placement, Reason, Request},
};
use hansa_proto::v1::TouchRefusal;
use url::form_urlencoded;

use super::{bounded::Bounded, placement::PlacementRules};

/// User agents that are remembered at least: browsers have a few thousand.
const AGENTS: usize = 20_000;

/// Longest host that is kept; no name is longer. Unit: bytes.
const MAX_HOST: usize = 253;

/// Parameters that name the keyword of an advertisement.
const KEYWORDS: [&str; 5] = ["kw", "keyword", "utm_term", "q", "query"];

/// Marks that a touch may have, for the store.
const MARKS: [Mark; 5] = [
    Mark::DeclaredBot,
    Mark::DataCentre,
    Mark::NoNavigation,
    Mark::PaidClick,
    Mark::BannedReferrer,
];

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Method, headers and query.
    pub request: Request<'a>,
    /// The visitor's address.
    pub address: Option<IpAddr>,
    /// The raw query.
    pub query: &'a str,
    /// URL of the page before; empty: none was named.
    pub referrer: &'a str,
    /// What marks the device; empty: unknown.
    pub device: &'a str,
}

/// What is known of a touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Why it does not count; unspecified: it counts.
    pub refusal: TouchRefusal,
    /// What the click id says of it.
    pub flags: TouchFlags,
    /// What detectors take.
    pub marks: u16,
    /// Keyed hash of the user agent; 0: unknown.
    pub agent: u64,
    /// Keyed hash of the address.
    pub address: u64,
    /// Keyed hash of its network.
    pub network: u64,
    /// Keyed hash of the device.
    pub device: u64,
    /// Host of the page before.
    pub referrer_host: String,
}

/// Looks at requests.
#[derive(Debug)]
pub struct Judge {
    lists: Lists,
    tokens: TokenKey,
    agents: Mutex<Bounded<u64, AgentKind>>,
}

impl Judge {
    /// With the lists that come with the program. Costs some tens of milliseconds.
    ///
    /// # Errors
    /// Never, as a test of the lists shows.
    pub fn new(tokens: TokenKey) -> Result<Self, ListError> {
        Ok(Self {
            lists: Lists::vendored()?,
            tokens,
            agents: Mutex::new(Bounded::new(AGENTS)),
        })
    }

    /// Looks at one.
    #[must_use]
    pub fn look(&self, sight: &Sight<'_>, rules: &PlacementRules) -> Judged {
        let request = &sight.request;
        let agent_text = request.user_agent();
        let agent = self.tokens.of(TokenKind::Agent, agent_text).get();
        let kind = self.kind(agent, agent_text);
        let placement = Placement {
            paid_clicks: false,
            banned: rules.banned_referrers.as_ref(),
        };
        let seen = self.lists.classify(request, kind, &placement);
        let refusal = match seen.why {
            None => TouchRefusal::Unspecified,
            Some(Reason::Method) => TouchRefusal::Method,
            Some(Reason::Prefetch) => TouchRefusal::Prefetch,
            Some(Reason::Preview) => TouchRefusal::Preview,
            Some(Reason::DeclaredBot) => TouchRefusal::DeclaredBot,
        };
        let host = request.referrer_host();
        // A search engine's or a landing page's own address may say what the link does not.
        let before = sight
            .referrer
            .split_once('?')
            .map_or("", |(_, query)| query);
        let before = before.split('#').next().unwrap_or_default();
        let paid = seen.marks.has(Mark::PaidClick) || self.is_paid(before);
        let branded = || {
            let names = |query| names_brand(query, &rules.brand_terms);
            paid && (names(sight.query) || names(before))
        };
        let coupon = || {
            let listed = |host: &Cow<'_, str>| on(rules.coupon_hosts.as_ref(), host);
            rules.coupon_site || host.as_ref().is_some_and(listed)
        };
        let mut flags = TouchFlags::NONE;
        for (flag, holds) in [
            (TouchFlags::PAID_CLICK, paid),
            (
                TouchFlags::BANNED_REFERRER,
                seen.marks.has(Mark::BannedReferrer),
            ),
            (TouchFlags::COUPON_SITE, coupon()),
            (TouchFlags::BRAND_BIDDING, branded()),
            (TouchFlags::NO_REFERRER, host.is_none()),
            (TouchFlags::DATA_CENTRE, seen.marks.has(Mark::DataCentre)),
        ] {
            if holds {
                flags = flags.with(flag);
            }
        }
        let (address, network) = sight.address.map_or((0, 0), |address| {
            let (address, network) = self.tokens.address(address);
            (address.get(), network.get())
        });
        let token = |kind, text: &str| match text {
            "" => 0,
            text => self.tokens.of(kind, text).get(),
        };
        Judged {
            refusal,
            flags,
            marks: bits(seen.marks),
            agent: if agent_text.is_empty() { 0 } else { agent },
            address,
            network,
            device: token(TokenKind::Device, sight.device),
            referrer_host: host
                .filter(|host| host.len() <= MAX_HOST)
                .map_or_else(String::new, Cow::into_owned),
        }
    }

    fn kind(&self, token: u64, text: &str) -> AgentKind {
        let known = || self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = known().get(&token) {
            return kind;
        }
        let kind = self.lists.agent(text);
        known().put(token, kind);
        kind
    }

    fn is_paid(&self, query: &str) -> bool {
        if query.is_empty() {
            return false;
        }
        let request = Request::new("GET", None, query);
        let seen = self
            .lists
            .classify(&request, AgentKind::Person, &Placement::default());
        seen.marks.has(Mark::PaidClick)
    }
}

fn on(hosts: Option<&Hosts>, host: &str) -> bool {
    hosts.is_some_and(|hosts| hosts.contains(host))
}

fn names_brand(query: &str, terms: &[String]) -> bool {
    !terms.is_empty()
        && form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| {
                KEYWORDS
                    .iter()
                    .any(|known| name.eq_ignore_ascii_case(known))
            })
            .any(|(_, value)| {
                let value = value.to_lowercase();
                terms.iter().any(|term| value.contains(term.as_str()))
            })
}

fn bits(marks: Marks) -> u16 {
    MARKS
        .into_iter()
        .filter(|mark| marks.has(*mark))
        .fold(0, |bits, mark| bits | mark as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                           Chrome/129.0.0.0 Safari/537.36";

    fn judge() -> Judge {
        Judge::new(TokenKey::new(&[7; 16])).unwrap()
    }

    fn rules() -> PlacementRules {
        PlacementRules {
            banned_referrers: Some(Hosts::parse("toolbar.example\n").unwrap()),
            coupon_hosts: Some(Hosts::parse("coupons.example\n").unwrap()),
            brand_terms: vec!["alster schuhe".into()],
            coupon_site: false,
        }
    }

    /// A click by GET from a browser.
    fn click<'a>(query: &'a str, referrer: &'a str, address: &str) -> Sight<'a> {
        let address = address.parse().ok();
        Sight {
            request: Request::new("GET", address, query)
                .header("User-Agent", BROWSER)
                .header("Referer", referrer),
            address,
            query,
            referrer,
            device: "",
        }
    }

    #[test]
    fn a_shopper_counts_and_is_kept_as_hashes_alone() {
        let judge = judge();
        let sight = click(
            "sub_id=7",
            "https://www.Blog.example/post?id=1",
            "203.0.113.7",
        );
        let seen = judge.look(&sight, &rules());
        assert_eq!(seen.refusal, TouchRefusal::Unspecified);
        assert_eq!((seen.flags, seen.marks), (TouchFlags::NONE, 0));
        assert_eq!(seen.referrer_host, "blog.example");
        assert!(seen.agent != 0 && seen.address != 0 && seen.network != 0);
        // The same network, another address; the same again has the same hashes.
        let neighbour = click("", "https://blog.example/", "203.0.113.8");
        let neighbour = judge.look(&neighbour, &rules());
        assert_ne!(neighbour.address, seen.address);
        assert_eq!(neighbour.network, seen.network);
        assert_eq!(judge.look(&sight, &rules()), seen);
        let other = Judge::new(TokenKey::new(&[8; 16])).unwrap();
        assert_ne!(other.look(&sight, &rules()).address, seen.address);
    }

    #[test]
    fn flags_say_what_the_placement_rules_are_about() {
        let judge = judge();
        for (query, referrer, address, expected) in [
            ("gclid=x", "https://a.example/", "", TouchFlags::PAID_CLICK),
            (
                "",
                "https://a.example/?msclkid=1#x",
                "",
                TouchFlags::PAID_CLICK,
            ),
            (
                "gclid=x&kw=Billige+ALSTER%20Schuhe",
                "https://a.example/",
                "",
                TouchFlags::PAID_CLICK.with(TouchFlags::BRAND_BIDDING),
            ),
            (
                "kw=alster+schuhe",
                "https://a.example/",
                "",
                TouchFlags::NONE,
            ),
            (
                "gclid=x&kw=alster",
                "https://a.example/",
                "",
                TouchFlags::PAID_CLICK,
            ),
            (
                "",
                "https://x.toolbar.example/",
                "",
                TouchFlags::BANNED_REFERRER,
            ),
            ("", "https://coupons.example/", "", TouchFlags::COUPON_SITE),
            ("", "", "", TouchFlags::NO_REFERRER),
            (
                "",
                "https://a.example/",
                "52.94.76.1",
                TouchFlags::DATA_CENTRE,
            ),
        ] {
            let seen = judge.look(&click(query, referrer, address), &rules());
            assert_eq!(seen.flags, expected, "{query} {referrer} {address}");
            assert_eq!(
                seen.refusal,
                TouchRefusal::Unspecified,
                "{query} {referrer}"
            );
        }
        let coupons = PlacementRules {
            coupon_site: true,
            ..PlacementRules::default()
        };
        let seen = judge.look(&click("", "https://a.example/", ""), &coupons);
        assert_eq!(seen.flags, TouchFlags::COUPON_SITE);
    }

    #[test]
    fn programs_prefetches_previews_and_heads_do_not_count() {
        let judge = judge();
        let none = PlacementRules::default();
        let with = |method: &str, agent: &'static str, header: (&str, &'static str)| {
            let request = Request::new(method, None, "")
                .header("user-agent", agent)
                .header(header.0, header.1);
            let sight = Sight {
                request,
                ..click("", "", "")
            };
            judge.look(&sight, &none).refusal
        };
        let plain = ("accept", "*/*");
        for (refusal, expected) in [
            (with("HEAD", BROWSER, plain), TouchRefusal::Method),
            (
                with("GET", BROWSER, ("Purpose", "prefetch")),
                TouchRefusal::Prefetch,
            ),
            (
                with("GET", BROWSER, ("Sec-Purpose", "prefetch;prerender")),
                TouchRefusal::Prefetch,
            ),
            (
                with("GET", BROWSER, ("X-Moz", "prefetch")),
                TouchRefusal::Prefetch,
            ),
            (
                with("GET", BROWSER, ("X-Purpose", "preview")),
                TouchRefusal::Preview,
            ),
            (
                with("GET", "facebookexternalhit/1.1", plain),
                TouchRefusal::Preview,
            ),
            (with("GET", "curl/8.5.0", plain), TouchRefusal::DeclaredBot),
            (with("GET", "", plain), TouchRefusal::DeclaredBot),
            (with("GET", BROWSER, plain), TouchRefusal::Unspecified),
        ] {
            assert_eq!(refusal, expected);
        }
    }
}
