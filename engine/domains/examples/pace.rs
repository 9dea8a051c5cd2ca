//! How long matching takes for a command, decoding and outputs included: `cargo run --release -p ringfence-domains
//! --example pace -- normal`. The harness in `benches` measures with more care; this is for a quick look while working.
#![allow(clippy::print_stderr, reason = "a command's edge")]

use ringfence_domains::matching::Matching;
use ringfence_domains::matching::messages::MatchingLimits;
use ringfence_domains::workloads;
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, CommandHeader};
use ringfence_kernel::limits::Limits;
use ringfence_kernel::outbox::Stamp;
use ringfence_kernel::registry::apply;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{
    ClientId, Context, Domain, Out, Outbox, Progress, RequestId, Roles, Sequence, SessionId, Timestamp,
};
use std::time::Instant;

const COMMANDS: u64 = 1_000_000;

fn main() {
    let kinds: Vec<String> = std::env::args().skip(1).collect();
    let kinds = if kinds.is_empty() { vec!["normal".into(), "static".into(), "crowded".into()] } else { kinds };
    for kind in &kinds {
        let Some(workload) = workloads::find("matching", kind) else {
            eprintln!("no workload {kind}");
            std::process::exit(2);
        };
        let mut workload = (workload.new)(1, 16);
        let mut image = CommandImage::default();
        // One after another in memory, as in a ring or a journal.
        let mut commands = Vec::<u64>::new();
        for _ in 0..COMMANDS {
            workload.next(&mut image);
            image.stamp(SessionId(image.client.0), RequestId(0), Timestamp(0));
            commands.extend_from_slice(bytemuck::cast_slice(image.bytes()));
        }
        let mut best = f64::MAX;
        for _ in 0..5 {
            best = best.min(run(&commands));
        }
        println!("{kind}: {best:.1} ns a command");
    }
}

fn run(commands: &[u64]) -> f64 {
    let mut commands: &[u8] = bytemuck::cast_slice(commands);
    let mut matching = Matching::new(&MatchingLimits::defaults());
    let mut outbox = Outbox::new();
    let (mut rejects, mut outputs) = (0, 0_u64);
    let start = Instant::now();
    let mut at = 0;
    while let Some(header) = CommandHeader::read(commands) {
        let (command, rest) = commands.split_at(header.length.into());
        (commands, at) = (rest, at + 1);
        let client = ClientId(header.session.0);
        let context = Context {
            sequence: Sequence(at),
            now: Timestamp(1_000_000_000 + at * 1_000),
            session: header.session,
            client,
            roles: Roles::ALL,
            logic: 1,
        };
        outbox.begin(Stamp {
            sequence: context.sequence,
            now: context.now,
            session: context.session,
            ..Stamp::default()
        });
        match apply(&mut matching, context, header.message, &command[COMMAND_HEADER_BYTES..], &mut outbox) {
            Ok(mut progress) => {
                while progress == Progress::More {
                    outputs += outbox.len() as u64;
                    outbox.flushed();
                    progress = matching.resume(context, &mut Out::new(&mut outbox));
                }
            }
            Err(_) => rejects += 1,
        }
        outputs += outbox.len() as u64;
        outbox.flushed();
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / COMMANDS as f64;
    println!(
        "  {nanoseconds:.1} ns, {:.2} outputs a command, {rejects} rejects, hash {:016x}",
        outputs as f64 / COMMANDS as f64,
        matching.state_hash()
    );
    nanoseconds
}
