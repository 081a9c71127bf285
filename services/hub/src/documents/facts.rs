//! What finance's own facts post to a cycle: adjustments and prefunding. Recorded effects do not have them, so they are told
//! from the ledger's state.

use hansa_settlement::{
    Account, CycleNo, CycleTotals, Global, Instant, Leg, LineKind, MerchantIx,
    finance::{
        Action, Adjustment, AdjustmentReason, OriginalReference, Party, Proposal, ProposalDecision,
        ProposalState,
    },
};

use super::event::Event;

/// Entries between two cuts: behind the cut before, in front of the cycle's own.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    after: Option<u64>,
    before: Option<u64>,
}

impl Between {
    /// The cuts of a cycle.
    #[must_use]
    pub fn cuts(global: &Global, cycle: &CycleTotals) -> Self {
        let before = cycle.no.0.checked_sub(1).map(CycleNo);
        Self {
            after: before
                .and_then(|no| global.cycle(no))
                .and_then(|c| c.cut_seq),
            before: cycle.cut_seq,
        }
    }

    /// Everything in front of a cycle.
    #[must_use]
    pub fn ahead(global: &Global, cycle: &CycleTotals) -> Self {
        let Self { after, .. } = Self::cuts(global, cycle);
        // The first cycle has none in front of it.
        let before = Some(after.unwrap_or(0));
        Self {
            after: None,
            before,
        }
    }

    /// Whether an entry lies there.
    #[must_use]
    pub fn holds(&self, seq: u64) -> bool {
        self.after.is_none_or(|cut| seq > cut) && self.before.is_none_or(|cut| seq < cut)
    }
}

/// Proposals that were carried out between a cycle's cuts, in log order.
pub fn carried_out<'a>(
    global: &'a Global,
    cycle: &CycleTotals,
) -> impl Iterator<Item = (&'a Proposal, &'a ProposalDecision)> + use<'a> {
    carried_out_in(global, Between::cuts(global, cycle))
}

fn carried_out_in(
    global: &Global,
    between: Between,
) -> impl Iterator<Item = (&Proposal, &ProposalDecision)> {
    let mut found: Vec<_> = global
        .finance()
        .proposals()
        .iter()
        .filter(|proposal| proposal.state == ProposalState::Approved)
        .filter_map(|proposal| Some((proposal, proposal.decision.as_ref()?)))
        .filter(|(_, decision)| between.holds(decision.seq))
        .collect();
    found.sort_by_key(|(_, decision)| decision.seq);
    found.into_iter()
}

/// An adjustment that was posted to a cycle.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// What was proposed.
    pub proposal: &'a Proposal,
    /// How it was approved.
    pub decision: &'a ProposalDecision,
    /// Which of the proposal's adjustments, from 0.
    pub part: usize,
    /// Whose net changed.
    pub merchant: MerchantIx,
    /// Who bears it.
    pub counterparty: Party,
    /// What the merchant owes more.
    pub micros: i128,
    /// Why.
    pub reason: AdjustmentReason,
    /// What it corrects.
    pub original: OriginalReference,
}

impl Posted<'_> {
    /// Its name in documents.
    #[must_use]
    pub fn id(&self) -> String {
        match self.part {
            0 => format!("ADJ-{}", self.proposal.number),
            part => format!("ADJ-{}-{}", self.proposal.number, part + 1),
        }
    }

    /// What it is for one of its parties: with whom, and what that party owes more.
    #[must_use]
    pub fn side_of(&self, merchant: MerchantIx) -> Option<(Party, i128)> {
        if self.merchant == merchant {
            Some((self.counterparty, self.micros))
        } else if self.counterparty == Party::Merchant(merchant) {
            Some((Party::Merchant(self.merchant), -self.micros))
        } else {
            None
        }
    }
}

/// Adjustments that were posted to a cycle, in log order; those of a default too.
#[must_use]
pub fn adjustments<'a>(global: &'a Global, cycle: &CycleTotals) -> Vec<Posted<'a>> {
    adjustments_in(global, Between::cuts(global, cycle))
}

/// Adjustments that were posted to cycles in front of one, in log order.
#[must_use]
pub fn adjustments_before<'a>(global: &'a Global, cycle: &CycleTotals) -> Vec<Posted<'a>> {
    adjustments_in(global, Between::ahead(global, cycle))
}

fn adjustments_in(global: &Global, between: Between) -> Vec<Posted<'_>> {
    let mut posted = Vec::new();
    for (proposal, decision) in carried_out_in(global, between) {
        match &proposal.action {
            Action::Adjustment(Adjustment {
                merchant,
                counterparty,
                amount_micros,
                reason,
                original,
                ..
            }) => posted.push(Posted {
                proposal,
                decision,
                part: 0,
                merchant: *merchant,
                counterparty: *counterparty,
                micros: i128::from(*amount_micros),
                reason: *reason,
                original: *original,
            }),
            Action::DeclareDefault { .. } => {
                let defaults = global.finance().defaults().iter();
                let of_proposal = defaults.filter(|record| record.proposal == proposal.number);
                for record in of_proposal {
                    let collateral = (Party::Hub, record.waterfall.collateral_micros);
                    let shares = record.waterfall.shares.iter().copied();
                    let borne = std::iter::once(collateral).chain(shares);
                    let borne = borne.filter(|(_, micros)| *micros != 0);
                    posted.extend(borne.enumerate().map(|(part, (bearer, micros))| Posted {
                        proposal,
                        decision,
                        part,
                        merchant: record.merchant,
                        counterparty: bearer,
                        micros: -micros,
                        reason: AdjustmentReason::DefaultLoss,
                        original: OriginalReference::default(),
                    }));
                }
            }
            Action::SettleCycle(_)
            | Action::AbortSettlement { .. }
            | Action::ReinstructPayment { .. }
            | Action::CarryForwardPayment { .. }
            | Action::PostReconciliation { .. }
            | Action::MatchException { .. }
            | Action::ReleaseHoldback { .. }
            | Action::PrepaidPack { .. }
            | Action::PrefundPoints { .. } => {}
        }
    }
    posted
}

/// Points that a merchant paid into the reserve in a cycle: the whole line, at the last entry that did so.
#[must_use]
pub fn prefunding(
    global: &Global,
    cycle: &CycleTotals,
    merchant: MerchantIx,
) -> Option<(u64, i64, i128)> {
    let between = Between::cuts(global, cycle);
    let line = cycle
        .lines_of(merchant)
        .find(|(key, _)| key.kind == LineKind::Prefunding)?;
    let prices = global.book().iter().map(|(_, price)| price);
    let seq = prices
        .filter(|price| price.funder == merchant)
        .filter_map(|price| price.prefunded_seq)
        .filter(|seq| between.holds(*seq))
        .max()?;
    Some((seq, line.1.points, line.1.micros))
}

/// A leg of a journal on one of the merchant's lines, with the event that it is of.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it stands.
    pub leaf: u64,
    /// Place of the message, or of the member of due work, in the entry.
    pub position: u32,
    /// What moved.
    pub leg: Leg,
    /// The event lies before the cycle.
    pub late: bool,
    /// What happened.
    pub event: Event,
}

/// What facts post to a merchant's lines of a cycle, in log order.
#[must_use]
pub fn items(global: &Global, cycle: &CycleTotals, merchant: MerchantIx) -> Vec<Item> {
    let item = |leaf, at, kind, line, points, micros| Item {
        leaf,
        position: 0,
        leg: Leg {
            account: Account::Clearing(merchant),
            micros,
            points,
            line: Some(line),
        },
        late: false,
        event: Event::Due { at, kind },
    };
    let mut items: Vec<Item> = adjustments(global, cycle)
        .iter()
        .filter_map(|posted| {
            let (with, micros) = posted.side_of(merchant)?;
            let line = (LineKind::Adjustment, with.merchant());
            let (leaf, at) = (posted.decision.seq, posted.decision.at);
            Some(item(leaf, at, "ADJUSTMENT", line, 0, micros))
        })
        .collect();
    if let Some((leaf, points, micros)) = prefunding(global, cycle, merchant) {
        // The state keeps the entry and not its instant; the cycle's beginning is the earliest that it can be.
        let at = cycle.opens_at.max(Instant(0));
        let line = (LineKind::Prefunding, None);
        items.push(item(leaf, at, "PREFUNDING", line, points, micros));
    }
    items.sort_by_key(|item| item.leaf);
    items
}
