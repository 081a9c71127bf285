//! Maker and checker: who may do what, and that nobody does both.

use hansa_proto::v1::{
    self, CycleState, NettingMethod, OperatorRole, ProposalState, action::Action,
};
use hansa_tests::{
    check::refused, clerk::settlement, database::Database, for_each_database, hub::TestHub,
};
use tonic::Code;

use hansa_tests::shop::{DAY, Shop};

fn settle(cycle: u32) -> Action {
    Action::SettleCycle(settlement(cycle, NettingMethod::Multilateral))
}

async fn nobody_approves_what_the_same_person_made(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let made = shop.ana.propose(settle(1), "month's end").await.unwrap();
    assert_eq!(
        (made.maker.as_str(), made.state()),
        ("Ana", ProposalState::Pending)
    );
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::PendingApproval);
    let number = made.proposal_number;

    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let same = shop.ana.decide(number, true, "checked").await;
    refused(same, Code::PermissionDenied, "SAME_PERSON");
    // Another key of the same person is the same person.
    let ana_again = shop.hub.finance("Ana").await;
    let same = ana_again.decide(number, true, "checked").await;
    refused(same, Code::PermissionDenied, "SAME_PERSON");
    // Everything needs a reason, and a person of finance.
    for reason in ["", "  \n"] {
        let silent = shop.ben.decide(number, true, reason).await;
        refused(silent, Code::InvalidArgument, "REASON_MISSING");
        let silent = shop.ana.propose(settle(1), reason).await;
        refused(silent, Code::InvalidArgument, "REASON_MISSING");
    }
    for (name, role) in [
        ("Cleo", OperatorRole::Auditor),
        ("Dan", OperatorRole::Administrator),
    ] {
        let person = shop.hub.clerk(name, &[role]).await;
        let decided = person.decide(number, true, "checked").await;
        let refusal = refused(decided, Code::PermissionDenied, "PERMISSION_DENIED");
        assert!(refusal.message.contains("FINANCE"), "{refusal}");
        // Both read.
        assert_eq!(person.payments(0).await, []);
    }
    let merchant = shop.hub.reached_by(&shop.a);
    let request = v1::DecideProposalRequest {
        proposal_number: number,
        approve: true,
        reason: "I would like my money".into(),
        validate_only: false,
    };
    let decided = merchant.hub.finance().decide_proposal(request).await;
    refused(decided, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(shop.everything().await, before);
    // Three keys were registered, and nothing else.
    assert_eq!(shop.hub.status().await.tree_size, size + 3);

    let approved = shop.ben.decide(number, true, "checked").await.unwrap();
    assert_eq!(approved.checker, "Ben");
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Approved);
}

async fn a_decision_that_is_sent_again_changes_nothing(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let made = shop.ana.propose(settle(1), "month's end").await.unwrap();
    assert_eq!(
        shop.ana.propose(settle(1), "month's end").await.unwrap(),
        made
    );
    let again = shop.ben.propose(settle(1), "month's end").await;
    let refusal = refused(again, Code::FailedPrecondition, "ALREADY_PROPOSED");
    assert!(refusal.message.contains("proposal 1"), "{refusal}");
    // Its checker sees nothing in the way; another settlement of the cycle is in the way of itself.
    let plain = settlement(1, NettingMethod::Multilateral);
    let preview = shop.ben.preview(plain).await.unwrap();
    assert_eq!(preview.blockers, Vec::<String>::new());
    let other = settlement(1, NettingMethod::MinTransfers);
    let preview = shop.ben.preview(other).await.unwrap();
    assert_eq!(preview.blockers.len(), 1);
    assert!(
        preview.blockers[0].contains("ALREADY_PROPOSED"),
        "{:?}",
        preview.blockers
    );
    let number = made.proposal_number;
    let approved = shop.ben.decide(number, true, "checked").await.unwrap();
    let size = shop.hub.status().await.tree_size;
    assert_eq!(
        shop.ben.decide(number, true, "checked").await.unwrap(),
        approved
    );
    assert_eq!(shop.hub.status().await.tree_size, size);
    for (clerk, approve, reason) in [
        (&shop.ben, false, "checked"),
        (&shop.ben, true, "again"),
        (&shop.ana, false, "checked"),
    ] {
        let decided = clerk.decide(number, approve, reason).await;
        refused(decided, Code::FailedPrecondition, "PROPOSAL_DECIDED");
    }
    // So with what follows.
    let payments = shop.ana.payments(1).await;
    let asked: Vec<u64> = payments
        .iter()
        .filter(|p| !p.payer_merchant_id.is_empty())
        .map(|p| p.payment_number)
        .collect();
    let first = shop.ana.submit(asked.clone(), Vec::new()).await.unwrap();
    let size = shop.hub.status().await.tree_size;
    assert_eq!(shop.ana.submit(asked, Vec::new()).await.unwrap(), first);
    assert_eq!(shop.hub.status().await.tree_size, size);
}

async fn a_proposal_is_taken_back_or_rejected_and_made_again(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let digest = shop.ana.cycle(1).await.digest;
    for (clerk, state) in [
        (&shop.ana, ProposalState::Withdrawn),
        (&shop.ben, ProposalState::Rejected),
    ] {
        let made = shop.ana.propose(settle(1), "month's end").await.unwrap();
        let decided = clerk.decide(made.proposal_number, false, "not yet").await;
        assert_eq!(decided.unwrap().state(), state);
        assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Closed);
        assert_eq!(shop.ana.payments(1).await, []);
    }
    let plain = settlement(1, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let approved = shop.ana.cycle(1).await;
    assert_eq!(
        (approved.state(), &approved.digest),
        (CycleState::Approved, &digest)
    );
    // Aborted before anything is handed in: what would have been paid is brought forward.
    let abort = Action::AbortSettlement(v1::AbortSettlement { cycle_number: 1 });
    shop.ana.carry_out(&shop.ben, abort, "wrong account").await;
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Aborted);
    shop.close(2).await;
    let plain = settlement(2, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let cents: Vec<i64> = shop
        .ana
        .payments(2)
        .await
        .iter()
        .map(|p| p.amount_micros / 10_000)
        .collect();
    assert_eq!(cents, [39, 39, 95]);
}

async fn a_check_writes_nothing(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let size = shop.hub.status().await.tree_size;
    let before = shop.everything().await;
    let mut finance = shop.ana.hub.finance();
    let request = v1::CreateProposalRequest {
        action: Some(v1::Action {
            action: Some(settle(1)),
        }),
        reason: "month's end".into(),
        validate_only: true,
    };
    let proposal = finance.create_proposal(request.clone()).await.unwrap();
    let proposal = proposal.into_inner().proposal.unwrap();
    assert_eq!(
        (proposal.proposal_number, proposal.maker.as_str()),
        (1, "Ana")
    );
    let request = v1::CreateProposalRequest {
        action: Some(v1::Action {
            action: Some(settle(2)),
        }),
        ..request
    };
    let refusal = finance.create_proposal(request).await;
    refused(refusal, Code::FailedPrecondition, "CYCLE_STATE");
    let settlement = settlement(1, NettingMethod::MinTransfers);
    assert_eq!(
        shop.ana.preview(settlement).await.unwrap().payments.len(),
        3
    );
    shop.assert_unchanged(size, &before).await;

    let made = shop.ana.propose(settle(1), "month's end").await.unwrap();
    let before = shop.everything().await;
    let request = v1::DecideProposalRequest {
        proposal_number: made.proposal_number,
        approve: true,
        reason: "checked".into(),
        validate_only: true,
    };
    let checked = shop
        .ben
        .hub
        .finance()
        .decide_proposal(request.clone())
        .await;
    let checked = checked.unwrap().into_inner().proposal.unwrap();
    assert_eq!(checked.state(), ProposalState::Pending);
    let same = shop.ana.hub.finance().decide_proposal(request).await;
    refused(same, Code::PermissionDenied, "SAME_PERSON");
    shop.assert_unchanged(size + 1, &before).await;
}

async fn what_does_not_exist_or_makes_no_sense_is_refused_by_name(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    let size = shop.hub.status().await.tree_size;
    let payment = |payment_number| v1::ReinstructPayment { payment_number };
    let pack = |merchant_id: &str, amount_micros| {
        Action::PrepaidPack(v1::PrepaidPack {
            merchant_id: merchant_id.into(),
            amount_micros,
            reference: "R-1".into(),
        })
    };
    for (action, code, reason) in [
        (settle(9), Code::NotFound, "CYCLE_NOT_FOUND"),
        (settle(1), Code::FailedPrecondition, "CYCLE_STATE"),
        (
            Action::ReinstructPayment(payment(7)),
            Code::NotFound,
            "PAYMENT_NOT_FOUND",
        ),
        (
            Action::PostReconciliation(v1::PostReconciliation { report_number: 7 }),
            Code::NotFound,
            "REPORT_NOT_FOUND",
        ),
        (
            Action::MatchException(v1::MatchException {
                exception_number: 1,
                payment_numbers: vec![1],
            }),
            Code::NotFound,
            "EXCEPTION_NOT_FOUND",
        ),
        (pack("a", 0), Code::InvalidArgument, "AMOUNT_OUT_OF_RANGE"),
        (pack("z", 10_000), Code::InvalidArgument, "FIELD_VIOLATIONS"),
    ] {
        let proposed = shop.ana.propose(action, "because").await;
        refused(proposed, code, reason);
    }
    let mut finance = shop.ana.hub.finance();
    let empty = finance
        .create_proposal(v1::CreateProposalRequest::default())
        .await;
    refused(empty, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let decided = shop.ana.decide(7, true, "because").await;
    refused(decided, Code::NotFound, "PROPOSAL_NOT_FOUND");
    let file = shop.ana.file(1, "", v1::PaymentFileFormat::Pain001).await;
    refused(file, Code::FailedPrecondition, "CYCLE_STATE");
    assert_eq!(shop.hub.status().await.tree_size, size);
}

/// A key that ends while a step waits for its turn ends there: roles and validity are the log's.
async fn a_revoked_key_decides_nothing(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let made = shop.ana.propose(settle(1), "month's end").await.unwrap();
    let revoke = v1::RevokeKeyRequest {
        key_id: shop.ben.key.key_id().into(),
        reason: "left".into(),
        compromised_since: None,
    };
    let operator = shop.hub.operator();
    operator.alliance().revoke_key(revoke).await.unwrap();
    let decided = shop.ben.decide(made.proposal_number, true, "checked").await;
    refused(decided, Code::Unauthenticated, "KEY_REVOKED");
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::PendingApproval);
}

/// A settlement that breaks a rule of the terms says which, before anything is approved.
async fn terms_that_a_bank_does_not_take_are_told_before_the_approval(database: Database) {
    let hub = TestHub::on(&database)
        .test_clock("2026-04-01T08:00:00Z")
        .start()
        .await;
    let shop = Shop {
        ana: hub.finance("Ana").await,
        ben: hub.finance("Ben").await,
        ..shop_without_addresses(hub).await
    };
    shop.trade().await;
    shop.close(1).await;
    let plain = settlement(1, NettingMethod::Multilateral);
    let preview = shop.ana.preview(plain.clone()).await.unwrap();
    let told = preview.warnings.join("\n");
    assert!(
        told.contains("merchant a") && told.contains("town"),
        "{told}"
    );
    shop.ana.settle(&shop.ben, plain).await;
    let file = shop.ana.file(1, "", v1::PaymentFileFormat::Pain001).await;
    let refusal = refused(file, Code::FailedPrecondition, "PAYMENT_ORDER_INVALID");
    assert!(
        refusal
            .violations
            .iter()
            .any(|v| v.field.contains("merchant a")),
        "{refusal}"
    );
    assert_eq!(shop.ana.payments(1).await.len(), 3, "{DAY}");
}

/// With accounts, but without anybody's town.
async fn shop_without_addresses(hub: TestHub) -> Shop {
    let nowhere = |details: v1::BankDetails| v1::BankDetails {
        town_name: String::new(),
        ..details
    };
    let terms = |id: &str| v1::Contract {
        bank_details: hansa_tests::shop::terms(id).bank_details.map(nowhere),
        ..hansa_tests::shop::terms(id)
    };
    hub.apply(v1::Alliance {
        programme: Some(v1::Programme {
            cycle_schedule: v1::CycleSchedule::Manual.into(),
            bank_details: Some(hansa_tests::alliance::bank_details("")),
            ..hansa_tests::alliance::programme()
        }),
        ..v1::Alliance::default()
    })
    .await;
    Shop {
        a: hub.onboard("a", terms("a")).await,
        f: hub.onboard("f", terms("f")).await,
        t: hub.onboard("t", terms("t")).await,
        ana: hub.finance("Anton").await,
        ben: hub.finance("Berta").await,
        hub,
    }
}

for_each_database!(
    nobody_approves_what_the_same_person_made,
    a_decision_that_is_sent_again_changes_nothing,
    a_proposal_is_taken_back_or_rejected_and_made_again,
    a_check_writes_nothing,
    what_does_not_exist_or_makes_no_sense_is_refused_by_name,
    a_revoked_key_decides_nothing,
    terms_that_a_bank_does_not_take_are_told_before_the_approval,
);
