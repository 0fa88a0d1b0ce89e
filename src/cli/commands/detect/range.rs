//! The range of a run's colours.

use aaclip::batch::{Input, Listing, Manifest, Shard};
use aaclip::map::MapRange;
use aaclip::pipeline::ahead;
use aaclip::{Result, Scorer};

use crate::cli::args::detect::DetectArgs;
use crate::cli::commands::detect::output::{Kept, Looker, Place};
use crate::cli::in_flight;
use crate::cli::messages;

/// Most pictures that the range is measured on.
const SAMPLE: usize = 48;

/// The scorer with the range of a run's colours: that of the threshold file or of an earlier run over the folder, else
/// the model's, adapted to a sample of the run's pictures (see [`MapRange::of_run`]) and kept for later runs.
///
/// # Errors
/// The manifest cannot be read or written.
pub fn adapted(
    scorer: &Scorer,
    listing: &Listing,
    place: &Place,
    kept: &Kept<'_>,
    args: &DetectArgs,
) -> Result<Option<Scorer>> {
    let settings = scorer.settings();
    if settings.calibrated || args.watching() {
        return Ok(None);
    }
    let manifest = Manifest::read(&place.folder.join(Manifest::file_name(args.many.shard)))?;
    let range = match manifest.and_then(|manifest| manifest.map_range) {
        Some(range) => Some(range),
        None => {
            let looker = Looker { scorer, place: Some(place), kept: Some(kept) };
            let found = MapRange::of_run(
                scorer.detector().range(),
                &highest(&looker, &sample(listing), args.many.shard),
            );
            if let (Some(range), None) = (found, scorer.detector().range()) {
                messages::warn(format!(
                    "no levels are known for this model: colours follow this run's own pictures, from {:.3} to {:.3}; \
                     `aaclip calibrate` measures levels on good parts",
                    range.good(),
                    range.damaged()
                ));
            }
            found.map_or(Ok(()), |range| {
                Manifest::update(&place.folder, args.many.shard, |m| m.map_range = Some(range))
            })?;
            found
        }
    };
    Ok(range.map(|range| {
        let mut settings = settings.clone();
        settings.range = range;
        Scorer::new(scorer.detector().clone(), settings)
    }))
}

/// A quarter of the pictures, within bounds.
fn sample(listing: &Listing) -> Vec<Input> {
    let (mut sample, count) = listing.sample(SAMPLE);
    sample.truncate((count / 4).clamp(MapRange::FEWEST, SAMPLE));
    sample
}

/// The highest probability in the map of each picture; pictures that cannot be scored are left out.
fn highest(looker: &Looker<'_>, pictures: &[Input], shard: Option<Shard>) -> Vec<f32> {
    if pictures.len() < MapRange::FEWEST {
        return Vec::new();
    }
    let bar = messages::progress().items(pictures.len() as u64, "measuring colours");
    let mut found = Vec::new();
    let collected: Result<()> = ahead(
        pictures.iter(),
        in_flight(),
        |input| looker.sample(input, shard.is_none_or(|shard| shard.holds(&input.name()))),
        |_, high| {
            found.extend(high);
            bar.inc(1);
            Ok(())
        },
    );
    bar.finish_and_clear();
    // The closure above never fails.
    collected.map_or_else(|_| Vec::new(), |()| found)
}
