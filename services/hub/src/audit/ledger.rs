//! The fold that is audited, as the auditor's comparisons read it: beside the sequencer, or from its last snapshot in the store.

use anyhow::Context as _;
use hansa_auditor::CycleTotals;
use hansa_settlement::{CycleState, Global, PriceBook};
use hansa_store::Store;
use tokio::runtime::Runtime;

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
    pub(super) fn prices(&self, runtime: &Runtime) -> anyhow::Result<Prices> {
        runtime.block_on(async {
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
        })
    }

    /// What the fold says of a closed cycle; `None`: it has not come so far.
    pub(super) fn totals(
        &self,
        runtime: &Runtime,
        number: u32,
    ) -> anyhow::Result<Option<CycleTotals>> {
        runtime.block_on(async {
            match self {
                Self::Sequencer(sequencer) => Ok(totals(sequencer, number).await?),
                Self::Store(store) => {
                    let stored = snapshot(store).await?;
                    Ok(stored.and_then(|(_, global, registry)| closed(&global, &registry, number)))
                }
            }
        })
    }
}
