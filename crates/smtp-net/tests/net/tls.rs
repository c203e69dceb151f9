//! The server side of TLS.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use smtp_net::{ListenerTls, ReloadingTls, TlsFilesError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::certificates::{self, HOST, trusting};
use crate::service::{Options, Service};
use crate::soon;
use crate::told::Told;

pub(crate) static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

#[tokio::test]
async fn starttls_starts_the_session_anew() {
    let (tls, certificate) = certificates::fresh();
    let mut service = Service::start(Options::start_tls(&tls));
    for (versions, version) in [(&[&TLS12][..], "TLSv1.2"), (&[&TLS13][..], "TLSv1.3")] {
        let mut plain = Told::connect(service.address).await;
        plain.expect("220").await;
        let offer = plain.ask("EHLO before.example.net", "250").await;
        assert!(offer.contains("STARTTLS") && !offer.contains("AUTH"));
        plain.ask("STARTTLS", "220").await;
        let mut client = plain.into_tls(trusting(&certificate, versions)).await;
        client.ask("MAIL FROM:<>", "503").await;
        let offer = client.ask("EHLO after.example.net", "250").await;
        assert!(!offer.contains("STARTTLS") && offer.contains("AUTH"));
        client.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "235").await;
        client
            .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
            .await;
        for code in ["250", "250", "354"] {
            client.expect(code).await;
        }
        client.say("one\r\n.\r\nQUIT\r\n").await;
        client.expect("250").await;
        client.expect("221").await;
        // Ends with close_notify: without it, rustls reports an unexpected end.
        client.expect_end().await;
        let session = service.taken().await.session;
        let settled = session.tls.unwrap();
        assert_eq!(settled.version, version);
        assert!(settled.cipher.starts_with("TLS_"), "{}", settled.cipher);
        assert_eq!(settled.sni.as_deref(), Some(HOST));
        assert_eq!(session.hello.unwrap().name, "after.example.net");
        assert_eq!(session.login.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn plaintext_injected_behind_starttls_is_never_obeyed() {
    let (tls, certificate) = certificates::fresh();
    let mut service = Service::start(Options::start_tls(&tls));
    let mut plain = Told::introduced(service.address).await;
    plain
        .say("STARTTLS\r\nEHLO evil.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nevil\r\n.\r\n")
        .await;
    plain.expect("220").await;
    let mut client = plain.into_tls(trusting(&certificate, BOTH)).await;
    // The first reply in TLS is to the first command in TLS.
    client.ask("NOOP", "250").await;
    client.ask("MAIL FROM:<>", "503").await;
    assert!(service.has_taken_nothing());
}

#[tokio::test]
async fn what_is_no_handshake_ends_the_connection() {
    let (tls, _) = certificates::fresh();
    let service = Service::start(Options::start_tls(&tls));
    let mut client = Told::introduced(service.address).await;
    client.ask("STARTTLS", "220").await;
    client.say("MAIL FROM:<>\r\nQUIT\r\n").await;
    let mut rest = Vec::new();
    let ended = soon(tokio::io::AsyncReadExt::read_to_end(
        &mut client.stream,
        &mut rest,
    ));
    // With an alert or a reset, but without a reply.
    let _ = ended.await;
    assert!(!rest.starts_with(b"250") && !rest.starts_with(b"221"));
}

#[tokio::test]
async fn implicit_tls_comes_before_the_greeting() {
    let (tls, certificate) = certificates::fresh();
    let service = Service::start(Options::new(ListenerTls::Implicit(tls)));
    let plain = Told::connect(service.address).await;
    let mut client = plain.into_tls(trusting(&certificate, BOTH)).await;
    client.expect("220").await;
    let offer = client.ask("EHLO client.example.net", "250").await;
    assert!(!offer.contains("STARTTLS") && offer.contains("AUTH"));
    client.ask("STARTTLS", "503").await;
}

async fn accepts_handshake(service: &Service, config: Arc<ClientConfig>) -> bool {
    let stream = soon(TcpStream::connect(service.address)).await.unwrap();
    let name = HOST.try_into().unwrap();
    soon(TlsConnector::from(config).connect(name, stream))
        .await
        .is_ok()
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates::files_in(folder.path());
    let old = certificates::write_pair(folder.path());
    let tls = ReloadingTls::load(files.clone()).unwrap();
    let service = Service::start(Options::new(ListenerTls::Implicit(tls.clone())));
    assert!(accepts_handshake(&service, trusting(&old, BOTH)).await);

    // A new certificate with the old key, as if caught half-way.
    let old_key = std::fs::read(&files.key).unwrap();
    let new = certificates::write_pair(folder.path());
    let new_key = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, old_key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsFilesError::Pair { .. })));
    assert!(accepts_handshake(&service, trusting(&old, BOTH)).await);

    std::fs::write(&files.key, "no key at all").unwrap();
    assert!(matches!(tls.reload(), Err(TlsFilesError::Pem { .. })));
    std::fs::remove_file(&files.key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsFilesError::Read { .. })));

    std::fs::write(&files.key, new_key).unwrap();
    tls.reload().unwrap();
    assert!(accepts_handshake(&service, trusting(&new, BOTH)).await);
    assert!(!accepts_handshake(&service, trusting(&old, BOTH)).await);
}

#[tokio::test]
async fn the_watch_finds_a_new_certificate_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let old = certificates::write_pair(folder.path());
    let tls = ReloadingTls::load(certificates::files_in(folder.path())).unwrap();
    let service = Service::start(Options::new(ListenerTls::Implicit(tls.clone())));
    let shutdown = CancellationToken::new();
    let watch = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            tls.watch(std::time::Duration::from_millis(5), shutdown)
                .await;
        }
    });
    let new = certificates::write_pair(folder.path());
    assert_ne!(old, new);
    soon(async { while !accepts_handshake(&service, trusting(&new, BOTH)).await {} }).await;
    shutdown.cancel();
    soon(watch).await.unwrap();
}
