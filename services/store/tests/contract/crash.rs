//! Crashes: whatever ends a writer, the log holds whole groups, and all that were acknowledged.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use hansa_store::{Projection, Store, StoreOptions};

use crate::fixture::{Database, both, entry, group, member};

both! { an_abandoned_append_leaves_all_or_nothing  a_killed_process_leaves_whole_groups_and_no_lock }

const IDS: u64 = 600;

async fn an_abandoned_append_leaves_all_or_nothing(database: Database) {
    let store = database.open().await;
    let (mut size, mut abandoned, mut acknowledged) = (0, 0, 0);
    for round in 0..60 {
        // What the last holder left under way is through or refused once the gate is taken.
        let epoch = store.take_gate("a", "a:1", None).await.unwrap();
        let found = whole_groups(&store).await;
        assert!((size..=size + 1).contains(&found));
        size = found;
        let group = group(size, IDS);
        let patience = Duration::from_micros(300 * round);
        match tokio::time::timeout(patience, store.append(epoch, &group)).await {
            Ok(outcome) => {
                outcome.unwrap();
                acknowledged += 1;
                size += 1;
            }
            Err(_) => abandoned += 1,
        }
    }
    assert!(abandoned > 0);
    // The last one may still be under way, too.
    store.take_gate("a", "a:1", None).await.unwrap();
    assert!(whole_groups(&store).await >= acknowledged);
}

/// Checks that every entry has all of its ids and its checkpoint, and that nothing lies behind the last; returns how many.
async fn whole_groups(store: &Store) -> u64 {
    let size = store
        .last_entry()
        .await
        .unwrap()
        .map_or(0, |last| last.seq + 1);
    for seq in 0..size {
        assert_eq!(store.entry(seq).await.unwrap(), Some(entry(seq)));
        assert_eq!(
            store.checkpoint(seq + 1).await.unwrap(),
            group(seq, 0).checkpoint
        );
    }
    let ids = store.highest_ids(7, u32::MAX).await.unwrap();
    assert_eq!(ids.len() as u64, size * IDS);
    assert_eq!(store.checkpoint_covering(size + 1).await.unwrap(), None);
    size
}

const WRITER_URL: &str = "HANSA_TEST_WRITER_URL";

async fn a_killed_process_leaves_whole_groups_and_no_lock(database: Database) {
    let mut acknowledged = 0;
    for round in 0..5 {
        let url = database.url.clone();
        let last = tokio::task::spawn_blocking(move || run_and_kill(&url, 10 + 7 * round));
        acknowledged = last.await.unwrap().max(acknowledged);
        let store = database.open().await;
        // The killed process's last commit may still be under way at the server, and ends here.
        store.take_gate("b", "b:1", None).await.unwrap();
        let size = whole_groups(&store).await;
        assert!(size >= acknowledged, "{size} < {acknowledged}");
        let covered = store.covered_size().await.unwrap();
        assert!(covered <= size);
        // The projection that covers an entry is there, whole.
        if covered > 0 {
            let members = store.load_members(&[1, 99]).await.unwrap();
            assert!(
                members.iter().all(|row| row.applied_seq == covered - 1),
                "{members:?}"
            );
            assert_eq!(members.len(), 2);
        }
        store.close().await.unwrap();
    }
    assert!(acknowledged >= 5 * 10);
}

/// Starts a process that appends, kills it after so many acknowledgements, and returns the size of the log at the last.
fn run_and_kill(url: &str, acknowledgements: usize) -> u64 {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_writer", "--ignored", "--nocapture"])
        .env(WRITER_URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut sizes = lines
        .map_while(Result::ok)
        .filter_map(|line| line.rsplit("size ").next()?.parse().ok());
    let last = sizes.nth(acknowledgements - 1).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    last
}

/// Appends and projects until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that another test starts and kills"]
async fn the_writer() {
    let url = std::env::var(WRITER_URL).unwrap();
    let options = StoreOptions {
        application_name: "hansa-writer".into(),
        ..StoreOptions::default()
    };
    let store = Store::open(&url, &options).await.unwrap();
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut seq = store
        .last_entry()
        .await
        .unwrap()
        .map_or(0, |last| last.seq + 1);
    loop {
        store.append(epoch, &group(seq, IDS)).await.unwrap();
        println!("size {}", seq + 1);
        let projection = Projection {
            members: (1..100).map(|m| member(m, seq, b"state")).collect(),
            covered_size: seq + 1,
            ..Projection::default()
        };
        store.project(epoch, &projection).await.unwrap();
        seq += 1;
    }
}
