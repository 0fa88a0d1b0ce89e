//! `aaclip doctor`.

mod environment;
mod machine;
mod storage;
mod text;
mod trial;

use std::process::ExitCode;

use aaclip::Result;
use aaclip::clip::Precision;
use aaclip::device::DeviceChoice;
use aaclip::progress::Progress;
use clap::CommandFactory;
use serde::Serialize;

use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::EXIT_ERROR;
use crate::cli::args::detector::DetectorArgs;
use crate::cli::args::global::Global;
use crate::cli::args::scoring::ScoringArgs;
use crate::cli::commands::config::AnswerName;
use crate::cli::messages;
use crate::cli::parse::{self, Effective};
use crate::cli::scorers::{ScorerOptions, Scorers};
use crate::cli::settings::{Applied, Selection, Settings};

const EXAMPLES: &str = "\
Examples:
  aaclip doctor
  aaclip doctor --format json
  AACLIP_MODEL=ViT-L-14-336 aaclip doctor     # would detect find this model?

Looks at the machine, the caches, the models and the settings, loads what `detect` would load, and
scores a generated picture with the built-in model. It uses no network and prints no token.

Exit codes:
  0  `aaclip detect PICTURE` would run
  2  it would not; the reasons are listed under problems";

/// Say what this machine has, what would be used, and why.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = AnswerName::Text)]
    format: AnswerName,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    program: Program,
    processor: machine::Processor,
    threads: machine::Threads,
    devices: Vec<machine::Device>,
    settings: SettingsFiles,
    environment: Vec<environment::Variable>,
    storage: storage::Storage,
    detect: Detect,
    trial: Option<trial::Trial>,
    /// What is worth knowing and stops nothing.
    notes: Vec<String>,
    /// What makes `detect` fail.
    problems: Vec<String>,
}

/// What this program is.
#[derive(Debug, Serialize)]
struct Program {
    version: &'static str,
    target: String,
    /// Whether the compiler optimised it.
    optimised: bool,
    features: Vec<&'static str>,
}

impl Program {
    fn new() -> Self {
        let features = [
            ("cuda", cfg!(feature = "cuda")),
            ("cudnn", cfg!(feature = "cudnn")),
            ("metal", cfg!(feature = "metal")),
        ];
        Self {
            version: env!("CARGO_PKG_VERSION"),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            optimised: !cfg!(debug_assertions),
            features: features.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect(),
        }
    }
}

/// The settings files.
#[derive(Debug, Default, Serialize)]
struct SettingsFiles {
    /// Whether they could be read.
    usable: bool,
    read: Vec<String>,
    ignored: Vec<String>,
    /// What they say that holds for `detect`.
    for_detect: Vec<String>,
}

/// What `aaclip detect PICTURE` would use.
#[derive(Debug, Serialize)]
struct Detect {
    model: Choice,
    device: Choice,
    precision: Choice,
}

/// A choice and its reason.
#[derive(Debug, Serialize)]
struct Choice {
    value: String,
    why: String,
}

pub fn run(args: DoctorArgs, global: &Global, applied: &[Applied]) -> Result<ExitCode> {
    let selection = global.selection();
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let settings = match settings_files(&selection) {
        Ok(settings) => settings,
        Err(problem) => {
            problems.push(problem);
            SettingsFiles::default()
        }
    };
    let effective = parse::effective::<Cli>(&["detect"], &selection).unwrap_or_default();
    let storage = storage::look(&mut problems, &mut notes);
    let detect = Detect::new(&effective, &storage, &selection, &mut problems);
    let trial = trial::run().map_err(|e| problems.push(format!("the built-in model fails: {e}"))).ok();
    if let Some(problem) = trial.as_ref().and_then(trial::Trial::problem) {
        problems.push(problem);
    }
    let report = Report {
        program: Program::new(),
        processor: machine::Processor::new(),
        threads: machine::Threads::new(applied, global.threads.is_some()),
        devices: machine::devices(),
        settings,
        environment: environment::variables(),
        storage,
        detect,
        trial,
        notes,
        problems,
    };
    match args.format {
        AnswerName::Text => messages::print(text::write(&report))?,
        AnswerName::Json => messages::print(format!("{:#}\n", serde_json::json!(report)))?,
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERROR) })
}

/// An error of the command line's parser without its advice: nobody has typed that command line.
fn without_hint(problem: &str) -> String {
    let lines = problem.lines().filter(|line| !line.starts_with("For more information"));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn settings_files(selection: &Selection) -> Result<SettingsFiles, String> {
    let mut root = Cli::command();
    root.build();
    let settings = Settings::load(selection, &root).map_err(|e| e.to_string())?;
    let effective = parse::effective::<Cli>(&["detect"], selection).map_err(|e| e.to_string())?;
    let holding = effective.iter().filter_map(|flag| match (&flag.source, &flag.value) {
        (parse::Source::File(origin), Some(value)) => Some(format!("{} = {value} ({origin})", flag.flag)),
        _ => None,
    });
    let read = settings.files.iter().map(|f| format!("{} ({})", f.path.display(), f.level.name()));
    Ok(SettingsFiles {
        usable: true,
        read: read.collect(),
        ignored: settings.ignored,
        for_detect: holding.collect(),
    })
}

impl Detect {
    /// Does what `detect` does before its first picture.
    fn new(
        effective: &[Effective],
        storage: &storage::Storage,
        selection: &Selection,
        problems: &mut Vec<String>,
    ) -> Self {
        let said = |flag: &str| effective.iter().find(|e| e.flag == flag);
        let value = |flag: &str| said(flag).and_then(|e| e.value.clone()).unwrap_or_default();
        let reason = |flag: &str| match said(flag).map(|e| &e.source) {
            Some(parse::Source::Environment(name)) => format!("the environment says so ({name})"),
            Some(parse::Source::File(origin)) => format!("{origin} says so"),
            Some(parse::Source::Default) | None => "default".to_owned(),
        };
        let opened = match parse::rehearse::<Cli>(&["aaclip", "detect", "PICTURE"], selection) {
            Ok(Cli { command: Command::Detect(args), .. }) => {
                let DetectorArgs { device, precision, .. } = args.scoring.detector;
                Some((args.check().and_then(|()| open(&args.scoring)), device, precision))
            }
            Ok(_) => None,
            Err(problem) => {
                let problem = without_hint(&problem);
                // Settings files that cannot be used were found before.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
                None
            }
        };
        let mut model = Choice { value: value("model"), why: reason("model") };
        let mut precision = Choice { value: value("precision"), why: reason("precision") };
        if let Some((found, device, asked)) = opened {
            match found {
                Ok(name) => {
                    if model.value.is_empty() {
                        model.why = storage.why_default(&name);
                    }
                    model.value = name;
                }
                Err(e) => problems.push(e.to_string()),
            }
            if let Ok(device) = DeviceChoice::open(device) {
                let auto = aaclip::clip::PrecisionChoice::Auto.on(&device);
                let would = match auto {
                    Precision::Bf16 => "bf16, which the hardware multiplies",
                    _ => "f32: nothing here multiplies bf16 in hardware",
                };
                let taken = asked.on(&device).name();
                precision = match value("precision").as_str() {
                    "auto" => {
                        Choice { value: taken.to_owned(), why: format!("auto is {would}; {}", precision.why) }
                    }
                    _ => Choice {
                        value: taken.to_owned(),
                        why: format!("{}; auto would be {would}", precision.why),
                    },
                };
            }
        }
        Self { model, device: Choice { value: value("device"), why: reason("device") }, precision }
    }
}

/// Makes the scorer of the class that the settings name, as `detect` does, and leaves no cache behind. Returns the
/// model's name.
fn open(args: &ScoringArgs) -> Result<String> {
    let scorers = Scorers::open(args, ScorerOptions::default(), Progress::Silent)?;
    scorers.write_no_cache();
    Ok(scorers.default_class()?.settings().model.clone())
}
