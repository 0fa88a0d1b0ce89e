//! The placement of the model's square on the picture.

use std::ops::Range;

/// Maps one axis of the picture to the same axis of the model's square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxisMap {
    /// Pixels of the picture along this side.
    pub input: usize,
    /// Pixels of the square along this side.
    pub size: usize,
    /// Pixels of the whole picture along this side, at the square's scale.
    pub scaled: usize,
    /// Position of the picture's first pixel on the square: negative with cropping.
    pub offset: isize,
}

impl AxisMap {
    /// The position of a picture pixel's centre on the square, in pixels (0 is the centre of the first
    /// pixel).
    pub fn position(&self, pixel: usize) -> f64 {
        (pixel as f64 + 0.5) * self.scaled as f64 / self.input as f64 - 0.5 + self.offset as f64
    }

    /// The picture's pixels with their centres inside the square.
    pub fn visible(&self) -> Range<usize> {
        let inside = |p: f64| (-0.5..self.size as f64 - 0.5).contains(&p);
        let start = (0..self.input).find(|&i| inside(self.position(i))).unwrap_or(self.input);
        let end = (start..self.input).rev().find(|&i| inside(self.position(i))).map_or(start, |i| i + 1);
        start..end
    }
}

/// The placement of the model's square on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// The horizontal axis.
    pub across: AxisMap,
    /// The vertical axis.
    pub down: AxisMap,
}

impl Geometry {
    /// The placement of a map that has the picture's own pixels.
    pub fn picture(&self) -> Self {
        let own = |axis: &AxisMap| AxisMap { size: axis.input, scaled: axis.input, offset: 0, ..*axis };
        Self { across: own(&self.across), down: own(&self.down) }
    }
}
