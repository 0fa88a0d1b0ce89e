//! `aaclip methods`.

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

A checkpoint is the trained weights of a method, named with --adapters. Published figures are their
authors', not measured by this program; `aaclip eval` measures.";

/// List the methods: what each needs, what was published about it, whether its weights are at hand
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct MethodsArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A method, as text or JSON.
#[derive(Serialize)]
struct Entry {
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
    published: Vec<Figure>,
}

/// A published mean over a data set's classes, in percent.
#[derive(Serialize)]
struct Figure {
    dataset: String,
    image_auroc: Option<f64>,
    pixel_auroc: Option<f64>,
    source: String,
}

pub fn run(args: MethodsArgs) -> Result<ExitCode> {
    let published = Published::load()?;
    let entries: Vec<Entry> = METHODS.iter().map(|method| entry(method, &published)).collect();
    let text = if args.json {
        format!("{:#}\n", serde_json::json!(entries))
    } else {
        entries.iter().map(describe).collect::<Vec<_>>().join("\n")
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn entry(method: &'static Method, published: &Published) -> Entry {
    let figures = published.figures().iter().filter(|f| f.method.as_deref() == Some(method.name));
    Entry {
        name: method.name,
        about: method.about,
        paper: method.paper,
        prompts: method.prompts,
        checkpoint: method.trained.map(|format| format.about),
        checkpoint_built_in: method.trained.is_some() && Trained::builtin(Some(method)).is_ok(),
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
            .map(|f| Figure {
                dataset: f.dataset.clone(),
                image_auroc: f.mean.get("image_auroc").copied(),
                pixel_auroc: f.mean.get("pixel_auroc").copied(),
                source: f.source.clone(),
            })
            .collect(),
    }
}

fn describe(entry: &Entry) -> String {
    let mut text = format!("{}: {} ({})\n", entry.name, entry.about, entry.paper);
    let mut line = |name: &str, value: String| text += &format!("  {:<12}{value}\n", format!("{name}:"));
    let at_hand = if entry.checkpoint_built_in { "; the built-in model brings them" } else { "" };
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
    for figure in &entry.published {
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.1}"));
        let figures = format!(
            "{} {} image / {} pixel AUROC ({})",
            figure.dataset,
            shown(figure.image_auroc),
            shown(figure.pixel_auroc),
            figure.source
        );
        line("published", figures);
    }
    text
}
