//! Golden vectors: one example of every message, as bytes and as what they mean.
//!
//! The bytes are the SBE message header and the body: what stands in an image from its offset 24 (commands) or 40
//! (outputs) on. The values follow from the message's number and the field's place and mean nothing.

use super::Schema;
use ringfence_kernel::MessageHeader;
use ringfence_kernel::image::aligned;
use ringfence_kernel::messages::{Field, GroupHeader, Template, Type};
use serde_json::{Map, Value, json};

/// Entries of a group in a vector.
const ENTRIES: u16 = 3;

/// One example.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its file, without extension: schema, number, message.
    pub name: String,
    /// Message header and body.
    pub bytes: Vec<u8>,
    /// What they mean.
    pub json: Value,
}

/// An example of each message of `schema`.
#[must_use]
pub fn of(schema: &Schema) -> Vec<Vector> {
    schema.parts.iter().flat_map(|part| part.templates).map(|template| vector(schema, template)).collect()
}

fn vector(schema: &Schema, template: &Template) -> Vector {
    let header = MessageHeader {
        block_length: template.bytes as u16,
        template: template.id,
        schema: schema.id(),
        version: schema.version(),
    };
    let mut bytes = bytemuck::bytes_of(&header).to_vec();
    let mut seed = u64::from(template.id) * 100;
    let fields = block(&mut bytes, template.fields, template.bytes, &mut seed);
    let mut groups = Map::new();
    if let Some(group) = &template.group {
        let (block_length, count) = (group.bytes as u16, ENTRIES);
        bytes.extend_from_slice(bytemuck::bytes_of(&GroupHeader { block_length, count, groups: 0, variables: 0 }));
        let entries = (0..ENTRIES).map(|_| block(&mut bytes, group.fields, group.bytes, &mut seed)).collect();
        groups.insert(group.name.into(), Value::Array(entries));
    }
    bytes.resize(aligned(bytes.len()), 0);
    let json = json!({
        "schema": schema.id(),
        "version": schema.version(),
        "template": template.id,
        "name": template.name,
        "block_length": template.bytes,
        "fields": fields,
        "groups": groups,
    });
    Vector { name: format!("{}.{:03}.{}", schema.name, template.id, template.name), bytes, json }
}

/// Appends a block of made-up values; gives what they mean.
fn block(bytes: &mut Vec<u8>, fields: &[Field], length: usize, seed: &mut u64) -> Value {
    let start = bytes.len();
    bytes.resize(start + length, 0);
    let mut values = Map::new();
    for field in fields {
        *seed += 1;
        let made = make(field, *seed);
        let at = start + field.offset;
        bytes[at..at + made.len()].copy_from_slice(&made);
        values.insert(field.name.into(), meaning(&field.wire, &made));
    }
    Value::Object(values)
}

/// Bytes of a field that its type allows. Arrays are letters, so that tools which know them as text agree.
fn make(field: &Field, seed: u64) -> Vec<u8> {
    let Type { primitive, count, choices, .. } = field.wire;
    if field.name.starts_with("reserved") {
        return vec![0; count];
    }
    if !choices.is_empty() {
        return vec![choices[seed as usize % choices.len()].value];
    }
    if count > 1 {
        return (0..count).map(|at| b'A' + ((seed as usize + at) % 26) as u8).collect();
    }
    let wide = seed * 1_000_003;
    match primitive {
        "uint8" | "int8" => vec![(seed % 100) as u8],
        "uint16" => (seed as u16).to_le_bytes().to_vec(),
        "int16" => (-(seed as i16)).to_le_bytes().to_vec(),
        "uint32" => (wide as u32).to_le_bytes().to_vec(),
        "int32" => (-(seed as i32)).to_le_bytes().to_vec(),
        "uint64" => (wide << 16 | seed).to_le_bytes().to_vec(),
        "int64" => (-(wide as i64)).to_le_bytes().to_vec(),
        other => unreachable!("a field has no primitive {other}"),
    }
}

/// What the bytes of a field mean: a number, a name, or hexadecimal digits for an array.
///
/// # Panics
/// When they are not as many as the type has.
#[must_use]
pub fn meaning(wire: &Type, bytes: &[u8]) -> Value {
    if wire.count > 1 {
        return Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    if let Some(choice) = wire.choices.iter().find(|choice| choice.value == bytes[0]) {
        return Value::String(choice.name.into());
    }
    match wire.primitive {
        "uint8" => json!(bytes[0]),
        "int8" => json!(bytes[0] as i8),
        "uint16" => json!(u16::from_le_bytes(bytes.try_into().expect("two bytes"))),
        "int16" => json!(i16::from_le_bytes(bytes.try_into().expect("two bytes"))),
        "uint32" => json!(u32::from_le_bytes(bytes.try_into().expect("four bytes"))),
        "int32" => json!(i32::from_le_bytes(bytes.try_into().expect("four bytes"))),
        "uint64" => json!(u64::from_le_bytes(bytes.try_into().expect("eight bytes"))),
        "int64" => json!(i64::from_le_bytes(bytes.try_into().expect("eight bytes"))),
        other => unreachable!("a field has no primitive {other}"),
    }
}
