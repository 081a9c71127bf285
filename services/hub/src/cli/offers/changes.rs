//! `hansa offers changes`: what a feed reader takes in next.

use clap::Args as ClapArgs;
use hansa_client::hub::Hub;
use hansa_proto::v1::{self, offer_change::Change};
use serde_json::{Value, json};

use super::{Of, show};
use crate::cli::render::{self, Column, Format};

const HELP: &str = "\
Drop all offers of the merchants that are withdrawn, then take the changes in one after the other, and keep the cursor together
with what came of it. Begin without --cursor; give the kept one the next time.";

/// Which changes.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The cursor that the command printed the last time. Default: from nothing.
    #[arg(
        long,
        value_name = "CURSOR",
        default_value = "",
        hide_default_value = true
    )]
    cursor: String,
    #[command(flatten)]
    of: Of,
    /// At most so many changes.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let (session, merchant_id) = args.of.session().await?;
    let mut told = v1::ListOfferChangesResponse {
        next_cursor: args.cursor.clone(),
        has_more: true,
        ..v1::ListOfferChangesResponse::default()
    };
    while told.has_more {
        let left = (args.limit as usize).saturating_sub(told.changes.len());
        if left == 0 {
            break;
        }
        let request = v1::ListOfferChangesRequest {
            merchant_id: merchant_id.clone(),
            cursor: told.next_cursor.clone(),
            page_size: i32::try_from(left.min(1_000))?,
        };
        let page = session.hub.call(request, async |hub: Hub, request| {
            hub.offers().list_offer_changes(request).await
        });
        join(&mut told, page.await?);
    }
    if args.format.json {
        return render::print_json(&json!({
            "withdrawn_merchant_ids": told.withdrawn_merchant_ids,
            "changes": told.changes.iter().map(change_json).collect::<Vec<_>>(),
            "next_cursor": told.next_cursor,
            "has_more": told.has_more,
        }));
    }
    render::print(&text(&told))
}

/// Puts an answer behind the ones before, so that both are one: merchants first, then changes.
pub(super) fn join(
    told: &mut v1::ListOfferChangesResponse,
    mut next: v1::ListOfferChangesResponse,
) {
    let gone = &next.withdrawn_merchant_ids;
    told.changes.retain(|change| !gone.contains(whose(change)));
    for merchant in next.withdrawn_merchant_ids {
        if !told.withdrawn_merchant_ids.contains(&merchant) {
            told.withdrawn_merchant_ids.push(merchant);
        }
    }
    told.changes.append(&mut next.changes);
    told.next_cursor = next.next_cursor;
    told.has_more = next.has_more;
}

fn whose(change: &v1::OfferChange) -> &String {
    static NOBODY: String = String::new();
    match &change.change {
        Some(Change::Put(listed)) => &listed.merchant_id,
        Some(Change::Withdrawn(withdrawn)) => &withdrawn.merchant_id,
        None => &NOBODY,
    }
}

fn text(told: &v1::ListOfferChangesResponse) -> String {
    let mut text = String::new();
    for merchant in &told.withdrawn_merchant_ids {
        text += &format!("All offers of {merchant} are gone.\n");
    }
    let mut table = render::table(&[
        Column::Left("at"),
        Column::Left("change"),
        Column::Left("merchant"),
        Column::Left("offer"),
        Column::Left("title"),
        Column::Left("earns"),
    ]);
    for change in &told.changes {
        match &change.change {
            Some(Change::Put(listed)) => {
                let offer = listed.offer.clone().unwrap_or_default();
                table.add_row([
                    render::instant(listed.update_time.as_ref()),
                    "put".to_owned(),
                    listed.merchant_id.clone(),
                    offer.offer_id,
                    offer.title,
                    show::earnings(&listed.earnings),
                ]);
            }
            Some(Change::Withdrawn(withdrawn)) => {
                table.add_row([
                    render::instant(withdrawn.withdraw_time.as_ref()),
                    "withdrawn".to_owned(),
                    withdrawn.merchant_id.clone(),
                    withdrawn.offer_id.clone(),
                    String::new(),
                    String::new(),
                ]);
            }
            None => {}
        }
    }
    if told.changes.is_empty() {
        text += "No changes.\n";
    } else {
        text += &format!("{}\n", table.trim_fmt());
    }
    if told.has_more {
        text += "There are more; go on from the cursor.\n";
    }
    text + &format!("Cursor: {}\n", told.next_cursor)
}

fn change_json(change: &v1::OfferChange) -> Value {
    match &change.change {
        Some(Change::Put(listed)) => json!({ "put": show::listed_json(listed) }),
        Some(Change::Withdrawn(withdrawn)) => json!({ "withdrawn": {
            "merchant_id": withdrawn.merchant_id,
            "offer_id": withdrawn.offer_id,
            "withdraw_time": render::json_instant(withdrawn.withdraw_time.as_ref()),
        }}),
        None => Value::Null,
    }
}
