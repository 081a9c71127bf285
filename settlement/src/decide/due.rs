//! What happens by time alone, each item at its own instant and in the cycle that holds it; debts repaid from gained points; pruning.

use super::Fold;
use crate::calendar::ExpiryRule;
use crate::effect::{Change, PartPoints, Parts, Release};
use crate::global::Global;
use crate::ids::{CycleNo, Instant, LotKey, Pos};
use crate::lot::Lot;
use crate::member::DueKind;
use crate::message::MessageKind;
use crate::money::share_floor;
use crate::redemption::{self, Status};
use crate::terms::{ContractVersion, FundingMode};

impl Fold<'_> {
    /// Everything due at or before an instant, in order of (instant, kind, id).
    pub(super) fn due_work(&mut self, until: Instant) {
        while let Some(due) = self.member.dues().filter(|due| due.at <= until).min() {
            let cycle = self.global.cycle_for_due(due.at);
            match due.kind {
                DueKind::HoldEnds => self.release(due.id.pos, Release::Expired, due.at, cycle),
                DueKind::LotExpires => self.expire(due.id, due.at, cycle),
                DueKind::PendingPosts => self.post_pending(due.id.pos, due.at, cycle),
                DueKind::CommissionLocks => self.lock(due.at, cycle),
            }
        }
    }

    /// Ends a hold: released points whose expiry has passed expire at this instant, the others repay debts.
    pub(super) fn release(
        &mut self,
        authorisation: Pos,
        how: Release,
        at: Instant,
        cycle: CycleNo,
    ) {
        let Some(record) = self.member.redemption(authorisation) else {
            return;
        };
        let uses = match &record.status {
            Status::Held { uses, .. } => uses.clone(),
            Status::Captured { .. } | Status::Voided | Status::Expired => return,
        };
        let merchant = self
            .global
            .contract_version(record.contract)
            .map(|version| version.merchant)
            .unwrap_or_default();
        let late = self.late && how == Release::Voided;
        self.push_in(
            cycle,
            late,
            Change::Released {
                authorisation,
                merchant,
                how,
                at,
                points: redemption::points(&uses),
            },
        );
        let lots: Vec<LotKey> = uses.iter().map(|u| u.lot).collect();
        self.after_gain(&lots, at, cycle, late);
    }

    /// Expires the unheld points of a lot.
    pub(super) fn expire(&mut self, key: LotKey, at: Instant, cycle: CycleNo) {
        let Some(lot) = self
            .member
            .lots()
            .iter()
            .find(|lot| lot.key == key)
            .copied()
        else {
            return;
        };
        let price = self.global.book().get(lot.price);
        let share = match price.mode_at(self.ctx.pos) {
            FundingMode::Issue => {
                let bps = self
                    .global
                    .contract(price.funder, at)
                    .map_or(0, |(_, terms)| terms.breakage_share_bps);
                share_floor(price.value(lot.unheld()), bps)
            }
            FundingMode::Burn => 0,
        };
        let share_micros = i64::try_from(share).unwrap_or(i64::MAX);
        self.push_in(
            cycle,
            false,
            Change::Expired {
                lot: key,
                origin: lot.origin,
                price: lot.price,
                points: lot.unheld(),
                share_micros,
                at,
            },
        );
    }

    fn post_pending(&mut self, original: Pos, at: Instant, cycle: CycleNo) {
        let Some(accrual) = self.member.accrual(original).cloned() else {
            return;
        };
        let Some(version) = self.global.contract_version(accrual.contract) else {
            return;
        };
        let parts: Parts = accrual
            .parts
            .iter()
            .map(|p| PartPoints {
                price: p.price,
                promotion: p.promotion,
                points: p.points,
            })
            .collect();
        let keys = lot_keys(original, &parts);
        let expires_at = self.expires_at(accrual.event_time);
        let merchant = version.merchant;
        self.push_in(
            cycle,
            false,
            Change::PendingPosted {
                original,
                merchant,
                event_time: accrual.event_time,
                at,
                parts,
                expires_at,
            },
        );
        self.after_gain(&keys, at, cycle, false);
    }

    /// See [`expires_at`].
    pub(super) fn expires_at(&self, event_time: Instant) -> Instant {
        expires_at(self.global, self.member.last_activity, event_time)
    }

    /// An accrual or a capture moves the expiry of all lots, where the programme says so.
    pub(super) fn activity(&mut self, event_time: Instant) {
        let terms = self.global.programme(event_time);
        if let ExpiryRule::InactivityMonths(_) = terms.expiry {
            let to = self.expires_at(event_time);
            if self
                .member
                .lots()
                .iter()
                .any(|lot| lot.expires_at > self.ctx.decided_at && lot.expires_at != to)
            {
                self.push(Change::ExpiryMoved {
                    after: self.ctx.decided_at,
                    to,
                });
            }
        }
    }

    /// Points became spendable in these lots: those born expired expire, the rest repays debts at once, oldest first, in burn order.
    pub(super) fn after_gain(&mut self, keys: &[LotKey], at: Instant, cycle: CycleNo, late: bool) {
        let mut gained: Vec<Lot> = self
            .member
            .lots()
            .iter()
            .filter(|lot| keys.contains(&lot.key) && lot.unheld() > 0)
            .copied()
            .collect();
        gained.sort_by_key(Lot::burn_order);
        for lot in gained {
            if lot.expires_at <= at {
                self.expire(lot.key, at, cycle);
            } else {
                self.repay(&lot, cycle, late);
            }
        }
    }

    fn repay(&mut self, lot: &Lot, cycle: CycleNo, late: bool) {
        let mut left = lot.unheld();
        while let Some(debt) = self.member.debts().first().copied().filter(|_| left > 0) {
            let points = debt.points.min(left);
            left -= points;
            self.push_in(
                cycle,
                late,
                Change::Repaid {
                    creditor: debt.creditor,
                    lot: lot.key,
                    price: lot.price,
                    points,
                },
            );
        }
    }

    /// Drops records that no accepted message can name any more: their return window and the merchant's `max_late` have passed,
    /// see [`is_over`] and [`looks_for_old_records`].
    pub(super) fn prune(&mut self) {
        let over = |contract, event_time: Instant| {
            let Some(version) = self.global.contract_version(contract) else {
                return false;
            };
            // Cheap first: most contracts have no window, and most records are young.
            let Some(days) = version.terms.return_days else {
                return false;
            };
            let soonest = event_time
                .plus_seconds(i64::from(days) * 86_400)
                .plus_micros(version.terms.max_late_micros);
            if self.ctx.decided_at <= soonest {
                return false;
            }
            let end = version
                .terms
                .window_end(event_time, self.global.programme(event_time).zone);
            is_over(self.global, version, end, self.ctx.decided_at)
        };
        let accruals: Vec<Pos> = self
            .member
            .accruals()
            .iter()
            .filter(|a| a.posts_at.is_none() && over(a.contract, a.event_time))
            .map(|a| a.pos)
            .collect();
        let ended =
            |r: &&redemption::Redemption| r.due_at().is_none() && over(r.contract, r.event_time);
        let redemptions: Vec<Pos> = self
            .member
            .redemptions()
            .iter()
            .filter(ended)
            .map(|r| r.authorisation)
            .collect();
        if !accruals.is_empty() || !redemptions.is_empty() {
            self.push(Change::Pruned {
                accruals,
                redemptions,
            });
        }
    }
}

/// Whether so much time had passed behind the end of a window, by now or at any instant before, that no event in it could still be
/// told: more than `max_late` of the record's own contract and of the one then in force. What was over stays over, whatever a later
/// contract says: so the answer does not depend on whether the record was dropped meanwhile.
fn is_over(global: &Global, own: &ContractVersion, end: Instant, now: Instant) -> bool {
    let versions = global.contract_versions(own.merchant);
    let next = versions.clone().skip(1).map(|next| next.effective_at);
    let until = next.chain(std::iter::once(Instant::NEVER));
    versions.zip(until).any(|(version, until)| {
        let until = until.min(now);
        let late = version.terms.max_late_micros.max(own.terms.max_late_micros);
        version.effective_at <= until && until > end.plus_micros(late)
    })
}

/// Fewer accruals than this are not worth a look.
const MANY_ACCRUALS: u64 = 32;

/// Whether a message drops records that nothing can name any more. Looking takes a pass over all of them, so an accrual, which
/// reads none of them otherwise, does it only when their number has doubled. What is there longer changes no outcome: its
/// window is over.
pub(super) fn looks_for_old_records(kind: MessageKind, accruals: u64) -> bool {
    match kind {
        MessageKind::Accrual => accruals >= MANY_ACCRUALS && accruals.is_power_of_two(),
        MessageKind::Conversion
        | MessageKind::ConversionReturn
        | MessageKind::ConversionApproval => false,
        MessageKind::AccrualReversal
        | MessageKind::Authorisation
        | MessageKind::Capture
        | MessageKind::Void
        | MessageKind::Refund => true,
    }
}

/// `expires_at` of points posted at an event time: by the programme of that time; under inactivity the last activity counts.
pub(super) fn expires_at(
    global: &Global,
    last_activity: Option<Instant>,
    event_time: Instant,
) -> Instant {
    let terms = global.programme(event_time);
    let from = match &terms.expiry {
        ExpiryRule::InactivityMonths(_) => {
            last_activity.map_or(event_time, |last| last.max(event_time))
        }
        ExpiryRule::RollingMonths(_) | ExpiryRule::FixedSweep(_) | ExpiryRule::None => event_time,
    };
    terms.expiry.expires_at(from, terms.zone)
}

/// Ids of the lots that parts with points make.
pub(super) fn lot_keys(pos: Pos, parts: &[PartPoints]) -> Vec<LotKey> {
    let key = |(part, _): (usize, &PartPoints)| LotKey {
        pos,
        part: part as u16,
    };
    parts
        .iter()
        .enumerate()
        .filter(|(_, p)| p.points > 0)
        .map(key)
        .collect()
}
