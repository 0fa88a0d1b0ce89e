//! How the model's square lies on the picture.

use std::ops::Range;

/// The way from pixels of one side of the picture to pixels of the model's square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxisMap {
    /// Pixels of the picture along this side.
    pub input: usize,
    /// Pixels of the square along this side.
    pub size: usize,
    /// Pixels the whole picture takes along this side at the square's scale.
    pub scaled: usize,
    /// Where the picture begins on the square: positive with padding, negative where it is cut.
    pub offset: isize,
}

impl AxisMap {
    /// Where the centre of a picture's pixel lies, in pixels of the square (0 is the centre of its first).
    pub fn position(&self, pixel: usize) -> f64 {
        (pixel as f64 + 0.5) * self.scaled as f64 / self.input as f64 - 0.5 + self.offset as f64
    }

    /// The picture's pixels whose centres the square covers.
    pub fn visible(&self) -> Range<usize> {
        let inside = |p: f64| (-0.5..self.size as f64 - 0.5).contains(&p);
        let start = (0..self.input).find(|&i| inside(self.position(i))).unwrap_or(self.input);
        let end = (start..self.input).rev().find(|&i| inside(self.position(i))).map_or(start, |i| i + 1);
        start..end
    }
}

/// How the model's square lies on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// From left to right.
    pub across: AxisMap,
    /// From top to bottom.
    pub down: AxisMap,
}
