use std::sync::LazyLock;

use aaclip::clip::{SpecialTokens, Tokenizer};

use super::{quiet_guarded, scratch};

/// A text, through CLIP's own tokenizer with the special tokens of both reference codes.
pub fn tokenizer(data: &[u8]) {
    static BOTH: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
        [SpecialTokens::ClipAd, SpecialTokens::AaClip].map(|special| Tokenizer::clip(77, special))
    });
    let text = String::from_utf8_lossy(data);
    for tokenizer in &*BOTH {
        let tokens = tokenizer.encode(&text).expect("CLIP's own tokenizer takes any text");
        check(&tokens, 77);
        assert!(tokens.ids().iter().all(|&id| id < 49408));
        assert_eq!(tokens.ids()[tokens.end()], 49407);
    }
}

/// A model's `tokenizer.json`, and some sentences with it.
pub fn tokenizer_json(data: &[u8]) {
    // The crate that reads these files panics on some; the library turns that into an error.
    quiet_guarded();
    let path = scratch::file("tokenizer/tokenizer.json", data);
    let folder = path.parent().unwrap_or(&path);
    let Ok(tokenizer) = Tokenizer::for_model(folder, 16, SpecialTokens::AaClip) else { return };
    for text in
        ["", "a photo of a damaged b", "\u{1F600} a\u{301} 'll <|endoftext|>", "aaaaaaaaaaaaaaaa 1234567"]
    {
        if let Ok(tokens) = tokenizer.encode(text) {
            check(&tokens, 16);
        }
    }
}

fn check(tokens: &aaclip::clip::Tokens, context: usize) {
    assert!(tokens.ids().len() <= context);
    assert!(tokens.end() < tokens.ids().len().max(1));
}
