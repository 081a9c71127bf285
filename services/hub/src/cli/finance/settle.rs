//! `hansa finance compare` and `preview`: what settling a cycle would do. Changes nothing.

use std::fmt::Write as _;

use clap::Args as ClapArgs;
use hansa_client::hub::Hub;
use hansa_proto::v1;

use super::{json, value, words};
use crate::cli::{
    connect::Connection,
    exit,
    render::{self, Column, Format},
    session,
};

/// Which cycle to compare.
#[derive(Debug, ClapArgs)]
pub struct CompareArgs {
    /// Number of the cycle; closed.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: u32,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Whom a settlement takes in.
#[derive(Debug, Clone, ClapArgs)]
struct Scope {
    /// Set pairs off before the method runs. A policy: it clears up to 4 % less.
    #[arg(long)]
    bilateral_first: bool,
    /// Leave this merchant out; its net is brought forward. May be repeated.
    #[arg(long, value_name = "MERCHANT")]
    without: Vec<String>,
}

/// How a cycle is to be settled.
#[derive(Debug, Clone, ClapArgs)]
pub struct Settlement {
    /// Number of the cycle; closed, and every cycle before it settled.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: u32,
    /// How it nets. Default: the programme's method.
    #[arg(long, value_name = "METHOD", ignore_case = true, value_parser = value::method())]
    method: Option<v1::NettingMethod>,
    #[command(flatten)]
    scope: Scope,
    /// Do not pay AMOUNT of what MERCHANT gets, because of REASON. May be repeated.
    #[arg(long, num_args = 3, value_names = ["MERCHANT", "AMOUNT", "REASON"])]
    hold_back: Vec<String>,
    /// Day on which banks shall execute, YYYY-MM-DD. Default: the day of approval.
    #[arg(long, value_name = "DATE", value_parser = value::date)]
    execution_date: Option<String>,
    /// Settle although a cap is exceeded afterwards; the reason must say why.
    #[arg(long)]
    accept_cap_breach: bool,
}

impl Settlement {
    /// As the contract has it.
    pub(super) fn wire(&self) -> anyhow::Result<v1::SettleCycle> {
        let mut holdbacks = Vec::new();
        for held in self.hold_back.chunks(3) {
            let [merchant_id, amount, reason] = held else {
                let message = "--hold-back takes MERCHANT AMOUNT REASON";
                return Err(exit::coded(exit::USAGE, message));
            };
            let amount_micros = value::positive(amount)
                .map_err(|error| exit::coded(exit::USAGE, format!("--hold-back: {error}")))?;
            holdbacks.push(v1::Holdback {
                merchant_id: merchant_id.clone(),
                amount_micros,
                reason: reason.clone(),
            });
        }
        Ok(v1::SettleCycle {
            cycle_number: self.cycle,
            method: self.method.unwrap_or(v1::NettingMethod::Unspecified).into(),
            bilateral_first: self.scope.bilateral_first,
            without_merchant_ids: self.scope.without.clone(),
            holdbacks,
            execution_date: self.execution_date.clone().unwrap_or_default(),
            accept_cap_breach: self.accept_cap_breach,
        })
    }
}

/// What to preview.
#[derive(Debug, ClapArgs)]
pub struct PreviewArgs {
    #[command(flatten)]
    settle: Settlement,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs `compare`.
pub(super) async fn compare(args: CompareArgs) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let request = v1::CompareNettingRequest {
        cycle_number: args.cycle,
        bilateral_first: args.scope.bilateral_first,
        without_merchant_ids: args.scope.without,
    };
    let compared = hub
        .call(request, async |hub: Hub, request| {
            hub.finance().compare_netting(request).await
        })
        .await?;
    if args.format.json {
        return render::print_json(&json::comparison(&compared));
    }
    let currency = session::currency(&hub).await?;
    render::print(&comparison_text(args.cycle, &compared, &currency))
}

fn comparison_text(cycle: u32, compared: &v1::CompareNettingResponse, currency: &str) -> String {
    let mut table = render::table(&[
        Column::Left("method"),
        Column::Right("to pay"),
        Column::Right("payments"),
        Column::Right("new relations"),
        Column::Right("liquidity"),
        Column::Right("set off"),
    ]);
    let plain = |micros| render::amount(micros, currency);
    for line in &compared.methods {
        table.add_row([
            words::method(line.method()).to_owned(),
            plain(line.payment_value_micros),
            render::number(line.payments),
            render::number(line.new_relations),
            plain(line.liquidity_micros),
            plain(line.cleared_micros),
        ]);
    }
    format!(
        "Cycle {cycle}: obligations {}, net internal debt {}\n{}\n",
        plain(compared.gross_micros),
        plain(compared.net_internal_debt_micros),
        table.trim_fmt()
    )
}

/// Runs `preview`.
pub(super) async fn preview(args: PreviewArgs) -> anyhow::Result<()> {
    let settlement = args.settle.wire()?;
    let hub = session::operator(&args.connection).await?;
    let cycle = settlement.cycle_number;
    let preview = preview_of(&hub, settlement).await?;
    if args.format.json {
        return render::print_json(&json::preview(&preview));
    }
    let currency = session::currency(&hub).await?;
    let mut text = preview_text(cycle, &preview, &currency);
    if preview.blockers.is_empty() {
        let _ = writeln!(
            text,
            "Propose it: hansa finance propose settle {cycle} --reason TEXT, with the same options."
        );
    }
    render::print(&text)
}

/// What a settlement would do.
pub(super) async fn preview_of(
    hub: &Hub,
    settlement: v1::SettleCycle,
) -> anyhow::Result<v1::PreviewSettlementResponse> {
    let request = v1::PreviewSettlementRequest {
        settlement: Some(settlement),
    };
    let preview = hub
        .call(request, async |hub: Hub, request| {
            hub.finance().preview_settlement(request).await
        })
        .await?;
    Ok(preview)
}

/// Positions, payments, and what a checker should know.
pub(super) fn preview_text(
    cycle: u32,
    preview: &v1::PreviewSettlementResponse,
    currency: &str,
) -> String {
    let mut text = String::new();
    let mut table = render::table(&[
        Column::Left("merchant"),
        Column::Right("net"),
        Column::Right("brought forward"),
        Column::Right("payment"),
        Column::Right("held back"),
        Column::Right("carried forward"),
        Column::Right("exposure"),
        Column::Right("afterwards"),
        Column::Right("limit"),
    ]);
    for line in &preview.positions {
        let position = line.position.clone().unwrap_or_default();
        table.add_row([
            line.merchant_id.clone(),
            render::signed(position.net_micros),
            render::signed(position.brought_forward_micros),
            render::amount(position.payment_micros, currency),
            render::amount(line.held_back_micros, currency),
            render::signed(position.carried_forward_micros),
            render::amount(line.exposure_before_micros, currency),
            render::amount(line.exposure_after_micros, currency),
            line.limit_micros.map_or_else(
                || "none".to_owned(),
                |limit| render::amount(limit, currency),
            ),
        ]);
    }
    if preview.positions.is_empty() {
        let _ = writeln!(text, "Cycle {cycle}: nobody owes anything.");
    } else {
        let _ = writeln!(
            text,
            "Cycle {cycle}, positions in {currency} (+ the merchant owes, - it is owed)\n{}\n\n{}",
            table.trim_fmt(),
            payments_text(&preview.payments, currency)
        );
    }
    for warning in &preview.warnings {
        let _ = writeln!(text, "Note: {warning}");
    }
    for blocker in &preview.blockers {
        let _ = writeln!(text, "Not now: {blocker}");
    }
    text
}

fn payments_text(payments: &[v1::Payment], currency: &str) -> String {
    if payments.is_empty() {
        return "Nothing is paid.".to_owned();
    }
    let mut table = render::table(&[
        Column::Left("who pays"),
        Column::Left("to whom"),
        Column::Right("amount"),
        Column::Left("account"),
    ]);
    for payment in payments {
        table.add_row([
            words::party(&payment.payer_merchant_id).to_owned(),
            words::party(&payment.payee_merchant_id).to_owned(),
            render::amount(payment.amount_micros, currency),
            payment.payee_account.clone(),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_shows_payments_and_what_stands_in_the_way() {
        let preview = v1::PreviewSettlementResponse {
            positions: vec![v1::SettlementPosition {
                merchant_id: "a".into(),
                position: Some(v1::NetPosition {
                    merchant_id: "a".into(),
                    net_micros: -3_442_775,
                    payment_micros: -3_440_000,
                    carried_forward_micros: -2_775,
                    ..v1::NetPosition::default()
                }),
                exposure_before_micros: 1_000_000,
                limit_micros: Some(50_000_000),
                ..v1::SettlementPosition::default()
            }],
            payments: vec![v1::Payment {
                payee_merchant_id: "a".into(),
                amount_micros: 3_440_000,
                ..v1::Payment::default()
            }],
            warnings: vec!["one dispute is open".into()],
            blockers: vec!["the auditor has not come this far".into()],
        };
        let text = preview_text(3, &preview, "EUR");
        for part in [
            "-3.442775",
            "-3.44 EUR",
            "50.00 EUR",
            "the hub    a         3.44 EUR",
            "Note: one dispute is open\nNot now: the auditor has not come this far\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(payments_text(&[], "EUR"), "Nothing is paid.");
    }
}
