//! The contract between the engine and a domain: images, messages, sessions, bounded state.
