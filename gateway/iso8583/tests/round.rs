//! Seeded messages and seeded bytes: what is written is read as it was, what is read is written as it came, and no bytes
//! make the codec panic.

use ringfence_iso8583::{Class, Fault, Layout, Length, Message};
use ringfence_kernel::random::Random;

fn value(random: &mut Random, class: Class, length: Length) -> Vec<u8> {
    let count = match length {
        Length::Fixed(count) => count,
        Length::Variable { most, .. } => random.below(most as u64 + 1) as usize,
    };
    let characters: &[u8] = match class {
        Class::Digits | Class::SignedDigits => b"0123456789",
        Class::Alphanumeric => b"0123456789AZaz ",
        Class::DigitsSpecial => b"0123456789-/ ",
        Class::Text => b"0123456789AZaz -/~!",
        Class::Track => b"0123456789=",
        Class::Binary => &[0, 1, 127, 128, 255],
    };
    let mut value: Vec<u8> = (0..count).map(|_| characters[random.below(characters.len() as u64) as usize]).collect();
    if class == Class::SignedDigits {
        value[0] = if random.percent(50) { b'C' } else { b'D' };
    }
    value
}

/// Guards against a value that is written so that it is read otherwise, in either layout; and against a cut or a flipped
/// bit that panics, or that is read and not written as it came.
#[test]
fn what_is_written_is_read_as_it_was() {
    let mut random = Random::new(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..2_000 {
        let layout = if round % 2 == 0 { Layout::iso87() } else { Layout::iso87_binary() };
        let mut message = Message::new(*b"0200");
        for number in 2..=128_u8 {
            if let Some(field) = layout.field(number).filter(|_| random.percent(20)) {
                // A date would have to exist.
                if field.parts.is_none() {
                    message.set(number, &value(&mut random, field.class, field.length));
                }
            }
        }
        let bytes = message.encode(&layout).unwrap_or_else(|error| panic!("round {round}: {error} in {message:?}"));
        assert_eq!(Message::parse(&bytes, &layout), Ok(message), "round {round}");
        for _ in 0..20 {
            let mut damaged = bytes.clone();
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] ^= 1 << random.below(8);
            damaged.truncate(damaged.len() - random.below(3) as usize);
            match Message::parse(&damaged, &layout) {
                Ok(message) => {
                    assert_eq!(message.encode(&layout), Ok(damaged), "round {round}: read, and written otherwise");
                    read += 1;
                }
                Err(error) => {
                    assert!(error.offset <= damaged.len(), "round {round}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(read > 1_000 && refused > 1_000, "{read} read, {refused} refused");
}

/// Guards against a message that is written though no reader could take it.
#[test]
fn what_cannot_be_read_is_not_written() {
    let layout = Layout::iso87();
    let refused = |field: u8, value: &[u8]| {
        Message::new(*b"0200").set(field, value).encode(&layout).err().map(|error| (error.field, error.fault))
    };
    assert_eq!(refused(4, b"12"), Some((4, Fault::Length)));
    assert_eq!(refused(4, b"00000000001x"), Some((4, Fault::Character)));
    assert_eq!(refused(2, &[b'1'; 20]), Some((2, Fault::Length)));
    for number in [0, 1, 65, 129, 255] {
        assert_eq!(refused(number, b""), Some((number, Fault::Unknown)));
    }
    assert_eq!(Message::new(*b"02x0").encode(&layout).err().map(|error| error.field), Some(0));
}

/// Guards against a card number or a PIN block in a log.
#[test]
fn values_are_not_printed() {
    let mut message = Message::new(*b"0200");
    message.set(2, b"4111111111111111").set(52, &[0x5a; 8]);
    assert_eq!(format!("{message:?}"), "0200 {2: 16, 52: 8}");
}
