//! The page to drop a picture on: one file, no network but this server.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

/// The page and the policy that holds a browser to it.
struct Page {
    html: String,
    policy: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    // A checkout may have turned the line ends; a browser turns them back before it compares the fingerprint.
    let unix_lines = |text: &str| text.replace("\r\n", "\n");
    let style = unix_lines(concat!(include_str!("../page/palette.css"), include_str!("page/style.css")));
    let script = unix_lines(include_str!("page/script.js"));
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data: blob:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        fingerprint(&style),
        fingerprint(&script)
    );
    let html = unix_lines(include_str!("page/index.html")).replacen("/*style*/", &style, 1).replacen(
        "/*script*/",
        &script,
        1,
    );
    Page { html, policy }
});

/// `GET /`.
pub async fn page() -> Response {
    let page = &*PAGE;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let policy =
        HeaderValue::from_str(&page.policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)], page.html.as_str())
        .into_response()
}

/// How a content security policy names one inline text: its SHA-256.
fn fingerprint(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text.as_bytes())))
}
