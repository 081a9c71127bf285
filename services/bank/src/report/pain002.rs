//! `pain.002`, the payment status report: statuses of a message, of its payment information blocks and of its payments.

use super::{
    BankReport, PaymentStatus, ReportKind, StatusCode, StatusLevel, StatusReason,
    camt::{account, money, number, timestamp},
    given_id,
};
use crate::{
    error::{FileError, Problem, excerpt},
    xml::Element,
};

/// Reads a whole report.
pub(super) fn status_report(
    body: Element<'_>,
    message: Option<&str>,
) -> Result<BankReport, FileError> {
    let header = body.need("GrpHdr")?;
    let group = body.need("OrgnlGrpInfAndSts")?;
    let name = group.need("OrgnlMsgNmId")?;
    if !name.text()?.to_ascii_lowercase().contains("pain.001") {
        return Err(name.error(Problem::WrongOriginal {
            found: excerpt(name.text()?),
        }));
    }
    let mut statuses = Vec::new();
    let whole = Scope {
        message_id: group.need("OrgnlMsgId")?.text()?,
        payment_information_id: None,
        code: code(group, "GrpSts")?,
    };
    if let Some(code) = &whole.code {
        statuses.push(whole.status(group, StatusLevel::Group, code)?);
    }
    for payment in body.all("OrgnlPmtInfAndSts") {
        let block = Scope {
            payment_information_id: Some(payment.need("OrgnlPmtInfId")?.text()?),
            code: code(payment, "PmtInfSts")?,
            ..whole
        };
        if let Some(code) = &block.code {
            statuses.push(block.status(payment, StatusLevel::Payment, code)?);
        }
        let above = block.code.as_ref().or(whole.code.as_ref());
        block.transactions(payment, above, &mut statuses)?;
    }
    // Version .02 has the transactions in the body.
    whole.transactions(body, whole.code.as_ref(), &mut statuses)?;
    if statuses.is_empty() {
        return Err(body.error(Problem::NoStatus));
    }
    Ok(BankReport {
        kind: ReportKind::PaymentStatus,
        message: message.map(str::to_owned),
        message_id: header.need("MsgId")?.text()?.to_owned(),
        created: timestamp(header.find("CreDtTm")?)?,
        duplicate: false,
        account: None,
        statement_id: None,
        sequence: None,
        legal_sequence: None,
        page: None,
        currency: None,
        opening: None,
        closing: None,
        entries: Vec::new(),
        statuses,
    })
}

fn code(around: Element<'_>, name: &str) -> Result<Option<StatusCode>, FileError> {
    let Some(element) = around.find(name)? else {
        return Ok(None);
    };
    let text = element.text()?;
    match StatusCode::parse(text) {
        Some(code) => Ok(Some(code)),
        None => Err(element.value_error(text, "a status code of 1 to 4 letters or digits")),
    }
}

/// What the statuses below are about.
struct Scope<'t> {
    message_id: &'t str,
    payment_information_id: Option<&'t str>,
    code: Option<StatusCode>,
}

impl Scope<'_> {
    /// Transactions; one without a status of its own has that of the level above.
    fn transactions(
        &self,
        around: Element<'_>,
        above: Option<&StatusCode>,
        statuses: &mut Vec<PaymentStatus>,
    ) -> Result<(), FileError> {
        for element in around.all("TxInfAndSts") {
            let own = code(element, "TxSts")?;
            let Some(code) = own.as_ref().or(above) else {
                return Err(
                    Problem::Missing.at(format!("{}/TxSts", element.path()), element.line())
                );
            };
            let mut status = self.status(element, StatusLevel::Transaction, code)?;
            status.instruction_id = text(element, &["OrgnlInstrId"])?;
            status.end_to_end_id = element.text_at(&["OrgnlEndToEndId"])?.and_then(given_id);
            status.reference = text(element, &["AcctSvcrRef"])?;
            if status.instruction_id.is_none() && status.end_to_end_id.is_none() {
                return Err(Problem::Missing.at(
                    format!("{}/OrgnlEndToEndId", element.path()),
                    element.line(),
                ));
            }
            if let Some(original) = element.find("OrgnlTxRef")? {
                let amount = original.walk(&["Amt", "InstdAmt"])?;
                status.amount = amount.map(money).transpose()?;
                status.creditor_name = match text(original, &["Cdtr", "Nm"])? {
                    Some(name) => Some(name),
                    None => text(original, &["Cdtr", "Pty", "Nm"])?,
                };
                if let Some(creditor) = original.find("CdtrAcct")? {
                    status.creditor_account = account(creditor)?;
                }
            }
            statuses.push(status);
        }
        Ok(())
    }

    fn status(
        &self,
        element: Element<'_>,
        level: StatusLevel,
        code: &StatusCode,
    ) -> Result<PaymentStatus, FileError> {
        let reasons = element
            .all("StsRsnInf")
            .map(reason)
            .collect::<Result<_, _>>()?;
        Ok(PaymentStatus {
            line: element.line(),
            level,
            code: code.clone(),
            reasons,
            original_message_id: self.message_id.to_owned(),
            original_payment_information_id: self.payment_information_id.map(str::to_owned),
            instruction_id: None,
            end_to_end_id: None,
            reference: None,
            amount: None,
            creditor_name: None,
            creditor_account: None,
            original_count: number(element, "OrgnlNbOfTxs")?,
            original_control_sum: text(element, &["OrgnlCtrlSum"])?,
        })
    }
}

/// Version .02 has the reason in `StsRsn` and the words in `AddtlStsRsnInf`.
fn reason(element: Element<'_>) -> Result<StatusReason, FileError> {
    let mut found = StatusReason::default();
    for path in [
        ["Rsn", "Cd"],
        ["Rsn", "Prtry"],
        ["StsRsn", "Cd"],
        ["StsRsn", "Prtry"],
    ] {
        found.code = found.code.or(text(element, &path)?);
    }
    for words in element.all("AddtlInf").chain(element.all("AddtlStsRsnInf")) {
        found.information.push(words.text()?.to_owned());
    }
    Ok(found)
}

fn text(around: Element<'_>, path: &[&str]) -> Result<Option<String>, FileError> {
    Ok(around.text_at(path)?.map(str::to_owned))
}
