//! Applying facts of the log to the ledger and the registry: the same path when a fact is appended, when a log is
//! loaded and when it is verified.

use hansa_proto::v1;
use hansa_settlement::{
    Context, Currency, CycleCalendar, ExpiryRule, Fact, FactRefusal, Genesis, Global, Instant,
    MerchantIx, NegativeBalance, Pos, ProgrammeTerms, SettlementTerms, Zone,
};

use crate::{
    authority, commission_terms,
    convert::{self, Fields, micros},
    error::{HubError, Reason},
    finance,
    registry::Registry,
};

/// Where facts stand in the log, and who asked for them.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The entry.
    pub seq: u64,
    /// When it was decided, microseconds.
    pub decided_at: i64,
    /// Who asked, as `Facts.actor` has it.
    pub actor: &'a str,
}

/// Applies a fact, or says why it cannot stand.
pub fn apply(
    global: &mut Global,
    registry: &mut Registry,
    fact: &v1::Fact,
    place: &Place<'_>,
) -> Result<(), HubError> {
    let decided_at = place.decided_at;
    authority::check(registry, fact, place.actor, decided_at)?;
    let context = Context {
        decided_at: Instant(decided_at),
        pos: Pos::new(place.seq, 0),
    };
    let finance = match &fact.fact {
        Some(fact) => finance::read::finance_fact(global, registry, fact, place.actor)?,
        None => None,
    };
    if let Some(finance_fact) = finance {
        global
            .apply_finance(&finance_fact, &context)
            .map_err(|refusal| finance::refused(&refusal))?;
    } else if let (Some(v1::fact::Fact::Programme(p)), None) = (&fact.fact, registry.programme()) {
        *global = first_programme(p, decided_at)?;
    } else {
        for ledger_fact in ledger_facts(registry, fact, decided_at)? {
            global
                .apply_fact(&ledger_fact, &context)
                .map_err(|refusal| refused(&refusal))?;
        }
    }
    registry.apply(fact, decided_at);
    Ok(())
}

/// A ledger before its programme is known: no merchant can be onboarded yet, so it holds nothing.
pub fn blank() -> Global {
    Global::new(&Genesis {
        terms: ProgrammeTerms {
            currency: Currency::EUR,
            reserve_micros: 0,
            zone: Zone::UTC,
            expiry: ExpiryRule::None,
            negative_balance: NegativeBalance::Debt,
            cycles: CycleCalendar::default(),
            settlement: SettlementTerms::default(),
        },
        opens_at: Instant::MIN,
    })
}

fn first_programme(p: &v1::Programme, decided_at: i64) -> Result<Global, HubError> {
    let mut fields = Fields::default();
    // Nobody has joined yet.
    let terms = convert::programme(&mut fields, p, |_| None);
    let Some(terms) = fields.finish(terms)? else {
        return Err(HubError::internal(
            "a programme without terms and without a broken field",
        ));
    };
    Ok(Global::new(&Genesis {
        terms,
        opens_at: Instant(decided_at),
    }))
}

fn refused(refusal: &FactRefusal) -> HubError {
    HubError::new(
        Reason::FailedPrecondition,
        format!("{}: {refusal}", refusal.code()),
    )
}

fn effective(at: Option<&prost_types::Timestamp>, decided_at: i64) -> Instant {
    Instant(at.map_or(decided_at, micros))
}

/// The ledger's part of a fact; nothing for those that only concern keys and members.
fn ledger_facts(
    registry: &Registry,
    fact: &v1::Fact,
    decided_at: i64,
) -> Result<Vec<Fact>, HubError> {
    use v1::fact::Fact as F;
    let mut fields = Fields::default();
    let index = |slug: &str| registry.merchant(slug).map(MerchantIx);
    let facts = match &fact.fact {
        Some(F::Programme(p)) => match convert::programme(&mut fields, p, index) {
            Some(terms) => vec![Fact::Programme {
                effective_at: effective(p.effective_time.as_ref(), decided_at),
                terms,
            }],
            None => Vec::new(),
        },
        Some(F::Merchant(m)) => merchant(&mut fields, registry, m, decided_at),
        Some(F::Promotion(p)) => convert::promotion(&mut fields, p, index)
            .map(Fact::Promotion)
            .into_iter()
            .collect(),
        Some(F::CycleCut(cut)) => {
            vec![Fact::CycleCut {
                closes_at: effective(cut.closes_at.as_ref(), decided_at),
            }]
        }
        Some(F::CycleClosed(closed)) => match closed.digest.as_slice().try_into() {
            Ok(digest) => vec![Fact::CycleClosed {
                cycle: convert::cycle_no(closed.cycle_number),
                digest,
            }],
            Err(_) => {
                fields.broken("digest", "SHA256", "32 bytes of SHA-256");
                Vec::new()
            }
        },
        Some(
            F::Genesis(_)
            | F::KeyRegistered(_)
            | F::KeyRevoked(_)
            | F::MembersEnrolled(_)
            | F::LogReopened(_)
            | F::AdvanceTo(_)
            | F::CycleAudited(_)
            | F::CommissionsDecided(_)
            | F::FraudRun(_)
            | F::FraudDecided(_)
            | F::ProposalMade(_)
            | F::ProposalDecided(_)
            | F::PaymentsSubmitted(_)
            | F::BankReportImported(_)
            | F::ExceptionExplained(_)
            | F::DisputeRaised(_)
            | F::DisputeAnswered(_)
            | F::DisputeEscalated(_)
            | F::DisputeRuled(_)
            | F::QueryRaised(_)
            | F::QueryAnswered(_)
            | F::QueryEscalated(_)
            | F::QueryRuled(_),
        )
        | None => Vec::new(),
    };
    fields.finish(facts)
}

fn merchant(
    fields: &mut Fields,
    registry: &Registry,
    m: &v1::Merchant,
    decided_at: i64,
) -> Vec<Fact> {
    let at = format!("merchants[{}]", m.merchant_id);
    let roles = convert::roles(m);
    let state = convert::merchant_state(m.state());
    let known = registry.merchant(&m.merchant_id);
    let before = registry.merchant_terms(&m.merchant_id);
    let index = MerchantIx(
        known.unwrap_or_else(|| u32::try_from(registry.slugs.len()).unwrap_or(u32::MAX)),
    );
    let mut facts = Vec::new();
    match &before {
        None => {
            facts.push(Fact::MerchantOnboarded {
                slug: m.merchant_id.clone(),
                name: m.display_name.clone(),
                roles,
            });
        }
        Some(old) if old.display_name != m.display_name || old.roles != m.roles => {
            facts.push(Fact::MerchantChanged {
                merchant: index,
                name: m.display_name.clone(),
                roles,
            });
        }
        Some(_) => {}
    }
    if let Some(c) = &m.contract
        && before.as_ref().and_then(|old| old.contract.as_ref()) != Some(c)
    {
        facts.push(Fact::Contract {
            merchant: index,
            effective_at: effective(c.effective_time.as_ref(), decided_at),
            terms: convert::contract(fields, &at, c),
        });
    }
    if let Some(profile) = &m.affiliate
        && before.as_ref().and_then(|old| old.affiliate.as_ref()) != Some(profile)
    {
        facts.push(Fact::Affiliate {
            affiliate: index,
            profile: commission_terms::affiliate(fields, &at, profile),
        });
        let known = before.as_ref().and_then(|old| old.affiliate.as_ref());
        let known = known.map_or(&[][..], |old| &old.codes);
        let new: Vec<v1::AffiliateCode> = profile
            .codes
            .iter()
            .filter(|code| !known.contains(code))
            .cloned()
            .collect();
        let merchant = |slug: &str| registry.merchant(slug).map(MerchantIx);
        let codes = commission_terms::codes(fields, &at, &new, index, decided_at, merchant);
        facts.extend(
            codes
                .into_iter()
                .map(|(merchant, code, held)| Fact::AffiliateCode {
                    merchant,
                    code,
                    held,
                }),
        );
    }
    if let Some(terms) = &m.commission_terms
        && before
            .as_ref()
            .and_then(|old| old.commission_terms.as_ref())
            != Some(terms)
    {
        facts.push(Fact::CommissionTerms {
            merchant: index,
            effective_at: effective(terms.effective_time.as_ref(), decided_at),
            terms: commission_terms::terms(fields, &at, terms),
        });
    }
    if before
        .as_ref()
        .map_or(v1::MerchantState::Onboarding, v1::Merchant::state)
        != m.state()
    {
        facts.push(Fact::MerchantState {
            merchant: index,
            state,
        });
    }
    facts
}
