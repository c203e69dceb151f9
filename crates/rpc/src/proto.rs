//! The generated code. Nothing of it is public: each service has domain types of its own.

/// All of `proto/`, encoded, for reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! package {
    ($module:ident, $name:literal) => {
        #[allow(
            missing_docs,
            unreachable_pub,
            dead_code,
            clippy::all,
            reason = "generated code; `proto/` documents it"
        )]
        pub(crate) mod $module {
            tonic::include_proto!($name);
        }
    };
}

package!(delivery, "chasqui.delivery.v1");
package!(directory, "chasqui.directory.v1");
package!(relay, "chasqui.relay.v1");
