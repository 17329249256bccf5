//! Who a process is, in words that another process can hold against what runs.
//!
//! Owns [`ProcessMark`], which is written into files that must not outlive their process for long (LOCK, what a command
//! that makes a store has made so far), and [`Fate`]. A process is called gone only where that is proven: it ran on
//! this machine since the same start of the system and in the same space of process numbers, and none of that number
//! and age runs now; or that run of the system is over. Where the platform does not say enough, nothing is proven.

use super::input::host_name;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessMark {
    /// Its number.
    pub pid: u32,
    /// Its program's file name.
    pub program: String,
    /// The machine's name.
    pub host: String,
    /// Tells this run of the system from all others; empty where the platform does not say.
    pub boot: String,
    /// Tells the space of process numbers from others of this run; empty where the platform does not say.
    pub namespace: String,
    /// When it began, in the system's own ticks; a later process of this number began later.
    pub began: u64,
    /// When the mark was made, in seconds since 1970.
    pub since: u64,
}

/// What has become of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs.
    Runs,
    /// It is gone.
    Gone,
    /// Nothing is proven.
    Unknown,
    /// It ran on another machine.
    Elsewhere,
}

impl ProcessMark {
    /// This process, now.
    pub fn own() -> ProcessMark {
        static OWN: OnceLock<ProcessMark> = OnceLock::new();
        let own = OWN.get_or_init(|| {
            let pid = std::process::id();
            let program = std::env::current_exe().ok();
            let program = program.as_deref().and_then(|path| path.file_name());
            ProcessMark {
                pid,
                program: program.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
                host: host_name(),
                boot: boot(),
                namespace: namespace(),
                began: began(pid).unwrap_or(0),
                since: 0,
            }
        });
        ProcessMark { since: seconds_now(), ..own.clone() }
    }

    /// Another process of this machine and space of numbers.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn of_pid(pid: u32) -> Option<ProcessMark> {
        Some(ProcessMark { pid, began: began(pid)?, ..ProcessMark::own() })
    }

    /// The mark as lines of `name=value`.
    pub fn to_lines(&self) -> String {
        format!(
            "pid={}\nprogram={}\nhost={}\nsince={}\nboot={}\nspace={}\nbegan={}\n",
            self.pid, self.program, self.host, self.since, self.boot, self.namespace, self.began
        )
    }

    /// Reads what [`ProcessMark::to_lines`] wrote, among other lines; `None` where no process is named.
    pub fn of_lines(text: &str) -> Option<ProcessMark> {
        Some(ProcessMark {
            pid: line(text, "pid")?.parse().ok()?,
            program: line(text, "program").unwrap_or_default().to_string(),
            host: line(text, "host").unwrap_or_default().to_string(),
            boot: line(text, "boot").unwrap_or_default().to_string(),
            namespace: line(text, "space").unwrap_or_default().to_string(),
            began: line(text, "began").and_then(|ticks| ticks.parse().ok()).unwrap_or(0),
            since: line(text, "since").and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
        })
    }

    /// Whether this is the process that asks.
    pub fn is_own(&self) -> bool {
        let own = ProcessMark::own();
        (self.pid, self.began, &self.boot, &self.namespace) == (own.pid, own.began, &own.boot, &own.namespace)
    }

    /// What has become of it.
    pub fn fate(&self) -> Fate {
        let own = ProcessMark::own();
        if self.boot.is_empty() || own.boot.is_empty() {
            return Fate::Unknown;
        }
        if self.boot != own.boot {
            // Another machine, or this one before it was started anew.
            return if self.host == own.host { Fate::Gone } else { Fate::Elsewhere };
        }
        if self.namespace.is_empty() || self.namespace != own.namespace || self.began == 0 {
            return Fate::Unknown;
        }
        match began(self.pid) {
            Some(began) if began == self.began => Fate::Runs,
            Some(_) => Fate::Gone,
            // Where a process sees only its own user's, the first one is hidden as well.
            None if began(1).is_some() => Fate::Gone,
            None => Fate::Unknown,
        }
    }

    /// The process for messages: program, number, machine, and for how long.
    pub fn shown(&self) -> String {
        // Marks are read for people: control characters would reach their terminal.
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(128).collect::<String>();
        let mut details = vec![format!("process {}", self.pid)];
        if !self.host.is_empty() {
            details.push(format!("on {}", plain(&self.host)));
        }
        if self.since > 0 {
            details.push(format!("for {} s", seconds_now().saturating_sub(self.since)));
        }
        let program = if self.program.is_empty() { "another program".to_string() } else { plain(&self.program) };
        format!("{program} ({})", details.join(", "))
    }
}

/// The value of the line that begins with `name=`.
pub fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.next().filter(|value| !value.is_empty())
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "files of the system's, and this is the storage level")]
fn system_text(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(target_os = "linux")]
fn boot() -> String {
    system_text("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string()
}

#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "a file of the system's, and this is the storage level")]
fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// When the process of this number began; `None` where none is seen.
#[cfg(target_os = "linux")]
fn began(pid: u32) -> Option<u64> {
    began_of(&system_text(&format!("/proc/{pid}/stat"))?)
}

/// The 22nd field; the second one is a name in brackets, which may hold anything. A process that has ended and was not
/// asked after is gone.
#[cfg(any(target_os = "linux", test))]
fn began_of(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn boot() -> String {
    String::new()
}

#[cfg(not(target_os = "linux"))]
fn namespace() -> String {
    String::new()
}

#[cfg(not(target_os = "linux"))]
fn began(_pid: u32) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_when_a_process_began() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 200";
        assert_eq!(began_of(stat), Some(4242));
        assert_eq!(began_of(&stat.replace(") S", ") Z")), None);
        assert_eq!(began_of("17"), None);
    }

    #[test]
    fn a_mark_comes_back_from_its_lines() {
        let own = ProcessMark::own();
        assert_eq!(ProcessMark::of_lines(&format!("token=1\n{}", own.to_lines())), Some(own.clone()));
        assert!(own.is_own() && own.shown().contains(&std::process::id().to_string()));
        assert_eq!(ProcessMark::of_lines("program=x\n"), None);
        let odd = ProcessMark { program: "a\u{1b}[2Jb".to_string(), ..own };
        assert!(!odd.shown().contains('\u{1b}'));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_what_is_proven_to_be_gone_is_gone() {
        let own = ProcessMark::own();
        assert_eq!(own.fate(), Fate::Runs);
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let mark = ProcessMark { pid: child.id(), began: began(child.id()).unwrap(), ..own.clone() };
        assert_eq!(mark.fate(), Fate::Runs);
        assert_eq!(ProcessMark { began: mark.began + 1, ..mark.clone() }.fate(), Fate::Gone);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(mark.fate(), Fate::Gone);
        let before = |boot: &str, host: &str| ProcessMark { boot: boot.into(), host: host.into(), ..mark.clone() };
        assert_eq!(before("another", &own.host).fate(), Fate::Gone);
        assert_eq!(before("another", "elsewhere").fate(), Fate::Elsewhere);
        assert_eq!(before("", &own.host).fate(), Fate::Unknown);
        assert_eq!(ProcessMark { namespace: "pid:[1]".to_string(), ..mark }.fate(), Fate::Unknown);
    }
}
