//! `hansa dispute`: disputes over lines of statements, from both sides.

pub(crate) mod evidence;

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args as ClapArgs, Subcommand};
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1;
use serde_json::json;

use super::{
    connect::Connection,
    exit,
    finance::{json as finance_json, next, propose::Original, value, words},
    pages,
    render::{self, Column, Format},
    session,
};
use evidence::Attached;

const HELP: &str = "A merchant raises a dispute over a line of a closed cycle's statement, or over one message, inside the \
contract's dispute days. Finance answers: to accept proposes an adjustment, which another person approves. The merchant takes a \
rejection, or silence, to a ruling; another person than the one who rejected rules. Whoever is silent too long loses the turn.\n\n\
Amounts are what the merchant's net should change by: negative when it should owe less.";

/// What about disputes.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Raise a dispute. Merchants.
    Raise {
        #[command(flatten)]
        original: Original,
        /// What the net should change by; negative when you should owe less.
        #[arg(long, value_name = "AMOUNT", value_parser = value::amount, allow_negative_numbers = true)]
        claim: i64,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        attached: Attached,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Accept or reject a dispute. Finance.
    Answer {
        /// Number of the dispute.
        #[arg(value_name = "DISPUTE")]
        dispute: u64,
        /// Accept it: an adjustment is proposed, which another person approves.
        #[arg(long, conflicts_with = "reject", required_unless_present = "reject")]
        accept: bool,
        /// Reject it: the merchant may escalate.
        #[arg(long)]
        reject: bool,
        #[command(flatten)]
        correction: Correction,
        /// Why; the merchant reads it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Take a rejected or unanswered dispute to a ruling. The merchant that raised it.
    Escalate {
        /// Number of the dispute.
        #[arg(value_name = "DISPUTE")]
        dispute: u64,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        attached: Attached,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Rule on an escalated dispute. Finance, another person than the one who rejected it.
    Rule {
        /// Number of the dispute.
        #[arg(value_name = "DISPUTE")]
        dispute: u64,
        /// For the merchant: an adjustment is proposed, which another person approves.
        #[arg(long, conflicts_with = "dismiss", required_unless_present = "dismiss")]
        uphold: bool,
        /// Against the merchant. Final.
        #[arg(long)]
        dismiss: bool,
        #[command(flatten)]
        correction: Correction,
        /// Why; the merchant reads it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Disputes, newest first; a merchant's own.
    List {
        /// Only those in this state.
        #[arg(long, value_name = "STATE", ignore_case = true, value_parser = value::dispute_state())]
        state: Option<v1::DisputeState>,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// One dispute, with all that was said and whose turn it is.
    Show {
        /// Number of the dispute.
        #[arg(value_name = "DISPUTE")]
        dispute: u64,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Save the attachments of a dispute.
    Evidence {
        /// Number of the dispute.
        #[arg(value_name = "DISPUTE")]
        dispute: u64,
        /// Directory that they go to; nothing in it is overwritten.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
}

/// What is corrected.
#[derive(Debug, ClapArgs)]
struct Correction {
    /// What the merchant's net changes by. Default: as claimed.
    #[arg(long, value_name = "AMOUNT", value_parser = value::amount, allow_negative_numbers = true)]
    amount: Option<i64>,
    /// The merchant that bears it. Default: the hub.
    #[arg(long, value_name = "MERCHANT")]
    counterparty: Option<String>,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Raise {
            original,
            claim,
            text,
            attached,
            connection,
            format,
        } => {
            let evidence = attached.read()?;
            let hub = session::merchant(&connection).await?;
            let request = v1::RaiseDisputeRequest {
                original: original.wire(),
                claimed_micros: claim,
                text,
                evidence,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.disputes().raise_dispute(request).await
                })
                .await?;
            tell(&hub, format, &answer.dispute.unwrap_or_default()).await
        }
        Command::Answer {
            dispute,
            accept,
            correction,
            reason,
            connection,
            format,
            ..
        } => {
            let hub = session::operator(&connection).await?;
            let request = v1::AnswerDisputeRequest {
                dispute_number: dispute,
                accept,
                amount_micros: correction.amount.unwrap_or(0),
                counterparty_merchant_id: correction.counterparty.unwrap_or_default(),
                answer: reason,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.disputes().answer_dispute(request).await
                })
                .await?;
            tell(&hub, format, &answer.dispute.unwrap_or_default()).await
        }
        Command::Escalate {
            dispute,
            text,
            attached,
            connection,
            format,
        } => {
            let evidence = attached.read()?;
            let hub = session::merchant(&connection).await?;
            let request = v1::EscalateDisputeRequest {
                dispute_number: dispute,
                text,
                evidence,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.disputes().escalate_dispute(request).await
                })
                .await?;
            tell(&hub, format, &answer.dispute.unwrap_or_default()).await
        }
        Command::Rule {
            dispute,
            uphold,
            correction,
            reason,
            connection,
            format,
            ..
        } => {
            let hub = session::operator(&connection).await?;
            let request = v1::RuleDisputeRequest {
                dispute_number: dispute,
                uphold,
                amount_micros: correction.amount.unwrap_or(0),
                counterparty_merchant_id: correction.counterparty.unwrap_or_default(),
                ruling: reason,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.disputes().rule_dispute(request).await
                })
                .await?;
            tell(&hub, format, &answer.dispute.unwrap_or_default()).await
        }
        Command::List {
            state,
            connection,
            format,
        } => list(&connection, format, state).await,
        Command::Show {
            dispute,
            connection,
            format,
        } => {
            let hub = session::either(&connection).await?.hub;
            let dispute = one(&hub, dispute).await?;
            tell(&hub, format, &dispute).await
        }
        Command::Evidence {
            dispute,
            out,
            connection,
            format,
        } => evidence::save(&connection, format, dispute, &out).await,
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn tell(hub: &Hub, format: Format, dispute: &v1::Dispute) -> anyhow::Result<()> {
    if format.json {
        return render::print_json(&json!({ "dispute": finance_json::dispute(dispute) }));
    }
    let currency = session::currency(hub).await?;
    render::print(&dispute_text(dispute, &currency))
}

/// One dispute with all that was said.
fn dispute_text(dispute: &v1::Dispute, currency: &str) -> String {
    let mut text = format!(
        "Dispute {} of {}, {}: {}, claims {}\nraised {}: {}\n",
        dispute.dispute_number,
        dispute.merchant_id,
        words::dispute_state(dispute).to_lowercase(),
        dispute
            .original
            .as_ref()
            .map(words::original)
            .unwrap_or_default(),
        render::amount(dispute.claimed_micros, currency),
        render::instant(dispute.raised_at.as_ref()),
        dispute.text,
    );
    for evidence in &dispute.evidence {
        let _ = writeln!(
            text,
            "with {} ({} bytes)",
            evidence.file_name,
            render::number(evidence.size)
        );
    }
    if !dispute.answer.is_empty() {
        let by = match dispute.ruled_by.as_str() {
            "" => format!("answered by {}", dispute.answered_by),
            person => format!("ruled by {person}"),
        };
        let _ = writeln!(text, "{by}: {}", dispute.answer);
    }
    if let Some(deadline) = &dispute.deadline {
        let _ = writeln!(
            text,
            "The next step must be taken before {}.",
            render::instant(Some(deadline))
        );
    }
    text + &next::of_dispute(dispute)
}

/// A dispute of the caller's by its number.
async fn one(hub: &Hub, number: u64) -> anyhow::Result<v1::Dispute> {
    let disputes = all(hub, v1::DisputeState::Unspecified).await?;
    let found = disputes.into_iter().find(|d| d.dispute_number == number);
    found.ok_or_else(|| {
        let message = format!("dispute {number} does not exist or is not yours");
        exit::coded(exit::REFUSED, message)
    })
}

async fn all(hub: &Hub, state: v1::DisputeState) -> Result<Vec<v1::Dispute>, CallError> {
    pages::all(async |page_token| {
        let request = v1::ListDisputesRequest {
            state: state.into(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.disputes().list_disputes(request).await
            })
            .await?;
        Ok((page.disputes, page.next_page_token))
    })
    .await
}

async fn list(
    connection: &Connection,
    format: Format,
    state: Option<v1::DisputeState>,
) -> anyhow::Result<()> {
    let session = session::either(connection).await?;
    let state = state.unwrap_or(v1::DisputeState::Unspecified);
    let mut disputes = all(&session.hub, state).await?;
    // An operator who names a merchant wants its disputes.
    if let Some(merchant) = &session.merchant {
        disputes.retain(|dispute| dispute.merchant_id == *merchant);
    }
    if format.json {
        let document = finance_json::list("disputes", &disputes, finance_json::dispute);
        return render::print_json(&document);
    }
    if disputes.is_empty() {
        return render::print("No disputes.\n");
    }
    let currency = session::currency(&session.hub).await?;
    let mut table = render::table(&[
        Column::Right("dispute"),
        Column::Left("merchant"),
        Column::Left("state"),
        Column::Left("over"),
        Column::Right("claims"),
        Column::Left("raised"),
        Column::Left("next step before"),
        Column::Left("text"),
    ]);
    for dispute in &disputes {
        table.add_row([
            dispute.dispute_number.to_string(),
            dispute.merchant_id.clone(),
            words::dispute_state(dispute).to_owned(),
            dispute
                .original
                .as_ref()
                .map(words::original)
                .unwrap_or_default(),
            render::amount(dispute.claimed_micros, &currency),
            render::instant(dispute.raised_at.as_ref()),
            render::instant(dispute.deadline.as_ref()),
            dispute.text.clone(),
        ]);
    }
    render::print(&format!(
        "{}\nhansa dispute show N tells what was said, and whose turn it is.\n",
        table.trim_fmt()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispute_reads_as_a_story() {
        let dispute = v1::Dispute {
            dispute_number: 9,
            merchant_id: "bakery".into(),
            original: Some(v1::OriginalReference {
                cycle_number: 3,
                line_kind: "REDEMPTION".into(),
                ..v1::OriginalReference::default()
            }),
            claimed_micros: -1_250_000,
            text: "counted twice".into(),
            state: v1::DisputeState::Accepted.into(),
            answer: "seen".into(),
            answered_by: "ana".into(),
            proposal_number: 4,
            ..v1::Dispute::default()
        };
        let text = dispute_text(&dispute, "EUR");
        for part in [
            "Dispute 9 of bakery, accepted: cycle 3, line REDEMPTION, claims -1.25 EUR",
            "answered by ana: seen",
            "proposal 4",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
