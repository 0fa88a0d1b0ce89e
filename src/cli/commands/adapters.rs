//! `aaclip adapters`.

use std::path::PathBuf;
use std::process::ExitCode;

use aaclip::Result;
use aaclip::adapters::{AdapterFile, Share};
use clap::Subcommand;

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
    /// Print what a checkpoint holds
    Show {
        /// AA-CLIP's checkpoint folder or image_adapter_N.pth, SDP+'s .pth, or a .safetensors
        path: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a checkpoint in our own form: safetensors with a header
    Convert {
        /// What `show` takes
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
        /// The weight the text adapters were trained with (the official code's default is 0.1)
        #[arg(long, value_name = "X", value_parser = share)]
        text_adapt_weight: Option<f64>,
        /// The weight the image adapters were trained with (the official code's default is 0.1)
        #[arg(long, value_name = "X", value_parser = share)]
        image_adapt_weight: Option<f64>,
        /// What they were trained on
        #[arg(long, value_name = "TEXT")]
        training_data: Option<String>,
    },
}

pub fn run(args: AdaptersArgs) -> Result<ExitCode> {
    let text = match args.action {
        Action::Show { path, json } => {
            let file = AdapterFile::read(&path)?;
            if json { show_json(&file) } else { show(&file) }
        }
        Action::Convert {
            input,
            output,
            base_model,
            levels,
            image_size,
            text_adapt_weight,
            image_adapt_weight,
            training_data,
        } => {
            let mut file = AdapterFile::read(&input)?;
            let header = file.header_mut();
            header.base_model = base_model.or(header.base_model.take());
            header.levels = Some(levels).filter(|l| !l.is_empty()).or(header.levels.take());
            header.image_size = image_size.or(header.image_size);
            header.text_adapt_weight = text_adapt_weight.or(header.text_adapt_weight);
            header.image_adapt_weight = image_adapt_weight.or(header.image_adapt_weight);
            header.training_data = training_data.or(header.training_data.take());
            file.write(&output)?;
            format!("{}\n", output.display())
        }
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn share(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().and_then(Share::new).map(Share::value);
    value.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn show(file: &AdapterFile) -> String {
    let header = file.header();
    let mut text =
        format!("{}\nmethod: {}\nholds: {}\n", file.path().display(), file.method().name(), file.holds());
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!("{name}: {value}\n");
        }
    };
    line("base model", header.base_model.clone());
    line("levels", header.levels.as_ref().map(|l| format!("{l:?}")));
    line("image size", header.image_size.map(|n| n.to_string()));
    line("leaky ReLU", Some(file.relu().to_string()));
    line("text adapter weight", header.text_adapt_weight.map(|w| w.to_string()));
    line("image adapter weight", header.image_adapt_weight.map(|w| w.to_string()));
    line("training data", header.training_data.clone());
    line("epochs", header.epochs.clone());
    file.shapes().for_each(|(name, value)| line(&name.replace('_', " "), Some(value.to_string())));
    text += "\n";
    file.tensors().for_each(|(name, shape)| text += &format!("{name:20} {shape:?}\n"));
    text
}

fn show_json(file: &AdapterFile) -> String {
    let tensors: serde_json::Map<String, serde_json::Value> =
        file.tensors().map(|(name, shape)| (name.to_owned(), serde_json::json!(shape))).collect();
    let value = serde_json::json!({
        "path": file.path(),
        "method": file.method().name(),
        "relu": file.relu(),
        "header": file.header(),
        "shapes": file.shapes().collect::<std::collections::BTreeMap<_, _>>(),
        "tensors": tensors,
    });
    format!("{value:#}\n")
}
