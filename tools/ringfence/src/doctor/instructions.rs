//! Whether the processor has the instructions that this program was built for.

use super::Root;

/// What x86-64-v3 is beyond its second level, as the kernel calls it.
const LEVEL_3: [&str; 7] = ["avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"];

/// Instructions that this program was built for and the processor does not have. What cannot be read is not missing.
#[must_use]
pub fn missing(root: &Root) -> Vec<&'static str> {
    if !cfg!(target_feature = "avx2") {
        return Vec::new();
    }
    let Ok(said) = root.read("/proc/cpuinfo") else { return Vec::new() };
    let flags = said.lines().find_map(|line| line.strip_prefix("flags")?.trim_start().strip_prefix(':'));
    let Some(flags) = flags else { return Vec::new() };
    LEVEL_3.into_iter().filter(|wanted| !flags.split_ascii_whitespace().any(|flag| flag == *wanted)).collect()
}
