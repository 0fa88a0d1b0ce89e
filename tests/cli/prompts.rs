//! `aaclip prompts`.

use crate::Workplace;
use crate::snapshot::Refusals;

#[test]
fn ensembles_are_listed_and_shown() {
    let here = Workplace::new();
    insta::assert_snapshot!("list", here.run(&["prompts", "list"]).ok().stdout);
    for name in ["clip-ad", "aa-clip"] {
        insta::assert_snapshot!(name, here.run(&["prompts", "show", name]).ok().stdout);
    }
    let sentences = ["prompts", "show", "aa-clip", "--class", "mvtec:bottle"];
    insta::assert_snapshot!("sentences", here.run(&sentences).ok().stdout);
    let bottle = here.run(&["prompts", "show", "aa-clip", "--class", "mvtec:bottle", "--json"]).ok().json();
    assert_eq!(bottle["class"], "dark bottle");
    assert_eq!(bottle["abnormal"][0], "a damaged dark bottle.");
    let same =
        here.run(&["prompts", "show", "aa-clip", "--class", "bottle", "--dataset-names", "MVTec", "--json"]);
    assert_eq!(same.ok().json(), bottle);
}

#[test]
fn a_printed_file_can_be_edited_and_used() {
    let here = Workplace::new();
    let file = here.run(&["prompts", "show", "clip-ad", "--toml"]).ok().stdout;
    std::fs::write(here.path("mine.toml"), file.replace("flawless {}", "spotless {}")).unwrap();
    let shown = here.run(&["prompts", "show", "mine.toml", "--class", "nut"]).ok().stdout;
    assert!(shown.contains("a photo of the spotless nut.") && shown.contains("normal (198 sentences)"));
}

#[test]
fn mistakes_have_a_line() {
    let here = Workplace::new();
    std::fs::write(here.path("bad.toml"), "version = 1\nname = \"x\"\ntemplates = 3\n").unwrap();
    let mut refused = Refusals::default();
    for arguments in [&["bad.toml"][..], &["aa-clip", "--class", "mvtec:sock"]] {
        refused.line(arguments, &here.run(&[&["prompts", "show"], arguments].concat()));
    }
    insta::assert_snapshot!(refused.0);
}
