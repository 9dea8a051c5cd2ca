//! Terminals: their cassettes, and which notes pay an amount.

use super::cards::NONE;
use super::limits::Limits;
use super::messages::{
    AMOUNT_MAX, Amount, Authorization, CASSETTES, Currency, NOTES_MAX, Notes, Reject, Service, ServiceCode, TerminalId,
};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::{Corrupt, Sink, Source};

/// The most notes of a cassette.
pub(super) const CASSETTE_NOTES: u32 = u16::MAX as u32;

/// One cassette. Nothing of it is set while its denomination is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cassette {
    /// What a note is worth, in minor units.
    pub(super) denomination: u32,
    pub(super) notes: u32,
    /// Those of them that are authorized and not yet completed.
    pub(super) held: u32,
}

/// One terminal. What each withdrawal needs stands first, in three lines of the cache.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Terminal {
    /// Zero while it is not defined.
    pub(super) confirm_within_ns: u64,
    /// The places of the account of its cash, or of what is owed to an acquirer; and of that which gets the surcharge.
    pub(super) cash: u32,
    pub(super) fees: u32,
    /// Of each cassette what a note of it is worth, in minor units, how many are in it, and how many of them are authorized
    /// and not yet completed.
    pub(super) denominations: [u32; CASSETTES],
    pub(super) notes: Notes,
    held: Notes,
    pub(super) limits: Limits,
    /// What a withdrawal costs beside its amount.
    pub(super) surcharge: Amount,
    pub(super) currency: Currency,
    pub(super) service: ServiceCode,
    is_acquirer: u8,
    /// The places of its cassettes, those of the highest denomination first, and of equal ones the first.
    order: [u8; CASSETTES],
    /// What was authorized before this is not posted late: the notes were counted since, or are others.
    pub(super) balanced: Authorization,
    pub(super) totals: Totals,
    /// What was done on the date that ended last.
    pub(super) ended: Totals,
    /// The most of a surcharge where there is a rate, and the rate in 1/10,000 of the amount.
    pub(super) surcharge_max: Amount,
    pub(super) surcharge_rate: u32,
    /// The places of the accounts of purchases and of deposits, when it takes any.
    pub(super) merchant: u32,
    pub(super) deposits: u32,
    /// Cards that it has kept since it was last balanced.
    pub(super) captured: u32,
    reserved: [u64; 5],
}

/// What was done at a terminal since the business date began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Totals {
    pub(super) dispensed: u64,
    pub(super) surcharges: u64,
    pub(super) withdrawals: u32,
    pub(super) declined: u32,
    pub(super) voided: u32,
    pub(super) timed_out: u32,
    pub(super) exceptions: u32,
    pub(super) reserved: u32,
}

impl Totals {
    /// Counts notes that came out.
    #[inline]
    pub(super) fn dispense(&mut self, posted: Amount, surcharge: Amount) {
        self.dispensed += posted.0;
        self.surcharges += surcharge.0;
        self.withdrawals += 1;
    }
}

impl Terminal {
    pub(super) fn new(cash: u32, currency: Currency, confirm_within_ns: u64) -> Self {
        let (service, limits, zero) = (Service::Out.into(), Limits::none(), Self::zeroed());
        let (merchant, deposits, order) = (NONE, NONE, zero.by_denomination());
        Self { confirm_within_ns, cash, currency, service, limits, merchant, deposits, order, ..zero }
    }

    /// Another acquirer.
    pub(super) fn acquirer(settlement: u32, currency: Currency, confirm_within_ns: u64) -> Self {
        Self { is_acquirer: 1, ..Self::new(settlement, currency, confirm_within_ns) }
    }

    /// Whether it is another acquirer, and has no notes.
    #[inline]
    pub(super) fn is_acquirer(&self) -> bool {
        self.is_acquirer == 1
    }

    /// The surcharge on a withdrawal of `amount` of an account, and the place of the account that gets it; that one pays
    /// none.
    #[inline]
    pub(super) fn surcharge_on(&self, account: u32, amount: Amount) -> (Amount, u32) {
        let pays = self.surcharge.0 > 0 && self.fees != account;
        if pays { (self.surcharge_of(amount), self.fees) } else { (Amount(0), 0) }
    }

    /// What a withdrawal of `amount` costs beside it.
    #[inline]
    fn surcharge_of(&self, amount: Amount) -> Amount {
        if self.surcharge.0 == 0 || self.surcharge_rate == 0 {
            return self.surcharge;
        }
        let added = amount.0 * u64::from(self.surcharge_rate) / 10_000;
        Amount((self.surcharge.0 + added).min(self.surcharge_max.0).max(self.surcharge.0))
    }

    fn is_defined(&self) -> bool {
        self.confirm_within_ns != 0
    }

    #[inline]
    pub(super) fn is_in_service(&self) -> bool {
        self.service.get() == Service::In
    }

    /// Whether notes in it are authorized and not yet completed.
    pub(super) fn is_busy(&self) -> bool {
        self.held.0 > 0
    }

    /// Its cassettes.
    pub(super) fn cassettes(&self) -> [Cassette; CASSETTES] {
        let (notes, held) = (self.notes.counts(), self.held.counts());
        core::array::from_fn(|at| Cassette {
            denomination: self.denominations[at],
            notes: notes[at].into(),
            held: held[at].into(),
        })
    }

    /// The notes in it that are not held.
    #[inline]
    fn free(&self) -> Notes {
        // Of no cassette more are held than are in it.
        Notes(self.notes.0 - self.held.0)
    }

    /// The notes that pay `amount`: of all ways with at most [`NOTES_MAX`] notes the one with most notes of the highest
    /// denomination, then of the next; of equal denominations the first cassette gives first.
    #[inline]
    pub(super) fn mix(&self, amount: Amount) -> Option<Notes> {
        if self.is_acquirer() {
            return Some(Notes(0));
        }
        // As many as there are of each, the highest first: when that pays it, no way has more of the highest.
        let Ok(mut rest) = u32::try_from(amount.0) else { return self.search(amount) };
        let (mut left, mut paid) = (NOTES_MAX, 0);
        for at in self.order {
            // Where there is no denomination there are no notes.
            let denomination = self.denominations[usize::from(at) % CASSETTES].max(1);
            let free = (self.free().0 >> (16 * at)) as u16;
            let count = (rest / denomination).min(free.into()).min(left);
            (rest, left, paid) = (rest - denomination * count, left - count, paid | u64::from(count) << (16 * at));
        }
        if rest == 0 { Some(Notes(paid)) } else { self.search(amount) }
    }

    /// Notes the order of its cassettes, which have other denominations now.
    pub(super) fn arrange(&mut self) {
        self.order = self.by_denomination();
    }

    /// The places of the cassettes, those of the highest denomination first, and of equal ones the first.
    fn by_denomination(&self) -> [u8; CASSETTES] {
        let mut order = core::array::from_fn(|at| at as u8);
        order.sort_by_key(|at| core::cmp::Reverse(self.denominations[usize::from(*at)]));
        order
    }

    /// As [`Terminal::mix`], where not as many of the highest as there are will do.
    #[cold]
    fn search(&self, amount: Amount) -> Option<Notes> {
        let (order, cassettes) = (self.order.map(usize::from), self.cassettes());
        // Cassettes of one denomination are one pile: it is looked for how many notes of it, not from where.
        let (mut piles, mut count) = ([Pile { denomination: 0, notes: 0 }; CASSETTES], 0);
        for at in order {
            let Cassette { denomination, notes, held } = cassettes[at];
            let notes = notes - held;
            if denomination == 0 || notes == 0 {
                continue;
            }
            match piles[..count].last_mut() {
                Some(pile) if pile.denomination == denomination => pile.notes += notes,
                _ => (piles[count], count) = (Pile { denomination, notes }, count + 1),
            }
        }
        let mut paid = [0; CASSETTES];
        if !pay(amount.0, &piles[..count], NOTES_MAX, &mut paid[..count]) {
            return None;
        }
        let mut counts = [0; CASSETTES];
        for at in order {
            let Cassette { denomination, notes, held } = cassettes[at];
            if let Some(pile) = piles[..count].iter().position(|pile| pile.denomination == denomination) {
                let given = paid[pile].min(notes - held);
                (counts[at], paid[pile]) = (given as u16, paid[pile] - given);
            }
        }
        Some(Notes::new(counts))
    }

    /// What notes are worth.
    pub(super) fn worth(&self, notes: Notes) -> Amount {
        let worth = |(denomination, count): (&u32, u16)| u64::from(*denomination) * u64::from(count);
        Amount(self.denominations.iter().zip(notes.counts()).map(worth).sum())
    }

    /// What all notes in it are worth, and what those that are held are.
    pub(super) fn sums(&self) -> (u64, u64) {
        (self.worth(self.notes).0, self.worth(self.held).0)
    }

    /// Whether so many notes are in it and not held.
    #[inline]
    pub(super) fn has(&self, notes: Notes) -> bool {
        notes.are_of(self.free())
    }

    #[inline]
    pub(super) fn hold(&mut self, notes: Notes) {
        assert!(self.has(notes), "only notes that are in it are held");
        self.held.0 += notes.0;
    }

    /// Takes out what was dispensed of the notes that were held, and holds the rest no more.
    #[inline]
    pub(super) fn settle(&mut self, held: Notes, dispensed: Notes) {
        (self.held.0, self.notes.0) = (self.held.0 - held.0, self.notes.0 - dispensed.0);
    }
}

/// Notes of one denomination.
#[derive(Clone, Copy, Debug)]
struct Pile {
    denomination: u32,
    notes: u32,
}

/// Pays `amount` in at most so many notes of piles, of which the first are worth most, with most notes of the first that can
/// be; how many of each is put into `counts`. Of the last pile there is one number that can be.
fn pay(amount: u64, piles: &[Pile], notes_left: u32, counts: &mut [u32]) -> bool {
    let ([Pile { denomination, notes }, rest @ ..], [own, others @ ..]) = (piles, counts) else { return amount == 0 };
    let (denomination, most) = (u64::from(*denomination), u64::from((*notes).min(notes_left)));
    let wanted = amount / denomination;
    // Those that follow are worth less a note.
    if wanted > u64::from(notes_left) {
        return false;
    }
    for count in (0..=wanted.min(most)).rev() {
        *own = count as u32;
        if pay(amount - count * denomination, rest, notes_left - *own, others) {
            return true;
        }
        // Where all are worth multiples of what does not divide the amount, none pay it.
        if rest.is_empty() || count == wanted.min(most) && !amount.is_multiple_of(divisor(piles)) {
            break;
        }
    }
    *own = 0;
    false
}

/// The greatest number that divides what all notes are worth.
fn divisor(piles: &[Pile]) -> u64 {
    piles.iter().fold(0, |divisor, pile| {
        let (mut divisor, mut rest) = (u64::from(pile.denomination), divisor);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        divisor
    })
}

/// All terminals.
#[derive(Clone, Debug)]
pub(super) struct Terminals {
    /// By number, from 1; the undefined ones are zero.
    terminals: Vec<Terminal>,
}

impl Terminals {
    pub(super) fn new(terminals: usize) -> Self {
        Self { terminals: alloc::vec![Terminal::zeroed(); terminals] }
    }

    /// The terminal of that number.
    #[inline]
    pub(super) fn get(&mut self, number: TerminalId) -> Result<&mut Terminal, Reject> {
        self.place(number).filter(|terminal| terminal.is_defined()).ok_or(Reject::UnknownTerminal)
    }

    /// Where the terminal of that number is, or will be.
    pub(super) fn place(&mut self, TerminalId(number): TerminalId) -> Option<&mut Terminal> {
        self.terminals.get_mut((number as usize).checked_sub(1)?)
    }

    /// As [`Terminals::get`], to look at.
    pub(super) fn look(&self, TerminalId(number): TerminalId) -> Option<&Terminal> {
        self.terminals.get((number as usize).checked_sub(1)?).filter(|terminal| terminal.is_defined())
    }

    /// How many there can be.
    pub(super) fn len(&self) -> usize {
        self.terminals.len()
    }

    /// All that are defined, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TerminalId, &Terminal)> {
        let numbered = (1..).map(TerminalId).zip(&self.terminals);
        numbered.filter(|(_, terminal)| terminal.is_defined())
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.terminals);
    }

    pub(super) fn load(terminals: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut loaded = Self::new(terminals);
        for terminal in &mut loaded.terminals {
            *terminal = source.value()?;
            let sound = |cassette: &Cassette| {
                cassette.held <= cassette.notes
                    && (cassette.notes == 0 || cassette.denomination != 0 && terminal.is_acquirer == 0)
            };
            let known = terminal.service.try_get().is_some()
                && terminal.cassettes().iter().all(sound)
                && terminal.order == terminal.by_denomination();
            let is_zero = terminal.reserved == [0; 5]
                && terminal.is_acquirer <= 1
                && (terminal.totals.reserved, terminal.ended.reserved) == (0, 0);
            let is_rate = terminal.surcharge_rate <= 10_000
                && terminal.surcharge.0 <= AMOUNT_MAX
                && terminal.surcharge_max.0 <= AMOUNT_MAX;
            if terminal.is_defined() && !(known && is_rate && terminal.currency.is_valid()) || !is_zero {
                return Err(Corrupt("a terminal"));
            }
        }
        Ok(loaded)
    }
}
