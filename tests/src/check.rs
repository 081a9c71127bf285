//! Assertions that many tests share.

use hansa_client::{hub::CallError, note::LogVerifier};
use hansa_proto::v1;
use tonic::{Code, Response, Status};

/// Asserts that a call was refused for this reason (`ErrorInfo`) with this gRPC status code, and returns the refusal.
///
/// # Panics
/// When it was not.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(
    result: Result<T, impl Into<CallError>>,
    code: Code,
    reason: &str,
) -> CallError {
    match result {
        Ok(answer) => panic!("expected {reason}, was answered {answer:?}"),
        Err(error) => {
            let error = error.into();
            assert_eq!(
                (error.code, error.reason.as_deref()),
                (code, Some(reason)),
                "{error}"
            );
            assert!(!error.message.is_empty(), "{reason} says what to do");
            error
        }
    }
}

/// What a call of a generated client answered.
///
/// # Panics
/// When it was refused.
#[track_caller]
pub fn answered<T>(result: Result<Response<T>, Status>) -> T {
    match result {
        Ok(response) => response.into_inner(),
        Err(status) => panic!("refused: {}", CallError::from(status)),
    }
}

/// The codes of outcomes.
#[must_use]
pub fn codes(outcomes: &[v1::Outcome]) -> Vec<v1::ResultCode> {
    outcomes.iter().map(v1::Outcome::code).collect()
}

/// A first outcome as a replay repeats it.
#[must_use]
pub fn as_replayed(first: &v1::Outcome, leaf_index: u64, entry_position: u32) -> v1::Outcome {
    v1::Outcome {
        replayed: true,
        leaf_index: Some(leaf_index),
        entry_position,
        ..*first
    }
}

/// The verifier of a log by its key in C2SP form.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn verifier(key: &str) -> LogVerifier {
    key.parse().unwrap()
}
