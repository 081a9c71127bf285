//! Whether an offer is one: every field checked, violations told together, up to as many as a refusal lists.

use std::collections::{HashMap, HashSet};

use hansa_client::{money::Money, time};
use hansa_proto::v1::{self, OfferAvailability, OfferKind};
use hansa_store::NewOffer;
use prost::Message as _;

use super::MAX_OFFERS;
use crate::{
    convert::Fields,
    error::HubError,
    touches::destination::{Destination, DestinationError},
};

/// Longest id. Unit: bytes.
const MAX_ID: usize = 128;
/// Longest title. Unit: bytes.
const MAX_TITLE: usize = 256;
/// Longest description. Unit: bytes.
const MAX_DESCRIPTION: usize = 4_000;
/// Longest category and brand. Unit: bytes; as rate cards have it.
const MAX_NAME: usize = 128;
/// Longest code. Unit: bytes; as codes of affiliates have it.
const MAX_CODE: usize = 64;
/// Countries of one offer.
const MAX_COUNTRIES: usize = 60;

/// Checks offers and writes them as they are kept.
///
/// # Errors
/// All violations; then none of them is to be kept.
pub fn offers(offers: Vec<v1::Offer>) -> Result<Vec<NewOffer>, HubError> {
    let mut fields = Fields::default();
    if offers.is_empty() || offers.len() > MAX_OFFERS {
        return Err(HubError::field("offers", "COUNT", "1 to 1 000 in a call"));
    }
    let mut first: HashMap<String, usize> = HashMap::with_capacity(offers.len());
    let mut read = Vec::with_capacity(offers.len());
    for (index, offer) in offers.into_iter().enumerate() {
        let mut check = Check {
            at: format!("offers[{index}]"),
            fields: &mut fields,
        };
        if let Some(first) = first.get(&offer.offer_id) {
            let text = format!("the same as that of offers[{first}]; an offer is there once");
            check.broken("offer_id", "DUPLICATE", text);
        }
        let checked = check.offer(offer);
        first.insert(checked.offer_id.clone(), index);
        read.push(NewOffer {
            kind: u8::try_from(checked.kind).unwrap_or(0),
            category: checked.category.clone(),
            content: checked.encode_to_vec().into(),
            offer: checked.offer_id,
        });
        if fields.is_full() {
            break;
        }
    }
    fields.finish(read)
}

/// Checks ids of offers.
///
/// # Errors
/// All violations.
pub fn ids(ids: &[String]) -> Result<(), HubError> {
    let mut fields = Fields::default();
    if ids.is_empty() || ids.len() > MAX_OFFERS {
        fields.broken("offer_ids", "COUNT", "1 to 1 000 in a call");
    }
    for (index, id) in ids.iter().enumerate().take(MAX_OFFERS) {
        let mut check = Check {
            at: format!("offer_ids[{index}]"),
            fields: &mut fields,
        };
        check.text("", id, 1, MAX_ID);
        if fields.is_full() {
            break;
        }
    }
    fields.finish(())
}

/// Collects what is wrong with one offer.
struct Check<'a> {
    at: String,
    fields: &'a mut Fields,
}

impl Check<'_> {
    fn broken(&mut self, name: &str, reason: &'static str, text: impl Into<String>) {
        let field = match name {
            "" => self.at.clone(),
            name => format!("{}.{name}", self.at),
        };
        self.fields.broken(&field, reason, text);
    }

    /// The offer as it is kept: what means the same is written the same way.
    fn offer(&mut self, offer: v1::Offer) -> v1::Offer {
        self.text("offer_id", &offer.offer_id, 1, MAX_ID);
        self.text("title", &offer.title, 1, MAX_TITLE);
        self.text("category", &offer.category, 0, MAX_NAME);
        self.text("brand", &offer.brand, 0, MAX_NAME);
        self.description(&offer.description);
        self.kind(&offer);
        self.prices(&offer);
        self.countries(&offer.country_codes);
        if !offer.gtin.is_empty() && !is_gtin(&offer.gtin) {
            let text = "8, 12, 13 or 14 digits, the last one a check digit; or nothing";
            self.broken("gtin", "GTIN", text);
        }
        if OfferAvailability::try_from(offer.availability).is_err() {
            let text = "IN_STOCK, OUT_OF_STOCK, PREORDER or BACKORDER, or nothing";
            self.broken("availability", "UNKNOWN", text);
        }
        let destination = self.url("destination", &offer.destination);
        let image_url = match offer.image_url.as_str() {
            "" => String::new(),
            url => self.url("image_url", url),
        };
        let start = self.instant("start_time", offer.start_time.as_ref());
        let end = self.instant("end_time", offer.end_time.as_ref());
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            self.broken("end_time", "OUT_OF_RANGE", "later than start_time");
        }
        v1::Offer {
            destination,
            image_url,
            start_time: start.map(time::timestamp),
            end_time: end.map(time::timestamp),
            ..offer
        }
    }

    fn text(&mut self, name: &str, text: &str, min: usize, max: usize) {
        let clean = !text.chars().any(char::is_control) && text.trim() == text;
        if !clean || !(min..=max).contains(&text.len()) {
            let text = format!(
                "{min} to {max} bytes without control characters and without a space at either end"
            );
            self.broken(name, "LENGTH", text);
        }
    }

    fn description(&mut self, text: &str) {
        let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.len() > MAX_DESCRIPTION || text.chars().any(is_bad) {
            let text = "at most 4 000 bytes; of control characters only line breaks and tabs";
            self.broken("description", "LENGTH", text);
        }
    }

    fn kind(&mut self, offer: &v1::Offer) {
        let kind = OfferKind::try_from(offer.kind).unwrap_or(OfferKind::Unspecified);
        match kind {
            OfferKind::Unspecified => {
                self.broken("kind", "REQUIRED", "PRODUCT, PROMOTION or CODE");
            }
            OfferKind::Product if offer.price.is_none() => {
                self.broken("price", "REQUIRED", "say what the product costs");
            }
            OfferKind::Code => self.text("code", &offer.code, 1, MAX_CODE),
            OfferKind::Product | OfferKind::Promotion => {}
        }
        if kind != OfferKind::Code && !offer.code.is_empty() {
            let text = "only a CODE has one; leave it empty";
            self.broken("code", "CODE", text);
        }
    }

    fn prices(&mut self, offer: &v1::Offer) {
        let price = self.money("price", offer.price.as_ref());
        let sale = self.money("sale_price", offer.sale_price.as_ref());
        if offer.sale_price.is_some() && offer.price.is_none() {
            self.broken("sale_price", "PRICE", "needs a price that it is below");
        }
        if let (Some(price), Some(sale)) = (price, sale)
            && (sale.currency() != price.currency() || sale.micros() >= price.micros())
        {
            let text = "below price, in the same currency; or nothing";
            self.broken("sale_price", "PRICE", text);
        }
    }

    fn money(&mut self, name: &str, money: Option<&v1::Money>) -> Option<Money> {
        let money = money?;
        match Money::from_micros(money.micros, &money.currency_code) {
            Ok(amount) if amount.micros() >= 0 => Some(amount),
            Ok(_) => {
                self.broken(name, "AMOUNT", "an amount that is not negative");
                None
            }
            Err(why) => {
                self.broken(name, "AMOUNT", why.to_string());
                None
            }
        }
    }

    fn countries(&mut self, countries: &[String]) {
        let is_code =
            |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        let distinct: HashSet<&String> = countries.iter().collect();
        if countries.len() > MAX_COUNTRIES
            || distinct.len() < countries.len()
            || !countries.iter().all(is_code)
        {
            let text = "two upper-case letters each, like DE; each once, at most 60";
            self.broken("country_codes", "COUNTRY_FORMAT", text);
        }
    }

    /// A URL as it is kept.
    fn url(&mut self, name: &str, text: &str) -> String {
        let why = match Destination::parse(text) {
            Ok(url) if url.plain().starts_with("https:") => return url.plain().to_owned(),
            Ok(_) | Err(DestinationError::Scheme) => "the URL must begin with https://".to_owned(),
            Err(why) => format!("the URL {why}"),
        };
        self.broken(name, "URL", why);
        String::new()
    }

    fn instant(&mut self, name: &str, at: Option<&prost_types::Timestamp>) -> Option<i64> {
        let micros = time::micros(at?);
        if micros.is_none() {
            let text = "an instant of the years 1970-9999";
            self.broken(name, "OUT_OF_RANGE", text);
        }
        micros
    }
}

/// Whether a text is a global trade item number: digits that weigh 3 and 1 in turn from the right, with the check digit a
/// multiple of 10 (GS1 General Specifications, 7.9.1).
fn is_gtin(text: &str) -> bool {
    if !matches!(text.len(), 8 | 12 | 13 | 14) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let weighed = text.bytes().rev().zip([1_u32, 3].into_iter().cycle());
    let sum: u32 = weighed
        .map(|(b, weight)| u32::from(b - b'0') * weight)
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euros(micros: i64) -> Option<v1::Money> {
        Some(v1::Money {
            currency_code: "EUR".into(),
            micros,
        })
    }

    fn product() -> v1::Offer {
        v1::Offer {
            offer_id: "shoe-42".into(),
            kind: OfferKind::Product.into(),
            title: "Shoe".into(),
            description: "Left\nand right".into(),
            destination: "https://shop.example/shoe?hansa_click=x".into(),
            price: euros(80_000_000),
            sale_price: euros(60_000_000),
            category: "shoes".into(),
            country_codes: vec!["DE".into(), "AT".into()],
            gtin: "4006381333931".into(),
            start_time: Some(time::timestamp(1_000)),
            end_time: Some(time::timestamp(2_000)),
            ..v1::Offer::default()
        }
    }

    /// The fields that break a rule, without the place of the offer.
    fn broken(change: impl FnOnce(&mut v1::Offer)) -> Vec<String> {
        let mut offer = product();
        change(&mut offer);
        let refused = offers(vec![offer]).err();
        let fields = refused.map(|error| error.fields).unwrap_or_default();
        let name = |field: &str| field.trim_start_matches("offers[0].").to_owned();
        fields.iter().map(|one| name(&one.field)).collect()
    }

    #[test]
    fn an_offer_is_kept_as_it_was_written_without_a_click_id() {
        let kept = offers(vec![product()]).unwrap();
        let mut expected = product();
        expected.destination = "https://shop.example/shoe".into();
        let content = v1::Offer::decode(kept[0].content.clone()).unwrap();
        assert_eq!(content, expected);
        assert_eq!((kept[0].offer.as_str(), kept[0].kind), ("shoe-42", 1));
        assert_eq!(kept[0].category, "shoes");
    }

    #[test]
    fn every_field_has_its_bounds() {
        for (change, field) in [
            ((|o| o.offer_id.clear()) as fn(&mut v1::Offer), "offer_id"),
            (|o| o.offer_id = "x".repeat(129), "offer_id"),
            (|o| o.offer_id = " a".into(), "offer_id"),
            (|o| o.offer_id = "a\0".into(), "offer_id"),
            (|o| o.kind = 0, "kind"),
            (|o| o.kind = 9, "kind"),
            (|o| o.title.clear(), "title"),
            (|o| o.title = "x".repeat(257), "title"),
            (|o| o.description = "x".repeat(4_001), "description"),
            (|o| o.description = "\u{7}".into(), "description"),
            (|o| o.destination.clear(), "destination"),
            (
                |o| o.destination = "http://shop.example/".into(),
                "destination",
            ),
            (|o| o.destination = "javascript:x".into(), "destination"),
            (
                |o| o.destination = "https://u:p@shop.example/".into(),
                "destination",
            ),
            (|o| o.image_url = "shoe.png".into(), "image_url"),
            (|o| o.price = None, "price"),
            (|o| o.price = euros(-1), "price"),
            (|o| o.price = euros(i64::MAX), "price"),
            (|o| o.sale_price = euros(80_000_000), "sale_price"),
            (
                |o| o.sale_price.as_mut().unwrap().currency_code = "eur".into(),
                "sale_price",
            ),
            (
                |o| o.sale_price.as_mut().unwrap().currency_code = "USD".into(),
                "sale_price",
            ),
            (|o| o.category = "x".repeat(129), "category"),
            (|o| o.country_codes[0] = "de".into(), "country_codes"),
            (|o| o.country_codes[0] = "AT".into(), "country_codes"),
            (|o| o.gtin = "4006381333932".into(), "gtin"),
            (|o| o.gtin = "123".into(), "gtin"),
            (|o| o.brand = "a\n".into(), "brand"),
            (|o| o.availability = 9, "availability"),
            (|o| o.code = "SPRING".into(), "code"),
            (|o| o.kind = OfferKind::Code.into(), "code"),
            (|o| o.start_time.as_mut().unwrap().nanos = -1, "start_time"),
            (|o| o.end_time = Some(time::timestamp(1_000)), "end_time"),
        ] {
            let fields = broken(change);
            assert!(
                fields.iter().any(|broken| broken == field),
                "{field}: {fields:?}"
            );
        }
    }

    #[test]
    fn promotions_and_codes_need_no_price() {
        let fields = broken(|offer| {
            offer.kind = OfferKind::Promotion.into();
            offer.price = None;
            offer.sale_price = None;
        });
        assert_eq!(fields, [""; 0]);
        let fields = broken(|offer| {
            offer.kind = OfferKind::Code.into();
            offer.code = "SPRING".into();
        });
        assert_eq!(fields, [""; 0]);
    }

    #[test]
    fn all_violations_are_told_at_once_up_to_a_bound() {
        let fields = broken(|offer| {
            offer.title.clear();
            offer.gtin = "1".into();
            offer.destination.clear();
        });
        assert_eq!(fields, ["title", "gtin", "destination"]);
        let twice = offers(vec![product(), product()]).unwrap_err();
        assert_eq!(twice.fields[0].field, "offers[1].offer_id");
        let many = offers(vec![v1::Offer::default(); MAX_OFFERS]).unwrap_err();
        assert!(
            (50..70).contains(&many.fields.len()),
            "{}",
            many.fields.len()
        );
        assert_eq!(offers(Vec::new()).unwrap_err().fields[0].field, "offers");
        let too_many = vec![product(); MAX_OFFERS + 1];
        assert_eq!(offers(too_many).unwrap_err().fields[0].field, "offers");
    }

    #[test]
    fn ids_are_checked_too() {
        assert!(ids(&["a".into(), "b".into()]).is_ok());
        for bad in [vec![], vec![String::new()], vec!["a\0".into()]] {
            assert!(ids(&bad).is_err(), "{bad:?}");
        }
        assert!(ids(&vec!["a".to_owned(); MAX_OFFERS + 1]).is_err());
    }

    #[test]
    fn item_numbers_have_a_check_digit() {
        for good in [
            "96385074",
            "036000291452",
            "4006381333931",
            "10614141000415",
        ] {
            assert!(is_gtin(good), "{good}");
        }
        for bad in ["96385075", "036000291453", "", "400638133393\u{0661}", "0"] {
            assert!(!is_gtin(bad), "{bad}");
        }
    }
}
