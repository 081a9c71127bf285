//! Whose offers a caller sees, as of the last commit of the log.
//!
//! An affiliate sees the offers of merchants that run a programme. That is asked anew for every call, so a merchant that is
//! suspended is gone from the next answer on.

use std::collections::BTreeMap;

use hansa_settlement::{Currency, Instant, MerchantIx, MerchantState};

use crate::{auth::Caller, error::HubError, sequencer::View, services::touches::participant};

/// Merchants that run a programme for affiliates: ACTIVE, with the role AFFILIATE and commission terms in force. Each with the
/// number of the version of its terms.
pub type Running = BTreeMap<u32, u32>;

/// Whose offers a caller asks for, of those that it sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of one merchant: its own, or an operator's choice.
    Merchant(u32),
    /// Those that an affiliate may advertise.
    Affiliate {
        /// Of these merchants: of the running ones, those that it asks for; none while it is not ACTIVE.
        merchants: Running,
        /// The affiliate's tier, as rate cards name it.
        tier: String,
    },
}

/// What a caller sees.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Whose offers.
    pub scope: Scope,
    /// Who runs a programme.
    pub running: Running,
    /// The programme's currency.
    pub currency: Currency,
    /// The hub's clock, microseconds since 1970.
    pub now: i64,
    /// Of what kind the scope is, for tokens: they are good for it alone.
    pub name: String,
}

impl Sight {
    /// What `caller` sees of the offers of `asked`; empty: of everybody.
    ///
    /// # Errors
    /// There is no such merchant, or the caller is a merchant and asks for another one's.
    pub fn of(view: &View<'_>, caller: &Caller, asked: &str) -> Result<Self, HubError> {
        let running = running(view);
        let scope = match caller {
            Caller::Operator { .. } if asked.is_empty() => Scope::All,
            Caller::Operator { .. } => {
                Scope::Merchant(participant(view.registry, "merchant_id", asked)?)
            }
            Caller::Merchant { slug, index } => {
                let profile = view.global.affiliates().profile(MerchantIx(*index));
                match profile {
                    _ if asked == slug => Scope::Merchant(*index),
                    None if asked.is_empty() => Scope::Merchant(*index),
                    None => {
                        let text = "a merchant sees its own offers only; leave merchant_id empty";
                        return Err(HubError::permission_denied(text));
                    }
                    Some(profile) => {
                        let mut merchants = running.clone();
                        merchants.remove(index);
                        if !asked.is_empty() {
                            let asked = participant(view.registry, "merchant_id", asked)?;
                            merchants.retain(|merchant, _| *merchant == asked);
                        }
                        if !is_active(view, *index) {
                            merchants.clear();
                        }
                        Scope::Affiliate {
                            merchants,
                            tier: profile.tier.clone(),
                        }
                    }
                }
            }
        };
        let who = match caller {
            Caller::Operator { .. } => "operator",
            Caller::Merchant { slug, .. } => slug,
        };
        Ok(Self {
            scope,
            running,
            currency: view.global.currency(),
            now: view.now,
            name: format!("{asked} for {who}"),
        })
    }

    /// Whether a merchant runs a programme.
    #[must_use]
    pub fn runs(&self, merchant: u32) -> bool {
        self.running.contains_key(&merchant)
    }

    /// The one merchant whose offers are asked for, where it is one.
    #[must_use]
    pub fn only(&self) -> Option<u32> {
        match &self.scope {
            Scope::All => None,
            Scope::Merchant(merchant) => Some(*merchant),
            Scope::Affiliate { merchants, .. } => {
                let mut merchants = merchants.keys();
                merchants
                    .next()
                    .copied()
                    .filter(|_| merchants.next().is_none())
            }
        }
    }

    /// Whether there is no merchant whose offers are seen.
    #[must_use]
    pub fn sees_nothing(&self) -> bool {
        match &self.scope {
            Scope::All | Scope::Merchant(_) => false,
            Scope::Affiliate { merchants, .. } => merchants.is_empty(),
        }
    }

    /// Whether a merchant's offers are seen.
    #[must_use]
    pub fn sees(&self, merchant: u32) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Merchant(own) => *own == merchant,
            Scope::Affiliate { merchants, .. } => merchants.contains_key(&merchant),
        }
    }
}

fn is_active(view: &View<'_>, participant: u32) -> bool {
    let participant = view.global.merchant(MerchantIx(participant));
    participant.is_some_and(|participant| participant.state == MerchantState::Active)
}

/// One pass over participants and one over versions of terms.
fn running(view: &View<'_>) -> Running {
    let now = Instant(view.now);
    let mut running = Running::new();
    // In log order: the last one that has come into force counts, as for conversions.
    for (number, version) in (0..).zip(view.global.affiliates().versions()) {
        if version.effective_at <= now {
            running.insert(version.merchant.0, number);
        }
    }
    running.retain(|merchant, _| {
        let terms = view.global.merchant(MerchantIx(*merchant));
        terms.is_some_and(|terms| terms.roles.affiliate && terms.state == MerchantState::Active)
    });
    running
}
