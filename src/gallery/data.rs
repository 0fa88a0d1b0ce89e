//! The data of the page's script: one compact JSON text, escaped for HTML.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::links::{Links, Place, Places};
use super::results::{DetectRun, ShownPicture};
use super::thumbs::{Thumbs, saved_file};
use crate::Components;
use crate::map::Region;
use crate::output::{Decoded, Outcome, Record};

/// Number of bins for the scores that are counted on the page but not shown.
const BINS: usize = 1000;

/// The data of the page. The page's script reads it by position, see `script/data.js`.
#[derive(Serialize)]
pub(super) struct PageData<'a> {
    /// The run's folder, as named by the user.
    folder: Cow<'a, str>,
    /// The folder of thumbnails, relative to the page.
    thumbs: &'a str,
    /// The common threshold of all scored pictures.
    threshold: Option<f32>,
    judged: Vec<Judged<'a>>,
    /// Distinct lists of component names.
    components: Vec<Vec<&'static str>>,
    places: Vec<[String; 2]>,
    /// Scores that are not shown: number of the bin, its pictures, its anomalous pictures.
    rest: Vec<(usize, usize, usize)>,
    pictures: Vec<Row<'a>>,
}

/// Model, method, class, threshold; the levels of good parts and of clear damage; the threshold of regions.
type Judged<'a> = (&'a str, &'a str, &'a str, Option<f32>, f32, f32, f32);

/// One picture, by position.
#[derive(Serialize)]
struct Row<'a>(
    Cow<'a, str>,
    Option<f32>,
    Option<u8>,
    usize,
    usize,
    usize,
    Option<&'a str>,
    Option<&'a str>,
    /// The path as recorded, then addresses: picture, overlay, heatmap, grey map.
    [Option<Place>; 5],
    usize,
    Vec<Flat>,
    usize,
    Vec<Rounded>,
    /// The values of black and white in the grey map.
    Option<[Rounded; 2]>,
    /// The reason of a failure: kind and text.
    Option<(&'a str, &'a str)>,
    /// How the picture was decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    Option<String>,
);

/// A region as a list.
#[derive(Serialize)]
struct Flat(usize, usize, usize, usize, usize, Rounded);

impl From<&Region> for Flat {
    fn from(r: &Region) -> Self {
        Self(r.x, r.y, r.width, r.height, r.area, Rounded(r.peak.into()))
    }
}

/// A number rounded to four decimals.
struct Rounded(f64);

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.abs() >= 1e9 {
            return serializer.serialize_f64(self.0);
        }
        let rounded = (self.0 * 1e4).round() / 1e4;
        // Whole numbers are written without ".0".
        if rounded.fract() == 0.0 {
            serializer.serialize_i64(rounded as i64)
        } else {
            serializer.serialize_f64(rounded)
        }
    }
}

/// Numbers distinct values in the order of first use.
struct Table<T>(Vec<T>);

impl<T: PartialEq> Table<T> {
    /// Consecutive values are often equal, so the last values are compared first.
    fn number(&mut self, value: T) -> usize {
        match self.0.iter().rposition(|known| *known == value) {
            Some(at) => at,
            None => {
                self.0.push(value);
                self.0.len() - 1
            }
        }
    }
}

/// The pictures on the page, and the pictures that are only counted.
pub(super) struct Selection<'a> {
    /// The highest scores first, then failed pictures.
    pub shown: Vec<&'a ShownPicture>,
    /// Scored pictures that are not shown.
    pub rest: Vec<&'a ShownPicture>,
}

impl<'a> Selection<'a> {
    /// At most `most` pictures: the highest scores, with at most a quarter of the places for failed pictures.
    pub(super) fn new(pictures: &'a [ShownPicture], most: usize) -> Self {
        let (mut scored, mut failed): (Vec<_>, Vec<_>) = pictures.iter().partition(|p| p.score().is_some());
        scored.sort_by(|a, b| {
            let score = |p: &ShownPicture| p.score().unwrap_or_default();
            score(b).total_cmp(&score(a)).then_with(|| a.key().cmp(b.key()))
        });
        failed.sort_by(|a, b| a.key().cmp(b.key()));
        failed.truncate(most.saturating_sub(scored.len()).max(most / 4));
        let rest = scored.split_off(scored.len().min(most - failed.len()));
        scored.extend(failed);
        Self { shown: scored, rest }
    }
}

/// The common threshold of all scored pictures.
pub(super) fn common_threshold(run: &DetectRun) -> Option<f32> {
    let mut thresholds = run.pictures.iter().filter(|p| p.score().is_some()).map(|p| p.record.threshold);
    let first = thresholds.next()?;
    thresholds.all(|t| t == first).then_some(first)?
}

impl<'a> PageData<'a> {
    /// The data of the pictures in `selection`; `made` are their thumbnails in the same order.
    pub(super) fn new(
        run: &'a DetectRun,
        selection: &Selection<'a>,
        made: &'a [Thumbs],
        thumbs: &'a str,
        mut links: Links,
    ) -> Self {
        let mut judged = Table(Vec::new());
        let mut components = Table(Vec::new());
        let mut places = Places::default();
        let mut row = |p: &'a ShownPicture, thumbs: &'a Thumbs| {
            let mut saved = |kind| {
                let link = saved_file(p, kind, &run.folder).filter(|f| f.is_file());
                links.to(&link?)
            };
            let [overlay, heatmap, map] = ["overlay", "heatmap", "map"].map(&mut saved);
            let picture = thumbs.has_file.then(|| links.to(&p.file)).flatten();
            let name = p.name();
            let mut place = |text: String| places.place(text, &name);
            let Record {
                input, model, method, class, threshold, region_threshold, map_range, outcome, ..
            } = &p.record;
            let addresses = [Some(input.path.clone()), picture, overlay, heatmap, map];
            let addresses = addresses.map(|text| text.map(&mut place));
            let (scored, failure) = match outcome {
                Outcome::Scored(scored) => (Some(scored), None),
                Outcome::Failed(failure) => (None, Some(failure)),
            };
            let parts = scored.map_or_else(Vec::new, |s| named(&s.components));
            Row(
                name,
                p.score(),
                p.anomalous().map(u8::from),
                judged.number((
                    model.as_str(),
                    method.as_str(),
                    class.as_str(),
                    *threshold,
                    map_range.good(),
                    map_range.damaged(),
                    *region_threshold,
                )),
                scored.map_or(0, |s| s.size.width),
                scored.map_or(0, |s| s.size.height),
                thumbs.picture.as_deref(),
                thumbs.heat.as_deref(),
                addresses,
                p.region_count,
                scored.map_or_else(Vec::new, |s| s.regions.iter().map(Flat::from).collect()),
                components.number(parts.iter().map(|(name, _)| *name).collect()),
                parts.into_iter().map(|(_, value)| Rounded(value.into())).collect(),
                scored
                    .and_then(|s| s.map_probability)
                    .map(|ends| [ends.min, ends.max].map(|value| Rounded(value.into()))),
                failure.map(|f| (f.kind.as_str(), f.message.as_str())),
                scored.and_then(|s| s.decoding.as_ref()).map(Decoded::text),
            )
        };
        let pictures = selection.shown.iter().zip(made).map(|(p, t)| row(p, t)).collect();
        Self {
            folder: run.folder.to_string_lossy(),
            thumbs,
            threshold: common_threshold(run),
            judged: judged.0,
            components: components.0,
            places: places.into_table(),
            rest: bins(&selection.rest),
            pictures,
        }
    }

    /// The JSON text, without characters that have a meaning in HTML or end a line in a script.
    ///
    /// # Errors
    /// A part cannot be written as JSON, which does not occur in practice.
    pub(super) fn to_script(&self) -> serde_json::Result<String> {
        let json = serde_json::to_string(self)?;
        let mut safe = String::with_capacity(json.len() + json.len() / 64);
        // JSON has these characters only inside strings.
        for c in json.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    safe.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => safe.push(c),
            }
        }
        Ok(safe)
    }
}

/// A method's components, with their names in records.
fn named(components: &Components) -> Vec<(&'static str, f32)> {
    let Components { image, map_min, map_max, map_mean } = *components;
    let all = [
        ("image", image),
        ("map_min", Some(map_min)),
        ("map_max", Some(map_max)),
        ("map_mean", Some(map_mean)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn bins(rest: &[&ShownPicture]) -> Vec<(usize, usize, usize)> {
    let mut bins: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for picture in rest {
        let Some(score) = picture.score() else { continue };
        // Through the decimals that the page's script reads, so that a score equal to the threshold is
        // counted correctly.
        let decimal = score.to_string().parse().unwrap_or(0.0f64);
        let bin = ((decimal.clamp(0.0, 1.0) * BINS as f64) as usize).min(BINS - 1);
        let count = bins.entry(bin).or_default();
        count.0 += 1;
        count.1 += usize::from(picture.anomalous() == Some(true));
    }
    bins.into_iter().map(|(bin, (all, anomalous))| (bin, all, anomalous)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_short_and_near(value in prop_oneof![-1e7f64..1e7, any::<f64>().prop_filter("finite", |v| v.is_finite())]) {
            let written = serde_json::to_string(&Rounded(value)).unwrap();
            let read: f64 = serde_json::from_str(&written).unwrap();
            prop_assert!((read - value).abs() <= 5e-5 + value.abs() * 1e-12, "{value} is {written}");
        }
    }
}
