//! The report for people.

use super::storage::{Folder, Storage};
use super::{Choice, Report};

/// Lines of a name and what is said about it; further lines stand below the first.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, lines: impl IntoIterator<Item = String>) {
        let mut name = name;
        for line in lines {
            self.0 += format!("{name:12} {line}").trim_end();
            self.0.push('\n');
            name = "";
        }
    }
}

/// The report as aligned text.
pub fn write(report: &Report) -> String {
    let Report { program, processor, threads, storage, detect, .. } = report;
    let mut out = Lines::default();
    let features = if program.features.is_empty() { "none".to_owned() } else { program.features.join(", ") };
    let build = if program.optimised { "release" } else { "debug: slow" };
    out.add(
        "aaclip",
        [format!("{} for {} ({build}; features: {features})", program.version, program.target)],
    );

    let yes = |on| if on { "yes" } else { "no" };
    out.add(
        "processor",
        [format!(
            "kernels {} (the best of {}); in hardware: bf16 {}, int8 {}",
            processor.kernels,
            processor.available.join(", "),
            yes(processor.bf16),
            yes(processor.int8)
        )],
    );
    let number = |n: Option<usize>| n.map_or("unknown".to_owned(), |n| n.to_string());
    out.add(
        "threads",
        [
            format!("{}: {}", threads.used, threads.why),
            format!(
                "allowed {} (online {}, affinity {}, control group {})",
                number(threads.allowed),
                number(threads.online),
                number(threads.affinity),
                threads.quota.map_or("no quota".to_owned(), |q| format!("{q:.2}"))
            ),
        ],
    );
    let device =
        |d: &super::machine::Device| format!("{:8} {}", d.name, d.why.as_deref().unwrap_or("usable"));
    out.add("devices", report.devices.iter().map(device));

    let choice = |name: &str, c: &Choice| {
        let value = if c.value.is_empty() { "-" } else { &c.value };
        format!("{name:9} {value} ({})", c.why)
    };
    out.add(
        "detect",
        [
            choice("model", &detect.model),
            choice("device", &detect.device),
            choice("precision", &detect.precision),
        ],
    );
    write_storage(storage, &mut out);

    let settings = &report.settings;
    let none = if settings.usable { "no file" } else { "cannot be used, see problems" };
    let none = || vec![none.to_owned()];
    out.add("settings", if settings.read.is_empty() { none() } else { settings.read.clone() });
    out.add("", settings.for_detect.iter().chain(&settings.ignored).cloned());
    let variables = report.environment.iter().map(|v| format!("{}={}", v.name, v.value));
    out.add("environment", variables);
    if let Some(trial) = &report.trial {
        let verdict = if trial.problem().is_none() { "ok" } else { "WRONG" };
        out.add(
            "trial",
            [format!(
                "{verdict}: score {:.4} (expected {:.4}); model {:.0} ms, prompts {:.0} ms, picture {:.0} ms",
                trial.score, trial.expected, trial.open_ms, trial.prompts_ms, trial.picture_ms
            )],
        );
    }
    out.add("notes", report.notes.iter().cloned());
    let problems = &report.problems;
    out.add("problems", if problems.is_empty() { vec!["none".to_owned()] } else { problems.clone() });
    out.0
}

fn write_storage(storage: &Storage, out: &mut Lines) {
    let width = storage.models.iter().map(|m| m.name.len()).max().unwrap_or(0);
    let model = |m: &super::storage::Model| {
        let about = match (&m.path, m.download) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(bytes)) => format!("not here (about {} MB)", bytes.div_ceil(1_000_000)),
            (None, None) => "part of the program".to_owned(),
        };
        format!("{:width$}  {about}", m.name)
    };
    out.add("models", storage.models.iter().map(model));
    let folder = |name: &str, f: &Option<Folder>| match f {
        None => format!("{name:8} no folder"),
        Some(f) => {
            let state = match (f.exists, f.writable) {
                (true, true) => String::new(),
                (true, false) => ", cannot be written to".to_owned(),
                (false, true) => ", not there yet".to_owned(),
                (false, false) => ", not there, and cannot be made".to_owned(),
            };
            let size = match f.exists {
                true => format!(
                    ": {}{} {}, {:.1} MB",
                    if f.counted { "" } else { "more than " },
                    f.files,
                    if f.files == 1 { "file" } else { "files" },
                    f.bytes as f64 / 1e6
                ),
                false => String::new(),
            };
            format!("{name:8} {}{size}{state}", f.path.display())
        }
    };
    out.add("caches", [folder("anchors", &storage.anchors), folder("hub", &storage.hub)]);
    let endpoint = storage.endpoint.as_deref().unwrap_or("none");
    out.add(
        "hub",
        [format!(
            "{endpoint}, {}, {}; only `aaclip models pull` uses the network",
            if storage.offline { "offline (HF_HUB_OFFLINE)" } else { "not offline" },
            if storage.token { "with a token" } else { "no token" }
        )],
    );
}
