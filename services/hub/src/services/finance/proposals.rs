//! Compare, preview, propose, decide.

use std::sync::Arc;

use hansa_proto::v1::{self, action::Action as A, fact::Fact as F};
use hansa_settlement::{
    Instant, ProposalNo,
    finance::{FinanceRefusal, Proposal, ProposalState, compare_netting, preview_settlement},
};

use super::{Api, fact, newest_first};
use crate::{
    auth::Caller,
    convert::{cycle_no, timestamp},
    error::HubError,
    finance::{self, order, read::Reader, refused, show},
    registry::Registry,
    sequencer::View,
    services::{alliance::check, page},
};

/// Work that takes as long as the cycle is large stays off the sequencer: it runs on a copy of the state.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HubError> + Send + 'static,
) -> Result<T, HubError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(HubError::internal)?
}

impl Api {
    /// A copy of the ledger's global side, the registry that it goes with, and the hub's clock.
    async fn copy(&self) -> Result<(hansa_settlement::Global, Arc<Registry>, i64), HubError> {
        self.read(|view| {
            let registry = Arc::new(view.registry.clone());
            Ok((view.global.clone(), registry, view.now))
        })
        .await
    }

    pub(super) async fn compared(
        &self,
        request: v1::CompareNettingRequest,
    ) -> Result<v1::CompareNettingResponse, HubError> {
        let (global, registry, now) = self.copy().await?;
        aside(move || {
            let mut without = Vec::new();
            for id in &request.without_merchant_ids {
                let index = registry
                    .merchant(id)
                    .ok_or_else(|| HubError::not_found(format!("merchant \"{id}\"")))?;
                without.push(hansa_settlement::MerchantIx(index));
            }
            let cycle = cycle_no(request.cycle_number);
            let first = request.bilateral_first;
            let compared = compare_netting(&global, cycle, first, &without, Instant(now))
                .map_err(|refusal| refused(&refusal))?;
            show::comparison(&compared)
        })
        .await
    }

    pub(super) async fn previewed(
        &self,
        request: v1::PreviewSettlementRequest,
    ) -> Result<v1::PreviewSettlementResponse, HubError> {
        let Some(mut settlement) = request.settlement else {
            return Err(HubError::field(
                "settlement",
                "REQUIRED",
                "say which cycle, and how",
            ));
        };
        let (global, registry, now) = self.copy().await?;
        let (mut shown, waits) = aside(move || {
            name_method(&global, now, &mut settlement);
            let mut reader = Reader::new(&registry);
            let settle = reader.settle("settlement", &settlement);
            let settle = reader.fields.finish(settle)?;
            let preview = preview_settlement(&global, &settle, Instant(now))
                .map_err(|refusal| refused(&refusal))?;
            let mut shown = show::preview(&global, &registry, settle.cycle, &preview)?;
            let faults = order::faults_of_preview(&global, &registry, settle.cycle, &preview, now);
            shown.warnings.extend(faults);
            let unaudited = FinanceRefusal::NotAudited(settle.cycle);
            let at = preview.blockers.iter().position(|b| *b == unaudited);
            Ok((shown, at.map(|at| (at, settle.cycle))))
        })
        .await?;
        if let Some((at, cycle)) = waits {
            let why = self.why_unaudited(cycle).await?;
            shown.blockers[at] = why.to_string();
        }
        Ok(shown)
    }

    pub(super) async fn proposed(
        &self,
        caller: &Caller,
        request: v1::CreateProposalRequest,
    ) -> Result<v1::Proposal, HubError> {
        let maker = caller.finance()?.to_owned();
        let actor = caller.actor();
        let number = self
            .write(caller.actor(), Vec::new(), move |view| {
                let mut action = request.action;
                if let Some(A::SettleCycle(settlement)) =
                    action.as_mut().and_then(|action| action.action.as_mut())
                {
                    name_method(view.global, view.now, settlement);
                }
                let mut reader = Reader::new(view.registry);
                let read = reader.action("action", action.as_ref());
                let action = reader.fields.finish(read)?.ok_or_else(|| {
                    HubError::internal("an action without a broken field was not read")
                })?;
                let finance = view.global.finance();
                // Sent again: the same step by the same person waits already.
                let same = finance.pending().find(|waiting| {
                    waiting.maker == maker
                        && waiting.reason == request.reason
                        && waiting.action == action
                });
                if let Some(same) = same {
                    return Ok((Vec::new(), Ok(same.number)));
                }
                let number = finance.next_proposal();
                let shown = show::action(view.registry, &action);
                let made = v1::ProposalMade {
                    proposal_number: number.0.into(),
                    action: Some(shown.clone()),
                    reason: request.reason.clone(),
                    holder: maker.clone(),
                };
                let facts = vec![fact(F::ProposalMade(made))];
                if request.validate_only {
                    check(view, &facts, &actor)?;
                    let proposal = v1::Proposal {
                        proposal_number: number.0.into(),
                        action: Some(shown),
                        state: v1::ProposalState::Pending.into(),
                        reason: request.reason,
                        maker,
                        made_at: Some(timestamp(view.now)),
                        ..v1::Proposal::default()
                    };
                    return Ok((Vec::new(), Err(proposal)));
                }
                Ok((facts, Ok(number)))
            })
            .await?;
        match number {
            Ok(number) => self.proposal(number).await,
            Err(proposal) => Ok(proposal),
        }
    }

    pub(super) async fn decided(
        &self,
        caller: &Caller,
        request: v1::DecideProposalRequest,
    ) -> Result<v1::Proposal, HubError> {
        let holder = caller.finance()?.to_owned();
        let actor = caller.actor();
        let number = ProposalNo(u32::try_from(request.proposal_number).unwrap_or(u32::MAX));
        let written = self.write(caller.actor(), Vec::new(), move |view| {
            let proposal = view.global.finance().proposal(number);
            // Sent again: the same decision by the same person.
            if proposal.is_some_and(|proposal| is_decided(proposal, &request, &holder)) {
                return Ok((Vec::new(), ()));
            }
            let decided = v1::ProposalDecided {
                proposal_number: request.proposal_number,
                approved: request.approve,
                reason: request.reason,
                holder,
            };
            let facts = vec![fact(F::ProposalDecided(decided))];
            if request.validate_only {
                check(view, &facts, &actor)?;
                return Ok((Vec::new(), ()));
            }
            Ok((facts, ()))
        });
        if let Err(refusal) = written.await {
            return Err(self.unapproved(refusal, number).await);
        }
        self.proposal(number).await
    }

    async fn proposal(&self, number: ProposalNo) -> Result<v1::Proposal, HubError> {
        self.read(move |view| {
            let found = view.global.finance().proposal(number);
            let found = found.ok_or_else(|| refused(&FinanceRefusal::ProposalNotFound(number)))?;
            Ok(show::proposal(view.registry, found))
        })
        .await
    }

    pub(super) async fn proposals(
        &self,
        request: v1::ListProposalsRequest,
    ) -> Result<v1::ListProposalsResponse, HubError> {
        let size = page::size(request.page_size, 100)?;
        let start = page::start(&request.page_token, "proposals")?;
        self.read(move |view| Ok(proposals_page(view, &request, start, size)))
            .await
    }
}

fn proposals_page(
    view: &View<'_>,
    request: &v1::ListProposalsRequest,
    start: u64,
    size: usize,
) -> v1::ListProposalsResponse {
    let wanted = |proposal: &Proposal| {
        let state = show::proposal(view.registry, proposal).state;
        request.state() == v1::ProposalState::Unspecified || request.state == state
    };
    let (page, next) = newest_first(view.global.finance().proposals(), start, size, wanted);
    v1::ListProposalsResponse {
        proposals: page
            .into_iter()
            .map(|proposal| show::proposal(view.registry, proposal))
            .collect(),
        next_page_token: next.map_or_else(String::new, |next| page::token("proposals", next)),
    }
}

/// A settlement that names no method nets as the programme says.
fn name_method(global: &hansa_settlement::Global, now: i64, settlement: &mut v1::SettleCycle) {
    if settlement.method() == v1::NettingMethod::Unspecified {
        settlement.method = show::method(finance::default_method(global, now)).into();
    }
}

fn is_decided(proposal: &Proposal, request: &v1::DecideProposalRequest, holder: &str) -> bool {
    let same = proposal
        .decision
        .as_ref()
        .is_some_and(|decision| decision.checker == holder && decision.reason == request.reason);
    same && match proposal.state {
        ProposalState::Pending => false,
        ProposalState::Approved => request.approve,
        ProposalState::Rejected | ProposalState::Withdrawn => !request.approve,
    }
}
