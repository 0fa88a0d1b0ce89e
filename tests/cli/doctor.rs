//! `aaclip doctor`.

use crate::{Ran, Workplace, support};

/// The report in the given environment, and the exit code.
fn report(here: &Workplace, environment: &[(&str, &str)]) -> (serde_json::Value, i32) {
    let mut command = here.command();
    command.args(["doctor", "--format", "json"]).envs(environment.iter().copied());
    let ran = Ran::from(command.output().unwrap());
    (ran.json(), ran.code)
}

/// The line of a section that begins with `name`.
#[track_caller]
fn line<'a>(found: &'a serde_json::Value, section: &str, name: &str) -> &'a str {
    let lines = found[section].as_array().unwrap_or_else(|| panic!("no {section}: {found:#}"));
    let mut lines = lines.iter().filter_map(|line| line.as_str());
    lines.find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {section}: {found:#}"))
}

#[test]
fn a_fresh_machine_is_fine() {
    let here = Workplace::new();
    let (found, code) = report(&here, &[]);
    assert_eq!(code, 0, "{found:#}");
    assert_eq!(found["problems"], serde_json::json!([]));
    let model = line(&found, "detect", "model");
    assert!(model.contains(" builtin (part of the program"), "{model}");
    assert!(line(&found, "detect", "adapters").contains("those of the model"));
    assert!(line(&found, "detect", "device").contains(" cpu "));
    assert!(line(&found, "detect", "precision").contains(" f32 "));
    let kernels = format!("kernels {} ", aaclip::kernels::Isa::best().name());
    line(&found, "processor", &kernels);
    let allowed = std::thread::available_parallelism().unwrap().get();
    line(&found, "threads", &format!("{allowed}: "));
    line(&found, "trial", "ok: score 0.26");
    assert!(line(&found, "devices", "cpu").ends_with("usable"));
    assert!(line(&found, "models", "builtin").ends_with("part of the program"));
    // It reads the caches and does not change them.
    assert!(line(&found, "caches", "anchors").ends_with("does not exist yet"));
    assert_eq!(std::fs::read_dir(here.path("")).unwrap().count(), 0);
    let text = here.run(&["doctor"]).ok().stdout;
    for part in ["processor", "threads", "builtin", "problems     none", "trial        ok"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn it_says_what_would_be_used_and_why() {
    let here = Workplace::new();
    let model = support::tiny_model().to_str().unwrap();
    std::fs::write(here.path("aaclip.toml"), "threads = 1\nprecision = \"bf16\"").unwrap();
    std::fs::create_dir_all(here.path("cache/anchors")).unwrap();
    std::fs::write(here.path("cache/anchors/x.bin"), [0; 1000]).unwrap();
    let environment = [("AACLIP_MODEL", model), ("HF_HUB_OFFLINE", "1")];
    let (found, code) = report(&here, &environment);
    assert_eq!(code, 0, "{found:#}");
    let used = line(&found, "detect", "model");
    assert!(used.contains(model) && used.contains("AACLIP_MODEL"), "{used}");
    assert!(line(&found, "threads", "1: ").ends_with("aaclip.toml:1"));
    assert!(line(&found, "detect", "precision").contains(" bf16 "));
    assert!(found["settings"][0].as_str().unwrap().ends_with("aaclip.toml"));
    line(&found, "settings", "precision = ");
    assert!(line(&found, "caches", "anchors").ends_with(": 0.001 MB"));
    assert!(line(&found, "caches", "hub").ends_with("HF_HUB_OFFLINE forbids downloads"));
}

#[test]
fn what_would_stop_detect_is_a_problem() {
    let here = Workplace::new();
    let broken = here.path("broken");
    std::fs::create_dir(&broken).unwrap();
    let (settings, registry) = (here.path("bad.toml"), here.path("registry.toml"));
    std::fs::write(&settings, "nonsense = 1").unwrap();
    std::fs::write(&registry, "[[model]]\nname = 3").unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    for (variable, value, expected) in [
        ("AACLIP_MODEL", "ViT-B-16-plus-240".to_owned(), "models pull"),
        ("AACLIP_MODEL", "no-such-model".to_owned(), "no-such-model"),
        ("AACLIP_MODEL", text(&broken), "broken"),
        ("AACLIP_REGISTRY", text(&registry), "registry.toml:"),
        ("AACLIP_CONFIG", text(&settings), "bad.toml:1: unknown setting"),
    ] {
        let (found, code) = report(&here, &[(variable, &value)]);
        let problems = found["problems"].to_string();
        assert!(code == 2 && problems.contains(expected), "{value}: {problems}");
        let detect = here.command().env(variable, &value).args(["detect", "a.png"]).output().unwrap();
        assert_eq!(detect.status.code(), Some(2));
    }
}

#[test]
fn settings_that_stop_detect_are_problems() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    for (settings, expected) in [
        ("[detect]\nlevels = [99]", "99"),
        ("[detect]\nimage-size = 1", "1"),
        ("[detect]\nanchors = \"dbscan\"\nanchor-min-samples = 9999", "cluster"),
        ("[detect]\nthreshold = \"gone.json\"", "gone.json"),
        ("[detect]\nfail-on-anomaly = true", "--threshold"),
        ("threads = \"x\"", "aaclip.toml:1: `threads`"),
    ] {
        std::fs::write(here.path("aaclip.toml"), settings).unwrap();
        let (found, code) = report(&here, &[]);
        let problems = found["problems"].as_array().unwrap();
        assert_eq!((code, problems.len()), (2, 1), "{settings}: {problems:?}");
        let problem = problems[0].as_str().unwrap();
        assert!(problem.contains(expected) && !problem.contains("For more information"), "{problem}");
        assert!(!here.run(&["doctor"]).stdout.contains("no file"));
        let mut detect = here.command();
        detect.args(["detect", "a.png"]).env("AACLIP_CACHE", here.path("another cache"));
        assert_eq!(detect.output().unwrap().status.code(), Some(2), "{settings}");
    }
    assert!(!here.path("cache").exists(), "it writes no cache");
}

#[test]
fn an_empty_variable_is_none() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let (found, code) = report(&here, &[("AACLIP_MODEL", "")]);
    assert_eq!(code, 0, "{}", found["problems"]);
    let model = line(&found, "detect", "model");
    assert!(model.contains(" builtin ") && !model.contains("AACLIP_MODEL"), "{model}");
    // The file's setting is used.
    let model = support::tiny_model().to_str().unwrap();
    std::fs::write(here.path("aaclip.toml"), format!("model = {model:?}")).unwrap();
    let mut command = here.command();
    command.env("AACLIP_MODEL", "").args(["detect", "a.png", "--format", "json"]);
    assert_eq!(Ran::from(command.output().unwrap()).ok().json()["model"], model);
}

/// The processors that this process may use are those that compute.
#[cfg(target_os = "linux")]
#[test]
fn threads_follow_what_the_process_may_use() {
    let here = Workplace::new();
    let mut command = std::process::Command::new("taskset");
    command.args(["-c", "0", env!("CARGO_BIN_EXE_aaclip"), "doctor", "--format", "json"]);
    command.current_dir(here.path("")).env("AACLIP_CONFIG", "").env("HOME", here.path(""));
    let Ok(output) = command.env_remove("RAYON_NUM_THREADS").output() else {
        return support::skip("no taskset");
    };
    let found = Ran::from(output).ok().json();
    line(&found, "threads", "1: ");
    let (found, _) = report(&here, &[("RAYON_NUM_THREADS", "3")]);
    assert!(line(&found, "threads", "3: ").contains("RAYON_NUM_THREADS"));
}
