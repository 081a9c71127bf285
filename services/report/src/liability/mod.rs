//! What outstanding points cost: by funder and age, in the reserve, expected breakage, deferred revenue.

mod csv;
mod parts;
mod revenue;
mod xlsx;

pub use parts::{
    AgeBands, AllocatedPrice, FunderPoints, FundingMode, LiabilityParts, OutstandingPoints,
    expected_points,
};
pub use revenue::{Revenue, RevenueBasis, RevenueError, RevenueUnit};

use crate::amount::{Amount, AmountError};
use crate::figures::{self, FiguresError};
use crate::party::Counterparty;
use crate::text::TextError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Name and version of the JSON form.
pub(crate) const SCHEMA: &str = "hansa.liability.v1";

/// Why a report is refused.
#[derive(Debug, Error)]
pub enum LiabilityError {
    /// A text that cannot stand in a document.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A sum that does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Revenue that cannot be computed.
    #[error("revenue of \"{funder}\": {source}")]
    Revenue {
        /// The funder's id.
        funder: String,
        /// Why.
        source: RevenueError,
    },
    /// A band that does not exist.
    #[error("points of \"{0}\" are in a band of age that the report does not have")]
    Band(String),
    /// A number below 0.
    #[error("\"{0}\" has points or a value below 0")]
    Negative(String),
    /// A funder, or its mode and age, that stand twice.
    #[error("\"{0}\" stands twice; add the two up")]
    Duplicate(String),
    /// Open points that are not what issued, redeemed and lost points leave.
    #[error(
        "\"{funder}\" has {open} open points by age, and {left} by what was issued, redeemed and lost"
    )]
    Open {
        /// The funder's id.
        funder: String,
        /// By age.
        open: i128,
        /// By history.
        left: i128,
    },
    /// An expectation that cannot come true.
    #[error(
        "\"{funder}\" expects {expected} points to be redeemed; at least {redeemed} are, and at most {most} can be"
    )]
    Expected {
        /// The funder's id.
        funder: String,
        /// What it expects.
        expected: i64,
        /// What is redeemed already.
        redeemed: i64,
        /// What is not lost.
        most: i128,
    },
    /// Prepaid points that are not worth the reserve.
    #[error("prepaid points are worth {points}, the reserve is {reserve}")]
    Reserve {
        /// Value of the ISSUE points.
        points: Amount,
        /// Balance of 2100.
        reserve: Amount,
    },
    /// A writer failed.
    #[error("the report could not be written as CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// A writer failed.
    #[error("the report could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A writer failed.
    #[error("the report could not be written as XLSX: {0}")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
}

/// What follows for one funder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunderLiability {
    /// The funder.
    pub funder: Counterparty,
    /// Open points.
    pub points: i64,
    /// Their value at their own reserve prices.
    pub value: Amount,
    /// Of that, prepaid: in the reserve.
    pub in_reserve: Amount,
    /// Open points that are not expected to be redeemed.
    pub breakage_points: i64,
    /// Their part of the value, rounded down to the micro-unit.
    pub breakage: Amount,
    /// Deferred revenue, where a price was allocated.
    pub revenue: Option<Revenue>,
}

/// What follows for all funders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiabilityTotals {
    /// Open points.
    pub points: i64,
    /// Their value.
    pub value: Amount,
    /// Of that, in the reserve.
    pub in_reserve: Amount,
    /// Points that are not expected to be redeemed.
    pub breakage_points: i64,
    /// Their value.
    pub breakage: Amount,
    /// Revenue of the period.
    pub revenue_of_period: Amount,
    /// Contract liability.
    pub deferred: Amount,
}

/// A report that adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiabilityReport {
    parts: LiabilityParts,
    funders: Vec<FunderLiability>,
    totals: LiabilityTotals,
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    report: &'a LiabilityParts,
    funders: &'a [FunderLiability],
    totals: &'a LiabilityTotals,
}

/// The JSON form as it is read: what follows is computed again, not believed.
#[derive(Deserialize)]
struct ReadJson {
    report: LiabilityParts,
}

impl LiabilityReport {
    /// Checks the parts and computes what follows from them.
    ///
    /// What must hold: open points by age are what each funder's issued, redeemed and lost points leave; the prepaid ones
    /// are worth the reserve; what is expected to be redeemed is possible.
    pub fn new(parts: LiabilityParts) -> Result<Self, LiabilityError> {
        parts.issuer.check()?;
        let open = open_points(&parts)?;
        let mut seen = BTreeSet::new();
        let mut funders = Vec::with_capacity(parts.funders.len());
        for funder in &parts.funders {
            funder.funder.check()?;
            if !seen.insert(&funder.funder) {
                return Err(LiabilityError::Duplicate(name(&funder.funder)));
            }
            let open = open.get(&funder.funder).copied().unwrap_or_default();
            funders.push(liability(&parts, funder, open)?);
        }
        if let Some((unknown, open)) = open.iter().find(|(funder, _)| !seen.contains(*funder)) {
            return Err(LiabilityError::Open {
                funder: name(unknown),
                open: open.points,
                left: 0,
            });
        }
        let totals = totals(&funders)?;
        if totals.in_reserve != parts.reserve {
            return Err(LiabilityError::Reserve {
                points: totals.in_reserve,
                reserve: parts.reserve,
            });
        }
        Ok(Self {
            parts,
            funders,
            totals,
        })
    }

    /// Reads the JSON form and computes it again. Other bytes than those that this report gives are refused.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FiguresError> {
        let read: ReadJson = serde_json::from_slice(bytes)?;
        let report = Self::new(read.report).map_err(FiguresError::Liability)?;
        figures::same(bytes, &report.to_json().map_err(FiguresError::Liability)?)?;
        Ok(report)
    }

    /// What it is made of.
    #[must_use]
    pub const fn parts(&self) -> &LiabilityParts {
        &self.parts
    }

    /// What follows for each funder, in the order of the parts.
    #[must_use]
    pub fn funders(&self) -> &[FunderLiability] {
        &self.funders
    }

    /// What follows for all.
    #[must_use]
    pub const fn totals(&self) -> &LiabilityTotals {
        &self.totals
    }

    /// JSON, indented, keys always in the same order.
    pub fn to_json(&self) -> Result<Vec<u8>, LiabilityError> {
        let mut out = serde_json::to_vec_pretty(&Json {
            schema: SCHEMA,
            report: &self.parts,
            funders: &self.funders,
            totals: &self.totals,
        })?;
        out.push(b'\n');
        Ok(out)
    }

    /// One CSV file: a record per figure, all with the same columns.
    pub fn to_csv(&self) -> Result<Vec<u8>, LiabilityError> {
        csv::report(self)
    }

    /// A workbook: Summary, Funders, Outstanding.
    pub fn to_xlsx(&self) -> Result<Vec<u8>, LiabilityError> {
        xlsx::report(self)
    }
}

/// Open points of a funder.
#[derive(Clone, Copy, Default)]
struct Open {
    points: i128,
    value: i128,
    in_reserve: i128,
}

fn open_points(parts: &LiabilityParts) -> Result<BTreeMap<&Counterparty, Open>, LiabilityError> {
    let mut seen = BTreeSet::new();
    let mut open: BTreeMap<&Counterparty, Open> = BTreeMap::new();
    for row in &parts.outstanding {
        row.funder.check()?;
        if row.band >= parts.ages.count() {
            return Err(LiabilityError::Band(name(&row.funder)));
        }
        if row.points < 0 || row.value < Amount::ZERO {
            return Err(LiabilityError::Negative(name(&row.funder)));
        }
        if !seen.insert((&row.funder, row.mode, row.band)) {
            return Err(LiabilityError::Duplicate(name(&row.funder)));
        }
        let sum = open.entry(&row.funder).or_default();
        sum.points += i128::from(row.points);
        sum.value += i128::from(row.value.micros());
        if row.mode == FundingMode::Issue {
            sum.in_reserve += i128::from(row.value.micros());
        }
    }
    Ok(open)
}

fn liability(
    parts: &LiabilityParts,
    funder: &FunderPoints,
    open: Open,
) -> Result<FunderLiability, LiabilityError> {
    let id = || name(&funder.funder);
    if funder.issued < 0 || funder.redeemed < 0 || funder.lost < 0 {
        return Err(LiabilityError::Negative(id()));
    }
    let most = i128::from(funder.issued) - i128::from(funder.lost);
    let left = most - i128::from(funder.redeemed);
    if left != open.points {
        return Err(LiabilityError::Open {
            funder: id(),
            open: open.points,
            left,
        });
    }
    if funder.expected < funder.redeemed || i128::from(funder.expected) > most {
        return Err(LiabilityError::Expected {
            funder: id(),
            expected: funder.expected,
            redeemed: funder.redeemed,
            most,
        });
    }
    let breakage_points = most - i128::from(funder.expected);
    let breakage = match open.points {
        0 => 0,
        points => share(open.value, breakage_points, points),
    };
    let revenue = funder.price.map(|price| {
        let basis = RevenueBasis {
            allocated: price.allocated,
            redeemed: funder.redeemed,
            expected: funder.expected,
            recognised_before: price.recognised_before,
        };
        basis.revenue(parts.revenue_unit, parts.currency)
    });
    Ok(FunderLiability {
        funder: funder.funder.clone(),
        points: i64::try_from(open.points).map_err(|_| AmountError::Range(open.points))?,
        value: Amount::try_from(open.value)?,
        in_reserve: Amount::try_from(open.in_reserve)?,
        breakage_points: i64::try_from(breakage_points)
            .map_err(|_| AmountError::Range(breakage_points))?,
        breakage: Amount::try_from(breakage)?,
        revenue: revenue
            .transpose()
            .map_err(|source| LiabilityError::Revenue {
                funder: id(),
                source,
            })?,
    })
}

/// `floor(value x part / whole)`, without a product that overflows: the quotient's remainder is taken apart first.
const fn share(value: i128, part: i128, whole: i128) -> i128 {
    value / whole * part + value % whole * part / whole
}

fn totals(funders: &[FunderLiability]) -> Result<LiabilityTotals, AmountError> {
    let points = |of: fn(&FunderLiability) -> i64| {
        let sum: i128 = funders.iter().map(|funder| i128::from(of(funder))).sum();
        i64::try_from(sum).map_err(|_| AmountError::Range(sum))
    };
    let sum = |of: fn(&FunderLiability) -> Amount| Amount::sum(funders.iter().map(of));
    let revenue = |of: fn(&Revenue) -> Amount| {
        let some = funders.iter().filter_map(|funder| funder.revenue.as_ref());
        Amount::sum(some.map(of))
    };
    Ok(LiabilityTotals {
        points: points(|funder| funder.points)?,
        value: sum(|funder| funder.value)?,
        in_reserve: sum(|funder| funder.in_reserve)?,
        breakage_points: points(|funder| funder.breakage_points)?,
        breakage: sum(|funder| funder.breakage)?,
        revenue_of_period: revenue(|revenue| revenue.of_period)?,
        deferred: revenue(|revenue| revenue.deferred)?,
    })
}

fn name(funder: &Counterparty) -> String {
    match funder {
        Counterparty::Hub => "Hub".into(),
        Counterparty::Merchant { id, .. } => id.clone(),
    }
}
