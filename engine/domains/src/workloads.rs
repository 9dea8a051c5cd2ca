//! Every domain's seeded commands, by name.

use ringfence_kernel::workload::WorkloadKind;

/// The kinds of commands that each domain can be sent, for benches, laws, fuzzing and simulation.
pub const WORKLOADS: &[(&str, &[WorkloadKind])] = &[
    ("matching", crate::matching::workload::KINDS),
    ("atm", crate::atm::workload::KINDS),
    ("auction", crate::auction::workload::KINDS),
    ("votes", crate::votes::workload::KINDS),
];

/// The kind `kind` of the domain `domain`.
#[must_use]
pub fn find(domain: &str, kind: &str) -> Option<WorkloadKind> {
    let (_, kinds) = WORKLOADS.iter().find(|(name, _)| *name == domain)?;
    kinds.iter().find(|candidate| candidate.name == kind).copied()
}
