//! A gateway of ISO 8583 as a child process, the bank behind it, and a terminal that speaks to it.
#![allow(dead_code, unreachable_pub, reason = "not every proof uses all of it")]

use super::{GatewayProcess, Place, begun};
use base16ct::upper::encode_string as hex;
use ringfence_client::Client;
use ringfence_domains::atm::messages::{
    AccountNumber, Amount, BusinessDate, CASSETTES, CardStatus, CassetteLoad, Command as Atm, Constraint, Currency,
    Cutover, LoadCash, OpenAccount, PinVersion, Rate, RateUse, RateVersion, Reply, SetCard, SetCardTerms, SetRate,
    SetTerminal, SetTerminalTerms, TerminalId, TransferEntry, TransferId, TransferKind, TransferLinked,
};
use ringfence_iso8583::security::{
    Padding, Pan, Pin, PinBlockFormat, PinReference, Purpose, SecurityModule as _, SoftwareModule, encipher, retail_mac,
};
use ringfence_iso8583::server::Settings;
use ringfence_iso8583::{Framing, Layout, Message};
use ringfence_kernel::messages::Reserved;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const PIN_KEY: [u8; 16] = *b"\x01#Eg\x89\xab\xcd\xef\xfe\xdc\xba\x98vT2\x10";
pub const MAC_KEY: [u8; 16] = *b"a key of MACs...";
pub const OTHER_KEY: [u8; 16] = *b"any other key...";
pub const PAN: &str = "4111111111111111";
pub const PIN: &str = "1234";
pub const FUNDS: u64 = 1_000_000;
pub const DENOMINATIONS: [u32; CASSETTES] = [1_000, 2_000, 5_000, 10_000];
const EURO: Currency = Currency(978);
const DOLLAR: Currency = Currency(840);
const MASTER: [u8; 32] = [7; 32];

pub fn module() -> SoftwareModule {
    SoftwareModule::new(MASTER, Settings::no_decimalization())
}

/// Today, in days since 1970, and as month and day.
pub fn today() -> (BusinessDate, String) {
    day_after(0)
}

/// The day so many days after today, likewise.
pub fn day_after(days: u64) -> (BusinessDate, String) {
    let days = begun().as_secs() / 86_400 + days;
    let output = Command::new("date").args(["-u", "-d", &format!("@{}", days * 86_400), "+%m%d"]).output();
    let text = String::from_utf8(output.expect("date is there").stdout).expect("digits").trim().to_owned();
    (BusinessDate(days as u32), text)
}

/// Everything that stands behind a terminal: `terminals` of them, loaded, and card [`PAN`] with [`FUNDS`].
pub fn open_bank(client: &mut Client, terminals: u32) {
    accept(client, Atm::Cutover(&Cutover { date: today().0, reserved: Reserved::default() }));
    for (number, constraint) in [(1, Constraint::Free), (2, Constraint::Covered), (3, Constraint::Covered)] {
        open_account(client, AccountNumber(number), constraint);
    }
    for number in 1..=terminals {
        install(client, number, AccountNumber(100 + u64::from(number)), 3_600_000_000_000, 500);
        let (terminal, most) = (TerminalId(number), Amount(u64::MAX));
        let terms = SetTerminalTerms {
            merchant: AccountNumber(1),
            deposits: AccountNumber(0),
            transaction_max: most,
            day_max: most,
            window_ns: 0,
            window_max: Amount(0),
            surcharge_max: Amount(0),
            surcharge_rate: 0,
            terminal,
            day_count_max: u32::MAX,
            window_count_max: 0,
        };
        accept(client, Atm::SetTerminalTerms(&terms));
    }
    let token = set_card(client, PAN, [AccountNumber(2), AccountNumber(3)], AccountNumber(1), FUNDS, 1);
    let terms = SetCardTerms { token, fast_cash: Amount(5_000), window_max: Amount(0) };
    accept(client, Atm::SetCardTerms(&terms));
}

/// Asks for what must be accepted. Gives the balances that the answer says, or the cash and its change.
pub fn accept(client: &mut Client, command: Atm<'_>) -> (i64, i64) {
    let answer = client.call(command).expect("the engine answers");
    match answer.reply().expect("it is accepted") {
        Reply::AccountOpened(said) => (said.balance.0, said.available.0),
        Reply::CashSet(said) => (said.cash.0, said.change.0),
        _ => (0, 0),
    }
}

/// Opens an account, or asks what stands on it: its balance and what of it is available.
pub fn open_account(client: &mut Client, account: AccountNumber, constraint: Constraint) -> (i64, i64) {
    let (constraint, overdraft, reserved) = (constraint.into(), Amount(0), Reserved::default());
    accept(client, Atm::OpenAccount(&OpenAccount { account, overdraft, currency: EURO, constraint, reserved }))
}

/// Defines a terminal, and loads it with so many notes of each denomination.
pub fn install(client: &mut Client, number: u32, cash: AccountNumber, confirm_within_ns: u64, notes: u32) {
    let (terminal, currency, reserved) = (TerminalId(number), EURO, Reserved::default());
    let (fees, surcharge) = (AccountNumber(0), Amount(0));
    let set = SetTerminal { cash, fees, surcharge, confirm_within_ns, terminal, currency, reserved };
    accept(client, Atm::SetTerminal(&set));
    let loads = DENOMINATIONS.map(|denomination| CassetteLoad { denomination, notes });
    let (vault, reserved) = (AccountNumber(1), Reserved::default());
    accept(client, Atm::LoadCash(&LoadCash { vault, terminal, reserved }, &loads));
}

/// Another card with that cheque account, which gets a thousand times [`FUNDS`] by the transfer of that number.
pub fn issue(client: &mut Client, pan: &str, cheque: AccountNumber, transfer: u64) {
    set_card(client, pan, [cheque, AccountNumber(0)], AccountNumber(1), FUNDS * 1_000, transfer);
}

/// A card with an account in dollars and [`FUNDS`] in it, and how many dollars an offered euro is: 1.08, and a mark-up of
/// 3.55 in a hundred; until that many nanoseconds since 1970.
pub fn issue_in_dollars(client: &mut Client, pan: &str, valid_until_ns: u64) {
    let (bank, account) = (AccountNumber(60), AccountNumber(61));
    for (account, constraint) in [(bank, Constraint::Free), (account, Constraint::Covered)] {
        let (overdraft, currency, reserved) = (Amount(0), DOLLAR, Reserved::default());
        let constraint = constraint.into();
        accept(client, Atm::OpenAccount(&OpenAccount { account, overdraft, currency, constraint, reserved }));
    }
    set_card(client, pan, [account, AccountNumber(0)], bank, FUNDS, 60);
    let rate = SetRate {
        pays: AccountNumber(1),
        receives: bank,
        valid_until_ns,
        reference: Rate(61_080_000),
        markup: 355,
        version: RateVersion(7),
        from: EURO,
        to: DOLLAR,
        of: RateUse::Offered.into(),
        reserved: Reserved::default(),
    };
    accept(client, Atm::SetRate(&rate));
}

/// Issues a card with a cheque and a savings account and gives its token; its cheque account is funded from `bank`.
fn set_card(
    client: &mut Client,
    pan: &str,
    [cheque, savings]: [AccountNumber; 2],
    bank: AccountNumber,
    funds: u64,
    transfer: u64,
) -> [u8; 16] {
    let entry = TransferEntry {
        id: TransferId(transfer),
        debit: bank,
        credit: cheque,
        amount: Amount(funds),
        hold: TransferId(0),
        lasts_ns: 0,
        kind: TransferKind::Move.into(),
        reserved: Reserved::default(),
    };
    accept(client, Atm::TransferLinked(&TransferLinked { reserved: Reserved::default() }, &[entry]));
    let module = module();
    let (number, pin) = (Pan::new(pan.as_bytes()).expect("a number"), Pin::new(PIN.as_bytes()).expect("a PIN"));
    let wrap = |purpose| module.wrap(purpose, &OTHER_KEY).expect("a key");
    let like = PinReference::Pvv { index: 1, value: *b"0000" };
    let reference = module.reference_of(&wrap(Purpose::PinVerification), &pin, &number, &like).expect("sound");
    let token = module.token(&wrap(Purpose::Token), &number).expect("sound");
    let card = SetCard {
        token,
        pin_reference: reference.to_text(),
        cheque,
        savings,
        credit: AccountNumber(0),
        transaction_max: Amount(funds),
        day_max: Amount(funds),
        window_ns: 0,
        day_count_max: u32::MAX,
        pin_version: PinVersion(0),
        last_four: *b"1111",
        window_count_max: 0,
        status: CardStatus::Active.into(),
        reserved: Reserved::default(),
    };
    accept(client, Atm::SetCard(&card));
    token
}

/// A gateway as a child process.
pub struct Gateway {
    process: GatewayProcess,
    config: PathBuf,
    pub address: SocketAddr,
}

impl Gateway {
    /// Starts one before the engine at `engine`, as its client `client`, with `settings` beside the usual ones.
    pub fn start(place: &Place, engine: SocketAddr, client: u32, settings: &str) -> Self {
        let path = |name: &str| -> PathBuf { place.path().join(name) };
        std::fs::write(path("master.hex"), hex(&MASTER)).expect("it is written");
        let module = module();
        let key = |purpose, key: &[u8]| hex(&module.wrap(purpose, key).expect("a key").bytes);
        // Most terminals of tests know no more of a card than its number.
        let track = if settings.contains("track") { "" } else { "track = \"optional\"" };
        let text = format!(
            "master = {:?}\n[engine]\naddress = \"{engine}\"\nclient = {client}\nkeys = {:?}\n[gateway]\nlisten = \
             \"127.0.0.1:0\"\nterminal_prefix = \"ATM\"\ncurrency = 978\n{track}\n{settings}\n[gateway.keys]\ntoken = {:?}\n\
             pin_block = {:?}\npin_verification = {:?}\nmac = {:?}\nexchange = {:?}\ncvv = {:?}\ncover = {:?}\n",
            path("master.hex"),
            path("keys.toml"),
            key(Purpose::Token, &OTHER_KEY),
            key(Purpose::PinBlock, &PIN_KEY),
            key(Purpose::PinVerification, &OTHER_KEY),
            key(Purpose::Mac, &MAC_KEY),
            key(Purpose::Exchange, &OTHER_KEY),
            key(Purpose::Cvv, &OTHER_KEY),
            key(Purpose::Cover, &OTHER_KEY),
        );
        let config = path(&format!("iso8583-{client}.toml"));
        std::fs::write(&config, text).expect("it is written");
        let (process, address) = Self::spawn(&config);
        Self { process, config, address }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it and starts it again where it listened.
    pub fn kill_and_start_again(&mut self) {
        self.process.kill();
        let text = std::fs::read_to_string(&self.config).expect("it was written");
        let text = text.replace("\"127.0.0.1:0\"", &format!("\"{}\"", self.address));
        std::fs::write(&self.config, text).expect("it is written");
        (self.process, _) = Self::spawn(&self.config);
    }

    fn spawn(config: &Path) -> (GatewayProcess, SocketAddr) {
        let (process, line) = GatewayProcess::start("iso8583", config);
        let address = line.strip_prefix("iso8583 listens on ").expect(&line).parse().expect("an address");
        (process, address)
    }
}

/// A key under the master key, as settings have it.
pub fn wrapped(purpose: Purpose, key: &[u8]) -> String {
    hex(&module().wrap(purpose, key).expect("a key").bytes)
}

/// A message with its code.
pub fn authentic(message: &Message, mac_key: &[u8]) -> Vec<u8> {
    let mut message = message.clone();
    let field = if message.fields().any(|(field, _)| field > 64) { 128 } else { 64 };
    message.set(field, &[0; 8]);
    let bytes = message.encode(&Layout::iso87()).expect("a sound message");
    let code = retail_mac(mac_key, &bytes[..bytes.len() - 16], Padding::Zeros).expect("a key");
    message.set(field, &code);
    message.encode(&Layout::iso87()).expect("a sound message")
}

/// A terminal: it speaks ASCII, behind two bytes of length.
pub struct Terminal {
    stream: TcpStream,
    input: Vec<u8>,
    pub name: String,
    pub pin_key: Vec<u8>,
    pub mac_key: Vec<u8>,
    date: String,
}

impl Terminal {
    pub fn new(address: SocketAddr, number: u32) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let name = format!("ATM{number:05}");
        let (pin_key, mac_key) = (PIN_KEY.to_vec(), MAC_KEY.to_vec());
        Self { stream, input: Vec::new(), name, pin_key, mac_key, date: today().1 }
    }

    /// A message of that type with what names it.
    pub fn message(&self, mti: &[u8; 4], trace: u32) -> Message {
        let mut message = Message::new(*mti);
        message.set(7, format!("{}120000", self.date).as_bytes()).set(11, format!("{trace:06}").as_bytes());
        message.set(12, b"120000").set(13, self.date.as_bytes()).set(41, self.name.as_bytes());
        message
    }

    /// A transaction of [`PAN`].
    pub fn transaction(&self, trace: u32, processing: &str, amount: u64, pin: &str) -> Message {
        self.transaction_of(PAN, trace, processing, amount, pin)
    }

    /// Likewise of another card.
    pub fn transaction_of(&self, pan: &str, trace: u32, processing: &str, amount: u64, pin: &str) -> Message {
        let mut message = self.message(b"0200", trace);
        message.set(2, pan.as_bytes()).set(3, processing.as_bytes()).set(4, format!("{amount:012}").as_bytes());
        message.set(49, b"978").set(52, &self.block_of(pan, pin));
        message
    }

    pub fn block(&self, pin: &str) -> Vec<u8> {
        self.block_of(PAN, pin)
    }

    fn block_of(&self, pan: &str, pin: &str) -> Vec<u8> {
        let (pan, pin) = (Pan::new(pan.as_bytes()).expect("a number"), Pin::new(pin.as_bytes()).expect("a PIN"));
        encipher(PinBlockFormat::Iso0, &self.pin_key, &pin, &pan, &[0; 16]).expect("sound")
    }

    /// Says it with a code.
    pub fn say(&mut self, message: &Message) {
        self.say_bytes(&authentic(message, &self.mac_key));
    }

    pub fn say_bytes(&mut self, bytes: &[u8]) {
        let mut framed = Vec::new();
        Framing::TwoBytes.write(bytes, &mut framed).expect("it is short");
        self.stream.write_all(&framed).expect("the gateway takes it");
    }

    /// As [`Terminal::say_bytes`], to a gateway that may have had enough.
    pub fn try_say_bytes(&mut self, bytes: &[u8]) {
        let mut framed = Vec::new();
        Framing::TwoBytes.write(bytes, &mut framed).expect("it is short");
        self.try_say_raw(&framed);
    }

    pub fn try_say_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next answer, in bytes; none when the connection is closed.
    pub fn hear_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((message, taken)) = Framing::TwoBytes.split(&self.input).expect("sound frames") {
                let message = message.to_vec();
                self.input.drain(..taken);
                return Some(message);
            }
            let mut chunk = [0; 4_096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer came: {error}"),
            }
        }
    }

    /// The next answer; its code, if it has one, must be right.
    pub fn hear(&mut self) -> Message {
        let bytes = self.hear_bytes().expect("the connection stays");
        let answer = Message::parse(&bytes, &Layout::iso87()).expect("a sound answer");
        if let Some(code) = answer.get(128).or(answer.get(64)) {
            let own = retail_mac(&self.mac_key, &bytes[..bytes.len() - 16], Padding::Zeros).expect("a key");
            assert_eq!(code, own, "the answer's code");
        }
        answer
    }

    pub fn ask(&mut self, message: &Message) -> Message {
        self.say(message);
        self.hear()
    }
}

/// A field of an answer as text.
pub fn text(message: &Message, field: u8) -> String {
    message.get(field).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

/// What was decided.
pub fn code(message: &Message) -> String {
    text(message, 39)
}
