//! A merchant sees its own payments, files and disputes, and nothing of anybody else.

use hansa_proto::v1::{self, PaymentFileFormat};
use hansa_tests::{
    check::{answered, refused},
    clerk,
    database::Database,
    for_each_database,
};
use tonic::Code;

use hansa_tests::shop::Shop;

async fn a_merchant_sees_only_what_is_its_own(database: Database) {
    let shop = Shop::new(&database).await;
    shop.submitted(1).await;
    for merchant in [&shop.a, &shop.f, &shop.t] {
        let own = clerk::payments(&merchant.hub, 0).await.unwrap();
        assert_eq!(own.len(), 1);
        let parties = [&own[0].payer_merchant_id, &own[0].payee_merchant_id];
        assert!(parties.contains(&&merchant.id), "{parties:?}");
    }
    // F's own payment file, and no other; nobody's is told from none.
    let pain = PaymentFileFormat::Pain001;
    assert!(clerk::file(&shop.f.hub, 1, "f", 0, pain).await.is_ok());
    for (merchant, payer) in [(&shop.f, ""), (&shop.a, "f"), (&shop.a, ""), (&shop.a, "z")] {
        let file = clerk::file(&merchant.hub, 1, payer, 0, pain).await;
        refused(file, Code::NotFound, "NOT_FOUND");
    }

    let request = v1::RaiseDisputeRequest {
        original: Some(v1::OriginalReference {
            cycle_number: 1,
            line_kind: "REDEMPTION".into(),
            ..v1::OriginalReference::default()
        }),
        claimed_micros: -10_000,
        text: "between us".into(),
        evidence: vec![v1::Evidence {
            file_name: "secret.txt".into(),
            media_type: "text/plain".into(),
            content: b"between us".to_vec(),
            ..v1::Evidence::default()
        }],
    };
    let raised = answered(shop.a.hub.disputes().raise_dispute(request).await);
    let raised = raised.dispute.unwrap();
    let listed = async |merchant: &hansa_tests::merchant::Merchant| {
        let request = v1::ListDisputesRequest::default();
        answered(merchant.hub.disputes().list_disputes(request).await).disputes
    };
    assert_eq!(listed(&shop.a).await, std::slice::from_ref(&raised));
    assert_eq!(listed(&shop.t).await, []);
    let evidence = v1::GetEvidenceRequest {
        dispute_number: 1,
        sha256: raised.evidence[0].sha256.clone(),
    };
    let stolen = shop.t.hub.disputes().get_evidence(evidence).await;
    refused(stolen, Code::NotFound, "NOT_FOUND");

    // Its statement tells of its own position alone.
    let cycle = shop.a.hub.cycle(1).await.unwrap();
    let seen: Vec<&str> = cycle
        .net_positions
        .iter()
        .map(|p| p.merchant_id.as_str())
        .collect();
    assert_eq!(seen, ["a"]);
}

async fn the_rest_of_finance_is_closed_to_merchants(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    let denied = |result: Result<(), tonic::Status>| {
        refused(result, Code::PermissionDenied, "PERMISSION_DENIED");
    };
    let mut finance = shop.a.hub.finance();
    denied(
        finance
            .compare_netting(v1::CompareNettingRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .preview_settlement(v1::PreviewSettlementRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .create_proposal(v1::CreateProposalRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .decide_proposal(v1::DecideProposalRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .list_proposals(v1::ListProposalsRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .record_submission(v1::RecordSubmissionRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .import_bank_report(v1::ImportBankReportRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .list_bank_reports(v1::ListBankReportsRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .list_exceptions(v1::ListExceptionsRequest::default())
            .await
            .map(drop),
    );
    denied(
        finance
            .explain_exception(v1::ExplainExceptionRequest::default())
            .await
            .map(drop),
    );
    denied(finance.get_risk(v1::GetRiskRequest {}).await.map(drop));
    denied(
        finance
            .list_audit_trail(v1::ListAuditTrailRequest::default())
            .await
            .map(drop),
    );
    let mut disputes = shop.a.hub.disputes();
    denied(
        disputes
            .answer_dispute(v1::AnswerDisputeRequest::default())
            .await
            .map(drop),
    );
    denied(
        disputes
            .rule_dispute(v1::RuleDisputeRequest::default())
            .await
            .map(drop),
    );
}

for_each_database!(
    a_merchant_sees_only_what_is_its_own,
    the_rest_of_finance_is_closed_to_merchants,
);
