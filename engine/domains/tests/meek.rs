//! Meek's method beside another counter of it, `stv-rs`: 10,000 random elections, equal in every count of every round to
//! the last digit that it prints.

mod booth;
#[path = "booth/published.rs"]
mod published;

use booth::Booth;
use published::{Stage, stages};
use ringfence_domains::votes::messages::{
    CandidateId, DefineElection, EarlierStages, MEEK_VOTE, Mark, Method, Standing, TieBreak,
};
use ringfence_domains::votes::workload;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use stv_rs::arithmetic::{FixedDecimal9, Integer64};
use stv_rs::cli::Parallel;
use stv_rs::meek::stv_droop;
use stv_rs::types::{Ballot, Candidate, Election};

/// A weight and candidates, most wanted first.
type Paper = (u32, Vec<u16>);

/// Few papers, so that ties are common; every size from one candidate for one seat.
fn papers(random: &mut Random, candidates: u16) -> Vec<Paper> {
    let count = 1 + random.below(40);
    let paper = |random: &mut Random| {
        let mut left: Vec<u16> = (1..=candidates).collect();
        let length = random.below(u64::from(candidates) + 1);
        let ranked = (0..length).map(|_| {
            // The first are favourites.
            let (a, b) = (random.below(left.len() as u64), random.below(left.len() as u64));
            left.remove(a.min(b) as usize)
        });
        let ranked = ranked.collect();
        (if random.percent(30) { 1 + random.below(20) as u32 } else { 1 }, ranked)
    };
    (0..count).map(|_| paper(random)).collect()
}

/// What is printed of a round: quota, residual, and who has what.
#[derive(Debug, Default)]
struct Round {
    quota: u64,
    residual: u64,
    votes: Vec<u64>,
}

/// Units of 10⁻⁹ of what was printed.
fn units(text: &str) -> u64 {
    let (whole, part) = text.trim_matches(['(', ')']).split_once('.').expect("a number with decimals");
    assert_eq!(part.len(), 9, "{text}");
    whole.parse::<u64>().expect("a number") * MEEK_VOTE + part.parse::<u64>().expect("a number")
}

/// The rounds that were printed: each as its last full table has it.
fn rounds(printed: &str, candidates: u16) -> Vec<Round> {
    let mut rounds = Vec::new();
    for text in printed.split("Round ").skip(1) {
        // Once seats or candidates run out the rest is settled without a round.
        let text = text.split("Action: Elect remaining").next().expect("a first part");
        let text = text.split("Action: Defeat remaining").next().expect("a first part");
        let tables =
            text.split("Action: ").filter(|table| table.starts_with("Elect: ") || table.starts_with("Defeat ("));
        let table = tables.last().expect("a round elects or defeats");
        let mut round = Round { votes: vec![0; candidates.into()], ..Round::default() };
        for line in table.lines().skip(1).map(str::trim) {
            let (what, rest) = line.split_once(':').unwrap_or((line, ""));
            match what {
                "Elected" | "Hopeful" | "Defeated" => {
                    let (names, votes) = rest.trim().rsplit_once(' ').expect("names and votes");
                    for name in names.split(", ") {
                        let number: usize = name[1..].parse().expect("a candidate");
                        round.votes[number - 1] = units(votes);
                    }
                }
                "Quota" => round.quota = units(rest.trim()),
                "Residual" => round.residual = units(rest.trim()),
                _ => {}
            }
        }
        rounds.push(round);
    }
    rounds
}

fn theirs(papers: &[Paper], candidates: u16, seats: u16) -> (Vec<Round>, Vec<usize>) {
    let ballot = |(weight, ranked): &Paper| {
        Ballot::new(*weight as usize, ranked.iter().map(|candidate| [usize::from(*candidate) - 1]))
    };
    // Of the tied the last in number is excluded first.
    let order: Vec<usize> = (0..candidates.into()).rev().collect();
    let election = Election::builder()
        .title("election")
        .num_seats(seats.into())
        .candidates((1..=candidates).map(|number| Candidate::new(format!("c{number}"), false)).collect::<Vec<_>>())
        .ballots(papers.iter().map(ballot).collect::<Vec<_>>())
        .tie_order(order)
        .build();
    let mut printed = Vec::new();
    let serial = Parallel::No;
    let result =
        stv_droop::<Integer64, FixedDecimal9>(&mut printed, &election, "", 6, serial, None, true, false, false);
    let mut elected = result.expect("it counts").elected;
    elected.sort_unstable();
    (rounds(&String::from_utf8(printed).expect("text"), candidates), elected)
}

fn ours(papers: &[Paper], candidates: u16, seats: u16) -> Vec<Stage> {
    let terms = DefineElection {
        tie_break: TieBreak::Order.into(),
        earlier_stages: EarlierStages::Ignored.into(),
        ..workload::terms(1, Method::Meek, candidates, seats, papers.len() as u32)
    };
    let mark = |(value, candidate): (u32, &u16)| {
        let candidate = CandidateId(*candidate);
        Mark { value, candidate, reserved: Reserved::default() }
    };
    let papers: Vec<_> =
        papers.iter().map(|(weight, ranked)| (*weight, (1..).zip(ranked).map(mark).collect())).collect();
    stages(&Booth::conduct(&terms, &papers).1).0
}

/// Guards against keep values, quotas or exclusions by Meek that differ from another counter's by a unit.
#[test]
fn meek_counts_are_those_of_another_counter() {
    for seed in 0..10_000 {
        let mut random = Random::new(seed);
        let candidates = 1 + random.below(9) as u16;
        let seats = 1 + random.below(candidates.into()) as u16;
        let papers = papers(&mut random, candidates);
        let (rounds, elected) = theirs(&papers, candidates, seats);
        let stages = ours(&papers, candidates, seats);
        let case = format!("seed {seed}: {seats} of {candidates} by {papers:?}");
        // The stage after the last exclusion, when there is a seat for each who is left, it does not print.
        assert!([rounds.len(), rounds.len() + 1].contains(&stages.len()), "{} stages, {case}", stages.len());
        for (number, (stage, round)) in (1..).zip(stages.iter().zip(&rounds)) {
            assert_eq!(stage.votes, round.votes, "votes of round {number}, {case}");
            assert_eq!((stage.quota, stage.exhausted), (round.quota, round.residual), "round {number}, {case}");
        }
        let standing = stages.last().expect("a first stage").standing.iter();
        let seated = standing.enumerate().filter(|(_, standing)| **standing == Standing::Elected).map(|(at, _)| at);
        assert_eq!(seated.collect::<Vec<_>>(), elected, "{case}");
    }
}
