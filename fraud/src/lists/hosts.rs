//! Hosts that links may not stand on: a merchant's list, or the alliance's.

use super::domains::Domains;
use super::text::{ListError, Provenance};

/// A list of hosts; each stands for everything below it too.
#[derive(Debug)]
pub struct Hosts(Domains);

/// What is kept of a host; nothing where it is none.
fn host(entry: &str) -> Option<&str> {
    let other = entry.contains(['@', ' ', '/', '*', ':']);
    (!other).then(|| entry.strip_prefix("www.").unwrap_or(entry))
}

impl Hosts {
    /// Reads a list: one host a line.
    ///
    /// # Errors
    /// [`ListError`]: no entry, or a line that is no host.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        Domains::parse(text, "host", host).map(Self)
    }

    /// Where the list is from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        self.0.provenance()
    }

    /// Whether a host in lower case, or one above it, is on the list.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        self.0.contains(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_host_stands_for_everything_below_it_and_nothing_beside_it() {
        let list = Hosts::parse("# date: 2026-01-02\nwww.Coupons.example\nbad.example\n")
            .expect("well formed");
        assert!(list.contains("coupons.example") && list.contains("shop.bad.example"));
        assert!(!list.contains("example") && !list.contains("notbad.example"));
        assert_eq!(list.provenance().date, "2026-01-02");
        let error = Hosts::parse("a.example\nhttps://b.example/\n").unwrap_err();
        assert_eq!(
            error,
            ListError::Entry {
                line: 2,
                reason: "`https://b.example/` is no host".to_owned()
            }
        );
    }
}
