//! The pictures with wrong verdicts.

use maud::{Markup, html};

use super::{
    Mistake, WorstPicture,
    text::{JpegAddress, Text, score},
};

impl Mistake {
    fn name(self) -> &'static str {
        match self {
            Self::FalsePositive => "False positive",
            Self::FalseNegative => "False negative",
        }
    }
}

/// The anchor of the contents entry.
pub(super) fn id(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::FalsePositive => "false-positives",
        Mistake::FalseNegative => "false-negatives",
    }
}

/// All pictures of one kind, in the given order.
pub(super) fn section(mistake: Mistake, worst: &[WorstPicture]) -> Markup {
    let (heading, lead) = match mistake {
        Mistake::FalsePositive => {
            ("False positives", "Good pictures with the highest scores, the worst first.")
        }
        Mistake::FalseNegative => {
            ("False negatives", "Anomalous pictures with the lowest scores, the worst first.")
        }
    };
    let mut pictures = worst.iter().filter(|picture| picture.mistake == mistake).peekable();
    html! {
        section id=(id(mistake)) {
            h2 { (heading) }
            @if pictures.peek().is_none() {
                p class="muted" { "None to show." }
            } @else {
                p class="muted" { (lead) " Left: the picture; right: its anomaly map." }
                div class="pictures" { @for each in pictures { (picture(each)) } }
            }
        }
    }
}

fn picture(picture: &WorstPicture) -> Markup {
    let badge = if picture.mistake == Mistake::FalsePositive { "badge positive" } else { "badge negative" };
    html! {
        figure {
            div class="pair" {
                (image(picture, &picture.thumbnail, "picture"))
                (image(picture, &picture.overlay, "anomaly map over the picture"))
            }
            figcaption {
                span class=(badge) { (picture.mistake.name()) }
                strong { bdi { (Text(&picture.class)) } }
                ", score " (score(picture.score))
                bdi class="name" { (Text(&picture.name)) }
            }
        }
    }
}

fn image(picture: &WorstPicture, jpeg: &[u8], shows: &str) -> Markup {
    let known = picture.width > 0 && picture.height > 0;
    html! {
        @if jpeg.is_empty() {
            div class="missing" { "No " (shows) "." }
        } @else {
            img src=(JpegAddress(jpeg)) width=[known.then_some(picture.width)] height=[known.then_some(picture.height)]
                alt={ (Text(&picture.class)) " " (Text(&picture.name)) ": " (shows) };
        }
    }
}
