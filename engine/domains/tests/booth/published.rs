//! What was published of a count, stage by stage.

use ringfence_domains::votes::messages::{Event, Standing};
use ringfence_kernel::OutputHeader;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::{image as bytes_of, message};

/// What was published of a stage, in the units of the method.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) votes: Vec<u64>,
    pub(crate) standing: Vec<Standing>,
    pub(crate) quota: u64,
    pub(crate) exhausted: u64,
}

/// The stages that were published, and who is tied at the end.
pub(crate) fn stages(outputs: &[Slot]) -> (Vec<Stage>, Vec<u16>) {
    let (mut stages, mut tied) = (Vec::<Stage>::new(), Vec::new());
    for slot in outputs {
        let bytes = bytes_of(slot);
        if OutputHeader::read(bytes).expect("it has one").kind != kind::EVENT {
            continue;
        }
        match Event::decode(message(bytes), &bytes[OUTPUT_HEADER_BYTES..]).expect("an event") {
            Event::StageCounted(stage) => {
                stages.push(Stage { quota: stage.quota.0, exhausted: stage.exhausted.0, ..Stage::default() });
            }
            Event::CandidateCounted(row) => {
                let stage = stages.last_mut().expect("a stage comes first");
                stage.votes.push(row.votes.0);
                stage.standing.push(row.standing.get());
            }
            Event::TieFound(tie) => tied.push(tie.candidate.0),
            _ => {}
        }
    }
    (stages, tied)
}
