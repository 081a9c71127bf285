//! That a commission statement adds up. What does not is refused with the figures that differ.

use super::parts::{
    CommissionFigures, CommissionLine, CommissionLineKind as Kind, CommissionParts,
};
use super::reasons;
use crate::amount::{Amount, AmountError};
use crate::party::Counterparty;
use crate::pdf::PdfError;
use crate::text::{TextError, optional, required};
use std::collections::BTreeSet;
use thiserror::Error;

/// Why a commission statement is refused.
#[derive(Debug, Error)]
pub enum CommissionStatementError {
    /// A text that cannot stand in a document.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A sum that does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The period ends before it begins.
    #[error("the period closes before it opens")]
    Period,
    /// The equation does not hold.
    #[error(
        "opening {opening} + accrued {accrued} - reversed {reversed} - clawed back {clawed_back} - held {held} + adjusted {adjusted} - paid \
         {paid} is {sum}, the statement closes with {closing}"
    )]
    Equation {
        /// Opening.
        opening: Amount,
        /// Accrued.
        accrued: Amount,
        /// Reversed.
        reversed: Amount,
        /// Clawed back.
        clawed_back: Amount,
        /// Held.
        held: Amount,
        /// Adjusted.
        adjusted: Amount,
        /// Paid.
        paid: Amount,
        /// What they come to.
        sum: Amount,
        /// What the statement says.
        closing: Amount,
    },
    /// Parts that must add up to a figure and do not.
    #[error("{parts} add up to {sum} {figure}, the statement says {said}")]
    Figure {
        /// Which figure.
        figure: &'static str,
        /// What adds up.
        parts: String,
        /// Their sum.
        sum: Amount,
        /// What the statement says.
        said: Amount,
    },
    /// Conversions of a merchant that are not its lines.
    #[error("{merchant} has {said} conversions, its lines are {lines}")]
    Conversions {
        /// The merchant's id.
        merchant: String,
        /// What the statement says.
        said: u64,
        /// Lines that accrue.
        lines: u64,
    },
    /// A merchant that stands twice.
    #[error("merchant \"{0}\" stands twice")]
    DuplicateMerchant(String),
    /// A merchant without a row of its own.
    #[error("a line is of merchant \"{0}\", which has no row")]
    MerchantMissing(String),
    /// A line whose amount has a sign that its kind never has.
    #[error("a {kind} line of {amount}; its sign is another")]
    Sign {
        /// The kind.
        kind: &'static str,
        /// The amount.
        amount: Amount,
    },
    /// A line that takes something and does not say why, or says something else than the list has.
    #[error(
        "a {kind} line of \"{reference}\" has the reason \"{reason}\", which the published list does not have"
    )]
    Reason {
        /// The kind.
        kind: &'static str,
        /// Its reference.
        reference: String,
        /// What it says.
        reason: String,
    },
    /// A line that lacks what its kind has, or has what it lacks.
    #[error("a {kind} line {problem}")]
    Shape {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A format that there is none of.
    #[error("a commission statement is JSON, CSV or PDF")]
    NoWorkbook,
    /// A writer failed.
    #[error("the statement could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A writer failed.
    #[error("the statement could not be written as CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// A writer failed.
    #[error("the statement could not be written as PDF: {0}")]
    Pdf(#[from] PdfError),
}

type Checked = Result<(), CommissionStatementError>;

pub(super) fn check(parts: &CommissionParts) -> Checked {
    parts.issuer.check()?;
    parts.affiliate.check()?;
    if let (Some(opens), Some(closes)) = (parts.period.opens_at, parts.period.closes_at)
        && closes < opens
    {
        return Err(CommissionStatementError::Period);
    }
    parts.lines.iter().try_for_each(line)?;
    equation(&parts.figures)?;
    let of_all = Sums::of(parts.lines.iter());
    of_all.compare("lines", &parts.figures)?;
    by_merchant(parts)
}

fn equation(figures: &CommissionFigures) -> Checked {
    let CommissionFigures {
        opening,
        accrued,
        reversed,
        clawed_back,
        held,
        adjusted,
        paid,
        closing,
        payable: _,
    } = *figures;
    let plus = [opening, accrued, adjusted];
    let minus = [reversed, clawed_back, held, paid];
    let of = |amounts: &[Amount]| -> i128 { amounts.iter().map(|a| i128::from(a.micros())).sum() };
    let sum = Amount::try_from(of(&plus) - of(&minus))?;
    if sum == closing {
        return Ok(());
    }
    Err(CommissionStatementError::Equation {
        opening,
        accrued,
        reversed,
        clawed_back,
        held,
        adjusted,
        paid,
        sum,
        closing,
    })
}

/// What lines come to, micro-units.
#[derive(Default)]
struct Sums {
    conversions: u64,
    accrued: i128,
    reversed: i128,
    clawed_back: i128,
    held: i128,
    adjusted: i128,
    paid: i128,
    payable: i128,
}

impl Sums {
    fn of<'a>(lines: impl Iterator<Item = &'a CommissionLine>) -> Self {
        let mut sums = Self::default();
        for line in lines {
            let micros = i128::from(line.amount.micros());
            match line.kind {
                Kind::Accrued | Kind::Reattributed => {
                    sums.conversions += 1;
                    sums.accrued += micros;
                }
                Kind::Reversed => sums.reversed -= micros,
                Kind::ClawedBack => sums.clawed_back -= micros,
                Kind::Held | Kind::Released => sums.held -= micros,
                Kind::Locked => {}
                Kind::Payable => sums.payable += micros,
                Kind::Adjusted => sums.adjusted += micros,
                Kind::Paid => sums.paid -= micros,
            }
            if line.under_hold {
                sums.held += micros;
            }
        }
        sums
    }

    fn compare(&self, parts: &str, said: &CommissionFigures) -> Checked {
        for (figure, sum, said) in [
            ("accrued", self.accrued, said.accrued),
            ("reversed", self.reversed, said.reversed),
            ("clawed back", self.clawed_back, said.clawed_back),
            ("held", self.held, said.held),
            ("adjusted", self.adjusted, said.adjusted),
            ("paid", self.paid, said.paid),
            ("payable", self.payable, said.payable),
        ] {
            let sum = Amount::try_from(sum)?;
            if sum != said {
                return Err(CommissionStatementError::Figure {
                    figure,
                    parts: parts.to_owned(),
                    sum,
                    said,
                });
            }
        }
        Ok(())
    }
}

fn by_merchant(parts: &CommissionParts) -> Checked {
    let mut known = BTreeSet::new();
    for row in &parts.merchants {
        row.merchant.check()?;
        let id = row.merchant.id();
        if !known.insert(id) {
            return Err(CommissionStatementError::DuplicateMerchant(id.to_owned()));
        }
        let lines = parts.lines.iter();
        let sums = Sums::of(
            lines.filter(|line| line.kind.is_of_conversion() && line.with == row.merchant),
        );
        if sums.conversions != row.conversions {
            return Err(CommissionStatementError::Conversions {
                merchant: id.to_owned(),
                said: row.conversions,
                lines: sums.conversions,
            });
        }
        let said = CommissionFigures {
            accrued: row.accrued,
            reversed: row.reversed,
            clawed_back: row.clawed_back,
            held: row.held,
            payable: row.payable,
            ..CommissionFigures::default()
        };
        sums.compare(&format!("lines of {id}"), &said)?;
    }
    let of_conversions = parts.lines.iter().filter(|l| l.kind.is_of_conversion());
    let stray = of_conversions
        .map(|line| &line.with)
        .find(|with| matches!(with, Counterparty::Hub) || !known.contains(with.id()));
    match stray {
        Some(with) => Err(CommissionStatementError::MerchantMissing(
            with.id().to_owned(),
        )),
        None => Ok(()),
    }
}

fn line(line: &CommissionLine) -> Checked {
    let kind = line.kind.code();
    let shape = |problem| Err(CommissionStatementError::Shape { kind, problem });
    line.with.check()?;
    match &line.conversion {
        Some(conversion) => optional("order reference", &conversion.order)?,
        None => required("reference of the line", &line.reference)?,
    }
    if line.conversion.is_some() != line.kind.is_of_conversion() {
        return shape("has to name its conversion, and nothing else has one");
    }
    if line.conversion.is_some() && !line.reference.is_empty() {
        return shape("has the reference of its order, and no other");
    }
    let sets_rate = matches!(line.kind, Kind::Accrued | Kind::Reattributed);
    if line.rate.is_some() != sets_rate {
        return shape("has a rate where it sets one, and nowhere else");
    }
    if line.under_hold && !matches!(line.kind, Kind::Reversed | Kind::Reattributed) {
        return shape("cannot be under a hold");
    }
    let holds = matches!(line.kind, Kind::Held | Kind::Released);
    if line.flag.is_some() != holds {
        return shape("has to name its flag, and nothing else has one");
    }
    let micros = line.amount.micros();
    let fits = match line.kind {
        Kind::Accrued | Kind::Reattributed | Kind::Released | Kind::Payable => micros >= 0,
        Kind::Reversed | Kind::ClawedBack | Kind::Held => micros <= 0,
        Kind::Locked => micros == 0,
        Kind::Adjusted | Kind::Paid => true,
    };
    if !fits {
        return Err(CommissionStatementError::Sign {
            kind,
            amount: line.amount,
        });
    }
    let reason = line.reason.as_ref().map_or("", |reason| reason.code());
    let needs = micros < 0 || !reason.is_empty();
    if needs && reasons::known(reason).is_none() {
        return Err(CommissionStatementError::Reason {
            kind,
            reference: line.shown_reference().to_owned(),
            reason: reason.to_owned(),
        });
    }
    Ok(())
}
