//! Few accounts, cards, terminals and names, one currency, and amounts that notes pay.

use super::keep;

pub(in crate::fuzz) fn atm(name: &str, body: &mut [u8]) {
    let one_of = |at: usize, choices: &[u8], body: &mut [u8]| {
        body[at] = choices[usize::from(body[at]) % choices.len()];
    };
    match name {
        "OpenAccount" => {
            keep(0, 8, 3, body);
            keep(8, 8, 0, body);
            keep(16, 2, 0, body);
            one_of(16, &[1, 1, 2], body);
            if body[16] == 0 {
                body[16] = 1;
            }
            one_of(18, &[1, 2], body);
            body[19..].fill(0);
        }
        "TransferLinked" => {
            body[..8].fill(0);
            for at in (16..body.len()).step_by(56) {
                for (place, mask) in [(0, 15), (8, 3), (16, 3), (24, 15), (32, 15), (40, 7)] {
                    keep(at + place, 8, mask, body);
                }
                one_of(at + 48, &[1, 1, 2, 2, 3, 4], body);
                if body[at + 48] < 3 {
                    body[at + 32] = 0;
                } else {
                    (body[at + 8], body[at + 16]) = (0, 0);
                }
                body[at + 49..at + 56].fill(0);
            }
        }
        "SetCard" => {
            keep(0, 16, 1, body);
            (32..56).step_by(8).for_each(|at| keep(at, 8, 3, body));
            keep(56, 8, 0xff, body);
            keep(64, 8, 0xff, body);
            keep(72, 8, 3, body);
            keep(80, 4, 3, body);
            keep(84, 4, 0, body);
            keep(92, 4, 3, body);
            one_of(96, &[1, 1, 1, 2, 3, 4, 5, 6], body);
            body[97..].fill(0);
        }
        "SetCardStatus" => {
            keep(0, 16, 1, body);
            one_of(16, &[1, 1, 2, 6], body);
            body[17..].fill(0);
        }
        "ReplaceCard" => {
            keep(0, 16, 1, body);
            keep(16, 16, 3, body);
            keep(48, 4, 0, body);
        }
        "SetTerminal" => {
            keep(0, 8, 1, body);
            body[0] += 6;
            keep(8, 8, 0, body);
            keep(16, 8, 0, body);
            keep(24, 8, 7, body);
            keep(32, 4, 3, body);
            keep(36, 4, 0, body);
            body[36] = 1;
        }
        "SetService" => {
            keep(0, 4, 1, body);
            one_of(4, &[1, 1, 1, 2], body);
            body[5..].fill(0);
        }
        "LoadCash" | "CountCash" => {
            keep(0, 8, 3, body);
            keep(8, 8, 1, body);
            for at in (24..body.len()).step_by(8) {
                let (first, second) = if name == "LoadCash" { (1, 7) } else { (15, 0) };
                keep(at, 4, first, body);
                keep(at + 4, 4, second, body);
            }
        }
        "UnloadCash" => {
            keep(0, 8, 3, body);
            keep(8, 8, 1, body);
        }
        "CaptureCard" => {
            keep(0, 16, 1, body);
            keep(16, 8, 1, body);
        }
        "Cutover" => keep(0, 8, 3, body),
        "Authorize" => {
            keep(0, 16, 1, body);
            keep(16, 8, 15, body);
            keep(24, 8, 1, body);
            keep(32, 8, 15, body);
            keep(40, 4, 1, body);
            keep(44, 4, 7, body);
            keep(48, 8, 1, body);
            keep(52, 4, 0, body);
            one_of(56, &[1, 1, 1, 2], body);
            one_of(57, &[1, 1, 1, 31, 38, 40], body);
            one_of(58, &[0, 10, 20, 30], body);
            one_of(59, if body[57] == 40 { &[10, 20, 30] } else { &[0] }, body);
            one_of(66, &[0, 0, 1, 1, 2], body);
            let (billed, version) = (body[32], body[60] % 4);
            body[60..66].fill(0);
            if body[66] == 1 {
                (body[60], body[64]) = (version, 2);
            } else if billed != 15 {
                body[32] = 0;
            }
            body[67..].fill(0);
        }
        "ChangePin" => {
            keep(0, 16, 1, body);
            keep(16, 16, 1, body);
            keep(32, 4, 1, body);
            keep(36, 4, 7, body);
            keep(40, 8, 1, body);
            keep(44, 4, 1, body);
            one_of(48, &[1, 1, 1, 2], body);
            body[49..].fill(0);
        }
        "Complete" => {
            keep(0, 8, 7, body);
            keep(8, 4, 1, body);
            keep(12, 4, 7, body);
            keep(16, 8, 1, body);
        }
        "SetAcquirer" => {
            keep(0, 8, 3, body);
            keep(8, 8, 7, body);
            keep(16, 4, 3, body);
            keep(20, 4, 0, body);
            body[20] = 1;
        }
        "Advise" => {
            keep(0, 16, 1, body);
            keep(16, 8, 15, body);
            keep(24, 4, 3, body);
            keep(28, 4, 7, body);
            keep(32, 4, 1, body);
            one_of(36, &[0, 10, 20, 30], body);
            body[37..].fill(0);
        }
        "SetIssuer" => {
            keep(0, 8, 3, body);
            (8..32).step_by(8).for_each(|at| keep(at, 8, 15, body));
            keep(32, 4, 3, body);
            keep(36, 4, 3, body);
        }
        "SetRoute" => {
            keep(0, 4, 1, body);
            one_of(4, &[1, 1, 1, 2], body);
            keep(5, 3, 0, body);
            body[6] = 1;
        }
        "Forward" => {
            keep(0, 16, 1, body);
            keep(16, 8, 15, body);
            keep(24, 4, 3, body);
            keep(28, 4, 7, body);
            keep(32, 4, 1, body);
            body[36..40].copy_from_slice(&10_000_000_u32.to_le_bytes());
            keep(40, 2, 0, body);
            body[40] = 1;
            one_of(42, &[1, 1, 1, 31], body);
            one_of(43, &[0, 20], body);
            body[44..].fill(0);
        }
        "Answer" => {
            keep(16, 4, 3, body);
            keep(20, 4, 7, body);
            keep(24, 4, 1, body);
            one_of(28, &[0, 0, 5, 51], body);
            one_of(29, &[1, 1, 2], body);
            body[30..].fill(0);
        }
        "Acknowledge" => {
            keep(0, 8, 15, body);
            keep(8, 4, 3, body);
            keep(12, 4, 7, body);
            keep(16, 4, 1, body);
            one_of(20, &[0, 0, 14], body);
            body[21..].fill(0);
        }
        "SetFee" => {
            keep(0, 8, 3, body);
            (8..32).step_by(8).for_each(|at| keep(at, 8, 7, body));
            keep(32, 4, 0xff, body);
            keep(36, 2, 0, body);
            body[36] = 1;
            one_of(38, &[1, 1, 9, 31, 38, 40], body);
            one_of(39, &[1, 1, 2, 3], body);
        }
        "SetRate" => {
            keep(0, 8, 3, body);
            keep(8, 8, 3, body);
            keep(16, 8, 0xff, body);
            let reference = 10_000_000 + u32::from(body[24] % 40);
            body[24..28].copy_from_slice(&reference.to_le_bytes());
            keep(28, 4, 0xff, body);
            keep(32, 4, 3, body);
            body[36..40].copy_from_slice(&[1, 0, 2, 0]);
            one_of(40, &[1, 1, 2], body);
            body[41..].fill(0);
        }
        "Offer" => {
            keep(0, 16, 1, body);
            keep(16, 8, 15, body);
            keep(24, 4, 1, body);
            one_of(28, &[1, 1, 91], body);
            one_of(29, &[0, 10, 20], body);
            body[30..].fill(0);
        }
        "Reconcile" => {
            (0..40).step_by(8).for_each(|at| keep(at, 8, 15, body));
            (40..56).step_by(4).for_each(|at| keep(at, 4, 1, body));
            keep(56, 4, 3, body);
            keep(60, 4, 3, body);
        }
        "SetTerminalTerms" => {
            keep(0, 8, 3, body);
            keep(8, 8, 3, body);
            keep(56, 4, 0xff, body);
            keep(60, 4, 1, body);
            keep(68, 4, 7, body);
        }
        "SetAccountLimits" => {
            keep(0, 8, 3, body);
            keep(44, 4, 7, body);
        }
        "SetCardTerms" => {
            keep(0, 16, 1, body);
            keep(16, 8, 15, body);
        }
        _ => {
            keep(0, 4, 1, body);
            keep(4, 4, 7, body);
            keep(8, 8, 1, body);
        }
    }
}
