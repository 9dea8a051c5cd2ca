//! Random elections by every method: no ballot is lost or made by counting, no seat is given twice or left over, and where a
//! method is monotone, whoever wins still does when a voter ranks the winner higher. `RINGFENCE_PROVE=1` holds a million.

mod booth;

use booth::Booth;
use ringfence_domains::votes::messages::{CandidateId, DefineElection, Event, Mark, Method, Quota, Standing, TieBreak};
use ringfence_domains::votes::workload::terms;
use ringfence_kernel::OutputHeader;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::{image as bytes_of, message};
use ringfence_kernel::random::Random;

/// Methods that exclude, elect and transfer stage by stage.
const STAGED: [Method; 7] = [
    Method::InstantRunoff,
    Method::Sequential,
    Method::BottomsUp,
    Method::Coombs,
    Method::ScottishStv,
    Method::WholeBallots,
    Method::Meek,
];
/// Methods by which nobody loses who is ranked higher, gets more points, or more votes.
const MONOTONE: [Method; 8] = [
    Method::Plurality,
    Method::Score,
    Method::Borda,
    Method::Dowdall,
    Method::Copeland,
    Method::Minimax,
    Method::Schulze,
    Method::RankedPairs,
];
const OTHERS: [Method; 4] = [Method::Star, Method::DHondt, Method::SainteLague, Method::LargestRemainder];

const LISTS: [Method; 3] = [Method::DHondt, Method::SainteLague, Method::LargestRemainder];

type Paper = (u32, Vec<Mark>);

fn mark(candidate: u16, value: u32) -> Mark {
    Mark { value, candidate: CandidateId(candidate), reserved: Reserved::default() }
}

fn gives_points(method: Method) -> bool {
    matches!(method, Method::Score | Method::Star)
}

fn is_ranked(method: Method) -> bool {
    method != Method::Plurality && !gives_points(method) && !LISTS.contains(&method)
}

/// Few candidates and papers, so that ties, blank papers and early ends are common.
fn election(random: &mut Random, method: Method) -> (DefineElection, Vec<Paper>) {
    let candidates = 1 + random.below(6) as u16;
    let one = matches!(
        method,
        Method::InstantRunoff
            | Method::Coombs
            | Method::Star
            | Method::Copeland
            | Method::Minimax
            | Method::Schulze
            | Method::RankedPairs
    );
    let seats = if one { 1 } else { 1 + random.below(candidates.into()) as u16 };
    let mut terms = terms(1, method, candidates, seats, 0);
    let has_quota = matches!(method, Method::ScottishStv | Method::WholeBallots | Method::LargestRemainder);
    if has_quota && random.percent(50) {
        terms.quota = Quota::Hare.into();
    }
    if random.percent(50) {
        (terms.tie_break, terms.seed) = (TieBreak::Seeded.into(), random.next());
    }
    let papers = (0..1 + random.below(18)).map(|_| paper(random, &terms)).collect::<Vec<_>>();
    terms.voters = papers.len() as u32;
    (terms, papers)
}

fn paper(random: &mut Random, terms: &DefineElection) -> Paper {
    let method = terms.method.get();
    let mut order = (1..=terms.candidates).collect::<Vec<_>>();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    let marked = random.below(u64::from(terms.marks_max) + 1) as usize;
    let value = |(rank, candidate): (u32, u16), points: u32| match () {
        () if is_ranked(method) => mark(candidate, rank),
        () if gives_points(method) => mark(candidate, points),
        () => mark(candidate, 1),
    };
    let marks = (1..).zip(order.into_iter().take(marked));
    let marks = marks.map(|mark| value(mark, random.below(u64::from(terms.points_max) + 1) as u32)).collect();
    (if random.percent(15) { 1 + random.below(4) as u32 } else { 1 }, marks)
}

/// Holds an election, checks what is published of its stages, and gives who has how many seats at the end.
fn hold(terms: &DefineElection, papers: &[Paper]) -> Vec<u16> {
    let method = terms.method.get();
    let (_, outputs) = Booth::conduct(terms, papers);
    let events = outputs.iter().map(Slot::clone).filter_map(|slot| {
        let bytes = bytes_of(&slot);
        let is_event = OutputHeader::read(bytes).expect("it has one").kind == kind::EVENT;
        let body = &bytes[OUTPUT_HEADER_BYTES..];
        is_event.then(|| match Event::decode(message(bytes), body).expect("an event") {
            Event::StageCounted(stage) => (Some(*stage), None),
            Event::CandidateCounted(row) => (None, Some(*row)),
            _ => (None, None),
        })
    });
    let (mut seats, mut left, mut stages) = (vec![0; terms.candidates.into()], None, 0);
    for event in events {
        match event {
            (Some(stage), _) => {
                assert_eq!(left.unwrap_or(0), 0, "stage {stages} of {method:?} loses or makes votes");
                let conserved = STAGED.contains(&method).then_some(stage.total.0);
                left = conserved.map(|total| total as i64 - (stage.exhausted.0 + stage.residual.0) as i64);
                stages += 1;
            }
            (_, Some(row)) => {
                left = left.map(|left| left - row.votes.0 as i64);
                let elected = row.standing.get() == Standing::Elected;
                assert!(elected || row.seats == 0, "a seat of one who is not elected");
                seats[usize::from(row.candidate.0) - 1] = row.seats;
            }
            _ => {}
        }
    }
    assert_eq!(left.unwrap_or(0), 0, "the last stage of {method:?} loses or makes votes");
    assert!(stages > 0, "it is counted");
    let given: u16 = seats.iter().sum();
    let voted = papers.iter().any(|(_, marks)| !marks.is_empty());
    assert!(given == terms.seats || LISTS.contains(&method) && !voted && given == 0, "{given} seats are given");
    seats
}

/// Gives `winner` one rank, one point or one vote more on a paper; none when that cannot be.
fn raised(terms: &DefineElection, paper: &Paper, winner: u16) -> Option<Paper> {
    let (weight, mut marks) = paper.clone();
    let at = marks.iter().position(|mark| mark.candidate.0 == winner);
    match (terms.method.get(), at) {
        (method, Some(at)) if is_ranked(method) => {
            let before = marks.iter().position(|mark| mark.value + 1 == marks[at].value)?;
            (marks[at].value, marks[before].value) = (marks[before].value, marks[at].value);
        }
        (method, Some(at)) if gives_points(method) => {
            marks[at].value = Some(marks[at].value + 1).filter(|points| *points <= terms.points_max.into())?;
        }
        (_, Some(_)) => return None,
        (method, None) if is_ranked(method) => marks.push(mark(winner, marks.len() as u32 + 1)),
        (_, None) => {
            marks.truncate(usize::from(terms.marks_max) - 1);
            marks.push(mark(winner, 1));
        }
    }
    Some((weight, marks))
}

/// Guards against counting that loses or makes votes, elects too few or too many, or punishes a winner for more support.
#[test]
fn prove_random_elections_keep_what_every_count_must() {
    let elections = if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { 1_000_000 } else { 20_000 };
    let mut random = Random::new(9);
    let (mut raises, methods) = (0, [&STAGED[..], &MONOTONE, &OTHERS].concat());
    for number in 0..elections {
        let method = methods[number % methods.len()];
        let (terms, mut papers) = election(&mut random, method);
        let seats = hold(&terms, &papers);
        if !MONOTONE.contains(&method) || terms.seats > 1 {
            continue;
        }
        let winner = seats.iter().position(|seats| *seats == 1).expect("one is elected") as u16 + 1;
        let at = random.below(papers.len() as u64) as usize;
        if let Some(paper) = raised(&terms, &papers[at], winner) {
            papers[at] = paper;
            let again = hold(&terms, &papers);
            assert_eq!(again, seats, "{winner} is raised on paper {at} of election {number}: {terms:?} {papers:?}");
            raises += 1;
        }
    }
    println!("proved: {elections} elections, {raises} of a winner with more support");
    assert!(raises > elections / 20, "{raises} winners had more support: that is no test");
}
