//! Affiliates end to end: conversions, attribution, returns, holds, the settlement that pays them, who sees what.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::hub::Hub;
use hansa_proto::v1::{
    self, CommissionState, NettingMethod, OperatorRole, ResultCode, commission_decision::Decision,
};
use hansa_tests::{
    affiliate::{conversion, decision, place, profile, terms},
    check::{answered, refused},
    clerk::settlement,
    database::Database,
    for_each_database,
    merchant::{Merchant, Sent},
    shop::Shop,
};
use tonic::Code;

const DAY: i64 = 86_400_000_000;

/// A shop whose merchant A pays commissions, and two affiliates in the books of two managers. Indices: A 0, F 1, T 2, blog 3, deals 4.
struct Stage {
    shop: Shop,
    blog: Merchant,
    deals: Merchant,
}

const BLOG: u32 = 3;
const DEALS: u32 = 4;

impl Stage {
    async fn new(database: &Database) -> Self {
        let shop = Shop::new(database).await;
        shop.hub.pay_commissions("a", terms()).await;
        let blog = shop.hub.affiliate("blog", profile("mia")).await;
        let deals = shop.hub.affiliate("deals", profile("noa")).await;
        Self { shop, blog, deals }
    }

    /// A click id of an affiliate, `ago` microseconds old.
    fn click(&self, affiliate: u32, ago: i64) -> String {
        let at = self.shop.a.clock.now() - ago;
        let touch = self.shop.hub.touch(0, affiliate, at);
        touch.sign(&self.shop.hub.key()).encode()
    }

    async fn buy(&self, order: &str, amount: &str, clicks: &[String]) -> Sent {
        self.shop.a.convert(conversion(order, amount, clicks)).await
    }

    async fn net(&self, participant: &str, cycle: u32) -> i64 {
        let found = self.shop.ana.hub.cycle(cycle).await.unwrap();
        let position = found
            .net_positions
            .into_iter()
            .find(|position| position.merchant_id == participant);
        position.map_or(0, |position| position.net_micros)
    }
}

async fn a_commission_is_paid_in_the_same_settlement(database: Database) {
    let stage = Stage::new(&database).await;
    let bought = stage.buy("o-1", "80.00", &[stage.click(BLOG, DAY)]).await;
    let bought = bought.accepted();
    assert_eq!(bought.outcome.commission_micros, 4_000_000);
    assert_eq!(bought.outcome.attributed_click, Some(0));
    assert_eq!(bought.outcome.state(), v1::MessageState::Accrued);
    // Accrued and not locked: the merchant owes it, nobody gets it yet.
    stage.shop.close(1).await;
    assert_eq!(
        (stage.net("a", 1).await, stage.net("blog", 1).await),
        (4_000_000, 0)
    );
    let hub = stage.shop.ana.hub.cycle(1).await.unwrap().hub.unwrap();
    assert_eq!(hub.commission_micros, 4_000_000);
    stage.shop.hub.advance(15 * DAY).await;
    stage.shop.close(2).await;
    assert_eq!(
        (stage.net("a", 2).await, stage.net("blog", 2).await),
        (0, -4_000_000)
    );
    let conversions = stage.blog.conversions().await;
    assert_eq!(conversions[0].state(), CommissionState::Payable);
    assert_eq!(conversions[0].payable_in_cycle, 2);
    for cycle in [1, 2] {
        let plain = settlement(cycle, NettingMethod::Multilateral);
        stage.shop.ana.settle(&stage.shop.ben, plain).await;
    }
    let payments = stage.shop.ana.payments(2).await;
    let paid: Vec<_> = payments
        .iter()
        .map(|p| (p.payee_merchant_id.as_str(), p.amount_micros))
        .collect();
    assert_eq!(paid, [("blog", 4_000_000)]);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
}

async fn what_cannot_be_attributed_is_refused_and_uses_nothing_up(database: Database) {
    let stage = Stage::new(&database).await;
    let click = stage.click(BLOG, DAY);
    let mut forged = click.clone();
    forged.replace_range(0..1, if click.starts_with('A') { "B" } else { "A" });
    stage
        .buy("o-1", "10.00", &[forged])
        .await
        .assert_code(ResultCode::ClickForged);
    // Made by the hub, for another merchant.
    let foreign = stage.shop.hub.touch(1, BLOG, stage.shop.a.clock.now());
    let foreign = foreign.sign(&stage.shop.hub.key()).encode();
    stage
        .buy("o-1", "10.00", &[foreign])
        .await
        .assert_code(ResultCode::ClickForged);
    let old = stage.click(BLOG, 31 * DAY);
    let outcome = stage.buy("o-1", "10.00", &[old]).await;
    outcome.assert_code(ResultCode::OutsideAttributionWindow);
    stage
        .buy("o-1", "10.00", &[])
        .await
        .assert_code(ResultCode::NotAttributed);
    // None of them took the order's reference or the click.
    stage
        .buy("o-1", "10.00", std::slice::from_ref(&click))
        .await
        .ok();
    let again = stage.buy("o-1", "10.00", &[stage.click(BLOG, DAY)]).await;
    again.assert_code(ResultCode::DuplicateOrder);
    let used = stage
        .buy("o-2", "10.00", std::slice::from_ref(&click))
        .await;
    used.assert_code(ResultCode::ClickUsed);
    // After a restart, too.
    let mut stage = stage;
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    let used = stage.buy("o-2", "10.00", &[click]).await;
    used.assert_code(ResultCode::ClickUsed);
    let order = stage.buy("o-1", "10.00", &[stage.click(BLOG, DAY)]).await;
    order.assert_code(ResultCode::DuplicateOrder);
    let role = stage.shop.f.convert(conversion("o-1", "10.00", &[])).await;
    role.assert_code(ResultCode::RoleMissing);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
}

async fn a_return_after_the_payment_is_one_negative_line(database: Database) {
    let stage = Stage::new(&database).await;
    let bought = stage
        .buy("o-1", "80.00", &[stage.click(BLOG, DAY)])
        .await
        .accepted();
    stage.shop.hub.advance(15 * DAY).await;
    stage.shop.close(1).await;
    stage
        .shop
        .ana
        .settle(&stage.shop.ben, settlement(1, NettingMethod::Multilateral))
        .await;
    let returned = stage
        .shop
        .a
        .return_conversion(&bought, "20.00", "r-1")
        .await
        .accepted();
    assert_eq!(returned.outcome.commission_micros, 1_000_000);
    let notice = stage
        .shop
        .a
        .return_conversion(&bought, "20.00", "r-1")
        .await;
    notice.assert_code(ResultCode::DuplicateReturn);
    let request = v1::GetStatementRequest {
        cycle_number: 2,
        ..v1::GetStatementRequest::default()
    };
    let statement = answered(stage.blog.hub.statements().get_statement(request).await);
    let lines: Vec<_> = statement
        .lines
        .iter()
        .map(|line| (line.kind.as_str(), line.amount_micros))
        .collect();
    assert_eq!(lines, [("COMMISSION_CLAWBACK", 1_000_000)]);
    // Nothing is asked for: it is carried against what the affiliate earns next.
    stage.shop.close(2).await;
    stage
        .shop
        .ana
        .settle(&stage.shop.ben, settlement(2, NettingMethod::Multilateral))
        .await;
    let payments = stage.shop.ana.payments(2).await;
    assert!(
        payments.iter().all(|p| p.payer_merchant_id != "blog"),
        "{payments:?}"
    );
    let more = stage
        .buy("o-2", "100.00", &[stage.click(BLOG, DAY)])
        .await
        .accepted();
    assert_eq!(more.outcome.commission_micros, 5_000_000);
    stage.shop.hub.advance(15 * DAY).await;
    stage.shop.close(3).await;
    stage
        .shop
        .ana
        .settle(&stage.shop.ben, settlement(3, NettingMethod::Multilateral))
        .await;
    let payments = stage.shop.ana.payments(3).await;
    let paid: Vec<i64> = payments
        .iter()
        .filter(|p| p.payee_merchant_id == "blog")
        .map(|p| p.amount_micros)
        .collect();
    assert_eq!(paid, [4_000_000]);
}

async fn a_hold_outlives_its_lock_date_and_a_restart(database: Database) {
    let mut stage = Stage::new(&database).await;
    let held = stage
        .buy("o-1", "80.00", &[stage.click(BLOG, DAY)])
        .await
        .accepted();
    let free = stage
        .buy("o-2", "40.00", &[stage.click(BLOG, DAY)])
        .await
        .accepted();
    let hold = vec![decision(&held, Decision::HoldForFlag(7))];
    stage.shop.hub.decide_commissions(hold).await;
    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    stage.shop.hub.advance(15 * DAY).await;
    stage.shop.close(1).await;
    // Just the conversion in question waits.
    assert_eq!(stage.net("blog", 1).await, -2_000_000);
    let listed = stage.blog.conversions().await;
    let states: Vec<_> = listed.iter().map(v1::ConversionRecord::state).collect();
    assert_eq!(states, [CommissionState::Payable, CommissionState::Locked]);
    assert_eq!(listed[1].held_by_flags, [7]);
    let release = vec![decision(&held, Decision::ReleaseFromFlag(7))];
    stage.shop.hub.decide_commissions(release).await;
    assert_eq!(stage.net("blog", 0).await, -4_000_000);
    // A decision that cannot stand takes those before it with it.
    let size = stage.shop.hub.status().await.tree_size;
    let request = v1::DecideCommissionsRequest {
        decisions: vec![
            decision(
                &free,
                Decision::Reverse(v1::CommissionReason::FraudConfirmed.into()),
            ),
            decision(&held, Decision::HoldForFlag(9)),
        ],
        note: "test".into(),
    };
    let answer = stage
        .shop
        .hub
        .operator()
        .affiliates()
        .decide_commissions(request)
        .await;
    let refusal = refused(answer, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(refusal.message.contains("decisions[1]"), "{refusal}");
    assert_eq!(stage.shop.hub.status().await.tree_size, size);
    let reverse = Decision::Reverse(v1::CommissionReason::FraudConfirmed.into());
    stage
        .shop
        .hub
        .decide_commissions(vec![decision(&free, reverse)])
        .await;
    assert_eq!(stage.net("blog", 0).await, -2_000_000);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
}

async fn an_invalid_touch_gives_the_conversion_to_the_next_one(database: Database) {
    let stage = Stage::new(&database).await;
    let clicks = [stage.click(BLOG, 2 * DAY), stage.click(DEALS, DAY)];
    let bought = stage.buy("o-1", "80.00", &clicks).await.accepted();
    let record = stage.deals.conversions().await.remove(0);
    assert_eq!(
        record.touches.len(),
        1,
        "an affiliate sees its own touches only"
    );
    assert_eq!(stage.shop.a.conversions().await[0].touches.len(), 2);
    let touch = record.touches[0].touch_id.clone();
    let invalid = vec![decision(&bought, Decision::InvalidateTouch(touch))];
    stage.shop.hub.decide_commissions(invalid).await;
    assert!(stage.deals.conversions().await.is_empty());
    let record = stage.blog.conversions().await.remove(0);
    assert_eq!(record.affiliate_id, "blog");
    assert_eq!(record.commission.unwrap().micros, 4_000_000);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
}

async fn everybody_sees_its_own_and_a_manager_its_book(database: Database) {
    let stage = Stage::new(&database).await;
    let at_blog = stage
        .buy("o-1", "80.00", &[stage.click(BLOG, DAY)])
        .await
        .accepted();
    stage
        .buy("o-2", "40.00", &[stage.click(DEALS, DAY)])
        .await
        .ok();
    let orders = |records: Vec<v1::ConversionRecord>| -> Vec<String> {
        records
            .into_iter()
            .map(|record| record.order_reference)
            .collect()
    };
    assert_eq!(orders(stage.blog.conversions().await), ["o-1"]);
    assert_eq!(orders(stage.deals.conversions().await), ["o-2"]);
    assert_eq!(orders(stage.shop.a.conversions().await), ["o-2", "o-1"]);
    assert!(orders(stage.shop.f.conversions().await).is_empty());
    let list = async |hub: &Hub, participant: &str| {
        let request = v1::ListConversionsRequest {
            participant_id: participant.into(),
            ..v1::ListConversionsRequest::default()
        };
        hub.affiliates().list_conversions(request).await
    };
    let other = list(&stage.blog.hub, "deals").await;
    refused(other, Code::PermissionDenied, "PERMISSION_DENIED");
    let (leaf_index, entry_position) = place(&at_blog);
    let get = async |hub: &Hub| {
        let request = v1::GetConversionRequest {
            leaf_index,
            entry_position,
        };
        hub.affiliates().get_conversion(request).await
    };
    answered(get(&stage.blog.hub).await);
    for stranger in [&stage.deals.hub, &stage.shop.f.hub] {
        refused(get(stranger).await, Code::NotFound, "NOT_FOUND");
    }
    let mia = stage
        .shop
        .hub
        .clerk("mia", &[OperatorRole::AffiliateManager])
        .await;
    assert_eq!(
        orders(answered(list(&mia.hub, "blog").await).conversions),
        ["o-1"]
    );
    answered(get(&mia.hub).await);
    for foreign in ["deals", "a"] {
        refused(list(&mia.hub, foreign).await, Code::NotFound, "NOT_FOUND");
    }
    let noa = stage
        .shop
        .hub
        .clerk("noa", &[OperatorRole::AffiliateManager])
        .await;
    refused(get(&noa.hub).await, Code::NotFound, "NOT_FOUND");
    // Nothing else either.
    let cycles = mia.hub.cycles().await;
    refused(cycles, Code::PermissionDenied, "PERMISSION_DENIED");
    let hold = v1::DecideCommissionsRequest {
        decisions: vec![decision(&at_blog, Decision::HoldForFlag(1))],
        note: "test".into(),
    };
    let denied = mia.hub.affiliates().decide_commissions(hold).await;
    refused(denied, Code::PermissionDenied, "PERMISSION_DENIED");
}

async fn a_suspended_affiliate_earns_nothing_after_the_instant(database: Database) {
    let stage = Stage::new(&database).await;
    stage
        .buy("o-1", "80.00", &[stage.click(BLOG, DAY)])
        .await
        .ok();
    let suspended = v1::MerchantState::Suspended;
    stage.shop.hub.set_state("blog", suspended).await;
    let after = stage.buy("o-2", "80.00", &[stage.click(BLOG, DAY)]).await;
    after.assert_code(ResultCode::AffiliateNotActive);
    // An earlier touch of somebody else has it.
    let clicks = [stage.click(DEALS, 2 * DAY), stage.click(BLOG, DAY)];
    let next = stage.buy("o-2", "80.00", &clicks).await.accepted();
    assert_eq!(next.outcome.attributed_click, Some(0));
}

for_each_database!(
    a_commission_is_paid_in_the_same_settlement,
    what_cannot_be_attributed_is_refused_and_uses_nothing_up,
    a_return_after_the_payment_is_one_negative_line,
    a_hold_outlives_its_lock_date_and_a_restart,
    an_invalid_touch_gives_the_conversion_to_the_next_one,
    everybody_sees_its_own_and_a_manager_its_book,
    a_suspended_affiliate_earns_nothing_after_the_instant,
);
