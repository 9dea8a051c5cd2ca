"""Answers each line of the standard input: what psec, cryptography and pyiso8583 say of it."""

import sys

import iso8583
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import algorithms
from psec import cvv, des, mac, pin, pinblock


def aes_cmac(key, message):
    code = cmac.CMAC(algorithms.AES(key))
    code.update(message)
    return code.finalize()


def spec(is_ascii, fields):
    """A pyiso8583 specification of `number:class:digits:most` words."""
    text = "ascii" if is_ascii else "b"
    plain = {"len_enc": "ascii", "len_type": 0, "desc": ""}
    bitmap = {**plain, "data_enc": text, "max_len": 16 if is_ascii else 8}
    made = {"h": {**plain, "data_enc": "ascii", "max_len": 0}, "p": bitmap, "1": bitmap}
    made["t"] = {**plain, "data_enc": text, "max_len": 4 if is_ascii else 2}
    for field in fields:
        number, kind, digits, most = field.split(":")
        digits, most = int(digits), int(most)
        packed = not is_ascii and kind in ("n", "b")
        made[number] = {
            "data_enc": "b" if packed else "ascii",
            "len_enc": "ascii" if is_ascii else "bcd",
            "len_type": digits if is_ascii else (digits + 1) // 2,
            "len_count": "nibbles" if packed and kind == "n" else "bytes",
            "max_len": most * 2 if is_ascii and kind == "b" else most,
            "left_pad": "0",
            "desc": "",
        }
    return made


specs = {}


def answer(words):
    kind, args = words[0], words[1:]
    raw = lambda at: bytes.fromhex(args[at])
    if kind == "iso0":
        return des.encrypt_tdes_ecb(raw(0), pinblock.encode_pinblock_iso_0(args[1], args[2])).hex()
    if kind == "iso3":
        return pinblock.decode_pinblock_iso_3(des.decrypt_tdes_ecb(raw(0), raw(1)), args[2])
    if kind == "iso4":
        return pinblock.decipher_pinblock_iso_4(raw(0), raw(1), args[2])
    if kind == "iso3new":
        return des.encrypt_tdes_ecb(raw(0), pinblock.encode_pinblock_iso_3(args[1], args[2])).hex()
    if kind == "iso4new":
        return pinblock.encipher_pinblock_iso_4(raw(0), args[1], args[2]).hex()
    if kind == "pvv":
        return pin.generate_visa_pvv(raw(0), args[1], args[2], args[3])
    if kind == "offset":
        return pin.generate_ibm3624_offset(raw(0), args[1], args[2], args[3], int(args[4]), int(args[5]), args[6])
    if kind == "cvv":
        return cvv.generate_cvv(raw(0), args[1], args[2], args[3])
    if kind == "mac":
        return mac.generate_retail_mac(raw(0), raw(1), raw(2), int(args[3])).hex()
    if kind == "cmac":
        return aes_cmac(raw(0), raw(1)).hex()
    if kind == "layout":
        specs[args[0]] = spec(args[0] == "ascii", args[1:])
        return "known"
    if kind == "decode":
        decoded, _ = iso8583.decode(raw(1), specs[args[0]])
        return "\t".join(f"{number}={decoded[number]}" for number in sorted(decoded) if number not in ("h", "p", "1"))
    if kind == "encode":
        document = dict(part.split("=", 1) for part in " ".join(args[1:]).split("\t"))
        encoded, _ = iso8583.encode({"h": "", **document}, specs[args[0]])
        return bytes(encoded).hex()
    raise ValueError(kind)


for line in sys.stdin:
    print(answer(line.rstrip("\n").split(" ")), flush=True)
