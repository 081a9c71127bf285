//! The auditor's thread beside a hub: on a real store, with a sequencer whose fold may be made wrong. A fold that is wrong in memory
//! only cannot be caused from outside; here the log is right and what the sequencer answers is not.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant as Clock},
};

use hansa_auditor::What;
use hansa_client::leaf::leaf_hash;
use hansa_hub::{
    audit::{Audit, AuditMode, AuditOptions, Certification},
    registry::{Owner, Registry},
    sequencer::{Job, Sequencer, View, group::kind},
    tlog::Frontier,
};
use hansa_proto::{BATCH_PAYLOAD_TYPE, v1};
use hansa_settlement::{
    Change, CommissionChange, Effect, Global, Pos, append_effects, apply_global,
    decode_effect_stream,
};
use hansa_store::{EntryRow, Group, Store, StoreOptions};
use prost::Message as _;
use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::{forge::Forge, histories};

/// A history with several closed cycles.
const SEED: u8 = 3;

/// What the sequencer answers from: the fold, names and keys, and how many entries are in it.
type Fold = (Global, Registry, u64);

/// A store with a log, and a sequencer that answers reads.
struct Beside {
    folder: tempfile::TempDir,
    store: Store,
    epoch: u64,
    sequencer: Sequencer,
    fold: Arc<Mutex<Fold>>,
}

impl Beside {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("hansa.db").display());
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        let epoch = store.take_gate("test", "", None).await.unwrap();
        let empty = (hansa_hub::facts::blank(), Registry::default(), 0);
        let fold = Arc::new(Mutex::new(empty));
        let (sequencer, mut jobs) = Sequencer::channel(16);
        let answers = Arc::clone(&fold);
        tokio::spawn(async move {
            while let Some(job) = jobs.recv().await {
                if let Job::Read(read) = job {
                    let fold = answers.lock().unwrap();
                    read(&View {
                        global: &fold.0,
                        registry: &fold.1,
                        size: fold.2,
                        covered: fold.2,
                        now: 0,
                        messages: 0,
                        decided: 0,
                        members_in_memory: 0,
                        duplicate_key_restarts: 0,
                        epoch: 1,
                    });
                }
            }
        });
        Self {
            folder,
            store,
            epoch,
            sequencer,
            fold,
        }
    }

    fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(name).display())
    }

    /// Appends entries of a forged log.
    async fn grow(&self, forge: &Forge, effects: &[Vec<u8>], from: usize, to: usize) {
        let mut frontier = Frontier::new();
        let mut group = Group::default();
        for (at, entry) in forge.entries[..to].iter().enumerate() {
            let tree_hashes = frontier.append(leaf_hash(&entry.leaf_data)).into();
            if at < from {
                continue;
            }
            let batch = entry.envelope.payload_type == BATCH_PAYLOAD_TYPE;
            let signer = &forge.registry.keys[&entry.envelope.signatures[0].keyid];
            group.entries.push(EntryRow {
                seq: entry.leaf,
                decided_at: entry.decided_at,
                merchant: match &signer.owner {
                    Owner::Merchant(slug) => forge.registry.merchant(slug),
                    Owner::Hub | Owner::Operator => None,
                },
                kind: if batch { kind::BATCH } else { kind::FACTS },
                messages: 0,
                leaf_data: entry.leaf_data.as_slice().try_into().unwrap(),
                tree_hashes,
                outcomes: entry.outcomes.clone(),
                effects: effects[at].clone().into(),
                envelope: entry.envelope.encode_to_vec().into(),
            });
        }
        self.store.append(self.epoch, &group).await.unwrap();
    }

    /// From now on the sequencer answers from this fold.
    fn answer(&self, global: Global, forge: &Forge) {
        let size = forge.entries.len() as u64;
        *self.fold.lock().unwrap() = (global, forge.registry.clone(), size);
    }

    fn audit(&self, mode: AuditMode) -> Audit {
        Audit::new(AuditOptions {
            mode,
            database: self.url("hansa-audit.db"),
        })
    }

    /// Runs the auditor until it has passed `size` entries and `done`, or found something.
    async fn run(&self, size: usize) -> Audit {
        let audit = self.audit(AuditMode::Inline);
        let cancel = CancellationToken::new();
        let thread = audit.start(
            &self.url("hansa.db"),
            "test",
            &self.sequencer,
            cancel.clone(),
        );
        let deadline = Clock::now() + Duration::from_secs(60);
        loop {
            let status = audit.status().await.unwrap();
            if status.size == size as u64 || status.finding.is_some() {
                break;
            }
            assert!(Clock::now() < deadline, "{status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
        let thread = thread.unwrap();
        let ended = tokio::task::spawn_blocking(move || thread.join());
        ended.await.unwrap().unwrap();
        audit
    }

    /// Writes the effects of an entry again.
    async fn write_effects(&self, seq: u64, effects: &[u8]) {
        let url = self.url("hansa.db");
        let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let changed = sqlx::query("UPDATE entry SET effects = $1 WHERE seq = $2")
            .bind(effects)
            .bind(i64::try_from(seq).unwrap())
            .execute(&mut db)
            .await
            .unwrap();
        assert_eq!(changed.rows_affected(), 1);
        db.close().await.unwrap();
    }
}

/// Numbers of a forged log's closed cycles.
fn closed(forge: &Forge) -> Vec<u32> {
    let cycles = forge.global.cycles().iter();
    cycles
        .filter(|cycle| cycle.closed_seq.is_some())
        .map(|cycle| cycle.no.0 + 1)
        .collect()
}

/// The first effect of a closed cycle that is one of these, and its entry.
fn first(forge: &Forge, of_these: impl Fn(&Change) -> bool) -> (u64, Effect) {
    let last = *closed(forge).last().unwrap();
    for (seq, bytes) in (0..).zip(&forge.effects) {
        for record in decode_effect_stream(bytes).unwrap() {
            for effect in record.effects {
                if of_these(&effect.change) && effect.cycle.0 < last {
                    return (seq, effect);
                }
            }
        }
    }
    panic!("the sample has none");
}

/// An effect of a closed cycle that posts a purchase, and its entry.
fn posting(forge: &Forge) -> (u64, Effect) {
    first(forge, |change| match change {
        Change::Accrued { accrual, .. } => accrual.parts.iter().any(|part| part.points > 0),
        _ => false,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agrees_is_certified_and_what_is_not_reached_is_behind() {
    let forge = histories::sample(SEED);
    let beside = Beside::new().await;
    let (all, half) = (forge.entries.len(), forge.entries.len() / 2);
    beside.answer(forge.global.clone(), &forge);
    beside.grow(&forge, &forge.effects, 0, half).await;
    let audit = beside.run(half).await;
    let cycles = closed(&forge);
    assert!(cycles.len() > 2, "{cycles:?}");
    let last = *cycles.last().unwrap();
    let behind = audit.certified(&beside.sequencer, last).await.unwrap();
    let audited_size = half as u64;
    assert_eq!(behind, Certification::Behind { audited_size });

    // Another process goes on where this one saved.
    beside.grow(&forge, &forge.effects, half, all).await;
    beside.run(all).await;
    for mode in [AuditMode::Inline, AuditMode::Separate] {
        let audit = beside.audit(mode);
        for &number in &cycles {
            let cycle = &forge.global.cycles()[number as usize - 1];
            match audit.certified(&beside.sequencer, number).await.unwrap() {
                Certification::Certified {
                    cut_leaf,
                    closed_leaf,
                    audited_size,
                    ..
                } => {
                    assert_eq!(Some(cut_leaf), cycle.cut_seq);
                    assert_eq!(Some(closed_leaf), cycle.closed_seq);
                    assert_eq!(audited_size, all as u64);
                }
                other => panic!("cycle {number}: {other:?}"),
            }
        }
        let next = audit.certified(&beside.sequencer, last + 1).await.unwrap();
        assert!(matches!(next, Certification::Behind { .. }), "{next:?}");
    }
    let off = beside.audit(AuditMode::Off);
    let nobody = off.certified(&beside.sequencer, last).await.unwrap();
    assert_eq!(nobody, Certification::Behind { audited_size: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_whose_totals_are_wrong_is_found() {
    let forge = histories::sample(SEED);
    let all = forge.entries.len();
    let beside = Beside::new().await;
    // What memory can do to a running sum: one effect is counted twice, while log and effects are right.
    let mut wrong = forge.global.clone();
    let (seq, effect) = posting(&forge);
    apply_global(&mut wrong, &effect, Pos::new(seq, 0));
    beside.answer(wrong, &forge);
    beside.grow(&forge, &forge.effects, 0, all).await;
    let audit = beside.run(all).await;
    let number = effect.cycle.0 + 1;
    match audit.certified(&beside.sequencer, number).await.unwrap() {
        Certification::Mismatch(finding) => {
            assert_eq!(finding.what, What::Totals, "{finding}");
            let cycle = format!("cycle {number}: net of");
            assert!(finding.expected.starts_with(&cycle), "{finding}");
        }
        other => panic!("{other:?}"),
    }
    let status = audit.status().await.unwrap();
    assert_eq!(status.finding.unwrap().what, What::Totals);
    // The fold is put right, as a restart from the log does: nothing stands against the cycle.
    beside.answer(forge.global.clone(), &forge);
    beside.run(all).await;
    let again = audit.certified(&beside.sequencer, number).await.unwrap();
    assert!(
        matches!(again, Certification::Certified { .. }),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_recorded_effect_names_its_message_and_stops_the_audit() {
    let forge = histories::sample(SEED);
    let wrong = posting(&forge);
    // One point more, for the fold and for every restart of it.
    names_its_message(&forge, wrong, |change| {
        if let Change::Accrued { accrual, .. } = change {
            accrual.parts[0].points += 1;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_recorded_commission_names_its_conversion() {
    let forge = histories::sample(SEED);
    let wrong = first(&forge, |change| match change {
        Change::Commission(CommissionChange::Accrued(accrued)) => accrued.micros > 0,
        _ => false,
    });
    names_its_message(&forge, wrong, |change| {
        if let Change::Commission(CommissionChange::Accrued(accrued)) = change {
            accrued.micros += 1;
        }
    })
    .await;
}

/// An effect that is changed where it is recorded is found, by the message that it is recorded for, until it is put right.
async fn names_its_message(
    forge: &Forge,
    (seq, effect): (u64, Effect),
    spoil: impl Fn(&mut Change),
) {
    let all = forge.entries.len();
    let mut records = decode_effect_stream(&forge.effects[seq as usize]).unwrap();
    let position = records
        .iter()
        .position(|record| record.effects.contains(&effect))
        .unwrap();
    for effect in &mut records[position].effects {
        spoil(&mut effect.change);
    }
    let mut effects = forge.effects.clone();
    effects[seq as usize].clear();
    for record in &records {
        append_effects(record, &mut effects[seq as usize]);
    }
    let beside = Beside::new().await;
    beside.answer(forge.global.clone(), forge);
    beside.grow(forge, &effects, 0, all).await;
    let audit = beside.run(all).await;

    let index = records[position].index;
    let batch = v1::Batch::decode(forge.entries[seq as usize].envelope.payload.clone()).unwrap();
    let message = v1::Message::decode(batch.messages[index as usize].clone()).unwrap();
    let number = effect.cycle.0 + 1;
    // A process that only reads says the same.
    for audit in [audit, beside.audit(AuditMode::Separate)] {
        match audit.certified(&beside.sequencer, number).await.unwrap() {
            Certification::Mismatch(finding) => {
                assert_eq!(finding.what, What::Effects, "{finding}");
                assert_eq!((finding.leaf, finding.position), (seq, Some(index)));
                assert_eq!(finding.message_id.unwrap()[..], message.message_id[..]);
                assert!(finding.merchant.is_some());
            }
            other => panic!("{other:?}"),
        }
    }
    // The auditor stops there after a restart, too.
    let audit = beside.run(all).await;
    assert!(audit.status().await.unwrap().size <= seq);

    // With the record put right it passes, and what was found is gone.
    let right = &forge.effects[seq as usize];
    beside.write_effects(seq, right).await;
    let audit = beside.run(all).await;
    assert_eq!(audit.status().await.unwrap().finding, None);
    let passed = audit.certified(&beside.sequencer, number).await.unwrap();
    assert!(
        matches!(passed, Certification::Certified { .. }),
        "{passed:?}"
    );
    let reader = beside.audit(AuditMode::Separate);
    assert_eq!(reader.status().await.unwrap().finding, None);
}
