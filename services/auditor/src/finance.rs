//! What finance does that posts to a cycle or moves a limit: approved adjustments, prepaid packs, settlements, defaults.
//!
//! Proposals wait here until another person decided them. Payments, reports and disputes themselves post nothing to a cycle and are
//! skipped by name. What a default shares out depends on money that was held back, which is no matter of the log's messages: it is
//! taken down with its bounds, and the comparison of the cycle holds the other side to them ([`crate::CycleTotals::defaults`]).

use std::collections::BTreeMap;

use hansa_proto::v1::{self, action::Action as A};
use serde::{Deserialize, Serialize};

use crate::{
    auditor::Auditor,
    books::Journal,
    finding::Mismatch,
    query::Query,
    seal::hex,
    source::MerchantNo,
    totals::{Account, Kind},
};

/// A step that waits for another person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Proposal {
    maker: String,
    step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Adjust {
        merchant: MerchantNo,
        /// None: the hub.
        with: Option<MerchantNo>,
        micros: i64,
        /// The query that it grants; 0: none.
        query: u64,
    },
    Settle(u32),
    Prepay(MerchantNo, i64),
    Default(MerchantNo, i64),
    MatchByHand,
    Prefund(MerchantNo),
    /// Moves payments, which these books do not keep.
    Other,
}

/// Proposals by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finance {
    last: u64,
    waiting: BTreeMap<u64, Proposal>,
    /// All that were raised, by number.
    pub(crate) queries: Vec<Query>,
}

impl Auditor {
    fn adjustment(&mut self, asked: &v1::Adjustment) -> Result<Step, Mismatch> {
        let terms = &self.small.terms;
        let with = asked.counterparty_merchant_id.as_str();
        let merchant = terms.number(&asked.merchant_id)?;
        let with = (!with.is_empty()).then(|| terms.number(with)).transpose()?;
        let number = asked.query_number;
        if (asked.reason() == v1::AdjustmentReason::CommissionQuery) != (number != 0) {
            let expected = "the query of an adjustment for one, and of no other";
            return Err(Mismatch::fact(expected, number));
        }
        if number != 0 {
            let query = self.query(number)?;
            let fits = (merchant, with) == (query.merchant, Some(query.affiliate));
            if !(fits && query.waits && asked.amount_micros > 0) {
                let expected = format!("what merchant {} owes for query {number}", query.merchant);
                let found = format!("{} of {merchant} to {with:?}", asked.amount_micros);
                return Err(Mismatch::fact(expected, found));
            }
        }
        Ok(Step::Adjust {
            merchant,
            with,
            micros: asked.amount_micros,
            query: number,
        })
    }

    /// What a query grants is proposed with its answer or ruling.
    pub(crate) fn grant(
        &mut self,
        maker: &str,
        (merchant, affiliate): (MerchantNo, MerchantNo),
        query: u64,
        micros: i64,
    ) {
        let at = usize::try_from(query.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(query) = self.small.finance.queries.get_mut(at) {
            query.waits = true;
        }
        let step = Step::Adjust {
            merchant,
            with: Some(affiliate),
            micros,
            query,
        };
        self.propose(maker, step);
    }

    /// The hub says that the auditor agreed with a closed cycle: once, with the digest of its closing entry, behind which the auditor
    /// must have come.
    pub(crate) fn audited(
        &mut self,
        leaf: u64,
        audited: &v1::CycleAudited,
    ) -> Result<(), Mismatch> {
        let number = audited.cycle_number;
        let closed = self.small.books.standing.waiting_cycle(number);
        let Some(closed) = closed.filter(|closed| !closed.audited) else {
            let expected = "a closed cycle that was neither audited nor settled";
            return Err(Mismatch::fact(expected, number));
        };
        if closed.digest != audited.digest {
            return Err(Mismatch::fact(
                format_args!("digest {} of cycle {number}", hex(&closed.digest)),
                hex(&audited.digest),
            ));
        }
        if !(closed.size..=leaf).contains(&audited.audited_size) {
            return Err(Mismatch::fact(
                format_args!("between {} and {leaf} entries audited", closed.size),
                audited.audited_size,
            ));
        }
        closed.audited = true;
        Ok(())
    }

    fn propose(&mut self, maker: &str, step: Step) -> u64 {
        let finance = &mut self.small.finance;
        finance.last += 1;
        let maker = maker.to_owned();
        finance
            .waiting
            .insert(finance.last, Proposal { maker, step });
        finance.last
    }

    pub(crate) fn proposed(&mut self, made: &v1::ProposalMade) -> Result<(), Mismatch> {
        let step = match made
            .action
            .as_ref()
            .and_then(|action| action.action.as_ref())
        {
            Some(A::Adjustment(asked)) => self.adjustment(asked)?,
            Some(A::SettleCycle(settle)) => Step::Settle(settle.cycle_number),
            Some(A::PrepaidPack(pack)) => Step::Prepay(
                self.small.terms.number(&pack.merchant_id)?,
                pack.amount_micros,
            ),
            Some(A::DeclareDefault(default)) => Step::Default(
                self.small.terms.number(&default.merchant_id)?,
                default.amount_micros,
            ),
            Some(A::MatchException(_)) => Step::MatchByHand,
            Some(A::PrefundPoints(prefund)) => {
                Step::Prefund(self.small.terms.number(&prefund.merchant_id)?)
            }
            Some(
                A::AbortSettlement(_)
                | A::ReinstructPayment(_)
                | A::CarryForwardPayment(_)
                | A::PostReconciliation(_)
                | A::ReleaseHoldback(_),
            ) => Step::Other,
            None => return Err(Mismatch::fact("an action that this release knows", "none")),
        };
        let number = self.propose(&made.holder, step);
        if number != made.proposal_number {
            return Err(Mismatch::fact(
                format_args!("proposal {number}"),
                made.proposal_number,
            ));
        }
        Ok(())
    }

    /// A dispute was decided for the merchant: its adjustment is proposed with the answer.
    pub(crate) fn answered(
        &mut self,
        holder: &str,
        adjustment: Option<&v1::Adjustment>,
    ) -> Result<(), Mismatch> {
        if let Some(asked) = adjustment {
            let step = self.adjustment(asked)?;
            self.propose(holder, step);
        }
        Ok(())
    }

    pub(crate) fn decided(&mut self, decided: &v1::ProposalDecided) -> Result<(), Mismatch> {
        let number = decided.proposal_number;
        let Some(proposal) = self.small.finance.waiting.remove(&number) else {
            return Err(Mismatch::fact("a proposal that waits", number));
        };
        if !decided.approved {
            return Ok(());
        }
        if proposal.maker == decided.holder {
            return Err(Mismatch::fact(
                format_args!(
                    "somebody else than {} to approve proposal {number}",
                    proposal.maker
                ),
                "the same person",
            ));
        }
        let books = &mut self.small.books;
        match proposal.step {
            Step::Adjust {
                merchant,
                with,
                micros,
                query,
            } => {
                let micros = i128::from(micros);
                let mut journal = Journal::default();
                journal.debit(Account::Clearing(merchant), micros);
                journal.line(merchant, Kind::Adjustment, with, 0, micros);
                match with {
                    Some(other) => {
                        journal.credit(Account::Clearing(other), micros);
                        journal.line(other, Kind::Adjustment, Some(merchant), 0, -micros);
                    }
                    None => journal.credit(Account::Adjustments, micros),
                }
                let open = books.open_cycle()?.number;
                books.post(open, &journal)?;
                if query != 0 {
                    let granted = self.query(query)?;
                    if !std::mem::take(&mut granted.waits) {
                        let expected = "a query that is not adjusted yet";
                        return Err(Mismatch::fact(expected, query));
                    }
                }
            }
            Step::Settle(cycle) => {
                let unit = self
                    .small
                    .terms
                    .programme(i64::MAX)?
                    .currency
                    .minor_micros();
                if !books.standing.settle(cycle, unit) {
                    return Err(Mismatch::fact(
                        "a closed cycle that was audited and is not settled",
                        cycle,
                    ));
                }
            }
            // Cash in, and the merchant owes less: no cycle's matter.
            Step::Prepay(merchant, micros) => books.standing.owe(merchant, -i128::from(micros)),
            Step::Default(merchant, micros) => {
                books.standing.use_up(merchant, micros.into());
                let open = books.open_cycle()?.number;
                let cycle = books.cycle_mut(open)?;
                cycle.defaults.push((merchant, micros));
            }
            Step::MatchByHand => books.standing.match_by_hand(),
            Step::Prefund(merchant) => {
                let (points, value) = books.standing.prefund(merchant);
                let mut journal = Journal::default();
                journal.debit(Account::Clearing(merchant), value);
                journal.credit(Account::Reserve, value);
                journal.line(merchant, Kind::Prefunding, None, points, value);
                let open = books.open_cycle()?.number;
                books.post(open, &journal)?;
            }
            Step::Other => {}
        }
        Ok(())
    }
}
