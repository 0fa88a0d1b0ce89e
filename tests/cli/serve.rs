//! `aaclip serve`, over real connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::serve_schema::Schemas;
use crate::snapshot::{Refusals, outline};
use crate::{Workplace, support};

mod clients;

/// A server of the tiny model; killed when dropped.
struct Serving {
    child: Child,
    address: String,
}

/// What a server answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Serving {
    fn start(here: &Workplace, arguments: &[&str]) -> Self {
        let model = support::tiny_model().to_str().unwrap();
        let mut command = here.command();
        command.args(["serve", "--port", "0", "--model", model]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("`{line}`, {said}")
        });
        Self { address: address.to_owned(), child }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes as they are, and reads until the server closes.
    fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(bytes);
        Answer::read(&mut stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.request("POST", path, &[], body)
    }

    fn request(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.send(&[self.head(method, path, headers, body.len()).as_bytes(), body].concat())
    }

    fn head(&self, method: &str, path: &str, headers: &[&str], length: usize) -> String {
        let host = match headers.iter().any(|h| h.starts_with("Host")) {
            true => String::new(),
            false => format!("Host: {}\r\n", self.address),
        };
        let more: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let length = format!("Content-Length: {length}\r\nConnection: close\r\n");
        format!("{method} {path} HTTP/1.1\r\n{host}{more}{length}\r\n")
    }

    fn form(&self, query: &str, parts: &[Part<'_>]) -> Answer {
        let body = form(parts);
        let kind = "Content-Type: multipart/form-data; boundary=edge";
        self.request("POST", &format!("/v1/detect{query}"), &[kind], &body)
    }

    /// Starts to send a picture and does not finish.
    fn half(&self, picture: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let head = self.head("POST", "/v1/detect", &[], picture.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&picture[..picture.len() / 2]).unwrap();
        stream
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Waits until a metric has a value.
    fn wait_for(&self, name: &str, value: f64) {
        wait(name, || self.metric(name) == value);
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// All that comes until the connection ends; it may be nothing.
    fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |i| i + 4);
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        Self { status, body: bytes[end..].to_vec(), head }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|l| l.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.head);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    #[track_caller]
    fn record(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    #[track_caller]
    fn assert_refused(&self, what: &str, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{what}: {} {}", self.head, String::from_utf8_lossy(&self.body));
        assert_eq!(self.json()["error"]["kind"], kind, "{what}: {}", self.text());
    }
}

/// Name, file name, content.
type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file_name, content) in parts {
        let file_name = file_name.map_or(String::new(), |f| format!("; filename=\"{f}\""));
        body.extend(
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n").bytes(),
        );
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    body
}

/// A record without the fields that differ between a file and a body.
fn comparable(mut record: Value) -> Value {
    for key in ["path", "name", "modified", "timing_ms", "files", "overlay", "heatmap", "mask", "map", "raw"]
    {
        record.as_object_mut().unwrap().remove(key);
    }
    record
}

fn decoded(record: &Value, key: &str) -> Vec<u8> {
    let media = if key == "raw" { "application/octet-stream" } else { "image/png" };
    let address = record[key].as_str().unwrap();
    BASE64.decode(address.strip_prefix(&format!("data:{media};base64,")).unwrap()).unwrap()
}

#[test]
fn records_equal_those_of_detect() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--threshold", "0.55", "--threads", "1"]);
    for name in ["a.png", "b.jpg", "c.webp", "d.bmp", "e.tif", "f.gif"] {
        let picture = std::fs::read(here.picture(name, 70, 50)).unwrap();
        let expected =
            comparable(here.detect(&[name, "--threshold", "0.55", "--format", "json"]).ok().json());
        let answer = serving.post(&format!("/v1/detect?name={name}"), &picture);
        let record = answer.record();
        assert_eq!((&record["name"], &record["path"]), (&name.into(), &name.into()));
        assert_eq!(comparable(record), expected);
        assert_eq!(answer.header("x-aaclip-score").unwrap(), expected["score"].to_string());
        let record = serving.form("", &[("image", Some(name), &picture)]).record();
        assert_eq!(record["name"], name);
        assert_eq!(comparable(record), expected);
    }
}

#[test]
fn parameters_in_query_and_form() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &[]);
    let picture = std::fs::read(here.picture("a.png", 70, 50)).unwrap();
    let all = [
        "a.png",
        "--class",
        "nut",
        "--threshold",
        "0.5",
        "--save",
        "heatmap,overlay,mask,map,raw",
        "--out",
        "o",
    ];
    let expected = here.detect(&[&all[..], &["--format", "json"]].concat()).ok().json();

    let query = "?class=nut&threshold=0.5&heatmap=true&overlay=true&mask=true&map=true&raw=true";
    let asked = serving.post(&format!("/v1/detect{query}"), &picture).record();
    let parts: [Part<'_>; 8] = [
        ("class", None, b"nut"),
        ("threshold", None, b"0.5"),
        ("heatmap", None, b"true"),
        ("overlay", None, b"true"),
        ("image", Some("x.png"), &picture),
        ("mask", None, b"true"),
        ("map", None, b"true"),
        ("raw", None, b"true"),
    ];
    for record in [asked, serving.form("", &parts).record()] {
        for (key, path) in expected["files"].as_object().unwrap() {
            assert_eq!(
                decoded(&record, key),
                std::fs::read(here.path(path.as_str().unwrap())).unwrap(),
                "{key}"
            );
        }
        assert_eq!(comparable(record), comparable(expected.clone()));
    }
    // One picture as the answer.
    for (query, key) in [("", "overlay"), ("?heatmap=true", "heatmap"), ("?mask=true", "mask")] {
        let class = if query.is_empty() { "?class=nut&threshold=0.5" } else { "&class=nut&threshold=0.5" };
        let path = format!("/v1/detect{query}{class}");
        let answer = serving.request("POST", &path, &["Accept: image/png"], &picture);
        assert_eq!(answer.header("content-type"), Some("image/png"), "{}", answer.head);
        let file = here.path(expected["files"][key].as_str().unwrap());
        assert_eq!(answer.body, std::fs::read(file).unwrap(), "{key}");
        assert_eq!(answer.header("x-aaclip-score").unwrap(), expected["score"].to_string());
        assert_eq!(answer.header("x-aaclip-anomalous").unwrap(), expected["anomalous"].to_string());
    }
    // The server's own class and no threshold are back in the next request.
    let plain = serving.post("/v1/detect", &picture).record();
    assert_eq!(
        (&plain["class"], &plain["anomalous"], &plain["name"]),
        (&"object".into(), &Value::Null, &"upload".into())
    );
}

#[test]
fn refusals() {
    let here = Workplace::new();
    let arguments = ["--max-body", "1", "--max-megapixels", "1", "--verbose"];
    let mut serving = Serving::start(&here, &arguments);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    image::GrayImage::new(1200, 900).save(here.path("large.png")).unwrap();
    let large = std::fs::read(here.path("large.png")).unwrap();
    let long = vec![b'x'; 1_000_001];
    for (what, body, status, kind) in [
        ("empty", &b""[..], 400, "empty"),
        ("text", b"hello", 415, "not_a_picture"),
        ("cut off", &picture[..picture.len() / 2], 422, "damaged"),
        ("pixels", &large, 413, "too_large"),
        ("bytes", &long, 413, "body_too_large"),
        ("largest", &png_head(0x7FFF_FFFF), 413, "too_large"),
    ] {
        serving.post("/v1/detect", body).assert_refused(what, status, kind);
        let answer = serving.form("", &[("image", Some("f"), body)]);
        answer.assert_refused(&format!("{what} in a form"), status, kind);
    }
    assert!(serving.post("/v1/detect", b"").text().contains("the body is empty"));
    for (method, path, status, kind) in [
        ("POST", "/v1/detect?class=%FF%FE", 400, "bad_request"),
        ("POST", "/v1/detect?overaly=true", 400, "bad_request"),
        ("POST", "/v1/detect?overlay=yes", 400, "bad_request"),
        ("POST", "/v1/detect?threshold=2", 400, "bad_request"),
        ("POST", "/v1/detect?class=mvtec:teapot", 400, "class"),
        ("GET", "/v1/detect", 405, "method_not_allowed"),
        ("DELETE", "/", 405, "method_not_allowed"),
        ("POST", "/metrics", 405, "method_not_allowed"),
        ("GET", "/../../etc/passwd", 404, "not_found"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("POST", "/upload", 404, "not_found"),
    ] {
        let answer = serving.request(method, path, &[], &picture);
        answer.assert_refused(&format!("{method} {path}"), status, kind);
        assert_eq!(answer.header("allow").is_some(), status == 405, "{}", answer.head);
    }
    for (headers, status, kind) in [
        (["Host: evil.example"], 421, "misdirected"),
        (["Origin: http://evil.example"], 403, "forbidden"),
        (["Origin: null"], 403, "forbidden"),
        (["Content-Type: multipart/form-data"], 400, "bad_request"),
        (["Content-Type: multipart/form-data; boundary=other"], 400, "bad_request"),
    ] {
        let answer = serving.request("POST", "/v1/detect", &headers, &picture);
        answer.assert_refused(headers[0], status, kind);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let image: Part<'_> = ("image", Some("x"), &picture);
    for (what, parts) in [
        ("no image", &[("class", None, &b"nut"[..])][..]),
        ("two images", &[image, image]),
        ("unknown", &[image, ("colour", None, b"red")]),
        ("twice", &[image, ("class", None, b"a"), ("class", None, b"b")]),
        ("no text", &[image, ("class", None, b"\xff\xfe")]),
        ("long text", &[image, ("class", None, &long[..5000])]),
    ] {
        serving.form("", parts).assert_refused(what, 400, "bad_request");
    }
    // A wrong name is refused before its content.
    let misnamed = serving.form("", &[("file", Some("a.png"), &picture.repeat(100))]);
    misnamed.assert_refused("misnamed", 400, "bad_request");
    for part in ["unknown parameter `file`", "the part `image`", "class, name, threshold, heatmap"] {
        assert!(misnamed.text().contains(part), "{}", misnamed.text());
    }
    let both = serving.form("?class=a", &[image, ("class", None, b"a")]);
    both.assert_refused("query and form", 400, "bad_request");
    // After all that it works as ever, and a page of its own may ask.
    let origin = format!("Origin: http://{}", serving.address);
    serving.request("POST", "/v1/detect", &[&origin], &picture).record();

    assert_eq!(serving.metric("aaclip_http_requests_total{route=\"/v1/detect\",status=\"200\"}"), 1.0);
    assert_eq!(serving.metric("aaclip_http_requests_total{route=\"other\",status=\"404\"}"), 4.0);
    // 6 bodies in two ways, but those over the limit and the empty ones never reached a worker; and the unknown class.
    assert_eq!(serving.metric("aaclip_failed_total"), 9.0);
    let log = stop(&mut serving);
    assert!(log.contains("POST /v1/detect 415 "), "{log}");
    assert!(!log.contains("passwd"), "{log}");
}

/// How a square grey PNG of this side begins.
fn png_head(side: u32) -> Vec<u8> {
    let chunk = [&b"IHDR"[..], &side.to_be_bytes(), &side.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let crc = !chunk.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
    });
    [&b"\x89PNG\r\n\x1a\n\0\0\0\x0d"[..], &chunk, &crc.to_be_bytes(), b"\0\0\0\0IDAT\x35\xaf\x06\x1e"]
        .concat()
}

#[test]
fn arguments_that_cannot_be() {
    let here = Workplace::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = here.run(&["serve", "--port", &port]);
    assert!(
        ran.code == 2 && ran.stderr.contains("another port with --port N, or --port 0"),
        "{}",
        ran.stderr
    );
    let mut refused = Refusals::default();
    for arguments in [
        ["serve", "--workers", "0"],
        ["serve", "--workers", "257"],
        ["serve", "--max-body", "1.5"],
        ["serve", "--max-connections", "0"],
        ["serve", "--host", ""],
        ["serve", "--allow-host", "http://scores.example"],
        ["serve", "--allow-host", "scores.example/x"],
        ["serve", "--allow-origin", "scores.example"],
        ["worker", "--max-line", "1.5"],
    ] {
        refused.lines(&arguments, &here.run(&arguments));
    }
    insta::assert_snapshot!(refused.0);
}

#[test]
fn a_name_may_come_with_its_port() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--allow-host", "scores.example:8080"]);
    assert_eq!(serving.request("GET", "/healthz", &["Host: scores.example"], b"").status, 200);
    assert_eq!(serving.request("GET", "/healthz", &["Host: other.example"], b"").status, 421);
}

/// Kills a server and returns its output.
fn stop(serving: &mut Serving) -> String {
    serving.child.kill().unwrap();
    said(serving.child.stderr.take().unwrap())
}

fn said(mut stderr: ChildStderr) -> String {
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn odd_http() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--max-body", "1"]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let host = format!("Host: {}\r\nConnection: close\r\n", serving.address);
    let post = |rest: &str, body: &[u8]| {
        let head = format!("POST /v1/detect HTTP/1.1\r\n{host}{rest}\r\n");
        serving.send(&[head.as_bytes(), body].concat())
    };
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunked = "Transfer-Encoding: chunked\r\n";

    let whole: Vec<u8> = picture.chunks(100).flat_map(chunk).chain(*b"0\r\n\r\n").collect();
    post(chunked, &whole).record();
    let long = [
        vec![b'x'; 65_536].chunks(65_536).flat_map(chunk).collect::<Vec<_>>().repeat(20),
        b"0\r\n\r\n".to_vec(),
    ];
    post(chunked, &long.concat()).assert_refused("long chunks", 413, "body_too_large");
    assert_eq!(post(chunked, b"zz\r\nxx\r\n").status, 400);
    // A client that asks for leave is refused before it sends, or told to continue.
    let expect = "Expect: 100-continue\r\n";
    let refused = post(&format!("{expect}Content-Length: 5000000\r\n"), b"");
    refused.assert_refused("expect", 413, "body_too_large");
    let mut stream = serving.connect();
    let head = format!("POST /v1/detect HTTP/1.1\r\n{host}{expect}Content-Length: {}\r\n\r\n", picture.len());
    stream.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&picture).unwrap();
    Answer::read(&mut stream).record();

    for (what, bytes, status) in [
        ("no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        (
            "two hosts",
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: x\r\nConnection: close\r\n\r\n".into(),
            400,
        ),
        ("1.0", "GET /healthz HTTP/1.0\r\n\r\n".into(), 200),
        ("HEAD", format!("HEAD / HTTP/1.1\r\n{host}\r\n"), 200),
        ("no HTTP", "\u{16}\u{3}\u{1} what\r\n\r\n".into(), 400),
        ("a long address", format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(70_000)), 431),
        ("a long header", format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(70_000)), 431),
        ("many headers", format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: y\r\n".repeat(300)), 431),
        (
            "two lengths",
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400,
        ),
    ] {
        assert_eq!(serving.send(bytes.as_bytes()).status, status, "{what}");
    }
    // A body that ends early, in both ways to send it.
    for kind in ["X: y", "Content-Type: multipart/form-data; boundary=edge"] {
        let mut stream = serving.connect();
        let head = serving.head("POST", "/v1/detect", &[kind], 1000);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"--edge\r\nContent").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!([0, 400].contains(&Answer::read(&mut stream).status));
    }
    serving.wait_for("aaclip_http_requests_in_flight", 1.0);
    // Two requests on one connection.
    let keep = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", serving.address);
    let both = serving.send(format!("{keep}GET /nothing HTTP/1.1\r\n{host}\r\n").as_bytes());
    assert!(both.status == 200 && both.text().contains("HTTP/1.1 404 Not Found"), "{both:?}");
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--workers", "1", "--queue", "1"]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let mut slow = [serving.half(&picture), serving.half(&picture)];
    // The two places are taken as soon as the heads were read; the one who asks for metrics is in flight as well.
    serving.wait_for("aaclip_http_requests_in_flight", 3.0);
    let refused = serving.post("/v1/detect", &picture);
    refused.assert_refused("full", 503, "busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(serving.get("/healthz").status, 200);
    for stream in &mut slow {
        stream.write_all(&picture[picture.len() / 2..]).unwrap();
        Answer::read(stream).record();
    }
    serving.post("/v1/detect", &picture).record();
    // A client that goes away gives its place back.
    drop([serving.half(&picture), serving.half(&picture)]);
    serving.wait_for("aaclip_http_requests_in_flight", 1.0);
    serving.post("/v1/detect", &picture).record();
    assert_eq!(serving.metric("aaclip_rejected_total"), 1.0);
    assert_eq!(serving.metric("aaclip_score_count"), 4.0);
}

#[test]
fn slow_clients_lose_their_connection() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--timeout", "0.2", "--max-connections", "3"]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let mut body = serving.half(&picture);
    let mut head = serving.connect();
    head.write_all(b"POST /v1/detect HT").unwrap();
    let mut idle = serving.connect();
    // There is room for three connections, so this one waits for one of them to end.
    serving.post("/v1/detect", &picture).record();
    let answer = Answer::read(&mut body);
    answer.assert_refused("a slow body", 408, "timeout");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(Answer::read(&mut head).status, 0);
    assert_eq!(Answer::read(&mut idle).status, 0);
    // An answer that nobody takes: the server gives up writing it.
    let large = std::fs::read(here.picture("large.png", 2000, 1500)).unwrap();
    let mut stream = serving.connect();
    let path = "/v1/detect?raw=true&overlay=true&heatmap=true";
    stream.write_all(serving.head("POST", path, &[], large.len()).as_bytes()).unwrap();
    stream.write_all(&large).unwrap();
    serving.wait_for("aaclip_score_count", 2.0);
    serving.wait_for("aaclip_http_connections", 1.0);
}

#[cfg(unix)]
#[test]
fn a_signal_lets_requests_in_flight_finish() {
    let here = Workplace::new();
    let mut serving = Serving::start(&here, &[]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let _idle = serving.connect();
    let mut slow = serving.half(&picture);
    serving.wait_for("aaclip_http_requests_in_flight", 2.0);
    terminate(&serving);
    // Nobody new is let in.
    wait("a closed port", || TcpStream::connect(&serving.address).is_err());
    assert!(serving.child.try_wait().unwrap().is_none());
    slow.write_all(&picture[picture.len() / 2..]).unwrap();
    Answer::read(&mut slow).record();
    let status = serving.child.wait().unwrap();
    let said = said(serving.child.stderr.take().unwrap());
    assert_eq!((status.code(), said.lines().count()), (Some(0), 1), "{said}");
    assert!(said.contains("finishing the requests in flight"), "{said}");

    // A second signal does not wait.
    let mut serving = Serving::start(&here, &["--quiet"]);
    let _slow = serving.half(&picture);
    serving.wait_for("aaclip_http_requests_in_flight", 2.0);
    terminate(&serving);
    wait("a closed port", || TcpStream::connect(&serving.address).is_err());
    terminate(&serving);
    assert_eq!(serving.child.wait().unwrap().code(), Some(130));
}

#[cfg(unix)]
fn terminate(serving: &Serving) {
    let id = serving.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
}

#[test]
fn names_are_labels_and_touch_no_file() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &[]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let before = files(here.path("").as_path());
    for name in ["../../etc/passwd", "/etc/passwd", "a.png", "..\\..\\x", "CON", "nul\0byte", "\u{202e}gnp"] {
        let encoded: String = name.bytes().map(|b| format!("%{b:02x}")).collect();
        let query = format!("/v1/detect?overlay=true&raw=true&name={encoded}&class={encoded}");
        let record = serving.post(&query, &picture).record();
        assert_eq!((&record["name"], &record["class"]), (&name.into(), &name.into()));
        if !name.contains(['\\', '\0']) {
            let parts = [("image", Some(name), &picture[..]), ("class", None, name.as_bytes())];
            assert_eq!(serving.form("", &parts).record()["path"], name);
        }
        // An error has the name, not the content at that path.
        let refused = serving.post(&format!("/v1/detect?name={encoded}"), b"no picture");
        refused.assert_refused(name, 415, "not_a_picture");
    }
    assert_eq!(files(here.path("").as_path()), before);

    // One class only, where the operator wants that.
    let fixed = Serving::start(&here, &["--fixed-class", "--class", "nut"]);
    fixed.post("/v1/detect?class=bolt", &picture).assert_refused("fixed", 400, "class");
    assert_eq!(fixed.post("/v1/detect", &picture).record()["class"], "nut");
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let found = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    found
        .filter(|e| e.file_type().is_file())
        .map(|e| (e.path().to_owned(), std::fs::read(e.path()).unwrap()))
        .collect()
}

#[test]
fn what_cannot_start_says_why() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &[]);
    let model = support::tiny_model().to_str().unwrap();
    let port = serving.address.rsplit(':').next().unwrap();
    let ran = here.run(&["serve", "--model", model, "--port", port]);
    assert!(
        ran.code == 2 && ran.stderr.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{}",
        ran.stderr
    );
    // The rest of this message is the system's.
    let ran = here.run(&["serve", "--port", "0", "--model", model, "--host", "256.1.1.1"]);
    assert!(ran.code == 2 && ran.stderr.contains("cannot find the address 256.1.1.1"), "{}", ran.stderr);
    let mut refused = Refusals::default();
    for arguments in [
        &["--model", "no-such-model"][..],
        &["--class", "mvtec:teapot"],
        &["--timeout", "0"],
        &["--threshold", "gone.json"],
    ] {
        let base: &[&str] = if arguments[0] == "--model" { &[] } else { &["--model", model] };
        refused.lines(arguments, &here.run(&[&["serve", "--port", "0"], base, arguments].concat()));
    }
    insta::assert_snapshot!(refused.0);
    let mut open = Serving::start(&here, &["--host", "0.0.0.0"]);
    assert!(stop(&mut open).contains("no authentication"));
    assert_eq!(stop(&mut Serving::start(&here, &[])), "");
}

#[test]
fn answers_are_what_the_description_says() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--workers", "1", "--queue", "0"]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    let described = serving.get("/openapi.json").record();
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = Schemas(&described);
    let slow = serving.half(&picture);
    serving.wait_for("aaclip_http_requests_in_flight", 2.0);
    let busy = serving.post("/v1/detect", &picture);
    let full = serving.get("/readyz");
    assert_eq!(full.status, 503);
    drop(slow);
    serving.wait_for("aaclip_http_requests_in_flight", 1.0);
    let everything = "/v1/detect?overlay=true&heatmap=true&mask=true&map=true&raw=true&threshold=0.1";
    for (route, method, answer) in [
        ("/v1/detect", "post", serving.post("/v1/detect", &picture)),
        ("/v1/detect", "post", serving.post(everything, &picture)),
        ("/v1/detect", "post", serving.request("POST", "/v1/detect", &["Accept: image/png"], &picture)),
        ("/v1/detect", "post", serving.post("/v1/detect", b"")),
        ("/v1/detect", "post", serving.post("/v1/detect", b"text")),
        ("/v1/detect", "post", serving.post("/v1/detect", &picture[..99])),
        ("/v1/detect", "post", serving.post("/v1/detect?class=mvtec:x", &picture)),
        ("/v1/detect", "post", serving.request("POST", "/v1/detect", &["Host: x"], &picture)),
        ("/v1/detect", "post", busy),
        ("/healthz", "get", serving.get("/healthz")),
        ("/readyz", "get", full),
        ("/readyz", "get", serving.get("/readyz")),
        ("/metrics", "get", serving.get("/metrics")),
        ("/openapi.json", "get", serving.get("/openapi.json")),
        ("/", "get", serving.get("/")),
        ("/", "get", serving.request("GET", "/", &["Origin: http://x"], b"")),
    ] {
        let response = schemas.response(route, method, answer.status);
        let kind = answer.header("content-type").unwrap();
        let media = kind.split(';').next().unwrap();
        let content = response["content"].get(media).unwrap_or_else(|| panic!("{route}: no {media}"));
        if media == "application/json" {
            let faults = schemas.faults(&content["schema"], &answer.json());
            assert!(faults.is_empty(), "{route} {}: {faults:?}", answer.status);
        }
        for header in response["headers"].as_object().into_iter().flatten() {
            let needed = header.0 != "x-aaclip-anomalous";
            assert!(answer.header(header.0).is_some() || !needed, "{route}: {}", header.0);
        }
    }
    let most = described["components"]["schemas"]["Text"]["maxLength"].as_u64().unwrap() as usize;
    for (length, status) in [(most, 200), (most + 1, 400)] {
        let path = format!("/v1/detect?name={}", "%c3%bc".repeat(length));
        assert_eq!(serving.post(&path, &picture).status, status);
        let file_name = "ü".repeat(length);
        assert_eq!(serving.form("", &[("image", Some(&file_name), &picture)]).status, status);
    }
    // Every described route exists, and takes no other method than those described.
    for (route, methods) in described["paths"].as_object().unwrap() {
        let allowed = serving.request("PATCH", route, &[], b"").header("allow").unwrap().to_lowercase();
        let methods: Vec<&str> = methods.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(allowed.replace("get,head", "get"), methods.join(","), "{route}");
    }
    // The check itself: a wrong answer is a fault.
    let mut record = serving.post("/v1/detect", &picture).record();
    record["score"] = "high".into();
    record["colour"] = "red".into();
    record.as_object_mut().unwrap().remove("size");
    let schema = serde_json::json!({ "$ref": "#/components/schemas/Record" });
    assert_eq!(schemas.faults(&schema, &record).len(), 3);
}

#[test]
fn metrics_are_prometheus_text() {
    let here = Workplace::new();
    let serving = Serving::start(&here, &["--threshold", "0"]);
    let picture = std::fs::read(here.picture("a.png", 40, 30)).unwrap();
    for _ in 0..3 {
        serving.post("/v1/detect?overlay=true", &picture).record();
    }
    serving.post("/v1/detect?threshold=1", &picture).record();
    let answer = serving.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let mut typed = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed = rest.split(' ').next().unwrap();
        }
        if !line.starts_with('#') {
            assert!(line.starts_with(typed), "{line} under {typed}");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok_and(|v| v >= 0.0), "{line}");
        }
    }
    assert_eq!(serving.metric("aaclip_anomalous_total"), 3.0);
    assert_eq!(serving.metric("aaclip_score_count"), 4.0);
    assert_eq!(serving.metric("aaclip_score_bucket{le=\"1\"}"), 4.0);
    assert_eq!(serving.metric("aaclip_score_bucket{le=\"0.01\"}"), 0.0);
    assert_eq!(text.matches("aaclip_score_bucket{").count(), 101);
    for stage in ["queue", "decode", "preprocess", "model", "map", "encode"] {
        assert_eq!(serving.metric(&format!("aaclip_stage_seconds_count{{stage=\"{stage}\"}}")), 4.0);
    }
    assert_eq!(serving.metric("aaclip_queue_length"), 0.0);
    assert_eq!(serving.metric("aaclip_workers_busy"), 0.0);
    if cfg!(target_os = "linux") {
        assert!(serving.metric("process_resident_memory_bytes") > 1e6);
    }
}

#[test]
fn the_page_runs_its_own_script_and_nothing_else() {
    use sha2::{Digest, Sha256};
    let here = Workplace::new();
    let serving = Serving::start(&here, &[]);
    let answer = serving.get("/");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    let html = answer.text();
    for tag in ["style", "script"] {
        let inline =
            html.split(&format!("<{tag}>")).nth(1).unwrap().split(&format!("</{tag}>")).next().unwrap();
        assert!(inline.len() > 1000 && html.matches(&format!("<{tag}")).count() == 1);
        let hash = BASE64.encode(Sha256::digest(inline));
        assert!(policy.contains(&format!("{tag}-src 'sha256-{hash}'")), "{tag}: {policy}");
    }
    {
        let _filters = here.filters();
        insta::assert_snapshot!("page", outline(&html));
    }
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(
        !html.contains("http://")
            || html.matches("http://").count() == html.matches("http://www.w3.org/").count()
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}
