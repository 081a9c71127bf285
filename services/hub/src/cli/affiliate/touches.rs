//! `hansa affiliate touches`: what links brought.

use chrono::{DateTime, Utc};
use clap::Args as ClapArgs;
use hansa_client::{hub::Hub, keys::hex};
use hansa_proto::v1;
use serde_json::{Value, json};

use crate::{
    cli::{
        connect::Connection,
        render::{self, Column, Format},
        session,
    },
    convert::timestamp,
};

/// Which touches.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Only those from this instant on (RFC 3339). Default: the last 24 hours.
    #[arg(long, value_name = "INSTANT")]
    since: Option<DateTime<Utc>>,
    /// Only those before this instant (RFC 3339). Default: up to now.
    #[arg(long, value_name = "INSTANT")]
    until: Option<DateTime<Utc>>,
    /// Those that lead to the caller, instead of the caller's own.
    #[arg(long)]
    inbound: bool,
    /// Only those of this affiliate. Operators.
    #[arg(long, value_name = "ID", conflicts_with = "inbound")]
    affiliate: Option<String>,
    /// Their numbers by affiliate, merchant, day, kind and whether they count.
    #[arg(long, conflicts_with = "limit")]
    count: bool,
    /// At most so many.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let hub = session::either(&args.connection).await?.hub;
    let since = match args.since {
        Some(since) => since.timestamp_micros(),
        None => {
            let now = session::status(&hub).await?.now;
            now.as_ref().map_or(0, crate::convert::micros) - 86_400_000_000
        }
    };
    if args.count {
        count(&hub, args, since).await
    } else {
        list(&hub, args, since).await
    }
}

fn kind(kind: v1::TouchKind) -> &'static str {
    render::name(kind.as_str_name(), "TOUCH_KIND_")
}

/// Why it does not count; empty: it counts.
fn refusal(refusal: v1::TouchRefusal) -> &'static str {
    match refusal {
        v1::TouchRefusal::Unspecified => "",
        why => render::name(why.as_str_name(), "TOUCH_REFUSAL_"),
    }
}

fn flags(touch: &v1::Touch) -> Vec<&'static str> {
    let names = touch.flags().map(|flag| flag.as_str_name());
    names
        .map(|name| render::name(name, "TOUCH_FLAG_"))
        .collect()
}

async fn list(hub: &Hub, args: &Args, since: i64) -> anyhow::Result<()> {
    let limit = args.limit as usize;
    let mut touches = Vec::new();
    let mut request = v1::ListTouchesRequest {
        start_time: Some(timestamp(since)),
        end_time: args.until.map(|at| timestamp(at.timestamp_micros())),
        inbound: args.inbound,
        affiliate_id: args.affiliate.clone().unwrap_or_default(),
        page_size: i32::try_from(limit.min(1_000))?,
        page_token: String::new(),
    };
    let more = loop {
        let page = hub
            .call(request.clone(), async |hub: Hub, request| {
                hub.touches().list_touches(request).await
            })
            .await?;
        touches.extend(page.touches);
        if page.next_page_token.is_empty() {
            break false;
        }
        if touches.len() >= limit {
            break true;
        }
        request.page_token = page.next_page_token;
    };
    let more = more || touches.len() > limit;
    touches.truncate(limit);
    if args.format.json {
        let shown: Vec<Value> = touches.iter().map(touch_json).collect();
        return render::print_json(&json!({ "touches": shown, "more": more }));
    }
    if touches.is_empty() {
        return render::print("No touches.\n");
    }
    let mut table = render::table(&[
        Column::Left("at"),
        Column::Left("kind"),
        Column::Left("affiliate"),
        Column::Left("merchant"),
        Column::Left("link or code"),
        Column::Left("sub id"),
        Column::Left("from"),
        Column::Left("flags"),
        Column::Left("does not count"),
    ]);
    for touch in &touches {
        let invalid = match touch.invalid_reason.as_str() {
            "" => refusal(touch.refusal()).to_owned(),
            reason => format!("INVALID: {reason}"),
        };
        table.add_row([
            render::instant(touch.event_time.as_ref()),
            kind(touch.kind()).to_owned(),
            touch.affiliate_id.clone(),
            touch.merchant_id.clone(),
            format!("{}{}", touch.link_id, touch.code),
            touch.sub_id.clone(),
            touch.referrer_host.clone(),
            flags(touch).join(" "),
            invalid,
        ]);
    }
    let rest = if more {
        "There are more; raise --limit, or begin with --since.\n"
    } else {
        ""
    };
    render::print(&format!("{}\n{rest}", table.trim_fmt()))
}

async fn count(hub: &Hub, args: &Args, since: i64) -> anyhow::Result<()> {
    let request = v1::CountTouchesRequest {
        start_time: Some(timestamp(since)),
        end_time: args.until.map(|at| timestamp(at.timestamp_micros())),
        inbound: args.inbound,
        affiliate_id: args.affiliate.clone().unwrap_or_default(),
    };
    let counts = hub
        .call(request, async |hub: Hub, request| {
            hub.touches().count_touches(request).await
        })
        .await?
        .counts;
    if args.format.json {
        let shown: Vec<Value> = counts.iter().map(count_json).collect();
        return render::print_json(&json!({ "counts": shown }));
    }
    if counts.is_empty() {
        return render::print("No touches.\n");
    }
    let mut table = render::table(&[
        Column::Left("affiliate"),
        Column::Left("merchant"),
        Column::Left("day"),
        Column::Left("kind"),
        Column::Right("touches"),
        Column::Left("do not count"),
    ]);
    for count in &counts {
        table.add_row([
            count.affiliate_id.clone(),
            count.merchant_id.clone(),
            count.day.clone(),
            kind(count.kind()).to_owned(),
            render::number(count.touches),
            refusal(count.refusal()).to_owned(),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

fn touch_json(touch: &v1::Touch) -> Value {
    json!({
        "touch_id": hex(&touch.touch_id),
        "kind": kind(touch.kind()),
        "event_time": render::json_instant(touch.event_time.as_ref()),
        "affiliate_id": touch.affiliate_id,
        "merchant_id": touch.merchant_id,
        "site": touch.site,
        "link_id": touch.link_id,
        "code": touch.code,
        "sub_id": touch.sub_id,
        "flags": flags(touch),
        "refusal": refusal(touch.refusal()),
        "referrer_host": touch.referrer_host,
        "invalid_reason": touch.invalid_reason,
        "invalid_time": render::json_instant(touch.invalid_time.as_ref()),
    })
}

fn count_json(count: &v1::TouchCount) -> Value {
    json!({
        "affiliate_id": count.affiliate_id,
        "merchant_id": count.merchant_id,
        "day": count.day,
        "kind": kind(count.kind()),
        "refusal": refusal(count.refusal()),
        "touches": count.touches,
    })
}
