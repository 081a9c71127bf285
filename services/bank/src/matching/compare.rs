//! Field by field: what is expected beside what the bank says.

use sepa::{Transliteration, transliterate};
use serde::{Deserialize, Serialize};

use super::{Direction, Expected};
use crate::{BankItem, amount::decimal};

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The instruction.
    pub instruction_id: String,
    /// The field.
    pub field: Field,
    /// What is expected.
    pub expected: String,
    /// What the bank says.
    pub found: String,
}

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Field {
    /// The amount. Of several items it is their sum.
    Amount,
    /// The currency.
    Currency,
    /// Whether money goes out or comes in.
    Direction,
    /// The other side's account.
    Account,
    /// The other side's name.
    Name,
    /// The end-to-end id.
    EndToEndId,
    /// The instruction id.
    InstructionId,
    /// The number of payments.
    Count,
}

impl Field {
    /// The name that people and programs see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Direction => "direction",
            Self::Account => "counterparty_account",
            Self::Name => "counterparty_name",
            Self::EndToEndId => "end_to_end_id",
            Self::InstructionId => "instruction_id",
            Self::Count => "count",
        }
    }

    /// Whether it matters for the money: such a difference is never accepted.
    #[must_use]
    pub fn matters(self) -> bool {
        match self {
            Self::Amount | Self::Currency | Self::Direction | Self::Account | Self::Count => true,
            Self::Name | Self::EndToEndId | Self::InstructionId => false,
        }
    }
}

/// All differences of an expectation and an item.
pub(super) fn compare(expected: &Expected, item: &BankItem) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differs = |field, expected_text: String, found: String| {
        differences.push(Difference {
            instruction_id: expected.instruction_id.clone(),
            field,
            expected: expected_text,
            found,
        });
    };
    if expected.currency != item.currency {
        differs(
            Field::Currency,
            expected.currency.to_string(),
            item.currency.to_string(),
        );
    }
    let (wanted, found) = (
        expected.amount_minor.unsigned_abs(),
        item.amount_minor.unsigned_abs(),
    );
    if wanted != found {
        differs(
            Field::Amount,
            decimal(wanted, expected.currency),
            decimal(found, item.currency),
        );
    }
    // A return goes the other way.
    let goes_out = (item.amount_minor < 0) != item.returned.is_some();
    let direction = |out| if out { "out" } else { "in" }.to_owned();
    if goes_out != (expected.direction == Direction::Out) {
        differs(
            Field::Direction,
            direction(expected.direction == Direction::Out),
            direction(item.amount_minor < 0),
        );
    }
    if let (Some(wanted), Some(found)) =
        (&expected.counterparty_account, &item.counterparty.account)
        && !wanted.is_same(found)
    {
        differs(Field::Account, wanted.to_string(), found.to_string());
    }
    if let (Some(wanted), Some(found)) = (&expected.counterparty_name, &item.counterparty.name)
        && !is_same_name(wanted, found)
    {
        differs(Field::Name, wanted.clone(), found.clone());
    }
    for (field, wanted, found) in [
        (
            Field::EndToEndId,
            &expected.end_to_end_id,
            &item.end_to_end_id,
        ),
        (
            Field::InstructionId,
            &expected.instruction_id,
            &item.instruction_id,
        ),
    ] {
        if let Some(found) = found.as_ref().filter(|found| *found != wanted) {
            differs(field, wanted.clone(), found.clone());
        }
    }
    differences
}

/// Whether two names are one: letters and digits only, in capitals, after either conversion; banks also cut names off, but not
/// to fewer than 20 of them.
pub(super) fn is_same_name(a: &str, b: &str) -> bool {
    [Transliteration::Epc, Transliteration::German]
        .iter()
        .any(|style| {
            let plain = |name: &str| -> String {
                let name = transliterate(name, *style);
                let kept = name.chars().filter(|c| c.is_ascii_alphanumeric());
                kept.map(|c| c.to_ascii_uppercase()).collect()
            };
            let (a, b) = (plain(a), plain(b));
            let shorter = a.len().min(b.len());
            a == b || (shorter >= 20 && a.get(..shorter) == b.get(..shorter))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_banks_write_them() {
        for (a, b) in [
            ("Fischmarkt & Söhne", "FISCHMARKT + SOEHNE"),
            ("Fischmarkt & Söhne", "Fischmarkt Sohne"),
            ("Alster Apotheke", "ALSTER-APOTHEKE"),
            (
                "Vereinigte Hanseatische Lagerhäuser GmbH",
                "Vereinigte Hanseatische Lagerha",
            ),
        ] {
            assert!(is_same_name(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("Alster Apotheke", "Alster"),
            ("Alster Apotheke", "Alster Apothekerin"),
            ("", "Alster"),
        ] {
            assert!(!is_same_name(a, b), "{a} {b}");
        }
    }
}
