//! The image tower in steps, which each method combines in its own way.

use candle_core::{DType, Result, Tensor};
use candle_nn::Module;

use super::block::{Block, BlockShape};
use super::compute::Compute;
use super::config::{Activation, ClipConfig, VisionConfig};
use super::layers::{Norm, Params};
use super::positions::{self, Resampling};
use crate::weights::ClipTensors;

/// CLIP's vision transformer (open_clip layout).
#[derive(Debug, Clone)]
pub struct VisionTower {
    config: VisionConfig,
    image_size: usize,
    /// `[W, 3 * P * P]`
    patch_embedding: Tensor,
    /// `[W]`
    class_embedding: Tensor,
    /// `[1 + n * n, W]` as trained
    trained_positions: Tensor,
    resampling: Resampling,
    /// `[1 + L, W]` for the square of `image_size`
    positions: Tensor,
    ln_pre: Option<Norm>,
    blocks: Vec<Block>,
    ln_post: Norm,
    /// `[W, D]`
    projection: Tensor,
}

impl VisionTower {
    /// Loads the tower from a checkpoint; most inputs are squares of `image_size` pixels.
    ///
    /// # Errors
    /// A tensor cannot be read or has values that are not finite, or the input is smaller than a patch.
    pub fn load(
        config: &ClipConfig,
        image_size: usize,
        activation: Activation,
        tensors: &ClipTensors,
        compute: &Compute,
    ) -> crate::Result<Self> {
        let engine = compute.engine()?;
        let params = Params { tensors, device: compute.device() };
        let v = &config.vision;
        let grid = v.grid(image_size);
        if grid == 0 {
            return Err(crate::Error::Setting(format!(
                "an image size of {image_size} is less than one patch of {} pixels",
                v.patch_size
            )));
        }
        let trained =
            params.tensor("visual.positional_embedding", &[1 + v.grid(v.image_size).pow(2), v.width])?;
        let shape = BlockShape {
            width: v.width,
            heads: v.heads,
            mlp_width: v.mlp_width,
            norm_eps: v.norm_eps,
            activation,
        };
        let convolution = params.tensor("visual.conv1.weight", &[v.width, 3, v.patch_size, v.patch_size])?;
        Ok(Self {
            image_size,
            patch_embedding: convolution.flatten_from(1)?,
            class_embedding: params.tensor("visual.class_embedding", &[v.width])?,
            positions: positions::resize(&trained, (grid, grid), Resampling::Antialiased)?,
            trained_positions: trained,
            resampling: Resampling::Antialiased,
            ln_pre: if v.ln_pre {
                Some(params.norm("visual.ln_pre", v.width, v.norm_eps, DType::F32)?)
            } else {
                None
            },
            blocks: (0..v.layers)
                .map(|i| Block::load(params, "visual.", i, shape, engine))
                .collect::<crate::Result<_>>()?,
            ln_post: params.norm("visual.ln_post", v.width, v.norm_eps, DType::F32)?,
            projection: params.tensor("visual.proj", &[v.width, config.embed_dim])?,
            config: v.clone(),
        })
    }

    /// The tower with position embeddings resampled in another way.
    ///
    /// # Errors
    /// The device fails.
    pub fn with_resampling(mut self, resampling: Resampling) -> Result<Self> {
        if resampling != self.resampling {
            self.resampling = resampling;
            self.positions = self.positions(self.grid(), self.grid())?;
        }
        Ok(self)
    }

    fn positions(&self, rows: usize, columns: usize) -> Result<Tensor> {
        positions::resize(&self.trained_positions, (rows, columns), self.resampling)
    }

    /// Side of the square input, in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Patches along one side of the square input.
    pub fn grid(&self) -> usize {
        self.config.grid(self.image_size)
    }

    /// Rows and columns of patches of pictures `[B, 3, H, W]`; the rest of a patch at the right and lower border is cut.
    ///
    /// # Errors
    /// The tensor is no batch of colour pictures, or they are smaller than a patch.
    pub fn patches(&self, images: &Tensor) -> Result<(usize, usize)> {
        let (_, channels, height, width) = images.dims4()?;
        match (self.config.grid(height), self.config.grid(width)) {
            (rows, columns) if channels == 3 && rows * columns > 0 => Ok((rows, columns)),
            _ => candle_core::bail!(
                "expected images of [B, 3, H, W] with sides of at least {} pixels, got {:?}",
                self.config.patch_size,
                images.shape()
            ),
        }
    }

    /// Number of blocks; levels run from 1 to this.
    pub fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// Tokens before the first block: `[B, 3, H, W]` to `[B, 1 + L, W]`, class token first.
    ///
    /// # Errors
    /// See [`VisionTower::patches`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        self.ln_pre(&self.place(images)?)
    }

    /// Class and patch embeddings with positions, before the LayerNorm at the start of some towers: `[B, 3,
    /// H, W]` to `[B, 1 + L, W]`.
    ///
    /// # Errors
    /// See [`VisionTower::patches`].
    pub fn place(&self, images: &Tensor) -> Result<Tensor> {
        let (rows, columns) = self.patches(images)?;
        let (batch, patch) = (images.dim(0)?, self.config.patch_size);
        // A convolution with equal kernel and stride is one matrix product over the patches.
        let patches = images
            .narrow(2, 0, rows * patch)?
            .narrow(3, 0, columns * patch)?
            .reshape((batch, 3, rows, patch, columns, patch))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch * rows * columns, 3 * patch * patch))?
            .matmul(&self.patch_embedding.t()?)?
            .reshape((batch, rows * columns, self.config.width))?;
        let class = self.class_embedding.reshape((1, 1, ()))?.broadcast_as((batch, 1, self.config.width))?;
        let tokens = Tensor::cat(&[&class.contiguous()?, &patches], 1)?;
        if (rows, columns) == (self.grid(), self.grid()) {
            tokens.broadcast_add(&self.positions)
        } else {
            tokens.broadcast_add(&self.positions(rows, columns)?)
        }
    }

    /// The LayerNorm before the first block, if the tower has one.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn ln_pre(&self, tokens: &Tensor) -> Result<Tensor> {
        match &self.ln_pre {
            Some(norm) => norm.forward(tokens),
            None => Ok(tokens.clone()),
        }
    }

    /// The plain forward pass: the image embedding `[B, D]` (not normalised) and the raw tokens `[B, 1 + L,
    /// W]` after each of `levels` (1-based numbers of blocks), in ascending order.
    ///
    /// # Errors
    /// The input has another shape, or the tower has no such level.
    pub fn forward(&self, images: &Tensor, levels: &[usize]) -> Result<(Tensor, Vec<Tensor>)> {
        self.check_levels(levels)?;
        let mut x = self.embed(images)?;
        let mut tapped = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, false)?;
            if levels.contains(&(i + 1)) {
                tapped.push(x.to_dtype(DType::F32)?);
            }
        }
        Ok((self.project(&x.narrow(1, 0, 1)?)?.squeeze(1)?, tapped))
    }

    /// The blocks in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The LayerNorm after the last block, on tokens `[.., W]`; gives 32-bit floats.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn ln_post(&self, tokens: &Tensor) -> Result<Tensor> {
        self.ln_post.forward(&tokens.to_dtype(DType::F32)?.contiguous()?)
    }

    /// `ln_post` and the projection: `[.., W]` to `[.., D]`; gives 32-bit floats.
    ///
    /// # Errors
    /// The tokens have another width.
    pub fn project(&self, tokens: &Tensor) -> Result<Tensor> {
        self.ln_post(tokens)?.broadcast_matmul(&self.projection)
    }

    /// Checks that the tower has every level.
    ///
    /// # Errors
    /// A level does not exist; the first such level is named.
    pub fn check_levels(&self, levels: &[usize]) -> Result<()> {
        match levels.iter().find(|&&l| l == 0 || l > self.layers()) {
            Some(l) => {
                candle_core::bail!("level {l} does not exist: this tower has levels 1 to {}", self.layers())
            }
            None => Ok(()),
        }
    }
}
