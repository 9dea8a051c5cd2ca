//! What moves money to and from accounts.

use crate::matching::messages::{
    AssetId, Command, Direction, GetAsset, GetBalances, InstrumentId, SetHoldingLimit, SetSettlement, Transfer,
    TransferId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{Account, ClientId};

/// Says in what an instrument is settled: two share what they trade, and all what is paid.
pub(super) fn settle(random: &mut Random, instrument: u32, image: &mut CommandImage) {
    let taker_fee = random.below(3_000) as i32;
    let settlement = SetSettlement {
        base_unit: 1 + random.below(3),
        quote_unit: 1,
        base: AssetId(2 + (instrument - 1) % 2),
        quote: AssetId(1),
        maker_fee: random.below(taker_fee as u64 + 1_000) as i32 - taker_fee,
        taker_fee,
        instrument: InstrumentId(instrument),
        reserved: Reserved::default(),
    };
    image.set(ClientId(1), Command::SetSettlement(&settlement));
}

/// A transfer, numbered `number` or wrongly, a limit or a report. Prices are about `middle`.
pub(super) fn draw(random: &mut Random, clients: u32, number: u64, middle: i64, image: &mut CommandImage) {
    let client = ClientId(1 + random.below(clients.into()) as u32);
    let account = Account(1 + random.below(clients.into()) as u32);
    let asset = AssetId(1 + random.below(3) as u32);
    match random.below(20) {
        0 | 1 => image.set(client, Command::GetBalances(&GetBalances { reserved: Reserved::default() })),
        2 => image.set(client, Command::GetAsset(&GetAsset { asset, reserved: Reserved::default() })),
        3 => {
            let limit = if random.percent(60) { 0 } else { random.below(2_000) };
            image.set(client, Command::SetHoldingLimit(&SetHoldingLimit { limit, account, asset }));
        }
        way => {
            let most = if asset == AssetId(1) { middle.unsigned_abs() * 400 } else { 400 };
            // Some are said again, or come late.
            let late = if random.percent(10) { random.below(6) } else { 0 };
            let direction = if way < 8 { Direction::Withdrawal } else { Direction::Deposit };
            let transfer = Transfer {
                transfer: TransferId(number.saturating_sub(late)),
                amount: if random.percent(1) { random.next() } else { random.below(most) },
                account,
                asset,
                direction: direction.into(),
                reserved: Reserved::default(),
            };
            image.set(client, Command::Transfer(&transfer));
        }
    }
}
