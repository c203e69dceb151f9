//! Compiles `proto/` without `protoc`: protox parses, tonic generates.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const PROTO_ROOT: &str = "../../proto";

const PROTO_FILES: [&str; 3] = [
    "chasqui/delivery/v1/delivery.proto",
    "chasqui/directory/v1/directory.proto",
    "chasqui/relay/v1/hand_off.proto",
];

/// Fields that bear whole messages: `Bytes`, so that decoding does not copy.
const BYTES_FIELDS: [&str; 2] = [
    ".chasqui.delivery.v1.DeliverRequest.content",
    ".chasqui.relay.v1.Content.parts",
];

/// Messages that bear passwords or content, which a `Debug` in a log would give away.
const SECRET_MESSAGES: [&str; 5] = [
    ".chasqui.directory.v1.AuthenticateRequest",
    ".chasqui.delivery.v1.DeliverRequest",
    ".chasqui.relay.v1.Content",
    ".chasqui.relay.v1.Message",
    ".chasqui.relay.v1.ProducerFrame",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");

    let descriptors = protox::compile(PROTO_FILES, [PROTO_ROOT])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out_dir.join("descriptors.bin"),
        protox::prost::Message::encode_to_vec(&descriptors),
    )?;

    let mut builder = tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .skip_debug(SECRET_MESSAGES);
    for field in BYTES_FIELDS {
        builder = builder.bytes(field);
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}
