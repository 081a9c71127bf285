//! The fold's totals of a cycle in the form in which the auditor has its own: the one place that knows both.

use std::collections::BTreeMap;

use hansa_auditor as audit;
use hansa_settlement::{CycleTotals, MerchantIx, MessageKind};

use crate::{convert::cycle_number, registry::Registry};

/// Kinds of messages, by the names that both sides count them under.
const KINDS: [(MessageKind, &str); 9] = [
    (MessageKind::Accrual, "accrual"),
    (MessageKind::AccrualReversal, "accrual_reversal"),
    (MessageKind::Authorisation, "redemption_authorisation"),
    (MessageKind::Capture, "redemption_capture"),
    (MessageKind::Void, "redemption_void"),
    (MessageKind::Refund, "redemption_refund"),
    (MessageKind::Conversion, "conversion"),
    (MessageKind::ConversionReturn, "conversion_return"),
    (MessageKind::ConversionApproval, "conversion_approval"),
];

/// What the fold says of a cycle, merchants by their ids.
#[must_use]
pub fn totals(cycle: &CycleTotals, registry: &Registry) -> audit::CycleTotals {
    let slug = |merchant: MerchantIx| registry.slug(merchant.0).to_owned();
    let nets = cycle.nets().into_iter();
    let pairs = cycle.pairs.iter().map(|((funder, merchant), pair)| {
        let sums = audit::Pair {
            points: pair.points,
            micros: pair.micros,
        };
        ((slug(*funder), slug(*merchant)), sums)
    });
    let lines = cycle.lines.iter().map(|(key, total)| {
        let line = audit::LineKey {
            merchant: slug(key.merchant),
            kind: key.kind.code().to_owned(),
            counterparty: key.counterparty.map(slug),
            late: key.late,
        };
        let sums = audit::Line {
            points: total.points,
            micros: total.micros,
        };
        (line, sums)
    });
    let counted = |count: &dyn Fn(MessageKind) -> u64| -> BTreeMap<String, u64> {
        let counts = KINDS
            .iter()
            .map(|(kind, name)| ((*name).to_owned(), count(*kind)));
        counts.filter(|(_, count)| *count != 0).collect()
    };
    let counts = &cycle.counts;
    audit::CycleTotals {
        number: cycle_number(cycle.no),
        cut_leaf: cycle.cut_seq,
        closed_leaf: cycle.closed_seq,
        nets: nets
            .map(|(merchant, micros)| (slug(merchant), micros))
            .collect(),
        hub: audit::Hub {
            reserve: cycle.hub.reserve_micros,
            service_fee: cycle.hub.service_fee_micros,
            redemption_fee: cycle.hub.redemption_fee_micros,
            breakage: cycle.hub.breakage_micros,
            adjustments: cycle.hub.adjustment_micros,
            commission: cycle.hub.commission_micros,
        },
        pairs: pairs.collect(),
        lines: lines.collect(),
        counts: audit::Counts {
            accepted: counted(&|kind| counts.accepted(kind)),
            refused: counted(&|kind| counts.refused(kind)),
            issued_points: counts.issued_points,
            redeemed_points: counts.redeemed_points,
            refunded_points: counts.refunded_points,
            expired_points: counts.expired_points,
            recovered_points: counts.recovered_points,
        },
        defaults: Vec::new(),
    }
    .trimmed()
}
