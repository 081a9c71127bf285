//! Terms of settlement between the wire and the ledger: accounts, netting, losses, warnings, payouts.

use hansa_bank::{Account, check_bic};
use hansa_proto::v1;
use hansa_settlement::{
    BankDetails, ContractTerms, LossShare, MerchantIx, SettlementTerms,
    finance::{NettingMethod, Party},
};

use crate::convert::Fields;

/// The programme's. `merchant` tells a slug's index.
pub fn programme(
    fields: &mut Fields,
    p: &v1::Programme,
    merchant: impl Fn(&str) -> Option<MerchantIx>,
) -> SettlementTerms {
    let method = match p.netting_method.as_str() {
        "" => NettingMethod::default(),
        name => NettingMethod::from_code(name).unwrap_or_else(|| {
            let known: Vec<&str> = NettingMethod::ALL.iter().map(|m| m.code()).collect();
            let text = format!("\"{name}\" is none of {}", known.join(", "));
            fields.broken("programme.netting_method", "NETTING_METHOD", text);
            NettingMethod::default()
        }),
    };
    let mut loss_shares = Vec::new();
    for (index, share) in p.loss_shares.iter().enumerate() {
        let at = format!("programme.loss_shares[{index}]");
        let bearer = if share.merchant_id.is_empty() {
            Some(Party::Hub)
        } else {
            merchant(&share.merchant_id).map(Party::Merchant)
        };
        let Some(bearer) = bearer else {
            let text = format!("merchant \"{}\" is not in the alliance", share.merchant_id);
            fields.broken(&format!("{at}.merchant_id"), "MERCHANT", text);
            continue;
        };
        loss_shares.push(LossShare {
            bearer,
            share_bps: share.share_bps,
            limit_micros: fields.money(&format!("{at}.limit"), &share.limit),
        });
    }
    let terms = SettlementTerms {
        method,
        loss_shares,
        bank_details: p
            .bank_details
            .as_ref()
            .map(|bank| bank_details(fields, "programme.bank_details", bank)),
        warning_thresholds_bps: p.warning_thresholds_bps.clone(),
    };
    if !terms.is_valid() {
        let text = "shares are at most 10000 bps and the last one is the hub's, 10000 without a limit; warning thresholds are \
                    above 0 and rise";
        fields.broken("programme.loss_shares", "OUT_OF_RANGE", text);
    }
    terms
}

/// A contract's, put into its terms.
pub fn contract(fields: &mut Fields, at: &str, c: &v1::Contract, terms: &mut ContractTerms) {
    let path = |name: &str| format!("{at}.contract.{name}");
    if !c.tax_rate_percent.is_empty() {
        terms.tax_rate_percent = Some(fields.rate(&path("tax_rate_percent"), &c.tax_rate_percent));
    }
    terms.minimum_payout_micros = fields
        .money(&path("minimum_payout"), &c.minimum_payout)
        .unwrap_or(0);
    terms.holdback_bps = c.holdback_bps;
    terms.bank_details = c
        .bank_details
        .as_ref()
        .map(|bank| bank_details(fields, &path("bank_details"), bank));
}

/// An account with its holder's address. What is missing of the address shows when a payment file is made.
fn bank_details(fields: &mut Fields, at: &str, bank: &v1::BankDetails) -> Box<BankDetails> {
    let account = bank.iban.as_str();
    let letters = account.chars().take(2).filter(char::is_ascii_alphabetic);
    let digits = account.chars().skip(2).take(2).filter(char::is_ascii_digit);
    let looks_like_an_iban = letters.count() == 2 && digits.count() == 2;
    let checked = if looks_like_an_iban {
        Account::iban(account).check()
    } else {
        Account::other(account, None).check()
    };
    if let Err(error) = checked {
        let text = format!("\"{account}\": {error}");
        fields.broken(&format!("{at}.iban"), "ACCOUNT", text);
    }
    if let (false, Err(error)) = (bank.bic.is_empty(), check_bic(&bank.bic)) {
        let text = format!("\"{}\": {error}", bank.bic);
        fields.broken(&format!("{at}.bic"), "BIC", text);
    }
    let texts = [
        ("holder_name", &bank.holder_name),
        ("street_name", &bank.street_name),
        ("building_number", &bank.building_number),
        ("post_code", &bank.post_code),
        ("town_name", &bank.town_name),
        ("country_code", &bank.country_code),
    ];
    for (name, text) in texts {
        if text.len() > 140 || text.chars().any(char::is_control) {
            let text = "at most 140 bytes without control characters";
            fields.broken(&format!("{at}.{name}"), "LENGTH", text);
        }
    }
    Box::new(BankDetails {
        holder_name: bank.holder_name.clone(),
        iban: bank.iban.clone(),
        bic: bank.bic.clone(),
        street_name: bank.street_name.clone(),
        building_number: bank.building_number.clone(),
        post_code: bank.post_code.clone(),
        town_name: bank.town_name.clone(),
        country_code: bank.country_code.clone(),
    })
}
