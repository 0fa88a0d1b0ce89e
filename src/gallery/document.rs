//! The HTML document of the gallery. Facts that need no script are in the document.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};

use super::GallerySummary;
use super::data::common_threshold;
use super::results::DetectRun;
use crate::output::Record;
use crate::page::{Shell, Text};

/// Largest number of listed values of a fact.
const NAMED: usize = 4;

const STYLE: &str =
    concat!(include_str!("gallery.css"), include_str!("viewer.css"), include_str!("../page/map.css"));

const SCRIPT: &str = concat!(
    include_str!("../page/base.js"),
    include_str!("../page/map.js"),
    include_str!("script/data.js"),
    include_str!("script/selection.js"),
    include_str!("script/histogram.js"),
    include_str!("script/tile.js"),
    include_str!("script/grid.js"),
    include_str!("script/viewer.js"),
    include_str!("script/keep.js"),
    include_str!("script/main.js")
);

/// The whole document; `data` is JSON escaped for a script element.
pub(super) fn document(title: &str, run: &DetectRun, summary: &GallerySummary, data: &str) -> String {
    let body = html! {
        (header(title, run, summary))
        main {
            (figures(summary))
            (PreEscaped(include_str!("tools.html")))
        }
        (PreEscaped(include_str!("dialogs.html").replace("<!-- scale -->", include_str!("../page/map.html"))))
        script id="data" type="application/json" { (PreEscaped(data)) }
    };
    // `file:` for a page on disk, which has no origin; 'self' for a page from a server.
    Shell::new(STYLE, SCRIPT, "img-src 'self' file: data:").page(title, &body).into_string()
}

fn header(title: &str, run: &DetectRun, summary: &GallerySummary) -> Markup {
    let distinct = |of: fn(&Record) -> &str| -> BTreeSet<&str> {
        run.pictures.iter().map(|p| of(&p.record)).filter(|text| !text.is_empty()).collect()
    };
    let facts = [
        ("Model", distinct(|r| &r.model)),
        ("Method", distinct(|r| &r.method)),
        ("Class", distinct(|r| &r.class)),
    ];
    let threshold = match common_threshold(run) {
        Some(threshold) => threshold.to_string(),
        None if run.pictures.iter().any(|p| p.record.threshold.is_some()) => "several".to_owned(),
        None => "none".to_owned(),
    };
    let all = summary.scored + summary.failed;
    html! {
        header {
            div {
                h1 { bdi { (Text(title)) } }
                dl {
                    @for (name, values) in facts.iter().filter(|(_, values)| !values.is_empty()) {
                        div { dt { (name) } dd { bdi { (Text(&few(values))) } } }
                    }
                    div { dt { "Threshold" } dd { (threshold) } }
                }
                @if summary.shown < all {
                    p class="note" {
                        "This page shows " (grouped(summary.shown)) " of " (grouped(all))
                        " pictures, those with the highest scores; its figures and the histogram count all."
                    }
                }
                @if run.removed > 0 {
                    p class="note" {
                        (grouped(run.removed)) " " (if run.removed == 1 { "picture was" } else { "pictures were" })
                        " removed from the folder since the run, and left out here."
                    }
                }
            }
            button type="button" id="ask" class="quiet" aria-haspopup="dialog" { "Help " kbd { "?" } }
        }
    }
}

fn few(values: &BTreeSet<&str>) -> String {
    let named: Vec<&str> = values.iter().copied().take(NAMED).collect();
    match values.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The verdicts, which also act as filters, and the histogram.
fn figures(summary: &GallerySummary) -> Markup {
    let normal = summary.scored - summary.anomalous.min(summary.scored);
    let choices = [
        ("all", "All", summary.scored + summary.failed),
        ("anomalous", "Anomalous", summary.anomalous),
        ("normal", "Normal", normal),
        ("failed", "Failed", summary.failed),
    ];
    html! {
        section id="figures" aria-label="Scores" {
            div id="show" role="group" aria-label="Show" {
                @for (key, label, count) in choices {
                    button type="button" data-show=(key) aria-pressed=(key == "all") {
                        span class="label" { (label) }
                        span class="share" {}
                        span class="figure" { (grouped(count)) }
                    }
                }
            }
            figure id="histogram" {
                svg role="group" aria-label="Histogram of scores" {}
                figcaption {
                    label { "Threshold " input id="threshold" type="number" step="0.005" min="0" max="1"; }
                    span id="what-if" role="status" {}
                    button type="button" id="reset" class="quiet" hidden { "Reset" }
                    button type="button" id="keep-it" class="quiet" aria-haspopup="dialog" hidden {
                        "Keep this threshold"
                    }
                    span class="push" {}
                    span class="ends" {
                        label { "Scores from " input id="from" type="number" step="0.01"; }
                        label { "to " input id="to" type="number" step="0.01"; }
                    }
                    button type="button" id="any" class="quiet" hidden { "Any score" }
                }
            }
        }
    }
}

/// Digits in groups of three.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::MapRange;
    use crate::output::{ColourScale, first_colour, heatmap};

    #[test]
    fn the_script_has_the_colours_of_painted_maps() {
        let script = include_str!("../page/map.js");
        let list = &script[script.find("const colours").unwrap()..script.find(".split").unwrap()];
        let colours = regex::Regex::new("[0-9a-f]{6}").unwrap();
        let colours: Vec<&str> = colours.find_iter(list).map(|m| m.as_str()).collect();
        let last = colours.len() - 1;
        let values =
            ndarray::Array2::from_shape_fn((1, colours.len()), |(_, x)| first_colour(x as f32 / last as f32));
        let range = MapRange::new(0.0, 1.0).unwrap();
        let painted = heatmap(values.view(), ColourScale::Range(range));
        for (pixel, colour) in painted.pixels().zip(colours) {
            let near = |at: usize| {
                u8::from_str_radix(&colour[2 * at..2 * at + 2], 16).unwrap().abs_diff(pixel.0[at]) <= 4
            };
            assert!((0..3).all(near), "{colour} {pixel:?}");
        }
    }

    #[test]
    fn digits_come_in_groups() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(count), text);
        }
    }
}
