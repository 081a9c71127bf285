//! The golden settlement of March 2026: the hub pays A 3.44 and T 1.62, F pays the hub 4.08.

use hansa_bank::{Account, Address, Characters, Party, Payment, PaymentOrder, Scheme};
use hansa_money::Currency;

pub(crate) fn party(name: &str, street: &str, postcode: &str, town: &str, country: &str) -> Party {
    Party {
        name: name.to_owned(),
        address: Address {
            street: Some(street.to_owned()),
            building_number: None,
            postcode: Some(postcode.to_owned()),
            town: town.to_owned(),
            country: country.to_owned(),
        },
    }
}

pub(crate) fn payment(
    merchant: &str,
    amount_minor: i64,
    creditor: Party,
    account: &str,
) -> Payment {
    Payment {
        instruction_id: format!("2026-03-{merchant}"),
        end_to_end_id: format!("HANSA-2026-03-{merchant}"),
        amount_minor,
        currency: Currency::EUR,
        creditor,
        creditor_account: Account::iban(account),
        creditor_agent: None,
        remittance: Some("Settlement of cycle 2026-03".to_owned()),
        creditor_reference: None,
    }
}

/// The hub's order of the golden cycle.
pub(crate) fn golden_order() -> PaymentOrder {
    let apotheke = party("Alster Apotheke", "Damrak", "1012 JS", "Amsterdam", "NL");
    let tuchhaus = party("Tuchhaus Trave", "Rue des Toiles", "75011", "Paris", "FR");
    PaymentOrder {
        message_id: "HANSA-2026-03".to_owned(),
        created_at: "2026-04-01T08:00:00Z".parse().expect("a time"),
        initiating_party: "Hansa Clearing".to_owned(),
        debtor: party("Hansa Clearing", "Speicherstadt", "20457", "Hamburg", "DE"),
        debtor_account: Account::iban("DE89 3704 0044 0532 0130 00"),
        debtor_agent: Some("COBADEFFXXX".to_owned()),
        execution_date: "2026-04-02".parse().expect("a day"),
        scheme: Scheme::Sepa,
        batch_booking: Some(false),
        characters: Characters::Convert,
        payments: vec![
            payment("A", 344, apotheke, "NL91ABNA0417164300"),
            payment("T", 162, tuchhaus, "FR1420041010050500013M02606"),
        ],
    }
}
