//! The security module in software: what it verifies, what it refuses, and that keys are of one purpose.

use ringfence_iso8583::security::{
    CardData, Decimalization, Pan, Pin, PinBlockFormat, PinReference, PinUnderKey, Purpose, SecurityError,
    SecurityModule, SoftwareModule, WrappedKey, cvv, encipher,
};

fn module(master: u8) -> SoftwareModule {
    let decimalization = Decimalization { table: *b"0123456789012345", validation: 0..12, pad: 15 };
    SoftwareModule::new([master; 32], decimalization)
}

fn pan(digits: &str) -> Pan {
    Pan::new(digits.as_bytes()).expect("a card number")
}

const PIN_KEY: [u8; 16] = *b"a key of a block";
const VERIFICATION_KEY: [u8; 16] = *b"a key of PINs...";

/// Guards against a wrong PIN that is taken for the right one, or the block of another card for this one's.
#[test]
fn pins_are_verified_against_both_kinds_of_reference() {
    let module = module(1);
    let block_key = module.wrap(Purpose::PinBlock, &PIN_KEY).expect("a key");
    let key = module.wrap(Purpose::PinVerification, &VERIFICATION_KEY).expect("a key");
    let (card, other) = (pan("4111111111111111"), pan("4111111111111129"));
    for format in [PinBlockFormat::Iso0, PinBlockFormat::Iso3, PinBlockFormat::Iso4] {
        let block = |pin: &[u8], pan: &Pan| {
            encipher(format, &PIN_KEY, &Pin::new(pin).expect("a PIN"), pan, &[7; 16]).expect("sound")
        };
        let (right, wrong, of_other) = (block(b"12345", &card), block(b"54321", &card), block(b"12345", &other));
        for like in [PinReference::Pvv { index: 1, value: *b"0000" }, PinReference::Offset(b"00000".to_vec())] {
            let asked = |block| PinUnderKey { format, block, key: &block_key };
            let reference = module.refer_to_pin(asked(&right), &card, &key, &like).expect("sound");
            let verify = |block| module.verify_pin(asked(block), &card, &key, &reference);
            assert_eq!(verify(&right), Ok(true), "{format:?}");
            assert_eq!(verify(&wrong), Ok(false), "{format:?}");
            assert_ne!(verify(&of_other), Ok(true), "{format:?}");
            assert_eq!(verify(&right[1..]), Err(SecurityError::PinBlock), "{format:?}");
        }
    }
}

/// Guards against a key that serves another purpose than it was wrapped for, or that another module wrapped.
#[test]
fn keys_are_of_one_module_and_one_purpose() {
    let (ours, theirs) = (module(1), module(2));
    let key = ours.wrap(Purpose::Mac, &[3; 16]).expect("a key");
    let code = ours.authenticate(&key, b"a message").expect("our key");
    assert_eq!(ours.is_authentic(&key, b"a message", &code), Ok(true));
    assert_eq!(ours.is_authentic(&key, b"a massage", &code), Ok(false));
    assert_eq!(ours.is_authentic(&key, b"a message", &code[1..]), Ok(false));
    assert_eq!(theirs.authenticate(&key, b"a message"), Err(SecurityError::Unwrap));
    let as_another = WrappedKey { purpose: Purpose::Cvv, ..key.clone() };
    let card = CardData { pan: &pan("4111111111111111"), expiry: b"2912", service: b"101" };
    assert_eq!(ours.verify_cvv(&key, card, b"123"), Err(SecurityError::Unwrap));
    assert_eq!(ours.verify_cvv(&as_another, card, b"123"), Err(SecurityError::Unwrap), "the purpose is bound");
    let mut damaged = key;
    damaged.bytes[5] ^= 1;
    assert_eq!(ours.authenticate(&damaged, b"a message"), Err(SecurityError::Unwrap));
    assert_eq!(ours.wrap(Purpose::Mac, &[3; 15]), Err(SecurityError::Key));
}

/// Guards against a CVV of another expiry, and against secrets that are printed.
#[test]
fn cvvs_are_verified_and_secrets_not_printed() {
    let module = module(1);
    let key = module.wrap(Purpose::Cvv, &[9; 16]).expect("a key");
    let number = pan("4111111111111111");
    let card = CardData { pan: &number, expiry: b"2912", service: b"101" };
    let value = cvv(&[9; 16], &number, b"2912", b"101").expect("sound");
    assert_eq!(module.verify_cvv(&key, card, &value), Ok(true));
    assert_eq!(module.verify_cvv(&key, CardData { expiry: b"3001", ..card }, &value), Ok(false));
    assert!(matches!(
        module.verify_cvv(&key, CardData { service: b"1", ..card }, &value),
        Err(SecurityError::Digits(_))
    ));
    assert_eq!(format!("{number:?} {:?}", Pin::new(b"1234")), "Pan Ok(Pin)");
    assert!(format!("{module:?}").starts_with("SoftwareModule { master: Master, "));
}

/// Guards against a covered number that is told to another issuer as another's, or taken for one that it is not.
#[test]
fn numbers_are_covered_and_told_again() {
    let (module, purpose) = (module(1), Purpose::Cover);
    let (key, other) = (module.wrap(purpose, &[5; 16]).expect("a key"), module.wrap(purpose, &[6; 16]).expect("a key"));
    let of_token = module.wrap(Purpose::Token, &[5; 16]).expect("a key");
    let mut seen = std::collections::BTreeSet::new();
    for digits in ["411111111111", "4111111111111111", "4111111111111111000", "0000000000000000"] {
        let covered = module.cover(&key, &pan(digits)).expect("a number");
        let told = module.uncover(&key, covered).expect("its number");
        assert_eq!(
            module.token(&of_token, &told),
            module.token(&of_token, &pan(digits)),
            "{digits}: it is that number"
        );
        assert_eq!(module.cover(&key, &pan(digits)), Ok(covered), "it is the card's token: always the same");
        assert!(seen.insert(covered), "{digits}: as another");
        assert!(module.uncover(&other, covered).is_err(), "{digits}: another key");
        for bit in 0..128 {
            let mut damaged = covered;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(module.uncover(&key, damaged).is_err(), "{digits}: bit {bit}");
        }
    }
    assert!(module.cover(&of_token, &pan("4111111111111111")).is_err(), "a key of another purpose");
}

/// Guards against a PIN that another issuer cannot read, or that changes on its way to it.
#[test]
fn pins_are_translated_to_the_key_of_another() {
    let module = module(1);
    let wrap = |key: &[u8; 16]| module.wrap(Purpose::PinBlock, key).expect("a key");
    let (ours, theirs, card) = (wrap(&PIN_KEY), wrap(b"a key of another"), pan("4111111111111111"));
    let verification = module.wrap(Purpose::PinVerification, &VERIFICATION_KEY).expect("a key");
    let formats = [PinBlockFormat::Iso0, PinBlockFormat::Iso3, PinBlockFormat::Iso4];
    for (from, to) in formats.into_iter().flat_map(|from| formats.map(|to| (from, to))) {
        let block = encipher(from, &PIN_KEY, &Pin::new(b"12345").expect("a PIN"), &card, &[7; 16]).expect("sound");
        let under = PinUnderKey { format: from, block: &block, key: &ours };
        let like = PinReference::Pvv { index: 1, value: *b"0000" };
        let reference = module.refer_to_pin(under, &card, &verification, &like).expect("sound");
        let under = PinUnderKey { format: from, block: &block, key: &ours };
        let translated = module.translate_pin(under, &card, to, &theirs).expect("sound");
        let there = |key| PinUnderKey { format: to, block: &translated, key };
        assert_eq!(module.verify_pin(there(&theirs), &card, &verification, &reference), Ok(true), "{from:?} to {to:?}");
        assert_ne!(module.verify_pin(there(&ours), &card, &verification, &reference), Ok(true), "{from:?} to {to:?}");
    }
}
