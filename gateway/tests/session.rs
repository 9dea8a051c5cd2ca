//! Logon and the life of a session, over real sockets, with the loop driven by hand.

mod support;

use ringfence_gateway::testing::{Command, Echo, FakePort, Long, Word, gateway, key};
use ringfence_gateway::{Clock, GatewayConfig, Keys, WallClock};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::wire::{Alive, Logoff, PROTOCOL, Request, Subscribe};
use ringfence_kernel::{ClientId, SessionId, Topic};
use support::{Bench, Lines, frame, logon};

const OPENED: u16 = 3;
const CLOSED: u16 = 4;

/// Guards against a logon that never reaches the engine or never comes back.
#[test]
fn a_proved_client_gets_a_session_and_answers() {
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    assert_eq!(bench.gateway.port().frames, [(OPENED, SessionId(1))]);
    peer.send(&frame(1, Command::Echo(&Echo { value: 7 })));
    assert_eq!(bench.answer(&mut peer), (1, 7));
    assert_eq!(bench.gateway.stats().sequenced, 1);
    assert_eq!(bench.gateway.stats().answered, 1);
}

/// Guards against a key that opens for anybody, and against an unknown client that is told apart from a wrong proof.
#[test]
fn a_wrong_proof_and_an_unknown_client_are_refused_alike() {
    let mut bench = Bench::new();
    for (client, key) in [(1, key(2)), (999, key(1))] {
        let mut peer = bench.connect();
        let nonce = bench.challenge(&mut peer).nonce;
        peer.send(&logon(client, &key, &nonce, PROTOCOL));
        assert_eq!(bench.closing(&mut peer), Refusal::LogonRefused.into());
        bench.gone(&mut peer);
    }
    assert!(bench.gateway.port().frames.is_empty(), "the engine hears nothing of it");
}

/// Guards against a proof that is good twice.
#[test]
fn a_proof_for_another_connections_challenge_is_refused() {
    let mut bench = Bench::new();
    let (mut first, mut second) = (bench.connect(), bench.connect());
    let nonce = bench.challenge(&mut first).nonce;
    assert_ne!(nonce, bench.challenge(&mut second).nonce);
    second.send(&logon(1, &key(1), &nonce, PROTOCOL));
    assert_eq!(bench.closing(&mut second), Refusal::LogonRefused.into());
}

/// Guards against a session in a protocol that the gateway does not speak.
#[test]
fn another_protocol_version_is_refused() {
    let mut bench = Bench::new();
    let mut peer = bench.connect();
    let nonce = bench.challenge(&mut peer).nonce;
    peer.send(&logon(1, &key(1), &nonce, PROTOCOL + 1));
    assert_eq!(bench.closing(&mut peer), Refusal::ProtocolMismatch.into());
}

/// Guards against connections that hold a place for ever.
#[test]
fn whoever_does_not_log_on_in_time_is_closed() {
    let mut bench = Bench::new();
    let mut peer = bench.connect();
    bench.challenge(&mut peer);
    bench.clock.advance_ms(4_999);
    peer.send(&frame(0, Request::Alive(&Alive { reserved: Reserved::default() }))[..20]);
    bench.settle();
    assert_eq!(bench.gateway.stats().connections, 1);
    bench.clock.advance_ms(500);
    assert_eq!(bench.closing(&mut peer), Refusal::LogonTimeout.into());
    bench.gone(&mut peer);
}

/// Guards against two sessions of one client: the first is closed in the log before the second is opened.
#[test]
fn a_second_logon_ends_the_first_session() {
    let mut bench = Bench::new();
    let mut first = bench.log_on(1);
    let mut second = bench.log_on(1);
    assert_eq!(bench.closing(&mut first), Refusal::Superseded.into());
    bench.gone(&mut first);
    let expected = [(OPENED, SessionId(1)), (CLOSED, SessionId(1)), (OPENED, SessionId(2))];
    assert_eq!(bench.gateway.port().frames, expected);
    second.send(&frame(1, Command::Echo(&Echo { value: 1 })));
    assert_eq!(bench.answer(&mut second), (1, 1));
}

/// Guards against a logon that was long on its way and ends the session that its client has since made anew.
#[test]
fn a_late_logon_of_an_older_connection_ends_no_newer_session() {
    let mut bench = Bench::new();
    let mut older = bench.connect();
    let nonce = bench.challenge(&mut older).nonce;
    let mut newer = bench.log_on(1);
    older.send(&logon(1, &key(1), &nonce, PROTOCOL));
    assert_eq!(bench.closing(&mut older), Refusal::Superseded.into());
    bench.gone(&mut older);
    assert_eq!(bench.gateway.port().frames, [(OPENED, SessionId(1))]);
    newer.send(&frame(1, Command::Echo(&Echo { value: 1 })));
    assert_eq!(bench.answer(&mut newer), (1, 1));
}

/// Guards against a session that outlives its connection.
#[test]
fn goodbye_loss_and_silence_all_close_the_session() {
    let mut bench = Bench::new();
    let mut polite = bench.log_on(1);
    polite.send(&frame(0, Request::Logoff(&Logoff { reserved: Reserved::default() })));
    assert_eq!(bench.closing(&mut polite), Refusal::LoggedOff.into());
    let lost = bench.log_on(2);
    drop(lost);
    bench.until("the loss is seen", |bench, _| bench.gateway.port().frames.len() == 4);
    let mut silent = bench.log_on(3);
    // The first look at the timers says a heartbeat, the second finds the silence too long.
    bench.clock.advance_ms(15_000);
    assert_eq!(bench.closing(&mut silent), Refusal::HeartbeatTimeout.into());
    bench.settle();
    let closed: Vec<_> =
        bench.gateway.port().frames.iter().filter(|(frame, _)| *frame == CLOSED).map(|f| f.1.0).collect();
    assert_eq!(closed, [1, 2, 3]);
    assert_eq!(bench.gateway.stats().sessions, 0);
}

/// Guards against a gateway that a client takes for dead, and one that takes a living client for dead.
#[test]
fn heartbeats_go_both_ways() {
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    for _ in 0..40 {
        bench.clock.advance_ms(1_000);
        assert_eq!(bench.next(&mut peer).template(), 105, "a heartbeat after a second of silence");
        peer.send(&frame(0, Request::Alive(&Alive { reserved: Reserved::default() })));
        bench.settle();
    }
    assert_eq!(bench.gateway.stats().connections, 1);
}

/// Guards against a client that is taken for silent though it spoke while the gateway stood still and has not read it yet.
#[test]
fn what_was_said_during_a_pause_counts() {
    let mut bench = Bench::new();
    let (mut busy, mut other) = (bench.log_on(1), bench.log_on(2));
    let alive = frame(0, Request::Alive(&Alive { reserved: Reserved::default() }));
    // Both have long brought nothing. One that does is read without asking the poller about the other.
    for _ in 0..5_000 {
        bench.gateway.step();
    }
    for _ in 0..3 {
        busy.send(&alive);
        bench.gateway.step();
    }
    busy.send(&alive);
    other.send(&alive);
    bench.clock.advance_ms(15_000);
    bench.gateway.step();
    assert_eq!(bench.gateway.stats().connections, 2);
    bench.settle();
    assert_eq!(bench.gateway.stats().sessions, 2);
}

/// Guards against commands of nobody.
#[test]
fn a_command_before_the_logon_is_refused_and_closes() {
    let mut bench = Bench::new();
    for bytes in [
        frame(9, Command::Echo(&Echo { value: 1 })),
        frame(9, Request::Subscribe(&Subscribe { topic: Topic(1), from: 0 })),
    ] {
        let mut peer = bench.connect();
        bench.challenge(&mut peer);
        peer.send(&bytes);
        assert_eq!(bench.rejected(&mut peer), (9, Refusal::NotLoggedOn.into()));
        assert_eq!(bench.closing(&mut peer), Refusal::NotLoggedOn.into());
    }
    assert!(bench.gateway.port().executed.is_empty());
}

/// Guards against a client that writes system frames into the log.
#[test]
fn a_system_frame_of_a_client_is_refused() {
    use ringfence_kernel::system::{ActivateLogicVersion, Frame};
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    let activate = ActivateLogicVersion { logic: 9, reserved: Reserved::default() };
    peer.send(&frame(3, Frame::ActivateLogicVersion(&activate)));
    assert_eq!(bench.rejected(&mut peer), (3, Refusal::NotPermitted.into()));
    peer.send(&frame(4, Command::Echo(&Echo { value: 1 })));
    assert_eq!(bench.answer(&mut peer), (4, 1));
    assert_eq!(bench.gateway.port().frames.len(), 1);
}

/// Guards against one connection too many, and against a place that is not given back.
#[test]
fn connections_are_bounded() {
    let mut bench = Bench::with(|config, _| config.connections_max = 2);
    let (first, mut second) = (bench.log_on(1), bench.log_on(2));
    let mut third = bench.connect();
    assert_eq!(bench.closing(&mut third), Refusal::ConnectionsFull.into());
    bench.gone(&mut third);
    drop(first);
    bench.until("a place is free", |bench, _| bench.gateway.stats().connections == 1);
    let _fourth = bench.log_on(4);
    second.send(&frame(1, Command::Echo(&Echo { value: 5 })));
    assert_eq!(bench.answer(&mut second), (1, 5));
}

/// Guards against a frame that is only understood when it comes in one piece: every cut of a logon, a command and a
/// command of several slots.
#[test]
fn frames_may_be_cut_at_every_byte() {
    let words: Vec<Word> = (0..90).map(|word| Word { word }).collect();
    let long = frame(2, Command::Long(&Long { value: 0 }, &words));
    let short = frame(1, Command::Echo(&Echo { value: 3 }));
    let mut bench = Bench::new();
    let mut cuts = bench.log_on(1);
    let stream = [short.clone(), long.clone()].concat();
    let mut request = 0;
    for cut in 1..stream.len() {
        let mut stream = stream.clone();
        for (at, id) in [(0, 1), (short.len(), 2)] {
            stream[at + 8..at + 16].copy_from_slice(&(request + id as u64).to_le_bytes());
        }
        cuts.send(&stream[..cut]);
        bench.settle();
        cuts.send(&stream[cut..]);
        assert_eq!(bench.answer(&mut cuts), (request + 1, 3), "cut at {cut}");
        assert_eq!(bench.answer(&mut cuts), (request + 2, 89 * 90 / 2), "cut at {cut}");
        request += 2;
    }
    for cut in 1..72 {
        let mut peer = bench.connect();
        let nonce = bench.challenge(&mut peer).nonce;
        let bytes = logon(2, &key(2), &nonce, PROTOCOL);
        assert_eq!(bytes.len(), 72);
        peer.send(&bytes[..cut]);
        bench.settle();
        peer.send(&bytes[cut..]);
        assert_eq!(bench.next(&mut peer).template(), 102, "cut at {cut}");
    }
}

/// Guards against the longest command, and against one that is longer.
#[test]
fn the_longest_command_fits_and_no_longer_one_does() {
    let words: Vec<Word> = (0..(32_768 - 32 - 8 - 8) / 8).map(|_| Word { word: 1 }).collect();
    let longest = frame(1, Command::Long(&Long { value: 0 }, &words));
    assert_eq!(longest.len(), 32_768);
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    peer.send(&longest);
    assert_eq!(bench.answer(&mut peer), (1, words.len() as u64));
    peer.send(&32_776_u16.to_le_bytes());
    assert_eq!(bench.closing(&mut peer), Refusal::BadFrame.into());
}

/// Guards against bytes that panic, hang or change state: seeded rubbish, and good frames with one byte changed, before
/// and after a logon. A rerun with the printed seed gives the same bytes.
#[test]
fn hostile_bytes_close_their_own_connection_at_most() {
    use ringfence_kernel::random::Random;
    let mut bench = Bench::new();
    let mut good = bench.log_on(1);
    for seed in 0..300_u64 {
        let mut random = Random::new(seed);
        let mut peer = if seed % 2 == 0 { bench.connect() } else { bench.log_on(2) };
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(6) {
            let mut part = match random.below(5) {
                0 => (0..random.below(300)).map(|_| random.below(256) as u8).collect(),
                1 => logon(2, &key(2), &[3; 32], PROTOCOL),
                2 => frame(
                    random.below(9),
                    Request::Subscribe(&Subscribe { topic: Topic(random.below(1 << 40)), from: random.below(3) }),
                ),
                _ => frame(random.below(9), Command::Echo(&Echo { value: 1 })),
            };
            if random.below(2) == 0 && !part.is_empty() {
                let at = random.below(part.len() as u64) as usize;
                part[at] ^= 1 << random.below(8);
            }
            bytes.extend(part);
        }
        ringfence_gateway::testing::fuzz_frames(&bytes);
        peer.try_send(&bytes);
        bench.settle();
        drop(peer);
        bench.settle();
        good.send(&frame(seed + 1, Command::Echo(&Echo { value: seed })));
        assert_eq!(bench.answer(&mut good), (seed + 1, seed), "seed {seed}");
    }
    bench.until("all others are gone", |bench, _| bench.gateway.stats().connections == 1);
    for (client, request, value) in &bench.gateway.port().executed {
        assert!(*client == ClientId(1) || (*client == ClientId(2) && request.0 < u64::MAX), "{client} {value}");
    }
}

/// Guards against a stop that loses answers, takes in more, or never ends.
#[test]
fn a_stop_answers_what_was_taken_in_and_refuses_the_rest() {
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    bench.gateway.port().held = true;
    peer.send(&[frame(1, Command::Echo(&Echo { value: 1 })), frame(2, Command::Echo(&Echo { value: 2 }))].concat());
    bench.until("both are taken in", |bench, _| bench.gateway.stats().sequenced == 2);
    bench.gateway.begin_stop();
    peer.send(&frame(3, Command::Echo(&Echo { value: 3 })));
    let mut late = bench.connect();
    assert_eq!(bench.closing(&mut late), Refusal::Stopping.into());
    bench.settle();
    assert!(!bench.gateway.is_stopped());
    bench.gateway.port().held = false;
    assert_eq!(bench.answer(&mut peer), (1, 1));
    assert_eq!(bench.answer(&mut peer), (2, 2));
    assert_eq!(bench.closing(&mut peer), Refusal::Stopping.into());
    bench.gone(&mut peer);
    drop(peer);
    bench.until("it is stopped", |bench, _| bench.gateway.is_stopped());
    assert_eq!(bench.gateway.port().executed.len(), 2);
    assert_eq!(bench.gateway.port().frames.last(), Some(&(CLOSED, SessionId(1))));
}

/// Guards against a stop that waits for ever for an engine that does not answer, and one that fills the log meanwhile.
#[test]
fn a_stop_without_answers_ends_all_the_same() {
    let lines = Lines::listen();
    let mut bench = Bench::new();
    let mut busy = bench.log_on(1);
    bench.gateway.port().held = true;
    busy.send(&[frame(1, Command::Echo(&Echo { value: 1 })), frame(2, Command::Echo(&Echo { value: 2 }))].concat());
    bench.until("both are taken in", |bench, _| bench.gateway.stats().sequenced == 2);
    let mut opening = bench.connect();
    let nonce = bench.challenge(&mut opening).nonce;
    opening.send(&logon(2, &key(2), &nonce, PROTOCOL));
    bench.settle();
    bench.gateway.port().refusals = usize::MAX;
    bench.gateway.begin_stop();
    bench.clock.advance_ms(9_999);
    for _ in 0..100 {
        bench.gateway.begin_stop();
        bench.settle();
    }
    assert!(!bench.gateway.is_stopped());
    bench.clock.advance_ms(1);
    assert_eq!(bench.closing(&mut busy), Refusal::Stopping.into());
    assert_eq!(bench.closing(&mut opening), Refusal::Stopping.into());
    bench.gone(&mut busy);
    bench.clock.advance_ms(1_250);
    bench.until("it is stopped", |bench, _| bench.gateway.is_stopped());
    bench.gateway.port().refusals = 0;
    let taken = bench.gateway.port().ingress.len();
    let now = bench.clock.now();
    bench.gateway.port().deadline = Some(now);
    bench.clock.advance_ms(2_000);
    bench.settle();
    assert_eq!(bench.gateway.port().ingress.len(), taken, "nothing is sequenced after the end");
    assert_eq!(lines.count("message=stopping"), 1);
    assert_eq!(lines.count("WARN message=answers did not come in time"), 1);
    assert_eq!(lines.count(" commands=2 logons=1 connections=2"), 1);
    assert_eq!(lines.count("code=\"Stopping\" number=28"), 2);
}

/// Guards against keys that lie open, and against an empty keys file that looks like a good one.
#[cfg(unix)]
#[test]
fn keys_that_others_may_read_and_files_without_keys_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let file = std::env::temp_dir().join(format!("ringfence-keys-{}.toml", std::process::id()));
    let one = "[[client]]\nid = 1\nkey = \"00112233445566778899aabbccddeeff\"\n";
    for (mode, text, open, empty) in
        [(0o600, one, 0, 0), (0o640, one, 1, 0), (0o604, one, 1, 0), (0o600, "", 0, 1), (0o644, "", 1, 1)]
    {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let lines = Lines::listen();
        lines.clear();
        Keys::read(&file, &[]).unwrap();
        assert_eq!(lines.count(&format!("mode={mode:04o}")), open, "{mode:o}");
        assert_eq!(lines.count("WARN message=the keys can be read by other users"), open, "{mode:o}");
        assert_eq!(lines.count("WARN message=the keys file names no client"), empty, "{text}");
    }
    std::fs::remove_file(&file).unwrap();
}

/// Guards against a gateway that starts with settings that cannot work.
#[test]
fn a_gateway_with_settings_that_cannot_work_is_not_made() {
    let config = GatewayConfig { read_bytes_max: 100, ..GatewayConfig::default() };
    let error = gateway(config, FakePort::new(16, 16), WallClock::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let message = "gateway: read_bytes_max is 100, and must be 65536 or more: two of the longest commands";
    assert_eq!(error.to_string(), message);
}

/// Guards against another answer to a frame of the session protocol that is none, before and after the logon.
#[test]
fn what_is_wrong_in_the_session_protocol_closes_with_bad_frame() {
    let mut bench = Bench::new();
    let good = frame(0, Request::Alive(&Alive { reserved: Reserved::default() }));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut short = good[..32].to_vec();
    short[0] = 32;
    let mut long = [&good[..], &[0; 100 * 8]].concat();
    long[..2].copy_from_slice(&840_u16.to_le_bytes());
    let cases = [
        ("the template", with(26, 77)),
        ("the version", with(30, 2)),
        ("the block's length", with(24, 16)),
        ("a byte that must be zero", with(35, 1)),
        ("no body", short),
        ("too much of it", long),
    ];
    for logged_on in [false, true] {
        for (what, bytes) in &cases {
            let mut peer = if logged_on { bench.log_on(1) } else { bench.connect() };
            if !logged_on {
                bench.challenge(&mut peer);
            }
            peer.send(bytes);
            assert_eq!(bench.closing(&mut peer), Refusal::BadFrame.into(), "{what}, logged on: {logged_on}");
        }
    }
}

/// Guards against a connection that stays without a logon because it shows that it lives, and one closed for that.
#[test]
fn alive_before_the_logon_is_heard_and_buys_no_time() {
    let mut bench = Bench::new();
    let mut peer = bench.connect();
    bench.challenge(&mut peer);
    for _ in 0..4 {
        peer.send(&frame(0, Request::Alive(&Alive { reserved: Reserved::default() })));
        bench.clock.advance_ms(1_100);
        assert_eq!(bench.next(&mut peer).template(), 105);
    }
    assert_eq!(bench.gateway.stats().connections, 1);
    bench.clock.advance_ms(600);
    assert_eq!(bench.closing(&mut peer), Refusal::LogonTimeout.into());
}
