//! `aaclip worker`: lines in, lines out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use base64::Engine;
use serde_json::{Value, json};

use crate::{Ran, Workplace, support};

impl Workplace {
    fn worker(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command.arg("worker").arg("--model").arg(support::tiny_model()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn work(&self, input: &[u8], arguments: &[&str]) -> Ran {
        let mut child = self.worker(arguments);
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feed = std::thread::spawn(move || stdin.write_all(&input));
        let ran = Ran::from(child.wait_with_output().unwrap());
        feed.join().unwrap().ok();
        ran
    }
}

#[test]
fn one_line_out_per_line_in_with_the_scores_of_detect() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    here.picture("b c.png", 50, 30);
    let score = |name: &str, class: &str| {
        here.detect(&[name, "--format", "json", "--class", class]).ok().json()["score"].clone()
    };
    let content =
        base64::engine::general_purpose::STANDARD.encode(std::fs::read(here.path("a.png")).unwrap());
    let lines = [
        "a.png".to_owned(),
        json!({"path": "b c.png", "id": "second"}).to_string(),
        json!({"b64": content, "class": "nut", "id": [3], "name": "memory"}).to_string(),
        "gone.png".to_owned(),
        String::new(),
        "{\"id\": 6, \"pth\": \"a.png\"}".to_owned(),
        json!({"path": "a.png", "class": "mvtec:nothing", "id": 7}).to_string(),
        "x".repeat(3 << 20),
        json!({"b64": "", "id": 9}).to_string(),
        "b c.png".to_owned(),
    ];
    // No line end after the last one.
    let ran = here.work(lines.join("\n").as_bytes(), &["--max-line", "2"]).ok();
    assert_eq!(ran.stderr, "");
    let answers = ran.json_lines();
    assert_eq!(answers.len(), lines.len());
    assert_eq!(answers[0]["score"], score("a.png", "object"));
    assert_eq!((&answers[1]["score"], &answers[1]["id"]), (&score("b c.png", "object"), &json!("second")));
    assert_eq!((&answers[2]["score"], &answers[2]["id"]), (&score("a.png", "nut"), &json!([3])));
    assert_eq!((&answers[2]["path"], &answers[2]["class"]), (&json!("memory"), &json!("nut")));
    assert_eq!(answers[9]["score"], answers[1]["score"]);
    let kinds: Vec<&str> = answers[3..9].iter().map(|a| a["error"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["unreadable", "bad_request", "bad_request", "setup", "bad_request", "empty"]);
    assert_eq!((&answers[5]["id"], &answers[8]["id"]), (&json!(6), &json!(9)));
    assert!(answers.iter().all(|a| a["schema"] == 3));
    assert_eq!((&answers[5]["path"], &answers[7]["path"]), (&json!(lines[5]), &json!("x".repeat(200))));
}

#[test]
fn ids_come_back_as_they_were_written_and_names_as_far_as_they_are_known() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let lines = [
        "\u{feff}{\"path\": \"a.png\", \"id\": 123456789012345678901234567890, \"class\": \"  \"}",
        r#"{"path": "a.png", "id": 1.10, "class": " nut\n"}"#,
        r#"{"id": 1e999, "path": "a.png", "class": 5}"#,
        r#"{"id": "\udcff", "path": "\udcff.png"}"#,
        "{\"id\": 7, ",
    ];
    let ran = here.work(lines.join("\n").as_bytes(), &["--class", "bolt"]).ok();
    let answers: Vec<&str> = ran.stdout.lines().collect();
    for (answer, start) in answers.iter().zip([
        r#"{"id":123456789012345678901234567890,"schema":3,"path":"a.png""#,
        r#"{"id":1.10,"schema":3,"path":"a.png""#,
        r#"{"id":1e999,"schema":3,"path":"a.png""#,
        r#"{"id":"\udcff","schema":3,"path":"{\"id\": \"\\udcff\", \"path\""#,
        r#"{"schema":3,"path":"{\"id\": 7,""#,
    ]) {
        assert!(answer.starts_with(start), "{answer}, expected {start}");
    }
    assert_eq!(answers.len(), lines.len());
    assert!(
        answers[0].contains(r#""class":"bolt""#) && answers[1].contains(r#""class":"nut""#),
        "{answers:?}"
    );
    assert!(answers[2..].iter().all(|a| a.contains(r#""kind":"bad_request""#)), "{answers:?}");
}

#[cfg(unix)]
#[test]
fn a_path_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let here = Workplace::new();
    let name = std::ffi::OsStr::from_bytes(b"b\xff.png");
    std::fs::rename(here.picture("a.png", 40, 30), here.path(name)).unwrap();
    let answers = here.work(b"b\xff.png\n", &[]).ok().json_lines();
    assert!(answers[0]["score"].is_number(), "{}", answers[0]);
    assert_eq!(answers[0]["path"], "b\u{fffd}.png");
}

#[test]
fn a_reader_that_goes_away_is_no_success() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let mut child = here.worker(&[]);
    drop(child.stdout.take());
    let _ = child.stdin.take().unwrap().write_all(b"a.png\na.png\n");
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert!(ran.code == 2 && ran.stderr.contains("closed the pipe"), "{} {}", ran.code, ran.stderr);
}

#[test]
fn answers_come_before_the_next_question() {
    let here = Workplace::new();
    here.picture("a.png", 40, 30);
    let mut child = here.worker(&[]);
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for i in 0..5 {
        writeln!(stdin, "{}", json!({"path": "a.png", "id": i})).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["id"], i);
    }
    drop(stdin);
    assert!(answers.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn nothing_is_loaded_for_nothing_and_a_model_that_cannot_be_is_the_end() {
    let here = Workplace::new();
    let run = |input: &str| {
        let mut command = here.command();
        command.args(["worker", "--model", "no-such-model"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::from(child.wait_with_output().unwrap())
    };
    let none = run("");
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (0, "", ""));
    let some = run("a.png\n");
    assert_eq!((some.code, some.stdout.as_str()), (2, ""));
    assert!(some.stderr.contains("no-such-model"), "{}", some.stderr);
}
