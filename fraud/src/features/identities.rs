//! Who stands behind an affiliate: what two of them have in common, and which customers are affiliates. As large as the
//! enrolments, which people check, not traffic.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::{Affiliate, Enrolment, Token};

/// What two affiliates have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinkKind {
    /// The verified identity.
    Identity,
    /// The account to be paid.
    Payout,
    /// The mail address.
    Mail,
    /// A device that signed in.
    Device,
}

impl LinkKind {
    /// What an enrolment says of the person, as tokens.
    pub(crate) fn tokens(enrolment: &Enrolment) -> impl Iterator<Item = (Self, u64)> {
        [
            (Self::Identity, enrolment.identity),
            (Self::Payout, enrolment.payout),
            (Self::Mail, enrolment.mail),
        ]
        .into_iter()
        .filter_map(|(kind, token)| Some((kind, token?.get())))
        .chain(
            enrolment
                .devices
                .iter()
                .map(|device| (Self::Device, device.get())),
        )
    }
}

/// Two affiliates that have something in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Who enrolled later, or is not banned.
    pub affiliate: Affiliate,
    /// The other one.
    pub with: Affiliate,
    /// What they share.
    pub kind: LinkKind,
    /// The other one is banned.
    pub banned: bool,
    /// Both declared the same owner.
    pub declared: bool,
}

/// Tokens of people behind affiliates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    holders: BTreeMap<(LinkKind, u64), BTreeSet<Affiliate>>,
    groups: BTreeMap<Affiliate, u64>,
    banned: BTreeSet<Affiliate>,
    verticals: BTreeMap<Affiliate, u8>,
}

impl Identities {
    /// Whether the customer or the device is an affiliate's.
    #[must_use]
    pub fn owns(&self, customer: Token, device: Token) -> bool {
        let known = |kind, token: Token| {
            token.is_some_and(|token| self.holders.contains_key(&(kind, token.get())))
        };
        known(LinkKind::Mail, customer) || known(LinkKind::Device, device)
    }

    /// Whether the affiliate is banned.
    #[must_use]
    pub fn is_banned(&self, affiliate: Affiliate) -> bool {
        self.banned.contains(&affiliate)
    }

    /// Its kind of site; 0 when it is not enrolled.
    #[must_use]
    pub fn vertical(&self, affiliate: Affiliate) -> u8 {
        self.verticals.get(&affiliate).copied().unwrap_or(0)
    }

    pub(super) fn enrol(&mut self, enrolment: &Enrolment) -> Vec<Link> {
        let affiliate = enrolment.affiliate;
        self.verticals.insert(affiliate, enrolment.vertical);
        if let Some(group) = enrolment.group {
            self.groups.insert(affiliate, group.get());
        }
        let mut links = BTreeSet::new();
        for (kind, token) in LinkKind::tokens(enrolment) {
            let holders = self.holders.entry((kind, token)).or_default();
            for with in holders.iter().filter(|with| **with != affiliate) {
                links.insert((*with, kind));
            }
            holders.insert(affiliate);
        }
        links
            .into_iter()
            .map(|(with, kind)| self.link(affiliate, with, kind))
            .collect()
    }

    /// Everything that is known of the person behind an affiliate. Looks at all enrolments.
    pub(crate) fn tokens(&self, affiliate: Affiliate) -> BTreeSet<(LinkKind, u64)> {
        self.holders
            .iter()
            .filter(|(_, holders)| holders.contains(&affiliate))
            .map(|(token, _)| *token)
            .collect()
    }

    pub(super) fn lift_ban(&mut self, affiliate: Affiliate) {
        self.banned.remove(&affiliate);
    }

    pub(super) fn ban(&mut self, affiliate: Affiliate) -> Vec<Link> {
        self.banned.insert(affiliate);
        let mut links = BTreeSet::new();
        for ((kind, _), holders) in &self.holders {
            if holders.contains(&affiliate) {
                for other in holders.iter().filter(|other| **other != affiliate) {
                    links.insert((*other, *kind));
                }
            }
        }
        links
            .into_iter()
            .map(|(other, kind)| self.link(other, affiliate, kind))
            .collect()
    }

    fn link(&self, affiliate: Affiliate, with: Affiliate, kind: LinkKind) -> Link {
        let group = |of: Affiliate| self.groups.get(&of);
        Link {
            affiliate,
            with,
            kind,
            banned: self.banned.contains(&with),
            declared: group(affiliate).is_some() && group(affiliate) == group(with),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn enrolment(affiliate: u32, payout: u64, group: u64) -> Enrolment {
        Enrolment {
            at_ms: 0,
            affiliate: Affiliate(affiliate),
            vertical: 0,
            payout: NonZeroU64::new(payout),
            identity: NonZeroU64::new(1_000 + u64::from(affiliate)),
            mail: NonZeroU64::new(2_000 + u64::from(affiliate)),
            devices: vec![],
            group: NonZeroU64::new(group),
        }
    }

    #[test]
    fn a_shared_account_links_two_affiliates_and_a_declared_owner_is_told_apart() {
        let mut identities = Identities::default();
        assert_eq!(identities.enrol(&enrolment(1, 7, 0)), []);
        assert_eq!(identities.enrol(&enrolment(1, 7, 0)), [], "not with itself");
        let [link] = identities.enrol(&enrolment(2, 7, 0))[..] else {
            panic!("one link");
        };
        assert!(link.kind == LinkKind::Payout && !link.banned && !link.declared);
        identities.enrol(&enrolment(3, 8, 50));
        let [link] = identities.enrol(&enrolment(4, 8, 50))[..] else {
            panic!("one link");
        };
        assert!(link.declared);
        let [link] = identities.ban(Affiliate(1))[..] else {
            panic!("one link");
        };
        assert!(link.affiliate == Affiliate(2) && link.banned);
        assert!(identities.owns(NonZeroU64::new(2_003), None));
        assert!(!identities.owns(NonZeroU64::new(9), None));
    }
}
