//! Networks of hosting providers: programs live there, people rarely do.

use std::net::IpAddr;

use super::text::{ListError, Provenance, parse};

/// The list that comes with the program.
const VENDORED: &str = include_str!("../../data/data-centres.txt");

/// One prefix as the addresses it spans, both ends inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    first: u128,
    last: u128,
    provider: u16,
}

/// Networks of hosting providers.
#[derive(Debug)]
pub struct DataCentres {
    from: Provenance,
    providers: Vec<Box<str>>,
    // Sorted by first address and free of overlaps.
    spans: Vec<Span>,
}

impl DataCentres {
    /// Reads a list: a provider in brackets, then its prefixes, one a line. Where prefixes overlap, the provider of the
    /// narrower one is answered.
    ///
    /// # Errors
    /// [`ListError`]: no entry, or a line that is neither a provider nor a prefix.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let (from, entries) = parse(text);
        let mut providers: Vec<Box<str>> = Vec::new();
        let mut spans = Vec::with_capacity(entries.len());
        for (line, entry) in entries {
            let entry = entry.trim();
            let refuse = |reason: String| ListError::Entry { line, reason };
            if let Some(name) = entry.strip_prefix('[').and_then(|e| e.strip_suffix(']')) {
                providers.push(name.trim().into());
                continue;
            }
            if providers.is_empty() {
                providers.push("unnamed".into());
            }
            let provider = u16::try_from(providers.len() - 1)
                .map_err(|_| refuse("more than 65,536 providers".to_owned()))?;
            let (first, last) =
                span(entry).ok_or_else(|| refuse(format!("`{entry}` is no prefix")))?;
            spans.push(Span {
                first,
                last,
                provider,
            });
        }
        if spans.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(Self {
            from,
            providers,
            spans: flatten(spans),
        })
    }

    /// The list that comes with the program.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn vendored() -> Result<Self, ListError> {
        Self::parse(VENDORED)
    }

    /// Where the list is from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.from
    }

    /// The provider whose network the address is in.
    #[must_use]
    pub fn provider(&self, address: IpAddr) -> Option<&str> {
        let key = number(address);
        let after = self.spans.partition_point(|s| s.first <= key);
        let span = self.spans.get(after.checked_sub(1)?)?;
        (key <= span.last)
            .then(|| self.providers.get(usize::from(span.provider)))
            .flatten()
            .map(|name| &**name)
    }
}

/// IPv4 addresses sit where IPv6 maps them, so that a mapped address is found too.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn span(prefix: &str) -> Option<(u128, u128)> {
    let (address, bits) = match prefix.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (prefix, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let host = match address {
        IpAddr::V4(_) => 32_u32.checked_sub(bits.unwrap_or(32))?,
        IpAddr::V6(_) => 128_u32.checked_sub(bits.unwrap_or(128))?,
    };
    let mask = if host == 128 {
        u128::MAX
    } else {
        (1_u128 << host) - 1
    };
    let first = number(address) & !mask;
    Some((first, first | mask))
}

/// Prefixes nest or are apart. A prefix inside another is cut out of it.
fn flatten(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|s| (s.first, std::cmp::Reverse(s.last), s.provider));
    let mut flat: Vec<Span> = Vec::with_capacity(spans.len());
    let mut open: Vec<Span> = Vec::new();
    let close = |flat: &mut Vec<Span>, open: &mut Vec<Span>, upto: Option<u128>| {
        while let Some(top) = open.last().copied() {
            if upto.is_some_and(|at| at <= top.last) {
                break;
            }
            open.pop();
            if top.first <= top.last {
                flat.push(top);
            }
            // What encloses it goes on behind it.
            if let Some(below) = open.last_mut() {
                below.first = top.last.saturating_add(1).max(below.first);
            }
        }
    };
    for span in spans {
        close(&mut flat, &mut open, Some(span.first));
        if let Some(top) = open.last_mut() {
            if top.first < span.first {
                flat.push(Span {
                    last: span.first - 1,
                    ..*top
                });
            }
            top.first = span.first;
        }
        open.push(span);
    }
    close(&mut flat, &mut open, None);
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(list: &DataCentres, address: &str) -> Option<String> {
        list.provider(address.parse().expect("an address"))
            .map(str::to_owned)
    }

    #[test]
    fn addresses_of_hosting_providers_are_known_and_those_of_access_providers_are_not() {
        let list = DataCentres::vendored().expect("the vendored list is well formed");
        assert_eq!(at(&list, "52.94.76.1").as_deref(), Some("aws"));
        assert_eq!(at(&list, "34.66.0.1").as_deref(), Some("gcp"));
        assert_eq!(at(&list, "::ffff:34.66.0.1").as_deref(), Some("gcp"));
        assert_eq!(at(&list, "2600:1f14::1").as_deref(), Some("aws"));
        for home in [
            "80.187.100.1",
            "192.168.1.1",
            "2003:ec::1",
            "0.0.0.0",
            "255.255.255.255",
        ] {
            assert_eq!(at(&list, home), None, "{home}");
        }
    }

    #[test]
    fn the_narrower_prefix_answers_and_the_wider_goes_on_behind_it() {
        let text = "[wide]\n10.0.0.0/8\n[narrow]\n10.1.0.0/16\n10.1.2.0/24\n[host]\n10.1.2.3\n[end]\n10.255.0.0/16\n";
        let list = DataCentres::parse(text).expect("well formed");
        for (address, provider) in [
            ("9.255.255.255", None),
            ("10.0.0.0", Some("wide")),
            ("10.0.255.255", Some("wide")),
            ("10.1.0.0", Some("narrow")),
            ("10.1.2.2", Some("narrow")),
            ("10.1.2.3", Some("host")),
            ("10.1.2.4", Some("narrow")),
            ("10.1.255.255", Some("narrow")),
            ("10.2.0.0", Some("wide")),
            ("10.255.255.255", Some("end")),
            ("11.0.0.0", None),
        ] {
            assert_eq!(at(&list, address).as_deref(), provider, "{address}");
        }
        assert!(list.spans.is_sorted_by(|a, b| a.last < b.first));
    }

    #[test]
    fn a_line_that_is_no_prefix_is_refused_by_its_number() {
        for bad in ["10.0.0.0/33", "10.0.0/8", "::/129", "x"] {
            let error = DataCentres::parse(&format!("[a]\n{bad}\n")).unwrap_err();
            assert!(
                matches!(error, ListError::Entry { line: 2, .. }),
                "{bad}: {error}"
            );
        }
    }
}
