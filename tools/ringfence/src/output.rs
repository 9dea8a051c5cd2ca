//! Writing to standard output, which may be a closed pipe or a full disk.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Prints a line. A reader that has gone away ends the command quietly; any other failure ends it with status 1.
pub fn line(arguments: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = writeln!(out, "{arguments}").and_then(|()| out.flush()) else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        let _ = writeln!(std::io::stderr(), "ringfence: standard output: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// Prints a line to standard output, as [`line()`] does.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::line(format_args!($($argument)*)) };
}
