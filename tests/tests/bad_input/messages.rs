//! What is decided message by message: the code stands in the outcome, the id is used up, and nothing else changed.

use hansa_client::time::timestamp;
use hansa_proto::v1::{self, ResultCode};
use hansa_tests::{
    alliance, body,
    clock::{DAY, MINUTE, SECOND},
    database::Database,
    for_each_database,
    merchant::next_id,
};

use crate::world::World;

fn dollars(micros: i64) -> v1::Money {
    v1::Money {
        currency_code: "USD".into(),
        micros,
    }
}

async fn unknown_members_and_other_currencies(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let purchase = |member| shop.message(member, body::accrual("1.00"));
    let stranger = purchase(&[7; 16]);
    world
        .assert_message_refused(stranger, ResultCode::MemberNotFound)
        .await;
    // Another merchant's reference of the very member is as unknown.
    let foreign = purchase(&world.there);
    world
        .assert_message_refused(foreign, ResultCode::MemberNotFound)
        .await;
    let hold = shop.message(&world.there, body::authorisation(1));
    world
        .assert_message_refused(hold, ResultCode::MemberNotFound)
        .await;

    let bought = shop.accrue(&world.member, "10.00").await.accepted();
    let currency = shop.message(&world.member, body::accrual_of(dollars(1_000_000)));
    world
        .assert_message_refused(currency, ResultCode::CurrencyMismatch)
        .await;
    let returned = v1::message::Body::AccrualReversal(v1::AccrualReversal {
        accrual_message_id: bought.id.to_vec(),
        returned_amount: Some(dollars(1_000_000)),
    });
    let returned = shop.message(&world.member, returned);
    world
        .assert_message_refused(returned, ResultCode::CurrencyMismatch)
        .await;
}

async fn event_times_outside_the_window(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    world.hub.advance(SECOND).await;
    let limited = v1::Contract {
        max_late_seconds: 3_600,
        ..alliance::contract()
    };
    world
        .hub
        .apply_merchant(alliance::merchant(
            "shop",
            v1::MerchantState::Active,
            limited,
        ))
        .await;
    world.hub.advance(2 * DAY).await;
    let now = shop.clock.now();
    let at = |event_time| {
        let mut message = shop.message(&world.member, body::accrual("1.00"));
        message.event_time = Some(timestamp(event_time));
        message
    };
    let ahead = at(now + 5 * MINUTE + 1);
    world
        .assert_message_refused(ahead, ResultCode::EventTimeTooFarAhead)
        .await;
    world
        .assert_message_refused(at(now + 900 * DAY), ResultCode::EventTimeTooFarAhead)
        .await;
    let old = at(now - 3_600 * SECOND - 1);
    world
        .assert_message_refused(old, ResultCode::EventTimeTooOld)
        .await;
    world
        .assert_message_refused(at(0), ResultCode::EventTimeTooOld)
        .await;
    // The bounds themselves are inside.
    shop.send(at(now + 5 * MINUTE)).await.ok();
    shop.send(at(now - 3_600 * SECOND)).await.ok();
}

async fn no_contract_at_the_event_time(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let mut before_the_contract = shop.message(&world.member, body::accrual("1.00"));
    before_the_contract.event_time = Some(timestamp(shop.clock.now() - DAY));
    world
        .assert_message_refused(before_the_contract, ResultCode::ContractNotFound)
        .await;
}

async fn redemptions_beyond_what_is_there(database: Database) {
    let world = World::new(&database).await;
    let (shop, member) = (&world.shop, &world.member);
    let say = |body| shop.message(member, body);
    world
        .assert_message_refused(
            say(body::authorisation(1_001)),
            ResultCode::InsufficientPoints,
        )
        .await;
    for missing in [
        body::capture(next_id(), 1),
        body::void(next_id()),
        body::refund(next_id(), 1),
    ] {
        world
            .assert_message_refused(say(missing), ResultCode::OriginalNotFound)
            .await;
    }

    let held = shop.authorise(member, 100).await.accepted();
    world
        .assert_message_refused(
            say(body::capture(held.id, 101)),
            ResultCode::CaptureExceedsAuthorisation,
        )
        .await;
    world
        .assert_message_refused(
            say(body::authorisation(901)),
            ResultCode::InsufficientPoints,
        )
        .await;
    // A refund refers to the capture, not to its authorisation, nor to a purchase.
    world
        .assert_message_refused(say(body::refund(held.id, 1)), ResultCode::OriginalNotFound)
        .await;
    let captured = shop.capture(member, held.id, 60).await.accepted();
    assert_eq!(captured.outcome.available_points, 940);
    world
        .assert_message_refused(say(body::capture(held.id, 1)), ResultCode::AlreadyCaptured)
        .await;
    world
        .assert_message_refused(say(body::void(held.id)), ResultCode::AlreadyCaptured)
        .await;
    world
        .assert_message_refused(
            say(body::refund(captured.id, 61)),
            ResultCode::RefundExceedsCapture,
        )
        .await;
    shop.refund(member, captured.id, 40).await.ok();
    world
        .assert_message_refused(
            say(body::refund(captured.id, 21)),
            ResultCode::RefundExceedsCapture,
        )
        .await;
    let all = shop.refund(member, captured.id, 20).await.accepted();
    assert_eq!(all.outcome.state(), v1::MessageState::Refunded);
    world
        .assert_message_refused(
            say(body::refund(captured.id, 1)),
            ResultCode::RefundExceedsCapture,
        )
        .await;

    let held = shop.authorise(member, 10).await.accepted();
    shop.void(member, held.id).await.ok();
    world
        .assert_message_refused(say(body::capture(held.id, 1)), ResultCode::AlreadyVoided)
        .await;
    world
        .assert_message_refused(say(body::void(held.id)), ResultCode::AlreadyVoided)
        .await;
    assert_eq!(shop.balance(member).await.available_points, 1_000);
}

async fn returns_beyond_the_purchase(database: Database) {
    let world = World::new(&database).await;
    let (shop, member) = (&world.shop, &world.member);
    let bought = shop.accrue(member, "10.00").await.accepted();
    let back = |amount| shop.message(member, body::reversal(bought.id, amount));
    world
        .assert_message_refused(back("10.01"), ResultCode::ReturnExceedsPurchase)
        .await;
    shop.reverse(member, bought.id, "9.00").await.ok();
    world
        .assert_message_refused(back("1.01"), ResultCode::ReturnExceedsPurchase)
        .await;
    let all = shop.reverse(member, bought.id, "1.00").await.accepted();
    assert_eq!(all.outcome.state(), v1::MessageState::Reversed);
    world
        .assert_message_refused(back("0.01"), ResultCode::ReturnExceedsPurchase)
        .await;
    let nothing = shop.message(member, body::reversal(next_id(), "1.00"));
    world
        .assert_message_refused(nothing, ResultCode::OriginalNotFound)
        .await;
    // An accrual that was refused has nothing to return.
    let refused = shop
        .send(shop.message(&[7; 16], body::accrual("1.00")))
        .await;
    let back = shop.message(member, body::reversal(refused.id, "1.00"));
    world
        .assert_message_refused(back, ResultCode::OriginalNotFound)
        .await;
    assert_eq!(shop.balance(member).await.available_points, 1_000);
}

async fn a_hold_that_has_expired(database: Database) {
    let world = World::new(&database).await;
    let (shop, member) = (&world.shop, &world.member);
    let say = |body| shop.message(member, body);
    let late = shop.authorise(member, 100).await.accepted();
    let due = late
        .outcome
        .due_time
        .as_ref()
        .map(hansa_tests::clock::micros);
    assert_eq!(due, Some(shop.clock.now() + 15 * MINUTE));
    world.hub.advance(15 * MINUTE - 1).await;
    let in_time = shop.authorise(member, 100).await.accepted();
    shop.capture(member, late.id, 50).await.ok();
    world.hub.advance(15 * MINUTE).await;
    world
        .assert_message_refused(say(body::capture(in_time.id, 50)), ResultCode::HoldExpired)
        .await;
    world
        .assert_message_refused(say(body::void(in_time.id)), ResultCode::HoldExpired)
        .await;
    let balance = shop.balance(member).await;
    assert_eq!((balance.available_points, balance.held_points), (950, 0));
}

/// What one merchant's message did is not there for another merchant, nor for another member.
async fn originals_of_others(database: Database) {
    let world = World::new(&database).await;
    let (shop, member) = (&world.shop, &world.member);
    let theirs = world.other.accrue(&world.there, "50.00").await.accepted();
    let held = world.other.authorise(&world.there, 100).await.accepted();
    let spent = world.other.authorise(&world.there, 10).await.accepted();
    let spent = world
        .other
        .capture(&world.there, spent.id, 10)
        .await
        .accepted();
    for body in [
        body::reversal(theirs.id, "1.00"),
        body::capture(held.id, 1),
        body::void(held.id),
        body::refund(spent.id, 1),
    ] {
        world
            .assert_message_refused(shop.message(member, body), ResultCode::OriginalNotFound)
            .await;
    }
    // The right merchant, and the wrong member.
    let neighbour = shop.enrol("neighbour").await;
    let own = shop.authorise(member, 10).await.accepted();
    let wrong = shop.message(&neighbour, body::capture(own.id, 1));
    world
        .assert_message_refused(wrong, ResultCode::OriginalNotFound)
        .await;
    shop.capture(member, own.id, 10).await.ok();
    world.other.capture(&world.there, held.id, 100).await.ok();
}

async fn points_and_limits_of_the_contract(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let wrong = shop.message(&world.member, body::accrual_with_points("10.00", 11));
    world
        .assert_message_refused(wrong, ResultCode::PointsMismatch)
        .await;
    shop.say(&world.member, body::accrual_with_points("10.00", 10))
        .await
        .ok();

    let change = async |contract: v1::Contract| {
        world.hub.advance(SECOND).await;
        let state = v1::MerchantState::Active;
        let merchant = alliance::merchant("shop", state, contract);
        world.hub.apply_merchant(merchant).await;
    };
    let say = |body| shop.message(&world.member, body);
    // Of all points that its accruals earn in a cycle; 1 010 so far.
    change(v1::Contract {
        minimum_burn_points: 50,
        earn_cap_points: 1_050,
        ..alliance::contract()
    })
    .await;
    world
        .assert_message_refused(say(body::authorisation(49)), ResultCode::BelowMinimumBurn)
        .await;
    world
        .assert_message_refused(say(body::accrual("41.00")), ResultCode::LimitExceeded)
        .await;
    shop.accrue(&world.member, "40.00").await.ok();
    // 1 050 points x 0.0095 are owed; 55 more stay below the cap of 10.50, 1 more is too much.
    change(v1::Contract {
        net_debit_cap: "10.50".into(),
        ..alliance::contract()
    })
    .await;
    world
        .assert_message_refused(say(body::accrual("56.00")), ResultCode::LimitExceeded)
        .await;
    shop.accrue(&world.member, "55.00").await.ok();
    world
        .assert_message_refused(say(body::accrual("1.00")), ResultCode::LimitExceeded)
        .await;
    // A redemption is never refused for it.
    let held = shop.authorise(&world.member, 500).await.accepted();
    shop.capture(&world.member, held.id, 500).await.ok();
}

async fn roles_that_a_merchant_does_not_have(database: Database) {
    let world = World::new(&database).await;
    let only = |role: v1::MerchantRole| v1::Merchant {
        roles: vec![role.into()],
        ..alliance::merchant("shop", v1::MerchantState::Active, alliance::contract())
    };
    let say = |body| world.shop.message(&world.member, body);
    world.hub.apply_merchant(only(v1::MerchantRole::Burn)).await;
    world
        .assert_message_refused(say(body::accrual("1.00")), ResultCode::RoleMissing)
        .await;
    world.shop.authorise(&world.member, 1).await.ok();
    world.hub.apply_merchant(only(v1::MerchantRole::Earn)).await;
    world
        .assert_message_refused(say(body::authorisation(1)), ResultCode::RoleMissing)
        .await;
    world.shop.accrue(&world.member, "1.00").await.ok();
}

/// One bad message in a batch costs the others nothing.
async fn good_and_bad_messages_in_one_batch(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let say = |body| shop.message(&world.member, body);
    let hold = say(body::authorisation(200));
    let messages = [
        say(body::accrual("10.00")),
        shop.message(&[7; 16], body::accrual("10.00")),
        hold.clone(),
        say(body::accrual_of(dollars(5_000_000))),
        say(body::capture(hansa_tests::merchant::id_of(&hold), 300)),
        say(body::capture(hansa_tests::merchant::id_of(&hold), 150)),
        say(body::accrual("1.00")),
    ];
    let answer = shop.send_all(&messages).await;
    let expected = [
        ResultCode::Accepted,
        ResultCode::MemberNotFound,
        ResultCode::Accepted,
        ResultCode::CurrencyMismatch,
        ResultCode::CaptureExceedsAuthorisation,
        ResultCode::Accepted,
        ResultCode::Accepted,
    ];
    assert_eq!(hansa_tests::check::codes(&answer.outcomes), expected);
    assert_eq!(
        shop.balance(&world.member).await.available_points,
        1_000 + 11 - 150
    );
}

for_each_database!(
    unknown_members_and_other_currencies,
    event_times_outside_the_window,
    no_contract_at_the_event_time,
    redemptions_beyond_what_is_there,
    returns_beyond_the_purchase,
    a_hold_that_has_expired,
    originals_of_others,
    points_and_limits_of_the_contract,
    roles_that_a_merchant_does_not_have,
    good_and_bad_messages_in_one_batch,
);
