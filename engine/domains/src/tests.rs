//! What the tests of every domain do alike: they run transcripts, shrink what fails, and load damaged snapshots.

mod shrink;

pub(crate) use shrink::check;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use ringfence_kernel::image::Slot;
use ringfence_kernel::laws::{self, Bytes, Harness, Model, Often, Step};
use ringfence_kernel::reject::Code;
use ringfence_kernel::{Domain, Timestamp};
use std::path::Path;

/// The transcripts of a domain: what clients ask, and below each request everything that is said.
pub(crate) struct Transcripts<M: Model> {
    /// Where they are, below `src`.
    pub(crate) folder: &'static str,
    /// How many there are at least.
    pub(crate) least: usize,
    /// The domain's capacities.
    pub(crate) limits: <M::Domain as Domain>::Limits,
    /// What stands behind `at`.
    pub(crate) time: fn(&str) -> Option<Timestamp>,
    /// What a line asks for.
    pub(crate) step: fn(&str) -> Option<Step>,
    /// What must hold after every step, or what of it does not.
    pub(crate) sound: fn(&M::Domain) -> Result<(), &'static str>,
    /// One output as a line.
    pub(crate) say: fn(&Slot) -> String,
}

/// A number of nanoseconds since the start.
pub(crate) fn nanoseconds(word: &str) -> Option<Timestamp> {
    word.parse().ok().map(Timestamp)
}

impl<M: Model> Transcripts<M> {
    /// Runs each against the domain and its model. With `RINGFENCE_BLESS=1` writes what is said into the files.
    ///
    /// # Panics
    /// When something else is said than is written, or something does not hold.
    pub(crate) fn check(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(self.folder);
        let bless = std::env::var("RINGFENCE_BLESS").is_ok_and(|value| value == "1");
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        assert!(files.len() >= self.least, "the transcripts are where they should be");
        let mut wrong = Vec::new();
        for file in files {
            let written = std::fs::read_to_string(&file).expect("text");
            let name = file.file_name().expect("a name").to_string_lossy().to_string();
            let said = self.run(&name, &written);
            if said == written {
                continue;
            }
            if bless {
                std::fs::write(&file, said).expect("the folder can be written");
            } else {
                let line = said.lines().zip(written.lines()).position(|(said, written)| said != written);
                let line = line.unwrap_or_else(|| said.lines().count().min(written.lines().count()));
                let at = |text: &str| text.lines().nth(line).unwrap_or("(nothing more)").to_string();
                wrong.push(format!(
                    "{name}, line {}:\n  written: {}\n  said:    {}",
                    line + 1,
                    at(&written),
                    at(&said)
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// The transcript with everything that is said now.
    fn run(&self, name: &str, text: &str) -> String {
        let mut harness = Harness::<M::Domain>::new(&self.limits);
        let (mut now, mut said) = (Timestamp(0), String::new());
        let mut steps = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let plain = line.split('#').next().unwrap_or("").trim_end();
            if plain.starts_with(' ') && line.starts_with("  ") {
                continue;
            }
            said.push_str(line);
            said.push('\n');
            if plain.is_empty() {
                continue;
            }
            let broken = || -> ! { panic!("{name}, line {number}: {line:?} is no request") };
            if let Some(time) = plain.strip_prefix("at ") {
                now = (self.time)(time).unwrap_or_else(|| broken());
                continue;
            }
            let step = (self.step)(plain).unwrap_or_else(|| broken());
            let outcome = harness.step(&step, now, true);
            assert_eq!((self.sound)(&harness.domain), Ok(()), "{name}, line {number}");
            for slot in &outcome.outputs {
                writeln!(said, "  {}", (self.say)(slot)).expect("a string takes all");
            }
            if let Some(Code(code)) = outcome.reject {
                let rows = <M::Domain as Domain>::REJECTS;
                let row = rows.iter().find(|row| row.code == code).expect("a code of this domain");
                writeln!(said, "  -> refused: {}", row.name).expect("a string takes all");
            }
            steps.push(step);
        }
        assert!(!steps.is_empty(), "{name} asks nothing");
        // Without its times: what the transcript says of them is checked above.
        laws::check_steps::<M>(&self.limits, steps.into_iter(), 1, Often { rejects: 1, restores: 1 });
        said
    }
}

/// Loads the domain's snapshot with a bit of each byte turned over: it is refused, or loads into a state that saves as it
/// came.
///
/// # Panics
/// When another state was loaded, or hardly anything is refused.
pub(crate) fn flip_every_byte<D: Domain>(domain: &D, limits: &D::Limits) {
    let mut saved = Bytes::default();
    domain.save(&mut saved);
    let mut refused = 0;
    for at in 0..saved.bytes().len() {
        let mut damaged = saved.bytes().to_vec();
        damaged[at] ^= 1 << (at % 8);
        match D::load(limits, &mut Bytes::from(damaged.clone())) {
            Err(_) => refused += 1,
            Ok(loaded) => {
                let mut again = Bytes::default();
                loaded.save(&mut again);
                assert!(again.bytes() == damaged, "byte {at}: what was loaded saves otherwise");
            }
        }
    }
    assert!(refused > saved.bytes().len() / 4, "{refused} of {} are refused", saved.bytes().len());
}
