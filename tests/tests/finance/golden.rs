//! The golden example, from accruals to SETTLED: statements, payments and payment files are those of the design.

use hansa_proto::v1::{
    self, CycleSchedule, CycleState, FundingMode, NettingMethod, PaymentFileFormat, PaymentState,
};
use hansa_tests::{
    bank::{Booking, statement, status_report},
    clerk::{Clerk, settlement},
    database::Database,
    for_each_database,
    march::March,
};

use hansa_tests::shop::close;

const DAY: &str = "2026-04-02";

/// Payer, payee, cents.
type Paid<'a> = (&'a str, &'a str, i64);

fn paid(payments: &[v1::Payment]) -> Vec<Paid<'_>> {
    payments
        .iter()
        .map(|p| {
            assert_eq!(p.amount_micros % 10_000, 0, "whole cents");
            (
                p.payer_merchant_id.as_str(),
                p.payee_merchant_id.as_str(),
                p.amount_micros / 10_000,
            )
        })
        .collect()
}

/// Every payment of a cycle, accepted, booked and posted.
async fn pay(ana: &Clerk, ben: &Clerk, cycle: u32) -> Vec<u8> {
    let pain = ana.submit_all(cycle).await;
    let payments = ana.payments(cycle).await;
    assert!(
        payments
            .iter()
            .all(|p| p.state() == PaymentState::Submitted)
    );
    assert_eq!(ana.cycle(cycle).await.state(), CycleState::Settling);
    if let Some(pain) = &pain {
        let message = format!("HANSA-{cycle}-H");
        let accepted: Vec<_> = payments
            .iter()
            .filter(|p| pain.payment_numbers.contains(&p.payment_number))
            .map(|p| (p.end_to_end_id.as_str(), "ACSP", None))
            .collect();
        let id = format!("STS-{cycle}");
        let report = status_report(&id, DAY, &message, &accepted);
        let imported = ana
            .import("status.xml", report)
            .await
            .unwrap()
            .report
            .unwrap();
        assert_eq!(imported.statuses.len(), accepted.len());
        assert_eq!(imported.exceptions, []);
    }
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    let report = ana
        .reconcile(ben, statement(&format!("STMT-{cycle}"), DAY, &bookings))
        .await;
    assert_eq!(report.matches.len(), payments.len());
    assert_eq!(report.exceptions, []);
    let payments = ana.payments(cycle).await;
    assert!(payments.iter().all(|p| p.state() == PaymentState::Settled));
    assert_eq!(ana.cycle(cycle).await.state(), CycleState::Settled);
    pain.map(|file| file.content).unwrap_or_default()
}

async fn from_accruals_to_settled(database: Database, mode: FundingMode) {
    let mut march = March::new(&database, mode, CycleSchedule::Manual).await;
    march.play().await;
    let (ana, ben) = (
        march.hub.finance("Ana Alvarez").await,
        march.hub.finance("Ben Brandt").await,
    );
    march.at("2026-04-01T09:00:00Z").await;
    let multilateral = |cycle| settlement(cycle, NettingMethod::Multilateral);
    // What came before March, in whole cents.
    ana.settle(&ben, multilateral(1)).await;
    assert_eq!(paid(&ana.payments(1).await), [("f", "", 1_273)]);
    pay(&ana, &ben, 1).await;

    let closed = march.march().await;
    let number = closed.cycle_number;
    ana.wait_audited(number).await;
    let preview = ana.preview(multilateral(number)).await.unwrap();
    assert_eq!(preview.blockers, Vec::<String>::new());
    assert_eq!(preview.warnings, Vec::<String>::new());
    let f_pays = if mode == FundingMode::Burn { 934 } else { 408 };
    let expected = [("", "a", 344), ("", "t", 162), ("f", "", f_pays)];
    assert_eq!(paid(&preview.payments), expected);
    march.assert_statements().await;

    ana.settle(&ben, multilateral(number)).await;
    assert_eq!(march.march().await.state(), CycleState::Approved);
    let payments = ana.payments(number).await;
    assert_eq!(paid(&payments), expected);
    march.assert_statements().await;
    let pain = pay(&ana, &ben, number).await;
    march.assert_statements().await;
    let settled = march.march().await;
    assert_eq!(
        settled.digest, closed.digest,
        "a closed cycle never changes"
    );
    assert_eq!(settled.netting_method, "MULTILATERAL");
    assert_golden(mode, "", &pain);

    // The file is the same for ever, and its CSV form and the payer's own file have the same figures.
    march.hub.kill();
    march.hub.start().await;
    let again = ana
        .file(number, "", PaymentFileFormat::Pain001)
        .await
        .unwrap();
    assert_eq!(again.content, pain);
    assert_eq!(again.media_type, "application/xml");
    let csv = ana.file(number, "", PaymentFileFormat::Csv).await.unwrap();
    let csv = String::from_utf8(csv.content).unwrap();
    assert!(
        csv.contains(",3.44,EUR,") && csv.contains(",1.62,EUR,"),
        "{csv}"
    );
    let own = hansa_tests::clerk::file(&march.f.hub, number, "f", 0, PaymentFileFormat::Pain001);
    assert_golden(mode, "-f", &own.await.unwrap().content);

    // What was carried forward reaches the next settlement.
    march.at("2026-04-30T22:00:00Z").await;
    close(&march.hub.operator(), number + 1).await;
    ana.settle(&ben, multilateral(number + 1)).await;
    let brought: Vec<(String, i64)> = ana
        .hub
        .cycle(number + 1)
        .await
        .unwrap()
        .net_positions
        .iter()
        .map(|p| (p.merchant_id.clone(), p.brought_forward_micros))
        .collect();
    let mut carried = vec![("a".to_owned(), -2_775), ("t".to_owned(), -2_010)];
    if mode != FundingMode::Burn {
        carried.insert(1, ("f".to_owned(), -1_207));
    }
    assert_eq!(brought, carried);
    let payments = ana.payments(number + 1).await;
    let april = paid(&payments);
    if mode == FundingMode::Burn {
        // Nothing is left to pay: an empty settlement ends at once.
        assert_eq!(april, []);
        assert_eq!(ana.cycle(number + 1).await.state(), CycleState::Settled);
    } else {
        // The refunded points of E7 have expired: F's share of their value, 0.799920, and what was carried forward.
        assert_eq!(april, [("", "f", 80)]);
    }
    march.hub.verify().await;
}

/// A payment file is the golden one, byte for byte; the interoperability tests check it against the published schema.
fn assert_golden(mode: FundingMode, payer: &str, found: &[u8]) {
    let mode = if mode == FundingMode::Burn {
        "burn"
    } else {
        "issue"
    };
    let name = format!("pain001-march-{mode}{payer}.xml");
    let path = format!("{}/fixtures/finance/{name}", env!("CARGO_MANIFEST_DIR"));
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let found = String::from_utf8(found.to_vec()).unwrap();
    assert!(found == golden, "{path} is not what comes out:\n{found}");
}

async fn issue_mode(database: Database) {
    from_accruals_to_settled(database, FundingMode::Issue).await;
}

async fn burn_mode(database: Database) {
    from_accruals_to_settled(database, FundingMode::Burn).await;
}

/// Six methods on one cycle: each pays at most what GROSS pays and at least the net internal debt.
async fn methods_are_compared_before_one_is_chosen(database: Database) {
    let march = March::new(&database, FundingMode::Burn, CycleSchedule::Manual).await;
    march.play().await;
    let ana = march.hub.finance("Ana").await;
    for closed in [1, 2] {
        ana.wait_audited(closed).await;
    }
    let request = v1::CompareNettingRequest {
        cycle_number: 2,
        ..v1::CompareNettingRequest::default()
    };
    let size = march.hub.status().await.tree_size;
    let compared = ana.hub.finance().compare_netting(request).await;
    let compared = compared.unwrap().into_inner();
    let value = |method: NettingMethod| {
        let line = compared.methods.iter().find(|l| l.method() == method);
        line.unwrap().payment_value_micros
    };
    assert_eq!(compared.methods.len(), 6);
    let chain = [
        value(NettingMethod::Gross),
        value(NettingMethod::Bilateral),
        value(NettingMethod::Multilateral),
    ];
    assert!(chain.is_sorted_by(|a, b| a >= b), "{chain:?}");
    let multilateral = value(NettingMethod::Multilateral);
    assert_eq!(multilateral, compared.net_internal_debt_micros);
    assert!(value(NettingMethod::CycleClearing) >= multilateral);
    assert!(compared.gross_micros > multilateral);
    assert_eq!(march.hub.status().await.tree_size, size);
}

for_each_database!(
    issue_mode,
    burn_mode,
    methods_are_compared_before_one_is_chosen,
);
