//! `hansa cycle`: settlement cycles, what they say, closing one by hand, and what proves it.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args as ClapArgs, Subcommand};
use hansa_client::{
    certificate::{CertifiedCycle, verify_certificate},
    hub::Hub,
    json::envelope_text,
    keys::hex,
    note::LogVerifier,
};
use hansa_proto::v1;
use serde_json::{Value, json};

use super::{
    connect::Connection,
    exit, proofs,
    render::{self, Column, Format},
    session,
};

/// What about cycles.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All cycles, oldest first.
    List {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// One cycle: who owes what, whose points were spent where, the hub's side.
    Show {
        /// Number of the cycle. Default: the open one, as it stands.
        #[arg(value_name = "N")]
        cycle: Option<u32>,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Close the open cycle now instead of at its time. Its figures never change again.
    Close {
        /// Number of the cycle that you believe to be open.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        cycle: u32,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// What proves that a closed cycle is complete: its certificate, signed by the hub, verified here.
    Certificate {
        /// Number of the cycle.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        cycle: u32,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
        /// Write it to this file, or into this folder as cycle-N.certificate.json.
        #[arg(long, value_name = "FILE|DIR")]
        out: Option<PathBuf>,
        /// Folder of your receipts: the hub proves that those of the cycle are in the tree of its cut, and the proofs are
        /// written beside the certificate.
        #[arg(long, value_name = "DIR", requires = "out")]
        receipts: Option<PathBuf>,
        /// The log's key as you know it from elsewhere: name+hash+key. Default: as the hub says.
        #[arg(long, env = "HANSA_VERIFIER_KEY", value_name = "KEY")]
        verifier_key: Option<LogVerifier>,
    },
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { connection, format } => list(&connection, format).await,
        Command::Show {
            cycle,
            connection,
            format,
        } => show(&connection, format, cycle.unwrap_or(0)).await,
        Command::Close {
            cycle,
            connection,
            format,
            yes,
        } => close(&connection, format, cycle, yes).await,
        Command::Certificate {
            cycle,
            connection,
            format,
            out,
            receipts,
            verifier_key,
        } => {
            let hub = session::either(&connection).await?.hub;
            let (certified, envelope) = certificate(&hub, cycle, verifier_key).await?;
            let mut proven = None;
            if let Some(out) = &out {
                let path = proofs::certificate_path(out, cycle);
                proofs::write_whole(&path, envelope.as_bytes())?;
                proven = prove(&hub, receipts.as_deref(), &certified, &path).await?;
            }
            if format.json {
                render::print(&envelope)
            } else {
                render::print(&certificate_text(&certified, proven))
            }
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn list(connection: &Connection, format: Format) -> anyhow::Result<()> {
    let session = session::either(connection).await?;
    let cycles = session.hub.cycles().await?;
    if format.json {
        let cycles: Vec<Value> = cycles.iter().map(cycle_json).collect();
        return render::print_json(&json!({ "cycles": cycles }));
    }
    let mut table = render::table(&[
        Column::Right("cycle"),
        Column::Left("state"),
        Column::Left("opens"),
        Column::Left("closes"),
        Column::Right("accepted"),
        Column::Right("refused"),
        Column::Left("digest"),
    ]);
    for cycle in &cycles {
        table.add_row([
            cycle.cycle_number.to_string(),
            state_words(cycle),
            render::instant(cycle.opens_at.as_ref()),
            render::instant(cycle.closes_at.as_ref()),
            render::number(cycle.messages_accepted),
            render::number(cycle.messages_refused),
            cycle.digest.get(..16).unwrap_or_default().to_owned(),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

async fn show(connection: &Connection, format: Format, number: u32) -> anyhow::Result<()> {
    let session = session::either(connection).await?;
    let details = session.hub.cycle(number).await?;
    if format.json {
        return render::print_json(&details_json(&details));
    }
    let currency = session::currency(&session.hub).await?;
    render::print(&details_text(&details, &currency))
}

/// A cycle's head, its nets, pairs and the hub's side.
fn details_text(details: &v1::GetCycleResponse, currency: &str) -> String {
    let mut text = String::new();
    if let Some(cycle) = &details.cycle {
        let _ = writeln!(text, "{}", headline(cycle));
        let _ = writeln!(
            text,
            "{} messages accepted, {} refused",
            render::number(cycle.messages_accepted),
            render::number(cycle.messages_refused)
        );
        if !cycle.digest.is_empty() {
            let _ = writeln!(text, "digest {}", cycle.digest);
            let audited = if cycle.audited {
                "audited: the same figures out of the signed messages, by code of its own"
            } else {
                "not audited yet; it cannot be approved before"
            };
            let _ = writeln!(text, "{audited}");
        }
        if !cycle.netting_method.is_empty() {
            let _ = writeln!(text, "netted {}", cycle.netting_method);
        }
    }
    if details.net_positions.is_empty() {
        let _ = writeln!(text, "\nNobody owes anything.");
    } else {
        let _ = writeln!(
            text,
            "\nNet positions in {currency} (+ the merchant owes, - it is owed)\n{}",
            positions_table(&details.net_positions, currency)
        );
    }
    if !details.pair_positions.is_empty() {
        let mut table = render::table(&[
            Column::Left("funder"),
            Column::Left("spent at"),
            Column::Right("points"),
            Column::Right("value"),
        ]);
        for pair in &details.pair_positions {
            table.add_row([
                pair.funder_merchant_id.clone(),
                pair.redeeming_merchant_id.clone(),
                render::number(pair.points),
                render::signed(pair.value_micros)
                    .trim_start_matches('+')
                    .to_owned(),
            ]);
        }
        let _ = writeln!(
            text,
            "\nWhose points were spent where\n{}",
            table.trim_fmt()
        );
    }
    if let Some(hub) = &details.hub {
        let mut table = render::table(&[Column::Left("the hub's side"), Column::Right("amount")]);
        for (name, micros) in [
            ("change of the reserve", hub.reserve_micros),
            ("service fees", hub.service_fee_micros),
            ("redemption fees", hub.redemption_fee_micros),
            ("breakage", hub.breakage_micros),
            ("adjustments", hub.adjustment_micros),
            ("commissions to be paid", hub.commission_micros),
        ] {
            table.add_row([name.to_owned(), render::signed(micros)]);
        }
        let total = i128::from(hub.reserve_micros)
            + i128::from(hub.service_fee_micros)
            + i128::from(hub.redemption_fee_micros)
            + i128::from(hub.breakage_micros)
            + i128::from(hub.adjustment_micros)
            + i128::from(hub.commission_micros);
        let nets: i128 = details
            .net_positions
            .iter()
            .map(|p| i128::from(p.net_micros))
            .sum();
        let sum = |micros: i128| {
            i64::try_from(micros).map_or_else(|_| micros.to_string(), render::signed)
        };
        table.add_row(["sum".to_owned(), sum(total)]);
        let _ = writeln!(text, "\n{}", table.trim_fmt());
        let check = if total == nets { "as" } else { "NOT AS" };
        let _ = writeln!(
            text,
            "The merchants' nets sum to {}, {check} they must.",
            sum(nets)
        );
    }
    text
}

/// Nets as a table; also of `hansa statement`.
pub fn positions_table(positions: &[v1::NetPosition], currency: &str) -> String {
    let mut table = render::table(&[
        Column::Left("merchant"),
        Column::Right("net"),
        Column::Right("brought forward"),
        Column::Right("payment"),
        Column::Right("carried forward"),
    ]);
    for position in positions {
        table.add_row([
            position.merchant_id.clone(),
            render::signed(position.net_micros),
            render::signed(position.brought_forward_micros),
            render::amount(position.payment_micros, currency),
            render::signed(position.carried_forward_micros),
        ]);
    }
    table.trim_fmt()
}

async fn close(
    connection: &Connection,
    format: Format,
    number: u32,
    yes: bool,
) -> anyhow::Result<()> {
    let hub = connection.connect().await?;
    let mut closed = hub.cycle(number).await?.cycle.unwrap_or_default();
    let was_open = closed.state() == v1::CycleState::Open;
    if was_open {
        if !format.json {
            render::print(&format!(
                "{}\n{} messages accepted, {} refused\n",
                headline(&closed),
                render::number(closed.messages_accepted),
                render::number(closed.messages_refused)
            ))?;
        }
        cut(&hub, number, true).await?;
        let question = format!("Close cycle {number} now? Its figures never change again.");
        if !render::confirm(&question, yes)? {
            return Err(exit::coded(exit::FAILED, "nothing was closed"));
        }
        closed = cut(&hub, number, false).await?;
    }
    if format.json {
        return render::print_json(&json!({ "cycle": cycle_json(&closed), "changed": was_open }));
    }
    let text = if was_open {
        format!("Cycle {number} is {}.", state_words(&closed))
    } else {
        format!(
            "Nothing to do: cycle {number} is {} already.",
            state_words(&closed)
        )
    };
    render::print(&format!(
        "{text}\nhansa cycle show {number} tells what it says, hansa finance compare {number} how it can be settled.\n"
    ))
}

/// A cycle's certificate, verified, and its file's text.
async fn certificate(
    hub: &Hub,
    number: u32,
    log: Option<LogVerifier>,
) -> anyhow::Result<(CertifiedCycle, String)> {
    let log = match log {
        Some(log) => log,
        None => hub.checkpoint().await?.verifier_key.parse()?,
    };
    let envelope = hub.cycle_certificate(number).await?.envelope;
    let envelope = envelope.context("a certificate without its envelope")?;
    match verify_certificate(&envelope, &log) {
        Ok(certified) if certified.number == number => Ok((certified, envelope_text(&envelope)?)),
        Ok(other) => Err(exit::coded(
            exit::MISMATCH,
            format!("the hub answered the certificate of cycle {}", other.number),
        )),
        Err(error) => Err(exit::coded(exit::MISMATCH, error.to_string())),
    }
}

async fn prove(
    hub: &Hub,
    receipts: Option<&Path>,
    cycle: &CertifiedCycle,
    certificate: &Path,
) -> anyhow::Result<Option<usize>> {
    let Some(receipts) = receipts else {
        return Ok(None);
    };
    let receipts = proofs::receipts(receipts)?;
    let count = proofs::prove_in_cut(hub, &receipts, cycle, certificate).await?;
    Ok(Some(count))
}

fn certificate_text(certified: &CertifiedCycle, proven: Option<usize>) -> String {
    let cycle = certified.certificate.cycle.clone().unwrap_or_default();
    let mut text = format!("{}\ndigest {}\n", headline(&cycle), cycle.digest);
    let _ = writeln!(
        text,
        "{} messages, those of leaves {} to {}: {} accepted, {} refused",
        render::number(certified.certificate.messages),
        certified.leaves.start(),
        certified.leaves.end(),
        render::number(cycle.messages_accepted),
        render::number(cycle.messages_refused)
    );
    let trees = [
        ("before", certified.opening.as_ref()),
        ("cut", Some(&certified.cut)),
        ("closed", Some(&certified.closed)),
    ];
    for (name, tree) in trees {
        if let Some(tree) = tree {
            let _ = writeln!(
                text,
                "{name:<7} {} leaves, root {}",
                tree.size,
                hex(&tree.root)
            );
        }
    }
    if let Some(count) = proven {
        let _ = writeln!(
            text,
            "{} of your receipts are in the tree of the cut",
            render::number(count as u64)
        );
    }
    text.push_str("OK: signed by the log, and each tree extends the one before\n");
    text
}

async fn cut(hub: &Hub, cycle_number: u32, validate_only: bool) -> anyhow::Result<v1::Cycle> {
    let request = v1::CloseCycleRequest {
        cycle_number,
        validate_only,
    };
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.cycles_client().close_cycle(request).await
        })
        .await?;
    Ok(answer.cycle.unwrap_or_default())
}

fn state(cycle: &v1::Cycle) -> &'static str {
    render::name(cycle.state().as_str_name(), "CYCLE_STATE_")
}

/// `pending approval`.
fn state_words(cycle: &v1::Cycle) -> String {
    render::words(state(cycle)).to_lowercase()
}

/// `Cycle 3, closed, 2026-03-01 00:00:00Z to 2026-04-01 00:00:00Z`.
pub fn headline(cycle: &v1::Cycle) -> String {
    let from = cycle.opens_at.as_ref().map_or_else(
        || "the beginning".to_owned(),
        |at| render::instant(Some(at)),
    );
    let until = cycle.closes_at.as_ref().map_or_else(
        || "closed by hand".to_owned(),
        |at| render::instant(Some(at)),
    );
    let state = state_words(cycle);
    format!("Cycle {}, {state}, {from} to {until}", cycle.cycle_number)
}

/// `Cycle` as JSON.
pub fn cycle_json(cycle: &v1::Cycle) -> Value {
    json!({
        "cycle_number": cycle.cycle_number,
        "state": state(cycle),
        "opens_at": render::json_instant(cycle.opens_at.as_ref()),
        "closes_at": render::json_instant(cycle.closes_at.as_ref()),
        "cut_leaf_index": cycle.cut_leaf_index,
        "closed_leaf_index": cycle.closed_leaf_index,
        "digest": cycle.digest,
        "messages_accepted": cycle.messages_accepted,
        "messages_refused": cycle.messages_refused,
        "audited": cycle.audited,
        "netting_method": cycle.netting_method,
    })
}

/// `NetPosition` as JSON.
pub fn position_json(position: &v1::NetPosition) -> Value {
    json!({
        "merchant_id": position.merchant_id,
        "net_micros": position.net_micros,
        "brought_forward_micros": position.brought_forward_micros,
        "payment_micros": position.payment_micros,
        "carried_forward_micros": position.carried_forward_micros,
        "held_back_micros": position.held_back_micros,
    })
}

fn details_json(details: &v1::GetCycleResponse) -> Value {
    let pair = |pair: &v1::PairPosition| {
        json!({
            "funder_merchant_id": pair.funder_merchant_id,
            "redeeming_merchant_id": pair.redeeming_merchant_id,
            "points": pair.points,
            "value_micros": pair.value_micros,
        })
    };
    let hub = |hub: &v1::HubPosition| {
        json!({
            "reserve_micros": hub.reserve_micros,
            "service_fee_micros": hub.service_fee_micros,
            "redemption_fee_micros": hub.redemption_fee_micros,
            "breakage_micros": hub.breakage_micros,
            "adjustment_micros": hub.adjustment_micros,
            "commission_micros": hub.commission_micros,
        })
    };
    json!({
        "cycle": details.cycle.as_ref().map(cycle_json),
        "net_positions": details.net_positions.iter().map(position_json).collect::<Vec<_>>(),
        "pair_positions": details.pair_positions.iter().map(pair).collect::<Vec<_>>(),
        "hub": details.hub.as_ref().map(hub),
    })
}
