//! Transfers of the operator: linked ones are all done or none, and each is kept so that it is done once.

use super::kept::Keep;
use super::ledger::Account;
use super::messages::{
    AMOUNT_MAX, AccountNumber, Amount, Balance, BusinessDate, Event, HoldExpired, LINKED_MAX, MovementKind, Reject,
    Reply, TerminalId, Trace, TransferEntry, TransferId, TransferKind, TransferKindCode, TransferOutcome, Transferred,
};
use super::statements::Cause;
use super::{Atm, topics};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

/// One transfer.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Transfer {
    id: TransferId,
    pub(super) amount: Amount,
    hold: TransferId,
    lasts_ns: u64,
    deadline: Timestamp,
    /// The balances of both accounts when it was done.
    balances: [Balance; 4],
    /// The places of both accounts; of a transfer that ends a hold they are the hold's.
    pub(super) debit: u32,
    pub(super) credit: u32,
    date: BusinessDate,
    kind: TransferKindCode,
    /// 1 while it is a hold that has not ended.
    is_held: u8,
    reserved: [u8; 2],
}

impl Transfer {
    /// The answer to transfers that are done and end in this one.
    fn answer(&self, count: usize) -> Transferred {
        let [debit_balance, debit_available, credit_balance, credit_available] = self.balances;
        Transferred {
            debit_balance,
            debit_available,
            credit_balance,
            credit_available,
            at: count as u32,
            outcome: TransferOutcome::Done.into(),
            reserved: Reserved::default(),
        }
    }

    fn end(&mut self) {
        (self.is_held, self.deadline) = (0, Timestamp(0));
    }
}

impl Keep for Transfer {
    type Key = TransferId;
    const WHAT: &'static str = "the transfers";

    fn key(&self) -> TransferId {
        self.id
    }

    fn hash(TransferId(id): TransferId) -> u64 {
        fold(id ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93)
    }

    fn date(&self) -> BusinessDate {
        self.date
    }

    fn deadline(&self) -> Timestamp {
        self.deadline
    }

    fn is_held(&self) -> bool {
        self.is_held == 1
    }

    fn is_sound(&self) -> bool {
        let Some(kind) = self.kind.try_get() else { return false };
        self.id.0 != 0
            && self.reserved == [0; 2]
            && self.is_held <= u8::from(kind == TransferKind::Hold)
            && self.amount.0 <= AMOUNT_MAX
            && (self.deadline != Timestamp(0)) == (self.is_held() && self.lasts_ns != 0)
    }
}

impl Atm {
    pub(super) fn transfer_linked(
        &mut self,
        context: Context,
        entries: &[TransferEntry],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        if entries.is_empty() || entries.len() > LINKED_MAX {
            return Err(Reject::BadTransfers);
        }
        if let Some(last) = self.all_are_done(entries) {
            out.reply(Reply::Transferred(&self.transfers[last].answer(entries.len())));
            return Ok(Progress::Done);
        }
        // A hold that these end is not held any more when they are kept.
        let ends = |hold: &Transfer| entries.iter().any(|entry| entry.hold == hold.id);
        if !self.transfers.has_room_for(entries.len(), self.date_before, ends) {
            return Err(Reject::TransfersFull);
        }
        // Accounts change as the transfers are looked at, one after another; what they were is kept to go back to.
        let mut done = [Transfer::zeroed(); LINKED_MAX];
        let mut before = [[(0, Account::zeroed()); 2]; LINKED_MAX];
        for (at, entry) in entries.iter().enumerate() {
            match self.transfer(context, entry, &entries[..at]) {
                Ok((transfer, accounts)) => (done[at], before[at]) = (transfer, accounts),
                Err(outcome) => {
                    for (index, account) in before[..at].iter().rev().flatten() {
                        self.ledger.restore(*index, *account);
                    }
                    let (at, outcome) = (at as u32, outcome.into());
                    out.reply(Reply::Transferred(&Transferred { at, outcome, ..Transferred::zeroed() }));
                    return Ok(Progress::Done);
                }
            }
        }
        let done = &done[..entries.len()];
        for transfer in done {
            if let Some(hold) = self.transfers.find(transfer.hold) {
                self.transfers.change(hold, Transfer::end);
            }
        }
        for transfer in done {
            self.note_transfer(transfer);
            self.transfers.add(*transfer);
        }
        out.reply(Reply::Transferred(&done[done.len() - 1].answer(done.len())));
        Ok(Progress::Done)
    }

    /// Writes what a transfer posted into the statements of its accounts, as they stood after it.
    fn note_transfer(&mut self, of: &Transfer) {
        let Transfer { amount, balances: [giver, giver_left, taker, taker_left], debit, credit, .. } = *of;
        if matches!(of.kind.get(), TransferKind::Move | TransferKind::Post) {
            let amount = amount.0 as i64;
            let (kind, terminal, trace) = (MovementKind::Transfer, TerminalId(0), Trace(0));
            let cause = Cause { kind, terminal, trace, date: of.date };
            self.ledger.note_one(debit, credit, [Balance(-amount), giver, giver_left], cause);
            self.ledger.note_one(credit, debit, [Balance(amount), taker, taker_left], cause);
        }
    }

    /// The place of the last of the transfers, when all were done before as they are asked for now.
    fn all_are_done(&self, entries: &[TransferEntry]) -> Option<u32> {
        let mut last = None;
        for entry in entries {
            let index = self.transfers.find(entry.id)?;
            let Transfer { amount, hold, lasts_ns, kind, debit, credit, .. } = self.transfers[index];
            let ends = matches!(kind.get(), TransferKind::Post | TransferKind::Void);
            let number = |place: u32| if ends { AccountNumber(0) } else { self.ledger[place].number };
            let done = TransferEntry {
                id: entry.id,
                debit: number(debit),
                credit: number(credit),
                amount,
                hold,
                lasts_ns,
                kind,
                reserved: Reserved::default(),
            };
            if done != *entry {
                return None;
            }
            last = Some(index);
        }
        last
    }

    /// Does one transfer in the ledger, after those `earlier` in the same command; gives both accounts as they were.
    fn transfer(
        &mut self,
        context: Context,
        entry: &TransferEntry,
        earlier: &[TransferEntry],
    ) -> Result<(Transfer, [(u32, Account); 2]), TransferOutcome> {
        let TransferEntry { id, amount, hold, lasts_ns, .. } = *entry;
        let kind = entry.kind.get();
        let is_taken = earlier.iter().any(|other| other.id == id) || self.transfers.find(id).is_some();
        if id.0 == 0 || is_taken {
            return Err(TransferOutcome::IdTaken);
        }
        let ends = matches!(kind, TransferKind::Post | TransferKind::Void);
        let held = if ends { Some(self.held_by(entry, earlier)?) } else { None };
        let (debit, credit) = match held {
            Some(held) => (held.debit, held.credit),
            None => self.accounts_of(entry)?,
        };
        if (kind == TransferKind::Void) != (amount.0 == 0) || amount.0 > AMOUNT_MAX {
            return Err(TransferOutcome::BadAmount);
        }
        let before = [(debit, self.ledger[debit]), (credit, self.ledger[credit])];
        let not_covered = |_| TransferOutcome::NotCovered;
        match (kind, held) {
            (TransferKind::Move, _) => self.ledger.move_now(debit, credit, amount).map_err(not_covered)?,
            (TransferKind::Hold, _) => self.ledger.hold(debit, credit, amount).map_err(not_covered)?,
            (_, Some(held)) if amount > held.amount => return Err(TransferOutcome::MoreThanHeld),
            (_, held) => self.ledger.settle(debit, credit, held.expect("it ends one").amount, amount),
        }
        let is_held = kind == TransferKind::Hold;
        let lasts = is_held && lasts_ns != 0;
        let deadline = if lasts { context.now.saturating_add(lasts_ns) } else { Timestamp(0) };
        let [giver, taker] = [debit, credit].map(|place| self.ledger[place].balances());
        let transfer = Transfer {
            id,
            amount,
            hold,
            lasts_ns,
            deadline,
            balances: [giver.0, giver.1, taker.0, taker.1],
            debit,
            credit,
            date: self.date,
            kind: kind.into(),
            is_held: is_held.into(),
            reserved: [0; 2],
        };
        Ok((transfer, before))
    }

    /// The hold that `entry` ends.
    fn held_by(&self, entry: &TransferEntry, earlier: &[TransferEntry]) -> Result<Transfer, TransferOutcome> {
        if (entry.debit.0, entry.credit.0) != (0, 0) {
            return Err(TransferOutcome::BadAccounts);
        }
        let is_ended = earlier.iter().any(|other| other.hold == entry.hold);
        let hold = self.transfers.find(entry.hold).map(|index| self.transfers[index]);
        hold.filter(|hold| hold.is_held() && !is_ended).ok_or(TransferOutcome::UnknownHold)
    }

    /// The places of the accounts that `entry` names.
    fn accounts_of(&self, entry: &TransferEntry) -> Result<(u32, u32), TransferOutcome> {
        if entry.hold.0 != 0 {
            return Err(TransferOutcome::UnknownHold);
        }
        let place = |number| self.ledger.find(number).ok_or(TransferOutcome::UnknownAccount);
        let (debit, credit) = (place(entry.debit)?, place(entry.credit)?);
        let (giver, taker) = (&self.ledger[debit], &self.ledger[credit]);
        if debit == credit || giver.currency != taker.currency || giver.is_cash() || taker.is_cash() {
            return Err(TransferOutcome::BadAccounts);
        }
        Ok((debit, credit))
    }

    /// Lets the hold at `index` go: its time is over.
    pub(super) fn expire_hold(&mut self, index: u32, out: &mut Out<'_, Self>) {
        let Transfer { id, amount, debit, credit, .. } = self.transfers[index];
        self.ledger.settle(debit, credit, amount, Amount(0));
        self.transfers.change(index, Transfer::end);
        out.publish(topics::HOLDS, 0, Event::HoldExpired(&HoldExpired { id, amount }));
    }
}
