//! The charts of one class.

use maud::{Markup, html};

use super::{
    PageClass, PageCurves,
    chart::{self, CurveKind},
    histogram::Histogram,
    text::{Text, score},
};

/// The anchor of the contents entry for the class at `at`. It is inside the folded part, because browsers
/// unfold the target of a link.
pub(super) fn id(at: usize) -> String {
    format!("class-{at}")
}

/// The section of a class, open for the first class.
pub(super) fn class(at: usize, class: &PageClass) -> Markup {
    html! {
        details open=[(at == 0).then_some("open")] {
            summary {
                h3 { bdi { (Text(&class.name)) } }
                (summary("Image", class.image.as_ref()))
                (summary("Pixel", class.pixel.as_ref()))
            }
            div class="body" id=(id(at)) {
                @let has_scores = !class.good_scores.is_empty() || !class.anomalous_scores.is_empty();
                @if class.image.is_some() || has_scores {
                    h4 { "Image level" }
                    div class="charts" {
                        @if let Some(curves) = &class.image { (curves_of("image", class, curves)) }
                        (scores(class))
                    }
                }
                @if let Some(curves) = &class.pixel {
                    h4 { "Pixel level" }
                    div class="charts" { (curves_of("pixel", class, curves)) }
                }
                @if class.image.is_none() && class.pixel.is_none() && !has_scores {
                    p class="muted" { "Nothing to draw." }
                }
            }
        }
    }
}

fn summary(level: &str, curves: Option<&PageCurves>) -> Markup {
    html! {
        @if let Some(curves) = curves.filter(|curves| !curves.summary.is_empty()) {
            span { (level) ": " (Text(&curves.summary)) }
        }
    }
}

fn curves_of(level: &str, class: &PageClass, curves: &PageCurves) -> Markup {
    let drawn = [
        (CurveKind::Roc, Some(&curves.roc)),
        (CurveKind::PrecisionRecall, Some(&curves.pr)),
        (CurveKind::RegionOverlap, curves.pro.as_ref()),
    ];
    html! {
        @for (kind, points) in drawn {
            @if let Some(points) = points {
                figure {
                    figcaption { (kind.name()) }
                    (chart::curve(kind, points, &format!(
                        "{} of {} at {level} level: {}", kind.name(), class.name, curves.summary
                    )))
                }
            }
        }
    }
}

fn scores(class: &PageClass) -> Markup {
    let good = Histogram::of(&class.good_scores);
    let anomalous = Histogram::of(&class.anomalous_scores);
    let drawable = class.threshold.filter(|threshold| (0.0..=1.0).contains(threshold)).map(f64::from);
    let described = format!(
        "Scores of {}: {} good and {} anomalous pictures",
        class.name,
        good.total(),
        anomalous.total()
    );
    let outside = good.outside + anomalous.outside;
    let not_numbers = good.not_numbers + anomalous.not_numbers;
    html! {
        figure {
            figcaption { "Scores of the pictures" }
            (chart::histogram(&good, &anomalous, drawable, &described))
            div class="legend" {
                    span { (chart::key("good")) "good (" (good.total()) ")" }
                    span { (chart::key("anomalous")) "anomalous (" (anomalous.total()) ")" }
                    @if let Some(threshold) = class.threshold {
                        span {
                            @if drawable.is_some() { (chart::key("threshold")) }
                            "threshold " (score(threshold))
                        }
                    }
                    @if outside > 0 { span { (outside) " outside 0 to 1, in the outer bins" } }
                    @if not_numbers > 0 { span { (not_numbers) " not a number, left out" } }
            }
        }
    }
}
