//! How commands reach a hub and who they are there.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use hansa_client::{
    hub::{ClientIdentity, Hub, HubOptions},
    keys::SigningKey,
    time::system_now_micros,
    token::TokenSource,
};
use hansa_proto::v1;

use crate::{auth::OPERATOR_ISSUER, convert::micros};

/// Audience that a hub has unless it is told otherwise.
pub const DEFAULT_AUDIENCE: &str = "hansa";

/// Directory of a hub's keys unless it is told otherwise.
pub const DEFAULT_DATA_DIR: &str = "hansa-data";

/// How long a command tries to reach a hub that does not answer: somebody waits at the terminal.
const PATIENCE: Duration = Duration::from_secs(5);

/// The hub, and the key to speak with.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// Base URL of the hub.
    #[arg(
        long,
        env = "HANSA_HUB",
        default_value = "http://127.0.0.1:7443",
        value_name = "URL"
    )]
    pub hub: String,
    /// PEM file of the private key: an operator's, or with --merchant a merchant's.
    #[arg(
        long,
        env = "HANSA_KEY",
        default_value = "hansa-data/operator.key.pem",
        value_name = "FILE"
    )]
    pub key: PathBuf,
    /// Identifier of the key where it is not derived from the key itself.
    #[arg(long, env = "HANSA_KEY_ID", value_name = "ID")]
    pub key_id: Option<String>,
    /// Speak as this merchant. Default: as an operator.
    #[arg(long, env = "HANSA_MERCHANT", value_name = "ID")]
    pub merchant: Option<String>,
    /// Audience of the hub.
    #[arg(long, env = "HANSA_AUDIENCE", default_value = DEFAULT_AUDIENCE)]
    pub audience: String,
    /// PEM file of the authority of the hub's certificate. Default: the system's authorities.
    #[arg(long, env = "HANSA_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of this client's certificate (mTLS); goes with --client-key.
    #[arg(
        long,
        env = "HANSA_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key"
    )]
    pub client_cert: Option<PathBuf>,
    /// PEM file of this client's TLS key.
    #[arg(
        long,
        env = "HANSA_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    pub client_key: Option<PathBuf>,
}

impl Connection {
    /// Loads the key.
    pub fn signing_key(&self) -> anyhow::Result<SigningKey> {
        let hint = "; name another with --key or HANSA_KEY";
        let key = SigningKey::load(&self.key)
            .with_context(|| format!("cannot read the key {}{hint}", self.key.display()))?;
        Ok(match &self.key_id {
            Some(id) => key.with_key_id(id.clone())?,
            None => key,
        })
    }

    fn options(&self) -> anyhow::Result<HubOptions> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let mut options = HubOptions::new(&self.hub);
        options.retry.give_up_after = PATIENCE;
        options.ca_certificate_pem = self.ca.as_ref().map(read).transpose()?;
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            options.client_identity = Some(ClientIdentity {
                certificate_pem: read(certificate)?,
                key_pem: read(key)?,
            });
        }
        Ok(options)
    }

    /// Connects. Tokens live by the hub's clock when it is a test clock, otherwise by the system's.
    pub async fn connect(&self) -> anyhow::Result<Hub> {
        let key = Arc::new(self.signing_key()?);
        let hub = Hub::connect(&self.options()?, None)
            .await
            .with_context(|| {
                format!(
                    "cannot reach the hub at {}; is it running? (hansa serve)",
                    self.hub
                )
            })?;
        let offset = clock_offset(&hub).await;
        let issuer = self.merchant.as_deref().unwrap_or(OPERATOR_ISSUER);
        Ok(hub.with_tokens(Some(Arc::new(tokens(key, issuer, &self.audience, offset)))))
    }
}

/// Tokens of an issuer by the system's clock plus `offset_micros`.
pub fn tokens(
    key: Arc<SigningKey>,
    issuer: &str,
    audience: &str,
    offset_micros: i64,
) -> TokenSource {
    TokenSource::new(
        key,
        issuer,
        audience,
        Arc::new(move || system_now_micros().saturating_add(offset_micros)),
    )
}

/// How far the hub's test clock is from the system's; 0 for a hub without one.
async fn clock_offset(hub: &Hub) -> i64 {
    match hub.test_clock().get_clock(v1::GetClockRequest {}).await {
        Ok(answer) => answer
            .into_inner()
            .now
            .map_or(0, |now| micros(&now) - system_now_micros()),
        Err(_) => 0,
    }
}
