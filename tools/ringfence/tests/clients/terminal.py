"""A terminal that is nothing of ours: pyiso8583 writes and reads its messages, psec makes its PIN blocks and codes.

It is served a working day, and says each message that went over the line: its type, trace number and response code."""

import argparse
import socket

import iso8583
from iso8583.specs import default_ascii
from psec import des, mac, pinblock

arguments = argparse.ArgumentParser()
for name in ("port", "layout", "framing", "pin_key", "mac_key", "pan", "terminal", "date", "trace"):
    arguments.add_argument(name)
asked = arguments.parse_args()
PIN_KEY, MAC_KEY = bytes.fromhex(asked.pin_key), bytes.fromhex(asked.mac_key)
IS_ASCII = asked.layout == "ascii"


def specification():
    """ISO 8583:1987 in hexadecimal digits and ASCII, or with digits packed and bits as they are."""
    made = {number: dict(field) for number, field in default_ascii.items()}
    for number, digits, most in (("54", 3, 120), ("63", 3, 999), ("44", 2, 25)):
        made[number].update(len_type=digits, max_len=most)
    made["28"].update(len_type=0, max_len=9)
    for number in ("52", "64", "128"):
        made[number].update(data_enc="ascii", len_type=0, max_len=16)
    if IS_ASCII:
        return made
    for number in ("h", "t", "p", "1"):
        made[number].update(data_enc="b")
    made["h"].update(max_len=0)
    made["t"].update(max_len=2)
    made["p"].update(max_len=8)
    made["1"].update(max_len=8)
    for number, most in (("3", 6), ("4", 12), ("7", 10), ("11", 6), ("12", 6), ("13", 4), ("90", 42)):
        made[number].update(data_enc="b", len_count="nibbles", max_len=most)
    made["2"].update(data_enc="b", len_enc="bcd", len_type=1, len_count="nibbles", left_pad="0", max_len=19)
    # Three digits take two bytes; a zero fills them.
    for number in ("49", "70"):
        made[number].update(data_enc="b", len_count="bytes", max_len=2)
    for number in ("52", "64", "128"):
        made[number].update(data_enc="b", len_count="bytes", max_len=8)
    for number, most in (("63", 999), ("54", 120)):
        made[number].update(len_enc="bcd", len_type=2, max_len=most)
    made["44"].update(len_enc="bcd", len_type=1)
    return made


SPEC = specification()
link = socket.create_connection(("127.0.0.1", int(asked.port)), timeout=60)
heard = b""


def whole(count):
    global heard
    while len(heard) < count:
        more = link.recv(4096)
        assert more, "the gateway closed the connection"
        heard += more
    taken, heard = heard[:count], heard[count:]
    return taken


def sealed(message):
    """The message in bytes, with its code behind it."""
    field = "128" if any(number.isdigit() and int(number) > 64 for number in message) else "64"
    message[field] = "0" * 16
    raw, _ = iso8583.encode(message, SPEC)
    tail = 16 if IS_ASCII else 8
    message[field] = mac.generate_retail_mac(MAC_KEY[:8], MAC_KEY[8:], bytes(raw[:-tail]), 1).hex().upper()
    raw, _ = iso8583.encode(message, SPEC)
    return bytes(raw)


def ask(kind, trace, **fields):
    """Says one message and gives what is answered to it."""
    three = (lambda digits: digits) if IS_ASCII else (lambda digits: "0" + digits)
    message = {"h": "", "t": kind, "7": asked.date + "120000", "11": trace, "12": "120000", "13": asked.date}
    message["41"] = asked.terminal
    message.update({number.lstrip("f"): value for number, value in fields.items()})
    for number in ("49", "70"):
        if number in message:
            message[number] = three(message[number])
    raw = sealed(message)
    size = {"two-bytes": 2, "four-bytes": 4}[asked.framing]
    link.sendall(len(raw).to_bytes(size, "big") + raw)
    print(kind, trace, "-")
    back = whole(int.from_bytes(whole(size), "big"))
    answer, _ = iso8583.decode(back, SPEC)
    print(answer["t"], answer["11"], answer["39"])
    field = "128" if "128" in answer else "64"
    tail = 16 if IS_ASCII else 8
    own = mac.generate_retail_mac(MAC_KEY[:8], MAC_KEY[8:], back[:-tail], 1).hex().upper()
    assert answer[field] == own, "the code of the answer"
    assert answer["11"] == trace and answer["41"] == asked.terminal
    return answer


def block(pin):
    return des.encrypt_tdes_ecb(PIN_KEY, pinblock.encode_pinblock_iso_0(pin, asked.pan)).hex().upper()


first = int(asked.trace)
trace = lambda number: f"{first + number:06}"
card = {"f2": asked.pan, "f49": "978", "f52": block("1234")}
assert ask("0800", trace(0), f70="001")["39"] == "00"
assert ask("0800", trace(1), f70="301")["39"] == "00"
before = ask("0200", trace(2), f3="312000", f4="0" * 12, **card)
assert before["39"] == "00", before
held = ask("0200", trace(3), f3="012000", f4="000000017000", **card)
assert held["39"] == "00" and held["63"] == "NT0160000000100010001", held
again = ask("0200", trace(3), f3="012000", f4="000000017000", **card)
assert again == held, "a repeat is answered alike"
done = ask("0220", trace(3), f63=held["63"])
assert done["39"] == "00" and done["63"] == "PO012000000017000", done
balance = lambda answer: int(answer["54"][8:20])
assert balance(done) == balance(before) - 17000
wrong = ask("0200", trace(4), f3="312000", f4="0" * 12, **{**card, "f52": block("4321")})
assert wrong["39"] == "55", wrong
undone = ask("0200", trace(5), f3="012000", f4="000000010000", **card)
assert undone["39"] == "00", undone
original = "0200" + trace(5) + asked.date + "120000" + "0" * 22
assert ask("0420", trace(6), f90=original)["39"] == "00"
late = ask("0420", trace(7), f90="0200" + trace(8) + asked.date + "120000" + "0" * 22)
assert late["39"] == "00", late
assert ask("0200", trace(8), f3="012000", f4="000000010000", **card)["39"] == "68"
refused = ask("0200", trace(9), f3="012000", f4="000000010000", f2=asked.pan)
assert refused["39"] == "30" and refused["44"] == "FIELD 052", refused
after = ask("0200", trace(10), f3="312000", f4="0" * 12, **card)
assert balance(after) == balance(before) - 17000
