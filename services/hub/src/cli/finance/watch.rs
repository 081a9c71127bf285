//! `hansa finance risk` and `trail`: who comes near a cap, and who did what.

use clap::Args as ClapArgs;
use hansa_client::hub::Hub;
use hansa_proto::v1;

use super::json;
use crate::cli::{
    connect::Connection,
    pages,
    render::{self, Column, Format},
    session,
};

/// Whose risk.
#[derive(Debug, ClapArgs)]
pub struct RiskArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// What to trace.
#[derive(Debug, ClapArgs)]
pub struct TrailArgs {
    /// A cycle.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: Option<u32>,
    /// A proposal.
    #[arg(long, value_name = "N")]
    proposal: Option<u64>,
    /// A payment.
    #[arg(long, value_name = "N")]
    payment: Option<u64>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs `risk`.
pub(super) async fn risk(args: RiskArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let risk = hub
        .call(v1::GetRiskRequest {}, async |hub: Hub, request| {
            hub.finance().get_risk(request).await
        })
        .await?;
    if args.format.json {
        return render::print_json(&json::list("lines", &risk.lines, json::risk));
    }
    let currency = session::currency(&hub).await?;
    render::print(&risk_text(&risk.lines, &currency))
}

fn risk_text(lines: &[v1::RiskLine], currency: &str) -> String {
    let mut table = render::table(&[
        Column::Left("merchant"),
        Column::Right("owes"),
        Column::Right("pending"),
        Column::Right("open BURN points"),
        Column::Right("exposure"),
        Column::Right("cap"),
        Column::Right("collateral"),
        Column::Right("held back"),
        Column::Right("used"),
        Column::Left("warning"),
    ]);
    let plain = |micros| render::amount(micros, "");
    for line in lines {
        let used = match line.cap_micros {
            Some(_) => render::percent(line.used_bps),
            None => "-".to_owned(),
        };
        let warning = match line.warning_bps {
            0 => String::new(),
            bps => format!("past {}", render::percent(bps)),
        };
        table.add_row([
            line.merchant_id.clone(),
            plain(line.clearing_micros),
            plain(line.pending_micros),
            plain(line.burn_micros),
            plain(line.exposure_micros),
            line.cap_micros.map_or_else(|| "none".to_owned(), plain),
            plain(line.collateral_micros),
            plain(line.held_back_micros),
            used,
            warning,
        ]);
    }
    format!("Exposures in {currency}\n{}\n", table.trim_fmt())
}

/// Runs `trail`.
pub(super) async fn trail(args: TrailArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let events = pages::all(async |page_token| {
        let request = v1::ListAuditTrailRequest {
            cycle_number: args.cycle.unwrap_or(0),
            proposal_number: args.proposal.unwrap_or(0),
            payment_number: args.payment.unwrap_or(0),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.finance().list_audit_trail(request).await
            })
            .await?;
        Ok((page.events, page.next_page_token))
    })
    .await?;
    if args.format.json {
        return render::print_json(&json::list("events", &events, json::event));
    }
    render::print(&trail_text(&events))
}

fn trail_text(events: &[v1::AuditEvent]) -> String {
    if events.is_empty() {
        return "Nothing was done.\n".to_owned();
    }
    let mut table = render::table(&[
        Column::Right("leaf"),
        Column::Left("when"),
        Column::Left("who"),
        Column::Left("event"),
        Column::Left("what"),
    ]);
    for event in events {
        table.add_row([
            event.leaf_index.to_string(),
            render::instant(event.at.as_ref()),
            event.actor.clone(),
            event.event.clone(),
            event.description.clone(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_which_threshold_was_passed() {
        let line = v1::RiskLine {
            merchant_id: "a".into(),
            exposure_micros: 43_000_000,
            cap_micros: Some(50_000_000),
            used_bps: 8_605,
            warning_bps: 8_000,
            ..v1::RiskLine::default()
        };
        let text = risk_text(&[line, v1::RiskLine::default()], "EUR");
        for part in ["86.05 %", "past 80 %", "50.00", "none"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
