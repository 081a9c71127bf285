//! A log that is in order verifies: beside its hub, without it, over the wire, after a crash, and by its receipts.

use std::time::{Duration, Instant};

use hansa_client::note::LogVerifier;
use hansa_proto::v1;
use prost::Message as _;
use serde_json::{Value, json};

use super::{
    hub::{TestHub, verify, verify_folder},
    story,
};

fn is_ok(what: &str, (code, document): &(i32, Value)) {
    assert_eq!(*code, 0, "{what}: {document:#}");
    assert_eq!(document["ok"], true, "{what}");
    assert_eq!(document["mismatch"], Value::Null, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let hub = TestHub::start(path);
    let story = story::live(&hub).await;
    // The auditor's word on a cycle comes into the log behind it: from here on the log is as long as it gets.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let cycles = story.operator.cycles().await.unwrap();
        let closed = |cycle: &&v1::Cycle| cycle.state() == v1::CycleState::Closed;
        if cycles.iter().filter(closed).all(|cycle| cycle.audited) {
            break;
        }
        assert!(Instant::now() < deadline, "{cycles:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let beside = verify_folder(path);
    is_ok("beside its hub", &beside);
    let key = path.join("operator.key.pem");
    let published = verify(["--hub", hub.url(), "--key", key.to_str().unwrap()]);
    is_ok("over the wire", &published);
    assert_eq!(published.1["effects_compared"], false);
    assert_eq!(published.1["projection"], Value::Null);
    for same in ["origin", "size", "root", "counts", "cycles", "verifier_key"] {
        assert_eq!(published.1[same], beside.1[same], "{same}");
    }

    let cycles = story.operator.cycles().await.unwrap();
    assert_eq!(cycles.len(), beside.1["cycles"].as_array().unwrap().len());
    hub.stop();
    let after = verify_folder(path);
    is_ok("without its hub", &after);
    let document = &after.1;
    assert_eq!(document["root"], beside.1["root"]);
    assert_eq!(document["anchored_size"], document["size"]);
    assert_eq!(document["projection"]["covered_size"], document["size"]);
    assert_eq!(document["projection"]["global"], true);
    let counts = &document["counts"];
    // Three are sent again in batches that have something new: one in its own batch, two in later ones.
    assert_eq!(counts["replayed"], 3, "{counts}");
    let expected = json!({
        "EVENT_TIME_TOO_OLD": 1, "INSUFFICIENT_POINTS": 1, "MEMBER_NOT_FOUND": 1, "MODIFIED_REQUEST": 2,
        "ORIGINAL_NOT_FOUND": 1, "RETURN_WINDOW_CLOSED": 1,
    });
    assert_eq!(counts["refused"], expected);
    assert_eq!(counts["members"], 12);
    let states: Vec<_> = document["cycles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cycle| cycle["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["CLOSED", "CLOSED", "CLOSED", "OPEN"]);
    // Every message is in exactly one cycle; those that were sent again only where they were first.
    let sum = |name: &str| -> u64 {
        let cycles = document["cycles"].as_array().unwrap();
        cycles
            .iter()
            .map(|cycle| cycle[name].as_u64().unwrap())
            .sum()
    };
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!(sum("messages_accepted"), count("accepted"));
    let first_time = count("messages") - count("replayed") - 2;
    assert_eq!(
        sum("messages_accepted") + sum("messages_refused"),
        first_time
    );

    // A log of another key is not the one that is meant, however well it verifies.
    let known = document["verifier_key"].as_str().unwrap();
    let data_dir = path.to_str().unwrap();
    is_ok(
        "with its key",
        &verify(["--data-dir", data_dir, "--verifier-key", known]),
    );
    let other = hansa_client::keys::SigningKey::generate().unwrap();
    let other = LogVerifier::new("test.example/log", other.verifying_key()).unwrap();
    let (code, document) = verify(["--data-dir", data_dir, "--verifier-key", &other.to_string()]);
    assert_eq!(
        (code, &document["mismatch"]["what"]),
        (6, &json!("the log's key"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_the_projection_is_compared_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TestHub::start(folder.path());
    story::live(&hub).await;
    hub.kill();
    let crashed = verify_folder(folder.path());
    is_ok("after a crash", &crashed);
    let again = TestHub::start(folder.path());
    again.stop();
    let recovered = verify_folder(folder.path());
    is_ok("after recovery", &recovered);
    assert_eq!(recovered.1["root"], crashed.1["root"]);
    // One of the twelve was enrolled and never bought anything.
    assert_eq!(recovered.1["projection"]["members"], 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_verify_without_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let hub = TestHub::start(folder.path());
    let story = story::live(&hub).await;
    let key = story.operator.checkpoint().await.unwrap().verifier_key;
    let receipt = story.first.receipt.clone().unwrap();
    let answer = v1::SubmitBatchResponse {
        outcomes: story.first.outcomes_bytes.clone(),
        receipt: Some(receipt.clone()),
    };
    let stored = story.operator.receipt(receipt.leaf_index).await.unwrap();
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    let proof: Vec<_> = receipt.inclusion_proof.iter().map(|h| base64(h)).collect();
    let as_json = |outcomes: &[u8]| {
        json!({
            "receipt": {
                "leafIndex": receipt.leaf_index.to_string(),
                "decidedAt": receipt.decided_at.as_ref().unwrap().to_string(),
                "leafData": base64(&receipt.leaf_data),
                "inclusionProof": proof.clone(),
                "checkpoint": receipt.checkpoint,
            },
            "outcomes": base64(outcomes),
        })
    };
    let mut changed = story.first.outcomes_bytes.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let honest = [
        answer.encode_to_vec(),
        stored.encode_to_vec(),
        as_json(&story.first.outcomes_bytes)
            .to_string()
            .into_bytes(),
    ];
    let forged = [
        v1::SubmitBatchResponse {
            outcomes: changed.clone().into(),
            ..answer
        }
        .encode_to_vec(),
        as_json(&changed).to_string().into_bytes(),
    ];
    let file = folder.path().join("receipt");
    let check = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        verify(["--receipt", file.to_str().unwrap(), "--verifier-key", &key])
    };
    for bytes in &honest {
        let (code, document) = check(bytes);
        assert_eq!(code, 0, "{document}");
        assert_eq!(document["leaf_index"], receipt.leaf_index);
        assert_eq!(document["outcomes"], 13);
    }
    for bytes in &forged {
        let (code, document) = check(bytes);
        assert_eq!(code, 6, "{document}");
        assert_eq!(document["mismatch"]["what"], "the receipt");
    }
    hub.stop();
}
