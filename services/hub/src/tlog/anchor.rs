//! The anchor: the newest signed checkpoint, kept in a file outside the database.
//!
//! A database that was rolled back, restored from an old copy or tampered with still looks whole by itself. The anchor
//! tells: a hub whose log does not extend the anchored checkpoint refuses to start. It is written *after* the commit
//! that made the checkpoint, so that a crash in between leaves it behind the log, never ahead. It may lag; every later
//! checkpoint extends it. The only part of the tree that does IO, blocking: one small file, two fsyncs per write.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::coordinate::{Location, RangeError, RowError};
use super::frontier::Frontier;
use super::hash::Hash;
use super::note::{Checkpoint, LogVerifier, NoteError};

/// Larger files are not read: a note has a few hundred bytes. Unit: bytes.
const MAX_NOTE_LEN: u64 = 64 * 1024;

/// Why the hub must not go on with this store and this anchor. The text tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The file cannot be read or written.
    #[error(
        "the anchor file {path} cannot be used: {source}; make it readable and writable for the hub"
    )]
    Io {
        /// The anchor file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not a checkpoint signed by the log's key.
    #[error(
        "the anchor file {path} is not a checkpoint of this log: {source}; start the hub with the log's own signing \
         key and anchor file, or bring the file back from a copy"
    )]
    Note {
        /// The anchor file.
        path: PathBuf,
        /// What is wrong with the note.
        source: NoteError,
    },
    /// The file is signed under another name: of another log, or this one goes on under another name.
    #[error(
        "the anchor file {path} is of the log {found}, but the hub was started for {wanted}; start it with --origin \
         {found}, or with the anchor file and the store that belong together"
    )]
    Named {
        /// The anchor file.
        path: PathBuf,
        /// The name that the file has.
        found: String,
        /// The name that the hub signs under.
        wanted: String,
    },
    /// The checkpoint is of another log.
    #[error(
        "the anchor is of the log {anchored} but the store holds the log {stored}; start the hub with the store and \
         the anchor file that belong together"
    )]
    Origin {
        /// The log of the anchored checkpoint.
        anchored: String,
        /// The log in the store.
        stored: String,
    },
    /// The store has fewer entries than were signed and answered: some are lost.
    #[error(
        "the store holds {stored} entries but {anchored} were signed: entries {stored} to {last} are lost; bring the \
         database back from its standby or a newer copy; only where there is none, go on without them under another \
         name: hansa reopen",
        last = anchored.saturating_sub(1)
    )]
    Lost {
        /// Leaves in the anchored checkpoint.
        anchored: u64,
        /// Entries in the store.
        stored: u64,
    },
    /// The store has as many entries, but others than were signed.
    #[error(
        "the store's first {size} entries are not those that were signed: the history was changed or belongs to a \
         fork; do not start a hub on this database, keep it for examination and bring back the right one"
    )]
    Fork {
        /// Leaves in the anchored checkpoint.
        size: u64,
    },
    /// The store's tree hashes are damaged.
    #[error("the store's tree is damaged: {0}; bring the database back from its standby or a copy")]
    Row(#[from] RowError),
    /// The anchored size is none that a log can have.
    #[error("the anchor is not of a log of this kind: {0}")]
    Range(#[from] RangeError),
}

/// The anchor file.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    /// Leaves in the newest checkpoint that is known to be in the file.
    size: u64,
}

impl Anchor {
    /// Opens the file and verifies the checkpoint in it. No checkpoint when there is no file: a first start, or a
    /// replica that has not owned the log yet.
    pub fn open(
        path: impl Into<PathBuf>,
        log: &LogVerifier,
    ) -> Result<(Self, Option<Checkpoint>), AnchorError> {
        let path = path.into();
        let Some(note) = read(&path).map_err(|source| io_error(&path, source))? else {
            return Ok((Self { path, size: 0 }, None));
        };
        match log.open(&note) {
            Ok(checkpoint) => {
                let size = checkpoint.size;
                Ok((Self { path, size }, Some(checkpoint)))
            }
            Err(source) => Err(match name_of(&note).filter(|name| *name != log.name()) {
                Some(found) => AnchorError::Named {
                    path,
                    found: found.to_owned(),
                    wanted: log.name().to_owned(),
                },
                None => AnchorError::Note { path, source },
            }),
        }
    }

    /// Replaces the checkpoint in the file, atomically and durably; one that is not newer than the file's is passed
    /// over. Blocks for two fsyncs. Call it only behind the commit of what `note` covers.
    pub fn write(&mut self, size: u64, note: &str) -> Result<(), AnchorError> {
        if size <= self.size {
            return Ok(());
        }
        replace(&self.path, note).map_err(|source| io_error(&self.path, source))?;
        self.size = size;
        Ok(())
    }

    /// Replaces the checkpoint in the file, whatever it is: for a log that goes on after a loss. As [`Anchor::write`] otherwise.
    pub fn restart(&mut self, size: u64, note: &str) -> Result<(), AnchorError> {
        replace(&self.path, note).map_err(|source| io_error(&self.path, source))?;
        self.size = size;
        Ok(())
    }
}

/// A store that is long enough to be compared with the anchor.
#[derive(Clone, Debug)]
pub struct Comparison {
    anchored: Checkpoint,
    needed: Vec<Location>,
}

/// The name in a note's first line, where a signature of that name follows; nothing here says that it holds.
fn name_of(note: &str) -> Option<&str> {
    let name = note.lines().next().filter(|name| !name.is_empty())?;
    let signed = format!("\u{2014} {name} ");
    note.lines()
        .any(|line| line.starts_with(&signed))
        .then_some(name)
}

/// Begins the check that the log `origin` of `store_size` entries extends the anchored checkpoint. Fetch the hashes at
/// [`Comparison::needed`] and hand them to [`Comparison::finish`].
pub fn check(
    anchored: Checkpoint,
    origin: &str,
    store_size: u64,
) -> Result<Comparison, AnchorError> {
    if anchored.origin != origin {
        return Err(AnchorError::Origin {
            anchored: anchored.origin,
            stored: origin.to_owned(),
        });
    }
    if anchored.size > store_size {
        return Err(AnchorError::Lost {
            anchored: anchored.size,
            stored: store_size,
        });
    }
    let needed = Frontier::needed(anchored.size)?;
    Ok(Comparison { anchored, needed })
}

impl Comparison {
    /// The stored hashes that make the root at the anchored size.
    pub fn needed(&self) -> &[Location] {
        &self.needed
    }

    /// Refuses a store whose root at the anchored size is another.
    pub fn finish(self, hashes: Vec<Hash>) -> Result<(), AnchorError> {
        let size = self.anchored.size;
        if Frontier::restore(size, hashes)?.root() == self.anchored.root {
            Ok(())
        } else {
            Err(AnchorError::Fork { size })
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> AnchorError {
    AnchorError::Io {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MAX_NOTE_LEN {
        return Err(ErrorKind::FileTooLarge.into());
    }
    fs::read_to_string(path).map(Some)
}

/// After a crash at any point the file holds the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    // The rename itself is durable only with its directory.
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::coordinate::pick;
    use super::super::hash::leaf_hash;
    use super::super::note::CheckpointSigner;
    use super::super::note::tests::signer;
    use super::*;

    const ORIGIN: &str = "hansa.example/points";

    struct Log {
        frontier: Frontier,
        rows: Vec<Vec<u8>>,
        signer: CheckpointSigner,
    }

    impl Log {
        fn new(leaves: u64) -> Self {
            let mut frontier = Frontier::new();
            let append = |n: u64| frontier.append(leaf_hash(&n.to_be_bytes()));
            let rows = (0..leaves).map(append).collect();
            Self {
                frontier,
                rows,
                signer: signer(ORIGIN, 7),
            }
        }

        fn checkpoint(&self) -> Checkpoint {
            Checkpoint {
                origin: ORIGIN.to_owned(),
                size: self.frontier.size(),
                root: self.frontier.root(),
            }
        }

        fn verifier(&self) -> &LogVerifier {
            self.signer.verifier()
        }

        fn note(&self) -> String {
            self.signer
                .sign(self.frontier.size(), &self.frontier.root())
        }

        fn extends(&self, anchored: Checkpoint) -> Result<(), AnchorError> {
            let comparison = check(anchored, ORIGIN, self.frontier.size())?;
            let row_of = |seq| self.rows.get(seq as usize).map(Vec::as_slice);
            let hashes = pick(comparison.needed(), row_of)?;
            comparison.finish(hashes)
        }
    }

    #[test]
    fn a_log_that_extends_the_anchor_is_accepted() {
        let log = Log::new(1_000);
        for size in [0, 1, 2, 500, 999, 1_000] {
            log.extends(Log::new(size).checkpoint()).unwrap();
        }
    }

    #[test]
    fn a_log_that_lost_its_end_is_refused_with_the_lost_range() {
        let error = Log::new(90)
            .extends(Log::new(100).checkpoint())
            .unwrap_err();
        assert!(matches!(
            error,
            AnchorError::Lost {
                anchored: 100,
                stored: 90
            }
        ));
        assert!(
            error.to_string().contains("entries 90 to 99 are lost"),
            "{error}"
        );
    }

    #[test]
    fn a_log_with_another_history_is_refused_however_long() {
        let mut forked = Frontier::new();
        for n in 0_u64..60 {
            forked.append(leaf_hash(&(n / 59 + n).to_be_bytes()));
        }
        let anchored = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: 60,
            root: forked.root(),
        };
        for size in [60, 61, 1_000] {
            let error = Log::new(size).extends(anchored.clone()).unwrap_err();
            assert!(matches!(error, AnchorError::Fork { size: 60 }), "{error}");
        }
    }

    #[test]
    fn the_anchor_of_another_log_is_refused() {
        let other = Checkpoint {
            origin: "hansa.example/miles".to_owned(),
            ..Log::new(5).checkpoint()
        };
        let error = Log::new(5).extends(other).unwrap_err();
        assert!(matches!(error, AnchorError::Origin { .. }), "{error}");
    }

    #[test]
    fn a_file_that_is_signed_under_another_name_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let log = Log::new(5);
        let renamed = signer("hansa.example/points-2", 1);
        fs::write(&path, renamed.sign(5, &log.frontier.root())).unwrap();
        let error = Anchor::open(&path, log.verifier()).unwrap_err();
        assert!(matches!(error, AnchorError::Named { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("--origin hansa.example/points-2"),
            "{error}"
        );
        // Signed by somebody else under the right name.
        let forged = signer(ORIGIN, 9).sign(5, &log.frontier.root());
        fs::write(&path, forged).unwrap();
        let error = Anchor::open(&path, log.verifier()).unwrap_err();
        assert!(matches!(error, AnchorError::Note { .. }), "{error}");
    }

    #[test]
    fn the_file_keeps_the_newest_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let (old, new) = (Log::new(10), Log::new(20));
        let (mut anchor, found) = Anchor::open(&path, new.verifier()).unwrap();
        assert_eq!(found, None);
        for log in [&old, &new, &old] {
            anchor.write(log.frontier.size(), &log.note()).unwrap();
        }
        let (mut anchor, found) = Anchor::open(&path, new.verifier()).unwrap();
        assert_eq!(found, Some(new.checkpoint()));
        anchor.write(10, &old.note()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), new.note());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_log_that_goes_on_after_a_loss_starts_the_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let (lost, shorter) = (Log::new(20), Log::new(10));
        fs::write(&path, lost.note()).unwrap();
        let (mut anchor, _) = Anchor::open(&path, lost.verifier()).unwrap();
        anchor.restart(10, &shorter.note()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), shorter.note());
        anchor.write(11, &Log::new(11).note()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), Log::new(11).note());
    }

    #[test]
    fn a_file_that_a_crash_left_half_written_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let log = Log::new(10);
        fs::write(&path, log.note()).unwrap();
        fs::write(folder.path().join("anchor.new"), &Log::new(20).note()[..30]).unwrap();
        let (mut anchor, found) = Anchor::open(&path, log.verifier()).unwrap();
        assert_eq!(found, Some(log.checkpoint()));
        anchor.write(30, &Log::new(30).note()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), Log::new(30).note());
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let log = Log::new(10);
        for text in [
            String::new(),
            "x".repeat(100),
            log.note().replacen("10", "11", 1),
        ] {
            fs::write(&path, &text).unwrap();
            let error = Anchor::open(&path, log.verifier()).unwrap_err();
            assert!(matches!(error, AnchorError::Note { .. }), "{error}");
        }
        fs::write(&path, "x".repeat(100_000)).unwrap();
        let error = Anchor::open(&path, log.verifier()).unwrap_err();
        assert!(matches!(error, AnchorError::Io { .. }), "{error}");
    }
}
