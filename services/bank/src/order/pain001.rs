//! Writes `pain.001.001.09`, the customer credit transfer initiation.
//!
//! One payment information block per message; elements in the schema's order; two spaces per level; no optional element
//! without content.

use chrono::SecondsFormat;
use quick_xml::escape::escape;

use super::{CheckedOrder, Party, Payment, Scheme};
use crate::{Account, amount::decimal};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

pub(super) fn write(checked: &CheckedOrder) -> String {
    let mut xml = Xml {
        text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
        depth: 0,
    };
    xml.group_with("Document", &format!(" xmlns=\"{NAMESPACE}\""), |xml| {
        xml.group("CstmrCdtTrfInitn", |xml| {
            header(xml, checked);
            payment_information(xml, checked);
        });
    });
    xml.text
}

fn header(xml: &mut Xml, checked: &CheckedOrder) {
    let order = &checked.order;
    let created = order.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    xml.group("GrpHdr", |xml| {
        xml.leaf("MsgId", &order.message_id);
        xml.leaf("CreDtTm", &created);
        totals(xml, checked);
        xml.group("InitgPty", |xml| xml.leaf("Nm", &order.initiating_party));
    });
}

fn totals(xml: &mut Xml, checked: &CheckedOrder) {
    xml.leaf("NbOfTxs", &checked.count().to_string());
    xml.leaf("CtrlSum", &decimal(checked.sum_minor, checked.currency));
}

fn payment_information(xml: &mut Xml, checked: &CheckedOrder) {
    let order = &checked.order;
    xml.group("PmtInf", |xml| {
        xml.leaf("PmtInfId", &order.message_id);
        xml.leaf("PmtMtd", "TRF");
        if let Some(booking) = order.batch_booking {
            xml.leaf("BtchBookg", if booking { "true" } else { "false" });
        }
        totals(xml, checked);
        if order.scheme == Scheme::Sepa {
            xml.group("PmtTpInf", |xml| {
                xml.group("SvcLvl", |xml| xml.leaf("Cd", "SEPA"));
            });
        }
        let day = order.execution_date.format("%Y-%m-%d").to_string();
        xml.group("ReqdExctnDt", |xml| xml.leaf("Dt", &day));
        party(xml, "Dbtr", &order.debtor);
        account(xml, "DbtrAcct", &order.debtor_account);
        match &order.debtor_agent {
            Some(bic) => agent(xml, "DbtrAgt", bic),
            // The element must be there; the bank knows itself by the IBAN.
            None => xml.group("DbtrAgt", |xml| {
                xml.group("FinInstnId", |xml| {
                    xml.group("Othr", |xml| xml.leaf("Id", "NOTPROVIDED"));
                });
            }),
        }
        xml.leaf(
            "ChrgBr",
            match order.scheme {
                Scheme::Sepa => "SLEV",
                Scheme::Other => "SHAR",
            },
        );
        for payment in &order.payments {
            transaction(xml, payment);
        }
    });
}

fn transaction(xml: &mut Xml, payment: &Payment) {
    xml.group("CdtTrfTxInf", |xml| {
        xml.group("PmtId", |xml| {
            xml.leaf("InstrId", &payment.instruction_id);
            xml.leaf("EndToEndId", &payment.end_to_end_id);
        });
        let amount = decimal(payment.amount_minor, payment.currency);
        let currency = format!(" Ccy=\"{}\"", payment.currency);
        xml.group("Amt", |xml| xml.leaf_with("InstdAmt", &currency, &amount));
        if let Some(bic) = &payment.creditor_agent {
            agent(xml, "CdtrAgt", bic);
        }
        party(xml, "Cdtr", &payment.creditor);
        account(xml, "CdtrAcct", &payment.creditor_account);
        if payment.remittance.is_some() || payment.creditor_reference.is_some() {
            xml.group("RmtInf", |xml| remittance(xml, payment));
        }
    });
}

fn remittance(xml: &mut Xml, payment: &Payment) {
    if let Some(words) = &payment.remittance {
        xml.leaf("Ustrd", words);
    }
    if let Some(reference) = &payment.creditor_reference {
        xml.group("Strd", |xml| {
            xml.group("CdtrRefInf", |xml| {
                xml.group("Tp", |xml| {
                    xml.group("CdOrPrtry", |xml| xml.leaf("Cd", "SCOR"));
                });
                xml.leaf("Ref", reference);
            });
        });
    }
}

fn party(xml: &mut Xml, role: &str, party: &Party) {
    xml.group(role, |xml| {
        xml.leaf("Nm", &party.name);
        xml.group("PstlAdr", |xml| {
            let address = &party.address;
            for (name, text) in [
                ("StrtNm", &address.street),
                ("BldgNb", &address.building_number),
                ("PstCd", &address.postcode),
            ] {
                if let Some(text) = text {
                    xml.leaf(name, text);
                }
            }
            xml.leaf("TwnNm", &address.town);
            xml.leaf("Ctry", &address.country);
        });
    });
}

fn account(xml: &mut Xml, name: &str, account: &Account) {
    xml.group(name, |xml| {
        xml.group("Id", |xml| match account {
            Account::Iban(iban) => xml.leaf("IBAN", iban),
            Account::Other { id, scheme } => xml.group("Othr", |xml| {
                xml.leaf("Id", id);
                if let Some(code) = scheme {
                    xml.group("SchmeNm", |xml| xml.leaf("Cd", code));
                }
            }),
        });
    });
}

fn agent(xml: &mut Xml, name: &str, bic: &str) {
    xml.group(name, |xml| {
        xml.group("FinInstnId", |xml| xml.leaf("BICFI", bic));
    });
}

/// Text that grows element by element.
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn group(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.group_with(name, "", content);
    }

    fn group_with(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Self)) {
        self.line(&format!("<{name}{attributes}>"));
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.line(&format!("</{name}>"));
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.leaf_with(name, "", text);
    }

    fn leaf_with(&mut self, name: &str, attributes: &str, text: &str) {
        self.line(&format!("<{name}{attributes}>{}</{name}>", escape(text)));
    }

    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}
