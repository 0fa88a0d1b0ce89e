//! `aaclip calibrate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aaclip::anchors::ClassName;
use aaclip::calibration::{ClassThreshold, Rule, ThresholdFile, from_good, from_labels, map_levels};
use aaclip::dataset::{ANYTHING, Dataset, DatasetError, Label, Layout};
use aaclip::{Detector, Detectors, Error, Result, files};
use clap::ValueEnum;

use crate::cli::args::detector::DetectorArgs;
use crate::cli::classes::{self, ClassArgs};
use crate::cli::exit_code;
use crate::cli::inputs;
use crate::cli::messages;
use crate::cli::scorers::provenance;
use crate::cli::scoring::{self, Job};

const EXAMPLES: &str = "\
Examples:
  aaclip calibrate good-parts/ -o threshold.json --class 'ball screw'
  aaclip detect new/ --threshold threshold.json --fail-on-anomaly
  aaclip calibrate parts/ -o threshold.json --rule best-f1     # parts/good and parts/defect
  aaclip calibrate mvtec/ -o mvtec.json                        # one threshold per class

Rules:
  false-alarms  from good pictures: the least threshold whose expected share of good parts called
                anomalous is at most --false-alarm-rate. With n pictures no share below 1 / (n + 1)
                is possible; the interval says how much the rate may differ
  best-f1       from good and defective pictures: the threshold with the largest F1
  The default is best-f1 with both kinds of pictures, else false-alarms.

The file is for the settings it was made with: `detect` refuses it with other settings. With a
file of one class `detect` needs no --class.

Exit codes: 0 if every picture was used, 2 after any error.";

/// Find a threshold from good or labelled pictures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct CalibrateArgs {
    /// A folder of good pictures, or a labelled data set (see `aaclip data check --help`)
    #[arg(value_name = "FOLDER|DATASET")]
    root: PathBuf,

    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,

    /// How the threshold is chosen
    #[arg(long, value_enum)]
    rule: Option<RuleName>,

    /// The largest expected share of good parts called anomalous
    #[arg(long, value_name = "X", default_value_t = 0.01, value_parser = rate)]
    false_alarm_rate: f64,

    /// The arrangement of a data set's files, instead of detecting it
    #[arg(long, value_name = "NAME")]
    layout: Option<Layout>,

    #[command(flatten)]
    naming: ClassArgs,

    #[command(flatten)]
    detector: DetectorArgs,
}

/// How a threshold is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RuleName {
    /// From good pictures
    FalseAlarms,
    /// From good and defective ones
    BestF1,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x < 1.0 => Ok(x),
        _ => Err("expected a number between 0 and 1".to_owned()),
    }
}

/// A picture with its class text and its label.
struct Known {
    path: PathBuf,
    /// The name of the class: as given, else as in the data set.
    name: String,
    class: ClassName,
    anomalous: bool,
}

/// What was found in the pictures of a class.
#[derive(Default)]
struct Measured {
    scores: Vec<f32>,
    labels: Vec<bool>,
    /// The highest probability of each good picture's map.
    good: Vec<f32>,
    /// The same of the damaged pictures.
    damaged: Vec<f32>,
}

pub fn run(args: CalibrateArgs) -> Result<ExitCode> {
    // Checked before an hour of work, not after it.
    files::try_folder(files::folder_of(&args.out)).map_err(|e| Error::io("write", &args.out, e))?;
    let opened = args.detector.builder(messages::progress())?.open()?;
    messages::note(|| opened.summary());
    let mut failed = 0;
    let mut fail = |reason: String| {
        failed += 1;
        messages::error(reason);
    };
    let pictures = pictures(&args, &opened, &mut fail)?;

    let mut names: BTreeMap<String, ClassName> = BTreeMap::new();
    pictures.iter().for_each(|p| drop(names.insert(p.class.text.clone(), p.class.clone())));
    let detectors: BTreeMap<String, Detector> = opened.detectors(&names)?;
    messages::cautions(detectors.values());
    let jobs: Vec<Job<'_>> = (pictures.iter())
        .filter_map(|p| Some(Job { path: &p.path, detector: detectors.get(&p.class.text)? }))
        .collect();
    let bar = messages::progress().items(jobs.len() as u64, "scoring");
    let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
    scoring::score(&jobs, &args.detector.decode_options(), &args.detector.memory(), |i, found| {
        let known = &pictures[i];
        match found {
            Ok(found) => {
                let of_class = measured.entry(&known.class.text).or_default();
                of_class.scores.push(found.score);
                of_class.labels.push(known.anomalous);
                let grey = found.grey_map();
                if known.anomalous { &mut of_class.damaged } else { &mut of_class.good }.push(grey.high);
            }
            Err(e @ Error::Image(_)) => bar.suspend(|| fail(e.to_string())),
            Err(e) => bar.suspend(|| fail(format!("{}: {e}", known.path.display()))),
        }
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();

    let thresholds = names.keys().map(|class| {
        let found = measured.remove(class.as_str()).unwrap_or_default();
        let mut threshold = threshold(class, &found.scores, &found.labels, &args)?;
        let range = detectors.get(class).and_then(Detector::range);
        threshold.map = map_levels(&found.good, &found.damaged, args.false_alarm_rate, range);
        Ok((class.clone(), threshold))
    });
    let thresholds: BTreeMap<String, ClassThreshold> = thresholds.collect::<Result<_>>()?;
    let text: String = thresholds.iter().map(|(class, t)| line(class, t)).collect();
    let named = pictures.iter().map(|p| (p.name.clone(), p.class.clone())).collect();
    ThresholdFile::new(opened.model_name(), provenance(&opened, &args.detector)?, thresholds, named)
        .write(&args.out)?;
    messages::print(text)?;
    Ok(exit_code(failed == 0))
}

/// The pictures of a data set, or all pictures of a folder as good ones.
fn pictures(args: &CalibrateArgs, opened: &Detectors, fail: &mut impl FnMut(String)) -> Result<Vec<Known>> {
    match Dataset::open(&args.root, args.layout) {
        Ok(data) => {
            data.problems.iter().for_each(|p| fail(p.to_string()));
            messages::passed_over(&data.passed_over);
            let named = classes::name(&data, &args.naming, opened)?;
            let known = data.samples.into_iter().filter_map(|s| {
                let class = named.classes.get(&s.class)?.clone();
                let name = args.naming.class.clone().unwrap_or(s.class);
                Some(Known { path: s.path, name, class, anomalous: s.label == Label::Anomalous })
            });
            Ok(known.collect())
        }
        Err(DatasetError::UnknownLayout { .. }) if args.layout.is_none() => {
            let name = args.naming.class.as_deref().unwrap_or(ANYTHING);
            let class = opened.describe(name, args.naming.dataset_names.as_deref())?;
            let found = inputs::expand(std::slice::from_ref(&args.root), false, std::io::empty());
            inputs::report_passed(&found.listing);
            let (mut pictures, mut problems) = (Vec::new(), found.problems);
            for found in found.listing.iter() {
                match found {
                    Ok(input) => pictures.push(input.path),
                    Err(problem) => problems.push(problem.to_string()),
                }
            }
            problems.into_iter().for_each(&mut *fail);
            if pictures.is_empty() {
                return Err(nothing(&args.root));
            }
            messages::warn(format!("taking all {} pictures as good", pictures.len()));
            let known = |path| Known { path, name: name.to_owned(), class: class.clone(), anomalous: false };
            Ok(pictures.into_iter().map(known).collect())
        }
        Err(e) => Err(e.into()),
    }
}

fn nothing(root: &Path) -> Error {
    Error::Setting(format!("{}: no usable picture to find a threshold", root.display()))
}

fn threshold(class: &str, scores: &[f32], labels: &[bool], args: &CalibrateArgs) -> Result<ClassThreshold> {
    let both = labels.contains(&true) && labels.contains(&false);
    let rule = args.rule.unwrap_or(if both { RuleName::BestF1 } else { RuleName::FalseAlarms });
    let found = match rule {
        RuleName::BestF1 => from_labels(scores, labels),
        RuleName::FalseAlarms => {
            let good: Vec<f32> = scores.iter().zip(labels).filter(|(_, a)| !**a).map(|(s, _)| *s).collect();
            from_good(&good, args.false_alarm_rate)
        }
    };
    found.ok_or_else(|| {
        let needs = match rule {
            RuleName::BestF1 => "good and defective pictures",
            RuleName::FalseAlarms => "good pictures",
        };
        Error::Setting(format!("`{class}`: a threshold by this rule needs {needs}, but the class lacks them"))
    })
}

fn line(class: &str, t: &ClassThreshold) -> String {
    let [low, high] = t.false_alarm_interval.map(|v| 100.0 * v);
    let from = match (t.rule, t.detection_rate) {
        (Rule::BestF1, Some(rate)) => {
            format!(
                "best F1 of {} good and {} defective, finds {:.1} % of those",
                t.good,
                t.anomalous,
                100.0 * rate
            )
        }
        _ => format!("{} good pictures", t.good),
    };
    format!(
        "{:.6}  {class}: {from}; expected false alarms {:.2} % (95 % interval {low:.2} to {high:.2} %)\n",
        t.threshold,
        100.0 * t.false_alarm_rate
    )
}
