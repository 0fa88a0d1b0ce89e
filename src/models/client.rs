//! Requests to a hub: redirects, the token, and the interpretation of answers.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::http::Response;
use ureq::{Agent, Body};

use super::{Hub, HubError};

/// Largest number of redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// After this time without a byte an answer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub over HTTP.
pub(super) struct Client<'a> {
    hub: &'a Hub,
    agent: Agent,
}

/// The requested part of a file's content, and the hub's metadata of the file.
pub(super) struct Answer {
    /// The status is 200 (the whole file) or 206 (the part).
    pub response: Response<Body>,
    /// The commit of the revision.
    pub commit: Option<String>,
    /// The content's name: the SHA-256 of a large file.
    pub etag: Option<String>,
}

impl<'a> Client<'a> {
    pub fn new(hub: &'a Hub) -> Self {
        let config = Agent::config_builder()
            .user_agent(concat!("aaclip/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // Redirects are followed here, because the first answers have the hub's headers and the token must not
            // be sent to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        Self { hub, agent: config.build().into() }
    }

    /// Requests a range of bytes of a file.
    ///
    /// # Errors
    /// The hub cannot be reached, refuses, or does not answer like a hub.
    pub fn get(&self, url: &str, range: &str) -> Result<Answer, HubError> {
        let mut address = url.to_owned();
        let (mut commit, mut etag) = (None, None);
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.agent.get(&address).header("Range", range);
            if let Some(token) = self.hub.token_for(&address) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|e| self.explain(url, e))?;
            if commit.is_none() {
                commit = header(&response, "X-Repo-Commit");
                etag = header(&response, "X-Linked-Etag").or_else(|| header(&response, "ETag"));
            }
            match response.status().as_u16() {
                200 | 206 => {
                    return Ok(Answer { response, commit, etag: etag.as_deref().map(without_quotes) });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let location = header(&response, "Location");
                    let next = location.map(|location| redirected(&address, &location));
                    // A request over HTTPS must not be redirected to plain HTTP.
                    address = next
                        .filter(|next| next.starts_with("https://") || address.starts_with("http://"))
                        .ok_or_else(|| self.hub.not_a_hub("its redirect has no valid target"))?;
                }
                status @ (401 | 403) => return Err(HubError::Denied { url: url.to_owned(), status }),
                404 => return Err(HubError::NotFound { url: url.to_owned() }),
                status => return Err(HubError::Status { url: url.to_owned(), status }),
            }
        }
        Err(self.hub.not_a_hub("it redirects too often"))
    }

    fn explain(&self, url: &str, error: ureq::Error) -> HubError {
        let broken = |reason: String| HubError::Broken { url: url.to_owned(), attempts: 1, reason };
        match error {
            ureq::Error::Protocol(e) => broken(e.to_string()),
            ureq::Error::Io(e) if e.kind() == ErrorKind::UnexpectedEof => broken(e.to_string()),
            other => {
                HubError::Unreachable { endpoint: self.hub.endpoint().to_owned(), reason: other.to_string() }
            }
        }
    }
}

/// The value of a header, if it exists and is text.
pub(super) fn header(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// An entity tag without its quotes and the mark of a weak one.
fn without_quotes(etag: &str) -> String {
    etag.trim_start_matches("W/").replace('"', "")
}

/// Scheme, host and port of an address.
pub(super) fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |i| i + 3);
    url[host..].find(['/', '?', '#']).map_or(url, |end| &url[..host + end])
}

/// The target of a redirect.
fn redirected(from: &str, location: &str) -> String {
    let scheme = |url: &str| url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let is_name = |scheme: &String| scheme.bytes().all(|b| b.is_ascii_alphanumeric());
    if let Some(scheme) = scheme(location).filter(is_name) {
        return scheme.clone() + &location[scheme.len()..];
    }
    if location.starts_with("//") {
        return format!("{}:{location}", scheme(from).unwrap_or_default());
    }
    let origin = origin(from);
    if location.starts_with('/') {
        return format!("{origin}{location}");
    }
    let path = from[origin.len()..].split(['?', '#']).next().unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
    format!("{origin}{folder}{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from = "https://hub.example:8443/a/b/resolve/main/w.bin?x=/y";
        for (location, expected) in [
            ("HTTPS://cdn.example/w?sig=http://z", "https://cdn.example/w?sig=http://z"),
            ("//cdn.example/w", "https://cdn.example/w"),
            ("/api/w?u=http://z", "https://hub.example:8443/api/w?u=http://z"),
            ("other.bin", "https://hub.example:8443/a/b/resolve/main/other.bin"),
        ] {
            assert_eq!(redirected(from, location), expected);
        }
        assert_eq!(redirected("http://h", "x"), "http://h/x");
        assert_eq!(origin("http://h?x"), "http://h");
    }

    #[test]
    fn tags_are_names() {
        assert_eq!(without_quotes("W/\"ab\""), "ab");
        assert_eq!(without_quotes("\"ab\""), "ab");
    }
}
