//! The program as its user runs it: arguments in, output and exit code out.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{binary, hub::TestHub};

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Asserts the exit code and returns standard output.
    ///
    /// # Panics
    /// When it is another.
    #[must_use]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.out
    }
}

/// Runs `hansa` against a hub; files are in the hub's test folder, which is its working directory.
#[derive(Clone, Debug)]
pub struct Cli {
    hub: String,
    key: PathBuf,
    folder: PathBuf,
}

impl Cli {
    /// As the operator of a hub.
    #[must_use]
    pub fn new(hub: &TestHub) -> Self {
        Self {
            hub: hub.url(),
            key: hub.file("operator.key.pem"),
            folder: hub.folder().to_owned(),
        }
    }

    /// Against a hub elsewhere, or nowhere.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self {
            hub: url.to_owned(),
            ..self.clone()
        }
    }

    /// A file of the working directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file into the working directory.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Reads a file of the working directory.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::path());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("HANSA_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("HANSA_HUB", &self.hub)
            .env("HANSA_KEY", &self.key)
            .current_dir(Path::new(&self.folder))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end. `arguments` are separated by spaces, except within double quotes.
    ///
    /// # Panics
    /// When it does not start, or does not write UTF-8.
    #[must_use]
    pub fn run(&self, arguments: &str) -> Output {
        let arguments = split(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = self.command(&arguments).output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command and does not wait for it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(&self, arguments: &str) -> Child {
        let arguments = split(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a command with `--json`, which must end with `code`, and returns its document.
    ///
    /// # Panics
    /// When it ends otherwise, or prints anything else.
    #[must_use]
    pub fn json(&self, arguments: &str, code: i32) -> serde_json::Value {
        let out = self.run(&format!("{arguments} --json")).expect(code);
        serde_json::from_str(&out).unwrap()
    }
}

fn split(arguments: &str) -> Vec<String> {
    arguments
        .split('"')
        .enumerate()
        .flat_map(|(index, part)| -> Vec<String> {
            if index % 2 == 1 {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(String::from).collect()
            }
        })
        .collect()
}
