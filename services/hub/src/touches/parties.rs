//! Who may bring and take shoppers now, as the log says: asked for every touch, so it is answered from memory.
//!
//! The log's owner knows it as of the last commit. A front end has no log of its own; it reads what the owner projected, at
//! most some ten seconds old. Before either is known, everybody counts: nothing is earned by a touch alone.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hansa_proto::v1::{Merchant, MerchantState};
use hansa_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::placement::{Placed, PlacementRules};
use crate::{
    convert::roles,
    ownership::{Ownership, Role},
    registry::{Registry, SharedRegistry},
    sequencer::state::Snapshot,
};

/// Between two looks of a front end at what the owner projected.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a participant may do with touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// Its touches count.
    brings: bool,
    /// Touches that lead to it count.
    takes: bool,
}

/// The standing of all, and the registry that it was read from.
#[derive(Debug, Default)]
struct Standings {
    registry: Arc<Registry>,
    parties: Vec<Standing>,
    /// Each merchant's rules of placement, for other sites and for coupon sites.
    rules: Vec<[Arc<PlacementRules>; 2]>,
    /// Affiliates' coupon sites.
    coupon_sites: HashSet<(u32, u32)>,
}

impl Standings {
    fn of(registry: Arc<Registry>) -> Self {
        let mut read = Self::default();
        for (number, slug) in (0..).zip(&registry.slugs) {
            let terms = registry.merchant_terms(slug).unwrap_or_default();
            read.parties.push(standing(&terms));
            let placement = terms.commission_terms.as_ref();
            let placement = placement.and_then(|terms| terms.placement.as_ref());
            let rules = |coupons| Arc::new(PlacementRules::of(placement, coupons));
            read.rules.push([rules(false), rules(true)]);
            let sites = terms.affiliate.iter().flat_map(|profile| &profile.sites);
            let coupons = sites.filter(|site| site.vertical.eq_ignore_ascii_case("COUPON"));
            read.coupon_sites
                .extend(coupons.map(|site| (number, site.site_number)));
        }
        read.registry = registry;
        read
    }
}

/// Tells who may.
#[derive(Debug)]
pub struct Parties {
    ownership: Ownership,
    /// The owner's.
    registry: SharedRegistry,
    /// A front end's.
    projected: SharedRegistry,
    standings: Mutex<Arc<Standings>>,
}

impl Parties {
    /// By what the owner's registry says while this process is the owner.
    pub fn new(ownership: Ownership, registry: SharedRegistry) -> Self {
        Self {
            ownership,
            registry,
            projected: SharedRegistry::default(),
            standings: Mutex::default(),
        }
    }

    /// Whether touches of this affiliate count.
    #[must_use]
    pub fn brings(&self, affiliate: u32) -> bool {
        self.standing(affiliate).brings
    }

    /// Whether touches that lead to this merchant count.
    #[must_use]
    pub fn takes(&self, merchant: u32) -> bool {
        self.standing(merchant).takes
    }

    /// What touches of a placement are looked at for.
    #[must_use]
    pub fn rules(&self, placed: Placed) -> Arc<PlacementRules> {
        let known = self.known();
        let coupons = known
            .coupon_sites
            .contains(&(placed.affiliate, placed.site));
        known.rules.get(placed.merchant as usize).map_or_else(
            || Arc::new(PlacementRules::of(None, coupons)),
            |rules| Arc::clone(&rules[usize::from(coupons)]),
        )
    }

    fn standing(&self, party: u32) -> Standing {
        let unknown = Standing {
            brings: true,
            takes: true,
        };
        let known = self.known();
        known
            .parties
            .get(party as usize)
            .copied()
            .unwrap_or(unknown)
    }

    /// What the newest registry says.
    fn known(&self) -> Arc<Standings> {
        let registry = match self.ownership.role() {
            Role::FrontEnd { .. } => self.projected.get(),
            Role::Owner { .. } | Role::Starting => self.registry.get(),
        };
        let mut known = self
            .standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&known.registry, &registry) {
            *known = Arc::new(Standings::of(registry));
        }
        Arc::clone(&known)
    }

    /// Follows what the owner projects, while this process is a front end. Ends with `cancel`.
    pub async fn follow(&self, store: &Store, cancel: &CancellationToken) {
        let mut seen = None;
        loop {
            if matches!(self.ownership.role(), Role::FrontEnd { .. }) {
                match self.look(store, &mut seen).await {
                    Ok(()) => {}
                    Err(error) => tracing::warn!(%error, "the projection cannot be read"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn look(&self, store: &Store, seen: &mut Option<u64>) -> Result<(), StoreError> {
        let Some((applied, bytes)) = store.global().await? else {
            return Ok(());
        };
        if *seen == Some(applied) {
            return Ok(());
        }
        match postcard::from_bytes::<Snapshot>(&bytes) {
            Ok(snapshot) => self.projected.set(snapshot.registry),
            // Another release's: this process is about to be replaced, too.
            Err(error) => tracing::warn!(%error, "the projection does not decode"),
        }
        *seen = Some(applied);
        Ok(())
    }
}

fn standing(terms: &Merchant) -> Standing {
    match terms.state() {
        MerchantState::Unspecified | MerchantState::Active => Standing {
            brings: true,
            takes: true,
        },
        // Nothing new is earned there, but shoppers and their returns are taken.
        MerchantState::BurnOnly | MerchantState::WindingDown => Standing {
            brings: false,
            takes: true,
        },
        MerchantState::Onboarding | MerchantState::Suspended | MerchantState::Closed => Standing {
            brings: false,
            takes: false,
        },
    }
}

/// Whether affiliates bring a merchant traffic, by its roles.
#[must_use]
pub fn takes_affiliates(registry: &Registry, slug: &str) -> bool {
    registry
        .merchant_terms(slug)
        .is_some_and(|terms| roles(&terms).affiliate)
}
