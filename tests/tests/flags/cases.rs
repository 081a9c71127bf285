//! Cases, appeals, what is taken back, bans.

use hansa_proto::v1::{
    self, CommissionState, FraudBand, FraudOutcome, FraudScheme, FraudSeverity, OperatorRole,
    fraud_decision::{self as step, Decision},
};
use hansa_tests::{
    check::{answered, refused},
    cli::Cli,
    database::Database,
    for_each_database,
};
use tonic::Code;

use crate::{DAY, HOUR, Stage, appeal, close, decide, flags, join, take};

async fn a_wrong_flag_is_appealed_against_and_lets_go_what_waited(database: Database) {
    let mut stage = Stage::start(&database).await;
    stage.day().await;
    // Odd once is looked at again before money waits.
    let seen = flags(&stage.ira.hub).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (seen[0].scheme(), seen[0].held_conversions),
        (FraudScheme::DeclaredBot, 0)
    );
    stage.day().await;
    let flag = flags(&stage.ira.hub).await.remove(0);
    assert_eq!(
        (
            flag.affiliate_id.as_str(),
            flag.merchant_id.as_str(),
            flag.band()
        ),
        ("bots", "a", FraudBand::Hold)
    );
    assert_eq!(flag.held_conversions, 6);
    assert_eq!(flag.held_commission.as_ref().unwrap().micros, 15_000_000);
    assert!(flag.evidence[0].contains("hosting networks"), "{flag:?}");
    let held = stage.bots.conversions().await;
    assert!(held.iter().all(|one| one.held_by_flags == [1]), "{held:?}");
    for honest in &stage.honest {
        let free = honest.conversions().await;
        assert!(free.iter().all(|one| one.held_by_flags.is_empty()));
    }
    // What comes later waits within the hour, not only when everybody is judged.
    stage.traffic(&stage.bots, true).await;
    stage.shop.hub.advance(3 * HOUR).await;
    for tries in 0.. {
        if stage.status().await.held_conversions == 9 {
            break;
        }
        assert!(tries < 300, "{:?}", stage.status().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // Nothing of it is lost with the process.
    let before = stage.status().await;
    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    assert_eq!(stage.status().await.state_sha256, before.state_sha256);
    stage.assert_made_again().await;

    // Who sees it, and who may decide.
    assert_eq!(flags(&stage.bots.hub).await.len(), 1);
    assert_eq!(flags(&stage.shop.a.hub).await.len(), 1);
    assert!(flags(&stage.honest[0].hub).await.is_empty());
    assert!(flags(&stage.shop.f.hub).await.is_empty());
    let mia = stage
        .shop
        .hub
        .clerk("mia", &[OperatorRole::AffiliateManager])
        .await;
    assert_eq!(flags(&mia.hub).await.len(), 1);
    let noa = stage
        .shop
        .hub
        .clerk("noa", &[OperatorRole::AffiliateManager])
        .await;
    assert!(flags(&noa.hub).await.is_empty());
    let denied = decide(&stage.shop.ana, take(1)).await;
    refused(denied, Code::PermissionDenied, "PERMISSION_DENIED");
    let early = decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await;
    let early = refused(early, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(early.message.contains("take it"), "{early}");
    let past = Decision::Snooze(step::Snooze {
        flag_number: 1,
        until: Some(hansa_client::time::timestamp(stage.shop.a.clock.now() - 1)),
    });
    refused(
        decide(&stage.ira, past).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    // An analyst holds and releases single conversions; taking back is an administrator's.
    let record = held[0].clone();
    let reverse = v1::DecideCommissionsRequest {
        decisions: vec![v1::CommissionDecision {
            leaf_index: record.leaf_index,
            entry_position: record.entry_position,
            decision: Some(v1::commission_decision::Decision::Reverse(
                v1::CommissionReason::FraudConfirmed.into(),
            )),
        }],
        note: "test".into(),
    };
    refused(
        stage.ira.hub.affiliates().decide_commissions(reverse).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED",
    );
    let unknown = decide(&stage.ira, take(7)).await;
    refused(unknown, Code::NotFound, "NOT_FOUND");
    let nothing = refused(
        appeal(&stage.bots, 1).await,
        Code::FailedPrecondition,
        "FAILED_PRECONDITION",
    );
    assert!(nothing.message.contains("confirmed"), "{nothing}");

    answered(decide(&stage.ira, take(1)).await);
    answered(decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await);
    let confirmed = flags(&stage.bots.hub).await.remove(0);
    assert_eq!(confirmed.note, "looked at by a person");
    assert!(confirmed.closed_by.is_empty() && confirmed.appeal_deadline.is_some());
    refused(
        appeal(&stage.honest[0], 1).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let appealed = answered(appeal(&stage.bots, 1).await).flag.unwrap();
    assert!(appealed.ruling_deadline.is_some() && appealed.forfeit_time.is_none());
    // The same words again are the same appeal, and the hold stands.
    assert_eq!(
        answered(appeal(&stage.bots, 1).await).flag.unwrap(),
        appealed
    );
    assert_eq!(appealed.held_conversions, 9);
    answered(decide(&stage.ira, take(1)).await);
    let same = decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await;
    let same = refused(same, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(same.message.contains("somebody else"), "{same}");
    stage.shop.hub.advance(20 * DAY).await;
    assert_eq!(stage.count(&stage.bots, CommissionState::Locked).await, 9);
    answered(decide(&stage.olga, close(1, FraudOutcome::FalsePositive)).await);
    assert_eq!(stage.count(&stage.bots, CommissionState::Payable).await, 9);
    assert_eq!(stage.status().await.held_conversions, 0);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
    stage.assert_made_again().await;
}

async fn what_is_confirmed_is_taken_back_and_the_banned_do_not_return(database: Database) {
    let stage = Stage::start(&database).await;
    stage.day().await;
    stage.day().await;
    answered(decide(&stage.ira, take(1)).await);
    let ban = |severity: FraudSeverity| {
        Decision::Ban(step::Ban {
            flag_number: 1,
            severity: severity.into(),
        })
    };
    let early = decide(&stage.ira, ban(FraudSeverity::High)).await;
    refused(early, Code::FailedPrecondition, "FAILED_PRECONDITION");
    answered(decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await);
    answered(decide(&stage.ira, ban(FraudSeverity::High)).await);
    // Others learn scheme, severity and date.
    let mut others = stage.shop.f.hub.fraud();
    let bans = answered(others.list_bans(v1::ListBansRequest {}).await).bans;
    assert_eq!(bans.len(), 1);
    assert_eq!(
        (
            bans[0].affiliate_id.as_str(),
            bans[0].scheme(),
            bans[0].severity()
        ),
        ("bots", FraudScheme::DeclaredBot, FraudSeverity::High)
    );
    // The same account under another name.
    let again = join(&stage.shop, "again", 99).await;
    stage.traffic(&again, false).await;
    stage.day().await;
    let found = flags(&stage.ira.hub).await;
    let duplicate = found
        .iter()
        .find(|flag| flag.affiliate_id == "again")
        .unwrap();
    assert_eq!(
        (duplicate.scheme(), duplicate.held_conversions),
        (FraudScheme::DuplicateIdentity, 3)
    );
    // 30 days to appeal; until then nothing is lost, and nothing is paid.
    stage.shop.hub.advance(20 * DAY).await;
    assert_eq!(stage.count(&stage.bots, CommissionState::Reversed).await, 0);
    assert_eq!(stage.count(&stage.bots, CommissionState::Payable).await, 0);
    stage.shop.hub.advance(45 * DAY).await;
    for tries in 0.. {
        if stage.count(&stage.bots, CommissionState::Reversed).await == 9 {
            break;
        }
        assert!(tries < 300, "{:?}", stage.bots.conversions().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let lost = stage.bots.conversions().await;
    assert!(
        lost.iter()
            .all(|one| one.reason() == v1::CommissionReason::FraudConfirmed)
    );
    let late = refused(
        appeal(&stage.bots, 1).await,
        Code::FailedPrecondition,
        "FAILED_PRECONDITION",
    );
    assert!(late.message.contains("deadline"), "{late}");
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
    stage.assert_made_again().await;
    let command = stage
        .shop
        .hub
        .verify_command()
        .replacen("verify", "audit", 1);
    let audited = Cli::new(&stage.shop.hub).run(&command);
    assert_eq!(audited.code, 0, "{}\n{}", audited.out, audited.err);
}

async fn what_was_released_by_hand_is_not_taken_back(database: Database) {
    let mut stage = Stage::start(&database).await;
    stage.day().await;
    stage.day().await;
    let held = stage.bots.conversions().await;
    let released = &held[0];
    let decide_about = |decision| v1::CommissionDecision {
        leaf_index: released.leaf_index,
        entry_position: released.entry_position,
        decision: Some(decision),
    };
    let release = v1::commission_decision::Decision::ReleaseFromFlag(1);
    stage
        .shop
        .hub
        .decide_commissions(vec![decide_about(release)])
        .await;
    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    // A manager sees its book from the command line, too.
    let cli = Cli::new(&stage.shop.hub);
    let new = "keys new --out mia.pem --holder mia --role affiliate-manager";
    let _ = cli.run(new).expect(0);
    let seen = cli.json("fraud flags --key mia.pem", 0);
    assert_eq!(seen["flags"][0]["affiliate_id"], "bots");
    answered(decide(&stage.ira, take(1)).await);
    answered(decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await);
    stage.shop.hub.advance(35 * DAY).await;
    for tries in 0.. {
        if stage.count(&stage.bots, CommissionState::Reversed).await == 5 {
            break;
        }
        assert!(tries < 300, "{:?}", stage.bots.conversions().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(stage.count(&stage.bots, CommissionState::Payable).await, 1);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
    stage.assert_made_again().await;
}

for_each_database!(
    a_wrong_flag_is_appealed_against_and_lets_go_what_waited,
    what_was_released_by_hand_is_not_taken_back,
    what_is_confirmed_is_taken_back_and_the_banned_do_not_return,
);
