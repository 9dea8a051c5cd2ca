//! Transactions, and the order of precedence.

use super::super::messages::{
    AMOUNT_MAX, AccountType, Amount, Authorization, Authorize, Authorized, Balance, CASSETTES, CardStatus, ChangePin,
    ConversionChoice, Currency, Event, Key, MovementKind, NOTES_MAX, Network, Notes, PinReferenceSet, PinVerdict,
    PinVersion, Reject, Reply, ResponseCode, Service, SetCard, SetTerminal, TerminalId, TransactionType,
};
use super::super::topics;
use super::conversions::Conversion;
use super::{Asked, Card, Deed, Fate, Known, Limits, Model, Open, Says, Terminal, Whose};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytemuck::Zeroable as _;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, SessionId, Timestamp};

impl Model {
    /// Makes room for a transaction of that date, which may be new.
    pub(super) fn take(&mut self, key: Key) -> Result<(), Reject> {
        if !(self.before..=self.date).contains(&key.2) {
            return Err(Reject::BadDate);
        }
        let mut old = self.order.iter().take_while(|key| key.2 < self.before);
        if self.order.len() as u64 == self.limits.transactions && old.all(|key| self.is_held(*key)) {
            return Err(Reject::TransactionsFull);
        }
        Ok(())
    }

    /// Whether it is not forgotten, however old it is.
    fn is_held(&self, key: Key) -> bool {
        let is_asked = self.remote.get(&key).is_some_and(|remote| remote.until + remote.advised_until > 0);
        self.open.contains_key(&key) || self.deposits.contains_key(&key) || is_asked
    }

    pub(super) fn keep(&mut self, key: Key, known: Known) {
        while self.order.len() as u64 == self.limits.transactions {
            let oldest = self.order.pop_front().expect("there is one");
            if self.is_held(oldest) {
                // It is as if it had come last.
                self.order.push_back(oldest);
                self.open.entry(oldest).and_modify(|open| open.turn = self.turns);
                self.remote.entry(oldest).and_modify(|remote| remote.turn = self.turns);
                self.turns += 1;
                continue;
            }
            self.known.remove(&oldest);
            self.remote.remove(&oldest);
        }
        self.order.push_back(key);
        self.known.insert(key, known);
        self.turns += 1;
    }

    pub(super) fn authorize(&mut self, context: Context, asked: &Authorize, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(asked.terminal)?;
        let key = Key(asked.terminal, asked.trace, asked.date);
        if self.is_repeated(context.session, key, &Asked::For(*asked), out) {
            return Ok(());
        }
        self.take(key)?;
        let decided = match self.admit(&terminal, asked.token, asked.pin_version, asked.pin.get())? {
            ResponseCode::Approved => self.decide(context.now, &terminal, asked),
            code => Decided::early(code),
        };
        let Decided { code, account, to, amount, notes, charges, converted } = decided;
        let (conversion, billed) = converted.map_or((None, 0), |(conversion, billed)| (Some(conversion), billed));
        let kind = asked.transaction.get();
        let approved = code == ResponseCode::Approved;
        if !approved {
            self.deeds.push((asked.terminal, Deed::Declined));
        }
        let withdraws = approved && kind.dispenses();
        if withdraws {
            let deadline = context.now.saturating_add(terminal.terms.confirm_within_ns);
            let turn = self.turns;
            self.open.insert(key, Open { turn, deadline, account, amount, notes, charges, conversion, billed });
        }
        if approved && kind == TransactionType::Deposit {
            self.deposits.insert(key, (to, account, amount));
        }
        let cash = if withdraws { amount } else { asked.cashback.0 };
        let by_account = approved && cash > 0 && self.account_limits.contains_key(&account);
        if approved && cash > 0 {
            for (whose, limits) in self.limits(asked.token, account, &terminal, kind.dispenses()) {
                self.count_day(whose, limits, key, of_whose(whose, conversion, cash), context.now);
            }
        }
        let is_statement = approved && kind == TransactionType::MiniStatement;
        let (moved, lines) = if is_statement { self.statement(account) } else { (0, 0) };
        let (balance, available) = if account == 0 { (Balance(0), Balance(0)) } else { self.balances(account) };
        let answer = Authorized {
            authorization: Authorization(context.sequence.0),
            held: Amount(if withdraws { amount } else { 0 }),
            surcharge: Amount(charges[0].0),
            fee: Amount(charges[1].0),
            notes,
            balance,
            available,
            code: code.into(),
            lines,
            billed_in: conversion.map_or(Currency(0), |conversion| conversion.currency),
            reserved: Reserved::default(),
        };
        let fate = match kind {
            TransactionType::Transfer | TransactionType::Purchase if approved => Fate::Moved(amount),
            TransactionType::Deposit if approved => Fate::Deposited(amount),
            _ if !withdraws && charges[1].0 > 0 => Fate::Moved(amount),
            _ => Fate::Answered,
        };
        let is_held = withdraws || matches!(fate, Fate::Deposited(_));
        let last = if is_held { (Balance(0), Balance(0)) } else { (balance, available) };
        let (counted, asked, payees) = (self.date, Some(Asked::For(*asked)), charges.map(|(_, payee)| payee));
        let charged = [0, if withdraws { 0 } else { charges[1].0 }];
        let unmoved = Known::unmoved(asked, answer, counted, fate);
        let known = Known { last, charged, payees, cash, by_account, account, to, moved, conversion, ..unmoved };
        self.keep(key, known);
        self.say_lines(context.session, &known, out);
        out.reply(Reply::Authorized(&answer));
        Ok(())
    }

    pub(super) fn change_pin(&mut self, context: Context, asked: &ChangePin, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(asked.terminal)?;
        let key = Key(asked.terminal, asked.trace, asked.date);
        if self.is_repeated(context.session, key, &Asked::Pin(*asked), out) {
            return Ok(());
        }
        self.take(key)?;
        let code = self.admit(&terminal, asked.token, asked.pin_version, asked.pin.get())?;
        let mut fate = Fate::Answered;
        if code == ResponseCode::Approved {
            let before = self.set_pin(asked.token, asked.new_pin_reference, out);
            fate = Fate::PinChanged(before);
        } else {
            self.deeds.push((asked.terminal, Deed::Declined));
        }
        let answer = Authorized { authorization: Authorization(context.sequence.0), ..answer(code) };
        self.keep(key, Known::unmoved(Some(Asked::Pin(*asked)), answer, self.date, fate));
        out.reply(Reply::Authorized(&answer));
        Ok(())
    }

    /// Gives a card another reference under the next version; gives the one before.
    pub(super) fn set_pin(&mut self, token: [u8; 16], reference: [u8; 16], out: Says<'_, '_>) -> [u8; 16] {
        let terms = &mut self.cards.get_mut(&token).expect("it was found").terms;
        let before = core::mem::replace(&mut terms.pin_reference, reference);
        terms.pin_version = PinVersion(terms.pin_version.0.wrapping_add(1));
        self.say_pin(token, out);
        before
    }

    pub(super) fn say_pin(&self, token: [u8; 16], out: Says<'_, '_>) {
        let SetCard { pin_reference, pin_version, last_four, .. } = self.cards[&token].terms;
        let set = PinReferenceSet { token, pin_reference, pin_version, last_four };
        out.publish(topics::PINS, 0, Event::PinReferenceSet(&set));
    }

    /// Answers what has a key that is known.
    pub(super) fn is_repeated(&self, session: SessionId, key: Key, asked: &Asked, out: Says<'_, '_>) -> bool {
        let Some(known) = self.known.get(&key) else { return false };
        let again = match known.asked {
            None => answer(ResponseCode::TooLate),
            Some(first) if first.is(asked) => {
                self.say_lines(session, known, out);
                known.answer
            }
            Some(_) => answer(ResponseCode::Duplicate),
        };
        out.reply(Reply::Authorized(&again));
        true
    }

    /// The surcharge that a withdrawal of so much of the account costs, and whose it is.
    pub(super) fn fee(&self, terminal: &Terminal, account: u64, amount: u64) -> (u64, u64) {
        let SetTerminal { surcharge, fees, .. } = terminal.terms;
        if fees.0 == account || surcharge.0 == 0 {
            return (0, 0);
        }
        let added = terminal.more.map_or(0, |more| amount * u64::from(more.surcharge_rate) / 10_000);
        let most = terminal.more.map_or(0, |more| more.surcharge_max.0).max(surcharge.0);
        ((surcharge.0 + added).min(most), fees.0)
    }

    /// What limits a withdrawal: its card, its account when that has limits, its terminal when that gives the notes.
    pub(super) fn limits(
        &self,
        token: [u8; 16],
        account: u64,
        terminal: &Terminal,
        dispenses: bool,
    ) -> Vec<(Whose, Limits)> {
        let Card { terms, window_max, .. } = self.cards[&token];
        let of_card = Limits {
            transaction_max: terms.transaction_max.0,
            day_max: terms.day_max.0,
            day_count_max: terms.day_count_max,
            window_ns: terms.window_ns,
            window_max,
            window_count_max: terms.window_count_max,
        };
        let of_account = self.account_limits.get(&account).map(|terms| Limits {
            transaction_max: terms.transaction_max.0,
            day_max: terms.day_max.0,
            day_count_max: terms.day_count_max,
            window_ns: terms.window_ns,
            window_max: terms.window_max.0,
            window_count_max: terms.window_count_max,
        });
        let mut limits = Vec::from([(Whose::Card(token), of_card)]);
        limits.extend(of_account.map(|limits| (Whose::Account(account), limits)));
        limits.extend(dispenses.then(|| Self::limits_of(terminal)));
        limits
    }

    /// What a terminal limits.
    pub(super) fn limits_of(terminal: &Terminal) -> (Whose, Limits) {
        let (most, count) = (u64::MAX, u32::MAX);
        let none = Limits {
            transaction_max: most,
            day_max: most,
            day_count_max: count,
            window_ns: 0,
            window_max: 0,
            window_count_max: 0,
        };
        let of_terminal = terminal.more.map_or(none, |terms| Limits {
            transaction_max: terms.transaction_max.0,
            day_max: terms.day_max.0,
            day_count_max: terms.day_count_max,
            window_ns: terms.window_ns,
            window_max: terms.window_max.0,
            window_count_max: terms.window_count_max,
        });
        (Whose::Terminal(terminal.terms.terminal.0), of_terminal)
    }

    /// Counts what is taken on this date, and within the window.
    pub(super) fn count_day(&mut self, whose: Whose, limits: Limits, key: Key, amount: u64, now: Timestamp) {
        let taken = self.taken.entry(whose).or_default();
        if taken.date != self.date {
            (taken.date, taken.day) = (self.date, BTreeMap::new());
        }
        taken.day.insert(key, amount);
        if limits.window_count_max > 0 {
            taken.recent.push((now.0, amount));
        }
    }

    /// Counts what was taken in the end instead.
    pub(super) fn count_again(&mut self, key: Key, amount: u64) {
        let Known { asked, account, by_account, counted, answer, conversion, .. } = self.known[&key];
        let mut all = Vec::new();
        let token = asked.expect("it was asked for").token();
        all.extend((!self.remote.contains_key(&key)).then_some(Whose::Card(token)));
        all.extend(by_account.then_some(Whose::Account(account)));
        // Only who gives notes has said any.
        let gives = answer.held.0 > 0 || matches!(asked, Some(Asked::Said(_)));
        all.extend(gives.then_some(Whose::Terminal(key.0.0)));
        for whose in all {
            let taken = self.taken.get_mut(&whose).expect("it has counted");
            if taken.date != counted {
                continue;
            }
            if amount == 0 {
                taken.day.remove(&key);
            } else {
                taken.day.insert(key, of_whose(whose, conversion, amount));
            }
        }
    }

    /// The rules in their order, up to the PIN.
    pub(super) fn admit(
        &mut self,
        terminal: &Terminal,
        token: [u8; 16],
        version: PinVersion,
        pin: PinVerdict,
    ) -> Result<ResponseCode, Reject> {
        use ResponseCode as Code;
        if terminal.service == Service::Out {
            return Ok(Code::TerminalNotPermitted);
        }
        let Some(card) = self.cards.get_mut(&token) else { return Ok(Code::InvalidCard) };
        match card.terms.status.get() {
            CardStatus::Active => {}
            CardStatus::Blocked => return Ok(Code::Restricted),
            CardStatus::Lost => return Ok(Code::Lost),
            CardStatus::Stolen => return Ok(Code::Stolen),
            CardStatus::Expired => return Ok(Code::Expired),
            CardStatus::Retained => return Ok(Code::RestrictedKeep),
        }
        if card.wrong == 3 {
            return Ok(Code::PinLocked);
        }
        if card.terms.pin_version != version {
            return Err(Reject::StalePin);
        }
        card.wrong = if pin == PinVerdict::Wrong { card.wrong + 1 } else { 0 };
        Ok(match card.wrong {
            0 => Code::Approved,
            3 => Code::PinTriesKeep,
            _ => Code::WrongPin,
        })
    }

    /// The rules in their order, from the amount on.
    pub(super) fn decide(&mut self, now: Timestamp, terminal: &Terminal, asked: &Authorize) -> Decided {
        use ResponseCode as Code;
        use TransactionType as Kind;
        let card = self.cards[&asked.token];
        let (kind, more, cashback) = (asked.transaction.get(), terminal.more, asked.cashback.0);
        let early = Decided::early;
        let amount_fits = match kind {
            Kind::BalanceInquiry | Kind::MiniStatement | Kind::FastCash => asked.amount.0 == 0,
            Kind::PinChange => false,
            _ => (1..=AMOUNT_MAX).contains(&asked.amount.0),
        };
        let cashback_fits = cashback == 0 || kind == Kind::Purchase && cashback <= asked.amount.0;
        let is_accepted = asked.conversion.get() == ConversionChoice::Accepted;
        let states_any = (asked.billed.0, asked.rate_version.0, asked.billed_in.0) != (0, 0, 0);
        if !amount_fits || !cashback_fits || states_any && !is_accepted {
            return early(Code::InvalidAmount);
        }
        if kind == Kind::FastCash && card.fast_cash == 0 {
            return early(Code::NotPermitted);
        }
        let amount = if kind == Kind::FastCash { card.fast_cash } else { asked.amount.0 };
        if amount > AMOUNT_MAX {
            return early(Code::InvalidAmount);
        }
        let other = match kind {
            Kind::Purchase => more.map_or(0, |more| more.merchant.0),
            Kind::Deposit => more.map_or(0, |more| more.deposits.0),
            Kind::MiniStatement if self.keeps_none() => 0,
            _ => u64::MAX,
        };
        if other == 0 {
            return early(Code::TerminalNotPermitted);
        }
        let notes = if kind.dispenses() { self.mix(asked.terminal, terminal, amount) } else { Some(Notes(0)) };
        let Some(notes) = notes else { return early(Code::InvalidAmount) };
        let own = [card.terms.cheque.0, card.terms.savings.0, card.terms.credit.0];
        let find = |of: AccountType| match of {
            AccountType::Default => (own.into_iter().find(|account| *account != 0).unwrap_or(0), Code::NoCheque),
            AccountType::Cheque => (own[0], Code::NoCheque),
            AccountType::Savings => (own[1], Code::NoSavings),
            AccountType::Credit => (own[2], Code::NotPermitted),
        };
        let (account, missing) = find(asked.account.get());
        if account == 0 {
            return early(missing);
        }
        let no = |code: Code| Decided { account, ..early(code) };
        let moves = matches!(kind, Kind::Transfer | Kind::Purchase | Kind::Deposit);
        let (to, missing) = match kind {
            Kind::Transfer => find(asked.to.get()),
            _ if moves => (other, Code::Approved),
            _ => (account, Code::Approved),
        };
        if to == 0 {
            return no(missing);
        }
        let is_foreign = |account: u64| self.accounts[&account].currency != terminal.terms.currency;
        let names_one = kind != Kind::Transfer && asked.to.get() != AccountType::Default;
        let is_its_own = if moves { to } else { terminal.terms.cash.0 } == account && (moves || kind.dispenses());
        let can_convert = kind.dispenses() && !terminal.is_acquirer;
        if (is_foreign(account) || is_foreign(to)) && !can_convert || names_one || is_its_own {
            return no(Code::InvalidTransaction);
        }
        if is_accepted && !is_foreign(account) {
            return no(Code::InvalidTransaction);
        }
        let surcharge = if kind.dispenses() { self.fee(terminal, account, amount) } else { (0, 0) };
        let converted = match is_foreign(account) {
            true => match self.convert(now, terminal, (account, amount, surcharge.0), asked) {
                Ok(converted) => Some(converted),
                Err(code) => return no(code),
            },
            false => None,
        };
        let conversion = converted.map(|(conversion, _)| conversion);
        let of_holder = |amount: u64| conversion.map_or(amount, |conversion| conversion.of(amount));
        let cash = if kind.dispenses() { amount } else { cashback };
        let limits = self.limits(asked.token, account, terminal, kind.dispenses());
        let counts = |whose: &Whose| of_whose(*whose, conversion, cash);
        if let Some(code) = self.exceeds(now, &limits, counts).filter(|_| cash > 0) {
            return no(code);
        }
        let network = if terminal.is_acquirer { Network::Acquirer } else { Network::Own };
        let charges = [surcharge, self.fee_on(kind, network, account, of_holder(amount))];
        let approved = Decided { code: Code::Approved, account, to, amount, notes, charges, converted };
        let (fits, moved) = match kind {
            Kind::Deposit => {
                let fits = self.tried(&[(to, account, amount)], |bank| bank.is_within(to) && bank.is_within(account));
                (if fits { Code::Approved } else { Code::Malfunction }, None)
            }
            _ if kind.dispenses() => {
                let cash = (amount, terminal.terms.cash.0);
                let fits = match converted {
                    None => self.bears(account, [cash, charges[0], charges[1]]),
                    Some((Conversion { pays, receives, .. }, billed)) => {
                        let (from, [(surcharge, payee), (fee, income)]) = (pays, charges);
                        let own = [(account, receives, billed), (account, income, fee)];
                        let others = [(from, cash.1, cash.0), (from, payee, surcharge)];
                        self.bears_all(account, &[own, others].concat())
                    }
                };
                (fits, None)
            }
            Kind::Purchase => (self.bears(account, [(amount, to), (0, 0), charges[1]]), Some(MovementKind::Purchase)),
            _ => (self.bears(account, [(amount, to), (0, 0), charges[1]]), Some(MovementKind::Transfer)),
        };
        if let (Code::Approved, Some(kind)) = (fits, moved) {
            let (key, (fee, payee)) = (Key(asked.terminal, asked.trace, asked.date), charges[1]);
            self.post_all(key, &[(account, to, amount), (account, payee, fee)], [kind, MovementKind::Fee]);
        }
        if fits == Code::Approved { approved } else { no(fits) }
    }

    /// Whether limits are exceeded: amounts first, then numbers.
    pub(super) fn exceeds(
        &self,
        now: Timestamp,
        limits: &[(Whose, Limits)],
        counts: impl Fn(&Whose) -> u64,
    ) -> Option<ResponseCode> {
        let taken = |whose: &Whose| self.taken.get(whose).cloned().unwrap_or_default();
        let today = |whose: &Whose| {
            let taken = taken(whose);
            if taken.date == self.date { taken.day } else { BTreeMap::new() }
        };
        // The last eight are remembered.
        let within = |whose: &Whose, limits: &Limits| -> Vec<u64> {
            let (recent, length) = (taken(whose).recent, limits.window_ns);
            let remembered = recent.iter().rev().take(8);
            remembered.filter(|(then, _)| then.saturating_add(length) > now.0).map(|(_, amount)| *amount).collect()
        };
        let is_above = |(whose, limits): &(Whose, Limits)| {
            let cash = counts(whose);
            let day = today(whose).values().map(|amount| i128::from(*amount)).sum::<i128>() + i128::from(cash);
            let window = within(whose, limits).iter().sum::<u64>() + cash;
            cash > limits.transaction_max
                || day > i128::from(limits.day_max)
                || limits.window_max > 0 && window > limits.window_max
        };
        let is_full = |(whose, limits): &(Whose, Limits)| {
            let window = within(whose, limits).len() as u64;
            today(whose).len() as u64 >= limits.day_count_max.into()
                || limits.window_count_max > 0 && window >= limits.window_count_max.into()
        };
        match (limits.iter().any(is_above), limits.iter().any(is_full)) {
            (true, _) => Some(ResponseCode::ExceedsAmount),
            (false, true) => Some(ResponseCode::ExceedsCount),
            _ => None,
        }
    }

    /// Whether the accounts bear what is taken of one, each part with the account that gets it. It is tried as if it were
    /// posted: what bounds an account makes no difference between posted and held debits.
    pub(super) fn bears(&mut self, account: u64, parts: [(u64, u64); 3]) -> ResponseCode {
        self.bears_all(account, &parts.map(|(amount, to)| (account, to, amount)))
    }

    /// Likewise, of parts that others give too.
    fn bears_all(&mut self, account: u64, parts: &[(u64, u64, u64)]) -> ResponseCode {
        let (covered, taken) = self.tried(parts, |bank| {
            let bears = |(from, to, amount): &(u64, u64, u64)| {
                *amount == 0 || bank.is_within(*to) && (*from == account || bank.is_within(*from))
            };
            (bank.is_within(account), parts.iter().all(bears))
        });
        match (covered, taken) {
            (false, _) => ResponseCode::InsufficientFunds,
            (true, false) => ResponseCode::Malfunction,
            (true, true) => ResponseCode::Approved,
        }
    }

    /// The notes that pay `amount`: cassettes by denomination, each giving as many as leave a rest that the following
    /// ones can pay within the notes that are left.
    pub(super) fn mix(&self, number: TerminalId, terminal: &Terminal, mut amount: u64) -> Option<Notes> {
        if terminal.is_acquirer {
            return Some(Notes(0));
        }
        let mut order: Vec<usize> = (0..CASSETTES).filter(|at| terminal.denominations[*at] > 0).collect();
        order.sort_by(|a, b| terminal.denominations[*b].cmp(&terminal.denominations[*a]).then(a.cmp(b)));
        let held = self.held(number);
        let ways: Vec<(u64, u64)> =
            order.iter().map(|at| (terminal.denominations[*at], terminal.notes[*at] - held[*at])).collect();
        let mut left = u64::from(NOTES_MAX);
        let mut counts = [0; CASSETTES];
        for (place, at) in order.iter().enumerate() {
            let (denomination, notes) = ways[place];
            let pays = |count: &u64| {
                let rest = amount.checked_sub(count * denomination);
                rest.and_then(|rest| fewest(&ways[place + 1..], rest)).is_some_and(|fewest| fewest + count <= left)
            };
            let count = (0..=notes.min(left)).rev().find(pays)?;
            (counts[*at], left, amount) = (count as u16, left - count, amount - count * denomination);
        }
        (amount == 0).then(|| Notes::new(counts))
    }
}

/// What was decided: the code, the account when one was found, the one that money goes to, how much, the notes, and
/// surcharge and fee.
pub(super) struct Decided {
    code: ResponseCode,
    account: u64,
    to: u64,
    amount: u64,
    notes: Notes,
    charges: [(u64, u64); 2],
    /// How it is converted, and what the account is debited for notes and surcharge.
    converted: Option<(Conversion, u64)>,
}

impl Decided {
    /// Declined before there was an account.
    fn early(code: ResponseCode) -> Self {
        Self { code, account: 0, to: 0, amount: 0, notes: Notes(0), charges: [(0, 0); 2], converted: None }
    }
}

/// What an amount at a terminal counts for whoever has limits: cards and accounts count in the account's currency.
pub(super) fn of_whose(whose: Whose, conversion: Option<Conversion>, amount: u64) -> u64 {
    match (whose, conversion) {
        (Whose::Terminal(_), _) | (_, None) => amount,
        (_, Some(conversion)) => conversion.of(amount),
    }
}

/// The fewest notes that pay `amount`, each way being a denomination and how many notes of it there are.
fn fewest(ways: &[(u64, u64)], amount: u64) -> Option<u64> {
    if amount == 0 {
        return Some(0);
    }
    let ((denomination, notes), rest) = ways.split_first()?;
    let most = (amount / denomination).min(*notes).min(NOTES_MAX.into());
    (0..=most).filter_map(|count| Some(count + fewest(rest, amount - count * denomination)?)).min()
}

/// The answer to an authorization of which nothing is told.
pub(super) fn answer(code: ResponseCode) -> Authorized {
    Authorized { code: code.into(), ..Authorized::zeroed() }
}
