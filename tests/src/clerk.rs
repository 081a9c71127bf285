//! A person of the alliance's operator, with a key of its own: proposes, approves, pays, reconciles, answers.

use std::{sync::Arc, time::Duration};

use hansa_client::{
    hub::{CallError, Hub},
    keys::SigningKey,
};
use hansa_proto::v1::{self, OperatorRole, action::Action};

use crate::hub::TestHub;

/// A person with a registered key.
#[derive(Clone, Debug)]
pub struct Clerk {
    /// Who.
    pub name: String,
    /// Its key.
    pub key: Arc<SigningKey>,
    /// Its connection; calls are tried again after transient failures.
    pub hub: Hub,
}

impl TestHub {
    /// A person with a new key and these roles.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn clerk(&self, name: &str, roles: &[OperatorRole]) -> Clerk {
        let key = Arc::new(SigningKey::generate().unwrap());
        self.register(v1::Key {
            key_id: key.key_id().into(),
            public_key: key.verifying_key().as_bytes().to_vec(),
            holder: name.into(),
            operator_roles: roles.iter().map(|role| i32::from(*role)).collect(),
            ..v1::Key::default()
        })
        .await;
        self.person(name, key)
    }

    /// A person of finance.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn finance(&self, name: &str) -> Clerk {
        self.clerk(name, &[OperatorRole::Finance]).await
    }

    /// Waits until the auditor agrees with a cycle, and the log says so.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub async fn wait_audited(&self, cycle: u32) {
        wait_audited(&self.operator(), cycle).await;
    }

    /// A person with this key, on a connection of its own.
    #[must_use]
    pub fn person(&self, name: &str, key: Arc<SigningKey>) -> Clerk {
        Clerk {
            name: name.into(),
            hub: self
                .connection()
                .with_tokens(Some(self.tokens("operator", &key))),
            key,
        }
    }

    /// The same person, speaking to this hub.
    #[must_use]
    pub fn spoken_to_by(&self, clerk: &Clerk) -> Clerk {
        self.person(&clerk.name, Arc::clone(&clerk.key))
    }
}

impl Clerk {
    /// Proposes a step.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn propose(&self, action: Action, reason: &str) -> Result<v1::Proposal, CallError> {
        let request = v1::CreateProposalRequest {
            action: Some(v1::Action {
                action: Some(action),
            }),
            reason: reason.into(),
            validate_only: false,
        };
        let answer = self
            .hub
            .call(request, async |hub: Hub, request| {
                hub.finance().create_proposal(request).await
            })
            .await?;
        Ok(answer.proposal.unwrap())
    }

    /// Approves, or rejects.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn decide(
        &self,
        proposal_number: u64,
        approve: bool,
        reason: &str,
    ) -> Result<v1::Proposal, CallError> {
        let request = v1::DecideProposalRequest {
            proposal_number,
            approve,
            reason: reason.into(),
            validate_only: false,
        };
        let answer = self
            .hub
            .call(request, async |hub: Hub, request| {
                hub.finance().decide_proposal(request).await
            })
            .await?;
        Ok(answer.proposal.unwrap())
    }

    /// Proposes a step that another person approves.
    ///
    /// # Panics
    /// When either is refused.
    pub async fn carry_out(&self, checker: &Self, action: Action, reason: &str) -> v1::Proposal {
        let made = self.propose(action, reason).await.unwrap();
        let decided = checker.decide(made.proposal_number, true, "checked").await;
        let decided = decided.unwrap();
        assert_eq!(decided.state(), v1::ProposalState::Approved);
        decided
    }

    /// Payments of a cycle; of all where it is 0.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn payments(&self, cycle_number: u32) -> Vec<v1::Payment> {
        payments(&self.hub, cycle_number).await.unwrap()
    }

    /// The payment file of a payer; of the hub where it is empty.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn file(
        &self,
        cycle_number: u32,
        payer: &str,
        format: v1::PaymentFileFormat,
    ) -> Result<v1::GetPaymentFileResponse, CallError> {
        file(&self.hub, cycle_number, payer, 0, format).await
    }

    /// Records that payments were handed to the bank, or asked for where there is no file.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn submit(
        &self,
        payment_numbers: Vec<u64>,
        file_sha256: Vec<u8>,
    ) -> Result<Vec<v1::Payment>, CallError> {
        let request = v1::RecordSubmissionRequest {
            payment_numbers,
            file_sha256,
        };
        let answer = self
            .hub
            .call(request, async |hub: Hub, request| {
                hub.finance().record_submission(request).await
            })
            .await?;
        Ok(answer.payments)
    }

    /// Records all pending payments of a cycle: the hub's with their file, the others as asked for. Answers the hub's file.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn submit_all(&self, cycle: u32) -> Option<v1::GetPaymentFileResponse> {
        let all = self.payments(cycle).await;
        let pending = all
            .iter()
            .filter(|p| p.state() == v1::PaymentState::Pending);
        let (by_hub, asked): (Vec<_>, Vec<_>) =
            pending.partition(|p| p.payer_merchant_id.is_empty());
        let numbers =
            |payments: &[&v1::Payment]| payments.iter().map(|p| p.payment_number).collect();
        let mut handed_in = None;
        if !by_hub.is_empty() {
            let pain = self
                .file(cycle, "", v1::PaymentFileFormat::Pain001)
                .await
                .unwrap();
            self.submit(numbers(&by_hub), pain.sha256.clone())
                .await
                .unwrap();
            handed_in = Some(pain);
        }
        if !asked.is_empty() {
            self.submit(numbers(&asked), Vec::new()).await.unwrap();
        }
        handed_in
    }

    /// Imports a bank's file.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn import(
        &self,
        file_name: &str,
        content: impl Into<Vec<u8>>,
    ) -> Result<v1::ImportBankReportResponse, CallError> {
        let request = v1::ImportBankReportRequest {
            content: content.into(),
            file_name: file_name.into(),
            format: v1::BankReportFormat::Unspecified.into(),
            validate_only: false,
        };
        self.hub
            .call(request, async |hub: Hub, request| {
                hub.finance().import_bank_report(request).await
            })
            .await
    }

    /// Imports a bank's file and posts what it matched, by two people.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn reconcile(&self, checker: &Self, content: String) -> v1::BankReport {
        let report = self
            .import("report", content)
            .await
            .unwrap()
            .report
            .unwrap();
        let post = v1::PostReconciliation {
            report_number: report.report_number,
        };
        self.carry_out(
            checker,
            Action::PostReconciliation(post),
            "as the bank says",
        )
        .await;
        report
    }

    /// What the settlement of a cycle would do.
    ///
    /// # Errors
    /// The refusal of the call.
    pub async fn preview(
        &self,
        settlement: v1::SettleCycle,
    ) -> Result<v1::PreviewSettlementResponse, CallError> {
        let request = v1::PreviewSettlementRequest {
            settlement: Some(settlement),
        };
        self.hub
            .call(request, async |hub: Hub, request| {
                hub.finance().preview_settlement(request).await
            })
            .await
    }

    /// Waits until the auditor agrees with a cycle. It lets everybody else have the processors first: on a machine that is
    /// busy with something else it needs time.
    ///
    /// # Panics
    /// When it does not within five minutes.
    pub async fn wait_audited(&self, cycle: u32) {
        wait_audited(&self.hub, cycle).await;
    }

    /// Settles an audited cycle up to its payments: proposed by this person, approved by the other.
    ///
    /// # Panics
    /// When either is refused.
    pub async fn settle(&self, checker: &Self, settlement: v1::SettleCycle) -> v1::Proposal {
        self.wait_audited(settlement.cycle_number).await;
        let action = Action::SettleCycle(settlement);
        self.carry_out(checker, action, "month's end").await
    }

    /// A cycle as it stands.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn cycle(&self, number: u32) -> v1::Cycle {
        self.hub.cycle(number).await.unwrap().cycle.unwrap()
    }
}

async fn wait_audited(hub: &Hub, cycle: u32) {
    for _ in 0..6_000 {
        if hub.cycle(cycle).await.unwrap().cycle.unwrap().audited {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the auditor does not agree with cycle {cycle}");
}

/// A plain settlement of a cycle.
#[must_use]
pub fn settlement(cycle_number: u32, method: v1::NettingMethod) -> v1::SettleCycle {
    v1::SettleCycle {
        cycle_number,
        method: method.into(),
        ..v1::SettleCycle::default()
    }
}

/// Payments that a caller may see.
///
/// # Errors
/// The refusal of the call.
pub async fn payments(hub: &Hub, cycle_number: u32) -> Result<Vec<v1::Payment>, CallError> {
    let request = v1::ListPaymentsRequest {
        cycle_number,
        page_size: 1_000,
        ..v1::ListPaymentsRequest::default()
    };
    let page = hub
        .call(request, async |hub: Hub, request| {
            hub.finance().list_payments(request).await
        })
        .await?;
    assert_eq!(page.next_page_token, "", "tests have few payments");
    Ok(page.payments)
}

/// A payment file; `payment_number` for one that was instructed again.
///
/// # Errors
/// The refusal of the call.
pub async fn file(
    hub: &Hub,
    cycle_number: u32,
    payer: &str,
    payment_number: u64,
    format: v1::PaymentFileFormat,
) -> Result<v1::GetPaymentFileResponse, CallError> {
    let request = v1::GetPaymentFileRequest {
        cycle_number,
        payer_merchant_id: payer.into(),
        format: format.into(),
        payment_number,
    };
    hub.call(request, async |hub: Hub, request| {
        hub.finance().get_payment_file(request).await
    })
    .await
}
