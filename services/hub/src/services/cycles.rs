//! `CycleService` and `StatementService`: what cycles say. Reads the ledger's own totals; computes nothing.

use hansa_proto::v1::{
    self, cycle_service_server::CycleService, statement_service_server::StatementService,
};
use hansa_settlement::{
    CycleState, CycleTotals, FundingMode, Global, Instant, MerchantIx, MessageKind, Payment,
    payments, statement,
};
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{
    auth::Caller,
    convert::{cycle_no, cycle_number, timestamp},
    error::HubError,
    registry::Registry,
    sequencer::View,
};

/// Micro-units as the wire has them. The ledger's bounds keep every total far below this.
pub(super) fn wire(micros: i128) -> Result<i64, HubError> {
    i64::try_from(micros).map_err(|_| HubError::internal("a total does not fit into 64 bits"))
}

/// A cycle as the wire has it.
pub(super) fn cycle(global: &Global, totals: &CycleTotals) -> v1::Cycle {
    let finance = global.finance();
    let state = match totals.state {
        CycleState::Open => v1::CycleState::Open,
        CycleState::Closing => v1::CycleState::Closing,
        CycleState::Closed => v1::CycleState::Closed,
        CycleState::PendingApproval => v1::CycleState::PendingApproval,
        CycleState::Approved => v1::CycleState::Approved,
        CycleState::Settling => v1::CycleState::Settling,
        CycleState::Settled => v1::CycleState::Settled,
        CycleState::PartiallySettled => v1::CycleState::PartiallySettled,
        CycleState::Aborted => v1::CycleState::Aborted,
    };
    v1::Cycle {
        cycle_number: cycle_number(totals.no),
        state: state.into(),
        opens_at: (totals.opens_at != Instant::MIN).then(|| timestamp(totals.opens_at.0)),
        closes_at: totals.closes_at.map(|at| timestamp(at.0)),
        cut_leaf_index: totals.cut_seq,
        closed_leaf_index: totals.closed_seq,
        digest: totals
            .digest
            .map(|digest| hansa_client::keys::hex(&digest))
            .unwrap_or_default(),
        messages_accepted: totals.counts.accepted.values().sum(),
        messages_refused: totals.counts.refused.values().sum(),
        audited: finance.audit(totals.no).is_some(),
        netting_method: finance
            .settlement(totals.no)
            .map(|settlement| settlement.method.code().to_owned())
            .unwrap_or_default(),
    }
}

fn position(
    registry: &Registry,
    merchant: MerchantIx,
    payment: &Payment,
) -> Result<v1::NetPosition, HubError> {
    Ok(v1::NetPosition {
        merchant_id: registry.slug(merchant.0).to_owned(),
        net_micros: wire(payment.net_micros)?,
        brought_forward_micros: wire(payment.brought_forward_micros)?,
        payment_micros: wire(payment.instruction_micros)?,
        carried_forward_micros: wire(payment.carried_forward_micros)?,
        held_back_micros: wire(payment.held_back_micros)?,
    })
}

/// A cycle by its number; 0 = the open one.
pub(super) fn find(global: &Global, number: u32) -> Result<&CycleTotals, HubError> {
    if number == 0 {
        return Ok(global.open_cycle());
    }
    global
        .cycle(cycle_no(number))
        .ok_or_else(|| HubError::not_found(format!("cycle {number}")))
}

/// Which merchant a caller may look at: its own, or any for operators.
fn visible(caller: &Caller) -> Option<u32> {
    match caller {
        Caller::Operator { .. } => None,
        Caller::Merchant { index, .. } => Some(*index),
    }
}

/// The hub's side of a cycle.
pub(super) fn hub_position(totals: &CycleTotals) -> Result<v1::HubPosition, HubError> {
    Ok(v1::HubPosition {
        reserve_micros: wire(totals.hub.reserve_micros)?,
        service_fee_micros: wire(totals.hub.service_fee_micros)?,
        redemption_fee_micros: wire(totals.hub.redemption_fee_micros)?,
        breakage_micros: wire(totals.hub.breakage_micros)?,
        adjustment_micros: wire(totals.hub.adjustment_micros)?,
        commission_micros: wire(totals.hub.commission_micros)?,
    })
}

fn cycle_details(
    view: &View<'_>,
    number: u32,
    only: Option<u32>,
) -> Result<v1::GetCycleResponse, HubError> {
    let totals = find(view.global, number)?;
    let sees = |merchant: MerchantIx| only.is_none_or(|own| own == merchant.0);
    let mut net_positions = Vec::new();
    for (merchant, payment) in &payments(view.global, totals.no) {
        let idle = payment.net_micros == 0 && payment.brought_forward_micros == 0;
        if !idle && sees(*merchant) {
            net_positions.push(position(view.registry, *merchant, payment)?);
        }
    }
    let mut pair_positions = Vec::new();
    for ((funder, redeemer), pair) in &totals.pairs {
        let empty = pair.points == 0 && pair.micros == 0;
        if empty || !(sees(*funder) || sees(*redeemer)) {
            continue;
        }
        pair_positions.push(v1::PairPosition {
            funder_merchant_id: view.registry.slug(funder.0).to_owned(),
            redeeming_merchant_id: view.registry.slug(redeemer.0).to_owned(),
            points: pair.points,
            value_micros: wire(pair.micros)?,
        });
    }
    net_positions.sort_by(|a, b| a.merchant_id.cmp(&b.merchant_id));
    pair_positions.sort_by(|a, b| {
        (&a.funder_merchant_id, &a.redeeming_merchant_id)
            .cmp(&(&b.funder_merchant_id, &b.redeeming_merchant_id))
    });
    let hub = match only {
        Some(_) => None,
        None => Some(hub_position(totals)?),
    };
    Ok(v1::GetCycleResponse {
        cycle: Some(cycle(view.global, totals)),
        net_positions,
        pair_positions,
        hub,
    })
}

#[tonic::async_trait]
impl CycleService for Api {
    async fn list_cycles(
        &self,
        request: Request<v1::ListCyclesRequest>,
    ) -> Answer<v1::ListCyclesResponse> {
        self.caller(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size, 100)?;
        let start =
            usize::try_from(page::start(&request.page_token, "cycles")?).unwrap_or(usize::MAX);
        let (cycles, total) = self
            .read(move |view| {
                let cycles = view.global.cycles();
                Ok((
                    cycles
                        .iter()
                        .skip(start)
                        .take(size)
                        .map(|totals| cycle(view.global, totals))
                        .collect::<Vec<_>>(),
                    cycles.len(),
                ))
            })
            .await?;
        let end = start.saturating_add(cycles.len());
        let next_page_token = if end < total {
            page::token("cycles", end as u64)
        } else {
            String::new()
        };
        ok(v1::ListCyclesResponse {
            cycles,
            next_page_token,
        })
    }

    async fn get_cycle(
        &self,
        request: Request<v1::GetCycleRequest>,
    ) -> Answer<v1::GetCycleResponse> {
        let caller = self.caller(&request)?;
        let only = visible(&caller);
        let number = request.into_inner().cycle_number;
        ok(self
            .read(move |view| cycle_details(view, number, only))
            .await?)
    }

    async fn close_cycle(
        &self,
        request: Request<v1::CloseCycleRequest>,
    ) -> Answer<v1::CloseCycleResponse> {
        let caller = self.caller(&request)?;
        caller.administrator()?;
        let request = request.into_inner();
        if request.cycle_number == 0 {
            return Err(HubError::field(
                "cycle_number",
                "REQUIRED",
                "name the cycle that you believe to be open",
            )
            .into());
        }
        let sequencer = &self.0.sequencer;
        let number = sequencer
            .close_cycle(request.cycle_number, request.validate_only, caller.actor())
            .await?;
        let cycle = self
            .read(move |view| find(view.global, number).map(|totals| cycle(view.global, totals)))
            .await?;
        ok(v1::CloseCycleResponse { cycle: Some(cycle) })
    }
}

fn statement_of(
    view: &View<'_>,
    number: u32,
    merchant: MerchantIx,
) -> Result<v1::GetStatementResponse, HubError> {
    let totals = find(view.global, number)?;
    let statement = statement(view.global, totals.no, merchant)
        .ok_or_else(|| HubError::not_found("the statement"))?;
    let mut lines = Vec::with_capacity(statement.lines.len());
    for (key, total) in &statement.lines {
        lines.push(v1::StatementLine {
            kind: key.kind.code().to_owned(),
            counterparty_merchant_id: key
                .counterparty
                .map(|m| view.registry.slug(m.0).to_owned())
                .unwrap_or_default(),
            count: total.count,
            points: total.points,
            amount_micros: wire(total.micros)?,
            late: key.late,
        });
    }
    Ok(v1::GetStatementResponse {
        cycle: Some(cycle(view.global, totals)),
        merchant_id: view.registry.slug(merchant.0).to_owned(),
        currency_code: statement.currency.as_str().to_owned(),
        lines,
        position: Some(position(view.registry, merchant, &statement.payment)?),
    })
}

fn liability(view: &View<'_>, only: Option<u32>) -> Result<v1::GetLiabilityResponse, HubError> {
    let outstanding = view.global.outstanding();
    let mut lines = Vec::new();
    for (slug, &index) in &view.registry.by_slug {
        if only.is_some_and(|own| own != index) {
            continue;
        }
        let merchant = MerchantIx(index);
        let of = |mode| {
            outstanding
                .get(&(merchant, mode))
                .copied()
                .unwrap_or_default()
        };
        let (issue, burn) = (of(FundingMode::Issue), of(FundingMode::Burn));
        lines.push(v1::LiabilityLine {
            merchant_id: slug.clone(),
            issue_points: issue.0,
            issue_value_micros: wire(issue.1)?,
            burn_points: burn.0,
            burn_value_micros: wire(burn.1)?,
            exposure_micros: wire(view.global.exposure(merchant, Instant(view.now)))?,
        });
    }
    let (reserve_micros, counts) = match only {
        Some(_) => (0, None),
        None => {
            let counts = view.global.counts();
            let authorisations_refused = counts.refused(MessageKind::Authorisation);
            let counts = v1::Counts {
                accruals: counts.accepted(MessageKind::Accrual),
                captures: counts.accepted(MessageKind::Capture),
                authorisations_refused,
                issued_points: counts.issued_points,
                redeemed_points: counts.redeemed_points - counts.refunded_points,
                expired_points: counts.expired_points,
                outstanding_points: counts.outstanding_points(),
            };
            // Debits are positive in the ledger; a reserve is shown as what stands behind the points.
            (
                wire(-view.global.hub_balances().reserve_micros)?,
                Some(counts),
            )
        }
    };
    Ok(v1::GetLiabilityResponse {
        lines,
        reserve_micros,
        counts,
    })
}

#[tonic::async_trait]
impl StatementService for Api {
    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Answer<v1::GetStatementResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let registry = self.0.registry.get();
        let merchant = match (&caller, request.merchant_id.as_str()) {
            (Caller::Merchant { index, .. }, "") => *index,
            (Caller::Merchant { slug, index }, asked) if slug == asked => *index,
            (Caller::Merchant { .. }, asked) => {
                return Err(
                    HubError::not_found(format!("the statement of merchant \"{asked}\"")).into(),
                );
            }
            (Caller::Operator { .. }, asked) => registry
                .merchant(asked)
                .ok_or_else(|| HubError::not_found(format!("merchant \"{asked}\"")))?,
        };
        let number = request.cycle_number;
        ok(self
            .read(move |view| statement_of(view, number, MerchantIx(merchant)))
            .await?)
    }

    async fn get_liability(
        &self,
        request: Request<v1::GetLiabilityRequest>,
    ) -> Answer<v1::GetLiabilityResponse> {
        let only = visible(&self.caller(&request)?);
        ok(self.read(move |view| liability(view, only)).await?)
    }
}
