//! Attachments of disputes and of queries: files in, files out.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1;
use ring::digest::{SHA256, digest};
use serde_json::json;

use crate::cli::{
    connect::Connection,
    exit,
    render::{self, Format},
    session,
};

/// What is attached.
#[derive(Debug, ClapArgs)]
pub(crate) struct Attached {
    /// A file to attach, at most 1 MiB. At most 8.
    #[arg(long = "attach", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Attached {
    /// The files with their contents.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<v1::Evidence>> {
        self.files.iter().map(|path| attachment(path)).collect()
    }
}

fn attachment(path: &Path) -> anyhow::Result<v1::Evidence> {
    let shown = path.display();
    let content = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let name = path.file_name().map(|name| name.to_string_lossy());
    Ok(v1::Evidence {
        file_name: name.unwrap_or_default().into_owned(),
        media_type: media_type(path).to_owned(),
        sha256: digest(&SHA256, &content).as_ref().to_vec(),
        size: content.len() as u64,
        content,
    })
}

/// By the name's ending.
fn media_type(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "csv" => "text/csv",
        "txt" => "text/plain",
        "xml" => "application/xml",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

/// Saves the attachments of a dispute.
pub(super) async fn save(
    connection: &Connection,
    format: Format,
    number: u64,
    out: &Path,
) -> anyhow::Result<()> {
    let session = session::either(connection).await?;
    let dispute = super::one(&session.hub, number).await?;
    save_all(
        format,
        ("dispute", number),
        &dispute.evidence,
        out,
        async |sha256| {
            let request = v1::GetEvidenceRequest {
                dispute_number: number,
                sha256,
            };
            let answer = session
                .hub
                .call(request, async |hub: Hub, request| {
                    hub.disputes().get_evidence(request).await
                })
                .await?;
            Ok(answer.evidence.unwrap_or_default())
        },
    )
    .await
}

/// Saves attachments that `fetch` gets by their digest, and what they are attached to gives their names.
pub(crate) async fn save_all(
    format: Format,
    (noun, number): (&str, u64),
    evidence: &[v1::Evidence],
    out: &Path,
    fetch: impl AsyncFn(Vec<u8>) -> Result<v1::Evidence, CallError>,
) -> anyhow::Result<()> {
    let mut saved = Vec::new();
    for (index, named) in evidence.iter().enumerate() {
        let found = fetch(named.sha256.clone()).await?;
        if digest(&SHA256, &found.content).as_ref() != named.sha256 {
            let message = format!("{} is not what the log names", named.file_name);
            return Err(exit::coded(exit::MISMATCH, message));
        }
        let path = out.join(file_name((noun, number), index, &named.file_name));
        let mut file = std::fs::File::create_new(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        std::io::Write::write_all(&mut file, &found.content)
            .with_context(|| format!("cannot write {}", path.display()))?;
        saved.push(path.display().to_string());
    }
    if format.json {
        return render::print_json(&json!({ "files": saved }));
    }
    let text = match saved.as_slice() {
        [] => format!("No attachments of {noun} {number}.\n"),
        files => format!("{}\n", files.join("\n")),
    };
    render::print(&text)
}

/// A name of ours in front: what the other side called the file leads nowhere else.
fn file_name((noun, number): (&str, u64), index: usize, named: &str) -> String {
    let safe: String = named
        .chars()
        .map(|c| match c {
            c if c.is_alphanumeric() => c,
            '.' | '-' | '_' => c,
            _ => '_',
        })
        .collect();
    format!("{noun}-{number}-{}-{safe}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_attachments_lead_nowhere() {
        assert_eq!(
            file_name(("dispute", 3), 0, "../../etc/passwd"),
            "dispute-3-1-.._.._etc_passwd"
        );
        let query = file_name(("query", 3), 1, "scan 1.pdf");
        assert_eq!(query, "query-3-2-scan_1.pdf");
        assert_eq!(media_type(Path::new("a/Scan.PDF")), "application/pdf");
        assert_eq!(media_type(Path::new("scan")), "application/octet-stream");
    }
}
