//! What answers a command.

use super::{
    ClientOrderId, DeclineReasonCode, InstrumentId, KillSwitchCode, OnDisconnectCode, OrderId, OrderStatusCode,
    PhaseCode, Price, PriorityCode, Quantity, SelfTradeCode,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, messages};

messages! {
    /// What answers a command.
    pub enum Reply in schema 1 version 1 {
        /// The order was taken in and has traded what it could.
        51 => OrderAccepted: 48 {
            /// The engine's number for it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// The worst price at which it may trade: its own, or the one found for it.
            price: Price,
            /// How much traded at once.
            filled: Quantity,
            /// How much rests in the book.
            remaining: Quantity,
            /// What became of it.
            status: OrderStatusCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The order is out of the book.
        52 => OrderCancelled: 32 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much of it traded while it lived.
            filled: Quantity,
            /// How much was taken out.
            cancelled: Quantity,
        },
        /// The orders are out of the books; each was named by an [`OrderClosed`] on the account's stream.
        53 => OrdersCancelled: 16 {
            /// How much was taken out in all.
            cancelled: Quantity,
            /// Orders taken out.
            orders: u32,
            /// Numbers that named no live order.
            unknown: u32,
        },
        /// The order has its new price and quantity and has traded what it could.
        54 => OrderReplaced: 48 {
            /// The engine's number of it, the same as before.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// The worst price at which it may trade: the one asked for, or the one a post-only order slid to.
            price: Price,
            /// How much of it has traded since it was entered.
            filled: Quantity,
            /// How much rests in the book.
            remaining: Quantity,
            /// What became of it.
            status: OrderStatusCode,
            /// What became of its place in the queue.
            priority: PriorityCode,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// The order is smaller, or gone when nothing remains.
        55 => OrderReduced: 32 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much of it has traded since it was entered.
            filled: Quantity,
            /// How much rests in the book.
            remaining: Quantity,
        },
        /// The instrument can be traded.
        56 => InstrumentDefined: 8 {
            /// Its number.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The request was understood and had no effect.
        57 => Declined: 16 {
            /// The order that was named.
            client_order: ClientOrderId,
            /// Why.
            reason: DeclineReasonCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The kill switch is as it was asked to be; each order taken out was named by an [`super::OrderClosed`].
        58 => KillSwitchSet: 24 {
            /// How much was taken out in all.
            cancelled: Quantity,
            /// Whose switch.
            account: Account,
            /// Orders taken out.
            orders: u32,
            /// On or off.
            kill_switch: KillSwitchCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// What becomes of the account's orders when the session closes is as it was asked to be.
        59 => OnDisconnectSet: 8 {
            /// As asked.
            on_disconnect: OnDisconnectCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// What happens when orders of the same hands meet is as it was asked to be.
        60 => SelfTradeSet: 16 {
            /// Which account.
            account: Account,
            /// Its group.
            group: u32,
            /// What happens.
            self_trade: SelfTradeCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The stop waits for its trigger.
        61 => StopAccepted: 32 {
            /// The engine's number for it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its trigger.
            trigger: Price,
            /// How much waits.
            quantity: Quantity,
        },
        /// The instrument's phase is as it was asked to be.
        62 => PhaseSet: 24 {
            /// The price at which orders traded before it; zero when none did.
            price: Price,
            /// How much traded then.
            quantity: Quantity,
            /// Which instrument.
            instrument: InstrumentId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The bands are as they were asked to be.
        63 => BandsSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The schedule is as it was asked to be.
        64 => ScheduleSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// How many changes of phase a day has.
            entries: u32,
        },
    }
}
