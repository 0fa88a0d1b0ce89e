//! The losses of a training run as a page.

use maud::{Markup, html};

use super::{chart, document, text::Text};

/// Largest number of points of a curve: a longer curve is drawn as the means of this many parts.
const MOST_POINTS: usize = 300;

/// A value recorded step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSeries {
    /// Its name: "image: total loss".
    pub name: String,
    /// Step and value.
    pub points: Vec<(f64, f64)>,
}

/// The losses of a run.
#[derive(Debug, Clone, Copy)]
pub struct TrainingPage<'a> {
    /// The title.
    pub title: &'a str,
    /// One chart each.
    pub series: &'a [TrainingSeries],
}

impl TrainingPage<'_> {
    /// The whole page as an HTML document.
    pub fn render(&self) -> String {
        let main = html! {
            section id="losses" {
                h2 { "Losses" }
                div class="charts" { @for each in self.series { (figure(each)) } }
            }
        };
        let footer = html! { "A curve of more than " (MOST_POINTS) " steps is drawn as the means of that number of parts." };
        document::page(self.title, &html! {}, &main, &footer)
    }
}

fn figure(series: &TrainingSeries) -> Markup {
    html! {
        figure {
            figcaption { (Text(&series.name)) }
            (chart::series(&means(&series.points), &series.name))
        }
    }
}

fn means(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let part = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / count, part.iter().map(|p| p.1).sum::<f64>() / count)
    };
    points.chunks(part).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_two_series() {
        let series = [
            TrainingSeries {
                name: "text: <total>".into(),
                points: (0..5000).map(|i| (f64::from(i), 7.0 / f64::from(i + 1))).collect(),
            },
            TrainingSeries { name: "image: nothing".into(), points: vec![(1.0, f64::NAN)] },
        ];
        let page = TrainingPage { title: "train.jsonl", series: &series }.render();
        for wanted in ["text: &lt;total&gt;", "no data"] {
            assert!(page.contains(wanted), "{wanted}");
        }
        let charts = &page[page.find("<main").unwrap()..page.find("<footer").unwrap()];
        assert!(!charts.contains("NaN") && !charts.contains("inf"));
        assert_eq!(page.matches("class=\"chart\"").count(), 2);
        assert!(means(&series[0].points).len() <= MOST_POINTS);
    }
}
