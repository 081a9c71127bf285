//! Conversions with their commissions, as who may see them sees them.

use std::collections::{HashMap, hash_map::Entry};

use hansa_client::touch_id::TouchFlags;
use hansa_proto::v1::{self, message::Body};
use hansa_settlement::{
    Commission, CycleNo, Global, MemberId, MerchantIx, Pos,
    commission::{CommissionState, TouchKind},
    finance::{Party, PaymentState},
};
use prost::Message as _;

use super::super::Api;
use crate::{
    auth::Caller,
    convert::{self, cycle_number, timestamp},
    error::HubError,
    registry::Registry,
    sequencer::{View, group::first_entry},
};

/// Who looks, as far as it matters for what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Viewer {
    /// An operator, or a manager with the affiliate in its book.
    Operator,
    /// A merchant or an affiliate.
    Participant(MerchantIx),
}

impl Viewer {
    pub(super) fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Operator { .. } => Self::Operator,
            Caller::Merchant { index, .. } => Self::Participant(MerchantIx(*index)),
        }
    }

    fn may_see(self, commission: &Commission) -> bool {
        match self {
            Self::Operator => true,
            Self::Participant(own) => {
                own == commission.conversion.merchant || own == commission.attribution.affiliate
            }
        }
    }
}

impl Api {
    /// The messages at these places.
    async fn conversions_at(&self, positions: &[Pos]) -> Result<Vec<v1::Message>, HubError> {
        let mut entries: HashMap<u64, Vec<bytes::Bytes>> = HashMap::new();
        let mut messages = Vec::with_capacity(positions.len());
        for pos in positions {
            let missing = || HubError::internal(format!("no message at {pos:?}"));
            let elements = match entries.entry(pos.seq()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let row = self.0.store.entry(pos.seq()).await?.ok_or_else(missing)?;
                    new.insert(first_entry(&row)?.elements)
                }
            };
            let element = elements.get(pos.index() as usize);
            let bytes = element.ok_or_else(missing)?.clone();
            messages.push(v1::Message::decode(bytes).map_err(HubError::internal)?);
        }
        Ok(messages)
    }

    /// The records at these places that the viewer may see, in their order; and how much of the log they have.
    pub(super) async fn records(
        &self,
        viewer: Viewer,
        positions: &[Pos],
    ) -> Result<(Vec<v1::ConversionRecord>, u64), HubError> {
        let accounts = positions.iter().map(|pos| MemberId::of_conversion(*pos).0);
        let read = self.0.sequencer.conversions(accounts.collect()).await?;
        let accounts: Vec<Commission> = read
            .accounts
            .iter()
            .filter_map(|account| account.commission())
            .filter(|commission| viewer.may_see(commission))
            .cloned()
            .collect();
        let places: Vec<Pos> = accounts.iter().map(|commission| commission.pos).collect();
        let messages = self.conversions_at(&places).await?;
        let told = accounts.into_iter().zip(messages);
        let records = self
            .read(move |view| {
                let paid = paid_up_to(view.global);
                told.map(|(commission, message)| record(view, viewer, &paid, &commission, &message))
                    .collect::<Result<_, _>>()
            })
            .await?;
        Ok((records, read.size))
    }
}

/// Of each affiliate with a payment that settled, the last cycle of one: what stays below the smallest payment is brought
/// forward, so a later payment has it in it.
fn paid_up_to(global: &Global) -> HashMap<MerchantIx, CycleNo> {
    let mut paid = HashMap::new();
    for payment in global.finance().payments() {
        if let Party::Merchant(payee) = payment.payee
            && payment.state == PaymentState::Settled
        {
            let last = paid.entry(payee).or_insert(payment.cycle);
            *last = payment.cycle.max(*last);
        }
    }
    paid
}

fn state(
    paid_up_to: &HashMap<MerchantIx, CycleNo>,
    commission: &Commission,
) -> v1::CommissionState {
    match commission.state {
        CommissionState::Accrued => v1::CommissionState::Accrued,
        CommissionState::Locked => v1::CommissionState::Locked,
        CommissionState::Reversed => v1::CommissionState::Reversed,
        CommissionState::Payable => {
            let paid = paid_up_to.get(&commission.attribution.affiliate);
            let payable = commission.payable_in;
            if payable.is_some_and(|cycle| paid.is_some_and(|last| *last >= cycle)) {
                v1::CommissionState::Paid
            } else {
                v1::CommissionState::Payable
            }
        }
    }
}

fn touches(
    registry: &Registry,
    viewer: Viewer,
    commission: &Commission,
) -> Vec<v1::ConversionTouch> {
    let conversion = &commission.conversion;
    let own = |affiliate: MerchantIx| match viewer {
        Viewer::Operator => true,
        Viewer::Participant(ix) => ix == conversion.merchant || ix == affiliate,
    };
    let shown = conversion.touches.iter().enumerate();
    shown
        .filter(|(_, touch)| own(touch.affiliate))
        .map(|(place, touch)| v1::ConversionTouch {
            touch_id: touch.id.to_vec(),
            affiliate_id: registry.slug(touch.affiliate.0).to_owned(),
            site_number: touch.site,
            touch_time: Some(timestamp(touch.at.0)),
            view: touch.kind == TouchKind::View,
            flags: TouchFlags::NAMES
                .iter()
                .filter(|(flag, _)| TouchFlags::from_bits(touch.flags).contains(*flag))
                .map(|(_, name)| (*name).to_owned())
                .collect(),
            invalid: commission
                .invalid
                .iter()
                .any(|at| usize::from(*at) == place),
            attributed: commission
                .attribution
                .touch
                .is_some_and(|at| usize::from(at) == place),
        })
        .collect()
}

fn record(
    view: &View<'_>,
    viewer: Viewer,
    paid_up_to: &HashMap<MerchantIx, CycleNo>,
    commission: &Commission,
    message: &v1::Message,
) -> Result<v1::ConversionRecord, HubError> {
    let Some(Body::Conversion(said)) = &message.body else {
        let text = format!("the message at {:?} is no conversion", commission.pos);
        return Err(HubError::internal(text));
    };
    let (global, registry) = (view.global, view.registry);
    let (conversion, attribution) = (&commission.conversion, &commission.attribution);
    let money = |micros: i64| {
        Some(v1::Money {
            currency_code: global.currency().as_str().to_owned(),
            micros,
        })
    };
    let locks = conversion.locks_at != hansa_settlement::Instant::NEVER;
    Ok(v1::ConversionRecord {
        leaf_index: commission.pos.seq(),
        entry_position: commission.pos.index(),
        message_id: message.message_id.clone(),
        merchant_id: registry.slug(conversion.merchant.0).to_owned(),
        order_reference: said.order_reference.clone(),
        event_time: Some(timestamp(conversion.event_time.0)),
        amount: money(conversion.amount_micros),
        returned_amount: money(commission.returned_micros),
        affiliate_id: registry.slug(attribution.affiliate.0).to_owned(),
        site_number: attribution.site,
        share_bps: attribution.pay.share_bps,
        fixed: money(attribution.pay.fixed_micros),
        terms_version: conversion.version + 1,
        rate_row: attribution.row,
        commission: money(commission.micros),
        state: state(paid_up_to, commission).into(),
        locks_at: locks.then(|| timestamp(conversion.locks_at.0)),
        held_by_flags: commission.holds.clone(),
        reason: commission
            .reason
            .map_or(
                v1::CommissionReason::Unspecified,
                convert::reason_of_commission,
            )
            .into(),
        recurring: conversion.recurring,
        country_code: conversion.country.clone(),
        category: conversion.category.clone(),
        payable_in_cycle: commission.payable_in.map_or(0, cycle_number),
        touches: touches(registry, viewer, commission),
    })
}
