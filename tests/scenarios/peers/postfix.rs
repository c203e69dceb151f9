//! A Postfix of a test's own: Debian's programs on a private configuration, queue and log. The machine's own instance
//! (`/etc/postfix`) is neither used nor touched.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::User;
use tempfile::TempDir;
use testkit::{TestCertificate, wait_until};

use super::present::find;
use crate::fleet::Mail;

const SUPERVISE: &str = include_str!("postfix.sh");
/// An address of this host that nobody else's tests listen on, so that a port that is free now stays free.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Whose mailboxes they are: `nobody` (Postfix delivers as no one below 100).
const MAILBOX_OWNER: u32 = 65534;

/// The domain that Postfix has mailboxes for.
pub(crate) const POSTFIX_DOMAIN: &str = "postfix.test";
/// The name that Postfix bears.
pub(crate) const POSTFIX_HOST: &str = "mx.postfix.test";
/// Who has a mailbox there.
const MAILBOXES: [&str; 2] = ["joe", "ann"];

/// A running Postfix. It offers STARTTLS, and uses it where it is offered. Ends when dropped.
pub(crate) struct Postfix {
    address: SocketAddr,
    supervisor: Child,
    folder: TempDir,
}

impl Postfix {
    /// Starts a Postfix that takes mail for its own domain, and sends all other on to `relay_host`, if it has one.
    pub(crate) async fn start(relay_host: Option<SocketAddr>) -> Self {
        let starting = tokio::task::spawn_blocking(move || Self::set_up(relay_host));
        starting.await.unwrap()
    }

    fn set_up(relay_host: Option<SocketAddr>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("postfix")
            .tempdir()
            .unwrap();
        let listener = TcpListener::bind((ADDRESS, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        lay_out(folder.path());
        let config = folder.path().join("config");
        fs::write(config.join("main.cf"), main_cf(folder.path(), relay_host)).unwrap();
        fs::write(config.join("master.cf"), master_cf(address)).unwrap();
        let certificate = TestCertificate::self_signed(&[POSTFIX_HOST]);
        let _ = certificate.write_to(&config, "smtpd");

        let mut postfix = Self {
            address,
            supervisor: supervise(folder.path()),
            folder,
        };
        let mut word = String::new();
        let says = postfix.supervisor.stdout.take().unwrap();
        BufReader::new(says).read_line(&mut word).unwrap();
        assert_eq!(word, "started\n", "Postfix did not start");
        postfix
    }

    /// Where it takes mail.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log/postfix")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until it has logged this.
    pub(crate) async fn wait_for_log(&self, text: &str) {
        let what = format!("{text:?} in Postfix's log");
        wait_until(&what, async || self.log().contains(text)).await;
    }

    /// Waits for a mailbox's first message, and returns it.
    pub(crate) async fn first_mail_of(&self, name: &str) -> Mail {
        self.mail_of(name, 1).await.remove(0)
    }

    /// Waits until a mailbox has so many messages, and returns all that it has, as they went over the wire: Postfix
    /// keeps mail with the line ends of Unix.
    pub(crate) async fn mail_of(&self, name: &str, count: usize) -> Vec<Mail> {
        let what = format!("{count} messages for {name} at Postfix");
        let new = self.folder.path().join("mail").join(name).join("new");
        let files = || fs::read_dir(&new).into_iter().flatten();
        wait_until(&what, async || files().count() >= count).await;
        let stored = files().map(|file| fs::read(file.unwrap().path()).unwrap());
        let on_the_wire = |mail: Vec<u8>| Mail {
            bytes: with_crlf(&mail),
        };
        stored.map(on_the_wire).collect()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of Postfix ---\n{}---", self.log());
        }
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn with_crlf(stored: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(stored.len() * 21 / 20);
    for line in stored.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [text @ .., b'\n'] => bytes.extend([text, b"\r\n"].concat()),
            unended => bytes.extend(unended),
        }
    }
    bytes
}

/// Makes the folders, for those whose they are to be.
fn lay_out(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["config", "queue", "data", "mail", "log"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let postfix = User::from_name("postfix")
        .unwrap()
        .expect("Postfix's package makes a user");
    chown(folder.join("data"), Some(postfix.uid.as_raw()), None).unwrap();
    chown(
        folder.join("mail"),
        Some(MAILBOX_OWNER),
        Some(MAILBOX_OWNER),
    )
    .unwrap();
}

fn supervise(folder: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", SUPERVISE, "postfix.sh"])
        .arg(find("postfix").unwrap())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C ends the test; Postfix is then ended in good order.
        .process_group(0);
    shell.spawn().unwrap()
}

/// See postconf(5).
fn main_cf(folder: &Path, relay_host: Option<SocketAddr>) -> String {
    let folder = folder.display();
    let elsewhere = match relay_host {
        Some(relay) => format!("relayhost = [{}]:{}", relay.ip(), relay.port()),
        None => "default_transport = error:5.4.4 this Postfix only takes mail".to_owned(),
    };
    let mailboxes: Vec<String> = MAILBOXES
        .iter()
        .map(|name| format!("{{ {name}@{POSTFIX_DOMAIN} = {name}/ }}"))
        .collect();
    let mailboxes = mailboxes.join(", ");
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix
maillog_file_prefixes = {folder}
myhostname = {POSTFIX_HOST}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_protocols = ipv4
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
virtual_mailbox_domains = {POSTFIX_DOMAIN}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_uid_maps = static:{MAILBOX_OWNER}
virtual_gid_maps = static:{MAILBOX_OWNER}
smtpd_forbid_bare_newline = reject
smtpd_forbid_unauth_pipelining = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/config/smtpd.pem
smtpd_tls_key_file = {folder}/config/smtpd.key
smtpd_tls_received_header = yes
smtp_tls_security_level = may
smtp_tls_loglevel = 1
{elsewhere}
"
    )
}

/// See master(5). Nothing runs in a chroot.
fn master_cf(address: SocketAddr) -> String {
    format!(
        "{address} inet n - n - - smtpd
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
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
