//! Ports for programs that can't be asked which one they got.

use std::net::{Ipv4Addr, TcpListener};

/// A TCP port of 127.0.0.1 that is free now. Where a program can take port 0 and tell, that is better.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
