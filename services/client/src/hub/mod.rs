//! The hub as a merchant sees it: connect, submit, ask.
//!
//! Every call carries a fresh token and is tried again after transient failures, with the same bytes (see
//! [`RetryPolicy`]). A [`Hub`] is cheap to clone; clones share one HTTP/2 connection, which comes back by itself.

mod connect;
mod error;
mod retry;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use hansa_proto::v1::{self, Envelope, Outcome};
use prost::Message as _;
use tonic::transport::Channel;
use tonic::{Code, IntoRequest as _, Request, Status};

pub use connect::{Authorised, ClientIdentity, Credentials, HubOptions};
pub use error::{CallError, FieldViolation};
pub use retry::RetryPolicy;
pub use stream::{BatchAnswers, BatchSender, StreamItem};

use crate::batch::SignedBatch;
use crate::ids::MessageId;
use crate::message::MemberReference;
use crate::note::{Checkpoint, LogVerifier};
use crate::proof::{ProofError, verify_receipt};
use crate::token::TokenSource;

/// Most enrolment keys of one call.
const MAX_ENROLMENTS: usize = 4_000;
/// Most ids of one look-up.
const MAX_OUTCOME_IDS: usize = 1_000;
/// Longest answer that is taken; pages of entries end at about 4 MiB. Unit: bytes.
const MAX_ANSWER_LEN: usize = 32 << 20;

/// What came of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// One for each message, in its order.
    pub outcomes: Vec<Outcome>,
    /// The same as recorded in the log; what the receipt covers.
    pub outcomes_bytes: Bytes,
    /// Absent where every message was a replay: nothing was appended then.
    pub receipt: Option<v1::Receipt>,
}

impl Answer {
    fn new(response: v1::SubmitBatchResponse, messages: usize) -> Result<Self, CallError> {
        let outcomes = v1::Outcomes::decode(response.outcomes.clone())
            .map_err(|_| CallError::protocol("the outcomes do not decode"))?
            .outcomes;
        if outcomes.len() != messages {
            let found = outcomes.len();
            return Err(CallError::protocol(format!(
                "{found} outcomes for {messages} messages"
            )));
        }
        Ok(Self {
            outcomes,
            outcomes_bytes: response.outcomes,
            receipt: response.receipt,
        })
    }

    /// Verifies the receipt for the batch as it was sent. `None` where there is no receipt.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(
        &self,
        batch: &SignedBatch,
        log: &LogVerifier,
    ) -> Result<Option<Checkpoint>, ProofError> {
        self.receipt
            .as_ref()
            .map(|receipt| verify_receipt(receipt, batch.envelope(), &self.outcomes_bytes, log))
            .transpose()
    }
}

/// A connection to a hub.
#[derive(Clone, Debug)]
pub struct Hub {
    channel: Channel,
    tokens: Option<Arc<TokenSource>>,
    retry: RetryPolicy,
}

/// A generated client with credentials, for calls that have no helper here.
macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $module:ident::$client:ident;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> v1::$module::$client<Authorised> {
                v1::$module::$client::new(self.service())
                    .max_decoding_message_size(MAX_ANSWER_LEN)
            }
        )*
    };
}

impl Hub {
    clients! {
        /// Client of conversions and commissions; its calls are not tried again.
        affiliates: affiliate_service_client::AffiliateServiceClient;
        /// Client of the exchange; its calls are not tried again.
        exchange: exchange_service_client::ExchangeServiceClient;
        /// Client of the alliance's data; its calls are not tried again.
        alliance: alliance_service_client::AllianceServiceClient;
        /// Client of the members; its calls are not tried again.
        members: member_service_client::MemberServiceClient;
        /// Client of the cycles; its calls are not tried again.
        cycles_client: cycle_service_client::CycleServiceClient;
        /// Client of the statements; its calls are not tried again.
        statements: statement_service_client::StatementServiceClient;
        /// Client of the reports; its calls are not tried again.
        reports: report_service_client::ReportServiceClient;
        /// Client of finance; its calls are not tried again.
        finance: finance_service_client::FinanceServiceClient;
        /// Client of the disputes; its calls are not tried again.
        disputes: dispute_service_client::DisputeServiceClient;
        /// Client of flags on traffic; its calls are not tried again.
        fraud: fraud_service_client::FraudServiceClient;
        /// Client of affiliates' links and touches; its calls are not tried again.
        touches: touch_service_client::TouchServiceClient;
        /// Client of merchants' offers; its calls are not tried again.
        offers: offer_service_client::OfferServiceClient;
        /// Client of the log; its calls are not tried again.
        log: log_service_client::LogServiceClient;
        /// Client of the test clock; its calls are not tried again.
        test_clock: test_clock_service_client::TestClockServiceClient;
    }

    /// Sends a batch and waits for its outcomes. Sends the same bytes again after transient failures.
    ///
    /// # Errors
    /// [`CallError`]: nothing of the batch was taken, unless the error is transient; then send it again later.
    pub async fn submit(&self, batch: &SignedBatch) -> Result<Answer, CallError> {
        let request = v1::SubmitBatchRequest {
            envelope: Some(batch.envelope().clone()),
            validate_only: false,
        };
        let response = self
            .call(request, async |hub: Self, request| {
                hub.exchange().submit_batch(request).await
            })
            .await?;
        Answer::new(response, batch.messages().len())
    }

    /// Has the hub check everything of an envelope that needs no state; takes nothing.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn validate(&self, envelope: &Envelope) -> Result<(), CallError> {
        let request = v1::SubmitBatchRequest {
            envelope: Some(envelope.clone()),
            validate_only: true,
        };
        self.call(request, async |hub: Self, request| {
            hub.exchange().submit_batch(request).await
        })
        .await
        .map(|_| ())
    }

    /// A stream of batches: each is answered, in the order in which they were sent, also across lost connections.
    /// At most `window` batches are on their way at once (at least 1).
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn stream(&self, window: usize) -> (BatchSender, BatchAnswers) {
        stream::start(self.clone(), window.max(1))
    }

    /// Enrols members by keyed hashes of 16-64 bytes, or finds the references that they have: one for each, in
    /// their order.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn enrol(&self, keys: &[Vec<u8>]) -> Result<Vec<MemberReference>, CallError> {
        let mut references = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_ENROLMENTS) {
            let request = v1::EnrolMembersRequest {
                enrolment_keys: keys.to_vec(),
            };
            let response = self
                .call(request, async |hub: Self, request| {
                    hub.members().enrol_members(request).await
                })
                .await?;
            if response.member_references.len() != keys.len() {
                return Err(CallError::protocol("not one reference for each key"));
            }
            for reference in response.member_references {
                let reference = reference.try_into();
                references.push(
                    reference.map_err(|_| CallError::protocol("a reference of not 16 bytes"))?,
                );
            }
        }
        Ok(references)
    }

    /// Balance of one of the merchant's members.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn balance(
        &self,
        member: &MemberReference,
    ) -> Result<v1::GetBalanceResponse, CallError> {
        let request = v1::GetBalanceRequest {
            member_reference: member.to_vec(),
        };
        self.call(request, async |hub: Self, request| {
            hub.members().get_balance(request).await
        })
        .await
    }

    /// First outcomes of messages that this merchant sent, in the order asked for; unknown ids are left out.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn outcomes(
        &self,
        ids: &[MessageId],
    ) -> Result<Vec<v1::get_outcomes_response::Item>, CallError> {
        let mut items = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_OUTCOME_IDS) {
            let request = v1::GetOutcomesRequest {
                message_ids: ids.iter().map(|id| id.to_vec()).collect(),
            };
            let response = self
                .call(request, async |hub: Self, request| {
                    hub.exchange().get_outcomes(request).await
                })
                .await?;
            items.extend(response.items);
        }
        Ok(items)
    }

    /// Every cycle that there is, oldest first.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn cycles(&self) -> Result<Vec<v1::Cycle>, CallError> {
        let mut cycles = Vec::new();
        let mut request = v1::ListCyclesRequest {
            page_size: 1_000,
            page_token: String::new(),
        };
        loop {
            let page = self
                .call(request.clone(), async |hub: Self, request| {
                    hub.cycles_client().list_cycles(request).await
                })
                .await?;
            cycles.extend(page.cycles);
            if page.next_page_token.is_empty() {
                return Ok(cycles);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// A cycle with its positions; 0 = the open one.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn cycle(&self, cycle_number: u32) -> Result<v1::GetCycleResponse, CallError> {
        self.call(
            v1::GetCycleRequest { cycle_number },
            async |hub: Self, request| hub.cycles_client().get_cycle(request).await,
        )
        .await
    }

    /// The statement of a cycle; 0 = the open one. `merchant_id` is for operators; `None` = the caller's own.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn statement(
        &self,
        cycle_number: u32,
        merchant_id: Option<&str>,
    ) -> Result<v1::GetStatementResponse, CallError> {
        let request = v1::GetStatementRequest {
            cycle_number,
            merchant_id: merchant_id.unwrap_or_default().to_owned(),
        };
        self.call(request, async |hub: Self, request| {
            hub.statements().get_statement(request).await
        })
        .await
    }

    /// The certificate of a closed cycle, as the hub says; for [`crate::certificate::verify_certificate`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn cycle_certificate(
        &self,
        cycle_number: u32,
    ) -> Result<v1::CycleCertificate, CallError> {
        let request = v1::GetCycleCertificateRequest { cycle_number };
        let answer = self
            .call(request, async |hub: Self, request| {
                hub.reports().get_cycle_certificate(request).await
            })
            .await?;
        answer
            .certificate
            .ok_or_else(|| CallError::protocol("an answer without a certificate"))
    }

    /// A page of the messages and events behind a statement's lines.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn statement_items(
        &self,
        request: v1::ListStatementItemsRequest,
    ) -> Result<v1::ListStatementItemsResponse, CallError> {
        self.call(request, async |hub: Self, request| {
            hub.reports().list_statement_items(request).await
        })
        .await
    }

    /// A statement as a document; for [`crate::document::verify_document`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn statement_document(
        &self,
        request: v1::GetStatementDocumentRequest,
    ) -> Result<v1::SignedDocument, CallError> {
        let answer = self
            .call(request, async |hub: Self, request| {
                hub.reports().get_statement_document(request).await
            })
            .await?;
        answer
            .document
            .ok_or_else(|| CallError::protocol("an answer without a document"))
    }

    /// An affiliate's commission statement; for [`crate::document::verify_document`].
    pub async fn commission_statement(
        &self,
        request: v1::GetCommissionStatementRequest,
    ) -> Result<v1::SignedDocument, CallError> {
        let answer = self
            .call(request, async |hub: Self, request| {
                hub.affiliates().get_commission_statement(request).await
            })
            .await?;
        answer
            .document
            .ok_or_else(|| CallError::protocol("an answer without a document"))
    }

    /// A document of the whole alliance; for [`crate::document::verify_document`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn finance_document(
        &self,
        request: v1::GetFinanceDocumentRequest,
    ) -> Result<v1::SignedDocument, CallError> {
        let answer = self
            .call(request, async |hub: Self, request| {
                hub.reports().get_finance_document(request).await
            })
            .await?;
        answer
            .document
            .ok_or_else(|| CallError::protocol("an answer without a document"))
    }

    /// Hashes that prove that a leaf is in the tree of so many leaves; for [`crate::proof::verify_inclusion`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn inclusion_proof(
        &self,
        leaf_index: u64,
        tree_size: u64,
    ) -> Result<Vec<Vec<u8>>, CallError> {
        let request = v1::GetInclusionProofRequest {
            leaf_index,
            tree_size,
        };
        self.call(request, async |hub: Self, request| {
            hub.log().get_inclusion_proof(request).await
        })
        .await
        .map(|response| response.hashes)
    }

    /// An entry of the caller's own, whole.
    ///
    /// # Errors
    /// [`CallError`]; NOT_FOUND where there is none yet.
    pub async fn entry(&self, leaf_index: u64) -> Result<v1::Entry, CallError> {
        let request = v1::ListEntriesRequest {
            from_leaf_index: leaf_index,
            page_size: 1,
            page_token: String::new(),
        };
        let page = self
            .call(request, async |hub: Self, request| {
                hub.log().list_entries(request).await
            })
            .await?;
        let entry = page.entries.into_iter().next();
        entry
            .filter(|entry| entry.leaf_index == leaf_index)
            .ok_or_else(|| CallError::new(Code::NotFound, format!("no entry {leaf_index} yet")))
    }

    /// The stored receipt of an entry, with its outcomes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn receipt(&self, leaf_index: u64) -> Result<v1::GetReceiptResponse, CallError> {
        self.call(
            v1::GetReceiptRequest { leaf_index },
            async |hub: Self, request| hub.log().get_receipt(request).await,
        )
        .await
    }

    /// The newest checkpoint and the log's key, both as the hub says. Compare the key with the one that you got
    /// from the alliance by another way, once, and keep it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn checkpoint(&self) -> Result<v1::GetCheckpointResponse, CallError> {
        self.call(
            v1::GetCheckpointRequest { tree_size: 0 },
            async |hub: Self, request| hub.log().get_checkpoint(request).await,
        )
        .await
    }

    /// Hashes that prove that the tree of `to` leaves extends that of `from` leaves; for
    /// [`crate::proof::verify_consistency`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn consistency_proof(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, CallError> {
        let request = v1::GetConsistencyProofRequest {
            from_tree_size: from,
            to_tree_size: to,
        };
        self.call(request, async |hub: Self, request| {
            hub.log().get_consistency_proof(request).await
        })
        .await
        .map(|response| response.hashes)
    }

    /// Makes any call with this hub's retries; the way to give the generated clients what the helpers have.
    ///
    /// ```no_run
    /// # async fn example(hub: hansa_client::hub::Hub) -> Result<(), hansa_client::hub::CallError> {
    /// use hansa_client::hub::Hub;
    /// use hansa_proto::v1::GetLiabilityRequest;
    ///
    /// let liability = hub
    ///     .call(GetLiabilityRequest {}, async |hub: Hub, request| {
    ///         hub.statements().get_liability(request).await
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<Q, R, F>(&self, request: Q, call: F) -> Result<R, CallError>
    where
        Q: Clone,
        F: AsyncFn(Self, Request<Q>) -> Result<tonic::Response<R>, Status>,
    {
        self.retry
            .run(self.tokens.as_deref(), async |limit| {
                let mut request = request.clone().into_request();
                request.set_timeout(limit);
                Ok(call(self.clone(), request).await?.into_inner())
            })
            .await
    }
}
