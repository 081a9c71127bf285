//! What is remembered of one affiliate, merchant, pair of them, address prefix or device: 384 bytes, however much it sends.
//!
//! Six lines of 64 bytes, as processors fetch memory. An ordinary click changes the first two and looks at the two sketches; a
//! purchase needs the middle ones. With a million profiles each line is a wait for memory, and waits are what an event costs.
//!
//! Counts fade: at each turn of a period everything counted is halved, so a change of behaviour shows within a period, and
//! an older good name does not hide it.

use serde::{Deserialize, Serialize};

use super::{
    distinct::Distinct,
    rate::{HALF_LIVES_MS, left},
};
use crate::event::{Conversion, Mark, Touch, TouchKind};

/// Counts are halved at each turn of this period.
pub const PERIOD_MS: i64 = 14 * 86_400_000;
/// Bins of click-to-conversion times: three per two octaves from 1 s, the last one from 19 days on.
pub const TIME_BINS: usize = 32;
/// Bins of the gaps between clicks: one per octave, the first one up to half a second, the last one from 2.3 hours on.
pub const GAP_BINS: usize = 16;

/// A thing that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tally {
    /// Clicks and codes.
    Clicks,
    /// Clicks like one in the same minute.
    Duplicate,
    /// Clicks by a user agent that hardly anybody has.
    RareAgent,
    /// Clicks on devices that many affiliates reached.
    Crowded,
    /// Clicks by declared programs or from hosting networks.
    Automated,
    /// Clicks without anybody navigating.
    NoNavigation,
    /// Clicks from a banned source or with a paid click's parameter.
    Banned,
    /// Clicks that are the third or later of such a row.
    Burst,
    /// Clicks from prefixes that click much and never buy.
    Barren,
    /// Conversions.
    Conversions,
    /// Conversions before whose touch another affiliate had one.
    Preceded,
    /// Conversions whose touch came after the customer began to check out.
    Late,
    /// Of them, those that took the place of another affiliate's touch.
    Overwritten,
    /// Conversions by a customer or device that belongs to an affiliate.
    Own,
    /// Conversions paid with a means that paid through this affiliate before, for another customer.
    SharedPayment,
    /// Conversions with a disposable mail address.
    Disposable,
    /// Conversions of new customers.
    NewCustomers,
    /// Conversions that came back entirely.
    Returned,
    /// Conversions of which a part came back.
    PartReturned,
    /// Conversions that were refused as forged or sent before.
    Refused,
}

/// Number of [`Tally`]s.
pub const TALLIES: usize = Tally::Refused as usize + 1;

/// What a touch is, beside its own fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TouchFacts {
    pub(super) duplicate: bool,
    pub(super) burst: bool,
    pub(super) rare_agent: bool,
    pub(super) barren: bool,
    pub(super) crowded: bool,
}

/// What a conversion is, beside its own fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConversionFacts {
    pub(super) own: bool,
    pub(super) shared_payment: bool,
}

/// The features of one entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[repr(C, align(64))]
pub struct Profile {
    pub(super) key: u64,
    last_ms: i64,
    rates: [f32; 3],
    clicks: u32,
    gaps: [u16; GAP_BINS],
    hours: [u16; 24],
    period: i16,
    /// All tallies but that of clicks. The first three, the commonest of a click, are in its line.
    tallies: [u32; TALLIES - 1],
    times: [u16; TIME_BINS],
    /// Devices seen.
    pub(super) devices: Distinct,
    /// Prefixes seen; of a prefix or device, the affiliates.
    pub(super) others: Distinct,
}

impl Profile {
    pub(super) fn new(key: u64, at_ms: i64) -> Self {
        Self {
            key,
            last_ms: at_ms,
            rates: [0.0; 3],
            clicks: 0,
            gaps: [0; GAP_BINS],
            hours: [0; 24],
            period: period(at_ms),
            tallies: [0; TALLIES - 1],
            times: [0; TIME_BINS],
            devices: Distinct::default(),
            others: Distinct::default(),
        }
    }

    /// Brings the counts to the period of this instant.
    pub(super) fn roll(&mut self, at_ms: i64) {
        let now = period(at_ms);
        let turns = now.saturating_sub(self.period);
        if turns <= 0 {
            return;
        }
        let turns = u32::from(turns.unsigned_abs()).min(15);
        self.clicks >>= turns;
        for cell in &mut self.tallies {
            *cell >>= turns;
        }
        for cells in [&mut self.hours[..], &mut self.gaps, &mut self.times] {
            for cell in cells {
                *cell >>= turns;
            }
        }
        self.period = now;
    }

    /// Events per minute, hour and day (halving at these), as they stand at an instant.
    #[must_use]
    pub fn rate(&self, which: usize, at_ms: i64) -> f32 {
        self.rates[which] * left(at_ms - self.last_ms, HALF_LIVES_MS[which])
    }

    #[inline]
    pub(super) fn touch(&mut self, touch: &Touch, facts: TouchFacts, other: u64) {
        self.roll(touch.at_ms);
        let gap = touch.at_ms - self.last_ms;
        if gap >= 0 {
            for (rate, half_life) in self.rates.iter_mut().zip(HALF_LIVES_MS) {
                *rate = *rate * left(gap, half_life) + 1.0;
            }
        }
        // Views count in the rates and the sketches only.
        if touch.kind != TouchKind::View {
            if self.clicks > 0 && gap >= 0 {
                bump(&mut self.gaps, gap_bin(gap));
            }
            self.add(Tally::Clicks);
            bump(&mut self.hours, usize::from(touch.local_hour % 24));
            let marks = touch.marks;
            for (tally, holds) in [
                (
                    Tally::Automated,
                    marks.has(Mark::DeclaredBot) || marks.has(Mark::DataCentre),
                ),
                (Tally::NoNavigation, marks.has(Mark::NoNavigation)),
                (
                    Tally::Banned,
                    marks.has(Mark::PaidClick) || marks.has(Mark::BannedReferrer),
                ),
                (Tally::Duplicate, facts.duplicate),
                (Tally::Burst, facts.burst),
                (Tally::RareAgent, facts.rare_agent),
                (Tally::Barren, facts.barren),
                (Tally::Crowded, facts.crowded),
            ] {
                if holds {
                    self.add(tally);
                }
            }
        }
        if let Some(device) = touch.device {
            self.devices.add(device.get());
        }
        self.others.add(other);
        self.last_ms = self.last_ms.max(touch.at_ms);
    }

    pub(super) fn conversion(&mut self, conversion: &Conversion, facts: ConversionFacts) {
        self.roll(conversion.at_ms);
        self.add(Tally::Conversions);
        bump(
            &mut self.times,
            time_bin(conversion.at_ms - conversion.touched_ms),
        );
        let late = is_late(conversion);
        for (tally, holds) in [
            (Tally::Preceded, conversion.other_before),
            (Tally::Late, late),
            (Tally::Overwritten, late && conversion.other_before),
            (Tally::Own, facts.own),
            (Tally::SharedPayment, facts.shared_payment),
            (
                Tally::Disposable,
                conversion.marks.has(Mark::DisposableMail),
            ),
            (Tally::NewCustomers, conversion.marks.has(Mark::NewCustomer)),
        ] {
            if holds {
                self.add(tally);
            }
        }
    }

    pub(super) fn count(&mut self, tally: Tally, at_ms: i64) {
        self.roll(at_ms);
        self.add(tally);
    }

    #[inline]
    fn add(&mut self, tally: Tally) {
        let cell = match tally {
            Tally::Clicks => &mut self.clicks,
            other => &mut self.tallies[other as usize - 1],
        };
        *cell = cell.saturating_add(1);
    }

    /// Adds what is remembered of another part of the same thing, both rolled to the same instant. Gaps between clicks of
    /// different parts are no gaps of the whole: they add up as gaps within parts.
    pub(super) fn join(&mut self, other: &Self) {
        let at_ms = self.last_ms.max(other.last_ms);
        for which in 0..self.rates.len() {
            self.rates[which] = self.rate(which, at_ms) + other.rate(which, at_ms);
        }
        self.last_ms = at_ms;
        self.clicks = self.clicks.saturating_add(other.clicks);
        for (own, other) in self.tallies.iter_mut().zip(other.tallies) {
            *own = own.saturating_add(other);
        }
        for (own, other) in [
            (&mut self.hours[..], &other.hours[..]),
            (&mut self.gaps[..], &other.gaps[..]),
            (&mut self.times[..], &other.times[..]),
        ] {
            for (own, other) in own.iter_mut().zip(other) {
                *own = own.saturating_add(*other);
            }
        }
        self.devices.join(&other.devices);
        self.others.join(&other.others);
    }

    /// How often it was counted.
    #[must_use]
    pub const fn tally(&self, tally: Tally) -> u32 {
        match tally {
            Tally::Clicks => self.clicks,
            other => self.tallies[other as usize - 1],
        }
    }

    /// Reads a little of each line that a touch or a conversion needs, so that they are near when it comes.
    #[inline]
    pub(super) fn look(&self, conversion: bool) -> u64 {
        let near = u64::from(self.clicks) ^ u64::from(self.hours[0]);
        if conversion {
            near ^ u64::from(self.tallies[TALLIES - 2]) ^ u64::from(self.times[0])
        } else {
            near ^ self.devices.look() ^ self.others.look()
        }
    }

    /// Everything counted, in the order of [`Tally`].
    #[must_use]
    pub fn tallies(&self) -> [u32; TALLIES] {
        let mut all = [self.clicks; TALLIES];
        all[1..].copy_from_slice(&self.tallies);
        all
    }

    /// Clicks by the visitor's hour of day.
    #[must_use]
    pub const fn hours(&self) -> &[u16; 24] {
        &self.hours
    }

    /// Gaps between clicks.
    #[must_use]
    pub const fn gaps(&self) -> &[u16; GAP_BINS] {
        &self.gaps
    }

    /// Click-to-conversion times.
    #[must_use]
    pub const fn times(&self) -> &[u16; TIME_BINS] {
        &self.times
    }

    /// About how many devices.
    #[must_use]
    pub fn devices(&self) -> f64 {
        self.devices.estimate()
    }

    /// About how many address prefixes; of a prefix or device, affiliates.
    #[must_use]
    pub fn others(&self) -> f64 {
        self.others.estimate()
    }
}

/// People take at least so long to pay, in milliseconds.
const PAYING_MS: i64 = 120_000;

/// The touch came after the customer began to check out; where the merchant does not say when that was, shortly before the
/// purchase.
pub(crate) fn is_late(conversion: &Conversion) -> bool {
    let began = conversion
        .checkout_ms
        .unwrap_or(conversion.at_ms - PAYING_MS);
    conversion.touched_ms > began
}

fn period(at_ms: i64) -> i16 {
    at_ms
        .div_euclid(PERIOD_MS)
        .clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// Adds one; a full cell halves all of them, which keeps the shape.
#[inline]
fn bump(cells: &mut [u16], index: usize) {
    if cells[index] == u16::MAX {
        for cell in cells.iter_mut() {
            *cell >>= 1;
        }
    }
    cells[index] += 1;
}

/// The bin of a click-to-conversion time.
#[must_use]
pub fn time_bin(elapsed_ms: i64) -> usize {
    let edges = time_edges();
    let bin = edges.partition_point(|edge| *edge <= elapsed_ms);
    bin.saturating_sub(1).min(TIME_BINS - 1)
}

/// Where the bins of click-to-conversion times begin, in milliseconds; the first one at 0.
#[must_use]
pub const fn time_edges() -> [i64; TIME_BINS] {
    let mut edges = [0; TIME_BINS];
    // 2^(2/3) and 2^(4/3), in thousandths.
    let parts = [1_000, 1_587, 2_520];
    let mut bin = 1;
    while bin < TIME_BINS {
        let step = bin - 1;
        edges[bin] = parts[step % 3] << (2 * (step / 3));
        bin += 1;
    }
    edges
}

fn gap_bin(gap_ms: i64) -> usize {
    let octave = (gap_ms.max(1) as u64).ilog2() as usize;
    octave.saturating_sub(8).min(GAP_BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_six_lines_and_a_click_changes_two() {
        assert_eq!(size_of::<Profile>(), 384);
        let line = |offset| offset / 64;
        assert_eq!(line(std::mem::offset_of!(Profile, gaps) + 31), 0);
        assert_eq!(line(std::mem::offset_of!(Profile, hours)), 1);
        assert_eq!(line(std::mem::offset_of!(Profile, tallies) + 11), 1);
        for field in [
            std::mem::offset_of!(Profile, times),
            std::mem::offset_of!(Profile, devices),
            std::mem::offset_of!(Profile, others),
        ] {
            assert_eq!(field % 64, 0, "one line, not parts of two");
        }
    }

    #[test]
    fn times_fall_into_rising_bins() {
        assert_eq!(time_bin(-5), 0);
        assert_eq!(time_bin(999), 0);
        assert_eq!(time_bin(1_000), 1);
        assert_eq!(time_bin(30 * 86_400_000), TIME_BINS - 1);
        assert!(time_edges().windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_turn_of_the_period_halves_what_was_counted() {
        let mut profile = Profile::new(1, 0);
        for _ in 0..9 {
            profile.count(Tally::Clicks, 5);
        }
        profile.roll(PERIOD_MS);
        assert_eq!(profile.tally(Tally::Clicks), 4);
        profile.roll(5);
        assert_eq!(profile.tally(Tally::Clicks), 4, "time never goes back");
    }

    #[test]
    fn a_full_cell_keeps_the_shape() {
        let mut cells = [u16::MAX, 1_000];
        bump(&mut cells, 0);
        assert_eq!(cells, [0x8000, 500]);
    }
}
