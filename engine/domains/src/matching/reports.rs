//! Reports by request, in sequence with everything else: an order, open orders, an account, a book, a day's statistics.

use super::instruments;
use super::levels::{Level, NONE};
use super::messages::{
    AccountReport, AssetId, BookSaid, Event, GetBook, GetOrder, GetStatistics, OpenOrdersSaid, OrderReport, OrderState,
    Quantity, Reject, Reply, Side, StatisticsReport,
};
use super::orders::Order;
use super::{Matching, Pending};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, Progress, SessionId};

/// A report that is being said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reporting {
    pub(super) session: SessionId,
    /// How much was said.
    pub(super) said: u32,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// The orders of an account, from this one on.
    Orders(u32),
    /// The balances of the account at a place, from this asset on.
    Balances { account: u32, next: AssetId },
    /// The levels of a book, from this one on, and how many of its side may still be said.
    Book { instrument: u32, side: Side, level: u32, left: u16, depth: u16 },
}

impl Matching {
    #[cold]
    pub(super) fn get_order(&mut self, context: Context, command: &GetOrder, out: &mut Out<'_, Self>) -> Progress {
        let account = context.account();
        let index = match self.orders.seek(account, command.client_order) {
            Ok(index) => index,
            Err(holder) => return self.decline_gone(holder, command.client_order, out),
        };
        let Order { order, client_order, filled, level, order_type, .. } = self.orders[index];
        let Level { price, instrument, side, waits, .. } = self.levels[level];
        let state = match waits {
            super::levels::WAITS => OrderState::Waiting,
            super::levels::PARKED => OrderState::Parked,
            _ => OrderState::Resting,
        };
        out.reply(Reply::OrderReport(&OrderReport {
            order,
            client_order,
            price,
            filled: Quantity(filled),
            remaining: Quantity(self.orders.open(index)),
            instrument: instruments::id(instrument),
            side,
            order_type,
            state: state.into(),
            reserved: Reserved::default(),
        }));
        Progress::Done
    }

    #[cold]
    pub(super) fn get_account(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        let Account(account) = context.account();
        let mut orders = 0;
        let mut next = self.orders.first_of(Account(account));
        while let Some(index) = next {
            orders += 1;
            next = self.orders.next_of(index);
        }
        let (group, kill_switch, on_disconnect, self_trade) = self.orders.accounts.settings(Account(account));
        let reserved = Reserved::default();
        let report = AccountReport { orders, group, kill_switch, on_disconnect, self_trade, reserved };
        out.reply(Reply::AccountReport(&report));
        Progress::Done
    }

    #[cold]
    pub(super) fn get_statistics(
        &mut self,
        command: &GetStatistics,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let place = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let instrument = &self.instruments[place];
        let day = instrument.statistics.of(self.now);
        let (turnover, last) = (day.turnover(), instrument.last_price().unwrap_or_default());
        out.reply(Reply::StatisticsReport(&StatisticsReport {
            open: day.open,
            high: day.high,
            low: day.low,
            last,
            volume: Quantity(day.volume),
            trades: day.trades,
            turnover_high: (turnover >> 64) as i64,
            turnover_low: turnover as u64,
        }));
        Ok(Progress::Done)
    }

    #[cold]
    pub(super) fn get_open_orders(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        let first = self.orders.first_of(context.account()).unwrap_or(NONE);
        let reporting = Reporting { session: context.session, said: 0, what: What::Orders(first) };
        self.go_on_reporting(reporting, out)
    }

    #[cold]
    pub(super) fn get_book(
        &mut self,
        context: Context,
        command: &GetBook,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let (side, depth) = (Side::Buy, command.depth);
        let level = self.instruments[instrument].half(side).best;
        let what = What::Book { instrument, side, level, left: depth, depth };
        Ok(self.go_on_reporting(Reporting { session: context.session, said: 0, what }, out))
    }

    #[cold]
    pub(super) fn go_on_reporting(&mut self, mut reporting: Reporting, out: &mut Out<'_, Self>) -> Progress {
        loop {
            if out.room() == 0 {
                self.pending = Pending::Reporting(reporting);
                return Progress::More;
            }
            if !self.say_next(&mut reporting, out) {
                break;
            }
            reporting.said += 1;
        }
        match reporting.what {
            What::Orders(_) => {
                let said = OpenOrdersSaid { orders: reporting.said, reserved: Reserved::default() };
                out.reply(Reply::OpenOrdersSaid(&said));
            }
            What::Balances { .. } => Self::say_balances(reporting.said, out),
            What::Book { instrument, .. } => {
                let (instrument, levels) = (instruments::id(instrument), reporting.said);
                out.reply(Reply::BookSaid(&BookSaid { instrument, levels }));
            }
        }
        Progress::Done
    }

    /// Says the next part; whether there was one.
    fn say_next(&self, reporting: &mut Reporting, out: &mut Out<'_, Self>) -> bool {
        match &mut reporting.what {
            What::Orders(NONE) => false,
            What::Orders(next) => {
                let index = core::mem::replace(next, self.orders.next_of(*next).unwrap_or(NONE));
                out.tell(reporting.session, self.open(index).as_event());
                true
            }
            What::Balances { account, next } => {
                let balance = self.next_balance(*account, next);
                if let Some(balance) = &balance {
                    out.tell(reporting.session, Event::BalanceSaid(balance));
                }
                balance.is_some()
            }
            What::Book { instrument, side, level, left, depth } => {
                let book = &self.instruments[*instrument];
                if (*level == NONE || *left == 0) && *side == Side::Buy {
                    (*side, *level, *left) = (Side::Sell, book.half(Side::Sell).best, *depth);
                }
                if *level == NONE || *left == 0 {
                    return false;
                }
                let said = super::views::level_changed(&self.levels[*level]);
                *level = self.levels.worse(*level).unwrap_or(NONE);
                *left -= 1;
                out.tell(reporting.session, Event::LevelChanged(&said));
                true
            }
        }
    }
}
