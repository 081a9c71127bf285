//! The gRPC services: a file per service, each handler small. What they share is [`Shared`].

pub mod affiliates;
pub mod alliance;
pub mod clock;
pub mod cycles;
pub mod disputes;
pub mod exchange;
pub mod finance;
pub mod fraud;
pub mod log;
pub mod members;
pub mod offers;
pub mod page;
mod queries;
pub mod report;
pub mod touches;

use std::sync::Arc;

use hansa_store::Store;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::{
    audit::Audit,
    auth::{Authenticator, Caller},
    clock::Clock,
    error::HubError,
    fraud::Flags,
    limits::Limits,
    ownership::Ownership,
    registry::SharedRegistry,
    sequencer::Sequencer,
    signer::Signer,
    touches::Touches,
};

/// What the services share.
#[derive(Debug)]
pub struct Shared {
    /// Where decisions are made.
    pub sequencer: Sequencer,
    /// Keys and terms as of the last commit.
    pub registry: SharedRegistry,
    /// Verifies tokens.
    pub auth: Authenticator,
    /// The hub's clock.
    pub clock: Clock,
    /// For reads of the log itself.
    pub store: Store,
    /// Per merchant.
    pub limits: Limits,
    /// Whether this process may answer.
    pub ownership: Ownership,
    /// Signs; here for the verifier key.
    pub signer: Arc<Signer>,
    /// Hashes enrolment keys.
    pub alias_key: ring::hmac::Key,
    /// Affiliates' links, and what they bring.
    pub touches: Arc<Touches>,
    /// Flags on affiliates' traffic.
    pub flags: Arc<Flags>,
    /// Whether the auditor agrees.
    pub audit: Arc<Audit>,
    /// What documents were made of.
    pub derived: report::documents::Derived,
    /// The process is to end.
    pub shutdown: CancellationToken,
}

/// All services; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(pub Arc<Shared>);

impl Api {
    /// The caller of a request, where this process may answer at all. Who sees a book of affiliates only is refused.
    pub fn caller<T>(&self, request: &Request<T>) -> Result<Caller, HubError> {
        let caller = self.any_caller(request)?;
        if caller.book().is_some() {
            return Err(HubError::permission_denied(
                "a manager of affiliates reads its own book only",
            ));
        }
        Ok(caller)
    }

    /// The same for calls that tell the managers of affiliates from other operators themselves.
    pub fn any_caller<T>(&self, request: &Request<T>) -> Result<Caller, HubError> {
        self.0.ownership.check()?;
        self.0.auth.caller(request.metadata())
    }
}

impl Api {
    /// Reads a report. What an owner that has lost the log meanwhile read is worth nothing.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&crate::sequencer::View<'_>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let value = self.0.sequencer.read(read).await?;
        self.0.ownership.check()?;
        Ok(value)
    }
}

/// What handlers return.
pub type Answer<T> = Result<tonic::Response<T>, Status>;

/// A successful answer.
pub fn ok<T>(value: T) -> Answer<T> {
    Ok(tonic::Response::new(value))
}
