//! Typed ids and instants. Owns no behaviour beyond packing; every id is a plain number that orders and serialises the same on every machine.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// An instant in microseconds since 1970-01-01T00:00:00Z.
    Instant(i64)
);
id!(
    /// A merchant, dense from 0 in order of onboarding. The outside knows merchants by their slug.
    MerchantIx(u32)
);
id!(
    /// A member, dense from 1 in order of enrolment. 0 stands for "no member" in recorded effects.
    MemberId(u64)
);
id!(
    /// A settlement cycle, dense from 0.
    CycleNo(u32)
);
id!(
    /// An entry of the price book: funder, mode, reserve price and fee, frozen when points are posted.
    PriceId(u32)
);
id!(
    /// One version of one merchant's contract, dense from 0 in log order over all merchants.
    ContractIx(u32)
);
id!(
    /// A promotion, dense from 0 in log order.
    PromotionIx(u32)
);
id!(
    /// A proposal of finance, dense from 1.
    ProposalNo(u32)
);
id!(
    /// A payment instruction, dense from 1 over all cycles.
    PaymentNo(u32)
);
id!(
    /// A bank's report, dense from 1.
    ReportNo(u32)
);
id!(
    /// Something in a bank's report that did not match, dense from 1.
    ExceptionNo(u32)
);
id!(
    /// A dispute, dense from 1.
    DisputeNo(u32)
);
id!(
    /// A query over a commission, dense from 1.
    QueryNo(u32)
);
id!(
    /// A message's place in the log: `seq << 12 | index`, entry first, then index within the entry.
    Pos(u64)
);

impl CycleNo {
    /// The number that the outside sees: from 1.
    #[must_use]
    pub const fn shown(self) -> u64 {
        self.0 as u64 + 1
    }
}

impl Instant {
    /// Later than every real instant: the `expires_at` of a lot without expiry.
    pub const NEVER: Self = Self(i64::MAX);
    /// Earlier than every real instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The largest distance from 1970 that a message or a fact may name: year 9999. Keeps calendar arithmetic total.
    pub const BOUND: i64 = 253_402_300_799_000_000;

    /// The instant moved by a number of microseconds, saturating.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The instant moved by a number of seconds, saturating.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whether the instant lies within ±`BOUND` of 1970.
    #[must_use]
    pub const fn is_sane(self) -> bool {
        self.0 >= -Self::BOUND && self.0 <= Self::BOUND
    }
}

impl Pos {
    /// Bits that hold the index within an entry; a batch has at most 4,000 messages.
    pub const INDEX_BITS: u32 = 12;

    /// Packs an entry's sequence number and an index below 4,096 (higher bits are cut off).
    #[must_use]
    pub const fn new(seq: u64, index: u32) -> Self {
        Self(seq << Self::INDEX_BITS | (index as u64 & 0xfff))
    }

    /// The entry's sequence number (its leaf index).
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.0 >> Self::INDEX_BITS
    }

    /// The index within the entry.
    #[must_use]
    pub const fn index(self) -> u32 {
        (self.0 & 0xfff) as u32
    }
}

/// A lot's id: the message that posted it and the part of that message (0 = base).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LotKey {
    /// The message that posted the lot: an accrual, or the refund that made a child lot.
    pub pos: Pos,
    /// The part within that message.
    pub part: u16,
}
