//! How much memory this process holds, as the operating system counts it.
//!
//! Owns [`Resident`]. Mapped files count as resident while their pages are in memory, but the system takes them back
//! whenever it needs room; so both numbers are given. Only Linux is asked; elsewhere nothing is said.

/// Memory of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// Bytes in memory, mapped files included.
    pub bytes: u64,
    /// Those of them that are pages of mapped files, which the system can take back without writing anything.
    pub mapped_bytes: u64,
}

/// Memory of this process now; `None` where the system does not say.
pub fn resident() -> Option<Resident> {
    #[cfg(target_os = "linux")]
    {
        #[expect(clippy::disallowed_methods, reason = "a file of the system's, and this is the storage level")]
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        from_status(&status)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(any(target_os = "linux", test))]
fn from_status(status: &str) -> Option<Resident> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Resident { bytes: bytes("VmRSS")?, mapped_bytes: bytes("RssFile")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        let status = "Name:\tx\nVmHWM:\t 9000 kB\nVmRSS:\t    4096 kB\nRssAnon:\t 1024 kB\nRssFile:\t    3072 kB\n";
        assert_eq!(from_status(status), Some(Resident { bytes: 4096 << 10, mapped_bytes: 3072 << 10 }));
        assert_eq!(from_status("VmRSS:\t 12 kB\n"), None);
        assert_eq!(from_status("VmRSS:\t many kB\nRssFile:\t 1 kB\n"), None);
        if cfg!(target_os = "linux") {
            let now = resident().unwrap();
            assert!(now.bytes > now.mapped_bytes && now.mapped_bytes > 0);
        }
    }
}
