//! Who may have a fact written: decided from the log's own keys where the fact takes its place, so that live, on a restart
//! and in `hansa verify` the same people may do the same things.
//!
//! An operator's key without roles may do everything. A person is named by its key's holder; a key without a holder stands
//! for a person of its own. May not: read the ledger; what a person may do with a certain proposal is the ledger's to say.

use hansa_proto::v1::{self, OperatorRole, commission_decision::Decision, fact::Fact as F};

use crate::{
    error::{HubError, Reason},
    registry::{self, KeyRecord, Owner, Registry},
};

/// Who asks for a fact: the `actor` of the log's `Facts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Actor<'a> {
    /// The hub by itself.
    Hub,
    /// A person of the alliance's operator.
    Operator { key_id: &'a str, key: &'a KeyRecord },
    /// A merchant.
    Merchant(&'a str),
}

/// Refuses a fact that its actor may not have written. `decided_at` in microseconds.
pub fn check(
    registry: &Registry,
    fact: &v1::Fact,
    actor: &str,
    decided_at: i64,
) -> Result<(), HubError> {
    let actor = read(registry, actor, decided_at)?;
    match &fact.fact {
        None => Ok(()),
        Some(
            F::Genesis(_)
            | F::AdvanceTo(_)
            | F::CycleClosed(_)
            | F::CycleAudited(_)
            | F::LogReopened(_)
            | F::FraudRun(_),
        ) => actor.hub(),
        Some(F::CycleCut(_)) if actor == Actor::Hub => Ok(()),
        Some(F::Programme(_) | F::Merchant(_) | F::Promotion(_) | F::CycleCut(_)) => {
            actor.administrator()
        }
        Some(F::KeyRegistered(key)) => actor.may_register(key),
        Some(F::KeyRevoked(revoked)) => actor.may_revoke(registry, &revoked.key_id),
        Some(F::MembersEnrolled(enrolled)) => actor.merchant(&enrolled.merchant_id),
        Some(F::CommissionsDecided(_)) if actor == Actor::Hub => Ok(()),
        Some(F::CommissionsDecided(decided)) => actor.may_decide_commissions(decided),
        // Whose flag it is, the flags' keeper knows.
        Some(F::FraudDecided(decided)) if decided.appeal_flag_number != 0 => actor.any_merchant(),
        Some(F::FraudDecided(decided)) => actor.analyst(&decided.holder),
        Some(F::ProposalMade(made)) => actor.finance(&made.holder),
        Some(F::ProposalDecided(decided)) => actor.finance(&decided.holder),
        Some(F::PaymentsSubmitted(submitted)) => actor.finance(&submitted.holder),
        Some(F::BankReportImported(report)) => actor.finance(&report.imported_by),
        Some(F::ExceptionExplained(explained)) => actor.finance(&explained.holder),
        Some(F::DisputeRaised(raised)) => actor.merchant(&raised.merchant_id),
        // Whose dispute it is, the ledger knows.
        Some(F::DisputeEscalated(_)) => actor.any_merchant(),
        Some(F::DisputeAnswered(answered)) => actor.finance(&answered.holder),
        Some(F::DisputeRuled(ruled)) => actor.finance(&ruled.holder),
        Some(F::QueryRaised(raised)) => actor.merchant(&raised.affiliate_id),
        // Whose query it is, the ledger knows.
        Some(F::QueryAnswered(_) | F::QueryEscalated(_)) => actor.any_merchant(),
        Some(F::QueryRuled(ruled)) => actor.finance(&ruled.holder),
    }
}

/// The merchant of an actor, if it is one.
pub fn merchant_of(actor: &str) -> Option<&str> {
    actor.strip_prefix("merchant:")
}

fn read<'a>(
    registry: &'a Registry,
    actor: &'a str,
    decided_at: i64,
) -> Result<Actor<'a>, HubError> {
    if actor == "hub" {
        return Ok(Actor::Hub);
    }
    if let Some(slug) = merchant_of(actor) {
        return Ok(Actor::Merchant(slug));
    }
    let operator = actor.strip_prefix("operator:").and_then(|key_id| {
        let key = registry.keys.get(key_id)?;
        (key.owner == Owner::Operator).then_some((key_id, key))
    });
    let Some((key_id, key)) = operator else {
        return Err(denied(format!("nobody is known as \"{actor}\"")));
    };
    key.check(key_id, decided_at)?;
    Ok(Actor::Operator { key_id, key })
}

fn denied(message: impl Into<String>) -> HubError {
    HubError::new(Reason::PermissionDenied, message.into())
}

/// A refusal that says which role is missing.
pub fn role_missing(role: OperatorRole) -> HubError {
    let name = role.as_str_name().trim_start_matches("OPERATOR_ROLE_");
    denied(format!(
        "only an operator whose key has the role {name} may do this; an administrator gives roles with hansa keys new"
    ))
}

impl Actor<'_> {
    fn hub(self) -> Result<(), HubError> {
        match self {
            Self::Hub => Ok(()),
            Self::Operator { .. } | Self::Merchant(_) => Err(denied("only the hub says this")),
        }
    }

    fn role(self, role: OperatorRole) -> Result<(), HubError> {
        match self {
            Self::Operator { key, .. } if key.grants(role) => Ok(()),
            Self::Operator { .. } | Self::Merchant(_) | Self::Hub => Err(role_missing(role)),
        }
    }

    fn administrator(self) -> Result<(), HubError> {
        self.role(OperatorRole::Administrator)
    }

    /// An administrator may do all; an analyst holds and releases.
    fn may_decide_commissions(self, decided: &v1::CommissionsDecided) -> Result<(), HubError> {
        let waits = |decision: &v1::CommissionDecision| {
            matches!(
                decision.decision,
                Some(Decision::HoldForFlag(_) | Decision::ReleaseFromFlag(_))
            )
        };
        match self.administrator() {
            Err(_) if decided.decisions.iter().all(waits) => self.role(OperatorRole::FraudAnalyst),
            answer => answer,
        }
    }

    /// An analyst of fraud, under its own name.
    fn analyst(self, holder: &str) -> Result<(), HubError> {
        self.role(OperatorRole::FraudAnalyst)?;
        self.named(holder)
    }

    /// Finance, under its own name.
    fn finance(self, holder: &str) -> Result<(), HubError> {
        self.role(OperatorRole::Finance)?;
        self.named(holder)
    }

    fn named(self, holder: &str) -> Result<(), HubError> {
        match self {
            Self::Operator { key_id, key } if key.person(key_id) == holder => Ok(()),
            Self::Operator { .. } | Self::Merchant(_) | Self::Hub => {
                Err(denied(format!("\"{holder}\" is not who holds the key")))
            }
        }
    }

    fn merchant(self, slug: &str) -> Result<(), HubError> {
        match self {
            Self::Merchant(own) if own == slug => Ok(()),
            Self::Merchant(_) | Self::Operator { .. } | Self::Hub => {
                Err(denied(format!("only merchant \"{slug}\" may say this")))
            }
        }
    }

    fn any_merchant(self) -> Result<(), HubError> {
        match self {
            Self::Merchant(_) => Ok(()),
            Self::Operator { .. } | Self::Hub => Err(denied("only a merchant may say this")),
        }
    }

    /// An administrator registers any key; a merchant its own; anybody else of the operator a key of the same person with
    /// the same roles, so that keys can be rotated by those who hold them.
    fn may_register(self, key: &v1::Key) -> Result<(), HubError> {
        match self {
            Self::Merchant(own) if own == key.merchant_id => Ok(()),
            Self::Operator {
                key_id,
                key: speaks,
            } if key.merchant_id.is_empty()
                && registry::person(key) == speaks.person(key_id)
                && key.operator_roles == speaks.operator_roles =>
            {
                Ok(())
            }
            Self::Merchant(_) => Err(denied("a merchant registers keys of its own only")),
            Self::Operator { .. } | Self::Hub => self.administrator(),
        }
    }

    fn may_revoke(self, registry: &Registry, key_id: &str) -> Result<(), HubError> {
        let revoked = registry.keys.get(key_id);
        let own = match (self, revoked) {
            (Self::Merchant(own), Some(key)) => key.owner == Owner::Merchant(own.to_owned()),
            (
                Self::Operator {
                    key_id: id,
                    key: speaks,
                },
                Some(key),
            ) => key.owner == Owner::Operator && key.person(key_id) == speaks.person(id),
            (Self::Merchant(_) | Self::Operator { .. }, None) | (Self::Hub, _) => false,
        };
        if own { Ok(()) } else { self.administrator() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let mut key = |id: &str, merchant: &str, holder: &str, roles: &[OperatorRole]| {
            let key = v1::Key {
                key_id: id.into(),
                public_key: vec![1; 32],
                merchant_id: merchant.into(),
                holder: holder.into(),
                operator_roles: roles.iter().map(|role| i32::from(*role)).collect(),
                ..v1::Key::default()
            };
            let fact = F::KeyRegistered(key);
            registry.apply(&v1::Fact { fact: Some(fact) }, 0);
        };
        key("root", "", "", &[]);
        key("k1", "", "ana", &[OperatorRole::Finance]);
        key("k2", "", "ana", &[OperatorRole::Administrator]);
        key("k3", "", "ben", &[OperatorRole::Auditor]);
        key("m1", "shop", "", &[]);
        registry
    }

    fn may(fact: F, actor: &str) -> bool {
        check(&registry(), &v1::Fact { fact: Some(fact) }, actor, 1).is_ok()
    }

    #[test]
    fn roles_say_who_may_do_what() {
        let made = |holder: &str| {
            F::ProposalMade(v1::ProposalMade {
                holder: holder.into(),
                ..v1::ProposalMade::default()
            })
        };
        let cut = || F::CycleCut(v1::CycleCut::default());
        let audited = || F::CycleAudited(v1::CycleAudited::default());
        for (fact, actor, expected) in [
            (made("ana"), "operator:k1", true),
            (made("ben"), "operator:k1", false),
            (made("root"), "operator:root", true),
            (made("ana"), "operator:k2", false),
            (made("ben"), "operator:k3", false),
            (made("m1"), "merchant:shop", false),
            (made("hub"), "hub", false),
            (made("ana"), "operator:k9", false),
            (made("m1"), "operator:m1", false),
            (cut(), "hub", true),
            (cut(), "operator:k2", true),
            (cut(), "operator:root", true),
            (cut(), "operator:k1", false),
            (cut(), "operator:k3", false),
            (cut(), "merchant:shop", false),
            (audited(), "hub", true),
            (audited(), "operator:root", false),
        ] {
            assert_eq!(may(fact.clone(), actor), expected, "{actor}: {fact:?}");
        }
    }

    #[test]
    fn merchants_speak_for_themselves_only() {
        let raised = |merchant: &str| {
            F::DisputeRaised(v1::DisputeRaised {
                merchant_id: merchant.into(),
                ..v1::DisputeRaised::default()
            })
        };
        assert!(may(raised("shop"), "merchant:shop"));
        assert!(!may(raised("other"), "merchant:shop"));
        assert!(!may(raised("shop"), "operator:root"));
        let enrolled = F::MembersEnrolled(v1::MembersEnrolled {
            merchant_id: "shop".into(),
            ..v1::MembersEnrolled::default()
        });
        assert!(may(enrolled.clone(), "merchant:shop"));
        assert!(!may(enrolled, "merchant:other"));
    }

    #[test]
    fn whoever_is_no_administrator_brings_and_ends_keys_of_its_own_only() {
        let register = |merchant: &str, holder: &str, roles: &[OperatorRole]| {
            F::KeyRegistered(v1::Key {
                key_id: "new".into(),
                merchant_id: merchant.into(),
                holder: holder.into(),
                operator_roles: roles.iter().map(|role| i32::from(*role)).collect(),
                ..v1::Key::default()
            })
        };
        let finance = [OperatorRole::Finance];
        let revoke = |id: &str| {
            F::KeyRevoked(v1::KeyRevoked {
                key_id: id.into(),
                ..v1::KeyRevoked::default()
            })
        };
        for (fact, actor, expected) in [
            (register("", "ana", &finance), "operator:k1", true),
            (register("", "ana", &[]), "operator:k1", false),
            (register("", "ben", &finance), "operator:k1", false),
            (register("shop", "", &[]), "operator:k1", false),
            (register("", "ben", &finance), "operator:k2", true),
            (register("shop", "", &[]), "operator:k2", true),
            (register("shop", "", &[]), "merchant:shop", true),
            (register("", "ana", &finance), "merchant:shop", false),
            (register("other", "", &[]), "merchant:shop", false),
            (register("", "", &[]), "hub", false),
            (revoke("k2"), "operator:k1", true),
            (revoke("k3"), "operator:k1", false),
            (revoke("k3"), "operator:root", true),
            (revoke("m1"), "merchant:shop", true),
            (revoke("m1"), "merchant:other", false),
            (revoke("k1"), "merchant:shop", false),
        ] {
            assert_eq!(may(fact.clone(), actor), expected, "{actor}: {fact:?}");
        }
    }

    #[test]
    fn a_key_that_is_out_of_its_time_speaks_for_nobody() {
        let mut registry = registry();
        let revoked = F::KeyRevoked(v1::KeyRevoked {
            key_id: "k1".into(),
            ..v1::KeyRevoked::default()
        });
        registry.apply(
            &v1::Fact {
                fact: Some(revoked),
            },
            5,
        );
        let made = F::ProposalMade(v1::ProposalMade {
            holder: "ana".into(),
            ..v1::ProposalMade::default()
        });
        let refused = check(&registry, &v1::Fact { fact: Some(made) }, "operator:k1", 6);
        assert_eq!(refused.map_err(|e| e.reason), Err(Reason::KeyRevoked));
    }
}
