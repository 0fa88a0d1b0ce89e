//! `aaclip adapters`.

use std::path::PathBuf;
use std::process::ExitCode;

use aaclip::Result;
use aaclip::methods::{METHODS, MethodOption, Trained};
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

use crate::cli::args::method::{OptionArgs, argument};

use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  aaclip adapters show checkpoints/
  aaclip adapters show train_on_visa.pth --json
  aaclip adapters convert checkpoints/image_adapter_15.pth visa.safetensors \\
      --base-model ViT-L-14-336 --image-size 518 --training-data VisA";

/// Show and convert trained adapters.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct AdaptersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the content of a checkpoint
    Show {
        /// A checkpoint of a method's official code (a file, or its folder), or a .safetensors
        path: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a checkpoint in aaclip's format: safetensors with a header
    Convert {
        /// A checkpoint as for `show`
        input: PathBuf,
        /// The file to write
        output: PathBuf,
        /// The model the adapters belong to
        #[arg(long, value_name = "NAME")]
        base_model: Option<String>,
        /// The levels they were trained at
        #[arg(long, value_name = "6,12,18,24", value_delimiter = ',')]
        levels: Vec<usize>,
        /// The input size they were trained at, in pixels
        #[arg(long, value_name = "N")]
        image_size: Option<usize>,
        /// The data they were trained on
        #[arg(long, value_name = "TEXT")]
        training_data: Option<String>,
        #[command(flatten)]
        recorded: Recorded,
    },
}

/// Options of methods that a header records from training.
#[derive(Debug)]
struct Recorded(OptionArgs);

impl Recorded {
    fn options() -> impl Iterator<Item = &'static MethodOption> {
        let mut seen = Vec::new();
        let all = METHODS.iter().filter_map(|m| m.trained).flat_map(|format| format.options.iter().copied());
        all.filter(move |option| {
            let new = !seen.contains(&option.name);
            seen.push(option.name);
            new
        })
    }
}

impl clap::Args for Recorded {
    fn augment_args(command: Command) -> Command {
        command.args(Self::options().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Recorded {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(OptionArgs::of(Self::options(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub fn run(args: AdaptersArgs) -> Result<ExitCode> {
    let text = match args.action {
        Action::Show { path, json } => {
            let file = Trained::read(&path, None)?;
            if json { show_json(&file) } else { show(&file) }
        }
        Action::Convert { input, output, base_model, levels, image_size, training_data, recorded } => {
            let mut file = Trained::read(&input, None)?;
            let header = file.header_mut();
            let levels: Vec<String> = levels.iter().map(usize::to_string).collect();
            for (name, value) in [
                ("base_model", base_model),
                ("levels", Some(levels.join(",")).filter(|l| !l.is_empty())),
                ("image_size", image_size.map(|n| n.to_string())),
                ("training_data", training_data),
            ] {
                if let Some(value) = value {
                    header.set(name, &value);
                }
            }
            for (name, value) in &recorded.0.0 {
                header.set(&name.replace('-', "_"), value);
            }
            file.write(&output)?;
            format!("{}\n", output.display())
        }
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(file: &Trained) -> String {
    let mut text =
        format!("{}\nmethod: {}\ncontains: {}\n", file.path().display(), file.method().name, file.holds());
    let shapes = file.shapes();
    let recorded = file.header().iter().filter(|(name, _)| *name != "method");
    for (name, value) in recorded.filter(|(name, _)| shapes.iter().all(|(shape, _)| shape != name)) {
        text += &format!("{}: {value}\n", name.replace('_', " "));
    }
    for (name, value) in &shapes {
        text += &format!("{}: {value}\n", name.replace('_', " "));
    }
    text += "\n";
    file.tensors().for_each(|(name, shape)| text += &format!("{name:20} {shape:?}\n"));
    text
}

fn show_json(file: &Trained) -> String {
    let tensors: serde_json::Map<String, serde_json::Value> =
        file.tensors().map(|(name, shape)| (name.to_owned(), serde_json::json!(shape))).collect();
    let value = serde_json::json!({
        "path": file.path(),
        "method": file.method().name,
        "header": file.header(),
        "shapes": file.shapes().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "tensors": tensors,
    });
    format!("{value:#}\n")
}
