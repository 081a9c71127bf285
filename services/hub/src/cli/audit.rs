//! `hansa audit`: the auditor over a whole log, or following one as a process of its own.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args as ClapArgs;
use hansa_auditor::{CycleTotals, Finding, Hub};
use hansa_client::keys::hex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    connect::DEFAULT_DATA_DIR,
    exit,
    render::{self, Format, number, signed},
    serve,
};
use crate::audit::{
    self,
    whole::{self, CycleReport, Report},
};

/// What is audited: a whole log (default), or a log that grows (--follow).
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Database to read, beside its hub or without one: sqlite:PATH or postgres://USER@HOST/NAME.
    /// Default: sqlite:DATA_DIR/hansa.db.
    #[arg(
        long,
        env = "HANSA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// The hub's directory, where --database is not given. Default: hansa-data.
    #[arg(long, env = "HANSA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Go on from the last save, wait for more, and write down what is certified: for a hub with `--audit separate`. Ends on
    /// SIGTERM, or when something is found.
    #[arg(long)]
    follow: bool,
    /// With --follow: database of the auditor's own state. Default: the same PostgreSQL database; for sqlite:PATH.db,
    /// sqlite:PATH-audit.db.
    #[arg(
        long,
        env = "HANSA_AUDIT_DATABASE",
        value_name = "URL",
        hide_env_values = true,
        requires = "follow"
    )]
    audit_database: Option<String>,
    /// With --follow: forget what was saved and begin again from the first entry. No other auditor may be at work.
    #[arg(long, requires = "follow")]
    reset: bool,
    #[command(flatten)]
    format: Format,
}

/// Audits.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let data_dir = args.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    let database = args
        .database
        .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("hansa.db").display()));
    if args.follow {
        let own = args
            .audit_database
            .unwrap_or_else(|| audit::default_database(&database));
        return follow(database, own, args.reset, args.format).await;
    }
    let bar = render::bar(0, "entries");
    let shown = bar.clone();
    let audited = tokio::task::spawn_blocking(move || {
        whole::run(&database, "hansa-audit", |done, total| {
            shown.set_length(total);
            shown.set_position(done);
        })
    });
    let report = audited.await?;
    bar.finish_and_clear();
    let report = report?;
    if args.format.json {
        render::print_json(&document(&report))?;
    } else {
        render::print(&describe(&report))?;
    }
    Ok(code(&report.findings))
}

fn code(findings: &[Finding]) -> ExitCode {
    if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        exit::MISMATCH.into()
    }
}

async fn follow(
    database: String,
    own: String,
    reset: bool,
    format: Format,
) -> anyhow::Result<ExitCode> {
    serve::start_log(serve::LogFormat::Text);
    let cancel = CancellationToken::new();
    let signalled = cancel.clone();
    tokio::spawn(async move {
        serve::wait_for_signal().await;
        signalled.cancel();
    });
    let followed = tokio::task::spawn_blocking(move || {
        if reset {
            audit::reset(&own)?;
        }
        let mut disagreed = Vec::new();
        let mut certified = |totals: &CycleTotals, finding: Option<&Finding>| {
            disagreed.extend(finding.cloned());
            let text = if format.json {
                format!("{}\n", cycle(totals, Some(finding.is_none())))
            } else {
                let verdict = finding.map_or_else(|| "agrees".to_owned(), ToString::to_string);
                format!("cycle {}: {verdict}\n", totals.number)
            };
            // A reader that is gone does not keep the auditor from its work.
            let _ = render::print(&text);
        };
        let found = audit::separately(&database, &own, &cancel, &mut certified)?;
        disagreed.extend(found);
        anyhow::Ok(disagreed)
    });
    let findings = followed.await??;
    for finding in &findings {
        if format.json {
            render::print(&format!("{}\n", told(finding)))?;
        } else {
            render::print(&format!("FINDING {finding}\n"))?;
        }
    }
    Ok(code(&findings))
}

fn told(finding: &Finding) -> Value {
    json!({
        "leaf_index": finding.leaf,
        "entry_position": finding.position,
        "merchant_id": finding.merchant,
        "message_id": finding.message_hex(),
        "what": finding.what.code(),
        "expected": finding.expected,
        "found": finding.found,
    })
}

fn hub_micros(hub: &Hub) -> Value {
    json!({
        "reserve": micros(hub.reserve),
        "service_fee": micros(hub.service_fee),
        "redemption_fee": micros(hub.redemption_fee),
        "breakage": micros(hub.breakage),
        "adjustments": micros(hub.adjustments),
    })
}

/// Micro-units as JSON has them: a number while it fits.
fn micros(micros: i128) -> Value {
    i64::try_from(micros).map_or_else(|_| json!(micros.to_string()), |micros| json!(micros))
}

fn cycle(totals: &CycleTotals, agrees: Option<bool>) -> Value {
    let nets: serde_json::Map<String, Value> = totals
        .nets
        .iter()
        .map(|(merchant, net)| (merchant.clone(), micros(*net)))
        .collect();
    let pairs: serde_json::Map<String, Value> = totals
        .pairs
        .iter()
        .map(|((funder, merchant), pair)| (format!("{funder}>{merchant}"), json!(pair.points)))
        .collect();
    json!({
        "number": totals.number,
        "cut_leaf_index": totals.cut_leaf,
        "closed_leaf_index": totals.closed_leaf,
        "agrees": agrees,
        "net_micros": nets,
        "hub_micros": hub_micros(&totals.hub),
        "pair_points": pairs,
        "messages_accepted": totals.counts.accepted.values().sum::<u64>(),
        "messages_refused": totals.counts.refused.values().sum::<u64>(),
    })
}

fn document(report: &Report) -> Value {
    let open = report.open.iter().map(|totals| cycle(totals, None));
    let cycles = report.cycles.iter().map(|c| cycle(&c.totals, c.agrees));
    json!({
        "ok": report.findings.is_empty(),
        "origin": report.origin,
        "size": report.size,
        "effects_size": report.effects_size,
        "root": hex(&report.root),
        "cycles": cycles.chain(open).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(told).collect::<Vec<_>>(),
    })
}

/// An exact amount with its sign. Unit: micro-units.
fn money(micros: i128) -> String {
    i64::try_from(micros).map_or_else(|_| format!("{micros}e-6"), signed)
}

fn sums(text: &mut String, totals: &CycleTotals) {
    let hub = &totals.hub;
    let parts = [
        ("reserve", hub.reserve),
        ("service fees", hub.service_fee),
        ("redemption fees", hub.redemption_fee),
        ("breakage", hub.breakage),
        ("adjustments", hub.adjustments),
    ];
    let parts = parts.map(|(name, micros)| format!("{name} {}", money(micros)));
    let _ = writeln!(text, "            hub: {}", parts.join(", "));
    let nets = totals.nets.iter();
    let nets: Vec<_> = nets
        .map(|(slug, net)| format!("{slug} {}", money(*net)))
        .collect();
    if !nets.is_empty() {
        let _ = writeln!(text, "            nets: {}", nets.join(", "));
    }
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    let (size, effects) = (number(report.size), number(report.effects_size));
    let _ = writeln!(text, "log         {}, {size} entries passed", report.origin);
    let _ = writeln!(text, "root        {}", hex(&report.root));
    let _ = writeln!(
        text,
        "effects     of the first {effects} entries have the journals that were derived"
    );
    for CycleReport { totals, agrees, .. } in &report.cycles {
        let verdict = match agrees {
            Some(true) => "the hub's totals are the same",
            Some(false) => "THE HUB'S TOTALS DIFFER",
            None => "the hub has not stored its totals yet",
        };
        let _ = writeln!(text, "cycle {:<6}{verdict}", totals.number);
        sums(&mut text, totals);
    }
    for totals in &report.open {
        let _ = writeln!(text, "cycle {:<6}not closed yet", totals.number);
        sums(&mut text, totals);
    }
    for finding in &report.findings {
        let _ = writeln!(text, "FINDING     {finding}");
    }
    if report.findings.is_empty() {
        text.push_str("OK: every signature, outcome and journal derived again, nothing differs\n");
    }
    text
}
