//! The member side of effects: the only path by which a member changes. Reads no aggregate and no terms.

use crate::accrual::Accrual;
use crate::commission::Commission;
use crate::effect::{Change, Effect, Holdings, NewAccrual, PartPoints, Release};
use crate::ids::{Instant, LotKey, Pos};
use crate::lot::Lot;
use crate::member::Member;
use crate::redemption::{Redemption, Status, Use, Uses};

/// Applies an effect to its member. `pos` is the place of the message or fact that the effect was recorded for.
pub fn apply_member(member: &mut Member, effect: &Effect, pos: Pos) {
    match &effect.change {
        Change::Refused { .. } | Change::Calendar { .. } | Change::Forgiven { .. } => {}
        Change::Accrued {
            accrual,
            expires_at,
        } => {
            member.record(accrual, pos, None);
            member.post(pos, accrual.event_time, *expires_at, &accrual.parts);
        }
        Change::Pended { accrual, posts_at } => member.record(accrual, pos, Some(*posts_at)),
        Change::PendingPosted {
            original,
            event_time,
            parts,
            expires_at,
            ..
        } => {
            if let Some(accrual) = member.accrual_mut(*original) {
                accrual.posts_at = None;
            }
            member.post(*original, *event_time, *expires_at, parts);
        }
        Change::PendingLowered {
            original,
            left_micros,
            after,
            ..
        } => {
            if let Some(accrual) = member.accrual_mut(*original) {
                accrual.whole = Some(accrual.whole());
                accrual.amount_micros = *left_micros;
                accrual.parts = after.iter().map(PartPoints::record).collect();
                if after.is_empty() {
                    accrual.posts_at = None;
                    accrual.whole = None;
                }
            }
        }
        Change::Returned {
            original,
            amount_micros,
            claimed,
            ..
        } => {
            if let Some(accrual) = member.accrual_mut(*original) {
                accrual.returned_micros += amount_micros;
                for (part, (_, points)) in accrual.parts.iter_mut().zip(claimed) {
                    part.reversed += points;
                }
            }
        }
        Change::Taken { lot, points, .. } => member.take(*lot, *points),
        Change::Owed { creditor, points } => member.debts.push(crate::debt::Debt {
            creditor: *creditor,
            points: *points,
        }),
        Change::Repaid { lot, points, .. } => {
            member.take(*lot, *points);
            if let Some(oldest) = member.debts.first_mut() {
                oldest.points -= points;
                if oldest.points == 0 {
                    member.debts.remove(0);
                }
            }
        }
        Change::Held {
            contract,
            event_time,
            ends_at,
            uses,
            ..
        } => {
            for u in uses {
                member.hold(u.lot, u.points);
            }
            let status = Status::Held {
                ends_at: *ends_at,
                uses: uses.clone(),
            };
            member.insert_redemption(Redemption {
                authorisation: pos,
                contract: *contract,
                event_time: *event_time,
                status,
            });
        }
        Change::Released {
            authorisation, how, ..
        } => {
            let status = match how {
                Release::Voided => Status::Voided,
                Release::Expired => Status::Expired,
            };
            member.end_hold(*authorisation, status);
        }
        Change::Captured {
            authorisation,
            contract,
            event_time,
            fee_bps,
            uses,
            ..
        } => {
            let status = Status::Captured {
                capture: pos,
                fee_bps: *fee_bps,
                refunded: 0,
                uses: uses.clone(),
            };
            member.end_hold(*authorisation, status);
            for u in uses {
                member.take(u.lot, u.points);
            }
            if let Some(record) = member.redemption_mut(*authorisation) {
                record.contract = *contract;
                record.event_time = *event_time;
            }
            member.touch(*event_time);
        }
        Change::Refunded { capture, uses, .. } => {
            let total = crate::redemption::points(uses);
            for record in &mut member.redemptions {
                match &mut record.status {
                    Status::Captured {
                        capture: at,
                        refunded,
                        ..
                    } if at == capture => *refunded += total,
                    Status::Captured { .. }
                    | Status::Held { .. }
                    | Status::Voided
                    | Status::Expired => {}
                }
            }
            for u in uses {
                member.gain(u);
            }
        }
        Change::Expired {
            lot,
            origin,
            points,
            ..
        } => {
            member.take(*lot, *points);
            member.count_expired(*origin, *points);
        }
        Change::ExpiryMoved { after, to } => member.move_expiry(*after, *to),
        Change::Pruned {
            accruals,
            redemptions,
        } => {
            // Refunds name the capture, which lies behind its authorisation.
            let captures: Vec<Pos> = redemptions
                .iter()
                .filter_map(|at| member.redemption(*at))
                .filter_map(Redemption::capture)
                .collect();
            member
                .accruals
                .retain(|a| accruals.binary_search(&a.pos).is_err());
            member
                .redemptions
                .retain(|r| redemptions.binary_search(&r.authorisation).is_err());
            let highest = accruals.iter().chain(redemptions).chain(&captures).max();
            member.pruned_to = member.pruned_to.max(highest.copied().unwrap_or_default());
        }
        Change::Opened { lot } => member.insert_lot(*lot),
        Change::Commission(change) => {
            Commission::apply(&mut member.commission, change, effect.cycle, pos);
        }
        Change::MergedOut { .. } => *member = Member::default(),
        Change::MergedIn(holdings) => member.take_in(holdings),
        Change::Reinstated { lot, points, .. } => {
            member.count_expired(lot.origin, -points);
            member.gain(&Use {
                lot: lot.key,
                origin: lot.origin,
                price: lot.price,
                points: *points,
                posted_at: lot.posted_at,
                expires_at: lot.expires_at,
            });
        }
    }
}

/// The lots that posted parts make: one for each part with points.
pub(crate) fn lots_of(
    pos: Pos,
    posted_at: Instant,
    expires_at: Instant,
    parts: &[PartPoints],
) -> impl Iterator<Item = Lot> + '_ {
    let lot = move |(part, points): (usize, &PartPoints)| {
        let key = LotKey {
            pos,
            part: part as u16,
        };
        Lot {
            key,
            origin: key,
            price: points.price,
            remaining: points.points,
            held: 0,
            posted_at,
            expires_at,
        }
    };
    let posted = |(_, points): &(usize, &PartPoints)| points.points > 0;
    parts.iter().enumerate().filter(posted).map(lot)
}

impl Member {
    fn record(&mut self, new: &NewAccrual, pos: Pos, posts_at: Option<Instant>) {
        let i = self.accruals.partition_point(|a| a.pos < pos);
        self.accruals.insert(i, new.record(pos, posts_at));
        self.touch(new.event_time);
    }

    fn post(&mut self, pos: Pos, posted_at: Instant, expires_at: Instant, parts: &[PartPoints]) {
        for lot in lots_of(pos, posted_at, expires_at, parts) {
            self.insert_lot(lot);
        }
    }

    fn insert_lot(&mut self, lot: Lot) {
        let i = self
            .lots
            .partition_point(|other| other.burn_order() < lot.burn_order());
        self.lots.insert(i, lot);
    }

    fn lot_index(&self, key: LotKey) -> Option<usize> {
        self.lots.iter().position(|lot| lot.key == key)
    }

    /// Takes unheld points from a lot and drops it when nothing is left.
    fn take(&mut self, key: LotKey, points: i64) {
        if let Some(i) = self.lot_index(key) {
            self.lots[i].remaining -= points;
            if self.lots[i].remaining <= 0 {
                self.lots.remove(i);
            }
        }
    }

    fn hold(&mut self, key: LotKey, points: i64) {
        if let Some(i) = self.lot_index(key) {
            self.lots[i].held += points;
        }
    }

    /// Gives points back to a lot, which comes to life again if it was dropped.
    fn gain(&mut self, u: &Use) {
        match self.lot_index(u.lot) {
            Some(i) => self.lots[i].remaining += u.points,
            None => self.insert_lot(Lot {
                key: u.lot,
                origin: u.origin,
                price: u.price,
                remaining: u.points,
                held: 0,
                posted_at: u.posted_at,
                expires_at: u.expires_at,
            }),
        }
    }

    fn end_hold(&mut self, authorisation: Pos, status: Status) {
        let Some(record) = self.redemption_mut(authorisation) else {
            return;
        };
        let before = std::mem::replace(&mut record.status, status);
        let uses = match before {
            Status::Held { uses, .. } => uses,
            Status::Captured { .. } | Status::Voided | Status::Expired => Uses::new(),
        };
        for u in uses {
            self.hold(u.lot, -u.points);
        }
    }

    fn insert_redemption(&mut self, record: Redemption) {
        let i = self
            .redemptions
            .partition_point(|r| r.authorisation < record.authorisation);
        self.redemptions.insert(i, record);
    }

    fn accrual_mut(&mut self, pos: Pos) -> Option<&mut Accrual> {
        let i = self.accruals.binary_search_by_key(&pos, |a| a.pos).ok()?;
        self.accruals.get_mut(i)
    }

    fn redemption_mut(&mut self, authorisation: Pos) -> Option<&mut Redemption> {
        let i = self
            .redemptions
            .binary_search_by_key(&authorisation, |r| r.authorisation)
            .ok()?;
        self.redemptions.get_mut(i)
    }

    fn count_expired(&mut self, origin: LotKey, points: i64) {
        if let Some(part) = self
            .accrual_mut(origin.pos)
            .and_then(|a| a.parts.get_mut(usize::from(origin.part)))
        {
            part.expired += points;
        }
    }

    fn touch(&mut self, at: Instant) {
        self.last_activity = self.last_activity.max(Some(at));
    }

    /// Moves the expiry of lots and of what redemptions may give back to them.
    fn move_expiry(&mut self, after: Instant, to: Instant) {
        let moved = |at: &mut Instant| {
            if *at > after {
                *at = to;
            }
        };
        self.lots
            .iter_mut()
            .for_each(|lot| moved(&mut lot.expires_at));
        self.lots.sort_by_key(Lot::burn_order);
        for record in &mut self.redemptions {
            match &mut record.status {
                Status::Held { uses, .. } | Status::Captured { uses, .. } => {
                    uses.iter_mut().for_each(|u| moved(&mut u.expires_at))
                }
                Status::Voided | Status::Expired => {}
            }
        }
    }

    fn take_in(&mut self, holdings: &Holdings) {
        for lot in &holdings.lots {
            self.insert_lot(*lot);
        }
        self.debts.extend_from_slice(&holdings.debts);
        self.accruals.extend(holdings.accruals.iter().cloned());
        self.accruals.sort_by_key(|a| a.pos);
        for record in &holdings.redemptions {
            self.insert_redemption(record.clone());
        }
        self.last_activity = self.last_activity.max(holdings.last_activity);
        self.pruned_to = self.pruned_to.max(holdings.pruned_to);
    }

    /// Everything that a merge moves.
    #[must_use]
    pub(crate) fn holdings(&self) -> Holdings {
        Holdings {
            lots: self.lots.clone(),
            debts: self.debts.clone(),
            accruals: self.accruals.clone(),
            redemptions: self.redemptions.clone(),
            last_activity: self.last_activity,
            pruned_to: self.pruned_to,
        }
    }
}
