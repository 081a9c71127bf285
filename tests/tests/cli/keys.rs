//! `hansa keys`.

use hansa_tests::clock::{DAY, MINUTE};
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
