//! The ground truth of a picture.

use crate::map::components;

/// The damaged pixels of a picture, as 8-connected regions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    pixels: usize,
    /// In reading order, not overlapping.
    runs: Vec<Span>,
    areas: Vec<u32>,
}

/// Pixels `from..to` of a region, numbered row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u32,
    pub to: u32,
    pub region: u32,
}

impl Truth {
    /// From a mask with rows of `width` pixels.
    pub fn new(mask: &[bool], width: usize) -> Self {
        let height = mask.len().checked_div(width).unwrap_or(0);
        let found = components(width, height, |y, x| mask[y * width + x]);
        let mut areas = vec![0; found.count];
        let runs = found.runs.iter().map(|run| {
            areas[run.component] += (run.to - run.from) as u32;
            let at = |x: usize| (run.y * width + x) as u32;
            Span { from: at(run.from), to: at(run.to), region: run.component as u32 }
        });
        let runs = runs.collect();
        Self { pixels: width * height, runs, areas }
    }

    /// A good picture of `pixels` pixels.
    pub fn good(pixels: usize) -> Self {
        Self { pixels, ..Self::default() }
    }

    /// Number of pixels of the picture.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Number of damaged pixels.
    pub fn damaged(&self) -> u64 {
        self.areas.iter().map(|&a| u64::from(a)).sum()
    }

    /// Number of pixels of each region.
    pub fn areas(&self) -> &[u32] {
        &self.areas
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.runs
    }

    /// Calls `each` with the value and the region of every pixel, in reading order.
    pub(super) fn visit(&self, values: &[f32], mut each: impl FnMut(f32, Option<u32>)) {
        let mut at = 0;
        for span in self.spans() {
            let (from, to) = (span.from as usize, span.to as usize);
            values[at..from].iter().for_each(|&v| each(v, None));
            values[from..to].iter().for_each(|&v| each(v, Some(span.region)));
            at = to;
        }
        values[at..].iter().for_each(|&v| each(v, None));
    }
}
