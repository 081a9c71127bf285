//! From positions to payments: the obligations of a cycle in whole minor units, handed to the netting crate.
//!
//! What merchants owe each other (BURN points used) is cut off to whole minor units, towards 0, so that nobody is ever asked for more than it owes.
//! The hub stands in for the rest: what a merchant owes it, or gets from it, is its position less those. Thus fractions, fees, what is brought
//! forward, what is held back, and obligations with merchants that are left out are all with the hub, and positions are kept to the minor unit.

use super::action::{NettingMethod, Party, SettleCycle};
use super::plan::{Part, PlannedPayment};
use super::preview::{NettingComparison, NettingFigures};
use super::refusal::FinanceRefusal;
use crate::cycle::CycleTotals;
use crate::global::Global;
use crate::ids::{Instant, MerchantIx};
use crate::terms::MerchantState;
use hansa_netting::{
    self as netting, Endowment, Method, NettingError, Obligation, Policy, clearing_vector,
    liquidity, net, positions,
};
use std::collections::{BTreeMap, BTreeSet};

const TOO_LARGE: FinanceRefusal =
    FinanceRefusal::AmountOutOfRange("a payment does not fit into 64 bits");

/// Merchants and their parts in a settlement.
pub(crate) type Parts = BTreeMap<MerchantIx, Part>;

/// The member of the netting crate that a party is: the hub comes first.
const fn member(party: Party) -> u32 {
    match party {
        Party::Hub => 0,
        Party::Merchant(merchant) => merchant.0.saturating_add(1),
    }
}

fn party(member: netting::Party) -> Party {
    match member {
        netting::Party::Hub | netting::Party::Member(0) => Party::Hub,
        netting::Party::Member(n) => Party::Merchant(MerchantIx(n - 1)),
    }
}

impl From<NettingError> for FinanceRefusal {
    fn from(error: NettingError) -> Self {
        Self::Netting(error.to_string())
    }
}

/// Who pays whom, by payer and payee.
pub(crate) fn payments(
    global: &Global,
    totals: &CycleTotals,
    settle: &SettleCycle,
    parts: &Parts,
    at: Instant,
) -> Result<Vec<PlannedPayment>, FinanceRefusal> {
    let obligations = match settle.method {
        NettingMethod::Multilateral => with_the_hub(global, parts, &BTreeMap::new())?,
        NettingMethod::Gross
        | NettingMethod::Bilateral
        | NettingMethod::CycleClearing
        | NettingMethod::MinTransfers
        | NettingMethod::ClearingVector => obligations(global, totals, parts)?,
    };
    let netted = netted(global, &obligations, settle)?;
    let unit = global.currency().minor_micros();
    let mut payments = Vec::with_capacity(netted.len());
    for payment in netted {
        let (payer, payee) = (party(payment.payer), party(payment.payee));
        let amount_micros = i64::try_from(payment.amount * unit).map_err(|_| TOO_LARGE)?;
        if !below_minimum(global, payer, payee, amount_micros, at) {
            payments.push(PlannedPayment {
                payer,
                payee,
                amount_micros,
                payee_account: global.account_of(payee, at),
            });
        }
    }
    payments.sort_unstable();
    Ok(payments)
}

/// Runs the method. A result of CYCLE_CLEARING counts only when its certificate holds.
fn netted(
    global: &Global,
    obligations: &[Obligation],
    settle: &SettleCycle,
) -> Result<Vec<netting::Payment>, FinanceRefusal> {
    let policy = Policy {
        bilateral_first: settle.bilateral_first,
    };
    let method = match settle.method {
        // Only obligations with the hub are left.
        NettingMethod::Multilateral | NettingMethod::Gross => Method::Gross,
        NettingMethod::Bilateral => Method::Bilateral,
        NettingMethod::CycleClearing => Method::CycleClearing,
        NettingMethod::MinTransfers => Method::MinTransfers,
        NettingMethod::ClearingVector => return what_can_be_paid(global, obligations),
    };
    let result = net(obligations, method, policy)?;
    if let Some(certificate) = &result.certificate {
        certificate
            .check(obligations, &result.cleared)
            .map_err(|error| FinanceRefusal::CertificateInvalid(error.to_string()))?;
    }
    Ok(result.payments)
}

/// The greatest clearing vector of the differences of all pairs. A SUSPENDED merchant has nothing but what it is paid; all others can pay.
fn what_can_be_paid(
    global: &Global,
    obligations: &[Obligation],
) -> Result<Vec<netting::Payment>, FinanceRefusal> {
    let pairs = net(obligations, Method::Bilateral, Policy::default())?;
    let left: Vec<Obligation> = obligations
        .iter()
        .zip(&pairs.cleared)
        .map(|(obligation, cleared)| Obligation {
            amount: obligation.amount - cleared,
            ..*obligation
        })
        .collect();
    let suspended = |member: u32| {
        member
            .checked_sub(1)
            .and_then(|ix| global.merchant(MerchantIx(ix)))
            .is_some_and(|merchant| merchant.state == MerchantState::Suspended)
    };
    let debtors: BTreeSet<u32> = left.iter().map(|obligation| obligation.debtor).collect();
    let endowments: Vec<Endowment> = debtors
        .into_iter()
        .map(|member| Endowment {
            member,
            amount: if suspended(member) { 0 } else { i64::MAX },
        })
        .collect();
    Ok(clearing_vector(&left, &endowments)?.payments)
}

/// What a cycle's merchants owe each other and the hub, in whole minor units: one obligation per direction of a pair, one per merchant with the hub.
fn obligations(
    global: &Global,
    totals: &CycleTotals,
    parts: &Parts,
) -> Result<Vec<Obligation>, FinanceRefusal> {
    let unit = global.currency().minor_micros();
    let mut between: BTreeMap<(MerchantIx, MerchantIx), i128> = BTreeMap::new();
    for ((funder, merchant), pair) in &totals.pairs {
        let taking_part = parts.contains_key(funder) && parts.contains_key(merchant);
        if funder != merchant && taking_part {
            // More refunded than used: the merchant owes the funder.
            let (from, to) = if pair.owed_micros >= 0 {
                (*funder, *merchant)
            } else {
                (*merchant, *funder)
            };
            *between.entry((from, to)).or_default() += pair.owed_micros.abs();
        }
    }
    between.retain(|_, micros| {
        *micros /= unit;
        *micros > 0
    });
    let mut obligations = with_the_hub(global, parts, &between)?;
    for ((from, to), units) in between {
        obligations.push(obligation(
            Party::Merchant(from),
            Party::Merchant(to),
            units,
        )?);
    }
    Ok(obligations)
}

/// Each merchant's obligation with the hub: its position less what it owes and is owed by others.
fn with_the_hub(
    global: &Global,
    parts: &Parts,
    between: &BTreeMap<(MerchantIx, MerchantIx), i128>,
) -> Result<Vec<Obligation>, FinanceRefusal> {
    let unit = global.currency().minor_micros();
    let mut with_hub: BTreeMap<MerchantIx, i128> = parts
        .iter()
        .map(|(merchant, part)| (*merchant, part.position_micros / unit))
        .collect();
    for ((from, to), units) in between {
        *with_hub.entry(*from).or_default() -= units;
        *with_hub.entry(*to).or_default() += units;
    }
    with_hub
        .into_iter()
        .filter(|(_, units)| *units != 0)
        .map(|(merchant, units)| {
            let merchant = Party::Merchant(merchant);
            if units > 0 {
                obligation(merchant, Party::Hub, units)
            } else {
                obligation(Party::Hub, merchant, -units)
            }
        })
        .collect()
}

fn obligation(debtor: Party, creditor: Party, units: i128) -> Result<Obligation, FinanceRefusal> {
    Ok(Obligation {
        debtor: member(debtor),
        creditor: member(creditor),
        amount: i64::try_from(units).map_err(|_| TOO_LARGE)?,
    })
}

/// Whether the hub would pay a merchant less than its contract's minimum.
fn below_minimum(global: &Global, payer: Party, payee: Party, micros: i64, at: Instant) -> bool {
    payer == Party::Hub
        && payee
            .merchant()
            .and_then(|merchant| global.contract(merchant, at))
            .is_some_and(|(_, terms)| micros < terms.minimum_payout_micros)
}

/// What is paid. MULTILATERAL goes through the hub: what it passes on is not counted again.
fn value(method: NettingMethod, payments: &[PlannedPayment]) -> i128 {
    let sum = |counts: fn(&PlannedPayment) -> bool| -> i128 {
        let payments = payments.iter().filter(|p| counts(p));
        payments.map(|p| i128::from(p.amount_micros)).sum()
    };
    match method {
        NettingMethod::Multilateral => {
            sum(|p| p.payee == Party::Hub).max(sum(|p| p.payer == Party::Hub))
        }
        NettingMethod::Gross
        | NettingMethod::Bilateral
        | NettingMethod::CycleClearing
        | NettingMethod::MinTransfers
        | NettingMethod::ClearingVector => sum(|_| true),
    }
}

/// The figures of every method on the same obligations.
pub(crate) fn figures(
    global: &Global,
    totals: &CycleTotals,
    settle: &SettleCycle,
    parts: &Parts,
    at: Instant,
) -> Result<NettingComparison, FinanceRefusal> {
    let unit = global.currency().minor_micros();
    let book = obligations(global, totals, parts)?;
    let gross: i128 = book.iter().map(|o| i128::from(o.amount)).sum();
    let gross_micros = gross * unit;
    let owing = positions(&book)?;
    let owing = owing.iter().map(|position| (-position.net).max(0));
    let known: BTreeSet<(u32, u32)> = book.iter().map(|o| (o.debtor, o.creditor)).collect();
    let mut methods = Vec::with_capacity(NettingMethod::ALL.len());
    for method in NettingMethod::ALL {
        let settle = SettleCycle {
            method,
            ..settle.clone()
        };
        let payments = payments(global, totals, &settle, parts, at)?;
        let relation = |p: &PlannedPayment| (member(p.payer), member(p.payee));
        let value = value(method, &payments);
        let cash: Vec<netting::Payment> = payments
            .iter()
            .map(|p| netting::Payment {
                payer: netting::Party::Member(member(p.payer)),
                payee: netting::Party::Member(member(p.payee)),
                amount: i128::from(p.amount_micros),
            })
            .collect();
        methods.push(NettingFigures {
            method,
            payment_value_micros: value,
            payments: payments.len(),
            new_relations: payments
                .iter()
                .filter(|p| !known.contains(&relation(p)))
                .count(),
            liquidity_micros: liquidity(&cash),
            cleared_micros: gross_micros - value,
        });
    }
    Ok(NettingComparison {
        gross_micros,
        net_internal_debt_micros: owing.sum::<i128>() * unit,
        methods,
    })
}
