//! Groups of three that sum to 0, and of a few more where a position is too large for three.
//!
//! Members are taken by falling size, from both sides. For each, two of the other side are looked for that together are its
//! size: [`TRIES`] candidates are spread over those from half of it upwards, and what completes one is looked up. A position
//! beyond what two can make has the largest that fit subtracted first. Small positions lie so densely that most are found;
//! O(members x tries).

use super::Balance;
use crate::quantity::Quantity;

/// Candidates that are tried for the last two members of a group. More find more triples of large positions early, but use up
/// the small ones that complete them.
const TRIES: usize = 100;
/// Members that are subtracted before the last two, at the most.
const MOST_SUBTRACTED: usize = 3;

/// Members of one side by ascending size, and who of them is still free.
struct Side<T> {
    /// Place 0 is nobody.
    sizes: Vec<T>,
    members: Vec<u32>,
    /// For each place, a place at or below it that leads to the last free one; its own where it is free.
    free: Vec<u32>,
    /// A bit per hash of the sizes: a look here tells most of those that are not there.
    filter: Vec<u64>,
}

impl<T: Quantity> Side<T> {
    fn of(balances: impl Iterator<Item = (T, u32)>) -> Self {
        let mut side = Self {
            sizes: vec![T::ZERO],
            members: vec![0],
            free: vec![],
            filter: vec![0; 1 << (HASH_BITS - 6)],
        };
        for (size, member) in balances {
            let hash = hash(size);
            side.filter[hash >> 6] |= 1 << (hash & 63);
            side.sizes.push(size);
            side.members.push(member);
        }
        side.free = (0..side.sizes.len() as u32).collect();
        side
    }

    /// The last free place at or below this one; 0 if there is none.
    fn free_from(&mut self, place: usize) -> usize {
        let mut last = place;
        while self.free[last] as usize != last {
            last = self.free[last] as usize;
        }
        let mut at = place;
        while at != last {
            at = std::mem::replace(&mut self.free[at], last as u32) as usize;
        }
        last
    }

    /// The last free place of a size up to this one; 0 if there is none.
    fn largest_up_to(&mut self, size: T) -> usize {
        let behind = self.sizes.partition_point(|other| *other <= size);
        self.free_from(behind - 1)
    }

    /// A free place of exactly this size, other than `not`.
    fn exactly(&mut self, size: T, not: usize) -> Option<usize> {
        let hash = hash(size);
        if self.filter[hash >> 6] >> (hash & 63) & 1 == 0 {
            return None;
        }
        let mut place = self.largest_up_to(size);
        if place == not && place > 0 {
            place = self.free_from(place - 1);
        }
        (place > 0 && self.sizes[place] == size).then_some(place)
    }

    /// Two free places of exactly this size together.
    fn two_of(&mut self, size: T) -> Option<[usize; 2]> {
        let mut place = self.largest_up_to(size);
        let half = self
            .sizes
            .partition_point(|other| *other + *other < size)
            .max(1);
        let stride = (place.saturating_sub(half) / TRIES).max(1);
        while place >= half {
            let left = size - self.sizes[place];
            if let Some(other) = self.exactly(left, place) {
                return Some([place, other]);
            }
            place = self.free_from(place.saturating_sub(stride));
        }
        None
    }

    fn take(&mut self, place: usize) {
        self.free[place] = place as u32 - 1;
    }

    fn is_free(&self, place: usize) -> bool {
        self.free[place] as usize == place
    }
}

const HASH_BITS: u32 = 22;

fn hash<T: Quantity>(size: T) -> usize {
    let low = size.into() as u64;
    (low.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - HASH_BITS)) as usize
}

/// Hands out groups; gives the others. The balances are in ascending order and sum to 0, as do those that come back.
pub(super) fn groups<T: Quantity>(
    balances: Vec<Balance<T>>,
    settle: &mut impl FnMut(&[Balance<T>]),
) -> Vec<Balance<T>> {
    let owing = balances.iter().rev().filter(|b| b.net < T::ZERO);
    let owed = balances.iter().filter(|b| b.net > T::ZERO);
    let mut sides = [
        Side::of(owing.map(|b| (-b.net, b.member))),
        Side::of(owed.map(|b| (b.net, b.member))),
    ];
    let balance = |sides: &[Side<T>; 2], which: usize, place: usize| Balance {
        net: if which == 0 {
            -sides[0].sizes[place]
        } else {
            sides[1].sizes[place]
        },
        member: sides[which].members[place],
    };
    let mut top = [sides[0].sizes.len() - 1, sides[1].sizes.len() - 1];
    loop {
        top = [sides[0].free_from(top[0]), sides[1].free_from(top[1])];
        if top == [0, 0] {
            break;
        }
        let larger = usize::from(sides[1].sizes[top[1]] > sides[0].sizes[top[0]]);
        let place = top[larger];
        if let Some(others) = complete(sides[larger].sizes[place], &mut sides[1 - larger]) {
            sides[larger].take(place);
            let mut group = vec![balance(&sides, larger, place)];
            let others = others.into_iter();
            group.extend(others.map(|other| balance(&sides, 1 - larger, other)));
            group.sort_unstable();
            settle(&group);
        }
        // Taken or not, this one is done.
        top[larger] = place - 1;
    }
    let mut rest = vec![];
    for which in [0, 1] {
        let places = 1..sides[which].sizes.len();
        let free = places.filter(|place| sides[which].is_free(*place));
        rest.extend(free.map(|place| balance(&sides, which, place)));
    }
    rest.sort_unstable();
    rest
}

/// Takes places that are exactly this size together, few of them; none if they are not found.
fn complete<T: Quantity>(size: T, side: &mut Side<T>) -> Option<Vec<usize>> {
    let mut chosen = vec![];
    let mut left = size;
    loop {
        if let Some(last) = side.two_of(left) {
            last.into_iter().for_each(|place| side.take(place));
            chosen.extend(last);
            return Some(chosen);
        }
        let largest = side.largest_up_to(left);
        if chosen.len() == MOST_SUBTRACTED || largest == 0 {
            for place in chosen {
                side.free[place] = place as u32;
            }
            return None;
        }
        left -= side.sizes[largest];
        side.take(largest);
        chosen.push(largest);
        if left == T::ZERO {
            return Some(chosen);
        }
    }
}
