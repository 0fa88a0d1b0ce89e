//! `aaclip doctor`.

mod machine;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use aaclip::device::DeviceChoice;
use aaclip::progress::Progress;
use aaclip::weights::builtin;
use aaclip::{Error, Result, Source};
use clap::CommandFactory;
use image::{ImageFormat, Rgb, RgbImage};

use crate::cli::args::detect::DetectArgs;
use crate::cli::args::global::Global;
use crate::cli::commands::Command;
use crate::cli::commands::config::AnswerName;
use crate::cli::messages;
use crate::cli::parse::{Source as Origin, effective, rehearse};
use crate::cli::scorers::{ScorerOptions, Scorers};
use crate::cli::settings::{Applied, Selection, SettingsFile};
use crate::cli::{Cli, exit_code};

const EXAMPLES: &str = "\
Examples:
  aaclip doctor
  aaclip doctor --format json
  AACLIP_MODEL=ViT-L-14-336 aaclip doctor     # would detect find this model?

Examines the machine, the caches, the models and the settings, loads the files that `detect` would
load, and scores a generated picture with the built-in model. It uses no network.

Exit codes:
  0  `aaclip detect PICTURE` would run
  2  it would not run; the reasons are listed under problems";

/// Show the machine, the settings `detect` would use, and the reasons.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = AnswerName::Text)]
    format: AnswerName,
}

/// The result: sections of lines for the user.
#[derive(Default)]
struct Report {
    sections: Vec<(&'static str, Vec<String>)>,
    /// Remarks that prevent nothing.
    notes: Vec<String>,
    /// Problems that make `detect` fail.
    problems: Vec<String>,
}

pub fn run(args: DoctorArgs, global: &Global, applied: &[Applied]) -> Result<ExitCode> {
    let selection = global.selection();
    let mut report = Report::default();
    report.add("aaclip", vec![program()]);
    report.add("processor", vec![machine::processor()]);
    report.add("threads", vec![machine::threads(applied, global.threads.is_some())]);
    report.add("memory", machine::memory().into_iter().collect());
    report.add("devices", machine::devices());
    let settings = settings(&selection);
    let settings = report.or_problem(settings).unwrap_or_else(|| vec!["cannot be used".to_owned()]);
    report.detect(&selection);
    report.storage();
    report.add("settings", settings);
    report.trial();
    let Report { mut sections, notes, problems } = report;
    let is_fine = problems.is_empty();
    sections.push(("notes", notes));
    sections.push(("problems", problems));
    messages::print(match args.format {
        AnswerName::Text => text(&sections),
        AnswerName::Json => {
            format!("{:#}\n", serde_json::json!(sections.into_iter().collect::<BTreeMap<_, _>>()))
        }
    })?;
    Ok(exit_code(is_fine))
}

/// A name with its lines below each other.
fn text(sections: &[(&str, Vec<String>)]) -> String {
    let none = ["none".to_owned()];
    let mut out = String::new();
    for (name, lines) in sections {
        let lines = if *name == "problems" && lines.is_empty() { &none[..] } else { lines };
        for (at, line) in lines.iter().enumerate() {
            let name = if at == 0 { *name } else { "" };
            out += format!("{name:12} {line}").trim_end();
            out.push('\n');
        }
    }
    out
}

fn program() -> String {
    let build = if cfg!(debug_assertions) { "debug: slow" } else { "release" };
    let features = [
        ("cuda", cfg!(feature = "cuda")),
        ("cudnn", cfg!(feature = "cudnn")),
        ("metal", cfg!(feature = "metal")),
    ];
    let features: Vec<&str> = features.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let (version, arch, os) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    format!("{version} for {arch}-{os} ({build}; features: {features})")
}

fn settings(selection: &Selection) -> Result<Vec<String>> {
    let mut root = Cli::command();
    root.build();
    let Some(file) = SettingsFile::load(selection, &root)? else { return Ok(vec!["no file".to_owned()]) };
    let mut lines = vec![file.path.display().to_string()];
    for flag in effective::<Cli>(&["detect"], selection)? {
        if let (Origin::File(origin), Some(value)) = (&flag.source, &flag.value) {
            lines.push(format!("{} = {value} ({origin})", flag.flag));
        }
    }
    Ok(lines)
}

impl Report {
    fn add(&mut self, name: &'static str, lines: Vec<String>) {
        self.sections.push((name, lines));
    }

    fn or_problem<T>(&mut self, found: Result<T>) -> Option<T> {
        let problem = match found {
            Ok(found) => return Some(found),
            Err(e) => e.to_string(),
        };
        // An invalid settings file is reported more than once.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        None
    }

    /// Does the same as `detect` before its first picture; reports its choices and the reasons.
    fn detect(&mut self, selection: &Selection) {
        let opened = detect_args(&[], selection).and_then(|args| {
            args.check()?;
            let scorers = Scorers::open(&args.scoring, ScorerOptions::default(), Progress::Silent)?;
            scorers.write_no_cache();
            let model = scorers.default_class()?.settings().model.clone();
            let device = DeviceChoice::open(args.scoring.detector.device)?;
            Ok((model, args.scoring.detector.precision.on(&device).name()))
        });
        let opened = self.or_problem(opened);
        let is_builtin = opened.as_ref().is_some_and(|(model, _)| model == builtin::NAME);
        let mut lines = Vec::new();
        for flag in effective::<Cli>(&["detect"], selection).unwrap_or_default() {
            let mut why = match flag.source {
                Origin::Environment(name) => format!("set by {name}"),
                Origin::File(origin) => format!("set by {origin}"),
                Origin::Default => "default".to_owned(),
            };
            let said = flag.value.unwrap_or_default();
            let value = match (flag.flag.as_str(), &opened) {
                ("model", Some((model, _))) => {
                    if said.is_empty() && is_builtin {
                        why = "part of the program; no model of `aaclip models list` is on this machine"
                            .to_owned();
                    } else if said.is_empty() {
                        why = "the first of `aaclip models list` on this machine".to_owned();
                    }
                    model.clone()
                }
                ("adapters", _) if said.is_empty() && is_builtin => "those of the model".to_owned(),
                ("precision", Some((_, precision))) => (*precision).to_owned(),
                ("model" | "adapters" | "device" | "precision", _) if said.is_empty() => "-".to_owned(),
                ("model" | "adapters" | "device" | "precision", _) => said,
                _ => continue,
            };
            lines.push(format!("{:9} {value} ({why})", flag.flag));
        }
        self.add("detect", lines);
    }

    /// Scores a generated picture with the built-in model, on the CPU and without a cache.
    fn trial(&mut self) {
        let started = Instant::now();
        let scored = || -> Result<_> {
            let flags = ["--model", builtin::NAME, "--device", "cpu", "--precision", "f32", "--no-cache"];
            let args = detect_args(&flags, &Selection { only: None, none: true })?;
            let scorers = Scorers::open(&args.scoring, ScorerOptions::default(), Progress::Silent)?;
            let scorer = scorers.default_class()?;
            let opened = started.elapsed();
            let score = scorer.look(Source::Bytes(&picture()?), "the generated picture")?.found.score;
            Ok((score, opened, started.elapsed() - opened))
        };
        let Some((score, opened, looked)) = self.or_problem(scored()) else { return };
        let ok = (score - EXPECTED).abs() <= TOLERANCE;
        if !ok {
            self.problems.push(format!(
                "the built-in model gave a generated picture {score:.4}, expected {EXPECTED:.4}: this build or \
                 processor computes incorrectly"
            ));
        }
        self.add(
            "trial",
            vec![format!(
                "{}: score {score:.4} (expected {EXPECTED:.4}); model and prompts {} ms, picture {} ms",
                if ok { "ok" } else { "WRONG" },
                opened.as_millis(),
                looked.as_millis()
            )],
        );
    }
}

/// The score of [`picture`].
const EXPECTED: f32 = 0.26363;

/// The order of sums differs between processors; a bug changes the score by far more.
const TOLERANCE: f32 = 2e-3;

/// The arguments of `aaclip detect PICTURE` with these flags.
fn detect_args(flags: &[&str], selection: &Selection) -> Result<Box<DetectArgs>> {
    let line = [&["aaclip", "detect", "PICTURE"], flags].concat();
    match rehearse::<Cli>(&line, selection) {
        Ok(Cli { command: Command::Detect(args), .. }) => Ok(args),
        Ok(_) => Err(Error::Setting("`detect` is another command".to_owned())),
        Err(problem) => {
            // The parser's advice is only for typed command lines.
            let lines = problem.lines().filter(|line| !line.starts_with("For more information"));
            Err(Error::Setting(lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()))
        }
    }
}

/// Stripes with a bright spot, as a PNG.
fn picture() -> Result<Vec<u8>> {
    let picture = RgbImage::from_fn(240, 180, |x, y| {
        let stripe = if (x / 6 + y / 9) % 2 == 0 { 96 } else { 120 };
        let blot = (60..90).contains(&x) && (50..85).contains(&y);
        Rgb(if blot { [235, 225, 60] } else { [stripe, stripe, stripe + 8] })
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Error::Setting(format!("the generated picture cannot be encoded: {e}")))?;
    Ok(bytes.into_inner())
}
