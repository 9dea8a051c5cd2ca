"""Traders and a reader that are nothing of ours: nasdaq-protocols logs in, keeps sessions alive, writes and reads; itchfeed
reads what the market data says.

`day` trades a day between two accounts, one of which loses its connection on the way; `read` reads a stream from a number on.
Both say each sequenced message in hexadecimal digits, with its stream before it."""

import argparse
import asyncio

import itch.parser
from nasdaq_protocols import ouch, soup
from nasdaq_protocols.common import CharAscii, FixedAsciiString, Record, UnsignedIntBE, UnsignedLongBE
from nasdaq_protocols.common.message import Field

PATIENCE = 60
INT, LONG, CHAR = UnsignedIntBE, UnsignedLongBE, CharAscii
TOKEN, STOCK, FIRM = FixedAsciiString(14), FixedAsciiString(8), FixedAsciiString(4)


class Message(ouch.Message, app_name="OUCH"):
    """A message of the library's."""


def message(kind, direction, fields):
    """A message from a table of OUCH 4.2."""
    body = type("Body", (Record,), {"Fields": [Field(name, form) for name, form in fields]})
    known = {"app_name": "OUCH", "indicator": ord(kind), "direction": direction}
    return type(Message)(f"{kind}{direction}", (Message,), {"BodyRecord": body}, **known)


def entering(*fields):
    return [("token", TOKEN), ("side", CHAR), ("shares", INT), ("stock", STOCK), ("price", INT), ("tif", INT), *fields]


FLAGS = [("capacity", CHAR), ("iso", CHAR), ("minimum", INT), ("cross", CHAR)]
Enter = message("O", "incoming", entering(("firm", FIRM), ("display", CHAR), *FLAGS, ("customer", CHAR)))
Replace = message(
    "U",
    "incoming",
    [("existing", TOKEN), ("token", TOKEN), ("shares", INT), ("price", INT), ("tif", INT), ("display", CHAR)]
    + [("iso", CHAR), ("minimum", INT)],
)
Cancel = message("X", "incoming", [("token", TOKEN), ("shares", INT)])
TIME = ("time", LONG)
SAID = entering(("firm", FIRM), ("display", CHAR), ("reference", LONG), *FLAGS, ("state", CHAR))
message("S", "outgoing", [TIME, ("event", CHAR)])
message("A", "outgoing", [TIME, *SAID, ("weight", CHAR)])
message("U", "outgoing", [TIME, *SAID, ("previous", TOKEN), ("weight", CHAR)])
message("C", "outgoing", [TIME, ("token", TOKEN), ("decrement", INT), ("reason", CHAR)])
message(
    "E",
    "outgoing",
    [TIME, ("token", TOKEN), ("shares", INT), ("price", INT), ("liquidity", CHAR), ("match", LONG)],
)
message("J", "outgoing", [TIME, ("token", TOKEN), ("reason", CHAR)])


class Stream:
    """A session of SoupBinTCP, and all that was heard in it."""

    def __init__(self, name, port, user, password, first):
        self.name, self.port, self.user, self.password, self.next = name, port, user, password, first
        self.heard = []

    async def open(self, session=""):
        self.soup = await soup.connect_async(
            ("127.0.0.1", self.port),
            self.user,
            self.password,
            session,
            sequence=self.next,
            on_msg_coro=self.take,
            client_heartbeat_interval=1,
            server_heartbeat_interval=10,
            connect_timeout=PATIENCE,
        )
        self.came = getattr(self, "came", None) or asyncio.Condition()
        return self

    async def take(self, packet):
        if isinstance(packet, soup.SequencedData):
            print(self.name, self.next, packet.data.hex())
            self.next += 1
            async with self.came:
                self.heard.append(packet.data)
                self.came.notify_all()

    async def hear(self, count):
        """Waits until so many were heard in all, and gives the last of them."""
        async with self.came:
            await asyncio.wait_for(self.came.wait_for(lambda: len(self.heard) >= count), PATIENCE)
        assert len(self.heard) == count, f"{self.name} heard more: {self.heard[count:]}"
        return self.heard[count - 1]

    async def drop(self):
        """Loses the connection, without a word; in the end it is lost."""
        self.soup._transport.abort()
        while not self.soup.is_closed():
            await asyncio.sleep(0.001)

    async def close(self):
        self.soup.logout()


class Trader(Stream):
    """One of two accounts."""

    def ask(self, kind, **fields):
        asked = kind()
        for name, value in fields.items():
            setattr(asked, name, value)
        self.soup.send_unseq_data(asked.to_bytes()[1])

    def enter(self, token, side, shares, price, **other):
        fields = dict(stock="ACME", tif=99999, firm="FIRM", display="Y", capacity="P", iso="N", minimum=0, cross="N")
        fields.update(customer="N", **other)
        self.ask(Enter, token=token, side=side, shares=shares, price=price, **fields)

    async def expect(self, count, kind, **fields):
        """The message that is heard as number `count`, which must be so."""
        raw = await self.hear(count)
        taken, said = Message.from_bytes(raw)
        assert taken == len(raw), (taken, raw)
        assert type(said).__name__ == f"{kind}outgoing", (self.name, count, said)
        for name, value in fields.items():
            assert getattr(said, name) == value, (self.name, name, str(said))
        return said


async def day(asked):
    tag = asked.tag
    a = Trader("A", asked.port, "alpha", "secret-a", asked.first)
    b = Trader("B", asked.port, "BETA", "SECRET-B", asked.second)
    try:
        wrong = Trader("W", asked.port, "alpha", "secret", 1)
        await wrong.open()
        raise AssertionError("a wrong password was let in")
    except ConnectionRefusedError as refused:
        assert "NOT_AUTHORIZED" in str(refused), refused
    try:
        await Trader("W", asked.port, "alpha", "secret-a", 1).open("OTHER")
        raise AssertionError("another session was there")
    except ConnectionRefusedError as refused:
        assert "SESSION_NOT_AVAILABLE" in str(refused), refused
    await a.open()
    await b.open(asked.session)
    heard_a, heard_b = 0, 0
    if asked.first == 1:
        await a.expect(1, "S", event="S")
        await b.expect(1, "S", event="S")
        heard_a = heard_b = 1
    # An order stands, and half of it trades.
    a.enter(f"A{tag}1", "S", 100, 1005000)
    accepted = await a.expect(heard_a + 1, "A", token=f"A{tag}1", shares=100, price=1005000, state="L", stock="ACME")
    b.enter(f"B{tag}1", "B", 40, 1010000, tif=0)
    await b.expect(heard_b + 2, "E", token=f"B{tag}1", shares=40, price=1005000, liquidity="R")
    await a.expect(heard_a + 2, "E", token=f"A{tag}1", shares=40, price=1005000, liquidity="A")
    # It is replaced by another, at a price at which nothing trades, and made less.
    a.ask(Replace, existing=f"A{tag}1", token=f"A{tag}2", shares=90, price=1020000, tif=99999, display="Y", iso="N", minimum=0)
    replaced = await a.expect(heard_a + 3, "U", token=f"A{tag}2", previous=f"A{tag}1", shares=90, price=1020000)
    assert replaced.reference == accepted.reference
    a.ask(Cancel, token=f"A{tag}2", shares=70)
    await a.expect(heard_a + 4, "C", token=f"A{tag}2", decrement=20, reason="U")
    # Its owner loses the connection; it trades meanwhile; what was said is heard when the owner is back.
    await a.drop()
    b.enter(f"B{tag}2", "B", 10, 1020000, tif=60)
    await b.expect(heard_b + 4, "E", token=f"B{tag}2", shares=10, price=1020000, liquidity="R")
    await a.open(asked.session)
    await a.expect(heard_a + 5, "E", token=f"A{tag}2", shares=10, price=1020000, liquidity="A")
    # A message that comes again changes nothing; one that makes no sense is rejected; the rest is taken out.
    a.enter(f"A{tag}1", "S", 100, 1005000)
    a.enter(f"A{tag}3", "S", 100, 1005001)
    await a.expect(heard_a + 6, "J", token=f"A{tag}3", reason="X")
    a.enter(f"A{tag}4", "S", 100, 1005000, stock="OTHER")
    await a.expect(heard_a + 7, "J", token=f"A{tag}4", reason="S")
    a.ask(Cancel, token=f"A{tag}2", shares=0)
    await a.expect(heard_a + 8, "C", token=f"A{tag}2", decrement=20, reason="U")
    b.enter(f"B{tag}3", "B", 5, 990000, tif=0)
    await b.expect(heard_b + 6, "C", token=f"B{tag}3", decrement=5, reason="I")
    # One stays.
    b.enter(f"B{tag}4", "B", 7, 980000)
    await b.expect(heard_b + 7, "A", token=f"B{tag}4", shares=7)
    await a.close()
    await b.close()


def understood(raw):
    """What itchfeed reads must be what it writes."""
    read = itch.parser.MessageParser().get_message_type(raw)
    assert read.message_size == len(raw) and bytes(read.to_bytes()) == raw, (raw, read)
    assert read.tracking_number == 0 and read.timestamp < 86_400 * 10**9, read
    return read


async def read(asked):
    stream = Stream(asked.name, asked.port, asked.user, asked.password, asked.first)
    await stream.open(asked.session)
    await stream.hear(asked.count)
    if asked.name == "M":
        for raw in stream.heard:
            understood(raw)
    await stream.close()


arguments = argparse.ArgumentParser()
verbs = arguments.add_subparsers(dest="verb", required=True)
for verb, names in (("day", ()), ("read", ("name", "user", "password"))):
    parser = verbs.add_parser(verb)
    parser.add_argument("port", type=int)
    parser.add_argument("session")
    parser.add_argument("first", type=int)
    if verb == "day":
        parser.add_argument("second", type=int)
        parser.add_argument("tag")
    else:
        parser.add_argument("count", type=int)
    for name in names:
        parser.add_argument(name)
asked = arguments.parse_args()
asyncio.run({"day": day, "read": read}[asked.verb](asked))
