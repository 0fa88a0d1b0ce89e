//! `aaclip methods`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use aaclip::evaluation::Published;
use aaclip::methods::{METHODS, References, Scope, Trained};
use aaclip::{Method, Result};
use serde::Serialize;

use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  aaclip methods
  aaclip methods --json

A checkpoint has the trained weights of a method; --adapters names it. Published figures are the
authors', not measured by this program; `aaclip eval` measures them.";

/// List the methods: needs, published figures and available weights of each
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct MethodsArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A method, as text or JSON.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'static str,
    about: &'static str,
    paper: &'static str,
    prompts: Option<&'static str>,
    /// A description of its checkpoint; null if it needs none.
    checkpoint: Option<&'static str>,
    /// Whether the built-in model has one.
    checkpoint_built_in: bool,
    references: &'static str,
    scope: &'static str,
    trainable: bool,
    components_image: &'static str,
    score: &'static str,
    options: Vec<&'static str>,
    published: Vec<Figures<'a>>,
}

/// Published means over a data set's classes, in percent.
#[derive(Serialize)]
struct Figures<'a> {
    name: &'a str,
    dataset: &'a str,
    mean: &'a BTreeMap<String, f64>,
    source: &'a str,
}

pub fn run(args: MethodsArgs) -> Result<ExitCode> {
    let published = Published::load()?;
    let entries: Vec<Entry<'_>> = METHODS.iter().map(|method| entry(method, &published)).collect();
    let text = if args.json {
        format!("{:#}\n", serde_json::json!(entries))
    } else {
        entries.iter().map(describe).collect::<Vec<_>>().join("\n")
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn entry<'a>(method: &'static Method, published: &'a Published) -> Entry<'a> {
    let figures = published.figures().iter().filter(|f| f.method.as_deref() == Some(method.name));
    Entry {
        name: method.name,
        about: method.about,
        paper: method.paper,
        prompts: method.prompts,
        checkpoint: method.trained.map(|format| format.about),
        checkpoint_built_in: Trained::builtin().is_ok_and(|weights| weights.of_method(method).is_some()),
        references: match method.references {
            References::Never => "never",
            References::Optional => "optional",
            References::Needed => "needed",
        },
        scope: match method.scope {
            Scope::Picture => "picture",
            Scope::Folder => "folder",
        },
        trainable: method.trainer.is_some(),
        components_image: method.image_value,
        score: method.score,
        options: method.options.iter().map(|option| option.name).collect(),
        published: figures
            .map(|f| Figures { name: &f.name, dataset: &f.dataset, mean: &f.mean, source: &f.source })
            .collect(),
    }
}

fn describe(entry: &Entry<'_>) -> String {
    let mut text = format!("{}: {} ({})\n", entry.name, entry.about, entry.paper);
    let mut line = |name: &str, value: String| {
        let title = if name.is_empty() { String::new() } else { format!("{name}:") };
        text += &format!("  {title:<12}{value}\n");
    };
    let at_hand = if entry.checkpoint_built_in { "; the built-in model has them" } else { "" };
    line("checkpoint", entry.checkpoint.map_or("none".to_owned(), |about| format!("{about}{at_hand}")));
    if entry.references != "never" {
        line("references", format!("{}: --reference FILE.. compares with good parts", entry.references));
    }
    if let Some(prompts) = entry.prompts {
        line("prompts", prompts.to_owned());
    }
    line("score", entry.score.to_owned());
    if entry.trainable {
        line("training", format!("aaclip train {}", entry.name));
    }
    let mut source = "";
    for figures in &entry.published {
        let of = |(name, value): (&String, &f64)| format!("{} {value:.1}", name.replace('_', " "));
        let shown: Vec<String> = figures.mean.iter().map(of).collect();
        line("published", format!("{}, {}: {}", figures.name, figures.dataset, shown.join(", ")));
        if figures.source != source {
            line("", format!("in {}", figures.source));
            source = figures.source;
        }
    }
    text
}
