//! The code for KEDA's protocol and for that between replicas is what the files in `proto` compile to:
//! `UPDATE=1 cargo test --test integration proto::` writes it again.

use std::path::Path;

use prost::Message;

#[test]
fn the_generated_code_is_that_of_keda_s_proto() {
    compare(
        "externalscaler",
        &["externalscaler.rs", "externalscaler.bin"],
    );
}

#[test]
fn the_generated_code_is_that_of_the_replicas_proto() {
    compare("replication", &["streamgauge.replication.v1.rs"]);
}

fn compare(proto: &str, names: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let made = tempfile::tempdir().expect("a folder");
    let descriptors = protox::compile([format!("{proto}.proto")], [&folder]).expect("a proto");
    let file = made.path().join(format!("{proto}.bin"));
    std::fs::write(file, descriptors.encode_to_vec()).expect("a file");
    tonic_prost_build::configure()
        .out_dir(made.path())
        .codec_path("crate::codec::SmallBuffers")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .expect("code");
    for name in names {
        let new = std::fs::read(made.path().join(name)).expect("what was made");
        let kept = folder.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&kept, &new).expect("a file");
        }
        let is_current = std::fs::read(&kept).is_ok_and(|old| old == new);
        assert!(
            is_current,
            "proto/{name}: `UPDATE=1 cargo test --test integration proto::` writes it again"
        );
    }
}
