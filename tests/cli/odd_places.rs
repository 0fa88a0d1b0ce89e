//! Processes as odd parents start them: streams that do not block, no threads, no home, no user.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{Ran, Workplace, support};

/// Two ends of a stream; the first does not block and has no room left. Also the number of bytes in it.
fn full_stream() -> (UnixStream, UnixStream, usize) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(count) = ours.write(&[b'#'; 1 << 12]) {
        filled += count;
    }
    (ours, theirs, filled)
}

/// Takes all that comes, after a pause in which a program that does not wait has given up.
fn taken_late(mut stream: UnixStream, filled: usize) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes.split_off(filled)).unwrap()
    })
}

#[test]
fn streams_that_do_not_block_are_waited_for() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let model = support::tiny_model().to_str().unwrap();
    for arguments in [
        &["detect", "a.png", "gone.png", "--format", "jsonl", "--model", model][..],
        &["worker", "--model", model],
        &["methods"],
        &["detect", "--help"],
    ] {
        let ((out, out_end, out_filled), (err, err_end, err_filled)) = (full_stream(), full_stream());
        let (mut requests, input) = UnixStream::pair().unwrap();
        input.set_nonblocking(true).unwrap();
        let (printed, said) = (taken_late(out_end, out_filled), taken_late(err_end, err_filled));
        let mut command = here.command();
        command.args(arguments).stdin(OwnedFd::from(input));
        let mut child = command.stdout(OwnedFd::from(out)).stderr(OwnedFd::from(err)).spawn().unwrap();
        // The command has ends of the streams, too.
        drop(command);
        std::thread::sleep(Duration::from_millis(100));
        requests.write_all(b"a.png\ngone.png").unwrap();
        drop(requests);
        let code = child.wait().unwrap().code();
        let (printed, said) = (printed.join().unwrap(), said.join().unwrap());
        let expected = here.command().args(arguments).stdin(Stdio::piped()).output().unwrap().stdout.len();
        match arguments[0] {
            "worker" => assert_eq!((code, printed.lines().count(), said.as_str()), (Some(0), 2, "")),
            "detect" if arguments.len() > 2 => {
                assert_eq!((code, printed.lines().count()), (Some(2), 2), "{said}");
                assert!(said.contains("gone.png"), "{said}");
            }
            _ => assert_eq!((code, printed.len()), (Some(0), expected), "{said}"),
        }
    }
}

#[test]
fn messages_that_cannot_be_written_end_nothing() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let closed = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        Stdio::from(OwnedFd::from(ours))
    };
    let full = || match std::fs::OpenOptions::new().write(true).open("/dev/full") {
        Ok(file) => Stdio::from(file),
        Err(_) => closed(),
    };
    for stderr in [closed(), full()] {
        let mut command = here.command();
        command.args(["detect", "gone.png", "a.png", "--verbose", "--format", "jsonl", "--model"]);
        command.arg(support::tiny_model());
        let ran = Ran::from(command.stdout(Stdio::piped()).stderr(stderr).output().unwrap());
        assert_eq!((ran.code, ran.json_lines().len()), (2, 2));
    }
    // The help is an output.
    let mut command = here.command();
    let ran = Ran::from(command.arg("--help").stdout(full()).output().unwrap());
    if Path::new("/dev/full").exists() {
        assert!(
            ran.code == 2 && ran.stderr.contains("cannot write to stdout"),
            "{} {}",
            ran.code,
            ran.stderr
        );
    }
}

/// The program as a user without an account, who may have `threads` threads. `None` where this cannot be done. Every
/// call has a user of its own, because the limit is for all processes of a user.
fn as_nobody(here: &Workplace, threads: u32) -> Option<Command> {
    static USERS: AtomicU32 = AtomicU32::new(54_321);
    let user = USERS.fetch_add(1, Ordering::Relaxed);
    std::fs::set_permissions(here.path("."), PermissionsExt::from_mode(0o755)).unwrap();
    let program = env!("CARGO_BIN_EXE_aaclip");
    let limited = |arguments: &[&str]| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nproc={threads}")).args([
            "setpriv",
            &format!("--reuid={user}"),
            "--regid=54321",
        ]);
        command.args(["--clear-groups", "env", "-i", program]).args(arguments).current_dir(here.path("."));
        command
    };
    let works = limited(&["--version"]).output().is_ok_and(|output| output.status.success());
    if !works {
        support::skip("the program cannot be run as another user here");
    }
    works.then(|| limited(&[]))
}

#[test]
fn fewer_threads_are_said_and_none_is_an_error() {
    let here = Workplace::new();
    for i in 0..6 {
        here.picture(&format!("in/{i}.png"), 40, 30);
    }
    let whole = here.run(&["detect", "in", "--format", "jsonl", "--model", "builtin"]).ok();
    let scores =
        |ran: &Ran| -> Vec<_> { ran.json_lines().iter().map(|line| line["score"].clone()).collect() };
    let detect = ["detect", "in", "--format", "jsonl", "--model", "builtin", "--threads", "8"];
    // Each of these leaves other parts of the program without their threads.
    for threads in [2, 3, 4, 5, 6, 9, 12, 17, 40] {
        let Some(mut command) = as_nobody(&here, threads) else { return };
        let ran = Ran::from(command.args(detect).output().unwrap()).ok();
        assert_eq!(scores(&ran), scores(&whole), "{threads}");
        let few = ran.stderr.contains(" of 8 threads: ");
        assert_eq!(
            (few, ran.stderr.lines().count()),
            (threads < 16, usize::from(threads < 16)),
            "{}",
            ran.stderr
        );
    }
    for arguments in [&detect[..], &["serve", "--port", "0"], &["worker"], &["methods"]] {
        let Some(mut command) = as_nobody(&here, 1) else { return };
        let ran = Ran::from(command.args(arguments).stdin(Stdio::null()).output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains("no thread to compute with"), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    // The pool has its thread; nothing is left for the server and the watch.
    for (arguments, expected) in [
        (&["serve", "--port", "0", "--threads", "1"][..], "cannot start threads for"),
        (&["detect", "in", "--watch", "--threads", "1"], "cannot watch in"),
    ] {
        let Some(mut command) = as_nobody(&here, 2) else { return };
        let ran = Ran::from(command.args(arguments).output().unwrap());
        assert!(ran.code == 2 && ran.stderr.contains(expected), "{}: {}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

#[test]
fn a_server_with_few_threads_scores_fewer_at_a_time() {
    let here = Workplace::new();
    let Some(mut command) = as_nobody(&here, 5) else { return };
    command.args(["serve", "--port", "0", "--threads", "1", "--workers", "8", "--model", "builtin"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(
        line.starts_with("listening on") && said.contains("instead of 8 are scored at a time"),
        "{line}{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_home_is_needed_only_for_what_is_kept_there() {
    let here = Workplace::new();
    here.picture("washer.png", 40, 30);
    let user = |arguments: &[&str]| {
        let mut command = as_nobody(&here, 100)?;
        Some(Ran::from(command.args(arguments).stdin(Stdio::null()).output().unwrap()))
    };
    for arguments in [
        &["detect", "washer.png"][..],
        &["detect", "washer.png", "--model", "builtin", "--class", "metal nut"],
        &["models", "list"],
        &["doctor"],
        &["config", "detect"],
        &["methods"],
    ] {
        let Some(ran) = user(arguments) else { return };
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("HOME"), "{arguments:?}: {}", ran.stderr);
    }
    for arguments in [
        &["models", "pull", "ViT-B-32"][..],
        &["models", "path", "ViT-B-32"],
        &["detect", "washer.png", "--model", "ViT-B-32"],
    ] {
        let Some(ran) = user(arguments) else { return };
        assert!(ran.code == 2 && ran.stderr.contains("set HF_HOME"), "{arguments:?}: {}", ran.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_one_error_for_every_command() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let model = support::tiny_model().to_str().unwrap();
    for arguments in [
        &["detect", "a.png", "--format", "json", "--model", model][..],
        &["worker", "--model", model],
        &["serve", "--port", "0", "--model", model],
        &["models", "list"],
        &["completions", "bash"],
        &["man"],
        &["--version"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (mut requests, input) = UnixStream::pair().unwrap();
        requests.write_all(b"a.png\n").unwrap();
        drop(requests);
        let mut command = here.command();
        let ran =
            Ran::from(command.args(arguments).stdin(OwnedFd::from(input)).stdout(full).output().unwrap());
        let whole = (ran.code, ran.stderr.lines().count());
        assert!(
            whole == (2, 1) && ran.stderr.contains("cannot write to stdout"),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn folders_that_are_read_only() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    std::fs::create_dir(here.path("closed")).unwrap();
    let Some(mut command) = as_nobody(&here, 100) else { return };
    let ran = Ran::from(command.args(["detect", "a.png", "--out", "closed"]).output().unwrap());
    let whole = (ran.code, ran.stdout.as_str(), ran.stderr.lines().count());
    assert!(whole == (2, "", 1) && ran.stderr.contains("output folder closed"), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(here.path("closed")).unwrap().count(), 0);
    // A cache that cannot be written is no error.
    std::fs::create_dir(here.path("model")).unwrap();
    for file in std::fs::read_dir(support::tiny_model()).unwrap().flatten() {
        std::fs::write(here.path("model").join(file.file_name()), std::fs::read(file.path()).unwrap())
            .unwrap();
    }
    let Some(command) = as_nobody(&here, 100) else { return };
    let mut arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    arguments.insert(arguments.len() - 1, "AACLIP_CACHE=closed".into());
    let mut command = Command::new(command.get_program());
    command.args(arguments).args(["detect", "a.png", "--class", "nut", "--model", "model"]);
    let ran = Ran::from(command.current_dir(here.path(".")).output().unwrap()).ok();
    assert_eq!(ran.stderr, "");
}
