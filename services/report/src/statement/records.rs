//! The statement as a list of records, one per figure: what CSV and workbook have in common.

use super::StatementDocument;
use super::parts::{MessageRow, Payment};
use crate::amount::Amount;
use crate::party::{Counterparty, Tax};
use crate::wire::rfc3339;

/// A figure with what describes it.
pub(super) struct Record<'a> {
    pub(super) section: &'static str,
    pub(super) item: String,
    pub(super) late: bool,
    pub(super) counterparty: Option<&'a Counterparty>,
    pub(super) reference: String,
    pub(super) date: String,
    pub(super) count: Option<u64>,
    pub(super) points: Option<i64>,
    pub(super) amount: Option<Amount>,
    pub(super) tax: Option<&'a Tax>,
    pub(super) note: String,
}

impl Record<'_> {
    pub(super) fn new(section: &'static str, item: impl Into<String>) -> Self {
        Self {
            section,
            item: item.into(),
            late: false,
            counterparty: None,
            reference: String::new(),
            date: String::new(),
            count: None,
            points: None,
            amount: None,
            tax: None,
            note: String::new(),
        }
    }

    pub(super) fn amount(section: &'static str, item: &str, amount: Amount) -> Self {
        Self {
            amount: Some(amount),
            ..Self::new(section, item)
        }
    }
}

/// Who and when.
pub(super) fn head(document: &StatementDocument) -> Vec<Record<'_>> {
    let parts = document.parts();
    let note = |item: &'static str, note: String| Record {
        note,
        ..Record::new("STATEMENT", item)
    };
    let period = &parts.period;
    let mut out = vec![
        note("ALLIANCE", parts.issuer.alliance.clone()),
        note("PROGRAMME", parts.issuer.programme.clone()),
        note("HUB", parts.issuer.origin.clone()),
        note("TIME_ZONE", period.zone.name().into()),
    ];
    if let Some(opens_at) = &period.opens_at {
        out.push(Record {
            date: rfc3339(opens_at),
            ..Record::new("STATEMENT", "OPENS_AT")
        });
    }
    if let Some(closes_at) = &period.closes_at {
        out.push(Record {
            date: rfc3339(closes_at),
            ..Record::new("STATEMENT", "CLOSES_AT")
        });
    }
    if let Some(account) = &parts.merchant.settlement_account {
        out.push(Record {
            reference: account.number.clone(),
            note: account.holder.clone(),
            ..Record::new("STATEMENT", "SETTLEMENT_ACCOUNT")
        });
    }
    if let Some(tax) = &parts.merchant.tax {
        out.push(Record {
            tax: Some(tax),
            reference: parts.merchant.tax_id.clone().unwrap_or_default(),
            ..Record::new("STATEMENT", "TAX")
        });
    }
    out
}

/// Brought forward, lines, net, and what explains the lines.
pub(super) fn figures(document: &StatementDocument) -> Vec<Record<'_>> {
    let parts = document.parts();
    let mut out = vec![Record::amount(
        "OPENING",
        "BROUGHT_FORWARD",
        parts.brought_forward,
    )];
    out.extend(parts.opening.iter().map(|item| Record {
        reference: item.reference.clone(),
        note: "included in what is brought forward".into(),
        ..Record::amount("OPENING_ITEM", item.cause.code(), item.amount)
    }));
    out.extend(parts.lines.iter().map(|line| Record {
        late: line.late,
        counterparty: line.counterparty.as_ref(),
        count: Some(line.count),
        points: Some(line.points),
        amount: (!line.information).then_some(line.amount),
        note: if line.information {
            "for information".into()
        } else {
            String::new()
        },
        ..Record::new("LINE", line.kind.code())
    }));
    out.push(Record::amount("NET", "NET", parts.net));
    out.extend(parts.promotions.iter().map(|share| Record {
        reference: share.promotion.clone(),
        points: Some(share.points),
        note: share.name.clone(),
        ..Record::amount("PROMOTION", "INCLUDED_IN_LINES", share.amount)
    }));
    out.extend(parts.fees.iter().map(|fee| Record {
        points: Some(fee.points),
        tax: fee.tax.as_ref(),
        note: "included in the lines".into(),
        ..Record::amount("FEE", fee.kind.code(), fee.amount)
    }));
    out
}

/// Adjustments, which the lines contain; holdbacks, payments, carried forward.
pub(super) fn settlement(document: &StatementDocument) -> Vec<Record<'_>> {
    let parts = document.parts();
    let mut out: Vec<Record<'_>> = Vec::new();
    out.extend(parts.adjustments.iter().map(|adjustment| {
        let [first, second] = &adjustment.approvals;
        let mut note = "included in the lines; ".to_owned();
        let original = adjustment.original.text();
        if !original.is_empty() {
            note.push_str(&format!("corrects {original}; "));
        }
        note.push_str(&format!("approved by {} and {}", first.by, second.by));
        if !adjustment.note.is_empty() {
            note.push_str(&format!("; {}", adjustment.note));
        }
        Record {
            counterparty: adjustment.counterparty.as_ref(),
            reference: adjustment.id.clone(),
            date: rfc3339(&second.at),
            points: Some(adjustment.points),
            note,
            ..Record::amount("ADJUSTMENT", adjustment.reason.code(), adjustment.amount)
        }
    }));
    out.extend(parts.holdbacks.iter().map(|holdback| {
        Record {
            reference: holdback.id.clone(),
            date: holdback
                .release_on
                .map(|day| day.to_string())
                .unwrap_or_default(),
            ..Record::amount("HOLDBACK", holdback.reason.code(), holdback.amount)
        }
    }));
    out.push(Record::amount("PAYABLE", "PAYABLE", document.payable()));
    out.extend(parts.payments.iter().map(payment));
    out.push(Record::amount(
        "CLOSING",
        "CARRIED_FORWARD",
        parts.carried_forward,
    ));
    out
}

fn payment(payment: &Payment) -> Record<'_> {
    let direction = if payment.amount.micros() > 0 {
        "MERCHANT_PAYS"
    } else {
        "MERCHANT_IS_PAID"
    };
    let mut note: Vec<String> = Vec::new();
    note.extend(
        payment
            .instruction
            .as_ref()
            .map(|i| format!("instruction {i}")),
    );
    note.extend(payment.state.as_ref().map(|s| s.code().to_owned()));
    note.extend(
        payment
            .account
            .as_ref()
            .map(|a| format!("to {}, {}", a.holder, a.number)),
    );
    Record {
        counterparty: Some(&payment.counterparty),
        reference: payment.reference.clone().unwrap_or_default(),
        date: payment
            .due_on
            .map(|day| day.to_string())
            .unwrap_or_default(),
        note: note.join("; "),
        ..Record::amount("PAYMENT", direction, payment.amount)
    }
}

/// The net again by counterparty and by message, and where the log proves it.
pub(super) fn evidence(document: &StatementDocument) -> Vec<Record<'_>> {
    let parts = document.parts();
    let mut out: Vec<Record<'_>> = Vec::new();
    out.extend(parts.bilateral.iter().map(|net| Record {
        counterparty: Some(&net.counterparty),
        count: Some(net.messages),
        points: Some(net.points),
        ..Record::amount("BILATERAL", "NET", net.amount)
    }));
    out.extend(parts.messages.iter().map(|total| Record {
        count: Some(total.count),
        ..Record::amount("MESSAGES", total.kind.code(), total.amount)
    }));
    if let Some(proof) = &parts.proof {
        out.push(Record {
            note: proof.cycle_digest.to_hex(),
            ..Record::new("PROOF", "CYCLE_DIGEST")
        });
        out.push(Record {
            count: Some(proof.cut_leaf),
            ..Record::new("PROOF", "CUT_LEAF")
        });
        out.extend(proof.checkpoints.iter().map(|checkpoint| Record {
            count: Some(checkpoint.size),
            note: checkpoint.root.to_hex(),
            ..Record::new("PROOF", format!("CHECKPOINT_{}", checkpoint.at.code()))
        }));
        out.push(Record {
            reference: proof.hub_key_id.clone(),
            ..Record::new("PROOF", "HUB_KEY")
        });
    }
    out
}

/// A row of the drill-down: its line, message, time and place in the log.
pub(super) fn message(row: &MessageRow) -> Record<'_> {
    Record {
        late: row.late,
        counterparty: row.counterparty.as_ref(),
        reference: row.message.map(|id| id.to_hex()).unwrap_or_default(),
        date: rfc3339(&row.event_time),
        points: Some(row.points),
        note: format!(
            "{}, leaf {}, position {}",
            row.kind.code(),
            row.leaf,
            row.position
        ),
        ..Record::amount("MESSAGE", row.line.code(), row.amount)
    }
}
