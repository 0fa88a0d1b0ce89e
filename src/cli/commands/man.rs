//! `aaclip man`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use aaclip::{Error, Result, files};
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::cli::messages;
use crate::cli::settings::{inner, subcommands};

const EXAMPLES: &str = "\
Examples:
  aaclip man | man -l -
  aaclip man detect | man -l -
  aaclip man -o ~/.local/share/man/man1        # then: man aaclip-detect";

/// Print the manual, or write all of its pages.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ManArgs {
    /// The command whose page is printed [default: the main page]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write every page into this folder instead: aaclip.1, aaclip-detect.1, ...
    #[arg(long, short, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub fn run(args: ManArgs) -> Result<ExitCode> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    match args.out {
        None => messages::print(page(find(&root, &args.command)?)?)?,
        Some(folder) => {
            for command in all(&root) {
                let path = folder.join(format!("{}.1", name(command)));
                files::write_atomic(&path, page(command)?.as_bytes())
                    .map_err(|e| Error::io("write", &path, e))?;
                messages::print(format!("{}\n", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command with these names.
pub fn find<'a>(root: &'a Command, path: &[String]) -> Result<&'a Command> {
    path.iter().try_fold(root, |command, name| inner(command, name)).map_err(Error::Setting)
}

/// A command and all its subcommands.
fn all(command: &Command) -> Vec<&Command> {
    let mut found = vec![command];
    found.extend(subcommands(command).flat_map(all));
    found
}

/// `aaclip-train-aa-clip`
fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

/// clap_mangen's definition of an apostrophe before every section, needed only once.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

fn page(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    render(command, &mut page).map_err(|e| Error::io("write to", "memory", e))?;
    let page = String::from_utf8_lossy(&page).replace(PREAMBLE, "");
    Ok(format!("{PREAMBLE}{page}"))
}

fn render(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    // Examples before the usage keep their lines too.
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let (about, examples) = match about.split_once("\n\nExamples:\n") {
        Some((about, examples)) => (Some(about.to_owned()), format!("Examples:\n{examples}")),
        None => (None, String::new()),
    };
    let man = Man::new(match about {
        Some(about) => command.clone().long_about(about),
        None => command.clone(),
    });
    // Replaces clap_mangen's title, which leaves out an empty date and so shifts the next fields.
    let title = escaped(&name(command).to_uppercase());
    writeln!(page, ".TH {title} 1 \"\" \"aaclip {}\" \"aaclip manual\"", env!("CARGO_PKG_VERSION"))?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(page)?;
    }
    if subcommands(command).next().is_some() {
        man.render_subcommands_section(page)?;
    }
    // The text after the help keeps its lines; clap_mangen would fill them into paragraphs.
    let after = command.get_after_long_help().or(command.get_after_help());
    [examples, after.map(ToString::to_string).unwrap_or_default()]
        .iter()
        .filter(|text| !text.is_empty())
        .try_for_each(|text| sections(text, page))
}

/// The text after the help: lines that begin at the margin and end with a colon are headings.
fn sections(text: &str, page: &mut impl Write) -> std::io::Result<()> {
    let is_heading = |line: &&str| !line.starts_with(' ') && !line.contains(':');
    let mut lines = text.lines().peekable();
    let begins = lines.peek().and_then(|line| line.strip_suffix(':')).is_some_and(|line| is_heading(&line));
    write!(page, "{}", if begins { "" } else { ".SH NOTES\n.nf\n" })?;
    for (at, line) in lines.enumerate() {
        let end = if at == 0 { "" } else { ".fi\n" };
        match line.strip_suffix(':').filter(is_heading) {
            Some(heading) => writeln!(page, "{end}.SH {}\n.nf", escaped(&heading.to_uppercase()))?,
            None => writeln!(page, "{}", escaped(line))?,
        }
    }
    writeln!(page, ".fi")
}

/// A line of text for roff, which interprets backslashes, and dots and quotes at the start.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}
