//! Payments, payment files, submissions.

use hansa_proto::v1::{self, fact::Fact as F};
use hansa_settlement::{
    CycleNo, Global, MerchantIx, PaymentNo,
    finance::{FinanceRefusal, Party, PaymentInstruction, PaymentState, Step},
};
use ring::digest::{SHA256, digest};
use tonic::Code;

use super::{Api, fact};
use crate::{
    auth::Caller,
    convert::cycle_no,
    error::{HubError, Reason},
    finance::{self, order, read, refused, show},
    registry::Registry,
    sequencer::View,
    services::page,
};

/// Payments of one submission at most.
const MAX_SUBMITTED: usize = 100_000;

fn number(wire: u64) -> PaymentNo {
    PaymentNo(u32::try_from(wire).unwrap_or(u32::MAX))
}

impl Api {
    pub(super) async fn payments(
        &self,
        caller: &Caller,
        request: v1::ListPaymentsRequest,
    ) -> Result<v1::ListPaymentsResponse, HubError> {
        let size = page::size(request.page_size, 100)?;
        let start = page::start(&request.page_token, "payments")?;
        let only = match caller {
            Caller::Operator { .. } => None,
            Caller::Merchant { index, .. } => Some(Party::Merchant(MerchantIx(*index))),
        };
        self.read(move |view| Ok(payments_page(view, &request, only, start, size)))
            .await
    }

    pub(super) async fn payment_file(
        &self,
        caller: &Caller,
        request: v1::GetPaymentFileRequest,
    ) -> Result<v1::GetPaymentFileResponse, HubError> {
        if let Caller::Merchant { slug, .. } = caller
            && *slug != request.payer_merchant_id
        {
            let whose = format!("the payment file of \"{}\"", request.payer_merchant_id);
            return Err(HubError::not_found(whose));
        }
        if request.format() == v1::PaymentFileFormat::Unspecified {
            let text = "say which form: PAIN_001 or CSV";
            return Err(HubError::field("format", "REQUIRED", text));
        }
        self.read(move |view| {
            let payer = finance::party(view.registry, &request.payer_merchant_id);
            let payer = payer.ok_or_else(|| refused(&FinanceRefusal::MerchantNotFound))?;
            let again = (request.payment_number != 0).then(|| number(request.payment_number));
            let cycle = cycle_no(request.cycle_number);
            file(
                view.global,
                view.registry,
                cycle,
                payer,
                again,
                request.format(),
            )
        })
        .await
    }

    pub(super) async fn submitted(
        &self,
        caller: &Caller,
        request: v1::RecordSubmissionRequest,
    ) -> Result<v1::RecordSubmissionResponse, HubError> {
        let holder = caller.finance()?.to_owned();
        if request.payment_numbers.len() > MAX_SUBMITTED {
            let text = "at most 100 000 payments in a call";
            return Err(HubError::field("payment_numbers", "COUNT", text));
        }
        let numbers: Vec<PaymentNo> = request.payment_numbers.iter().map(|n| number(*n)).collect();
        let named = numbers.clone();
        self.write(caller.actor(), Vec::new(), move |view| {
            if is_submitted(view.global, &numbers, &request.file_sha256) {
                return Ok((Vec::new(), ()));
            }
            check_file(view.global, view.registry, &numbers, &request.file_sha256)?;
            let submitted = v1::PaymentsSubmitted {
                payment_numbers: request.payment_numbers,
                file_sha256: request.file_sha256,
                holder,
            };
            Ok((vec![fact(F::PaymentsSubmitted(submitted))], ()))
        })
        .await?;
        self.read(move |view| {
            let (global, registry) = (view.global, view.registry);
            let found = named.iter().filter_map(|n| global.finance().payment(*n));
            Ok(v1::RecordSubmissionResponse {
                payments: found.map(|p| show::payment(global, registry, p)).collect(),
            })
        })
        .await
    }
}

fn payments_page(
    view: &View<'_>,
    request: &v1::ListPaymentsRequest,
    only: Option<Party>,
    start: u64,
    size: usize,
) -> v1::ListPaymentsResponse {
    let state = read::payment_state(request.state());
    let cycle = (request.cycle_number != 0).then(|| cycle_no(request.cycle_number));
    let wanted = |payment: &&PaymentInstruction| {
        only.is_none_or(|own| payment.payer == own || payment.payee == own)
            && state.is_none_or(|state| payment.state == state)
            && cycle.is_none_or(|cycle| payment.cycle == cycle)
    };
    let skipped = usize::try_from(start).unwrap_or(usize::MAX);
    let all = view.global.finance().payments();
    let mut found = all.iter().skip(skipped).filter(wanted);
    let payments = found
        .by_ref()
        .take(size)
        .map(|payment| show::payment(view.global, view.registry, payment))
        .collect();
    // A token names how many payments lie before the page.
    let next = found.next().map(|payment| u64::from(payment.number.0) - 1);
    v1::ListPaymentsResponse {
        payments,
        next_page_token: next.map_or_else(String::new, |next| page::token("payments", next)),
    }
}

/// The file of a batch in one of its forms.
fn file(
    global: &Global,
    registry: &Registry,
    cycle: CycleNo,
    payer: Party,
    again: Option<PaymentNo>,
    format: v1::PaymentFileFormat,
) -> Result<v1::GetPaymentFileResponse, HubError> {
    let batch = order::batch(global, cycle, payer, again)?;
    let file = order::file(global, registry, &batch, format)?;
    Ok(v1::GetPaymentFileResponse {
        sha256: digest(&SHA256, &file.content).as_ref().to_vec(),
        file_name: file.name,
        media_type: file.media_type.to_owned(),
        content: file.content,
        payment_numbers: batch.payments.iter().map(|p| p.number.0.into()).collect(),
    })
}

/// Sent again: these very payments were recorded with this very file.
fn is_submitted(global: &Global, numbers: &[PaymentNo], file_sha256: &[u8]) -> bool {
    let same = |step: &Step| match step {
        Step::PaymentsSubmitted {
            payments,
            file_sha256: recorded,
        } => {
            payments == numbers
                && recorded
                    .as_ref()
                    .map_or(&[][..], |sha256| sha256.as_slice())
                    == file_sha256
        }
        _ => false,
    };
    let trail = global.finance().trail();
    !numbers.is_empty() && trail.iter().rev().any(|entry| same(&entry.step))
}

fn mismatch(message: impl Into<String>) -> HubError {
    let reason = Reason::Ledger {
        code: "PAYMENT_FILE_MISMATCH",
        status: Code::FailedPrecondition,
    };
    HubError::new(reason, message.into())
}

/// What the hub pays goes to the bank in the file that the hub makes; a digest that is named is that of such a file with these
/// payments in it.
fn check_file(
    global: &Global,
    registry: &Registry,
    numbers: &[PaymentNo],
    file_sha256: &[u8],
) -> Result<(), HubError> {
    if numbers.is_empty() {
        return Err(refused(&FinanceRefusal::NothingListed));
    }
    let finance = global.finance();
    let mut payments = Vec::with_capacity(numbers.len());
    for number in numbers {
        let payment = finance
            .payment(*number)
            .ok_or_else(|| refused(&FinanceRefusal::PaymentNotFound(*number)))?;
        payments.push(payment);
    }
    let pending = |payment: &&PaymentInstruction| payment.state != PaymentState::Pending;
    if let Some(payment) = payments.iter().copied().find(|payment| pending(payment)) {
        return Err(refused(&FinanceRefusal::PaymentState {
            payment: payment.number,
            state: payment.state,
            needed: "PENDING",
        }));
    }
    if file_sha256.is_empty() {
        return match payments.iter().find(|payment| payment.payer == Party::Hub) {
            None => Ok(()),
            Some(payment) => Err(mismatch(format!(
                "payment {} is the hub's own: hand in its payment file and name the file's SHA-256",
                payment.number
            ))),
        };
    }
    if order::digests(global, registry, &payments)?
        .iter()
        .any(|digest| digest.as_slice() == file_sha256)
    {
        return Ok(());
    }
    let text = "the SHA-256 is not that of the payment file with these payments; get it again and hand that one in";
    Err(mismatch(text))
}
