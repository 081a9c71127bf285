//! `hansa submit`: sends a file of messages, each row once, however often it is run.
//!
//! 1. Every row is read and checked, see [`rows`] and [`plan`]; nothing is sent while one has a problem.
//! 2. Cards are enrolled (idempotent), messages are built: the same file gives the same bytes.
//! 3. Batches go to the outbox, then over a stream, see [`send`].

mod plan;
mod rows;
mod send;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::{
    hub::Hub,
    keys::hex,
    message::MemberReference,
    outbox::{Outbox, OutboxError},
};
use serde_json::{Value, json};

use super::{
    connect::Connection,
    exit,
    proofs::ReceiptFolder,
    render::{self, Column, Format},
    session,
    sheet::{self, Form, Problem, SHOWN},
};
use plan::Planned;
use rows::Member;
use send::{Answered, Outgoing, Report, Way};

const HELP: &str = "\
Columns of a CSV file (the first line names them, in any order) and fields of JSON lines:
  kind        accrual, accrual_reversal, redemption_authorisation, redemption_capture, redemption_void,
              redemption_refund
  receipt     number of the receipt; with event_time, lane, kind and running it makes the message id
  running     1, 2, ... where one receipt has several messages of a kind; default 1
  event_time  when it happened, RFC 3339 with offset: 2026-03-01T12:34:56+01:00
  member      the merchant's reference of the member, 32 hexadecimal digits; or
  card        a card number, hashed on this machine and enrolled (see `hansa member --help`)
  amount      exact decimal, for accrual (what earns points) and accrual_reversal (what came back)
  currency    ISO 4217, with amount
  points      whole points, for redemptions; for accruals only where the merchant computes them
  original    what a reversal, capture, void or refund refers to: a message id (32 hexadecimal digits), or the
              receipt of a row above with the same lane
  lane        the sending unit, such as a till; may be empty

All rows are checked before anything is sent. The same file gives the same message ids, so after an interruption, of
this program or of the hub, run the same command again: every row takes effect once, and rows that were in are
reported as replayed. Results have, for each row: line, message_id, code, points, leaf_index, replayed. Exit code 5
when the hub refused some rows, 4 when some have no answer yet.";

/// What to send.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Format,
    /// The rows.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Form of the rows. Default: by the file's name.
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Write a result for each row to this file, in the form of the rows; written when the run ends.
    #[arg(long, value_name = "RESULTS")]
    out: Option<PathBuf>,
    /// Where signed batches wait until they are answered. Default: FILE.outbox, removed when nothing waits.
    #[arg(long, value_name = "OUTBOX")]
    outbox: Option<PathBuf>,
    /// Keep a receipt of each batch in this folder, made where there is none; also of batches that an earlier run sent.
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    /// Messages in a batch.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=4000))]
    batch: u16,
    /// Only check the rows and count them; send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let form = sheet::form(&args.file, args.format)?;
    let planned = match read(&args.file, form)? {
        Ok(planned) => planned,
        Err(problems) => {
            sheet::tell_problems(&problems, args.output)?;
            return Ok(exit::FAILED.into());
        }
    };
    if args.dry_run {
        tell_plan(&planned, args.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let hub = session::patient(session::merchant(&args.connection).await?);
    let key = session::signing_key(&args.connection)?;
    let messages = Arc::new(build(&hub, &planned).await?);
    let outbox_path = args
        .outbox
        .clone()
        .unwrap_or_else(|| beside(&args.file, ".outbox"));
    let outbox = Outbox::open(&outbox_path).map_err(|error| outbox_error(error, &outbox_path))?;
    let bar = render::bar(messages.len() as u64, "messages");
    let receipts = args.receipts.as_deref().map(ReceiptFolder::open);
    let way = Way {
        hub: &hub,
        batch_size: args.batch.into(),
        receipts: receipts.transpose()?,
    };
    let sent = send::send(&way, key, outbox, messages, &bar).await;
    bar.finish_and_clear();
    let report = sent?;
    if args.outbox.is_none() && report.answers.iter().all(Option::is_some) {
        // Everything in it is answered. If it cannot be removed it does no harm.
        let _ = std::fs::remove_file(&outbox_path);
    }
    if let Some(path) = &args.out {
        write_results(path, form, &planned, &report)
            .with_context(|| format!("cannot write the results to {}", path.display()))?;
    }
    tell(&planned, &report, &args)?;
    exit_code(&report)
}

fn read(path: &Path, form: Form) -> anyhow::Result<Result<Vec<Planned>, Vec<Problem>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(rows::read(BufReader::new(file), form).and_then(plan::plan))
}

/// Enrols the cards and builds the messages.
async fn build(hub: &Hub, planned: &[Planned]) -> anyhow::Result<Vec<Outgoing>> {
    let cards = plan::cards(planned);
    let keys: Vec<Vec<u8>> = cards.iter().map(|key| key.to_vec()).collect();
    let references = hub.enrol(&keys).await?;
    let members: HashMap<[u8; 32], MemberReference> = cards.into_iter().zip(references).collect();
    let mut messages = Vec::with_capacity(planned.len());
    for plan in planned {
        let member = match &plan.row.member {
            Member::Reference(reference) => *reference,
            Member::Card(key) => *members.get(key).context("a card was not enrolled")?,
        };
        let bytes = plan.message(member)?;
        messages.push(Outgoing { id: plan.id, bytes });
    }
    Ok(messages)
}

fn outbox_error(error: OutboxError, path: &Path) -> anyhow::Error {
    let context = match &error {
        OutboxError::InUse => "another run of this command is under way with",
        OutboxError::NotAnOutbox => "name another --outbox than",
        _ => "cannot use",
    };
    anyhow::Error::new(error).context(format!("{context} {}", path.display()))
}

/// `FILE` + `ending`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn tell_plan(planned: &[Planned], output: Format) -> anyhow::Result<()> {
    if output.json {
        let row = |plan: &Planned| json!({ "line": plan.row.line, "message_id": hex(&plan.id) });
        return render::print_json(&json!({ "rows": planned.iter().map(row).collect::<Vec<_>>() }));
    }
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for plan in planned {
        *kinds.entry(rows::kind_name(plan.row.kind)).or_default() += 1;
    }
    let mut text = format!(
        "{} rows are in order; nothing was sent\n",
        render::number(planned.len() as u64)
    );
    for (kind, count) in kinds {
        let _ = writeln!(text, "  {kind}: {}", render::number(count));
    }
    render::print(&text)
}

/// Counts of what came of the rows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    accepted: u64,
    /// Of the accepted, those that the hub had before.
    replayed: u64,
    refused: BTreeMap<String, u64>,
    unanswered: u64,
    /// Points of accepted rows by kind. Unit: whole points.
    points: BTreeMap<&'static str, i64>,
}

fn totals(planned: &[Planned], report: &Report) -> Totals {
    let mut totals = Totals::default();
    for (plan, answered) in planned.iter().zip(&report.answers) {
        match answered {
            None => totals.unanswered += 1,
            Some(answered) if answered.accepted() => {
                totals.accepted += 1;
                totals.replayed += u64::from(answered.replayed);
                *totals
                    .points
                    .entry(rows::kind_name(plan.row.kind))
                    .or_default() += answered.points;
            }
            Some(answered) => *totals.refused.entry(answered.code.clone()).or_default() += 1,
        }
    }
    totals
}

fn result_json(plan: &Planned, answered: Option<&Answered>) -> Value {
    json!({
        "line": plan.row.line,
        "message_id": hex(&plan.id),
        "code": answered.map(|a| &a.code),
        "points": answered.map(|a| a.points),
        "leaf_index": answered.and_then(|a| a.leaf_index),
        "replayed": answered.map(|a| a.replayed),
    })
}

/// Whole or not at all: a reader never sees half a file.
fn write_results(
    path: &Path,
    form: Form,
    planned: &[Planned],
    report: &Report,
) -> anyhow::Result<()> {
    let part = beside(path, ".part");
    let mut to = BufWriter::new(File::create(&part)?);
    let rows = planned.iter().zip(&report.answers);
    match form {
        Form::Jsonl => {
            for (plan, answered) in rows {
                writeln!(to, "{}", result_json(plan, answered.as_ref()))?;
            }
        }
        Form::Csv => {
            let mut csv = csv::Writer::from_writer(&mut to);
            csv.write_record([
                "line",
                "message_id",
                "code",
                "points",
                "leaf_index",
                "replayed",
            ])?;
            for (plan, answered) in rows {
                let answered = answered.as_ref();
                let text = |value: Option<String>| value.unwrap_or_default();
                csv.write_record([
                    plan.row.line.to_string(),
                    hex(&plan.id),
                    text(answered.map(|a| a.code.clone())),
                    text(answered.map(|a| a.points.to_string())),
                    text(
                        answered
                            .and_then(|a| a.leaf_index)
                            .map(|leaf| leaf.to_string()),
                    ),
                    text(answered.map(|a| a.replayed.to_string())),
                ])?;
            }
            csv.flush()?;
        }
    }
    to.into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(())
}

fn tell(planned: &[Planned], report: &Report, args: &Args) -> anyhow::Result<()> {
    let totals = totals(planned, report);
    let rows = planned.iter().zip(&report.answers);
    if args.output.json {
        let results: Vec<Value> = rows
            .map(|(plan, a)| result_json(plan, a.as_ref()))
            .collect();
        return render::print_json(&json!({
            "results": results,
            "totals": {
                "rows": planned.len(),
                "accepted": totals.accepted,
                "replayed": totals.replayed,
                "refused": totals.refused,
                "unanswered": totals.unanswered,
                "points": totals.points,
                "others": report.others,
            },
        }));
    }
    render::print(&tables(planned, report, args.out.is_some()))?;
    render::print(&totals_text(planned.len(), &totals, report.others))
}

/// All rows of a short file; of a long one those that were refused.
fn tables(planned: &[Planned], report: &Report, written: bool) -> String {
    let all = planned.len() <= SHOWN;
    let shown: Vec<_> = planned
        .iter()
        .zip(&report.answers)
        .filter(|(_, answered)| all || answered.as_ref().is_some_and(|a| !a.accepted()))
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut table = render::table(&[
        Column::Right("line"),
        Column::Left("message id"),
        Column::Left("code"),
        Column::Right("points"),
        Column::Right("leaf"),
        Column::Left("replayed"),
    ]);
    for (plan, answered) in shown.iter().take(SHOWN) {
        let answered = answered.as_ref();
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            plan.row.line.to_string(),
            hex(&plan.id),
            answered.map_or_else(|| "no answer yet".to_owned(), |a| a.code.clone()),
            or_dash(answered.map(|a| render::number(a.points))),
            or_dash(
                answered
                    .and_then(|a| a.leaf_index)
                    .map(|leaf| leaf.to_string()),
            ),
            answered
                .map_or("-", |a| if a.replayed { "yes" } else { "no" })
                .to_owned(),
        ]);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    if shown.len() > SHOWN {
        let more = render::number((shown.len() - SHOWN) as u64);
        let hint = if written {
            ""
        } else {
            " (--out RESULTS lists all)"
        };
        let _ = writeln!(text, "... and {more} more refused rows{hint}");
    }
    text + "\n"
}

fn totals_text(rows: usize, totals: &Totals, others: usize) -> String {
    let n = |value: u64| render::number(value);
    let mut text = format!("{} rows: {} accepted", n(rows as u64), n(totals.accepted));
    if totals.replayed > 0 {
        let _ = write!(text, " ({} of them before)", n(totals.replayed));
    }
    for (code, count) in &totals.refused {
        let _ = write!(text, ", {} {code}", n(*count));
    }
    if totals.unanswered > 0 {
        let _ = write!(text, ", {} without an answer yet", n(totals.unanswered));
    }
    text.push('\n');
    for (kind, points) in &totals.points {
        let _ = writeln!(text, "  {kind}: {} points", render::number(*points));
    }
    if others > 0 {
        let _ = writeln!(
            text,
            "{} more messages of an earlier run were waiting and were sent.",
            n(others as u64)
        );
    }
    text
}

fn exit_code(report: &Report) -> anyhow::Result<ExitCode> {
    let answered = report.answers.iter().flatten().count();
    let refused = report
        .answers
        .iter()
        .flatten()
        .filter(|a| !a.accepted())
        .count();
    if answered < report.answers.len() {
        let left = render::number((report.answers.len() - answered) as u64);
        return Err(match &report.failure {
            Some(error) if error.is_transient() => exit::coded(
                exit::UNAVAILABLE,
                format!("{left} rows have no answer yet; run the same command again ({error})"),
            ),
            Some(error) => {
                let code = if answered == refused {
                    exit::REFUSED
                } else {
                    exit::PARTIAL
                };
                exit::coded(
                    code,
                    format!("the hub refused to go on with {left} rows left: {error}"),
                )
            }
            None => exit::coded(
                exit::UNAVAILABLE,
                format!("{left} rows have no answer yet; run the same command again"),
            ),
        });
    }
    if let (Some(error), true) = (&report.failure, refused == answered && answered > 0) {
        return Err(exit::coded(
            exit::REFUSED,
            format!("nothing was taken: {error}"),
        ));
    }
    Ok(if refused > 0 {
        exit::PARTIAL.into()
    } else {
        ExitCode::SUCCESS
    })
}
