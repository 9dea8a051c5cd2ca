//! What the process may use: time of processors, locked memory, memory that stays where it is.

use super::{Finding, Root, Unread, Wanted};

/// The least quota of the process's control groups, in thousandths of a core; none when there is none.
pub(super) fn quota(root: &Root) -> Result<Option<u64>, Unread> {
    const GROUPS: &str = "/proc/self/cgroup";
    let (groups, mounts) = (root.read(GROUPS)?, super::disk::mounts(root)?);
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Unread::strange(GROUPS, line));
        };
        let unified = controllers.is_empty();
        if !unified && !controllers.split(',').any(|controller| controller == "cpu") {
            continue;
        }
        let mount = mounts.iter().find(|mount| match unified {
            true => mount.kind == "cgroup2",
            false => mount.kind == "cgroup" && mount.options.split(',').any(|option| option == "cpu"),
        });
        let Some(mount) = mount else { continue };
        // A container sees its own group as the root of the mount.
        let below = group.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or(group).trim_matches('/');
        let mut path = format!("{}/{below}", mount.place).trim_end_matches('/').to_string();
        while path.len() >= mount.place.len() {
            let found = if unified { quota_v2(root, &path) } else { quota_v1(root, &path) };
            match found {
                Ok(quota) => least = least.into_iter().chain(quota).min(),
                // The root group has no such file, nor has one to which the controller was not given.
                Err(error) if error.absent => {}
                Err(error) => return Err(error),
            }
            path.truncate(path.rfind('/').unwrap_or(0));
        }
    }
    Ok(least)
}

fn quota_v2(root: &Root, group: &str) -> Result<Option<u64>, Unread> {
    let path = format!("{group}/cpu.max");
    let text = root.read(&path)?;
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["max", _] => Ok(None),
        [quota, period] => thousandths(quota, period).map(Some).ok_or_else(|| Unread::strange(&path, &text)),
        _ => Err(Unread::strange(&path, &text)),
    }
}

fn quota_v1(root: &Root, group: &str) -> Result<Option<u64>, Unread> {
    let path = format!("{group}/cpu.cfs_quota_us");
    let (quota, period) = (root.read(&path)?, root.read(&format!("{group}/cpu.cfs_period_us"))?);
    if quota.starts_with('-') {
        return Ok(None);
    }
    thousandths(&quota, &period).map(Some).ok_or_else(|| Unread::strange(&path, &quota))
}

fn thousandths(quota: &str, period: &str) -> Option<u64> {
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
    quota.saturating_mul(1000).checked_div(period)
}

/// Thousandths of a core as people write them.
pub(super) fn cores(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000).trim_end_matches('0').trim_end_matches('.').into()
}

/// Whether the scheduler may stop all threads for the rest of a period.
pub(super) fn cgroup_quota(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "cgroup quota";
    match quota(root) {
        Ok(None) => Finding::enabled(NAME, "no control group limits processor time"),
        Ok(Some(quota)) => {
            let found = format!("{} cores of processor time, {} threads", cores(quota), wanted.layout.threads());
            Finding::supported(NAME, found, "no cpu.max for the engine's group, or no CPU limit for its container")
        }
        Err(error) => Finding::unread(NAME, &error, "the kernel has no control groups"),
    }
}

/// How much memory may be locked: `None` is all of it.
pub(super) fn memlock_bytes(root: &Root) -> Result<Option<u64>, Unread> {
    const LIMITS: &str = "/proc/self/limits";
    const STATUS: &str = "/proc/self/status";
    /// `CAP_IPC_LOCK` of `linux/capability.h`: whoever has it has no limit.
    const IPC_LOCK: u32 = 14;
    let status = root.read(STATUS)?;
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let capabilities = capabilities.ok_or_else(|| Unread::strange(STATUS, "no CapEff"))?;
    if capabilities >> IPC_LOCK & 1 != 0 {
        return Ok(None);
    }
    let limits = root.read(LIMITS)?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    match soft {
        Some("unlimited") => Ok(None),
        Some(soft) => soft.parse().map(Some).map_err(|_| Unread::strange(LIMITS, soft)),
        None => Err(Unread::strange(LIMITS, "no line for locked memory")),
    }
}

/// Whether memory may be locked, and is to be.
pub(super) fn memlock(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "memlock";
    match memlock_bytes(root) {
        Ok(None) if wanted.lock => Finding::enabled(NAME, "memory is locked, without a limit"),
        Ok(None) => Finding::supported(NAME, "there is no limit", "lock = true in [memory]"),
        Ok(Some(bytes)) => {
            let found = format!("{bytes} bytes may be locked");
            Finding::supported(NAME, found, "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited")
        }
        Err(error) => Finding::unread(NAME, &error, "the kernel tells of no limits"),
    }
}

/// Whether pages of the engine can leave memory.
pub(super) fn swap(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "swap";
    match root.read("/proc/swaps") {
        Ok(text) => {
            match text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect::<Vec<_>>()[..] {
                [] => Finding::enabled(NAME, "there is none"),
                _ if wanted.lock => Finding::enabled(NAME, "memory is locked"),
                ref devices => {
                    let found = format!("pages may go to {}", devices.join(", "));
                    Finding::supported(NAME, found, "swapoff -a, or lock = true in [memory]")
                }
            }
        }
        Err(error) => Finding::unread(NAME, &error, "the kernel has no swap"),
    }
}
