//! What can only be seen from within: buffers.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::receiving::PIECE;
use super::*;
use crate::server::Dialect;

fn start() -> Session {
    let config = Config::new(Dialect::Smtp, "mx.example.org");
    Session::new(Arc::new(config), false, Instant::now())
}

/// Feeds, and answers everything positively; gives the pieces of content.
fn feed(session: &mut Session, bytes: &[u8]) -> Vec<bytes::Bytes> {
    let mut pieces = Vec::new();
    session.feed(bytes, Instant::now());
    while let Some(event) = session.next_event() {
        match event {
            Event::Greet => session.answer(Reply::new(220, None, "")),
            Event::Data => session.answer(Reply::start_mail_input()),
            Event::Content(piece) => pieces.push(piece),
            _ => session.answer(Reply::ok("")),
        }
    }
    pieces
}

const TO_DATA: &[u8] = b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n";

#[test]
fn an_idle_session_holds_no_buffers() {
    let mut session = start();
    feed(&mut session, b"HELO c\r\nNOOP\r\n");
    let _ = session.take_output();
    assert_eq!(session.input.capacity(), 0);
    assert_eq!(session.output.capacity(), 0);
    assert!(size_of::<Session>() < 1024);
}

#[test]
fn a_client_has_quit_when_it_said_so_and_the_session_ends_with_it() {
    let mut session = start();
    feed(&mut session, b"HELO c\r\n");
    assert!(!session.has_quit());
    feed(&mut session, b"QUIT\r\n");
    assert!(session.has_quit());

    let mut late = start();
    feed(&mut late, b"HELO c\r\n");
    late.timed_out(late.deadline());
    assert!(!late.wants_input() && !late.has_quit());
}

#[test]
fn content_is_copied_once_on_its_way_in() {
    let mut session = start();
    feed(&mut session, TO_DATA);
    session.feed(
        &[b"x".repeat(70).as_slice(), b"\r\n"].concat().repeat(1_000),
        Instant::now(),
    );
    let buffer = session.input.as_ptr();
    match session.next_event() {
        Some(Event::Content(piece)) => {
            assert_eq!(piece.len(), 72_000);
            assert_eq!(piece.as_ptr(), buffer);
        }
        other => panic!("no content: {other:?}"),
    }
}

#[test]
fn octets_that_come_singly_are_handed_out_in_large_pieces() {
    let mut session = start();
    feed(&mut session, TO_DATA);
    let mut pieces = Vec::new();
    for _ in 0..2 * PIECE {
        pieces.append(&mut feed(&mut session, b"x"));
    }
    assert_eq!(pieces.len(), 2);
    assert!(pieces.iter().all(|piece| piece.len() == PIECE));
}

#[test]
fn what_follows_content_does_not_keep_its_buffer_alive() {
    let mut session = start();
    let message = [TO_DATA, b"x\r\n".repeat(9_000).as_slice(), b".\r\nNO"].concat();
    let pieces = feed(&mut session, &message);
    assert_eq!(pieces.iter().map(bytes::Bytes::len).sum::<usize>(), 27_000);
    assert!(pieces.iter().all(bytes::Bytes::is_unique));
    assert_eq!(session.input.as_ref(), b"NO");
}

/// Pieces that a session may meet, in any order.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(TO_DATA.to_vec()),
        Just(b"\r\n.\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"QUIT".to_vec()),
        (0_usize..30_000).prop_map(|length| vec![b'x'; length]),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_buffers_stay_small(pieces in prop::collection::vec(piece(), 0..30)) {
        let mut session = start();
        for piece in pieces {
            feed(&mut session, &piece);
            let limit = PIECE.max(session.config.max_command_line);
            prop_assert!(session.input.len() < limit);
            prop_assert!(session.events.is_empty());
            prop_assert!(session.wants_input() != matches!(session.phase, Phase::Closed));
            let _ = session.take_output();
        }
    }
}
