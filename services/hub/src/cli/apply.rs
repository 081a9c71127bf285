//! `hansa apply`: makes the alliance what a file says.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1;
use serde_json::json;

use super::{
    alliance_file::AllianceFile,
    connect::Connection,
    exit,
    render::{self, Format},
};

const HELP: &str = "Shows the difference between the file and the alliance first, asks, and applies it as one entry \
of the log. Applying the same file again changes nothing. What the file does not list stays as it is; nothing is ever \
removed (a merchant is closed with state = \"CLOSED\"). deploy/alliance.example.toml shows every key.";

/// What to apply.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
    /// The alliance (TOML).
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only show the difference.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.connection.merchant.is_some() {
        let message = "only operators apply: leave --merchant (and HANSA_MERCHANT) out";
        return Err(exit::coded(exit::USAGE, message));
    }
    let shown = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let desired = AllianceFile::parse(&text)
        .and_then(|file| file.alliance())
        .with_context(|| format!("{shown} is not an alliance"))?;
    let hub = args.connection.connect().await?;

    let planned = apply(&hub, &desired, true).await?;
    if !args.format.json {
        render::print(&difference(&planned.changes))?;
    }
    let mut leaf_index = None;
    let apply_now = !planned.changes.is_empty() && !args.dry_run;
    if apply_now {
        let question = format!("Apply {}?", changes(planned.changes.len()));
        if !render::confirm(&question, args.yes)? {
            return Err(exit::coded(exit::FAILED, "nothing was applied"));
        }
        let applied = apply(&hub, &desired, false).await?;
        leaf_index = applied.leaf_index;
        if !args.format.json {
            let text = match leaf_index {
                Some(leaf) => format!("Applied as entry {leaf} of the log.\n"),
                None => "Somebody else applied the same meanwhile.\n".to_owned(),
            };
            render::print(&text)?;
        }
    }
    if args.format.json {
        render::print_json(&json!({
            "changes": planned.changes,
            "applied": leaf_index.is_some(),
            "leaf_index": leaf_index,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Applies, or only validates. Safe to send again: what is so already is not changed.
async fn apply(
    hub: &Hub,
    desired: &v1::Alliance,
    validate_only: bool,
) -> Result<v1::ApplyAllianceResponse, CallError> {
    let request = v1::ApplyAllianceRequest {
        desired: Some(desired.clone()),
        validate_only,
    };
    hub.call(request, async |hub: Hub, request| {
        hub.alliance().apply_alliance(request).await
    })
    .await
}

fn changes(count: usize) -> String {
    match count {
        1 => "1 change".to_owned(),
        _ => format!("{count} changes"),
    }
}

/// The hub's lines `subject: field old -> new`, by subject: `+` for what is new, `~` for what changes.
fn difference(changes: &[String]) -> String {
    if changes.is_empty() {
        return "Nothing to change: the alliance is as the file says.\n".to_owned();
    }
    let mut text = String::new();
    let mut last = "";
    for line in changes {
        let (subject, rest) = line.split_once(": ").unwrap_or((line, ""));
        let fresh = rest
            .strip_prefix("new (")
            .and_then(|fields| fields.strip_suffix(')'));
        if subject != last {
            let mark = if fresh.is_some() { '+' } else { '~' };
            let _ = writeln!(text, "{mark} {subject}");
            last = subject;
        }
        match fresh {
            Some(fields) => {
                for field in fields.split(", ") {
                    let _ = writeln!(text, "    {field}");
                }
            }
            None if !rest.is_empty() => {
                let _ = writeln!(text, "    {rest}");
            }
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_by_subject() {
        let lines = [
            "programme: new (name = A, currency_code = EUR)",
            "merchant a: contract.earn_rate 1 -> 2",
            "merchant a: state ACTIVE -> CLOSED",
        ]
        .map(String::from);
        assert_eq!(
            difference(&lines),
            "+ programme\n    name = A\n    currency_code = EUR\n~ merchant a\n    contract.earn_rate 1 -> 2\n    \
             state ACTIVE -> CLOSED\n"
        );
        assert!(difference(&[]).starts_with("Nothing to change"));
    }
}
