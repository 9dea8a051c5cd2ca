//! Tools that are not ours read our schemas and vectors: the crate `sbe_gen`, and the package `sbe` for Python.

#![allow(
    missing_docs,
    unused,
    non_camel_case_types,
    elided_lifetimes_in_paths,
    clippy::all,
    reason = "what sbe_gen generates is included here"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use zerocopy::IntoBytes;

/// A block as a stranger reads it: bytes by the name of the field.
type Block = BTreeMap<&'static str, Vec<u8>>;
/// Reads a body: its root block, and the entries of its group.
type Read = fn(&[u8]) -> (Block, Vec<Block>);

macro_rules! peer_messages {
    ($( $schema:ident $module:ident $Message:ident [$($field:ident)*] $($group:ident $parse:ident [$($entry:ident)*])?; )*) => {
        /// Every message that `sbe_gen` made something of.
        const MESSAGES: &[(&str, u16, Read)] = &[$(
            (
                concat!(stringify!($schema), ".", stringify!($Message)),
                $schema::$module::$Message::TEMPLATE_ID,
                |body| {
                    let (message, rest) = $schema::$module::$Message::parse_prefix(body).expect("it is long enough");
                    let _ = rest;
                    let root = Block::from([$( (stringify!($field), message.$field.as_bytes().to_vec()) ),*]);
                    #[allow(unused_mut)]
                    let mut entries = Vec::new();
                    $(
                        let group = $schema::$module::$parse(rest).expect("its group");
                        for entry in group.iter() {
                            entries.push(Block::from([
                                $( (stringify!($entry), entry.$entry().expect("present").as_bytes().to_vec()) ),*
                            ]));
                        }
                    )?
                    (root, entries)
                },
            ),
        )*];
    };
}

include!(concat!(env!("OUT_DIR"), "/peers/peers.rs"));

/// Guards against schemas that only we understand: what `sbe_gen` reads from every golden vector is what its JSON says.
#[test]
fn sbe_gen_reads_every_vector() {
    let mut read = 0;
    for schema in xtask::schema::all() {
        for template in schema.parts.iter().flat_map(|part| part.templates) {
            let name = format!("{}.{}", schema.name, template.name);
            let (_, id, reader) =
                MESSAGES.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("sbe_gen has no {name}"));
            assert_eq!(*id, template.id);
            let path = format!("docs/protocol/vectors/{}.{:03}.{}", schema.name, template.id, template.name);
            let bytes = std::fs::read(xtask::root().join(format!("{path}.bin"))).expect("a vector");
            let json = std::fs::read(xtask::root().join(format!("{path}.json"))).expect("its meaning");
            let json: Value = serde_json::from_slice(&json).expect("JSON");
            let (root, entries) = reader(&bytes[8..]);
            compare(&name, &root, template.fields, &json["fields"]);
            if let Some(group) = template.group {
                let expected = json["groups"][group.name].as_array().expect("a list");
                assert_eq!(entries.len(), expected.len(), "{name}");
                entries.iter().zip(expected).for_each(|(entry, json)| compare(&name, entry, group.fields, json));
            }
            read += 1;
        }
    }
    assert_eq!(read, MESSAGES.len(), "sbe_gen knows no more messages than we do");
}

fn compare(name: &str, block: &Block, fields: &[ringfence_kernel::messages::Field], json: &Value) {
    assert_eq!(block.len(), fields.len(), "{name}");
    for field in fields {
        let meaning = xtask::schema::vectors::meaning(&field.wire, &block[field.name]);
        assert_eq!(meaning, json[field.name], "{name}.{}", field.name);
    }
}

/// Guards against schemas that a stranger to Rust cannot read: the Python package `sbe`, loaded with each schema,
/// reads every golden vector as its JSON says. Skipped, aloud, where the package cannot be installed.
#[test]
fn python_reads_every_vector() {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-sbe");
    let python = venv.join("bin/python");
    let ready =
        || Command::new(&python).args(["-c", "import sbe, lxml"]).output().is_ok_and(|out| out.status.success());
    if !ready() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
        let installed = made.and_then(|_| {
            let packages = ["sbe==0.4.3"];
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--timeout",
                    "20",
                    "--retries",
                    "1",
                ])
                .args(packages)
                .output()
        });
        let said = installed.map_or_else(|error| error.to_string(), |out| String::from_utf8_lossy(&out.stderr).into());
        if !ready() {
            println!("SKIPPED: the Python package sbe could not be installed: {said}");
            return;
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_vectors.py");
    let output =
        Command::new(&python).arg(script).arg(xtask::root().join("docs/protocol")).output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let expected =
        xtask::schema::all().iter().map(|s| s.parts.iter().map(|p| p.templates.len()).sum::<usize>()).sum::<usize>();
    assert_eq!(said.trim(), format!("{expected} vectors read"));
}
