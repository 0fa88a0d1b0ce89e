//! From the bytes of rows to samples: predictors undone, bits unpacked, byte order applied.

use super::directory::Order;

/// Undoes the differences between neighbouring pixels (predictor 2) of a row, in place.
pub(super) fn sum(row: &mut [u8], order: Order, bits: u32, samples: usize) {
    let width = bits as usize / 8;
    if width == 1 {
        for i in samples..row.len() {
            row[i] = row[i].wrapping_add(row[i - samples]);
        }
        return;
    }
    let step = samples * width;
    for at in (step..row.len()).step_by(width) {
        let Some(end) = at.checked_add(width).filter(|&end| end <= row.len()) else { return };
        let value = order.number(&row[at..end]).wrapping_add(order.number(&row[at - step..end - step]));
        let bytes = value.to_be_bytes();
        row[at..end].copy_from_slice(&bytes[8 - width..]);
        if order == Order::Little {
            row[at..end].reverse();
        }
    }
}

/// Undoes the differences between bytes that were sorted by significance (predictor 3) of a row of floats in
/// little-endian order.
pub(super) fn unsort(row: &mut [u8], order: Order, bits: u32, samples: usize) {
    let width = bits as usize / 8;
    sum(row, order, 8, samples);
    let count = row.len() / width;
    let sorted = row.to_vec();
    for (i, value) in row.chunks_exact_mut(width).enumerate() {
        for (j, byte) in value.iter_mut().enumerate() {
            *byte = sorted[(width - 1 - j) * count + i];
        }
    }
}

/// The first `count` numbers of `bits` bits each: whole bytes in the file's order, else bits from the highest.
pub(super) fn numbers(row: &[u8], order: Order, bits: u32, count: usize, mut each: impl FnMut(u64)) {
    let bits = bits as usize;
    if bits.is_multiple_of(8) {
        return row.chunks_exact(bits / 8).take(count).for_each(|bytes| each(order.number(bytes)));
    }
    for start in (0..count).map(|i| i * bits) {
        let (first, end) = (start / 8, (start + bits).div_ceil(8));
        let number = Order::Big.number(row.get(first..end).unwrap_or_default());
        each((number >> (8 * end - start - bits)) & ((1 << bits) - 1));
    }
}
