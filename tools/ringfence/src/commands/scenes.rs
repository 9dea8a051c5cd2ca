//! Scenes of the demo: a card at a cash machine, an election by rounds, a slot that three advertisers want.

use crate::proof::Acknowledged;
use crate::say;
use anyhow::{bail, ensure};
use ringfence_client::{Answer, Client};
use ringfence_domains::{atm, auction, votes};
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::{Domain as _, Topic};
use std::time::{Duration, Instant};

/// A client on the stage, and what it was answered.
struct Stage<'c> {
    client: &'c mut Client,
    acknowledged: Vec<Acknowledged>,
}

/// Plays all of them over one connection; gives what was answered.
///
/// # Errors
/// When the engine says something else than the scene is about.
pub(super) fn play(client: &mut Client) -> anyhow::Result<Vec<Acknowledged>> {
    let mut stage = Stage { client, acknowledged: Vec::new() };
    stage.withdraw()?;
    stage.elect()?;
    stage.sell()?;
    Ok(stage.acknowledged)
}

impl Stage<'_> {
    fn ask<'m>(&mut self, command: impl Message<'m>) -> anyhow::Result<Answer> {
        let answer = self.client.call(command)?;
        let output = answer.output();
        ensure!(output.header.kind == kind::REPLY, "the demo's own command was refused: {:?}", output.rejected());
        self.acknowledged.push(Acknowledged::of(&output));
        Ok(answer)
    }

    /// A withdrawal, the same message again, one that is not covered, and one whose notes never come out.
    fn withdraw(&mut self) -> anyhow::Result<()> {
        use atm::messages::{
            AccountNumber, AccountType, Amount, Authorize, BusinessDate, CardStatus, CassetteLoad, Command, Complete,
            Constraint, ConversionChoice, Currency, LoadCash, Notes, OpenAccount, PinVerdict, PinVersion, RateVersion,
            Reply, Reverse, Service, SetCard, SetService, SetTerminal, TerminalId, Trace, TransactionType,
            TransferEntry, TransferId, TransferKind, TransferLinked,
        };
        const EURO: Currency = Currency(978);
        let reserved = Reserved::default();
        let (bank, customer, cash, terminal) = (AccountNumber(1), AccountNumber(2), AccountNumber(3), TerminalId(1));
        for (account, constraint) in [(bank, Constraint::Free), (customer, Constraint::Covered)] {
            let constraint = constraint.into();
            let open = OpenAccount {
                account,
                overdraft: Amount(0),
                currency: EURO,
                constraint,
                reserved: Reserved::default(),
            };
            self.ask(Command::OpenAccount(&open))?;
        }
        let wages = TransferEntry {
            id: TransferId(1),
            debit: bank,
            credit: customer,
            amount: Amount(500),
            hold: TransferId(0),
            lasts_ns: 0,
            kind: TransferKind::Move.into(),
            reserved: Reserved::default(),
        };
        self.ask(Command::TransferLinked(&TransferLinked { reserved: Reserved::default() }, &[wages]))?;
        let set = SetTerminal {
            cash,
            fees: AccountNumber(0),
            surcharge: Amount(0),
            confirm_within_ns: 60_000_000_000,
            terminal,
            currency: EURO,
            reserved: Reserved::default(),
        };
        self.ask(Command::SetTerminal(&set))?;
        let cassettes = [(50, 10), (20, 10)].map(|(denomination, notes)| CassetteLoad { denomination, notes });
        let load = LoadCash { vault: bank, terminal, reserved: Reserved::default() };
        self.ask(Command::LoadCash(&load, &cassettes))?;
        let service = SetService { terminal, service: Service::In.into(), reserved: Reserved::default() };
        self.ask(Command::SetService(&service))?;
        let card = SetCard {
            token: [7; 16],
            pin_reference: *b"0000            ",
            cheque: customer,
            savings: AccountNumber(0),
            credit: AccountNumber(0),
            transaction_max: Amount(1_000),
            day_max: Amount(1_000),
            window_ns: 0,
            day_count_max: 10,
            pin_version: PinVersion(0),
            last_four: *b"0042",
            window_count_max: 0,
            status: CardStatus::Active.into(),
            reserved: Reserved::default(),
        };
        self.ask(Command::SetCard(&card))?;
        let date = BusinessDate(0);
        let authorize = |trace: u32, amount: u64| Authorize {
            token: [7; 16],
            amount: Amount(amount),
            cashback: Amount(0),
            billed: Amount(0),
            terminal,
            trace: Trace(trace),
            date,
            pin_version: PinVersion(0),
            pin: PinVerdict::Right.into(),
            transaction: TransactionType::Withdrawal.into(),
            account: AccountType::Cheque.into(),
            to: AccountType::Default.into(),
            rate_version: RateVersion(0),
            billed_in: Currency(0),
            conversion: ConversionChoice::None.into(),
            reserved: Reserved::default(),
        };
        let mut answers = Vec::new();
        say!("\nA card with 500 in its account, at a cash machine with ten notes of 50 and ten of 20:\n");
        for (trace, amount) in [(1, 120), (1, 120), (2, 450), (3, 200)] {
            let answer = self.ask(Command::Authorize(&authorize(trace, amount)))?;
            let Ok(Reply::Authorized(said)) = answer.reply() else { bail!("a withdrawal is answered") };
            let notes = said.notes.counts();
            say!(
                "  withdrawal {trace} of {amount}: code {:02} {:?}, {} × 50 and {} × 20, available {}",
                said.code.get() as u8,
                said.code.get(),
                notes[0],
                notes[1],
                said.available.0
            );
            answers.push(*said);
            if answers.len() == 1 {
                let complete = Complete { notes: Notes::new(notes), terminal, trace: Trace(1), date, reserved };
                self.ask(Command::Complete(&complete))?;
            }
        }
        ensure!(answers[0] == answers[1], "a repeat has the first answer");
        let reverse = Reverse { terminal, trace: Trace(3), date, reserved };
        let answer = self.ask(Command::Reverse(&reverse))?;
        let Ok(Reply::Ended(ended)) = answer.reply() else { bail!("a reversal is answered") };
        say!("  withdrawal 3 is taken back, since no notes came out: available {}", ended.available.0);
        say!("  Withdrawal 1 came twice and was paid once; 450 was more than there is; nothing was lost.");
        Ok(())
    }

    /// The capital of Tennessee, voted on by a hundred voters who prefer what is near: a textbook's example.
    fn elect(&mut self) -> anyhow::Result<()> {
        use votes::messages::{
            Action, CandidateId, CastBallot, Command, DefineElection, ElectionId, Event, Mark, Method, Phase,
            RegisterVoters, Reply, SetPhase, Standing, VoterEntry, VoterId,
        };
        const CITIES: [&str; 4] = ["Memphis", "Nashville", "Chattanooga", "Knoxville"];
        const ELECTORATE: [(u32, [u16; 4]); 4] =
            [(42, [1, 2, 3, 4]), (26, [2, 3, 4, 1]), (15, [3, 4, 2, 1]), (17, [4, 3, 2, 1])];
        let election = ElectionId(1);
        let terms: DefineElection = votes::workload::terms(election.0, Method::InstantRunoff, 4, 1, 100);
        self.ask(Command::DefineElection(&terms))?;
        let list = [VoterEntry::of_weight(1); 100];
        self.ask(Command::RegisterVoters(&RegisterVoters { election, first: VoterId(1) }, &list))?;
        let phase = |phase: Phase| SetPhase { election, phase: phase.into(), reserved: Reserved::default() };
        self.ask(Command::SetPhase(&phase(Phase::Open)))?;
        let (mut voter, mut first) = (0, None);
        for (count, ranking) in ELECTORATE {
            let mark = |(rank, city): (usize, &u16)| Mark {
                value: rank as u32 + 1,
                candidate: CandidateId(*city),
                reserved: Reserved::default(),
            };
            let marks = ranking.iter().enumerate().map(mark).collect::<Vec<_>>();
            for _ in 0..count {
                voter += 1;
                let answer = self.ask(Command::CastBallot(&CastBallot { election, voter: VoterId(voter) }, &marks))?;
                let Ok(Reply::BallotCast(cast)) = answer.reply() else { bail!("a ballot is answered") };
                first.get_or_insert((marks.clone(), cast.receipt));
            }
        }
        let (marks, receipt) = first.expect("somebody voted");
        let answer = self.ask(Command::CastBallot(&CastBallot { election, voter: VoterId(1) }, &marks))?;
        let Ok(Reply::BallotCast(again)) = answer.reply() else { bail!("a ballot is answered") };
        ensure!(again.receipt == receipt, "who says the same again gets the receipt that there is");
        let topic = Topic::new(votes::Votes::ID, votes::topics::COUNTS, election.0);
        self.client.subscribe(topic, 0)?;
        self.client.send(Command::SetPhase(&phase(Phase::Closed)))?;
        say!("\nA hundred voters rank four cities, and one of them votes twice. Counted by instant-runoff:\n");
        let (mut closed, mut elected, deadline) = (false, None, Instant::now() + Duration::from_secs(30));
        while !closed || elected.is_none() {
            ensure!(Instant::now() < deadline, "no count came");
            let Some(output) = self.client.poll(Duration::from_millis(100))? else { continue };
            match output.header.kind {
                kind::REPLY => {
                    closed = true;
                    self.acknowledged.push(Acknowledged::of(&output));
                }
                kind::EVENT => match output.decode()? {
                    Event::StageCounted(stage) if stage.action.get() == Action::FirstCount => say!("  first choices"),
                    Event::StageCounted(stage) => {
                        say!("  {} is excluded", CITIES[usize::from(stage.candidate.0) - 1]);
                    }
                    Event::CandidateCounted(row) if row.standing.get() != Standing::Excluded => {
                        let city = CITIES[usize::from(row.candidate.0) - 1];
                        say!("    {city:<12} {:>4} {:?}", row.votes.0 / votes::messages::VOTE, row.standing.get());
                        if row.standing.get() == Standing::Elected {
                            elected = Some(city);
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        self.client.unsubscribe(topic)?;
        say!(
            "  {} is elected. `ringfence votes publish` makes a board of it that anyone can count again.",
            elected.unwrap_or_default()
        );
        Ok(())
    }

    /// A slot sold at the second price until a budget is spent, to the cent.
    fn sell(&mut self) -> anyhow::Result<()> {
        use auction::messages::{
            AuctionRule, CampaignId, Command, CreativeId, EventKind, LineItemId, Phase, RecordEvent, Reply,
            SetCampaign, SetCreative, SetLineItem,
        };
        use auction::workload::{auction, campaign, creative, line_item, placement, slot};
        // Billionths of the currency for one impression: 5 for a thousand is 0.005 for one.
        const THOUSANDTH: u64 = 1_000_000;
        self.ask(Command::DefinePlacement(&placement(1, 1, AuctionRule::SecondPrice), &[slot(1_000_000)]))?;
        for (number, (bid, budget)) in (1..).zip([(5, 11), (4, 1_000), (2, 1_000)]) {
            let (bid, budget, phase) = (bid * THOUSANDTH, budget * THOUSANDTH, Phase::Active.into());
            self.ask(Command::DefineCampaign(&campaign(number, number, budget)))?;
            self.ask(Command::DefineLineItem(&line_item(number, number, budget, bid), &[]))?;
            self.ask(Command::DefineCreative(&creative(number, number)))?;
            let campaign = CampaignId(number);
            self.ask(Command::SetCampaign(&SetCampaign { campaign, phase, reserved: Reserved::default() }))?;
            let item = LineItemId(number);
            self.ask(Command::SetLineItem(&SetLineItem { item, phase, reserved: Reserved::default() }))?;
            let creative = CreativeId(number);
            self.ask(Command::SetCreative(&SetCreative { creative, phase, reserved: Reserved::default() }))?;
        }
        say!(
            "\nThree advertisers bid 5, 4 and 2 for a thousand impressions, and the first has 0.011 to spend. At the second price:\n"
        );
        for number in 1..=4 {
            let answer = self.ask(Command::HoldAuction(&auction(1), &[]))?;
            let Ok(Reply::AuctionHeld(held)) = answer.reply() else { bail!("an auction is answered") };
            let (win, price, winner) = (held.win, held.price.0, held.item);
            say!("  auction {number}: advertiser {winner} wins an impression at 0.{:03}", price / THOUSANDTH);
            let seen =
                RecordEvent { win, kind: EventKind::Impression.into(), reserved: Reserved::default(), source: 0 };
            self.ask(Command::RecordEvent(&seen))?;
        }
        say!("  The first is out when what is left no longer covers its price, and is never billed a cent over.");
        Ok(())
    }
}
