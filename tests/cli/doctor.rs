//! `aaclip doctor`.

use crate::{Ran, Workplace, support};

/// The report in the given environment, and the exit code.
fn report(here: &Workplace, environment: &[(&str, &str)]) -> (serde_json::Value, i32) {
    let mut command = here.command();
    command.args(["doctor", "--format", "json"]).envs(environment.iter().copied());
    let ran = Ran::from(command.output().unwrap());
    (ran.json(), ran.code)
}

/// What `detect` would use for a flag, and why.
fn choice<'a>(found: &'a serde_json::Value, name: &str) -> (&'a str, &'a str) {
    let choice = found["detect"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
    (choice["value"].as_str().unwrap(), choice["why"].as_str().unwrap())
}

#[test]
fn a_fresh_machine_is_fine() {
    let here = Workplace::new();
    let (found, code) = report(&here, &[]);
    assert_eq!(code, 0, "{found:#}");
    assert_eq!(found["problems"], serde_json::json!([]));
    let (model, why) = choice(&found, "model");
    assert!(model == "builtin" && why.contains("comes with the program"), "{model}: {why}");
    assert!(choice(&found, "adapters").0.contains("built-in"));
    assert_eq!((choice(&found, "device").0, choice(&found, "precision").0), ("cpu", "f32"));
    let machine = &found["machine"];
    assert_eq!(machine["kernels"], aaclip::kernels::Isa::best().name());
    let allowed = std::thread::available_parallelism().unwrap().get();
    assert_eq!(machine["threads"], allowed);
    assert_eq!(found["trial"]["ok"], true);
    let cpu = serde_json::json!({ "name": "cpu", "problem": null });
    assert!(machine["devices"].as_array().unwrap().contains(&cpu), "{machine}");
    // It looks at the caches and leaves them as they are.
    assert_eq!(found["storage"]["anchors"]["bytes"], serde_json::Value::Null);
    assert_eq!(found["storage"]["anchors"]["writable"], true);
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
    let (value, why) = choice(&found, "model");
    assert!(value == model && why.contains("AACLIP_MODEL"), "{value}: {why}");
    assert_eq!(found["machine"]["threads"], 1);
    assert!(found["machine"]["threads_why"].as_str().unwrap().ends_with("aaclip.toml:1 says so"));
    assert_eq!(choice(&found, "precision").0, "bf16");
    assert!(found["settings"][0].as_str().unwrap().ends_with("aaclip.toml"));
    assert!(found["settings"].to_string().contains("precision = "), "{found:#}");
    assert_eq!(
        (&found["storage"]["offline"], &found["storage"]["anchors"]["bytes"]),
        (&true.into(), &1000.into())
    );
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
    let (model, why) = choice(&found, "model");
    assert!(model == "builtin" && !why.contains("AACLIP_MODEL"), "{model}: {why}");
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
    assert_eq!(found["machine"]["threads"], 1);
    let (found, _) = report(&here, &[("RAYON_NUM_THREADS", "3")]);
    assert_eq!(found["machine"]["threads"], 3);
    assert!(found["machine"]["threads_why"].as_str().unwrap().contains("RAYON_NUM_THREADS"));
}
