//! Exit codes, and how an error is told.

use std::process::ExitCode;

use hansa_client::hub::CallError;

/// What went wrong is in the message.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// The hub refused: nothing was changed.
pub const REFUSED: u8 = 3;
/// The hub cannot be reached; the same command can be run again.
pub const UNAVAILABLE: u8 = 4;
/// Some rows or messages were refused; the others took effect.
pub const PARTIAL: u8 = 5;
/// A check failed: log, receipt or figures contradict each other.
pub const MISMATCH: u8 = 6;

/// For `--help`.
pub const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 refused by the hub (nothing changed), \
4 hub cannot be reached (run it again), 5 some rows were refused, 6 a check failed.";

/// An error that carries its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Coded {
    /// Exit code.
    pub code: u8,
    /// For people.
    pub message: String,
}

/// An error with an exit code.
pub fn coded(code: u8, message: impl Into<String>) -> anyhow::Error {
    Coded {
        code,
        message: message.into(),
    }
    .into()
}

/// Tells an error and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    code_of(error).into()
}

fn code_of(error: &anyhow::Error) -> u8 {
    if let Some(coded) = error.downcast_ref::<Coded>() {
        return coded.code;
    }
    match error.downcast_ref::<CallError>() {
        Some(call) if call.is_transient() => UNAVAILABLE,
        Some(_) => REFUSED,
        None => FAILED,
    }
}
