//! Documents over the wire: the golden statements, the liability report and the general ledger, signed, the same bytes for ever,
//! and each for nobody but whom it concerns.

use hansa_client::{document::verify_answer, hub::Hub, note::LogVerifier};
use hansa_proto::v1::{
    self, AdjustmentReason, CycleSchedule, DocumentFormat, FinanceDocumentKind, FundingMode,
    NettingMethod, action::Action as A,
};
use hansa_tests::{
    check::refused, clerk::settlement, cli::Cli, database::Database, for_each_database,
    march::March, shop::Shop,
};
use serde_json::Value;
use tonic::Code;

const FORMS: [DocumentFormat; 4] = [
    DocumentFormat::Json,
    DocumentFormat::Csv,
    DocumentFormat::Xlsx,
    DocumentFormat::Pdf,
];

fn of(
    cycle_number: u32,
    merchant_id: &str,
    format: DocumentFormat,
) -> v1::GetStatementDocumentRequest {
    v1::GetStatementDocumentRequest {
        cycle_number,
        merchant_id: merchant_id.into(),
        format: format.into(),
        with_items: false,
    }
}

fn finance(
    kind: FinanceDocumentKind,
    cycle_number: u32,
    format: DocumentFormat,
) -> v1::GetFinanceDocumentRequest {
    v1::GetFinanceDocumentRequest {
        kind: kind.into(),
        cycle_number,
        format: format.into(),
        ..v1::GetFinanceDocumentRequest::default()
    }
}

fn json(document: &v1::SignedDocument) -> Value {
    serde_json::from_slice(&document.content).unwrap()
}

fn micros(value: &Value) -> i64 {
    value["micros"].as_i64().unwrap()
}

fn sum(list: &Value) -> i64 {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| micros(&item["amount"]))
        .sum()
}

async fn verifier(hub: &Hub) -> LogVerifier {
    hub.checkpoint()
        .await
        .unwrap()
        .verifier_key
        .parse()
        .unwrap()
}

/// Every statement of a cycle in every form, and the documents of finance.
async fn served(hub: &Hub, cycle: u32) -> Vec<v1::SignedDocument> {
    let mut documents = Vec::new();
    for merchant in ["a", "f", "t"] {
        for form in FORMS {
            let request = of(cycle, merchant, form);
            documents.push(hub.statement_document(request).await.unwrap());
        }
    }
    for kind in [
        FinanceDocumentKind::GeneralLedger,
        FinanceDocumentKind::Liability,
    ] {
        for form in &FORMS[..3] {
            let request = finance(kind, cycle, *form);
            documents.push(hub.finance_document(request).await.unwrap());
        }
    }
    documents
}

/// What a statement says is what `GetStatement` says, three times over: by line, by counterparty, by message.
async fn assert_statement(hub: &Hub, cycle: u32, merchant: &str) -> Value {
    let request = v1::GetStatementDocumentRequest {
        with_items: true,
        ..of(cycle, merchant, DocumentFormat::Json)
    };
    let document = json(&hub.statement_document(request).await.unwrap());
    let statement = &document["statement"];
    let stated = hub.statement(cycle, Some(merchant)).await.unwrap();
    let position = stated.position.unwrap();
    assert_eq!(micros(&statement["net"]), position.net_micros);
    for parts in ["lines", "bilateral", "messages", "drill_down"] {
        assert_eq!(
            sum(&statement[parts]),
            position.net_micros,
            "{merchant}, {parts}"
        );
    }
    assert_eq!(sum(&statement["payments"]), position.payment_micros);
    assert_eq!(
        micros(&statement["carried_forward"]),
        position.carried_forward_micros
    );
    assert_eq!(sum(&statement["opening"]), position.brought_forward_micros);
    let lines = statement["lines"].as_array().unwrap();
    assert_eq!(lines.len(), stated.lines.len());
    for (line, stated) in lines.iter().zip(&stated.lines) {
        assert_eq!(line["kind"], stated.kind.as_str());
        assert_eq!(line["points"], stated.points);
        assert_eq!(micros(&line["amount"]), stated.amount_micros);
        let rows = statement["drill_down"].as_array().unwrap().iter();
        let of_line = rows.filter(|row| {
            ["counterparty", "late"]
                .iter()
                .all(|key| row[key] == line[key])
                && row["line"] == line["kind"]
        });
        let points: i64 = of_line.map(|row| row["points"].as_i64().unwrap()).sum();
        assert_eq!(points, stated.points, "{}", stated.kind);
    }
    document
}

/// Debits of a ledger's accounts less credits; clearing by merchant.
fn balances(ledger: &Value) -> Vec<(String, String, i64)> {
    let mut balances: std::collections::BTreeMap<(String, String), i64> = Default::default();
    for line in ledger["lines"].as_array().unwrap() {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let clearing = text("account") == "1100";
        let merchant = if clearing {
            text("merchant")
        } else {
            String::new()
        };
        let side = |key: &str| line[key].get("micros").map_or(0, |m| m.as_i64().unwrap());
        *balances.entry((text("account"), merchant)).or_default() += side("debit") - side("credit");
    }
    let rows = balances.into_iter().filter(|(_, micros)| *micros != 0);
    rows.map(|((account, merchant), micros)| (account, merchant, micros))
        .collect()
}

async fn golden(database: Database, mode: FundingMode) {
    let mut march = March::new(&database, mode, CycleSchedule::Manual).await;
    march.play().await;
    let operator = march.hub.operator();
    let log = verifier(&operator).await;
    let burn = mode == FundingMode::Burn;
    for merchant in ["a", "f", "t"] {
        let document = assert_statement(&operator, 2, merchant).await;
        let proof = &document["statement"]["proof"];
        let checkpoints = proof["checkpoints"].as_array().unwrap();
        assert_eq!(checkpoints.len(), 3);
        for checkpoint in checkpoints {
            let note = log.open(checkpoint["note"].as_str().unwrap()).unwrap();
            assert_eq!(checkpoint["size"], note.size);
        }
        assert_eq!(proof["consistency"].as_array().unwrap().len(), 2);
    }
    let fees = json(
        &operator
            .statement_document(of(2, "f", DocumentFormat::Json))
            .await
            .unwrap(),
    );
    let fees = &fees["statement"];
    assert_eq!(fees["fees"][0]["kind"], "SERVICE_FEE");
    assert_eq!(micros(&fees["fees"][0]["amount"]), 534 * 2_000);
    let (points, share) = (200, if burn { 400_000 } else { 2_000_000 });
    assert_eq!(fees["promotions"][0]["points"], points);
    assert_eq!(micros(&fees["promotions"][0]["amount"]), share);

    let documents = served(&operator, 2).await;
    for document in &documents {
        let file = verify_answer(document, &log).unwrap();
        assert_eq!((&file.name, file.cycle_number), (&document.file_name, 2));
    }
    // The hub's side of the journal is that of the cycle, and clearing is the nets.
    let ledger = operator.finance_document(finance(
        FinanceDocumentKind::GeneralLedger,
        2,
        DocumentFormat::Json,
    ));
    let found = balances(&json(&ledger.await.unwrap()));
    let net_of_f = if burn { 9_340_000 } else { 4_078_793 };
    let mut expected = vec![
        ("1100", "a", -3_442_775),
        ("1100", "f", net_of_f),
        ("1100", "t", -1_622_010),
        ("4100", "", -3_775_215),
        ("4200", "", -500_000),
    ];
    if !burn {
        expected.insert(3, ("2100", "", 7_784_000));
        expected.push(("4300", "", -2_522_793));
    }
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(account, merchant, micros)| (account.to_owned(), merchant.to_owned(), micros))
        .collect();
    assert_eq!(found, expected);
    // 300 points of F's are open, brought back on 25 March.
    let request = v1::GetFinanceDocumentRequest {
        expected_redemption_bps: 8_000,
        ..finance(FinanceDocumentKind::Liability, 2, DocumentFormat::Json)
    };
    let liability = json(&operator.finance_document(request).await.unwrap());
    let outstanding = liability["report"]["outstanding"].as_array().unwrap();
    assert_eq!(outstanding.len(), 1, "{liability}");
    assert_eq!(outstanding[0]["funder"]["id"], "f");
    assert_eq!(
        (&outstanding[0]["points"], &outstanding[0]["band"]),
        (&300.into(), &0.into())
    );
    assert_eq!(micros(&outstanding[0]["value"]), 2_400_000);
    let reserve = if burn { 0 } else { 2_400_000 };
    assert_eq!(micros(&liability["report"]["reserve"]), reserve);

    // As the log alone has it, and after a restart, to the byte.
    march.hub.kill();
    march.hub.start().await;
    assert!(served(&march.hub.operator(), 2).await == documents);
    assert_derived(&march, &documents).await;
    if database.url().is_none() {
        assert_tampering_is_named(&march).await;
    }
}

/// The last message's effects become those of the one before: the entry and the message are named.
async fn assert_tampering_is_named(march: &March) {
    let file = format!("sqlite:{}", march.hub.file("hansa.db").display());
    let pool = sqlx::SqlitePool::connect(&file).await.unwrap();
    let batches = "SELECT seq FROM entry WHERE kind = 0 ORDER BY seq DESC LIMIT 2";
    let batches: Vec<i64> = sqlx::query_scalar(batches).fetch_all(&pool).await.unwrap();
    let change =
        "UPDATE entry SET effects = (SELECT effects FROM entry WHERE seq = $1) WHERE seq = $2";
    let change = sqlx::query(change).bind(batches[1]).bind(batches[0]);
    assert_eq!(change.execute(&pool).await.unwrap().rows_affected(), 1);
    let verify = march.hub.verify_command();
    let red = Cli::new(&march.hub)
        .run(&format!("{verify} --cycle 2"))
        .expect(6);
    let named = format!(
        "MISMATCH at entry {}, message 0: the recorded effects",
        batches[0]
    );
    assert!(red.contains(&named), "{red}");
}

/// `hansa verify` makes the same documents out of the log, and names what differs from them.
async fn assert_derived(march: &March, documents: &[v1::SignedDocument]) {
    let cli = Cli::new(&march.hub);
    std::fs::create_dir_all(cli.path("served")).unwrap();
    let cycle = documents
        .iter()
        .filter(|d| !d.file_name.starts_with("liability"));
    for document in cycle.clone() {
        std::fs::write(
            cli.path("served").join(&document.file_name),
            &document.content,
        )
        .unwrap();
    }
    let verify = march.hub.verify_command();
    let derived = cli.run(&format!(
        "{verify} --cycle 2 --out derived --against served"
    ));
    let told = derived.expect(0);
    assert!(told.contains("15 compared, byte for byte"), "{told}");
    for document in cycle {
        let made = std::fs::read(cli.path("derived").join(&document.file_name)).unwrap();
        assert!(made == document.content, "{}", document.file_name);
    }
    let name = "served/statement-a-2.json";
    let changed = cli.read(name).replacen("-3.442775", "-3.442774", 1);
    cli.write(name, &changed);
    let red = cli
        .run(&format!("{verify} --cycle 2 --against served"))
        .expect(6);
    assert!(
        red.contains("statement-a-2.json: statement.net.decimal"),
        "{red}"
    );
}

async fn golden_in_issue_mode(database: Database) {
    golden(database, FundingMode::Issue).await;
}

async fn golden_in_burn_mode(database: Database) {
    golden(database, FundingMode::Burn).await;
}

async fn a_merchant_gets_nobody_elses_document(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let json = DocumentFormat::Json;
    let own = shop
        .a
        .hub
        .statement_document(of(1, "", json))
        .await
        .unwrap();
    let operators = shop
        .hub
        .operator()
        .statement_document(of(1, "a", json))
        .await;
    assert!(own == operators.unwrap(), "one document for both");
    for other in ["f", "t", "z"] {
        let stolen = shop.a.hub.statement_document(of(1, other, json)).await;
        refused(stolen, Code::NotFound, "NOT_FOUND");
    }
    for kind in [
        FinanceDocumentKind::Liability,
        FinanceDocumentKind::GeneralLedger,
    ] {
        let denied = shop.a.hub.finance_document(finance(kind, 1, json)).await;
        refused(denied, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    // F's own documents speak of others only where it deals with them.
    let of_f = shop
        .f
        .hub
        .statement_document(of(1, "", DocumentFormat::Csv))
        .await
        .unwrap();
    let of_f = String::from_utf8(of_f.content).unwrap();
    assert!(of_f.contains(",f,F,") && !of_f.contains(",a,A,"), "{of_f}");
    // What is not there yet, or not at all.
    let open = shop.a.hub.statement_document(of(2, "", json)).await;
    refused(open, Code::FailedPrecondition, "CYCLE_NOT_CLOSED");
    let formless = of(1, "", DocumentFormat::Unspecified);
    let formless = shop.a.hub.statement_document(formless).await;
    refused(formless, Code::InvalidArgument, "FIELD_VIOLATIONS");
    let pdf = finance(FinanceDocumentKind::GeneralLedger, 1, DocumentFormat::Pdf);
    let pdf = shop.ana.hub.finance_document(pdf).await;
    refused(pdf, Code::InvalidArgument, "FIELD_VIOLATIONS");
}

async fn what_finance_did_is_explained(database: Database) {
    let shop = Shop::new(&database).await;
    shop.settled(1).await;
    let adjustment = v1::Adjustment {
        merchant_id: "a".into(),
        counterparty_merchant_id: "f".into(),
        amount_micros: -250_000,
        reason: AdjustmentReason::ErroneousMessage.into(),
        original: Some(v1::OriginalReference {
            cycle_number: 1,
            line_kind: "REDEMPTION".into(),
            ..v1::OriginalReference::default()
        }),
        ..v1::Adjustment::default()
    };
    let adjust = A::Adjustment(adjustment);
    shop.ana
        .carry_out(&shop.ben, adjust, "counted\ntwice")
        .await;
    let pack = A::PrepaidPack(v1::PrepaidPack {
        merchant_id: "f".into(),
        amount_micros: 5_000_000,
        reference: "PACK-1".into(),
    });
    shop.ana.carry_out(&shop.ben, pack, "ahead").await;
    shop.trade().await;
    shop.close(2).await;
    let plain = settlement(2, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    let operator = shop.hub.operator();
    for merchant in ["a", "f", "t"] {
        assert_statement(&operator, 2, merchant).await;
    }
    let a = assert_statement(&operator, 2, "a").await;
    let adjusted = &a["statement"]["adjustments"][0];
    assert_eq!(
        (&adjusted["reason"], &adjusted["note"]),
        (&"ERRONEOUS_MESSAGE".into(), &"counted twice".into())
    );
    assert_eq!(adjusted["approvals"][0]["by"], "Ana");
    assert_eq!(adjusted["approvals"][1]["by"], "Ben");
    assert_eq!(adjusted["original"]["line"], "REDEMPTION");
    assert_eq!(a["statement"]["payments"][0]["state"], "PENDING");
    let f = assert_statement(&operator, 2, "f").await;
    assert_eq!(f["statement"]["opening"][0]["cause"], "PREPAID");
    assert_eq!(
        f["statement"]["payments"],
        Value::Array(Vec::new()),
        "paid ahead"
    );
    // The drill-down of a line by pages has the adjustment, too.
    let request = v1::ListStatementItemsRequest {
        cycle_number: 2,
        kind: "ADJUSTMENT".into(),
        ..v1::ListStatementItemsRequest::default()
    };
    let items = shop.a.hub.statement_items(request).await.unwrap().items;
    let told: Vec<(&str, i64)> = items
        .iter()
        .map(|item| (item.counterparty_merchant_id.as_str(), item.amount_micros))
        .collect();
    assert_eq!(told, [("f", -250_000)]);
    // The ledger of the first cycle has its confirmed payments, that of the second the cash that came ahead.
    let ledger = async |cycle| {
        let request = finance(
            FinanceDocumentKind::GeneralLedger,
            cycle,
            DocumentFormat::Json,
        );
        json(&operator.finance_document(request).await.unwrap())
    };
    let bank = |ledger: &Value| -> i64 {
        let cash = balances(ledger)
            .into_iter()
            .filter(|(account, _, _)| account == "1200");
        cash.map(|(_, _, micros)| micros).sum()
    };
    let first = ledger(1).await;
    assert_eq!(bank(&first), 950_000 - 390_000 - 390_000);
    let cleared = balances(&first)
        .into_iter()
        .filter(|(account, _, _)| account == "1100");
    assert_eq!(cleared.count(), 0, "every net is paid");
    assert_eq!(bank(&ledger(2).await), 5_000_000);
    // An end that the pass over the log has gone beyond is told as it was.
    let liability = async |cycle| {
        let request = finance(FinanceDocumentKind::Liability, cycle, DocumentFormat::Csv);
        operator.finance_document(request).await.unwrap()
    };
    let first = liability(1).await;
    assert!(liability(2).await.content != first.content);
    assert!(liability(0).await.content != first.content);
    assert!(liability(1).await == first);
    let request = finance(FinanceDocumentKind::Liability, 0, DocumentFormat::Json);
    let priced = v1::GetFinanceDocumentRequest {
        allocated_prices: vec![v1::AllocatedPrice {
            merchant_id: "f".into(),
            allocated_micros: 9_000_000,
            recognised_before_micros: 1_000_000,
        }],
        ..request
    };
    let liability = json(&operator.finance_document(priced).await.unwrap());
    // All 200 points that F issued are spent.
    assert_eq!(micros(&liability["totals"]["deferred"]), 0);
    assert_eq!(micros(&liability["totals"]["revenue_of_period"]), 8_000_000);
}

for_each_database!(
    golden_in_issue_mode,
    golden_in_burn_mode,
    a_merchant_gets_nobody_elses_document,
    what_finance_did_is_explained,
);
