//! Why a bank file is refused: what is wrong, with which element, on which line. A refused file yields nothing.

use std::fmt;

use hansa_money::Currency;
use thiserror::Error;

use crate::amount::{AmountError, decimal};

/// A file that is not taken, and why. The text says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct FileError {
    /// What is wrong.
    pub problem: Box<Problem>,
    /// The element (`Stmt/Ntry/Amt`) or, in CSV, the column.
    pub element: Option<String>,
    /// The line of the file, from 1.
    pub line: Option<u32>,
}

/// What can be wrong with a bank file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Nothing but white space.
    #[error("the file is empty")]
    Empty,
    /// Larger than [`Limits::bytes`](crate::Limits::bytes).
    #[error("the file has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More elements, levels or attributes than [`Limits`](crate::Limits) allows.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Neither XML nor the documented CSV.
    #[error(
        "neither an ISO 20022 document (pain.002, camt.052, camt.053, camt.054) nor a statement in the documented CSV columns"
    )]
    Format,
    /// Bytes that are not in the declared encoding, or an encoding that is not read.
    #[error("{found}; save the file as UTF-8")]
    Encoding {
        /// What was found.
        found: String,
    },
    /// Not well-formed XML.
    #[error("not well-formed: {reason}; get the file from the bank again")]
    NotWellFormed {
        /// The parser's reason.
        reason: String,
    },
    /// The file ends before its last element is closed, or before its closing row.
    #[error("the file is cut off: {open} is not closed; get the whole file from the bank again")]
    Truncated {
        /// What was still open.
        open: String,
    },
    /// A document type declaration; no bank message has one, and it can make a reader fetch or expand things.
    #[error("a document type declaration (DOCTYPE) is not accepted")]
    Doctype,
    /// A reference to an entity that XML itself does not define.
    #[error("the entity &{name}; is not accepted")]
    Entity {
        /// Its name.
        name: String,
    },
    /// An element of another namespace than the document's, outside of `SplmtryData`.
    #[error("an element of a foreign namespace, {namespace}")]
    ForeignElement {
        /// The namespace.
        namespace: String,
    },
    /// The root is not `Document`.
    #[error("the root is {found}, not Document")]
    WrongRoot {
        /// Its name.
        found: String,
    },
    /// Another ISO 20022 message.
    #[error("this is {found}; pain.002, camt.052, camt.053 and camt.054 are read")]
    WrongMessage {
        /// The message or its namespace.
        found: String,
    },
    /// The namespace names another message than the body is.
    #[error("the namespace says {namespace}, the body is {body}")]
    Contradiction {
        /// The message that the namespace names.
        namespace: String,
        /// The body's element.
        body: String,
    },
    /// A pain.002 on something else than a credit transfer initiation.
    #[error("a status report on {found}; only reports on pain.001 are taken")]
    WrongOriginal {
        /// `OrgnlMsgNmId`.
        found: String,
    },
    /// An element or column that must be there.
    #[error("missing")]
    Missing,
    /// An element that may be there once is there again.
    #[error("there more than once")]
    Repeated,
    /// A value that is not of its type.
    #[error("{found:?} is not {expected}")]
    Value {
        /// The beginning of the value.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// An amount that cannot be taken exactly.
    #[error("{found:?}: {reason}")]
    Amount {
        /// The beginning of the value.
        found: String,
        /// Why.
        reason: AmountError,
    },
    /// An amount in another currency than the account's.
    #[error("the currency is {found}, the account's is {expected}")]
    Currency {
        /// What the file says.
        found: Currency,
        /// What it must be.
        expected: Currency,
    },
    /// Opening balance + booked entries is not the closing balance.
    #[error(
        "opening {} + entries {} = {}, but closing is {}: a difference of {}",
        decimal(*opening_minor, *currency), decimal(*entries_minor, *currency),
        decimal(opening_minor + entries_minor, *currency), decimal(*closing_minor, *currency),
        decimal(closing_minor - opening_minor - entries_minor, *currency)
    )]
    Balance {
        /// Opening balance.
        opening_minor: i128,
        /// Sum of the booked entries.
        entries_minor: i128,
        /// Closing balance.
        closing_minor: i128,
        /// Their currency.
        currency: Currency,
    },
    /// Two balances of the same meaning differ.
    #[error("opening balances {} and {} contradict each other", decimal(*first_minor, *currency), decimal(*second_minor, *currency))]
    OpeningBalances {
        /// The one of type OPBD.
        first_minor: i128,
        /// The one of type PRCD.
        second_minor: i128,
        /// Their currency.
        currency: Currency,
    },
    /// The file says how many entries it has, and has another number.
    #[error("{declared} declared, {found} found")]
    Count {
        /// The number that the file states.
        declared: u64,
        /// The number that is there.
        found: u64,
    },
    /// The file states the sum of its entries, and they have another one.
    #[error("a sum of {} declared, {} found", decimal(*declared_minor, *currency), decimal(*found_minor, *currency))]
    Sum {
        /// The sum that the file states.
        declared_minor: i128,
        /// The sum that is there.
        found_minor: i128,
        /// Their currency.
        currency: Currency,
    },
    /// The parts of a batch do not add up to its entry, and no charges explain it.
    #[error("the parts sum to {}, the entry is {}", decimal(*parts_minor, *currency), decimal(*entry_minor, *currency))]
    Parts {
        /// Sum of the parts, signed.
        parts_minor: i128,
        /// The entry, signed.
        entry_minor: i128,
        /// Their currency.
        currency: Currency,
    },
    /// A pain.002 without any status.
    #[error("the report has no status at any level")]
    NoStatus,
    /// The report is of another account.
    #[error("the report is of account {found}, not of {expected}")]
    ForeignAccount {
        /// The report's account.
        found: String,
        /// Ours.
        expected: String,
    },
    /// CSV that cannot be split into its columns.
    #[error("{reason}")]
    Csv {
        /// The reason.
        reason: String,
    },
}

impl Problem {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "EMPTY",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::TooMany { .. } => "TOO_MANY",
            Self::Format => "FORMAT",
            Self::Encoding { .. } => "ENCODING",
            Self::NotWellFormed { .. } => "NOT_WELL_FORMED",
            Self::Truncated { .. } => "TRUNCATED",
            Self::Doctype => "DOCTYPE",
            Self::Entity { .. } => "ENTITY",
            Self::ForeignElement { .. } => "FOREIGN_ELEMENT",
            Self::WrongRoot { .. } => "WRONG_ROOT",
            Self::WrongMessage { .. } => "WRONG_MESSAGE",
            Self::Contradiction { .. } => "CONTRADICTION",
            Self::WrongOriginal { .. } => "WRONG_ORIGINAL",
            Self::Missing => "MISSING",
            Self::Repeated => "REPEATED",
            Self::Value { .. } => "VALUE",
            Self::Amount { .. } => "AMOUNT",
            Self::Currency { .. } => "CURRENCY",
            Self::Balance { .. } => "BALANCE",
            Self::OpeningBalances { .. } => "OPENING_BALANCES",
            Self::Count { .. } => "COUNT",
            Self::Sum { .. } => "SUM",
            Self::Parts { .. } => "PARTS",
            Self::NoStatus => "NO_STATUS",
            Self::ForeignAccount { .. } => "FOREIGN_ACCOUNT",
            Self::Csv { .. } => "CSV",
        }
    }

    pub(crate) fn whole_file(self) -> FileError {
        FileError {
            problem: Box::new(self),
            element: None,
            line: None,
        }
    }

    pub(crate) fn on_line(self, line: u32) -> FileError {
        FileError {
            problem: Box::new(self),
            element: None,
            line: Some(line),
        }
    }

    pub(crate) fn at(self, element: impl Into<String>, line: u32) -> FileError {
        FileError {
            problem: Box::new(self),
            element: Some(element.into()),
            line: Some(line),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.element) {
            (Some(line), Some(element)) => write!(f, "line {line}, {element}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, Some(element)) => write!(f, "{element}: ")?,
            (None, None) => {}
        }
        self.problem.fmt(f)
    }
}

/// The beginning of a value, for a message: never more than 40 characters, nothing that moves the cursor.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(40)
        .collect();
    if text.chars().nth(40).is_some() {
        short.push_str("...");
    }
    short
}
