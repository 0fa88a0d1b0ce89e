//! The parts of an evaluation's page: contents, facts, tables and footer.

use std::sync::LazyLock;

use maud::{Markup, html};

use super::{EvaluationPage, Mistake, class, histogram::Histogram, shell::Shell, table, text::Text, worst};

static SHELL: LazyLock<Shell> = LazyLock::new(|| {
    Shell::new(include_str!("evaluation.css"), include_str!("evaluation.js"), "img-src data:")
});

/// A page of charts and tables.
pub(super) fn page(title: &str, header: &Markup, main: &Markup, footer: &Markup) -> String {
    let body = html! {
        header {
            h1 { (Text(title)) }
            (header)
        }
        main { (main) }
        footer { p { "Written by aaclip " (env!("CARGO_PKG_VERSION")) ". " (footer) } }
    };
    SHELL.page(title, &body).into_string()
}

pub(super) fn document(page: &EvaluationPage) -> String {
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
        "Points of a curve that are too close to distinguish are drawn as one; the figures in the tables are computed \
         from all points. Histograms have " (Histogram::BINS) " bins."
    };
    self::page(page.title, &header, &main, &footer)
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
