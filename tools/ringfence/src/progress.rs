//! Long work shows how far it is, on a terminal and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};
use ringfence_engine::replay::Observer;
use ringfence_kernel::Sequence;
use ringfence_kernel::image::Slot;

/// Frames between two looks at the bar.
const EVERY: u64 = 1 << 16;

/// A bar over a replay.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar up to `end` frames, when that is known.
    pub fn new(what: &'static str, end: Option<Sequence>) -> Self {
        let bar = end.map_or_else(ProgressBar::new_spinner, |end| ProgressBar::new(end.0));
        let template = "{msg} {human_pos} {wide_bar} {per_sec} {elapsed}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is sound"));
        bar.set_message(what);
        Self { bar }
    }

    /// The bar is done with.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    #[inline]
    fn outputs(&mut self, _: &[Slot]) {}

    #[inline]
    fn executed(&mut self, next: Sequence, _: u64) {
        if next.0.is_multiple_of(EVERY) {
            self.bar.set_position(next.0);
        }
    }
}
