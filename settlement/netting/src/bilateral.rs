//! BILATERAL: of two members that owe each other, the smaller debt is cleared on both sides. A debt to oneself is cleared
//! whole. One pass over the pairs.

use crate::{book::Book, quantity::Quantity};

/// What is cleared of each pair.
pub(crate) fn set_off<T: Quantity>(book: &Book<T>) -> Vec<T> {
    let mut cleared = vec![T::ZERO; book.amount.len()];
    // For each member, how far its pairs have been met as the reverse of another's: debtors come in ascending order, so the
    // creditors that they are met as do too.
    let mut met: Vec<u32> = book.pairs_from.clone();
    for (debtor, creditor, pair) in book.pairs() {
        if debtor == creditor {
            cleared[pair] = book.amount[pair];
        }
        if debtor >= creditor {
            continue;
        }
        let end = book.pairs_of(creditor).end;
        let at = &mut met[creditor as usize];
        while (*at as usize) < end && book.creditor[*at as usize] < debtor {
            *at += 1;
        }
        let reverse = *at as usize;
        if reverse < end && book.creditor[reverse] == debtor {
            let both = book.amount[pair].min(book.amount[reverse]);
            cleared[pair] = both;
            cleared[reverse] = both;
        }
    }
    cleared
}
