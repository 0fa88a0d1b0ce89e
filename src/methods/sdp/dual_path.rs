//! CLIP-AD's staged dual path through the image tower (arXiv 2311.00453, section 3.2).

use std::collections::BTreeSet;

use candle_core::{DType, Result, Tensor};

use crate::clip::{Attention, AttentionRequest, VisionTower};

/// Whether intermediate features are those of the reference code or those of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fidelity {
    /// As in the official code: it keeps references to tensors that later blocks update in place. A level's
    /// original path therefore also includes the next block's attention output, and a level's surgery path
    /// keeps accumulating until its stage ends. Published SDP+ weights were trained on these tensors.
    #[default]
    Reference,
    /// The state directly after the level's block.
    Clean,
}

impl Fidelity {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Clean => "clean",
        }
    }
}

/// The needed tokens of the original path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wanted {
    /// All tokens.
    #[default]
    All,
    /// Only the class token. At the last level `tokens` and `original` may then contain only it: `[B, 1, W]`.
    Class,
}

/// Features of one level (the 1-based number of a block).
#[derive(Debug, Clone)]
pub struct LevelFeatures {
    /// The level, counted from 1.
    pub level: usize,
    /// The tokens directly after the block: `[B, 1 + L, W]`, class token first; no LayerNorm.
    pub tokens: Tensor,
    /// Original path according to the fidelity: raw tokens `[B, 1 + L, W]`. Equals `tokens` for
    /// [`Fidelity::Clean`].
    pub original: Tensor,
    /// Surgery path: `[B, 1 + L, D]`, after `ln_post` and projection; row 0 is the original path's class
    /// token. `None` if it was not requested.
    pub surgery: Option<Tensor>,
}

/// A forward pass of the tower.
///
/// With the surgery path, every block computes a V-V attention from the original path beside its ordinary
/// attention. The surgery path sums these within a stage, a quarter of the tower, and restarts with each
/// stage; it has no MLP. Blocks that no level needs are skipped.
#[derive(Clone, Copy)]
pub struct DualPath<'a> {
    /// Levels to collect.
    pub levels: &'a [usize],
    /// Whether to compute the surgery path beside the original one.
    pub surgery: bool,
    /// The features of both paths at a level.
    pub fidelity: Fidelity,
    /// The needed tokens of the last level's original path.
    pub original: Wanted,
    /// Changes the original path's tokens after a 0-based block.
    pub after_block: &'a dyn Fn(usize, Tensor) -> Result<Tensor>,
}

/// Both paths at each of `levels`, in ascending order.
///
/// # Errors
/// Errors of [`DualPath::walk`].
pub fn dual_path(
    tower: &VisionTower,
    images: &Tensor,
    levels: &[usize],
    fidelity: Fidelity,
) -> Result<Vec<LevelFeatures>> {
    DualPath { fidelity, ..DualPath::new(levels) }.walk(tower, images)
}

impl<'a> DualPath<'a> {
    /// Both paths as in the reference code.
    pub fn new(levels: &'a [usize]) -> Self {
        Self {
            levels,
            surgery: true,
            fidelity: Fidelity::default(),
            original: Wanted::All,
            after_block: &|_, tokens| Ok(tokens),
        }
    }

    /// The features of images `[B, 3, S, S]` at each level, in ascending order.
    ///
    /// # Errors
    /// The images have another shape, or the tower has no such level.
    pub fn walk(&self, tower: &VisionTower, images: &Tensor) -> Result<Vec<LevelFeatures>> {
        tower.check_levels(self.levels)?;
        let stages = Stages { layers: tower.layers() };
        let levels: BTreeSet<usize> = self.levels.iter().copied().collect();
        let mut original = tower.embed(images)?;
        let mut surgery: Option<Tensor> = None;
        let mut taps = Taps { fidelity: self.fidelity, waiting: Vec::new(), done: Vec::new() };
        for (i, block) in tower.blocks().iter().enumerate() {
            if stages.start(i) {
                taps.stage_ends(surgery.take().as_ref());
            }
            let last = Some(&(i + 1)) == levels.last();
            // At the last level only the class token of the original path may be needed. The reference's
            // in-place updates need the other tokens once more if there is a next block.
            let ends = self.fidelity == Fidelity::Clean || i + 1 == tower.layers();
            let length = original.dim(1)?;
            let tokens = if self.original == Wanted::Class && last && ends { 1 } else { length };
            let ordinary = AttentionRequest { attention: Attention::QK, tokens, add: Some(&original) };
            let staged = AttentionRequest { attention: Attention::VV, tokens: length, add: surgery.as_ref() };
            let attended = if self.surgery && stages.is_tapped(i, &levels) {
                let mut both = block.attend(&original, &[ordinary, staged], false)?;
                surgery = both.pop();
                both.pop()
            } else {
                Some(block.attend_one(&original, ordinary, false)?)
            };
            let Some(attended) = attended else { candle_core::bail!("a block gave no attention") };
            taps.next_attention(i, &attended.to_dtype(DType::F32)?);
            if taps.done.len() == levels.len() {
                break;
            }
            original = (self.after_block)(i, block.mlp(&attended)?)?;
            if levels.contains(&(i + 1)) {
                taps.tap(i + 1, &original.to_dtype(DType::F32)?, surgery.as_ref());
            }
            if last && self.fidelity == Fidelity::Clean {
                break;
            }
        }
        taps.stage_ends(surgery.as_ref());
        taps.done.into_iter().map(|tap| tap.finish(tower)).collect()
    }
}

/// The quarters of a tower in which the surgery path accumulates.
struct Stages {
    layers: usize,
}

impl Stages {
    /// Whether the surgery path restarts with the 0-based block `i`: exact multiples of a quarter of the tower.
    fn start(&self, i: usize) -> bool {
        (4 * i).is_multiple_of(self.layers)
    }

    /// Whether the stage of the 0-based block `i` has a requested level; sums of other stages are not needed.
    fn is_tapped(&self, i: usize, levels: &BTreeSet<usize>) -> bool {
        let start = (0..=i).rev().find(|&b| self.start(b)).unwrap_or(0);
        let end = (i + 1..self.layers).find(|&b| self.start(b)).unwrap_or(self.layers);
        levels.iter().any(|&l| l > start && l <= end)
    }
}

/// A level with unfinished features.
struct Tap {
    level: usize,
    tokens: Tensor,
    original: Tensor,
    surgery: Option<Tensor>,
}

impl Tap {
    /// Copies the original path's class token to the surgery path and projects it.
    fn finish(self, tower: &VisionTower) -> Result<LevelFeatures> {
        let Self { level, tokens, original, surgery } = self;
        let projected = |surgery: Tensor| {
            let patches = surgery.to_dtype(DType::F32)?.narrow(1, 1, surgery.dim(1)? - 1)?;
            tower.project(&Tensor::cat(&[&original.narrow(1, 0, 1)?, &patches], 1)?)
        };
        let surgery = surgery.map(projected).transpose()?;
        Ok(LevelFeatures { level, tokens, original, surgery })
    }
}

/// The levels passed so far, separated by whether the reference code would still change them.
struct Taps {
    fidelity: Fidelity,
    /// Levels of the current stage: their surgery path still grows.
    waiting: Vec<Tap>,
    done: Vec<Tap>,
}

impl Taps {
    fn tap(&mut self, level: usize, tokens: &Tensor, surgery: Option<&Tensor>) {
        let (tokens, original) = (tokens.clone(), tokens.clone());
        self.waiting.push(Tap { level, tokens, original, surgery: surgery.cloned() });
    }

    /// Adds the attention of the block after `level`, as the reference code does in place.
    fn next_attention(&mut self, level: usize, attended: &Tensor) {
        let mut taps = self.waiting.iter_mut().chain(&mut self.done);
        if self.fidelity == Fidelity::Reference
            && let Some(tap) = taps.find(|tap| tap.level == level)
        {
            tap.original = attended.clone();
        }
    }

    fn stage_ends(&mut self, sum: Option<&Tensor>) {
        for mut tap in self.waiting.drain(..) {
            if self.fidelity == Fidelity::Reference {
                tap.surgery = sum.cloned();
            }
            self.done.push(tap);
        }
    }
}
