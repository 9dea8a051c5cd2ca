//! Saving, loading and hashing the state: one walk.

use super::{LOGIC_LATEST, Machine, Phase};
use crate::sessions::{DOMAIN_IDS, Sessions};
use crate::topics::Topics;
use ringfence_kernel::system::{Genesis, GenesisDomain};
use ringfence_kernel::{Corrupt, Registry, SessionId, Sink, Source, StateHasher, Timestamp};

impl<R: Registry> Machine<R> {
    /// Writes all state in canonical order: the engine's part, then each domain's.
    ///
    /// # Panics
    /// When a frame is half executed.
    pub fn save(&self, sink: &mut impl Sink) {
        self.save_engine(sink);
        for domain in self.present() {
            self.domains.save(domain, sink);
        }
    }

    fn save_engine(&self, sink: &mut impl Sink) {
        assert_eq!(self.phase, Phase::Start, "state is saved between frames");
        sink.value(&self.genesis.0);
        sink.value(&(self.genesis.1.len() as u64));
        sink.values(&self.genesis.1);
        sink.value(&u64::from(self.logic));
        sink.value(&self.now);
        sink.value(&self.sequence);
        sink.value(&self.incarnation);
        sink.value(&u64::from(self.session_last.0));
        sink.value(&self.chain);
        self.sessions.save(sink);
        self.topics.save(sink);
    }

    fn present(&self) -> impl Iterator<Item = usize> {
        (0..R::DOMAINS.len()).filter(|domain| self.domains.is_present(*domain))
    }

    /// The hash of all state, as [`Machine::save`] writes it.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut hasher = StateHasher::new();
        self.save(&mut hasher);
        hasher.finish()
    }

    /// The hash of each domain's state, by name.
    pub fn domain_hashes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.present().map(|domain| {
            let mut hasher = StateHasher::new();
            self.domains.save(domain, &mut hasher);
            (R::DOMAINS[domain].name, hasher.finish())
        })
    }

    /// The state that [`Machine::save`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] when the bytes cannot be such a state, or are of domains that this build has not.
    pub fn load(source: &mut impl Source) -> Result<Self, Corrupt> {
        let genesis: Genesis = source.value()?;
        let mut entries = Vec::new();
        for _ in 0..source.count(DOMAIN_IDS, "domains")? {
            entries.push(source.value::<GenesisDomain>()?);
        }
        let mut machine =
            Self::from_genesis(genesis, entries, Timestamp(0)).map_err(|_| Corrupt("domains of another build"))?;
        let logic: u64 = source.value()?;
        machine.logic = u32::try_from(logic)
            .ok()
            .filter(|logic| (1..=LOGIC_LATEST).contains(logic))
            .ok_or(Corrupt("logic version of another build"))?;
        machine.now = source.value()?;
        machine.sequence = source.value()?;
        machine.incarnation = source.value()?;
        machine.session_last = SessionId(u32::try_from(source.value::<u64>()?).map_err(|_| Corrupt("session id"))?);
        machine.chain = source.value()?;
        machine.sessions = Sessions::load(genesis.clients_max as usize, genesis.reply_window as usize, source)?;
        machine.topics = Topics::load(genesis.topics_max as usize, source)?;
        for entry in machine.genesis.1.clone() {
            let domain = machine.domains.index(entry.domain).expect("Genesis named it");
            machine.domains.load(domain, &entry, source)?;
        }
        Ok(machine)
    }
}
