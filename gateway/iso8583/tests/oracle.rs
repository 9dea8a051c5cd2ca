//! Others say the same: PyPI's `psec` of PIN blocks, PIN references, CVV and MAC, `cryptography` of CMAC, and `pyiso8583`
//! of messages, both ways, in ASCII and in binary.

use base16ct::lower::encode_string as hex;
use ringfence_iso8583::security::{
    Decimalization, Padding, Pan, Pin, PinBlockFormat, aes_cmac, cvv, decipher, encipher, ibm3624_offset, retail_mac,
    visa_pvv,
};
use ringfence_iso8583::{Class, Layout, Length, Message};
use ringfence_kernel::random::Random;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A Python with the oracles, or why there is none.
fn python(target: &Path, name: &str) -> Result<PathBuf, String> {
    let venv = target.join(name);
    let python = venv.join("bin/python");
    let done = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if done(Command::new(&python).args(["-c", "import psec, iso8583"])).is_ok() {
        return Ok(python);
    }
    done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let oracles = ["psec==1.3.0", "pyiso8583==4.0.1"];
    done(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1"])
            .args(oracles),
    )?;
    Ok(python)
}

/// The oracles, asked line by line.
struct Oracle {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start(name: &str) -> Option<Self> {
        let python = match python(Path::new(env!("CARGO_TARGET_TMPDIR")), name) {
            Ok(python) => python,
            Err(why) => {
                println!("SKIPPED: no Python with psec and pyiso8583: {why}");
                return None;
            }
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py");
        let mut command = Command::new(python);
        let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let questions = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Self { child, questions, answers })
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions, "{question}").expect("the oracle lives");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the oracle lives");
        assert!(!answer.is_empty(), "the oracle has no answer to {question:?}");
        answer.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // A test that fails leaves no process behind; one that is gone already is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn digits(random: &mut Random, count: u64) -> String {
    (0..count).map(|_| char::from(b'0' + random.below(10) as u8)).collect()
}

fn bytes<const N: usize>(random: &mut Random) -> [u8; N] {
    core::array::from_fn(|_| random.next() as u8)
}

/// Guards against cryptography that agrees only with itself.
#[test]
fn security_says_what_psec_says() {
    let Some(mut oracle) = Oracle::start("security-venv") else { return };
    let mut random = Random::new(2);
    for _ in 0..100 {
        let (count, length) = (4 + random.below(9), 13 + random.below(7));
        let (pin_text, pan_text) = (digits(&mut random, count), digits(&mut random, length));
        let (pin, pan) = (Pin::new(pin_text.as_bytes()).expect("a PIN"), Pan::new(pan_text.as_bytes()).expect("a PAN"));
        let (key, fill) = (bytes::<16>(&mut random), bytes::<16>(&mut random));
        let of = |format| hex(&encipher(format, &key, &pin, &pan, &fill).expect("sound"));
        assert_eq!(of(PinBlockFormat::Iso0), oracle.ask(&format!("iso0 {} {pin_text} {pan_text}", hex(&key))));
        for (format, name) in [(PinBlockFormat::Iso3, "iso3"), (PinBlockFormat::Iso4, "iso4")] {
            let seen = oracle.ask(&format!("{name} {} {} {pan_text}", hex(&key), of(format)));
            assert_eq!(seen, pin_text, "{name}");
            let theirs = oracle.ask(&format!("{name}new {} {pin_text} {pan_text}", hex(&key)));
            let theirs: Vec<u8> = (0..theirs.len() / 2)
                .map(|at| u8::from_str_radix(&theirs[at * 2..at * 2 + 2], 16).expect("hexadecimal digits"))
                .collect();
            let again = decipher(format, &key, &theirs, &pan).expect("their block");
            let ours = encipher(PinBlockFormat::Iso0, &key, &again, &pan, &fill).expect("sound");
            assert_eq!(hex(&ours), of(PinBlockFormat::Iso0), "{name}: the PIN of their block");
        }
        let index = random.below(7) as u8;
        let pvv = visa_pvv(&key, index, &pin, &pan).expect("sound");
        let theirs = oracle.ask(&format!("pvv {} {index} {} {pan_text}", hex(&key), &pin_text[..4]));
        assert_eq!(pvv, theirs.as_bytes());
        let (start, taken) = (random.below(4) as usize, 1 + random.below(9) as usize);
        let table = digits(&mut random, 16);
        let with = Decimalization {
            table: table.as_bytes().try_into().expect("sixteen"),
            validation: start..start + taken,
            pad: 15,
        };
        let offset = ibm3624_offset(&key, &with, &pin, &pan).expect("sound");
        let question = format!("offset {} {table} {pin_text} {pan_text} {start} {taken} F", hex(&key));
        assert_eq!(offset, oracle.ask(&question).as_bytes());
        let (expiry, service) = (digits(&mut random, 4), digits(&mut random, 3));
        let value = cvv(&key, &pan, expiry.as_bytes(), service.as_bytes()).expect("sound");
        assert_eq!(value, oracle.ask(&format!("cvv {} {pan_text} {expiry} {service}", hex(&key))).as_bytes());
        let message: Vec<u8> = (0..1 + random.below(60)).map(|_| random.next() as u8).collect();
        for (padding, number) in [(Padding::Zeros, 1), (Padding::OneAndZeros, 2)] {
            let code = retail_mac(&key, &message, padding).expect("sound");
            let question = format!("mac {} {} {} {number}", hex(&key[..8]), hex(&key[8..]), hex(&message));
            assert_eq!(hex(&code), oracle.ask(&question));
        }
        let code = aes_cmac(&key, &message).expect("sound");
        assert_eq!(hex(&code), oracle.ask(&format!("cmac {} {}", hex(&key), hex(&message))));
    }
}

/// Guards against a codec that agrees only with itself.
#[test]
fn messages_are_what_pyiso8583_says() {
    let Some(mut oracle) = Oracle::start("codec-venv") else { return };
    for (name, layout) in [("ascii", Layout::iso87()), ("binary", Layout::iso87_binary())] {
        let is_ascii = name == "ascii";
        let mut described = format!("layout {name}");
        let mut usable = Vec::new();
        for number in (2..=128_u8).filter(|number| *number != 65) {
            let field = layout.field(number).expect("every field is laid out");
            let kind = match field.class {
                Class::Digits => "n",
                Class::Binary => "b",
                _ => "an",
            };
            let (prefix, most) = match field.length {
                Length::Fixed(length) => (0, length),
                Length::Variable { digits, most } => (digits, most),
            };
            described += &format!(" {number}:{kind}:{prefix}:{most}");
            // It does not pack tracks, nor an odd number of digits of a fixed length.
            let is_odd = kind == "n" && prefix == 0 && most % 2 == 1;
            if is_ascii || field.class != Class::Track && !is_odd {
                usable.push((number, field.clone(), kind));
            }
        }
        assert_eq!(oracle.ask(&described), "known");
        let mut random = Random::new(3);
        for round in 0..200 {
            let mut message = Message::new(*b"0200");
            let mut values = vec![("t".to_owned(), "0200".to_owned())];
            for (number, field, kind) in usable.iter().filter(|(_, field, _)| field.parts.is_none()) {
                if !random.percent(15) {
                    continue;
                }
                let count = match field.length {
                    Length::Fixed(length) => length as u64,
                    Length::Variable { most, .. } => random.below(most.min(40) as u64 + 1),
                };
                let (value, text) = match *kind {
                    "b" => {
                        let value = bytes::<8>(&mut random).to_vec();
                        let text = hex(&value).to_uppercase();
                        (value, text)
                    }
                    _ if field.class == Class::SignedDigits => {
                        let text = format!("C{}", digits(&mut random, count - 1));
                        (text.clone().into_bytes(), text)
                    }
                    _ => {
                        let text = digits(&mut random, count);
                        (text.clone().into_bytes(), text)
                    }
                };
                message.set(*number, &value);
                values.push((number.to_string(), text));
            }
            let ours = hex(&message.encode(&layout).expect("sound"));
            values.sort();
            let document =
                values.iter().map(|(number, text)| format!("{number}={text}")).collect::<Vec<_>>().join("\t");
            assert_eq!(oracle.ask(&format!("decode {name} {ours}")), document, "{name}, round {round}");
            assert_eq!(oracle.ask(&format!("encode {name} {document}")), ours, "{name}, round {round}");
        }
    }
}
