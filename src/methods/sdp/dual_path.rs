//! CLIP-AD's staged dual path through the image tower (arXiv 2311.00453, section 3.2).

use std::collections::BTreeSet;

use candle_core::{DType, Result, Tensor};

use crate::clip::{Attention, AttentionRequest, VisionTower};

/// Whether features tapped inside the tower are what the reference code keeps, or what the paper describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fidelity {
    /// As the official code: it keeps references to tensors that later blocks update in place. A tapped original
    /// path thus also has the next block's attention output in it, and a tapped surgery path keeps accumulating
    /// until its stage ends. Published SDP+ weights were trained on these tensors.
    #[default]
    Reference,
    /// The state right after the tapped block.
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

/// Tokens of the original path that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wanted {
    /// All of them.
    #[default]
    All,
    /// The class token. At the last level `tokens` and `original` may then have no other: `[B, 1, W]`.
    Class,
}

/// Features of one level (the 1-based number of a block).
#[derive(Debug, Clone)]
pub struct LevelFeatures {
    /// The level, counted from 1.
    pub level: usize,
    /// The tokens right after the block: `[B, 1 + L, W]`, class token first; no LayerNorm.
    pub tokens: Tensor,
    /// Original path as the fidelity says: raw tokens `[B, 1 + L, W]`. Equals `tokens` if it is clean.
    pub original: Tensor,
    /// Surgery path: `[B, 1 + L, D]`, after `ln_post` and projection; row 0 is the original path's class token.
    /// `None` if it was not asked for.
    pub surgery: Option<Tensor>,
}

/// A walk through the tower.
///
/// With the surgery path, every block computes from the original path a V-V attention next to its ordinary attention.
/// The surgery path sums those within a stage, a quarter of the tower, and restarts with each stage; it has no MLP.
/// Blocks after the last one that a level needs are not run.
#[derive(Clone, Copy)]
pub struct DualPath<'a> {
    /// Levels to collect.
    pub levels: &'a [usize],
    /// Whether the surgery path is computed next to the original one.
    pub surgery: bool,
    /// What both paths are at a level.
    pub fidelity: Fidelity,
    /// What of the last level's original path is read.
    pub original: Wanted,
    /// Changes the original path's tokens after a 0-based block.
    pub after_block: &'a dyn Fn(usize, Tensor) -> Result<Tensor>,
}

/// Both paths at each of `levels`, in ascending order.
///
/// # Errors
/// As [`DualPath::walk`].
pub fn dual_path(
    tower: &VisionTower,
    images: &Tensor,
    levels: &[usize],
    fidelity: Fidelity,
) -> Result<Vec<LevelFeatures>> {
    DualPath { fidelity, ..DualPath::new(levels) }.walk(tower, images)
}

impl<'a> DualPath<'a> {
    /// Both paths as the reference code has them.
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
    /// Images of another shape, or a level the tower does not have.
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
            // Nothing but the class token may be wanted of the last level's original path. The reference's in-place
            // updates need the others once more if there is a next block.
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

    /// Whether some listed level is in the stage of the 0-based block `i`: other stages' sums are not read.
    fn is_tapped(&self, i: usize, levels: &BTreeSet<usize>) -> bool {
        let start = (0..=i).rev().find(|&b| self.start(b)).unwrap_or(0);
        let end = (i + 1..self.layers).find(|&b| self.start(b)).unwrap_or(self.layers);
        levels.iter().any(|&l| l > start && l <= end)
    }
}

/// A level whose features are being collected.
struct Tap {
    level: usize,
    tokens: Tensor,
    original: Tensor,
    surgery: Option<Tensor>,
}

impl Tap {
    /// Puts the original path's class token on the surgery path and projects it.
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

/// The levels seen so far, and which of them the reference code would still change.
struct Taps {
    fidelity: Fidelity,
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
