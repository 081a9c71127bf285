//! `hansa bench netting`: one method over a generated network, on one core, with the input in memory. No hub takes part.
#![expect(clippy::float_arithmetic, reason = "rates and shares of measurements")]

use std::{path::Path, process::ExitCode, time::Instant};

use clap::Args as ClapArgs;
use comfy_table::{Table, TableStyle};
use hansa_netting::{
    ClearingVector, Endowment, Method, Netting, Obligation, Party, Payment, Policy,
    clearing_vector, liquidity, net,
    oblgen::{self, Family, Oblgen},
    positions,
};
use ring::digest::{Context as Digest, SHA256};
use serde::Serialize;

use super::{
    machine::{self, Machine, cpu_times, ticks},
    rng::SplitMix64,
};
use crate::cli::{exit, render};

const HELP: &str = "The obligations are those of OBLGEN-1, and `check` says that they are.
`seconds` is the best run of the solver alone, from obligations in memory to the result in memory; on a machine that does
other work, compare `cpu_seconds`. `peak_bytes` is by how much resident memory rose at its highest during the first run,
result included. `cleared` is what need not be paid: gross less what the payments sum up to. For CLEARING_VECTOR each net
debtor has a share of its net debt, others nothing, and `cleared` is what is not paid for want of money.";

/// Options of the bench.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// Kind of network: sf is scale-free, tier has few cycles.
    #[arg(long, default_value = "sf", value_name = "sf|tier")]
    family: Family,
    /// Members.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// Obligations.
    #[arg(long, default_value_t = 1_000_000, value_name = "M", value_parser = clap::value_parser!(u32).range(0..=100_000_000))]
    obligations: u32,
    /// What the network is drawn from.
    #[arg(long, default_value_t = 3, value_name = "S")]
    seed: u64,
    /// GROSS, BILATERAL, CYCLE_CLEARING, MULTILATERAL, MIN_TRANSFERS or CLEARING_VECTOR.
    #[arg(long, default_value = "CYCLE_CLEARING", value_name = "NAME")]
    method: Method,
    /// Clear what two members owe each other first (CYCLE_CLEARING).
    #[arg(long)]
    bilateral_first: bool,
    /// Share of its net debt that each net debtor has (CLEARING_VECTOR). Unit: percent.
    #[arg(long, default_value_t = 90, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    means: u8,
    /// Put the obligations into another order first, drawn from this; the payments' digest stays the same.
    #[arg(long, value_name = "S")]
    shuffle: Option<u64>,
    /// Runs, one behind the other.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The whole bench.
#[derive(Debug, Serialize)]
struct Report {
    family: String,
    nodes: u32,
    obligations: u32,
    seed: u64,
    method: &'static str,
    bilateral_first: bool,
    /// Minor units.
    gross: i128,
    net_internal_debt: i128,
    cleared: i128,
    payments: usize,
    /// Payments for each member whose position is not 0.
    payments_per_member: f64,
    new_relations: Option<usize>,
    liquidity: i128,
    /// Members that cannot pay all (CLEARING_VECTOR).
    defaults: Option<usize>,
    /// Best run.
    seconds: f64,
    seconds_median: f64,
    /// Every run, in order.
    seconds_each: Vec<f64>,
    /// Processor time of the best run in this respect; it counts in hundredths.
    cpu_seconds: f64,
    peak_bytes: Option<u64>,
    /// Whether the certificate holds; absent for methods without one.
    certificate_ok: Option<bool>,
    certificate_seconds: Option<f64>,
    /// Net positions alone, best run.
    positions_seconds: f64,
    /// OBLGEN-1's check of the network.
    check: u64,
    /// SHA-256 of the payments, a line "payer payee amount" each.
    payments_sha256: String,
    runs: u16,
    machine: Machine,
    version: &'static str,
}

/// What a method gives.
enum Solved {
    Netting(Netting),
    Vector(ClearingVector),
}

impl Solved {
    fn payments(&self) -> &[Payment] {
        match self {
            Self::Netting(netting) => &netting.payments,
            Self::Vector(vector) => &vector.payments,
        }
    }
}

/// Runs the bench.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let oblgen = Oblgen {
        family: args.family,
        nodes: args.nodes,
        obligations: args.obligations,
        seed: args.seed,
    };
    let mut obligations: Vec<Obligation> = oblgen.generate().collect();
    let check = oblgen::check(&obligations);
    if let Some(seed) = args.shuffle {
        let mut rng = SplitMix64::new(seed, 0);
        for last in (1..obligations.len()).rev() {
            obligations.swap(last, rng.index(last + 1));
        }
    }
    let report = measure(args, &obligations, check)?;
    if args.json {
        render::print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        render::print(&format!("{}\n", report.table()))?;
    }
    Ok(if report.certificate_ok == Some(false) {
        exit::MISMATCH.into()
    } else {
        ExitCode::SUCCESS
    })
}

fn measure(args: &Args, obligations: &[Obligation], check: u64) -> anyhow::Result<Report> {
    let endowments = if args.method == Method::ClearingVector {
        endowments(obligations, args.means)?
    } else {
        vec![]
    };
    let policy = Policy {
        bilateral_first: args.bilateral_first,
    };
    let solve = || {
        Ok::<_, hansa_netting::NettingError>(match args.method {
            Method::ClearingVector => Solved::Vector(clearing_vector(obligations, &endowments)?),
            method => Solved::Netting(net(obligations, method, policy)?),
        })
    };
    // The first run before anything else has used and given back memory.
    let pid = std::process::id();
    let (mut seconds_each, mut cpu) = (vec![], vec![]);
    let mut timed = || {
        let (begun, before) = (Instant::now(), cpu_times(pid));
        let solved = solve();
        seconds_each.push(begun.elapsed().as_secs_f64());
        cpu.push(ticks(cpu_times(pid).since(&before).client).as_secs_f64());
        solved
    };
    let (solved, peak_bytes) = machine::peak_of(&mut timed);
    let solved = solved?;
    for _ in 1..args.runs {
        timed()?;
    }
    let mut position_seconds = vec![];
    for _ in 0..args.runs {
        let begun = Instant::now();
        std::hint::black_box(positions(obligations)?);
        position_seconds.push(begun.elapsed().as_secs_f64());
    }
    let (certificate_ok, certificate_seconds) = check_certificate(&solved, obligations);

    let nets = positions(obligations)?;
    let gross = obligations.iter().map(|o| i128::from(o.amount)).sum();
    let with_position = nets.iter().filter(|position| position.net != 0).count();
    let by_members = solved
        .payments()
        .iter()
        .filter(|payment| payment.payer != Party::Hub);
    let to_pay: i128 = by_members.map(|payment| payment.amount).sum();
    Ok(Report {
        family: args.family.to_string(),
        nodes: args.nodes,
        obligations: args.obligations,
        seed: args.seed,
        method: args.method.code(),
        bilateral_first: args.bilateral_first,
        gross,
        net_internal_debt: nets.iter().map(|position| position.net.max(0)).sum(),
        cleared: gross - to_pay,
        payments: solved.payments().len(),
        payments_per_member: solved.payments().len() as f64 / with_position.max(1) as f64,
        new_relations: match &solved {
            Solved::Netting(netting) => Some(netting.new_relations),
            Solved::Vector(_) => None,
        },
        liquidity: liquidity(solved.payments()),
        defaults: match &solved {
            Solved::Netting(_) => None,
            Solved::Vector(vector) => Some(vector.members.iter().filter(|m| m.defaults()).count()),
        },
        seconds: best(&seconds_each),
        seconds_median: median(&seconds_each),
        seconds_each,
        cpu_seconds: best(&cpu),
        peak_bytes,
        certificate_ok,
        certificate_seconds,
        positions_seconds: best(&position_seconds),
        check,
        payments_sha256: digest(solved.payments()),
        runs: args.runs,
        machine: machine::machine(Path::new("/")),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// What each net debtor has: a share of its net debt.
fn endowments(obligations: &[Obligation], percent: u8) -> anyhow::Result<Vec<Endowment>> {
    let nets = positions(obligations)?.into_iter();
    nets.filter(|position| position.net < 0)
        .map(|position| {
            let share = -position.net * i128::from(percent) / 100;
            Ok(Endowment {
                member: position.member,
                amount: i64::try_from(share)?,
            })
        })
        .collect()
}

fn check_certificate(solved: &Solved, obligations: &[Obligation]) -> (Option<bool>, Option<f64>) {
    let Solved::Netting(netting) = solved else {
        return (None, None);
    };
    let Some(certificate) = &netting.certificate else {
        return (None, None);
    };
    let begun = Instant::now();
    let holds = certificate.check(obligations, &netting.cleared).is_ok();
    (Some(holds), Some(begun.elapsed().as_secs_f64()))
}

fn digest(payments: &[Payment]) -> String {
    let mut digest = Digest::new(&SHA256);
    for payment in payments {
        let line = format!("{} {} {}\n", payment.payer, payment.payee, payment.amount);
        digest.update(line.as_bytes());
    }
    let bytes = digest.finish();
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn best(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Of an even number, the slower one in the middle.
fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Report {
    /// For people.
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        let mut row = |name: &str, value: String| {
            table.add_row([name, &value]);
        };
        let policy = if self.bilateral_first {
            ", bilateral first"
        } else {
            ""
        };
        row("method", format!("{}{policy}", self.method));
        row("gross", self.gross.to_string());
        row("net internal debt", self.net_internal_debt.to_string());
        row("cleared", self.cleared.to_string());
        let relations = self
            .new_relations
            .map(|count| format!("; {count} new relations"));
        row(
            "payments",
            format!(
                "{}, {:.4} a member{}",
                self.payments,
                self.payments_per_member,
                relations.unwrap_or_default()
            ),
        );
        row("liquidity needed", self.liquidity.to_string());
        if let Some(defaults) = self.defaults {
            row("in default", format!("{defaults} members"));
        }
        row(
            "seconds",
            format!(
                "best {:.4}, median {:.4} of {} runs; CPU {:.2}",
                self.seconds, self.seconds_median, self.runs, self.cpu_seconds
            ),
        );
        row(
            "positions alone",
            format!("{:.4} s", self.positions_seconds),
        );
        let peak = self
            .peak_bytes
            .map(|bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0));
        row(
            "peak memory",
            peak.unwrap_or_else(|| "not known here".into()),
        );
        if let (Some(holds), Some(seconds)) = (self.certificate_ok, self.certificate_seconds) {
            let verdict = if holds { "holds" } else { "DOES NOT HOLD" };
            row(
                "certificate",
                format!("{verdict}, checked in {seconds:.4} s"),
            );
        }
        row("payments' SHA-256", self.payments_sha256.clone());
        row(
            "with",
            format!(
                "{}, {} members, {} obligations, seed {}, check {}",
                self.family, self.nodes, self.obligations, self.seed, self.check
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

    fn report(options: &[&str]) -> Report {
        let words = [
            "bench",
            "--nodes",
            "1000",
            "--obligations",
            "10000",
            "--seed",
            "1",
        ];
        let command = Command::try_parse_from(words.iter().chain(options)).unwrap();
        let args = command.args;
        let oblgen = Oblgen {
            family: args.family,
            nodes: args.nodes,
            obligations: args.obligations,
            seed: args.seed,
        };
        let obligations: Vec<Obligation> = oblgen.generate().collect();
        measure(&args, &obligations, oblgen::check(&obligations)).unwrap()
    }

    #[test]
    fn every_method_is_measured() {
        let cleared: Vec<i128> = Method::ALL
            .iter()
            .map(|method| {
                let report = report(&["--method", method.code(), "--runs", "2"]);
                assert_eq!(report.method, method.code());
                assert_eq!(report.gross, 502_198_245);
                assert_eq!(report.net_internal_debt, 267_179_647);
                assert_eq!(report.check, 3_298_853_317_308);
                assert_eq!(report.seconds_each.len(), 2);
                assert!(report.seconds > 0.0 && report.seconds <= report.seconds_median);
                let proven = *method == Method::CycleClearing;
                assert_eq!(report.certificate_ok, proven.then_some(true));
                assert_eq!(report.defaults.is_some(), *method == Method::ClearingVector);
                assert!(report.table().contains(method.code()));
                report.cleared
            })
            .collect();
        assert_eq!(cleared[..4], [0, 6_929_090, 147_645_596, 235_018_598]);
        assert_eq!(cleared[4], cleared[3]);
        assert!(cleared[5] > 0);
    }

    #[test]
    fn a_document_has_the_agreed_keys() {
        let document = serde_json::to_value(report(&["--runs", "1"])).unwrap();
        for key in [
            "gross",
            "net_internal_debt",
            "cleared",
            "payments",
            "seconds",
            "peak_bytes",
            "certificate_ok",
            "check",
        ] {
            assert!(!document[key].is_null(), "{key}");
        }
    }

    #[test]
    fn a_median_is_a_time_that_was() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[3.0, 1.0]), 3.0);
        assert_eq!(best(&[3.0, 1.0]), 1.0);
    }
}
