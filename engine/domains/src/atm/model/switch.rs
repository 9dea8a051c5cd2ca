//! Remote issuers and other acquirers.

use super::super::messages::{
    AMOUNT_MAX, AccountType, Acknowledge, AdviceDone, AdviceDue, Advise, Amount, Answer, Authorization, Authorized,
    Balance, BusinessDate, Event, Forward, Forwarded, IssuerOutcome, Key, LINK_TRACE_MAX, MovementKind, Network, Notes,
    Reject, Reply, ResponseCode, RouteSet, Service, SetIssuer, SetRoute, Trace, TransactionType,
};
use super::super::topics;
use super::endings::asked_charges;
use super::transactions::answer;
use super::{Asked, Deed, Fate, Known, Model, Open, Remote, Says, Whose};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Timestamp};

impl Model {
    pub(super) fn set_issuer(&mut self, terms: &SetIssuer, out: Says<'_, '_>) -> Result<(), Reject> {
        if !self.accounts.contains_key(&terms.settlement.0) || self.is_cash(terms.settlement.0) {
            return Err(Reject::UnknownAccount);
        }
        let number = u64::from(terms.issuer.0);
        let is_above = terms.stand_in_max.0 > AMOUNT_MAX || terms.stand_in_day_max.0 > AMOUNT_MAX;
        if !(1..=self.limits.issuers).contains(&number) || terms.advice_lasts_ns == 0 || is_above {
            return Err(Reject::BadIssuer);
        }
        self.issuers.insert(terms.issuer.0, *terms);
        self.set(out)
    }

    pub(super) fn set_route(&mut self, route: &SetRoute, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetRoute { prefix, digits, issuer, .. } = *route;
        let is_prefix = (1..=8).contains(&digits) && alloc::format!("{prefix}").len() <= usize::from(digits);
        if !is_prefix || u64::from(issuer.0) > self.limits.issuers {
            return Err(Reject::BadRoute);
        }
        if !self.routes.contains_key(&(digits, prefix)) && self.routes.len() as u64 == self.limits.routes {
            return Err(Reject::RoutesFull);
        }
        self.routes.insert((digits, prefix), issuer.0);
        let set = RouteSet { prefix, digits, issuer, reserved: Reserved::default() };
        out.publish(topics::ROUTES, 0, Event::RouteSet(&set));
        self.set(out)
    }

    fn route(&self, bin: u32) -> u16 {
        let leads = |((digits, prefix), _): &(&(u8, u32), &u16)| bin / 10_u32.pow(8 - u32::from(*digits)) == *prefix;
        self.routes.iter().filter(leads).max_by_key(|((digits, _), _)| *digits).map_or(0, |(_, issuer)| *issuer)
    }

    fn forwarded(&self, key: Key) -> Forwarded {
        let (Remote { asked, link_trace, date, .. }, Known { answer, .. }) = (self.remote[&key], self.known[&key]);
        Forwarded {
            authorization: answer.authorization,
            amount: Amount(asked.amount.0 + answer.surcharge.0 + answer.fee.0),
            surcharge: answer.surcharge,
            fee: answer.fee,
            link_trace: Trace(link_trace),
            date,
            issuer: asked.issuer,
            reserved: Reserved::default(),
        }
    }

    pub(super) fn forward(&mut self, context: Context, asked: &Forward, out: Says<'_, '_>) -> Result<(), Reject> {
        self.terminal(asked.terminal)?;
        if asked.issuer.0 == 0 {
            return Err(Reject::StaleRoute);
        }
        let key = Key(asked.terminal, asked.trace, asked.date);
        let is_asked = self
            .remote
            .get(&key)
            .is_some_and(|remote| remote.until > 0 && Asked::Of(remote.asked).is(&Asked::Of(*asked)));
        if is_asked {
            out.reply(Reply::Forwarded(&self.forwarded(key)));
            return Ok(());
        }
        if self.is_repeated(context.session, key, &Asked::Of(*asked), out) {
            return Ok(());
        }
        self.take(key)?;
        if self.route(asked.bin) != asked.issuer.0 {
            return Err(Reject::StaleRoute);
        }
        let turn = self.turns;
        let approved =
            Authorized { authorization: Authorization(context.sequence.0), ..answer(ResponseCode::Approved) };
        let known = Known::unmoved(Some(Asked::Of(*asked)), approved, self.date, Fate::Answered);
        match self.prepare(context.now, asked) {
            Err(code) => {
                self.deeds.push((asked.terminal, Deed::Declined));
                // Where there is no such issuer nobody counts.
                if self.issuers.contains_key(&asked.issuer.0) {
                    self.issuer_deeds.push((asked.issuer.0, None));
                }
                let answer = Authorized { code: code.into(), ..known.answer };
                self.keep(key, Known { answer, ..known });
                out.reply(Reply::Authorized(&answer));
            }
            Ok(Prepared { account, notes, charges, link_trace }) => {
                let terminal = self.terminal(asked.terminal)?;
                let deadline = context.now.saturating_add(terminal.terms.confirm_within_ns);
                let amount = asked.amount.0;
                if amount > 0 {
                    let (conversion, billed) = (None, 0);
                    self.open.insert(key, Open { turn, deadline, account, amount, notes, charges, conversion, billed });
                    let (whose, limits) = Self::limits_of(&terminal);
                    self.count_day(whose, limits, key, amount, context.now);
                }
                let [surcharge, fee] = charges.map(|(charge, _)| Amount(charge));
                let answer = Authorized { held: asked.amount, surcharge, fee, notes, ..known.answer };
                let payees = charges.map(|(_, payee)| payee);
                self.keep(key, Known { answer, account, payees, cash: amount, ..known });
                let (until, stood_in, advised_until, date) = (deadline.0, false, 0, self.date);
                self.remote
                    .insert(key, Remote { turn, asked: *asked, link_trace, date, until, stood_in, advised_until });
                out.reply(Reply::Forwarded(&self.forwarded(key)));
            }
        }
        Ok(())
    }

    fn prepare(&mut self, now: Timestamp, asked: &Forward) -> Result<Prepared, ResponseCode> {
        let terminal = self.terminals[&asked.terminal.0];
        if terminal.service == Service::Out {
            return Err(ResponseCode::TerminalNotPermitted);
        }
        let terms = *self.issuers.get(&asked.issuer.0).ok_or(ResponseCode::NoRoute)?;
        let (kind, amount, account) = (asked.transaction.get(), asked.amount.0, terms.settlement.0);
        let withdraws = kind == TransactionType::Withdrawal;
        if !withdraws && kind != TransactionType::BalanceInquiry || terminal.is_acquirer {
            return Err(ResponseCode::NotPermitted);
        }
        if withdraws != (amount > 0) || amount > AMOUNT_MAX {
            return Err(ResponseCode::InvalidAmount);
        }
        let notes = if withdraws { self.mix(asked.terminal, &terminal, amount) } else { Some(Notes(0)) };
        let notes = notes.ok_or(ResponseCode::InvalidAmount)?;
        if self.accounts[&account].currency != terminal.terms.currency {
            return Err(ResponseCode::InvalidTransaction);
        }
        if withdraws && let Some(code) = self.exceeds(now, &[Self::limits_of(&terminal)], |_| amount) {
            return Err(code);
        }
        let (last_date, last) = self.link_traces.get(&asked.issuer.0).copied().unwrap_or_default();
        let link_trace = if last_date == self.date { last + 1 } else { 1 };
        if link_trace > LINK_TRACE_MAX {
            return Err(ResponseCode::IssuerInoperative);
        }
        self.link_traces.insert(asked.issuer.0, (self.date, link_trace));
        let charges = match withdraws {
            true => [self.fee(&terminal, account, amount), self.fee_on(kind, Network::Issuer, account, amount)],
            false => [(0, 0); 2],
        };
        let parts = [(amount, terminal.terms.cash.0), charges[0], charges[1]];
        if withdraws && self.bears(account, parts) != ResponseCode::Approved {
            return Err(ResponseCode::IssuerInoperative);
        }
        Ok(Prepared { account, notes, charges, link_trace })
    }

    pub(super) fn answer(&mut self, context: Context, said: &Answer, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(said.terminal)?;
        let key = Key(said.terminal, said.trace, said.date);
        if !self.known.contains_key(&key) {
            out.reply(Reply::Authorized(&answer(ResponseCode::UnknownOriginal)));
            return Ok(());
        }
        if let Some(remote) = self.remote.get(&key).copied().filter(|remote| remote.until > 0) {
            let (is_silent, amount) = (said.outcome.get() == IssuerOutcome::Silent, remote.asked.amount.0);
            let withdraws = amount > 0;
            let stands_in = is_silent && withdraws && self.stands_in(&remote);
            let code = match is_silent {
                false => said.code.get(),
                true if stands_in => ResponseCode::Approved,
                true => ResponseCode::IssuerInoperative,
            };
            let balances = if is_silent { (Balance(0), Balance(0)) } else { (said.balance, said.available) };
            let known = self.known.get_mut(&key).expect("it was found");
            (known.answer.balance, known.answer.available) = balances;
            known.last = balances;
            let remote = self.remote.get_mut(&key).expect("it was found");
            (remote.until, remote.stood_in) = (0, stands_in);
            if code == ResponseCode::Approved {
                if let Some(open) = self.open.get_mut(&key) {
                    open.deadline = context.now.saturating_add(terminal.terms.confirm_within_ns);
                }
            } else {
                self.decline_asked(context.now, key, code, is_silent, out);
            }
        }
        out.reply(Reply::Authorized(&self.known[&key].answer));
        Ok(())
    }

    /// Declines what an issuer is asked; it is told, when it may have approved it.
    fn decline_asked(&mut self, now: Timestamp, key: Key, code: ResponseCode, is_told: bool, out: Says<'_, '_>) {
        self.deeds.push((key.0, Deed::Declined));
        self.issuer_deeds.push((self.remote[&key].asked.issuer.0, None));
        self.remote.get_mut(&key).expect("it is asked").until = 0;
        let withdraws = self.open.remove(&key).is_some();
        if withdraws {
            self.count_again(key, 0);
        }
        let known = self.known.get_mut(&key).expect("it was found");
        let Authorized { authorization, balance, available, .. } = known.answer;
        known.answer = Authorized { authorization, balance, available, ..answer(code) };
        if withdraws && is_told {
            self.tell_issuer(now, key, out);
        }
    }

    /// When an issuer is asked for `key` and has not answered: gives up.
    pub(super) fn gives_up(&mut self, now: Timestamp, key: Key, out: Says<'_, '_>) -> bool {
        let is_asked = self.is_asked(key);
        if is_asked {
            self.decline_asked(now, key, ResponseCode::TooLate, true, out);
        }
        is_asked
    }

    pub(super) fn is_asked(&self, key: Key) -> bool {
        self.remote.get(&key).is_some_and(|remote| remote.until > 0)
    }

    /// Whether a withdrawal is approved in the issuer's stead; it counts then.
    fn stands_in(&mut self, remote: &Remote) -> bool {
        let (Forward { token, amount, issuer, .. }, key) = (remote.asked, (remote.asked.token, remote.date));
        let terms = self.issuers[&issuer.0];
        let before = self.stood_in.get(&key).copied();
        let (sum, count) = before.unwrap_or_default();
        let fits = amount <= terms.stand_in_max
            && sum + amount.0 <= terms.stand_in_day_max.0
            && count < terms.stand_in_day_count_max;
        if !fits {
            return false;
        }
        if before.is_none() {
            if self.stood_in_order.len() as u64 == self.limits.stood_in {
                let oldest = self.stood_in_order[0];
                if oldest.1 >= self.date {
                    return false;
                }
                self.stood_in_order.pop_front();
                self.stood_in.remove(&oldest);
            }
            self.stood_in_order.push_back((token, remote.date));
        }
        self.stood_in.insert(key, (sum + amount.0, count + 1));
        true
    }

    /// The balances that the end of a transaction says.
    pub(super) fn stands(&self, key: Key, account: u64) -> (Balance, Balance) {
        if self.remote.contains_key(&key) { self.known[&key].last } else { self.balances(account) }
    }

    fn taken(&self, key: Key) -> u64 {
        let Known { fate, charged: [surcharge, fee], .. } = self.known[&key];
        if let Fate::Out(worth, _) = fate { worth + surcharge + fee } else { 0 }
    }

    /// Begins to tell a remote issuer what was taken.
    pub(super) fn tell_issuer(&mut self, now: Timestamp, key: Key, out: Says<'_, '_>) {
        let Some(remote) = self.remote.get_mut(&key) else { return };
        let lasts = self.issuers[&remote.asked.issuer.0].advice_lasts_ns;
        (remote.until, remote.advised_until) = (0, now.saturating_add(lasts).0);
        let (remote, Key(terminal, trace, date)) = (*remote, key);
        let due = AdviceDue {
            token: remote.asked.token,
            authorization: self.known[&key].answer.authorization,
            amount: Amount(self.taken(key)),
            terminal,
            trace,
            date,
            link_trace: Trace(remote.link_trace),
            link_date: remote.date,
            issuer: remote.asked.issuer,
            account: remote.asked.account,
            stood_in: remote.stood_in.into(),
            reserved: Reserved::default(),
        };
        out.publish(topics::ADVICES, 0, Event::AdviceDue(&due));
    }

    pub(super) fn acknowledge(&mut self, said: &Acknowledge, out: Says<'_, '_>) -> Result<(), Reject> {
        self.terminal(said.terminal)?;
        let key = Key(said.terminal, said.trace, said.date);
        let is_due = self.remote.get(&key).is_some_and(|remote| remote.advised_until > 0);
        if is_due && self.taken(key) == said.amount.0 {
            self.end_advice(key, said.code.get(), out);
        }
        self.set(out)
    }

    pub(super) fn end_advice(&mut self, key: Key, code: ResponseCode, out: Says<'_, '_>) {
        self.remote.get_mut(&key).expect("it is advised").advised_until = 0;
        let (amount, Key(terminal, trace, date)) = (Amount(self.taken(key)), key);
        let done = AdviceDone { amount, terminal, trace, date, code: code.into(), reserved: Reserved::default() };
        out.publish(topics::ADVICES, 0, Event::AdviceDone(&done));
        if code != ResponseCode::Approved {
            let authorization = self.known[&key].answer.authorization;
            self.except(key, authorization, amount, Notes(0), code, out);
        }
    }

    pub(super) fn advise(&mut self, context: Context, said: &Advise, out: Says<'_, '_>) -> Result<(), Reject> {
        if !self.terminal(said.terminal)?.is_acquirer {
            return Err(Reject::BadTerminal);
        }
        let key = Key(said.terminal, said.trace, said.date);
        let known = self.known.get(&key).copied();
        if known.is_none() {
            self.take(key)?;
        }
        if let Some((what, code)) = known.and_then(|known| known.excepted)
            && what == said.amount.0
        {
            out.reply(Reply::Ended(&self.ended(key, code)));
            return Ok(());
        }
        let open = self.open.get(&key).copied();
        let is_declined = known.is_some_and(|known| {
            known.advised.is_none() && known.asked.is_some() && known.answer.code.get() != ResponseCode::Approved
        });
        let is_new = known.is_none_or(|known| known.fate == Fate::Never) || is_declined;
        let is_another = known.and_then(|known| known.asked).is_some_and(|asked| asked.token() != said.token);
        let is_withdrawal = match known.and_then(|known| known.asked) {
            _ if known.is_some_and(|known| known.advised.is_some_and(|before| before.token == said.token)) => true,
            Some(Asked::For(asked)) => asked.token == said.token && asked.transaction.get().dispenses(),
            Some(Asked::Said(asked)) => asked.token == said.token,
            _ => false,
        };
        let code = match known.map(|known| known.fate) {
            _ if !(1..=AMOUNT_MAX).contains(&said.amount.0) => ResponseCode::InvalidAmount,
            _ if is_declined && is_another => ResponseCode::Duplicate,
            _ if is_new => self.post_advised(context, key, said),
            _ if !is_withdrawal => ResponseCode::Duplicate,
            _ if open.is_some_and(|open| said.amount.0 > open.amount) => ResponseCode::InvalidAmount,
            _ if open.is_some() => {
                self.end(context.now, key, Notes(0), said.amount.0, Deed::Voided, out);
                ResponseCode::Approved
            }
            Some(Fate::Out(before, _)) if before == said.amount.0 => ResponseCode::Approved,
            Some(Fate::Out(..)) => ResponseCode::Duplicate,
            Some(_) if self.dispense(key, Notes(0), said.amount.0, asked_charges(&self.known[&key])) => {
                ResponseCode::Approved
            }
            _ => ResponseCode::TooLate,
        };
        if code != ResponseCode::Approved {
            let authorization = Authorization(context.sequence.0);
            self.except(key, authorization, said.amount, Notes(0), code, out);
            let excepted = Some((said.amount.0, code));
            if !(1..=AMOUNT_MAX).contains(&said.amount.0) || code == ResponseCode::Duplicate {
                // It could never be posted.
            } else if let Some(known) = self.known.get_mut(&key) {
                if !matches!(known.fate, Fate::Out(..)) {
                    known.excepted = excepted;
                }
            } else {
                let declined = Authorized { authorization, ..answer(code) };
                let known = Known::unmoved(Some(Asked::Said(*said)), declined, BusinessDate(0), Fate::Answered);
                self.keep(key, Known { excepted, ..known });
            }
        }
        out.reply(Reply::Ended(&self.ended(key, code)));
        Ok(())
    }

    /// Posts what was taken without an authorization.
    fn post_advised(&mut self, context: Context, key: Key, said: &Advise) -> ResponseCode {
        let Some(card) = self.cards.get(&said.token) else { return ResponseCode::InvalidCard };
        let own = [card.terms.cheque.0, card.terms.savings.0, card.terms.credit.0];
        let (account, missing) = match said.account.get() {
            AccountType::Default => (own.into_iter().find(|one| *one != 0).unwrap_or(0), ResponseCode::NoCheque),
            AccountType::Cheque => (own[0], ResponseCode::NoCheque),
            AccountType::Savings => (own[1], ResponseCode::NoSavings),
            AccountType::Credit => (own[2], ResponseCode::NotPermitted),
        };
        if account == 0 {
            return missing;
        }
        let terms = self.terminals[&key.0.0].terms;
        if self.accounts[&account].currency != terms.currency || account == terms.cash.0 {
            return ResponseCode::InvalidTransaction;
        }
        if !self.try_post(account, terms.cash.0, said.amount.0) {
            return ResponseCode::InsufficientFunds;
        }
        self.note(key, account, terms.cash.0, said.amount.0, MovementKind::Withdrawal);
        let (fee, payee) = self.fee_on(TransactionType::Withdrawal, Network::Acquirer, account, said.amount.0);
        let has_fee = fee > 0 && self.try_post(account, payee, fee);
        if has_fee {
            self.note(key, account, payee, fee, MovementKind::Fee);
        }
        let (by_account, amount) = (self.account_limits.contains_key(&account), said.amount.0);
        let mut all = alloc::vec![Whose::Card(said.token), Whose::Terminal(key.0.0)];
        all.extend(by_account.then_some(Whose::Account(account)));
        for whose in all {
            let taken = self.taken.entry(whose).or_default();
            if taken.date != self.date {
                (taken.date, taken.day) = (self.date, Default::default());
            }
            taken.day.insert(key, amount);
        }
        self.deeds.push((key.0, Deed::Dispensed(amount, 0)));
        let authorization = Authorization(context.sequence.0);
        let approved =
            Authorized { authorization, held: said.amount, fee: Amount(fee), ..answer(ResponseCode::Approved) };
        let (last, charged, payees) = (self.balances(account), [0, if has_fee { fee } else { 0 }], [0, payee]);
        let fate = Fate::Out(amount, Notes(0));
        let unmoved = Known::unmoved(Some(Asked::Said(*said)), approved, self.date, fate);
        let known = Known { last, charged, payees, cash: amount, by_account, account, ..unmoved };
        let known = Known { advised: Some(*said), ..known };
        match self.known.get_mut(&key) {
            // What was asked and answered stays.
            Some(before) if before.asked.is_some() => {
                let (asked, answer, excepted) = (before.asked, before.answer, before.excepted);
                *before = Known { asked, answer, excepted, ..known };
            }
            Some(never) => {
                let (asked, answer) = (None, Authorized { authorization, ..never.answer });
                *never = Known { asked, answer, ..known };
            }
            None => self.keep(key, known),
        }
        ResponseCode::Approved
    }
}

/// What is held while an issuer is asked.
struct Prepared {
    account: u64,
    notes: Notes,
    charges: [(u64, u64); 2],
    link_trace: u32,
}
