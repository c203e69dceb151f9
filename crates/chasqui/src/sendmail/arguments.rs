//! The command line of sendmail, as far as programs use it.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::error::SendmailError;

/// `chasqui sendmail`.
#[derive(Debug, Default, Args)]
#[command(
    disable_version_flag = true,
    disable_help_flag = true,
    args_override_self = true,
    after_help = "Which server and login: -C FILE, or /etc/chasqui/sendmail.toml, and \
        CHASQUI_SENDMAIL__HOST, __PORT, __TLS, __LOGIN, __PASSWORD (or __PASSWORD_FILE), __CA, \
        __HOST_NAME, __DOMAIN in the environment. Without any: localhost, port 25.\n\n\
        Exit status: 0 accepted, 64 wrong usage, 65 a malformed message or address, 67 a recipient \
        was refused, 69 the message was refused, 74 the message can't be read, 75 try again later, \
        77 the login was refused, 78 wrong configuration."
)]
pub(crate) struct SendmailCommand {
    /// Who is to get it; a name without @ is one of our own domain
    #[arg(value_name = "RECIPIENT")]
    pub(super) recipients: Vec<String>,
    /// Also everybody in To, Cc and Bcc; the Bcc field is removed in any case
    #[arg(short = 't')]
    pub(super) from_header: bool,
    /// The reverse-path, to which failures are reported; '<>' for none [default: the login]
    #[arg(
        short = 'f',
        short_alias = 'r',
        value_name = "ADDRESS",
        allow_hyphen_values = true
    )]
    sender: Option<String>,
    /// Full name of the sender, for a From field where there is none
    #[arg(short = 'F', value_name = "NAME")]
    pub(super) full_name: Option<String>,
    /// A line with only a dot does not end the message; also -oi
    #[arg(short = 'i')]
    ignore_dots: bool,
    /// Tell what the server said
    #[arg(short = 'v')]
    pub(super) verbose: bool,
    /// m: submit a message, the default. Others are other programs' work
    #[arg(short = 'b', value_name = "MODE", default_value = "m")]
    mode: String,
    /// Options of sendmail: i is heard, others are ignored
    #[arg(short = 'o', value_name = "OPTION", action = ArgAction::Append)]
    options: Vec<String>,
    /// Run the queue, which relays do by themselves
    #[arg(short = 'q', hide = true)]
    run_queue: bool,
    /// The configuration file
    #[arg(short = 'C', value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Submit to the `chasqui dev` with this state folder, as alice
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(super) state: Option<PathBuf>,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// What concerns sendmail's inside: DSN wishes, hop counts, trace files, queue runs
    #[command(flatten)]
    ignored: Ignored,
}

/// Taken so that programs which give them go on working.
#[derive(Debug, Default, Args)]
struct Ignored {
    #[arg(short = 'A', hide = true)]
    which_configuration: Option<String>,
    #[arg(short = 'B', hide = true)]
    body: Option<String>,
    #[arg(short = 'd', hide = true, num_args = 0..=1, require_equals = true)]
    debug: Option<String>,
    #[arg(short = 'G', hide = true)]
    gateway: bool,
    #[arg(short = 'h', hide = true)]
    hops: Option<String>,
    #[arg(short = 'L', hide = true)]
    label: Option<String>,
    #[arg(short = 'm', hide = true)]
    me_too: bool,
    #[arg(short = 'N', hide = true)]
    notify: Option<String>,
    #[arg(short = 'n', hide = true)]
    no_aliases: bool,
    #[arg(short = 'O', hide = true)]
    long_options: Vec<String>,
    #[arg(short = 'p', hide = true)]
    protocol: Option<String>,
    #[arg(short = 'R', hide = true)]
    returned: Option<String>,
    #[arg(short = 'U', hide = true)]
    user_submission: bool,
    #[arg(short = 'V', hide = true)]
    envelope_id: Option<String>,
    #[arg(short = 'X', hide = true)]
    log: Option<PathBuf>,
}

/// What sendmail is to be.
pub(super) enum Mode {
    Deliver,
    Refused(&'static str),
}

impl SendmailCommand {
    pub(super) fn mode(&self) -> Result<Mode, SendmailError> {
        if self.run_queue {
            return Ok(Mode::Refused(
                "-q: relays run the queue by themselves; `chasqui queue flush` hurries them",
            ));
        }
        match self.mode.as_str() {
            "m" => Ok(Mode::Deliver),
            "s" => Ok(Mode::Refused(
                "-bs (SMTP on standard input) is not spoken here: connect to submission or relay",
            )),
            "d" | "D" => Ok(Mode::Refused(
                "-bd: the services are the daemons; start relay and submission",
            )),
            "p" => Ok(Mode::Refused("-bp: run `chasqui mailq`")),
            "i" => Ok(Mode::Refused(
                "-bi: there is no alias file to rebuild; see `chasqui alias`",
            )),
            "v" => Ok(Mode::Refused("-bv: addresses are not verified here")),
            other => Err(SendmailError::Mode(other.to_owned())),
        }
    }

    /// Whether a line with only a dot is a line like any other.
    pub(super) fn ignores_dots(&self) -> bool {
        self.ignore_dots || self.options.iter().any(|option| option == "i")
    }

    /// The argument of -f without its angle brackets; empty for the null path.
    pub(super) fn sender(&self) -> Option<&str> {
        let sender = self.sender.as_deref()?.trim();
        let inside = sender
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'));
        Some(inside.unwrap_or(sender))
    }
}
