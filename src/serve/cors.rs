//! Pages of other origins that may use the server (cross-origin resource sharing).

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The origins whose pages may use the server.
#[derive(Debug, Clone)]
pub struct Origins {
    all: bool,
    some: Vec<String>,
}

/// The permission for the page of one request.
pub struct Granted(HeaderValue);

/// Request and answer of browsers before a page on the Internet may use a server in a private network.
const ASKS_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

impl Origins {
    /// `*` means all origins.
    pub fn new(origins: &[String]) -> Self {
        let some = origins.iter().map(|origin| origin.to_ascii_lowercase()).collect();
        Self { all: origins.iter().any(|origin| origin == "*"), some }
    }

    /// The permission for a request with one allowed origin.
    pub fn grant(&self, headers: &HeaderMap) -> Option<Granted> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none())?;
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        (self.all || self.some.contains(&text)).then(|| Granted(origin.clone()))
    }
}

impl Granted {
    /// The answer to a browser that asks before it sends the request of a page.
    pub fn preflight(&self, request: &Parts) -> Option<Response> {
        let asks = request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method != Method::OPTIONS || !asks {
            return None;
        }
        let allowed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "accept, content-type"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        let mut answer = (StatusCode::NO_CONTENT, allowed).into_response();
        if request.headers.contains_key(ASKS_PRIVATE) {
            answer.headers_mut().insert(ALLOWS_PRIVATE, HeaderValue::from_static("true"));
        }
        Some(answer)
    }

    /// Lets the page read an answer.
    pub fn apply(self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let shown = HeaderValue::from_static("retry-after, x-aaclip-score, x-aaclip-anomalous");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
        let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
        headers.insert(resource_policy, HeaderValue::from_static("cross-origin"));
    }
}
