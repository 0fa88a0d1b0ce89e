//! The reference's text cleaning, in its order: ftfy, HTML entities twice, white space, lower case.

use std::sync::LazyLock;

use regex::Regex;

/// Cleans a text the way CLIP's tokenizer does before it splits words.
pub(super) fn clean(text: &str) -> String {
    let fixed = fix(text);
    let unescaped = htmlize::unescape(htmlize::unescape(fixed).into_owned()).into_owned();
    let mut words = String::with_capacity(unescaped.len());
    for word in unescaped.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words.to_lowercase()
}

/// Repairs mojibake, quotes, ligatures, widths, control characters and the rest of what ftfy repairs.
///
/// Printable ASCII without entities, which all built-in prompts are, passes unchanged and is not looked at.
fn fix(text: &str) -> String {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'&') {
        return text.to_owned();
    }
    // The one repair of ftfy that `plsfix` lacks: colour and cursor sequences of terminals.
    static TERMINAL_ESCAPE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\x1b\[[\d;]*[a-zA-Z]").ok());
    match &*TERMINAL_ESCAPE {
        Some(escape) => plsfix::fix_text(&escape.replace_all(text, ""), None),
        None => plsfix::fix_text(text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::clean;
    use proptest::prelude::*;

    #[test]
    fn spaces_entities_and_case() {
        assert_eq!(clean("  A\u{a0}Photo &amp;amp; more\t"), "a photo & more");
        assert_eq!(clean(" \n "), "");
        assert_eq!(clean("\u{1b}[1;31mRed\u{1b}[0m"), "red");
    }

    proptest! {
        #[test]
        fn any_text_is_cleaned_and_stays_so_in_case(text in any::<String>()) {
            let cleaned = clean(&text);
            prop_assert_eq!(cleaned.to_lowercase(), cleaned);
        }

        #[test]
        fn mojibake_and_markup_never_panic(text in "[ -~&;#xÃâ€œ©\u{80}-\u{ff}\u{200b}-\u{2030}\u{1b}\\[0-9]{0,40}") {
            clean(&text);
        }
    }
}
