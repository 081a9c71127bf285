//! One rule at a time, where random histories seldom come to the edge that tells it from its neighbour: the auditor's figures are
//! those that the rule's text gives, and the fold's are the same.

use hansa_auditor::CycleTotals;
use hansa_client::time::timestamp;
use hansa_proto::v1::{self, ResultCode, message::Body as B};

use super::{
    forge::{Forge, audit, reference},
    shop::{DAY, NOW, eur},
};

/// Merchants x and y, one member; cycles by hand. `NOW` is 2026-02-02T02:40:00Z.
struct Play {
    forge: Forge,
    next_id: u64,
}

impl Play {
    fn new(programme: v1::Programme, contract: &v1::Contract) -> Self {
        let mut forge = Forge::new(NOW);
        let programme = v1::Programme {
            currency_code: "EUR".into(),
            time_zone: "UTC".into(),
            cycle_schedule: v1::CycleSchedule::Manual.into(),
            negative_balance: v1::NegativeBalancePolicy::Debt.into(),
            ..programme
        };
        forge.fact(v1::fact::Fact::Programme(programme)).unwrap();
        for slug in ["x", "y"] {
            let merchant = v1::Merchant {
                merchant_id: slug.into(),
                state: v1::MerchantState::Active.into(),
                contract: Some(v1::Contract {
                    funding_mode: v1::FundingMode::Issue.into(),
                    earn_rate: "1".into(),
                    max_late_seconds: 60 * 86_400,
                    effective_time: Some(timestamp(NOW - 90 * DAY)),
                    ..contract.clone()
                }),
                ..v1::Merchant::default()
            };
            forge.merchant(merchant).unwrap();
        }
        forge.enrol(&["x", "y"], 1);
        Self { forge, next_id: 0 }
    }

    fn say(&mut self, slug: &str, event_time: i64, body: B) -> (Vec<u8>, v1::Outcome) {
        self.next_id += 1;
        let mut id = vec![5; 16];
        id[..8].copy_from_slice(&self.next_id.to_be_bytes());
        let merchant = self.forge.registry.merchant(slug).unwrap();
        let message = v1::Message {
            message_id: id.clone(),
            event_time: Some(timestamp(event_time)),
            member_reference: reference(merchant, 1).to_vec(),
            body: Some(body),
            ..v1::Message::default()
        };
        (id, self.forge.batch(slug, &[message]).remove(0))
    }

    fn ok(&mut self, slug: &str, body: B) -> Vec<u8> {
        self.ok_at(slug, self.forge.now, body)
    }

    fn ok_at(&mut self, slug: &str, event_time: i64, body: B) -> Vec<u8> {
        let (id, outcome) = self.say(slug, event_time, body);
        assert_eq!(outcome.code(), ResultCode::Accepted);
        id
    }

    /// Authorises and captures; answers the capture.
    fn spend(&mut self, slug: &str, points: i64) -> Vec<u8> {
        let authorise = v1::RedemptionAuthorisation { points };
        let held = self.ok(slug, B::RedemptionAuthorisation(authorise));
        let capture = v1::RedemptionCapture {
            authorisation_message_id: held,
            points,
        };
        self.ok(slug, B::RedemptionCapture(capture))
    }

    fn refund(&mut self, slug: &str, capture: &[u8], points: i64) {
        let refund = v1::RedemptionRefund {
            capture_message_id: capture.to_vec(),
            points,
        };
        self.ok(slug, B::RedemptionRefund(refund));
    }

    fn wait(&mut self, days: i64) {
        self.forge.wait_until(self.forge.now + days * DAY);
        self.forge.sweep(None);
    }

    /// Closes the cycle; its totals, on which auditor and fold agree.
    fn close(mut self) -> CycleTotals {
        self.forge.cut().unwrap();
        self.forge.sweep(None);
        let audited = audit(&self.forge.entries, 3);
        let (_, mut certificates) = audited.unwrap_or_else(|finding| panic!("{finding}"));
        assert_eq!(certificates.len(), 1);
        let totals = certificates.remove(0).totals;
        assert_eq!(totals.difference(&self.forge.totals(1)), None);
        totals
    }
}

fn never(reserve: &str) -> v1::Programme {
    v1::Programme {
        reserve_per_point: reserve.into(),
        expiry_rule: v1::ExpiryRule::None.into(),
        ..v1::Programme::default()
    }
}

/// Points live a month.
fn monthly() -> v1::Programme {
    v1::Programme {
        reserve_per_point: "0.01".into(),
        expiry_rule: v1::ExpiryRule::RollingMonths.into(),
        expiry_months: 1,
        ..v1::Programme::default()
    }
}

fn buy(euro: i64) -> B {
    B::Accrual(v1::Accrual {
        eligible_amount: Some(eur(euro * 1_000_000)),
        points: None,
    })
}

fn give_back(bought: Vec<u8>, euro: i64) -> B {
    B::AccrualReversal(v1::AccrualReversal {
        accrual_message_id: bought,
        returned_amount: Some(eur(euro * 1_000_000)),
    })
}

fn points(totals: &CycleTotals, merchant: &str, kind: &str) -> i64 {
    let lines = totals.lines.iter();
    let own = lines.filter(|(line, _)| line.merchant == merchant && line.kind == kind);
    own.map(|(_, sums)| sums.points).sum()
}

#[test]
fn a_refund_gives_back_the_fee_that_is_not_due_on_the_rest() {
    let contract = v1::Contract {
        redemption_fee_bps: 2_500,
        ..v1::Contract::default()
    };
    let mut play = Play::new(never("0.000001"), &contract);
    play.ok("x", buy(6));
    // A quarter of 6 is 1, of the 3 that stay 0: the refund of 3 gives 1 back, though a quarter of 3 is 0.
    let captured = play.spend("x", 6);
    play.refund("x", &captured, 3);
    let totals = play.close();
    assert_eq!(totals.hub.redemption_fee, 0);
    assert_eq!(totals.nets["x"], 6 - 5 + 2);
}

#[test]
fn refunded_points_that_are_expired_have_thirty_days() {
    let mut play = Play::new(monthly(), &v1::Contract::default());
    play.ok("x", buy(10));
    let captured = play.spend("x", 10);
    // On 14 March; the points ended on 2 March.
    play.wait(40);
    play.refund("x", &captured, 4);
    // To 13 April, 02:40: they ended at 00:00.
    play.wait(30);
    let totals = play.close();
    assert_eq!(totals.counts.expired_points, 4);
}

#[test]
fn the_oldest_debt_is_repaid_first() {
    let mut play = Play::new(never("0.01"), &v1::Contract::default());
    let at_x = play.ok("x", buy(100));
    let at_y = play.ok("y", buy(100));
    play.spend("x", 200);
    play.ok("x", give_back(at_x, 100));
    play.ok("y", give_back(at_y, 100));
    play.ok("x", buy(150));
    let totals = play.close();
    let settled = ["x", "y"].map(|merchant| points(&totals, merchant, "DEBT_SETTLED"));
    assert_eq!(settled, [100, 50]);
}

#[test]
fn what_ends_first_is_spent_first_whenever_it_was_posted() {
    let mut play = Play::new(monthly(), &v1::Contract::default());
    // On 5 January, told late: they end on 5 February.
    play.ok_at("x", NOW - 28 * DAY, buy(10));
    let captured = play.spend("x", 10);
    // Back on 10 February until 12 March; those of 11 February end on 11 March, a short month.
    play.wait(8);
    play.refund("x", &captured, 10);
    play.wait(1);
    play.ok("y", buy(10));
    play.spend("y", 5);
    let totals = play.close();
    let pair = |funder: &str, at: &str| {
        let pair = totals.pairs.get(&(funder.to_owned(), at.to_owned()));
        pair.map_or(0, |pair| pair.points)
    };
    assert_eq!((pair("y", "y"), pair("x", "y")), (5, 0));
}

#[test]
fn caps_let_pass_what_fits_exactly() {
    let contract = v1::Contract {
        earn_cap_points: 10,
        ..v1::Contract::default()
    };
    let mut play = Play::new(never("0.01"), &contract);
    let promotion = v1::Promotion {
        promotion_id: "ten".into(),
        merchant_ids: vec!["x".into()],
        start_time: Some(timestamp(NOW - DAY)),
        end_time: Some(timestamp(NOW + DAY)),
        bonus: Some(v1::promotion::Bonus::Rate("1".into())),
        shares: vec![v1::FundingShare {
            merchant_id: "y".into(),
            share_bps: 10_000,
        }],
        cap_points: 10,
    };
    let promotion = v1::fact::Fact::Promotion(promotion);
    play.forge.fact(promotion).unwrap();
    let (_, all) = play.say("x", NOW, buy(10));
    assert_eq!((all.code(), all.bonus_points), (ResultCode::Accepted, 10));
    let (_, more) = play.say("x", NOW, buy(1));
    assert_eq!(more.code(), ResultCode::LimitExceeded);
    let totals = play.close();
    assert_eq!(totals.counts.issued_points, 20);
}
