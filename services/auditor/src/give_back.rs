//! Returns of purchases (rules 2 and 3): cumulative claims, the points that are found, and what becomes of the others.

use hansa_money::MAX_AMOUNT_MICROS;
use hansa_proto::v1::{self, MessageState, ResultCode};

use crate::{
    books::{Books, Journal, funding},
    debt,
    decide::{Done, Halt, Here},
    earn,
    exact::split,
    member::{Debt, Lot, LotNo, Member, MessageKey, Purchase},
    terms::{Missing, Mode, Terms},
    totals::{Account, Kind},
};

/// What a return asks of each part, when `left` of the amount stays.
fn claims(purchase: &Purchase, left: i64) -> Vec<i64> {
    let mut claims = vec![0; purchase.parts.len()];
    let ask = |posted: i64, stays: i64, expired: i64, reversed: i64| {
        ((posted - stays).min(posted - expired) - reversed).max(0)
    };
    let base = &purchase.parts[0];
    let stays = earn::base(purchase.basis, purchase.amount, left).unwrap_or(0);
    claims[0] = ask(base.points, stays, base.expired, base.reversed);
    for applied in &purchase.applied {
        let range = applied.range();
        let parts = &purchase.parts[range.clone()];
        let stays = earn::bonus(applied.bonus, purchase.basis, purchase.amount, left).unwrap_or(0);
        let expired = parts.iter().map(|part| part.expired).sum();
        let reversed = parts.iter().map(|part| part.reversed).sum();
        let claim = ask(applied.points, stays, expired, reversed);
        let weights: Vec<i64> = parts.iter().map(|part| part.left()).collect();
        for (place, points) in range.zip(split(claim, &weights)) {
            claims[place] = points;
        }
    }
    claims
}

/// Lots of the member that something can be taken from, in the order in which a return takes: for each part its own, then
/// the purchase's others, then all others.
fn take(member: &mut Member, key: MessageKey, claims: &[i64]) -> (Vec<i64>, Vec<Taken>) {
    let mut missing = claims.to_vec();
    let mut taken = Vec::new();
    for stage in 0..3 {
        for (part, missing) in missing.iter_mut().enumerate() {
            for number in member.burn_order() {
                let Some(lot) = member.lots.get_mut(&number).filter(|_| *missing > 0) else {
                    break;
                };
                let fits = match stage {
                    0 => lot.origin == (key, part),
                    1 => lot.origin.0 == key,
                    _ => true,
                };
                let points = lot.free().min(*missing);
                if fits && points > 0 {
                    lot.remaining -= points;
                    *missing -= points;
                    taken.push(Taken {
                        part,
                        lot: number,
                        points,
                    });
                }
            }
        }
    }
    (missing, taken)
}

/// Points of a lot that a part was reversed with.
struct Taken {
    part: usize,
    lot: LotNo,
    points: i64,
}

/// Decides a return.
pub(crate) fn decide(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    here: &Here,
    asked: &v1::AccrualReversal,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    let amount = here.amount(terms, asked.returned_amount.as_ref())?;
    if !(1..=MAX_AMOUNT_MICROS).contains(&amount) {
        return Err(ResultCode::AmountOutOfRange.into());
    }
    let key = here.named(&asked.accrual_message_id);
    let Some(purchase) = member.purchases.get(&key) else {
        return Err(Halt::unknown(ResultCode::ReturnWindowClosed));
    };
    if here.event_time >= purchase.window.end {
        return Err(ResultCode::ReturnWindowClosed.into());
    }
    let left = purchase.amount - purchase.returned - amount;
    if left < 0 {
        return Err(ResultCode::ReturnExceedsPurchase.into());
    }
    if purchase.waits_until.is_some() {
        return Ok(lower(books, member, key, amount));
    }
    let claims = claims(purchase, left);
    let policy = terms.programme(here.event_time)?.missing;
    let free: i64 = member.lots.values().map(Lot::free).sum();
    if claims.iter().sum::<i64>() > free && policy == Missing::Refused {
        return Err(ResultCode::InsufficientPoints.into());
    }
    let (missing, taken) = take(member, key, &claims);
    let short: i64 = missing.iter().sum();
    let Some(purchase) = member.purchases.get_mut(&key) else {
        return Err(Halt::unknown(ResultCode::ReturnWindowClosed));
    };
    purchase.returned += amount;
    for (part, claim) in purchase.parts.iter_mut().zip(&claims) {
        part.reversed += claim;
    }
    let parts = purchase.parts.clone();
    let state = if left == 0 {
        MessageState::Reversed
    } else {
        MessageState::PartiallyReversed
    };
    for (part, claim) in parts.iter().zip(&claims).filter(|(_, claim)| **claim > 0) {
        journal.line(part.funder, Kind::ReversalClaimed, None, *claim, 0);
    }
    for Taken { part, lot, points } in taken {
        let Some(lot) = member.lots.get(&lot) else {
            continue;
        };
        let part = &parts[part];
        let value = lot.value(points);
        books
            .standing
            .open_points(lot.funder, lot.mode, lot.price, -points);
        journal.debit(funding(lot.funder, lot.mode), value);
        journal.credit(Account::Clearing(part.funder), value);
        if lot.mode == Mode::Burn {
            journal.line(
                lot.funder,
                Kind::PointsTaken,
                Some(part.funder),
                points,
                value,
            );
        }
        journal.line(part.funder, Kind::ReversalRecovered, None, points, -value);
        journal.pair(lot.funder, part.funder, points, value);
        debt::fee_back(journal, part.funder, points, fee(part));
        journal.points.recovered += points;
    }
    for (part, short) in parts.iter().zip(&missing).filter(|(_, short)| **short > 0) {
        if policy == Missing::Owed {
            journal.line(part.funder, Kind::DebtOpened, None, *short, 0);
            member.debts.push(Debt {
                to: part.funder,
                points: *short,
                fee: fee(part),
            });
        } else {
            journal.line(part.funder, Kind::Forgiven, None, *short, 0);
        }
    }
    Ok(Done {
        state,
        points: claims.iter().sum(),
        owed: if policy == Missing::Owed { short } else { 0 },
        forgiven: if policy == Missing::Owed { 0 } else { short },
        ..Done::default()
    })
}

/// Service fee per point that a return gives back.
fn fee(part: &crate::member::Part) -> i64 {
    if part.returns_fee { part.fee } else { 0 }
}

/// A pending purchase becomes one of a smaller amount, without a journal: it will post as if it had been so from the start.
fn lower(books: &mut Books, member: &mut Member, key: MessageKey, amount: i64) -> Done {
    let mut done = Done {
        state: MessageState::Pending,
        ..Done::default()
    };
    let Some(purchase) = member.purchases.get_mut(&key) else {
        return done;
    };
    let points = |purchase: &Purchase| purchase.parts.iter().map(|part| part.points).sum::<i64>();
    let before = points(purchase);
    for part in &purchase.parts {
        books
            .standing
            .wait_for(part.funder, -part.cost(part.points));
    }
    purchase.returned += amount;
    let (basis, whole) = (purchase.basis, purchase.amount);
    let left = whole - purchase.returned;
    purchase.parts[0].points = earn::base(basis, whole, left).unwrap_or(0);
    for applied in &mut purchase.applied {
        applied.points = earn::bonus(applied.bonus, basis, whole, left).unwrap_or(0);
        let points = split(applied.points, &applied.shares);
        for (part, points) in purchase.parts[applied.range()].iter_mut().zip(points) {
            part.points = points;
        }
    }
    for part in &purchase.parts {
        books.standing.wait_for(part.funder, part.cost(part.points));
    }
    // A bonus may become larger where the amount becomes smaller: what a factor adds is a difference of two floors.
    done.points = (before - points(purchase)).max(0);
    if left == 0 {
        purchase.waits_until = None;
        done.state = MessageState::Reversed;
    } else {
        done.due = purchase.waits_until;
    }
    done
}
