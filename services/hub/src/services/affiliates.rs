//! `AffiliateService`: conversions and commissions, as merchants, affiliates, their managers and operators see them.
//!
//! An account comes from the sequencer, as of one entry; what only the message says (its id, the order reference) from the log. Nobody learns
//! of somebody else's: a merchant sees what it sent, an affiliate what is attributed to it, with its own touches only.

mod records;

use hansa_proto::v1::{self, affiliate_service_server::AffiliateService};
use hansa_settlement::{MerchantIx, Pos};
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{auth::Caller, commissions, error::HubError, sequencer::View};
use records::Viewer;

/// Conversions of a page at most: each needs its entry of the log.
const MAX_PAGE: i32 = 200;

/// Longest note. Unit: bytes.
const MAX_NOTE: usize = 1_000;

/// A name that the manager's own book has; any for other operators.
pub(super) fn in_book(
    caller: &Caller,
    view: &View<'_>,
    participant: MerchantIx,
) -> Result<(), HubError> {
    let Some(manager) = caller.book() else {
        return Ok(());
    };
    let profile = view.global.affiliates().profile(participant);
    match profile.filter(|profile| profile.manager == manager) {
        Some(_) => Ok(()),
        // Whether it exists is nobody's business either.
        None => Err(HubError::not_found(
            "an affiliate of this name in your book",
        )),
    }
}

impl Api {
    /// Whose conversions a caller asks for.
    pub(super) async fn participant(
        &self,
        caller: &Caller,
        asked: &str,
    ) -> Result<MerchantIx, HubError> {
        if let Caller::Merchant { slug, index } = caller {
            if asked.is_empty() || asked == slug {
                return Ok(MerchantIx(*index));
            }
            return Err(HubError::permission_denied(
                "a participant sees its own conversions only; leave participant_id empty",
            ));
        }
        let (caller, asked) = (caller.clone(), asked.to_owned());
        self.read(move |view| {
            let known = view.registry.merchant(&asked).map(MerchantIx);
            let known =
                known.ok_or_else(|| HubError::not_found(format!("participant \"{asked}\"")))?;
            in_book(&caller, view, known)?;
            Ok(known)
        })
        .await
    }
}

#[tonic::async_trait]
impl AffiliateService for Api {
    async fn list_conversions(
        &self,
        request: Request<v1::ListConversionsRequest>,
    ) -> Answer<v1::ListConversionsResponse> {
        let caller = self.any_caller(&request)?;
        let asked = request.into_inner();
        let participant = self.participant(&caller, &asked.participant_id).await?;
        let size = page::size(asked.page_size, 50)?;
        if asked.page_size > MAX_PAGE {
            return Err(
                HubError::field("page_size", "OUT_OF_RANGE", "1 to 200, or 0 for 50").into(),
            );
        }
        let what = format!("conversions of {}", participant.0);
        let before = match page::start(&asked.page_token, &what)? {
            0 => u64::MAX,
            before => before,
        };
        let limit = u32::try_from(size).unwrap_or(u32::MAX);
        let positions = self
            .0
            .store
            .conversions_of(participant.0, before, limit)
            .await
            .map_err(HubError::from)?;
        let more = positions.len() == size;
        let next_page_token = positions
            .last()
            .filter(|_| more)
            .map(|last| page::token(&what, *last))
            .unwrap_or_default();
        let positions: Vec<Pos> = positions.into_iter().map(Pos).collect();
        // A manager sees the affiliate's page as the affiliate does, but for its touches.
        let (mut conversions, as_of_tree_size) =
            self.records(Viewer::of(&caller), &positions).await?;
        if caller.book().is_some() {
            let registry = self.0.registry.get();
            let slug = registry.slug(participant.0);
            conversions.retain(|conversion| conversion.affiliate_id == slug);
        }
        ok(v1::ListConversionsResponse {
            conversions,
            next_page_token,
            as_of_tree_size,
        })
    }

    async fn get_conversion(
        &self,
        request: Request<v1::GetConversionRequest>,
    ) -> Answer<v1::GetConversionResponse> {
        let caller = self.any_caller(&request)?;
        let asked = request.into_inner();
        let pos = commissions::place(asked.leaf_index, asked.entry_position)?;
        let (records, _) = self.records(Viewer::of(&caller), &[pos]).await?;
        let found = records.into_iter().next();
        let found =
            found.ok_or_else(|| HubError::not_found("a conversion of yours at this place"))?;
        if caller.book().is_some() {
            self.participant(&caller, &found.affiliate_id).await?;
        }
        ok(v1::GetConversionResponse {
            conversion: Some(found),
        })
    }

    async fn decide_commissions(
        &self,
        request: Request<v1::DecideCommissionsRequest>,
    ) -> Answer<v1::DecideCommissionsResponse> {
        let caller = self.any_caller(&request)?;
        caller
            .administrator()
            .or_else(|_| caller.analyst().map(|_| ()))?;
        let asked = request.into_inner();
        if asked.note.trim().is_empty() || asked.note.len() > MAX_NOTE {
            let text = "say why, in 1 to 1 000 bytes";
            return Err(HubError::field("note", "REQUIRED", text).into());
        }
        let decided = v1::CommissionsDecided {
            decisions: asked.decisions,
            note: asked.note,
        };
        // All violations before anything queues.
        commissions::read(&decided)?;
        let leaf = self
            .0
            .sequencer
            .commissions(caller.actor(), Vec::new(), decided)
            .await?;
        ok(v1::DecideCommissionsResponse { leaf_index: leaf })
    }

    async fn get_commission_statement(
        &self,
        request: Request<v1::GetCommissionStatementRequest>,
    ) -> Answer<v1::GetCommissionStatementResponse> {
        let caller = self.any_caller(&request)?;
        let document = self.commission_statement(&caller, request.into_inner());
        ok(v1::GetCommissionStatementResponse {
            document: Some(document.await?),
        })
    }

    async fn raise_query(
        &self,
        request: Request<v1::RaiseQueryRequest>,
    ) -> Answer<v1::RaiseQueryResponse> {
        let caller = self.caller(&request)?;
        let query = Some(self.query_raised(&caller, request.into_inner()).await?);
        ok(v1::RaiseQueryResponse { query })
    }

    async fn answer_query(
        &self,
        request: Request<v1::AnswerQueryRequest>,
    ) -> Answer<v1::AnswerQueryResponse> {
        let caller = self.caller(&request)?;
        let query = Some(self.query_answered(&caller, request.into_inner()).await?);
        ok(v1::AnswerQueryResponse { query })
    }

    async fn escalate_query(
        &self,
        request: Request<v1::EscalateQueryRequest>,
    ) -> Answer<v1::EscalateQueryResponse> {
        let caller = self.caller(&request)?;
        let query = Some(self.query_escalated(&caller, request.into_inner()).await?);
        ok(v1::EscalateQueryResponse { query })
    }

    async fn rule_query(
        &self,
        request: Request<v1::RuleQueryRequest>,
    ) -> Answer<v1::RuleQueryResponse> {
        let caller = self.caller(&request)?;
        let query = Some(self.query_ruled(&caller, request.into_inner()).await?);
        ok(v1::RuleQueryResponse { query })
    }

    async fn get_query(
        &self,
        request: Request<v1::GetQueryRequest>,
    ) -> Answer<v1::GetQueryResponse> {
        let caller = self.any_caller(&request)?;
        let query = Some(self.query_seen(caller, request.into_inner()).await?);
        ok(v1::GetQueryResponse { query })
    }

    async fn list_queries(
        &self,
        request: Request<v1::ListQueriesRequest>,
    ) -> Answer<v1::ListQueriesResponse> {
        let caller = self.any_caller(&request)?;
        ok(self.queries_seen(caller, request.into_inner()).await?)
    }

    async fn get_query_evidence(
        &self,
        request: Request<v1::GetQueryEvidenceRequest>,
    ) -> Answer<v1::GetQueryEvidenceResponse> {
        let caller = self.any_caller(&request)?;
        let evidence = Some(self.query_evidence(caller, request.into_inner()).await?);
        ok(v1::GetQueryEvidenceResponse { evidence })
    }
}
