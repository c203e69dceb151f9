//! Whom to submit to, and as whom.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, gethostname};
use secrecy::SecretString;
use serde::Deserialize;
use service::config::{ListenTls, Problem, Validate, load_with, optional_secret};
use smtp::{Domain, Mailbox, ReversePath};

use super::arguments::SendmailCommand;
use super::error::SendmailError;
use crate::talk::Security;

/// Where the settings are, unless another file is named.
const FILE: &str = "/etc/chasqui/sendmail.toml";
/// Prefix of the environment variables: `CHASQUI_SENDMAIL__HOST` is `host`.
const ENVIRONMENT_PREFIX: &str = "CHASQUI_SENDMAIL";
/// Goes for the services; it is none of ours.
const DATABASE_URL: &str = "DATABASE_URL";

/// RFC 6409, and RFC 8314 §3.3.
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;
const SMTP: u16 = 25;

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    /// The server: submission, with a login, or a relay that takes our mail. Default `localhost`.
    host: String,
    /// Default 25; with a login 587, or 465 if `tls` is `implicit`.
    port: Option<u16>,
    /// Default: `offered`; with a login `starttls`.
    tls: Option<Encryption>,
    /// Who logs in.
    login: Option<String>,
    /// The password.
    #[serde(deserialize_with = "optional_secret")]
    password: Option<SecretString>,
    /// The authorities that vouch for the server, in PEM. Default: those of the system; this
    /// machine, and a server without a login, needn't be vouched for.
    ca: Option<PathBuf>,
    /// Our name in EHLO and Message-ID. Default: that of this host.
    host_name: Option<String>,
    /// The domain of names without @. Default: that of the login, or `host_name`.
    domain: Option<String>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: None,
            tls: None,
            login: None,
            password: None,
            ca: None,
            host_name: None,
            domain: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encryption {
    None,
    Offered,
    StartTls,
    Implicit,
}

impl From<Encryption> for Security {
    fn from(tls: Encryption) -> Self {
        match tls {
            Encryption::None => Self::Plain,
            Encryption::Offered => Self::Offered,
            Encryption::StartTls => Self::Demanded,
            Encryption::Implicit => Self::Implicit,
        }
    }
}

impl Validate for File {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let own = [("host_name", &self.host_name), ("domain", &self.domain)];
        for (key, name) in own {
            if name
                .as_ref()
                .is_some_and(|name| Domain::parse(name).is_err())
            {
                problems.push(Problem::new(key, "must be a name in the DNS"));
            }
        }
        if self.login.is_some() != self.password.is_some() {
            problems.push(Problem::new(
                "login",
                "goes with `password`: give both or neither",
            ));
        }
        if self.login.is_some() && matches!(self.tls, Some(Encryption::None | Encryption::Offered))
        {
            let message = "must be starttls or implicit: a password is not sent in plaintext";
            problems.push(Problem::new("tls", message));
        }
        problems
    }
}

/// Whom to submit to, and as whom.
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<(String, SecretString)>,
    pub(super) ca: Option<PathBuf>,
    /// Our own name.
    pub(super) host_name: String,
    domain: String,
}

impl Settings {
    pub(super) fn load(command: &SendmailCommand) -> Result<Self, SendmailError> {
        if let Some(state) = &command.state {
            return of_dev(state);
        }
        let usual = Path::new(FILE);
        let file = command.config.as_deref();
        let file = file.or_else(|| usual.exists().then_some(usual));
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !name.starts_with(DATABASE_URL));
        Self::new(load_with(file, ENVIRONMENT_PREFIX, environment)?)
    }

    fn new(file: File) -> Result<Self, SendmailError> {
        let login = file.login.zip(file.password);
        let default = if login.is_some() {
            Encryption::StartTls
        } else {
            Encryption::Offered
        };
        let security = Security::from(file.tls.unwrap_or(default));
        let port = match security {
            Security::Implicit => SUBMISSIONS,
            _ if login.is_some() => SUBMISSION,
            _ => SMTP,
        };
        let host_name = file.host_name.unwrap_or_else(own_name);
        if Domain::parse(&host_name).is_err() {
            return Err(SendmailError::HostName { name: host_name });
        }
        let of_login = login
            .as_ref()
            .and_then(|(login, _)| Mailbox::parse(login).ok());
        let of_login = of_login.map(|mailbox| mailbox.domain().to_string());
        Ok(Self {
            host: file.host,
            port: file.port.unwrap_or(port),
            security,
            ca: file.ca,
            domain: file
                .domain
                .or(of_login)
                .unwrap_or_else(|| host_name.clone()),
            login,
            host_name,
        })
    }

    /// An address; a name without @ is one of our own domain.
    pub(super) fn mailbox(&self, text: &str) -> Result<Mailbox, SendmailError> {
        let text = text.trim();
        let inside = text
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'));
        let text = inside.unwrap_or(text);
        let full = if text.contains('@') {
            text.to_owned()
        } else {
            format!("{text}@{}", self.domain)
        };
        Mailbox::parse(&full).map_err(|error| SendmailError::Address {
            text: text.to_owned(),
            error,
        })
    }

    /// Where failures are reported to: what -f says, or the login, or the user.
    pub(super) fn reverse_path(
        &self,
        command: &SendmailCommand,
    ) -> Result<ReversePath, SendmailError> {
        let sender = match command.sender() {
            Some("") => return Ok(ReversePath::Null),
            Some(sender) => sender.to_owned(),
            None => match &self.login {
                Some((login, _)) if login.contains('@') => login.clone(),
                _ => self.user_address(),
            },
        };
        Ok(ReversePath::Mailbox(self.mailbox(&sender)?))
    }

    /// The user who runs us.
    pub(super) fn user_address(&self) -> String {
        let user = User::from_uid(Uid::current()).ok().flatten();
        let name = user.map_or_else(|| Uid::current().to_string(), |user| user.name);
        format!("{name}@{}", self.domain)
    }

    /// Whether the server is this machine, which nobody else can pretend to be.
    pub(super) fn is_here(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn own_name() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

/// The submission of a `chasqui dev`, as the first of its people.
fn of_dev(state: &Path) -> Result<Settings, SendmailError> {
    let missing = || SendmailError::NoDev(state.to_owned());
    let file = state.join("config/submission.toml");
    let database = (DATABASE_URL.to_owned(), "postgres://127.0.0.1/".to_owned());
    let config: submission::Config =
        load_with(Some(&file), submission::ENVIRONMENT_PREFIX, [database])?;
    let mut sockets = config.listen.iter();
    let socket = sockets
        .find(|socket| socket.tls == ListenTls::StartTls)
        .ok_or_else(missing)?;
    let credentials = std::fs::read_to_string(state.join("credentials")).map_err(|_| missing())?;
    let line = credentials.lines().next().ok_or_else(missing)?;
    let (login, password) = line.trim().split_once(' ').ok_or_else(missing)?;
    Settings::new(File {
        host: socket.address.ip().to_string(),
        port: Some(socket.address.port()),
        login: Some(login.to_owned()),
        password: Some(password.trim().to_owned().into()),
        host_name: Some(config.host_name),
        ..File::default()
    })
}
