//! How old open points are: by price entry and by the day on which the message that brought them was decided.
//!
//! The ages are not kept anywhere: a pass over the recorded effects derives them. An effect names the lots that it takes from,
//! and a lot is named by the message that posted it; where a message stands in the log says on which day it was decided,
//! because time never goes back along the log. So a table of the first entry of each day is all that a lot's age needs, and
//! no lot is remembered. The age counts from the day of the decision: a message that comes late is as old as its entry, and
//! points that a refund brings back behind their expiry are as old as the refund.
//!
//! Memory: one number for each price entry and day that still has open points, and three for each price entry and cycle. A
//! book goes on from where it stopped; what is read once is not read again while the process lives.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use hansa_settlement::{
    Change, CycleNo, Effect, Instant, NewAccrual, PartPoints, PriceId, Recorded,
};

use super::terms::Terms;

/// Open points by price entry and day.
pub type Open = BTreeMap<(PriceId, NaiveDate), i64>;

/// What became of the points of a price entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Issued, less what returns and repaid debts took.
    pub issued: i64,
    /// Spent, less what refunds brought back.
    pub redeemed: i64,
    /// Expired, less what was reinstated.
    pub lost: i64,
}

/// Histories by price entry.
pub type Histories = BTreeMap<PriceId, History>;

/// A pass over the log from its first entry on.
#[derive(Debug, Clone, Default)]
pub struct AgeBook {
    /// Entries that were read.
    size: u64,
    /// Time of the last of them, microseconds.
    decided_at: i64,
    /// The first entry of each day, in order.
    days: Vec<(u64, NaiveDate)>,
    /// Of complete cycles in front of this one, added up.
    complete: CycleNo,
    base: Open,
    /// Of each cycle behind: it may still go on.
    open: BTreeMap<CycleNo, Open>,
    histories: BTreeMap<CycleNo, Histories>,
}

impl AgeBook {
    /// Number of entries that it has read.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Time of the last entry.
    #[must_use]
    pub const fn decided_at(&self) -> Instant {
        Instant(self.decided_at)
    }

    /// The first cycle that is not added up with those before: the figures of an earlier end are not here any more.
    #[must_use]
    pub const fn complete(&self) -> CycleNo {
        self.complete
    }

    /// Takes the next entry's effects in.
    pub fn entry(&mut self, seq: u64, decided_at: i64, records: &[Recorded], terms: &Terms) {
        self.size = seq + 1;
        self.decided_at = decided_at;
        let day = terms.day(Instant(decided_at));
        if self.days.last().is_none_or(|(_, last)| *last < day) {
            self.days.push((seq, day));
        }
        for effect in records.iter().flat_map(|record| &record.effects) {
            self.effect(effect, seq);
        }
    }

    fn effect(&mut self, effect: &Effect, seq: u64) {
        match &effect.change {
            Change::Accrued {
                accrual: NewAccrual { parts, .. },
                ..
            } => self.issue(effect.cycle, seq, parts),
            Change::PendingPosted {
                original, parts, ..
            } => self.issue(effect.cycle, original.seq(), parts),
            Change::Opened { lot } => {
                self.add(effect.cycle, lot.key.pos.seq(), lot.price, lot.remaining);
                self.history(effect.cycle, lot.price).issued += lot.remaining;
            }
            Change::Taken {
                lot, price, points, ..
            }
            | Change::Repaid {
                lot, price, points, ..
            } => {
                self.add(effect.cycle, lot.pos.seq(), *price, -points);
                self.history(effect.cycle, *price).issued -= points;
            }
            Change::Captured { uses, .. } => {
                for used in uses {
                    self.add(effect.cycle, used.lot.pos.seq(), used.price, -used.points);
                    self.history(effect.cycle, used.price).redeemed += used.points;
                }
            }
            Change::Refunded { uses, .. } => {
                for used in uses {
                    self.add(effect.cycle, used.lot.pos.seq(), used.price, used.points);
                    self.history(effect.cycle, used.price).redeemed -= used.points;
                }
            }
            Change::Expired {
                lot, price, points, ..
            } => {
                self.add(effect.cycle, lot.pos.seq(), *price, -points);
                self.history(effect.cycle, *price).lost += points;
            }
            Change::Reinstated { lot, points, .. } => {
                self.add(effect.cycle, lot.key.pos.seq(), lot.price, *points);
                self.history(effect.cycle, lot.price).lost -= points;
            }
            Change::Commission(_)
            | Change::Refused { .. }
            | Change::Pended { .. }
            | Change::PendingLowered { .. }
            | Change::Returned { .. }
            | Change::Owed { .. }
            | Change::Forgiven { .. }
            | Change::Held { .. }
            | Change::Released { .. }
            | Change::ExpiryMoved { .. }
            | Change::Pruned { .. }
            | Change::Calendar { .. }
            | Change::MergedOut { .. }
            | Change::MergedIn(_) => {}
        }
    }

    fn issue(&mut self, cycle: CycleNo, seq: u64, parts: &[PartPoints]) {
        for part in parts.iter().filter(|part| part.points > 0) {
            self.add(cycle, seq, part.price, part.points);
            self.history(cycle, part.price).issued += part.points;
        }
    }

    /// Points of a lot that the message of an entry posted.
    fn add(&mut self, cycle: CycleNo, seq: u64, price: PriceId, points: i64) {
        let after = self.days.partition_point(|(first, _)| *first <= seq);
        let before = after.checked_sub(1).and_then(|at| self.days.get(at));
        let Some((_, day)) = before.copied() else {
            return;
        };
        let open = self.open.entry(cycle).or_default();
        let sum = open.entry((price, day)).or_default();
        *sum += points;
        if *sum == 0 {
            open.remove(&(price, day));
        }
    }

    fn history(&mut self, cycle: CycleNo, price: PriceId) -> &mut History {
        let histories = self.histories.entry(cycle).or_default();
        histories.entry(price).or_default()
    }

    /// Adds up cycles in front of `first_open`, which are complete: no effect of theirs can follow.
    pub fn settle(&mut self, first_open: CycleNo) {
        while self.complete < first_open {
            let done = self.open.remove(&self.complete).unwrap_or_default();
            merge(&mut self.base, &done);
            self.complete = CycleNo(self.complete.0 + 1);
        }
    }

    /// Open points at the end of what was read, or as far as cycles up to and with one go.
    #[must_use]
    pub fn open_points(&self, last: Option<CycleNo>) -> Open {
        let mut sum = self.base.clone();
        let cycles = self.open.iter();
        for (_, open) in cycles.filter(|(cycle, _)| last.is_none_or(|last| **cycle <= last)) {
            merge(&mut sum, open);
        }
        sum
    }

    /// Histories of cycles up to and with one; of all.
    #[must_use]
    pub fn histories(&self, last: Option<CycleNo>) -> Histories {
        let mut sum = Histories::new();
        let cycles = self.histories.iter();
        for (_, histories) in cycles.filter(|(cycle, _)| last.is_none_or(|last| **cycle <= last)) {
            for (price, history) in histories {
                let total = sum.entry(*price).or_default();
                total.issued += history.issued;
                total.redeemed += history.redeemed;
                total.lost += history.lost;
            }
        }
        sum
    }
}

fn merge(into: &mut Open, from: &Open) {
    for (key, points) in from {
        let sum = into.entry(*key).or_default();
        *sum += points;
        if *sum == 0 {
            into.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use hansa_settlement::{ContractIx, LotKey, MemberId, MerchantIx, Pos};

    use super::*;
    use crate::facts;

    const DAY: i64 = 86_400_000_000;

    fn record(cycle: u32, change: Change) -> Vec<Recorded> {
        vec![Recorded {
            index: 0,
            member: MemberId(1),
            effects: vec![Effect {
                cycle: CycleNo(cycle),
                late: false,
                change,
            }],
        }]
    }

    fn accrued(points: i64) -> Change {
        Change::Accrued {
            accrual: NewAccrual {
                merchant: MerchantIx(0),
                contract: ContractIx(0),
                event_time: Instant(0),
                amount_micros: 0,
                parts: std::iter::once(PartPoints {
                    price: PriceId(0),
                    promotion: None,
                    points,
                })
                .collect(),
            },
            expires_at: Instant::NEVER,
        }
    }

    fn expired(entry: u64, points: i64) -> Change {
        let lot = LotKey {
            pos: Pos::new(entry, 0),
            part: 0,
        };
        Change::Expired {
            lot,
            origin: lot,
            price: PriceId(0),
            points,
            share_micros: 0,
            at: Instant(0),
        }
    }

    /// Two lots of different days; of the first, part expires in the cycle of the second, and the rest behind it.
    fn book() -> AgeBook {
        let terms = Terms::of(&facts::blank());
        let mut book = AgeBook::default();
        let entries = [
            (0, accrued(100), 0),
            (DAY, accrued(50), 1),
            (DAY + 1, expired(0, 30), 0),
            (2 * DAY, expired(0, 70), 2),
        ];
        for (seq, (at, change, cycle)) in (0..).zip(entries) {
            book.entry(seq, at, &record(cycle, change), &terms);
        }
        book
    }

    fn by_day(open: &Open) -> Vec<(String, i64)> {
        let day = |((_, day), points): (&(PriceId, NaiveDate), &i64)| (day.to_string(), *points);
        open.iter().map(day).collect()
    }

    #[test]
    fn points_are_as_old_as_the_entry_that_brought_them() {
        let book = book();
        let (first, second) = ("1970-01-01".to_owned(), "1970-01-02".to_owned());
        let of_first = book.open_points(Some(CycleNo(0)));
        assert_eq!(by_day(&of_first), [(first.clone(), 70)]);
        let of_second = book.open_points(Some(CycleNo(1)));
        assert_eq!(by_day(&of_second), [(first, 70), (second.clone(), 50)]);
        assert_eq!(by_day(&book.open_points(None)), [(second, 50)]);
        let history = book.histories(Some(CycleNo(1)))[&PriceId(0)];
        assert_eq!(
            (history.issued, history.redeemed, history.lost),
            (150, 0, 30)
        );
        assert_eq!(book.histories(None)[&PriceId(0)].lost, 100);
    }

    #[test]
    fn adding_up_complete_cycles_changes_nothing() {
        let (whole, mut settled) = (book(), book());
        settled.settle(CycleNo(2));
        assert_eq!(settled.complete(), CycleNo(2));
        assert_eq!(settled.open_points(None), whole.open_points(None));
        let second = Some(CycleNo(1));
        assert_eq!(settled.open_points(second), whole.open_points(second));
        assert_eq!(settled.histories(None), whole.histories(None));
    }
}
