//! Payment instructions: their states, their end-to-end references, and the journal of what the bank confirmed.
//!
//! PENDING -> SUBMITTED -> ACCEPTED -> SETTLED | REJECTED | RETURNED | CARRIED_FORWARD | REINSTRUCTED. A payment moves a merchant's clearing
//! account only when it is SETTLED, and moves it back when it is RETURNED. SETTLED, CARRIED_FORWARD and REINSTRUCTED end it; of these only
//! SETTLED can still become RETURNED.

use super::action::Party;
use super::carry::CarryCause;
use super::refusal::FinanceRefusal;
use crate::global::Global;
use crate::ids::{ContractIx, CycleNo, Instant, MerchantIx, PaymentNo};
use crate::journal::{Account, Leg, Legs};
use crate::terms::BankDetails;
use serde::{Deserialize, Serialize};

/// State of a payment instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PaymentState {
    /// Approved, not handed to a bank yet.
    Pending,
    /// Handed to the bank, or asked for from the payer.
    Submitted,
    /// The bank accepted it for execution.
    Accepted,
    /// Confirmed on the account.
    Settled,
    /// The bank refused it.
    Rejected,
    /// It came back after it was executed.
    Returned,
    /// Given up; the amount is brought forward into the next settlement.
    CarriedForward,
    /// Given up in favour of a new instruction.
    Reinstructed,
}

impl PaymentState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Submitted,
        Self::Accepted,
        Self::Settled,
        Self::Rejected,
        Self::Returned,
        Self::CarriedForward,
        Self::Reinstructed,
    ];

    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Submitted => "SUBMITTED",
            Self::Accepted => "ACCEPTED",
            Self::Settled => "SETTLED",
            Self::Rejected => "REJECTED",
            Self::Returned => "RETURNED",
            Self::CarriedForward => "CARRIED_FORWARD",
            Self::Reinstructed => "REINSTRUCTED",
        }
    }

    /// Whether nothing is expected of it any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Settled | Self::CarriedForward | Self::Reinstructed => true,
            Self::Pending | Self::Submitted | Self::Accepted | Self::Rejected | Self::Returned => {
                false
            }
        }
    }
}

/// Which terms name an account: those in force when the payment was instructed, so that the payment file never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountRef {
    /// A version of the programme's terms: the hub's own account.
    Programme(u32),
    /// A version of a merchant's contract.
    Contract(ContractIx),
}

/// A payment instruction. About 25 bytes in a snapshot: accounts are those of the terms, the end-to-end reference is computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentInstruction {
    /// Running number over all cycles.
    pub number: PaymentNo,
    /// The cycle that it settles.
    pub cycle: CycleNo,
    /// Who pays.
    pub payer: Party,
    /// Who is paid.
    pub payee: Party,
    /// Positive, whole minor units; micro-units.
    pub amount_micros: i64,
    /// State.
    pub state: PaymentState,
    /// When the state was reached.
    pub state_at: Instant,
    /// When the bank confirmed it, and the cycle that was open then; it stays where the payment comes back.
    pub settled_at: Option<(Instant, CycleNo)>,
    /// When it came back after it was confirmed, and the cycle that was open then.
    pub returned_at: Option<(Instant, CycleNo)>,
    /// Terms that name the payer's account; `None` where it had none.
    pub payer_account: Option<AccountRef>,
    /// Terms that name the payee's account.
    pub payee_account: Option<AccountRef>,
    /// The payment that this one replaces.
    pub replaces: Option<PaymentNo>,
    /// The bank's reference of the entry that confirmed it; empty until then.
    pub bank_reference: String,
    /// The bank's reason, where it refused or returned it.
    pub bank_reason: String,
}

impl PaymentInstruction {
    /// The reference that banks carry from end to end, at most 30 characters of the SEPA set, unique for ever:
    /// `HANSA-<cycle>-<payment>-<check>`. The check digits are ISO 7064 MOD 97-10 over the two numbers, the second one with ten digits.
    #[must_use]
    pub fn end_to_end_id(&self) -> String {
        let (cycle, number) = (self.cycle.shown(), self.number.0);
        format!("HANSA-{cycle}-{number}-{:02}", check_digits(cycle, number))
    }

    /// What it changes for a party: + it pays, - it is paid; 0 for others. Micro-units.
    #[must_use]
    pub fn signed_for(&self, party: Party) -> i128 {
        let amount = i128::from(self.amount_micros);
        match (self.payer == party, self.payee == party) {
            (true, false) => amount,
            (false, true) => -amount,
            (true, true) | (false, false) => 0,
        }
    }

    /// The merchants in it, with the sign that it has for them.
    pub fn merchants(&self) -> impl Iterator<Item = (MerchantIx, i128)> {
        let amount = i128::from(self.amount_micros);
        [(self.payer, amount), (self.payee, -amount)]
            .into_iter()
            .filter_map(|(party, micros)| party.merchant().map(|merchant| (merchant, micros)))
    }
}

fn check_digits(cycle: u64, number: u32) -> u128 {
    let digits = u128::from(cycle) * 10_000_000_000 + u128::from(number);
    98 - digits * 100 % 97
}

/// Cycle (as the outside numbers it) and payment of an end-to-end reference; `None` where it is none of ours or its check digits are wrong.
#[must_use]
pub fn parse_end_to_end_id(text: &str) -> Option<(CycleNo, PaymentNo)> {
    let mut parts = text.trim().strip_prefix("HANSA-")?.split('-');
    let (cycle, number, check) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if parts.next().is_some() || ![cycle, number, check].into_iter().all(plain) {
        return None;
    }
    let (cycle, number): (u64, u32) = (cycle.parse().ok()?, number.parse().ok()?);
    let right = check.len() == 2 && check.parse() == Ok(check_digits(cycle, number));
    let cycle = u32::try_from(cycle.checked_sub(1)?).ok()?;
    right.then_some((CycleNo(cycle), PaymentNo(number)))
}

/// The journal of a confirmed payment: between a merchant and the hub over the bank (1200), between merchants over their clearing accounts.
/// `sign` -1 reverses it.
#[must_use]
pub fn payment_journal(payer: Party, payee: Party, amount_micros: i64, sign: i128) -> Legs {
    let amount = i128::from(amount_micros) * sign;
    [(payee, amount), (payer, -amount)]
        .into_iter()
        .map(|(party, micros)| Leg {
            account: party.merchant().map_or(Account::Bank, Account::Clearing),
            micros,
            points: 0,
            line: None,
        })
        .collect()
}

impl Global {
    /// The account that a merchant's, or the programme's, terms of an instant name.
    #[must_use]
    pub fn account_of(&self, party: Party, at: Instant) -> Option<AccountRef> {
        match party {
            Party::Hub => Some(AccountRef::Programme(self.programme_index(at) as u32)),
            Party::Merchant(merchant) => self
                .contract(merchant, at)
                .map(|(ix, _)| AccountRef::Contract(ix)),
        }
    }

    /// The account itself, as the bank names it; empty where the terms name none.
    #[must_use]
    pub fn account_name(&self, account: Option<AccountRef>) -> &str {
        match account {
            Some(AccountRef::Programme(_)) => self
                .bank_details(account)
                .map_or("", |bank| bank.iban.as_str()),
            Some(AccountRef::Contract(ix)) => self
                .contract_version(ix)
                .map_or("", |version| version.terms.account()),
            None => "",
        }
    }

    /// The bank details of an account, where the terms have them.
    #[must_use]
    pub fn bank_details(&self, account: Option<AccountRef>) -> Option<&BankDetails> {
        match account? {
            AccountRef::Programme(version) => self
                .programme_versions()
                .get(version as usize)?
                .terms
                .settlement
                .bank_details
                .as_deref(),
            AccountRef::Contract(ix) => self.contract_version(ix)?.terms.bank_details.as_deref(),
        }
    }

    pub(crate) fn payment(&self, number: PaymentNo) -> Result<&PaymentInstruction, FinanceRefusal> {
        self.finance
            .payment(number)
            .ok_or(FinanceRefusal::PaymentNotFound(number))
    }

    /// The payment, where no bank report that waits to be posted speaks of it.
    pub(crate) fn quiet_payment(
        &self,
        number: PaymentNo,
    ) -> Result<&PaymentInstruction, FinanceRefusal> {
        let payment = self.payment(number)?;
        match self.finance.open_report_of(number) {
            None => Ok(payment),
            Some(report) => Err(FinanceRefusal::ReportOpen {
                payment: number,
                report,
            }),
        }
    }

    /// A rejected or returned payment that can be paid again: its payee's account of now.
    pub(crate) fn reinstructible(
        &self,
        number: PaymentNo,
        at: Instant,
    ) -> Result<(), FinanceRefusal> {
        let payment = self.quiet_payment(number)?;
        if !matches!(
            payment.state,
            PaymentState::Rejected | PaymentState::Returned
        ) {
            return Err(FinanceRefusal::PaymentState {
                payment: number,
                state: payment.state,
                needed: "REJECTED or RETURNED",
            });
        }
        self.payable_to(payment.payee, at)
    }

    /// Whether a party has an account to be paid to.
    pub(crate) fn payable_to(&self, party: Party, at: Instant) -> Result<(), FinanceRefusal> {
        let account = self.account_of(party, at);
        super::refusal::ensure(!self.account_name(account).is_empty(), || {
            FinanceRefusal::AccountMissing(super::refusal::named(self, party))
        })
    }

    /// A payment that can be brought forward: the bank refused or returned it, or its merchant was asked and did not pay.
    pub(crate) fn can_carry_forward(&self, number: PaymentNo) -> Result<(), FinanceRefusal> {
        let payment = self.quiet_payment(number)?;
        match (payment.state, payment.payer) {
            (PaymentState::Rejected | PaymentState::Returned, _)
            | (PaymentState::Submitted, Party::Merchant(_)) => Ok(()),
            (state, _) => Err(FinanceRefusal::PaymentState {
                payment: number,
                state,
                needed: "REJECTED, RETURNED, or SUBMITTED with a merchant as payer",
            }),
        }
    }

    /// Replaces a payment by a new one with the accounts of now.
    pub(crate) fn reinstruct(&mut self, number: PaymentNo, at: Instant) {
        let Some(old) = self.finance.payment(number).cloned() else {
            return;
        };
        let new = PaymentInstruction {
            number: self.finance.next_payment(),
            state: PaymentState::Pending,
            state_at: at,
            settled_at: None,
            returned_at: None,
            payer_account: self.account_of(old.payer, at),
            payee_account: self.account_of(old.payee, at),
            replaces: Some(number),
            bank_reference: String::new(),
            bank_reason: String::new(),
            ..old
        };
        self.finance.instruct(new);
        self.move_payment(number, PaymentState::Reinstructed, at);
    }

    /// Brings a payment's amount forward for its merchants.
    pub(crate) fn carry_forward(&mut self, number: PaymentNo, at: Instant) {
        let Some(payment) = self.finance.payment(number) else {
            return;
        };
        let merchants: Vec<_> = payment.merchants().collect();
        for (merchant, micros) in merchants {
            self.finance
                .bring_forward(merchant, CarryCause::Payment(number), micros);
        }
        self.move_payment(number, PaymentState::CarriedForward, at);
    }

    /// Posts a confirmed payment, or the reverse where it comes back.
    pub(crate) fn confirm(&mut self, number: PaymentNo, reference: &str, at: Instant) {
        self.book_payment(number, 1);
        let open = self.open_cycle().no;
        if let Some(payment) = self.finance.payment_mut(number) {
            payment.settled_at = Some((at, open));
            reference.clone_into(&mut payment.bank_reference);
            payment.bank_reason.clear();
        }
        self.move_payment(number, PaymentState::Settled, at);
    }

    /// A payment came back: its journal is reversed where it had one.
    pub(crate) fn give_back(&mut self, number: PaymentNo, reason: &str, at: Instant) {
        let settled = self
            .finance
            .payment(number)
            .is_some_and(|payment| payment.state == PaymentState::Settled);
        if settled {
            self.book_payment(number, -1);
        }
        let open = self.open_cycle().no;
        if let Some(payment) = self.finance.payment_mut(number) {
            payment.returned_at = settled.then_some((at, open));
            payment.bank_reference.clear();
            reason.clone_into(&mut payment.bank_reason);
        }
        self.move_payment(number, PaymentState::Returned, at);
    }

    fn book_payment(&mut self, number: PaymentNo, sign: i128) {
        if let Some(payment) = self.finance.payment(number) {
            let legs = payment_journal(payment.payer, payment.payee, payment.amount_micros, sign);
            self.post(&legs);
        }
    }

    /// Changes a payment's state, and with it its cycle's.
    pub(crate) fn move_payment(&mut self, number: PaymentNo, state: PaymentState, at: Instant) {
        if let Some(cycle) = self.finance.move_payment(number, state, at) {
            self.refresh_cycle(cycle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(cycle: u32, number: u32) -> PaymentInstruction {
        PaymentInstruction {
            number: PaymentNo(number),
            cycle: CycleNo(cycle),
            payer: Party::Hub,
            payee: Party::Merchant(MerchantIx(0)),
            amount_micros: 3_440_000,
            state: PaymentState::Pending,
            state_at: Instant(0),
            settled_at: None,
            returned_at: None,
            payer_account: None,
            payee_account: None,
            replaces: None,
            bank_reference: String::new(),
            bank_reason: String::new(),
        }
    }

    #[test]
    fn references_are_read_back_and_fit_into_every_bank_field() {
        for (cycle, number) in [(0, 1), (1, 3), (11, 120), (u32::MAX, u32::MAX)] {
            let id = payment(cycle, number).end_to_end_id();
            assert!(id.len() <= 35, "{id}");
            assert!(
                id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{id}"
            );
            assert_eq!(
                parse_end_to_end_id(&id),
                Some((CycleNo(cycle), PaymentNo(number))),
                "{id}"
            );
        }
        assert_eq!(payment(1, 3).end_to_end_id(), "HANSA-2-3-86");
    }

    #[test]
    fn a_reference_with_a_wrong_digit_is_not_ours() {
        let id = payment(11, 120).end_to_end_id();
        for (i, old) in id.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
            for new in ('0'..='9').filter(|new| *new != old) {
                let mut wrong = id.clone();
                wrong.replace_range(i..=i, &new.to_string());
                assert_eq!(parse_end_to_end_id(&wrong), None, "{wrong}");
            }
        }
        for other in [
            "",
            "HANSA",
            "HANSA-1-2",
            "HANSA-0-1-01",
            "NOTPROVIDED",
            "HANSA-1-2-3-4",
        ] {
            assert_eq!(parse_end_to_end_id(other), None, "{other}");
        }
    }
}
