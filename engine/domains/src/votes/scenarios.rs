//! Runs the transcripts in `scenarios`: what clients ask, and below each request everything that is said.
//!
//! ```text
//! # Words after a number sign are for the reader.
//! at 5                                      time goes on to 5 ns after the start
//! define 1 ScottishStv of 3 for 2 by 10     election 1: three candidates, two seats, ten voters
//!   phase 1: Draft, 0 ballots of 0 …        an event: indented, as are all that follow
//!   -> defined 1                            the answer
//! ```
//!
//! Requests: `define I METHOD of CANDIDATES for SEATS by VOTERS [opens=T] [closes=T] [quorum=N] [marks=N] [points=N]
//! [total=N] [seed=N] [live] [never|recast] [officer|seeded] [latest] [overvotes|skipped|duplicates=pass|exhaust] [gap=N]
//! [batches] [static] [two] [hare|droop] [write_ins=N] [roll=I] [regions=N] [batch=N] [refresh=MICROSECONDS]
//! [until_open] [anonymous]`, `register I from N: WEIGHT …` (`WEIGHTinREGION` where there are regions), `open|close|certify I`, `vote I by N: MARK …` (a mark is a candidate, in the order of
//! ranks, or `CANDIDATE@VALUE`), `token I for N FINGERPRINT`, `vote I with TOKEN: MARK …`, `spoil I of N`, `count I`, `decide I tie N on CANDIDATE`,
//! `declare CANDIDATE in I`, `vote I by N from SOURCE on DEVICE: MARK …`, `screen I [rate=BALLOTS/MICROSECONDS] [device=VOTERS] [attempts=N]
//! [quarantine]`, `count|reject N in I`. `latest` ignores earlier
//! stages.
//!
//! Each transcript is run against the domain and its model. `RINGFENCE_BLESS=1 cargo test -p ringfence-domains
//! scenarios` writes what is said into the files: read the difference before it is committed.

use super::messages::{
    CandidateId, CastAnonymously, CastBallot, CastOnline, ChangePolicy, Command, CountElection, DecideTie,
    DeclareWriteIn, EarlierStages, ElectionId, Event, Exclusions, Fault, IssueToken, Majority, Mark, Method, Phase,
    Precaution, Quota, RegisterVoters, Registration, Reply, Results, Secrecy, SetPhase, SettleBallot, SpoilBallot,
    Tally, TieBreak, Until, VOTE, Verdict, VoterEntry, VoterId, VotesLimits,
};
use super::model::Model;
use super::{topics, workload};
use crate::tests::{Transcripts, nanoseconds};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::Step;
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};

const LIMITS: VotesLimits = VotesLimits {
    elections: 4,
    candidates: 16,
    voters: 64,
    ballots: 16,
    marks: 32,
    sums: 60,
    nullifiers: 3,
    sightings: 10,
    quarantine: 2,
};

/// Guards against a rule that is not kept: each transcript names one at its top.
#[test]
fn scenarios_are_as_written() {
    let transcripts = Transcripts::<Model> {
        folder: "votes/scenarios",
        least: 8,
        limits: LIMITS,
        time: nanoseconds,
        step: |line| parse(line).map(Step::Command),
        sound: |_| Ok(()),
        say,
    };
    transcripts.check();
}

fn parse(line: &str) -> Option<CommandImage> {
    let line = line.replace(':', "");
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut image = CommandImage::default();
    let number = |word: &str| word.parse::<u32>().ok();
    let id = |word: &str| number(word).map(ElectionId);
    let reserved = Reserved::default();
    let client = ClientId(1);
    match words[..] {
        ["define", election, method, "of", candidates, "for", seats, "by", voters, ref rest @ ..] => {
            let (candidates, seats) = (candidates.parse().ok()?, seats.parse().ok()?);
            let mut terms =
                workload::terms(number(election)?, self::method(method)?, candidates, seats, number(voters)?);
            for word in rest {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                let value = |_: ()| value.parse::<u64>().ok();
                let fault = || match word.ends_with("=pass") {
                    true => Fault::PassOver.into(),
                    false => Fault::Exhaust.into(),
                };
                match name {
                    "opens" => terms.opens = Timestamp(value(())?),
                    "closes" => terms.closes = Timestamp(value(())?),
                    "quorum" => terms.quorum = value(())?,
                    "marks" => terms.marks_max = value(())? as u16,
                    "points" => terms.points_max = value(())? as u16,
                    "total" => terms.points_total = value(())? as u32,
                    "seed" => terms.seed = value(())?,
                    "live" => terms.results = Results::Live.into(),
                    "never" => terms.changes = ChangePolicy::Never.into(),
                    "recast" => terms.changes = ChangePolicy::SpoilAndRecast.into(),
                    "officer" => terms.tie_break = TieBreak::Officer.into(),
                    "seeded" => terms.tie_break = TieBreak::Seeded.into(),
                    "latest" => terms.earlier_stages = EarlierStages::Ignored.into(),
                    "batches" => terms.exclusions = Exclusions::Batches.into(),
                    "static" => terms.majority = Majority::OfFirstStage.into(),
                    "two" => terms.until = Until::TwoLeft.into(),
                    "hare" => terms.quota = Quota::Hare.into(),
                    "droop" => terms.quota = Quota::Droop.into(),
                    "write_ins" => terms.write_ins = value(())? as u16,
                    "roll" => terms.roll = ElectionId(value(())? as u32),
                    "regions" => terms.regions = value(())? as u16,
                    "batch" => terms.batch = value(())? as u16,
                    "refresh" => terms.refresh = value(())? as u32,
                    "anonymous" => terms.secrecy = Secrecy::Anonymous.into(),
                    "until_open" => terms.registration = Registration::UntilOpen.into(),
                    "gap" => terms.gap_max = value(())? as u8,
                    "overvotes" => terms.overvotes = fault(),
                    "skipped" => terms.skipped_ranks = fault(),
                    "duplicates" => terms.duplicates = fault(),
                    _ => return None,
                }
            }
            image.set(client, Command::DefineElection(&terms));
        }
        ["register", election, "from", first, ref weights @ ..] => {
            let list: Option<Vec<_>> = weights
                .iter()
                .map(|word| {
                    let (weight, region) = word.split_once("in").unwrap_or((word, "0"));
                    Some(VoterEntry { region: region.parse().ok()?, ..VoterEntry::of_weight(number(weight)?) })
                })
                .collect();
            let register = RegisterVoters { election: id(election)?, first: VoterId(number(first)?) };
            image.set(client, Command::RegisterVoters(&register, &list?));
        }
        [phase @ ("open" | "close" | "certify"), election] => {
            let phase = match phase {
                "open" => Phase::Open,
                "close" => Phase::Closed,
                _ => Phase::Certified,
            };
            let phase = SetPhase { election: id(election)?, phase: phase.into(), reserved: Reserved::default() };
            image.set(client, Command::SetPhase(&phase));
        }
        ["vote", election, "by", voter, "from", source, "on", device, ref marks @ ..] => {
            let (election, voter) = (id(election)?, VoterId(number(voter)?));
            let cast = CastOnline { source: source.parse().ok()?, device: device.parse().ok()?, election, voter };
            let marks = self::marks(marks)?;
            image.set(client, Command::CastOnline(&cast, bytemuck::must_cast_slice(&marks)));
        }
        ["screen", election, ref rules @ ..] => {
            let quarantines = rules.last() == Some(&"quarantine");
            let precaution = if quarantines { Precaution::Quarantine } else { Precaution::Flag };
            let mut screening = workload::screening(id(election)?, precaution);
            for rule in &rules[..rules.len() - usize::from(quarantines)] {
                match rule.split_once('=')? {
                    ("rate", rate) => {
                        let (ballots, period) = rate.split_once('/')?;
                        (screening.source_ballots, screening.period) = (number(ballots)?, number(period)?);
                    }
                    ("device", voters) => screening.device_voters = number(voters)?,
                    ("attempts", attempts) => screening.attempts_max = number(attempts)?,
                    _ => return None,
                }
            }
            image.set(client, Command::SetScreening(&screening));
        }
        [verdict @ ("count" | "reject"), voter, "in", election] => {
            let (election, voter, reserved) = (id(election)?, VoterId(number(voter)?), Reserved::default());
            let verdict = if verdict == "count" { Verdict::Count } else { Verdict::Reject }.into();
            image.set(client, Command::SettleBallot(&SettleBallot { election, voter, verdict, reserved }));
        }
        ["vote", election, "by", voter, ref marks @ ..] => {
            let cast = CastBallot { election: id(election)?, voter: VoterId(number(voter)?) };
            image.set(client, Command::CastBallot(&cast, &self::marks(marks)?));
        }
        ["token", election, "for", voter, blinded] => {
            let (blinded, election, voter) = (blinded.parse().ok()?, id(election)?, VoterId(number(voter)?));
            image.set(client, Command::IssueToken(&IssueToken { blinded, election, voter }));
        }
        ["vote", election, "with", token, ref marks @ ..] => {
            let (nullifier, election) = ([number(token)? as u8; 32], id(election)?);
            let cast = CastAnonymously { nullifier, election, reserved: Reserved::default() };
            let marks = self::marks(marks)?;
            image.set(client, Command::CastAnonymously(&cast, bytemuck::must_cast_slice(&marks)));
        }
        ["spoil", election, "of", voter] => {
            let (election, voter) = (id(election)?, VoterId(number(voter)?));
            image.set(client, Command::SpoilBallot(&SpoilBallot { election, voter }));
        }
        ["count", election] => {
            image.set(client, Command::CountElection(&CountElection { election: id(election)?, reserved }));
        }
        ["declare", candidate, "in", election] => {
            let (election, candidate) = (id(election)?, CandidateId(candidate.parse().ok()?));
            image.set(
                client,
                Command::DeclareWriteIn(&DeclareWriteIn { election, candidate, reserved: Reserved::default() }),
            );
        }
        ["decide", election, "tie", tie, "on", candidate] => {
            let (tie, candidate) = (tie.parse().ok()?, CandidateId(candidate.parse().ok()?));
            image.set(client, Command::DecideTie(&DecideTie { election: id(election)?, tie, candidate }));
        }
        _ => return None,
    }
    Some(image)
}

/// Marks as they are written. A rank only means something to a ranked ballot; a plain list of candidates is 1, 2, 3 … there.
/// Ballots of votes write `C@1`.
fn marks(words: &[&str]) -> Option<Vec<Mark>> {
    let mark = |(rank, word): (u32, &&str)| {
        let (candidate, value) = word.split_once('@').map_or((*word, Some(rank)), |(c, v)| (c, v.parse().ok()));
        Some(Mark { value: value?, candidate: CandidateId(candidate.parse().ok()?), reserved: Reserved::default() })
    };
    (1..).zip(words).map(mark).collect()
}

fn method(name: &str) -> Option<Method> {
    workload::METHODS.into_iter().find(|method| format!("{method:?}") == name)
}

/// Votes with their decimals, when they have any.
fn votes(Tally(votes): Tally) -> String {
    match votes % VOTE {
        0 => format!("{}", votes / VOTE),
        part => format!("{}.{part:05}", votes / VOTE),
    }
}

/// One output as a line.
fn say(slot: &Slot) -> String {
    let bytes = image(slot);
    let header = OutputHeader::read(bytes).expect("it has one");
    let body = &bytes[OUTPUT_HEADER_BYTES..];
    if header.kind == kind::REPLY {
        return answer(&Reply::decode(header.message, body).expect("a reply"));
    }
    let id = header.topic.id();
    match Event::decode(header.message, body).expect("an event") {
        Event::ElectionChanged(c) => {
            assert_eq!(header.topic.kind(), topics::PHASES);
            let (phase, count) = (c.phase.get(), c.count.get());
            format!("phase {id}: {phase:?}, {} ballots of weight {}, {count:?}", c.ballots, c.weight)
        }
        Event::StageCounted(s) => {
            let (quota, lost) = (votes(s.quota), (votes(s.exhausted), votes(s.residual)));
            let of = if s.candidate.0 == 0 { String::new() } else { format!(" of {}", s.candidate) };
            format!(
                "stage {}: {:?}{of}, quota {quota}, exhausted {}, residual {}",
                s.stage,
                s.action.get(),
                lost.0,
                lost.1
            )
        }
        Event::CandidateCounted(c) => {
            let seats = if c.seats > 1 { format!(", {} seats", c.seats) } else { String::new() };
            format!("  {}: {} {:?}{seats}", c.candidate, votes(c.votes), c.standing.get())
        }
        Event::RegionReported(r) => {
            assert_eq!(header.topic.kind(), topics::REPORTS);
            format!("region {} of {id}: {} ballots of weight {}, {} blank", r.region, r.ballots, r.weight, r.blank)
        }
        Event::BallotFlagged(f) => {
            assert_eq!(header.topic.kind(), topics::SCREENING);
            let (of, met, precaution) = ((f.receipt, f.voter), f.rules, f.precaution.get());
            format!("receipt {} of {} from {} on {} meets {met}: {precaution:?}", of.0, of.1, f.source, f.device)
        }
        Event::QuarantineEnded(e) => format!("receipt {} of {} is {:?}", e.receipt, e.voter, e.ending.get()),
        Event::RegionCandidateReported(c) => format!("  {}: {}", c.candidate, votes(c.votes)),
        Event::LastPlacesCounted(p) => format!("  {}: last on {}", p.candidate, votes(p.votes)),
        Event::PairCounted(p) => {
            format!("  {} to {}: {} to {}", p.first, p.second, votes(p.first_votes), votes(p.second_votes))
        }
        Event::TieFound(t) => format!("tie {} after stage {}: {:?} {}?", t.tie, t.stage, t.question.get(), t.candidate),
    }
}

fn answer(reply: &Reply<'_>) -> String {
    match reply {
        Reply::ElectionDefined(d) => format!("-> defined {}", d.election),
        Reply::VotersRegistered(r) => format!("-> registered {} more, {} in all", r.added, r.registered),
        Reply::PhaseChanged(c) => format!("-> {} is {:?}, {:?}", c.election, c.phase.get(), c.count.get()),
        Reply::BallotCast(c) => format!("-> receipt {} of {}: {:?}", c.receipt, c.voter, c.outcome.get()),
        Reply::BallotSpoilt(s) => format!("-> receipt {} of {} is spoilt", s.receipt, s.voter),
        Reply::ElectionCounted(c) => {
            format!("-> counted {}: {} stages, {} elected, tie {}", c.election, c.stages, c.elected, c.tie)
        }
        Reply::TokenIssued(t) => format!("-> token of {}: {:?}", t.voter, t.outcome.get()),
        Reply::AnonymousBallotCast(c) => format!("-> receipt {}: {:?}", c.receipt, c.outcome.get()),
        Reply::ScreeningSet(s) => format!("-> {} is screened", s.election),
        Reply::BallotSettled(s) => format!("-> receipt {} of {}: {:?}", s.receipt, s.voter, s.verdict.get()),
        Reply::WriteInDeclared(d) => format!("-> {} is declared", d.candidate),
        Reply::Declined(d) => format!("-> declined: {:?}", d.reason.get()),
    }
}
