//! Turned copies of a picture, to the bit as OpenCV 4.9 makes them.

use crate::image::{Picture, PixelMode};

/// The picture turned counter-clockwise about its middle on its own canvas, bilinearly, mirrored at the border without
/// repeating the edge. In the arithmetic of OpenCV's `warpAffine`: positions in steps of 1/32 of a pixel.
pub fn rotated(picture: &Picture, degrees: f64) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let rgb = picture.to_rgb().into_raw();
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (cx, cy) = (width as f64 / 2.0, height as f64 / 2.0);
    // The inverse of OpenCV's rotation matrix, which has [cos, sin, ..; -sin, cos, ..].
    let forward = [cos, sin, (1.0 - cos) * cx - sin * cy, -sin, cos, sin * cx + (1.0 - cos) * cy];
    let scale = 1.0 / (forward[0] * forward[4] - forward[1] * forward[3]);
    let (a, b) = (forward[4] * scale, -forward[1] * scale);
    let (c, d) = (-forward[3] * scale, forward[0] * scale);
    let (shift_x, shift_y) = (-a * forward[2] - b * forward[5], -c * forward[2] - d * forward[5]);
    let fixed = |value: f64| (value * 1024.0).round_ties_even() as i64;
    let mut samples = vec![0; width * height * 3];
    for (y, row) in samples.chunks_exact_mut((width * 3).max(1)).enumerate() {
        let (from_x, from_y) = (fixed(b * y as f64 + shift_x), fixed(d * y as f64 + shift_y));
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let place = |slope: f64, from: i64| (fixed(slope * x as f64) + from + 16) >> 5;
            let (at_x, at_y) = (place(a, from_x), place(c, from_y));
            let (fx, fy) = (at_x & 31, at_y & 31);
            let columns = [mirrored(at_x >> 5, width), mirrored((at_x >> 5) + 1, width)];
            let rows = [mirrored(at_y >> 5, height), mirrored((at_y >> 5) + 1, height)];
            for (channel, sample) in pixel.iter_mut().enumerate() {
                let mut sum = 1 << 14;
                for (row, weight_y) in rows.into_iter().zip([32 - fy, fy]) {
                    for (column, weight_x) in columns.into_iter().zip([32 - fx, fx]) {
                        let value = i64::from(rgb[(row * width + column) * 3 + channel]);
                        sum += weight_x * weight_y * 32 * value;
                    }
                }
                *sample = (sum >> 15) as u8;
            }
        }
    }
    Picture::new(width, height, PixelMode::Rgb, samples).unwrap_or_else(|| picture.clone())
}

/// The pixel at a position beyond the border, mirrored without repeating the edge.
fn mirrored(position: i64, side: usize) -> usize {
    let period = (2 * side as i64 - 2).max(1);
    let folded = position.rem_euclid(period);
    folded.min(period - folded).min(side as i64 - 1) as usize
}
