//! `top`: what an engine's counters say, computed once, drawn or printed.

pub mod figures;
pub mod numbers;
pub mod screen;
