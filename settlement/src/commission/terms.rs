//! Terms of affiliates: profiles, codes, and each merchant's commission terms, versioned by the event time from which they hold.

use crate::calendar::Zone;
use crate::ids::{Instant, MerchantIx};
use crate::money::{BPS, MAX_AMOUNT_MICROS, share_floor};
use serde::{Deserialize, Serialize};

/// Rows of one card at most.
const MAX_RATES: usize = 1_000;

/// Names in one list at most.
const MAX_NAMES: usize = 10_000;

/// A site, app or person of an affiliate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Number, chosen by the affiliate's manager; unique within the affiliate.
    pub number: u32,
    /// Name.
    pub name: String,
    /// Address or store page.
    pub url: String,
    /// What it is: CONTENT, COUPON, CASHBACK, COMPARISON, SOCIAL, EMAIL, APP, SEARCH...
    pub vertical: String,
}

/// An affiliate: a participant whose traffic is paid for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affiliate {
    /// The person who looks after it: sees it and the others of the same book, nobody else's.
    pub manager: String,
    /// Tier, as rate cards name it; empty: none.
    pub tier: String,
    /// Its sites.
    pub sites: Vec<Site>,
}

impl Affiliate {
    /// Whether names are bounded and site numbers unique.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let mut numbers: Vec<u32> = self.sites.iter().map(|site| site.number).collect();
        numbers.sort_unstable();
        let unique = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        let short = |text: &String| text.len() <= 256;
        unique
            && self.sites.len() <= MAX_NAMES
            && short(&self.manager)
            && short(&self.tier)
            && self
                .sites
                .iter()
                .all(|s| short(&s.name) && s.url.len() <= 2_048 && short(&s.vertical))
    }
}

/// A code that an affiliate hands out; who buys with it was brought by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffiliateCode {
    /// Whose it is.
    pub affiliate: MerchantIx,
    /// Which site hands it out.
    pub site: u32,
    /// First instant at which it counts.
    pub from: Instant,
    /// First instant at which it no longer does.
    pub until: Instant,
}

/// When a commission becomes final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Locking {
    /// At the event.
    Immediate,
    /// At 00:00 of a day of a later month, in the programme's zone.
    FixedDate {
        /// Day of the month, 1 to 31; a shorter month's last day.
        day: u8,
        /// Months behind the event's, 0 to 24.
        months: u8,
    },
    /// So long after the event, microseconds.
    FixedDuration(i64),
    /// When the merchant approves it.
    OpenEnded,
}

impl Locking {
    /// When a commission of an event locks; `Instant::NEVER`: by approval.
    #[must_use]
    pub fn locks_at(self, event_time: Instant, zone: Zone) -> Instant {
        match self {
            Self::Immediate => event_time,
            Self::FixedDate { day, months } => zone
                .midnight_of_month_day(event_time, u32::from(months), u32::from(day))
                .max(event_time),
            Self::FixedDuration(micros) => event_time.plus_micros(micros),
            Self::OpenEnded => Instant::NEVER,
        }
    }
}

/// What an affiliate gets for a conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pay {
    /// Share of the amount, basis points.
    pub share_bps: u32,
    /// Besides, micro-units.
    pub fixed_micros: i64,
}

impl Pay {
    /// The commission on an amount, micro-units, floored; nothing on nothing.
    #[must_use]
    pub fn on(self, amount_micros: i64) -> i64 {
        if amount_micros <= 0 {
            return 0;
        }
        let share = share_floor(i128::from(amount_micros), self.share_bps);
        // Bounded: at most the amount and a fixed part of the same order.
        i64::try_from(share + i128::from(self.fixed_micros)).unwrap_or(i64::MAX)
    }

    fn is_valid(self) -> bool {
        self.share_bps <= BPS && (0..=MAX_AMOUNT_MICROS).contains(&self.fixed_micros)
    }
}

/// A row of a rate card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionRate {
    /// Country, ISO 3166-1 alpha-2; empty: any.
    pub country: String,
    /// Category; empty: any.
    pub category: String,
    /// The affiliate's tier; empty: any.
    pub tier: String,
    /// For a first sale.
    pub first_sale: Pay,
    /// For what recurs.
    pub recurring: Pay,
}

/// Which touches do not count at a merchant. Flags of a touch are facts about it, the bits of its id; this says which of them matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// A touch with one of these flags does not count.
    pub refused_flags: u16,
    /// Hosts from which no touch may come. Compared where touches are taken.
    pub banned_referrers: Vec<String>,
    /// The merchant's brand, as paid searches name it. Compared where touches are taken.
    pub brand_terms: Vec<String>,
    /// Hosts that are coupon sites, whatever their affiliate says. Compared where touches are taken.
    pub coupon_hosts: Vec<String>,
}

/// A merchant's terms for affiliates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionTerms {
    /// How old a click may be, microseconds.
    pub click_window_micros: i64,
    /// How old a view may be, microseconds; 0: views do not count.
    pub view_window_micros: i64,
    /// Whether a code wins over clicks; otherwise it counts where no click does.
    pub codes_win: bool,
    /// When commissions become final.
    pub locking: Locking,
    /// For how long behind its click a conversion may recur, microseconds; 0: never.
    pub recurring_micros: i64,
    /// Which touches do not count.
    pub placement: Placement,
    /// The card; the first row that fits counts.
    pub rates: Vec<CommissionRate>,
}

impl CommissionTerms {
    /// Whether every number is in range.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let times = [
            self.click_window_micros,
            self.view_window_micros,
            self.recurring_micros,
        ];
        let locking = match self.locking {
            Locking::Immediate | Locking::OpenEnded => true,
            Locking::FixedDate { day, months } => (1..=31).contains(&day) && months <= 24,
            Locking::FixedDuration(micros) => (0..=Instant::BOUND).contains(&micros),
        };
        let placement = &self.placement;
        let lists = [
            &placement.banned_referrers,
            &placement.brand_terms,
            &placement.coupon_hosts,
        ];
        times.iter().all(|t| (0..=Instant::BOUND).contains(t))
            && locking
            && lists
                .iter()
                .all(|list| list.len() <= MAX_NAMES && list.iter().all(|name| name.len() <= 256))
            && (1..=MAX_RATES).contains(&self.rates.len())
            && self.rates.iter().all(|row| {
                row.first_sale.is_valid()
                    && row.recurring.is_valid()
                    && [&row.country, &row.category, &row.tier]
                        .iter()
                        .all(|text| text.len() <= 128)
            })
    }

    /// The first row that fits, with its place.
    #[must_use]
    pub fn rate(
        &self,
        country: &str,
        category: &str,
        tier: &str,
    ) -> Option<(u32, &CommissionRate)> {
        let fits = |of_row: &str, named: &str| of_row.is_empty() || of_row == named;
        self.rates
            .iter()
            .enumerate()
            .find(|(_, row)| {
                fits(&row.country, country)
                    && fits(&row.category, category)
                    && fits(&row.tier, tier)
            })
            .map(|(place, row)| (place as u32, row))
    }
}

/// A version of one merchant's commission terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionVersion {
    /// Whose.
    pub merchant: MerchantIx,
    /// First event time that they govern.
    pub effective_at: Instant,
    /// The terms.
    pub terms: CommissionTerms,
}
