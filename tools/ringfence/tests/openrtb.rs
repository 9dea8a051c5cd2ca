//! Exchanges, as they really speak: bid requests over HTTP to the gateway, and from there to an engine. What is sent is
//! written from the public specification of OpenRTB 2.6.

mod support;

use ringfence_client::Client;
use ringfence_domains::auction::messages::{
    AuctionRule, CampaignId, Command, CreativeId, CurrencyId, DefineName, Dimension, LineItemId, Phase, PriceModel,
    RATE_WHOLE, Reply, ReportLineItem, SetCampaign, SetCreative, SetLineItem, SetRate, Target, TargetMode, WHOLE,
};
use ringfence_domains::auction::workload::{self, campaign, line_item, placement, slot, target};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};
use support::{Place, program};

/// A bid request of a site with one banner, of a private deal, and of an app, with fields that nobody here knows. It leaves
/// more time than any sound run takes.
const BANNER: &str = r#"{
  "id": "80ce30c53c16e6ede735f123ef6e32361bfc7b22", "at": 1, "tmax": 60000, "cur": ["USD"],
  "imp": [{"id": "1", "tagid": "leaderboard", "bidfloor": 0.5, "secure": 1,
    "banner": {"format": [{"w": 728, "h": 90}], "w": 300, "h": 250, "pos": 0, "battr": [13]}}],
  "site": {"id": "102855", "cat": ["IAB3-1"], "domain": "www.foobar.example", "page": "http://www.foobar.example/1234.html",
    "publisher": {"id": "8953", "name": "foobar.example", "cat": ["IAB3-1"]}},
  "device": {"ua": "Mozilla/5.0", "ip": "192.0.2.1", "geo": {"country": "USA"}, "devicetype": 2, "os": "Linux"},
  "user": {"id": "55816b39711f9b5acf3b90e313ed29e51665623f"},
  "source": {"schain": {"ver": "1.0", "complete": 1, "nodes": []}}, "ext": {"unknown": [1, {"deep": null}]}}"#;

struct Gateway {
    child: Child,
    address: SocketAddr,
    place: Place,
    engine: ringfence::engine_process::EngineProcess,
    client: Client,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// An engine with line items for exchanges, and the gateway before it.
    fn new() -> Self {
        Self::with_files(1_024)
    }

    /// One whose gateway may have so many files open.
    fn with_files(files: u32) -> Self {
        let place = Place::new(2, "");
        let engine = place.engine();
        let client = Client::connect(place.config(1, engine.address())).expect("the engine answers");
        let config = r#"
currency = "USD"
currencies = { EUR = 1 }
notices = "http://gateway.example/notices"
secret = "a secret that tests may know"
tmax_ms = 60000
margin_ms = 10
body_bytes_max = 8192
placements = { leaderboard = 1, sidebar = 2, stream = 3 }
bidder = "ringfence"
[names]
size = ["728x90", "300x250"]
site = ["www.foobar.example"]
deal = ["deal-1", "deal-2", "deal-3"]
keyword = ["stream"]
ad_domain = ["advertiser.example"]
[[creatives]]
creative = 1
adm = "<a href=\"https://advertiser.example\">728</a>"
adomain = ["advertiser.example"]
w = 728
h = 90
[[creatives]]
creative = 3
adm = "<VAST version=\"4.0\"/>"
dur = 15
[[creatives]]
creative = 4
adm = "<VAST version=\"4.1\"/>"
dur = 30
[[creatives]]
creative = 6
adm = "<VAST version=\"4.2\"/>"
"#;
        let file = place.path().join("openrtb.toml");
        std::fs::write(&file, config).expect("it is written");
        let mut child = Process::new("sh")
            .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")])
            .arg(program())
            .args(["openrtb", "--listen", "127.0.0.1:0", "--client", "2"])
            .arg("--config")
            .arg(&file)
            .arg("--keys")
            .arg(place.path().join("keys.toml"))
            .args(["--address", &engine.address().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line.trim().trim_start_matches("listening on http://").parse().expect("an address");
        let mut gateway = Self { child, address, place, engine, client };
        gateway.prepare();
        gateway
    }

    fn ask(&mut self, command: Command<'_>) {
        let answer = self.client.call(command).expect("the engine answers");
        let _: Reply<'_> = answer.reply().expect("it is no refusal");
    }

    fn name(&mut self, dimension: Dimension, text: &str) -> u32 {
        let answer = self.client.call(Command::DefineName(&DefineName::new(dimension, text))).expect("it answers");
        match answer.reply().expect("a reply") {
            Reply::NameIs(name) => name.value,
            other => panic!("{other:?}"),
        }
    }

    /// Line item 1 shows a leaderboard for 2 dollars a thousand; line item 2 has a private deal at 3, line item 3 pays for
    /// clicks and has no slot in an exchange.
    fn prepare(&mut self) {
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        let (size, own) = (self.name(Dimension::Size, "728x90"), self.name(Dimension::AdDomain, "advertiser.example"));
        let (deal, site) = (self.name(Dimension::Deal, "deal-1"), self.name(Dimension::Site, "www.foobar.example"));
        for id in 1..=2 {
            let terms = placement(id, 1, AuctionRule::FirstPrice);
            self.ask(Command::DefinePlacement(&terms, &[slot(WHOLE)]));
        }
        let own = target(TargetMode::Exclude, Dimension::AdDomain, own);
        let targets: [&[Target]; 3] = [
            &[target(TargetMode::Include, Dimension::Site, site), own],
            &[target(TargetMode::Include, Dimension::Deal, deal), own],
            &[target(TargetMode::Include, Dimension::Keyword, 99_999)],
        ];
        for (id, targets) in (1..).zip(targets) {
            self.ask(Command::DefineCampaign(&campaign(id, id, 1_000_000_000)));
            self.ask(Command::SetCampaign(&SetCampaign { campaign: CampaignId(id), phase, reserved }));
            let mut terms = line_item(id, id, 100_000_000, 1_000_000 + 1_000_000 * u64::from(id));
            terms.window = 3_600_000_000_000;
            if id == 3 {
                terms.model = PriceModel::Cpc.into();
            }
            self.ask(Command::DefineLineItem(&terms, targets));
            self.ask(Command::SetLineItem(&SetLineItem { item: LineItemId(id), phase, reserved }));
        }
        for (id, item) in [(1, 1), (2, 2)] {
            let mut terms = workload::creative(id, item);
            terms.size = if id == 1 { size } else { 0 };
            self.ask(Command::DefineCreative(&terms));
            self.ask(Command::SetCreative(&SetCreative { creative: CreativeId(id), phase, reserved }));
        }
    }

    /// Line items 4, 5 and 6, each of another advertiser, compete for a stream of three slots, and pay 4, 5 and 6 dollars a
    /// thousand; what the last of them shows no exchange knows. Line item 7 has a private deal at 7.
    fn stream(&mut self) {
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        let (stream, deal) = (self.name(Dimension::Keyword, "stream"), self.name(Dimension::Deal, "deal-2"));
        let terms = placement(3, 1, AuctionRule::FirstPrice);
        self.ask(Command::DefinePlacement(&terms, &[slot(WHOLE); 3]));
        for id in 4..=7 {
            self.ask(Command::DefineCampaign(&campaign(id, id, 1_000_000_000)));
            self.ask(Command::SetCampaign(&SetCampaign { campaign: CampaignId(id), phase, reserved }));
            let mut terms = line_item(id, id, 100_000_000, 1_000_000 * u64::from(id));
            terms.window = 3_600_000_000_000;
            let by_deal = target(TargetMode::Include, Dimension::Deal, deal);
            let open = target(TargetMode::Include, Dimension::Keyword, stream);
            self.ask(Command::DefineLineItem(&terms, &[if id == 7 { by_deal } else { open }]));
            self.ask(Command::SetLineItem(&SetLineItem { item: LineItemId(id), phase, reserved }));
            self.ask(Command::DefineCreative(&workload::creative(id - 1, id)));
            self.ask(Command::SetCreative(&SetCreative { creative: CreativeId(id - 1), phase, reserved }));
        }
    }

    /// What a line item has won, what of it was shown, and taken back; and what it holds and spent.
    fn report(&mut self, item: u32) -> (u64, u64, u64, u64, u64) {
        let command = ReportLineItem { item: LineItemId(item), reserved: Reserved::default() };
        let answer = self.client.call(Command::ReportLineItem(&command)).expect("it answers");
        match answer.reply().expect("a reply") {
            Reply::LineItemReport(report) => {
                (report.wins, report.impressions, report.voided.into(), report.held.0, report.spent.0)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a line item's report is as it must become.
    fn comes_to(&mut self, item: u32, report: (u64, u64, u64, u64, u64)) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.report(item) != report {
            assert!(Instant::now() < deadline, "{:?}, not {report:?}", self.report(item));
        }
    }

    /// Bytes on a connection of their own, of which nothing more may come; everything that comes back until the peer closes.
    fn bytes(&self, bytes: &[u8], ends: bool) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
        // A peer that has refused already may not read on.
        let _ = stream.write_all(bytes);
        if ends {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let answer = self.bytes(format!("{head}{body}").as_bytes(), false);
        let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.unwrap_or_else(|| panic!("no answer to {body:.80}: {answer}")), body.to_string())
    }

    fn bid(&self, body: &str) -> (u16, serde_json::Value) {
        let (status, body) = self.request("POST", "/openrtb", body);
        (status, serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body)))
    }

    fn notice(&self, bid: &serde_json::Value, kind: &str) -> u16 {
        let address = bid[kind].as_str().expect("an address");
        let path = address.strip_prefix("http://gateway.example").expect("our own");
        self.request("GET", path, "").0
    }
}

/// Guards against a bid of another price, size or slot than the engine's win, and against notices that do not reach it: a
/// bid is answered, billed once, lost once, blocked, refused below the floor, and left to those who have the deal.
#[test]
fn exchanges_are_answered_and_their_notices_are_counted_once() {
    let mut gateway = Gateway::new();
    let (status, answer) = gateway.bid(BANNER);
    assert_eq!(status, 200, "{answer}");
    let bid = &answer["seatbid"][0]["bid"][0];
    assert_eq!((&answer["id"], &answer["cur"]), (&"80ce30c53c16e6ede735f123ef6e32361bfc7b22".into(), &"USD".into()));
    assert_eq!((bid["price"].as_f64(), &bid["impid"]), (Some(2.0), &"1".into()));
    assert_eq!((bid["w"].as_u64(), &bid["crid"], &bid["cid"]), (Some(728), &"1".into(), &"1".into()));
    assert_eq!(gateway.report(1), (1, 0, 0, 2_000_000, 0), "the win holds its price");
    assert_eq!([gateway.notice(bid, "nurl"), gateway.notice(bid, "burl"), gateway.notice(bid, "burl")], [204; 3]);
    assert_eq!(gateway.report(1), (1, 1, 0, 0, 2_000_000), "it is billed once");
    assert_eq!(gateway.notice(bid, "lurl"), 409);
    assert_eq!(gateway.report(1), (1, 1, 0, 0, 2_000_000), "what was billed is not lost");

    let (_, answer) = gateway.bid(BANNER);
    let lost = &answer["seatbid"][0]["bid"][0];
    assert_eq!(
        [gateway.notice(lost, "lurl"), gateway.notice(lost, "lurl"), gateway.notice(lost, "burl")],
        [204, 410, 410]
    );
    assert_eq!(gateway.report(1), (2, 1, 1, 0, 2_000_000), "what was lost is free");

    // No bid: a floor above, in a currency without a rate, a blocked advertiser, another size, no such placement, a test.
    for (from, to) in [
        ("0.5", "2.000001"),
        ("\"bidfloor\": 0.5", "\"bidfloor\": 0.5, \"bidfloorcur\": \"JPY\""),
        ("\"at\": 1", "\"badv\": [\"advertiser.example\"]"),
        ("728", "970"),
        ("leaderboard", "nowhere"),
        ("\"at\": 1", "\"test\": 1"),
        ("[\"USD\"]", "[\"EUR\"]"),
        ("\"tmax\": 60000", "\"tmax\": 10"),
        ("\"tmax\": 60000", "\"tmax\": 0"),
    ] {
        assert!(BANNER.contains(from), "{from}");
        assert_eq!(gateway.bid(&BANNER.replace(from, to)).0, 204, "{to}");
    }
    // A private deal has its own floor; of a private auction nobody else is part. Its creative is none that exchanges know.
    let private = |floor: &str| {
        let deals = format!(
            "\"pmp\": {{\"private_auction\": 1, \"deals\": [{{\"id\": \"deal-1\", \"bidfloor\": {floor}}}]}}, \"secure\""
        );
        BANNER.replace("\"secure\"", &deals)
    };
    assert_eq!(gateway.bid(&private("2.9")).0, 204);
    gateway.comes_to(2, (1, 0, 1, 0, 0));
    assert_eq!(gateway.bid(&private("3.1")).0, 204);
    assert_eq!(gateway.report(2).0, 1, "the deal's floor is kept");
    assert_eq!(gateway.report(1).0, 2, "and nobody without the deal wins");
    let win: u64 = bid["id"].as_str().and_then(|id| id.parse().ok()).expect("the number of a win");
    // A euro is half a dollar here: 3.99 of them are less than 2 dollars, 4.01 are not.
    let euros =
        |floor: &str| BANNER.replace("\"bidfloor\": 0.5", &format!("\"bidfloor\": {floor}, \"bidfloorcur\": \"EUR\""));
    let rate = SetRate { rate: RATE_WHOLE / 2, currency: CurrencyId(1), reserved: Reserved::default() };
    gateway.ask(Command::SetRate(&rate));
    assert_eq!([gateway.bid(&euros("3.99")).0, gateway.bid(&euros("4.01")).0], [200, 204]);
    assert_eq!(gateway.report(1).0, 3);
    // Of a private auction in a currency that is worth little nobody else is part either.
    let little = SetRate { rate: RATE_WHOLE / 1_000, ..rate };
    gateway.ask(Command::SetRate(&little));
    let deals = r#""pmp": {"private_auction": 1, "deals": [{"id": "deal-1", "bidfloorcur": "EUR"}]}, "secure""#;
    assert_eq!(gateway.bid(&euros("1").replace("\"secure\"", deals)).0, 204);
    assert_eq!(gateway.report(1).0, 3, "it has no deal");
    gateway.comes_to(2, (2, 0, 2, 0, 0));
    let explain = |auction: u64| {
        let mut replay = Process::new(program());
        replay.arg("replay").arg(gateway.place.journal()).args(["--from-snapshot", "--explain", &auction.to_string()]);
        let output = replay.output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (explained, said) = explain(win / 8);
    let lines: Vec<Vec<&str>> = said.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let fates: Vec<_> = lines.iter().map(|words| (words[1], words[words.len() - 1])).collect();
    assert!(explained && fates == [("1", "Won(1)"), ("3", "NotTargeted"), ("2", "NotTargeted")], "{said}");
    assert!(!explain(win / 8 + 1).0, "an event is no auction");
}

/// Guards against one bid where an exchange takes several, several where it takes one, a slot whose bid no exchange can use that
/// takes the others with it, and notices of one bid that count for another.
#[test]
fn a_pod_and_a_server_of_header_bidding_get_several_bids() {
    let mut gateway = Gateway::new();
    gateway.stream();
    let request = |video: &str, ext: &str| {
        format!(
            r#"{{"id": "1", "tmax": 60000, "imp": [{{"id": "a", "tagid": "stream", "video": {video}}}],
            "site": {{"keywords": "stream"}}, "ext": {ext}}}"#
        )
    };
    let plain = r#"{"mimes": ["video/mp4"], "podid": "p", "slotinpod": 1}"#;
    let multibid =
        |most: u8| format!(r#"{{"prebid": {{"multibid": [{{"bidder": "RingFence", "maxbids": {most}}}]}}}}"#);
    // The one slot is won by whom no exchange can show.
    assert_eq!(gateway.bid(&request(plain, "{}")).0, 204);
    gateway.comes_to(6, (1, 0, 1, 0, 0));
    let mut bids = Vec::new();
    for (video, ext) in [(r#"{"podid": "p", "maxseq": 3, "poddur": 60}"#, "{}".to_string()), (plain, multibid(3))] {
        let (status, answer) = gateway.bid(&request(video, &ext));
        assert_eq!(status, 200, "{answer}");
        bids = answer["seatbid"][0]["bid"].as_array().expect("bids").clone();
        let said: Vec<_> =
            bids.iter().map(|bid| (bid["impid"].as_str(), bid["price"].as_f64(), bid["dur"].as_u64())).collect();
        let expected = [(Some("a"), Some(5.0), Some(30)), (Some("a"), Some(4.0), Some(15))];
        assert_eq!(said, expected, "{answer}");
    }
    gateway.comes_to(6, (3, 0, 3, 0, 0));
    assert_eq!([gateway.report(5), gateway.report(4)], [(2, 0, 0, 10_000_000, 0), (2, 0, 0, 8_000_000, 0)]);
    assert_eq!([gateway.notice(&bids[0], "lurl"), gateway.notice(&bids[1], "burl")], [204; 2]);
    assert_eq!(gateway.report(5), (2, 0, 1, 5_000_000, 0), "that win and no other is taken back");
    assert_eq!(gateway.report(4), (2, 1, 0, 4_000_000, 4_000_000), "that win and no other is billed");
    // Two slots, and the third line item has none; a floor by the second is none that can be kept.
    let (_, answer) = gateway.bid(&request(plain, &multibid(2)));
    assert_eq!(answer["seatbid"][0]["bid"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(gateway.report(4).0, 2);
    assert_eq!(gateway.bid(&request(r#"{"maxseq": 3, "mincpmpersec": 0.01}"#, "{}")).0, 204);
    assert_eq!(gateway.report(5).0, 3);
    // A bid by a deal says which: of an open slot, whose floor is above it, and of a private one.
    for (private, floor) in [(0, 7.5), (1, 0.0)] {
        let deals = r#"[{"id": "deal-3", "bidfloor": 1}, {"id": "nobody's"}, {"id": "deal-2", "bidfloor": 6.5}]"#;
        let pmp = format!(r#""bidfloor": {floor}, "pmp": {{"private_auction": {private}, "deals": {deals}}}, "video""#);
        let (status, answer) = gateway.bid(&request(plain, "{}").replace("\"video\"", &pmp));
        assert_eq!(status, 200, "{answer}");
        let bids = answer["seatbid"][0]["bid"].as_array().expect("bids");
        let said: Vec<_> = bids.iter().map(|bid| (bid["dealid"].as_str(), bid["price"].as_f64())).collect();
        assert_eq!(said, [(Some("deal-2"), Some(7.0))], "{answer}");
    }
    // Of a private auction whose deals nobody could have, nobody is asked.
    let pmp = r#""pmp": {"private_auction": 1, "deals": [{"id": "nobody's"}]}, "video""#;
    assert_eq!(gateway.bid(&request(plain, "{}").replace("\"video\"", pmp)).0, 204);
}

/// Guards against a gateway that ends when its process may open no more files: many connect, say nothing and leave.
#[test]
fn more_connections_than_files_are_survived() {
    let mut gateway = Gateway::with_files(80);
    let idle: Vec<_> = (0..120).map(|_| TcpStream::connect(gateway.address).expect("it listens")).collect();
    std::thread::sleep(Duration::from_millis(200));
    drop(idle);
    assert_eq!(gateway.bid(BANNER).0, 200);
    assert!(gateway.child.try_wait().expect("a child").is_none(), "it goes on");
}

/// Guards against an answer after `tmax`, and against money that a bid holds which came too late: the engine stands still
/// meanwhile.
#[test]
fn an_exchange_does_not_wait_and_a_late_win_is_taken_back() {
    let mut gateway = Gateway::new();
    let engine = Pid::from_raw(gateway.engine.id() as i32).expect("a process");
    kill_process(engine, Signal::STOP).expect("it stops");
    let (status, _) = gateway.bid(&BANNER.replace("\"tmax\": 60000", "\"tmax\": 90"));
    kill_process(engine, Signal::CONT).expect("it goes on");
    assert_eq!(status, 204, "no bid in time");
    gateway.comes_to(1, (1, 0, 1, 0, 0));
    assert_eq!(gateway.bid(BANNER).0, 200);
}

/// Guards against a request that ends the gateway, hangs, or is answered with anything but a reason: what is no HTTP, no
/// JSON, no bid request, too much, or cut at any place.
#[test]
fn hostile_bytes_are_answered_with_a_reason_and_hurt_nobody() {
    let gateway = Gateway::new();
    let deep = format!("{{\"ext\": {}{}}}", "[".repeat(3_000), "]".repeat(3_000));
    let many = format!(r#"{{"id": "1", "imp": [{}]}}"#, vec![r#"{"id":"1","tagid":"leaderboard"}"#; 65].join(","));
    for (body, reason) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "expected"),
        (r#"{"id": "1"}"#, "imp is missing"),
        (r#"{"id": "1", "imp": []}"#, "imp is missing"),
        (r#"{"imp": [{"id": "1", "tagid": "leaderboard"}]}"#, "id is missing"),
        (r#"{"id": "1", "imp": [{"tagid": "leaderboard"}]}"#, "imp.id is missing"),
        (r#"{"id": "1", "imp": [{"id": "1", "tagid": "leaderboard", "bidfloor": -1}]}"#, "bidfloor"),
        (r#"{"id": "1", "imp": [{"id": "1", "tagid": "leaderboard", "bidfloor": 1e300}]}"#, "bidfloor"),
        (r#"{"id": "1", "imp": [{"id": "1", "tagid": "a"}, {"id": "1", "tagid": "a"}]}"#, "same imp.id"),
        (r#"{"id": "1", "site": {}, "app": {}, "imp": [{"id": "1", "tagid": "a"}]}"#, "not both"),
        (r#"{"id": 1, "imp": []}"#, "invalid type"),
        (deep.as_str(), "imp is missing"),
        (many.as_str(), "64 slots"),
        ("\u{0}\u{1}", "expected"),
    ] {
        let (status, said) = gateway.request("POST", "/openrtb", body);
        assert!(status == 400 && said.contains(reason), "{body:.60}: {status} {said}");
    }
    // A slot without a tag is nobody's here.
    assert_eq!(gateway.bid(r#"{"id": "1", "imp": [{"id": "1"}]}"#).0, 204);
    assert_eq!(gateway.request("POST", "/openrtb", &" ".repeat(9_000)).0, 413);
    assert_eq!(gateway.request("GET", "/openrtb", "").0, 405);
    assert_eq!(
        gateway.request("GET", "/notices/bill/8/00000000000000000000000000000000", "").0,
        404,
        "nobody's signature"
    );
    let mut random = Random::new(support::seed());
    let whole = format!("POST /openrtb HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{BANNER}", BANNER.len());
    for _ in 0..support::size(150, 5_000) {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        // Whatever comes is answered by the head of an answer that there is, or by nothing where no request was whole.
        let answer = gateway.bytes(&bytes, true);
        let status = answer.split_whitespace().nth(1).unwrap_or_default();
        let known = ["200", "204", "400", "404", "405", "413", "431"];
        assert!(answer.is_empty() || known.contains(&status), "{}: {answer}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(gateway.bid(BANNER).0, 200, "it goes on");
}

/// Guards against a server that only its own tests understand: a client that others wrote, over one connection kept open.
#[test]
fn curl_is_answered() {
    if Process::new("curl").arg("--version").output().is_err() {
        println!("SKIPPED: no curl here");
        return;
    }
    let gateway = Gateway::new();
    let file = gateway.place.path().join("request.json");
    std::fs::write(&file, BANNER).expect("it is written");
    let address = format!("http://{}/openrtb", gateway.address);
    let mut curl = Process::new("curl");
    for at in 0..3 {
        if at > 0 {
            curl.arg("--next");
        }
        curl.args([
            "-sS",
            "--max-time",
            "120",
            "-H",
            "content-type: application/json",
            "-w",
            "\n%{http_code} %{num_connects}\n",
        ]);
        curl.args(["--data-binary", &format!("@{}", file.display()), &address]);
    }
    let output = curl.output().expect("curl runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\n200 1") && said.contains("\n200 0") && said.contains("\"price\":2.0"), "{said}");
}
