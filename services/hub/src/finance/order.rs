//! The payment file of one payer in one cycle, or of one payment that was instructed again.
//!
//! Made of the ledger's state alone, and only of what never changes again: amounts, the accounts of the terms that held when
//! the payments were instructed, the instant of the approval. So the same file comes out for ever, and its digest can stand in
//! the log.

use hansa_bank::{Account, Address, Characters, CheckedOrder, PaymentOrder, Scheme, Violations};
use hansa_proto::v1;
use hansa_settlement::{
    CycleNo, Global, Instant, PaymentNo,
    finance::{
        AccountRef, Action, CycleSettlement, Finance, Party, PaymentInstruction, PlannedPayment,
        Preview, Proposal, ProposalState,
    },
};
use ring::digest::{SHA256, digest};
use tonic::Code;

use super::refused;
use crate::{
    convert::cycle_number,
    error::{FieldError, HubError, Reason},
    registry::Registry,
};

/// Payments of one payer that go to the bank together.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Who pays.
    pub payer: Party,
    /// The cycle.
    pub cycle: CycleNo,
    /// The payments, by number.
    pub payments: Vec<&'a PaymentInstruction>,
    /// Approval that instructed them.
    instructed_at: Instant,
    execution_date: chrono::NaiveDate,
    message_id: String,
}

/// The payments of one payer in one cycle as the settlement instructed them, or the one that was instructed again.
pub fn batch(
    global: &Global,
    cycle: CycleNo,
    payer: Party,
    again: Option<PaymentNo>,
) -> Result<Batch<'_>, HubError> {
    use hansa_settlement::finance::FinanceRefusal as R;
    let finance = global.finance();
    let totals = global
        .cycle(cycle)
        .ok_or_else(|| refused(&R::CycleNotFound(cycle)))?;
    let settlement = finance.settlement(cycle).ok_or_else(|| {
        refused(&R::CycleState {
            cycle,
            state: totals.state,
            needed: "an approved settlement",
        })
    })?;
    let mut batch = Batch {
        payer,
        cycle,
        payments: Vec::new(),
        instructed_at: decided_at(finance.proposal(settlement.proposal)),
        execution_date: settlement.execution_date,
        message_id: message_id(cycle, payer),
    };
    match again {
        None => batch.payments = original(finance, settlement, payer),
        Some(number) => {
            let payment = finance.payment(number).filter(|payment| {
                (payment.cycle, payment.payer) == (cycle, payer) && payment.replaces.is_some()
            });
            let payment = payment.ok_or_else(|| refused(&R::PaymentNotFound(number)))?;
            batch.instructed_at = decided_at(reinstruction(finance, payment));
            batch.execution_date = global
                .programme(batch.instructed_at)
                .zone
                .date(batch.instructed_at);
            batch.message_id = format!("HANSA-{}-P{number}", cycle_number(cycle));
            batch.payments.push(payment);
        }
    }
    Ok(batch)
}

/// Unique for ever: a settlement is approved once, and a merchant's index is never given again.
fn message_id(cycle: CycleNo, payer: Party) -> String {
    let cycle = cycle_number(cycle);
    match payer {
        Party::Hub => format!("HANSA-{cycle}-H"),
        Party::Merchant(merchant) => format!("HANSA-{cycle}-M{merchant}"),
    }
}

/// The message in which a payment goes to the bank.
pub fn message_of(payment: &PaymentInstruction) -> String {
    match payment.replaces {
        None => message_id(payment.cycle, payment.payer),
        Some(_) => format!("HANSA-{}-P{}", cycle_number(payment.cycle), payment.number),
    }
}

fn original<'a>(
    finance: &'a Finance,
    settlement: &CycleSettlement,
    payer: Party,
) -> Vec<&'a PaymentInstruction> {
    let first = settlement.first_payment.0;
    let numbers = first..first.saturating_add(settlement.payment_count);
    numbers
        .filter_map(|number| finance.payment(PaymentNo(number)))
        .filter(|payment| payment.payer == payer)
        .collect()
}

fn decided_at(proposal: Option<&Proposal>) -> Instant {
    let decision = proposal.and_then(|proposal| proposal.decision.as_ref());
    decision.map_or(Instant(0), |decision| decision.at)
}

/// The approved proposal that instructed a payment again.
fn reinstruction<'a>(finance: &'a Finance, payment: &PaymentInstruction) -> Option<&'a Proposal> {
    finance.proposals().iter().find(|proposal| {
        proposal.state == ProposalState::Approved
            && matches!(proposal.action, Action::ReinstructPayment { payment: old } if Some(old) == payment.replaces)
    })
}

/// A payment of an order, whether it is instructed or only planned.
struct Line {
    end_to_end_id: String,
    amount_micros: i64,
    payee: Party,
    account: Option<AccountRef>,
}

/// The batch as an order that a bank takes, or everything that is wrong with the terms that it is made of.
pub fn order(
    global: &Global,
    registry: &Registry,
    batch: &Batch<'_>,
) -> Result<CheckedOrder, HubError> {
    if batch.payments.is_empty() {
        let who = name(registry, batch.payer);
        let message = format!("{who} pays nothing in cycle {}", cycle_number(batch.cycle));
        return Err(HubError::new(Reason::NotFound, message));
    }
    let lines = batch.payments.iter().map(|payment| Line {
        end_to_end_id: payment.end_to_end_id(),
        amount_micros: payment.amount_micros,
        payee: payment.payee,
        account: payment.payee_account,
    });
    let account = batch.payments.first().and_then(|p| p.payer_account);
    let head = Head {
        message_id: batch.message_id.clone(),
        at: batch.instructed_at,
        execution_date: batch.execution_date,
        payer: batch.payer,
        account,
        cycle: batch.cycle,
    };
    let lines: Vec<Line> = lines.collect();
    build(global, registry, &head, &lines)
        .map_err(|violations| violated(registry, &lines, batch.payer, &violations))
}

/// A payment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentFile {
    /// Its name: the id of its message.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The batch as a file for the bank.
pub fn file(
    global: &Global,
    registry: &Registry,
    batch: &Batch<'_>,
    format: v1::PaymentFileFormat,
) -> Result<PaymentFile, HubError> {
    let checked = order(global, registry, batch)?;
    let (content, ending, media_type) = match format {
        v1::PaymentFileFormat::Csv => (checked.payment_list(), "csv", "text/csv"),
        v1::PaymentFileFormat::Pain001 | v1::PaymentFileFormat::Unspecified => {
            (checked.pain001(), "xml", "application/xml")
        }
    };
    Ok(PaymentFile {
        name: format!("{}.{ending}", checked.order().message_id),
        media_type,
        content,
    })
}

struct Head {
    message_id: String,
    at: Instant,
    execution_date: chrono::NaiveDate,
    payer: Party,
    account: Option<AccountRef>,
    cycle: CycleNo,
}

fn build(
    global: &Global,
    registry: &Registry,
    head: &Head,
    lines: &[Line],
) -> Result<CheckedOrder, Violations> {
    let currency = global.currency();
    let created_at = chrono::DateTime::from_timestamp_micros(head.at.0).unwrap_or_default();
    let approved_on = global.programme(head.at).zone.date(head.at);
    let accounts = || std::iter::once(head.account).chain(lines.iter().map(|line| line.account));
    let all_iban = accounts().all(|account| is_iban(&self::account(global, account)));
    let sepa = currency == hansa_settlement::Currency::EUR && all_iban;
    let hub = global.programme(head.at).settlement.bank_details.as_deref();
    let initiating_party = match hub {
        Some(hub) if !hub.holder_name.is_empty() => hub.holder_name.clone(),
        Some(_) | None => registry.programme().map(|p| p.name).unwrap_or_default(),
    };
    let agent = |account: Option<AccountRef>| {
        let bic = global.bank_details(account).map(|bank| bank.bic.clone());
        bic.filter(|bic| !bic.is_empty())
    };
    let payments = lines
        .iter()
        .map(|line| hansa_bank::Payment {
            instruction_id: line.end_to_end_id.clone(),
            end_to_end_id: line.end_to_end_id.clone(),
            amount_minor: minor(line.amount_micros, currency),
            currency,
            creditor: holder(global, registry, line.payee, line.account),
            creditor_account: self::account(global, line.account),
            creditor_agent: agent(line.account),
            remittance: Some(format!(
                "{} settlement of cycle {}",
                line.end_to_end_id,
                cycle_number(head.cycle)
            )),
            creditor_reference: None,
        })
        .collect();
    PaymentOrder {
        message_id: head.message_id.clone(),
        created_at,
        initiating_party,
        debtor: holder(global, registry, head.payer, head.account),
        debtor_account: self::account(global, head.account),
        debtor_agent: agent(head.account),
        // A day that had passed when it was approved is the day of the approval.
        execution_date: head.execution_date.max(approved_on),
        scheme: if sepa { Scheme::Sepa } else { Scheme::Other },
        batch_booking: None,
        characters: Characters::Convert,
        payments,
    }
    .check()
}

/// What is wrong with the payment file that a previewed settlement would make of the hub's payments, for people.
pub fn faults_of_preview(
    global: &Global,
    registry: &Registry,
    cycle: CycleNo,
    preview: &Preview,
    now: i64,
) -> Vec<String> {
    let at = Instant(now);
    let by_hub = |payment: &&PlannedPayment| payment.payer == Party::Hub;
    let lines: Vec<Line> = preview
        .payments
        .iter()
        .filter(by_hub)
        .zip(1..)
        .map(|(payment, number)| Line {
            // Numbers come with the approval; those here only have to differ.
            end_to_end_id: format!("HANSA-{}-{number}", cycle_number(cycle)),
            amount_micros: payment.amount_micros,
            payee: payment.payee,
            account: payment.payee_account,
        })
        .collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let head = Head {
        message_id: message_id(cycle, Party::Hub),
        at,
        execution_date: global.programme(at).zone.date(at),
        payer: Party::Hub,
        account: global.account_of(Party::Hub, at),
        cycle,
    };
    match build(global, registry, &head, &lines) {
        Ok(_) => Vec::new(),
        Err(violations) => fields(registry, &lines, Party::Hub, &violations)
            .into_iter()
            .map(|fault| format!("no payment file: {} {}", fault.field, fault.description))
            .collect(),
    }
}

fn violated(
    registry: &Registry,
    lines: &[Line],
    payer: Party,
    violations: &Violations,
) -> HubError {
    let reason = Reason::Ledger {
        code: "PAYMENT_ORDER_INVALID",
        status: Code::FailedPrecondition,
    };
    let message = "banks do not take these terms: correct the bank_details that are named, abort the settlement and propose it \
                   again";
    HubError {
        fields: fields(registry, lines, payer, violations),
        ..HubError::new(reason, message)
    }
}

/// Violations by whose terms they are about.
fn fields(
    registry: &Registry,
    lines: &[Line],
    payer: Party,
    violations: &Violations,
) -> Vec<FieldError> {
    let whose = |field: &str| -> String {
        let number = field
            .strip_prefix("payments[")
            .and_then(|rest| rest.split_once(']'))
            .and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
        match number {
            Some((number, rest)) => {
                let payee = lines.get(number).map_or(payer, |line| line.payee);
                format!("{}{rest}", name(registry, payee))
            }
            None => format!("{}: {field}", name(registry, payer)),
        }
    };
    violations
        .0
        .iter()
        .map(|violation| FieldError {
            field: whose(&violation.field),
            reason: violation.rule.code(),
            description: violation.rule.to_string(),
        })
        .collect()
}

fn name(registry: &Registry, party: Party) -> String {
    match party {
        Party::Hub => "the hub".to_owned(),
        Party::Merchant(merchant) => format!("merchant {}", registry.slug(merchant.0)),
    }
}

/// Who holds an account: as the bank knows it, or where the terms do not say, the display name.
fn holder(
    global: &Global,
    registry: &Registry,
    party: Party,
    account: Option<AccountRef>,
) -> hansa_bank::Party {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let bank = global.bank_details(account);
    let known = bank.and_then(|bank| text(&bank.holder_name));
    let name = known.unwrap_or_else(|| match party {
        Party::Hub => registry.programme().map(|p| p.name).unwrap_or_default(),
        Party::Merchant(merchant) => global
            .merchant(merchant)
            .map_or_else(String::new, |m| m.name.clone()),
    });
    let address = bank.map_or_else(Address::default, |bank| Address {
        street: text(&bank.street_name),
        building_number: text(&bank.building_number),
        postcode: text(&bank.post_code),
        town: bank.town_name.clone(),
        country: bank.country_code.clone(),
    });
    hansa_bank::Party { name, address }
}

/// An account as the terms name it: an IBAN where it reads as one.
pub fn account(global: &Global, account: Option<AccountRef>) -> Account {
    account_named(global.account_name(account))
}

/// An account by what people call it.
pub fn account_named(text: &str) -> Account {
    let iban = Account::iban(text);
    if iban.check().is_ok() {
        iban
    } else {
        Account::other(text, None)
    }
}

fn is_iban(account: &Account) -> bool {
    matches!(account, Account::Iban(_))
}

/// Micro-units in whole minor units; payments are whole by the ledger's rules.
pub fn minor(micros: i64, currency: hansa_settlement::Currency) -> i64 {
    i64::try_from(i128::from(micros) / currency.minor_micros()).unwrap_or(i64::MAX)
}

/// Digests of the payment files that hold these payments, as pain.001 and as CSV; none where no one file holds them all.
pub fn digests(
    global: &Global,
    registry: &Registry,
    payments: &[&PaymentInstruction],
) -> Result<Vec<[u8; 32]>, HubError> {
    let Some(first) = payments.first() else {
        return Ok(Vec::new());
    };
    let again = first.replaces.map(|_| first.number);
    let batch = batch(global, first.cycle, first.payer, again)?;
    let holds =
        |payment: &&&PaymentInstruction| batch.payments.iter().any(|p| p.number == payment.number);
    if payments.iter().filter(holds).count() != payments.len() {
        return Ok(Vec::new());
    }
    let checked = order(global, registry, &batch)?;
    Ok([checked.pain001(), checked.payment_list()]
        .iter()
        .map(|content| {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(digest(&SHA256, content).as_ref());
            sha256
        })
        .collect())
}
