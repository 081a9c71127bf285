//! Accounts, banks and addresses as payment messages name them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An account. What a bank file says is kept as it says it; [`check`](Self::check) is for accounts that we pay from or to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// An IBAN (ISO 13616) in its electronic form: capital letters and digits, no spaces.
    Iban(String),
    /// Any other account number.
    Other {
        /// The number, at most 34 characters.
        id: String,
        /// Its scheme: a code of ISO 20022's external list (`BBAN`, `UPIC`, `CUID`).
        scheme: Option<String>,
    },
}

/// What is wrong with an account.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Country, length, structure or check digits.
    #[error("not an IBAN: {reason}")]
    Iban {
        /// What is wrong with it.
        reason: String,
    },
    /// Not 1 to 34 characters of the SWIFT set.
    #[error("an account number has 1 to 34 letters, digits and / - ? : ( ) . , ' +")]
    Other,
    /// Not a code.
    #[error("an account scheme is a code of 1 to 4 capital letters or digits, such as BBAN")]
    Scheme,
}

/// What is wrong with a bank identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a BIC: {reason}")]
pub struct BicError {
    /// What is wrong with it.
    pub reason: String,
}

const ELECTRONIC: &str = "write it in capital letters and digits, without spaces";

impl Account {
    /// An IBAN, with or without spaces, in capital or small letters, in its electronic form. Nothing is checked.
    #[must_use]
    pub fn iban(text: &str) -> Self {
        Self::Iban(
            text.chars()
                .filter(|c| !c.is_whitespace())
                .map(|c| c.to_ascii_uppercase())
                .collect(),
        )
    }

    /// Another account number. Nothing is checked.
    #[must_use]
    pub fn other(id: &str, scheme: Option<&str>) -> Self {
        Self::Other {
            id: id.trim().to_owned(),
            scheme: scheme.map(str::to_owned),
        }
    }

    /// IBAN: country, length and structure of its country (SWIFT IBAN registry), check digits (mod 97). Other numbers: characters
    /// and length.
    pub fn check(&self) -> Result<(), AccountError> {
        match self {
            Self::Iban(iban) => {
                let refused = |reason: String| AccountError::Iban { reason };
                let checked = sepa::validate_iban(iban).map_err(|e| refused(e.to_string()))?;
                if sepa::iban_country_length(checked.country_code()).is_none() {
                    Err(refused(format!("{} has no IBAN", checked.country_code())))
                } else if checked.as_str() == iban {
                    Ok(())
                } else {
                    Err(refused(ELECTRONIC.to_owned()))
                }
            }
            Self::Other { id, scheme } => {
                if id.is_empty()
                    || id.chars().count() > 34
                    || !sepa::is_sepa_text(id)
                    || id.trim() != id
                {
                    return Err(AccountError::Other);
                }
                match scheme {
                    Some(code) if !is_code(code) => Err(AccountError::Scheme),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The number alone.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::Iban(iban) => iban,
            Self::Other { id, .. } => id,
        }
    }

    /// Whether both name one account: the same number, however it is written (spaces, letters, the scheme's name); or one is the
    /// national part of the other's IBAN.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (mine, theirs) = (plain(self.number()), plain(other.number()));
        let national = |iban: &str, id: &str| iban.get(4..) == Some(id);
        match (self, other) {
            (Self::Iban(_), Self::Other { .. }) => mine == theirs || national(&mine, &theirs),
            (Self::Other { .. }, Self::Iban(_)) => mine == theirs || national(&theirs, &mine),
            (Self::Iban(_), Self::Iban(_)) | (Self::Other { .. }, Self::Other { .. }) => {
                mine == theirs
            }
        }
    }
}

impl Account {
    /// Equal for accounts that may be the same: the national number.
    pub(crate) fn key(&self) -> String {
        let number = plain(self.number());
        let is_iban = sepa::iban_country_length(number.get(..2).unwrap_or_default())
            .is_some_and(|length| length == number.len());
        match number.get(4..).filter(|_| is_iban) {
            Some(national) => national.to_owned(),
            None => number,
        }
    }
}

fn plain(number: &str) -> String {
    number
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

fn is_code(text: &str) -> bool {
    (1..=4).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// Checks a bank's BIC (ISO 9362): 8 or 11 capital letters and digits, with a country that exists.
pub fn check_bic(bic: &str) -> Result<(), BicError> {
    let refused = |reason: String| BicError { reason };
    let checked = sepa::validate_bic(bic).map_err(|e| refused(e.to_string()))?;
    if checked.as_str() == bic {
        Ok(())
    } else {
        Err(refused(ELECTRONIC.to_owned()))
    }
}

/// A structured postal address. Town and country are what payment schemes ask for at least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street, at most 70 characters.
    pub street: Option<String>,
    /// Number of the building, at most 16 characters.
    pub building_number: Option<String>,
    /// Postcode, at most 16 characters.
    pub postcode: Option<String>,
    /// Town, at most 35 characters.
    pub town: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country: String,
}
