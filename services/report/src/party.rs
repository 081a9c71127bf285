//! Who a document is from, about and with.

use crate::text::{TextError, optional, required};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Who issues the document: the alliance and its hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The alliance.
    pub alliance: String,
    /// The programme whose points are settled.
    pub programme: String,
    /// The operator's legal name and address, one line each; may be empty.
    pub address: Vec<String>,
    /// Origin of the hub's log, e.g. `hansa.example/log`: what checkpoints and proofs name.
    pub origin: String,
}

impl Issuer {
    pub(crate) fn check(&self) -> Result<(), TextError> {
        required("alliance", &self.alliance)?;
        required("programme", &self.programme)?;
        required("origin", &self.origin)?;
        lines("address of the issuer", &self.address)
    }
}

/// How services to a merchant are taxed. Data for its books: no tax is computed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// Category, e.g. `S` (standard), `Z` (zero), `E` (exempt), `AE` (reverse charge) of UN/EDIFACT 5305.
    pub category: String,
    /// Rate in per cent, exact: `19`, `9.975`; `None` where the category has none.
    pub rate_percent: Option<Decimal>,
}

impl Tax {
    pub(crate) fn check(&self) -> Result<(), TextError> {
        required("tax category", &self.category)
    }

    /// The rate as text, empty where there is none.
    pub(crate) fn rate(&self) -> String {
        self.rate_percent
            .map(|rate| rate.normalize().to_string())
            .unwrap_or_default()
    }

    /// `S, 19 %`.
    pub(crate) fn label(&self) -> String {
        match self.rate_percent {
            Some(_) => format!("{}, {} %", self.category, self.rate()),
            None => self.category.clone(),
        }
    }
}

/// An account at a bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankAccount {
    /// Whose account.
    pub holder: String,
    /// IBAN or another account number.
    pub number: String,
    /// BIC of the bank, where it is needed.
    pub bic: Option<String>,
}

impl BankAccount {
    pub(crate) fn check(&self) -> Result<(), TextError> {
        required("holder of the account", &self.holder)?;
        required("account number", &self.number)?;
        optional("BIC", self.bic.as_deref().unwrap_or_default())
    }

    /// The number in groups of four, as IBANs are printed.
    pub(crate) fn grouped(&self) -> String {
        let compact: Vec<char> = self.number.chars().filter(|c| !c.is_whitespace()).collect();
        let groups: Vec<String> = compact.chunks(4).map(|g| g.iter().collect()).collect();
        groups.join(" ")
    }
}

/// The merchant that a statement is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantParty {
    /// The merchant's id in the alliance.
    pub id: String,
    /// Legal name.
    pub name: String,
    /// Postal address, one line each; may be empty.
    pub address: Vec<String>,
    /// Number for VAT or another tax.
    pub tax_id: Option<String>,
    /// Tax category of its contract.
    pub tax: Option<Tax>,
    /// Account for settlement.
    pub settlement_account: Option<BankAccount>,
}

impl MerchantParty {
    pub(crate) fn check(&self) -> Result<(), TextError> {
        required("merchant id", &self.id)?;
        required("merchant name", &self.name)?;
        lines("address of the merchant", &self.address)?;
        optional("tax number", self.tax_id.as_deref().unwrap_or_default())?;
        self.tax.as_ref().map_or(Ok(()), Tax::check)?;
        self.settlement_account
            .as_ref()
            .map_or(Ok(()), BankAccount::check)
    }
}

/// Whom an amount is with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Counterparty {
    /// The hub: reserve, fees, breakage, and all of a prepaid programme.
    Hub,
    /// A merchant; oneself where own points are spent at one's own till.
    Merchant {
        /// The merchant's id.
        id: String,
        /// Its name.
        name: String,
    },
}

impl Counterparty {
    /// The id; empty for the hub.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Hub => "",
            Self::Merchant { id, .. } => id,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Hub => "Hub",
            Self::Merchant { name, .. } => name,
        }
    }

    pub(crate) fn check(&self) -> Result<(), TextError> {
        match self {
            Self::Hub => Ok(()),
            Self::Merchant { id, name } => {
                required("counterparty id", id)?;
                required("counterparty name", name)
            }
        }
    }
}

fn lines(field: &'static str, lines: &[String]) -> Result<(), TextError> {
    lines.iter().try_for_each(|line| optional(field, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_printed_in_groups_of_four() {
        let account = BankAccount {
            holder: "Bakery".into(),
            number: "DE89370400440532013000".into(),
            bic: None,
        };
        assert_eq!(account.grouped(), "DE89 3704 0044 0532 0130 00");
    }

    #[test]
    fn a_tax_rate_keeps_its_decimals_and_no_others() {
        let tax = |rate: &str| Tax {
            category: "S".into(),
            rate_percent: Some(rate.parse().unwrap()),
        };
        assert_eq!(tax("19.00").label(), "S, 19 %");
        assert_eq!(tax("9.975").label(), "S, 9.975 %");
    }
}
