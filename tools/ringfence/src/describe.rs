//! Frames in words: any image decoded by the schema that its header names.

use anyhow::{Context as _, bail, ensure};
use ringfence_domains::Domains;
use ringfence_kernel::image::COMMAND_HEADER_BYTES;
use ringfence_kernel::messages::{Field, GroupHeader, Message, Part, Template};
use ringfence_kernel::system::{self, Frame};
use ringfence_kernel::{CommandHeader, MessageHeader, Registry, Sequence};
use serde_json::{Map, Value, json};

/// The name of a schema.
pub fn schema_name(schema: u16) -> &'static str {
    match schema {
        system::SCHEMA => "system",
        ringfence_kernel::wire::SCHEMA => "session",
        _ => Domains::DOMAINS.iter().find(|info| info.id.0 == schema).map_or("unknown", |info| info.name),
    }
}

/// The names that commands in a journal may be filtered by.
#[must_use]
pub fn schema_names() -> Vec<&'static str> {
    std::iter::once("system").chain(Domains::DOMAINS.iter().map(|info| info.name)).collect()
}

/// The names of all messages that a journal may hold.
#[must_use]
pub fn template_names() -> Vec<&'static str> {
    let commands = Domains::DOMAINS.iter().map(|info| info.parts[0]);
    let templates = std::iter::once(Frame::PART).chain(commands).flat_map(|part| part.templates);
    templates.map(|template| template.name).collect()
}

fn template(header: MessageHeader) -> Option<&'static Template> {
    let parts: &[&'static Part] = match header.schema {
        system::SCHEMA => &[Frame::PART],
        schema => &Domains::DOMAINS.iter().find(|info| info.id.0 == schema)?.parts,
    };
    parts.iter().flat_map(|part| part.templates).find(|template| template.id == header.template)
}

/// The template of a command of the votes domain.
pub fn command_template(name: &str) -> &'static Template {
    use ringfence_domains::votes::messages::Command;
    let mut templates = Command::PART.templates.iter();
    templates.find(|template| template.name == name).expect("it is a command's name")
}

/// The name of a message.
pub fn template_name(header: MessageHeader) -> &'static str {
    template(header).map_or("unknown", |template| template.name)
}

/// A command image as a JSON object: header fields, then the body's.
pub fn frame(sequence: Sequence, image: &[u8]) -> Value {
    let header = CommandHeader::read(image).expect("a journal holds images");
    json!({
        "sequence": sequence.0,
        "time": header.timestamp.0,
        "session": header.session.0,
        "request": header.request.0,
        "schema": schema_name(header.message.schema),
        "template": template_name(header.message),
        "body": body(header.message, &image[COMMAND_HEADER_BYTES..]),
    })
}

fn body(header: MessageHeader, body: &[u8]) -> Value {
    Value::Object(fields(header, body))
}

/// The fields of a message, by name.
pub fn fields(header: MessageHeader, body: &[u8]) -> Map<String, Value> {
    let Some(template) = template(header).filter(|template| body.len() >= template.bytes) else {
        return Map::from_iter([("bytes".into(), hex(body).into())]);
    };
    let mut object = block(template.fields, body);
    if let Some(group) = template.group {
        let (head, entries) = body[template.bytes..].split_at(size_of::<GroupHeader>());
        let head: GroupHeader = bytemuck::pod_read_unaligned(head);
        let entries = entries.chunks_exact(group.bytes).take(head.count.into());
        object.insert(group.name.into(), entries.map(|entry| Value::Object(block(group.fields, entry))).collect());
    }
    object
}

/// The root block that [`fields`] gave, as bytes again.
///
/// # Errors
/// Names the field that is missing, unknown or out of range.
pub fn encode(template: &Template, object: &Map<String, Value>) -> anyhow::Result<Vec<u8>> {
    let known = |name: &String| template.fields.iter().any(|field| field.name == *name);
    if let Some(name) = object.keys().find(|name| !known(name)) {
        bail!("{} has no field {name}", template.name);
    }
    let mut bytes = vec![0; template.bytes];
    for field in template.fields.iter().filter(|field| !field.name.starts_with("reserved")) {
        let value = object.get(field.name).with_context(|| format!("the field {} is missing", field.name))?;
        let choice = field.wire.choices.iter().find(|choice| Some(choice.name) == value.as_str());
        let number =
            choice.map_or_else(|| value.as_u64().filter(|_| field.wire.choices.is_empty()), |c| Some(c.value.into()));
        let wrong = || format!("{value} is no value of the field {}", field.name);
        let word = number.with_context(wrong)?.to_le_bytes();
        let width = match (field.wire.primitive, field.wire.count) {
            ("uint8", 1) => 1,
            ("uint16", 1) => 2,
            ("uint32", 1) => 4,
            ("uint64", 1) => 8,
            _ => bail!("a field of type {} cannot be written", field.wire.name),
        };
        ensure!(word[width..].iter().all(|byte| *byte == 0), wrong());
        bytes[field.offset..field.offset + width].copy_from_slice(&word[..width]);
    }
    Ok(bytes)
}

fn block(fields: &[Field], bytes: &[u8]) -> Map<String, Value> {
    let shown = fields.iter().filter(|field| !field.name.starts_with("reserved"));
    shown.map(|field| (field.name.to_string(), value(field, &bytes[field.offset..]))).collect()
}

fn value(field: &Field, bytes: &[u8]) -> Value {
    let wire = &field.wire;
    if wire.count > 1 {
        return hex(&bytes[..wire.count]).into();
    }
    if let Some(choice) = wire.choices.iter().find(|choice| choice.value == bytes[0]) {
        return choice.name.into();
    }
    let unsigned = |width: usize| {
        let mut word = [0; 8];
        word[..width].copy_from_slice(&bytes[..width]);
        u64::from_le_bytes(word)
    };
    match wire.primitive {
        "uint8" => unsigned(1).into(),
        "uint16" => unsigned(2).into(),
        "uint32" => unsigned(4).into(),
        "uint64" => unsigned(8).into(),
        "int8" => (unsigned(1) as i8).into(),
        "int16" => (unsigned(2) as i16).into(),
        "int32" => (unsigned(4) as i32).into(),
        "int64" => (unsigned(8) as i64).into(),
        other => unreachable!("no field has the type {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    base16ct::lower::encode_string(&bytes[..end])
}

/// A frame as one line of text.
pub fn line(sequence: Sequence, image: &[u8]) -> String {
    let frame = frame(sequence, image);
    let mut line = format!(
        "{:>10}  {}  s{:<4} r{:<8} {}.{}",
        sequence.0,
        time(frame["time"].as_u64().unwrap_or(0)),
        frame["session"],
        frame["request"],
        frame["schema"].as_str().unwrap_or(""),
        frame["template"].as_str().unwrap_or(""),
    );
    if let Some(body) = frame["body"].as_object() {
        for (name, value) in body {
            line += &format!(" {name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_string));
        }
    }
    line
}

/// Nanoseconds since 1970 as a UTC date and time: days to civil date by Howard Hinnant's algorithm.
fn time(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (days, day_seconds) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (day_seconds / 3600, day_seconds / 60 % 60, day_seconds % 60);
    let nanosecond = nanoseconds % 1_000_000_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanosecond:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a dump whose dates are off by a leap day.
    #[test]
    fn dates_are_civil() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(time(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(time(1_709_251_199_000_000_000), "2024-02-29T23:59:59.000000000Z");
        assert_eq!(time(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000000000Z");
    }
}
