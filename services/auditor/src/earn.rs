//! Earning: what a purchase is worth, whether limits let it pass, and its posting (rules 1, 3, 6, 8, 11 and 12).

use std::collections::BTreeMap;

use hansa_money::{MAX_AMOUNT_MICROS, MAX_POINTS, MAX_VALUE_MICROS};
use hansa_proto::v1::{self, MessageState, ResultCode};

use crate::{
    books::{Books, Journal},
    debt,
    decide::{Done, Halt, Here},
    due,
    exact::split,
    finding::Mismatch,
    member::{Applied, Basis, Lot, Member, MessageKey, Part, Purchase},
    source::MerchantNo,
    standing::{Added, Standing, Verdict},
    terms::{Bonus, Contract, Expiry, Mode, Programme, State, Terms},
    totals::{Account, Kind},
};

/// The base points of an amount, of a purchase of the whole.
pub(crate) fn base(basis: Basis, whole: i64, amount: i64) -> Option<i64> {
    match basis {
        Basis::Rate(rate) => rate.of_amount(amount),
        Basis::Said(points) if amount == whole => Some(points),
        Basis::Said(points) => {
            let exact = i128::from(points) * i128::from(amount);
            i64::try_from(exact.div_euclid(i128::from(whole))).ok()
        }
    }
}

/// The points of a promotion for an amount, of a purchase of the whole.
pub(crate) fn bonus(bonus: Bonus, basis: Basis, whole: i64, amount: i64) -> Option<i64> {
    match (bonus, basis) {
        (Bonus::Rate(rate), _) => rate.of_amount(amount),
        (Bonus::Multiplier(k), Basis::Rate(rate)) => {
            Some(rate.of_amount_times(amount, k)? - rate.of_amount(amount)?)
        }
        (Bonus::Multiplier(k), Basis::Said(_)) => {
            let base = base(basis, whole, amount)?;
            Some(k.of_points(base)? - base)
        }
    }
}

/// One funder's part, by the terms of the event time.
fn part(funder: MerchantNo, contract: &Contract, price: i64, points: i64) -> Part {
    Part {
        funder,
        mode: contract.mode,
        price,
        fee: contract.fee,
        returns_fee: contract.returns_fee,
        points,
        reversed: 0,
        expired: 0,
    }
}

/// How the base points come about, and how many they are.
fn base_points(
    accrual: &v1::Accrual,
    amount: i64,
    contract: &Contract,
) -> Result<(Basis, i64), Halt> {
    let said = accrual.points;
    if said.is_some_and(|points| !(0..=MAX_POINTS).contains(&points)) {
        return Err(ResultCode::PointsOutOfRange.into());
    }
    let basis = match (contract.computes, said) {
        (true, None) => return Err(ResultCode::PointsMismatch.into()),
        (true, Some(points)) => Basis::Said(points),
        (false, _) => Basis::Rate(contract.rate),
    };
    let points = base(basis, amount, amount).ok_or(ResultCode::AmountOutOfRange)?;
    if said.is_some_and(|said| said != points) {
        return Err(ResultCode::PointsMismatch.into());
    }
    Ok((basis, points))
}

/// Adds the promotions that apply; answers what each gives, by its id.
fn promote(
    terms: &Terms,
    books: &Books,
    here: &Here,
    purchase: &mut Purchase,
) -> Result<Vec<(String, i64)>, Halt> {
    let price = terms.programme(here.event_time)?.price;
    let mut given = Vec::new();
    for (id, promotion) in &terms.promotions {
        let applies = (promotion.start..promotion.end).contains(&here.event_time)
            && (promotion.merchants.is_empty() || promotion.merchants.contains(&here.sender));
        if !applies {
            continue;
        }
        let mut funders = Vec::new();
        for (funder, _) in &promotion.shares {
            let merchant = terms.merchant(*funder)?;
            if merchant.state == State::Active
                && let Some(contract) = merchant.contract(here.event_time)
            {
                funders.push((*funder, contract));
            }
        }
        if funders.len() != promotion.shares.len() {
            continue;
        }
        let (basis, amount) = (purchase.basis, purchase.amount);
        let points = bonus(promotion.bonus, basis, amount, amount);
        let points = points.ok_or(ResultCode::AmountOutOfRange)?;
        let granted = books.granted.get(id).copied().unwrap_or(0);
        if points <= 0 || promotion.cap.is_some_and(|cap| points > cap - granted) {
            continue;
        }
        let shares: Vec<i64> = promotion.shares.iter().map(|s| i64::from(s.1)).collect();
        let first_part = purchase.parts.len();
        for ((funder, contract), points) in funders.into_iter().zip(split(points, &shares)) {
            purchase.parts.push(part(funder, contract, price, points));
        }
        purchase.applied.push(Applied {
            bonus: promotion.bonus,
            points,
            first_part,
            shares,
        });
        given.push((id.clone(), points));
    }
    Ok(given)
}

/// Caps of the sender and of every funder.
pub(crate) fn check_limits(
    terms: &Terms,
    books: &Books,
    standing: &Standing,
    member: &Member,
    here: &Here,
    assessed: &Assessed,
) -> Result<(), Halt> {
    let (contract, purchase) = (here.contract(terms)?, &assessed.purchase);
    let points = purchase.parts[0].points;
    let earned = books.open_cycle()?.earned.get(&here.sender).copied();
    if points > 0
        && contract
            .earn_cap
            .is_some_and(|cap| earned.unwrap_or(0) + points > cap)
    {
        return Err(ResultCode::LimitExceeded.into());
    }
    let mut added: BTreeMap<MerchantNo, Added> = BTreeMap::new();
    // Points that are born expired repay nothing.
    let mut debts = match purchase.waits_until {
        None if purchase.expires > here.now => member.debts.clone(),
        _ => Vec::new(),
    };
    for part in purchase.parts.iter().filter(|part| part.points > 0) {
        let own = added.entry(part.funder).or_default();
        own.funds = true;
        if purchase.waits_until.is_some() {
            own.waiting += part.cost(part.points);
            continue;
        }
        own.clearing += i128::from(part.points) * i128::from(part.fee);
        let repaid = debt::settle(&mut debts, part.points);
        let kept = part.points - repaid.iter().map(|(_, points, _)| points).sum::<i64>();
        let worth = |points: i64| i128::from(points) * i128::from(part.price);
        match part.mode {
            Mode::Issue => own.clearing += worth(part.points),
            Mode::Burn => {
                own.clearing += worth(part.points - kept);
                own.burn += worth(kept);
            }
        }
        for (to, points, fee) in repaid {
            let back = i128::from(points) * i128::from(fee);
            added.entry(to).or_default().clearing -= worth(points) + back;
        }
    }
    for (funder, added) in added.into_iter().filter(|(_, added)| added.funds) {
        let Some(contract) = terms.merchant(funder)?.contract(here.now) else {
            continue;
        };
        let beyond = match standing.verdict(funder, contract, &added) {
            Verdict::Within => false,
            Verdict::Beyond => true,
            Verdict::Either => here.limited,
        };
        if beyond {
            return Err(ResultCode::LimitExceeded.into());
        }
    }
    Ok(())
}

/// A purchase as it would be posted, and the points that promotions give, by their ids.
pub(crate) struct Assessed {
    purchase: Purchase,
    given: Vec<(String, i64)>,
}

/// What a purchase is worth.
pub(crate) fn assess(
    terms: &Terms,
    books: &Books,
    member: &Member,
    here: &Here,
    accrual: &v1::Accrual,
) -> Result<Assessed, Halt> {
    let programme = terms.programme(here.event_time)?;
    let contract = here.contract(terms)?;
    let amount = here.amount(terms, accrual.eligible_amount.as_ref())?;
    if !(0..=MAX_AMOUNT_MICROS).contains(&amount) {
        return Err(ResultCode::AmountOutOfRange.into());
    }
    let (basis, points) = base_points(accrual, amount, contract)?;
    let window = contract.window(programme.zone, here.event_time);
    let mut purchase = Purchase {
        place: here.place,
        event_time: here.event_time,
        amount,
        returned: 0,
        basis,
        parts: vec![part(here.sender, contract, programme.price, points)],
        applied: Vec::new(),
        waits_until: (contract.waits && window.end > here.now).then_some(window.end),
        window,
        expires: expiry(programme, member, here.event_time),
        late: here.late,
    };
    let given = promote(terms, books, here, &mut purchase)?;
    let beyond = |part: &Part| part.cost(part.points) > MAX_VALUE_MICROS;
    if purchase.parts.iter().any(beyond) {
        return Err(ResultCode::AmountOutOfRange.into());
    }
    Ok(Assessed { purchase, given })
}

/// Lets an assessed purchase take effect.
pub(crate) fn accept(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    here: &Here,
    Assessed { purchase, given }: Assessed,
    journal: &mut Journal,
) -> Result<Done, Halt> {
    for (id, points) in given {
        *books.granted.entry(id).or_default() += points;
    }
    let points = purchase.parts[0].points;
    let cycle = books.cycle_mut(here.cycle)?;
    *cycle.earned.entry(here.sender).or_default() += points;
    let all: i64 = purchase.parts.iter().map(|part| part.points).sum();
    let mut done = Done {
        state: MessageState::Posted,
        points: all,
        bonus: all - points,
        ..Done::default()
    };
    activity(terms, member, here.event_time, here.now)?;
    if let Some(at) = purchase.waits_until {
        for part in &purchase.parts {
            books.standing.wait_for(part.funder, part.cost(part.points));
        }
        done.state = MessageState::Pending;
        done.due = Some(at);
        member.purchases.insert(here.key, purchase);
        return Ok(done);
    }
    done.due = (all > 0).then_some(purchase.expires);
    member.purchases.insert(here.key, purchase);
    post(terms, books, member, here.key, here.now, journal)?;
    Ok(done)
}

/// When lots of something that happened at an instant expire: under INACTIVITY the last activity counts.
fn expiry(programme: &Programme, member: &Member, event_time: i64) -> i64 {
    programme.expires(match programme.expiry {
        Expiry::Inactivity(_) => member.active(event_time),
        Expiry::Rolling(_) | Expiry::Sweeps(_) | Expiry::Never => event_time,
    })
}

/// A purchase or a capture is activity: under INACTIVITY it moves the expiry of all lots that are not expired.
pub(crate) fn activity(
    terms: &Terms,
    member: &mut Member,
    event_time: i64,
    now: i64,
) -> Result<(), Mismatch> {
    let active = member.active(event_time);
    member.last_active = Some(active);
    let programme = terms.programme(event_time)?;
    if !matches!(programme.expiry, Expiry::Inactivity(_)) {
        return Ok(());
    }
    let expires = programme.expires(active);
    for lot in member.lots.values_mut() {
        if lot.expires > now {
            lot.expires = expires;
        }
    }
    Ok(())
}

/// Posts a purchase at an instant: journals, debts, lots; what is expired by then expires.
pub(crate) fn post(
    terms: &Terms,
    books: &mut Books,
    member: &mut Member,
    key: MessageKey,
    at: i64,
    journal: &mut Journal,
) -> Result<(), Mismatch> {
    let Some(posted) = member.purchases.get(&key).map(|p| p.event_time) else {
        return Ok(());
    };
    let expires = expiry(terms.programme(posted)?, member, posted);
    let Some(purchase) = member.purchases.get_mut(&key) else {
        return Ok(());
    };
    purchase.expires = expires;
    let waited = purchase.waits_until.take().is_some();
    let parts: Vec<(usize, Part)> = purchase.parts.iter().cloned().enumerate().collect();
    for (index, part) in parts {
        let points = part.left();
        if waited {
            books.standing.wait_for(part.funder, -part.cost(points));
        }
        if points == 0 {
            continue;
        }
        accrue(journal, index, &part, points);
        let mut left = points;
        if expires > at {
            for repaid in debt::settle(&mut member.debts, points) {
                left -= repaid.1;
                debt::write(journal, (part.funder, part.mode, part.price), repaid);
            }
        }
        if left == 0 {
            continue;
        }
        books
            .standing
            .open_points(part.funder, part.mode, part.price, left);
        let number = member.post(Lot {
            funder: part.funder,
            mode: part.mode,
            price: part.price,
            remaining: left,
            held: 0,
            posted,
            expires,
            origin: (key, index),
        });
        if expires <= at {
            due::expire(terms, books, member, number, at, journal)?;
        }
    }
    Ok(())
}

/// The accrual's own journal.
fn accrue(journal: &mut Journal, index: usize, part: &Part, points: i64) {
    let fee = i128::from(points) * i128::from(part.fee);
    let (kind, value) = match (part.mode, index) {
        (Mode::Issue, 0) => (Kind::BaseAccrual, part.cost(points) - fee),
        (Mode::Issue, _) => (Kind::PromotionShare, part.cost(points) - fee),
        (Mode::Burn, 0) => (Kind::BaseFee, 0),
        (Mode::Burn, _) => (Kind::PromotionFee, 0),
    };
    journal.debit(Account::Clearing(part.funder), value + fee);
    journal.credit(Account::Reserve, value);
    journal.credit(Account::ServiceFee, fee);
    journal.line(part.funder, kind, None, points, value + fee);
    journal.points.issued += points;
}
