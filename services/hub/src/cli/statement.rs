//! `hansa statement`: what a merchant owes and is owed, as its finance department reads it.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args as ClapArgs, Subcommand};
use hansa_client::hub::Hub;
use hansa_proto::v1;
use serde_json::{Value, json};

use super::{
    connect::Connection,
    cycle::{cycle_json, headline, position_json},
    documents::{self, Form},
    exit,
    render::{self, Column, Format},
    session, statement_items,
};

const HELP: &str = "With --merchant: the statement of that merchant, for its own key or an operator's. Without: an \
operator gets the statements of all merchants; with --json as {\"statements\": [...]}. Amounts are exact; + is what \
the merchant owes, - what it is owed. Only the payment is rounded; the rest is carried forward.\n
With --format: the statement of a closed cycle as a document that the hub signed, in FILE or DIR, and beside it its signature \
(hansa verify document).";

/// Whose statement.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Number of the cycle. Default: the open one, as a preview.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    cycle: u32,
    /// As a document of this form; needs --cycle, of a closed one.
    #[arg(long = "format", value_name = "FORM", value_enum)]
    form: Option<Form>,
    /// With --format: file, or folder, to write to. Default: a name of its own in the working directory.
    #[arg(long, value_name = "FILE|DIR", requires = "form")]
    out: Option<PathBuf>,
    /// With --format: with the messages behind the lines, at most 100 000.
    #[arg(long, requires = "form")]
    with_items: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The messages and events behind the lines, in the order of the log. They add up to the lines.
    Items(statement_items::Args),
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(Command::Items(args)) = args.command {
        return statement_items::run(args).await;
    }
    let session = session::either(&args.connection).await?;
    let merchants = match &session.merchant {
        Some(merchant) => vec![merchant.clone()],
        None => {
            let alliance = session::alliance(&session.hub).await?;
            alliance
                .merchants
                .into_iter()
                .map(|m| m.merchant_id)
                .collect()
        }
    };
    if let Some(form) = args.form {
        return documents(&args, &session.hub, &merchants, form).await;
    }
    let mut statements = Vec::with_capacity(merchants.len());
    for merchant in &merchants {
        statements.push(session.hub.statement(args.cycle, Some(merchant)).await?);
    }
    if args.format.json {
        let document = match (&session.merchant, statements.as_slice()) {
            (Some(_), [one]) => statement_json(one),
            _ => json!({ "statements": statements.iter().map(statement_json).collect::<Vec<_>>() }),
        };
        render::print_json(&document)?;
    } else {
        let texts: Vec<String> = statements.iter().map(statement_text).collect();
        render::print(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Statements as documents, one for each merchant.
async fn documents(
    args: &Args,
    hub: &Hub,
    merchants: &[String],
    form: Form,
) -> anyhow::Result<ExitCode> {
    if args.cycle == 0 {
        let message = "a document is of a closed cycle: name it with --cycle N";
        return Err(exit::coded(exit::USAGE, message));
    }
    documents::folder(args.out.as_deref(), merchants.len())?;
    let hub = session::for_documents(hub.clone());
    let mut saved = Vec::with_capacity(merchants.len());
    for merchant in merchants {
        let request = v1::GetStatementDocumentRequest {
            cycle_number: args.cycle,
            merchant_id: merchant.clone(),
            format: form.wire().into(),
            with_items: args.with_items,
        };
        let document = hub.statement_document(request).await?;
        let path = documents::save(&document, args.out.as_deref())?;
        saved.push((path, document.content.len()));
    }
    documents::tell(&saved, args.format.json)?;
    Ok(ExitCode::SUCCESS)
}

/// A statement for people.
fn statement_text(statement: &v1::GetStatementResponse) -> String {
    let currency = statement.currency_code.as_str();
    let merchant = statement.merchant_id.as_str();
    let mut text = String::new();
    let _ = writeln!(text, "Statement of {merchant}");
    if let Some(cycle) = &statement.cycle {
        let preview = match cycle.state() {
            v1::CycleState::Unspecified | v1::CycleState::Open | v1::CycleState::Closing => {
                " (preview)"
            }
            v1::CycleState::Closed
            | v1::CycleState::PendingApproval
            | v1::CycleState::Approved
            | v1::CycleState::Settling
            | v1::CycleState::Settled
            | v1::CycleState::PartiallySettled
            | v1::CycleState::Aborted => "",
        };
        let _ = writeln!(text, "{}{preview}", headline(cycle));
    }
    let position = statement.position.clone().unwrap_or_default();
    let mut table = render::table(&[
        Column::Left("line"),
        Column::Left("with"),
        Column::Right("count"),
        Column::Right("points"),
        Column::Right("amount"),
    ]);
    let none = String::new;
    let (figures, notes): (Vec<_>, Vec<_>) = statement
        .lines
        .iter()
        .partition(|line| line.amount_micros != 0);
    for line in figures {
        let late = if line.late { " (late)" } else { "" };
        table.add_row([
            format!("{}{late}", render::words(&line.kind)),
            line.counterparty_merchant_id.clone(),
            render::number(line.count),
            render::number(line.points),
            render::signed(line.amount_micros),
        ]);
    }
    for (name, micros) in [
        ("Net", position.net_micros),
        ("Brought forward", position.brought_forward_micros),
        ("Payment", position.payment_micros),
        ("Held back", position.held_back_micros),
        ("Carried forward", position.carried_forward_micros),
    ] {
        if name == "Held back" && micros == 0 {
            continue;
        }
        table.add_row([
            name.to_owned(),
            none(),
            none(),
            none(),
            render::signed(micros),
        ]);
    }
    let _ = writeln!(
        text,
        "Amounts in {currency}; + is what {merchant} owes, - what it is owed\n{}",
        table.trim_fmt()
    );
    let _ = writeln!(
        text,
        "{}",
        payment(merchant, position.payment_micros, currency)
    );
    for line in notes {
        let with = match line.counterparty_merchant_id.as_str() {
            "" => String::new(),
            other => format!(" with {other}"),
        };
        let kind = render::words(&line.kind).to_lowercase();
        let points = render::number(line.points);
        let _ = writeln!(text, "For information: {kind}{with}, {points} points");
    }
    text
}

/// Who pays whom.
fn payment(merchant: &str, micros: i64, currency: &str) -> String {
    match micros {
        0 => "Nothing is paid.".to_owned(),
        1.. => format!(
            "{merchant} pays the hub {}.",
            render::amount(micros, currency)
        ),
        _ => {
            // The smallest number has no positive counterpart; no payment comes near it.
            let owed = render::amount(micros.saturating_neg(), currency);
            format!("The hub pays {merchant} {owed}.")
        }
    }
}

fn statement_json(statement: &v1::GetStatementResponse) -> Value {
    let line = |line: &v1::StatementLine| {
        json!({
            "kind": line.kind,
            "counterparty_merchant_id": line.counterparty_merchant_id,
            "count": line.count,
            "points": line.points,
            "amount_micros": line.amount_micros,
            "late": line.late,
        })
    };
    json!({
        "cycle": statement.cycle.as_ref().map(cycle_json),
        "merchant_id": statement.merchant_id,
        "currency_code": statement.currency_code,
        "lines": statement.lines.iter().map(line).collect::<Vec<_>>(),
        "position": statement.position.as_ref().map(position_json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_statement_reads_as_in_the_domain() {
        let line = |kind: &str, count, points, amount_micros| v1::StatementLine {
            kind: kind.to_owned(),
            count,
            points,
            amount_micros,
            ..v1::StatementLine::default()
        };
        let statement = v1::GetStatementResponse {
            cycle: Some(v1::Cycle {
                cycle_number: 3,
                state: v1::CycleState::Closed.into(),
                ..v1::Cycle::default()
            }),
            merchant_id: "a".to_owned(),
            currency_code: "EUR".to_owned(),
            lines: vec![
                line("BASE_ACCRUAL", 1, 1_509, 14_373_225),
                line("REDEMPTION", 1, 2_000, -15_600_000),
                line("REVERSAL_RECOVERED", 1, 277, -2_216_000),
                line("REVERSAL_CLAIMED", 1, 340, 0),
            ],
            position: Some(v1::NetPosition {
                merchant_id: "a".to_owned(),
                net_micros: -3_442_775,
                brought_forward_micros: 0,
                payment_micros: -3_440_000,
                carried_forward_micros: -2_775,
                held_back_micros: 0,
            }),
        };
        let text = statement_text(&statement);
        for part in [
            "Statement of a\n",
            "1,509   +14.373225",
            "2,000   -15.600000",
            "-3.442775",
            "The hub pays a 3.44 EUR.\nFor information: reversal claimed, 340 points\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("preview"));
        assert_eq!(
            statement_json(&statement)["position"]["payment_micros"],
            -3_440_000
        );
    }

    #[test]
    fn payments_say_who_pays_whom() {
        assert_eq!(payment("f", 4_080_000, "EUR"), "f pays the hub 4.08 EUR.");
        assert_eq!(payment("f", 0, "EUR"), "Nothing is paid.");
    }
}
