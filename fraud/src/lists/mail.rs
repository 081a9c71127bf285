//! Domains of disposable mail addresses.

use super::domains::Domains;
use super::text::{ListError, Provenance};

/// The list that comes with the program.
const VENDORED: &str = include_str!("../../data/disposable-mail.txt");

/// A list of domains that hand out mail addresses for a few minutes.
#[derive(Debug)]
pub struct DisposableMail(Domains);

/// What is kept of a domain; nothing where it is none.
fn domain(entry: &str) -> Option<&str> {
    let other = !entry.contains('.') || entry.contains(['@', ' ', '/', '*']);
    (!other).then_some(entry)
}

impl DisposableMail {
    /// Reads a list: one domain a line.
    ///
    /// # Errors
    /// [`ListError`]: no entry, or a line that is no domain.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        Domains::parse(text, "domain", domain).map(Self)
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
        self.0.provenance()
    }

    /// Whether a mail address or a domain belongs to a listed domain or to one below it.
    #[must_use]
    pub fn contains(&self, address: &str) -> bool {
        let domain = address.rsplit('@').next().unwrap_or(address);
        let domain = domain.trim().trim_end_matches('.').to_lowercase();
        self.0.contains(&domain)
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
