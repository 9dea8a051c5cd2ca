//! Few elections, voters and candidates, and terms that make sense.

use super::keep;
use crate::votes::messages::{Fault, Method};
use crate::votes::workload::METHODS;

pub(in crate::fuzz) fn votes(name: &str, body: &mut [u8]) {
    match name {
        "DefineElection" => {
            let choices: [u8; 12] = core::array::from_fn(|at| body[52 + at]);
            (0..32).step_by(8).for_each(|at| keep(at, 8, 1, body));
            body[..24].fill(0);
            for (at, bytes) in [(32, 4), (36, 4), (40, 4), (44, 2), (46, 2), (48, 2), (50, 2)] {
                keep(at, bytes, 3, body);
            }
            for (at, most) in [3_u8, 2, 2, 2, 3, 3, 3, 2, 2, 2].into_iter().enumerate() {
                body[53 + at] = 1 + choices[1 + at] % most;
            }
            let method = METHODS[usize::from(choices[0]) % METHODS.len()];
            body[52] = method as u8;
            if !method.excludes() {
                body[60] = 1;
            }
            if method != Method::InstantRunoff {
                body[61..63].fill(1);
            }
            let passes = method.is_ranked() && body[58] == Fault::PassOver as u8;
            body[63] = if passes { choices[11] % 3 } else { 0 };
            // Three candidates, whom every method can elect one of.
            (body[44], body[46], body[48]) = (3, 1, 1 + body[48] % 3);
            if method.is_of_lists() {
                body[48] = 1;
            }
            if method != Method::Score {
                body[40] = 0;
            }
            body[50] = if method.gives_points() { body[50].max(1) } else { 0 };
            let secrecy = body[80] % 8;
            let (write_ins, hare) = (body[64] % 2, body[66] % 2);
            let (registration, roll, regions, wait) = (body[67] % 2, body[68] % 8, body[72] % 3, body[74] % 3);
            body[64..].fill(0);
            body[64] = write_ins;
            body[66] = if method.has_quota() { 1 + hare } else { 1 };
            let own = roll == 0 || roll > 3;
            (body[67], body[68]) = if own { (1 + registration, 0) } else { (1, roll) };
            body[72] = regions;
            let live = body[54] == 1;
            let secret = own && regions == 0 && secrecy == 1;
            (body[80], body[53]) = if secret { (2, 1) } else { (1, body[53]) };
            (body[74], body[76]) = if live { (0, wait) } else { (if wait == 0 { 0 } else { 1 + wait }, 0) };
        }
        "RegisterVoters" | "CastBallot" => {
            (0..8).step_by(4).for_each(|at| keep(at, 4, 3, body));
            entries(16, body);
        }
        "IssueToken" => {
            keep(0, 8, 3, body);
            (8..16).step_by(4).for_each(|at| keep(at, 4, 3, body));
        }
        "CastAnonymously" => {
            let token = body[0] & 7;
            body[..32].fill(token);
            keep(32, 4, 3, body);
            body[36..40].fill(0);
            entries(48, body);
        }
        "CastOnline" => {
            (0..16).step_by(8).for_each(|at| keep(at, 8, 3, body));
            (16..24).step_by(4).for_each(|at| keep(at, 4, 3, body));
            entries(32, body);
        }
        "SetScreening" => {
            (0..20).step_by(4).for_each(|at| keep(at, 4, 3, body));
            body[8] = if body[4] == 0 { 0 } else { body[8].max(1) };
            (20..23).for_each(|at| body[at] = 1 + body[at] % 2);
            body[23] = 0;
        }
        "SettleBallot" => {
            (0..8).step_by(4).for_each(|at| keep(at, 4, 3, body));
            body[8] = 1 + body[8] % 2;
            body[9..].fill(0);
        }
        "SetPhase" => {
            keep(0, 4, 3, body);
            body[4] = 1 + body[4] % 4;
            body[5..].fill(0);
        }
        "DecideTie" | "DeclareWriteIn" => {
            keep(0, 4, 3, body);
            (4..8).step_by(2).for_each(|at| keep(at, 2, if name == "DecideTie" || at == 4 { 3 } else { 0 }, body));
        }
        _ => (0..body.len())
            .step_by(4)
            .for_each(|at| keep(at, 4, if at == 0 || name == "SpoilBallot" { 3 } else { 0 }, body)),
    }
}

/// Small values with a small candidate or region, from a place on.
fn entries(from: usize, body: &mut [u8]) {
    for at in (from..body.len()).step_by(8) {
        keep(at, 4, 3, body);
        keep(at + 4, 2, 3, body);
        body[at + 6..at + 8].fill(0);
    }
}
