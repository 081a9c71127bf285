//! Domains of disposable mail addresses.

use hashbrown::HashSet;

use super::text::{ListError, Provenance, parse};

/// The list that comes with the program.
const VENDORED: &str = include_str!("../../data/disposable-mail.txt");

/// A list of domains that hand out mail addresses for a few minutes.
#[derive(Debug)]
pub struct DisposableMail {
    from: Provenance,
    domains: HashSet<Box<str>>,
}

impl DisposableMail {
    /// Reads a list: one domain a line.
    ///
    /// # Errors
    /// [`ListError`]: no entry, or a line that is no domain.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let (from, entries) = parse(text);
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        let mut domains = HashSet::with_capacity(entries.len());
        for (line, entry) in entries {
            let domain = entry.trim().trim_end_matches('.').to_lowercase();
            if !domain.contains('.') || domain.contains(['@', ' ', '/', '*']) {
                return Err(ListError::Entry {
                    line,
                    reason: format!("`{domain}` is no domain"),
                });
            }
            domains.insert(domain.into_boxed_str());
        }
        Ok(Self { from, domains })
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

    /// Whether a mail address or a domain belongs to a listed domain or to one below it.
    #[must_use]
    pub fn contains(&self, address: &str) -> bool {
        let domain = address.rsplit('@').next().unwrap_or(address);
        let domain = domain.trim().trim_end_matches('.').to_lowercase();
        let mut rest = domain.as_str();
        loop {
            if self.domains.contains(rest) {
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
    fn an_address_below_a_listed_domain_is_disposable_and_a_provider_of_people_is_not() {
        let list = DisposableMail::vendored().expect("the vendored list is well formed");
        for address in ["x@mailinator.com", "MAILINATOR.COM.", "a@b.mailinator.com"] {
            assert!(list.contains(address), "{address}");
        }
        for address in [
            "x@gmail.com",
            "me@mailinator.com.example",
            "x@com",
            "",
            "x@web.de",
        ] {
            assert!(!list.contains(address), "{address}");
        }
        assert!(list.provenance().date.starts_with("20"));
    }

    #[test]
    fn a_line_that_is_no_domain_is_refused_by_its_number() {
        let error = DisposableMail::parse("# date: x\nmail.example\nx@mail.example\n").unwrap_err();
        assert_eq!(
            error,
            ListError::Entry {
                line: 3,
                reason: "`x@mail.example` is no domain".to_owned()
            }
        );
        assert_eq!(
            DisposableMail::parse("# nothing\n").unwrap_err(),
            ListError::Empty
        );
    }
}
