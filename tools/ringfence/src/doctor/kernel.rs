//! What else runs on the chosen cores, and how fast they are when they are needed.

use super::cores::listed;
use super::{CpuSet, Finding, Root, Unread, Wanted};

const CPU: &str = "/sys/devices/system/cpu";

/// The chosen cores, or the finding that they cannot be told.
macro_rules! chosen {
    ($name:ident, $root:ident, $wanted:ident) => {
        match CpuSet::chosen($root, &$wanted.cores) {
            Ok(chosen) => chosen,
            Err(error) => return Finding::unread($name, &error, "the kernel does not say where a process may run"),
        }
    };
}

fn boot_parameter(name: &str, wanted: &Wanted) -> String {
    let cores = match wanted.cores[..] {
        [] => "CORES".into(),
        _ => wanted.cores.iter().copied().collect::<CpuSet>().to_string(),
    };
    format!("{name}={cores} on the kernel's command line, and cores = […] in [engine]")
}

/// Of a kernel's set of cores that the chosen ones should be in.
fn within(name: &'static str, file: &str, parameter: &str, absent: &str, root: &Root, wanted: &Wanted) -> Finding {
    let set = match CpuSet::read(root, &format!("{CPU}/{file}")) {
        Ok(set) => set,
        Err(error) => return Finding::unread(name, &error, absent),
    };
    let outside = wanted.cores.iter().copied().filter(|core| !set.0.contains(core)).collect::<CpuSet>();
    let found = match outside.0.is_empty() {
        _ if wanted.cores.is_empty() => format!("cores {set}, and no thread is pinned"),
        true => return Finding::enabled(name, format!("cores {set}")),
        false => format!("cores {set}, not {outside}"),
    };
    Finding::supported(name, found, boot_parameter(parameter, wanted))
}

/// Whether the scheduler leaves the chosen cores alone.
pub(super) fn isolcpus(root: &Root, wanted: &Wanted) -> Finding {
    within("isolcpus", "isolated", "isolcpus", "the kernel isolates no cores", root, wanted)
}

/// Whether the timer leaves the chosen cores alone.
pub(super) fn nohz_full(root: &Root, wanted: &Wanted) -> Finding {
    let absent = "the kernel is built without CONFIG_NO_HZ_FULL";
    within("nohz_full", "nohz_full", "nohz_full", absent, root, wanted)
}

/// Which interrupts may come to the chosen cores.
pub(super) fn irqs(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "irqs";
    const IRQS: &str = "/proc/irq";
    let numbers = match root.names(IRQS) {
        Ok(names) => names.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())),
        Err(error) => return Finding::unread(NAME, &error, "the kernel tells of no interrupts"),
    };
    let chosen = chosen!(NAME, root, wanted);
    let (mut here, mut all) = (Vec::new(), 0);
    for number in numbers {
        let path = format!("{IRQS}/{number}/smp_affinity_list");
        match CpuSet::read(root, &path) {
            Ok(cores) => {
                all += 1;
                here.extend((!cores.0.is_disjoint(&chosen.0)).then_some(number));
            }
            // It was freed meanwhile.
            Err(error) if error.absent => {}
            Err(error) => return Finding::unread(NAME, &error, ""),
        }
    }
    if here.is_empty() {
        return Finding::enabled(NAME, format!("none of {all} may come to cores {chosen}"));
    }
    let found = format!("{} of {all} may come to cores {chosen}: {}", here.len(), listed(&here));
    let advice = "other cores into /proc/irq/NUMBER/smp_affinity_list, and no irqbalance for them";
    Finding::supported(NAME, found, advice)
}

/// Whether the chosen cores run at full speed.
pub(super) fn governor(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "governor";
    let chosen = chosen!(NAME, root, wanted);
    let mut others = Vec::new();
    for core in &chosen.0 {
        match root.read(&format!("{CPU}/cpu{core}/cpufreq/scaling_governor")) {
            Ok(governor) if governor == "performance" => {}
            Ok(governor) => others.push(format!("{governor} on {core}")),
            Err(error) => {
                return Finding::unread(NAME, &error, "the kernel governs no frequency here: firmware or host do");
            }
        }
    }
    match others.is_empty() {
        true => Finding::enabled(NAME, format!("performance on {chosen}")),
        false => Finding::supported(NAME, listed(&others), "cpupower frequency-set -g performance"),
    }
}

/// From how deep a sleep a core takes longer to wake than a round trip may take, in microseconds.
const WAKE_US_MAX: u64 = 10;

/// Whether an idle core falls into a sleep from which it wakes late.
pub(super) fn c_states(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "c-states";
    let chosen = chosen!(NAME, root, wanted);
    match deep_states(root, &chosen) {
        Ok(deep) if deep.is_empty() => {
            Finding::enabled(NAME, format!("no sleep of cores {chosen} takes over {WAKE_US_MAX} µs to wake from"))
        }
        Ok(deep) => Finding::supported(
            NAME,
            listed(&deep),
            format!("cpupower idle-set -D {WAKE_US_MAX}, or processor.max_cstate=1 on the kernel's command line"),
        ),
        Err(error) => Finding::unread(NAME, &error, "the kernel puts no core to sleep by itself: firmware or host do"),
    }
}

/// States that are in use and take long to wake from, each once, with the time in microseconds.
fn deep_states(root: &Root, cores: &CpuSet) -> Result<Vec<String>, Unread> {
    let mut deep = Vec::new();
    for core in &cores.0 {
        let states = format!("{CPU}/cpu{core}/cpuidle");
        for state in root.names(&states)?.into_iter().filter(|name| name.starts_with("state")) {
            let read = |field: &str| root.read(&format!("{states}/{state}/{field}"));
            let latency = read("latency")?;
            let latency_us: u64 =
                latency.parse().map_err(|_| Unread::strange(&format!("{states}/{state}/latency"), &latency))?;
            let said = format!("{} takes {latency_us} µs", read("name")?);
            if latency_us > WAKE_US_MAX && read("disable")? == "0" && !deep.contains(&said) {
                deep.push(said);
            }
        }
    }
    Ok(deep)
}

/// Clocks that a thread reads without a system call, and that run alike on all cores.
const CLOCKS: [&str; 2] = ["tsc", "arch_sys_counter"];

/// Whether reading the time is cheap.
pub(super) fn clocksource(root: &Root, _: &Wanted) -> Finding {
    const NAME: &str = "clocksource";
    const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0";
    let read = |file| root.read(&format!("{SOURCE}/{file}"));
    let (current, offered) = match (read("current_clocksource"), read("available_clocksource")) {
        (Ok(current), Ok(offered)) => (current, offered),
        (Err(error), _) | (_, Err(error)) => {
            return Finding::unread(NAME, &error, "the kernel tells of no clock source");
        }
    };
    if CLOCKS.contains(&current.as_str()) {
        return Finding::enabled(NAME, current);
    }
    match offered.split_whitespace().find(|clock| CLOCKS.contains(clock)) {
        Some(better) => {
            let advice = format!("echo {better} > {SOURCE}/current_clocksource, or clocksource={better} at boot");
            Finding::supported(NAME, current, advice)
        }
        None => Finding::unsupported(NAME, format!("{current}; offered are {offered}")),
    }
}

/// Whether large tables stand on large pages.
pub(super) fn huge_pages(root: &Root, wanted: &Wanted) -> Finding {
    const NAME: &str = "huge pages";
    const FILE: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    let text = match root.read(FILE) {
        Ok(text) => text,
        Err(error) => return Finding::unread(NAME, &error, "the kernel is built without transparent huge pages"),
    };
    let mode = text.split_whitespace().find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'));
    match mode {
        Some("always") => Finding::enabled(NAME, "always"),
        Some("madvise") if wanted.asks_huge_pages => Finding::enabled(NAME, "madvise, and the C library asks for them"),
        Some("madvise") => {
            Finding::supported(NAME, "madvise", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in the environment")
        }
        Some("never") => Finding::supported(NAME, "never", format!("echo madvise > {FILE}, and GLIBC_TUNABLES")),
        _ => Finding::unread(NAME, &Unread::strange(FILE, &text), ""),
    }
}

/// Whether `perf` may count what the engine does.
pub(super) fn perf_events(root: &Root, _: &Wanted) -> Finding {
    const NAME: &str = "perf events";
    const FILE: &str = "/proc/sys/kernel/perf_event_paranoid";
    match root.read(FILE).map(|text| (text.parse::<i32>(), text)) {
        Ok((Ok(level), _)) if level <= 1 => Finding::enabled(NAME, format!("perf_event_paranoid is {level}")),
        Ok((Ok(level), _)) => {
            let found = format!("perf_event_paranoid is {level}");
            Finding::supported(NAME, found, "sysctl kernel.perf_event_paranoid=1, to profile")
        }
        Ok((Err(_), text)) => Finding::unread(NAME, &Unread::strange(FILE, &text), ""),
        Err(error) => Finding::unread(NAME, &error, "the kernel is built without performance events"),
    }
}
