//! Terms of affiliates as the log's facts have them: profiles, codes, each merchant's versioned terms with their rate cards.
//!
//! Owns no commission. As in [`crate::terms`], what a hub would have refused is a finding.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use hansa_money::{BPS, MAX_AMOUNT_MICROS};
use hansa_proto::v1;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{NEVER, day_of_month_after},
    exact::{amount, share},
    finding::Mismatch,
    source::MerchantNo,
    terms::{State, Terms, micros},
};

/// Kinds of touches that a merchant's placement rules may refuse, by the bit that the hub signs into a touch.
const PLACEMENTS: [&str; 6] = [
    "PAID_CLICK",
    "BANNED_REFERRER",
    "COUPON_SITE",
    "BRAND_BIDDING",
    "NO_REFERRER",
    "DATA_CENTRE",
];

/// What a participant has to do with traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// Affiliates may bring it customers.
    pub(crate) welcomes: bool,
    /// Of an affiliate, which it stays.
    pub(crate) profile: Option<Profile>,
    /// Its terms for affiliates, in log order, which is that of their beginnings.
    pub(crate) terms: Vec<CommissionTerms>,
    /// The terms as the last fact about it had them.
    written: Option<Vec<u8>>,
    /// The codes as the last fact about it had them.
    codes: Vec<Vec<u8>>,
}

impl Traffic {
    /// The version of its terms in force at an event time.
    pub(crate) fn version(&self, at: i64) -> Option<usize> {
        self.terms.iter().rposition(|version| version.from <= at)
    }
}

/// An affiliate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) tier: String,
    sites: BTreeSet<u32>,
}

/// Who holds a code at a merchant, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    affiliate: MerchantNo,
    from: i64,
    until: i64,
}

/// Codes by merchant and text in upper case: the one who was given a code last has it.
pub(crate) type Codes = BTreeMap<(MerchantNo, String), Code>;

/// When a commission becomes final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Locking {
    Immediate,
    FixedDate { day: u32, months: u32 },
    FixedDuration(i64),
    OpenEnded,
}

/// What an affiliate gets for a purchase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pay {
    bps: u32,
    fixed: i64,
}

impl Pay {
    /// The commission on an amount, floored; nothing on nothing.
    pub(crate) fn on(self, amount: i64) -> i64 {
        if amount <= 0 {
            return 0;
        }
        let commission = share(amount.into(), self.bps) + i128::from(self.fixed);
        i64::try_from(commission).unwrap_or(i64::MAX)
    }

    fn read(pay: Option<&v1::CommissionPay>) -> Result<Self, Mismatch> {
        let Some(pay) = pay else {
            return Ok(Self::default());
        };
        let fixed = amount("commission_terms.rates.fixed", &pay.fixed)?.unwrap_or(0);
        if pay.share_bps > BPS || fixed > MAX_AMOUNT_MICROS {
            let found = format!("{} basis points and {fixed}", pay.share_bps);
            return Err(Mismatch::fact("a pay in range", found));
        }
        Ok(Self {
            bps: pay.share_bps,
            fixed,
        })
    }
}

/// A row of a rate card; an empty name fits any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rate {
    country: String,
    category: String,
    tier: String,
    first: Pay,
    recurring: Pay,
}

/// What a row of a rate card is looked up by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sale<'a> {
    pub(crate) country: &'a str,
    pub(crate) category: &'a str,
    pub(crate) tier: &'a str,
    pub(crate) recurring: bool,
}

/// One version of a merchant's terms for affiliates. Times are in microseconds; 0 means that such touches do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommissionTerms {
    from: i64,
    pub(crate) click_window: i64,
    pub(crate) view_window: i64,
    pub(crate) recurring_window: i64,
    pub(crate) codes_win: bool,
    /// Bits of touches that do not count.
    pub(crate) refused: u16,
    locking: Locking,
    rates: Vec<Rate>,
}

impl CommissionTerms {
    fn read(terms: &v1::CommissionTerms, from: i64) -> Result<Self, Mismatch> {
        use v1::LockingMethod as L;
        let window = |seconds: u64| {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            seconds.saturating_mul(1_000_000)
        };
        let locking = match terms.locking_method() {
            L::Immediate => Locking::Immediate,
            L::FixedDate => Locking::FixedDate {
                day: terms.lock_day,
                months: terms.lock_months,
            },
            L::FixedDuration => Locking::FixedDuration(window(terms.lock_seconds)),
            L::OpenEnded => Locking::OpenEnded,
            L::Unspecified => return Err(Mismatch::fact("a locking method", "none")),
        };
        if let Locking::FixedDate { day, months } = locking
            && (!(1..=31).contains(&day) || months > 24)
        {
            let found = format!("day {day}, {months} months later");
            return Err(Mismatch::fact("a day of a month to lock at", found));
        }
        if terms.click_window_seconds == 0 || terms.rates.is_empty() {
            return Err(Mismatch::fact("a click's window and a rate", "not both"));
        }
        let rates = terms.rates.iter().map(|row| {
            Ok(Rate {
                country: row.country_code.clone(),
                category: row.category.clone(),
                tier: row.tier.clone(),
                first: Pay::read(row.first_sale.as_ref())?,
                recurring: Pay::read(row.recurring.as_ref())?,
            })
        });
        let rates = rates.collect::<Result<_, Mismatch>>()?;
        let mut refused = 0;
        for name in terms.placement.iter().flat_map(|p| &p.refused) {
            let bit = PLACEMENTS.iter().position(|known| known == name);
            refused |= 1 << bit.ok_or_else(|| Mismatch::fact("a kind of touch", name))?;
        }
        Ok(Self {
            from,
            click_window: window(terms.click_window_seconds),
            view_window: window(terms.view_window_seconds),
            recurring_window: window(terms.recurring_seconds),
            codes_win: terms.codes_win,
            refused,
            locking,
            rates,
        })
    }

    /// When a commission of an event becomes final; [`NEVER`]: when the merchant approves it.
    pub(crate) fn locks(&self, event_time: i64, zone: Tz) -> i64 {
        match self.locking {
            Locking::Immediate => event_time,
            Locking::FixedDate { day, months } => {
                day_of_month_after(zone, event_time, months, day).max(event_time)
            }
            Locking::FixedDuration(duration) => event_time.saturating_add(duration),
            Locking::OpenEnded => NEVER,
        }
    }

    /// What the first row that fits gives.
    pub(crate) fn pay(&self, sale: Sale<'_>) -> Option<Pay> {
        let fits = |row: &&Rate| {
            let names = [
                (&row.country, sale.country),
                (&row.category, sale.category),
                (&row.tier, sale.tier),
            ];
            names
                .iter()
                .all(|(of_row, named)| of_row.is_empty() || of_row == named)
        };
        let row = self.rates.iter().find(fits)?;
        Some(if sale.recurring {
            row.recurring
        } else {
            row.first
        })
    }
}

impl Terms {
    /// An affiliate earns only while it is ACTIVE.
    pub(crate) fn earns_commission(&self, affiliate: MerchantNo) -> bool {
        self.merchant(affiliate)
            .is_ok_and(|m| m.traffic.profile.is_some() && m.state == State::Active)
    }

    /// Who holds a code at a merchant at an instant.
    pub(crate) fn code(&self, merchant: MerchantNo, code: &str, at: i64) -> Option<MerchantNo> {
        let held = self.codes.get(&(merchant, code.to_uppercase()))?;
        (held.from..held.until)
            .contains(&at)
            .then_some(held.affiliate)
    }

    /// Takes in what a fact says of a participant's traffic. `before`: the state that it had.
    pub(crate) fn take_traffic(
        &mut self,
        number: MerchantNo,
        m: &v1::Merchant,
        before: State,
        decided_at: i64,
    ) -> Result<(), Mismatch> {
        let Self {
            merchants,
            codes,
            by_slug,
            ..
        } = self;
        let Some(merchant) = merchants.get_mut(number as usize) else {
            return Err(Mismatch::fact("a merchant of the alliance", number));
        };
        let traffic = &mut merchant.traffic;
        let offered = m.affiliate.as_ref().map_or(&[][..], |p| &p.codes);
        if let Some(profile) = &m.affiliate {
            let sites: BTreeSet<u32> = profile.sites.iter().map(|s| s.site_number).collect();
            if sites.len() < profile.sites.len() || sites.contains(&0) {
                return Err(Mismatch::fact("sites with numbers of their own", "others"));
            }
            traffic.profile = Some(Profile {
                tier: profile.tier.clone(),
                sites,
            });
        }
        if traffic.profile.is_some() && (merchant.earns || merchant.burns || traffic.welcomes) {
            let found = format!("roles of {}", m.merchant_id);
            return Err(Mismatch::fact("an affiliate without roles", found));
        }
        for code in offered {
            if traffic.codes.contains(&code.encode_to_vec()) {
                continue;
            }
            let at = by_slug.get(&code.merchant_id);
            let from = code.start_time.as_ref().map_or(decided_at, micros);
            let until = code.end_time.as_ref().map_or(i64::MAX, micros);
            let has = |profile: &Profile| profile.sites.contains(&code.site_number);
            let sited = traffic.profile.as_ref().is_some_and(has);
            let Some(at) = at.filter(|_| sited && decided_at <= from && from < until) else {
                let expected = "a code from now on, at a merchant, of a site of its own";
                return Err(Mismatch::fact(expected, format_args!("{code:?}")));
            };
            let held = Code {
                affiliate: number,
                from,
                until,
            };
            codes.insert((*at, code.code.to_uppercase()), held);
        }
        traffic.codes = offered.iter().map(|code| code.encode_to_vec()).collect();
        let written = m
            .commission_terms
            .as_ref()
            .map(|terms| terms.encode_to_vec());
        if let Some(terms) = &m.commission_terms
            && traffic.written != written
        {
            let from = terms.effective_time.as_ref().map_or(decided_at, micros);
            let backwards = |last: &CommissionTerms| from <= last.from || from < decided_at;
            if before == State::Closed || traffic.terms.last().is_some_and(backwards) {
                let expected = "terms for affiliates from now on, of a merchant that is not closed";
                return Err(Mismatch::fact(expected, "others"));
            }
            traffic.terms.push(CommissionTerms::read(terms, from)?);
        }
        traffic.written = written;
        Ok(())
    }
}

#[cfg(test)]
#[path = "affiliates_tests.rs"]
mod tests;
