//! Payment orders: their files byte for byte, and all that is wrong with one at once.
//!
//! `tests/golden` has the files; `HANSA_GOLDEN=write` writes them anew. `tests/python/test_bank_files.py` holds them against the
//! published schema of pain.001.001.09.

mod common;

use common::{golden_order, party, payment};
use hansa_bank::{
    Account, Address, Characters, CheckedOrder, Payment, PaymentOrder, Rule, Scheme, Violations,
};
use hansa_money::Currency;
use proptest::prelude::*;

fn checked(order: &PaymentOrder) -> CheckedOrder {
    order.check().expect("a good order")
}

/// The bytes that a file must have.
fn check_golden(name: &str, found: &[u8]) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("HANSA_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(&path, found).expect("golden file");
    }
    let golden = std::fs::read(&path).expect("golden file");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(found), text(&golden), "{name}");
}

fn violations(order: &PaymentOrder) -> Vec<String> {
    let Violations(all) = order.check().expect_err("a bad order");
    all.iter()
        .map(|v| format!("{} {}", v.rule.code(), v.field))
        .collect()
}

/// Everything that an order can have, at the longest it may be.
fn full_order() -> PaymentOrder {
    let long = |c: &str, length| c.repeat(length);
    let address = Address {
        street: Some(long("s", 70)),
        building_number: Some(long("1", 16)),
        postcode: Some(long("9", 16)),
        town: long("t", 35),
        country: "US".to_owned(),
    };
    let dollars = Currency::new("USD").expect("a currency");
    let mut first = payment(
        "A",
        999_999_999_999_999,
        party("Fischmarkt & Söhne", "Große Straße", "1", "Kraków", "PL"),
        "",
    );
    first.creditor_account = Account::other("12345678-90", Some("CUID"));
    first.creditor_agent = Some("CHASUS33".to_owned());
    first.creditor_reference = Some("RF18539007547034".to_owned());
    first.remittance = Some(long("x", 140));
    first.creditor.address = address;
    let mut second = payment(
        "T",
        1,
        party(&long("n", 70), "Ό Ωδός", "2", "Αθήνα", "GR"),
        "GR1601101250000000012300695",
    );
    second.remittance = None;
    second.end_to_end_id = "0123456789 abcDEF/-?:().,'+ABCDEFGH".to_owned();
    let mut third = payment(
        "F",
        50,
        party("Ресторан Щука", "ул. Ленина", "3", "София", "BG"),
        "BG80BNBG96611020345678",
    );
    third.remittance = None;
    third.creditor_reference = Some("RF18539007547034".to_owned());
    let mut payments = vec![first, second, third];
    for payment in &mut payments {
        payment.currency = dollars;
    }
    PaymentOrder {
        message_id: long("M", 35),
        initiating_party: "Hansa <Clearing>".to_owned(),
        debtor_account: Account::other("0532013000", None),
        scheme: Scheme::Other,
        batch_booking: None,
        characters: Characters::ConvertGerman,
        payments,
        ..golden_order()
    }
}

#[test]
fn the_golden_cycle_makes_the_golden_file() {
    let order = checked(&golden_order());
    assert_eq!((order.count(), order.sum_minor()), (2, 506));
    check_golden("pain001-golden-cycle.xml", &order.pain001());
    check_golden("payments-golden-cycle.csv", &order.payment_list());
}

#[test]
fn an_order_with_everything_makes_its_golden_file() {
    let order = checked(&full_order());
    check_golden("pain001-everything.xml", &order.pain001());
    check_golden("payments-everything.csv", &order.payment_list());
}

#[test]
fn currencies_have_their_own_decimals() {
    let mut order = golden_order();
    order.scheme = Scheme::Other;
    order.debtor_agent = None;
    for payment in &mut order.payments {
        payment.currency = Currency::new("JPY").unwrap();
    }
    let xml = String::from_utf8(checked(&order).pain001()).unwrap();
    assert!(
        xml.contains("<InstdAmt Ccy=\"JPY\">344</InstdAmt>"),
        "{xml}"
    );
    assert!(xml.contains("<CtrlSum>506</CtrlSum>"), "{xml}");
    assert!(xml.contains("<Id>NOTPROVIDED</Id>"), "{xml}");
    check_golden("pain001-yen.xml", xml.as_bytes());
}

#[test]
fn all_violations_come_at_once() {
    let mut order = golden_order();
    order.message_id = "/A//B ".to_owned();
    order.initiating_party = " ".to_owned();
    order.debtor.address.country = "ZZ".to_owned();
    order.debtor.address.town = "x".repeat(36);
    order.debtor_account = Account::iban("DE89370400440532013001");
    order.debtor_agent = Some("COBADEFFXX".to_owned());
    order.execution_date = "2026-03-30".parse().unwrap();
    order.payments[0].amount_minor = 0;
    order.payments[0].creditor.name = "北京".to_owned();
    order.payments[0].creditor_account = Account::other("12345678", None);
    order.payments[1].end_to_end_id = order.payments[0].end_to_end_id.clone();
    order.payments[1].currency = Currency::new("USD").unwrap();
    order.payments[1].creditor_reference = Some("RF19539007547034".to_owned());
    assert_eq!(
        violations(&order),
        [
            "SPACES message_id",
            "SLASH message_id",
            "MISSING initiating_party",
            "TOO_LONG debtor.address.town",
            "COUNTRY debtor.address.country",
            "ACCOUNT debtor_account",
            "BIC debtor_agent",
            "DATE execution_date",
            "AMOUNT payments[0].amount_minor",
            "CHARACTER payments[0].creditor.name",
            "SEPA_ACCOUNT payments[0].creditor_account",
            "BIC_NEEDED payments[0].creditor_agent",
            "DUPLICATE payments[1].end_to_end_id",
            "MIXED_CURRENCIES payments[1].currency",
            "SEPA_CURRENCY payments[1].currency",
            "CREDITOR_REFERENCE payments[1].creditor_reference",
            "SEPA_REMITTANCE payments[1].remittance",
        ]
    );
    let text = order.check().unwrap_err().to_string();
    assert!(
        text.contains("payments[1].end_to_end_id: \"HANSA-2026-03-A\" is that of payments[0], too"),
        "{text}"
    );
    order.payments.clear();
    assert!(violations(&order).contains(&"NO_PAYMENTS payments".to_owned()));
}

#[test]
fn identifiers_are_never_converted() {
    for (id, rule) in [
        ("", "MISSING"),
        ("Zyklus März", "CHARACTER"),
        ("a&b", "CHARACTER"),
        ("a\nb", "CHARACTER"),
        (" a", "SPACES"),
        ("/a", "SLASH"),
        ("a/", "SLASH"),
        ("a//b", "SLASH"),
        ("123456789012345678901234567890123456", "TOO_LONG"),
    ] {
        let mut order = golden_order();
        order.payments[0].instruction_id = id.to_owned();
        assert_eq!(
            violations(&order),
            [format!("{rule} payments[0].instruction_id")],
            "{id}"
        );
    }
}

#[test]
fn names_are_converted_as_asked_or_refused() {
    let name_with = |characters, name: &str| {
        let mut order = golden_order();
        order.characters = characters;
        order.payments[0].creditor.name = name.to_owned();
        order
            .check()
            .map(|checked| checked.order().payments[0].creditor.name.clone())
    };
    let name = "Müller & Söhne, Straße \"7\"";
    assert_eq!(
        name_with(Characters::Convert, name).as_deref(),
        Ok("Muller + Sohne, Strase '7'")
    );
    assert_eq!(
        name_with(Characters::ConvertGerman, name).as_deref(),
        Ok("Mueller + Soehne, Strasse '7'")
    );
    let refused = name_with(Characters::Refuse, name).unwrap_err();
    assert_eq!(refused.0[0].rule, Rule::Character('ü'));
    for name in ["Łódź", "Dvořák", "Ça va?", "O'Neill-Smith (2)"] {
        assert!(name_with(Characters::Convert, name).is_ok(), "{name}");
    }
    // Nobody could read what would be left of these.
    for name in ["東京", "مخبز", "Café 東京", "a\u{7}b"] {
        let refused = name_with(Characters::Convert, name).unwrap_err();
        assert_eq!(refused.0[0].rule.code(), "CHARACTER", "{name}");
    }
    // The length is that of what is written: 36 umlauts become 72 letters.
    let refused = name_with(Characters::ConvertGerman, &"ü".repeat(36)).unwrap_err();
    assert_eq!(refused.0[0].rule, Rule::TooLong { found: 72, max: 70 });
    assert!(name_with(Characters::Convert, &"ü".repeat(36)).is_ok());
}

#[test]
fn accounts_and_banks_are_checked() {
    for iban in [
        "DE89370400440532013000",
        "GB29NWBK60161331926819",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "FR1420041010050500013M02606",
        "CH9300762011623852957",
        "SE4550000000058398257466",
    ] {
        assert_eq!(Account::iban(iban).check(), Ok(()), "{iban}");
        // One digit less, and one wrong.
        let short = Account::Iban(iban[..iban.len() - 1].to_owned());
        assert!(short.check().is_err(), "{iban}");
        let last = if iban.ends_with('7') { "8" } else { "7" };
        let wrong = Account::Iban(format!("{}{last}", &iban[..iban.len() - 1]));
        assert!(wrong.check().is_err(), "{iban}");
    }
    for text in [
        "",
        "DE89 3704 0044 0532 0130 00",
        "de89370400440532013000",
        "XX82WEST12345698765432",
        "DE00370400440532013000",
    ] {
        assert!(Account::Iban(text.to_owned()).check().is_err(), "{text}");
    }
    for (id, scheme, good) in [
        ("0532013000", None, true),
        ("12-34/5", Some("BBAN"), true),
        ("12345678901234567890123456789012345", None, false),
        ("", None, false),
        ("a&b", None, false),
        ("1", Some("bban"), false),
        ("1", Some("BBANS"), false),
    ] {
        assert_eq!(
            Account::other(id, scheme).check().is_ok(),
            good,
            "{id} {scheme:?}"
        );
    }
    for (bic, good) in [
        ("COBADEFFXXX", true),
        ("COBADEFF", true),
        ("E097AEXX", true),
        ("COBAZZFF", false),
        ("COBADEFFX", false),
        ("cobadeff", false),
        ("NOTPROVIDED", false),
    ] {
        assert_eq!(hansa_bank::check_bic(bic).is_ok(), good, "{bic}");
    }
}

#[test]
fn amounts_stay_within_the_scheme_and_the_format() {
    let mut order = golden_order();
    order.payments[0].amount_minor = 99_999_999_999;
    assert!(order.check().is_ok());
    order.payments[0].amount_minor += 1;
    assert_eq!(violations(&order), ["AMOUNT payments[0].amount_minor"]);
    order.scheme = Scheme::Other;
    assert!(order.check().is_ok());
    order.payments[0].amount_minor = 999_999_999_999_999_999;
    assert_eq!(violations(&order), ["SUM payments"]);
    order.payments[0].amount_minor = i64::MAX;
    order.payments[1].amount_minor = i64::MAX;
    assert_eq!(
        violations(&order),
        [
            "AMOUNT payments[0].amount_minor",
            "AMOUNT payments[1].amount_minor",
            "SUM payments"
        ]
    );
}

#[test]
fn a_list_carries_no_formula() {
    let mut order = golden_order();
    order.payments[0].creditor.name = "+1-2".to_owned();
    order.payments[0].remittance = Some("-a, b".to_owned());
    let list = String::from_utf8(checked(&order).payment_list()).unwrap();
    let row = list.lines().nth(1).unwrap();
    assert!(row.contains(",'+1-2,"), "{row}");
    assert!(row.contains(",\"'-a, b\","), "{row}");
}

proptest! {
    /// Whatever texts come in: violations, or a file in the banks' characters with the right sum.
    #[test]
    fn any_text_is_refused_or_written_in_the_banks_characters(
        name in ".{0,80}",
        text in ".{0,150}",
        street in proptest::option::of(".{0,80}"),
        id in ".{0,40}",
        amounts in prop::collection::vec(1_i64..10_000_000, 1..5),
    ) {
        let mut order = golden_order();
        let creditor = order.payments[0].creditor.clone();
        order.payments = amounts
            .iter()
            .enumerate()
            .map(|(number, amount)| Payment {
                remittance: Some(text.clone()),
                ..payment(&format!("{number}-x"), *amount, creditor.clone(), "NL91ABNA0417164300")
            })
            .collect();
        order.payments[0].creditor.name = name;
        order.payments[0].creditor.address.street = street;
        order.payments[0].instruction_id = id;
        match order.check() {
            Err(Violations(all)) => prop_assert!(!all.is_empty()),
            Ok(checked) => {
                let sum: i64 = amounts.iter().sum();
                prop_assert_eq!(checked.sum_minor(), sum);
                let xml = String::from_utf8(checked.pain001()).unwrap();
                let total = format!("<CtrlSum>{}</CtrlSum>", hansa_bank::decimal(sum, Currency::EUR));
                prop_assert_eq!(xml.matches(&total).count(), 2);
                let swift = |c: char| c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c);
                let written = checked.order();
                for text in [&written.payments[0].creditor.name, &written.payments[0].instruction_id] {
                    prop_assert!(text.chars().all(swift), "{}", text);
                }
                prop_assert!(xml.is_ascii());
                prop_assert_eq!(checked.pain001(), order.check().unwrap().pain001());
            }
        }
    }
}
