//! The bank of a test: writes statements, notifications and status reports as banks do.

use std::fmt::Write as _;

use hansa_proto::v1;

use crate::alliance::bank_details;

/// A booking on the hub's account.
#[derive(Clone, Debug)]
pub struct Booking {
    /// Cents; + = money came in.
    pub cents: i64,
    /// End-to-end reference; empty where the bank names none.
    pub end_to_end_id: String,
    /// The other side: a merchant's id.
    pub with: String,
    /// The bank's reference.
    pub reference: String,
    /// It gives a payment back: the bank's reason.
    pub returned: Option<&'static str>,
    /// When, `YYYY-MM-DD`.
    pub date: String,
}

impl Booking {
    /// The bank carried a payment out, as the hub's account sees it.
    #[must_use]
    pub fn of(payment: &v1::Payment, date: &str) -> Self {
        let goes_out = payment.payer_merchant_id.is_empty();
        let cents = payment.amount_micros / 10_000;
        Self {
            cents: if goes_out { -cents } else { cents },
            end_to_end_id: payment.end_to_end_id.clone(),
            with: if goes_out {
                payment.payee_merchant_id.clone()
            } else {
                payment.payer_merchant_id.clone()
            },
            reference: format!("B-{}", payment.payment_number),
            returned: None,
            date: date.into(),
        }
    }

    /// A payment came back.
    #[must_use]
    pub fn return_of(payment: &v1::Payment, date: &str, reason: &'static str) -> Self {
        let paid = Self::of(payment, date);
        Self {
            cents: -paid.cents,
            reference: format!("R-{}", payment.payment_number),
            returned: Some(reason),
            ..paid
        }
    }
}

fn euros(cents: i64) -> String {
    let cents = cents.unsigned_abs();
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn sign(cents: i64) -> &'static str {
    if cents < 0 { "DBIT" } else { "CRDT" }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
}

fn account() -> String {
    format!(
        "<Acct><Id><IBAN>{}</IBAN></Id><Ccy>EUR</Ccy></Acct>",
        bank_details("").iban
    )
}

fn balance(kind: &str, cents: i64, date: &str) -> String {
    format!(
        "<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{}</Amt>\
         <CdtDbtInd>{}</CdtDbtInd><Dt><Dt>{date}</Dt></Dt></Bal>",
        euros(cents),
        sign(cents)
    )
}

fn entry(booking: &Booking) -> String {
    let Booking { cents, date, .. } = booking;
    let other = bank_details(&booking.with);
    let refs = if booking.end_to_end_id.is_empty() {
        String::new()
    } else {
        format!(
            "<Refs><EndToEndId>{}</EndToEndId></Refs>",
            booking.end_to_end_id
        )
    };
    let side = if *cents < 0 { "Cdtr" } else { "Dbtr" };
    let family = match booking.returned {
        Some(_) => "RRTN",
        None => "ESCT",
    };
    let returned = booking.returned.map_or_else(String::new, |code| {
        format!("<RtrInf><Rsn><Cd>{code}</Cd></Rsn></RtrInf>")
    });
    let money = format!(
        "<Amt Ccy=\"EUR\">{}</Amt><CdtDbtInd>{}</CdtDbtInd>",
        euros(*cents),
        sign(*cents)
    );
    format!(
        "<Ntry>{money}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{date}</Dt></BookgDt>\
         <AcctSvcrRef>{}</AcctSvcrRef>\
         <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{}</Cd><SubFmlyCd>{family}</SubFmlyCd></Fmly></Domn></BkTxCd>\
         <NtryDtls><TxDtls>{refs}{money}<RltdPties><{side}><Pty><Nm>{}</Nm></Pty></{side}>\
         <{side}Acct><Id><IBAN>{}</IBAN></Id></{side}Acct></RltdPties>{returned}</TxDtls></NtryDtls></Ntry>",
        booking.reference,
        if *cents < 0 { "ICDT" } else { "RCDT" },
        escaped(&other.holder_name),
        other.iban,
    )
}

fn document(message: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{message}\">{body}</Document>\n"
    )
}

/// A statement of the hub's account, `camt.053.001.08`; opening balance 1 000.00.
#[must_use]
pub fn statement(id: &str, date: &str, bookings: &[Booking]) -> String {
    let opening = 100_000;
    let closing = opening + bookings.iter().map(|b| b.cents).sum::<i64>();
    let mut entries = String::new();
    for booking in bookings {
        let _ = write!(entries, "{}", entry(booking));
    }
    let body = format!(
        "<BkToCstmrStmt><GrpHdr><MsgId>{id}</MsgId><CreDtTm>{date}T19:30:00Z</CreDtTm></GrpHdr><Stmt><Id>{id}</Id>{}{}{}{entries}\
         </Stmt></BkToCstmrStmt>",
        account(),
        balance("OPBD", opening, date),
        balance("CLBD", closing, date),
    );
    document("camt.053.001.08", &body)
}

/// A notification of bookings on the hub's account, `camt.054.001.08`.
#[must_use]
pub fn notification(id: &str, date: &str, bookings: &[Booking]) -> String {
    let mut entries = String::new();
    for booking in bookings {
        let _ = write!(entries, "{}", entry(booking));
    }
    let body = format!(
        "<BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>{id}</MsgId><CreDtTm>{date}T12:00:00Z</CreDtTm></GrpHdr><Ntfctn><Id>{id}</Id>{}\
         {entries}</Ntfctn></BkToCstmrDbtCdtNtfctn>",
        account()
    );
    document("camt.054.001.08", &body)
}

/// What became of the payments of a file, `pain.002.001.10`: end-to-end reference, status, reason.
#[must_use]
pub fn status_report(
    id: &str,
    date: &str,
    message_id: &str,
    statuses: &[(&str, &str, Option<&str>)],
) -> String {
    let mut all = String::new();
    for (reference, status, reason) in statuses {
        let reason = reason.map_or_else(String::new, |code| {
            format!("<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>")
        });
        let _ = write!(
            all,
            "<TxInfAndSts><OrgnlEndToEndId>{reference}</OrgnlEndToEndId><TxSts>{status}</TxSts>{reason}</TxInfAndSts>"
        );
    }
    let body = format!(
        "<CstmrPmtStsRpt><GrpHdr><MsgId>{id}</MsgId><CreDtTm>{date}T10:00:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>\
         <OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts>\
         <OrgnlPmtInfAndSts><OrgnlPmtInfId>{message_id}</OrgnlPmtInfId>{all}</OrgnlPmtInfAndSts></CstmrPmtStsRpt>"
    );
    document("pain.002.001.10", &body)
}
