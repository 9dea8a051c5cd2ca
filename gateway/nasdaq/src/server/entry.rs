//! What an order of OUCH is to the engine, and what the engine's refusals are to OUCH.

use super::settings::{Listing, listing};
use crate::ouch::{self, code};
use ringfence_client::kernel::reject::Code;
use ringfence_client::{Client, Error};
use ringfence_domains::matching::messages::{
    Cancel, ClientOrderId, Command, DeclineReason, InstrumentId, NewOrder, NewReserve, OnDisconnect, OrderType, Price,
    Quantity, Reduce, Reject, Replace, ReplaceReserve, Side, TimeInForce,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{RequestId, Timestamp};

/// A command to the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    New(NewOrder),
    Hidden(NewReserve),
    Replace(Replace),
    ReplaceHidden(ReplaceReserve),
    Reduce(Reduce),
    Cancel(Cancel),
}

impl Wanted {
    /// Sends it under a number.
    pub(crate) fn send(&self, client: &mut Client, request: u64) -> Result<(), Error> {
        let command = match self {
            Self::New(order) => Command::NewOrder(order),
            Self::Hidden(order) => Command::NewReserve(order),
            Self::Replace(replace) => Command::Replace(replace),
            Self::ReplaceHidden(replace) => Command::ReplaceReserve(replace),
            Self::Reduce(reduce) => Command::Reduce(reduce),
            Self::Cancel(cancel) => Command::Cancel(cancel),
        };
        client.send_as(RequestId(request), command)
    }
}

/// The command that enters an order, or the reason why there is none.
pub(crate) fn new_order(
    listings: &[Listing],
    enter: &ouch::EnterOrder,
    client_order: ClientOrderId,
    at: u64,
) -> Result<Wanted, u8> {
    let listing = listing(listings, &enter.stock).ok_or(code::STOCK)?;
    let price = price_in(listing, enter.price).ok_or(code::PRICE)?;
    let is_named = enter.token.is_printable() && !enter.token.trimmed().is_empty();
    let side = side(enter.side).filter(|_| is_named).ok_or(code::OTHER)?;
    if enter.shares == 0 || enter.shares >= ouch::SHARES_END {
        return Err(code::SHARES);
    }
    if !matches!(enter.sweep, b'N' | b' ') {
        return Err(code::SWEEP);
    }
    let (time_in_force, expires) = time_in_force(enter, at)?;
    let is_immediate = time_in_force == TimeInForce::ImmediateOrCancel;
    let is_hidden = enter.display == code::NON_DISPLAY && !is_immediate;
    let order_type = match enter.display {
        code::ATTRIBUTABLE | code::ANONYMOUS | code::NON_DISPLAY => OrderType::Limit,
        code::POST_ONLY if !is_immediate && enter.cross == code::NO_CROSS => OrderType::PostOnlySlide,
        _ => return Err(code::DISPLAY),
    };
    if is_hidden && enter.cross != code::NO_CROSS {
        return Err(code::DISPLAY);
    }
    if enter.minimum > enter.shares || enter.minimum > 0 && !is_immediate && !is_hidden {
        return Err(code::MINIMUM);
    }
    let (quantity, minimum) = (Quantity(enter.shares.into()), Quantity(enter.minimum.into()));
    let (instrument, on_disconnect) = (InstrumentId(listing.instrument.into()), OnDisconnect::Keep.into());
    let (side, time_in_force) = (side.into(), time_in_force.into());
    Ok(match is_hidden {
        true => Wanted::Hidden(NewReserve {
            client_order,
            price,
            quantity,
            display: Quantity(0),
            minimum,
            expires,
            instrument,
            side,
            time_in_force,
            on_disconnect,
            reserved: Reserved::default(),
        }),
        false => Wanted::New(NewOrder {
            client_order,
            price,
            quantity,
            minimum,
            expires,
            instrument,
            side,
            time_in_force,
            order_type: order_type.into(),
            on_disconnect,
        }),
    })
}

pub(crate) fn price_in(listing: &Listing, price: u32) -> Option<Price> {
    listing.price_in(price).filter(|_| (1..=ouch::PRICE_MAX).contains(&price))
}

pub(crate) fn side(code: u8) -> Option<Side> {
    match code {
        code::BUY => Some(Side::Buy),
        code::SELL | code::SELL_SHORT | code::SELL_SHORT_EXEMPT => Some(Side::Sell),
        _ => None,
    }
}

/// How long an order stays, and when it ends.
fn time_in_force(enter: &ouch::EnterOrder, at: u64) -> Result<(TimeInForce, Timestamp), u8> {
    let never = Timestamp(0);
    Ok(match (enter.cross, enter.time_in_force) {
        (code::OPENING_CROSS, code::MARKET_HOURS | code::SYSTEM_HOURS) => (TimeInForce::AtOpen, never),
        (code::CLOSING_CROSS, code::MARKET_HOURS | code::SYSTEM_HOURS) => (TimeInForce::AtClose, never),
        (code::NO_CROSS, code::IMMEDIATE) => (TimeInForce::ImmediateOrCancel, never),
        (code::NO_CROSS, code::MARKET_HOURS | code::SYSTEM_HOURS) => (TimeInForce::Day, never),
        (code::NO_CROSS, seconds @ 1..code::MARKET_HOURS) => {
            (TimeInForce::GoodTillDate, Timestamp(at + u64::from(seconds) * 1_000_000_000))
        }
        (code::NO_CROSS, _) => return Err(code::OTHER),
        _ => return Err(code::CROSS_TYPE),
    })
}

/// Why an order that the engine declined is rejected.
pub(crate) const fn decline_reason(reason: DeclineReason) -> u8 {
    match reason {
        DeclineReason::PhaseForbids => code::HALTED,
        DeclineReason::WouldTrade | DeclineReason::OutsideBand => code::PRICE,
        DeclineReason::BelowMinimum => code::MINIMUM,
        DeclineReason::KillSwitch => code::REJECT_ALL,
        DeclineReason::AboveQuantity => code::SHARES_LIMIT,
        DeclineReason::AboveValue => code::VALUE_LIMIT,
        _ => code::OTHER,
    }
}

/// Why an order that the engine refused is rejected.
pub(crate) fn reject_reason(reason: Code) -> u8 {
    let is = |reject: Reject| Code::from(reject) == reason;
    match () {
        () if is(Reject::UnknownInstrument) => code::STOCK,
        () if is(Reject::BadPrice) || is(Reject::OffTick) => code::PRICE,
        () if is(Reject::BadQuantity) => code::SHARES,
        () if is(Reject::BadMinimum) => code::MINIMUM,
        () => code::OTHER,
    }
}
