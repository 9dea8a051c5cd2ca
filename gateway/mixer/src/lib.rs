//! Tokens for anonymous ballots, the registrar that signs them, and the mixer that casts what they say.
#![doc = include_str!("../README.md")]

pub mod mixer;
pub mod registrar;
pub mod token;

/// Bytes of a line at most.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes written in hexadecimal.
///
/// # Errors
/// When they are not.
fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    anyhow::ensure!(digits, "{} characters are no bytes in hexadecimal", text.len());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).map_err(anyhow::Error::from);
    (0..text.len()).step_by(2).map(byte).collect()
}
