//! An alliance as a TOML file: what `hansa apply` reads, and the terms of a replay.
//!
//! The file says what shall be, in the words of the protos; [`AllianceFile::alliance`] makes a `v1::Alliance` of it.
//! Unknown keys, numbers that are not exact and words that are not known are refused with their line. Nothing here
//! fills in the hub's defaults: what the file leaves out stays as it is in the alliance, or gets the default when
//! it is new. `deploy/alliance.example.toml` shows every key.

mod affiliate;
mod bank;
mod programme;
mod terms;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use hansa_proto::v1::{self, promotion::Bonus};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use affiliate::AffiliateTable;
use programme::ProgrammeTable;
use terms::TermsTable;
use values::{At, Bps, Exact};

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllianceFileError {
    /// A key, a value or the form; the text names the line.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// Values that contradict each other; the text names the table.
    #[error("{table}: {text}")]
    Contradiction {
        /// Table, as the file names it.
        table: String,
        /// What to do.
        text: String,
    },
}

fn contradiction(table: impl Into<String>, text: impl Into<String>) -> AllianceFileError {
    AllianceFileError::Contradiction {
        table: table.into(),
        text: text.into(),
    }
}

/// Every table has an id, and none has that of another.
fn check_ids(
    kind: &str,
    ids: impl Iterator<Item = Result<String, String>>,
) -> Result<(), AllianceFileError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        let id = id.map_err(|text| contradiction(kind, text))?;
        let table = format!("{kind} \"{id}\"");
        if !seen.insert(id) {
            return Err(contradiction(table, "stands there twice"));
        }
    }
    Ok(())
}

/// The file, read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllianceFile {
    programme: Option<ProgrammeTable>,
    #[serde(default)]
    default: TermsTable,
    #[serde(default)]
    merchant: Tables<TermsTable>,
    #[serde(default)]
    affiliate: Tables<AffiliateTable>,
    #[serde(default)]
    promotion: Tables<PromotionTable>,
}

impl AllianceFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`AllianceFileError`], with the line where there is one.
    pub fn parse(text: &str) -> Result<Self, AllianceFileError> {
        let file: Self = toml::from_str(text).map_err(Box::new)?;
        if file.default.id.is_some() || file.default.display_name.is_some() {
            let text = "id and display_name are one merchant's, not a default";
            return Err(contradiction("default", text));
        }
        let merchants = file.merchant.ids(|table| table.id.as_deref());
        let affiliates = file.affiliate.ids(|table| table.id.as_deref());
        // Both are participants: one name is one of them.
        check_ids("merchant", merchants.chain(affiliates))?;
        let promotions = file.promotion.ids(|table| table.id.as_deref());
        check_ids("promotion", promotions)?;
        Ok(file)
    }

    /// Everything that the file says.
    ///
    /// # Errors
    /// [`AllianceFileError::Contradiction`].
    pub fn alliance(&self) -> Result<v1::Alliance, AllianceFileError> {
        let programme = self
            .programme
            .as_ref()
            .map(ProgrammeTable::programme)
            .transpose()?;
        let mut merchants = self
            .merchant_ids()
            .map(|id| self.merchant(&id))
            .collect::<Result<Vec<_>, _>>()?;
        for (key, table) in &self.affiliate.0 {
            let id = key.as_deref().or(table.id.as_deref()).unwrap_or_default();
            merchants.push(table.merchant(id)?);
        }
        let promotions = self
            .promotion
            .0
            .iter()
            .map(|(key, table)| table.promotion(key.as_deref()))
            .collect::<Result<_, _>>()?;
        Ok(v1::Alliance {
            programme,
            merchants,
            promotions,
        })
    }

    /// Ids of the merchants that have a table.
    pub fn merchant_ids(&self) -> impl Iterator<Item = String> + '_ {
        self.merchant
            .ids(|table| table.id.as_deref())
            .filter_map(Result::ok)
    }

    /// A merchant by its table over `[default]`; by `[default]` alone where it has no table.
    ///
    /// # Errors
    /// [`AllianceFileError::Contradiction`].
    pub fn merchant(&self, id: &str) -> Result<v1::Merchant, AllianceFileError> {
        let own = self
            .merchant
            .0
            .iter()
            .find(|(key, table)| key.as_deref().or(table.id.as_deref()) == Some(id))
            .map(|(_, table)| table.clone())
            .unwrap_or_default();
        own.over(&self.default).merchant(id)
    }
}

/// `[kind.ID]` tables or `[[kind]]` tables with a key `id`, in the file's order as far as TOML keeps it.
#[derive(Debug, Clone)]
struct Tables<T>(Vec<(Option<String>, T)>);

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Tables<T> {
    fn ids<'a>(
        &'a self,
        id: impl Fn(&'a T) -> Option<&'a str> + 'a,
    ) -> impl Iterator<Item = Result<String, String>> + 'a {
        self.0.iter().enumerate().map(move |(index, (key, table))| {
            match (key.as_deref(), id(table)) {
                (Some(key), Some(id)) if key != id => Err(format!(
                    "the table \"{key}\" has the id \"{id}\"; leave the id out"
                )),
                (Some(id), _) | (None, Some(id)) => Ok(id.to_owned()),
                (None, None) => Err(format!("number {} has no id", index + 1)),
            }
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tables<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Tables<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tables: [merchant.ID], or [[merchant]] with an id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tables = Vec::new();
                while let Some((key, table)) = map.next_entry::<String, T>()? {
                    tables.push((Some(key), table));
                }
                Ok(Tables(tables))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut tables = Vec::new();
                while let Some(table) = seq.next_element::<T>()? {
                    tables.push((None, table));
                }
                Ok(Tables(tables))
            }
        }
        from.deserialize_any(Either(PhantomData))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromotionTable {
    id: Option<String>,
    merchant_ids: Vec<String>,
    start_time: At,
    end_time: At,
    multiplier: Option<Exact>,
    rate: Option<Exact>,
    shares: BTreeMap<String, Bps>,
    #[serde(default)]
    cap_points: i64,
}

impl PromotionTable {
    fn promotion(&self, key: Option<&str>) -> Result<v1::Promotion, AllianceFileError> {
        let id = key.or(self.id.as_deref()).unwrap_or_default();
        let table = || format!("promotion \"{id}\"");
        let bonus = match (&self.multiplier, &self.rate) {
            (Some(multiplier), None) => Bonus::Multiplier(multiplier.0.clone()),
            (None, Some(rate)) => Bonus::Rate(rate.0.clone()),
            _ => {
                return Err(contradiction(
                    table(),
                    "give multiplier or rate, one of them",
                ));
            }
        };
        let total: u32 = self.shares.values().map(|share| share.0).sum();
        if total != 10_000 {
            let text = format!("the shares add up to {total} basis points, not 10000");
            return Err(contradiction(table(), text));
        }
        let share = |(merchant, share): (&String, &Bps)| v1::FundingShare {
            merchant_id: merchant.clone(),
            share_bps: share.0,
        };
        Ok(v1::Promotion {
            promotion_id: id.to_owned(),
            merchant_ids: self.merchant_ids.clone(),
            start_time: Some(self.start_time.0),
            end_time: Some(self.end_time.0),
            bonus: Some(bonus),
            shares: self.shares.iter().map(share).collect(),
            cap_points: self.cap_points,
        })
    }
}

#[cfg(test)]
mod tests;
