//! Asking the directory.

use std::time::Duration;

use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use smtp::Mailbox;
use tonic::Request;

use super::{Authentication, Login, Lookup};
use crate::channel::{Balanced, Call, ChannelConfig, ChannelError, Wire};
use crate::convert;
use crate::error::{ConversionError, RpcError};
use crate::proto::directory as proto;
use crate::proto::directory::directory_client::DirectoryClient as Generated;

const SERVICE: &str = "directory";
/// How long an answer is remembered, positive or negative: as long as a change may go unseen.
const MEMORY: Duration = Duration::from_secs(5);
/// Most answers remembered of each kind.
const MEMORY_ENTRIES: u64 = 50_000;
/// Largest answer in octets; real ones have less than 500.
const MAX_ANSWER: usize = 64 * 1_024;

/// The directory behind its gRPC service. Clones share channel and memory.
#[derive(Clone)]
pub struct DirectoryClient {
    channel: Balanced,
    lookups: Cache<Mailbox, Lookup>,
    domains: Cache<String, bool>,
}

impl DirectoryClient {
    /// A client that connects when it is first used. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ChannelError`], all of it configuration.
    pub fn new(config: &ChannelConfig) -> Result<Self, ChannelError> {
        Ok(Self {
            channel: Balanced::new(SERVICE, config)?,
            lookups: Cache::builder()
                .max_capacity(MEMORY_ENTRIES)
                .time_to_live(MEMORY)
                .build(),
            domains: Cache::builder()
                .max_capacity(MEMORY_ENTRIES)
                .time_to_live(MEMORY)
                .build(),
        })
    }

    /// What an address is. The answer may be 5 seconds old.
    ///
    /// # Errors
    /// [`RpcError`]: not known now.
    pub fn lookup<'a>(&'a self, mailbox: &'a Mailbox) -> Call<'a, Lookup> {
        Box::pin(async move {
            if let Some(known) = self.lookups.get(mailbox) {
                return Ok(known);
            }
            // Mail for others has as many addresses as recipients, but few domains.
            let domain = mailbox.domain().routing_domain();
            if self.domains.get(&domain) == Some(false) {
                return Ok(Lookup::NotLocal);
            }
            let request = proto::LookupRequest {
                address: mailbox.to_string().into_bytes(),
            };
            let answer = self
                .channel
                .call(|wire| {
                    let request = request.clone();
                    async move { generated(wire).lookup(Request::new(request)).await }
                })
                .await?;
            let lookup = lookup_from(answer.verdict()).map_err(malformed)?;
            match lookup {
                Lookup::NotLocal => self.domains.insert(domain, false),
                _ => self.lookups.insert(mailbox.clone(), lookup),
            }
            Ok(lookup)
        })
    }

    /// Whether a domain (in lower case, or an address literal) is ours. The answer may be
    /// 5 seconds old.
    ///
    /// # Errors
    /// [`RpcError`]: not known now.
    pub fn is_local<'a>(&'a self, domain: &'a str) -> Call<'a, bool> {
        Box::pin(async move {
            if let Some(known) = self.domains.get(domain) {
                return Ok(known);
            }
            let answer = self
                .channel
                .call(|wire| {
                    let domain = domain.to_owned();
                    let request = Request::new(proto::IsLocalRequest { domain });
                    async move { generated(wire).is_local(request).await }
                })
                .await?;
            self.domains.insert(domain.to_owned(), answer.local);
            Ok(answer.local)
        })
    }

    /// Whom `<postmaster>` without a domain means (RFC 5321 §4.5.1); none while there is no
    /// domain.
    ///
    /// # Errors
    /// [`RpcError`]: not known now.
    pub fn postmaster(&self) -> Call<'_, Option<Mailbox>> {
        Box::pin(async move {
            let answer = self
                .channel
                .call(|wire| async move {
                    let request = Request::new(proto::PostmasterRequest {});
                    generated(wire).postmaster(request).await
                })
                .await?;
            if answer.address.is_empty() {
                return Ok(None);
            }
            convert::mailbox("address", &answer.address)
                .map(Some)
                .map_err(malformed)
        })
    }

    /// Whether login and password fit.
    ///
    /// # Errors
    /// [`RpcError`]: not known now, which is neither a yes nor a no.
    pub fn authenticate<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
    ) -> Call<'a, Authentication> {
        Box::pin(async move {
            let answer = self
                .channel
                .call(|wire| {
                    let request = Request::new(proto::AuthenticateRequest {
                        login: login.to_owned(),
                        password: password.expose_secret().to_owned(),
                    });
                    async move { generated(wire).authenticate(request).await }
                })
                .await?;
            authentication_from(&answer).map_err(malformed)
        })
    }

    /// Whether an account may put `address` into its MAIL FROM or header From.
    ///
    /// # Errors
    /// [`RpcError`]: not known now.
    pub fn may_send_as<'a>(&'a self, account: &'a Mailbox, address: &'a Mailbox) -> Call<'a, bool> {
        Box::pin(async move {
            let request = proto::MaySendAsRequest {
                account: account.to_string().into_bytes(),
                address: address.to_string().into_bytes(),
            };
            let answer = self
                .channel
                .call(|wire| {
                    let request = request.clone();
                    async move { generated(wire).may_send_as(Request::new(request)).await }
                })
                .await?;
            Ok(answer.allowed)
        })
    }
}

fn generated(wire: Wire) -> Generated<Wire> {
    Generated::new(wire).max_decoding_message_size(MAX_ANSWER)
}

fn malformed(problem: ConversionError) -> RpcError {
    RpcError::Malformed {
        service: SERVICE,
        problem,
    }
}

fn lookup_from(verdict: proto::lookup_response::Verdict) -> Result<Lookup, ConversionError> {
    use proto::lookup_response::Verdict;
    match verdict {
        Verdict::NotLocal => Ok(Lookup::NotLocal),
        Verdict::Unknown => Ok(Lookup::Unknown),
        Verdict::Disabled => Ok(Lookup::Disabled),
        Verdict::Mailbox => Ok(Lookup::Mailbox),
        Verdict::Unspecified => Err(ConversionError::Missing("verdict")),
    }
}

fn authentication_from(
    answer: &proto::AuthenticateResponse,
) -> Result<Authentication, ConversionError> {
    use proto::authenticate_response::Verdict;
    match answer.verdict() {
        Verdict::Accepted => Ok(Authentication::Accepted(Login {
            account: convert::mailbox("account", &answer.account)?,
            tenant: answer.tenant,
        })),
        Verdict::Rejected => Ok(Authentication::Rejected),
        Verdict::Unspecified => Err(ConversionError::Missing("verdict")),
    }
}
