//! Spending: authorise, capture, void, refund (rules 4 and 5).

use hansa_money::MAX_POINTS;
use hansa_proto::v1::{self, MessageState, ResultCode};

use crate::{
    books::{Books, Journal, funding},
    calendar, debt,
    decide::{Done, Halt, Here},
    due, earn,
    exact::share,
    member::{Capture, Hold, HoldState, Lot, LotNo, Member, Use},
    terms::{Mode, Terms},
    totals::{Account, Kind},
};

/// Days from a refund until points come to an end whose own expiry has passed.
const GRACE_DAYS: u64 = 30;

fn in_range(points: i64) -> Result<i64, Halt> {
    if (1..=MAX_POINTS).contains(&points) {
        Ok(points)
    } else {
        Err(ResultCode::PointsOutOfRange.into())
    }
}

/// Holds points of named lots.
pub(crate) fn authorise(
    terms: &Terms,
    member: &mut Member,
    here: &Here,
    asked: &v1::RedemptionAuthorisation,
) -> Result<Done, Halt> {
    let contract = here.contract(terms)?;
    let zone = terms.programme(here.event_time)?.zone;
    let points = in_range(asked.points)?;
    if points < contract.minimum_burn {
        return Err(ResultCode::BelowMinimumBurn.into());
    }
    if points > member.available(here.now) {
        return Err(ResultCode::InsufficientPoints.into());
    }
    let mut left = points;
    let mut uses = Vec::new();
    for number in member.burn_order() {
        let Some(lot) = member
            .lots
            .get_mut(&number)
            .filter(|lot| lot.expires > here.now)
        else {
            continue;
        };
        let points = lot.free().min(left);
        if points > 0 {
            lot.held += points;
            left -= points;
            uses.push(Use {
                lot: number,
                points,
                refunded: 0,
            });
        }
    }
    let ends = here.now.saturating_add(contract.ttl);
    let hold = Hold {
        place: here.place,
        ends,
        window: contract.window(zone, here.event_time),
        uses,
        state: HoldState::Open,
    };
    member.holds.insert(here.key, hold);
    Ok(Done {
        state: MessageState::Authorised,
        points,
        due: Some(ends),
        ..Done::default()
    })
}

/// The hold that a message names, if it can still be used.
fn standing<'a>(member: &'a mut Member, here: &Here, id: &[u8]) -> Result<&'a mut Hold, Halt> {
    let Some(hold) = member.holds.get_mut(&here.named(id)) else {
        return Err(Halt::unknown(ResultCode::HoldExpired));
    };
    match hold.state {
        HoldState::Open => Ok(hold),
        HoldState::Ended => Err(ResultCode::HoldExpired.into()),
        HoldState::Captured(_) => Err(ResultCode::AlreadyCaptured.into()),
        HoldState::Voided => Err(ResultCode::AlreadyVoided.into()),
    }
}

/// Spends held points in the order in which they were taken; the rest is released.
pub(crate) fn capture(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    here: &Here,
    asked: &v1::RedemptionCapture,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    let contract = here.contract(terms)?;
    let zone = terms.programme(here.event_time)?.zone;
    let points = in_range(asked.points)?;
    let hold = standing(member, here, &asked.authorisation_message_id)?;
    if points > hold.points() {
        return Err(ResultCode::CaptureExceedsAuthorisation.into());
    }
    hold.state = HoldState::Captured(here.key.1);
    let held = hold.uses.clone();
    let mut left = points;
    let mut uses = Vec::new();
    let mut rest: Vec<(LotNo, i64)> = Vec::new();
    let mut value = 0;
    for taken in held {
        let spent = taken.points.min(left);
        left -= spent;
        if taken.points > spent {
            rest.push((taken.lot, taken.points - spent));
        }
        let Some(lot) = member.lots.get_mut(&taken.lot).filter(|_| spent > 0) else {
            continue;
        };
        lot.held -= spent;
        lot.remaining -= spent;
        let worth = lot.value(spent);
        value += worth;
        books
            .standing
            .open_points(lot.funder, lot.mode, lot.price, -spent);
        journal.release(lot.funder, lot.mode, worth);
        if lot.mode == Mode::Burn {
            journal.line(
                lot.funder,
                Kind::PointsConsumed,
                Some(here.sender),
                spent,
                worth,
            );
        }
        journal.pair(lot.funder, here.sender, spent, worth);
        uses.push(Use {
            lot: taken.lot,
            points: spent,
            refunded: 0,
        });
    }
    let fee = share(value, contract.redemption_bps);
    journal.credit(Account::Clearing(here.sender), value - fee);
    journal.credit(Account::RedemptionFee, fee);
    journal.line(here.sender, Kind::Redemption, None, points, fee - value);
    journal.points.redeemed += points;
    let capture = Capture {
        fee_bps: contract.redemption_bps,
        uses,
        window: contract.window(zone, here.event_time),
    };
    member.captures.insert(here.key, capture);
    due::release(terms, books, member, rest, here.now, journal)?;
    earn::activity(terms, member, here.event_time, here.now)?;
    Ok(Done {
        state: MessageState::Captured,
        points,
        ..Done::default()
    })
}

/// Gives a hold back.
pub(crate) fn void(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    here: &Here,
    asked: &v1::RedemptionVoid,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    let hold = standing(member, here, &asked.authorisation_message_id)?;
    hold.state = HoldState::Voided;
    let points = hold.points();
    let released: Vec<_> = hold.uses.iter().map(|u| (u.lot, u.points)).collect();
    due::release(terms, books, member, released, here.now, journal)?;
    Ok(Done {
        state: MessageState::Voided,
        points,
        ..Done::default()
    })
}

/// Gives captured points back to where they came from, the last taken first.
pub(crate) fn refund(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    here: &Here,
    asked: &v1::RedemptionRefund,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    let points = in_range(asked.points)?;
    let Some(capture) = member
        .captures
        .get_mut(&here.named(&asked.capture_message_id))
    else {
        return Err(Halt::unknown(ResultCode::ReturnWindowClosed));
    };
    if here.event_time >= capture.window.end {
        return Err(ResultCode::ReturnWindowClosed.into());
    }
    if points > capture.left() {
        return Err(ResultCode::RefundExceedsCapture.into());
    }
    let worth = |capture: &Capture, lots: &std::collections::BTreeMap<LotNo, Lot>| -> i128 {
        let uses = capture.uses.iter();
        uses.filter_map(|u| Some(lots.get(&u.lot)?.value(u.points - u.refunded)))
            .sum()
    };
    let before = worth(capture, &member.lots);
    let mut left = points;
    let mut back = Vec::new();
    for taken in capture.uses.iter_mut().rev() {
        let points = (taken.points - taken.refunded).min(left);
        if points > 0 {
            taken.refunded += points;
            left -= points;
            back.push((taken.lot, points));
        }
    }
    let after = worth(capture, &member.lots);
    let fee = share(before, capture.fee_bps) - share(after, capture.fee_bps);
    let state = if capture.left() == 0 {
        MessageState::Refunded
    } else {
        MessageState::PartiallyRefunded
    };
    let value = before - after;
    let zone = terms.programme(here.event_time)?.zone;
    let grace = calendar::days_after(zone, here.now, GRACE_DAYS);
    let mut gained = Vec::new();
    for (number, points) in back {
        let Some(lot) = member.lots.get_mut(&number) else {
            continue;
        };
        let worth = lot.value(points);
        let (funder, mode, price) = (lot.funder, lot.mode, lot.price);
        journal.credit(funding(funder, mode), worth);
        if mode == Mode::Burn {
            let kind = Kind::PointsConsumedRefunded;
            journal.line(funder, kind, Some(here.sender), points, -worth);
        }
        journal.pair(funder, here.sender, -points, -worth);
        books.standing.open_points(funder, mode, price, points);
        let number = if lot.expires > here.now {
            lot.remaining += points;
            number
        } else {
            let child = Lot {
                remaining: points,
                held: 0,
                expires: grace,
                ..lot.clone()
            };
            member.post(child)
        };
        gained.push((number, points));
    }
    journal.debit(Account::Clearing(here.sender), value - fee);
    journal.debit(Account::RedemptionFee, fee);
    let kind = Kind::RedemptionRefund;
    journal.line(here.sender, kind, None, points, value - fee);
    journal.points.refunded += points;
    debt::repay_from(books, member, &gained, journal);
    Ok(Done {
        state,
        points,
        ..Done::default()
    })
}
