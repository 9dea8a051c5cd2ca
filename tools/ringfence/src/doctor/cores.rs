//! Whether each thread of the layout can have a core to itself.

use super::{CpuSet, Finding, Root, Unread, Wanted};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a setting is called in the configuration.
fn named(setting: impl Serialize) -> String {
    serde_json::to_value(setting).ok().and_then(|name| name.as_str().map(String::from)).unwrap_or_default()
}

/// Cores against the threads that spin.
pub(super) fn layout(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "layout";
    let threads = wanted.layout.threads();
    let allowed = match CpuSet::allowed(root) {
        Ok(allowed) => allowed.0.len(),
        Err(error) => return Finding::unread(NAME, &error, "the kernel does not say where a process may run"),
    };
    let (layout, idle) = (named(wanted.layout), named(wanted.idle));
    let said = format!("{layout}, {idle}: threads {threads}, cores {allowed}");
    match (wanted.idle.spins(), threads <= allowed) {
        (true, true) => Finding::enabled(NAME, said),
        (false, true) => {
            Finding::supported(NAME, said, "idle = \"busy-spin\" with cores = […] in [engine], for the lowest latency")
        }
        (true, false) => Finding::unsupported(NAME, format!("{said}: choose fused, or idle backoff")),
        (false, false) => Finding::unsupported(NAME, format!("{said}: there is no core for each thread to spin on")),
    }
}

/// Whether threads stay on their cores.
pub(super) fn pinning(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "pinning";
    let allowed = match CpuSet::allowed(root) {
        Ok(allowed) => allowed,
        Err(error) => return Finding::unread(NAME, &error, "the kernel does not say where a process may run"),
    };
    let barred = barred(&allowed, &wanted.cores);
    if wanted.cores.is_empty() {
        let advice = format!("cores = […] in [engine]: {} of {allowed}", wanted.layout.threads());
        Finding::supported(NAME, "no thread is pinned", advice)
    } else if barred.0.is_empty() {
        Finding::enabled(NAME, format!("cores {:?} of {allowed}", wanted.cores))
    } else {
        Finding::unsupported(NAME, format!("this process may not run on {barred}, only on {allowed}"))
    }
}

/// Chosen cores on which the process may not run.
pub(super) fn barred(allowed: &CpuSet, cores: &[usize]) -> CpuSet {
    cores.iter().copied().filter(|core| !allowed.0.contains(core)).collect()
}

/// The hardware threads beside each chosen core that share it.
pub(super) fn siblings(root: &Root, cores: &CpuSet) -> Result<BTreeMap<usize, CpuSet>, Unread> {
    let of = |core: &usize| {
        let mut siblings =
            CpuSet::read(root, &format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"))?;
        siblings.0.remove(core);
        Ok((*core, siblings))
    };
    cores.0.iter().map(of).collect()
}

/// Chosen cores that are one core to the hardware.
pub(super) fn shared(siblings: &BTreeMap<usize, CpuSet>, cores: &[usize]) -> Vec<(usize, usize)> {
    let pairs = siblings.iter().flat_map(|(core, beside)| beside.0.iter().map(move |other| (*core, *other)));
    pairs.filter(|(core, other)| core < other && cores.contains(core) && cores.contains(other)).collect()
}

/// Whether a thread shares its core with another hardware thread.
pub(super) fn smt(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "smt";
    let siblings = CpuSet::chosen(root, &wanted.cores).and_then(|cores| siblings(root, &cores));
    let siblings = match siblings {
        Ok(siblings) => siblings,
        Err(error) => return Finding::unread(NAME, &error, "the kernel tells of no hardware threads"),
    };
    let both = shared(&siblings, &wanted.cores);
    let beside = siblings.iter().filter(|(_, beside)| !beside.0.is_empty());
    let beside = beside.map(|(core, beside)| format!("{core} with {beside}")).collect::<Vec<_>>();
    if let Some((core, other)) = both.first() {
        let found = format!("cores {core} and {other} are hardware threads of one core");
        Finding::supported(NAME, found, "choose cores that share none: see lscpu -e")
    } else if beside.is_empty() {
        Finding::enabled(NAME, "no core has a second hardware thread")
    } else {
        let found = format!("shared cores: {}", listed(&beside));
        Finding::supported(NAME, found, "echo off > /sys/devices/system/cpu/smt/control, or leave the siblings idle")
    }
}

/// Which node of memory each chosen core is on.
pub(super) fn nodes(root: &Root, cores: &CpuSet) -> Result<BTreeMap<usize, CpuSet>, Unread> {
    const NODES: &str = "/sys/devices/system/node";
    let mut nodes = BTreeMap::new();
    for name in root.names(NODES)? {
        let Some(node) = name.strip_prefix("node").and_then(|number| number.parse().ok()) else { continue };
        let on = CpuSet::read(root, &format!("{NODES}/{name}/cpulist"))?;
        let here = on.0.intersection(&cores.0).copied().collect::<CpuSet>();
        if !here.0.is_empty() {
            nodes.insert(node, here);
        }
    }
    Ok(nodes)
}

/// Whether all threads are near one memory.
pub(super) fn numa(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "numa";
    let nodes = CpuSet::chosen(root, &wanted.cores).and_then(|cores| nodes(root, &cores));
    match nodes {
        Ok(nodes) if nodes.len() > 1 => {
            let nodes = nodes.iter().map(|(node, cores)| format!("node {node}: {cores}")).collect::<Vec<_>>();
            Finding::supported(NAME, listed(&nodes), "choose cores of one node, and start with numactl --membind")
        }
        Ok(nodes) => match nodes.first_key_value() {
            Some((node, cores)) => Finding::enabled(NAME, format!("cores {cores}: node {node}")),
            None => Finding::unsupported(NAME, "no node of memory has these cores"),
        },
        Err(error) => Finding::unread(NAME, &error, "the kernel tells of no nodes of memory"),
    }
}

/// The first few of a list, and how many more there are.
pub(super) fn listed(items: &[String]) -> String {
    const SHOWN: usize = 6;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items[..items.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
