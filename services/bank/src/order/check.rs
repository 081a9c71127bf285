//! The rules of an order. Field lengths are those of the SEPA guidelines where they are shorter than the schema's.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};
use sepa::Transliteration;

use super::{
    Characters, CheckedOrder, Party, Payment, PaymentOrder, Rule, Scheme, Violation, Violations,
};
use crate::{Account, Address, amount::MAX_DIGITS, check_bic};

/// 999,999,999.99.
const MAX_SEPA_MINOR: i64 = 99_999_999_999;
const MAX_MINOR: i64 = 10_i64.pow(MAX_DIGITS) - 1;
const MAX_ID: usize = 35;
const MAX_NAME: usize = 70;
const MAX_REMITTANCE: usize = 140;

impl PaymentOrder {
    /// Checks everything, and converts texts to what banks take. All violations come at once, in the order of the fields.
    pub fn check(&self) -> Result<CheckedOrder, Violations> {
        let mut check = Check {
            scheme: self.scheme,
            characters: self.characters,
            violations: Vec::new(),
        };
        check.identifier("message_id", &self.message_id);
        let created = self.created_at.date_naive();
        check.date("created_at", created, NaiveDate::MIN);
        let order = Self {
            initiating_party: check.text("initiating_party", &self.initiating_party, MAX_NAME),
            debtor: check.party("debtor", &self.debtor),
            ..self.clone()
        };
        check.account("debtor", &self.debtor_account, self.debtor_agent.as_deref());
        // West of Greenwich the day may still be the one before.
        let earliest = created.checked_sub_days(Days::new(1)).unwrap_or(created);
        check.date("execution_date", self.execution_date, earliest);
        let payments = check.payments(&self.payments);
        let sum: i128 = payments.iter().map(|p| i128::from(p.amount_minor)).sum();
        let sum_minor = i64::try_from(sum).ok().filter(|sum| *sum <= MAX_MINOR);
        if sum_minor.is_none() {
            check.violated("payments", Rule::Sum);
        }
        match (payments.first(), sum_minor) {
            (Some(first), Some(sum_minor)) if check.violations.is_empty() => Ok(CheckedOrder {
                currency: first.currency,
                sum_minor,
                order: Self { payments, ..order },
            }),
            _ => Err(Violations(check.violations)),
        }
    }
}

struct Check {
    scheme: Scheme,
    characters: Characters,
    violations: Vec<Violation>,
}

impl Check {
    fn violated(&mut self, field: &str, rule: Rule) {
        self.violations.push(Violation {
            field: field.to_owned(),
            rule,
        });
    }

    fn payments(&mut self, payments: &[Payment]) -> Vec<Payment> {
        let Some(first) = payments.first() else {
            self.violated("payments", Rule::NoPayments);
            return Vec::new();
        };
        let mut instruction_ids = BTreeMap::new();
        let mut end_to_end_ids = BTreeMap::new();
        let mut converted = Vec::with_capacity(payments.len());
        for (number, payment) in payments.iter().enumerate() {
            let at = |field: &str| format!("payments[{number}].{field}");
            self.identifier(&at("instruction_id"), &payment.instruction_id);
            self.identifier(&at("end_to_end_id"), &payment.end_to_end_id);
            for (field, id, seen) in [
                (
                    "instruction_id",
                    &payment.instruction_id,
                    &mut instruction_ids,
                ),
                ("end_to_end_id", &payment.end_to_end_id, &mut end_to_end_ids),
            ] {
                let first = *seen.entry(id.as_str()).or_insert(number);
                if first != number {
                    let value = id.clone();
                    self.violated(&at(field), Rule::Duplicate { value, first });
                }
            }
            let max = match self.scheme {
                Scheme::Sepa => MAX_SEPA_MINOR,
                Scheme::Other => MAX_MINOR,
            };
            if !(1..=max).contains(&payment.amount_minor) {
                self.violated(&at("amount_minor"), Rule::Amount { max });
            }
            self.currency(&at("currency"), payment, first);
            let creditor = self.party(&at("creditor"), &payment.creditor);
            let agent = payment.creditor_agent.as_deref();
            self.account(&at("creditor"), &payment.creditor_account, agent);
            converted.push(Payment {
                creditor,
                remittance: self.remittance(&at(""), payment),
                ..payment.clone()
            });
        }
        converted
    }

    fn currency(&mut self, field: &str, payment: &Payment, first: &Payment) {
        if payment.currency != first.currency {
            let (found, expected) = (payment.currency, first.currency);
            self.violated(field, Rule::MixedCurrencies { found, expected });
        }
        if self.scheme == Scheme::Sepa && payment.currency != hansa_money::Currency::EUR {
            self.violated(field, Rule::SepaCurrency);
        }
    }

    fn remittance(&mut self, before: &str, payment: &Payment) -> Option<String> {
        if let Some(reference) = &payment.creditor_reference {
            let checked = reference.parse::<sepa::RfReference>();
            if !checked.is_ok_and(|rf| rf.as_str() == reference) {
                let field = format!("{before}creditor_reference");
                self.violated(&field, Rule::CreditorReference);
            }
        }
        let field = format!("{before}remittance");
        let words = payment.remittance.as_deref()?;
        if self.scheme == Scheme::Sepa && payment.creditor_reference.is_some() {
            self.violated(&field, Rule::SepaRemittance);
        }
        Some(self.text(&field, words, MAX_REMITTANCE))
    }

    fn party(&mut self, field: &str, party: &Party) -> Party {
        Party {
            name: self.text(&format!("{field}.name"), &party.name, MAX_NAME),
            address: self.address(&format!("{field}.address"), &party.address),
        }
    }

    fn address(&mut self, field: &str, address: &Address) -> Address {
        let mut optional = |name: &str, text: &Option<String>, max| {
            text.as_deref()
                .map(|text| self.text(&format!("{field}.{name}"), text, max))
        };
        let converted = Address {
            street: optional("street", &address.street, 70),
            building_number: optional("building_number", &address.building_number, 16),
            postcode: optional("postcode", &address.postcode, 16),
            town: self.text(&format!("{field}.town"), &address.town, 35),
            country: address.country.clone(),
        };
        let upper = address.country.bytes().all(|b| b.is_ascii_uppercase());
        if !upper || !sepa::is_country_code(&address.country) {
            self.violated(&format!("{field}.country"), Rule::Country);
        }
        converted
    }

    fn account(&mut self, party: &str, account: &Account, agent: Option<&str>) {
        let field = format!("{party}_account");
        if let Err(error) = account.check() {
            self.violated(&field, error.into());
        } else if self.scheme == Scheme::Sepa {
            let is_sepa = matches!(account, Account::Iban(iban) if iban.get(..2).is_some_and(sepa::is_sepa_country));
            if !is_sepa {
                self.violated(&field, Rule::SepaAccount);
            }
        }
        let field = format!("{party}_agent");
        match (account, agent) {
            (_, Some(bic)) => {
                if let Err(error) = check_bic(bic) {
                    self.violated(&field, error.into());
                }
            }
            (Account::Other { .. }, None) => self.violated(&field, Rule::BicNeeded),
            (Account::Iban(_), None) => {}
        }
    }

    fn date(&mut self, field: &str, date: NaiveDate, earliest: NaiveDate) {
        if date < earliest || !(1..=9999).contains(&date.year()) {
            self.violated(field, Rule::Date);
        }
    }

    /// Identifiers come back from the bank: nothing in them is changed.
    fn identifier(&mut self, field: &str, id: &str) {
        if id.trim().is_empty() {
            return self.violated(field, Rule::Missing);
        }
        if id.trim() != id {
            self.violated(field, Rule::Spaces);
        }
        if let Some(c) = id.chars().find(|c| !sepa::charset::is_sepa_char(*c)) {
            self.violated(field, Rule::Character(c));
        }
        if id.starts_with('/') || id.ends_with('/') || id.contains("//") {
            self.violated(field, Rule::Slash);
        }
        self.length(field, id, MAX_ID);
    }

    fn length(&mut self, field: &str, text: &str, max: usize) {
        let found = text.chars().count();
        if found > max {
            self.violated(field, Rule::TooLong { found, max });
        }
    }

    /// A text as it will be written.
    fn text(&mut self, field: &str, text: &str, max: usize) -> String {
        let text = text.trim();
        if text.is_empty() {
            self.violated(field, Rule::Missing);
            return String::new();
        }
        let style = match self.characters {
            Characters::Convert => Some(Transliteration::Epc),
            Characters::ConvertGerman => Some(Transliteration::German),
            Characters::Refuse => None,
        };
        let mut converted = String::with_capacity(text.len());
        for c in text.chars() {
            match style.map(|style| convert(c, style)) {
                _ if sepa::charset::is_sepa_char(c) => converted.push(c),
                Some(Some(replacement)) => converted.push_str(&replacement),
                _ => {
                    self.violated(field, Rule::Character(c));
                    return String::new();
                }
            }
        }
        self.length(field, &converted, max);
        converted
    }
}

/// What the table has for a character. A letter or digit that it does not know would become a dot: none.
fn convert(c: char, style: Transliteration) -> Option<String> {
    let mut buffer = [0; 4];
    let converted = sepa::transliterate(c.encode_utf8(&mut buffer), style);
    let lost = converted == "." && c.is_alphanumeric();
    (!lost && !c.is_control()).then(|| converted.into_owned())
}
