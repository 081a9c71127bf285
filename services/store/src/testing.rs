//! A throw-away PostgreSQL server for tests: with `fsync`, on a Unix socket and on a port of its own.
//!
//! The server runs below a shell that waits for this process's end of a pipe: however this process ends, even killed or
//! with the guard in a static, the server stops and its directory is removed.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

/// When set, the URL of a server that the tests use instead of starting one; its user must be able to create databases.
pub const URL_VARIABLE: &str = "HANSA_TEST_POSTGRES_URL";
/// When `1`, a test that needs PostgreSQL and finds none fails instead of being skipped.
pub const REQUIRE_VARIABLE: &str = "HANSA_REQUIRE_POSTGRES";

const USER: &str = "hansa";

/// Sensible for two cores and a test: the WAL does not force checkpoints, and a commit still waits for the disk.
const SETTINGS: [&str; 7] = [
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "wal_compression=off",
    "checkpoint_timeout=15min",
    "jit=off",
    "log_min_messages=warning",
    "log_checkpoints=off",
];

/// Stops what was started when its end of the pipe closes: at once, without writing out what is thrown away.
const KEEPER: &str = r#"
directory=$1; shift
"$@" </dev/null >"$directory/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
rm -rf "$directory"
"#;

/// A PostgreSQL server for tests. Dropped, or at the end of this process, it stops and its files are removed.
#[derive(Debug)]
pub struct PostgresServer {
    source: Source,
    databases: AtomicU32,
}

#[derive(Debug)]
enum Source {
    /// The environment names it.
    Given(String),
    Started {
        keeper: Child,
        directory: PathBuf,
        port: u16,
    },
}

impl PostgresServer {
    /// The URL of the server's own database, over a Unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// The URL of a database of this server: over a Unix socket when this module started the server.
    #[must_use]
    pub fn database_url(&self, database: &str) -> String {
        match &self.source {
            Source::Given(url) => with_database(url, database),
            Source::Started {
                directory, port, ..
            } => format!(
                "postgres://{USER}@localhost:{port}/{database}?host={}",
                directory.display()
            ),
        }
    }

    /// The URL of a database of this server over TCP.
    #[must_use]
    pub fn tcp_url(&self, database: &str) -> String {
        match &self.source {
            Source::Given(url) => with_database(url, database),
            Source::Started { port, .. } => {
                format!("postgres://{USER}@127.0.0.1:{port}/{database}")
            }
        }
    }

    /// Creates an empty database and returns its name.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn create_database(&self) -> std::result::Result<String, sqlx::Error> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("hansa_test_{}_{number}", std::process::id());
        let url = match &self.source {
            Source::Given(url) => url.clone(),
            Source::Started { .. } => self.url(),
        };
        let mut connection = PgConnection::connect(&url).await?;
        let drop = format!("DROP DATABASE IF EXISTS {name}");
        let create = format!("CREATE DATABASE {name}");
        for statement in [drop, create] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        connection.close().await?;
        Ok(name)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Source::Started { keeper, .. } = &mut self.source {
            drop(keeper.stdin.take());
            // The keeper ends once the server did.
            let _ = keeper.wait();
        }
    }
}

/// One server for all tests of this process, started at first use; `None` (and a loud line) when there is no PostgreSQL.
///
/// # Panics
/// When PostgreSQL is required by [`REQUIRE_VARIABLE`] and missing, or does not start.
#[expect(
    clippy::panic,
    reason = "only tests call this, and a panic is how they fail"
)]
pub fn shared_postgres() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER
        .get_or_init(|| match start_postgres() {
            Ok(server) => Some(server),
            Err(error) if error.kind() == ErrorKind::NotFound && !required() => {
                eprintln!("SKIPPED: NO POSTGRESQL: {error}");
                None
            }
            Err(error) => panic!("PostgreSQL does not start: {error}"),
        })
        .as_ref()
}

fn required() -> bool {
    std::env::var(REQUIRE_VARIABLE).is_ok_and(|value| value == "1")
}

/// Starts a server, or takes the one that [`URL_VARIABLE`] names. Blocks for a second or two.
///
/// # Errors
/// [`ErrorKind::NotFound`] when this machine has no PostgreSQL; any other when it does not start.
pub fn start_postgres() -> Result<PostgresServer> {
    if let Ok(url) = std::env::var(URL_VARIABLE) {
        return Ok(PostgresServer {
            source: Source::Given(url),
            databases: AtomicU32::new(0),
        });
    }
    let programs = programs()?;
    let user = server_user()?;
    let directory = directory()?;
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid))?;
    }
    let data = directory.join("data");
    let mut initdb = command_as(&programs.join("initdb"), user, &directory);
    initdb
        .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg(format!("--username={USER}"))
        .arg("-D")
        .arg(&data);
    let output = initdb.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let _ = std::fs::remove_dir_all(&directory);
        return Err(Error::other(String::from_utf8_lossy(&output.stderr)));
    }
    let port = free_port()?;
    let mut keeper = command_as(Path::new("/bin/sh"), user, &directory);
    keeper
        .args(["-c", KEEPER, "keeper"])
        .arg(&directory)
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(&directory)
        .arg(format!("-p{port}"))
        .arg("-clisten_addresses=127.0.0.1")
        .args(SETTINGS.map(|setting| format!("-c{setting}")))
        // Out of reach of a Ctrl-C at the terminal, which must not stop the server before the test.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = PostgresServer {
        source: Source::Started {
            keeper: keeper.spawn()?,
            directory: directory.clone(),
            port,
        },
        databases: AtomicU32::new(0),
    };
    wait_ready(&programs, &directory, port)?;
    Ok(server)
}

fn wait_ready(programs: &Path, directory: &Path, port: u16) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        let ready = Command::new(programs.join("pg_isready"))
            .arg("-q")
            .arg("-h")
            .arg(directory)
            .arg(format!("-p{port}"))
            .status()?;
        if ready.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    Err(Error::other(format!("PostgreSQL did not start:\n{log}")))
}

/// The newest installed version's programs, or those on the path.
fn programs() -> Result<PathBuf> {
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("postgres").exists())
        .collect();
    installed.sort();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    installed
        .pop()
        .map(|(_, bin)| bin)
        .or_else(|| {
            std::env::split_paths(&on_path).find(|directory| {
                ["postgres", "initdb"]
                    .iter()
                    .all(|p| directory.join(p).exists())
            })
        })
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "no PostgreSQL server on this machine"))
}

/// PostgreSQL refuses to run as root: then, the user and group to run it as.
fn server_user() -> Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .map(Some)
        .ok_or_else(|| Error::other("no unprivileged user to run PostgreSQL as"))
}

fn command_as(program: &Path, user: Option<(u32, u32)>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env_remove("PGDATA");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// A directory whose name is short enough for a socket.
fn directory() -> Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("hansa-pg-");
    let usual = std::env::temp_dir();
    let directory = if usual.as_os_str().len() > 60 {
        builder.tempdir_in("/tmp")?
    } else {
        builder.tempdir()?
    };
    // The keeper removes it.
    Ok(directory.keep())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Puts another database into a URL.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (url, String::new()),
    };
    let start = base.find("://").map_or(0, |at| at + 3);
    let end = base[start..].find('/').map_or(base.len(), |at| start + at);
    format!("{}/{database}{query}", &base[..end])
}
