//! `aaclip worker`.

use std::io::{self, BufReader, Write};
use std::process::ExitCode;

use aaclip::lines::{Line, Lines};
use aaclip::output::{Failure, Outcome, Patient, Record};
use aaclip::pipeline::ahead;
use aaclip::progress::Progress;
use aaclip::worker::{Answer, BadRequest, Request};
use aaclip::{Error, Result, Scorer};

use crate::cli::args::number::whole;
use crate::cli::args::scoring::ScoringArgs;
use crate::cli::scorers::{ScorerOptions, Scorers};

const EXAMPLES: &str = "\
Examples:
  find night -name '*.png' | aaclip worker > results.jsonl
  echo '{\"path\": \"a.png\", \"class\": \"bottle\", \"id\": 7}' | aaclip worker
  parallel --pipe -N 200 aaclip worker --threads 1 < paths.txt > results.jsonl
  python tools/spark_score.py photos/ scores/           # Spark
  python tools/ray_score.py photos/ scores/             # Ray Data

Lines in:   a path (on Unix any bytes), or {\"path\" or \"b64\", \"class\"?, \"id\"?, \"name\"?}; b64
            is a picture file in base64; the id is any JSON value and is returned unchanged
Lines out:  one JSON object per line, in the same order, flushed at once: the fields of `detect
            --format jsonl`, and the id. A line that cannot be scored becomes a record with an
            `error`.

The model is loaded with the first line, because engines also start workers for empty parts.
Messages go to stderr only. Threads: all that the process may use (within the CPU limits of a
container); give --threads if several workers share a machine.

Exit codes:
  0  every line was answered
  2  wrong usage, the model cannot be loaded (then no line is answered), or the reader of the
     answers closed the pipe";

/// Score pictures line by line: requests on stdin, records on stdout.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct WorkerArgs {
    #[command(flatten)]
    scoring: ScoringArgs,

    /// Longest accepted line, in megabytes
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = whole::<u64>(1..=4096))]
    max_line: u64,

    /// Add each picture's SHA-256 to its record
    #[arg(long)]
    hash: bool,
}

pub fn run(args: WorkerArgs) -> Result<ExitCode> {
    let stdin = |e| Error::io("read", "stdin", e);
    let mut lines = Lines::new(BufReader::new(Patient(io::stdin())), args.max_line << 20);
    let first = match lines.next() {
        None => return Ok(ExitCode::SUCCESS),
        Some(first) => first.map_err(stdin)?,
    };
    let options = ScorerOptions { hash: args.hash, ..ScorerOptions::default() };
    let scorers = Scorers::open(&args.scoring, options, Progress::Silent)?;
    let worker =
        Worker { scorer: scorers.default_class()?.as_ref().clone(), scorers, max_line: args.max_line };
    let mut out = Patient(io::stdout().lock());
    ahead(
        std::iter::once(Ok(first)).chain(lines),
        crate::cli::in_flight(),
        |line| Some(worker.answer(line.as_ref().ok()?)),
        |line, answer| {
            line.map_err(stdin)?;
            let mut text = serde_json::to_vec(&answer).map_err(|e| stdout(e.into()))?;
            text.push(b'\n');
            out.write_all(&text).and_then(|()| out.flush()).map_err(stdout)
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Every answer must be read, so a closed pipe is an error here.
fn stdout(error: io::Error) -> Error {
    let error = match error.kind() {
        io::ErrorKind::BrokenPipe => {
            io::Error::other("the reader of the answers closed the pipe before the last one")
        }
        _ => error,
    };
    Error::io("write to", "stdout", error)
}

struct Worker<'a> {
    scorers: Scorers<'a>,
    /// The scorer of the worker's own class.
    scorer: Scorer,
    max_line: u64,
}

impl Worker<'_> {
    fn answer(&self, line: &Line) -> Answer {
        let request = match line {
            Line::Whole(line) => Request::parse(line),
            Line::TooLong(start) => {
                let reason = format!("the line is longer than {} MB: raise --max-line", self.max_line);
                Err(BadRequest::of_line(start, reason))
            }
        };
        match request {
            Ok(request) => Answer { record: self.look(&request), id: request.id },
            Err(BadRequest { id, name, reason }) => {
                let failure = Failure { kind: "bad_request".to_owned(), message: reason };
                Answer { id, record: self.scorer.record_of(name, Outcome::Failed(failure)) }
            }
        }
    }

    fn look(&self, request: &Request) -> Record {
        let own;
        let scorer = match request.class.as_deref().map(|class| self.scorers.of(class)) {
            None => &self.scorer,
            Some(Ok(scorer)) => {
                own = scorer;
                &own
            }
            Some(Err(e)) => return self.scorer.failed(&e, request.name.clone(), None),
        };
        match scorer.look(request.source(), &request.name.path) {
            Ok(look) => scorer.record(look, request.name.clone(), Default::default()),
            Err(e) => scorer.failed(&e, request.name.clone(), None),
        }
    }
}
