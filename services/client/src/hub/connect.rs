//! Connecting: address, TLS, client certificate, call credentials.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use super::Hub;
use super::error::CallError;
use super::retry::RetryPolicy;
use crate::token::TokenSource;

/// Receive windows, so that answers of full batches do not wait for window updates. Unit: bytes.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A channel whose calls carry credentials.
pub type Authorised = InterceptedService<Channel, Credentials>;

/// Where the hub is and how to reach it.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// `https://host:port`, or `http://host:port` without TLS.
    pub url: String,
    /// Certificates (PEM) of the authorities that the hub's certificate must come from. `None`: the system's.
    pub ca_certificate_pem: Option<Vec<u8>>,
    /// Certificate of this client, for hubs that want one (mTLS).
    pub client_identity: Option<ClientIdentity>,
    /// Name in the hub's certificate, where it is not the host of the URL.
    pub domain_name: Option<String>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// When and how often calls are tried again.
    pub retry: RetryPolicy,
}

impl HubOptions {
    /// Plain options: the system's authorities, no client certificate, 5 s to connect.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_certificate_pem: None,
            client_identity: None,
            domain_name: None,
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, CallError> {
        let invalid = |error: tonic::transport::Error| {
            CallError::new(Code::InvalidArgument, describe(&error))
        };
        let mut endpoint = Endpoint::from_shared(self.url.clone())
            .and_then(|e| e.user_agent(concat!("hansa-client/", env!("CARGO_PKG_VERSION"))))
            .map_err(invalid)?
            .connect_timeout(self.connect_timeout)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        match endpoint.uri().scheme_str() {
            Some("https") => endpoint = endpoint.tls_config(self.tls()).map_err(invalid)?,
            Some("http") if self.has_tls_options() => {
                let message = "certificates are given, but the URL is http, not https";
                return Err(CallError::new(Code::InvalidArgument, message));
            }
            Some("http") => {}
            _ => {
                let message = "the hub's URL begins with http:// or https://";
                return Err(CallError::new(Code::InvalidArgument, message));
            }
        }
        Ok(endpoint)
    }

    fn has_tls_options(&self) -> bool {
        self.ca_certificate_pem.is_some() || self.client_identity.is_some()
    }

    fn tls(&self) -> ClientTlsConfig {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca_certificate_pem {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_native_roots(),
        };
        if let Some(identity) = &self.client_identity {
            tls = tls.identity(Identity::from_pem(
                &identity.certificate_pem,
                &identity.key_pem,
            ));
        }
        if let Some(name) = &self.domain_name {
            tls = tls.domain_name(name);
        }
        tls
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A client's certificate and its key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// Certificate chain, PEM.
    pub certificate_pem: Vec<u8>,
    /// Private key, PEM. Never shown.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// Puts a token on each call.
#[derive(Clone, Debug)]
pub struct Credentials(Option<Arc<TokenSource>>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(tokens) = &self.0 {
            let token = tokens
                .token()
                .map_err(|error| Status::unauthenticated(error.to_string()))?;
            let mut value = MetadataValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Status::unauthenticated("the token is no header value"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

impl Hub {
    /// Prepares a connection that is made with the first call. `tokens`: `None` for calls that need none.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`CallError`] with `INVALID_ARGUMENT` for a URL or certificates that cannot be used.
    pub fn new(options: &HubOptions, tokens: Option<Arc<TokenSource>>) -> Result<Self, CallError> {
        let channel = options.endpoint()?.connect_lazy();
        Ok(Self::over(channel, options.retry, tokens))
    }

    /// Connects now, and tries again as [`HubOptions::retry`] says.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn connect(
        options: &HubOptions,
        tokens: Option<Arc<TokenSource>>,
    ) -> Result<Self, CallError> {
        let endpoint = options.endpoint()?;
        let mut attempts = options.retry.attempts();
        loop {
            match endpoint.connect().await {
                Ok(channel) => return Ok(Self::over(channel, options.retry, tokens)),
                Err(error) => attempts.wait_after(error.into(), None).await?,
            }
        }
    }

    const fn over(channel: Channel, retry: RetryPolicy, tokens: Option<Arc<TokenSource>>) -> Self {
        Self {
            channel,
            tokens,
            retry,
        }
    }

    pub(super) fn service(&self) -> Authorised {
        InterceptedService::new(self.channel.clone(), Credentials(self.tokens.clone()))
    }

    /// The same connection with other retries.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same connection with other call credentials: many merchants of one program share it so.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Option<Arc<TokenSource>>) -> Self {
        self.tokens = tokens;
        self
    }
}
