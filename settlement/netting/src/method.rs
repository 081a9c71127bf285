//! Methods by name.

use std::{fmt, str::FromStr};

/// How obligations become payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Every pair's obligations are paid in full: the baseline.
    Gross,
    /// Of two members that owe each other, one pays the difference.
    Bilateral,
    /// The hub becomes everyone's counterparty: net debtors pay it, it pays net creditors. Every relation is replaced.
    Multilateral,
    /// Conservative compression: the most that can be cleared in cycles. No relation is new or larger, no money moves for it.
    CycleClearing,
    /// The fewest payments that bring every member to its net position. Relations are new.
    MinTransfers,
    /// What each member pays when some cannot pay all (Eisenberg and Noe 2001).
    ClearingVector,
}

impl Method {
    /// All methods, in the order in which they are compared.
    pub const ALL: [Self; 6] = [
        Self::Gross,
        Self::Bilateral,
        Self::CycleClearing,
        Self::Multilateral,
        Self::MinTransfers,
        Self::ClearingVector,
    ];

    /// The stable name, for contracts and stores.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Gross => "GROSS",
            Self::Bilateral => "BILATERAL",
            Self::Multilateral => "MULTILATERAL",
            Self::CycleClearing => "CYCLE_CLEARING",
            Self::MinTransfers => "MIN_TRANSFERS",
            Self::ClearingVector => "CLEARING_VECTOR",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Text that names no method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no method is called {0:?}: GROSS, BILATERAL, CYCLE_CLEARING, MULTILATERAL, MIN_TRANSFERS, CLEARING_VECTOR"
)]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(code: &str) -> Result<Self, UnknownMethod> {
        let mut all = Self::ALL.into_iter();
        all.find(|method| method.code() == code)
            .ok_or_else(|| UnknownMethod(code.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        let refused = "gross".parse::<Method>().unwrap_err();
        for method in Method::ALL {
            assert!(refused.to_string().contains(method.code()));
        }
    }
}
