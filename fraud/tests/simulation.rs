//! Detection on simulated traffic with known truth.
//!
//! `HANSA_FRAUD_SEEDS="1 3 5"` plays whole worlds (1,000 affiliates, 60 days) and prints their reports; without it a small one is
//! played. Odd seeds are for tuning, even ones for testing.

use hansa_fraud::simulate::{Scale, report};

#[test]
fn most_schemes_are_found_and_hardly_anybody_honest_waits() {
    if let Ok(seeds) = std::env::var("HANSA_FRAUD_SEEDS") {
        for seed in seeds.split_whitespace() {
            let seed = seed.parse().expect("HANSA_FRAUD_SEEDS has whole numbers");
            let report = report(seed, Scale::default());
            println!("{}", serde_json::to_string(&report).expect("it is JSON"));
            assert!(report.all.macro_recall >= 0.85, "seed {seed}");
            assert!(report.all.honest_ever_held <= 0.01, "seed {seed}");
        }
        return;
    }
    let small = Scale {
        affiliates: 160,
        merchants: 6,
        days: 45,
        per_scheme: 1,
    };
    let report = report(1, small);
    assert_eq!(report.schemes.len(), 14);
    assert!(report.all.macro_recall >= 0.6, "{report:?}");
    assert!(report.all.precision >= 0.7, "{report:?}");
    assert!(report.all.honest_ever_held <= 0.03, "{report:?}");
}
