//! One file, one command.

pub mod demo;
pub mod doctor;
pub mod feed;
pub mod iso8583;
pub mod journal;
pub mod openrtb;
pub mod replay;
mod scenes;
pub mod serve;
pub mod snapshot;
pub mod tokens;
pub mod top;
pub mod votes;

use anyhow::ensure;
use ringfence_client::Client;
use ringfence_domains::matching::messages::Event;
use ringfence_kernel::image::{flag, kind};
use std::time::{Duration, Instant};

/// Takes in one snapshot, to its end.
fn take_snapshot(client: &mut Client, mut part: impl FnMut(Event<'_>)) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let Some(output) = client.poll(Duration::from_millis(100))? else { continue };
        ensure!(output.header.kind != kind::REJECT, "the subscription was refused: {:?}", output.rejected());
        if output.header.kind == kind::SNAPSHOT && output.header.flags & flag::LAST != 0 {
            return Ok(());
        }
        if output.header.kind == kind::SNAPSHOT {
            part(output.decode()?);
        }
    }
    anyhow::bail!("no snapshot came")
}
