//! `hansa statement items`: the messages and events behind a statement's lines.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args as ClapArgs;
use hansa_client::{hub::Hub, keys::hex};
use hansa_proto::v1;
use serde_json::{Value, json};

use super::{
    connect::Connection,
    exit,
    render::{self, Column, Format},
    session,
};

/// Items of a call.
const PAGE: i32 = 1_000;

/// Which items.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Number of the cycle. Default: the open one, as it stands.
    #[arg(long, value_name = "N")]
    cycle: Option<u32>,
    /// Only of this kind of line, e.g. REDEMPTION.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only with this merchant.
    #[arg(long, value_name = "ID")]
    counterparty: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = session::either(&args.connection).await?;
    let Some(merchant) = &session.merchant else {
        let message = "whose? name a merchant with --merchant ID";
        return Err(exit::coded(exit::USAGE, message));
    };
    // By its number: the open cycle may be cut between two pages.
    let cycle_number = match args.cycle {
        Some(number) => number,
        None => {
            session
                .hub
                .cycle(0)
                .await?
                .cycle
                .unwrap_or_default()
                .cycle_number
        }
    };
    let request = v1::ListStatementItemsRequest {
        cycle_number,
        merchant_id: merchant.clone(),
        kind: args.kind.as_deref().unwrap_or_default().to_uppercase(),
        counterparty_merchant_id: args.counterparty.clone().unwrap_or_default(),
        page_size: PAGE,
        page_token: String::new(),
    };
    let (items, more) = items(&session.hub, request, args.limit).await?;
    if args.format.json {
        let listed: Vec<Value> = items.iter().map(item_json).collect();
        render::print_json(
            &json!({ "cycle_number": cycle_number, "items": listed, "more": more }),
        )?;
    } else {
        render::print(&items_text(&items, more))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The first `limit` items, and whether there are more.
async fn items(
    hub: &Hub,
    mut request: v1::ListStatementItemsRequest,
    limit: usize,
) -> anyhow::Result<(Vec<v1::StatementItem>, bool)> {
    let mut items = Vec::new();
    let bar = render::bar(0, "items");
    loop {
        let page = hub.statement_items(request.clone()).await?;
        items.extend(page.items);
        bar.set_position(items.len() as u64);
        request.page_token = page.next_page_token;
        if items.len() > limit || request.page_token.is_empty() {
            bar.finish_and_clear();
            let more = items.len() > limit;
            items.truncate(limit);
            return Ok((items, more));
        }
    }
}

fn items_text(items: &[v1::StatementItem], more: bool) -> String {
    let mut table = render::table(&[
        Column::Right("leaf"),
        Column::Right("at"),
        Column::Left("line"),
        Column::Left("with"),
        Column::Left("sender"),
        Column::Left("message id"),
        Column::Left("event time"),
        Column::Right("points"),
        Column::Right("amount"),
    ]);
    for item in items {
        let late = if item.late { " (late)" } else { "" };
        table.add_row([
            item.leaf_index.to_string(),
            item.entry_position.to_string(),
            format!("{}{late}", render::words(&item.kind)),
            item.counterparty_merchant_id.clone(),
            item.sender_merchant_id.clone(),
            hex(&item.message_id),
            render::instant(item.event_time.as_ref()),
            render::number(item.points),
            render::signed(item.amount_micros),
        ]);
    }
    let sum: i128 = items
        .iter()
        .map(|item| i128::from(item.amount_micros))
        .sum();
    let mut text = format!("{}\n", table.trim_fmt());
    let count = render::number(items.len() as u64);
    let sum = i64::try_from(sum).map_or_else(|_| sum.to_string(), render::signed);
    let _ = writeln!(text, "{count} items, {sum} in all");
    if more {
        text.push_str("There are more; raise --limit\n");
    }
    text
}

fn item_json(item: &v1::StatementItem) -> Value {
    json!({
        "leaf_index": item.leaf_index,
        "entry_position": item.entry_position,
        "sender_merchant_id": item.sender_merchant_id,
        "message_id": hex(&item.message_id),
        "event_time": render::json_instant(item.event_time.as_ref()),
        "kind": item.kind,
        "counterparty_merchant_id": item.counterparty_merchant_id,
        "points": item.points,
        "amount_micros": item.amount_micros,
        "late": item.late,
    })
}
