//! `hansa finance liability`, `hansa finance ledger`: what finance books, as documents that the hub signed.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::{hub::Hub, money::Money};
use hansa_proto::v1;
use serde_json::Value;

use crate::cli::{
    connect::Connection,
    documents::{self, Form},
    exit,
    render::{self, Column},
    session,
};

const HELP: &str = "Without --out: a table. With it: the document, JSON, CSV or XLSX, and beside it its signature. A funder's \
points are worth their reserve prices unless --allocated says what was allocated to them (IFRS 15, ASC 606).";

/// Open points, when.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct LiabilityArgs {
    /// At the end of this cycle. Default: as far as the log goes.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    cycle: u32,
    /// Share of the points issued that is expected to be redeemed in all, basis points. Default: all of them.
    #[arg(long, value_name = "BPS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    expected: Option<u32>,
    /// What was allocated to a funder's points, and what earlier periods recognised of it: MERCHANT=AMOUNT or
    /// MERCHANT=AMOUNT:RECOGNISED. May be given several times.
    #[arg(long, value_name = "MERCHANT=AMOUNT")]
    allocated: Vec<String>,
    #[command(flatten)]
    document: Document,
}

/// The journal of which cycle.
#[derive(Debug, ClapArgs)]
pub struct LedgerArgs {
    /// Number of the cycle; closed.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: u32,
    #[command(flatten)]
    document: Document,
}

/// Where to.
#[derive(Debug, ClapArgs)]
struct Document {
    /// Form of the document.
    #[arg(
        long = "format",
        value_name = "FORM",
        value_enum,
        requires = "out",
        default_value = "csv"
    )]
    form: Form,
    /// File, or folder, to write to.
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: render::Format,
}

/// Runs it.
pub async fn liability(args: LiabilityArgs) -> anyhow::Result<()> {
    let hub = session::for_documents(session::operator(&args.document.connection).await?);
    let currency = session::currency(&hub).await?;
    let allocated = args.allocated.iter();
    let request = v1::GetFinanceDocumentRequest {
        kind: v1::FinanceDocumentKind::Liability.into(),
        cycle_number: args.cycle,
        format: v1::DocumentFormat::Json.into(),
        expected_redemption_bps: args.expected.unwrap_or(0),
        allocated_prices: allocated
            .map(|text| price(text, &currency))
            .collect::<anyhow::Result<_>>()?,
    };
    args.document.run(&hub, request, liability_text).await
}

/// Runs it.
pub async fn ledger(args: LedgerArgs) -> anyhow::Result<()> {
    let hub = session::for_documents(session::operator(&args.document.connection).await?);
    let request = v1::GetFinanceDocumentRequest {
        kind: v1::FinanceDocumentKind::GeneralLedger.into(),
        cycle_number: args.cycle,
        format: v1::DocumentFormat::Json.into(),
        ..v1::GetFinanceDocumentRequest::default()
    };
    args.document.run(&hub, request, ledger_text).await
}

impl Document {
    /// The document as a file; or without one as a table, of its JSON form.
    async fn run(
        &self,
        hub: &Hub,
        mut request: v1::GetFinanceDocumentRequest,
        text: fn(&Value) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        if let Some(out) = &self.out {
            request.format = self.form.wire().into();
            let document = hub.finance_document(request).await?;
            let path = documents::save(&document, Some(out))?;
            return documents::tell(&[(path, document.content.len())], self.format.json);
        }
        let document = hub.finance_document(request).await?;
        let value: Value = serde_json::from_slice(&document.content)?;
        if self.format.json {
            return render::print_json(&value);
        }
        render::print(&text(&value)?)
    }
}

/// `bakery=9000.00` or `bakery=9000.00:4175.00`.
fn price(text: &str, currency: &str) -> anyhow::Result<v1::AllocatedPrice> {
    let usage = || {
        let message = format!("\"{text}\": MERCHANT=AMOUNT or MERCHANT=AMOUNT:RECOGNISED");
        exit::coded(exit::USAGE, message)
    };
    let (merchant, amounts) = text.split_once('=').ok_or_else(usage)?;
    let (allocated, recognised) = amounts.split_once(':').unwrap_or((amounts, "0"));
    let micros = |amount: &str| {
        let money = Money::parse(amount, currency).map_err(|_| usage())?;
        anyhow::Ok(money.micros())
    };
    Ok(v1::AllocatedPrice {
        merchant_id: merchant.to_owned(),
        allocated_micros: micros(allocated)?,
        recognised_before_micros: micros(recognised)?,
    })
}

/// The text of an amount in a document.
fn decimal(value: &Value) -> String {
    value["decimal"].as_str().unwrap_or_default().to_owned()
}

fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn rows(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value
        .as_array()
        .context("a list is missing in the document")
}

fn liability_text(document: &Value) -> anyhow::Result<String> {
    let report = &document["report"];
    let mut table = render::table(&[
        Column::Left("funder"),
        Column::Right("open points"),
        Column::Right("value"),
        Column::Right("in reserve"),
        Column::Right("expected breakage"),
        Column::Right("deferred revenue"),
    ]);
    for funder in rows(&document["funders"])? {
        table.add_row([
            string(&funder["funder"]["id"]),
            string(&funder["points"]),
            decimal(&funder["value"]),
            decimal(&funder["in_reserve"]),
            decimal(&funder["breakage"]),
            decimal(&funder["revenue"]["deferred"]),
        ]);
    }
    let totals = &document["totals"];
    table.add_row([
        "all".to_owned(),
        string(&totals["points"]),
        decimal(&totals["value"]),
        decimal(&totals["in_reserve"]),
        decimal(&totals["breakage"]),
        decimal(&totals["deferred"]),
    ]);
    let mut ages = render::table(&[
        Column::Left("funder"),
        Column::Left("mode"),
        Column::Right("age in days"),
        Column::Right("open points"),
        Column::Right("value"),
    ]);
    let bands = rows(&report["ages"])?;
    for row in rows(&report["outstanding"])? {
        let band = row["band"]
            .as_u64()
            .and_then(|band| usize::try_from(band).ok());
        ages.add_row([
            string(&row["funder"]["id"]),
            string(&row["mode"]),
            band.and_then(|band| bands.get(band))
                .map(string)
                .unwrap_or_default(),
            string(&row["points"]),
            decimal(&row["value"]),
        ]);
    }
    let mut text = format!(
        "Liability as of {}, in {}\n{}\n\n{}\n",
        string(&report["as_of"]),
        string(&report["currency"]),
        table.trim_fmt(),
        ages.trim_fmt()
    );
    let revenue = decimal(&totals["revenue_of_period"]);
    let _ = writeln!(text, "Revenue of the period: {revenue}");
    Ok(text)
}

fn ledger_text(document: &Value) -> anyhow::Result<String> {
    let mut table = render::table(&[
        Column::Left("account"),
        Column::Left("name"),
        Column::Right("debits"),
        Column::Right("credits"),
        Column::Right("balance"),
    ]);
    for balance in rows(&document["balances"])? {
        table.add_row([
            string(&balance["account"]),
            string(&balance["account_name"]),
            decimal(&balance["debits"]),
            decimal(&balance["credits"]),
            decimal(&balance["balance"]),
        ]);
    }
    let control = &document["control"];
    Ok(format!(
        "Amounts in {}\n{}\n{} documents, {} lines, debits {} = credits {}\n",
        string(&document["currency"]),
        table.trim_fmt(),
        string(&control["documents"]),
        string(&control["lines"]),
        decimal(&control["debits"]),
        decimal(&control["credits"]),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocated_price_may_have_what_was_recognised_before() {
        let first = price("bakery=9000.00", "EUR").unwrap();
        let amounts = (first.allocated_micros, first.recognised_before_micros);
        assert_eq!(amounts, (9_000_000_000, 0));
        let next = price("bakery=9000.00:4175.00", "EUR").unwrap();
        assert_eq!(next.recognised_before_micros, 4_175_000_000);
        assert_eq!(next.merchant_id, "bakery");
        for broken in ["bakery", "bakery=", "bakery=x", "bakery=1:x"] {
            assert!(price(broken, "EUR").is_err(), "{broken}");
        }
    }
}
