//! One day of one affiliate at one merchant: honest visitors, what they buy, what comes back. The schemes add to it.

use std::num::NonZeroU64;

use super::{
    rng::Rng,
    schemes,
    world::{Affiliate, Merchant, World},
};
use crate::{
    event::{
        Affiliate as AffiliateId, Conversion, Event, Mark, Marks, Merchant as MerchantId, Refusal,
        RefusalKind, Return, Touch, TouchKind,
    },
    features::mix,
};

pub(super) const DAY_MS: i64 = 86_400_000;
const CARRIERS: u64 = 60;
const HOMES: u64 = 150_000;
const BROWSERS: u64 = 240;

/// Where a day's events go, and what is true of them.
pub(super) struct Sink {
    /// Events by the day on which they happen.
    pub(super) days: Vec<Vec<Event>>,
    /// Of each conversion, by number: affiliate, commission, lock, and whether a scheme made it.
    pub(super) truth: Vec<Truth>,
}

/// What is true of a conversion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truth {
    pub(super) affiliate: u32,
    pub(super) commission_micros: i64,
    pub(super) locks_ms: i64,
    pub(super) bad: bool,
}

impl Sink {
    pub(super) fn put(&mut self, event: Event) {
        let day = event.at_ms().div_euclid(DAY_MS);
        if let Some(day) = usize::try_from(day)
            .ok()
            .and_then(|day| self.days.get_mut(day))
        {
            day.push(event);
        }
    }
}

/// One affiliate at one merchant on one day.
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) affiliate: &'a Affiliate,
    pub(super) merchant: &'a Merchant,
    pub(super) ids: (AffiliateId, MerchantId),
    pub(super) day: u32,
    pub(super) rng: Rng,
}

/// How a purchase came about; the schemes change parts of it.
pub(super) struct Purchase {
    pub(super) at_ms: i64,
    pub(super) touched_ms: i64,
    pub(super) checkout_ms: i64,
    pub(super) other_before: bool,
    pub(super) device: Option<NonZeroU64>,
    pub(super) prefix: Option<NonZeroU64>,
    pub(super) customer: u64,
    pub(super) payment: u64,
    pub(super) marks: Marks,
    pub(super) returns: f64,
    pub(super) bad: bool,
}

/// Names a thing as a hub would: by a keyed hash.
pub(super) const fn token(kind: u64, value: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(mix(mix(kind) ^ value))
}

impl<'a> Scene<'a> {
    pub(super) fn new(world: &'a World, affiliate: u32, merchant: u32, day: u32) -> Self {
        let lane = u64::from(affiliate) << 32 | u64::from(merchant) << 16 | u64::from(day);
        Self {
            world,
            affiliate: &world.affiliates[affiliate as usize],
            merchant: &world.merchants[merchant as usize],
            ids: (AffiliateId(affiliate), MerchantId(merchant)),
            day,
            rng: Rng::new(world.seed, mix(lane)),
        }
    }

    pub(super) fn start_ms(&self) -> i64 {
        i64::from(self.day) * DAY_MS
    }

    fn is_flash(&self) -> bool {
        self.merchant.flash_days.contains(&self.day)
    }

    fn is_viral(&self) -> bool {
        self.affiliate
            .viral_day
            .is_some_and(|begin| (begin..begin + 4).contains(&self.day))
    }

    /// Honest clicks that are expected today.
    pub(super) fn volume(&self, part: f64) -> f64 {
        let week = [1.0, 0.95, 0.95, 1.0, 1.05, 1.15, 1.1][(self.day % 7) as usize];
        let season = 1.0
            + self.merchant.season * f64::from(self.day) / f64::from(self.world.scale.days.max(1));
        let flash = if self.is_flash() { 4.0 } else { 1.0 };
        let viral = if self.is_viral() { 40.0 } else { 1.0 };
        self.affiliate.clicks_a_day * part * week * season * flash * viral
    }

    /// The rate at which honest clicks convert today.
    pub(super) fn conversion(&self) -> f64 {
        let flash = if self.is_flash() { 1.6 } else { 1.0 };
        let viral = if self.is_viral() { 0.3 } else { 1.0 };
        (self.merchant.conversion * self.affiliate.conversion * flash * viral).min(0.4)
    }

    /// Plays the day.
    pub(super) fn play(mut self, part: f64, sink: &mut Sink) {
        let honest = self.volume(part);
        if self.affiliate.enrols <= self.day {
            for _ in 0..self.rng.poisson(honest) {
                self.visitor(sink);
            }
            let own = self.affiliate.own_purchases;
            let first = self.affiliate.merchants.first();
            let today = first.is_some_and(|(merchant, _)| *merchant == self.ids.1.0)
                && self.day == 3 + self.ids.0.0 % 20;
            for number in 0..if today { own } else { 0 } {
                let mut purchase = self.purchase(self.start_ms() + i64::from(number) * 3_600_000);
                purchase.device = owner_device(self.ids.0.0);
                self.sell(purchase, sink);
            }
        }
        if self
            .affiliate
            .fraud
            .as_ref()
            .is_some_and(|fraud| fraud.onset <= self.day)
        {
            schemes::play(&mut self, honest, sink);
        }
    }

    fn visitor(&mut self, sink: &mut Sink) {
        let mut touch = self.click();
        let (crawlers, doubles) = (self.affiliate.crawlers, self.affiliate.doubles);
        if self.rng.chance(crawlers) {
            touch.marks = touch.marks.with(if self.rng.chance(0.7) {
                Mark::DeclaredBot
            } else {
                Mark::DataCentre
            });
            touch.agent = token(9, self.rng.below(40));
            sink.put(Event::Touch(touch));
            return;
        }
        sink.put(Event::Touch(touch));
        if self.rng.chance(doubles) {
            let mut again = touch;
            again.at_ms += 1_000 + self.rng.below(20_000) as i64;
            sink.put(Event::Touch(again));
            if self.rng.chance(0.15) {
                again.at_ms += 1_000 + self.rng.below(20_000) as i64;
                sink.put(Event::Touch(again));
            }
        }
        let rate = self.conversion();
        if self.rng.chance(rate) {
            let purchase = self.purchase_of(&touch);
            if purchase.at_ms - purchase.touched_ms
                < (self.merchant.window_days * DAY_MS as f64) as i64
            {
                self.sell(purchase, sink);
            }
        }
    }

    /// An honest click.
    pub(super) fn click(&mut self) -> Touch {
        let affiliate = self.affiliate;
        let hour = self.local_hour();
        let utc = (hour as i64 - affiliate.utc_offset).rem_euclid(24);
        let at_ms = self.start_ms() + utc * 3_600_000 + self.rng.below(3_600_000) as i64;
        let mobile = self.rng.chance(affiliate.mobile) || self.is_viral();
        let in_app = mobile && self.rng.chance(affiliate.in_app);
        let visitor = if self.rng.chance(0.2) {
            self.rng.zipf(2_000)
        } else {
            self.rng.next()
        };
        let mut marks = Marks::default();
        if self.rng.chance(affiliate.no_navigation) {
            marks = marks.with(Mark::NoNavigation);
        }
        if self.rng.chance(affiliate.banned) {
            marks = marks.with(if self.rng.chance(0.6) {
                Mark::PaidClick
            } else {
                Mark::BannedReferrer
            });
        }
        // Behind a carrier thousands share few addresses; at home a few share one.
        let (prefix, address) = if mobile {
            let prefix = self.rng.zipf(CARRIERS);
            (token(2, prefix), token(3, prefix * 64 + self.rng.below(64)))
        } else {
            let prefix = CARRIERS + self.rng.below(HOMES);
            (token(2, prefix), token(3, prefix << 16 | visitor & 0xff))
        };
        let agent = if self.rng.chance(0.03) {
            token(5, BROWSERS + self.rng.below(6_000))
        } else if in_app {
            token(6, self.rng.zipf(60))
        } else {
            token(5, self.rng.zipf(BROWSERS))
        };
        // Some browsers keep no cookie.
        let device = if self.rng.chance(if in_app { 0.15 } else { 0.05 }) {
            None
        } else {
            token(1, visitor ^ u64::from(self.ids.0.0) << 40)
        };
        Touch {
            at_ms,
            affiliate: self.ids.0,
            merchant: self.ids.1,
            kind: TouchKind::Click,
            local_hour: hour,
            address,
            prefix,
            device,
            agent,
            referrer: if in_app || self.rng.chance(0.2) {
                None
            } else {
                token(7, u64::from(self.ids.0.0))
            },
            marks,
        }
    }

    fn local_hour(&mut self) -> u8 {
        let affiliate = self.affiliate;
        loop {
            let hour = self.rng.below(24);
            let away = (hour as f64 - affiliate.peak_hour) * std::f64::consts::TAU / 24.0;
            let wave = 0.5 + 0.5 * libm::cos(away);
            let weight = 1.0 - affiliate.day_depth * (1.0 - wave);
            if self.rng.chance(weight) {
                return hour as u8;
            }
        }
    }

    /// Time from an honest click to the purchase, in seconds.
    pub(super) fn honest_time_s(&mut self) -> f64 {
        let (merchant, affiliate) = (self.merchant, self.affiliate);
        let pace = affiliate.pace * if self.is_flash() { 0.4 } else { 1.0 };
        let slow = (merchant.slow_part + affiliate.slow_shift).clamp(0.05, 0.7);
        let seconds = if self.rng.chance(slow) {
            self.rng.log_normal(merchant.slow_median_s * pace, 1.6)
        } else {
            self.rng.log_normal(merchant.fast_median_s * pace, 1.1)
        };
        seconds.max(8.0 + 30.0 * self.rng.unit())
    }

    fn purchase_of(&mut self, touch: &Touch) -> Purchase {
        let mut purchase = self.purchase(touch.at_ms);
        purchase.device = touch.device;
        purchase.prefix = touch.prefix;
        for mark in [Mark::NoNavigation, Mark::PaidClick, Mark::BannedReferrer] {
            if touch.marks.has(mark) {
                purchase.marks = purchase.marks.with(mark);
            }
        }
        purchase
    }

    /// An honest purchase behind a touch.
    pub(super) fn purchase(&mut self, touched_ms: i64) -> Purchase {
        let affiliate = self.affiliate;
        let at_checkout = self.rng.chance(affiliate.at_checkout);
        let pay_s = self.rng.log_normal(150.0, 0.6);
        let elapsed_s = if at_checkout {
            // People who look for a coupon while they pay.
            (pay_s * self.rng.range(0.2, 0.9)).max(12.0)
        } else {
            self.honest_time_s()
        };
        let at_ms = touched_ms + (elapsed_s * 1_000.0) as i64;
        let pay_s = if at_checkout {
            pay_s
        } else {
            pay_s.min(elapsed_s * 0.8)
        };
        let customer = self.rng.next();
        let mut marks = Marks::default();
        if self.rng.chance(affiliate.new_customers) {
            marks = marks.with(Mark::NewCustomer);
        }
        if self.rng.chance(affiliate.disposable) {
            marks = marks.with(Mark::DisposableMail);
        }
        if at_checkout || self.rng.chance(0.05) {
            marks = marks.with(Mark::CouponCode);
        }
        // Families pay with one card.
        let payment = if self.rng.chance(0.01) {
            self.rng.below(4_000)
        } else {
            customer
        };
        Purchase {
            at_ms,
            touched_ms,
            checkout_ms: at_ms - (pay_s * 1_000.0) as i64,
            other_before: self.rng.chance(affiliate.preceded),
            device: token(1, customer),
            prefix: token(2, CARRIERS + self.rng.below(HOMES)),
            customer,
            payment,
            marks,
            returns: (self.merchant.returns * affiliate.returns).min(0.6),
            bad: false,
        }
    }

    /// The merchant reports the purchase; some of it comes back; some merchants report twice.
    pub(super) fn sell(&mut self, purchase: Purchase, sink: &mut Sink) {
        let (affiliate, merchant) = self.ids;
        let amount = self.rng.log_normal(self.merchant.basket, 0.6) * 1e6;
        let amount_micros = amount as i64;
        let commission_micros = (amount * self.merchant.commission) as i64;
        let locks_ms = purchase.at_ms + self.merchant.lock_days * DAY_MS;
        let id = sink.truth.len() as u64;
        if purchase.at_ms.div_euclid(DAY_MS) >= i64::from(self.world.scale.days) {
            return;
        }
        sink.truth.push(Truth {
            affiliate: affiliate.0,
            commission_micros,
            locks_ms,
            bad: purchase.bad,
        });
        sink.put(Event::Conversion(Conversion {
            at_ms: purchase.at_ms,
            id,
            affiliate,
            merchant,
            touched_ms: purchase.touched_ms,
            checkout_ms: self.merchant.tells_checkout.then_some(purchase.checkout_ms),
            other_before: purchase.other_before,
            device: purchase.device,
            prefix: purchase.prefix,
            customer: token(4, purchase.customer),
            payment: token(8, purchase.payment),
            amount_micros,
            commission_micros,
            locks_ms,
            marks: purchase.marks,
        }));
        if self.rng.chance(purchase.returns) {
            sink.put(Event::Return(Return {
                at_ms: purchase.at_ms + (self.rng.range(3.0, 20.0) * DAY_MS as f64) as i64,
                conversion: id,
                affiliate,
                merchant,
                whole: self.rng.chance(0.75),
            }));
        }
        let resent = if self.merchant.resend_day == self.day {
            0.2
        } else {
            0.004
        };
        if self.rng.chance(resent) {
            self.refuse(purchase.at_ms + 60_000, RefusalKind::ReusedClick, sink);
        }
    }

    pub(super) fn refuse(&self, at_ms: i64, kind: RefusalKind, sink: &mut Sink) {
        sink.put(Event::Refusal(Refusal {
            at_ms,
            affiliate: self.ids.0,
            merchant: self.ids.1,
            kind,
        }));
    }
}

/// The device with which an affiliate signs in.
pub(super) const fn owner_device(affiliate: u32) -> Option<NonZeroU64> {
    token(10, affiliate as u64)
}
