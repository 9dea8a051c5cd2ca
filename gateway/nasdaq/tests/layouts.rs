//! Guards against fields that stand elsewhere than the specifications say: each message is written field by field into its
//! bytes here, from the tables of *O\*U\*C\*H Version 4.2* and *Nasdaq TotalView-ITCH 5.0*.

use ringfence_nasdaq::itch::{self, Message};
use ringfence_nasdaq::ouch::{self, Inbound, Outbound};
use ringfence_nasdaq::{Malformed, Nanos48, Text};

fn text<const L: usize>(text: &str) -> Text<L> {
    Text::new(text).expect("it fits")
}

/// Bytes of a message from a table: offset, length, value. Nothing may be left out, and nothing may overlap.
fn table(length: usize, fields: &[(usize, usize, Value<'_>)]) -> Vec<u8> {
    let mut bytes = vec![None; length];
    for (offset, width, value) in fields {
        let value = match value {
            Value::Number(number) => number.to_be_bytes()[8 - width..].to_vec(),
            Value::Alpha(text) => format!("{text:<width$}").into_bytes(),
        };
        for (at, byte) in value.into_iter().enumerate() {
            assert_eq!(bytes[offset + at].replace(byte), None, "the table says byte {} twice", offset + at);
        }
    }
    bytes.into_iter().map(|byte| byte.expect("the table leaves nothing out")).collect()
}

enum Value<'a> {
    Number(u64),
    Alpha(&'a str),
}
use Value::{Alpha as A, Number as N};

#[test]
fn ouch_messages_that_come_in() {
    let enter = ouch::EnterOrder {
        token: text("ORDER1"),
        side: b'B',
        shares: 100,
        stock: text("ACME"),
        price: 1_234_500,
        time_in_force: 99_999,
        firm: text("FIRM"),
        display: b'Y',
        capacity: b'P',
        sweep: b'N',
        minimum: 10,
        cross: b'O',
        customer: b'R',
    };
    let replace = ouch::ReplaceOrder {
        existing: text("ORDER1"),
        token: text("ORDER2"),
        shares: 90,
        price: 5,
        time_in_force: 99_998,
        display: b'A',
        sweep: b'Y',
        minimum: 1,
    };
    let cases: [(Inbound, Vec<u8>); 4] = [
        (
            enter.into(),
            table(
                49,
                &[
                    (0, 1, A("O")),
                    (1, 14, A("ORDER1")),
                    (15, 1, A("B")),
                    (16, 4, N(100)),
                    (20, 8, A("ACME")),
                    (28, 4, N(1_234_500)),
                    (32, 4, N(99_999)),
                    (36, 4, A("FIRM")),
                    (40, 1, A("Y")),
                    (41, 1, A("P")),
                    (42, 1, A("N")),
                    (43, 4, N(10)),
                    (47, 1, A("O")),
                    (48, 1, A("R")),
                ],
            ),
        ),
        (
            replace.into(),
            table(
                47,
                &[
                    (0, 1, A("U")),
                    (1, 14, A("ORDER1")),
                    (15, 14, A("ORDER2")),
                    (29, 4, N(90)),
                    (33, 4, N(5)),
                    (37, 4, N(99_998)),
                    (41, 1, A("A")),
                    (42, 1, A("Y")),
                    (43, 4, N(1)),
                ],
            ),
        ),
        (
            ouch::CancelOrder { token: text("ORDER2"), shares: 7 }.into(),
            table(19, &[(0, 1, A("X")), (1, 14, A("ORDER2")), (15, 4, N(7))]),
        ),
        (
            ouch::ModifyOrder { token: text("ORDER2"), side: b'T', shares: 8 }.into(),
            table(20, &[(0, 1, A("M")), (1, 14, A("ORDER2")), (15, 1, A("T")), (16, 4, N(8))]),
        ),
    ];
    for (message, expected) in cases {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(bytes, expected, "{message:?}");
        assert_eq!(Inbound::parse(&bytes), Ok(message));
    }
}

#[test]
fn ouch_messages_that_go_out() {
    let (timestamp, token) = (34_200_000_000_001, text("ORDER1"));
    let accepted = ouch::Accepted {
        timestamp,
        token,
        side: b'S',
        shares: 100,
        stock: text("ACME"),
        price: 10_000,
        time_in_force: 60,
        firm: text("FIRM"),
        display: b'N',
        reference: 77,
        capacity: b'A',
        sweep: b'N',
        minimum: 3,
        cross: b'N',
        state: b'L',
        weight: b' ',
    };
    let replaced = ouch::Replaced {
        timestamp,
        token,
        side: b'S',
        shares: 100,
        stock: text("ACME"),
        price: 10_000,
        time_in_force: 60,
        firm: text("FIRM"),
        display: b'N',
        reference: 77,
        capacity: b'A',
        sweep: b'N',
        minimum: 3,
        cross: b'N',
        state: b'L',
        previous: text("ORDER0"),
        weight: b' ',
    };
    // What all but the event begin with.
    let head = |kind, rest: &[(usize, usize, Value<'_>)], length: usize| {
        let mut bytes = table(
            length - 23,
            &rest.iter().map(|(at, width, value)| (at - 23, *width, copy(value))).collect::<Vec<_>>(),
        );
        let mut head = table(23, &[(0, 1, A(kind)), (1, 8, N(timestamp)), (9, 14, A("ORDER1"))]);
        head.append(&mut bytes);
        head
    };
    let body = |last: [(usize, usize, Value<'static>); 2]| {
        let [first, second] = last;
        vec![
            (23, 1, A("S")),
            (24, 4, N(100)),
            (28, 8, A("ACME")),
            (36, 4, N(10_000)),
            (40, 4, N(60)),
            (44, 4, A("FIRM")),
            (48, 1, A("N")),
            (49, 8, N(77)),
            (57, 1, A("A")),
            (58, 1, A("N")),
            (59, 4, N(3)),
            (63, 1, A("N")),
            (64, 1, A("L")),
            first,
            second,
        ]
    };
    let cases: [(Outbound, Vec<u8>); 12] = [
        (
            ouch::SystemEvent { timestamp, event: b'S' }.into(),
            table(10, &[(0, 1, A("S")), (1, 8, N(timestamp)), (9, 1, A("S"))]),
        ),
        (accepted.into(), head("A", &body([(65, 1, A(" ")), (66, 0, A(""))]), 66)),
        (replaced.into(), head("U", &body([(65, 14, A("ORDER0")), (79, 1, A(" "))]), 80)),
        (
            ouch::Canceled { timestamp, token, decrement: 5, reason: b'U' }.into(),
            head("C", &[(23, 4, N(5)), (27, 1, A("U"))], 28),
        ),
        (
            ouch::AiqCanceled { timestamp, token, decrement: 5, reason: b'Q', prevented: 4, price: 9, liquidity: b'A' }
                .into(),
            head("D", &[(23, 4, N(5)), (27, 1, A("Q")), (28, 4, N(4)), (32, 4, N(9)), (36, 1, A("A"))], 37),
        ),
        (
            ouch::Executed { timestamp, token, shares: 6, price: 8, liquidity: b'R', match_number: 99 }.into(),
            head("E", &[(23, 4, N(6)), (27, 4, N(8)), (31, 1, A("R")), (32, 8, N(99))], 40),
        ),
        (
            ouch::BrokenTrade { timestamp, token, match_number: 99, reason: b'E' }.into(),
            head("B", &[(23, 8, N(99)), (31, 1, A("E"))], 32),
        ),
        (ouch::Rejected { timestamp, token, reason: b'X' }.into(), head("J", &[(23, 1, A("X"))], 24)),
        (ouch::CancelPending { timestamp, token }.into(), head("P", &[], 23)),
        (ouch::CancelReject { timestamp, token }.into(), head("I", &[], 23)),
        (
            ouch::PriorityUpdate { timestamp, token, price: 8, display: b'A', reference: 77 }.into(),
            head("T", &[(23, 4, N(8)), (27, 1, A("A")), (28, 8, N(77))], 36),
        ),
        (
            ouch::Modified { timestamp, token, side: b'E', shares: 50 }.into(),
            head("M", &[(23, 1, A("E")), (24, 4, N(50))], 28),
        ),
    ];
    for (message, expected) in cases {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(bytes, expected, "{message:?}");
        assert_eq!(Outbound::parse(&bytes), Ok(message));
    }
}

fn copy<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        N(number) => N(*number),
        A(text) => A(text),
    }
}

#[test]
fn itch_messages() {
    let (locate, tracking, timestamp, stock) = (7, 0, Nanos48(34_200_000_000_001), text("ACME"));
    let of = |kind, length: usize, rest: &[(usize, usize, Value<'_>)]| {
        let mut fields = vec![(0, 1, A(kind)), (1, 2, N(7)), (3, 2, N(0)), (5, 6, N(34_200_000_000_001))];
        fields.extend(rest.iter().map(|(at, width, value)| (*at, *width, copy(value))));
        table(length, &fields)
    };
    let directory = itch::StockDirectory {
        locate,
        tracking,
        timestamp,
        stock,
        market_category: b'Q',
        financial_status: b'N',
        round_lot: 100,
        round_lots_only: b'Y',
        classification: b'C',
        subtype: text("Z"),
        authenticity: b'P',
        short_sale: b'0',
        ipo: b'1',
        tier: b'2',
        fund: b'3',
        leverage: 4,
        inverse: b'5',
    };
    let imbalance = itch::Imbalance {
        locate,
        tracking,
        timestamp,
        paired: 1,
        imbalance: 2,
        direction: b'B',
        stock,
        far: 3,
        near: 4,
        reference: 5,
        cross: b'O',
        variation: b'L',
    };
    let add = itch::AddOrder { locate, tracking, timestamp, reference: 9, side: b'B', shares: 10, stock, price: 11 };
    let attributed = itch::AddAttributed {
        locate,
        tracking,
        timestamp,
        reference: 9,
        side: b'B',
        shares: 10,
        stock,
        price: 11,
        attribution: text("FIRM"),
    };
    let trade = itch::Trade {
        locate,
        tracking,
        timestamp,
        reference: 0,
        side: b'B',
        shares: 10,
        stock,
        price: 11,
        match_number: 12,
    };
    let adds: [(usize, usize, Value<'_>); 5] =
        [(11, 8, N(9)), (19, 1, A("B")), (20, 4, N(10)), (24, 8, A("ACME")), (32, 4, N(11))];
    let attributes: Vec<_> =
        adds.iter().map(|(at, width, value)| (*at, *width, copy(value))).chain([(36, 4, A("FIRM"))]).collect();
    let cases: [(Message, Vec<u8>); 13] = [
        (itch::SystemEvent { locate, tracking, timestamp, event: b'Q' }.into(), of("S", 12, &[(11, 1, A("Q"))])),
        (
            directory.into(),
            of(
                "R",
                39,
                &[
                    (11, 8, A("ACME")),
                    (19, 1, A("Q")),
                    (20, 1, A("N")),
                    (21, 4, N(100)),
                    (25, 1, A("Y")),
                    (26, 1, A("C")),
                    (27, 2, A("Z")),
                    (29, 1, A("P")),
                    (30, 1, A("0")),
                    (31, 1, A("1")),
                    (32, 1, A("2")),
                    (33, 1, A("3")),
                    (34, 4, N(4)),
                    (38, 1, A("5")),
                ],
            ),
        ),
        (
            itch::TradingAction { locate, tracking, timestamp, stock, state: b'P', reserved: 0, reason: text("LUDP") }
                .into(),
            of("H", 25, &[(11, 8, A("ACME")), (19, 1, A("P")), (20, 1, N(0)), (21, 4, A("LUDP"))]),
        ),
        (add.into(), of("A", 36, &adds)),
        (attributed.into(), of("F", 40, &attributes)),
        (
            itch::OrderExecuted { locate, tracking, timestamp, reference: 9, shares: 10, match_number: 12 }.into(),
            of("E", 31, &[(11, 8, N(9)), (19, 4, N(10)), (23, 8, N(12))]),
        ),
        (
            itch::ExecutedWithPrice {
                locate,
                tracking,
                timestamp,
                reference: 9,
                shares: 10,
                match_number: 12,
                printable: b'N',
                price: 11,
            }
            .into(),
            of("C", 36, &[(11, 8, N(9)), (19, 4, N(10)), (23, 8, N(12)), (31, 1, A("N")), (32, 4, N(11))]),
        ),
        (
            itch::OrderCancel { locate, tracking, timestamp, reference: 9, shares: 10 }.into(),
            of("X", 23, &[(11, 8, N(9)), (19, 4, N(10))]),
        ),
        (itch::OrderDelete { locate, tracking, timestamp, reference: 9 }.into(), of("D", 19, &[(11, 8, N(9))])),
        (
            itch::OrderReplace { locate, tracking, timestamp, reference: 9, new_reference: 8, shares: 10, price: 11 }
                .into(),
            of("U", 35, &[(11, 8, N(9)), (19, 8, N(8)), (27, 4, N(10)), (31, 4, N(11))]),
        ),
        (
            trade.into(),
            of(
                "P",
                44,
                &[(11, 8, N(0)), (19, 1, A("B")), (20, 4, N(10)), (24, 8, A("ACME")), (32, 4, N(11)), (36, 8, N(12))],
            ),
        ),
        (
            itch::CrossTrade {
                locate,
                tracking,
                timestamp,
                shares: 10,
                stock,
                price: 11,
                match_number: 12,
                cross: b'C',
            }
            .into(),
            of("Q", 40, &[(11, 8, N(10)), (19, 8, A("ACME")), (27, 4, N(11)), (31, 8, N(12)), (39, 1, A("C"))]),
        ),
        (
            imbalance.into(),
            of(
                "I",
                50,
                &[
                    (11, 8, N(1)),
                    (19, 8, N(2)),
                    (27, 1, A("B")),
                    (28, 8, A("ACME")),
                    (36, 4, N(3)),
                    (40, 4, N(4)),
                    (44, 4, N(5)),
                    (48, 1, A("O")),
                    (49, 1, A("L")),
                ],
            ),
        ),
    ];
    for (message, expected) in cases {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(bytes, expected, "{message:?}");
        assert_eq!(Message::parse(&bytes), Ok(message));
    }
}

#[test]
fn what_is_no_message_is_refused_by_name() {
    assert_eq!(Inbound::parse(b""), Err(Malformed::Empty));
    assert_eq!(Inbound::parse(b"A"), Err(Malformed::Type(b'A')));
    assert_eq!(Inbound::parse(&[b'X'; 20]), Err(Malformed::Length { kind: b'X', expected: 19, bytes: 20 }));
    assert_eq!(Message::parse(b"D"), Err(Malformed::Length { kind: b'D', expected: 19, bytes: 1 }));
}
