//! Debian's Dovecot behind Postfix: Maildir by LMTP, and logins.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::program::Program;
use super::{LOCAL_USER, PASSWORD};

/// A running Dovecot. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Dovecot {
    program: Program,
}

impl Dovecot {
    /// Starts one, for the Postfix of this folder.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let config = folder.join("dovecot.conf");
        std::fs::write(&config, dovecot_conf(folder))?;
        std::fs::write(folder.join("passwords"), passwords()?)?;
        let mut command = Command::new("dovecot");
        let command = command.arg("-F").arg("-c").arg(&config);
        let program = Program::start("dovecot", command, &folder.join("log/dovecot.out"))
            .context("install the packages dovecot-core and dovecot-lmtpd")?;
        let mut dovecot = Self { program };
        dovecot.is_ready(folder).await?;
        Ok(dovecot)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> i32 {
        self.program.id()
    }

    async fn is_ready(&mut self, folder: &Path) -> Result<()> {
        for _ in 0..500 {
            let socket = |name| folder.join("queue/private").join(name).exists();
            if socket("dovecot-lmtp") && socket("auth") {
                return Ok(());
            }
            ensure!(
                self.program.is_running(),
                "Dovecot ended: see {}",
                folder.join("log").display()
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::bail!(
            "Dovecot doesn't get ready: see {}",
            folder.join("log").display()
        )
    }
}

/// Debian's default scheme, by Dovecot's own tool.
fn passwords() -> Result<String> {
    let output = Command::new("doveadm")
        .args(["pw", "-s", "SHA512-CRYPT", "-p", PASSWORD])
        .output()
        .context("can't run doveadm: install the package dovecot-core")?;
    let hash = String::from_utf8(output.stdout)?;
    Ok(format!("{LOCAL_USER}:{}\n", hash.trim()))
}

fn dovecot_conf(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/dovecot
log_path = {folder}/log/dovecot
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
auth_username_format = %u
auth_cache_size = 10M
auth_cache_ttl = 1 hour
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = passwd-file
  args = {folder}/passwords
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u allow_all_users=yes
}}
service lmtp {{
  unix_listener {folder}/queue/private/dovecot-lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener {folder}/queue/private/auth {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"
    )
}
