//! The golden example of the design in both funding modes, derived by the auditor to the micro-unit. The expected numbers are the
//! design's; the fold made the log and is not asked.

use std::collections::BTreeMap;

use hansa_auditor::{CycleTotals, Hub, Pair};
use hansa_client::{message::Money, time::timestamp};
use hansa_proto::v1::{self, message::Body as B};

use super::forge::{Forge, audit, reference};

fn at(text: &str) -> i64 {
    let at: chrono::DateTime<chrono::Utc> = text.parse().unwrap();
    at.timestamp_micros()
}

struct World {
    forge: Forge,
    burn: bool,
    next_id: u8,
}

impl World {
    fn contract(&self, fee: &str) -> v1::Contract {
        let mode = if self.burn {
            v1::FundingMode::Burn
        } else {
            v1::FundingMode::Issue
        };
        v1::Contract {
            funding_mode: mode.into(),
            earn_rate: "1".into(),
            service_fee_per_point: fee.into(),
            redemption_fee_bps: 250,
            breakage_share_bps: 3_333,
            authorisation_ttl_seconds: 3_600,
            ..v1::Contract::default()
        }
    }

    fn merchant(&mut self, slug: &str, contract: v1::Contract) {
        let merchant = v1::Merchant {
            merchant_id: slug.into(),
            display_name: slug.to_uppercase(),
            state: v1::MerchantState::Active.into(),
            contract: Some(contract),
            ..v1::Merchant::default()
        };
        self.forge.merchant(merchant).unwrap();
    }

    fn say(&mut self, time: &str, slug: &str, member: u64, body: B) -> Vec<u8> {
        self.forge.wait_until(at(time));
        self.forge.sweep(None);
        self.next_id += 1;
        let merchant = self.forge.registry.merchant(slug).unwrap();
        let id = vec![self.next_id; 16];
        let message = v1::Message {
            message_id: id.clone(),
            event_time: Some(timestamp(at(time))),
            member_reference: reference(merchant, member).to_vec(),
            body: Some(body),
            ..v1::Message::default()
        };
        let outcome = self.forge.batch(slug, &[message]).remove(0);
        assert_eq!(outcome.code(), v1::ResultCode::Accepted, "{time}");
        id
    }

    fn buy(&mut self, time: &str, slug: &str, member: u64, amount: &str) -> Vec<u8> {
        let body = B::Accrual(v1::Accrual {
            eligible_amount: Some(eur(amount)),
            points: None,
        });
        self.say(time, slug, member, body)
    }

    fn give_back(&mut self, time: &str, slug: &str, member: u64, id: Vec<u8>, amount: &str) {
        let body = B::AccrualReversal(v1::AccrualReversal {
            accrual_message_id: id,
            returned_amount: Some(eur(amount)),
        });
        self.say(time, slug, member, body);
    }

    fn spend(&mut self, slug: &str, member: u64, times: [&str; 2], points: [i64; 2]) -> Vec<u8> {
        let [points, captured] = points;
        let body = B::RedemptionAuthorisation(v1::RedemptionAuthorisation { points });
        let held = self.say(times[0], slug, member, body);
        let body = B::RedemptionCapture(v1::RedemptionCapture {
            authorisation_message_id: held,
            points: captured,
        });
        self.say(times[1], slug, member, body)
    }
}

fn eur(text: &str) -> v1::Money {
    let amount = Money::parse(text, "EUR").unwrap();
    v1::Money {
        currency_code: "EUR".into(),
        micros: amount.micros(),
    }
}

/// Plays E1 to E9; answers March as the auditor has it.
fn march(burn: bool) -> CycleTotals {
    let programme = v1::Programme {
        name: "Golden".into(),
        currency_code: "EUR".into(),
        time_zone: "Europe/Berlin".into(),
        reserve_per_point: "0.008".into(),
        expiry_rule: v1::ExpiryRule::RollingMonths.into(),
        expiry_months: 36,
        negative_balance: v1::NegativeBalancePolicy::Debt.into(),
        cycle_schedule: v1::CycleSchedule::Monthly.into(),
        ..v1::Programme::default()
    };
    let mut forge = Forge::new(at("2023-03-21T10:00:00Z"));
    forge.fact(v1::fact::Fact::Programme(programme)).unwrap();
    let mut world = World {
        forge,
        burn,
        next_id: 0,
    };
    for (slug, fee) in [("a", "0.001525"), ("f", "0.002"), ("t", "0.001735")] {
        let contract = world.contract(fee);
        world.merchant(slug, contract);
    }
    world.forge.enrol(&["a", "f", "t"], 2);
    world.buy("2023-03-21T10:00:00Z", "f", 2, "1273.00");

    let e1 = world.buy("2026-03-02T09:00:00Z", "a", 1, "1509.05");
    let share = |merchant: &str, share_bps| v1::FundingShare {
        merchant_id: merchant.into(),
        share_bps,
    };
    let double = v1::Promotion {
        promotion_id: "double".into(),
        merchant_ids: vec!["f".into()],
        start_time: Some(timestamp(at("2026-03-02T23:00:00Z"))),
        end_time: Some(timestamp(at("2026-03-03T23:00:00Z"))),
        bonus: Some(v1::promotion::Bonus::Multiplier("2".into())),
        shares: vec![share("t", 4_000), share("f", 6_000)],
        cap_points: 0,
    };
    world.forge.fact(v1::fact::Fact::Promotion(double)).unwrap();
    world.buy("2026-03-03T09:00:00Z", "f", 1, "334.10");
    world.forge.wait_until(at("2026-03-04T08:00:00Z"));
    let usual = world.contract("0.001735");
    let waiting = v1::Contract {
        pending_until_return_window_ends: true,
        return_days: 14,
        ..usual.clone()
    };
    world.merchant("t", waiting);
    let e3 = world.buy("2026-03-04T09:00:00Z", "t", 2, "2500.00");
    world.give_back("2026-03-04T10:00:00Z", "t", 2, e3, "2500.00");
    world.merchant("t", usual);
    let times = ["2026-03-05T09:00:00Z", "2026-03-05T09:10:00Z"];
    let e4 = world.spend("t", 2, times, [1_000, 800]);
    let times = ["2026-03-09T09:00:00Z", "2026-03-09T09:01:00Z"];
    world.spend("a", 1, times, [2_000, 2_000]);
    let body = B::RedemptionRefund(v1::RedemptionRefund {
        capture_message_id: e4,
        points: 300,
    });
    world.say("2026-03-25T10:00:00Z", "t", 2, body);
    world.give_back("2026-03-26T10:00:00Z", "a", 1, e1, "339.46");
    world.buy("2026-03-27T10:00:00Z", "t", 1, "100.50");
    world.forge.wait_until(at("2026-03-31T22:00:00Z"));
    world.forge.sweep(None);

    let (auditor, certificates) = audit(&world.forge.entries, 7).unwrap();
    assert_eq!(auditor.reserve_micros(), if burn { 0 } else { 2_400_000 });
    let march = certificates.into_iter().next_back().unwrap();
    assert_eq!(march.size, world.forge.entries.len() as u64);
    march.totals
}

type Line = (String, Option<String>, i64, i128);

/// A merchant's lines with money.
fn lines(march: &CycleTotals, merchant: &str) -> Vec<Line> {
    let own = march
        .lines
        .iter()
        .filter(|(key, line)| key.merchant == merchant && line.micros != 0);
    let mut lines: Vec<Line> = own
        .map(|(key, line)| {
            assert!(!key.late);
            let with = key.counterparty.clone();
            (key.kind.clone(), with, line.points, line.micros)
        })
        .collect();
    lines.sort();
    lines
}

fn expected(lines: &[(&str, Option<&str>, i64, i128)]) -> Vec<Line> {
    let mut lines: Vec<Line> = lines
        .iter()
        .map(|(kind, with, points, micros)| {
            let with = with.map(str::to_owned);
            ((*kind).to_owned(), with, *points, *micros)
        })
        .collect();
    lines.sort();
    lines
}

fn nets(pairs: [(&str, i128); 3]) -> BTreeMap<String, i128> {
    pairs
        .map(|(merchant, net)| (merchant.to_owned(), net))
        .into()
}

#[test]
fn issue_mode() {
    let march = march(false);
    let owed = [("a", -3_442_775), ("f", 4_078_793), ("t", -1_622_010)];
    assert_eq!(march.nets, nets(owed));
    let hub = Hub {
        reserve: -7_784_000,
        service_fee: 3_775_215,
        redemption_fee: 500_000,
        breakage: 2_522_793,
        adjustments: 0,
        commission: 0,
    };
    assert_eq!((march.hub, march.hub.sum()), (hub, -985_992));
    let a = [
        ("BASE_ACCRUAL", None, 1_509, 14_373_225),
        ("REDEMPTION", None, 2_000, -15_600_000),
        ("REVERSAL_RECOVERED", None, 277, -2_216_000),
    ];
    assert_eq!(lines(&march, "a"), expected(&a));
    let f = [
        ("BASE_ACCRUAL", None, 334, 3_340_000),
        ("PROMOTION_SHARE", None, 200, 2_000_000),
        ("BREAKAGE_SHARE", None, 473, -1_261_207),
    ];
    assert_eq!(lines(&march, "f"), expected(&f));
    let t = [
        ("BASE_ACCRUAL", None, 100, 973_500),
        ("PROMOTION_SHARE", None, 134, 1_304_490),
        ("REDEMPTION", None, 800, -6_240_000),
        ("REDEMPTION_REFUND", None, 300, 2_340_000),
    ];
    assert_eq!(lines(&march, "t"), expected(&t));
    let pair = |funder: &str, merchant: &str, points, micros| {
        let sums = Pair { points, micros };
        ((funder.to_owned(), merchant.to_owned()), sums)
    };
    let pairs = [
        pair("a", "a", 1_509, 12_072_000),
        pair("f", "a", 534, 4_272_000),
        pair("f", "t", 500, 4_000_000),
        pair("t", "a", 234, 1_872_000),
    ];
    assert_eq!(march.pairs, pairs.into());
    assert_eq!(march.counts.expired_points, 473);
}

#[test]
fn burn_mode() {
    let march = march(true);
    let owed = [("a", -3_442_775), ("f", 9_340_000), ("t", -1_622_010)];
    assert_eq!(march.nets, nets(owed));
    let hub = Hub {
        service_fee: 3_775_215,
        redemption_fee: 500_000,
        ..Hub::default()
    };
    assert_eq!(march.hub, hub);
    let a = [
        ("BASE_FEE", None, 1_509, 2_301_225),
        ("POINTS_CONSUMED", Some("a"), 1_509, 12_072_000),
        ("REDEMPTION", None, 2_000, -15_600_000),
        ("REVERSAL_RECOVERED", None, 277, -2_216_000),
    ];
    assert_eq!(lines(&march, "a"), expected(&a));
    let f = [
        ("BASE_FEE", None, 334, 668_000),
        ("PROMOTION_FEE", None, 200, 400_000),
        ("POINTS_CONSUMED", Some("a"), 491, 3_928_000),
        ("POINTS_CONSUMED", Some("t"), 800, 6_400_000),
        ("POINTS_CONSUMED_REFUNDED", Some("t"), 300, -2_400_000),
        ("POINTS_TAKEN", Some("a"), 43, 344_000),
    ];
    assert_eq!(lines(&march, "f"), expected(&f));
    let t = [
        ("BASE_FEE", None, 100, 173_500),
        ("PROMOTION_FEE", None, 134, 232_490),
        ("POINTS_TAKEN", Some("a"), 134, 1_072_000),
        ("DEBT_REPAID", Some("a"), 100, 800_000),
        ("REDEMPTION", None, 800, -6_240_000),
        ("REDEMPTION_REFUND", None, 300, 2_340_000),
    ];
    assert_eq!(lines(&march, "t"), expected(&t));
}
