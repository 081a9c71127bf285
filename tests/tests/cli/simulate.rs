//! `hansa simulate traffic`: needs no hub.

use std::{path::Path, process::Command};

use serde_json::Value;

/// Runs the program with arguments separated by spaces, in a folder.
fn hansa(folder: &Path, arguments: &str) -> (i32, Vec<u8>, String) {
    let output = Command::new(hansa_tests::binary::path())
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        output.stdout,
        String::from_utf8(output.stderr).unwrap(),
    )
}

const SMALL: &str = "simulate traffic --affiliates 60 --merchants 4 --days 24 --per-scheme 1";

#[test]
fn simulated_traffic_gives_one_report_per_seed_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = format!("{SMALL} --seed 1 --json --chart chart.svg");
    let (code, json, err) = hansa(folder.path(), &first);
    assert_eq!(code, 0, "{err}");
    let chart = std::fs::read_to_string(folder.path().join("chart.svg")).unwrap();
    assert!(chart.starts_with("<svg ") && chart.contains("ADAPTIVE_HONEST_TIMES"));
    let again = hansa(folder.path(), &first);
    assert!(again.1 == json, "the same seed gives the same bytes");
    let same = std::fs::read_to_string(folder.path().join("chart.svg")).unwrap();
    assert!(same == chart);

    let report: Value = serde_json::from_slice(&json).unwrap();
    for figure in [
        "macro_recall",
        "precision",
        "honest_ever_held",
        "bad_commission_held_before_lock",
        "worst_scheme_recall",
    ] {
        let value = report["all"][figure].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{figure}: {value}");
    }
    let schemes = report["schemes"].as_array().unwrap();
    assert_eq!(schemes.len(), 14);
    let recalls: Vec<f64> = schemes
        .iter()
        .map(|scheme| scheme["recall"].as_f64().unwrap())
        .collect();
    let mean = recalls.iter().sum::<f64>() / 14.0;
    let all = report["all"]["macro_recall"].as_f64().unwrap();
    assert!((mean - all).abs() < 1e-9 && all > 0.3, "{mean} {all}");
    for scheme in schemes {
        let found = scheme["recall"].as_f64().unwrap() > 0.0;
        assert_eq!(scheme["days_to_flag"].is_f64(), found, "{scheme}");
        assert!(scheme["name"].is_string() && scheme.get("precision").is_some());
    }

    // Of two worlds, every second seed, the means and each of them.
    let (_, two, _) = hansa(folder.path(), &format!("{SMALL} --seed 1 --seeds 2 --json"));
    let two: Value = serde_json::from_slice(&two).unwrap();
    assert_eq!(two["seeds"], serde_json::json!([1, 3]));
    assert_eq!(two["runs"][0], report);
    assert_ne!(two["runs"][1]["digest"], report["digest"]);
    let recall = |run: &Value| run["all"]["macro_recall"].as_f64().unwrap();
    let mean = f64::midpoint(recall(&two["runs"][0]), recall(&two["runs"][1]));
    assert!((recall(&two) - mean).abs() < 1e-9);
}

#[test]
fn simulated_traffic_prints_a_table_and_refuses_a_world_of_cheats() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = hansa(folder.path(), SMALL);
    assert_eq!(code, 0, "{err}");
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("DECLARED_BOT") && out.contains("Macro recall"),
        "{out}"
    );
    let (code, _, err) = hansa(folder.path(), "simulate traffic --affiliates 100");
    assert_eq!(code, 2);
    assert!(err.contains("take 240 or more"), "{err}");
}
