//! The machine, and what is on its disk.

use std::path::{Path, PathBuf};

use aaclip::device::DeviceChoice;
use aaclip::files;
use aaclip::kernels::Isa;
use aaclip::weights::builtin;
use aaclip::weights::hub::Hub;
use aaclip::weights::registry::Registry;
use serde::Serialize;

use super::Applied;

/// Processor, threads, memory and devices.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The instructions in use: the best of `available`.
    pub kernels: &'static str,
    /// All that this processor has and the program has code for.
    pub available: Vec<&'static str>,
    /// Whether the hardware multiplies bfloat16.
    pub bf16: bool,
    /// Whether the hardware multiplies 8-bit integers.
    pub int8: bool,
    pub threads: usize,
    /// Why so many.
    pub threads_why: String,
    /// Memory in megabytes; `None` where the system does not say.
    pub memory_mb: Option<u64>,
    /// How much of it is free.
    pub memory_free_mb: Option<u64>,
    pub devices: Vec<Device>,
}

/// A device that `--device` can name.
#[derive(Debug, Serialize)]
pub struct Device {
    pub name: String,
    /// Why it cannot be used; `None` if it can.
    pub problem: Option<String>,
}

impl Machine {
    pub fn look(applied: &[Applied], asked: bool) -> Self {
        let best = Isa::best();
        let file = applied.iter().find(|s| s.flag == "threads").map(|s| s.origin.as_str());
        let environment = std::env::var("RAYON_NUM_THREADS").ok().and_then(|v| v.parse::<usize>().ok());
        let threads_why = match (file, asked, environment) {
            (Some(origin), ..) => format!("{origin} says so"),
            (None, true, _) => "--threads says so".to_owned(),
            (None, false, Some(1..)) => "RAYON_NUM_THREADS says so".to_owned(),
            _ => "as many as this process may use".to_owned(),
        };
        Self {
            kernels: best.name(),
            available: Isa::all().into_iter().map(Isa::name).collect(),
            bf16: best.has_bf16(),
            int8: best.has_int8(),
            threads: rayon::current_num_threads(),
            threads_why,
            memory_mb: memory_mb("MemTotal:"),
            memory_free_mb: memory_mb("MemAvailable:"),
            devices: devices(),
        }
    }
}

fn memory_mb(line: &str) -> Option<u64> {
    let about = std::fs::read_to_string("/proc/meminfo").ok()?;
    let size = about.lines().find_map(|l| l.strip_prefix(line))?;
    Some(size.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024 / 1_000_000)
}

fn devices() -> Vec<Device> {
    let device = |name: String, choice: DeviceChoice| {
        let problem = choice.open().err().map(|e| e.to_string());
        Device { name, problem }
    };
    let mut found = vec![device("cpu".to_owned(), DeviceChoice::Cpu)];
    for n in 0..16 {
        let gpu = device(format!("cuda:{n}"), DeviceChoice::Cuda(n));
        let is_last = gpu.problem.is_some();
        // The first says why it cannot be used; the one after the last does not exist.
        if n == 0 || !is_last {
            found.push(gpu);
        }
        if is_last {
            break;
        }
    }
    found.push(device("metal".to_owned(), DeviceChoice::Metal));
    found
}

/// Why a run without `--model` takes the model it takes.
pub fn why_default(is_builtin: bool) -> &'static str {
    if is_builtin {
        "comes with the program; no model of `aaclip models list` is here"
    } else {
        "the first of `aaclip models list` that is here"
    }
}

/// Models and caches.
#[derive(Debug, Serialize)]
pub struct Storage {
    /// The models of the registry, best first, then the built-in one.
    pub models: Vec<Model>,
    /// The cache of anchors; `None` where the system names no folder.
    pub anchors: Option<Folder>,
    /// The hub's cache of models.
    pub hub: Option<Folder>,
    /// Whether `HF_HUB_OFFLINE` forbids downloads.
    pub offline: bool,
}

/// A model that can be named.
#[derive(Debug, Serialize)]
pub struct Model {
    pub name: String,
    /// Its folder; `None` for the built-in one, and for one that was not downloaded.
    pub folder: Option<PathBuf>,
}

/// A folder of the program's.
#[derive(Debug, Serialize)]
pub struct Folder {
    pub path: PathBuf,
    /// Size of the files in it, in bytes; `None` if it does not exist yet.
    pub bytes: Option<u64>,
    /// Whether files can be made in it, or it can be made.
    pub writable: bool,
}

/// Files that are counted, at most: the answer should come at once.
const MOST_FILES: usize = 50_000;

impl Folder {
    fn look(path: &Path) -> Self {
        // Links are not followed: the hub's cache has every file once, and links to it.
        let files = walkdir::WalkDir::new(path).into_iter().take(MOST_FILES).flatten();
        let bytes = files.filter_map(|f| f.metadata().ok().filter(|m| m.is_file()).map(|m| m.len())).sum();
        // One that is missing is made in the nearest folder that exists.
        let nearest = path.ancestors().find(|p| p.symlink_metadata().is_ok());
        Self {
            path: path.to_owned(),
            bytes: path.is_dir().then_some(bytes),
            writable: nearest.is_some_and(|p| files::temporary_beside(p).is_ok()),
        }
    }
}

impl Storage {
    /// Looks at the disk. Nothing is fetched.
    pub fn look(problems: &mut Vec<String>, notes: &mut Vec<String>) -> Self {
        let hub = Hub::from_env().map_err(|e| problems.push(e.to_string())).ok();
        let registry = Registry::load().map_err(|e| problems.push(e.to_string())).ok();
        let entries = registry.as_ref().map_or(&[][..], Registry::entries);
        let mut models: Vec<Model> = (entries.iter())
            .map(|entry| Model {
                name: entry.name.clone(),
                folder: hub.as_ref().and_then(|hub| hub.locate(entry)),
            })
            .collect();
        if models.iter().all(|model| model.folder.is_none()) {
            notes.push(
                "only the built-in model is here: `aaclip models pull ViT-B-16-plus-240` gets a better one"
                    .to_owned(),
            );
        }
        models.push(Model { name: builtin::NAME.to_owned(), folder: None });
        let anchors = files::cache_dir().map(|dir| Folder::look(&dir.join("anchors")));
        if anchors.as_ref().is_none_or(|folder| !folder.writable) {
            notes.push(
                "anchors are not cached, so every run encodes its prompts again: set AACLIP_CACHE to a folder \
                 that can be written to"
                    .to_owned(),
            );
        }
        let offline = hub.as_ref().is_some_and(Hub::is_offline);
        Self { models, anchors, hub: hub.map(|hub| Folder::look(hub.cache_folder())), offline }
    }
}
