//! What those who cheat add to a day. `contamination` is the part of all clicks, or of all conversions, that is theirs.

use super::{
    day::{DAY_MS, Purchase, Scene, Sink, owner_device, token},
    world::{Fraud, Scheme},
};
use crate::{
    event::{Event, Mark, Marks, RefusalKind},
    typology::Typology,
};

/// How many times the honest part the bad part is, at a contamination.
fn odds(contamination: f64) -> f64 {
    let part = contamination.min(0.9);
    part / (1.0 - part)
}

/// Plays the affiliate's scheme for a day on which `honest` honest clicks are expected.
pub(super) fn play(scene: &mut Scene<'_>, honest: f64, sink: &mut Sink) {
    let Some(fraud) = &scene.affiliate.fraud else {
        return;
    };
    match fraud.scheme {
        Scheme::Named(typology) => named(typology, scene, fraud, fraud.contamination, honest, sink),
        Scheme::Throttled => {
            for (typology, part) in [
                (Typology::ClickFlood, 0.1),
                (Typology::CookieStuffing, 0.06),
                (Typology::FakeConversion, 0.08),
                (Typology::MasqueradingBot, 0.1),
            ] {
                named(typology, scene, fraud, part, honest, sink);
            }
        }
        Scheme::HonestTimes => {
            for _ in 0..bad_sales(scene, fraud.contamination, honest) {
                // It knows who is about to buy, so nearly every click of it converts, after a time like everybody's.
                let touch = scene.click();
                let mut purchase = scene.purchase(touch.at_ms);
                purchase.device = touch.device;
                purchase.prefix = touch.prefix;
                purchase.other_before = scene.rng.chance(0.5);
                purchase.bad = true;
                sink.put(Event::Touch(touch));
                scene.sell(purchase, sink);
            }
        }
    }
}

fn named(
    typology: Typology,
    scene: &mut Scene<'_>,
    fraud: &Fraud,
    contamination: f64,
    honest: f64,
    sink: &mut Sink,
) {
    match typology {
        Typology::DeclaredBot => {
            for _ in 0..scene.rng.poisson(honest * odds(contamination)) {
                let mut touch = scene.click();
                touch.marks = Marks::default().with(if scene.rng.chance(0.7) {
                    Mark::DeclaredBot
                } else {
                    Mark::DataCentre
                });
                touch.agent = token(9, scene.rng.below(40));
                touch.device = token(1, scene.rng.next());
                sink.put(Event::Touch(touch));
            }
        }
        Typology::MasqueradingBot => masquerading(scene, fraud, honest * odds(contamination), sink),
        Typology::ClickDuplicate => {
            let mut left = scene.rng.poisson(honest * odds(contamination));
            while left > 0 {
                let mut touch = scene.click();
                let times = 2 + scene.rng.below(8) as u32;
                for _ in 0..times.min(left) {
                    sink.put(Event::Touch(touch));
                    touch.at_ms += 500 + scene.rng.below(20_000) as i64;
                }
                left -= times.min(left);
            }
        }
        Typology::ClickFlood => {
            unwanted_clicks(scene, fraud, contamination, honest, None, sink);
            for _ in 0..bad_sales(scene, contamination, honest) {
                let purchase = anyway(scene);
                scene.sell(purchase, sink);
            }
        }
        Typology::CookieStuffing => {
            unwanted_clicks(
                scene,
                fraud,
                contamination,
                honest,
                Some(Mark::NoNavigation),
                sink,
            );
            for _ in 0..bad_sales(scene, contamination, honest) {
                let mut purchase = anyway(scene);
                if scene.rng.chance(0.9) {
                    purchase.marks = purchase.marks.with(Mark::NoNavigation);
                }
                scene.sell(purchase, sink);
            }
        }
        Typology::ClickInjection => {
            for _ in 0..bad_sales(scene, contamination, honest) {
                let mut purchase = anyway(scene);
                let seconds = scene.rng.log_normal(4.0, 0.5).min(9.5);
                purchase.touched_ms = purchase.at_ms - (seconds * 1_000.0) as i64;
                last_moment(scene, purchase, sink);
            }
        }
        Typology::CouponHijack => {
            for _ in 0..bad_sales(scene, contamination, honest) {
                let mut purchase = anyway(scene);
                let pay_ms = purchase.at_ms - purchase.checkout_ms;
                purchase.touched_ms = purchase.at_ms - pay_ms / 2;
                purchase.other_before = scene.rng.chance(0.7);
                purchase.marks = purchase.marks.with(Mark::CouponCode);
                last_moment(scene, purchase, sink);
            }
        }
        Typology::SelfReferral => {
            for _ in 0..bad_sales(scene, contamination, honest) {
                let touch = scene.click();
                let mut purchase = scene.purchase(touch.at_ms);
                purchase.bad = true;
                if scene.rng.chance(0.5) {
                    purchase.device = owner_device(scene.ids.0.0);
                } else {
                    // A ring: a few cards, many accounts.
                    purchase.payment = u64::from(scene.ids.0.0) << 8 | scene.rng.below(3);
                }
                sink.put(Event::Touch(touch));
                scene.sell(purchase, sink);
            }
        }
        Typology::FakeConversion => {
            for _ in 0..bad_sales(scene, contamination, honest) {
                let touch = scene.click();
                let mut purchase = scene.purchase(touch.at_ms);
                purchase.bad = true;
                purchase.marks = purchase.marks.with(Mark::NewCustomer);
                if scene.rng.chance(0.5) {
                    purchase.marks = purchase.marks.with(Mark::DisposableMail);
                }
                purchase.returns = 0.75;
                sink.put(Event::Touch(touch));
                scene.sell(purchase, sink);
            }
        }
        Typology::ForgedPostback => {
            for _ in 0..bad_sales(scene, contamination, honest) {
                let at_ms = scene.start_ms() + scene.rng.below(DAY_MS as u64) as i64;
                let kind = match scene.rng.below(3) {
                    0 => RefusalKind::BadSignature,
                    1 => RefusalKind::ForgedClick,
                    _ => RefusalKind::ReusedClick,
                };
                scene.refuse(at_ms, kind, sink);
            }
        }
        Typology::BannedSource => {
            for _ in 0..scene.rng.poisson(honest * odds(contamination)) {
                let mut touch = scene.click();
                let mark = if scene.rng.chance(0.7) {
                    Mark::PaidClick
                } else {
                    Mark::BannedReferrer
                };
                touch.marks = touch.marks.with(mark);
                sink.put(Event::Touch(touch));
                let rate = scene.conversion();
                if scene.rng.chance(rate) {
                    let mut purchase = scene.purchase(touch.at_ms);
                    purchase.device = touch.device;
                    purchase.marks = purchase.marks.with(mark);
                    purchase.bad = true;
                    scene.sell(purchase, sink);
                }
            }
        }
        // Honest-looking traffic under another name; the run marks all of it. Low quality is no scheme that is simulated.
        Typology::DuplicateIdentity | Typology::LowQuality => {}
    }
}

/// Sales of a scheme today, so that they are the contamination's part of all.
fn bad_sales(scene: &mut Scene<'_>, contamination: f64, honest: f64) -> u32 {
    let mean = honest * scene.conversion() * odds(contamination.min(0.85));
    scene.rng.poisson(mean)
}

/// A purchase that happens anyway, with a touch at any time of the window before it.
fn anyway(scene: &mut Scene<'_>) -> Purchase {
    let mut purchase = scene.purchase(scene.start_ms());
    let at_ms = scene.start_ms() + scene.rng.below(DAY_MS as u64) as i64;
    let pay_ms = purchase.at_ms - purchase.checkout_ms;
    let pay_ms = pay_ms.max(20_000);
    let window_ms = scene.merchant.window_days * DAY_MS as f64;
    purchase.at_ms = at_ms;
    purchase.checkout_ms = at_ms - pay_ms;
    purchase.touched_ms = at_ms - (scene.rng.unit() * window_ms) as i64;
    purchase.other_before = scene.rng.chance(0.15);
    purchase.bad = true;
    purchase
}

/// A touch that is made for the purchase, and the purchase.
fn last_moment(scene: &mut Scene<'_>, purchase: Purchase, sink: &mut Sink) {
    let mut touch = scene.click();
    touch.at_ms = purchase.touched_ms;
    touch.device = purchase.device;
    sink.put(Event::Touch(touch));
    scene.sell(purchase, sink);
}

/// Clicks on real people's devices that they do not know of.
fn unwanted_clicks(
    scene: &mut Scene<'_>,
    fraud: &Fraud,
    contamination: f64,
    honest: f64,
    mark: Option<Mark>,
    sink: &mut Sink,
) {
    let mean = honest * fraud.noise * odds(contamination.min(0.6));
    for _ in 0..scene.rng.poisson(mean) {
        let mut touch = scene.click();
        if let Some(mark) = mark
            && scene.rng.chance(0.9)
        {
            touch.marks = touch.marks.with(mark);
            touch.referrer = None;
        }
        sink.put(Event::Touch(touch));
    }
}

/// Programs behind rented addresses: around the clock, at regular gaps, with browsers out of date.
fn masquerading(scene: &mut Scene<'_>, fraud: &Fraud, mean: f64, sink: &mut Sink) {
    let count = scene.rng.poisson(mean);
    for number in 0..count {
        let mut touch = scene.click();
        let step = DAY_MS as f64 / f64::from(count);
        let jitter = scene.rng.range(-0.1, 0.1);
        let at = (step * (f64::from(number) + 0.5 + jitter)) as i64;
        touch.at_ms = scene.start_ms() + at;
        let hour = at / 3_600_000 + scene.affiliate.utc_offset;
        touch.local_hour = hour.rem_euclid(24) as u8;
        let network = scene.rng.below(80);
        touch.prefix = token(11, fraud.proxies ^ network);
        touch.address = token(12, fraud.proxies ^ network << 8 ^ scene.rng.below(200));
        touch.device = token(1, scene.rng.next());
        touch.marks = Marks::default();
        if scene.rng.chance(0.4) {
            touch.agent = token(13, scene.rng.below(4_000));
        }
        sink.put(Event::Touch(touch));
    }
}
