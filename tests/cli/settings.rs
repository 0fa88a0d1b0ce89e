//! The settings file: its choice, its allowed settings, and their precedence.

use crate::{Ran, Workplace, support};

impl Workplace {
    /// Writes a file below the workplace.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Runs in a folder below the workplace.
    fn run_in(&self, folder: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command();
        command.current_dir(self.path(folder));
        Ran::from(command.args(arguments).envs(environment.iter().copied()).output().unwrap())
    }

    /// The value of a flag of `detect` and its source, as printed by `aaclip config`.
    #[track_caller]
    fn detects_with(&self, folder: &str, flag: &str) -> (String, String) {
        let told = self.run_in(folder, &["config", "detect", "--format", "json"], &[]).ok().json();
        let flags = told["flags"].as_array().unwrap();
        let of = flags.iter().find(|f| f["flag"] == flag).unwrap_or_else(|| panic!("{flag}: {told}"));
        (of["value"].as_str().unwrap_or("-").to_owned(), of["source"].to_string())
    }
}

/// The model, class and precision of a record.
fn used(ran: Ran) -> (String, String) {
    let record = ran.ok().json();
    let of = |key: &str| record[key].as_str().unwrap().to_owned();
    (of("model"), of("class"))
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let here = Workplace::new();
    here.picture("line/a.png", 64, 48);
    let model = support::tiny_model().to_str().unwrap();
    let detect = ["detect", "a.png", "--format", "json"];
    let with = |more: &[&str], environment: &[(&str, &str)]| {
        used(here.run_in("line", &[&detect, more].concat(), environment))
    };
    let builtin = |class: &str| ("builtin".to_owned(), class.to_owned());
    assert_eq!(with(&[], &[]), builtin("object"));
    here.write("aaclip.toml", format!("class = \"top\"\nmodel = {model:?}"));
    assert_eq!(with(&[], &[]), (model.to_owned(), "top".to_owned()));
    here.write("aaclip.toml", "class = \"top\"\n[detect]\nclass = \"table\"\n[eval]\nclass = \"eval\"");
    assert_eq!(with(&[], &[]), builtin("table"));
    here.write("aaclip.toml", "class = \"top\"\nmodel = \"builtin\"");
    assert_eq!(with(&[], &[("AACLIP_MODEL", model)]), (model.to_owned(), "top".to_owned()));
    assert_eq!(
        with(&["--class", "typed", "--model", "builtin"], &[("AACLIP_MODEL", model)]),
        builtin("typed")
    );
    assert_eq!(with(&["--no-config"], &[]), builtin("object"));
    assert_eq!(with(&[], &[("AACLIP_CONFIG", "")]), builtin("object"));
    here.write("other.toml", "class = \"other\"");
    assert_eq!(with(&["--config", "../other.toml"], &[]), builtin("other"));
}

/// The user's file is found in the system's folder for settings; one in the folder of the run is not read.
#[cfg(target_os = "linux")]
#[test]
fn where_the_file_is() {
    let here = Workplace::new();
    here.write("line/aaclip.toml", "nonsense = 1").write("home/.config/aaclip/aaclip.toml", "threads = 3");
    let mut command = here.command();
    command.current_dir(here.path("line")).env("HOME", here.path("home")).env_remove("XDG_CONFIG_HOME");
    let ran = Ran::from(command.env_remove("AACLIP_CONFIG").args(["config"]).output().unwrap()).ok();
    assert!(
        ran.stdout.contains(".config/aaclip/aaclip.toml") && ran.stdout.contains("threads"),
        "{}",
        ran.stdout
    );
}

#[test]
fn values_of_every_kind() {
    let here = Workplace::new();
    here.picture("a.png", 64, 48);
    here.write(
        "aaclip.toml",
        "threads = 0x1\n\
         [detect]\n\
         levels = [1, 2]\n\
         save = [\"raw\", \"mask\"]\n\
         out = \"results\"\n\
         smoothing = 0.5\n\
         threshold = 0.0\n\
         fail-on-anomaly = true\n\
         no-cache = false\n\
         format = \"jsonl\"\n",
    );
    let model = support::tiny_model().to_str().unwrap();
    std::fs::create_dir(here.path("sub")).unwrap();
    let ran = here.run_in("sub", &["detect", "--model", model, "--", "../a.png"], &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let record = &ran.json_lines()[0];
    assert_eq!(record["threshold"], 0.0);
    // Beside the file, not where the program runs.
    assert!(here.path("results/a.png.npy").exists() && here.path("results/a.png.mask.png").exists());
    assert!(!here.path("results/a.png.heatmap.png").exists() && !here.path("sub/results").exists());
    assert_eq!(here.detects_with("sub", "levels").0, "[1, 2]");
    let (value, source) = here.detects_with("sub", "threads");
    assert_eq!(value, "1");
    assert!(source.contains("aaclip.toml:1"), "{source}");
    assert_eq!(here.detects_with("sub", "method"), ("auto".to_owned(), "\"default\"".to_owned()));
    // A list on the command line takes the place of the file's.
    let typed = here.run_in("sub", &["detect", "--model", model, "../a.png", "--save", "heatmap"], &[]);
    assert_eq!(typed.code, 1, "{}", typed.stderr);
    assert!(here.path("results/a.png.heatmap.png").exists());
}

#[cfg(unix)]
#[test]
fn a_relative_path_starts_from_the_file() {
    let here = Workplace::new();
    here.picture("a.png", 64, 48);
    std::os::unix::fs::symlink(support::tiny_model(), here.path("my.model")).unwrap();
    here.write("sub/deep/x", "");
    let detect = ["detect", "../../a.png", "--format", "json"];
    for (text, expected) in
        [("./my.model", true), ("my.model", true), ("./none", false), ("builtin", false), ("nameless", false)]
    {
        here.write("aaclip.toml", format!("model = {text:?}"));
        let ran = here.run_in("sub/deep", &detect, &[]);
        let there = here.path(text.trim_start_matches("./"));
        let there = there.to_str().unwrap();
        match text {
            "builtin" => assert_eq!(used(ran).0, "builtin"),
            _ if expected => assert_eq!(std::fs::canonicalize(used(ran).0).unwrap(), support::tiny_model()),
            "./none" => assert!(ran.code == 2 && ran.stderr.contains("/none"), "{there}: {}", ran.stderr),
            _ => assert!(ran.code == 2 && ran.stderr.contains("no model `nameless`"), "{}", ran.stderr),
        }
    }
}

#[test]
fn mistakes_are_named_with_file_line_and_what_is_expected() {
    let here = Workplace::new();
    let long = format!("a = \"{}\"", "x".repeat(1_000_000));
    let cases: &[(&[u8], usize, &[&str])] = &[
        (b"threads = 2\nmodle = \"x\"", 2, &["unknown setting `modle`", "`model`"]),
        (b"image_size = 240", 1, &["unknown setting `image_size`", "`image-size`"]),
        (b"[models]\nlevels = [3]", 2, &["`models` has no flag --levels", "detect", "train"]),
        (b"[detcet]\nmodel = \"x\"", 2, &["no command `detcet`", "`detect`"]),
        (b"[nonsense]", 1, &["no command `nonsense`", "expected one of", "calibrate"]),
        (b"[detect.inner]\nmodel = \"x\"", 2, &["no command `inner`"]),
        (b"detect = 3", 1, &["`detect` is a command", "[detect]"]),
        (b"threads = { n = 1 }", 1, &["`threads` is a flag", "found a table"]),
        (b"threads = true", 1, &["`threads`", "(N)", "found true"]),
        (b"\n\nthreads = 0", 3, &["`threads`", "from 1 to 4096"]),
        (b"threads = 1_000_000", 1, &["`threads`: `1000000`", "from 1 to 4096"]),
        (b"threads = [1, 2]", 1, &["`threads`", "found [1, 2]"]),
        (b"threads = 1979-05-27", 1, &["`threads`", "found 1979-05-27"]),
        (b"threads = 99999999999999999999999999999999999999999", 1, &["`threads`", "too large"]),
        (b"verbose = \"yes\"", 1, &["`verbose`", "expected true or false", "\"yes\""]),
        (b"levels = [\"3,6\"]", 1, &["`levels`", "single values"]),
        (b"levels = [3, [6]]", 1, &["`levels`", "[6]"]),
        (b"levels = [3, \"six\"]", 1, &["`levels`", "`six`"]),
        (b"save = [\"heat\"]", 1, &["`save`", "`heat`", "heatmap, overlay, mask, map, raw"]),
        (b"precision = \"f64\"", 1, &["`precision`", "f32, bf16, int8"]),
        (b"[detect]\nregion-threshold = 1.5", 2, &["`region-threshold`", "from 0 to 1"]),
        (b"[detect]\nregion-threshold = nan", 2, &["`region-threshold`", "from 0 to 1"]),
        (b"config = \"x\"", 1, &["`config` cannot be set"]),
        (b"help = true", 1, &["`help` cannot be set"]),
        (b"quiet = true\nverbose = true", 2, &["`verbose` contradicts `quiet`"]),
        (b"format = \"markdown\"", 1, &["`format` for `detect`", "jsonl", "[detect]"]),
        (b"inputs = [\"a.png\"]", 1, &["unknown setting `inputs`"]),
        (b"model = builtin", 1, &[]),
        (b"a = 1\nb = \"", 2, &[]),
        (b"threads = 1\nthreads = 2", 2, &["duplicate"]),
        (b"threads = 1\n\nclass = \"\xff\"", 3, &["not UTF-8"]),
    ];
    for (text, line, expected) in cases {
        here.write("aaclip.toml", text);
        let ran = here.run(&["detect", "a.png"]);
        let shown = String::from_utf8_lossy(text);
        assert_eq!(ran.code, 2, "{shown}: {}", ran.stderr);
        let place = format!("aaclip.toml:{line}: ");
        assert!(ran.stderr.contains(&place), "{shown}: no {place} in {}", ran.stderr);
        for part in *expected {
            assert!(ran.stderr.contains(part), "{shown}: no {part} in {}", ran.stderr);
        }
        assert!(ran.stdout.is_empty() && ran.stderr.lines().count() == 1, "{shown}: {}", ran.stderr);
        // What helps to mend it still runs.
        assert_eq!(here.run(&["completions", "bash"]).code, 0);
        assert_eq!(here.run(&["detect", "--help"]).code, 0);
        assert_eq!(here.run(&["--no-config", "prompts", "list"]).code, 0);
    }
    here.write("aaclip.toml", &long);
    let ran = here.run(&["prompts", "list"]);
    assert!(ran.code == 2 && ran.stderr.contains("larger than 1000 kB"), "{}", ran.stderr);
    for arguments in [["--config", "none.toml"], ["--config", "."]] {
        let ran = here.run(&[&arguments[..], &["prompts", "list"]].concat());
        assert!(ran.code == 2 && ran.stderr.contains(arguments[1]), "{}", ran.stderr);
    }
    let gone = here.command().env("AACLIP_CONFIG", "gone.toml").args(["prompts", "list"]).output().unwrap();
    assert!(gone.status.code() == Some(2) && String::from_utf8_lossy(&gone.stderr).contains("gone.toml"));
}

#[test]
fn what_every_command_refuses_is_no_settings_file() {
    let here = Workplace::new();
    for (text, line) in [
        ("quiet = true\nverbose = true", Some(2)),
        ("[detect]\nverbose = true\nquiet = true", Some(3)),
        ("quiet = true\nverbose = false", None),
        ("quiet = true\n[detect]\nverbose = true", None),
    ] {
        here.write("aaclip.toml", text);
        let ran = here.run(&["config"]);
        assert_eq!(ran.code, if line.is_some() { 2 } else { 0 }, "{text}: {}", ran.stderr);
        if let Some(line) = line {
            assert!(ran.stderr.contains(&format!("aaclip.toml:{line}: ")), "{}", ran.stderr);
            assert!(ran.stderr.contains("contradicts"), "{}", ran.stderr);
        }
    }
}

#[test]
fn a_file_that_a_settings_file_names_is_said_to_come_from_there() {
    let here = Workplace::new();
    here.picture("sub/a.png", 64, 48);
    let model = support::tiny_model().to_str().unwrap();
    for name in ["nosuch.json", "nosuch"] {
        here.write("aaclip.toml", format!("model = {model:?}\n[detect]\nthreshold = {name:?}"));
        let ran = here.run_in("sub", &["detect", "a.png"], &[]);
        assert_eq!(ran.code, 2);
        // Beside the settings, not where the program runs.
        assert!(ran.stderr.contains(here.path(name).to_str().unwrap()), "{}", ran.stderr);
        assert!(ran.stderr.contains("--threshold is set by ") && ran.stderr.contains("aaclip.toml:3"));
    }
    here.write("aaclip.toml", format!("model = {model:?}\n[detect]\nthreshold = \"0.25\""));
    let ran = here.run_in("sub", &["detect", "a.png", "--format", "json"], &[]);
    assert_eq!(ran.ok().json()["threshold"], 0.25);
}

#[test]
fn what_was_typed_silences_what_contradicts_it() {
    let here = Workplace::new();
    let list = ["prompts", "list"];
    let err = |arguments: &[&str]| here.run_in("", arguments, &[]).ok().stderr;
    here.write("aaclip.toml", "verbose = true");
    assert!(err(&list).contains("aaclip.toml"), "names the file");
    assert_eq!(err(&["prompts", "list", "-q"]), "");
    assert_eq!(err(&["-q", "prompts", "list"]), "");
    // A table comes before the top, and can take back its settings.
    here.write("aaclip.toml", "verbose = true\n[prompts]\nquiet = true");
    assert_eq!(err(&list), "");
    here.write("aaclip.toml", "verbose = true\n[prompts]\nverbose = false");
    assert_eq!(err(&list), "");
    for both in [["-q", "-v"], ["-v", "-q"]] {
        let ran = here.run(&[both[0], "prompts", "list", both[1]]);
        assert!(ran.code == 2 && ran.stderr.contains("--quiet"), "{}", ran.stderr);
        let ran = here.run(&["prompts", "list", both[0], both[1]]);
        assert!(ran.code == 2 && ran.stderr.contains("--quiet"), "{}", ran.stderr);
    }
}

#[test]
fn flags_that_need_others_find_them_in_files_and_the_other_way_round() {
    let here = Workplace::new();
    here.picture("a.png", 64, 48);
    let model = support::tiny_model().to_str().unwrap();
    here.write("aaclip.toml", format!("model = {model:?}\n[detect]\nthreshold = 0.0"));
    assert_eq!(here.run(&["detect", "a.png", "--fail-on-anomaly"]).code, 1);
    here.write("aaclip.toml", format!("model = {model:?}\n[detect]\nfail-on-anomaly = true"));
    assert_eq!(here.run(&["detect", "a.png", "--threshold", "0"]).code, 1);
    // Without it the message says who asked.
    let ran = here.run(&["detect", "a.png"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--threshold") && ran.stderr.contains("aaclip.toml:3"), "{}", ran.stderr);
    // So does one that the command itself refuses.
    here.write("aaclip.toml", format!("model = {model:?}\nrelu = true"));
    let ran = here.run(&["detect", "a.png"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--relu") && ran.stderr.contains("aaclip.toml:2"), "{}", ran.stderr);
    // A flag that must be given may be given by a file.
    here.write(
        "aaclip.toml",
        format!("model = {model:?}\n[calibrate]\nout = \"t.json\"\nrule = \"false-alarms\""),
    );
    here.picture("good/a.png", 64, 48);
    here.run(&["calibrate", "good"]).ok();
    assert!(here.path("t.json").exists());
}

#[test]
fn config_shows_the_file_and_the_values() {
    let here = Workplace::new();
    assert!(here.run(&["config"]).ok().stdout.contains("no settings file"));
    here.write("aaclip.toml", "threads = 2\n[train.aa-clip]\nimage-epochs = 3\nrelu = true");
    let text = here.run(&["config"]).ok().stdout;
    for part in ["aaclip.toml\n", "threads ", "train.aa-clip.image-epochs  3"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = here.run(&["config", "train", "aa-clip"]).ok().stdout;
    let line = |flag: &str| {
        let found = text.lines().find(|l| l.split_whitespace().next() == Some(flag));
        found.unwrap_or_else(|| panic!("{flag}: {text}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("image-epochs")[1], "3");
    assert!(line("image-epochs")[2].ends_with("aaclip.toml:3"));
    assert_eq!(line("text-epochs"), ["text-epochs", "5", "default"]);
    assert_eq!(line("model"), ["model", "-", "default"]);
    let told = here.command().env("AACLIP_MODEL", "x").args(["config", "detect"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("environment (AACLIP_MODEL)"), "{told}");
    let ran = here.run(&["config", "nothing"]);
    assert!(ran.code == 2 && ran.stderr.contains("expected one of"), "{}", ran.stderr);
}
