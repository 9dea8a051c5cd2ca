//! Card transactions at terminals: a ledger under them, and each withdrawal from its authorization to its end.
//! `README.md` has the rules in plain words.
//!
//! [`Atm::apply`] is the table of contents. `decisions` has the order of precedence, `endings` the rest of a
//! transaction's life, `plain` both again for what is asked most, `foresight` what will be needed of memory,
//! `switch` what is asked of remote issuers, `cash` what is done at a terminal, `day_end` and `settlement` the totals,
//! `operator`, `fees`, `conversions` and `transfers` what the bank does; what they decide over stands in `ledger`, `cards`, `days`, `limits`,
//! `terminals`, `issuers` and `transactions`.
#![doc = include_str!("README.md")]

pub mod messages;

mod cash;
mod conversions;
mod day_end;
mod decisions;
mod endings;
mod fees;
mod foresight;
mod operator;
mod plain;
mod settlement;
mod switch;
mod transfers;

mod cards;
mod days;
mod issuers;
mod kept;
mod ledger;
mod limits;
mod statements;
mod terminals;
mod transactions;

mod checks;
mod state;

#[cfg(any(test, feature = "models"))]
pub mod model;
pub mod workload;

#[cfg(test)]
mod network;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod switch_scenarios;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use cards::Cards;
use conversions::Rates;
use day_end::{Closing, Sums};
use fees::Fees;
use foresight::Foresight;
use issuers::{Issuers, Routes, StoodIn};
use kept::Kept;
use ledger::Ledger;
use limits::{AccountLimits, Windows};
use messages::{AtmLimits, BusinessDate, Command, Event, Reject, Reply, TerminalId};
use ringfence_kernel::{
    ClientId, Context, Corrupt, Cursor, Domain, DomainId, MessageHeader, Out, Progress, Roles, SessionChange, Sink,
    Source, Timestamp, Topic,
};
use terminals::Terminals;
use transactions::Transaction;
use transfers::Transfer;

/// Kinds of topics of this domain.
pub mod topics {
    /// What happens at a terminal beside its answers; the id is the terminal. Its snapshot is the cassettes.
    pub const TERMINAL: u16 = 1;
    /// [`super::messages::HoldExpired`]; the id is 0. It has no snapshot.
    pub const HOLDS: u16 = 2;
    /// [`super::messages::CurrencyTotals`] and [`super::messages::IssuerTotals`]; the id is 0. It has no snapshot.
    pub const DATES: u16 = 3;
    /// [`super::messages::PinReferenceSet`]; the id is 0. Its snapshot is the references of all cards.
    pub const PINS: u16 = 4;
    /// [`super::messages::RouteSet`]; the id is 0. Its snapshot is all routes.
    pub const ROUTES: u16 = 5;
    /// [`super::messages::AdviceDue`] and [`super::messages::AdviceDone`]; the id is 0. Its snapshot is the advices that are due.
    pub const ADVICES: u16 = 6;
}

/// The most events of one timer: what its end is, and what an issuer is told of it, or an exception.
const TIMER_EVENTS: usize = 2;

/// Room for windows: cards, accounts and terminals can have one.
fn windows_of(limits: &AtmLimits) -> usize {
    (limits.cards + limits.accounts + limits.terminals) as usize
}

/// The authorization host: accounts, cards, terminals and transactions.
#[derive(Debug)]
pub struct Atm {
    /// The business date, and the one before it.
    date: BusinessDate,
    date_before: BusinessDate,
    ledger: Ledger,
    cards: Cards,
    account_limits: AccountLimits,
    windows: Windows,
    terminals: Terminals,
    transactions: Kept<Transaction>,
    transfers: Kept<Transfer>,
    issuers: Issuers,
    routes: Routes,
    stood_in: Kept<StoodIn>,
    fees: Fees,
    rates: Rates,
    /// Room for the totals of a cutover, and the one that goes on in [`Domain::resume`]. Nothing is saved while there is
    /// one.
    sums: Box<[Sums]>,
    closing: Option<Closing>,
    /// Not state: what comes soon.
    foresight: Foresight,
}

impl Domain for Atm {
    const ID: DomainId = DomainId(2);
    const NAME: &'static str = "atm";
    const VERSION: u16 = 1;
    const REJECTS: &'static [ringfence_kernel::reject::Row] = Reject::TABLE;

    type Command<'a> = Command<'a>;
    type Reply<'a> = Reply<'a>;
    type Event<'a> = Event<'a>;
    type Reject = Reject;
    type Limits = AtmLimits;

    fn topics(limits: &AtmLimits) -> u64 {
        // The terminals', and those of holds, business dates, PIN references, routes and advices.
        limits.terminals.saturating_add(5)
    }

    fn new(limits: &AtmLimits) -> Self {
        Self {
            date: BusinessDate(0),
            date_before: BusinessDate(0),
            ledger: Ledger::new(limits.accounts as usize, limits.movements as usize),
            cards: Cards::new(limits.cards as usize),
            account_limits: AccountLimits::new(limits.accounts as usize),
            windows: Windows::new(windows_of(limits)),
            terminals: Terminals::new(limits.terminals as usize),
            transactions: Kept::new(limits.transactions as usize),
            transfers: Kept::new(limits.transfers as usize),
            issuers: Issuers::new(limits.issuers as usize),
            routes: Routes::new(limits.routes as usize),
            stood_in: Kept::new(limits.stood_in as usize),
            fees: Fees::new(limits.fees as usize),
            rates: Rates::new(limits.rates as usize),
            sums: day_end::no_sums(),
            closing: None,
            foresight: Foresight::default(),
        }
    }

    fn roles_needed(command: &Command<'_>) -> Roles {
        match command {
            Command::Authorize(_)
            | Command::ChangePin(_)
            | Command::Forward(_)
            | Command::Answer(_)
            | Command::Acknowledge(_)
            | Command::Advise(_)
            | Command::Complete(_)
            | Command::Reverse(_)
            | Command::SetService(_)
            | Command::CaptureCard(_)
            | Command::Offer(_)
            | Command::Reconcile(_) => Roles::TRADE,
            _ => Roles::ADMINISTER,
        }
    }

    #[inline]
    fn foresees(&self) -> bool {
        self.foresees_withdrawals()
    }

    #[inline]
    fn foresee(&mut self, _client: ClientId, header: MessageHeader, body: &[u8]) {
        self.foresee_withdrawal(header, body);
    }

    #[inline]
    fn bring_near(&mut self) {
        self.bring_withdrawals_near();
    }

    #[inline]
    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        match command {
            Command::Authorize(command) => self.authorize(context, command, out),
            Command::ChangePin(command) => self.change_pin(context, command, out),
            Command::Forward(command) => self.forward(context, command, out),
            Command::Answer(command) => self.answer(context, command, out),
            Command::Acknowledge(command) => self.acknowledge(command, out),
            Command::Advise(command) => self.advise(context, command, out),
            Command::Complete(command) => self.complete(context, command, out),
            Command::Reverse(command) => self.reverse(context, command, out),
            Command::SetService(command) => self.set_service(command, out),
            Command::CaptureCard(command) => self.capture_card(command, out),
            Command::CountDeposit(command) => self.count_deposit(command, out),
            Command::TransferLinked(_, transfers) => self.transfer_linked(context, transfers, out),
            Command::OpenAccount(command) => self.open_account(command, out),
            Command::SetCard(command) => self.set_card(command, out),
            Command::SetCardTerms(command) => self.set_card_terms(command, out),
            Command::SetAccountLimits(command) => self.set_account_limits(command, out),
            Command::SetCardStatus(command) => self.set_card_status(command, out),
            Command::ReplaceCard(command) => self.replace_card(command, out),
            Command::SetTerminalTerms(command) => self.set_terminal_terms(command, out),
            Command::SetTerminal(command) => self.set_terminal(command, out),
            Command::SetAcquirer(command) => self.set_acquirer(command, out),
            Command::SetIssuer(command) => self.set_issuer(command, out),
            Command::SetRoute(command) => self.set_route(command, out),
            Command::SetFee(command) => self.set_fee(command, out),
            Command::SetRate(command) => self.set_rate(command, out),
            Command::Offer(command) => self.offer(context, command, out),
            Command::Reconcile(command) => self.reconcile(command, out),
            Command::LoadCash(command, cassettes) => self.load_cash(context, command, cassettes, out),
            Command::UnloadCash(command) => self.unload_cash(context, command, out),
            Command::CountCash(command, cassettes) => self.count_cash(context, command, cassettes, out),
            Command::Cutover(command) => self.cutover(command, out),
        }
    }

    fn resume(&mut self, _: Context, out: &mut Out<'_, Self>) -> Progress {
        match self.closing.take() {
            None => Progress::Done,
            Some(closing) => self.close(closing, out),
        }
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        while self.next_deadline().is_some_and(|deadline| deadline <= context.now) {
            if out.room() < TIMER_EVENTS {
                return Progress::More;
            }
            match (self.transactions.next_to_end(), self.transfers.next_to_end()) {
                // Of those due together, withdrawals first.
                (Some((deadline, index)), other) if other.is_none_or(|(other, _)| deadline <= other) => {
                    self.time_out(context.now, index, out);
                }
                (_, other) => self.expire_hold(other.expect("one of them is due").1, out),
            }
        }
        Progress::Done
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Self>) -> Progress {
        // Transactions outlive the session that asked for them.
        Progress::Done
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        let (transactions, transfers) = (self.transactions.next_to_end(), self.transfers.next_to_end());
        transactions.into_iter().chain(transfers).map(|(deadline, _)| deadline).min()
    }

    fn snapshot_topic(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress> {
        match topic.kind() {
            topics::TERMINAL => self.snapshot_terminal(TerminalId(topic.id()), out),
            topics::HOLDS | topics::DATES if topic.id() == 0 => Some(Progress::Done),
            topics::PINS if topic.id() == 0 => Some(self.snapshot_pins(cursor, out)),
            topics::ROUTES if topic.id() == 0 => Some(self.snapshot_routes(cursor, out)),
            topics::ADVICES if topic.id() == 0 => Some(self.snapshot_advices(cursor, out)),
            _ => None,
        }
    }

    fn save(&self, sink: &mut impl Sink) {
        self.write(sink);
    }

    fn load(limits: &AtmLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        Self::read(limits, source)
    }
}
