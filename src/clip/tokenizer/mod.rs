//! CLIP's tokenizer: text cleaning, word splitting and byte-pair encoding.

mod bpe;
mod clean;
mod mojibake;

use std::path::{Path, PathBuf};

pub use bpe::SpecialTokens;

use crate::guard::guarded;

/// The largest published vocabularies have about 30 MB.
const LARGEST_FILE: u64 = 256 << 20;

/// A sentence has about 77 tokens; the time for cleaning and merging grows faster than the text.
const LONGEST_TEXT: usize = 64 << 10;

/// The reason for a panic of the tokenizer: reading the file does not check its consistency.
const CONTRADICTS: &str = "its `tokenizer.json` contradicts itself";

/// The reason why sentences could not be tokenized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A model folder's `tokenizer.json` is invalid.
    #[error("{} is not a usable tokenizer: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The tokenizer refused a text.
    #[error("cannot tokenize `{text}`: {reason}")]
    Text {
        /// The text.
        text: String,
        /// The tokenizer's reason.
        reason: String,
    },
}

/// One sentence: start token, at most `context - 2` tokens of text, end token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    end: usize,
}

impl Tokens {
    /// From ids without padding; the vector of the sentence is read at the first `end_id`.
    fn new(ids: Vec<u32>, end_id: u32) -> Self {
        let end = ids.iter().position(|&id| id == end_id).unwrap_or(ids.len().saturating_sub(1));
        Self { ids, end }
    }

    /// The ids, without padding.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Position of the first end token; its row becomes the sentence's vector.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The first `length` ids, padded with zeros.
    pub fn padded(&self, length: usize) -> impl Iterator<Item = u32> {
        self.ids.iter().copied().chain(std::iter::repeat(0)).take(length)
    }
}

/// Turns sentences into token ids.
pub struct Tokenizer {
    kind: Kind,
    context_length: usize,
}

enum Kind {
    Clip(Box<bpe::ClipBpe>),
    File { tokenizer: Box<tokenizers::Tokenizer>, path: PathBuf, end_id: u32 },
}

impl Tokenizer {
    /// CLIP's own vocabulary, built into the program.
    pub fn clip(context_length: usize, special: SpecialTokens) -> Self {
        Self { kind: Kind::Clip(Box::new(bpe::ClipBpe::new(special))), context_length }
    }

    /// The tokenizer of a model folder: its `tokenizer.json` if present, else CLIP's own.
    ///
    /// # Errors
    /// The `tokenizer.json` is invalid.
    pub fn for_model(
        dir: &Path,
        context_length: usize,
        special: SpecialTokens,
    ) -> Result<Self, TokenizerError> {
        let path = dir.join("tokenizer.json");
        if !path.is_file() {
            return Ok(Self::clip(context_length, special));
        }
        let bytes = crate::files::read_limited(&path, LARGEST_FILE)
            .map_err(|e| TokenizerError::File { path: path.clone(), reason: e.to_string() })?;
        Self::from_bytes(path, &bytes, context_length)
    }

    /// The tokenizer from the content of a `tokenizer.json`; errors name it `path`.
    ///
    /// # Errors
    /// The content is invalid.
    pub(crate) fn from_bytes(
        path: PathBuf,
        bytes: &[u8],
        context_length: usize,
    ) -> Result<Self, TokenizerError> {
        let unusable = |reason: String| TokenizerError::File { path: path.clone(), reason };
        let mut tokenizer = guarded(|| tokenizers::Tokenizer::from_bytes(bytes))
            .ok_or_else(|| unusable(CONTRADICTS.to_owned()))?
            .map_err(|e| unusable(e.to_string()))?;
        // Padding and truncation are done here, as in the reference.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| unusable(e.to_string()))?;
        // An empty sentence contains only the tokens added by the template; the end token is the last,
        // whatever its id.
        let frame = guarded(|| tokenizer.encode("", true))
            .ok_or_else(|| unusable(CONTRADICTS.to_owned()))?
            .map_err(|e| unusable(e.to_string()))?;
        let [_, .., end_id] = *frame.get_ids() else {
            return Err(unusable("it adds no start and end token to a sentence".to_owned()));
        };
        Ok(Self { kind: Kind::File { tokenizer: Box::new(tokenizer), path, end_id }, context_length })
    }

    /// Cleans and encodes one sentence. A sentence that is too long is cut, and its last token becomes the
    /// end token.
    ///
    /// Cleaning is the reference's: text repair (ftfy), HTML entities, white space, lower case.
    ///
    /// # Errors
    /// The text has more than 64 KiB, or a model's own `tokenizer.json` refuses it.
    pub fn encode(&self, text: &str) -> Result<Tokens, TokenizerError> {
        if text.len() > LONGEST_TEXT {
            let shown = text.chars().take(40).chain("..".chars()).collect();
            let reason = format!("{} bytes are too many for a sentence", text.len());
            return Err(TokenizerError::Text { text: shown, reason });
        }
        let text = clean::clean(text);
        let (mut ids, end_id) = match &self.kind {
            Kind::Clip(bpe) => (bpe.encode(&text), bpe.end_id()),
            Kind::File { tokenizer, end_id, .. } => {
                let refused = |reason: String| TokenizerError::Text { text: text.clone(), reason };
                let encoding = guarded(|| tokenizer.encode(text.as_str(), true))
                    .ok_or_else(|| refused(CONTRADICTS.to_owned()))?
                    .map_err(|e| refused(e.to_string()))?;
                (encoding.get_ids().to_vec(), *end_id)
            }
        };
        if ids.len() > self.context_length {
            ids.truncate(self.context_length);
            if let Some(last) = ids.last_mut() {
                *last = end_id;
            }
        }
        Ok(Tokens::new(ids, end_id))
    }

    /// A name for cache keys; tokenizers of different names may give different tokens.
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Clip(bpe) => format!("clip/{:?}", bpe.special()),
            Kind::File { path, .. } => format!("file/{}", path.display()),
        }
    }
}
