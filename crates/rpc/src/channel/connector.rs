//! Turning an address into a connection.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Uri};

use super::config::{ChannelConfig, ChannelError, ClientTls};
use super::roster::Address;
use crate::certificate::Shown;
use crate::token::Token;

/// Services are near: one lost SYN is repeated after a second, a second one means trouble.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A dead peer is noticed after interval plus timeout, whether calls are under way or not.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("chasqui/", env!("CARGO_PKG_VERSION"));

/// Makes endpoints for the addresses of one service.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: Option<(ClientTlsConfig, Option<String>)>,
    token: Option<Token>,
    _shown: Option<Shown>,
}

impl Connector {
    /// Reads the PEM files and tries the settings on every target.
    pub(crate) fn new(config: &ChannelConfig) -> Result<Self, ChannelError> {
        if config.targets.is_empty() {
            return Err(ChannelError::NoTarget);
        }
        let (tls, shown) = match config.tls.as_ref().map(read_tls).transpose()? {
            Some((tls, name, shown)) => (Some((tls, name)), shown),
            None => (None, None),
        };
        let connector = Self {
            tls,
            token: config.token.clone(),
            _shown: shown,
        };
        for target in &config.targets {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port()));
            connector.endpoint(&Address::new(target.clone(), anywhere))?;
        }
        Ok(connector)
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Where to connect to, by IP address. The name only goes into certificate and authority.
    pub(crate) fn endpoint(&self, address: &Address) -> Result<Endpoint, ChannelError> {
        self.build(address)
            .map_err(|source| ChannelError::Unusable {
                target: address.target().clone(),
                source,
            })
    }

    fn build(&self, address: &Address) -> Result<Endpoint, tonic::transport::Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let target = address.target();
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", address.socket()))?
            .user_agent(USER_AGENT)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        if let Ok(origin) = format!("{scheme}://{target}").parse::<Uri>() {
            endpoint = endpoint.origin(origin);
        }
        if let Some((tls, server_name)) = &self.tls {
            let name = server_name.as_deref().unwrap_or_else(|| target.host());
            endpoint = endpoint.tls_config(tls.clone().domain_name(name))?;
        }
        Ok(endpoint)
    }
}

type ReadTls = (ClientTlsConfig, Option<String>, Option<Shown>);

fn read_tls(tls: &ClientTls) -> Result<ReadTls, ChannelError> {
    let authority = Certificate::from_pem(read(&tls.authority)?);
    let mut config = ClientTlsConfig::new()
        .ca_certificate(authority)
        .timeout(CONNECT_TIMEOUT);
    let mut shown = None;
    if let Some(identity) = &tls.identity {
        let certificate = read(&identity.certificate)?;
        shown = Shown::new(&certificate);
        let key = read(&identity.key)?;
        config = config.identity(tonic::transport::Identity::from_pem(certificate, key));
    }
    Ok((config, tls.server_name.clone(), shown))
}

fn read(path: &Path) -> Result<Vec<u8>, ChannelError> {
    fs::read(path).map_err(|source| ChannelError::File {
        path: path.to_owned(),
        source,
    })
}
