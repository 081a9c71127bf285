//! A cycle's interval of the log, added up by what its documents explain: messages, promotions, fees with their tax,
//! counterparties, and the journal by day and event.
//!
//! The ledger's own totals know lines; what stands behind a line is in the recorded effects. They are posted once more by the
//! ledger's own journals, and what comes out must be the very lines that the cycle was closed with: nothing is served
//! otherwise. Memory: sums by merchant, kind and day; a cycle of any number of messages takes the same.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use hansa_settlement::{
    Account, Change, CycleNo, CycleTotals, Global, Instant, LineKey, LineKind, LineTotal,
    MerchantIx, PartPoints, Pos, PromotionIx, Recorded, Use, journal, pair_moves,
};

use super::{
    event::{Event, event_of},
    facts,
    terms::{TaxIx, Terms},
};
/// A sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Messages or events.
    pub count: u64,
    /// Points.
    pub points: i64,
    /// Micro-units.
    pub micros: i128,
}

/// Which fee of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fee {
    /// On points that are issued.
    Service,
    /// On points that are spent.
    Redemption,
}

impl Fee {
    /// The name in documents.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Service => "SERVICE_FEE",
            Self::Redemption => "REDEMPTION_FEE",
        }
    }

    /// The account that it is posted to.
    const fn account(self) -> Account {
        match self {
            Self::Service => Account::ServiceFee,
            Self::Redemption => Account::RedemptionFee,
        }
    }
}

/// What a posting of the general ledger is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Booking {
    /// The account.
    pub account: Account,
    /// Of a fee, whose.
    pub merchant: Option<MerchantIx>,
    /// Of a fee, its tax.
    pub tax: Option<TaxIx>,
}

impl Booking {
    /// On an account as a whole.
    #[must_use]
    pub const fn on(account: Account) -> Self {
        Self {
            account,
            merchant: None,
            tax: None,
        }
    }
}

/// An entry, as far as its effects need it.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Place in the log.
    pub seq: u64,
    /// Microseconds.
    pub decided_at: i64,
    /// The sender's index.
    pub sender: Option<u32>,
}

/// The sums of a cycle.
#[derive(Debug, Clone)]
pub struct Breakdown {
    cycle: CycleNo,
    lines: BTreeMap<LineKey, LineTotal>,
    /// What each kind of message or event adds to a merchant's net.
    pub messages: BTreeMap<(MerchantIx, &'static str), Sum>,
    /// What each promotion cost its funders.
    pub promotions: BTreeMap<(MerchantIx, PromotionIx), Sum>,
    /// Fees that the lines contain.
    pub fees: BTreeMap<(MerchantIx, Fee, Option<TaxIx>), Sum>,
    /// Messages behind a merchant's net with another, or with the hub.
    pub with: BTreeMap<(MerchantIx, Option<MerchantIx>), u64>,
    /// The journal by day and kind of event; debits positive.
    pub journal: BTreeMap<(NaiveDate, &'static str), BTreeMap<Booking, i128>>,
}

/// Effects that do not add up to the ledger's totals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: the effects make {found}, the ledger says {said}")]
pub struct Disagreement {
    /// Which figure.
    pub what: String,
    /// What the effects come to.
    pub found: String,
    /// What the ledger says.
    pub said: String,
}

impl Disagreement {
    fn new(
        what: impl Into<String>,
        found: &impl std::fmt::Debug,
        said: &impl std::fmt::Debug,
    ) -> Self {
        Self {
            what: what.into(),
            found: format!("{found:?}"),
            said: format!("{said:?}"),
        }
    }
}

/// What one event adds.
#[derive(Debug, Default)]
struct One {
    /// By merchant.
    nets: BTreeMap<MerchantIx, i128>,
    /// What merchants owe each other of it.
    pairs: BTreeMap<(MerchantIx, MerchantIx), i128>,
}

impl Breakdown {
    /// Nothing yet.
    #[must_use]
    pub const fn new(cycle: CycleNo) -> Self {
        Self {
            cycle,
            lines: BTreeMap::new(),
            messages: BTreeMap::new(),
            promotions: BTreeMap::new(),
            fees: BTreeMap::new(),
            with: BTreeMap::new(),
            journal: BTreeMap::new(),
        }
    }

    /// Takes an entry's effects in; those of other cycles are passed over.
    pub fn entry(&mut self, head: Head, records: &[Recorded], terms: &Terms) {
        for record in records {
            let pos = Pos::new(head.seq, record.index);
            let mut event = Event::fact(head.decided_at);
            let mut one = One::default();
            for effect in &record.effects {
                if let Some(next) = event_of(&effect.change, head.sender, head.decided_at, pos) {
                    self.end(event, std::mem::take(&mut one));
                    event = next;
                }
                if effect.cycle == self.cycle {
                    let at = match event {
                        Event::Message { .. } => Instant(head.decided_at),
                        Event::Due { at, .. } => at,
                    };
                    self.post(&effect.change, effect.late, pos, terms, &mut one);
                    self.book(&effect.change, pos, (at, event.kind()), terms);
                }
            }
            self.end(event, one);
        }
    }

    /// Lines, promotions and what the event adds to nets.
    fn post(&mut self, change: &Change, late: bool, pos: Pos, terms: &Terms, one: &mut One) {
        for leg in journal(change, &terms.book, pos) {
            let (Account::Clearing(merchant), Some((kind, counterparty))) = (leg.account, leg.line)
            else {
                continue;
            };
            let key = LineKey {
                merchant,
                kind,
                counterparty,
                late,
            };
            let line = self.lines.entry(key).or_default();
            line.count += 1;
            line.points += leg.points;
            line.micros += leg.micros;
            if !kind.is_information() {
                *one.nets.entry(merchant).or_default() += leg.micros;
            }
        }
        let moves = pair_moves(change, &terms.book, pos).into_iter();
        for pair in moves.filter(|pair| pair.owed && pair.funder != pair.merchant) {
            let owed = one.pairs.entry((pair.funder, pair.merchant)).or_default();
            *owed += pair.micros;
        }
        let (Change::Accrued {
            accrual: hansa_settlement::NewAccrual { parts, .. },
            ..
        }
        | Change::PendingPosted { parts, .. }) = change
        else {
            return;
        };
        for part in parts.iter().filter(|part| part.points > 0) {
            let Some(promotion) = part.promotion else {
                continue;
            };
            let price = terms.book.get(part.price);
            let sum = self.promotions.entry((price.funder, promotion));
            let sum = sum.or_default();
            sum.count += 1;
            sum.points += part.points;
            sum.micros += price.fee(part.points);
            if price.mode_at(pos) == hansa_settlement::FundingMode::Issue {
                sum.micros += price.value(part.points);
            }
        }
    }

    /// The journal, fees by merchant and tax.
    fn book(
        &mut self,
        change: &Change,
        pos: Pos,
        (at, kind): (Instant, &'static str),
        terms: &Terms,
    ) {
        let legs = journal(change, &terms.book, pos);
        if legs.iter().all(|leg| leg.micros == 0) {
            return;
        }
        let day = self.journal.entry((terms.day(at), kind)).or_default();
        let on_accounts = legs.iter().filter(|leg| {
            leg.micros != 0 && !matches!(leg.account, Account::ServiceFee | Account::RedemptionFee)
        });
        for leg in on_accounts {
            *day.entry(Booking::on(leg.account)).or_default() += leg.micros;
        }
        let mut fee = |merchant: MerchantIx, fee: Fee, points: i64, micros: i128| {
            if micros == 0 {
                return;
            }
            let tax = terms.tax_at(merchant, at);
            let booking = Booking {
                account: fee.account(),
                merchant: Some(merchant),
                tax,
            };
            *day.entry(booking).or_default() -= micros;
            let sum = self.fees.entry((merchant, fee, tax)).or_default();
            sum.count += 1;
            sum.points += points;
            sum.micros += micros;
        };
        match change {
            Change::Accrued { accrual, .. } => service_fees(&accrual.parts, terms, &mut fee),
            Change::PendingPosted { parts, .. } => service_fees(parts, terms, &mut fee),
            Change::Taken {
                reversed: credited,
                points,
                ..
            }
            | Change::Repaid {
                creditor: credited,
                points,
                ..
            } => {
                let price = terms.book.get(*credited);
                fee(
                    price.funder,
                    Fee::Service,
                    -points,
                    -price.fee_back(*points),
                );
            }
            Change::Captured {
                merchant,
                fee_micros,
                uses,
                ..
            } => fee(
                *merchant,
                Fee::Redemption,
                points(uses),
                i128::from(*fee_micros),
            ),
            Change::Refunded {
                merchant,
                fee_micros,
                uses,
                ..
            } => fee(
                *merchant,
                Fee::Redemption,
                -points(uses),
                -i128::from(*fee_micros),
            ),
            Change::Refused { .. }
            | Change::Pended { .. }
            | Change::PendingLowered { .. }
            | Change::Returned { .. }
            | Change::Owed { .. }
            | Change::Forgiven { .. }
            | Change::Held { .. }
            | Change::Released { .. }
            | Change::Expired { .. }
            | Change::ExpiryMoved { .. }
            | Change::Pruned { .. }
            | Change::Calendar { .. }
            | Change::Opened { .. }
            | Change::MergedOut { .. }
            | Change::MergedIn(_)
            | Change::Commission(_)
            | Change::Reinstated { .. } => {}
        }
    }

    /// The event is over: counts it once for each whom it concerns.
    fn end(&mut self, event: Event, one: One) {
        let mut hub = one.nets.clone();
        for ((funder, merchant), micros) in &one.pairs {
            *hub.entry(*funder).or_default() -= micros;
            *hub.entry(*merchant).or_default() += micros;
        }
        let mut with: BTreeSet<(MerchantIx, Option<MerchantIx>)> = BTreeSet::new();
        for (funder, merchant) in one.pairs.keys() {
            with.insert((*funder, Some(*merchant)));
            with.insert((*merchant, Some(*funder)));
        }
        let rest = hub.into_iter().filter(|(_, micros)| *micros != 0);
        with.extend(rest.map(|(merchant, _)| (merchant, None)));
        for key in with {
            *self.with.entry(key).or_default() += 1;
        }
        for (merchant, micros) in one.nets {
            let sum = self.messages.entry((merchant, event.kind())).or_default();
            sum.count += 1;
            sum.micros += micros;
        }
    }

    /// Adds what finance's facts posted, and compares with the ledger's totals: the lines, and what the hub earned.
    pub fn finish(mut self, global: &Global, terms: &Terms) -> Result<Self, Disagreement> {
        let totals = global
            .cycle(self.cycle)
            .ok_or_else(|| Disagreement::new("the cycle", &"nothing", &"a cycle"))?;
        for posted in facts::adjustments(global, totals) {
            let parties = [Some(posted.merchant), posted.counterparty.merchant()];
            for merchant in parties.into_iter().flatten() {
                let Some((other, micros)) = posted.side_of(merchant) else {
                    continue;
                };
                self.fact(
                    merchant,
                    (LineKind::Adjustment, other.merchant()),
                    "ADJUSTMENT",
                    LineTotal {
                        count: 1,
                        points: 0,
                        micros,
                    },
                );
            }
        }
        let prefunded: Vec<_> = totals
            .lines
            .iter()
            .filter(|(key, _)| key.kind == LineKind::Prefunding)
            .map(|(key, total)| (key.merchant, *total))
            .collect();
        for (merchant, total) in prefunded {
            self.fact(merchant, (LineKind::Prefunding, None), "PREFUNDING", total);
            let day = terms.day(totals.closes_at.unwrap_or(totals.opens_at));
            let day = self.journal.entry((day, "PREFUNDING")).or_default();
            *day.entry(Booking::on(Account::Clearing(merchant)))
                .or_default() += total.micros;
            *day.entry(Booking::on(Account::Reserve)).or_default() -= total.micros;
        }
        self.check(totals)?;
        Ok(self)
    }

    fn fact(
        &mut self,
        merchant: MerchantIx,
        (kind, counterparty): (LineKind, Option<MerchantIx>),
        name: &'static str,
        total: LineTotal,
    ) {
        let key = LineKey {
            merchant,
            kind,
            counterparty,
            late: false,
        };
        let line = self.lines.entry(key).or_default();
        line.count += total.count;
        line.points += total.points;
        line.micros += total.micros;
        let sum = self.messages.entry((merchant, name)).or_default();
        sum.count += 1;
        sum.micros += total.micros;
        *self.with.entry((merchant, None)).or_default() += 1;
    }

    fn check(&self, totals: &CycleTotals) -> Result<(), Disagreement> {
        let cycle = totals.no.shown();
        let keys: BTreeSet<&LineKey> = self.lines.keys().chain(totals.lines.keys()).collect();
        for key in keys {
            let (found, said) = (self.lines.get(key), totals.lines.get(key));
            if found != said {
                let what = format!("cycle {cycle}, {key:?}");
                return Err(Disagreement::new(what, &found, &said));
            }
        }
        for (fee, said) in [
            (Fee::Service, totals.hub.service_fee_micros),
            (Fee::Redemption, totals.hub.redemption_fee_micros),
        ] {
            let of_kind = self.fees.iter().filter(|((_, kind, _), _)| *kind == fee);
            let found: i128 = of_kind.map(|(_, sum)| sum.micros).sum();
            if found != said {
                let what = format!("cycle {cycle}, {}", fee.code());
                return Err(Disagreement::new(what, &found, &said));
            }
        }
        Ok(())
    }
}

fn service_fees(
    parts: &[PartPoints],
    terms: &Terms,
    fee: &mut impl FnMut(MerchantIx, Fee, i64, i128),
) {
    for part in parts.iter().filter(|part| part.points > 0) {
        let price = terms.book.get(part.price);
        fee(
            price.funder,
            Fee::Service,
            part.points,
            price.fee(part.points),
        );
    }
}

fn points(uses: &[Use]) -> i64 {
    uses.iter().map(|u| u.points).sum()
}
