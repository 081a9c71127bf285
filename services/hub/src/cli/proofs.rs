//! Files of proofs: receipts that a merchant keeps, certificates of cycles, and inclusion proofs in a cycle's cut.
//!
//! | File | Holds |
//! |---|---|
//! | `receipt-000000000042.json` | a batch as it was sent, its outcomes, its receipt |
//! | `cycle-7.certificate.json` | a cycle's certificate as the hub signed it: a DSSE envelope |
//! | `cycle-7.proofs.json` | for receipts of the cycle, the inclusion proofs in the tree of its cut |

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use hansa_client::{
    assignment::CutProofs,
    batch::SignedBatch,
    hub::{Answer, CallError, Hub},
    json::{self, Base64},
    kept::KeptReceipt,
    proof::hashes,
};
use hansa_proto::v1;
use serde::{Deserialize, Serialize};

const CERTIFICATE: &str = ".certificate.json";
const PROOFS: &str = ".proofs.json";

/// The file of inclusion proofs.
#[derive(Debug, Serialize, Deserialize)]
struct ProofsFile {
    cycle_number: u32,
    /// Leaves of the tree that the cycle's cut ends.
    tree_size: u64,
    /// By leaf, RFC 6962.
    inclusion_proofs: BTreeMap<u64, Vec<Base64>>,
}

/// Writes a file whole or not at all: a reader never sees half of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Files of a folder whose names fit, by name; or the one file that is named itself.
fn files(path: &Path, fits: impl Fn(&str) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries =
        fs::read_dir(path).with_context(|| format!("cannot read the folder {}", path.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&fits) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// All receipts of a folder, or the one of a file.
pub fn receipts(path: &Path) -> anyhow::Result<Vec<KeptReceipt>> {
    let fits = |name: &str| name.starts_with("receipt-") && name.ends_with(".json");
    let kept = |file: PathBuf| {
        KeptReceipt::from_text(&read(&file)?)
            .with_context(|| format!("{} is not a receipt with its batch", file.display()))
    };
    files(path, fits)?.into_iter().map(kept).collect()
}

/// All certificates of a folder, or the one of a file; verifies nothing.
pub fn certificates(path: &Path) -> anyhow::Result<Vec<v1::Envelope>> {
    let envelope = |file: PathBuf| {
        json::envelope(&read(&file)?)
            .with_context(|| format!("{} is not a certificate of a cycle", file.display()))
    };
    let found = files(path, |name| name.ends_with(CERTIFICATE))?;
    found.into_iter().map(envelope).collect()
}

/// All inclusion proofs beside the certificates of a folder.
pub fn cut_proofs(path: &Path) -> anyhow::Result<CutProofs> {
    let mut proofs = CutProofs::new();
    if path.is_file() {
        return Ok(proofs);
    }
    for file in files(path, |name| name.ends_with(PROOFS))? {
        let broken = || format!("{} does not hold inclusion proofs", file.display());
        let document: ProofsFile = serde_json::from_str(&read(&file)?).with_context(broken)?;
        for (leaf, proof) in document.inclusion_proofs {
            let proof: Vec<Vec<u8>> = proof.into_iter().map(|hash| hash.0).collect();
            let proof = hashes(&proof).with_context(broken)?;
            proofs.insert((document.cycle_number, leaf), proof);
        }
    }
    Ok(proofs)
}

/// Where a cycle's certificate goes: `out` itself, or a name of its own where `out` is a folder.
pub fn certificate_path(out: &Path, cycle_number: u32) -> PathBuf {
    if out.is_dir() {
        out.join(format!("cycle-{cycle_number}{CERTIFICATE}"))
    } else {
        out.to_owned()
    }
}

/// Has the hub prove that the receipts of a cycle are in the tree of its cut, and writes the proofs beside the certificate.
/// Returns how many there are.
pub async fn prove_in_cut(
    hub: &Hub,
    receipts: &[KeptReceipt],
    cycle: &hansa_client::certificate::CertifiedCycle,
    certificate: &Path,
) -> anyhow::Result<usize> {
    let leaves = receipts.iter().map(|kept| kept.receipt.leaf_index);
    let mut inclusion_proofs = BTreeMap::new();
    for leaf in leaves.filter(|leaf| cycle.leaves.contains(leaf)) {
        let proof = hub.inclusion_proof(leaf, cycle.cut.size).await?;
        inclusion_proofs.insert(leaf, proof.into_iter().map(Base64).collect());
    }
    let count = inclusion_proofs.len();
    let document = ProofsFile {
        cycle_number: cycle.number,
        tree_size: cycle.cut.size,
        inclusion_proofs,
    };
    let name = format!("cycle-{}{PROOFS}", cycle.number);
    let text = serde_json::to_string_pretty(&document)? + "\n";
    write_whole(&certificate.with_file_name(name), text.as_bytes())?;
    Ok(count)
}

/// Keeps the receipts of what is sent.
#[derive(Debug)]
pub struct ReceiptFolder {
    path: PathBuf,
}

impl ReceiptFolder {
    /// Makes the folder where there is none.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Keeps the receipt of a batch; of messages that the hub had before, those of their first batches, which it is asked
    /// for where they are not here.
    pub async fn keep(
        &self,
        hub: &Hub,
        batch: &SignedBatch,
        answer: &Answer,
    ) -> anyhow::Result<()> {
        if let Some(receipt) = &answer.receipt {
            self.write(&KeptReceipt {
                envelope: batch.envelope().clone(),
                outcomes: answer.outcomes_bytes.clone(),
                receipt: receipt.clone(),
            })?;
        }
        let mut before: Vec<u64> = answer
            .outcomes
            .iter()
            .filter_map(|o| o.leaf_index)
            .collect();
        before.sort_unstable();
        before.dedup();
        for leaf in before {
            if !self.path.join(name_of(leaf)).exists() {
                self.write(&fetch(hub, leaf).await?)?;
            }
        }
        Ok(())
    }

    fn write(&self, kept: &KeptReceipt) -> anyhow::Result<()> {
        let path = self.path.join(name_of(kept.receipt.leaf_index));
        write_whole(&path, kept.to_text()?.as_bytes())
    }
}

fn name_of(leaf: u64) -> String {
    KeptReceipt::file_name_of(leaf)
}

/// A receipt of the caller's, with its batch, as the hub has them.
async fn fetch(hub: &Hub, leaf: u64) -> anyhow::Result<KeptReceipt> {
    let stored = hub.receipt(leaf).await?;
    let entry: Result<v1::Entry, CallError> = hub.entry(leaf).await;
    let (Some(receipt), Some(envelope)) = (stored.receipt, entry?.envelope) else {
        bail!("the hub does not show the batch of leaf {leaf}");
    };
    Ok(KeptReceipt {
        envelope,
        outcomes: stored.outcomes.into(),
        receipt,
    })
}
