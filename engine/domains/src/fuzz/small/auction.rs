//! Few of everything, and terms that make sense.

use super::keep;

pub(in crate::fuzz) fn auction(name: &str, body: &mut [u8]) {
    let number = |at: usize, body: &mut [u8]| {
        body[at] = 1 + body[at] % 2;
        body[at + 1..at + 4].fill(0);
    };
    // A cap at `at` with its period at `period`: none, or of few slots.
    let few_shown = |at: usize, period: usize, body: &mut [u8]| {
        let kind = body[period] % 5;
        keep(at, 4, 3, body);
        body[at] = if kind == 0 { 0 } else { body[at].max(1) };
        body[period] = 1 + kind;
    };
    match name {
        "DefineCampaign" => {
            body[2..8].fill(0);
            keep(8, 8, 0, body);
            number(16, body);
            number(20, body);
            body[25] = 0;
            few_shown(28, 26, body);
            body[27] = 0;
        }
        "DefineAdvertiser" => {
            body[2..8].fill(0);
            keep(8, 8, 0, body);
            number(16, body);
            body[21..].fill(0);
        }
        "DefineCreative" => {
            number(0, body);
            // The first line item has none.
            body[4..8].copy_from_slice(&2_u32.to_le_bytes());
            keep(8, 4, 1, body);
            keep(12, 4, 3, body);
            body[12] |= 1;
            few_shown(16, 20, body);
            body[21..].fill(0);
        }
        "DefineLineItem" => {
            let model = body[69] % 3;
            body[2..8].fill(0);
            keep(8, 8, 0, body);
            keep(16, 8, 15, body);
            keep(24, 8, 0, body);
            body[32..40].fill(255);
            keep(40, 8, 127, body);
            number(48, body);
            number(52, body);
            body[56..60].copy_from_slice(&1_000_000_u32.to_le_bytes());
            body[60..64].copy_from_slice(&1_000_000_u32.to_le_bytes());
            few_shown(64, 68, body);
            body[69] = 1 + model;
            body[70] %= 2;
            body[71..120].fill(0);
            keep(120, 8, 127, body);
            keep(128, 8, 127, body);
            for (rank, at) in (144..body.len()).step_by(8).enumerate() {
                let mode = 1 + body[at + 5] % 2;
                body[at..at + 8].copy_from_slice(&[rank as u8, 0, 0, 0, 1, mode, 0, 0]);
            }
        }
        "DefinePlacement" => {
            keep(0, 8, 7, body);
            number(16, body);
            number(20, body);
            keep(24, 4, 255, body);
            body[28] = 1 + body[28] % 4;
            body[29..32].fill(0);
            for at in (40..body.len()).step_by(8) {
                body[at..at + 8].copy_from_slice(&[100, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
        "SetCampaign" | "SetLineItem" | "SetCreative" => {
            number(0, body);
            body[4] = if body[4].is_multiple_of(8) { 1 + body[4] / 64 } else { 2 };
            body[5..].fill(0);
        }
        "SetBid" => {
            keep(0, 8, 15, body);
            number(8, body);
            body[12..16].copy_from_slice(&1_000_000_u32.to_le_bytes());
            body[16..20].copy_from_slice(&500_000_u32.to_le_bytes());
            body[20..].fill(0);
        }
        "SetFloor" => {
            keep(0, 8, 7, body);
            keep(8, 8, 3, body);
        }
        "HoldAuction" => {
            keep(0, 8, 3, body);
            keep(8, 8, 7, body);
            keep(16, 8, 255, body);
            let slots = body[22] % 4;
            number(16, body);
            (body[22], body[23]) = (slots, 0);
            for (rank, at) in (32..body.len()).step_by(16).enumerate() {
                // Values, and behind them bids made elsewhere, three of each bidder.
                let bid = if rank < 2 { 0 } else { body[at] % 2 };
                let (dimension, value, most) = if rank < 2 { (1, rank, 0) } else { (14, rank / 3, rank / 3 % 3) };
                body[at..at + 16].fill(0);
                (body[at], body[at + 8], body[at + 12], body[at + 13]) = (bid, value as u8, dimension, most as u8);
            }
        }
        "DefineBuckets" => {
            let rounding = 1 + body[1] % 4;
            body[0] = 1 + body[0] % 2;
            body[1] = rounding;
            body[2..8].fill(0);
            for at in (16..body.len()).step_by(24) {
                let (max, increment) = (1 + body[at + 8] % 16, body[at + 16]);
                body[at..at + 24].fill(0);
                (body[at + 8], body[at + 16]) = (max, 1 + increment % max);
            }
        }
        "SetRate" => {
            keep(0, 8, 255, body);
            (body[3], body[8]) = (1, 1 + body[8] % 2);
            body[9..].fill(0);
        }
        "RecordConversion" => {
            keep(0, 8, 3, body);
            number(8, body);
            keep(12, 4, 3, body);
        }
        "ReportHour" => {
            keep(0, 4, 3, body);
            number(4, body);
            keep(8, 8, 0, body);
        }
        "SetTraffic" => {
            keep(0, 8, 3, body);
            keep(8, 8, 127, body);
            keep(16, 4, 7, body);
            keep(20, 4, 7, body);
        }
        "ListSource" => {
            keep(0, 4, 3, body);
            keep(4, 4, 1, body);
        }
        "ReleaseWin" => {
            // Few, of one of the first 256 commands.
            let kept = body[2] < 64;
            keep(2, 6, 0, body);
            (body[0], body[1]) = if kept { (body[0] & !7, body[1] & 7) } else { (0, 0) };
        }
        "RecordEvent" => {
            // Of one of the first 256 commands, the first slot.
            keep(2, 6, 0, body);
            (body[0], body[1]) = (body[0] & !7, body[1] & 7);
            body[8] = 1 + body[8] % 3;
            body[9..12].fill(0);
            // Mostly of a source that is not known.
            let source = if body[12] < 64 { body[12] % 4 } else { 0 };
            body[12] = source;
            body[13..].fill(0);
        }
        _ => keep(0, 8, 3, body),
    }
}
