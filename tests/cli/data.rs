//! `aaclip data`.

use crate::Workplace;

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
    assert_eq!(
        ran.stdout,
        "class  pictures   good  anomalous  masks  kinds\n\
         bolt          1      1          0      0  good 1\n\
         nut           2      1          1      1  cut 1, good 1\n\
         total         3      2          1      1\n\
         layout mvtec-ad; every file decoded; no problem\n"
    );
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
    assert!(
        fast.stdout.contains(
            "names only, no file decoded; 1 problem:\nmissing mask: ./nut/test/cut/1.png: no 1_mask"
        )
    );
    let ran = here.run(&["data", "check", "."]);
    assert_eq!(ran.code, 2);
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("unreadable picture: ./nut/test/good/1.png: it is not a picture"), "{last}");
    let json = here.run(&["data", "check", ".", "--json"]);
    assert_eq!(json.code, 2);
    let kinds: Vec<_> =
        json.json()["problems"].as_array().unwrap().iter().map(|p| p["kind"].clone()).collect();
    assert_eq!(kinds, ["missing_mask", "unreadable_picture"]);
}

#[test]
fn mistakes_are_explained() {
    let here = parts();
    for (arguments, said) in [
        (&["gone"][..], "gone does not exist"),
        (&["nut/train"], "does not exist"),
        (&["nut/test"], "is in no known layout"),
        (&[".", "--layout", "visa"], "is not in the layout visa: expected ROOT/split_csv"),
        (&[".", "--layout", "mvtek"], "`mvtek` is not a layout; known are visa,"),
        (&[".", "--classes", "nut,screw"], "no class `screw`; it has bolt, nut"),
        (&["nut/test/cut/0.png", "--layout", "bmad"], "is a file"),
    ] {
        let ran = here.run(&[&["data", "check"], arguments].concat());
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(said), "{}", ran.stderr);
    }
    let help = here.run(&["data", "check", "--help"]).ok().stdout;
    for layout in aaclip::dataset::Layout::ALL {
        assert!(help.contains(layout.name()), "{layout}");
    }
    assert!(help.contains("2 if there is any problem"));
}
