//! Tokens of anonymous elections.

use super::super::Votes;
use super::super::messages::{
    AnonymousBallotCast, CastOutcome, DeclineReason, ElectionId, IssueToken, Mark, Phase, Receipt, Reject, Reply,
    Secrecy, TokenIssued, TokenOutcome,
};
use super::{Declining, Model, NOBODY, read};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Timestamp};

impl Model {
    pub(super) fn issue(&mut self, command: IssueToken, out: &mut Out<'_, Votes>) -> Result<Declining, Reject> {
        let IssueToken { blinded, election: id, voter } = command;
        if blinded == 0 {
            return Err(Reject::BadToken);
        }
        let election = &self.elections[&id.0];
        let registered = self.roll_of(election).contains_key(&voter.0);
        let known = election.tokens.get(&voter.0).copied();
        let (secret, phase) = (election.terms.secrecy.get() == Secrecy::Anonymous, election.phase);
        let declined = |reason| Ok(Some((voter, reason)));
        if !secret {
            return declined(DeclineReason::NotAnonymous);
        }
        if !registered {
            return declined(DeclineReason::NotRegistered);
        }
        if known.is_some_and(|known| known != blinded) {
            return declined(DeclineReason::TokenIssued);
        }
        if known.is_none() && phase >= Phase::Closed {
            return declined(DeclineReason::WrongPhase);
        }
        self.at(id).tokens.insert(voter.0, blinded);
        let outcome = if known.is_some() { TokenOutcome::IssuedBefore } else { TokenOutcome::Issued }.into();
        out.reply(Reply::TokenIssued(&TokenIssued { election: id, voter, outcome, reserved: Reserved::default() }));
        Ok(None)
    }

    pub(super) fn cast_anonymously(
        &mut self,
        now: Timestamp,
        id: ElectionId,
        nullifier: [u8; 32],
        marks: &[Mark],
        out: &mut Out<'_, Votes>,
    ) -> Result<Declining, Reject> {
        let election = self.elections[&id.0].clone();
        let (receipt, outcome) = if let Some((receipt, _)) = election.spent.get(&nullifier) {
            (*receipt, CastOutcome::AlreadyCast)
        } else {
            if election.terms.secrecy.get() != Secrecy::Anonymous {
                return Ok(Some((NOBODY, DeclineReason::NotAnonymous)));
            }
            if election.phase != Phase::Open {
                return Ok(Some((NOBODY, DeclineReason::WrongPhase)));
            }
            if election.spent.len() >= election.tokens.len() {
                return Ok(Some((NOBODY, DeclineReason::NoToken)));
            }
            let spent: usize = self.elections.values().map(|election| election.spent.len()).sum();
            if spent as u64 >= self.limits.nullifiers {
                return Err(Reject::NullifiersFull);
            }
            let paper = read(&election.terms, marks)?;
            self.keep(id, &paper)?;
            self.receipts += 1;
            let receipt = self.receipts;
            self.at(id).spent.insert(nullifier, (receipt, paper));
            (receipt, CastOutcome::Counted)
        };
        let (receipt, reserved) = (Receipt(receipt), Reserved::default());
        let said = AnonymousBallotCast { receipt, election: id, outcome: outcome.into(), reserved };
        out.reply(Reply::AnonymousBallotCast(&said));
        if outcome == CastOutcome::Counted {
            self.changed(id.0, 0, now, out);
        }
        Ok(None)
    }
}
