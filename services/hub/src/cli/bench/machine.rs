//! What the machine is, and what processes use of it, as Linux tells.

use std::{fs, path::Path, time::Duration};

use serde::Serialize;

/// The machine of a run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    /// Processors that this process may use.
    pub(super) cpus: usize,
    /// Memory. Unit: bytes.
    pub(super) memory_bytes: u64,
    /// System and its version.
    pub(super) os: String,
    /// Kind of the file system that the hub's directory is on.
    pub(super) filesystem: String,
}

impl Machine {
    /// The machine in a line, for figures that one processor made without a file.
    pub(super) fn one_cpu(&self, version: &str) -> String {
        format!(
            "{} CPUs (one used), {} MB, {}; {version}",
            self.cpus,
            self.memory_bytes / 1_000_000,
            self.os
        )
    }

    /// The machine in a line, with the file system, for figures of a hub at work.
    pub(super) fn with_files(&self, version: &str) -> String {
        format!(
            "{} CPUs, {} MB, {}, {}; {version}",
            self.cpus,
            self.memory_bytes / 1_000_000,
            self.os,
            self.filesystem
        )
    }
}

/// Looks at the machine and the file system of `directory`.
pub(super) fn machine(directory: &Path) -> Machine {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Machine {
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: kib.unwrap_or(0) * 1_024,
        os: format!("{} {}", std::env::consts::OS, release.trim()),
        filesystem: filesystem(directory),
    }
}

fn filesystem(directory: &Path) -> String {
    let directory = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, kind) = (words.next()?, words.next()?);
            directory.starts_with(at).then_some((at.len(), kind))
        })
        // The last of equals: what was mounted over it.
        .max_by_key(|(len, _)| *len);
    kind.map_or_else(String::new, |(_, kind)| kind.to_owned())
}

/// Ticks of processor time that were used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CpuTimes {
    /// This process.
    pub(super) client: u64,
    /// The hub.
    pub(super) hub: u64,
    /// The whole machine.
    pub(super) all: u64,
}

/// What Linux counts in for all its supported architectures' user space (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// Reads the counters.
pub(super) fn cpu_times(hub: u32) -> CpuTimes {
    CpuTimes {
        client: process("self"),
        hub: process(&hub.to_string()),
        all: whole(),
    }
}

fn process(pid: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; behind it, user and system time are fields 12 and 13.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}

/// Processor time of a process so far, over the threads that it has now: finer than the ticks of [`cpu_times`].
pub(super) fn cpu_of(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let nanos = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| {
            let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
    Duration::from_nanos(nanos.sum())
}

fn whole() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: idle and iowait are not use, steal is not ours.
    let idle = fields.iter().skip(3).take(2).sum::<u64>();
    let stolen = fields.get(7).copied().unwrap_or(0);
    fields.iter().sum::<u64>() - idle - stolen
}

impl CpuTimes {
    /// What was used since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            client: self.client.saturating_sub(earlier.client),
            hub: self.hub.saturating_sub(earlier.hub),
            all: self.all.saturating_sub(earlier.all),
        }
    }

    /// What neither this process nor the hub used: PostgreSQL, the kernel, and the machine's other guests.
    pub(super) fn others(&self) -> u64 {
        self.all.saturating_sub(self.client + self.hub)
    }
}

/// Processor time of so many ticks.
pub(super) fn ticks(count: u64) -> Duration {
    TICK.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Does some work, and tells by how much this process's resident memory rose at its highest meanwhile, in bytes; nothing where
/// the system does not tell.
pub(super) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // Linux: the mark of the highest is put down to what is resident now.
    let marked = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = resident("VmRSS:");
    let done = work();
    let highest = resident("VmHWM:").filter(|_| marked);
    let rose = before.zip(highest);
    (
        done,
        rose.map(|(before, highest)| highest.saturating_sub(before)),
    )
}

/// A line of this process's status that counts in KiB, in bytes.
pub(super) fn resident(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim().split(' ').next()?.parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn linux_tells() {
        let machine = machine(Path::new("/proc/self"));
        assert!(machine.cpus > 0 && machine.memory_bytes > 0);
        assert_eq!(machine.filesystem, "proc");
        let before = cpu_times(std::process::id());
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(());
        }
        let used = cpu_times(std::process::id()).since(&before);
        assert!(used.client > 0 && used.all > 0, "{used:?}");
        assert!(cpu_of(std::process::id()) > Duration::from_millis(50));
    }
    #[test]
    fn the_highest_memory_is_seen_though_it_was_given_back() {
        let (sum, rose) = peak_of(|| {
            let bytes = std::hint::black_box(vec![1_u8; 64 << 20]);
            bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>()
        });
        assert_eq!(sum, 64 << 20);
        assert!(rose.is_some_and(|rose| rose > 48 << 20), "{rose:?}");
    }
}
