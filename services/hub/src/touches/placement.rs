//! What a merchant's placement rules name: hosts and words that a touch is looked at for. Whether a finding costs the
//! affiliate anything is decided with the conversion; here it only becomes a flag of the touch.

use std::{fmt, sync::Arc};

use hansa_fraud::lists::Hosts;
use hansa_proto::v1;

/// What touches of one placement are looked at for.
#[derive(Debug, Default)]
pub struct PlacementRules {
    /// Hosts that links may not stand on.
    pub banned_referrers: Option<Hosts>,
    /// Hosts of coupon sites.
    pub coupon_hosts: Option<Hosts>,
    /// The merchant's brand, as shoppers type it; in lower case.
    pub brand_terms: Vec<String>,
    /// The affiliate's own site is a coupon site.
    pub coupon_site: bool,
}

impl PlacementRules {
    /// Those of a merchant's terms, for touches of the affiliate's coupon sites or of others.
    #[must_use]
    pub fn of(placement: Option<&v1::Placement>, coupon_site: bool) -> Self {
        let Some(placement) = placement else {
            return Self {
                coupon_site,
                ..Self::default()
            };
        };
        // Hosts were looked at when the terms came; an empty list is none.
        let hosts = |hosts: &[String]| Hosts::parse(&hosts.join("\n")).ok();
        let lower = placement.brand_terms.iter().map(|term| term.to_lowercase());
        Self {
            banned_referrers: hosts(&placement.banned_referrers),
            coupon_hosts: hosts(&placement.coupon_hosts),
            brand_terms: lower.collect(),
            coupon_site,
        }
    }
}

/// Whose rules are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Placed {
    /// The merchant whose rules they are.
    pub merchant: u32,
    /// The affiliate.
    pub affiliate: u32,
    /// Its site; 0: none is named.
    pub site: u32,
}

/// Tells the rules of a placement. Asked for every touch: it must answer from memory.
#[derive(Clone)]
pub struct PlacementLookup(Arc<dyn Fn(Placed) -> Arc<PlacementRules> + Send + Sync>);

impl PlacementLookup {
    /// By a function.
    pub fn new(lookup: impl Fn(Placed) -> Arc<PlacementRules> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The rules of a placement.
    #[must_use]
    pub fn rules(&self, placed: Placed) -> Arc<PlacementRules> {
        (self.0)(placed)
    }
}

impl fmt::Debug for PlacementLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlacementLookup")
    }
}
