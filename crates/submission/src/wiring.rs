//! From the sections of the configuration to the settings of the parts.

use std::net::SocketAddr;
use std::time::Duration;

use queue::DatabaseConfig;
use rpc::{
    ChannelConfig, ClientTls, GrpcServerConfig, Identity, ServerTls, Target, TargetError, Token,
    TokenError,
};
use service::config::{
    DatabaseSection, GrpcClientSection, GrpcClientTls, GrpcServerSection, GrpcServerTls,
    ListenSection, ListenTls, Problem, TlsSection,
};
use smtp::Dialect;
use smtp::server::{AuthOffer, Config as SessionConfig};
use smtp_net::{ListenerOptions, ListenerTls, ReloadingTls, TlsFiles};

use crate::config::Config;

/// How long the directory may take: a password hash costs tens of milliseconds, more on a busy
/// machine; a mail client waits a minute or more.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn directory(config: &Config) -> Result<ChannelConfig, Problem> {
    channel(&config.directory)
}

/// The relays to hand off to, if any are configured.
pub(crate) fn relay(config: &Config) -> Result<Option<ChannelConfig>, Problem> {
    config.relay.as_ref().map(channel).transpose()
}

fn channel(section: &GrpcClientSection) -> Result<ChannelConfig, Problem> {
    let targets: Result<Vec<Target>, TargetError> =
        section.targets.iter().map(|text| text.parse()).collect();
    let token: Result<Option<Token>, TokenError> =
        section.token.as_ref().map(Token::new).transpose();
    Ok(ChannelConfig {
        targets: targets.map_err(|error| Problem::new("targets", error.to_string()))?,
        tls: section.tls.clone().map(client_tls),
        token: token.map_err(|error| Problem::new("token", error.to_string()))?,
        deadline: section.deadline.unwrap_or(DIRECTORY_DEADLINE),
    })
}

fn client_tls(tls: GrpcClientTls) -> ClientTls {
    ClientTls {
        authority: tls.authority,
        identity: tls
            .certificate
            .zip(tls.key)
            .map(|(certificate, key)| Identity { certificate, key }),
        server_name: tls.server_name,
    }
}

/// Our own gRPC server, if one is configured.
pub(crate) fn grpc(config: &Config) -> Option<GrpcServerConfig> {
    config.grpc.as_ref().map(grpc_server)
}

fn grpc_server(section: &GrpcServerSection) -> GrpcServerConfig {
    GrpcServerConfig {
        bind: section.bind,
        tls: section.tls.clone().map(server_tls),
        token: section.token.clone(),
    }
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

pub(crate) fn database(section: &DatabaseSection) -> DatabaseConfig {
    DatabaseConfig {
        max_connections: section.max_connections,
        acquire_timeout: section.acquire_timeout,
        ..DatabaseConfig::new(section.url())
    }
}

pub(crate) fn tls_files(section: &TlsSection) -> TlsFiles {
    TlsFiles {
        certificate: section.certificate.clone(),
        key: section.key.clone(),
    }
}

pub(crate) fn listener(
    section: &ListenSection,
    tls: &ReloadingTls,
) -> (SocketAddr, ListenerOptions) {
    let tls = match section.tls {
        ListenTls::None => ListenerTls::None,
        ListenTls::StartTls => ListenerTls::StartTls(tls.clone()),
        ListenTls::Implicit => ListenerTls::Implicit(tls.clone()),
    };
    let options = ListenerOptions {
        max_connections: section.max_connections,
        max_connections_per_address: section.max_connections_per_address,
        drain_deadline: section.drain_deadline,
        ..ListenerOptions::new(tls)
    };
    (section.address, options)
}

/// What the sessions of all sockets have in common.
pub(crate) fn session(config: &Config) -> SessionConfig {
    let limits = &config.limits;
    SessionConfig {
        max_message_size: limits.message_size,
        max_recipients: limits.recipients,
        max_auth_failures: limits.failed_logins_per_session.get() as usize,
        auth: AuthOffer::AfterTls,
        ..SessionConfig::new(Dialect::Smtp, config.host_name.clone())
    }
}
