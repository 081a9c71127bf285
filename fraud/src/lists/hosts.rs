//! Hosts that links may not stand on: a merchant's list, or the alliance's.

use hashbrown::HashSet;

use super::text::{ListError, Provenance, parse};

/// A list of hosts; each stands for everything below it too.
#[derive(Debug)]
pub struct Hosts {
    from: Provenance,
    hosts: HashSet<Box<str>>,
}

impl Hosts {
    /// Reads a list: one host a line.
    ///
    /// # Errors
    /// [`ListError`]: no entry, or a line that is no host.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let (from, entries) = parse(text);
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        let mut hosts = HashSet::with_capacity(entries.len());
        for (line, entry) in entries {
            let host = entry.trim().trim_end_matches('.').to_lowercase();
            if host.contains(['@', ' ', '/', '*', ':']) {
                return Err(ListError::Entry {
                    line,
                    reason: format!("`{host}` is no host"),
                });
            }
            let host = host.strip_prefix("www.").unwrap_or(&host);
            hosts.insert(host.into());
        }
        Ok(Self { from, hosts })
    }

    /// Where the list is from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.from
    }

    /// Whether a host in lower case, or one above it, is on the list.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        let mut rest = host;
        loop {
            if self.hosts.contains(rest) {
                return true;
            }
            match rest.split_once('.') {
                Some((_, above)) => rest = above,
                None => return false,
            }
        }
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
