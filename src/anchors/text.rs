//! From prompts to anchors, through the text tower.

use candle_core::Device;
use ndarray::{Array1, Array2};

use super::{AnchorCache, AnchorKey, Polarity, PromptSet, Representative};
use crate::Result;
use crate::adapters::AdaptedText;
use crate::clip::Tokenizer;
use crate::clip::{Activation, Checkpoint, Compute, Precision, SpecialTokens, TextAdapter, TextTower};
use crate::progress::Progress;

/// The normal and the abnormal anchor, both `[D]` and of unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchors {
    /// What a good part looks like.
    pub normal: Array1<f32>,
    /// What a damaged part looks like.
    pub abnormal: Array1<f32>,
}

/// Sentences that go through the text tower together.
const BATCH: usize = 64;

/// Everything that anchors depend on besides the model.
#[derive(Debug, Clone)]
pub struct AnchorRequest {
    /// The ensemble.
    pub prompts: PromptSet,
    /// What is put into its states.
    pub class: String,
    /// How many vectors become one.
    pub representative: Representative,
    /// The text tower's activation; `None`: the configuration's.
    pub activation: Option<Activation>,
    /// Trained adapters of the text tower.
    pub adapter: Option<AdaptedText>,
    /// Which literal strings stand for the start and end token.
    pub special: SpecialTokens,
    /// Whether encoding shows its progress.
    pub progress: Progress,
}

impl AnchorRequest {
    /// A request for CLIP-AD's anchors: the configuration's activation, no adapters, no progress.
    pub fn new(prompts: PromptSet, class: &str, representative: Representative) -> Self {
        Self {
            prompts,
            class: class.to_owned(),
            representative,
            activation: None,
            adapter: None,
            special: SpecialTokens::default(),
            progress: Progress::Silent,
        }
    }

    /// A request for AA-CLIP's anchors: the exact GELU, the mean, and its text adapters where there are any.
    pub fn aa_clip(prompts: PromptSet, class: &str, adapter: Option<AdaptedText>) -> Self {
        Self {
            adapter,
            activation: Some(Activation::Gelu),
            special: SpecialTokens::AaClip,
            ..Self::new(prompts, class, Representative::Mean)
        }
    }
}

/// The anchors of a class: from the cache, or encoded and then cached.
///
/// The text tower is read from disk only if the cache does not help.
///
/// # Errors
/// Weights that cannot be read, or embeddings without a representative vector.
pub fn text_anchors(
    checkpoint: &Checkpoint,
    request: &AnchorRequest,
    cache: &AnchorCache,
    device: &Device,
) -> Result<Anchors> {
    let AnchorRequest { prompts, class, representative, adapter, .. } = request;
    let activation = request.activation.unwrap_or(checkpoint.config().activation);
    let tokenizer = checkpoint.tokenizer(request.special)?;
    let key = AnchorKey::new(&[
        &checkpoint.fingerprint()?,
        &prompts.digest(),
        class,
        &format!("{representative:?}"),
        activation.name(),
        &tokenizer.name(),
        adapter.as_ref().map_or("", AdaptedText::digest),
    ]);
    let width = checkpoint.config().embed_dim;
    cache.get_or_build(&key, width, || {
        let text = checkpoint.text(activation, &Compute::new(device, Precision::F32))?;
        let normal = prompts.sentences(Polarity::Normal, class);
        let abnormal = prompts.sentences(Polarity::Abnormal, class);
        let bar = request.progress.items((normal.len() + abnormal.len()) as u64, "reading prompts");
        let adapter = adapter.as_ref().map(|a| a as &dyn TextAdapter);
        let anchor = |sentences: &[String]| -> Result<Array1<f32>> {
            let mut values = Vec::with_capacity(sentences.len() * width);
            for batch in sentences.chunks(BATCH) {
                values.extend(embed(&text, &tokenizer, batch, adapter)?);
                bar.inc(batch.len() as u64);
            }
            let embeddings = Array2::from_shape_vec((sentences.len(), width), values).map_err(|e| {
                crate::Error::Setting(format!("the text tower gave vectors of another width: {e}"))
            })?;
            Ok(representative.vector(embeddings.view())?)
        };
        let anchors = Anchors { normal: anchor(&normal)?, abnormal: anchor(&abnormal)? };
        bar.finish_and_clear();
        Ok(anchors)
    })
}

/// Vectors of sentences, `[N, D]` row by row, not normalised.
fn embed(
    text: &TextTower,
    tokenizer: &Tokenizer,
    sentences: &[String],
    adapter: Option<&dyn TextAdapter>,
) -> Result<Vec<f32>> {
    let tokens = sentences.iter().map(|s| tokenizer.encode(s)).collect::<Result<Vec<_>, _>>()?;
    Ok(text.embed(&tokens, adapter)?.flatten_all()?.to_vec1::<f32>()?)
}
