//! Transactions: what was asked, what was answered, and where each stands in its life.

use super::cards::NONE;
use super::kept::Keep;
use super::messages::{
    AMOUNT_MAX, AccountTypeCode, Advise, Amount, Authorization, Authorize, Authorized, Balance, BusinessDate,
    ChangePin, ConversionChoice, ConversionChoiceCode, Currency, Ended, Forward, Forwarded, IssuerId, Key,
    MovementKind, Notes, PinVersion, Rate, RateVersion, ResponseByte, ResponseCode, TerminalId, Trace, TransactionType,
    TransactionTypeCode,
};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::{Reserved, Wire as _};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Timestamp, choice};

choice! {
    /// Where a transaction stands in its life.
    pub(super) enum State as StateCode {
        /// Its reversal came first: it will never be authorized.
        Tombstone = 1,
        /// It was declined.
        Declined = 2,
        /// It was approved and is complete as it is: an inquiry, a transfer, a purchase, a change of PIN; or a
        /// deposit that was counted.
        Answered = 3,
        /// It was authorized: its amount and its notes are held until `deadline`.
        Held = 4,
        /// Notes came out and were posted: all or part of it.
        Dispensed = 5,
        /// Nothing came out, or it was reversed: the hold is let go.
        Voided = 6,
        /// Nobody said what came out: the hold is let go.
        TimedOut = 7,
        /// Cash went in and is held for the account until it is counted.
        Deposited = 8,
        /// The issuer is being asked: as held, but for the answer.
        Asked = 9,
    }
}

/// What a transaction costs beside its amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Charge {
    /// What was asked for, and what of it is held or posted.
    pub(super) asked: Amount,
    pub(super) taken: Amount,
    /// The place of the account that gets it.
    pub(super) to: u32,
    reserved: u32,
}

impl Charge {
    /// What the charges of a transaction are, in their order.
    pub(super) const KINDS: [MovementKind; 2] = [MovementKind::Surcharge, MovementKind::Fee];

    /// A charge that is held, or was posted.
    #[inline]
    pub(super) fn of((asked, to): (Amount, u32)) -> Self {
        Self { asked, taken: asked, to, reserved: 0 }
    }

    fn is_sound(&self) -> bool {
        self.taken <= self.asked && self.asked.0 <= 2 * AMOUNT_MAX && self.reserved == 0
    }

    /// As it is, but of it nothing is held or posted any more.
    pub(super) fn let_go(self) -> Self {
        Self { taken: Amount(0), ..self }
    }
}

/// How a withdrawal is converted into the currency of the account.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Conversion {
    /// What is debited for notes and surcharge when all come out: what was stated, where there was an offer.
    pub(super) billed: Amount,
    /// What was debited in the end.
    pub(super) taken: Amount,
    /// The places of the account that pays in the terminal's currency, and of the one that gets what is debited.
    pub(super) pays: u32,
    pub(super) receives: u32,
    /// The rate that is applied, and its version.
    pub(super) rate: Rate,
    pub(super) version: RateVersion,
}

/// The references of a change of PIN: the new one, and the one that the card had before.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct PinReferences {
    pub(super) new: [u8; 16],
    pub(super) before: [u8; 16],
}

/// What only one kind of transaction needs, 32 bytes of it: [`Conversion`] of what is converted, [`PinReferences`] of a
/// change of PIN, and first of all, of a mini statement, how many movements its account had had.
type Detail = [u64; 4];

/// One transaction, with all that its answers say. What each has stands first, in two lines of the cache: the other two
/// are not touched where there is no more.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Transaction {
    pub(super) token: [u8; 16],
    pub(super) authorization: Authorization,
    pub(super) amount: Amount,
    pub(super) terminal: TerminalId,
    pub(super) trace: Trace,
    pub(super) date: BusinessDate,
    /// The business date on which its card counted it.
    pub(super) counted: BusinessDate,
    /// The places of card and account; meaningful once it was authorized.
    pub(super) card: u32,
    pub(super) account: u32,
    pub(super) state: StateCode,
    pub(super) code: ResponseByte,
    /// Zero when nothing was asked: a reversal came first.
    pub(super) kind: TransactionTypeCode,
    pub(super) account_type: AccountTypeCode,
    /// 1 when the account's limits counted it.
    pub(super) by_account: u8,
    /// 1 while the issuer is to be told what was taken in the end.
    pub(super) advises: u8,
    /// 1 when there is more of it.
    pub(super) has_more: u8,
    pub(super) reserved: u8,
    /// The notes that were authorized.
    pub(super) notes: Notes,
    /// The notes that were dispensed, and what was posted for them.
    pub(super) dispensed: Notes,
    pub(super) posted: Amount,
    /// The balances of the first answer.
    pub(super) balances: [Balance; 2],
    /// The balances when it ended.
    pub(super) ended: [Balance; 2],
    pub(super) deadline: Timestamp,
    pub(super) more: More,
}

/// What a plain withdrawal has nothing of: then it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct More {
    pub(super) detail: Detail,
    /// The surcharge and the fee.
    pub(super) charges: [Charge; 2],
    pub(super) cashback: Amount,
    /// What was said of it last that became an exception and could be posted later: notes, another acquirer's amount, or zero
    /// for a reversal.
    pub(super) excepted: u64,
    /// The place of the account that gets what is moved.
    pub(super) to: u32,
    /// The PIN version that a change of PIN brought.
    pub(super) pin_version: PinVersion,
    /// The number under which its issuer was asked, and which one; zero when it is this host.
    pub(super) link_trace: Trace,
    pub(super) issuer: IssuerId,
    /// The currency that it is converted into, or was asked to be; zero when it is not.
    pub(super) billed_in: Currency,
    pub(super) to_type: AccountTypeCode,
    /// What was said to an offer.
    pub(super) choice: ConversionChoiceCode,
    /// 1 when it was approved in the issuer's stead.
    pub(super) stood_in: u8,
    /// The lines of a mini statement.
    pub(super) lines: u8,
    /// What it was before another acquirer said that money was taken all the same; nothing when it is as it was decided.
    pub(super) over: PostedOver,
    /// How what is an exception was answered.
    pub(super) excepted_code: ResponseByte,
    pub(super) reserved: [u8; 10],
}

/// Bytes of a transaction before there is more.
const PLAIN: usize = core::mem::offset_of!(Transaction, more);
const _: () = assert!(PLAIN == 128 && size_of::<Transaction>() == 256, "whole lines of the cache");

/// What a transaction was when another acquirer's advice was posted under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct PostedOver(u8);

impl PostedOver {
    const NOTHING: Self = Self(0);
    /// It had been declined: repeats of what was asked still are.
    pub(super) const DECLINED: Self = Self(1);
    /// It had been reversed before it came: it still comes too late.
    pub(super) const TOMBSTONE: Self = Self(2);
}

impl Transaction {
    /// A transaction of `key` of which nothing is known yet.
    pub(super) fn of(Key(terminal, trace, date): Key, state: State) -> Self {
        Self { terminal, trace, date, state: state.into(), ..Self::zeroed() }
    }

    /// What there is more of it.
    #[inline]
    pub(super) fn more(&self) -> More {
        if self.has_more == 1 { self.more } else { More::zeroed() }
    }

    /// As [`Transaction::more`], to be changed.
    #[inline]
    pub(super) fn more_mut(&mut self) -> &mut More {
        self.has_more = 1;
        &mut self.more
    }

    /// With `more`, if that is anything.
    #[inline]
    pub(super) fn with(self, more: More) -> Self {
        Self { has_more: (more != More::zeroed()).into(), more, ..self }
    }

    /// Whether it was approved, or is being asked for.
    #[inline]
    pub(super) fn was_authorized(&self) -> bool {
        !matches!(self.state.get(), State::Tombstone | State::Declined)
    }

    /// Whether what was asked for was approved, or is being asked for.
    #[inline]
    fn was_approved(&self) -> bool {
        self.was_authorized() && self.code == ResponseCode::Approved.into()
    }

    /// Whether remote issuers are asked for such.
    fn is_for_issuers(&self) -> bool {
        self.is(TransactionType::Withdrawal) || self.is(TransactionType::BalanceInquiry)
    }

    /// Whether its card is one of this host.
    pub(super) fn has_card(&self) -> bool {
        self.was_authorized() && self.issuer() == IssuerId(0)
    }

    /// The remote issuer of its card; zero when it is this host's.
    #[inline]
    pub(super) fn issuer(&self) -> IssuerId {
        self.more().issuer
    }

    /// The surcharge and the fee.
    #[inline]
    pub(super) fn charges(&self) -> [Charge; 2] {
        self.more().charges
    }

    /// The charges are these now.
    #[inline]
    pub(super) fn charge(&mut self, charges: [Charge; 2]) {
        if charges != self.charges() {
            self.more_mut().charges = charges;
        }
    }

    /// The lines of a mini statement.
    #[inline]
    pub(super) fn lines(&self) -> u8 {
        self.more().lines
    }

    /// Whether amount and notes are held until somebody says what came out.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Held.into() || self.state == State::Asked.into()
    }

    /// How what is said of it was answered when that was an exception: the operator settles it, whatever has changed since.
    #[inline]
    pub(super) fn excepted(&self, what: u64) -> Option<ResponseCode> {
        let More { excepted, excepted_code, .. } = self.more();
        let is_excepted = excepted_code != ResponseCode::Approved.into() && excepted == what;
        is_excepted.then(|| excepted_code.get())
    }

    /// What was said of it is an exception.
    pub(super) fn except(&mut self, what: u64, code: ResponseCode) {
        let more = self.more_mut();
        (more.excepted, more.excepted_code) = (what, code.into());
    }

    /// Whether money is held for it.
    pub(super) fn holds(&self) -> bool {
        self.dispenses() && self.is_open() || self.state == State::Deposited.into()
    }

    /// How it is converted, when it is.
    #[inline]
    pub(super) fn conversion(&self) -> Option<Conversion> {
        let More { detail, billed_in, .. } = self.more();
        (billed_in.0 > 0 && self.was_approved()).then(|| bytemuck::cast(detail))
    }

    /// So much was debited in the end, if it is converted.
    pub(super) fn bill(&mut self, taken: Amount) {
        if let Some(conversion) = self.conversion() {
            self.more_mut().detail = bytemuck::cast(Conversion { taken, ..conversion });
        }
    }

    /// What an amount in the terminal's currency is in that of the account.
    #[inline]
    pub(super) fn of_holder(&self, amount: Amount) -> Amount {
        self.conversion().map_or(amount, |conversion| conversion.rate.convert(amount))
    }

    /// The place of the account that gives what the terminal's side gets.
    #[inline]
    pub(super) fn giver(&self) -> u32 {
        self.conversion().map_or(self.account, |conversion| conversion.pays)
    }

    /// What is held or moved in its parts, each from one account to another: the notes, what the account is debited where
    /// that is converted, surcharge and fee.
    #[inline]
    pub(super) fn parts(&self) -> [(u32, u32, Amount); 3] {
        let [surcharge, fee] = self.charges();
        let converted = self.conversion().map_or((0, 0, Amount(0)), |one| (self.account, one.receives, one.billed));
        [converted, (self.giver(), surcharge.to, surcharge.taken), (self.account, fee.to, fee.taken)]
    }

    /// Between which accounts it may move money from here on, besides what another acquirer may say of it; `cash` is the
    /// account of its terminal's.
    pub(super) fn moves(&self, cash: u32) -> impl Iterator<Item = (u32, u32)> {
        let More { charges: [surcharge, fee], to, .. } = self.more();
        let converted = self.conversion().map(|one| (self.account, one.receives));
        let of_amount = if self.dispenses() { (self.giver(), cash) } else { (self.account, to) };
        let charged = [((self.giver(), surcharge.to), surcharge.asked), ((self.account, fee.to), fee.asked)];
        let charged = charged.into_iter().filter_map(|(pair, asked)| (asked.0 > 0).then_some(pair));
        let all = converted.into_iter().chain((self.amount.0 > 0).then_some(of_amount)).chain(charged);
        all.filter(|_| self.was_authorized())
    }

    /// The references of a change of PIN.
    pub(super) fn pin_references(&self) -> PinReferences {
        if self.is(TransactionType::PinChange) { bytemuck::cast(self.more().detail) } else { PinReferences::default() }
    }

    /// How many movements the account of a mini statement had had.
    pub(super) fn moved(&self) -> u64 {
        if self.lines() > 0 { self.more().detail[0] } else { 0 }
    }

    /// What was said of an offer: what it states, in which currency, by which version of the rate.
    fn accepted(&self) -> (ConversionChoiceCode, Amount, Currency, RateVersion) {
        let More { choice, detail, billed_in, .. } = self.more();
        let is_accepted = choice == ConversionChoice::Accepted.into();
        if self.is(TransactionType::PinChange) || self.was_approved() && !is_accepted {
            return (choice, Amount(0), Currency(0), RateVersion(0));
        }
        let Conversion { billed, version, .. } = bytemuck::cast(detail);
        (choice, billed, billed_in, version)
    }

    /// What was taken of the account in the end, surcharge and fee included.
    pub(super) fn taken(&self) -> Amount {
        let [surcharge, fee] = self.charges();
        if self.posted.0 == 0 { Amount(0) } else { Amount(self.posted.0 + surcharge.taken.0 + fee.taken.0) }
    }

    #[inline]
    pub(super) fn is(&self, kind: TransactionType) -> bool {
        self.kind == kind.into()
    }

    /// Whether the terminal gives notes for it.
    #[inline]
    pub(super) fn dispenses(&self) -> bool {
        self.is(TransactionType::Withdrawal) || self.is(TransactionType::FastCash)
    }

    /// What `command` asks for, not decided yet; there may be [`More::asked_by`] it.
    #[inline]
    pub(super) fn asked_by(command: &Authorize, authorization: Authorization) -> Self {
        Self {
            token: command.token,
            amount: command.amount,
            authorization,
            kind: command.transaction,
            account_type: command.account,
            ..Self::of(Key(command.terminal, command.trace, command.date), State::Declined)
        }
    }

    /// As [`Transaction::asked_by`], of a remote issuer.
    pub(super) fn forwarded_by(command: &Forward, authorization: Authorization) -> Self {
        Self {
            token: command.token,
            amount: command.amount,
            authorization,
            kind: command.transaction,
            account_type: command.account,
            card: NONE,
            ..Self::of(Key(command.terminal, command.trace, command.date), State::Declined)
        }
        .with(More { issuer: command.issuer, ..More::zeroed() })
    }

    /// What another acquirer says was taken, as if it were asked for.
    pub(super) fn advised_by(command: &Advise, authorization: Authorization) -> Self {
        Self {
            token: command.token,
            amount: command.amount,
            authorization,
            kind: TransactionType::Withdrawal.into(),
            account_type: command.account,
            ..Self::of(Key(command.terminal, command.trace, command.date), State::Declined)
        }
    }

    /// The answer while the issuer is being asked.
    pub(super) fn forwarded(&self) -> Forwarded {
        let Self { authorization, counted: date, .. } = *self;
        let More { link_trace, issuer, charges, .. } = self.more();
        let [surcharge, fee] = charges.map(|charge| charge.asked);
        let (amount, reserved) = (Amount(self.amount.0 + surcharge.0 + fee.0), Reserved::default());
        Forwarded { authorization, amount, surcharge, fee, link_trace, date, issuer, reserved }
    }

    /// As [`Transaction::asked_by`], for a change of PIN.
    pub(super) fn changing_pin(command: &ChangePin, authorization: Authorization) -> Self {
        let references = PinReferences { new: command.new_pin_reference, ..PinReferences::default() };
        Self {
            token: command.token,
            authorization,
            kind: TransactionType::PinChange.into(),
            ..Self::of(Key(command.terminal, command.trace, command.date), State::Declined)
        }
        .with(More { detail: bytemuck::cast(references), ..More::zeroed() })
    }

    /// The answer to what `asked` asks under the same key as this.
    pub(super) fn repeated(&self, asked: &Self) -> Authorized {
        // Fast cash asks for no amount; what it gives is the card's.
        let amount =
            |of: &Self| if of.is(TransactionType::FastCash) && of.was_approved() { Amount(0) } else { of.amount };
        let content = |of: &Self| {
            let More { to_type, issuer, cashback, .. } = of.more();
            let asked = (of.token, of.pin_references().new, of.kind, of.account_type, to_type, issuer);
            (asked, amount(of), cashback, of.accepted())
        };
        match self.state.get() {
            State::Tombstone => refused(ResponseCode::TooLate),
            _ if self.more().over == PostedOver::TOMBSTONE => refused(ResponseCode::TooLate),
            _ if content(self) == content(asked) => self.answer(),
            _ => refused(ResponseCode::Duplicate),
        }
    }

    /// The answer to its authorization, the first time and again.
    #[inline]
    pub(super) fn answer(&self) -> Authorized {
        let [balance, available] = self.balances;
        let is_approved = self.code == ResponseCode::Approved.into();
        let held = if is_approved && self.dispenses() { self.amount } else { Amount(0) };
        let More { charges, lines, billed_in, .. } = self.more();
        let [surcharge, fee] = charges.map(|charge| if is_approved { charge.asked } else { Amount(0) });
        let Self { authorization, notes, code, .. } = *self;
        let billed_in = if is_approved { billed_in } else { Currency(0) };
        let reserved = Reserved::default();
        Authorized { authorization, held, surcharge, fee, notes, balance, available, code, lines, billed_in, reserved }
    }

    /// The answer to a completion or reversal.
    #[inline]
    pub(super) fn ended(&self, code: ResponseCode) -> Ended {
        let ([balance, available], code) = (self.ended, code.into());
        let Self { authorization, posted, .. } = *self;
        let More { charges, billed_in, .. } = self.more();
        let [surcharge, fee] = charges.map(|charge| if self.is_open() { Amount(0) } else { charge.taken });
        let converted = self.conversion().map(|conversion| (conversion.taken, billed_in));
        let (billed, billed_in) = converted.unwrap_or_default();
        let reserved = Reserved::default();
        Ended { authorization, posted, surcharge, fee, billed, balance, available, billed_in, code, reserved }
    }
}

impl More {
    /// What `command` asks for beside what every transaction has.
    #[inline]
    pub(super) fn asked_by(command: &Authorize) -> Self {
        let Authorize { billed, rate_version: version, .. } = *command;
        Self {
            detail: bytemuck::cast(Conversion { billed, version, ..Conversion::default() }),
            cashback: command.cashback,
            to_type: command.to,
            choice: command.conversion,
            billed_in: command.billed_in,
            ..Self::zeroed()
        }
    }
}

/// An answer that tells of no transaction.
pub(super) fn refused(code: ResponseCode) -> Authorized {
    Transaction { code: code.into(), ..Transaction::zeroed() }.answer()
}

impl Keep for Transaction {
    type Key = Key;
    const WHAT: &'static str = "the transactions";

    #[inline]
    fn key(&self) -> Key {
        Key(self.terminal, self.trace, self.date)
    }

    #[inline]
    fn hash(Key(terminal, trace, date): Key) -> u64 {
        // A terminal counts its trace numbers up: eight in a row stand side by side, in one line of the cache.
        let place = u64::from(terminal.0) << 32 | u64::from(trace.0 / 8);
        let line = fold(place ^ 0x9e37_79b9_7f4a_7c15, u64::from(date.0) ^ 0xd6e8_feb8_6659_fd93);
        line & !7 | u64::from(trace.0 % 8)
    }

    #[inline]
    fn date(&self) -> BusinessDate {
        self.date
    }

    #[inline]
    fn deadline(&self) -> Timestamp {
        self.deadline
    }

    #[inline]
    fn is_held(&self) -> bool {
        self.is_open() || self.state == State::Deposited.into() || self.advises == 1
    }

    #[inline]
    fn put(self, place: &mut Self) {
        if self.has_more | place.has_more == 1 {
            *place = self;
        } else {
            bytemuck::bytes_of_mut(place)[..PLAIN].copy_from_slice(&bytemuck::bytes_of(&self)[..PLAIN]);
        }
    }

    fn is_sound(&self) -> bool {
        let more = &self.more;
        let (Some(state), Some(code)) = (self.state.try_get(), self.code.try_get()) else { return false };
        let asked = self.kind.try_get().is_some() && self.account_type.is_valid() && more.to_type.is_valid();
        let nothing = (TransactionTypeCode::zeroed(), AccountTypeCode::zeroed(), AccountTypeCode::zeroed());
        let is_converted = |Conversion { billed, taken, rate, .. }: Conversion| {
            let all = Amount(self.amount.0.saturating_add(more.charges[0].asked.0));
            self.dispenses()
                && more.issuer.0 == 0
                && more.billed_in.is_valid()
                && rate.is_valid()
                && (1..=AMOUNT_MAX).contains(&billed.0)
                && billed == rate.convert(all)
                && taken <= billed
        };
        (self.reserved, more.reserved) == (0, [0; 10])
            && self.has_more <= 1
            && (self.has_more == 1 || *more == More::zeroed())
            && more.over.0 <= 2
            && (more.over == PostedOver::NOTHING || state == State::Dispensed)
            && more.excepted_code.is_valid()
            && more.choice.is_valid()
            && self.conversion().is_none_or(is_converted)
            && self.by_account <= 1
            && (more.lines == 0 || self.is(TransactionType::MiniStatement) && self.was_authorized())
            && u64::from(more.lines) <= self.moved()
            && (asked || state == State::Tombstone && (self.kind, self.account_type, more.to_type) == nothing)
            && (state == State::Declined || more.over == PostedOver::DECLINED) == (code != ResponseCode::Approved)
            && (self.is_open() || self.advises == 1) == (self.deadline != Timestamp(0))
            && !(self.is_open() && self.advises == 1)
            && self.advises.max(more.stood_in) <= u8::from(more.issuer.0 > 0)
            && (!self.holds() || (1..=AMOUNT_MAX).contains(&self.amount.0))
            && (state != State::Deposited || self.is(TransactionType::Deposit))
            && (state != State::Held || self.dispenses())
            && (state != State::Asked || more.issuer.0 > 0)
            && (self.has_card() || !self.was_authorized() || more.over == PostedOver::DECLINED || self.is_for_issuers())
            && more.charges.iter().all(Charge::is_sound)
            && self.posted.0.max(self.amount.0) <= i64::MAX as u64
    }
}
