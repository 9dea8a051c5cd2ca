//! The journal alone: appends of 64-byte images, at each level.
//!
//! Excluded: rings, stages, who waits for the mark.

use ringfence_journal::{Disk, Level, Options, open};
use ringfence_kernel::workload::CommandImage;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use crate::subjects::ring::ping;

/// Nanoseconds a command, appended in batches of `batch`; at [`Level::Fsync`] each batch is made durable.
///
/// # Panics
/// When the journal cannot be written.
#[must_use]
pub fn append(level: Level, batch: u64, commands: u64) -> f64 {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { level, segment_bytes: 1 << 30, ..Options::default() };
    let mut writer = open(&Disk::handle(), dir.path(), &options).expect("a journal can be made").writer;
    let image: CommandImage = ping();
    let begun = Instant::now();
    for _ in 0..commands / batch {
        let bytes = batch as usize * image.bytes().len();
        let mut room = loop {
            match writer.begin(bytes).expect("the journal goes on") {
                Some(room) => break room,
                None => std::thread::yield_now(),
            }
        };
        (0..batch).for_each(|_| room.push(image.bytes()));
        room.commit(batch as u32);
        writer.sync().expect("the device takes it");
    }
    let elapsed = begun.elapsed().as_nanos() as f64 / (commands / batch * batch) as f64;
    writer.close().expect("the journal closes");
    elapsed
}

/// Nanoseconds of each `pwrite` of 4 KiB and `fdatasync` into a file that is written already: what the device asks for
/// durability.
///
/// # Errors
/// When the file cannot be written.
pub fn probe(dir: &Path, syncs: u64) -> io::Result<hdrhistogram::Histogram<u64>> {
    const PAGE: usize = 4096;
    let path = dir.join("probe");
    let file = File::create(&path)?;
    let page = [7; PAGE];
    let pages = 1024;
    for at in 0..pages {
        file.write_all_at(&page, at * PAGE as u64)?;
    }
    file.sync_all()?;
    let mut times = crate::load::histogram();
    for at in 0..syncs {
        let begun = Instant::now();
        file.write_all_at(&page, at % pages * PAGE as u64)?;
        file.sync_data()?;
        times.saturating_record(begun.elapsed().as_nanos() as u64);
    }
    std::fs::remove_file(path)?;
    Ok(times)
}
