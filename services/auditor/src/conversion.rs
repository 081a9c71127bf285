//! A conversion's account: what came of a purchase that an affiliate brought, and the messages about it. Micro-units; `m` the merchant,
//! `a` the affiliate:
//!
//! | event | debit | credit |
//! |---|---|---|
//! | it accrues | 1100.m | 2200.m |
//! | it becomes less while it waits | 2200.m | 1100.m |
//! | it becomes payable | 2200.m | 1100.a |
//! | it becomes less afterwards | 1100.a | 1100.m |
//!
//! An account is kept as a member is, under a number of its own; it is never forgotten, because a return may come at any time.
//! Costs: 100 bytes, 40 for each touch, 16 for each return.

use std::collections::BTreeSet;

use hansa_money::MAX_AMOUNT_MICROS;
use hansa_proto::v1::{self, MessageState, ResultCode, message::Body};
use serde::{Deserialize, Serialize};

use crate::{
    attribution::{self, Attribution},
    books::{Books, Journal},
    calendar::NEVER,
    claim::{Asked, Claim, Request, name},
    decide::{self, Done, Halt, Here},
    finding::{Mismatch, What},
    member::Place,
    terms::Terms,
    totals::{Account, Kind},
};

/// Tells a conversion's number from a member's.
const CONVERSION: u64 = 1 << 62;

/// A place in the log as one number: the leaf, and so many bits of the position.
const POSITION_BITS: u32 = 12;

/// Whether a number is that of a conversion.
pub(crate) const fn is_number(number: u64) -> bool {
    number & CONVERSION != 0
}

/// The number of the conversion at a place; none: no entry has such a place.
pub(crate) fn number((leaf, position): Place) -> Option<u64> {
    let fits = leaf >> 48 == 0 && position >> POSITION_BITS == 0;
    fits.then_some(CONVERSION | leaf << POSITION_BITS | u64::from(position))
}

/// Touches that a conversion may name.
const MAX_TOUCHES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// It waits for its lock date, or its approval.
    Accrued,
    /// It is final, and waits for its holds to end.
    Locked,
    /// The affiliate has it.
    Payable,
    /// Nothing is left.
    Reversed,
}

/// An accepted conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conversion {
    pub(crate) claim: Claim,
    pub(crate) attribution: Attribution,
    /// Of the amount.
    returned: i64,
    /// Hashes of the merchant's references of returns.
    returns: BTreeSet<[u8; 16]>,
    /// The commission as it stands.
    pub(crate) micros: i64,
    pub(crate) state: State,
    /// Flags that hold it.
    pub(crate) flags: BTreeSet<u64>,
    /// When it last became less.
    pub(crate) reduced_at: Option<i64>,
}

impl Conversion {
    /// When it locks by time.
    pub(crate) fn next_due(&self) -> Option<i64> {
        (self.state == State::Accrued && self.claim.locks != NEVER).then_some(self.claim.locks)
    }

    /// Locks it where its date is over, in the cycle that holds the date; answers whether it did.
    pub(crate) fn run(&mut self, books: &mut Books, until: i64) -> Result<bool, Mismatch> {
        let Some(at) = self.next_due().filter(|at| *at <= until) else {
            return Ok(false);
        };
        let cycle = books.cycle_of(at)?;
        let mut journal = Journal::default();
        self.lock(&mut journal);
        books.post(cycle, &journal)?;
        Ok(true)
    }

    /// It accrues to whom it is attributed; where its date is over already, it locks.
    pub(crate) fn accrue(&mut self, now: i64, journal: &mut Journal) {
        let (merchant, affiliate) = (self.claim.merchant, self.attribution.affiliate);
        self.micros = self.attribution.pay.on(self.claim.amount - self.returned);
        self.state = State::Accrued;
        let micros = i128::from(self.micros);
        journal.debit(Account::Clearing(merchant), micros);
        journal.credit(Account::CommissionReserve(merchant), micros);
        let kind = Kind::CommissionFunded;
        journal.line(merchant, kind, Some(affiliate), 0, micros);
        if self.next_due().is_some_and(|at| at <= now) {
            self.lock(journal);
        }
    }

    /// It is final.
    fn lock(&mut self, journal: &mut Journal) {
        self.state = State::Locked;
        self.pay_if_free(journal);
    }

    /// What is final and held by nothing goes to the affiliate.
    pub(crate) fn pay_if_free(&mut self, journal: &mut Journal) {
        if self.state != State::Locked || !self.flags.is_empty() {
            return;
        }
        self.state = State::Payable;
        let (merchant, affiliate) = (self.claim.merchant, self.attribution.affiliate);
        let micros = i128::from(self.micros);
        journal.debit(Account::CommissionReserve(merchant), micros);
        journal.credit(Account::Clearing(affiliate), micros);
        journal.line(affiliate, Kind::Commission, Some(merchant), 0, -micros);
    }

    /// It becomes less; what the affiliate has already comes back from there.
    fn reduce(&mut self, micros: i64, now: i64, journal: &mut Journal) {
        self.micros -= micros;
        self.reduced_at = Some(now);
        let micros = i128::from(micros);
        let (merchant, affiliate) = (self.claim.merchant, self.attribution.affiliate);
        if self.state == State::Payable {
            journal.debit(Account::Clearing(affiliate), micros);
            let kind = Kind::CommissionClawback;
            journal.line(affiliate, kind, Some(merchant), 0, micros);
        } else {
            journal.debit(Account::CommissionReserve(merchant), micros);
        }
        journal.credit(Account::Clearing(merchant), micros);
        let kind = Kind::CommissionReversed;
        journal.line(merchant, kind, Some(affiliate), 0, -micros);
    }

    /// All of it is taken back.
    pub(crate) fn reverse(&mut self, now: i64, journal: &mut Journal) {
        self.reduce(self.micros, now, journal);
        self.state = State::Reversed;
    }

    fn done(&self, commission: i64) -> Done {
        let state = match self.state {
            State::Accrued => MessageState::Accrued,
            State::Locked => MessageState::Locked,
            State::Payable => MessageState::Payable,
            State::Reversed => MessageState::Reversed,
        };
        let touch = self.attribution.touch;
        Done {
            state,
            commission,
            click: touch.and_then(|place| u32::try_from(place).ok()),
            due: self.next_due(),
            ..Done::default()
        }
    }
}

/// Decides a message about a conversion. `account`: its own, which may be new. Answers the outcome; there is no other under which
/// a refusal is as right.
pub(crate) fn message(
    terms: &Terms,
    books: &mut Books,
    account: &mut Option<Box<Conversion>>,
    here: &Here,
    (body, request): (&Body, &Request<'_>),
) -> Result<(v1::Outcome, Option<ResultCode>), Mismatch> {
    let due = |account: &Option<Box<Conversion>>| account.as_ref().and_then(|c| c.next_due());
    let before = due(account);
    if let Some(conversion) = account {
        conversion.run(books, here.now)?;
    }
    let mut journal = Journal::of_message(here.late);
    let decided = decide::admit(terms, here, body, true).and_then(|()| match request {
        Request::New(conversion, asked) => {
            let mut new = assess(terms, here, conversion, asked)?;
            new.accrue(here.now, &mut journal);
            let done = new.done(new.micros);
            *account = Some(Box::new(new));
            Ok(done)
        }
        Request::Return(returned) => give_back(terms, account, here, returned, &mut journal),
        Request::Approval => approve(account, here, &mut journal),
    });
    books.reschedule(before, due(account));
    decide::conclude(books, here, body, decided, &journal)
}

/// An amount that a message may name, in the programme's currency.
fn amount(terms: &Terms, here: &Here, money: Option<&v1::Money>) -> Result<i64, Halt> {
    let amount = here.amount(terms, money)?;
    if (0..=MAX_AMOUNT_MICROS).contains(&amount) {
        Ok(amount)
    } else {
        Err(ResultCode::AmountOutOfRange.into())
    }
}

/// A purchase as it would be accepted.
fn assess(
    terms: &Terms,
    here: &Here,
    said: &v1::Conversion,
    asked: &Asked,
) -> Result<Conversion, Halt> {
    let amount = amount(terms, here, said.amount.as_ref())?;
    let traffic = &terms.merchant(here.sender)?.traffic;
    let version = traffic.version(here.event_time);
    let own = version.and_then(|version| Some((version, traffic.terms.get(version)?)));
    let (version, own) = own.ok_or(ResultCode::CommissionTermsNotFound)?;
    if asked.forged || asked.touches.len() > MAX_TOUCHES {
        return Err(ResultCode::ClickForged.into());
    }
    if asked.recurs && asked.first.is_none() {
        return Err(ResultCode::OriginalNotFound.into());
    }
    if asked.order_known {
        return Err(ResultCode::DuplicateOrder.into());
    }
    let zone = terms.programme(here.event_time)?.zone;
    let claim = Claim {
        merchant: here.sender,
        version,
        event_time: here.event_time,
        amount,
        recurring: asked.recurs,
        country: said.country_code.clone(),
        category: said.category.clone(),
        touches: asked.touches.iter().map(|(touch, _)| *touch).collect(),
        invalid: BTreeSet::new(),
        code: terms.code(here.sender, &said.code, here.event_time),
        locks: own.locks(here.event_time, zone),
    };
    let winner = attribution::winner(terms, own, &claim)?;
    // One click, one conversion, and those that recur of it.
    let used = winner.1.and_then(|place| asked.touches.get(place));
    if used.is_some_and(|(_, used)| *used != asked.first) {
        return Err(ResultCode::ClickUsed.into());
    }
    Ok(Conversion {
        attribution: attribution::rate(terms, own, &claim, winner)?,
        claim,
        returned: 0,
        returns: BTreeSet::new(),
        micros: 0,
        state: State::Accrued,
        flags: BTreeSet::new(),
        reduced_at: None,
    })
}

/// The conversion that a message of its merchant names.
fn own<'a>(
    account: &'a mut Option<Box<Conversion>>,
    here: &Here,
) -> Result<&'a mut Conversion, Halt> {
    let own = account.as_deref_mut();
    own.filter(|conversion| conversion.claim.merchant == here.sender)
        .ok_or_else(|| ResultCode::OriginalNotFound.into())
}

/// Part of the amount came back. The commission is that of what is left, and never more than it was.
fn give_back(
    terms: &Terms,
    account: &mut Option<Box<Conversion>>,
    here: &Here,
    said: &v1::ConversionReturn,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    let amount = amount(terms, here, said.returned_amount.as_ref())?;
    let conversion = own(account, here)?;
    let reference = &said.return_reference;
    let reference = (!reference.is_empty()).then(|| name(reference));
    if reference.is_some_and(|reference| conversion.returns.contains(&reference)) {
        return Err(ResultCode::DuplicateReturn.into());
    }
    let left = conversion.claim.amount - conversion.returned - amount;
    if left < 0 {
        return Err(ResultCode::ReturnExceedsPurchase.into());
    }
    let after = conversion.attribution.pay.on(left);
    // Nothing is left of what was taken back for another reason.
    let less = (conversion.micros - after).max(0);
    conversion.returned += amount;
    conversion.returns.extend(reference);
    conversion.reduce(less, here.now, journal);
    if left == 0 {
        conversion.state = State::Reversed;
    }
    Ok(conversion.done(less))
}

/// The merchant makes it final.
fn approve(
    account: &mut Option<Box<Conversion>>,
    here: &Here,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    let conversion = own(account, here)?;
    match conversion.state {
        State::Accrued => {}
        State::Locked | State::Payable => return Err(ResultCode::AlreadyLocked.into()),
        State::Reversed => return Err(ResultCode::CommissionReversed.into()),
    }
    conversion.lock(journal);
    Ok(conversion.done(conversion.micros))
}

impl Conversion {
    /// A touch does not count any more. Where it had the conversion, what that came to is taken back, and the next touch that counts has
    /// it, on what is left of the amount.
    pub(crate) fn invalidate(
        &mut self,
        terms: &Terms,
        touch: [u8; 16],
        now: i64,
        journal: &mut Journal,
    ) -> Result<(), Mismatch> {
        let named = self.claim.touches.iter().any(|of| of.id == touch);
        if !named || !self.claim.invalid.insert(touch) {
            let found = crate::seal::hex(&touch);
            return Err(Mismatch::fact("a touch that counted until now", found));
        }
        let place = self.attribution.touch;
        let had = place.and_then(|place| self.claim.touches.get(place));
        if self.state == State::Reversed || had.is_none_or(|had| had.id != touch) {
            return Ok(());
        }
        self.reverse(now, journal);
        let traffic = &terms.merchant(self.claim.merchant)?.traffic;
        let own = traffic.terms.get(self.claim.version);
        let own = own.ok_or_else(|| {
            Mismatch::new(What::Journal, "terms of the conversion", self.claim.version)
        })?;
        let next = attribution::winner(terms, own, &self.claim)
            .and_then(|winner| attribution::rate(terms, own, &self.claim, winner));
        if let Ok(next) = next {
            self.attribution = next;
            self.accrue(now, journal);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "conversion_tests.rs"]
mod tests;
