//! Whose address a request comes from. `X-Forwarded-For` is anybody's word until a proxy that we trust says it.

use std::{net::IpAddr, str::FromStr};

use serde::Deserialize;

/// A network of proxies whose `X-Forwarded-For` is believed: an address, or an address and a number of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Proxy {
    first: u128,
    bits: u32,
}

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither an address nor a network like 10.0.0.0/8")]
pub struct NoNetwork(String);

/// IPv4 addresses stand where IPv6 maps them.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl FromStr for Proxy {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NoNetwork(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse::<u32>().map_err(|_| refused())?,
            None => width,
        };
        if bits > width {
            return Err(refused());
        }
        Ok(Self {
            first: number(address),
            bits: bits + 128 - width,
        })
    }
}

impl TryFrom<String> for Proxy {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Proxy {
    fn contains(&self, address: IpAddr) -> bool {
        let differs = self.first ^ number(address);
        // A shift by all bits is none of Rust's: a network of everything has no bits to compare.
        differs.checked_shr(128 - self.bits).unwrap_or(0) == 0
    }
}

/// The visitor's address: the last one in `X-Forwarded-For` (its lines in order) that none of our proxies has; the peer's
/// where the peer is no proxy of ours. Whatever stands before that address may be made up, and is not read.
pub fn visitor<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    proxies: &[Proxy],
) -> Option<IpAddr> {
    let ours = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let peer = peer.to_canonical();
    if !ours(peer) {
        return Some(peer);
    }
    let hops = forwarded.rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        let hop = hop.trim();
        let address = hop
            .parse()
            .or_else(|_| hop.parse::<std::net::SocketAddr>().map(|at| at.ip()));
        match address.map(|address: IpAddr| address.to_canonical()) {
            Ok(address) if ours(address) => {}
            Ok(address) => return Some(address),
            // A proxy of ours would not write that.
            Err(_) => return None,
        }
    }
    // Our own proxy asks for itself.
    Some(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str], proxies: &[&str]) -> Option<String> {
        let proxies: Vec<Proxy> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        visitor(peer.parse().unwrap(), forwarded.iter().copied(), &proxies).map(|a| a.to_string())
    }

    #[test]
    fn the_header_is_believed_of_proxies_alone() {
        let shopper = "203.0.113.9";
        let ours = ["10.0.0.0/8", "2001:db8::/32"];
        for (peer, forwarded, expected) in [
            ("198.51.100.1", vec![shopper], Some("198.51.100.1")),
            ("10.1.2.3", vec![shopper], Some(shopper)),
            ("::ffff:10.1.2.3", vec![shopper], Some(shopper)),
            ("2001:db8::5", vec!["2001:470::1"], Some("2001:470::1")),
            // What a visitor writes in front is not read.
            ("10.1.2.3", vec!["1.1.1.1, 203.0.113.9"], Some(shopper)),
            (
                "10.1.2.3",
                vec!["1.1.1.1", "203.0.113.9, 10.9.9.9"],
                Some(shopper),
            ),
            ("10.1.2.3", vec!["203.0.113.9:4711"], Some(shopper)),
            ("10.1.2.3", vec!["unknown"], None),
            ("10.1.2.3", vec![], Some("10.1.2.3")),
        ] {
            let address = found(peer, &forwarded, &ours);
            assert_eq!(address.as_deref(), expected, "{peer} {forwarded:?}");
        }
        let none = found("10.1.2.3", &[shopper], &[]);
        assert_eq!(none.as_deref(), Some("10.1.2.3"));
    }

    #[test]
    fn networks_are_read() {
        let everything: Proxy = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains("203.0.113.9".parse().unwrap()));
        assert!(!everything.contains("2001:db8::1".parse().unwrap()));
        let all: Proxy = "::/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        let one: Proxy = "192.0.2.1".parse().unwrap();
        assert!(!one.contains("192.0.2.2".parse().unwrap()));
        for bad in ["", "a", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0/8"] {
            assert!(bad.parse::<Proxy>().is_err(), "{bad}");
        }
    }
}
