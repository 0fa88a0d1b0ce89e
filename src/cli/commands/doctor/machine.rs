//! The machine, and what is on its disk.

use std::path::Path;

use aaclip::device::DeviceChoice;
use aaclip::files;
use aaclip::kernels::Isa;
use aaclip::models::{Hub, Registry};
use aaclip::weights::builtin;

use super::{Applied, Report};

pub fn processor() -> String {
    let best = Isa::best();
    let yes = |on| if on { "yes" } else { "no" };
    let available: Vec<&str> = Isa::all().into_iter().map(Isa::name).collect();
    format!(
        "kernels {} (the best of {}); in hardware: bf16 {}, int8 {}",
        best.name(),
        available.join(", "),
        yes(best.has_bf16()),
        yes(best.has_int8())
    )
}

/// The number of threads, and its source; `asked`: `--threads` or a settings file gave the number.
pub fn threads(applied: &[Applied], asked: bool) -> String {
    let file = applied.iter().find(|s| s.flag == "threads").map(|s| s.origin.as_str());
    let environment = std::env::var("RAYON_NUM_THREADS").ok().and_then(|v| v.parse::<usize>().ok());
    let why = match (file, asked, environment) {
        (Some(origin), ..) => format!("set by {origin}"),
        (None, true, _) => "set by --threads".to_owned(),
        (None, false, Some(1..)) => "set by RAYON_NUM_THREADS".to_owned(),
        _ => "as many as this process may use".to_owned(),
    };
    format!("{}: {why}", rayon::current_num_threads())
}

/// `None` if the system does not report it.
pub fn memory() -> Option<String> {
    let about = std::fs::read_to_string("/proc/meminfo").ok()?;
    let mb = |name: &str| -> Option<u64> {
        let size = about.lines().find_map(|l| l.strip_prefix(name))?;
        Some(size.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024 / 1_000_000)
    };
    Some(format!("{} MB, {} MB of it free", mb("MemTotal:")?, mb("MemAvailable:")?))
}

/// The devices for `--device`.
pub fn devices() -> Vec<String> {
    let line = |name: &str, choice: DeviceChoice| {
        let problem = choice.open().err().map(|e| e.to_string());
        (format!("{name:8} {}", problem.as_deref().unwrap_or("usable")), problem.is_none())
    };
    let mut lines = vec![line("cpu", DeviceChoice::Cpu).0];
    for n in 0..16 {
        let (gpu, usable) = line(&format!("cuda:{n}"), DeviceChoice::Cuda(n));
        // The first error is reported; the first number after the last GPU fails.
        if usable || n == 0 {
            lines.push(gpu);
        }
        if !usable {
            break;
        }
    }
    lines.push(line("metal", DeviceChoice::Metal).0);
    lines
}

impl Report {
    /// The models, best first, and the caches. Nothing is downloaded.
    pub fn storage(&mut self) {
        // The built-in model needs no cache.
        let hub = Hub::from_env().map_err(|e| self.notes.push(e.to_string())).ok();
        let registry = self.or_problem(Registry::load().map_err(Into::into));
        let entries = registry.as_ref().map_or(&[][..], Registry::entries);
        let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(builtin::NAME.len());
        let mut models = Vec::new();
        let mut any = false;
        for entry in entries {
            let folder = hub.as_ref().and_then(|hub| hub.locate(entry));
            any |= folder.is_some();
            let folder = folder.map_or("not downloaded".to_owned(), |folder| folder.display().to_string());
            models.push(format!("{:width$}  {folder}", entry.name));
        }
        models.push(format!("{:width$}  part of the program", builtin::NAME));
        self.add("models", models);
        if !any {
            self.notes.push(
                "only the built-in model is on this machine: `aaclip models pull ViT-B-16-plus-240` downloads a better one"
                    .to_owned(),
            );
        }
        let anchors = files::cache_dir().map(|dir| dir.join("anchors"));
        let mut caches = Vec::new();
        match &anchors {
            Some(anchors) => caches.push(format!("anchors  {}", folder(anchors))),
            None => caches.push("anchors  no folder: set AACLIP_CACHE".to_owned()),
        }
        if let Some(hub) = &hub {
            let offline = if hub.is_offline() { "; HF_HUB_OFFLINE forbids downloads" } else { "" };
            caches.push(format!("hub      {}{offline}", folder(hub.cache_folder())));
        }
        self.add("caches", caches);
    }
}

/// Largest number of counted files, so that the answer is fast.
const MOST_FILES: usize = 50_000;

/// A folder with the size of its files, and whether it can be written to.
fn folder(path: &Path) -> String {
    // Links are not followed, because the hub's cache has every file once, with links to it.
    let files = walkdir::WalkDir::new(path).into_iter().take(MOST_FILES).flatten();
    let bytes: u64 = files.filter_map(|f| f.metadata().ok().filter(|m| m.is_file()).map(|m| m.len())).sum();
    let size =
        if path.is_dir() { format!("{:.3} MB", bytes as f64 / 1e6) } else { "does not exist yet".to_owned() };
    // A missing folder would be created in the nearest existing folder.
    let nearest = path.ancestors().find(|p| p.symlink_metadata().is_ok());
    let writable = nearest.is_some_and(|p| files::temporary_beside(p).is_ok());
    format!("{}: {size}{}", path.display(), if writable { "" } else { ", cannot be written to" })
}
