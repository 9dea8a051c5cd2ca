//! The session in `docs/protocol/README.md`, byte for byte. `RINGFENCE_REWRITE=1` writes it anew.

mod support;

use ringfence_gateway::codecs::native::notice;
use ringfence_gateway::testing::{Command, DOMAIN, Echo, Echoed, Output};
use ringfence_kernel::image::{Slot, kind};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::wire::{
    Challenge, Closing, LoggedOn, Logoff, Notice, PROTOCOL, Rejected, Request, Subscribe, Subscribed,
};
use ringfence_kernel::{ClientId, RequestId, SessionId, Timestamp, Topic};
use std::fmt::Write;
use support::{frame, logon};

const BEGIN: &str = "--test worked_session -->\n";
const END: &str = "<!-- end -->";

fn show(page: &mut String, who: &str, what: &str, bytes: &[u8]) {
    writeln!(page, "{who}  {what}, {} bytes", bytes.len()).unwrap();
    for (row, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.chunks(8).map(|word| word.iter().map(|b| format!("{b:02x} ")).collect()).collect();
        writeln!(page, "  {:04x}  {}", row * 16, hex.join(" ").trim_end()).unwrap();
    }
    page.push('\n');
}

fn out<'m>(kind: u8, session: u32, request: u64, message: impl Message<'m>) -> Vec<u8> {
    let mut slot = Slot::EMPTY;
    notice(&mut slot, kind, SessionId(session), RequestId(request), Timestamp(0), message).to_vec()
}

/// Guards against a page that describes another protocol than the one that is spoken.
#[test]
fn the_page_shows_what_is_sent() {
    let key: [u8; 16] = std::array::from_fn(|at| at as u8);
    let nonce: [u8; 32] = std::array::from_fn(|at| at as u8);
    let client = ClientId(1);
    let topic = Topic::new(DOMAIN, 1, 7);
    let (reserved, reserved_end) = (Reserved::default(), Reserved::default());
    let challenge =
        Challenge { nonce, protocol: PROTOCOL, reserved, heartbeat_ms: 1_000, timeout_ms: 15_000, reserved_end };
    let logged_on = LoggedOn {
        client,
        session: SessionId(5),
        highest: RequestId(41),
        reply_window: 64,
        reserved: Reserved::default(),
    };
    let rejected =
        Rejected { code: Refusal::NotSequenced.into(), template: 1, offset: 0, reserved: Reserved::default() };
    let closing = Closing { code: Refusal::LoggedOff.into(), reserved: Reserved::default() };
    let mut page = String::from("```text\n");
    let (gateway, peer) = ("gateway", "client ");
    let s = kind::SESSION;
    show(&mut page, gateway, "Challenge", &out(s, 0, 0, Notice::Challenge(&challenge)));
    show(&mut page, peer, "Logon of client 1", &logon(1, &key, &nonce, PROTOCOL));
    show(&mut page, gateway, "LoggedOn: session 5, highest 41, window 64", &out(s, 5, 0, Notice::LoggedOn(&logged_on)));
    show(&mut page, peer, "Echo of 7, request 43", &frame(43, Command::Echo(&Echo { value: 7 })));
    let echoed = Echoed { value: 7, executed: 41 };
    show(&mut page, gateway, "Echoed, request 43", &out(kind::REPLY, 5, 43, Output::Echoed(&echoed)));
    show(&mut page, peer, "Echo of 6, request 42: too late", &frame(42, Command::Echo(&Echo { value: 6 })));
    show(&mut page, gateway, "Rejected: NotSequenced", &out(kind::REJECT, 5, 42, Notice::Rejected(&rejected)));
    show(&mut page, peer, "Subscribe, from a snapshot", &frame(44, Request::Subscribe(&Subscribe { topic, from: 0 })));
    show(&mut page, gateway, "Subscribed", &out(s, 5, 44, Notice::Subscribed(&Subscribed { topic, next: 0 })));
    show(&mut page, peer, "Logoff", &frame(0, Request::Logoff(&Logoff { reserved: Reserved::default() })));
    show(&mut page, gateway, "Closing: LoggedOff", &out(s, 5, 0, Notice::Closing(&closing)));
    let page = format!("\n{}\n```\n\n", page.trim_end());

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/README.md");
    let text = std::fs::read_to_string(file).unwrap();
    let begin = text.find(BEGIN).expect("the page has a place for the session") + BEGIN.len();
    let end = text.find(END).expect("and an end");
    if std::env::var_os("RINGFENCE_REWRITE").is_some() {
        std::fs::write(file, format!("{}{page}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], page, "RINGFENCE_REWRITE=1 writes it anew");
}
