//! Going on after a loss: the log gets another name, and says which entries it lost.
//!
//! What was signed and is gone cannot be made good: merchants hold receipts for it, and other entries will stand in its
//! place. Under its old name the log would fork. So it goes on under a new one, by an entry that carries the last
//! checkpoint of what is lost. No hub may run meanwhile. Run again after a crash, it ends what it began.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use hansa_proto::v1;
use hansa_store::{Kind, Store, StoreError};
use prost::Message as _;

use crate::{
    home::{CHECKPOINT, HUB_KEY, Home},
    sequencer::{
        driver::Options,
        group::{Deciding, kind},
        prefetch::Fetched,
        recovery,
        state::State,
    },
    signer::Signer,
    tlog::{
        self,
        anchor::{Anchor, AnchorError},
    },
};

/// How long a hub's heartbeat must stand still.
const SILENCE: Duration = Duration::from_secs(6);

/// What is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Name of the log that signed it.
    pub origin: String,
    /// First entry that is lost: the number of those that are there.
    pub first: u64,
    /// Number of entries that are lost, as far as is known.
    pub entries: u64,
}

/// A log that may go on.
pub struct Reopening<'a> {
    store: &'a Store,
    epoch: u64,
    state: State,
    anchor: Anchor,
    signer: Signer,
    lost_checkpoint: String,
    /// What is lost.
    pub loss: Loss,
    /// The entry is there already: only the checkpoint outside the database is not.
    pub begun: bool,
}

impl<'a> Reopening<'a> {
    /// Takes the log, and finds what is lost. Changes nothing but who owns the log.
    ///
    /// # Errors
    /// Where a hub runs, nothing is lost, or something else is wrong than a loss.
    pub async fn find(store: &'a Store, data_dir: &Path, origin: &str) -> anyhow::Result<Self> {
        ensure!(
            data_dir.join(HUB_KEY).exists(),
            "{} is not the directory of a hub that owned this log: it has no {HUB_KEY}",
            data_dir.display()
        );
        let home = Home::open(data_dir)?;
        let epoch = take_gate(store).await?;
        let state = recovery::load(store, &Options::default(), epoch).await?;
        let path = data_dir.join(CHECKPOINT);
        let lost_checkpoint = std::fs::read_to_string(&path)
            .with_context(|| format!("without {} nothing says what is lost", path.display()))?;
        let signer = Signer::new(home.hub_key()?, origin)?;
        ensure!(
            state.registry.keys.contains_key(&signer.key_id()),
            "the log in the database belongs to another hub key than that of {}",
            data_dir.display()
        );
        let begun = begun(store, &state, &lost_checkpoint, origin).await?;
        let before = match &begun {
            Some(before) => before.clone(),
            None => state.registry.origin.clone(),
        };
        ensure!(
            before != origin,
            "the log is called {origin} already; give it a name that it never had"
        );
        let own = Signer::new(home.hub_key()?, &before)?;
        let (anchor, found) = Anchor::open(&path, own.verifier())?;
        let found = found.context("the checkpoint outside the database is gone")?;
        let first = state.next_seq - u64::from(begun.is_some());
        let loss = Loss {
            origin: before,
            first,
            entries: found.size.saturating_sub(first),
        };
        if begun.is_none() {
            is_whole(store, &state, &own).await?;
            match tlog::anchor::check(found, &loss.origin, state.next_seq) {
                Err(AnchorError::Lost { .. }) => {}
                Err(other) => return Err(other.into()),
                Ok(_) => bail!(
                    "nothing is lost: the log has all of the {} entries that were signed; start the hub",
                    first + loss.entries
                ),
            }
        }
        Ok(Self {
            store,
            epoch,
            state,
            anchor,
            signer,
            lost_checkpoint,
            loss,
            begun: begun.is_some(),
        })
    }

    /// Goes on: appends the entry that says so, then replaces the checkpoint outside the database. Answers the number of
    /// entries, and the key that the log's checkpoints are verified with from now on.
    ///
    /// # Errors
    /// Those of the store and of the file. The same call ends what was begun.
    pub async fn go_on(mut self) -> anyhow::Result<(u64, String)> {
        let checkpoint = if self.begun {
            let newest = self.store.newest_checkpoint().await?;
            newest.context("the log has no checkpoint")?.note
        } else {
            self.append().await?
        };
        self.anchor.restart(self.state.next_seq, &checkpoint)?;
        Ok((self.state.next_seq, self.signer.verifier().to_string()))
    }

    async fn append(&mut self) -> anyhow::Result<String> {
        // At the last instant of the log: so no cut of a cycle is due before it.
        let decided_at = self.state.last_decided_at;
        let fetched = Fetched::default();
        let mut deciding = Deciding::new(&mut self.state, &fetched, &self.signer, decided_at);
        deciding.hub_fact(v1::fact::Fact::LogReopened(v1::LogReopened {
            origin: self.signer.origin().to_owned(),
            lost_checkpoint: self.lost_checkpoint.clone(),
        }))?;
        let decided = deciding.finish()?;
        self.store.append(self.epoch, &decided.group).await?;
        Ok(decided.checkpoint)
    }
}

/// The name before, where the last entry is this very reopening.
async fn begun(
    store: &Store,
    state: &State,
    lost_checkpoint: &str,
    origin: &str,
) -> anyhow::Result<Option<String>> {
    let Some(last) = state.next_seq.checked_sub(1) else {
        return Ok(None);
    };
    let Some(row) = store
        .entry(last)
        .await?
        .filter(|row| row.kind == kind::FACTS)
    else {
        return Ok(None);
    };
    let envelope = v1::Envelope::decode(row.envelope)?;
    let written = v1::Facts::decode(envelope.payload)?;
    let this = v1::fact::Fact::LogReopened(v1::LogReopened {
        origin: origin.to_owned(),
        lost_checkpoint: lost_checkpoint.to_owned(),
    });
    let same = written
        .facts
        .iter()
        .any(|fact| fact.fact.as_ref() == Some(&this));
    Ok(same
        .then(|| lost_checkpoint.lines().next().map(str::to_owned))
        .flatten())
}

/// What is there must be what was signed: the newest stored checkpoint is that of all entries.
async fn is_whole(store: &Store, state: &State, signer: &Signer) -> anyhow::Result<()> {
    let newest = store.newest_checkpoint().await?;
    let newest = newest.context("the log has no checkpoint; bring back a better copy")?;
    let signed = signer.verifier().open(&newest.note)?;
    ensure!(
        (signed.size, signed.root) == (state.frontier.size(), state.frontier.root()),
        "what is left of the log is not what was signed: {} entries were, {} are there; bring back a better copy",
        signed.size,
        state.frontier.size()
    );
    Ok(())
}

/// Becomes the log's owner, where no hub is. The empty address tells hubs that they need not wait for it.
async fn take_gate(store: &Store) -> anyhow::Result<u64> {
    const RUNS: &str = "a hub owns the log; stop all hubs first";
    let owner = format!("reopen-{}", std::process::id());
    if store.kind() == Kind::Sqlite {
        // The lock file keeps every hub away.
        return Ok(store.take_gate(&owner, "", None).await?);
    }
    let gate = store.read_gate().await?;
    if let Some(gate) = gate.as_ref().filter(|gate| !gate.address.is_empty()) {
        tokio::time::sleep(SILENCE).await;
        ensure!(store.read_gate().await?.as_ref() == Some(gate), RUNS);
    }
    let expected = gate.map_or(0, |gate| gate.epoch);
    match store.take_gate(&owner, "", Some(expected)).await {
        Err(StoreError::Fenced { .. }) => bail!(RUNS),
        taken => Ok(taken?),
    }
}
