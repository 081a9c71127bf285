//! The hub of a replay: a process of its own, started again when it dies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::process::{Child, ChildStdin, Command};

/// Restarts before a replay gives up.
const MAX_RESTARTS: u32 = 100;

/// What it takes to start the hub.
#[derive(Debug, Clone)]
pub struct HubProcess {
    /// Directory of keys, log file and anchored checkpoint.
    pub data_dir: PathBuf,
    /// Database URL.
    pub database: String,
    /// The test clock that the replay has set last, microseconds.
    pub clock: Arc<AtomicI64>,
}

/// A hub that runs.
#[derive(Debug)]
pub struct Running {
    process: HubProcess,
    child: Child,
    /// Held apart from the child: waiting for a child closes its own.
    lifeline: Option<ChildStdin>,
    /// `127.0.0.1:PORT`.
    pub address: String,
    restarts: u32,
}

impl HubProcess {
    fn ready_file(&self) -> PathBuf {
        self.data_dir.join("hub.address")
    }

    fn log_file(&self) -> PathBuf {
        self.data_dir.join("hub.log")
    }

    /// Starts the hub and waits until it takes calls.
    pub async fn start(self) -> anyhow::Result<Running> {
        let (mut child, address) = self.spawn("127.0.0.1:0").await?;
        Ok(Running {
            process: self,
            lifeline: child.stdin.take(),
            child,
            address,
            restarts: 0,
        })
    }

    async fn spawn(&self, listen: &str) -> anyhow::Result<(Child, String)> {
        fs::create_dir_all(&self.data_dir)
            .with_context(|| format!("cannot make the directory {}", self.data_dir.display()))?;
        let ready = self.ready_file();
        let _ = fs::remove_file(&ready);
        let log = fs::File::create(self.log_file())
            .with_context(|| format!("cannot write {}", self.log_file().display()))?;
        let now = DateTime::<Utc>::from_timestamp_micros(self.clock.load(Ordering::Acquire))
            .unwrap_or_default();
        let program =
            std::env::current_exe().context("cannot find this program to start the hub with")?;
        let mut child = Command::new(program)
            .arg("serve")
            .args([
                "--listen",
                listen,
                "--test-clock",
                &now.to_rfc3339_opts(SecondsFormat::Micros, true),
            ])
            .arg("--data-dir")
            .arg(&self.data_dir)
            .arg("--ready-file")
            .arg(&ready)
            // Not on the command line: a URL may hold a password, and command lines are public.
            .env("HANSA_DATABASE", &self.database)
            .env_remove("HANSA_CONFIG")
            // Closes when this program ends, however it ends: the hub then ends in good order.
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the hub")?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "the hub ended at once ({status}): {}",
                    tail(&self.log_file())
                );
            }
            if let Some(address) = fs::read_to_string(&ready)
                .ok()
                .filter(|text| !text.is_empty())
            {
                return Ok((child, address));
            }
            if began.elapsed() > Duration::from_secs(120) {
                bail!(
                    "the hub takes no calls after two minutes: {}",
                    tail(&self.log_file())
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The last lines of the hub's log.
fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

impl Running {
    /// Does work that needs the hub; a hub that dies meanwhile is started again.
    pub async fn beside<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                revived = self.revive() => revived?,
            }
        }
    }

    /// Returns when the hub has died and runs again, at the same address and with the clock that was set last.
    async fn revive(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await?;
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            bail!(
                "the hub died {MAX_RESTARTS} times ({status}): {}",
                tail(&self.process.log_file())
            );
        }
        let (mut child, _) = self
            .process
            .spawn(&self.address)
            .await
            .with_context(|| format!("the hub died ({status})"))?;
        self.lifeline = child.stdin.take();
        self.child = child;
        Ok(())
    }

    /// Times the hub was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Ends the hub in good order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id() {
            let _ = Command::new("kill")
                .args(["-TERM", &pid.to_string()])
                .status()
                .await;
        }
        if tokio::time::timeout(Duration::from_secs(30), self.child.wait())
            .await
            .is_err()
        {
            self.child.kill().await?;
        }
        Ok(())
    }
}
