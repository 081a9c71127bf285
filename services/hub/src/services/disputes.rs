//! `DisputeService`: disputes over lines of statements. Attachments are kept beside the log, in the commit that names them.

use bytes::Bytes;
use hansa_proto::v1::{self, dispute_service_server::DisputeService, fact::Fact as F};
use hansa_settlement::{
    DisputeNo, Instant,
    finance::{Dispute, FinanceRefusal, MAX_EVIDENCE},
};
use hansa_store::EvidenceRow;
use ring::digest::{SHA256, digest};
use tonic::Request;

use super::{
    Answer, Api,
    finance::{fact, newest_first},
    ok, page,
};
use crate::{
    auth::Caller,
    convert::Fields,
    error::HubError,
    finance::{refused, show},
    sequencer::View,
};

/// Largest attachment. Unit: bytes.
const MAX_ATTACHMENT: usize = 1 << 20;

fn number(wire: u64) -> DisputeNo {
    DisputeNo(u32::try_from(wire).unwrap_or(u32::MAX))
}

/// Attachments as the log names them, and their contents.
pub(super) fn attachments(
    evidence: Vec<v1::Evidence>,
) -> Result<(Vec<v1::Evidence>, Vec<EvidenceRow>), HubError> {
    if evidence.len() > MAX_EVIDENCE {
        return Err(refused(&FinanceRefusal::TooMuchEvidence));
    }
    let mut fields = Fields::default();
    let (mut named, mut rows) = (Vec::new(), Vec::new());
    for (index, one) in evidence.into_iter().enumerate() {
        let at = |name: &str| format!("evidence[{index}].{name}");
        if one.content.is_empty() || one.content.len() > MAX_ATTACHMENT {
            fields.broken(&at("content"), "LENGTH", "1 byte to 1 MiB");
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &one.content).as_ref());
        if !one.sha256.is_empty() && one.sha256 != sha256 {
            let text = "the content has another SHA-256; leave it empty, or send what it names";
            fields.broken(&at("sha256"), "SHA256", text);
        }
        for (name, text) in [
            ("file_name", &one.file_name),
            ("media_type", &one.media_type),
        ] {
            if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
                let text = "1 to 255 bytes without control characters";
                fields.broken(&at(name), "LENGTH", text);
            }
        }
        named.push(v1::Evidence {
            sha256: sha256.to_vec(),
            size: one.content.len() as u64,
            content: Vec::new(),
            ..one
        });
        rows.push(EvidenceRow {
            sha256,
            content: Bytes::from(one.content),
        });
    }
    fields.finish((named, rows))
}

impl Api {
    /// One of the attachments that the log names, with its content.
    pub(super) async fn attachment(
        &self,
        named: Vec<v1::Evidence>,
        sha256: &[u8],
    ) -> Result<v1::Evidence, HubError> {
        let Ok(digest) = <[u8; 32]>::try_from(sha256) else {
            let text = "32 bytes of SHA-256";
            return Err(HubError::field("sha256", "SHA256", text));
        };
        let mut named = named.into_iter();
        let named = named.find(|evidence| evidence.sha256 == sha256);
        let named = named.ok_or_else(|| HubError::not_found("the attachment"))?;
        let content = self.0.store.evidence(&digest).await?;
        // The commit that named it kept it.
        let content = content.ok_or_else(|| HubError::internal("an attachment is missing"))?;
        Ok(v1::Evidence {
            content: content.to_vec(),
            ..named
        })
    }

    async fn dispute(&self, number: DisputeNo) -> Result<v1::Dispute, HubError> {
        self.read(move |view| {
            let found = view.global.finance().dispute(number);
            let found = found.ok_or_else(|| refused(&FinanceRefusal::DisputeNotFound(number)))?;
            Ok(show::dispute(view.registry, found, view.now))
        })
        .await
    }
}

/// The dispute, where it is the merchant's own; all of them for operators.
fn own<'a>(view: &View<'a>, caller: &Caller, number: DisputeNo) -> Result<&'a Dispute, HubError> {
    let found = view.global.finance().dispute(number);
    let found = found.filter(|dispute| match caller {
        Caller::Operator { .. } => true,
        Caller::Merchant { index, .. } => dispute.merchant.0 == *index,
    });
    found.ok_or_else(|| HubError::not_found(format!("dispute {number}")))
}

/// The adjustment of an acceptance or of a ruling for the merchant.
fn remedy(
    view: &View<'_>,
    dispute: &Dispute,
    amount_micros: i64,
    counterparty_merchant_id: String,
) -> v1::Adjustment {
    let shown = show::dispute(view.registry, dispute, view.now);
    v1::Adjustment {
        merchant_id: shown.merchant_id,
        counterparty_merchant_id,
        amount_micros: if amount_micros == 0 {
            dispute.claimed_micros
        } else {
            amount_micros
        },
        reason: v1::AdjustmentReason::Dispute.into(),
        original: shown.original,
        dispute_number: shown.dispute_number,
        exception_number: 0,
        query_number: 0,
    }
}

/// The dispute that a merchant has raised already with these very words; it waits for an answer.
fn raised_before(view: &View<'_>, raised: &v1::DisputeRaised) -> Option<DisputeNo> {
    let disputes = view.global.finance().disputes();
    disputes
        .iter()
        .find(|dispute| {
            let shown = show::dispute(view.registry, dispute, dispute.raised_at.0);
            shown.state() == v1::DisputeState::Raised
                && shown.merchant_id == raised.merchant_id
                && shown.original == raised.original
                && shown.claimed_micros == raised.claimed_micros
                && shown.text == raised.text
                && shown.evidence == raised.evidence
        })
        .map(|dispute| dispute.number)
}

#[tonic::async_trait]
impl DisputeService for Api {
    async fn raise_dispute(
        &self,
        request: Request<v1::RaiseDisputeRequest>,
    ) -> Answer<v1::RaiseDisputeResponse> {
        let caller = self.caller(&request)?;
        let merchant_id = caller.merchant()?.0.to_owned();
        let _place = self.0.limits.admit(&merchant_id)?;
        let request = request.into_inner();
        let (evidence, rows) = attachments(request.evidence)?;
        let raised = self
            .write(caller.actor(), rows, move |view| {
                let next = view.global.finance().next_dispute();
                let raised = v1::DisputeRaised {
                    dispute_number: next.0.into(),
                    merchant_id,
                    original: Some(request.original.unwrap_or_default()),
                    claimed_micros: request.claimed_micros,
                    text: request.text,
                    evidence,
                };
                if let Some(before) = raised_before(view, &raised) {
                    return Ok((Vec::new(), before));
                }
                Ok((vec![fact(F::DisputeRaised(raised))], next))
            })
            .await?;
        ok(v1::RaiseDisputeResponse {
            dispute: Some(self.dispute(raised).await?),
        })
    }

    async fn answer_dispute(
        &self,
        request: Request<v1::AnswerDisputeRequest>,
    ) -> Answer<v1::AnswerDisputeResponse> {
        let caller = self.caller(&request)?;
        let holder = caller.finance()?.to_owned();
        let request = request.into_inner();
        let dispute = number(request.dispute_number);
        let answers = caller.clone();
        self.write(caller.actor(), Vec::new(), move |view| {
            let found = own(view, &answers, dispute)?;
            let answered = found.answered_by == holder && found.answer == request.answer;
            if answered && found.proposal.is_some() == request.accept {
                return Ok((Vec::new(), ()));
            }
            let adjustment = request.accept.then(|| {
                remedy(
                    view,
                    found,
                    request.amount_micros,
                    request.counterparty_merchant_id,
                )
            });
            let answered = v1::DisputeAnswered {
                dispute_number: request.dispute_number,
                accepted: request.accept,
                answer: request.answer,
                holder,
                adjustment,
            };
            Ok((vec![fact(F::DisputeAnswered(answered))], ()))
        })
        .await?;
        ok(v1::AnswerDisputeResponse {
            dispute: Some(self.dispute(dispute).await?),
        })
    }

    async fn escalate_dispute(
        &self,
        request: Request<v1::EscalateDisputeRequest>,
    ) -> Answer<v1::EscalateDisputeResponse> {
        let caller = self.caller(&request)?;
        let _place = self.0.limits.admit(caller.merchant()?.0)?;
        let request = request.into_inner();
        let (evidence, rows) = attachments(request.evidence)?;
        let dispute = number(request.dispute_number);
        let speaks = caller.clone();
        self.write(caller.actor(), rows, move |view| {
            let found = own(view, &speaks, dispute)?;
            let shown = show::dispute(view.registry, found, view.now);
            let escalated = shown.state() == v1::DisputeState::Escalated;
            if escalated && found.text.ends_with(&format!("\n{}", request.text)) {
                return Ok((Vec::new(), ()));
            }
            let escalated = v1::DisputeEscalated {
                dispute_number: request.dispute_number,
                text: request.text,
                evidence,
            };
            Ok((vec![fact(F::DisputeEscalated(escalated))], ()))
        })
        .await?;
        ok(v1::EscalateDisputeResponse {
            dispute: Some(self.dispute(dispute).await?),
        })
    }

    async fn rule_dispute(
        &self,
        request: Request<v1::RuleDisputeRequest>,
    ) -> Answer<v1::RuleDisputeResponse> {
        let caller = self.caller(&request)?;
        let holder = caller.finance()?.to_owned();
        let request = request.into_inner();
        let dispute = number(request.dispute_number);
        let rules = caller.clone();
        self.write(caller.actor(), Vec::new(), move |view| {
            let found = own(view, &rules, dispute)?;
            let ruled = found.ruled_by == holder && found.answer == request.ruling;
            if ruled && found.upheld == request.uphold {
                return Ok((Vec::new(), ()));
            }
            let adjustment = request.uphold.then(|| {
                remedy(
                    view,
                    found,
                    request.amount_micros,
                    request.counterparty_merchant_id,
                )
            });
            let ruled = v1::DisputeRuled {
                dispute_number: request.dispute_number,
                upheld: request.uphold,
                ruling: request.ruling,
                holder,
                adjustment,
            };
            Ok((vec![fact(F::DisputeRuled(ruled))], ()))
        })
        .await?;
        ok(v1::RuleDisputeResponse {
            dispute: Some(self.dispute(dispute).await?),
        })
    }

    async fn list_disputes(
        &self,
        request: Request<v1::ListDisputesRequest>,
    ) -> Answer<v1::ListDisputesResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size, 100)?;
        let start = page::start(&request.page_token, "disputes")?;
        ok(self
            .read(move |view| {
                let any = request.state() == v1::DisputeState::Unspecified;
                let wanted = |dispute: &Dispute| {
                    let state = show::dispute_state(dispute.state_at(Instant(view.now)));
                    let mine = match &caller {
                        Caller::Operator { .. } => true,
                        Caller::Merchant { index, .. } => dispute.merchant.0 == *index,
                    };
                    mine && (any || state == request.state())
                };
                let disputes = view.global.finance().disputes();
                let (page, next) = newest_first(disputes, start, size, wanted);
                Ok(v1::ListDisputesResponse {
                    disputes: page
                        .into_iter()
                        .map(|dispute| show::dispute(view.registry, dispute, view.now))
                        .collect(),
                    next_page_token: next
                        .map_or_else(String::new, |next| page::token("disputes", next)),
                })
            })
            .await?)
    }

    async fn get_evidence(
        &self,
        request: Request<v1::GetEvidenceRequest>,
    ) -> Answer<v1::GetEvidenceResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let dispute = number(request.dispute_number);
        let named = self
            .read(move |view| {
                let found = own(view, &caller, dispute)?;
                Ok(show::evidence(&found.evidence))
            })
            .await?;
        let evidence = Some(self.attachment(named, &request.sha256).await?);
        ok(v1::GetEvidenceResponse { evidence })
    }
}
