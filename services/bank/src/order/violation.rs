//! What is wrong with an order, all of it at once.

use std::fmt;

use hansa_money::Currency;
use thiserror::Error;

use crate::{
    account::{AccountError, BicError},
    error::excerpt,
};

/// One thing that is wrong with an order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {rule}")]
pub struct Violation {
    /// Where: `debtor.address.town`, `payments[3].creditor.name`. Payments count from 0.
    pub field: String,
    /// Which rule it breaks.
    pub rule: Rule,
}

/// Everything that is wrong with an order; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, violation) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

/// A rule that an order can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rule {
    /// Nothing but white space.
    #[error("missing")]
    Missing,
    /// Too long, after conversion.
    #[error("{found} characters, at most {max} are possible")]
    TooLong {
        /// Characters that it has.
        found: usize,
        /// Characters that are possible.
        max: usize,
    },
    /// A character that banks do not take and that is not converted.
    #[error("the character {0:?} cannot be sent to a bank")]
    Character(char),
    /// An identifier with a slash where the SEPA rules allow none.
    #[error("an identifier neither begins nor ends with / nor has // in it")]
    Slash,
    /// An identifier with spaces around it: banks cut them off, and it would not be found again.
    #[error("spaces around it")]
    Spaces,
    /// Used before in the same order.
    #[error("{:?} is that of payments[{first}], too", excerpt(.value))]
    Duplicate {
        /// The identifier.
        value: String,
        /// The payment that has it first.
        first: usize,
    },
    /// The order pays nobody.
    #[error("an order has at least one payment")]
    NoPayments,
    /// 0 or less, or more than the scheme or the format can carry.
    #[error("an amount is from 1 to {max} minor units")]
    Amount {
        /// The largest amount in minor units.
        max: i64,
    },
    /// The sum of all payments is more than the format can carry.
    #[error("the sum of the payments has more than 18 digits")]
    Sum,
    /// Payments in several currencies.
    #[error("{found}, but the first payment is in {expected}; make an order for each currency")]
    MixedCurrencies {
        /// This payment's currency.
        found: Currency,
        /// The first payment's currency.
        expected: Currency,
    },
    /// The account number.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The bank's identifier.
    #[error(transparent)]
    Bic(#[from] BicError),
    /// No BIC although the account is no IBAN.
    #[error("the BIC is needed because the account is no IBAN")]
    BicNeeded,
    /// Not a country.
    #[error("not a country code (ISO 3166-1 alpha-2, capital letters)")]
    Country,
    /// Not a creditor reference.
    #[error("not a creditor reference (ISO 11649, RF..., in capital letters without spaces)")]
    CreditorReference,
    /// An execution date that has passed when the order was made, or a date that cannot be written.
    #[error("before the order was made, or not a year from 1 to 9999")]
    Date,
    /// SEPA transfers are in euro.
    #[error("a SEPA credit transfer is in EUR")]
    SepaCurrency,
    /// SEPA transfers go between IBANs of SEPA countries.
    #[error("a SEPA credit transfer needs an IBAN of a SEPA country")]
    SepaAccount,
    /// SEPA transfers carry words or a reference.
    #[error("a SEPA credit transfer carries words or a creditor reference, not both")]
    SepaRemittance,
}

impl Rule {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MISSING",
            Self::TooLong { .. } => "TOO_LONG",
            Self::Character(_) => "CHARACTER",
            Self::Slash => "SLASH",
            Self::Spaces => "SPACES",
            Self::Duplicate { .. } => "DUPLICATE",
            Self::NoPayments => "NO_PAYMENTS",
            Self::Amount { .. } => "AMOUNT",
            Self::Sum => "SUM",
            Self::MixedCurrencies { .. } => "MIXED_CURRENCIES",
            Self::Account(_) => "ACCOUNT",
            Self::Bic(_) => "BIC",
            Self::BicNeeded => "BIC_NEEDED",
            Self::Country => "COUNTRY",
            Self::CreditorReference => "CREDITOR_REFERENCE",
            Self::Date => "DATE",
            Self::SepaCurrency => "SEPA_CURRENCY",
            Self::SepaAccount => "SEPA_ACCOUNT",
            Self::SepaRemittance => "SEPA_REMITTANCE",
        }
    }
}
