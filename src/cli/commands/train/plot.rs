//! `aaclip train plot`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::messages;
use aaclip::page::{TrainingPage, TrainingSeries};
use aaclip::train::LogLine;
use aaclip::{Error, Result, files};

const TOTAL: &str = "total loss";

/// Step and value, by the name of the recorded value.
type Curves = BTreeMap<String, Vec<(f64, f64)>>;

pub fn run(log: &Path, out: &Path) -> Result<ExitCode> {
    let text = std::fs::read_to_string(log).map_err(|e| Error::io("read", log, e))?;
    let mut stages: Vec<(String, Curves)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line: LogLine = match serde_json::from_str(line) {
            Ok(line) => line,
            // The last line may be incomplete if a run was killed.
            Err(_) if number + 1 == text.lines().count() => break,
            Err(e) => {
                return Err(Error::Setting(format!("{}: line {}: {e}", log.display(), number + 1)));
            }
        };
        if stages.last().is_none_or(|(name, _)| *name != line.stage) {
            stages.push((line.stage.clone(), BTreeMap::new()));
        }
        let Some((_, series)) = stages.last_mut() else { continue };
        let step = line.step as f64;
        let mut add = |name: String, value: f32| {
            series.entry(name).or_default().push((step, f64::from(value)));
        };
        add(TOTAL.to_owned(), line.losses.total);
        line.losses.terms.iter().for_each(|(name, value)| add(name.clone(), *value));
    }
    // The total first, then its terms by name.
    let series: Vec<TrainingSeries> = stages
        .into_iter()
        .flat_map(|(stage, series)| {
            let (total, terms): (Vec<_>, Vec<_>) = series.into_iter().partition(|(name, _)| name == TOTAL);
            let named = move |(name, points)| TrainingSeries { name: format!("{stage}: {name}"), points };
            total.into_iter().chain(terms).map(named)
        })
        .collect();
    if series.is_empty() {
        return Err(Error::Setting(format!("{}: no step in this log", log.display())));
    }
    let page = TrainingPage { title: &log.display().to_string(), series: &series };
    files::write_atomic(out, page.render().as_bytes()).map_err(|e| Error::io("write", out, e))?;
    messages::print(format!("{}\n", out.display()))?;
    Ok(ExitCode::SUCCESS)
}
