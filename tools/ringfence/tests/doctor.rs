//! The doctor on machines that are not this one: each a directory with the files of its `/proc` and `/sys`.

use ringfence::doctor::start::{Refused, Warning, check};
use ringfence::doctor::{CpuSet, Finding, Root, Status, Wanted, examine, instructions};
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A machine: its files by name.
struct Machine(BTreeMap<String, String>);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(name, text)| ((*name).into(), format!("{text}\n"))).collect())
    }

    fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.into(), format!("{text}\n"));
        self
    }

    /// For each core, files below `/sys/devices/system/cpu/cpuN`.
    fn cores(mut self, cores: &[usize], files: &[(&str, &str)]) -> Self {
        for core in cores {
            for (name, text) in files {
                self = self.with(&format!("sys/devices/system/cpu/cpu{core}/{name}"), text);
            }
        }
        self
    }

    /// Writes it down and looks at it.
    fn on<T>(&self, look: impl Fn(&Root) -> T) -> T {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in &self.0 {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is below the root")).expect("it is made");
            std::fs::write(path, text).expect("it is written");
        }
        look(&Root::at(dir.path()))
    }

    fn findings(&self, wanted: &Wanted) -> Vec<Finding> {
        self.on(|root| examine(root, wanted))
    }
}

fn wanted(layout: Layout, idle: IdleStrategy, cores: &[usize]) -> Wanted {
    Wanted {
        layout,
        idle,
        cores: cores.into(),
        directory: "/data/journal".into(),
        durable: true,
        lock: false,
        asks_huge_pages: false,
    }
}

/// What is printed of each finding, without the advice.
fn told(findings: &[Finding]) -> String {
    let line = |finding: &Finding| format!("{}: {} {}\n", finding.name, finding.status.name(), finding.found);
    findings.iter().map(line).collect()
}

fn assert_told(machine: &Machine, wanted: &Wanted, expected: &str) {
    let findings = machine.findings(wanted);
    let expected = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    assert_eq!(told(&findings).lines().collect::<Vec<_>>(), expected);
    for finding in findings {
        assert_eq!(finding.advice.is_some(), finding.status == Status::Supported, "{finding:?}");
    }
}

const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units
Max locked memory         65536                65536                bytes";
const UNLIMITED: &str = "Limit                     Soft Limit           Hard Limit           Units
Max locked memory         unlimited            unlimited            bytes";
const SWAPS: &str = "Filename				Type		Size		Used		Priority";
const EXT4: &str = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:21 / /sys rw - sysfs sysfs rw
24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";

/// A server of two sockets that was made for this: two isolated cores on one node.
fn tuned() -> Machine {
    Machine::new(&[
        ("proc/self/status", "Name:\tringfence\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-7"),
        ("proc/self/limits", UNLIMITED),
        ("proc/self/cgroup", "0::/system.slice/ringfence.service"),
        ("proc/self/mountinfo", &format!("{EXT4}\n30 21 8:2 / /data rw - xfs /dev/nvme0n1 rw")),
        ("data/lost+found/file", ""),
        ("proc/swaps", SWAPS),
        ("proc/sys/kernel/perf_event_paranoid", "-1"),
        ("proc/irq/1/smp_affinity_list", "0-1,4-7"),
        ("proc/irq/24/smp_affinity_list", "0"),
        ("proc/irq/default_smp_affinity", "f3"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory"),
        ("sys/fs/cgroup/system.slice/cpu.max", "max 100000"),
        ("sys/fs/cgroup/system.slice/ringfence.service/cpu.max", "max 100000"),
        ("sys/devices/system/cpu/isolated", "2-3"),
        ("sys/devices/system/cpu/nohz_full", "2-3"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
        ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never"),
        ("sys/devices/system/node/node0/cpulist", "0-3"),
        ("sys/devices/system/node/node1/cpulist", "4-7"),
        ("sys/devices/system/node/online", "0-1"),
    ])
    .cores(
        &[0, 1, 2, 3, 4, 5, 6, 7],
        &[
            ("cpufreq/scaling_governor", "performance"),
            ("cpuidle/state0/name", "POLL"),
            ("cpuidle/state0/latency", "0"),
            ("cpuidle/state0/disable", "0"),
            ("cpuidle/state1/name", "C6"),
            ("cpuidle/state1/latency", "133"),
            ("cpuidle/state1/disable", "1"),
        ],
    )
    .with("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2")
    .with("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "3")
    .with("sys/devices/system/cpu/cpu4/topology/thread_siblings_list", "4")
}

/// Guards against a machine made for the engine that is told to be tuned once more.
#[test]
fn a_tuned_server_has_everything() {
    let wanted = Wanted { lock: true, ..wanted(Layout::Split, IdleStrategy::BusySpin, &[2, 3]) };
    assert_told(
        &tuned(),
        &wanted,
        "layout: ENABLED split, busy-spin: threads 2, cores 8
         pinning: ENABLED cores [2, 3] of 0-7
         smt: ENABLED no core has a second hardware thread
         numa: ENABLED cores 2-3: node 0
         cgroup quota: ENABLED no control group limits processor time
         isolcpus: ENABLED cores 2-3
         nohz_full: ENABLED cores 2-3
         irqs: ENABLED none of 2 may come to cores 2-3
         governor: ENABLED performance on 2-3
         c-states: ENABLED no sleep of cores 2-3 takes over 10 µs to wake from
         clocksource: ENABLED tsc
         huge pages: ENABLED always
         memlock: ENABLED memory is locked, without a limit
         swap: ENABLED there is none
         file system: ENABLED /data/journal is on xfs
         perf events: ENABLED perf_event_paranoid is -1",
    );
    assert_eq!(tuned().on(|root| check(root, &wanted)), Ok(Vec::new()));
}

/// Guards against a machine as it is bought that passes for a tuned one.
#[test]
fn a_laptop_offers_what_is_not_in_effect() {
    let laptop = Machine::new(&[
        ("proc/self/status", "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-3"),
        ("proc/self/limits", LIMITS),
        ("proc/self/cgroup", "0::/user.slice/session.scope"),
        ("proc/self/mountinfo", &EXT4.replace("ext4", "btrfs")),
        ("proc/swaps", &format!("{SWAPS}\n/swap.img    file  2097148  0  -2")),
        ("proc/sys/kernel/perf_event_paranoid", "4"),
        ("proc/irq/9/smp_affinity_list", "0-3"),
        ("proc/irq/10/smp_affinity_list", "1"),
        ("sys/fs/cgroup/user.slice/cpu.max", "max 100000"),
        ("sys/devices/system/cpu/isolated", ""),
        ("sys/devices/system/cpu/nohz_full", "(null)"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet"),
        ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
        ("sys/devices/system/node/node0/cpulist", "0-3"),
    ])
    .cores(
        &[0, 1, 2, 3],
        &[
            ("cpufreq/scaling_governor", "powersave"),
            ("cpuidle/state0/name", "POLL"),
            ("cpuidle/state0/latency", "0"),
            ("cpuidle/state0/disable", "0"),
            ("cpuidle/state1/name", "C10"),
            ("cpuidle/state1/latency", "890"),
            ("cpuidle/state1/disable", "0"),
        ],
    )
    .cores(&[0, 2], &[("topology/thread_siblings_list", "0,2")])
    .cores(&[1, 3], &[("topology/thread_siblings_list", "1,3")]);
    assert_told(
        &laptop,
        &wanted(Layout::Fused, IdleStrategy::Backoff, &[]),
        r#"layout: SUPPORTED fused, backoff: threads 1, cores 4
         pinning: SUPPORTED no thread is pinned
         smt: SUPPORTED shared cores: 0 with 2, 1 with 3, 2 with 0, 3 with 1
         numa: ENABLED cores 0-3: node 0
         cgroup quota: ENABLED no control group limits processor time
         isolcpus: SUPPORTED cores none, and no thread is pinned
         nohz_full: SUPPORTED cores none, and no thread is pinned
         irqs: SUPPORTED 2 of 2 may come to cores 0-3: 9, 10
         governor: SUPPORTED powersave on 0, powersave on 1, powersave on 2, powersave on 3
         c-states: SUPPORTED C10 takes 890 µs
         clocksource: SUPPORTED hpet
         huge pages: SUPPORTED madvise
         memlock: SUPPORTED 65536 bytes may be locked
         swap: SUPPORTED pages may go to /swap.img
         file system: SUPPORTED /data/journal is on btrfs, on which nothing was measured
         perf events: SUPPORTED perf_event_paranoid is 4"#,
    );
    let pinned = wanted(Layout::Split, IdleStrategy::BusySpin, &[1, 3]);
    let findings = told(&laptop.findings(&pinned));
    for line in [
        "smt: SUPPORTED cores 1 and 3 are hardware threads of one core",
        "isolcpus: SUPPORTED cores none, not 1,3",
        "irqs: SUPPORTED 2 of 2 may come to cores 1,3: 9, 10",
    ] {
        assert!(findings.contains(line), "{findings}");
    }
    assert_eq!(laptop.on(|root| check(root, &pinned)), Ok(vec![Warning::Siblings { core: 1, other: 3 }]));
    let asks = Wanted { asks_huge_pages: true, ..pinned };
    assert!(told(&laptop.findings(&asks)).contains("huge pages: ENABLED madvise, and the C library asks for them"));
}

/// A guest whose host keeps everything to itself.
fn guest() -> Machine {
    Machine::new(&[
        ("proc/self/status", "CapEff:\t0000000000004000\nCpus_allowed_list:\t0-1"),
        ("proc/self/limits", LIMITS),
        ("proc/self/mountinfo", EXT4),
        ("proc/cpuinfo", "flags : hypervisor"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock"),
        ("sys/devices/system/clocksource/clocksource0/available_clocksource", "kvm-clock acpi_pm"),
    ])
    .cores(&[0, 1], &[("online", "1")])
}

/// Guards against advice that a machine cannot follow.
#[test]
fn a_guest_with_nothing_says_why() {
    assert_told(
        &guest(),
        &wanted(Layout::Staged, IdleStrategy::Yielding, &[]),
        "layout: UNSUPPORTED staged, yielding: threads 4, cores 2: choose fused, or idle backoff
         pinning: SUPPORTED no thread is pinned
         smt: UNSUPPORTED the kernel tells of no hardware threads
         numa: UNSUPPORTED the kernel tells of no nodes of memory
         cgroup quota: UNSUPPORTED the kernel has no control groups
         isolcpus: UNSUPPORTED the kernel isolates no cores
         nohz_full: UNSUPPORTED the kernel is built without CONFIG_NO_HZ_FULL
         irqs: UNSUPPORTED the kernel tells of no interrupts
         governor: UNSUPPORTED the kernel governs no frequency here: firmware or host do
         c-states: UNSUPPORTED the kernel puts no core to sleep by itself: firmware or host do
         clocksource: UNSUPPORTED kvm-clock; offered are kvm-clock acpi_pm
         huge pages: UNSUPPORTED the kernel is built without transparent huge pages
         memlock: SUPPORTED there is no limit
         swap: UNSUPPORTED the kernel has no swap
         file system: ENABLED /data/journal is on ext4
         perf events: UNSUPPORTED the kernel is built without performance events",
    );
}

/// A container: its own control group as the root, a layer for a disk, and no `/sys`.
fn container() -> Machine {
    Machine::new(&[
        ("proc/self/status", "CapEff:\t00000000a80425fb\nCpus_allowed_list:\t4-5"),
        ("proc/self/limits", LIMITS),
        ("proc/self/cgroup", "0::/"),
        ("proc/self/mountinfo", "21 1 0:50 / / rw - overlay overlay rw\n22 21 0:51 / /proc rw - proc proc rw"),
        ("proc/swaps", SWAPS),
        ("proc/sys/kernel/perf_event_paranoid", "2"),
    ])
}

/// Guards against a container without `/sys` that passes for a kernel without what is told there.
#[test]
fn what_is_not_mounted_is_unknown() {
    assert_told(
        &container(),
        &wanted(Layout::Split, IdleStrategy::Backoff, &[]),
        "layout: SUPPORTED split, backoff: threads 2, cores 2
         pinning: SUPPORTED no thread is pinned
         smt: UNKNOWN /sys/devices/system/cpu/cpu4/topology/thread_siblings_list: /sys is not mounted here
         numa: UNKNOWN /sys/devices/system/node: /sys is not mounted here
         cgroup quota: ENABLED no control group limits processor time
         isolcpus: UNKNOWN /sys/devices/system/cpu/isolated: /sys is not mounted here
         nohz_full: UNKNOWN /sys/devices/system/cpu/nohz_full: /sys is not mounted here
         irqs: UNSUPPORTED the kernel tells of no interrupts
         governor: UNKNOWN /sys/devices/system/cpu/cpu4/cpufreq/scaling_governor: /sys is not mounted here
         c-states: UNKNOWN /sys/devices/system/cpu/cpu4/cpuidle: /sys is not mounted here
         clocksource: UNKNOWN /sys/devices/system/clocksource/clocksource0/current_clocksource: /sys is not mounted here
         huge pages: UNKNOWN /sys/kernel/mm/transparent_hugepage/enabled: /sys is not mounted here
         memlock: SUPPORTED 65536 bytes may be locked
         swap: ENABLED there is none
         file system: UNSUPPORTED /data/journal is on overlay: a container's layer: it is gone with the container, and slow to sync; mount a volume
         perf events: SUPPORTED perf_event_paranoid is 2",
    );
    let nowhere = Machine::new(&[("etc/hostname", "nowhere")]);
    let findings = nowhere.findings(&wanted(Layout::Fused, IdleStrategy::Backoff, &[]));
    assert!(findings.iter().all(|finding| finding.status == Status::Unknown), "{}", told(&findings));
}

/// Guards against a layout that is started where the scheduler, the processor or the disk will not let it be.
#[test]
fn a_start_is_refused_or_warned_of_by_the_same_facts() {
    let spinning = |cores: &[usize]| wanted(Layout::Split, IdleStrategy::BusySpin, cores);
    let quota = |text: &str| {
        let machine = tuned().with("sys/fs/cgroup/system.slice/cpu.max", text);
        machine.on(|root| check(root, &spinning(&[2, 3])))
    };
    assert_eq!(quota("199900 100000"), Err(Refused::Quota { threads: 2, quota: 1999 }));
    assert_eq!(quota("200000 100000"), Ok(Vec::new()));
    assert!(quota("150000 100000").expect_err("too little").to_string().contains("has 1.5 cores of processor time"));
    // Whoever sleeps when idle needs no core of its own.
    let machine = tuned().with("sys/fs/cgroup/system.slice/cpu.max", "50000 100000");
    assert_eq!(machine.on(|root| check(root, &wanted(Layout::Split, IdleStrategy::Backoff, &[]))), Ok(Vec::new()));
    let findings = told(&machine.findings(&spinning(&[2, 3])));
    assert!(findings.contains("cgroup quota: SUPPORTED 0.5 cores of processor time, 2 threads"), "{findings}");

    // The first version: the controller's own mount, as a container sees it.
    let first = tuned()
        .with("proc/self/cgroup", "4:cpu,cpuacct:/docker/1234\n1:name=systemd:/docker/1234")
        .with(
            "proc/self/mountinfo",
            &format!("{EXT4}\n40 23 0:30 /docker/1234 /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct"),
        )
        .with("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000")
        .with("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
    assert_eq!(first.on(|root| check(root, &spinning(&[2, 3]))), Err(Refused::Quota { threads: 2, quota: 1000 }));
    let first = first.with("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
    assert_eq!(first.on(|root| check(root, &spinning(&[2, 3]))), Ok(Vec::new()));

    let (barred, allowed) = ([8].into_iter().collect::<CpuSet>(), (0..8).collect::<CpuSet>());
    assert_eq!(tuned().on(|root| check(root, &spinning(&[7, 8]))), Err(Refused::Barred { barred, allowed }));

    let lock = Wanted { lock: true, ..spinning(&[2, 3]) };
    let limited = tuned().with("proc/self/limits", LIMITS);
    assert_eq!(limited.on(|root| check(root, &lock)), Err(Refused::Memlock { bytes: 65_536 }));
    let capable = limited.with("proc/self/status", "CapEff:\t0000000000004000\nCpus_allowed_list:\t0-7");
    assert_eq!(capable.on(|root| check(root, &lock)), Ok(Vec::new()), "CAP_IPC_LOCK has no limit");

    assert_eq!(tuned().on(|root| check(root, &spinning(&[3, 4]))), Ok(vec![Warning::Nodes { nodes: 2 }]));

    let warned = container().on(|root| check(root, &wanted(Layout::Fused, IdleStrategy::Backoff, &[])));
    let warning = &warned.expect("it starts")[0];
    assert!(warning.to_string().contains("journal.level is fsync, but /data/journal is on overlay"), "{warning}");
    let cached = Wanted { durable: false, ..wanted(Layout::Fused, IdleStrategy::Backoff, &[]) };
    assert_eq!(container().on(|root| check(root, &cached)), Ok(Vec::new()));
}

/// Guards against a guess: a file that cannot be read, or says something else, is told with its reason.
#[test]
fn what_cannot_be_read_is_told_with_its_reason() {
    let wanted = wanted(Layout::Split, IdleStrategy::BusySpin, &[2, 3]);
    let strange = [
        ("proc/self/status", "Cpus_allowed_list:\tmany", "layout: UNKNOWN /proc/self/status: not understood"),
        (
            "sys/devices/system/cpu/isolated",
            "2;3",
            "isolcpus: UNKNOWN /sys/devices/system/cpu/isolated: not understood: \"2;3\"",
        ),
        ("proc/irq/24/smp_affinity_list", "?", "irqs: UNKNOWN /proc/irq/24/smp_affinity_list: not understood"),
        (
            "sys/devices/system/cpu/cpu2/cpuidle/state1/latency",
            "long",
            "c-states: UNKNOWN /sys/devices/system/cpu/cpu2/cpuidle/state1/latency: not understood: \"long\"",
        ),
        ("sys/kernel/mm/transparent_hugepage/enabled", "perhaps", "huge pages: UNKNOWN"),
        (
            "sys/fs/cgroup/system.slice/cpu.max",
            "some",
            "cgroup quota: UNKNOWN /sys/fs/cgroup/system.slice/cpu.max: not understood: \"some\"",
        ),
        (
            "proc/self/mountinfo",
            "gibberish",
            "file system: UNKNOWN /proc/self/mountinfo: not understood: \"gibberish\"",
        ),
        ("proc/self/limits", "", "memlock: UNKNOWN /proc/self/limits"),
        ("proc/sys/kernel/perf_event_paranoid", "very", "perf events: UNKNOWN"),
    ];
    for (file, text, expected) in strange {
        let findings = told(&tuned().with(file, text).findings(&wanted));
        assert!(findings.contains(expected), "{file}: {findings}");
    }
    // A directory where a file should be reads as badly as a file that one may not read.
    let mut machine = tuned();
    machine.0.remove("sys/devices/system/cpu/isolated");
    let findings = told(&machine.with("sys/devices/system/cpu/isolated/x", "").findings(&wanted));
    assert!(findings.contains("isolcpus: UNKNOWN /sys/devices/system/cpu/isolated: Is a directory"), "{findings}");
    // Of a core that is not there nothing is known.
    let absent = Wanted { cores: vec![2, 9], ..wanted };
    let findings = told(&tuned().findings(&absent));
    assert!(findings.contains("governor: UNKNOWN /sys/devices/system/cpu/cpu9: it is not there"), "{findings}");
}

/// Guards against a program that ends with an illegal instruction, and against one that refuses where it would run.
#[test]
fn instructions_that_a_processor_lacks_are_named() {
    let missing = |flags: &str| Machine::new(&[("proc/cpuinfo", flags)]).on(instructions::missing);
    let built_for = |lacking: &'static [&'static str]| if cfg!(target_feature = "avx2") { lacking } else { &[] };
    assert_eq!(missing("processor : 0\nflags\t\t: fpu movbe f16c avx2 bmi1 fma bmi2 abm"), [""; 0]);
    assert_eq!(missing("processor : 0\nflags\t\t: fpu movbe f16c avx bmi1 fma abm"), built_for(&["avx2", "bmi2"]));
    assert_eq!(missing("processor : 0"), [""; 0], "what is not said is not missing");
    assert_eq!(instructions::missing(&Root::machine()), [""; 0], "this machine runs it");
}

/// Guards against a command that prints other than its library found, or hides that a start would be refused.
#[test]
fn the_command_tells_of_this_machine() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringfence")).arg("doctor").args(arguments).output();
        output.expect("it runs")
    };
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().to_str().expect("a path of text");
    let output = run(&["--json", "--layout", "fused", "--dir", dir]);
    assert!(output.status.success(), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let findings = told["findings"].as_array().expect("a list");
    assert_eq!((findings.len(), &told["refused"]), (16, &serde_json::Value::Null));
    for finding in findings {
        let status = finding["status"].as_str().expect("a status");
        assert!(["ENABLED", "SUPPORTED", "UNSUPPORTED", "UNKNOWN"].contains(&status), "{finding}");
    }
    let table = String::from_utf8(run(&["--dir", dir]).stdout).expect("it is text");
    for finding in findings {
        let (name, status) = (finding["name"].as_str().expect("text"), finding["status"].as_str().expect("text"));
        assert!(table.lines().any(|line| line.starts_with(name) && line.contains(status)), "{name}: {table}");
    }
    let output = run(&["--cores", "4095", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"refused\":\"engine."), "{output:?}");
    assert!(Path::new("/proc").exists(), "the doctor reads the files of Linux");
}
