//! An hour of a real exchange through the engine, over TCP.

mod support;

use ringfence::commands::feed::feed;
use ringfence::proof::{check, check_snapshot};
use ringfence_domains::matching::messages::InstrumentId;
use std::path::{Path, PathBuf};
use support::Place;

/// The LOBSTER message file among the shared data, or none.
fn message_file() -> Option<PathBuf> {
    let data = std::env::var_os("RINGFENCE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let files = std::fs::read_dir(data.join("matching/lobster")).ok()?;
    let mut files = files.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>();
    files.sort();
    files.into_iter().find(|file| file.to_string_lossy().contains("_message_"))
}

/// Guards against matching that is right by its own twin and wrong by a real exchange: every entry, cancel and
/// execution of the file must be answered as the file says, outside the classes named before.
#[test]
fn prove_lobster_hour_has_no_mismatch() {
    let Some(file) = message_file() else {
        println!("SKIPPED: no LOBSTER file in ../shared/data/matching/lobster or $RINGFENCE_DATA/matching/lobster");
        return;
    };
    let place = Place::new(1, "[snapshot]\ninterval_seconds = 0\n");
    let engine = place.engine();
    let report = feed(&file, place.config(1, engine.address()), InstrumentId(1)).expect("the file is fed");
    engine.stop().expect("the engine stops cleanly");

    assert!(report.mismatches.is_empty(), "mismatches by class: {:?}", report.mismatches);
    assert_eq!(report.mismatches_seeded, 0, "mismatches on seeded orders");
    let skipped = report.skipped.keys().copied().collect::<Vec<_>>();
    assert!(skipped.iter().all(|class| [5, 7].contains(class)), "left out: {skipped:?}");
    let rows: u64 = report.rows.values().sum();
    assert!(rows > 50_000 && report.trades > 1_000, "{rows} rows, {} trades: that is no hour", report.trades);
    let proof = check(&place.journal(), [].iter()).expect("the journal replays");
    check_snapshot(&place.journal(), &proof.machine).expect("replay and engine agree");
    println!(
        "proved: {rows} messages, {} trades, {} seeded, {} out of turn, no mismatch, {:.2} s",
        report.trades,
        report.seeded,
        report.out_of_turn,
        report.elapsed.as_secs_f64()
    );
}
