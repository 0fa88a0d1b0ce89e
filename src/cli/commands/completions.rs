//! `aaclip completions`.

use std::process::ExitCode;

use aaclip::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  bash        aaclip completions bash > ~/.local/share/bash-completion/completions/aaclip
  zsh         aaclip completions zsh > ~/.zfunc/_aaclip
              (before compinit in ~/.zshrc: fpath+=~/.zfunc)
  fish        aaclip completions fish > ~/.config/fish/completions/aaclip.fish
  PowerShell  aaclip completions powershell >> $PROFILE
  elvish      aaclip completions elvish >> ~/.config/elvish/rc.elv

For this shell alone: source <(aaclip completions bash)";

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "aaclip", &mut script);
    messages::print(script)?;
    Ok(ExitCode::SUCCESS)
}
