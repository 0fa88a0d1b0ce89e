//! Requests to a hub: redirects, the token, proxies, time limits, and the interpretation of answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::again::Failure;
use super::proxy::{Named, proxy_for};
use super::{Hub, HubError};
use crate::guard::guarded;

/// Largest number of redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// A hub over HTTP.
pub(super) struct Client<'a> {
    hub: &'a Hub,
    agent: Agent,
    patience: Duration,
}

/// Default time limit for a connection, and for an answer's next byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// The requested part of a file's content, and the hub's metadata of the file.
pub(super) struct Answer {
    /// The status is 200 (the whole file) or 206 (the part).
    pub response: Response<Body>,
    /// The commit of the revision.
    pub commit: Option<String>,
    /// The content's name: the SHA-256 of a large file.
    pub etag: Option<String>,
    /// The size of a file that is kept elsewhere.
    pub linked_size: Option<u64>,
}

impl<'a> Client<'a> {
    /// # Errors
    /// The environment is wrong: the hub's address, the certificates, or the time limit.
    pub fn new(hub: &'a Hub) -> Result<Self, HubError> {
        let is_web = |(scheme, ..): (String, _, _)| matches!(&*scheme, "http" | "https");
        if !origin_of(hub.endpoint()).is_some_and(is_web) {
            return Err(HubError::Endpoint(hub.endpoint().to_owned()));
        }
        let limit = seconds("HF_HUB_DOWNLOAD_TIMEOUT")?.unwrap_or(PATIENCE);
        let patience = Some(limit);
        let config = Agent::config_builder()
            .user_agent(concat!("aaclip/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // Redirects are followed here, because the first answers have the hub's headers and the token must not
            // be sent to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .tls_config(TlsConfig::builder().root_certs(root_certs()?).build())
            .timeout_connect(patience)
            .timeout_send_request(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience);
        Ok(Self { hub, agent: config.build().into(), patience: limit })
    }

    /// Requests a range of bytes of a file.
    ///
    /// # Errors
    /// The hub cannot be reached, refuses, or does not answer like a hub.
    pub fn get(&self, url: &str, range: &str) -> Result<Answer, Failure> {
        let mut address = url.to_owned();
        let (mut commit, mut etag, mut linked_size) = (None, None, None);
        for _ in 0..=MOST_REDIRECTS {
            let proxy = proxy_of(&address)?;
            let mut request = self.agent.get(&address).header("Range", range);
            if let Some(token) = self.hub.token_for(&address) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(named) = &proxy {
                request = request.config().proxy(Some(named.proxy.clone())).build();
            }
            // The look-up of a proxy's name panics where the system provides no thread for it.
            let called = guarded(|| request.call()).unwrap_or(Err(ureq::Error::HostNotFound));
            let response = called.map_err(|e| self.explain(url, e, proxy.as_ref()))?;
            if commit.is_none() {
                commit = header(&response, "X-Repo-Commit");
                etag = header(&response, "X-Linked-Etag").or_else(|| header(&response, "ETag"));
                linked_size = header(&response, "X-Linked-Size").and_then(|size| size.parse().ok());
            }
            let status = response.status().as_u16();
            match status {
                200 | 206 => {
                    let etag = etag.as_deref().map(without_quotes);
                    return Ok(Answer { response, commit, etag, linked_size });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let location = header(&response, "Location");
                    let next = location.map(|location| redirected(&address, &location));
                    // A request over HTTPS must not be redirected to plain HTTP.
                    address = next
                        .filter(|next| next.starts_with("https://") || address.starts_with("http://"))
                        .ok_or_else(|| self.hub.not_a_hub("its redirect has no valid target"))?;
                }
                401 | 403 if self.hub.is_at(&address) => {
                    return Err(HubError::Denied { url: url.to_owned(), status }.into());
                }
                404 => return Err(HubError::NotFound { url: url.to_owned() }.into()),
                _ => return Err(self.refused(url, &response)),
            }
        }
        Err(self.hub.not_a_hub("it redirects too often").into())
    }

    /// The failure of an answer with another status.
    fn refused(&self, url: &str, response: &Response<Body>) -> Failure {
        let status = response.status().as_u16();
        let error = HubError::Status { url: url.to_owned(), status };
        if !matches!(status, 408 | 429 | 500 | 502 | 503 | 504) {
            return Failure::Lasting(error);
        }
        let seconds = header(response, "Retry-After").and_then(|text| text.trim().parse().ok());
        let reason = format!("the hub answered with HTTP {status}");
        Failure::Passing { error, reason, pause: seconds.map(Duration::from_secs) }
    }

    /// The failure of a request without an answer.
    fn explain(&self, url: &str, error: ureq::Error, proxy: Option<&Named>) -> Failure {
        let through = proxy.map_or(String::new(), |p| format!(" (through the proxy in {})", p.variable));
        let endpoint = self.hub.endpoint().to_owned();
        let text = error.to_string();
        match error {
            ureq::Error::Protocol(_) | ureq::Error::Timeout(_) => self.broken(url, error),
            ureq::Error::Io(ref e) if is_interruption(e.kind()) => self.broken(url, error),
            _ if text.contains("certificate") => {
                Failure::Lasting(HubError::Certificate { endpoint, reason: text })
            }
            _ => Failure::Lasting(HubError::Unreachable { endpoint, reason: text + &through }),
        }
    }

    /// The failure of a connection that was lost.
    pub fn broken(&self, url: &str, error: ureq::Error) -> Failure {
        let reason = match error {
            ureq::Error::Timeout(ureq::Timeout::Connect) => {
                format!("no connection within {} s", self.patience.as_secs_f64())
            }
            ureq::Error::Timeout(_) => {
                format!("nothing arrived for {} s", self.patience.as_secs_f64())
            }
            ureq::Error::Io(e) => e.to_string(),
            other => other.to_string(),
        };
        interrupted(url, reason)
    }
}

/// A time in the environment.
pub(super) fn seconds(variable: &'static str) -> Result<Option<Duration>, HubError> {
    let Some(value) = std::env::var(variable).ok().filter(|value| !value.trim().is_empty()) else {
        return Ok(None);
    };
    let seconds = value.trim().parse::<f64>().ok().filter(|s| (0.01..=86_400.0).contains(s));
    let seconds = seconds.ok_or(HubError::Seconds { variable, value })?;
    Ok(Some(Duration::from_secs_f64(seconds)))
}

/// A transfer that may be continued.
pub(super) fn interrupted(url: &str, reason: String) -> Failure {
    let error = HubError::Broken { url: url.to_owned(), attempts: 1, reason: reason.clone() };
    Failure::Passing { error, reason, pause: None }
}

fn is_interruption(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(kind, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe | TimedOut)
}

/// The certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else those of the system; if it has none, as small containers,
/// those of Mozilla that are part of the program.
fn root_certs() -> Result<RootCerts, HubError> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        let certs = found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned());
        return Ok(RootCerts::Specific(Arc::new(certs.collect())));
    }
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| std::env::var_os(name).is_some());
    match named {
        None => Ok(RootCerts::WebPki),
        Some(variable) => {
            let reason = found.errors.first().map_or("it has none".to_owned(), ToString::to_string);
            Err(HubError::Certificates { variable, reason })
        }
    }
}

fn proxy_of(address: &str) -> Result<Option<Named>, HubError> {
    let Some((scheme, host, port)) = origin_of(address) else { return Ok(None) };
    proxy_for(scheme == "https", &host, port, |name| std::env::var(name).ok())
}

/// Scheme, host and port of an address as they are used for the connection.
fn origin_of(address: &str) -> Option<(String, String, u16)> {
    let uri: Uri = address.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// Whether two addresses have the same scheme, host and port.
pub(super) fn same_origin(a: &str, b: &str) -> bool {
    origin_of(a).is_some_and(|origin| origin_of(b) == Some(origin))
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
fn origin(url: &str) -> &str {
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
    fn origins_are_those_of_the_connection() {
        for (other, same) in [
            ("https://HUB.example:443/x", true),
            ("https://hub.example/x?y#z", true),
            ("http://hub.example/x", false),
            ("https://hub.example:8443/x", false),
            ("https://hub.example.evil.example/x", false),
            ("https://hub.example@evil.example/x", false),
            ("https://hub.example\\@evil.example/x", false),
            ("not an address", false),
        ] {
            assert_eq!(same_origin("https://hub.example", other), same, "{other}");
        }
    }

    #[test]
    fn tags_are_names() {
        assert_eq!(without_quotes("W/\"ab\""), "ab");
        assert_eq!(without_quotes("\"ab\""), "ab");
    }
}
