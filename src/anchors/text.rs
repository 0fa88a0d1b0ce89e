//! Anchors of a class: its sentences through the text tower.

use candle_core::{Device, Tensor};
use ndarray::{Array1, Array2};

use super::{AnchorCache, AnchorKey, Polarity, PromptSet, Representative};
use crate::Result;
use crate::clip::{Activation, Checkpoint, Compute, Precision, SpecialTokens, TextTower, Tokenizer, Tokens};
use crate::progress::Progress;

/// The normal and the abnormal anchor, both `[D]` and of unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchors {
    /// The anchor of good parts.
    pub normal: Array1<f32>,
    /// The anchor of damaged parts.
    pub abnormal: Array1<f32>,
}

/// Sentences that go through the text tower together.
const BATCH: usize = 64;

impl Anchors {
    /// How far apart the anchors are in the direction from normal to damaged of `reference`, with the distance of
    /// `reference` as the unit. 1: as far; 0: no difference; negative: swapped; NaN: `reference` has no direction.
    pub fn separation(&self, reference: &Self) -> f32 {
        let direction = &reference.abnormal - &reference.normal;
        (&self.abnormal - &self.normal).dot(&direction) / direction.dot(&direction)
    }

    /// Both as the columns of `[D, 2]`: the normal anchor first.
    ///
    /// # Errors
    /// The device fails.
    pub fn columns(&self, device: &Device) -> Result<Tensor> {
        let values = self.normal.iter().zip(&self.abnormal).flat_map(|(&n, &a)| [n, a]);
        Ok(Tensor::from_iter(values, device)?.reshape((self.normal.len(), 2))?)
    }
}

/// How sentences become vectors: a method's walk through the text tower.
pub trait SentenceEncoder: Send + Sync {
    /// Tells this walk and its weights from others; anchors are cached under it.
    fn digest(&self) -> &str;

    /// The vectors of sentences, `[N, D]`, not normalised.
    ///
    /// # Errors
    /// A token id outside the vocabulary, or no sentence at all.
    fn encode(&self, tower: &TextTower, sentences: &[Tokens]) -> candle_core::Result<Tensor>;
}

/// The ordinary walk.
#[derive(Debug, Clone, Copy)]
pub struct PlainText;

impl SentenceEncoder for PlainText {
    fn digest(&self) -> &str {
        ""
    }

    fn encode(&self, tower: &TextTower, sentences: &[Tokens]) -> candle_core::Result<Tensor> {
        tower.embed(sentences)
    }
}

/// Everything that anchors depend on besides the model.
#[derive(Clone, Copy)]
pub struct AnchorRequest<'a> {
    /// The ensemble.
    pub prompts: &'a PromptSet,
    /// What is put into its states.
    pub class: &'a str,
    /// How many vectors become one.
    pub representative: Representative,
    /// The text tower's activation.
    pub activation: Activation,
    /// How sentences become vectors.
    pub encoder: &'a dyn SentenceEncoder,
    /// The literal strings that mean the start and end token.
    pub special: SpecialTokens,
    /// Whether encoding shows its progress.
    pub progress: Progress,
}

/// The anchors of a class: from the cache, or encoded and then cached.
///
/// The text tower is read from disk only if the cache does not help.
///
/// # Errors
/// Weights that cannot be read, or embeddings without a representative vector.
pub fn text_anchors(
    checkpoint: &Checkpoint,
    request: &AnchorRequest<'_>,
    cache: &AnchorCache,
    device: &Device,
) -> Result<Anchors> {
    let AnchorRequest { prompts, class, representative, activation, encoder, .. } = *request;
    let tokenizer = checkpoint.tokenizer(request.special)?;
    let key = AnchorKey::new(&[
        &checkpoint.fingerprint()?,
        &prompts.digest(),
        class,
        &format!("{representative:?}"),
        activation.name(),
        &tokenizer.name(),
        encoder.digest(),
    ]);
    let width = checkpoint.config().embed_dim;
    cache.get_or_build(&key, width, || {
        let text = checkpoint.text(activation, &Compute::new(device, Precision::F32))?;
        let normal = prompts.sentences(Polarity::Normal, class);
        let abnormal = prompts.sentences(Polarity::Abnormal, class);
        let bar = request.progress.items((normal.len() + abnormal.len()) as u64, "reading prompts");
        let anchor = |sentences: &[String]| -> Result<Array1<f32>> {
            let mut values = Vec::with_capacity(sentences.len() * width);
            for batch in sentences.chunks(BATCH) {
                values.extend(embed(&text, &tokenizer, batch, encoder)?);
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
    encoder: &dyn SentenceEncoder,
) -> Result<Vec<f32>> {
    let tokens = sentences.iter().map(|s| tokenizer.encode(s)).collect::<Result<Vec<_>, _>>()?;
    Ok(encoder.encode(text, &tokens)?.flatten_all()?.to_vec1::<f32>()?)
}
