//! AA-CLIP's augmentation: changes of the picture's colours, then motion of the prepared picture and its
//! mask.

use rand::{Rng, RngExt};

use crate::image::{Picture, PixelMode};

/// The augmentation of pictures during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Augmentation {
    /// No augmentation (SDP+).
    #[default]
    None,
    /// Motion (AA-CLIP, stage 1).
    Motion,
    /// Colours and motion (AA-CLIP, stage 2).
    ColoursAndMotion,
}

/// Changes of colour: factors of brightness, contrast and saturation; `None` for no change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// Blend with black.
    pub brightness: Option<f32>,
    /// Blend with the mean grey.
    pub contrast: Option<f32>,
    /// Blend with the picture's own grey.
    pub saturation: Option<f32>,
}

impl Jitter {
    /// Draws each change with probability 0.7, with a factor from 0.5 to 1.5.
    pub fn draw(random: &mut impl Rng) -> Self {
        let mut one = || random.random_bool(0.7).then(|| random.random_range(0.5..1.5));
        Self { brightness: one(), contrast: one(), saturation: one() }
    }

    /// The changed picture, RGB, as by Pillow's `ImageEnhance`.
    pub fn apply(&self, picture: &Picture) -> Picture {
        let rgb = picture.to_rgb();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let mut samples = rgb.into_raw();
        let grey = |samples: &[u8]| -> Vec<u8> {
            Picture::new(width, height, PixelMode::Rgb, samples.to_vec()).map_or(vec![], |p| p.to_grey())
        };
        if let Some(factor) = self.brightness {
            samples.iter_mut().for_each(|v| *v = blend(0, *v, factor));
        }
        if let Some(factor) = self.contrast {
            let all = grey(&samples);
            let sum: u64 = all.iter().map(|&v| u64::from(v)).sum();
            let mean = (sum as f64 / all.len().max(1) as f64 + 0.5) as u8;
            samples.iter_mut().for_each(|v| *v = blend(mean, *v, factor));
        }
        if let Some(factor) = self.saturation {
            let all = grey(&samples);
            for (pixel, &grey) in samples.as_chunks_mut::<3>().0.iter_mut().zip(&all) {
                pixel.iter_mut().for_each(|v| *v = blend(grey, *v, factor));
            }
        }
        Picture::new(width, height, PixelMode::Rgb, samples).unwrap_or_else(|| picture.clone())
    }
}

/// Pillow's blend of 8-bit samples: `a` at 0, `b` at 1, extrapolated beyond 1, clamped to 0..255.
fn blend(a: u8, b: u8, share: f32) -> u8 {
    (f32::from(a) + share * (f32::from(b) - f32::from(a))).clamp(0.0, 255.0) as u8
}

/// A motion of a square: rotation, translation, mirroring, in that order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// Degrees, counter-clockwise.
    pub rotation: Option<f64>,
    /// Pixels to the right and down.
    pub translation: Option<(i64, i64)>,
    /// Swaps left and right.
    pub across: bool,
    /// Swaps top and bottom.
    pub down: bool,
}

impl Motion {
    /// Draws each with probability 0.5: a rotation within 30 degrees, a translation within 0.15 of the side,
    /// both mirrorings.
    pub fn draw(random: &mut impl Rng, size: usize) -> Self {
        let reach = 0.15 * size as f64;
        let rotation = random.random_bool(0.5).then(|| random.random_range(-30.0..30.0));
        let mut shift = || random.random_range(-1.0..1.0) * reach;
        let (x, y) = (shift().round() as i64, shift().round() as i64);
        let translation = random.random_bool(0.5).then_some((x, y));
        Self { rotation, translation, across: random.random_bool(0.5), down: random.random_bool(0.5) }
    }

    /// Moves a plane of `size` x `size` values: nearest sample, with 0 outside the plane.
    pub fn apply<T: Copy + Default>(&self, plane: &mut Vec<T>, size: usize) {
        if let Some(degrees) = self.rotation {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let middle = size as f64 / 2.0 - 0.5;
            *plane = sampled(plane, size, |x, y| {
                let (px, py) = (x as f64 - middle, y as f64 - middle);
                let nearest = |v: f64| (v + middle).round_ties_even() as i64;
                (nearest(cos * px - sin * py), nearest(sin * px + cos * py))
            });
        }
        if let Some((right, down)) = self.translation {
            *plane = sampled(plane, size, |x, y| (x as i64 - right, y as i64 - down));
        }
        let last = size as i64 - 1;
        if self.across {
            *plane = sampled(plane, size, |x, y| (last - x as i64, y as i64));
        }
        if self.down {
            *plane = sampled(plane, size, |x, y| (x as i64, last - y as i64));
        }
    }
}

/// A plane with the pixel of `plane` at `from(x, y)` for each pixel `(x, y)`.
fn sampled<T: Copy + Default>(plane: &[T], size: usize, from: impl Fn(usize, usize) -> (i64, i64)) -> Vec<T> {
    let inside = 0..size as i64;
    let value = |i: usize| {
        let (x, y) = from(i % size, i / size);
        let there = inside.contains(&x) && inside.contains(&y);
        if there { plane[y as usize * size + x as usize] } else { T::default() }
    };
    (0..plane.len().min(size * size)).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const STILL: Motion = Motion { rotation: None, translation: None, across: false, down: false };

    fn moved(motion: Motion, plane: &[i32], size: usize) -> Vec<i32> {
        let mut plane = plane.to_vec();
        motion.apply(&mut plane, size);
        plane
    }

    #[test]
    fn motions_of_a_small_square() {
        let plane = [1, 2, 3, 4];
        assert_eq!(moved(STILL, &plane, 2), plane);
        assert_eq!(moved(Motion { across: true, ..STILL }, &plane, 2), [2, 1, 4, 3]);
        assert_eq!(moved(Motion { down: true, ..STILL }, &plane, 2), [3, 4, 1, 2]);
        assert_eq!(moved(Motion { translation: Some((1, 0)), ..STILL }, &plane, 2), [0, 1, 0, 3]);
        // A quarter turn counter-clockwise moves the right column to the top.
        assert_eq!(moved(Motion { rotation: Some(90.0), ..STILL }, &plane, 2), [2, 4, 1, 3]);
    }

    #[test]
    fn jitter_is_pillows() {
        let picture = Picture::new(2, 1, PixelMode::Rgb, vec![200, 100, 50, 10, 20, 30]).unwrap();
        let with = |brightness, contrast, saturation| {
            Jitter { brightness, contrast, saturation }.apply(&picture).samples().to_vec()
        };
        // Values of Pillow's ImageEnhance.
        assert_eq!(with(Some(1.5), None, None), [255, 150, 75, 15, 30, 45]);
        assert_eq!(with(None, Some(0.5), None), [135, 85, 60, 40, 45, 50]);
        assert_eq!(with(None, Some(1.3), None), [238, 108, 43, 0, 4, 17]);
        assert_eq!(with(None, None, Some(0.5)), [162, 112, 87, 14, 19, 24]);
        assert_eq!(with(None, None, Some(1.4)), [230, 90, 20, 6, 20, 34]);
    }

    #[test]
    fn draws_are_within_their_bounds() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (mut rotated, mut brightened) = (0, 0);
        for _ in 0..400 {
            let motion = Motion::draw(&mut random, 100);
            assert!(motion.rotation.is_none_or(|r| r.abs() <= 30.0));
            assert!(motion.translation.is_none_or(|(x, y)| x.abs() <= 15 && y.abs() <= 15));
            rotated += usize::from(motion.rotation.is_some());
            let jitter = Jitter::draw(&mut random);
            assert!(jitter.brightness.is_none_or(|f| (0.5..1.5).contains(&f)));
            brightened += usize::from(jitter.brightness.is_some());
        }
        assert!((150..250).contains(&rotated) && (240..320).contains(&brightened));
    }
}
