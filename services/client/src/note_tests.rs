//! Tests of the note module.

use super::*;
use crate::keys::SigningKey;

/// Vector of Go's `golang.org/x/mod/sumdb/note`, from which C2SP's signed-note comes.
const NEUMANN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const NEUMANN_SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_SIGNATURE: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn neumann() -> LogVerifier {
    NEUMANN_KEY.parse().unwrap()
}

/// Signs a note as the C2SP text says, apart from the code under test.
fn note(text: &str, name: &str, key: &SigningKey) -> String {
    let hash = ring::digest::digest(
        &SHA256,
        &[
            name.as_bytes(),
            b"\n\x01",
            key.verifying_key().as_bytes().as_slice(),
        ]
        .concat(),
    );
    let blob = [&hash.as_ref()[..4], &key.sign(text.as_bytes())].concat();
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(blob))
}

fn log() -> (SigningKey, LogVerifier) {
    let key = SigningKey::generate().unwrap();
    let verifier = LogVerifier::new("hansa.example/log", key.verifying_key()).unwrap();
    (key, verifier)
}

const ROOT: &str = "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=";

#[test]
fn the_note_of_go_verifies() {
    let note = format!("{NEUMANN_TEXT}\n{NEUMANN_SIGNATURE}");
    assert_eq!(neumann().verified_text(&note), Ok(NEUMANN_TEXT));
    assert_eq!(neumann().to_string(), NEUMANN_KEY);
    // Not a checkpoint, although signed.
    assert_eq!(neumann().open(&note), Err(NoteError::NotACheckpoint));
}

#[test]
fn signatures_of_others_may_stand_beside() {
    for note in [
        format!("{NEUMANN_TEXT}\n{NEUMANN_SIGNATURE}{ENOCH_SIGNATURE}"),
        format!("{NEUMANN_TEXT}\n{ENOCH_SIGNATURE}{NEUMANN_SIGNATURE}"),
    ] {
        assert_eq!(neumann().verified_text(&note), Ok(NEUMANN_TEXT));
    }
    let note = format!("{NEUMANN_TEXT}\n{ENOCH_SIGNATURE}");
    assert_eq!(
        neumann().verified_text(&note),
        Err(NoteError::Unsigned("PeterNeumann".into()))
    );
}

#[test]
fn changed_text_or_signature_fails() {
    let note = format!("{NEUMANN_TEXT}\n{NEUMANN_SIGNATURE}");
    let changed = note.replacen("cryptography", "Cryptography", 1);
    assert_eq!(
        neumann().verified_text(&changed),
        Err(NoteError::BadSignature)
    );
    let changed = note.replacen("ZJkuBS", "ZJkuBT", 1);
    assert_eq!(
        neumann().verified_text(&changed),
        Err(NoteError::BadSignature)
    );
}

#[test]
fn malformed_notes_are_refused() {
    let malformed = [
        String::new(),
        NEUMANN_TEXT.into(),
        format!("{NEUMANN_TEXT}\n"),
        format!("{NEUMANN_TEXT}{NEUMANN_SIGNATURE}"),
        format!("{NEUMANN_TEXT}\n{}", NEUMANN_SIGNATURE.trim_end()),
        format!("{NEUMANN_TEXT}\n{NEUMANN_SIGNATURE}x\n"),
        format!("{NEUMANN_TEXT}\r\n{NEUMANN_SIGNATURE}"),
        format!("{NEUMANN_TEXT}\t\n\n{NEUMANN_SIGNATURE}"),
        format!(
            "{NEUMANN_TEXT}\n{}",
            NEUMANN_SIGNATURE.replace('\u{2014}', "-")
        ),
        format!("{NEUMANN_TEXT}\n\u{2014} PeterNeumann x08g\n"),
        format!("{NEUMANN_TEXT}\n\u{2014} PeterNeumann !!!!\n"),
        format!(
            "{NEUMANN_TEXT}\n{}",
            NEUMANN_SIGNATURE.repeat(MAX_NOTE_SIGNATURES + 1)
        ),
    ];
    for note in malformed {
        assert_eq!(
            neumann().verified_text(&note),
            Err(NoteError::Malformed),
            "{note}"
        );
    }
}

#[test]
fn verifier_keys_are_checked() {
    for bad in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc",
    ] {
        assert_eq!(
            bad.parse::<LogVerifier>(),
            Err(NoteError::VerifierKey),
            "{bad}"
        );
    }
    let key = SigningKey::generate().unwrap().verifying_key();
    for bad in ["", "a b", "a+b", "a\nb"] {
        assert!(LogVerifier::new(bad, key).is_err());
    }
}

#[test]
fn a_checkpoint_opens() {
    let (key, verifier) = log();
    for extensions in ["", "ext 1\next 2\n"] {
        let text = format!("hansa.example/log\n20852163\n{ROOT}\n{extensions}");
        let checkpoint = verifier
            .open(&note(&text, "hansa.example/log", &key))
            .unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(STANDARD.encode(checkpoint.root), ROOT);
        assert_eq!(checkpoint.origin, "hansa.example/log");
        // A reader that is not ours sees the same.
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(theirs.size(), checkpoint.size);
        assert_eq!(theirs.hash().0, checkpoint.root);
    }
}

#[test]
fn what_is_no_checkpoint_is_refused_as_a_foreign_reader_does() {
    let (key, verifier) = log();
    for text in [
        "hansa.example/log\n1\n".to_owned(),
        format!("hansa.example/log\n01\n{ROOT}\n"),
        format!("hansa.example/log\n+1\n{ROOT}\n"),
        format!("hansa.example/log\n-1\n{ROOT}\n"),
        format!("hansa.example/log\n18446744073709551616\n{ROOT}\n"),
        format!("\n1\n{ROOT}\n"),
        format!("hansa.example/log\n1\n{ROOT}\nabc\n\nx\n"),
        "hansa.example/log\n1\nAAAA\n".to_owned(),
    ] {
        assert!(tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).is_err());
        assert_eq!(
            verifier.open(&note(&text, "hansa.example/log", &key)),
            Err(NoteError::NotACheckpoint),
            "{text}"
        );
    }
}

#[test]
fn a_checkpoint_of_another_log_is_refused() {
    let (key, verifier) = log();
    let text = format!("elsewhere.example/log\n1\n{ROOT}\n");
    assert_eq!(
        verifier.open(&note(&text, "hansa.example/log", &key)),
        Err(NoteError::Origin("elsewhere.example/log".into()))
    );
    let other = SigningKey::generate().unwrap();
    let text = format!("hansa.example/log\n1\n{ROOT}\n");
    assert_eq!(
        verifier.open(&note(&text, "hansa.example/log", &other)),
        Err(NoteError::Unsigned("hansa.example/log".into()))
    );
}
