//! Where a link leads: checked when the link is made, so that a click costs one copy of the text.

use hansa_client::touch_id::CLICK_PARAMETER;
use url::{Host, Url};

/// Longest destination. Unit: bytes.
pub const MAX_DESTINATION: usize = 2_000;

/// Why a URL is no destination. The words follow "the destination ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not a URL.
    #[error("is no absolute URL like https://shop.example/shoes")]
    NoUrl,
    /// Neither http nor https.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// User or password in it.
    #[error("must not have a user or a password in it")]
    Credentials,
    /// Too long.
    #[error("is longer than 2000 bytes")]
    Length,
    /// It leads to another host than the link does.
    #[error("must be on the host that the link leads to, or on one below it")]
    Elsewhere,
}

/// A destination, with the place for the click id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    /// Up to the click id.
    before: String,
    /// Behind it: `#` and the fragment, or nothing.
    behind: String,
}

impl Destination {
    /// Checks a URL. A click id that is in it already is dropped: only the hub puts one there.
    ///
    /// # Errors
    /// [`DestinationError`], any but `Elsewhere`.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        Self::checked(Url::parse(text).map_err(|_| DestinationError::NoUrl)?)
    }

    fn checked(mut url: Url) -> Result<Self, DestinationError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(DestinationError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::Credentials);
        }
        let is_click = |parameter: &&str| {
            let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
            name == CLICK_PARAMETER
        };
        if let Some(query) = url.query()
            && query.split('&').any(|parameter| is_click(&parameter))
        {
            let rest: Vec<&str> = query.split('&').filter(|p| !is_click(p)).collect();
            let rest = rest.join("&");
            url.set_query((!rest.is_empty()).then_some(&rest));
        }
        let text = url.as_str();
        if text.len() > MAX_DESTINATION {
            return Err(DestinationError::Length);
        }
        let (front, behind) = match text.find('#') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let separator = match url.query() {
            None => "?",
            Some("") => "",
            Some(_) => "&",
        };
        Ok(Self {
            before: format!("{front}{separator}{CLICK_PARAMETER}="),
            behind: behind.to_owned(),
            url,
        })
    }

    /// The URL without a click id.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.url.as_str()
    }

    /// The URL with one.
    #[must_use]
    pub fn with_click(&self, click_id: &str) -> String {
        [&self.before, click_id, &self.behind].concat()
    }

    /// Another page of the same shop: `to` is a URL, or a path at the destination's host. Anything else would lend the hub's
    /// name to whoever wants to lead people astray.
    ///
    /// # Errors
    /// [`DestinationError`]; `Elsewhere` where it is not on the destination's host or one below it.
    pub fn page(&self, to: &str) -> Result<Self, DestinationError> {
        let url = self.url.join(to).map_err(|_| DestinationError::NoUrl)?;
        let page = Self::checked(url)?;
        let secured = self.url.scheme() == "http" && page.url.scheme() == "https";
        let same_port = if self.url.scheme() == page.url.scheme() {
            self.url.port() == page.url.port()
        } else {
            secured && self.url.port().is_none() && page.url.port().is_none()
        };
        let same_host = match (self.url.host(), page.url.host()) {
            (Some(Host::Domain(own)), Some(Host::Domain(other))) => {
                let above = other.strip_suffix(own);
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (own, other) => own == other,
        };
        if same_port && same_host {
            Ok(page)
        } else {
            Err(DestinationError::Elsewhere)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_click(text: &str) -> String {
        Destination::parse(text).unwrap().with_click("ID")
    }

    #[test]
    fn the_click_id_goes_to_the_end_of_the_query() {
        for (text, expected) in [
            (
                "https://shop.example",
                "https://shop.example/?hansa_click=ID",
            ),
            (
                "https://shop.example/a?",
                "https://shop.example/a?hansa_click=ID",
            ),
            (
                "https://shop.example/a?b=c&d",
                "https://shop.example/a?b=c&d&hansa_click=ID",
            ),
            (
                "https://shop.example/a#part?x",
                "https://shop.example/a?hansa_click=ID#part?x",
            ),
            (
                "https://shop.example/a?b=c#part",
                "https://shop.example/a?b=c&hansa_click=ID#part",
            ),
            (
                "https://shop.example/\u{fc}?hansa_click=old&b=1&hansa_click",
                "https://shop.example/%C3%BC?b=1&hansa_click=ID",
            ),
            (
                "https://shop.example/?hansa_click=old",
                "https://shop.example/?hansa_click=ID",
            ),
        ] {
            assert_eq!(with_click(text), expected);
        }
    }

    #[test]
    fn what_is_no_shops_page_is_refused() {
        let long = format!("https://shop.example/{}", "a".repeat(MAX_DESTINATION));
        for (text, expected) in [
            ("", DestinationError::NoUrl),
            ("/shoes", DestinationError::NoUrl),
            ("shop.example", DestinationError::NoUrl),
            ("javascript:alert(1)", DestinationError::Scheme),
            ("data:text/html,x", DestinationError::Scheme),
            ("ftp://shop.example/", DestinationError::Scheme),
            ("https://user@shop.example/", DestinationError::Credentials),
            (
                "https://shop.example@evil.example/",
                DestinationError::Credentials,
            ),
            (&long, DestinationError::Length),
        ] {
            assert_eq!(Destination::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn pages_of_the_shop_are_led_to_and_no_others() {
        let shop = Destination::parse("https://shop.example/start?a=b").unwrap();
        for (to, expected) in [
            ("https://shop.example/shoes", "https://shop.example/shoes"),
            ("/shoes?c=d", "https://shop.example/shoes?c=d"),
            ("https://SHOP.example./x", ""),
            (
                "https://m.shop.example/shoes",
                "https://m.shop.example/shoes",
            ),
            ("https://evilshop.example/", ""),
            ("https://shop.example.evil.example/", ""),
            ("https://evil.example/shop.example", ""),
            ("//evil.example/", ""),
            ("\\\\evil.example/", ""),
            ("/\\evil.example/", ""),
            ("https:evil", "https://shop.example/evil"),
            ("http://shop.example/", ""),
            ("https://shop.example:8443/", ""),
            ("https://user@shop.example/", ""),
            ("javascript:alert(1)", ""),
            ("https://example/", ""),
        ] {
            let page = shop.page(to);
            let plain = page.as_ref().map_or("", |page| page.plain());
            assert_eq!(plain, expected, "{to}");
        }
    }

    #[test]
    fn an_address_has_nothing_below_it_and_a_plain_shop_may_become_a_secure_one() {
        let shop = Destination::parse("http://192.0.2.7/").unwrap();
        assert!(shop.page("http://192.0.2.7/x").is_ok());
        assert!(shop.page("http://1.192.0.2.7/x").is_err());
        assert!(shop.page("http://192.0.2.77/x").is_err());
        let plain = Destination::parse("http://shop.example/").unwrap();
        assert!(plain.page("https://shop.example/").is_ok());
        assert!(plain.page("https://shop.example:81/").is_err());
    }
}
