//! What withdrawals need that are decided soon. Index, card or transaction, account and statement stand far apart in memory, and
//! each tells where the next one is: what many withdrawals need of each is read in one go, so that they are waited for together.

use super::Atm;
use super::cards::NONE;
use super::kept::Keep as _;
use super::messages::{AccountTypeCode, Authorize, Complete, Key};
use bytemuck::Zeroable;
use core::hint::black_box;
use ringfence_kernel::MessageHeader;
use ringfence_kernel::messages::block;
use ringfence_kernel::registry::FORESEEN;

/// With fewer cards all that they need is near anyway.
const CARDS_NEAR: usize = 1_000;

/// The withdrawals that come soon.
#[derive(Debug)]
pub(super) struct Foresight {
    soon: [Soon; FORESEEN],
    count: usize,
    /// How many of them are to be authorized.
    new: u64,
}

/// Where to look next for what one needs: [`NONE`] when nothing is known.
#[derive(Clone, Copy, Debug)]
struct Soon {
    /// The place of its card, or of the transaction that is completed; and then of its account.
    place: u32,
    /// Which account of the card.
    of: AccountTypeCode,
    is_card: bool,
}

impl Default for Foresight {
    fn default() -> Self {
        let nothing = Soon { place: NONE, of: AccountTypeCode::zeroed(), is_card: false };
        Self { soon: [nothing; FORESEEN], count: 0, new: 0 }
    }
}

impl Atm {
    #[inline]
    pub(super) fn foresees_withdrawals(&self) -> bool {
        self.cards.len() >= CARDS_NEAR
    }

    /// Reads where it stands in an index.
    #[inline]
    pub(super) fn foresee_withdrawal(&mut self, header: MessageHeader, body: &[u8]) {
        let Self { foresight, cards, transactions, .. } = self;
        let Some(soon) = foresight.soon.get_mut(foresight.count) else { return };
        *soon = match header.template {
            Authorize::TEMPLATE => {
                let Ok((command, _)) = block::<Authorize>(header, body) else { return };
                let oldest = transactions.oldest(foresight.new);
                let forgotten = oldest.map(|oldest| (transactions.guess(oldest.key()), oldest.notes));
                let known = transactions.guess(Key(command.terminal, command.trace, command.date));
                black_box((forgotten, known));
                foresight.new += 1;
                Soon { place: cards.guess(&command.token), of: command.account, is_card: true }
            }
            Complete::TEMPLATE => {
                let Ok((command, _)) = block::<Complete>(header, body) else { return };
                let known = transactions.guess(Key(command.terminal, command.trace, command.date));
                Soon { place: known, of: AccountTypeCode::zeroed(), is_card: false }
            }
            _ => return,
        };
        foresight.count += 1;
    }

    /// Reads cards and transactions, then accounts, then statements.
    #[inline]
    pub(super) fn bring_withdrawals_near(&mut self) {
        let Self { foresight, cards, transactions, ledger, .. } = self;
        let soon = &mut foresight.soon[..foresight.count];
        (foresight.count, foresight.new) = (0, 0);
        for one in soon.iter_mut().filter(|one| one.place != NONE) {
            if one.is_card {
                let card = &cards[one.place];
                black_box(card.token);
                one.place = one.of.try_get().and_then(|of| card.account(of).ok()).unwrap_or(NONE);
            } else {
                let transaction = &transactions[one.place];
                black_box(transaction.notes);
                one.place = transaction.account;
            }
        }
        for one in soon.iter().filter(|one| one.place != NONE) {
            black_box(ledger[one.place].moved());
        }
        for one in soon.iter().filter(|one| one.place != NONE) {
            ledger.touch_statement(one.place);
        }
    }
}
