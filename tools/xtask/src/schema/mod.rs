//! What is generated from the messages: SBE schemas, golden vectors, the table of codes.
//!
//! ```text
//! messages! in the kernel and each domain ──► Part ──► schemas/<name>.xml
//!                                                 ├──► vectors/<name>.<template>.<Message>.bin  and .json
//! rejects! ──► Row ──────────────────────────────┴──► rejects.md
//! ```

mod codes;
pub mod vectors;
mod xml;

use anyhow::{Context, Result};
use ringfence_domains::Domains;
use ringfence_kernel::messages::{Message, Part};
use ringfence_kernel::{Registry, system, wire};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One schema: all messages under one id.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Its name, and that of its file.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// Its messages by direction.
    pub parts: Vec<&'static Part>,
}

impl Schema {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.parts[0].schema
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.parts[0].version
    }
}

/// All schemas of this build, by id: system frames, the domains, the gateway.
///
/// # Panics
/// When two messages of a schema share a number or a name.
#[must_use]
pub fn all() -> Vec<Schema> {
    let mut schemas = vec![Schema {
        name: "system".into(),
        doc: "Frames that the engine writes into the log".into(),
        parts: vec![<system::Frame<'_> as Message<'_>>::PART],
    }];
    schemas.extend(Domains::DOMAINS.iter().map(|domain| Schema {
        name: domain.name.into(),
        doc: format!("Commands, replies and events of the domain {}", domain.name),
        parts: domain.parts.to_vec(),
    }));
    schemas.push(Schema {
        name: "gateway".into(),
        doc: "What clients and the gateway say beside commands and answers".into(),
        parts: vec![<wire::Request<'_> as Message<'_>>::PART, <wire::Notice<'_> as Message<'_>>::PART],
    });
    schemas.iter().for_each(check_unique);
    schemas
}

fn check_unique(schema: &Schema) {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for part in &schema.parts {
        assert_eq!(
            (part.schema, part.version),
            (schema.id(), schema.version()),
            "{}: one id, one version",
            schema.name
        );
        for template in part.templates {
            assert!(ids.insert(template.id), "{}: two messages have number {}", schema.name, template.id);
            assert!(names.insert(template.name), "{}: two messages are named {}", schema.name, template.name);
        }
    }
}

/// All generated files: their paths below `docs/protocol` and what stands in them.
#[must_use]
pub fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let schemas = all();
    let mut files = BTreeMap::new();
    for schema in &schemas {
        files.insert(Path::new("schemas").join(format!("{}.xml", schema.name)), xml::write(schema).into_bytes());
        for vector in vectors::of(schema) {
            let path = Path::new("vectors").join(&vector.name);
            files.insert(path.with_added_extension("bin"), vector.bytes);
            let json = serde_json::to_string_pretty(&vector.json).expect("a value can be written") + "\n";
            files.insert(path.with_added_extension("json"), json.into_bytes());
        }
    }
    files.insert("rejects.md".into(), codes::write().into_bytes());
    files
}

fn folder(root: &Path) -> PathBuf {
    root.join("docs/protocol")
}

/// Writes all generated files and removes those that are no longer generated; gives their number.
///
/// # Errors
/// When a file cannot be written.
pub fn write(root: &Path) -> Result<usize> {
    let files = files();
    for stale in on_disk(root)?.into_iter().filter(|path| !files.contains_key(path)) {
        std::fs::remove_file(folder(root).join(&stale)).with_context(|| format!("removing {}", stale.display()))?;
    }
    for (path, bytes) in &files {
        let path = folder(root).join(path);
        std::fs::create_dir_all(path.parent().expect("below a folder"))?;
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(files.len())
}

/// A line for each generated file that is missing, different, or no longer generated.
///
/// # Errors
/// When a folder cannot be read.
pub fn drift(root: &Path) -> Result<Vec<String>> {
    let files = files();
    let mut lines = Vec::new();
    for (path, bytes) in &files {
        match std::fs::read(folder(root).join(path)) {
            Ok(found) if found == *bytes => {}
            Ok(_) => lines.push(format!("docs/protocol/{} differs", path.display())),
            Err(error) => lines.push(format!("docs/protocol/{}: {error}", path.display())),
        }
    }
    for stale in on_disk(root)?.into_iter().filter(|path| !files.contains_key(path)) {
        lines.push(format!("docs/protocol/{} is no longer generated", stale.display()));
    }
    Ok(lines)
}

/// Files in the folders that hold nothing but generated files.
fn on_disk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for part in ["schemas", "vectors"] {
        let Ok(entries) = std::fs::read_dir(folder(root).join(part)) else { continue };
        for entry in entries {
            found.push(Path::new(part).join(entry?.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

/// Documentation of the source as one line of plain text.
fn plain(doc: &[&str]) -> String {
    let line = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    line.replace("[`", "`").replace("`]", "`").trim().to_string()
}
