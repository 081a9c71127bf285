//! Rules, modes, and what happens when touches are not what they were.

use hansa_proto::v1::{FraudMode, FraudScheme, OperatorRole, fraud_decision as step};
use hansa_tests::{check::answered, cli::Cli, database::Database, for_each_database};
use sqlx::Connection as _;

use crate::{DAY, Stage, decide, flags};

const RULES: &str = r#"
[[rule]]
name = "many-clicks"
typology = "CLICK_FLOOD"
mode = "HOLD"
covers = "ALL"
when = "clicks > 10.0"
reason = "many clicks"
author = "Ira"

[[rule]]
name = "quiet"
typology = "LOW_QUALITY"
mode = "SHADOW"
when = "clicks > 1000000.0"
reason = "never"
author = "Ira"
"#;

async fn a_rule_is_saved_measured_and_switched_on_and_off(database: Database) {
    let stage = Stage::start(&database).await;
    let cli = Cli::new(&stage.shop.hub);
    cli.write("rules.toml", RULES);
    let saved = cli.json("fraud rules save rules.toml --reason trial", 0);
    let version = saved["rules"][0]["version"].as_str().unwrap().to_owned();
    stage.day().await;
    stage.day().await;
    let preview = cli.json("fraud rules preview many-clicks", 0);
    assert_eq!(preview["version"].as_str(), Some(version.as_str()));
    // Five pairs on two days, and nobody was reviewed.
    assert_eq!(
        (preview["days"].as_u64(), preview["hits"].as_u64()),
        (Some(2), Some(10))
    );
    assert_eq!(preview["unknown"].as_u64(), Some(5), "{preview}");
    // Two days of thirty: not enough to let money wait.
    let on = |name: &str, version: &str| {
        format!("fraud rules on {name} --rule-version {version} --reason measured")
    };
    let early = cli.run(&on("many-clicks", &version));
    assert_ne!(early.code, 0);
    assert!(early.err.contains("2 days of 30"), "{}", early.err);
    let other = cli.run(&on("many-clicks", "9-0"));
    assert!(other.err.contains("not the version"), "{}", other.err);
    let quiet = cli.json("fraud rules preview quiet", 0);
    let quiet = quiet["version"].as_str().unwrap().to_owned();
    let _ = cli.run(&on("quiet", &quiet)).expect(0);
    let listed = cli.json("fraud rules list", 0);
    let states: Vec<(Option<&str>, Option<bool>)> = listed["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["name"].as_str(), rule["on"].as_bool()))
        .collect();
    assert_eq!(
        states,
        [
            (Some("many-clicks"), Some(false)),
            (Some("quiet"), Some(true))
        ]
    );
    let _ = cli
        .run("fraud rules off quiet --reason \"not needed\"")
        .expect(0);
    let listed = cli.json("fraud rules list", 0);
    let reason = listed["rules"][1]["off_reason"].as_str().unwrap();
    assert!(reason.contains("not needed"), "{reason}");
    cli.write("broken.toml", &RULES.replace("clicks >", "clisks >"));
    let broken = cli.run("fraud rules save broken.toml --reason trial");
    assert_ne!(broken.code, 0);
    assert!(broken.err.contains("no feature `clisks`"), "{}", broken.err);
    stage.shop.hub.verify().await;
    stage.assert_made_again().await;
}

async fn in_shadow_nobody_is_flagged_and_nothing_waits(database: Database) {
    let stage = Stage::start(&database).await;
    let set = step::SetMode {
        scheme: FraudScheme::DeclaredBot.into(),
        mode: FraudMode::Shadow.into(),
    };
    answered(decide(&stage.ira, step::Decision::SetMode(set)).await);
    stage.day().await;
    stage.day().await;
    assert!(flags(&stage.ira.hub).await.is_empty());
    let status = stage.status().await;
    assert_eq!((status.rules_version, status.held_conversions), (2, 0));
    stage.assert_made_again().await;
}

for_each_database!(
    a_rule_is_saved_measured_and_switched_on_and_off,
    in_shadow_nobody_is_flagged_and_nothing_waits,
);

/// A touch that is gone, or another one, is found: it is named by the runs of the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_touch_that_was_changed_is_found() {
    let stage = Stage::start(&Database::Sqlite).await;
    stage.day().await;
    let audit = [OperatorRole::Auditor];
    let reader = stage.shop.hub.clerk("Aud", &audit).await;
    assert_eq!(flags(&reader.hub).await.len(), 1);
    let mut stage = stage;
    stage.shop.hub.advance(DAY / 24).await;
    stage.shop.hub.kill();
    let path = stage.shop.hub.data_dir().join("touches.db");
    let mut touches = sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let change = "UPDATE touch SET network = network + 1 WHERE id = (SELECT min(id) FROM touch)";
    sqlx::raw_sql(change).execute(&mut touches).await.unwrap();
    let command = stage.shop.hub.verify_command();
    let command = command.replacen("verify", "fraud replay", 1);
    let found = Cli::new(&stage.shop.hub).run(&command);
    assert_eq!(found.code, 6, "{}", found.err);
    assert!(
        found.err.contains("its touches were others"),
        "{}",
        found.err
    );
    let remove = "DELETE FROM touch WHERE id = (SELECT min(id) FROM touch)";
    sqlx::raw_sql(remove).execute(&mut touches).await.unwrap();
    let found = Cli::new(&stage.shop.hub).run(&command);
    assert!(
        found.err.contains("it had 320 touches, and there are 319"),
        "{}",
        found.err
    );
    touches.close().await.unwrap();
}
