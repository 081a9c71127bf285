//! `hansa finance import`, `reports`, `exceptions` and `explain`: what the bank says, and what of it fits.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::{
    hub::{CallError, Hub},
    keys::hex,
};
use hansa_proto::v1;
use serde_json::json;

use super::{json, next, value, words};
use crate::cli::{
    connect::Connection,
    pages,
    render::{self, Column, Format},
    session,
};

/// What to import.
#[derive(Debug, ClapArgs)]
pub struct ImportArgs {
    /// The bank's file: pain.002, camt.053 or camt.054 (any version), or CSV.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its form. Default: found out from the content.
    #[arg(long = "as", value_name = "FORM", ignore_case = true, value_parser = value::report_format())]
    form: Option<v1::BankReportFormat>,
    /// Only read and match.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Which reports.
#[derive(Debug, ClapArgs)]
pub struct ReportsArgs {
    /// Only this one, with its entries.
    #[arg(value_name = "REPORT")]
    report: Option<u64>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Which exceptions.
#[derive(Debug, ClapArgs)]
pub struct ExceptionsArgs {
    /// Only those in this state.
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = value::exception_state())]
    state: Option<v1::ExceptionState>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// What to explain.
#[derive(Debug, ClapArgs)]
pub struct ExplainArgs {
    /// Number of the exception.
    #[arg(value_name = "EXCEPTION")]
    exception: u64,
    /// Why no money hangs on it; stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs `import`.
pub(super) async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let shown = args.file.display();
    let content = std::fs::read(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let hub = session::operator(&args.connection).await?;
    let file_name = args.file.file_name();
    let request = v1::ImportBankReportRequest {
        content,
        file_name: file_name.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        format: args
            .form
            .unwrap_or(v1::BankReportFormat::Unspecified)
            .into(),
        validate_only: args.dry_run,
    };
    let imported = hub
        .call(request, async |hub: Hub, request| {
            hub.finance().import_bank_report(request).await
        })
        .await?;
    let report = imported.report.unwrap_or_default();
    if args.format.json {
        return render::print_json(&json!({
            "report": json::report(&report),
            "already_imported": imported.already_imported,
            "imported": !args.dry_run && !imported.already_imported,
        }));
    }
    let currency = session::currency(&hub).await?;
    let mut text = report_text(&report, &currency);
    if imported.already_imported {
        let _ = writeln!(text, "It was imported before; nothing changed.");
    } else if args.dry_run {
        let _ = writeln!(text, "Nothing was imported.");
    }
    if !args.dry_run {
        text += &next::of_report(&report);
    }
    render::print(&text)
}

/// One report: what was read, what fits, what does not.
fn report_text(report: &v1::BankReport, currency: &str) -> String {
    let mut text = format!(
        "Bank report {}, {}, {}, of {}\n",
        report.report_number,
        render::name(report.format().as_str_name(), "BANK_REPORT_FORMAT_"),
        report.message_id,
        report.file_name,
    );
    let _ = writeln!(text, "SHA-256 {}", hex(&report.sha256));
    if let (Some(opening), Some(closing)) = (report.opening_micros, report.closing_micros) {
        let _ = writeln!(
            text,
            "Account {}: {} at the beginning, {} at the end",
            report.account,
            render::amount(opening, currency),
            render::amount(closing, currency)
        );
    }
    if !report.entries.is_empty() {
        let _ = writeln!(text, "\n{}", entries_table(report));
    }
    if report.entries.is_empty() && report.statuses.is_empty() && report.exceptions.is_empty() {
        let _ = writeln!(text, "It tells of nothing.");
    }
    for status in &report.statuses {
        let state = render::name(status.state().as_str_name(), "PAYMENT_STATE_").to_lowercase();
        let _ = writeln!(
            text,
            "Payment {} is {state} ({}).",
            status.payment_number, status.reason
        );
    }
    if !report.exceptions.is_empty() {
        let _ = write!(text, "\n{}", exceptions_text(&report.exceptions));
    }
    text
}

/// Entries with the payments that each one fits.
fn entries_table(report: &v1::BankReport) -> String {
    let mut table = render::table(&[
        Column::Right("entry"),
        Column::Left("booked"),
        Column::Right("amount"),
        Column::Left("with"),
        Column::Left("end-to-end id"),
        Column::Left("fits"),
    ]);
    for entry in &report.entries {
        let fits = report
            .matches
            .iter()
            .find(|found| found.entry_numbers.contains(&entry.entry_number));
        let fits = fits.map_or_else(
            || "-".to_owned(),
            |found| {
                let numbers: Vec<String> =
                    found.payment_numbers.iter().map(u64::to_string).collect();
                let returned = if found.is_return { " returned" } else { "" };
                format!("payment {}{returned}", numbers.join(", "))
            },
        );
        table.add_row([
            entry.entry_number.to_string(),
            entry.booking_date.clone(),
            render::signed(entry.amount_micros),
            entry.counterparty_name.clone(),
            entry.end_to_end_id.clone(),
            fits,
        ]);
    }
    table.trim_fmt()
}

/// Every report that there is, newest first.
async fn all(hub: &Hub) -> Result<Vec<v1::BankReport>, CallError> {
    pages::all(async |page_token| {
        let request = v1::ListBankReportsRequest {
            page_size: 100,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.finance().list_bank_reports(request).await
            })
            .await?;
        Ok((page.reports, page.next_page_token))
    })
    .await
}

/// Runs `reports`.
pub(super) async fn reports(args: ReportsArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let mut reports = all(&hub).await?;
    if let Some(number) = args.report {
        reports.retain(|report| report.report_number == number);
        if reports.is_empty() {
            anyhow::bail!("there is no bank report {number}; hansa finance reports lists them");
        }
    }
    if args.format.json {
        return render::print_json(&json::list("reports", &reports, json::report));
    }
    let currency = session::currency(&hub).await?;
    match (args.report, reports.as_slice()) {
        (Some(_), [one]) => {
            let text = report_text(one, &currency) + &next::of_report(one);
            render::print(&text)
        }
        _ => render::print(&reports_text(&reports)),
    }
}

fn reports_text(reports: &[v1::BankReport]) -> String {
    if reports.is_empty() {
        return "No bank reports.\n".to_owned();
    }
    let mut table = render::table(&[
        Column::Right("report"),
        Column::Left("form"),
        Column::Left("imported"),
        Column::Left("by"),
        Column::Right("entries"),
        Column::Right("matches"),
        Column::Right("exceptions"),
        Column::Left("posted"),
        Column::Left("file"),
    ]);
    for report in reports {
        table.add_row([
            report.report_number.to_string(),
            render::name(report.format().as_str_name(), "BANK_REPORT_FORMAT_").to_owned(),
            render::instant(report.imported_at.as_ref()),
            report.imported_by.clone(),
            report.entries.len().to_string(),
            report.matches.len().to_string(),
            report.exceptions.len().to_string(),
            if report.posted { "yes" } else { "no" }.to_owned(),
            report.file_name.clone(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// Runs `exceptions`.
pub(super) async fn exceptions(args: ExceptionsArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let exceptions = pages::all(async |page_token| {
        let request = v1::ListExceptionsRequest {
            state: args.state.unwrap_or(v1::ExceptionState::Unspecified).into(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.finance().list_exceptions(request).await
            })
            .await?;
        Ok((page.exceptions, page.next_page_token))
    })
    .await?;
    if args.format.json {
        return render::print_json(&json::list("exceptions", &exceptions, json::exception));
    }
    if exceptions.is_empty() {
        return render::print("No exceptions.\n");
    }
    let text = exceptions_text(&exceptions) + &next::of_exceptions(&exceptions);
    render::print(&text)
}

/// What did not fit, field by field.
fn exceptions_text(exceptions: &[v1::ReconciliationException]) -> String {
    let mut text = String::new();
    for exception in exceptions {
        let _ = write!(
            text,
            "Exception {}, {}: ",
            exception.exception_number,
            words::exception_state(exception).to_lowercase()
        );
        let entry = match exception.entry_number {
            0 => String::new(),
            number => format!(
                "entry {number} of bank report {}, ",
                exception.report_number
            ),
        };
        let payment = match exception.payment_number {
            0 => String::new(),
            number => format!("payment {number}, "),
        };
        let _ = writeln!(text, "{entry}{payment}{}", exception.description);
        for difference in &exception.differences {
            let _ = writeln!(
                text,
                "    {}: expected {}, found {}",
                difference.field, difference.expected, difference.found
            );
        }
        if !exception.resolution.is_empty() {
            let by = match exception.resolved_by.as_str() {
                "" => String::new(),
                person => format!(" ({person})"),
            };
            let _ = writeln!(text, "    {}{by}", exception.resolution);
        }
    }
    text
}

/// Runs `explain`.
pub(super) async fn explain(args: ExplainArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let request = v1::ExplainExceptionRequest {
        exception_number: args.exception,
        explanation: args.reason,
    };
    let explained = hub
        .call(request, async |hub: Hub, request| {
            hub.finance().explain_exception(request).await
        })
        .await?;
    let exception = explained.exception.unwrap_or_default();
    if args.format.json {
        return render::print_json(&json!({ "exception": json::exception(&exception) }));
    }
    render::print(&exceptions_text(&[exception]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_what_fits_and_what_differs() {
        let report = v1::BankReport {
            report_number: 2,
            format: v1::BankReportFormat::Camt053.into(),
            message_id: "STMT-1".into(),
            account: "DE02120300000000202051".into(),
            opening_micros: Some(10_000_000),
            closing_micros: Some(6_560_000),
            entries: vec![v1::BankEntry {
                entry_number: 1,
                amount_micros: -3_440_000,
                booking_date: "2026-04-02".into(),
                end_to_end_id: "HANSA-3-1".into(),
                ..v1::BankEntry::default()
            }],
            matches: vec![v1::BankMatch {
                payment_numbers: vec![1],
                entry_numbers: vec![1],
                is_return: false,
            }],
            exceptions: vec![v1::ReconciliationException {
                exception_number: 4,
                report_number: 2,
                entry_number: 2,
                payment_number: 3,
                description: "the amount differs".into(),
                differences: vec![v1::FieldDifference {
                    field: "amount".into(),
                    expected: "1.62".into(),
                    found: "1.26".into(),
                }],
                state: v1::ExceptionState::Open.into(),
                ..v1::ReconciliationException::default()
            }],
            ..v1::BankReport::default()
        };
        let text = report_text(&report, "EUR");
        for part in [
            "Bank report 2, CAMT_053, STMT-1",
            "10.00 EUR at the beginning, 6.56 EUR at the end",
            "-3.440000",
            "payment 1\n",
            "Exception 4, open: entry 2 of bank report 2, payment 3, the amount differs\n    amount: expected 1.62, found 1.26\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(next::of_report(&report).contains("post-reconciliation 2"));
    }
}
