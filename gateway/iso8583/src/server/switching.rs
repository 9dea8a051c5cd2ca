//! Cards of remote issuers: which one is asked, what it is told, and what becomes of its answers.

use super::asking::Verified;
use super::dates::month_and_day;
use super::link::{Link, Name};
use super::refusal::Refusal;
use super::request::{Asked, Card};
use super::{Pending, ServeError, Server, TURN, authentic};
use crate::message::Message;
use crate::security::{PinUnderKey, SecurityModule};
use ringfence_client::kernel::messages::Reserved;
use ringfence_domains::atm::messages::{
    Acknowledge, AdviceDone, AdviceDue, Amount, Answer, Balance, BusinessDate, Command, ConversionChoice, Forward,
    Forwarded, IssuerId, IssuerOutcome, Key, PREFIX_MAX, ResponseByte, ResponseCode, RouteSet, Trace,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};
use tracing::{info, warn};
use zeroize::Zeroizing;

/// Advices that an issuer is told at once, and may acknowledge within its time.
const TOLD_MAX: usize = 64;
/// What is asked of the network, field 70.
const SIGN_ON: &[u8] = b"001";
const ECHO: &[u8] = b"301";
/// The length of field 41.
const NAME_BYTES: usize = 8;

/// What the engine says of remote issuers, and the connections to them.
#[derive(Default)]
pub(crate) struct Switch {
    routes: HashMap<(u8, u32), IssuerId>,
    pub(crate) links: BTreeMap<u16, Link>,
    /// Advices that are due, and when each was said last.
    advices: BTreeMap<Key, (AdviceDue, Option<Instant>)>,
    /// Whether a snapshot of them has begun and not ended.
    in_snapshot: bool,
    /// What issuers answered, for the engine.
    answers: VecDeque<(Pending, Answer)>,
    acknowledged: VecDeque<Acknowledge>,
    /// Whether an issuer may have said more than was heard.
    pub(crate) has_more: bool,
}

impl Switch {
    pub(crate) fn set_route(&mut self, said: &RouteSet) {
        self.routes.insert((said.digits, said.prefix), said.issuer);
    }

    pub(crate) fn due(&mut self, said: &AdviceDue) {
        let key = Key(said.terminal, said.trace, said.date);
        self.forget(key);
        self.advices.insert(key, (*said, None));
    }

    pub(crate) fn done(&mut self, said: &AdviceDone) {
        self.forget(Key(said.terminal, said.trace, said.date));
    }

    /// What was due of a transaction is not due any more, and nobody waits for its acknowledgement.
    fn forget(&mut self, key: Key) {
        let Some((advice, _)) = self.advices.remove(&key) else { return };
        if let Some(link) = self.links.get_mut(&advice.issuer.0) {
            link.told.retain(|_, (told, _)| *told != key);
        }
    }

    /// A part of a snapshot of what is due, which is all that is: with its first part, what was due before is forgotten.
    pub(crate) fn snapshot(&mut self, is_last: bool) {
        if !self.in_snapshot {
            self.advices.clear();
            self.links.values_mut().for_each(|link| link.told.clear());
        }
        self.in_snapshot = !is_last;
    }

    /// A snapshot that had not ended does not any more: the session is another one.
    pub(crate) fn reconnected(&mut self) {
        self.in_snapshot = false;
    }

    /// The advices that an issuer is told at `now`: as many as there is room for beside those that it may still acknowledge
    /// in time. First come those that were never said, then those that were said longest ago, so that what is never
    /// acknowledged keeps nothing else from being said.
    fn next_told(&self, issuer: IssuerId, timeout: Duration, now: Instant) -> Vec<Key> {
        let of_issuer = self.advices.iter().filter(|(_, (advice, _))| advice.issuer == issuer);
        let (under_way, mut due): (Vec<_>, Vec<_>) = of_issuer
            .map(|(key, (_, said))| (*said, *key))
            .partition(|(said, _)| said.is_some_and(|said| now.duration_since(said) <= timeout));
        due.sort_unstable();
        due.truncate(TOLD_MAX.saturating_sub(under_way.len()));
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// The first eight digits of a card's number, and where they lead.
    fn route(&self, digits: &[u8]) -> (u32, IssuerId) {
        let bin = digits[..8].iter().fold(0, |bin, digit| bin * 10 + u32::from(digit - b'0'));
        let leads = |count: u8| self.routes.get(&(count, bin / 10_u32.pow((PREFIX_MAX - count).into())));
        (bin, (1..=PREFIX_MAX).rev().find_map(leads).copied().unwrap_or_default())
    }
}

impl<M: SecurityModule> Server<M> {
    /// Whether a card is a remote issuer's.
    pub(super) fn is_remote(&self, card: &Card) -> bool {
        self.switch.route(card.pan.digits()).1 != IssuerId(0)
    }

    /// What the engine is asked when the card is a remote issuer's, and the PIN's block for that one.
    pub(super) fn route(&self, card: &Card) -> Result<Option<Verified>, Refusal> {
        let (bin, issuer) = self.switch.route(card.pan.digits());
        if issuer == IssuerId(0) {
            return Ok(None);
        }
        if card.conversion.choice == ConversionChoice::Accepted {
            return Err(Refusal::Unserved);
        }
        let (Some(link), Some(cover)) = (self.switch.links.get(&issuer.0), &self.keys.cover) else {
            return Err(Refusal::NoRoute);
        };
        let token = self.module.cover(cover, &card.pan)?;
        let (format, key) = (self.settings.pin_block, &self.keys.of(Some(card.key.0)).pin_block);
        let pin = PinUnderKey { format, block: &card.pin, key };
        let pin = self.module.translate_pin(pin, &card.pan, format, &link.keys.pin_block)?;
        let Key(terminal, trace, date) = card.key;
        let forward = Forward {
            token,
            amount: card.amount,
            terminal,
            trace,
            date,
            bin,
            issuer,
            transaction: card.kind.into(),
            account: card.account.into(),
            reserved: Reserved::default(),
        };
        Ok(Some(Verified::Forward(forward, Zeroizing::new(pin))))
    }

    /// Asks an issuer, as the engine said.
    pub(super) fn ask_issuer(&mut self, mut pending: Pending, said: &Forwarded) {
        let currency = self.settings.currency;
        let (Asked::Card(card), Some(pin)) = (&pending.asked, pending.pin.take()) else { return };
        let link = self.switch.links.get_mut(&said.issuer.0).filter(|link| link.is_up());
        let Some(link) = link else { return self.silent(pending) };
        let request = &pending.message;
        let mut message = between(*b"0200", &link.acquirer, said.link_trace, said.date, currency);
        message.set(2, card.pan.digits()).set(52, &pin).set(4, format!("{:012}", said.amount.0).as_bytes());
        for field in [3, 41] {
            message.set(field, request.get(field).unwrap_or_default());
        }
        // To the issuer all that its cardholder pays beside the notes is of the acquirer.
        let charges = said.surcharge.0 + said.fee.0;
        if (1..100_000_000).contains(&charges) {
            message.set(28, format!("D{charges:08}").as_bytes());
        }
        let name = Name::of(&message);
        match authentic::write(&mut message, &self.layout, &self.module, Some(&link.keys.mac)) {
            Ok(bytes) => {
                link.say(&bytes, self.settings.framing);
                link.asked.insert(name, (pending, Instant::now()));
            }
            Err(error) => {
                warn!(%error, "a request cannot be written in this layout");
                self.silent(pending);
            }
        }
    }

    /// The issuer did not answer.
    fn silent(&mut self, pending: Pending) {
        let nothing = (ResponseCode::IssuerInoperative.into(), [Balance(0); 2]);
        self.answered(pending, IssuerOutcome::Silent, nothing);
    }

    /// The engine is to decide with what the issuer said.
    fn answered(&mut self, pending: Pending, outcome: IssuerOutcome, (code, balances): (ResponseByte, [Balance; 2])) {
        let Asked::Card(Card { key: Key(terminal, trace, date), .. }) = pending.asked else { return };
        let ([balance, available], outcome, reserved) = (balances, outcome.into(), Reserved::default());
        let answer = Answer { balance, available, terminal, trace, date, code, outcome, reserved };
        self.switch.answers.push_back((pending, answer));
    }

    /// Tells the engine what issuers said, as far as it takes it.
    pub(super) fn pass_answers(&mut self) -> Result<(), ServeError> {
        while self.client.room() > 0
            && let Some((mut pending, answer)) = self.switch.answers.pop_front()
        {
            let request = self.client.send(Command::Answer(&answer))?;
            pending.since = Instant::now();
            self.pending.insert(request, pending);
        }
        while self.client.room() > 0
            && let Some(acknowledge) = self.switch.acknowledged.pop_front()
        {
            self.client.send(Command::Acknowledge(&acknowledge))?;
        }
        Ok(())
    }

    /// Hears issuers, and connects to those that are lost. `now` is from before the poller was asked: whoever spoke until
    /// then, if only during a pause of this process, is heard before it is taken for silent.
    pub(super) fn serve_links(&mut self, now: Instant) -> Result<(), ServeError> {
        self.switch.has_more = false;
        let issuers: Vec<u16> = self.switch.links.keys().copied().collect();
        for issuer in issuers {
            let framing = self.settings.framing;
            let mut heard = 0;
            while heard < TURN
                && let Some(bytes) = self.switch.links.get_mut(&issuer).and_then(|link| link.hear(framing))
            {
                self.hear_issuer(issuer, &bytes);
                heard += 1;
            }
            self.switch.has_more |= heard == TURN;
            self.connect_link(issuer, now)?;
        }
        Ok(())
    }

    fn connect_link(&mut self, issuer: u16, now: Instant) -> Result<(), ServeError> {
        let Some(link) = self.switch.links.get_mut(&issuer) else { return Ok(()) };
        let function = if link.connect(self.poll.registry(), self.next, now)? {
            self.next += 1;
            SIGN_ON
        } else if link.must_echo(now) {
            ECHO
        } else {
            return Ok(());
        };
        let mut message = Message::new(*b"0800");
        message.set(11, b"000001").set(32, link.acquirer.as_bytes()).set(70, function);
        match authentic::write(&mut message, &self.layout, &self.module, Some(&link.keys.mac)) {
            Ok(bytes) => link.say(&bytes, self.settings.framing),
            Err(error) => warn!(%error, "a message of the network cannot be written in this layout"),
        }
        Ok(())
    }

    fn hear_issuer(&mut self, issuer: u16, bytes: &[u8]) {
        let (message, read) = Message::read(bytes, &self.layout);
        let Some(link) = self.switch.links.get_mut(&issuer) else { return };
        // What this host says itself, and is sent back, is no answer: that has another function, and a code.
        let is_answer = matches!(message.mti(), [b'0', _, b'1' | b'3', _]) && message.get(39).is_some();
        let is_sound = read.is_ok()
            && is_answer
            && authentic::check(&message, bytes, &self.layout, &self.module, &link.keys.mac)
                .is_ok_and(|has_code| has_code || message.mti() == *b"0810");
        if !is_sound {
            self.counts.dropped += 1;
            info!(issuer, ?message, "what an issuer said is no answer, or not authentic: it is dropped");
            return;
        }
        let (name, code) = (Name::of(&message), code_of(&message));
        match message.mti() {
            // Whatever it says to an echo, it is there.
            [b'0', b'8', b'1', _] if message.get(70) == Some(ECHO) => {}
            [b'0', b'8', b'1', _] => link.sign_on(code == ResponseCode::Approved.into()),
            [b'0', b'2', b'1', _] => {
                let Some((pending, _)) = link.asked.remove(&name) else { return };
                // A host that cannot decide is as one that is silent.
                if matches!(message.get(39), Some(b"91" | b"96")) {
                    self.silent(pending);
                } else {
                    self.answered(pending, IssuerOutcome::Answered, (code, balances_of(&message)));
                }
            }
            _ => {
                if let Some((Key(terminal, trace, date), amount)) = link.told.remove(&name)
                    && !matches!(message.get(39), Some(b"91" | b"96" | b"58"))
                {
                    let reserved = Reserved::default();
                    let acknowledge = Acknowledge { amount, terminal, trace, date, code, reserved };
                    self.switch.acknowledged.push_back(acknowledge);
                }
            }
        }
    }

    /// Gives up on issuers that are silent at `now`, and tells those that are there what is due.
    pub(super) fn look_at_links(&mut self, now: Instant) {
        let mut silent = Vec::new();
        for link in self.switch.links.values_mut() {
            let timeout = link.timeout;
            let late = link.asked.extract_if(|_, (_, since)| now.duration_since(*since) > timeout);
            silent.extend(late.map(|(_, (pending, _))| pending));
        }
        silent.into_iter().for_each(|pending| self.silent(pending));
        let up = self.switch.links.iter().filter(|(_, link)| link.is_up());
        let due = up.flat_map(|(issuer, link)| self.switch.next_told(IssuerId(*issuer), link.timeout, now));
        due.collect::<Vec<_>>().into_iter().for_each(|key| self.tell(key, now));
    }

    /// Tells an issuer what is due of a transaction.
    fn tell(&mut self, key: Key, now: Instant) {
        let (Some(cover), Switch { links, advices, .. }) = (&self.keys.cover, &mut self.switch) else { return };
        let Some((advice, said)) = advices.get_mut(&key) else { return };
        let Some(link) = links.get_mut(&advice.issuer.0) else { return };
        let is_repeat = said.replace(now).is_some();
        let Ok(pan) = self.module.uncover(cover, advice.token) else {
            return warn!(trace = advice.trace.0, "the number of an advice's card cannot be told");
        };
        let mut message = advice_message(advice, is_repeat, &link.acquirer, self.settings.currency);
        message.set(2, pan.digits());
        let prefix = &self.settings.terminal_prefix;
        let digits = NAME_BYTES.saturating_sub(prefix.len());
        message.set(41, format!("{prefix}{:0digits$}", advice.terminal.0).as_bytes());
        let name = Name::of(&message);
        match authentic::write(&mut message, &self.layout, &self.module, Some(&link.keys.mac)) {
            Ok(bytes) => {
                link.say(&bytes, self.settings.framing);
                link.told.insert(name, (key, advice.amount));
            }
            Err(error) => warn!(%error, "an advice cannot be written in this layout"),
        }
    }
}

/// A message between two hosts, with what names it.
fn between(mti: [u8; 4], acquirer: &str, trace: Trace, date: BusinessDate, currency: u16) -> Message {
    let (date, mut message) = (month_and_day(date), Message::new(mti));
    message.set(7, format!("{date}000000").as_bytes()).set(11, format!("{:06}", trace.0).as_bytes());
    message.set(13, date.as_bytes()).set(15, date.as_bytes()).set(32, acquirer.as_bytes());
    message.set(49, format!("{currency:03}").as_bytes());
    message
}

/// What an issuer is told: an advice of what was taken, or a reversal when nothing was.
fn advice_message(advice: &AdviceDue, is_repeat: bool, acquirer: &str, currency: u16) -> Message {
    let mti = match (advice.amount, is_repeat) {
        (Amount(0), false) => *b"0420",
        (Amount(0), true) => *b"0421",
        (_, false) => *b"0220",
        (_, true) => *b"0221",
    };
    let mut message = between(mti, acquirer, advice.link_trace, advice.link_date, currency);
    message.set(3, format!("01{:02}00", advice.account.get() as u8).as_bytes());
    message.set(4, format!("{:012}", advice.amount.0).as_bytes());
    message
}

/// The decision of an answer; one that this host does not know is a 05.
fn code_of(message: &Message) -> ResponseByte {
    let digits = message.get(39).and_then(|code| core::str::from_utf8(code).ok()?.parse::<u8>().ok());
    let known = digits.and_then(ResponseCode::known);
    known.unwrap_or(ResponseCode::DoNotHonour).into()
}

/// The balances of an answer, of field 54: the ledger's and what is available.
fn balances_of(message: &Message) -> [Balance; 2] {
    let mut balances = [Balance(0); 2];
    for group in message.get(54).unwrap_or_default().chunks_exact(20) {
        let amount = core::str::from_utf8(&group[8..]).ok().and_then(|digits| digits.parse::<i64>().ok());
        let amount = amount.map(|amount| if group[7] == b'D' { -amount } else { amount });
        match (&group[2..4], amount) {
            (b"01", Some(amount)) => balances[0] = Balance(amount),
            (b"02", Some(amount)) => balances[1] = Balance(amount),
            _ => {}
        }
    }
    balances
}
