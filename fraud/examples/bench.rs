//! What the fraud module costs: events per second on one core with a million entities, their memory, a decision's time, and
//! what a flood of new ids does. `cargo run --release -p hansa-fraud --example bench -- [EVENTS]`
#![expect(clippy::float_arithmetic, reason = "rates of measurements")]

use std::{
    num::NonZeroU64,
    process::ExitCode,
    time::{Duration, Instant},
};

use hansa_fraud::{
    Affiliate, Conversion, Engine, Event, Marks, Merchant, Touch, TouchKind,
    act::Rules,
    features::{Limits, Pair},
};

/// One in so many events is a conversion.
const CONVERSIONS: u64 = 40;
const DECISIONS: usize = 20_000;

struct Source(u64);

impl Source {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((u128::from(self.0) * u128::from(n)) >> 64) as u64
    }

    /// A touch or conversion of a known pair; `flood`: each from a device and network that was never seen.
    fn event(&mut self, number: u64, limits: &Limits, flood: bool) -> Event {
        let at_ms = number as i64 / 4;
        let pair = self.below(limits.pairs as u64);
        let affiliate = Affiliate((pair / 4) as u32);
        let merchant = Merchant((pair % 4 * 31 + pair / 4 % 31) as u32);
        let (prefix, device) = if flood {
            (1 << 40 | number, 1 << 41 | number)
        } else {
            (
                self.below(limits.prefixes as u64),
                self.below(limits.devices as u64),
            )
        };
        let (prefix, device) = (NonZeroU64::new(prefix + 1), NonZeroU64::new(device + 1));
        if number.is_multiple_of(CONVERSIONS) {
            return Event::Conversion(Conversion {
                at_ms,
                id: number,
                affiliate,
                merchant,
                touched_ms: at_ms - (1 << self.below(30)),
                checkout_ms: Some(at_ms - 60_000),
                other_before: self.below(10) == 0,
                device,
                prefix,
                customer: device,
                payment: device,
                amount_micros: 50_000_000,
                commission_micros: 2_500_000,
                locks_ms: at_ms + 60_000,
                marks: Marks::default(),
            });
        }
        Event::Touch(Touch {
            at_ms,
            affiliate,
            merchant,
            kind: TouchKind::Click,
            local_hour: self.below(24) as u8,
            address: device,
            prefix,
            device,
            agent: NonZeroU64::new(1 + self.below(300)),
            referrer: None,
            marks: Marks::default(),
        })
    }
}

/// Time that this thread was on a processor, so that other work on the machine does not count; elsewhere than on Linux the
/// time of day.
fn on_processor() -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or_else(
            || std::time::UNIX_EPOCH.elapsed().unwrap_or_default(),
            Duration::from_nanos,
        )
}

fn main() -> ExitCode {
    let Ok(events) = std::env::args()
        .nth(1)
        .map_or(Ok(4_000_000), |n| n.parse::<u64>())
    else {
        eprintln!("give the number of events as a whole number");
        return ExitCode::FAILURE;
    };
    let limits = Limits::default();
    let mut engine = Engine::new(limits, Rules::default());
    let mut source = Source(7);
    // Every entity once, so that the rate is one with full tables.
    let mut number = 1;
    let entities = |engine: &Engine| -> (usize, usize) {
        let tables = engine.features().tables();
        (
            tables.iter().map(|(_, table)| table.len()).sum(),
            tables.iter().map(|(_, table)| table.bytes()).sum(),
        )
    };
    let mut run = |engine: &mut Engine, events: u64, flood: bool| {
        let mut spent = Duration::ZERO;
        let mut left = events;
        while left > 0 {
            let count = left.min(65_536);
            let part: Vec<Event> = (number..number + count)
                .map(|number| source.event(number, &limits, flood))
                .collect();
            number += count;
            left -= count;
            let begin = on_processor();
            for batch in part.chunks(4_096) {
                std::hint::black_box(engine.apply_all(batch));
            }
            spent += on_processor().saturating_sub(begin);
        }
        (events as f64 / spent.as_secs_f64(), number as i64 / 4)
    };
    let (_, now) = run(&mut engine, 6_000_000, false);
    engine.assess(now);
    for _ in 0..std::env::args()
        .nth(2)
        .map_or(0, |n| n.parse::<u32>().unwrap_or(0))
    {
        eprintln!("{:.0}", run(&mut engine, events, false).0);
    }
    let (rate, now_ms) = run(&mut engine, events, false);
    let (count, bytes) = entities(&engine);
    let pairs = engine.features().pairs(now_ms);
    let mut times: Vec<Duration> = (0..DECISIONS)
        .map(|at| {
            let pair: Pair = pairs[at * 7 % pairs.len()].0;
            let begin = Instant::now();
            std::hint::black_box(engine.judge(pair, now_ms));
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    let (flood_rate, _) = run(&mut engine, events, true);
    let (flood_count, flood_bytes) = entities(&engine);
    println!(
        "{}",
        serde_json::json!({
            "events": events,
            "events_per_second": rate as u64,
            "entities": count,
            "bytes": bytes,
            "decision_p50_us": times[DECISIONS / 2].as_secs_f64() * 1e6,
            "decision_p99_us": times[DECISIONS * 99 / 100].as_secs_f64() * 1e6,
            "flood_events_per_second": flood_rate as u64,
            "flood_entities": flood_count,
            "flood_bytes": flood_bytes,
        })
    );
    ExitCode::SUCCESS
}
