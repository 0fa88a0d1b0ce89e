//! Work memory of the kernels: aligned for vector loads, reused for the next picture.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// A cache line of 32-bit units.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u32; 16]);

/// 32-bit units at addresses that are multiples of 64.
#[derive(Debug, Clone, Default)]
pub(super) struct Units(Vec<Line>);

impl Units {
    pub fn zeroed(count: usize) -> Self {
        Self(vec![Line([0; 16]); count.div_ceil(16)])
    }
}

impl Deref for Units {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        // SAFETY: a line is exactly 16 units without padding, and any bits are a valid unit.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }
}

impl DerefMut for Units {
    fn deref_mut(&mut self) -> &mut [u32] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }
}

/// Unused buffers, the last one returned at the end. All blocks of a tower need the same sizes; without this
/// store most of the time would be spent on clearing fresh pages.
static FREE: Mutex<Vec<Units>> = Mutex::new(Vec::new());
/// Largest number of stored units: those of a block of ViT-L/14 at 518 px.
const KEPT: usize = 48 << 20;

/// A buffer from the store, returned on drop. Its contents are undefined.
#[derive(Debug)]
pub(super) struct Scratch(Units);

impl Scratch {
    pub fn new(count: usize) -> Self {
        // Sizes in steps of an eighth, so that similar sizes share buffers.
        let step = (count.next_power_of_two() / 16).max(64);
        let size = count.next_multiple_of(step);
        let mut free = FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let found = free.iter().rposition(|units| units.len() == size).map(|i| free.remove(i));
        drop(free);
        Self(found.unwrap_or_else(|| Units::zeroed(size)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let given_back = std::mem::take(&mut self.0);
        let mut free = FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut kept: usize = free.iter().map(|units| units.len()).sum();
        let too_many = free.iter().take_while(|units| {
            let too_much = kept + given_back.len() > KEPT;
            kept -= if too_much { units.len() } else { 0 };
            too_much
        });
        let too_many = too_many.count();
        let forgotten: Vec<Units> = free.drain(..too_many).collect();
        if given_back.len() <= KEPT {
            free.push(given_back);
        }
        drop(free);
        drop(forgotten);
    }
}

impl Deref for Scratch {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.0
    }
}

/// Units as the floats with the same bits.
pub(super) fn as_floats(units: &[u32]) -> &[f32] {
    // SAFETY: the same size and alignment, and any bits are a valid float.
    unsafe { std::slice::from_raw_parts(units.as_ptr().cast(), units.len()) }
}

/// Units as mutable floats with the same bits.
pub(super) fn as_floats_mut(units: &mut [u32]) -> &mut [f32] {
    // SAFETY: as above; the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(units.as_mut_ptr().cast(), units.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_come_back() {
        for count in [1, 16, 17, 100_000] {
            let mut scratch = Scratch::new(count);
            assert!(scratch.len() >= count);
            assert_eq!(scratch.as_ptr() as usize % 64, 0);
            scratch.fill(7);
        }
        as_floats_mut(&mut Units::zeroed(5))[3] = 1.5;
        assert_eq!(as_floats(&[1.5f32.to_bits()]), [1.5]);
    }
}
