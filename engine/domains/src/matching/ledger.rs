//! What accounts have, where instruments are settled: a balance of an account in an asset each, and what there is of each
//! asset in all.

use super::messages::{AssetId, MatchingLimits};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{HashIndex, Slab};
use ringfence_kernel::{Corrupt, Sink, Source};

/// What an account has of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Balance {
    /// The account's place.
    pub(super) account: u32,
    pub(super) asset: AssetId,
    /// What it may use.
    pub(super) free: u64,
    /// What its orders hold.
    pub(super) held: u64,
    /// What its orders to buy would bring.
    pub(super) incoming: u64,
    /// Up to what it may have all three together; zero when there is no such limit.
    pub(super) limit: u64,
}

/// What there is of an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Asset {
    /// What was deposited and not withdrawn.
    pub(super) total: u64,
    /// What of it the venue took in fees. Below zero only within a trade.
    pub(super) fees: i64,
}

/// The most there may be of an asset: every sum of balances fits.
pub(super) const TOTAL_MAX: u64 = i64::MAX as u64;

#[derive(Clone, Debug)]
pub(super) struct Ledger {
    balances: Slab<Balance>,
    by_key: HashIndex,
    assets: Box<[Asset]>,
}

fn key(account: u32, AssetId(asset): AssetId) -> u64 {
    u64::from(account) << 32 | u64::from(asset)
}

impl Ledger {
    pub(super) fn new(limits: &MatchingLimits) -> Self {
        let balances = limits.balances as usize;
        let assets = alloc::vec![Asset::default(); limits.assets as usize].into();
        Self { balances: Slab::new(balances), by_key: HashIndex::new(balances), assets }
    }

    /// Whether there is such an asset.
    pub(super) fn knows(&self, AssetId(asset): AssetId) -> bool {
        asset != 0 && asset as usize <= self.assets.len()
    }

    /// How many assets there may be.
    pub(super) fn assets(&self) -> u32 {
        self.assets.len() as u32
    }

    pub(super) fn asset(&mut self, AssetId(asset): AssetId) -> &mut Asset {
        &mut self.assets[asset as usize - 1]
    }

    /// What the account at that place has, if it ever had a balance.
    pub(super) fn find(&self, account: u32, asset: AssetId) -> Option<&Balance> {
        self.by_key.get(key(account, asset)).map(|index| &self.balances[index])
    }

    /// Whether there is room for the balances that the account has not yet.
    pub(super) fn has_room_for(&self, account: Option<u32>, assets: &[AssetId]) -> bool {
        let known = |asset: &&AssetId| account.is_some_and(|account| self.find(account, **asset).is_some());
        assets.len() - assets.iter().filter(known).count() <= self.balances.room()
    }

    /// The account's balance, which there is from now on. There is room for it.
    pub(super) fn balance(&mut self, account: u32, asset: AssetId) -> &mut Balance {
        let index = self.by_key.get(key(account, asset)).unwrap_or_else(|| {
            let balance = Balance { account, asset, ..Balance::zeroed() };
            let index = self.balances.insert(balance).expect("room was looked for");
            self.by_key.insert(key(account, asset), index).expect("as many keys as balances");
            index
        });
        &mut self.balances[index]
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.assets);
        self.balances.save(sink);
    }

    /// What [`Ledger::save`] wrote.
    pub(super) fn load(limits: &MatchingLimits, accounts: u32, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut ledger = Self::new(limits);
        for asset in &mut ledger.assets {
            *asset = source.value()?;
        }
        ledger.balances = Slab::load(limits.balances as usize, source)?;
        for (index, balance) in (0..).zip(ledger.balances.entries()) {
            let (account, asset) = (balance.account, balance.asset);
            let sound = account < accounts && asset.0 != 0 && asset.0 as usize <= ledger.assets.len();
            if !sound || ledger.by_key.insert(key(account, asset), index) != Ok(None) {
                return Err(Corrupt("the account or the asset of a balance"));
            }
        }
        if ledger.balances.len() != ledger.balances.entries().len() {
            return Err(Corrupt("a balance that was freed"));
        }
        Ok(ledger)
    }

    /// Whether nothing came from nowhere or went there, and orders hold what `orders` would: of each what and how much it
    /// holds, and how much it would bring of which asset.
    pub(super) fn check(&self, orders: impl Iterator<Item = Stake>) -> Result<(), Corrupt> {
        let mut sums = alloc::vec![(0_u128, 0_u128); self.balances.len()];
        for Stake { account, holds, held, brings, brought } in orders {
            for (asset, held, brought) in [(holds, held, 0), (brings, 0, brought)] {
                let index = self.by_key.get(key(account, asset)).ok_or(Corrupt("an order without a balance"))?;
                let sum = &mut sums[index as usize];
                *sum = (sum.0.saturating_add(held), sum.1.saturating_add(brought));
            }
        }
        let mut totals = alloc::vec![0_u128; self.assets.len()];
        for (balance, (held, incoming)) in self.balances.entries().iter().zip(sums) {
            if (balance.held.into(), balance.incoming.into()) != (held, incoming) {
                return Err(Corrupt("what the orders of an account hold"));
            }
            totals[balance.asset.0 as usize - 1] += u128::from(balance.free) + held;
        }
        let conserved = |(asset, sum): (&Asset, u128)| {
            asset.fees >= 0 && asset.total <= TOTAL_MAX && sum + asset.fees as u128 == asset.total.into()
        };
        if self.assets.iter().zip(totals).all(conserved) { Ok(()) } else { Err(Corrupt("the sum of an asset")) }
    }
}

/// What an order that stands holds, and what it would bring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stake {
    /// The account's place.
    pub(super) account: u32,
    pub(super) holds: AssetId,
    pub(super) held: u128,
    pub(super) brings: AssetId,
    pub(super) brought: u128,
}
