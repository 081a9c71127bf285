//! Net positions alone, without a canonical form: two passes over the obligations.

use crate::{
    book::{Members, Survey, is_dense},
    obligation::{NettingError, Obligation, Position},
    quantity::Quantity,
};

/// What a member owes and is owed.
#[derive(Clone, Copy)]
struct Account<T> {
    owes: T,
    owed: T,
}

/// What every member is owed less what it owes, members ascending. A member whose obligations are all of amount 0 is not
/// listed. The nets sum to 0.
///
/// # Errors
/// As for every run: a negative amount, too many obligations.
pub fn positions(obligations: &[Obligation]) -> Result<Vec<Position>, NettingError> {
    let survey = Survey::of(obligations)?;
    Ok(if survey.is_narrow() {
        add_up::<i64>(obligations, &survey)
    } else {
        add_up::<i128>(obligations, &survey)
    })
}

fn add_up<T: Quantity>(obligations: &[Obligation], survey: &Survey) -> Vec<Position> {
    if is_dense(survey.largest_id, obligations.len()) {
        let accounts = accounts::<T>(obligations, survey.largest_id as usize + 1, |id| id);
        return list(0.., accounts);
    }
    let members = Members::of(obligations, survey.largest_id);
    // Behind the last member: ids that only amounts of 0 use.
    let accounts = accounts::<T>(obligations, members.ids.len() + 1, |id| members.index(id));
    list(members.ids.iter().copied(), accounts)
}

fn accounts<T: Quantity>(
    obligations: &[Obligation],
    count: usize,
    index: impl Fn(u32) -> u32,
) -> Vec<Account<T>> {
    let nothing = Account {
        owes: T::ZERO,
        owed: T::ZERO,
    };
    let mut accounts = vec![nothing; count];
    for o in obligations {
        let amount = T::from(o.amount);
        accounts[index(o.debtor) as usize].owes += amount;
        accounts[index(o.creditor) as usize].owed += amount;
    }
    accounts
}

fn list<T: Quantity>(ids: impl Iterator<Item = u32>, accounts: Vec<Account<T>>) -> Vec<Position> {
    ids.zip(accounts)
        .filter(|(_, account)| account.owes > T::ZERO || account.owed > T::ZERO)
        .map(|(member, account)| Position {
            member,
            net: (account.owed - account.owes).into(),
        })
        .collect()
}
