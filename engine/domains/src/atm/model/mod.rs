//! The slow twin, written from the README: it keeps what was asked and what came of it, and adds up holds, notes and a
//! card's day anew whenever it needs them.

mod bank;
mod cash;
mod conversions;
mod endings;
mod fees;
mod settlement;
mod statements;
mod switch;
mod transactions;

use super::messages::{
    AccountType, Advise, Amount, AtmLimits, Authorize, Authorized, Balance, BusinessDate, CASSETTES, ChangePin,
    Command, Constraint, ConversionChoice, Event, Forward, HoldExpired, Key, Notes, OpenAccount, Reject, ResponseCode,
    Service, SetAccountLimits, SetCard, SetFee, SetIssuer, SetRate, SetTerminal, SetTerminalTerms, StatementLine,
    TerminalId, TimedOut, TransactionType, TransferEntry, Transferred,
};
use super::{Atm, topics};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use conversions::Conversion;
use ringfence_kernel::{Context, Out, SessionChange, Timestamp};

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its reversal came first.
    Never,
    /// It was declined, or was an inquiry.
    Answered,
    /// It moved so much between accounts.
    Moved(u64),
    /// It changed the PIN; the reference that was the card's before.
    PinChanged([u8; 16]),
    /// So much went in, to be counted.
    Deposited(u64),
    /// So much of what went in was counted.
    Counted(u64),
    /// So much came out, and in these notes.
    Out(u64, Notes),
    /// Nothing came out.
    Nothing,
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
enum Asked {
    For(Authorize),
    Pin(ChangePin),
    Of(Forward),
    Said(Advise),
}

impl Asked {
    /// Whether it is the same but for key and verdict.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::For(one), Self::For(two)) => {
                let said = |of: &Authorize| (of.token, of.amount, of.cashback, of.transaction, of.account, of.to);
                let accepted = |of: &Authorize| (of.conversion, of.billed, of.rate_version, of.billed_in);
                said(one) == said(two) && accepted(one) == accepted(two)
            }
            (Self::Pin(one), Self::Pin(two)) => {
                (one.token, one.new_pin_reference) == (two.token, two.new_pin_reference)
            }
            (Self::Of(one), Self::Of(two)) => {
                let said = |of: &Forward| (of.token, of.amount, of.transaction, of.account, of.issuer);
                said(one) == said(two)
            }
            // What is advised is a withdrawal, whoever asks for it afterwards.
            (Self::Said(one), Self::For(two)) => {
                (one.token, one.amount, one.account) == (two.token, two.amount, two.account)
                    && two.transaction.get() == TransactionType::Withdrawal
                    && (two.cashback, two.to.get()) == (Amount(0), AccountType::Default)
                    && two.conversion.get() == ConversionChoice::None
                    && (two.billed, two.rate_version, two.billed_in) == Default::default()
            }
            _ => false,
        }
    }

    fn token(&self) -> [u8; 16] {
        match self {
            Self::For(asked) => asked.token,
            Self::Pin(asked) => asked.token,
            Self::Of(asked) => asked.token,
            Self::Said(asked) => asked.token,
        }
    }
}

/// A transaction, what was asked and what was said.
#[derive(Clone, Copy, Debug)]
struct Known {
    asked: Option<Asked>,
    answer: Authorized,
    last: (Balance, Balance),
    /// How it is converted, and what the account was debited for notes and surcharge then.
    conversion: Option<Conversion>,
    billed: u64,
    /// Surcharge and fee that were posted, and the accounts that get them.
    charged: [u64; 2],
    payees: [u64; 2],
    /// What of it counts against limits, and whether the account's counted it.
    cash: u64,
    by_account: bool,
    /// The account of the holder, and the one that a transfer goes to.
    account: u64,
    to: u64,
    counted: BusinessDate,
    /// How many movements the account of a mini statement had had.
    moved: u64,
    fate: Fate,
    /// What another acquirer said was taken, and was posted.
    advised: Option<Advise>,
    /// What was said last that was an exception and might be posted later, and how that was answered.
    excepted: Option<(u64, ResponseCode)>,
}

impl Known {
    /// One that moved nothing.
    fn unmoved(asked: Option<Asked>, answer: Authorized, counted: BusinessDate, fate: Fate) -> Self {
        Self {
            asked,
            answer,
            last: (Balance(0), Balance(0)),
            conversion: None,
            billed: 0,
            charged: [0; 2],
            payees: [0; 2],
            cash: 0,
            by_account: false,
            account: 0,
            to: 0,
            counted,
            moved: 0,
            fate,
            advised: None,
            excepted: None,
        }
    }
}

/// What is asked of a remote issuer.
#[derive(Clone, Copy, Debug)]
struct Remote {
    turn: u64,
    asked: Forward,
    link_trace: u32,
    date: BusinessDate,
    /// Until when its answer is waited for; zero once it is known.
    until: u64,
    stood_in: bool,
    /// Until when it is told what was taken; zero when it need not be.
    advised_until: u64,
}

/// A withdrawal that nobody has ended: its turn, deadline, account, amount, notes and charges.
#[derive(Clone, Copy, Debug)]
struct Open {
    turn: u64,
    deadline: Timestamp,
    account: u64,
    amount: u64,
    notes: Notes,
    /// Surcharge and fee, each with the account that gets it.
    charges: [(u64, u64); 2],
    /// How it is converted, and what is held of the account for notes and surcharge then.
    conversion: Option<Conversion>,
    billed: u64,
}

/// A card and its wrong PINs.
#[derive(Clone, Copy, Debug)]
struct Card {
    terms: SetCard,
    wrong: u8,
    fast_cash: u64,
    window_max: u64,
}

/// What has limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Card([u8; 16]),
    Account(u64),
    Terminal(u32),
}

/// Limits of withdrawals.
#[derive(Clone, Copy, Debug)]
struct Limits {
    transaction_max: u64,
    day_max: u64,
    day_count_max: u32,
    window_ns: u64,
    window_max: u64,
    window_count_max: u32,
}

/// What was taken on which date; and when, while there was a limit of a window, and how much.
#[derive(Clone, Debug, Default)]
struct Taken {
    date: BusinessDate,
    day: BTreeMap<Key, u64>,
    recent: Vec<(u64, u64)>,
}

/// A terminal and the notes in it.
#[derive(Clone, Copy, Debug)]
struct Terminal {
    terms: SetTerminal,
    more: Option<SetTerminalTerms>,
    is_acquirer: bool,
    service: Service,
    denominations: [u64; CASSETTES],
    notes: [u64; CASSETTES],
    captured: u32,
    balanced: u64,
    /// How many withdrawals were posted on the date that ended last, and what they are in all.
    ended: (u32, u64),
}

/// How many movements an account had, and the last of them.
#[derive(Clone, Debug, Default)]
struct Statement {
    moved: u64,
    last: VecDeque<StatementLine>,
}

/// Something that counts on a business date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// So much for notes, so much of surcharges.
    Dispensed(u64, u64),
    Declined,
    Voided,
    TimedOut,
    Exception,
}

/// The slow twin.
#[derive(Clone, Debug)]
pub struct Model {
    limits: AtmLimits,
    date: BusinessDate,
    before: BusinessDate,
    accounts: BTreeMap<u64, OpenAccount>,
    /// What each account was debited and credited.
    posted: BTreeMap<u64, [i128; 2]>,
    statements: BTreeMap<u64, Statement>,
    cards: BTreeMap<[u8; 16], Card>,
    terminals: BTreeMap<u32, Terminal>,
    known: BTreeMap<Key, Known>,
    open: BTreeMap<Key, Open>,
    account_limits: BTreeMap<u64, SetAccountLimits>,
    taken: BTreeMap<Whose, Taken>,
    /// Deposits that are not counted: from which account, to which, how much.
    deposits: BTreeMap<Key, (u64, u64, u64)>,
    /// Keys in the order in which they came, and how many there ever were.
    order: VecDeque<Key>,
    turns: u64,
    issuers: BTreeMap<u16, SetIssuer>,
    /// The last number under which each was asked, and on which date.
    link_traces: BTreeMap<u16, (BusinessDate, u32)>,
    routes: BTreeMap<(u8, u32), u16>,
    /// Fees by kind, network and currency.
    fees: BTreeMap<(u8, u8, u16), SetFee>,
    /// Rates by what they are for, and both currencies.
    rates: BTreeMap<(u8, u16, u16), SetRate>,
    remote: BTreeMap<Key, Remote>,
    /// What was approved in the stead of an issuer, for which card on which date; and in which order that began.
    stood_in: BTreeMap<([u8; 16], BusinessDate), (u64, u32)>,
    stood_in_order: VecDeque<([u8; 16], BusinessDate)>,
    transfers: BTreeMap<u64, (TransferEntry, Transferred, BusinessDate)>,
    /// Holds: turn, deadline or zero, debit, credit, amount.
    holds: BTreeMap<u64, (u64, u64, u64, u64, u64)>,
    transfer_order: VecDeque<u64>,
    /// What was done where since the business date began.
    deeds: Vec<(TerminalId, Deed)>,
    /// What was done with cards of remote issuers: so much was taken, and so much of it for notes; or it was declined.
    issuer_deeds: Vec<(u16, Option<(u64, u64)>)>,
}

type Says<'o, 'b> = &'o mut Out<'b, Atm>;

impl Model {
    /// Debits and credits posted, debits and credits held.
    fn sums(&self, account: u64) -> [i128; 4] {
        let [debits, credits] = self.posted.get(&account).copied().unwrap_or_default();
        let mut sums = [debits, credits, 0, 0];
        let withdrawals = self.open.iter().flat_map(|(key, open)| {
            let (account, [surcharge, fee]) = (open.account, open.charges);
            let giver = open.conversion.map_or(account, |conversion| conversion.pays);
            let converted = open.conversion.map_or((0, 0, 0), |one| (account, one.receives, open.billed));
            let cash = (giver, self.terminals[&key.0.0].terms.cash.0, open.amount);
            [cash, converted, (giver, surcharge.1, surcharge.0), (account, fee.1, fee.0)]
        });
        let holds = self.holds.values().map(|(_, _, debit, credit, amount)| (*debit, *credit, *amount));
        let deposits = self.deposits.values().copied();
        for (debit, credit, amount) in withdrawals.chain(holds).chain(deposits) {
            sums[2] += if debit == account { i128::from(amount) } else { 0 };
            sums[3] += if credit == account { i128::from(amount) } else { 0 };
        }
        sums
    }

    fn balances(&self, account: u64) -> (Balance, Balance) {
        let [debits, credits, held, _] = self.sums(account);
        (Balance((credits - debits) as i64), Balance((credits - debits - held) as i64))
    }

    /// Whether the account, as it is now, is within what bounds it.
    fn is_within(&self, account: u64) -> bool {
        let [debits, credits, debits_held, credits_held] = self.sums(account);
        let terms = self.accounts[&account];
        let (all_debits, all_credits) = (debits + debits_held, credits + credits_held);
        let covered = match terms.constraint.get() {
            Constraint::Free => true,
            Constraint::Covered => all_debits <= credits + i128::from(terms.overdraft.0),
            Constraint::Cash => all_credits <= debits,
        };
        covered && all_debits.max(all_credits) <= i128::from(i64::MAX)
    }

    fn post(&mut self, debit: u64, credit: u64, amount: i128) {
        self.posted.entry(debit).or_default()[0] += amount;
        self.posted.entry(credit).or_default()[1] += amount;
    }

    /// Posts when both accounts bear it.
    fn try_post(&mut self, debit: u64, credit: u64, amount: u64) -> bool {
        self.post(debit, credit, amount.into());
        let fits = self.is_within(debit) && self.is_within(credit);
        if !fits {
            self.post(debit, credit, -i128::from(amount));
        }
        fits
    }
}

impl ringfence_kernel::laws::Model for Model {
    type Domain = Atm;

    fn new(limits: &AtmLimits) -> Self {
        Self {
            limits: *limits,
            date: BusinessDate(0),
            before: BusinessDate(0),
            accounts: BTreeMap::new(),
            posted: BTreeMap::new(),
            statements: BTreeMap::new(),
            cards: BTreeMap::new(),
            terminals: BTreeMap::new(),
            known: BTreeMap::new(),
            open: BTreeMap::new(),
            account_limits: BTreeMap::new(),
            taken: BTreeMap::new(),
            deposits: BTreeMap::new(),
            order: VecDeque::new(),
            turns: 0,
            issuers: BTreeMap::new(),
            link_traces: BTreeMap::new(),
            routes: BTreeMap::new(),
            fees: BTreeMap::new(),
            rates: BTreeMap::new(),
            remote: BTreeMap::new(),
            stood_in: BTreeMap::new(),
            stood_in_order: VecDeque::new(),
            transfers: BTreeMap::new(),
            holds: BTreeMap::new(),
            transfer_order: VecDeque::new(),
            deeds: Vec::new(),
            issuer_deeds: Vec::new(),
        }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: Says<'_, '_>) -> Result<(), Reject> {
        match command {
            Command::OpenAccount(command) => self.open_account(command, out),
            Command::TransferLinked(_, entries) => self.transfer_linked(context, entries, out),
            Command::SetCard(command) => self.set_card(command, out),
            Command::SetCardStatus(command) => {
                let card = self.cards.get_mut(&command.token).ok_or(Reject::UnknownCard)?;
                card.terms.status = command.status;
                self.set(out)
            }
            Command::ReplaceCard(command) => self.replace_card(command, out),
            Command::SetTerminal(command) => self.set_terminal(command, out),
            Command::SetService(command) => {
                let terminal = self.terminals.get_mut(&command.terminal.0).ok_or(Reject::UnknownTerminal)?;
                terminal.service = command.service.get();
                self.set(out)
            }
            Command::LoadCash(command, loads) => self.load(context, command.terminal, command.vault, loads, out),
            Command::UnloadCash(command) => self.unload(context, command.terminal, command.vault, out),
            Command::CountCash(command, counts) => {
                self.count(context, command.terminal, command.difference, counts, out)
            }
            Command::CountDeposit(command) => self.count_deposit(command, out),
            Command::SetTerminalTerms(command) => self.set_terminal_terms(command, out),
            Command::SetAccountLimits(command) => self.set_account_limits(command, out),
            Command::SetCardTerms(command) => self.set_card_terms(command, out),
            Command::CaptureCard(command) => self.capture(command.token, command.terminal, out),
            Command::Cutover(command) => self.cutover(command.date, out),
            Command::Authorize(command) => self.authorize(context, command, out),
            Command::ChangePin(command) => self.change_pin(context, command, out),
            Command::Complete(command) => self.complete(context, command, out),
            Command::Reverse(command) => self.reverse(context, Key(command.terminal, command.trace, command.date), out),
            Command::SetAcquirer(command) => self.set_acquirer(command, out),
            Command::Advise(command) => self.advise(context, command, out),
            Command::SetIssuer(command) => self.set_issuer(command, out),
            Command::SetRoute(command) => self.set_route(command, out),
            Command::SetFee(command) => self.set_fee(command, out),
            Command::SetRate(command) => self.set_rate(command, out),
            Command::Offer(command) => self.offer(context, command, out),
            Command::Reconcile(command) => self.reconcile(command, out),
            Command::Forward(command) => self.forward(context, command, out),
            Command::Answer(command) => self.answer(context, command, out),
            Command::Acknowledge(command) => self.acknowledge(command, out),
        }
    }

    fn on_time(&mut self, context: Context, out: Says<'_, '_>) {
        let mut due: Vec<(u64, u8, u64, Option<Key>, u64)> = Vec::new();
        due.extend(self.open.iter().map(|(key, open)| (open.deadline.0, 0, open.turn, Some(*key), 0)));
        for (key, remote) in &self.remote {
            // The deadline of a withdrawal that is asked for is that of its hold.
            let until = if self.open.contains_key(key) { 0 } else { remote.until };
            due.extend([until, remote.advised_until].map(|until| (until, 0, remote.turn, Some(*key), 0)));
        }
        let order = |id: &u64| self.transfer_order.iter().position(|known| known == id).unwrap_or_default() as u64;
        due.extend(self.holds.iter().map(|(id, hold)| (hold.1, 1, order(id), None, *id)));
        due.retain(|due| due.0 != 0 && due.0 <= context.now.0);
        due.sort_unstable();
        for (_, _, _, key, id) in due {
            let Some(key) = key else {
                let (.., amount) = self.holds.remove(&id).expect("it is held");
                let (id, amount) = (super::messages::TransferId(id), Amount(amount));
                out.publish(topics::HOLDS, 0, Event::HoldExpired(&HoldExpired { id, amount }));
                continue;
            };
            if !self.open.contains_key(&key) && !self.is_asked(key) {
                self.end_advice(key, ResponseCode::IssuerInoperative, out);
                continue;
            }
            let amount = Amount(self.open.get(&key).map_or(0, |open| open.amount));
            if !self.gives_up(context.now, key, out) {
                self.end(context.now, key, Notes(0), 0, Deed::TimedOut, out);
            }
            let (authorization, Key(terminal, trace, date)) = (self.known[&key].answer.authorization, key);
            let timed_out = TimedOut { authorization, amount, trace, date };
            out.publish(topics::TERMINAL, terminal.0, Event::TimedOut(&timed_out));
        }
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: Says<'_, '_>) {}
}
