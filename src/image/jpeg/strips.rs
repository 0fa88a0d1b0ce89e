//! The picture from strips: the planes of samples hold some rows of MCUs at a time, so that a large picture is in memory
//! only once.

use std::io;

use memmap2::MmapMut;

use super::frame::{Block, Colour, Component, Frame, Plane, Scan};

/// Rows of MCUs in a strip.
const STRIP: usize = 32;

/// A picture that grows from strips.
pub(super) struct Strips<'f> {
    frame: &'f Frame,
    colour: Colour,
    /// The samples of the strip, by component.
    pub planes: Vec<Plane>,
    /// Rows of MCUs in the picture.
    total: usize,
    /// Rows of MCUs in a strip.
    step: usize,
    /// The rows of the picture, of which `done` are finished.
    samples: Vec<u8>,
    done: usize,
}

impl<'f> Strips<'f> {
    /// `whole`: the planes hold the whole picture, because its components do not come together.
    pub fn new(frame: &'f Frame, colour: Colour, whole: bool) -> Self {
        let total = frame.height.div_ceil(8 * frame.most_down);
        let step = if whole { total } else { STRIP };
        // A strip, and the row above it.
        let room = total.min(step + 1);
        Self {
            frame,
            colour,
            planes: frame.components.iter().map(|component| Plane::new(component, room)).collect(),
            total,
            step,
            samples: vec![0; colour.stride(frame.width) * frame.height],
            done: 0,
        }
    }

    /// Notes that a scan has come to a row of its MCUs.
    pub fn read(&mut self, row: usize, scan: &Scan) {
        // The MCUs of a component alone are single blocks.
        let alone = scan.parts.len() == 1;
        match () {
            () if scan.parts.len() < self.planes.len() => {}
            () if row == scan.rows => self.filled(self.total),
            () => self.filled(if alone { row / self.frame.most_down } else { row }),
        }
    }

    /// Notes that the planes have all samples before a row of MCUs. At the end of a strip the picture takes them.
    fn filled(&mut self, end: usize) {
        let last = end >= self.total;
        // The last rows may need the samples below them.
        let most_down = self.frame.most_down;
        let ready = if last { self.frame.height } else { (end * 8 * most_down).saturating_sub(most_down) };
        if ready <= self.done || !(last || end.is_multiple_of(self.step)) {
            return;
        }
        let stride = self.colour.stride(self.frame.width);
        if let Some(out) = self.samples.get_mut(self.done * stride..ready * stride) {
            self.colour.assemble(self.frame, &self.planes, self.done, out);
        }
        self.done = ready;
        if !last {
            let components = self.planes.iter_mut().zip(&self.frame.components);
            components.for_each(|(plane, component)| plane.keep_from((end - 1) * component.down * 8));
        }
    }

    /// The picture of all coefficients, whose memory is given back strip by strip.
    pub fn of(mut self, coefficients: Vec<Coefficients>, steps: &[Block]) -> Vec<u8> {
        let mut coefficients: Vec<_> =
            coefficients.into_iter().map(|all| (all.strips.into_iter(), all.down)).collect();
        for start in (0..self.total).step_by(STRIP) {
            for (index, (strip, down)) in coefficients.iter_mut().enumerate() {
                if let Some(mut strip) = strip.next() {
                    self.planes[index].put_all(start / STRIP * *down, blocks(&mut strip), &steps[index]);
                }
            }
            self.filled(start + STRIP);
        }
        self.samples
    }

    /// The finished picture.
    pub fn finish(mut self) -> Vec<u8> {
        self.filled(self.total);
        self.samples
    }
}

/// The coefficients of a component, by strip. Each strip is a mapping of its own, because an allocator may keep what it
/// is given back.
pub(super) struct Coefficients {
    strips: Vec<MmapMut>,
    /// Blocks in a row.
    across: usize,
    /// Rows of blocks in a strip.
    down: usize,
}

impl Coefficients {
    pub fn new(component: &Component) -> Result<Self, String> {
        let (across, down) = (component.stored_across, STRIP * component.down);
        let rows =
            (0..component.stored_down).step_by(down).map(|start| down.min(component.stored_down - start));
        let strips: io::Result<Vec<MmapMut>> =
            rows.map(|rows| MmapMut::map_anon(rows * across * size_of::<Block>())).collect();
        let strips = strips.map_err(|e| format!("there is no memory for it: {e}"))?;
        Ok(Self { strips, across, down })
    }

    /// `count` blocks of a row.
    pub fn blocks(&mut self, row: usize, column: usize, count: usize) -> &mut [Block] {
        let start = row % self.down * self.across + column;
        &mut blocks(&mut self.strips[row / self.down])[start..start + count]
    }
}

/// The coefficients in a mapping, zeros at first.
fn blocks(strip: &mut MmapMut) -> &mut [Block] {
    // SAFETY: every bit pattern is a coefficient.
    unsafe { strip.align_to_mut() }.1
}
