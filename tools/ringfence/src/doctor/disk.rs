//! What the journal's directory is kept on.

use super::{Finding, Root, Unread, Wanted};
use std::path::Path;

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Which directory of the file system is mounted.
    pub(super) root: String,
    /// Where.
    pub(super) place: String,
    /// The file system's type.
    pub(super) kind: String,
    /// Its own options.
    pub(super) options: String,
}

/// All mounts; of two at one place, the later one is seen.
pub(super) fn mounts(root: &Root) -> Result<Vec<Mount>, Unread> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let text = root.read(MOUNTS)?;
    // proc(5): id parent device ROOT PLACE options [fields…] - TYPE source OPTIONS
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let (mut left, mut right) = (left.split(' '), right.split(' '));
        let (root, place) = (left.nth(3)?, left.next()?);
        let (kind, options) = (right.next()?, right.nth(1)?);
        Some(Mount { root: plain(root), place: plain(place), kind: kind.into(), options: options.into() })
    };
    text.lines().map(|line| parse(line).ok_or_else(|| Unread::strange(MOUNTS, line))).collect()
}

/// Spaces and the like stand as three octal digits.
fn plain(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// The file system that `dir` is, or will be, on.
pub(super) fn kind(root: &Root, dir: &Path) -> Result<String, Unread> {
    let dir = root.nearest(dir)?;
    let mounts = mounts(root)?;
    let above = mounts.iter().filter(|mount| dir.starts_with(&mount.place));
    let nearest = above.max_by_key(|mount| mount.place.len());
    nearest.map(|mount| mount.kind.clone()).ok_or_else(|| Unread::strange("/proc/self/mountinfo", "no root"))
}

/// Why a sync on such a file system does not do what the journal needs it for; none when it does.
pub(super) fn trouble(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "tmpfs" | "ramfs" | "devtmpfs" => "it is memory: nothing survives loss of power",
        "overlay" | "aufs" => "a container's layer: it is gone with the container, and slow to sync; mount a volume",
        "nfs" | "nfs4" | "cifs" | "smb3" | "ceph" | "9p" | "virtiofs" | "glusterfs" | "lustre" => {
            "another machine keeps it: a sync waits for the network, and a lock may not hold"
        }
        fuse if fuse.starts_with("fuse") => "another process keeps it: what a sync does is that one's choice",
        _ => return None,
    })
}

/// Whether a sync makes durable.
pub(super) fn file_system(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "file system";
    let kind = match kind(root, &wanted.directory) {
        Ok(kind) => kind,
        Err(error) => return Finding::unread(NAME, &error, "the kernel tells of no mounts"),
    };
    let found = format!("{} is on {kind}", wanted.directory.display());
    match (trouble(&kind), kind.as_str()) {
        (Some(trouble), _) => Finding::unsupported(NAME, format!("{found}: {trouble}")),
        (None, "ext4" | "xfs") => Finding::enabled(NAME, found),
        (None, _) => Finding::supported(NAME, format!("{found}, on which nothing was measured"), "ext4 or xfs"),
    }
}
