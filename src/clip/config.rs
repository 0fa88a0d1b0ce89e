//! The configuration of a model.

/// The nonlinearity between the two layers of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Activation {
    /// `x * Phi(x)` with the exact normal distribution (`torch.nn.GELU()`).
    #[default]
    Gelu,
    /// `x * sigmoid(1.702 x)`, as in OpenAI's training of CLIP.
    QuickGelu,
}

impl Activation {
    /// The name used on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick-gelu",
        }
    }
}

/// Shape of the image tower.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Side of the square input during training, in pixels.
    pub image_size: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Width of a token.
    pub width: usize,
    /// Attention heads per block; divides `width`.
    pub heads: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Width between the two layers of an MLP.
    pub mlp_width: usize,
    /// Whether a LayerNorm follows the position embedding.
    pub ln_pre: bool,
    /// Epsilon of every LayerNorm.
    pub norm_eps: f64,
}

impl VisionConfig {
    /// Patches along one side of an input of `image_size` pixels; a remainder is ignored.
    pub fn grid(&self, image_size: usize) -> usize {
        image_size / self.patch_size
    }
}

/// Shape of the text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Tokens per sentence, start and end included.
    pub context_length: usize,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of a token.
    pub width: usize,
    /// Attention heads per block; divides `width`.
    pub heads: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Width between the two layers of an MLP.
    pub mlp_width: usize,
    /// Epsilon of every LayerNorm.
    pub norm_eps: f64,
}

/// Normalisation of pixels: `(value / 255 - mean) / std` per channel, RGB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// Mean per channel.
    pub mean: [f32; 3],
    /// Standard deviation per channel.
    pub std: [f32; 3],
}

impl Default for Normalisation {
    /// The values of OpenAI's CLIP training, used by both reference methods.
    fn default() -> Self {
        Self {
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_55, 0.261_302_6, 0.275_777_1],
        }
    }
}

/// Everything needed to build both towers.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Width of the common space of images and texts.
    pub embed_dim: usize,
    /// The image tower.
    pub vision: VisionConfig,
    /// The text tower.
    pub text: TextConfig,
    /// The activation of the MLPs.
    pub activation: Activation,
    /// The normalisation of pixels.
    pub normalisation: Normalisation,
}
