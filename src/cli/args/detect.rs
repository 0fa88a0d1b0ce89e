//! The arguments of `aaclip detect`, and their meaning.

use std::path::PathBuf;
use std::time::Duration;

use aaclip::batch::{Shard, WatchBy};
use aaclip::output::{Artefact, RecordFormat};
use aaclip::{Error, Result};

use crate::cli::args::names;
use crate::cli::args::number::whole;
use crate::cli::args::scoring::ScoringArgs;

const ABOUT: &str = "\
Score pictures and show the damaged regions

Examples:
  aaclip detect part.png                       # score and path
  aaclip detect part.png -o results            # also an overlay and a heatmap
  aaclip detect photos/ -o results             # a folder; run it again after a crash: it continues
  aaclip detect photos/ -o results --threshold nut.json      # judges again, scores nothing again
  aaclip detect photos/ --top 20
  aaclip detect photos/ -o results --reference good/         # compares with a few good parts
  aaclip detect photos/ -o results --peers                   # compares the photos with each other
  aaclip detect 'line-3/*.jpg' --threshold 0.6 --fail-on-anomaly
  find . -name '*.png' | aaclip detect - --format csv
  aaclip detect night/ -o results --shard \"$JOB_COMPLETION_INDEX/8\"     # one of 8 machines
  aaclip detect incoming/ -o results --watch --threshold 0.6 --format jsonl
  aaclip detect part.png --model ViT-L-14-336 --adapters checkpoints/ --class mvtec:bottle";

const NOTES: &str = "\
Many pictures with --out:
  DIR/results.jsonl   one line per picture, in the order of their names, appended when it is done
  DIR/manifest.json   the settings; a run with other settings is refused, unless --restart is given
  DIR/NAME.png.heatmap.png   files of NAME.png, in the folders of the pictures
  With --shard the two are called results-I-of-N.jsonl and manifest-I-of-N.json. A run that was
  killed loses at most the pictures in flight; the same command continues it. Failed pictures are
  tried again. With other thresholds, another --scale, or after files were deleted, verdicts,
  regions and pictures are made again from the results and NAME.png.map.png; nothing is scored
  again unless that map is missing. DIR may be inside the searched folder: it is left out, as is
  every NAME.png.heatmap.png and similar file. Hidden files and folders are left out, unless
  --hidden is given; what a folder has besides pictures is counted on stderr and in manifest.json,
  and is no error. A file given outright is always taken.

Score:
  The score of a picture is in 0..1 and depends only on that picture, the model, the prompts and the
  settings, so scores with the same settings can be compared. `aaclip methods` gives the formula of
  each method; a probability of 0.5 means as near to normal as to damaged.

Exit codes:
  0  all inputs were scored, or Ctrl-C ended a watch
  1  an anomaly was found (only with --fail-on-anomaly)
  2  any error: usage, set-up, or at least one input that could not be scored
  3  an anomaly was found, and at least one input could not be scored (only with --fail-on-anomaly)
  130  stopped by Ctrl-C or a termination signal, after finishing what was in flight";

/// Score pictures and show the damaged regions.
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT, after_long_help = NOTES)]
pub struct DetectArgs {
    /// Pictures: files, folders (searched recursively), patterns, or `-` for a list of paths on stdin
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Folder for the files of --save, and for the results of a run over many pictures (results.jsonl) [default with
    /// --save: aaclip-out]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Exit with 1 if any picture is anomalous, with 3 if moreover an input failed
    #[arg(long, requires = "threshold")]
    pub fail_on_anomaly: bool,

    /// Files to write for each picture [default with --out: heatmap,overlay,map]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,..")]
    pub save: Vec<ArtefactName>,

    /// Colours: the same for all pictures, or stretched over each picture alone
    #[arg(long, value_enum, default_value_t = ScaleName::Fixed)]
    pub scale: ScaleName,

    /// Form of the results on stdout
    #[arg(long, value_enum, default_value_t = FormatName::Text)]
    pub format: FormatName,

    #[command(flatten)]
    pub scoring: ScoringArgs,

    #[command(flatten)]
    pub many: ManyArgs,
}

/// Arguments for runs over many pictures.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Many pictures")]
pub struct ManyArgs {
    /// In folders take only files that match; `*` matches within a name, `**` across folders, a pattern without `/`
    /// matches the last name alone
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,

    /// In folders leave out files and folders that match
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// In folders and patterns take hidden files and folders, too: names with a leading dot, `@eaDir`, `Thumbs.db` and
    /// the like
    #[arg(long)]
    pub hidden: bool,

    /// Compare each picture with N others of the inputs (default 32), chosen by their names; most of them should show good
    /// parts of one kind. Without --method, method nearest compares
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "32", value_parser = whole::<usize>(1..=10_000))]
    pub peers: Option<usize>,

    /// Continue an earlier run with --out: finished pictures are not scored again. This is the default
    #[arg(long, conflicts_with = "restart")]
    pub resume: bool,

    /// Delete the recorded results of an earlier run in --out
    #[arg(long)]
    pub restart: bool,

    /// Recognise finished pictures by their content instead of length and time of change; results then include each
    /// picture's SHA-256
    #[arg(long)]
    pub hash: bool,

    /// Order of the results on stdout. By score they are written at the end of the run, the highest first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = SortName::Name)]
    pub sort: SortName,

    /// On stdout only pictures at or above the threshold
    #[arg(long, requires = "threshold")]
    pub only_anomalous: bool,

    /// On stdout only the N pictures with the highest scores, the highest first, at the end of the run
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1..=1_000_000_000))]
    pub top: Option<usize>,

    /// Put the original pictures at or above the threshold into DIR under their names in the run, as hard links where
    /// possible. A different file that is there stays, and is named
    #[arg(long, value_name = "DIR", requires = "threshold")]
    pub copy_anomalous: Option<PathBuf>,

    /// Watch the folders and score pictures as they are completed (closed or renamed), until Ctrl-C
    #[arg(long)]
    pub watch: bool,

    /// Watch by searching the folders every SECONDS seconds: for network shares, which do not report changes
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>(1..=86_400))]
    pub poll: Option<u64>,

    /// Part I, counted from 0, of N: the pictures whose name hashes to it. Parts may share one --out
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

names!(ArtefactName => Artefact {
    /// The painted map
    Heatmap => Artefact::Heatmap,
    /// The picture under its map
    Overlay => Artefact::Overlay,
    /// Black and white
    Mask => Artefact::Mask,
    /// The map in grey, small, for pages and for new colours
    Map => Artefact::Map,
    /// The map's numbers, .npy
    Raw => Artefact::Raw,
});
/// The colours of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ScaleName {
    /// A map value has the same colour in every picture: black up to the level of good parts
    Fixed,
    /// From each picture's lowest to its highest value
    Auto,
}

/// The order of results on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SortName {
    /// As they are scored: folders in the order of their names
    Name,
    /// The highest score first, failed pictures last
    Score,
}
names!(FormatName => RecordFormat {
    /// Score, verdict and path
    Text => RecordFormat::Text,
    /// One object for one file, an array otherwise
    Json => RecordFormat::Json,
    /// One object per line
    Jsonl => RecordFormat::JsonLines,
    /// One row per picture
    Csv => RecordFormat::Csv,
    /// The same for Excel: with a byte order mark
    CsvBom => RecordFormat::CsvBom,
});

impl DetectArgs {
    /// Refuses flags that would have no effect.
    pub fn check(&self) -> Result<()> {
        let without_files = self.save.is_empty() && self.out.is_none();
        if without_files && self.scale != ScaleName::Fixed {
            return Err(Error::Setting("--scale has no effect without --save or --out".to_owned()));
        }
        let many = &self.many;
        let unused = [("--resume", many.resume), ("--restart", many.restart), ("--hash", many.hash)];
        if self.watching() && self.format == FormatName::Json {
            return Err(Error::Setting(
                "--watch never ends, and --format json is one array: use jsonl".to_owned(),
            ));
        }
        if self.watching() && (many.sort == SortName::Score || many.top.is_some()) {
            return Err(Error::Setting(
                "--watch never ends, and --sort score and --top write at the end: leave them out".to_owned(),
            ));
        }
        let unused = unused.iter().find(|(_, given)| *given && self.output_folder().is_none());
        if let Some((flag, _)) = unused {
            return Err(Error::Setting(format!("{flag} has no effect without --out")));
        }
        Ok(())
    }

    /// Whether the run continues until it is stopped.
    pub fn watching(&self) -> bool {
        self.many.watch || self.many.poll.is_some()
    }

    /// How the folders are watched.
    pub fn watch_by(&self) -> WatchBy {
        self.many.poll.map_or(WatchBy::Events, |seconds| WatchBy::Poll(Duration::from_secs(seconds)))
    }

    /// The folder for files; `None` if no files are written.
    pub fn output_folder(&self) -> Option<PathBuf> {
        self.out.clone().or_else(|| (!self.save.is_empty()).then(|| PathBuf::from("aaclip-out")))
    }

    /// The kinds of files to write.
    pub fn artefacts(&self) -> Vec<Artefact> {
        let named: Vec<Artefact> = self.save.iter().map(|&name| name.into()).collect();
        match () {
            () if !named.is_empty() => named,
            () if self.out.is_some() => vec![Artefact::Heatmap, Artefact::Overlay, Artefact::Map],
            () => vec![],
        }
    }
}
