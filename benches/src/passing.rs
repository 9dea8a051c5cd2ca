//! What a client process saw, passed to the process that started it.
//!
//! On its standard output: sent, answered, refused, elapsed nanoseconds, each a little-endian word, then the corrected and
//! the uncorrected histogram, each behind a word with its length, in HdrHistogram's V2 encoding.

use crate::load::{Latency, Outcome};
use crate::subjects::wire::Client;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Starts this program again as `client` and waits for what it saw.
///
/// # Panics
/// When it cannot be started or does not do its work.
#[must_use]
pub fn ask(client: &Client) -> Outcome {
    let program = std::env::current_exe().expect("a program knows where it stands");
    let mut command = Command::new(program);
    // The command `ringfence` has its benches behind a word, the bench target has nothing else.
    if std::env::args().nth(1).as_deref() == Some("bench") {
        command.arg("bench");
    }
    let begun = SystemTime::now();
    let mut child = command.args(client.arguments()).stdout(Stdio::piped()).spawn().expect("a client can be started");
    let seen = read(&mut child.stdout.take().expect("it is a pipe"), begun);
    assert!(child.wait().expect("it is a child").success(), "the client process failed");
    seen.expect("the client says what it saw")
}

/// Says what was seen.
///
/// # Errors
/// When nobody listens.
pub fn tell(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Outcome { latency, sent, answered, refused } = outcome;
    for word in [*sent, *answered, *refused, latency.elapsed.as_nanos() as u64] {
        out.write_all(&word.to_le_bytes())?;
    }
    for histogram in [&latency.corrected, &latency.uncorrected] {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(histogram, &mut bytes).map_err(io::Error::other)?;
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(&bytes)?;
    }
    out.flush()
}

fn read(from: &mut impl Read, begun: SystemTime) -> io::Result<Outcome> {
    let [sent, answered, refused, elapsed] = [word(from)?, word(from)?, word(from)?, word(from)?];
    let (corrected, uncorrected) = (read_histogram(from)?, read_histogram(from)?);
    let elapsed = Duration::from_nanos(elapsed);
    Ok(Outcome { latency: Latency { corrected, uncorrected, begun, elapsed }, sent, answered, refused })
}

fn word(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_histogram(from: &mut impl Read) -> io::Result<Histogram<u64>> {
    let length = word(from)?;
    Deserializer::new().deserialize(&mut from.take(length)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Flight;

    /// Guards against a figure that changes on its way from the client: a field lost, two swapped.
    #[test]
    fn what_was_told_is_what_is_read() {
        let mut flight = Flight::new(4);
        flight.send(100, 150);
        flight.send(200, 210);
        flight.land(350);
        flight.land(1_000_000);
        flight.latency.elapsed = Duration::from_nanos(7);
        let told = Outcome { latency: flight.latency, sent: 3, answered: 2, refused: 1 };
        let mut bytes = Vec::new();
        tell(&told, &mut bytes).unwrap();
        let heard = read(&mut bytes.as_slice(), told.latency.begun).unwrap();
        assert_eq!((heard.sent, heard.answered, heard.refused), (3, 2, 1));
        assert_eq!(heard.latency.elapsed, told.latency.elapsed);
        assert!(heard.latency.corrected == told.latency.corrected);
        assert!(heard.latency.uncorrected == told.latency.uncorrected);
        assert!(heard.latency.corrected != heard.latency.uncorrected);
    }
}
