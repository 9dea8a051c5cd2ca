//! The registrar: it signs a voter's blinded token when the engine says that the voter may have it.

use crate::LINE_BYTES_MAX;
use crate::token::{Signing, fingerprint};
use anyhow::{Context as _, ensure};
use base16ct::lower::encode_string as hex;
use base16ct::mixed::decode_vec as unhex;
use ringfence_client::Client;
use ringfence_domains::votes::messages::Command;
use ringfence_domains::votes::messages::{ElectionId, IssueToken, Reply, VoterId};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    voter: u32,
    blinded: String,
}

/// What a voter is told.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The blinded token, signed.
    Signed {
        /// Whose.
        voter: u32,
        /// The blind signature.
        signature: String,
    },
    /// The voter may not have it.
    Refused {
        /// Whose.
        voter: u32,
        /// Why, as the engine says.
        refused: String,
    },
}

/// Answers a line, whose sender made sure who the voter is.
///
/// # Errors
/// When the line is no request, or the engine cannot be reached.
pub fn answer(client: &mut Client, key: &Signing, election: u32, line: &str) -> anyhow::Result<Answer> {
    ensure!(line.len() <= LINE_BYTES_MAX, "a line of {} bytes, {LINE_BYTES_MAX} at most", line.len());
    let Request { voter, blinded } = serde_json::from_str(line).context("the line is no request")?;
    let bytes = unhex(&blinded)?;
    let refused = |why: String| Ok(Answer::Refused { voter, refused: why });
    // The fingerprint is of the signature: whoever blinds cannot look for two tokens that have the same.
    let signature = match key.blind_sign(&bytes) {
        Ok(signature) => signature,
        Err(error) => return refused(error.to_string()),
    };
    let command =
        IssueToken { blinded: fingerprint(&signature), election: ElectionId(election), voter: VoterId(voter) };
    let answer = client.call(Command::IssueToken(&command))?;
    match answer.reply() {
        Ok(Reply::TokenIssued(_)) => Ok(Answer::Signed { voter, signature: hex(&signature) }),
        Ok(Reply::Declined(declined)) => refused(format!("{:?}", declined.reason.get())),
        Ok(other) => anyhow::bail!("the engine answered {other:?}"),
        Err(error) => refused(error.to_string()),
    }
}
