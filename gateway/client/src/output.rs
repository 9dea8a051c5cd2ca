//! What the gateway hands out.

use crate::error::Error;
use ringfence_kernel::image::{OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, OutputHeader, kind};
use ringfence_kernel::messages::Message;
use ringfence_kernel::wire::{Notice, Rejected};
use ringfence_kernel::{Malformed, RequestId};

/// One output image, seen in place.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Its header. `kind` says which of the domain's messages the body is.
    pub header: OutputHeader,
    /// Its body, on an 8-byte boundary.
    pub body: &'a [u8],
}

impl<'a> Output<'a> {
    /// The body as a message of `M`.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    #[inline]
    pub fn decode<M: Message<'a>>(&self) -> Result<M, Malformed> {
        M::decode(self.header.message, self.body)
    }

    /// Why the request was refused; none when this is not a refusal.
    #[must_use]
    pub fn rejected(&self) -> Option<Rejected> {
        match self.header.kind == kind::REJECT {
            true => match self.decode() {
                Ok(Notice::Rejected(rejected)) => Some(*rejected),
                _ => None,
            },
            false => None,
        }
    }
}

/// The answer to one request, kept.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    header: OutputHeader,
    body: [u64; (OUTPUT_BYTES_MAX - OUTPUT_HEADER_BYTES) / 8],
}

impl Answer {
    pub(crate) fn of(output: Output<'_>) -> Self {
        let mut answer = Self { header: output.header, body: [0; _] };
        bytemuck::cast_slice_mut(&mut answer.body)[..output.body.len()].copy_from_slice(output.body);
        answer
    }

    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.header.request
    }

    /// The answer as it came.
    #[must_use]
    pub fn output(&self) -> Output<'_> {
        let bytes = usize::from(self.header.length) - OUTPUT_HEADER_BYTES;
        Output { header: self.header, body: &bytemuck::cast_slice(&self.body)[..bytes] }
    }

    /// The reply.
    ///
    /// # Errors
    /// [`Error::Refused`] when the command was refused, [`Error::Malformed`] when the reply is not one of `M`.
    pub fn reply<'a, M: Message<'a>>(&'a self) -> Result<M, Error> {
        let output = self.output();
        match output.rejected() {
            Some(rejected) => Err(Error::Refused { code: rejected.code }),
            None => Ok(output.decode()?),
        }
    }
}
