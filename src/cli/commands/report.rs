//! `aaclip report`.

use std::path::PathBuf;
use std::process::ExitCode;

use aaclip::gallery::{DetectRun, Gallery};
use aaclip::image::DecodeLimits;
use aaclip::{Error, Result};

use crate::cli::messages;

const EXAMPLES: &str = "\
Examples:
  aaclip detect photos/ -o night --threshold 0.5
  aaclip report night                        # writes night/report.html and night/report-thumbs/
  aaclip report night -o /srv/www/night.html --title \"Line 3, night shift\"
  aaclip report night --most 2000            # a small page of the highest scores

Open the page in a browser, from disk: it needs no network and no server. Run the command again
after more pictures were scored: only new and changed pictures get a thumbnail, and pictures that
were removed from the folder leave the page. It colours the grey maps of the run (NAME.map.png) with
a scale that can be changed there. To share the page, copy the folder of thumbnails with it;
full-size pictures and maps are shown if they are at the same relative paths.

Exit code: 0 if the page was written, 2 if not.";

/// Show the results of a folder: a gallery as one HTML page
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ReportArgs {
    /// The output folder of `aaclip detect FOLDER -o OUT`
    out: PathBuf,
    /// The page; its thumbnails go to a folder beside it [default: OUT/report.html]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The headline [default: the name of OUT]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Most pictures on the page: those with the highest scores. The others are only counted
    #[arg(long, value_name = "N", default_value_t = Gallery::MOST as u32,
          value_parser = clap::value_parser!(u32).range(1..))]
    most: u32,
    /// Longest side of a thumbnail, in pixels
    #[arg(long, value_name = "N", default_value_t = Gallery::THUMBNAIL,
          value_parser = clap::value_parser!(u32).range(16..=2048))]
    thumbnail: u32,
    /// The largest picture that is decoded, in megapixels
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::default().max_pixels / 1_000_000)]
    max_megapixels: u64,
}

pub fn run(args: ReportArgs) -> Result<ExitCode> {
    let run = DetectRun::read(&args.out).map_err(|e| match e {
        Error::Journal(e) => Error::Setting(format!("{e}; `aaclip detect --restart` starts over")),
        other => other,
    })?;
    let mut gallery = Gallery::of(&run);
    gallery.title = args.title;
    gallery.thumbnail = args.thumbnail;
    gallery.most = args.most as usize;
    gallery.decoding.limits.max_pixels = args.max_megapixels.saturating_mul(1_000_000);
    if let Some(page) = args.output {
        gallery.page = page;
    }
    let summary = gallery.write(&run, messages::progress())?;
    messages::warn(format!(
        "{} scored, {} anomalous, {} failed; {} on the page, {} thumbnails made",
        summary.scored, summary.anomalous, summary.failed, summary.shown, summary.made
    ));
    if run.removed > 0 {
        let pictures = if run.removed == 1 { "picture was" } else { "pictures were" };
        messages::warn(format!(
            "{} {pictures} removed from the folder since the run, and left out",
            run.removed
        ));
    }
    let bare = summary.without_thumbnail.saturating_sub(summary.failed);
    if bare > 0 {
        messages::warn(format!(
            "{bare} scored pictures are missing or cannot be read, and have no overlay: the page shows only their figures"
        ));
    }
    // The only output that a script needs.
    messages::print(format!("{}\n", gallery.page.display()))?;
    Ok(ExitCode::SUCCESS)
}
