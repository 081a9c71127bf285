//! Rows of a file of offers: read and checked as far as the file itself goes; the hub checks the rest.

use std::{collections::HashMap, io::Read};

use hansa_client::{money::Money, time::timestamp};
use hansa_proto::v1::{self, OfferAvailability, OfferKind};

use crate::cli::sheet::{self, Cells, Check, Columns, Form, Problem};

/// Names of the columns: the fields of an offer, with one currency for both prices.
pub(super) const COLUMNS: Columns<17> = Columns {
    names: [
        "offer_id",
        "kind",
        "title",
        "description",
        "destination",
        "image_url",
        "price",
        "sale_price",
        "currency",
        "category",
        "country_codes",
        "gtin",
        "brand",
        "availability",
        "code",
        "start_time",
        "end_time",
    ],
    needed: &["offer_id", "kind", "title", "destination"],
};

/// An offer and its line in the file, from 1.
pub(super) type Row = (u64, v1::Offer);

/// Reads every row; where rows have problems, all problems instead.
pub(super) fn read(from: impl Read, form: Form) -> Result<Vec<Row>, Vec<Problem>> {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut lines: HashMap<String, u64> = HashMap::new();
    sheet::read(from, form, &COLUMNS, |line, cells| {
        match cells
            .map_err(|problem| vec![problem])
            .and_then(|cells| offer(line, cells))
        {
            Ok(offer) => {
                if let Some(first) = lines.insert(offer.offer_id.clone(), line) {
                    let text = format!("the same as on line {first}; an offer is there once");
                    problems.push(Problem::of_column(line, "offer_id", text));
                }
                rows.push((line, offer));
            }
            Err(mut found) => problems.append(&mut found),
        }
    });
    if problems.is_empty() {
        Ok(rows)
    } else {
        Err(problems)
    }
}

fn offer(line: u64, cells: Cells<17>) -> Result<v1::Offer, Vec<Problem>> {
    let mut check = Check::new(line);
    let [
        offer_id,
        kind,
        title,
        description,
        destination,
        image_url,
        price,
        sale_price,
        currency,
        category,
        country_codes,
        gtin,
        brand,
        availability,
        code,
        start_time,
        end_time,
    ] = cells;
    for (column, cell) in [
        ("offer_id", &offer_id),
        ("kind", &kind),
        ("title", &title),
        ("destination", &destination),
    ] {
        check.needed(column, cell.is_none(), cell.as_ref());
    }
    if currency.is_none() && (price.is_some() || sale_price.is_some()) {
        check.broken("currency", "is empty; a price needs it");
    }
    let currency = currency.unwrap_or_default();
    let mut money = |column: &'static str, cell: Option<String>| {
        // Without a currency that is the one problem.
        let cell = cell.filter(|_| !currency.is_empty());
        let parse = |text: &str| Money::parse(text, &currency).map_err(|why| why.to_string());
        check.read(column, cell, parse).map(v1::Money::from)
    };
    let price = money("price", price);
    let sale_price = money("sale_price", sale_price);
    let kind = check.read("kind", kind, |text| {
        let name = format!("OFFER_KIND_{}", text.to_uppercase());
        let known = OfferKind::from_str_name(&name).filter(|kind| *kind != OfferKind::Unspecified);
        known.ok_or_else(|| "none of PRODUCT, PROMOTION, CODE".to_owned())
    });
    let availability = check.read("availability", availability, |text| {
        let name = format!("OFFER_AVAILABILITY_{}", text.to_uppercase());
        OfferAvailability::from_str_name(&name)
            .ok_or_else(|| "none of IN_STOCK, OUT_OF_STOCK, PREORDER, BACKORDER".to_owned())
    });
    let mut instant = |column: &'static str, cell: Option<String>| {
        let micros = check.read(column, cell, sheet::instant);
        micros.map(timestamp)
    };
    let start_time = instant("start_time", start_time);
    let end_time = instant("end_time", end_time);
    if !check.problems.is_empty() {
        return Err(check.problems);
    }
    let countries = country_codes.unwrap_or_default();
    Ok(v1::Offer {
        offer_id: offer_id.unwrap_or_default(),
        kind: kind.unwrap_or_default().into(),
        title: title.unwrap_or_default(),
        description: description.unwrap_or_default(),
        destination: destination.unwrap_or_default(),
        image_url: image_url.unwrap_or_default(),
        price,
        sale_price,
        category: category.unwrap_or_default(),
        country_codes: countries.split_whitespace().map(str::to_owned).collect(),
        gtin: gtin.unwrap_or_default(),
        brand: brand.unwrap_or_default(),
        availability: availability.unwrap_or_default().into(),
        code: code.unwrap_or_default(),
        start_time,
        end_time,
    })
}
