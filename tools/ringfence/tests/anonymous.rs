//! An anonymous election from keys to count, and an attacker who has the journal and knows who came when.

mod support;

use ringfence_client::Client;
use ringfence_domains::Domains;
use ringfence_domains::votes::messages::{
    ChangePolicy, Command, DefineElection, ElectionId, IssueToken, Method, Phase, RegisterVoters, Reply, Secrecy,
    SetPhase, VoterEntry, VoterId,
};
use ringfence_domains::votes::workload::terms;
use ringfence_engine::replay::{From, Observer, replay};
use ringfence_journal::Disk;
use ringfence_kernel::image::Slot;
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, CommandHeader, Sequence};
use ringfence_mixer::mixer::{Answer, Settings, serve};
use ringfence_mixer::registrar;
use ringfence_mixer::token::{Blinded, Checking, Signed, Signing, fingerprint, keys};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::Place;

const VOTERS: u32 = 60;
const BATCH: usize = 20;
const ELECTION: ElectionId = ElectionId(1);

/// Sends a line to the mixer on a connection of its own.
fn send(address: SocketAddr, line: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("the mixer listens");
    stream.write_all(format!("{line}\n").as_bytes()).expect("it is sent");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    BufReader::new(stream)
}

fn hear(from: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    from.read_line(&mut line).expect("it is answered");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn ballot(signed: &Signed, candidate: u16) -> String {
    let Signed { token, randomizer, signature } = signed;
    format!(r#"{{"token":"{token}","randomizer":"{randomizer}","signature":"{signature}","marks":[[{candidate},1]]}}"#)
}

fn refused(answer: Answer) -> String {
    match answer {
        Answer::Refused { refused } => refused,
        Answer::Cast { .. } => panic!("it was cast"),
    }
}

/// What the journal says of tokens and anonymous ballots, in its order.
#[derive(Default)]
struct Attacker {
    image: CommandImage,
    frames: u64,
    /// Fingerprints with their voters.
    issued: Vec<(u64, VoterId)>,
    /// Where ballots stand, with their nullifiers.
    cast: Vec<(u64, [u8; 32])>,
}

impl Observer for Attacker {
    fn command(&mut self, bytes: &[u8]) {
        self.frames += 1;
        let header = CommandHeader::read(bytes).expect("a frame has a header");
        self.image.set_bytes(ClientId(1), bytes);
        match Command::decode(header.message, self.image.body()) {
            Ok(Command::IssueToken(IssueToken { blinded, voter, .. })) => self.issued.push((*blinded, *voter)),
            Ok(Command::CastAnonymously(command, _)) => self.cast.push((self.frames, command.nullifier)),
            _ => {}
        }
    }

    fn outputs(&mut self, _: &[Slot]) {}

    fn executed(&mut self, _: Sequence, _: u64) {}
}

/// Guards against a token that casts twice or not at all, and against a journal that tells whose ballot is whose: by content, since
/// nothing of a token's issue is in its ballot; by order, since guessing that ballots come as tokens were issued hits as
/// seldom as any guess; by time, since a batch is one run of frames after the last of its voters came.
#[test]
fn the_journal_does_not_link_voters_and_ballots() {
    let place = Place::new(3, "[snapshot]\ninterval_seconds = 0\n");
    let engine = place.engine();
    let mut officer = Client::connect(place.config(1, engine.address())).expect("it connects");
    let base = terms(ELECTION.0, Method::Plurality, 3, 1, VOTERS);
    let define = DefineElection { secrecy: Secrecy::Anonymous.into(), changes: ChangePolicy::Never.into(), ..base };
    officer.call(Command::DefineElection(&define)).expect("it is defined");
    let (register, list) =
        (RegisterVoters { election: ELECTION, first: VoterId(1) }, vec![VoterEntry::of_weight(1); VOTERS as usize]);
    officer.call(Command::RegisterVoters(&register, &list)).expect("they are registered");
    let phase = |phase: Phase| SetPhase { election: ELECTION, phase: phase.into(), reserved: Reserved::default() };
    officer.call(Command::SetPhase(&phase(Phase::Open))).expect("it is open");

    let (secret, public) = keys(2_048).expect("a pair");
    let (signing, checking) = (Signing::from_pem(&secret).expect("a key"), Checking::from_pem(&public).expect("a key"));
    let mut desk = Client::connect(place.config(2, engine.address())).expect("it connects");
    let mut ask = |voter: u32, blinded: &str| {
        let line = format!(r#"{{"voter":{voter},"blinded":"{blinded}"}}"#);
        registrar::answer(&mut desk, &signing, ELECTION.0, &line).expect("it is answered")
    };
    let mut fingerprints = Vec::new();
    let tokens = (1..=VOTERS).map(|voter| {
        let blinded = Blinded::new(ELECTION.0, &checking).expect("a token");
        let registrar::Answer::Signed { signature, .. } = ask(voter, &blinded.blinded) else {
            panic!("voter {voter} gets no token")
        };
        fingerprints.push(fingerprint(&base16ct::mixed::decode_vec(&signature).expect("bytes")));
        blinded.unblind(&checking, &signature).expect("it is signed")
    });
    let tokens = tokens.collect::<Vec<_>>();
    let other = Blinded::new(ELECTION.0, &checking).expect("a token");
    let again = registrar::Answer::Refused { voter: 1, refused: "TokenIssued".into() };
    assert_eq!(ask(1, &other.blinded), again, "a second token");
    assert!(matches!(ask(VOTERS + 1, &other.blinded), registrar::Answer::Refused { .. }), "nobody on the roll");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mixer = Client::connect(place.config(3, engine.address())).expect("it connects");
    let wait = Duration::from_millis(500);
    let settings = Settings { election: ELECTION.0, batch: BATCH, wait, connections: 64 };
    let (stop, mut receipts) = (AtomicBool::new(false), Vec::new());
    let last = std::thread::scope(|scope| {
        let mixing = scope.spawn(|| serve(listener, mixer, checking.clone(), settings, &stop));
        for (batch, tokens) in tokens.chunks(BATCH).enumerate() {
            let of = |at: usize| 1 + ((batch * BATCH + at) % 3) as u16;
            let mut voters = Vec::new();
            for (at, token) in tokens.iter().enumerate() {
                voters.push(send(address, &ballot(token, of(at))));
            }
            for voter in &mut voters {
                let Answer::Cast { receipt, outcome } = hear(voter) else { panic!("it is refused") };
                assert_eq!(outcome, "Counted");
                receipts.push(receipt);
            }
        }
        let forged = Signed { token: "00".repeat(32), ..tokens[0].clone() };
        assert!(refused(hear(&mut send(address, &ballot(&forged, 1)))).contains("signature"));
        assert!(refused(hear(&mut send(address, "{}"))).contains("no ballot"));
        assert!(refused(hear(&mut send(address, &"7".repeat(70_000)))).contains("at most"));
        let last = hear(&mut send(address, &ballot(&tokens[4], 2)));
        stop.store(true, Ordering::Relaxed);
        mixing.join().expect("the mixer ends").expect("in peace");
        last
    });
    assert_eq!(last, Answer::Cast { receipt: receipts[4], outcome: "AlreadyCast".into() }, "a token twice");
    let answer = officer.call(Command::SetPhase(&phase(Phase::Closed))).expect("it is closed");
    assert!(matches!(answer.reply(), Ok(Reply::PhaseChanged(_))));
    officer.close().expect("goodbye");
    engine.stop().expect("the engine stops cleanly");

    let mut attacker = Attacker::default();
    replay::<Domains>(&Disk::handle(), &place.journal(), From::Genesis, None, &mut attacker).expect("it replays");
    let Attacker { issued, cast, .. } = attacker;
    let voters = fingerprints.iter().zip(1..).map(|(fingerprint, voter)| (*fingerprint, VoterId(voter)));
    assert_eq!(issued[..VOTERS as usize], voters.collect::<Vec<_>>(), "tokens in the order in which voters came");
    assert_eq!(cast.len(), VOTERS as usize + 1);
    for (_, nullifier) in &cast {
        let holds = |fingerprint: &u64| nullifier.windows(8).any(|bytes| *bytes == fingerprint.to_le_bytes());
        assert!(!fingerprints.iter().any(holds), "something of a token's issue is in a ballot");
    }
    // Receipts are in the order of the ballots; who is whose only the voters know.
    let order: HashMap<u64, usize> = receipts.iter().enumerate().map(|(voter, receipt)| (*receipt, voter)).collect();
    let mut sorted = receipts.clone();
    sorted.sort_unstable();
    let hits = sorted.iter().enumerate().filter(|(at, receipt)| order[receipt] == *at).count();
    assert!(hits < 20, "{hits} of {VOTERS} ballots are where their voters were: about one a batch is chance");
    for batch in cast[..VOTERS as usize].chunks(BATCH) {
        assert_eq!(batch[BATCH - 1].0 - batch[0].0, BATCH as u64 - 1, "a batch is one run of frames");
    }
    println!("proved: {VOTERS} ballots in batches of {BATCH}, {hits} guessed by order");
}
