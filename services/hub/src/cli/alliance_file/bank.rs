//! `bank_details`: an account with its holder's address, the hub's or a merchant's.

use hansa_proto::v1;
use serde::Deserialize;

/// Keys of an account. Whether a bank takes them is the hub's to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BankTable {
    holder_name: String,
    iban: String,
    #[serde(default)]
    bic: String,
    #[serde(default)]
    street_name: String,
    #[serde(default)]
    building_number: String,
    #[serde(default)]
    post_code: String,
    town_name: String,
    country_code: String,
}

impl BankTable {
    pub(super) fn details(self) -> v1::BankDetails {
        v1::BankDetails {
            holder_name: self.holder_name,
            iban: self.iban,
            bic: self.bic,
            street_name: self.street_name,
            building_number: self.building_number,
            post_code: self.post_code,
            town_name: self.town_name,
            country_code: self.country_code,
        }
    }
}
