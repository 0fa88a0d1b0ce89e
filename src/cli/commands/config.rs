//! `aaclip config`.

use std::process::ExitCode;

use aaclip::Result;
use clap::CommandFactory;
use serde_json::json;

use crate::cli::Cli;
use crate::cli::commands::man;
use crate::cli::messages;
use crate::cli::parse::{Effective, Source, effective};
use crate::cli::settings::{FILE_NAME, Selection, Settings, user_path};

const EXAMPLES: &str = "\
Examples:
  aaclip config                        # the files that hold, and what they say
  aaclip config detect                 # every flag of detect, and where its value comes from
  aaclip config train aa-clip --format json
  aaclip --no-config detect part.png   # without any file
  AACLIP_CONFIG=line-3.toml aaclip detect part.png

Files:
  project  the nearest aaclip.toml from the current folder upwards, as far as the home folder (else the
           root); on Unix only one that belongs to you or to root
  user     AACLIP_CONFIG if set (empty: none), else aaclip/aaclip.toml in the system's folder for
           settings (Linux: ~/.config, macOS: ~/Library/Application Support, Windows: %APPDATA%)
  --config FILE takes the place of both.

Order:
  command line, environment, project file, user file, default: the first that says something holds.
  In a file a table comes before what is at the top. What contradicts something stronger
  (`verbose = true` and -q) is dropped.

Form:
  Keys are the long names of flags. At the top they hold for every command that has such a flag, in a
  table for that command alone. Switches are true or false, lists are arrays. What is no flag (the
  pictures, say) cannot be set.

      threads = 4
      model = \"ViT-B-16-plus-240\"
      [detect]
      threshold = 0.6
      save = [\"heatmap\", \"mask\"]
      [train.aa-clip]
      image-epochs = 10

  A relative path starts from the folder of the file. Where a flag takes a name or a path (--model,
  --prompts), write ./NAME for a path; one with a dot or slash in it that exists there is a path as
  well. Anything else, and ROOT of --data DATASET:ROOT, is as on the command line. A --threshold
  that is no number is a path.

Safety:
  Anybody may have written a project's file. It cannot set what removes files or lets others in
  (fresh, restart, discard-maps, addresses to listen on), and its `out` and `output` must lie
  below its own folder.

Exit codes: 0 if all files can be used, else 2.";

/// Show the settings files and what holds.
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

/// How an answer is written.
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
    let settings = Settings::load(selection, &root)?;
    let path: Vec<&str> = args.command.iter().map(String::as_str).collect();
    let flags = if path.is_empty() { Vec::new() } else { effective::<Cli>(&path, selection)? };
    let text = match args.format {
        AnswerName::Json => format!("{:#}\n", object(&settings, &path, &flags)),
        AnswerName::Text if path.is_empty() => files(&settings, selection),
        AnswerName::Text => table(&flags),
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn object(settings: &Settings, path: &[&str], flags: &[Effective]) -> serde_json::Value {
    let files = settings.files.iter().map(|file| {
        let entries = file.entries.iter();
        let entries =
            entries.map(|e| json!({ "name": e.name(), "value": e.value.to_string(), "line": e.line }));
        json!({ "path": file.path, "level": file.level, "settings": entries.collect::<Vec<_>>() })
    });
    json!({
        "files": files.collect::<Vec<_>>(),
        "ignored": settings.ignored,
        "command": path.join(" "),
        "flags": flags,
    })
}

fn files(settings: &Settings, selection: &Selection) -> String {
    let mut text = String::new();
    for file in &settings.files {
        text += &format!("{} ({})\n", file.path.display(), file.level.name());
        let width = file.entries.iter().map(|e| e.name().len()).max().unwrap_or(0);
        for entry in &file.entries {
            text += &format!("  {:width$}  {}\n", entry.name(), entry.value);
        }
    }
    settings.ignored.iter().for_each(|reason| text += &format!("{reason}\n"));
    if text.is_empty() {
        let user = user_path().map_or("none".to_owned(), |p| p.display().to_string());
        text = match selection.none {
            true => "no settings file is read (--no-config)\n".to_owned(),
            false => format!("no settings file: no {FILE_NAME} here or above, none at {user}\n"),
        };
    }
    text
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
