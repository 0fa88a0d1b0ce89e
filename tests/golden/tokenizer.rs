//! Token ids of both official tokenizers.

use aaclip::clip::{SpecialTokens, Tokenizer};

use crate::support::case;

#[test]
fn token_ids_match_both_dialects() {
    let golden = case("tokenizer");
    let rows = golden["rows"].as_array().unwrap();
    assert!(rows.len() >= 59);
    let mut wrong = Vec::new();
    for (special, key) in [(SpecialTokens::ClipAd, "ids_clipad"), (SpecialTokens::AaClip, "ids_aaclip")] {
        let tokenizer = Tokenizer::clip(77, special);
        for row in rows {
            let expected: Vec<u32> =
                row[key].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect();
            let text = row["text"].as_str().unwrap();
            let found = tokenizer.encode(text).unwrap();
            if found.ids() != expected {
                wrong.push(format!("{key} {text:?}\n  expected {expected:?}\n  found    {:?}", found.ids()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), 2 * rows.len(), wrong.join("\n"));
}
