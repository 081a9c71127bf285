//! Reconciliation: importing a bank's report moves no money. It moves states (ACCEPTED, REJECTED), keeps what matched until an approved proposal
//! posts it, and raises exceptions for the rest. A report that does not fit the payments as they stand is refused whole.

use super::action::Party;
use super::fact::Actor;
use super::payment::{PaymentInstruction, PaymentState};
use super::refusal::{FinanceRefusal, ReportFault, ensure};
use super::report::{BankEntry, BankMatch, BankReport, BankStatus, ReportFact, Waiting};
use super::trail::Step;
use super::{Exception, ExceptionState, Finance, check_actor, check_number, check_text};
use crate::global::Global;
use crate::ids::{Instant, MerchantIx, PaymentNo, ProposalNo, ReportNo};
use crate::message::Context;
use std::collections::BTreeSet;

impl Finance {
    /// Reports, by number.
    #[must_use]
    pub fn reports(&self) -> &[BankReport] {
        &self.reports
    }

    /// A report.
    #[must_use]
    pub fn report(&self, number: ReportNo) -> Option<&BankReport> {
        self.reports.get((number.0 as usize).checked_sub(1)?)
    }

    /// The report that a file with this hash is.
    #[must_use]
    pub fn report_of_file(&self, sha256: &[u8; 32]) -> Option<&BankReport> {
        self.reports.iter().find(|r| r.sha256 == *sha256)
    }

    /// The next report's number.
    #[must_use]
    pub fn next_report(&self) -> ReportNo {
        ReportNo(self.reports.len() as u32 + 1)
    }

    /// A report that waits to be posted and speaks of a payment.
    pub(crate) fn open_report_of(&self, payment: PaymentNo) -> Option<ReportNo> {
        self.reports
            .iter()
            .rev()
            .find(|report| report.waiting.iter().any(|w| w.payments.contains(&payment)))
            .map(|report| report.number)
    }
}

/// Whether the bank may confirm a payment in this state, or give it back.
const fn fits(state: PaymentState, is_return: bool) -> bool {
    match state {
        PaymentState::Submitted | PaymentState::Accepted => true,
        // The same booking again, in another report.
        PaymentState::Settled => true,
        PaymentState::Returned => is_return,
        PaymentState::Pending
        | PaymentState::Rejected
        | PaymentState::CarriedForward
        | PaymentState::Reinstructed => false,
    }
}

/// Whether a bank's status changes a payment's state; `None` where it contradicts it.
const fn status_changes(state: PaymentState, reported: PaymentState) -> Option<bool> {
    match (state, reported) {
        (PaymentState::Submitted, PaymentState::Accepted | PaymentState::Rejected)
        | (PaymentState::Accepted, PaymentState::Rejected) => Some(true),
        (
            PaymentState::Accepted | PaymentState::Settled | PaymentState::Returned,
            PaymentState::Accepted,
        )
        | (PaymentState::Rejected, PaymentState::Rejected) => Some(false),
        _ => None,
    }
}

impl Global {
    /// Whose account a bank's report is about. Spaces and case do not count. Where nobody's account is known, or the report names none, it is
    /// taken for the hub's.
    pub fn account_owner(&self, account: &str, at: Instant) -> Result<Party, FinanceRefusal> {
        let plain = |text: &str| -> String {
            text.chars()
                .filter(|c| !c.is_whitespace())
                .flat_map(char::to_uppercase)
                .collect()
        };
        let wanted = plain(account);
        let merchants =
            (0..self.merchants().len() as u32).map(|ix| Party::Merchant(MerchantIx(ix)));
        let hub = plain(self.account_name(self.account_of(Party::Hub, at)));
        if wanted.is_empty() || wanted == hub {
            return Ok(Party::Hub);
        }
        let mut owners =
            merchants.filter(|m| plain(self.account_name(self.account_of(*m, at))) == wanted);
        match owners.next() {
            Some(owner) => Ok(owner),
            None if hub.is_empty() => Ok(Party::Hub),
            None => Err(FinanceRefusal::ForeignAccount(account.to_owned())),
        }
    }

    pub(crate) fn check_report(
        &self,
        report: &ReportFact,
        actor: &Actor,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        check_actor(actor)?;
        if let Some(known) = self.finance.report_of_file(&report.sha256) {
            return Err(FinanceRefusal::ReportAlreadyImported(known.number));
        }
        check_number(report.number.0, self.finance.reports.len())?;
        for (i, exception) in report.exceptions.iter().enumerate() {
            check_number(exception.number.0, self.finance.exceptions.len() + i)?;
        }
        check_texts(report)?;
        let owner = self.account_owner(&report.account, ctx.decided_at)?;
        self.check_entries(report)
            .and_then(|()| self.check_matches(report, owner))
            .and_then(|()| self.check_statuses(&report.statuses))
            .map_err(FinanceRefusal::ReportUnfit)
    }

    /// Every entry is accounted for once.
    fn check_entries(&self, report: &ReportFact) -> Result<(), ReportFault> {
        let misplaced = (1..)
            .zip(&report.entries)
            .find(|(n, entry)| entry.number != *n);
        if let Some((_, entry)) = misplaced {
            return Err(ReportFault::EntryOrder(entry.number));
        }
        let mut seen = vec![false; report.entries.len()];
        let matched = report.matches.iter().flat_map(|m| m.entries.iter());
        let raised = report.exceptions.iter().filter_map(|e| e.entry.as_ref());
        for number in matched.chain(raised) {
            let place = (*number as usize).checked_sub(1);
            match place.and_then(|place| seen.get_mut(place)) {
                None => return Err(ReportFault::EntryUnknown(*number)),
                Some(true) => return Err(ReportFault::EntryTwice(*number)),
                Some(seen) => *seen = true,
            }
        }
        match (1..).zip(&seen).find(|(_, seen)| !**seen) {
            Some((number, _)) => Err(ReportFault::EntryUnaccounted(number)),
            None => Ok(()),
        }
    }

    /// Payments of matches stand where the bank can say this, and come to what their entries come to.
    fn check_matches(&self, report: &ReportFact, owner: Party) -> Result<(), ReportFault> {
        let mut seen = BTreeSet::new();
        for exception in &report.exceptions {
            exception
                .payment
                .map_or(Ok(()), |no| self.reported_payment(no).map(drop))?;
        }
        for m in &report.matches {
            for number in &m.payments {
                let payment = self.reported_payment(*number)?;
                if !seen.insert(*number) {
                    return Err(ReportFault::PaymentTwice(*number));
                }
                let first = entry_of(report, m).map_or("", |e| e.bank_reference.as_str());
                let again = payment.state != PaymentState::Settled
                    || m.is_return
                    || (!first.is_empty() && payment.bank_reference == first);
                if !fits(payment.state, m.is_return) || !again {
                    return Err(ReportFault::PaymentState(*number));
                }
            }
            let entries_micros = m
                .entries
                .iter()
                .filter_map(|no| report.entries.get((*no as usize).checked_sub(1)?))
                .map(|entry| i128::from(entry.amount_micros))
                .sum();
            let payments_micros = self.seen_by(owner, &m.payments)?;
            let payments_micros = if m.is_return {
                -payments_micros
            } else {
                payments_micros
            };
            if payments_micros != entries_micros || m.entries.is_empty() || m.payments.is_empty() {
                return Err(ReportFault::Amount {
                    payments_micros,
                    entries_micros,
                });
            }
        }
        Ok(())
    }

    fn check_statuses(&self, statuses: &[BankStatus]) -> Result<(), ReportFault> {
        statuses.iter().try_for_each(|status| {
            if !matches!(
                status.state,
                PaymentState::Accepted | PaymentState::Rejected
            ) {
                return Err(ReportFault::Status);
            }
            let payment = self.reported_payment(status.payment)?;
            match status_changes(payment.state, status.state) {
                Some(_) => Ok(()),
                None => Err(ReportFault::PaymentState(status.payment)),
            }
        })
    }

    fn reported_payment(&self, number: PaymentNo) -> Result<&PaymentInstruction, ReportFault> {
        self.finance
            .payment(number)
            .ok_or(ReportFault::PaymentUnknown(number))
    }

    /// What payments come to on an account, + = money comes in.
    pub(crate) fn seen_by(
        &self,
        owner: Party,
        payments: &[PaymentNo],
    ) -> Result<i128, ReportFault> {
        payments.iter().try_fold(0, |sum, number| {
            match -self.reported_payment(*number)?.signed_for(owner) {
                0 => Err(ReportFault::OtherAccount(*number)),
                micros => Ok(sum + micros),
            }
        })
    }

    /// Takes a checked report in.
    pub(crate) fn import(&mut self, report: &ReportFact, actor: &Actor, ctx: &Context) {
        let at = ctx.decided_at;
        let owner = self
            .account_owner(&report.account, at)
            .unwrap_or(Party::Hub);
        for status in &report.statuses {
            let state = self.finance.payment(status.payment).map(|p| p.state);
            if state.and_then(|state| status_changes(state, status.state)) == Some(true) {
                if let Some(payment) = self.finance.payment_mut(status.payment) {
                    payment.bank_reason.clone_from(&status.reason);
                }
                self.move_payment(status.payment, status.state, at);
            }
        }
        for new in &report.exceptions {
            let entry = new
                .entry
                .and_then(|no| report.entries.get((no as usize).checked_sub(1)?));
            self.finance.exceptions.push(Exception {
                number: new.number,
                report: report.number,
                entry: new.entry,
                amount_micros: entry.map(|e| e.amount_micros),
                is_return: entry.is_some_and(|e| e.is_return),
                bank_reference: entry.map(|e| e.bank_reference.clone()).unwrap_or_default(),
                payment: new.payment,
                description: new.description.clone(),
                differences: new.differences.clone(),
                state: ExceptionState::Open,
                resolution: String::new(),
                resolved_by: String::new(),
            });
        }
        let kept = BankReport::new(report, owner, actor, ctx.pos.seq(), at);
        self.finance.reports.push(kept);
        self.trace(&actor.holder, Step::ReportImported(report.number), ctx);
    }

    pub(crate) fn check_posting(&self, number: ReportNo) -> Result<(), FinanceRefusal> {
        let report = self
            .finance
            .report(number)
            .ok_or(FinanceRefusal::ReportNotFound(number))?;
        ensure(report.posted.is_none(), || {
            FinanceRefusal::ReportAlreadyPosted(number)
        })?;
        ensure(!report.waiting.is_empty(), || {
            FinanceRefusal::NothingToPost(number)
        })
    }

    /// Posts what a report matched. What no longer fits, because another report was faster, becomes an exception; the same booking again changes
    /// nothing.
    pub(crate) fn post_report(&mut self, number: ReportNo, proposal: ProposalNo, ctx: &Context) {
        let place = (number.0 as usize).wrapping_sub(1);
        let Some(report) = self.finance.reports.get_mut(place) else {
            return;
        };
        report.posted = Some(proposal);
        let owner = report.owner;
        for waiting in std::mem::take(&mut report.waiting) {
            let repeated = waiting
                .payments
                .iter()
                .all(|no| self.is_repeated(*no, &waiting));
            let fitting = waiting
                .payments
                .iter()
                .all(|no| self.can_post(*no, &waiting));
            if repeated {
                continue;
            }
            if !fitting {
                self.raise_unposted(number, owner, &waiting);
                continue;
            }
            for payment in &waiting.payments {
                if waiting.is_return {
                    self.give_back(*payment, &waiting.reason, ctx.decided_at);
                } else {
                    self.confirm(*payment, &waiting.bank_reference, ctx.decided_at);
                }
            }
        }
    }

    fn is_repeated(&self, number: PaymentNo, waiting: &Waiting) -> bool {
        self.finance.payment(number).is_some_and(|payment| {
            match (payment.state, waiting.is_return) {
                (PaymentState::Settled, false) => {
                    payment.bank_reference == waiting.bank_reference
                        && !waiting.bank_reference.is_empty()
                }
                (PaymentState::Returned, true) => true,
                _ => false,
            }
        })
    }

    fn can_post(&self, number: PaymentNo, waiting: &Waiting) -> bool {
        self.finance.payment(number).is_some_and(|payment| {
            matches!(
                (payment.state, waiting.is_return),
                (PaymentState::Submitted | PaymentState::Accepted, _)
                    | (PaymentState::Settled, true)
            )
        })
    }

    fn raise_unposted(&mut self, report: ReportNo, owner: Party, waiting: &Waiting) {
        let micros = self.seen_by(owner, &waiting.payments).unwrap_or(0);
        let micros = if waiting.is_return { -micros } else { micros };
        let exception = Exception {
            number: self.finance.next_exception(),
            report,
            entry: Some(waiting.entry),
            amount_micros: i64::try_from(micros).ok(),
            is_return: waiting.is_return,
            bank_reference: waiting.bank_reference.clone(),
            payment: waiting.payments.first().copied(),
            description: "the payment was confirmed, returned or refused by another report before this one was posted"
                .to_owned(),
            differences: Vec::new(),
            state: ExceptionState::Open,
            resolution: String::new(),
            resolved_by: String::new(),
        };
        self.finance.exceptions.push(exception);
    }
}

/// Every text that the state keeps is within bounds.
fn check_texts(report: &ReportFact) -> Result<(), FinanceRefusal> {
    let header = [&report.file_name, &report.message_id, &report.account];
    let entries = report
        .entries
        .iter()
        .flat_map(|entry| [&entry.bank_reference, &entry.reason]);
    let statuses = report.statuses.iter().map(|status| &status.reason);
    let exceptions = report.exceptions.iter().flat_map(|exception| {
        let differences = exception.differences.iter();
        differences
            .flat_map(|d| [&d.field, &d.expected, &d.found])
            .chain([&exception.description])
    });
    let mut texts = header
        .into_iter()
        .chain(entries)
        .chain(statuses)
        .chain(exceptions);
    texts.try_for_each(|text| check_text(text))
}

fn entry_of<'a>(report: &'a ReportFact, m: &BankMatch) -> Option<&'a BankEntry> {
    let first = *m.entries.first()? as usize;
    report.entries.get(first.checked_sub(1)?)
}
