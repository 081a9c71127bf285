//! A restart between any two steps gives the same state, and a kill at any step ends in the same bytes.

use std::time::Duration;

use hansa_client::ids::MessageId;
use hansa_proto::v1::{self, CycleState, NettingMethod, action::Action, message::Body};
use hansa_tests::{
    bank::{Booking, notification, statement, status_report},
    body,
    clerk::settlement,
    database::Database,
    for_each_database,
    merchant::Merchant,
};
use ring::digest::{SHA256, digest};

use hansa_tests::shop::{DAY, Everything, Shop, close};

/// Kills and starts the hub: what finance reads must be what it was.
async fn restarted(shop: &mut Shop) {
    let before = shop.everything().await;
    shop.hub.kill();
    shop.hub.start().await;
    assert_eq!(shop.everything().await, before);
}

async fn a_restart_between_any_two_steps_changes_nothing(database: Database) {
    let mut shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    shop.ana.wait_audited(1).await;
    restarted(&mut shop).await;
    let settle = Action::SettleCycle(settlement(1, NettingMethod::Multilateral));
    let made = shop.ana.propose(settle, "month's end").await.unwrap();
    restarted(&mut shop).await;
    shop.ben
        .decide(made.proposal_number, true, "checked")
        .await
        .unwrap();
    restarted(&mut shop).await;
    shop.ana.submit_all(1).await.unwrap();
    restarted(&mut shop).await;
    let payments = shop.ana.payments(1).await;
    let first = payments
        .iter()
        .find(|p| p.payee_merchant_id == "a")
        .unwrap();
    let rejected = [(first.end_to_end_id.as_str(), "RJCT", Some("AC04"))];
    let report = status_report("STS-1", DAY, "HANSA-1-H", &rejected);
    shop.ana.import("status.xml", report).await.unwrap();
    restarted(&mut shop).await;
    let carry = Action::CarryForwardPayment(v1::CarryForwardPayment {
        payment_number: first.payment_number,
    });
    shop.ana.carry_out(&shop.ben, carry, "no account").await;
    restarted(&mut shop).await;
    let bookings: Vec<Booking> = payments
        .iter()
        .filter(|p| p.payment_number != first.payment_number)
        .map(|p| Booking::of(p, DAY))
        .collect();
    shop.ana
        .import("s.xml", statement("STMT-1", DAY, &bookings))
        .await
        .unwrap();
    restarted(&mut shop).await;
    let post = Action::PostReconciliation(v1::PostReconciliation { report_number: 2 });
    shop.ana
        .carry_out(&shop.ben, post, "as the bank says")
        .await;
    restarted(&mut shop).await;
    let stranger = Booking {
        end_to_end_id: "RENT".into(),
        ..bookings[0].clone()
    };
    let report = notification("NTF-1", DAY, &[stranger]);
    let report = shop
        .ana
        .import("n.xml", report)
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!(report.exceptions.len(), 1);
    restarted(&mut shop).await;
    let request = v1::RaiseDisputeRequest {
        original: Some(v1::OriginalReference {
            cycle_number: 1,
            line_kind: "REDEMPTION".into(),
            ..v1::OriginalReference::default()
        }),
        claimed_micros: -10_000,
        text: "more".into(),
        evidence: Vec::new(),
    };
    shop.a.hub.disputes().raise_dispute(request).await.unwrap();
    restarted(&mut shop).await;
    let state = shop.ana.cycle(1).await.state();
    assert_eq!(state, CycleState::PartiallySettled);
    shop.hub.verify().await;
}

/// SplitMix64: when the hub is killed. Printed with a failure, so that it can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

/// Kills the hub at some moment of a step, starts it again, and takes the step until it is done; without dice, only takes it.
async fn step<T>(shop: &mut Shop, dice: &mut Option<Dice>, act: impl AsyncFn(&Shop) -> T) -> T {
    let Some(dice) = dice else {
        return act(shop).await;
    };
    let moment = Duration::from_micros(dice.roll(12_000));
    let _ = tokio::time::timeout(moment, act(shop)).await;
    shop.hub.kill();
    shop.hub.start().await;
    act(shop).await
}

/// Ids that are the same in every run.
fn id(cycle: u32, number: u8) -> MessageId {
    let mut id = [0x90; 16];
    id[8..12].copy_from_slice(&cycle.to_be_bytes());
    id[15] = number;
    id
}

async fn say(merchant: &Merchant, member: &[u8; 16], id: MessageId, body: Body) {
    let message = v1::Message {
        message_id: id.to_vec(),
        ..merchant.message(member, body)
    };
    merchant.send(message).await.ok();
}

/// One cycle from OPEN to SETTLED, each step killed.
async fn cycle(shop: &mut Shop, dice: &mut Option<Dice>, number: u32) {
    step(shop, dice, async |shop: &Shop| {
        let [at_f, at_a] = [shop.f.enrol("u").await, shop.a.enrol("u").await];
        let amount = format!("{}.00", 100 * number);
        let points = i64::from(50 * number);
        say(&shop.f, &at_f, id(number, 1), body::accrual(&amount)).await;
        say(&shop.a, &at_a, id(number, 2), body::authorisation(points)).await;
        let capture = body::capture(id(number, 2), points);
        say(&shop.a, &at_a, id(number, 3), capture).await;
    })
    .await;
    step(shop, dice, async |shop: &Shop| {
        close(&shop.hub.operator(), number).await
    })
    .await;
    step(shop, dice, async |shop: &Shop| {
        shop.ana.wait_audited(number).await
    })
    .await;
    let plain = settlement(number, NettingMethod::Multilateral);
    let made = step(shop, dice, async |shop: &Shop| {
        let settle = Action::SettleCycle(plain.clone());
        shop.ana.propose(settle, "month's end").await.unwrap()
    })
    .await;
    step(shop, dice, async |shop: &Shop| {
        shop.ben
            .decide(made.proposal_number, true, "checked")
            .await
            .unwrap()
    })
    .await;
    step(shop, dice, async |shop: &Shop| {
        shop.ana.submit_all(number).await
    })
    .await;
    let payments = shop.ana.payments(number).await;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    let file = statement(&format!("STMT-{number}"), DAY, &bookings);
    let report = step(shop, dice, async |shop: &Shop| {
        let imported = shop.ana.import("s.xml", file.clone()).await.unwrap();
        imported.report.unwrap()
    })
    .await;
    let post = v1::PostReconciliation {
        report_number: report.report_number,
    };
    let made = step(shop, dice, async |shop: &Shop| {
        shop.ana
            .propose(Action::PostReconciliation(post), "as the bank says")
            .await
            .unwrap()
    })
    .await;
    step(shop, dice, async |shop: &Shop| {
        shop.ben
            .decide(made.proposal_number, true, "checked")
            .await
            .unwrap()
    })
    .await;
    let state = shop.ana.cycle(number).await.state();
    assert_eq!(state, CycleState::Settled);
}

/// Rounds of nine kills each; `HANSA_KILL_ROUNDS` asks for more.
fn rounds() -> u32 {
    let asked = std::env::var("HANSA_KILL_ROUNDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(4)
}

async fn play(database: &Database, mut dice: Option<Dice>) -> (Everything, u64) {
    let mut shop = Shop::new(database).await;
    for number in 1..=rounds() {
        cycle(&mut shop, &mut dice, number).await;
    }
    shop.hub.verify().await;
    (shop.everything().await, shop.hub.status().await.tree_size)
}

/// What must be the same whatever happens: digests, statements, payments, payment files, and what was done by whom.
async fn a_kill_at_any_step_ends_in_the_same_bytes(database: Database) {
    let seed = std::env::var("HANSA_KILL_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    let (expected, size) = play(&Database::sqlite(), None).await;
    println!("HANSA_KILL_SEED={seed} HANSA_KILL_ROUNDS={}", rounds());
    let (found, found_size) = play(&database, Some(Dice(seed))).await;
    assert_eq!(found_size, size, "nothing is in the log twice");
    let digests = |files: &[Vec<u8>]| -> Vec<String> {
        let hex = |file: &Vec<u8>| hansa_client::keys::hex(digest(&SHA256, file).as_ref());
        files.iter().map(hex).collect()
    };
    assert_eq!(digests(&found.files), digests(&expected.files));
    assert_eq!(found, expected);
}

for_each_database!(
    a_restart_between_any_two_steps_changes_nothing,
    a_kill_at_any_step_ends_in_the_same_bytes,
);
