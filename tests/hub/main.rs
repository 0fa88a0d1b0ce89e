//! `aaclip models` and `detect` against a hub of the tests' own on 127.0.0.1.

#[path = "../support/mod.rs"]
mod support;

mod between;
mod network;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use server::{Hub, Mood};
use sha2::{Digest, Sha256};

const WEIGHTS: &str = "open_clip_model.safetensors";
const CONFIG: &str = "open_clip_config.json";

/// A machine with empty caches that knows one more model, `lab-tiny`, and where its hub is.
struct Machine {
    dir: tempfile::TempDir,
    hub: Hub,
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Machine {
    /// The hub has the tiny model.
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap(), hub: filled_hub() };
        machine.register("");
        machine
    }

    fn register(&self, sha256: &str) {
        let entry = format!(
            r#"[[model]]
            name = "lab-tiny"
            description = "formula weights, for tests"
            licence = "none"
            repo = "lab/tiny"
            revision = "main"
            weights = {{ file = "{WEIGHTS}", size = 1_600_000, sha256 = "{sha256}" }}
            config = {{ file = "{CONFIG}", size = 300 }}
            activation = "gelu"
            image_size = 32
            patch_size = 8
            layers = 4
            width = 32
            "#
        );
        std::fs::write(self.path("registry.toml"), entry).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_aaclip"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("HF_HUB_CACHE")
            .env_remove("HF_TOKEN")
            .env_remove("AACLIP_MODEL")
            .env("HF_HOME", self.path("hf"))
            .env("AACLIP_CACHE", self.path("cache"))
            .env("AACLIP_REGISTRY", self.path("registry.toml"))
            .env("HF_ENDPOINT", &self.hub.address)
            .env("AACLIP_RETRY_PAUSE", "0.02")
            .envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].map(|name| (name, "")))
            .envs(["http_proxy", "https_proxy", "all_proxy", "no_proxy"].map(|name| (name, "")))
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn pull(&self) -> Ran {
        self.run(&["models", "pull", "lab-tiny"])
    }

    #[track_caller]
    fn pull_ok(&self) -> PathBuf {
        let ran = self.pull();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        PathBuf::from(ran.stdout.trim_end())
    }

    #[track_caller]
    fn pull_fails(&self, expected: &[&str]) {
        let ran = self.pull();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        for text in expected {
            assert!(ran.stderr.contains(text), "no `{text}` in: {}", ran.stderr);
        }
        assert_eq!(self.run(&["models", "path", "lab-tiny"]).code, 2);
    }

    /// Whether the cache has any file of a model.
    fn snapshots_hold_weights(&self) -> bool {
        let root = self.path("hf/hub/models--lab--tiny/snapshots");
        walk(&root).iter().any(|p| p.ends_with(WEIGHTS))
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return vec![] };
    let paths = entries.map(|e| e.unwrap().path());
    paths.flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] }).collect()
}

fn filled_hub() -> Hub {
    let hub = Hub::start();
    hub.put(WEIGHTS, &weights());
    hub.put(CONFIG, support::TINY_CONFIG.as_bytes());
    hub
}

fn weights() -> Vec<u8> {
    std::fs::read(support::tiny_model().join(WEIGHTS)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_model_is_downloaded_once_and_then_found() {
    let machine = Machine::new();
    let before = machine.run(&["models", "path", "lab-tiny"]);
    assert!(before.code == 2 && before.stderr.contains("aaclip models pull lab-tiny"), "{}", before.stderr);
    let first = machine.pull();
    assert!(first.code == 0 && first.stderr.contains("recorded"), "{}", first.stderr);
    let folder = PathBuf::from(first.stdout.trim_end());
    assert_eq!(std::fs::read(folder.join(WEIGHTS)).unwrap(), weights());
    assert_eq!(machine.hub.transfers(), 2);

    let again = machine.pull();
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    assert_eq!(machine.hub.transfers(), 2, "nothing had to be sent again");
    assert_eq!(machine.run(&["models", "path", "lab-tiny"]).stdout.trim_end(), folder.to_str().unwrap());
    let verified = machine.run(&["models", "verify", "lab-tiny"]);
    assert_eq!((verified.code, verified.stdout.matches("ok ").count()), (0, 2), "{}", verified.stderr);
    let list = machine.run(&["models", "list", "--json"]).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["path"]), (&"builtin".into(), &serde_json::Value::Null));
    assert_eq!(list[1]["path"], folder.to_str().unwrap());
    assert!(list[2]["path"].is_null());
    assert!(machine.run(&["models", "list"]).stdout.contains("lab-tiny"));
}

#[test]
fn detect_uses_a_downloaded_model_and_never_downloads() {
    let machine = Machine::new();
    image::RgbImage::from_pixel(40, 30, image::Rgb([90, 20, 200])).save(machine.path("a.png")).unwrap();
    let ran = machine.run(&["detect", "a.png", "--model", "lab-tiny"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("models pull lab-tiny") && ran.stderr.contains("2 MB"),
        "{}",
        ran.stderr
    );
    assert_eq!(machine.hub.transfers(), 0);
    let folder = machine.pull_ok();
    for (arguments, model) in [
        (&["detect", "a.png", "--format", "json", "--model", "LAB-tiny"][..], "lab-tiny"),
        // Without --model: the first of the registry that is there.
        (&["detect", "a.png", "--format", "json"], "lab-tiny"),
        (
            &["detect", "a.png", "--format", "json", "--model", folder.to_str().unwrap()],
            folder.to_str().unwrap(),
        ),
    ] {
        let ran = machine.run_with(arguments, &[("HF_HUB_OFFLINE", "1")]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let record: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(record["model"], model);
    }
}

#[test]
fn a_broken_transfer_is_resumed() {
    for mood in [Mood::Cut(2), Mood::Short(2)] {
        let machine = Machine::new();
        machine.hub.set_mood(mood);
        let folder = machine.pull_ok();
        assert_eq!(std::fs::read(folder.join(WEIGHTS)).unwrap(), weights(), "{mood:?}");
        assert!(machine.hub.resumed() >= 1, "{mood:?}");
    }
}

#[test]
fn a_transfer_that_keeps_breaking_leaves_nothing_half_written_and_goes_on_later() {
    for mood in [Mood::Cut(100), Mood::Short(100)] {
        let machine = Machine::new();
        machine.hub.set_mood(mood);
        machine.pull_fails(&["failed 4 times", "next pull"]);
        assert!(!machine.snapshots_hold_weights());
        machine.hub.set_mood(Mood::Good);
        let resumed = machine.hub.resumed();
        let folder = machine.pull_ok();
        assert_eq!(std::fs::read(folder.join(WEIGHTS)).unwrap(), weights());
        assert!(machine.hub.resumed() > resumed, "{mood:?}");
    }
}

#[test]
fn a_server_that_cannot_resume_is_asked_for_the_whole() {
    let machine = Machine::new();
    machine.hub.set_etag(WEIGHTS, &sha256(&weights()));
    machine.hub.set_mood(Mood::Cut(100));
    machine.pull_fails(&["failed 4 times"]);
    machine.hub.set_mood(Mood::IgnoresRange);
    let folder = machine.pull_ok();
    assert_eq!(std::fs::read(folder.join(WEIGHTS)).unwrap(), weights());
}

/// A download is checked before it gets the name of a model: an unchecked model never exists.
#[test]
fn nothing_is_published_before_it_is_checked() {
    let machine = Machine::new();
    machine.hub.set_etag(WEIGHTS, &sha256(b"other"));
    let done = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = false;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                seen |= machine.snapshots_hold_weights();
            }
            seen
        });
        let ran = machine.pull();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(ran.code == 2 && ran.stderr.contains("has sha256"), "{}", ran.stderr);
        watcher.join().unwrap()
    });
    assert!(!seen, "a file with the wrong digest stood where models are looked for");
}

#[test]
fn large_files_come_from_another_address() {
    let machine = Machine::new();
    machine.hub.set_mood(Mood::Redirects);
    machine.hub.set_etag(WEIGHTS, &sha256(&weights()));
    machine.pull_ok();
    assert_eq!(machine.run(&["models", "verify", "lab-tiny"]).code, 0);
}

#[test]
fn a_digest_that_does_not_fit_is_an_error() {
    // The hub announces another one.
    let machine = Machine::new();
    machine.hub.set_etag(WEIGHTS, &sha256(b"other"));
    machine.pull_fails(&["has sha256", &sha256(&weights()), &sha256(b"other"), "removed"]);
    assert!(!machine.snapshots_hold_weights());

    // The registry knows another one.
    let machine = Machine::new();
    machine.register(&sha256(b"published"));
    machine.pull_fails(&[&sha256(b"published"), "removed"]);
    assert!(!machine.snapshots_hold_weights());
    machine.register(&sha256(&weights()));
    machine.pull_ok();
}

#[test]
fn content_that_changes_after_the_first_download_is_noticed() {
    let machine = Machine::new();
    let folder = machine.pull_ok();
    let mut changed = weights();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    // On this machine: verify says so, and the next pull repairs it.
    let blob = std::fs::canonicalize(folder.join(WEIGHTS)).unwrap();
    std::fs::write(&blob, &changed).unwrap();
    let ran = machine.run(&["models", "verify", "lab-tiny"]);
    assert!(ran.code == 2 && ran.stderr.contains("has changed"), "{}", ran.stderr);
    machine.pull_ok();
    assert_eq!(machine.run(&["models", "verify", "lab-tiny"]).code, 0);
    // Cut off: not offered as a model at all.
    std::fs::write(std::fs::canonicalize(folder.join(WEIGHTS)).unwrap(), &changed[..100]).unwrap();
    assert_eq!(machine.run(&["models", "path", "lab-tiny"]).code, 2);
    // On the hub, under the same commit: refused.
    machine.hub.put(WEIGHTS, &changed);
    machine.pull_fails(&["has sha256", "removed"]);
}

#[test]
fn a_branch_that_moves_on_does_not_change_the_model() {
    let machine = Machine::new();
    let folder = machine.pull_ok();
    machine.hub.set_commit("2222222222222222222222222222222222222222");
    // The recorded commit is requested, so the hub's answer about it decides.
    assert!(folder.ends_with("1111111111111111111111111111111111111111"));
    assert_eq!(machine.run(&["models", "path", "lab-tiny"]).stdout.trim_end(), folder.to_str().unwrap());
}

#[test]
fn refusals_say_what_to_do() {
    for (mood, expected) in [
        (Mood::Status(401), &["HTTP 401", "HF_TOKEN"][..]),
        (Mood::Status(403), &["HTTP 403", "HF_TOKEN"]),
        (Mood::Status(404), &["does not exist", "404"]),
        (Mood::Status(503), &["HTTP 503", "later"]),
        (Mood::Page, &["does not answer like a hub"]),
        (Mood::NowhereRedirect, &["does not answer like a hub"]),
        (Mood::EvilName, &["invalid name"]),
    ] {
        let machine = Machine::new();
        machine.hub.set_mood(mood);
        machine.pull_fails(expected);
        assert!(walk(&machine.path("hf")).iter().all(|p| !p.ends_with(WEIGHTS)), "{mood:?}");
    }
}

#[test]
fn pages_and_pointers_in_place_of_weights_are_recognised() {
    for (content, expected) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"[..], "Git-LFS pointer"),
        (b"<!DOCTYPE html><html>quota exceeded</html>", "web page"),
    ] {
        let machine = Machine::new();
        machine.hub.put(WEIGHTS, content);
        machine.pull_fails(&[expected, "removed"]);
        assert!(!machine.snapshots_hold_weights());
    }
}

#[test]
fn offline_and_unreachable() {
    let machine = Machine::new();
    let ran = machine.run_with(&["models", "pull", "lab-tiny"], &[("HF_HUB_OFFLINE", "1")]);
    assert!(ran.code == 2 && ran.stderr.contains("HF_HUB_OFFLINE"), "{}", ran.stderr);
    assert_eq!(machine.hub.transfers(), 0);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}");
    let ran = machine.run_with(&["models", "pull", "lab-tiny"], &[("HF_ENDPOINT", &nobody)]);
    assert!(
        ran.code == 2 && ran.stderr.contains("cannot reach") && ran.stderr.contains("--model"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_token_is_sent() {
    let machine = Machine::new();
    let ran = machine.run_with(&["models", "pull", "lab-tiny"], &[("HF_TOKEN", "secret")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(machine.hub.saw_token());
    assert!(!ran.stdout.contains("secret") && !ran.stderr.contains("secret"));
}

#[test]
fn the_token_is_sent_to_no_other_host() {
    let other = filled_hub();
    for mood in [Mood::Elsewhere(other.port()), Mood::Moved(other.port())] {
        let machine = Machine::new();
        machine.hub.set_mood(mood);
        let ran = machine.run_with(&["models", "pull", "lab-tiny"], &[("HF_TOKEN", "secret")]);
        assert_eq!(ran.code, 0, "{mood:?}: {}", ran.stderr);
        assert!(machine.hub.saw_token() && !other.saw_token(), "{mood:?}");
        assert!(other.transfers() > 0, "{mood:?}");
    }
}

#[test]
fn a_server_without_ranges_sends_the_whole() {
    let machine = Machine::new();
    machine.hub.set_mood(Mood::NoRanges);
    let folder = machine.pull_ok();
    assert_eq!(std::fs::read(folder.join(WEIGHTS)).unwrap(), weights());
}

/// The hub's own programs look up a branch by its name.
#[test]
fn the_branch_of_a_download_is_known() {
    let machine = Machine::new();
    let folder = machine.pull_ok();
    let branch = std::fs::read_to_string(machine.path("hf/hub/models--lab--tiny/refs/main")).unwrap();
    assert!(folder.ends_with(branch));
    std::fs::remove_dir_all(machine.path("cache")).unwrap();
    assert_eq!(machine.run(&["models", "path", "lab-tiny"]).stdout.trim_end(), folder.to_str().unwrap());
}

#[test]
fn the_built_in_model_needs_no_cache() {
    let machine = Machine::new();
    image::RgbImage::from_pixel(40, 30, image::Rgb([90, 20, 200])).save(machine.path("a.png")).unwrap();
    let homeless = [("HF_HOME", ""), ("HOME", "/nonexistent")];
    let ran = machine.run_with(&["detect", "a.png", "--format", "json"], &homeless);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let record: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(record["model"], "builtin");
    assert_eq!(machine.run_with(&["models", "list"], &homeless).code, 0);
}

#[test]
fn names_that_do_not_exist() {
    let machine = Machine::new();
    for command in ["pull", "path", "verify"] {
        let ran = machine.run(&["models", command, "ViT-Q"]);
        assert!(ran.code == 2 && ran.stderr.contains("ViT-B-16-plus-240"), "{command}: {}", ran.stderr);
    }
    std::fs::write(machine.path("registry.toml"), "[[model]]\nname = 3\n").unwrap();
    let ran = machine.run(&["models", "list"]);
    assert!(ran.code == 2 && ran.stderr.contains("registry.toml:2: "), "{}", ran.stderr);
}
