//! `aaclip detect`.

mod output;
use std::io::StdoutLock;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aaclip::batch::{Filter, Input, Listing, Root, Watch};
use aaclip::output::{Record, RecordWriter};
use aaclip::pipeline::ahead;
use aaclip::{Error, Result};

use crate::cli::EXIT_ERROR;
use crate::cli::args::detect::DetectArgs;
use crate::cli::commands::detect::output::{Looker, Place, Results, failure};
use crate::cli::in_flight;
use crate::cli::inputs;
use crate::cli::messages;
use crate::cli::scorers::{ScorerOptions, Scorers};
use crate::cli::stats;
use crate::cli::stop::{self, EXIT_STOPPED};

/// Exit code of a run that found an anomaly, with `--fail-on-anomaly`.
const EXIT_ANOMALY: u8 = 1;

pub fn run(args: DetectArgs) -> Result<ExitCode> {
    args.check()?;
    let many = inputs::many(&args.inputs);
    let mut found = inputs::expand(&args.inputs, std::io::stdin());
    found.listing.filter = Filter::new(&args.many.include, &args.many.exclude)?;
    found.listing.shard = args.many.shard;
    inputs::report_masks(&found.listing);
    let tally = Tally::default();
    found.problems.iter().for_each(|problem| tally.problem(problem));
    // All problems of names and folders are reported before any work.
    if let Some(out) = args.output_folder() {
        found.listing.keep_out(&out)?;
    }
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
    let options = ScorerOptions { scale: args.scale.into(), hash: args.many.hash };
    let scorers = Scorers::open(&args.scoring, options, messages::progress())?;
    let scorer = scorers.default_class()?;
    let (mut journal, finished) = match &mut place {
        Some(place) if many => {
            let settings = scorers.provenance(&scorer)?;
            let (journal, finished) =
                place.journal(&args, settings).map_err(|e| messages::advise(e, "--restart"))?;
            place.check(&found.listing, &finished)?;
            (Some(journal), Some(finished))
        }
        _ => (None, None),
    };
    if let Some(journal) = journal.as_mut().filter(|_| args.watching()) {
        journal.expect_repeats();
    }
    let results = Results {
        stdout: writer(&args, many),
        place: place.as_ref(),
        journal: journal.zip(finished.as_ref()),
    };
    let looker = Looker { scorer: &scorer, place: place.as_ref(), finished: finished.as_ref() };
    let run = Run { listing: &found.listing, count, tally: &tally, args: &args };
    run.go(&looker, results)?;
    Ok(tally.exit_code(&args))
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
}

impl Run<'_> {
    fn go(&self, looker: &Looker<'_>, mut results: Results<'_>) -> Result<()> {
        let Self { tally, args, .. } = self;
        let progress = messages::progress();
        let bar = if args.watching() {
            progress.count("scored")
        } else {
            progress.items(self.count as u64, "scoring")
        };
        let started = Instant::now();
        let stop = stop::on_signal("finishing the pictures in flight");
        ahead(
            self.inputs(&stop, &bar)?,
            in_flight(),
            |input| looker.look(input),
            |_, looked| {
                bar.suspend(|| {
                    if looked.clipped {
                        messages::warn(format!(
                            "{}: 16-bit values above 255 became white, as in the reference; --gray16 scale keeps them",
                            looked.record.input.path
                        ));
                    }
                    // An unreadable picture is reported; the others are finished.
                    tally.take(&looked.record, looked.old);
                    results.write(&looked)
                })?;
                bar.inc(1);
                looked.hopeless.map_or(Ok(()), Err)
            },
        )?;
        bar.finish_and_clear();
        results.finish()?;
        if stop.load(Ordering::Relaxed) && !args.watching() && tally.counts().done() < self.count {
            tally.stop();
            messages::warn(format!(
                "stopped: {} of {} done; the same command goes on",
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
    anomalous: usize,
    failed: usize,
    /// Inputs that could not be listed.
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

    fn take(&self, record: &Record, old: bool) {
        if let Some(reason) = failure(record) {
            return self.fail(&reason);
        }
        let mut counts = self.lock();
        counts.scored += 1;
        counts.old += usize::from(old);
        counts.anomalous += usize::from(record.scored().is_some_and(|s| s.anomalous == Some(true)));
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
        match () {
            () if counts.stopped => ExitCode::from(EXIT_STOPPED),
            () if counts.failed + counts.problems > 0 => ExitCode::from(EXIT_ERROR),
            () if args.fail_on_anomaly && counts.anomalous > 0 => ExitCode::from(EXIT_ANOMALY),
            () => ExitCode::SUCCESS,
        }
    }
}

fn cost(counts: &Counts, started: Instant) -> String {
    let old = if counts.old > 0 { format!(" ({} of them before)", counts.old) } else { String::new() };
    format!(
        "{} scored{old}, {} anomalous, {} failed in {}",
        counts.scored,
        counts.anomalous,
        counts.failed + counts.problems,
        stats::cost(started)
    )
}
