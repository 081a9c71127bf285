//! The golden example of the design, event by event over the wire: what it plays, and what must come out of it.

use hansa_client::message::MemberReference;
use hansa_proto::v1::{self, FundingMode, MessageState};

use crate::{
    alliance,
    check::answered,
    clock::{at, micros},
    database::Database,
    hub::TestHub,
    merchant::{Merchant, Sent},
};

/// A line of a statement: kind, counterparty, points, micro-EUR.
type Line = (&'static str, &'static str, i64, i64);

const MARCH_OPENS: &str = "2026-02-28T23:00:00Z";
const INFORMATION: [&str; 4] = [
    "REVERSAL_CLAIMED",
    "DEBT_OPENED",
    "DEBT_SETTLED",
    "BURN_EXPIRED",
];

fn terms(id: &str, mode: FundingMode, service_fee: &str) -> v1::Contract {
    v1::Contract {
        funding_mode: mode.into(),
        service_fee_per_point: service_fee.into(),
        dispute_days: 30,
        bank_details: Some(alliance::bank_details(id)),
        ..alliance::contract()
    }
}

/// The alliance of the golden example.
#[derive(Debug)]
pub struct March {
    /// The hub, on a test clock.
    pub hub: TestHub,
    /// Department store.
    pub a: Merchant,
    /// Fuel.
    pub f: Merchant,
    /// Travel.
    pub t: Merchant,
    mode: FundingMode,
    schedule: v1::CycleSchedule,
}

impl March {
    /// The alliance of 2023, where F's lot L0 comes from. Cycles close by the calendar, or by hand where there are to be only
    /// two of them.
    ///
    /// # Panics
    /// When the hub does not start, or refuses.
    pub async fn new(database: &Database, mode: FundingMode, schedule: v1::CycleSchedule) -> Self {
        let hub = TestHub::on(database)
            .test_clock("2023-03-21T10:00:00Z")
            .start()
            .await;
        let programme = v1::Programme {
            cycle_schedule: schedule.into(),
            bank_details: Some(alliance::bank_details("")),
            ..alliance::programme()
        };
        hub.apply(v1::Alliance {
            programme: Some(programme),
            ..v1::Alliance::default()
        })
        .await;
        // Whole cents of 2023 leave nothing to bring forward: 1 273 points x 0.01.
        let opening_fee = match mode {
            FundingMode::Burn => "0.01",
            _ => "0.002",
        };
        Self {
            a: hub.onboard("a", terms("a", mode, "0.001525")).await,
            f: hub.onboard("f", terms("f", mode, opening_fee)).await,
            t: hub.onboard("t", terms("t", mode, "0.001735")).await,
            hub,
            mode,
            schedule,
        }
    }

    /// Moves the clock on.
    pub async fn at(&self, instant: &str) -> &Self {
        self.hub.set_clock(instant).await;
        self
    }

    /// The cycle of March 2026.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn march(&self) -> v1::Cycle {
        let cycles = self.hub.operator().cycles().await.unwrap();
        let march = cycles
            .into_iter()
            .find(|c| c.opens_at.as_ref().map(micros) == Some(at(MARCH_OPENS)));
        march.unwrap()
    }

    async fn reserve(&self) -> i64 {
        self.hub.liability().await.reserve_micros
    }

    /// E1 to E9, and the end of March.
    ///
    /// # Panics
    /// When anything is not as the design says.
    pub async fn play(&self) {
        let (a1, f1, t1) = (
            self.a.enrol("u1").await,
            self.f.enrol("u1").await,
            self.t.enrol("u1").await,
        );
        let (f2, t2) = (self.f.enrol("u2").await, self.t.enrol("u2").await);
        self.f.accrue(&f2, "1273.00").await.ok();
        self.at(MARCH_OPENS).await;
        self.close_by_hand(1).await;
        self.at("2026-03-01T09:00:00Z").await;
        let fuel = alliance::merchant(
            "f",
            v1::MerchantState::Active,
            terms("f", self.mode, "0.002"),
        );
        self.hub.apply_merchant(fuel).await;
        let opening = [(1_273, "2023-03-21T10:00:00Z", "2026-03-20T23:00:00Z")];
        assert_eq!(lots(&self.t, &t2).await, opening);
        let reserve = if self.mode == FundingMode::Burn {
            0
        } else {
            10_184_000
        };
        assert_eq!(self.reserve().await, reserve);

        // E1
        let e1 = self
            .at("2026-03-02T09:00:00Z")
            .await
            .a
            .accrue(&a1, "1509.05")
            .await
            .accepted();
        assert_eq!(
            (e1.outcome.points, e1.outcome.available_points),
            (1_509, 1_509)
        );
        // E2
        self.hub.apply(double_points()).await;
        let e2 = self
            .at("2026-03-03T09:00:00Z")
            .await
            .f
            .accrue(&f1, "334.10")
            .await
            .accepted();
        let points = (
            e2.outcome.points,
            e2.outcome.bonus_points,
            e2.outcome.available_points,
        );
        assert_eq!(points, (668, 334, 2_177));
        self.e3(&t2).await;
        // E4
        self.at("2026-03-05T09:00:00Z").await;
        let held = self.t.authorise(&t2, 1_000).await.accepted();
        assert_eq!(held.outcome.available_points, 273);
        self.at("2026-03-05T09:10:00Z").await;
        let e4 = self.t.capture(&t2, held.id, 800).await.accepted();
        assert_eq!(e4.outcome.state(), MessageState::Captured);
        assert_eq!(e4.outcome.available_points, 473);
        // E5
        self.at("2026-03-09T09:00:00Z").await;
        let held = self.a.authorise(&a1, 2_000).await.accepted();
        self.a.capture(&a1, held.id, 2_000).await.ok();
        let own: Vec<(i64, String)> = self
            .f
            .lots(&f1)
            .await
            .into_iter()
            .map(|lot| (lot.remaining_points, lot.funder_merchant_id))
            .collect();
        assert_eq!(
            own,
            [(43, "f".into()), (134, String::new())],
            "F's bonus before T's"
        );
        // E6
        self.at("2026-03-20T22:59:59Z").await;
        assert_eq!(self.t.balance(&t2).await.available_points, 473);
        self.at("2026-03-20T23:00:00Z").await;
        assert_eq!(self.t.balance(&t2).await.available_points, 0);
        assert!(self.t.lots(&t2).await.is_empty());
        // E7
        self.at("2026-03-25T10:00:00Z").await;
        let e7 = self.t.refund(&t2, e4.id, 300).await.accepted();
        assert_eq!(e7.outcome.state(), MessageState::PartiallyRefunded);
        let child = lots(&self.f, &f2).await;
        assert_eq!(
            (child.len(), child[0].0, child[0].2),
            (1, 300, "2026-04-23T22:00:00Z")
        );
        self.e8_and_e9(&e1, &a1, &t1).await;
        self.at("2026-03-31T22:00:00Z").await;
        self.close_by_hand(2).await;
        assert_eq!(self.march().await.state(), v1::CycleState::Closed);
    }

    /// Where the calendar does not.
    async fn close_by_hand(&self, cycle_number: u32) {
        if self.schedule == v1::CycleSchedule::Manual {
            let request = v1::CloseCycleRequest {
                cycle_number,
                validate_only: false,
            };
            answered(
                self.hub
                    .operator()
                    .cycles_client()
                    .close_cycle(request)
                    .await,
            );
        }
    }

    /// T's accruals wait for the return window, and this one is cancelled in it.
    async fn e3(&self, member: &MemberReference) {
        let waiting = v1::Contract {
            effective_time: Some("2026-03-04T06:00:00Z".parse().unwrap()),
            pending_until_return_window_ends: true,
            return_days: 14,
            ..terms("t", self.mode, "0.001735")
        };
        let usual = v1::Contract {
            effective_time: Some("2026-03-04T18:00:00Z".parse().unwrap()),
            ..terms("t", self.mode, "0.001735")
        };
        let travel = |contract| alliance::merchant("t", v1::MerchantState::Active, contract);
        self.hub.apply_merchant(travel(waiting)).await;
        self.at("2026-03-04T09:00:00Z").await;
        let before = self.hub.operator().statement(0, Some("t")).await.unwrap();
        let e3 = self.t.accrue(member, "2500.00").await.accepted();
        assert_eq!(
            (e3.outcome.state(), e3.outcome.points),
            (MessageState::Pending, 2_500)
        );
        assert_eq!(self.t.balance(member).await.pending_points, 2_500);
        self.at("2026-03-04T10:00:00Z").await;
        let cancelled = self.t.reverse(member, e3.id, "2500.00").await.accepted();
        assert_eq!(cancelled.outcome.state(), MessageState::Reversed);
        assert_eq!(self.t.balance(member).await.pending_points, 0);
        let after = self.hub.operator().statement(0, Some("t")).await.unwrap();
        assert_eq!(after.lines, before.lines, "no journal");
        self.hub.apply_merchant(travel(usual)).await;
    }

    async fn e8_and_e9(&self, e1: &Sent, a1: &MemberReference, t1: &MemberReference) {
        self.at("2026-03-26T10:00:00Z").await;
        let e8 = self.a.reverse(a1, e1.id, "339.46").await.accepted();
        assert_eq!(e8.outcome.state(), MessageState::PartiallyReversed);
        // 340 claimed: 177 recovered, 163 owed.
        assert_eq!((e8.outcome.owed_points, e8.outcome.debt_points), (163, 163));
        self.at("2026-03-27T10:00:00Z").await;
        let e9 = self.t.accrue(t1, "100.50").await.accepted();
        let points = (
            e9.outcome.points,
            e9.outcome.available_points,
            e9.outcome.debt_points,
        );
        assert_eq!(points, (100, 0, 63));
        assert!(
            self.t.lots(t1).await.is_empty(),
            "no lot for points that repay a debt"
        );
        let balance = self.a.balance(a1).await;
        assert_eq!((balance.available_points, balance.debt_points), (0, 63));
    }

    /// The lines with money; those for information are checked apart.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_statement(
        &self,
        merchant: &Merchant,
        expected: &[Line],
        payment: [i64; 3],
    ) {
        let number = self.march().await.cycle_number;
        let statement = self
            .hub
            .operator()
            .statement(number, Some(&merchant.id))
            .await
            .unwrap();
        assert!(statement.lines.iter().all(|line| !line.late));
        let lines: Vec<(&str, &str, i64, i64)> = statement
            .lines
            .iter()
            .filter(|line| !INFORMATION.contains(&line.kind.as_str()))
            .map(|l| {
                (
                    l.kind.as_str(),
                    l.counterparty_merchant_id.as_str(),
                    l.points,
                    l.amount_micros,
                )
            })
            .collect();
        assert_eq!(lines, expected, "{}", merchant.id);
        let position = statement.position.clone().unwrap();
        let [net, paid, carried] = payment;
        assert_eq!(position.brought_forward_micros, 0);
        assert_eq!(position.net_micros, net, "{}", merchant.id);
        assert_eq!(lines.iter().map(|line| line.3).sum::<i64>(), net);
        assert_eq!(
            (position.payment_micros, position.carried_forward_micros),
            (paid, carried)
        );
        assert_eq!(statement.currency_code, "EUR");
        // The merchant reads the same.
        assert_eq!(
            merchant.hub.statement(number, None).await.unwrap(),
            statement
        );
    }

    /// The statements of March, as the design has them.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_statements(&self) {
        if self.mode == FundingMode::Burn {
            self.assert_burn_statements().await;
        } else {
            self.assert_issue_statements().await;
        }
    }

    async fn assert_issue_statements(&self) {
        let a = [
            ("BASE_ACCRUAL", "", 1_509, 14_373_225),
            ("REDEMPTION", "", 2_000, -15_600_000),
            ("REVERSAL_RECOVERED", "", 277, -2_216_000),
        ];
        let f = [
            ("BASE_ACCRUAL", "", 334, 3_340_000),
            ("PROMOTION_SHARE", "", 200, 2_000_000),
            ("BREAKAGE_SHARE", "", 473, -1_261_207),
        ];
        let t = [
            ("BASE_ACCRUAL", "", 100, 973_500),
            ("PROMOTION_SHARE", "", 134, 1_304_490),
            ("REDEMPTION", "", 800, -6_240_000),
            ("REDEMPTION_REFUND", "", 300, 2_340_000),
        ];
        self.assert_statement(&self.a, &a, [-3_442_775, -3_440_000, -2_775])
            .await;
        self.assert_statement(&self.f, &f, [4_078_793, 4_080_000, -1_207])
            .await;
        self.assert_statement(&self.t, &t, [-1_622_010, -1_620_000, -2_010])
            .await;
    }

    async fn assert_burn_statements(&self) {
        let a = [
            ("BASE_FEE", "", 1_509, 2_301_225),
            ("POINTS_CONSUMED", "a", 1_509, 12_072_000),
            ("REDEMPTION", "", 2_000, -15_600_000),
            ("REVERSAL_RECOVERED", "", 277, -2_216_000),
        ];
        let f = [
            ("BASE_FEE", "", 334, 668_000),
            ("PROMOTION_FEE", "", 200, 400_000),
            ("POINTS_CONSUMED", "a", 491, 3_928_000),
            ("POINTS_CONSUMED", "t", 800, 6_400_000),
            ("POINTS_CONSUMED_REFUNDED", "t", 300, -2_400_000),
            ("POINTS_TAKEN", "a", 43, 344_000),
        ];
        let t = [
            ("BASE_FEE", "", 100, 173_500),
            ("PROMOTION_FEE", "", 134, 232_490),
            ("POINTS_TAKEN", "a", 134, 1_072_000),
            ("DEBT_REPAID", "a", 100, 800_000),
            ("REDEMPTION", "", 800, -6_240_000),
            ("REDEMPTION_REFUND", "", 300, 2_340_000),
        ];
        self.assert_statement(&self.a, &a, [-3_442_775, -3_440_000, -2_775])
            .await;
        self.assert_statement(&self.f, &f, [9_340_000, 9_340_000, 0])
            .await;
        self.assert_statement(&self.t, &t, [-1_622_010, -1_620_000, -2_010])
            .await;
    }

    /// The hub's side: service fees, redemption fees, breakage, change of the reserve.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_hub(&self, expected: [i64; 4]) {
        let march = self.march().await;
        let cycle = self.hub.operator().cycle(march.cycle_number).await.unwrap();
        let hub = cycle.hub.unwrap();
        let found = [
            hub.service_fee_micros,
            hub.redemption_fee_micros,
            hub.breakage_micros,
            hub.reserve_micros,
        ];
        assert_eq!(found, expected);
        let nets: i64 = cycle.net_positions.iter().map(|p| p.net_micros).sum();
        assert_eq!(
            nets,
            found.iter().sum::<i64>(),
            "what merchants owe is what the hub has"
        );
    }

    /// Whose points were spent where.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_pairs(&self) {
        let march = self.march().await;
        let cycle = self.hub.operator().cycle(march.cycle_number).await.unwrap();
        let pairs: Vec<(&str, &str, i64, i64)> = cycle
            .pair_positions
            .iter()
            .map(|p| {
                (
                    p.funder_merchant_id.as_str(),
                    p.redeeming_merchant_id.as_str(),
                    p.points,
                    p.value_micros,
                )
            })
            .collect();
        let expected = [
            ("a", "a", 1_509, 12_072_000),
            ("f", "a", 491 + 43, 4_272_000),
            ("f", "t", 500, 4_000_000),
            ("t", "a", 134 + 100, 1_872_000),
        ];
        assert_eq!(pairs, expected);
    }

    /// What is left open, and what the log has counted.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_liability(&self, reserve: i64) {
        let liability = self.hub.liability().await;
        assert_eq!(liability.reserve_micros, reserve);
        let open: Vec<(&str, i64, i64)> = liability
            .lines
            .iter()
            .map(|l| {
                (
                    l.merchant_id.as_str(),
                    l.issue_points + l.burn_points,
                    l.issue_value_micros + l.burn_value_micros,
                )
            })
            .collect();
        assert_eq!(open, [("a", 0, 0), ("f", 300, 2_400_000), ("t", 0, 0)]);
        let counts = liability.counts.unwrap();
        assert_eq!((counts.captures, counts.redeemed_points), (2, 2_500));
        assert_eq!(
            (counts.expired_points, counts.outstanding_points),
            (473, 300)
        );
    }

    /// 340 claimed at A, and 63 of the debt still open.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_information(&self) {
        let number = self.march().await.cycle_number;
        let statement = self.a.hub.statement(number, None).await.unwrap();
        let points = |kind: &str| -> i64 {
            statement
                .lines
                .iter()
                .filter(|l| l.kind == kind)
                .map(|l| l.points)
                .sum()
        };
        assert_eq!(points("REVERSAL_CLAIMED"), 340);
        assert_eq!(points("DEBT_OPENED") - points("DEBT_SETTLED"), 63);
    }

    /// A closed cycle never changes, and a restart changes nothing.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_stands(&mut self) {
        let cycle_number = self.march().await.cycle_number;
        // The auditor's word on it comes behind its close, and is part of what is shown of it.
        self.hub.wait_audited(cycle_number).await;
        let march = self.march().await;
        assert_eq!(march.digest.len(), 64);
        let before = self.everything(march.cycle_number).await;
        self.hub.kill();
        self.hub.start().await;
        assert_eq!(self.everything(march.cycle_number).await, before);
        // April: what was carried forward reaches the next payment.
        self.at("2026-04-02T10:00:00Z").await;
        self.a.accrue(&self.a.enrol("u3").await, "1.00").await.ok();
        self.at("2026-04-30T22:00:00Z").await;
        assert_eq!(self.march().await, march);
        let april = self
            .a
            .hub
            .statement(march.cycle_number + 1, None)
            .await
            .unwrap();
        let position = april.position.unwrap();
        assert_eq!(position.brought_forward_micros, -2_775);
        let payable = position.net_micros - 2_775;
        assert_eq!(
            position.payment_micros + position.carried_forward_micros,
            payable
        );
        assert_eq!(position.payment_micros % 10_000, 0);
    }

    /// A cycle, its statements and the liability.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn everything(
        &self,
        number: u32,
    ) -> (
        v1::GetCycleResponse,
        Vec<v1::GetStatementResponse>,
        v1::GetLiabilityResponse,
    ) {
        let operator = self.hub.operator();
        let mut statements = Vec::new();
        for merchant in ["a", "f", "t"] {
            statements.push(operator.statement(number, Some(merchant)).await.unwrap());
        }
        (
            operator.cycle(number).await.unwrap(),
            statements,
            self.hub.liability().await,
        )
    }
}

/// Points, posted and expiry of each lot.
async fn lots(
    merchant: &Merchant,
    member: &MemberReference,
) -> Vec<(i64, &'static str, &'static str)> {
    // Static text, so that expectations read as the design writes them.
    let text = |at: &Option<prost_types::Timestamp>| -> &'static str {
        at.as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
            .leak()
    };
    let lots = merchant.lots(member).await;
    lots.iter()
        .map(|lot| {
            (
                lot.remaining_points,
                text(&lot.posted_time),
                text(&lot.expires_time),
            )
        })
        .collect()
}

/// 3 March at F, paid for by F 60 and T 40.
fn double_points() -> v1::Alliance {
    let share = |merchant: &str, share_bps| v1::FundingShare {
        merchant_id: merchant.into(),
        share_bps,
    };
    let promotion = v1::Promotion {
        promotion_id: "double".into(),
        merchant_ids: vec!["f".into()],
        start_time: Some("2026-03-02T23:00:00Z".parse().unwrap()),
        end_time: Some("2026-03-03T23:00:00Z".parse().unwrap()),
        bonus: Some(v1::promotion::Bonus::Multiplier("2".into())),
        shares: vec![share("f", 6_000), share("t", 4_000)],
        cap_points: 0,
    };
    v1::Alliance {
        promotions: vec![promotion],
        ..v1::Alliance::default()
    }
}
