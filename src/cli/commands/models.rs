//! `aaclip models`.

use std::path::Path;
use std::process::ExitCode;

use aaclip::Result;
use aaclip::clip::Checkpoint;
use aaclip::methods::Trained;
use aaclip::models::{FileState, Hub, Registry, RegistryEntry};
use aaclip::weights::builtin;
use clap::Subcommand;

use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  aaclip models list
  aaclip models pull ViT-B-16-plus-240
  aaclip models verify ViT-B-16-plus-240
  HF_HOME=/data/hf aaclip models path ViT-L-14-336

Environment:
  HF_HOME, HF_HUB_CACHE  where models are kept (the hub's own cache)
  HF_ENDPOINT            another hub or mirror
  HF_TOKEN               a token for models that need one
  HF_HUB_OFFLINE         1: never use the network
  HF_HUB_DOWNLOAD_TIMEOUT
                         seconds after which an attempt without a connection or a byte ends [60]
  HTTPS_PROXY, NO_PROXY  a proxy, and the hosts that need none (also HTTP_PROXY, ALL_PROXY)
  SSL_CERT_FILE          certificates to trust instead of the system's
  AACLIP_REGISTRY        a file of more models, in the format of weights/registry.toml";

/// The description of the built-in model.
const DESCRIPTION: &str = "part of the program, with its own adapters";

/// List, download and check models.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ModelsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the models that can be named
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// Download a model, or the missing files of one
    Pull {
        /// A name of `aaclip models list`
        name: String,
    },
    /// Print the folder of a downloaded model (`builtin` has none: its name)
    Path {
        /// A name of `aaclip models list`
        name: String,
    },
    /// Read a downloaded model again and compare its digests
    Verify {
        /// A name of `aaclip models list`
        name: String,
    },
}

pub fn run(args: ModelsArgs) -> Result<ExitCode> {
    let registry = Registry::load()?;
    let hub = Hub::from_env();
    let text = match args.action {
        Action::List { json: true } => list_json(registry.entries(), hub.ok().as_ref())?,
        Action::List { json: false } => list(registry.entries(), hub.ok().as_ref())?,
        Action::Pull { name } | Action::Path { name } if name == builtin::NAME => {
            messages::warn(format!(
                "`{name}` is part of the program and has no folder: --model {name} uses it"
            ));
            format!("{name}\n")
        }
        Action::Verify { name } if name == builtin::NAME => verify_builtin()?,
        Action::Pull { name } => {
            let progress = messages::progress();
            let hub = hub?.on_notice(|notice| messages::warn(notice));
            let (folder, state) = hub.pull(registry.find(&name)?, progress)?;
            if state == FileState::Recorded {
                messages::warn(
                    "no digest was known; the digest of this download is recorded and checked from now on",
                );
            }
            format!("{}\n", folder.display())
        }
        Action::Path { name } => format!("{}\n", hub?.require(registry.find(&name)?)?.display()),
        Action::Verify { name } => {
            let states = hub?.verify(registry.find(&name)?)?;
            let line = |(path, state): &(std::path::PathBuf, FileState)| match state {
                FileState::Verified => format!("ok        {}\n", path.display()),
                FileState::Recorded => format!("recorded  {}\n", path.display()),
            };
            states.iter().map(line).collect()
        }
    };
    messages::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the model that comes with the program, as any use of it does.
fn verify_builtin() -> Result<String> {
    let checkpoint = Checkpoint::builtin()?;
    let adapters = Trained::builtin()?;
    let ok = |path: &Path| format!("ok        {} (part of the program)\n", path.display());
    Ok(ok(checkpoint.weights_file()) + &ok(adapters.path()))
}

fn list(entries: &[RegistryEntry], hub: Option<&Hub>) -> Result<String> {
    let width = entries.iter().map(|e| e.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  input  tower    download  here  licence  description\n", "name");
    let builtin_model = Checkpoint::builtin()?;
    let vision = &builtin_model.config().vision;
    text += &format!(
        "{:width$}  {:>5}  {:>2}x{:<4}  {:>8}  yes   own      {DESCRIPTION}\n",
        builtin::NAME,
        vision.image_size,
        vision.layers,
        vision.width,
        "-"
    );
    for e in entries {
        text += &format!(
            "{:width$}  {:>5}  {:>2}x{:<4}  {:>5} MB  {:4}  {:7}  {}\n",
            e.name,
            e.image_size,
            e.layers,
            e.width,
            e.weights.size.div_ceil(1_000_000),
            if hub.is_some_and(|hub| hub.locate(e).is_some()) { "yes" } else { "no" },
            e.licence,
            e.description,
        );
    }
    Ok(text)
}

fn list_json(entries: &[RegistryEntry], hub: Option<&Hub>) -> Result<String> {
    let published = entries.iter().map(|e| {
        let mut value = serde_json::json!(e);
        value["path"] = serde_json::json!(hub.and_then(|hub| hub.locate(e)));
        value
    });
    let builtin_model = Checkpoint::builtin()?;
    let (config, vision) = (builtin_model.config(), &builtin_model.config().vision);
    // Without the fields of a download.
    let own = serde_json::json!({
        "name": builtin::NAME,
        "aliases": [],
        "description": DESCRIPTION,
        "licence": "own",
        "activation": config.activation.name(),
        "image_size": vision.image_size,
        "patch_size": vision.patch_size,
        "layers": vision.layers,
        "width": vision.width,
        "path": null,
    });
    let models: Vec<serde_json::Value> = std::iter::once(own).chain(published).collect();
    Ok(format!("{:#}\n", serde_json::Value::Array(models)))
}
