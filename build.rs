//! Compiles KEDA's external scaler protocol without needing protoc on the machine.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/externalscaler.proto");
    println!("cargo:rerun-if-changed=.git/HEAD");
    let descriptors = protox::compile(["externalscaler.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("externalscaler.bin"))
        .compile_fds(descriptors.clone())?;
    std::fs::write(out.join("externalscaler.bin"), encode(&descriptors))?;
    let revision = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output()
        .ok()
        .filter(|out| out.status.success())
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=STREAMGAUGE_REVISION={}", revision.trim());
    Ok(())
}

fn encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
