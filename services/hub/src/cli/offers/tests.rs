use hansa_client::hub::FieldViolation;
use hansa_proto::v1::{self, OfferAvailability, OfferKind, offer_change::Change};

use super::{changes, put, rows, show};
use crate::cli::sheet::Form;

#[test]
fn both_forms_of_a_file_are_the_same_offers() {
    let csv = "title,offer_id,kind,destination,price,sale_price,currency,country_codes,availability,end_time\n\
               \"Shoe, left\",s-1,product,https://shop.example/,80.00,60.5,EUR,DE AT,IN_STOCK,2026-12-01T00:00:00+01:00\n\
               Spring,p-1,PROMOTION,https://shop.example/,,,,,,\n";
    let jsonl = "{\"offer_id\":\"s-1\",\"kind\":\"PRODUCT\",\"title\":\"Shoe, left\",\"destination\":\"https://shop.example/\",\
                 \"price\":\"80.00\",\"sale_price\":\"60.50\",\"currency\":\"EUR\",\"country_codes\":\"DE AT\",\
                 \"availability\":\"IN_STOCK\",\"end_time\":\"2026-11-30T23:00:00Z\"}\n\n\
                 {\"offer_id\":\"p-1\",\"kind\":\"promotion\",\"title\":\"Spring\",\"destination\":\"https://shop.example/\"}\n";
    let from_csv = rows::read(csv.as_bytes(), Form::Csv).unwrap();
    let from_json = rows::read(jsonl.as_bytes(), Form::Jsonl).unwrap();
    let offers = |rows: &[rows::Row]| rows.iter().map(|(_, o)| o.clone()).collect::<Vec<_>>();
    assert_eq!(offers(&from_csv), offers(&from_json));
    let lines = |rows: &[rows::Row]| rows.iter().map(|(line, _)| *line).collect::<Vec<_>>();
    assert_eq!(
        (lines(&from_csv), lines(&from_json)),
        (vec![2, 3], vec![1, 3])
    );
    let (_, shoe) = &from_csv[0];
    assert_eq!(shoe.price.as_ref().unwrap().micros, 80_000_000);
    assert_eq!(shoe.sale_price.as_ref().unwrap().micros, 60_500_000);
    assert_eq!(shoe.country_codes, ["DE", "AT"]);
    assert_eq!(shoe.availability(), OfferAvailability::InStock);
    assert_eq!(from_csv[1].1.kind(), OfferKind::Promotion);
}

#[test]
fn every_problem_of_a_file_is_told_with_line_and_column() {
    let csv = "offer_id,kind,title,destination,price,currency,availability,start_time\n\
               a,thing,T,https://shop.example/,1.2345678,EUR,maybe,yesterday\n\
               ,PRODUCT,,,5,,,\n\
               b,CODE,T,https://shop.example/,,,,\n\
               b,CODE,T,https://shop.example/,,,,\n";
    let problems = rows::read(csv.as_bytes(), Form::Csv).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|p| (p.line, p.column.unwrap_or("-")))
        .collect();
    let expected = [
        (2, "price"),
        (2, "kind"),
        (2, "availability"),
        (2, "start_time"),
        (3, "offer_id"),
        (3, "title"),
        (3, "destination"),
        (3, "currency"),
        (5, "offer_id"),
    ];
    assert_eq!(told, expected);
    let missing = rows::read("offer_id,kind\n".as_bytes(), Form::Csv).unwrap_err();
    assert_eq!(missing[0].text, "the column title is missing");
}

#[test]
fn what_the_hub_refuses_is_told_by_line() {
    let rows = vec![(2, v1::Offer::default()), (7, v1::Offer::default())];
    let problem = |field: &str| {
        let violation = FieldViolation {
            field: field.into(),
            description: "LENGTH: too long".into(),
        };
        put::problem(&violation, &rows).map(|problem| (problem.line, problem.column))
    };
    assert_eq!(problem("offers[1].title"), Some((7, Some("title"))));
    assert_eq!(problem("offers[0]"), Some((2, None)));
    assert_eq!(problem("offers[2].title"), None);
    assert_eq!(problem("merchant_id"), None);
}

#[test]
fn earnings_are_told_in_a_line() {
    let euros = |micros| {
        Some(v1::Money {
            currency_code: "EUR".into(),
            micros,
        })
    };
    let earning = |countries: &[&str], share_bps, fixed| v1::OfferEarning {
        country_codes: countries.iter().map(|code| (*code).to_owned()).collect(),
        share_bps,
        fixed: euros(fixed),
        ..v1::OfferEarning::default()
    };
    let told = show::earnings(&[
        earning(&["DE", "AT"], 550, 1_000_000),
        earning(&["FR"], 800, 0),
    ]);
    assert_eq!(told, "5.50 % + 1.00 EUR (DE AT), 8 % (FR)");
    assert_eq!(show::earnings(&[]), "");
}

#[test]
fn answers_are_joined_so_that_merchants_that_go_later_take_nothing_with_them_that_comes_later() {
    let withdrawn = |merchant: &str, offer: &str| v1::OfferChange {
        change: Some(Change::Withdrawn(v1::WithdrawnOffer {
            merchant_id: merchant.into(),
            offer_id: offer.into(),
            ..v1::WithdrawnOffer::default()
        })),
    };
    let answer = |gone: &[&str], changes: Vec<v1::OfferChange>| v1::ListOfferChangesResponse {
        withdrawn_merchant_ids: gone.iter().map(|id| (*id).to_owned()).collect(),
        changes,
        next_cursor: "c".into(),
        has_more: false,
    };
    let mut told = answer(&["a"], vec![withdrawn("b", "1"), withdrawn("c", "2")]);
    changes::join(&mut told, answer(&["b", "a"], vec![withdrawn("b", "3")]));
    let expected = answer(&["a", "b"], vec![withdrawn("c", "2"), withdrawn("b", "3")]);
    assert_eq!(told, expected);
}
