//! A common bound on the memory of pictures in flight.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The bound where the memory of the machine is unknown.
const UNKNOWN: u64 = 2 << 30;

/// Memory that pictures in flight share. Clones share it too.
#[derive(Debug, Clone)]
pub struct MemoryBound(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: u64,
    used: Mutex<u64>,
    returned: Condvar,
}

/// A picture's share; given back when dropped.
#[derive(Debug)]
pub struct MemoryShare {
    bound: MemoryBound,
    bytes: u64,
}

impl Default for MemoryBound {
    /// A quarter of what the process may use: the limit of its control group or the machine's memory.
    fn default() -> Self {
        Self::new(usable(Path::new("/")).map_or(UNKNOWN, |bytes| bytes / 4))
    }
}

impl PartialEq for MemoryBound {
    /// Whether the bounds have the same size.
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl MemoryBound {
    /// A bound in bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Shared { bytes, used: Mutex::new(0), returned: Condvar::new() }))
    }

    /// Waits until `bytes` fit beside the shares of others. What is larger than the bound waits until there are
    /// no others.
    pub fn take(&self, bytes: u64) -> MemoryShare {
        let bytes = bytes.min(self.0.bytes);
        let used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |used: &mut u64| *used > 0 && *used + bytes > self.0.bytes;
        let mut used = self.0.returned.wait_while(used, full).unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
        MemoryShare { bound: self.clone(), bytes }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        *self.bound.0.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.bound.0.returned.notify_all();
    }
}

/// Bytes that the process may use, by the system's files below `root`; `None`: unknown.
fn usable(root: &Path) -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let number = |path: PathBuf| read(&path)?.trim().parse::<u64>().ok();
    let machine = read(&root.join("proc/meminfo")).and_then(|text| {
        let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| {
        let (controllers, group) =
            line.split_once(':').and_then(|(_, rest)| rest.split_once(':')).unwrap_or_default();
        let (top, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        };
        // In a container the group's path is that of the host, and its limit is at the top.
        let top = root.join(top);
        let group = top.join(group.trim_start_matches('/'));
        let folders: Vec<PathBuf> =
            group.ancestors().take_while(|f| f.starts_with(&top)).map(Path::to_owned).collect();
        folders.into_iter().filter_map(move |folder| number(folder.join(file)))
    });
    limits.chain(machine).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn shares_never_exceed_the_bound_and_the_largest_is_alone() {
        let bound = MemoryBound::new(10);
        let (used, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for i in 0..8u64 {
                let (bound, used, most) = (&bound, &used, &most);
                scope.spawn(move || {
                    for j in 0..200 {
                        let bytes = 1 + (i * 7 + j) % 15;
                        let share = bound.take(bytes);
                        let counted = bytes.min(10);
                        most.fetch_max(used.fetch_add(counted, Ordering::SeqCst) + counted, Ordering::SeqCst);
                        used.fetch_sub(counted, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 10);
        assert_eq!(*bound.0.used.lock().unwrap(), 0);
    }

    #[test]
    fn the_default_is_part_of_the_memory() {
        let bytes = MemoryBound::default().0.bytes;
        assert!(bytes > 0);
        #[cfg(target_os = "linux")]
        assert!(usable(Path::new("/")).is_some_and(|all| bytes == all / 4));
    }

    #[test]
    fn the_lowest_limit_of_a_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(usable(dir.path()), None);
        write("proc/meminfo", "MemTotal:  4000 kB\nMemFree: 1 kB\n");
        assert_eq!(usable(dir.path()), Some(4_096_000));
        write("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(usable(dir.path()), Some(4_096_000));
        write("sys/fs/cgroup/a/memory.max", "3000000\n");
        assert_eq!(usable(dir.path()), Some(3_000_000));
        // Version 1 in a container, which does not see its group's path.
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "900000\n");
        assert_eq!(usable(dir.path()), Some(900_000));
    }
}
