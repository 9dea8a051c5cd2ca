//! From a slot that is asked for to what the engine is asked, and from a win to a bid.

use crate::config::{Config, Creative};
use crate::notices::{Notice, Secret};
use crate::request::{Ask, AskedSlot, Floor, User};
use crate::response::Bid;
use crate::session::{Engine, Outcome};
use ringfence_domains::auction::messages::{
    Attribute, CurrencyId, Dimension, HoldAuction, Nanos, PlacementId, PriceModel, SlotWon, TARGETS_MAX, UserKey,
};
use ringfence_kernel::messages::Reserved;
use std::collections::HashMap;
use std::rc::Rc;
use tokio::sync::oneshot;

/// Who bids.
pub(crate) struct Bidder {
    config: Config,
    /// Where creatives stand in the configuration, by their numbers.
    creatives: HashMap<u32, usize>,
    secret: Secret,
    engine: Rc<Engine>,
}

impl Bidder {
    pub(crate) fn new(config: Config, engine: &Rc<Engine>) -> Self {
        let creatives = (0..).zip(&config.creatives).map(|(at, creative)| (creative.creative, at)).collect();
        Self { secret: Secret::new(&config.secret), creatives, config, engine: Rc::clone(engine) }
    }

    /// What signs the addresses of notices.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The key of who would see it.
    pub(crate) fn user(&self, ask: &Ask<'_>) -> UserKey {
        match &ask.user {
            None => UserKey(0),
            Some(User::Exchange(id)) => self.secret.user("user", id.as_str()),
            Some(User::Device(id)) => self.secret.user("device", id.as_str()),
        }
    }

    /// Asks the engine for bids for a slot; none when the slot is not ours, cannot be bid for, or too much waits.
    pub(crate) fn hold(
        &self,
        ask: &Ask<'_>,
        slot: &AskedSlot<'_>,
        user: UserKey,
    ) -> Option<oneshot::Receiver<Outcome>> {
        if let Some(reason) = slot.refused {
            tracing::debug!(tag = slot.tag.as_str(), reason, "a slot that is not bid for");
            return None;
        }
        // A private auction is for nobody when nobody could have one of its deals.
        if slot.private && slot.deals.is_empty() {
            return None;
        }
        let placement = PlacementId(*self.config.placements.get(slot.tag.as_str())?);
        let currency = self.currency(slot.floor.currency.as_str())?;
        let attributes = attributes(ask, slot)?;
        // In a private auction what is open does not reach the floor, whatever its currency is worth; deals have their own.
        // Nothing is bid for nothing.
        let floor = if slot.private { Nanos(u64::MAX) } else { Nanos(slot.floor.nanos.max(1)) };
        let command = HoldAuction { user, floor, placement, currency, slots: slot.bids, reserved: Reserved::default() };
        self.engine.hold(command, attributes)
    }

    fn currency(&self, code: &str) -> Option<CurrencyId> {
        match code {
            _ if code == self.config.currency => Some(CurrencyId(0)),
            _ => self.config.currencies.get(code).map(|number| CurrencyId(*number)),
        }
    }

    /// The bid of a win; none for one that an exchange cannot use: it has no creative here, or pays for something else than
    /// impressions.
    pub(crate) fn offer<'b>(&'b self, slot: &'b AskedSlot<'_>, won: &SlotWon) -> Option<Bid<'b>> {
        let creative = self.creatives.get(&won.creative.0).map(|at| &self.config.creatives[*at]);
        let Some(Creative { creative, adm, adomain, cat, w, h, dur }) =
            creative.filter(|_| won.pays.get() == PriceModel::Cpm)
        else {
            tracing::warn!(item = won.item.0, creative = won.creative.0, "a win that no exchange can use");
            return None;
        };
        let address = |notice| self.secret.address(&self.config.notices, notice, won.win);
        let deal = usize::from(won.deal).checked_sub(1).and_then(|at| slot.deals.get(at));
        Some(Bid {
            id: won.win.0.to_string(),
            impid: slot.id.as_str(),
            price: Bid::price(won.price.0),
            nurl: address(Notice::Win),
            burl: address(Notice::Bill),
            lurl: address(Notice::Loss),
            adm,
            adomain,
            cat,
            cid: won.item.0.to_string(),
            crid: creative.to_string(),
            w: *w,
            h: *h,
            dur: *dur,
            dealid: deal.map(|deal| deal.id.as_str()),
        })
    }
}

/// What has numbers of what a request says, in the engine's order. What blocks must all be there, and deals; of the rest there
/// is room for so many, of the slot's own first. None when a deal's floor is in another currency than the slot's, and when more is
/// blocked than there is room for.
fn attributes(ask: &Ask<'_>, slot: &AskedSlot<'_>) -> Option<Vec<Attribute>> {
    let attribute = |dimension: Dimension, value: u32, amount: u64| Attribute {
        amount: Nanos(amount),
        value,
        dimension: dimension.into(),
        bids_max: 0,
        reserved: Reserved::default(),
    };
    let key = |attribute: &Attribute| (attribute.dimension.get(), attribute.value);
    let blocks = ask.said.blocks.iter().chain(&slot.said.blocks);
    let mut all: Vec<Attribute> = blocks.map(|(dimension, value)| attribute(*dimension, *value, 0)).collect();
    all.sort_unstable_by_key(key);
    all.dedup_by_key(|attribute| key(attribute));
    for deal in &slot.deals {
        let Floor { nanos, currency } = &deal.floor;
        if *currency != slot.floor.currency {
            return None;
        }
        // A deal's own floor, whether it is above the slot's or below; without one the slot's.
        let floor = if *nanos > 0 { *nanos } else { slot.floor.nanos };
        all.push(attribute(Dimension::Deal, deal.value, floor.max(1)));
    }
    if all.len() > TARGETS_MAX {
        return None;
    }
    for (dimension, value) in slot.said.rest.iter().chain(&ask.said.rest) {
        if all.len() == TARGETS_MAX {
            break;
        }
        all.push(attribute(*dimension, *value, 0));
    }
    all.sort_unstable_by_key(key);
    all.dedup_by_key(|attribute| key(attribute));
    Some(all)
}
