//! `camt.052`, `camt.053` and `camt.054`: reports, statements and notifications, versions .01 and up.
//!
//! Versions differ in a few places only (status and parties got a level more, .01 has details directly in the entry); each place
//! says so. What a statement claims about itself is checked: balances, numbers and sums of entries, parts of a batch.

mod entry;

use std::collections::BTreeSet;

use hansa_money::Currency;

use super::{Balance, BankEntry, BankReport, EntryStatus, Page, ReportKind, Timestamp, time};
use crate::{
    Account,
    amount::minor_units,
    error::{FileError, Problem, excerpt},
    xml::Element,
};

/// All statements of a message.
pub(super) fn reports(
    body: Element<'_>,
    kind: ReportKind,
    message: Option<&str>,
) -> Result<Vec<BankReport>, FileError> {
    let name = match kind {
        ReportKind::Statement => "Stmt",
        ReportKind::Intraday => "Rpt",
        _ => "Ntfctn",
    };
    let header = body.need("GrpHdr")?;
    let message_id = header.need("MsgId")?.text()?;
    let created = timestamp(header.find("CreDtTm")?)?;
    let message_page = page(header, "MsgPgntn")?;
    body.need_any(name)?;
    let mut keys = BTreeSet::new();
    let mut reports = Vec::new();
    for statement in body.all(name) {
        let page = page(statement, &format!("{name}Pgntn"))?.or(message_page);
        let mut report = report(statement, kind, page)?;
        if !keys.insert(report.key()) {
            return Err(statement.error(Problem::Repeated));
        }
        report.message = message.map(str::to_owned);
        report.message_id = message_id.to_owned();
        report.created = report.created.or(created);
        reports.push(report);
    }
    Ok(reports)
}

fn report(
    statement: Element<'_>,
    kind: ReportKind,
    page: Option<Page>,
) -> Result<BankReport, FileError> {
    let own = statement.need("Acct")?;
    let account = account(own)?.ok_or_else(|| own.error(Problem::Missing))?;
    let currency = statement_currency(statement, own)?;
    let balances = match currency {
        Some(currency) => Balances::read(statement, currency, kind)?,
        None => Balances::default(),
    };
    let entries = statement
        .all("Ntry")
        .map(|entry| entry::entry(entry, currency, &account))
        .collect::<Result<Vec<_>, _>>()?;
    if kind == ReportKind::Statement {
        balances.check(statement, &entries)?;
    } else {
        check_repeated(statement, &entries)?;
    }
    // A page's totals may be those of all pages.
    if page.is_none_or(|page| page.number == 1 && page.last) {
        check_totals(statement, &entries)?;
    }
    Ok(BankReport {
        kind,
        message: None,
        message_id: String::new(),
        created: timestamp(statement.find("CreDtTm")?)?,
        duplicate: is_duplicate(statement)?,
        account: Some(account),
        statement_id: Some(statement.need("Id")?.text()?.to_owned()),
        sequence: number(statement, "ElctrncSeqNb")?,
        legal_sequence: number(statement, "LglSeqNb")?,
        page,
        currency,
        opening: balances.opening.map(|found| found.balance),
        closing: balances.closing.map(|found| found.balance),
        entries,
        statuses: Vec::new(),
    })
}

/// The currency of the account: as stated, else that of the first balance or entry. All amounts are held against it.
fn statement_currency(
    statement: Element<'_>,
    own: Element<'_>,
) -> Result<Option<Currency>, FileError> {
    if let Some(stated) = own.find("Ccy")? {
        return currency_code(stated, stated.text()?).map(Some);
    }
    let mut amounts = statement.all("Bal").chain(statement.all("Ntry"));
    match amounts.next() {
        Some(first) => {
            let amount = first.need("Amt")?;
            currency_code(amount, amount.attribute("Ccy").unwrap_or_default()).map(Some)
        }
        None => Ok(None),
    }
}

fn currency_code(element: Element<'_>, code: &str) -> Result<Currency, FileError> {
    Currency::new(code)
        .map_err(|_| element.value_error(code, "a currency (ISO 4217, three capital letters)"))
}

/// An amount with its `Ccy`, in minor units.
pub(super) fn money(element: Element<'_>) -> Result<(i64, Currency), FileError> {
    let currency = currency_code(element, element.attribute("Ccy").unwrap_or_default())?;
    Ok((plain_amount(element, currency)?, currency))
}

fn plain_amount(element: Element<'_>, currency: Currency) -> Result<i64, FileError> {
    let text = element.text()?;
    minor_units(text, currency).map_err(|reason| {
        element.error(Problem::Amount {
            found: excerpt(text),
            reason,
        })
    })
}

/// An amount of the account's currency, signed by `CdtDbtInd` of the element around it.
fn signed(around: Element<'_>, currency: Currency) -> Result<i64, FileError> {
    let amount = around.need("Amt")?;
    let (minor, found) = money(amount)?;
    if found != currency {
        return Err(amount.error(Problem::Currency {
            found,
            expected: currency,
        }));
    }
    Ok(if is_credit(around.need("CdtDbtInd")?)? {
        minor
    } else {
        -minor
    })
}

fn is_credit(indicator: Element<'_>) -> Result<bool, FileError> {
    match indicator.text()? {
        "CRDT" => Ok(true),
        "DBIT" => Ok(false),
        other => Err(indicator.value_error(other, "CRDT or DBIT")),
    }
}

fn flag(element: Option<Element<'_>>) -> Result<bool, FileError> {
    match element {
        None => Ok(false),
        Some(element) => match element.text()? {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(element.value_error(other, "true or false")),
        },
    }
}

pub(super) fn number(around: Element<'_>, name: &str) -> Result<Option<u64>, FileError> {
    let Some(element) = around.find(name)? else {
        return Ok(None);
    };
    let text = element.text()?;
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_number => Ok(Some(number)),
        _ => Err(element.value_error(text, "a whole number")),
    }
}

pub(super) fn timestamp(element: Option<Element<'_>>) -> Result<Option<Timestamp>, FileError> {
    element
        .map(|element| {
            let text = element.text()?;
            Timestamp::parse(text)
                .ok_or_else(|| element.value_error(text, "a date with time (2026-03-31T18:00:00)"))
        })
        .transpose()
}

/// `Dt` or `DtTm` inside of a choice; of the latter the day as it stands.
fn day(choice: Element<'_>) -> Result<chrono::NaiveDate, FileError> {
    if let Some(element) = choice.find("Dt")? {
        let text = element.text()?;
        return time::date(text).ok_or_else(|| element.value_error(text, "a date (2026-03-31)"));
    }
    match timestamp(choice.find("DtTm")?)? {
        Some(at) => Ok(at.local.date()),
        None => Err(choice.error(Problem::Missing)),
    }
}

fn page(around: Element<'_>, name: &str) -> Result<Option<Page>, FileError> {
    let Some(element) = around.find(name)? else {
        return Ok(None);
    };
    let page_number = number(element, "PgNb")?.and_then(|n| u32::try_from(n).ok());
    Ok(Some(Page {
        number: page_number.ok_or_else(|| element.error(Problem::Missing))?,
        last: flag(Some(element.need("LastPgInd")?))?,
    }))
}

/// The account of an `Acct`, `DbtrAcct` or `CdtrAcct`. Version .01 has its other numbers directly in `Id`.
pub(super) fn account(element: Element<'_>) -> Result<Option<Account>, FileError> {
    let Some(id) = element.find("Id")? else {
        return Ok(None);
    };
    if let Some(iban) = id.text_at(&["IBAN"])? {
        return Ok(Some(Account::iban(iban)));
    }
    for scheme in ["BBAN", "UPIC"] {
        if let Some(other) = id.text_at(&[scheme])? {
            return Ok(Some(Account::other(other, Some(scheme))));
        }
    }
    let Some(other) = id
        .find("Othr")?
        .map_or_else(|| id.find("PrtryAcct"), |o| Ok(Some(o)))?
    else {
        return Ok(None);
    };
    let scheme = other.text_at(&["SchmeNm", "Cd"])?;
    Ok(Some(Account::other(other.need("Id")?.text()?, scheme)))
}

/// A balance and where it stands.
#[derive(Clone, Copy)]
struct Found<'t> {
    balance: Balance,
    element: Element<'t>,
}

#[derive(Default)]
struct Balances<'t> {
    opening: Option<Found<'t>>,
    closing: Option<Found<'t>>,
    /// The closing balance of the statement before, where it is given beside the opening one.
    previous: Option<Found<'t>>,
    currency: Option<Currency>,
}

impl<'t> Balances<'t> {
    /// Opening is OPBD, else PRCD (the booked balance that the statement before closed with), closing is CLBD. A page in the
    /// middle begins or ends with interim balances, ITBD, in that order; an intraday report ends with one.
    fn read(
        statement: Element<'t>,
        currency: Currency,
        kind: ReportKind,
    ) -> Result<Self, FileError> {
        let mut of_type: [Option<Found<'t>>; 3] = [None; 3];
        let mut interim = Vec::new();
        for element in statement.all("Bal") {
            let code = match element.text_at(&["Tp", "CdOrPrtry", "Cd"])? {
                Some(code) => Some(code),
                // Version .01.
                None => element.text_at(&["Tp", "Cd"])?,
            };
            let found = Found {
                balance: Balance {
                    amount_minor: signed(element, currency)?,
                    date: day(element.need("Dt")?)?,
                },
                element,
            };
            let place = match code {
                Some("OPBD") => &mut of_type[0],
                Some("PRCD") => &mut of_type[1],
                Some("CLBD") => &mut of_type[2],
                Some("ITBD") => {
                    interim.push(found);
                    continue;
                }
                // Available, forward and other balances say nothing about what was booked.
                _ => continue,
            };
            if place.replace(found).is_some() {
                return Err(element.error(Problem::Repeated));
            }
        }
        let [opening, previous, closing] = of_type;
        let mut interim = interim.into_iter();
        let mut opening = opening.or(previous);
        if opening.is_none() && kind == ReportKind::Statement {
            opening = interim.next();
        }
        Ok(Self {
            opening,
            closing: closing.or_else(|| interim.next_back()),
            previous,
            currency: Some(currency),
        })
    }

    fn check(&self, statement: Element<'_>, entries: &[BankEntry]) -> Result<(), FileError> {
        let missing = |name: &str| {
            Problem::Missing.at(format!("{}/Bal {name}", statement.path()), statement.line())
        };
        let opening = self.opening.ok_or_else(|| missing("OPBD"))?;
        let closing = self.closing.ok_or_else(|| missing("CLBD"))?;
        let Some(currency) = self.currency else {
            return Err(missing("OPBD"));
        };
        let minor = |found: Found<'_>| i128::from(found.balance.amount_minor);
        if let Some(previous) = self.previous.filter(|p| minor(*p) != minor(opening)) {
            return Err(previous.element.error(Problem::OpeningBalances {
                first_minor: minor(opening),
                second_minor: minor(previous),
                currency,
            }));
        }
        let booked = sum(entries, |e| e.status == EntryStatus::Booked);
        if minor(opening) + booked == minor(closing) {
            Ok(())
        } else {
            Err(closing.element.error(Problem::Balance {
                opening_minor: minor(opening),
                entries_minor: booked,
                closing_minor: minor(closing),
                currency,
            }))
        }
    }
}

/// `COPY` is a statement for somebody else, too; `DUPL` and `CODU` were sent before.
fn is_duplicate(statement: Element<'_>) -> Result<bool, FileError> {
    let Some(indicator) = statement.find("CpyDplctInd")? else {
        return Ok(false);
    };
    match indicator.text()? {
        "COPY" => Ok(false),
        "DUPL" | "CODU" => Ok(true),
        other => Err(indicator.value_error(other, "COPY, DUPL or CODU")),
    }
}

/// Without balances nothing else shows an entry that is there twice, with the bank's one reference.
fn check_repeated(statement: Element<'_>, entries: &[BankEntry]) -> Result<(), FileError> {
    let mut seen = BTreeSet::new();
    for (entry, element) in entries.iter().zip(statement.all("Ntry")) {
        let mut same = entry.clone();
        same.line = 0;
        for part in &mut same.parts {
            part.line = 0;
        }
        if entry.reference.is_some() && !seen.insert(same) {
            return Err(element.error(Problem::Repeated));
        }
    }
    Ok(())
}

fn sum(entries: &[BankEntry], of: impl Fn(&BankEntry) -> bool) -> i128 {
    entries
        .iter()
        .filter(|entry| of(entry))
        .map(|entry| i128::from(entry.amount_minor))
        .sum()
}

/// What `TxsSummry` says about all entries, about those in and about those out. Banks count either all entries or the booked
/// ones.
fn check_totals(statement: Element<'_>, entries: &[BankEntry]) -> Result<(), FileError> {
    let Some(summary) = statement.find("TxsSummry")? else {
        return Ok(());
    };
    for name in ["TtlNtries", "TtlCdtNtries", "TtlDbtNtries"] {
        let Some(total) = summary.find(name)? else {
            continue;
        };
        let counted = |booked: bool| {
            let of = |e: &&BankEntry| {
                let direction = match name {
                    "TtlCdtNtries" => e.amount_minor >= 0,
                    "TtlDbtNtries" => e.amount_minor < 0,
                    _ => true,
                };
                direction && (!booked || e.status == EntryStatus::Booked)
            };
            let found = entries.iter().filter(of);
            found.fold((0_u64, 0_i128), |(n, sum), e| {
                (n + 1, sum + i128::from(e.amount_minor).abs())
            })
        };
        let (all, booked) = (counted(false), counted(true));
        if let Some(declared) = number(total, "NbOfNtries")?
            && declared != all.0
            && declared != booked.0
        {
            return Err(total.error(Problem::Count {
                declared,
                found: all.0,
            }));
        }
        if let Some(element) = total.find("Sum")?
            && let Some(first) = entries.first()
        {
            let declared = i128::from(plain_amount(element, first.currency)?);
            if declared != all.1 && declared != booked.1 {
                return Err(element.error(Problem::Sum {
                    declared_minor: declared,
                    found_minor: all.1,
                    currency: first.currency,
                }));
            }
        }
    }
    Ok(())
}
