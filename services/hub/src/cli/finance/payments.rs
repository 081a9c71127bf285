//! `hansa finance payments`, `payment-file` and `submit`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::{
    hub::{CallError, Hub},
    keys::hex,
};
use hansa_proto::v1;
use ring::digest::{SHA256, digest};
use serde_json::json;

use super::{json, next, value, words};
use crate::cli::{
    connect::Connection,
    exit, pages,
    render::{self, Column, Format},
    session,
};

/// Which payments.
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Only those of this cycle.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: Option<u32>,
    /// Only those in this state.
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = value::payment_state())]
    state: Option<v1::PaymentState>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Which payment file.
#[derive(Debug, ClapArgs)]
pub struct FileArgs {
    /// Number of the cycle; its settlement is approved.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: u32,
    /// The merchant that pays. Default: the hub.
    #[arg(long, value_name = "MERCHANT")]
    payer: Option<String>,
    /// The file of this one payment, which was instructed again. Default: what the settlement instructed.
    #[arg(long, value_name = "N")]
    payment: Option<u64>,
    /// Form: PAIN_001 (ISO 20022 pain.001.001.09) or CSV.
    #[arg(long = "as", value_name = "FORM", ignore_case = true, default_value = "PAIN_001", value_parser = value::file_format())]
    form: v1::PaymentFileFormat,
    /// Where the file goes. Default: the name that the hub proposes, in this directory.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Which payments were handed in.
#[derive(Debug, ClapArgs)]
pub struct SubmitArgs {
    /// Number of the cycle; its settlement is approved.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: u32,
    /// Only what this merchant pays.
    #[arg(long, value_name = "MERCHANT", conflicts_with = "hub_only")]
    payer: Option<String>,
    /// Only what the hub pays.
    #[arg(long)]
    hub_only: bool,
    /// The file that was handed in: refused unless it is the very one that the hub gives.
    #[arg(long, value_name = "FILE", conflicts_with = "payer")]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// All payments that a request names, page after page.
pub(super) async fn all(
    hub: &Hub,
    cycle_number: u32,
    state: v1::PaymentState,
) -> Result<Vec<v1::Payment>, CallError> {
    pages::all(async |page_token| {
        let request = v1::ListPaymentsRequest {
            cycle_number,
            state: state.into(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.finance().list_payments(request).await
            })
            .await?;
        Ok((page.payments, page.next_page_token))
    })
    .await
}

/// Runs `payments`.
pub(super) async fn list(args: ListArgs) -> anyhow::Result<()> {
    let session = session::either(&args.connection).await?;
    let state = args.state.unwrap_or(v1::PaymentState::Unspecified);
    let mut payments = all(&session.hub, args.cycle.unwrap_or(0), state).await?;
    // An operator who names a merchant wants its payments.
    if let Some(merchant) = &session.merchant {
        payments.retain(|p| p.payer_merchant_id == *merchant || p.payee_merchant_id == *merchant);
    }
    if args.format.json {
        return render::print_json(&json::list("payments", &payments, json::payment));
    }
    let currency = session::currency(&session.hub).await?;
    let mut text = payments_text(&payments, &currency);
    if session.merchant.is_none() {
        text += &next::of_payments(&payments);
    }
    render::print(&text)
}

fn payments_text(payments: &[v1::Payment], currency: &str) -> String {
    if payments.is_empty() {
        return "No payments.\n".to_owned();
    }
    let mut table = render::table(&[
        Column::Right("payment"),
        Column::Right("cycle"),
        Column::Left("who pays"),
        Column::Left("to whom"),
        Column::Right("amount"),
        Column::Left("state"),
        Column::Left("since"),
        Column::Left("end-to-end id"),
    ]);
    for payment in payments {
        let mut state = words::payment_state(payment).to_owned();
        if !payment.bank_reason.is_empty() {
            let _ = write!(state, " ({})", payment.bank_reason);
        }
        table.add_row([
            payment.payment_number.to_string(),
            payment.cycle_number.to_string(),
            words::party(&payment.payer_merchant_id).to_owned(),
            words::party(&payment.payee_merchant_id).to_owned(),
            render::amount(payment.amount_micros, currency),
            state,
            render::instant(payment.state_at.as_ref()),
            payment.end_to_end_id.clone(),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// The file of one payer.
async fn file_of(
    hub: &Hub,
    cycle_number: u32,
    payer: &str,
    payment_number: u64,
    format: v1::PaymentFileFormat,
) -> Result<v1::GetPaymentFileResponse, CallError> {
    let request = v1::GetPaymentFileRequest {
        cycle_number,
        payer_merchant_id: payer.to_owned(),
        format: format.into(),
        payment_number,
    };
    hub.call(request, async |hub: Hub, request| {
        hub.finance().get_payment_file(request).await
    })
    .await
}

/// Runs `payment-file`.
pub(super) async fn file(args: FileArgs) -> anyhow::Result<()> {
    let session = session::either(&args.connection).await?;
    let payer = match (&args.payer, &session.merchant) {
        (Some(payer), _) => payer.as_str(),
        (None, Some(merchant)) => merchant.as_str(),
        (None, None) => "",
    };
    let again = args.payment.unwrap_or(0);
    let file = file_of(&session.hub, args.cycle, payer, again, args.form).await?;
    let found = digest(&SHA256, &file.content);
    if found.as_ref() != file.sha256 {
        let message = "the file is not the one whose SHA-256 the hub names; ask again";
        return Err(exit::coded(exit::MISMATCH, message));
    }
    let out = args
        .out
        .unwrap_or_else(|| PathBuf::from(file.file_name.replace(['/', '\\'], "-")));
    std::fs::write(&out, &file.content)
        .with_context(|| format!("cannot write {}", out.display()))?;
    if args.format.json {
        return render::print_json(&json!({
            "file": out.display().to_string(),
            "media_type": file.media_type,
            "sha256": hex(&file.sha256),
            "payment_numbers": file.payment_numbers,
        }));
    }
    render::print(&format!(
        "{} has {} of {} in cycle {}.\nSHA-256 {}\nHand it to the bank, then: hansa finance submit {}\n",
        out.display(),
        payments_word(file.payment_numbers.len()),
        words::party(payer),
        args.cycle,
        hex(&file.sha256),
        args.cycle
    ))
}

fn payments_word(count: usize) -> String {
    match count {
        1 => "1 payment".to_owned(),
        _ => format!("{count} payments"),
    }
}

/// Runs `submit`: the hub's payments with their file's digest, the merchants' as asked for.
pub(super) async fn submit(args: SubmitArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let currency = session::currency(&hub).await?;
    let wanted = |payment: &v1::Payment| match &args.payer {
        Some(payer) => payment.payer_merchant_id == *payer,
        None => !args.hub_only || payment.payer_merchant_id.is_empty(),
    };
    let mut pending = all(&hub, args.cycle, v1::PaymentState::Pending).await?;
    pending.retain(wanted);
    if pending.is_empty() {
        if args.format.json {
            return render::print_json(&json::list("payments", &pending, json::payment));
        }
        return render::print(&format!(
            "Nothing to do: no payment of cycle {} is pending. hansa finance payments --cycle {} shows them.\n",
            args.cycle, args.cycle
        ));
    }
    let (by_hub, asked): (Vec<_>, Vec<_>) = pending
        .iter()
        .partition(|payment| payment.payer_merchant_id.is_empty());
    // What was instructed again goes to the bank in a file of its own.
    let (again, first): (Vec<_>, Vec<_>) = by_hub
        .iter()
        .copied()
        .partition(|payment| payment.replaces_payment_number != 0);
    let mut steps = Vec::new();
    let given = args.file.as_deref().map(digest_of).transpose()?;
    let mut files = Vec::new();
    if !first.is_empty() {
        files.push((0, first));
    }
    files.extend(again.into_iter().map(|p| (p.payment_number, vec![p])));
    for (number, payments) in files {
        let Some(file_sha256) = handed_in(&hub, args.cycle, number, given.as_deref()).await? else {
            continue;
        };
        steps.push(v1::RecordSubmissionRequest {
            payment_numbers: numbers(&payments),
            file_sha256,
        });
    }
    if let (Some(path), true) = (&args.file, steps.is_empty()) {
        let message = format!(
            "{} is no payment file with pending payments of cycle {}; hansa finance payment-file {} writes it",
            path.display(),
            args.cycle,
            args.cycle
        );
        return Err(exit::coded(exit::MISMATCH, message));
    }
    if !asked.is_empty() && args.file.is_none() {
        steps.push(v1::RecordSubmissionRequest {
            payment_numbers: numbers(&asked),
            file_sha256: Vec::new(),
        });
    }
    let (files, rest): (Vec<_>, Vec<_>) =
        steps.iter().partition(|step| !step.file_sha256.is_empty());
    let count = |steps: &[&v1::RecordSubmissionRequest]| {
        payments_word(steps.iter().map(|step| step.payment_numbers.len()).sum())
    };
    if !args.format.json {
        render::print(&payments_text(&pending, &currency))?;
    }
    let question = format!(
        "Record {} as handed to the bank and {} as asked for from their payers?",
        count(&files),
        count(&rest)
    );
    if !render::confirm(&question, args.yes)? {
        return Err(exit::coded(exit::FAILED, "nothing was recorded"));
    }
    let mut submitted = Vec::new();
    for step in steps {
        let answer = hub
            .call(step, async |hub: Hub, request| {
                hub.finance().record_submission(request).await
            })
            .await?;
        submitted.extend(answer.payments);
    }
    submitted.sort_by_key(|payment| payment.payment_number);
    if args.format.json {
        return render::print_json(&json::list("payments", &submitted, json::payment));
    }
    render::print(&format!(
        "{} recorded. When the bank's report comes: hansa finance import FILE\n",
        payments_word(submitted.len())
    ))
}

fn numbers(payments: &[&v1::Payment]) -> Vec<u64> {
    payments.iter().map(|p| p.payment_number).collect()
}

fn digest_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(digest(&SHA256, &content).as_ref().to_vec())
}

/// The digest under which a file was handed in: the hub's own pain.001, or the given one where it is a form of this file.
async fn handed_in(
    hub: &Hub,
    cycle: u32,
    payment: u64,
    given: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, CallError> {
    let pain = file_of(hub, cycle, "", payment, v1::PaymentFileFormat::Pain001).await?;
    let Some(given) = given else {
        return Ok(Some(pain.sha256));
    };
    if given == pain.sha256 {
        return Ok(Some(pain.sha256));
    }
    let csv = file_of(hub, cycle, "", payment, v1::PaymentFileFormat::Csv).await?;
    Ok((given == csv.sha256).then_some(csv.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_listed_with_the_banks_reason() {
        let payment = v1::Payment {
            payment_number: 7,
            cycle_number: 3,
            payee_merchant_id: "a".into(),
            amount_micros: 3_440_000,
            state: v1::PaymentState::Rejected.into(),
            end_to_end_id: "HANSA-3-7".into(),
            bank_reason: "AC04".into(),
            ..v1::Payment::default()
        };
        let text = payments_text(&[payment], "EUR");
        for part in ["the hub", "3.44 EUR", "REJECTED (AC04)", "HANSA-3-7"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(payments_text(&[], "EUR"), "No payments.\n");
    }
}
