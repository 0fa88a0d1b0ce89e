//! `aaclip detect`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use aaclip::calibration::ThresholdFile;
use aaclip::image::{DecodeOptions, Picture, decode};
use aaclip::output::{
    Artefact, ArtefactNames, ColourScale, Pictures, Record, RecordWriter, SCHEMA_VERSION, Size,
};
use aaclip::output::{StageTimes, save};
use aaclip::pipeline::ahead;
use aaclip::{Detector, Error, Result};

use super::detect_args::{DetectArgs, Threshold};
use super::inputs::{self, Input};
use super::session::Session;
use super::{EXIT_ERROR, plan, stats};

/// Exit code of a run that found an anomaly, if `--fail-on-anomaly` asks for one.
const EXIT_ANOMALY: u8 = 1;

/// Pictures that are worked on at a time, at most: each holds what one pass through the tower needs.
const IN_FLIGHT: usize = 4;

pub fn run(args: DetectArgs) -> Result<ExitCode> {
    args.check()?;
    let many = inputs::many(&args.inputs);
    let found = inputs::expand(&args.inputs, std::io::stdin());
    let mut tally = Tally::default();
    found.problems.iter().for_each(|problem| tally.fail(problem));
    let jobs = jobs(found.pictures, &args)?;
    if jobs.is_empty() {
        return Ok(tally.exit_code(&args));
    }

    let run = Run::prepare(&args)?;
    let bar = args.verbosity.progress().items(jobs.len() as u64, "scoring");
    let mut records = RecordWriter::new(std::io::stdout().lock(), args.format.into(), many);
    let stdout = |e| Error::io("write to", "stdout", e);
    let started = Instant::now();
    // Several pictures at a time: while one is decoded or written, another has the processors for its tower.
    let in_flight = rayon::current_num_threads().min(IN_FLIGHT);
    ahead(
        &jobs,
        in_flight,
        |job| run.look_at(job, &args),
        |job, result| {
            match result {
                Ok(record) => {
                    tally.scored(&record);
                    bar.suspend(|| records.write(&record)).map_err(stdout)?;
                }
                // A picture that cannot be read or saved is reported; the others are finished.
                Err(e) => bar.suspend(|| tally.fail(&with_path(&e, &job.input.path))),
            }
            bar.inc(1);
            Ok::<(), Error>(())
        },
    )?;
    bar.finish_and_clear();
    records.finish().map_err(stdout)?;
    if args.verbosity.verbose {
        report(&tally, started);
    }
    Ok(tally.exit_code(&args))
}

/// One picture and where its files go.
struct Job {
    input: Input,
    names: Option<ArtefactNames>,
}

/// Decides all output names and tries the output folder before any work is done.
fn jobs(pictures: Vec<Input>, args: &DetectArgs) -> Result<Vec<Job>> {
    let Some(out) = args.output_folder().filter(|_| !pictures.is_empty()) else {
        return Ok(pictures.into_iter().map(|input| Job { input, names: None }).collect());
    };
    let names = plan::names(&pictures, &out)?;
    try_folder(&out)?;
    Ok(pictures.into_iter().zip(names).map(|(input, names)| Job { input, names: Some(names) }).collect())
}

/// Fails early, and not after the first picture, where nothing can be written.
fn try_folder(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)
        .and_then(|()| tempfile::Builder::new().prefix(".aaclip-").tempfile_in(out).map(drop))
        .map_err(|e| Error::io("write to the output folder", out, e))
}

/// Everything that is the same for all pictures.
struct Run {
    detector: Detector,
    model: String,
    class: String,
    threshold: Option<f32>,
    decode: DecodeOptions,
    artefacts: Vec<Artefact>,
    scale: ColourScale,
}

impl Run {
    fn prepare(args: &DetectArgs) -> Result<Self> {
        let session = Session::open(&args.detector, args.verbosity.progress())?;
        let class = session.prompts.describe(&args.class, args.dataset_names.as_deref())?;
        let threshold = match &args.threshold {
            None => None,
            Some(Threshold::Score(score)) => Some(*score),
            Some(Threshold::File(path)) => {
                Some(ThresholdFile::read(path)?.threshold(path, &session.provenance()?, &class.text)?)
            }
        };
        Ok(Self {
            detector: session.detector(&session.anchors(&class)?, &class)?,
            threshold,
            model: session.model,
            class: class.text,
            decode: args.detector.decode_options(),
            artefacts: args.artefacts(),
            scale: args.scale.into(),
        })
    }

    fn look_at(&self, job: &Job, args: &DetectArgs) -> Result<Record> {
        let started = Instant::now();
        let picture = decode(&job.input.path, &self.decode)?;
        let decoded = started.elapsed();
        if picture.was_clipped() && !args.verbosity.quiet {
            anstream::eprintln!(
                "aaclip: {}: 16-bit values above 255 became white, as in the reference; --gray16 scale keeps them",
                job.input.path.display()
            );
        }
        let found = self.detector.detect(&picture)?;
        let detected = started.elapsed();
        let probabilities = found.probabilities();
        let region_threshold = args.region_threshold(self.threshold);
        let files = match &job.names {
            Some(names) => {
                let rgb = picture.to_rgb();
                let pictures = Pictures {
                    picture: &rgb,
                    probabilities: probabilities.view(),
                    raw: &found.map,
                    scale: self.scale,
                    threshold: region_threshold,
                };
                save(&self.artefacts, names, &pictures)?
            }
            None => Default::default(),
        };
        let regions = aaclip::map::regions(probabilities.view(), region_threshold);
        let ms = |d: std::time::Duration| (d.as_secs_f64() * 1e6).round() / 1e3;
        let total = started.elapsed();
        Ok(Record {
            schema: SCHEMA_VERSION,
            path: job.input.path.to_string_lossy().into_owned(),
            model: self.model.clone(),
            method: self.detector.method().name(),
            class: self.class.clone(),
            score: found.score,
            anomalous: self.threshold.map(|t| found.score >= t),
            threshold: self.threshold,
            components: found.components,
            region_threshold,
            regions,
            size: size(&picture),
            image_size: self.detector.image_size(),
            files,
            timing_ms: StageTimes {
                decode: ms(decoded),
                preprocess: ms(found.timing.preprocess),
                model: ms(found.timing.model),
                map: ms(found.timing.map),
                write: ms(total - detected),
                total: ms(total),
            },
        })
    }
}

fn size(picture: &Picture) -> Size {
    Size { width: picture.width(), height: picture.height() }
}

/// What came of the inputs so far.
#[derive(Default)]
struct Tally {
    scored: usize,
    anomalous: usize,
    failed: usize,
}

impl Tally {
    fn scored(&mut self, record: &Record) {
        self.scored += 1;
        self.anomalous += usize::from(record.anomalous == Some(true));
    }

    fn fail(&mut self, reason: &str) {
        self.failed += 1;
        anstream::eprintln!("aaclip: {reason}");
    }

    fn exit_code(&self, args: &DetectArgs) -> ExitCode {
        match () {
            () if self.failed > 0 => ExitCode::from(EXIT_ERROR),
            () if args.fail_on_anomaly && self.anomalous > 0 => ExitCode::from(EXIT_ANOMALY),
            () => ExitCode::SUCCESS,
        }
    }
}

/// The reason, with the picture's path where the error does not name it itself.
fn with_path(error: &Error, path: &Path) -> String {
    match error {
        Error::Image(_) | Error::Io { .. } => error.to_string(),
        _ => format!("{}: {error}", path.display()),
    }
}

fn report(tally: &Tally, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let memory = stats::peak_memory_mb().map_or(String::new(), |mb| format!(", peak memory {mb:.0} MB"));
    let _ = writeln!(
        std::io::stderr(),
        "aaclip: {} scored, {} anomalous, {} failed in {seconds:.2} s{memory}",
        tally.scored,
        tally.anomalous,
        tally.failed
    );
}

/// `PATH` as an output folder, for the default of `--out`.
pub fn default_out() -> PathBuf {
    PathBuf::from("aaclip-out")
}
