//! The machine that a process runs on, as the rest of the fleet knows it.

use std::net::SocketAddr;

/// The machine's host name: in a container, that of the container; in Kubernetes, of the pod.
#[must_use]
pub fn name() -> String {
    match nix::unistd::gethostname() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => "unknown".to_owned(),
    }
}

/// Where others reach what listens on `bound`: whoever listens on all addresses is found by name.
#[must_use]
pub fn reached_at(bound: SocketAddr) -> String {
    if bound.ip().is_unspecified() {
        format!("{}:{}", name(), bound.port())
    } else {
        bound.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_nobodys() {
        let own = format!("{}:2630", name());
        for (bound, reached) in [
            ([0, 0, 0, 0], own.as_str()),
            ([192, 0, 2, 1], "192.0.2.1:2630"),
        ] {
            assert_eq!(reached_at((bound, 2630).into()), reached);
        }
    }
}
