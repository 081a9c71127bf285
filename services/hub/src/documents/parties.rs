//! Who documents are from, for and with: names, addresses and accounts of the terms that held when the cycle closed.

use hansa_report::{BankAccount, Counterparty, Issuer, MerchantParty};
use hansa_settlement::{
    BankDetails, Global, Instant, MerchantIx,
    finance::{AccountRef, Party},
};

use super::terms::tax_of;
use crate::registry::Registry;

/// The alliance and its hub.
#[must_use]
pub fn issuer(global: &Global, registry: &Registry, at: Instant) -> Issuer {
    let programme = registry.programme().map(|p| p.name).unwrap_or_default();
    let bank = global.bank_details(global.account_of(Party::Hub, at));
    let holder = bank.map(|bank| bank.holder_name.as_str());
    let holder = holder.filter(|name| !name.is_empty());
    Issuer {
        alliance: holder.unwrap_or(&programme).to_owned(),
        address: bank.map(address).unwrap_or_default(),
        origin: registry.origin.clone(),
        programme,
    }
}

/// The merchant that a statement is for.
#[must_use]
pub fn merchant(
    global: &Global,
    registry: &Registry,
    merchant: MerchantIx,
    at: Instant,
) -> MerchantParty {
    let account = global.account_of(Party::Merchant(merchant), at);
    MerchantParty {
        id: registry.slug(merchant.0).to_owned(),
        name: name(global, registry, merchant),
        address: global
            .bank_details(account)
            .map(address)
            .unwrap_or_default(),
        tax_id: None,
        tax: global
            .contract(merchant, at)
            .and_then(|(_, terms)| tax_of(terms)),
        settlement_account: bank_account(global, registry, Party::Merchant(merchant), account),
    }
}

/// A counterparty.
#[must_use]
pub fn counterparty(global: &Global, registry: &Registry, party: Party) -> Counterparty {
    match party {
        Party::Hub => Counterparty::Hub,
        Party::Merchant(merchant) => Counterparty::Merchant {
            id: registry.slug(merchant.0).to_owned(),
            name: name(global, registry, merchant),
        },
    }
}

/// A merchant's name for people; its id where it has none.
fn name(global: &Global, registry: &Registry, merchant: MerchantIx) -> String {
    let name = global.merchant(merchant).map(|m| m.name.trim());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| registry.slug(merchant.0))
        .to_owned()
}

/// An account of the terms, where they name one.
#[must_use]
pub fn bank_account(
    global: &Global,
    registry: &Registry,
    party: Party,
    account: Option<AccountRef>,
) -> Option<BankAccount> {
    let number = global.account_name(account);
    if number.is_empty() {
        return None;
    }
    let bank = global.bank_details(account);
    let known = bank.map(|bank| bank.holder_name.clone());
    let holder = known.filter(|name| !name.is_empty());
    let bic = bank.map(|bank| bank.bic.clone());
    Some(BankAccount {
        holder: holder.unwrap_or_else(|| match party {
            Party::Hub => registry.programme().map(|p| p.name).unwrap_or_default(),
            Party::Merchant(merchant) => name(global, registry, merchant),
        }),
        number: number.to_owned(),
        bic: bic.filter(|bic| !bic.is_empty()),
    })
}

/// The lines of an address that are there.
fn address(bank: &BankDetails) -> Vec<String> {
    let line = |parts: [&str; 2]| {
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" ")
    };
    let lines = [
        line([&bank.street_name, &bank.building_number]),
        line([&bank.post_code, &bank.town_name]),
        bank.country_code.clone(),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}
