//! Why the hub refuses a whole call: one transport-free type, mapped to a gRPC status in one place.
//!
//! What is decided message by message is not here: that is `hansa_settlement::OutcomeCode`.

use std::{borrow::Cow, time::Duration};

use hansa_proto::ERROR_DOMAIN;
use hansa_store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Closed list of reasons; the name is the `reason` of the `google.rpc.ErrorInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No `authorization: Bearer` header, or not a JWT.
    TokenMissing,
    /// The token is not a well-formed EdDSA JWT.
    TokenMalformed,
    /// The token's signature is wrong.
    TokenSignatureInvalid,
    /// The token's `exp` has passed.
    TokenExpired,
    /// The token's `nbf` or `iat` lies ahead of the hub's clock: clocks differ too much.
    TokenNotYetValid,
    /// The token is for another audience.
    AudienceMismatch,
    /// The token's issuer is not the owner of its key.
    IssuerMismatch,
    /// No such key.
    KeyUnknown,
    /// The key's validity has ended, or has not begun.
    KeyExpired,
    /// The key was revoked.
    KeyRevoked,
    /// The envelope's signature is wrong.
    SignatureInvalid,
    /// The envelope was signed by someone else than the caller.
    SignerMismatch,
    /// The envelope has not exactly one signature, or another payload type.
    EnvelopeInvalid,
    /// The payload is not a `Batch`, or one of its messages not a `Message`.
    PayloadUndecodable,
    /// More messages or bytes than a batch may have.
    BatchTooLarge,
    /// Fields break rules that need no state; all violations are listed.
    FieldViolations,
    /// The caller may not do this.
    PermissionDenied,
    /// What was asked for does not exist, or is not the caller's.
    NotFound,
    /// The request contradicts the state: says what to do first.
    FailedPrecondition,
    /// The cycle is not closed yet.
    CycleNotClosed,
    /// More bytes than a call may have.
    CallTooLarge,
    /// What finance's rules refuse, under a name of their own.
    Ledger {
        /// Stable name.
        code: &'static str,
        /// The gRPC status code that carries it.
        status: Code,
    },
    /// Limit of this merchant on rate or concurrency.
    LimitExceeded,
    /// The hub does not own the log now; send the same bytes again.
    NotOwner,
    /// The store does not answer; send the same bytes again.
    StoreUnavailable,
    /// The hub shuts down; send the same bytes again.
    ShuttingDown,
    /// A fault of the hub; the cause is in its log.
    Internal,
}

impl Reason {
    /// Stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::TokenMissing => "TOKEN_MISSING",
            Self::TokenMalformed => "TOKEN_MALFORMED",
            Self::TokenSignatureInvalid => "TOKEN_SIGNATURE_INVALID",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TokenNotYetValid => "TOKEN_NOT_YET_VALID",
            Self::AudienceMismatch => "AUDIENCE_MISMATCH",
            Self::IssuerMismatch => "ISSUER_MISMATCH",
            Self::KeyUnknown => "KEY_UNKNOWN",
            Self::KeyExpired => "KEY_EXPIRED",
            Self::KeyRevoked => "KEY_REVOKED",
            Self::SignatureInvalid => "SIGNATURE_INVALID",
            Self::SignerMismatch => "SIGNER_MISMATCH",
            Self::EnvelopeInvalid => "ENVELOPE_INVALID",
            Self::PayloadUndecodable => "PAYLOAD_UNDECODABLE",
            Self::BatchTooLarge => "BATCH_TOO_LARGE",
            Self::FieldViolations => "FIELD_VIOLATIONS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::CycleNotClosed => "CYCLE_NOT_CLOSED",
            Self::CallTooLarge => "CALL_TOO_LARGE",
            Self::Ledger { code, .. } => code,
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::NotOwner => "NOT_OWNER",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Internal => "INTERNAL",
        }
    }

    /// The gRPC status code that carries it.
    pub fn grpc_code(self) -> Code {
        match self {
            Self::TokenMissing
            | Self::TokenMalformed
            | Self::TokenSignatureInvalid
            | Self::TokenExpired
            | Self::TokenNotYetValid
            | Self::AudienceMismatch
            | Self::IssuerMismatch
            | Self::KeyUnknown
            | Self::KeyExpired
            | Self::KeyRevoked
            | Self::SignatureInvalid => Code::Unauthenticated,
            Self::SignerMismatch | Self::PermissionDenied => Code::PermissionDenied,
            Self::EnvelopeInvalid
            | Self::PayloadUndecodable
            | Self::BatchTooLarge
            | Self::FieldViolations
            | Self::CallTooLarge => Code::InvalidArgument,
            Self::NotFound => Code::NotFound,
            Self::FailedPrecondition | Self::CycleNotClosed => Code::FailedPrecondition,
            Self::Ledger { status, .. } => status,
            Self::LimitExceeded => Code::ResourceExhausted,
            Self::NotOwner | Self::StoreUnavailable | Self::ShuttingDown => Code::Unavailable,
            Self::Internal => Code::Internal,
        }
    }

    /// Sending the same bytes again can succeed.
    pub fn is_transient(self) -> bool {
        matches!(
            self.grpc_code(),
            Code::Unavailable | Code::ResourceExhausted
        )
    }
}

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, e.g. `messages[3].accrual.eligible_amount`.
    pub field: String,
    /// Stable name of the rule.
    pub reason: &'static str,
    /// What to do.
    pub description: String,
}

/// A refused call. `message` is for the caller; the internal cause goes to the log where the error is made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", reason.code())]
pub struct HubError {
    /// Why.
    pub reason: Reason,
    /// What to do, for people.
    pub message: Cow<'static, str>,
    /// All field violations at once.
    pub fields: Vec<FieldError>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl HubError {
    /// A refusal without field violations.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// A refusal for broken field rules.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let message = match fields.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            many => format!("{} fields break rules; nothing was taken", many.len()),
        };
        Self {
            fields,
            ..Self::new(Reason::FieldViolations, message)
        }
    }

    /// The caller may not do this.
    pub fn permission_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::PermissionDenied, message)
    }

    /// One broken field rule.
    pub fn field(field: &str, reason: &'static str, description: impl Into<String>) -> Self {
        Self::fields(vec![FieldError {
            field: field.into(),
            reason,
            description: description.into(),
        }])
    }

    /// A fault of the hub: the cause is logged, the caller learns only that there was one.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            Reason::Internal,
            "the hub met an internal error; it is in its log",
        )
    }

    /// What was asked for is not there.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(
            Reason::NotFound,
            format!("{what} does not exist or is not yours"),
        )
    }

    /// The hub lost the log, or never had it.
    pub fn not_owner() -> Self {
        Self::new(
            Reason::NotOwner,
            "this hub does not own the log at the moment; send the same bytes again",
        )
    }
}

impl From<StoreError> for HubError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "store error");
        Self::new(
            Reason::StoreUnavailable,
            "the store did not answer; send the same bytes again",
        )
    }
}

impl From<HubError> for Status {
    fn from(error: HubError) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            error.reason.code(),
            ERROR_DOMAIN,
            std::collections::HashMap::new(),
        );
        if !error.fields.is_empty() {
            details.set_bad_request(
                error
                    .fields
                    .iter()
                    .map(|f| {
                        FieldViolation::new(
                            f.field.clone(),
                            format!("{}: {}", f.reason, f.description),
                        )
                    })
                    .collect::<Vec<_>>(),
            );
        }
        if let Some(after) = error.retry_after {
            details.set_retry_info(Some(after));
        }
        Self::with_error_details(error.reason.grpc_code(), error.message.as_ref(), details)
    }
}
