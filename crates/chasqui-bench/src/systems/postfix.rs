//! Debian's Postfix on a private configuration, queue and log. The machine's own instance (`/etc/postfix`) is neither
//! used nor touched.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::{Uid, User};

use super::chasqui::write_certificate;
use super::configuration::Onward;
use super::dovecot::Dovecot;
use super::{LOCAL_DOMAIN, LOCAL_USER, Root, System};
use crate::place::{Place, free_address};

const SUPERVISE: &str = include_str!("postfix.sh");
/// Whose the mailboxes are: `nobody`.
const MAILBOX_OWNER: u32 = 65534;

/// What a Postfix is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostfixPlan {
    /// Where mail for other domains goes.
    pub(crate) onward: Onward,
    /// Whether a Dovecot stands behind it, for mailboxes and logins.
    pub(crate) with_dovecot: bool,
}

/// A running Postfix. Ended when dropped.
pub(crate) struct Postfix {
    supervisor: Child,
    master: i32,
    dovecot: Option<Dovecot>,
    relay: SocketAddr,
    submission: SocketAddr,
    folder: PathBuf,
}

impl Postfix {
    /// Starts one.
    pub(crate) async fn start(place: &Place, plan: PostfixPlan) -> Result<Self> {
        ensure!(
            Uid::effective().is_root(),
            "Postfix only runs for root: run this as root"
        );
        let folder = place.folder("postfix")?;
        lay_out(&folder)?;
        write_certificate(&folder)?;
        let (relay, submission) = (free_address()?, free_address()?);
        std::fs::write(folder.join("config/main.cf"), main_cf(&folder, plan))?;
        std::fs::write(
            folder.join("config/master.cf"),
            master_cf(relay, submission),
        )?;
        let dovecot = if plan.with_dovecot {
            Some(Dovecot::start(&folder).await?)
        } else {
            None
        };
        let supervisor = supervise(&folder)?;
        let pid_file = folder.join("queue/pid/master.pid");
        let master = std::fs::read_to_string(&pid_file)
            .with_context(|| format!("Postfix did not start: see {}", folder.display()))?;
        Ok(Self {
            supervisor,
            master: master.trim().parse()?,
            dovecot,
            relay,
            submission,
            folder,
        })
    }

    /// Tries all deferred mail now.
    pub(crate) fn flush(&self) -> Result<()> {
        self.run("postqueue", &["-f"])
    }

    /// Deletes all deferred mail.
    pub(crate) fn delete_deferred(&self) -> Result<()> {
        self.run("postsuper", &["-d", "ALL", "deferred"])
    }

    /// How many messages are deferred.
    pub(crate) fn deferred(&self) -> usize {
        // Spread over folders by the first digits of their names.
        let folders = std::fs::read_dir(self.folder.join("queue/deferred"));
        let files = folders.into_iter().flatten().flatten();
        files
            .filter_map(|folder| std::fs::read_dir(folder.path()).ok())
            .map(Iterator::count)
            .sum()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(program)
            .arg("-c")
            .arg(self.folder.join("config"))
            .args(arguments)
            .output()
            .with_context(|| format!("can't run {program}"))?;
        ensure!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

impl System for Postfix {
    fn name(&self) -> &'static str {
        "Postfix"
    }

    fn roots(&self) -> Vec<Root> {
        let dovecot = self
            .dovecot
            .as_ref()
            .map(|dovecot| Root::new("Dovecot", dovecot.id()));
        [Root::new("Postfix", self.master)]
            .into_iter()
            .chain(dovecot)
            .collect()
    }

    fn relay(&self) -> SocketAddr {
        self.relay
    }

    fn submission(&self) -> SocketAddr {
        self.submission
    }

    fn mailbox(&self) -> PathBuf {
        self.folder.join("mail").join(LOCAL_USER)
    }

    fn durability(&self) -> String {
        let dovecot = self
            .dovecot
            .as_ref()
            .map(|_| "; Dovecot: mail_fsync = optimized (default)");
        format!(
            "Postfix: default fsync of queue files before 250{}",
            dovecot.unwrap_or_default()
        )
    }
}

/// Makes the folders, for those whose they are to be.
fn lay_out(folder: &Path) -> Result<()> {
    for name in ["config", "queue/private", "data", "mail", "log"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    let postfix =
        User::from_name("postfix")?.context("there is no Postfix: install the package postfix")?;
    // Postfix makes `private` itself at its first start, but Dovecot starts before it and has its sockets there.
    for name in ["data", "queue/private"] {
        chown(folder.join(name), Some(postfix.uid.as_raw()), None)?;
    }
    chown(
        folder.join("mail"),
        Some(MAILBOX_OWNER),
        Some(MAILBOX_OWNER),
    )?;
    Ok(())
}

fn supervise(folder: &Path) -> Result<Child> {
    let mut child = Command::new("sh")
        .args(["-c", SUPERVISE, "postfix.sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C ends us; Postfix is then ended in good order.
        .process_group(0)
        .spawn()?;
    let mut word = String::new();
    if let Some(says) = child.stdout.take() {
        BufReader::new(says).read_line(&mut word)?;
    }
    ensure!(
        word == "started\n",
        "Postfix did not start: {}",
        ["log/start", "log/postfix"]
            .map(|log| std::fs::read_to_string(folder.join(log)).unwrap_or_default())
            .join("\n")
    );
    Ok(child)
}

/// See postconf(5). What differs from Debian's defaults lets it be faster, or sets the scene.
fn main_cf(folder: &Path, plan: PostfixPlan) -> String {
    let folder = folder.display();
    let onward = match plan.onward {
        Onward::To(host) => format!(
            "relayhost = [{}]:{}\nsmtpd_recipient_restrictions = permit_mynetworks, reject",
            host.ip(),
            host.port()
        ),
        // The cheapest way to accept: its queue manager never sees the message.
        Onward::Away(_) => {
            "smtpd_recipient_restrictions = check_client_access static:HOLD, permit_mynetworks, reject".to_owned()
        }
    };
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix
maillog_file_prefixes = {folder}
myhostname = mx.home.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_protocols = ipv4
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
transport_maps = inline:{{ {{ away.test = smtp:[127.0.0.1]:9 }} }}
virtual_mailbox_domains = {LOCAL_DOMAIN}
virtual_mailbox_maps = inline:{{ {{ {LOCAL_USER} = {LOCAL_USER}/ }} }}
virtual_transport = lmtp:unix:private/dovecot-lmtp
smtpd_tls_cert_file = {folder}/certificate.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_auth_only = yes
{onward}
"
    )
}

/// See master(5). Nothing runs in a chroot.
fn master_cf(relay: SocketAddr, submission: SocketAddr) -> String {
    format!(
        "{relay} inet n - n - - smtpd
{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
