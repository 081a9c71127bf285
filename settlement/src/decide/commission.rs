//! Conversions: commission, returns, locks, holds. See [`crate::commission`] for the states and journals.

use super::attribution::{Candidates, may_use};
use super::{Accepted, Fold, Verdict};
use crate::commission::{
    Accrued, Commission, CommissionChange, CommissionReason, CommissionState, Conversion,
};
use crate::effect::{Change, Effect};
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::member::Member;
use crate::message::{Context, Message};
use crate::money::{Currency, MAX_AMOUNT_MICROS};
use crate::outcome::{MessageState, OutcomeCode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Touches that one conversion may name.
pub const MAX_TOUCHES: usize = 16;

/// A fact about one conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommissionFact {
    /// A flag holds it.
    Hold {
        /// The flag's number.
        flag: u64,
    },
    /// A flag no longer holds it.
    Release {
        /// The flag's number.
        flag: u64,
    },
    /// All of it is taken back.
    Reverse {
        /// Why.
        reason: CommissionReason,
    },
    /// One of its touches does not count; it is attributed anew.
    InvalidateTouch {
        /// The touch.
        touch: [u8; 16],
    },
}

/// Why a fact about a conversion is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum CommissionFactRefusal {
    /// No such conversion was accepted.
    #[error("no such conversion")]
    ConversionNotFound,
    /// The flag holds it already, or does not hold it.
    #[error("the flag does not stand in the way that the change needs")]
    FlagState,
    /// Nothing is left of it.
    #[error("the commission is reversed")]
    Reversed,
    /// It is in the affiliate's net; only a claw-back changes it.
    #[error("the commission is payable: it cannot be held any more, reverse it instead")]
    Payable,
    /// It does not name the touch, or the touch is invalid already.
    #[error("the conversion has no such touch that counts")]
    TouchNotFound,
}

impl CommissionFactRefusal {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConversionNotFound => "CONVERSION_NOT_FOUND",
            Self::FlagState => "FLAG_STATE",
            Self::Reversed => "REVERSED",
            Self::Payable => "PAYABLE",
            Self::TouchNotFound => "TOUCH_NOT_FOUND",
        }
    }
}

/// Decides a fact about a conversion; the effects are already applied to its account. A refused fact changes nothing.
pub fn decide_commission_fact(
    global: &Global,
    account: &mut Member,
    ctx: &Context,
    fact: &CommissionFact,
) -> Result<Vec<Effect>, CommissionFactRefusal> {
    let mut working = account.clone();
    let mut fold = Fold::new(global, &mut working, *ctx, global.open_cycle(), false);
    fold.due_work(ctx.decided_at);
    match *fact {
        CommissionFact::Hold { flag } => fold.hold_commission(flag)?,
        CommissionFact::Release { flag } => fold.release_commission(flag)?,
        CommissionFact::Reverse { reason } => fold.reverse_commission(reason)?,
        CommissionFact::InvalidateTouch { touch } => fold.invalidate(touch)?,
    }
    let effects = fold.finish();
    *account = working;
    Ok(effects)
}

/// Who takes something back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reducer {
    Message,
    Fact,
}

impl Fold<'_> {
    /// A purchase that affiliates brought.
    pub(super) fn conversion(&mut self, message: &Message) -> Verdict {
        let claim = message.claim.as_deref().ok_or(OutcomeCode::NotAttributed)?;
        let global = self.global;
        amount_in_range(global, claim.currency, claim.amount_micros)?;
        let affiliates = global.affiliates();
        let (version, terms) = affiliates
            .terms(message.sender, message.event_time)
            .ok_or(OutcomeCode::CommissionTermsNotFound)?;
        if claim.forged || claim.touches.len() > MAX_TOUCHES {
            return Err(OutcomeCode::ClickForged);
        }
        let first = match claim.recurs {
            Some(first) => Some(first.ok_or(OutcomeCode::OriginalNotFound)?),
            None => None,
        };
        if claim.order_known {
            return Err(OutcomeCode::DuplicateOrder);
        }
        let zone = global.programme(message.event_time).zone;
        let conversion = Conversion {
            merchant: message.sender,
            version,
            event_time: message.event_time,
            amount_micros: claim.amount_micros,
            recurring: first.is_some(),
            country: claim.country.clone(),
            category: claim.category.clone(),
            touches: claim.touches.iter().map(|(touch, _)| *touch).collect(),
            code: affiliates.code(message.sender, &claim.code, message.event_time),
            locks_at: terms.locking.locks_at(message.event_time, zone),
        };
        let candidates = Candidates {
            affiliates,
            terms,
            conversion: &conversion,
            invalid: &[],
        };
        let winner = candidates.winner(global)?;
        if !may_use(claim, winner, first) {
            return Err(OutcomeCode::ClickUsed);
        }
        let attribution = candidates.attribution(winner)?;
        let micros = attribution.pay.on(conversion.amount_micros);
        self.changed(CommissionChange::Accrued(Box::new(Accrued {
            conversion,
            attribution,
            micros,
        })));
        self.lock_if_due();
        Ok(self.commission_state(micros))
    }

    /// Part of such a purchase comes back, or all of it.
    pub(super) fn conversion_return(
        &mut self,
        message: &Message,
        (currency, amount_micros): (Currency, i64),
        reason: CommissionReason,
        reference: Option<[u8; 16]>,
    ) -> Verdict {
        amount_in_range(self.global, currency, amount_micros)?;
        let account = self.commission_of(message)?;
        if reference.is_some_and(|reference| account.returns.contains(&reference)) {
            return Err(OutcomeCode::DuplicateReturn);
        }
        let left = account.amount_left() - amount_micros;
        if left < 0 {
            return Err(OutcomeCode::ReturnExceedsPurchase);
        }
        // What was taken back for another reason is not taken back again.
        let after = if account.state == CommissionState::Reversed {
            0
        } else {
            account.attribution.pay.on(left).min(account.micros)
        };
        let less = account.micros - after;
        let ends = left == 0 || account.state == CommissionState::Reversed;
        self.reduce(
            amount_micros,
            reference,
            less,
            reason,
            ends,
            Reducer::Message,
        );
        Ok(self.commission_state(less))
    }

    /// The merchant makes a commission final.
    pub(super) fn conversion_approval(&mut self, message: &Message) -> Verdict {
        let account = self.commission_of(message)?;
        match account.state {
            CommissionState::Accrued => {}
            CommissionState::Locked | CommissionState::Payable => {
                return Err(OutcomeCode::AlreadyLocked);
            }
            CommissionState::Reversed => return Err(OutcomeCode::CommissionReversed),
        }
        let micros = account.micros;
        self.final_at(self.ctx.decided_at, self.cycle, true);
        Ok(self.commission_state(micros))
    }

    fn commission_of(&self, message: &Message) -> Result<&Commission, OutcomeCode> {
        self.member
            .commission()
            .filter(|account| account.conversion.merchant == message.sender)
            .ok_or(OutcomeCode::OriginalNotFound)
    }

    fn commission_state(&self, micros: i64) -> Accepted {
        let Some(account) = self.member.commission() else {
            return Accepted::new(MessageState::Rejected, 0);
        };
        let state = match account.state {
            CommissionState::Accrued => MessageState::Accrued,
            CommissionState::Locked => MessageState::Locked,
            CommissionState::Payable => MessageState::Payable,
            CommissionState::Reversed => MessageState::Reversed,
        };
        Accepted {
            commission_micros: micros,
            touch: account.attribution.touch,
            affiliate: Some(account.attribution.affiliate),
            due_at: account.locks_at(),
            ..Accepted::new(state, 0)
        }
    }

    /// A commission's lock date, see [`Self::due_work`].
    pub(super) fn lock(&mut self, at: Instant, cycle: CycleNo) {
        self.final_at(at, cycle, false);
    }

    fn final_at(&mut self, at: Instant, cycle: CycleNo, approved: bool) {
        let Some(account) = self.member.commission() else {
            return;
        };
        let (merchant, affiliate) = parties(account);
        let locked = CommissionChange::Locked {
            merchant,
            affiliate,
            at,
            approved,
        };
        self.push_in(cycle, false, Change::Commission(locked));
        self.pay_if_free(at, cycle);
    }

    fn lock_if_due(&mut self) {
        let due = self.member.commission().and_then(Commission::locks_at);
        if let Some(at) = due.filter(|at| *at <= self.ctx.decided_at) {
            self.lock(at, self.cycle);
        }
    }

    /// What is locked and held by nothing goes into the affiliate's net.
    fn pay_if_free(&mut self, at: Instant, cycle: CycleNo) {
        let Some(account) = self.member.commission() else {
            return;
        };
        if account.state == CommissionState::Locked && account.holds.is_empty() {
            let (merchant, affiliate) = parties(account);
            let micros = account.micros;
            let payable = CommissionChange::Payable {
                merchant,
                affiliate,
                micros,
                at,
            };
            self.push_in(cycle, false, Change::Commission(payable));
        }
    }

    fn changed(&mut self, change: CommissionChange) {
        self.push(Change::Commission(change));
    }

    fn reduce(
        &mut self,
        returned_micros: i64,
        reference: Option<[u8; 16]>,
        micros: i64,
        reason: CommissionReason,
        ends: bool,
        by: Reducer,
    ) {
        let Some(account) = self.member.commission() else {
            return;
        };
        let (merchant, affiliate) = parties(account);
        let claws_back = account.state == CommissionState::Payable;
        let held = !account.holds.is_empty() && account.state != CommissionState::Reversed;
        self.changed(CommissionChange::Reduced {
            merchant,
            affiliate,
            returned_micros,
            reference,
            micros,
            reason,
            returned: by == Reducer::Message,
            claws_back,
            held,
            ends,
            at: self.ctx.decided_at,
        });
    }

    fn account(&self) -> Result<&Commission, CommissionFactRefusal> {
        self.member
            .commission()
            .ok_or(CommissionFactRefusal::ConversionNotFound)
    }

    fn hold_commission(&mut self, flag: u64) -> Result<(), CommissionFactRefusal> {
        let account = self.account()?;
        match account.state {
            CommissionState::Accrued | CommissionState::Locked => {}
            CommissionState::Payable => return Err(CommissionFactRefusal::Payable),
            CommissionState::Reversed => return Err(CommissionFactRefusal::Reversed),
        }
        if account.holds.contains(&flag) {
            return Err(CommissionFactRefusal::FlagState);
        }
        let (merchant, affiliate) = parties(account);
        let micros = if account.holds.is_empty() {
            account.micros
        } else {
            0
        };
        self.changed(CommissionChange::Held {
            merchant,
            affiliate,
            flag,
            micros,
        });
        Ok(())
    }

    fn release_commission(&mut self, flag: u64) -> Result<(), CommissionFactRefusal> {
        let account = self.account()?;
        if !account.holds.contains(&flag) {
            return Err(CommissionFactRefusal::FlagState);
        }
        let (merchant, affiliate) = parties(account);
        let last = account.holds.len() == 1 && account.state != CommissionState::Reversed;
        let micros = if last { account.micros } else { 0 };
        self.changed(CommissionChange::Released {
            merchant,
            affiliate,
            flag,
            micros,
        });
        self.pay_if_free(self.ctx.decided_at, self.cycle);
        Ok(())
    }

    fn reverse_commission(
        &mut self,
        reason: CommissionReason,
    ) -> Result<(), CommissionFactRefusal> {
        let account = self.account()?;
        if account.state == CommissionState::Reversed {
            return Err(CommissionFactRefusal::Reversed);
        }
        let micros = account.micros;
        self.reduce(0, None, micros, reason, true, Reducer::Fact);
        Ok(())
    }

    /// Takes a touch out. Where the conversion was attributed to it, what it came to is taken back, and the next touch that counts
    /// has it, on what is left of the amount.
    fn invalidate(&mut self, touch: [u8; 16]) -> Result<(), CommissionFactRefusal> {
        let account = self.account()?;
        let touches = account.conversion.touches.iter();
        let place = touches.map(|touch| touch.id).position(|id| id == touch);
        let place = place
            .map(|place| place as u8)
            .filter(|place| !account.invalid.contains(place))
            .ok_or(CommissionFactRefusal::TouchNotFound)?;
        let merchant = account.conversion.merchant;
        let attributed = account
            .attribution
            .touch
            .and_then(|place| account.conversion.touches.get(usize::from(place)))
            .is_some_and(|attributed| attributed.id == touch)
            && account.state != CommissionState::Reversed;
        let micros = account.micros;
        self.changed(CommissionChange::Invalidated {
            merchant,
            touch: place,
        });
        if !attributed {
            return Ok(());
        }
        self.reduce(
            0,
            None,
            micros,
            CommissionReason::TouchInvalidated,
            true,
            Reducer::Fact,
        );
        let global = self.global;
        let account = self.account()?;
        let Some(version) = global.affiliates().version(account.conversion.version) else {
            return Ok(());
        };
        let candidates = Candidates {
            affiliates: global.affiliates(),
            terms: &version.terms,
            conversion: &account.conversion,
            invalid: &account.invalid,
        };
        let next = candidates
            .winner(global)
            .and_then(|winner| candidates.attribution(winner));
        if let Ok(attribution) = next {
            let micros = attribution.pay.on(account.amount_left());
            let held = !account.holds.is_empty();
            self.changed(CommissionChange::Reattributed {
                merchant,
                attribution,
                micros,
                held,
            });
            self.lock_if_due();
        }
        Ok(())
    }
}

fn parties(account: &Commission) -> (MerchantIx, MerchantIx) {
    (account.conversion.merchant, account.attribution.affiliate)
}

fn amount_in_range(
    global: &Global,
    currency: Currency,
    amount_micros: i64,
) -> Result<(), OutcomeCode> {
    if currency != global.currency() {
        return Err(OutcomeCode::CurrencyMismatch);
    }
    if (0..=MAX_AMOUNT_MICROS).contains(&amount_micros) {
        Ok(())
    } else {
        Err(OutcomeCode::AmountOutOfRange)
    }
}
