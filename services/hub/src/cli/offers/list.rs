//! `hansa offers list`.

use clap::Args as ClapArgs;
use hansa_client::hub::Hub;
use hansa_proto::v1;
use serde_json::{Value, json};

use super::{Kind, Of, show};
use crate::cli::render::{self, Format};

/// Which offers.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    of: Of,
    /// Only those of this category.
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// Only those of this kind.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// With those that are not in force. The merchant itself, or an operator.
    #[arg(long)]
    all: bool,
    /// At most so many.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let (session, merchant_id) = args.of.session().await?;
    let limit = args.limit as usize;
    let mut offers = Vec::new();
    let mut request = v1::ListOffersRequest {
        merchant_id,
        category: args.category.clone().unwrap_or_default(),
        kind: args.kind.map_or(0, |kind| kind.wire().into()),
        include_not_in_force: args.all,
        page_size: i32::try_from(limit.min(1_000))?,
        page_token: String::new(),
    };
    let more = loop {
        let page = session
            .hub
            .call(request.clone(), async |hub: Hub, request| {
                hub.offers().list_offers(request).await
            });
        let page = page.await?;
        offers.extend(page.offers);
        if page.next_page_token.is_empty() {
            break offers.len() > limit;
        }
        if offers.len() >= limit {
            break true;
        }
        request.page_token = page.next_page_token;
    };
    offers.truncate(limit);
    if args.format.json {
        let offers: Vec<Value> = offers.iter().map(show::listed_json).collect();
        return render::print_json(&json!({ "offers": offers, "more": more }));
    }
    if offers.is_empty() {
        return render::print("No offers.\n");
    }
    let mut table = show::table();
    for listed in &offers {
        table.add_row(show::row(listed));
    }
    let rest = if more {
        "There are more; raise --limit.\n"
    } else {
        ""
    };
    render::print(&format!("{}\n{rest}", table.trim_fmt()))
}
