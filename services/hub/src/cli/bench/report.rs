//! What is told at the end: a table for people, one document for programs. Figures, not money: floats are allowed here.
#![expect(clippy::float_arithmetic, reason = "rates and shares of measurements")]

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{Table, TableStyle};
use hansa_proto::v1;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    check::Checked,
    load::Measured,
    machine::{Machine, ticks},
    unary::Unary,
};

/// One timed part.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// Messages until they were all projected, by the second.
    pub(super) messages_per_second: f64,
    /// Median time of a batch from sending to its answer.
    pub(super) p50_ms: f64,
    /// 99 of 100 batches took at most this long.
    pub(super) p99_ms: f64,
    /// The slowest batch.
    pub(super) max_ms: f64,
    /// From the first send until everything was projected.
    pub(super) seconds: f64,
    /// From the first send until the last answer.
    pub(super) seconds_until_answered: f64,
    /// Resident memory of the hub at the end. Unit: bytes.
    pub(super) rss_bytes: u64,
    /// Its peak since the hub's start. Unit: bytes.
    pub(super) peak_rss_bytes: u64,
    /// Processor time for a message. Unit: microseconds.
    pub(super) cpu_us_per_message: Cpu,
    /// Messages that took effect.
    pub(super) accepted: u64,
    /// The others by what was decided.
    pub(super) refused: BTreeMap<String, u64>,
}

/// Who used processor time.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cpu {
    /// The hub.
    pub(super) hub: f64,
    /// The bench's client.
    pub(super) client: f64,
    /// Everything else on the machine: PostgreSQL, and whatever else ran.
    pub(super) others: f64,
}

/// The whole bench.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The median run.
    #[serde(flatten)]
    pub(super) median: Run,
    /// Growth of the database for a message.
    pub(super) bytes_per_message: f64,
    /// Messages of a timed part.
    pub(super) messages: u64,
    /// Members enrolled.
    pub(super) members: u64,
    /// Messages before the first timed part.
    pub(super) preload: u64,
    /// Messages of a batch.
    pub(super) batch: usize,
    /// Streams, a merchant each.
    pub(super) streams: usize,
    /// Batches of a stream on their way at once.
    pub(super) window: usize,
    /// Members in the hub's memory.
    pub(super) memory_members: usize,
    /// "sqlite" or "postgres".
    pub(super) database: &'static str,
    /// From starting the process on the killed hub's store until it took calls.
    pub(super) restart_seconds: f64,
    /// Refusals that the traffic does not explain, over all runs.
    pub(super) unexpected_refusals: u64,
    /// The sample after the restart.
    #[serde(flatten)]
    pub(super) checked: Checked,
    /// One caller of single messages.
    pub(super) unary_1: Option<Unary>,
    /// Sixteen callers of single messages.
    pub(super) unary_16: Option<Unary>,
    /// Every timed part, in order.
    pub(super) runs: Vec<Run>,
    /// The machine.
    pub(super) machine: Machine,
    /// Name and version of the hub.
    pub(super) version: String,
    /// What the traffic is repeated with.
    pub(super) seed: u64,
}

impl Run {
    /// Of a measured load of `messages`.
    pub(super) fn new(measured: &Measured, messages: u64) -> Self {
        let tally = &measured.tally;
        let accepted = v1::ResultCode::Accepted as i32;
        let name = |code: i32| match v1::ResultCode::try_from(code) {
            Ok(code) => code.as_str_name().replace("RESULT_CODE_", ""),
            Err(_) => code.to_string(),
        };
        let cpu = |count| micros_each(ticks(count), messages);
        Self {
            messages_per_second: per_second(messages, measured.covered),
            p50_ms: quantile_ms(&tally.latencies, 50),
            p99_ms: quantile_ms(&tally.latencies, 99),
            max_ms: quantile_ms(&tally.latencies, 100),
            seconds: measured.covered.as_secs_f64(),
            seconds_until_answered: measured.answered.as_secs_f64(),
            rss_bytes: measured.status.resident_bytes,
            peak_rss_bytes: measured.status.peak_resident_bytes,
            cpu_us_per_message: Cpu {
                hub: cpu(measured.cpu.hub),
                client: cpu(measured.cpu.client),
                others: cpu(measured.cpu.others()),
            },
            accepted: tally.codes.get(&accepted).copied().unwrap_or(0),
            refused: tally
                .codes
                .iter()
                .filter(|(code, _)| **code != accepted)
                .map(|(code, count)| (name(*code), *count))
                .collect(),
        }
    }
}

/// Refusals that the traffic does not explain. A member whose purchase was returned may have too few points left; then
/// the capture that follows finds no authorisation. Nothing else may be refused.
pub(super) fn unexpected(runs: &[Run]) -> u64 {
    let sum = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let refused = runs.iter().flat_map(|run| &run.refused);
        refused
            .filter(|(code, _)| wanted(code))
            .map(|(_, count)| count)
            .sum()
    };
    let unspent = sum(&|code| code == "INSUFFICIENT_POINTS");
    let not_found = sum(&|code| code == "ORIGINAL_NOT_FOUND");
    sum(&|code| !matches!(code, "INSUFFICIENT_POINTS" | "ORIGINAL_NOT_FOUND"))
        + not_found.saturating_sub(unspent)
}

/// The run with the median rate; of an even number, the slower one.
pub(super) fn median(runs: &[Run]) -> Option<Run> {
    let mut runs = runs.to_vec();
    runs.sort_by(|a, b| a.messages_per_second.total_cmp(&b.messages_per_second));
    let at = runs.len().checked_sub(1)? / 2;
    runs.into_iter().nth(at)
}

impl Report {
    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        let mut row = |name: &str, value: String| {
            table.add_row([name, &value]);
        };
        let run = &self.median;
        row(
            "messages/s",
            format!(
                "{:.0}   ({} in {:.2} s; answered after {:.2} s)",
                run.messages_per_second, self.messages, run.seconds, run.seconds_until_answered
            ),
        );
        if self.runs.len() > 1 {
            let rates = self
                .runs
                .iter()
                .map(|r| format!("{:.0}", r.messages_per_second));
            row("each run", rates.collect::<Vec<_>>().join(", "));
        }
        row(
            "a batch",
            format!(
                "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
                run.p50_ms, run.p99_ms, run.max_ms
            ),
        );
        let cpu = &run.cpu_us_per_message;
        row(
            "CPU of a message",
            format!(
                "hub {:.2} us, client {:.2} us, others {:.2} us",
                cpu.hub, cpu.client, cpu.others
            ),
        );
        row(
            "memory of the hub",
            format!(
                "{} MB, peak {} MB",
                run.rss_bytes / 1_000_000,
                run.peak_rss_bytes / 1_000_000
            ),
        );
        row(
            "database",
            format!("{:.0} bytes for a message", self.bytes_per_message),
        );
        let refused = run
            .refused
            .iter()
            .map(|(code, count)| format!(", {count} {code}"));
        row(
            "outcomes",
            format!("{} accepted{}", run.accepted, refused.collect::<String>()),
        );
        if self.unexpected_refusals > 0 {
            row(
                "WRONG",
                format!(
                    "{} refusals over all runs have no reason",
                    self.unexpected_refusals
                ),
            );
        }
        row(
            "after kill -9",
            format!(
                "served again in {:.2} s; {} of {} samples wrong",
                self.restart_seconds, self.checked.sample_wrong, self.checked.sample_checked
            ),
        );
        for (name, unary) in [("1 caller", &self.unary_1), ("16 callers", &self.unary_16)] {
            row(
                name,
                unary
                    .as_ref()
                    .map_or_else(|| "not measured".into(), Unary::line),
            );
        }
        row(
            "with",
            format!(
                "{}, {} members ({} in memory), {} preloaded, batches of {} on {} streams, {} under way each, seed {}",
                self.database,
                self.members,
                self.memory_members,
                self.preload,
                self.batch,
                self.streams,
                self.window,
                self.seed
            ),
        );
        row("on", self.machine.with_files(&self.version));
        table.trim_fmt()
    }
}

/// Rate.
pub(super) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Each one's part of a time, in microseconds.
fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Each one's part of some bytes.
pub(super) fn bytes_each(bytes: u64, count: u64) -> f64 {
    bytes as f64 / count.max(1) as f64
}

/// What this share of recorded microseconds is within, in milliseconds.
pub(super) fn quantile_ms(latencies: &Histogram<u64>, percent: u8) -> f64 {
    latencies.value_at_percentile(percent.into()) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: f64) -> Run {
        Run {
            messages_per_second: rate,
            p50_ms: 1.0,
            p99_ms: 2.0,
            max_ms: 3.0,
            seconds: 4.0,
            seconds_until_answered: 3.5,
            rss_bytes: 1,
            peak_rss_bytes: 2,
            cpu_us_per_message: Cpu {
                hub: 1.0,
                client: 1.0,
                others: 1.0,
            },
            accepted: 1,
            refused: BTreeMap::new(),
        }
    }

    #[test]
    fn the_median_is_a_run_that_was() {
        let rate = |rates: &[f64]| {
            let runs: Vec<Run> = rates.iter().copied().map(run).collect();
            median(&runs).map(|run| run.messages_per_second)
        };
        assert_eq!(rate(&[]), None);
        assert_eq!(rate(&[5.0]), Some(5.0));
        assert_eq!(rate(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(rate(&[9.0, 1.0]), Some(1.0));
    }

    #[test]
    fn only_captures_of_refused_authorisations_may_find_nothing() {
        let mut one = run(1.0);
        one.refused.insert("INSUFFICIENT_POINTS".into(), 3);
        assert_eq!(unexpected(&[one.clone()]), 0);
        // A run's last authorisations are captured in the next one.
        let mut next = run(1.0);
        next.refused.insert("ORIGINAL_NOT_FOUND".into(), 3);
        assert_eq!(unexpected(&[one.clone(), next.clone()]), 0);
        next.refused.insert("ORIGINAL_NOT_FOUND".into(), 5);
        assert_eq!(unexpected(&[one.clone(), next]), 2);
        one.refused.insert("MEMBER_NOT_FOUND".into(), 2);
        assert_eq!(unexpected(&[one]), 2);
    }
}
