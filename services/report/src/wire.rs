//! How values that are not this crate's own stand in JSON: written, and read back.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// RFC 3339 in UTC, with as many decimals of a second as there are.
pub(crate) fn rfc3339(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn read_instant<E: serde::de::Error>(text: &str) -> Result<DateTime<Utc>, E> {
    let at = text.parse::<DateTime<Utc>>().map_err(E::custom)?;
    if rfc3339(&at) == text {
        return Ok(at);
    }
    Err(E::custom(format!(
        "\"{text}\" is not how an instant is written here"
    )))
}

/// An instant.
pub(crate) mod instant {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&rfc3339(at))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        read_instant(&String::deserialize(from)?)
    }
}

/// An instant that may not be known.
pub(crate) mod optional_instant {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        at: &Option<DateTime<Utc>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.as_ref().map(rfc3339).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| read_instant(&text)).transpose()
    }
}

/// The name of a time zone.
pub(crate) mod zone {
    use super::*;
    use chrono_tz::Tz;

    pub(crate) fn serialize<S: Serializer>(zone: &Tz, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(zone.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tz, D::Error> {
        let name = String::deserialize(from)?;
        name.parse()
            .map_err(|_| D::Error::custom(format!("\"{name}\" is no time zone")))
    }
}

/// An ISO 4217 code.
pub(crate) mod currency {
    use super::*;
    use hansa_money::Currency;

    pub(crate) fn serialize<S: Serializer>(currency: &Currency, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(currency.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Currency, D::Error> {
        let code = String::deserialize(from)?;
        Currency::new(&code).map_err(D::Error::custom)
    }
}
