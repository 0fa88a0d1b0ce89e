//! The reference's text cleaning, in its order: text repair as ftfy's, HTML entities twice, white space, lower case.

use std::borrow::Cow;
use std::str::Chars;

use tokenizers::NormalizedString;

use super::mojibake;

/// Cleans a text the way CLIP's tokenizer does before it splits words.
pub(super) fn clean(text: &str) -> String {
    let repaired = repair(text);
    let unescaped = htmlize::unescape(htmlize::unescape(repaired).into_owned()).into_owned();
    let mut words = String::with_capacity(unescaped.len());
    for word in unescaped.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words.to_lowercase()
}

/// Largest number of repeated repairs: text is rarely damaged twice.
const MOST_ROUNDS: usize = 16;

/// Repairs mojibake, entities, quotes, ligatures, widths, control characters and composition, until nothing changes.
///
/// Printable ASCII without entities, such as all built-in prompts, is returned unchanged without a search.
fn repair(text: &str) -> String {
    let mut text = text.to_owned();
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'&') {
        return text;
    }
    // In markup, entities are intended.
    let is_markup = text.contains('<');
    for _ in 0..MOST_ROUNDS {
        let unescaped = if is_markup { Cow::Borrowed(&*text) } else { htmlize::unescape(&*text) };
        let next = NormalizedString::from(plain(&mojibake::repair(&unescaped))).nfc().get().to_owned();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Replaces variant forms of characters, and removes characters without a plain form. Line breaks become white space
/// later.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => rest = after_terminal_sequence(rest),
            '\u{80}'..='\u{9f}' => plain.push(mojibake::of_control(c)),
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' => plain.push('"'),
            'ﬅ' => plain.push_str("ſt"),
            'Ĳ' | 'ĳ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | 'ﬀ'..='ﬆ' | '\u{3000}' | '！'..='\u{ffef}' =>
            {
                plain.push_str(NormalizedString::from(c.to_string()).nfkc().get());
            }
            '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' => {}
            '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
            _ => plain.push(c),
        }
    }
    plain
}

/// The text after a terminal's colour or cursor sequence, whose escape character was already consumed.
fn after_terminal_sequence(escaped: Chars<'_>) -> Chars<'_> {
    let mut rest = escaped.clone();
    if rest.next() != Some('[') {
        return escaped;
    }
    match rest.find(|c| !matches!(c, '0'..='9' | ';')) {
        Some(end) if end.is_ascii_alphabetic() => rest,
        _ => escaped,
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

    /// The results of ftfy 6.3.1.
    #[test]
    fn other_forms_of_characters() {
        for (text, expected) in [
            ("Ｆｕｌｌ　ﾀ", "full タ"),
            ("ﬁne ﬅ ŉ ǆ", "fine ſt 'n dž"),
            ("“É” ‘Ü’ ʼn", "\"é\" 'ü' 'n"),
            ("e\u{301} q\u{307}\u{323}", "é q\u{323}\u{307}"),
            ("a\u{85}b\u{feff}c\u{7}d\u{fffc}", "a…bcd"),
            ("\u{1b}[x \u{1b}[1", "[1"),
            ("&amp;amp;amp;amp;amp;lt;", "<"),
            ("<b>&amp;amp;amp;amp;", "<b>&amp;amp;"),
            ("&Atilde;&copy;", "é"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
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
