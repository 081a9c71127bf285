//! Opaque page tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::error::HubError;

/// Rows of a page: `default` for 0, 1 000 at most.
pub fn size(asked: i32, default: usize) -> Result<usize, HubError> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size @ 1..=1_000) => Ok(size),
        _ => Err(HubError::field(
            "page_size",
            "OUT_OF_RANGE",
            "1 to 1 000, or 0 for the default",
        )),
    }
}

/// Where a page begins. Tokens are bound to `what` they page through.
pub fn start(token: &str, what: &str) -> Result<u64, HubError> {
    if token.is_empty() {
        return Ok(0);
    }
    start_of(token, what)
}

fn start_of(token: &str, what: &str) -> Result<u64, HubError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| broken())?;
    let (name, at) = bytes
        .split_at_checked(bytes.len().saturating_sub(8))
        .ok_or_else(broken)?;
    if name != what.as_bytes() {
        return Err(broken());
    }
    Ok(u64::from_be_bytes(at.try_into().map_err(|_| broken())?))
}

/// The token of the page that begins at `at`.
pub fn token(what: &str, at: u64) -> String {
    let mut bytes = what.as_bytes().to_vec();
    bytes.extend_from_slice(&at.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key behind which a page begins, where pages go by keys of bytes. Tokens are bound to `what` they page through.
pub fn key(token: &str, what: &str) -> Result<Option<Vec<u8>>, HubError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| broken())?;
    let key = bytes
        .strip_prefix(what.as_bytes())
        .and_then(|rest| rest.strip_prefix(&[0]));
    key.map(|key| Some(key.to_vec())).ok_or_else(broken)
}

/// The token of the page that begins behind a key.
pub fn key_token(what: &str, key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([what.as_bytes(), &[0], key].concat())
}

/// A token that no answer had.
pub fn broken() -> HubError {
    HubError::field(
        "page_token",
        "INVALID",
        "pass the token of the answer before, unchanged",
    )
}

/// A place in the log within a page's walk: an entry, and how much of it was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The entry.
    pub entry: u64,
    /// Rows of it that were told.
    pub skip: u64,
}

/// Where a page begins that walks through the log. Tokens are bound to `what` they page through.
pub fn place(token: &str, what: &str) -> Result<Place, HubError> {
    if token.is_empty() {
        return Ok(Place { entry: 0, skip: 0 });
    }
    let (entry, skip) = token.split_once('.').unwrap_or_default();
    Ok(Place {
        entry: start_of(entry, what)?,
        skip: start_of(skip, "rows")?,
    })
}

/// The token of the page that begins at a place.
pub fn place_token(what: &str, at: Place) -> String {
    format!("{}.{}", token(what, at.entry), token("rows", at.skip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bound_to_what_they_page_through() {
        assert_eq!(start(&token("lots", 7), "lots").ok(), Some(7));
        assert_eq!(start("", "lots").ok(), Some(0));
        assert!(start(&token("keys", 7), "lots").is_err());
        assert!(start("%", "lots").is_err());
        assert!(start("AA", "lots").is_err());
        assert!(size(1_001, 10).is_err() && size(-1, 10).is_err());
        assert_eq!(size(0, 10).ok(), Some(10));
    }

    #[test]
    fn keys_are_bound_too() {
        let token = key_token("links", b"\0ab");
        assert_eq!(key(&token, "links").ok(), Some(Some(b"\0ab".to_vec())));
        assert_eq!(key("", "links").ok(), Some(None));
        for wrong in ["%", "AA", &key_token("link", b"s"), &token[1..]] {
            assert!(key(wrong, "links").is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_in_the_log_are_bound_too() {
        let at = Place { entry: 7, skip: 3 };
        let told = place_token("items", at);
        assert_eq!(place(&told, "items").ok(), Some(at));
        assert_eq!(place("", "items").ok(), Some(Place { entry: 0, skip: 0 }));
        for broken in [".", "AA", &token("items", 7), &told.replace('.', "")] {
            assert!(place(broken, "items").is_err(), "{broken}");
        }
        assert!(place(&told, "other").is_err());
    }
}
