//! The file as others meet it: byte for byte, and damaged in every way.

use ringfence_counters::file::{BYTES, CRC_AT, Unit, VALUES_AT};
use ringfence_counters::file::{Kind, Stage};
use ringfence_counters::{EngineCounters, Fault, Identity, Reading, Registrar, Settings};
use std::sync::atomic::{AtomicU64, Ordering};

const IDENTITY: Identity = Identity {
    process: 0x1234,
    process_start: 0x5678,
    started: 1_800_000_000_000_000_000,
    boot: [0xb0; 16],
    journal: [0x70; 16],
    build: *b"0.1.0\0\0\0\0\0\0\0\0\0\0\0",
};

fn words() -> &'static [AtomicU64] {
    (0..BYTES / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
}

fn bytes(words: &[AtomicU64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect()
}

/// Three values of two stages, stored into a few times.
fn sample() -> Vec<u8> {
    let words = words();
    let mut on = Registrar::new(words);
    on.stage(Stage::Gateway);
    let mut commands = on.counter("gateway.commands", Unit::Commands).expect("there is room");
    let mut stopping = on.reject("Stopping", 28).expect("there is room");
    on.stage(Stage::Journal);
    let mut batches = on.histogram("journal.batch", Unit::Commands).expect("there is room");
    on.finish(&IDENTITY);
    commands.add(40);
    commands.add(2);
    stopping.set(7);
    [1, 1, 64, 1000].into_iter().for_each(|batch| batches.record(batch));
    bytes(words)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[CRC_AT..CRC_AT + 4].fill(0);
    let crc = crc32fast::hash(&bytes[..VALUES_AT]);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Guards against a layout that changes without a new version: every byte of a small file, put down by hand.
#[test]
fn the_file_is_what_its_page_draws() {
    let mut drawn = vec![0_u8; 131_072];
    let mut put = |at: usize, bytes: &[u8]| drawn[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RINGCNT\0");
    put(8, &1_u32.to_le_bytes());
    put(16, &131_072_u64.to_le_bytes());
    put(24, &32_768_u64.to_le_bytes());
    put(32, &3_u32.to_le_bytes());
    put(40, &0x1234_u64.to_le_bytes());
    put(48, &0x5678_u64.to_le_bytes());
    put(56, &1_800_000_000_000_000_000_u64.to_le_bytes());
    put(64, &[0xb0; 16]);
    put(80, &[0x70; 16]);
    put(96, b"0.1.0");
    let entries = [
        ("gateway.commands", [1_u8, 1, 1], 1_u32, 32_768_u64, 0_u64),
        ("Stopping", [1, 1, 0], 1, 32_776, 28),
        ("journal.batch", [2, 3, 1], 1153, 32_896, 0),
    ];
    for (index, (name, stage_kind_unit, words, at, code)) in entries.into_iter().enumerate() {
        let entry = 128 + index * 64;
        put(entry, name.as_bytes());
        put(entry + 40, &stage_kind_unit);
        put(entry + 44, &words.to_le_bytes());
        put(entry + 48, &at.to_le_bytes());
        put(entry + 56, &code.to_le_bytes());
    }
    put(32_768, &42_u64.to_le_bytes());
    put(32_776, &7_u64.to_le_bytes());
    // The worst, then bucket 1 twice, bucket 64 (values 64 and 65), bucket 190 (992 to 1,007).
    put(32_896, &1000_u64.to_le_bytes());
    put(32_904 + 8, &2_u64.to_le_bytes());
    put(32_904 + 8 * 64, &1_u64.to_le_bytes());
    put(32_904 + 8 * 190, &1_u64.to_le_bytes());
    let (drawn, written) = (sealed(drawn), sample());
    let differs = drawn.iter().zip(&written).position(|(drawn, written)| drawn != written);
    assert_eq!(differs, None, "the first byte that differs");
}

/// Guards against a reader that takes a value for another one.
#[test]
fn what_was_stored_is_read() {
    let reading = Reading::parse(&sample()).expect("it is sound");
    assert_eq!((reading.header.process, &reading.header.build[..5]), (0x1234, &b"0.1.0"[..]));
    assert_eq!(reading.value("gateway.commands").expect("it is there"), 42);
    assert_eq!(reading.rejects().collect::<Vec<_>>(), [(28, "Stopping", 7)]);
    let batches = reading.distribution("journal.batch").expect("it is there");
    assert_eq!((batches.total(), batches.percentile(500_000), batches.worst()), (4, Some(1), Some(1000)));
    assert!(matches!(reading.value("journal.batch"), Err(Fault::Missing { name: "journal.batch" })));
    assert!(matches!(reading.distribution("gateway.commands"), Err(Fault::Missing { .. })));
    let value = &reading.values[2];
    assert_eq!((value.stage, value.kind, value.unit), (Stage::Journal, Kind::Histogram, Unit::Commands));
}

/// Guards against a reader that goes beyond what is there, or takes a part for the whole.
#[test]
fn a_file_cut_at_any_length_is_refused() {
    let whole = sample();
    for length in 0..BYTES {
        match Reading::parse(&whole[..length]) {
            Err(Fault::Length { found, more: false }) => assert_eq!(found, length),
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(matches!(Reading::parse(&longer), Err(Fault::Length { found: BYTES, more: true })));
}

/// Guards against a reader that trusts what its checksum covers without looking.
#[test]
fn a_flipped_byte_of_header_or_entries_is_refused() {
    let mut bytes = sample();
    for at in 0..VALUES_AT {
        bytes[at] ^= 0xff;
        let fault = Reading::parse(&bytes).expect_err("it is damaged");
        match at {
            0..8 => assert!(matches!(fault, Fault::Magic { .. }), "byte {at}: {fault}"),
            8..12 => assert!(matches!(fault, Fault::Version { .. }), "byte {at}: {fault}"),
            _ => assert!(matches!(fault, Fault::Checksum { .. }), "byte {at}: {fault}"),
        }
        bytes[at] ^= 0xff;
    }
    assert!(Reading::parse(&bytes).is_ok());
}

/// Guards against a forged file, its checksum right, that makes a reader panic or read elsewhere.
#[test]
fn a_forged_file_never_panics() {
    let whole = sample();
    let (mut refused, mut taken) = (0, 0);
    for at in (16..128 + 3 * 64).chain([VALUES_AT - 1]) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            match Reading::parse(&sealed(bytes)) {
                Err(Fault::Header { at: named, .. }) => {
                    assert!((named..named + 8).contains(&at), "{at} is told as {named}");
                    refused += 1;
                }
                Err(Fault::Entry { at: named, .. }) => {
                    assert!((named..named + 64).contains(&at) || (32..36).contains(&at), "{at} is told as {named}");
                    refused += 1;
                }
                Err(other) => panic!("byte {at}: {other}"),
                Ok(reading) => {
                    let sums = reading.values.iter().map(ringfence_counters::Value::value);
                    taken += u64::from(sums.fold(0, u64::wrapping_add) < u64::MAX);
                }
            }
        }
    }
    assert!(refused > 200 && taken > 100, "{refused} refused, {taken} taken");
    // Counts that no engine reaches.
    let mut bytes = whole;
    bytes[VALUES_AT..].fill(0xff);
    let reading = Reading::parse(&bytes).expect("values may be anything");
    let batches = reading.distribution("journal.batch").expect("it is there");
    assert!(batches.percentile(999_000).is_some() && batches.total() == u64::MAX);
}

/// Guards against two writers on one pair of cache lines, and against an engine's values that do not fit the file.
#[test]
fn no_two_stages_share_a_pair_of_lines() {
    let words = words();
    let mut on = Registrar::new(words);
    let settings = Settings { ring_slots: 16_384, durable: true, threads: 4, sample_every: 64 };
    // As many codes as four domains may have.
    let codes: Vec<(u16, &'static str)> = (1..=200).map(|code| (code, "Refused")).collect();
    let counters = EngineCounters::new(&mut on, &settings, &codes).expect("there is room");
    on.finish(&IDENTITY);
    drop(counters);
    let reading = Reading::parse(&bytes(words)).expect("it is sound");
    assert_eq!(reading.value("engine.ring_slots").expect("it is there"), 16_384);
    let copy = bytes(words);
    let place = |index: usize| {
        let entry = &copy[128 + index * 64..][..64];
        let word = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
        (word(48), word(48) + (word(40) >> 32) * 8, entry[40])
    };
    let mut places: Vec<_> = (0..reading.values.len()).map(place).collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        let ((_, end, stage), (begin, _, other)) = (pair[0], pair[1]);
        assert!(end <= begin, "values overlap at {begin}");
        assert!(stage == other || (end - 1) / 128 < begin / 128, "stages {stage} and {other} meet at {begin}");
    }
    let mut on = Registrar::private();
    let too_many: Vec<(u16, &'static str)> = (1..=600).map(|code| (code, "Refused")).collect();
    let full = EngineCounters::new(&mut on, &settings, &too_many).expect_err("there is no room");
    assert_eq!((full.name, full.entries), ("Refused", 510));
}
