//! Message authentication: the code is the last field, 64 or 128, and is over all that stands before it.

use super::refusal::Refusal;
use crate::layout::{Bits, Layout};
use crate::message::{Error, Message};
use crate::security::{SecurityModule, WrappedKey};

/// The field of the code, if the message has one.
fn field(message: &Message) -> Option<u8> {
    [128, 64].into_iter().find(|field| message.get(*field).is_some())
}

fn tail(layout: &Layout) -> usize {
    if layout.encodings.binaries == Bits::Hex { 16 } else { 8 }
}

/// Whether the message has a code.
///
/// # Errors
/// [`Refusal::Mac`] when it is not that of the message under the key, or something follows it.
pub(crate) fn check(
    message: &Message,
    bytes: &[u8],
    layout: &Layout,
    module: &impl SecurityModule,
    key: &WrappedKey,
) -> Result<bool, Refusal> {
    let Some(field) = field(message) else { return Ok(false) };
    let is_last = message.fields().last().is_some_and(|(last, _)| last == field);
    let (over, code) = (bytes.len().checked_sub(tail(layout)), message.get(field).unwrap_or_default());
    let authentic = match over {
        Some(over) if is_last && code.len() == 8 => module.is_authentic(key, &bytes[..over], code)?,
        _ => false,
    };
    if authentic { Ok(true) } else { Err(Refusal::Mac) }
}

/// Writes a message, with a code under `key` when there is one.
///
/// # Errors
/// [`Error`] when a field cannot be written so.
pub(crate) fn write(
    message: &mut Message,
    layout: &Layout,
    module: &impl SecurityModule,
    key: Option<&WrappedKey>,
) -> Result<Vec<u8>, Error> {
    let Some(key) = key else { return message.encode(layout) };
    let field = if message.fields().any(|(field, _)| field > 64) { 128 } else { 64 };
    message.set(field, &[0; 8]);
    let bytes = message.encode(layout)?;
    let over = bytes.len() - tail(layout);
    let Ok(code) = module.authenticate(key, &bytes[..over]) else {
        message.remove(field);
        return message.encode(layout);
    };
    message.set(field, &code);
    message.encode(layout)
}
