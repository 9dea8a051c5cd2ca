//! What a compiler does not check: the bans of `docs/determinism.md` and the rules of the house.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Every breach, as `file:line: what`.
    pub faults: Vec<String>,
    /// How long the source files are.
    pub lengths: String,
}

/// Crates whose code decides: what they do must follow from the log alone.
const DETERMINISTIC: &[&str] = &["engine/kernel/src/", "engine/domains/src/"];

/// Words that such code must not say, why, and what to use. A word stands alone: letters and digits around it make it
/// another.
const BANS: &[(&str, &str)] = &[
    ("std::time", "the log's timestamps are the only clock: use `Context::now`"),
    ("core::time", "durations are nanoseconds as whole numbers"),
    ("Instant", "the log's timestamps are the only clock: use `Context::now`"),
    ("SystemTime", "the log's timestamps are the only clock: use `Context::now`"),
    ("quanta", "the log's timestamps are the only clock: use `Context::now`"),
    ("rand", "decisions have no randomness; tests use `kernel::random`"),
    ("getrandom", "decisions have no randomness; tests use `kernel::random`"),
    ("HashMap", "its order differs from run to run: use `bounded`"),
    ("HashSet", "its order differs from run to run: use `bounded`"),
    ("RandomState", "its order differs from run to run: use `bounded`"),
    ("DefaultHasher", "its hashes differ between versions: use `state::StateHasher`"),
    ("f32", "floats round differently: use whole numbers with their scale in the type"),
    ("f64", "floats round differently: use whole numbers with their scale in the type"),
    ("thread", "one thread decides"),
    ("thread_local", "state is what is saved"),
    ("spawn", "one thread decides"),
    ("static mut", "state is what is saved"),
    ("AtomicU64", "one thread decides; state is what is saved"),
    ("AtomicUsize", "one thread decides; state is what is saved"),
    ("Mutex", "one thread decides"),
    ("RefCell", "state is what is saved, and has one owner"),
    ("OnceLock", "state is what is saved"),
    ("std::fs", "a domain does no I/O"),
    ("std::net", "a domain does no I/O"),
    ("std::io", "a domain does no I/O"),
    ("std::env", "a domain reads no configuration but its limits"),
    ("std::process", "a domain does no I/O"),
    ("usize::MAX", "it differs between machines: name the width"),
    ("to_ne_bytes", "byte order is little-endian: use `to_le_bytes`"),
    ("from_ne_bytes", "byte order is little-endian: use `from_le_bytes`"),
    ("as *const", "addresses differ from run to run"),
];

/// Files that may hold unsafe code, by the end of their paths.
const UNSAFE: &[&str] =
    &["journal/src/mapping.rs", "engine/src/ring.rs", "tests/allocator.rs", "counting_allocator.rs"];

/// Where the words stand that other rules look for.
const SELF: &str = "tools/xtask/src/tidy.rs";

/// Looks at all sources below `root`.
///
/// # Errors
/// When a file cannot be read.
pub fn look(root: &Path) -> Result<Report> {
    let mut files = Vec::new();
    sources(root, root, &mut files)?;
    files.sort();
    let mut report = Report::default();
    let mut lengths = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(root.join(&path)).with_context(|| path.display().to_string())?;
        let name = path.display().to_string();
        if name.ends_with(".rs") {
            lengths.push((text.lines().count(), name.clone()));
        }
        look_at(&name, &text, &mut report.faults);
    }
    report.lengths = summary(&mut lengths);
    Ok(report)
}

/// Collects the text files of the repository, without what is built.
fn sources(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_string();
        if path.is_dir() {
            let built = name.starts_with("target") || ["corpus", "artifacts", ".git"].contains(&name.as_str());
            if !built {
                sources(root, &path, files)?;
            }
        } else if [".rs", ".md", ".toml", ".py", ".txt", ".xml"].iter().any(|end| name.ends_with(end)) {
            files.push(path.strip_prefix(root).expect("below the root").to_path_buf());
        }
    }
    Ok(())
}

/// Looks at one file; `name` is its path from the root.
fn look_at(name: &str, text: &str, faults: &mut Vec<String>) {
    if name.ends_with("src/lib.rs") && !text.starts_with("//!") {
        faults.push(format!("{name}:1: a crate says what it is"));
    }
    let decides = DETERMINISTIC.iter().any(|folder| name.starts_with(folder)) && !is_test_file(name);
    let mut tests = TestCode::default();
    for (number, line) in (1..).zip(text.lines()) {
        let mut fault = |what: String| faults.push(format!("{name}:{number}: {what}"));
        if name != SELF {
            personal(line).into_iter().for_each(&mut fault);
            if has_bare_todo(line) {
                fault("a TODO names its issue: TODO(#1)".into());
            }
        }
        if !name.ends_with(".rs") || name == SELF {
            continue;
        }
        let code = without_comment(line);
        let in_tests = tests.step(code);
        if decides && !in_tests {
            for (word, why) in BANS.iter().filter(|(word, _)| says(code, word)) {
                fault(format!("`{word}` in code that decides: {why}"));
            }
        }
        let is_unsafe = says(code, "unsafe") && !code.contains("unsafe_code") && !code.contains("forbid(");
        if is_unsafe && !UNSAFE.iter().any(|allowed| name.ends_with(allowed)) {
            fault("unsafe code stands in the files that docs/hazards.md lists".into());
        }
    }
}

/// Files of a crate that decides whose code never runs in an engine.
fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.ends_with("/scenarios.rs")
}

/// Follows whether the lines of a file stand in a `#[cfg(test)]` block.
#[derive(Default)]
struct TestCode {
    marked: bool,
    depth: i64,
    inside: bool,
}

impl TestCode {
    /// Whether `code` is test code.
    fn step(&mut self, code: &str) -> bool {
        if self.inside {
            self.depth += braces(code);
            self.inside = self.depth > 0;
            return true;
        }
        if code.trim_start().starts_with("#[cfg(test)]") {
            self.marked = true;
            return true;
        }
        if !std::mem::take(&mut self.marked) {
            return false;
        }
        self.depth = braces(code);
        self.inside = self.depth > 0;
        true
    }
}

fn braces(code: &str) -> i64 {
    code.chars().map(|letter| i64::from(letter == '{') - i64::from(letter == '}')).sum()
}

fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

/// Whether `word` stands in `code` as a word of its own.
fn says(code: &str, word: &str) -> bool {
    let part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (code[..at].chars().next_back(), code[at + word.len()..].chars().next());
        !part(before) && !part(after)
    })
}

fn has_bare_todo(line: &str) -> bool {
    ["TODO", "FIXME", "XXX"].iter().any(|word| says(line, word) && !line.contains(&format!("{word}(#")))
}

/// Paths and hosts of the machine on which a line was written.
fn personal(line: &str) -> Option<String> {
    ["/home/", "/Users/", "/root/", "C:\\Users"]
        .iter()
        .find(|path| line.contains(*path))
        .map(|path| format!("`{path}` is a path of someone's machine"))
}

fn summary(lengths: &mut [(usize, String)]) -> String {
    lengths.sort();
    let total: usize = lengths.iter().map(|(lines, _)| lines).sum();
    let median = lengths.get(lengths.len() / 2).map_or(0, |(lines, _)| *lines);
    let long = lengths.iter().rev().take_while(|(lines, _)| *lines > 500);
    let long: Vec<_> = long.map(|(lines, name)| format!("\n  look again: {name}, {lines} lines")).collect();
    format!("{} Rust files, {total} lines, median {median}{}", lengths.len(), long.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        look_at(name, text, &mut faults);
        faults
    }

    /// Guards against a ban that is written down and not checked: each word is found, and its neighbours are not.
    #[test]
    fn every_ban_is_seen() {
        for (word, _) in BANS {
            let found = faults("engine/domains/src/matching/book.rs", &format!("fn f() {{ {word} }}\n"));
            assert!(found.iter().any(|fault| fault.contains(word)), "{word} is not seen");
        }
        for fine in ["random::Random", "operand", "threads_max", "xf64", "// std::time", "/// HashMap"] {
            assert_eq!(faults("engine/kernel/src/a.rs", &format!("{fine}\n")), [""; 0], "{fine}");
        }
        assert_eq!(faults("gateway/src/a.rs", "use std::time::Instant;\n"), [""; 0], "a gateway has a clock");
    }

    /// Guards against a ban that is lifted for good by the first test module of a file.
    #[test]
    fn tests_may_what_code_may_not() {
        let text = "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}\nfn f() { Instant }\n";
        assert_eq!(faults("engine/kernel/src/a.rs", text).len(), 1);
        assert!(faults("engine/kernel/src/a.rs", text)[0].starts_with("engine/kernel/src/a.rs:5:"));
        assert_eq!(faults("engine/kernel/src/a.rs", "#[cfg(test)]\nextern crate std;\nfn f() { f64 }\n").len(), 1);
    }

    /// Guards against unsafe code that spreads, and against duties and paths that are left behind.
    #[test]
    fn rules_of_the_house_are_seen() {
        assert_eq!(faults("engine/src/a.rs", "unsafe { f() }\n").len(), 1);
        assert_eq!(faults("engine/src/ring.rs", "unsafe { f() }\n"), [""; 0]);
        assert_eq!(faults("engine/src/a.rs", "#![forbid(unsafe_code)]\n"), [""; 0]);
        assert_eq!(faults("docs/a.md", "TODO: more\n").len(), 1);
        assert_eq!(faults("docs/a.md", "TODO(#3): more\n"), [""; 0]);
        assert_eq!(faults("docs/a.md", "see /home/me/notes\n").len(), 1);
        assert_eq!(faults("journal/src/lib.rs", "mod a;\n").len(), 1);
    }

    /// The repository keeps its own rules.
    #[test]
    fn the_repository_is_tidy() {
        let report = look(&crate::root()).expect("the sources can be read");
        assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
    }
}
