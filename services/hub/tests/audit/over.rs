//! What is over and what is not: the auditor forgets nothing that a message can still name, whenever it is saved.

use hansa_auditor::What;
use hansa_client::time::timestamp;
use hansa_proto::v1::{self, ResultCode, message::Body as B};

use super::{
    forge::audit,
    shop::{DAY, NOW, Shop, eur, programme},
};

fn authorise(points: i64) -> B {
    B::RedemptionAuthorisation(v1::RedemptionAuthorisation { points })
}

fn void(id: &[u8]) -> B {
    B::RedemptionVoid(v1::RedemptionVoid {
        authorisation_message_id: id.to_vec(),
    })
}

fn give_back(id: &[u8], micros: i64) -> B {
    B::AccrualReversal(v1::AccrualReversal {
        accrual_message_id: id.to_vec(),
        returned_amount: Some(eur(micros)),
    })
}

#[test]
fn an_ended_hold_is_known_as_long_as_its_window_is_open() {
    // Without a window for ever, with one until it is over: a capture says in the second case that it is too late.
    for (return_days, told) in [(0, ResultCode::AlreadyVoided), (1, ResultCode::HoldExpired)] {
        let contract = v1::Contract {
            return_days,
            max_late_seconds: 86_400,
            ..v1::Contract::default()
        };
        let mut shop = Shop::new(contract, v1::NegativeBalancePolicy::Debt);
        shop.buy(100_000_000);
        let held = shop.accepted(authorise(10));
        shop.accepted(void(&held));
        shop.wait(60);
        // Something else of the member, so that it is read, changed and saved meanwhile.
        shop.buy(1_000_000);
        shop.buy(1_000_000);
        assert_eq!(shop.say(shop.forge.now, void(&held)).1, told);
        shop.is_certified();
    }
}

#[test]
fn a_hold_that_was_given_back_before_its_time_may_be_over_before_it_ends() {
    // Authorised late, so that its window is over two days later; it would have ended in eight.
    let contract = v1::Contract {
        return_days: 1,
        max_late_seconds: 30 * 86_400,
        authorisation_ttl_seconds: 8 * 86_400,
        effective_time: Some(timestamp(NOW - 90 * DAY)),
        ..v1::Contract::default()
    };
    let mut shop = Shop::new(contract, v1::NegativeBalancePolicy::Debt);
    shop.buy(100_000_000);
    let (held, code) = shop.say(NOW - 29 * DAY, authorise(10));
    assert_eq!(code, ResultCode::Accepted);
    shop.accepted(void(&held));
    shop.wait(1);
    assert_eq!(
        shop.say(shop.forge.now, void(&held)).1,
        ResultCode::AlreadyVoided
    );
    shop.wait(4);
    assert_eq!(
        shop.say(shop.forge.now, void(&held)).1,
        ResultCode::HoldExpired
    );
    shop.is_certified();
}

#[test]
fn what_is_over_stays_over_when_a_later_contract_lets_events_be_later() {
    let contract = |late_days: u64| v1::Contract {
        return_days: 1,
        max_late_seconds: late_days * 86_400,
        ..v1::Contract::default()
    };
    // Whether the hub dropped the purchase before, because something of the member was said.
    for dropped in [false, true] {
        let mut shop = Shop::new(contract(1), v1::NegativeBalancePolicy::Debt);
        let bought = shop.buy(100_000_000);
        shop.wait(9);
        if dropped {
            shop.accepted(authorise(1));
        }
        shop.terms(contract(40));
        let (_, code) = shop.say(NOW + 1, give_back(&bought, 1_000_000));
        assert_eq!(code, ResultCode::ReturnWindowClosed, "{dropped}");
        // What was bought since has the longer time.
        let bought = shop.buy(100_000_000);
        let told = shop.forge.now + DAY;
        shop.wait(35);
        let (_, code) = shop.say(told, give_back(&bought, 1_000_000));
        assert_eq!(code, ResultCode::Accepted);
        shop.is_certified();
    }
}

#[test]
fn what_becomes_of_missing_points_follows_the_programme_of_the_return_s_own_time() {
    let contract = v1::Contract {
        authorisation_ttl_seconds: 30 * 86_400,
        max_late_seconds: 30 * 86_400,
        ..v1::Contract::default()
    };
    let mut shop = Shop::new(contract, v1::NegativeBalancePolicy::Reject);
    let bought = shop.buy(100_000_000);
    shop.accepted(authorise(60));
    shop.wait(1);
    let changed = programme(v1::NegativeBalancePolicy::Floor);
    let changed = v1::fact::Fact::Programme(changed);
    shop.forge.fact(changed).unwrap();
    shop.wait(1);
    let (_, before) = shop.say(NOW + 1, give_back(&bought, 100_000_000));
    assert_eq!(before, ResultCode::InsufficientPoints);
    let (_, now) = shop.say(shop.forge.now, give_back(&bought, 100_000_000));
    assert_eq!(now, ResultCode::Accepted);
    shop.is_certified();
}

#[test]
fn a_message_that_names_what_never_was_is_no_reason_for_any_refusal() {
    let mut shop = Shop::new(v1::Contract::default(), v1::NegativeBalancePolicy::Debt);
    shop.buy(100_000_000);
    let (_, code) = shop.say(NOW, void(&[9; 16]));
    assert_eq!(code, ResultCode::OriginalNotFound);
    shop.is_certified();
    let outcome = |code: ResultCode| v1::Outcome {
        code: code.into(),
        cycle_number: 1,
        available_points: 100,
        ..v1::Outcome::default()
    };
    // Of two refusals either may stand there; a third may not.
    for (code, passes) in [
        (ResultCode::OriginalNotFound, true),
        (ResultCode::HoldExpired, true),
        (ResultCode::AlreadyVoided, false),
        (ResultCode::ReturnWindowClosed, false),
    ] {
        let mut entries = shop.forge.entries.clone();
        let last = entries.last_mut().unwrap();
        let outcomes = v1::Outcomes {
            outcomes: vec![outcome(code)],
        };
        last.outcomes = prost::Message::encode_to_vec(&outcomes).into();
        last.leaf_data =
            hansa_client::leaf::leaf_data(&last.envelope, last.decided_at, &last.outcomes).to_vec();
        let audited = audit(&entries, 1_000).map_err(|finding| finding.what);
        assert_eq!(
            audited.err(),
            (!passes).then_some(What::Outcome),
            "{code:?}"
        );
    }
}
