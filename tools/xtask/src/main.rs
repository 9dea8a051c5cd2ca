//! Habits of the repository: tidy, schema, prove, ci.
fn main() {}
