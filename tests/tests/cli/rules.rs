//! `hansa fraud rules`: needs no hub.

use std::{path::Path, process::Command};

use serde_json::Value;

fn hansa(folder: &Path, arguments: &str) -> (i32, String, String) {
    let output = Command::new(hansa_tests::binary::path())
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const RULE: &str = r#"
[[rule]]
name = "fast-buyers"
typology = "CLICK_INJECTION"
mode = "FLAG"
when = "conversions >= 20.0 && ctct_under_10s_share > 0.3"
reason = "a third of the purchases come within ten seconds of the click"
author = "fraud desk"
"#;

const BANDED: &str = r#"
[[rule]]
name = "returns"
typology = "FAKE_CONVERSION"
mode = "HOLD"
when = "retrun_share * 100.0"
author = "fraud desk"
bands = [{ from = 30.0, band = "FLAG", reason = "a third comes back" }, { from = 60.0, band = "HOLD", reason = "most comes back" }]
"#;

#[test]
fn rules_are_checked_with_their_cost_and_a_wrong_one_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("rules.toml"), text).unwrap();
    let right = format!("{RULE}{}", BANDED.replace("retrun", "return"));
    write(&right);
    let (code, out, err) = hansa(folder.path(), "fraud rules check rules.toml --json");
    assert_eq!((code, err.as_str()), (0, ""));
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["wrong"], 0);
    assert_eq!(json["rules"][0]["parts"], 7);
    let digest = json["rules"][1]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest.len(), 32);
    write(&right.replace("most comes", "nearly all comes"));
    let (_, other, _) = hansa(folder.path(), "fraud rules check rules.toml --json");
    assert!(!other.contains(&digest), "another text is another version");

    write(&format!("{RULE}{BANDED}{RULE}"));
    let (code, out, err) = hansa(folder.path(), "fraud rules check rules.toml");
    assert_eq!(code, 1);
    assert!(out.contains("right") && out.contains("wrong"), "{out}");
    assert!(
        err.contains(
            "rule \"returns\": line 1, column 1: there is no feature `retrun_share`; the nearest name is `return_share`"
        ),
        "{err}"
    );
    assert!(err.contains("rule \"fast-buyers\": another rule of the file has the same name"));
    write("[[rule]]\nname = \"x\"\nmod = \"FLAG\"\n");
    let (code, _, err) = hansa(folder.path(), "fraud rules check rules.toml");
    assert!(
        code == 1 && err.contains("is no file of rules"),
        "{code} {err}"
    );
}

#[test]
fn the_features_that_rules_can_name_are_listed_with_type_and_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = hansa(folder.path(), "fraud rules features --json");
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&out).unwrap();
    let features = json["features"].as_array().unwrap();
    let share = features
        .iter()
        .find(|feature| feature["name"] == "return_share")
        .unwrap();
    assert_eq!(share["type"], "double");
    let (_, table, _) = hansa(folder.path(), "fraud rules features");
    assert!(
        table.contains("return_share") && table.contains("came back"),
        "{table}"
    );
}
