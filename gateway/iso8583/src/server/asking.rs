//! What the engine is asked, and what becomes of its answers.

use super::refusal::Refusal;
use super::request::{Advice, Asked, Card};
use super::settings::Presence;
use super::{NOBODY, Pending, ServeError, Server, answer, private};
use crate::message::Message;
use crate::security::{CardData, PinUnderKey, Purpose, SecurityModule, WrappedKey};
use ringfence_client::kernel::RequestId;
use ringfence_client::kernel::image::{flag, kind};
use ringfence_client::kernel::messages::Reserved;
use ringfence_client::kernel::reject::Code;
use ringfence_domains::atm::messages::{
    Advise, Authorize, ChangePin, Command, Complete, Currency, Cutover, Event, Forward, Forwarded, Key, Offer,
    PinVerdict, Reject, Reply, Reverse, Service, SetService, TerminalId, TransactionType,
};
use ringfence_domains::atm::topics;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;
use zeroize::Zeroizing;

/// How often a request is verified again because the PIN was changed meanwhile.
const STALE_MAX: u32 = 3;

/// What came of the engine's answer.
enum Came {
    /// An answer for whoever asked.
    Answer(Message),
    /// A remote issuer is to be asked.
    Ask(Forwarded),
    /// The engine refused it.
    Refused(Code),
    /// Lines of a mini statement were lost on the way.
    Incomplete,
}

impl<M: SecurityModule> Server<M> {
    /// Does what a message asks for, or asks the engine.
    pub(super) fn ask(
        &mut self,
        name: usize,
        message: Message,
        asked: Asked,
        mac: Option<Arc<WrappedKey>>,
    ) -> Result<(), ServeError> {
        let done = match asked {
            Asked::Echo => Ok(answer::bare(&message, *b"00")),
            Asked::Keys(terminal) => self.exchange(terminal, &message),
            _ if !self.client.is_connected() || !self.is_ready() => Err(Refusal::Silent),
            _ => {
                return self.send(Pending {
                    connection: name,
                    message,
                    asked,
                    since: Instant::now(),
                    tries: 0,
                    mac,
                    pin: None,
                    lines: Vec::new(),
                    is_taken_back: false,
                });
            }
        };
        match done {
            Ok(answer) => {
                self.counts.answered += 1;
                self.say(name, answer, mac.as_deref());
            }
            Err(refusal) => self.refuse(name, &message, mac.as_deref(), &refusal),
        }
        Ok(())
    }

    /// Sends what is asked to the engine, and keeps it until it is answered.
    fn send(&mut self, mut pending: Pending) -> Result<(), ServeError> {
        let request = match &pending.asked {
            Asked::Card(card) => match self.look_at_card(card, &pending.message) {
                Err(refusal) => {
                    self.refuse_pending(&pending, &refusal);
                    return Ok(());
                }
                Ok(Verified::Forward(command, pin)) => {
                    pending.pin = Some(pin);
                    self.client.send(Command::Forward(&command))?
                }
                Ok(Verified::Authorize(command)) => self.client.send(Command::Authorize(&command))?,
                Ok(Verified::ChangePin(command)) => self.client.send(Command::ChangePin(&command))?,
            },
            Asked::Offer(card) => match self.offer(card) {
                Err(refusal) => {
                    self.refuse_pending(&pending, &refusal);
                    return Ok(());
                }
                Ok(command) => self.client.send(Command::Offer(&command))?,
            },
            Asked::Complete(Key(terminal, trace, date), notes) => {
                let (terminal, trace, date, notes) = (*terminal, *trace, *date, *notes);
                let reserved = Reserved::default();
                self.client.send(Command::Complete(&Complete { notes, terminal, trace, date, reserved }))?
            }
            Asked::Reverse(key) => self.client.send(Command::Reverse(&reversal(*key)))?,
            Asked::Service(terminal, is_in) => {
                let service = if *is_in { Service::In } else { Service::Out }.into();
                let (terminal, reserved) = (*terminal, Reserved::default());
                self.client.send(Command::SetService(&SetService { terminal, service, reserved }))?
            }
            Asked::Cutover(date) => {
                let (date, reserved) = (*date, Reserved::default());
                self.client.send(Command::Cutover(&Cutover { date, reserved }))?
            }
            Asked::Advice(Advice { key: Key(terminal, trace, date), pan, amount, account }) => {
                let token = match self.module.token(&self.keys.token, pan) {
                    Ok(token) => token,
                    Err(error) => {
                        self.refuse_pending(&pending, &error.into());
                        return Ok(());
                    }
                };
                let (terminal, trace, date, amount) = (*terminal, *trace, *date, *amount);
                let (account, reserved) = ((*account).into(), Reserved::default());
                let advise = Advise { token, amount, terminal, trace, date, account, reserved };
                self.client.send(Command::Advise(&advise))?
            }
            Asked::Reconcile(command) => self.client.send(Command::Reconcile(command))?,
            Asked::Echo | Asked::Keys(_) => unreachable!("they are answered here"),
        };
        self.pending.insert(request, pending);
        Ok(())
    }

    /// What the engine is asked: of a remote issuer's card where it leads, of one of this host what was found of it.
    fn look_at_card(&self, card: &Card, message: &Message) -> Result<Verified, Refusal> {
        match self.route(card)? {
            Some(forward) => Ok(forward),
            None => self.verify(card, message),
        }
    }

    /// What the engine is asked to offer: for cards of this host alone.
    fn offer(&self, card: &Card) -> Result<Offer, Refusal> {
        if self.is_remote(card) {
            return Err(Refusal::Unserved);
        }
        let (token, Key(terminal, ..)) = (self.module.token(&self.keys.token, &card.pan)?, card.key);
        let (transaction, account, reserved) = (card.kind.into(), card.account.into(), Reserved::default());
        Ok(Offer { token, amount: card.amount, terminal, transaction, account, reserved })
    }

    /// Verifies card and PIN, and says so to the domain with the version of the reference.
    fn verify(&self, card: &Card, message: &Message) -> Result<Verified, Refusal> {
        let token = self.module.token(&self.keys.token, &card.pan)?;
        self.verify_cvv(card, message)?;
        let (pin_version, reference) = self.references.of(&token);
        let (block_key, key) = (&self.keys.of(Some(card.key.0)).pin_block, &self.keys.pin_verification);
        let under = |block| PinUnderKey { format: self.settings.pin_block, block, key: block_key };
        let pin = match &reference {
            Some(reference) => self.module.verify_pin(under(&card.pin), &card.pan, key, reference)?,
            None => false,
        };
        let pin = if pin { PinVerdict::Right } else { PinVerdict::Wrong }.into();
        let Key(terminal, trace, date) = card.key;
        if card.kind == TransactionType::PinChange {
            let new_pin_reference = match (&reference, &card.new_pin) {
                (Some(like), Some(block)) => self.module.refer_to_pin(under(block), &card.pan, key, like)?.to_text(),
                _ => [b' '; 16],
            };
            let reserved = Reserved::default();
            let change = ChangePin { token, new_pin_reference, terminal, trace, date, pin_version, pin, reserved };
            return Ok(Verified::ChangePin(change));
        }
        Ok(Verified::Authorize(Authorize {
            token,
            amount: card.amount,
            cashback: card.cashback,
            terminal,
            trace,
            date,
            pin_version,
            pin,
            transaction: card.kind.into(),
            account: card.account.into(),
            to: card.to.into(),
            billed: card.conversion.billed,
            rate_version: card.conversion.rate_version,
            billed_in: card.conversion.billed_in,
            conversion: card.conversion.choice.into(),
            reserved: Reserved::default(),
        }))
    }

    /// Looks at the value on track 2, when there is a key: `number=YYMM` service code, then what the issuer likes.
    fn verify_cvv(&self, card: &Card, message: &Message) -> Result<(), Refusal> {
        let Some(key) = &self.keys.cvv else { return Ok(()) };
        let track = match (message.get(35), self.settings.track) {
            (Some(track), _) => track,
            (None, Presence::Optional) => return Ok(()),
            (None, Presence::Required) => return Err(Refusal::Missing(35)),
        };
        let wrong = Refusal::Field(35);
        let at = track.iter().position(|byte| matches!(byte, b'=' | b'D')).ok_or(wrong)?;
        let after = &track[at + 1..];
        let (expiry, service) = (after.get(..4).ok_or(wrong)?, after.get(4..7).ok_or(wrong)?);
        let value = after[7..].get(self.settings.cvv_at..self.settings.cvv_at + 3).ok_or(wrong)?;
        let data = CardData { pan: &card.pan, expiry, service };
        let is_right = self.module.verify_cvv(key, data, value)?;
        if is_right { Ok(()) } else { Err(Refusal::Cvv) }
    }

    /// Makes new keys for a terminal, in force from the first message on that has a code under them. Where there need not be
    /// codes they are in force at once.
    fn exchange(&mut self, terminal: TerminalId, request: &Message) -> Result<Message, Refusal> {
        let pin_block = self.module.make_key(Purpose::PinBlock, &self.keys.exchange)?;
        let mac = self.module.make_key(Purpose::Mac, &self.keys.exchange)?;
        let mut own = Zeroizing::new(Vec::new());
        for (tag, key) in [(private::PIN_KEY, &pin_block), (private::MAC_KEY, &mac)] {
            let text = base16ct::upper::encode_string(&key.for_terminal) + &base16ct::upper::encode_string(&key.check);
            private::put(&mut own, tag, text.as_bytes());
        }
        self.keys.give(terminal, pin_block, mac);
        if self.settings.mac == Presence::Optional {
            self.keys.begin(terminal);
        }
        let mut answer = answer::bare(request, *b"00");
        answer.set(63, &own);
        Ok(answer)
    }

    /// Takes in all that the engine has said.
    pub(super) fn take_answers(&mut self) -> Result<(), ServeError> {
        let currency = Currency(self.settings.currency);
        loop {
            let Some(output) = self.client.poll(Duration::ZERO)? else { return Ok(()) };
            let (header, rejected) = (output.header, output.rejected());
            let came = match header.kind {
                kind::EVENT | kind::SNAPSHOT => {
                    if header.kind == kind::SNAPSHOT {
                        let is_last = header.flags & flag::LAST != 0;
                        if header.topic.kind() == topics::ADVICES {
                            self.switch.snapshot(is_last);
                        }
                        if is_last {
                            self.awaited.retain(|topic| *topic != header.topic);
                            continue;
                        }
                    }
                    match output.decode() {
                        Ok(Event::PinReferenceSet(said)) => self.references.set(said),
                        Ok(Event::RouteSet(said)) => self.switch.set_route(said),
                        Ok(Event::AdviceDue(said)) => self.switch.due(said),
                        Ok(Event::AdviceDone(said)) => self.switch.done(said),
                        Ok(Event::StatementLine(line)) => {
                            if let Some(pending) = self.pending.get_mut(&header.request) {
                                pending.lines.push(*line);
                            }
                        }
                        _ => {}
                    }
                    continue;
                }
                kind::REPLY => {
                    let Some(pending) = self.pending.get(&header.request) else { continue };
                    match output.decode() {
                        Ok(Reply::Authorized(said)) if usize::from(said.lines) != pending.lines.len() => {
                            Came::Incomplete
                        }
                        Ok(Reply::Authorized(said)) => {
                            Came::Answer(answer::authorized(&pending.message, said, &pending.lines, currency))
                        }
                        Ok(Reply::Forwarded(said)) => Came::Ask(*said),
                        Ok(Reply::Reconciled(said)) => Came::Answer(answer::reconciled(&pending.message, said)),
                        Ok(Reply::Offered(said)) => Came::Answer(answer::offered(&pending.message, said)),
                        Ok(Reply::Ended(said)) => Came::Answer(answer::ended(&pending.message, said, currency)),
                        Ok(_) => Came::Answer(answer::bare(&pending.message, *b"00")),
                        Err(malformed) => {
                            warn!(%malformed, "the engine speaks another version");
                            Came::Refused(Code(0))
                        }
                    }
                }
                kind::REJECT => match rejected {
                    Some(rejected) if self.pending.contains_key(&header.request) => Came::Refused(rejected.code),
                    Some(rejected) if !self.is_ready() => {
                        return Err(ServeError::Follow(rejected.code));
                    }
                    _ => continue,
                },
                _ => continue,
            };
            self.take_answer(header.request, came);
        }
    }

    fn take_answer(&mut self, request: RequestId, came: Came) {
        let Some(mut pending) = self.pending.remove(&request) else { return };
        match came {
            _ if pending.is_taken_back => self.refuse_taken_back(&mut pending),
            Came::Answer(answer) => {
                self.counts.answered += 1;
                self.say(pending.connection, answer, pending.mac.as_deref());
            }
            Came::Ask(said) => self.ask_issuer(pending, &said),
            // The PIN was changed since it was verified, or the route: the engine has said so before it refused.
            Came::Refused(code)
                if [Reject::StalePin.into(), Reject::StaleRoute.into()].contains(&code)
                    && pending.tries < STALE_MAX =>
            {
                pending.tries += 1;
                self.again.push_back(pending);
            }
            Came::Refused(code) => self.refuse_pending(&pending, &Refusal::Engine(code)),
            // A repeat is told the same lines.
            Came::Incomplete if pending.tries < STALE_MAX => {
                pending.tries += 1;
                pending.lines.clear();
                self.again.push_back(pending);
            }
            Came::Incomplete => self.refuse_pending(&pending, &Refusal::Silent),
        }
    }

    fn refuse_pending(&mut self, pending: &Pending, refusal: &Refusal) {
        self.refuse(pending.connection, &pending.message, pending.mac.as_deref(), refusal);
    }

    /// Refuses what the engine has not answered in time. What it would do is taken back first, and the refusal waits until the
    /// engine says that it is; but no longer than an answer may take. A repeat is not taken back: what was asked for first may
    /// have been answered.
    pub(super) fn give_up(&mut self) {
        let timeout = self.settings.answer_timeout();
        for (_, pending) in self.pending.extract_if(|_, pending| pending.since.elapsed() > timeout).collect::<Vec<_>>()
        {
            let is_repeat = pending.message.mti()[3] == b'1';
            if matches!(pending.asked, Asked::Card(_)) && !is_repeat && !pending.is_taken_back {
                self.taken_back.push_back(Pending { is_taken_back: true, since: Instant::now(), ..pending });
            } else {
                self.refuse_pending(&pending, &Refusal::Silent);
            }
        }
        // What cannot be said to the engine yet stays to be said.
        let mut waiting = std::mem::take(&mut self.taken_back);
        waiting.iter_mut().filter(|one| one.since.elapsed() > timeout).for_each(|one| self.refuse_taken_back(one));
        self.taken_back = waiting;
    }

    /// Answers what was taken back, once.
    fn refuse_taken_back(&mut self, pending: &mut Pending) {
        if pending.connection != NOBODY {
            self.refuse_pending(pending, &Refusal::Silent);
            pending.connection = NOBODY;
        }
    }

    /// Asks again what is to be verified again, and reverses what will be answered with 91: the engine has that behind what it
    /// reverses.
    pub(super) fn ask_again(&mut self) -> Result<(), ServeError> {
        while self.client.room() > 0
            && let Some(pending) = self.again.pop_front()
        {
            self.send(pending)?;
        }
        while self.client.room() > 0
            && let Some(pending) = self.taken_back.pop_front()
        {
            let Asked::Card(card) = &pending.asked else { continue };
            let request = self.client.send(Command::Reverse(&reversal(card.key)))?;
            self.pending.insert(request, pending);
        }
        Ok(())
    }
}

/// What the domain is asked once card and PIN were looked at.
pub(super) enum Verified {
    Forward(Forward, Zeroizing<Vec<u8>>),
    Authorize(Authorize),
    ChangePin(ChangePin),
}

fn reversal(Key(terminal, trace, date): Key) -> Reverse {
    Reverse { terminal, trace, date, reserved: Reserved::default() }
}
