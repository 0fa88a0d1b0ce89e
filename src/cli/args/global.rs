//! The flags of all commands.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use aaclip::progress::Progress;
use clap::ValueEnum;

use crate::cli::messages;
use crate::cli::settings::Selection;
use crate::cli::threads;

/// Their heading in the help.
pub const HEADING: &str = "Global options";

/// More threads than any machine has processors; each needs memory.
const MOST_THREADS: usize = 4096;

/// The flags of all commands.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// Threads to compute with [default: what this process may use]. Scores do not depend on it
    #[arg(long, global = true, value_name = "N", value_parser = parse_threads, help_heading = HEADING)]
    pub threads: Option<NonZeroUsize>,

    #[command(flatten)]
    pub verbosity: Verbosity,

    /// When to colour help and messages; auto follows the terminal, NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorName::Auto, hide_short_help = true, help_heading = HEADING)]
    pub color: ColorName,

    /// Read this settings file alone (see `aaclip config --help`)
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config", hide_short_help = true, help_heading = HEADING)]
    pub config: Option<PathBuf>,

    /// Read no settings file
    #[arg(long, global = true, hide_short_help = true, help_heading = HEADING)]
    pub no_config: bool,
}

/// How many messages a run prints.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Verbosity {
    /// Print only errors: no progress, no warnings
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = HEADING)]
    pub quiet: bool,

    /// Print the choices made, and at the end the time and memory used
    #[arg(long, short, global = true, hide_short_help = true, help_heading = HEADING)]
    pub verbose: bool,
}

impl Verbosity {
    pub fn progress(&self) -> Progress {
        if self.quiet { Progress::Silent } else { Progress::Auto }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorName {
    /// On a terminal, unless the environment forbids it
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl ColorName {
    /// Applies the choice to all further output.
    pub fn choose(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

impl Global {
    /// Puts the flags into effect.
    ///
    /// # Errors
    /// The system provides no thread.
    pub fn start(&self) -> aaclip::Result<()> {
        messages::set(self.verbosity);
        self.color.choose();
        threads::start(self.threads)
    }

    /// The flags about the settings file.
    pub fn selection(&self) -> Selection {
        Selection { only: self.config.clone(), none: self.no_config }
    }
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = text.parse().ok().filter(|n: &NonZeroUsize| n.get() <= MOST_THREADS);
    threads.ok_or_else(|| format!("expected a number from 1 to {MOST_THREADS}"))
}
