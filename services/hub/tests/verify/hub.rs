//! A hub in a process of its own, on a test clock, and the program that verifies it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use hansa_client::{
    hub::{Hub, HubOptions},
    keys::SigningKey,
    time::timestamp,
    token::TokenSource,
};
use hansa_proto::v1;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hansa");

/// Seconds of an hour and of a day.
pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2026-01-05T10:00:00Z in seconds.
const START: i64 = 1_767_607_200;

/// A running hub.
pub(crate) struct TestHub {
    process: Child,
    url: String,
    folder: PathBuf,
    now: Arc<AtomicI64>,
}

impl TestHub {
    pub(crate) fn start(folder: &Path) -> Self {
        let ready = folder.join("ready");
        // A hub that was killed leaves its own.
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::File::create(folder.join("hub.log")).unwrap();
        let mut process = Command::new(PROGRAM)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--origin",
                "test.example/log",
            ])
            .args(["--test-clock", "2026-01-05T10:00:00Z"])
            .arg("--data-dir")
            .arg(folder)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let address = loop {
            let address = std::fs::read_to_string(&ready).unwrap_or_default();
            if !address.is_empty() {
                break address;
            }
            let log = || std::fs::read_to_string(folder.join("hub.log")).unwrap();
            assert!(process.try_wait().unwrap().is_none(), "{}", log());
            assert!(Instant::now() < deadline, "{}", log());
            std::thread::sleep(Duration::from_millis(20));
        };
        Self {
            process,
            url: format!("http://{address}"),
            folder: folder.to_owned(),
            now: Arc::new(AtomicI64::new(START * 1_000_000)),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The test clock, microseconds.
    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    /// A connection of whoever holds the key.
    pub(crate) async fn connect(&self, issuer: &str, key: &Arc<SigningKey>) -> Hub {
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || now.load(Ordering::Relaxed));
        let tokens = TokenSource::new(Arc::clone(key), issuer, "hansa", clock);
        let options = HubOptions::new(&self.url);
        Hub::connect(&options, Some(Arc::new(tokens)))
            .await
            .unwrap()
    }

    pub(crate) async fn operator(&self) -> Hub {
        let key = SigningKey::load(self.folder.join("operator.key.pem")).unwrap();
        self.connect("operator", &Arc::new(key)).await
    }

    /// Moves the clock; what falls due is done when this returns.
    pub(crate) async fn wait(&self, operator: &Hub, seconds: i64) {
        let now = self.now() + seconds * 1_000_000;
        let request = v1::SetClockRequest {
            now: Some(timestamp(now)),
        };
        operator.test_clock().set_clock(request).await.unwrap();
        self.now.store(now, Ordering::Relaxed);
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) {
        let id = self.process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
        assert!(self.process.wait().unwrap().success());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        // A test that failed before its end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `hansa verify --json` prints, and its exit code.
pub(crate) fn verify<const N: usize>(args: [&str; N]) -> (i32, Value) {
    let output = Command::new(PROGRAM)
        .args(["verify", "--json"])
        .args(args)
        .env_remove("HANSA_DATABASE")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    assert!(!document.is_null(), "no document, but: {told}");
    (output.status.code().unwrap(), document)
}

/// Verifies the store in a hub's directory.
pub(crate) fn verify_folder(folder: &Path) -> (i32, Value) {
    verify(["--data-dir", folder.to_str().unwrap()])
}
