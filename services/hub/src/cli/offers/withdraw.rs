//! `hansa offers withdraw`.

use clap::Args as ClapArgs;
use hansa_client::hub::Hub;
use hansa_proto::v1;
use serde_json::json;

use super::owner;
use crate::{
    cli::{
        connect::Connection,
        render::{self, Format},
    },
    offers::MAX_OFFERS,
};

/// Which offers.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The merchant's ids of the offers.
    #[arg(value_name = "OFFER", required = true)]
    offers: Vec<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let (session, merchant) = owner(&args.connection).await?;
    let mut withdrawn = 0_u64;
    for chunk in args.offers.chunks(MAX_OFFERS) {
        let request = v1::WithdrawOffersRequest {
            merchant_id: merchant.clone(),
            offer_ids: chunk.to_vec(),
        };
        let answer = session.hub.call(request, async |hub: Hub, request| {
            hub.offers().withdraw_offers(request).await
        });
        withdrawn += u64::from(answer.await?.withdrawn);
    }
    if args.format.json {
        return render::print_json(&json!({ "withdrawn": withdrawn }));
    }
    let count = render::number(withdrawn);
    render::print(&format!("{count} offers of {merchant} are withdrawn.\n"))
}
