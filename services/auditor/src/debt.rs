//! Debts: what a return did not find, and how new points repay it (rule 6).

use crate::{
    books::{Books, Journal, funding},
    member::{Debt, LotNo, Member},
    source::MerchantNo,
    terms::Mode,
    totals::{Account, Kind},
};

/// Points and service fee per point, by creditor.
pub(crate) type Repaid = (MerchantNo, i64, i64);

/// Takes up to so many points off the debts, oldest first.
pub(crate) fn settle(debts: &mut Vec<Debt>, mut points: i64) -> Vec<Repaid> {
    let mut repaid = Vec::new();
    for debt in debts.iter_mut() {
        let now = debt.points.min(points);
        if now > 0 {
            debt.points -= now;
            points -= now;
            repaid.push((debt.to, now, debt.fee));
        }
    }
    debts.retain(|debt| debt.points > 0);
    repaid
}

/// The journal of points of one funder that repay a debt.
pub(crate) fn write(
    journal: &mut Journal,
    (funder, mode, price): (MerchantNo, Mode, i64),
    (to, points, fee): Repaid,
) {
    let value = i128::from(points) * i128::from(price);
    journal.debit(funding(funder, mode), value);
    journal.credit(Account::Clearing(to), value);
    if mode == Mode::Burn {
        journal.line(funder, Kind::DebtRepaid, Some(to), points, value);
    }
    journal.line(to, Kind::ReversalRecovered, None, points, -value);
    journal.line(to, Kind::DebtSettled, None, points, 0);
    journal.pair(funder, to, points, value);
    fee_back(journal, to, points, fee);
    journal.points.recovered += points;
}

/// The service fee of recovered points goes back to the funder that paid it.
pub(crate) fn fee_back(journal: &mut Journal, to: MerchantNo, points: i64, fee: i64) {
    if fee == 0 || points == 0 {
        return;
    }
    let micros = i128::from(points) * i128::from(fee);
    journal.debit(Account::ServiceFee, micros);
    journal.credit(Account::Clearing(to), micros);
    journal.line(to, Kind::ServiceFeeRefund, None, points, -micros);
}

/// Points that became free in these lots repay debts, in burn order.
pub(crate) fn repay_from(
    books: &mut Books,
    member: &mut Member,
    gained: &[(LotNo, i64)],
    journal: &mut Journal,
) {
    if member.debts.is_empty() || gained.is_empty() {
        return;
    }
    for number in member.burn_order() {
        let gain: i64 = gained
            .iter()
            .filter(|(lot, _)| *lot == number)
            .map(|(_, points)| points)
            .sum();
        let Some(lot) = member.lots.get_mut(&number) else {
            continue;
        };
        for repaid in settle(&mut member.debts, gain.min(lot.free())) {
            lot.remaining -= repaid.1;
            books
                .standing
                .open_points(lot.funder, lot.mode, lot.price, -repaid.1);
            write(journal, (lot.funder, lot.mode, lot.price), repaid);
        }
    }
}
