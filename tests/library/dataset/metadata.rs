use super::*;

const TREE: [&str; 3] = ["nut/good/0.png", "nut/cut/0.png", "nut/gt/0_mask.png"];

fn json_lines(text: &str) -> (Tree, Dataset) {
    let tree = Tree::with(&TREE);
    tree.text("set.jsonl", text);
    let data = tree.open();
    assert_eq!((data.layout, data.root.as_path()), (Layout::JsonLines, tree.path()));
    (tree, data)
}

#[test]
fn json_lines_of_aa_clip() {
    let (tree, data) = json_lines(
        "{\"image_path\": \"nut/good/0.png\", \"label\": 0.0, \"class_name\": \"nut\", \"mask_path\": \"gone.png\"}\n\n\
         {\"image_path\": \".\\\\nut\\\\cut\\\\0.png\", \"label\": 1, \"class_name\": \"nut\", \
         \"mask_path\": \"nut/x/../gt/0_mask.png\"}",
    );
    assert_eq!(lines(&data), ["nut nut/cut/0.png 1 cut nut/gt/0_mask.png", "nut nut/good/0.png 0 good -"]);
    assert_eq!(data.problems, []);
    assert_eq!(Dataset::open(&tree.file("set.jsonl"), None).unwrap(), data);
}

#[test]
fn meta_json_of_clip_ad() {
    let tree = Tree::with(&TREE);
    tree.text(
        "meta.json",
        r#"{"train": {}, "test": {"nut": [
            {"img_path": "nut/good/0.png", "mask_path": "", "cls_name": "nut", "specie_name": "good", "anomaly": 0},
            {"img_path": "nut/cut/0.png", "mask_path": "nut/gt/0_mask.png", "specie_name": "deep", "anomaly": 1}]}}"#,
    );
    let data = tree.open();
    assert_eq!(data.layout, Layout::MetaJson);
    assert_eq!(lines(&data), ["nut nut/cut/0.png 1 deep nut/gt/0_mask.png", "nut nut/good/0.png 0 good -"]);
    assert_eq!(Dataset::open(&tree.file("meta.json"), None).unwrap(), data);
    // A tree takes precedence over files beside it.
    let tree = Tree::with(&["nut/test/good/0.png", "nut/test/cut/0.png"]);
    tree.text("meta.json", "{}");
    tree.text("a.jsonl", "");
    assert_eq!(tree.open().layout, Layout::MvtecAd);
}

#[test]
fn every_unusable_line_is_named() {
    let good = r#"{"image_path": "nut/good/0.png", "label": 0, "class_name": "nut"}"#;
    let rows = [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (r#"{"label": 0, "class_name": "nut"}"#, "`image_path` is missing"),
        (r#"{"image_path": 3, "label": 0, "class_name": "nut"}"#, "`image_path` is not a string"),
        (r#"{"image_path": "nut/cut/0.png", "class_name": "nut"}"#, "`label` is missing"),
        (r#"{"image_path": "nut/cut/0.png", "label": 0.5, "class_name": "nut"}"#, "expected 0 or 1"),
        (r#"{"image_path": "nut/cut/0.png", "label": "1", "class_name": "nut"}"#, "not a number"),
        (r#"{"image_path": "nut/cut/0.png", "label": 1, "class_name": ""}"#, "`class_name` is missing"),
        (r#"{"image_path": "/etc/x.png", "label": 1, "class_name": "nut"}"#, "not a path below"),
        (r#"{"image_path": "C:\\x.png", "label": 1, "class_name": "nut"}"#, "not a path below"),
        (r#"{"image_path": "nut/../../x.png", "label": 1, "class_name": "nut"}"#, "not a path below"),
        (r#"{"image_path": "", "label": 1, "class_name": "nut"}"#, "not a path below"),
    ];
    for (row, reason) in rows {
        let (_, data) = json_lines(&format!("{good}\n{row}\n"));
        let [problem] = &data.problems[..] else { panic!("{row}: {:?}", data.problems) };
        assert_eq!((problem.kind, data.samples.len()), (ProblemKind::BadLine, 1), "{row}");
        let line = problem.to_string();
        assert!(line.contains("set.jsonl: line 2: ") && line.contains(reason), "{line}");
    }
    let (_, data) = json_lines(&format!("{good}\n\"{}\"\n{good}\n", "x".repeat(2 << 20)));
    assert_eq!(
        found(&data.problems),
        [(ProblemKind::BadLine, "set.jsonl".into()), (ProblemKind::Duplicate, "0.png".into())]
    );
    assert!(data.problems[1].detail.starts_with("line 3 of "));

    // A mask that leads out of the folder: the picture stays.
    let row = r#"{"image_path": "nut/cut/0.png", "label": 1, "class_name": "n", "mask_path": "../0.png"}"#;
    let (_, data) = json_lines(row);
    assert_eq!((data.problems[0].kind, &data.samples[0].mask), (ProblemKind::BadLine, &Mask::Unlabelled));

    let tree = Tree::with(&TREE);
    tree.text("meta.json", r#"{"test": {"a": 1, "nut": [{"img_path": "nut/cut/0.png", "anomaly": 1}, {}]}}"#);
    let places: Vec<String> = tree.open().problems.into_iter().map(|p| p.detail).collect();
    assert!(places[0].starts_with("test.a: ") && places[1].starts_with("test.nut[1]: "), "{places:?}");
}

#[test]
fn files_that_are_something_else_are_refused() {
    let tree = Tree::with(&TREE);
    for (text, reason) in
        [("{", "not JSON"), ("[]", "no object `test`"), ("{\"test\": []}", "no object `test`")]
    {
        tree.text("meta.json", text);
        let error = tree.refused();
        assert!(
            matches!(error, DatasetError::Metadata { .. }) && error.to_string().contains(reason),
            "{error}"
        );
    }
    std::fs::remove_file(tree.file("meta.json")).unwrap();
    tree.text("many.jsonl", "?\n".repeat(20_000));
    assert!(matches!(tree.refused(), DatasetError::Metadata { .. }));
    tree.text("split_csv/1cls.csv", "object,split,label\n");
    let error = tree.refused();
    assert!(error.to_string().contains("no column `image`; the columns are object, split, label"), "{error}");

    let tree = Tree::new();
    let file = std::fs::File::create(tree.file("big.jsonl")).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    assert!(matches!(tree.refused(), DatasetError::TooLarge { .. }));
}
