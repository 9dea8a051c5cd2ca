//! Messages in a stream of bytes: a length, then a message.

use serde::Deserialize;

/// How the length is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// Two bytes, the higher first.
    #[default]
    TwoBytes,
    /// Four bytes, the highest first.
    FourBytes,
    /// Four ASCII digits.
    FourDigits,
}

/// The stream is not what it should be; nothing that follows can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is not four digits.
    #[error("a frame's length is not four digits")]
    NotDigits,
    /// The length is zero, or more than a message may be.
    #[error("a frame of {0} bytes")]
    Length(usize),
}

impl Framing {
    /// The most bytes of a message.
    pub const MOST: usize = 9_999;

    const fn bytes(self) -> usize {
        match self {
            Self::TwoBytes => 2,
            Self::FourBytes | Self::FourDigits => 4,
        }
    }

    /// The message at the front of `stream`, and the bytes that its frame takes; none when it is not there in full.
    ///
    /// # Errors
    /// [`FrameError`] when no message can be there.
    pub fn split(self, stream: &[u8]) -> Result<Option<(&[u8], usize)>, FrameError> {
        let Some((head, rest)) = stream.split_at_checked(self.bytes()) else { return Ok(None) };
        let length = match self {
            Self::TwoBytes | Self::FourBytes => head.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            Self::FourDigits if !head.iter().all(u8::is_ascii_digit) => return Err(FrameError::NotDigits),
            Self::FourDigits => head.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0')),
        };
        if length == 0 || length > Self::MOST {
            return Err(FrameError::Length(length));
        }
        Ok(rest.get(..length).map(|message| (message, self.bytes() + length)))
    }

    /// Writes `message` behind its length.
    ///
    /// # Errors
    /// [`FrameError::Length`] when it is empty or longer than a message may be.
    pub fn write(self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.is_empty() || message.len() > Self::MOST {
            return Err(FrameError::Length(message.len()));
        }
        match self {
            Self::TwoBytes => out.extend_from_slice(&(message.len() as u16).to_be_bytes()),
            Self::FourBytes => out.extend_from_slice(&(message.len() as u32).to_be_bytes()),
            Self::FourDigits => out.extend_from_slice(format!("{:04}", message.len()).as_bytes()),
        }
        out.extend_from_slice(message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against messages that run into each other, or are taken before they are there.
    #[test]
    fn messages_are_split_where_they_were_joined() {
        for framing in [Framing::TwoBytes, Framing::FourBytes, Framing::FourDigits] {
            let mut stream = Vec::new();
            framing.write(b"first", &mut stream).expect("it is short");
            framing.write(&[7; 300], &mut stream).expect("it is short");
            let (first, taken) = framing.split(&stream).expect("sound").expect("whole");
            assert_eq!(first, b"first");
            assert_eq!(framing.split(&stream[taken..]), Ok(Some((&[7; 300][..], stream.len() - taken))));
            for cut in taken..stream.len() {
                assert_eq!(framing.split(&stream[taken..cut]), Ok(None), "{framing:?} cut at {cut}");
            }
            assert_eq!(framing.write(&[], &mut stream), Err(FrameError::Length(0)));
            assert_eq!(framing.write(&[0; 10_000], &mut stream), Err(FrameError::Length(10_000)));
        }
        assert_eq!(Framing::FourDigits.split(b"00x1a"), Err(FrameError::NotDigits));
        assert_eq!(Framing::TwoBytes.split(&[0, 0]), Err(FrameError::Length(0)));
        assert_eq!(Framing::FourBytes.split(&[255; 4]), Err(FrameError::Length(u32::MAX as usize)));
        assert_eq!(Framing::TwoBytes.split(&[255, 255]), Err(FrameError::Length(65_535)));
    }
}
