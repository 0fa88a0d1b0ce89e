//! The program's allocator.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// Bytes from which on memory is the system's: a large picture. What was freed goes back at once.
const LARGE: usize = 128 << 20;

/// A tower allocates and frees tensors of tens of megabytes in every block. The system's allocator returns
/// each to the system and must fault its pages in again; mimalloc keeps them (measured: 9.2 s to 6.1 s
/// per picture for ViT-L/14 at 518 px). It would keep the memory of large pictures too, beside that of the next.
pub struct Allocator;

fn is_large(size: usize) -> bool {
    size >= LARGE
}

// SAFETY: memory goes back to the allocator that its size, which the caller repeats, says it is from.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        unsafe { if is_large(layout.size()) { System.alloc(layout) } else { MiMalloc.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        unsafe {
            if is_large(layout.size()) { System.alloc_zeroed(layout) } else { MiMalloc.alloc_zeroed(layout) }
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe {
            if is_large(layout.size()) {
                System.dealloc(memory, layout);
            } else {
                MiMalloc.dealloc(memory, layout);
            }
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as promised by the caller; between the allocators what both sizes hold is copied.
        unsafe {
            match (is_large(layout.size()), is_large(size)) {
                (true, true) => System.realloc(memory, layout, size),
                (false, false) => MiMalloc.realloc(memory, layout, size),
                _ => {
                    let other = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                    if !other.is_null() {
                        std::ptr::copy_nonoverlapping(memory, other, size.min(layout.size()));
                        self.dealloc(memory, layout);
                    }
                    other
                }
            }
        }
    }
}
