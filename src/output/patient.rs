//! Pipes that are set not to block, as some programs hand them down.

use std::io::{self, Read, Write};
use std::time::Duration;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Waits where a stream that does not block has no room, or no bytes yet, as a blocking one does.
#[derive(Debug)]
pub struct Patient<S>(pub S);

fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(pause),
            done => return done,
        }
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patiently(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        patiently(|| self.0.flush())
    }
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        patiently(|| self.0.read(bytes))
    }
}
