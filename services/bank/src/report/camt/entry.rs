//! One entry of a camt message with its parts.

use hansa_money::Currency;

use super::{account, currency_code, day, flag, is_credit, money, number, signed};
use crate::{
    Account,
    error::{FileError, Problem},
    report::{
        BankEntry, Batch, Counterparty, EntryPart, EntryStatus, ReturnReason, given_id,
        is_return_code,
    },
    xml::Element,
};

/// Reads `Ntry`.
pub(super) fn entry(
    element: Element<'_>,
    currency: Option<Currency>,
    own: &Account,
) -> Result<BankEntry, FileError> {
    let amount = element.need("Amt")?;
    let currency = match currency {
        Some(currency) => currency,
        None => currency_code(amount, amount.attribute("Ccy").unwrap_or_default())?,
    };
    let reference = match element.text_at(&["AcctSvcrRef"])? {
        Some(reference) => Some(reference),
        None => element.text_at(&["NtryRef"])?,
    };
    let mut entry = BankEntry {
        line: element.line(),
        reference: reference.map(str::to_owned),
        amount_minor: signed(element, currency)?,
        currency,
        status: status(element.need("Sts")?)?,
        booking_date: element.find("BookgDt")?.map(day).transpose()?,
        value_date: element.find("ValDt")?.map(day).transpose()?,
        reversal: flag(element.find("RvslInd")?)?,
        transaction_code: transaction_code(element)?,
        information: element.text_at(&["AddtlNtryInf"])?.map(str::to_owned),
        batch: None,
        parts: Vec::new(),
        itemised: false,
    };
    let returned = entry.is_return();
    let reader = PartReader {
        entry: &entry,
        own,
        returned,
    };
    let mut parts = Vec::new();
    let mut batch = None;
    // Version .01 has batch and transaction details in the entry itself.
    for details in element.all("NtryDtls").chain([element]) {
        if let Some(found) = details.find("Btch")? {
            batch = Some(read_batch(found, batch)?);
        }
        for part in details.all("TxDtls") {
            parts.push(reader.part(part)?);
        }
    }
    entry.parts = parts;
    entry.batch = batch;
    if let [part] = entry.parts.as_mut_slice() {
        part.amount_minor = Some(entry.amount_minor);
    }
    check_parts(element, &mut entry)?;
    Ok(entry)
}

/// Up to .07 the code stands in `Sts`, from .08 on in `Sts/Cd`.
fn status(element: Element<'_>) -> Result<EntryStatus, FileError> {
    let element = element.find("Cd")?.unwrap_or(element);
    match element.text()? {
        "BOOK" => Ok(EntryStatus::Booked),
        "PDNG" => Ok(EntryStatus::Pending),
        "INFO" => Ok(EntryStatus::Information),
        "FUTR" => Ok(EntryStatus::Future),
        other => Err(element.value_error(other, "BOOK, PDNG, INFO or FUTR")),
    }
}

/// `PMNT/ICDT/ESCT`, or the bank's own code.
fn transaction_code(around: Element<'_>) -> Result<Option<String>, FileError> {
    let Some(code) = around.find("BkTxCd")? else {
        return Ok(None);
    };
    if let Some(domain) = code.find("Domn")? {
        let parts = [
            domain.text_at(&["Cd"])?,
            domain.text_at(&["Fmly", "Cd"])?,
            domain.text_at(&["Fmly", "SubFmlyCd"])?,
        ];
        return Ok(Some(
            parts.into_iter().flatten().collect::<Vec<_>>().join("/"),
        ));
    }
    Ok(code.text_at(&["Prtry", "Cd"])?.map(str::to_owned))
}

/// Several batches of one entry are one whose ids are not known.
fn read_batch(element: Element<'_>, before: Option<Batch>) -> Result<Batch, FileError> {
    let text = |name: &str| Ok::<_, FileError>(element.text_at(&[name])?.map(str::to_owned));
    let batch = Batch {
        message_id: text("MsgId")?,
        payment_information_id: text("PmtInfId")?,
        count: number(element, "NbOfTxs")?,
    };
    Ok(match before {
        None => batch,
        Some(before) => Batch {
            message_id: before
                .message_id
                .filter(|id| Some(id) == batch.message_id.as_ref()),
            payment_information_id: before
                .payment_information_id
                .filter(|id| Some(id) == batch.payment_information_id.as_ref()),
            count: before
                .count
                .zip(batch.count)
                .and_then(|(a, b)| a.checked_add(b)),
        },
    })
}

/// Decides whether the parts are the whole entry. Parts that should be and do not add up are refused, unless charges say why.
fn check_parts(element: Element<'_>, entry: &mut BankEntry) -> Result<(), FileError> {
    let parts: Option<Vec<i64>> = entry.parts.iter().map(|part| part.amount_minor).collect();
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return Ok(());
    };
    let declared = entry.batch.as_ref().and_then(|batch| batch.count);
    // Some banks describe a batch by one set of details.
    if declared.is_some_and(|count| usize::try_from(count) != Ok(parts.len())) {
        return Ok(());
    }
    let sum: i128 = parts.iter().map(|minor| i128::from(*minor)).sum();
    entry.itemised = sum == i128::from(entry.amount_minor);
    let has_charges = |e: Element<'_>| e.all("Chrgs").next().is_some();
    let mut details = element.all("NtryDtls").chain([element]);
    let charged = has_charges(element) || details.any(|d| d.all("TxDtls").any(has_charges));
    if entry.itemised || charged {
        Ok(())
    } else {
        Err(element.error(Problem::Parts {
            parts_minor: sum,
            entry_minor: i128::from(entry.amount_minor),
            currency: entry.currency,
        }))
    }
}

struct PartReader<'e> {
    entry: &'e BankEntry,
    own: &'e Account,
    returned: bool,
}

impl PartReader<'_> {
    /// Reads `TxDtls`.
    fn part(&self, element: Element<'_>) -> Result<EntryPart, FileError> {
        let reference = |name: &str| -> Result<Option<String>, FileError> {
            Ok(element.text_at(&["Refs", name])?.and_then(given_id))
        };
        let reason = return_reason(element)?;
        let code = transaction_code(element)?;
        let returned =
            self.returned || reason.is_some() || code.as_deref().is_some_and(is_return_code);
        let remittance = element.find("RmtInf")?;
        let mut part = EntryPart {
            line: element.line(),
            amount_minor: self.amount(element)?,
            reference: reference("AcctSvcrRef")?,
            message_id: reference("MsgId")?,
            payment_information_id: reference("PmtInfId")?,
            instruction_id: reference("InstrId")?,
            end_to_end_id: reference("EndToEndId")?,
            counterparty: self.counterparty(element, returned)?,
            remittance: Vec::new(),
            creditor_references: Vec::new(),
            return_reason: reason.or_else(|| returned.then(ReturnReason::default)),
        };
        if let Some(remittance) = remittance {
            for text in remittance.all("Ustrd") {
                part.remittance.push(text.text()?.to_owned());
            }
            for structured in remittance.all("Strd") {
                let found = structured.text_at(&["CdtrRefInf", "Ref"])?;
                part.creditor_references.extend(found.map(str::to_owned));
            }
        }
        Ok(part)
    }

    /// `Amt` (from .04 on), else `AmtDtls/TxAmt/Amt`; none where it is of another currency. The direction is the entry's unless
    /// the part has its own.
    fn amount(&self, element: Element<'_>) -> Result<Option<i64>, FileError> {
        let amount = match element.find("Amt")? {
            Some(amount) => Some(amount),
            None => element.walk(&["AmtDtls", "TxAmt", "Amt"])?,
        };
        let Some(amount) = amount else {
            return Ok(None);
        };
        let (minor, currency) = money(amount)?;
        let credit = match element.find("CdtDbtInd")? {
            Some(indicator) => is_credit(indicator)?,
            None => self.entry.amount_minor >= 0,
        };
        let signed = if credit { minor } else { -minor };
        Ok((currency == self.entry.currency).then_some(signed))
    }

    /// Money out goes to the creditor, money in comes from the debtor. What comes back has the roles of the original with most
    /// banks and swapped ones with others: there the side that is not us is taken.
    fn counterparty(
        &self,
        element: Element<'_>,
        returned: bool,
    ) -> Result<Counterparty, FileError> {
        let Some(parties) = element.find("RltdPties")? else {
            return Ok(Counterparty::default());
        };
        let agents = element.find("RltdAgts")?;
        let creditor = side(parties, agents, "Cdtr")?;
        let debtor = side(parties, agents, "Dbtr")?;
        let money_in = self.entry.amount_minor >= 0;
        let (first, second) = if money_in != returned {
            (debtor, creditor)
        } else {
            (creditor, debtor)
        };
        let is_us = first.account.as_ref().is_some_and(|a| a.is_same(self.own));
        let is_empty = first == Counterparty::default();
        Ok(if is_us || (returned && is_empty) {
            second
        } else {
            first
        })
    }
}

fn side(
    parties: Element<'_>,
    agents: Option<Element<'_>>,
    role: &str,
) -> Result<Counterparty, FileError> {
    let mut found = Counterparty::default();
    if let Some(party) = parties.find(role)? {
        // Up to .07 the name stands in the party, from .08 on a party or a bank stands between.
        for path in [&["Nm"][..], &["Pty", "Nm"], &["Agt", "FinInstnId", "Nm"]] {
            found.name = found.name.or(party.text_at(path)?.map(str::to_owned));
        }
    }
    if let Some(element) = parties.find(&format!("{role}Acct"))? {
        found.account = account(element)?;
    }
    if let Some(agent) = agents
        .map(|a| a.find(&format!("{role}Agt")))
        .transpose()?
        .flatten()
    {
        for name in ["BICFI", "BIC"] {
            let bic = agent.text_at(&["FinInstnId", name])?;
            found.agent = found.agent.or(bic.map(str::to_owned));
        }
    }
    Ok(found)
}

fn return_reason(element: Element<'_>) -> Result<Option<ReturnReason>, FileError> {
    let Some(information) = element.find("RtrInf")? else {
        return Ok(None);
    };
    let reason = information.find("Rsn")?;
    let code = match reason {
        Some(reason) => match reason.text_at(&["Cd"])? {
            Some(code) => Some(code),
            None => reason.text_at(&["Prtry"])?,
        },
        None => None,
    };
    let words = information
        .all("AddtlInf")
        .map(|e| e.text().map(str::to_owned));
    Ok(Some(ReturnReason {
        code: code.map(str::to_owned),
        information: words.collect::<Result<_, _>>()?,
    }))
}
