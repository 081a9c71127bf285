//! `hansa offers put`: a file's offers stand from now on. Nothing is put while any of them breaks a rule.

use std::{fs::File, io::BufReader, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::hub::{CallError, FieldViolation, Hub};
use hansa_proto::v1;
use serde_json::json;

use super::{
    owner,
    rows::{self, COLUMNS, Row},
};
use crate::{
    cli::{
        connect::Connection,
        exit,
        render::{self, Format},
        session,
        sheet::{self, Form, Problem},
    },
    offers::MAX_OFFERS,
};

const HELP: &str = "\
Columns of a CSV file (the first line names them, in any order) and fields of JSON lines:
  offer_id       the merchant's own id of the offer
  kind           PRODUCT, PROMOTION or CODE
  title          a line of text
  description    more text; may be empty
  destination    https URL that it leads to
  image_url      https URL of a picture; may be empty
  price          exact decimal; a PRODUCT needs it
  sale_price     what it costs now, below the price
  currency       ISO 4217, with a price
  category       as the merchant's rate card names it
  country_codes  ISO 3166 codes with spaces between: DE AT; empty: all
  gtin           8, 12, 13 or 14 digits
  brand          text
  availability   IN_STOCK, OUT_OF_STOCK, PREORDER or BACKORDER
  code           what shoppers enter; a CODE needs it
  start_time     first instant of it, RFC 3339 with offset; empty: at once
  end_time       first instant behind it; empty: no end

All offers are checked, by the hub, too, before any is put. An offer is replaced whole; one that stands just so makes no
change, so after an interruption run the same command again. Offers that are not in the file stay as they are: withdraw
them. deploy/offers.example.csv is an example.";

/// What to put.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The offers.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Form of the file. Default: by its name.
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Only check the offers; put none.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Format,
}

/// Runs it.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let form = sheet::form(&args.file, args.format)?;
    let file = File::open(&args.file);
    let file = file.with_context(|| format!("cannot read {}", args.file.display()))?;
    let rows = match rows::read(BufReader::new(file), form) {
        Ok(rows) => rows,
        Err(problems) => {
            sheet::tell_problems(&problems, args.output)?;
            return Ok(exit::FAILED.into());
        }
    };
    let (session, merchant) = owner(&args.connection).await?;
    let hub = session::patient(session.hub);
    let problems = check(&hub, &merchant, &rows).await?;
    if !problems.is_empty() {
        sheet::tell_problems(&problems, args.output)?;
        return Ok(exit::REFUSED.into());
    }
    if !args.dry_run {
        return put(&hub, &merchant, &rows, args.output).await;
    }
    let count = rows.len();
    if args.output.json {
        render::print_json(&json!({ "offers": count, "dry_run": true }))?;
    } else {
        let count = render::number(count as u64);
        render::print(&format!("{count} offers are in order; none was put.\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn call(
    hub: &Hub,
    merchant: &str,
    rows: &[Row],
    validate_only: bool,
) -> Result<v1::PutOffersResponse, CallError> {
    let request = v1::PutOffersRequest {
        merchant_id: merchant.to_owned(),
        offers: rows.iter().map(|(_, offer)| offer.clone()).collect(),
        validate_only,
    };
    hub.call(request, async |hub: Hub, request| {
        hub.offers().put_offers(request).await
    })
    .await
}

/// What the hub finds wrong with the rows, by line.
async fn check(hub: &Hub, merchant: &str, rows: &[Row]) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for chunk in rows.chunks(MAX_OFFERS) {
        match call(hub, merchant, chunk, true).await {
            Ok(_) => {}
            Err(refusal) => {
                let found: Option<Vec<Problem>> = refusal
                    .violations
                    .iter()
                    .map(|violation| problem(violation, chunk))
                    .collect();
                match found {
                    Some(found) if !found.is_empty() => problems.extend(found),
                    Some(_) | None => return Err(refusal.into()),
                }
            }
        }
    }
    Ok(problems)
}

/// `offers[3].title` as line and column. `None` where it is no row's fault.
pub(super) fn problem(violation: &FieldViolation, rows: &[Row]) -> Option<Problem> {
    let (index, rest) = violation.field.strip_prefix("offers[")?.split_once(']')?;
    let (line, _) = rows.get(index.parse::<usize>().ok()?)?;
    let name = rest.trim_start_matches('.');
    let column = COLUMNS.names.iter().find(|column| **column == name);
    let text = violation.description.clone();
    Some(match column {
        Some(column) => Problem::of_column(*line, column, text),
        None => Problem::of_row(*line, text),
    })
}

async fn put(hub: &Hub, merchant: &str, rows: &[Row], output: Format) -> anyhow::Result<ExitCode> {
    let (mut created, mut replaced, mut unchanged) = (0_u64, 0_u64, 0_u64);
    let bar = render::bar(rows.len() as u64, "offers");
    for (index, chunk) in rows.chunks(MAX_OFFERS).enumerate() {
        let put = call(hub, merchant, chunk, false).await.with_context(|| {
            let before = render::number((index * MAX_OFFERS) as u64);
            format!("the first {before} offers are put; run the same command again for the others")
        })?;
        created += u64::from(put.created);
        replaced += u64::from(put.replaced);
        unchanged += u64::from(put.unchanged);
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    if output.json {
        render::print_json(&json!({
            "offers": rows.len(),
            "created": created,
            "replaced": replaced,
            "unchanged": unchanged,
        }))?;
    } else {
        render::print(&format!(
            "{} offers of {merchant} stand: {} new, {} replaced, {} unchanged.\n",
            render::number(rows.len() as u64),
            render::number(created),
            render::number(replaced),
            render::number(unchanged),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
