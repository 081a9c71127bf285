//! A bank's file becomes a fact: read, matched against the payments, with everything that does not fit as an exception.
//!
//! It moves no money and decides nothing: the ledger validates the fact again, whole. The same file against the same payments
//! gives the same fact.

use std::collections::BTreeSet;

use hansa_bank::{
    Account, BankItem, Counterparty, Difference, Direction, EntryStatus, Expected, Field, Limits,
    Matching, Open, Outcome, ReportKind,
};
use hansa_proto::v1;
use hansa_settlement::{
    Currency, ExceptionNo, Global, Instant, MerchantIx, PaymentNo,
    finance::{FinanceRefusal, Party, PaymentInstruction, PaymentState, parse_end_to_end_id},
};
use ring::digest::{SHA256, digest};
use tonic::Code;

use super::{order, refused};
use crate::error::{HubError, Reason};

/// Largest file. Unit: bytes.
pub const MAX_FILE: usize = 8 << 20;

/// Longest text of an entry that is kept; banks keep theirs shorter. Unit: bytes.
const MAX_KEPT: usize = 1_000;

/// A payment that a statement of so many days behind its execution date does not show is asked about. Unit: days.
const OVERDUE_DAYS: u64 = 5;

/// A bank's file, read.
#[derive(Debug)]
pub struct BankFile {
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    name: String,
    format: v1::BankReportFormat,
    report: hansa_bank::BankReport,
}

fn unreadable(message: impl Into<String>) -> HubError {
    let reason = Reason::Ledger {
        code: "BANK_FILE_UNREADABLE",
        status: Code::InvalidArgument,
    };
    HubError::new(reason, message.into())
}

/// Reads a bank's file: all of it or nothing. Needs no state.
pub fn read(
    content: &[u8],
    name: &str,
    expected: v1::BankReportFormat,
) -> Result<BankFile, HubError> {
    let limits = Limits {
        bytes: MAX_FILE,
        ..Limits::default()
    };
    let reports = hansa_bank::read(content, &limits).map_err(|error| {
        let message = format!("{}: {error}. Nothing was imported", error.problem.code());
        unreadable(message)
    })?;
    let report = one(reports)?;
    let format = match report.kind {
        ReportKind::PaymentStatus => v1::BankReportFormat::Pain002,
        ReportKind::Notification => v1::BankReportFormat::Camt054,
        ReportKind::Statement => v1::BankReportFormat::Camt053,
        ReportKind::CsvStatement => v1::BankReportFormat::Csv,
        ReportKind::Intraday => {
            let message = "an intraday report (camt.052) can still change; import the day's statement (camt.053) instead. \
                           Nothing was imported";
            return Err(unreadable(message));
        }
    };
    if expected != v1::BankReportFormat::Unspecified && expected != format {
        let message = format!(
            "the file is {}, not {}. Nothing was imported",
            format.as_str_name(),
            expected.as_str_name()
        );
        return Err(unreadable(message));
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, content).as_ref());
    Ok(BankFile {
        sha256,
        name: kept(name),
        format,
        report,
    })
}

/// The statements of one file as one: those of one account whose balances follow on each other, such as the days of a week
/// or the pages of a long one.
fn one(reports: Vec<hansa_bank::BankReport>) -> Result<hansa_bank::BankReport, HubError> {
    let mut reports = reports.into_iter();
    let Some(mut first) = reports.next() else {
        return Err(unreadable("the file holds no report. Nothing was imported"));
    };
    for next in reports {
        let follows = match (&first.closing, &next.opening) {
            (Some(closing), Some(opening)) => closing.amount_minor == opening.amount_minor,
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        if first.account != next.account || first.currency != next.currency || !follows {
            let message = "the file holds statements of several accounts, or statements that do not follow on each other; ask \
                           the bank for one file per account. Nothing was imported";
            return Err(unreadable(message));
        }
        first.closing = next.closing.or(first.closing);
        first.entries.extend(next.entries);
        let earlier = first.statuses.len();
        debug_assert!(
            earlier == 0 || next.statuses.is_empty(),
            "one pain.002 a file"
        );
        first.statuses.extend(next.statuses);
    }
    Ok(first)
}

/// The fact of a file, against the payments as they stand.
pub fn fact(global: &Global, file: &BankFile, now: i64) -> Result<v1::BankReport, HubError> {
    let (finance, currency) = (global.finance(), global.currency());
    let report = &file.report;
    if let Some(found) = report.currency.filter(|found| *found != currency) {
        let message = format!(
            "the statement is in {found}, the alliance settles in {currency}. Nothing was imported"
        );
        return Err(unreadable(message));
    }
    let account = report
        .account
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let owner = global
        .account_owner(&account, Instant(now))
        .map_err(|refusal| refused(&refusal))?;
    let same = finance.reports().iter().find(|known| {
        let shown = (known.account.as_str(), known.message_id.as_str());
        shown == (account.as_str(), report.message_id.as_str()) && !report.message_id.is_empty()
    });
    if let Some(known) = same {
        let refusal = FinanceRefusal::ReportAlreadyImported(known.number);
        let message = format!(
            "the bank's message \"{}\" is bank report {} already, from another file. Nothing was imported",
            report.message_id, known.number
        );
        return Err(HubError {
            message: message.into(),
            ..refused(&refusal)
        });
    }
    check_ours(global, report, &account)?;
    let book = Book::new(global, owner, currency);
    let matching = hansa_bank::match_report(&book.expected(), report);
    let mut importing = Importing {
        book: &book,
        matching: &matching,
        next_exception: finance.next_exception(),
        fact: v1::BankReport {
            report_number: finance.next_report().0.into(),
            format: file.format.into(),
            file_name: file.name.clone(),
            sha256: file.sha256.to_vec(),
            message_id: report.message_id.clone(),
            account,
            opening_micros: micros(report.opening.map(|b| b.amount_minor), currency)?,
            closing_micros: micros(report.closing.map(|b| b.amount_minor), currency)?,
            ..v1::BankReport::default()
        },
        numbers: vec![None; matching.items.len()],
    };
    importing.entries()?;
    importing.matches();
    importing.statuses(report);
    importing.overdue(report);
    Ok(importing.fact)
}

/// A statement is of an account that somebody here has; a status report speaks of a message that went out from here.
fn check_ours(
    global: &Global,
    report: &hansa_bank::BankReport,
    account: &str,
) -> Result<(), HubError> {
    if report.kind != ReportKind::PaymentStatus {
        let merchants = global.merchants().iter().zip(0..);
        let mut parties = merchants.map(|(_, index)| Party::Merchant(MerchantIx(index)));
        let at = Instant(i64::MAX);
        let named = |party| !global.account_name(global.account_of(party, at)).is_empty();
        return if named(Party::Hub) || parties.any(named) {
            Ok(())
        } else {
            let message = format!(
                "nobody here has an account yet: put bank_details into the terms, and see whether {account} is one of them"
            );
            Err(foreign(message))
        };
    }
    let payments = global.finance().payments().iter();
    let ours: BTreeSet<String> = payments.map(order::message_of).collect();
    let statuses = &report.statuses;
    if statuses
        .iter()
        .any(|status| ours.contains(&status.original_message_id))
    {
        return Ok(());
    }
    let about = statuses
        .first()
        .map(|status| kept(&status.original_message_id))
        .unwrap_or_default();
    Err(foreign(format!(
        "the status report is about the message \"{about}\", which did not go out from here. Nothing was imported"
    )))
}

fn foreign(message: String) -> HubError {
    let reason = Reason::Ledger {
        code: "FOREIGN_REPORT",
        status: Code::FailedPrecondition,
    };
    HubError::new(reason, message)
}

fn micros(minor: Option<i64>, currency: Currency) -> Result<Option<i64>, HubError> {
    let micros = |minor: i64| {
        let micros = i128::from(minor) * currency.minor_micros();
        i64::try_from(micros)
            .map_err(|_| unreadable("an amount is too large. Nothing was imported"))
    };
    minor.map(micros).transpose()
}

fn kept(text: &str) -> String {
    let mut end = text.len().min(MAX_KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The payments that an account can tell of.
struct Book<'a> {
    global: &'a Global,
    owner: Party,
    currency: Currency,
    payments: Vec<&'a PaymentInstruction>,
}

/// Whether the bank can say something new about a payment, or repeat itself.
fn can_be_reported(state: PaymentState) -> bool {
    match state {
        PaymentState::Submitted
        | PaymentState::Accepted
        | PaymentState::Settled
        | PaymentState::Returned => true,
        PaymentState::Pending
        | PaymentState::Rejected
        | PaymentState::CarriedForward
        | PaymentState::Reinstructed => false,
    }
}

fn is_done(state: PaymentState) -> bool {
    matches!(state, PaymentState::Settled | PaymentState::Returned)
}

impl<'a> Book<'a> {
    fn new(global: &'a Global, owner: Party, currency: Currency) -> Self {
        let payments = global
            .finance()
            .payments()
            .iter()
            .filter(|payment| can_be_reported(payment.state) && payment.signed_for(owner) != 0)
            .collect();
        Self {
            global,
            owner,
            currency,
            payments,
        }
    }

    fn expected(&self) -> Vec<Expected> {
        self.payments
            .iter()
            .map(|payment| self.expect(payment))
            .collect()
    }

    fn expect(&self, payment: &PaymentInstruction) -> Expected {
        let pays = payment.payer == self.owner;
        let account = if pays {
            payment.payee_account
        } else {
            payment.payer_account
        };
        let named = !self.global.account_name(account).is_empty();
        let holder = self
            .global
            .bank_details(account)
            .map(|bank| bank.holder_name.clone());
        Expected {
            instruction_id: payment.end_to_end_id(),
            end_to_end_id: payment.end_to_end_id(),
            message_id: pays.then(|| order::message_of(payment)),
            amount_minor: order::minor(payment.amount_micros, self.currency),
            currency: self.currency,
            direction: if pays { Direction::Out } else { Direction::In },
            counterparty_account: named.then(|| order::account(self.global, account)),
            counterparty_name: holder.filter(|name| !name.is_empty()),
            settled: is_done(payment.state),
        }
    }

    fn payment(&self, number: PaymentNo) -> Option<&'a PaymentInstruction> {
        self.global.finance().payment(number)
    }
}

/// The payment that an instruction id names.
fn number_of(end_to_end_id: &str) -> Option<PaymentNo> {
    parse_end_to_end_id(end_to_end_id).map(|(_, number)| number)
}

/// A fact in the making.
struct Importing<'a> {
    book: &'a Book<'a>,
    matching: &'a Matching,
    next_exception: ExceptionNo,
    fact: v1::BankReport,
    /// Entry of each item; none for what the bank has not booked.
    numbers: Vec<Option<u32>>,
}

impl Importing<'_> {
    /// What was booked; what only may come to be is no money.
    fn entries(&mut self) -> Result<(), HubError> {
        for (at, item) in self.matching.items.iter().enumerate() {
            if item.status != EntryStatus::Booked || item.amount_minor == 0 {
                continue;
            }
            let number = u32::try_from(self.fact.entries.len() + 1).unwrap_or(u32::MAX);
            let amount = micros(Some(item.amount_minor), self.book.currency)?;
            self.numbers[at] = Some(number);
            self.fact
                .entries
                .push(entry(number, item, amount.unwrap_or(0)));
        }
        Ok(())
    }

    fn is_matched(&self, number: PaymentNo) -> bool {
        let number = u64::from(number.0);
        let of = |found: &v1::BankMatch| found.payment_numbers.contains(&number);
        self.fact.matches.iter().any(of)
    }

    /// What fits, confirmations first: a payment that is confirmed and given back in one report is posted first and given
    /// back by hand.
    fn matches(&mut self) {
        let (returns, confirmed): (Vec<_>, Vec<_>) = self
            .matching
            .matches
            .iter()
            .partition(|found| found.returned.is_some());
        for found in confirmed.into_iter().chain(returns) {
            let payments: Vec<PaymentNo> = found
                .instructions
                .iter()
                .filter_map(|id| number_of(id))
                .collect();
            let entries: Vec<u32> = found
                .items
                .iter()
                .filter_map(|at| self.numbers[*at])
                .collect();
            if payments.iter().any(|number| self.is_matched(*number)) {
                let text = "it gives back a payment that the same report confirms: post the report, then match this by hand";
                for entry in entries {
                    self.raise(Some(entry), payments.first().copied(), text, &[]);
                }
                continue;
            }
            self.fact.matches.push(v1::BankMatch {
                payment_numbers: payments.iter().map(|number| number.0.into()).collect(),
                entry_numbers: entries,
                is_return: found.returned.is_some(),
            });
        }
        for left in &self.matching.unmatched_items {
            let Some(entry) = self.numbers[left.item] else {
                continue;
            };
            let item = &self.matching.items[left.item];
            let candidate = left.candidates.first().and_then(|id| number_of(id));
            if left.reason == Open::SettledBefore && self.is_repeated(item, candidate) {
                self.fact.matches.push(v1::BankMatch {
                    payment_numbers: candidate
                        .map(|number| number.0.into())
                        .into_iter()
                        .collect(),
                    entry_numbers: vec![entry],
                    is_return: false,
                });
                continue;
            }
            let named = item.end_to_end_id.as_deref().and_then(number_of);
            let closed = named
                .and_then(|number| self.book.payment(number))
                .filter(|payment| !can_be_reported(payment.state));
            match closed {
                Some(payment) => {
                    let text = format!(
                        "it names payment {}, which is {}: the bank cannot have this from us now",
                        payment.number,
                        payment.state.code()
                    );
                    self.raise(Some(entry), named, &text, &left.differences);
                }
                None => {
                    self.raise(
                        Some(entry),
                        candidate,
                        left.reason.text(),
                        &left.differences,
                    );
                }
            }
        }
    }

    /// The very booking that an earlier report had, as a statement repeats what a notification told.
    fn is_repeated(&self, item: &BankItem, candidate: Option<PaymentNo>) -> bool {
        let Some(payment) = candidate.and_then(|number| self.book.payment(number)) else {
            return false;
        };
        let booked = -payment.signed_for(self.book.owner);
        let same_amount =
            booked == i128::from(item.amount_minor) * self.book.currency.minor_micros();
        let same_reference = item
            .reference
            .as_ref()
            .is_some_and(|reference| *reference == payment.bank_reference);
        payment.state == PaymentState::Settled
            && same_amount
            && same_reference
            && !self.is_matched(payment.number)
    }

    fn statuses(&mut self, report: &hansa_bank::BankReport) {
        for found in &self.matching.statuses {
            let state = match found.outcome {
                // Only a booked entry proves that it is done.
                Outcome::Accepted | Outcome::Settled => PaymentState::Accepted,
                Outcome::Rejected => PaymentState::Rejected,
                Outcome::Pending | Outcome::Partial | Outcome::Unknown => continue,
            };
            let reason = report.statuses.get(found.status).map(status_text);
            let reason = reason.unwrap_or_default();
            for number in found.instructions.iter().filter_map(|id| number_of(id)) {
                let done = self.book.payment(number).is_some_and(|p| is_done(p.state));
                if state == PaymentState::Rejected && done {
                    let text = format!("the bank says {reason} of a payment that it has booked");
                    self.raise(None, Some(number), &text, &[]);
                    continue;
                }
                self.fact.statuses.push(v1::BankStatus {
                    payment_number: number.0.into(),
                    state: match state {
                        PaymentState::Rejected => v1::PaymentState::Rejected,
                        _ => v1::PaymentState::Accepted,
                    }
                    .into(),
                    reason: reason.clone(),
                });
            }
        }
        for left in &self.matching.unmatched_statuses {
            let Some(status) = report.statuses.get(left.status) else {
                continue;
            };
            let id = status
                .end_to_end_id
                .as_ref()
                .or(status.instruction_id.as_ref());
            let about = id.unwrap_or(&status.original_message_id);
            let payment = id.and_then(|id| number_of(id));
            let known = payment.filter(|number| self.book.payment(*number).is_some());
            let text = format!(
                "status {} of \"{}\": {}",
                status_text(status),
                kept(about),
                left.reason.text()
            );
            self.raise(None, known, &text, &left.differences);
        }
    }

    /// Payments that the bank should have booked by the end of this statement. Those between merchants never show here: two
    /// people confirm them by hand.
    fn overdue(&mut self, report: &hansa_bank::BankReport) {
        let is_statement = matches!(
            report.kind,
            ReportKind::Statement | ReportKind::CsvStatement
        );
        if !is_statement || self.book.owner != Party::Hub {
            return;
        }
        let booked = self
            .matching
            .items
            .iter()
            .filter_map(|item| item.booking_date);
        let Some(until) = report
            .closing
            .map(|b| b.date)
            .into_iter()
            .chain(booked)
            .max()
        else {
            return;
        };
        let finance = self.book.global.finance();
        let asked = |number: PaymentNo| {
            let open = |exception: &hansa_settlement::finance::Exception| {
                exception.payment == Some(number)
                    && exception.state == hansa_settlement::finance::ExceptionState::Open
            };
            finance.exceptions().iter().any(open)
        };
        for payment in finance.outstanding() {
            let waits = matches!(
                payment.state,
                PaymentState::Submitted | PaymentState::Accepted
            );
            let due = finance.settlement(payment.cycle).and_then(|s| {
                s.execution_date
                    .checked_add_days(chrono::Days::new(OVERDUE_DAYS))
            });
            let number = u64::from(payment.number.0);
            let named = self.is_matched(payment.number)
                || self
                    .fact
                    .exceptions
                    .iter()
                    .any(|e| e.payment_number == number);
            if waits && due.is_some_and(|due| due <= until) && !named && !asked(payment.number) {
                let text = format!(
                    "the bank has not booked it {OVERDUE_DAYS} days after its execution date"
                );
                self.raise(None, Some(payment.number), &text, &[]);
            }
        }
    }

    fn raise(
        &mut self,
        entry: Option<u32>,
        payment: Option<PaymentNo>,
        description: &str,
        differences: &[Difference],
    ) {
        let number = self.next_exception;
        self.next_exception = ExceptionNo(number.0.saturating_add(1));
        self.fact.exceptions.push(v1::ReconciliationException {
            exception_number: number.0.into(),
            report_number: self.fact.report_number,
            entry_number: entry.unwrap_or(0),
            payment_number: payment.map_or(0, |number| number.0.into()),
            description: description.to_owned(),
            differences: differences.iter().map(difference).collect(),
            state: v1::ExceptionState::Open.into(),
            ..v1::ReconciliationException::default()
        });
    }
}

fn entry(number: u32, item: &BankItem, amount_micros: i64) -> v1::BankEntry {
    let text = |text: &Option<String>| text.as_deref().map(kept).unwrap_or_default();
    let Counterparty { name, account, .. } = &item.counterparty;
    let mut remittance = item.remittance.clone();
    remittance.extend(item.creditor_references.iter().cloned());
    v1::BankEntry {
        entry_number: number,
        bank_reference: text(&item.reference),
        amount_micros,
        booking_date: item
            .booking_date
            .map(|date| date.to_string())
            .unwrap_or_default(),
        end_to_end_id: text(&item.end_to_end_id),
        counterparty_name: text(name),
        counterparty_account: account.as_ref().map(Account::to_string).unwrap_or_default(),
        remittance: kept(&remittance.join(" ")),
        is_return: item.returned.is_some(),
        reason: item
            .returned
            .as_ref()
            .map(|reason| reason_text(reason.code.as_deref(), &reason.information))
            .unwrap_or_default(),
    }
}

fn reason_text(code: Option<&str>, information: &[String]) -> String {
    match code {
        Some(code) => kept(code),
        None => kept(&information.join(" ")),
    }
}

/// `ACSP`, `RJCT/AC04`.
fn status_text(status: &hansa_bank::PaymentStatus) -> String {
    let reason = status.reasons.first();
    let reason = reason.map(|r| reason_text(r.code.as_deref(), &r.information));
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{}/{reason}", status.code),
        None => status.code.to_string(),
    }
}

fn difference(difference: &Difference) -> v1::FieldDifference {
    let field = match difference.field {
        Field::Amount => "amount",
        Field::Currency => "currency",
        Field::Direction => "direction",
        Field::Account => "account",
        Field::Name => "name",
        Field::EndToEndId => "end_to_end_id",
        Field::InstructionId => "instruction_id",
        Field::Count => "count",
    };
    v1::FieldDifference {
        field: field.to_owned(),
        expected: kept(&difference.expected),
        found: kept(&difference.found),
    }
}
