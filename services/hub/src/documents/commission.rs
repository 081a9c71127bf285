//! The commission statement of one affiliate and one closed cycle, out of the cycle's recorded effects and finance's facts.
//!
//! Figures are the ledger's own totals, lines are the recorded effects: a statement is refused where the two differ. A pass keeps one
//! record per change; what a line says of its conversion (order, amount, terms, lock date) never changes behind its acceptance, and comes
//! from the entry that holds it. So a statement is a function of the log as far as the cycle's closing entry, whatever happened behind.

use std::collections::{BTreeMap, BTreeSet};

use hansa_proto::v1::{self, message::Body};
use hansa_report::{
    AppliedRate, CommissionFigures, CommissionLine, CommissionLineKind as Kind, CommissionParts,
    CommissionStanding as Standing, ConversionRef, LineKind, MerchantCommissions, Proof,
};
use hansa_settlement::{
    Change, CommissionChange, CommissionReason, CommissionTotal, CycleNo, CycleTotals, Global,
    Instant, MerchantIx, Pos, Recorded,
    commission::{Attribution, Conversion},
    finance::{Party, PaymentInstruction},
};

use super::{amount, facts, parties, statement, utc, within};
use crate::{convert::cycle_number, error::HubError, registry::Registry};

/// A change of one conversion's commission, before it has names.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose line it is.
    pub affiliate: MerchantIx,
    /// The conversion.
    pub conversion: Pos,
    merchant: MerchantIx,
    kind: Kind,
    at: Instant,
    leaf: u64,
    rate: Option<AppliedRateOf>,
    micros: i64,
    under_hold: bool,
    state: Option<Standing>,
    reason: Option<&'static str>,
    flag: Option<u64>,
}

/// A rate in the ledger's units.
#[derive(Debug, Clone, Copy)]
struct AppliedRateOf {
    row: u32,
    share_bps: u32,
    fixed_micros: i64,
}

impl From<&Attribution> for AppliedRateOf {
    fn from(attribution: &Attribution) -> Self {
        Self {
            row: attribution.row,
            share_bps: attribution.pay.share_bps,
            fixed_micros: attribution.pay.fixed_micros,
        }
    }
}

/// What a line says of its conversion.
#[derive(Debug, Clone)]
pub struct Told {
    order: String,
    event_time: Instant,
    amount_micros: i64,
    version: u32,
    locks_at: Instant,
}

impl Told {
    /// Of a conversion and its message.
    pub fn of(conversion: &Conversion, message: &v1::Message) -> Result<Self, HubError> {
        let Some(Body::Conversion(said)) = &message.body else {
            return Err(HubError::internal("the message of a conversion is another"));
        };
        Ok(Self {
            order: statement::one_line(&said.order_reference),
            event_time: conversion.event_time,
            amount_micros: conversion.amount_micros,
            version: conversion.version,
            locks_at: conversion.locks_at,
        })
    }
}

/// The conversion that an entry accepted at a place; `None` where it accepted none there.
#[must_use]
pub fn accepted(records: &[Recorded], pos: Pos) -> Option<&Conversion> {
    let mut effects = records
        .iter()
        .filter(|record| record.member.conversion() == Some(pos))
        .flat_map(|record| &record.effects);
    effects.find_map(|effect| match &effect.change {
        Change::Commission(CommissionChange::Accrued(accrued)) => Some(&accrued.conversion),
        _ => None,
    })
}

/// The changes of a cycle, in log order.
#[derive(Debug, Clone)]
pub struct Changes {
    cycle: CycleNo,
    affiliate: Option<MerchantIx>,
    found: Vec<Found>,
}

impl Changes {
    /// Of a cycle and of one affiliate; `None`: of all.
    #[must_use]
    pub const fn new(cycle: CycleNo, affiliate: Option<MerchantIx>) -> Self {
        Self {
            cycle,
            affiliate,
            found: Vec::new(),
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Takes the next entry's effects in.
    pub fn entry(&mut self, seq: u64, decided_at: i64, records: &[Recorded]) {
        let cycle = self.cycle;
        for record in records {
            let Some(conversion) = record.member.conversion() else {
                continue;
            };
            let first = self.found.len();
            let own = record.effects.iter().filter(|e| e.cycle == cycle);
            for effect in own {
                let Change::Commission(change) = &effect.change else {
                    continue;
                };
                if matches!(change, CommissionChange::Payable { .. }) {
                    self.released_is_final(first);
                }
                let found = found(change, conversion, seq, Instant(decided_at));
                let wanted = |f: &Found| self.affiliate.is_none_or(|only| only == f.affiliate);
                self.found.extend(found.filter(wanted));
            }
        }
    }

    /// What a hold's end made payable at once was final before.
    fn released_is_final(&mut self, first: usize) {
        let last = self.found.get_mut(first..).and_then(<[Found]>::last_mut);
        if let Some(last) = last.filter(|last| last.kind == Kind::Released) {
            last.state = Some(Standing::Locked);
        }
    }

    fn of(&self, affiliate: MerchantIx) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(move |f| f.affiliate == affiliate)
    }
}

/// The line that a change makes; `None` where no affiliate's commission changes.
fn found(
    change: &CommissionChange,
    conversion: Pos,
    leaf: u64,
    decided_at: Instant,
) -> Option<Found> {
    let line = |kind, affiliate, merchant, micros, state| Found {
        affiliate,
        conversion,
        merchant,
        kind,
        at: decided_at,
        leaf,
        rate: None,
        micros,
        under_hold: false,
        state,
        reason: None,
        flag: None,
    };
    let some = |state| Some(state);
    Some(match change {
        CommissionChange::Accrued(accrued) => {
            let (to, merchant) = (&accrued.attribution, accrued.conversion.merchant);
            Found {
                rate: Some(to.into()),
                ..line(
                    Kind::Accrued,
                    to.affiliate,
                    merchant,
                    accrued.micros,
                    some(Standing::Accrued),
                )
            }
        }
        CommissionChange::Reattributed {
            merchant,
            attribution,
            micros,
            held,
        } => {
            let state = if *held {
                Standing::Held
            } else {
                Standing::Accrued
            };
            Found {
                rate: Some(attribution.into()),
                under_hold: *held,
                ..line(
                    Kind::Reattributed,
                    attribution.affiliate,
                    *merchant,
                    *micros,
                    some(state),
                )
            }
        }
        CommissionChange::Locked {
            merchant,
            affiliate,
            at,
            ..
        } => Found {
            at: *at,
            ..line(
                Kind::Locked,
                *affiliate,
                *merchant,
                0,
                some(Standing::Locked),
            )
        },
        CommissionChange::Payable {
            merchant,
            affiliate,
            micros,
            at,
        } => Found {
            at: *at,
            ..line(
                Kind::Payable,
                *affiliate,
                *merchant,
                *micros,
                some(Standing::Payable),
            )
        },
        CommissionChange::Reduced {
            merchant,
            affiliate,
            micros,
            reason,
            claws_back,
            held,
            ends,
            ..
        } => {
            let kind = if *claws_back {
                Kind::ClawedBack
            } else {
                Kind::Reversed
            };
            let state = match (ends, claws_back, held) {
                (true, _, _) => Standing::Reversed,
                (false, true, _) => Standing::Payable,
                (false, false, true) => Standing::Held,
                (false, false, false) => Standing::Accrued,
            };
            Found {
                under_hold: *held && !*claws_back,
                reason: Some(CommissionReason::code(*reason)),
                ..line(kind, *affiliate, *merchant, -micros, some(state))
            }
        }
        CommissionChange::Held {
            merchant,
            affiliate,
            flag,
            micros,
        } => Found {
            flag: Some(*flag),
            reason: Some("FLAGGED"),
            ..line(
                Kind::Held,
                *affiliate,
                *merchant,
                -micros,
                some(Standing::Held),
            )
        },
        CommissionChange::Released {
            merchant,
            affiliate,
            flag,
            micros,
        } => {
            // Nothing becomes free where another flag holds it, or where nothing is left: the state is as it was.
            let state = (*micros != 0).then_some(Standing::Accrued);
            Found {
                flag: Some(*flag),
                ..line(Kind::Released, *affiliate, *merchant, *micros, state)
            }
        }
        CommissionChange::Invalidated { .. } => return None,
    })
}

/// What a commission statement is made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The ledger.
    pub global: &'a Global,
    /// Names.
    pub registry: &'a Registry,
    /// The cycle; closed.
    pub cycle: &'a CycleTotals,
    /// What its effects change.
    pub changes: &'a Changes,
    /// What lines say of their conversions.
    pub told: &'a BTreeMap<Pos, Told>,
}

/// The affiliates that a cycle has statements for: all that there are.
pub fn affiliates(global: &Global) -> impl Iterator<Item = MerchantIx> {
    global.affiliates().profiles().map(|(ix, _)| ix)
}

/// The parts of an affiliate's statement.
pub fn parts(
    source: &Source<'_>,
    affiliate: MerchantIx,
    proof: Proof,
) -> Result<CommissionParts, HubError> {
    let Source {
        global,
        registry,
        cycle,
        ..
    } = *source;
    let at = within(cycle.closes_at.unwrap_or(Instant(0)));
    let mut lines = Vec::new();
    for found in source.changes.of(affiliate) {
        lines.push(line(source, found)?);
    }
    let finance = finance_lines(source, affiliate)?;
    Ok(CommissionParts {
        issuer: parties::issuer(global, registry, at),
        cycle: cycle_number(cycle.no),
        period: statement::period(global, cycle),
        currency: global.currency(),
        affiliate: parties::merchant(global, registry, affiliate, at),
        figures: figures(source, affiliate)?,
        merchants: by_merchant(source, affiliate)?,
        lines: lines.into_iter().chain(finance).collect(),
        proof,
    })
}

fn line(source: &Source<'_>, found: &Found) -> Result<CommissionLine, HubError> {
    let pos = found.conversion;
    let told = source.told.get(&pos);
    let told = told.ok_or_else(|| HubError::internal(format!("no conversion at {pos:?}")))?;
    let money = |micros: i64| amount(i128::from(micros));
    let rate = found.rate.map(|rate| {
        Ok::<_, HubError>(AppliedRate {
            row: rate.row + 1,
            share_bps: rate.share_bps,
            fixed: money(rate.fixed_micros)?,
        })
    });
    Ok(CommissionLine {
        kind: found.kind,
        at: utc(found.at),
        leaf: Some(found.leaf),
        with: with(source, Party::Merchant(found.merchant)),
        reference: String::new(),
        conversion: Some(ConversionRef {
            leaf: pos.seq(),
            position: pos.index(),
            order: told.order.clone(),
            event_time: utc(told.event_time),
            purchase: money(told.amount_micros)?,
            terms_version: told.version + 1,
            locks_at: (told.locks_at != Instant::NEVER).then(|| utc(told.locks_at)),
        }),
        rate: rate.transpose()?,
        amount: money(found.micros)?,
        under_hold: found.under_hold,
        state: found.state,
        reason: found.reason.map(LineKind::new),
        flag: found.flag,
    })
}

fn with(source: &Source<'_>, party: Party) -> hansa_report::Counterparty {
    parties::counterparty(source.global, source.registry, party)
}

/// A merchant's totals of one affiliate and cycle.
fn totals(
    cycle: &CycleTotals,
    affiliate: MerchantIx,
) -> impl Iterator<Item = (MerchantIx, &CommissionTotal)> {
    let all = (affiliate, MerchantIx(0))..=(affiliate, MerchantIx(u32::MAX));
    let own = cycle.commissions.range(all);
    own.map(|((_, merchant), total)| (*merchant, total))
}

fn figures(source: &Source<'_>, affiliate: MerchantIx) -> Result<CommissionFigures, HubError> {
    let (global, cycle) = (source.global, source.cycle);
    let earlier = global.cycles().iter().filter(|c| c.no < cycle.no);
    let change = |total: &CommissionTotal| {
        total.accrued_micros - total.reversed_micros - total.clawed_back_micros - total.held_micros
    };
    let earned: i128 = earlier
        .flat_map(|cycle| totals(cycle, affiliate))
        .map(|(_, total)| change(total))
        .sum();
    let before = facts::adjustments_before(global, cycle);
    let payments = || cash(global, affiliate);
    let paid_before: i128 = payments()
        .filter(|cash| cash.cycle < cycle.no)
        .map(|cash| cash.micros)
        .sum();
    let paid: i128 = payments()
        .filter(|cash| cash.falls_in(cycle))
        .map(|cash| cash.micros)
        .sum();
    let opening = earned + adjusted(&before, affiliate) - paid_before;
    let adjusted = adjusted(&facts::adjustments(global, cycle), affiliate);
    let mut sum = CommissionTotal::default();
    for (_, total) in totals(cycle, affiliate) {
        sum.accrued_micros += total.accrued_micros;
        sum.reversed_micros += total.reversed_micros;
        sum.clawed_back_micros += total.clawed_back_micros;
        sum.held_micros += total.held_micros;
        sum.payable_micros += total.payable_micros;
    }
    Ok(CommissionFigures {
        opening: amount(opening)?,
        accrued: amount(sum.accrued_micros)?,
        reversed: amount(sum.reversed_micros)?,
        clawed_back: amount(sum.clawed_back_micros)?,
        held: amount(sum.held_micros)?,
        adjusted: amount(adjusted)?,
        paid: amount(paid)?,
        closing: amount(opening + change(&sum) + adjusted - paid)?,
        payable: amount(sum.payable_micros)?,
    })
}

/// In the affiliate's favour.
fn adjusted(posted: &[facts::Posted<'_>], affiliate: MerchantIx) -> i128 {
    let sides = posted.iter().filter_map(|p| p.side_of(affiliate));
    sides.map(|(_, micros)| -micros).sum()
}

fn by_merchant(
    source: &Source<'_>,
    affiliate: MerchantIx,
) -> Result<Vec<MerchantCommissions>, HubError> {
    let known: BTreeMap<MerchantIx, &CommissionTotal> = totals(source.cycle, affiliate).collect();
    let of_lines = source.changes.of(affiliate).map(|found| found.merchant);
    let merchants: BTreeSet<MerchantIx> = known.keys().copied().chain(of_lines).collect();
    let nothing = CommissionTotal::default();
    merchants
        .into_iter()
        .map(|merchant| {
            let total = known.get(&merchant).copied().unwrap_or(&nothing);
            Ok(MerchantCommissions {
                merchant: with(source, Party::Merchant(merchant)),
                conversions: total.conversions,
                accrued: amount(total.accrued_micros)?,
                reversed: amount(total.reversed_micros)?,
                clawed_back: amount(total.clawed_back_micros)?,
                held: amount(total.held_micros)?,
                payable: amount(total.payable_micros)?,
            })
        })
        .collect()
}

/// Money that moved between an affiliate's bank account and another's.
struct Cash<'a> {
    payment: &'a PaymentInstruction,
    at: Instant,
    /// The cycle that was open then: its cuts enclose the entry.
    cycle: CycleNo,
    /// Paid to the affiliate; what it paid is negative.
    micros: i128,
    reason: &'static str,
}

impl Cash<'_> {
    fn falls_in(&self, cycle: &CycleTotals) -> bool {
        self.cycle == cycle.no
    }
}

/// All of an affiliate's payments that the bank confirmed, and those that came back, by number.
fn cash(global: &Global, affiliate: MerchantIx) -> impl Iterator<Item = Cash<'_>> {
    let own = Party::Merchant(affiliate);
    let payments = global.finance().payments().iter();
    payments.flat_map(move |payment| {
        let micros = -payment.signed_for(own);
        let reason = if micros > 0 {
            "PAYMENT"
        } else {
            "PAYMENT_BY_AFFILIATE"
        };
        let moved = |at: Option<(Instant, CycleNo)>, micros, reason| {
            at.filter(|_| micros != 0).map(|(at, cycle)| Cash {
                payment,
                at,
                cycle,
                micros,
                reason,
            })
        };
        let settled = moved(payment.settled_at, micros, reason);
        let returned = moved(payment.returned_at, -micros, "PAYMENT_RETURNED");
        settled.into_iter().chain(returned)
    })
}

/// Adjustments, then payments.
fn finance_lines(
    source: &Source<'_>,
    affiliate: MerchantIx,
) -> Result<Vec<CommissionLine>, HubError> {
    let line = |kind, at, leaf, party, reference, micros, reason| {
        Ok(CommissionLine {
            kind,
            at: utc(at),
            leaf,
            with: with(source, party),
            reference,
            conversion: None,
            rate: None,
            amount: amount(micros)?,
            under_hold: false,
            state: None,
            reason: Some(LineKind::new(reason)),
            flag: None,
        })
    };
    let posted = facts::adjustments(source.global, source.cycle);
    let adjustments = posted.iter().filter_map(|posted| {
        let (party, micros) = posted.side_of(affiliate)?;
        Some(line(
            Kind::Adjusted,
            posted.decision.at,
            Some(posted.decision.seq),
            party,
            posted.id(),
            -micros,
            posted.reason.code(),
        ))
    });
    let mut moved: Vec<Cash<'_>> = cash(source.global, affiliate)
        .filter(|cash| cash.falls_in(source.cycle))
        .collect();
    moved.sort_by_key(|cash| cash.at);
    let payments = moved.iter().map(|cash| {
        let payment = cash.payment;
        let other = if payment.payee == Party::Merchant(affiliate) {
            payment.payer
        } else {
            payment.payee
        };
        line(
            Kind::Paid,
            cash.at,
            None,
            other,
            payment.end_to_end_id(),
            -cash.micros,
            cash.reason,
        )
    });
    adjustments.chain(payments).collect()
}
