//! An alliance of three with cycles that close by hand: quick to fill, every cycle the same.

use crate::{
    alliance,
    bank::{Booking, statement},
    check::answered,
    clerk::{Clerk, settlement},
    database::Database,
    hub::TestHub,
    merchant::Merchant,
};
use hansa_client::hub::Hub;
use hansa_proto::v1::{self, NettingMethod};

/// The day on which everything happens.
pub const DAY: &str = "2026-04-01";

/// An alliance of three, and two people of finance.
#[derive(Debug)]
pub struct Shop {
    /// The hub, on a test clock.
    pub hub: TestHub,
    /// Where points are spent.
    pub a: Merchant,
    /// Who issues.
    pub f: Merchant,
    /// Where points are spent, too.
    pub t: Merchant,
    /// Makes.
    pub ana: Clerk,
    /// Checks.
    pub ben: Clerk,
}

/// Terms with an account, disputes within 30 days.
#[must_use]
pub fn terms(id: &str) -> v1::Contract {
    v1::Contract {
        dispute_days: 30,
        bank_details: Some(alliance::bank_details(id)),
        ..alliance::contract()
    }
}

impl Shop {
    /// A new one.
    ///
    /// # Panics
    /// When the hub does not start, or refuses.
    pub async fn new(database: &Database) -> Self {
        Self::audited(database, "inline").await
    }

    /// A new one that is audited in another way: `separate`, `off`.
    ///
    /// # Panics
    /// When the hub does not start, or refuses.
    pub async fn audited(database: &Database, mode: &str) -> Self {
        let mut hub = TestHub::on(database)
            .test_clock("2026-04-01T08:00:00Z")
            .prepare();
        hub.change_audit(mode);
        hub.start().await;
        hub.apply(v1::Alliance {
            programme: Some(v1::Programme {
                cycle_schedule: v1::CycleSchedule::Manual.into(),
                bank_details: Some(alliance::bank_details("")),
                ..alliance::programme()
            }),
            ..v1::Alliance::default()
        })
        .await;
        Self {
            a: hub.onboard("a", terms("a")).await,
            f: hub.onboard("f", terms("f")).await,
            t: hub.onboard("t", terms("t")).await,
            ana: hub.finance("Ana").await,
            ben: hub.finance("Ben").await,
            hub,
        }
    }

    /// F sells 100 points for 0.95, which are spent at A and T, who get 0.39 each: payments 0.95, 0.39, 0.39.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn trade(&self) {
        let [at_f, at_a, at_t] = [
            self.f.enrol("u").await,
            self.a.enrol("u").await,
            self.t.enrol("u").await,
        ];
        self.f.accrue(&at_f, "100.00").await.ok();
        for (merchant, member) in [(&self.a, at_a), (&self.t, at_t)] {
            let held = merchant.authorise(&member, 50).await.accepted();
            merchant.capture(&member, held.id, 50).await.ok();
        }
    }

    /// Closes the open cycle. The auditor has agreed with it when this returns: nothing more of it comes into the log.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn close(&self, cycle_number: u32) {
        close(&self.hub.operator(), cycle_number).await;
        self.hub.wait_audited(cycle_number).await;
    }

    /// A cycle that is traded in, closed, and whose settlement is approved.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn approved(&self, cycle: u32) {
        self.trade().await;
        self.close(cycle).await;
        let plain = settlement(cycle, NettingMethod::Multilateral);
        self.ana.settle(&self.ben, plain).await;
    }

    /// The same, with its payments handed in.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn submitted(&self, cycle: u32) -> Vec<v1::Payment> {
        self.approved(cycle).await;
        self.ana.submit_all(cycle).await.unwrap();
        self.ana.payments(cycle).await
    }

    /// The same, confirmed by the bank.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn settled(&self, cycle: u32) -> Vec<v1::Payment> {
        let payments = self.submitted(cycle).await;
        let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
        let id = format!("STMT-{cycle}");
        self.ana
            .reconcile(&self.ben, statement(&id, DAY, &bookings))
            .await;
        assert_eq!(self.ana.cycle(cycle).await.state(), v1::CycleState::Settled);
        self.ana.payments(cycle).await
    }

    /// The open cycle's number.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn open_cycle(&self) -> u32 {
        self.ana.cycle(0).await.cycle_number
    }

    /// Everything that finance can read, for comparison.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn everything(&self) -> Everything {
        Everything::of(&self.ana.hub).await
    }

    /// Asserts that neither the log nor anything that finance reads has changed.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn assert_unchanged(&self, size: u64, before: &Everything) {
        assert_eq!(self.hub.status().await.tree_size, size);
        assert_eq!(self.everything().await, *before);
    }
}

/// Closes the open cycle by hand.
///
/// # Panics
/// When it is not cut afterwards.
pub async fn close(operator: &Hub, cycle_number: u32) {
    let request = v1::CloseCycleRequest {
        cycle_number,
        validate_only: false,
    };
    let closed = operator
        .call(request, async |hub: Hub, request| {
            hub.cycles_client().close_cycle(request).await
        })
        .await;
    // The first answer may be lost, and the cycle cut.
    if let Err(refusal) = closed {
        let found = operator.cycle(cycle_number).await.unwrap().cycle.unwrap();
        assert!(found.cut_leaf_index.is_some(), "{refusal}");
    }
}

/// What finance reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Everything {
    /// Cycles with their positions.
    pub cycles: Vec<v1::GetCycleResponse>,
    /// Statements of everybody in every cycle.
    pub statements: Vec<v1::GetStatementResponse>,
    /// Proposals.
    pub proposals: v1::ListProposalsResponse,
    /// Payments.
    pub payments: v1::ListPaymentsResponse,
    /// Payment files of the hub and of F, in both forms.
    pub files: Vec<Vec<u8>>,
    /// Bank reports.
    pub reports: v1::ListBankReportsResponse,
    /// What did not match.
    pub exceptions: v1::ListExceptionsResponse,
    /// Disputes.
    pub disputes: v1::ListDisputesResponse,
    /// Exposures.
    pub risk: v1::GetRiskResponse,
    /// Who did what.
    pub trail: v1::ListAuditTrailResponse,
    /// Open points.
    pub liability: v1::GetLiabilityResponse,
}

impl Everything {
    /// As it stands.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn of(hub: &Hub) -> Self {
        let mut cycles = Vec::new();
        let mut statements = Vec::new();
        let mut files = Vec::new();
        for cycle in hub.cycles().await.unwrap() {
            let number = cycle.cycle_number;
            cycles.push(hub.cycle(number).await.unwrap());
            for merchant in ["a", "f", "t"] {
                statements.push(hub.statement(number, Some(merchant)).await.unwrap());
            }
            for payer in ["", "f"] {
                for format in [v1::PaymentFileFormat::Pain001, v1::PaymentFileFormat::Csv] {
                    let file = crate::clerk::file(hub, number, payer, 0, format).await;
                    files.extend(file.into_iter().map(|file| file.content));
                }
            }
        }
        let mut finance = hub.finance();
        let mut disputes = hub.disputes();
        Self {
            cycles,
            statements,
            files,
            proposals: answered(
                finance
                    .list_proposals(v1::ListProposalsRequest {
                        page_size: 1_000,
                        ..v1::ListProposalsRequest::default()
                    })
                    .await,
            ),
            payments: answered(
                finance
                    .list_payments(v1::ListPaymentsRequest {
                        page_size: 1_000,
                        ..v1::ListPaymentsRequest::default()
                    })
                    .await,
            ),
            reports: answered(
                finance
                    .list_bank_reports(v1::ListBankReportsRequest {
                        page_size: 100,
                        ..v1::ListBankReportsRequest::default()
                    })
                    .await,
            ),
            exceptions: answered(
                finance
                    .list_exceptions(v1::ListExceptionsRequest::default())
                    .await,
            ),
            disputes: answered(
                disputes
                    .list_disputes(v1::ListDisputesRequest::default())
                    .await,
            ),
            risk: answered(finance.get_risk(v1::GetRiskRequest {}).await),
            trail: answered(
                finance
                    .list_audit_trail(v1::ListAuditTrailRequest {
                        page_size: 1_000,
                        ..v1::ListAuditTrailRequest::default()
                    })
                    .await,
            ),
            liability: answered(
                hub.statements()
                    .get_liability(v1::GetLiabilityRequest {})
                    .await,
            ),
        }
    }
}
