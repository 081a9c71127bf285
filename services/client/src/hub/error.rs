//! Why a call failed: the gRPC status with the hub's `google.rpc` details, typed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use hansa_proto::ERROR_DOMAIN;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A field that the hub refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field, e.g. `messages[3].accrual.eligible_amount`.
    pub field: String,
    /// What to send instead.
    pub description: String,
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// gRPC status code.
    pub code: Code,
    /// `reason` of the hub's ErrorInfo; absent where the failure is not the hub's word.
    pub reason: Option<String>,
    /// For people.
    pub message: String,
    /// Every field violation, where the hub refused fields.
    pub violations: Vec<FieldViolation>,
    /// When the hub asks to try again.
    pub retry_after: Option<Duration>,
    /// The connection failed, so the hub may or may not have taken what was sent.
    pub connection_lost: bool,
}

impl CallError {
    /// Whether sending the same bytes again can succeed. It is always safe: what the hub took already is answered
    /// with the first outcome.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        if self.connection_lost {
            return true;
        }
        match self.code {
            Code::Unavailable | Code::DeadlineExceeded => true,
            // A limit of the hub's passes; a peer's limit on the size of a call does not.
            Code::ResourceExhausted => self.reason.is_some(),
            _ => false,
        }
    }

    pub(super) fn timed_out() -> Self {
        Self {
            connection_lost: true,
            ..Self::new(Code::DeadlineExceeded, "no answer in time")
        }
    }

    pub(super) fn stream_ended() -> Self {
        Self {
            connection_lost: true,
            ..Self::new(Code::Unavailable, "the hub ended the stream")
        }
    }

    /// The hub answered something that it may not answer.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: None,
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            connection_lost: false,
        }
    }

    /// A serialized `google.rpc.Status`, as a stream carries it for a refused batch.
    pub(super) fn from_status_bytes(bytes: &[u8]) -> Self {
        match tonic_types::Status::decode(bytes) {
            Ok(status) => Status::with_details(
                Code::from_i32(status.code),
                status.message,
                bytes.to_vec().into(),
            )
            .into(),
            Err(_) => Self::protocol("the hub refused a batch with a status that does not decode"),
        }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        // A status that was made on this side, of an error of the connection, has that error as its source.
        let cause = status.source();
        let message = match cause {
            Some(cause) => format!("{}: {}", status.message(), innermost(cause)),
            None => status.message().to_owned(),
        };
        Self {
            code: status.code(),
            reason: details
                .error_info()
                .filter(|info| info.domain == ERROR_DOMAIN)
                .map(|info| info.reason.clone()),
            violations: details
                .bad_request()
                .map(|request| request.field_violations.as_slice())
                .unwrap_or_default()
                .iter()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            connection_lost: cause.is_some(),
            message,
        }
    }
}

impl From<tonic::transport::Error> for CallError {
    fn from(error: tonic::transport::Error) -> Self {
        Self {
            connection_lost: true,
            ..Self::new(Code::Unavailable, format!("{error}: {}", innermost(&error)))
        }
    }
}

fn innermost(error: &dyn Error) -> &dyn Error {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{reason}: {}", self.message)?,
            None => write!(f, "{:?}: {}", self.code, self.message)?,
        }
        for violation in &self.violations {
            // The message of a single violation may be that violation.
            if self.violations.len() == 1 && self.message.starts_with(&violation.field) {
                continue;
            }
            write!(f, "\n  {}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl Error for CallError {}
