//! What is strange about ballots that are cast online, looked for among all that was seen.

use super::super::messages::{
    BallotFlagged, BallotSettled, DeclineReason, ElectionId, Event, Phase, Precaution, QuarantineEnded,
    QuarantineEnding, Receipt, Reject, Reply, ScreeningSet, Secrecy, SetScreening, Verdict, VoterId,
};
use super::super::{Votes, topics};
use super::{Declining, Model, NOBODY, Paper};
use alloc::collections::{BTreeMap, BTreeSet};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Timestamp};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    pub(super) source: u64,
    pub(super) device: u64,
}

/// What is known of a source.
#[derive(Clone, Debug, Default)]
struct Known {
    /// When the period began in which it cast so many ballots.
    period: u64,
    ballots: u64,
    attempts: u64,
}

#[derive(Clone, Debug)]
pub(super) struct HeldPaper {
    pub(super) receipt: u64,
    pub(super) paper: Paper,
}

/// The rules of one election and what they have seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Screening {
    rules: Option<SetScreening>,
    sources: BTreeMap<u64, Known>,
    devices: BTreeMap<u64, BTreeSet<u32>>,
    pub(super) held: BTreeMap<u32, HeldPaper>,
}

impl Screening {
    /// Sources, devices, and voters on devices.
    fn sightings(&self) -> u64 {
        let voters: usize = self.devices.values().map(BTreeSet::len).sum();
        (self.sources.len() + self.devices.len() + voters) as u64
    }
}

/// A screening with a ballot noted, and the rules that the ballot meets, with what they ask for.
pub(super) struct Screened {
    noted: Screening,
    met: BTreeMap<u8, Precaution>,
}

impl Model {
    pub(super) fn set_screening(
        &mut self,
        rules: &SetScreening,
        out: &mut Out<'_, Votes>,
    ) -> Result<Declining, Reject> {
        if (rules.source_ballots == 0) != (rules.period == 0) {
            return Err(Reject::BadScreening);
        }
        let election = self.at(rules.election);
        if election.terms.secrecy.get() == Secrecy::Anonymous {
            return Ok(Some((NOBODY, DeclineReason::Anonymous)));
        }
        if election.phase >= Phase::Closed {
            return Ok(Some((NOBODY, DeclineReason::WrongPhase)));
        }
        election.screening.rules = Some(*rules);
        let (election, reserved) = (rules.election, Reserved::default());
        out.reply(Reply::ScreeningSet(&ScreeningSet { election, reserved }));
        Ok(None)
    }

    fn sightings_with(&self, id: ElectionId, noted: &Screening) -> u64 {
        let others = self.elections.iter().filter(|(other, _)| **other != id.0);
        others.map(|(_, election)| election.screening.sightings()).sum::<u64>() + noted.sightings()
    }

    /// What the rules say of a ballot, when there is room for it.
    pub(super) fn screened(
        &self,
        now: Timestamp,
        id: ElectionId,
        voter: VoterId,
        Origin { source, device }: Origin,
    ) -> Result<Screened, Reject> {
        let mut noted = self.elections[&id.0].screening.clone();
        let mut met = BTreeMap::new();
        let Some(rules) = noted.rules else { return Ok(Screened { noted, met }) };
        if source != 0 && (rules.source_ballots > 0 || rules.attempts_max > 0) {
            let known = noted.sources.entry(source).or_default();
            if rules.source_ballots > 0 {
                let length = u64::from(rules.period) * 1_000;
                let period = now.0 / length * length;
                if known.period != period {
                    (known.period, known.ballots) = (period, 0);
                }
                known.ballots += 1;
                if known.ballots > rules.source_ballots.into() {
                    met.insert(1, rules.source_precaution.get());
                }
            }
            if rules.attempts_max > 0 && known.attempts > rules.attempts_max.into() {
                met.insert(4, rules.attempts_precaution.get());
            }
        }
        if device != 0 && rules.device_voters > 0 {
            let voters = noted.devices.entry(device).or_default();
            voters.insert(voter.0);
            if voters.len() as u64 > rules.device_voters.into() {
                met.insert(2, rules.device_precaution.get());
            }
        }
        if self.sightings_with(id, &noted) > self.limits.sightings {
            return Err(Reject::SightingsFull);
        }
        let held: usize = self.elections.values().map(|election| election.screening.held.len()).sum();
        if met.values().any(|asked| *asked == Precaution::Quarantine) && held as u64 == self.limits.quarantine {
            return Err(Reject::QuarantineFull);
        }
        Ok(Screened { noted, met })
    }

    /// Keeps what was noted and says what is strange. Whether the ballot is in quarantine.
    pub(super) fn screen(
        &mut self,
        id: ElectionId,
        voter: VoterId,
        origin: Origin,
        screened: Screened,
        paper: &Paper,
        out: &mut Out<'_, Votes>,
    ) -> bool {
        let receipt = self.receipts;
        let known = &mut self.at(id).screening;
        (known.sources, known.devices) = (screened.noted.sources, screened.noted.devices);
        let Some(precaution) = screened.met.values().max().copied() else { return false };
        let held = precaution == Precaution::Quarantine;
        if held {
            known.held.insert(voter.0, HeldPaper { receipt, paper: paper.clone() });
        }
        flagged(id, receipt, voter, origin, screened.met.keys().sum(), precaution, out);
        held
    }

    pub(super) fn note_attempt(
        &mut self,
        id: ElectionId,
        voter: VoterId,
        origin: Origin,
        out: &mut Out<'_, Votes>,
    ) -> Result<(), Reject> {
        let mut noted = self.elections[&id.0].screening.clone();
        let Some(rules) = noted.rules.filter(|rules| rules.attempts_max > 0 && origin.source != 0) else {
            return Ok(());
        };
        let known = noted.sources.entry(origin.source).or_default();
        known.attempts += 1;
        let over = known.attempts == u64::from(rules.attempts_max) + 1;
        if self.sightings_with(id, &noted) > self.limits.sightings {
            return Err(Reject::SightingsFull);
        }
        self.at(id).screening = noted;
        if over {
            flagged(id, 0, voter, origin, 4, rules.attempts_precaution.get(), out);
        }
        Ok(())
    }

    pub(super) fn end_quarantine(
        &mut self,
        id: ElectionId,
        voter: VoterId,
        ending: QuarantineEnding,
        out: &mut Out<'_, Votes>,
    ) -> HeldPaper {
        let held = self.at(id).screening.held.remove(&voter.0).expect("it was looked for");
        let (receipt, ending, reserved) = (Receipt(held.receipt), ending.into(), Reserved::default());
        let ended = QuarantineEnded { receipt, voter, ending, reserved };
        out.publish(topics::SCREENING, id.0, Event::QuarantineEnded(&ended));
        held
    }

    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        id: ElectionId,
        voter: VoterId,
        verdict: Verdict,
        out: &mut Out<'_, Votes>,
    ) -> Declining {
        if !self.at(id).screening.held.contains_key(&voter.0) {
            return Some((voter, DeclineReason::NotHeld));
        }
        let counts = verdict == Verdict::Count;
        let ending = if counts { QuarantineEnding::Counted } else { QuarantineEnding::Rejected };
        let HeldPaper { receipt, paper } = self.end_quarantine(id, voter, ending, out);
        if counts {
            self.at(id).cast.insert(voter.0, (receipt, paper));
        }
        let (receipt, verdict, reserved) = (Receipt(receipt), verdict.into(), Reserved::default());
        out.reply(Reply::BallotSettled(&BallotSettled { receipt, election: id, voter, verdict, reserved }));
        let election = &self.elections[&id.0];
        if election.phase == Phase::Closed {
            self.count_when_settled(id, out);
        } else if counts {
            let region = self.roll_of(election)[&voter.0].region;
            self.changed(id.0, region, now, out);
        }
        None
    }
}

fn flagged(
    id: ElectionId,
    receipt: u64,
    voter: VoterId,
    Origin { source, device }: Origin,
    rules: u8,
    precaution: Precaution,
    out: &mut Out<'_, Votes>,
) {
    let (receipt, precaution, reserved) = (Receipt(receipt), precaution.into(), Reserved::default());
    let said = BallotFlagged { receipt, source, device, voter, rules, precaution, reserved };
    out.publish(topics::SCREENING, id.0, Event::BallotFlagged(&said));
}
