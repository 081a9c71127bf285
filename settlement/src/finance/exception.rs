//! Exceptions: what a bank's report brought that did not match. OPEN -> MATCHED | EXPLAINED | ADJUSTED. Money hangs on a match by hand and on an
//! adjustment, so two people make them; an explanation moves nothing.

use super::carry::CarryCause;
use super::check_step;
use super::fact::Actor;
use super::payment::PaymentState;
use super::refusal::{FinanceRefusal, ReportFault, ensure};
use super::{Finance, Party};
use crate::global::Global;
use crate::ids::{ExceptionNo, Instant, MerchantIx, PaymentNo, ReportNo};
use crate::journal::{Account, Leg, Legs};
use serde::{Deserialize, Serialize};

/// State of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExceptionState {
    /// Nobody has dealt with it.
    Open,
    /// Matched by hand, by an approved proposal.
    Matched,
    /// Explained; no money hangs on it.
    Explained,
    /// Corrected by an approved adjustment.
    Adjusted,
}

impl ExceptionState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Matched => "MATCHED",
            Self::Explained => "EXPLAINED",
            Self::Adjusted => "ADJUSTED",
        }
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDifference {
    /// The field.
    pub field: String,
    /// What the instruction says.
    pub expected: String,
    /// What the bank says.
    pub found: String,
}

/// What did not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Running number.
    pub number: ExceptionNo,
    /// The report.
    pub report: ReportNo,
    /// The entry; `None` = a payment that no entry confirms.
    pub entry: Option<u32>,
    /// The entry's amount, + = money came in; micro-units.
    pub amount_micros: Option<i64>,
    /// The entry gives an earlier payment back.
    pub is_return: bool,
    /// The bank's reference of the entry.
    pub bank_reference: String,
    /// The payment that it looks like.
    pub payment: Option<PaymentNo>,
    /// What is wrong, for people.
    pub description: String,
    /// Field by field.
    pub differences: Vec<FieldDifference>,
    /// State.
    pub state: ExceptionState,
    /// How it was closed.
    pub resolution: String,
    /// By whom.
    pub resolved_by: String,
}

impl Finance {
    /// Exceptions, by number.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// An exception.
    #[must_use]
    pub fn exception(&self, number: ExceptionNo) -> Option<&Exception> {
        self.exceptions.get((number.0 as usize).checked_sub(1)?)
    }

    /// The next exception's number.
    #[must_use]
    pub fn next_exception(&self) -> ExceptionNo {
        ExceptionNo(self.exceptions.len() as u32 + 1)
    }
}

impl Global {
    pub(crate) fn open_exception(&self, number: ExceptionNo) -> Result<&Exception, FinanceRefusal> {
        let exception = self
            .finance
            .exception(number)
            .ok_or(FinanceRefusal::ExceptionNotFound(number))?;
        ensure(exception.state == ExceptionState::Open, || {
            FinanceRefusal::ExceptionClosed(number)
        })?;
        Ok(exception)
    }

    pub(crate) fn check_explanation(
        &self,
        number: ExceptionNo,
        explanation: &str,
        actor: &Actor,
    ) -> Result<(), FinanceRefusal> {
        check_step(explanation, actor)?;
        self.open_exception(number).map(drop)
    }

    /// Whether payments may be matched with an exception by hand. Answers what the entry booked less than they come to, as the hub sees it: it
    /// is brought forward for the one merchant that they are with. An exception without an entry confirms its payments by the word of two people.
    pub(crate) fn check_match(
        &self,
        number: ExceptionNo,
        payments: &[PaymentNo],
    ) -> Result<i128, FinanceRefusal> {
        let exception = self.open_exception(number)?;
        let unfit = |fault| FinanceRefusal::MatchUnfit {
            exception: number,
            fault,
        };
        for no in payments {
            let payment = self.quiet_payment(*no)?;
            let fits = match (payment.state, exception.is_return) {
                (PaymentState::Settled, is_return) => is_return,
                (state, is_return) => !state.has_ended() && !is_return,
            };
            ensure(fits, || unfit(ReportFault::PaymentState(*no)))?;
        }
        let Some(entry) = exception.amount_micros else {
            let other = payments.iter().find(|no| Some(**no) != exception.payment);
            return match other {
                None => Ok(0),
                Some(other) => Err(unfit(ReportFault::NotNamed(*other))),
            };
        };
        let entries_micros = i128::from(entry);
        let owner = self
            .finance
            .report(exception.report)
            .map_or(Party::Hub, |report| report.owner);
        let sign = if exception.is_return { -1 } else { 1 };
        let payments_micros = self.seen_by(owner, payments).map_err(unfit)? * sign;
        let difference = payments_micros - entries_micros;
        let explicable = difference == 0
            || (owner == Party::Hub
                && !exception.is_return
                && payments_micros.signum() == entries_micros.signum()
                && self.one_merchant(payments).is_some());
        ensure(explicable, || {
            unfit(ReportFault::Difference {
                payments_micros,
                entries_micros,
            })
        })?;
        Ok(difference)
    }

    /// The merchant that all of these payments are with.
    fn one_merchant(&self, payments: &[PaymentNo]) -> Option<MerchantIx> {
        let mut merchants = payments
            .iter()
            .filter_map(|no| self.finance.payment(*no))
            .flat_map(|payment| payment.merchants().map(|(merchant, _)| merchant));
        let first = merchants.next()?;
        merchants.all(|other| other == first).then_some(first)
    }

    /// Confirms payments by hand, or gives them back; a difference in the amount is posted with them and brought forward.
    pub(crate) fn match_exception(
        &mut self,
        number: ExceptionNo,
        payments: &[PaymentNo],
        at: Instant,
    ) {
        let Ok(difference) = self.check_match(number, payments) else {
            return;
        };
        let Some(exception) = self.finance.exception(number) else {
            return;
        };
        let (is_return, reference) = (exception.is_return, exception.bank_reference.clone());
        for payment in payments {
            if is_return {
                self.give_back(*payment, &reference, at);
            } else {
                self.confirm(*payment, &reference, at);
            }
        }
        if let Some(merchant) = self.one_merchant(payments).filter(|_| difference != 0) {
            self.post(&difference_journal(merchant, difference));
            self.finance
                .bring_forward(merchant, CarryCause::Difference(number), difference);
        }
    }

    pub(crate) fn close_exception(
        &mut self,
        number: ExceptionNo,
        state: ExceptionState,
        resolution: &str,
        actor: &Actor,
    ) {
        let place = (number.0 as usize).wrapping_sub(1);
        if let Some(exception) = self.finance.exceptions.get_mut(place) {
            exception.state = state;
            resolution.clone_into(&mut exception.resolution);
            exception.resolved_by.clone_from(&actor.holder);
        }
    }
}

/// What the bank booked less than the payments come to: taken out of the bank again, and back to the merchant's clearing account.
fn difference_journal(merchant: MerchantIx, micros: i128) -> Legs {
    [
        (Account::Clearing(merchant), micros),
        (Account::Bank, -micros),
    ]
    .into_iter()
    .map(|(account, micros)| Leg {
        account,
        micros,
        points: 0,
        line: None,
    })
    .collect()
}
