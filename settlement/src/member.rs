//! A member: one balance across the alliance. Owns its lots, debts and records; changes only by applying effects.

use crate::accrual::Accrual;
use crate::commission::Commission;
use crate::debt::Debt;
use crate::ids::{Instant, LotKey, Pos};
use crate::lot::Lot;
use crate::redemption::{Redemption, Status};

/// A member's state. Kept as packed bytes ([`Member::encode_into`]) and decoded on touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub(crate) lots: Vec<Lot>,
    pub(crate) debts: Vec<Debt>,
    pub(crate) accruals: Vec<Accrual>,
    pub(crate) redemptions: Vec<Redemption>,
    pub(crate) last_activity: Option<Instant>,
    pub(crate) pruned_to: Pos,
    /// Of a conversion's account, which has nothing else.
    pub(crate) commission: Option<Box<Commission>>,
}

/// What happens by time alone, in the order in which it happens at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueKind {
    /// An authorisation ends.
    HoldEnds,
    /// A lot expires.
    LotExpires,
    /// A pending accrual posts.
    PendingPosts,
    /// A commission locks.
    CommissionLocks,
}

/// One thing that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: Instant,
    /// What.
    pub kind: DueKind,
    /// Which: the authorisation, the lot or the accrual.
    pub id: LotKey,
}

impl Member {
    /// Lots in burn order.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        &self.lots
    }

    /// Debts, oldest first.
    #[must_use]
    pub fn debts(&self) -> &[Debt] {
        &self.debts
    }

    /// Accruals that a return may still name, by place.
    #[must_use]
    pub fn accruals(&self) -> &[Accrual] {
        &self.accruals
    }

    /// Redemptions that a message may still name, by authorisation.
    #[must_use]
    pub fn redemptions(&self) -> &[Redemption] {
        &self.redemptions
    }

    /// What a conversion's account holds; `None` for a member.
    #[must_use]
    pub fn commission(&self) -> Option<&Commission> {
        self.commission.as_deref()
    }

    /// Points owed.
    #[must_use]
    pub fn debt(&self) -> i64 {
        self.debts.iter().map(|debt| debt.points).sum()
    }

    /// Points held by authorisations.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.lots.iter().map(|lot| lot.held).sum()
    }

    /// Spendable points at an instant: remaining - held - debt, at least 0. Overdue lots and holds are seen as what they will come to.
    #[must_use]
    pub fn available(&self, at: Instant) -> i64 {
        let overdue_holds = self.redemptions.iter().filter_map(|r| match &r.status {
            Status::Held { ends_at, uses } if *ends_at <= at => Some(uses),
            Status::Held { .. } | Status::Captured { .. } | Status::Voided | Status::Expired => {
                None
            }
        });
        let released: i64 = overdue_holds
            .flatten()
            .filter(|u| u.expires_at > at)
            .map(|u| u.points)
            .sum();
        let unheld: i64 = self
            .lots
            .iter()
            .filter(|lot| lot.expires_at > at)
            .map(Lot::unheld)
            .sum();
        let posting: i64 = self
            .accruals
            .iter()
            .filter(|a| a.posts_at.is_some_and(|due| due <= at))
            .map(Accrual::points)
            .sum();
        (unheld + released + posting - self.debt()).max(0)
    }

    /// Points of accruals that wait for their return window.
    #[must_use]
    pub fn pending(&self) -> i64 {
        self.accruals
            .iter()
            .filter(|a| a.posts_at.is_some())
            .map(Accrual::points)
            .sum()
    }

    /// When something next happens by time alone.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.dues().map(|due| due.at).min()
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Everything that is due some time.
    pub fn dues(&self) -> impl Iterator<Item = Due> + '_ {
        let id = |pos| LotKey { pos, part: 0 };
        let holds = self.redemptions.iter().filter_map(move |r| {
            r.due_at().map(|at| Due {
                at,
                kind: DueKind::HoldEnds,
                id: id(r.authorisation),
            })
        });
        let lots = self.lots.iter().filter_map(|lot| {
            lot.due_at().map(|at| Due {
                at,
                kind: DueKind::LotExpires,
                id: lot.key,
            })
        });
        let pending = self.accruals.iter().filter_map(move |a| {
            a.posts_at.map(|at| Due {
                at,
                kind: DueKind::PendingPosts,
                id: id(a.pos),
            })
        });
        let locks = self.commission.iter().filter_map(move |c| {
            c.locks_at().map(|at| Due {
                at,
                kind: DueKind::CommissionLocks,
                id: id(c.pos),
            })
        });
        holds.chain(lots).chain(pending).chain(locks)
    }

    /// The accrual at a place.
    #[must_use]
    pub fn accrual(&self, pos: Pos) -> Option<&Accrual> {
        self.accruals
            .binary_search_by_key(&pos, |a| a.pos)
            .ok()
            .map(|i| &self.accruals[i])
    }

    /// The redemption of an authorisation.
    #[must_use]
    pub fn redemption(&self, authorisation: Pos) -> Option<&Redemption> {
        self.redemptions
            .binary_search_by_key(&authorisation, |r| r.authorisation)
            .ok()
            .map(|i| &self.redemptions[i])
    }

    /// The redemption of a capture.
    #[must_use]
    pub fn redemption_of_capture(&self, pos: Pos) -> Option<&Redemption> {
        self.redemptions.iter().find(|r| r.capture() == Some(pos))
    }

    /// Whether a record at this place may have been dropped because its return window had passed.
    #[must_use]
    pub fn was_pruned(&self, pos: Pos) -> bool {
        pos.0 != 0 && pos <= self.pruned_to
    }
}
