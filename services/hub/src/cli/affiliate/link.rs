//! `hansa affiliate link`: create, end, list.

use clap::Subcommand;
use hansa_client::hub::Hub;
use hansa_proto::v1;
use serde_json::{Value, json};

use crate::cli::{
    connect::Connection,
    pages,
    render::{self, Column, Format},
    session,
};

/// What about links.
#[derive(Debug, Subcommand)]
pub(super) enum Link {
    /// Make a link to a merchant. Affiliates.
    Create {
        /// The merchant that it leads to.
        #[arg(long, value_name = "ID")]
        to: String,
        /// Where it leads: an http or https URL of the merchant's.
        #[arg(value_name = "URL")]
        destination: String,
        /// Number of the affiliate's site that it stands on; 0: none is named.
        #[arg(long, default_value_t = 0, value_name = "N")]
        site: u32,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// End a link: it leads on, without a click id. Its affiliate, or an operator.
    End {
        /// The link.
        #[arg(value_name = "LINK")]
        link: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Links in the order in which they were made; an affiliate's own.
    List {
        /// Only those of this affiliate. Operators.
        #[arg(long, value_name = "ID")]
        affiliate: Option<String>,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
}

/// Runs it.
pub(super) async fn run(command: Link) -> anyhow::Result<()> {
    match command {
        Link::Create {
            to,
            destination,
            site,
            connection,
            format,
        } => {
            let hub = session::merchant(&connection).await?;
            let request = v1::CreateLinkRequest {
                merchant_id: to,
                destination,
                site,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.touches().create_link(request).await
                })
                .await?;
            let link = answer.link.unwrap_or_default();
            tell(format, &link, |link| {
                format!(
                    "Link {id} leads to {} at {}.\nClicks: /c/{id}, views: /v/{id}, at the hub's redirect endpoint.\n",
                    link.merchant_id,
                    link.destination,
                    id = link.link_id,
                )
            })
        }
        Link::End {
            link,
            connection,
            format,
        } => {
            let hub = session::either(&connection).await?.hub;
            let request = v1::EndLinkRequest { link_id: link };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.touches().end_link(request).await
                })
                .await?;
            let link = answer.link.unwrap_or_default();
            tell(format, &link, |link| {
                let at = render::instant(link.ended_time.as_ref());
                format!(
                    "Link {} ended at {at}; it leads on without a click id.\n",
                    link.link_id
                )
            })
        }
        Link::List {
            affiliate,
            connection,
            format,
        } => {
            let hub = session::either(&connection).await?.hub;
            list(&hub, affiliate.unwrap_or_default(), format).await
        }
    }
}

fn tell(
    format: Format,
    link: &v1::TrackingLink,
    words: impl Fn(&v1::TrackingLink) -> String,
) -> anyhow::Result<()> {
    if format.json {
        render::print_json(&link_json(link))
    } else {
        render::print(&words(link))
    }
}

async fn list(hub: &Hub, affiliate_id: String, format: Format) -> anyhow::Result<()> {
    let links = pages::all(async |page_token| {
        let request = v1::ListLinksRequest {
            affiliate_id: affiliate_id.clone(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.touches().list_links(request).await
            })
            .await?;
        Ok((page.links, page.next_page_token))
    })
    .await?;
    if format.json {
        let links: Vec<Value> = links.iter().map(link_json).collect();
        return render::print_json(&json!({ "links": links }));
    }
    if links.is_empty() {
        return render::print("No links.\n");
    }
    let mut table = render::table(&[
        Column::Left("link"),
        Column::Left("affiliate"),
        Column::Right("site"),
        Column::Left("merchant"),
        Column::Left("made"),
        Column::Left("ended"),
        Column::Left("destination"),
    ]);
    for link in &links {
        table.add_row([
            link.link_id.clone(),
            link.affiliate_id.clone(),
            link.site.to_string(),
            link.merchant_id.clone(),
            render::instant(link.created_time.as_ref()),
            render::instant(link.ended_time.as_ref()),
            link.destination.clone(),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

fn link_json(link: &v1::TrackingLink) -> Value {
    json!({
        "link_id": link.link_id,
        "affiliate_id": link.affiliate_id,
        "site": link.site,
        "merchant_id": link.merchant_id,
        "destination": link.destination,
        "created_time": render::json_instant(link.created_time.as_ref()),
        "ended_time": render::json_instant(link.ended_time.as_ref()),
    })
}
