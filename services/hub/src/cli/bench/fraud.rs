//! `hansa bench fraud`: features, decisions and memory of the fraud module on one core, with full tables, and under a flood of
//! ids that were never seen. No hub takes part.
#![expect(clippy::float_arithmetic, reason = "rates of measurements")]

use std::{
    num::NonZeroU64,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args as ClapArgs;
use comfy_table::{Table, TableStyle};
use hansa_fraud::{
    Affiliate, Conversion, Engine, Event, Marks, Merchant, Touch, TouchKind,
    act::Rules,
    features::{Limits, Pair},
};
use serde::Serialize;

use super::{
    machine::{self, Machine, cpu_of, resident},
    rng::SplitMix64,
};
use crate::cli::render;

const HELP: &str = "An event is a click (39 of 40) or a purchase of a random pair of affiliate and merchant, from a random address prefix and
device; all tables are full before anything is timed. `events_per_second` counts processor time, which other work on the machine
lengthens less than `events_per_second_wall`; making the events is not counted. A decision says what a pair shows against what
is usual. In the flood each event comes from a prefix and a device that were never seen. Between runs every pair is assessed,
as a hub does once a day.";

/// One in so many events is a conversion.
const CONVERSIONS: u64 = 40;
/// Events are made by so many, and given to the engine in batches as large as the exchange takes.
const PART: u64 = 1 << 16;
const BATCH: usize = 4_000;

/// Options of the bench.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// Events of a run.
    #[arg(long, default_value_t = 4_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    events: u64,
    /// Entities: a fifth pairs, a fifth prefixes, the rest devices.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000_000))]
    entities: u32,
    /// Decisions that are timed.
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    decisions: u32,
    /// Runs, one behind the other; as many of the flood.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// What the events are drawn from.
    #[arg(long, default_value_t = 7, value_name = "S")]
    seed: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Rates of several runs of one kind.
#[derive(Debug, Serialize)]
struct Rates {
    /// Median, for each second of processor time.
    events_per_second: f64,
    events_per_second_min: f64,
    events_per_second_max: f64,
    /// Median, for each second.
    events_per_second_wall: f64,
    /// Every run, in order.
    events_per_second_each: Vec<f64>,
}

/// What is held at a moment.
#[derive(Debug, Serialize)]
struct Held {
    entities: usize,
    /// Bytes of the profiles and their indexes.
    bytes: usize,
    /// Profiles given up so far.
    evicted: u64,
}

/// The whole bench.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    rates: Rates,
    #[serde(flatten)]
    held: Held,
    decision_p50_us: f64,
    decision_p99_us: f64,
    decision_max_us: f64,
    /// Median time of assessing every pair.
    assessment_seconds: f64,
    flood: Rates,
    flood_held: Held,
    /// Resident memory of this process when the tables were full. Unit: bytes.
    rss_bytes: Option<u64>,
    /// At its highest, assessments and flood included. Unit: bytes.
    peak_rss_bytes: Option<u64>,
    events: u64,
    decisions: u32,
    runs: u16,
    seed: u64,
    machine: Machine,
    version: &'static str,
}

/// Events, one behind the other.
struct Source {
    rng: SplitMix64,
    limits: Limits,
    number: u64,
}

/// Where the entities of an event come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Each one in its turn.
    Turn,
    /// Any that there is.
    Known,
    /// Any pair, but a new prefix and a new device.
    Flood,
}

impl Source {
    fn new(args: &Args) -> Self {
        let fifth = args.entities as usize / 5;
        Self {
            rng: SplitMix64::new(args.seed, 0),
            limits: Limits {
                pairs: fifth,
                prefixes: fifth,
                devices: args.entities as usize - 2 * fifth,
                ..Limits::default()
            },
            number: 0,
        }
    }

    const fn now_ms(&self) -> i64 {
        (self.number / 4) as i64
    }

    /// One of so many, or the one whose turn it is.
    fn one_of(&mut self, all: usize, whose: Whose) -> u64 {
        if whose == Whose::Turn {
            self.number % all as u64
        } else {
            self.rng.index(all) as u64
        }
    }

    fn next(&mut self, whose: Whose) -> Event {
        let limits = self.limits;
        let at_ms = self.now_ms();
        let pair = self.one_of(limits.pairs, whose);
        let affiliate = Affiliate((pair / 4) as u32);
        let merchant = Merchant((pair % 4 * 31 + pair / 4 % 31) as u32);
        let (prefix, device) = if whose == Whose::Flood {
            (1 << 40 | self.number, 1 << 41 | self.number)
        } else {
            (
                self.one_of(limits.prefixes, whose),
                self.one_of(limits.devices, whose),
            )
        };
        let (prefix, device) = (NonZeroU64::new(prefix + 1), NonZeroU64::new(device + 1));
        self.number += 1;
        if self.number.is_multiple_of(CONVERSIONS) && whose != Whose::Turn {
            return Event::Conversion(Conversion {
                at_ms,
                id: self.number,
                affiliate,
                merchant,
                touched_ms: at_ms - (1 << self.rng.index(30)),
                checkout_ms: Some(at_ms - 60_000),
                other_before: self.rng.index(10) == 0,
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
            local_hour: self.rng.index(24) as u8,
            address: device,
            prefix,
            device,
            agent: NonZeroU64::new(1 + self.rng.index(300) as u64),
            referrer: None,
            marks: Marks::default(),
        })
    }

    /// Plays so many events: processor time and time of the engine alone.
    fn play(&mut self, engine: &mut Engine, events: u64, whose: Whose) -> (Duration, Duration) {
        let pid = std::process::id();
        let (mut cpu, mut wall) = (Duration::ZERO, Duration::ZERO);
        let mut left = events;
        while left > 0 {
            let count = left.min(PART);
            left -= count;
            let part: Vec<Event> = (0..count).map(|_| self.next(whose)).collect();
            let (before, begun) = (cpu_of(pid), Instant::now());
            for batch in part.chunks(BATCH) {
                std::hint::black_box(engine.apply_all(batch));
            }
            wall += begun.elapsed();
            cpu += cpu_of(pid).saturating_sub(before);
        }
        (cpu, wall)
    }
}

/// Runs the bench.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = measure(args);
    if args.json {
        render::print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        render::print(&format!("{}\n", report.table()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &Args) -> Report {
    let mut source = Source::new(args);
    let mut engine = Engine::new(source.limits, Rules::default());
    let largest = source.limits.devices as u64;
    source.play(&mut engine, largest, Whose::Turn);
    source.play(&mut engine, 2 * largest, Whose::Known);
    let rss_bytes = resident("VmRSS:");
    let mut assessments = vec![assess(&mut engine, &source)];

    let (mut timed, mut flooded) = (vec![], vec![]);
    for _ in 0..args.runs {
        timed.push(source.play(&mut engine, args.events, Whose::Known));
        assessments.push(assess(&mut engine, &source));
    }
    let known = held(&engine);
    let decisions = decide(&engine, args.decisions as usize, source.now_ms());
    for _ in 0..args.runs {
        flooded.push(source.play(&mut engine, args.events, Whose::Flood));
        assessments.push(assess(&mut engine, &source));
    }
    let quantile = |percent: usize| {
        let at = (decisions.len() - 1) * percent / 100;
        decisions[at].as_secs_f64() * 1e6
    };
    Report {
        rates: rates(args.events, &timed),
        held: known,
        decision_p50_us: quantile(50),
        decision_p99_us: quantile(99),
        decision_max_us: quantile(100),
        assessment_seconds: median(&assessments),
        flood: rates(args.events, &flooded),
        flood_held: held(&engine),
        rss_bytes,
        peak_rss_bytes: resident("VmHWM:"),
        events: args.events,
        decisions: args.decisions,
        runs: args.runs,
        seed: args.seed,
        machine: machine::machine(Path::new("/")),
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn assess(engine: &mut Engine, source: &Source) -> f64 {
    let begun = Instant::now();
    std::hint::black_box(engine.assess(source.now_ms()));
    begun.elapsed().as_secs_f64()
}

/// Times of so many decisions, the shortest first.
fn decide(engine: &Engine, count: usize, now_ms: i64) -> Vec<Duration> {
    let pairs: Vec<Pair> = engine
        .features()
        .pairs(now_ms)
        .into_iter()
        .map(|(pair, _)| pair)
        .collect();
    let mut times: Vec<Duration> = (0..count)
        .map(|number| {
            // Far apart, so that each one is as far from the processor as any.
            let pair = pairs[number * 7_919 % pairs.len()];
            let begun = Instant::now();
            std::hint::black_box(engine.judge(pair, now_ms));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

fn held(engine: &Engine) -> Held {
    let tables = engine.features().tables();
    Held {
        entities: tables.iter().map(|(_, table)| table.len()).sum(),
        bytes: tables.iter().map(|(_, table)| table.bytes()).sum(),
        evicted: tables.iter().map(|(_, table)| table.evicted()).sum(),
    }
}

fn rates(events: u64, runs: &[(Duration, Duration)]) -> Rates {
    let per_second = |time: Duration| super::report::per_second(events, time);
    let each: Vec<f64> = runs.iter().map(|(cpu, _)| per_second(*cpu)).collect();
    let wall: Vec<f64> = runs.iter().map(|(_, wall)| per_second(*wall)).collect();
    Rates {
        events_per_second: median(&each),
        events_per_second_min: each.iter().copied().fold(f64::INFINITY, f64::min),
        events_per_second_max: each.iter().copied().fold(0.0, f64::max),
        events_per_second_wall: median(&wall),
        events_per_second_each: each,
    }
}

/// Of an even number, the lower one in the middle.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

impl Rates {
    fn line(&self) -> String {
        format!(
            "{:.0} a second of one core, {:.0} to {:.0}; {:.0} a second of time",
            self.events_per_second,
            self.events_per_second_min,
            self.events_per_second_max,
            self.events_per_second_wall
        )
    }
}

impl Held {
    fn line(&self) -> String {
        format!(
            "{} entities in {:.1} MB; {} given up",
            self.entities,
            self.bytes as f64 / 1e6,
            self.evicted
        )
    }
}

impl Report {
    /// For people.
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        let mut row = |name: &str, value: String| {
            table.add_row([name, &value]);
        };
        row("events", self.rates.line());
        row("tables", self.held.line());
        row(
            "a decision",
            format!(
                "p50 {:.1} us, p99 {:.1} us, max {:.1} us",
                self.decision_p50_us, self.decision_p99_us, self.decision_max_us
            ),
        );
        row(
            "all pairs assessed",
            format!("{:.2} s", self.assessment_seconds),
        );
        row("flood of new ids", self.flood.line());
        row("tables after it", self.flood_held.line());
        let megabytes = |bytes: Option<u64>| {
            bytes.map_or_else(
                || "not known here".into(),
                |bytes| format!("{:.1} MB", bytes as f64 / 1e6),
            )
        };
        row(
            "this process",
            format!(
                "{} with full tables, at its highest {}",
                megabytes(self.rss_bytes),
                megabytes(self.peak_rss_bytes)
            ),
        );
        row(
            "with",
            format!(
                "{} runs of {} events and as many of the flood, batches of {BATCH}, {} decisions, seed {}",
                self.runs, self.events, self.decisions, self.seed
            ),
        );
        row("on", self.machine.one_cpu(self.version));
        table.trim_fmt()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_tables_are_full_before_anything_is_timed_and_a_flood_makes_them_no_larger() {
        let words = "bench --entities 2000 --events 20000 --decisions 50 --runs 3";
        let args = Command::try_parse_from(words.split(' ')).unwrap().args;
        let report = measure(&args);
        assert_eq!(report.held.entities, 2_000);
        assert_eq!(report.held.evicted, 0);
        assert_eq!(report.flood_held.entities, 2_000);
        assert_eq!(report.flood_held.evicted, 3 * 2 * 20_000);
        assert_eq!(report.flood_held.bytes, report.held.bytes);
        assert!(report.held.bytes > 2_000 * 384);
        let rates = &report.rates;
        assert_eq!(rates.events_per_second_each.len(), 3);
        assert!(rates.events_per_second_min <= rates.events_per_second);
        assert!(rates.events_per_second <= rates.events_per_second_max);
        assert!(report.decision_p50_us > 0.0 && report.decision_p50_us <= report.decision_p99_us);
        let text = report.table();
        assert!(
            text.contains("2000 entities") && text.contains("120000 given up"),
            "{text}"
        );
    }
}
