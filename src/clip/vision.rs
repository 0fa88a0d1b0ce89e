//! The image tower: the ordinary path, and the staged dual path of CLIP-AD.

use std::collections::BTreeSet;

use candle_core::{DType, Result, Tensor};
use candle_nn::Module;

use super::block::{AttentionRequest, Block, BlockShape};
use super::compute::Compute;
use super::config::{Activation, ClipConfig, VisionConfig};
use super::layers::{Norm, Params};
use super::positions;
use crate::kernels::Attention;
use crate::weights::ClipTensors;

/// Whether features tapped inside the tower are what the reference code keeps, or what the paper describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TapFidelity {
    /// As the official code: it keeps references to tensors that later blocks update in place. A tapped original
    /// path thus also holds the next block's attention output, and a tapped surgery path keeps accumulating
    /// until its stage ends. Published SDP+ weights were trained on these tensors.
    #[default]
    Reference,
    /// The state right after the tapped block.
    Clean,
}

/// What attends to what in the V-V features of AA-CLIP's training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AttendedAxis {
    /// The pictures of a batch to each other, for each token by itself: the official code hands the module its input
    /// in the order (token, batch, channel), which the module takes for (batch, token, channel).
    #[default]
    Batch,
    /// The tokens of a picture to each other, as the paper describes it.
    Tokens,
}

/// CLIP's vision transformer (open_clip layout), for inputs of one fixed size.
#[derive(Debug, Clone)]
pub struct VisionTower {
    config: VisionConfig,
    image_size: usize,
    /// What the blocks take and give.
    dtype: DType,
    /// `[W, 3 * P * P]`
    patch_embedding: Tensor,
    /// `[W]`
    class_embedding: Tensor,
    /// `[1 + L, W]` for `image_size`
    positions: Tensor,
    ln_pre: Option<Norm>,
    blocks: Vec<Block>,
    ln_post: Norm,
    /// `[W, D]`
    projection: Tensor,
}

/// What one pass through the tower collects.
#[derive(Clone, Copy)]
pub struct FeatureRequest<'a> {
    /// Levels (1-based numbers of blocks) to collect.
    pub levels: &'a [usize],
    /// Whether the surgery path is computed next to the original one.
    pub surgery: bool,
    /// What the original path and the surgery path hold at a level.
    pub fidelity: TapFidelity,
    /// What changes the original path's tokens after a block.
    pub adapter: Option<&'a dyn BlockAdapter>,
    /// What of the last level's original path is read.
    pub original: Wanted,
}

/// Tokens of the original path that somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// All of them.
    #[default]
    All,
    /// The class token. At the last level `tokens` and `original` may then hold nothing else: `[B, 1, W]`.
    Class,
}

/// Something that changes a tower's tokens after some of its blocks.
pub trait BlockAdapter: Send + Sync {
    /// The tokens `[B, L, W]` after the 0-based `block`.
    ///
    /// # Errors
    /// Tokens of another width.
    fn after_block(&self, block: usize, tokens: Tensor) -> Result<Tensor>;
}

/// Features of one level (the 1-based number of a block).
#[derive(Debug, Clone)]
pub struct LevelFeatures {
    /// The level, counted from 1.
    pub level: usize,
    /// The tokens right after the block and its adapter: `[B, 1 + L, W]`, class token first; no LayerNorm.
    pub tokens: Tensor,
    /// Original path as the fidelity says: raw tokens `[B, 1 + L, W]`. Equals `tokens` if it is clean.
    pub original: Tensor,
    /// Surgery path: `[B, 1 + L, D]`, after `ln_post` and projection; row 0 is the original path's class token.
    /// `None` if it was not asked for.
    pub surgery: Option<Tensor>,
}

impl VisionTower {
    /// Reads the tower from a checkpoint, for square inputs of `image_size` pixels.
    ///
    /// # Errors
    /// A tensor that cannot be read or holds values that are not finite, or an input smaller than a patch.
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
            positions: positions::resize(&trained, grid)?,
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
            dtype: engine.dtype(),
        })
    }

    /// Side of the square input, in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Patches along one side of the input.
    pub fn grid(&self) -> usize {
        self.config.grid(self.image_size)
    }

    /// Number of blocks; levels run from 1 to this.
    pub fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// Tokens before the first block: `[B, 3, S, S]` to `[B, 1 + L, W]`.
    ///
    /// # Errors
    /// An input of another shape.
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = images.dims4()?;
        if channels != 3 || height != self.image_size || width != self.image_size {
            candle_core::bail!(
                "expected images of [B, 3, {0}, {0}], got {1:?}",
                self.image_size,
                images.shape()
            );
        }
        let (grid, patch) = (self.grid(), self.config.patch_size);
        // A convolution whose kernel is its stride is one matrix product over the patches.
        let patches = images
            .narrow(2, 0, grid * patch)?
            .narrow(3, 0, grid * patch)?
            .reshape((batch, 3, grid, patch, grid, patch))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch * grid * grid, 3 * patch * patch))?
            .matmul(&self.patch_embedding.t()?)?
            .reshape((batch, grid * grid, self.config.width))?;
        let class = self.class_embedding.reshape((1, 1, ()))?.broadcast_as((batch, 1, self.config.width))?;
        let x = Tensor::cat(&[&class.contiguous()?, &patches], 1)?.broadcast_add(&self.positions)?;
        match &self.ln_pre {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// The ordinary tower: the image embedding `[B, D]` (not normalised) and the raw tokens `[B, 1 + L, W]` after
    /// each of `levels`, in ascending order.
    ///
    /// # Errors
    /// An input of another shape, or a level the tower does not have.
    pub fn forward(&self, images: &Tensor, levels: &[usize]) -> Result<(Tensor, Vec<Tensor>)> {
        self.check_levels(levels)?;
        let mut x = self.embed(images)?;
        let mut tapped = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            x = self.run(block, &x)?;
            if levels.contains(&(i + 1)) {
                tapped.push(x.clone());
            }
        }
        let class = self.project(&x.narrow(1, 0, 1)?)?.squeeze(1)?;
        Ok((class, tapped))
    }

    /// The 0-based `block` of the ordinary path, `[B, 1 + L, W]` to `[B, 1 + L, W]`. Gradients pass through to `x`.
    ///
    /// # Errors
    /// A block the tower does not have.
    pub fn block(&self, block: usize, x: &Tensor) -> Result<Tensor> {
        match self.blocks.get(block) {
            Some(block) => self.run(block, x),
            None => candle_core::bail!("block {block} does not exist: this tower has {}", self.layers()),
        }
    }

    /// The raw tokens `[B, 1 + L, W]` after each of `levels`, in ascending order, of a tower whose last `replaced`
    /// blocks attend values to values, without queries and keys (AA-CLIP's features for stage 1 of its training).
    ///
    /// # Errors
    /// An input of another shape, or a level the tower does not have.
    pub fn value_value(
        &self,
        images: &Tensor,
        levels: &[usize],
        replaced: usize,
        over: AttendedAxis,
    ) -> Result<Vec<Tensor>> {
        self.check_levels(levels)?;
        let mut x = self.embed(images)?;
        let mut tapped = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            x = if i + replaced < self.blocks.len() {
                self.run(block, &x)?
            } else {
                let attend = |x: &Tensor| {
                    let (attention, tokens) = (Attention::VV, x.dim(1)?);
                    block.attend_one(x, AttentionRequest { attention, tokens, add: Some(x) }, false)
                };
                let attended = match over {
                    AttendedAxis::Tokens => attend(&x)?,
                    AttendedAxis::Batch => attend(&x.transpose(0, 1)?)?.transpose(0, 1)?,
                };
                block.mlp(&attended)?.to_dtype(DType::F32)?
            };
            if levels.contains(&(i + 1)) {
                tapped.push(x.clone());
            }
        }
        Ok(tapped)
    }

    /// `ln_post` and the projection: `[.., W]` to `[.., D]`.
    ///
    /// # Errors
    /// Tokens of another width.
    pub fn project(&self, tokens: &Tensor) -> Result<Tensor> {
        self.ln_post.forward(&tokens.contiguous()?)?.broadcast_matmul(&self.projection)
    }

    /// Both paths of CLIP-AD's staged dual-path model for each of `levels`, in ascending order, without adapters.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn dual_path(
        &self,
        images: &Tensor,
        levels: &[usize],
        fidelity: TapFidelity,
    ) -> Result<Vec<LevelFeatures>> {
        self.features(
            images,
            FeatureRequest { levels, surgery: true, fidelity, adapter: None, original: Wanted::All },
        )
    }

    /// One pass through the tower; the features of each level, in ascending order.
    ///
    /// With the surgery path, every block computes from the original path a V-V attention next to its ordinary
    /// attention. The surgery path sums those within a stage, a quarter of the tower, and restarts with each
    /// stage; it has no MLP (CLIP-AD, section 3.2). Blocks after the last one that a level needs are not run.
    ///
    /// # Errors
    /// An input of another shape, or a level the tower does not have.
    pub fn features(&self, images: &Tensor, request: FeatureRequest<'_>) -> Result<Vec<LevelFeatures>> {
        self.check_levels(request.levels)?;
        let levels: BTreeSet<usize> = request.levels.iter().copied().collect();
        let mut original = self.embed(images)?;
        let mut surgery: Option<Tensor> = None;
        let mut taps = Taps { fidelity: request.fidelity, waiting: Vec::new(), done: Vec::new() };
        for (i, block) in self.blocks.iter().enumerate() {
            if self.starts_stage(i) {
                taps.stage_ends(surgery.take().as_ref());
            }
            let last = Some(&(i + 1)) == levels.last();
            // Nothing but the class token may be wanted of the last level's original path. The reference's in-place
            // updates need the others once more if there is a next block.
            let ends = request.fidelity == TapFidelity::Clean || i + 1 == self.layers();
            let tokens = match request.original {
                Wanted::Class if last && ends => 1,
                _ => original.dim(1)?,
            };
            let wanted_surgery = request.surgery && self.stage_is_tapped(i, &levels);
            let mut requests =
                vec![AttentionRequest { attention: Attention::QK, tokens, add: Some(&original) }];
            if wanted_surgery {
                let (attention, tokens) = (Attention::VV, original.dim(1)?);
                requests.push(AttentionRequest { attention, tokens, add: surgery.as_ref() });
            }
            let mut results = block.attend(&original, &requests, false)?;
            if wanted_surgery {
                surgery = results.pop();
            }
            let Some(attended) = results.pop() else { candle_core::bail!("a block gave no attention") };
            taps.next_attention(i, &attended.to_dtype(DType::F32)?);
            if taps.done.len() == levels.len() {
                break;
            }
            original = block.mlp(&attended)?;
            if let Some(adapter) = request.adapter {
                original = adapter.after_block(i, original.to_dtype(DType::F32)?)?;
            }
            if levels.contains(&(i + 1)) {
                taps.tap(i + 1, &original.to_dtype(DType::F32)?, surgery.as_ref());
            }
            if last && request.fidelity == TapFidelity::Clean {
                break;
            }
        }
        taps.stage_ends(surgery.as_ref());
        taps.done.into_iter().map(|tap| self.finish(tap)).collect()
    }

    /// Puts the original path's class token on the surgery path and projects it.
    fn finish(&self, tap: Tap) -> Result<LevelFeatures> {
        let Tap { level, tokens, original, surgery } = tap;
        let surgery = match surgery {
            Some(surgery) => {
                let length = surgery.dim(1)?;
                let class = original.narrow(1, 0, 1)?;
                let surgery = surgery.to_dtype(DType::F32)?;
                Some(self.project(&Tensor::cat(&[&class, &surgery.narrow(1, 1, length - 1)?], 1)?)?)
            }
            None => None,
        };
        Ok(LevelFeatures { level, tokens, original, surgery })
    }

    /// A block on tokens of any type; gives 32-bit floats.
    fn run(&self, block: &Block, x: &Tensor) -> Result<Tensor> {
        block.forward(&x.to_dtype(self.dtype)?, false)?.to_dtype(DType::F32)
    }

    /// The LayerNorm after the last block, on any tokens `[.., W]`.
    ///
    /// # Errors
    /// Tokens of another width.
    pub fn ln_post(&self, tokens: &Tensor) -> Result<Tensor> {
        self.ln_post.forward(&tokens.contiguous()?)
    }

    /// Whether the surgery path restarts with the 0-based block `i`: exact multiples of a quarter of the tower.
    fn starts_stage(&self, i: usize) -> bool {
        (4 * i).is_multiple_of(self.layers())
    }

    /// Whether some listed level lies in the stage of the 0-based block `i`: other stages' sums nobody reads.
    fn stage_is_tapped(&self, i: usize, levels: &BTreeSet<usize>) -> bool {
        let start = (0..=i).rev().find(|&b| self.starts_stage(b)).unwrap_or(0);
        let end = (i + 1..self.layers()).find(|&b| self.starts_stage(b)).unwrap_or(self.layers());
        levels.iter().any(|&l| l > start && l <= end)
    }

    fn check_levels(&self, levels: &[usize]) -> Result<()> {
        match levels.iter().find(|&&l| l == 0 || l > self.layers()) {
            Some(l) => {
                candle_core::bail!("level {l} does not exist: this tower has levels 1 to {}", self.layers())
            }
            None => Ok(()),
        }
    }
}

/// A level whose features are being collected.
struct Tap {
    level: usize,
    tokens: Tensor,
    original: Tensor,
    surgery: Option<Tensor>,
}

/// The levels seen so far, and which of them the reference code would still change.
struct Taps {
    fidelity: TapFidelity,
    /// Tapped in the current stage: their surgery path still grows.
    waiting: Vec<Tap>,
    done: Vec<Tap>,
}

impl Taps {
    fn tap(&mut self, level: usize, tokens: &Tensor, surgery: Option<&Tensor>) {
        let (tokens, original) = (tokens.clone(), tokens.clone());
        self.waiting.push(Tap { level, tokens, original, surgery: surgery.cloned() });
    }

    /// The block after `level` has added its attention: in place, in the reference code.
    fn next_attention(&mut self, level: usize, attended: &Tensor) {
        let mut taps = self.waiting.iter_mut().chain(&mut self.done);
        if self.fidelity == TapFidelity::Reference
            && let Some(tap) = taps.find(|tap| tap.level == level)
        {
            tap.original = attended.clone();
        }
    }

    fn stage_ends(&mut self, sum: Option<&Tensor>) {
        for mut tap in self.waiting.drain(..) {
            if self.fidelity == TapFidelity::Reference {
                tap.surgery = sum.cloned();
            }
            self.done.push(tap);
        }
    }
}
