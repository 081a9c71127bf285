//! `hansa finance propose`: a step that moves money, for another person to approve.

use clap::{Args as ClapArgs, Subcommand};
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1::{self, action::Action as A};
use serde_json::json;

use super::{
    json, next,
    settle::{self, Settlement},
    value, words,
};
use crate::cli::{
    connect::Connection,
    render::{self, Format},
    session,
};

/// What to propose.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Settle a closed cycle: becomes its payment instructions. Shows the preview first.
    Settle {
        #[command(flatten)]
        settle: Settlement,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Give up a settlement of which nothing was submitted; its nets are brought forward.
    Abort {
        /// Number of the cycle.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        cycle: u32,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Correct what closed cycles got wrong; posted to the open cycle.
    Adjust {
        #[command(flatten)]
        adjustment: Box<Adjustment>,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Pay again what was rejected or returned, to the account that the contract names now.
    Reinstruct {
        /// Number of the payment.
        #[arg(value_name = "PAYMENT")]
        payment: u64,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Bring what was rejected or returned forward into the next settlement.
    CarryForward {
        /// Number of the payment.
        #[arg(value_name = "PAYMENT")]
        payment: u64,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Post what a bank report confirmed: its payments become SETTLED, or RETURNED.
    PostReconciliation {
        /// Number of the report.
        #[arg(value_name = "REPORT")]
        report: u64,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Match an exception by hand.
    Match {
        /// Number of the exception.
        #[arg(value_name = "EXCEPTION")]
        exception: u64,
        /// Numbers of the payments that it confirms.
        #[arg(value_name = "PAYMENT", required = true)]
        payments: Vec<u64>,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Give held-back money free: it is brought forward into the merchant's next settlement.
    ReleaseHoldback {
        /// The merchant.
        #[arg(value_name = "MERCHANT")]
        whose: String,
        /// At most what is held back.
        #[arg(value_name = "AMOUNT", value_parser = value::positive)]
        amount: i64,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// Share what a suspended merchant owes: its held-back money, its collateral, then the published loss shares.
    DeclareDefault {
        /// The merchant.
        #[arg(value_name = "MERCHANT")]
        whose: String,
        /// At most what it owes.
        #[arg(value_name = "AMOUNT", value_parser = value::positive)]
        amount: i64,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// A merchant has paid for points ahead; lowers its exposure.
    PrepaidPack {
        /// The merchant.
        #[arg(value_name = "MERCHANT")]
        whose: String,
        /// What it paid.
        #[arg(value_name = "AMOUNT", value_parser = value::positive)]
        amount: i64,
        /// The bank's or the invoice's reference.
        #[arg(long, value_name = "TEXT")]
        reference: String,
        #[command(flatten)]
        proposed: Proposed,
    },
    /// A merchant that leaves pays for its open points, in the open cycle. It does not become ACTIVE again.
    PrefundPoints {
        /// The merchant: BURN_ONLY, WINDING_DOWN or SUSPENDED.
        #[arg(value_name = "MERCHANT")]
        whose: String,
        #[command(flatten)]
        proposed: Proposed,
    },
}

/// How it is proposed.
#[derive(Debug, ClapArgs)]
struct Proposed {
    /// Why; stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only check.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// A correction.
#[derive(Debug, ClapArgs)]
struct Adjustment {
    /// Whose net changes.
    #[arg(value_name = "MERCHANT")]
    whose: String,
    /// What it owes more, or with a minus less.
    #[arg(value_name = "AMOUNT", value_parser = value::amount, allow_negative_numbers = true)]
    amount: i64,
    /// Why, as a code.
    #[arg(long, value_name = "CODE", ignore_case = true, value_parser = value::adjustment_reason())]
    because: v1::AdjustmentReason,
    /// The merchant that bears it. Default: the hub.
    #[arg(long, value_name = "MERCHANT")]
    counterparty: Option<String>,
    #[command(flatten)]
    original: Original,
    /// The dispute behind it.
    #[arg(long, value_name = "N")]
    dispute: Option<u64>,
    /// The exception behind it.
    #[arg(long, value_name = "N")]
    exception: Option<u64>,
    /// The query over a commission behind it.
    #[arg(long, value_name = "N")]
    query: Option<u64>,
}

/// A place in the log.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Original {
    /// The cycle that it is about.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cycle: Option<u32>,
    /// The entry that it is about.
    #[arg(long, value_name = "LEAF")]
    leaf: Option<u64>,
    /// Position of the message in the entry.
    #[arg(
        long,
        value_name = "P",
        requires = "leaf",
        default_value_t = 0,
        hide_default_value = true
    )]
    position: u32,
    /// Kind of the statement's line, as in hansa statement --json.
    #[arg(long, value_name = "KIND")]
    line: Option<String>,
}

impl Original {
    /// As the contract has it; nothing where nothing is named.
    pub(crate) fn wire(&self) -> Option<v1::OriginalReference> {
        let named = self.cycle.is_some() || self.leaf.is_some() || self.line.is_some();
        named.then(|| v1::OriginalReference {
            cycle_number: self.cycle.unwrap_or(0),
            leaf_index: self.leaf,
            entry_position: self.position,
            line_kind: self.line.clone().unwrap_or_default().to_uppercase(),
        })
    }
}

impl Adjustment {
    fn wire(self) -> A {
        A::Adjustment(v1::Adjustment {
            merchant_id: self.whose,
            counterparty_merchant_id: self.counterparty.unwrap_or_default(),
            amount_micros: self.amount,
            reason: self.because.into(),
            original: self.original.wire(),
            dispute_number: self.dispute.unwrap_or(0),
            exception_number: self.exception.unwrap_or(0),
            query_number: self.query.unwrap_or(0),
        })
    }
}

impl Step {
    fn wire(self) -> anyhow::Result<(A, Proposed)> {
        Ok(match self {
            Self::Settle { settle, proposed } => (A::SettleCycle(settle.wire()?), proposed),
            Self::Abort { cycle, proposed } => {
                let abort = v1::AbortSettlement {
                    cycle_number: cycle,
                };
                (A::AbortSettlement(abort), proposed)
            }
            Self::Adjust {
                adjustment,
                proposed,
            } => (adjustment.wire(), proposed),
            Self::Reinstruct { payment, proposed } => {
                let again = v1::ReinstructPayment {
                    payment_number: payment,
                };
                (A::ReinstructPayment(again), proposed)
            }
            Self::CarryForward { payment, proposed } => {
                let carry = v1::CarryForwardPayment {
                    payment_number: payment,
                };
                (A::CarryForwardPayment(carry), proposed)
            }
            Self::PostReconciliation { report, proposed } => {
                let post = v1::PostReconciliation {
                    report_number: report,
                };
                (A::PostReconciliation(post), proposed)
            }
            Self::Match {
                exception,
                payments,
                proposed,
            } => {
                let found = v1::MatchException {
                    exception_number: exception,
                    payment_numbers: payments,
                };
                (A::MatchException(found), proposed)
            }
            Self::ReleaseHoldback {
                whose,
                amount,
                proposed,
            } => {
                let release = v1::ReleaseHoldback {
                    merchant_id: whose,
                    amount_micros: amount,
                };
                (A::ReleaseHoldback(release), proposed)
            }
            Self::DeclareDefault {
                whose,
                amount,
                proposed,
            } => {
                let default = v1::DeclareDefault {
                    merchant_id: whose,
                    amount_micros: amount,
                };
                (A::DeclareDefault(default), proposed)
            }
            Self::PrepaidPack {
                whose,
                amount,
                reference,
                proposed,
            } => {
                let pack = v1::PrepaidPack {
                    merchant_id: whose,
                    amount_micros: amount,
                    reference,
                };
                (A::PrepaidPack(pack), proposed)
            }
            Self::PrefundPoints { whose, proposed } => {
                let prefund = v1::PrefundPoints { merchant_id: whose };
                (A::PrefundPoints(prefund), proposed)
            }
        })
    }
}

/// Runs it.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let (action, proposed) = args.step.wire()?;
    let hub = session::operator(&proposed.connection).await?;
    let currency = session::currency(&hub).await?;
    let json = proposed.format.json;
    if let (A::SettleCycle(settlement), false) = (&action, json) {
        let preview = settle::preview_of(&hub, settlement.clone()).await?;
        let cycle = settlement.cycle_number;
        render::print(&settle::preview_text(cycle, &preview, &currency))?;
    }
    let request = v1::CreateProposalRequest {
        action: Some(v1::Action {
            action: Some(action),
        }),
        reason: proposed.reason,
        validate_only: proposed.dry_run,
    };
    let proposal = create(&hub, request).await?;
    if json {
        return render::print_json(&json!({
            "proposal": json::proposal(&proposal),
            "proposed": !proposed.dry_run,
        }));
    }
    let text = if proposed.dry_run {
        let action = words::action(proposal.action.as_ref(), &currency);
        format!("It could be proposed: {action}.\n")
    } else {
        words::proposal(&proposal, &currency) + &next::of_proposed(&proposal)
    };
    render::print(&text)
}

/// Safe to send again: a proposal that is pending, the same by the same person, is not made twice.
async fn create(hub: &Hub, request: v1::CreateProposalRequest) -> Result<v1::Proposal, CallError> {
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.finance().create_proposal(request).await
        })
        .await?;
    Ok(answer.proposal.unwrap_or_default())
}
