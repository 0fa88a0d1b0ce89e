//! Escapes untrusted text for a page.

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::Render;

/// Text from a user, a folder or a file: escaped, with U+FFFD for every control character that HTML and XML
/// do not allow (file names may have any of them).
pub(crate) struct Text<'a>(pub &'a str);

impl Render for Text<'_> {
    fn render_to(&self, out: &mut String) {
        if self.0.contains(refused) {
            self.0.replace(refused, "\u{fffd}").render_to(out);
        } else {
            self.0.render_to(out);
        }
    }
}

fn refused(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// JPEG bytes as a `data:` address, embedded in the page.
pub(super) struct JpegAddress<'a>(pub &'a [u8]);

impl Render for JpegAddress<'_> {
    fn render_to(&self, out: &mut String) {
        out.push_str("data:image/jpeg;base64,");
        STANDARD.encode_string(self.0, out);
    }
}

/// A score with three decimals, or words if it is not a number.
pub(super) fn score(value: f32) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "not a number".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_lose_their_power() {
        let rendered = Text("<b a=\"1\">&\u{0}\u{1b}\u{ffff}\nok").render().into_string();
        assert_eq!(rendered, "&lt;b a=&quot;1&quot;&gt;&amp;\u{fffd}\u{fffd}\u{fffd}\nok");
    }

    #[test]
    fn a_score_is_a_number_or_says_so() {
        assert_eq!(score(0.12345), "0.123");
        assert_eq!(score(f32::NAN), "not a number");
        assert_eq!(score(f32::INFINITY), "not a number");
    }
}
