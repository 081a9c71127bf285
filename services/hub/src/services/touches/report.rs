//! Touches that a participant's own redirector, banner server or till reports: every field checked, all violations told.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use hansa_fraud::lists::Request as Shown;
use hansa_proto::v1::{self, TouchKind};

use super::millis;
use crate::{
    convert::Fields,
    error::HubError,
    registry::Registry,
    touches::{
        Reported, Touches, is_sub_id,
        judge::Sight,
        links::{Found, Link},
        parties::takes_affiliates,
        placed,
        placement::Placed,
    },
};

/// How late a touch may be told. Unit: milliseconds.
const MAX_LATE_MS: u64 = 3_600_000;

/// How far the reporter's clock may be ahead. Unit: milliseconds.
const MAX_AHEAD_MS: u64 = 60_000;

/// Longest code. Unit: bytes.
const MAX_CODE: usize = 64;

/// Longest of the texts that a browser sends. Unit: bytes.
const MAX_TEXT: usize = 8_192;

/// Reads what participant `caller` reports; nothing is taken where anything is wrong.
pub(super) async fn read(
    touches: &Touches,
    registry: &Registry,
    caller: u32,
    reports: Vec<v1::TouchReport>,
) -> Result<Vec<Reported>, HubError> {
    let links = links(touches, &reports).await?;
    let now = touches.now_ms();
    let mut fields = Fields::default();
    let mut read = Vec::with_capacity(reports.len());
    for (index, report) in reports.into_iter().enumerate() {
        let at = |name: &str| format!("touches[{index}].{name}");
        let link = links.get(&report.link_id).cloned();
        if link.is_none() && !report.link_id.is_empty() {
            let text = format!("there is no link \"{}\"", report.link_id);
            fields.broken(&at("link_id"), "UNKNOWN", text);
            continue;
        }
        let Some(placed) = place(registry, caller, &report, link.as_deref(), &mut fields, &at)
        else {
            continue;
        };
        let at_ms = millis(report.event_time.as_ref(), now);
        check(&report, at_ms, now, &mut fields, &at);
        let judged = match report.kind() {
            TouchKind::Click | TouchKind::View => Some(touches.look(&sight(&report), placed)),
            TouchKind::Code | TouchKind::Unspecified => None,
        };
        read.push(Reported {
            kind: report.kind(),
            at_ms,
            placed,
            link,
            sub_id: report.sub_id,
            code: report.code,
            judged,
        });
    }
    fields.finish(read)
}

/// The links that are named, each looked up once.
async fn links(
    touches: &Touches,
    reports: &[v1::TouchReport],
) -> Result<HashMap<String, Arc<Link>>, HubError> {
    let mut links = HashMap::new();
    for name in reports.iter().map(|report| &report.link_id) {
        if name.is_empty() || links.contains_key(name) {
            continue;
        }
        match touches.links().find(name).await {
            Found::Link(link) => {
                links.insert(name.clone(), link);
            }
            Found::Unknown => {}
            Found::Busy => {
                return Err(HubError::new(
                    crate::error::Reason::StoreUnavailable,
                    "the store did not answer; send the touches again",
                ));
            }
        }
    }
    Ok(links)
}

/// Whose touch it is and to whom, by the caller, the other side that it names, and the link.
fn place(
    registry: &Registry,
    caller: u32,
    report: &v1::TouchReport,
    link: Option<&Link>,
    fields: &mut Fields,
    at: &impl Fn(&str) -> String,
) -> Option<Placed> {
    let linked = link.map(placed);
    if let Some(linked) = linked
        && linked.affiliate != caller
        && linked.merchant != caller
    {
        let text = "the link is another affiliate's and leads to another merchant";
        fields.broken(&at("link_id"), "NOT_YOURS", text);
        return None;
    }
    let other = if report.participant_id.is_empty() {
        None
    } else {
        let other = registry.merchant(&report.participant_id);
        if other.is_none() {
            let text = format!("no participant \"{}\"", report.participant_id);
            fields.broken(&at("participant_id"), "UNKNOWN", text);
            return None;
        }
        other
    };
    let sides = match (linked, other) {
        (Some(linked), None) => (linked.affiliate, linked.merchant),
        (Some(linked), Some(other)) if [linked.affiliate, linked.merchant].contains(&other) => {
            (linked.affiliate, linked.merchant)
        }
        (Some(_), Some(_)) => {
            let text = "the link says another one; leave it empty";
            fields.broken(&at("participant_id"), "MISMATCH", text);
            return None;
        }
        (None, None) => {
            let text = "name the other side, or a link";
            fields.broken(&at("participant_id"), "REQUIRED", text);
            return None;
        }
        (None, Some(other)) if other == caller => {
            let text = "the other side is another participant than the caller";
            fields.broken(&at("participant_id"), "SELF", text);
            return None;
        }
        // Whom affiliates bring traffic is the merchant; between two of those the caller is the affiliate.
        (None, Some(other)) if takes_affiliates(registry, registry.slug(other)) => (caller, other),
        (None, Some(other)) if takes_affiliates(registry, registry.slug(caller)) => (other, caller),
        (None, Some(_)) => {
            let text = "takes no traffic of affiliates; its roles must have AFFILIATE";
            fields.broken(&at("participant_id"), "ROLE", text);
            return None;
        }
    };
    let site = if report.site == 0 {
        linked.map_or(0, |linked| linked.site)
    } else {
        report.site
    };
    if i32::try_from(site).is_err() {
        fields.broken(&at("site"), "OUT_OF_RANGE", "a site's number is below 2^31");
    }
    Some(Placed {
        merchant: sides.1,
        affiliate: sides.0,
        site,
    })
}

/// The rules that need nobody else.
fn check(
    report: &v1::TouchReport,
    at_ms: u64,
    now_ms: u64,
    fields: &mut Fields,
    at: &impl Fn(&str) -> String,
) {
    let kind = report.kind();
    if kind == TouchKind::Unspecified {
        fields.broken(&at("kind"), "REQUIRED", "CLICK, VIEW or CODE");
    }
    if at_ms > now_ms.saturating_add(MAX_AHEAD_MS) || at_ms < now_ms.saturating_sub(MAX_LATE_MS) {
        let text = "at most an hour ago, and not ahead of the hub's clock by more than a minute";
        fields.broken(&at("event_time"), "OUT_OF_RANGE", text);
    }
    if !is_sub_id(&report.sub_id) {
        let text = "at most 128 bytes without control characters";
        fields.broken(&at("sub_id"), "LENGTH", text);
    }
    let coded = kind == TouchKind::Code;
    let code = &report.code;
    if coded == code.is_empty() || code.len() > MAX_CODE || code.chars().any(char::is_control) {
        let text = "1 to 64 bytes without control characters for CODE, empty for the others";
        fields.broken(&at("code"), "CODE", text);
    }
    if !report.client_address.is_empty() && report.client_address.parse::<IpAddr>().is_err() {
        let text = "an IPv4 or IPv6 address without a port, or nothing";
        fields.broken(&at("client_address"), "ADDRESS", text);
    }
    for (name, text) in [
        ("user_agent", &report.user_agent),
        ("referrer", &report.referrer),
        ("query", &report.query),
        ("device", &report.device),
    ] {
        if text.len() > MAX_TEXT {
            fields.broken(&at(name), "LENGTH", "at most 8192 bytes");
        }
    }
}

/// The reported request, as if it had come by itself.
fn sight(report: &v1::TouchReport) -> Sight<'_> {
    let address = report.client_address.parse().ok();
    let request = Shown::new("GET", address, &report.query)
        .header("user-agent", &report.user_agent)
        .header("referer", &report.referrer);
    Sight {
        request,
        address,
        query: &report.query,
        referrer: &report.referrer,
        device: &report.device,
    }
}
