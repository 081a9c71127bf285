//! The commands as people and scripts use them, against a real hub.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod finance;
mod keys;
mod rules;
mod simulate;
mod submit;

use std::{fmt::Write as _, time::Duration};

use hansa_tests::{cli::Cli, clock::MINUTE, database::Database, hub::TestHub};
use serde_json::{Value, json};

const NOW: &str = "2026-03-02T12:00:00Z";
const EXAMPLE: &str = include_str!("../../../deploy/alliance.example.toml");

/// A hub on a test clock with the example alliance.
async fn example() -> (TestHub, Cli) {
    let hub = TestHub::on(&Database::sqlite())
        .test_clock(NOW)
        .start()
        .await;
    let cli = Cli::new(&hub);
    cli.write("alliance.toml", EXAMPLE);
    let _ = cli.run("apply -f alliance.toml --yes").expect(0);
    (hub, cli)
}

/// With a key for each merchant: `grocery.pem`, `bakery.pem`.
async fn onboarded() -> (TestHub, Cli) {
    let (hub, cli) = example().await;
    for merchant in ["grocery", "bakery"] {
        let new = format!("keys new --merchant {merchant} --out {merchant}.pem");
        let _ = cli.run(&new).expect(0);
    }
    (hub, cli)
}

const GROCERY: &str = "--merchant grocery --key grocery.pem";
const BAKERY: &str = "--merchant bakery --key bakery.pem";

fn reference(cli: &Cli, card: &str, merchant: &str) -> String {
    let enrolled = cli.json(&format!("member enrol --card {card} {merchant}"), 0);
    enrolled["member_references"][0]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The example of the domain, E1 to E8 as far as one file can say it.
fn purchases(member: &str) -> String {
    let mut rows =
        "kind,receipt,event_time,member,card,amount,currency,points,original\n".to_owned();
    for row in [
        "accrual,R1,T,MEMBER,,1509.05,EUR,,",
        "accrual,R2,T,,6001-2,334.10,EUR,,",
        "redemption_authorisation,R3,T,MEMBER,,,,1000,",
        "redemption_capture,R3,T,MEMBER,,,,800,R3",
        "redemption_refund,R4,T,MEMBER,,,,300,R3",
        "accrual_reversal,R5,T,MEMBER,,339.46,EUR,,R1",
        "redemption_authorisation,R6,T,,60012,,,5000,",
        "accrual,R7,2026-01-01T00:00:00Z,MEMBER,,10,EUR,,",
    ] {
        let _ = writeln!(
            rows,
            "{}",
            row.replace("MEMBER", member)
                .replace(",T,", &format!(",{NOW},"))
        );
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alliance_is_shown_asked_for_and_applied_once() {
    let hub = TestHub::on(&Database::sqlite())
        .test_clock(NOW)
        .start()
        .await;
    let cli = Cli::new(&hub);
    cli.write("alliance.toml", EXAMPLE);
    let before = hub.status().await.tree_size;

    let shown = cli.run("apply -f alliance.toml --dry-run").expect(0);
    assert!(
        shown.contains("+ merchant grocery\n    display_name = Old Town Grocery\n"),
        "{shown}"
    );
    let asked = cli.run("apply -f alliance.toml");
    assert_eq!(asked.code, 2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    assert_eq!(hub.status().await.tree_size, before);

    let applied = cli.json("apply -f alliance.toml --yes", 0);
    assert_eq!(
        (&applied["applied"], &applied["leaf_index"]),
        (&json!(true), &json!(before))
    );
    assert_eq!(applied["changes"].as_array().unwrap().len(), 5);
    let again = cli.json("apply -f alliance.toml", 0);
    assert_eq!(
        again,
        json!({"applied": false, "changes": [], "leaf_index": null})
    );

    // Terms change at an instant after those before them.
    hub.advance(MINUTE).await;
    cli.write(
        "alliance.toml",
        &EXAMPLE.replace("redemption_fee_bps = 250", "redemption_fee_bps = 300"),
    );
    let changed = cli.json("apply -f alliance.toml --dry-run", 0);
    assert_eq!(
        changed["changes"],
        json!([
            "merchant bakery: contract.redemption_fee_bps 250 -> 300",
            "merchant grocery: contract.redemption_fee_bps 250 -> 300"
        ])
    );
    assert_eq!(hub.status().await.tree_size, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_alliance_file_says_where() {
    let hub = TestHub::on(&Database::sqlite()).start().await;
    let cli = Cli::new(&hub);
    for (from, to, code, parts) in [
        (
            "earn_rate",
            "earn_rat",
            1,
            ["line ", "unknown field `earn_rat`"],
        ),
        (
            "\"EUR\"",
            "\"eur\"",
            3,
            ["programme.currency_code", "three capital letters"],
        ),
        (
            "{ grocery = 6000",
            "{ florist = 6000",
            3,
            ["promotions[spring]", "florist"],
        ),
    ] {
        cli.write("alliance.toml", &EXAMPLE.replace(from, to));
        let output = cli.run("apply -f alliance.toml --yes");
        assert_eq!(output.code, code, "{}", output.err);
        for part in parts {
            assert_eq!(
                output.err.matches(part).count(),
                1,
                "{part}: {}",
                output.err
            );
        }
    }
    assert_eq!(cli.run("apply -f nowhere.toml").code, 1);
    assert_eq!(cli.run("apply -f alliance.toml --merchant grocery").code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_one_at_every_merchant() {
    let (_hub, cli) = onboarded().await;
    let [at_grocery, at_bakery] = [GROCERY, BAKERY].map(|who| reference(&cli, "6001-1", who));
    assert_ne!(at_grocery, at_bakery);
    assert_eq!(reference(&cli, "60011", GROCERY), at_grocery);
    cli.write("sales.csv", &purchases(&at_grocery));
    assert_eq!(cli.run(&format!("submit sales.csv {GROCERY}")).code, 5);
    let balance = |member: &str, who: &str| cli.json(&format!("member balance {member} {who}"), 0);
    let points = balance(&at_grocery, GROCERY)["available_points"]
        .as_i64()
        .unwrap();
    assert_eq!(points, 3_018 - 800 + 300 - 679);
    assert_eq!(balance(&at_bakery, BAKERY)["available_points"], points);
    assert_eq!(
        cli.run(&format!("member balance {at_grocery} {BAKERY}"))
            .code,
        3
    );

    let lots = cli.json(&format!("member lots {at_bakery} {BAKERY}"), 0);
    let lots = lots["lots"].as_array().unwrap();
    let sum: i64 = lots
        .iter()
        .map(|lot| lot["remaining_points"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, points);
    // A merchant sees which points are its own, not whose the others are.
    for lot in lots {
        assert!(
            ["", "bakery"].contains(&lot["funder_merchant_id"].as_str().unwrap()),
            "{lot}"
        );
    }
    let shown = cli
        .run(&format!("member balance {at_bakery} {BAKERY}"))
        .expect(0);
    assert!(shown.contains("1,839"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_closes_by_hand_and_its_statements_add_up() {
    let (hub, cli) = onboarded().await;
    let member = reference(&cli, "60011", GROCERY);
    cli.write("sales.csv", &purchases(&member));
    assert_eq!(cli.run(&format!("submit sales.csv {GROCERY}")).code, 5);
    cli.write(
        "cakes.jsonl",
        &format!(
            "{{\"kind\":\"redemption_authorisation\",\"receipt\":1,\"event_time\":\"{NOW}\",\"card\":\"60011\",\"points\":500}}\n\
             {{\"kind\":\"redemption_capture\",\"receipt\":1,\"event_time\":\"{NOW}\",\"card\":60011,\"points\":500,\"original\":\"1\"}}\n"
        ),
    );
    let _ = cli.run(&format!("submit cakes.jsonl {BAKERY}")).expect(0);

    assert_eq!(cli.run("cycle close 1").code, 2, "nobody said yes");
    assert_eq!(cli.json("cycle close 1 --yes", 0)["changed"], true);
    hub.wait_audited(1).await;
    assert_eq!(cli.json("cycle close 1 --yes", 0)["changed"], false);
    assert_eq!(cli.run("cycle close 7 --yes").code, 3);
    assert_eq!(cli.run(&format!("cycle close 2 --yes {BAKERY}")).code, 3);
    let cycles = cli.json("cycle list", 0);
    assert_eq!(cycles["cycles"][0]["state"], "CLOSED");
    assert_eq!(cycles["cycles"][1]["state"], "OPEN");

    let cycle = cli.json("cycle show 1", 0);
    let micros = |value: &Value| value.as_i64().unwrap();
    let nets: i64 = cycle["net_positions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| micros(&p["net_micros"]))
        .sum();
    let hub: i64 = cycle["hub"].as_object().unwrap().values().map(micros).sum();
    assert_eq!(nets, hub);
    let all = cli.json("statement --cycle 1", 0);
    let statements = all["statements"].as_array().unwrap();
    // Two merchants and an affiliate that brought nothing yet.
    assert_eq!(statements.len(), 3);
    for statement in statements {
        let lines: i64 = statement["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| micros(&l["amount_micros"]))
            .sum();
        let position = &statement["position"];
        assert_eq!(lines, micros(&position["net_micros"]));
        assert_eq!(
            lines,
            micros(&position["payment_micros"]) + micros(&position["carried_forward_micros"])
        );
    }
    // 500 points at 0.008 less 2.5 %.
    let own = cli.json(&format!("statement --cycle 1 {BAKERY}"), 0);
    assert_eq!(
        own,
        *statements
            .iter()
            .find(|s| s["merchant_id"] == "bakery")
            .unwrap()
    );
    assert_eq!(own["lines"][0]["kind"], "PROMOTION_SHARE");
    let redemption = own["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["kind"] == "REDEMPTION")
        .unwrap();
    assert_eq!(redemption["amount_micros"], -3_900_000);
    let text = cli.run("statement --cycle 1 --merchant grocery").expect(0);
    assert!(
        text.contains("grocery pays the hub ") && text.contains("Brought forward"),
        "{text}"
    );
    assert_eq!(cli.run(&format!("statement --cycle 9 {BAKERY}")).code, 3);

    let liability = cli.json("liability", 0);
    let values: i64 = liability["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| micros(&l["issue_value_micros"]))
        .sum();
    assert_eq!(values, micros(&liability["reserve_micros"]));
    let own = cli.json(&format!("liability {BAKERY}"), 0);
    assert_eq!(own["lines"].as_array().unwrap().len(), 1);
    assert_eq!(cli.json("status", 0)["now"], NOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_away_is_told_soon_and_with_its_own_exit_code() {
    let (_hub, cli) = onboarded().await;
    let nowhere = cli.at("http://127.0.0.1:9");
    let began = std::time::Instant::now();
    let output = nowhere.run("status");
    assert_eq!(output.code, 4);
    assert!(output.err.contains("hansa serve"), "{}", output.err);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn help_tells_the_exit_codes_and_completions_know_the_commands() {
    let cli = |arguments: &[&str]| {
        let output = std::process::Command::new(hansa_tests::binary::path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(cli(&["--help"]).contains("Exit codes: 0 done"));
    assert!(cli(&["submit", "--help"]).contains("redemption_refund"));
    for shell in ["bash", "zsh", "fish"] {
        let completions = cli(&["completions", shell]);
        for command in [
            "apply",
            "keys",
            "member",
            "submit",
            "cycle",
            "statement",
            "liability",
            "status",
        ] {
            assert!(completions.contains(command), "{shell}: {command}");
        }
    }
}
