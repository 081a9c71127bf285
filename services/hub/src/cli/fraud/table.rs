//! A CSV of publishers: `partnerid,status,...`, every other column a feature. Plain or gzip.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use hansa_fraud::score::{Label, Table};

/// Name of the column that identifies a row.
const ID: &str = "partnerid";
/// Name of the column that says what a review found.
const STATUS: &str = "status";

/// Rows, and what identifies them.
#[derive(Debug)]
pub(super) struct Publishers {
    pub(super) ids: Vec<String>,
    pub(super) table: Table,
    /// The file's content, unpacked.
    pub(super) bytes: Vec<u8>,
}

/// Reads the file; an error names the line.
pub(super) fn read(path: &Path) -> anyhow::Result<Publishers> {
    let of = || format!("cannot read {}", path.display());
    let mut packed = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut packed))
        .with_context(of)?;
    let mut bytes = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(packed.as_slice())
            .read_to_end(&mut bytes)
            .with_context(of)?;
    } else {
        bytes = packed;
    }
    let (ids, table) = parse(&bytes).with_context(|| format!("{} is no table", path.display()))?;
    Ok(Publishers { ids, table, bytes })
}

fn parse(bytes: &[u8]) -> anyhow::Result<(Vec<String>, Table)> {
    let mut reader = csv::Reader::from_reader(bytes);
    let head = reader.headers()?.clone();
    let place = |name: &str| head.iter().position(|column| column.trim() == name);
    let Some(id_at) = place(ID) else {
        bail!("the head has no column `{ID}`; it identifies a row");
    };
    let status_at = place(STATUS);
    let features: Vec<usize> = (0..head.len())
        .filter(|at| *at != id_at && Some(*at) != status_at)
        .collect();
    let names = features
        .iter()
        .filter_map(|at| head.get(*at))
        .map(|name| name.trim().to_owned())
        .collect();
    let mut table = Table::new(names)?;
    let mut ids = Vec::new();
    let mut row = Vec::with_capacity(features.len());
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let label = match status_at.and_then(|at| record.get(at)).map(str::trim) {
            None | Some("") => Label::Unknown,
            Some("1") => Label::Fraud,
            Some("0") => Label::Honest,
            Some(other) => {
                bail!(
                    "line {line}: the status is `{other}`; write 1 for fraud, 0 for none, nothing for unknown"
                )
            }
        };
        row.clear();
        for at in &features {
            let text = record.get(*at).map_or("", str::trim);
            let value = if text.is_empty() {
                f32::NAN
            } else {
                text.parse::<f32>()
                    .ok()
                    .filter(|value| value.is_finite())
                    .with_context(|| {
                        let column = head.get(*at).unwrap_or_default();
                        format!("line {line}: `{text}` in column `{column}` is no number")
                    })?
            };
            row.push(value);
        }
        table.push(label, &row)?;
        ids.push(record.get(id_at).unwrap_or_default().to_owned());
    }
    Ok((ids, table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_may_be_empty_or_missing_and_columns_stand_in_any_order() {
        let (ids, table) =
            parse(b"a,partnerid,b,status\n1,x,,1\n2,y,3.5,\n4,z,5,0\n").expect("rows");
        assert_eq!(ids, ["x", "y", "z"]);
        assert_eq!(table.columns(), ["a", "b"]);
        assert_eq!(
            table.labels(),
            [Label::Fraud, Label::Unknown, Label::Honest]
        );
        assert!(table.row(0)[1].is_nan());
        assert_eq!(table.row(1), [2.0, 3.5]);
        let (_, unlabelled) = parse(b"partnerid,a\nx,1\n").expect("rows");
        assert_eq!(unlabelled.labels(), [Label::Unknown]);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        for (text, says) in [
            (&b"status,a\n1,2\n"[..], "partnerid"),
            (
                b"partnerid,status,a\nx,yes,1\n",
                "line 2: the status is `yes`",
            ),
            (
                b"partnerid,status,a\nx,0,1\ny,0,inf\n",
                "line 3: `inf` in column `a`",
            ),
            (b"partnerid,status\nx,1\n", "no feature column"),
            (b"partnerid,status,a,a\nx,1,2,3\n", "named twice"),
        ] {
            let error = parse(text).expect_err("refused").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
