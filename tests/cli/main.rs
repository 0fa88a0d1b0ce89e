//! The real binary, as a person or a script uses it.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/mutate.rs"]
mod mutate;

mod adapters;
mod bad_input;
mod batch;
mod builtin;
mod choice;
mod data;
mod detect;
mod doctor;
mod eval;
mod formats;
mod golden;
mod hard_places;
mod help;
mod jpeg;
mod judge;
mod masks;
mod methods;
mod mutants;
mod odd_places;
mod output_folder;
mod passed_over;
mod prompts;
mod report;
mod serve;
mod serve_schema;
mod settings;
mod shell;
mod snapshot;
mod tiff;
mod tiles;
mod train;
mod watch;
mod worker;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A fresh folder to run the program in, with caches of its own.
struct Workplace(tempfile::TempDir);

/// What a run left.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Workplace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// The user's settings file: `aaclip.toml`, if the workplace has one.
    fn settings_file(&self) -> PathBuf {
        let file = self.path("aaclip.toml");
        if file.exists() { file } else { PathBuf::new() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aaclip"));
        command
            .current_dir(self.0.path())
            .env_remove("AACLIP_MODEL")
            .env_remove("HF_HUB_CACHE")
            // Not the settings of the person who runs the tests.
            .env("AACLIP_CONFIG", self.settings_file())
            .env("HOME", self.0.path())
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env_remove("RAYON_NUM_THREADS")
            .env_remove("COLUMNS")
            .env("HF_HOME", self.path("hf"))
            .env("AACLIP_CACHE", self.path("cache"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command().args(arguments).output().unwrap())
    }

    /// `detect` with the tiny model.
    fn detect(&self, arguments: &[&str]) -> Ran {
        let model = support::tiny_model().to_str().unwrap();
        self.run(&[&["detect", "--model", model], arguments].concat())
    }

    /// A picture of `width` x `height` with a bright square at a quarter of each side.
    fn picture(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let image = image::RgbImage::from_fn(width, height, |x, y| {
            let spot = (width / 4..width / 2).contains(&x) && (height / 4..height / 2).contains(&y);
            let texture = ((x * 7 + y * 13) % 32) as u8;
            image::Rgb(if spot { [250, 240, texture] } else { [60 + texture, 90, 120] })
        });
        image.save(&path).unwrap();
        path
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("not killed by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }

    fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}
