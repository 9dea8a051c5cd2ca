//! Orders that meet each other: same numbers, same prices.

use super::keep;
use crate::matching::messages::{Scope, TimeInForce};

pub(in crate::fuzz) fn matching(name: &str, body: &mut [u8]) {
    match name {
        "NewOrder" => {
            let [side, time_in_force, order_type, expires] = core::array::from_fn(|at| body[44 + at]);
            for (at, mask) in [(0, 15), (8, 15), (16, 31), (24, if time_in_force > 200 { 15 } else { 0 }), (32, 0)] {
                keep(at, 8, mask, body);
            }
            keep(40, 4, 3, body);
            // Most of what comes are limit orders that rest, for the others to meet.
            let (time_in_force, order_type) = (time_in_force % 12, order_type % 12);
            let [time_in_force, order_type] = [time_in_force, order_type].map(|code| if code > 5 { 1 } else { code });
            (body[44], body[45], body[46], body[47]) = (1 + side % 2, time_in_force.max(1), order_type.max(1), 1);
            if body[45] == TimeInForce::GoodTillDate as u8 {
                let expires = 1_000_000_000 + u32::from(expires);
                body[32..36].copy_from_slice(&expires.to_le_bytes());
            }
            if matches!(body[46], 2 | 3) {
                body[8] = 0;
            }
        }
        "NewStop" => {
            let [side, time_in_force, order_type, expires] = core::array::from_fn(|at| body[52 + at]);
            for (at, mask) in [(0, 15), (8, 15), (16, 15), (24, 3), (32, 31), (40, 0)] {
                keep(at, 8, mask, body);
            }
            keep(48, 4, 3, body);
            (body[52], body[53], body[54], body[55]) = (1 + side % 2, 1 + time_in_force % 5, 1 + order_type % 3, 1);
            if body[53] == TimeInForce::GoodTillDate as u8 {
                let expires = 1_000_000_000 + u32::from(expires);
                body[40..44].copy_from_slice(&expires.to_le_bytes());
            }
            body[if body[54] == 1 { 24 } else { 16 }] = 0;
        }
        "NewReserve" => {
            let [side, time_in_force] = [body[52], body[53]];
            for (at, mask) in [(0, 15), (8, 15), (16, 31), (24, 7), (32, 15), (40, 0)] {
                keep(at, 8, mask, body);
            }
            keep(48, 4, 3, body);
            body[24] = body[24].min(body[16].saturating_sub(1));
            body[32] = if body[24] == 0 { body[32].min(body[16]) } else { 0 };
            (body[52], body[53], body[54], body[55]) = (1 + side % 2, 1 + 4 * (time_in_force % 2), 1, 0);
        }
        "NewPeg" => {
            let [side, time_in_force, peg] = [body[52], body[53], body[54]];
            for (at, mask) in [(0, 15), (8, 15), (16, 3), (24, 31), (32, 15), (40, 0)] {
                keep(at, 8, mask, body);
            }
            keep(48, 4, 3, body);
            body[32] = body[32].min(body[24]);
            (body[52], body[53], body[54], body[55]) = (1 + side % 2, 1 + 4 * (time_in_force % 2), 1 + peg % 5, 1);
            match body[54] {
                3 => body[16] = 0,
                // Displayed: without a minimum, and below zero of the other side's best.
                4 => body[32] = 0,
                5 => {
                    body[32] = 0;
                    let offset = -1 - i64::from(body[16]);
                    body[16..24].copy_from_slice(&offset.to_le_bytes());
                }
                _ => {}
            }
        }
        "GetOrder" => keep(0, 8, 15, body),
        "GetOpenOrders" | "GetAccount" => body.fill(0),
        "GetBook" | "GetStatistics" => {
            keep(0, 4, 3, body);
            keep(4, 4, if name == "GetBook" { 3 } else { 0 }, body);
        }
        "SetPhase" => {
            keep(0, 4, 3, body);
            // Mostly where something comes of orders.
            body[4] = [1, 1, 1, 2, 3, 4, 5, 6, 3, 1, 3, 7, 9, 8, 3, 10][usize::from(body[4] % 16)];
            body[5..].fill(0);
        }
        "SetBands" => {
            for (at, mask) in [(0, 15), (8, 7), (16, 3), (24, 63)] {
                keep(at, 8, mask, body);
            }
            keep(32, 4, 3, body);
            body[36..].fill(0);
        }
        "SetAllocation" => {
            keep(0, 8, 3, body);
            keep(8, 4, 3, body);
            body[12] = [1, 2, 3, 3][usize::from(body[12] % 4)];
            body[13..].fill(0);
            if body[12] == 1 {
                body[0] = 0;
            }
        }
        "SetSettlement" => {
            for (at, mask) in [(0, 1), (8, 1), (16, 0), (24, 0)] {
                keep(at, 8, mask, body);
            }
            keep(32, 4, 3, body);
            body[36..].fill(0);
            let fees = [body[33] / 2, body[34]];
            (body[0], body[8], body[16], body[20]) = (1, 1, 1, 2);
            for (at, fee) in [(24, fees[0]), (28, fees[1])] {
                body[at..at + 4].copy_from_slice(&(i32::from(fee) * 390).to_le_bytes());
            }
        }
        "Transfer" => {
            keep(0, 8, 31, body);
            keep(8, 8, 255, body);
            keep(16, 4, 3, body);
            keep(20, 4, 1, body);
            body[20] += 1;
            body[24] = if body[24] < 200 { 1 } else { 2 };
            body[25..].fill(0);
        }
        "SetHoldingLimit" => {
            keep(0, 8, 63, body);
            keep(8, 4, 3, body);
            keep(12, 4, 1, body);
            body[12] += 1;
        }
        "SetOrderFeed" => {
            keep(0, 4, 3, body);
            body[4] = 2 - body[4] % 4 / 3;
            body[5..].fill(0);
        }
        "SetDropCopy" => (0..8).step_by(4).for_each(|at| keep(at, 4, 3, body)),
        "GetBalances" => body.fill(0),
        "GetAsset" => {
            keep(0, 4, 1, body);
            body[0] += 1;
            body[4..].fill(0);
        }
        "SetTicks" => {
            keep(0, 4, 3, body);
            body[4..8].fill(0);
            for (turn, band) in (0..).zip(body[16..].chunks_exact_mut(16)) {
                let tick = 1 + band[8] % 3;
                let from = (3 * turn + 2) / tick * tick;
                band.fill(0);
                (band[0], band[8]) = (from, tick);
            }
        }
        "SetSchedule" => {
            keep(0, 4, 3, body);
            body[4..8].fill(0);
            for (turn, entry) in (0..).zip(body[16..].chunks_exact_mut(16)) {
                let time = 1_000_000_000 + 40 * turn + u64::from(entry[0] % 48);
                entry[..8].copy_from_slice(&time.to_le_bytes());
                entry[8] = 1 + entry[8] % 5;
                entry[9..].fill(0);
            }
        }
        "Replace" => {
            for (at, mask) in [(0, 15), (8, 15), (16, 31)] {
                keep(at, 8, mask, body);
            }
        }
        "ReplaceStop" => {
            for (at, mask) in [(0, 15), (8, 15), (16, 15), (24, 3), (32, 31)] {
                keep(at, 8, mask, body);
            }
            // Half of them as stops that become market orders.
            body[if body[32].is_multiple_of(2) { 24 } else { 16 }] = 0;
        }
        "ReplaceReserve" => {
            for (at, mask) in [(0, 15), (8, 15), (16, 31), (24, 7), (32, 15)] {
                keep(at, 8, mask, body);
            }
            body[24] = body[24].min(body[16].saturating_sub(1));
            body[32] = if body[24] == 0 { body[32].min(body[16]) } else { 0 };
        }
        "Cancel" | "Reduce" => {
            (0..body.len()).step_by(8).for_each(|at| keep(at, 8, 15, body));
        }
        "CancelMany" => {
            keep(0, 8, 0, body);
            (16..body.len()).step_by(8).for_each(|at| keep(at, 8, 15, body));
        }
        "MassCancel" => {
            let [scope, sides] = [body[24], body[25]];
            for (at, bytes, mask) in [(0, 8, 15), (8, 8, 15), (16, 4, 3), (20, 4, 3)] {
                keep(at, bytes, mask, body);
            }
            body[24..].fill(0);
            (body[24], body[25]) = (1 + scope % 3, 1 + sides % 3);
            if body[24] != Scope::Account as u8 {
                body[20] = 0;
            }
        }
        "SetKillSwitch" => {
            keep(0, 4, 3, body);
            // Mostly off, so that there is something to trade with.
            (body[4], body[5]) = (1 + u8::from(body[0] != 0), 1 + u8::from(body[5] < 8));
            body[6..].fill(0);
        }
        "SetLimits" => {
            keep(0, 8, 31, body);
            keep(8, 8, 127, body);
            keep(16, 4, 3, body);
            keep(20, 4, 7, body);
        }
        "SetSelfTrade" => {
            keep(0, 4, 3, body);
            keep(4, 4, 1, body);
            body[8] = 1 + body[8] % 5;
            body[9..].fill(0);
        }
        "SetOnDisconnect" => {
            body[0] = 1 + body[0] % 2;
            body[1..].fill(0);
        }
        "DefineInstrument" => {
            keep(0, 8, 0, body);
            keep(8, 8, 0, body);
            body[8] = 15;
            for at in [16, 24] {
                keep(at, 8, 0, body);
                body[at] = 1;
            }
            keep(32, 8, 3, body);
            keep(40, 8, 0, body);
            keep(48, 4, 3, body);
            keep(52, 4, 0, body);
        }
        _ => {}
    }
}
