//! Which account of the general ledger each account of Hansa is.

use crate::text::{TextError, required};
use std::collections::BTreeMap;

/// An account of the general ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlAccount {
    /// Its number, as the books write it.
    pub number: String,
    /// Its name.
    pub name: String,
}

/// The mapping. Without changes it is:
///
/// | Hansa | general ledger | name |
/// |---|---|---|
/// | 1100 | 1100 | Clearing with merchants (a debit balance is what they owe) |
/// | 1200 | 1200 | Bank |
/// | 2100 | 2100 | Points reserve |
/// | 2200 | 2200 | Commission reserve |
/// | 4100 | 4100 | Service fees |
/// | 4200 | 4200 | Redemption fees |
/// | 4300 | 4300 | Breakage |
/// | 4900 | 4900 | Adjustments that the hub bears |
///
/// [`with`](Self::with) gives an account of Hansa another number, or adds one; [`with_merchant`](Self::with_merchant) gives
/// one merchant a clearing account of its own, as a sub-ledger of debtors has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountMap {
    accounts: BTreeMap<String, GlAccount>,
    merchants: BTreeMap<String, GlAccount>,
}

/// Clearing with merchants in Hansa's ledger.
pub(super) const CLEARING: &str = "1100";

impl Default for AccountMap {
    fn default() -> Self {
        let account = |(number, name): &(&str, &str)| {
            let account = GlAccount {
                number: (*number).to_owned(),
                name: (*name).to_owned(),
            };
            ((*number).to_owned(), account)
        };
        let accounts = [
            (CLEARING, "Clearing with merchants"),
            ("1200", "Bank"),
            ("2100", "Points reserve"),
            ("2200", "Commission reserve"),
            ("4100", "Service fees"),
            ("4200", "Redemption fees"),
            ("4300", "Breakage"),
            ("4900", "Adjustments"),
        ];
        Self {
            accounts: accounts.iter().map(account).collect(),
            merchants: BTreeMap::new(),
        }
    }
}

impl AccountMap {
    /// Books an account of Hansa on this one.
    pub fn with(mut self, account: &str, number: &str, name: &str) -> Result<Self, TextError> {
        required("account", account)?;
        self.accounts.insert(account.to_owned(), gl(number, name)?);
        Ok(self)
    }

    /// Books one merchant's clearing on this account.
    pub fn with_merchant(
        mut self,
        merchant: &str,
        number: &str,
        name: &str,
    ) -> Result<Self, TextError> {
        required("merchant", merchant)?;
        self.merchants
            .insert(merchant.to_owned(), gl(number, name)?);
        Ok(self)
    }

    /// The account of the general ledger; `None` where the map has none.
    #[must_use]
    pub fn get(&self, account: &str, merchant: Option<&str>) -> Option<&GlAccount> {
        let own = match merchant {
            Some(merchant) if account == CLEARING => self.merchants.get(merchant),
            _ => None,
        };
        own.or_else(|| self.accounts.get(account))
    }
}

fn gl(number: &str, name: &str) -> Result<GlAccount, TextError> {
    required("account number", number)?;
    required("account name", name)?;
    Ok(GlAccount {
        number: number.to_owned(),
        name: name.to_owned(),
    })
}
