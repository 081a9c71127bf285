//! Evidence: bytes beside the log, kept by their digest in the commit that names them.

use bytes::Bytes;
use hansa_store::{EvidenceRow, StoreError};

use crate::fixture::{Database, both, group};

both! { evidence_is_read_back_by_its_digest  the_same_evidence_is_one_row
evidence_of_a_commit_that_fails_is_not_kept }

fn evidence(mark: u8, content: impl Into<Bytes>) -> EvidenceRow {
    EvidenceRow {
        sha256: [mark; 32],
        content: content.into(),
    }
}

async fn evidence_is_read_back_by_its_digest(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let rows = [
        evidence(1, &b"a photograph \0 of a receipt"[..]),
        evidence(2, Bytes::new()),
        evidence(
            3,
            (0..1u32 << 20)
                .map(|n| n.wrapping_mul(n).to_le_bytes()[1])
                .collect::<Vec<u8>>(),
        ),
    ];
    let mut first = group(0, 1);
    first.evidence = rows.to_vec();
    store.append(epoch, &first).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = database.open().await;
    for row in rows {
        let found = store.evidence(&row.sha256).await.unwrap();
        assert!(found == Some(row.content), "{}", row.sha256[0]);
    }
    assert_eq!(store.evidence(&[4; 32]).await.unwrap(), None);
}

async fn the_same_evidence_is_one_row(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let photo = evidence(1, "photo");
    let mut first = group(0, 1);
    first.evidence = vec![photo.clone(), photo.clone()];
    store.append(epoch, &first).await.unwrap();
    let mut second = group(1, 1);
    second.evidence = vec![evidence(2, "letter"), photo.clone()];
    store.append(epoch, &second).await.unwrap();
    assert_eq!(
        store.evidence(&photo.sha256).await.unwrap(),
        Some(photo.content)
    );
    assert_eq!(
        store.evidence(&[2; 32]).await.unwrap(),
        Some("letter".into())
    );
}

async fn evidence_of_a_commit_that_fails_is_not_kept(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    store.append(epoch, &group(0, 1)).await.unwrap();
    let mut again = group(0, 1);
    again.evidence = vec![evidence(1, "photo")];
    assert!(matches!(
        store.append(epoch, &again).await,
        Err(StoreError::DuplicateKey(_))
    ));
    let mut fenced = group(1, 1);
    fenced.evidence = vec![evidence(1, "photo")];
    assert!(matches!(
        store.append(epoch + 1, &fenced).await,
        Err(StoreError::Fenced { .. })
    ));
    assert_eq!(store.evidence(&[1; 32]).await.unwrap(), None);
}
