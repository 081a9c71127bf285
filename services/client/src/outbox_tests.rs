//! Tests of the outbox.

use bytes::Bytes;
use hansa_proto::BATCH_PAYLOAD_TYPE;

use super::*;
use crate::dsse;
use crate::keys::SigningKey;

struct Place {
    // Held so that the folder lives as long as the test.
    _folder: tempfile::TempDir,
    path: PathBuf,
    key: SigningKey,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join("outbox"),
            _folder: folder,
            key: SigningKey::generate().unwrap(),
        }
    }

    fn open(&self) -> Outbox {
        Outbox::open(&self.path).unwrap()
    }

    fn envelope(&self, n: u8) -> Envelope {
        dsse::sign(BATCH_PAYLOAD_TYPE, Bytes::from(vec![n; 100]), &self.key)
    }

    /// What a process finds that starts now.
    fn waiting(&self) -> Vec<Envelope> {
        let mut outbox = self.open();
        let tickets: Vec<_> = outbox.waiting().collect();
        tickets
            .into_iter()
            .map(|t| outbox.read(t).unwrap())
            .collect()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(&self.path, bytes).unwrap();
    }
}

#[test]
fn what_was_put_is_found_again_byte_for_byte() {
    let place = Place::new();
    let sent: Vec<_> = (0..3).map(|n| place.envelope(n)).collect();
    let mut outbox = place.open();
    outbox.put(&sent[0]).unwrap();
    outbox.put_all(&sent[1..]).unwrap();
    assert_eq!(outbox.len(), 3);
    drop(outbox);
    assert_eq!(place.waiting(), sent);
}

#[test]
fn what_was_acknowledged_is_not_sent_again() {
    let place = Place::new();
    let sent: Vec<_> = (0..3).map(|n| place.envelope(n)).collect();
    let mut outbox = place.open();
    let tickets = outbox.put_all(&sent).unwrap();
    outbox.acknowledge(tickets[1]).unwrap();
    assert!(matches!(
        outbox.acknowledge(tickets[1]),
        Err(OutboxError::UnknownTicket)
    ));
    assert!(matches!(
        outbox.read(tickets[1]),
        Err(OutboxError::UnknownTicket)
    ));
    drop(outbox);
    assert_eq!(place.waiting(), [sent[0].clone(), sent[2].clone()]);
}

#[test]
fn tickets_are_never_used_twice() {
    let place = Place::new();
    let mut outbox = place.open();
    let first = outbox.put(&place.envelope(1)).unwrap();
    outbox.acknowledge(first).unwrap();
    drop(outbox);
    // Opening wrote the file anew, without the acknowledged envelope.
    let mut outbox = place.open();
    assert!(outbox.is_empty());
    drop(outbox);
    assert_eq!(place.bytes().len() as u64, HEADER_LEN);
    outbox = place.open();
    assert!(outbox.put(&place.envelope(2)).unwrap() > first);
}

#[test]
fn every_torn_tail_is_cut_off_and_the_rest_is_kept() {
    let place = Place::new();
    let sent: Vec<_> = (0..2).map(|n| place.envelope(n)).collect();
    let mut outbox = place.open();
    outbox.put(&sent[0]).unwrap();
    let whole = outbox.len;
    outbox.put(&sent[1]).unwrap();
    drop(outbox);
    let bytes = place.bytes();
    for len in usize::try_from(whole).unwrap()..bytes.len() {
        // Cut short, as after kill -9; and the tail as zeros, as after a power cut.
        let mut zeros = bytes[..len].to_vec();
        zeros.resize(bytes.len(), 0);
        for torn in [&bytes[..len], &zeros] {
            place.write(torn);
            assert_eq!(place.waiting(), sent[..1], "{len}");
            // What is put next is found.
            place.open().put(&sent[1]).unwrap();
            assert_eq!(place.waiting(), sent, "{len}");
        }
    }
}

#[test]
fn a_torn_put_of_several_keeps_what_was_promised_before() {
    // A power cut may have written the second of two unsynced frames and not the first.
    let place = Place::new();
    let sent: Vec<_> = (0..3).map(|n| place.envelope(n)).collect();
    let mut outbox = place.open();
    outbox.put(&sent[0]).unwrap();
    let whole = usize::try_from(outbox.len).unwrap();
    outbox.put_all(&sent[1..]).unwrap();
    drop(outbox);
    let mut bytes = place.bytes();
    bytes[whole + 30] ^= 1;
    place.write(&bytes);
    assert_eq!(place.waiting(), sent[..1]);
}

#[test]
fn damage_to_what_was_promised_is_refused_and_left_alone() {
    let place = Place::new();
    let mut outbox = place.open();
    outbox.put(&place.envelope(0)).unwrap();
    let whole = usize::try_from(outbox.len).unwrap();
    outbox.put(&place.envelope(1)).unwrap();
    drop(outbox);
    let bytes = place.bytes();
    for at in usize::try_from(HEADER_LEN).unwrap()..whole {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        place.write(&damaged);
        assert!(
            matches!(
                Outbox::open(&place.path),
                Err(OutboxError::Corrupt { offset }) if offset == HEADER_LEN
            ),
            "{at}"
        );
        assert_eq!(place.bytes(), damaged);
    }
}

#[test]
fn a_half_written_header_is_an_empty_outbox() {
    for len in 0..usize::try_from(HEADER_LEN).unwrap() {
        let place = Place::new();
        place.write(&header(0)[..len]);
        assert!(place.open().is_empty());
        assert_eq!(place.bytes(), header(0));
        place.write(&vec![0; len + 1]);
        assert!(place.open().is_empty());
    }
}

#[test]
fn other_files_are_refused_and_left_alone() {
    for content in [&b"short"[..], b"something that is longer than a header"] {
        let place = Place::new();
        place.write(content);
        assert!(matches!(
            Outbox::open(&place.path),
            Err(OutboxError::NotAnOutbox)
        ));
        assert_eq!(place.bytes(), content);
    }
}

#[test]
fn one_process_has_the_outbox() {
    let place = Place::new();
    let outbox = place.open();
    assert!(matches!(Outbox::open(&place.path), Err(OutboxError::InUse)));
    drop(outbox);
    place.open();
}

#[test]
fn the_file_does_not_grow_without_bound() {
    let place = Place::new();
    let mut outbox = place.open();
    let large = dsse::sign(
        BATCH_PAYLOAD_TYPE,
        Bytes::from(vec![7; MAX_BATCH_BYTES]),
        &place.key,
    );
    let kept = outbox.put(&place.envelope(1)).unwrap();
    for _ in 0..40 {
        let ticket = outbox.put(&large).unwrap();
        outbox.acknowledge(ticket).unwrap();
        assert!(outbox.len <= COMPACT_AT + (2 << 20));
    }
    assert_eq!(outbox.read(kept).unwrap(), place.envelope(1));
    // A second process still finds it locked after the file was replaced.
    assert!(matches!(Outbox::open(&place.path), Err(OutboxError::InUse)));
    drop(outbox);
    assert_eq!(place.waiting(), [place.envelope(1)]);
}

#[test]
fn an_envelope_beyond_a_batch_is_refused() {
    let place = Place::new();
    let mut outbox = place.open();
    let huge = dsse::sign(
        BATCH_PAYLOAD_TYPE,
        Bytes::from(vec![7; MAX_BODY_LEN]),
        &place.key,
    );
    assert!(matches!(outbox.put(&huge), Err(OutboxError::TooLarge)));
    outbox.put(&place.envelope(1)).unwrap();
    drop(outbox);
    assert_eq!(place.waiting(), [place.envelope(1)]);
}
