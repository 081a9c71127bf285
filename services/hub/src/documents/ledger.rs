//! The general ledger of a cycle: its journal by day and kind of event, adjustments, cash that came in ahead, and the payments
//! that the bank has confirmed. It is compared with the statements and with the cycle's totals before it is served.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use hansa_report::{AccountMap, LedgerDocument, LedgerExport, Posting};
use hansa_settlement::{
    Account, Instant, MerchantIx,
    finance::{Action, Party, PaymentState, adjustment_journal, payment_journal, prepaid_journal},
};

use super::{
    amount,
    breakdown::Booking,
    facts, parties,
    statement::{Source, instructed, last_of},
    within,
};
use crate::{convert::cycle_number, error::HubError};

/// A document's postings, before they are written.
type Postings = BTreeMap<Booking, i128>;

/// The export of a closed cycle.
pub fn export(source: &Source<'_>) -> Result<LedgerExport, HubError> {
    let at = within(source.cycle.closes_at.unwrap_or(Instant(0)));
    let last_day = source.terms.day(at);
    let journal = journal(source, last_day);
    let mut documents = Vec::new();
    for ((day, kind), postings) in &journal {
        let compact = day.format("%Y%m%d");
        let reference = format!("{}-{kind}-{compact}", stem(source));
        let text = format!("{}, {day}", words(kind));
        documents.push(document(source, reference, *day, text, postings)?);
    }
    let mut posted: Vec<&Postings> = journal.values().collect();
    let adjustments = adjustments(source, last_day);
    for (reference, day, text, postings) in &adjustments {
        documents.push(document(
            source,
            reference.clone(),
            *day,
            text.clone(),
            postings,
        )?);
    }
    posted.extend(adjustments.iter().map(|(_, _, _, postings)| postings));
    check(source, &posted)?;
    for (reference, day, text, postings) in cash(source) {
        documents.push(document(source, reference, day, text, &postings)?);
    }
    documents.retain(|document| !document.postings.is_empty());
    let issuer = parties::issuer(source.global, source.registry, at);
    let accounts = AccountMap::default();
    Ok(LedgerExport::new(
        issuer,
        source.global.currency(),
        documents,
        accounts,
    )?)
}

fn stem(source: &Source<'_>) -> String {
    format!("HANSA-{}", cycle_number(source.cycle.no))
}

/// `Redemption capture`.
fn words(kind: &str) -> String {
    let lower = kind.to_lowercase().replace('_', " ");
    let mut letters = lower.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The breakdown's journal; what falls on the midnight that ends the cycle belongs to its last day.
fn journal(
    source: &Source<'_>,
    last_day: NaiveDate,
) -> BTreeMap<(NaiveDate, &'static str), Postings> {
    let mut journal: BTreeMap<(NaiveDate, &'static str), Postings> = BTreeMap::new();
    for ((day, kind), postings) in &source.breakdown.journal {
        let document = journal.entry(((*day).min(last_day), *kind)).or_default();
        for (booking, micros) in postings {
            *document.entry(*booking).or_default() += micros;
        }
    }
    journal
}

type Entry = (String, NaiveDate, String, Postings);

fn legs(legs: &[hansa_settlement::Leg]) -> Postings {
    let mut postings = Postings::new();
    for leg in legs {
        *postings.entry(Booking::on(leg.account)).or_default() += leg.micros;
    }
    postings
}

fn adjustments(source: &Source<'_>, last_day: NaiveDate) -> Vec<Entry> {
    let posted = facts::adjustments(source.global, source.cycle);
    let entry = |posted: &facts::Posted<'_>| {
        let journal = adjustment_journal(posted.merchant, posted.counterparty, posted.micros);
        let day = source.terms.day(posted.decision.at).min(last_day);
        let reference = format!("{}-{}", stem(source), posted.id());
        let text = format!("Adjustment, {}", words(posted.reason.code()).to_lowercase());
        (reference, day, text, legs(&journal))
    };
    posted.iter().map(entry).collect()
}

/// Prepaid packs that were approved in the cycle, and payments of its settlement that the bank confirmed.
fn cash(source: &Source<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (proposal, decision) in facts::carried_out(source.global, source.cycle) {
        let Action::PrepaidPack {
            merchant,
            amount_micros,
            ..
        } = &proposal.action
        else {
            continue;
        };
        let journal = prepaid_journal(*merchant, *amount_micros);
        let reference = format!("{}-PREPAID-{}", stem(source), proposal.number);
        let day = source.terms.day(decision.at);
        entries.push((reference, day, "Prepaid pack".to_owned(), legs(&journal)));
    }
    let Some(settlement) = source.global.finance().settlement(source.cycle.no) else {
        return entries;
    };
    for payment in instructed(source.global, settlement) {
        let last = last_of(source.global, payment);
        if last.state != PaymentState::Settled {
            continue;
        }
        let journal = payment_journal(last.payer, last.payee, last.amount_micros, 1);
        let name = |party: Party| match party {
            Party::Hub => "the hub".to_owned(),
            Party::Merchant(merchant) => source.registry.slug(merchant.0).to_owned(),
        };
        let text = format!("Payment of {} to {}", name(last.payer), name(last.payee));
        let day = source.terms.day(last.state_at);
        entries.push((last.end_to_end_id(), day, text, legs(&journal)));
    }
    entries
}

fn document(
    source: &Source<'_>,
    reference: String,
    date: NaiveDate,
    text: String,
    postings: &Postings,
) -> Result<LedgerDocument, HubError> {
    let mut written = Vec::new();
    for (booking, micros) in postings.iter().filter(|(_, micros)| **micros != 0) {
        let merchant = match booking.account {
            Account::Clearing(merchant) | Account::CommissionReserve(merchant) => Some(merchant),
            Account::Bank
            | Account::Reserve
            | Account::ServiceFee
            | Account::RedemptionFee
            | Account::Breakage
            | Account::Adjustments => booking.merchant,
        };
        written.push(Posting {
            account: number(booking.account).to_owned(),
            merchant: merchant.map(|merchant| source.registry.slug(merchant.0).to_owned()),
            amount: amount(*micros)?,
            tax: source.terms.tax(booking.tax).cloned(),
        });
    }
    Ok(LedgerDocument {
        reference,
        date,
        cycle: cycle_number(source.cycle.no),
        text,
        postings: written,
    })
}

/// The account's number.
const fn number(account: Account) -> &'static str {
    match account {
        Account::Clearing(_) => "1100",
        Account::Bank => "1200",
        Account::Reserve => "2100",
        Account::ServiceFee => "4100",
        Account::RedemptionFee => "4200",
        Account::Breakage => "4300",
        Account::Adjustments => "4900",
        Account::CommissionReserve(_) => "2200",
    }
}

/// Without the cash: clearing is every merchant's net, and the hub's accounts are its side of the cycle.
fn check(source: &Source<'_>, posted: &[&Postings]) -> Result<(), HubError> {
    let mut sums: BTreeMap<Account, i128> = BTreeMap::new();
    for (booking, micros) in posted.iter().flat_map(|postings| postings.iter()) {
        // Cash of an opening and its reserve come together, as in the cycle's totals.
        let account = match booking.account {
            Account::Bank => Account::Reserve,
            // The cycle has the sum over all merchants.
            Account::CommissionReserve(_) => Account::CommissionReserve(MerchantIx(0)),
            other => other,
        };
        *sums.entry(account).or_default() += micros;
    }
    let hub = &source.cycle.hub;
    let mut said: BTreeMap<Account, i128> = [
        (Account::Reserve, -hub.reserve_micros),
        (Account::ServiceFee, -hub.service_fee_micros),
        (Account::RedemptionFee, -hub.redemption_fee_micros),
        (Account::Breakage, -hub.breakage_micros),
        (Account::Adjustments, -hub.adjustment_micros),
        (
            Account::CommissionReserve(MerchantIx(0)),
            -hub.commission_micros,
        ),
    ]
    .into();
    let nets = source.cycle.nets().into_iter();
    said.extend(nets.map(|(merchant, net)| (Account::Clearing(merchant), net)));
    for list in [&mut sums, &mut said] {
        list.retain(|_, micros| *micros != 0);
    }
    if sums == said {
        return Ok(());
    }
    let cycle = cycle_number(source.cycle.no);
    let text = format!("cycle {cycle}: the journal adds up to {sums:?}, the ledger says {said:?}");
    Err(HubError::internal(text))
}
