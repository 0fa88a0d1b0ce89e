//! The page to drop a picture on: one file, no network but this server.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::page::{Inline, unix_lines};

/// The page and the policy that holds a browser to it.
struct Page {
    html: String,
    policy: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let style = concat!(include_str!("../page/palette.css"), include_str!("page/style.css"));
    let inline = Inline::new(style, include_str!("page/script.js"));
    let page = unix_lines(include_str!("page/index.html"));
    Page {
        html: page.replacen("/*style*/", inline.style(), 1).replacen("/*script*/", inline.script(), 1),
        policy: inline.policy("img-src data: blob:; connect-src 'self'; frame-ancestors 'none'"),
    }
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
