//! The resources used by the process.

use std::time::Instant;

/// Peak memory of the process, in megabytes; `None` where the system does not say.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1000.0 * 1.024)
}

/// Time since `started` and peak memory, in words.
pub fn cost(started: Instant) -> String {
    let memory = peak_memory_mb().map_or(String::new(), |mb| format!(", peak memory {mb:.0} MB"));
    format!("{:.2} s{memory}", started.elapsed().as_secs_f64())
}
