//! Cycles close by the alliance's calendar: at its local time, on business days, whether anybody sends or not.

use std::time::Duration;

use hansa_proto::v1::{self, CycleState, NettingMethod};
use hansa_tests::{
    alliance,
    check::{answered, refused},
    clerk::settlement,
    cli::Cli,
    clock::micros,
    database::Database,
    for_each_database,
    hub::TestHub,
};
use tonic::Code;

fn cut_off(local_time: &str, holidays: &[&str]) -> v1::CutOff {
    v1::CutOff {
        time_zone: String::new(),
        local_time: local_time.into(),
        business_days_only: true,
        holidays: holidays.iter().copied().map(String::from).collect(),
    }
}

fn programme(cut_off: Option<v1::CutOff>) -> v1::Programme {
    v1::Programme {
        cycle_schedule: v1::CycleSchedule::Daily.into(),
        bank_details: Some(alliance::bank_details("")),
        cut_off,
        ..alliance::programme()
    }
}

async fn apply(
    hub: &TestHub,
    programme: v1::Programme,
) -> Result<Vec<String>, hansa_client::hub::CallError> {
    let request = v1::ApplyAllianceRequest {
        desired: Some(v1::Alliance {
            programme: Some(programme),
            ..v1::Alliance::default()
        }),
        validate_only: false,
    };
    let applied = hub.operator().alliance().apply_alliance(request).await;
    Ok(applied?.into_inner().changes)
}

fn instant(at: Option<prost_types::Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// When the cycles close, oldest first.
async fn closes(hub: &TestHub) -> Vec<String> {
    let cycles = hub.operator().cycles().await.unwrap();
    let mut opens_at = None;
    for cycle in &cycles {
        assert!(opens_at.is_none() || opens_at == cycle.opens_at, "a gap");
        opens_at = cycle.closes_at;
    }
    cycles.iter().map(|c| instant(c.closes_at)).collect()
}

async fn cycles_close_at_the_calendars_instants(database: Database) {
    // Thursday before the Sunday on which the clocks change; Easter is in the week behind.
    let hub = TestHub::on(&database)
        .test_clock("2026-03-26T08:00:00Z")
        .start()
        .await;
    let easter = ["2026-04-03", "2026-04-06"];
    let daily = programme(Some(cut_off("17:30", &easter)));
    let changes = apply(&hub, daily.clone()).await.unwrap();
    assert!(
        changes[0]
            .contains("cut_off = 17:30 business days, cut_off.holidays = 2026-04-03 2026-04-06"),
        "{changes:?}"
    );
    assert_eq!(apply(&hub, daily.clone()).await.unwrap(), [""; 0]);
    let shop = hub.onboard("a", alliance::contract()).await;
    let member = shop.enrol("u").await;

    // The last microsecond before the close is in, the close itself is not.
    for (now, cycle) in [
        ("2026-03-26T16:29:59.999999Z", 1),
        ("2026-03-26T16:30:00Z", 2),
        // A Sunday: Friday's cycle is closed, Monday's is open, an hour earlier by summer time.
        ("2026-03-29T16:30:00Z", 3),
        ("2026-03-30T15:30:00Z", 4),
    ] {
        hub.set_clock(now).await;
        let outcome = shop.accrue(&member, "10.00").await.accepted().outcome;
        assert_eq!(outcome.cycle_number, cycle, "{now}");
    }
    // Nobody sends; one step over the holidays.
    hub.set_clock("2026-04-08T12:00:00Z").await;
    let expected = [
        "2026-03-26T16:30:00Z",
        "2026-03-27T16:30:00Z",
        "2026-03-30T15:30:00Z",
        "2026-03-31T15:30:00Z",
        "2026-04-01T15:30:00Z",
        "2026-04-02T15:30:00Z",
        "2026-04-07T15:30:00Z",
        "2026-04-08T15:30:00Z",
    ];
    assert_eq!(closes(&hub).await, expected);

    // Empty cycles are legal and end, and the auditor derives the same closes by code of its own.
    let (ana, ben) = (hub.finance("Ana").await, hub.finance("Ben").await);
    for number in 1..8 {
        let plain = settlement(number, NettingMethod::Multilateral);
        ana.settle(&ben, plain).await;
        let empty = matches!(number, 5..8);
        let payments = ana.payments(number).await;
        assert_eq!(payments.is_empty(), empty, "cycle {number}: {payments:?}");
        let state = if empty {
            CycleState::Settled
        } else {
            CycleState::Approved
        };
        assert_eq!(ana.cycle(number).await.state(), state);
    }

    // A changed calendar: the open cycle closes as it was to, by hand earlier if somebody wants; what opens behind follows it.
    let weekly = v1::Programme {
        cycle_schedule: v1::CycleSchedule::Weekly.into(),
        ..programme(Some(v1::CutOff {
            time_zone: "America/New_York".into(),
            ..cut_off("08:15", &["2026-04-13"])
        }))
    };
    let changes = apply(&hub, weekly.clone()).await.unwrap();
    assert_eq!(
        changes,
        [
            "programme: cycle_schedule DAILY -> WEEKLY",
            "programme: cut_off 17:30 business days -> 08:15 America/New_York business days",
            "programme: cut_off.holidays 2026-04-03 2026-04-06 -> 2026-04-13",
        ]
    );
    assert_eq!(closes(&hub).await, expected);
    hub.set_clock("2026-04-08T13:00:00Z").await;
    hansa_tests::shop::close(&hub.operator(), 8).await;
    let opened = hub.operator().cycles().await.unwrap().pop().unwrap();
    assert_eq!(instant(opened.opens_at), "2026-04-08T13:00:00Z");
    assert_eq!(instant(opened.closes_at), "2026-04-14T12:15:00Z");
    hub.set_clock("2026-04-20T12:14:59Z").await;
    assert_eq!(
        closes(&hub).await[7..],
        [
            "2026-04-08T13:00:00Z",
            "2026-04-14T12:15:00Z",
            "2026-04-20T12:15:00Z"
        ]
    );
    // What is not given stays; what is given as the default is the default.
    let unchanged = v1::Programme {
        cut_off: None,
        ..weekly.clone()
    };
    assert_eq!(apply(&hub, unchanged).await.unwrap(), [""; 0]);
    let request = v1::GetAllianceRequest {};
    let standing = answered(hub.operator().alliance().get_alliance(request).await);
    assert_eq!(
        standing.alliance.unwrap().programme.unwrap().cut_off,
        weekly.cut_off
    );

    // Broken calendars are refused, field by field, and change nothing.
    let size = hub.status().await.tree_size;
    let broken = programme(Some(v1::CutOff {
        time_zone: "Berlin".into(),
        ..cut_off("25:00", &["2026-05-02", "2026-05-01", "2026-02-30"])
    }));
    let refusal = refused(
        apply(&hub, broken).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    let found: Vec<&str> = refusal
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        found,
        ["time_zone", "local_time", "holidays[1]", "holidays[2]"]
            .map(|f| format!("programme.cut_off.{f}")),
        "{refusal}"
    );
    assert_eq!(hub.status().await.tree_size, size);
    ana.wait_audited(9).await;
    hub.wait_covered().await;
    hub.verify().await;
}

/// The example's terms, with a cut-off at this minute of UTC.
fn alliance_file(hub: &TestHub, minute: i64) -> Cli {
    let cli = Cli::new(hub);
    let time = format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    cli.write(
        "alliance.toml",
        &format!(
            r#"
[programme]
currency = "EUR"
time_zone = "Europe/Berlin"
reserve_per_point = "0.008"
expiry_months = 36
cycle = "DAILY"
netting_method = "BILATERAL"
warning_thresholds_bps = [8000, 9500]
loss_shares = [{{ merchant_id = "a", share_bps = 2500, limit = "1000.00" }}, {{ share_bps = 10000 }}]
cut_off = {{ time_zone = "UTC", local_time = "{time}" }}
bank_details.holder_name = "Harbour Street e.V."
bank_details.iban = "DE02120300000000202051"
bank_details.street_name = "Hafenstrasse"
bank_details.town_name = "Lübeck"
bank_details.country_code = "DE"

[default]
funding_mode = "BURN"
earn_rate = "1"
minimum_payout = "5.00"
holdback_bps = 500
dispute_days = 30

[merchant.a]
net_debit_cap = "100.00"
collateral = "50.00"
exposure_redemption_bps = 6000
tax_rate_percent = "19"
bank_details.holder_name = "Alster Apotheke"
bank_details.iban = "NL91ABNA0417164300"
bank_details.town_name = "Amsterdam"
bank_details.country_code = "NL"

[merchant.b]
"#
        ),
    );
    cli
}

/// On the system's clock: nobody calls while the cut-off passes.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_hub_whose_terms_come_from_a_file_closes_at_its_time() {
    let hub = TestHub::on(&Database::sqlite()).start().await;
    let now = hub.clock().now();
    // The next full minute that is not too near to apply the file before it.
    let minute = (now + 15_000_000) / 60_000_000 + 1;
    let cli = alliance_file(&hub, minute);
    let applied = cli.run("apply -f alliance.toml --yes").expect(0);
    for part in [
        "netting_method = BILATERAL",
        "loss_shares = a:2500 up to 1000.00 hub:10000",
        "warning_thresholds_bps = 8000 9500",
        "bank_details = DE02120300000000202051 / Harbour Street e.V. / Hafenstrasse / Lübeck / DE",
        "contract.net_debit_cap = 100.00",
        "contract.collateral = 50.00",
        "contract.exposure_redemption_bps = 6000",
        "contract.minimum_payout = 5.00",
        "contract.holdback_bps = 500",
        "contract.dispute_days = 30",
        "contract.tax_rate_percent = 19",
        "contract.bank_details = NL91ABNA0417164300 / Alster Apotheke / Amsterdam / NL",
    ] {
        assert!(applied.contains(part), "{part} is not in\n{applied}");
    }
    let again = cli.run("apply -f alliance.toml --yes").expect(0);
    assert!(again.contains("Nothing to change"), "{again}");
    let listed = cli.json("cycle list", 0);
    assert_eq!(
        listed["cycles"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );

    let left = minute * 60_000_000 - hub.clock().now();
    tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap())).await;
    let mut closed = None;
    for _ in 0..100 {
        let cycles = hub.operator().cycles().await.unwrap();
        closed = cycles.into_iter().find(|c| c.state() == CycleState::Closed);
        if closed.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let closed = closed.expect("the cycle closes by itself within five seconds");
    assert_eq!(micros(&closed.closes_at.unwrap()), minute * 60_000_000);
    let cut = closed.cut_leaf_index.unwrap();
    assert_eq!(closed.closed_leaf_index, Some(cut + 1));
    hub.verify().await;
}

for_each_database!(cycles_close_at_the_calendars_instants);
