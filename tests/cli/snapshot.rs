//! What the program writes for people, as snapshots beside this file. `INSTA_UPDATE=always cargo test` writes them
//! again after a change; read the difference before you commit it.

use crate::{Ran, Workplace};

impl Workplace {
    /// Replaces the parts that differ between machines and versions, during the lifetime of the guard.
    pub fn filters(&self) -> insta::internals::SettingsBindDropGuard {
        let mut settings = insta::Settings::clone_current();
        let literal = |text: &str| text.replace('.', r"\.");
        settings.add_filter(&literal(self.path("").to_str().unwrap().trim_end_matches('/')), "HERE");
        settings
            .add_filter(&format!("{}/([a-z-]+)-[0-9a-f]{{16}}", literal(env!("CARGO_TARGET_TMPDIR"))), "$1");
        settings.add_filter(&format!("aaclip {}", literal(env!("CARGO_PKG_VERSION"))), "aaclip VERSION");
        settings.add_filter("sha256-[A-Za-z0-9+/]{43}=", "sha256-HASH");
        settings.add_filter(r"\b[0-9a-f]{16,64}\b", "HASH");
        settings.bind_to_scope()
    }
}

/// Refused runs, with their messages.
#[derive(Default)]
pub struct Refusals(pub String);

impl Refusals {
    /// A run that is refused with a message of one line.
    #[track_caller]
    pub fn line(&mut self, arguments: &[&str], ran: &Ran) {
        assert_eq!(ran.stderr.lines().count(), 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("aaclip: "), "{arguments:?}: {}", ran.stderr);
        self.lines(arguments, ran);
    }

    /// A run that may take more lines.
    #[track_caller]
    pub fn lines(&mut self, arguments: &[&str], ran: &Ran) {
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
        self.0 += &format!("$ {}\n{}\n", arguments.join(" "), ran.stderr);
    }
}

/// `text` with `#` for the digits of decimal numbers, two after the point at most: they may differ between processors.
pub fn without_figures(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = &rest[start..];
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let number = &number[..end];
        shown += &rest[..start];
        match number.split_once('.') {
            Some((whole, part)) if !part.is_empty() => {
                shown += &format!("{}.{}", "#".repeat(whole.len()), "#".repeat(part.len().min(2)));
            }
            _ => shown += number,
        }
        rest = &rest[start + end..];
    }
    shown + rest
}

/// The elements of a page, one a line, without the contents of styles, scripts and drawings.
pub fn outline(page: &str) -> String {
    let mut outline = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        outline += &rest[..start];
        rest = &rest[start..];
        if !rest.starts_with("</") {
            outline += "\n";
        }
        let element = ["style", "script", "svg"].into_iter().find(|name| rest[1..].starts_with(name));
        let end = match element {
            Some(name) => {
                outline += &rest[..=rest.find('>').unwrap()];
                rest.find(&format!("</{name}>")).unwrap()
            }
            None => {
                outline += &rest[..1];
                1
            }
        };
        rest = &rest[end..];
    }
    outline + rest
}
