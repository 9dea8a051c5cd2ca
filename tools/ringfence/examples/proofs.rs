//! How long proofs on a board of 10⁶ lines take, made and checked, and how long a mixer takes to check the signature of a
//! token: `cargo run --release -p ringfence --example proofs`. Reading the board and hashing it are not in it.
#![allow(clippy::print_stdout, reason = "a command's edge")]

use ringfence::board::tree::{Proof, Tree};
use ringfence_kernel::random::Random;
use ringfence_mixer::token::{self, Blinded, Checking, Signing};
use std::time::{Duration, Instant};

const LINES: u64 = 1_000_000;
const PROOFS: usize = 100_000;
const CHECKS: usize = 10_000;

fn main() {
    let lines: Vec<String> =
        (1..=LINES).map(|receipt| format!("{{\"receipt\":{receipt},\"marks\":[[3,1],[1,2]]}}")).collect();
    let tree = Tree::of(&lines);
    let mut random = Random::new(1);
    time("that a line is on the board", || tree.inclusion(random.below(LINES) as usize));
    time("that the board only grew", || tree.consistency(1 + random.below(LINES)).expect("it has as many lines"));
    tokens();
}

/// Has a token signed, and checks it many times.
fn tokens() {
    const ELECTION: u32 = 1;
    let (secret, public) = token::keys(2_048).expect("a pair");
    let (secret, public) = (Signing::from_pem(&secret).expect("a key"), Checking::from_pem(&public).expect("a key"));
    let blinded = Blinded::new(ELECTION, &public).expect("a token");
    let bytes = base16ct::lower::decode_vec(&blinded.blinded).expect("hexadecimal");
    let signature = secret.blind_sign(bytes).expect("a signature");
    let signed = blinded.unblind(&public, &base16ct::lower::encode_string(&signature)).expect("it is signed");
    let took = (0..CHECKS).map(|_| {
        let begun = Instant::now();
        signed.check(ELECTION, &public).expect("it is a signature of the token");
        begun.elapsed()
    });
    say("signatures of tokens, RSA of 2048 bits, checked", took.collect());
}

/// Makes proofs and checks them, and says what that took.
fn time(what: &str, mut prove: impl FnMut() -> Proof) {
    let (mut made, mut checked) = (Vec::with_capacity(PROOFS), Vec::with_capacity(PROOFS));
    for _ in 0..PROOFS {
        let begun = Instant::now();
        let proof = prove();
        made.push(begun.elapsed());
        let begun = Instant::now();
        proof.check().expect("a proof proves");
        checked.push(begun.elapsed());
    }
    say(&format!("{what}, made"), made);
    say(&format!("{what}, checked"), checked);
}

fn say(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}, worst {:?}", at(50), at(90), at(99), at(100));
}
