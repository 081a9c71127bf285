//! Queries over commissions end to end: raised by affiliates, answered by merchants, ruled by finance; what is granted is paid with the next
//! settlement; silence lapses by the clock; nobody else sees anything.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1::{
    self, AdjustmentReason, DocumentFormat, NettingMethod, OperatorRole, QueryKind, QueryParty,
    QueryState, ResultCode, action::Action, commission_decision::Decision,
};
use hansa_tests::{
    affiliate::{conversion, decision, place, profile, terms},
    check::refused,
    clerk::{Clerk, settlement},
    cli::Cli,
    database::Database,
    for_each_database,
    merchant::{Merchant, Sent},
    shop::Shop,
};
use serde_json::Value;
use tonic::Code;

const DAY: i64 = 86_400_000_000;

const BLOG: u32 = 3;
const DEALS: u32 = 4;

/// Merchant A pays commissions and takes queries within 30 days; two affiliates in the books of two managers. Indices in the order of joining:
/// A 0, F 1, T 2, blog 3, deals 4.
struct Stage {
    shop: Shop,
    blog: Merchant,
    deals: Merchant,
}

impl Stage {
    async fn new(database: &Database) -> Self {
        let shop = Shop::new(database).await;
        shop.hub.pay_commissions("a", terms()).await;
        let blog = v1::AffiliateProfile {
            codes: vec![v1::AffiliateCode {
                merchant_id: "a".into(),
                code: "SPRING".into(),
                site_number: 1,
                ..v1::AffiliateCode::default()
            }],
            ..profile("mia")
        };
        let blog = shop.hub.affiliate("blog", blog).await;
        let deals = shop.hub.affiliate("deals", profile("noa")).await;
        Self { shop, blog, deals }
    }

    fn click(&self, affiliate: u32) -> String {
        let touch = self.shop.hub.touch(0, affiliate, self.now() - DAY);
        touch.sign(&self.shop.hub.key()).encode()
    }

    fn now(&self) -> i64 {
        self.shop.a.clock.now()
    }

    async fn buy(&self, order: &str, clicks: &[String]) -> Sent {
        self.shop
            .a
            .convert(conversion(order, "80.00", clicks))
            .await
    }

    /// An order of now that was never reported.
    fn untracked(&self, order: &str) -> v1::RaiseQueryRequest {
        v1::RaiseQueryRequest {
            merchant_id: "a".into(),
            subject: Some(v1::QuerySubject {
                kind: QueryKind::Untracked.into(),
                order_reference: order.into(),
                order_time: Some(hansa_client::time::timestamp(self.now())),
                click_id: self.click(BLOG),
                ..v1::QuerySubject::default()
            }),
            claimed_micros: 4_000_000,
            text: "we brought this order".into(),
            evidence: vec![photo()],
        }
    }

    async fn size(&self) -> u64 {
        self.shop.hub.status().await.tree_size
    }
}

/// A query over a place in the log.
fn over(kind: QueryKind, (leaf_index, entry_position): (u64, u32)) -> v1::RaiseQueryRequest {
    v1::RaiseQueryRequest {
        subject: Some(v1::QuerySubject {
            kind: kind.into(),
            leaf_index: Some(leaf_index),
            entry_position,
            ..v1::QuerySubject::default()
        }),
        claimed_micros: 1_000_000,
        text: "this is wrong".into(),
        ..v1::RaiseQueryRequest::default()
    }
}

fn photo() -> v1::Evidence {
    v1::Evidence {
        file_name: "order.jpg".into(),
        media_type: "image/jpeg".into(),
        content: b"\xff\xd8 a photograph of an order \0".to_vec(),
        ..v1::Evidence::default()
    }
}

const fn owes(amount_micros: i64) -> Option<v1::QueryRemedy> {
    Some(v1::QueryRemedy {
        amount_micros,
        leaf_index: None,
        entry_position: 0,
    })
}

async fn raise(who: &Merchant, request: v1::RaiseQueryRequest) -> Result<v1::Query, CallError> {
    let answer = who
        .hub
        .call(request, async |hub: Hub, request| {
            hub.affiliates().raise_query(request).await
        })
        .await?;
    Ok(answer.query.unwrap())
}

async fn answer(
    who: &Merchant,
    query_number: u64,
    remedy: Option<v1::QueryRemedy>,
) -> Result<v1::Query, CallError> {
    let request = v1::AnswerQueryRequest {
        query_number,
        remedy,
        answer: "we looked".into(),
    };
    let answer = who
        .hub
        .call(request, async |hub: Hub, request| {
            hub.affiliates().answer_query(request).await
        })
        .await?;
    Ok(answer.query.unwrap())
}

async fn escalate(
    who: &Merchant,
    query_number: u64,
    evidence: Vec<v1::Evidence>,
) -> Result<v1::Query, CallError> {
    let request = v1::EscalateQueryRequest {
        query_number,
        text: "look again".into(),
        evidence,
    };
    let answer = who
        .hub
        .call(request, async |hub: Hub, request| {
            hub.affiliates().escalate_query(request).await
        })
        .await?;
    Ok(answer.query.unwrap())
}

async fn rule(
    who: &Clerk,
    query_number: u64,
    remedy: Option<v1::QueryRemedy>,
) -> Result<v1::Query, CallError> {
    let request = v1::RuleQueryRequest {
        query_number,
        remedy,
        ruling: "half of it".into(),
    };
    let answer = who
        .hub
        .call(request, async |hub: Hub, request| {
            hub.affiliates().rule_query(request).await
        })
        .await?;
    Ok(answer.query.unwrap())
}

async fn get(hub: &Hub, query_number: u64) -> Result<v1::Query, CallError> {
    let request = v1::GetQueryRequest { query_number };
    let answer = hub.affiliates().get_query(request).await?;
    Ok(answer.into_inner().query.unwrap())
}

/// Numbers of the queries in a state, page by page.
async fn listed(hub: &Hub, state: QueryState) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut request = v1::ListQueriesRequest {
        state: state.into(),
        page_size: 1,
        page_token: String::new(),
    };
    loop {
        let page = hub.affiliates().list_queries(request.clone()).await;
        let page = page.unwrap().into_inner();
        assert!(page.queries.len() <= 1);
        numbers.extend(page.queries.iter().map(|query| query.query_number));
        if page.next_page_token.is_empty() {
            return numbers;
        }
        request.page_token = page.next_page_token;
    }
}

async fn statement(hub: &Hub, cycle_number: u32) -> Value {
    let request = v1::GetCommissionStatementRequest {
        affiliate_id: "blog".into(),
        cycle_number,
        format: DocumentFormat::Json.into(),
    };
    let document = hub.commission_statement(request).await.unwrap();
    let mut document: Value = serde_json::from_slice(&document.content).unwrap();
    document["statement"].take()
}

/// The auditor and `hansa verify` agree with all that is in the log.
async fn agree(stage: &Stage) {
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
}

async fn what_a_merchant_accepts_is_paid_and_stands_in_the_statement(database: Database) {
    let mut stage = Stage::new(&database).await;
    let request = stage.untracked("o-1");
    let raised = raise(&stage.blog, request.clone()).await.unwrap();
    assert_eq!(
        (raised.query_number, raised.state(), raised.awaits()),
        (1, QueryState::Raised, QueryParty::Merchant)
    );
    assert_eq!(
        (raised.affiliate_id.as_str(), raised.merchant_id.as_str()),
        ("blog", "a")
    );
    let deadline = raised.deadline.unwrap().to_string();
    assert_eq!(deadline, "2026-05-01T22:00:00Z", "whole days in Berlin");
    // Sent again, it is the same query; another over the same order is refused.
    let size = stage.size().await;
    assert_eq!(raise(&stage.blog, request.clone()).await.unwrap(), raised);
    let other = v1::RaiseQueryRequest {
        claimed_micros: 5_000_000,
        ..request
    };
    let second = raise(&stage.blog, other).await;
    refused(second, Code::FailedPrecondition, "QUERY_OPEN");
    assert_eq!(stage.size().await, size);

    let accepted = answer(&stage.shop.a, 1, owes(3_000_000)).await.unwrap();
    assert_eq!(
        (accepted.state(), accepted.awaits(), accepted.deadline),
        (QueryState::Accepted, QueryParty::Operator, None)
    );
    let again = answer(&stage.shop.a, 1, owes(3_000_000)).await.unwrap();
    assert_eq!(again, accepted);
    let rejected = answer(&stage.shop.a, 1, None).await;
    refused(rejected, Code::FailedPrecondition, "QUERY_STATE");

    // Nothing of it is lost by a crash.
    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    assert_eq!(get(&stage.blog.hub, 1).await.unwrap(), accepted);

    let proposal = accepted.proposal_number;
    let approved = stage.shop.ana.decide(proposal, true, "checked").await;
    let Some(Action::Adjustment(adjustment)) = approved.unwrap().action.unwrap().action else {
        panic!("an adjustment");
    };
    assert_eq!(
        (adjustment.merchant_id.as_str(), adjustment.amount_micros),
        ("a", 3_000_000)
    );
    assert_eq!(
        (
            adjustment.counterparty_merchant_id.as_str(),
            adjustment.reason(),
            adjustment.query_number
        ),
        ("blog", AdjustmentReason::CommissionQuery, 1)
    );
    let adjusted = get(&stage.blog.hub, 1).await.unwrap();
    assert_eq!(
        (adjusted.awaits(), adjusted.adjusted_by_proposal_number),
        (QueryParty::Unspecified, proposal)
    );
    stage.shop.close(1).await;
    for (participant, net) in [("a", 3_000_000), ("blog", -3_000_000)] {
        let operator = &stage.shop.ana.hub;
        let position = operator.statement(1, Some(participant)).await.unwrap();
        assert_eq!(position.position.unwrap().net_micros, net, "{participant}");
    }
    let told = statement(&stage.blog.hub, 1).await;
    for (figure, micros) in [("adjusted", 3_000_000), ("closing", 3_000_000)] {
        assert_eq!(told["figures"][figure]["micros"], micros, "{figure}");
    }
    let line = &told["lines"][0];
    assert_eq!(
        (&line["kind"], &line["reason"], &line["amount"]["micros"]),
        (
            &"ADJUSTED".into(),
            &"COMMISSION_QUERY".into(),
            &3_000_000.into()
        )
    );
    let plain = settlement(1, NettingMethod::Multilateral);
    stage.shop.ana.settle(&stage.shop.ben, plain).await;
    let payments = stage.shop.ana.payments(1).await;
    let paid: Vec<_> = payments
        .iter()
        .map(|p| (p.payee_merchant_id.as_str(), p.amount_micros))
        .collect();
    assert!(paid.contains(&("blog", 3_000_000)), "{paid:?}");
    agree(&stage).await;
}

async fn silence_is_escalated_and_ruled(database: Database) {
    let stage = Stage::new(&database).await;
    let unanswered = raise(&stage.blog, stage.untracked("o-1")).await.unwrap();
    let rejected = raise(&stage.blog, stage.untracked("o-2")).await.unwrap();
    let rejected = answer(&stage.shop.a, rejected.query_number, None).await;
    let rejected = rejected.unwrap();
    assert_eq!(
        (rejected.state(), rejected.awaits(), rejected.deadline),
        (
            QueryState::Rejected,
            QueryParty::Affiliate,
            unanswered.deadline
        )
    );
    let early = escalate(&stage.blog, 1, vec![]).await;
    refused(early, Code::FailedPrecondition, "QUERY_STATE");
    let last = stage.untracked("o-3");
    stage
        .shop
        .hub
        .set_clock("2026-05-01T21:59:59.999999Z")
        .await;
    raise(&stage.blog, last.clone()).await.unwrap();
    assert!(listed(&stage.blog.hub, QueryState::Lapsed).await.is_empty());
    stage.shop.hub.set_clock("2026-05-01T22:00:00Z").await;
    assert_eq!(listed(&stage.blog.hub, QueryState::Lapsed).await, [2, 1]);
    // The rejection stands; the merchant's silence is the affiliate's to escalate.
    let late = escalate(&stage.blog, 2, vec![]).await;
    refused(late, Code::FailedPrecondition, "QUERY_TOO_LATE");
    let mut order = last;
    order.subject.as_mut().unwrap().order_reference = "o-4".into();
    let late = raise(&stage.blog, order).await;
    refused(late, Code::FailedPrecondition, "QUERY_TOO_LATE");
    let lapsed = get(&stage.blog.hub, 1).await.unwrap();
    assert_eq!(
        (lapsed.state(), lapsed.awaits()),
        (QueryState::Lapsed, QueryParty::Affiliate)
    );
    let stolen = escalate(&stage.deals, 1, vec![]).await;
    refused(stolen, Code::NotFound, "QUERY_NOT_FOUND");
    let escalated = escalate(&stage.blog, 1, vec![photo()]).await.unwrap();
    assert_eq!(
        (escalated.state(), escalated.awaits(), escalated.deadline),
        (QueryState::Escalated, QueryParty::Operator, None)
    );
    assert_eq!(escalated.text, "we brought this order\nlook again");
    let again = escalate(&stage.blog, 1, vec![photo()]).await.unwrap();
    assert_eq!(again, escalated);
    let silent = answer(&stage.shop.a, 1, None).await;
    refused(silent, Code::FailedPrecondition, "QUERY_STATE");
    // Finance rules, and nobody else; it waits as long as it takes.
    stage.shop.hub.advance(90 * DAY).await;
    let admin = &[OperatorRole::Administrator];
    let admin = stage.shop.hub.clerk("Ada", admin).await;
    let denied = rule(&admin, 1, None).await;
    refused(denied, Code::PermissionDenied, "PERMISSION_DENIED");
    let ruled = rule(&stage.shop.ana, 1, owes(2_000_000)).await.unwrap();
    assert_eq!(
        (
            ruled.state(),
            ruled.ruled_by.as_str(),
            ruled.ruling.as_str()
        ),
        (QueryState::Ruled, "Ana", "half of it")
    );
    let again = rule(&stage.shop.ana, 1, owes(2_000_000)).await.unwrap();
    assert_eq!(again, ruled);
    let same = stage.shop.ana.decide(ruled.proposal_number, true, "mine");
    refused(same.await, Code::PermissionDenied, "SAME_PERSON");
    let other = stage
        .shop
        .ben
        .decide(ruled.proposal_number, true, "as ruled");
    other.await.unwrap();
    let position = stage.blog.hub.statement(1, None).await.unwrap().position;
    assert_eq!(position.unwrap().net_micros, -2_000_000);
    stage.shop.close(1).await;
    agree(&stage).await;
}

async fn conversions_are_queried_by_their_place_in_the_log(database: Database) {
    let stage = Stage::new(&database).await;
    let bought = stage.buy("o-1", &[stage.click(BLOG)]).await.accepted();
    let at = place(&bought);
    let early = raise(&stage.blog, over(QueryKind::Declined, at)).await;
    let refusal = refused(early, Code::InvalidArgument, "FIELD_VIOLATIONS");
    assert_eq!(refusal.violations[0].field, "subject.kind");
    let stranger = raise(&stage.deals, over(QueryKind::Incorrect, at)).await;
    refused(stranger, Code::NotFound, "NOT_FOUND");
    let wrong = v1::RaiseQueryRequest {
        merchant_id: "f".into(),
        ..over(QueryKind::Incorrect, at)
    };
    let wrong = raise(&stage.blog, wrong).await;
    refused(wrong, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let incorrect = raise(&stage.blog, over(QueryKind::Incorrect, at)).await;
    let incorrect = incorrect.unwrap();
    assert_eq!(incorrect.merchant_id, "a");
    // There is nothing to send: the merchant names an amount.
    let sends = answer(&stage.shop.a, 1, owes(0)).await;
    refused(sends, Code::InvalidArgument, "QUERY_UNFIT");
    answer(&stage.shop.a, 1, owes(500_000)).await.unwrap();

    // Taken back: the time to raise counts from then, however old the purchase is.
    stage.shop.hub.advance(40 * DAY).await;
    let late = raise(&stage.blog, over(QueryKind::Incorrect, at)).await;
    refused(late, Code::FailedPrecondition, "QUERY_TOO_LATE");
    let back = stage.shop.a.return_conversion(&bought, "80.00", "r-1");
    back.await.ok();
    let reversed_at = stage.now();
    let declined = raise(&stage.blog, over(QueryKind::Declined, at)).await;
    let declined = declined.unwrap();
    let since = declined.subject_time.unwrap();
    assert_eq!(since, hansa_client::time::timestamp(reversed_at));

    // A refused message is its affiliate's to query, and nobody else's.
    let refusal = stage.buy("o-1", &[stage.click(BLOG)]).await;
    refusal.assert_code(ResultCode::DuplicateOrder);
    let (leaf, _) = place(&refusal);
    let stranger = raise(&stage.deals, over(QueryKind::Declined, (leaf, 0))).await;
    refused(stranger, Code::NotFound, "NOT_FOUND");
    let kind = raise(&stage.blog, over(QueryKind::Incorrect, (leaf, 0))).await;
    refused(kind, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let third = raise(&stage.blog, over(QueryKind::Declined, (leaf, 0))).await;
    assert_eq!(third.unwrap().merchant_id, "a");
    for nowhere in [(leaf, 1), (0, 0), (1 << 40, 0)] {
        let query = raise(&stage.blog, over(QueryKind::Declined, nowhere)).await;
        refused(query, Code::NotFound, "NOT_FOUND");
    }

    // A click that was declared invalid takes the conversion from its affiliate.
    let clicks = [stage.click(DEALS), stage.click(BLOG)];
    let bought = stage.buy("o-2", &clicks).await.accepted();
    let touch = stage.blog.conversions().await.remove(0).touches.remove(0);
    let invalid = decision(&bought, Decision::InvalidateTouch(touch.touch_id));
    stage.shop.hub.decide_commissions(vec![invalid]).await;
    let taken = raise(&stage.blog, over(QueryKind::Declined, place(&bought))).await;
    taken.unwrap();
    let now_theirs = raise(&stage.deals, over(QueryKind::Incorrect, place(&bought))).await;
    now_theirs.unwrap();
    stage.shop.close(1).await;
    agree(&stage).await;
}

async fn a_merchant_may_send_the_conversion_instead(database: Database) {
    let stage = Stage::new(&database).await;
    let by_code = |order: &str| {
        let mut request = stage.untracked(order);
        let subject = request.subject.as_mut().unwrap();
        subject.click_id.clear();
        subject.code = "spring".into();
        request
    };
    let promised = raise(&stage.blog, by_code("o-1")).await.unwrap();
    let promised = answer(&stage.shop.a, promised.query_number, owes(0)).await;
    let promised = promised.unwrap();
    assert_eq!(
        (
            promised.state(),
            promised.awaits(),
            promised.proposal_number
        ),
        (QueryState::Accepted, QueryParty::Unspecified, 0)
    );
    let named = |at: (u64, u32)| {
        Some(v1::QueryRemedy {
            amount_micros: 0,
            leaf_index: Some(at.0),
            entry_position: at.1,
        })
    };
    let query = raise(&stage.blog, by_code("o-2")).await.unwrap();
    let number = query.query_number;
    let of_another = stage.buy("o-3", &[stage.click(DEALS)]).await.accepted();
    for at in [place(&of_another), (0, 0)] {
        let wrong = answer(&stage.shop.a, number, named(at)).await;
        let refusal = refused(wrong, Code::InvalidArgument, "FIELD_VIOLATIONS");
        assert_eq!(refusal.violations[0].field, "remedy.leaf_index");
    }
    let sent = v1::Conversion {
        code: "SPRING".into(),
        ..conversion("o-2", "80.00", &[])
    };
    let sent = stage.shop.a.convert(sent).await.accepted();
    let accepted = answer(&stage.shop.a, number, named(place(&sent))).await;
    assert_eq!(accepted.unwrap().remedy, named(place(&sent)));
    let mut foreign = by_code("o-4");
    foreign.subject.as_mut().unwrap().code = "WINTER".into();
    let foreign = raise(&stage.blog, foreign).await;
    refused(foreign, Code::InvalidArgument, "QUERY_UNFIT");
    let mut forged = stage.untracked("o-4");
    forged.subject.as_mut().unwrap().click_id = stage.click(DEALS);
    let forged = raise(&stage.blog, forged).await;
    let refusal = refused(forged, Code::InvalidArgument, "FIELD_VIOLATIONS");
    assert_eq!(refusal.violations[0].field, "subject.click_id");
    stage.shop.close(1).await;
    agree(&stage).await;
}

async fn others_see_nothing_and_do_nothing(database: Database) {
    let stage = Stage::new(&database).await;
    let raised = raise(&stage.blog, stage.untracked("o-1")).await.unwrap();
    let mia = &[OperatorRole::AffiliateManager];
    let mia = stage.shop.hub.clerk("mia", mia).await;
    let noa = &[OperatorRole::AffiliateManager];
    let noa = stage.shop.hub.clerk("noa", noa).await;
    let evidence = async |hub: &Hub| -> Result<v1::Evidence, CallError> {
        let request = v1::GetQueryEvidenceRequest {
            query_number: 1,
            sha256: raised.evidence[0].sha256.clone(),
        };
        let answer = hub.affiliates().get_query_evidence(request).await?;
        Ok(answer.into_inner().evidence.unwrap())
    };
    let all = QueryState::Unspecified;
    for hub in [
        &stage.blog.hub,
        &stage.shop.a.hub,
        &stage.shop.ana.hub,
        &mia.hub,
    ] {
        assert_eq!(get(hub, 1).await.unwrap(), raised);
        assert_eq!(listed(hub, all).await, [1]);
        assert_eq!(evidence(hub).await.unwrap().content, photo().content);
    }
    for hub in [&stage.deals.hub, &stage.shop.f.hub, &noa.hub] {
        refused(get(hub, 1).await, Code::NotFound, "QUERY_NOT_FOUND");
        assert!(listed(hub, all).await.is_empty());
        refused(evidence(hub).await, Code::NotFound, "QUERY_NOT_FOUND");
    }
    let size = stage.size().await;
    let theirs = answer(&stage.shop.f, 1, None).await;
    refused(theirs, Code::NotFound, "QUERY_NOT_FOUND");
    for own in [
        answer(&stage.blog, 1, None).await,
        escalate(&stage.shop.a, 1, vec![]).await,
        rule(&mia, 1, None).await,
    ] {
        refused(own, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    let no_affiliate = raise(&stage.shop.f, stage.untracked("o-2")).await;
    refused(no_affiliate, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let request = stage.untracked("o-2");
    let by_finance = stage.shop.ana.hub.affiliates().raise_query(request).await;
    refused(by_finance, Code::PermissionDenied, "PERMISSION_DENIED");
    for (request, fields) in [
        (
            v1::RaiseQueryRequest::default(),
            vec!["merchant_id", "subject.kind", "subject.order_time"],
        ),
        (
            v1::RaiseQueryRequest {
                merchant_id: "a".into(),
                ..over(QueryKind::Untracked, (1, 0))
            },
            vec!["subject", "subject.order_time"],
        ),
    ] {
        let refusal = raise(&stage.blog, request).await;
        let refusal = refused(refusal, Code::InvalidArgument, "FIELD_VIOLATIONS");
        let told: Vec<&str> = refusal
            .violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(told, fields);
    }
    assert_eq!(stage.size().await, size);
    // A merchant whose contract has no dispute days takes none.
    stage.shop.hub.advance(DAY).await;
    let none = v1::Contract {
        dispute_days: 0,
        ..hansa_tests::shop::terms("a")
    };
    stage
        .shop
        .hub
        .apply_merchant(v1::Merchant {
            merchant_id: "a".into(),
            contract: Some(none),
            ..v1::Merchant::default()
        })
        .await;
    let excluded = raise(&stage.blog, stage.untracked("o-3")).await;
    refused(excluded, Code::FailedPrecondition, "QUERIES_EXCLUDED");
}

async fn the_program_does_all_of_it(database: Database) {
    let stage = Stage::new(&database).await;
    let cli = Cli::new(&stage.shop.hub);
    for who in [&stage.blog, &stage.shop.a] {
        let key = cli.path(&format!("{}.key.pem", who.id));
        who.key.save(key).unwrap();
    }
    let blog = "--merchant blog --key blog.key.pem";
    let merchant = "--merchant a --key a.key.pem";
    cli.write("mail.txt", "the order's mail");
    let raise = format!(
        "affiliate query raise untracked --to a --order o-1 --time 2026-04-01T08:00:00Z --code spring --claim 4.00 \
         --text \"we brought it\" --attach mail.txt {blog}"
    );
    let raised = cli.run(&raise).expect(0);
    assert!(raised.contains("Query 1 of blog to a, raised: untracked order o-1"));
    let listed = cli.json(
        &format!("affiliate query list --state raised {merchant}"),
        0,
    );
    assert_eq!(listed["queries"][0]["awaits"], "MERCHANT");
    let both = format!("affiliate query answer 1 --reject --amount 1 --reason no {merchant}");
    assert_eq!(cli.run(&both).code, 2);
    let rejected = format!("affiliate query answer 1 --reject --reason \"not ours\" {merchant}");
    let rejected = cli.run(&rejected).expect(0);
    assert!(
        rejected.contains("affiliate query escalate 1"),
        "{rejected}"
    );
    let escalated = format!("affiliate query escalate 1 --text \"it is\" {blog}");
    assert!(cli.run(&escalated).expect(0).contains("Finance rules"));
    let ruled = "affiliate query rule 1 --uphold --amount 2.00 --reason halves";
    let ruled = cli.json(ruled, 0);
    assert_eq!(ruled["query"]["remedy"]["amount_micros"], 2_000_000);
    let shown = cli.run("affiliate query show 1").expect(0);
    for part in [
        "a owes blog 2.00 EUR more",
        "answered by a: not ours",
        "approve 1",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let table = cli.run("affiliate query list").expect(0);
    assert!(table.contains("OPERATOR"), "{table}");
    let saved = cli.run(&format!("affiliate query evidence 1 {merchant}"));
    assert!(saved.expect(0).contains("query-1-1-mail.txt"));
    assert_eq!(cli.read("query-1-1-mail.txt"), "the order's mail");
    let unknown = cli.run(&format!("affiliate query show 9 {blog}"));
    assert_eq!(unknown.code, 3);
    assert!(unknown.err.contains("QUERY_NOT_FOUND"), "{}", unknown.err);
}

for_each_database!(
    what_a_merchant_accepts_is_paid_and_stands_in_the_statement,
    silence_is_escalated_and_ruled,
    conversions_are_queried_by_their_place_in_the_log,
    a_merchant_may_send_the_conversion_instead,
    others_see_nothing_and_do_nothing,
    the_program_does_all_of_it,
);
