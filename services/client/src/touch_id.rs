//! The click id: what the hub's redirect adds to a merchant's URL as `hansa_click`, and what the merchant sends back with
//! a conversion. Anybody with the hub's public key can check one; nobody but the hub can make one.
//!
//! Layout, frozen; numbers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | kind: 1 click, 2 view |
//! | 2-3 | flags, [`TouchFlags`] |
//! | 4-7 | merchant, its index in the log |
//! | 8-11 | affiliate, its index in the log |
//! | 12-15 | site of the affiliate, 0 where none is named |
//! | 16-31 | id, UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, version 7, variant 10, random bits |
//! | 32-95 | Ed25519 signature by the hub's key over `"hansa/touch/v1\0"` and bytes 0-31 |
//!
//! Written as base64url without padding: 128 characters, exactly one text per id. A check costs one verification of
//! Ed25519; [`SignedTouchId::decode`] alone costs none and says nothing about who made the id.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::keys::{SIGNATURE_LEN, SigningKey, VerifyingKey};

/// The query parameter that carries a click id to the merchant.
pub const CLICK_PARAMETER: &str = "hansa_click";

/// Characters of a click id.
pub const TEXT_LEN: usize = 128;

/// Bytes that are signed, after the prefix.
pub const BODY_LEN: usize = 32;

const VERSION: u8 = 1;
const PREFIX: &[u8; 15] = b"hansa/touch/v1\0";
const LEN: usize = BODY_LEN + SIGNATURE_LEN;

/// Why a text is no click id of this hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TouchIdError {
    /// Not 128 characters.
    #[error(
        "a click id has 128 characters, this one {0}: pass the whole value of hansa_click, unchanged"
    )]
    Length(usize),
    /// A character that is not of base64url.
    #[error("a click id is base64url without padding: pass the value of hansa_click unchanged")]
    Alphabet,
    /// A version that this release does not know.
    #[error("a click id of version {0}: this release knows version 1")]
    Version(u8),
    /// Neither a click nor a view.
    #[error("a click id of kind {0}: 1 is a click, 2 a view")]
    Kind(u8),
    /// The sixteen bytes are no UUIDv7.
    #[error("the click id's own id is no UUIDv7: no hub made it")]
    Id,
    /// The signature is not that of the key.
    #[error("the click id's signature is not this hub's: it was changed, or another hub made it")]
    Signature,
}

/// What the shopper did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TouchKind {
    /// Followed a link.
    Click = 1,
    /// Saw an advertisement.
    View = 2,
}

impl TouchKind {
    /// The kind of a number on the wire.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Click),
            2 => Some(Self::View),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Facts about a touch. Whether they matter is for the merchant's placement rules to say, when a conversion is decided.
/// Bits that this release does not know are kept, so that an id of a later one verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TouchFlags(u16);

impl TouchFlags {
    /// No fact at all.
    pub const NONE: Self = Self(0);
    /// The shopper came by a paid advertisement: a parameter such as `gclid` or `msclkid`.
    pub const PAID_CLICK: Self = Self(1);
    /// The page before is on the merchant's list of banned referrers.
    pub const BANNED_REFERRER: Self = Self(2);
    /// A coupon site, by the site's own word or by the merchant's list.
    pub const COUPON_SITE: Self = Self(4);
    /// A paid click whose keyword holds a brand term of the merchant.
    pub const BRAND_BIDDING: Self = Self(8);
    /// No page before was named.
    pub const NO_REFERRER: Self = Self(16);
    /// The address belongs to a hosting network.
    pub const DATA_CENTRE: Self = Self(32);

    /// Those of the known flags that have a name, in the order of their bits.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::PAID_CLICK, "PAID_CLICK"),
        (Self::BANNED_REFERRER, "BANNED_REFERRER"),
        (Self::COUPON_SITE, "COUPON_SITE"),
        (Self::BRAND_BIDDING, "BRAND_BIDDING"),
        (Self::NO_REFERRER, "NO_REFERRER"),
        (Self::DATA_CENTRE, "DATA_CENTRE"),
    ];

    /// Flags of a number on the wire.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a click id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TouchId {
    /// What the shopper did.
    pub kind: TouchKind,
    /// Facts about the touch.
    pub flags: TouchFlags,
    /// Index of the merchant whose page the link leads to.
    pub merchant: u32,
    /// Index of the affiliate whose link it was.
    pub affiliate: u32,
    /// Site of the affiliate, 0 where none is named.
    pub site: u32,
    /// Time-ordered and unique: made by [`time_ordered_id`].
    pub id: [u8; 16],
}

/// A UUIDv7 of an instant (milliseconds since 1970; what is above 48 bits is cut off) and ten random bytes, of which
/// 74 bits are used. The bytes must come from a cryptographic source: two touches of a millisecond differ only by them.
#[must_use]
pub fn time_ordered_id(at_ms: u64, random: [u8; 10]) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
    id[6..].copy_from_slice(&random);
    id[6] = (id[6] & 0x0f) | 0x70;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

/// Milliseconds since 1970 that a time-ordered id begins with.
#[must_use]
pub fn id_at_ms(id: &[u8; 16]) -> u64 {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&id[..6]);
    u64::from_be_bytes(bytes)
}

impl TouchId {
    /// When it happened: milliseconds since 1970.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        id_at_ms(&self.id)
    }

    /// The 32 bytes that are signed, without the prefix.
    #[must_use]
    pub fn body(&self) -> [u8; BODY_LEN] {
        let mut body = [0; BODY_LEN];
        body[0] = VERSION;
        body[1] = self.kind.number();
        body[2..4].copy_from_slice(&self.flags.0.to_be_bytes());
        body[4..8].copy_from_slice(&self.merchant.to_be_bytes());
        body[8..12].copy_from_slice(&self.affiliate.to_be_bytes());
        body[12..16].copy_from_slice(&self.site.to_be_bytes());
        body[16..].copy_from_slice(&self.id);
        body
    }

    /// Signs it with the hub's key.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> SignedTouchId {
        SignedTouchId {
            touch: *self,
            signature: key.sign(&signed_bytes(&self.body())),
        }
    }

    fn from_body(body: &[u8; BODY_LEN]) -> Result<Self, TouchIdError> {
        let [version, kind] = [body[0], body[1]];
        if version != VERSION {
            return Err(TouchIdError::Version(version));
        }
        let kind = TouchKind::from_number(kind).ok_or(TouchIdError::Kind(kind))?;
        let mut id = [0; 16];
        id.copy_from_slice(&body[16..]);
        if id[6] >> 4 != 7 || id[8] >> 6 != 2 {
            return Err(TouchIdError::Id);
        }
        Ok(Self {
            kind,
            flags: TouchFlags(u16::from_be_bytes([body[2], body[3]])),
            merchant: number(body, 4),
            affiliate: number(body, 8),
            site: number(body, 12),
            id,
        })
    }
}

fn number(body: &[u8; BODY_LEN], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&body[at..at + 4]);
    u32::from_be_bytes(bytes)
}

fn signed_bytes(body: &[u8; BODY_LEN]) -> [u8; PREFIX.len() + BODY_LEN] {
    let mut bytes = [0; PREFIX.len() + BODY_LEN];
    bytes[..PREFIX.len()].copy_from_slice(PREFIX);
    bytes[PREFIX.len()..].copy_from_slice(body);
    bytes
}

/// A click id with its signature, checked or not: [`verify`](Self::verify) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedTouchId {
    touch: TouchId,
    signature: [u8; SIGNATURE_LEN],
}

impl SignedTouchId {
    /// Reads the text of a click id. Says nothing yet about who made it.
    ///
    /// # Errors
    /// [`TouchIdError`], any but `Signature`.
    pub fn decode(text: &str) -> Result<Self, TouchIdError> {
        if text.len() != TEXT_LEN {
            return Err(TouchIdError::Length(text.chars().count()));
        }
        let mut bytes = [0; LEN];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(LEN) => {}
            Ok(_) | Err(_) => return Err(TouchIdError::Alphabet),
        }
        let mut body = [0; BODY_LEN];
        body.copy_from_slice(&bytes[..BODY_LEN]);
        let mut signature = [0; SIGNATURE_LEN];
        signature.copy_from_slice(&bytes[BODY_LEN..]);
        Ok(Self {
            touch: TouchId::from_body(&body)?,
            signature,
        })
    }

    /// The text, 128 characters of base64url.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = [0; LEN];
        bytes[..BODY_LEN].copy_from_slice(&self.touch.body());
        bytes[BODY_LEN..].copy_from_slice(&self.signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the id says, if `key` signed it.
    ///
    /// # Errors
    /// [`TouchIdError::Signature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<TouchId, TouchIdError> {
        if key.verifies(&signed_bytes(&self.touch.body()), &self.signature) {
            Ok(self.touch)
        } else {
            Err(TouchIdError::Signature)
        }
    }

    /// What the id says, whoever made it.
    #[must_use]
    pub const fn unverified(&self) -> &TouchId {
        &self.touch
    }
}

impl fmt::Display for SignedTouchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl FromStr for SignedTouchId {
    type Err = TouchIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::decode(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC8410_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    fn touch() -> TouchId {
        TouchId {
            kind: TouchKind::Click,
            flags: TouchFlags::PAID_CLICK.with(TouchFlags::DATA_CENTRE),
            merchant: 3,
            affiliate: 0x0102_0304,
            site: 7,
            id: time_ordered_id(1_795_000_000_123, [0xff; 10]),
        }
    }

    #[test]
    fn what_was_signed_comes_back() {
        let key = SigningKey::generate().unwrap();
        for kind in [TouchKind::Click, TouchKind::View] {
            let touch = TouchId { kind, ..touch() };
            let text = touch.sign(&key).encode();
            assert_eq!(text.len(), TEXT_LEN);
            let read: SignedTouchId = text.parse().unwrap();
            assert_eq!(read.verify(&key.verifying_key()), Ok(touch));
            assert_eq!(read.to_string(), text);
            assert_eq!(read.unverified().at_ms(), 1_795_000_000_123);
        }
    }

    #[test]
    fn the_layout_is_frozen() {
        // Made by an independent implementation of the layout above (Python's struct, base64 and cryptography).
        const TEXT: &str = "AQEAIQAAAAMBAgMEAAAABwGh7lZee3__v_________8M0YeTL3hTmYb1NqJ8Zm_PXvgDN2utrsU-HD1bLGduzRb4v4BAT5-6PkNPFJRILnsmQcRVyDw8dI7yD5GyrokJ";
        let key = SigningKey::from_pem(RFC8410_PRIVATE).unwrap();
        assert_eq!(touch().sign(&key).encode(), TEXT);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = SigningKey::generate().unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(touch().sign(&key).encode()).unwrap();
        for at in 0..LEN * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            let read = SignedTouchId::decode(&URL_SAFE_NO_PAD.encode(&bytes));
            let verified = read.and_then(|id| id.verify(&key.verifying_key()));
            assert!(verified.is_err(), "bit {at}");
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn another_key_is_refused() {
        let key = SigningKey::generate().unwrap();
        let other = SigningKey::generate().unwrap().verifying_key();
        assert_eq!(
            touch().sign(&key).verify(&other),
            Err(TouchIdError::Signature)
        );
        // A signature over the body without the prefix, as another protocol might have it signed.
        let forged = SignedTouchId {
            touch: touch(),
            signature: key.sign(&touch().body()),
        };
        assert_eq!(
            forged.verify(&key.verifying_key()),
            Err(TouchIdError::Signature)
        );
    }

    #[test]
    fn other_lengths_and_alphabets_are_refused() {
        let key = SigningKey::generate().unwrap();
        let text = touch().sign(&key).encode();
        for bad in ["", &text[1..], &format!("{text}A"), &format!("{text}==")] {
            let error = SignedTouchId::decode(bad);
            assert_eq!(error, Err(TouchIdError::Length(bad.len())), "{bad}");
        }
        for character in ["+", "/", "=", " ", "%", "\n", "\0"] {
            let bad = format!("{}{character}", &text[..TEXT_LEN - 1]);
            assert_eq!(SignedTouchId::decode(&bad), Err(TouchIdError::Alphabet));
        }
        let bad = format!("{}ü", &text[..TEXT_LEN - 2]);
        assert_eq!(SignedTouchId::decode(&bad), Err(TouchIdError::Alphabet));
    }

    #[test]
    fn what_no_hub_makes_is_named() {
        let key = SigningKey::generate().unwrap();
        let with = |at: usize, value: u8| {
            let mut bytes = URL_SAFE_NO_PAD.decode(touch().sign(&key).encode()).unwrap();
            bytes[at] = value;
            SignedTouchId::decode(&URL_SAFE_NO_PAD.encode(&bytes)).unwrap_err()
        };
        assert_eq!(with(0, 2), TouchIdError::Version(2));
        assert_eq!(with(1, 0), TouchIdError::Kind(0));
        assert_eq!(with(1, 3), TouchIdError::Kind(3));
        assert_eq!(with(16 + 6, 0x4f), TouchIdError::Id);
        assert_eq!(with(16 + 8, 0xff), TouchIdError::Id);
    }

    #[test]
    fn ids_order_by_time() {
        let early = time_ordered_id(1_000, [0xff; 10]);
        let late = time_ordered_id(1_001, [0; 10]);
        assert!(early < late);
        assert_eq!((id_at_ms(&early), id_at_ms(&late)), (1_000, 1_001));
        assert_eq!(id_at_ms(&time_ordered_id((1 << 48) + 5, [0; 10])), 5);
    }

    #[test]
    fn flags_add_up() {
        let flags = TouchFlags::NO_REFERRER.with(TouchFlags::COUPON_SITE);
        assert_eq!(flags.bits(), 20);
        assert!(flags.contains(TouchFlags::COUPON_SITE));
        assert!(!flags.contains(TouchFlags::COUPON_SITE.with(TouchFlags::PAID_CLICK)));
        let all = TouchFlags::NAMES.iter().map(|(flag, _)| flag.bits());
        assert_eq!(all.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32]);
    }
}
