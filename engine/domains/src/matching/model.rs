//! The slow twin.
