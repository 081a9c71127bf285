//! A list of names of the domain name system, each of which stands for everything below it too.

use hashbrown::HashSet;

use super::text::{ListError, Provenance, parse};

/// A list of domains, in lower case.
#[derive(Debug)]
pub(super) struct Domains {
    from: Provenance,
    names: HashSet<Box<str>>,
}

impl Domains {
    /// Reads a list: one name a line. `read` gives what is kept of a line, in lower case and without a last dot; nothing where
    /// it is no `kind`.
    pub(super) fn parse(
        text: &str,
        kind: &str,
        read: impl Fn(&str) -> Option<&str>,
    ) -> Result<Self, ListError> {
        let (from, entries) = parse(text);
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        let mut names = HashSet::with_capacity(entries.len());
        for (line, entry) in entries {
            let entry = entry.trim().trim_end_matches('.').to_lowercase();
            let name = read(&entry).ok_or_else(|| ListError::Entry {
                line,
                reason: format!("`{entry}` is no {kind}"),
            })?;
            names.insert(name.into());
        }
        Ok(Self { from, names })
    }

    /// Where the list is from.
    pub(super) fn provenance(&self) -> &Provenance {
        &self.from
    }

    /// Whether a name in lower case, or one above it, is on the list.
    pub(super) fn contains(&self, name: &str) -> bool {
        let mut rest = name;
        loop {
            if self.names.contains(rest) {
                return true;
            }
            match rest.split_once('.') {
                Some((_, above)) => rest = above,
                None => return false,
            }
        }
    }
}
