//! `aaclip methods`, and the effects of the table of methods.

use aaclip::methods::METHODS;

use crate::Workplace;

#[test]
fn every_method_is_listed() {
    let here = Workplace::new();
    insta::assert_snapshot!("list", here.run(&["methods"]).ok().stdout);
    let all = here.run(&["methods", "--json"]).ok().json();
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, METHODS.iter().map(|m| m.name).collect::<Vec<_>>());
}

#[test]
fn what_has_no_effect_on_a_method_is_refused() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    for (arguments, expected) in [
        (&["--method", "sdp", "--fusion", "0.2"][..], "--fusion has no effect with method sdp"),
        (&["--method", "sdp", "--scales", "2"], "--scales has no effect with method sdp"),
        (&["--method", "winclip", "--levels", "1"], "--levels has no effect with method winclip"),
        (&["--method", "sdp", "--reference", "a.png"], "does not compare with reference pictures"),
        (&["--method", "winclip", "--reference", "gone.png"], "gone.png"),
    ] {
        let ran = here.detect(&[&["a.png"], arguments].concat());
        assert!(ran.code == 2 && ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
}
