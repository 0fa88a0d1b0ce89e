//! Activations in the layout of the products: rows of units.

use rayon::prelude::*;

use super::buffer::{Scratch, as_floats, as_floats_mut};
use super::isa::{Isa, vectorised};
use super::math::{bf16_chunk, bf16_pair, from_bf16_pair};
use super::tile::Element;

/// A matrix `[rows, columns]` in rows of units, ready to be the left factor of a product.
#[derive(Debug)]
pub struct Rows {
    pub(super) units: Scratch,
    pub(super) element: Element,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Units from one row to the next: never a multiple of a large power of two, because the rows of a tile
    /// would then compete for a few places of the cache.
    pub(super) stride: usize,
    /// For [`Element::Int8`], the scale of each row.
    pub(super) steps: Vec<f32>,
}

impl Rows {
    /// A matrix with undefined contents.
    pub(super) fn new(element: Element, rows: usize, columns: usize) -> Self {
        let padded = columns.div_ceil(element.per_unit()).next_multiple_of(16) + 16;
        let stride = if padded.is_multiple_of(256) { padded + 16 } else { padded };
        let steps = if element == Element::Int8 { vec![0.0; rows] } else { Vec::new() };
        Self { units: Scratch::new(rows * stride), element, rows, columns, stride, steps }
    }

    /// Units of one row used by a product.
    pub(super) fn depth(&self) -> usize {
        self.columns.div_ceil(self.element.per_unit())
    }

    /// Rounds the rows of `values` (`[rows, columns]`, `stride` apart) to `element`.
    ///
    /// # Panics
    /// The processor lacks the instructions, or `values` does not consist of whole rows.
    pub fn from_floats(isa: Isa, values: &[f32], columns: usize, stride: usize, element: Element) -> Self {
        assert!(Isa::all().contains(&isa), "{} is not there", isa.name());
        let mut made = Self::new(element, values.len().div_ceil(stride.max(1)), columns);
        made.fill(|row, out, step| {
            encode(isa, &values[row * stride..row * stride + columns], element, out, step)
        });
        made
    }

    /// The same matrix with another element.
    pub(crate) fn into_element(self, isa: Isa, element: Element) -> Self {
        if self.element == element {
            return self;
        }
        let mut made = Self::new(element, self.rows, self.columns);
        made.fill(|row, out, step| {
            let from = &self.units[row * self.stride..][..self.depth()];
            match self.element {
                Element::F32 => encode(isa, as_floats(from), element, out, step),
                Element::Bf16 => {
                    let mut wide = Scratch::new(2 * from.len());
                    let wide = as_floats_mut(&mut wide);
                    for (pair, unit) in wide.as_chunks_mut::<2>().0.iter_mut().zip(from) {
                        *pair = from_bf16_pair(*unit).into();
                    }
                    encode(isa, &wide[..self.columns], element, out, step);
                }
                Element::Int8 => {
                    let wide: Vec<f32> = from
                        .iter()
                        .flat_map(|unit| unit.to_le_bytes())
                        .map(|byte| (f32::from(byte) - 128.0) * self.steps[row])
                        .collect();
                    encode(isa, &wide[..self.columns], element, out, step);
                }
            }
        });
        made
    }

    /// Writes every row with `write(row, units, step)`, on all threads.
    pub(super) fn fill(&mut self, write: impl Fn(usize, &mut [u32], &mut f32) + Sync) {
        let (depth, stride) = (self.depth(), self.stride);
        let units = self.units[..self.rows * stride].par_chunks_exact_mut(stride).enumerate().with_min_len(8);
        if self.steps.is_empty() {
            units.for_each(|(row, out)| write(row, &mut out[..depth], &mut 0.0));
        } else {
            units.zip(&mut self.steps).for_each(|((row, out), step)| write(row, &mut out[..depth], step));
        }
    }
}

vectorised! {
    /// Rounds one row to an element type. `step` becomes the scale of 8-bit integers, 1/127 of the row's
    /// largest magnitude.
    pub(super) fn encode(values: &[f32], element: Element, out: &mut [u32], step: &mut f32) {
        match element {
            Element::F32 => {
                for (out, v) in out.iter_mut().zip(values) {
                    *out = v.to_bits();
                }
            }
            Element::Bf16 => {
                let (whole, rest) = values.as_chunks::<32>();
                for (out, chunk) in out.as_chunks_mut::<16>().0.iter_mut().zip(whole) {
                    bf16_chunk::<BF16>(chunk, out);
                }
                let (pairs, rest) = rest.as_chunks::<2>();
                for (out, [first, second]) in out[whole.len() * 16..].iter_mut().zip(pairs) {
                    *out = bf16_pair(*first, *second);
                }
                if let ([last], Some(out)) = (rest, out.last_mut()) {
                    *out = bf16_pair(*last, 0.0);
                }
            }
            Element::Int8 => {
                // Magnitudes as bits have the order of the numbers, with NaN the largest.
                let size = |v: &f32| v.to_bits() & 0x7FFF_FFFF;
                let mut largest = [0u32; 16];
                let (chunks, rest) = values.as_chunks::<16>();
                for chunk in chunks {
                    for (l, v) in largest.iter_mut().zip(chunk) {
                        *l = (*l).max(size(v));
                    }
                }
                let largest = f32::from_bits(largest.into_iter().chain(rest.iter().map(size)).fold(0, u32::max));
                *step = largest / 127.0;
                let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                // Adding 1.5 * 2^23 rounds to the nearest integer, which is then the low byte.
                let byte = |v: f32| (v * scale + (12_582_912.0 + 128.0)).to_bits() & 0xFF;
                let (fours, rest) = values.as_chunks::<4>();
                for (out, [a, b, c, d]) in out.iter_mut().zip(fours) {
                    *out = byte(*a) | byte(*b) << 8 | byte(*c) << 16 | byte(*d) << 24;
                }
                if !rest.is_empty() && let Some(out) = out.last_mut() {
                    *out = rest.iter().rev().fold(0, |unit, &v| unit << 8 | byte(v));
                }
            }
        }
    }
}
