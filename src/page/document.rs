//! The page around its parts: head, contents, facts and footer.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    EvaluationPage, Mistake, class,
    histogram::Histogram,
    inline::Inline,
    table,
    text::Text,
    thin::{MOST_POINTS, TOLERANCE},
    worst,
};

/// A whole page: its head with the policy, and what it shows.
pub(super) fn shell(title: &str, header: &Markup, main: &Markup, footer: &Markup) -> Markup {
    let inline =
        Inline::new(concat!(include_str!("palette.css"), include_str!("page.css")), include_str!("page.js"));
    html! {
        (DOCTYPE)
        html lang="en" {
            (inline.head(title, "img-src data:"))
            body {
                header {
                    h1 { (Text(title)) }
                    (header)
                }
                main { (main) }
                footer { p { "Written by aaclip " (env!("CARGO_PKG_VERSION")) ". " (footer) } }
                script { (PreEscaped(inline.script())) }
            }
        }
    }
}

pub(super) fn document(page: &EvaluationPage) -> Markup {
    let header = html! {
        (notes(page.notes))
        (contents(page))
    };
    let main = html! {
        @if !page.facts.is_empty() { (facts(page.facts)) }
        section id="metrics" {
            h2 { "Metrics" }
            (table::table(page.table))
        }
        @if let Some(comparison) = page.comparison {
            section id="published" {
                h2 { "Beside published figures" }
                (table::table(comparison))
            }
        }
        section id="classes" {
            h2 { "Curves and scores" }
            @for (at, each) in page.classes.iter().enumerate() { (class::class(at, each)) }
            @if page.classes.is_empty() { p class="muted" { "No class was evaluated." } }
        }
        (worst::section(Mistake::FalsePositive, page.worst))
        (worst::section(Mistake::FalseNegative, page.worst))
    };
    let footer = html! {
        "Curves are drawn with at most " (MOST_POINTS) " points, within " (TOLERANCE)
        " of the axis where that suffices; the figures in the tables are computed from all points. "
        "Histograms have " (Histogram::BINS) " bins."
    };
    shell(page.title, &header, &main, &footer)
}

fn notes(notes: &[String]) -> Markup {
    html! {
        @if !notes.is_empty() {
            aside role="note" aria-label="Warnings" {
                ul { @for note in notes { li { (Text(note)) } } }
            }
        }
    }
}

fn contents(page: &EvaluationPage) -> Markup {
    html! {
        nav aria-label="Contents" {
            ul {
                @if !page.facts.is_empty() { li { a href="#facts" { "Setup" } } }
                li { a href="#metrics" { "Metrics" } }
                @if page.comparison.is_some() { li { a href="#published" { "Published figures" } } }
                li { a href="#classes" { "Curves and scores" } }
                li { a href={ "#" (worst::id(Mistake::FalsePositive)) } { "False positives" } }
                li { a href={ "#" (worst::id(Mistake::FalseNegative)) } { "False negatives" } }
            }
            @if page.classes.len() > 1 {
                ul aria-label="Classes" {
                    @for (at, each) in page.classes.iter().enumerate() {
                        li { a href={ "#" (class::id(at)) } { bdi { (Text(&each.name)) } } }
                    }
                }
            }
        }
    }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        section id="facts" {
            h2 { "Setup" }
            dl {
                @for (name, value) in facts {
                    dt { (Text(name)) }
                    dd { (Text(value)) }
                }
            }
        }
    }
}
