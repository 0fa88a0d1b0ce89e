//! Batches of labelled pictures.

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Augmentation, Jitter, Motion};
use crate::Result;
use crate::image::{DecodeOptions, Preprocess, decode, read_masks};

/// A labelled training picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The picture.
    pub path: PathBuf,
    /// The mask files of a damaged picture; none for a good one.
    pub masks: Vec<PathBuf>,
    /// Number of its class.
    pub class: usize,
}

/// Preprocessed pictures with their labels.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[B, 3, S, S]`
    pub images: Tensor,
    /// `[B, S, S]`, 1 for damaged pixels.
    pub masks: Tensor,
    /// `[B]`, 1 for damaged pictures.
    pub labels: Tensor,
    /// Number of each picture's class.
    pub classes: Vec<usize>,
}

/// The batches of all epochs. A batch depends only on the seed, the epoch and its number, so training can be
/// resumed at any batch.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    /// The pictures.
    pub examples: &'a [Example],
    /// Pictures per batch; the last of an epoch may have fewer.
    pub size: usize,
    /// Whether each epoch has a new order.
    pub shuffled: bool,
    /// The augmentation of the pictures.
    pub augmentation: Augmentation,
    /// Seed of the order and the augmentation.
    pub seed: u64,
    /// The preprocessing of pictures and masks.
    pub preprocess: Preprocess,
    /// The decoding of pictures and masks.
    pub decoding: DecodeOptions,
}

impl Batches<'_> {
    /// Batches per epoch.
    pub fn per_epoch(&self) -> usize {
        self.examples.len().div_ceil(self.size.max(1))
    }

    fn random(&self, epoch: usize, index: usize) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream((epoch as u64) << 32 | index as u64);
        random
    }

    /// The examples in batch `number` of an epoch, both counted from 0.
    pub fn members(&self, epoch: usize, number: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        if self.shuffled {
            order.shuffle(&mut self.random(epoch, u32::MAX as usize));
        }
        order.into_iter().skip(number * self.size).take(self.size).collect()
    }

    /// Loads batch `number` of an epoch, both counted from 0.
    ///
    /// # Errors
    /// A picture or mask cannot be read.
    pub fn load(&self, epoch: usize, number: usize, device: &Device) -> Result<Batch> {
        let members = self.members(epoch, number);
        let size = self.preprocess.size;
        let prepared: Vec<(Vec<f32>, Vec<f32>)> =
            members.par_iter().map(|&i| self.prepare(i, epoch)).collect::<Result<_>>()?;
        let mut images = Vec::with_capacity(members.len() * 3 * size * size);
        let mut masks = Vec::with_capacity(members.len() * size * size);
        for (image, mask) in prepared {
            images.extend(image);
            masks.extend(mask);
        }
        let of = |i: &usize| &self.examples[*i];
        let labels: Vec<f32> = members.iter().map(|i| f32::from(u8::from(!of(i).masks.is_empty()))).collect();
        let count = members.len();
        Ok(Batch {
            images: Tensor::from_vec(images, (count, 3, size, size), device)?,
            masks: Tensor::from_vec(masks, (count, size, size), device)?,
            labels: Tensor::from_vec(labels, count, device)?,
            classes: members.iter().map(|i| of(i).class).collect(),
        })
    }

    /// A picture `[3, S, S]` and its mask `[S, S]`, augmented.
    fn prepare(&self, index: usize, epoch: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let example = &self.examples[index];
        let mut random = self.random(epoch, index);
        let size = self.preprocess.size;
        let mut picture = decode(&example.path, &self.decoding)?;
        if self.augmentation == Augmentation::ColoursAndMotion {
            picture = Jitter::draw(&mut random).apply(&picture);
        }
        let mut image = self.preprocess.run(&picture)?.tensor.into_raw_vec_and_offset().0;
        let mut mask = vec![0.0; size * size];
        if !example.masks.is_empty() {
            let damaged = self.preprocess.mask(&read_masks(&example.masks, &self.decoding)?.mask)?;
            mask.iter_mut().zip(damaged).for_each(|(value, damaged)| *value = f32::from(u8::from(damaged)));
        }
        if self.augmentation != Augmentation::None {
            let motion = Motion::draw(&mut random, size);
            let mut moved = Vec::with_capacity(image.len());
            for plane in image.chunks_exact(size * size) {
                let mut plane = plane.to_vec();
                motion.apply(&mut plane, size);
                moved.extend(plane);
            }
            image = moved;
            motion.apply(&mut mask, size);
        }
        Ok((image, mask))
    }
}
