//! Others' traces, at `shared/data/atm/iso8583` beside this checkout: sound ones are read and written as they came, broken
//! ones are refused by name and place.

use ringfence_iso8583::{Error, Fault, Layout, Message};
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/atm/iso8583");
    if !folder.is_dir() {
        println!("SKIPPED: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

fn trace(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(folder()?.join(name)).expect("a trace that is there can be read"))
}

/// Guards against a message of another's that is read otherwise, or written otherwise than it came.
#[test]
fn sound_traces_are_written_as_they_came() {
    let sound = [
        ("financial_transaction_message.dat", "0200"),
        ("financial_transaction_message_response.dat", "0210"),
        ("iso_reversal_message.dat", "0400"),
        ("iso_reversal_message_advice.dat", "0420"),
        ("iso_reversal_message_response.dat", "0410"),
        ("iso_reversal_repeat_message.dat", "0401"),
        ("iso_reversal_repeat_message_response.dat", "0410"),
        ("network_management_message.dat", "0800"),
        ("network_management_message_response.dat", "0810"),
    ];
    for (name, mti) in sound {
        let Some(bytes) = trace(name) else { return };
        let layout = Layout::iso87();
        let message = Message::parse(&bytes, &layout).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(message.mti(), mti.as_bytes(), "{name}");
        assert_eq!(message.encode(&layout).as_deref(), Ok(&bytes[..]), "{name}");
    }
}

/// Guards against a value that is not what another reader of the same trace sees in it.
#[test]
fn values_are_those_that_another_reader_sees() {
    let (Some(bytes), Some(values)) = (trace("iso_reversal_message.dat"), trace("iso_reversal_message.json")) else {
        return;
    };
    let message = Message::parse(&bytes, &Layout::iso87()).expect("a sound trace");
    let values: serde_json::Value = serde_json::from_slice(&values).expect("JSON");
    let elements = values["elements"].as_object().expect("elements");
    let mut seen = 0;
    for (number, value) in elements.iter().filter(|(number, _)| *number != "1") {
        let expected = value.as_str().expect("text").as_bytes();
        assert_eq!(message.get(number.parse().expect("a number")), Some(expected), "field {number}");
        seen += 1;
    }
    assert_eq!(message.fields().count(), seen);
}

/// Guards against a broken message that is taken for a sound one, or refused for another reason.
#[test]
fn broken_traces_are_refused_by_name() {
    let broken = [
        ("error_message.dat", 55, Fault::Short),
        ("iso_reversal_message_error_date.dat", 13, Fault::Character),
        ("message_with_character_ebcdic_encoding.dat", 42, Fault::Character),
        ("message_with_error_indicate_numeric.dat", 28, Fault::Short),
        ("message_with_indicate_numeric.dat", 28, Fault::Short),
        ("network_management_message_with_error_track.dat", 35, Fault::Character),
        ("network_management_message_with_track.dat", 35, Fault::Character),
        ("message_with_hex_bcd.dat", 48, Fault::Length),
        ("message_with_hex_rbcd.dat", 48, Fault::Length),
        ("message_with_hex_length.dat", 32, Fault::Length),
        ("message_with_number_bcd_encoding.dat", 7, Fault::Character),
    ];
    for (name, field, fault) in broken {
        let Some(bytes) = trace(name) else { return };
        let Error { field: found, fault: was, .. } =
            Message::parse(&bytes, &Layout::iso87()).expect_err(&format!("{name} is broken"));
        assert_eq!((found, was), (field, fault), "{name}");
    }
}

/// Guards against a layout by configuration that changes nothing: these traces count the sign of a fee among its digits.
#[test]
fn another_layout_reads_what_the_standard_does_not() {
    let layout = Layout::iso87().with("[fields]\n28 = \"x+n 7\"\n").expect("a layout");
    let (Some(sound), Some(broken)) =
        (trace("message_with_indicate_numeric.dat"), trace("message_with_error_indicate_numeric.dat"))
    else {
        return;
    };
    let message = Message::parse(&sound, &layout).expect("a sound trace");
    assert_eq!(message.get(28), Some(&b"C0000000"[..]));
    assert_eq!(message.encode(&layout), Ok(sound));
    let error = Message::parse(&broken, &layout).expect_err("it begins with an F");
    assert_eq!((error.field, error.fault), (28, Fault::Character));
}

/// Guards against rules for a type of message that are not kept: a field that is missing, and one too many.
#[test]
fn an_advice_has_the_fields_that_are_laid_down() {
    let rules = "[messages.0420]\nmandatory = [2, 3, 4, 7, 11, 12, 25, 32]\n";
    let layout = Layout::iso87().with(rules).expect("a layout");
    for (name, fault) in [
        ("iso_reversal_message_advice_missing_field.dat", Some((32, Fault::Missing))),
        ("iso_reversal_message_advice_unexpected_field.dat", Some((13, Fault::Unexpected))),
        ("iso_reversal_message_advice.dat", None),
    ] {
        let Some(bytes) = trace(name) else { return };
        let refused = Message::parse(&bytes, &layout).err().map(|error| (error.field, error.fault));
        assert_eq!(refused, fault, "{name}");
    }
}

/// Guards against a layout that is not the standard's, as another reads it.
#[test]
fn the_layout_is_that_of_another_reader() {
    let Some(bytes) = trace("specification_ver_1987.json") else { return };
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let specification: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let layout = Layout::iso87();
    for number in (2..=128_u8).filter(|number| *number != 65) {
        let written = specification["elements"][number.to_string()]["Describe"].as_str().expect("a notation");
        let field = ringfence_iso8583::Field::read(&written.replace(';', ""));
        assert_eq!(layout.field(number), field.as_ref(), "field {number}: {written}");
    }
}
