//! `aaclip prompts`.

use std::process::ExitCode;

use aaclip::Result;
use aaclip::anchors::{Polarity, PromptSet};
use clap::Subcommand;

use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  aaclip prompts list
  aaclip prompts show clip-ad
  aaclip prompts show aa-clip --class mvtec:bottle
  aaclip prompts show my-prompts.toml --class 'metal nut'

Your own file needs the format of the built-in ones: start from the output of `show NAME --toml`.";

/// List and show prompt ensembles.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct PromptsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the built-in ensembles
    List,
    /// Show an ensemble, or its sentences for a class
    Show {
        /// A built-in name or a file
        #[arg(value_name = "NAME|FILE")]
        prompts: String,
        /// Show the sentences for this class (`dataset:class` becomes its description)
        #[arg(long, value_name = "TEXT")]
        class: Option<String>,
        /// The data set that the class belongs to
        #[arg(long, value_name = "NAME", requires = "class")]
        dataset_names: Option<String>,
        /// As JSON
        #[arg(long, conflicts_with = "toml")]
        json: bool,
        /// As a prompt file
        #[arg(long, conflicts_with = "class")]
        toml: bool,
    },
}

pub fn run(args: PromptsArgs) -> Result<ExitCode> {
    let text = match args.action {
        Action::List => list()?,
        Action::Show { prompts, class, dataset_names, json, toml } => {
            let set = PromptSet::load(&prompts)?;
            match class {
                Some(class) => sentences(&set, &class, dataset_names.as_deref(), json)?,
                None if toml => set.to_toml(),
                None if json => format!("{:#}\n", serde_json::json!(set)),
                None => describe(&set),
            }
        }
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<String> {
    let mut text = String::new();
    for name in PromptSet::builtin_names() {
        text += &format!("{name:16}  {}\n", PromptSet::load(name)?.description);
    }
    Ok(text)
}

fn describe(set: &PromptSet) -> String {
    let mut text = format!("{}: {}\nsource: {}\n", set.name, set.description, set.source);
    for (title, items) in
        [("normal states", &set.normal), ("abnormal states", &set.abnormal), ("templates", &set.templates)]
    {
        text += &format!("\n{title} ({}):\n", items.len());
        items.iter().for_each(|item| text += &format!("  {item}\n"));
    }
    for (name, dataset) in &set.datasets {
        text += &format!("\n{name}:\n");
        dataset.classes.iter().for_each(|(key, class)| text += &format!("  {key}: {class}\n"));
    }
    text
}

fn sentences(set: &PromptSet, class: &str, dataset: Option<&str>, json: bool) -> Result<String> {
    let class = set.describe(class, dataset)?.text;
    let normal = set.sentences(Polarity::Normal, &class);
    let abnormal = set.sentences(Polarity::Abnormal, &class);
    if json {
        let value = serde_json::json!({ "class": class, "normal": normal, "abnormal": abnormal });
        return Ok(format!("{value:#}\n"));
    }
    let mut text = String::new();
    for (title, items) in [("normal", normal), ("abnormal", abnormal)] {
        text += &format!("{title} ({} sentences):\n", items.len());
        items.iter().for_each(|item| text += &format!("  {item}\n"));
    }
    Ok(text)
}
