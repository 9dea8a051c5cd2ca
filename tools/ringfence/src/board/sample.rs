//! Ballots drawn for an audit: each has a ticket, the SHA-256 of the seed, a comma and its receipt, and the lowest tickets are
//! drawn. Who knows the seed draws the same, in any language (Rivest, *Consistent Sampling with Replacement*, 2018, without
//! replacement).

use super::Ballot;
use base16ct::lower::encode_string as hex;
use sha2::{Digest as _, Sha256};

/// Draws `count` of the ballots; gives each with its ticket, lowest first.
#[must_use]
pub fn draw<'a>(ballots: &[Ballot<'a>], seed: &str, count: usize) -> Vec<(String, Ballot<'a>)> {
    let ticket = |ballot: &Ballot<'a>| hex(&Sha256::digest(format!("{seed},{}", ballot.receipt)));
    let mut drawn = ballots.iter().map(|ballot| (ticket(ballot), *ballot)).collect::<Vec<_>>();
    drawn.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    drawn.truncate(count);
    drawn
}
