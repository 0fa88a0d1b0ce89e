//! `aaclip data`.

use crate::Workplace;
use crate::snapshot::Refusals;

fn parts() -> Workplace {
    let here = Workplace::new();
    for name in [
        "nut/test/good/0.png",
        "nut/test/cut/0.png",
        "nut/ground_truth/cut/0_mask.png",
        "bolt/test/good/0.png",
    ] {
        here.picture(name, 8, 8);
    }
    here
}

#[test]
fn a_data_set_is_counted() {
    let here = parts();
    let ran = here.run(&["data", "check", "."]).ok();
    insta::assert_snapshot!("counts", ran.stdout);
    assert_eq!(ran.stderr, "");
    let nut = here.run(&["data", "check", ".", "--classes", "nut", "--json"]).ok().json();
    assert_eq!(nut["classes"].as_array().unwrap().len(), 1);
    assert_eq!((&nut["total"]["pictures"], &nut["total"]["kinds"]["cut"]), (&2.into(), &1.into()));
    assert_eq!((&nut["layout"], &nut["problems"]), (&"mvtec-ad".into(), &serde_json::json!([])));
    assert_eq!(here.run(&["data", "check", "nut", "--fast"]).ok().stdout.lines().count(), 4);
}

#[test]
fn every_problem_is_a_line_and_the_exit_code_says_so() {
    let here = parts();
    std::fs::write(here.path("nut/test/good/1.png"), "text").unwrap();
    here.picture("nut/test/cut/1.png", 8, 8);
    let fast = here.run(&["data", "check", ".", "--fast"]);
    assert_eq!((fast.code, fast.stdout.lines().count()), (2, 6), "{}", fast.stdout);
    let ran = here.run(&["data", "check", "."]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!("problems", format!("{}\n{}", fast.stdout, ran.stdout));
    let json = here.run(&["data", "check", ".", "--json"]);
    assert_eq!(json.code, 2);
    let kinds: Vec<_> =
        json.json()["problems"].as_array().unwrap().iter().map(|p| p["kind"].clone()).collect();
    assert_eq!(kinds, ["missing_mask", "unreadable_picture"]);
}

#[test]
fn mistakes_are_explained() {
    let here = parts();
    let mut refused = Refusals::default();
    for arguments in [
        &["gone"][..],
        &["nut/train"],
        &["nut/test"],
        &[".", "--layout", "visa"],
        &[".", "--layout", "mvtek"],
        &[".", "--classes", "nut,screw"],
        &["nut/test/cut/0.png", "--layout", "bmad"],
    ] {
        refused.lines(arguments, &here.run(&[&["data", "check"], arguments].concat()));
    }
    insta::assert_snapshot!(refused.0);
    let help = here.run(&["data", "check", "--help"]).ok().stdout;
    for layout in aaclip::dataset::Layout::ALL {
        assert!(help.contains(layout.name()), "{layout}");
    }
}
