//! `aaclip report`: the results of a folder as a page.

use super::Workplace;

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
    assert!(
        ran.stderr.contains("2 scored, 2 anomalous, 1 failed; 3 on the page, 4 thumbnails made"),
        "{}",
        ran.stderr
    );
    let page = std::fs::read_to_string(work.path("night/report.html")).unwrap();
    assert!(page.contains("<title>night</title>") && page.contains("photos/c.png is empty"));
    assert!(work.run(&["report", "night"]).ok().stderr.contains("0 thumbnails made"));

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
    for (arguments, expected) in [
        (&["empty"][..], "empty has no results.jsonl: `aaclip detect FOLDER -o empty` writes one"),
        (&["gone"], "cannot read gone"),
        (&["damaged"], "results.jsonl cannot be used: line 1: EOF"),
        (&["night", "-o", "night/results.jsonl"], "must end in .html"),
        (&["night", "--most", "0"], "--most"),
        (&["night", "--thumbnail", "1"], "--thumbnail"),
    ] {
        let ran = work.run(&[&["report"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    assert!(work.run(&["report", "night"]).ok().stdout.contains("report.html"));
    assert!(work.run(&["report", "--help"]).ok().stdout.contains("Examples:"));
}
