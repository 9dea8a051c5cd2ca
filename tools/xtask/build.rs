//! Lets `sbe_gen` read the schemas in docs/protocol, for the test `peers`. The command itself does not use what it
//! generates, and builds whether or not the schemas can be read: it is the command that writes them.

use sbe_gen::{GeneratorOptions, generate_to};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("peers");
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol/schemas");
    println!("cargo:rerun-if-changed={}", schemas.display());
    println!("cargo:rerun-if-changed=build.rs");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).expect("the output folder can be written");
    let mut modules = String::new();
    let mut messages = String::new();
    for path in xml_files(&schemas) {
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.file_stem().expect("a name").to_string_lossy().to_string();
        let xml = fs::read_to_string(&path).expect("a schema can be read");
        let generated = out.join(&name);
        fs::create_dir_all(&generated).expect("the output folder can be written");
        if let Err(error) = generate_to(&xml, &generated, &GeneratorOptions::default()) {
            println!("cargo:warning=sbe_gen refuses {name}.xml: {error}");
            continue;
        }
        let module = generated.join("mod.rs");
        writeln!(modules, "#[path = {:?}] pub mod {name};", module.display().to_string()).expect("a string takes all");
        messages.push_str(&list(&name, &xml));
    }
    writeln!(modules, "peer_messages! {{\n{messages}}}").expect("a string takes all");
    fs::write(out.join("peers.rs"), modules).expect("the output folder can be written");
}

fn xml_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

/// The messages and fields of a schema, one message a line, as the test's macro reads them:
/// `schema message_module Message [field …] group parse_group [field …];`
fn list(schema: &str, xml: &str) -> String {
    let mut lines = String::new();
    for message in xml.split("<sbe:message ").skip(1) {
        let name = attribute(message, "name");
        let (root, group) = message.split_once("<group ").unwrap_or((message, ""));
        let fields = |part: &str| -> String {
            part.split("<field ").skip(1).map(|field| format!("{} ", attribute(field, "name"))).collect()
        };
        write!(lines, "    {schema} {} {name} [{}]", snake(&name), fields(root)).expect("a string takes all");
        if !group.is_empty() {
            let group_name = attribute(group, "name");
            write!(lines, " {group_name} parse_{group_name} [{}]", fields(group)).expect("a string takes all");
        }
        lines.push_str(";\n");
    }
    lines
}

fn attribute(element: &str, name: &str) -> String {
    let (_, rest) = element.split_once(&format!("{name}=\"")).expect("the attribute");
    rest.split('"').next().expect("its end").to_string()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
