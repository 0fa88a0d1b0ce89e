//! `aaclip detect`.

mod highest;
mod output;
mod range;
mod shown;
mod summary;

use std::io::{IsTerminal, StdoutLock};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aaclip::batch::{Copies, Filter, Input, Listing, Manifest, Root, Watch};
use aaclip::dataset::ANYTHING;
use aaclip::output::{Patient, Record, RecordWriter};
use aaclip::passed::PassedOver;
use aaclip::pipeline::ahead;
use aaclip::{Error, References, Result};

use crate::cli::EXIT_ERROR;
use crate::cli::args::detect::{DetectArgs, ScaleName};
use crate::cli::commands::detect::output::{Kept, Looker, Origin, Place, Results, failure};
use crate::cli::commands::detect::shown::Shown;
use crate::cli::commands::detect::summary::Summary;
use crate::cli::doubts::Doubts;
use crate::cli::in_flight;
use crate::cli::inputs;
use crate::cli::messages;
use crate::cli::scorers::{ScorerOptions, Scorers};
use crate::cli::stats;
use crate::cli::stop::{self, EXIT_STOPPED};

/// Exit code of a run that found an anomaly, with `--fail-on-anomaly`.
const EXIT_ANOMALY: u8 = 1;

/// Exit code of a run that found an anomaly and could not score some input, with `--fail-on-anomaly`.
const EXIT_ANOMALY_AND_ERROR: u8 = 3;

pub fn run(args: DetectArgs) -> Result<ExitCode> {
    args.check()?;
    let many = inputs::many(&args.inputs);
    let mut found = inputs::expand(&args.inputs, args.many.hidden, Patient(std::io::stdin()));
    found.listing.filter = Filter::new(&args.many.include, &args.many.exclude)?;
    found.listing.filter.hidden = args.many.hidden;
    found.listing.shard = args.many.shard;
    let tally = Tally::default();
    found.problems.iter().for_each(|problem| tally.problem(problem));
    // All problems of names and folders are reported before any work.
    if let Some(out) = args.output_folder() {
        found.listing.keep_out(&out)?;
    }
    let passed = inputs::report_passed(&found.listing);
    let copies =
        args.many.copy_anomalous.clone().map(|folder| Copies::new(folder, &found.listing)).transpose()?;
    let folders = found.listing.roots.iter().any(|root| matches!(root, Root::Folder(_)));
    if found.listing.filter.is_set() && !folders {
        return Err(Error::Setting("--include and --exclude have no effect without a folder".to_owned()));
    }
    let count = if args.output_folder().is_some() { found.listing.check()? } else { found.listing.count() };
    if count == 0 && !args.watching() {
        found.listing.iter().filter_map(Result::err).for_each(|problem| tally.problem(&problem.to_string()));
        if tally.counts().problems > 0 {
            // Formats with a header or brackets print them even without a picture.
            writer(&args, many).finish().map_err(|e| Error::io("write to", "stdout", e))?;
            return Ok(tally.exit_code(&args));
        }
    }
    let mut place = Place::open(&args)?;
    let options = ScorerOptions { stretch: args.scale == ScaleName::Auto, hash: args.many.hash };
    // A part of the run compares with the whole folder too.
    let whole = || -> Vec<(String, PathBuf)> {
        let whole = Listing { shard: None, ..found.listing.clone() };
        whole
            .iter()
            .filter_map(Result::ok)
            .map(|i| (i.relative.to_string_lossy().into_owned(), i.path))
            .collect()
    };
    let mut scorers = match args.many.peers {
        Some(number) => {
            let peers = References::peers(whole(), number, args.scoring.detector.decode_options());
            Scorers::open_with(&args.scoring, options, messages::progress(), peers)?
        }
        None => Scorers::open(&args.scoring, options, messages::progress())?,
    };
    if scorers.of_folder() {
        if args.watching() {
            return Err(Error::Setting("a method that scores a folder together cannot watch it".to_owned()));
        }
        scorers = scorers.with_folder(whole().into_iter().map(|(_, path)| path).collect())?;
    }
    let scorer = scorers.default_class()?;
    let journal = match &mut place {
        Some(place) if many => {
            let settings = scorers.provenance(&scorer)?;
            let (mut journal, finished) =
                place.journal(&args, settings).map_err(|e| messages::advise(e, "--restart"))?;
            place.check(&found.listing, &finished)?;
            keep_passed(place, &args, &passed)?;
            if args.watching() {
                journal.expect_repeats();
            }
            Some((journal, finished))
        }
        _ => None,
    };
    let kept =
        place.as_ref().zip(journal).map(|(place, (journal, before))| Kept::new(place, journal, before));
    let adapted = match (&place, &kept) {
        (Some(place), Some(kept)) => range::adapted(&scorer, &found.listing, place, kept, &args)?,
        _ => None,
    };
    let scorer = adapted.as_ref().unwrap_or(&scorer);
    let looker = Looker { scorer, place: place.as_ref(), kept: kept.as_ref() };
    let results = Results { stdout: Shown::new(writer(&args, many), &args.many), kept: kept.as_ref() };
    let out = place.as_ref().map(|place| place.folder.as_path());
    let class = args.scoring.class.as_deref().filter(|class| *class != ANYTHING);
    let mut summary = Summary::new(scorer.settings().threshold, class, out);
    let run = Run { listing: &found.listing, count, tally: &tally, args: &args, copies };
    run.go(&looker, results, &mut summary)?;
    kept.map_or(Ok(()), Kept::finish)?;
    if args.watching() {
        let (later, _) = found.listing.passed_over();
        if later != passed {
            messages::passed_over(&later);
            place.as_ref().map_or(Ok(()), |place| keep_passed(place, &args, &later))?;
        }
    }
    if many && !tally.counts().stopped && !messages::verbosity().quiet && std::io::stderr().is_terminal() {
        messages::say(&summary.text());
    }
    Ok(tally.exit_code(&args))
}

/// Stores in the manifest what the search passed over.
fn keep_passed(place: &Place, args: &DetectArgs, passed: &PassedOver) -> Result<()> {
    Manifest::update(&place.folder, args.many.shard, |manifest| manifest.passed_over = passed.clone())
}

fn writer(args: &DetectArgs, many: bool) -> RecordWriter<StdoutLock<'static>> {
    RecordWriter::new(std::io::stdout().lock(), args.format.into(), many)
}

/// A run over pictures.
struct Run<'a> {
    listing: &'a Listing,
    count: usize,
    tally: &'a Tally,
    args: &'a DetectArgs,
    /// The folder for anomalous pictures.
    copies: Option<Copies>,
}

impl Run<'_> {
    fn go(&self, looker: &Looker<'_>, mut results: Results<'_>, summary: &mut Summary<'_>) -> Result<()> {
        let Self { tally, args, .. } = self;
        let progress = messages::progress();
        let bar = if args.watching() {
            progress.count("scored")
        } else {
            progress.items(self.count as u64, "scoring")
        };
        let started = Instant::now();
        let doubts = Doubts::default();
        let stop = stop::on_signal("finishing the pictures in flight");
        ahead(
            self.inputs(&stop, &bar)?,
            in_flight(),
            |input| looker.look(input),
            |input, looked| {
                bar.suspend(|| {
                    if let Some(decoded) = looked.record.scored().and_then(|s| s.decoding.as_ref()) {
                        doubts.say(&looked.record.input.path, &decoded.warnings);
                    }
                    // An unreadable picture is reported; the others are finished.
                    tally.take(&looked.record, looked.origin);
                    summary.take(&looked.record);
                    if let Some(copies) = self.copies.as_ref().filter(|_| is_anomalous(&looked.record)) {
                        copies.add(&input).unwrap_or_else(|e| tally.problem(&messages::advised(&e)));
                    }
                    results.write(&looked.record, looked.origin)
                })?;
                bar.inc(1);
                looked.hopeless.map_or(Ok(()), Err)
            },
        )?;
        bar.finish_and_clear();
        doubts.finish();
        results.finish()?;
        if stop.load(Ordering::Relaxed) && !args.watching() && tally.counts().done() < self.count {
            tally.stop();
            messages::warn(format!(
                "stopped: {} of {} done; the same command continues the run",
                tally.counts().done(),
                self.count
            ));
        }
        messages::note(|| cost(&tally.counts(), started));
        Ok(())
    }

    /// The pictures, until a signal ends the run; problems of the search are reported.
    fn inputs<'a>(
        &'a self,
        stop: &'a AtomicBool,
        bar: &'a aaclip::progress::Bar,
    ) -> Result<impl Iterator<Item = Input> + Send + 'a> {
        let found: Box<dyn Iterator<Item = _> + Send + 'a> = if self.args.watching() {
            Box::new(Watch::start(self.listing, self.args.watch_by(), stop)?)
        } else {
            Box::new(self.listing.iter().take_while(|_| !stop.load(Ordering::Relaxed)))
        };
        Ok(found.filter_map(|found| match found {
            Ok(input) => Some(input),
            Err(problem) => {
                bar.suspend(|| self.tally.problem(&problem.to_string()));
                None
            }
        }))
    }
}

/// Counts of the results so far.
#[derive(Default)]
struct Tally(Mutex<Counts>);

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    scored: usize,
    /// Results of an earlier run.
    old: usize,
    /// Those of them that were judged again.
    judged: usize,
    anomalous: usize,
    failed: usize,
    /// Inputs that could not be listed, and pictures that could not be copied.
    problems: usize,
    stopped: bool,
}

impl Counts {
    fn done(&self) -> usize {
        self.scored + self.failed
    }
}

impl Tally {
    fn counts(&self) -> Counts {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn take(&self, record: &Record, origin: Origin) {
        if let Some(reason) = failure(record) {
            return self.fail(&reason);
        }
        let mut counts = self.lock();
        counts.scored += 1;
        counts.old += usize::from(origin != Origin::Scored);
        counts.judged += usize::from(origin == Origin::Judged);
        counts.anomalous += usize::from(is_anomalous(record));
    }

    fn fail(&self, reason: &str) {
        self.lock().failed += 1;
        messages::error(reason);
    }

    fn problem(&self, reason: &str) {
        self.lock().problems += 1;
        messages::error(reason);
    }

    fn stop(&self) {
        self.lock().stopped = true;
    }

    fn exit_code(&self, args: &DetectArgs) -> ExitCode {
        let counts = self.counts();
        if counts.stopped {
            return ExitCode::from(EXIT_STOPPED);
        }
        let found = args.fail_on_anomaly && counts.anomalous > 0;
        match (found, counts.failed + counts.problems > 0) {
            (true, true) => ExitCode::from(EXIT_ANOMALY_AND_ERROR),
            (true, false) => ExitCode::from(EXIT_ANOMALY),
            (false, true) => ExitCode::from(EXIT_ERROR),
            (false, false) => ExitCode::SUCCESS,
        }
    }
}

fn is_anomalous(record: &Record) -> bool {
    record.scored().is_some_and(|scored| scored.anomalous == Some(true))
}

fn cost(counts: &Counts, started: Instant) -> String {
    let old = match (counts.old, counts.judged) {
        (0, _) => String::new(),
        (old, 0) => format!(" ({old} of them before)"),
        (old, judged) => format!(" ({old} of them before, {judged} of those judged again)"),
    };
    format!(
        "{} scored{old}, {} anomalous, {} failed in {}",
        counts.scored,
        counts.anomalous,
        counts.failed + counts.problems,
        stats::cost(started)
    )
}
