//! Bank reports and exceptions. Entries of a report stand in the log, at the report's entry; the ledger keeps what waits.

use hansa_proto::v1::{self, fact::Fact as F};
use hansa_settlement::{
    ExceptionNo,
    finance::{BankReport, Exception, ExceptionState, FinanceRefusal},
};
use prost::Message as _;

use super::{Api, fact, newest_first};
use crate::{
    auth::Caller,
    convert::timestamp,
    error::HubError,
    finance::{import, refused, show},
    sequencer::View,
    services::{alliance::check, page},
};

/// Reports of a page at most.
const MAX_REPORTS: i32 = 100;

/// A page ends behind the report that fills it. Unit: bytes.
const PAGE_BYTES: usize = 4 << 20;

/// What the ledger keeps of a report.
struct Kept {
    seq: u64,
    posted: bool,
    imported_at: i64,
    exceptions: Vec<v1::ReconciliationException>,
}

fn kept(view: &View<'_>, report: &BankReport) -> Kept {
    let exceptions = view.global.finance().exceptions().iter();
    Kept {
        seq: report.seq,
        posted: report.posted.is_some(),
        imported_at: report.imported_at.0,
        exceptions: exceptions
            .filter(|exception| exception.report == report.number)
            .map(show::exception)
            .collect(),
    }
}

fn whole(mut report: v1::BankReport, kept: Kept) -> v1::BankReport {
    report.exceptions = kept.exceptions;
    report.posted = kept.posted;
    report.imported_at = Some(timestamp(kept.imported_at));
    report
}

impl Api {
    pub(super) async fn imported(
        &self,
        caller: &Caller,
        request: v1::ImportBankReportRequest,
    ) -> Result<v1::ImportBankReportResponse, HubError> {
        let imported_by = caller.finance()?.to_owned();
        let actor = caller.actor();
        let format = request.format();
        let (content, name) = (request.content, request.file_name);
        let reading = move || import::read(&content, &name, format);
        let file = tokio::task::spawn_blocking(reading)
            .await
            .map_err(HubError::internal)??;
        let sha256 = file.sha256;
        let validate_only = request.validate_only;
        let (checked, already_imported) = self
            .write(caller.actor(), Vec::new(), move |view| {
                if view.global.finance().report_of_file(&sha256).is_some() {
                    return Ok((Vec::new(), (None, true)));
                }
                let report = v1::BankReport {
                    imported_by,
                    ..import::fact(view.global, &file, view.now)?
                };
                let facts = vec![fact(F::BankReportImported(report.clone()))];
                if validate_only {
                    check(view, &facts, &actor)?;
                    return Ok((Vec::new(), (Some(report), false)));
                }
                Ok((facts, (None, false)))
            })
            .await?;
        if let Some(report) = checked {
            return Ok(v1::ImportBankReportResponse {
                report: Some(report),
                already_imported,
            });
        }
        let kept = self
            .read(move |view| {
                let report = view.global.finance().report_of_file(&sha256);
                let report = report.ok_or_else(|| HubError::internal("a report is gone"))?;
                Ok(kept(view, report))
            })
            .await?;
        Ok(v1::ImportBankReportResponse {
            report: Some(self.report(kept).await?),
            already_imported,
        })
    }

    /// A report with its entries, out of the log.
    async fn report(&self, kept: Kept) -> Result<v1::BankReport, HubError> {
        let row = self.0.store.entry(kept.seq).await?;
        let row = row.ok_or_else(|| {
            HubError::internal(format!("entry {} of a bank report is missing", kept.seq))
        })?;
        let envelope = v1::Envelope::decode(row.envelope).map_err(HubError::internal)?;
        let written = v1::Facts::decode(envelope.payload).map_err(HubError::internal)?;
        let report = written.facts.into_iter().find_map(|fact| match fact.fact {
            Some(F::BankReportImported(report)) => Some(report),
            _ => None,
        });
        let report = report.ok_or_else(|| {
            HubError::internal(format!("entry {} holds no bank report", kept.seq))
        })?;
        Ok(whole(report, kept))
    }

    pub(super) async fn bank_reports(
        &self,
        request: v1::ListBankReportsRequest,
    ) -> Result<v1::ListBankReportsResponse, HubError> {
        if request.page_size > MAX_REPORTS {
            let text = "1 to 100, or 0 for the default";
            return Err(HubError::field("page_size", "OUT_OF_RANGE", text));
        }
        let size = page::size(request.page_size, 10)?;
        let start = page::start(&request.page_token, "reports")?;
        let (found, mut next) = self
            .read(move |view| {
                let reports = view.global.finance().reports();
                let (page, next) = newest_first(reports, start, size, |_| true);
                let found: Vec<(u64, Kept)> = page
                    .into_iter()
                    .map(|report| (u64::from(report.number.0), kept(view, report)))
                    .collect();
                Ok((found, next))
            })
            .await?;
        let mut reports = Vec::with_capacity(found.len());
        let mut bytes = 0;
        for (number, kept) in found {
            if bytes > PAGE_BYTES {
                next = Some(number);
                break;
            }
            let report = self.report(kept).await?;
            bytes += report.encoded_len();
            reports.push(report);
        }
        Ok(v1::ListBankReportsResponse {
            reports,
            next_page_token: next.map_or_else(String::new, |next| page::token("reports", next)),
        })
    }

    pub(super) async fn exceptions(
        &self,
        request: v1::ListExceptionsRequest,
    ) -> Result<v1::ListExceptionsResponse, HubError> {
        let size = page::size(request.page_size, 100)?;
        let start = page::start(&request.page_token, "exceptions")?;
        self.read(move |view| {
            let any = request.state() == v1::ExceptionState::Unspecified;
            let wanted =
                |exception: &Exception| any || show::exception(exception).state == request.state;
            let exceptions = view.global.finance().exceptions();
            let (page, next) = newest_first(exceptions, start, size, wanted);
            Ok(v1::ListExceptionsResponse {
                exceptions: page.into_iter().map(show::exception).collect(),
                next_page_token: next
                    .map_or_else(String::new, |next| page::token("exceptions", next)),
            })
        })
        .await
    }

    pub(super) async fn explained(
        &self,
        caller: &Caller,
        request: v1::ExplainExceptionRequest,
    ) -> Result<v1::ExplainExceptionResponse, HubError> {
        let holder = caller.finance()?.to_owned();
        let number = ExceptionNo(u32::try_from(request.exception_number).unwrap_or(u32::MAX));
        self.write(caller.actor(), Vec::new(), move |view| {
            let known = view.global.finance().exception(number);
            // Sent again: the same words of the same person.
            let same = known.is_some_and(|known| {
                known.state == ExceptionState::Explained
                    && (&known.resolution, &known.resolved_by) == (&request.explanation, &holder)
            });
            if same {
                return Ok((Vec::new(), ()));
            }
            let explained = v1::ExceptionExplained {
                exception_number: request.exception_number,
                explanation: request.explanation,
                holder,
            };
            Ok((vec![fact(F::ExceptionExplained(explained))], ()))
        })
        .await?;
        self.read(move |view| {
            let found = view.global.finance().exception(number);
            let found = found.ok_or_else(|| refused(&FinanceRefusal::ExceptionNotFound(number)))?;
            Ok(v1::ExplainExceptionResponse {
                exception: Some(show::exception(found)),
            })
        })
        .await
    }
}
