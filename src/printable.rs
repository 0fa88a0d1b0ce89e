//! Names printed to a terminal.

use std::borrow::Cow;

/// A name as one line without effects on a terminal: control characters become escapes.
pub fn printable(name: &str) -> Cow<'_, str> {
    if !name.contains(char::is_control) {
        return Cow::Borrowed(name);
    }
    let shown = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    Cow::Owned(name.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_characters_are_escaped() {
        assert!(matches!(printable("a b\u{fc}\u{65e5}.png"), Cow::Borrowed(_)));
        assert_eq!(printable("a\u{1b}[31m\nb\u{9b}.png"), "a\\u{1b}[31m\\nb\\u{9b}.png");
    }
}
