//! Properties of the server session that hold for any input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use smtp::server::{AuthOffer, Config, Dialect, Session};
use support::service::Service;

/// All that a session says and all that happens, for input that comes in these pieces.
fn outcome<'a>(config: &Config, pieces: impl Iterator<Item = &'a [u8]>) -> (String, Vec<String>) {
    let now = Instant::now();
    let mut session = Session::new(Arc::new(config.clone()), true, now);
    let mut service = Service::default();
    let mut output = Vec::new();
    service.drive(&mut session);
    for piece in pieces {
        session.feed(piece, now);
        service.drive(&mut session);
        output.extend_from_slice(&session.take_output());
    }
    (output.escape_ascii().to_string(), service.log)
}

fn config(dialect: Dialect) -> Config {
    let mut config = Config::new(dialect, "mx.example.org");
    config.max_message_size = 500;
    config.max_text_line = 100;
    config.max_command_line = 80;
    config.max_errors = 8;
    config.auth = AuthOffer::AfterTls;
    config
}

/// Mostly lines that make sense, in an order that may not.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "EHLO c",
        "LHLO c",
        "MAIL FROM:<a@b.org>",
        "RCPT TO:<c@d.org>",
        "RCPT TO:<nobody@d.org>",
        "DATA",
        "text",
        "..text",
        ".",
        "RSET",
        "AUTH PLAIN AHRpbQBzZWNyZXQ=",
        "AUTH LOGIN",
        "dGlt",
        "QUIT",
    ]);
    let line = prop_oneof![
        20 => known.prop_map(|line| format!("{line}\r\n").into_bytes()),
        2 => "[ -~]{0,200}\r\n".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::sample::select(vec!["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r", "\0"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_does_not_matter_how_the_input_is_cut(
        input in input(),
        cuts in prop::collection::vec(1_usize..40, 1..60),
        lmtp in any::<bool>(),
    ) {
        let config = config(if lmtp { Dialect::Lmtp } else { Dialect::Smtp });
        // Most sessions should get beyond the greeting.
        let hello = if lmtp { b"LHLO c\r\n".as_slice() } else { b"EHLO c\r\n" };
        let input = [hello, &input].concat();
        let whole = outcome(&config, std::iter::once(input.as_slice()));
        let mut rest = input.as_slice();
        let mut cuts = cuts.iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let size = rest.len().min(*cuts.next()?);
            let (piece, behind) = rest.split_at(size);
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(whole, outcome(&config, pieces));
    }

    #[test]
    fn every_line_said_is_a_line_of_a_reply(input in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let (said, _) = outcome(&config(Dialect::Smtp), std::iter::once(input.as_slice()));
        for line in said.split_terminator("\\r\\n") {
            let code = line.get(..3).unwrap_or_default();
            prop_assert!(code.parse::<u16>().is_ok_and(|code| (200..600).contains(&code)));
            prop_assert!(line.len() <= 510);
        }
    }
}
