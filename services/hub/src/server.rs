//! One hub process: opens the store, serves gRPC, and is either the log's owner or a front end of it.
//!
//! All processes take calls; one holds the gate. A front end forwards what it receives, bytes unchanged, to the owner.
//! A replica takes over when the heartbeat stood still for 5 s of its own monotonic clock.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hansa_proto::v1::{
    self, affiliate_service_server::AffiliateServiceServer,
    alliance_service_server::AllianceServiceServer, cycle_service_server::CycleServiceServer,
    dispute_service_server::DisputeServiceServer, exchange_service_server::ExchangeServiceServer,
    finance_service_server::FinanceServiceServer, log_service_server::LogServiceServer,
    member_service_server::MemberServiceServer, report_service_server::ReportServiceServer,
    statement_service_server::StatementServiceServer,
    test_clock_service_server::TestClockServiceServer, touch_service_server::TouchServiceServer,
};
use hansa_store::{Kind, Store, StoreOptions};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming};

use crate::{
    anchor::Anchoring,
    audit::{Audit, AuditOptions},
    auth::Authenticator,
    clock::Clock,
    convert::timestamp,
    error::HubError,
    forward::ForwardLayer,
    home::{CHECKPOINT, Home},
    limits::{LimitOptions, Limits},
    ownership::{Ownership, Role},
    redirect::server::{self as redirect, RedirectOptions},
    registry::SharedRegistry,
    sequencer::{
        Jobs, Sequencer,
        driver::{Driver, Metrics, Options, Stop},
        recovery::LoadError,
    },
    services::{Api, Shared, report::documents::Derived},
    signer::Signer,
    touches::{Touches, parties::Parties, placement::PlacementLookup},
};

/// A heartbeat that stood still this long belongs to nobody.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// Between two looks at the gate, and two heartbeats.
const BEAT: Duration = Duration::from_secs(1);

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
const SERVICES: [&str; 12] = [
    v1::affiliate_service_server::SERVICE_NAME,
    v1::alliance_service_server::SERVICE_NAME,
    v1::cycle_service_server::SERVICE_NAME,
    v1::dispute_service_server::SERVICE_NAME,
    v1::exchange_service_server::SERVICE_NAME,
    v1::finance_service_server::SERVICE_NAME,
    v1::log_service_server::SERVICE_NAME,
    v1::member_service_server::SERVICE_NAME,
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
        .add_service(TouchServiceServer::new(api.clone()).max_decoding_message_size(large))
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

/// Keeps the gate, or watches it.
struct Keeper {
    store: Store,
    signer: Arc<Signer>,
    clock: Clock,
    registry: SharedRegistry,
    ownership: Ownership,
    operator_keys: Vec<(String, [u8; 32])>,
    options: ServerOptions,
    owner: String,
    advertise: String,
    serving: watch::Sender<bool>,
    shutdown: CancellationToken,
    metrics: Metrics,
    sequencer: Sequencer,
    audit: Arc<Audit>,
}

impl Keeper {
    async fn run(self, mut jobs: Jobs) -> anyhow::Result<()> {
        let mut failures = 0_u32;
        while let Some(epoch) = self.acquire(&mut jobs).await? {
            let taken_at = Instant::now();
            let stop = self.own(&mut jobs, epoch).await;
            match stop {
                Stop::Shutdown => {
                    jobs.refuse_all(&shutting_down());
                    self.store.close().await?;
                    return Ok(());
                }
                Stop::Fenced => {
                    tracing::warn!(
                        epoch,
                        "another hub owns the log now; this one is a front end"
                    );
                    // What this process had accepted as the owner is not forwarded: its callers send it again.
                    jobs.refuse_all(&HubError::not_owner());
                }
                Stop::Failed(LoadError::Corrupt(cause)) => {
                    jobs.refuse_all(&HubError::not_owner());
                    anyhow::bail!("the log cannot be served: {cause}");
                }
                Stop::Failed(LoadError::Store(error)) => {
                    let restarts = &self.metrics.restarts;
                    restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    failures = if taken_at.elapsed() > Duration::from_secs(60) {
                        1
                    } else {
                        failures + 1
                    };
                    tracing::error!(%error, cause = ?std::error::Error::source(&error).map(ToString::to_string), failures, "the sequencer restarts");
                    jobs.refuse_all(&HubError::from(error));
                    let pause = Duration::from_millis(100 << failures.min(6));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.shutdown.cancelled() => return Ok(()),
                    }
                }
            }
        }
        jobs.refuse_all(&shutting_down());
        Ok(())
    }

    /// Waits until the gate is this process's; `None` on shutdown. Meanwhile this is a front end.
    async fn acquire(&self, jobs: &mut Jobs) -> anyhow::Result<Option<u64>> {
        if self.store.kind() == Kind::Sqlite {
            // The lock file keeps every other process away.
            return Ok(Some(
                self.store
                    .take_gate(&self.owner, &self.advertise, None)
                    .await?,
            ));
        }
        let mut seen: Option<(u64, u64, Instant)> = None;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(None);
            }
            jobs.refuse_all(&HubError::not_owner());
            match self.store.read_gate().await {
                Err(error) => tracing::warn!(%error, "the gate cannot be read"),
                Ok(gate) => {
                    let expected = match gate {
                        None => Some(0),
                        // An earlier epoch of this very process, one that ended in good order, or one that
                        // died and left its address to this one.
                        Some(gate)
                            if gate.owner == self.owner
                                || gate.address.is_empty()
                                || self.inherited(&gate.address) =>
                        {
                            Some(gate.epoch)
                        }
                        Some(gate) => {
                            self.ownership.set(Role::FrontEnd {
                                address: gate.address.clone(),
                            });
                            let same = seen.filter(|(epoch, beat, _)| {
                                (*epoch, *beat) == (gate.epoch, gate.beat)
                            });
                            let since = same.map_or_else(Instant::now, |(_, _, since)| since);
                            seen = Some((gate.epoch, gate.beat, since));
                            let dead = since.elapsed() >= DEAD_AFTER + self.jitter();
                            if dead {
                                tracing::warn!(
                                    epoch = gate.epoch,
                                    owner = gate.owner,
                                    "the owner is silent; taking over"
                                );
                                let name = format!("hansa-{}", gate.owner);
                                let ended = self.store.terminate_backends_of(&name).await;
                                tracing::info!(?ended, "backends of the silent owner terminated");
                            }
                            dead.then_some(gate.epoch)
                        }
                    };
                    if let Some(expected) = expected {
                        match self
                            .store
                            .take_gate(&self.owner, &self.advertise, Some(expected))
                            .await
                        {
                            Ok(epoch) => return Ok(Some(epoch)),
                            Err(error) => {
                                tracing::info!(%error, "somebody else took the gate");
                                seen = None;
                            }
                        }
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = self.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    /// Whether an owner at this address must be gone, because this process listens there now.
    fn inherited(&self, address: &str) -> bool {
        self.options.advertise.is_none() && self.advertise == address
    }

    /// Up to half a second that differs between processes, so that replicas do not race.
    fn jitter(&self) -> Duration {
        let sum: u64 = self.owner.bytes().map(u64::from).sum();
        Duration::from_millis((sum * 37) % 500)
    }

    async fn own(&self, jobs: &mut Jobs, epoch: u64) -> Stop {
        let fenced = CancellationToken::new();
        let beats = self.spawn_heartbeat(epoch, fenced.clone());
        let anchor = self.options.data_dir.join(CHECKPOINT);
        let anchoring = match Anchoring::open(anchor, self.signer.verifier(), self.signer.origin())
        {
            Ok(anchoring) => anchoring,
            Err(error) => return Stop::Failed(LoadError::Corrupt(error.to_string())),
        };
        let genesis = || self.genesis();
        let driver = Driver {
            store: &self.store,
            signer: &self.signer,
            clock: &self.clock,
            registry: &self.registry,
            options: &self.options.sequencer,
            metrics: &self.metrics,
            anchoring: &anchoring,
            genesis: &genesis,
            serving: &self.serving,
            shutdown: &self.shutdown,
            fenced: &fenced,
        };
        match self.store.weaknesses().await {
            Ok(weaknesses) => {
                for weakness in weaknesses {
                    tracing::warn!("{weakness}");
                }
            }
            Err(error) => tracing::warn!(%error, "how durable the database is cannot be asked"),
        }
        let confirmed_at = (self.store.kind() == Kind::Postgres).then(Instant::now);
        self.ownership.set(Role::Owner { confirmed_at });
        let audited = CancellationToken::new();
        let name = format!("hansa-{}", self.owner);
        let auditor = self.audit.start(
            &self.options.database,
            &name,
            &self.sequencer,
            audited.clone(),
        );
        let certifying = {
            let (audit, sequencer) = (Arc::clone(&self.audit), self.sequencer.clone());
            let cancel = audited.clone();
            tokio::spawn(async move { audit.certify(&sequencer, &cancel).await })
        };
        let stop = driver.run(jobs, epoch).await;
        audited.cancel();
        certifying.abort();
        if let Some(auditor) = auditor {
            // It saves what it has; a thread that panicked has told so.
            let _ = tokio::task::spawn_blocking(move || auditor.join()).await;
        }
        beats.abort();
        // Behind its end it cannot set the role any more.
        let _ = beats.await;
        self.ownership.set(Role::Starting);
        if matches!(stop, Stop::Shutdown) {
            // An empty address tells the others that they need not wait.
            let _ = self.store.heartbeat(epoch, "").await;
        }
        stop
    }

    fn spawn_heartbeat(&self, epoch: u64, fenced: CancellationToken) -> JoinHandle<()> {
        let (store, advertise, ownership) = (
            self.store.clone(),
            self.advertise.clone(),
            self.ownership.clone(),
        );
        let replicated = store.kind() == Kind::Postgres;
        tokio::spawn(async move {
            loop {
                // Taken before the question: the answer may be old when it arrives.
                let asked_at = Instant::now();
                let beat = tokio::time::timeout(BEAT * 2, store.heartbeat(epoch, &advertise));
                let Ok(beat) = beat.await else {
                    tracing::warn!("the heartbeat is not answered");
                    continue;
                };
                match beat {
                    Ok(true) if replicated => ownership.set(Role::Owner {
                        confirmed_at: Some(asked_at),
                    }),
                    Ok(true) => {}
                    Ok(false) => {
                        ownership.set(Role::Starting);
                        fenced.cancel();
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the heartbeat failed"),
                }
                tokio::time::sleep(BEAT).await;
            }
        })
    }

    fn genesis(&self) -> v1::Genesis {
        let now = self.clock.now_micros();
        v1::Genesis {
            origin: self.signer.origin().to_owned(),
            rules_version: RULES_VERSION,
            hub_public_key: self.signer.public_key().to_vec(),
            operator_keys: self
                .operator_keys
                .iter()
                .map(|(key_id, public_key)| v1::Key {
                    key_id: key_id.clone(),
                    public_key: public_key.to_vec(),
                    valid_from: Some(timestamp(now)),
                    ..v1::Key::default()
                })
                .collect(),
            test_clock: self.clock.is_test(),
        }
    }
}

fn shutting_down() -> HubError {
    HubError::new(
        crate::error::Reason::ShuttingDown,
        "the hub shuts down; send the same bytes again",
    )
}
