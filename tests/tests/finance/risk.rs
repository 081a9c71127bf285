//! Risk: caps and collateral, open points, packs paid ahead, early warnings, previews, money held back, defaults.

use std::time::Duration;

use hansa_proto::v1::{self, NettingMethod, ResultCode, action::Action};
use hansa_tests::{
    alliance,
    bank::{Booking, statement},
    check::{answered, refused},
    clerk::settlement,
    cli::Cli,
    clock::MINUTE,
    database::Database,
    for_each_database,
    shop::{DAY, Shop, terms},
};
use tonic::Code;

const CENT: i64 = 10_000;

/// A new version of a merchant's contract, from now on.
async fn agree(shop: &Shop, id: &str, change: impl Fn(&mut v1::Contract)) {
    shop.hub.advance(MINUTE).await;
    let mut contract = terms(id);
    change(&mut contract);
    shop.hub
        .apply_merchant(alliance::merchant(id, v1::MerchantState::Active, contract))
        .await;
}

async fn agree_on_programme(shop: &Shop, change: impl Fn(&mut v1::Programme)) {
    shop.hub.advance(MINUTE).await;
    let mut programme = v1::Programme {
        cycle_schedule: v1::CycleSchedule::Manual.into(),
        ..alliance::programme()
    };
    change(&mut programme);
    shop.hub
        .apply(v1::Alliance {
            programme: Some(programme),
            ..v1::Alliance::default()
        })
        .await;
}

async fn risk(shop: &Shop, id: &str) -> v1::RiskLine {
    let request = v1::GetRiskRequest {};
    let found = answered(shop.ana.hub.finance().get_risk(request).await);
    found
        .lines
        .into_iter()
        .find(|line| line.merchant_id == id)
        .unwrap()
}

async fn line_micros(shop: &Shop, cycle: u32, id: &str, kind: &str) -> i64 {
    let found = shop
        .hub
        .operator()
        .statement(cycle, Some(id))
        .await
        .unwrap();
    let lines = found.lines.iter().filter(|line| line.kind == kind);
    lines.map(|line| line.amount_micros).sum()
}

async fn caps_refuse_accruals_that_raise_an_exposure_and_nothing_else(database: Database) {
    let shop = Shop::new(&database).await;
    agree(&shop, "f", |contract| {
        contract.net_debit_cap = "1.00".into();
        contract.collateral = "0.50".into();
    })
    .await;
    let [at_f, at_a] = [shop.f.enrol("u").await, shop.a.enrol("u").await];
    // A point costs 0.0095; 1.50 pays for 157 of them.
    let first = shop.f.accrue(&at_f, "157.00").await.accepted();
    assert_eq!(risk(&shop, "f").await.exposure_micros, 1_491_500);
    shop.f
        .accrue(&at_f, "1.00")
        .await
        .assert_code(ResultCode::LimitExceeded);
    assert_eq!(risk(&shop, "f").await.exposure_micros, 1_491_500);
    // So is an accrual elsewhere of which it funds a part; others go on.
    shop.a.accrue(&at_a, "100.00").await.ok();
    shop.hub
        .apply(v1::Alliance {
            promotions: vec![v1::Promotion {
                promotion_id: "spring".into(),
                merchant_ids: vec!["a".into()],
                start_time: Some("2026-04-01T00:00:00Z".parse().unwrap()),
                end_time: Some("2026-05-01T00:00:00Z".parse().unwrap()),
                bonus: Some(v1::promotion::Bonus::Multiplier("2".into())),
                shares: vec![v1::FundingShare {
                    merchant_id: "f".into(),
                    share_bps: 10_000,
                }],
                cap_points: 0,
            }],
            ..v1::Alliance::default()
        })
        .await;
    shop.a
        .accrue(&at_a, "1.00")
        .await
        .assert_code(ResultCode::LimitExceeded);
    // Spending, refunds and returns are never refused for it; a return makes room.
    let held = shop.f.authorise(&at_f, 20).await.accepted();
    let spent = shop.f.capture(&at_f, held.id, 20).await.accepted();
    shop.f.refund(&at_f, spent.id, 20).await.ok();
    shop.f.reverse(&at_f, first.id, "50.00").await.ok();
    assert_eq!(risk(&shop, "f").await.exposure_micros, 1_091_500);
    shop.f.accrue(&at_f, "43.00").await.ok();
    assert_eq!(risk(&shop, "f").await.exposure_micros, 1_500_000);
    shop.f
        .accrue(&at_f, "1.00")
        .await
        .assert_code(ResultCode::LimitExceeded);

    // A pack paid ahead makes room as soon as another person has approved it.
    let pack = |reference: &str| {
        Action::PrepaidPack(v1::PrepaidPack {
            merchant_id: "f".into(),
            amount_micros: 5_000_000,
            reference: reference.into(),
        })
    };
    let made = shop.ana.propose(pack("INV-1"), "paid").await.unwrap();
    shop.f
        .accrue(&at_f, "1.00")
        .await
        .assert_code(ResultCode::LimitExceeded);
    shop.ben
        .decide(made.proposal_number, true, "seen on the account")
        .await
        .unwrap();
    assert_eq!(risk(&shop, "f").await.exposure_micros, 0);
    shop.f.accrue(&at_f, "300.00").await.ok();
    shop.a.accrue(&at_a, "1.00").await.ok();
    let twice = shop.ana.propose(pack("INV-1"), "paid").await;
    refused(twice, Code::FailedPrecondition, "REFERENCE_TAKEN");
    // It pays what the cycle comes to: nothing is asked for, the rest waits.
    shop.close(1).await;
    let plain = settlement(1, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let by_f = shop.ana.payments(1).await;
    assert!(by_f.iter().all(|p| p.payer_merchant_id != "f"), "{by_f:?}");
    let net = shop.hub.operator().statement(1, Some("f")).await.unwrap();
    let net = net.position.unwrap();
    assert_eq!(net.net_micros, 4_359_500);
    assert_eq!(
        risk(&shop, "f").await.brought_forward_micros,
        4_359_500 - 5_000_000
    );
    shop.hub.verify().await;
}

async fn open_burn_points_count_in_full_or_at_the_published_rate(database: Database) {
    let shop = Shop::new(&database).await;
    let burn = |contract: &mut v1::Contract| {
        contract.set_funding_mode(v1::FundingMode::Burn);
        contract.net_debit_cap = "0.95".into();
    };
    agree(&shop, "f", burn).await;
    let at_f = shop.f.enrol("u").await;
    // A point costs a fee of 0.0015, and counts 0.0080 while it is open: 100 points are 0.95.
    shop.f.accrue(&at_f, "100.00").await.ok();
    let found = risk(&shop, "f").await;
    assert_eq!(
        (found.clearing_micros, found.burn_micros),
        (150_000, 800_000)
    );
    assert_eq!((found.exposure_micros, found.used_bps), (950_000, 10_000));
    let more = shop.f.accrue(&at_f, "1.00").await;
    more.assert_code(ResultCode::LimitExceeded);
    // Half of them are expected to be spent: 0.15 + 0.40, and 0.0055 for each one more.
    agree(&shop, "f", |contract| {
        burn(contract);
        contract.exposure_redemption_bps = Some(5_000);
    })
    .await;
    assert_eq!(risk(&shop, "f").await.exposure_micros, 550_000);
    shop.f.accrue(&at_f, "72.00").await.ok();
    assert_eq!(risk(&shop, "f").await.exposure_micros, 946_000);
    let more = shop.f.accrue(&at_f, "1.00").await;
    more.assert_code(ResultCode::LimitExceeded);
    // What is spent is owed in full.
    let at_a = shop.a.enrol("u").await;
    let held = shop.a.authorise(&at_a, 100).await.accepted();
    shop.a.capture(&at_a, held.id, 100).await.ok();
    let found = risk(&shop, "f").await;
    assert_eq!(
        (found.clearing_micros, found.burn_micros),
        (1_058_000, 288_000)
    );
    assert_eq!(found.exposure_micros, 1_346_000);
    shop.close(1).await;
    shop.ana.wait_audited(1).await;
}

async fn a_preview_shows_caps_and_what_is_left_out_or_held_back_is_brought_forward(
    database: Database,
) {
    let shop = Shop::new(&database).await;
    agree(&shop, "a", |contract| {
        contract.net_debit_cap = "0.50".into()
    })
    .await;
    shop.trade().await;
    shop.close(1).await;
    shop.ana.wait_audited(1).await;
    // A is owed 0.39 and owes 0.76 in the open cycle: paying the 0.39 leaves it 0.76 in debt.
    let at_a = shop.a.enrol("u").await;
    shop.a.accrue(&at_a, "80.00").await.ok();
    let plain = settlement(1, NettingMethod::Multilateral);
    let preview = shop.ana.preview(plain.clone()).await.unwrap();
    let of_a = &preview.positions[0];
    assert_eq!(of_a.merchant_id, "a");
    assert_eq!(
        (
            of_a.exposure_before_micros,
            of_a.exposure_after_micros,
            of_a.limit_micros
        ),
        (37 * CENT, 76 * CENT, Some(50 * CENT))
    );
    let of_f = &preview.positions[1];
    assert_eq!(
        (
            of_f.exposure_before_micros,
            of_f.exposure_after_micros,
            of_f.limit_micros
        ),
        (95 * CENT, 0, None)
    );
    assert!(
        preview.blockers[0].contains("merchant a"),
        "{:?}",
        preview.blockers
    );
    let made = shop
        .ana
        .propose(Action::SettleCycle(plain.clone()), "month's end")
        .await;
    let made = made.unwrap().proposal_number;
    let beyond = shop.ben.decide(made, true, "checked").await;
    refused(beyond, Code::FailedPrecondition, "CAP_EXCEEDED");
    shop.ben
        .decide(made, false, "a would owe too much")
        .await
        .unwrap();

    // Without T, and with 0.30 of A's money held back.
    let careful = v1::SettleCycle {
        without_merchant_ids: vec!["t".into()],
        holdbacks: vec![v1::Holdback {
            merchant_id: "a".into(),
            amount_micros: 30 * CENT,
            reason: "its cap".into(),
        }],
        ..plain
    };
    let preview = shop.ana.preview(careful.clone()).await.unwrap();
    assert_eq!(preview.blockers, [""; 0]);
    assert_eq!(preview.positions[0].exposure_after_micros, 46 * CENT);
    shop.ana.settle(&shop.ben, careful).await;
    let paid = |payments: &[v1::Payment]| -> Vec<(String, String, i64)> {
        let shown = |p: &v1::Payment| {
            let (payer, payee) = (p.payer_merchant_id.clone(), p.payee_merchant_id.clone());
            (payer, payee, p.amount_micros)
        };
        let mut paid: Vec<_> = payments.iter().map(shown).collect();
        paid.sort();
        paid
    };
    let first = shop.ana.payments(1).await;
    assert_eq!(
        paid(&first),
        [
            (String::new(), "a".into(), 9 * CENT),
            ("f".into(), String::new(), 95 * CENT)
        ]
    );
    assert_eq!(risk(&shop, "a").await.held_back_micros, 30 * CENT);
    assert_eq!(risk(&shop, "t").await.brought_forward_micros, -39 * CENT);

    // The next settlement pays T, and A's own debt less what is given free.
    let release = |micros| {
        Action::ReleaseHoldback(v1::ReleaseHoldback {
            merchant_id: "a".into(),
            amount_micros: micros,
        })
    };
    let too_much = shop.ana.propose(release(31 * CENT), "settled").await;
    refused(too_much, Code::FailedPrecondition, "NOT_HELD_BACK");
    shop.ana
        .carry_out(&shop.ben, release(30 * CENT), "settled")
        .await;
    assert_eq!(risk(&shop, "a").await.held_back_micros, 0);
    shop.close(2).await;
    let plain = settlement(2, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    assert_eq!(
        paid(&shop.ana.payments(2).await),
        [
            (String::new(), "t".into(), 39 * CENT),
            ("a".into(), String::new(), 46 * CENT)
        ]
    );
    for id in ["a", "f", "t"] {
        let found = shop.hub.operator().statement(2, Some(id)).await.unwrap();
        let position = found.position.unwrap();
        assert_eq!(
            position.payment_micros + position.carried_forward_micros,
            position.net_micros + position.brought_forward_micros,
            "{id}"
        );
    }
    shop.hub.verify().await;
}

async fn a_default_takes_held_back_money_then_collateral_then_the_published_shares(
    database: Database,
) {
    let shop = Shop::new(&database).await;
    agree_on_programme(&shop, |programme| {
        let share = |merchant: &str, share_bps, limit: &str| v1::LossShare {
            merchant_id: merchant.into(),
            share_bps,
            limit: limit.into(),
        };
        programme.loss_shares = vec![share("a", 2_500, "0.05"), share("", 10_000, "")];
    })
    .await;
    agree(&shop, "f", |contract| {
        contract.net_debit_cap = "10.00".into();
        contract.collateral = "0.20".into();
    })
    .await;
    // F is owed 0.39, of which 0.10 is held back.
    let [at_a, at_f] = [shop.a.enrol("u").await, shop.f.enrol("u").await];
    shop.a.accrue(&at_a, "100.00").await.ok();
    let held = shop.f.authorise(&at_f, 50).await.accepted();
    shop.f.capture(&at_f, held.id, 50).await.ok();
    shop.close(1).await;
    let first = v1::SettleCycle {
        holdbacks: vec![v1::Holdback {
            merchant_id: "f".into(),
            amount_micros: 10 * CENT,
            reason: "its first cycle".into(),
        }],
        ..settlement(1, NettingMethod::Multilateral)
    };
    shop.ana.settle(&shop.ben, first).await;
    shop.ana.submit_all(1).await.unwrap();
    let payments = shop.ana.payments(1).await;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    shop.ana
        .reconcile(&shop.ben, statement("STMT-1", DAY, &bookings))
        .await;

    // Then it owes 0.95, is asked for it, and does not pay.
    shop.f.accrue(&at_f, "100.00").await.ok();
    shop.close(2).await;
    let plain = settlement(2, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let by_f = shop.ana.payments(2).await;
    assert_eq!((by_f.len(), by_f[0].amount_micros), (1, 95 * CENT));
    shop.ana.submit_all(2).await;
    let default = |micros| {
        Action::DeclareDefault(v1::DeclareDefault {
            merchant_id: "f".into(),
            amount_micros: micros,
        })
    };
    let active = shop
        .ana
        .propose(default(95 * CENT), "it does not pay")
        .await;
    refused(active, Code::FailedPrecondition, "MERCHANT_STATE");
    shop.hub.set_state("f", v1::MerchantState::Suspended).await;
    let too_much = shop
        .ana
        .propose(default(96 * CENT), "it does not pay")
        .await;
    refused(too_much, Code::FailedPrecondition, "NOT_OWED");
    shop.ana
        .carry_out(&shop.ben, default(95 * CENT), "it does not pay")
        .await;

    // 0.10 held back, 0.20 collateral, a quarter of 0.65 up to 0.05 by A, the rest by the hub.
    let found = risk(&shop, "f").await;
    assert_eq!(
        (
            found.held_back_micros,
            found.collateral_micros,
            found.exposure_micros
        ),
        (0, 0, 0)
    );
    assert_eq!(line_micros(&shop, 0, "f", "ADJUSTMENT").await, -85 * CENT);
    assert_eq!(line_micros(&shop, 0, "a", "ADJUSTMENT").await, 5 * CENT);
    assert_eq!(line_micros(&shop, 0, "t", "ADJUSTMENT").await, 0);
    assert_eq!(
        shop.ana.cycle(2).await.state(),
        v1::CycleState::PartiallySettled
    );
    // The next settlement asks A for its share, and nobody for the same money twice.
    shop.close(3).await;
    let plain = settlement(3, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let last = shop.ana.payments(3).await;
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(
        (last[0].payer_merchant_id.as_str(), last[0].amount_micros),
        ("a", 5 * CENT)
    );
    shop.hub.verify().await;
}

/// Early warnings: in the answers, on the command line, in the hub's log.
#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_that_passes_a_threshold_is_warned_of() {
    let shop = Shop::new(&Database::sqlite()).await;
    agree_on_programme(&shop, |p| p.warning_thresholds_bps = vec![5_000, 8_000]).await;
    agree(&shop, "f", |contract| {
        contract.net_debit_cap = "1.00".into()
    })
    .await;
    let at_f = shop.f.enrol("u").await;
    let said = |part: &str| shop.hub.process().log().matches(part).count();
    let hear = async |part: &str, times: usize| {
        for _ in 0..200 {
            if said(part) == times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{times} x {part} are not in\n{}", shop.hub.process().log());
    };
    let cli = Cli::new(&shop.hub);
    const REACHED: &str = "a merchant's exposure has reached a warning threshold";
    let first = shop.f.accrue(&at_f, "52.00").await.accepted();
    assert_eq!(
        (
            risk(&shop, "f").await.used_bps,
            risk(&shop, "f").await.warning_bps
        ),
        (4_940, 0)
    );
    shop.f.accrue(&at_f, "1.00").await.ok();
    assert_eq!(
        (
            risk(&shop, "f").await.used_bps,
            risk(&shop, "f").await.warning_bps
        ),
        (5_035, 5_000)
    );
    hear(REACHED, 1).await;
    shop.f.accrue(&at_f, "40.00").await.ok();
    assert_eq!(risk(&shop, "f").await.warning_bps, 8_000);
    hear(REACHED, 2).await;
    let told = cli.run("finance risk").expect(0);
    assert!(
        told.contains("past 80 %") && told.contains("88.35 %"),
        "{told}"
    );
    let json = cli.json("finance risk", 0);
    assert_eq!(json["lines"][1]["merchant_id"], "f", "{json}");
    assert_eq!(json["lines"][1]["warning_bps"], 8_000, "{json}");
    shop.f.reverse(&at_f, first.id, "52.00").await.ok();
    assert_eq!(risk(&shop, "f").await.warning_bps, 0);
    hear("below all warning thresholds again", 1).await;
    assert_eq!(said(REACHED), 2);
}

for_each_database!(
    caps_refuse_accruals_that_raise_an_exposure_and_nothing_else,
    open_burn_points_count_in_full_or_at_the_published_rate,
    a_preview_shows_caps_and_what_is_left_out_or_held_back_is_brought_forward,
    a_default_takes_held_back_money_then_collateral_then_the_published_shares,
);
