//! What a hub sees of affiliate traffic. Owns the vocabulary; holds no truth about who is honest and no personal data:
//! addresses, devices, customers and accounts are keyed hashes that the hub makes.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// An affiliate, by the hub's number.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Affiliate(pub u32);

/// A merchant, by the hub's number.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Merchant(pub u32);

/// A keyed hash under the hub's key; `None` where the hub does not know the thing.
pub type Token = Option<NonZeroU64>;

/// One thing that the lists, the request or the merchant say of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Mark {
    /// The user agent declares a program.
    DeclaredBot = 1,
    /// The address belongs to a hosting network.
    DataCentre = 1 << 1,
    /// The browser says that nobody navigated: the link was asked for as an image, a frame or a script.
    NoNavigation = 1 << 2,
    /// The link carries the parameter of a paid click (`gclid`, `msclkid`, ...) and the merchant allows none.
    PaidClick = 1 << 3,
    /// The referrer is on the merchant's or the alliance's list of banned sources.
    BannedReferrer = 1 << 4,
    /// The customer's mail address belongs to a provider of disposable ones.
    DisposableMail = 1 << 5,
    /// The purchase used a coupon code.
    CouponCode = 1 << 6,
    /// The merchant saw this customer for the first time.
    NewCustomer = 1 << 7,
}

/// A set of [`Mark`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks(u16);

impl Marks {
    /// The set with this mark too.
    #[must_use]
    pub const fn with(self, mark: Mark) -> Self {
        Self(self.0 | mark as u16)
    }

    /// The marks of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set of these bits, as the hub keeps them.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether the mark is in the set.
    #[must_use]
    pub const fn has(self, mark: Mark) -> bool {
        self.0 & mark as u16 != 0
    }
}

/// How somebody met an affiliate's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TouchKind {
    /// A link was followed.
    Click,
    /// An advertisement was shown.
    View,
    /// A code of the affiliate was used.
    Code,
}

/// A touch that the hub took: link previews and prefetches are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// When, in milliseconds UTC.
    pub at_ms: i64,
    /// Whose link.
    pub affiliate: Affiliate,
    /// To which merchant.
    pub merchant: Merchant,
    /// How.
    pub kind: TouchKind,
    /// Hour of the day where the visitor is, 0 to 23, by the country of the address.
    pub local_hour: u8,
    /// The address, as a token.
    pub address: Token,
    /// The address's /24 or /48, as a token.
    pub prefix: Token,
    /// The first-party cookie or other mark of the device, as a token.
    pub device: Token,
    /// The user agent's text, as a token.
    pub agent: Token,
    /// The referrer's host, as a token; `None` when the browser sent none.
    pub referrer: Token,
    /// What is known of it.
    pub marks: Marks,
}

/// A conversion that was accepted and attributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// When the purchase was made, in milliseconds UTC.
    pub at_ms: i64,
    /// The hub's number of the conversion.
    pub id: u64,
    /// Whose touch it was attributed to.
    pub affiliate: Affiliate,
    /// Which merchant sent it.
    pub merchant: Merchant,
    /// When the attributed touch was made, in milliseconds UTC.
    pub touched_ms: i64,
    /// When the customer began to check out, in milliseconds UTC, where the merchant says so.
    pub checkout_ms: Option<i64>,
    /// Another affiliate had a touch of the same customer inside the window, before the attributed one.
    pub other_before: bool,
    /// The device that bought, as a token.
    pub device: Token,
    /// The /24 or /48 of the address that bought, as a token.
    pub prefix: Token,
    /// The customer, as a token: the hash of the mail address or account.
    pub customer: Token,
    /// The means of payment, as a token.
    pub payment: Token,
    /// What was paid, in micro-units.
    pub amount_micros: i64,
    /// The commission, in micro-units.
    pub commission_micros: i64,
    /// When the commission locks, in milliseconds UTC.
    pub locks_ms: i64,
    /// Marks of the touch and of the purchase together.
    pub marks: Marks,
}

/// Why a conversion was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefusalKind {
    /// The signature is not the merchant's.
    BadSignature,
    /// The click id was not made by the hub.
    ForgedClick,
    /// The click id paid for another order already.
    ReusedClick,
    /// Older than the window.
    OutsideWindow,
}

/// A conversion that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When it came, in milliseconds UTC.
    pub at_ms: i64,
    /// Whom it would have paid.
    pub affiliate: Affiliate,
    /// In whose name it came.
    pub merchant: Merchant,
    /// Why it was refused.
    pub kind: RefusalKind,
}

/// Goods of a conversion came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// When, in milliseconds UTC.
    pub at_ms: i64,
    /// The conversion's number.
    pub conversion: u64,
    /// Whose conversion.
    pub affiliate: Affiliate,
    /// At which merchant.
    pub merchant: Merchant,
    /// Everything came back, not a part.
    pub whole: bool,
}

/// What is known of the person behind an affiliate; sent again when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// When, in milliseconds UTC.
    pub at_ms: i64,
    /// Who.
    pub affiliate: Affiliate,
    /// Its kind of site: content, coupons, comparison, social, mail, application; numbers are the alliance's.
    pub vertical: u8,
    /// Account to be paid, as a token.
    pub payout: Token,
    /// Verified identity, as a token.
    pub identity: Token,
    /// Mail address, as a token: the same function as of [`Conversion::customer`].
    pub mail: Token,
    /// Devices that signed in, as tokens: the same function as of [`Touch::device`].
    pub devices: Vec<NonZeroU64>,
    /// Declared group: several affiliates of one declared owner have the same.
    pub group: Token,
}

/// Anything that changes the features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A touch.
    Touch(Touch),
    /// An accepted conversion.
    Conversion(Conversion),
    /// A refused conversion.
    Refusal(Refusal),
    /// A return.
    Return(Return),
    /// An affiliate enrolled or changed.
    Enrolment(Enrolment),
    /// An affiliate was banned at an instant, in milliseconds UTC.
    Ban(Affiliate, i64),
}

impl Event {
    /// When it happened, in milliseconds UTC.
    #[must_use]
    pub const fn at_ms(&self) -> i64 {
        match self {
            Self::Touch(touch) => touch.at_ms,
            Self::Conversion(conversion) => conversion.at_ms,
            Self::Refusal(refusal) => refusal.at_ms,
            Self::Return(back) => back.at_ms,
            Self::Enrolment(enrolment) => enrolment.at_ms,
            Self::Ban(_, at_ms) => *at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_marks_has_what_was_put_in() {
        let marks = Marks::default()
            .with(Mark::PaidClick)
            .with(Mark::NewCustomer);
        assert!(marks.has(Mark::PaidClick) && marks.has(Mark::NewCustomer));
        assert!(!marks.has(Mark::DeclaredBot) && !marks.has(Mark::CouponCode));
    }
}
