//! The report for people.

use aaclip::weights::builtin;

use super::Report;
use super::machine::{Device, Folder, Model};

/// The report as aligned text: a name, and its lines below each other.
pub fn write(report: &Report) -> String {
    let Report { machine, storage, trial, .. } = report;
    let yes = |on| if on { "yes" } else { "no" };
    let processor = format!(
        "kernels {} (the best of {}); in hardware: bf16 {}, int8 {}",
        machine.kernels,
        machine.available.join(", "),
        yes(machine.bf16),
        yes(machine.int8)
    );
    let memory = machine.memory_mb.zip(machine.memory_free_mb);
    let memory = memory.map(|(all, free)| format!("{all} MB, {free} MB of it free"));
    let device = |d: &Device| format!("{:8} {}", d.name, d.problem.as_deref().unwrap_or("usable"));
    let width = storage.models.iter().map(|model| model.name.len()).max().unwrap_or(0);
    let models = storage.models.iter().map(|Model { name, folder }| match folder {
        Some(folder) => format!("{name:width$}  {}", folder.display()),
        None if name == builtin::NAME => format!("{name:width$}  part of the program"),
        None => format!("{name:width$}  not here: `aaclip models pull {name}`"),
    });
    let offline = if storage.offline { " (offline: HF_HUB_OFFLINE)" } else { "" };
    let caches = [
        format!("anchors  {}", folder(storage.anchors.as_ref())),
        format!("hub      {}{offline}", folder(storage.hub.as_ref())),
    ];
    let detect = report.detect.iter().map(|choice| {
        let value = if choice.value.is_empty() { "-" } else { &choice.value };
        format!("{:9} {value} ({})", choice.name, choice.why)
    });
    let trial = trial.as_ref().map(|t| {
        let verdict = if t.ok { "ok" } else { "WRONG" };
        format!(
            "{verdict}: score {:.4} (expected {:.4}); model and prompts {:.0} ms, picture {:.0} ms",
            t.score, t.expected, t.open_ms, t.picture_ms
        )
    });
    let problems = if report.problems.is_empty() { vec!["none".to_owned()] } else { report.problems.clone() };
    let sections: [(&str, Vec<String>); 12] = [
        ("aaclip", vec![report.program.clone()]),
        ("processor", vec![processor]),
        ("threads", vec![format!("{}: {}", machine.threads, machine.threads_why)]),
        ("memory", memory.into_iter().collect()),
        ("devices", machine.devices.iter().map(device).collect()),
        ("detect", detect.collect()),
        ("models", models.collect()),
        ("caches", caches.to_vec()),
        ("settings", report.settings.clone()),
        ("trial", trial.into_iter().collect()),
        ("notes", report.notes.clone()),
        ("problems", problems),
    ];
    let mut out = String::new();
    for (name, lines) in sections {
        for (at, line) in lines.iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            out += format!("{name:12} {line}").trim_end();
            out.push('\n');
        }
    }
    out
}

fn folder(folder: Option<&Folder>) -> String {
    let Some(folder) = folder else { return "no folder".to_owned() };
    let state = match (folder.bytes, folder.writable) {
        (Some(bytes), true) => format!("{:.1} MB", bytes as f64 / 1e6),
        (Some(bytes), false) => format!("{:.1} MB, cannot be written to", bytes as f64 / 1e6),
        (None, true) => "does not exist yet".to_owned(),
        (None, false) => "does not exist and cannot be made".to_owned(),
    };
    format!("{}: {state}", folder.path.display())
}
