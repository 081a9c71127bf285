//! Connections of the redirect endpoint: HTTP/1.1, with or without TLS. Bounded: so many connections, so long for a
//! handshake and for a request's head, so many bytes of it.

use std::{net::SocketAddr, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Peer, address::Proxy, router};
use crate::touches::Touches;

/// Connections at once; more wait in the system's queue.
const CONNECTIONS: u32 = 16_384;

/// How long a TLS handshake or a request's head may take, and how long a connection may idle.
const HEAD: Duration = Duration::from_secs(15);

/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 16 << 10;

/// How long the answers under way may take on shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// Where and how redirects are served.
#[derive(Debug, Clone)]
pub struct RedirectOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// PEM files of the certificate chain and of its key; none means plain text.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Proxy>,
    /// Written with the address when requests are taken.
    pub ready_file: Option<PathBuf>,
}

/// An endpoint that has its address and takes no request yet.
pub(crate) struct Bound {
    options: RedirectOptions,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// Takes the address and reads the certificate.
pub(crate) async fn bind(options: RedirectOptions) -> anyhow::Result<Bound> {
    let tls = match &options.tls {
        Some((certificate, key)) => Some(acceptor(certificate, key)?),
        None => None,
    };
    let listener = TcpListener::bind(options.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another --redirect-listen address",
            options.listen
        )
    })?;
    Ok(Bound {
        options,
        listener,
        tls,
    })
}

impl Bound {
    /// Serves until `shutdown`; the answers under way are given first.
    pub(crate) async fn serve(
        self,
        touches: Arc<Touches>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let address = self.listener.local_addr()?;
        tracing::info!(%address, tls = self.tls.is_some(), "leading shoppers");
        if let Some(path) = &self.options.ready_file {
            std::fs::write(path, address.to_string())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let router = router(touches, self.options.trusted_proxies);
        let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let (stream, peer, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: some will be free in a moment.
                    tracing::warn!(%error, "a connection cannot be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (tls, router, shutdown) = (self.tls.clone(), router.clone(), shutdown.clone());
            tokio::spawn(async move {
                let _place = place;
                match tls {
                    None => talk(stream, peer, router, shutdown).await,
                    Some(tls) => {
                        // Who breaks a handshake off is told nothing.
                        let greeted = tokio::time::timeout(HEAD, tls.accept(stream)).await;
                        if let Ok(Ok(stream)) = greeted {
                            talk(stream, peer, router, shutdown).await;
                        }
                    }
                }
            });
        }
        // Every connection holds a place until it is through.
        let all = places.acquire_many(CONNECTIONS);
        let _ = tokio::time::timeout(DRAIN, all).await;
        Ok(())
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> anyhow::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

async fn talk<S>(stream: S, peer: SocketAddr, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // Whatever a browser does to its connection is its own business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn acceptor(certificate: &PathBuf, key: &PathBuf) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificates {}", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the key {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .context("certificate and key do not fit")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
