//! A hub on 127.0.0.1 that can be set to misbehave.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the hub does to requests for a file's content (those for its first byte are always answered).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// Closes the connection in the middle of this many transfers, then works.
    Cut(usize),
    /// Ends transfers early, but in good order.
    Short(usize),
    /// Sends the whole file for every requested range.
    IgnoresRange,
    /// Answers with this status.
    Status(u16),
    /// A web page with status 200 for every request.
    Page,
    /// Redirects without saying where to.
    NowhereRedirect,
    /// Redirects downloads to another address of this server, as the real hub does for large files.
    Redirects,
    /// Tells a name for the file that would lead out of the cache.
    EvilName,
    /// Redirects downloads to another host: the hub at this port.
    Elsewhere(u16),
    /// Redirects everything to the hub at this port, as a mirror that has moved.
    Moved(u16),
    /// Sends the whole file, also to those who ask for its first byte.
    NoRanges,
    /// Says no size with a part.
    NoTotal,
    /// Redirects in a circle.
    Circle,
    /// Reads requests and answers nothing.
    Silent,
    /// Stops in the middle of this many transfers and keeps the connection, then works.
    Stalls(usize),
    /// Answers this many requests with 429 and this `Retry-After`, then works.
    Busy(usize, u32),
}

pub struct Hub {
    pub address: String,
    state: Arc<State>,
}

struct State {
    files: Mutex<HashMap<String, Vec<u8>>>,
    etags: Mutex<HashMap<String, String>>,
    mood: Mutex<Mood>,
    commit: Mutex<String>,
    transfers: AtomicUsize,
    resumed: AtomicUsize,
    authorised: AtomicBool,
    stop: AtomicBool,
}

impl Hub {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            files: Mutex::default(),
            etags: Mutex::default(),
            mood: Mutex::new(Mood::Good),
            commit: Mutex::new("1111111111111111111111111111111111111111".to_owned()),
            transfers: AtomicUsize::new(0),
            resumed: AtomicUsize::new(0),
            authorised: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || {
                    if let Ok(stream) = stream {
                        let _ = shared.serve(stream);
                    }
                });
            }
        });
        Self { address, state }
    }

    /// Puts a file up; its etag is short, as the hub's is for small files.
    pub fn put(&self, name: &str, content: &[u8]) {
        self.state.files.lock().unwrap().insert(name.to_owned(), content.to_owned());
        let etag = format!(
            "{:08x}",
            content.iter().fold(content.len() as u32, |h, &b| h.rotate_left(5) ^ u32::from(b))
        );
        self.state.etags.lock().unwrap().insert(name.to_owned(), etag);
    }

    pub fn set_etag(&self, name: &str, etag: &str) {
        self.state.etags.lock().unwrap().insert(name.to_owned(), etag.to_owned());
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    pub fn set_commit(&self, commit: &str) {
        commit.clone_into(&mut self.state.commit.lock().unwrap());
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Transfers of content so far.
    pub fn transfers(&self) -> usize {
        self.state.transfers.load(Ordering::Relaxed)
    }

    /// Transfers that began in the middle.
    pub fn resumed(&self) -> usize {
        self.state.resumed.load(Ordering::Relaxed)
    }

    /// Whether any request carried the token `secret`.
    pub fn saw_token(&self) -> bool {
        self.state.authorised.load(Ordering::Relaxed)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        loop {
            let mut request = String::new();
            if lines.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let path = request.split(' ').nth(1).unwrap_or("").to_owned();
            let mut range = None;
            loop {
                let mut line = String::new();
                lines.read_line(&mut line)?;
                let line = line.trim();
                if line.is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(": ") {
                    if name.eq_ignore_ascii_case("range") {
                        range = Some(value.to_owned());
                    }
                    if name.eq_ignore_ascii_case("authorization") && value == "Bearer secret" {
                        self.authorised.store(true, Ordering::Relaxed);
                    }
                }
            }
            if !self.answer(&mut out, &path, range.as_deref())? {
                return Ok(());
            }
        }
    }

    /// Answers one request; `false` closes the connection.
    fn answer(&self, out: &mut TcpStream, path: &str, range: Option<&str>) -> std::io::Result<bool> {
        let mood = *self.mood.lock().unwrap();
        let name = path.rsplit('/').next().unwrap_or("").to_owned();
        let files = self.files.lock().unwrap().clone();
        let Some(content) =
            files.get(&name).filter(|_| path.starts_with("/lab/tiny/resolve/") || path.starts_with("/cdn/"))
        else {
            return respond(out, "404 Not Found", &[], b"no such file").map(|()| true);
        };
        match mood {
            Mood::Status(status) => {
                return respond(out, &format!("{status} Status"), &[], b"").map(|()| true);
            }
            Mood::Busy(left, seconds) if left > 0 => {
                self.set_mood(Mood::Busy(left - 1, seconds));
                let wait = [("Retry-After", seconds.to_string())];
                return respond(out, "429 Too Many Requests", &wait, b"").map(|()| true);
            }
            Mood::Circle => {
                let location = [("Location", path.to_owned())];
                return respond(out, "307 Temporary Redirect", &location, b"").map(|()| true);
            }
            Mood::Silent => return Ok(true),
            Mood::Moved(port) => {
                let location = [("Location", format!("http://127.0.0.1:{port}{path}"))];
                return respond(out, "308 Permanent Redirect", &location, b"").map(|()| true);
            }
            Mood::Page => {
                let kind = [("Content-Type", "text/html".to_owned())];
                return respond(out, "200 OK", &kind, b"<!DOCTYPE html><html>log in</html>").map(|()| true);
            }
            _ => {}
        }
        let mut headers = vec![
            ("X-Repo-Commit", self.commit.lock().unwrap().clone()),
            ("ETag", format!("\"{}\"", self.etags.lock().unwrap()[&name])),
        ];
        if mood == Mood::EvilName {
            headers[1].1 = "\"../../../evil\"".to_owned();
        }
        if mood == Mood::NowhereRedirect {
            return respond(out, "302 Found", &headers, b"").map(|()| true);
        }
        let elsewhere = match mood {
            Mood::Redirects => Some(out.local_addr()?.port()),
            Mood::Elsewhere(port) => Some(port),
            _ => None,
        };
        if let Some(port) = elsewhere.filter(|_| !path.starts_with("/cdn/")) {
            headers.push(("X-Linked-Etag", headers[1].1.clone()));
            headers.push(("Location", format!("http://127.0.0.1:{port}/cdn/{name}")));
            return respond(out, "302 Found", &headers, b"").map(|()| true);
        }
        let first = range.and_then(|r| r.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
        if mood == Mood::NoRanges {
            return respond(out, "200 OK", &headers, content).map(|()| true);
        }
        if range == Some("bytes=0-0") {
            let total = if mood == Mood::NoTotal { "*".to_owned() } else { content.len().to_string() };
            headers.push(("Content-Range", format!("bytes 0-0/{total}")));
            return respond(out, "206 Partial Content", &headers, &content[..1.min(content.len())])
                .map(|()| true);
        }
        self.transfers.fetch_add(1, Ordering::Relaxed);
        let start = if mood == Mood::IgnoresRange { 0 } else { first.unwrap_or(0) };
        if start > 0 {
            self.resumed.fetch_add(1, Ordering::Relaxed);
        }
        if start >= content.len() {
            return respond(out, "416 Range Not Satisfiable", &headers, b"").map(|()| true);
        }
        let body = &content[start..];
        let part = &body[..body.len() / 2];
        match mood {
            Mood::Cut(left) if left > 0 && body.len() > 100 => {
                self.set_mood(Mood::Cut(left - 1));
                let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n\r\n", body.len());
                out.write_all(head.as_bytes())?;
                out.write_all(part)?;
                return Ok(false);
            }
            Mood::Stalls(left) if left > 0 && body.len() > 100 => {
                self.set_mood(Mood::Stalls(left - 1));
                let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n\r\n", body.len());
                out.write_all(head.as_bytes())?;
                out.write_all(part)?;
            }
            Mood::Short(left) if left > 0 && body.len() > 100 => {
                self.set_mood(Mood::Short(left - 1));
                respond(out, "206 Partial Content", &headers, part)?;
            }
            _ => respond(out, if start > 0 { "206 Partial Content" } else { "200 OK" }, &headers, body)?,
        }
        Ok(true)
    }

    fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn respond(
    out: &mut TcpStream,
    status: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    out.write_all((head + "\r\n").as_bytes())?;
    out.write_all(body)?;
    out.flush()
}
