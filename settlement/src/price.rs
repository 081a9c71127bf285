//! The price book: what points cost, frozen when they are posted. Entries are interned when terms take their place in the log and are
//! never changed; prefunding only notes from which place in the log an entry counts as ISSUE, so old journals can always be derived again.

use crate::ids::{MerchantIx, Pos, PriceId};
use crate::terms::FundingMode;
use serde::{Deserialize, Serialize};

/// Terms under which points were issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Who funds the points.
    pub funder: MerchantIx,
    /// Funding mode at posting; see [`Price::mode_at`].
    pub mode: FundingMode,
    /// Reserve price, micro-units per point.
    pub reserve_micros: i64,
    /// The funder's service fee, micro-units per point.
    pub fee_micros: i64,
    /// Whether a return gives the service fee back.
    pub refunds_fee: bool,
    /// Entry of the log by which the funder paid its open points into the reserve.
    pub prefunded_seq: Option<u64>,
}

impl Price {
    /// The mode at a place in the log: ISSUE from the prefunding entry on.
    #[must_use]
    pub fn mode_at(&self, pos: Pos) -> FundingMode {
        match self.prefunded_seq {
            Some(seq) if pos.seq() >= seq => FundingMode::Issue,
            Some(_) | None => self.mode,
        }
    }

    /// Reserve value of points, micro-units.
    #[must_use]
    pub fn value(&self, points: i64) -> i128 {
        i128::from(points) * i128::from(self.reserve_micros)
    }

    /// Service fee on points, micro-units.
    #[must_use]
    pub fn fee(&self, points: i64) -> i128 {
        i128::from(points) * i128::from(self.fee_micros)
    }

    /// Service fee that comes back with returned points, micro-units.
    #[must_use]
    pub fn fee_back(&self, points: i64) -> i128 {
        if self.refunds_fee {
            self.fee(points)
        } else {
            0
        }
    }

    fn same_terms(&self, other: &Self) -> bool {
        Self {
            prefunded_seq: None,
            ..*self
        } == Self {
            prefunded_seq: None,
            ..*other
        }
    }
}

/// All price entries, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBook {
    entries: Vec<Price>,
}

impl PriceBook {
    /// The entry of an id. Ids come from this book; an unknown one yields a worthless entry of no merchant.
    #[must_use]
    pub fn get(&self, id: PriceId) -> Price {
        self.entries.get(id.0 as usize).copied().unwrap_or(Price {
            funder: MerchantIx(u32::MAX),
            mode: FundingMode::Issue,
            reserve_micros: 0,
            fee_micros: 0,
            refunds_fee: false,
            prefunded_seq: None,
        })
    }

    /// The id of an entry, if interned.
    #[must_use]
    pub fn find(&self, price: &Price) -> Option<PriceId> {
        self.entries
            .iter()
            .position(|entry| entry.same_terms(price))
            .map(|i| PriceId(i as u32))
    }

    /// The id of an entry, interned if new.
    pub(crate) fn intern(&mut self, price: Price) -> PriceId {
        self.find(&price).unwrap_or_else(|| {
            self.entries.push(price);
            PriceId(self.entries.len() as u32 - 1)
        })
    }

    /// Marks a funder's BURN entries as ISSUE from an entry of the log on.
    pub(crate) fn prefund(&mut self, funder: MerchantIx, seq: u64) {
        for entry in self.entries.iter_mut().filter(|e| {
            e.funder == funder && e.mode == FundingMode::Burn && e.prefunded_seq.is_none()
        }) {
            entry.prefunded_seq = Some(seq);
        }
    }

    /// Whether a funder has paid its BURN points into the reserve.
    pub(crate) fn is_prefunded(&self, funder: MerchantIx) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.funder == funder && entry.prefunded_seq.is_some())
    }

    /// Entries in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (PriceId, &Price)> {
        self.entries
            .iter()
            .enumerate()
            .map(|(i, price)| (PriceId(i as u32), price))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
