//! How much memory the process has, as the system tells it.

use std::fs;

/// Resident and peak resident memory, bytes; 0 where the system does not tell.
pub fn resident() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: Option<u64> = line.and_then(|rest| {
            rest.trim_start_matches(':')
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
        kib.unwrap_or(0) * 1_024
    };
    (field("VmRSS"), field("VmHWM"))
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells() {
        let (now, peak) = super::resident();
        assert!(now > 0 && peak >= now);
    }
}
