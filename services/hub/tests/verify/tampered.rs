//! Whoever can write the database cannot change the past unseen: each change is found, at its entry, by its name.

use bytes::Bytes;
use hansa_client::{dsse, keys::SigningKey};
use hansa_proto::{BATCH_PAYLOAD_TYPE, v1};
use hansa_settlement::{Change, append_effects, decode_effect_stream};
use prost::Message as _;

use super::copy::{EFFECTS, ENVELOPE, OUTCOMES, Original, expect};

/// One point more for the third message.
fn generous(outcomes: &[u8]) -> Vec<u8> {
    let mut outcomes = v1::Outcomes::decode(outcomes).unwrap();
    outcomes.outcomes[2].points += 1;
    outcomes.encode_to_vec()
}

fn signed_by_another(envelope: &[u8]) -> Vec<u8> {
    let envelope = v1::Envelope::decode(envelope).unwrap();
    let key_id = envelope.signatures[0].keyid.clone();
    let key = SigningKey::generate().unwrap().with_key_id(key_id).unwrap();
    dsse::sign(BATCH_PAYLOAD_TYPE, envelope.payload, &key).encode_to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided() {
    let mut original = Original::new().await;

    let mut copy = original.copy().await;
    let first = copy.batches().await.remove(0);
    copy.set(OUTCOMES, &generous(&first.outcomes), first.seq)
        .await;
    let found = copy.found().await;
    expect(&found, Some(first.seq), Some(2), "the outcome");
    assert!(
        found["recorded"].as_str().unwrap().contains("points=201"),
        "{found}"
    );
    assert!(
        found["recomputed"].as_str().unwrap().contains("points=200"),
        "{found}"
    );

    // With leaf and tree made to fit, it is still not what the rules say.
    let mut copy = original.copy().await;
    copy.set(OUTCOMES, &generous(&first.outcomes), first.seq)
        .await;
    copy.grow_again().await;
    expect(&copy.found().await, Some(first.seq), Some(2), "the outcome");

    // What a restart would apply unseen.
    let mut copy = original.copy().await;
    let mut effects = Vec::new();
    for mut record in decode_effect_stream(&first.effects).unwrap() {
        if let (4, Change::Accrued { accrual, .. }) = (record.index, &mut record.effects[0].change)
        {
            accrual.parts[0].points += 1;
        }
        append_effects(&record, &mut effects);
    }
    assert_ne!(effects, first.effects);
    copy.set(EFFECTS, &effects, first.seq).await;
    expect(
        &copy.found().await,
        Some(first.seq),
        Some(4),
        "the recorded effects",
    );

    // Due work, too.
    let mut copy = original.copy().await;
    let advance =
        "SELECT seq FROM entry WHERE kind = 1 AND length(effects) > 0 ORDER BY seq LIMIT 1";
    let seq: i64 = sqlx::query_scalar(advance)
        .fetch_one(&mut copy.db)
        .await
        .unwrap();
    copy.set(EFFECTS, &[], seq).await;
    expect(
        &copy.found().await,
        Some(seq),
        Some(0),
        "the recorded effects",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_and_when() {
    let mut original = Original::new().await;

    let mut copy = original.copy().await;
    let batches = copy.batches().await;
    copy.set(ENVELOPE, &batches[1].envelope, batches[0].seq)
        .await;
    copy.set(ENVELOPE, &batches[0].envelope, batches[1].seq)
        .await;
    let what = "leaf data: digest of the envelope";
    expect(&copy.found().await, Some(batches[0].seq), None, what);

    // The later batch of the same merchant in place of the earlier one, leaves and tree made to fit.
    let mut copy = original.copy().await;
    let (early, late) = (&batches[0], &batches[2]);
    for (from, to) in [(early, late), (late, early)] {
        copy.set(ENVELOPE, &from.envelope, to.seq).await;
        copy.set(OUTCOMES, &from.outcomes, to.seq).await;
    }
    copy.grow_again().await;
    let found = copy.found().await;
    assert_eq!(found["entry"], early.seq, "{found}");

    let mut copy = original.copy().await;
    copy.run("UPDATE entry SET decided_at = decided_at + 1 WHERE seq = (SELECT min(seq) FROM entry WHERE kind = 0)")
        .await;
    let what = "leaf data: decided_at";
    expect(&copy.found().await, Some(early.seq), None, what);

    let mut copy = original.copy().await;
    let last = batches.last().unwrap();
    copy.run("UPDATE entry SET decided_at = decided_at - 86400000000 WHERE seq = (SELECT max(seq) FROM entry WHERE kind = 0)")
        .await;
    let found = copy.found().await;
    expect(&found, Some(last.seq), None, "decided_at goes back");

    // In leaf and tree as well: then the signed checkpoint tells.
    let mut copy = original.copy().await;
    copy.run("UPDATE entry SET decided_at = decided_at + 1 WHERE seq = (SELECT max(seq) FROM entry WHERE kind = 0)")
        .await;
    copy.grow_again().await;
    let found = copy.found().await;
    expect(&found, Some(last.seq), None, "the signed checkpoint");

    // A message decided behind the close of its cycle, without the cut: the January batches moved to 5 February.
    let mut copy = original.copy().await;
    let cut = "SELECT min(e.seq) FROM entry e WHERE e.decided_at >= 1769900400000000";
    let cut: i64 = sqlx::query_scalar(cut)
        .fetch_one(&mut copy.db)
        .await
        .unwrap();
    let before = batches.iter().rfind(|b| b.seq < cut).unwrap();
    assert!(before.decided_at < 1_769_900_400_000_000);
    sqlx::query("UPDATE entry SET decided_at = 1769900400000000 WHERE seq >= $1 AND seq < $2")
        .bind(before.seq)
        .bind(cut)
        .execute(&mut copy.db)
        .await
        .unwrap();
    copy.grow_again().await;
    let found = copy.found().await;
    assert_eq!(found["entry"], before.seq, "{found}");
    assert_eq!(found["what"], "the place of the cut", "{found}");

    // Signed by somebody else under the same key id.
    let mut copy = original.copy().await;
    let forged = signed_by_another(&batches[1].envelope);
    copy.set(ENVELOPE, &forged, batches[1].seq).await;
    copy.grow_again().await;
    expect(
        &copy.found().await,
        Some(batches[1].seq),
        None,
        "the signature",
    );

    // Bytes that no signature covers.
    let mut copy = original.copy().await;
    let mut longer = batches[1].envelope.clone();
    longer.extend_from_slice(&[0x7a, 0x01, 0x00]);
    copy.set(ENVELOPE, &longer, batches[1].seq).await;
    expect(
        &copy.found().await,
        Some(batches[1].seq),
        None,
        "the stored envelope",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing() {
    let mut original = Original::new().await;
    let mut copy = original.copy().await;
    let size: i64 = sqlx::query_scalar("SELECT count(*) FROM entry")
        .fetch_one(&mut copy.db)
        .await
        .unwrap();
    let last = "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)";
    let newest = "DELETE FROM checkpoint WHERE tree_size = (SELECT max(tree_size) FROM checkpoint)";

    copy.run(last).await;
    let what = "the number of entries against the newest checkpoint";
    expect(&copy.found().await, Some(size - 1), None, what);

    // The whole last commit, its checkpoint too: only the anchor outside the database remembers.
    let mut copy = original.copy().await;
    copy.run(last).await;
    copy.run(newest).await;
    copy.run("UPDATE projection SET covered_size = 0").await;
    let what = "the number of entries against the checkpoint kept outside the database";
    expect(&copy.found().await, Some(size - 1), None, what);

    // Without an anchor, the projection still knows more than the log.
    let mut copy = original.copy().await;
    copy.run(last).await;
    copy.run(newest).await;
    std::fs::remove_file(copy.folder.join("checkpoint.note")).unwrap();
    let found = copy.found().await;
    assert!(
        found["what"]
            .as_str()
            .unwrap()
            .starts_with("the stored row of member"),
        "{found}"
    );

    let mut copy = original.copy().await;
    copy.run("DELETE FROM entry WHERE seq = 3").await;
    expect(
        &copy.found().await,
        Some(3),
        None,
        "the sequence of entries",
    );

    let mut copy = original.copy().await;
    copy.run(newest).await;
    let found = copy.found().await;
    assert_eq!(found["what"], "the newest checkpoint", "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tree_and_projection() {
    let mut original = Original::new().await;

    let mut copy = original.copy().await;
    copy.run("UPDATE entry SET tree_hashes = zeroblob(length(tree_hashes)) WHERE seq = 5")
        .await;
    expect(&copy.found().await, Some(5), None, "hashes of the tree");

    let mut copy = original.copy().await;
    copy.run("UPDATE entry SET messages = messages + 1 WHERE seq = (SELECT min(seq) FROM entry WHERE kind = 0)")
        .await;
    let found = copy.found().await;
    assert_eq!(
        found["what"], "kind, merchant and number of messages",
        "{found}"
    );

    let mut copy = original.copy().await;
    copy.run("UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE tree_size = 1) WHERE tree_size = 2")
        .await;
    expect(&copy.found().await, Some(1), None, "the signed checkpoint");

    let member = "the stored row of member 8";
    for sql in [
        "UPDATE member SET data = (SELECT data FROM member WHERE member = 9) WHERE member = 8",
        "UPDATE member SET next_due = next_due + 1 WHERE member = 8",
        "UPDATE member SET applied_seq = applied_seq - 1 WHERE member = 8",
        "DELETE FROM member WHERE member = 8",
    ] {
        let mut copy = original.copy().await;
        copy.run(sql).await;
        let found = copy.found().await;
        assert_eq!(found["what"], member, "{sql}: {found}");
    }
    let mut copy = original.copy().await;
    copy.run("INSERT INTO member SELECT 13, bucket, applied_seq, next_due, next_hold, data FROM member WHERE member = 8")
        .await;
    assert_eq!(copy.found().await["what"], "the stored row of member 13");

    let mut copy = original.copy().await;
    let data: Vec<u8> = sqlx::query_scalar("SELECT data FROM global_state")
        .fetch_one(&mut copy.db)
        .await
        .unwrap();
    let mut snapshot: hansa_hub::sequencer::state::Snapshot = postcard::from_bytes(&data).unwrap();
    snapshot.global = hansa_hub::facts::blank().snapshot();
    let data = Bytes::from(postcard::to_allocvec(&snapshot).unwrap());
    sqlx::query("UPDATE global_state SET data = $1")
        .bind(&data[..])
        .execute(&mut copy.db)
        .await
        .unwrap();
    let found = copy.found().await;
    assert_eq!(found["what"], "the stored state of the alliance", "{found}");
}
