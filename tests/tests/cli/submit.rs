//! `hansa submit`.

use std::{fmt::Write as _, time::Duration};

use hansa_tests::{cli::Cli, database::Database, for_each_database, hub::TestHub};

use super::{EXAMPLE, GROCERY, NOW, onboarded, purchases, reference};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_takes_effect_once_however_often_it_is_sent() {
    let (hub, cli) = onboarded().await;
    let member = reference(&cli, "60011", GROCERY);
    cli.write("sales.csv", &purchases(&member));
    let submit = format!("submit sales.csv --out results.csv {GROCERY}");
    let first = cli.json(&submit, 5);
    let codes: Vec<&str> = first["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["code"].as_str().unwrap())
        .collect();
    let mut expected = vec!["ACCEPTED"; 6];
    expected.extend(["INSUFFICIENT_POINTS", "EVENT_TIME_TOO_OLD"]);
    assert_eq!(codes, expected);
    let points: Vec<i64> = (0..6)
        .map(|row| first["results"][row]["points"].as_i64().unwrap())
        .collect();
    // March is the month of the example's promotion: double points.
    assert_eq!(points, [3_018, 668, 1_000, 800, 300, 679]);
    let lines: Vec<String> = cli.read("results.csv").lines().map(String::from).collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[0], "line,message_id,code,points,leaf_index,replayed");
    let id = first["results"][0]["message_id"].as_str().unwrap();
    let leaf = first["results"][0]["leaf_index"].as_u64().unwrap();
    assert_eq!(lines[1], format!("2,{id},ACCEPTED,3018,{leaf},false"));
    assert!(!cli.path("sales.csv.outbox").exists());

    let (size, balance) = (
        hub.status().await.tree_size,
        cli.json(&format!("member balance {member} {GROCERY}"), 0),
    );
    let again = cli.json(&submit, 5);
    assert_eq!(again["totals"]["replayed"], 6);
    for (row, before) in again["results"]
        .as_array()
        .unwrap()
        .iter()
        .zip(first["results"].as_array().unwrap())
    {
        assert_eq!(row["replayed"], true);
        for field in ["line", "message_id", "code", "points", "leaf_index"] {
            assert_eq!(row[field], before[field]);
        }
    }
    assert_eq!(hub.status().await.tree_size, size);
    let after = cli.json(&format!("member balance {member} {GROCERY}"), 0);
    assert_eq!(after["available_points"], balance["available_points"]);

    // Another amount on the same receipt is another message under the same id.
    cli.write(
        "sales.csv",
        &purchases(&member).replace("1509.05", "1509.06"),
    );
    let changed = cli.json(&submit, 5);
    assert_eq!(changed["results"][0]["code"], "MODIFIED_REQUEST");
    assert_eq!(changed["totals"]["accepted"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_a_row_has_a_problem() {
    let (hub, cli) = onboarded().await;
    let good = purchases(&"5a".repeat(16));
    cli.write(
        "sales.csv",
        &format!("{good}accrual,R9,yesterday,,1,1.5,EUR,,\naccrual,R9,{NOW},,1,1.5,EUR,,R1\n"),
    );
    let size = hub.status().await.tree_size;
    let output = cli.run(&format!("submit sales.csv {GROCERY}"));
    assert_eq!(output.code, 1);
    assert!(
        output.out.contains("line 10, event_time: \"yesterday\""),
        "{}",
        output.out
    );
    assert!(
        output
            .out
            .contains("line 11, original: has no meaning for accrual"),
        "{}",
        output.out
    );
    assert!(
        output
            .err
            .contains("2 problems in the file; nothing was sent"),
        "{}",
        output.err
    );
    let problems = cli.json(&format!("submit sales.csv {GROCERY}"), 1);
    assert_eq!(problems["problems"][0]["line"], 10);
    assert_eq!(problems["problems"][0]["column"], "event_time");
    assert_eq!(hub.status().await.tree_size, size);
    assert!(!cli.path("sales.csv.outbox").exists());

    cli.write("sales.txt", &good);
    assert_eq!(cli.run(&format!("submit sales.txt {GROCERY}")).code, 2);
    let _ = cli
        .run(&format!(
            "submit sales.txt --format csv --dry-run {GROCERY}"
        ))
        .expect(0);
    assert_eq!(hub.status().await.tree_size, size);
}

/// Rows of the file that both sides are killed under.
const MANY: usize = 20_000;

/// Accruals that took effect.
async fn accruals(hub: &TestHub) -> u64 {
    hub.liability().await.counts.unwrap().accruals
}

async fn wait_for_accruals(hub: &TestHub, least: u64) {
    for _ in 0..6_000 {
        if accruals(hub).await >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no progress");
}

async fn a_submission_goes_on_after_a_kill_of_either_side(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let cli = Cli::new(&hub);
    // The contract holds for what was bought just before it was applied.
    let dated = EXAMPLE.replace(
        "[default]\n",
        "[default]\neffective_time = 2026-01-01T00:00:00Z\n",
    );
    cli.write("alliance.toml", &dated);
    let _ = cli.run("apply -f alliance.toml --yes").expect(0);
    let _ = cli
        .run("keys new --merchant grocery --out grocery.pem")
        .expect(0);
    let now = hansa_client::time::timestamp(hub.clock().now() / 1_000_000 * 1_000_000).to_string();
    let mut rows = "kind,receipt,event_time,card,amount,currency\n".to_owned();
    for n in 0..MANY {
        let _ = writeln!(rows, "accrual,{n},{now},{},1.00,EUR", n % 500);
    }
    cli.write("sales.csv", &rows);
    let submit = format!("submit sales.csv --batch 100 --out results.csv {GROCERY}");

    let mut sender = cli.start(&submit);
    wait_for_accruals(&hub, 2_000).await;
    sender.kill().unwrap();
    sender.wait().unwrap();
    assert!(!cli.path("results.csv").exists());
    assert!(cli.path("sales.csv.outbox").exists());
    let before = accruals(&hub).await;
    assert!(before < MANY as u64, "killed too late to show anything");

    let sender = cli.start(&submit);
    wait_for_accruals(&hub, before + 2_000).await;
    hub.kill();
    hub.start().await;
    let output = tokio::task::spawn_blocking(move || sender.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    assert_eq!(accruals(&hub).await, MANY as u64);
    let results = cli.read("results.csv");
    assert_eq!(
        results
            .lines()
            .filter(|line| line.contains(",ACCEPTED,1,"))
            .count(),
        MANY
    );
    assert!(
        results
            .lines()
            .filter(|line| line.ends_with(",true"))
            .count() as u64
            >= before
    );
    assert!(!cli.path("sales.csv.outbox").exists());
}

for_each_database!(a_submission_goes_on_after_a_kill_of_either_side);
