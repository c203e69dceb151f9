//! The limit on open files, which is the limit on connections.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as we may. The usual soft limit of 1,024 is there for programs that use
/// `select`, and is no limit that anyone chose for us.
pub(crate) fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // What can't be raised stays, and accepting backs off when it is reached.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
