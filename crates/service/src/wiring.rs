//! From the sections of a configuration to the settings of the parts that every service is made of.

use std::net::SocketAddr;
use std::time::Duration;

use queue::DatabaseConfig;
use rpc::{
    ChannelConfig, ClientTls, GrpcServerConfig, Identity, ServerTls, Target, TargetError, Token,
    TokenError,
};
use smtp_net::{BindError, Listener, ListenerOptions, ListenerTls, ReloadingTls, TlsFiles};

use crate::config::{
    DatabaseSection, GrpcClientSection, GrpcClientTls, GrpcServerSection, GrpcServerTls,
    ListenSection, ListenTls, Problem, TlsSection,
};

/// How to call another service; each call takes at most `deadline`, unless the section says
/// otherwise.
///
/// # Errors
/// What is wrong with the section.
pub fn channel(section: &GrpcClientSection, deadline: Duration) -> Result<ChannelConfig, Problem> {
    let targets: Result<Vec<Target>, TargetError> =
        section.targets.iter().map(|text| text.parse()).collect();
    let token: Result<Option<Token>, TokenError> =
        section.token.as_ref().map(Token::new).transpose();
    Ok(ChannelConfig {
        targets: targets.map_err(|error| Problem::new("targets", error.to_string()))?,
        tls: section.tls.clone().map(client_tls),
        token: token.map_err(|error| Problem::new("token", error.to_string()))?,
        deadline: section.deadline.unwrap_or(deadline),
    })
}

fn client_tls(tls: GrpcClientTls) -> ClientTls {
    let pair = tls.certificate.zip(tls.key);
    ClientTls {
        authority: tls.authority,
        identity: pair.map(|(certificate, key)| Identity { certificate, key }),
        server_name: tls.server_name,
    }
}

/// A gRPC server of our own.
#[must_use]
pub fn grpc_server(section: &GrpcServerSection) -> GrpcServerConfig {
    GrpcServerConfig {
        bind: section.bind,
        tls: section.tls.clone().map(server_tls),
        token: section.token.clone(),
    }
}

/// What is wrong with a gRPC server of our own, beyond what its section can tell.
#[must_use]
pub fn grpc_problems(section: &GrpcServerSection) -> Vec<Problem> {
    let found = grpc_server(section).problems();
    found
        .into_iter()
        .map(|problem| Problem::new(problem.key, problem.message))
        .collect()
}

fn server_tls(tls: GrpcServerTls) -> ServerTls {
    ServerTls {
        identity: Identity {
            certificate: tls.certificate,
            key: tls.key,
        },
        client_authority: tls.client_authority,
    }
}

/// The queue's database.
#[must_use]
pub fn database(section: &DatabaseSection) -> DatabaseConfig {
    DatabaseConfig {
        max_connections: section.max_connections,
        acquire_timeout: section.acquire_timeout,
        transaction_pooler: section.transaction_pooler,
        ..DatabaseConfig::new(section.url())
    }
}

/// Brings the queue's schema up to date. Not through a transaction pooler: migrations hold a lock of
/// their session, which is none there.
///
/// # Errors
/// Any [`queue::MigrationError`].
pub async fn migrate_queue(section: &DatabaseSection) -> Result<(), queue::MigrationError> {
    if section.transaction_pooler {
        return Ok(());
    }
    queue::migrate(section.url()).await
}

/// The certificate for SMTP clients.
#[must_use]
pub fn tls_files(section: &TlsSection) -> TlsFiles {
    TlsFiles {
        certificate: section.certificate.clone(),
        key: section.key.clone(),
    }
}

/// An SMTP socket. Without a certificate it speaks no TLS; validation refuses a section that
/// wants it all the same.
fn listener(section: &ListenSection, tls: Option<&ReloadingTls>) -> (SocketAddr, ListenerOptions) {
    let tls = match (section.tls, tls) {
        (ListenTls::None, _) | (_, None) => ListenerTls::None,
        (ListenTls::StartTls, Some(tls)) => ListenerTls::StartTls(tls.clone()),
        (ListenTls::Implicit, Some(tls)) => ListenerTls::Implicit(tls.clone()),
    };
    let options = ListenerOptions {
        max_connections: section.max_connections,
        max_connections_per_address: section.max_connections_per_address,
        drain_deadline: section.drain_deadline,
        proxy_networks: section.proxy_networks.clone(),
        ..ListenerOptions::new(tls)
    };
    (section.address, options)
}

/// Binds all sockets of a service.
///
/// # Errors
/// [`BindError`] of the first that can't be bound.
pub fn bind(
    listen: &[ListenSection],
    tls: Option<&ReloadingTls>,
) -> Result<Vec<Listener>, BindError> {
    let bind_one = |section| {
        let (address, options) = listener(section, tls);
        Listener::bind(address, options)
    };
    listen.iter().map(bind_one).collect()
}

/// A size in memory. What does not fit the address space cannot be reserved anyway.
#[must_use]
pub fn in_memory(octets: u64) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}

/// The certificate is missing where a socket wants it.
#[must_use]
pub fn missing_certificate(listen: &[ListenSection], tls: Option<&TlsSection>) -> Vec<Problem> {
    let wants_tls = listen.iter().any(|socket| socket.tls != ListenTls::None);
    if !wants_tls || tls.is_some() {
        return Vec::new();
    }
    let message = "is missing: a socket of [[listen]] speaks TLS; give certificate and key, or set \
                   its tls to \"none\"";
    vec![Problem::new("tls", message)]
}
