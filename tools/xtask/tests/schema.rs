//! The generated files are what the messages say, and the messages read the golden vectors as what they mean.

use ringfence_domains::matching::messages as matching;
use ringfence_domains::votes::messages as votes;
use ringfence_kernel::image::COMMAND_BYTES_MAX;
use ringfence_kernel::messages::{Field, Malformed, Message, Template};
use ringfence_kernel::{MessageHeader, system, wire};
use serde_json::Value;
use std::path::Path;
use xtask::schema::{self, vectors};

/// Guards against a message that changed while its schema, vectors or codes did not: clients would misread it.
#[test]
fn docs_are_what_the_messages_say() {
    let drift = schema::drift(&xtask::root()).expect("docs can be read");
    assert!(drift.is_empty(), "run `cargo xtask schema` and read the difference:\n{}", drift.join("\n"));
}

/// Guards against a check that sees no drift: each kind of it, made on purpose, is named.
#[test]
fn drift_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let protocol = folder.path().join("docs/protocol");
    schema::write(folder.path()).expect("files are written");
    assert_eq!(schema::drift(folder.path()).expect("readable"), [""; 0]);
    let schema_file = protocol.join("schemas/matching.xml");
    let text = std::fs::read_to_string(&schema_file).expect("a schema");
    std::fs::write(&schema_file, text.replace("blockLength=\"40\"", "blockLength=\"48\"")).expect("writable");
    std::fs::remove_file(protocol.join("vectors/matching.001.NewOrder.bin")).expect("it was there");
    std::fs::write(protocol.join("vectors/matching.099.Gone.bin"), b"").expect("writable");
    let drift = schema::drift(folder.path()).expect("readable");
    for name in ["schemas/matching.xml differs", "001.NewOrder.bin: ", "099.Gone.bin is no longer generated"] {
        assert!(drift.iter().any(|line| line.contains(name)), "{name} is not in {drift:?}");
    }
    assert_eq!(drift.len(), 3);
}

/// Guards against vectors that the messages themselves read otherwise: what is decoded from the committed bytes is
/// what the committed JSON says, and it is written again as the same bytes.
#[test]
fn messages_read_the_golden_vectors() {
    let mut read = 0;
    for schema in schema::all() {
        for part in &schema.parts {
            for template in part.templates {
                let name = format!("{}.{:03}.{}", schema.name, template.id, template.name);
                let (bytes, json) = committed(&name);
                let header: MessageHeader = bytemuck::pod_read_unaligned(&bytes[..8]);
                let mut words = vec![0_u64; bytes.len() / 8 - 1];
                bytemuck::cast_slice_mut(&mut words).copy_from_slice(&bytes[8..]);
                let again = decode(&schema.name, part.name, header, bytemuck::cast_slice(&words));
                let again = again.unwrap_or_else(|malformed| panic!("{name}: {malformed}"));
                assert_eq!(again, bytes[8..], "{name} is written as it came");
                assert_eq!(described(template, &again), json["fields"], "{name} means what its JSON says");
                groups(template, &again, &json["groups"]);
                read += 1;
            }
        }
    }
    assert!(read >= 40, "only {read} vectors");
}

fn committed(name: &str) -> (Vec<u8>, Value) {
    let path = xtask::root().join("docs/protocol/vectors").join(name);
    let read =
        |end: &str| std::fs::read(path.with_added_extension(end)).unwrap_or_else(|error| panic!("{name}: {error}"));
    (read("bin"), serde_json::from_slice(&read("json")).expect("JSON"))
}

fn described(template: &Template, body: &[u8]) -> Value {
    fields(template.fields, body)
}

fn fields(fields: &[Field], block: &[u8]) -> Value {
    let one = |field: &Field| {
        let bytes = field.wire.count * width(field.wire.primitive);
        (field.name.to_string(), vectors::meaning(&field.wire, &block[field.offset..field.offset + bytes]))
    };
    Value::Object(fields.iter().map(one).collect())
}

fn groups(template: &Template, body: &[u8], json: &Value) {
    let Some(group) = template.group else { return };
    let entries = json[group.name].as_array().expect("a list");
    let blocks = body[template.bytes + 8..].chunks_exact(group.bytes);
    assert_eq!(blocks.len(), entries.len());
    for (block, entry) in blocks.zip(entries) {
        assert_eq!(fields(group.fields, block), *entry);
    }
}

fn width(primitive: &str) -> usize {
    primitive.trim_start_matches(|letter: char| letter.is_alphabetic()).parse::<usize>().expect("bits") / 8
}

fn decode(schema: &str, part: &str, header: MessageHeader, body: &[u8]) -> Result<Vec<u8>, Malformed> {
    fn again<'a, M: Message<'a>>(header: MessageHeader, body: &'a [u8]) -> Result<Vec<u8>, Malformed> {
        let message = M::decode(header, body)?;
        assert_eq!(message.header(), header);
        let mut out = vec![0; COMMAND_BYTES_MAX];
        let length = message.encode(&mut out);
        out.truncate(length);
        Ok(out)
    }
    match (schema, part) {
        ("system", "Frame") => again::<system::Frame<'_>>(header, body),
        ("gateway", "Request") => again::<wire::Request<'_>>(header, body),
        ("gateway", "Notice") => again::<wire::Notice<'_>>(header, body),
        ("matching", "Command") => again::<matching::Command<'_>>(header, body),
        ("matching", "Reply") => again::<matching::Reply<'_>>(header, body),
        ("matching", "Event") => again::<matching::Event<'_>>(header, body),
        ("votes", "Command") => again::<votes::Command<'_>>(header, body),
        ("votes", "Reply") => again::<votes::Reply<'_>>(header, body),
        ("votes", "Event") => again::<votes::Event<'_>>(header, body),
        other => panic!("add {other:?} to this test"),
    }
}

/// Guards against a layout that is wrong in the source and hence in everything generated from it: one order, byte by
/// byte, written from the table in docs/protocol by hand.
#[test]
fn an_order_is_these_bytes() {
    let (bytes, _) = committed("matching.001.NewOrder");
    assert_eq!(&bytes[..8], [48, 0, 1, 0, 1, 0, 1, 0], "block length, template, schema, version");
    let order: [u8; 48] = bytes[8..].try_into().expect("forty-eight bytes");
    let header = MessageHeader { block_length: 48, template: 1, schema: 1, version: 1 };
    let mut words = [0_u64; 6];
    bytemuck::cast_slice_mut(&mut words).copy_from_slice(&order);
    let Ok(matching::Command::NewOrder(read)) = matching::Command::decode(header, bytemuck::cast_slice(&words)) else {
        panic!("it is an order");
    };
    let number = |at: usize| u64::from_le_bytes(order[at..at + 8].try_into().expect("eight"));
    assert_eq!((read.client_order.0, read.price.0, read.quantity.0), (number(0), number(8) as i64, number(16)));
    assert_eq!((read.minimum.0, read.expires.0), (number(24), number(32)));
    assert_eq!(order[40..44], read.instrument.0.to_le_bytes());
    assert_eq!((read.side.get() as u8, read.time_in_force.get() as u8), (order[44], order[45]));
    assert_eq!((read.order_type.get() as u8, read.on_disconnect.get() as u8), (order[46], order[47]));
    assert!(Path::new(&xtask::root()).join("docs/protocol/schemas/matching.xml").exists());
}
