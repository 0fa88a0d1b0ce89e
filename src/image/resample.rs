//! Pillow's resampling of 8-bit pictures, bit for bit.
//!
//! Two passes, horizontal first, each with 22-bit fixed-point weights and an 8-bit rounded and clipped
//! result. A side that already has its target size is left unchanged (as in Pillow before version 13, which
//! may swap the passes). Filters always antialias: their support grows with the reduction.

use std::ops::Range;

use rayon::prelude::*;

/// An interpolation filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filter {
    /// The Keys cubic with a = -0.5.
    Bicubic,
    /// A triangle.
    Bilinear,
    /// The nearest sample, computed as in Pillow.
    Nearest,
}

/// 8-bit samples, rows of interleaved pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples per pixel.
    pub channels: usize,
    /// `height * width * channels` values.
    pub values: Vec<u8>,
}

/// [`Samples`] that lie elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub width: usize,
    pub channels: usize,
    pub values: &'a [u8],
}

impl Samples {
    pub(super) fn pixels(&self) -> Pixels<'_> {
        Pixels { width: self.width, channels: self.channels, values: &self.values }
    }
}

/// One side of a resampling: the number of input and output samples, and the wanted range of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    pub input: usize,
    pub output: usize,
    pub wanted: Range<usize>,
}

impl Side {
    pub fn whole(input: usize, output: usize) -> Self {
        Self { input, output, wanted: 0..output }
    }

    fn is_identity(&self) -> bool {
        self.input == self.output
    }
}

/// Resizes to `width` x `height`, both at least 1; an empty picture gives an empty one.
pub fn resize(picture: &Samples, width: usize, height: usize, filter: Filter) -> Samples {
    let sides = (Side::whole(picture.width, width), Side::whole(picture.height, height));
    resample(picture.pixels(), &sides.0, &sides.1, filter)
}

/// Resizes, but computes only the wanted window.
pub(super) fn resample(picture: Pixels<'_>, across: &Side, down: &Side, filter: Filter) -> Samples {
    if picture.values.is_empty() || across.wanted.is_empty() || down.wanted.is_empty() {
        let (width, height) = (across.wanted.len(), down.wanted.len());
        return Samples {
            width,
            height,
            channels: picture.channels,
            values: vec![0; width * height * picture.channels],
        };
    }
    let Some((kernel, support)) = filter.kernel() else { return nearest(picture, across, down) };
    let columns = Weights::new(across, kernel, support);
    let rows = Weights::new(down, kernel, support);
    let needed = rows.needed();
    let squeezed = horizontal(picture, across, &columns, needed.clone());
    vertical(&squeezed, down, &rows, needed.start)
}

/// A filter's weight by distance, and the distance from which the weight is zero.
type Kernel = (fn(f64) -> f64, f64);

impl Filter {
    fn kernel(self) -> Option<Kernel> {
        match self {
            Self::Bicubic => Some((keys_cubic, 2.0)),
            Self::Bilinear => Some((triangle, 1.0)),
            Self::Nearest => None,
        }
    }
}

/// The Keys cubic with a = -0.5: Pillow's bicubic, and torch's where it antialiases.
pub(crate) fn keys_cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Fractional bits of a weight.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);

/// Fixed-point weights of the input samples of each wanted output sample.
struct Weights {
    spans: Vec<Range<usize>>,
    /// The weights of all output samples, one sample after another.
    values: Vec<i32>,
    starts: Vec<usize>,
}

impl Weights {
    fn new(side: &Side, kernel: fn(f64) -> f64, support: f64) -> Self {
        if side.is_identity() {
            // One input sample each, with full weight: the side is unchanged.
            let count = side.wanted.len();
            return Self {
                spans: side.wanted.clone().map(|i| i..i + 1).collect(),
                values: vec![1 << PRECISION; count],
                starts: (0..count).collect(),
            };
        }
        let scale = side.input as f64 / side.output as f64;
        let stretch = scale.max(1.0);
        let reach = support * stretch;
        let mut weights = Self { spans: Vec::new(), values: Vec::new(), starts: Vec::new() };
        let mut exact = Vec::new();
        for o in side.wanted.clone() {
            let centre = (o as f64 + 0.5) * scale;
            let first = ((centre - reach + 0.5) as isize).max(0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(side.input);
            exact.clear();
            exact.extend((first..end).map(|i| kernel((i as f64 - centre + 0.5) * (1.0 / stretch))));
            let sum: f64 = exact.iter().sum();
            weights.starts.push(weights.values.len());
            weights.spans.push(first..end);
            weights.values.extend(exact.iter().map(|w| to_fixed(w / sum)));
        }
        weights
    }

    /// The range of input samples used by the output samples.
    fn needed(&self) -> Range<usize> {
        let start = self.spans.iter().map(|s| s.start).min().unwrap_or(0);
        start..self.spans.iter().map(|s| s.end).max().unwrap_or(0)
    }

    fn of(&self, output: usize) -> (usize, &[i32]) {
        let span = &self.spans[output];
        (span.start, &self.values[self.starts[output]..][..span.len()])
    }
}

/// Rounds half away from zero.
fn to_fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION) + if weight < 0.0 { -0.5 } else { 0.5 }) as i32
}

fn to_sample(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Resizes the needed rows horizontally.
fn horizontal(picture: Pixels<'_>, side: &Side, weights: &Weights, rows: Range<usize>) -> Samples {
    let channels = picture.channels;
    let width = side.wanted.len();
    let stride = picture.width * channels;
    let source = &picture.values[rows.start * stride..rows.end * stride];
    let mut values = vec![0u8; rows.len() * width * channels];
    values.par_chunks_exact_mut(width * channels).zip(source.par_chunks_exact(stride)).for_each(
        |(out, row)| {
            if side.is_identity() {
                return out.copy_from_slice(&row[side.wanted.start * channels..side.wanted.end * channels]);
            }
            match channels {
                1 => convolve_row::<1>(row, weights, out),
                2 => convolve_row::<2>(row, weights, out),
                3 => convolve_row::<3>(row, weights, out),
                _ => convolve_row::<4>(row, weights, out),
            }
        },
    );
    Samples { width, height: rows.len(), channels, values }
}

fn convolve_row<const C: usize>(row: &[u8], weights: &Weights, out: &mut [u8]) {
    let row = row.as_chunks::<C>().0;
    for (o, out) in out.as_chunks_mut::<C>().0.iter_mut().enumerate() {
        let (first, taps) = weights.of(o);
        let mut sums = [HALF; C];
        for (pixel, &weight) in row[first..].iter().zip(taps) {
            for (sum, &sample) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(sample) * weight;
            }
        }
        *out = sums.map(to_sample);
    }
}

/// Resizes vertically; row 0 of `picture` is row `first_row` of the whole picture.
fn vertical(picture: &Samples, side: &Side, weights: &Weights, first_row: usize) -> Samples {
    let stride = picture.width * picture.channels;
    let height = side.wanted.len();
    let mut values = vec![0u8; height * stride];
    values.par_chunks_exact_mut(stride).enumerate().for_each(|(o, out)| {
        let (first, taps) = weights.of(o);
        let rows = picture.values[(first - first_row) * stride..].chunks_exact(stride);
        if side.is_identity() {
            rows.take(1).for_each(|row| out.copy_from_slice(row));
            return;
        }
        let mut sums = vec![HALF; stride];
        for (row, &weight) in rows.zip(taps) {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += i32::from(sample) * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = to_sample(sum);
        }
    });
    Samples { width: picture.width, height, channels: picture.channels, values }
}

fn nearest(picture: Pixels<'_>, across: &Side, down: &Side) -> Samples {
    let columns = nearest_indices(across);
    let rows = nearest_indices(down);
    let channels = picture.channels;
    let stride = picture.width * channels;
    let mut values = Vec::with_capacity(rows.len() * columns.len() * channels);
    for &row in &rows {
        let row = &picture.values[row * stride..][..stride];
        for &column in &columns {
            values.extend_from_slice(&row[column * channels..][..channels]);
        }
    }
    Samples { width: columns.len(), height: rows.len(), channels, values }
}

/// Pillow computes the source position by repeated addition; near whole numbers the rounding of this sum
/// decides.
fn nearest_indices(side: &Side) -> Vec<usize> {
    let step = side.input as f64 / side.output as f64;
    let mut position = 0.5 * step;
    let mut all = Vec::with_capacity(side.output);
    for _ in 0..side.output {
        all.push((position as usize).min(side.input - 1));
        position += step;
    }
    all[side.wanted.clone()].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(width: usize, height: usize, channels: usize) -> Samples {
        let values = (0..width * height * channels).map(|i| ((i * 2_654_435_761) >> 7) as u8).collect();
        Samples { width, height, channels, values }
    }

    #[test]
    fn accumulated_positions_of_pillows_nearest() {
        let indices = nearest_indices(&Side::whole(1024, 518));
        assert_eq!((indices[129], indices[388]), (255, 767));
        assert_eq!(nearest_indices(&Side::whole(96, 70))[17], 23);
    }

    #[test]
    fn the_same_size_changes_nothing() {
        for channels in 1..=4 {
            let picture = noise(13, 7, channels);
            for filter in [Filter::Bicubic, Filter::Bilinear, Filter::Nearest] {
                assert_eq!(resize(&picture, 13, 7, filter), picture);
            }
        }
    }

    proptest! {
        #[test]
        fn constants_stay_and_sizes_are_as_asked(
            w in 1usize..40, h in 1usize..40, tw in 1usize..40, th in 1usize..40, value: u8, channels in 1usize..5,
        ) {
            let picture = Samples { width: w, height: h, channels, values: vec![value; w * h * channels] };
            for filter in [Filter::Bicubic, Filter::Bilinear, Filter::Nearest] {
                let out = resize(&picture, tw, th, filter);
                prop_assert_eq!(out, Samples { width: tw, height: th, channels, values: vec![value; tw * th * channels] });
            }
        }

        #[test]
        fn a_window_is_part_of_the_whole(
            w in 1usize..30, h in 1usize..30, tw in 1usize..30, th in 1usize..30, a in 0.0f64..1.0, b in 0.0f64..1.0,
        ) {
            let picture = noise(w, h, 3);
            for filter in [Filter::Bicubic, Filter::Nearest] {
                let whole = resize(&picture, tw, th, filter);
                let x = (a * tw as f64) as usize..tw;
                let y = 0..1 + (b * (th - 1) as f64) as usize;
                let across = Side { wanted: x.clone(), ..Side::whole(w, tw) };
                let down = Side { wanted: y.clone(), ..Side::whole(h, th) };
                let part = resample(picture.pixels(), &across, &down, filter);
                for row in y {
                    let expected = &whole.values[(row * tw + x.start) * 3..(row * tw + x.end) * 3];
                    prop_assert_eq!(&part.values[row * x.len() * 3..][..x.len() * 3], expected);
                }
            }
        }
    }
}
