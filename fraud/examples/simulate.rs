//! Prints the report of simulated traffic as JSON: `cargo run --release -p hansa-fraud --example simulate -- SEED...`

use std::process::ExitCode;

use hansa_fraud::simulate::{Scale, report};

fn main() -> ExitCode {
    for seed in std::env::args().skip(1) {
        let Ok(seed) = seed.parse() else {
            eprintln!("\"{seed}\" is no seed; give whole numbers");
            return ExitCode::FAILURE;
        };
        let report = report(seed, Scale::default());
        match serde_json::to_string(&report) {
            Ok(json) => println!("{json}"),
            Err(error) => {
                eprintln!("the report cannot be written: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
