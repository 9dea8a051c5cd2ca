//! Sets of processors, as the kernel writes them: `0-3,8`.

use super::root::{Root, Unread};
use std::collections::BTreeSet;
use std::fmt;

/// Numbers of processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuSet(pub BTreeSet<usize>);

/// More processors than any kernel is built for.
const CPUS_MAX: usize = 65_536;

impl CpuSet {
    /// Reads `0-3,8`; none when it is no list.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = BTreeSet::new();
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
            if first > last || last >= CPUS_MAX {
                return None;
            }
            set.extend(first..=last);
        }
        Some(Self(set))
    }

    /// Reads the list in the file `path`; `(null)` and nothing are the empty set.
    pub(super) fn read(root: &Root, path: &str) -> Result<Self, Unread> {
        let text = root.read(path)?;
        let list = if text.trim() == "(null)" { "" } else { text.as_str() };
        Self::parse(list).ok_or_else(|| Unread::strange(path, &text))
    }

    /// The processors on which this process may run.
    pub(super) fn allowed(root: &Root) -> Result<Self, Unread> {
        const STATUS: &str = "/proc/self/status";
        let status = root.read(STATUS)?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.and_then(Self::parse).ok_or_else(|| Unread::strange(STATUS, "no Cpus_allowed_list"))
    }

    /// The processors that matter: those chosen, or all on which this process may run. Of one that the machine does not
    /// have nothing can be said.
    pub(super) fn chosen(root: &Root, cores: &[usize]) -> Result<Self, Unread> {
        if cores.is_empty() {
            return Self::allowed(root);
        }
        for core in cores {
            let found = root.names(&format!("/sys/devices/system/cpu/cpu{core}"));
            found.map_err(|error| Unread { absent: false, ..error })?;
        }
        Ok(cores.iter().copied().collect())
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<T: IntoIterator<Item = usize>>(cores: T) -> Self {
        Self(cores.into_iter().collect())
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        if comma.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a list that is read as other processors than the kernel means.
    #[test]
    fn lists_are_read_as_they_are_written() {
        for text in ["0", "0-3", "0-3,8", "1,3,5-7,64-127"] {
            assert_eq!(CpuSet::parse(text).expect("it is a list").to_string(), text);
        }
        assert_eq!(CpuSet::parse("").expect("it is a list").to_string(), "none");
        for text in ["a", "3-1", "0-", "-1", "0-99999999999", "1;2"] {
            assert_eq!(CpuSet::parse(text), None, "{text}");
        }
    }
}
