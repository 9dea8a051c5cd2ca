//! The system's allocator, which counts what the threads that ask for it allocate.
#![allow(unsafe_code, reason = "a global allocator is unsafe by its trait; this one hands everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn seen() {
    // A thread that is ending has no locals any more, and is not counted.
    let counts = COUNTS.try_with(Cell::get).unwrap_or(false);
    if counts {
        let _ = SEEN.try_with(|seen| seen.set(seen.get() + 1));
    }
}

// SAFETY: every call goes to the system's allocator with the arguments it came with; counting allocates nothing, since
// the thread locals have constant initial values and no destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        seen();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        seen();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        seen();
        // SAFETY: the caller's promise about `pointer` and `layout`, which this allocator gave out, is passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        seen();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Calls to the allocator that this thread makes in `body`, frees included.
pub(crate) fn count(body: impl FnOnce()) -> u64 {
    SEEN.set(0);
    COUNTS.set(true);
    body();
    COUNTS.set(false);
    SEEN.get()
}
