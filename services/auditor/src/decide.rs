//! One message: what refuses it, in the published order, or which rule it goes by; and the outcome as the wire has it.

use hansa_proto::v1::{self, MessageState, ResultCode, message::Body};

use crate::{
    books::{Books, Journal},
    due, earn,
    finding::{Mismatch, What},
    give_back,
    member::{Member, MessageKey, Place},
    source::MerchantNo,
    spend,
    standing::Standing,
    terms::{Contract, Terms, timestamp},
};

/// Event times may lie this far ahead of the hub's clock. Unit: microseconds.
pub(crate) const AHEAD: i64 = 5 * 60 * 1_000_000;

/// Where and when a message is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here {
    pub(crate) sender: MerchantNo,
    pub(crate) key: MessageKey,
    pub(crate) place: Place,
    pub(crate) event_time: i64,
    pub(crate) now: i64,
    pub(crate) cycle: u32,
    pub(crate) late: bool,
    /// The record says that a limit refused it: decides where it depends on what was paid.
    pub(crate) limited: bool,
}

impl Here {
    /// The sender's contract of the event time.
    pub(crate) fn contract<'a>(&self, terms: &'a Terms) -> Result<&'a Contract, Halt> {
        let contract = terms.merchant(self.sender)?.contract(self.event_time);
        contract.ok_or_else(|| ResultCode::ContractNotFound.into())
    }

    /// An earlier message of the same sender.
    pub(crate) fn named(&self, id: &[u8]) -> MessageKey {
        let mut key = (self.sender, [0; 16]);
        if id.len() == 16 {
            key.1.copy_from_slice(id);
        }
        key
    }

    /// An amount in the programme's currency.
    pub(crate) fn amount(&self, terms: &Terms, money: Option<&v1::Money>) -> Result<i64, Halt> {
        let currency = terms.programme(self.event_time)?.currency;
        match money {
            Some(money) if money.currency_code == currency.as_str() => Ok(money.micros),
            Some(_) | None => Err(ResultCode::CurrencyMismatch.into()),
        }
    }
}

/// What took effect.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) state: MessageState,
    pub(crate) points: i64,
    pub(crate) bonus: i64,
    pub(crate) owed: i64,
    pub(crate) forgiven: i64,
    pub(crate) due: Option<i64>,
    /// Of a conversion, micro-units.
    pub(crate) commission: i64,
    /// Place of the touch that a conversion is attributed to.
    pub(crate) click: Option<u32>,
}

/// Why a message does not take effect.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The rules refuse it.
    Refused(ResultCode),
    /// The rules refuse it with the one code where what it names never was, with the other where it was and is over. Neither is
    /// remembered.
    Either(ResultCode, ResultCode),
    /// The log contradicts itself.
    Broken(Mismatch),
}

impl Halt {
    /// It names something that is not there: it never was, or it was dropped, and then it is too late for it.
    pub(crate) const fn unknown(too_late: ResultCode) -> Self {
        Self::Either(ResultCode::OriginalNotFound, too_late)
    }
}

impl From<ResultCode> for Halt {
    fn from(code: ResultCode) -> Self {
        Self::Refused(code)
    }
}

impl From<Mismatch> for Halt {
    fn from(mismatch: Mismatch) -> Self {
        Self::Broken(mismatch)
    }
}

/// The name of a message's kind, as the wire's field has it.
pub(crate) const fn kind(body: &Body) -> &'static str {
    match body {
        Body::Accrual(_) => "accrual",
        Body::AccrualReversal(_) => "accrual_reversal",
        Body::RedemptionAuthorisation(_) => "redemption_authorisation",
        Body::RedemptionCapture(_) => "redemption_capture",
        Body::RedemptionVoid(_) => "redemption_void",
        Body::RedemptionRefund(_) => "redemption_refund",
        Body::Conversion(_) => "conversion",
        Body::ConversionReturn(_) => "conversion_return",
        Body::ConversionApproval(_) => "conversion_approval",
    }
}

/// What refuses a message before its own rules are looked at.
pub(crate) fn admit(terms: &Terms, here: &Here, body: &Body, known: bool) -> Result<(), Halt> {
    let merchant = terms.merchant(here.sender)?;
    if let Some(contract) = merchant.contract(here.now)
        && here.event_time < here.now.saturating_sub(contract.late)
    {
        return Err(ResultCode::EventTimeTooOld.into());
    }
    if here.event_time > here.now.saturating_add(AHEAD) {
        return Err(ResultCode::EventTimeTooFarAhead.into());
    }
    let state = merchant.state;
    let (lets, role) = match body {
        Body::Accrual(_) => (state.lets_earn(), merchant.earns),
        Body::RedemptionAuthorisation(_) => (state.lets_authorise(), merchant.burns),
        Body::RedemptionCapture(_) => (state.lets_capture(), true),
        Body::Conversion(_) => (state.lets_earn(), merchant.traffic.welcomes),
        Body::AccrualReversal(_)
        | Body::RedemptionVoid(_)
        | Body::RedemptionRefund(_)
        | Body::ConversionReturn(_)
        | Body::ConversionApproval(_) => (state.lets_give_back(), true),
    };
    if !lets {
        return Err(ResultCode::MerchantStateRefuses.into());
    }
    here.contract(terms)?;
    if !role {
        return Err(ResultCode::RoleMissing.into());
    }
    if !known {
        return Err(ResultCode::MemberNotFound.into());
    }
    Ok(())
}

fn by_rule(
    terms: &Terms,
    books: &mut Books,
    standing: Option<&Standing>,
    member: &mut Member,
    here: &Here,
    body: &Body,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    match body {
        Body::Accrual(asked) => {
            let purchase = earn::assess(terms, books, member, here, asked)?;
            let standing = standing.unwrap_or(&books.standing);
            earn::check_limits(terms, books, standing, member, here, &purchase)?;
            earn::accept(terms, books, member, here, purchase, journal)
        }
        Body::AccrualReversal(asked) => {
            give_back::decide(terms, books, member, here, asked, journal)
        }
        Body::RedemptionAuthorisation(asked) => spend::authorise(terms, member, here, asked),
        Body::RedemptionCapture(asked) => {
            spend::capture(terms, books, member, here, asked, journal)
        }
        Body::RedemptionVoid(asked) => spend::void(terms, books, member, here, asked, journal),
        Body::RedemptionRefund(asked) => spend::refund(terms, books, member, here, asked, journal),
        Body::Conversion(_) | Body::ConversionReturn(_) | Body::ConversionApproval(_) => {
            let expected = "a message about a member";
            Err(Mismatch::new(What::Payload, expected, kind(body)).into())
        }
    }
}

/// Decides a message. `member`: the one that its reference means, if it means any. Answers the outcome, and the second code
/// under which a refusal is as right.
pub(crate) fn message(
    terms: &Terms,
    books: &mut Books,
    member: Option<&mut Member>,
    here: &Here,
    body: &Body,
) -> Result<(v1::Outcome, Option<ResultCode>), Mismatch> {
    let mut nobody = Member::default();
    let known = member.is_some();
    let member = member.unwrap_or(&mut nobody);
    let before = member.next_due();
    // Limits count what is posted: not yet what falls due of this member with this very message.
    let overdue = before.is_some_and(|at| at <= here.now);
    let standing = overdue.then(|| books.standing.clone());
    if known {
        due::run(terms, books, member, here.now)?;
        member.forget(terms, here.now);
    }
    let mut journal = Journal::of_message(here.late);
    let decided = admit(terms, here, body, known).and_then(|()| {
        by_rule(
            terms,
            books,
            standing.as_ref(),
            member,
            here,
            body,
            &mut journal,
        )
    });
    let (mut outcome, either) = conclude(books, here, body, decided, &journal)?;
    outcome.available_points = member.available(here.now);
    outcome.debt_points = member.debt();
    if known {
        books.reschedule(before, member.next_due());
    }
    Ok((outcome, either))
}

/// Posts what was decided, and counts it; answers the outcome, but for the member's balance, and the second code.
pub(crate) fn conclude(
    books: &mut Books,
    here: &Here,
    body: &Body,
    decided: Result<Done, Halt>,
    journal: &Journal,
) -> Result<(v1::Outcome, Option<ResultCode>), Mismatch> {
    let mut outcome = v1::Outcome {
        cycle_number: here.cycle,
        late: here.late,
        ..v1::Outcome::default()
    };
    let mut either = None;
    let counts = |books: &mut Books, accepted: bool| -> Result<(), Mismatch> {
        let counts = &mut books.cycle_mut(here.cycle)?.counts;
        let map = if accepted {
            &mut counts.accepted
        } else {
            &mut counts.refused
        };
        *map.entry(kind(body).to_owned()).or_default() += 1;
        Ok(())
    };
    match decided {
        Ok(done) => {
            books.post(here.cycle, journal)?;
            counts(books, true)?;
            outcome.set_code(ResultCode::Accepted);
            outcome.set_state(done.state);
            outcome.points = done.points;
            outcome.bonus_points = done.bonus;
            outcome.owed_points = done.owed;
            outcome.forgiven_points = done.forgiven;
            let due = done.due.filter(|at| *at != i64::MAX);
            outcome.due_time = due.map(timestamp);
            outcome.commission_micros = done.commission;
            outcome.attributed_click = done.click;
        }
        Err(Halt::Refused(code)) => {
            counts(books, false)?;
            outcome.set_code(code);
        }
        Err(Halt::Either(code, other)) => {
            counts(books, false)?;
            outcome.set_code(code);
            either = Some(other);
        }
        Err(Halt::Broken(mismatch)) => return Err(mismatch),
    }
    Ok((outcome, either))
}
