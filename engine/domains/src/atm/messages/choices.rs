//! What a field may say: kinds, states and codes.

use ringfence_kernel::choice;

choice! {
    /// What bounds an account's balance.
    pub enum Constraint as ConstraintCode {
        /// Nothing: the bank's own accounts.
        Free = 1,
        /// Its debits, held ones included, never exceed its posted credits and its overdraft: a customer's account.
        Covered = 2,
        /// It is the cash in a terminal, and moves only with notes. Defining a terminal opens it.
        Cash = 3,
    }
}
choice! {
    /// What a transfer does.
    pub enum TransferKind as TransferKindCode {
        /// Moves the amount at once.
        Move = 1,
        /// Holds the amount on both sides, until it is posted, let go, or its time is over.
        Hold = 2,
        /// Posts the amount of a hold and lets the rest go.
        Post = 3,
        /// Lets a hold go.
        Void = 4,
    }
}
choice! {
    /// What became of linked transfers.
    pub enum TransferOutcome as TransferOutcomeCode {
        /// All are done, now or before.
        Done = 1,
        /// The id is zero, or another transfer's.
        IdTaken = 2,
        /// There is no such account.
        UnknownAccount = 3,
        /// The accounts are one, have different currencies, or one is the cash in a terminal; or a transfer that ends a
        /// hold names any.
        BadAccounts = 4,
        /// The amount is zero where it must not be, not zero where it must be, or above 10¹².
        BadAmount = 5,
        /// The transfer breaks the constraint of an account, or a sum would leave its range.
        NotCovered = 6,
        /// There is no such hold, or it has ended; or a transfer that ends none names one.
        UnknownHold = 7,
        /// More than is held.
        MoreThanHeld = 8,
    }
}
choice! {
    /// What may be done with a card.
    pub enum CardStatus as CardStatusCode {
        /// Everything.
        Active = 1,
        /// Nothing, until the operator says otherwise.
        Blocked = 2,
        /// Nothing: its holder lost it.
        Lost = 3,
        /// Nothing: it was stolen.
        Stolen = 4,
        /// Nothing: its time is over, or it was replaced.
        Expired = 5,
        /// Nothing: a terminal kept it.
        Retained = 6,
    }
}
choice! {
    /// Whether a terminal may begin transactions.
    pub enum Service as ServiceCode {
        /// It has signed on.
        In = 1,
        /// It has not, or has signed off. What was authorized before is still completed and reversed.
        Out = 2,
    }
}
choice! {
    /// What is asked for: the first two digits of an ISO 8583 processing code.
    pub enum TransactionType as TransactionTypeCode {
        /// Cash.
        Withdrawal = 1,
        /// Goods, and cash back from the till of whoever sells them.
        Purchase = 9,
        /// Cash into the terminal, to be counted later.
        Deposit = 21,
        /// What the account holds.
        BalanceInquiry = 31,
        /// The last movements of the account: of the numbers for inquiries one that ISO 8583:1987 leaves free.
        MiniStatement = 38,
        /// From one of the card's accounts to another.
        Transfer = 40,
        /// Another PIN. Its numbers are those for private use: ISO 8583:1987 has none for it.
        PinChange = 90,
        /// Cash, as much as the card's holder always takes. Likewise for private use.
        FastCash = 91,
    }
}
choice! {
    /// Which of a card's accounts: the account type of an ISO 8583 processing code.
    pub enum AccountType as AccountTypeCode {
        /// None is named: the first that the card has of cheque, savings and credit.
        Default = 0,
        /// The savings account.
        Savings = 10,
        /// The cheque account.
        Cheque = 20,
        /// The credit account.
        Credit = 30,
    }
}
impl TransactionType {
    /// Whether the terminal gives notes for it.
    #[must_use]
    pub const fn dispenses(self) -> bool {
        matches!(self, Self::Withdrawal | Self::FastCash)
    }
}

impl ResponseCode {
    /// The code of that number, when it stands here.
    #[must_use]
    pub const fn known(number: u8) -> Option<Self> {
        ResponseByte(number).try_get()
    }
}

impl AccountType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Savings, Self::Cheque, Self::Credit];
}

choice! {
    /// Whose card is used at whose terminal: what fees depend on.
    pub enum Network as NetworkCode {
        /// A card of this host at a terminal of its own.
        Own = 1,
        /// A card of this host at another acquirer.
        Acquirer = 2,
        /// A card of a remote issuer at a terminal of this host.
        Issuer = 3,
    }
}
choice! {
    /// What a rate is for.
    pub enum RateUse as RateUseCode {
        /// It is offered to the customer at the terminal, and applied when it is accepted.
        Offered = 1,
        /// This host applies it as the card's issuer where no offer was accepted.
        Issuer = 2,
    }
}
choice! {
    /// What the customer said to an offer to convert.
    pub enum ConversionChoice as ConversionChoiceCode {
        /// Nothing: there was none.
        None = 0,
        /// To be debited what it states.
        Accepted = 1,
        /// To be debited in the terminal's currency.
        Declined = 2,
    }
}
choice! {
    /// What money moved for, in a mini statement.
    pub enum MovementKind as MovementKindCode {
        /// It is not known any more: others came since the statement was asked for first. All else of the line is zero.
        Forgotten = 1,
        /// A transfer, of the bank or between a card's accounts.
        Transfer = 2,
        /// Notes that a terminal was loaded with, unloaded of, or that were found when it was balanced.
        Cash = 3,
        /// A withdrawal.
        Withdrawal = 4,
        /// A purchase.
        Purchase = 5,
        /// A deposit that was counted.
        Deposit = 6,
        /// What was taken back.
        Reversal = 7,
        /// A terminal's surcharge.
        Surcharge = 8,
        /// A fee by rule.
        Fee = 9,
    }
}
choice! {
    /// What two hosts compare of a business date between them.
    pub enum SettlementItem as SettlementItemCode {
        /// How many debits were posted.
        Debits = 1,
        /// How many of them were reversed.
        DebitsReversed = 2,
        /// How many credits were posted.
        Credits = 3,
        /// How many of them were reversed.
        CreditsReversed = 4,
        /// What debits are in all.
        DebitAmount = 5,
        /// What of them was reversed.
        DebitReversedAmount = 6,
        /// What credits are in all.
        CreditAmount = 7,
        /// What of them was reversed.
        CreditReversedAmount = 8,
        /// What is owed to the acquirer in the end.
        Net = 9,
    }
}
choice! {
    /// ISO 8583:1987 field 66: whether two hosts agree on a business date.
    pub enum Settlement as SettlementCode {
        /// They do.
        InBalance = 1,
        /// They do not.
        OutOfBalance = 2,
    }
}
choice! {
    /// What became of a question to a remote issuer.
    pub enum IssuerOutcome as IssuerOutcomeCode {
        /// It answered.
        Answered = 1,
        /// It did not, in time.
        Silent = 2,
    }
}
choice! {
    /// What the gateway found of the PIN.
    pub enum PinVerdict as PinVerdictCode {
        /// It is the card's.
        Right = 1,
        /// It is not.
        Wrong = 2,
    }
}
choice! {
    /// ISO 8583:1987 field 39. The domain's README has the order of precedence.
    pub enum ResponseCode as ResponseByte {
        /// Approved, or done as asked.
        Approved = 0,
        /// Do not honour: a remote issuer declines with a code that is none of these.
        DoNotHonour = 5,
        /// Invalid transaction: the terminal and an account have different currencies and no rate is in force, or not the
        /// one that was accepted; a transfer goes to the account
        /// that it comes from, or another transaction to any; what was dispensed is reversed, or a change of PIN after
        /// which the PIN was changed again.
        InvalidTransaction = 12,
        /// Invalid amount: zero, above 10¹² or not payable in the terminal's notes; not zero for an inquiry; not what
        /// an accepted offer gives; other notes than were authorized.
        InvalidAmount = 13,
        /// No such card.
        InvalidCard = 14,
        /// Format error: a remote issuer could not read what it was asked.
        FormatError = 30,
        /// Restricted card, keep it: it was retained.
        RestrictedKeep = 36,
        /// Wrong PIN for the last time: the card is locked, keep it.
        PinTriesKeep = 38,
        /// Lost card.
        Lost = 41,
        /// Stolen card.
        Stolen = 43,
        /// Not enough funds.
        InsufficientFunds = 51,
        /// The card has no cheque account; or none at all, and none was named.
        NoCheque = 52,
        /// The card has no savings account.
        NoSavings = 53,
        /// Expired card.
        Expired = 54,
        /// Wrong PIN.
        WrongPin = 55,
        /// Not permitted to the cardholder: the card has no credit account, or no amount for fast cash.
        NotPermitted = 57,
        /// Not permitted to the terminal: it is out of service, or takes no purchases or no deposits.
        TerminalNotPermitted = 58,
        /// More than an amount of the card, the account or the terminal: for one withdrawal, a day or a window.
        ExceedsAmount = 61,
        /// Restricted card: it is blocked.
        Restricted = 62,
        /// More withdrawals than a number of the card, the account or the terminal: for a day or a window.
        ExceedsCount = 65,
        /// Too late: it was reversed before.
        TooLate = 68,
        /// Too many wrong PINs before: the card is locked.
        PinLocked = 75,
        /// The original is not known.
        UnknownOriginal = 76,
        /// The issuer is silent, and nobody may stand in for it; or no more may be owed by it.
        IssuerInoperative = 91,
        /// The route leads to an issuer that is not there.
        NoRoute = 92,
        /// The same key with other content.
        Duplicate = 94,
        /// A sum of the ledger would leave its range, or the account of uncounted cash does not cover a deposit.
        Malfunction = 96,
    }
}
