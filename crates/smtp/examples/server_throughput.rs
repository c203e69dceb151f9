//! How fast the server session is by itself, without I/O: `cargo run --release -p smtp --example
//! server_throughput`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smtp::Reply;
use smtp::server::{Config, Dialect, Event, Session};

/// How long each measurement lasts.
const SPAN: Duration = Duration::from_secs(1);

fn main() {
    for (label, lines) in [("1 KiB", 13), ("10 KiB", 135), ("1 MiB", 13_800)] {
        measure(label, &message(lines, "x"));
    }
    measure("1 MiB, every line dot-stuffed", &message(13_800, ".."));
}

/// One transaction on the wire, its content in lines of 76 octets.
fn message(lines: usize, start: &str) -> Vec<u8> {
    let line = format!("{start:x<74}\r\n");
    let commands = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";
    [commands, &line.repeat(lines), ".\r\n"]
        .concat()
        .into_bytes()
}

fn measure(label: &str, message: &[u8]) {
    let start = Instant::now();
    let config = Arc::new(Config::new(Dialect::Smtp, "mx.example.org"));
    let mut session = Session::new(config, false, start);
    let mut accepted = feed(&mut session, b"EHLO c\r\n");
    while start.elapsed() < SPAN {
        for block in message.chunks(64 * 1024) {
            accepted += feed(&mut session, block);
            drop(session.take_output());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let octets = f64::from(accepted) * message.len() as f64;
    println!(
        "{label}: {:.0} messages/s, {:.2} GB/s",
        f64::from(accepted) / seconds,
        octets / seconds / 1e9
    );
}

/// Feeds and answers; gives the number of messages accepted.
fn feed(session: &mut Session, bytes: &[u8]) -> u32 {
    let mut accepted = 0;
    session.feed(bytes, Instant::now());
    while let Some(event) = session.next_event() {
        match event {
            Event::Greet => session.answer(Reply::new(220, None, "ready")),
            Event::Data => session.answer(Reply::start_mail_input()),
            Event::ContentEnd(_) => {
                accepted += 1;
                session.answer(Reply::ok("accepted"));
            }
            Event::Hello(_) | Event::Mail(_) | Event::Rcpt(_) => session.answer(Reply::ok("OK")),
            _ => {}
        }
    }
    accepted
}
