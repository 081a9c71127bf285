//! Offers in tables and as JSON.

use comfy_table::Table;
use hansa_proto::v1;
use serde_json::{Value, json};

use crate::cli::render::{self, Column};

pub(super) fn table() -> Table {
    render::table(&[
        Column::Left("merchant"),
        Column::Left("offer"),
        Column::Left("kind"),
        Column::Left("title"),
        Column::Right("price"),
        Column::Left("category"),
        Column::Left("countries"),
        Column::Left("until"),
        Column::Left("in force"),
        Column::Left("earns"),
    ])
}

pub(super) fn row(listed: &v1::ListedOffer) -> Vec<String> {
    let none = v1::Offer::default();
    let offer = listed.offer.as_ref().unwrap_or(&none);
    let price = offer.sale_price.as_ref().or(offer.price.as_ref());
    vec![
        listed.merchant_id.clone(),
        offer.offer_id.clone(),
        kind(offer).to_owned(),
        offer.title.clone(),
        price.map_or_else(String::new, amount),
        offer.category.clone(),
        offer.country_codes.join(" "),
        render::instant(offer.end_time.as_ref()),
        if listed.in_force { "yes" } else { "no" }.to_owned(),
        earnings(&listed.earnings),
    ]
}

fn amount(money: &v1::Money) -> String {
    render::amount(money.micros, &money.currency_code)
}

fn kind(offer: &v1::Offer) -> &'static str {
    render::name(offer.kind().as_str_name(), "OFFER_KIND_")
}

/// What a first sale earns: `5 % + 1.00 EUR (DE AT), 8 % (FR)`.
pub(super) fn earnings(earnings: &[v1::OfferEarning]) -> String {
    let told = |earning: &v1::OfferEarning| {
        let mut text = render::percent(earning.share_bps);
        if let Some(fixed) = earning.fixed.as_ref().filter(|fixed| fixed.micros != 0) {
            text = format!("{text} + {}", amount(fixed));
        }
        if !earning.country_codes.is_empty() {
            text = format!("{text} ({})", earning.country_codes.join(" "));
        }
        text
    };
    let told: Vec<String> = earnings.iter().map(told).collect();
    told.join(", ")
}

pub(super) fn listed_json(listed: &v1::ListedOffer) -> Value {
    json!({
        "merchant_id": listed.merchant_id,
        "offer": listed.offer.as_ref().map(offer_json),
        "earnings": listed.earnings.iter().map(earning_json).collect::<Vec<_>>(),
        "update_time": render::json_instant(listed.update_time.as_ref()),
        "in_force": listed.in_force,
    })
}

fn money_json(money: Option<&v1::Money>) -> Value {
    money.map_or(
        Value::Null,
        |money| json!({ "currency_code": money.currency_code, "micros": money.micros }),
    )
}

fn offer_json(offer: &v1::Offer) -> Value {
    let availability = render::name(offer.availability().as_str_name(), "OFFER_AVAILABILITY_");
    json!({
        "offer_id": offer.offer_id,
        "kind": kind(offer),
        "title": offer.title,
        "description": offer.description,
        "destination": offer.destination,
        "image_url": offer.image_url,
        "price": money_json(offer.price.as_ref()),
        "sale_price": money_json(offer.sale_price.as_ref()),
        "category": offer.category,
        "country_codes": offer.country_codes,
        "gtin": offer.gtin,
        "brand": offer.brand,
        "availability": availability,
        "code": offer.code,
        "start_time": render::json_instant(offer.start_time.as_ref()),
        "end_time": render::json_instant(offer.end_time.as_ref()),
    })
}

fn earning_json(earning: &v1::OfferEarning) -> Value {
    json!({
        "country_codes": earning.country_codes,
        "terms_version": earning.terms_version,
        "rate_row": earning.rate_row,
        "share_bps": earning.share_bps,
        "fixed": money_json(earning.fixed.as_ref()),
        "recurring_share_bps": earning.recurring_share_bps,
        "recurring_fixed": money_json(earning.recurring_fixed.as_ref()),
        "commission": money_json(earning.commission.as_ref()),
    })
}
