//! `chasqui completions`

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// `chasqui completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "bash: chasqui completions bash > /etc/bash_completion.d/chasqui\n\
    zsh:  chasqui completions zsh > \"${fpath[1]}/_chasqui\"\n\
    fish: chasqui completions fish > ~/.config/fish/completions/chasqui.fish"
)]
pub(crate) struct CompletionsCommand {
    /// Whose script to print
    shell: Supported,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

impl From<Supported> for Shell {
    fn from(shell: Supported) -> Self {
        match shell {
            Supported::Bash => Self::Bash,
            Supported::Zsh => Self::Zsh,
            Supported::Fish => Self::Fish,
        }
    }
}

pub(crate) async fn run(command: CompletionsCommand) -> Result<(), Failure> {
    // Into memory first: the generator itself panics when its reader is gone.
    let mut script = Vec::new();
    let shell = Shell::from(command.shell);
    clap_complete::generate(shell, &mut Arguments::command(), "chasqui", &mut script);
    io::stdout().write_all(&script).map_err(Failure::Output)
}
