//! Seeded commands.
use ringfence_kernel::workload::WorkloadKind;
/// The kinds of commands.
pub const KINDS: &[WorkloadKind] = &[];
