//! `aaclip report`: the results of a folder as a page.

use super::Workplace;
use super::snapshot::{Refusals, outline};

/// A run's folder `night` with two scored pictures and a failed one.
fn night() -> Workplace {
    let work = Workplace::new();
    work.picture("photos/a.png", 400, 300);
    work.picture("photos/sub/b c.png", 64, 64);
    std::fs::write(work.path("photos/c.png"), b"").unwrap();
    assert_eq!(work.detect(&["photos", "-o", "night", "--threshold", "0"]).code, 2);
    work
}

#[test]
fn a_folder_of_results_becomes_a_page() {
    let work = night();
    let ran = work.run(&["report", "night"]).ok();
    assert_eq!(ran.stdout.trim(), "night/report.html");
    insta::assert_snapshot!(ran.stderr);
    let page = std::fs::read_to_string(work.path("night/report.html")).unwrap();
    assert!(page.contains("photos/c.png is empty"));
    {
        let _filters = work.filters();
        insta::assert_snapshot!("page", outline(&page));
    }
    assert!(work.run(&["report", "night"]).ok().stderr.contains("0 thumbnails made"));

    // The map is coloured by the page; a removed picture leaves it.
    assert!(page.contains("url(#map-colours)") && page.contains(".map.png"));
    let second = std::fs::read(work.path("photos/sub/b c.png")).unwrap();
    std::fs::remove_file(work.path("photos/sub/b c.png")).unwrap();
    let ran = work.run(&["report", "night"]).ok();
    assert!(ran.stderr.contains("1 picture was removed from the folder since the run"), "{}", ran.stderr);
    std::fs::write(work.path("photos/sub/b c.png"), second).unwrap();

    // From another folder, to another folder.
    std::fs::create_dir(work.path("elsewhere")).unwrap();
    let mut command = work.command();
    command.current_dir(work.path("elsewhere")).args([
        "report",
        "../night",
        "-o",
        "www/x.html",
        "--title",
        "T",
        "-q",
    ]);
    let ran = super::Ran::from(command.output().unwrap()).ok();
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    let page = std::fs::read_to_string(work.path("elsewhere/www/x.html")).unwrap();
    assert!(page.contains(r#""../../photos/""#) && page.contains("<title>T</title>"));
    assert_eq!(std::fs::read_dir(work.path("elsewhere/www/x-thumbs")).unwrap().count(), 4);
}

#[test]
fn what_is_no_run_is_refused() {
    let work = night();
    std::fs::create_dir(work.path("empty")).unwrap();
    std::fs::create_dir(work.path("damaged")).unwrap();
    std::fs::write(work.path("damaged/results.jsonl"), "{\n").unwrap();
    let mut refused = Refusals::default();
    for arguments in [
        &["empty"][..],
        &["gone"],
        &["damaged"],
        &["night", "-o", "night/results.jsonl"],
        &["night", "--most", "0"],
        &["night", "--thumbnail", "1"],
    ] {
        refused.lines(arguments, &work.run(&[&["report"], arguments].concat()));
    }
    insta::assert_snapshot!(refused.0);
    assert!(work.run(&["report", "night"]).ok().stdout.contains("report.html"));
}
