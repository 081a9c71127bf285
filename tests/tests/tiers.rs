//! The tiers of `Cargo.toml`'s workspace: fraud, settlement <- store <- hub; proto and client know no tier above them. Pure crates
//! have no runtime, no database and no wire in their manifests.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Direct dependencies of each crate of the workspace, those of tests left out.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo tells the workspace");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies");
            let product = all.iter().filter(|d| d["kind"].as_str() != Some("dev"));
            (
                text(&package["name"]),
                product.map(|d| text(&d["name"])).collect(),
            )
        })
        .collect()
}

#[test]
fn no_crate_depends_upwards() {
    let crates = dependencies();
    let allowed: [(&str, &[&str]); 11] = [
        ("hansa-proto", &[]),
        ("hansa-money", &[]),
        ("hansa-fraud", &[]),
        ("hansa-netting", &[]),
        ("hansa-settlement", &["hansa-money", "hansa-netting"]),
        // The auditor shares the contract and the money types with the fold that it checks, nothing else.
        ("hansa-auditor", &["hansa-proto", "hansa-money"]),
        ("hansa-bank", &["hansa-money"]),
        ("hansa-report", &["hansa-money"]),
        ("hansa-client", &["hansa-proto"]),
        ("hansa-store", &[]),
        (
            "hansa-hub",
            &[
                "hansa-proto",
                "hansa-fraud",
                "hansa-settlement",
                "hansa-netting",
                "hansa-auditor",
                "hansa-bank",
                "hansa-report",
                "hansa-client",
                "hansa-store",
            ],
        ),
    ];
    for (name, below) in allowed {
        let found = crates
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the workspace"));
        let ours: Vec<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|d| d.starts_with("hansa-"))
            .collect();
        for dependency in &ours {
            assert!(
                below.contains(dependency),
                "{name} must not know {dependency}"
            );
        }
    }
}

#[test]
fn the_fold_is_pure() {
    let crates = dependencies();
    for banned in ["tokio", "sqlx", "tonic", "prost", "ring", "tracing", "rand"] {
        for pure in [
            "hansa-money",
            "hansa-fraud",
            "hansa-netting",
            "hansa-settlement",
            "hansa-report",
        ] {
            assert!(
                !crates[pure].iter().any(|d| d == banned),
                "{pure} must not know {banned}"
            );
        }
    }
}
