//! Ports for servers that cannot be told to take any.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nothing listens on, and that nobody is given: it lies below those that the kernel gives to connections and to who
/// asks for any. Each comes once; other processes begin elsewhere.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 11_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(101);
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(given < PORTS, "no port is free");
        let port = (FIRST + begin.wrapping_add(given) % PORTS) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
