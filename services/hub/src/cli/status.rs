//! `hansa status`: how far the hub is.

use std::process::ExitCode;

use clap::Args as ClapArgs;
use serde_json::json;

use super::{
    connect::Connection,
    cycle,
    render::{self, Column, Format},
    session,
};

/// Of which hub.
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
    let status = session::status(&session.hub).await?;
    if args.format.json {
        render::print_json(&json!({
            "origin": status.origin,
            "tree_size": status.tree_size,
            "covered_size": status.covered_size,
            "now": render::json_instant(status.now.as_ref()),
            "epoch": status.epoch,
            "resident_bytes": status.resident_bytes,
            "peak_resident_bytes": status.peak_resident_bytes,
            "messages": status.messages,
            "version": status.version,
            "duplicate_key_restarts": status.duplicate_key_restarts,
            "unassigned_messages": status.unassigned_messages,
            "audited_size": status.audited_size,
            "audit_finding": status.audit_finding,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let alliance = session::alliance(&session.hub).await?;
    let mut rows = vec![
        (
            "hub",
            format!("{} at {}", status.version, args.connection.hub),
        ),
        ("its clock", render::instant(status.now.as_ref())),
        ("log", status.origin.clone()),
        ("entries", render::number(status.tree_size)),
        (
            "not projected yet",
            render::number(status.tree_size.saturating_sub(status.covered_size)),
        ),
        ("audited", render::number(status.audited_size)),
        ("messages since it started", render::number(status.messages)),
        ("epoch of ownership", status.epoch.to_string()),
        (
            "memory",
            format!(
                "{} MiB, at most {} MiB",
                render::number(status.resident_bytes >> 20),
                render::number(status.peak_resident_bytes >> 20)
            ),
        ),
    ];
    match &alliance.programme {
        Some(programme) => {
            let open = session.hub.cycle(0).await?.cycle.unwrap_or_default();
            rows.push((
                "programme",
                format!("{}, {}", programme.name, programme.currency_code),
            ));
            // A merchant sees only itself.
            if session.merchant.is_none() {
                rows.push(("merchants", render::number(alliance.merchants.len() as u64)));
            }
            rows.push(("open cycle", cycle::headline(&open)));
        }
        None => rows.push((
            "programme",
            "none yet: hansa apply -f alliance.toml".to_owned(),
        )),
    }
    if status.duplicate_key_restarts > 0 {
        let found = render::number(status.duplicate_key_restarts);
        rows.push((
            "FAULT",
            format!("{found} commits met a key that was there already"),
        ));
    }
    if status.unassigned_messages > 0 {
        let found = render::number(status.unassigned_messages);
        rows.push((
            "FAULT",
            format!("{found} messages are not in exactly one cycle"),
        ));
    }
    if !status.audit_finding.is_empty() {
        rows.push(("AUDIT", status.audit_finding.clone()));
    }
    let mut table = render::table(&[Column::Left("status"), Column::Left("")]);
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))?;
    Ok(ExitCode::SUCCESS)
}
