//! The answer of a run over many pictures, for a person at a terminal.

use std::fmt;
use std::path::Path;

use aaclip::output::{Record, printable};

use crate::cli::commands::detect::highest::Highest;

/// Pictures named in a run without a threshold.
const NAMED: usize = 10;

/// What a run found.
pub struct Summary<'a> {
    threshold: Option<f32>,
    /// The class, unless it is the default.
    class: Option<&'a str>,
    /// The folder with the results.
    out: Option<&'a Path>,
    scored: usize,
    anomalous: usize,
    failed: usize,
    highest: Highest<String>,
}

impl<'a> Summary<'a> {
    pub fn new(threshold: Option<f32>, class: Option<&'a str>, out: Option<&'a Path>) -> Self {
        Self { threshold, class, out, scored: 0, anomalous: 0, failed: 0, highest: Highest::new(NAMED) }
    }

    pub fn take(&mut self, record: &Record) {
        let Some(scored) = record.scored() else {
            self.failed += 1;
            return;
        };
        self.scored += 1;
        self.anomalous += usize::from(scored.anomalous == Some(true));
        if self.threshold.is_none() {
            let name = String::from_utf8_lossy(&record.input.name);
            self.highest.push(scored.score, printable(&name).to_string());
        }
    }

    /// The lines for the terminal; none if no picture was scored.
    pub fn text(self) -> String {
        self.lines().unwrap_or_default()
    }

    fn lines(self) -> Result<String, fmt::Error> {
        use std::fmt::Write;
        let mut text = String::new();
        if self.scored == 0 {
            return Ok(text);
        }
        let pictures = if self.scored == 1 { "picture" } else { "pictures" };
        let (scored, failed) = (self.scored, self.failed);
        let failed = if failed > 0 { format!("; {failed} could not be scored") } else { String::new() };
        match self.threshold {
            Some(threshold) => {
                let anomalous = self.anomalous;
                writeln!(
                    text,
                    "{anomalous} of {scored} {pictures} at or above the threshold {threshold}{failed}"
                )?;
            }
            None => {
                writeln!(text, "{scored} {pictures} scored{failed}; the highest scores:")?;
                for (score, name) in self.highest.into_sorted() {
                    writeln!(text, "  {score:.4}  {name}")?;
                }
                let class = self.class.map_or(String::new(), |class| format!(" --class {}", quoted(class)));
                writeln!(
                    text,
                    "no threshold yet; to find one from pictures of good parts: aaclip calibrate GOOD -o threshold.json{class}"
                )?;
            }
        }
        if let Some(out) = self.out {
            let out = out.to_string_lossy();
            let folder = if out.ends_with('/') { out.clone() } else { format!("{out}/").into() };
            write!(text, "results: {}", printable(&folder))?;
            if cfg!(feature = "report") {
                write!(text, "; to see them: aaclip report {}", quoted(&out))?;
            }
            writeln!(text)?;
        }
        Ok(text)
    }
}

/// A word of a command line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,".contains(c);
    let word = printable(word).to_string();
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines about pictures with these scores; a negative one is a failure.
    fn text(threshold: Option<f32>, class: Option<&str>, out: Option<&str>, scores: &[f32]) -> String {
        let mut summary = Summary::new(threshold, class, out.map(Path::new));
        for (i, &score) in scores.iter().enumerate() {
            summary.take(&record(&format!("sub/{i:02}.png"), score, threshold));
        }
        summary.text()
    }

    fn record(name: &str, score: f32, threshold: Option<f32>) -> Record {
        let failed = score < 0.0;
        let error = if failed { serde_json::json!({"kind": "empty", "message": "empty"}) } else { ().into() };
        let times = ["decode", "preprocess", "model", "map", "write", "total"];
        let times: serde_json::Map<_, _> =
            times.map(|stage| (stage.to_owned(), 1.0.into())).into_iter().collect();
        let json = serde_json::json!({
            "schema": aaclip::output::SCHEMA_VERSION, "path": name, "name": name, "bytes": 1, "modified": 1,
            "sha256": null, "model": "m", "method": "sdp", "class": "object", "score": score,
            "anomalous": threshold.map(|t| score >= t), "threshold": threshold,
            "components": {"image": 0.1, "map_min": 0.0, "map_max": 0.2, "map_mean": 0.1},
            "region_threshold": 0.5, "regions": [], "size": {"width": 1, "height": 1}, "image_size": 32,
            "tiles": 1, "files": {}, "timing_ms": times, "error": error,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn with_a_threshold_a_count() {
        let text = text(Some(0.5), None, Some("out"), &[0.5, 0.1, 0.75, -1.0]);
        assert_eq!(
            text.lines().next(),
            Some("2 of 3 pictures at or above the threshold 0.5; 1 could not be scored")
        );
        assert!(!text.contains("calibrate") && text.contains("results: out/"), "{text}");
        #[cfg(feature = "report")]
        assert!(text.ends_with("; to see them: aaclip report out\n"), "{text}");
    }

    #[test]
    fn without_one_the_highest_and_what_to_do() {
        let scores: Vec<f32> = (0..15).map(|i| i as f32 / 20.0).collect();
        let text = text(None, Some("ball screw"), None, &scores);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12, "{text}");
        assert_eq!((lines[1], lines[10]), ("  0.7000  sub/14.png", "  0.2500  sub/05.png"));
        assert!(
            lines[11].ends_with("aaclip calibrate GOOD -o threshold.json --class 'ball screw'"),
            "{text}"
        );
    }

    #[test]
    fn nothing_of_nothing_and_words_are_quoted() {
        assert_eq!(text(None, None, Some("out"), &[-1.0]), "");
        assert_eq!(["a/b-1", "my out", "it's"].map(quoted), ["a/b-1", "'my out'", r"'it'\''s'"]);
    }
}
