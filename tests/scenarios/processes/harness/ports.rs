//! Ports that a service finds free again when it comes back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to clients, of which one might sit on a service's port while the service is dead.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Where the next search begins; elsewhere in each test process, since several may run at a time.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let places = u32::from(COUNT);
    let place = std::process::id().wrapping_mul(37) % places;
    AtomicU16::new(u16::try_from(place).unwrap())
});

/// An address on 127.0.0.1 that nobody listens on, and that is given out once.
pub(crate) fn steady_address() -> SocketAddr {
    loop {
        let place = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + place));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
