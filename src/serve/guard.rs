//! Refuses requests of foreign web pages, open in a browser on this machine.
//!
//! A page can make its own name point to this machine (DNS rebinding) and then read any answer; its requests
//! have that name as `Host`. It can also send forms to this server without reading the answer; these requests
//! have its address as `Origin`.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};

use super::refusal::Refusal;

/// The names by which clients may address the server.
#[derive(Debug, Clone)]
pub struct Names {
    /// Accepts any name: the server is on a network, where it may have unknown names.
    any: bool,
    /// Names in addition to the loopback names.
    others: Vec<String>,
}

impl Names {
    pub fn new(address: SocketAddr, others: &[String]) -> Self {
        let others: Vec<String> = others.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { any: !address.ip().is_loopback() && others.is_empty(), others }
    }

    /// Refuses requests for another server name, or from a page of another server that is not `granted` the use of this
    /// one.
    pub fn check(&self, version: Version, headers: &HeaderMap, granted: bool) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => text(host)?,
            // Older than this header; browsers do not use it.
            (None, _) if version == Version::HTTP_10 => "localhost".to_owned(),
            _ => return Err(Refusal::bad_request("exactly one Host header is needed")),
        };
        if !self.is_ours(name(&host)) {
            let message =
                "this server does not accept that host name; start it with --allow-host NAME to accept it";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message));
        }
        for origin in headers.get_all(header::ORIGIN).into_iter().filter(|_| !granted) {
            let origin = text(origin)?;
            let from = origin.split_once("://").map_or("", |(_, from)| from);
            if from != host && !self.others.iter().any(|other| other == name(from)) {
                let message = "pages of other origins are not allowed to use this server; start it with --allow-origin \
                               ORIGIN to allow one";
                return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", message));
            }
        }
        Ok(())
    }

    fn is_ours(&self, name: &str) -> bool {
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.any
            || name == "localhost"
            || address.is_ok_and(|ip| ip.is_loopback())
            || self.others.iter().any(|other| other == name)
    }
}

fn text(value: &HeaderValue) -> Result<String, Refusal> {
    let text = value.to_str().map_err(|_| Refusal::bad_request("a header has invalid characters"))?;
    Ok(text.to_ascii_lowercase())
}

/// The name in `name:port` or `[address]:port`.
fn name(authority: &str) -> &str {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority.get(..end).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(names: &Names, host: &str, origin: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        origin.map(|o| headers.insert(header::ORIGIN, o.parse().unwrap()));
        names.check(Version::HTTP_11, &headers, false).map_or_else(|r| r.status.as_u16(), |()| 200)
    }

    #[test]
    fn a_local_server_goes_by_local_names() {
        let local = Names::new(([127, 0, 0, 1], 80).into(), &[]);
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "127.8.0.1", "[::1]:99", "[::1]"] {
            assert_eq!(status(&local, host, None), 200, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "192.168.1.2",
            "",
            "[::2]",
            "0.0.0.0",
            "]",
            "127.0.0.1.nip.io",
        ] {
            assert_eq!(status(&local, host, None), 421, "{host}");
        }
        let named = Names::new(([127, 0, 0, 1], 80).into(), &["Scores.example".into()]);
        assert_eq!(status(&named, "scores.example:443", Some("https://scores.example")), 200);
        assert_eq!(status(&named, "127.0.0.1", Some("https://scores.example")), 200);
        assert_eq!(status(&named, "other.example", None), 421);
        let open = Names::new(([0, 0, 0, 0], 80).into(), &[]);
        assert_eq!(status(&open, "camera-7:8080", None), 200);
        assert_eq!(status(&open, "camera-7:8080", Some("http://evil.example")), 403);
    }

    #[test]
    fn a_page_asks_its_own_server() {
        let local = Names::new(([127, 0, 0, 1], 80).into(), &[]);
        assert_eq!(status(&local, "127.0.0.1:8080", Some("http://127.0.0.1:8080")), 200);
        for origin in ["null", "http://evil.example", "http://127.0.0.1:9090", "http://localhost:8080", ""] {
            assert_eq!(status(&local, "127.0.0.1:8080", Some(origin)), 403, "{origin}");
        }
    }

    #[test]
    fn a_host_is_needed_and_only_one() {
        let local = Names::new(([127, 0, 0, 1], 80).into(), &[]);
        let mut headers = HeaderMap::new();
        assert!(local.check(Version::HTTP_10, &headers, false).is_ok());
        assert_eq!(
            local.check(Version::HTTP_11, &headers, false).unwrap_err().status,
            StatusCode::BAD_REQUEST
        );
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(
            local.check(Version::HTTP_11, &headers, false).unwrap_err().status,
            StatusCode::BAD_REQUEST
        );
    }
}
