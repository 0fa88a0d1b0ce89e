//! The common frame of all pages: head, style, script, and a content security policy.

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::Text;

/// The style of all pages: colours, light and dark, and plain text.
const STYLE: &str = include_str!("base.css");

/// A kind of page: everything except its title and its content.
pub(crate) struct Shell {
    style: String,
    script: String,
    policy: String,
}

impl Shell {
    /// Pages with this script, and this style after the common style; `allow` is the part of the content
    /// security policy with the allowed sources.
    pub(crate) fn new(style: &str, script: &str, allow: &str) -> Self {
        // A checkout may have changed the line ends; browsers normalise them before they compare the hash.
        let unix_lines = |text: &str| text.replace("\r\n", "\n");
        let (style, script) = (unix_lines(&[STYLE, style].concat()), unix_lines(script));
        let hash = |text: &str| format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())));
        let policy = format!(
            "default-src 'none'; {allow}; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            hash(&style),
            hash(&script)
        );
        Self { style, script, policy }
    }

    /// The content security policy: no other script runs, and nothing is loaded but what is allowed.
    #[cfg(feature = "serve")]
    pub(crate) fn policy(&self) -> &str {
        &self.policy
    }

    /// A whole page; `body` is its body without the script.
    pub(crate) fn page(&self, title: &str, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(self.policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="generator" content={ "aaclip " (env!("CARGO_PKG_VERSION")) };
                    meta name="referrer" content="no-referrer";
                    // Without it, browsers request an icon from the server.
                    link rel="icon" href="data:,";
                    title { (Text(title)) }
                    style { (PreEscaped(&self.style)) }
                }
                body {
                    (body)
                    script { (PreEscaped(&self.script)) }
                }
            }
        }
    }
}
