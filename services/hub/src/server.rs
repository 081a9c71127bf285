//! One hub process: opens the store, serves gRPC, and is either the log's owner or a front end of it.
//!
//! All processes take calls; one holds the gate. A front end forwards what it receives, bytes unchanged, to the owner.
//! A replica takes over when the heartbeat stood still for 5 s of its own monotonic clock.

mod keeper;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use hansa_proto::v1::{
    self, affiliate_service_server::AffiliateServiceServer,
    alliance_service_server::AllianceServiceServer, cycle_service_server::CycleServiceServer,
    dispute_service_server::DisputeServiceServer, exchange_service_server::ExchangeServiceServer,
    finance_service_server::FinanceServiceServer, fraud_service_server::FraudServiceServer,
    log_service_server::LogServiceServer, member_service_server::MemberServiceServer,
    offer_service_server::OfferServiceServer, report_service_server::ReportServiceServer,
    statement_service_server::StatementServiceServer,
    test_clock_service_server::TestClockServiceServer, touch_service_server::TouchServiceServer,
};
use hansa_store::{Kind, Store, StoreOptions};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming};

use self::keeper::Keeper;
use crate::{
    audit::{Audit, AuditOptions},
    auth::Authenticator,
    clock::Clock,
    forward::ForwardLayer,
    fraud::Flags,
    home::Home,
    limits::{LimitOptions, Limits},
    ownership::{Ownership, Role},
    redirect::server::{self as redirect, RedirectOptions},
    registry::SharedRegistry,
    sequencer::{
        Sequencer,
        driver::{Metrics, Options},
    },
    services::{Api, Shared, report::documents::Derived},
    signer::Signer,
    touches::{Touches, parties::Parties, placement::PlacementLookup},
};

/// How long answered calls may take to end on shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Version of the rules by which this release decides.
pub const RULES_VERSION: u32 = 1;

/// Jobs that queue for the sequencer at most.
const QUEUE: usize = 4_096;

/// Certificates.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// PEM file of the server's certificate chain.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the authorities of client certificates; set means that clients must have one.
    pub client_authorities: Option<PathBuf>,
}

/// How a hub process runs.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `sqlite:PATH` or `postgres://...`.
    pub database: String,
    /// Directory of keys and of the anchored checkpoint.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Base URL at which other hub processes reach this one. Default: `http://` and the address listened on.
    pub advertise: Option<String>,
    /// `aud` that tokens must name.
    pub audience: String,
    /// Name of a log that does not exist yet.
    pub origin: String,
    /// Start of the test clock, microseconds; only for stores made with one.
    pub test_clock: Option<i64>,
    /// Sizes of the sequencer's memory.
    pub sequencer: Options,
    /// Limits of each merchant.
    pub limits: LimitOptions,
    /// TLS; none means plain text.
    pub tls: Option<TlsOptions>,
    /// PEM file of the authority that other hub processes' certificates come from.
    pub peer_authority: Option<PathBuf>,
    /// Written with the address when calls are taken.
    pub ready_file: Option<PathBuf>,
    /// Who audits the log.
    pub audit: AuditOptions,
    /// Database of links and touches: `sqlite:PATH` or `postgres://...`.
    pub touches_database: String,
    /// Messages of points are scored behind the traffic.
    pub score_points: bool,
    /// The redirect endpoint; none is served without.
    pub redirect: Option<RedirectOptions>,
}

/// Runs until `shutdown`; finishes what it accepted before it returns.
pub async fn run(options: ServerOptions, shutdown: CancellationToken) -> anyhow::Result<()> {
    let home = Home::open(&options.data_dir)?;
    let listener = TcpListener::bind(options.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another --listen address",
            options.listen
        )
    })?;
    let redirect = match &options.redirect {
        Some(redirect) => Some(redirect::bind(redirect.clone()).await?),
        None => None,
    };
    let address = listener.local_addr()?;
    let owner = owner_name(&address);
    let store_options = StoreOptions {
        application_name: format!("hansa-{owner}"),
        readers: 6,
        ..StoreOptions::default()
    };
    let store = Store::open(&options.database, &store_options)
        .await
        .with_context(|| {
            format!(
                "cannot open the database {}",
                without_password(&options.database)
            )
        })?;
    let clock = options.test_clock.map_or(Clock::System, Clock::test);
    let registry = SharedRegistry::default();
    let (sequencer, jobs) = Sequencer::channel(QUEUE);
    let (serving, mut is_serving) = watch::channel(false);
    let ownership = Ownership::new(serving.subscribe());
    let signer = Arc::new(Signer::new(home.hub_key()?, &options.origin)?);
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let advertise = options
        .advertise
        .clone()
        .unwrap_or_else(|| format!("{scheme}://{address}"));
    let audit = Arc::new(Audit::new(options.audit.clone()));
    let touches_store = open_touches(&options.touches_database, &owner).await?;
    let parties = Arc::new(Parties::new(ownership.clone(), registry.clone()));
    let touches = Arc::new(Touches::new(
        touches_store.clone(),
        Arc::clone(&signer),
        clock.clone(),
        Arc::clone(&parties),
        home.token_key()?,
        {
            let parties = Arc::clone(&parties);
            PlacementLookup::new(move |placed| parties.rules(placed))
        },
    )?);
    let flags = Arc::new(Flags::new(
        (store.clone(), touches_store.clone()),
        home.token_key()?,
        registry.clone(),
        sequencer.clone(),
        clock.clone(),
        options.score_points,
    ));
    let api = Api(Arc::new(Shared {
        sequencer: sequencer.clone(),
        registry: registry.clone(),
        auth: Authenticator::new(registry.clone(), clock.clone(), &options.audience),
        clock: clock.clone(),
        store: store.clone(),
        limits: Limits::new(options.limits.clone()),
        ownership: ownership.clone(),
        signer: Arc::clone(&signer),
        alias_key: home.alias_key()?,
        touches: Arc::clone(&touches),
        flags: Arc::clone(&flags),
        audit: Arc::clone(&audit),
        derived: Derived::default(),
        shutdown: shutdown.clone(),
    }));

    if store.kind() == Kind::Postgres {
        let (store, shutdown) = (store.clone(), shutdown.clone());
        tokio::spawn(async move { parties.follow(&store, &shutdown).await });
    }
    let redirected = redirect.map(|bound| {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { bound.serve(touches, shutdown).await })
    });

    let keeper = Keeper {
        store,
        signer,
        clock,
        registry,
        ownership: ownership.clone(),
        operator_keys: home.operator_keys()?,
        options: options.clone(),
        owner,
        advertise,
        serving,
        shutdown: shutdown.clone(),
        metrics: Metrics::default(),
        sequencer,
        audit,
        flags,
    };
    let keeper: JoinHandle<anyhow::Result<()>> =
        tokio::spawn(async move { keeper.run(jobs).await });

    let ready = options.ready_file.clone();
    let role = ownership.clone();
    tokio::spawn(async move {
        loop {
            let front_end = matches!(role.role(), Role::FrontEnd { .. });
            if *is_serving.borrow() || front_end {
                tracing::info!(%address, "taking calls");
                if let Some(path) = ready {
                    let _ = std::fs::write(path, address.to_string());
                }
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), is_serving.changed()).await;
        }
    });

    let grpc = serve_grpc(api, &options, listener, ownership, shutdown.clone());
    tokio::pin!(grpc);
    let mut keeper = keeper;
    tokio::select! {
        served = &mut grpc => {
            shutdown.cancel();
            served?;
            keeper.await??;
        }
        kept = &mut keeper => {
            // The keeper ends when it was asked to, with everything committed, or when it cannot go on.
            let failed = kept?;
            shutdown.cancel();
            failed?;
            // Callers may hold streams open for ever; what they sent was answered.
            if let Ok(served) = tokio::time::timeout(DRAIN, &mut grpc).await {
                served?;
            }
        }
    }
    if let Some(redirected) = redirected {
        redirected.await??;
    }
    touches_store.close().await?;
    Ok(())
}

/// Opens the store of links and touches: connections of its own, which no successor of the log's owner ends.
async fn open_touches(database: &str, owner: &str) -> anyhow::Result<Store> {
    let options = StoreOptions {
        application_name: format!("hansa-touches-{owner}"),
        readers: 6,
        sqlite_cache_bytes: 32 << 20,
        sqlite_reader_cache_bytes: 4 << 20,
        sqlite_wal_bytes: 64 << 20,
        ..StoreOptions::default()
    };
    Store::open(database, &options)
        .await
        .with_context(|| format!("cannot open the database {}", without_password(database)))
}

/// Services that reflection lists for every hub.
const SERVICES: [&str; 14] = [
    v1::affiliate_service_server::SERVICE_NAME,
    v1::alliance_service_server::SERVICE_NAME,
    v1::cycle_service_server::SERVICE_NAME,
    v1::dispute_service_server::SERVICE_NAME,
    v1::exchange_service_server::SERVICE_NAME,
    v1::finance_service_server::SERVICE_NAME,
    v1::fraud_service_server::SERVICE_NAME,
    v1::log_service_server::SERVICE_NAME,
    v1::member_service_server::SERVICE_NAME,
    v1::offer_service_server::SERVICE_NAME,
    v1::statement_service_server::SERVICE_NAME,
    v1::touch_service_server::SERVICE_NAME,
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
];

async fn serve_grpc(
    api: Api,
    options: &ServerOptions,
    listener: TcpListener,
    ownership: Ownership,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ExchangeServiceServer<Api>>().await;
    // Without a test clock, its service is not there: the list must not say so.
    let clock_service_name = api
        .0
        .clock
        .is_test()
        .then_some(v1::test_clock_service_server::SERVICE_NAME);
    let reflection = SERVICES
        .into_iter()
        .chain(clock_service_name)
        .fold(
            tonic_reflection::server::Builder::configure(),
            tonic_reflection::server::Builder::with_service_name,
        )
        .register_encoded_file_descriptor_set(hansa_proto::DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20);
    if let Some(tls) = &options.tls {
        server = server.tls_config(tls_config(tls)?)?;
    }
    // Where clients must show a certificate, so must a front end.
    let identity = match &options.tls {
        Some(tls) => Some(Identity::from_pem(read(&tls.certificate)?, read(&tls.key)?)),
        None => None,
    };
    let peer_authority = match &options.peer_authority {
        Some(path) => Some(Certificate::from_pem(read(path)?)),
        None => None,
    };
    // An envelope is at most 1 MiB of payload, with some room for the rest of the request.
    let limit = hansa_proto::MAX_BATCH_BYTES + (64 << 10);
    let large = 16 << 20;
    let clock_service = api
        .0
        .clock
        .is_test()
        .then(|| TestClockServiceServer::new(api.clone()));
    // Without TCP_NODELAY a small answer waits 40 ms for the peer's acknowledgement; the server's own option for it
    // does not reach a listener that was bound elsewhere.
    let incoming = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(Duration::from_secs(60)));
    let drained = {
        let shutdown = shutdown.clone();
        async move { shutdown.cancelled().await }
    };
    server
        .layer(ForwardLayer::new(ownership, peer_authority, identity))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(ExchangeServiceServer::new(api.clone()).max_decoding_message_size(limit))
        .add_service(
            AffiliateServiceServer::new(api.clone())
                .max_decoding_message_size(large)
                .max_encoding_message_size(large),
        )
        .add_service(AllianceServiceServer::new(api.clone()).max_encoding_message_size(large))
        .add_service(MemberServiceServer::new(api.clone()))
        .add_service(CycleServiceServer::new(api.clone()).max_encoding_message_size(large))
        .add_service(StatementServiceServer::new(api.clone()))
        .add_service(ReportServiceServer::new(api.clone()).max_encoding_message_size(large))
        .add_service(
            FinanceServiceServer::new(api.clone())
                .max_decoding_message_size(large)
                .max_encoding_message_size(large),
        )
        .add_service(DisputeServiceServer::new(api.clone()).max_decoding_message_size(large))
        .add_service(FraudServiceServer::new(api.clone()).max_encoding_message_size(large))
        .add_service(TouchServiceServer::new(api.clone()).max_decoding_message_size(large))
        .add_service(
            OfferServiceServer::new(api.clone())
                .max_decoding_message_size(large)
                .max_encoding_message_size(large),
        )
        .add_service(LogServiceServer::new(api).max_encoding_message_size(large))
        .add_optional_service(clock_service)
        .serve_with_incoming_shutdown(incoming, drained)
        .await
        .context("the gRPC server failed")
}

fn tls_config(tls: &TlsOptions) -> anyhow::Result<ServerTlsConfig> {
    let identity = Identity::from_pem(read(&tls.certificate)?, read(&tls.key)?);
    let config = ServerTlsConfig::new().identity(identity);
    Ok(match &tls.client_authorities {
        Some(path) => config.client_ca_root(Certificate::from_pem(read(path)?)),
        None => config,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Unique among processes on one database: what a successor terminates backends by.
fn owner_name(address: &SocketAddr) -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() & 0xffff_ffff);
    format!("{}-{}-{nanos:08x}", std::process::id(), address.port())
}

/// A database URL that may be shown.
fn without_password(url: &str) -> String {
    let base = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = base.split_once("://") else {
        return base.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}")
        }
        None => base.to_owned(),
    }
}
