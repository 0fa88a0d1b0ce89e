//! Rows of a component at the picture's resolution. A factor of two weighs the two nearest samples 3 to 1, as libjpeg's
//! "fancy upsampling"; other factors repeat samples.

use super::frame::Plane;

/// A component and its distance from the picture's resolution.
pub(super) struct Source<'p> {
    pub plane: &'p Plane,
    /// Pixels per sample.
    pub across: usize,
    /// Rows per sample.
    pub down: usize,
}

/// The memory of a row.
#[derive(Default)]
pub(super) struct Scratch {
    row: Vec<u8>,
    sums: Vec<u16>,
}

impl Source<'_> {
    /// Row `y` of the picture, `width` samples.
    #[inline(always)]
    pub fn row<'s>(&'s self, y: usize, width: usize, scratch: &'s mut Scratch) -> &'s [u8] {
        let Scratch { row, sums } = scratch;
        let plane = self.plane;
        let near = plane.row(y / self.down);
        // Weighing needs three samples in a row.
        let fancy = plane.width > 2;
        // The other row that lies next to this one.
        let far = || if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 };
        row.resize(width.next_multiple_of(self.across), 0);
        match (self.across, self.down) {
            (1, 1) => return &near[..width],
            (2, 1) if fancy => {
                sums.clear();
                sums.extend(near.iter().map(|&v| u16::from(v)));
                // First and last samples stay as they are.
                spread(sums, row, 1, 2, 2);
            }
            (1, 2) => {
                let bias = 1 + (y % 2) as u16;
                for ((out, &near), &far) in row.iter_mut().zip(near).zip(plane.row(far())) {
                    *out = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
                }
            }
            (2, 2) if fancy => {
                sums.clear();
                let pairs = near.iter().zip(plane.row(far()));
                sums.extend(pairs.map(|(&near, &far)| u16::from(near) * 3 + u16::from(far)));
                spread(sums, row, 8, 7, 4);
            }
            (across, _) => {
                row.chunks_exact_mut(across).zip(near).for_each(|(out, &value)| out.fill(value));
            }
        }
        &row[..width]
    }
}

/// Two samples from each: with its neighbours 3 to 1, rounded by `left` and `right`, divided by 2^`bits`.
#[inline(always)]
fn spread(values: &[u16], out: &mut [u8], left: u16, right: u16, bits: u32) {
    let (inner, pairs) = (values.windows(3), out.as_chunks_mut::<2>().0);
    if let [first, second, ..] = *values {
        pairs[0] = [((first * 4 + left) >> bits) as u8, ((first * 3 + second + right) >> bits) as u8];
    }
    for (window, out) in inner.zip(&mut pairs[1..]) {
        let [before, value, after] = [window[0], window[1], window[2]];
        *out = [((value * 3 + before + left) >> bits) as u8, ((value * 3 + after + right) >> bits) as u8];
    }
    if let ([.., before, last], Some(pair)) = (values, pairs.last_mut()) {
        *pair = [((last * 3 + before + left) >> bits) as u8, ((last * 4 + right) >> bits) as u8];
    }
}
