//! That a statement adds up. What does not is refused with the two figures that differ.

use super::Totals;
use super::parts::{Adjustment, LineKind, MessageRow, Payment, StatementParts};
use crate::amount::{Amount, AmountError};
use crate::party::{Counterparty, Tax};
use crate::pdf::PdfError;
use crate::text::{TextError, optional, required};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why a statement is refused.
#[derive(Debug, Error)]
pub enum StatementError {
    /// A text that cannot stand in a document.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A sum that does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Not a code.
    #[error("\"{0}\" is no code: capital letters, digits and _, at most 64")]
    Code(String),
    /// The period ends before it begins.
    #[error("the period closes before it opens")]
    Period,
    /// A kind, counterparty and lateness that stand twice.
    #[error("line {kind} with \"{counterparty}\" stands twice; add the two up")]
    DuplicateLine {
        /// The line's kind.
        kind: String,
        /// The counterparty's id, empty for none.
        counterparty: String,
    },
    /// Money on a line for information.
    #[error("line {kind} is for information and carries {amount}; it must carry no money")]
    InformationWithMoney {
        /// The line's kind.
        kind: String,
        /// What it carries.
        amount: Amount,
    },
    /// Parts that must add up to the net and do not.
    #[error("{what} add up to {sum}, the net is {net}")]
    NotTheNet {
        /// Which parts.
        what: &'static str,
        /// Their sum.
        sum: Amount,
        /// What it must be.
        net: Amount,
    },
    /// Shares of promotions that are not the promotion lines.
    #[error(
        "shares of promotions add up to {sum} and {points} points, their lines to {lines} and {line_points} points"
    )]
    Promotions {
        /// Sum of the shares.
        sum: Amount,
        /// Points of the shares.
        points: i128,
        /// Sum of the lines.
        lines: Amount,
        /// Points of the lines.
        line_points: i128,
    },
    /// Adjustments that are not their lines.
    #[error("adjustments with \"{counterparty}\" add up to {sum}, their lines to {lines}")]
    Adjustments {
        /// The counterparty's id, empty for the hub.
        counterparty: String,
        /// Sum of the adjustments.
        sum: Amount,
        /// Sum of the lines.
        lines: Amount,
    },
    /// Parts of what is brought forward that are not all of it.
    #[error("what is brought forward adds up to {sum} by cause, the statement says {brought}")]
    Opening {
        /// Sum of the parts.
        sum: Amount,
        /// What is brought forward.
        brought: Amount,
    },
    /// Rows of the drill-down that are not their line.
    #[error(
        "rows of line {kind} with \"{counterparty}\" add up to {rows} and {row_points} points, the line says {line} and {line_points} points"
    )]
    DrillDown {
        /// The line's kind.
        kind: String,
        /// The counterparty's id, empty for none.
        counterparty: String,
        /// Sum of the rows.
        rows: Amount,
        /// Points of the rows.
        row_points: i128,
        /// The line's amount.
        line: Amount,
        /// The line's points.
        line_points: i128,
    },
    /// Something that stands twice.
    #[error("{what} \"{id}\" stands twice")]
    Duplicate {
        /// What.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// One person approved twice.
    #[error(
        "adjustment \"{adjustment}\" was approved twice by \"{by}\"; it needs two different people"
    )]
    SameApprover {
        /// The adjustment.
        adjustment: String,
        /// Who.
        by: String,
    },
    /// A payment of nothing.
    #[error("a payment of nothing; leave it out")]
    EmptyPayment,
    /// A payment in fractions of the minor unit.
    #[error("a payment of {0} is no whole number of the currency's minor unit")]
    FractionalPayment(Amount),
    /// What is carried forward is not what is left.
    #[error(
        "brought forward {brought} + net {net} + holdbacks {holdbacks} - payments {payments} leaves {left}, the statement carries {carried} forward"
    )]
    CarriedForward {
        /// Brought forward.
        brought: Amount,
        /// The net.
        net: Amount,
        /// Sum of the holdbacks.
        holdbacks: Amount,
        /// Sum of the payments.
        payments: Amount,
        /// What is left.
        left: Amount,
        /// What the statement says.
        carried: Amount,
    },
    /// A closed cycle without its proof.
    #[error(
        "the cycle is {0}, and its statement has no proof; give the cut, the digest and the checkpoints"
    )]
    NoProof(&'static str),
    /// More messages than a sheet has rows.
    #[error("{0} messages are more than a sheet holds; take CSV or JSON")]
    TooManyRows(usize),
    /// A writer failed.
    #[error("the document could not be written as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// A writer failed.
    #[error("the document could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A writer failed.
    #[error("the document could not be written as XLSX: {0}")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
    /// A writer failed.
    #[error(transparent)]
    Pdf(#[from] PdfError),
}

/// What identifies a line.
type LineKey<'a> = (&'a LineKind, Option<&'a Counterparty>, bool);

pub(super) fn check(parts: &StatementParts) -> Result<Totals, StatementError> {
    texts(parts)?;
    let period = (parts.period.opens_at, parts.period.closes_at);
    if matches!(period, (Some(begin), Some(end)) if end < begin) {
        return Err(StatementError::Period);
    }
    if !parts.state.is_provisional() && parts.proof.is_none() {
        return Err(StatementError::NoProof(parts.state.code()));
    }
    lines(parts)?;
    is_net(parts, "the lines", parts.lines.iter().map(|l| l.amount))?;
    is_net(
        parts,
        "the bilateral nets",
        parts.bilateral.iter().map(|b| b.amount),
    )?;
    if !parts.messages.is_empty() {
        let amounts = parts.messages.iter().map(|m| m.amount);
        is_net(parts, "the messages", amounts)?;
    }
    unique(
        "counterparty",
        parts.bilateral.iter().map(|b| b.counterparty.id()),
    )?;
    unique("kind", parts.messages.iter().map(|m| m.kind.code()))?;
    unique(
        "promotion",
        parts.promotions.iter().map(|p| p.promotion.as_str()),
    )?;
    unique(
        "adjustment",
        parts.adjustments.iter().map(|a| a.id.as_str()),
    )?;
    unique("holdback", parts.holdbacks.iter().map(|h| h.id.as_str()))?;
    promotions(parts)?;
    adjustments(parts)?;
    opening(parts)?;
    if let Some(rows) = &parts.drill_down {
        drill_down(parts, rows)?;
    }
    parts.adjustments.iter().try_for_each(two_people)?;
    parts.payments.iter().try_for_each(|p| payable(parts, p))?;
    settled(parts)
}

fn lines(parts: &StatementParts) -> Result<(), StatementError> {
    let mut seen = BTreeSet::new();
    for line in &parts.lines {
        if !seen.insert((&line.kind, line.counterparty.as_ref(), line.late)) {
            return Err(StatementError::DuplicateLine {
                kind: line.kind.code().into(),
                counterparty: id(line.counterparty.as_ref()),
            });
        }
        if line.information && !line.amount.is_zero() {
            return Err(StatementError::InformationWithMoney {
                kind: line.kind.code().into(),
                amount: line.amount,
            });
        }
    }
    Ok(())
}

fn is_net(
    parts: &StatementParts,
    what: &'static str,
    amounts: impl Iterator<Item = Amount>,
) -> Result<(), StatementError> {
    let sum = Amount::sum(amounts)?;
    if sum == parts.net {
        return Ok(());
    }
    Err(StatementError::NotTheNet {
        what,
        sum,
        net: parts.net,
    })
}

fn unique<'a>(
    what: &'static str,
    ids: impl Iterator<Item = &'a str>,
) -> Result<(), StatementError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(StatementError::Duplicate {
                what,
                id: id.to_owned(),
            });
        }
    }
    Ok(())
}

fn promotions(parts: &StatementParts) -> Result<(), StatementError> {
    if parts.promotions.is_empty() {
        return Ok(());
    }
    let of = parts.lines.iter().filter(|line| line.kind.is_promotion());
    let lines = Amount::sum(of.clone().map(|line| line.amount))?;
    let line_points = of.map(|line| i128::from(line.points)).sum();
    let sum = Amount::sum(parts.promotions.iter().map(|p| p.amount))?;
    let points = parts.promotions.iter().map(|p| i128::from(p.points)).sum();
    if (sum, points) == (lines, line_points) {
        return Ok(());
    }
    Err(StatementError::Promotions {
        sum,
        points,
        lines,
        line_points,
    })
}

/// Adjustments are their lines, counterparty by counterparty.
fn adjustments(parts: &StatementParts) -> Result<(), StatementError> {
    let mut sums: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    for adjustment in &parts.adjustments {
        let key = id(adjustment.counterparty.as_ref());
        sums.entry(key).or_default().0 += i128::from(adjustment.amount.micros());
    }
    for line in parts.lines.iter().filter(|line| line.kind.is_adjustment()) {
        let key = id(line.counterparty.as_ref());
        sums.entry(key).or_default().1 += i128::from(line.amount.micros());
    }
    for (counterparty, (sum, lines)) in sums {
        if sum != lines {
            return Err(StatementError::Adjustments {
                counterparty,
                sum: Amount::try_from(sum)?,
                lines: Amount::try_from(lines)?,
            });
        }
    }
    Ok(())
}

fn opening(parts: &StatementParts) -> Result<(), StatementError> {
    let sum = Amount::sum(parts.opening.iter().map(|item| item.amount))?;
    if parts.opening.is_empty() || sum == parts.brought_forward {
        return Ok(());
    }
    Err(StatementError::Opening {
        sum,
        brought: parts.brought_forward,
    })
}

/// Rows and lines add up to the same, line by line; a row without a line is one whose line says nothing.
fn drill_down(parts: &StatementParts, rows: &[MessageRow]) -> Result<(), StatementError> {
    let mut sums: BTreeMap<LineKey<'_>, (i128, i128)> = BTreeMap::new();
    for row in rows {
        let sum = sums
            .entry((&row.line, row.counterparty.as_ref(), row.late))
            .or_default();
        sum.0 += i128::from(row.amount.micros());
        sum.1 += i128::from(row.points);
    }
    let mut said: BTreeMap<LineKey<'_>, (i128, i128)> =
        sums.keys().map(|key| (*key, (0, 0))).collect();
    for line in &parts.lines {
        let figures = (i128::from(line.amount.micros()), i128::from(line.points));
        said.insert((&line.kind, line.counterparty.as_ref(), line.late), figures);
    }
    for (key, (line, line_points)) in said {
        let (rows, row_points) = sums.get(&key).copied().unwrap_or_default();
        if (rows, row_points) != (line, line_points) {
            return Err(StatementError::DrillDown {
                kind: key.0.code().into(),
                counterparty: id(key.1),
                rows: Amount::try_from(rows)?,
                row_points,
                line: Amount::try_from(line)?,
                line_points,
            });
        }
    }
    Ok(())
}

fn two_people(adjustment: &Adjustment) -> Result<(), StatementError> {
    let [first, second] = &adjustment.approvals;
    if first.by != second.by {
        return Ok(());
    }
    Err(StatementError::SameApprover {
        adjustment: adjustment.id.clone(),
        by: first.by.clone(),
    })
}

fn payable(parts: &StatementParts, payment: &Payment) -> Result<(), StatementError> {
    if payment.amount.is_zero() {
        return Err(StatementError::EmptyPayment);
    }
    if !payment.amount.is_payable_in(parts.currency) {
        return Err(StatementError::FractionalPayment(payment.amount));
    }
    Ok(())
}

fn settled(parts: &StatementParts) -> Result<Totals, StatementError> {
    let adjustments = Amount::sum(parts.adjustments.iter().map(|a| a.amount))?;
    let holdbacks = Amount::sum(parts.holdbacks.iter().map(|h| h.amount))?;
    let payments = Amount::sum(parts.payments.iter().map(|p| p.amount))?;
    let payable = Amount::sum([parts.brought_forward, parts.net, holdbacks])?;
    let left = Amount::sum([payable, payments.negated()?])?;
    if left != parts.carried_forward {
        return Err(StatementError::CarriedForward {
            brought: parts.brought_forward,
            net: parts.net,
            holdbacks,
            payments,
            left,
            carried: parts.carried_forward,
        });
    }
    Ok(Totals {
        adjustments,
        holdbacks,
        payable,
        payments,
    })
}

fn texts(parts: &StatementParts) -> Result<(), StatementError> {
    parts.issuer.check()?;
    parts.merchant.check()?;
    for line in &parts.lines {
        code(&line.kind)?;
        party(line.counterparty.as_ref())?;
    }
    for item in &parts.opening {
        code(&item.cause)?;
        optional("reference of the opening", &item.reference)?;
    }
    for promotion in &parts.promotions {
        required("promotion", &promotion.promotion)?;
        required("name of the promotion", &promotion.name)?;
    }
    for fee in &parts.fees {
        code(&fee.kind)?;
        fee.tax.as_ref().map_or(Ok(()), Tax::check)?;
    }
    for adjustment in &parts.adjustments {
        adjustment_texts(adjustment)?;
    }
    for holdback in &parts.holdbacks {
        required("holdback", &holdback.id)?;
        code(&holdback.reason)?;
    }
    for net in &parts.bilateral {
        net.counterparty.check()?;
    }
    for total in &parts.messages {
        code(&total.kind)?;
    }
    for payment in &parts.payments {
        payment_texts(payment)?;
    }
    if let Some(proof) = &parts.proof {
        required("key of the hub", &proof.hub_key_id)?;
        proof.checkpoints.iter().try_for_each(|c| code(&c.at))?;
    }
    for row in parts.drill_down.iter().flatten() {
        code(&row.kind)?;
        code(&row.line)?;
        party(row.counterparty.as_ref())?;
    }
    Ok(())
}

fn adjustment_texts(adjustment: &Adjustment) -> Result<(), StatementError> {
    required("adjustment", &adjustment.id)?;
    code(&adjustment.reason)?;
    optional("note of the adjustment", &adjustment.note)?;
    adjustment.original.line.as_ref().map_or(Ok(()), code)?;
    party(adjustment.counterparty.as_ref())?;
    for approval in &adjustment.approvals {
        required("approver", &approval.by)?;
    }
    Ok(())
}

fn payment_texts(payment: &Payment) -> Result<(), StatementError> {
    payment.counterparty.check()?;
    optional(
        "instruction",
        payment.instruction.as_deref().unwrap_or_default(),
    )?;
    optional(
        "reference of the payment",
        payment.reference.as_deref().unwrap_or_default(),
    )?;
    payment.state.as_ref().map_or(Ok(()), code)?;
    if let Some(account) = &payment.account {
        account.check()?;
    }
    Ok(())
}

fn code(kind: &LineKind) -> Result<(), StatementError> {
    if kind.is_well_formed() {
        Ok(())
    } else {
        Err(StatementError::Code(kind.code().chars().take(64).collect()))
    }
}

fn party(counterparty: Option<&Counterparty>) -> Result<(), TextError> {
    counterparty.map_or(Ok(()), Counterparty::check)
}

fn id(counterparty: Option<&Counterparty>) -> String {
    counterparty
        .map(Counterparty::id)
        .unwrap_or_default()
        .into()
}
