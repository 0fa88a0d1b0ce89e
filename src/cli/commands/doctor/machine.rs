//! The processor, the threads and the devices.

use std::path::Path;

use aaclip::device::DeviceChoice;
use aaclip::kernels::Isa;
use serde::Serialize;

use super::Applied;

/// What the kernels compute with.
#[derive(Debug, Serialize)]
pub struct Processor {
    /// The instructions in use: the best there are.
    pub kernels: &'static str,
    /// All that this processor has and the program has code for.
    pub available: Vec<&'static str>,
    /// Whether bfloat16 is multiplied in hardware.
    pub bf16: bool,
    /// Whether 8-bit integers are.
    pub int8: bool,
}

impl Processor {
    pub fn new() -> Self {
        let best = Isa::best();
        Self {
            kernels: best.name(),
            available: Isa::all().into_iter().map(Isa::name).collect(),
            bf16: best.has_bf16(),
            int8: best.has_int8(),
        }
    }
}

/// How many threads compute, and what limits them.
#[derive(Debug, Serialize)]
pub struct Threads {
    /// Threads of the pool.
    pub used: usize,
    /// Who decided.
    pub why: String,
    /// What the system says this process may use: the least of the three below.
    pub allowed: Option<usize>,
    /// Processors that are switched on.
    pub online: Option<usize>,
    /// Processors this process may run on.
    pub affinity: Option<usize>,
    /// Processors' worth of time that its control groups allow.
    pub quota: Option<f64>,
}

impl Threads {
    pub fn new(applied: &[Applied], asked: bool) -> Self {
        let from_file = applied.iter().find(|s| s.flag == "threads").map(|s| s.origin.as_str());
        let from_environment = std::env::var("RAYON_NUM_THREADS").ok().and_then(|v| v.parse::<usize>().ok());
        let why = match (from_file, asked, from_environment) {
            (Some(origin), ..) => format!("{origin} says so"),
            (None, true, _) => "--threads says so".to_owned(),
            (None, false, Some(1..)) => "the environment says so (RAYON_NUM_THREADS)".to_owned(),
            _ => "as many as this process may use".to_owned(),
        };
        let list = |text: String| count(text.trim());
        Self {
            used: rayon::current_num_threads(),
            why,
            allowed: std::thread::available_parallelism().ok().map(Into::into),
            online: std::fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(list),
            affinity: affinity(),
            quota: quota(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        }
    }
}

fn affinity() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    count(status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?.trim())
}

/// How many numbers a list such as `0-3,8` has.
fn count(list: &str) -> Option<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(range).try_fold(0usize, |sum, n| sum.checked_add(n?))
}

/// The tightest quota of the groups that `groups` (a `/proc/PID/cgroup`) names, and of those around them.
fn quota(groups: &Path, root: &Path) -> Option<f64> {
    let groups = std::fs::read_to_string(groups).ok()?;
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let quotas = lines.flat_map(|(controllers, path)| {
        let (root, version) = match controllers {
            "" => (root.to_owned(), 2),
            list if list.split(',').any(|c| c == "cpu") => {
                let folder = [root.join(list), root.join("cpu")].into_iter().find(|f| f.is_dir());
                (folder.unwrap_or_else(|| root.to_owned()), 1)
            }
            _ => return Vec::new(),
        };
        let leaf = root.join(path);
        let around = leaf.ancestors().take_while(|folder| folder.starts_with(&root));
        around.filter_map(|folder| if version == 2 { quota_2(folder) } else { quota_1(folder) }).collect()
    });
    quotas.reduce(f64::min)
}

fn quota_2(folder: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?)
}

fn quota_1(folder: &Path) -> Option<f64> {
    let number = |name| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok();
    share(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
}

/// Control groups write a quota of -1 for none.
fn share(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// A device that `--device` can name.
#[derive(Debug, Serialize)]
pub struct Device {
    /// As `--device` takes it.
    pub name: String,
    /// Whether it can be used.
    pub usable: bool,
    /// Why not.
    pub why: Option<String>,
}

/// GPUs that are looked for, at most.
const MOST_GPUS: usize = 16;

/// The devices.
pub fn devices() -> Vec<Device> {
    let device = |name: String, choice: DeviceChoice| {
        let why = choice.open().err().map(|e| e.to_string());
        Device { name, usable: why.is_none(), why }
    };
    let mut found = vec![device("cpu".to_owned(), DeviceChoice::Cpu)];
    for n in 0..MOST_GPUS {
        let gpu = device(format!("cuda:{n}"), DeviceChoice::Cuda(n));
        if n > 0 && !gpu.usable {
            break;
        }
        let usable = gpu.usable;
        found.push(gpu);
        if !usable {
            break;
        }
    }
    found.push(device("metal".to_owned(), DeviceChoice::Metal));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        for (list, expected) in [("0", Some(1)), ("0-3,8", Some(5)), ("", None), ("3-1", None), ("0-x", None)]
        {
            assert_eq!(count(list), expected, "{list}");
        }
        assert_eq!(count(&format!("0-{}", usize::MAX)), None);
    }

    #[test]
    fn the_tightest_quota_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (groups, root) = (dir.path().join("cgroup"), dir.path().join("fs"));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        std::fs::write(&groups, "0::/pods/one\n").unwrap();
        assert_eq!(quota(&groups, &root), None);
        write("pods/one/cpu.max", "max 100000\n");
        assert_eq!(quota(&groups, &root), None);
        write("pods/cpu.max", "150000 100000\n");
        assert_eq!(quota(&groups, &root), Some(1.5));
        write("pods/one/cpu.max", "50000 100000\n");
        assert_eq!(quota(&groups, &root), Some(0.5));
        // The older kind.
        std::fs::write(&groups, "4:memory:/\n1:cpu,cpuacct:/job\n").unwrap();
        write("cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
        write("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(&groups, &root), None);
        write("cpu,cpuacct/job/cpu.cfs_quota_us", "300000\n");
        assert_eq!(quota(&groups, &root), Some(3.0));
        write("cpu,cpuacct/job/cpu.cfs_period_us", "0\n");
        assert_eq!(quota(&groups, &root), None);
    }
}
