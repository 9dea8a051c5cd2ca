//! The pipeline without threads: its parts go in an order that a seed chooses, over rings that are always too small.

mod common;

use common::crashes::size;
use common::histories::one_history;

/// Guards against a command that is cut, lost or decided otherwise because of where a batch ended, which part of the
/// pipeline went first, or which ring was full.
#[test]
fn prove_any_order_of_steps_gives_one_history() {
    let seeds = size(40, 2_000);
    let long = one_history(0..seeds);
    assert!(long as u64 > seeds, "{long} commands of several slots: hardly any");
    println!("proved: {seeds} seeds, {long} commands of several slots");
}
