//! Boards of elections that an engine held: they verify, and whatever is changed on them is found.

mod support;

use ringfence::board::tree::{Proof, Tree};
use ringfence::board::{Board, Entry, Seal};
use ringfence_domains::workloads::find;
use std::path::Path;
use std::process::Command;
use support::{Load, Place, program, send, size};

const ROOM: &str = "
[snapshot]
interval_seconds = 0
";

/// What `ringfence votes` with these arguments says, or why it fails.
fn votes(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program());
    let output = command.arg("votes").args(arguments).output().expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it says text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn write(path: &Path, lines: &[String], sealed: bool) {
    let seal = Seal { root: Tree::of(lines).root(), entries: lines.len() as u64 };
    let mut text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    if sealed {
        text += &serde_json::to_string(&seal).expect("it is written");
    }
    std::fs::write(path, text).expect("it is written");
}

/// Guards against a board that leaves out or adds what the engine decided, and against changes of one that nobody finds.
#[test]
fn boards_verify_and_changed_ones_do_not() {
    let place = Place::new(1, ROOM);
    let engine = place.engine();
    let config = place.config(1, engine.address());
    let workload = find("votes", "conducted").expect("a known workload").new;
    send(config, &mut *workload(7, 1), size(1_500, 5_000), &Load::default(), |_| Vec::new()).expect("it is answered");
    engine.stop().expect("the engine stops cleanly");
    let (journal, path) = (place.journal(), place.path().join("board.jsonl"));
    let (journal, file) = (journal.to_str().expect("a path"), path.to_str().expect("a path"));
    let (mut verified, mut changed, mut proved) = (0, 0, 0);
    for election in 1..=size(16, 60) {
        let board = votes(&["publish", journal, "--election", &election.to_string()]).expect("it is published");
        std::fs::write(&path, &board).expect("it is written");
        let said = votes(&["verify", file]).unwrap_or_else(|error| panic!("election {election}: {error}\n{board}"));
        assert!(said.contains("all as published"), "{said}");
        verified += 1;
        let board = Board::read(&path).expect("it is a board");
        proved += prove(&board);
        for (at, entry) in board.entries.iter().enumerate() {
            if let Some(other) = another(entry) {
                // With a new root over it, only counting again can find it.
                let mut lines = board.lines.clone();
                lines[at] = serde_json::to_string(&other).expect("it is written");
                write(&path, &lines, true);
                let error = votes(&["verify", file]).expect_err("a changed board");
                assert!(error.contains("line "), "election {election}: {error}");
                let error = votes(&["verify", file, "--root", &board.seal.root]).expect_err("another root");
                assert!(error.contains("which is not the expected one"), "{error}");
                changed += 1;
                break;
            }
        }
        let mut lines = board.lines.clone();
        lines.swap(0, 1);
        lines.push(serde_json::to_string(&board.seal).expect("it is written"));
        std::fs::write(&path, lines.join("\n")).expect("it is written");
        assert!(votes(&["verify", file]).expect_err("swapped lines").contains("a line was changed"));
        write(&path, &board.lines, false);
        assert!(votes(&["verify", file]).expect_err("no root").contains("cut off"));
    }
    println!("proved: {verified} boards, {changed} changes found, {proved} proofs");
    assert!(changed > verified / 2 && proved > 100, "{changed} changes, {proved} proofs: that is no election");
}

/// The entry with something else in it that a recount must find; none where it may say the same.
fn another(entry: &Entry) -> Option<Entry> {
    match entry.clone() {
        Entry::Said { template, mut body } if template == "StageCounted" => {
            let total = body["total"].as_u64().expect("a number");
            body.insert("total".into(), (total + 1).into());
            Some(Entry::Said { template, body })
        }
        Entry::Replaced { receipt, marks, .. } => Some(Entry::Replaced { receipt, of: receipt + 1, marks }),
        _ => None,
    }
}

/// Proves every ballot and every beginning, and that nothing else is proved; gives how many proofs there were.
fn prove(board: &Board) -> usize {
    let tree = Tree::of(&board.lines);
    let mut proofs = 0;
    for ballot in board.ballots().expect("receipts are sound") {
        let proof = tree.inclusion(ballot.line);
        proof.check().expect("a ballot on the board");
        let Proof::Inclusion { line, index, entries, root, hashes } = proof else { unreachable!("it is of a line") };
        assert_eq!(root, board.seal.root);
        let forged = line.replacen("\"weight\":", "\"weight\":1", 1).replacen("\"of\":", "\"of\":1", 1);
        let forged = Proof::Inclusion { line: forged, index, entries, root, hashes };
        assert!(forged.check().is_err(), "a ballot that says something else");
        proofs += 1;
    }
    for old in 1..=board.seal.entries {
        let proof = tree.consistency(old).expect("it has as many entries");
        proof.check().expect("a board that grew");
        let Proof::Consistency { old_entries, old_root, entries, root, hashes } = proof else {
            unreachable!("it is of a beginning")
        };
        let other = if old > 1 { Tree::of(&board.lines[1..old as usize]).root() } else { "00".repeat(32) };
        assert_ne!(old_root, other);
        let forged = Proof::Consistency { old_entries, old_root: other, entries, root, hashes };
        assert!(forged.check().is_err(), "a board that began otherwise");
        proofs += 1;
    }
    proofs
}

/// Guards against commands that say something else than the library proves, and arguments that are taken for others.
#[test]
fn proofs_exports_and_samples_are_printed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("board.jsonl");
    let cast = |receipt: u64, marks: Vec<(u16, u32)>| Entry::Cast { receipt, weight: 1, region: 0, marks };
    let entries = [cast(1, vec![(2, 1), (1, 2)]), cast(4, vec![]), cast(6, vec![(1, 1)]), Entry::Spoilt { receipt: 1 }];
    let lines = entries.iter().map(|entry| serde_json::to_string(entry).expect("it is written")).collect::<Vec<_>>();
    write(&path, &lines, true);
    let file = path.to_str().expect("a path");
    assert_eq!(votes(&["export", file]).as_deref(), Ok("receipt,weight,region,1\n4,1,0,\n6,1,0,1\n"));
    // echo -n seed,4 | sha256sum, and of seed,6
    let sample = votes(&["sample", file, "--seed", "seed", "--count", "2"]).expect("it draws");
    let drawn = sample.lines().map(|line| line.split(' ').nth(1).expect("a receipt")).collect::<Vec<_>>();
    let mut tickets = sample.lines().map(|line| line.split(' ').next().expect("a ticket")).collect::<Vec<_>>();
    assert_eq!(drawn.len(), 2);
    assert!(tickets.is_sorted());
    tickets.sort_unstable();
    assert!(votes(&["sample", file, "--seed", "seed", "--count", "3"]).is_err_and(|error| error.contains("2 ballots")));
    let proof = votes(&["prove", file, "--receipt", "4"]).expect("it proves");
    let proof_file = dir.path().join("proof.json");
    std::fs::write(&proof_file, &proof).expect("it is written");
    let root = Tree::of(&lines).root();
    let checked = votes(&["check", proof_file.to_str().expect("a path"), "--root", &root]).expect("it holds");
    assert_eq!(checked.trim(), lines[1]);
    let other = "00".repeat(32);
    assert!(votes(&["check", proof_file.to_str().expect("a path"), "--root", &other]).is_err());
    assert!(votes(&["prove", file, "--receipt", "1"]).is_err_and(|error| error.contains("no ballot with receipt 1")));
    assert!(votes(&["prove", file, "--since", "5"]).is_err_and(|error| error.contains("cannot begin with 5")));
    assert!(votes(&["verify", file]).is_err_and(|error| error.contains("does not say the terms")));
}
