//! The hub's binary, beside the test's own: built when it is missing or older than its sources.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// Names a binary to test instead.
pub const BINARY_VARIABLE: &str = "HANSA_BIN";

/// Path of `hansa`. Builds it at most once, under a lock that other test processes wait for.
///
/// # Panics
/// When it does not build.
pub fn path() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| match env::var_os(BINARY_VARIABLE) {
        Some(path) => path.into(),
        None => beside_this_test(),
    })
}

fn beside_this_test() -> PathBuf {
    // target/PROFILE/deps/this-test
    let this = env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    let binary = folder.join(format!("hansa{}", env::consts::EXE_SUFFIX));
    let lock = File::create(folder.join("hansa-tests.lock")).unwrap();
    lock.lock().unwrap();
    if !is_fresh(&binary) {
        build(folder);
    }
    binary
}

/// Newer than every source that cargo noted when it built it.
fn is_fresh(binary: &Path) -> bool {
    let Some(built) = modified(binary) else {
        return false;
    };
    let Ok(noted) = fs::read_to_string(binary.with_extension("d")) else {
        return false;
    };
    let Some((_, sources)) = noted.split_once(": ") else {
        return false;
    };
    // A space within a path is written "\ ".
    sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|path| PathBuf::from(path.replace('\0', " ")))
        .all(|path| modified(&path).is_some_and(|changed| changed <= built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--quiet",
            "-p",
            "hansa-hub",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the hub does not build: {status}");
}
