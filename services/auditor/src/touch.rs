//! Click ids: what the hub's redirect gives to a merchant, and a merchant sends back with a conversion. Read from their published
//! layout: 32 bytes, big-endian (version, kind, flags, merchant, affiliate, site, UUIDv7), and the hub's signature over a prefix and
//! them, in base64url without padding.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::source::MerchantNo;

const PREFIX: &[u8] = b"hansa/touch/v1\0";
const VERSION: u8 = 1;
const BODY: usize = 32;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    Click,
    View,
}

/// A touch that the hub signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Touch {
    pub(crate) id: [u8; 16],
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    pub(crate) affiliate: MerchantNo,
    /// Microseconds.
    pub(crate) at: i64,
}

/// The touch behind a click id that the hub signed for a merchant.
pub(crate) fn read(click_id: &str, merchant: MerchantNo, hub: &[u8; 32]) -> Option<Touch> {
    let bytes = URL_SAFE_NO_PAD.decode(click_id).ok()?;
    let (body, signature) = bytes.split_first_chunk::<BODY>()?;
    let touch = of_body(body, merchant)?;
    let signed = [PREFIX, body].concat();
    let key = UnparsedPublicKey::new(&ED25519, hub);
    key.verify(&signed, signature).is_ok().then_some(touch)
}

fn of_body(body: &[u8; BODY], merchant: MerchantNo) -> Option<Touch> {
    let number = |at: usize| {
        let bytes = body[at..at + 4].iter();
        bytes.fold(0, |number: u32, byte| number << 8 | u32::from(*byte))
    };
    let kind = match body[1] {
        1 => Kind::Click,
        2 => Kind::View,
        _ => return None,
    };
    let mut id = [0; 16];
    id.copy_from_slice(&body[16..]);
    // UUIDv7: its version and variant.
    let is_uuid = id[6] >> 4 == 7 && id[8] >> 6 == 0b10;
    if body[0] != VERSION || number(4) != merchant || !is_uuid {
        return None;
    }
    let milliseconds = id[..6].iter();
    let milliseconds = milliseconds.fold(0, |all: i64, byte| all << 8 | i64::from(*byte));
    Some(Touch {
        id,
        kind,
        flags: u16::from_be_bytes([body[2], body[3]]),
        affiliate: number(8),
        at: milliseconds * 1_000,
    })
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    /// Version, kind, flags, merchant 7, affiliate 9, site 3; 2026-01-01T00:00:00Z.
    const BODY_HEX: &str = "01020011000000070000000900000003019b76daa8007abc8123456789abcdef";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn key(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (pair, public)
    }

    fn text(body: &[u8], key: &Ed25519KeyPair) -> String {
        let signature = key.sign(&[PREFIX, body].concat());
        URL_SAFE_NO_PAD.encode([body, signature.as_ref()].concat())
    }

    #[test]
    fn what_the_hub_signed_is_read() {
        let (pair, hub) = key(1);
        let body = bytes(BODY_HEX);
        let touch = read(&text(&body, &pair), 7, &hub).unwrap();
        assert_eq!(touch.kind, Kind::View);
        assert_eq!(touch.flags, 17);
        assert_eq!(touch.affiliate, 9);
        assert_eq!(touch.at, 1_767_225_600_000_000);
        assert_eq!(touch.id.as_slice(), &body[16..]);
    }

    #[test]
    fn whatever_is_changed_or_signed_by_others_is_not_a_touch() {
        let (pair, hub) = key(1);
        let body = bytes(BODY_HEX);
        let good = text(&body, &pair);
        assert_eq!(read(&good, 8, &hub), None, "another merchant's");
        assert_eq!(read(&good, 7, &key(2).1), None, "another hub's");
        for at in 0..good.len() {
            let mut other = good.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(read(&other, 7, &hub), None, "character {at}");
        }
        for broken in [
            String::new(),
            good[..127].into(),
            format!("{good}A"),
            format!("{good}="),
        ] {
            assert_eq!(read(&broken, 7, &hub), None, "{broken}");
        }
        // Signed, but not of a form that the layout knows.
        for (at, value) in [(0, 2), (1, 0), (1, 3), (22, 0x4a), (24, 0x01)] {
            let mut body = body.clone();
            body[at] = value;
            assert_eq!(read(&text(&body, &pair), 7, &hub), None, "byte {at}");
        }
    }
}
