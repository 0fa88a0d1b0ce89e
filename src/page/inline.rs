//! What every page has within: its style, its script, and the policy that lets nothing else in.

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::Text;

/// The style and the script of a page.
pub(crate) struct Inline {
    style: String,
    script: String,
}

impl Inline {
    pub fn new(style: &str, script: &str) -> Self {
        Self { style: unix_lines(style), script: unix_lines(script) }
    }

    /// The style sheet, as it stands in the page.
    #[cfg(feature = "serve")]
    pub fn style(&self) -> &str {
        &self.style
    }

    /// The script, as it stands in the page.
    pub fn script(&self) -> &str {
        &self.script
    }

    /// The content security policy of a page with these: nothing else runs, and nothing is loaded but what `more` (its
    /// further directives) allows.
    pub fn policy(&self, more: &str) -> String {
        format!(
            "default-src 'none'; {more}; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            fingerprint(&self.style),
            fingerprint(&self.script)
        )
    }

    /// The head of a page from disk, see [`Inline::policy`].
    pub fn head(&self, title: &str, more: &str) -> Markup {
        html! {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(self.policy(more));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content={ "aaclip " (env!("CARGO_PKG_VERSION")) };
                meta name="referrer" content="no-referrer";
                // Without it a browser asks the server for one.
                link rel="icon" href="data:,";
                title { (Text(title)) }
                style { (PreEscaped(&self.style)) }
            }
        }
    }
}

/// A checkout may have turned the line ends; a browser turns them back before it compares the fingerprint.
pub(crate) fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// How a content security policy names one inline text: its SHA-256.
fn fingerprint(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}
