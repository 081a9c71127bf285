//! What happens to a member by time alone, in the order (instant, kind, place): holds that end, lots that expire, pending
//! purchases that post. Each event belongs to the cycle that holds its instant.

use crate::{
    books::{Books, Journal},
    debt, earn,
    exact::share,
    finding::Mismatch,
    member::{HoldState, LotNo, Member, MessageKey, Place},
    terms::{Mode, Terms},
    totals::{Account, Kind},
};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Hold(Place, MessageKey),
    Lot(LotNo),
    Waiting(Place, MessageKey),
}

fn first(member: &Member, until: i64) -> Option<(i64, Event)> {
    let holds = member.holds.iter().filter_map(|(key, hold)| {
        (hold.state == HoldState::Open).then_some((hold.ends, Event::Hold(hold.place, *key)))
    });
    let lots = member
        .lots
        .iter()
        .filter_map(|(number, lot)| (lot.free() > 0).then_some((lot.expires, Event::Lot(*number))));
    let waiting = member.purchases.iter().filter_map(|(key, purchase)| {
        Some((purchase.waits_until?, Event::Waiting(purchase.place, *key)))
    });
    holds
        .chain(lots)
        .chain(waiting)
        .filter(|(at, _)| *at <= until && *at != i64::MAX)
        .min()
}

/// Does what is due of a member at or before an instant; answers whether there was anything.
pub(crate) fn run(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    until: i64,
) -> Result<bool, Mismatch> {
    let mut any = false;
    while let Some((at, event)) = first(member, until) {
        any = true;
        let cycle = books.cycle_of(at)?;
        let mut journal = Journal::default();
        match event {
            Event::Hold(_, key) => {
                let uses = match member.holds.get_mut(&key) {
                    Some(hold) => {
                        hold.state = HoldState::Ended;
                        hold.uses.clone()
                    }
                    None => Vec::new(),
                };
                let released = uses.iter().map(|taken| (taken.lot, taken.points));
                release(terms, books, member, released, at, &mut journal)?;
            }
            Event::Lot(number) => expire(terms, books, member, number, at, &mut journal)?,
            Event::Waiting(_, key) => earn::post(terms, books, member, key, at, &mut journal)?,
        }
        books.post(cycle, &journal)?;
    }
    Ok(any)
}

/// Held points become free at an instant. Where their expiry has passed they expire now; the others repay debts.
pub(crate) fn release(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    released: impl IntoIterator<Item = (LotNo, i64)>,
    at: i64,
    journal: &mut Journal,
) -> Result<(), Mismatch> {
    let mut gained = Vec::new();
    for (number, points) in released {
        if points == 0 {
            continue;
        }
        if let Some(lot) = member.lots.get_mut(&number) {
            lot.held -= points;
            if lot.expires <= at {
                expire(terms, books, member, number, at, journal)?;
            } else {
                gained.push((number, points));
            }
        }
    }
    debt::repay_from(books, member, &gained, journal);
    Ok(())
}

/// What is free of a lot expires.
pub(crate) fn expire(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    number: LotNo,
    at: i64,
    journal: &mut Journal,
) -> Result<(), Mismatch> {
    let Some(lot) = member.lots.get_mut(&number) else {
        return Ok(());
    };
    let points = lot.free();
    lot.remaining = lot.held;
    let value = lot.value(points);
    let (key, part) = lot.origin;
    let (funder, mode, price) = (lot.funder, lot.mode, lot.price);
    if let Some(part) = member
        .purchases
        .get_mut(&key)
        .and_then(|purchase| purchase.parts.get_mut(part))
    {
        part.expired += points;
    }
    books.standing.open_points(funder, mode, price, -points);
    journal.points.expired += points;
    match mode {
        Mode::Burn => journal.line(funder, Kind::BurnExpired, None, points, 0),
        Mode::Issue => {
            let contract = terms.merchant(funder)?.contract(at);
            let back = share(value, contract.map_or(0, |contract| contract.breakage_bps));
            journal.debit(Account::Reserve, value);
            journal.credit(Account::Clearing(funder), back);
            journal.credit(Account::Breakage, value - back);
            journal.line(funder, Kind::BreakageShare, None, points, -back);
        }
    }
    Ok(())
}
