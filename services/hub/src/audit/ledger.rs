//! The fold that is audited, as the auditor's comparisons read it: beside the sequencer, or from its last snapshot in the store.

use anyhow::Context as _;
use hansa_auditor::CycleTotals;
use hansa_settlement::{CycleState, Global, PriceBook};
use hansa_store::Store;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::fold;
use crate::{
    convert::cycle_no,
    registry::Registry,
    sequencer::{Sequencer, state::Snapshot},
};

/// Where the fold is.
#[derive(Debug)]
pub(super) enum Ledger {
    /// In this process.
    Sequencer(Sequencer),
    /// In the store, as the projection left it.
    Store(Store),
}

/// What the comparison of effects needs: prices, and how far they reach.
#[derive(Debug, Default)]
pub(super) struct Prices {
    pub(super) book: PriceBook,
    /// Number of leading entries whose terms the book has.
    pub(super) size: u64,
}

fn closed(global: &Global, registry: &Registry, number: u32) -> Option<CycleTotals> {
    let cycle = global.cycle(cycle_no(number))?;
    let complete = !matches!(cycle.state, CycleState::Open | CycleState::Closing);
    complete.then(|| fold::totals(cycle, registry))
}

async fn snapshot(store: &Store) -> anyhow::Result<Option<(u64, Global, Registry)>> {
    let Some((size, bytes)) = store.global().await? else {
        return Ok(None);
    };
    let snapshot: Snapshot = postcard::from_bytes(&bytes)
        .context("the stored state of the alliance is that of another release")?;
    let global = Global::restore(&snapshot.global)
        .map_err(|error| anyhow::anyhow!("the stored state of the alliance: {error}"))?;
    Ok(Some((size, global, snapshot.registry)))
}

/// What the fold says of a closed cycle; `None`: it has not closed it.
pub(super) async fn totals(
    sequencer: &Sequencer,
    number: u32,
) -> Result<Option<CycleTotals>, crate::error::HubError> {
    sequencer
        .read(move |view| Ok(closed(view.global, view.registry, number)))
        .await
}

impl Ledger {
    /// `None`: asked to end before there was an answer. A sequencer that has ended answers nobody, and its owner waits for the
    /// auditor.
    pub(super) fn prices(
        &self,
        runtime: &Runtime,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Option<Prices>> {
        let read = async {
            match self {
                Self::Sequencer(sequencer) => {
                    let read = sequencer.read(|view| {
                        let book = view.global.book().clone();
                        let size = view.size;
                        Ok(Prices { book, size })
                    });
                    Ok(read.await?)
                }
                Self::Store(store) => Ok(match snapshot(store).await? {
                    Some((size, global, _)) => Prices {
                        book: global.book().clone(),
                        size,
                    },
                    None => Prices::default(),
                }),
            }
        };
        until(runtime, cancel, read)
    }

    /// What the fold says of a closed cycle; `None`: it has not come so far, or was asked to end.
    pub(super) fn totals(
        &self,
        runtime: &Runtime,
        cancel: &CancellationToken,
        number: u32,
    ) -> anyhow::Result<Option<CycleTotals>> {
        let read = async {
            match self {
                Self::Sequencer(sequencer) => Ok(totals(sequencer, number).await?),
                Self::Store(store) => {
                    let stored = snapshot(store).await?;
                    Ok(stored.and_then(|(_, global, registry)| closed(&global, &registry, number)))
                }
            }
        };
        Ok(until(runtime, cancel, read)?.flatten())
    }
}

/// What comes of it, unless `cancel` comes first.
fn until<T>(
    runtime: &Runtime,
    cancel: &CancellationToken,
    read: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    runtime.block_on(async { cancel.run_until_cancelled(read).await.transpose() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audit::follow;

    #[test]
    fn a_sequencer_that_has_ended_keeps_nobody_waiting() {
        let (sequencer, jobs) = Sequencer::channel(8);
        let cancel = CancellationToken::new();
        let cancelling = cancel.clone();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            cancelling.cancel();
        });
        let ledger = Ledger::Sequencer(sequencer);
        let runtime = follow::runtime().unwrap();
        assert!(ledger.prices(&runtime, &cancel).unwrap().is_none());
        assert!(ledger.totals(&runtime, &cancel, 1).unwrap().is_none());
        ending.join().unwrap();
        drop(jobs);
    }
}
