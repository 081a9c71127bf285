//! A durable outbox: signed envelopes are on disk before they are sent, so that after a crash the same bytes are
//! sent again and the hub answers what it already decided.
//!
//! One append-only file, no database: the access is first in, first out, and the only question after a crash is what
//! was not acknowledged yet. [`Outbox::put`] returns after `fsync`; [`Outbox::acknowledge`] does not sync, because a
//! lost acknowledgement only means that an envelope is sent once more. All calls block; in async programs run them on
//! a blocking thread.
//!
//! The file is a header (magic, first free number, CRC-32) and frames: length and CRC-32 of the body, each 4 bytes
//! big-endian; the body is one byte of kind (1 = put, 2 = acknowledged), 8 bytes *durable*, 8 bytes number, and for a
//! put the protobuf of the envelope. *Durable* is the length of the file that was known to be on disk when the frame
//! was written. A damaged frame at or behind every later frame's *durable* was never promised to anyone: it is the
//! torn tail of a crash and is cut off. A damaged frame before it was promised, so the file is refused as corrupt.
//! Damage to the very last synced frames cannot be told from a torn tail.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use hansa_proto::MAX_BATCH_BYTES;
use hansa_proto::v1::Envelope;
use prost::Message as _;

const MAGIC: &[u8; 8] = b"HANSAOB1";
/// Magic, first free number, CRC-32 of both.
const HEADER_LEN: u64 = 20;
/// Length and CRC-32.
const FRAME_HEAD_LEN: usize = 8;
/// Kind, durable, number.
const BODY_HEAD_LEN: usize = 17;
/// A batch, its signature and room for both heads.
const MAX_BODY_LEN: usize = MAX_BATCH_BYTES + 64 * 1024;
const PUT: u8 = 1;
const ACKNOWLEDGED: u8 = 2;
/// Acknowledged bytes beyond which the file is written anew. Unit: bytes.
const COMPACT_AT: u64 = 16 << 20;

/// Number of an envelope in its outbox; grows with each put, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What can go wrong with an outbox.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file system failed.
    #[error("outbox: {0}")]
    Io(#[from] io::Error),
    /// Another process, or another `Outbox`, has the file.
    #[error("the outbox is in use by another process")]
    InUse,
    /// Not a file of an outbox.
    #[error("not an outbox file")]
    NotAnOutbox,
    /// Something that was promised to be on disk is damaged.
    #[error("the outbox is damaged at byte {offset}; nothing was changed")]
    Corrupt {
        /// Where the damage begins. Unit: bytes.
        offset: u64,
    },
    /// An envelope larger than any batch.
    #[error("the envelope is larger than a batch may be")]
    TooLarge,
    /// The ticket is of no envelope that waits.
    #[error("no such envelope waits")]
    UnknownTicket,
    /// A write or a sync failed before; what is on disk is unknown until the outbox is opened again.
    #[error("the outbox failed before; open it again")]
    Poisoned,
}

/// Where an envelope's frame lies. Unit: bytes.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    body_len: u32,
}

impl Place {
    fn frame_len(self) -> u64 {
        u64::from(self.body_len) + FRAME_HEAD_LEN as u64
    }
}

/// A durable queue of signed envelopes. See the module for what it promises.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    file: File,
    len: u64,
    durable: u64,
    next: u64,
    waiting: BTreeMap<u64, Place>,
    poisoned: bool,
}

impl Outbox {
    /// Opens or creates an outbox and takes it for this process. Cuts off what a crash left half-written.
    ///
    /// # Errors
    /// [`OutboxError::Io`], [`OutboxError::InUse`], [`OutboxError::NotAnOutbox`], [`OutboxError::Corrupt`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OutboxError> {
        let path = path.into();
        let file = open_locked(&path)?;
        let mut outbox = Self {
            path,
            file,
            len: 0,
            durable: 0,
            next: 0,
            waiting: BTreeMap::new(),
            poisoned: false,
        };
        outbox.load()?;
        if outbox.acknowledged_bytes() > 0 {
            outbox.compact()?;
        }
        Ok(outbox)
    }

    /// Puts an envelope and returns when it is on disk. Send it only then.
    ///
    /// # Errors
    /// [`OutboxError::Io`], [`OutboxError::TooLarge`], [`OutboxError::Poisoned`].
    pub fn put(&mut self, envelope: &Envelope) -> Result<Ticket, OutboxError> {
        let tickets = self.put_all(std::slice::from_ref(envelope))?;
        tickets.first().copied().ok_or(OutboxError::UnknownTicket)
    }

    /// Puts several envelopes with one sync: all of them are on disk when it returns.
    ///
    /// # Errors
    /// [`OutboxError::Io`], [`OutboxError::TooLarge`], [`OutboxError::Poisoned`]; none was put then.
    pub fn put_all(&mut self, envelopes: &[Envelope]) -> Result<Vec<Ticket>, OutboxError> {
        let mut frames = Vec::new();
        let mut places = Vec::with_capacity(envelopes.len());
        for (number, envelope) in (self.next..).zip(envelopes) {
            let offset = self.len + frames.len() as u64;
            let body_len = push_frame(&mut frames, PUT, self.durable, number, Some(envelope))?;
            places.push((number, Place { offset, body_len }));
        }
        self.append(&frames)?;
        self.sync()?;
        self.next += places.len() as u64;
        let tickets = places.iter().map(|(number, _)| Ticket(*number)).collect();
        self.waiting.extend(places);
        Ok(tickets)
    }

    /// Notes that the hub answered for an envelope: it is not sent again. May be lost in a crash of the machine.
    ///
    /// # Errors
    /// [`OutboxError::Io`], [`OutboxError::UnknownTicket`], [`OutboxError::Poisoned`].
    pub fn acknowledge(&mut self, ticket: Ticket) -> Result<(), OutboxError> {
        if !self.waiting.contains_key(&ticket.0) {
            return Err(OutboxError::UnknownTicket);
        }
        let mut frame = Vec::new();
        push_frame(&mut frame, ACKNOWLEDGED, self.durable, ticket.0, None)?;
        self.append(&frame)?;
        self.waiting.remove(&ticket.0);
        let acknowledged = self.acknowledged_bytes();
        if acknowledged > COMPACT_AT && acknowledged > self.len / 2 {
            self.compact()?;
        }
        Ok(())
    }

    /// What was put and not acknowledged, in the order of the puts: what to send after a start.
    pub fn waiting(&self) -> impl Iterator<Item = Ticket> + '_ {
        self.waiting.keys().map(|number| Ticket(*number))
    }

    /// Number of envelopes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The very bytes that were put.
    ///
    /// # Errors
    /// [`OutboxError::Io`], [`OutboxError::UnknownTicket`], [`OutboxError::Corrupt`].
    pub fn read(&mut self, ticket: Ticket) -> Result<Envelope, OutboxError> {
        let place = *self
            .waiting
            .get(&ticket.0)
            .ok_or(OutboxError::UnknownTicket)?;
        let corrupt = OutboxError::Corrupt {
            offset: place.offset,
        };
        self.file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = vec![0; FRAME_HEAD_LEN + place.body_len as usize];
        self.file.read_exact(&mut bytes)?;
        match parse_frame(&bytes) {
            Some(frame) if frame.kind == PUT && frame.number == ticket.0 => {
                Envelope::decode(frame.envelope).map_err(|_| corrupt)
            }
            _ => Err(corrupt),
        }
    }

    fn acknowledged_bytes(&self) -> u64 {
        let waiting: u64 = self.waiting.values().map(|p| p.frame_len()).sum();
        self.len - HEADER_LEN - waiting
    }

    fn append(&mut self, frames: &[u8]) -> Result<(), OutboxError> {
        if self.poisoned {
            return Err(OutboxError::Poisoned);
        }
        let written = self
            .file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| self.file.write_all(frames));
        if let Err(error) = written {
            // Half a frame, of a full disk for example, must not stand before later frames.
            self.poisoned = self.file.set_len(self.len).is_err();
            return Err(error.into());
        }
        self.len += frames.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), OutboxError> {
        if let Err(error) = self.file.sync_data() {
            // After a failed sync nobody knows what is on disk, and a second one may lie.
            self.poisoned = true;
            return Err(error.into());
        }
        self.durable = self.len;
        Ok(())
    }

    fn load(&mut self) -> Result<(), OutboxError> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        // A crash while the file was created leaves a part of its header or zeros, before anything was put.
        let unborn = header(0).starts_with(&bytes)
            || (bytes.len() as u64 <= HEADER_LEN && bytes.iter().all(|b| *b == 0));
        if unborn && bytes != header(0) {
            self.file.set_len(0)?;
            self.append(&header(0))?;
            self.sync()?;
            sync_folder(&self.path)?;
            return Ok(());
        }
        let head = bytes.get(..HEADER_LEN as usize);
        self.next = head
            .and_then(parse_header)
            .ok_or(OutboxError::NotAnOutbox)?;
        let mut at = HEADER_LEN as usize;
        while let Some(frame) = parse_frame(&bytes[at..]) {
            self.replay(at as u64, &frame);
            at += frame.frame_len();
        }
        if promised_behind(&bytes[at..], at as u64) {
            return Err(OutboxError::Corrupt { offset: at as u64 });
        }
        self.len = at as u64;
        self.file.set_len(self.len)?;
        self.sync()
    }

    fn replay(&mut self, offset: u64, frame: &Frame<'_>) {
        match frame.kind {
            PUT => {
                let body_len = frame.body_len;
                self.waiting
                    .insert(frame.number, Place { offset, body_len });
                self.next = self.next.max(frame.number + 1);
            }
            _ => {
                self.waiting.remove(&frame.number);
            }
        }
    }

    /// Writes the waiting envelopes to a new file and puts it in the place of the old one.
    fn compact(&mut self) -> Result<(), OutboxError> {
        let mut bytes = header(self.next).to_vec();
        let mut places = BTreeMap::new();
        for ticket in self.waiting().collect::<Vec<_>>() {
            let offset = bytes.len() as u64;
            let envelope = self.read(ticket)?;
            let body_len = push_frame(&mut bytes, PUT, 0, ticket.0, Some(&envelope))?;
            places.insert(ticket.0, Place { offset, body_len });
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new_path = PathBuf::from(name);
        match fs::remove_file(&new_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // Locked before it gets its name, so that no other process can take it in between.
        let mut file = open_locked(&new_path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new_path, &self.path)?;
        self.file = file;
        self.len = bytes.len() as u64;
        self.durable = self.len;
        self.waiting = places;
        if let Err(error) = sync_folder(&self.path) {
            self.poisoned = true;
            return Err(error.into());
        }
        Ok(())
    }
}

fn open_locked(path: &Path) -> Result<File, OutboxError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Receipts of members are nobody else's business.
        options.mode(0o600);
    }
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OutboxError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes the name of a new or renamed file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn header(next: u64) -> [u8; HEADER_LEN as usize] {
    let mut out = [0; HEADER_LEN as usize];
    out[..8].copy_from_slice(MAGIC);
    out[8..16].copy_from_slice(&next.to_be_bytes());
    let crc = crc32fast::hash(&out[..16]);
    out[16..].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The first free number.
fn parse_header(bytes: &[u8]) -> Option<u64> {
    let next = u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?);
    (bytes == header(next)).then_some(next)
}

struct Frame<'a> {
    kind: u8,
    durable: u64,
    number: u64,
    envelope: &'a [u8],
    body_len: u32,
}

impl Frame<'_> {
    fn frame_len(&self) -> usize {
        FRAME_HEAD_LEN + self.body_len as usize
    }
}

/// Appends a frame; returns the length of its body.
fn push_frame(
    to: &mut Vec<u8>,
    kind: u8,
    durable: u64,
    number: u64,
    envelope: Option<&Envelope>,
) -> Result<u32, OutboxError> {
    let body_len = BODY_HEAD_LEN + envelope.map_or(0, Envelope::encoded_len);
    if body_len > MAX_BODY_LEN {
        return Err(OutboxError::TooLarge);
    }
    let body_len = u32::try_from(body_len).map_err(|_| OutboxError::TooLarge)?;
    let start = to.len();
    to.extend_from_slice(&body_len.to_be_bytes());
    to.extend_from_slice(&[0; 4]);
    to.push(kind);
    to.extend_from_slice(&durable.to_be_bytes());
    to.extend_from_slice(&number.to_be_bytes());
    if let Some(envelope) = envelope {
        envelope.encode(to).map_err(|_| OutboxError::TooLarge)?;
    }
    let crc = crc32fast::hash(&to[start + FRAME_HEAD_LEN..]);
    to[start + 4..start + FRAME_HEAD_LEN].copy_from_slice(&crc.to_be_bytes());
    Ok(body_len)
}

/// The frame at the beginning of `bytes`, if a whole one with the right checksum stands there.
fn parse_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let body_len = u32::from_be_bytes(*len);
    if !(BODY_HEAD_LEN..=MAX_BODY_LEN).contains(&(body_len as usize)) {
        return None;
    }
    let body = rest.get(..body_len as usize)?;
    let (kind, rest) = body.split_first()?;
    let (durable, rest) = rest.split_first_chunk::<8>()?;
    let (number, envelope) = rest.split_first_chunk::<8>()?;
    let known = *kind == PUT || (*kind == ACKNOWLEDGED && envelope.is_empty());
    if !known || crc32fast::hash(body) != u32::from_be_bytes(*crc) {
        return None;
    }
    Some(Frame {
        kind: *kind,
        durable: u64::from_be_bytes(*durable),
        number: u64::from_be_bytes(*number),
        envelope,
        body_len,
    })
}

/// Whether a frame behind the damage at `offset` says that the damaged bytes were on disk already.
fn promised_behind(damaged: &[u8], offset: u64) -> bool {
    (1..damaged.len())
        .filter_map(|at| parse_frame(&damaged[at..]))
        .any(|frame| frame.durable > offset)
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
