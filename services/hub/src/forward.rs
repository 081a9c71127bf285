//! A front end's whole work: calls go, bytes unchanged, to the owner of the log.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response};
use tonic::{
    Status,
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tower::{Layer, Service, ServiceExt as _};

use crate::{
    error::{HubError, Reason},
    intake,
    ownership::{Ownership, Role},
};

/// Marks a call that was forwarded once: it is not forwarded again.
const FORWARDED: &str = "x-hansa-forwarded";

/// Services of the hub proper; health and reflection answer for this process.
const OURS: &str = "/hansa.v1.";

/// What tonic answers where a message is longer than a service takes: OUT_OF_RANGE, which the hub itself never says.
const TOO_LONG: &str = "11";

/// Header of `google.rpc` details.
const DETAILS: &str = "grpc-status-details-bin";

/// Puts [`Forward`] in front of the services.
#[derive(Clone)]
pub struct ForwardLayer {
    shared: Arc<Peers>,
}

struct Peers {
    ownership: Ownership,
    authority: Option<Certificate>,
    identity: Option<Identity>,
    channels: Mutex<HashMap<String, Channel>>,
}

impl ForwardLayer {
    /// Forwards when `ownership` says that this is a front end. `authority` is that of other processes' certificates,
    /// `identity` what this one shows them.
    pub fn new(
        ownership: Ownership,
        authority: Option<Certificate>,
        identity: Option<Identity>,
    ) -> Self {
        Self {
            shared: Arc::new(Peers {
                ownership,
                authority,
                identity,
                channels: Mutex::default(),
            }),
        }
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward {
            inner,
            peers: Arc::clone(&self.shared),
        }
    }
}

/// Serves locally, or forwards.
#[derive(Clone)]
pub struct Forward<S> {
    inner: S,
    peers: Arc<Peers>,
}

impl Peers {
    fn channel(&self, address: &str) -> Result<Channel, HubError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let mut endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(HubError::internal)?
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            // An owner that is stopped answers no ping: calls that hang on it end, and their callers try again.
            .http2_keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(3))
            .keep_alive_while_idle(true);
        if address.starts_with("https:") {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(authority) = &self.authority {
                tls = tls.ca_certificate(authority.clone());
            }
            if let Some(identity) = &self.identity {
                tls = tls.identity(identity.clone());
            }
            endpoint = endpoint.tls_config(tls).map_err(HubError::internal)?;
        }
        let channel = endpoint.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

/// Whether a call of ours only reads. What others do stands in the log before it is answered.
fn reads(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    let reading = ["Get", "List", "Compare", "Preview"];
    path.starts_with(OURS) && reading.iter().any(|verb| method.starts_with(verb))
}

/// Calls that are too long to be decoded never reach a handler; their refusal gets the reason that they all have.
fn explained(path: &str, response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let too_long = headers
        .get(Status::GRPC_STATUS)
        .is_some_and(|code| code == TOO_LONG);
    if too_long && !headers.contains_key(DETAILS) {
        let exchange = path.contains("ExchangeService");
        let refusal = if exchange {
            intake::too_large()
        } else {
            HubError::new(
                Reason::CallTooLarge,
                "the call is too long; send less in one call",
            )
        };
        return Status::from(refusal).into_http();
    }
    response
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Forward<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let address = match self.peers.ownership.role() {
            Role::FrontEnd { address } if request.uri().path().starts_with(OURS) => address,
            Role::FrontEnd { .. } | Role::Owner { .. } | Role::Starting => {
                let path = request.uri().path().to_owned();
                let reads = reads(&path);
                let answer = self.inner.call(request);
                let peers = Arc::clone(&self.peers);
                return Box::pin(async move {
                    let answer = answer.await?;
                    // What an owner has read may be from before a takeover that it has not noticed yet.
                    match peers.ownership.check() {
                        Err(error) if reads => Ok(Status::from(error).into_http()),
                        Ok(()) | Err(_) => Ok(explained(&path, answer)),
                    }
                });
            }
        };
        if request.headers().contains_key(FORWARDED) {
            return Box::pin(async { Ok(Status::from(HubError::not_owner()).into_http()) });
        }
        request
            .headers_mut()
            .insert(FORWARDED, HeaderValue::from_static("1"));
        let channel = self.peers.channel(&address);
        Box::pin(async move {
            let forwarded = async {
                channel?.oneshot(request).await.map_err(|error| {
                    tracing::warn!(%error, address, "the owner of the log does not answer");
                    HubError::not_owner()
                })
            };
            Ok(forwarded
                .await
                .unwrap_or_else(|error| Status::from(error).into_http()))
        })
    }
}
