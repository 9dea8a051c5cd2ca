//! The domains: one folder each, listed in one registry.
