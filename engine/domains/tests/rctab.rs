//! The cases of a certified tabulator for ranked ballots, RCTab: every case whose rules votes offer, every round of it
//! exact. Those left out are named with the reason.

mod booth;
#[path = "booth/published.rs"]
mod published;

use booth::Booth;
use calamine::{Data, Reader as _, Xlsx, open_workbook};
use published::Stage;
use ringfence_domains::votes::messages::{
    CandidateId, Command, DecideTie, DefineElection, EarlierStages, Exclusions, Fault, Majority, Mark, Method,
    Standing, TieBreak, Until, VOTE,
};
use ringfence_domains::votes::workload;
use ringfence_kernel::messages::Reserved;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What reports call them whom nobody declared as candidates.
const WRITE_INS: &str = "Undeclared Write-ins";
/// What is not compared, and why.
const LEFT_OUT: [(&str, &str); 14] = [
    ("2024_alaska_dominion", "its records tell by several marks of their maker which of them count"),
    ("conversions_from_ess", "a conversion of records: nothing is counted"),
    ("dominion_alaska", "its records are not among the data"),
    ("excluded_test", "candidates who are struck off the papers before the count"),
    ("hart_travis_county_officers", "its records are not among the data"),
    ("invalid_params_test", "no election"),
    ("max_ranking_enforcement", "nothing was published of it"),
    ("multi_seat_bottoms_up_with_cutoff_eliminate", "seats by a percentage of votes"),
    ("multi_seat_bottoms_up_with_static_threshold", "seats by a percentage of votes"),
    ("nist_xml_cdf_2", "its only paper names a write-in"),
    ("sample_interactive_tiebreak", "nothing was published of it"),
    ("sequential_with_continue_until_two", "seats one after another, each counted on until two are left"),
    ("test_set_multi_winner_fractional_threshold", "a fractional quota, surpluses to 4 decimals"),
    ("test_set_overvote_delimiter", "an overvote is judged by who continues when it is come to"),
];

/// A candidate's name, or what its records call it, and its number.
type Numbers = BTreeMap<String, u16>;
/// What is written where a name is expected: a column of something else.
const UNKNOWN: u16 = u16::MAX;
/// By rank, who is named at it.
type Paper = Vec<(u32, Vec<u16>)>;

/// Guards against a rule that is read otherwise than by others who are certified to count by it.
#[test]
fn rctab_cases_are_as_published() {
    let data = std::env::var_os("RINGFENCE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let Ok(cases) = fs::read_dir(data.join("votes/rctab")) else {
        println!("SKIPPED: no folder votes/rctab in ../shared/data or $RINGFENCE_DATA");
        return;
    };
    let mut wrong = Vec::new();
    let mut exact = 0;
    for case in cases.map(|case| case.expect("an entry").path()).filter(|case| case.is_dir()) {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        if !case.join(format!("{name}_config.json")).exists() {
            continue;
        }
        if let Some((_, why)) = LEFT_OUT.iter().find(|(left_out, _)| *left_out == name) {
            println!("{name}: left out: {why}");
            continue;
        }

        match compare(&case, &name) {
            Ok(rounds) => println!("{name}: {rounds} rounds, exact"),
            Err(difference) => wrong.push(format!("{name}: {difference}")),
        }
        exact += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(exact, 22, "the cases are where they should be");
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).expect("JSON")
}

/// Counts a case; gives its rounds, or the first difference.
fn compare(case: &Path, name: &str) -> Result<usize, String> {
    let config = read(&case.join(format!("{name}_config.json")));
    let mut numbers = Numbers::new();
    let candidates = config["candidates"].as_array().expect("candidates");
    let stand = || candidates.iter().filter(|candidate| candidate["excluded"] != true);
    for (number, candidate) in (1..).zip(stand()) {
        numbers.insert(text(candidate, "name").into(), number);
        for alias in candidate["aliases"].as_array().into_iter().flatten() {
            numbers.insert(alias.as_str().expect("a name").into(), number);
        }
    }
    // Undeclared write-ins are one candidate, the last, where somebody names one.
    let last = stand().count() as u16 + 1;
    let sources = || config["cvrFileSources"].as_array().expect("sources").iter();
    let labels = sources().map(|source| text(source, "undeclaredWriteInLabel")).filter(|label| !label.is_empty());
    for label in labels {
        numbers.extend([(label.into(), last), (WRITE_INS.into(), last)]);
    }
    let mut papers = Vec::new();
    for source in config["cvrFileSources"].as_array().expect("sources") {
        papers.extend(records(case, source, &numbers));
    }
    let write_ins = u16::from(papers.iter().flatten().any(|(_, named)| named.contains(&last)));
    // A rank lower than may be given is not read.
    if let Ok(lowest) = text(&config["rules"], "maxRankingsAllowed").parse::<u32>() {
        papers.iter_mut().for_each(|paper| paper.retain(|(rank, _)| *rank <= lowest));
    }
    if papers.iter().flatten().any(|(_, named)| named.contains(&UNKNOWN)) {
        return Err("a paper names who is no candidate".into());
    }
    let overvoted = papers.iter().flatten().any(|(_, named)| named.len() > 1);
    if overvoted && text(&config["rules"], "overvoteRule") == "exhaustIfMultipleContinuing" {
        return Err("an overvote is judged by who continues when it is come to".into());
    }
    let published = read(&case.join(format!("{name}_expected_detailed_report.json")));
    let rounds = published["results"].as_array().expect("rounds");
    // Ties that its own generator drew are decided as it drew: by who was eliminated alone, or of the last two elected.
    let drawn = rounds.iter().filter_map(|round| match &round["tallyResults"].as_array().expect("results")[..] {
        [result] => numbers.get(result["eliminated"].as_str().or(result["elected"].as_str())?).copied(),
        _ => None,
    });
    let terms = DefineElection { write_ins, ..terms(&config["rules"], last - 1 + write_ins, papers.len() as u32) };
    let stages = count(&terms, &papers, &drawn.collect::<Vec<_>>());
    // It leaves these out of the inactive.
    let blank = papers.iter().filter(|paper| paper.is_empty()).count() as u64;
    let mut stages = stages.iter();
    let mut stage = None;
    let mut compared = 0;
    let mut moved = true;
    for round in rounds {
        // A round that only elects leaves the table as it is.
        if std::mem::replace(&mut moved, false) {
            stage = stages.next();
            compared += 1;
        }
        let stage: &Stage = stage.ok_or("there are more rounds than stages")?;
        let differs = |what: &str, published: u64, counted: u64| {
            if published == counted {
                return Ok(());
            }
            Err(format!("round {}, {what}: {published} published, {counted} counted", round["round"]))
        };
        for (name, votes) in round["tally"].as_object().expect("a tally") {
            let votes = votes.as_str().expect("text").parse().expect("whole votes");
            // Undeclared write-ins have a line though nobody named one.
            let counted = numbers.get(name).and_then(|number| stage.votes.get(usize::from(*number) - 1));
            differs(name, votes, counted.map_or(0, |votes| votes / VOTE))?;
        }
        let threshold = text(round, "threshold").parse().expect("a whole threshold");
        differs("the threshold", threshold, stage.quota / VOTE)?;
        let inactive = round["inactiveBallots"].as_object().expect("inactive ballots").values();
        let inactive: u64 = inactive.map(|count| count.as_str().expect("text").parse::<u64>().expect("whole")).sum();
        differs("exhausted", inactive + blank, stage.exhausted / VOTE)?;
        for result in round["tallyResults"].as_array().expect("results") {
            if let Some(name) = result["elected"].as_str() {
                let elected = stage.standing[usize::from(numbers[name]) - 1] == Standing::Elected;
                differs(&format!("{name} is elected"), 1, u64::from(elected))?;
            }
            moved |= result["eliminated"]
                .as_str()
                .and_then(|name| numbers.get(name))
                .is_some_and(|at| *at <= terms.candidates);
        }
    }
    if stages.next().is_some() { Err("there are more stages than rounds".into()) } else { Ok(compared) }
}

fn terms(rules: &Value, candidates: u16, voters: u32) -> DefineElection {
    assert_eq!(text(rules, "winnerElectionMode"), "singleWinnerMajority");
    let is = |name: &str| rules[name].as_bool().unwrap_or(false);
    let gap_max = text(rules, "maxSkippedRanksAllowed").parse::<u8>().expect("a number");
    DefineElection {
        overvotes: match text(rules, "overvoteRule") {
            "alwaysSkipToNextRank" => Fault::PassOver.into(),
            "exhaustImmediately" | "exhaustIfMultipleContinuing" => Fault::Exhaust.into(),
            other => panic!("overvotes: {other}"),
        },
        skipped_ranks: if gap_max == 0 { Fault::Exhaust } else { Fault::PassOver }.into(),
        gap_max,
        duplicates: if is("exhaustOnDuplicateCandidate") { Fault::Exhaust } else { Fault::PassOver }.into(),
        exclusions: if is("batchElimination") { Exclusions::Batches } else { Exclusions::OneByOne }.into(),
        majority: match is("doesFirstRoundDetermineThreshold") {
            true => Majority::OfFirstStage.into(),
            false => Majority::OfContinuing.into(),
        },
        until: if is("continueUntilTwoCandidatesRemain") { Until::TwoLeft } else { Until::Majority }.into(),
        earlier_stages: EarlierStages::Ignored.into(),
        tie_break: match text(rules, "tiebreakMode") {
            "useCandidateOrder" => TieBreak::Order.into(),
            _ => TieBreak::Officer.into(),
        },
        ..workload::terms(1, Method::InstantRunoff, candidates, 1, voters)
    }
}

/// Counts; a tie falls on the first of `drawn` who is tied.
fn count(terms: &DefineElection, papers: &[Paper], drawn: &[u16]) -> Vec<Stage> {
    let marks = |paper: &Paper| {
        let named = paper.iter().flat_map(|(rank, named)| named.iter().map(|candidate| (*rank, *candidate)));
        let mark =
            |(value, candidate)| Mark { value, candidate: CandidateId(candidate), reserved: Reserved::default() };
        (1, named.map(mark).collect())
    };
    let papers: Vec<_> = papers.iter().map(marks).collect();
    let (mut booth, outputs) = Booth::conduct(terms, &papers);
    let (mut stages, mut tied) = published::stages(&outputs);
    let mut number = 0;
    while !tied.is_empty() {
        number += 1;
        let candidate = *drawn.iter().find(|candidate| tied.contains(candidate)).expect("someone was drawn");
        let decision = DecideTie { election: terms.election, tie: number, candidate: CandidateId(candidate) };
        (stages, tied) = published::stages(&booth.step(Command::DecideTie(&decision)));
    }
    stages
}

/// The papers of a source, by the maker of the machine that read them.
fn records(case: &Path, source: &Value, numbers: &Numbers) -> Vec<Paper> {
    let path = case.join(text(source, "filePath"));
    match text(source, "provider") {
        "ess" => ess(&path, source, numbers),
        "genericCsv" => generic(&path, source, numbers),
        "clearBallot" => clear_ballot(&path, numbers),
        "dominion" => dominion(&path, source, numbers),
        "cdf" if path.extension().is_some_and(|ending| ending == "json") => cdf_json(&path, source, numbers),
        "cdf" => cdf_xml(&path, source, numbers),
        other => panic!("records by {other}"),
    }
}

/// Names at ranks, in any order, as a paper. A name twice at one rank is one.
fn paper(marks: impl Iterator<Item = (u32, u16)>) -> Paper {
    let mut ranks = BTreeMap::<u32, BTreeSet<u16>>::new();
    marks.for_each(|(rank, candidate)| {
        ranks.entry(rank).or_default().insert(candidate);
    });
    ranks.into_iter().map(|(rank, named)| (rank, named.into_iter().collect())).collect()
}

fn column(source: &Value, key: &str) -> usize {
    text(source, key).parse::<usize>().expect("a number") - 1
}

/// A row a ballot, a column a rank, a name in each.
fn ess(path: &Path, source: &Value, numbers: &Numbers) -> Vec<Paper> {
    let mut book: Xlsx<_> = open_workbook(path).expect("a workbook");
    let sheet = book.worksheet_range_at(0).expect("a sheet").expect("it can be read");
    let (first, delimiter) = (column(source, "firstVoteColumnIndex"), text(source, "overvoteDelimiter"));
    let start = sheet.start().map_or(0, |(row, _)| row as usize);
    let cell = |cell: &Data| match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.trim().into(),
        other => other.to_string(),
    };
    let read = |row: &[Data]| {
        let mut marks = Vec::new();
        for (rank, name) in (1..).zip(row.iter().skip(first).map(cell)) {
            match name.as_str() {
                "" | "undervote" => {}
                // Whom it named is not said: two who could be named.
                "overvote" => marks.extend([(rank, 1), (rank, 2)]),
                names if !delimiter.is_empty() => {
                    marks.extend(names.split(delimiter).map(|name| (rank, numbers[name.trim()])));
                }
                name => marks.push((rank, *numbers.get(name).unwrap_or(&UNKNOWN))),
            }
        }
        paper(marks.into_iter())
    };
    sheet.rows().skip(column(source, "firstVoteRowIndex") - start).map(read).collect()
}

/// A row a ballot, a column a candidate, a rank in each.
fn generic(path: &Path, source: &Value, numbers: &Numbers) -> Vec<Paper> {
    let file = fs::read_to_string(path).expect("text");
    let first = column(source, "firstVoteColumnIndex");
    let mut lines = file.lines().map(|line| line.trim_start_matches('\u{feff}').split(',').skip(first));
    let names: Vec<&str> = lines.next().expect("names").collect();
    let marks = |line: std::iter::Skip<std::str::Split<'_, char>>| {
        let ranked = names.iter().zip(line).filter(|(_, rank)| !rank.is_empty());
        paper(
            ranked
                .map(|(name, rank)| (rank.parse().expect("a rank"), *numbers.get(*name).unwrap_or(&UNKNOWN)))
                .collect::<Vec<_>>()
                .into_iter(),
        )
    };
    lines.map(marks).collect()
}

/// A row a ballot, a column for each candidate at each rank, named `Choice_…:contest:rank:…:name:party`.
fn clear_ballot(path: &Path, numbers: &Numbers) -> Vec<Paper> {
    let file = fs::read_to_string(path).expect("text");
    let mut lines = file.lines();
    let choice = |head: &str| -> Option<(u32, u16)> {
        let parts = head.strip_prefix("Choice_")?.split(':').collect::<Vec<_>>();
        let [_, _, rank, _, name, ..] = parts[..] else { return None };
        Some((rank.parse().ok()?, *numbers.get(name).unwrap_or(&UNKNOWN)))
    };
    let choices: Vec<_> = lines.next().expect("names").split(',').map(choice).collect();
    let marks = |line: &str| {
        let marked = choices.iter().zip(line.split(',')).filter(|(_, mark)| *mark == "1");
        paper(marked.filter_map(|(choice, _)| *choice).collect::<Vec<_>>().into_iter())
    };
    lines.map(marks).collect()
}

/// A folder of files with sessions, cards and contests; a candidate is named by an alias.
fn dominion(folder: &Path, source: &Value, numbers: &Numbers) -> Vec<Paper> {
    let contest = text(source, "contestId").parse::<u64>().expect("a number");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let is_export =
        |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("CvrExport"));
    let mut papers = Vec::new();
    for file in files.into_iter().filter(is_export) {
        for session in read(&file)["Sessions"].as_array().expect("sessions") {
            let current = [&session["Modified"], &session["Original"]];
            let current = current.into_iter().find(|record| record["IsCurrent"] == true).expect("a current record");
            let cards = current["Cards"].as_array().map_or_else(|| vec![current], |cards| cards.iter().collect());
            let contests = cards.iter().flat_map(|card| card["Contests"].as_array().expect("contests"));
            for contest in contests.filter(|known| known["Id"] == contest) {
                let marks = contest["Marks"].as_array().expect("marks").iter();
                let marks = marks.filter(|mark| mark["IsAmbiguous"] != true);
                let number = |mark: &Value| *numbers.get(&mark["CandidateId"].to_string()).unwrap_or(&UNKNOWN);
                papers.push(paper(marks.map(|mark| (mark["Rank"].as_u64().expect("a rank") as u32, number(mark)))));
            }
        }
    }
    papers
}

/// The common data format of NIST, as JSON.
fn cdf_json(path: &Path, source: &Value, numbers: &Numbers) -> Vec<Paper> {
    let report = read(path);
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let (mut names, mut selections, mut contest) = (BTreeMap::new(), BTreeMap::new(), None);
    for election in list(&report, "Election") {
        for candidate in list(&election, "Candidate") {
            let name = text(&candidate["Name"]["Text"][0], "Content").to_owned();
            let name = if name.is_empty() { text(&candidate, "Name").to_owned() } else { name };
            names.insert(text(&candidate, "@id").to_owned(), name);
        }
        for known in list(&election, "Contest") {
            if text(&known, "Name") == text(source, "contestId") {
                contest = Some(text(&known, "@id").to_owned());
            }
            for selection in list(&known, "ContestSelection") {
                let candidate = selection["CandidateIds"][0].as_str().unwrap_or("").to_owned();
                selections.insert(text(&selection, "@id").to_owned(), candidate);
            }
        }
    }
    let contest = contest.expect("the contest is in the report");
    let mut papers = Vec::new();
    for record in list(&report, "CVR") {
        let snapshots = list(&record, "CVRSnapshot");
        let current = snapshots.iter().find(|known| known["@id"] == record["CurrentSnapshotId"]).expect("a snapshot");
        for known in list(current, "CVRContest").iter().filter(|known| text(known, "ContestId") == contest) {
            let mut marks = Vec::new();
            for selection in list(known, "CVRContestSelection") {
                let number = numbers[&names[&selections[text(&selection, "ContestSelectionId")]]];
                let positions = list(&selection, "SelectionPosition");
                let given = positions.iter().filter(|position| text(position, "HasIndication") == "yes");
                marks.extend(given.map(|position| (position["Rank"].as_u64().expect("a rank") as u32, number)));
            }
            papers.push(paper(marks.into_iter()));
        }
    }
    papers
}

type Node<'a> = roxmltree::Node<'a, 'a>;

/// All elements of that name in `node`.
fn named<'a>(node: Node<'a>, name: &'static str) -> impl Iterator<Item = Node<'a>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

/// The first words in the child of that name.
fn inner<'a>(node: Node<'a>, name: &str) -> &'a str {
    let child = node.children().find(|child| child.tag_name().name() == name);
    let mut words = child.into_iter().flat_map(|child| child.descendants()).filter_map(|node| node.text());
    words.find(|text| !text.trim().is_empty()).map_or("", str::trim)
}

/// Words with one space between them.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The common data format of NIST, as XML. Where no rank is said it is the first.
fn cdf_xml(path: &Path, source: &Value, numbers: &Numbers) -> Vec<Paper> {
    let file = fs::read_to_string(path).expect("text");
    let document = roxmltree::Document::parse(&file).expect("XML");
    let report = document.root_element();
    let key = |node: Node<'_>| node.attribute("ObjectId").unwrap_or_default().to_owned();
    let keyed =
        |name, inside| named(report, name).map(|node| (key(node), inner(node, inside))).collect::<BTreeMap<_, _>>();
    let (names, contests) = (keyed("Candidate", "Name"), keyed("Contest", "Name"));
    let selections = keyed("ContestSelection", "CandidateIds");
    let write_ins = named(report, "ContestSelection").filter(|node| inner(*node, "IsWriteIn") == "true");
    let write_ins: BTreeSet<_> = write_ins.map(key).collect();
    let mut papers = Vec::new();
    for record in named(report, "CVR") {
        let current = inner(record, "CurrentSnapshotId");
        let snapshot = named(record, "CVRSnapshot").find(|snapshot| key(*snapshot) == current).expect("a snapshot");
        let is_meant = |contest: &Node<'_>| contests[inner(*contest, "ContestId")] == text(source, "contestId");
        for contest in named(snapshot, "CVRContest").filter(is_meant) {
            let mut marks = Vec::new();
            for selection in named(contest, "CVRContestSelection") {
                let candidate = selections.get(inner(selection, "ContestSelectionId"));
                let name = candidate.and_then(|candidate| names.get(*candidate));
                let is_write_in = write_ins.contains(inner(selection, "ContestSelectionId"));
                let name = if is_write_in { WRITE_INS.into() } else { name.map_or(String::new(), |name| spaced(name)) };
                let number = *numbers.get(&name).unwrap_or(&UNKNOWN);
                let given = named(selection, "SelectionPosition").filter(|node| inner(*node, "HasIndication") == "yes");
                marks.extend(given.map(|node| (inner(node, "Rank").parse().unwrap_or(1), number)));
            }
            papers.push(paper(marks.into_iter()));
        }
    }
    papers
}
