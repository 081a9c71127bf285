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
    /// Id of our message, where the bank books all of it as one and names none of its payments.
    pub batch: Option<String>,
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
            batch: None,
        }
    }

    /// One booking for all payments of one of our messages.
    #[must_use]
    pub fn of_batch(payments: &[&v1::Payment], message_id: &str, date: &str) -> Self {
        let parts = payments.iter().map(|payment| Self::of(payment, date));
        Self {
            cents: parts.map(|part| part.cents).sum(),
            end_to_end_id: String::new(),
            with: String::new(),
            reference: format!("B-{message_id}"),
            returned: None,
            date: date.into(),
            batch: Some(message_id.into()),
        }
    }

    /// Money of a stranger, without a reference of ours.
    #[must_use]
    pub fn of_stranger(cents: i64, name: &str, date: &str) -> Self {
        Self {
            cents,
            end_to_end_id: String::new(),
            with: name.into(),
            reference: format!("B-{name}"),
            returned: None,
            date: date.into(),
            batch: None,
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
    let details = match &booking.batch {
        Some(message_id) => format!("<Btch><MsgId>{message_id}</MsgId></Btch>"),
        None => format!(
            "<TxDtls>{refs}{money}<RltdPties><{side}><Pty><Nm>{}</Nm></Pty></{side}>\
             <{side}Acct><Id><IBAN>{}</IBAN></Id></{side}Acct></RltdPties>{returned}</TxDtls>",
            escaped(&other.holder_name),
            other.iban,
        ),
    };
    format!(
        "<Ntry>{money}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{date}</Dt></BookgDt>\
         <AcctSvcrRef>{}</AcctSvcrRef>\
         <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{}</Cd><SubFmlyCd>{family}</SubFmlyCd></Fmly></Domn></BkTxCd>\
         <NtryDtls>{details}</NtryDtls></Ntry>",
        booking.reference,
        if *cents < 0 { "ICDT" } else { "RCDT" },
    )
}

fn document(message: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{message}\">{body}</Document>\n"
    )
}

/// A statement of the hub's account as CSV; opening balance 1 000.00.
#[must_use]
pub fn csv_statement(id: &str, date: &str, bookings: &[Booking]) -> String {
    let signed = |cents: i64| format!("{}{}", if cents < 0 { "-" } else { "" }, euros(cents));
    let opening = 100_000;
    let closing = opening + bookings.iter().map(|b| b.cents).sum::<i64>();
    let account = bank_details("").iban;
    let mut text = format!(
        "record,account,currency,date,value_date,amount,reference,end_to_end_id,instruction_id,counterparty_name,\
         counterparty_account,remittance,return_reason,status\n\
         opening,{account},EUR,{date},,{},{id},,,,,,,\n",
        signed(opening)
    );
    for booking in bookings {
        let other = bank_details(&booking.with);
        let _ = writeln!(
            text,
            "entry,,,{},,{},{},{},,{},{},,{},",
            booking.date,
            signed(booking.cents),
            booking.reference,
            booking.end_to_end_id,
            other.holder_name,
            other.iban,
            booking.returned.unwrap_or_default(),
        );
    }
    let _ = writeln!(text, "closing,,,{date},,{},{id},,,,,,,", signed(closing));
    text
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
