//! Generates the Rust code of `hansa/v1/*.proto` with protox, so that no system `protoc` is needed.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir("hansa/v1")? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "proto") {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    println!("cargo::rerun-if-changed=hansa/v1");
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out.join("hansa.v1.descriptors.bin"),
        descriptors.encode_to_vec(),
    )?;
    tonic_prost_build::configure()
        // Batches arrive and leave as slices of the received buffer, not as copies.
        .bytes(".hansa.v1.Envelope.payload")
        .bytes(".hansa.v1.Batch.messages")
        .bytes(".hansa.v1.SubmitBatchResponse.outcomes")
        .compile_fds(descriptors)?;
    Ok(())
}
