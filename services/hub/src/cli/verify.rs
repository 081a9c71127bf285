//! `hansa verify`: decides a log again from its first entry and compares; or checks receipts.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args as ClapArgs, Subcommand};
use hansa_client::{keys::hex, note::LogVerifier};
use hansa_store::{Store, StoreOptions};
use serde::Serialize;
use serde_json::json;

use super::{
    connect::{Connection, DEFAULT_AUDIENCE, DEFAULT_DATA_DIR},
    exit, proofs,
    render::{self, Format, number, signed},
    verify_document, verify_receipts,
};
use crate::home::CHECKPOINT;
use crate::verify::{self, Against, Failure, Mismatch, Projection, Report, Source, receipt};

/// What is verified: a store (default), a hub (--hub), one receipt (--receipt), or a merchant's receipts.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Database to read, beside its hub or without one: sqlite:PATH or postgres://USER@HOST/NAME.
    /// Default: sqlite:DATA_DIR/hansa.db.
    #[arg(
        long,
        env = "HANSA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// The hub's directory, for the checkpoint that is kept in it, outside the database. Default without --database:
    /// hansa-data.
    #[arg(long, env = "HANSA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Read the log from this hub over gRPC instead, as an operator. Effects and the projection are not published.
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// With --hub: PEM file of the operator's private key.
    #[arg(
        long,
        env = "HANSA_KEY",
        default_value = "hansa-data/operator.key.pem",
        value_name = "FILE"
    )]
    key: PathBuf,
    /// With --hub: identifier of the key where it is not derived from the key itself.
    #[arg(long, env = "HANSA_KEY_ID", value_name = "ID")]
    key_id: Option<String>,
    /// With --hub: audience of the hub.
    #[arg(long, env = "HANSA_AUDIENCE", default_value = DEFAULT_AUDIENCE)]
    audience: String,
    /// With --hub: PEM file of the authority of the hub's certificate. Default: the system's authorities.
    #[arg(long, env = "HANSA_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With --hub: PEM file of this client's certificate (mTLS); goes with --client-key.
    #[arg(
        long,
        env = "HANSA_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,
    /// With --hub: PEM file of this client's TLS key.
    #[arg(
        long,
        env = "HANSA_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
    /// Make the documents of this closed cycle again: statements, general ledger, payment files.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: Option<u32>,
    /// With --cycle: write them into this folder.
    #[arg(long, value_name = "DIR", requires = "cycle")]
    out: Option<PathBuf>,
    /// With --cycle: compare them, byte for byte, with the files in this folder, as the hub served them.
    #[arg(long, value_name = "DIR", requires = "cycle")]
    against: Option<PathBuf>,
    /// Verify only this answer of SubmitBatch or GetReceipt (JSON or binary). Needs --verifier-key, and no log.
    #[arg(
        long,
        value_name = "FILE",
        requires = "verifier_key",
        conflicts_with = "hub"
    )]
    receipt: Option<PathBuf>,
    /// The log's key as you know it from elsewhere: name+hash+key. A log of another key is a mismatch.
    #[arg(long, env = "HANSA_VERIFIER_KEY", value_name = "KEY")]
    verifier_key: Option<LogVerifier>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that each of a merchant's messages is in exactly one cycle, from its own receipts and the cycles'
    /// certificates alone.
    Receipts(verify_receipts::Args),
    /// Check that the hub signed a document, and that its figures add up, with the log's key alone.
    Document(verify_document::Args),
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    #[serde(flatten)]
    report: Option<&'a Report>,
    mismatch: Option<&'a Mismatch>,
}

/// Verifies a log or a receipt.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(Command::Receipts(args)) => return verify_receipts::run(args),
        Some(Command::Document(args)) => return verify_document::run(args),
        None => {}
    }
    if let (Some(path), Some(log)) = (&args.receipt, &args.verifier_key) {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let answer = receipt::Answer::parse(&bytes)
            .with_context(|| format!("{} is not a receipt", path.display()))?;
        return verify_receipt(&answer, log, args.format);
    }
    let format = args.format;
    let (cycle, out, with) = (args.cycle, args.out.clone(), args.against.clone());
    let verified = verify_log(args).await.and_then(|report| {
        let compared = match (cycle, &with) {
            (Some(number), Some(folder)) => verify::compare(&report.documents, number, folder)?,
            _ => 0,
        };
        if let Some(folder) = &out {
            write(&report.documents, folder)?;
        }
        Ok((report, compared))
    });
    let verified = match verified {
        Ok(verified) => Ok(verified),
        Err(Failure::Mismatch(mismatch)) => Err(mismatch),
        Err(Failure::Other(error)) => return Err(error),
    };
    let document = Document {
        ok: verified.is_ok(),
        report: verified.as_ref().ok().map(|(report, _)| report),
        mismatch: verified.as_ref().err().map(AsRef::as_ref),
    };
    let text = match &verified {
        _ if format.json => format!("{}\n", serde_json::to_string_pretty(&document)?),
        Ok((report, compared)) => describe(report, *compared),
        Err(mismatch) => describe_mismatch(mismatch),
    };
    render::print(&text)?;
    Ok(match verified {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => exit::MISMATCH.into(),
    })
}

/// Writes documents into a folder, which is made where there is none.
fn write(documents: &[verify::Document], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let write = |document: &verify::Document| {
        proofs::write_whole(&folder.join(&document.name), &document.content)
    };
    documents.iter().try_for_each(write)
}

async fn verify_log(args: Args) -> Result<Report, Failure> {
    let mut against = Against {
        verifier_key: args.verifier_key,
        cycle: args.cycle,
        ..Against::default()
    };
    let source = if let Some(url) = args.hub {
        let connection = Connection {
            hub: url,
            key: args.key,
            key_id: args.key_id,
            merchant: None,
            audience: args.audience,
            ca: args.ca,
            client_cert: args.client_cert,
            client_key: args.client_key,
        };
        let hub = connection.connect().await?;
        if let Some(dir) = &args.data_dir {
            against.anchor = anchor(dir.join(CHECKPOINT))?;
        }
        Source::Hub(hub)
    } else {
        let default = args.database.is_none().then(|| DEFAULT_DATA_DIR.into());
        let data_dir: Option<PathBuf> = args.data_dir.or(default);
        if let Some(dir) = &data_dir {
            against.anchor = anchor(dir.join(CHECKPOINT))?;
        }
        let database = args.database.unwrap_or_else(|| {
            let dir = data_dir.unwrap_or_default();
            format!("sqlite:{}", dir.join("hansa.db").display())
        });
        let options = StoreOptions {
            application_name: "hansa-verify".into(),
            read_only: true,
            ..StoreOptions::default()
        };
        let store = Store::open(&database, &options)
            .await
            .context("cannot open the database; name it with --database or --data-dir")?;
        against.projection = Some(Projection::read(&store).await?);
        Source::Store(store)
    };
    let bar = render::bar(0, "entries");
    let report = verify::run(source, against, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    report
}

fn anchor(path: PathBuf) -> anyhow::Result<Option<(PathBuf, String)>> {
    match std::fs::read_to_string(&path) {
        Ok(note) => Ok(Some((path, note))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn describe_mismatch(mismatch: &Mismatch) -> String {
    let mut text = String::from("MISMATCH");
    if let Some(entry) = mismatch.entry {
        let _ = write!(text, " at entry {entry}");
    }
    if let Some(message) = mismatch.message {
        let _ = write!(text, ", message {message}");
    }
    let (recorded, recomputed) = (&mismatch.recorded, &mismatch.recomputed);
    let _ = writeln!(text, ": {}", mismatch.what);
    let _ = writeln!(text, "  recorded    {recorded}");
    let _ = writeln!(text, "  recomputed  {recomputed}");
    text
}

fn describe(report: &Report, compared: u64) -> String {
    let mut text = String::new();
    let mut line = |head: &str, rest: String| {
        let _ = writeln!(text, "{head:<12}{rest}");
    };
    let counts = &report.counts;
    line(
        "log",
        format!("{}, {} entries", report.origin, number(report.size)),
    );
    for loss in &report.lost {
        let entries = number(loss.entries);
        line(
            "lost",
            format!(
                "{entries} entries from {} on, signed as {}",
                number(loss.first),
                loss.origin
            ),
        );
    }
    line("root", report.root.clone());
    line("key", report.verifier_key.clone());
    let (batches, facts) = (number(counts.batches), number(counts.facts));
    line(
        "entries",
        format!("{batches} batches, {facts} of the hub's own; all signatures hold"),
    );
    let refused: u64 = counts.refused.values().sum();
    line(
        "messages",
        format!(
            "{}: {} accepted, {} refused, {} repeated; every outcome decided again",
            number(counts.messages),
            number(counts.accepted),
            number(refused),
            number(counts.replayed),
        ),
    );
    for (code, count) in &counts.refused {
        line("", format!("{} {code}", number(*count)));
    }
    line(
        "alliance",
        format!(
            "{} merchants, {} members, {} references, {} points outstanding",
            number(counts.merchants),
            number(counts.members),
            number(counts.references),
            number(counts.outstanding_points),
        ),
    );
    let anchored = match report.anchored_size {
        Some(size) => format!(
            "the one outside the database holds ({} entries)",
            number(size)
        ),
        None => "none outside the database to compare".to_owned(),
    };
    let checkpoints = number(report.checkpoints);
    line(
        "checkpoints",
        format!("{checkpoints} hold, root and signature; {anchored}"),
    );
    let effects = match report.effects_compared {
        true => "recorded as decided",
        false => "not compared: a hub does not publish them",
    };
    line("effects", effects.to_owned());
    let projection = match &report.projection {
        None => "not compared: a hub does not publish it".to_owned(),
        Some(projection) => format!(
            "{} members{} as decided; covers {} entries",
            number(projection.members),
            if projection.global {
                " and the alliance's state"
            } else {
                ""
            },
            number(projection.covered_size),
        ),
    };
    line("projection", projection);
    let placed = report
        .cycles
        .iter()
        .map(|c| c.messages_accepted + c.messages_refused);
    line(
        "cycles",
        format!(
            "{}; each of the {} messages, repeated ones once, is in exactly one by the cuts around its leaf",
            number(report.cycles.len() as u64),
            number(placed.sum::<u64>()),
        ),
    );
    for cycle in &report.cycles {
        let open = |at: &Option<String>| at.clone().unwrap_or_else(|| "open".to_owned());
        let (from, to) = (open(&cycle.opens_at), open(&cycle.closes_at));
        let digest = cycle.digest.as_deref().unwrap_or("-");
        let head = format!("{} {from} to {to}, digest {digest}", cycle.state);
        line(&format!("cycle {}", cycle.number), head);
        let (accepted, refused) = (cycle.messages_accepted, cycle.messages_refused);
        let (accepted, refused) = (number(accepted), number(refused));
        line(
            "",
            format!("messages between its cuts: {accepted} accepted, {refused} refused"),
        );
        let hub = &cycle.hub_micros;
        let parts = [
            ("reserve", hub.reserve),
            ("service fees", hub.service_fee),
            ("redemption fees", hub.redemption_fee),
            ("breakage", hub.breakage),
        ];
        let parts = parts.map(|(name, micros)| format!("{name} {}", money(micros)));
        line("", format!("hub: {} {}", parts.join(", "), report.currency));
        let nets = cycle.net_micros.iter();
        let nets: Vec<_> = nets
            .map(|(slug, net)| format!("{slug} {}", money(*net)))
            .collect();
        if !nets.is_empty() {
            line("", format!("nets: {} {}", nets.join(", "), report.currency));
        }
    }
    if !report.documents.is_empty() {
        let count = number(report.documents.len() as u64);
        let told = match compared {
            0 => String::new(),
            compared => format!("; {} compared, byte for byte", number(compared)),
        };
        line(
            "documents",
            format!("{count} made again from the log{told}"),
        );
        for document in &report.documents {
            line("", format!("{}  {}", document.sha256, document.name));
        }
    }
    text.push_str("OK: decided again from the first entry, nothing differs\n");
    text
}

/// An exact amount with its sign. Unit: micro-units.
fn money(micros: i128) -> String {
    i64::try_from(micros).map_or_else(|_| format!("{micros}e-6"), signed)
}

fn verify_receipt(
    answer: &receipt::Answer,
    log: &LogVerifier,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let leaf = answer.receipt.leaf_index;
    let mismatch = match answer.verify(log) {
        Err(Failure::Other(error)) => return Err(error),
        Err(Failure::Mismatch(mismatch)) => mismatch,
        Ok(checkpoint) => {
            let outcomes = answer.outcomes()?.len();
            let (root, size) = (hex(&checkpoint.root), checkpoint.size);
            let document = json!({
                "ok": true, "leaf_index": leaf, "outcomes": outcomes, "tree_size": size,
                "root": root, "origin": checkpoint.origin, "mismatch": null,
            });
            if format.json {
                render::print_json(&document)?;
            } else {
                render::print(&format!(
                    "OK: entry {leaf} of {} holds these {outcomes} outcomes, under a signed checkpoint of {size} \
                     entries with root {root}\n",
                    checkpoint.origin,
                ))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    if format.json {
        render::print_json(&json!({"ok": false, "leaf_index": leaf, "mismatch": *mismatch}))?;
    } else {
        render::print(&describe_mismatch(&mismatch))?;
    }
    Ok(exit::MISMATCH.into())
}
