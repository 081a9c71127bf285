//! The JSON form of a journal, added up again.

use super::SCHEMA;
use crate::amount::Amount;
use crate::figures::FiguresError;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Read {
    schema: String,
    lines: Vec<Line>,
    balances: Vec<Balance>,
    control: Control,
}

#[derive(Deserialize)]
struct Line {
    document: String,
    account: String,
    debit: Option<Amount>,
    credit: Option<Amount>,
}

#[derive(Deserialize)]
struct Balance {
    account: String,
    debits: Amount,
    credits: Amount,
    balance: Amount,
}

#[derive(Deserialize)]
struct Control {
    documents: usize,
    lines: usize,
    debits: Amount,
    credits: Amount,
}

/// What a journal adds up to.
pub(crate) struct LedgerFigures {
    pub(crate) documents: usize,
    pub(crate) lines: usize,
    pub(crate) debits: Amount,
}

/// Debits and credits.
type Sides = (i128, i128);

/// Each document balances; balances and control totals are those of the lines.
pub(crate) fn check_json(json: &[u8]) -> Result<LedgerFigures, FiguresError> {
    let read: Read = serde_json::from_slice(json)?;
    if read.schema != SCHEMA {
        return Err(FiguresError::Schema(read.schema));
    }
    let mut documents: BTreeMap<&str, Sides> = BTreeMap::new();
    let mut accounts: BTreeMap<&str, Sides> = BTreeMap::new();
    let mut all = Sides::default();
    for line in &read.lines {
        let micros = |amount: Option<Amount>| i128::from(amount.unwrap_or_default().micros());
        let (debit, credit) = (micros(line.debit), micros(line.credit));
        let document = documents.entry(&line.document).or_default();
        let account = accounts.entry(&line.account).or_default();
        for sides in [document, account, &mut all] {
            sides.0 += debit;
            sides.1 += credit;
        }
    }
    if let Some((document, (debits, credits))) = documents.iter().find(|(_, (d, c))| d != c) {
        return Err(differs(
            &format!("document \"{document}\""),
            *debits,
            *credits,
        )?);
    }
    let said = read.balances.iter().map(|balance| {
        let micros = |amount: Amount| i128::from(amount.micros());
        let sides = (micros(balance.debits), micros(balance.credits));
        (balance.account.as_str(), sides, micros(balance.balance))
    });
    for (account, sides, balance) in said {
        let found = accounts.remove(account).unwrap_or_default();
        if found != sides || sides.0 - sides.1 != balance {
            let text = format!("account {account}");
            return Err(differs(&text, found.0 - found.1, balance)?);
        }
    }
    if let Some(account) = accounts.keys().next() {
        return Err(FiguresError::Ledger(format!(
            "account {account} has no balance"
        )));
    }
    let control = &read.control;
    let micros = |amount: Amount| i128::from(amount.micros());
    let stated = (micros(control.debits), micros(control.credits));
    let counts = (control.documents, control.lines);
    if stated != all || counts != (documents.len(), read.lines.len()) {
        return Err(differs("the control total", all.0, stated.0)?);
    }
    Ok(LedgerFigures {
        documents: documents.len(),
        lines: read.lines.len(),
        debits: control.debits,
    })
}

fn differs(what: &str, found: i128, said: i128) -> Result<FiguresError, FiguresError> {
    let amount = |micros: i128| {
        Amount::try_from(micros).map_err(|error| FiguresError::Ledger(error.to_string()))
    };
    let (found, said) = (amount(found)?, amount(said)?);
    Ok(FiguresError::Ledger(format!(
        "{what} does not add up: {found} against {said}"
    )))
}
