//! The wards of a real election through the engine, over TCP: every ballot a command, every stage as it was published.

mod support;

use ringfence::proof::{check, check_snapshot};
use ringfence_client::{Client, Output};
use ringfence_domains::votes::messages::{
    Action, CandidateId, CastBallot, CastOutcome, Command, DefineElection, ElectionId, Event, Mark, Method, Phase,
    RegisterVoters, Reply, SetPhase, Standing, VoterEntry, VoterId,
};
use ringfence_domains::votes::workload::terms;
use ringfence_domains::votes::{Votes, topics};
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Domain as _, Topic};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{Place, size};

const ROOM: &str = "
[genesis.domains.votes]
elections = 256
voters = 1000000
ballots = 524288
marks = 4194304
[snapshot]
interval_seconds = 0
";

/// The wards among the shared data, or none.
fn wards() -> Option<PathBuf> {
    let data = std::env::var_os("RINGFENCE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    Some(data.join("votes/scotland")).filter(|folder| folder.join("wards.tsv").exists())
}

/// A ward: its ballots, and what was published of its count.
struct Ward {
    candidates: u16,
    seats: u16,
    names: Vec<String>,
    /// How many papers say what.
    papers: Vec<(u32, Vec<u16>)>,
    official: Vec<Column>,
}

/// What was published of a candidate.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    /// In units of 10⁻⁵, by stage.
    votes: Vec<u64>,
    elected_at: Option<u64>,
    excluded_after: Option<u64>,
    name: String,
}

fn ward(folder: &Path, blt: &str, official: &str) -> Ward {
    let text = String::from_utf8_lossy(&std::fs::read(folder.join("ballots").join(blt)).expect("a file")).to_string();
    let mut lines = text.lines();
    let numbers =
        |line: &str| line.split_whitespace().map(|word| word.parse().expect("a number")).collect::<Vec<u32>>();
    let head = numbers(lines.next().expect("a first line"));
    let papers = lines.by_ref().map(numbers).take_while(|line| line[0] != 0);
    let paper = |line: Vec<u32>| (line[0], line[1..line.len() - 1].iter().map(|at| *at as u16).collect());
    let papers = papers.map(paper).collect();
    let names = lines.take(head[0] as usize).map(ToString::to_string).collect();
    let json = std::fs::read(folder.join("official").join(official)).expect("a file");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    let mut columns: Vec<(String, Column)> = Vec::new();
    for row in json["Constituency"]["countGroup"].as_array().expect("a list") {
        let id = row["Candidate_Id"].to_string();
        if !columns.iter().any(|(known, _)| *known == id) {
            let name = format!("{} {}", row["Firstname"].as_str().unwrap_or(""), row["Surname"].as_str().unwrap_or(""));
            columns.push((id.clone(), Column { votes: Vec::new(), elected_at: None, excluded_after: None, name }));
        }
        let (_, column) = columns.iter_mut().find(|(known, _)| *known == id).expect("it was added");
        let votes = row["Total_Votes"].as_str().expect("votes");
        // Some files write whole numbers without their decimals.
        let (whole, part) = votes.split_once('.').unwrap_or((votes, ""));
        assert!(part.len() <= 5, "{votes}: five decimals at most");
        column.votes.push(format!("{whole}{part:0<5}").parse().expect("a number"));
        let stage = row["Occurred_On_Count"].as_u64();
        match row["Status"].as_str() {
            Some("Elected") => column.elected_at = stage,
            Some("Excluded") => column.excluded_after = stage,
            _ => {}
        }
    }
    let official = columns.into_iter().map(|(_, column)| column).collect();
    Ward { candidates: head[0] as u16, seats: head[1] as u16, names, papers, official }
}

/// What the engine said of an election.
#[derive(Default)]
struct Said {
    ballots: u64,
    /// Votes and standings by stage and candidate.
    stages: Vec<Vec<(u64, Standing)>>,
    complete: bool,
}

fn take(output: &Output<'_>, said: &mut Said) -> bool {
    if output.header.kind == kind::EVENT {
        match output.decode().expect("an event") {
            Event::StageCounted(stage) => {
                let first = stage.action.get() == Action::FirstCount;
                assert_eq!(first, said.stages.is_empty(), "stages in their order");
                said.stages.push(Vec::new());
            }
            Event::CandidateCounted(row) => {
                said.stages.last_mut().expect("a stage").push((row.votes.0, row.standing.get()));
            }
            Event::TieFound(tie) => panic!("a tie of {} that nothing breaks", tie.candidate),
            _ => {}
        }
        return false;
    }
    assert_ne!(output.header.kind, kind::REJECT, "refused: {:?}", output.header);
    if output.header.kind != kind::REPLY {
        return false;
    }
    match output.decode().expect("a reply") {
        Reply::BallotCast(cast) => {
            assert_eq!(cast.outcome.get(), CastOutcome::Counted);
            said.ballots += 1;
        }
        Reply::PhaseChanged(changed) => said.complete = changed.phase.get() == Phase::Closed,
        Reply::Declined(declined) => panic!("declined: {declined:?}"),
        _ => {}
    }
    true
}

/// Sends a ward's election to the engine.
fn conduct(client: &mut Client, election: ElectionId, ward: &Ward) -> Said {
    let voters: u32 = ward.papers.iter().map(|(count, _)| count).sum();
    let define: DefineElection = terms(election.0, Method::ScottishStv, ward.candidates, ward.seats, voters);
    let answer = client.call(Command::DefineElection(&define)).expect("it is answered");
    let _: Reply<'_> = answer.reply().expect("it is defined");
    client.subscribe(Topic::new(Votes::ID, topics::COUNTS, election.0), 0).expect("it is followed");
    let (mut said, mut open) = (Said::default(), 0_usize);
    let mut send = |client: &mut Client, command: Command<'_>, said: &mut Said| {
        while open >= 512 || client.room() == 0 {
            let output = client.poll(Duration::from_millis(100)).expect("the connection stands");
            open -= usize::from(output.is_some_and(|output| take(&output, said)));
        }
        client.send(command).expect("it is sent");
        open += 1;
        while let Some(output) = client.poll(Duration::ZERO).expect("the connection stands") {
            open -= usize::from(take(&output, said));
        }
    };
    let entries = vec![VoterEntry::of_weight(1); voters as usize];
    for (block, at) in entries.chunks(4_000).zip((1..).step_by(4_000)) {
        let register = RegisterVoters { election, first: VoterId(at) };
        send(client, Command::RegisterVoters(&register, block), &mut said);
    }
    let phase = |phase: Phase| SetPhase { election, phase: phase.into(), reserved: Reserved::default() };
    send(client, Command::SetPhase(&phase(Phase::Open)), &mut said);
    let mut voter = 0;
    for (count, ranking) in &ward.papers {
        let mark =
            |(candidate, value)| Mark { value, candidate: CandidateId(candidate), reserved: Reserved::default() };
        let marks = ranking.iter().copied().zip(1..).map(mark).collect::<Vec<_>>();
        for _ in 0..*count {
            voter += 1;
            let cast = CastBallot { election, voter: VoterId(voter) };
            send(client, Command::CastBallot(&cast, &marks), &mut said);
        }
    }
    send(client, Command::SetPhase(&phase(Phase::Closed)), &mut said);
    let begun = Instant::now();
    while !said.complete {
        assert!(begun.elapsed() < Duration::from_secs(60), "the count is not answered");
        if let Some(output) = client.poll(Duration::from_millis(100)).expect("the connection stands") {
            take(&output, &mut said);
        }
    }
    client.unsubscribe(Topic::new(Votes::ID, topics::COUNTS, election.0)).expect("it is followed no more");
    assert_eq!(said.ballots, u64::from(voters), "every ballot was taken in");
    said
}

/// A candidate of the engine's count, as it is published.
fn column(said: &Said, candidate: usize, name: &str) -> Column {
    let rows = || said.stages.iter().map(|stage| stage[candidate]);
    let first = |wanted: Standing| rows().position(|(_, standing)| standing == wanted).map(|at| at as u64);
    Column {
        votes: rows().map(|(votes, _)| votes).collect(),
        elected_at: first(Standing::Elected).map(|at| at + 1),
        // It is decided after the stage before the one that transfers the ballots.
        excluded_after: first(Standing::Excluded),
        name: name.into(),
    }
}

/// The words of a name that both sides write alike.
fn words(name: &str) -> BTreeSet<String> {
    let name = name.split('(').next().unwrap_or("").to_lowercase();
    name.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 1).map(ToString::to_string).collect()
}

/// Guards against transfers that are not those of the returning officers, by a single vote in the fifth decimal, at any
/// stage of any ward.
#[test]
fn prove_scotland_every_cell_is_as_published() {
    let Some(folder) = wards() else {
        println!("SKIPPED: no wards.tsv in ../shared/data/votes/scotland or $RINGFENCE_DATA/votes/scotland");
        return;
    };
    let place = Place::new(1, ROOM);
    let engine = place.engine();
    let mut client = Client::connect(place.config(1, engine.address())).expect("it connects");
    let table = std::fs::read_to_string(folder.join("wards.tsv")).expect("a file");
    let every = size(16, 1) as usize;
    let (mut ballots, mut cells, mut counted) = (0, 0, 0);
    for (line, id) in table.lines().skip(1).step_by(every).zip(1..) {
        let mut fields = line.split('\t');
        let (blt, official) = (fields.next().expect("ballots"), fields.next().expect("official"));
        let ward = ward(&folder, blt, official);
        let said = conduct(&mut client, ElectionId(id), &ward);
        let columns = ward.names.iter().enumerate().map(|(at, name)| column(&said, at, name));
        let (mut ours, mut published) = (columns.collect::<Vec<_>>(), ward.official);
        // The two files write names and orders differently; the figures say who is who, and the names must not object.
        ours.sort();
        published.sort();
        assert_eq!(ours.len(), published.len(), "{blt}: candidates");
        for (ours, published) in ours.iter().zip(&published) {
            assert!(!words(&ours.name).is_disjoint(&words(&published.name)), "{blt}: {ours:?} is not {published:?}");
            assert_eq!(ours.votes, published.votes, "{blt}: the votes of {}", ours.name);
            assert_eq!(ours.elected_at, published.elected_at, "{blt}: when {} is elected", ours.name);
            assert_eq!(ours.excluded_after, published.excluded_after, "{blt}: when {} is excluded", ours.name);
            cells += ours.votes.len();
        }
        ballots += said.ballots;
        counted += 1;
    }
    client.close().expect("goodbye");
    engine.stop().expect("the engine stops cleanly");
    let proof = check(&place.journal(), [].iter()).expect("the journal replays");
    check_snapshot(&place.journal(), &proof.machine).expect("replay and engine agree");
    assert!(counted >= 158 / every && cells > 500, "{counted} wards, {cells} cells: that is no election");
    println!("proved: {counted} wards, {ballots} ballots over TCP, {cells} cells as published");
}
