//! Statuses of payments, as a `pain.002` has them at three levels.

use std::fmt;

use hansa_money::Currency;
use serde::{Deserialize, Serialize};

use crate::Account;

/// What a status is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatusLevel {
    /// The whole message.
    Group,
    /// One payment information block.
    Payment,
    /// One payment.
    Transaction,
}

/// A status and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStatus {
    /// Where it begins in the file.
    pub line: u32,
    /// What it is about.
    pub level: StatusLevel,
    /// The status.
    pub code: StatusCode,
    /// Why.
    pub reasons: Vec<StatusReason>,
    /// The id of our message.
    pub original_message_id: String,
    /// The id of our payment information block.
    pub original_payment_information_id: Option<String>,
    /// Our id of the instruction.
    pub instruction_id: Option<String>,
    /// The end-to-end id.
    pub end_to_end_id: Option<String>,
    /// The bank's reference.
    pub reference: Option<String>,
    /// The amount that the bank repeats, in minor units.
    pub amount: Option<(i64, Currency)>,
    /// The creditor's name that the bank repeats.
    pub creditor_name: Option<String>,
    /// The creditor's account that the bank repeats.
    pub creditor_account: Option<Account>,
    /// How many payments the bank read (group and payment level).
    pub original_count: Option<u64>,
    /// Their control sum, as decimal text.
    pub original_control_sum: Option<String>,
}

/// Why a payment has its status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReason {
    /// A code of ISO 20022's external list (`AC01`: account number), or the bank's own.
    pub code: Option<String>,
    /// The bank's words.
    pub information: Vec<String>,
}

/// A status of ISO 20022's external list of payment statuses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatusCode {
    /// Received.
    Rcvd,
    /// Pending: checks and approvals go on.
    Pdng,
    /// Accepted: authentication and syntax.
    Actc,
    /// Accepted: customer's profile.
    Accp,
    /// Accepted with a change.
    Acwc,
    /// Accepted without posting: the creditor was not credited yet.
    Acwp,
    /// Accepted: funds were checked.
    Acfc,
    /// Accepted: settlement in process.
    Acsp,
    /// Accepted: settlement completed on the debtor's account.
    Acsc,
    /// Accepted: settlement completed on the creditor's account.
    Accc,
    /// Partially accepted: the transactions have statuses of their own.
    Part,
    /// Partially accepted, technically: further authorisation is needed.
    Patc,
    /// Rejected.
    Rjct,
    /// Cancelled.
    Canc,
    /// Another code of the list. It says nothing that we act on.
    Other(String),
}

/// What a status means for an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The bank has it and has decided nothing.
    Pending,
    /// The bank will carry it out.
    Accepted,
    /// The bank says that it is done. Only a booked entry proves it.
    Settled,
    /// The bank will not carry it out.
    Rejected,
    /// Some of the payments below; each has a status of its own.
    Partial,
    /// A code that we do not know.
    Unknown,
}

impl StatusCode {
    /// From the code; any 1 to 4 letters or digits are a code.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "RCVD" => Self::Rcvd,
            "PDNG" => Self::Pdng,
            "ACTC" => Self::Actc,
            "ACCP" => Self::Accp,
            "ACWC" => Self::Acwc,
            "ACWP" => Self::Acwp,
            "ACFC" => Self::Acfc,
            "ACSP" => Self::Acsp,
            "ACSC" => Self::Acsc,
            "ACCC" => Self::Accc,
            "PART" => Self::Part,
            "PATC" => Self::Patc,
            "RJCT" => Self::Rjct,
            "CANC" => Self::Canc,
            other
                if (1..=4).contains(&other.len())
                    && other.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                Self::Other(other.to_owned())
            }
            _ => return None,
        })
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Rcvd => "RCVD",
            Self::Pdng => "PDNG",
            Self::Actc => "ACTC",
            Self::Accp => "ACCP",
            Self::Acwc => "ACWC",
            Self::Acwp => "ACWP",
            Self::Acfc => "ACFC",
            Self::Acsp => "ACSP",
            Self::Acsc => "ACSC",
            Self::Accc => "ACCC",
            Self::Part => "PART",
            Self::Patc => "PATC",
            Self::Rjct => "RJCT",
            Self::Canc => "CANC",
            Self::Other(code) => code,
        }
    }

    /// What it means for an instruction.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Rcvd | Self::Pdng | Self::Patc => Outcome::Pending,
            Self::Actc | Self::Accp | Self::Acwc | Self::Acwp | Self::Acfc | Self::Acsp => {
                Outcome::Accepted
            }
            Self::Acsc | Self::Accc => Outcome::Settled,
            Self::Part => Outcome::Partial,
            Self::Rjct | Self::Canc => Outcome::Rejected,
            Self::Other(_) => Outcome::Unknown,
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
