//! Whoever holds the hub's key, or a merchant's old one, cannot write what does not follow: signatures, leaves and tree
//! fit here, and the rules do not.

use hansa_client::dsse;
use hansa_proto::{
    BATCH_PAYLOAD_TYPE,
    v1::{self, fact::Fact as F},
};
use hansa_settlement::{append_effects, decode_effect_stream};
use prost::Message as _;

use super::copy::{EFFECTS, ENVELOPE, Entry, Original, expect};

/// The first entry whose only fact fits.
fn first<T>(facts: &[(Entry, v1::Facts)], fit: impl Fn(&F) -> Option<T>) -> (&Entry, v1::Facts, T) {
    let fitting = facts.iter().find_map(|(entry, written)| {
        let fact = written.facts.first()?.fact.as_ref()?;
        Some((entry, written.clone(), fit(fact)?))
    });
    fitting.unwrap()
}

fn with(mut facts: v1::Facts, fact: F) -> v1::Facts {
    facts.facts[0].fact = Some(fact);
    facts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_hub_itself() {
    let mut original = Original::new().await;
    let facts = original.copy().await.facts().await;

    // A cycle that closes with another digest.
    let (entry, written, mut closed) = first(&facts, |fact| match fact {
        F::CycleClosed(closed) => Some(closed.clone()),
        _ => None,
    });
    closed.digest[0] ^= 1;
    let mut copy = original.copy().await;
    let forged = with(written, F::CycleClosed(closed));
    copy.rewrite(original.hub_key(), entry.seq, &forged).await;
    let closed_at = entry.seq;
    expect(
        &copy.found().await,
        Some(closed_at),
        None,
        "the digest of cycle 1",
    );

    // A cycle that is cut a second early, as if by schedule.
    let (entry, written, mut cut) = first(&facts, |fact| match fact {
        F::CycleCut(cut) => Some(*cut),
        _ => None,
    });
    let cut_at = entry.seq;
    cut.closes_at.as_mut().unwrap().seconds -= 1;
    let mut copy = original.copy().await;
    let forged = with(written, F::CycleCut(cut));
    copy.rewrite(original.hub_key(), cut_at, &forged).await;
    expect(&copy.found().await, Some(cut_at), None, "the scheduled cut");

    // What expires in February, but for one member: everything fits until the cycle closes with it undone.
    let (closed, ..) = first(&facts, |fact| match fact {
        F::CycleClosed(closed) if closed.cycle_number == 2 => Some(()),
        _ => None,
    });
    let closed_at = closed.seq;
    let behind: Vec<_> = facts
        .into_iter()
        .filter(|(entry, _)| entry.seq > cut_at)
        .collect();
    let (entry, written, mut advance) = first(&behind, |fact| match fact {
        F::AdvanceTo(advance) => Some(advance.clone()),
        _ => None,
    });
    let left_out = advance.member_numbers.pop().unwrap();
    let mut effects = Vec::new();
    for record in decode_effect_stream(&entry.effects).unwrap() {
        if record.member.0 != left_out {
            append_effects(&record, &mut effects);
        }
    }
    let mut copy = original.copy().await;
    copy.set(EFFECTS, &effects, entry.seq).await;
    let forged = with(written, F::AdvanceTo(advance));
    copy.rewrite(original.hub_key(), entry.seq, &forged).await;
    copy.sign_again(original.hub_key()).await;
    let found = copy.found().await;
    expect(&found, Some(closed_at), None, "the close of cycle 2");
    let left = format!("member {left_out} has work due");
    assert!(
        found["recomputed"].as_str().unwrap().contains(&left),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_merchant_with_a_revoked_key() {
    let mut original = Original::new().await;
    let mut copy = original.copy().await;
    let last = copy.batches().await.pop().unwrap();
    let payload = v1::Envelope::decode(last.envelope.as_slice())
        .unwrap()
        .payload;
    let forged = dsse::sign(BATCH_PAYLOAD_TYPE, payload, &original.story.revoked);
    copy.set(ENVELOPE, &forged.encode_to_vec(), last.seq).await;
    copy.grow_again().await;
    let found = copy.found().await;
    expect(&found, Some(last.seq), None, "the signing key");
    assert_eq!(found["recorded"], "\"grocer-1\"");
    assert!(
        found["recomputed"].as_str().unwrap().contains("revoked"),
        "{found}"
    );
}
