//! Burning: rules 4 and 5. Expiry of a hold and its capture race to exactly one winner, because due work comes first.

use super::{Accepted, Fold, Verdict};
use crate::effect::{Change, Release};
use crate::ids::{Instant, LotKey, Pos};
use crate::lot::Lot;
use crate::message::Message;
use crate::money::{MAX_POINTS, share_floor};
use crate::outcome::{MessageState, OutcomeCode};
use crate::redemption::{
    Redemption, Status, Use, Uses, first, last_reversed, points as points_of, value,
};

/// Days until a child lot expires, counted from the refund's date.
pub(super) const GRACE_DAYS: u32 = 30;

impl Fold<'_> {
    pub(super) fn authorisation(&mut self, message: &Message, points: i64) -> Verdict {
        let (contract, terms) = self.contract(message)?;
        in_range(points)?;
        if points < terms.minimum_burn_points {
            return Err(OutcomeCode::BelowMinimumBurn);
        }
        if points > self.available() {
            return Err(OutcomeCode::InsufficientPoints);
        }
        let ends_at = self
            .ctx
            .decided_at
            .plus_micros(terms.authorisation_ttl_micros);
        let unheld: Uses = self
            .member
            .lots()
            .iter()
            .map(|lot| Use {
                points: lot.unheld(),
                ..whole(lot)
            })
            .collect();
        let uses = first(&unheld, points);
        self.push(Change::Held {
            merchant: message.sender,
            contract,
            event_time: message.event_time,
            ends_at,
            uses,
        });
        Ok(Accepted::new(MessageState::Authorised, points).due_at(ends_at))
    }

    pub(super) fn capture(
        &mut self,
        message: &Message,
        authorisation: Option<Pos>,
        points: i64,
    ) -> Verdict {
        let (contract, terms) = self.contract(message)?;
        in_range(points)?;
        let (authorisation, held) = self.held(message, authorisation)?;
        if points > points_of(&held) {
            return Err(OutcomeCode::CaptureExceedsAuthorisation);
        }
        let uses = first(&held, points);
        let fee_bps = terms.redemption_fee_bps;
        let fee_micros = micros(share_floor(value(&uses, self.global.book()), fee_bps))?;
        let (merchant, event_time) = (message.sender, message.event_time);
        self.push(Change::Captured {
            authorisation,
            merchant,
            contract,
            event_time,
            fee_bps,
            fee_micros,
            uses,
        });
        let released: Vec<LotKey> = held.iter().map(|u| u.lot).collect();
        self.settle_gain(&released);
        self.activity(event_time);
        Ok(Accepted::new(MessageState::Captured, points))
    }

    pub(super) fn void(&mut self, message: &Message, authorisation: Option<Pos>) -> Verdict {
        let (authorisation, held) = self.held(message, authorisation)?;
        self.release(
            authorisation,
            Release::Voided,
            self.ctx.decided_at,
            self.cycle,
        );
        Ok(Accepted::new(MessageState::Voided, points_of(&held)))
    }

    pub(super) fn refund(
        &mut self,
        message: &Message,
        capture: Option<Pos>,
        points: i64,
    ) -> Verdict {
        in_range(points)?;
        let capture = capture.ok_or(OutcomeCode::OriginalNotFound)?;
        let record = self
            .member
            .redemption_of_capture(capture)
            .cloned()
            .ok_or_else(|| self.gone(capture))?;
        self.own(message, &record)?;
        let Status::Captured {
            fee_bps,
            refunded,
            uses,
            ..
        } = &record.status
        else {
            return Err(OutcomeCode::OriginalNotFound);
        };
        let version = self
            .global
            .contract_version(record.contract)
            .ok_or(OutcomeCode::OriginalNotFound)?;
        if message.event_time
            >= version.terms.window_end(
                record.event_time,
                self.global.programme(record.event_time).zone,
            )
        {
            return Err(OutcomeCode::ReturnWindowClosed);
        }
        let captured = points_of(uses) - refunded;
        if points > captured {
            return Err(OutcomeCode::RefundExceedsCapture);
        }
        let book = self.global.book();
        let (still, kept) = (first(uses, captured), first(uses, captured - points));
        let fee = |uses: &Uses| share_floor(value(uses, book), *fee_bps);
        let fee_micros = micros(fee(&still) - fee(&kept))?;
        let back: Uses = last_reversed(&still, points)
            .iter()
            .enumerate()
            .map(|(i, u)| self.back_to(u, i, message.event_time))
            .collect();
        let lots: Vec<LotKey> = back.iter().map(|u| u.lot).collect();
        self.push(Change::Refunded {
            capture,
            merchant: message.sender,
            fee_micros,
            uses: back,
        });
        self.settle_gain(&lots);
        let state = self
            .member
            .redemption(record.authorisation)
            .map_or(MessageState::Refunded, Redemption::state);
        Ok(Accepted::new(state, points))
    }

    /// Where refunded points go: to their lot, or where its expiry has passed to a child with a grace period.
    fn back_to(&self, u: &Use, index: usize, event_time: Instant) -> Use {
        if u.expires_at > self.ctx.decided_at {
            return *u;
        }
        let zone = self.global.programme(event_time).zone;
        let expires_at = zone.midnight_after_days(self.ctx.decided_at, GRACE_DAYS);
        Use {
            lot: LotKey {
                pos: self.ctx.pos,
                part: index as u16,
            },
            posted_at: event_time,
            expires_at,
            ..*u
        }
    }

    /// The hold of an authorisation, or why it cannot be used.
    fn held(
        &self,
        message: &Message,
        authorisation: Option<Pos>,
    ) -> Result<(Pos, Uses), OutcomeCode> {
        let authorisation = authorisation.ok_or(OutcomeCode::OriginalNotFound)?;
        // Records of holds that ended are dropped with time; what is gone then has expired long ago.
        let missing = || {
            if self.member.was_pruned(authorisation) {
                OutcomeCode::HoldExpired
            } else {
                OutcomeCode::OriginalNotFound
            }
        };
        let record = self.member.redemption(authorisation).ok_or_else(missing)?;
        self.own(message, record)?;
        match &record.status {
            Status::Held { uses, .. } => Ok((authorisation, uses.clone())),
            Status::Captured { .. } => Err(OutcomeCode::AlreadyCaptured),
            Status::Voided => Err(OutcomeCode::AlreadyVoided),
            Status::Expired => Err(OutcomeCode::HoldExpired),
        }
    }

    fn own(&self, message: &Message, record: &Redemption) -> Result<(), OutcomeCode> {
        let merchant = self
            .global
            .contract_version(record.contract)
            .map(|version| version.merchant);
        if merchant == Some(message.sender) {
            Ok(())
        } else {
            Err(OutcomeCode::OriginalNotFound)
        }
    }

    fn settle_gain(&mut self, lots: &[LotKey]) {
        let (cycle, late) = (self.cycle, self.late);
        self.after_gain(lots, self.ctx.decided_at, cycle, late);
    }
}

fn in_range(points: i64) -> Result<(), OutcomeCode> {
    if (1..=MAX_POINTS).contains(&points) {
        Ok(())
    } else {
        Err(OutcomeCode::PointsOutOfRange)
    }
}

fn micros(value: i128) -> Result<i64, OutcomeCode> {
    i64::try_from(value).map_err(|_| OutcomeCode::PointsOutOfRange)
}

fn whole(lot: &Lot) -> Use {
    Use {
        lot: lot.key,
        origin: lot.origin,
        price: lot.price,
        points: lot.remaining,
        posted_at: lot.posted_at,
        expires_at: lot.expires_at,
    }
}
