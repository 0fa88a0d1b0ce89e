//! A limit on memory: a small input must allocate little memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be allocated at a time, by all threads together. Inputs are a few kilobytes; what is fixed (the
/// built-in model, vocabularies) takes some 100 MB.
pub const LIMIT: usize = 768 << 20;

/// The system's allocator; a program that goes beyond [`LIMIT`] is aborted.
pub struct Limited;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Limited = Limited;

fn count(bytes: usize) {
    let before = ALLOCATED.fetch_add(bytes, Ordering::Relaxed);
    if before.saturating_add(bytes) > LIMIT {
        // Nothing may be allocated for the message.
        let _ = std::io::stderr().write_all(b"ERROR: an input made the library allocate too much\n");
        std::process::abort();
    }
}

// SAFETY: every call is the system allocator's; only the bytes are counted.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of this method, which are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of this method, which are those of the system's allocator.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of this method, which are those of the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of this method, which are those of the system's allocator.
        unsafe { System.realloc(block, layout, size) }
    }
}
