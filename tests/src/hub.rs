//! A hub for a test: its process, its data directory, its database, its operator.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hansa_client::{
    hub::{Hub, HubOptions, RetryPolicy},
    keys::SigningKey,
    time::timestamp,
    token::TokenSource,
};
use hansa_proto::v1;
use tempfile::TempDir;

use crate::{
    alliance,
    check::answered,
    clock::{Clock, at, micros},
    database::Database,
    merchant::Merchant,
    process::{Ended, Process},
};

/// Audience that hubs have by default.
pub const AUDIENCE: &str = "hansa";

/// How a hub is to run.
#[derive(Clone, Debug)]
pub struct Builder {
    database: Database,
    clock: Clock,
    arguments: Vec<String>,
    tls: Option<HubOptions>,
}

impl Builder {
    /// With a test clock that stands at an instant (RFC 3339).
    #[must_use]
    pub fn test_clock(mut self, instant: &str) -> Self {
        self.clock = Clock::test(at(instant));
        self
    }

    /// With one more argument of `hansa serve`.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Clients connect with these certificates; the URL is filled in.
    #[must_use]
    pub fn tls(mut self, options: HubOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(self) -> TestHub {
        let mut hub = self.prepare();
        hub.start().await;
        hub
    }

    /// A hub with a data directory that is not started yet.
    ///
    /// # Panics
    /// When there is no directory to be had.
    #[must_use]
    pub fn prepare(self) -> TestHub {
        TestHub {
            folder: tempfile::Builder::new()
                .prefix("hansa-test-")
                .tempdir()
                .unwrap(),
            how: self,
            listen: "127.0.0.1:0".into(),
            process: None,
        }
    }
}

/// A hub of a test.
#[derive(Debug)]
pub struct TestHub {
    /// Dropped before the folder that its log is in.
    process: Option<Process>,
    folder: TempDir,
    how: Builder,
    /// Where it listened first; it does so again after a restart.
    listen: String,
}

impl TestHub {
    /// A hub on a new database.
    #[must_use]
    pub fn on(database: &Database) -> Builder {
        Builder {
            database: database.clone(),
            clock: Clock::default(),
            arguments: Vec::new(),
            tls: None,
        }
    }

    /// Another process for the same database, with the same keys in a data directory of its own; not started yet.
    ///
    /// # Panics
    /// When the keys cannot be copied.
    #[must_use]
    pub fn replica(&self) -> Self {
        let replica = self.how.clone().prepare();
        fs::create_dir_all(replica.data_dir()).unwrap();
        for name in ["hub.key.pem", "operator.key.pem", "alias.key"] {
            fs::copy(self.data_dir().join(name), replica.data_dir().join(name)).unwrap();
        }
        replica
    }

    /// The directory of its keys, and of its SQLite file.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it runs on.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.how.database
    }

    /// The time that it and its clients live by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.how.clock
    }

    /// The running process.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the hub runs")
    }

    /// Starts it, or starts it again: same data, same port. Returns when the log is served, by whatever process: on
    /// PostgreSQL a dead owner is waited for.
    ///
    /// # Panics
    /// When it does not start, or refuses for any other reason than that the log is not served yet.
    pub async fn start(&mut self) {
        if let Err(ended) = self.try_start().await {
            panic!("the hub ended with {}:\n{}", ended.status, ended.log);
        }
        if self.how.clock.is_test() {
            self.follow_clock().await;
        }
        let served = self
            .operator()
            .call(v1::GetStatusRequest {}, async |hub: Hub, request| {
                hub.log().get_status(request).await
            })
            .await;
        if let Err(refusal) = served {
            panic!("the hub does not serve: {refusal}");
        }
    }

    /// Clients live by the hub's test clock as it stands: its log may be ahead of what they know of it.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn follow_clock(&self) {
        let now = self
            .connection()
            .call(v1::GetClockRequest {}, async |hub: Hub, request| {
                hub.test_clock().get_clock(request).await
            })
            .await
            .unwrap();
        self.how.clock.set(micros(&now.now.unwrap()));
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it ends before it takes calls.
    pub async fn try_start(&mut self) -> Result<(), Ended> {
        self.process = None;
        let mut arguments = vec![
            "--data-dir".to_owned(),
            self.data_dir().display().to_string(),
            "--listen".to_owned(),
            self.listen.clone(),
        ];
        if let Some(url) = self.how.database.url() {
            arguments.extend(["--database".to_owned(), url.to_owned()]);
        }
        if self.how.clock.is_test() {
            let now = timestamp(self.how.clock.now()).to_string();
            arguments.extend(["--test-clock".to_owned(), now]);
        }
        arguments.extend(self.how.arguments.iter().cloned());
        let process = Process::start(self.folder.path(), &arguments).await?;
        self.listen.clone_from(&process.address);
        self.process = Some(process);
        Ok(())
    }

    /// What it runs on from its next start on.
    pub fn change_database(&mut self, database: Database) {
        self.how.database = database;
    }

    /// The name of its log, from its next start on.
    pub fn change_origin(&mut self, origin: &str) {
        self.how
            .arguments
            .extend(["--origin".to_owned(), origin.to_owned()]);
    }

    /// One more argument of `hansa serve`, from its next start on.
    pub fn add_arg(&mut self, argument: &str) {
        self.how.arguments.push(argument.to_owned());
    }

    /// Who audits its log, from its next start on: `inline`, `separate`, `off`.
    pub fn change_audit(&mut self, mode: &str) {
        let arguments = &mut self.how.arguments;
        if let Some(at) = arguments.iter().position(|argument| argument == "--audit") {
            arguments.drain(at..at + 2);
        }
        arguments.extend(["--audit".to_owned(), mode.to_owned()]);
    }

    /// Whether it has a test clock, from its next start on.
    pub fn change_clock(&mut self, clock: Clock) {
        self.how.clock = clock;
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.process.take().expect("the hub runs").kill();
    }

    /// SIGTERM, and waits until it ended in good order.
    ///
    /// # Panics
    /// When it does not run, or does not end with success.
    pub async fn terminate(&mut self) {
        self.process().signal("TERM");
        let mut process = self.process.take().expect("the hub runs");
        let status = process.wait().await;
        assert!(status.success(), "{status}:\n{}", process.log());
    }

    /// Base URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.how.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.listen)
    }

    /// How clients connect.
    #[must_use]
    pub fn options(&self) -> HubOptions {
        let mut options = self
            .how
            .tls
            .clone()
            .unwrap_or_else(|| HubOptions::new(String::new()));
        options.url = self.url();
        options.retry = RetryPolicy {
            give_up_after: Duration::from_secs(60),
            ..RetryPolicy::default()
        };
        options
    }

    /// A connection of its own, without credentials.
    ///
    /// # Panics
    /// When the options are unusable.
    #[must_use]
    pub fn connection(&self) -> Hub {
        Hub::new(&self.options(), None).unwrap()
    }

    /// Tokens of an issuer.
    #[must_use]
    pub fn tokens(&self, issuer: &str, key: &Arc<SigningKey>) -> Arc<TokenSource> {
        let clock = self.how.clock.clone();
        let clock = Arc::new(move || clock.now());
        Arc::new(TokenSource::new(Arc::clone(key), issuer, AUDIENCE, clock))
    }

    /// The operator's key, made by the hub's first start.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn operator_key(&self) -> Arc<SigningKey> {
        Arc::new(SigningKey::load(self.data_dir().join("operator.key.pem")).unwrap())
    }

    /// The operator's connection.
    #[must_use]
    pub fn operator(&self) -> Hub {
        let tokens = self.tokens("operator", &self.operator_key());
        self.connection().with_tokens(Some(tokens))
    }

    /// Makes the alliance what is given; nothing that is left out changes.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn apply(&self, desired: v1::Alliance) -> v1::ApplyAllianceResponse {
        let request = v1::ApplyAllianceRequest {
            desired: Some(desired),
            validate_only: false,
        };
        answered(self.operator().alliance().apply_alliance(request).await)
    }

    /// Adds or changes a merchant; the programme, too, where there is none yet.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn apply_merchant(&self, merchant: v1::Merchant) {
        let mut desired = v1::Alliance {
            merchants: vec![merchant],
            ..v1::Alliance::default()
        };
        let request = v1::GetAllianceRequest {};
        let standing = answered(self.operator().alliance().get_alliance(request).await);
        if standing.alliance.and_then(|a| a.programme).is_none() {
            desired.programme = Some(alliance::programme());
        }
        self.apply(desired).await;
    }

    /// Changes the state of a merchant.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn set_state(&self, id: &str, state: v1::MerchantState) {
        let merchant = v1::Merchant {
            merchant_id: id.into(),
            state: state.into(),
            ..v1::Merchant::default()
        };
        self.apply_merchant(merchant).await;
    }

    /// Adds an active merchant with a new key.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn onboard(&self, id: &str, contract: v1::Contract) -> Merchant {
        self.apply_merchant(alliance::merchant(id, v1::MerchantState::Active, contract))
            .await;
        self.with_new_key(id).await
    }

    /// Registers a new key for a merchant.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn with_new_key(&self, id: &str) -> Merchant {
        let key = Arc::new(SigningKey::generate().unwrap());
        self.register(v1::Key {
            key_id: key.key_id().into(),
            public_key: key.verifying_key().as_bytes().to_vec(),
            merchant_id: id.into(),
            ..v1::Key::default()
        })
        .await;
        self.merchant(id, key)
    }

    /// Registers a key.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn register(&self, key: v1::Key) {
        let request = v1::RegisterKeyRequest {
            key: Some(key),
            validate_only: false,
        };
        answered(self.operator().alliance().register_key(request).await);
    }

    /// A merchant with this key, on a connection of its own.
    #[must_use]
    pub fn merchant(&self, id: &str, key: Arc<SigningKey>) -> Merchant {
        Merchant {
            id: id.into(),
            hub: self.connection().with_tokens(Some(self.tokens(id, &key))),
            key,
            clock: self.how.clock.clone(),
        }
    }

    /// The same merchant, speaking to this hub.
    #[must_use]
    pub fn reached_by(&self, merchant: &Merchant) -> Merchant {
        self.merchant(&merchant.id, Arc::clone(&merchant.key))
    }

    /// Moves the test clock to an instant (RFC 3339); everything that falls due happens.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn set_clock(&self, instant: &str) {
        self.set_clock_micros(at(instant)).await;
    }

    /// Moves the test clock on. Unit: microseconds.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn advance(&self, by: i64) {
        self.set_clock_micros(self.how.clock.now() + by).await;
    }

    async fn set_clock_micros(&self, to: i64) {
        let request = v1::SetClockRequest {
            now: Some(timestamp(to)),
        };
        let set = answered(self.operator().test_clock().set_clock(request).await);
        self.how.clock.set(micros(&set.now.unwrap()));
    }

    /// How far everything has come.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn status(&self) -> v1::GetStatusResponse {
        let request = v1::GetStatusRequest {};
        answered(self.operator().log().get_status(request).await)
    }

    /// Open points and counts.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn liability(&self) -> v1::GetLiabilityResponse {
        let request = v1::GetLiabilityRequest {};
        answered(self.operator().statements().get_liability(request).await)
    }

    /// Waits until every effect is in the projection.
    ///
    /// # Panics
    /// When it takes more than 20 s.
    pub async fn wait_covered(&self) {
        for _ in 0..2_000 {
            let status = self.status().await;
            if status.covered_size == status.tree_size {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the projection does not catch up");
    }

    /// Has `hansa verify` decide the whole log again from the database, beside the hub.
    ///
    /// # Panics
    /// When it finds anything.
    pub async fn verify(&self) {
        let mut command = std::process::Command::new(crate::binary::path());
        command.arg("verify").arg("--data-dir").arg(self.data_dir());
        if let Some(url) = self.how.database.url() {
            command.args(["--database", url]);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }

    /// The arguments of `hansa verify` for this hub's log.
    #[must_use]
    pub fn verify_command(&self) -> String {
        let data_dir = self.data_dir();
        let database = self.how.database.url();
        let database = database.map(|url| format!(" --database \"{url}\""));
        let database = database.unwrap_or_default();
        format!("verify --data-dir \"{}\"{database}", data_dir.display())
    }

    /// A file of its data directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.data_dir().join(name)
    }

    /// A directory for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
