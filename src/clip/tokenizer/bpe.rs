//! Word splitting and byte-pair encoding with CLIP's vocabulary.

use instant_clip_tokenizer::{Token, Tokenizer};
use regex::Regex;

/// The literal strings that mean the start and end token in a text; the two references differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SpecialTokens {
    /// `<start_of_text>` and `<end_of_text>` (CLIP-AD, early open_clip).
    #[default]
    ClipAd,
    /// `<|startoftext|>` and `<|endoftext|>` (AA-CLIP, OpenAI).
    AaClip,
}

impl SpecialTokens {
    fn literals(self) -> [&'static str; 2] {
        match self {
            Self::ClipAd => ["<start_of_text>", "<end_of_text>"],
            Self::AaClip => ["<|startoftext|>", "<|endoftext|>"],
        }
    }
}

/// The contraction `'s` written with U+017F. The reference matches it case-insensitively, so both characters
/// form one word; no merge rule applies to it. These are its three byte tokens.
const LONG_S_CONTRACTION: (&str, [u32; 3]) = ("'\u{17f}", [6, 129, 379]);

/// CLIP's byte-pair encoding.
pub(super) struct ClipBpe {
    vocabulary: Tokenizer,
    words: Regex,
    special: SpecialTokens,
}

impl ClipBpe {
    pub fn new(special: SpecialTokens) -> Self {
        let [start, end] = special.literals().map(regex::escape);
        let pattern =
            format!(r"(?i){start}|{end}|'s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+");
        let words = Regex::new(&pattern).expect("the pattern is fixed");
        Self { vocabulary: Tokenizer::new(), words, special }
    }

    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    pub fn end_id(&self) -> u32 {
        id(self.vocabulary.end_of_text())
    }

    /// The ids of a cleaned text, including start and end token.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let (start, end) = (id(self.vocabulary.start_of_text()), self.end_id());
        let [start_literal, end_literal] = self.special.literals();
        let mut ids = vec![start];
        let mut tokens = Vec::new();
        for word in self.words.find_iter(text).map(|m| m.as_str()) {
            if word == start_literal {
                ids.push(start);
            } else if word == end_literal {
                ids.push(end);
            } else if word == LONG_S_CONTRACTION.0 {
                ids.extend(LONG_S_CONTRACTION.1);
            } else {
                tokens.clear();
                self.vocabulary.encode(word, &mut tokens);
                ids.extend(tokens.iter().map(|&t| id(t)));
            }
        }
        ids.push(end);
        ids
    }
}

fn id(token: Token) -> u32 {
    token.to_u16().into()
}
