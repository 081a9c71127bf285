//! The statement of one merchant and one closed cycle, out of the ledger's state and the cycle's breakdown.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use hansa_report::{
    Adjustment, Approval, BilateralNet, CycleState as Shown, FeeItem, Holdback, LineKind,
    MessageTotal, OpeningItem, OriginalRef, Payment, Period, PromotionShare, Proof, StatementLine,
    StatementParts,
};
use hansa_settlement::{
    Bonus, CycleState, CycleTotals, Global, Instant, MerchantIx, Promotion,
    finance::{
        CarryCause, CycleSettlement, Party, PaymentInstruction, PaymentState, SettledPosition,
    },
    positions,
};

use super::{amount, breakdown::Breakdown, facts, parties, terms::Terms, utc, within};
use crate::{convert::cycle_number, error::HubError, registry::Registry};

/// What a statement is made of, besides its drill-down.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The ledger.
    pub global: &'a Global,
    /// Names.
    pub registry: &'a Registry,
    /// The cycle; closed.
    pub cycle: &'a CycleTotals,
    /// What its effects add up to.
    pub breakdown: &'a Breakdown,
    /// Taxes.
    pub terms: &'a Terms,
}

/// The parts of a merchant's statement.
pub fn parts(
    source: &Source<'_>,
    merchant: MerchantIx,
    proof: Proof,
) -> Result<StatementParts, HubError> {
    let Source {
        global,
        registry,
        cycle,
        ..
    } = *source;
    let position = positions(global, cycle.no)
        .remove(&merchant)
        .unwrap_or_default();
    let paid = &position.payment;
    let at = within(cycle.closes_at.unwrap_or(Instant(0)));
    let net = cycle.net(merchant);
    Ok(StatementParts {
        issuer: parties::issuer(global, registry, at),
        cycle: cycle_number(cycle.no),
        state: shown(cycle.state),
        period: period(global, cycle),
        currency: global.currency(),
        merchant: parties::merchant(global, registry, merchant, at),
        brought_forward: amount(paid.brought_forward_micros)?,
        opening: opening(&position)?,
        lines: lines(source, merchant)?,
        net: amount(net)?,
        promotions: promotions(source, merchant)?,
        fees: fees(source, merchant)?,
        adjustments: adjustments(source, merchant)?,
        holdbacks: holdbacks(cycle, paid.held_back_micros)?,
        bilateral: bilateral(source, merchant)?,
        messages: messages(source, merchant)?,
        payments: payments(source, merchant, paid.instruction_micros)?,
        carried_forward: amount(paid.carried_forward_micros)?,
        proof: Some(proof),
        drill_down: None,
    })
}

/// A state as documents name it.
const fn shown(state: CycleState) -> Shown {
    match state {
        CycleState::Open => Shown::Open,
        CycleState::Closing => Shown::Closing,
        CycleState::Closed => Shown::Closed,
        CycleState::PendingApproval => Shown::PendingApproval,
        CycleState::Approved => Shown::Approved,
        CycleState::Settling => Shown::Settling,
        CycleState::Settled => Shown::Settled,
        CycleState::PartiallySettled => Shown::PartiallySettled,
        CycleState::Aborted => Shown::Aborted,
    }
}

pub(super) fn period(global: &Global, cycle: &CycleTotals) -> Period {
    let zone = global.programme(within(cycle.closes_at.unwrap_or(Instant(0))));
    Period {
        opens_at: (cycle.opens_at != Instant::MIN).then(|| utc(cycle.opens_at)),
        closes_at: cycle.closes_at.map(utc),
        // The ledger took the name from the same table of zones.
        zone: zone.zone.name().parse::<Tz>().unwrap_or(Tz::UTC),
    }
}

fn opening(position: &SettledPosition) -> Result<Vec<OpeningItem>, HubError> {
    let reference = |cause: &CarryCause| match cause {
        CarryCause::Residue(cycle) | CarryCause::LeftOut(cycle) | CarryCause::Holdback(cycle) => {
            format!("cycle {}", cycle.shown())
        }
        CarryCause::Prepaid => String::new(),
        CarryCause::Payment(number) => format!("payment {number}"),
        CarryCause::Difference(number) => format!("exception {number}"),
        CarryCause::Default(number) => format!("proposal {number}"),
    };
    let brought = position.brought.iter();
    brought
        .map(|part| {
            Ok(OpeningItem {
                cause: LineKind::new(part.cause.code()),
                reference: reference(&part.cause),
                amount: amount(part.micros)?,
            })
        })
        .collect()
}

fn lines(source: &Source<'_>, merchant: MerchantIx) -> Result<Vec<StatementLine>, HubError> {
    let lines = source.cycle.lines_of(merchant);
    lines
        .map(|(key, total)| {
            Ok(StatementLine {
                kind: LineKind::new(key.kind.code()),
                counterparty: key
                    .counterparty
                    .map(|other| counterparty(source, Party::Merchant(other))),
                late: key.late,
                information: key.kind.is_information(),
                count: total.count,
                points: total.points,
                amount: amount(total.micros)?,
            })
        })
        .collect()
}

fn counterparty(source: &Source<'_>, party: Party) -> hansa_report::Counterparty {
    parties::counterparty(source.global, source.registry, party)
}

fn promotions(source: &Source<'_>, merchant: MerchantIx) -> Result<Vec<PromotionShare>, HubError> {
    let shares = source.breakdown.promotions.iter();
    shares
        .filter(|((funder, _), _)| *funder == merchant)
        .map(|((_, promotion), sum)| {
            let promotion = source.global.promotion(*promotion);
            let promotion = promotion.ok_or_else(|| HubError::internal("no such promotion"))?;
            Ok(PromotionShare {
                promotion: promotion.slug.clone(),
                name: promotion_name(source, promotion),
                points: sum.points,
                amount: amount(sum.micros)?,
            })
        })
        .collect()
}

/// What a promotion gives, and when: it has no name of its own. Its end may be moved up, and then shows in the name.
fn promotion_name(source: &Source<'_>, promotion: &Promotion) -> String {
    let bonus = match promotion.bonus {
        Bonus::Multiplier(factor) => {
            format!("{} times the points", factor.to_decimal().normalize())
        }
        Bonus::Rate(rate) => format!("{} more points per unit", rate.to_decimal().normalize()),
    };
    let first = source.terms.day(promotion.starts_at);
    let last = source.terms.day(within(promotion.ends_at));
    if first == last {
        return format!("{bonus}, {first}");
    }
    format!("{bonus}, {first} to {last}")
}

fn fees(source: &Source<'_>, merchant: MerchantIx) -> Result<Vec<FeeItem>, HubError> {
    let fees = source.breakdown.fees.iter();
    fees.filter(|((payer, _, _), _)| *payer == merchant)
        .map(|((_, fee, tax), sum)| {
            Ok(FeeItem {
                kind: LineKind::new(fee.code()),
                points: sum.points,
                amount: amount(sum.micros)?,
                tax: source.terms.tax(*tax).cloned(),
            })
        })
        .collect()
}

fn adjustments(source: &Source<'_>, merchant: MerchantIx) -> Result<Vec<Adjustment>, HubError> {
    let posted = facts::adjustments(source.global, source.cycle);
    posted
        .iter()
        .filter_map(|posted| Some((posted, posted.side_of(merchant)?)))
        .map(|(posted, (with, micros))| {
            let (proposal, decision) = (posted.proposal, posted.decision);
            let approval = |by: &str, at| Approval {
                by: by.to_owned(),
                at: utc(at),
            };
            let original = &posted.original;
            Ok(Adjustment {
                id: posted.id(),
                reason: LineKind::new(posted.reason.code()),
                note: one_line(&proposal.reason),
                original: OriginalRef {
                    cycle: original.cycle.map_or(0, cycle_number),
                    line: original.line.map(|line| LineKind::new(line.code())),
                    message: None,
                    leaf: original.leaf,
                },
                counterparty: with.merchant().map(|_| counterparty(source, with)),
                points: 0,
                amount: amount(micros)?,
                approvals: [
                    approval(&proposal.maker, proposal.made_at),
                    approval(&decision.checker, decision.at),
                ],
            })
        })
        .collect()
}

/// A person's words as one line of a document: at most so many, without what a document cannot show.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 200;
    let plain = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<&str> = plain.filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ");
    let shown = line.chars().filter(|c| {
        !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    });
    let mut shown: String = shown.collect();
    if let Some((end, _)) = shown.char_indices().nth(MOST) {
        shown.truncate(end);
        shown.push('\u{2026}');
    }
    shown
}

fn holdbacks(cycle: &CycleTotals, micros: i128) -> Result<Vec<Holdback>, HubError> {
    if micros == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![Holdback {
        id: format!("HOLD-{}", cycle.no.shown()),
        reason: LineKind::new("HELD_BACK"),
        amount: amount(micros)?,
        release_on: None,
    }])
}

/// The net with each other merchant by points that were used, and with the hub for all the rest.
fn bilateral(source: &Source<'_>, merchant: MerchantIx) -> Result<Vec<BilateralNet>, HubError> {
    let own = Party::Merchant(merchant);
    let pairs = &source.cycle.pairs;
    let points = |other: MerchantIx| -> i64 {
        let between = [(merchant, other), (other, merchant)];
        let moved = between.iter().filter_map(|pair| pairs.get(pair));
        moved.map(|pair| pair.points).sum()
    };
    let mut nets: Vec<(Party, i128)> = Vec::new();
    for ((from, to), micros) in source.cycle.obligations() {
        let to = Party::from(to);
        if Party::Merchant(from) == own {
            nets.push((to, micros));
        } else if to == own {
            nets.push((Party::Merchant(from), -micros));
        }
    }
    nets.sort_unstable();
    nets.into_iter()
        .map(|(party, micros)| {
            let key = (merchant, party.merchant());
            Ok(BilateralNet {
                counterparty: counterparty(source, party),
                points: party.merchant().map_or(0, points),
                amount: amount(micros)?,
                messages: source.breakdown.with.get(&key).copied().unwrap_or(0),
            })
        })
        .collect()
}

fn messages(source: &Source<'_>, merchant: MerchantIx) -> Result<Vec<MessageTotal>, HubError> {
    let sums = source.breakdown.messages.iter();
    sums.filter(|((of, _), _)| *of == merchant)
        .map(|((_, kind), sum)| {
            Ok(MessageTotal {
                kind: LineKind::new(kind),
                count: sum.count,
                amount: amount(sum.micros)?,
            })
        })
        .collect()
}

/// Payments as the settlement instructed them, each as it stands; before one is approved, what would be paid.
fn payments(
    source: &Source<'_>,
    merchant: MerchantIx,
    instruction_micros: i128,
) -> Result<Vec<Payment>, HubError> {
    if instruction_micros == 0
        && source
            .global
            .finance()
            .settlement(source.cycle.no)
            .is_none()
    {
        return Ok(Vec::new());
    }
    let Some(settlement) = source.global.finance().settlement(source.cycle.no) else {
        return Ok(vec![Payment {
            instruction: None,
            counterparty: counterparty(source, Party::Hub),
            amount: amount(instruction_micros)?,
            state: None,
            due_on: None,
            reference: None,
            account: None,
        }]);
    };
    if settlement.aborted {
        return Ok(Vec::new());
    }
    let own = Party::Merchant(merchant);
    let instructed = instructed(source.global, settlement);
    instructed
        .filter(|payment| payment.signed_for(own) != 0)
        .map(|payment| {
            let last = last_of(source.global, payment);
            let other = if last.payer == own {
                last.payee
            } else {
                last.payer
            };
            Ok(Payment {
                instruction: Some(last.number.to_string()),
                counterparty: counterparty(source, other),
                amount: amount(last.signed_for(own))?,
                state: Some(LineKind::new(last.state.code())),
                due_on: Some(settlement.execution_date),
                reference: Some(last.end_to_end_id()),
                account: parties::bank_account(
                    source.global,
                    source.registry,
                    last.payee,
                    last.payee_account,
                ),
            })
        })
        .collect()
}

/// The payments of an approval, by number.
pub(super) fn instructed<'a>(
    global: &'a Global,
    settlement: &CycleSettlement,
) -> impl Iterator<Item = &'a PaymentInstruction> + use<'a> {
    let first = settlement.first_payment.0;
    let numbers = first..first.saturating_add(settlement.payment_count);
    numbers.filter_map(|number| {
        global
            .finance()
            .payment(hansa_settlement::PaymentNo(number))
    })
}

/// The payment that took the place of one that was instructed again; itself where none did.
pub(super) fn last_of<'a>(
    global: &'a Global,
    payment: &'a PaymentInstruction,
) -> &'a PaymentInstruction {
    let mut last = payment;
    while last.state == PaymentState::Reinstructed {
        let all = global.finance().payments();
        let Some(next) = all.iter().find(|p| p.replaces == Some(last.number)) else {
            break;
        };
        last = next;
    }
    last
}

/// The merchants that a cycle has statements for: all with a line, or with something brought forward.
#[must_use]
pub fn merchants(global: &Global, cycle: &CycleTotals) -> BTreeSet<MerchantIx> {
    let lines = cycle.lines.keys().map(|key| key.merchant);
    lines
        .chain(positions(global, cycle.no).into_keys())
        .collect()
}
