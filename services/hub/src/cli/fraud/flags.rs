//! `hansa fraud flags`, `flag`, `appeal`, `bans`, `status`: what is flagged, and why.

use std::fmt::Write as _;

use clap::Args;
use hansa_client::{hub::Hub, keys::hex};
use hansa_proto::v1;
use serde_json::{Value, json};

use crate::cli::{
    connect::Connection,
    pages,
    render::{self, Column, Format},
    session,
};

/// Options of `flags`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this affiliate.
    #[arg(long, value_name = "ID")]
    affiliate: Option<String>,
    /// Only those that wait for somebody to decide.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Options of `flag`.
#[derive(Debug, Args)]
pub struct Show {
    /// Number of the flag.
    #[arg(value_name = "FLAG")]
    flag: u64,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Options of `appeal`.
#[derive(Debug, Args)]
pub struct Appeal {
    /// Number of the flag.
    #[arg(value_name = "FLAG")]
    flag: u64,
    /// Why it is wrong.
    #[arg(long, value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Options of `bans` and `status`.
#[derive(Debug, Args)]
pub struct Look {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn list(args: &List) -> anyhow::Result<()> {
    let hub = session::either(&args.connection).await?.hub;
    let flags = pages::all(async |page_token| {
        let request = v1::ListFlagsRequest {
            affiliate_id: args.affiliate.clone().unwrap_or_default(),
            open_only: args.open,
            page_size: 500,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.fraud().list_flags(request).await
            })
            .await?;
        Ok((page.flags, page.next_page_token))
    })
    .await?;
    if args.format.json {
        let flags: Vec<Value> = flags.iter().map(flag_json).collect();
        return render::print_json(&json!({ "flags": flags }));
    }
    if flags.is_empty() {
        return render::print("No flags.\n");
    }
    let mut table = render::table(&[
        Column::Right("flag"),
        Column::Left("affiliate"),
        Column::Left("merchant"),
        Column::Left("scheme"),
        Column::Left("band"),
        Column::Left("raised"),
        Column::Left("case"),
        Column::Right("held"),
        Column::Right("commission"),
        Column::Left("next"),
    ]);
    for flag in &flags {
        table.add_row([
            flag.flag_number.to_string(),
            flag.affiliate_id.clone(),
            flag.merchant_id.clone(),
            render::words(scheme(flag)),
            band(flag).to_lowercase(),
            render::instant(flag.raised_time.as_ref()),
            case_words(flag),
            flag.held_conversions.to_string(),
            held_amount(flag),
            next_step(flag),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

pub(super) async fn show(args: &Show) -> anyhow::Result<()> {
    let hub = session::either(&args.connection).await?.hub;
    let request = v1::GetFlagRequest {
        flag_number: args.flag,
    };
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.fraud().get_flag(request).await
        })
        .await?;
    let flag = answer.flag.unwrap_or_default();
    if args.format.json {
        let held: Vec<Value> = answer.held.iter().map(held_json).collect();
        return render::print_json(&json!({ "flag": flag_json(&flag), "held": held }));
    }
    let mut text = flag_text(&flag);
    for held in &answer.held {
        let commission = held.commission.clone().unwrap_or_default();
        let _ = writeln!(
            text,
            "  conversion {}/{}: {} waits since {}",
            held.leaf_index,
            held.entry_position,
            render::amount(commission.micros, &commission.currency_code),
            render::instant(held.held_time.as_ref()),
        );
    }
    render::print(&text)
}

pub(super) async fn appeal(args: &Appeal) -> anyhow::Result<()> {
    let hub = session::merchant(&args.connection).await?;
    let request = v1::AppealFlagRequest {
        flag_number: args.flag,
        text: args.text.clone(),
    };
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.fraud().appeal_flag(request).await
        })
        .await?;
    let flag = answer.flag.unwrap_or_default();
    if args.format.json {
        return render::print_json(&json!({ "flag": flag_json(&flag) }));
    }
    render::print(&flag_text(&flag))
}

pub(super) async fn bans(args: &Look) -> anyhow::Result<()> {
    let hub = session::either(&args.connection).await?.hub;
    let answer = hub
        .call(v1::ListBansRequest {}, async |hub: Hub, request| {
            hub.fraud().list_bans(request).await
        })
        .await?;
    let severity = |ban: &v1::AffiliateBan| {
        render::name(ban.severity().as_str_name(), "FRAUD_SEVERITY_").to_owned()
    };
    let reason = |ban: &v1::AffiliateBan| render::name(ban.scheme().as_str_name(), "FRAUD_SCHEME_");
    if args.format.json {
        let bans = answer.bans.iter().map(|ban| {
            json!({
                "affiliate_id": ban.affiliate_id,
                "scheme": reason(ban),
                "severity": severity(ban),
                "since": render::json_instant(ban.since.as_ref()),
            })
        });
        return render::print_json(&json!({ "bans": bans.collect::<Vec<_>>() }));
    }
    if answer.bans.is_empty() {
        return render::print("Nobody is banned.\n");
    }
    let mut table = render::table(&[
        Column::Left("affiliate"),
        Column::Left("for"),
        Column::Left("severity"),
        Column::Left("since"),
    ]);
    for ban in &answer.bans {
        table.add_row([
            ban.affiliate_id.clone(),
            render::words(reason(ban)),
            severity(ban).to_lowercase(),
            render::instant(ban.since.as_ref()),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

pub(super) async fn status(args: &Look) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let status = hub
        .call(v1::GetFraudStatusRequest {}, async |hub: Hub, request| {
            hub.fraud().get_fraud_status(request).await
        })
        .await?;
    if args.format.json {
        return render::print_json(&json!({
            "until": render::json_instant(status.until.as_ref()),
            "tree_size": status.tree_size,
            "touches": status.touches,
            "assessed_time": render::json_instant(status.assessed_time.as_ref()),
            "rules_version": status.rules_version,
            "flags": status.flags,
            "open_flags": status.open_flags,
            "held_conversions": status.held_conversions,
            "state_sha256": hex(&status.state_sha256),
            "points_messages": status.points_messages,
            "points_flags": status.points_flags,
        }));
    }
    render::print(&format!(
        "Traffic before {} is judged: {} entries, {} touches; everybody last at {}.\n\
         Flags: {}, open: {}. Conversions that wait: {}. Rules version {}.\n\
         Messages of points that were scored: {}, flagged: {}.\n",
        render::instant(status.until.as_ref()),
        render::number(status.tree_size),
        render::number(status.touches),
        render::instant(status.assessed_time.as_ref()),
        status.flags,
        status.open_flags,
        status.held_conversions,
        status.rules_version,
        render::number(status.points_messages),
        render::number(status.points_flags),
    ))
}

pub(super) async fn points(args: &Look) -> anyhow::Result<()> {
    let hub = session::either(&args.connection).await?.hub;
    let flags = pages::all(async |page_token| {
        let request = v1::ListPointsFlagsRequest {
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.fraud().list_points_flags(request).await
            })
            .await?;
        Ok((page.flags, page.next_page_token))
    })
    .await?;
    let band = |flag: &v1::PointsFlag| render::name(flag.band().as_str_name(), "FRAUD_BAND_");
    if args.format.json {
        let flags = flags.iter().map(|flag| {
            json!({
                "points_flag_number": flag.points_flag_number,
                "leaf_index": flag.leaf_index,
                "entry_position": flag.entry_position,
                "merchant_id": flag.merchant_id,
                "member_number": flag.member_number,
                "event_time": render::json_instant(flag.event_time.as_ref()),
                "band": band(flag),
                "evidence": flag.evidence,
            })
        });
        return render::print_json(&json!({ "flags": flags.collect::<Vec<_>>() }));
    }
    if flags.is_empty() {
        return render::print("No message of points is flagged.\n");
    }
    let mut table = render::table(&[
        Column::Right("flag"),
        Column::Left("message"),
        Column::Left("merchant"),
        Column::Right("member"),
        Column::Left("when"),
        Column::Left("band"),
        Column::Left("because"),
    ]);
    for flag in &flags {
        table.add_row([
            flag.points_flag_number.to_string(),
            format!("{}/{}", flag.leaf_index, flag.entry_position),
            flag.merchant_id.clone(),
            flag.member_number.to_string(),
            render::instant(flag.event_time.as_ref()),
            band(flag).to_lowercase(),
            flag.evidence.join("; "),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

fn scheme(flag: &v1::FraudFlag) -> &'static str {
    render::name(flag.scheme().as_str_name(), "FRAUD_SCHEME_")
}

fn band(flag: &v1::FraudFlag) -> &'static str {
    render::name(flag.band().as_str_name(), "FRAUD_BAND_")
}

fn state(flag: &v1::FraudFlag) -> &'static str {
    render::name(flag.case_state().as_str_name(), "FRAUD_CASE_STATE_")
}

fn outcome(flag: &v1::FraudFlag) -> Option<&'static str> {
    (flag.outcome() != v1::FraudOutcome::Unspecified)
        .then(|| render::name(flag.outcome().as_str_name(), "FRAUD_OUTCOME_"))
}

fn case_words(flag: &v1::FraudFlag) -> String {
    let word = outcome(flag).unwrap_or_else(|| state(flag));
    render::words(word).to_lowercase()
}

fn held_amount(flag: &v1::FraudFlag) -> String {
    let held = flag.held_commission.clone().unwrap_or_default();
    render::amount(held.micros, &held.currency_code)
}

/// Whose turn it is, and until when.
fn next_step(flag: &v1::FraudFlag) -> String {
    if let Some(deadline) = &flag.ruling_deadline {
        return format!("rule on the appeal by {}", render::instant(Some(deadline)));
    }
    match flag.case_state() {
        v1::FraudCaseState::Pending => "take the case".to_owned(),
        v1::FraudCaseState::Investigating => "close the case".to_owned(),
        v1::FraudCaseState::Closed | v1::FraudCaseState::Unspecified => match &flag.appeal_deadline
        {
            Some(deadline) => format!("appeal before {}", render::instant(Some(deadline))),
            None => String::new(),
        },
    }
}

fn flag_text(flag: &v1::FraudFlag) -> String {
    let mut text = format!(
        "Flag {}: {} by {} at {} ({})\nraised {} under rules version {}\n",
        flag.flag_number,
        render::words(scheme(flag)).to_lowercase(),
        flag.affiliate_id,
        flag.merchant_id,
        band(flag).to_lowercase(),
        render::instant(flag.raised_time.as_ref()),
        flag.rules_version,
    );
    for evidence in &flag.evidence {
        let _ = writeln!(text, "  - {evidence}");
    }
    let _ = write!(text, "case: {}", case_words(flag));
    if let Some(at) = &flag.closed_time {
        let _ = write!(text, " {}", render::instant(Some(at)));
    }
    if !flag.closed_by.is_empty() {
        let _ = write!(text, " by {}", flag.closed_by);
    }
    if !flag.note.is_empty() {
        let _ = write!(text, ": {}", flag.note);
    }
    text.push('\n');
    if let Some(at) = &flag.appealed_time {
        let _ = writeln!(
            text,
            "appealed {}: {}",
            render::instant(Some(at)),
            flag.appeal_text
        );
    }
    let _ = writeln!(
        text,
        "{} conversions wait, {} of commission",
        flag.held_conversions,
        held_amount(flag)
    );
    if let Some(at) = &flag.forfeit_time {
        let _ = writeln!(
            text,
            "what waits is taken back from {} on",
            render::instant(Some(at))
        );
    }
    let next = next_step(flag);
    if !next.is_empty() {
        let _ = writeln!(text, "Next: {next}.");
    }
    text
}

fn flag_json(flag: &v1::FraudFlag) -> Value {
    let held = flag.held_commission.clone().unwrap_or_default();
    json!({
        "flag_number": flag.flag_number,
        "affiliate_id": flag.affiliate_id,
        "merchant_id": flag.merchant_id,
        "scheme": scheme(flag),
        "band": band(flag),
        "raised_time": render::json_instant(flag.raised_time.as_ref()),
        "holding_time": render::json_instant(flag.holding_time.as_ref()),
        "evidence": flag.evidence,
        "evidence_sha256": hex(&flag.evidence_sha256),
        "rules_version": flag.rules_version,
        "case_state": state(flag),
        "outcome": outcome(flag),
        "closed_time": render::json_instant(flag.closed_time.as_ref()),
        "closed_by": flag.closed_by,
        "note": flag.note,
        "appeal_deadline": render::json_instant(flag.appeal_deadline.as_ref()),
        "appealed_time": render::json_instant(flag.appealed_time.as_ref()),
        "appeal_text": flag.appeal_text,
        "ruling_deadline": render::json_instant(flag.ruling_deadline.as_ref()),
        "forfeit_time": render::json_instant(flag.forfeit_time.as_ref()),
        "snoozed_until": render::json_instant(flag.snoozed_until.as_ref()),
        "held_conversions": flag.held_conversions,
        "held_commission_micros": held.micros,
        "currency_code": held.currency_code,
    })
}

fn held_json(held: &v1::HeldConversion) -> Value {
    let commission = held.commission.clone().unwrap_or_default();
    json!({
        "leaf_index": held.leaf_index,
        "entry_position": held.entry_position,
        "held_time": render::json_instant(held.held_time.as_ref()),
        "commission_micros": commission.micros,
        "currency_code": commission.currency_code,
    })
}
