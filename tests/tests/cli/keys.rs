//! `hansa keys`.

use hansa_tests::{
    cli::Cli,
    clock::{DAY, MINUTE},
};
use serde_json::Value;

use super::{EXAMPLE, GROCERY, onboarded};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_listed_rotated_with_an_overlap_and_revoked() {
    let (hub, cli) = onboarded().await;
    let keys = |who: &str| -> Vec<Value> {
        let listed = cli.json(&format!("keys list {who}"), 0);
        listed["keys"].as_array().unwrap().clone()
    };
    let first = keys("--merchant grocery")[0]["key_id"].clone();
    assert_eq!(keys(GROCERY), keys("--merchant grocery"));

    // With its own key; run again, it changes nothing more.
    let rotate = format!("keys rotate {GROCERY} --out second.pem --overlap-hours 48");
    let rotated = cli.json(&rotate, 0);
    assert_eq!(rotated["ended"][0]["key_id"], first);
    assert_eq!(rotated["ended"][0]["valid_until"], "2026-03-04T12:00:00Z");
    assert_eq!(rotated["key"]["valid_until"], Value::Null);
    let size = hub.status().await.tree_size;
    assert_eq!(cli.json(&rotate, 0), rotated);
    assert_eq!(hub.status().await.tree_size, size);

    // Both hold in the overlap, the old one no longer at its end.
    let second = "--merchant grocery --key second.pem";
    hub.advance(2 * DAY - MINUTE).await;
    assert_eq!((keys(GROCERY).len(), keys(second).len()), (2, 2));
    hub.advance(MINUTE).await;
    let refused = cli.run(&format!("keys list {GROCERY}"));
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("KEY_EXPIRED"), "{}", refused.err);

    // At once, the speaker's own key last.
    let _ = cli
        .run("keys new --merchant grocery --out third.pem --valid-days 10")
        .expect(0);
    let now = cli.json(
        &format!("keys rotate {second} --out fourth.pem --revoke-now"),
        0,
    );
    assert_eq!(now["ended"].as_array().unwrap().len(), 2);
    for old in ["second", "third"] {
        let refused = cli.run(&format!("keys list --merchant grocery --key {old}.pem"));
        assert!(
            refused.code == 3 && refused.err.contains("KEY_REVOKED"),
            "{}",
            refused.err
        );
    }
    let fourth = now["key"]["key_id"].as_str().unwrap();
    let _ = cli
        .run(&format!("keys revoke {fourth} --reason \"laptop stolen\""))
        .expect(0);
    assert_eq!(
        cli.run("keys list --merchant grocery --key fourth.pem")
            .code,
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_earlier_but_is_never_prolonged() {
    let (hub, cli) = onboarded().await;
    let until = |days: u32| {
        let new = format!("keys new --merchant bakery --out bakery.pem --valid-days {days}");
        cli.json(&new, 0)["key"]["valid_until"].clone()
    };
    assert_eq!(until(10), "2026-03-12T12:00:00Z");
    assert_eq!(until(20), "2026-03-12T12:00:00Z");
    assert_eq!(until(5), "2026-03-07T12:00:00Z");
    // Somebody must be able to let others in.
    let operator = hub.file("operator.key.pem");
    let new = format!("keys new --out \"{}\" --valid-days 5", operator.display());
    let refused = cli.run(&new);
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("last operator key"), "{}", refused.err);
    assert!(operator.exists());
    let _ = cli.run("keys new --out second.pem").expect(0);
    let _ = cli.run(&new).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_used_are_refused_clearly() {
    let (_hub, cli) = onboarded().await;
    for (command, code, part) in [
        (
            "keys list --merchant bakery --key grocery.pem",
            3,
            "neither merchant bakery's key nor an operator's",
        ),
        ("keys list --key grocery.pem", 3, "no operator's key"),
        (
            "member lots 00112233445566778899aabbccddeeff",
            2,
            "--merchant",
        ),
        (
            "member lots 00112233445566778899aabbccddeeff --merchant grocery",
            3,
            "is not merchant grocery's key",
        ),
        (
            "keys new --merchant florist --out florist.pem",
            3,
            "\"florist\" does not exist",
        ),
        (
            "keys rotate --merchant grocery --out alliance.toml",
            1,
            "is no key",
        ),
        (
            "keys list --key nowhere.pem",
            1,
            "cannot read the key nowhere.pem",
        ),
        (
            "keys revoke nobody --reason x",
            3,
            "\"nobody\" does not exist",
        ),
    ] {
        let output = cli.run(command);
        assert_eq!(output.code, code, "{command}: {}", output.err);
        assert!(output.err.contains(part), "{command}: {}", output.err);
    }
    // A key that nobody knows is not left behind.
    assert!(!cli.path("florist.pem").exists());
    assert_eq!(cli.read("alliance.toml"), EXAMPLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_have_names_and_roles() {
    let (hub, cli) = onboarded().await;
    for (holder, role, file) in [
        ("Ana Alvarez", "--role finance", "ana"),
        ("Ben", "--role administrator --role finance", "ben"),
        ("Cleo", "--role auditor", "cleo"),
    ] {
        let new = format!("keys new --holder \"{holder}\" {role} --out {file}.pem");
        let made = cli.run(&new).expect(0);
        assert!(made.contains(&format!(" of {holder} (")), "{made}");
    }
    let listed = cli.run("keys list --key cleo.pem").expect(0);
    for part in ["Ana Alvarez", "administrator, finance", "everything"] {
        assert!(listed.contains(part), "{part} is not in\n{listed}");
    }

    // Everybody reads; only administrators change terms, keys and cycles.
    let size = hub.status().await.tree_size;
    for file in ["ana", "cleo"] {
        let _ = cli.run(&format!("cycle show 1 --key {file}.pem")).expect(0);
        for command in [
            "cycle close 1 --yes",
            "apply -f alliance.toml --yes",
            "keys new --out other.pem",
            "keys new --holder Dan --role finance --out other.pem",
            "keys new --merchant bakery --out other.pem",
        ] {
            let refused = cli.run(&format!("{command} --key {file}.pem"));
            assert_eq!(refused.code, 3, "{command}: {}", refused.err);
            for part in ["PERMISSION_DENIED", "ADMINISTRATOR"] {
                assert!(refused.err.contains(part), "{command}: {}", refused.err);
            }
        }
    }
    for (command, part) in [
        ("--holder \" Dan\"", "key.holder"),
        ("--holder Dan --role auditor --role finance", "AUDITOR"),
        ("--holder Dan --role finance --role finance", "once"),
        ("--holder Dan --merchant bakery", "operators' keys"),
    ] {
        let refused = cli.run(&format!("keys new {command} --out other.pem"));
        assert_eq!(refused.code, 3, "{command}: {}", refused.err);
        assert!(refused.err.contains(part), "{command}: {}", refused.err);
    }
    assert_eq!(hub.status().await.tree_size, size);
    let _ = cli
        .run("keys new --merchant bakery --out other.pem --key ben.pem")
        .expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_rotates_the_keys_of_its_own_person() {
    let (_hub, cli) = onboarded().await;
    for name in ["ana", "ben"] {
        let new = format!("keys new --holder {name} --role finance --out {name}.pem");
        let _ = cli.run(&new).expect(0);
    }
    let rotate = "keys rotate --key ana.pem --out ana-2.pem --revoke-now";
    let rotated = cli.json(rotate, 0);
    assert_eq!(rotated["key"]["holder"], "ana");
    assert_eq!(rotated["key"]["operator_roles"][0], "FINANCE");
    assert_eq!(rotated["ended"].as_array().unwrap().len(), 1);
    assert_eq!(rotated["ended"][0]["holder"], "ana");
    assert_eq!(cli.run("keys list --key ana.pem").code, 3);
    for other in ["ana-2", "ben"] {
        let _ = cli.run(&format!("keys list --key {other}.pem")).expect(0);
    }
    // The first key has no holder: it stands for a person that stays the same.
    let operator = hub_key(&cli);
    let rotated = cli.json("keys rotate --out second.pem --revoke-now", 0);
    assert_eq!(rotated["key"]["holder"], operator.as_str());
    assert_eq!(rotated["key"]["operator_roles"], serde_json::json!([]));
    assert_eq!(rotated["ended"][0]["key_id"], operator.as_str());
    let _ = cli.run("keys list --key second.pem").expect(0);
}

/// Id of the operator's key that the hub made.
fn hub_key(cli: &Cli) -> String {
    let keys = cli.json("keys list", 0);
    let keys = keys["keys"].as_array().unwrap();
    let first = keys.iter().find(|key| key["holder"] == "").unwrap();
    first["key_id"].as_str().unwrap().to_owned()
}
