//! The seam through which every file about the machine is read.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where `/proc` and `/sys` stand.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

/// A file or directory that does not tell what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Unread {
    /// The file, from the root.
    pub path: String,
    /// Why.
    pub why: String,
    /// It is not there, though the file system is in which it would be.
    pub absent: bool,
}

impl Unread {
    /// It was read, and holds something else.
    pub(super) fn strange(path: &str, content: &str) -> Self {
        let content = content.trim().chars().take(60).collect::<String>();
        Self { path: path.into(), why: format!("not understood: {content:?}"), absent: false }
    }
}

impl Root {
    /// This machine's.
    #[must_use]
    pub fn machine() -> Self {
        Self("/".into())
    }

    /// Another one's.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self(dir.into())
    }

    /// The text of `path`, which begins with `/`.
    pub(super) fn read(&self, path: &str) -> Result<String, Unread> {
        fs::read_to_string(self.place(path)).map(|text| text.trim_end().to_string()).map_err(|e| self.unread(path, &e))
    }

    /// The names in the directory `path`, in order.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, Unread> {
        let read = || -> io::Result<Vec<String>> {
            let entries = fs::read_dir(self.place(path))?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        let mut names = read().map_err(|error| self.unread(path, &error))?;
        // Numbers in names by size: 9 before 10.
        names.sort_by_key(|name| {
            (name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok(), name.clone())
        });
        Ok(names)
    }

    /// The nearest directory above `path`, or itself, that there is: its path from the root, without links.
    pub(super) fn nearest(&self, path: &Path) -> Result<PathBuf, Unread> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let root = fs::canonicalize(&self.0).map_err(|error| self.unread("/", &error))?;
        for above in path.ancestors() {
            if let Ok(found) = fs::canonicalize(self.place(&above.to_string_lossy())) {
                let inside = found.strip_prefix(&root).unwrap_or(&found);
                return Ok(Path::new("/").join(inside));
            }
        }
        Err(Unread { path: path.display().to_string(), why: "no directory above it can be read".into(), absent: false })
    }

    fn place(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    fn unread(&self, path: &str, error: &io::Error) -> Unread {
        let first = path.split('/').nth(1).unwrap_or_default();
        let mounted = fs::read_dir(self.0.join(first)).is_ok_and(|mut entries| entries.next().is_some());
        let (absent, why) = match error.kind() {
            ErrorKind::NotFound if mounted => (true, "it is not there".into()),
            ErrorKind::NotFound => (false, format!("/{first} is not mounted here")),
            _ => (false, error.to_string()),
        };
        Unread { path: path.into(), why, absent }
    }
}
