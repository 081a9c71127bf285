//! What the finance commands read from the command line: exact amounts, dates, names of the contract.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hansa_proto::v1;
use rust_decimal::Decimal;

/// An exact amount in currency units, at most 6 decimals: `12.34` -> 12 340 000 micro-units.
pub(crate) fn amount(text: &str) -> Result<i64, String> {
    let wrong = || format!("\"{text}\" is no exact amount like 12.34 with at most 6 decimals");
    // Digits only: a decimal's own reader takes 1e3 too.
    if text.contains(['e', 'E']) {
        return Err(wrong());
    }
    let value: Decimal = text.parse().map_err(|_| wrong())?;
    let micros = value
        .checked_mul(Decimal::from(1_000_000))
        .ok_or_else(wrong)?
        .normalize();
    if micros.scale() != 0 {
        return Err(wrong());
    }
    i64::try_from(micros.mantissa()).map_err(|_| wrong())
}

/// A positive amount.
pub(crate) fn positive(text: &str) -> Result<i64, String> {
    match amount(text)? {
        micros @ 1.. => Ok(micros),
        _ => Err(format!("\"{text}\" is not more than 0")),
    }
}

/// A date of the calendar, `YYYY-MM-DD`.
pub(crate) fn date(text: &str) -> Result<String, String> {
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d");
    match date {
        Ok(date) if date.to_string() == text => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(format!("\"{text}\" is no date like 2026-03-31")),
    }
}

/// One of some names of the contract, as they are written there without their prefix; small letters are fine.
macro_rules! names {
    ($(#[$doc:meta])* $parser:ident: $type:ident, $prefix:literal, [$($name:literal),* $(,)?]) => {
        $(#[$doc])*
        pub(crate) fn $parser() -> impl TypedValueParser<Value = v1::$type> {
            PossibleValuesParser::new([$($name),*]).try_map(|name| {
                v1::$type::from_str_name(&format!(concat!($prefix, "{}"), name.to_uppercase()))
                    .ok_or("not a name of the contract")
            })
        }

        #[cfg(test)]
        mod $parser {
            /// Every name is one of the contract's, and none of the contract's is missing.
            #[test]
            fn names_are_those_of_the_contract() {
                let names: &[&str] = &[$($name),*];
                let known = (1..100).map_while(|n| hansa_proto::v1::$type::try_from(n).ok());
                let known: Vec<&str> = known
                    .map(|value| value.as_str_name().trim_start_matches($prefix))
                    .collect();
                assert_eq!(names, known);
            }
        }
    };
}

names! {
    /// How a settlement nets.
    method: NettingMethod, "NETTING_METHOD_",
    ["GROSS", "BILATERAL", "MULTILATERAL", "CYCLE_CLEARING", "MIN_TRANSFERS", "CLEARING_VECTOR"]
}
names! {
    /// State of a payment.
    payment_state: PaymentState, "PAYMENT_STATE_",
    [
        "PENDING", "SUBMITTED", "ACCEPTED", "SETTLED", "REJECTED", "RETURNED", "CARRIED_FORWARD",
        "REINSTRUCTED",
    ]
}
names! {
    /// State of a proposal.
    proposal_state: ProposalState, "PROPOSAL_STATE_",
    ["PENDING", "APPROVED", "REJECTED", "WITHDRAWN"]
}
names! {
    /// State of an exception.
    exception_state: ExceptionState, "EXCEPTION_STATE_",
    ["OPEN", "MATCHED", "EXPLAINED", "ADJUSTED"]
}
names! {
    /// State of a dispute.
    dispute_state: DisputeState, "DISPUTE_STATE_",
    ["RAISED", "ACCEPTED", "REJECTED", "ESCALATED", "RULED", "LAPSED"]
}
names! {
    /// What is wrong with a commission.
    query_kind: QueryKind, "QUERY_KIND_",
    ["UNTRACKED", "INCORRECT", "DECLINED"]
}
names! {
    /// State of a query.
    query_state: QueryState, "QUERY_STATE_",
    ["RAISED", "ACCEPTED", "REJECTED", "ESCALATED", "RULED", "LAPSED"]
}
names! {
    /// Why an adjustment is made.
    adjustment_reason: AdjustmentReason, "ADJUSTMENT_REASON_",
    [
        "LATE_MESSAGE", "ERRONEOUS_MESSAGE", "MISSING_MESSAGE", "WRONG_TERMS", "DISPUTE", "RECONCILIATION",
        "COMPROMISED_KEY", "GOODWILL", "DEFAULT_LOSS", "COMMISSION_QUERY",
    ]
}
names! {
    /// Form of a payment file.
    file_format: PaymentFileFormat, "PAYMENT_FILE_FORMAT_",
    ["PAIN_001", "CSV"]
}
names! {
    /// Form of a bank's file.
    report_format: BankReportFormat, "BANK_REPORT_FORMAT_",
    ["PAIN_002", "CAMT_054", "CAMT_053", "CSV"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for (text, micros) in [
            ("12.34", 12_340_000),
            ("-0.000001", -1),
            ("3", 3_000_000),
            ("0", 0),
            ("1.500000000", 1_500_000),
        ] {
            assert_eq!(amount(text), Ok(micros), "{text}");
        }
        for text in [
            "",
            "1,5",
            "0.0000001",
            "1e3",
            "9223372036855",
            "EUR 1",
            "99999999999999999999999999999",
        ] {
            assert!(amount(text).is_err(), "{text}");
        }
        assert!(positive("0").is_err() && positive("-1").is_err());
        assert_eq!(positive("0.01"), Ok(10_000));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date("2026-02-28").as_deref(), Ok("2026-02-28"));
        for text in ["2026-02-29", "2026-2-28", "28.02.2026", ""] {
            assert!(date(text).is_err(), "{text}");
        }
    }
}
