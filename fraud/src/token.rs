//! Keyed hashes of personal things: SipHash-2-4 under a key of the hub. The same thing under the same key is the same number,
//! so that things can be counted and compared; without the key it cannot be found by trying.
//!
//! Owns what is made the same before it is hashed (networks, mail addresses). Keeps neither the thing nor the key's text.

use std::{
    fmt,
    hash::Hasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU64,
};

use siphasher::sip::SipHasher24;

/// Which kind of thing: the same text as two kinds has two hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenKind {
    /// A first-party cookie or another mark of a device ([`crate::Touch::device`], [`crate::Enrolment::devices`]).
    Device = 1,
    /// A user agent's text.
    Agent,
    /// A referrer's host.
    Referrer,
    /// A means of payment.
    Payment,
    /// An account to be paid.
    Payout,
    /// A verified identity.
    Identity,
    /// A declared group of affiliates.
    Group,
    /// A till ([`crate::points::PointsEvent::Accrual`]).
    Lane,
}

const ADDRESS: u8 = 64;
const PREFIX: u8 = 65;
const MAIL: u8 = 66;

/// The hub's key for tokens. Another key makes other tokens: change it only together with a new state.
#[derive(Clone)]
pub struct TokenKey(SipHasher24);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

impl TokenKey {
    /// From 16 secret bytes.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(key))
    }

    fn hash(&self, kind: u8, parts: &[&[u8]]) -> NonZeroU64 {
        let mut hasher = self.0;
        hasher.write_u8(kind);
        for part in parts {
            hasher.write(part);
        }
        NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN)
    }

    /// The token of a text.
    #[must_use]
    pub fn of(&self, kind: TokenKind, text: &str) -> NonZeroU64 {
        self.hash(kind as u8, &[text.as_bytes()])
    }

    /// The tokens of an address and of its network: /24 of IPv4, /48 of IPv6.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> (NonZeroU64, NonZeroU64) {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let network = Ipv4Addr::from(u32::from(v4) & !0xff);
                (
                    self.hash(ADDRESS, &[&v4.octets()]),
                    self.hash(PREFIX, &[&network.octets()]),
                )
            }
            IpAddr::V6(v6) => {
                let network = Ipv6Addr::from(u128::from(v6) >> 80 << 80);
                (
                    self.hash(ADDRESS, &[&v6.octets()]),
                    self.hash(PREFIX, &[&network.octets()]),
                )
            }
        }
    }

    /// The token of a mail address, of a customer ([`crate::Conversion::customer`]) as of an affiliate
    /// ([`crate::Enrolment::mail`]): capitals, what is behind a plus, and a provider's meaningless dots do not make it another.
    #[must_use]
    pub fn mail(&self, address: &str) -> NonZeroU64 {
        let address = address.trim().to_lowercase();
        let (local, domain) = address.rsplit_once('@').unwrap_or((&address, ""));
        let local = match local.split_once('+') {
            Some((local, _)) if !local.is_empty() => local,
            _ => local,
        };
        let domain = domain.trim_end_matches('.');
        if matches!(domain, "gmail.com" | "googlemail.com") {
            let local = local.replace('.', "");
            self.hash(MAIL, &[local.as_bytes(), b"@gmail.com"])
        } else {
            self.hash(MAIL, &[local.as_bytes(), b"@", domain.as_bytes()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(&[7; 16])
    }

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_mail_address_in_its_spellings_is_one_customer() {
        let key = key();
        let mail = key.mail("jane.doe@gmail.com");
        for same in [" JaneDoe@GMAIL.com", "j.a.n.e.doe+shop@googlemail.com."] {
            assert_eq!(key.mail(same), mail, "{same}");
        }
        for other in [
            "janedoe@example.org",
            "jane.doe2@gmail.com",
            "+doe@gmail.com",
        ] {
            assert_ne!(key.mail(other), mail, "{other}");
        }
        assert_ne!(key.mail("a.b@example.org"), key.mail("ab@example.org"));
    }

    #[test]
    fn neighbours_share_a_network_and_a_mapped_address_is_the_address() {
        let key = key();
        let (one, network) = key.address(at("192.0.2.1"));
        assert_eq!(key.address(at("::ffff:192.0.2.1")), (one, network));
        let (other, same) = key.address(at("192.0.2.200"));
        assert!(other != one && same == network && one != network);
        assert_ne!(key.address(at("192.0.3.1")).1, network);
        let wide = key.address(at("2001:db8:1:2::3")).1;
        assert_eq!(key.address(at("2001:db8:1:ffff::9")).1, wide);
        assert_ne!(key.address(at("2001:db8:2::")).1, wide);
    }

    #[test]
    fn kinds_and_keys_are_told_apart_and_a_key_is_never_printed() {
        let device = key().of(TokenKind::Device, "x");
        assert_ne!(device, key().of(TokenKind::Agent, "x"));
        assert_ne!(device, TokenKey::new(&[8; 16]).of(TokenKind::Device, "x"));
        assert_eq!(format!("{:?}", key()), "TokenKey");
    }
}
