//! What stands between a machine and a hub: a proxy, and the encryption of HTTPS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Listens on a port of its own until the tests end, and returns its address.
fn listen(serve: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// The lines of a request's head.
fn head(stream: &mut impl BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|&count| count > 0)?;
        if line.trim().is_empty() {
            return Some(lines);
        }
        lines.push(line.trim().to_owned());
    }
}

/// A proxy that passes connections on (CONNECT).
pub struct Proxy {
    /// Host and port.
    pub address: String,
    passed: Arc<AtomicUsize>,
    heads: Arc<Mutex<String>>,
}

impl Proxy {
    pub fn start() -> Self {
        let (passed, heads) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<String>>::default());
        let (count, seen) = (Arc::clone(&passed), Arc::clone(&heads));
        let address = listen(move |stream| {
            let mut client = BufReader::new(stream.try_clone().ok()?);
            let lines = head(&mut client)?;
            seen.lock().unwrap().push_str(&lines.join("\n"));
            let target = lines.first()?.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
            let mut hub = TcpStream::connect(target).ok()?;
            count.fetch_add(1, Ordering::Relaxed);
            (&stream).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok()?;
            let (mut back, mut from_hub) = (stream, hub.try_clone().ok()?);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from_hub, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
            std::io::copy(&mut client, &mut hub).ok()?;
            hub.shutdown(Shutdown::Write).ok()
        });
        Self { address, passed, heads }
    }

    /// Connections passed on so far.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    /// All that clients told it.
    pub fn heads(&self) -> String {
        self.heads.lock().unwrap().clone()
    }
}

/// A file of `tests/hub/certificates`: an authority that no system knows, and a certificate of it for 127.0.0.1.
pub fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hub/certificates").join(name)
}

/// An address with HTTPS in front of a hub with HTTP.
pub fn encrypted(hub: &str) -> String {
    let chain = vec![CertificateDer::from_pem_file(certificate("hub.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("hub.key")).unwrap();
    let config = Arc::new(
        ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap(),
    );
    let hub = hub.strip_prefix("http://").unwrap().to_owned();
    let address = listen(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).ok()?;
        let mut client = BufReader::new(StreamOwned::new(session, stream));
        let request = head(&mut client)?.join("\r\n") + "\r\n\r\n";
        let mut behind = TcpStream::connect(&hub).ok()?;
        behind.write_all(request.as_bytes()).ok()?;
        behind.shutdown(Shutdown::Write).ok()?;
        let mut answer = Vec::new();
        behind.read_to_end(&mut answer).ok()?;
        let line = answer.windows(2).position(|end| end == b"\r\n")?;
        let client = client.get_mut();
        client.write_all(&answer[..line]).ok()?;
        client.write_all(b"\r\nConnection: close").ok()?;
        client.write_all(&answer[line..]).ok()?;
        client.conn.send_close_notify();
        client.flush().ok()
    });
    format!("https://{address}")
}
