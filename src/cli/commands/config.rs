//! `aaclip config`.

use std::process::ExitCode;

use aaclip::Result;
use clap::CommandFactory;
use serde_json::json;

use crate::cli::Cli;
use crate::cli::commands::man;
use crate::cli::messages;
use crate::cli::parse::{Effective, Source, effective};
use crate::cli::settings::{Selection, SettingsFile, user_path};

const EXAMPLES: &str = "\
Examples:
  aaclip config                        # the settings file and its entries
  aaclip config detect                 # every flag of detect, and the source of its value
  aaclip config train aa-clip --format json
  aaclip --no-config detect part.png   # without the file
  AACLIP_CONFIG=line-3.toml aaclip detect part.png

File:
  --config FILE, else AACLIP_CONFIG if set (empty: no file), else aaclip/aaclip.toml in the system's
  folder for settings (Linux: ~/.config, macOS: ~/Library/Application Support, Windows: %APPDATA%)

Order:
  command line, environment, file, default: the first that has a value decides. In the file a table
  takes precedence over the top. An entry that contradicts the command line (`verbose = true` and
  -q) is ignored.

Form:
  Keys are the long names of flags. At the top they apply to every command that has such a flag, in
  a table to that command alone. Switches are true or false, lists are arrays. Arguments that are
  not flags (the pictures) cannot be set.

      threads = 4
      model = \"ViT-B-16-plus-240\"
      [detect]
      threshold = 0.6
      save = [\"heatmap\", \"mask\"]
      [train.aa-clip]
      image-epochs = 10

  A relative path starts from the folder of the file. Where a flag takes a name or a path (--model,
  --prompts), write ./NAME for a path; a value with a dot or slash that exists there is also a
  path. Any other value, and ROOT of --data DATASET:ROOT, is as on the command line. A --threshold
  that is not a number is a path.

Exit codes: 0 if the file can be used or does not exist, else 2.";

/// Show the settings file and the value of every flag.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ConfigArgs {
    /// A command: show every flag of it
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = AnswerName::Text)]
    format: AnswerName,
}

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerName {
    /// Aligned columns
    Text,
    /// One object
    Json,
}

pub fn run(args: ConfigArgs, selection: &Selection) -> Result<ExitCode> {
    let mut root = Cli::command();
    root.build();
    man::find(&root, &args.command)?;
    let file = SettingsFile::load(selection, &root)?;
    let path: Vec<&str> = args.command.iter().map(String::as_str).collect();
    let flags = if path.is_empty() { Vec::new() } else { effective::<Cli>(&path, selection)? };
    let text = match args.format {
        AnswerName::Json => format!("{:#}\n", object(file.as_ref(), &path, &flags)),
        AnswerName::Text if path.is_empty() => entries(file.as_ref(), selection),
        AnswerName::Text => table(&flags),
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn object(file: Option<&SettingsFile>, path: &[&str], flags: &[Effective]) -> serde_json::Value {
    let file = file.map(|file| {
        let entries = file.entries.iter();
        let entries =
            entries.map(|e| json!({ "name": e.name(), "value": e.value.to_string(), "line": e.line }));
        json!({ "path": file.path, "settings": entries.collect::<Vec<_>>() })
    });
    json!({ "file": file, "command": path.join(" "), "flags": flags })
}

fn entries(file: Option<&SettingsFile>, selection: &Selection) -> String {
    let Some(file) = file else {
        return match user_path() {
            _ if selection.none => "no settings file: --no-config\n".to_owned(),
            _ if std::env::var_os("AACLIP_CONFIG").is_some() => {
                "no settings file: AACLIP_CONFIG is empty\n".to_owned()
            }
            Some(path) => format!("no settings file: {} does not exist\n", path.display()),
            None => "no settings file: this system has no folder for it\n".to_owned(),
        };
    };
    let width = file.entries.iter().map(|e| e.name().len()).max().unwrap_or(0);
    let lines = file.entries.iter().map(|e| format!("  {:width$}  {}\n", e.name(), e.value));
    format!("{}\n{}", file.path.display(), lines.collect::<String>())
}

fn table(flags: &[Effective]) -> String {
    let value = |f: &Effective| f.value.clone().unwrap_or_else(|| "-".to_owned());
    let width = |of: &dyn Fn(&Effective) -> usize| flags.iter().map(of).max().unwrap_or(0);
    let (names, values) = (width(&|f| f.flag.len()), width(&|f| value(f).chars().count()).min(40));
    let line = |f: &Effective| {
        let source = match &f.source {
            Source::Default => "default".to_owned(),
            Source::Environment(name) => format!("environment ({name})"),
            Source::File(origin) => origin.clone(),
        };
        format!("{:names$}  {:values$}  {source}\n", f.flag, value(f))
    };
    flags.iter().map(line).collect()
}
