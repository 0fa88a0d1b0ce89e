//! Linear layers: weights are packed once; product, bias, nonlinearity and residual sum are one operation.

use rayon::prelude::*;

use super::buffer::{Scratch, Units, as_floats};
use super::isa::{Isa, vectorised};
use super::math::{bf16_chunk, bf16_pair, gelu, quick_gelu};
use super::rows::{Rows, encode};
use super::tile::{Element, PANEL, Tile, TileKernel, kernels};

/// Units of depth multiplied before the next panel: this part of a panel has 64 KiB.
const DEPTH: usize = 512;
/// Tiles of rows in a task: with [`DEPTH`] they fit a second-level cache of half a megabyte.
const TILES: usize = 8;
/// Panels in a task.
const PANELS: usize = 16;
/// Largest number of inputs whose 8-bit products can be summed: `127 * 127` times this is below `2^31`.
const LARGEST_INT8: usize = 133_000;
/// Tiles of rows in a task that computes whole rows.
const ROWS_AT_ONCE: usize = 4;

/// The function applied to every element of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Nonlinearity {
    /// The identity.
    #[default]
    None,
    /// `x Phi(x)`, exact.
    Gelu,
    /// `x sigmoid(1.702 x)`.
    QuickGelu,
    /// `x`, or `0.01 x` for negative `x`.
    LeakyRelu,
}

/// A linear layer `x W^T + b` with weights in the order in which the products read them.
#[derive(Debug, Clone)]
pub struct PackedLinear {
    isa: Isa,
    element: Element,
    inputs: usize,
    outputs: usize,
    /// `[outputs / 32][depth][32]` units; zero beyond the last output.
    panels: Units,
    /// Per output, rounded up to whole panels.
    bias: Vec<f32>,
    /// For 8-bit integers, per output: the scale of its weights.
    steps: Vec<f32>,
    /// For 8-bit integers, per output: 128 times the sum of its weights, to be subtracted because rows are
    /// unsigned.
    shifts: Vec<i32>,
}

/// Destination of the results: floats, or rows for the next product.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub units: *mut u32,
    pub stride: usize,
    pub element: Element,
}

// SAFETY: tasks write disjoint parts of the memory.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl PackedLinear {
    /// Packs `weight` `[outputs, inputs]` and `bias` `[outputs]`. 8-bit weights have a scale per output;
    /// layers that are too wide for them stay in floats.
    ///
    /// # Panics
    /// The processor lacks the instructions, or `weight` does not consist of whole rows.
    pub fn new(isa: Isa, element: Element, inputs: usize, weight: &[f32], bias: Option<&[f32]>) -> Self {
        let outputs = weight.len() / inputs.max(1);
        assert!(Isa::all().contains(&isa), "{} is not there", isa.name());
        assert!(weight.len() == outputs * inputs, "a weight of {} numbers for {inputs} inputs", weight.len());
        // With more inputs, sums of 8-bit products may exceed 32 bits.
        let element = if inputs > LARGEST_INT8 && element == Element::Int8 { Element::F32 } else { element };
        let depth = inputs.div_ceil(element.per_unit());
        let whole = outputs.next_multiple_of(PANEL);
        let mut packed = Self {
            isa,
            element,
            inputs,
            outputs,
            panels: Units::zeroed(whole * depth),
            bias: vec![0.0; whole],
            steps: vec![0.0; whole],
            shifts: vec![0; whole],
        };
        if let Some(bias) = bias {
            packed.bias[..outputs].copy_from_slice(&bias[..outputs]);
        }
        let panels = packed.panels.par_chunks_exact_mut((depth * PANEL).max(1));
        let about = packed.steps.par_chunks_exact_mut(PANEL).zip(packed.shifts.par_chunks_exact_mut(PANEL));
        panels.zip(about).enumerate().for_each(|(p, (panel, (steps, shifts)))| {
            for c in 0..PANEL.min(outputs - p * PANEL) {
                let row = &weight[(p * PANEL + c) * inputs..][..inputs];
                let column = panel.iter_mut().skip(c).step_by(PANEL);
                match element {
                    Element::F32 => column.zip(row).for_each(|(unit, w)| *unit = w.to_bits()),
                    Element::Bf16 => column.zip(row.chunks(2)).for_each(|(unit, w)| {
                        *unit = bf16_pair(w[0], w.get(1).copied().unwrap_or(0.0));
                    }),
                    Element::Int8 => {
                        let largest = row.iter().fold(0f32, |l, w| l.max(w.abs()));
                        let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                        steps[c] = largest / 127.0;
                        let byte = |w: f32| (w * scale).round_ties_even() as i8;
                        shifts[c] = row.iter().map(|&w| i32::from(byte(w))).sum::<i32>().wrapping_mul(128);
                        column.zip(row.chunks(4)).for_each(|(unit, w)| {
                            let bytes = [0, 1, 2, 3].map(|i| w.get(i).map_or(0, |&w| byte(w) as u8));
                            *unit = u32::from_le_bytes(bytes);
                        });
                    }
                }
            }
        });
        packed
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number type of the weights; rows must have the same.
    pub(crate) fn element(&self) -> Element {
        self.element
    }

    /// `act(x W^T + b) + residual` as floats `[rows, outputs]`; `residual` has the same shape.
    ///
    /// # Panics
    /// The rows have another width or element than the weights, or the residual has another shape.
    pub fn floats(&self, x: &Rows, act: Nonlinearity, residual: Option<&[f32]>) -> Vec<f32> {
        let count = x.rows * self.outputs;
        let mut out: Vec<f32> = Vec::with_capacity(count);
        assert!(residual.is_none_or(|r| r.len() == count), "the residual has another shape");
        let target = Target { units: out.as_mut_ptr().cast(), stride: self.outputs, element: Element::F32 };
        // SAFETY: every row has room, and every number is written.
        unsafe {
            self.run(x, act, residual, target);
            out.set_len(count);
        }
        out
    }

    /// `act(x W^T + b)` as rows for the next product.
    pub(crate) fn rows(&self, x: &Rows, act: Nonlinearity, element: Element) -> Rows {
        self.check(x);
        if element == Element::Int8 {
            return self.int8_rows(x, act);
        }
        let mut out = Rows::new(element, x.rows, self.outputs);
        let target = Target { units: out.units.as_mut_ptr(), stride: out.stride, element };
        // SAFETY: `Rows` has room for every row.
        unsafe { self.run(x, act, None, target) };
        out
    }

    /// As [`Self::rows`], in 8-bit integers. The scale of a row depends on the whole row, so a task computes
    /// whole rows, but only a few at a time, so that their floats stay in the cache.
    fn int8_rows(&self, x: &Rows, act: Nonlinearity) -> Rows {
        let mut out = Rows::new(Element::Int8, x.rows, self.outputs);
        let kernels = kernels(self.isa, self.element);
        let (at_once, depth, row_units) = (ROWS_AT_ONCE * kernels.len(), out.depth(), out.stride);
        let stride = self.outputs.next_multiple_of(16) + 16;
        let rows = out.units[..x.rows * row_units].par_chunks_mut(at_once * row_units);
        rows.zip(out.steps.par_chunks_mut(at_once)).enumerate().with_max_len(1).for_each(
            |(i, (units, steps))| {
                let rows = i * at_once..x.rows.min((i + 1) * at_once);
                let mut floats = Scratch::new(rows.len() * stride);
                // Row numbers are absolute; the pointer is moved back to the position of row 0.
                let target = Target {
                    units: floats.as_mut_ptr().wrapping_sub(rows.start * stride),
                    stride,
                    element: Element::F32,
                };
                let finish = Finish { linear: self, steps: &x.steps, act, residual: None, target };
                // SAFETY: the scratch buffer has room for these rows, and only this task uses it.
                unsafe { self.block(x, kernels, rows.clone(), 0..self.outputs.div_ceil(PANEL), &finish) };
                let floats = as_floats(&floats).chunks_exact(stride);
                for ((units, step), floats) in units.chunks_exact_mut(row_units).zip(steps).zip(floats) {
                    encode(self.isa, &floats[..self.outputs], Element::Int8, &mut units[..depth], step);
                }
            },
        );
        out
    }

    /// # Safety
    /// `target` has room for `x.rows` rows of `outputs` numbers of its element, which is not 8-bit.
    unsafe fn run(&self, x: &Rows, act: Nonlinearity, residual: Option<&[f32]>, target: Target) {
        self.check(x);
        if x.rows == 0 || self.outputs == 0 {
            return;
        }
        let kernels = kernels(self.isa, self.element);
        let height = kernels.len();
        let panels = self.outputs.div_ceil(PANEL);
        let threads = rayon::current_num_threads();
        // Smaller tasks if there would be fewer than a few per thread.
        let (mut tiles, mut wide) = (TILES, PANELS);
        let row_tiles = x.rows.div_ceil(height);
        while row_tiles.div_ceil(tiles) * panels.div_ceil(wide) < 16 * threads && (tiles > 1 || wide > 1) {
            if wide > 1 && wide * 2 > tiles {
                wide = wide.div_ceil(2);
            } else {
                tiles = tiles.div_ceil(2);
            }
        }
        let across = panels.div_ceil(wide);
        let finish = Finish { linear: self, steps: &x.steps, act, residual, target };
        let task = |i: usize| {
            let rows = (i / across) * tiles * height..x.rows.min((i / across + 1) * tiles * height);
            let panels = (i % across) * wide..panels.min((i % across + 1) * wide);
            // SAFETY: guaranteed by the caller; tasks have disjoint rows or columns.
            unsafe { self.block(x, kernels, rows, panels, &finish) };
        };
        (0..row_tiles.div_ceil(tiles) * across).into_par_iter().with_max_len(1).for_each(task);
    }

    fn check(&self, x: &Rows) {
        assert!(x.columns == self.inputs && x.element == self.element, "rows of another width or element");
    }

    /// The results of some rows and panels.
    ///
    /// # Safety
    /// As [`Self::run`].
    unsafe fn block(
        &self,
        x: &Rows,
        kernels: &[TileKernel],
        rows: std::ops::Range<usize>,
        panels: std::ops::Range<usize>,
        finish: &Finish<'_>,
    ) {
        let depth = x.depth();
        let height = kernels.len();
        let tiles = rows.len().div_ceil(height);
        let tile_units = height * PANEL;
        // Stores sums until the next part of the depth is multiplied; with only one part, one tile is enough.
        let several = depth > DEPTH;
        let mut sums = Scratch::new(if several { tiles * panels.len() * tile_units } else { tile_units });
        for from in (0..depth).step_by(DEPTH) {
            let (here, last) = (DEPTH.min(depth - from), from + DEPTH >= depth);
            for (p, panel) in panels.clone().enumerate() {
                let next = if panel + 1 < panels.end {
                    (panel + 1) * depth + from
                } else if last {
                    (panel + 1) * depth
                } else {
                    panels.start * depth + from + DEPTH
                };
                for (t, row) in rows.clone().step_by(height).enumerate() {
                    let count = height.min(rows.end - row);
                    let place = if several { (p * tiles + t) * tile_units } else { 0 };
                    let out = &mut sums[place..place + tile_units];
                    let tile = Tile {
                        a: x.units[row * x.stride + from..].as_ptr(),
                        a_stride: x.stride,
                        b: self.panels[(panel * depth + from) * PANEL..].as_ptr(),
                        depth: here,
                        out: out.as_mut_ptr(),
                        out_stride: PANEL,
                        fresh: from == 0,
                        // Each tile of a panel prefetches its share of the next panel.
                        ahead: self.panels.as_ptr().wrapping_add(next * PANEL + t * here * PANEL / tiles),
                    };
                    // SAFETY: `x` has `count` rows and 32 columns starting at `from`; the table is for this
                    // processor.
                    unsafe { kernels[count - 1](&tile) };
                    if last {
                        finish_tile(self.isa, finish, out, row, count, panel);
                    }
                }
            }
        }
    }
}

/// Turns sums into results.
struct Finish<'a> {
    linear: &'a PackedLinear,
    /// Scales of the rows, if they are 8-bit integers.
    steps: &'a [f32],
    act: Nonlinearity,
    residual: Option<&'a [f32]>,
    target: Target,
}

vectorised! {
    /// Writes the results of one tile: `count` rows from `row` on, the columns of `panel`.
    fn finish_tile(finish: &Finish<'_>, sums: &mut [u32], row: usize, count: usize, panel: usize) {
        let linear = finish.linear;
        let first = panel * PANEL;
        let valid = PANEL.min(linear.outputs - first);
        let Some(bias) = linear.bias[first..].first_chunk::<PANEL>() else { return };
        for (r, sums) in sums.as_chunks::<PANEL>().0.iter().take(count).enumerate() {
            // Loops instead of `map`: its closure would be compiled separately, without the vector
            // instructions.
            let mut v = [0f32; PANEL];
            for (v, s) in v.iter_mut().zip(sums) {
                *v = f32::from_bits(*s);
            }
            if let Some(step) = finish.steps.get(row + r) {
                let (Some(steps), Some(shifts)) =
                    (linear.steps[first..].first_chunk::<PANEL>(), linear.shifts[first..].first_chunk::<PANEL>())
                else { return };
                for c in 0..PANEL {
                    v[c] = (sums[c] as i32).wrapping_sub(shifts[c]) as f32 * (step * steps[c]);
                }
            }
            for (v, b) in v.iter_mut().zip(bias) {
                *v += b;
            }
            match finish.act {
                Nonlinearity::None => {}
                Nonlinearity::Gelu => {
                    for v in &mut v {
                        *v = gelu::<FMA>(*v);
                    }
                }
                Nonlinearity::QuickGelu => {
                    for v in &mut v {
                        *v = quick_gelu::<FMA>(*v);
                    }
                }
                Nonlinearity::LeakyRelu => {
                    for v in &mut v {
                        *v = if *v < 0.0 { 0.01 * *v } else { *v };
                    }
                }
            }
            if let Some(residual) = finish.residual {
                let from = &residual[(row + r) * linear.outputs + first..][..valid];
                match from.first_chunk::<PANEL>() {
                    Some(from) => {
                        for (v, x) in v.iter_mut().zip(from) {
                            *v += x;
                        }
                    }
                    None => {
                        for (v, x) in v.iter_mut().zip(from) {
                            *v += x;
                        }
                    }
                }
            }
            let per_unit = finish.target.element.per_unit();
            let units = valid.div_ceil(per_unit);
            // SAFETY: the target has room for these rows and columns, and no other task writes them.
            let out = unsafe {
                let place = (row + r) * finish.target.stride + first / per_unit;
                let at = finish.target.units.wrapping_add(place);
                std::slice::from_raw_parts_mut(at, units)
            };
            match finish.target.element {
                Element::F32 => match out.first_chunk_mut::<PANEL>() {
                    Some(out) => {
                        for (out, v) in out.iter_mut().zip(&v) {
                            *out = v.to_bits();
                        }
                    }
                    None => {
                        for (out, v) in out.iter_mut().zip(&v) {
                            *out = v.to_bits();
                        }
                    }
                },
                Element::Bf16 => match out.first_chunk_mut() {
                    Some(out) => bf16_chunk::<BF16>(&v, out),
                    None => {
                        for (out, [a, b]) in out.iter_mut().zip(v.as_chunks::<2>().0) {
                            *out = bf16_pair(*a, *b);
                        }
                    }
                },
                Element::Int8 => {}
            }
        }
    }
}

/// For tests and other kernels: rows of one element as floats.
#[cfg(test)]
pub(super) fn decode(rows: &Rows) -> Vec<f32> {
    let row = |r: usize| {
        let units = &rows.units[r * rows.stride..][..rows.depth()];
        let numbers: Vec<f32> = match rows.element {
            Element::F32 => units.iter().map(|&u| f32::from_bits(u)).collect(),
            Element::Bf16 => {
                units.iter().flat_map(|&u| <[f32; 2]>::from(super::math::from_bf16_pair(u))).collect()
            }
            Element::Int8 => {
                let number = |b: u8| (f32::from(b) - 128.0) * rows.steps[r];
                units.iter().flat_map(|u| u.to_le_bytes().map(number)).collect()
            }
        };
        numbers.into_iter().take(rows.columns)
    };
    (0..rows.rows).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample;

    /// `x W^T + b` in f64.
    fn plain(x: &[f32], weight: &[f32], bias: &[f32], inputs: usize) -> Vec<f64> {
        let outputs = bias.len();
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let one = |i: usize| {
            let (r, c) = (i / outputs, i % outputs);
            dot(&x[r * inputs..][..inputs], &weight[c * inputs..][..inputs]) + f64::from(bias[c])
        };
        (0..x.len() / inputs * outputs).map(one).collect()
    }

    #[test]
    fn products_of_every_shape_element_and_instruction_set() {
        for (rows, inputs, outputs) in
            [(1, 1, 1), (3, 5, 7), (14, 64, 32), (15, 33, 33), (29, 1030, 70), (130, 70, 300), (6, 2100, 31)]
        {
            let (x, weight) = (sample(rows * inputs, 1), sample(outputs * inputs, 2));
            let (bias, residual) = (sample(outputs, 3), sample(rows * outputs, 4));
            let exact = plain(&x, &weight, &bias, inputs);
            let size = (inputs as f64).sqrt();
            for isa in Isa::all() {
                for (element, tolerance) in
                    [(Element::F32, 3e-6), (Element::Bf16, 6e-3), (Element::Int8, 2e-2)]
                {
                    let linear = PackedLinear::new(isa, element, inputs, &weight, Some(&bias));
                    let from = Rows::from_floats(isa, &x, inputs, inputs, element);
                    let found = linear.floats(&from, Nonlinearity::None, Some(&residual));
                    for (i, (found, exact)) in found.iter().zip(&exact).enumerate() {
                        let exact = exact + f64::from(residual[i]);
                        let error = (f64::from(*found) - exact).abs();
                        assert!(
                            error <= tolerance * size,
                            "{isa:?} {element:?} {rows}x{inputs}x{outputs}: {error}"
                        );
                    }
                    let next = linear.rows(&from, Nonlinearity::LeakyRelu, element);
                    for (found, exact) in decode(&next).iter().zip(&exact) {
                        let exact = if *exact < 0.0 { exact * 0.01 } else { *exact };
                        let error = (f64::from(*found) - exact).abs();
                        assert!(error <= 2.0 * tolerance * size, "{isa:?} {element:?} as rows: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn integers_are_exact() {
        // Integers with a largest value of 127 are exact in every element type.
        let numbers = |n: usize, seed| {
            let mut v: Vec<f32> = sample(n, seed).iter().map(|x| (x * 100.0).round()).collect();
            v.chunks_mut(40).for_each(|row| row[7] = 127.0);
            v
        };
        let (x, weight) = (numbers(400, 1), numbers(1320, 2));
        for isa in Isa::all() {
            let linear = PackedLinear::new(isa, Element::Int8, 40, &weight, None);
            let from = Rows::from_floats(isa, &x, 40, 40, Element::Int8);
            assert_eq!(decode(&from), x);
            let exact = plain(&x, &weight, &[0.0; 33], 40);
            let found = linear.floats(&from, Nonlinearity::None, None);
            for (found, exact) in found.iter().zip(exact) {
                assert!((f64::from(*found) - exact).abs() <= 2e-7 * exact.abs(), "{isa:?}: {found} {exact}");
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let (x, weight) = (sample(200 * 600, 1), sample(260 * 600, 2));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let linear = PackedLinear::new(Isa::best(), Element::F32, 600, &weight, None);
                let from = Rows::from_floats(Isa::best(), &x, 600, 600, Element::F32);
                linear.floats(&from, Nonlinearity::Gelu, None)
            })
        };
        let one = run(1);
        assert!((2..6).all(|threads| run(threads) == one));
    }
}
