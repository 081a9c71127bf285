//! The books: cycles that are not closed, balances that decide about limits, and the calendar of what is due.
//!
//! Every event writes a [`Journal`]; [`Books::post`] takes it in only when its legs sum to zero and its lines are its legs.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    finding::{Mismatch, What},
    source::MerchantNo,
    standing::Standing,
    terms::{Mode, Terms},
    totals::{Account, Counts, CycleTotals, Hub, Kind, Leg, Line, LineKey, Pair},
};

/// A line by numbers.
type Row = (MerchantNo, Kind, Option<MerchantNo>, bool);

/// What one event does to the books.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    legs: Vec<Leg>,
    lines: Vec<(Row, Line)>,
    pairs: Vec<(MerchantNo, MerchantNo, Pair)>,
    pub(crate) points: Points,
    /// The message's event time lies in an earlier cycle.
    late: bool,
}

/// What one event does to the counts of points.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Points {
    pub(crate) issued: i64,
    pub(crate) redeemed: i64,
    pub(crate) refunded: i64,
    pub(crate) expired: i64,
    pub(crate) recovered: i64,
}

impl Journal {
    /// Of a message that is late, or not; [`Default`] is that of what happens by time alone.
    pub(crate) fn of_message(late: bool) -> Self {
        Self {
            late,
            ..Self::default()
        }
    }

    pub(crate) fn debit(&mut self, account: Account, micros: i128) {
        // The cycle is known when it is posted.
        self.legs.push(Leg {
            cycle: 0,
            account,
            micros,
        });
    }

    pub(crate) fn credit(&mut self, account: Account, micros: i128) {
        self.debit(account, -micros);
    }

    pub(crate) fn line(
        &mut self,
        merchant: MerchantNo,
        kind: Kind,
        counterparty: Option<MerchantNo>,
        points: i64,
        micros: i128,
    ) {
        let line = Line { points, micros };
        // Points expire and commissions become payable at their own time, whatever message lets them.
        let by_time = matches!(
            kind,
            Kind::BreakageShare | Kind::BurnExpired | Kind::Commission
        );
        let late = self.late && !by_time;
        self.lines
            .push(((merchant, kind, counterparty, late), line));
    }

    pub(crate) fn pair(
        &mut self,
        funder: MerchantNo,
        credited: MerchantNo,
        points: i64,
        micros: i128,
    ) {
        self.pairs.push((funder, credited, Pair { points, micros }));
    }

    /// Value of points of a lot leaves it for somebody: out of the reserve, or the funder pays now.
    pub(crate) fn release(&mut self, funder: MerchantNo, mode: Mode, value: i128) {
        self.debit(funding(funder, mode), value);
    }
}

/// The account that stands for the value of a funder's open points.
pub(crate) const fn funding(funder: MerchantNo, mode: Mode) -> Account {
    match mode {
        Mode::Issue => Account::Reserve,
        Mode::Burn => Account::Clearing(funder),
    }
}

/// A cycle that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cycle {
    pub(crate) number: u32,
    pub(crate) opens: i64,
    /// The scheduled close, or where it was cut.
    pub(crate) closes: Option<i64>,
    pub(crate) cut_leaf: Option<u64>,
    nets: BTreeMap<MerchantNo, i128>,
    hub: Hub,
    pairs: BTreeMap<(MerchantNo, MerchantNo), Pair>,
    lines: BTreeMap<Row, Line>,
    pub(crate) counts: Counts,
    /// Base points by merchant, for earn caps.
    pub(crate) earned: BTreeMap<MerchantNo, i64>,
    /// Defaults that were declared in it: the merchant, and what it owed of that.
    pub(crate) defaults: Vec<(MerchantNo, i64)>,
}

impl Cycle {
    pub(crate) fn new(number: u32, opens: i64, closes: Option<i64>) -> Self {
        Self {
            number,
            opens,
            closes,
            cut_leaf: None,
            nets: BTreeMap::new(),
            hub: Hub::default(),
            pairs: BTreeMap::new(),
            lines: BTreeMap::new(),
            counts: Counts::default(),
            earned: BTreeMap::new(),
            defaults: Vec::new(),
        }
    }

    /// What each merchant owes.
    pub(crate) fn nets(&self) -> &BTreeMap<MerchantNo, i128> {
        &self.nets
    }

    /// The totals with merchants' ids.
    pub(crate) fn totals(&self, terms: &Terms) -> CycleTotals {
        let slug = |number: &MerchantNo| terms.slug(*number).to_owned();
        let nets = self.nets.iter().map(|(m, micros)| (slug(m), *micros));
        let pairs = self
            .pairs
            .iter()
            .map(|((funder, merchant), pair)| ((slug(funder), slug(merchant)), *pair));
        let lines = self.lines.iter().map(|((m, kind, with, late), line)| {
            let key = LineKey {
                merchant: slug(m),
                kind: kind.code().to_owned(),
                counterparty: with.as_ref().map(slug),
                late: *late,
            };
            (key, *line)
        });
        CycleTotals {
            number: self.number,
            cut_leaf: self.cut_leaf,
            closed_leaf: None,
            nets: nets.collect(),
            hub: self.hub,
            pairs: pairs.collect(),
            lines: lines.collect(),
            counts: self.counts.clone(),
            defaults: self
                .defaults
                .iter()
                .map(|(merchant, micros)| (slug(merchant), *micros))
                .collect(),
        }
        .trimmed()
    }
}

/// All aggregates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Books {
    /// Oldest first; the last one is open, the others are cut and not closed.
    pub(crate) cycles: VecDeque<Cycle>,
    /// What decides about limits.
    pub(crate) standing: Standing,
    /// Points that promotions have given.
    pub(crate) granted: BTreeMap<String, i64>,
    /// Members and conversions by the instant at which something of them is due next.
    due: BTreeMap<i64, u64>,
    /// Legs that were posted since they were taken last.
    #[serde(skip)]
    posted: Vec<Leg>,
}

impl Books {
    /// The cycle that takes messages.
    pub(crate) fn open_cycle(&self) -> Result<&Cycle, Mismatch> {
        self.cycles
            .back()
            .ok_or_else(|| Mismatch::fact("a programme, which opens the first cycle", "none"))
    }

    /// The number of the cycle that what is due at an instant belongs to: the first that ends at or behind it.
    pub(crate) fn cycle_of(&self, instant: i64) -> Result<u32, Mismatch> {
        self.cycles
            .iter()
            .find(|cycle| cycle.closes.is_none_or(|close| instant <= close))
            .or(self.cycles.back())
            .map(|cycle| cycle.number)
            .ok_or_else(|| Mismatch::fact("a programme, which opens the first cycle", "none"))
    }

    pub(crate) fn cycle_mut(&mut self, number: u32) -> Result<&mut Cycle, Mismatch> {
        self.cycles
            .iter_mut()
            .find(|cycle| cycle.number == number)
            .ok_or_else(|| Mismatch::new(What::Close, "a cycle that is not closed", number))
    }

    /// Posts a journal to a cycle. Adjustments and every other entry of finance will come this way, too.
    pub(crate) fn post(&mut self, number: u32, journal: &Journal) -> Result<(), Mismatch> {
        let sum: i128 = journal.legs.iter().map(|leg| leg.micros).sum();
        if sum != 0 {
            return Err(Mismatch::new(What::Journal, "legs that sum to 0", sum));
        }
        let clearing = |leg: &Leg| match leg.account {
            Account::Clearing(merchant) => Some((merchant, leg.micros)),
            _ => None,
        };
        let by_legs: i128 = journal.legs.iter().filter_map(clearing).map(|x| x.1).sum();
        let by_lines: i128 = journal.lines.iter().map(|(_, line)| line.micros).sum();
        if by_legs != by_lines {
            return Err(Mismatch::new(
                What::Journal,
                format_args!("lines of {by_legs}"),
                by_lines,
            ));
        }
        for (merchant, micros) in journal.legs.iter().filter_map(clearing) {
            self.standing.owe(merchant, micros);
        }
        let legs = journal.legs.iter().filter(|leg| leg.micros != 0);
        self.posted.extend(legs.map(|leg| Leg {
            cycle: number,
            ..*leg
        }));
        let cycle = self.cycle_mut(number)?;
        for leg in &journal.legs {
            match leg.account {
                Account::Clearing(merchant) => {
                    *cycle.nets.entry(merchant).or_default() += leg.micros
                }
                Account::Bank => {}
                Account::Reserve => cycle.hub.reserve -= leg.micros,
                Account::ServiceFee => cycle.hub.service_fee -= leg.micros,
                Account::RedemptionFee => cycle.hub.redemption_fee -= leg.micros,
                Account::Breakage => cycle.hub.breakage -= leg.micros,
                Account::Adjustments => cycle.hub.adjustments -= leg.micros,
                Account::CommissionReserve(_) => cycle.hub.commission -= leg.micros,
            }
        }
        for (row, line) in &journal.lines {
            let sums = cycle.lines.entry(*row).or_default();
            sums.points += line.points;
            sums.micros += line.micros;
        }
        for (funder, credited, pair) in &journal.pairs {
            let sums = cycle.pairs.entry((*funder, *credited)).or_default();
            sums.points += pair.points;
            sums.micros += pair.micros;
        }
        let counts = &mut cycle.counts;
        counts.issued_points += journal.points.issued;
        counts.redeemed_points += journal.points.redeemed;
        counts.refunded_points += journal.points.refunded;
        counts.expired_points += journal.points.expired;
        counts.recovered_points += journal.points.recovered;
        Ok(())
    }

    /// Takes the legs that were posted since the last time.
    pub(crate) fn take_posted(&mut self) -> Vec<Leg> {
        std::mem::take(&mut self.posted)
    }

    /// A member's or a conversion's next due instant moved.
    pub(crate) fn reschedule(&mut self, before: Option<i64>, after: Option<i64>) {
        if before == after {
            return;
        }
        if let Some(at) = before
            && let Some(members) = self.due.get_mut(&at)
        {
            *members -= 1;
            if *members == 0 {
                self.due.remove(&at);
            }
        }
        if let Some(at) = after {
            *self.due.entry(at).or_default() += 1;
        }
    }

    /// The first instant at which something is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.due.keys().next().copied()
    }
}
