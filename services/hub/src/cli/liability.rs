//! `hansa liability`: open points by funder, and the reserve behind them.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args as ClapArgs;
use hansa_client::hub::Hub;
use hansa_proto::v1;
use serde_json::{Value, json};

use super::{
    connect::Connection,
    render::{self, Column, Format},
    session,
};

/// Whose points.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = session::either(&args.connection).await?;
    let hub = &session.hub;
    let mut liability = hub
        .call(v1::GetLiabilityRequest {}, async |hub: Hub, request| {
            hub.statements().get_liability(request).await
        })
        .await?;
    // An operator who names a merchant wants its line.
    if let Some(merchant) = &session.merchant {
        liability.lines.retain(|line| line.merchant_id == *merchant);
    }
    if args.format.json {
        render::print_json(&liability_json(&liability))?;
    } else {
        let currency = session::currency(hub).await?;
        let whole = session.merchant.is_none();
        render::print(&liability_text(&liability, &currency, whole))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `whole`: with the reserve and the counts of the whole alliance.
fn liability_text(liability: &v1::GetLiabilityResponse, currency: &str, whole: bool) -> String {
    let mut table = render::table(&[
        Column::Left("funder"),
        Column::Right("prepaid points"),
        Column::Right("value"),
        Column::Right("points paid when spent"),
        Column::Right("value"),
        Column::Right("exposure"),
    ]);
    let unsigned = |micros: i64| render::signed(micros).trim_start_matches('+').to_owned();
    for line in &liability.lines {
        table.add_row([
            line.merchant_id.clone(),
            render::number(line.issue_points),
            unsigned(line.issue_value_micros),
            render::number(line.burn_points),
            unsigned(line.burn_value_micros),
            unsigned(line.exposure_micros),
        ]);
    }
    let mut text = format!("Open points, values in {currency}\n{}\n", table.trim_fmt());
    if whole {
        let _ = writeln!(
            text,
            "\nReserve behind the prepaid points: {}",
            render::amount(liability.reserve_micros, currency)
        );
    }
    if let (true, Some(counts)) = (whole, &liability.counts) {
        let _ = writeln!(
            text,
            "Since the log began: {} points issued, {} redeemed, {} expired, {} outstanding;\n{} accruals, {} captures, \
             {} authorisations refused",
            render::number(counts.issued_points),
            render::number(counts.redeemed_points),
            render::number(counts.expired_points),
            render::number(counts.outstanding_points),
            render::number(counts.accruals),
            render::number(counts.captures),
            render::number(counts.authorisations_refused),
        );
    }
    text
}

fn liability_json(liability: &v1::GetLiabilityResponse) -> Value {
    let line = |line: &v1::LiabilityLine| {
        json!({
            "merchant_id": line.merchant_id,
            "issue_points": line.issue_points,
            "issue_value_micros": line.issue_value_micros,
            "burn_points": line.burn_points,
            "burn_value_micros": line.burn_value_micros,
            "exposure_micros": line.exposure_micros,
        })
    };
    let counts = |counts: &v1::Counts| {
        json!({
            "accruals": counts.accruals,
            "captures": counts.captures,
            "authorisations_refused": counts.authorisations_refused,
            "issued_points": counts.issued_points,
            "redeemed_points": counts.redeemed_points,
            "expired_points": counts.expired_points,
            "outstanding_points": counts.outstanding_points,
        })
    };
    json!({
        "lines": liability.lines.iter().map(line).collect::<Vec<_>>(),
        "reserve_micros": liability.reserve_micros,
        "counts": liability.counts.as_ref().map(counts),
    })
}
