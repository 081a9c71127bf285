//! `hansa serve`: runs a hub.

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args as ClapArgs, ValueEnum};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::connect::{DEFAULT_AUDIENCE, DEFAULT_DATA_DIR};
use crate::{
    audit::{self, AuditMode, AuditOptions},
    limits::LimitOptions,
    redirect::{address::Proxy, server::RedirectOptions},
    sequencer::driver::Options,
    server::{self, ServerOptions, TlsOptions},
    touches,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Options of a hub. What the command line leaves out comes from the configuration file, then from the defaults.
#[derive(Debug, Clone, Default, ClapArgs, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Args {
    /// Configuration file (TOML); keys are the names of these options with '_' for '-'.
    #[arg(long, env = "HANSA_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Database: sqlite:PATH or postgres://USER@HOST/NAME. Default: sqlite:DATA_DIR/hansa.db.
    #[arg(
        long,
        env = "HANSA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// Directory of the hub's keys; made on the first start. Default: hansa-data.
    #[arg(long, env = "HANSA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on. Default: 127.0.0.1:7443.
    #[arg(long, env = "HANSA_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Base URL at which other hub processes on the same database reach this one.
    #[arg(long, env = "HANSA_ADVERTISE", value_name = "URL")]
    advertise: Option<String>,
    /// Audience that tokens must name. Default: hansa.
    #[arg(long, env = "HANSA_AUDIENCE")]
    audience: Option<String>,
    /// Name of the log, in its checkpoints; fixed when the log begins. Default: hansa.example/log.
    #[arg(long, env = "HANSA_ORIGIN")]
    origin: Option<String>,
    /// Members in memory. Default: 500000.
    #[arg(long, env = "HANSA_MEMORY_MEMBERS", value_name = "N")]
    memory_members: Option<usize>,
    /// Batches of one merchant under way at once. Default: 256.
    #[arg(long, env = "HANSA_CONCURRENT_BATCHES", value_name = "N")]
    concurrent_batches: Option<usize>,
    /// Messages per second of one merchant; 0 = no limit. Default: 0.
    #[arg(long, env = "HANSA_MESSAGES_PER_SECOND", value_name = "N")]
    messages_per_second: Option<u32>,
    /// Messages of one merchant that may come at once beyond the average. Default: 100000.
    #[arg(long, env = "HANSA_BURST_MESSAGES", value_name = "N")]
    burst_messages: Option<u32>,
    /// PEM file of the server's certificate chain; goes with --tls-key.
    #[arg(
        long,
        env = "HANSA_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,
    /// PEM file of the server's TLS key.
    #[arg(
        long,
        env = "HANSA_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
    /// PEM file of the authorities of client certificates: clients must then show one (mTLS).
    #[arg(
        long,
        env = "HANSA_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_client_ca: Option<PathBuf>,
    /// PEM file of the authority of other hub processes' certificates.
    #[arg(long, env = "HANSA_PEER_CA", value_name = "FILE")]
    peer_ca: Option<PathBuf>,
    /// Who audits the log: inline, on a thread of the process that owns it (default); separate, by `hansa audit --follow`; off.
    /// Without an auditor no cycle can be approved.
    #[arg(long, env = "HANSA_AUDIT", value_enum)]
    audit: Option<AuditMode>,
    /// Database of the auditor's own state. Default: the same PostgreSQL database; for sqlite:PATH.db, sqlite:PATH-audit.db.
    #[arg(
        long,
        env = "HANSA_AUDIT_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    audit_database: Option<String>,
    /// Address of the redirect endpoint for affiliates' links, over HTTP. Default: none is served.
    #[arg(long, env = "HANSA_REDIRECT_LISTEN", value_name = "ADDR")]
    redirect_listen: Option<SocketAddr>,
    /// PEM file of the redirect endpoint's certificate chain; goes with --redirect-tls-key. Without, it speaks plain HTTP.
    #[arg(
        long,
        env = "HANSA_REDIRECT_TLS_CERT",
        value_name = "FILE",
        requires = "redirect_tls_key"
    )]
    redirect_tls_cert: Option<PathBuf>,
    /// PEM file of the redirect endpoint's TLS key.
    #[arg(
        long,
        env = "HANSA_REDIRECT_TLS_KEY",
        value_name = "FILE",
        requires = "redirect_tls_cert"
    )]
    redirect_tls_key: Option<PathBuf>,
    /// Proxies in front of the redirect endpoint, addresses or networks: their X-Forwarded-For is believed, nobody else's.
    #[arg(
        long,
        env = "HANSA_REDIRECT_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    redirect_trusted_proxies: Option<Vec<Proxy>>,
    /// Database of links and touches. Default: the same PostgreSQL database; with SQLite, sqlite:DATA_DIR/touches.db.
    #[arg(
        long,
        env = "HANSA_TOUCHES_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    touches_database: Option<String>,
    /// Score messages of points for farming, impossible speed and burning behind a linked account, an hour behind the traffic: each is read
    /// once more. Flags are for people to look at; nothing waits for them.
    #[arg(long, env = "HANSA_SCORE_POINTS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    score_points: Option<bool>,
    /// Log lines as text or JSON. Default: text. RUST_LOG sets what is logged.
    #[arg(long, env = "HANSA_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// For tests: a clock that stands at this instant (RFC 3339) until it is set by RPC. Refuses a log made without.
    #[arg(long, value_name = "INSTANT")]
    #[serde(skip)]
    test_clock: Option<DateTime<Utc>>,
    /// Write the address to this file when calls are taken.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    ready_file: Option<PathBuf>,
    /// Write the redirect endpoint's address to this file when it takes requests.
    #[arg(long, value_name = "FILE", requires = "redirect_listen")]
    #[serde(skip)]
    redirect_ready_file: Option<PathBuf>,
    /// End in good order when standard input closes: for a program that starts a hub of its own and may be killed.
    #[arg(long)]
    #[serde(skip)]
    exit_with_stdin: bool,
}

impl Args {
    /// Fills what is missing from the configuration file.
    fn with_file(mut self) -> anyhow::Result<Self> {
        let Some(path) = &self.config else {
            return Ok(self);
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let file: Self = toml::from_str(&text)
            .with_context(|| format!("the configuration {} is wrong", path.display()))?;
        macro_rules! fill {
            ($($field:ident),*) => { $( self.$field = self.$field.take().or(file.$field); )* };
        }
        fill!(
            database,
            data_dir,
            listen,
            advertise,
            audience,
            origin,
            memory_members,
            concurrent_batches,
            messages_per_second,
            burst_messages,
            tls_cert,
            tls_key,
            tls_client_ca,
            peer_ca,
            audit,
            audit_database,
            redirect_listen,
            redirect_tls_cert,
            redirect_tls_key,
            redirect_trusted_proxies,
            touches_database,
            score_points,
            log_format
        );
        Ok(self)
    }

    fn options(self) -> anyhow::Result<ServerOptions> {
        let data_dir = self.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
        let database = self
            .database
            .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("hansa.db").display()));
        let audit = AuditOptions {
            mode: self.audit.unwrap_or_default(),
            database: self
                .audit_database
                .unwrap_or_else(|| audit::default_database(&database)),
        };
        let touches_database = self
            .touches_database
            .unwrap_or_else(|| touches::default_database(&database, &data_dir));
        let redirect_tls = match (self.redirect_tls_cert, self.redirect_tls_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => anyhow::bail!("redirect_tls_cert and redirect_tls_key go together"),
        };
        let redirect = self.redirect_listen.map(|listen| RedirectOptions {
            listen,
            tls: redirect_tls,
            trusted_proxies: self.redirect_trusted_proxies.unwrap_or_default(),
            ready_file: self.redirect_ready_file,
        });
        let limits = LimitOptions::default();
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsOptions {
                certificate,
                key,
                client_authorities: self.tls_client_ca,
            }),
            (None, None) => None,
            _ => anyhow::bail!("tls_cert and tls_key go together"),
        };
        let mut sequencer = Options::default();
        sequencer.memory_members = self.memory_members.unwrap_or(sequencer.memory_members);
        Ok(ServerOptions {
            database,
            data_dir,
            listen: self
                .listen
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 7443))),
            advertise: self.advertise,
            audience: self.audience.unwrap_or_else(|| DEFAULT_AUDIENCE.into()),
            origin: self.origin.unwrap_or_else(|| "hansa.example/log".into()),
            test_clock: self.test_clock.map(|at| at.timestamp_micros()),
            sequencer,
            limits: LimitOptions {
                concurrent_batches: self.concurrent_batches.unwrap_or(limits.concurrent_batches),
                messages_per_second: self
                    .messages_per_second
                    .unwrap_or(limits.messages_per_second),
                burst_messages: self.burst_messages.unwrap_or(limits.burst_messages),
            },
            tls,
            peer_authority: self.peer_ca,
            ready_file: self.ready_file,
            audit,
            touches_database,
            score_points: self.score_points.unwrap_or(false),
            redirect,
        })
    }
}

/// Runs a hub until SIGTERM or SIGINT.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let args = args.with_file()?;
    start_log(args.log_format.unwrap_or(LogFormat::Text));
    let shutdown = CancellationToken::new();
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        tracing::info!("shutting down: finishing what was accepted");
        signalled.cancel();
    });
    if args.exit_with_stdin {
        let closed = shutdown.clone();
        // A thread of its own: a blocking read of the runtime's would keep the program from ending.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            closed.cancel();
        });
    }
    server::run(args.options()?, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second hub in one process, as tests have it, keeps the first one's log.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

pub(super) async fn wait_for_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
