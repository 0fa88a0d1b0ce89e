//! The page to drop a picture on: one file that uses only this server.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maud::PreEscaped;

use crate::page::Shell;

/// The page and its content security policy.
static PAGE: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let allow = "img-src data: blob:; connect-src 'self'";
    let script = concat!(
        include_str!("../page/base.js"),
        include_str!("../page/map.js"),
        include_str!("page/script.js")
    );
    let style = concat!(include_str!("page/style.css"), include_str!("../page/map.css"));
    let body = include_str!("page/body.html").replace("<!-- scale -->", include_str!("../page/map.html"));
    let shell = Shell::new(style, script, allow);
    let page = shell.page("aaclip", &PreEscaped(body));
    // A page cannot forbid frames by itself; a header can.
    let policy = format!("{}; frame-ancestors 'none'", shell.policy());
    let nothing = HeaderValue::from_static("default-src 'none'");
    (page.into_string(), HeaderValue::from_str(&policy).unwrap_or(nothing))
});

/// `GET /`.
pub async fn page() -> Response {
    let (page, policy) = &*PAGE;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy.clone())], page.as_str())
        .into_response()
}
