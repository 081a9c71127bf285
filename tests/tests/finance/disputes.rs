//! Disputes: raised with evidence, accepted or rejected, escalated, ruled by another person; silence lapses by the clock.

use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1::{self, AdjustmentReason, DisputeState, NettingMethod, action::Action};
use hansa_tests::{
    check::refused,
    clerk::{Clerk, settlement},
    clock::DAY as ONE_DAY,
    database::Database,
    for_each_database,
    merchant::Merchant,
};
use ring::digest::{SHA256, digest};
use tonic::Code;

use hansa_tests::shop::{Shop, terms};

fn over(cycle_number: u32, line: &str) -> v1::OriginalReference {
    v1::OriginalReference {
        cycle_number,
        line_kind: line.into(),
        ..v1::OriginalReference::default()
    }
}

fn photo() -> v1::Evidence {
    v1::Evidence {
        file_name: "receipt.jpg".into(),
        media_type: "image/jpeg".into(),
        content: b"\xff\xd8 a photograph of a receipt \0".to_vec(),
        ..v1::Evidence::default()
    }
}

async fn raise(
    merchant: &Merchant,
    original: v1::OriginalReference,
    claimed_micros: i64,
    evidence: Vec<v1::Evidence>,
) -> Result<v1::Dispute, CallError> {
    let request = v1::RaiseDisputeRequest {
        original: Some(original),
        claimed_micros,
        text: "we redeemed more than that".into(),
        evidence,
    };
    let answer = merchant
        .hub
        .call(request, async |hub: Hub, request| {
            hub.disputes().raise_dispute(request).await
        })
        .await?;
    Ok(answer.dispute.unwrap())
}

async fn answer(
    clerk: &Clerk,
    dispute: &v1::Dispute,
    accept: bool,
) -> Result<v1::Dispute, CallError> {
    let request = v1::AnswerDisputeRequest {
        dispute_number: dispute.dispute_number,
        accept,
        amount_micros: 0,
        counterparty_merchant_id: String::new(),
        answer: "looked into it".into(),
    };
    let answer = clerk
        .hub
        .call(request, async |hub: Hub, request| {
            hub.disputes().answer_dispute(request).await
        })
        .await?;
    Ok(answer.dispute.unwrap())
}

async fn escalate(
    merchant: &Merchant,
    dispute: &v1::Dispute,
    evidence: Vec<v1::Evidence>,
) -> Result<v1::Dispute, CallError> {
    let request = v1::EscalateDisputeRequest {
        dispute_number: dispute.dispute_number,
        text: "look again".into(),
        evidence,
    };
    let answer = merchant
        .hub
        .call(request, async |hub: Hub, request| {
            hub.disputes().escalate_dispute(request).await
        })
        .await?;
    Ok(answer.dispute.unwrap())
}

async fn rule(
    clerk: &Clerk,
    dispute: &v1::Dispute,
    uphold: bool,
    amount_micros: i64,
) -> Result<v1::Dispute, CallError> {
    let request = v1::RuleDisputeRequest {
        dispute_number: dispute.dispute_number,
        uphold,
        amount_micros,
        counterparty_merchant_id: "f".into(),
        ruling: "half of it".into(),
    };
    let answer = clerk
        .hub
        .call(request, async |hub: Hub, request| {
            hub.disputes().rule_dispute(request).await
        })
        .await?;
    Ok(answer.dispute.unwrap())
}

async fn disputes(hub: &Hub) -> Vec<v1::Dispute> {
    let request = v1::ListDisputesRequest::default();
    let page = hub.disputes().list_disputes(request).await.unwrap();
    page.into_inner().disputes
}

async fn an_accepted_dispute_adjusts_the_open_cycle(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let digest_before = shop.ana.cycle(1).await.digest;
    let raised = raise(&shop.a, over(1, "REDEMPTION"), -250_000, vec![photo()])
        .await
        .unwrap();
    assert_eq!(
        (
            raised.dispute_number,
            raised.state(),
            raised.merchant_id.as_str()
        ),
        (1, DisputeState::Raised, "a")
    );
    let deadline = raised.deadline.unwrap().to_string();
    assert_eq!(deadline, "2026-05-01T22:00:00Z", "whole days in Berlin");
    // Sent again, it is the same dispute; the attachment is what was handed in, for both sides.
    let size = shop.hub.status().await.tree_size;
    let again = raise(&shop.a, over(1, "REDEMPTION"), -250_000, vec![photo()])
        .await
        .unwrap();
    assert_eq!(again, raised);
    assert_eq!(shop.hub.status().await.tree_size, size);
    let sha256 = digest(&SHA256, &photo().content).as_ref().to_vec();
    assert_eq!(
        (&raised.evidence[0].sha256, raised.evidence[0].size),
        (&sha256, photo().content.len() as u64)
    );
    for hub in [&shop.a.hub, &shop.ana.hub] {
        let request = v1::GetEvidenceRequest {
            dispute_number: 1,
            sha256: sha256.clone(),
        };
        let found = hub
            .disputes()
            .get_evidence(request)
            .await
            .unwrap()
            .into_inner();
        let found = found.evidence.unwrap();
        assert_eq!(
            (found.content, found.media_type.as_str()),
            (photo().content, "image/jpeg")
        );
    }

    let accepted = answer(&shop.ana, &raised, true).await.unwrap();
    assert_eq!(
        (accepted.state(), accepted.answered_by.as_str()),
        (DisputeState::Accepted, "Ana")
    );
    assert_eq!(answer(&shop.ana, &raised, true).await.unwrap(), accepted);
    // The adjustment is a proposal as any other: by two people, into the open cycle, with a link to its reason.
    let same = shop
        .ana
        .decide(accepted.proposal_number, true, "checked")
        .await;
    refused(same, Code::PermissionDenied, "SAME_PERSON");
    let approved = shop
        .ben
        .decide(accepted.proposal_number, true, "checked")
        .await
        .unwrap();
    let Some(Action::Adjustment(adjustment)) = approved.action.unwrap().action else {
        panic!("an adjustment");
    };
    assert_eq!(
        (
            adjustment.amount_micros,
            adjustment.reason(),
            adjustment.dispute_number
        ),
        (-250_000, AdjustmentReason::Dispute, 1)
    );
    assert_eq!(adjustment.original, Some(over(1, "REDEMPTION")));
    assert_eq!(shop.ana.cycle(1).await.digest, digest_before);
    let statement = shop.a.hub.statement(2, None).await.unwrap();
    let lines: Vec<(&str, i64)> = statement
        .lines
        .iter()
        .map(|line| (line.kind.as_str(), line.amount_micros))
        .collect();
    assert_eq!(lines, [("ADJUSTMENT", -250_000)]);
    // And is paid with the next settlement.
    for cycle in [1, 2] {
        if cycle == 2 {
            shop.close(2).await;
        }
        let plain = settlement(cycle, NettingMethod::Multilateral);
        shop.ana.settle(&shop.ben, plain).await;
    }
    let paid = shop.ana.payments(2).await;
    assert_eq!(
        (
            paid.len(),
            paid[0].payee_merchant_id.as_str(),
            paid[0].amount_micros
        ),
        (1, "a", 250_000)
    );
}

/// Not a whole line: one capture, by its place in the log.
async fn one_message_is_disputed_by_its_place_in_the_log(database: Database) {
    let shop = Shop::new(&database).await;
    let [at_f, at_a] = [shop.f.enrol("u").await, shop.a.enrol("u").await];
    shop.f.accrue(&at_f, "100.00").await.ok();
    let held = shop.a.authorise(&at_a, 50).await.accepted();
    let capture = shop.a.capture(&at_a, held.id, 40).await.accepted();
    let leaf = capture.receipt.unwrap().leaf_index;
    shop.close(1).await;
    let at = |cycle_number, leaf_index| v1::OriginalReference {
        cycle_number,
        leaf_index: Some(leaf_index),
        ..v1::OriginalReference::default()
    };
    let size = shop.hub.status().await.tree_size;
    for elsewhere in [at(1, size), at(0, leaf)] {
        let raised = raise(&shop.a, elsewhere, -80_000, vec![]).await;
        refused(raised, Code::NotFound, "ORIGINAL_NOT_FOUND");
    }
    let raised = raise(&shop.a, at(1, leaf), -80_000, vec![]).await.unwrap();
    assert_eq!(raised.original, Some(at(1, leaf)));
    let accepted = answer(&shop.ana, &raised, true).await.unwrap();
    let approved = shop
        .ben
        .decide(accepted.proposal_number, true, "50 were meant")
        .await
        .unwrap();
    let Some(Action::Adjustment(adjustment)) = approved.action.unwrap().action else {
        panic!("an adjustment");
    };
    assert_eq!(adjustment.original, Some(at(1, leaf)));
    let position = shop.a.hub.statement(2, None).await.unwrap().position;
    assert_eq!(position.unwrap().net_micros, -80_000);
}

async fn a_rejected_dispute_is_ruled_by_another_person(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let raised = raise(&shop.a, over(1, "REDEMPTION"), -500_000, vec![])
        .await
        .unwrap();
    let early = escalate(&shop.a, &raised, vec![]).await;
    refused(early, Code::FailedPrecondition, "DISPUTE_STATE");
    let rejected = answer(&shop.ana, &raised, false).await.unwrap();
    assert_eq!(
        (rejected.state(), rejected.proposal_number),
        (DisputeState::Rejected, 0)
    );
    let twice = answer(&shop.ben, &raised, true).await;
    refused(twice, Code::FailedPrecondition, "DISPUTE_STATE");
    // Not by a neighbour.
    let stranger = escalate(&shop.t, &raised, vec![]).await;
    refused(stranger, Code::NotFound, "NOT_FOUND");
    let escalated = escalate(&shop.a, &raised, vec![photo()]).await.unwrap();
    assert_eq!(
        (escalated.state(), escalated.evidence.len()),
        (DisputeState::Escalated, 1)
    );
    assert!(escalated.text.contains("look again"), "{}", escalated.text);
    assert_eq!(
        escalate(&shop.a, &raised, vec![photo()]).await.unwrap(),
        escalated
    );

    let same = rule(&shop.ana, &raised, true, -250_000).await;
    refused(same, Code::PermissionDenied, "SAME_PERSON");
    let ruled = rule(&shop.ben, &raised, true, -250_000).await.unwrap();
    assert_eq!(
        (ruled.state(), ruled.upheld, ruled.ruled_by.as_str()),
        (DisputeState::Ruled, true, "Ben")
    );
    shop.ana
        .decide(ruled.proposal_number, true, "as ruled")
        .await
        .unwrap();
    // F bears it.
    for (merchant, expected) in [("a", -250_000), ("f", 250_000)] {
        let statement = shop.ana.hub.statement(2, Some(merchant)).await.unwrap();
        assert_eq!(
            statement.position.unwrap().net_micros,
            expected,
            "{merchant}"
        );
    }
}

async fn silence_lapses_by_the_clock(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let unanswered = raise(&shop.a, over(1, "REDEMPTION"), -10_000, vec![])
        .await
        .unwrap();
    let rejected = raise(&shop.t, over(1, "REDEMPTION"), -20_000, vec![])
        .await
        .unwrap();
    let rejected = answer(&shop.ana, &rejected, false).await.unwrap();
    assert_eq!(rejected.deadline, unanswered.deadline);
    shop.hub.set_clock("2026-05-01T21:59:59Z").await;
    // The last moment of the last day.
    let last = raise(&shop.f, over(1, "BASE_ACCRUAL"), -30_000, vec![])
        .await
        .unwrap();
    assert_eq!(last.state(), DisputeState::Raised);
    shop.hub.set_clock("2026-05-01T22:00:00Z").await;
    let state = |disputes: &[v1::Dispute], number: u64| {
        let found = disputes.iter().find(|d| d.dispute_number == number);
        found.unwrap().state()
    };
    let now = disputes(&shop.ana.hub).await;
    assert_eq!(state(&now, unanswered.dispute_number), DisputeState::Lapsed);
    assert_eq!(state(&now, rejected.dispute_number), DisputeState::Lapsed);
    assert_eq!(state(&now, last.dispute_number), DisputeState::Raised);
    // The rejection stands; finance's silence is the merchant's to escalate.
    let late = escalate(&shop.t, &rejected, vec![]).await;
    refused(late, Code::FailedPrecondition, "DISPUTE_TOO_LATE");
    let late = raise(&shop.t, over(1, "REDEMPTION"), -1, vec![]).await;
    refused(late, Code::FailedPrecondition, "DISPUTE_TOO_LATE");
    let escalated = escalate(&shop.a, &unanswered, vec![]).await.unwrap();
    assert_eq!(escalated.state(), DisputeState::Escalated);
    // It waits as long as it takes.
    shop.hub.advance(90 * ONE_DAY).await;
    let ruled = rule(&shop.ana, &unanswered, false, 0).await.unwrap();
    assert_eq!((ruled.state(), ruled.upheld), (DisputeState::Ruled, false));
}

async fn what_cannot_be_disputed_is_refused(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    let open = raise(&shop.a, over(1, "REDEMPTION"), -10_000, vec![]).await;
    refused(open, Code::FailedPrecondition, "CYCLE_STATE");
    shop.close(1).await;
    let size = shop.hub.status().await.tree_size;
    for (original, claim, code, reason) in [
        (
            over(1, "REDEMPTION"),
            0,
            Code::InvalidArgument,
            "AMOUNT_OUT_OF_RANGE",
        ),
        (over(1, ""), -10_000, Code::NotFound, "ORIGINAL_NOT_FOUND"),
        (
            over(1, "BREAKAGE_SHARE"),
            -10_000,
            Code::NotFound,
            "ORIGINAL_NOT_FOUND",
        ),
        (
            over(1, "NONSENSE"),
            -10_000,
            Code::InvalidArgument,
            "FIELD_VIOLATIONS",
        ),
        (
            over(9, "REDEMPTION"),
            -10_000,
            Code::NotFound,
            "CYCLE_NOT_FOUND",
        ),
    ] {
        refused(raise(&shop.a, original, claim, vec![]).await, code, reason);
    }
    // Attachments: each at most 1 MiB, at most eight, and what their digest says.
    let big = v1::Evidence {
        content: vec![0; (1 << 20) + 1],
        ..photo()
    };
    let other = v1::Evidence {
        sha256: vec![7; 32],
        ..photo()
    };
    let empty = v1::Evidence {
        content: Vec::new(),
        ..photo()
    };
    for (evidence, field) in [
        (big, "evidence[0].content"),
        (other, "evidence[0].sha256"),
        (empty, "evidence[0].content"),
        (
            v1::Evidence {
                file_name: String::new(),
                ..photo()
            },
            "evidence[0].file_name",
        ),
    ] {
        let raised = raise(&shop.a, over(1, "REDEMPTION"), -10_000, vec![evidence]).await;
        let refusal = refused(raised, Code::InvalidArgument, "FIELD_VIOLATIONS");
        assert_eq!(refusal.violations[0].field, field);
    }
    let nine = vec![photo(); 9];
    let raised = raise(&shop.a, over(1, "REDEMPTION"), -10_000, nine).await;
    refused(raised, Code::InvalidArgument, "TOO_MUCH_EVIDENCE");
    // Finance raises none, and a contract may exclude them.
    let request = v1::RaiseDisputeRequest::default();
    let by_finance = shop.ana.hub.disputes().raise_dispute(request).await;
    refused(by_finance, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(shop.hub.status().await.tree_size, size);
    shop.hub.advance(ONE_DAY).await;
    let none = v1::Contract {
        dispute_days: 0,
        ..terms("a")
    };
    let merchant = hansa_tests::alliance::merchant("a", v1::MerchantState::Active, none);
    shop.hub.apply_merchant(merchant).await;
    let raised = raise(&shop.a, over(1, "REDEMPTION"), -10_000, vec![]).await;
    refused(raised, Code::FailedPrecondition, "DISPUTES_EXCLUDED");
}

/// Attachments survive what the log survives.
async fn evidence_stays_through_a_kill(database: Database) {
    let mut shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let largest = v1::Evidence {
        file_name: "scan.pdf".into(),
        content: (0..1_u32 << 20)
            .map(|n| n.wrapping_mul(n).to_le_bytes()[1])
            .collect(),
        ..photo()
    };
    let evidence = vec![largest.clone(); 8];
    let raised = raise(&shop.a, over(1, "REDEMPTION"), -10_000, evidence)
        .await
        .unwrap();
    assert_eq!(raised.evidence.len(), 8);
    shop.hub.kill();
    shop.hub.start().await;
    assert_eq!(disputes(&shop.a.hub).await, std::slice::from_ref(&raised));
    let request = v1::GetEvidenceRequest {
        dispute_number: 1,
        sha256: raised.evidence[7].sha256.clone(),
    };
    let found = shop.a.hub.disputes().get_evidence(request).await.unwrap();
    assert!(found.into_inner().evidence.unwrap().content == largest.content);
}

for_each_database!(
    an_accepted_dispute_adjusts_the_open_cycle,
    one_message_is_disputed_by_its_place_in_the_log,
    a_rejected_dispute_is_ruled_by_another_person,
    silence_lapses_by_the_clock,
    what_cannot_be_disputed_is_refused,
    evidence_stays_through_a_kill,
);
