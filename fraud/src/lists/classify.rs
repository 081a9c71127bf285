//! From what a request shows to what an event carries: does the touch count, and which [`Marks`] has it.
//!
//! Owns which headers, methods and parameters mean what. Link previews, prefetches and declared programs never count; in-app
//! browsers are people. Keeps nothing. Costs below a microsecond where the caller keeps the answer for the user agent (see
//! [`Lists::agent`]; there are few different ones), some 20 microseconds where it does not, and allocates for banned hosts and
//! mail addresses only.
//!
//! A browser does not ask again for what it prefetched: answer a touch with [`Reason::Prefetch`] by a status that is no
//! success (503, `Cache-Control: no-store`), then it asks when the person follows the link, and that touch counts.

use std::{borrow::Cow, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{AgentClass, DataCentres, DisposableMail, Hosts, ListError, UserAgents};
use crate::event::{Mark, Marks};

/// The lists that touches are asked against; a newer one takes the place of each at run time.
#[derive(Debug)]
pub struct Lists {
    /// Declared programs.
    pub agents: UserAgents,
    /// Hosting networks.
    pub centres: DataCentres,
    /// Disposable mail.
    pub mail: DisposableMail,
}

/// What a user agent is, as small as a caller wants to keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentKind {
    /// A browser, an in-app browser, an app.
    Person,
    /// It fetches what a message or post links to, to show a card of it.
    Preview,
    /// Another program that says so.
    Program,
}

/// Why a touch does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Not asked for with GET: whoever follows a link does; `HEAD` is how programs look whether it is there.
    Method,
    /// The browser fetches it in case it is followed.
    Prefetch,
    /// A message or post that carries the link shows a card of it.
    Preview,
    /// The user agent declares a program.
    DeclaredBot,
}

impl Reason {
    /// The stable code: in reports and in answers to affiliates.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "METHOD",
            Self::Prefetch => "PREFETCH",
            Self::Preview => "PREVIEW",
            Self::DeclaredBot => "DECLARED_BOT",
        }
    }
}

/// What is known of a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    /// Why it does not count; `None`: it counts.
    pub why: Option<Reason>,
    /// What an event of it carries.
    pub marks: Marks,
}

impl Classified {
    /// Whether the touch counts: may earn, and goes to the features.
    #[must_use]
    pub const fn counted(&self) -> bool {
        self.why.is_none()
    }
}

/// What a merchant allows of its affiliates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placement<'a> {
    /// Paid clicks on search engines and networks are allowed.
    pub paid_clicks: bool,
    /// Hosts that links may not stand on.
    pub banned: Option<&'a Hosts>,
}

/// What a request for a link shows. Make it with [`Request::new`] and hand all headers to [`Request::header`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    get: bool,
    address: Option<IpAddr>,
    query: &'a str,
    user_agent: &'a str,
    referrer: Option<&'a str>,
    prefetch: bool,
    preview: bool,
    elsewhere: bool,
}

impl<'a> Request<'a> {
    /// By method (`GET`, `HEAD`, ...), address of the visitor and the link's raw query (`a=1&b=2`).
    #[must_use]
    pub fn new(method: &str, address: Option<IpAddr>, query: &'a str) -> Self {
        Self {
            get: method == "GET",
            address,
            query,
            user_agent: "",
            referrer: None,
            prefetch: false,
            preview: false,
            elsewhere: false,
        }
    }

    /// With another header. Headers that mean nothing here change nothing, so all of them may be handed in, in any order.
    #[must_use]
    pub fn header(mut self, name: &str, value: &'a str) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let says = |word: &str| {
            value
                .split([';', ',', ' '])
                .any(|part| part.eq_ignore_ascii_case(word))
        };
        if is("user-agent") {
            self.user_agent = value;
        } else if is("referer") {
            self.referrer = (!value.trim().is_empty()).then_some(value);
        } else if is("purpose") || is("x-purpose") || is("sec-purpose") || is("x-moz") {
            self.prefetch |= says("prefetch") || says("prerender");
            self.preview |= says("preview");
        } else if is("sec-fetch-dest") {
            // Frames, images, scripts, `fetch()`: the page asked for it, nobody followed it.
            self.elsewhere = !value.trim().eq_ignore_ascii_case("document");
        }
        self
    }

    /// The host that the browser came from: lower case, without `www.`.
    #[must_use]
    pub fn referrer_host(&self) -> Option<Cow<'a, str>> {
        self.referrer.and_then(host)
    }

    /// The user agent's text; empty where there is none.
    #[must_use]
    pub const fn user_agent(&self) -> &'a str {
        self.user_agent
    }
}

/// Parameters that networks for paid clicks put on a link. Those that stand on unpaid posts as well (`fbclid`) are not here.
const PAID: [&str; 13] = [
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "gad_source",
    "gad_campaignid",
    "msclkid",
    "yclid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "rdt_cid",
];

/// Parts of the user agents that fetch previews.
const PREVIEWS: [&str; 14] = [
    "facebookexternalhit",
    "facebookcatalog",
    "facebot",
    "whatsapp",
    "twitterbot",
    "slackbot",
    "slack-imgproxy",
    "telegrambot",
    "discordbot",
    "linkedinbot",
    "skypeuripreview",
    "pinterestbot",
    "vkshare",
    "preview",
];

impl Lists {
    /// The lists that come with the program.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn vendored() -> Result<Self, ListError> {
        Ok(Self {
            agents: UserAgents::vendored()?,
            centres: DataCentres::vendored()?,
            mail: DisposableMail::vendored()?,
        })
    }

    /// What a user agent is. The same text has the same answer as long as the list stays: keep it by the text's token.
    #[must_use]
    pub fn agent(&self, user_agent: &str) -> AgentKind {
        match self.agents.classify(user_agent) {
            AgentClass::Person => AgentKind::Person,
            AgentClass::DeclaredBot(_) => {
                let text = user_agent.as_bytes();
                let names = |name: &str| {
                    text.windows(name.len())
                        .any(|part| part.eq_ignore_ascii_case(name.as_bytes()))
                };
                if PREVIEWS.into_iter().any(names) {
                    AgentKind::Preview
                } else {
                    AgentKind::Program
                }
            }
        }
    }

    /// Whether a request for a link counts as a touch, and its marks. `agent` is what [`Self::agent`] said of its user agent.
    #[must_use]
    pub fn classify(
        &self,
        request: &Request<'_>,
        agent: AgentKind,
        placement: &Placement<'_>,
    ) -> Classified {
        let why = if !request.get {
            Some(Reason::Method)
        } else if request.prefetch {
            Some(Reason::Prefetch)
        } else if request.preview || agent == AgentKind::Preview {
            Some(Reason::Preview)
        } else if agent == AgentKind::Program {
            Some(Reason::DeclaredBot)
        } else {
            None
        };
        let hosted = || {
            request
                .address
                .is_some_and(|address| self.centres.provider(address).is_some())
        };
        let banned = || {
            placement.banned.is_some_and(|banned| {
                request
                    .referrer_host()
                    .is_some_and(|host| banned.contains(&host))
            })
        };
        let mut marks = Marks::default();
        for (mark, holds) in [
            (Mark::DeclaredBot, agent != AgentKind::Person),
            (Mark::DataCentre, hosted()),
            (Mark::NoNavigation, request.elsewhere),
            (
                Mark::PaidClick,
                !placement.paid_clicks && is_paid(request.query),
            ),
            (Mark::BannedReferrer, banned()),
        ] {
            if holds {
                marks = marks.with(mark);
            }
        }
        Classified { why, marks }
    }

    /// The marks of a purchase, beside those of its touch: what its customer's mail address says.
    #[must_use]
    pub fn purchase(&self, touch: Marks, mail: &str) -> Marks {
        if self.mail.contains(mail) {
            touch.with(Mark::DisposableMail)
        } else {
            touch
        }
    }
}

fn is_paid(query: &str) -> bool {
    query.split('&').any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        PAID.iter().any(|paid| name.eq_ignore_ascii_case(paid))
            || (name.eq_ignore_ascii_case("utm_medium")
                && [
                    "cpc",
                    "ppc",
                    "cpm",
                    "paidsearch",
                    "paid_search",
                    "paid-search",
                ]
                .iter()
                .any(|paid| value.eq_ignore_ascii_case(paid)))
    })
}

/// The host of an address, without user, port and `www.`.
fn host(address: &str) -> Option<Cow<'_, str>> {
    let rest = address.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next()?;
    let rest = rest.rsplit('@').next()?;
    let host = if rest.starts_with('[') {
        rest.split_inclusive(']').next()?
    } else {
        rest.split(':').next()?
    };
    let host = host.trim_end_matches('.');
    let host = match host.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("www.") => host.get(4..)?,
        _ => host,
    };
    (!host.is_empty()).then(|| {
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        }
    })
}

#[cfg(test)]
mod tests;
