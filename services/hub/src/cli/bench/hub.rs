//! The hub under measurement: a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use hansa_client::{
    hub::{CallError, Hub, HubOptions, RetryPolicy},
    keys::SigningKey,
};
use hansa_proto::v1;
use tokio::process::{Child, Command};

use crate::{
    auth::OPERATOR_ISSUER,
    cli::connect::{DEFAULT_AUDIENCE, tokens},
    home::OPERATOR_KEY,
};

/// How long a hub may take to serve: a takeover on PostgreSQL waits for the silence of the one before.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a hub is started with.
#[derive(Debug, Clone)]
pub(super) struct HubCommand {
    /// Its directory; its log is written there, too.
    pub(super) data_dir: PathBuf,
    /// Its database.
    pub(super) database: String,
    /// Members in its memory.
    pub(super) memory_members: usize,
    /// Further options of `hansa serve`.
    pub(super) arguments: Vec<String>,
}

/// A hub that serves. Killed when dropped.
#[derive(Debug)]
pub(super) struct HubProcess {
    child: Child,
    url: String,
    operator: Hub,
    /// From the start of the process until it served.
    pub(super) started_in: Duration,
}

impl HubCommand {
    /// Starts the hub and waits until it serves.
    pub(super) async fn start(&self) -> anyhow::Result<HubProcess> {
        let ready = self.data_dir.join("ready");
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let log = self.data_dir.join("hub.log");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(&self.data_dir)
            .arg("--ready-file")
            .arg(&ready)
            .args(["--memory-members", &self.memory_members.to_string()])
            .args(&self.arguments)
            // Not on the command line: it may hold a password.
            .env("HANSA_DATABASE", &self.database)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()?;
        let address = loop {
            match std::fs::read_to_string(&ready) {
                Ok(address) if !address.is_empty() => break address,
                _ => {}
            }
            if let Some(status) = child.try_wait()? {
                bail!("the hub ended ({status}):\n{}", tail(&log));
            }
            if begun.elapsed() > PATIENCE {
                bail!("the hub does not serve:\n{}", tail(&log));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let url = format!("http://{address}");
        let key = Arc::new(SigningKey::load(self.data_dir.join(OPERATOR_KEY))?);
        let operator = connect(&url, key, OPERATOR_ISSUER).await?;
        // A hub that waits for the owner before it to be dead is ready, too, as a front end.
        let impatient = operator
            .clone()
            .with_retry(RetryPolicy::never(Duration::from_secs(5)));
        while let Err(error) = status(&impatient).await {
            if begun.elapsed() > PATIENCE {
                bail!("the hub does not serve: {error}\n{}", tail(&log));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let started_in = begun.elapsed();
        Ok(HubProcess {
            child,
            url,
            operator,
            started_in,
        })
    }
}

impl HubProcess {
    /// A connection of the operator.
    pub(super) fn operator(&self) -> &Hub {
        &self.operator
    }

    /// A connection of a merchant, its own.
    pub(super) async fn connect(
        &self,
        key: Arc<SigningKey>,
        merchant: &str,
    ) -> anyhow::Result<Hub> {
        connect(&self.url, key, merchant).await
    }

    /// Process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// How far the hub is.
    pub(super) async fn status(&self) -> anyhow::Result<v1::GetStatusResponse> {
        Ok(status(&self.operator).await?)
    }

    /// Waits until the projection has everything.
    pub(super) async fn covered(&self) -> anyhow::Result<v1::GetStatusResponse> {
        loop {
            let status = self.status().await?;
            if status.covered_size == status.tree_size {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the hub")
    }
}

async fn status(hub: &Hub) -> Result<v1::GetStatusResponse, CallError> {
    hub.call(v1::GetStatusRequest {}, async |hub: Hub, request| {
        hub.log().get_status(request).await
    })
    .await
}

async fn connect(url: &str, key: Arc<SigningKey>, issuer: &str) -> anyhow::Result<Hub> {
    let tokens = tokens(key, issuer, DEFAULT_AUDIENCE, 0);
    Ok(Hub::connect(&HubOptions::new(url), Some(Arc::new(tokens))).await?)
}

/// The end of a log file.
fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
