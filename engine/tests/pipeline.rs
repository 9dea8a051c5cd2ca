//! The pipeline from ring to ring: every layout, replay, restart, back-pressure.

mod common;

use common::{EPOCH, Setup, engine_on, flow, open_session};
use ringfence_domains::Domains;
use ringfence_domains::workloads::find;
use ringfence_engine::config::Durability;
use ringfence_engine::layout::Layout;
use ringfence_engine::replay::{Blind, From, replay};
use ringfence_engine::testing::with_journal_options;
use ringfence_engine::{Machine, snapshots};
use ringfence_journal::{Disk, JournalId, Options};
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::wire::Rejected;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{OutputHeader, RequestId, Sequence, SessionId, Timestamp};

fn normal(count: u64) -> Vec<CommandImage> {
    let mut workload = (find("matching", "normal").expect("the workload exists").new)(42, 8);
    flow(&mut *workload, 8, 1, 1, count, EPOCH)
}

fn fingerprint(machine: &Machine<Domains>) -> (Sequence, u64, u64) {
    (machine.sequence(), machine.state_hash(), machine.chain())
}

/// Guards against a decision that depends on which thread made it, how it was batched, or whether it was replayed: one
/// log gives one hash and one output chain.
#[test]
fn every_layout_and_replay_give_one_history() {
    let mut seen = Vec::new();
    for layout in [Layout::Fused, Layout::Split, Layout::Staged] {
        for (level, drain) in [(Durability::Cached, 4096), (Durability::Cached, 128), (Durability::Fsync, 4096)] {
            let dir = tempfile::tempdir().expect("a directory");
            let setup = Setup { layout, level, drain, ..Setup::default() };
            // The journal's id seeds hash and chain: it is the same for all.
            let options = Options { level: level.into(), id: Some(JournalId(0x51ED)), ..Options::default() };
            let drained = with_journal_options(&options, || engine_on(dir.path(), &setup, normal(20_000), EPOCH));
            drained.writer.close().expect("the journal closes");
            let live = fingerprint(&drained.machine);
            let storage = Disk::handle();
            let replayed =
                replay::<Domains>(&storage, dir.path(), From::Genesis, None, &mut Blind).expect("it replays");
            assert_eq!(live, fingerprint(&replayed.machine), "replay of {layout:?} {level:?}");

            let half = Some(Sequence(live.0.0 / 2));
            let middle = replay::<Domains>(&storage, dir.path(), From::Genesis, half, &mut Blind).expect("it replays");
            snapshots::write(&middle.machine, &storage, dir.path()).expect("a snapshot is written");
            let tail = replay::<Domains>(&storage, dir.path(), From::Snapshot, None, &mut Blind).expect("it replays");
            assert_eq!(Some(tail.from), half, "the snapshot is used");
            assert_eq!(live, fingerprint(&tail.machine), "snapshot and tail of {layout:?} {level:?}");
            seen.push((live, drained.front.outputs));
        }
    }
    for other in &seen[1..] {
        assert_eq!(seen[0].0, other.0, "two layouts gave different hashes or chains");
        assert!(seen[0].1 == other.1, "two layouts gave different outputs");
    }
}

fn header(output: &[u8]) -> OutputHeader {
    OutputHeader::read(output).expect("an output has a header")
}

fn answers(outputs: &[Vec<u8>]) -> Vec<&[u8]> {
    let answer = |output: &&Vec<u8>| matches!(header(output).kind, kind::REPLY | kind::REJECT);
    outputs.iter().filter(answer).map(Vec::as_slice).collect()
}

/// Guards against a request that is executed twice, or an answer that is forgotten, across a restart.
#[test]
fn a_resent_request_gets_its_original_answer_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let setup = Setup { reply_window: 64, ..Setup::default() };
    let frames = normal(1_000);
    let first = engine_on(dir.path(), &setup, frames.clone(), EPOCH);
    let before = answers(&first.front.outputs).iter().map(|output| output.to_vec()).collect::<Vec<_>>();
    let hash_of_domains = first.machine.domain_hashes().collect::<Vec<_>>();
    first.writer.close().expect("the journal closes");

    // Everything is sent again, each under its client's new session, and then one id that was never used.
    let mut again = (1..=8).map(|client| open_session(100 + client, client, EPOCH + 1)).collect::<Vec<_>>();
    again.extend(frames.iter().filter(|frame| frame.header().message.schema != 0).map(|frame| {
        let mut frame = frame.clone();
        let old = frame.header();
        frame.stamp(SessionId(100 + old.session.0), old.request, Timestamp(EPOCH + 2));
        frame
    }));
    let second = engine_on(dir.path(), &setup, again, EPOCH + 1);
    let after = answers(&second.front.outputs);
    assert_eq!(after.len(), before.len());
    let mut kept = [0; 9];
    let mut duplicates = 0;
    for (before, after) in before.iter().zip(&after).rev() {
        let (was, is) = (header(before), header(after));
        assert_eq!(was.request, is.request);
        let client = was.session.0 as usize;
        if kept[client] < 64 {
            kept[client] += 1;
            duplicates += 1;
            assert_eq!(is.flags & flag::DUPLICATE, flag::DUPLICATE, "a kept answer is marked");
            assert_eq!(
                (was.kind, was.sequence, was.timestamp, was.message),
                (is.kind, is.sequence, is.timestamp, is.message)
            );
            assert_eq!(before[48..], after[48..], "the original answer, to the byte");
        } else {
            assert_eq!(is.kind, kind::REJECT);
            assert_eq!(bytemuck::pod_read_unaligned::<Rejected>(&after[48..56]).code.0, 11, "TooOld");
        }
    }
    assert!(duplicates > 300, "the windows were full of answers");
    assert_eq!(hash_of_domains, second.machine.domain_hashes().collect::<Vec<_>>(), "nothing was executed twice");
    assert_eq!(second.machine.incarnation(), 2);
}

/// Guards against a gap in a client's ids being taken for an executed request.
#[test]
fn an_id_that_was_passed_over_is_not_sequenced() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut frames = normal(50);
    let last = frames.last().expect("there are frames").header();
    let mut jump = frames.last().expect("there are frames").clone();
    jump.stamp(last.session, RequestId(last.request.0 + 10), last.timestamp);
    let mut passed_over = jump.clone();
    passed_over.stamp(last.session, RequestId(last.request.0 + 5), last.timestamp);
    frames.extend([jump, passed_over]);
    let drained = engine_on(dir.path(), &Setup::default(), frames, EPOCH);
    let outputs = answers(&drained.front.outputs);
    let answer = outputs.last().expect("the last request is answered");
    assert_eq!(header(answer).kind, kind::REJECT);
    assert_eq!(bytemuck::pod_read_unaligned::<Rejected>(&answer[48..56]).code.0, 10, "NotSequenced");
}
