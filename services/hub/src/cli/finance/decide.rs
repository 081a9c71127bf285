//! `hansa finance approve`, `reject` and `proposals`.

use std::fmt::Write as _;

use clap::Args as ClapArgs;
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1::{self, action::Action as A};
use serde_json::json;

use super::{json, next, payments, settle, value, words};
use crate::cli::{
    connect::Connection,
    exit, pages,
    render::{self, Column, Format},
    session,
};

/// What to decide.
#[derive(Debug, ClapArgs)]
pub struct DecideArgs {
    /// Number of the proposal.
    #[arg(value_name = "PROPOSAL")]
    proposal: u64,
    /// Why; stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Which proposals.
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Only those in this state.
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = value::proposal_state())]
    state: Option<v1::ProposalState>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs `approve` and `reject`.
pub(super) async fn decide(args: DecideArgs, approve: bool) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let currency = session::currency(&hub).await?;
    let decision = v1::DecideProposalRequest {
        proposal_number: args.proposal,
        approve,
        reason: args.reason,
        validate_only: true,
    };
    let checked = send(&hub, decision.clone()).await?;
    let pending = checked.state() == v1::ProposalState::Pending;
    let mut decided = checked.clone();
    if pending {
        if !args.format.json {
            show(&hub, &checked, approve, &currency).await?;
        }
        let verb = if approve { "Approve" } else { "Reject" };
        let question = format!("{verb} proposal {}?", args.proposal);
        if !render::confirm(&question, args.yes)? {
            return Err(exit::coded(exit::FAILED, "nothing was decided"));
        }
        let decision = v1::DecideProposalRequest {
            validate_only: false,
            ..decision
        };
        decided = send(&hub, decision).await?;
    }
    if args.format.json {
        return render::print_json(&json!({
            "proposal": json::proposal(&decided),
            "changed": pending,
        }));
    }
    let mut text = words::proposal(&decided, &currency);
    if approve {
        let waiting = instructed(&hub, &decided).await?;
        text += &next::of_approved(&decided, &waiting);
    }
    render::print(&text)
}

/// What is decided, and for a settlement what it does.
async fn show(
    hub: &Hub,
    proposal: &v1::Proposal,
    approve: bool,
    currency: &str,
) -> anyhow::Result<()> {
    render::print(&words::proposal(proposal, currency))?;
    let action = proposal.action.as_ref().and_then(|a| a.action.as_ref());
    if let (true, Some(A::SettleCycle(settlement))) = (approve, action) {
        let preview = settle::preview_of(hub, settlement.clone()).await?;
        let cycle = settlement.cycle_number;
        render::print(&settle::preview_text(cycle, &preview, currency))?;
    }
    Ok(())
}

/// Safe to send again: the same decision by the same person changes nothing more.
async fn send(hub: &Hub, decision: v1::DecideProposalRequest) -> Result<v1::Proposal, CallError> {
    let answer = hub
        .call(decision, async |hub: Hub, request| {
            hub.finance().decide_proposal(request).await
        })
        .await?;
    Ok(answer.proposal.unwrap_or_default())
}

/// The payments that wait because of an approved step: those of a settlement, the one of a reinstruction.
async fn instructed(hub: &Hub, proposal: &v1::Proposal) -> anyhow::Result<Vec<v1::Payment>> {
    let action = proposal.action.as_ref().and_then(|a| a.action.as_ref());
    let (cycle, replaced) = match action {
        Some(A::SettleCycle(settlement)) => (settlement.cycle_number, 0),
        Some(A::ReinstructPayment(old)) => (0, old.payment_number),
        _ => return Ok(Vec::new()),
    };
    let mut pending = payments::all(hub, cycle, v1::PaymentState::Pending).await?;
    pending.retain(|payment| payment.replaces_payment_number == replaced);
    Ok(pending)
}

/// Runs `proposals`.
pub(super) async fn list(args: ListArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let proposals = pages::all(async |page_token| {
        let request = v1::ListProposalsRequest {
            state: args.state.unwrap_or(v1::ProposalState::Unspecified).into(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.finance().list_proposals(request).await
            })
            .await?;
        Ok((page.proposals, page.next_page_token))
    })
    .await?;
    if args.format.json {
        return render::print_json(&json::list("proposals", &proposals, json::proposal));
    }
    let currency = session::currency(&hub).await?;
    render::print(&proposals_text(&proposals, &currency))
}

fn proposals_text(proposals: &[v1::Proposal], currency: &str) -> String {
    if proposals.is_empty() {
        return "No proposals.\n".to_owned();
    }
    let mut table = render::table(&[
        Column::Right("proposal"),
        Column::Left("state"),
        Column::Left("maker"),
        Column::Left("checker"),
        Column::Left("made"),
        Column::Left("what"),
    ]);
    for proposal in proposals {
        table.add_row([
            proposal.proposal_number.to_string(),
            words::proposal_state(proposal).to_owned(),
            proposal.maker.clone(),
            proposal.checker.clone(),
            render::instant(proposal.made_at.as_ref()),
            words::action(proposal.action.as_ref(), currency),
        ]);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    let pending = |proposal: &&v1::Proposal| proposal.state() == v1::ProposalState::Pending;
    let waiting = proposals.iter().filter(pending).count();
    if waiting > 0 {
        let _ = writeln!(
            text,
            "Pending ones wait for another person: hansa finance approve N --reason TEXT, or reject."
        );
    }
    text
}
