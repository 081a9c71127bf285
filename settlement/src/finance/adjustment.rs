//! Adjustments: corrections of what closed cycles got wrong, posted to the open cycle on lines of their own. The counterparty, or the hub by
//! account 4900, gets the opposite, so that nets still sum to the hub's side.

use super::action::{Adjustment, AdjustmentReason, OriginalReference, Party};
use super::dispute::DisputeState;
use super::fact::Actor;
use super::refusal::{FinanceRefusal, ensure, named};
use crate::finance::ExceptionState;
use crate::global::Global;
use crate::ids::{DisputeNo, MerchantIx, ProposalNo, QueryNo};
use crate::journal::{Account, Leg, Legs, LineKind};
use crate::money::MAX_AMOUNT_MICROS;
use crate::terms::MerchantState;

/// What an adjustment is decided with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// A dispute.
    Dispute(DisputeNo),
    /// A query.
    Query(QueryNo),
}

/// The journal of an adjustment: `merchant` owes `micros` more, the counterparty or the hub so much less.
#[must_use]
pub fn adjustment_journal(merchant: MerchantIx, counterparty: Party, micros: i128) -> Legs {
    let leg = |party: Party, other: Party, micros| match party {
        Party::Merchant(merchant) => Leg {
            account: Account::Clearing(merchant),
            micros,
            points: 0,
            line: Some((LineKind::Adjustment, other.merchant())),
        },
        Party::Hub => Leg {
            account: Account::Adjustments,
            micros,
            points: 0,
            line: None,
        },
    };
    let merchant = Party::Merchant(merchant);
    [
        leg(merchant, counterparty, micros),
        leg(counterparty, merchant, -micros),
    ]
    .into_iter()
    .collect()
}

impl Global {
    /// Whether an adjustment is complete. `answers` is what is being decided with it.
    pub(crate) fn check_adjustment(
        &self,
        adjustment: &Adjustment,
        answers: Option<Basis>,
    ) -> Result<(), FinanceRefusal> {
        let micros = adjustment.amount_micros;
        ensure(
            micros != 0 && micros.unsigned_abs() <= MAX_AMOUNT_MICROS.unsigned_abs(),
            || {
                FinanceRefusal::AmountOutOfRange(
                    "an adjustment is not 0 and at most a thousand million units",
                )
            },
        )?;
        self.check_adjusted(adjustment.merchant)?;
        if let Party::Merchant(counterparty) = adjustment.counterparty {
            self.check_adjusted(counterparty)?;
            ensure(counterparty != adjustment.merchant, || {
                FinanceRefusal::AdjustmentUnfit("a merchant is not its own counterparty")
            })?;
        }
        self.check_original(adjustment.merchant, &adjustment.original)?;
        self.check_basis(adjustment, answers)
    }

    /// What the reason needs: a dispute or a query that was decided for who raised it, an exception that is open.
    fn check_basis(
        &self,
        adjustment: &Adjustment,
        answers: Option<Basis>,
    ) -> Result<(), FinanceRefusal> {
        use AdjustmentReason as R;
        if let Some(number) = adjustment.exception {
            self.open_exception(number)?;
        }
        let unfit = |text| Err(FinanceRefusal::AdjustmentUnfit(text));
        match (adjustment.reason, adjustment.dispute, adjustment.query) {
            (R::DefaultLoss, _, _) => unfit("a loss is shared by DECLARE_DEFAULT"),
            (R::Dispute, None, _) => unfit("reason DISPUTE needs the dispute's number"),
            (R::CommissionQuery, _, None) => {
                unfit("reason COMMISSION_QUERY needs the query's number")
            }
            (R::Dispute, Some(number), None) => self.check_disputed(adjustment, number, answers),
            (R::CommissionQuery, None, Some(number)) => {
                self.check_queried(adjustment, number, answers == Some(Basis::Query(number)))
            }
            (_, None, None) => Ok(()),
            (_, Some(_), _) => unfit("an adjustment of a dispute has the reason DISPUTE"),
            (_, _, Some(_)) => unfit("an adjustment of a query has the reason COMMISSION_QUERY"),
        }
    }

    fn check_disputed(
        &self,
        adjustment: &Adjustment,
        number: DisputeNo,
        answers: Option<Basis>,
    ) -> Result<(), FinanceRefusal> {
        let dispute = self
            .finance
            .dispute(number)
            .ok_or(FinanceRefusal::DisputeNotFound(number))?;
        ensure(dispute.merchant == adjustment.merchant, || {
            FinanceRefusal::AdjustmentUnfit("the dispute is another merchant's")
        })?;
        if answers == Some(Basis::Dispute(number)) {
            return Ok(());
        }
        let decided_for = dispute.state == DisputeState::Accepted
            || (dispute.state == DisputeState::Ruled && dispute.upheld);
        ensure(decided_for && dispute.adjusted_by.is_none(), || {
            FinanceRefusal::DisputeState {
                dispute: number,
                state: dispute.state.code(),
                needed: "a dispute that was decided for the merchant and is not adjusted yet",
            }
        })
    }

    pub(super) fn check_adjusted(&self, merchant: MerchantIx) -> Result<(), FinanceRefusal> {
        let state = self
            .merchant(merchant)
            .ok_or(FinanceRefusal::MerchantNotFound)?
            .state;
        ensure(state != MerchantState::Closed, || {
            FinanceRefusal::MerchantState {
                merchant: named(self, Party::Merchant(merchant)),
                needed: "not CLOSED",
            }
        })
    }

    /// Whether the line or the entry that is referred to is a closed cycle's. An entry belongs to the cycle when it lies behind the cut before and
    /// not behind its closing entry, which is as much as the fold knows about other entries.
    pub(crate) fn check_original(
        &self,
        merchant: MerchantIx,
        original: &OriginalReference,
    ) -> Result<(), FinanceRefusal> {
        let missing = |text| FinanceRefusal::OriginalNotFound(text);
        let Some(no) = original.cycle else {
            let nothing = original.leaf.is_none() && original.line.is_none();
            return ensure(nothing, || missing("name the cycle of the line or entry"));
        };
        let cycle = self.cycle(no).ok_or(FinanceRefusal::CycleNotFound(no))?;
        ensure(cycle.state.is_closed(), || FinanceRefusal::CycleState {
            cycle: no,
            state: cycle.state,
            needed: "a CLOSED cycle",
        })?;
        if let Some(kind) = original.line {
            let has = cycle.lines_of(merchant).any(|(key, _)| key.kind == kind);
            ensure(has, || {
                missing("the merchant's statement of that cycle has no such line")
            })?;
        }
        if let Some(leaf) = original.leaf {
            let before =
                no.0.checked_sub(1)
                    .and_then(|i| self.cycles.get(i as usize));
            let first = before.and_then(|c| c.cut_seq).map_or(0, |seq| seq + 1);
            let last = cycle.closed_seq.unwrap_or(0);
            ensure((first..=last).contains(&leaf), || {
                missing("the entry does not lie in that cycle")
            })?;
        }
        Ok(())
    }

    /// Posts an approved adjustment to the open cycle.
    pub(crate) fn adjust(
        &mut self,
        adjustment: &Adjustment,
        proposal: ProposalNo,
        reason: &str,
        actor: &Actor,
    ) {
        let micros = i128::from(adjustment.amount_micros);
        self.post_adjustment(adjustment.merchant, adjustment.counterparty, micros);
        if let Some(exception) = adjustment.exception {
            self.close_exception(exception, ExceptionState::Adjusted, reason, actor);
        }
        if let Some(dispute) = adjustment.dispute.and_then(|no| self.dispute_mut(no)) {
            dispute.adjusted_by = Some(proposal);
        }
        if let Some(query) = adjustment.query.and_then(|no| self.query_mut(no)) {
            query.adjusted_by = Some(proposal);
        }
    }

    pub(crate) fn post_adjustment(
        &mut self,
        merchant: MerchantIx,
        counterparty: Party,
        micros: i128,
    ) {
        let legs = adjustment_journal(merchant, counterparty, micros);
        self.post(&legs);
        if let Some(open) = self.cycles.last_mut() {
            open.post(&legs, &[], false);
        }
    }
}
