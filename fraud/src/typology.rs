//! The schemes that have a name. Owns the closed list and its stable codes; decides nothing.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A named way to be paid for traffic that one did not send, or that nobody wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Typology {
    /// Clicks by programs that say so, or from hosting networks (GIVT).
    DeclaredBot,
    /// Clicks by programs that pretend to be browsers (SIVT).
    MasqueradingBot,
    /// The same click again and again.
    ClickDuplicate,
    /// Very many unwanted clicks, to be the last one before purchases that happen anyway.
    ClickFlood,
    /// A click placed between the decision to buy and the purchase.
    ClickInjection,
    /// An extension that replaces somebody else's touch at checkout.
    CouponHijack,
    /// Touches without anybody navigating: images, frames, hidden requests.
    CookieStuffing,
    /// Buying through one's own links, alone or as a ring.
    SelfReferral,
    /// One person as several affiliates, or one who is banned again under another name.
    DuplicateIdentity,
    /// Purchases that nobody wants to keep: fake leads, refund farming.
    FakeConversion,
    /// Conversions that are sent again, or are not the merchant's.
    ForgedPostback,
    /// Traffic from where the merchant allows none: bidding on its brand, banned sites.
    BannedSource,
    /// Real customers who are not worth what they cost.
    LowQuality,
}

/// Text that names no typology.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" names no typology; the first is DECLARED_BOT, the last LOW_QUALITY")]
pub struct UnknownTypology(pub String);

impl Typology {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::DeclaredBot,
        Self::MasqueradingBot,
        Self::ClickDuplicate,
        Self::ClickFlood,
        Self::ClickInjection,
        Self::CouponHijack,
        Self::CookieStuffing,
        Self::SelfReferral,
        Self::DuplicateIdentity,
        Self::FakeConversion,
        Self::ForgedPostback,
        Self::BannedSource,
        Self::LowQuality,
    ];

    /// The stable code: on the wire, in reports and in reasons.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::DeclaredBot => "DECLARED_BOT",
            Self::MasqueradingBot => "MASQUERADING_BOT",
            Self::ClickDuplicate => "CLICK_DUPLICATE",
            Self::ClickFlood => "CLICK_FLOOD",
            Self::ClickInjection => "CLICK_INJECTION",
            Self::CouponHijack => "COUPON_HIJACK",
            Self::CookieStuffing => "COOKIE_STUFFING",
            Self::SelfReferral => "SELF_REFERRAL",
            Self::DuplicateIdentity => "DUPLICATE_IDENTITY",
            Self::FakeConversion => "FAKE_CONVERSION",
            Self::ForgedPostback => "FORGED_POSTBACK",
            Self::BannedSource => "BANNED_SOURCE",
            Self::LowQuality => "LOW_QUALITY",
        }
    }
}

impl fmt::Display for Typology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Typology {
    type Err = UnknownTypology;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|typology| typology.code() == text)
            .ok_or_else(|| UnknownTypology(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_its_typology_and_only_it() {
        for typology in Typology::ALL {
            assert_eq!(typology.code().parse(), Ok(typology));
            let json = serde_variant(typology);
            assert_eq!(json, typology.code());
        }
        assert_eq!(
            "click_flood".parse::<Typology>(),
            Err(UnknownTypology("click_flood".to_owned()))
        );
    }

    /// The name under which serde writes it, without a format.
    fn serde_variant(typology: Typology) -> String {
        use serde::de::{IntoDeserializer as _, value::StrDeserializer};
        let read: StrDeserializer<'_, serde::de::value::Error> =
            typology.code().into_deserializer();
        let back = Typology::deserialize(read).expect("serde knows the code");
        back.code().to_owned()
    }
}
