//! Completions, manual, colours, and verbosity.

use std::process::Command;

use crate::{Ran, Workplace, support};

#[test]
fn completions_for_every_shell() {
    let here = Workplace::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = here.run(&["completions", shell]).ok().stdout;
        for word in ["detect", "calibrate", "precision", "no-config"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(here.run(&["completions", "tcsh"]).code, 2);
}

/// Loads the script in a real shell and presses Tab.
#[test]
fn bash_completes() {
    let here = Workplace::new();
    std::fs::write(here.path("aaclip.bash"), here.run(&["completions", "bash"]).ok().stdout).unwrap();
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let last = words.len() - 1;
        let script = format!(
            "source aaclip.bash; COMP_WORDS=({}); COMP_CWORD={last}; \
             _aaclip aaclip '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" "),
            words[last],
            words[last - 1],
        );
        Command::new("bash").args(["--norc", "-c", &script]).current_dir(here.path("")).output().ok()
    };
    let Some(first) = complete("aaclip det") else {
        return support::skip("no bash");
    };
    assert_eq!(String::from_utf8(first.stdout).unwrap().trim(), "detect");
    for (line, expected) in [
        ("aaclip detect --prec", "--precision"),
        ("aaclip detect --save h", "heatmap"),
        ("aaclip train sdp", "sdp-plus"),
        ("aaclip train aa-clip --stage t", "text"),
        ("aaclip --no-c", "--no-config"),
        ("aaclip completions f", "fish"),
    ] {
        let found = complete(line).unwrap();
        assert_eq!(String::from_utf8(found.stdout).unwrap().trim(), expected, "{line}");
    }
}

#[test]
fn every_command_has_a_page() {
    let here = Workplace::new();
    let main = here.run(&["man"]).ok().stdout;
    assert!(main.contains(".TH AACLIP 1") && main.contains("aaclip\\-detect(1)"), "{main}");
    let written = here.run(&["man", "-o", "pages"]).ok().stdout;
    let mut names: Vec<&str> = written.lines().map(|l| l.trim_start_matches("pages/")).collect();
    names.sort_unstable();
    for name in ["aaclip.1", "aaclip-detect.1", "aaclip-models-pull.1", "aaclip-train-aa-clip.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.iter().any(|n| n.contains("help")), "{names:?}");
    assert_eq!(std::fs::read_dir(here.path("pages")).unwrap().count(), names.len());
    let page = std::fs::read_to_string(here.path("pages/aaclip-detect.1")).unwrap();
    assert_eq!(page, here.run(&["man", "detect"]).ok().stdout);
    for part in [".SH EXAMPLES", ".SH EXIT CODES", "aaclip detect part.png", "GLOBAL OPTIONS"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let ran = here.run(&["man", "detcet"]);
    assert!(ran.code == 2 && ran.stderr.contains("detect"), "{}", ran.stderr);
    // What a reader's own tool says of every page.
    let pages = names.iter().map(|name| here.path(format!("pages/{name}")));
    match Command::new("groff").args(["-man", "-ww", "-Tutf8", "-z"]).args(pages).output() {
        Err(_) => support::skip("no groff"),
        Ok(out) => {
            assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr))
        }
    }
}

/// Help goes to stdout, errors to stderr; neither is a terminal here.
#[test]
fn colours_follow_the_environment_and_the_flag() {
    let here = Workplace::new();
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = here.command();
        command.args(arguments).envs(environment.iter().copied());
        let ran = Ran::from(command.output().unwrap());
        ran.stdout.contains('\u{1b}') || ran.stderr.contains('\u{1b}')
    };
    let (force, none) = (("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1"));
    for arguments in [&["--help"][..], &["detect"], &["detect", "x", "--device", "moon"]] {
        for (environment, flag, expected) in [
            (&[][..], None, false),
            (&[force], None, true),
            (&[none], None, false),
            (&[none, force], None, false),
            (&[], Some("always"), true),
            (&[none], Some("always"), true),
            (&[force], Some("never"), false),
            (&[force], Some("auto"), true),
        ] {
            let flag: Vec<&str> = flag.into_iter().flat_map(|value| ["--color", value]).collect();
            let all = [&flag[..], arguments].concat();
            assert_eq!(coloured(&all, environment), expected, "{all:?} {environment:?}");
        }
    }
    assert!(coloured(&["detect", "--color=always", "--help"], &[]));
    assert!(!coloured(&["--color=always", "detect", "--color", "never", "--help"], &[force]));
}

#[test]
fn every_command_can_be_quiet_or_verbose() {
    let here = Workplace::new();
    here.picture("good/a.png", 64, 48);
    here.picture("bad/a.png", 64, 48);
    for arguments in [
        &["detect", "good"][..],
        &["prompts", "list"],
        &["models", "list"],
        &["data", "check", "."],
        &["calibrate", "good", "-o", "t.json"],
        &["adapters", "show", "none"],
        &["config"],
        &["man"],
    ] {
        let quiet = here.run(&[arguments, &["--quiet"]].concat());
        let plain = here.run(arguments);
        let verbose = here.run(&[arguments, &["--verbose"]].concat());
        let before = here.run(&[&["-v"], arguments].concat());
        assert_eq!(
            (quiet.code, verbose.code, before.code),
            (plain.code, plain.code, plain.code),
            "{arguments:?}"
        );
        if arguments[0] != "detect" {
            assert_eq!(quiet.stdout, verbose.stdout, "{arguments:?}");
        }
        match plain.code {
            0 => assert_eq!(quiet.stderr, "", "{arguments:?}"),
            _ => assert!(!quiet.stderr.is_empty(), "an error is said: {arguments:?}"),
        }
        for said in [&verbose.stderr, &before.stderr] {
            assert!(said.contains(" s") && said.contains("aaclip: "), "{arguments:?}: {said}");
        }
    }
    let said = here.run(&["detect", "good", "--verbose"]).ok().stderr;
    for part in ["model builtin", "aa-clip", "f32", "1 scored"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(here.run(&["calibrate", "good", "-o", "t.json"]).ok().stderr.lines().count(), 1);
}
