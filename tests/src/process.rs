//! A hub as a process: started, killed, stopped and continued from outside.

use std::{
    env, fs,
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::binary;

/// How long a hub may take to take calls, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills the hub when its end of the pipe closes: however this test ends, its hubs end with it.
const KEEPER: &str = "cat >/dev/null; kill -KILL $0";

/// A running `hansa serve`. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    keeper: Child,
    log: PathBuf,
    /// `host:port` that it listens on.
    pub address: String,
}

/// A hub that ended instead of taking calls.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub log: String,
}

impl Process {
    /// Starts `hansa serve` with these arguments and waits until it takes calls. Its log goes to `folder`.
    ///
    /// # Errors
    /// [`Ended`] when it ends before.
    ///
    /// # Panics
    /// When it neither ends nor takes calls.
    pub async fn start(folder: &Path, arguments: &[String]) -> Result<Self, Ended> {
        let ready = folder.join("ready");
        let log = folder.join("log");
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(binary::path());
        command
            .arg("serve")
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("HANSA_") {
                command.env_remove(name);
            }
        }
        let child = command.spawn().unwrap();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, &child.id().to_string()])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut process = Self {
            child,
            keeper,
            log,
            address: String::new(),
        };
        let began = Instant::now();
        loop {
            if let Some(status) = process.child.try_wait().unwrap() {
                return Err(Ended {
                    status,
                    log: process.log(),
                });
            }
            let address = fs::read_to_string(&ready).unwrap_or_default();
            if address.contains(':') {
                process.address = address;
                return Ok(process);
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the hub does not get ready:\n{}",
                process.log()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it has written to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(status.success(), "kill -{name}: {status}");
    }

    /// `kill -9`, as a power failure would. Returns when the process is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.dismiss_keeper();
        let _ = self.child.wait();
    }

    /// Before the hub's process id is free for others, which it is when the hub was waited for.
    fn dismiss_keeper(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait(&mut self) -> ExitStatus {
        self.dismiss_keeper();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the hub does not end:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- the hub's log ends with ---\n{}", last.join("\n"));
        }
    }
}
