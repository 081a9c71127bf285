//! Commission statements over the wire: what an affiliate's commissions did, cycle by cycle, signed, the same bytes for ever, and for
//! nobody but whom it concerns.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::{document::verify_answer, hub::Hub};
use hansa_proto::v1::{self, DocumentFormat, NettingMethod, commission_decision::Decision};
use hansa_tests::{
    affiliate::{conversion, decision, profile, terms},
    bank::{Booking, statement},
    check::refused,
    clerk::settlement,
    cli::Cli,
    database::Database,
    for_each_database,
    merchant::{Merchant, Sent},
    shop::{DAY, Shop},
};
use serde_json::Value;
use tonic::Code;

const DAY_MICROS: i64 = 86_400_000_000;
const FLAG: u64 = 7;
const FORMS: [DocumentFormat; 3] = [
    DocumentFormat::Json,
    DocumentFormat::Csv,
    DocumentFormat::Pdf,
];

/// Merchant A pays the affiliate "blog" 5 %; "deals" brings nothing. Cycles 1 to 3 are closed.
struct Stage {
    shop: Shop,
    blog: Merchant,
    deals: Merchant,
}

impl Stage {
    async fn new(database: &Database) -> Self {
        let shop = Shop::new(database).await;
        shop.hub.pay_commissions("a", terms()).await;
        let blog = shop.hub.affiliate("blog", profile("mia")).await;
        let deals = shop.hub.affiliate("deals", profile("mia")).await;
        Self { shop, blog, deals }
    }

    async fn buy(&self, order: &str, amount: &str) -> Sent {
        let now = self.shop.a.clock.now();
        // Indices in the order of joining: A 0, F 1, T 2, blog 3.
        let touch = self.shop.hub.touch(0, 3, now - DAY_MICROS);
        let click = touch.sign(&self.shop.hub.key()).encode();
        let sent = self.shop.a.convert(conversion(order, amount, &[click]));
        sent.await.accepted()
    }

    async fn decide(&self, of: &Sent, what: Decision) {
        let decisions = vec![decision(of, what)];
        self.shop.hub.decide_commissions(decisions).await;
    }

    /// Approved, submitted, confirmed by the bank.
    async fn pay(&self, cycle: u32) {
        let plain = settlement(cycle, NettingMethod::Multilateral);
        let (ana, ben) = (&self.shop.ana, &self.shop.ben);
        ana.settle(ben, plain).await;
        ana.submit_all(cycle).await;
        let payments = ana.payments(cycle).await;
        let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
        let report = statement(&format!("STMT-{cycle}"), DAY, &bookings);
        ana.reconcile(ben, report).await;
    }

    /// Cycle 1: two sales, one held. 2: part of the other comes back, it is paid out. 3: the payment is confirmed, the rest comes back,
    /// the hold ends.
    async fn play(&self) {
        let first = self.buy("o-1", "80.00").await;
        let second = self.buy("=1+1", "40.00").await;
        self.decide(&second, Decision::HoldForFlag(FLAG)).await;
        self.shop.close(1).await;
        let back = self.shop.a.return_conversion(&first, "20.00", "r-1").await;
        back.ok();
        self.shop.hub.advance(15 * DAY_MICROS).await;
        self.shop.close(2).await;
        self.pay(1).await;
        self.pay(2).await;
        let back = self.shop.a.return_conversion(&first, "60.00", "r-2").await;
        back.ok();
        self.decide(&second, Decision::ReleaseFromFlag(FLAG)).await;
        self.shop.close(3).await;
    }
}

fn of(
    affiliate_id: &str,
    cycle_number: u32,
    format: DocumentFormat,
) -> v1::GetCommissionStatementRequest {
    v1::GetCommissionStatementRequest {
        affiliate_id: affiliate_id.into(),
        cycle_number,
        format: format.into(),
    }
}

async fn read(hub: &Hub, cycle: u32) -> Value {
    let request = of("blog", cycle, DocumentFormat::Json);
    let document = hub.commission_statement(request).await.unwrap();
    let mut document: Value = serde_json::from_slice(&document.content).unwrap();
    document["statement"].take()
}

/// Kind, order or reference, amount, state, reason.
type Line<'a> = (&'a str, &'a str, i64, &'a str, &'a str);

fn micros(value: &Value) -> i64 {
    value["micros"].as_i64().unwrap()
}

#[track_caller]
fn assert_lines(statement: &Value, expected: &[Line<'_>]) {
    let lines = statement["lines"].as_array().unwrap().iter();
    let lines: Vec<Line<'_>> = lines
        .map(|line| {
            let order = line["conversion"]["order"].as_str();
            (
                line["kind"].as_str().unwrap(),
                order.or(line["reference"].as_str()).unwrap(),
                micros(&line["amount"]),
                line["state"].as_str().unwrap_or_default(),
                line["reason"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(lines, expected);
}

/// Opening, accrued, reversed, clawed back, held, paid, closing, payable.
fn figures(statement: &Value) -> [i64; 8] {
    let figures = &statement["figures"];
    assert_eq!(micros(&figures["adjusted"]), 0);
    [
        "opening",
        "accrued",
        "reversed",
        "clawed_back",
        "held",
        "paid",
        "closing",
        "payable",
    ]
    .map(|name| micros(&figures[name]))
}

async fn every_change_is_a_line_and_cycles_lead_into_each_other(database: Database) {
    let stage = Stage::new(&database).await;
    stage.play().await;
    let operator = stage.shop.hub.operator();
    let [one, two, three] = [
        read(&operator, 1).await,
        read(&operator, 2).await,
        read(&operator, 3).await,
    ];
    assert_eq!(
        figures(&one),
        [0, 6_000_000, 0, 0, 2_000_000, 0, 4_000_000, 0]
    );
    assert_lines(
        &one,
        &[
            ("ACCRUED", "o-1", 4_000_000, "ACCRUED", ""),
            ("ACCRUED", "=1+1", 2_000_000, "ACCRUED", ""),
            ("HELD", "=1+1", -2_000_000, "HELD", "FLAGGED"),
        ],
    );
    let accrued = &one["lines"][0];
    let rate = &accrued["rate"];
    assert_eq!((&rate["row"], &rate["share_bps"]), (&1.into(), &500.into()));
    let sold = &accrued["conversion"];
    assert_eq!(sold["terms_version"], 1);
    assert_eq!(micros(&sold["purchase"]), 80_000_000);
    let date = |name: &str| sold[name].as_str().unwrap()[..10].to_owned();
    assert_eq!(
        (date("event_time"), date("locks_at")),
        ("2026-04-01".to_owned(), "2026-04-15".to_owned())
    );
    assert_eq!(one["lines"][2]["flag"], FLAG);

    assert_eq!(
        figures(&two),
        [4_000_000, 0, 1_000_000, 0, 0, 0, 3_000_000, 3_000_000]
    );
    assert_lines(
        &two,
        &[
            ("REVERSED", "o-1", -1_000_000, "ACCRUED", "ITEM_RETURNED"),
            ("LOCKED", "o-1", 0, "LOCKED", ""),
            ("PAYABLE", "o-1", 3_000_000, "PAYABLE", ""),
            ("LOCKED", "=1+1", 0, "LOCKED", ""),
        ],
    );
    // The conversion is one of the cycle before: its order and its amount come from there.
    assert_eq!(two["lines"][0]["conversion"], accrued["conversion"]);

    assert_eq!(
        figures(&three),
        [
            3_000_000, 0, 0, 3_000_000, -2_000_000, 3_000_000, -1_000_000, 2_000_000
        ]
    );
    let payments = stage.shop.ana.payments(2).await;
    let payment = payments
        .iter()
        .find(|payment| payment.payee_merchant_id == "blog")
        .unwrap();
    assert_lines(
        &three,
        &[
            (
                "CLAWED_BACK",
                "o-1",
                -3_000_000,
                "REVERSED",
                "ITEM_RETURNED",
            ),
            ("RELEASED", "=1+1", 2_000_000, "LOCKED", ""),
            ("PAYABLE", "=1+1", 2_000_000, "PAYABLE", ""),
            ("PAID", &payment.end_to_end_id, -3_000_000, "", "PAYMENT"),
        ],
    );
    let ledger = v1::GetFinanceDocumentRequest {
        kind: v1::FinanceDocumentKind::GeneralLedger.into(),
        cycle_number: 1,
        format: DocumentFormat::Json.into(),
        ..v1::GetFinanceDocumentRequest::default()
    };
    let ledger = operator.finance_document(ledger).await.unwrap();
    let ledger: Value = serde_json::from_slice(&ledger.content).unwrap();
    let mut accounts = ledger["balances"].as_array().unwrap().iter();
    let reserve = accounts
        .find(|balance| balance["account"] == "2200")
        .unwrap();
    assert_eq!(reserve["account_name"], "Commission reserve");
    assert_eq!(micros(&reserve["balance"]), -6_000_000);

    // The payment comes back: it counts back where it does, and nowhere else.
    let back = Booking::return_of(payment, DAY, "AC04");
    let (ana, ben) = (&stage.shop.ana, &stage.shop.ben);
    ana.reconcile(ben, statement("STMT-4", DAY, &[back])).await;
    stage.shop.close(4).await;
    let four = read(&operator, 4).await;
    assert_eq!(
        figures(&four),
        [-1_000_000, 0, 0, 0, 0, -3_000_000, 2_000_000, 0]
    );
    assert_lines(
        &four,
        &[(
            "PAID",
            &payment.end_to_end_id,
            3_000_000,
            "",
            "PAYMENT_RETURNED",
        )],
    );
    assert_eq!(read(&operator, 3).await, three);
}

async fn a_statement_is_signed_and_the_log_alone_gives_its_bytes(database: Database) {
    let mut stage = Stage::new(&database).await;
    stage.play().await;
    let log = stage.blog.hub.checkpoint().await.unwrap().verifier_key;
    let log = log.parse().unwrap();
    let operator = stage.shop.hub.operator();
    let mut served = Vec::new();
    for affiliate in ["blog", "deals"] {
        for form in FORMS {
            let request = of(affiliate, 2, form);
            let document = operator.commission_statement(request).await.unwrap();
            let file = verify_answer(&document, &log).unwrap();
            assert_eq!(
                (file.cycle_number, file.merchant_id.as_str()),
                (2, affiliate)
            );
            served.push(document);
        }
    }
    let own = stage.blog.hub.commission_statement(of("", 2, FORMS[0]));
    assert!(own.await.unwrap() == served[0], "one document for both");

    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    stage.shop.hub.wait_covered().await;
    let again = stage.shop.hub.operator();
    let again = again.commission_statement(of("blog", 2, FORMS[2])).await;
    assert!(
        again.unwrap() == served[2],
        "the same bytes after a restart"
    );

    let cli = Cli::new(&stage.shop.hub);
    std::fs::create_dir_all(cli.path("served")).unwrap();
    let written = cli.run("commissions statement --cycle 2 --format json --out served");
    assert!(written.expect(0).contains("commissions-deals-2.json"));
    let written = "served/commissions-blog-2.json";
    assert_eq!(cli.read(written).as_bytes(), served[0].content);
    let key = stage.shop.hub.operator().checkpoint().await.unwrap();
    let pdf = cli.run("commissions statement --cycle 2 --affiliate blog --out served");
    assert!(pdf.expect(0).contains("commissions-blog-2.pdf"));
    for written in [written, "served/commissions-blog-2.pdf"] {
        let verify = format!(
            "verify document {written} --verifier-key {}",
            key.verifier_key
        );
        let told = cli.run(&verify).expect(0);
        let balances =
            "4 lines lead from the opening balance 4.000000 to the closing balance 3.000000";
        assert!(told.contains(balances), "{told}");
    }
    for document in &served {
        let path = cli.path("served").join(&document.file_name);
        std::fs::write(path, &document.content).unwrap();
    }
    let verify = stage.shop.hub.verify_command();
    let derived = cli.run(&format!("{verify} --cycle 2 --against served"));
    let told = derived.expect(0);
    assert!(told.contains("6 compared, byte for byte"), "{told}");
}

async fn nobody_else_gets_a_statement_and_an_open_cycle_has_none(database: Database) {
    let stage = Stage::new(&database).await;
    stage.buy("o-1", "80.00").await;
    stage.shop.close(1).await;
    let json = DocumentFormat::Json;
    for (hub, affiliate) in [
        (&stage.deals.hub, "blog"),
        (&stage.shop.a.hub, "blog"),
        (&stage.shop.a.hub, ""),
    ] {
        let stolen = hub.commission_statement(of(affiliate, 1, json)).await;
        refused(stolen, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    let operator = stage.shop.hub.operator();
    let of_merchant = operator.commission_statement(of("a", 1, json)).await;
    refused(of_merchant, Code::NotFound, "NOT_FOUND");
    let open = stage.blog.hub.commission_statement(of("", 2, json)).await;
    refused(open, Code::FailedPrecondition, "CYCLE_NOT_CLOSED");
    let workbook = of("", 1, DocumentFormat::Xlsx);
    let workbook = stage.blog.hub.commission_statement(workbook).await;
    refused(workbook, Code::InvalidArgument, "FIELD_VIOLATIONS");
}

for_each_database!(
    every_change_is_a_line_and_cycles_lead_into_each_other,
    a_statement_is_signed_and_the_log_alone_gives_its_bytes,
    nobody_else_gets_a_statement_and_an_open_cycle_has_none,
);
